"""What an operator has of a façade in this process: a settings file for commands, and the journal's records."""

from __future__ import annotations

from pathlib import Path

import psycopg

from cbss_inscription.governance.journal import AuditRecord, read_record
from tests.acceptance.conftest import InProcessFacade
from tests.conftest import free_port


def settings_of(facade: InProcessFacade, folder: Path, *, top: str = "", more: str = "") -> Path:
    """A settings file, written into the façade's folder, of its database, rules and keys; `more` are further tables."""
    file = folder / "settings.toml"
    file.write_text(
        f"""environment = "LOCAL"
public_url = "https://localhost:8443"
database = "{facade.database}"
access_rules = "rules.yaml"
{top}
[tls]
port = {free_port()}
certificate = "server.crt.pem"
private_key = "server.key.pem"
[trust]
application_authorities = "authorities.pem"
[audit]
keys = "audit-keys.toml"
{more}""",
        encoding="utf-8",
    )
    return file


def records(facade: InProcessFacade) -> list[AuditRecord]:
    """The records in the journal, in the order of their arrival."""
    with psycopg.connect(facade.database) as connection:
        rows = connection.execute("SELECT content FROM audit_record ORDER BY record_number").fetchall()
    return [read_record(content.encode("utf-8")) for (content,) in rows]
