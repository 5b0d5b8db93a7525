"""A number that is replaced while a request about it is under way: no line is stranded or overlooked (18 to 20)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest
import pytest_asyncio

from cbss_inscription.domain.legal_data import LegalData, Person
from cbss_inscription.domain.person_search import PhoneticCriteria
from cbss_inscription.domain.results import InscriptionResult, SsinAnswer, StatusValue
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import ReplacedNumbers
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.inscriptions import StoredInscriptions
from tests.conftest import FoundDataAnomalies
from tests.repertory.office import (
    JANUARY,
    MARCH,
    OWN,
    WAGE,
    Office,
    codes_of,
    empty_tables,
    lines_of,
    move_lines,
    permission_of,
    person_of,
    ssin_of,
)

OLD, NEW, NEWER = 1, 2, 3
HOPS_MAX = 3
OPERATIONS = ("consult", "insert", "update", "delete")


class Registers:
    """A `PersonRegister` after whose look-ups something happens: a replacement, in the tests here."""

    def __init__(self) -> None:
        self.files: dict[Ssin, Person] = {}
        self.then: list[Callable[[], None]] = []
        """One event after each look-up, until there is none left."""
        self.look_ups = 0
        self.put(*(person_of(index) for index in range(1, 20)))

    def put(self, *files: Person) -> None:
        self.files |= {file.ssin: file for file in files}

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        self.look_ups += 1
        chain: list[Person] = []
        number: Ssin | None = ssin
        while number in self.files and len(chain) <= hops_max and self.files[number] not in chain:
            chain.append(self.files[number])
            number = chain[-1].replaced_by
        if self.then:
            self.then.pop(0)()
        return tuple(chain)

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        raise NotImplementedError


class World:
    def __init__(self, conninfo: str, database: Database) -> None:
        self.conninfo = conninfo
        self.registers = Registers()
        self.found = FoundDataAnomalies()
        self.office = Office(
            repertory=EmbeddedRepertory(
                registers=self.registers,
                lines=StoredInscriptions(database),
                known_contexts=lambda _: (WAGE,),
                data_anomalies=self.found,
                hops_max=HOPS_MAX,
            ),
            conninfo=conninfo,
        )

    def replace(self, old: int, new: int, *, register_knows: bool = True) -> None:
        """Nothing; the lines of `old` moved to `new`, and the register knows it or is behind."""
        with psycopg.connect(self.conninfo) as connection:
            move_lines(connection, old, new)
        if register_knows:
            self.registers.put(person_of(old, successor=new))

    async def ask(self, operation: str, office: Office | None = None, ticket: str | None = None) -> InscriptionResult:
        """The answer to that operation about the old number; each finds the line of January, if it looks right."""
        office = office or self.office
        match operation:
            case "consult":
                return await office.consult(OLD)
            case "insert":
                return await office.insert(OLD, MARCH, ticket=ticket)
            case "update":
                return await office.update(OLD, JANUARY, MARCH, ticket=ticket)
            case _:
                return await office.delete(OLD, JANUARY, ticket=ticket)


AFTERWARDS = {"consult": [JANUARY], "insert": [JANUARY, MARCH], "update": [MARCH], "delete": []}


@pytest_asyncio.fixture
async def world(module_database: str) -> AsyncIterator[World]:
    empty_tables(module_database)
    database = Database(module_database, connections_max=3)
    await database.open()
    world = World(module_database, database)
    await world.office.insert(OLD, JANUARY)
    yield world
    await database.close()


async def carried_on(world: World, operation: str, result: InscriptionResult, current: int) -> None:
    """Nothing; fails unless the operation was done under the current number, and said so."""
    assert result.status.value in {StatusValue.OK, StatusValue.DATA_FOUND}
    assert result.ssin == SsinAnswer(current=ssin_of(current), replaces=ssin_of(OLD))
    assert lines_of(result) == AFTERWARDS[operation]
    told = [] if operation == "consult" else codes_of(result)  # type: ignore[arg-type]
    assert told == ([] if operation == "consult" else ["CBI00102"])
    stranded = "SELECT count(*) FROM inscription WHERE ssin <> %s AND NOT isempty(periods)"
    assert world.office.rows(stranded, ssin_of(current).number) == [(0,)]
    written = "SELECT DISTINCT ssin FROM inscription_history WHERE operation <> 'insertInscription' OR before <> '{}'"
    assert world.office.rows(written) == ([] if operation == "consult" else [(ssin_of(current).number,)])


@pytest.mark.parametrize("register_knows", [True, False])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_rules_18_to_20_a_number_replaced_after_it_was_resolved_is_resolved_again(
    world: World, operation: str, *, register_knows: bool
) -> None:
    """A replacement between resolving and acting is noticed; also when the register still says active (18 to 20)."""
    world.registers.then = [lambda: world.replace(OLD, NEW, register_knows=register_knows)]
    await carried_on(world, operation, await world.ask(operation), NEW)
    assert world.registers.look_ups == 1 + 2  # the line of January had one


@pytest.mark.parametrize("register_knows", [True, False])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_rules_18_to_20_two_replacements_in_a_row_are_followed(
    world: World, operation: str, *, register_knows: bool
) -> None:
    """The number that carries on may be replaced in its turn before the lines are reached (rules 16, 18 to 20)."""
    world.registers.then = [
        lambda: world.replace(OLD, NEW, register_knows=register_knows),
        lambda: world.replace(NEW, NEWER, register_knows=register_knows),
    ]
    await carried_on(world, operation, await world.ask(operation), NEWER)
    assert world.found.reasons == []


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_rule_16_lines_that_move_in_a_circle_are_an_anomaly_of_the_data(world: World, operation: str) -> None:
    """Replacements that lead back are refused with CBI00101 and told to the operator; nothing is written (rule 16)."""
    world.replace(OLD, NEW, register_knows=False)
    world.replace(NEW, OLD, register_knows=False)
    result = await world.ask(operation)
    assert (result.status.code, result.inscriptions, world.found.reasons) == ("CBI00101", (), ["loop"])
    assert world.office.count("inscription_history") == 1


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_rule_16_a_register_that_leads_back_is_no_endless_loop(world: World, operation: str) -> None:
    """When the register says that the old number replaces the new one, the request ends: CBI00101 (rule 16)."""
    world.replace(OLD, NEW, register_knows=False)
    world.registers.put(person_of(NEW, successor=OLD))
    assert (await world.ask(operation)).status.code == "CBI00101"
    assert world.found.reasons == ["loop"]


@pytest.mark.parametrize(("moves", "code", "reasons"), [(HOPS_MAX, None, []), (HOPS_MAX + 1, "CBI00101", ["too-long"])])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_rule_16_moves_are_followed_as_far_as_replacements(
    world: World, operation: str, moves: int, code: str | None, reasons: list[str]
) -> None:
    """As many moves are followed as hops of a chain; more are refused and told to the operator (rule 16)."""
    for number in range(1, 1 + moves):
        world.replace(number, number + 1, register_knows=False)
    result = await world.ask(operation)
    assert world.found.reasons == reasons
    if code is None:
        await carried_on(world, operation, result, 1 + moves)
    else:
        assert (result.status.code, result.inscriptions) == (code, ())
        assert world.office.count("inscription_history") == 1


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_rule_54_a_register_that_is_behind_is_not_a_person_who_does_not_exist(
    world: World, operation: str
) -> None:
    """When the register does not know the number that carries on, it is CBI00901 and may be tried again (rule 54)."""
    world.replace(OLD, NEW)
    del world.registers.files[ssin_of(NEW)]
    world.registers.put(person_of(OLD))
    result = await world.ask(operation)
    assert (result.status.code, result.ssin) == ("CBI00901", None)
    world.registers.put(person_of(NEW))
    await carried_on(world, operation, await world.ask(operation), NEW)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_rule_17_a_successor_that_is_canceled_meanwhile_is_refused(world: World, operation: str) -> None:
    """Lines that moved to a number that was then canceled are refused as its file is: CBI00101 (rule 17)."""
    world.replace(OLD, NEW, register_knows=False)
    world.registers.put(person_of(NEW, canceled=True))
    result = await world.ask(operation)
    assert result.status.code == "CBI00101"
    assert result.ssin == SsinAnswer(current=ssin_of(NEW), replaces=ssin_of(OLD), canceled=True)
    assert world.found.reasons == []


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_customer_that_refuses_replaced_numbers_is_told_of_one_replaced_meanwhile(
    world: World, operation: str
) -> None:
    """Under the policy "refuse" a number replaced meanwhile is MSG00006 with the new one; nothing is written."""
    refuser = world.office.at(OWN, permission_of(OWN, replaced_numbers=ReplacedNumbers.REFUSE))
    world.registers.then = [lambda: world.replace(OLD, NEW)]
    result = await world.ask(operation, refuser)
    assert result.status.code == "MSG00006"
    assert [item.field_value for item in result.status.information] == [ssin_of(NEW).digits]
    assert world.office.count("inscription_history") == 1


async def test_rules_18_and_41_legal_data_are_compared_with_the_file_that_carries_on(world: World) -> None:
    """Data that agreed with the old file are compared again with the one that carries on (rules 18, 41)."""
    world.registers.put(person_of(NEW, last_name="Peeters"))
    data = LegalData(last_name="Vandenbroeckelaere")
    world.registers.then = [lambda: world.replace(OLD, NEW)]
    refused = await world.office.insert(OLD, MARCH, legal_data=data)
    assert (refused.status.code, refused.ssin) == (
        "CBI00301",
        SsinAnswer(current=ssin_of(NEW), replaces=ssin_of(OLD)),
    )
    assert world.office.count("inscription_history") == 1


@pytest.mark.parametrize("operation", ["insert", "update", "delete"])
async def test_rule_38_a_declaration_done_before_the_move_is_not_done_again(world: World, operation: str) -> None:
    """A resend after the lines moved gets the first answer, under the number of then (rules 18, 38)."""
    first = await world.ask(operation, ticket="T1")
    world.replace(OLD, NEW, register_knows=False)
    changes = world.office.count("inscription_history")
    again = await world.ask(operation, ticket="T1")
    assert (again.ssin, again.inscriptions) == (SsinAnswer(current=ssin_of(OLD)), first.inscriptions)
    assert codes_of(again)[-1] == "CBI00404"  # type: ignore[arg-type]
    assert world.office.count("inscription_history") == changes


@pytest.mark.parametrize("operation", ["insert", "update", "delete"])
async def test_rule_38_a_declaration_that_followed_a_move_is_remembered_once(world: World, operation: str) -> None:
    """What was done under the new number is remembered under its ticket with that answer (rules 18, 38)."""
    world.registers.then = [lambda: world.replace(OLD, NEW)]
    first = await world.ask(operation, ticket="T1")
    again = await world.ask(operation, ticket="T1")
    assert (again.ssin, again.inscriptions) == (first.ssin, first.inscriptions)
    assert world.office.count("answered_declaration") == 1


@pytest.mark.parametrize("operation", ["insert", "update", "delete"])
async def test_rule_19_a_change_that_waits_for_a_replacement_follows_it(world: World, operation: str) -> None:
    """A change that waits for the lock of its person while the number is replaced is done under the new one (19)."""
    with psycopg.connect(world.conninfo) as replacing:
        replacing.execute("SELECT pg_advisory_xact_lock(%s)", (ssin_of(OLD).number,))
        asked = asyncio.create_task(world.ask(operation))
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while world.office.rows(waiting) != [(1,)]:
            await asyncio.sleep(0.01)
        move_lines(replacing, OLD, NEW)
        world.registers.put(person_of(OLD, successor=NEW))
    await carried_on(world, operation, await asked, NEW)


async def test_rule_20_a_reader_sees_the_lines_at_every_moment_of_a_replacement(world: World) -> None:
    """Before the replacement commits the lines are under the old number, after it under the new: never nowhere (20)."""
    with psycopg.connect(world.conninfo) as replacing:
        move_lines(replacing, OLD, NEW)
        assert lines_of(await world.office.consult(OLD)) == [JANUARY]
    assert lines_of(await world.office.consult(OLD)) == [JANUARY]


async def test_rule_20_pages_go_on_over_a_replacement(world: World) -> None:
    """A page token given before a replacement goes on after it, with no line lost or doubled (rule 20)."""
    months = [f"2024-{month:02d}-01..2024-{month:02d}-10" for month in (3, 5, 7)]
    for month in months:
        await world.office.insert(OLD, month)
    world.office.repertory._page_size = 2  # type: ignore[attr-defined]
    page = await world.office.consult(OLD)
    world.replace(OLD, NEW)
    rest = await world.office.consult(OLD, after=page.next)
    assert lines_of(page) + lines_of(rest) == [JANUARY, *months]


async def test_rule_20_a_page_that_meets_a_replacement_begins_where_its_token_says(world: World) -> None:
    """A page whose number is replaced while it is read begins after the former page, not anew (rule 20)."""
    months = [f"2024-{month:02d}-01..2024-{month:02d}-10" for month in (3, 5, 7)]
    for month in months:
        await world.office.insert(OLD, month)
    world.office.repertory._page_size = 2  # type: ignore[attr-defined]
    page = await world.office.consult(OLD)
    world.registers.then = [lambda: world.replace(OLD, NEW)]
    rest = await world.office.consult(OLD, after=page.next)
    assert lines_of(page) + lines_of(rest) == [JANUARY, *months]


async def test_rule_18_a_file_replaced_without_moved_lines_is_followed_as_ever(world: World) -> None:
    """A loaded population knows replaced files without any moved line: resolution alone follows them (rule 18)."""
    world.registers.put(person_of(NEWER, successor=NEW))
    await world.office.insert(NEWER, JANUARY)
    result = await world.office.consult(NEWER)
    assert (result.ssin, lines_of(result)) == (SsinAnswer(current=ssin_of(NEW), replaces=ssin_of(NEWER)), [JANUARY])
