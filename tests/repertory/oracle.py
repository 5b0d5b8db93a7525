"""The rules as plain sets of days and plain dictionaries: what the repertory and its registers must answer.

Nothing here knows a database, a message or a period; it is what the implementation is compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

# The calendar: days 0 to 11 have a date; the element EVER stands for all days after them, today being one.
FIRST, DAYS_MAX = date(2024, 2, 25), 12
EVER = DAYS_MAX

Days = frozenset[int]
Line = tuple[date, date | None]
Span = tuple[int | None, int | None]
"""First and last day as a caller gives them; None: no such end."""
SetKey = tuple[int, str, str]
"""The index of a number, a customer and a context."""


def day(index: int) -> date:
    return FIRST + timedelta(days=index)


def index_of(moment: date) -> int:
    return (moment - FIRST).days


def days_of(span: Span) -> Days:
    first, last = span
    return frozenset(range(0 if first is None else first, (EVER if last is None else last) + 1))


def days_of_line(line: Line) -> Days:
    return days_of((index_of(line[0]), None if line[1] is None else index_of(line[1])))


def lines_of(days: Days) -> list[Line]:
    """The maximal runs of consecutive days: what the lines of a set of days must be (rule 32)."""
    begins = sorted(index for index in days if index - 1 not in days)
    ends = sorted(index for index in days if index + 1 not in days)
    return [(day(begin), None if end == EVER else day(end)) for begin, end in zip(begins, ends, strict=True)]


def line_of(span: Span) -> Line:
    first, last = span
    assert first is not None
    return day(first), None if last is None else day(last)


def touches(days: Days, added: Days) -> bool:
    """Whether a day of `days` is one of `added`, or the day before or after it (rule 32)."""
    return any({index - 1, index, index + 1} & days for index in added)


@dataclass(frozen=True)
class Expected:
    """What the rules say of a change of lines: the code, the anomalies about lines, and the days afterwards."""

    code: str
    anomalies: tuple[str, ...]
    after: Days


def is_reversed(span: Span | None) -> bool:
    return span is not None and span[0] is not None and span[1] is not None and span[1] < span[0]


def expected_of(before: Days, removed: Span | None, added: Span | None, *, exactly: bool) -> Expected:
    """The rules: 27 (reversed), 31 (identical), 32 (merged), 34 (cut out), E17 (not found)."""
    if is_reversed(removed) or is_reversed(added):
        return Expected("MSG00008", (), before)
    rest = before
    if removed is not None:
        found = line_of(removed) in lines_of(before) if exactly else bool(before & days_of(removed))
        if not found:
            return Expected("CBI00403", (), before)
        rest = before - days_of(removed)
    if added is None:
        return Expected("MSG00000", (), rest)
    after = rest | days_of(added)
    if line_of(added) in lines_of(before) and after == before:
        return Expected("MSG00000", ("CBI00401",), after)
    return Expected("MSG00000", ("CBI00402",) if touches(rest, days_of(added)) else (), after)


@dataclass(eq=False)
class Stamp:
    """When a line came to be as it is: known once it was told, and the same ever after."""

    order: int
    at: datetime | None = None


@dataclass(frozen=True)
class LineSet:
    """The lines of one number, customer and context."""

    days: Days = frozenset()
    stamps: dict[Line, Stamp] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """A number's file, as far as an answer depends on it."""

    is_bis: bool
    register: str
    status: str = "active"
    replaced_by: int | None = None
    last_name: str = "Peeters"
    deceased: str | None = None


@dataclass(frozen=True)
class Declaration:
    """A declaration but for its ticket: what is taken out, and what is put in."""

    operation: str
    asked: int
    customer: str
    context: str
    removed: Span | None
    added: Span | None


@dataclass(frozen=True)
class Outcome:
    """What is answered to a declaration; `lines` is None where the answer has none."""

    code: str
    current: int | None = None
    canceled: bool = False
    anomalies: tuple[str, ...] = ()
    lines: dict[Line, Stamp] | None = None

    @property
    def is_done(self) -> bool:
        return self.code == "MSG00000"


@dataclass(frozen=True)
class Told:
    """A mutation."""

    event: str
    ssin: int
    current: int
    contexts: tuple[str, ...]


@dataclass(frozen=True)
class Moment:
    """All that was known when a moment passed."""

    at: datetime
    sets: dict[SetKey, LineSet]
    moved: dict[int, int]


