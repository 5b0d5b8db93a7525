"""The SSIN: rules 1 to 10 of the rulebook (domain.md sections 1 and 8). The vectors are published ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.ssin import InvalidSsin, Series, Ssin, check_digits, without_separators

UNKNOWN_BIRTH_DATES = [  # domain.md 1.2
    ("00010000135", Series.NR, 2000),
    ("00410000124", Series.BIS_SEX_KNOWN, 2000),
    ("00210000178", Series.BIS_SEX_UNKNOWN, 2000),
    ("00000000128", Series.NR, 2000),
    ("00400000117", Series.BIS_SEX_KNOWN, 2000),
    ("00200000171", Series.BIS_SEX_UNKNOWN, 2000),
    ("00000100166", Series.NR, 1900),
    ("00000100195", Series.NR, 2000),
    ("00400100155", Series.BIS_SEX_KNOWN, 1900),
    ("00400100184", Series.BIS_SEX_KNOWN, 2000),
    ("00200100112", Series.BIS_SEX_UNKNOWN, 1900),
    ("00200100141", Series.BIS_SEX_UNKNOWN, 2000),
    ("85073500107", Series.NR, 1900),
    ("85473500193", Series.BIS_SEX_KNOWN, 1900),
    ("85273500150", Series.BIS_SEX_UNKNOWN, 1900),
]
DAY_BEYOND_31 = {"85073500107", "85473500193", "85273500150"}
COMPLETE_BIRTH_DATES = [  # domain.md 1.4
    ("42012205181", Series.NR, 1900),
    ("93051822361", Series.NR, 1900),
    ("85073003328", Series.NR, 1900),
    ("17073003384", Series.NR, 2000),
    ("98472899765", Series.BIS_SEX_KNOWN, 1900),
    ("01490700185", Series.BIS_SEX_KNOWN, 2000),
    ("75060898009", Series.NR, 1900),
    ("75460898095", Series.BIS_SEX_KNOWN, 1900),
    ("75260898052", Series.BIS_SEX_UNKNOWN, 1900),
    ("85073006197", Series.NR, 1900),
    ("10061580197", Series.NR, 2000),
    ("68060105329", Series.NR, None),
    ("68030700174", Series.NR, None),
    ("98052600151", Series.NR, None),
    ("63031030758", Series.NR, None),
]
VALID = [vector for vector in UNKNOWN_BIRTH_DATES if vector[0] not in DAY_BEYOND_31] + COMPLETE_BIRTH_DATES


def number(*, year: int, month: int, day: int, sequence: int, century: int = 1900) -> str:
    first_nine = f"{year:02d}{month:02d}{day:02d}{sequence:03d}"
    return first_nine + check_digits(first_nine, century=century)


def reason_of_refusal(text: str, *, allow_mock: bool = False) -> str:
    with pytest.raises(InvalidSsin) as refusal:
        Ssin.parse(text, allow_mock=allow_mock)
    return refusal.value.reason


@pytest.mark.parametrize(("digits", "series", "century"), VALID)
def test_rules_1_2_5_published_numbers_are_accepted(digits: str, series: Series, century: int | None) -> None:
    """Every published valid number is accepted, with its series and the century of its check digits (rules 1, 2, 5)."""
    ssin = Ssin.parse(digits)
    assert ssin.digits == digits
    assert ssin.series is series
    assert century is None or check_digits(digits[:9], century=century) == digits[9:]


@pytest.mark.parametrize(
    ("digits", "reason"),
    [
        ("12345678901", "month"),  # its check fails as well; the month 34 is seen first
        ("85133000105", "month"),
        ("85533000191", "month"),
        ("85333000148", "month"),
        ("13820404235", "month"),
        ("38060105329", "check"),
        ("38030702191", "check"),
        ("68070201351", "check"),
    ],
)
def test_published_invalid_numbers_are_refused(digits: str, reason: str) -> None:
    """Every published invalid number is refused, also those whose check digits hold (rules 2 and 5)."""
    assert reason_of_refusal(digits) == reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8507300332",
        "850730033280",
        "85.07.30-033.28",
        "85073003328\n",
        " 85073003328",
        "8507300332X",
        "٨٥٠٧٣٠٠٣٣٢٨",
        "\uff18\uff15\uff10\uff17\uff13\uff10\uff10\uff13\uff13\uff12\uff18",  # full-width digits
        "+8507300332",
    ],
)
def test_rule_1_anything_but_11_ascii_digits_is_refused_on_the_wire(text: str) -> None:
    """On the wire an SSIN is exactly 11 ASCII digits: no separators, no blanks, no digits of other scripts (rule 1)."""
    assert reason_of_refusal(text) == "shape"


@given(st.text(max_size=20))
def test_rule_1_no_text_makes_the_reader_stumble(text: str) -> None:
    """Any text is either an SSIN or refused with one of five fixed words (rule 1)."""
    try:
        ssin = Ssin.parse(text)
    except InvalidSsin as refusal:
        assert refusal.reason in {"shape", "month", "day", "sequence", "check"}  # noqa: PT017
    else:
        assert ssin.digits == text


@pytest.mark.parametrize("text", ["85.07.30-033.28", "850730 033 28", "85073003328", " 85.07.30-033.28 "])
def test_rule_1_people_may_type_separators(text: str) -> None:
    """A person may type dots, hyphen and blanks; the number comes out without them (rule 1)."""
    assert Ssin.parse_human(text) == Ssin.parse("85073003328")


def test_rule_1_separators_go_from_numbers_that_are_none_too() -> None:
    """Whether a number is one is another question: wrong check digits stay for the service to refuse (rule 1)."""
    assert without_separators("85.07.30-033 00") == "85073003300"


@given(st.sampled_from([digits for digits, _, _ in VALID]))
def test_rule_1_the_presentation_reads_back(digits: str) -> None:
    """What is shown to people, yy.mm.dd-sss.cc, reads back as the same number (rule 1)."""
    ssin = Ssin.parse(digits)
    assert len(ssin.formatted) == 15
    assert Ssin.parse_human(ssin.formatted) == ssin


@given(st.sampled_from([digits for digits, _, _ in VALID]))
def test_the_stored_number_reads_back_with_its_leading_zeros(digits: str) -> None:
    """The integer of storage gives the same SSIN again, leading zeros and all."""
    ssin = Ssin.parse(digits)
    assert ssin.number < 10**11
    assert Ssin.of_number(ssin.number) == ssin


@given(st.integers(0, 999_999_999))
def test_rule_2_the_check_digits_tell_the_century(first_nine: int) -> None:
    """No nine digits have the same check digits in both centuries, so the branch gives the century (rule 2)."""
    digits = f"{first_nine:09d}"
    assert check_digits(digits, century=1900) != check_digits(digits, century=2000)


@given(st.integers(0, 999_999_999), st.sampled_from([1900, 2000]))
def test_rule_3_the_check_lies_between_01_and_97(first_nine: int, century: int) -> None:
    """The check digits are 01 to 97, never 00 (rule 3)."""
    assert 1 <= int(check_digits(f"{first_nine:09d}", century=century)) <= 97


@pytest.mark.parametrize("digits", ["85073006197", "10061580197"])
def test_rule_3_a_remainder_of_zero_is_written_97(digits: str) -> None:
    """A number whose remainder is zero ends in 97, and the same number ending in 00 is refused (rule 3)."""
    assert Ssin.parse(digits).digits.endswith("97")
    assert reason_of_refusal(digits[:9] + "00") == "check"


def test_rule_4_a_birth_in_the_future_is_no_reason_to_refuse() -> None:
    """A number of the year 2099 is accepted: the verdict does not depend on today's date (rule 4)."""
    assert Ssin.parse(number(year=99, month=12, day=31, sequence=1, century=2000)).series is Series.NR


