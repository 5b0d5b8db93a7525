"""The life of a number on a real database: every event, every refusal, what is recorded and who is told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbss_inscription.domain.errors import RepertoryUnavailable, TemporarilyUnavailable
from cbss_inscription.domain.legal_data import FileStatus, Gender, LegalData, Person, Register
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.person_search import CANDIDATES_MAX, GivenNameMode, PhoneticCriteria
from cbss_inscription.domain.phonetics import phonetic_key
from cbss_inscription.domain.ssin import Ssin, check_digits
from cbss_inscription.registers.life import (
    Candidates,
    Done,
    NumberIssue,
    NumberLife,
    RefusalReason,
    Refused,
)
from cbss_inscription.registers.port import PersonRegister
from cbss_inscription.registers.resolution import HOPS_MAX, Found, resolve
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.life import OpenedFiles, StoredFiles
from cbss_inscription.storage.migration import make_phonetic_keys
from cbss_inscription.storage.persons import StoredPersons
from tests.conftest import FoundDataAnomalies

T = TypeVar("T")
OPERATOR = "an operator"
LONG_AGO = datetime(2020, 5, 1, 12, 0, 0, 123000, tzinfo=UTC)
TODAY = datetime.now(UTC).date()
KSZ = frozenset({Register.BIS, Register.RAD})


def number(index: int, *, month: int = 1) -> Ssin:
    """A number of 2080: NR, or BIS with its month 41."""
    first_nine = f"80{month:02d}01{index:03d}"
    return Ssin.parse(first_nine + check_digits(first_nine, century=2000))


def bis(index: int) -> Ssin:
    return number(index, month=41)


def person(ssin: Ssin, **changes: Any) -> Person:
    """An active file of the register that its number suggests."""
    register = Register.BIS if ssin.digits[2] == "4" else Register.NR
    status = FileStatus.REPLACED if "replaced_by" in changes else FileStatus.ACTIVE
    values: dict[str, Any] = {"register": register, "status": status, "last_name": "Peeters", "given_names": ("Jan",)}
    return Person(ssin=ssin, **values | changes)


class Unreachable:
    """A register that does not answer."""

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        raise RepertoryUnavailable("national-register")

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        raise RepertoryUnavailable("national-register")


@dataclass
class FilesElsewhere:
    """A National Register that is not in our store."""

    files: dict[Ssin, Person] = field(default_factory=dict)

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        chain: list[Person] = []
        here: Ssin | None = ssin
        while here in self.files and len(chain) < hops_max + 2:
            chain.append(self.files[here])
            here = chain[-1].replaced_by
        return tuple(chain)

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        key = phonetic_key(criteria.last_name)
        return tuple(file for file in self.files.values() if phonetic_key(file.last_name) == key)


@dataclass
class Both:
    """Our own store first, then the National Register."""

    ours: PersonRegister
    national_register: PersonRegister

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        chain = await self.ours.chain_of(ssin, hops_max=hops_max)
        following = chain[-1].replaced_by if chain else ssin
        if following is None:
            return chain
        return chain + await self.national_register.chain_of(following, hops_max=hops_max - len(chain))

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        return await self.ours.like(criteria) + await self.national_register.like(criteria)


@dataclass
class World:
    """A store, what happens to its files, and a look behind the scenes."""

    conninfo: str
    runner: asyncio.Runner
    database: Database
    behind: psycopg.Connection[Any]
    anomalies: FoundDataAnomalies = field(default_factory=FoundDataAnomalies)

    def life(self, **changes: Any) -> NumberLife:
        arguments: dict[str, Any] = {
            "files": StoredFiles(self.database),
            "registers": StoredPersons(self.database),
            "national_register": StoredPersons(self.database, registers={Register.NR}),
            "ours": frozenset(Register),
            "data_anomalies": self.anomalies,
        }
        return NumberLife(**arguments | changes)

    def life_beside(self, national_register: PersonRegister) -> NumberLife:
        """The life of BIS and RAD files when the National Register is elsewhere."""
        ours = StoredPersons(self.database, registers=KSZ)
        return self.life(registers=Both(ours, national_register), national_register=national_register, ours=KSZ)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def hold(self, *persons: Person) -> None:
        with self.behind.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO person (ssin, register, status, replaced_by, last_name, given_names, birth_date,"
                " gender_code, decease_date, register_inception_date, phonetic_key)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (
                        file.ssin.number,
                        file.register.value,
                        file.status.value,
                        file.replaced_by.number if file.replaced_by else None,
                        file.last_name,
                        list(file.given_names),
                        str(file.birth_date) if file.birth_date else None,
                        int(file.gender),
                        str(file.decease_date) if file.decease_date else None,
                        file.register_inception_date,
                        phonetic_key(file.last_name),
                    )
                    for file in persons
                ],
            )

    def draw(self, ssin: Ssin, customer: str, context: str, periods: str, *times: datetime) -> None:
        """Lines, as if a customer had declared them."""
        self.behind.execute(
            "INSERT INTO inscription SELECT %s, %s, %s, %s::datemultirange, coalesce(%s::timestamptz[],"
            " array_fill(%s::timestamptz, ARRAY[period_count(%s::datemultirange)]))",
            (ssin.number, customer, context, periods, list(times) or None, LONG_AGO, periods),
        )

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.behind.execute(sql.encode(), parameters).fetchall()

    def lines(self, ssin: Ssin) -> list[tuple[str, str, str]]:
        return self.rows(
            "SELECT customer, inscription_context, periods::text FROM inscription WHERE ssin = %s"
            " ORDER BY customer, inscription_context",
            ssin.number,
        )

    def file(self, ssin: Ssin) -> Person:
        return self.run(StoredPersons(self.database).chain_of(ssin, hops_max=0))[0]

    def mutations(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT customer, sequence_number, event, ssin, current_ssin, inscription_contexts FROM mutation"
            " ORDER BY customer, sequence_number"
        )

    def everything(self) -> list[list[tuple[Any, ...]]]:
        """All that an event can write, to see that one wrote nothing."""
        tables = ("person", "person_history", "inscription", "inscription_history", "replacement", "mutation")
        return [self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in (*tables, "mutation_counter")]


@pytest.fixture
def world(fresh_database: str) -> Iterator[World]:
    with asyncio.Runner() as runner, psycopg.connect(fresh_database, autocommit=True) as behind:
        database = Database(fresh_database, connections_max=6)
        runner.run(database.open())
        yield World(conninfo=fresh_database, runner=runner, database=database, behind=behind)
        runner.run(database.close())


def refused(reason: RefusalReason) -> Refused:
    return Refused(reason=reason)


# -- making ------------------------------------------------------------------------------------------------------------

JAN = LegalData(
    last_name="Vandenberghe",
    given_names=("Jan", "Karel"),
    birth_date=IncompleteDate(1985, 7, 30),
    gender=Gender.MALE,
)


def test_rule_12_a_bis_file_is_made_with_its_number_and_history(world: World) -> None:
    """A BIS file has a number of month + 40, an inception date, and one row of history; nobody is told (rule 12)."""
    done = world.run(world.life().create(JAN, operator=OPERATOR))
    assert isinstance(done, Done)
    assert done.ssin.digits == "85473000104"[:9] + check_digits("854730001", century=1900)
    made = world.file(done.ssin)
    assert made == Person(
        ssin=done.ssin,
        register=Register.BIS,
        status=FileStatus.ACTIVE,
        last_name="Vandenberghe",
        given_names=("Jan", "Karel"),
        birth_date=IncompleteDate(1985, 7, 30),
        gender=Gender.MALE,
        register_inception_date=done.recorded_at.date(),
    )
    [(event, before, after, changed_at, ticket, operator)] = world.rows(
        "SELECT event, before, after, changed_at, ticket_cbss, operator FROM person_history WHERE ssin = %s",
        done.ssin.number,
    )
    assert (event, before, changed_at, ticket, operator) == (
        "created",
        None,
        done.recorded_at,
        done.ticket_cbss,
        OPERATOR,
    )
    assert after["last_name"] == "Vandenberghe"
    assert after["phonetic_key"] == phonetic_key("Vandenberghe")
    assert world.mutations() == []


def test_rule_12_a_national_register_file_has_no_inception_date(world: World) -> None:
    """A file made in the National Register bears its series, and no inception date; RAD files are not made (12)."""
    done = world.run(world.life().create(JAN, register=Register.NR, operator=OPERATOR))
    assert isinstance(done, Done)
    assert done.ssin.digits[:9] == "850730001"
    assert world.file(done.ssin).register_inception_date is None
    assert world.run(world.life().create(JAN, register=Register.RAD, operator=OPERATOR)) == refused(
        RefusalReason.OTHER_REGISTER
    )
    assert world.run(world.life(ours=KSZ).create(JAN, register=Register.NR, operator=OPERATOR)) == refused(
        RefusalReason.NOT_OURS
    )


def test_rule_22_a_likely_person_prevents_a_new_file(world: World) -> None:
    """A phonetic match in any register creates nothing and gives the persons found (rule 22)."""
    found = person(number(1), last_name="Van den Berge", birth_date=IncompleteDate(1985, 7, 0))
    world.hold(found, person(number(3), last_name="Vermeulen"))
    before = world.everything()
    assert world.run(world.life().create(JAN, operator=OPERATOR)) == Candidates(persons=(found,))
    assert world.everything() == before


@pytest.mark.parametrize(
    "other",
    [
        {"last_name": "Vermeulen"},
        {"given_names": ("Koen",)},
        {"birth_date": IncompleteDate(1985, 7, 29)},
        {"birth_date": IncompleteDate(1985, 8, 0)},
        {"birth_date": IncompleteDate(1984, 0, 0)},
        {"gender": Gender.FEMALE},
        {"status": FileStatus.CANCELED},
        {"replaced_by": number(9)},
    ],
)
def test_rule_22_an_unlike_or_ended_file_does_not_count(world: World, other: dict[str, Any]) -> None:
    """Who differs in a known datum, or whose file is not active, is no match (rule 22)."""
    like = {"last_name": "Vandenberg", "birth_date": IncompleteDate(1985, 7, 30), "gender": Gender.MALE}
    world.hold(person(number(1), **like | other))
    assert isinstance(world.run(world.life().create(JAN, operator=OPERATOR)), Done)


@pytest.mark.parametrize(
    "unknown",
    [{"given_names": ()}, {"birth_date": None}, {"birth_date": IncompleteDate(1985, 0, 0)}, {"gender": Gender.UNKNOWN}],
)
def test_rule_22_what_a_file_does_not_know_excludes_nobody(world: World, unknown: dict[str, Any]) -> None:
    """A file without given names, birth date or sex may be that of the person (rule 22)."""
    like = {"last_name": "Vandenberg", "birth_date": IncompleteDate(1985, 7, 30), "gender": Gender.MALE}
    world.hold(person(number(1), **like | unknown))
    assert isinstance(world.run(world.life().create(JAN, operator=OPERATOR)), Candidates)


def test_rule_22_candidates_are_bounded_and_in_order(world: World) -> None:
    """At most 50 candidates come, in the order of their numbers, from however many files (rule 22)."""
    names = itertools.cycle([("Jan",), ("Piet",), ()])
    world.hold(*(person(number(index), given_names=next(names)) for index in range(1, 998)))
    criteria = PhoneticCriteria(last_name="Peters", given_names=("Johan",))
    found = world.run(StoredPersons(world.database).like(criteria))
    assert len(found) == CANDIDATES_MAX
    assert [file.ssin for file in found] == [number(index) for index in range(1, 998) if index % 3 != 2][:50]
    complete = replace(criteria, given_name_mode=GivenNameMode.COMPLETE_FIRST_GIVENNAME)
    assert {file.given_names for file in world.run(StoredPersons(world.database).like(complete))} == {()}


def test_rule_22_files_from_before_phonetic_keys_are_found_once_migrated(world: World) -> None:
    """Files from before migration 0002 have no key: `migrate` makes them, and only alike ones match (rule 22)."""
    world.hold(person(number(1)), person(number(3), last_name="Maes"))
    world.behind.execute("UPDATE person SET phonetic_key = NULL")
    assert make_phonetic_keys(world.conninfo) == 2
    found = world.run(StoredPersons(world.database).like(PhoneticCriteria(last_name="Peters")))
    assert [file.ssin for file in found] == [number(1)]


def test_ti000_the_national_register_compares_with_its_own_files(world: World) -> None:
    """A file of the National Register is made although KSZ knows such a person: BIS persons get numbers so (TI000)."""
    world.hold(person(bis(1), last_name="Vandenberg"))
    assert isinstance(world.run(world.life().create(JAN, operator=OPERATOR)), Candidates)
    assert isinstance(world.run(world.life().create(JAN, register=Register.NR, operator=OPERATOR)), Done)


def test_rule_22_a_silent_register_prevents_a_new_file(world: World) -> None:
    """When a register does not answer, no file is made, for nobody knows who is known there (rules 22, 54)."""
    before = world.everything()
    with pytest.raises(RepertoryUnavailable):
        world.run(world.life_beside(Unreachable()).create(JAN, operator=OPERATOR))
    assert world.everything() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"last_name": None}, RefusalReason.NAMES),
        ({"last_name": ""}, RefusalReason.NAMES),
        ({"last_name": " Peeters"}, RefusalReason.NAMES),
        ({"last_name": "Pee\0ters"}, RefusalReason.NAMES),
        ({"last_name": "P" * 257}, RefusalReason.NAMES),
        ({"given_names": ("Jan",) * 15}, RefusalReason.NAMES),
        ({"given_names": ("",)}, RefusalReason.NAMES),
        ({"birth_date": IncompleteDate.of_date(TODAY + timedelta(days=2))}, RefusalReason.FUTURE_DATE),
        ({"birth_date": IncompleteDate(TODAY.year + 1, 0, 0)}, RefusalReason.FUTURE_DATE),
    ],
)
def test_a_file_needs_sound_data(world: World, changes: dict[str, Any], reason: RefusalReason) -> None:
    """Names that are none and births to come are refused; nothing is written."""
    assert world.run(world.life().create(replace(JAN, **changes), operator=OPERATOR)) == refused(reason)
    assert world.rows("SELECT FROM person") == []


def test_kb91_the_national_register_must_know_the_sex(world: World) -> None:
    """Without a sex the National Register has no number to give: its parity tells it (KB91 art. 3)."""
    unknown = replace(JAN, gender=Gender.UNKNOWN)
    life = world.life()
    assert world.run(life.create(unknown, register=Register.NR, operator=OPERATOR)) == refused(RefusalReason.GENDER)
    assert isinstance(world.run(life.create(unknown, operator=OPERATOR)), Done)


def names_apart(count: int) -> list[str]:
    """Last names that do not sound alike."""
    letters = "BFKLMNPRST"
    return ["".join(f"{letters[int(digit)]}a" for digit in f"{index:04d}") for index in range(count)]


def test_rule_11_numbers_are_gapless_and_never_given_twice_at_once(world: World) -> None:
    """Many connections making files of one birth date at a time get the counter's numbers, each once (rule 11)."""

    async def make_all() -> list[Done | Candidates | Refused]:
        databases = [Database(world.conninfo, connections_max=2) for _ in range(4)]
        try:
            for database in databases:
                await database.open()
            lives = [
                world.life(files=StoredFiles(database), registers=StoredPersons(database)) for database in databases
            ]
            births = [replace(JAN, last_name=name) for name in names_apart(24)]
            return await asyncio.gather(
                *(lives[index % 4].create(birth, operator=OPERATOR) for index, birth in enumerate(births))
            )
        finally:
            for database in databases:
                await database.close()

    outcomes = world.run(make_all())
    digits = sorted(done.ssin.digits for done in outcomes if isinstance(done, Done))
    assert [text[:9] for text in digits] == [f"854730{sequence:03d}" for sequence in range(1, 48, 2)]


