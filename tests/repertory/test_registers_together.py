"""A repertory whose National Register is elsewhere: two databases, one chain; and what happens while one is away."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace

from cbss_inscription.domain.errors import RepertoryUnavailable
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.inscription_contexts import KNOWN_CONTEXTS
from cbss_inscription.domain.legal_data import FileStatus, Gender, LegalData, Person, Register
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.person_search import CANDIDATES_MAX, PhoneticCriteria
from cbss_inscription.domain.results import WriteResult
from cbss_inscription.domain.ssin import Series, Ssin, check_digits
from cbss_inscription.registers.authority import AuthorityRegisters
from cbss_inscription.registers.life import Candidates, Done, NumberLife
from cbss_inscription.registers.port import PersonRegister
from cbss_inscription.registers.resolution import HOPS_MAX
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.life import StoredFiles
from cbss_inscription.storage.persons import StoredPersons
from cbss_inscription.storage.population import load_population
from cbss_inscription.usecases.change_inscription import insert_inscription
from tests.conftest import FoundDataAnomalies
from tests.repertory.office import CALLER, JANUARY, Office

OWN_REGISTERS = frozenset({Register.BIS, Register.RAD})
OPERATOR = "an operator"
TABLES = ("person", "person_history", "inscription", "inscription_history", "mutation", "answered_declaration")


def number(index: int, *, month: int = 7) -> Ssin:
    """A number of somebody born in 1985; with month + 20 or + 40 a BIS number."""
    nine = f"85{month:02d}30{index:03d}"
    return Ssin.parse(nine + check_digits(nine, century=1900))


def person(ssin: Ssin, register: Register, *, last_name: str = "Peeters", replaced_by: Ssin | None = None) -> Person:
    """A file; replaced when it has a successor."""
    return Person(
        ssin=ssin,
        register=register,
        status=FileStatus.REPLACED if replaced_by else FileStatus.ACTIVE,
        replaced_by=replaced_by,
        last_name=last_name,
        given_names=("Anna",),
        birth_date=IncompleteDate(1985, 7, 30),
        gender=Gender.FEMALE,
    )


class Elsewhere:
    """A National Register that may be away."""

    def __init__(self, register: PersonRegister) -> None:
        self._register = register
        self.is_away = False

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`."""
        if self.is_away:
            raise RepertoryUnavailable("away")
        return await self._register.chain_of(ssin, hops_max=hops_max)

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        """See `PersonRegister.like`."""
        if self.is_away:
            raise RepertoryUnavailable("away")
        return await self._register.like(criteria)


@dataclass(kw_only=True)
class World:
    """Our store, the National Register's, and what stands on both."""

    database: str
    national_database: str
    national: Elsewhere
    registers: AuthorityRegisters
    office: Office
    life: NumberLife
    anomalies: FoundDataAnomalies

    def hold(self, *files: Person) -> None:
        """Nothing; each file is in the store of its register."""
        load_population(self.database, [file for file in files if file.register is not Register.NR], recipe="own")
        load_population(
            self.national_database, [file for file in files if file.register is Register.NR], recipe="national"
        )

    async def insert(self, ssin: Ssin, *, legal_data: LegalData | None = None) -> WriteResult:
        """The answer to an insertion."""
        request = replace(self.office.insertion(1, JANUARY, legal_data=legal_data), ssin=ssin.digits)
        exchange = Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime(2024, 6, 1, tzinfo=UTC), caller=CALLER)
        return await insert_inscription(request, exchange, rules=self.office.rules, repertory=self.office.repertory)

    def written(self) -> list[int]:
        """How many rows each table of our store has."""
        return [self.office.count(table) for table in TABLES]


@pytest.fixture
async def world(fresh_database: str, postgresql: EmbeddedServer) -> AsyncIterator[World]:
    """Two empty stores."""
    name = f"national_{uuid4().hex}"
    with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template STRATEGY file_copy")
    national_database = psycopg.conninfo.make_conninfo(postgresql.connection_string, dbname=name)
    ours, theirs = Database(fresh_database, connections_max=2), Database(national_database, connections_max=2)
    await ours.open()
    await theirs.open()
    national = Elsewhere(StoredPersons(theirs, registers={Register.NR}))
    registers = AuthorityRegisters(own=StoredPersons(ours, registers=OWN_REGISTERS), national=national)
    anomalies = FoundDataAnomalies()
    repertory = EmbeddedRepertory(
        registers=registers,
        lines=StoredInscriptions(ours),
        known_contexts=lambda _: KNOWN_CONTEXTS,
        data_anomalies=anomalies,
    )
    try:
        yield World(
            database=fresh_database,
            national_database=national_database,
            national=national,
            registers=registers,
            office=Office(repertory=repertory, conninfo=fresh_database),
            life=NumberLife(
                files=StoredFiles(ours),
                registers=registers,
                national_register=national,
                ours=OWN_REGISTERS,
                data_anomalies=anomalies,
            ),
            anomalies=anomalies,
        )
    finally:
        await ours.close()
        await theirs.close()
        with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