@pytest.mark.parametrize("month", range(100))
def test_rule_5_the_month_digits_tell_the_series(month: int) -> None:
    """Months 00-12 are NR, 20-32 BIS without sex, 40-52 BIS with sex; every other month is refused (rule 5)."""
    text = number(year=85, month=month, day=1, sequence=1)
    if month <= 12:
        assert Ssin.parse(text).series is Series.NR
    elif 20 <= month <= 32:
        assert Ssin.parse(text).series is Series.BIS_SEX_UNKNOWN
    elif 40 <= month <= 52:
        assert Ssin.parse(text).series is Series.BIS_SEX_KNOWN
    else:
        assert reason_of_refusal(text) == "month"


@pytest.mark.parametrize("month", range(53, 100))
def test_rule_6_mock_numbers_pass_only_under_the_test_flag(month: int) -> None:
    """Months 60-72 pass only when mock numbers are allowed; 53-59 and 73-99 never do (rule 6)."""
    text = number(year=85, month=month, day=1, sequence=1)
    assert reason_of_refusal(text) == "month"
    if 60 <= month <= 72:
        assert Ssin.parse(text, allow_mock=True).series is Series.MOCK
        assert Ssin.parse_human(text, allow_mock=True).series is Series.MOCK
    else:
        assert reason_of_refusal(text, allow_mock=True) == "month"


