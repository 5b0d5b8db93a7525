"""A `LineStore` and a `PersonRegister` that keep everything in memory: the repertory without any database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.line_set import AnsweredBefore, Change, Changed, LineKey, LinesAsked, Moved
from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.person_search import PhoneticCriteria
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.ssin import Ssin

EVER = date.max.toordinal() + 1
"""The last day of a line without end: after all days that have a date."""
Span = tuple[int, int]


def span_of(period: Period | GivenPeriod) -> Span:
    """First and last day, as numbers."""
    begin, end = period.begin_date, period.end_date
    return (1 if begin is None else begin.toordinal()), (EVER if end is None else end.toordinal())


@dataclass
class MemoryRegister:
    """A `PersonRegister` of these files alone."""

    files: dict[Ssin, Person]

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`."""
        chain: list[Person] = []
        number: Ssin | None = ssin
        while number in self.files and self.files[number] not in chain and len(chain) < hops_max + 2:
            chain.append(self.files[number])
            number = chain[-1].replaced_by
        return tuple(chain)

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        """Nobody."""
        return ()


@dataclass
class MemoryLines:
    """A `LineStore` of spans of days."""

    sets: dict[LineKey, dict[Span, datetime]] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    answered: dict[tuple[str, str], AnsweredBefore] = field(default_factory=dict)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def count(self, table: str) -> int:
        """How many rows the table of that name would have."""
        kept: dict[str, int] = {
            "inscription": sum(map(bool, self.sets.values())),
            "inscription_history": len(self.history),
            "answered_declaration": len(self.answered),
        }
        return kept[table]

    async def lines(self, asked: LinesAsked) -> tuple[Inscription, ...] | Moved:
        """See `LineStore.lines`."""
        found = [
            line
            for key, spans in self.sets.items()
            if key.ssin == asked.ssin and _is_asked(asked, key)
            for line in _told(key, spans)
            if asked.overlapping is None or _meet(span_of(line.period), span_of(asked.overlapping))
        ]
        found.sort(key=_place)
        if asked.after is not None:
            after = (asked.after.inscription_context, asked.after.begin_date, asked.after.organization.key)
            found = [line for line in found if _place(line) > after]
        return tuple(found[: asked.limit])

    async def change(self, change: Change) -> Changed | AnsweredBefore | Moved:
        """See `LineStore.change`."""
        key, claim = change.key, change.claim
        if claim is not None and (key.customer.key, claim.ticket) in self.answered:
            return self.answered[key.customer.key, claim.ticket]
        before = self.sets.get(key, {})
        rest: set[Span] = set(before)
        found = True
        if change.removed is not None:
            removed = span_of(change.removed)
            if change.operation is Operation.UPDATE_INSCRIPTION:
                found = removed in before
            else:
                found = any(_meet(span, removed) for span in before)
            rest = {piece for span in before for piece in _less(span, removed)}
        after, merged = rest, False
        if change.added is not None:
            added = span_of(change.added)
            met = {span for span in rest if _meet((span[0] - 1, span[1] + 1), added)}
            after = rest - met | {(min(begin for begin, _ in met | {added}), max(end for _, end in met | {added}))}
            merged = bool(met)
        fits = len(after) <= max(change.line_count_max, len(before))
        if not found or not fits:
            return Changed(found=found, fits=fits, changed=False, merged=False, lines=_own(key, before))
        now = self.now()
        new = {span: before.get(span, now) for span in sorted(after)}
        if set(new) != set(before):
            self.sets[key] = new
            self.history.append(change)
        changed = Changed(found=True, fits=True, changed=set(new) != set(before), merged=merged, lines=_own(key, new))
        if claim is not None:
            self.answered[key.customer.key, claim.ticket] = AnsweredBefore(
                content=claim.content, changed=changed, told=claim.told
            )
        return changed

    async def answered_before(
        self, customer: CustomerIdentification, ticket: str, context: InscriptionContext
    ) -> AnsweredBefore | None:
        """See `LineStore.answered_before`."""
        return self.answered.get((customer.key, ticket))

    async def left_behind(self, ssins: Collection[Ssin]) -> frozenset[Ssin]:
        """See `LineStore.left_behind`."""
        return frozenset(key.ssin for key, spans in self.sets.items() if spans and key.ssin in ssins)

    async def look(self) -> None:
        """See `LineStore.look`."""


def _is_asked(asked: LinesAsked, key: LineKey) -> bool:
    if key.customer == asked.customer:
        return key.inscription_context in asked.inscription_contexts
    others = asked.others
    return (
        others is not None
        and key.inscription_context in others.inscription_contexts
        and (others.organizations is None or key.customer in others.organizations)
    )


def _told(key: LineKey, spans: dict[Span, datetime]) -> Iterable[Inscription]:
    for (begin, end), last_change in spans.items():
        yield Inscription(
            inscription_context=key.inscription_context,
            period=Period(begin_date=date.fromordinal(begin), end_date=None if end == EVER else date.fromordinal(end)),
            organization=key.customer,
            last_change=last_change,
        )


def _own(key: LineKey, spans: dict[Span, datetime]) -> tuple[Inscription, ...]:
    return tuple(
        Inscription(inscription_context=line.inscription_context, period=line.period, last_change=line.last_change)
        for line in sorted(_told(key, spans), key=_place)
    )


def _place(line: Inscription) -> tuple[str, date, str]:
    assert line.organization is not None
    return line.inscription_context, line.period.begin_date, line.organization.key


def _meet(one: Span, other: Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _less(span: Span, removed: Span) -> Iterable[Span]:
    if not _meet(span, removed):
        yield span
        return
    if span[0] < removed[0]:
        yield span[0], removed[0] - 1
    if removed[1] < span[1]:
        yield removed[1] + 1, span[1]
