"""The SSIN against a foreign peer, python-stdnum (`stdnum.be.nn`, `stdnum.be.bis`).

The two agree except in these points, each tested below:

* rule 1: stdnum strips separators and blanks before it looks; on the wire we refuse them;
* rule 4: stdnum tries the branch of births from 2000 on only up to the current year; our verdict has no date in it;
* rule 7: stdnum lets sequence 000 pass in the NR series; the schema of CommonV3 refuses it;
* rule 8: stdnum lets days 32 to 99 pass as "day unknown"; the schema of CommonV3 refuses them.
"""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.be import bis, nn

from cbss_inscription.domain.ssin import InvalidSsin, Series, Ssin, check_digits


@st.composite
def numbers_like_an_ssin(draw: st.DrawFn) -> str:
    """Eleven digits; most months are plausible and most checks right, for else nearly all would be refused alike."""
    year = draw(st.integers(0, 99))
    month = draw(st.one_of(st.sampled_from([*range(13), *range(20, 33), *range(40, 53)]), st.integers(0, 99)))
    day = draw(st.one_of(st.integers(0, 31), st.integers(0, 99)))
    sequence = draw(st.one_of(st.sampled_from([0, 1, 999]), st.integers(0, 999)))
    first_nine = f"{year:02d}{month:02d}{day:02d}{sequence:03d}"
    right = st.sampled_from([1900, 2000]).map(lambda century: check_digits(first_nine, century=century))
    return first_nine + draw(st.one_of(right, right, st.integers(0, 99).map("{:02d}".format)))


def century_of(ssin: Ssin) -> int:
    """The century of the check-digit branch that a number keeps: at most one fits (domain.md 1.1)."""
    (century,) = (c for c in (1900, 2000) if check_digits(ssin.digits[:9], century=c) == ssin.digits[9:])
    return century


def our_verdict(text: str) -> Ssin | None:
    try:
        return Ssin.parse(text)
    except InvalidSsin:
        return None


@given(numbers_like_an_ssin())
def test_we_accept_what_stdnum_accepts_but_for_the_listed_differences(text: str) -> None:
    """Both give the same verdict on every number that none of the listed differences touches."""
    ours = our_verdict(text)
    theirs = nn.is_valid(text) or bis.is_valid(text)
    if int(text[4:6]) > 31:
        assert ours is None, "rule 8"
    elif text[6:9] == "000" and int(text[2:4]) <= 12:
        assert ours is None, "rule 7"
    elif ours is not None and century_of(ours) == 2000 and 2000 + int(text[:2]) > date.today().year:
        assert not theirs, "rule 4"
    else:
        assert (ours is not None) == theirs


@given(numbers_like_an_ssin())
def test_we_tell_nr_from_bis_as_stdnum_does(text: str) -> None:
    """A number that both accept is NR for both or BIS for both, with the sex known for both or for neither."""
    ours = our_verdict(text)
    if ours is not None and nn.is_valid(text):
        assert ours.series is Series.NR
    if ours is not None and bis.is_valid(text):
        assert ours.series is (Series.BIS_SEX_UNKNOWN if bis.get_gender(text) is None else Series.BIS_SEX_KNOWN)


@given(numbers_like_an_ssin())
def test_we_find_the_century_that_stdnum_finds(text: str) -> None:
    """Where stdnum derives a birth year, it lies in the century of our check-digit branch."""
    ours = our_verdict(text)
    if ours is not None and (nn.is_valid(text) or bis.is_valid(text)):
        year = nn.get_birth_year(text)
        assert year is None or year - year % 100 == century_of(ours)


@given(numbers_like_an_ssin())
def test_we_present_numbers_as_stdnum_does(text: str) -> None:
    """The presentation for people is the same as stdnum's."""
    ours = our_verdict(text)
    assert ours is None or ours.formatted == nn.format(text)


def test_rule_1_difference_separators() -> None:
    """stdnum accepts separators anywhere; we accept them from people only."""
    assert nn.is_valid("85.07.30-033.28")
    assert our_verdict("85.07.30-033.28") is None
    assert Ssin.parse_human("85.07.30-033.28").digits == nn.compact("85.07.30-033.28")


def test_rule_4_difference_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """stdnum's verdict on a number of 2017 changes with its calendar; ours does not."""

    class NewYearsEve2016(date):
        @classmethod
        def today(cls) -> Self:
            return cls(2016, 12, 31)

    assert nn.is_valid("17073003384")
    monkeypatch.setattr(nn, "datetime", SimpleNamespace(date=NewYearsEve2016))
    assert not nn.is_valid("17073003384")
    assert our_verdict("17073003384") is not None


def test_rule_7_difference_sequence_000() -> None:
    """stdnum accepts sequence 000 in the NR series; we refuse it, and accept it in BIS as stdnum does."""
    nr, bis_number = (
        "850730000" + check_digits("850730000", century=1900),
        "854730000" + check_digits("854730000", century=1900),
    )
    assert nn.is_valid(nr)
    assert our_verdict(nr) is None
    assert bis.is_valid(bis_number)
    assert our_verdict(bis_number) is not None


@pytest.mark.parametrize("text", ["85073500107", "85473500193", "85273500150"])
def test_rule_8_difference_day_beyond_31(text: str) -> None:
    """stdnum accepts its own example numbers with day 35; we refuse them."""
    assert nn.is_valid(text) or bis.is_valid(text)
    assert our_verdict(text) is None