def test_rule_22_of_two_who_make_the_same_file_at_once_one_does(world: World) -> None:
    """The search and the making are one: two at a time cannot both find nobody (rule 22)."""

    async def make_both() -> list[Done | Candidates | Refused]:
        life = world.life()
        return await asyncio.gather(*(life.create(JAN, operator=OPERATOR) for _ in range(6)))

    outcomes = world.run(make_both())
    assert [type(outcome) for outcome in outcomes].count(Done) == 1
    assert [type(outcome) for outcome in outcomes].count(Candidates) == 5


def test_rule_11_a_canceled_number_is_not_given_again(world: World) -> None:
    """The number of a canceled or replaced file stays taken (rule 11)."""
    life = world.life()
    first = world.run(life.create(JAN, operator=OPERATOR))
    assert isinstance(first, Done)
    assert isinstance(world.run(life.cancel(first.ssin, operator=OPERATOR)), Done)
    second = world.run(life.create(JAN, operator=OPERATOR))
    assert isinstance(second, Done)
    assert second.ssin.digits[:9] == "854730003"


def test_domain_1_2_a_counter_that_runs_out_goes_on_elsewhere(world: World) -> None:
    """After 998 numbers of a date come YY0000, then the sixth digit; then there are none, and nothing is made (1.2)."""

    def fill(digits: str) -> None:
        for sequence in range(1, 999):
            first_nine = f"{digits}{sequence:03d}"
            world.behind.execute(
                "INSERT INTO person VALUES (%s::bigint, 'bis', 'active', NULL, '-', '{}', NULL, 0, NULL, NULL, NULL)",
                (int(first_nine + check_digits(first_nine, century=1900)),),
            )

    life = world.life()
    fill("854730")
    done = world.run(life.create(JAN, operator=OPERATOR))
    assert isinstance(done, Done)
    assert done.ssin.digits[:9] == "854000001"
    world.behind.execute("DELETE FROM person WHERE ssin = %s", (done.ssin.number,))
    for last in range(9):
        fill(f"85400{last}")
    done = world.run(life.create(JAN, operator=OPERATOR))
    assert isinstance(done, Done)
    assert done.ssin.digits[:9] == "854009001"
    world.behind.execute("DELETE FROM person WHERE ssin = %s", (done.ssin.number,))
    fill("854009")
    assert world.run(life.create(JAN, operator=OPERATOR)) == refused(RefusalReason.NO_NUMBER)


