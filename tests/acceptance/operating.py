"""What an operator has of a façade: a settings file with what it names beside it, the journal's records, metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from cbss_inscription.app.metrics import CALL_SECONDS, CIRCUITS
from cbss_inscription.governance.journal import AuditRecord, read_record
from tests.conftest import RunningSandbox, free_port


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


def counted(sandbox: RunningSandbox, service: str) -> Counter[tuple[str, str]]:
    """How many messages to another service the operations listener tells of, by operation and outcome."""
    return Counter(
        {
            (sample.labels["operation"], sample.labels["outcome"]): int(sample.value)
            for sample in _samples(sandbox, service)
            if sample.name == f"{CALL_SECONDS}_count"
        }
    )


def logged(sandbox: RunningSandbox, service: str) -> Counter[tuple[str, str]]:
    """The same by the façade's log."""
    lines = [line for line in sandbox.log_lines() if line["event"] == "upstream" and line["service"] == service]
    return Counter((line["operation"], line["outcome"]) for line in lines)


def circuits(sandbox: RunningSandbox, service: str) -> dict[str, int]:
    """How many workers' circuits for another service are closed, half open and open, by the operations listener."""
    return {
        sample.labels["circuit"]: int(sample.value) for sample in _samples(sandbox, service) if sample.name == CIRCUITS
    }


def _samples(sandbox: RunningSandbox, service: str) -> Iterator[Sample]:
    text = httpx.get(f"{sandbox.operations_url}/metrics", trust_env=False).text
    for family in text_string_to_metric_families(text):
        yield from (sample for sample in family.samples if sample.labels.get("service") == service)