NR, NR_BEFORE, RAD, NR_TO_RAD = (number(index) for index in (1, 2, 3, 4))
BIS, BIS_TO_NR, BIS_TO_NOTHING = (number(index, month=47) for index in (1, 2, 3))
FILES = (
    person(NR, Register.NR),
    person(NR_BEFORE, Register.NR, replaced_by=NR),
    person(RAD, Register.RAD, last_name="Janssens"),
    person(NR_TO_RAD, Register.NR, replaced_by=RAD),
    person(BIS, Register.BIS, last_name="Maes"),
    person(BIS_TO_NR, Register.BIS, replaced_by=NR_BEFORE),
    person(BIS_TO_NOTHING, Register.BIS, replaced_by=number(9)),
)
NEEDS_NATIONAL = (NR, NR_BEFORE, NR_TO_RAD, BIS_TO_NR, BIS_TO_NOTHING, number(9))
NEEDS_NONE = (RAD, BIS, number(9, month=47))


async def test_rules_14_and_16_two_stores_give_the_chains_of_one(world: World, fresh_database: str) -> None:
    """Rules 14, 16: however files are spread and linked, loops and dead ends too, the chain is that of one store."""
    dice = random.Random(16)
    numbers = [number(index) for index in range(1, 25)] + [number(index, month=47) for index in range(1, 13)]
    files = [
        person(
            ssin,
            Register.BIS if ssin.series is not Series.NR else dice.choice([Register.NR, Register.RAD]),
            replaced_by=dice.choice([None, *dice.sample(numbers, 4)]),
        )
        for ssin in numbers[::2] + numbers[1:20:4]
    ]
    world.hold(*files)
    for hops_max in (0, 1, HOPS_MAX):
        for asked in numbers:
            expected: dict[Ssin, Person] = {}
            here: Ssin | None = asked
            known = {file.ssin: file for file in files}
            while here in known and here not in expected and len(expected) < hops_max + 2:
                expected[here] = known[here]
                here = known[here].replaced_by
            assert await world.registers.chain_of(asked, hops_max=hops_max) == tuple(expected.values())


async def test_rule_18_lines_stand_under_the_number_at_the_end_of_both_registers(world: World) -> None:
    """Rules 14, 18: BIS → NR → NR, and NR → RAD, are followed over the border; the register's data are compared."""
    world.hold(*FILES)
    for asked, current in ((BIS_TO_NR, NR), (NR_TO_RAD, RAD), (NR, NR), (BIS, BIS)):
        done = await world.insert(asked)
        assert done.ssin is not None
        assert (done.ssin.current, done.ssin.replaces) == (current, None if asked == current else asked)
    assert (await world.insert(NR_TO_RAD, legal_data=LegalData(last_name="Janssens"))).status.value == "OK"
    assert (await world.insert(NR_TO_RAD, legal_data=LegalData(last_name="Peeters"))).status.value == "NOK"
    assert (await world.insert(BIS_TO_NOTHING)).status.code == "CBI00101"
    assert world.anomalies.reasons == ["broken"]
    assert (await world.insert(number(9))).status.code == "MSG00005"


async def test_rule_54_e19_an_outage_writes_nothing_and_is_no_absence(world: World) -> None:
    """Rule 54, E19: without the National Register, its numbers are CBI00901 and nothing is written; others go on."""
    world.hold(*FILES)
    world.national.is_away = True
    before = world.written()
    for ssin in NEEDS_NATIONAL:
        refused = await world.insert(ssin)
        assert (refused.status.value, refused.status.code) == ("NOK", "CBI00901")
        assert refused.ssin is None
    assert world.written() == before
    assert world.anomalies.reasons == []  # a chain whose next file nobody could ask for is not broken
    codes = [(await world.insert(ssin)).status.code for ssin in NEEDS_NONE]
    assert codes == ["MSG00000", "MSG00000", "MSG00005"]
    world.national.is_away = False
    assert (await world.insert(NR)).status.code == "MSG00000"