def test_decision_0003_synthetic_numbers_are_ones_that_nobody_bears(world: World) -> None:
    """In a sandbox a birth of 1940-1999 gets the check digits of the next century (docs/decisions/0003)."""
    done = world.run(world.life(number_issue=NumberIssue.NOBODY).create(JAN, operator=OPERATOR))
    assert isinstance(done, Done)
    assert done.ssin.digits == "854730001" + check_digits("854730001", century=2000)


# -- replacing ---------------------------------------------------------------------------------------------------------


def test_rule_19_all_lines_go_to_the_new_number_at_once(world: World) -> None:
    """Lines of both numbers become their union; unchanged lines keep their time, merged ones get the event's (19)."""
    old, new = bis(1), number(1)
    newer = LONG_AGO + timedelta(days=9)
    world.hold(person(old), person(new))
    world.draw(old, "17/1", "AB", "{[2020-01-01,2020-02-01),[2021-01-01,2021-02-01)}", LONG_AGO, LONG_AGO)
    world.draw(new, "17/1", "AB", "{[2020-01-01,2020-02-01),[2021-02-01,)}", newer, newer)
    world.draw(old, "17/1", "CD", "{[2024-01-01,)}")
    world.draw(new, "17/1", "EF", "{[2023-01-01,2023-06-01)}")
    world.draw(old, "17/1", "GH", "{}")
    world.draw(old, "0123456789", "AB", "{[1999-01-01,1999-02-01)}")
    world.draw(new, "5/5", "AB", "{[2024-01-01,)}")

    done = world.run(world.life().replace(old, new, operator=OPERATOR))
    assert isinstance(done, Done)
    assert (done.current_ssin, done.lines, done.mutations) == (new, 4, 2)
    assert world.lines(old) == [
        ("0123456789", "AB", "{}"),
        ("17/1", "AB", "{}"),
        ("17/1", "CD", "{}"),
        ("17/1", "GH", "{}"),
    ]
    assert world.lines(new) == [
        ("0123456789", "AB", "{[1999-01-01,1999-02-01)}"),
        ("17/1", "AB", "{[2020-01-01,2020-02-01),[2021-01-01,)}"),
        ("17/1", "CD", "{[2024-01-01,)}"),
        ("17/1", "EF", "{[2023-01-01,2023-06-01)}"),
        ("5/5", "AB", "{[2024-01-01,)}"),
    ]
    [[changes]] = world.rows(
        "SELECT last_changes FROM inscription WHERE ssin = %s AND customer = '17/1' AND inscription_context = 'AB'",
        new.number,
    )
    assert changes == [newer, done.recorded_at]
    assert world.mutations() == [
        ("0123456789", 1, "replaced", old.number, new.number, ["AB"]),
        ("17/1", 1, "replaced", old.number, new.number, ["AB", "CD"]),
    ]
    assert world.rows("SELECT ssin, replaced_by, replaced_at, ticket_cbss FROM replacement") == [
        (old.number, new.number, done.recorded_at, done.ticket_cbss)
    ]
    history = world.rows(
        "SELECT ssin, customer, inscription_context, before::text, after::text FROM inscription_history"
        " WHERE operation = 'replaceSsin' AND ticket_cbss = %s AND changed_at = %s AND legal_context IS NULL"
        " ORDER BY customer, inscription_context, ssin DESC",
        done.ticket_cbss,
        done.recorded_at,
    )
    assert history == [
        (old.number, "0123456789", "AB", "{[1999-01-01,1999-02-01)}", "{}"),
        (new.number, "0123456789", "AB", "{}", "{[1999-01-01,1999-02-01)}"),
        (old.number, "17/1", "AB", "{[2020-01-01,2020-02-01),[2021-01-01,2021-02-01)}", "{}"),
        (new.number, "17/1", "AB", "{[2020-01-01,2020-02-01),[2021-02-01,)}", world.lines(new)[1][2]),
        (old.number, "17/1", "CD", "{[2024-01-01,)}", "{}"),
        (new.number, "17/1", "CD", "{}", "{[2024-01-01,)}"),
    ]
    assert (world.file(old).status, world.file(old).replaced_by) == (FileStatus.REPLACED, new)
    assert world.rows("SELECT event, before ->> 'status', after ->> 'status' FROM person_history") == [
        ("replaced", "active", "replaced")
    ]


