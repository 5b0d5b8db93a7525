"""The lines of one (ssin, customer, context) as one value, and what changes it (rules 25, 31 to 36)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

import msgspec

from cbss_inscription.domain.concealed import Concealed
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.spans import Spans
from cbss_inscription.domain.ssin import Ssin


class LineKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key of a line set (rule 25)."""

    ssin: Ssin
    customer: CustomerIdentification
    inscription_context: InscriptionContext


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a line set: take `removed` out (without ends: everything), then put `added` in."""

    key: LineKey
    operation: Operation
    removed: GivenPeriod | None
    added: Period | None
    line_count_max: int
    """Lines that the set may have afterwards."""
    legal_context: LegalContext
    customer_ticket: str | None
    exchange: Exchange
    claim: TicketClaim | None = None
    """None: the declaration has no ticket and is remembered by nothing."""


class TicketClaim(Concealed, frozen=True, kw_only=True):
    """That a declaration is to be done once for its ticket, within the transaction of its change (rule 38)."""

    ticket: str
    """As the customer sent it, whole: at most `TICKET_LENGTH_MAX` characters."""
    content: bytes
    """Digest of all that the declaration says beside its ticket and its time."""
    told: bytes
    """What the answer says beside the lines, as JSON: kept as it is, to be read by who wrote it."""


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What a change did, and the lines as they are now.

    `found`: it met what it named. `fits`: the lines are not too many then. Without both, nothing was written.
    `changed`: something differs now. `merged`: what it added met other lines, by overlap or adjacency, and is no line
    of its own or swallowed some; says nothing when nothing was added.
    """

    found: bool
    fits: bool
    changed: bool
    merged: bool
    lines: tuple[Inscription, ...]


class DoneChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change that was done: a row of the history."""

    ssin: int
    inscription_context: str
    operation: str
    before: Spans
    after: Spans
    ticket_cbss: UUID
    customer_ticket: str | None


class AnsweredBefore(Concealed, frozen=True, kw_only=True):
    """A declaration that was done under the same customer and ticket; nothing was done for this one (rule 38).

    `changed` and `told` are what was known then; both are None when the record of the answer cannot be read.
    """

    content: bytes
    changed: Changed | None
    told: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The lines of the number asked went to another one meanwhile; nothing was done or read (rule 19)."""

    continued_by: Ssin


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Which lines of other organisations are asked for: of these contexts and organisations (None: of all)."""

    inscription_contexts: frozenset[InscriptionContext]
    organizations: tuple[CustomerIdentification, ...] | None


class LinesAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are wanted: a customer's own of some contexts, and those of others where it may see them (rule 30).

    Only lines that overlap the period (None: all), after where the page begins, and at most `limit`.
    """

    ssin: Ssin
    customer: CustomerIdentification
    inscription_contexts: frozenset[InscriptionContext]
    others: Others | None = None
    overlapping: GivenPeriod | None = None
    after: PageStart | None = None
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStart:
    """Where a page of lines begins: after the line of this context, begin date and organisation."""

    inscription_context: InscriptionContext
    begin_date: date
    organization: CustomerIdentification
