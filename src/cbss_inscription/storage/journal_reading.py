"""The audit journal read: verified to its last row, searched, and handed out as a file that proves itself (SEC-72).

Each of them sees the journal as it was at one moment, in one transaction, however long it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import psycopg

from cbss_inscription.domain.customer import stored_ticket
from cbss_inscription.domain.errors import TemporarilyUnavailable, UsageError
from cbss_inscription.domain.period import timestamp
from cbss_inscription.governance.audit_export import Line, Manifest, line_of_link, line_of_seal
from cbss_inscription.governance.chain import CHAIN_START
from cbss_inscription.governance.journal import (
    AuditKeys,
    AuditRecord,
    canonical,
    canonical_member,
    canonical_string,
    person_hashes,
    read_record,
)
from cbss_inscription.governance.timestamps import TimestampTrust
from cbss_inscription.governance.verification import FINDINGS_MAX, FindingKind, JournalVerifier, Link, Seal
from cbss_inscription.storage.chain import Connection, write_records
from cbss_inscription.storage.database import bounded
from cbss_inscription.storage.queries import QUERIES

READ_AT_ONCE: Final = 2_000
"""Links, and records, that are fetched by one statement."""
FOUND_RECORDS_MAX: Final = 1_000
"""Records that a search gives."""


@contextmanager
def one_moment_of(conninfo: str) -> Iterator[Connection]:
    """A connection that sees the database as it is now until the end, and changes nothing. Raises like `Database`."""
    try:
        with psycopg.connect(bounded(conninfo)) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("SET LOCAL statement_timeout = 0")
            # The planner expects a thousand times the records that chunks have: it would compile for nothing.
            connection.execute("SET LOCAL jit = off")
            yield connection
    except psycopg.DataError as error:
        raise UsageError("a record in the journal cannot be read: `audit verify` names it") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise TemporarilyUnavailable("database") from error


def links_between(connection: Connection, first: int, last: int) -> Iterator[Link]:
    """The links of a range, both ends included, each with its record, in their order."""
    after = first - 1
    while after < last:
        parameters = {"after": after, "last": last, "row_count_max": READ_AT_ONCE}
        rows = connection.execute(QUERIES["chained_records"], parameters).fetchall()
        for number, record_hash, chain_hash, content, ticket_cbss, received_at, is_archived in rows:
            yield Link(
                sequence_number=number,
                record_hash=record_hash,
                chain_hash=chain_hash,
                content=content,
                ticket_cbss=ticket_cbss,
                received_at=received_at,
                is_archived=is_archived,
            )
        if len(rows) < READ_AT_ONCE:
            return
        after = rows[-1][0]


def parts_between(connection: Connection, first: int, last: int | None) -> Iterator[Link | Seal]:
    """Links and seals of a range in the order in which a verifier reads them: a seal after its last link.

    Without `last` it is everything, seals that cover more than there is included.
    """
    end = _last_link(connection) if last is None else last
    seals = _seals(connection, first, last)
    waiting = next(seals, None)
    for link in links_between(connection, first, end):
        while waiting is not None and waiting[0] < link.sequence_number:
            yield waiting[1]
            waiting = next(seals, None)
        yield link
    while waiting is not None:
        yield waiting[1]
        waiting = next(seals, None)


def _last_link(connection: Connection) -> int:
    row = connection.execute(QUERIES["last_link"]).fetchone()
    assert row is not None
    return int(row[0])


def _seals(connection: Connection, first: int, last: int | None) -> Iterator[tuple[int, Seal]]:
    after = first - 1
    while True:
        parameters = {"after": after, "last": last, "row_count_max": READ_AT_ONCE}
        rows = connection.execute(QUERIES["seals_between"], parameters).fetchall()
        for number, statement, token in rows:
            yield number, Seal(statement=statement, token=token, place=f"seal that ends with {number}")
        if len(rows) < READ_AT_ONCE:
            return
        after = rows[-1][0]


def record_look(conninfo: str, record: AuditRecord, *, received_at: datetime) -> None:
    """Nothing; the look stands in the journal: before that nothing may be shown (rule 51).

    Raises `TemporarilyUnavailable` when it cannot.
    """
    try:
        with psycopg.connect(bounded(conninfo)) as connection:
            write_records(connection, [(received_at, record)])
    except psycopg.Error:
        raise TemporarilyUnavailable("audit") from None  # the database's words quote rows


# -- verification ------------------------------------------------------------------------------------------------------


def verify_journal(
    connection: Connection, *, trust: TimestampTrust | None, keys: AuditKeys | None, since: datetime | None = None
) -> JournalVerifier:
    """What is wrong with the journal in the database, if anything: chain, records, seals, and what finds them.

    Of what was received from `since` on, and from the seal before it, which stands for all that came earlier: whether
    that is still what it was then, only a verification of all of it says. Raises `UsageError` when nothing was.
    """
    first, former = 1, CHAIN_START
    if since is not None:
        first, _, former, _ = _range_of(connection, since=since, until=None)
    verifier = JournalVerifier(chain_hash=former, first_sequence_number=first, trust=trust, keys=keys)
    if first > 1:
        seals = _seals(connection, first - 1, first - 1)
        verifier.read_former_seal(next((seal for _, seal in seals), None))
    for part in parts_between(connection, first, None):
        if isinstance(part, Link):
            verifier.read_link(part)
        else:
            verifier.read_seal(part)
    row = connection.execute(QUERIES["end_of_chain"]).fetchone()
    if row is None:
        verifier.find(FindingKind.TRUNCATED, "the state of the chain")
    else:
        verifier.end(*row, said_by="the state of the chain")
    parameters = {"row_count_max": FINDINGS_MAX, "since": since}
    for number, ticket in connection.execute(QUERIES["repeated_records"], parameters):
        verifier.find(FindingKind.REPEATED_RECORD, f"link {number}", str(ticket))
    for (ticket,) in connection.execute(QUERIES["unchained_records"], parameters):
        verifier.find(FindingKind.UNCHAINED_RECORD, f"record {ticket or 'without a ticket'}")
    _verify_index(connection, verifier, since=since)
    return verifier


def _verify_index(connection: Connection, verifier: JournalVerifier, *, since: datetime | None) -> None:
    with connection.cursor(name="audit_index") as cursor:
        cursor.itersize = READ_AT_ONCE
        cursor.execute(QUERIES["indexed_records"], {"since": since})
        for _, rows in groupby(cursor, key=itemgetter(0)):
            about: dict[UUID, set[bytes]] = {}
            found_by: dict[UUID, set[bytes]] = {}
            unreadable: set[UUID] = set()
            for _, found_at, content, ticket, customer_ticket, persons, hashes in rows:
                if content is None:
                    found_by.setdefault(found_at, set()).update(hashes)
                    continue
                try:
                    record = read_record(content.encode("utf-8"))
                    about.setdefault(found_at, set()).update(person_hashes(record))
                except ValueError:
                    unreadable.add(found_at)  # the chain told of it
                    continue
                if ticket is not None and not (
                    ticket >= found_at and _is_found_by(record, customer_ticket=customer_ticket, persons=persons)
                ):
                    verifier.find(FindingKind.WRONG_INDEX, f"record {ticket}")
            for found_at in (about.keys() | found_by.keys()) - unreadable:
                if about.get(found_at) != found_by.get(found_at, set()):
                    verifier.find(FindingKind.WRONG_INDEX, f"record {found_at}")


def _is_found_by(record: AuditRecord, *, customer_ticket: str | None, persons: str) -> bool:
    """Whether the columns of a chunk by which its records are searched say the same as this record's text."""
    own = None if record.customer_ticket is None else canonical_string(record.customer_ticket)
    return own == customer_ticket and all(canonical_member("hash", one.hash) in persons for one in record.persons)


