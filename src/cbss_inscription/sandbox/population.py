"""The synthetic population: files of persons who do not exist, under numbers that nobody bears.

One seed gives one population, byte for byte, on every machine and every Python from 3.11 on: the only source of chance
is `random.Random(seed).getrandbits`, whose algorithm (MT19937) is fixed, and every choice is integer arithmetic on its
bits. Numbers are unique by construction: each is a place in an enumeration of dates and sequences, visited in a
seeded order that comes to every place once; nothing remembers the numbers already given.

The stream begins with the scenarios' files, which therefore do not depend on the size; a larger population of the
same seed and space begins with exactly the files of a smaller one.

Why nobody bears the numbers: docs/decisions/0003-numbers-that-nobody-bears.md. All quantities here are ours [D].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum, IntEnum, StrEnum
from functools import cache
from itertools import chain, islice
from math import gcd
from random import Random
from types import MappingProxyType
from typing import Final, Protocol

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import FileStatus, Gender, Person, Register
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.ssin import Series, Ssin, check_digits
from cbss_inscription.sandbox.person_names import COMMUNITIES


class NumberSpace(StrEnum):
    """Where the numbers come from: in either space no real person bears them."""

    FUTURE = "future"
    """Check digits of a birth in 2040-2099 on a birth date of 1940-1999: nobody can bear them before 2040."""
    UNISSUED = "unissued"
    """Numbers of 1940-1999 that the registers' counters never reach: other validators accept them too; few."""


BIRTH_YEARS: Final = range(1940, 2000)
"""Years of birth. The upper end keeps both spaces clear of births from 2000 on, the lower end keeps FUTURE 13 years
clear of today's births (2026)."""
PERSONS_MIN: Final = 100
"""Files below which there is no population: the scenarios alone take thirty."""
PERSONS_MAX: Final[Mapping[NumberSpace, int]] = MappingProxyType(
    {NumberSpace.FUTURE: 12_000_000, NumberSpace.UNISSUED: 40_000}
)
"""Files for which a space has numbers, with room to spare in each of its enumerations."""
DECEASE_YEAR_MAX: Final = 2025
"""No decease after this year, so that no file speaks of the future."""
INCEPTION_DAYS: Final = range(date(1991, 3, 1).toordinal(), date(2026, 1, 1).toordinal())
"""Days on which files came to KSZ: from the royal decree of 8 February 1991 on, and before today."""
RECIPE_VERSION: Final = 2
"""Goes up when the same size, seed and space make other rows: whoever has the former ones makes them anew."""
SCENARIO_NAMES: Final = (
    "nr_active",
    "bis_active",
    "rad_active",
    "deceased",
    "incomplete_birth_date",
    "canceled",
    "replaced",
    "replaced_chain",
    "replaced_by_canceled",
    "unknown",
    "invalid_check",
    "bis_sex_unknown",
    "accents",
    "no_given_names",
    "long_chain",
)
"""The scenarios that every population has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A number that makes one thing happen; its repr shows neither numbers nor names."""

    ssin: str = field(repr=False)
    """The number to ask with, as text, because it may be no SSIN at all."""
    current: Ssin | None = None
    """The number under which a request is done; None when the request is refused."""
    person: Person | None = field(default=None, repr=False)
    """The file whose legal data a caller may give to have them validated."""


