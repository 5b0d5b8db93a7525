"""What a person is told: who knows them, who consulted or changed that, when and why (rule 53; KSZFAQ).

The report holds nothing of anybody else: of a record that names several persons, only that it names this one; no text
that a caller wrote freely (its ticket, a context that nobody granted), which may hold another's number; and it names no
operator.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import msgspec

from cbss_inscription.domain.inscription import Inscription
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode, Severity
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.journal import AuditedPerson, AuditKeys, AuditRecord

RECORDS_MAX: Final = 10_000
"""Records, lines and mutations, of each so many, that a report holds: a citizen reads it, and memory has an end."""
REASON_CHARACTERS_MAX: Final = 500
"""Characters of the reason why something is not disclosed."""
_UNANSWERED: Final = "UNANSWERED"
_OTHER: Final = "other"


class NotDisclosed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a report leaves out, by permission or inscription context, and on which ground. Raises ValueError.

    An investigation that the law keeps from the person concerned, for one. No report tells that it left anything out.
    """

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_CHARACTERS_MAX)]
    permissions: frozenset[str] = frozenset()
    inscription_contexts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.permissions and not self.inscription_contexts:
            raise ValueError("not_disclosed names no permission and no inscription context")


class Deed(StrEnum):
    """What was done about the person: the operation, or a look of the register's own operators."""

    CONSULTED = Operation.CONSULT_INSCRIPTIONS.value
    ADDED = Operation.INSERT_INSCRIPTION.value
    CHANGED = Operation.UPDATE_INSCRIPTION.value
    REMOVED = Operation.DELETE_INSCRIPTION.value
    FILE_READ = Operation.SEARCH_PERSON_BY_SSIN.value
    FOUND_BY_NAME = Operation.SEARCH_PERSON_PHONETICALLY.value
    REPORTED = "auditPersonReport"
    JOURNAL_READ = "auditJournal"
    """Any other look into the journal."""
    OTHER = _OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldMutation:
    """An event in the life of the person's number that was put into an organisation's feed."""

    customer: str
    event: LifeEvent
    inscription_contexts: tuple[str, ...]
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonFacts:
    """What the database holds about a person, under every number, at one moment; newest records first."""

    current: Ssin
    formers: tuple[Ssin, ...]
    lines: tuple[Inscription, ...]
    records: tuple[AuditRecord, ...]
    mutations: tuple[ToldMutation, ...]
    archived_until: date | None
    """Records before this day may be in archive files, and not here; None: all there are are in the database."""
    truncated: bool
    """There is more than `RECORDS_MAX` of something."""

    @property
    def numbers(self) -> tuple[Ssin, ...]:
        """Every number of the person, the current one first."""
        return (self.current, *self.formers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A call or a look that was about the person; what its caller was not granted is left out."""

    moment: datetime
    deed: Deed
    application_urn: str | None
    cbe_number: str | None
    """Of the organisation whose certificate the application has."""
    by_the_register: bool
    """A look of the register's own operators, and no call."""
    customer: str | None
    legal_context: str | None
    inscription_contexts: tuple[str, ...]
    code: OutcomeCode | None
    refused: bool
    ticket_cbss: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureReport:
    """All that is told. `withheld` is for the record of the report and for nobody who reads it."""

    current: Ssin
    formers: tuple[Ssin, ...]
    lines: tuple[Inscription, ...]
    contacts: tuple[Contact, ...]
    mutations: tuple[ToldMutation, ...]
    archived_until: date | None
    truncated: bool
    unverified: int
    """Records that are found by this person's hash and do not prove to be about them: left out."""
    withheld: int


def report_of(facts: PersonFacts, keys: AuditKeys, not_disclosed: Collection[NotDisclosed]) -> DisclosureReport:
    """The report of these facts. Every record's sealed number is opened: only what is about this person is told."""
    numbers = {ssin.digits for ssin in facts.numbers}
    hashes = {one.hex() for digits in numbers for one in keys.hashes(digits)}
    permissions = frozenset[str]().union(*(item.permissions for item in not_disclosed))
    contexts = frozenset[str]().union(*(item.inscription_contexts for item in not_disclosed))
    proven = [record for record in facts.records if _is_about(record, numbers, hashes, keys)]
    told = [record for record in proven if not _is_withheld(record, permissions, contexts)]
    lines = tuple(line for line in facts.lines if line.inscription_context not in contexts)
    mutations = tuple(
        replace(item, inscription_contexts=shown)
        for item in facts.mutations
        if (shown := tuple(context for context in item.inscription_contexts if context not in contexts))
    )
    return DisclosureReport(
        current=facts.current,
        formers=facts.formers,
        lines=lines,
        contacts=tuple(map(_contact, told)),
        mutations=mutations,
        archived_until=facts.archived_until,
        truncated=facts.truncated,
        unverified=len(facts.records) - len(proven),
        withheld=len(proven) - len(told) + len(facts.lines) - len(lines) + len(facts.mutations) - len(mutations),
    )


def _is_about(record: AuditRecord, numbers: Collection[str], hashes: Collection[str], keys: AuditKeys) -> bool:
    ticket = UUID(record.ticket_cbss)
    return any(person.hash in hashes and _opened(person, ticket, keys) in numbers for person in record.persons)


def _opened(person: AuditedPerson, ticket: UUID, keys: AuditKeys) -> str | None:
    try:
        return keys.open(person, ticket)
    except ValueError:
        return None


def _is_withheld(record: AuditRecord, permissions: Collection[str], contexts: Collection[str]) -> bool:
    permission = record.decision.permission if record.decision else None
    return permission in permissions or any(context in contexts for context in record.inscription_contexts)


def _contact(record: AuditRecord) -> Contact:
    code = _code_of(record)
    # What no permission granted is the caller's own text; a change whose reply was lost was granted before it was made.
    granted = record.outcome.value == _UNANSWERED or (
        record.decision is not None and record.decision.permission is not None
    )
    contexts_granted = granted and code is not OutcomeCode.INSCRIPTION_CONTEXT_NOT_GRANTED
    return Contact(
        moment=datetime.fromisoformat(record.timestamp_receive),
        deed=_deed(record),
        application_urn=record.application_urn,
        cbe_number=record.cbe_number,
        by_the_register=record.look is not None,
        customer=record.customer if granted else None,
        legal_context=record.legal_context if granted else None,
        inscription_contexts=record.inscription_contexts if contexts_granted else (),
        code=code,
        refused=code is not None and CATALOGUE[code].severity is Severity.FATAL,
        ticket_cbss=record.ticket_cbss,
    )


def _deed(record: AuditRecord) -> Deed:
    try:
        return Deed(record.operation or _OTHER)
    except ValueError:
        return Deed.OTHER if record.look is None else Deed.JOURNAL_READ


def _code_of(record: AuditRecord) -> OutcomeCode | None:
    try:
        return OutcomeCode(record.outcome.code or "")
    except ValueError:
        return None
