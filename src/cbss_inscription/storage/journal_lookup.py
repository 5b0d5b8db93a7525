"""Records of the audit journal, found by a ticket or by the person whom they are about (rule 50)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.journal import AuditRecord, canonical_member, canonical_string, read_record
from cbss_inscription.storage.database import Connection, Database, Row
from cbss_inscription.storage.queries import QUERIES

RECORDS_OF_TICKET_MAX: Final = 20
"""Records under one customer's ticket that are given: a request that was sent again has one for each time."""


async def record_of_ticket(database: Database, ticket_cbss: UUID) -> AuditRecord | None:
    """The record under our ticket, or None. Raises `UsageError` when it cannot be read."""
    row = await database.row("audit_record_of_ticket", {"ticket_cbss": ticket_cbss})
    return None if row is None else _read(row)


async def records_of_customer_ticket(
    database: Database, ticket: str, *, since: datetime, until: datetime
) -> tuple[AuditRecord, ...]:
    """The records under a customer's ticket in this time, the first first, at most `RECORDS_OF_TICKET_MAX`.

    No index has these tickets: the time is what is read. Raises `UsageError` for a record that cannot be read.
    """
    rows = await database.rows(
        "audit_records_of_customer_ticket",
        {
            "customer_ticket_text": canonical_string(ticket),
            "member": canonical_member("customer_ticket", ticket),
            "since": since,
            "until": until,
            "row_count_max": RECORDS_OF_TICKET_MAX,
        },
    )
    return tuple(_read(row) for row in rows)


async def records_of_person(
    connection: Connection,
    hashes: Collection[bytes],
    *,
    since: datetime | None,
    until: datetime | None,
    record_count_max: int,
) -> tuple[AuditRecord, ...]:
    """The newest records that are found by one of the hashes, newest first. Raises `UsageError` as the others do."""
    parameters = {"hashes": list(hashes), "since": since, "until": until, "row_count_max": record_count_max}
    cursor = await connection.execute(QUERIES["audit_records_of_person"], parameters)
    return tuple(_read(row) for row in await cursor.fetchall())


def _read(row: Row) -> AuditRecord:
    try:
        return read_record(row[0].encode("utf-8"))
    except ValueError:
        # Without the record's own words: they may tell of others.
        raise UsageError("a record in the journal cannot be read: it is not as the service wrote it") from None