@pytest.fixture(scope="module")
def lasting_world(module_database: str) -> Iterator[World]:
    """A world for many examples, each with numbers of its own."""
    with asyncio.Runner() as runner, psycopg.connect(module_database, autocommit=True) as behind:
        database = Database(module_database, connections_max=2)
        runner.run(database.open())
        yield World(conninfo=module_database, runner=runner, database=database, behind=behind)
        runner.run(database.close())


Lines = dict[tuple[int, int], int]
"""First and last day of each line, and how many days after LONG_AGO it came to be so."""
DAYS = 24
KEYS = [("1/1", "AB"), ("1/1", "CD"), ("1/2", "AB")]
_pairs = itertools.count(1, 2)


def runs_of(days: set[int]) -> list[tuple[int, int]]:
    """The days as lines: as few as possible, in their order."""
    runs: list[tuple[int, int]] = []
    for day in sorted(days):
        if runs and runs[-1][1] == day - 1:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


LINES = st.sets(st.integers(0, DAYS - 1)).flatmap(
    lambda days: st.tuples(*(st.integers(0, 9) for _ in runs_of(days))).map(
        lambda times: dict(zip(runs_of(days), times, strict=True))
    )
)
LINE_SETS = st.dictionaries(st.sampled_from(KEYS), LINES, max_size=len(KEYS))


def days_of(lines: Lines) -> set[int]:
    return {day for first, last in lines for day in range(first, last + 1)}