@pytest.mark.parametrize("sequence", [0, 1, 2, 997, 998, 999])
@pytest.mark.parametrize(("month", "is_nr"), [(7, True), (0, True), (27, False), (47, False)])
def test_rule_7_sequence_000_is_refused_in_the_nr_series_alone(sequence: int, month: int, is_nr: bool) -> None:
    """Sequence 000 is refused in the NR series and allowed in BIS; 999, never issued, is accepted in both (rule 7)."""
    text = number(year=85, month=month, day=30, sequence=sequence)
    if is_nr and sequence == 0:
        assert reason_of_refusal(text) == "sequence"
    else:
        assert Ssin.parse(text).digits == text


@pytest.mark.parametrize("day", range(100))
@pytest.mark.parametrize("month", [7, 27, 47])
def test_rule_8_the_day_lies_between_00_and_31(day: int, month: int) -> None:
    """Days 00 to 31 are accepted, later ones refused, although the check digits hold (rule 8)."""
    text = number(year=85, month=month, day=day, sequence=1)
    if day <= 31:
        assert Ssin.parse(text).digits == text
    else:
        assert reason_of_refusal(text) == "day"


@pytest.mark.parametrize("digits", sorted(DAY_BEYOND_31))
def test_rule_8_the_schema_wins_over_published_numbers_with_day_35(digits: str) -> None:
    """Three published numbers with day 35 are refused, because the schema of CommonV3 refuses them (rule 8)."""
    assert check_digits(digits[:9], century=1900) == digits[9:]
    assert reason_of_refusal(digits) == "day"


@pytest.mark.parametrize(
    ("month", "day"), [(2, 30), (2, 31), (4, 31), (0, 0), (0, 1), (0, 17), (7, 0), (20, 0), (40, 1)]
)
def test_rule_9_a_date_that_no_calendar_has_is_accepted(month: int, day: int) -> None:
    """A day beyond its month, a month 00 or a day 00 are accepted: the number's date is a hint (rule 9)."""
    text = number(year=85, month=month, day=day, sequence=1)
    assert Ssin.parse(text).digits == text


def test_rule_9_a_number_offers_no_birth_date() -> None:
    """An SSIN has no birth date to ask for: only a register knows it (rule 9)."""
    assert not [name for name in dir(Ssin) if "date" in name or "birth" in name]


@given(st.sampled_from([7, 27, 47]), st.integers(1, 999), st.sampled_from([1900, 2000]))
def test_rule_10_the_parity_of_the_sequence_refuses_nobody(month: int, sequence: int, century: int) -> None:
    """Odd and even sequences are accepted alike in every series (rule 10)."""
    text = number(year=1, month=month, day=1, sequence=sequence, century=century)
    assert Ssin.parse(text).digits == text


def test_numbers_are_equal_hashable_and_sorted_by_their_digits() -> None:
    """Two SSINs of the same digits are one key; they sort as their digits do."""
    low, high = Ssin.parse("17073003384"), Ssin.parse("85073003328")
    assert {low, high, Ssin.parse("17073003384")} == {low, high}
    assert sorted([high, low]) == [low, high]


def test_a_number_made_past_the_reader_has_no_series() -> None:
    """A value built from digits that never passed the reader says so instead of guessing."""
    with pytest.raises(InvalidSsin, match="month"):
        _ = Ssin("85133000105").series
