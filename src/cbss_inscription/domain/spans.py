"""Sets of days as spans that are disjoint and never adjacent: what a `datemultirange` is in the database (rule 32).

A span is a pair of ordinals, as `date.toordinal` gives them: its first day, and the day after its last. So the day that
follows the calendar's last is one, too, as it is in the database.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final

from cbss_inscription.domain.period import GivenPeriod, Period

EVER: Final = 0
"""Before every day: where a span begins that has no begin."""
FOREVER: Final = 1_000_000_000
"""After every day: where an open span ends."""
PERIODS_KEPT: Final = 4_096
"""Periods that are made once for many spans: most begin and end with a month."""

Span = tuple[int, int]
Spans = tuple[Span, ...]


def span_of(period: GivenPeriod | Period) -> Span:
    """The days of a period that is not reversed."""
    begin, end = period.begin_date, period.end_date
    return (EVER if begin is None else begin.toordinal(), FOREVER if end is None else end.toordinal() + 1)


@lru_cache(maxsize=PERIODS_KEPT)
def period_of(span: Span) -> Period:
    """The period of a span that begins."""
    begin, end = span
    return Period(begin_date=date.fromordinal(begin), end_date=None if end == FOREVER else date.fromordinal(end - 1))


def meets(spans: Spans, other: Span) -> bool:
    """Whether some day is in both."""
    begin, end = other
    return any(span[0] < end and begin < span[1] for span in spans)


def without(spans: Spans, removed: Span) -> Spans:
    """The days that are not in `removed`."""
    begin, end = removed
    left: list[Span] = []
    for span in spans:
        if span[1] <= begin or end <= span[0]:
            left.append(span)
            continue
        if span[0] < begin:
            left.append((span[0], begin))
        if end < span[1]:
            left.append((end, span[1]))
    return tuple(left)


def joined(spans: Spans, added: Span) -> Spans:
    """The days of both; what overlaps or is adjacent is one span then."""
    if not spans:
        return (added,)
    begin, end = added
    before: list[Span] = []
    after: list[Span] = []
    for span in spans:
        if span[1] < begin:
            before.append(span)
        elif end < span[0]:
            after.append(span)
        else:
            begin, end = min(begin, span[0]), max(end, span[1])
    return (*before, (begin, end), *after)
