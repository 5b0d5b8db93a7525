"""A declaration is done once for its ticket, and answered as often as it is sent (rule 38; CBI00404, CBI00405).

One suite for a repertory in memory, on PostgreSQL, and in front of another one; some tests look into the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import msgspec
import psycopg
import pytest
import pytest_asyncio
from hypothesis import given as given_values
from hypothesis import strategies as st
from msgspec.structs import replace

from cbss_inscription.app import wiring
from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.errors import RepertoryUnavailable, TemporarilyUnavailable
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import Gender, LegalData, Person
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate, Period
from cbss_inscription.domain.person_search import PhoneticCriteria
from cbss_inscription.domain.requests import DeleteInscription, InsertInscription, UpdateInscription, WriteRequest
from cbss_inscription.domain.results import Anomaly, Information, SsinAnswer, Status, StatusValue, WriteResult
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import ReplacedNumbers
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.repertory.tickets import Told, content_of, read_told, write_told
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.declarations import StoredDeclarations
from cbss_inscription.storage.inscriptions import StoredInscriptions
from tests.conftest import FoundDataAnomalies
from tests.repertory.houses import Pki
from tests.repertory.memory import MemoryLines
from tests.repertory.mirrored import mirrored
from tests.repertory.office import (
    AID,
    DEBT,
    GROUND,
    JANUARY,
    MARCH,
    MAY,
    OTHER,
    OTHER_GROUND,
    OWN,
    WAGE,
    Office,
    codes_of,
    empty_tables,
    lines_of,
    permission_of,
    person_of,
    ssin_of,
)

ONE, TWO, NOBODY, SPARSE = 1, 2, 500, 3


class Registers:
    """A `PersonRegister` that knows what the test says, and is away when the test says so."""

    def __init__(self, *files: Person) -> None:
        self.files = {file.ssin: file for file in files}
        self.away = False

    def put(self, file: Person) -> None:
        self.files[file.ssin] = file

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        if self.away:
            raise RepertoryUnavailable("test")
        chain: list[Person] = []
        number: Ssin | None = ssin
        while number in self.files and len(chain) <= hops_max:
            chain.append(self.files[number])
            number = chain[-1].replaced_by
        return tuple(chain)

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        raise NotImplementedError


class CountingStore(StoredInscriptions):
    """The store, counting how often a ticket is looked up by itself."""

    look_ups = 0

    async def answered_before(self, *arguments: Any) -> Any:
        self.look_ups += 1
        return await super().answered_before(*arguments)


class World:
    """Registers, a store and an office before them; the database is there whether the lines are in it or not."""

    def __init__(self, conninfo: str, database: Database, *, memory: MemoryLines | None) -> None:
        self.registers = Registers(
            person_of(ONE), person_of(TWO), person_of(SPARSE, gender=Gender.UNKNOWN, given_names=())
        )
        self.found = FoundDataAnomalies()
        self.store = CountingStore(database)
        self.declarations = StoredDeclarations(database)
        self.office = Office(
            repertory=EmbeddedRepertory(
                registers=self.registers,
                lines=memory or self.store,
                known_contexts=lambda _: (WAGE, DEBT, AID),
                data_anomalies=self.found,
            ),
            conninfo=conninfo,
            memory=memory,
        )


EMBEDDED = pytest.mark.parametrize("world", ["embedded"], indirect=True)
"""For a test that looks into the database, or at what only it can do."""


@pytest_asyncio.fixture(params=["memory", "embedded", pytest.param("upstream", marks=pytest.mark.long)])
async def world(request: pytest.FixtureRequest, module_database: str, pki: Pki) -> AsyncIterator[World]:
    empty_tables(module_database)
    database = Database(module_database, connections_max=6)
    async with AsyncExitStack() as held:
        await database.open()
        held.push_async_callback(database.close)
        memory = MemoryLines() if request.param == "memory" else None
        world = World(module_database, database, memory=memory)
        if request.param == "upstream":
            behind = world.office.repertory
            assert isinstance(behind, EmbeddedRepertory)
            world.office.repertory = await held.enter_async_context(mirrored(behind, pki))
        yield world


@pytest.fixture
def office(world: World) -> Office:
    return world.office


def remembered(office: Office) -> int:
    """How many tickets of customers are remembered; a façade gives its own, a UUID, to who gave none."""
    if office.memory is not None:
        return office.count("answered_declaration")
    return int(
        office.rows("SELECT count(*) FROM answered_declaration WHERE length(ticket) <> 36 OR ticket ~ 'x|X'")[0][0]
    )


def first_answer(again: WriteResult) -> WriteResult:
    """What was answered the first time, by an answer that says that it is given again."""
    assert again.anomalies[-1] == Anomaly(code=OutcomeCode.TICKET_REPEATED)
    return msgspec.structs.replace(again, anomalies=again.anomalies[:-1])


Declare = Callable[[Office, str], Awaitable[WriteResult]]
DECLARATIONS: list[Any] = [
    pytest.param(lambda office, ticket: office.insert(ONE, MARCH, ticket=ticket), id="insert"),
    pytest.param(lambda office, ticket: office.insert(ONE, JANUARY, ticket=ticket), id="insert what is there"),
    pytest.param(lambda office, ticket: office.insert(ONE, "2024-01-15..", ticket=ticket), id="insert and merge"),
    pytest.param(lambda office, ticket: office.update(ONE, JANUARY, MARCH, ticket=ticket), id="update"),
    pytest.param(lambda office, ticket: office.update(ONE, JANUARY, JANUARY, ticket=ticket), id="update to the same"),
    pytest.param(lambda office, ticket: office.delete(ONE, ticket=ticket), id="delete"),
    pytest.param(lambda office, ticket: office.delete(ONE, "2024-01-10..2024-01-20", ticket=ticket), id="split"),
]


@pytest.mark.parametrize("declare", DECLARATIONS)
async def test_rule_38_the_same_again_is_answered_as_at_first_and_done_once(office: Office, declare: Declare) -> None:
    """Sent again, a declaration gets the first answer, value by value, with CBI00404; nothing is written (rule 38)."""
    await office.insert(ONE, JANUARY)
    first = await declare(office, "T1")
    state, changes = (await office.consult(ONE)).inscriptions, office.count("inscription_history")
    assert first.status.value is StatusValue.OK
    for _ in range(2):
        assert first_answer(await declare(office, "T1")) == first
    assert (await office.consult(ONE)).inscriptions == state
    assert office.count("inscription_history") == changes
    assert remembered(office) == 1


@pytest.mark.parametrize("declare", DECLARATIONS)
async def test_rule_38_the_first_answer_is_given_whatever_was_done_since(office: Office, declare: Declare) -> None:
    """Later declarations change neither the first answer nor are they undone by a resend (rule 38)."""
    await office.insert(ONE, JANUARY)
    first = await declare(office, "T1")
    await office.insert(ONE, MAY)
    await office.delete(ONE)
    assert first_answer(await declare(office, "T1")) == first
    assert lines_of(await office.consult(ONE)) == []


async def test_rule_38_all_that_was_told_is_told_again(world: World, office: Office) -> None:
    """Replacement, decease and what could not be verified are in the first answer, and so in every one (rule 38)."""
    world.registers.put(person_of(TWO, successor=SPARSE))
    world.registers.put(
        person_of(SPARSE, gender=Gender.UNKNOWN, given_names=(), decease_date=IncompleteDate(2020, 1, 0))
    )
    data = LegalData(last_name="Vandenbroeckelaere", given_names=("Wilhelmina",), gender=Gender.FEMALE)
    first = await office.insert(TWO, JANUARY, ticket="T1", legal_data=data)
    assert codes_of(first) == ["CBI00102", "MSG00009", "CBI00302", "CBI00302"]
    again = await office.insert(TWO, JANUARY, ticket="T1", legal_data=data)
    assert first_answer(again) == first
    assert again.ssin == SsinAnswer(current=ssin_of(SPARSE), replaces=ssin_of(TWO))


OTHER_CONTENT: list[Any] = [
    pytest.param(lambda office: office.insert(ONE, MARCH, ticket="T1"), id="period"),
    pytest.param(lambda office: office.insert(ONE, "2024-01-01..", ticket="T1"), id="without end"),
    pytest.param(lambda office: office.insert(ONE, JANUARY, ticket="T1", context=DEBT), id="context"),
    pytest.param(lambda office: office.insert(TWO, JANUARY, ticket="T1"), id="person"),
    pytest.param(lambda office: office.insert(NOBODY, JANUARY, ticket="T1"), id="nobody"),
    pytest.param(lambda office: office.insert(ONE, JANUARY, ticket="T1", legal_context=OTHER_GROUND), id="ground"),
    pytest.param(lambda office: office.insert(ONE, JANUARY, ticket="T1", legal_data=LegalData()), id="legal data"),
    pytest.param(
        lambda office: office.insert(ONE, JANUARY, ticket="T1", legal_data=LegalData(last_name="Peeters")),
        id="legal data that mismatch",
    ),
    pytest.param(lambda office: office.insert(ONE, "2024-02-02..2024-02-01", ticket="T1"), id="reversed"),
    pytest.param(lambda office: office.update(ONE, JANUARY, JANUARY, ticket="T1"), id="update"),
    pytest.param(lambda office: office.update(ONE, JANUARY, MARCH, ticket="T1"), id="update to another"),
    pytest.param(lambda office: office.delete(ONE, JANUARY, ticket="T1"), id="delete"),
    pytest.param(lambda office: office.delete(ONE, ticket="T1"), id="delete all"),
]


@pytest.mark.parametrize("declare", OTHER_CONTENT)
async def test_rule_38_the_same_ticket_with_other_content_is_refused(
    office: Office, declare: Callable[[Office], Awaitable[WriteResult]]
) -> None:
    """Another content under a ticket that was used is CBI00405 and nothing else; nothing is written (rule 38)."""
    first = await office.insert(ONE, JANUARY, ticket="T1")
    assert await declare(office) == WriteResult(status=Status(value=StatusValue.NOK, code=OutcomeCode.TICKET_REUSED))
    assert (office.count("inscription"), office.count("inscription_history")) == (1, 1)
    assert first_answer(await office.insert(ONE, JANUARY, ticket="T1")) == first


async def test_rule_38_another_new_period_is_another_content(office: Office) -> None:
    """An update of the same line to another period is another declaration: CBI00405, and not done (rule 38)."""
    await office.insert(ONE, JANUARY)
    assert (await office.update(ONE, JANUARY, MARCH, ticket="moved")).status.code == "MSG00000"
    assert (await office.update(ONE, JANUARY, MAY, ticket="moved")).status.code == "CBI00405"
    assert lines_of(await office.consult(ONE)) == [MARCH]


async def test_rule_38_a_ticket_is_a_customers_own_and_counts_whole(office: Office) -> None:
    """Another customer may have the same ticket; of one that is no UUID all 36 characters count, not 32 (rule 38)."""
    await office.insert(ONE, JANUARY, ticket="x" * 36)
    for customer, ticket in ((OTHER, "x" * 36), (OWN, "x" * 35 + "y"), (OWN, "x" * 35), (OWN, "X" * 36)):
        answer = await office.at(customer).insert(ONE, MAY, ticket=ticket)
        assert (answer.status.code, "CBI00404" in codes_of(answer)) == ("MSG00000", False)
    assert remembered(office) == 5


async def test_rule_38_without_a_ticket_each_declaration_is_a_new_one(office: Office) -> None:
    """Without a ticket nothing is remembered: the identical line again is CBI00401, not CBI00404 (rules 31, 38)."""
    await office.insert(ONE, JANUARY)
    assert codes_of(await office.insert(ONE, JANUARY)) == ["CBI00401"]
    assert remembered(office) == 0


@pytest.mark.parametrize(
    ("declare", "code"),
    [
        (lambda office: office.insert(NOBODY, JANUARY, ticket="T1"), "MSG00005"),
        (lambda office: office.insert(ONE, JANUARY, ticket="T1", context=AID), "CBI00201"),
        (
            lambda office: office.insert(ONE, JANUARY, ticket="T1", legal_data=LegalData(last_name="Peeters")),
            "CBI00301",
        ),
        (lambda office: office.insert(ONE, "2024-02-02..2024-02-01", ticket="T1"), "MSG00008"),
        (lambda office: office.update(ONE, JANUARY, MARCH, ticket="T1"), "CBI00403"),
        (lambda office: office.delete(ONE, JANUARY, ticket="T1"), "CBI00403"),
    ],
)
async def test_rule_38_a_refused_declaration_did_nothing_and_is_judged_anew(
    office: Office, declare: Callable[[Office], Awaitable[WriteResult]], code: str
) -> None:
    """A refusal is not remembered: the same again is refused again, and its ticket is free for another (rule 38)."""
    assert (await declare(office)).status.code == code
    assert await declare(office) == await declare(office)
    assert remembered(office) == 0
    done = await office.insert(ONE, JANUARY, ticket="T1")
    assert (done.status.code, codes_of(done)) == ("MSG00000", [])


async def test_rules_38_and_54_a_retry_after_an_outage_is_done(world: World, office: Office) -> None:
    """After CBI00901 the same message, sent again, is done and is no repetition; nothing had been written (54)."""
    world.registers.away = True
    assert (await office.insert(ONE, JANUARY, ticket="T1")).status.code == "CBI00901"
    world.registers.away = False
    done = await office.insert(ONE, JANUARY, ticket="T1")
    assert (done.status.code, codes_of(done)) == ("MSG00000", [])


async def test_rule_38_the_first_answer_outlives_the_number(world: World, office: Office) -> None:
    """A resend gets the first answer when the number is replaced, refused, canceled, gone or cannot be looked up."""
    first = await office.insert(ONE, JANUARY, ticket="T1")
    refuser = office.at(OWN, permission_of(OWN, replaced_numbers=ReplacedNumbers.REFUSE))
    for file in (person_of(ONE, successor=TWO), person_of(ONE, canceled=True), person_of(ONE, successor=NOBODY)):
        world.registers.put(file)
        for asked in (office, refuser):
            assert first_answer(await asked.insert(ONE, JANUARY, ticket="T1")) == first
            assert (await asked.insert(ONE, MARCH, ticket="T1")).status.code == "CBI00405"
    world.registers.files.clear()
    assert first_answer(await office.insert(ONE, JANUARY, ticket="T1")) == first
    world.registers.away = True
    assert first_answer(await office.insert(ONE, JANUARY, ticket="T1")) == first
    assert (await office.insert(ONE, JANUARY, ticket="T2")).status.code == "CBI00901"


async def test_rules_28_and_38_a_first_answer_is_told_only_where_the_context_is_granted(office: Office) -> None:
    """A permission that does not grant the context gets CBI00201, whatever was answered under the ticket (rule 28)."""
    await office.insert(ONE, JANUARY, ticket="T1")
    for permission in (permission_of(OWN, contexts=(DEBT,)), permission_of(OWN, contexts=())):
        narrow = office.at(OWN, permission)
        assert (await narrow.insert(ONE, JANUARY, ticket="T1")).status.code == "CBI00201"
        assert (await narrow.insert(ONE, MARCH, ticket="T1")).status.code == "CBI00201"


@EMBEDDED
async def test_rule_38_an_ordinary_declaration_costs_no_look_up(world: World, office: Office) -> None:
    """The change looks for its ticket itself: only what ends without a change asks for it separately (rule 38)."""
    await office.insert(ONE, JANUARY, ticket="T1")
    await office.insert(ONE, JANUARY, ticket="T1")
    await office.delete(ONE, MARCH, ticket="T2")
    await office.insert(NOBODY, JANUARY)
    assert world.store.look_ups == 0
    await office.insert(NOBODY, JANUARY, ticket="T3")
    assert world.store.look_ups == 1


# -- at once ---------------------------------------------------------------------------------------------------------


async def test_rule_38_resends_at_once_have_one_effect(office: Office) -> None:
    """Of twelve equal messages at once one is done; all others wait for it and get its answer (rule 38)."""
    for number in range(5):
        month = f"20{10 + number}-01-01..20{10 + number}-01-31"
        answers = await asyncio.gather(*(office.insert(ONE, month, ticket=f"T{number}") for _ in range(12)))
        firsts = [answer for answer in answers if "CBI00404" not in codes_of(answer)]
        assert len(firsts) == 1
        assert all(first_answer(answer) == firsts[0] for answer in answers if answer is not firsts[0])
        assert office.count("inscription_history") == remembered(office) == number + 1


async def test_rule_38_one_ticket_for_several_persons_at_once_has_one_effect(office: Office) -> None:
    """Of different declarations under one ticket at once one is done, and all others are CBI00405 (rule 38)."""
    for number in range(5):
        answers = await asyncio.gather(
            *(office.insert(index, JANUARY, ticket=f"T{number}", context=context)
              for index in (ONE, TWO, SPARSE) for context in (WAGE, DEBT))
        )  # fmt: skip
        assert sorted(answer.status.code for answer in answers) == ["CBI00405"] * 5 + ["MSG00000"]
        assert remembered(office) == number + 1


@EMBEDDED
async def test_rule_38_a_resend_waits_for_the_first_to_end(office: Office) -> None:
    """While the first waits for its person, the resend waits for the first, and gets its answer (rule 38)."""
    with psycopg.connect(office.conninfo) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", (ssin_of(ONE).number,))
        both = [asyncio.create_task(office.insert(ONE, JANUARY, ticket="T1")) for _ in range(2)]
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while office.rows(waiting) != [(2,)]:
            await asyncio.sleep(0.01)
    one, other = await asyncio.gather(*both)
    first, again = (one, other) if codes_of(other) else (other, one)
    assert first_answer(again) == first
    assert office.count("inscription_history") == 1


# -- what is kept ----------------------------------------------------------------------------------------------------


@EMBEDDED
async def test_rule_38_a_stored_answer_of_version_1_is_read(office: Office) -> None:
    """The record, as the first version wrote it, still gives the first answer: a released format stays (rule 38)."""
    request = office.insertion(ONE, JANUARY, ticket="T1")
    answer = b"""{"version" : 1, "told" : {"ssin":"85073000164","replaces":null,
        "anomalies":[{"code":"CBI00302","information":[["genderCode","not_verifiable"]]}]},
        "changed" : true, "merged" : true, "begin_dates" : ["2024-01-01","9999-12-31"],
        "end_dates" : ["2024-01-31",null],
        "last_changes" : ["2024-06-01T10:00:00.123+00:00","2024-06-01T10:00:00+00:00"]}"""
    with psycopg.connect(office.conninfo) as connection:
        connection.execute(
            "INSERT INTO answered_declaration VALUES (%s, 'T1', %s, %s, now())",
            (OWN.key, content_of(request), answer),
        )
    moment = datetime(2024, 6, 1, 10, tzinfo=UTC)
    assert await office.insert(ONE, JANUARY, ticket="T1") == WriteResult(
        status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS),
        ssin=SsinAnswer(current=Ssin("85073000164")),
        anomalies=(
            Anomaly(
                code=OutcomeCode.LEGAL_DATA_NOT_VERIFIABLE,
                information=(Information(field_name="genderCode", field_value="not_verifiable"),),
            ),
            Anomaly(code=OutcomeCode.INSCRIPTION_MERGED),
            Anomaly(code=OutcomeCode.TICKET_REPEATED),
        ),
        inscriptions=(
            Inscription(
                inscription_context=WAGE,
                period=Period(begin_date=date(2024, 1, 1), end_date=date(2024, 1, 31)),
                last_change=moment + timedelta(milliseconds=123),
            ),
            Inscription(inscription_context=WAGE, period=Period(begin_date=date.max), last_change=moment),
        ),
    )


@EMBEDDED
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("^.*$", ""),
        ("^.*$", "{}"),
        ("^.*$", "\\\\x"),
        ('"version" : 1', '"version" : 2'),
        ('"last_changes" : .*', '"last_changes" : []}'),
        ('"told" : \\{', '"told" : {"more":1},"rest" : {'),
        ('"anomalies":\\[\\]', '"anomalies":[{"code":"CBI99999","information":[]}]'),
        ("2024-01-31", "2023-01-31"),
    ],
)
async def test_rule_38_an_answer_that_cannot_be_read_still_was_given(
    world: World, office: Office, old: str, new: str
) -> None:
    """Of a record in another format it is told that the declaration was done (CBI00404); it is not done again."""
    await office.insert(ONE, JANUARY, ticket="T1")
    with psycopg.connect(office.conninfo) as connection:
        changed = connection.execute(
            "UPDATE answered_declaration SET answer ="
            " convert_to(regexp_replace(convert_from(answer, 'UTF8'), %s, %s), 'UTF8') RETURNING answer",
            (old, new),
        ).fetchall()
    await office.delete(ONE)
    again = await office.insert(ONE, JANUARY, ticket="T1")
    assert again == WriteResult(
        status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS),
        anomalies=(Anomaly(code=OutcomeCode.TICKET_REPEATED),),
    ), changed
    assert world.found.reasons == ["remembered-answer"]
    assert lines_of(await office.consult(ONE)) == []
    assert (await office.insert(ONE, MARCH, ticket="T1")).status.code == "CBI00405"


@EMBEDDED
async def test_rule_38_tickets_are_forgotten_in_bounded_statements(
    world: World, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered before a time is forgotten, a bounded number at a time, and no younger one (rule 38)."""
    monkeypatch.setattr("cbss_inscription.storage.database.DELETED_ROWS_MAX", 2)
    for number in range(7):
        await office.insert(ONE, JANUARY, ticket=f"T{number}")
    with psycopg.connect(office.conninfo) as connection:
        connection.execute(
            "UPDATE answered_declaration SET answered_at = now() - interval '73 hours' WHERE ticket < 'T5'"
        )
    before = datetime.now(UTC) - timedelta(hours=72)
    assert await world.declarations.forget(before=before) == 5
    assert office.rows("SELECT ticket FROM answered_declaration ORDER BY ticket") == [("T5",), ("T6",)]
    assert await world.declarations.forget(before=before) == 0


