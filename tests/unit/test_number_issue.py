"""Which number a new file gets: KB91, TI000 and domain.md 1.2, without a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.be import bis, nn

from cbss_inscription.domain.legal_data import Gender, LegalData, Person, Register
from cbss_inscription.domain.life import FileChange, LifeRecord
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.person_search import PhoneticCriteria
from cbss_inscription.domain.ssin import Series, Ssin, check_digits
from cbss_inscription.registers.life import Done, NumberIssue, NumberLife, RefusalReason, Refused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATES = st.dates(date(1900, 1, 1), NOW.date()).map(IncompleteDate.of_date)
BIRTHS = (
    st.none()
    | DATES
    | DATES.map(lambda day: IncompleteDate(day.year, day.month, 0))
    | DATES.map(lambda day: IncompleteDate(day.year, 0, 0))
)


class Nobody:
    """A register that knows nobody."""

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        del ssin, hops_max
        return ()

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        del criteria
        return ()


class NoAnomalies:
    """A log that must stay empty."""

    def found_data_anomaly(self, *, ticket_cbss: UUID, reason: str) -> None:
        raise AssertionError(reason)


@dataclass
class FilesInMemory:
    """A `registers.life.FileStore` of what making files needs."""

    numbers: set[int] = field(default_factory=set)
    made: list[Person] = field(default_factory=list)
    looks: int = 0

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[FilesInMemory]:
        yield self

    async def clock(self) -> datetime:
        return NOW

    async def numbers_between(self, first: int, last: int) -> frozenset[int]:
        self.looks += 1
        return frozenset(number for number in self.numbers if first <= number <= last)

    async def insert(self, person: Person, record: LifeRecord) -> None:
        assert record.recorded_at == NOW
        assert person.ssin.number not in self.numbers
        self.numbers.add(person.ssin.number)
        self.made.append(person)

    async def lock(self, ssins: Collection[Ssin]) -> None:
        raise NotImplementedError

    async def changes_of(self, ssin: Ssin) -> tuple[FileChange, ...]:
        raise NotImplementedError

    async def file_of(self, ssin: Ssin) -> Person | None:
        raise NotImplementedError

    async def hops_to(self, ssin: Ssin, *, hops_max: int) -> int:
        raise NotImplementedError

    async def update(self, person: Person, record: LifeRecord) -> None:
        raise NotImplementedError

    async def record_elsewhere(self, person: Person, record: LifeRecord) -> None:
        raise NotImplementedError

    async def tell_holders(self, ssin: Ssin, record: LifeRecord, *, current_ssin: Ssin, on_day: date | None) -> int:
        raise NotImplementedError

    async def record_replacement(self, ssin: Ssin, replaced_by: Ssin, record: LifeRecord) -> bool:
        raise NotImplementedError

    async def move_lines(self, ssin: Ssin, record: LifeRecord, *, current_ssin: Ssin) -> int:
        raise NotImplementedError


def make(
    birth_date: IncompleteDate | None,
    gender: Gender,
    *,
    register: Register = Register.BIS,
    issue: NumberIssue = NumberIssue.ISSUED,
    files: FilesInMemory | None = None,
) -> Ssin | Refused:
    """The number of a new file."""
    files = files or FilesInMemory()
    life = NumberLife(
        files=files,
        registers=Nobody(),
        national_register=Nobody(),
        ours=frozenset(Register),
        data_anomalies=NoAnomalies(),
        number_issue=issue,
    )
    data = LegalData(last_name="Peeters", birth_date=birth_date, gender=gender)
    outcome = asyncio.run(life.create(data, register=register, operator="test"))
    assert isinstance(outcome, Done | Refused)
    return outcome.ssin if isinstance(outcome, Done) else outcome


@pytest.mark.parametrize(
    ("born", "gender", "register", "expected"),
    [
        ("1985-07-30", Gender.MALE, Register.NR, "850730001"),
        ("1985-07-30", Gender.FEMALE, Register.NR, "850730002"),
        ("1998-07-28", Gender.MALE, Register.BIS, "984728001"),
        ("1998-07-28", Gender.FEMALE, Register.BIS, "984728002"),
        ("1998-07-28", Gender.UNKNOWN, Register.BIS, "982728001"),
        ("2017-07-00", Gender.MALE, Register.NR, "170700001"),  # as 00010000135 of the published vectors
        ("2017-07-00", Gender.MALE, Register.BIS, "174700001"),
        ("2017-00-00", Gender.FEMALE, Register.BIS, "174000002"),
        ("2017-00-00", Gender.UNKNOWN, Register.BIS, "172000001"),
        (None, Gender.MALE, Register.NR, "000001001"),  # as 00000100166
        (None, Gender.MALE, Register.BIS, "004001001"),  # as 00400100155
        (None, Gender.UNKNOWN, Register.BIS, "002001001"),  # as 00200100112
    ],
)
def test_kb91_the_first_number_of_a_date(born: str | None, gender: Gender, register: Register, expected: str) -> None:
    """Month + 40 when the sex is known at issue, + 20 when not, + 0 in the National Register; parity by sex (KB91)."""
    birth_date = IncompleteDate.parse(born) if born else None
    ssin = make(birth_date, gender, register=register)
    assert isinstance(ssin, Ssin)
    century = 2000 if birth_date and birth_date.year >= 2000 else 1900
    assert ssin.digits == expected + check_digits(expected, century=century)


def test_ti000_the_published_example_is_what_comes_next() -> None:
    """After 051 of 22 January 1942 was given, 053 comes; after all before 051 were, 42012205181 itself (TI000)."""
    files = FilesInMemory()
    for sequence in range(1, 51, 2):
        first_nine = f"420122{sequence:03d}"
        files.numbers.add(int(first_nine + check_digits(first_nine, century=1900)))
    ssin = make(IncompleteDate(1942, 1, 22), Gender.MALE, register=Register.NR, files=files)
    assert ssin == Ssin("42012205181")


@given(born=BIRTHS, gender=st.sampled_from(Gender), register=st.sampled_from([Register.NR, Register.BIS]))
def test_kb91_every_number_given_is_one_that_others_accept(
    born: IncompleteDate | None, gender: Gender, register: Register
) -> None:
    """Any birth date gives a valid number of its series, whose date, century and sex another validator reads (KB91)."""
    ssin = make(born, gender, register=register)
    if register is Register.NR and gender is Gender.UNKNOWN:
        assert ssin == Refused(reason=RefusalReason.GENDER)
        return
    assert isinstance(ssin, Ssin)
    assert Ssin.parse(ssin.digits) == ssin
    if register is Register.NR:
        assert ssin.series is Series.NR
    else:
        assert ssin.series is (Series.BIS_SEX_UNKNOWN if gender is Gender.UNKNOWN else Series.BIS_SEX_KNOWN)
    peer = nn if register is Register.NR else bis
    assert peer.is_valid(ssin.digits)
    if gender is not Gender.UNKNOWN:
        assert peer.get_gender(ssin.digits) == ("M" if gender is Gender.MALE else "F")
    if born is not None and born.is_complete:
        assert peer.get_birth_date(ssin.digits) == date(born.year, born.month, born.day)


@given(born=BIRTHS, gender=st.sampled_from(Gender), register=st.sampled_from([Register.NR, Register.BIS]))
def test_decision_0003_a_synthetic_number_is_nobodys(
    born: IncompleteDate | None, gender: Gender, register: Register
) -> None:
    """A number that nobody bears: check digits of 2040-2099, or a day that no counter reaches (decision 0003)."""
    ssin = make(born, gender, register=register, issue=NumberIssue.NOBODY)
    if register is Register.NR and gender is Gender.UNKNOWN:
        assert ssin == Refused(reason=RefusalReason.GENDER)
        return
    assert isinstance(ssin, Ssin)
    assert Ssin.parse(ssin.digits) == ssin
    digits = ssin.digits
    is_future = digits[9:] == check_digits(digits[:9], century=2000) and 40 <= int(digits[:2]) <= 99
    is_unreachable = int(digits[2:4]) % 20 == 0 and 20 <= int(digits[4:6]) <= 31
    assert is_future or is_unreachable
    assert is_future == (born is not None and 1940 <= born.year <= 1999)


@pytest.mark.parametrize(
    ("born", "issue", "counters"),
    [
        (IncompleteDate(1985, 7, 30), NumberIssue.ISSUED, 11),
        (IncompleteDate(1985, 7, 0), NumberIssue.ISSUED, 11),
        (IncompleteDate(1985, 0, 0), NumberIssue.ISSUED, 10),
        (None, NumberIssue.ISSUED, 18),
        (IncompleteDate(1985, 7, 30), NumberIssue.NOBODY, 11),
        (IncompleteDate(2001, 7, 30), NumberIssue.NOBODY, 12),
        (None, NumberIssue.NOBODY, 24),
    ],
)
def test_domain_1_2_the_search_for_a_free_number_is_bounded(
    born: IncompleteDate | None, issue: NumberIssue, counters: int
) -> None:
    """When every number is taken, a handful of counters was looked at, each once, and none is given (1.2, rule 11)."""

    class AllTaken(FilesInMemory):
        async def numbers_between(self, first: int, last: int) -> frozenset[int]:
            self.looks += 1
            return frozenset(range(first, last + 1))

    files = AllTaken()
    assert make(born, Gender.MALE, issue=issue, files=files) == Refused(reason=RefusalReason.NO_NUMBER)
    assert files.looks == counters


def test_rule_11_a_sex_has_all_its_numbers_and_no_other() -> None:
    """Of one date 499 men get 001 to 997 and 499 women 002 to 998, then the counter goes on at YY0000 (TI000)."""
    files = FilesInMemory()
    born = IncompleteDate(1985, 7, 30)
    men = [make(born, Gender.MALE, register=Register.NR, files=files) for _ in range(500)]
    women = [make(born, Gender.FEMALE, register=Register.NR, files=files) for _ in range(500)]
    starts = [ssin.digits[:9] for ssin in (*men, *women) if isinstance(ssin, Ssin)]
    assert starts[:499] == [f"850730{sequence:03d}" for sequence in range(1, 998, 2)]
    assert starts[499] == "850000001"
    assert starts[500:999] == [f"850730{sequence:03d}" for sequence in range(2, 999, 2)]
    assert starts[999] == "850000002"
