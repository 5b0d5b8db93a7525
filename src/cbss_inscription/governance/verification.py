"""Whether the audit journal is what it was: every change, removal, insertion and exchange, named with its place.

A verifier reads links, their records and the seals in the order of the chain, from the database or from an exported
file, and needs neither the service nor its word (SEC-72). What it finds are values; it goes on to the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from cbss_inscription.domain.period import timestamp
from cbss_inscription.governance.chain import MerkleTree, SealStatement, chain_hash, read_statement
from cbss_inscription.governance.journal import AuditKeys, AuditRecord, read_record, record_hash
from cbss_inscription.governance.timestamps import TimestampTrust, TokenRefused

FINDINGS_MAX: Final = 1_000
"""Findings that are kept; all are counted."""
CLOCK_TOLERANCE: Final = timedelta(minutes=20)
"""How far times of neighbours may be in disorder: a record may be chained a quarter of an hour late."""


class FindingKind(StrEnum):
    """What can be wrong with a journal."""

    CHANGED_RECORD = "changed record"
    """Its text is not the one that was chained."""
    MISSING_RECORD = "missing record"
    """Chained, and not there any more."""
    UNCHAINED_RECORD = "unchained record"
    """There, and never chained though its turn is past: it was put in later."""
    REPEATED_RECORD = "repeated record"
    """There more than once, or chained more than once."""
    MISPLACED_RECORD = "misplaced record"
    """Found under another ticket or time than its own."""
    UNREADABLE_RECORD = "unreadable record"
    """Chained, and no record."""
    EXCHANGED_NUMBER = "exchanged number"
    """A person's number that does not open under its ticket, or is found by another's hash."""
    WRONG_INDEX = "wrong index"
    """A search does not find it, or finds it for somebody else."""
    MISSING_LINK = "missing link"
    """A sequence number that is not there."""
    BROKEN_LINK = "broken link"
    """Its hash does not follow from the former one's: removed, put in, or exchanged before it."""
    BROKEN_SEAL = "broken seal"
    """The links under a seal are not those that were sealed."""
    MISSING_SEAL = "missing seal"
    """Links between two seals that neither covers."""
    TRUNCATED = "truncated"
    """The end is missing: a seal, the state of the chain or the manifest knows more."""
    REFUSED_STAMP = "refused time stamp"
    """The time stamp is not one of the authority's over this statement."""
    MISSING_STAMP = "missing time stamp"
    """A seal without a time stamp, where there is an authority."""
    MISSING_ARCHIVE = "missing archive"
    """A month is archived, and its file is not there."""
    CHANGED_ARCHIVE = "changed archive"
    """An archive file is not the one that was written, or not signed by our key."""
    CLOCK_WENT_BACK = "clock went back"
    """Times that do not follow each other, or contradict the authority's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong, and where: "link 17", "seal 1-20"."""

    kind: FindingKind
    place: str
    detail: str = ""
    """A ticket or a reason; never a number or a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link of the chain, with its record's text; of a link in the database, where that record was found."""

    sequence_number: int
    record_hash: bytes
    chain_hash: bytes
    content: str | None
    ticket_cbss: UUID | None = None
    received_at: datetime | None = None
    is_archived: bool = False
    """Whether its record may be in an archive file instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A seal as it is kept: the text of its statement, and the authority's response."""

    statement: str
    token: bytes | None
    place: str = "seal"