@settings(deadline=None, max_examples=settings.default.max_examples * 3 // 2)
@given(former=LINE_SETS, present=LINE_SETS)
def test_rule_19_moved_lines_are_what_a_union_of_days_gives(
    lasting_world: World, former: dict[tuple[str, str], Lines], present: dict[tuple[str, str], Lines]
) -> None:
    """No day is lost and none is won; a line that stood so keeps its latest time, any other has the event's (19)."""
    index = next(_pairs)
    old, new = bis(index), number(index)
    lasting_world.hold(person(old), person(new))
    for ssin, line_sets in ((old, former), (new, present)):
        for (customer, context), lines in line_sets.items():
            periods = ",".join(
                f"[{date(2024, 1, 1) + timedelta(days=first)},{date(2024, 1, 2) + timedelta(days=last)})"
                for first, last in lines
            )
            times = [LONG_AGO + timedelta(days=days) for days in lines.values()]
            lasting_world.draw(ssin, customer, context, f"{{{periods}}}", *times)

    done = lasting_world.run(lasting_world.life().replace(old, new, operator=OPERATOR))
    assert isinstance(done, Done)
    assert done.lines == sum(map(len, former.values()))
    assert done.mutations == len({customer for (customer, _), lines in former.items() if lines})

    expected = {}
    for key in former.keys() | present.keys():
        here, there = former.get(key, {}), present.get(key, {})
        expected[key] = [
            (
                line,
                LONG_AGO + timedelta(days=max(lines[line] for lines in (here, there) if line in lines))
                if line in here or line in there
                else done.recorded_at,
            )
            for line in runs_of(days_of(here) | days_of(there))
        ]
    rows = lasting_world.rows(
        "SELECT customer, inscription_context, lower(period) - '2024-01-01'::date, upper(period) - '2024-01-02'::date,"
        " last_change FROM inscription CROSS JOIN LATERAL ROWS FROM (unnest(periods), unnest(last_changes))"
        " AS line (period, last_change) WHERE ssin = %s ORDER BY 1, 2, 3",
        new.number,
    )
    found: dict[tuple[str, str], list[tuple[tuple[int, int], datetime]]] = {key: [] for key in expected}
    for customer, context, first, last, last_change in rows:
        found[customer, context].append(((first, last), last_change))
    assert found == expected
    assert {periods for _, _, periods in lasting_world.lines(old)} <= {"{}"}


def test_rule_19_a_chain_ends_where_the_lines_go(world: World) -> None:
    """When the new number is itself replaced, the lines go to the end of the chain; the file names the new (16, 19)."""
    world.hold(person(bis(1)), person(number(1), replaced_by=number(3)), person(number(3)))
    world.draw(bis(1), "17/1", "AB", "{[2024-01-01,)}")
    done = world.run(world.life().replace(bis(1), number(1), operator=OPERATOR))
    assert isinstance(done, Done)
    assert done.current_ssin == number(3)
    assert world.file(bis(1)).replaced_by == number(1)
    assert world.lines(number(3)) == [("17/1", "AB", "{[2024-01-01,)}")]
    assert world.lines(number(1)) == []
    assert world.rows("SELECT replaced_by FROM replacement") == [(number(3).number,)]
    assert world.mutations() == [("17/1", 1, "replaced", bis(1).number, number(3).number, ["AB"])]


def test_rule_19_a_second_replacement_carries_on_what_the_first_brought(world: World) -> None:
    """Lines follow their person from number to number, and each holder is told once each time (rule 19)."""
    world.hold(person(bis(1)), person(number(1)), person(number(3)))
    world.draw(bis(1), "17/1", "AB", "{[2024-01-01,)}")
    life = world.life()
    for old, new in ((bis(1), number(1)), (number(1), number(3))):
        assert isinstance(world.run(life.replace(old, new, operator=OPERATOR)), Done)
    assert world.lines(number(3)) == [("17/1", "AB", "{[2024-01-01,)}")]
    assert world.rows("SELECT last_changes FROM inscription WHERE ssin = %s", number(3).number) == [([LONG_AGO],)]
    assert [row[1:4] for row in world.mutations()] == [
        (1, "replaced", bis(1).number),
        (2, "replaced", number(1).number),
    ]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (number(11), number(1), RefusalReason.UNKNOWN),
        (number(2), number(1), RefusalReason.NOT_ACTIVE),  # replaced already
        (number(5), number(1), RefusalReason.NOT_ACTIVE),  # canceled
        (number(1), number(11), RefusalReason.SUCCESSOR_UNKNOWN),
        (number(1), number(5), RefusalReason.SUCCESSOR_NOT_ACTIVE),
        (number(1), number(6), RefusalReason.SUCCESSOR_NOT_ACTIVE),  # replaced by a canceled one
        (number(1), number(7), RefusalReason.SUCCESSOR_NOT_ACTIVE),  # its successor is missing
        (number(3), number(8), RefusalReason.SUCCESSOR_NOT_ACTIVE),  # a loop of two others
        (number(1), number(1), RefusalReason.LOOP),
        (number(1), number(2), RefusalReason.LOOP),
    ],
)
def test_rules_15_and_16_what_cannot_be_replaced(world: World, old: Ssin, new: Ssin, reason: RefusalReason) -> None:
    """Only an active file is replaced, and only by a number that leads to another active file (rules 15 to 17)."""
    world.hold(
        person(number(1)),
        person(number(2), replaced_by=number(1)),
        person(number(3)),
        person(number(5), status=FileStatus.CANCELED),
        person(number(6), replaced_by=number(5)),
        person(number(7), replaced_by=number(11)),
        person(number(8), replaced_by=number(9)),
        person(number(9), replaced_by=number(8)),
    )
    world.draw(old, "17/1", "AB", "{[2024-01-01,)}")
    before = world.everything()
    outcome = world.run(world.life().replace(old, new, operator=OPERATOR))
    assert outcome == refused(reason)
    assert isinstance(outcome, Refused)
    assert outcome.sentence.endswith(".")
    assert world.everything() == before
    broken = {number(7): ["broken"], number(8): ["loop"]}.get(new, [])
    assert world.anomalies.reasons == (["loop"] if reason is RefusalReason.LOOP else broken)


@pytest.mark.parametrize("hops_after", range(HOPS_MAX + 1))
def test_rule_16_the_longest_chain_is_exactly_ten_replacements(world: World, hops_after: int) -> None:
    """A replacement that makes a chain of ten is done, one of eleven is refused, wherever it joins them (rule 16)."""
    hops_before = HOPS_MAX - 1 - hops_after
    after = [number(100 + index) for index in range(hops_after + 1)]
    world.hold(*(person(one, replaced_by=other) for one, other in itertools.pairwise(after)), person(after[-1]))
    life = world.life()
    for hops, expected in ((hops_before + 1, False), (hops_before, True)):
        if hops < 0:
            continue
        before = [number(300 + 20 * hops + index) for index in range(hops + 1)]
        short = number(700 + hops)  # another, shorter chain to the same number decides nothing
        world.hold(*(person(one, replaced_by=other) for one, other in itertools.pairwise(before)), person(before[-1]))
        world.hold(person(short, replaced_by=before[-1]))
        if hops == 0 and hops_after == HOPS_MAX - 1:
            world.behind.execute("DELETE FROM person WHERE ssin = %s", (short.number,))
        outcome = world.run(life.replace(before[-1], after[0], operator=OPERATOR))
        assert isinstance(outcome, Done) == expected
        if expected:
            chain = world.run(StoredPersons(world.database).chain_of(before[0], hops_max=HOPS_MAX))
            assert isinstance(resolve(before[0], chain), Found)
        else:
            assert outcome == refused(RefusalReason.TOO_LONG)
            assert world.anomalies.reasons == ["too-long"]


