"""The sandbox's synthetic population: numbers that nobody bears, files of every kind, the same for one seed."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.be import bis, nn, ssn

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import FileStatus, Gender, Person, Register
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.ssin import InvalidSsin, Series, Ssin, check_digits
from cbss_inscription.sandbox import population as population_module
from cbss_inscription.sandbox.person_names import COMMUNITIES
from cbss_inscription.sandbox.population import (
    BIRTH_YEARS,
    PERSONS_MAX,
    PERSONS_MIN,
    SCENARIO_NAMES,
    NumberSpace,
    Population,
    Scenario,
    make_population,
)

SEEDS = st.integers(min_value=0, max_value=2**64)
SPACES = st.sampled_from(NumberSpace)
FEW_SEEDS = settings(max_examples=settings.default.max_examples * 3 // 8, deadline=None)
HOPS_MAX = 10  # rule 16


@pytest.fixture(scope="module", params=list(NumberSpace))
def space(request: pytest.FixtureRequest) -> NumberSpace:
    return NumberSpace(request.param)


@pytest.fixture(scope="module")
def persons(space: NumberSpace) -> list[Person]:
    return list(make_population(persons=20_000, seed=7, number_space=space).persons)


def birth_date_of(person: Person) -> IncompleteDate:
    assert person.birth_date is not None
    return person.birth_date


def is_of_century(ssin: Ssin, century: int) -> bool:
    return check_digits(ssin.digits[:9], century=century) == ssin.digits[9:]


def digest(persons: Iterable[Person]) -> str:
    lines = hashlib.sha256()
    for p in persons:
        parts = (
            p.ssin.digits,
            p.register,
            p.status,
            p.replaced_by.digits if p.replaced_by else "",
            p.last_name,
            "|".join(p.given_names),
            str(p.birth_date),
            str(int(p.gender)),
            str(p.decease_date or ""),
        )
        lines.update("\t".join(parts).encode() + b"\n")
    return lines.hexdigest()


# -- the same for one seed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number_space", "recorded"),
    [
        (NumberSpace.FUTURE, "1158c33b29c06e9a9b77a8b9a3aab0479dcfdf2c7e678ced9be6a16f2f31e4c8"),
        (NumberSpace.UNISSUED, "5fd32637cb37199e48c18a79b754d724d4460bd885c04d5dd41e249632d95aa1"),
    ],
)
def test_a_seed_gives_the_recorded_population(number_space: NumberSpace, recorded: str) -> None:
    """The first thousand files of seed 1 are those that were recorded, on every machine and every Python."""
    population = make_population(persons=1_000, seed=1, number_space=number_space)

    assert digest(population.persons) == recorded


def test_the_population_does_not_depend_on_the_hash_seed() -> None:
    """Another order of Python's sets and hashes gives the same population."""
    program = (
        "from cbss_inscription.sandbox.population import make_population as m;"
        "p = m(persons=300, seed=5); print([(x.ssin.digits, x.last_name, x.given_names) for x in p.persons],"
        " [(n, s.ssin) for n, s in p.scenarios.items()])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert len(outputs) == 1


@FEW_SEEDS
@given(seed=SEEDS, space=SPACES, smaller=st.integers(PERSONS_MIN, 400), more=st.integers(0, 400))
def test_a_larger_population_begins_with_the_smaller_one(
    seed: int, space: NumberSpace, smaller: int, more: int
) -> None:
    """For one seed and space a population only grows at its end, and its scenarios keep their numbers."""
    small = make_population(persons=smaller, seed=seed, number_space=space)
    large = make_population(persons=smaller + more, seed=seed, number_space=space)

    assert list(small.persons) == list(islice(large.persons, smaller))
    assert small.scenarios == large.scenarios


def test_persons_can_be_iterated_again_and_are_as_many_as_asked(space: NumberSpace) -> None:
    """The same files come on every iteration, exactly as many as were asked for."""
    population = make_population(persons=1_234, seed=3, number_space=space)

    assert list(population.persons) == list(population.persons)
    assert len(list(population.persons)) == len(population.persons) == 1_234


def test_the_space_may_be_given_by_its_word(space: NumberSpace) -> None:
    """A setting's plain text selects the same space as the enumeration's member."""
    by_word = make_population(persons=PERSONS_MIN, seed=1, number_space=cast("NumberSpace", str(space.value)))

    assert list(by_word.persons) == list(make_population(persons=PERSONS_MIN, seed=1, number_space=space).persons)


def test_two_seeds_give_two_populations() -> None:
    """Another seed gives other numbers and other names."""
    one, other = (list(make_population(persons=500, seed=seed).persons) for seed in (1, 2))

    assert digest(one) != digest(other)
    assert len({p.ssin for p in one} & {p.ssin for p in other}) < 5


# -- numbers ------------------------------------------------------------------------------------------


def test_rules_1_to_9_every_number_is_an_ssin(persons: list[Person]) -> None:
    """Every number parses as an SSIN, without the test flag for mock numbers."""
    for person in persons:
        assert Ssin.parse(person.ssin.digits) == person.ssin


def test_rule_11_no_number_comes_twice(persons: list[Person]) -> None:
    """Every file has a number of its own."""
    assert len({person.ssin for person in persons}) == len(persons)


@FEW_SEEDS
@given(seed=SEEDS, space=SPACES)
def test_rule_11_no_number_comes_twice_for_any_seed(seed: int, space: NumberSpace) -> None:
    """Whatever the seed, numbers are valid and unique, and the unheld ones stay unheld."""
    population = make_population(persons=1_500, seed=seed, number_space=space)
    numbers = {Ssin.parse(person.ssin.digits).digits for person in population.persons}

    assert len(numbers) == 1_500
    assert population.scenarios["unknown"].ssin not in numbers
    assert population.scenarios["invalid_check"].ssin not in numbers


@FEW_SEEDS
@given(seed=SEEDS, days=st.integers(1, 40), ranks=st.integers(1, 30))
def test_an_enumeration_comes_to_every_place_once_and_then_refuses(seed: int, days: int, ranks: int) -> None:
    """Every pair of day and rank comes once; one more is a usage error, never a number given twice."""
    known = tuple((digits, IncompleteDate(1940, 0, 0)) for digits in range(days))
    places = population_module._Places(known, ranks, random.Random(seed))

    taken = {(day[0], rank) for day, rank in (places.take() for _ in range(days * ranks))}

    assert taken == {(day, rank) for day in range(days) for rank in range(ranks)}
    with pytest.raises(UsageError, match="no number left"):
        places.take()


@given(bits=st.lists(st.integers(0, 1), min_size=400, max_size=400))
def test_sequences_of_two_ranks_never_meet(bits: list[int]) -> None:
    """Whatever chance says about the parity of numbers without a known sex, each rank has a sequence of its own."""
    sequences = [
        population_module._sequence(rank, Series.BIS_SEX_UNKNOWN, Gender.UNKNOWN, population_module._Dice(bit))
        for rank, bit in enumerate(bits)
    ]

    assert sequences == sorted(set(sequences))


def test_a_full_unissued_space_has_numbers_enough() -> None:
    """The largest population that the small space allows really has that many numbers."""
    persons = make_population(
        persons=PERSONS_MAX[NumberSpace.UNISSUED], seed=11, number_space=NumberSpace.UNISSUED
    ).persons

    assert len({person.ssin for person in persons}) == PERSONS_MAX[NumberSpace.UNISSUED]


def test_the_largest_future_population_stays_within_its_enumerations(monkeypatch: pytest.MonkeyPatch) -> None:
    """No enumeration of numbers runs out before PERSONS_MAX files: measured on a sample, with a tenth to spare."""
    made: list[population_module._FutureNumbers] = []
    real = population_module._FutureNumbers

    def recording(chance: random.Random) -> population_module._FutureNumbers:
        made.append(real(chance))
        return made[-1]

    monkeypatch.setattr(population_module, "_FutureNumbers", recording)
    sample = 40_000
    population = make_population(persons=sample, seed=2)
    for _ in population.persons:
        pass
    numbers = made[-1]

    places = [*numbers._single.values(), *numbers._linked.values()]
    used = [(place._size - place._left) / place._size for place in places]
    assert max(used) * PERSONS_MAX[NumberSpace.FUTURE] / sample < 0.9


@FEW_SEEDS
@given(seed=SEEDS)
def test_nobody_bears_a_number_of_the_space_future_before_2040(seed: int) -> None:
    """The check digits say born in 20yy, and yy is 40 or more: decision 0003."""
    for person in make_population(persons=1_000, seed=seed).persons:
        assert is_of_century(person.ssin, 2000)
        assert int(person.ssin.digits[:2]) in range(40, 100)


@FEW_SEEDS
@given(seed=SEEDS)
def test_no_counter_reaches_a_number_of_the_space_unissued(seed: int) -> None:
    """Either sequence 999 of the National Register, or a day from 20 on in month 00: decision 0003."""
    for person in make_population(persons=1_000, seed=seed, number_space=NumberSpace.UNISSUED).persons:
        digits = person.ssin.digits
        is_sequence_999 = person.ssin.series is Series.NR and digits[6:9] == "999"
        is_counter_day = int(digits[2:4]) % 20 == 0 and int(digits[4:6]) >= 20
        assert is_sequence_999 or is_counter_day
        assert is_of_century(person.ssin, 1900)


def test_python_stdnum_accepts_every_number_of_the_space_unissued() -> None:
    """A validator of other makers takes NR and BIS numbers for what they are, sex included."""
    population = make_population(persons=5_000, seed=4, number_space=NumberSpace.UNISSUED)

    for person in population.persons:
        validator = nn if person.ssin.series is Series.NR else bis
        other = bis if validator is nn else nn
        assert validator.is_valid(person.ssin.digits)
        assert ssn.is_valid(person.ssin.digits)
        assert not other.is_valid(person.ssin.digits)
        assert validator.get_birth_year(person.ssin.digits) == birth_date_of(person).year
        if person.ssin.series is not Series.BIS_SEX_UNKNOWN:
            assert validator.get_gender(person.ssin.digits) == ("M" if person.gender is Gender.MALE else "F")
    assert ssn.is_valid(population.scenarios["unknown"].ssin)
    assert not ssn.is_valid(population.scenarios["invalid_check"].ssin)


def test_python_stdnum_refuses_numbers_of_the_space_future_today() -> None:
    """A validator that asks the calendar takes no number of the default space for a real one.

    Fails from 2040 on, as it should: by then BIRTH_YEARS must have moved (decision 0003).
    """
    assert not any(ssn.is_valid(person.ssin.digits) for person in make_population(persons=500, seed=4).persons)


def test_the_number_agrees_with_the_birth_date(space: NumberSpace, persons: list[Person]) -> None:
    """The year always; in the default space month and day too, and 00 for what is unknown."""
    for person in persons:
        birth = birth_date_of(person)
        assert birth.year in BIRTH_YEARS
        assert IncompleteDate.parse(str(birth)) == birth
        assert int(person.ssin.digits[:2]) == birth.year % 100
        if space is NumberSpace.FUTURE:
            assert int(person.ssin.digits[2:4]) % 20 == birth.month
            assert int(person.ssin.digits[4:6]) == birth.day


def test_rule_12_registers_have_the_numbers_of_their_series(persons: list[Person]) -> None:
    """NR and RAD files bear NR numbers, BIS files BIS numbers."""
    for person in persons:
        assert (person.ssin.series is Series.NR) == (person.register in {Register.NR, Register.RAD})


def test_rule_10_parity_tells_the_sex_where_it_was_known(persons: list[Person]) -> None:
    """Odd is a man, even a woman; only a number given when the sex was unknown may go with an unknown one."""
    for person in persons:
        if person.ssin.series is not Series.BIS_SEX_UNKNOWN:
            assert person.gender is (Gender.MALE if int(person.ssin.digits[6:9]) % 2 else Gender.FEMALE)


# -- files ------------------------------------------------------------------------------------------


@FEW_SEEDS
@given(seed=SEEDS, space=SPACES, count=st.integers(PERSONS_MIN, 600))
def test_rules_15_and_16_replacements_lead_to_an_end(seed: int, space: NumberSpace, count: int) -> None:
    """A file is replaced exactly when it names a successor, which came before it: so no cycle, and no dangling end."""
    population = make_population(persons=count, seed=seed, number_space=space)
    hops: dict[Ssin, int] = {}
    for person in population.persons:
        assert (person.replaced_by is not None) == (person.status is FileStatus.REPLACED)
        hops[person.ssin] = 0 if person.replaced_by is None else hops[person.replaced_by] + 1

    assert [n for n in hops.values() if n > HOPS_MAX] == [HOPS_MAX + 1]


def test_replaced_files_show_the_same_person(persons: list[Person]) -> None:
    """Names, dates and sex of a replaced file are those of the file that replaces it."""
    by_ssin = {person.ssin: person for person in persons}
    for person in persons:
        if person.replaced_by is not None:
            successor = by_ssin[person.replaced_by]
            assert (person.last_name, person.given_names, person.birth_date, person.gender) == (
                successor.last_name,
                successor.given_names,
                successor.birth_date,
                successor.gender,
            )


def test_files_of_every_kind_are_there(persons: list[Person]) -> None:
    """Mostly active files of the National Register, and enough of everything else to be found."""
    by_ssin = {person.ssin: person for person in persons}
    share = Counter[str]()
    for p in persons:
        share[p.register] += 1
        share[p.status] += 1
        share[p.ssin.series] += 1
        share["nr and active"] += p.register is Register.NR and p.status is FileStatus.ACTIVE
        share["deceased"] += p.decease_date is not None
        share["decease incomplete"] += p.decease_date is not None and not p.decease_date.is_complete
        birth = birth_date_of(p)
        share["birth month unknown"] += birth.month == 0
        share["birth day unknown"] += birth.month != 0 and birth.day == 0
        share["sex unknown"] += p.gender is Gender.UNKNOWN
        share["woman"] += p.gender is Gender.FEMALE
        share["no given names"] += p.given_names == ()
        if p.replaced_by is not None:
            successor = by_ssin[p.replaced_by]
            share["replaced by canceled"] += successor.status is FileStatus.CANCELED
            share["replaced by replaced"] += successor.status is FileStatus.REPLACED
            share["bis to nr"] += p.ssin.series is not Series.NR and successor.ssin.series is Series.NR
    percent = {kind: 100 * count / len(persons) for kind, count in share.items()}

    assert 75 < percent["nr and active"] < 85
    assert 46 < percent["woman"] < 52
    assert 2 < percent["deceased"] < 7
    for kind, (low, high) in {
        Register.RAD: (6, 12),
        Register.BIS: (8, 16),
        Series.BIS_SEX_UNKNOWN: (1, 5),
        FileStatus.REPLACED: (3, 7),
        FileStatus.CANCELED: (1, 3),
        "replaced by canceled": (0.2, 1),
        "replaced by replaced": (0.5, 3),
        "bis to nr": (2, 6),
        "birth month unknown": (0.3, 2),
        "birth day unknown": (0.5, 3),
        "decease incomplete": (0.05, 1),
        "sex unknown": (0.5, 3),
        "no given names": (0.1, 1),
    }.items():
        assert low < percent[kind] < high, kind


def test_rule_24_nobody_dies_before_being_grown_up_or_in_the_future(persons: list[Person]) -> None:
    """Decease dates are dates, at least seventeen years after birth and before 2026."""
    for person in persons:
        if person.decease_date is not None:
            assert IncompleteDate.parse(str(person.decease_date)) == person.decease_date
            assert birth_date_of(person).year + 17 < person.decease_date.year < 2026


# -- names ------------------------------------------------------------------------------------------


def test_names_look_like_names(persons: list[Person]) -> None:
    """One last name, at most four different given names, in normal form C, of at most 256 characters."""
    for person in persons:
        assert len(person.given_names) <= 4
        assert len(set(person.given_names)) == len(person.given_names)
        for name in (person.last_name, *person.given_names):
            assert 0 < len(name) <= 256
            assert name == " ".join(name.split())
            assert unicodedata.is_normalized("NFC", name)
            assert all(character.isalpha() or character in " '-" for character in name)


def test_names_have_what_makes_real_names_difficult(persons: list[Person]) -> None:
    """Accents, apostrophes, prefixes, compounds, letters outside Latin-1, long names, several given names."""
    last_names = {person.last_name for person in persons}
    given_names = {name for person in persons for name in person.given_names}
    letters = {character for name in last_names | given_names for character in name}

    assert set("éèêëçïöüôâñäßœłıİşğțțễ") <= letters
    assert {"Van den Broeck", "De Smet", "d'Hondt", "D'Hondt", "Ben Ali", "Yılmaz", "Nguyễn", "O'Brien"} <= last_names
    assert {"Jean-Pierre", "Marie-Thérèse", "María del Carmen"} <= given_names
    assert max(len(name) for name in last_names) > 40
    assert {len(person.given_names) for person in persons} == {0, 1, 2, 3, 4}
    assert len({(person.last_name, person.given_names) for person in persons}) > 0.8 * len(persons)


def test_only_bis_files_lack_given_names(persons: list[Person]) -> None:
    """The National Register always knows a given name; the BIS register may not."""
    assert {p.register for p in persons if not p.given_names and p.status is FileStatus.ACTIVE} == {Register.BIS}


def test_the_communities_weights_are_percents_and_their_names_differ() -> None:
    """Weights add up to a hundred, and no list names a name twice."""
    assert sum(community.weight for community in COMMUNITIES.values()) == 100
    for community in COMMUNITIES.values():
        for names in (community.last_names, community.men, community.women):
            assert len(set(names)) == len(names) >= 12


# -- scenarios ------------------------------------------------------------------------------------------


def end_of(scenario: Scenario, population: Population) -> tuple[Person, int]:
    by_ssin = {person.ssin: person for person in population.persons}
    person, hops = by_ssin[Ssin.parse(scenario.ssin)], 0
    while person.replaced_by is not None:
        person, hops = by_ssin[person.replaced_by], hops + 1
    return person, hops


@FEW_SEEDS
@given(seed=SEEDS, space=SPACES)
def test_scenarios_are_what_their_names_say(seed: int, space: NumberSpace) -> None:
    """Each scenario's number stands in the smallest population with the state, register and legal data it promises."""
    population = make_population(persons=PERSONS_MIN, seed=seed, number_space=space)
    scenarios = population.scenarios
    persons = {name: scenario.person for name, scenario in scenarios.items() if scenario.person}

    assert tuple(scenarios) == SCENARIO_NAMES
    assert set(scenarios) - set(persons) == {"unknown", "invalid_check"}
    for name, person in persons.items():
        assert person in set(population.persons), name
        assert person.ssin.digits == scenarios[name].ssin
        end, hops = end_of(scenarios[name], population)
        is_accepted = end.status is FileStatus.ACTIVE and hops <= HOPS_MAX  # rules 16 and 17
        assert scenarios[name].current == (end.ssin if is_accepted else None), name

    active = {name for name, person in persons.items() if person.status is FileStatus.ACTIVE}
    assert active == {
        *("nr_active", "bis_active", "rad_active", "deceased", "incomplete_birth_date"),
        *("bis_sex_unknown", "accents", "no_given_names"),
    }
    assert persons["nr_active"].register is Register.NR
    assert birth_date_of(persons["nr_active"]).is_complete
    assert persons["bis_active"].register is persons["no_given_names"].register is Register.BIS
    assert persons["rad_active"].register is Register.RAD
    assert {name for name in active if persons[name].decease_date} == {"deceased"}
    assert {name for name in active if not birth_date_of(persons[name]).is_complete} == {"incomplete_birth_date"}
    assert persons["canceled"].status is FileStatus.CANCELED
    assert persons["bis_sex_unknown"].gender is Gender.UNKNOWN
    assert persons["bis_sex_unknown"].ssin.series is Series.BIS_SEX_UNKNOWN
    assert persons["no_given_names"].given_names == ()
    assert not persons["accents"].last_name.isascii()
    assert len(persons["accents"].given_names) == 3
    assert not any(name.isascii() for name in persons["accents"].given_names)

    ends = {name: end_of(scenarios[name], population) for name in persons}
    assert {name: hops for name, (_, hops) in ends.items() if hops} == {
        "replaced": 1,
        "replaced_chain": 3,
        "replaced_by_canceled": 1,
        "long_chain": HOPS_MAX + 1,
    }
    assert ends["replaced_by_canceled"][0].status is FileStatus.CANCELED


@FEW_SEEDS
@given(seed=SEEDS, space=SPACES)
def test_numbers_without_a_person(seed: int, space: NumberSpace) -> None:
    """`unknown` is a valid number of the space, on a day when nobody is born; `invalid_check` has a wrong check."""
    scenarios = make_population(persons=PERSONS_MIN, seed=seed, number_space=space).scenarios

    unknown = Ssin.parse(scenarios["unknown"].ssin)
    assert unknown.digits[2:6] == "1231"
    assert is_of_century(unknown, 2000 if space is NumberSpace.FUTURE else 1900)
    with pytest.raises(InvalidSsin) as caught:
        Ssin.parse(scenarios["invalid_check"].ssin)
    assert caught.value.reason == "check"


def test_no_number_of_a_population_is_of_31_december(persons: list[Person]) -> None:
    """No population ever holds a number of 31 December, so that `unknown` is unknown for every seed."""
    assert not any(int(p.ssin.digits[2:4]) % 20 == 12 and p.ssin.digits[4:6] == "31" for p in persons)


def test_sec_74_a_scenario_shows_neither_number_nor_name() -> None:
    """The repr of a scenario and of a population hides numbers and names."""
    population = make_population(persons=PERSONS_MIN, seed=1)
    scenario = population.scenarios["nr_active"]

    shown = repr(scenario) + repr(population)
    assert scenario.ssin not in shown
    assert scenario.person is not None
    assert scenario.person.last_name not in shown


# -- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("persons", "seed", "number_space", "sentence"),
    [
        (PERSONS_MIN - 1, 1, NumberSpace.FUTURE, "at least 100 persons"),
        (PERSONS_MAX[NumberSpace.FUTURE] + 1, 1, NumberSpace.FUTURE, "'future' has numbers for 12000000 persons"),
        (PERSONS_MAX[NumberSpace.UNISSUED] + 1, 1, NumberSpace.UNISSUED, "'unissued' has numbers for 40000 persons"),
        (PERSONS_MIN, -1, NumberSpace.FUTURE, "seed of a population is 0 or more"),
    ],
)
def test_impossible_populations_are_refused(persons: int, seed: int, number_space: NumberSpace, sentence: str) -> None:
    """Too few, too many, or a negative seed is a usage error that says what is possible."""
    with pytest.raises(UsageError, match=sentence):
        make_population(persons=persons, seed=seed, number_space=number_space)
