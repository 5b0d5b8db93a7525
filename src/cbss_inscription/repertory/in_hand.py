"""Files and lines that were fetched for many requests together, and what these change of them (docs/batch.md).

The rules are those of `EmbeddedRepertory`, which works on this as it works on the stores: only that a request waits for
nobody, and sees what the former ones did. What is done here is the change itself, in memory, as the statement
`change_line_set` does it in the database; a property compares the two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import RepertoryUnavailable
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.line_set import (
    AnsweredBefore,
    Change,
    Changed,
    DoneChange,
    LinesAsked,
    Moved,
    TicketClaim,
)
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.spans import EVER, FOREVER, Span, Spans, joined, meets, period_of, span_of, without
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.declarations import read_answer, write_answer

_AT_ALL: Span = (EVER, FOREVER)
# Members that are looked at for each line: of an enumeration they are found ten times as slowly.
_UPDATE: Final = Operation.UPDATE_INSCRIPTION
_DELETE: Final = Operation.DELETE_INSCRIPTION


class FilesInHand:
    """The chains of files of some numbers, as a register said them; or that it did not answer."""

    def __init__(self, chains: Mapping[Ssin, tuple[Person, ...] | RepertoryUnavailable]) -> None:
        self._chains = chains

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`. Raises `RepertoryUnavailable` for a number that was not asked about."""
        del hops_max  # they were asked for with the same
        chain = self._chains.get(ssin)
        if chain is None:
            raise RepertoryUnavailable("not-in-hand")
        if isinstance(chain, RepertoryUnavailable):
            raise chain
        return chain


class LineSet(msgspec.Struct, frozen=True):
    """The lines of one (ssin, customer, context), and when each came to be as it is."""

    spans: Spans
    last_changes: tuple[datetime, ...]


NO_LINES = LineSet((), ())


class SpanChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a `Change` changes, in spans."""

    operation: Operation
    removed: Span | None
    added: Span | None
    line_count_max: int


@dataclass(slots=True, kw_only=True)
class LinesInHand:
    """A `LineStore` of what was fetched: of one customer all lines of some persons, of others what they let it see.

    What it did, and is to be written, is in `is_new`, `history` and `remembered`.
    """

    customer: CustomerIdentification
    changed_at: datetime
    """The time of everything that is done here: later than all that was done to these persons before."""
    own: dict[int, dict[str, LineSet]]
    """By number and context."""
    others: Mapping[int, Mapping[tuple[str, str], LineSet]]
    """Of other organisations, by number, and context and customer."""
    answered: Mapping[str, tuple[bytes, bytes]]
    """What was answered under tickets before: content and answer."""
    moved: Mapping[Ssin, Ssin]
    """Which numbers took over the lines of others."""
    left: frozenset[Ssin] = frozenset()
    """Former numbers whose lines could not follow."""
    is_new: dict[tuple[int, str], bool] = field(default_factory=dict)
    """The sets that changed, by number and context, and whether there was none before."""
    history: list[DoneChange] = field(default_factory=list)
    remembered: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """What is answered under tickets from now on."""

    async def lines(self, asked: LinesAsked) -> tuple[Inscription, ...] | Moved:
        """See `LineStore.lines`."""
        moved = self.moved.get(asked.ssin)
        if moved is not None:
            return Moved(continued_by=moved)
        key, found = self.customer.key, sorted(self._asked(asked))
        return tuple(
            [
                Inscription(
                    inscription_context=InscriptionContext(context),
                    period=period_of((begin, end)),
                    organization=self.customer if customer == key else CustomerIdentification.of_key(customer),
                    last_change=last_change,
                )
                for context, begin, customer, end, last_change in found[: asked.limit]
            ]
        )

    def _asked(self, asked: LinesAsked) -> Iterator[tuple[str, int, str, int, datetime]]:
        """The lines asked for, in no order."""
        within = _AT_ALL if asked.overlapping is None else span_of(asked.overlapping)
        after = asked.after
        place = (
            None
            if after is None
            else (str(after.inscription_context), after.begin_date.toordinal(), after.organization.key)
        )
        for context, customer, lines in self._visible(asked):
            for (begin, end), last_change in zip(lines.spans, lines.last_changes, strict=True):
                if begin < within[1] and within[0] < end and (place is None or (context, begin, customer) > place):
                    yield context, begin, customer, end, last_change

    def _visible(self, asked: LinesAsked) -> Iterator[tuple[str, str, LineSet]]:
        number, key = asked.ssin.number, self.customer.key
        for context, lines in self.own.get(number, {}).items():
            if context in asked.inscription_contexts:
                yield context, key, lines
        if asked.others is None:
            return
        organizations = asked.others.organizations
        keys = None if organizations is None else {item.key for item in organizations}
        for (context, customer), lines in self.others.get(number, {}).items():
            if context in asked.others.inscription_contexts and (keys is None or customer in keys):
                yield context, customer, lines

    async def change(self, change: Change) -> Changed | AnsweredBefore | Moved:
        """See `LineStore.change`; nobody else can come in between, for the persons are locked."""
        key, claim = change.key, change.claim
        if claim is not None:
            before = self._answered_before(claim.ticket, key.inscription_context)
            if before is not None:
                return before
        moved = self.moved.get(key.ssin)
        if moved is not None:
            return Moved(continued_by=moved)
        return self.do(
            SpanChange(
                operation=change.operation,
                removed=None if change.removed is None else span_of(change.removed),
                added=None if change.added is None else span_of(change.added),
                line_count_max=change.line_count_max,
            ),
            key.ssin.number,
            key.inscription_context,
            ticket_cbss=change.exchange.ticket_cbss,
            customer_ticket=change.customer_ticket,
            claim=claim,
        )

    def do(
        self,
        change: SpanChange,
        number: int,
        context: InscriptionContext,
        *,
        ticket_cbss: UUID,
        customer_ticket: str | None,
        claim: TicketClaim | None,
    ) -> Changed:
        """What a change did to the lines of a number that did not move, in a context; its ticket is a new one."""
        sets, name = self.own.setdefault(number, {}), str(context)
        former = sets.get(name)
        changed, lines = changed_by(change, former or NO_LINES, context, self.changed_at)
        if claim is not None and changed.found and changed.fits:
            self.remembered[claim.ticket] = (claim.content, write_answer(claim, changed))
        if changed.changed:
            self.is_new.setdefault((number, name), former is None)
            self.history.append(
                DoneChange(
                    ssin=number,
                    inscription_context=name,
                    operation=change.operation,
                    before=(former or NO_LINES).spans,
                    after=lines.spans,
                    ticket_cbss=ticket_cbss,
                    customer_ticket=customer_ticket,
                )
            )
            sets[name] = lines
        return changed

    async def answered_before(
        self, customer: CustomerIdentification, ticket: str, context: InscriptionContext
    ) -> AnsweredBefore | None:
        """See `LineStore.answered_before`."""
        del customer  # there is one
        return self._answered_before(ticket, context)

    def _answered_before(self, ticket: str, context: InscriptionContext) -> AnsweredBefore | None:
        known = self.remembered.get(ticket) or self.answered.get(ticket)
        return None if known is None else read_answer(*known, context=context)

    def is_known(self, ticket: str | None) -> bool:
        """Whether something was answered under this ticket."""
        return ticket in self.remembered or ticket in self.answered

    async def left_behind(self, ssins: Collection[Ssin]) -> frozenset[Ssin]:
        """See `LineStore.left_behind`."""
        return self.left.intersection(ssins)

    async def look(self) -> None:
        """Nothing: what is in hand answers."""


class SettledBefore:
    """`Successions` of what is in hand: whatever could follow was made to follow when the files were fetched."""

    async def settle(self, ssin: Ssin, *, operator: str) -> bool:
        """False: it is asked of numbers whose lines are still left behind."""
        del ssin, operator
        return False


def changed_by(
    change: SpanChange, former: LineSet, context: InscriptionContext, changed_at: datetime
) -> tuple[Changed, LineSet]:
    """What a change does to a line set, and the set as it is then: (lines - removed) + added.

    An update must name one line exactly, a deletion must meet a line, and the lines may not be too many then, unless
    they were already: otherwise the set stays as it is.
    """
    spans, removed, added = former.spans, change.removed, change.added
    left = spans if removed is None else without(spans, removed)
    after = left if added is None else joined(left, added)
    if change.operation is _UPDATE:
        found = removed in spans
    elif change.operation is _DELETE:
        found = removed is not None and meets(spans, removed)
    else:
        found = True
    fits = len(after) <= max(change.line_count_max, len(spans))
    lines = former
    if found and fits and after != spans:
        lines = LineSet(after, _last_changes(former, after, changed_at))
    changed = Changed(
        found=found,
        fits=fits,
        changed=lines is not former,
        merged=len(after) <= len(left),
        lines=tuple(
            [
                Inscription(inscription_context=context, period=period_of(span), last_change=time)
                for span, time in zip(lines.spans, lines.last_changes, strict=True)
            ]
        ),
    )
    return changed, lines


def _last_changes(former: LineSet, after: Spans, changed_at: datetime) -> tuple[datetime, ...]:
    """When each span came to be as it is: as before where the same one stood there, else now."""
    if not former.spans:
        return (changed_at,) * len(after)
    times = dict(zip(former.spans, former.last_changes, strict=True))
    return tuple([times.get(span, changed_at) for span in after])