@pytest.mark.parametrize("length", [2, 3, 4])
def test_rule_16_no_circle_closes_when_all_its_links_come_at_once(world: World, length: int) -> None:
    """Replacements that would close a circle, asked at the same moment: one of them is refused (rule 16)."""
    ring = [number(index) for index in range(1, length + 1)]
    world.hold(*map(person, ring))
    for ssin in ring:
        world.draw(ssin, "17/1", f"OF{ssin.digits[8]}", "{[2024-01-01,)}")

    async def close() -> list[Done | Refused]:
        databases = [Database(world.conninfo, connections_max=2) for _ in ring]
        try:
            for database in databases:
                await database.open()
            return await asyncio.gather(
                *(
                    world.life(files=StoredFiles(database), registers=StoredPersons(database)).replace(
                        old, new, operator=OPERATOR
                    )
                    for database, old, new in zip(databases, ring, [*ring[1:], ring[0]], strict=True)
                )
            )
        finally:
            for database in databases:
                await database.close()

    outcomes = world.run(close())
    assert [type(outcome) for outcome in outcomes].count(Done) == length - 1
    assert refused(RefusalReason.LOOP) in outcomes
    [survivor] = [ssin for ssin in ring if world.file(ssin).status is FileStatus.ACTIVE]
    assert len([line for line in world.lines(survivor) if line[2] == "{[2024-01-01,)}"]) == length
    assert [row[1] for row in world.mutations()] == list(range(1, len(world.mutations()) + 1))


def test_rule_19_mutations_of_one_holder_have_no_gaps_when_events_come_at_once(world: World) -> None:
    """Events at the same moment number a customer's mutations from 1 without gaps, in the order of commits (19)."""
    ssins = [number(index) for index in range(1, 21)]
    world.hold(*map(person, ssins))
    for ssin in ssins:
        world.draw(ssin, "17/1", "AB", "{[2024-01-01,)}")

    async def all_at_once() -> list[Done | Refused]:
        life = world.life()
        return await asyncio.gather(
            *(life.decease(ssin, IncompleteDate(2025, 1, 0), operator=OPERATOR) for ssin in ssins)
        )

    assert all(isinstance(outcome, Done) for outcome in world.run(all_at_once()))
    rows = world.rows("SELECT sequence_number, recorded_at FROM mutation ORDER BY sequence_number")
    assert [row[0] for row in rows] == list(range(1, 21))
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)


