"""What was known of a person on a date, and every change of a line (rules 19, 20 and 35).

The history says what a line set was before and after each change. When each line came to be as it was follows from
replaying the changes in their order: a line has the time of the change that brought it. Lines that a replacement moved
keep the time that they had under their former number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import CbssInscriptionError
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.period import Period
from cbss_inscription.domain.ssin import Ssin

CHANGES_MAX: Final = 1_000
"""Changes in one page."""
CHANGES_REPLAYED_MAX: Final = 100_000
"""Changes that are replayed to answer what was known of one person."""
ARRIVALS_MAX: Final = 1_000
"""Former numbers of one number that are named."""
DISCREPANCIES_MAX: Final = 1_000
"""Discrepancies that one verification names; it stops there."""
REPLACE_SSIN: Final = "replaceSsin"
"""The operation in the history of lines that moved to the number which replaces theirs (rule 19)."""


class HistoryRefused(CbssInscriptionError):
    """The history cannot answer; the text is one sentence without any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """That the lines of `ssin` went to another number, and the ticket under which both histories say so."""

    ssin: Ssin
    replaced_by: Ssin
    ticket_cbss: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """That the lines of a former number, `ssin`, came to the number asked, when (UTC), and under which ticket."""

    ssin: Ssin = field(repr=False)
    arrived_at: datetime
    ticket_cbss: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSetChange:
    """One change of the lines of a (ssin, customer, context): what it was, when, under which ticket, by whom.

    `operation` is an operation's name, or the word of what no declaration asked for: then legal context and caller are
    None. `change_number` orders all changes; the changes of one person have rising numbers, with gaps.
    """

    change_number: int
    ssin: Ssin = field(repr=False)
    customer: CustomerIdentification
    inscription_context: InscriptionContext
    operation: str
    before: tuple[Period, ...]
    after: tuple[Period, ...]
    changed_at: datetime
    """UTC, in milliseconds."""
    ticket_cbss: UUID
    customer_ticket: str | None = None
    legal_context: str | None = None
    application_urn: str | None = None
    cbe_number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLines:
    """What was known at the end of the moment `as_of`, under the number that was current then.

    `replaces` is the number asked when another continued it by then. The lines name their organisations, in the order
    of organisation, context and begin.
    """

    as_of: datetime
    current: Ssin = field(repr=False)
    replaces: Ssin | None = field(default=None, repr=False)
    lines: tuple[Inscription, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesPage:
    """Changes under exactly the number asked, newest last; `more` follow after the last one's `change_number`.

    `replaced_by` is the number to which the lines went, and under which the story goes on; `arrivals` are those whose
    lines came here, the first first, where the story begins.
    """

    changes: tuple[LineSetChange, ...] = ()
    more: bool = False
    replaced_by: Ssin | None = field(default=None, repr=False)
    arrivals: tuple[Arrival, ...] = ()

    def other_number(self, change: LineSetChange) -> Ssin | None:
        """The number that the lines of a replacement came from; else the one they went to; None for other changes."""
        if change.operation != REPLACE_SSIN:
            return None
        for arrival in self.arrivals:
            if arrival.ticket_cbss == change.ticket_cbss:
                return arrival.ssin
        return self.replaced_by


class DiscrepancyKind(StrEnum):
    """How history and state can contradict each other."""

    GAP = "gap"
    """A change begins with other lines than the former change left."""
    STATE = "state"
    """The lines as they are now are not those that the last change left, or no change brought them."""
    LAST_CHANGE = "lastChange"
    """A line's last change is not the time of the change that brought the line."""
    STRANDED = "stranded"
    """Lines stand under a number whose lines went to another number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """One contradiction, at which line set; of a GAP also the change that begins with other lines."""

    kind: DiscrepancyKind
    ssin: Ssin = field(repr=False)
    customer: str
    inscription_context: str
    change_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a verification found; not `complete` when it stopped at `DISCREPANCIES_MAX`."""

    discrepancies: tuple[Discrepancy, ...] = ()
    complete: bool = True


_Key = tuple[Ssin, CustomerIdentification, InscriptionContext]
_Times = dict[Period, datetime]


class Replay:
    """Changes of lines, replayed in the order of their numbers.

    To be given every change, up to some moment, of a number and of all numbers that were replaced by it until then.
    """

    def __init__(self, replacements: Iterable[Replacement] = ()) -> None:
        self._lines: dict[_Key, _Times] = {}
        self._left: dict[tuple[_Key, UUID], _Times] = {}
        self._successors: dict[tuple[Ssin, UUID], Ssin] = {}
        self._sources: dict[tuple[Ssin, UUID], list[Ssin]] = {}
        for replacement in replacements:
            self._successors[replacement.ssin, replacement.ticket_cbss] = replacement.replaced_by
            self._sources.setdefault((replacement.replaced_by, replacement.ticket_cbss), []).append(replacement.ssin)

    def apply(self, change: LineSetChange) -> None:
        """Nothing; the lines are as the change left them."""
        key = (change.ssin, change.customer, change.inscription_context)
        former = self._lines.get(key, {})
        if change.operation == REPLACE_SSIN:
            former = self._with_moved(key, former, change.ticket_cbss)
        self._lines[key] = {period: former.get(period, change.changed_at) for period in change.after}

    def lines(self, ssin: Ssin) -> tuple[Inscription, ...]:
        """The lines of a number as they are now, by organisation, context and begin."""
        lines = (
            Inscription(inscription_context=context, period=period, organization=customer, last_change=last_change)
            for (number, customer, context), times in self._lines.items()
            if number == ssin
            for period, last_change in times.items()
        )
        return tuple(sorted(lines, key=_place))

    def _with_moved(self, key: _Key, former: _Times, ticket: UUID) -> _Times:
        """The times of a line set and of what moves in; which of the two histories speaks first does not matter."""
        ssin, customer, context = key
        successor = self._successors.get((ssin, ticket))
        if successor is not None:
            self._left[key, ticket] = former
            # A line that both had keeps the later time, also when that is all that the move changes there.
            there = self._lines.get((successor, customer, context), {})
            there.update({period: max(time, former[period]) for period, time in there.items() if period in former})
        merged = dict(former)
        for source in self._sources.get((ssin, ticket), ()):
            source_key = (source, customer, context)
            moved = self._left.get((source_key, ticket), self._lines.get(source_key, {}))
            for period, time in moved.items():
                merged[period] = max(time, merged.get(period, time))
        return merged


def _place(line: Inscription) -> tuple[str, str, str]:
    organization = line.organization.key if line.organization else ""
    return organization, line.inscription_context, line.period.begin_date.isoformat()
