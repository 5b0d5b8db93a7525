"""Months of the audit journal that leave the database for files (SEC-75)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from cbss_inscription.domain.period import timestamp
from cbss_inscription.governance.audit_export import Line, Manifest, line_of_link, line_of_seal
from cbss_inscription.governance.chain import CHAIN_START
from cbss_inscription.governance.journal import AuditRecord
from cbss_inscription.governance.verification import Link
from cbss_inscription.storage.chain import Connection, write_records
from cbss_inscription.storage.journal_reading import links_received, parts_between
from cbss_inscription.storage.queries import QUERIES


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedMonth:
    """A month, and the file that it is in."""

    month: date
    file_name: str
    first_sequence_number: int
    last_sequence_number: int
    digest: bytes
    is_expired: bool = False
    """Whether the file is deleted, for its time was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMonth:
    """A month that is to be archived."""

    month: date
    last_sequence_number: int | None
    """The link that its file ends with; None while not all its records are chained and sealed."""


def archived_months(connection: Connection) -> list[ArchivedMonth]:
    """The months that are archived, in the order of their files."""
    rows = connection.execute(QUERIES["audit_archives"]).fetchall()
    return [
        ArchivedMonth(
            month=month,
            file_name=name,
            first_sequence_number=first,
            last_sequence_number=last,
            digest=digest,
            is_expired=is_expired,
        )
        for month, name, first, last, digest, is_expired in rows
    ]


def archive_files_between(
    connection: Connection, *, since: datetime | None, until: datetime | None
) -> list[tuple[str, bytes]]:
    """The files, each with its digest, in which records of this time are that were archived, in their order."""
    links = links_received(connection, since=since, until=until)
    return connection.execute(QUERIES["archive_files_with"], links).fetchall()


def due_months(connection: Connection, *, before: datetime) -> list[DueMonth]:
    """The months that ended before then and are in the database, in their order.

    A month whose records came before its partitions did stays in the database; they are in later months' files, too.
    """
    rows = connection.execute(QUERIES["months_to_archive"], {"before": before}).fetchall()
    return [DueMonth(month=month, last_sequence_number=last) for month, last in rows]


def archive_lines(connection: Connection, *, former: ArchivedMonth | None, last: int, now: datetime) -> Iterator[Line]:
    """The lines of the file that follows `former` and ends with this link."""
    first = 1 if former is None else former.last_sequence_number + 1
    yield Manifest(
        exported_at=timestamp(now),
        first_sequence_number=first,
        last_sequence_number=last,
        former_chain_hash=(CHAIN_START if first == 1 else _hash_at(connection, first - 1)).hex(),
        last_chain_hash=_hash_at(connection, last).hex(),
        former_file=None if former is None else former.digest.hex(),
    )
    for part in parts_between(connection, first, last):
        yield line_of_link(part) if isinstance(part, Link) else line_of_seal(part)


def _hash_at(connection: Connection, sequence_number: int) -> bytes:
    row = connection.execute(QUERIES["hash_at_link"], {"sequence_number": sequence_number}).fetchone()
    assert row is not None, "a link that was found a moment ago"
    return bytes(row[0])


def drop_month(connection: Connection, archived: ArchivedMonth, record: AuditRecord, *, now: datetime) -> None:
    """Nothing; the month counts as archived, the journal says so, and its records are in its file only."""
    parameters = {
        "month": archived.month,
        "file_name": archived.file_name,
        "first": archived.first_sequence_number,
        "last": archived.last_sequence_number,
        "digest": archived.digest,
        "archived_at": now,
    }
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")  # each record of the month is looked for
        connection.execute(QUERIES["write_archive"], parameters)
        write_records(connection, [(now, record)])
        connection.execute(QUERIES["drop_audit_month"], {"month": archived.month})


def note_expired(connection: Connection, file_name: str, record: AuditRecord, *, now: datetime) -> None:
    """Nothing; the file counts as deleted, and the journal says so."""
    with connection.transaction():
        connection.execute(QUERIES["write_expired"], {"file_name": file_name, "expired_at": now})
        write_records(connection, [(now, record)])