def test_rule_19_a_failure_leaves_nothing_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When anything fails before the end, file, lines, histories and mutations are as before (rule 19)."""
    world.hold(person(bis(1)), person(number(1)))
    world.draw(bis(1), "17/1", "AB", "{[2024-01-01,)}")
    before = world.everything()
    real = OpenedFiles.move_lines

    async def moved_and_lost(*arguments: Any, **named: Any) -> int:
        assert await real(*arguments, **named) == 1
        raise TemporarilyUnavailable("database")

    monkeypatch.setattr(OpenedFiles, "move_lines", moved_and_lost)
    with pytest.raises(TemporarilyUnavailable):
        world.run(world.life().replace(bis(1), number(1), operator=OPERATOR))
    assert world.everything() == before
    monkeypatch.undo()
    assert isinstance(world.run(world.life().replace(bis(1), number(1), operator=OPERATOR)), Done)


def test_rule_19_a_number_replaced_elsewhere_has_only_its_lines_moved(world: World) -> None:
    """What the National Register replaced is followed here: lines, mutation, records; and once only (19)."""
    elsewhere = FilesElsewhere(
        {number(1): person(number(1), replaced_by=number(3)), number(3): person(number(3))},
    )
    world.draw(number(1), "17/1", "AB", "{[2024-01-01,)}")
    life = world.life_beside(elsewhere)
    assert world.run(life.replace(number(1), number(5), operator=OPERATOR)) == refused(RefusalReason.OTHER_SUCCESSOR)
    assert world.run(life.replace(number(3), number(1), operator=OPERATOR)) == refused(RefusalReason.NOT_OURS)
    done = world.run(life.replace(number(1), number(3), operator=OPERATOR))
    assert isinstance(done, Done)
    assert (done.lines, done.mutations) == (1, 1)
    assert world.rows("SELECT FROM person") == []
    assert world.rows("SELECT event, after ->> 'status' FROM person_history") == [("replaced", "replaced")]
    again = world.run(life.replace(number(1), number(3), operator=OPERATOR))
    assert isinstance(again, Done)
    assert (again.lines, again.mutations) == (0, 0)
    assert len(world.mutations()) == len(world.rows("SELECT FROM person_history")) == 1


def test_rule_19_a_bis_number_is_replaced_by_one_that_lives_elsewhere(world: World) -> None:
    """A BIS person who gets a number of a National Register elsewhere keeps all lines under it (KSZ's 910M)."""
    world.hold(person(bis(1)))
    world.draw(bis(1), "17/1", "AB", "{[2024-01-01,)}")
    life = world.life_beside(FilesElsewhere({number(1): person(number(1))}))
    assert isinstance(world.run(life.replace(bis(1), number(1), operator=OPERATOR)), Done)
    assert world.lines(number(1)) == [("17/1", "AB", "{[2024-01-01,)}")]
    assert world.run(life.replace(bis(1), number(1), operator=OPERATOR)) == refused(RefusalReason.NOT_ACTIVE)


# -- other events ------------------------------------------------------------------------------------------------------


def test_rule_15_a_canceled_file_has_no_successor_and_no_way_back(world: World) -> None:
    """Cancellation is terminal: no event happens to the file any more, and its lines stay (rule 15)."""
    world.hold(person(number(1)), person(number(3)))
    world.draw(number(1), "17/1", "AB", "{[2024-01-01,)}")
    life = world.life()
    assert isinstance(world.run(life.cancel(number(1), operator=OPERATOR)), Done)
    assert world.file(number(1)) == person(number(1), status=FileStatus.CANCELED)
    before = world.everything()
    assert world.run(life.cancel(number(1), operator=OPERATOR)) == refused(RefusalReason.NOTHING_CHANGES)
    for attempt in (
        life.replace(number(1), number(3), operator=OPERATOR),
        life.rad_in(number(1), operator=OPERATOR),
        life.decease(number(1), IncompleteDate(2020, 0, 0), operator=OPERATOR),
        life.correct(number(1), LegalData(last_name="Maes"), operator=OPERATOR),
    ):
        assert world.run(attempt) == refused(RefusalReason.NOT_ACTIVE)
    assert world.everything() == before
    assert world.lines(number(1)) == [("17/1", "AB", "{[2024-01-01,)}")]


def test_rule_15_nothing_happens_to_a_replaced_file(world: World) -> None:
    """What another number continues has ended: no event happens to it any more, and nothing is written (rule 15)."""
    world.hold(person(number(1), replaced_by=number(3)), person(number(3)))
    world.hold(person(number(5), replaced_by=number(3), register=Register.RAD))
    before = world.everything()
    life = world.life()
    for ssin in (number(1), number(5)):
        for attempt in (
            life.cancel(ssin, operator=OPERATOR),
            life.rad_in(ssin, operator=OPERATOR),
            life.rad_out(ssin, operator=OPERATOR),
            life.decease(ssin, IncompleteDate(2020, 0, 0), operator=OPERATOR),
            life.correct(ssin, LegalData(last_name="Maes"), operator=OPERATOR),
        ):
            assert world.run(attempt) == refused(RefusalReason.NOT_ACTIVE)
    assert world.everything() == before


def test_rule_21_rad_in_and_out_change_only_the_authority(world: World) -> None:
    """RAD-in and RAD-out change register and inception date, nothing else, and as often as needed (rule 21)."""
    file = person(number(1), birth_date=IncompleteDate(1980, 1, 1))
    world.hold(file)
    world.draw(number(1), "17/1", "AB", "{[2024-01-01,)}")
    life = world.life()
    for day in (date(2024, 2, 29), None, date(2025, 1, 1)):
        done = world.run(life.rad_in(number(1), day=day, operator=OPERATOR))
        assert isinstance(done, Done)
        since = day or done.recorded_at.date()
        assert world.file(number(1)) == msgspec.structs.replace(
            file, register=Register.RAD, register_inception_date=since
        )
        assert world.run(life.rad_in(number(1), operator=OPERATOR)) == refused(RefusalReason.NOTHING_CHANGES)
        assert isinstance(world.run(life.rad_out(number(1), operator=OPERATOR)), Done)
        assert world.file(number(1)) == file
        assert world.run(life.rad_out(number(1), operator=OPERATOR)) == refused(RefusalReason.NOTHING_CHANGES)
    assert world.lines(number(1)) == [("17/1", "AB", "{[2024-01-01,)}")]
    assert [row[2] for row in world.mutations()] == ["radIn", "radOut"] * 3
    assert world.rows("SELECT event FROM person_history ORDER BY change_number") == [("radIn",), ("radOut",)] * 3
    assert world.rows("SELECT FROM inscription_history") == []


def test_rule_21_only_national_register_files_are_taken_in(world: World) -> None:
    """A BIS file goes neither in nor out, and nobody is taken in tomorrow (rules 12, 21)."""
    world.hold(person(bis(1)), person(number(1)))
    life = world.life()
    assert world.run(life.rad_in(bis(1), operator=OPERATOR)) == refused(RefusalReason.OTHER_REGISTER)
    assert world.run(life.rad_out(bis(1), operator=OPERATOR)) == refused(RefusalReason.OTHER_REGISTER)
    tomorrow = TODAY + timedelta(days=2)
    assert world.run(life.rad_in(number(1), day=tomorrow, operator=OPERATOR)) == refused(RefusalReason.FUTURE_DATE)
    assert world.run(life.rad_in(number(5), operator=OPERATOR)) == refused(RefusalReason.UNKNOWN)


def test_rule_21_a_file_elsewhere_is_taken_in_as_a_copy(world: World) -> None:
    """RAD-in copies the National Register's file, RAD-out makes ours unseen, RAD-in again brings it up to date (21)."""
    elsewhere = FilesElsewhere({number(1): person(number(1), last_name="Maes")})
    ours = StoredPersons(world.database, registers=KSZ)
    life = world.life_beside(elsewhere)
    world.draw(number(1), "17/1", "AB", "{[2024-01-01,)}")
    day = date(2025, 3, 1)
    for name in ("Maes", "Claes"):
        elsewhere.files[number(1)] = person(number(1), last_name=name)
        assert isinstance(world.run(life.rad_in(number(1), day=day, operator=OPERATOR)), Done)
        copy = person(number(1), register=Register.RAD, last_name=name, register_inception_date=day)
        assert world.run(ours.chain_of(number(1), hops_max=0)) == (copy,)
        assert world.run(life.rad_in(number(1), operator=OPERATOR)) == refused(RefusalReason.NOTHING_CHANGES)
        assert isinstance(world.run(life.rad_out(number(1), operator=OPERATOR)), Done)
        assert world.run(ours.chain_of(number(1), hops_max=0)) == ()
        assert world.run(life.cancel(number(1), operator=OPERATOR)) == refused(RefusalReason.NOT_OURS)
    assert [row[2] for row in world.mutations()] == ["radIn", "radOut"] * 2
    elsewhere.files[number(1)] = person(number(1), status=FileStatus.CANCELED)
    assert world.run(life.rad_in(number(1), operator=OPERATOR)) == refused(RefusalReason.NOT_ACTIVE)
    assert world.run(life.rad_in(number(5), operator=OPERATOR)) == refused(RefusalReason.UNKNOWN)


def test_rule_23_decease_ends_no_line(world: World) -> None:
    """A decease date is set, corrected, may be incomplete, is told, and leaves every line as it is (rules 23, 24)."""
    world.hold(person(number(1), birth_date=IncompleteDate(1940, 5, 0)))
    world.draw(number(1), "17/1", "AB", "{[2024-01-01,)}")
    life = world.life()
    for day in (IncompleteDate(2024, 0, 0), IncompleteDate(2024, 3, 0), IncompleteDate(2024, 3, 31)):
        assert isinstance(world.run(life.decease(number(1), day, operator=OPERATOR)), Done)
        assert world.file(number(1)).decease_date == day
        assert world.run(life.decease(number(1), day, operator=OPERATOR)) == refused(RefusalReason.NOTHING_CHANGES)
    assert world.file(number(1)).status is FileStatus.ACTIVE
    assert world.lines(number(1)) == [("17/1", "AB", "{[2024-01-01,)}")]
    assert [row[2] for row in world.mutations()] == ["deceased"] * 3
    for day, reason in (
        (IncompleteDate(1940, 4, 0), RefusalReason.DECEASE_BEFORE_BIRTH),
        (IncompleteDate(1939, 0, 0), RefusalReason.DECEASE_BEFORE_BIRTH),
        (IncompleteDate(TODAY.year + 1, 0, 0), RefusalReason.FUTURE_DATE),
    ):
        assert world.run(life.decease(number(1), day, operator=OPERATOR)) == refused(reason)
    assert isinstance(world.run(life.decease(number(1), IncompleteDate(1940, 5, 1), operator=OPERATOR)), Done)


def test_corrected_data_replace_the_former_and_are_found_by(world: World) -> None:
    """A correction changes what is given, keeps the rest and the number, and renews the phonetic key (rule 10)."""
    file = person(number(1), birth_date=IncompleteDate(1980, 1, 1), gender=Gender.MALE)
    world.hold(file)
    world.draw(number(1), "17/1", "AB", "{[2024-01-01,)}")
    life = world.life()
    correction = LegalData(last_name="Dupont", gender=Gender.FEMALE)
    assert isinstance(world.run(life.correct(number(1), correction, operator=OPERATOR)), Done)
    assert world.file(number(1)) == msgspec.structs.replace(file, last_name="Dupont", gender=Gender.FEMALE)
    found = world.run(StoredPersons(world.database).like(PhoneticCriteria(last_name="Dupond")))
    assert [one.ssin for one in found] == [number(1)]
    assert world.run(StoredPersons(world.database).like(PhoneticCriteria(last_name="Peeters"))) == ()
    assert world.run(life.correct(number(1), correction, operator=OPERATOR)) == refused(RefusalReason.NOTHING_CHANGES)
    rows = world.rows("SELECT event, before ->> 'last_name', after ->> 'last_name' FROM person_history")
    assert rows == [("corrected", "Peeters", "Dupont")]
    assert [row[2] for row in world.mutations()] == ["corrected"]


def test_rule_36_only_holders_of_a_line_today_are_told(world: World) -> None:
    """Of events other than a replacement, past and future lines tell nobody; a replacement tells past holders too."""
    world.hold(person(number(1)), person(number(3)))
    world.draw(number(1), "1/1", "AB", f"{{[2020-01-01,{TODAY - timedelta(days=2)})}}")
    world.draw(number(1), "1/2", "AB", f"{{[{TODAY + timedelta(days=2)},)}}")
    world.draw(number(1), "1/3", "AB", f"{{[2020-01-01,{TODAY + timedelta(days=2)})}}")
    world.draw(number(1), "1/3", "CD", f"{{[2020-01-01,{TODAY - timedelta(days=2)})}}")
    world.draw(number(1), "1/4", "AB", "{}")
    life = world.life()
    done = world.run(life.decease(number(1), IncompleteDate(2024, 0, 0), operator=OPERATOR))
    assert isinstance(done, Done)
    assert done.mutations == 1
    assert world.mutations() == [("1/3", 1, "deceased", number(1).number, number(1).number, ["AB"])]
    done = world.run(life.replace(number(1), number(3), operator=OPERATOR))
    assert isinstance(done, Done)
    assert done.mutations == 3
    assert [(row[0], row[1], row[5]) for row in world.mutations() if row[2] == "replaced"] == [
        ("1/1", 1, ["AB"]),
        ("1/2", 1, ["AB"]),
        ("1/3", 2, ["AB", "CD"]),
    ]


@pytest.mark.parametrize("event", ["cancel", "rad_out", "decease", "correct"])
def test_files_of_other_registers_are_left_alone(world: World, event: str) -> None:
    """What another register keeps does not change here, and a number that nobody knows neither (rule 14)."""
    elsewhere = FilesElsewhere({number(1): person(number(1))})
    arguments: dict[str, tuple[Any, ...]] = {
        "decease": (IncompleteDate(2020, 1, 1),),
        "correct": (LegalData(last_name="Maes"),),
    }
    for ssin, reason in ((number(1), RefusalReason.NOT_OURS), (number(3), RefusalReason.UNKNOWN)):
        life = world.life_beside(elsewhere)
        assert world.run(getattr(life, event)(ssin, *arguments.get(event, ()), operator=OPERATOR)) == refused(reason)
    assert world.rows("SELECT FROM person") == world.rows("SELECT FROM person_history") == []


def test_the_history_of_a_file_tells_every_event(world: World) -> None:
    """All events of a file are told in their order, with who did them, before and after (rule 35)."""
    life = world.life()
    made = world.run(life.create(JAN, register=Register.NR, operator="one"))
    assert isinstance(made, Done)
    world.run(life.rad_in(made.ssin, operator="two"))
    world.run(life.decease(made.ssin, IncompleteDate(2024, 0, 0), operator="three"))
    changes = world.run(world.life().changes_of(made.ssin))
    assert [(change.record.event, change.record.operator) for change in changes] == [
        (LifeEvent.CREATED, "one"),
        (LifeEvent.RAD_IN, "two"),
        (LifeEvent.DECEASED, "three"),
    ]
    assert changes[0].before is None
    assert [change.before for change in changes[1:]] == [change.after for change in changes[:-1]]
    assert changes[0].record.ticket_cbss == made.ticket_cbss
