"""Incomplete dates and periods: rules 24, 26 and 27 of the rulebook."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.period import GivenPeriod, IncompleteDate, InvalidDate, InvalidPeriod, Period

DAY_ONE = date(2024, 1, 1)
days = st.integers(0, 12).map(lambda offset: DAY_ONE + timedelta(days=offset))
"""Days that lie close together, so that periods touch, overlap and contain each other."""


@st.composite
def periods(draw: st.DrawFn) -> Period:
    begin = draw(days)
    end = draw(st.one_of(st.none(), days.filter(lambda day: day >= begin)))
    return Period(begin_date=begin, end_date=end)


def days_of(period: Period) -> set[date]:
    """The days of a period, as far as the days of these tests and one beyond go; that one stands for "for ever"."""
    beyond = DAY_ONE + timedelta(days=13)
    last = period.end_date or beyond
    return {DAY_ONE + timedelta(days=n) for n in range(14) if period.begin_date <= DAY_ONE + timedelta(days=n) <= last}


@given(st.dates(min_value=date(1800, 1, 1), max_value=date(2999, 12, 31)))
def test_rule_24_a_complete_date_reads_and_writes_as_on_the_wire(day: date) -> None:
    """A complete date is itself, in both directions (rule 24)."""
    read = IncompleteDate.parse(day.isoformat())
    assert read == IncompleteDate.of_date(day)
    assert str(read) == day.isoformat()
    assert read.is_complete


@pytest.mark.parametrize("text", ["1985-07-00", "1985-00-00", "2000-00-00", "0999-12-00"])
def test_rule_24_month_and_day_may_be_unknown(text: str) -> None:
    """yyyy-mm-00 and yyyy-00-00 are dates, and not complete (rule 24)."""
    read = IncompleteDate.parse(text)
    assert str(read) == text
    assert not read.is_complete


@pytest.mark.parametrize(
    "text",
    [
        "1985-00-30",
        "1985-02-29",
        "1985-02-30",
        "1985-04-31",
        "1985-13-01",
        "1985-13-00",
        "1985-19-39",
        "0000-01-01",
        "0000-00-00",
        "3000-01-01",
        "85-07-30",
        "1985-7-30",
        "1985-07-30Z",
        "1985-07-30T00:00:00",
        "19850730",
        "30-07-1985",
        "١٩٨٥-٠٧-٣٠",
        "-985-07-30",
        "",
    ],
)
def test_rule_24_everything_else_is_refused(text: str) -> None:
    """A day without its month, a day that no calendar has, and any other spelling are refused (rule 24)."""
    with pytest.raises(InvalidDate):
        IncompleteDate.parse(text)


def test_rule_24_blanks_around_a_date_are_collapsed() -> None:
    """Blanks around a date do not matter: the schema's type collapses them (CommonV3 IncompleteDateType)."""
    assert IncompleteDate.parse("\n 1985-07-30\t") == IncompleteDate(1985, 7, 30)


@pytest.mark.parametrize("parts", [(1985, 0, 30), (1985, 2, 30), (1985, 13, 0), (0, 0, 0), (1985, 7, -1)])
def test_rule_24_no_road_leads_to_an_impossible_date(parts: tuple[int, int, int]) -> None:
    """A date that cannot be is refused by the value itself, not by its reader alone (rule 24)."""
    with pytest.raises(InvalidDate):
        IncompleteDate(*parts)


@given(st.text(max_size=12))
def test_rule_24_no_text_makes_the_reader_stumble(text: str) -> None:
    """Any text is a date or refused (rule 24)."""
    try:
        read = IncompleteDate.parse(text)
    except InvalidDate:
        return
    assert str(read) == text.strip()


def test_rule_26_a_period_without_end_is_open() -> None:
    """The begin is mandatory and the end is not: without it the period is open (rule 26)."""
    assert Period.of(GivenPeriod(begin_date=DAY_ONE)) == Period(begin_date=DAY_ONE, end_date=None)
    with pytest.raises(InvalidPeriod):
        Period.of(GivenPeriod(begin_date=None))
    with pytest.raises(InvalidPeriod):
        Period.of(GivenPeriod(begin_date=None, end_date=DAY_ONE))


@given(days, st.one_of(st.none(), days))
def test_rule_27_a_period_does_not_end_before_it_begins(begin: date, end: date | None) -> None:
    """A given period is reversed exactly when it can be no period (rule 27)."""
    given_period = GivenPeriod(begin_date=begin, end_date=end)
    if given_period.is_reversed:
        with pytest.raises(InvalidPeriod):
            Period.of(given_period)
        with pytest.raises(InvalidPeriod):
            Period(begin_date=begin, end_date=end)
    else:
        assert Period.of(given_period) == Period(begin_date=begin, end_date=end)


def test_rule_27_both_ends_belong_to_the_period() -> None:
    """A period may begin and end on one day, for both ends are inclusive (rule 27)."""
    one_day = Period(begin_date=DAY_ONE, end_date=DAY_ONE)
    assert days_of(one_day) == {DAY_ONE}


@pytest.mark.parametrize("given_period", [GivenPeriod(begin_date=None), GivenPeriod(begin_date=None, end_date=DAY_ONE)])
def test_a_given_period_without_begin_is_not_reversed(given_period: GivenPeriod) -> None:
    """Deleting may leave the begin away; such a period is not reversed (rule 34)."""
    assert not given_period.is_reversed