@dataclass(slots=True, kw_only=True)
class JournalVerifier:
    """Reads the journal once, from `first_sequence_number` on, whose former link had the hash `chain_hash`."""

    chain_hash: bytes
    first_sequence_number: int = 1
    trust: TimestampTrust | None = None
    """Without it tokens are not looked at."""
    keys: AuditKeys | None = None
    """Without them numbers are not opened."""
    findings: list[Finding] = field(default_factory=list)
    finding_count: int = 0
    record_count: int = 0
    archived_count: int = 0
    """Links whose records are in archive files, of which the chain alone was verified here."""
    seal_count: int = 0
    stamp_count: int = 0
    sealed_through: int = 0
    """The last link under a seal."""
    _number: int = 0
    _tree: MerkleTree = field(default_factory=MerkleTree)
    _replied: datetime | None = None
    _sealed_at: datetime | None = None
    _stamped_at: datetime | None = None

    def __post_init__(self) -> None:
        self._number = self.sealed_through = self.first_sequence_number - 1

    @property
    def unsealed_count(self) -> int:
        """Links that no seal covers yet."""
        return len(self._tree)

    def find(self, kind: FindingKind, place: str, detail: str = "") -> None:
        """Nothing; one more thing is wrong."""
        self.finding_count += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(kind=kind, place=place, detail=detail))

    def read_link(self, link: Link) -> None:
        """Nothing; the next link was looked at, with its record."""
        number, place = link.sequence_number, f"link {link.sequence_number}"
        if number == self._number and self.record_count > 0:
            self.find(FindingKind.REPEATED_RECORD, place, str(link.ticket_cbss or ""))
        else:
            self._follow(link, place)
        if link.content is None and link.is_archived:
            self.archived_count += 1
            return
        if link.content is None:
            self.find(FindingKind.MISSING_RECORD, place, str(link.ticket_cbss))
            return
        if record_hash(link.content.encode("utf-8")) != link.record_hash:
            self.find(FindingKind.CHANGED_RECORD, place, str(link.ticket_cbss or ""))
        self._read_record(link, place)

    def _follow(self, link: Link, place: str) -> None:
        number = link.sequence_number
        if number != self._number + 1:
            self.find(FindingKind.MISSING_LINK, _range("link", self._number + 1, number - 1))
        elif chain_hash(self.chain_hash, number, link.record_hash) != link.chain_hash:
            self.find(FindingKind.BROKEN_LINK, place)
        # From here on what this link says is held against the next: one break is named once.
        self._number, self.chain_hash = number, link.chain_hash
        self._tree.append(link.record_hash)
        self.record_count += 1

    def _read_record(self, link: Link, place: str) -> None:
        assert link.content is not None
        try:
            record = read_record(link.content.encode("utf-8"))
            received, replied = _moment(record.timestamp_receive), _moment(record.timestamp_reply)
            ticket = UUID(record.ticket_cbss)
        except ValueError:
            self.find(FindingKind.UNREADABLE_RECORD, place, str(link.ticket_cbss or ""))
            return
        if link.ticket_cbss is not None and link.received_at is not None:
            found_as = (str(link.ticket_cbss), timestamp(link.received_at))
            if found_as != (record.ticket_cbss, record.timestamp_receive):
                self.find(FindingKind.MISPLACED_RECORD, place, record.ticket_cbss)
        if replied < received or (self._replied is not None and replied < self._replied - CLOCK_TOLERANCE):
            self.find(FindingKind.CLOCK_WENT_BACK, place, record.ticket_cbss)
        self._replied = replied if self._replied is None else max(self._replied, replied)
        self._open(record, ticket, place)

    def _open(self, record: AuditRecord, ticket: UUID, place: str) -> None:
        for person in record.persons if self.keys is not None else ():
            assert self.keys is not None
            try:
                self.keys.open(person, ticket)
            except ValueError:
                self.find(FindingKind.EXCHANGED_NUMBER, place, record.ticket_cbss)

    def read_seal(self, seal: Seal) -> None:
        """Nothing; the seal was held against the links before it. It comes after its last link, if that is there."""
        read = self._read_statement(seal)
        if read is None:
            return
        statement, sealed_at = read
        first, last = statement.first_sequence_number, statement.last_sequence_number
        place = _range("seal", first, last)
        self.seal_count += 1
        if first > self.sealed_through + 1:
            self.find(FindingKind.MISSING_SEAL, _range("link", self.sealed_through + 1, first - 1))
        if not self._covers(statement):
            self.find(FindingKind.BROKEN_SEAL, place)
        self._tree = MerkleTree()
        self.sealed_through = max(self.sealed_through, last)
        self._read_times(seal, sealed_at, place)

    def read_former_seal(self, seal: Seal | None) -> None:
        """Nothing; the seal before the first link was looked at, by which that is known to follow what was there."""
        former = self.first_sequence_number - 1
        if seal is None:
            self.find(FindingKind.MISSING_SEAL, _range("link", former, former))
            return
        read = self._read_statement(seal)
        if read is None:
            return
        statement, sealed_at = read
        place = _range("seal", statement.first_sequence_number, statement.last_sequence_number)
        self.seal_count += 1
        if (statement.last_sequence_number, statement.chain_hash) != (former, self.chain_hash.hex()):
            self.find(FindingKind.BROKEN_SEAL, place)
        self._read_times(seal, sealed_at, place)

    def _read_statement(self, seal: Seal) -> tuple[SealStatement, datetime] | None:
        """What a seal says, and when it was made; None for one that cannot be read, which is named."""
        try:
            statement = read_statement(seal.statement)
            return statement, _moment(statement.sealed_at)
        except ValueError:
            self.find(FindingKind.BROKEN_SEAL, seal.place, "unreadable")
            return None

    def _covers(self, statement: SealStatement) -> bool:
        return (
            statement.last_sequence_number == self._number
            and statement.last_sequence_number - statement.first_sequence_number + 1 == len(self._tree)
            and statement.chain_hash == self.chain_hash.hex()
            and statement.merkle_root == self._tree.root.hex()
        )

    def _read_times(self, seal: Seal, sealed_at: datetime, place: str) -> None:
        backwards = self._sealed_at is not None and sealed_at < self._sealed_at
        # A record is sealed after its reply; a clock that was set back would say otherwise.
        backwards |= self._replied is not None and self._replied > sealed_at + CLOCK_TOLERANCE
        self._sealed_at = sealed_at
        if self.trust is not None and seal.token is None:
            self.find(FindingKind.MISSING_STAMP, place)
        elif self.trust is not None and seal.token is not None:
            try:
                stamped_at = self.trust.check(seal.token, seal.statement)
            except TokenRefused as refused:
                self.find(FindingKind.REFUSED_STAMP, place, refused.reason)
            else:
                self.stamp_count += 1
                backwards |= self._stamped_at is not None and stamped_at < self._stamped_at
                backwards |= abs(stamped_at - sealed_at) > CLOCK_TOLERANCE
                self._stamped_at = stamped_at
        if backwards:
            self.find(FindingKind.CLOCK_WENT_BACK, place)

    def end(self, last_sequence_number: int, last_chain_hash: bytes, *, said_by: str) -> None:
        """Nothing; the end was held against the seals, and against what `said_by` knows of it."""
        known = max(self.sealed_through, last_sequence_number)
        if known > self._number:
            self.find(FindingKind.TRUNCATED, _range("link", self._number + 1, known), said_by)
        elif (last_sequence_number, last_chain_hash) != (self._number, self.chain_hash):
            self.find(FindingKind.BROKEN_LINK, f"link {self._number}", said_by)


def _moment(text: str) -> datetime:
    """The moment that one of our own time stamps says. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    if not MINYEAR < moment.year < MAXYEAR:
        raise ValueError("no time of ours")  # nor one that can be reckoned with
    return moment.astimezone(UTC)


def _range(what: str, first: int, last: int) -> str:
    return f"{what} {first}" if first >= last else f"{what} {first}-{last}"