@dataclass(frozen=True, slots=True)
class Persons:
    """The files of a population, made anew on every iteration; `len` tells how many.

    A replaced file comes right after the file that replaces it, so that `replaced_by` always names a file already seen,
    and no cut leaves it dangling.
    """

    _count: int
    _seed: int
    _space: NumberSpace

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Person]:
        numbers = _numbers_of(self._space, self._seed)
        scenario_files = chain.from_iterable(_scenario_files(numbers, self._seed).values())
        return islice(chain(scenario_files, _other_files(numbers, self._seed)), self._count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The persons of a sandbox and the numbers worth trying."""

    persons: Persons
    scenarios: Mapping[str, Scenario]
    """By the names of SCENARIO_NAMES, in that order."""


def make_population(*, persons: int, seed: int, number_space: NumberSpace = NumberSpace.FUTURE) -> Population:
    """The population of `persons` files that belongs to the seed; the files themselves come when iterated.

    Raises `UsageError` for less than PERSONS_MIN, for more than the space's PERSONS_MAX, and for a negative seed.
    """
    if persons < PERSONS_MIN:
        raise UsageError(f"A population has at least {PERSONS_MIN} persons, not {persons}.")
    persons_max = PERSONS_MAX[number_space]
    if persons > persons_max:
        raise UsageError(
            f"The number space '{number_space}' has numbers for {persons_max} persons at most, not for {persons}."
        )
    if seed < 0:  # random.Random takes -1 and 1 for the same seed
        raise UsageError(f"The seed of a population is 0 or more, not {seed}.")
    return Population(
        persons=Persons(persons, seed, number_space),
        scenarios=MappingProxyType(_scenarios(number_space, seed)),
    )


def recipe_of(*, persons: int, seed: int, number_space: NumberSpace, inscriptions: int) -> str:
    """What a population is made from, as databases and files keep it: the same text, the same rows."""
    return (
        f"version={RECIPE_VERSION} persons={persons} seed={seed} numbers={number_space.value}"
        f" inscriptions={inscriptions}"
    )


# -- the mix -----------------------------------------------------------------------------------------------------------


class _Lot(Enum):
    """What a throw of the dice brings forth: one file, or the linked files of one person."""

    NR = "nr"
    RAD = "rad"
    BIS_SEX_KNOWN = "bis_sex_known"
    BIS_SEX_UNKNOWN = "bis_sex_unknown"
    CANCELED = "canceled"
    REPLACED = "replaced"
    CHAIN = "chain"
    REPLACED_BY_CANCELED = "replaced_by_canceled"


_LOTS_PER_MILLE: Final[Mapping[_Lot, int]] = {
    _Lot.NR: 775,
    _Lot.RAD: 90,
    _Lot.BIS_SEX_KNOWN: 65,
    _Lot.BIS_SEX_UNKNOWN: 20,
    _Lot.CANCELED: 10,
    _Lot.REPLACED: 25,
    _Lot.CHAIN: 10,
    _Lot.REPLACED_BY_CANCELED: 5,
}
_LINKED_LOTS: Final = frozenset({_Lot.REPLACED, _Lot.CHAIN, _Lot.REPLACED_BY_CANCELED})
_LOT_OF_THROW: Final = tuple(lot for lot, weight in _LOTS_PER_MILLE.items() for _ in range(weight))
# The registers have few numbers for a whole year (MMDD = 0000): they bound the share of births of unknown month.
_DAY_UNKNOWN_PER_MILLE: Final[Mapping[Register, int]] = {Register.NR: 10, Register.RAD: 10, Register.BIS: 40}
_MONTH_UNKNOWN_PER_MILLE: Final[Mapping[Register, int]] = {Register.NR: 4, Register.RAD: 4, Register.BIS: 30}
_OLD_BIRTH_YEAR_END: Final = 1960
_DECEASED_PER_MILLE_OLD: Final = 120  # of births before _OLD_BIRTH_YEAR_END
_DECEASED_PER_MILLE_YOUNG: Final = 8
_DECEASE_DATE_INCOMPLETE_PERCENT: Final = 5
_SEX_STILL_UNKNOWN_PERCENT: Final = 60  # of those with a BIS number from when it was unknown; of the others it is known
_NO_GIVEN_NAMES_PERCENT_BIS: Final = 3
_STRUCK_OFF_PERCENT: Final = 10  # in RAD, of those who came to a National Register number by replacement
_LONG_NAME_PER_MILLE: Final = 3
_GIVEN_NAMES_OF_THROW: Final = (1, 1, 1, 2, 2, 2, 2, 3, 3, 4)
_ADULT_YEARS: Final = 18

_Chain = tuple[Series, ...]
"""The series of the numbers that one person had, oldest first; their dates and sexes are the same."""

_ONE_HOP_CHAINS: Final[tuple[_Chain, ...]] = (
    *((Series.BIS_SEX_KNOWN, Series.NR),) * 6,  # the person came to live in Belgium
    (Series.BIS_SEX_UNKNOWN, Series.NR),
    (Series.BIS_SEX_UNKNOWN, Series.BIS_SEX_KNOWN),
    (Series.BIS_SEX_KNOWN, Series.BIS_SEX_KNOWN),  # two files of one person, merged
    (Series.NR, Series.NR),
)
_LONGER_CHAINS: Final[tuple[_Chain, ...]] = (
    (Series.BIS_SEX_KNOWN, Series.NR, Series.NR),
    (Series.BIS_SEX_KNOWN, Series.BIS_SEX_KNOWN, Series.NR),
    (Series.BIS_SEX_UNKNOWN, Series.BIS_SEX_KNOWN, Series.NR),
    (Series.BIS_SEX_UNKNOWN, Series.BIS_SEX_KNOWN, Series.NR, Series.NR),
)
_LONG_CHAIN: Final[_Chain] = (Series.BIS_SEX_UNKNOWN,) * 4 + (Series.BIS_SEX_KNOWN,) * 4 + (Series.NR,) * 4

_REGISTER_OF_SERIES: Final = {
    Series.NR: Register.NR,
    Series.BIS_SEX_KNOWN: Register.BIS,
    Series.BIS_SEX_UNKNOWN: Register.BIS,
}


class _Dice:
    """Throws from one large random integer, by division: quicker than a call of the generator for each throw."""

    __slots__ = ("_bits",)

    # The throws for one person multiply to less than 2**100, so the last of them is still even to one in 2**92.
    BITS: Final = 192

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def throw(self, sides: int) -> int:
        """One of 0 … sides − 1."""
        self._bits, thrown = divmod(self._bits, sides)
        return thrown


# -- numbers -----------------------------------------------------------------------------------------------------------


class _Precision(Enum):
    """What is known of a birth date."""

    DAY = "yyyy-mm-dd"
    MONTH = "yyyy-mm-00"
    YEAR = "yyyy-00-00"


_SINGLE_SEQUENCES_PER_SEX: Final = 400  # 001 … 800: files that stand alone
_LINKED_SEQUENCE_FIRST: Final = 801  # 801 … 992: files of one person that replace one another
_LINKED_NUMBERS_MAX: Final = 4  # numbers of one series that one person can have had
_LINKED_BLOCKS: Final = 24  # per date and sex, each with room for _LINKED_NUMBERS_MAX numbers of that sex
_YEAR_SEQUENCES_PER_SEX: Final = 498  # dates of which only the year is known: no linked files, so 001 … 996
_COUNTER_DAYS: Final = range(20, 32)  # UNISSUED: YY00DD that exhausted counters never reach
_UNISSUED_SEQUENCE: Final = 999  # UNISSUED: the sequence that the National Register never issues
_MONTH_OFFSET: Final = {Series.NR: 0, Series.BIS_SEX_UNKNOWN: 2000, Series.BIS_SEX_KNOWN: 4000}
_SERIES_AND_SEX: Final = (
    (Series.NR, Gender.MALE),
    (Series.NR, Gender.FEMALE),
    (Series.BIS_SEX_KNOWN, Gender.MALE),
    (Series.BIS_SEX_KNOWN, Gender.FEMALE),
    (Series.BIS_SEX_UNKNOWN, Gender.UNKNOWN),
)

_Day = tuple[int, IncompleteDate]
"""The digits yymmdd as an integer, and the birth date they stand for, as far as they tell it."""


@cache
def _known_days() -> tuple[_Day, ...]:
    # Nobody is born on 31 December, so that there are numbers which no population ever holds: `unknown`.
    first, after = date(BIRTH_YEARS[0], 1, 1).toordinal(), date(BIRTH_YEARS[-1] + 1, 1, 1).toordinal()
    days = map(date.fromordinal, range(first, after))
    return tuple((_digits(day), IncompleteDate.of_date(day)) for day in days if (day.month, day.day) != (12, 31))


@cache
def _months() -> tuple[_Day, ...]:
    return tuple(
        (year % 100 * 10_000 + month * 100, IncompleteDate(year, month, 0))
        for year in BIRTH_YEARS
        for month in range(1, 13)
    )


@cache
def _years() -> tuple[_Day, ...]:
    return tuple((year % 100 * 10_000, IncompleteDate(year, 0, 0)) for year in BIRTH_YEARS)


@cache
def _counter_days() -> tuple[_Day, ...]:
    return tuple(
        (year % 100 * 10_000 + day, IncompleteDate(year, 0, 0)) for year in BIRTH_YEARS for day in _COUNTER_DAYS
    )


def _digits(day: date) -> int:
    return day.year % 100 * 10_000 + day.month * 100 + day.day


class _Places:
    """Every pair of a day and a rank, each once, in an order that the seed decides.

    Places are visited with a stride coprime to their number; a stride near the golden section spreads any run of
    visits evenly over the years of birth.
    """

    __slots__ = ("_days", "_left", "_position", "_ranks", "_size", "_stride")

    def __init__(self, days: tuple[_Day, ...], ranks: int, chance: Random) -> None:
        self._days = days
        self._ranks = ranks
        self._size = self._left = len(days) * ranks
        dice = _Dice(chance.getrandbits(_Dice.BITS))
        self._position = dice.throw(self._size)
        self._stride = self._size * 618_034 // 1_000_000 + dice.throw(self._size // 50 + 1)
        while gcd(self._stride, self._size) != 1:
            self._stride += 1

    def take(self) -> tuple[_Day, int]:
        """The next day and the rank (0, 1, …) on it. Raises `UsageError` when there is none left."""
        if self._left == 0:
            raise UsageError("The number space has no number left for a population of this size.")
        self._left -= 1
        day, rank = divmod(self._position, self._ranks)
        self._position = (self._position + self._stride) % self._size
        return self._days[day], rank


def _sequence(rank: int, series: Series, gender: Gender, dice: _Dice) -> int:
    # Men 001, 003, …; women 002, 004, …. Where the sex was unknown either, decided by chance: the rank keeps it unique.
    if series is Series.BIS_SEX_UNKNOWN:
        return 2 * rank + 1 + dice.throw(2)
    return 2 * rank + (1 if gender is Gender.MALE else 2)


def _assembled(digits: int, series: Series, sequence: int, century: int) -> Ssin:
    first_nine = f"{digits + _MONTH_OFFSET[series]:06d}{sequence:03d}"
    return Ssin(first_nine + check_digits(first_nine, century=century))


def _linked_numbers(links: _Chain, digits: int, block: int, gender: Gender, century: int) -> list[Ssin]:
    first = _LINKED_SEQUENCE_FIRST + block * 2 * _LINKED_NUMBERS_MAX + (0 if gender is Gender.MALE else 1)
    return [
        _assembled(digits, series, first + 2 * links[:place].count(series), century)
        for place, series in enumerate(links)
    ]


class _Numbers(Protocol):
    """A number space in the order of one seed."""

    def single(self, series: Series, gender: Gender, precision: _Precision, dice: _Dice) -> tuple[Ssin, IncompleteDate]:
        """A number of its own, and the birth date that goes with it."""

    def linked(self, links: _Chain, gender: Gender, dice: _Dice) -> tuple[list[Ssin], IncompleteDate]:
        """The numbers that one person had, oldest first, and the birth date that goes with them."""

    def unheld(self) -> str:
        """The text of a number that no population holds."""


class _FutureNumbers:
    """All that dates and sequences give, under check digits of a birth a hundred years later."""

    _CENTURY: Final = 2000

    def __init__(self, chance: Random) -> None:
        days = {
            _Precision.DAY: (_known_days(), _SINGLE_SEQUENCES_PER_SEX),
            _Precision.MONTH: (_months(), _SINGLE_SEQUENCES_PER_SEX),
            _Precision.YEAR: (_years(), _YEAR_SEQUENCES_PER_SEX),
        }
        self._unheld = _Dice(chance.getrandbits(_Dice.BITS))
        self._single = {
            (series, gender, precision): _Places(*days[precision], chance)
            for series, gender in _SERIES_AND_SEX
            for precision in _Precision
        }
        self._linked = {
            gender: _Places(_known_days(), _LINKED_BLOCKS, chance) for gender in (Gender.MALE, Gender.FEMALE)
        }

    def single(self, series: Series, gender: Gender, precision: _Precision, dice: _Dice) -> tuple[Ssin, IncompleteDate]:
        sex_of_number = Gender.UNKNOWN if series is Series.BIS_SEX_UNKNOWN else gender
        (digits, birth_date), rank = self._single[series, sex_of_number, precision].take()
        return _assembled(digits, series, _sequence(rank, series, gender, dice), self._CENTURY), birth_date

    def linked(self, links: _Chain, gender: Gender, dice: _Dice) -> tuple[list[Ssin], IncompleteDate]:  # noqa: ARG002
        (digits, birth_date), block = self._linked[gender].take()
        return _linked_numbers(links, digits, block, gender, self._CENTURY), birth_date

    def unheld(self) -> str:
        day = date(BIRTH_YEARS[self._unheld.throw(len(BIRTH_YEARS))], 12, 31)
        sequence = 1 + self._unheld.throw(2 * _SINGLE_SEQUENCES_PER_SEX)
        return _assembled(_digits(day), Series.NR, sequence, self._CENTURY).digits


class _UnissuedNumbers:
    """Sequence 999 for the men of the National Register whose birth date is complete, YY00DD for everybody else."""

    _CENTURY: Final = 1900

    def __init__(self, chance: Random) -> None:
        self._unheld = _Dice(chance.getrandbits(_Dice.BITS))
        self._men = _Places(_known_days(), 1, chance)
        self._single = {key: _Places(_counter_days(), _SINGLE_SEQUENCES_PER_SEX, chance) for key in _SERIES_AND_SEX}
        self._linked = {
            gender: _Places(_counter_days(), _LINKED_BLOCKS, chance) for gender in (Gender.MALE, Gender.FEMALE)
        }

    def single(self, series: Series, gender: Gender, precision: _Precision, dice: _Dice) -> tuple[Ssin, IncompleteDate]:
        if series is Series.NR and gender is Gender.MALE and precision is _Precision.DAY:
            (digits, birth_date), _ = self._men.take()
            return _assembled(digits, series, _UNISSUED_SEQUENCE, self._CENTURY), birth_date
        sex_of_number = Gender.UNKNOWN if series is Series.BIS_SEX_UNKNOWN else gender
        (digits, year), rank = self._single[series, sex_of_number].take()
        ssin = _assembled(digits, series, _sequence(rank, series, gender, dice), self._CENTURY)
        return ssin, _date_in_year(year.year, precision, dice)

    def linked(self, links: _Chain, gender: Gender, dice: _Dice) -> tuple[list[Ssin], IncompleteDate]:
        (digits, year), block = self._linked[gender].take()
        ssins = _linked_numbers(links, digits, block, gender, self._CENTURY)
        return ssins, _date_in_year(year.year, _Precision.DAY, dice)

    def unheld(self) -> str:
        day = date(BIRTH_YEARS[self._unheld.throw(len(BIRTH_YEARS))], 12, 31)
        return _assembled(_digits(day), Series.NR, _UNISSUED_SEQUENCE, self._CENTURY).digits


def _date_in_year(year: int, precision: _Precision, dice: _Dice) -> IncompleteDate:
    if precision is _Precision.DAY:
        return IncompleteDate.of_date(date(year, 1, 1) + timedelta(days=dice.throw(364)))
    return IncompleteDate(year, 1 + dice.throw(12) if precision is _Precision.MONTH else 0, 0)


class _Purpose(IntEnum):
    """What a generator of chance is for: each has its own, so that none disturbs another's order."""

    NUMBERS = 0
    SCENARIOS = 1
    OTHERS = 2


def _chance(seed: int, purpose: _Purpose) -> Random:
    return Random(seed * len(_Purpose) + purpose)  # noqa: S311 - reproducible on purpose, nothing secret


def _numbers_of(space: NumberSpace, seed: int) -> _Numbers:
    chance = _chance(seed, _Purpose.NUMBERS)
    return _UnissuedNumbers(chance) if space == NumberSpace.UNISSUED else _FutureNumbers(chance)


# -- persons -----------------------------------------------------------------------------------------------------------

_Names = tuple[str, tuple[str, ...]]
"""The last name and the given names in their order."""

_COMMUNITY_OF_THROW: Final = tuple(community for community in COMMUNITIES.values() for _ in range(community.weight))


def _names(dice: _Dice, gender: Gender) -> _Names:
    community = _COMMUNITY_OF_THROW[dice.throw(len(_COMMUNITY_OF_THROW))]
    is_long = dice.throw(1000) < _LONG_NAME_PER_MILLE
    last_names_count = 4 if is_long else 2 if dice.throw(100) < community.double_percent else 1
    given_names_count = 4 if is_long else _GIVEN_NAMES_OF_THROW[dice.throw(len(_GIVEN_NAMES_OF_THROW))]
    is_man = gender is Gender.MALE or (gender is Gender.UNKNOWN and dice.throw(2) == 0)
    last_names = _different(community.last_names, last_names_count, dice)
    given_names = _different(community.men if is_man else community.women, given_names_count, dice)
    return community.joiner.join(last_names), given_names


def _different(names: tuple[str, ...], count: int, dice: _Dice) -> tuple[str, ...]:
    # Up to four names, none twice: three steps of at most a quarter of the list never come back to the first.
    size = len(names)
    place = dice.throw(size)
    if count == 1:
        return (names[place],)
    chosen = [names[place]]
    for _ in range(count - 1):
        place += 1 + dice.throw(size // 4)
        chosen.append(names[place % size])
    return tuple(chosen)


def _accented_names(dice: _Dice) -> _Names:
    french = COMMUNITIES["french"]
    accented = [tuple(name for name in names if not name.isascii()) for names in (french.last_names, french.women)]
    return _different(accented[0], 1, dice)[0], _different(accented[1], 3, dice)


def _precision(register: Register, dice: _Dice) -> _Precision:
    thrown = dice.throw(1000)
    if thrown < _MONTH_UNKNOWN_PER_MILLE[register]:
        return _Precision.YEAR
    if thrown < _MONTH_UNKNOWN_PER_MILLE[register] + _DAY_UNKNOWN_PER_MILLE[register]:
        return _Precision.MONTH
    return _Precision.DAY


def _decease_date_or_none(birth_date: IncompleteDate, dice: _Dice) -> IncompleteDate | None:
    is_old = birth_date.year < _OLD_BIRTH_YEAR_END
    if dice.throw(1000) >= (_DECEASED_PER_MILLE_OLD if is_old else _DECEASED_PER_MILLE_YOUNG):
        return None
    return _decease_date(birth_date, dice)


def _decease_date(birth_date: IncompleteDate, dice: _Dice) -> IncompleteDate:
    first = birth_date.year + _ADULT_YEARS
    year = first + dice.throw(DECEASE_YEAR_MAX - first + 1)
    if dice.throw(100) < _DECEASE_DATE_INCOMPLETE_PERCENT:
        return IncompleteDate(year, dice.throw(13), 0)
    return IncompleteDate(year, 1 + dice.throw(12), 1 + dice.throw(28))


def _sex(dice: _Dice) -> Gender:
    return Gender.FEMALE if dice.throw(2) else Gender.MALE


def _single_file(
    numbers: _Numbers,
    dice: _Dice,
    *,
    series: Series,
    register: Register,
    gender: Gender,
    status: FileStatus = FileStatus.ACTIVE,
    precision: _Precision = _Precision.DAY,
    names: _Names | None = None,
    is_deceased: bool | None = False,
) -> Person:
    # `is_deceased` None: as chance has it.
    ssin, birth_date = numbers.single(series, gender, precision, dice)
    last_name, given_names = _names(dice, gender) if names is None else names
    if is_deceased is None:
        decease_date = _decease_date_or_none(birth_date, dice)
    else:
        decease_date = _decease_date(birth_date, dice) if is_deceased else None
    return Person(
        ssin=ssin,
        register=register,
        status=status,
        last_name=last_name,
        given_names=given_names,
        birth_date=birth_date,
        gender=gender,
        decease_date=decease_date,
        register_inception_date=_inception_date(ssin, register, birth_date, decease_date),
    )


def _inception_date(
    ssin: Ssin,
    register: Register,
    birth_date: IncompleteDate,
    decease_date: IncompleteDate | None,
    *,
    place: int = 0,
    places: int = 1,
) -> date | None:
    # From the number, not by a throw: throws would give everybody other names. Of several files of one person, each
    # has its part of the time, in their order. Unknown for who died before there was a register.
    if register is Register.NR:
        return None
    first = max(INCEPTION_DAYS.start, date(birth_date.year + 1, 1, 1).toordinal())
    after = INCEPTION_DAYS.stop if decease_date is None else date(decease_date.year, 1, 1).toordinal()
    days = (after - first) // places
    if days < 1:
        return None
    return date.fromordinal(first + place * days + ssin.number // 100 * _INCEPTION_STRIDE % days)


_INCEPTION_STRIDE: Final = 7_919
"""A prime that no number of days here has: neighbours among the numbers get days far apart."""


def _linked_files(
    numbers: _Numbers,
    dice: _Dice,
    *,
    links: _Chain,
    gender: Gender,
    status: FileStatus = FileStatus.ACTIVE,
    register: Register | None = None,
    is_deceased: bool | None = False,
) -> list[Person]:
    # The newest file first, each followed by the one it replaces; all show the same legal data. `status` and
    # `register` are the newest file's.
    ssins, birth_date = numbers.linked(links, gender, dice)
    last_name, given_names = _names(dice, gender)
    decease_date = _decease_date_or_none(birth_date, dice) if is_deceased is None else None
    registers = [_REGISTER_OF_SERIES[series] for series in links[:-1]] + [register or _REGISTER_OF_SERIES[links[-1]]]
    files = [
        Person(
            ssin=ssin,
            register=of_register,
            status=FileStatus.REPLACED if replaced_by else status,
            replaced_by=replaced_by,
            last_name=last_name,
            given_names=given_names,
            birth_date=birth_date,
            gender=gender,
            decease_date=decease_date,
            register_inception_date=_inception_date(
                ssin, of_register, birth_date, decease_date, place=place, places=len(links)
            ),
        )
        for place, (ssin, of_register, replaced_by) in enumerate(zip(ssins, registers, [*ssins[1:], None], strict=True))
    ]
    return files[::-1]


def _other_files(numbers: _Numbers, seed: int) -> Iterator[Person]:
    chance = _chance(seed, _Purpose.OTHERS)
    while True:  # the caller stops when it has enough
        dice = _Dice(chance.getrandbits(_Dice.BITS))
        lot = _LOT_OF_THROW[dice.throw(1000)]
        if lot in _LINKED_LOTS:
            yield from _linked_lot(lot, numbers, dice)
        else:
            yield _single_lot(lot, numbers, dice)


def _single_lot(lot: _Lot, numbers: _Numbers, dice: _Dice) -> Person:
    series, register, gender = Series.NR, Register.NR, _sex(dice)
    if lot is _Lot.RAD:
        register = Register.RAD
    elif lot is _Lot.BIS_SEX_UNKNOWN:
        series, register = Series.BIS_SEX_UNKNOWN, Register.BIS
        if dice.throw(100) < _SEX_STILL_UNKNOWN_PERCENT:
            gender = Gender.UNKNOWN
    elif lot is _Lot.BIS_SEX_KNOWN or (lot is _Lot.CANCELED and dice.throw(2) == 0):
        series, register = Series.BIS_SEX_KNOWN, Register.BIS
    names = _names(dice, gender)
    if register is Register.BIS and dice.throw(100) < _NO_GIVEN_NAMES_PERCENT_BIS:
        names = (names[0], ())
    return _single_file(
        numbers,
        dice,
        series=series,
        register=register,
        gender=gender,
        status=FileStatus.CANCELED if lot is _Lot.CANCELED else FileStatus.ACTIVE,
        precision=_precision(register, dice),
        names=names,
        is_deceased=None,
    )


def _linked_lot(lot: _Lot, numbers: _Numbers, dice: _Dice) -> list[Person]:
    chains = _LONGER_CHAINS if lot is _Lot.CHAIN else _ONE_HOP_CHAINS
    links = chains[dice.throw(len(chains))]
    is_struck_off = links[-1] is Series.NR and dice.throw(100) < _STRUCK_OFF_PERCENT
    return _linked_files(
        numbers,
        dice,
        links=links,
        gender=_sex(dice),
        status=FileStatus.CANCELED if lot is _Lot.REPLACED_BY_CANCELED else FileStatus.ACTIVE,
        register=Register.RAD if is_struck_off else None,
        is_deceased=None,
    )


# -- scenarios ---------------------------------------------------------------------------------------------------------


def _scenario_files(numbers: _Numbers, seed: int) -> dict[str, list[Person]]:
    # The files of each scenario that has a person, newest first: the last one bears the number to ask with.
    chance = _chance(seed, _Purpose.SCENARIOS)

    def dice() -> _Dice:
        return _Dice(chance.getrandbits(_Dice.BITS))

    def single(
        series: Series,
        register: Register,
        gender: Gender,
        *,
        status: FileStatus = FileStatus.ACTIVE,
        precision: _Precision = _Precision.DAY,
        names: _Names | None = None,
        is_deceased: bool = False,
    ) -> list[Person]:
        return [
            _single_file(
                numbers,
                dice(),
                series=series,
                register=register,
                gender=gender,
                status=status,
                precision=precision,
                names=names,
                is_deceased=is_deceased,
            )
        ]

    def linked(links: _Chain, gender: Gender, status: FileStatus = FileStatus.ACTIVE) -> list[Person]:
        return _linked_files(numbers, dice(), links=links, gender=gender, status=status)

    man, woman = Gender.MALE, Gender.FEMALE
    incomplete = _Precision.YEAR if chance.getrandbits(1) else _Precision.MONTH
    nr, bis = Series.NR, Series.BIS_SEX_KNOWN
    return {
        "nr_active": single(nr, Register.NR, man),
        "bis_active": single(bis, Register.BIS, woman),
        "rad_active": single(nr, Register.RAD, woman),
        "deceased": single(nr, Register.NR, man, is_deceased=True),
        "incomplete_birth_date": single(nr, Register.NR, woman, precision=incomplete),
        "canceled": single(nr, Register.NR, man, status=FileStatus.CANCELED),
        "replaced": linked((bis, nr), man),
        "replaced_chain": linked(_LONGER_CHAINS[-1], woman),
        "replaced_by_canceled": linked((bis, nr), woman, FileStatus.CANCELED),
        "bis_sex_unknown": single(Series.BIS_SEX_UNKNOWN, Register.BIS, Gender.UNKNOWN),
        "accents": single(nr, Register.NR, woman, names=_accented_names(dice())),
        "no_given_names": single(bis, Register.BIS, man, names=(_names(dice(), man)[0], ())),
        "long_chain": linked(_LONG_CHAIN, man),
    }


def _scenarios(space: NumberSpace, seed: int) -> dict[str, Scenario]:
    numbers = _numbers_of(space, seed)
    unheld = numbers.unheld()
    # The next check number: the other century's lies 68 further (2 000 000 000 mod 97), so it fits neither.
    wrong_check = int(unheld[9:]) % 97 + 1
    scenarios = {
        "unknown": Scenario(ssin=unheld),
        "invalid_check": Scenario(ssin=f"{unheld[:9]}{wrong_check:02d}"),
    }
    for name, files in _scenario_files(numbers, seed).items():
        newest, asked = files[0], files[-1]
        is_accepted = newest.status is FileStatus.ACTIVE and name != "long_chain"
        scenarios[name] = Scenario(ssin=asked.ssin.digits, current=newest.ssin if is_accepted else None, person=asked)
    return {name: scenarios[name] for name in SCENARIO_NAMES}
