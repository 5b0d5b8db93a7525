"""Archive files of the audit journal: written, verified and signed before a month leaves the database (SEC-75).

They are searched with what is online, and deleted when their time is over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Final

import psycopg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from cbss_inscription.app.private_file import PrivateFile
from cbss_inscription.app.settings import Archive, Settings, read_file, write_privately
from cbss_inscription.app.start_checks import check_key_file
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.audit_export import LINE_BYTES_MAX, records_of_export, verify_export, write_line
from cbss_inscription.governance.journal import AuditKeys, AuditRecord, person_hashes
from cbss_inscription.governance.timestamps import TimestampTrust
from cbss_inscription.governance.verification import FindingKind, JournalVerifier
from cbss_inscription.storage.archive import (
    ArchivedMonth,
    DueMonth,
    archive_files_between,
    archive_lines,
    archived_months,
    drop_month,
    due_months,
    note_expired,
)
from cbss_inscription.storage.database import bounded
from cbss_inscription.storage.holds import Hold, active_holds, is_held
from cbss_inscription.storage.journal_reading import Criteria, one_moment_of, search_records

_SIGNED: Final = b"cbss-inscription audit archive\x00"
"""What a signature is over, before the digest of the file."""
_READ_BYTES: Final = 1_048_576
KEPT_YEARS: Final = 10
"""How long records are kept (SEC-75)."""


def new_archive_key() -> bytes:
    """A new key that archive files are signed by, in PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_archive_key(path: Path) -> Ed25519PrivateKey:
    """The key in the file. Raises `UsageError`: it is open to others, or no Ed25519 key."""
    check_key_file(path)
    try:
        key = load_pem_private_key(read_file(path), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: not a key of `cbss-inscription audit make-archive-key`")
    return key


def first_online(now: datetime, online_months: int) -> datetime:
    """The moment from which on records stay online: the beginning, in UTC, of the month so many months ago."""
    years, month = divmod(now.year * 12 + now.month - 1 - online_months, 12)
    return datetime(years, month + 1, 1, tzinfo=UTC)


def archive_due_months(
    settings: Settings,
    archive: Archive,
    record_of: Callable[[date, int, str], AuditRecord],
    *,
    keys: AuditKeys,
    trust: TimestampTrust | None,
    now: datetime,
) -> Iterator[ArchivedMonth]:
    """Each month as it has left the database; the earliest first, for files follow each other.

    `record_of` gives the record of a month's leaving. A month with a record under a hold stays. Raises `UsageError`
    when a month cannot leave yet, or its file does not verify: then it stays, and all after it.
    """
    key = read_archive_key(Path(archive.key))
    Path(archive.directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        with one_moment_of(settings.database) as connection:
            former, held = archived_months(connection), active_holds(connection)
            due = next(
                (
                    one
                    for one in due_months(connection, before=first_online(now, archive.online_months))
                    if not is_held(connection, held, keys, since=_begin_of(one.month), until=_end_of(one.month))
                ),
                None,
            )
            if due is None:
                return
            archived, record_count = _write(connection, archive, due, former, key=key, trust=trust, now=now)
        record = record_of(archived.month, record_count, archived.digest.hex())
        with psycopg.connect(bounded(settings.database), autocommit=True) as writing:
            drop_month(writing, archived, record, now=now)
        yield archived


def _write(
    connection: psycopg.Connection[tuple[object, ...]],
    archive: Archive,
    due: DueMonth,
    former: list[ArchivedMonth],
    *,
    key: Ed25519PrivateKey,
    trust: TimestampTrust | None,
    now: datetime,
) -> tuple[ArchivedMonth, int]:
    """The month with its file, which is there, verified and signed, and how many records that has."""
    if due.last_sequence_number is None:
        raise UsageError(f"the month {due.month:%Y-%m} stays: its records are not all sealed")
    before = former[-1] if former else None
    if before is not None and due.last_sequence_number <= before.last_sequence_number:
        covering = next(one for one in former if due.last_sequence_number <= one.last_sequence_number)
        return replace(covering, month=due.month), 0
    path = Path(archive.directory) / f"audit-{due.month:%Y-%m}.jsonl"
    with PrivateFile(path) as written:
        for line in archive_lines(connection, former=before, last=due.last_sequence_number, now=now):
            written.write(write_line(line))
    with path.open("rb") as opened:
        lines = iter(lambda: opened.readline(LINE_BYTES_MAX + 1), b"")
        verifier = verify_export(lines, trust=trust, origin=str(path))
    if verifier.finding_count:
        first = verifier.findings[0]
        path.unlink()
        raise UsageError(f"the month {due.month:%Y-%m} stays, for it does not verify: {first.kind}, {first.place}")
    write_privately(_signature_of(path), key.sign(_SIGNED + written.digest))
    return (
        ArchivedMonth(
            month=due.month,
            file_name=path.name,
            first_sequence_number=verifier.first_sequence_number,
            last_sequence_number=due.last_sequence_number,
            digest=written.digest,
        ),
        written.record_count,
    )


def _signature_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")


def _begin_of(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def _end_of(month: date) -> datetime:
    years, following = divmod(month.month, 12)
    return datetime(month.year + years, following + 1, 1, tzinfo=UTC)


def expire_files(
    settings: Settings,
    archive: Archive,
    record_of: Callable[[str, str], AuditRecord],
    *,
    keys: AuditKeys,
    now: datetime,
) -> Iterator[str]:
    """Each archive file that is deleted now: its months ended `KEPT_YEARS` ago, and no record in it is under a hold.

    `record_of` gives the record of a file's deletion, from its name and digest. Raises `UsageError` for a file that
    cannot be read: it stays.
    """
    with one_moment_of(settings.database) as connection:
        held = active_holds(connection)
        files: dict[str, list[ArchivedMonth]] = {}
        for month in archived_months(connection):
            files.setdefault(month.file_name, []).append(month)
    for name, months in files.items():
        ends = max(_end_of(month.month) for month in months)
        path = Path(archive.directory) / name
        if months[0].is_expired or ends.replace(year=ends.year + KEPT_YEARS) > now:
            continue
        if path.exists() and _is_held_file(path, held, keys):
            continue
        with psycopg.connect(bounded(settings.database), autocommit=True) as connection:
            note_expired(connection, name, record_of(name, months[0].digest.hex()), now=now)
        path.unlink(missing_ok=True)
        _signature_of(path).unlink(missing_ok=True)
        yield name


def _is_held_file(path: Path, held: list[Hold], keys: AuditKeys) -> bool:
    if not held:
        return False
    for record in _records_of(path):
        received_at, hashes = datetime.fromisoformat(record.timestamp_receive), list(person_hashes(record))
        if any(hold.covers(received_at, hashes, keys) for hold in held):
            return True
    return False


def _records_of(path: Path) -> Iterator[AuditRecord]:
    with path.open("rb") as opened:
        lines = iter(lambda: opened.readline(LINE_BYTES_MAX + 1), b"")
        yield from records_of_export(lines, origin=str(path))


def search_with_archives(
    settings: Settings, archive: Archive, criteria: Criteria, *, record_count_max: int
) -> list[AuditRecord]:
    """The records that fit, in the database and in archive files of their time, oldest first, at most so many.

    Each file is held against its digest before it is read. Raises `UsageError` for one that is not there, or another.
    """
    with one_moment_of(settings.database) as connection:
        online = search_records(connection, criteria, record_count_max=record_count_max)
        files = archive_files_between(connection, since=criteria.since, until=criteria.until)
    archived = islice(_archived_records(Path(archive.directory), files, criteria), record_count_max)
    # A month that stays in the database may be in a later one's file, too.
    found = {record.ticket_cbss: record for record in (*archived, *online)}
    return sorted(found.values(), key=attrgetter("timestamp_receive", "ticket_cbss"))[:record_count_max]


def _archived_records(directory: Path, files: Iterable[tuple[str, bytes]], criteria: Criteria) -> Iterator[AuditRecord]:
    for name, digest in files:
        path = directory / name
        try:
            is_ours = _digest_of(path) == digest
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        if not is_ours:
            raise UsageError(f"{path} is not the file that was written: `audit verify` names it")
        yield from filter(criteria.fit, _records_of(path))


def check_archives(
    archives: Iterable[ArchivedMonth], directory: Path, public_key: Ed25519PublicKey, verifier: JournalVerifier
) -> None:
    """Nothing; each file was held against the digest that the database has of it, and against its signature."""
    for archived in archives:
        if archived.is_expired:
            continue
        path, place = directory / archived.file_name, f"archive {archived.file_name}"
        try:
            digest = _digest_of(path)
            public_key.verify(_signature_of(path).read_bytes(), _SIGNED + archived.digest)
        except FileNotFoundError as error:
            verifier.find(FindingKind.MISSING_ARCHIVE, place, Path(error.filename).name)
        except InvalidSignature:
            verifier.find(FindingKind.CHANGED_ARCHIVE, place, "signature")
        else:
            if digest != archived.digest:
                verifier.find(FindingKind.CHANGED_ARCHIVE, place)


def _digest_of(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while part := opened.read(_READ_BYTES):
            digest.update(part)
    return digest.digest()