# -- export ------------------------------------------------------------------------------------------------------------


def export_lines(
    connection: Connection, *, since: datetime | None, until: datetime | None, now: datetime
) -> Iterator[Line]:
    """The lines of a file with what was received from `since` until before `until`, extended to whole seals.

    Raises `UsageError` when nothing was.
    """
    first, last, former, ending = _range_of(connection, since=since, until=until)
    yield Manifest(
        exported_at=timestamp(now),
        first_sequence_number=first,
        last_sequence_number=last,
        former_chain_hash=former.hex(),
        last_chain_hash=ending.hex(),
    )
    for part in parts_between(connection, first, last):
        yield line_of_link(part) if isinstance(part, Link) else line_of_seal(part)


def links_received(connection: Connection, *, since: datetime | None, until: datetime | None) -> dict[str, int | None]:
    """The `first` and the `last` link of what was received from `since` until before `until`; None when nothing was."""
    row = connection.execute(QUERIES["links_received"], {"since": since, "until": until}).fetchone()
    assert row is not None
    return {"first": row[0], "last": row[1]}


def _range_of(
    connection: Connection, *, since: datetime | None, until: datetime | None
) -> tuple[int, int, bytes, bytes]:
    """The first and the last link of what was received in this time, extended to whole seals, and the chain's hash
    before the one and at the other. Raises `UsageError` when nothing was.
    """
    row = connection.execute(QUERIES["whole_seals"], links_received(connection, since=since, until=until)).fetchone()
    if row is None or row[0] is None:
        raise UsageError("nothing was received in this time, or it is not chained yet")
    first, last, former, ending = row
    if ending is None or (former is None and first > 1):
        raise UsageError("the chain has a hole at an end of this time: `audit verify` names it")
    return first, last, former or CHAIN_START, ending