class Oracle:
    """The files, lines, mutations and memory of tickets of a few numbers, by their indexes."""

    def __init__(self, files: Iterable[File], *, hops_max: int) -> None:
        self.files = list(files)
        self.hops_max = hops_max
        self.sets: dict[SetKey, LineSet] = {}
        self.moved: dict[int, int] = {}
        self.feeds: dict[str, list[Told]] = {}
        self.answered: dict[tuple[str, str], tuple[Declaration, Outcome]] = {}
        self.events: dict[int, list[str]] = {index: [] for index in range(len(self.files))}
        self.moments: list[Moment] = []
        self._order = 0

    # -- numbers

    def end_of(self, index: int) -> int:
        """Where the chain of replacements ends: no chain here is a loop, for none can be made (rule 16)."""
        while (successor := self.files[index].replaced_by) is not None:
            index = successor
        return index

    def hops_from(self, index: int) -> int:
        successor = self.files[index].replaced_by
        return 0 if successor is None else 1 + self.hops_from(successor)

    def hops_to(self, index: int) -> int:
        former = [number for number, file in enumerate(self.files) if file.replaced_by == index]
        return max((1 + self.hops_to(number) for number in former), default=0)

    def any_canceled(self) -> bool:
        return any(file.status == "canceled" for file in self.files)

    def has_days(self, index: int, customer: str, context: str) -> bool:
        return bool(self.sets.get((index, customer, context), LineSet()).days)

    def holds(self, index: int) -> bool:
        return any(set_.days for (number, _, _), set_ in self.sets.items() if number == index)

    # -- declarations

    def declare(self, asked: Declaration, ticket: str | None) -> Outcome:
        """What is answered, and what is known afterwards."""
        key = (asked.customer, ticket or "")
        if ticket is not None and key in self.answered:
            content, first = self.answered[key]
            if content != asked:
                return Outcome("CBI00405")
            return replace(first, anomalies=(*first.anomalies, "CBI00404"))
        outcome = self._done(asked)
        if ticket is not None and outcome.is_done:
            self.answered[key] = asked, outcome
        return outcome

    def _done(self, asked: Declaration) -> Outcome:
        current = self.end_of(asked.asked)
        file = self.files[current]
        if file.status != "active":
            return Outcome("CBI00101", current, canceled=True)
        where = (current, asked.customer, asked.context)
        before = self.sets.get(where, LineSet())
        exactly = asked.operation == "updateInscription"
        expected = expected_of(before.days, asked.removed, asked.added, exactly=exactly)
        if expected.code == "MSG00008":
            return Outcome(expected.code, current)
        if expected.code != "MSG00000":
            return Outcome(expected.code, current, lines=before.stamps)
        warned = ("CBI00102",) if current != asked.asked else ()
        warned += ("MSG00009",) if file.deceased else ()
        after = self._changed(before, expected.after)
        self.sets[where] = after
        return Outcome(expected.code, current, anomalies=warned + expected.anomalies, lines=after.stamps)

    def _changed(self, before: LineSet, after: Days, other: LineSet | None = None) -> LineSet:
        """Lines that stood so before keep their stamp, the later one of two; new ones share one."""
        self._order += 1
        fresh = Stamp(self._order)
        stamps = {}
        for line in lines_of(after):
            former = [set_.stamps[line] for set_ in (before, other or LineSet()) if line in set_.stamps]
            stamps[line] = max(former, key=lambda stamp: stamp.order, default=fresh)
        return LineSet(after, stamps)

    # -- what is known

    def known(
        self, index: int, customer: str, contexts: Iterable[str], asked: Days
    ) -> Iterator[tuple[str, Line, Stamp]]:
        """The lines of a number, in the order of contexts and begins, that have a day of those asked."""
        for context in sorted(contexts):
            stamps = self.sets.get((index, customer, context), LineSet()).stamps
            yield from ((context, line, stamp) for line, stamp in stamps.items() if days_of_line(line) & asked)

    def pass_moment(self, at: datetime) -> None:
        self.moments.append(Moment(at, dict(self.sets), dict(self.moved)))

    def known_as_of(self, moment: Moment, index: int) -> tuple[int, list[tuple[str, str, Line, Stamp]]]:
        """The number that was current, and every line of everybody under it."""
        while index in moment.moved:
            index = moment.moved[index]
        return index, [
            (customer, context, line, stamp)
            for (number, customer, context), set_ in sorted(moment.sets.items(), key=lambda item: item[0])
            if number == index
            for line, stamp in set_.stamps.items()
        ]

    # -- the life of numbers: each gives the reason of its refusal, or None when it happened

    def replace(self, index: int, successor: int) -> str | None:
        file, end = self.files[index], self.end_of(successor)
        if file.status != "active":
            return "not-active"
        if end == index:
            return "loop"
        if self.files[end].status != "active":
            return "successor-not-active"
        if self.hops_to(index) + 1 + self.hops_from(successor) > self.hops_max:
            return "too-long"
        self.files[index] = replace(file, status="replaced", replaced_by=successor)
        self.moved[index] = end
        self._tell("replaced", index, end, days=frozenset(range(EVER + 1)))
        for (number, customer, context), former in list(self.sets.items()):
            if number == index and former.days:
                present = self.sets.get((end, customer, context), LineSet())
                self.sets[end, customer, context] = self._changed(present, present.days | former.days, former)
                self.sets[index, customer, context] = LineSet()
        return None

    def cancel(self, index: int) -> str | None:
        if self.files[index].status == "canceled":
            return "nothing-changes"
        return self._change("canceled", index, status="canceled")

    def rad_in(self, index: int) -> str | None:
        file = self.files[index]
        if file.is_bis:
            return "other-register"
        if file.status != "active":
            return "not-active"
        return "nothing-changes" if file.register == "rad" else self._change("radIn", index, register="rad")

    def rad_out(self, index: int) -> str | None:
        file = self.files[index]
        if file.is_bis:
            return "other-register"
        return self._change("radOut", index, register="nr")

    def decease(self, index: int, day_of_decease: str) -> str | None:
        return self._change("deceased", index, deceased=day_of_decease)

    def correct(self, index: int, last_name: str) -> str | None:
        return self._change("corrected", index, last_name=last_name)

    def _change(self, event: str, index: int, **changes: str) -> str | None:
        former = self.files[index]
        changed = replace(former, **changes)  # type: ignore[arg-type]  # every field that is changed is a text
        if former.status != "active":
            return "not-active"
        if changed == former:
            return "nothing-changes"
        self.files[index] = changed
        self._tell(event, index, index, days=frozenset({EVER}))
        return None

    def _tell(self, event: str, index: int, current: int, *, days: Days) -> None:
        self.events[index].append(event)
        contexts: dict[str, list[str]] = {}
        for (number, customer, context), set_ in self.sets.items():
            if number == index and set_.days & days:
                contexts.setdefault(customer, []).append(context)
        for customer, known_in in contexts.items():
            self.feeds.setdefault(customer, []).append(Told(event, index, current, tuple(sorted(known_in))))
