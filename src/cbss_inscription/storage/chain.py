"""The chain over the audit journal and the seals on it, as the database makes and keeps them (SEC-72, SEC-73).

Everything here may be done by several processes at once, and may end at any moment: what one began another finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import psycopg

from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.chain import MerkleTree, seal_statement
from cbss_inscription.governance.journal import AuditRecord, UnrecordedChange
from cbss_inscription.storage.journal import JournalEntry, parameters_of
from cbss_inscription.storage.queries import QUERIES

LINKED_RECORDS_MAX: Final = 10_000
"""Records that one transaction chains."""
GAP_SECONDS_MAX: Final = 900
"""How long a missing number is looked for: far longer than any transaction of ours may last."""
RECOVERED_SECONDS_MAX: Final = 60.0
"""Of how long a time one transaction looks at the changes: a batch makes some hundred thousand in it."""
SEALED_LINKS_MAX: Final = 100_000
"""Links under one seal; what waits beyond them gets the next."""
MONTHS_AHEAD: Final = 2
"""Months after this one that the journal has partitions for."""

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


def make_months(connection: Connection, today: date) -> None:
    """Nothing; the journal has a partition for this month and the next `MONTHS_AHEAD`."""
    for ahead in range(MONTHS_AHEAD + 1):
        years, month = divmod(today.month - 1 + ahead, 12)
        connection.execute(QUERIES["make_audit_month"], {"day": date(today.year + years, month + 1, 1)})


# -- seals -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What was sealed now."""

    first_sequence_number: int
    last_sequence_number: int
    chain_hash: bytes


def seal_links(
    connection: Connection,
    stamp: Callable[[str], bytes | None],
    *,
    now: datetime,
    link_count_max: int = SEALED_LINKS_MAX,
) -> Sealed | None:
    """What was sealed now: the links since the last seal, if there are any and nobody else is at it.

    `stamp` gives the time stamp over a statement, and may raise: then there is no seal. No transaction waits for it.
    """
    with _leading(connection) as leads:
        if not leads:
            return None
        links = _unsealed(connection, link_count_max)
        if not links:
            return None
        tree = MerkleTree()
        for _, record_hash, _ in links:
            tree.append(record_hash)
        (first, _, _), (last, _, chain_hash) = links[0], links[-1]
        statement = seal_statement(
            first_sequence_number=first,
            last_sequence_number=last,
            last_chain_hash=chain_hash,
            root=tree.root,
            sealed_at=now,
        )
        parameters = {"first": first, "last": last, "sealed_at": now, "statement": statement, "token": stamp(statement)}
        connection.execute(QUERIES["write_seal"], parameters)
        return Sealed(first_sequence_number=first, last_sequence_number=last, chain_hash=chain_hash)


@contextmanager
def _leading(connection: Connection) -> Iterator[bool]:
    row = connection.execute(QUERIES["try_to_lead_seals"]).fetchone()
    assert row is not None
    try:
        yield row[0]
    finally:
        if row[0] and not connection.broken:
            connection.execute(QUERIES["stop_leading_seals"])


def _unsealed(connection: Connection, link_count_max: int) -> list[tuple[int, bytes, bytes]]:
    row = connection.execute(QUERIES["sealed_through"]).fetchone()
    assert row is not None
    parameters = {"after": row[0], "row_count_max": link_count_max}
    return connection.execute(QUERIES["unsealed_links"], parameters).fetchall()


def backlog_seconds(connection: Connection) -> float:
    """For how long something has waited for its seal, or nobody has looked whether something waits (SEC-73)."""
    row = connection.execute(QUERIES["audit_backlog"]).fetchone()
    assert row is not None
    return float(max(row))


# -- effects whose call left no record ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What became of changes that have no record."""

    records: int
    """Written now."""
    is_behind: bool
    """Whether there is more of the past to look at."""


def recover_records(
    connection: Connection, record_of: Callable[[UnrecordedChange], AuditRecord], *, grace_seconds: float
) -> Recovered:
    """The records written now, of changes that have none and are older than `grace_seconds` (SEC-71).

    Each change is looked at once, by one process; what it found missing is written in the same transaction. After an
    absence the oldest `RECOVERED_SECONDS_MAX` are looked at: all of it together might take longer than a statement may.
    """
    parameters = {"grace_seconds": grace_seconds, "recovered_seconds_max": RECOVERED_SECONDS_MAX}
    with connection.transaction():
        row = connection.execute(QUERIES["lock_audit_recovery"], parameters).fetchone()
        if row is None or row[1] <= row[0]:
            return Recovered(records=0, is_behind=False)
        since, until, is_behind = row
        rows = connection.execute(QUERIES["unrecorded_changes"], {"since": since, "until": until}).fetchall()
        changes = [_read_change(*values) for values in rows]
        write_records(connection, [(change.changed_at, record_of(change)) for change in changes])
        connection.execute(QUERIES["note_audit_recovery"], {"until": until})
    return Recovered(records=len(changes), is_behind=is_behind)


def _read_change(
    ticket_cbss: UUID,
    changed_at: datetime,
    customer_ticket: str | None,
    application_urn: str,
    cbe_number: str | None,
    operation: str,
    customer: str,
    legal_context: str | None,
    inscription_context: str,
    ssin: int,
) -> UnrecordedChange:
    return UnrecordedChange(
        ticket_cbss=ticket_cbss,
        changed_at=changed_at,
        customer_ticket=customer_ticket,
        application_urn=application_urn,
        cbe_number=cbe_number,
        operation=operation,
        customer=customer,
        legal_context=legal_context,
        inscription_context=inscription_context,
        current=Ssin.of_number(ssin).digits,
    )


def write_records(connection: Connection, records: list[tuple[datetime, AuditRecord]]) -> None:
    """Nothing; the records, each with the time under which it is found, stand in the journal."""
    entries = [JournalEntry.of(record, received_at=received_at) for received_at, record in records]
    connection.execute(QUERIES["write_audit_records"], parameters_of(entries))