# -- search ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Which records are looked for: those that fit all that is said."""

    person_hashes: Sequence[bytes] | None = None
    ticket_cbss: UUID | None = None
    customer_ticket: str | None = None
    application_urn: str | None = None
    customer: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def members(self) -> list[str]:
        """What stands in the text of each record that fits."""
        said = {
            "application_urn": self.application_urn,
            "customer": self.customer,
            "customer_ticket": None if self.customer_ticket is None else stored_ticket(self.customer_ticket),
        }
        return [canonical_member(name, text) for name, text in said.items() if text is not None]

    def fit(self, record: AuditRecord) -> bool:
        """Whether a record that is not in the database is looked for, by the same."""
        if self.ticket_cbss is not None and record.ticket_cbss != str(self.ticket_cbss):
            return False
        if self.person_hashes is not None and set(self.person_hashes).isdisjoint(person_hashes(record)):
            return False
        received_at = datetime.fromisoformat(record.timestamp_receive)
        if (self.since and received_at < self.since) or (self.until and received_at >= self.until):
            return False
        text = canonical(record).decode("utf-8")
        return all(member in text for member in self.members())


def search_records(
    connection: Connection, criteria: Criteria, *, record_count_max: int = FOUND_RECORDS_MAX
) -> list[AuditRecord]:
    """The records that fit, oldest first, at most so many. Raises `UsageError` for one that cannot be read."""
    parameters: dict[str, Any] = {
        "hashes": None if criteria.person_hashes is None else list(criteria.person_hashes),
        "ticket_cbss": criteria.ticket_cbss,
        "members": criteria.members(),
        "since": criteria.since,
        "until": criteria.until,
        "row_count_max": record_count_max,
    }
    rows = connection.execute(QUERIES["search_audit_records"], parameters).fetchall()
    try:
        return [read_record(content.encode("utf-8")) for (content,) in rows]
    except ValueError:
        raise UsageError("a record in the journal cannot be read: `audit verify` names it") from None
