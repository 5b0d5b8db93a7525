"""Sets of days as spans, against sets of days (rules 32 to 34)."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.spans import FOREVER, Spans, joined, meets, period_of, span_of, without

DAYS = 12
"""Days that are looked at; the last stands for all that follow."""
ends = st.integers(1, DAYS)
some = st.tuples(ends, ends).map(sorted).filter(lambda pair: pair[0] < pair[1]).map(tuple)
spans = some | ends.map(lambda begin: (begin, FOREVER)) | ends.map(lambda end: (0, end))


def days_of(all_spans: Spans) -> set[int]:
    return {day for begin, end in all_spans for day in range(begin, min(end, DAYS + 1))}


def is_well_formed(all_spans: Spans) -> bool:
    """Disjoint, never adjacent, in order (rule 32)."""
    return all(begin < end for begin, end in all_spans) and all(
        former[1] < latter[0] for former, latter in itertools.pairwise(all_spans)
    )


@given(changes=st.lists(st.tuples(st.booleans(), spans), max_size=12))
def test_rule_32_spans_are_the_days_that_were_added_and_not_removed(
    changes: list[tuple[bool, tuple[int, int]]],
) -> None:
    """After any changes the spans have exactly the days, are disjoint and never adjacent (rules 32, 34)."""
    held: Spans = ()
    days: set[int] = set()
    for adds, span in changes:
        assert meets(held, span) is bool(days & days_of((span,)))
        held = joined(held, span) if adds else without(held, span)
        days = days | days_of((span,)) if adds else days - days_of((span,))
        assert days_of(held) == days
        assert is_well_formed(held)


@given(begin=st.dates(), length=st.none() | st.integers(0, 1_000))
def test_rule_27_a_period_and_its_span_are_the_same(begin: date, length: int | None) -> None:
    """Both ends of a period are inclusive, without end it is open, and the calendar's last day is a day (rule 27)."""
    end = None if length is None else begin + min(timedelta(length), date.max - begin)
    period = Period(begin_date=begin, end_date=end)
    assert period_of(span_of(period)) == period
    if end is not None:
        first, after = span_of(period)
        assert after - first == (end - begin).days + 1
    assert span_of(GivenPeriod(begin_date=None, end_date=date.max)) == (0, date.max.toordinal() + 1)