async def test_rule_21_a_file_taken_in_is_ours_until_it_is_given_back(world: World) -> None:
    """Rules 14, 21: while RAD has the file our store answers, the National Register away or not; afterwards it does."""
    world.hold(*FILES)
    assert isinstance(await world.life.rad_in(NR, operator=OPERATOR), Done)
    world.national.is_away = True
    assert (await world.insert(NR)).status.code == "MSG00000"
    assert (await world.registers.chain_of(NR, hops_max=HOPS_MAX))[0].register is Register.RAD
    world.national.is_away = False
    assert isinstance(await world.life.rad_out(NR, operator=OPERATOR), Done)
    assert (await world.registers.chain_of(NR, hops_max=HOPS_MAX)) == (person(NR, Register.NR),)
    world.national.is_away = True
    assert (await world.insert(NR)).status.code == "CBI00901"


async def test_rule_19_a_bis_number_is_replaced_by_one_of_the_national_register(world: World) -> None:
    """Rules 19, 54: the lines move to the number that is elsewhere; while that cannot be asked for, nothing happens."""
    world.hold(*FILES)
    await world.insert(BIS)
    world.national.is_away = True
    before = world.written()
    with pytest.raises(RepertoryUnavailable):
        await world.life.replace(BIS, NR_BEFORE, operator=OPERATOR)
    assert world.written() == before
    world.national.is_away = False
    done = await world.life.replace(BIS, NR_BEFORE, operator=OPERATOR)
    assert isinstance(done, Done)
    assert (done.current_ssin, done.lines) == (NR, 1)
    assert world.office.rows("SELECT ssin FROM inscription WHERE periods <> '{}'") == [(NR.number,)]


async def test_rule_22_a_new_bis_file_is_compared_with_both_registers(world: World) -> None:
    """Rules 22, 54: a person whom only the National Register knows is a candidate; while it is away none is made."""
    world.hold(*FILES)
    anna = LegalData(
        last_name="Peeters", given_names=("Anna",), birth_date=IncompleteDate(1985, 7, 30), gender=Gender.FEMALE
    )
    found = await world.life.create(anna, operator=OPERATOR)
    assert isinstance(found, Candidates)
    assert [file.ssin for file in found.persons] == [NR]
    world.national.is_away = True
    before = world.written()
    with pytest.raises(RepertoryUnavailable):
        await world.life.create(anna, operator=OPERATOR)
    assert world.written() == before


async def test_rules_14_and_22_a_file_that_is_ours_is_no_candidate_of_the_national_register(world: World) -> None:
    """Rules 14, 22: what the National Register still keeps of a file that is RAD's now is nobody's candidate."""
    anna = LegalData(
        last_name="Peeters", given_names=("Anna",), birth_date=IncompleteDate(1985, 7, 30), gender=Gender.FEMALE
    )
    criteria = PhoneticCriteria(last_name="Peeters")
    world.hold(person(NR, Register.NR), person(number(5), Register.NR))
    assert isinstance(await world.life.rad_in(NR, operator=OPERATOR), Done)
    both = await world.registers.like(criteria)
    assert [(file.ssin, file.register) for file in both] == [(NR, Register.RAD), (number(5), Register.NR)]
    assert isinstance(await world.life.cancel(NR, operator=OPERATOR), Done)
    assert [file.ssin for file in await world.registers.like(criteria)] == [number(5)]
    candidates = await world.life.create(anna, operator=OPERATOR)
    assert isinstance(candidates, Candidates)
    assert [file.ssin for file in candidates.persons] == [number(5)]


async def test_rule_22_candidates_of_two_registers_are_bounded_and_in_order() -> None:
    """Rule 22: at most 50 candidates, by rising number; our store is asked about each of the other's at most once."""
    ours = {number(index): person(number(index), Register.RAD) for index in range(2, 120, 2)}
    theirs = {number(index): person(number(index), Register.NR) for index in range(1, 120)}
    asked: list[Ssin] = []

    class Files:
        def __init__(self, files: dict[Ssin, Person]) -> None:
            self._files = files

        async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
            assert (self._files, hops_max) == (ours, 0)
            asked.append(ssin)
            return (self._files[ssin],) if ssin in self._files else ()

        async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
            del criteria
            return tuple(file for ssin, file in sorted(self._files.items()) if ssin != number(4))[:CANDIDATES_MAX]

    found = await AuthorityRegisters(own=Files(ours), national=Files(theirs)).like(PhoneticCriteria(last_name="P"))
    expected = [theirs[number(i)] if i % 2 else ours[number(i)] for i in range(1, 53) if i != 4]
    assert list(found) == expected[:CANDIDATES_MAX]
    assert len(asked) == len(set(asked)) <= CANDIDATES_MAX
