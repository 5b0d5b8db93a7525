"""The chain over the audit journal, as the database makes and keeps it (SEC-72)."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from cbss_inscription.storage.queries import QUERIES

LINKED_RECORDS_MAX: Final = 10_000
"""Records that one transaction chains."""
GAP_SECONDS_MAX: Final = 900
"""How long a missing number is looked for: far longer than any transaction of ours may last."""

Connection = psycopg.Connection[tuple[Any, ...]]


def link_records(
    connection: Connection, *, record_count_max: int = LINKED_RECORDS_MAX, gap_seconds_max: int = GAP_SECONDS_MAX
) -> int:
    """How many records of the journal were chained now; 0 when there was none, or another process is at it."""
    parameters = {"record_count_max": record_count_max, "gap_seconds_max": gap_seconds_max}
    with connection.transaction():
        row = connection.execute(QUERIES["link_audit_records"], parameters).fetchone()
    assert row is not None
    return int(row[0])
