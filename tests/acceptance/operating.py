"""What an operator has of a façade: a settings file with what it names beside it, and the journal's records."""

from __future__ import annotations

from pathlib import Path

import psycopg

from cbss_inscription.governance.journal import AuditRecord, read_record
from tests.conftest import free_port


def write_settings(
    folder: Path,
    *,
    database: str,
    port: int | None = None,
    access_rules: str | None = "rules.yaml",
    top: str = "",
    trust: str = "",
    more: str = "",
) -> Path:
    """A façade's settings file in `folder`; the files that it names are the caller's to write, where they are read.

    `top` and `trust` are further lines of these tables, `more` lines of the journal's and further tables.
    """
    file = folder / "settings.toml"
    port = free_port() if port is None else port
    rules = "" if access_rules is None else f'access_rules = "{access_rules}"'
    file.write_text(
        f"""environment = "LOCAL"
public_url = "https://localhost:{port}"
database = "{database}"
{rules}
{top}
[tls]
port = {port}
certificate = "server.crt.pem"
private_key = "server.key.pem"
[trust]
application_authorities = "authorities.pem"
{trust}
[audit]
keys = "audit-keys.toml"
{more}
""",
        encoding="utf-8",
    )
    return file


def records(database: str) -> list[AuditRecord]:
    """The records in the journal, in the order of their arrival."""
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT content FROM audit_record ORDER BY record_number").fetchall()
    return [read_record(content.encode("utf-8")) for (content,) in rows]