@EMBEDDED
async def test_rule_38_a_worker_forgets_tickets_in_the_background(
    world: World, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tickets older than the setting are forgotten beside the work, also after the database was away (rule 38)."""
    monkeypatch.setattr(wiring, "FORGET_INTERVAL_SECONDS", 0.01)

    class Guard:
        outages = 2

        async def forget_expired(self, *, now: datetime) -> int:
            self.outages -= 1
            if self.outages >= 0:
                raise TemporarilyUnavailable("database")
            return 0

    for ticket in ("old", "young"):
        await office.insert(ONE, JANUARY, ticket=ticket)
    with psycopg.connect(office.conninfo) as connection:
        connection.execute(
            "UPDATE answered_declaration SET answered_at = now() - interval '61 minutes' WHERE ticket = 'old'"
        )
    forgetting = asyncio.create_task(wiring._forget(cast("Any", Guard()), world.declarations, timedelta(hours=1)))
    try:
        while office.rows("SELECT ticket FROM answered_declaration") != [("young",)]:
            await asyncio.sleep(0.01)
            assert not forgetting.done()
    finally:
        forgetting.cancel()


@EMBEDDED
async def test_rule_38_a_ticket_counts_until_it_is_forgotten(world: World, office: Office) -> None:
    """However old, a ticket that was not forgotten yet counts; once forgotten it is a new one (rule 38)."""
    first = await office.insert(ONE, JANUARY, ticket="T1")
    with psycopg.connect(office.conninfo) as connection:
        connection.execute("UPDATE answered_declaration SET answered_at = '2000-01-01'")
    assert first_answer(await office.insert(ONE, JANUARY, ticket="T1")) == first
    await world.declarations.forget(before=datetime.now(UTC))
    assert codes_of(await office.insert(ONE, JANUARY, ticket="T1")) == ["CBI00401"]


@EMBEDDED
async def test_sec_74_what_is_remembered_has_no_legal_data(office: Office) -> None:
    """Neither the digest nor the answer has a name or birth date that was given (SEC-74)."""
    data = LegalData(last_name="Vandenbroeckelaere", birth_date=IncompleteDate(1985, 7, 30))
    await office.insert(ONE, JANUARY, ticket="T1", legal_data=data)
    ((content, answer),) = office.rows("SELECT content, answer FROM answered_declaration")
    assert len(content) == 32
    assert b"Vandenbroeckelaere" not in answer
    assert b"1985-07-30" not in answer


# -- what is the same content ----------------------------------------------------------------------------------------

DATES = st.none() | st.sampled_from([date.min, date(2024, 1, 1), date(2024, 1, 31), date.max])
PERIODS = st.builds(GivenPeriod, begin_date=DATES, end_date=DATES)
NAMES = st.text(st.sampled_from('ab"\\,[]:é\u0301'), max_size=3)
LEGAL_DATA = st.builds(
    LegalData,
    last_name=st.none() | NAMES,
    given_names=st.lists(NAMES, max_size=3).map(tuple),
    birth_date=st.none() | st.just(IncompleteDate(1985, 0, 0)),
    gender=st.none() | st.sampled_from(Gender),
)
HEAD: dict[str, Any] = {
    "information_customer": st.builds(
        InformationCustomer,
        customer_identification=st.just(OWN),
        ticket=st.sampled_from(["T1", "T2"]),
        timestamp_sent=st.none() | st.datetimes(timezones=st.just(UTC)),
    ),
    "legal_context": st.sampled_from([GROUND, OTHER_GROUND]),
    "ssin": st.sampled_from([ssin_of(ONE).digits, ssin_of(TWO).digits]),
    "inscription_context": st.sampled_from([WAGE, DEBT]),
}
REQUESTS = st.one_of(
    st.builds(InsertInscription, **HEAD, period=PERIODS, legal_data=st.none() | LEGAL_DATA),
    st.builds(UpdateInscription, **HEAD, period=PERIODS, new_period=PERIODS),
    st.builds(DeleteInscription, **HEAD, period=st.none() | PERIODS),
)


def test_rule_38_the_digest_of_a_content_stays_what_it_was() -> None:
    """A declaration that an earlier version did has the digest that it was remembered by (rule 38)."""
    period = GivenPeriod(begin_date=date(2024, 1, 1))
    head: dict[str, Any] = {
        "information_customer": InformationCustomer(customer_identification=OWN),
        "legal_context": LegalContext("PCSA:SOCIAL_INQUIRY"),
        "ssin": "85073003328",
        "inscription_context": InscriptionContext("PCSA:LIVING_WAGE"),
    }
    legal_data = LegalData(
        last_name='Pée"ters', given_names=("Anna",), birth_date=IncompleteDate(1985, 0, 0), gender=Gender.FEMALE
    )
    digests = {
        "3b96db214b5a6bb75a0abc3227d2953937cf63e5094c74953ad25a647f2d8da9": InsertInscription(**head, period=period),
        "5b8c960b6c8da02cd872df06caf9ddd705e764d24444c6be91b35154a038c5aa": InsertInscription(
            **head, period=period, legal_data=legal_data
        ),
        "1d8c3e8aa79b23398708f951707a14bfdcfaaf67be58c619d211b1008b4275dc": UpdateInscription(
            **head, period=period, new_period=period
        ),
        "c2e39ab4b640c53648acb6324fb55e55daf97e4385e786e6e06cf91cda968900": DeleteInscription(**head),
    }
    for digest, request in digests.items():
        assert content_of(request).hex() == digest


@given_values(one=REQUESTS, other=REQUESTS, information=HEAD["information_customer"])
def test_rule_38_the_content_is_all_but_ticket_and_time(
    one: WriteRequest, other: WriteRequest, information: InformationCustomer
) -> None:
    """Two declarations have one content exactly when they differ at most in ticket and time (rule 38)."""
    head = {"information_customer": information}
    assert content_of(replace(one, **head)) == content_of(one)
    assert (content_of(one) == content_of(other)) == (replace(one, **head) == replace(other, **head))


@given_values(
    told=st.builds(
        Told,
        ssin=st.builds(
            SsinAnswer,
            current=st.just(ssin_of(ONE)),
            replaces=st.none() | st.just(ssin_of(TWO)),
        ),
        anomalies=st.lists(
            st.builds(
                Anomaly,
                code=st.sampled_from(OutcomeCode),
                information=st.lists(
                    st.builds(Information, field_name=NAMES, field_value=st.none() | NAMES), max_size=2
                ).map(tuple),
            ),
            max_size=3,
        ).map(tuple),
    )
)
def test_rule_38_what_was_told_reads_back_as_the_same(told: Told) -> None:
    """What is written of an answer reads back as the very same value (rule 38)."""
    assert read_told(write_told(told)) == told
