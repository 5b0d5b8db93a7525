"""Every row of contract.md section 4 that the repertory decides, from the use cases down to the lines.

One suite for every way to have a repertory: in memory, on PostgreSQL, and as another service in two dialects. A test
that looks at what is behind the port says for which of them it is.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from cbss_inscription.app.settings import DialectName
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.results import (
    Health,
    Information,
    InscriptionResult,
    StatusValue,
)
from cbss_inscription.governance.access import AccessRules, LegalDataProfile, ReplacedNumbers
from cbss_inscription.registers.port import PersonRegister
from cbss_inscription.repertory.embedded import EmbeddedRepertory, LineStore
from cbss_inscription.repertory.port import Repertory
from cbss_inscription.repertory.upstream import UpstreamRepertory
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.persons import StoredPersons
from cbss_inscription.storage.population import load_population
from tests.conftest import FoundDataAnomalies
from tests.repertory.houses import Pki, adjustment_house, repertory_process, rules_of_facade
from tests.repertory.memory import MemoryLines, MemoryRegister
from tests.repertory.office import (
    CALLER,
    GROUND,
    JANUARY,
    MARCH,
    MAY,
    Office,
    codes_of,
    empty_tables,
    lines_of,
    permission_of,
    person_of,
    rules_of,
    ssin_of,
)
from tests.repertory.office import DEBT as DEBT_MEDIATION
from tests.repertory.office import OTHER as REFUSER
from tests.repertory.office import OWN as FOLLOWER
from tests.repertory.office import THIRD as STRICT
from tests.repertory.office import WAGE as LIVING_WAGE

UNGRANTED = InscriptionContext("PCSA:HEATING")  # known, not granted
UNKNOWN_GRANTED = InscriptionContext("PCSA:OLD")  # granted, not known
KNOWN = (LIVING_WAGE, DEBT_MEDIATION, UNGRANTED)
LINES_MAX = 60

ACTIVE, REPLACED, REPLACED_TWICE, CANCELED, REPLACED_BY_CANCELED = 1, 2, 3, 4, 5
LOOP, BROKEN, DECEASED, SPARSE, DECEASED_BEFORE, REPLACED_BY_DECEASED, NOBODY = 6, 8, 10, 11, 12, 13, 500
PERSONS = [
    person_of(ACTIVE),
    person_of(REPLACED, successor=ACTIVE),
    person_of(REPLACED_TWICE, successor=REPLACED),
    person_of(CANCELED, canceled=True),
    person_of(REPLACED_BY_CANCELED, successor=CANCELED),
    person_of(LOOP, successor=LOOP + 1),
    person_of(LOOP + 1, successor=LOOP),
    person_of(BROKEN, successor=501),
    person_of(DECEASED, decease_date=IncompleteDate(2020, 1, 0)),
    person_of(SPARSE, given_names=(), birth_date=IncompleteDate(1985, 0, 0), gender=Gender.UNKNOWN),
    person_of(REPLACED_BY_DECEASED, successor=DECEASED),
    *(person_of(100 + hop, successor=101 + hop) for hop in range(11)),
    person_of(111),
]


GRANTED = (LIVING_WAGE, DEBT_MEDIATION, UNKNOWN_GRANTED)
RULES = rules_of(
    permission_of(FOLLOWER, GRANTED),
    permission_of(REFUSER, GRANTED, replaced_numbers=ReplacedNumbers.REFUSE),
    permission_of(STRICT, GRANTED, legal_data_profile=LegalDataProfile.STRICT),
)

UPSTREAM_RULES = rules_of_facade(
    (
        permission_of(FOLLOWER),
        permission_of(REFUSER, replaced_numbers=ReplacedNumbers.REFUSE),
        permission_of(STRICT, legal_data_profile=LegalDataProfile.STRICT),
    )
)
"""Those of a repertory that is another service."""


def information_of(result: InscriptionResult) -> list[tuple[str, str | None]]:
    return [(item.field_name, item.field_value) for item in result.status.information]


@dataclass(kw_only=True)
class Desk(Office):
    """An office for three customers, each with a permission of its own kind."""

    found: FoundDataAnomalies
    rules: AccessRules = field(default_factory=lambda: RULES)

    async def every_operation(
        self, index: int, context: InscriptionContext = LIVING_WAGE, period: str = "2024-01-01.."
    ) -> list[InscriptionResult]:
        return [
            await self.consult(index, context, period=period),
            await self.insert(index, period, context=context),
            await self.update(index, period, period, context=context),
            await self.delete(index, period, context=context),
        ]

    def with_lines_max(self, lines_max: int) -> Repertory:
        """The same repertory with another limit of lines."""
        assert isinstance(self.repertory, EmbeddedRepertory)
        other = copy.copy(self.repertory)
        other._lines_max = lines_max
        return other

    def forget_tickets(self) -> None:
        """Nothing; every ticket may be used anew (rule 38)."""
        with psycopg.connect(self.conninfo) as connection:
            connection.execute("DELETE FROM answered_declaration")

    @property
    def nothing_is_written(self) -> bool:
        return self.count("inscription") == self.count("inscription_history") == self.count("answered_declaration") == 0


@pytest.fixture(scope="module")
def populated_database(module_database: str) -> str:
    load_population(module_database, PERSONS, recipe="outcomes")
    return module_database


# Connections to another service are kept from test to test, and belong to one loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")

EMBEDDED = pytest.mark.parametrize("desk", ["embedded"], indirect=True)
"""For a test that looks into the database."""
HERE = pytest.mark.parametrize("desk", ["memory", "embedded"], indirect=True)
"""For a test of limits that another process has otherwise, or of what a program can be given and no message has."""
EVERYWHERE = ["memory", "embedded", "ksz", pytest.param("adjustment", marks=pytest.mark.long)]
"""The second dialect in `make test-long`: it shows that the first can be replaced, and takes as long again."""


@pytest.fixture(scope="module")
def ksz_url(populated_database: str, pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("ksz")
    with repertory_process(folder, database=populated_database, rules=UPSTREAM_RULES, pki=pki) as url:
        yield url


@pytest.fixture(scope="module")
def adjustment_url(populated_database: str, pki: Pki) -> Iterator[str]:
    parts = {"known_contexts": lambda _: KNOWN, "data_anomalies": FoundDataAnomalies()}
    with adjustment_house(populated_database, UPSTREAM_RULES, pki, **parts) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstreams() -> AsyncIterator[dict[str, UpstreamRepertory]]:
    """The ways to other services, each made when it is first gone, and kept with its connections."""
    made: dict[str, UpstreamRepertory] = {}
    yield made
    for upstream in made.values():
        await upstream.close()


def embedded(registers: PersonRegister, lines: LineStore, found: FoundDataAnomalies) -> EmbeddedRepertory:
    return EmbeddedRepertory(
        registers=registers,
        lines=lines,
        known_contexts=lambda _: KNOWN,
        data_anomalies=found,
        lines_max=LINES_MAX,
        page_size=3,
    )


@pytest_asyncio.fixture(params=EVERYWHERE, loop_scope="module")
async def desk(
    request: pytest.FixtureRequest, populated_database: str, upstreams: dict[str, UpstreamRepertory]
) -> AsyncIterator[Desk]:
    found, memory = FoundDataAnomalies(), MemoryLines()
    if request.param == "memory":
        register = MemoryRegister({person.ssin: person for person in PERSONS})
        repertory = embedded(register, memory, found)
        yield Desk(repertory=repertory, conninfo=populated_database, found=found, memory=memory)
        return
    empty_tables(populated_database)
    if request.param == "embedded":
        database = Database(populated_database, connections_max=1)
        await database.open()
        repertory = embedded(StoredPersons(database), StoredInscriptions(database), found)
        yield Desk(repertory=repertory, conninfo=populated_database, found=found)
        await database.close()
        return
    if request.param not in upstreams:
        url = request.getfixturevalue(f"{request.param}_url")
        upstreams[request.param] = request.getfixturevalue("pki").upstream(url, DialectName(request.param))
    yield Desk(repertory=upstreams[request.param], conninfo=populated_database, found=found)


def outcomes(results: list[InscriptionResult]) -> set[tuple[str, str]]:
    return {(result.status.value, result.status.code.value) for result in results}


def refusals(code: str) -> set[tuple[str, str]]:
    return {("NO_RESULT", code), ("NOK", code)}


# -- existence and replacement ---------------------------------------------------------------------------------------


async def test_e3_a_number_that_no_register_knows_does_not_exist(desk: Desk) -> None:
    """Every operation on a number without a file is MSG00005, and nothing is written (E3)."""
    results = await desk.every_operation(NOBODY)
    assert outcomes(results) == refusals("MSG00005")
    assert all(result.ssin is None for result in results)
    assert desk.nothing_is_written


@pytest.mark.parametrize("asked", [REPLACED, REPLACED_TWICE])
async def test_rules_17_and_18_a_replaced_number_is_followed_to_its_active_successor(desk: Desk, asked: int) -> None:
    """Writes on an old number are stored under the current one and say so with CBI00102 (rules 17, 18; E5)."""
    inserted = await desk.insert(asked, "2024-01-01..")
    updated = await desk.update(asked, "2024-01-01..", "2024-01-01..2024-12-31")
    deleted = await desk.delete(asked, "2024-06-01..")
    for result in (inserted, updated, deleted):
        assert (result.status.value, result.status.code) == ("OK", "MSG00000")
        assert codes_of(result) == ["CBI00102"]
        assert result.ssin is not None
        assert (result.ssin.current, result.ssin.replaces, result.ssin.canceled) == (
            ssin_of(ACTIVE),
            ssin_of(asked),
            False,
        )
    by_current = await desk.consult(ACTIVE)
    assert lines_of(by_current) == ["2024-01-01..2024-05-31"]
    assert by_current.ssin is not None
    assert by_current.ssin.replaces is None


async def test_rule_20_consulting_by_an_old_number_finds_the_lines_under_the_new_one(desk: Desk) -> None:
    """Lines written under any number of a chain are found by every number of it (rule 20)."""
    await desk.insert(ACTIVE, "2024-01-01..2024-01-31")
    await desk.insert(REPLACED_TWICE, "2024-03-01..2024-03-31")
    for asked in (ACTIVE, REPLACED, REPLACED_TWICE):
        result = await desk.consult(asked)
        assert (result.status.value, result.status.code) == ("DATA_FOUND", "MSG00000")
        assert lines_of(result) == ["2024-01-01..2024-01-31", "2024-03-01..2024-03-31"]
        assert result.ssin is not None
        assert result.ssin.replaces == (None if asked == ACTIVE else ssin_of(asked))


async def test_a_customer_may_have_replaced_numbers_refused(desk: Desk) -> None:
    """Under the policy "refuse" a replaced number is MSG00006, which names the current one, and nothing is written."""
    results = await desk.at(REFUSER).every_operation(REPLACED_TWICE)
    assert outcomes(results) == refusals("MSG00006")
    assert all(information_of(result) == [("newSSIN", ssin_of(ACTIVE).digits)] for result in results)
    assert desk.nothing_is_written
    assert (await desk.at(REFUSER).insert(ACTIVE, "2024-01-01..")).status.code == "MSG00000"


@pytest.mark.parametrize("customer", [FOLLOWER, REFUSER])
@pytest.mark.parametrize(
    ("asked", "last", "anomaly"),
    [
        pytest.param(CANCELED, CANCELED, None, id="canceled"),
        pytest.param(REPLACED_BY_CANCELED, CANCELED, None, id="replaced by a canceled one"),
        pytest.param(LOOP, LOOP + 1, "loop", id="loop"),
        pytest.param(BROKEN, BROKEN, "broken", id="successor missing"),
        pytest.param(100, 111, "too-long", id="eleven hops"),
    ],
)
async def test_rules_15_to_17_a_chain_without_an_active_end_is_refused(
    desk: Desk, customer: CustomerIdentification, asked: int, last: int, anomaly: str | None
) -> None:
    """Cancelled, looping, broken and too long chains are CBI00101, and nothing is written (rules 15 to 17; E4, E6).

    All but the first are anomalies of the data, and the operator is told of each (rule 16).
    """
    results = await desk.at(customer).every_operation(asked)
    assert outcomes(results) == refusals("CBI00101")
    for result in results:
        assert result.ssin is not None
        assert (result.ssin.current, result.ssin.canceled) == (ssin_of(last), anomaly is None)
        assert result.ssin.replaces == (None if last == asked else ssin_of(asked))
    assert desk.nothing_is_written
    if isinstance(desk.repertory, EmbeddedRepertory):  # the operator of another service is told by that service
        assert desk.found.reasons == ([] if anomaly is None else [anomaly] * len(results))


async def test_rule_16_ten_hops_are_followed(desk: Desk) -> None:
    """A chain of ten replacements is followed to its end (rule 16)."""
    result = await desk.insert(101, "2024-01-01..")
    assert result.ssin is not None
    assert (result.ssin.current, result.ssin.replaces) == (ssin_of(111), ssin_of(101))


async def test_rule_23_decease_forbids_nothing_and_is_told(desk: Desk) -> None:
    """Every write for a deceased person is done, with MSG00009; with a replaced number too (rule 23; E20)."""
    assert codes_of(await desk.insert(DECEASED, "2024-01-01..")) == ["MSG00009"]
    assert codes_of(await desk.update(DECEASED, "2024-01-01..", "2024-02-01..")) == ["MSG00009"]
    assert codes_of(await desk.delete(REPLACED_BY_DECEASED, "2024-03-01..")) == ["CBI00102", "MSG00009"]
    assert lines_of(await desk.consult(DECEASED)) == ["2024-02-01..2024-02-29"]


# -- inscription contexts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [UNGRANTED, UNKNOWN_GRANTED, InscriptionContext("NOBODY:KNOWS")])
async def test_rule_28_a_context_must_be_known_and_granted(desk: Desk, context: InscriptionContext) -> None:
    """A context that is unknown, or known and not granted, is CBI00201 and named, and nothing is written (28; E12)."""
    results = await desk.every_operation(ACTIVE, context)
    assert outcomes(results) == refusals("CBI00201")
    assert all(information_of(result) == [("inscriptionContext", context)] for result in results)
    assert desk.nothing_is_written


async def test_rule_28_one_ungranted_context_of_several_refuses_the_consultation(desk: Desk) -> None:
    """A consultation that names one context too many is refused whole, the first such context named (rule 28)."""
    result = await desk.consult(ACTIVE, LIVING_WAGE, UNGRANTED, UNKNOWN_GRANTED)
    assert (result.status.value, result.status.code) == ("NO_RESULT", "CBI00201")
    assert information_of(result) == [("inscriptionContext", UNGRANTED)]


# -- periods ---------------------------------------------------------------------------------------------------------

REVERSED = "2024-02-02..2024-02-01"


async def test_rule_27_a_reversed_period_is_refused(desk: Desk) -> None:
    """A period that ends before it begins is MSG00008, its field named, in every operation (rule 27; E9)."""
    results = await desk.every_operation(ACTIVE, period=REVERSED)
    assert outcomes(results) == refusals("MSG00008")
    assert all(information_of(result) == [("period.endDate", "2024-02-01")] for result in results)
    only_the_new = await desk.update(ACTIVE, "2024-01-01..", REVERSED)
    assert only_the_new.status.code == "MSG00008"
    assert information_of(only_the_new) == [("newPeriod.endDate", "2024-02-01")]
    assert desk.nothing_is_written


async def test_rule_27_both_ends_are_inclusive(desk: Desk) -> None:
    """A line of one day begins and ends on it; the day before and the day after are not in it (rule 27)."""
    assert lines_of(await desk.insert(ACTIVE, "2024-02-02..2024-02-02")) == ["2024-02-02..2024-02-02"]
    assert lines_of(await desk.consult(ACTIVE, period="2024-02-02..2024-02-02")) == ["2024-02-02..2024-02-02"]
    assert (await desk.consult(ACTIVE, period="2024-01-01..2024-02-01")).status.code == "MSG00100"
    assert (await desk.consult(ACTIVE, period="2024-02-03..")).status.code == "MSG00100"


async def test_rule_36_a_future_begin_is_accepted(desk: Desk) -> None:
    """A line may begin after the day of the request (rule 36)."""
    assert lines_of(await desk.insert(ACTIVE, "2200-01-01..")) == ["2200-01-01.."]


@pytest.mark.parametrize("cut", ["2024-02-01..9999-12-31", "..9999-12-31", "0001-01-01..9999-12-31"])
@pytest.mark.parametrize("line", ["2024-01-01..", "2024-01-01..9999-12-31", "0001-01-01..", "9999-12-31.."])
async def test_rule_34_the_last_day_of_the_calendar_is_the_end(desk: Desk, line: str, cut: str) -> None:
    """A deletion up to 9999-12-31 leaves nothing beyond it: no wire date could ever name what was left (rule 34)."""
    assert lines_of(await desk.insert(ACTIVE, line)) == [line]
    result = await desk.delete(ACTIVE, cut)
    assert result.status.code == "MSG00000"
    begin, cut_begin = line.partition("..")[0], cut.partition("..")[0]
    left = [f"{begin}..2024-01-31"] if cut_begin == "2024-02-01" and begin < cut_begin else []
    assert lines_of(result) == left
    assert lines_of(await desk.consult(ACTIVE)) == left


# -- legal data ------------------------------------------------------------------------------------------------------

OWN = LegalData(
    last_name="VANDENBROECKELAERE",
    given_names=("wilhelmina",),
    birth_date=IncompleteDate(1985, 7, 30),
    gender=Gender.FEMALE,
)
NAME = "Vandenbroeckelaere"
"""The contract has room for given names beside a last name only."""
REGISTER_VALUES = ("vandenbroeckelaere", "wilhelmina", "josephine", "1985-07-30", "1985, 7, 30", "1985", "female")


async def test_rules_41_and_42_a_mismatch_names_all_fields_and_writes_nothing(desk: Desk) -> None:
    """Disagreeing data are CBI00301, every such field named in the contract's order, and nothing is written (E7)."""
    wrong = LegalData(
        last_name="Peeters", given_names=("Jan",), birth_date=IncompleteDate(1999, 1, 1), gender=Gender.MALE
    )
    result = await desk.insert(ACTIVE, "2024-01-01..", wrong)
    assert (result.status.value, result.status.code) == ("NOK", "CBI00301")
    assert [anomaly.code.value for anomaly in result.validation_errors] == ["CBI00301"] * 4
    named = [[(item.field_name, item.field_value) for item in error.information] for error in result.validation_errors]
    assert named == [[("lastName", None)], [("givenName", None)], [("birthDate", None)], [("genderCode", None)]]
    assert (result.anomalies, result.inscriptions) == ((), ())
    assert desk.nothing_is_written


@pytest.mark.parametrize("field", ["last_name", "given_names", "birth_date", "gender"])
async def test_rule_47_no_value_of_the_register_is_in_the_answer(desk: Desk, field: str) -> None:
    """Whichever field disagrees, the answer holds no value of the register, in whatever form (rule 47)."""
    wrong: dict[str, Any] = {
        "last_name": "Peeters",
        "given_names": ("Jan",),
        "birth_date": IncompleteDate(1999, 1, 1),
        "gender": Gender.MALE,
    }
    result = await desk.insert(ACTIVE, "2024-01-01..", replace(OWN, **{field: wrong[field]}))
    assert len(result.validation_errors) == 1
    values = [item.field_value for error in result.validation_errors for item in error.information]
    text = f"{result!r} {values} {information_of(result)}".lower()
    assert not [value for value in REGISTER_VALUES if value in text]
    assert desk.nothing_is_written


async def test_rules_39_and_43_matching_data_are_accepted_in_silence(desk: Desk) -> None:
    """Data that agree under the exact profile add nothing to the answer (rules 39, 43)."""
    result = await desk.insert(ACTIVE, "2024-01-01..", OWN)
    assert (result.status.code, codes_of(result), result.validation_errors) == ("MSG00000", [], ())


async def test_rule_43_the_strict_profile_is_the_permissions(desk: Desk) -> None:
    """A customer with the strict profile has another case refused, and the exact spelling accepted (rule 43)."""
    refused = await desk.at(STRICT).insert(ACTIVE, "2024-01-01..", OWN)
    named = [item.field_name for error in refused.validation_errors for item in error.information]
    assert (refused.status.code, named) == ("CBI00301", ["lastName", "givenName"])
    exact = replace(OWN, last_name="Vandenbroeckelaere", given_names=("Wilhelmina",))
    assert (await desk.at(STRICT).insert(ACTIVE, "2024-01-01..", exact)).status.code == "MSG00000"


async def test_e8_what_the_register_lacks_is_told_and_refuses_nothing(desk: Desk) -> None:
    """Data that the register lacks, or knows in part, are CBI00302 beside the success (rules 44 to 46; E8)."""
    result = await desk.insert(SPARSE, "2024-01-01..", OWN)
    assert (result.status.value, result.status.code) == ("OK", "MSG00000")
    assert codes_of(result) == ["CBI00302"] * 3
    told = [(item.field_name, item.field_value) for anomaly in result.anomalies for item in anomaly.information]
    assert told == [("givenName", "not_verifiable"), ("birthDate", "partial"), ("genderCode", "not_verifiable")]
    assert lines_of(result) == ["2024-01-01.."]


@pytest.mark.parametrize("wrong", list(product([False, True], repeat=4))[1:])
async def test_rules_41_42_and_47_exactly_the_disagreeing_fields_are_named(desk: Desk, wrong: tuple[bool, ...]) -> None:
    """Whichever fields disagree, those and no others are named, without any value; nothing is written (41, 42, 47)."""
    last_name, given_name, birth_date, gender = wrong
    data = LegalData(
        last_name="Peeters" if last_name else OWN.last_name,
        given_names=("Jan",) if given_name else OWN.given_names,
        birth_date=IncompleteDate(1999, 1, 1) if birth_date else OWN.birth_date,
        gender=Gender.MALE if gender else OWN.gender,
    )
    result = await desk.insert(ACTIVE, "2024-01-01..", data)
    named = [(item.field_name, item.field_value) for error in result.validation_errors for item in error.information]
    fields = ("lastName", "givenName", "birthDate", "genderCode")
    assert named == [(name, None) for name, is_wrong in zip(fields, wrong, strict=True) if is_wrong]
    assert (result.status.code, result.status.information, result.anomalies) == ("CBI00301", (), ())
    assert desk.nothing_is_written


@pytest.mark.parametrize(
    ("data", "code", "told"),
    [
        pytest.param(LegalData(), "MSG00000", [], id="40: nothing given"),
        pytest.param(LegalData(last_name="Vandenbroeckelaere"), "MSG00000", [], id="40: last name alone"),
        pytest.param(
            LegalData(last_name=NAME, given_names=("Wilhelmina", "Josephine")), "MSG00000", [], id="44: all given names"
        ),
        pytest.param(
            LegalData(last_name=NAME, given_names=("Josephine",)), "CBI00301", ["givenName"], id="44: not the first"
        ),
        pytest.param(
            LegalData(last_name=NAME, given_names=("Wilhelmina", "X")),
            "CBI00301",
            ["givenName"],
            id="44: not the second",
        ),
        pytest.param(LegalData(birth_date=IncompleteDate(1985, 7, 0)), "CBI00301", ["birthDate"], id="45: zero part"),
        pytest.param(
            LegalData(gender=Gender.UNKNOWN), "MSG00000", ["genderCode"], id="46: sex not known to the caller"
        ),
        pytest.param(LegalData(last_name="Vandenbrouckelaere"), "CBI00301", ["lastName"], id="43: sounds alike"),
    ],
)
async def test_rules_40_and_43_to_46_of_what_is_given(desk: Desk, data: LegalData, code: str, told: list[str]) -> None:
    """What is given decides: absent data, beginnings, zero parts, unknown sex, a likeness of sound (40, 43 to 46)."""
    result = await desk.insert(ACTIVE, "2024-01-01..", data)
    details = (*result.validation_errors, *result.anomalies)
    assert result.status.code == code
    assert [item.field_name for detail in details for item in detail.information] == told
    assert desk.nothing_is_written == (code != "MSG00000")


async def test_rule_41_one_mismatch_beside_what_cannot_be_verified_refuses(desk: Desk) -> None:
    """A mismatch refuses, even when other fields cannot be verified; those are not told then (rules 41, 46)."""
    result = await desk.insert(SPARSE, "2024-01-01..", replace(OWN, last_name="Peeters"))
    assert (result.status.code, result.anomalies) == ("CBI00301", ())
    assert len(result.validation_errors) == 1
    assert desk.nothing_is_written


async def test_rule_18_legal_data_are_compared_with_the_current_file(desk: Desk) -> None:
    """Legal data given with an old number are compared with the file that carries on (rules 14, 18)."""
    result = await desk.insert(REPLACED, "2024-01-01..", OWN)
    assert (result.status.code, codes_of(result)) == ("MSG00000", ["CBI00102"])
    wrong = await desk.insert(REPLACED, "2024-01-01..", LegalData(last_name="Peeters"))
    assert wrong.status.code == "CBI00301"
    assert wrong.ssin is not None
    assert wrong.ssin.current == ssin_of(ACTIVE)


# -- adding ----------------------------------------------------------------------------------------------------------


async def test_rule_31_adding_the_identical_line_changes_nothing(desk: Desk) -> None:
    """The identical line again is OK with CBI00401; neither the line, its last change nor the history moves (E10)."""
    first = await desk.insert(ACTIVE, "2024-01-01..2024-01-31")
    again = await desk.insert(ACTIVE, "2024-01-01..2024-01-31")
    assert (again.status.value, again.status.code, codes_of(again)) == ("OK", "MSG00000", ["CBI00401"])
    assert again.inscriptions == first.inscriptions
    assert desk.count("inscription_history") == 1


@pytest.mark.parametrize(
    ("before", "added", "after"),
    [
        pytest.param([JANUARY], "2024-01-15..2024-02-15", ["2024-01-01..2024-02-15"], id="overlaps the end"),
        pytest.param([JANUARY], "2023-12-15..2024-01-15", ["2023-12-15..2024-01-31"], id="overlaps the begin"),
        pytest.param([JANUARY], "2024-02-01..2024-02-15", ["2024-01-01..2024-02-15"], id="adjoins the end"),
        pytest.param([JANUARY], "2023-12-01..2023-12-31", ["2023-12-01..2024-01-31"], id="adjoins the begin"),
        pytest.param([JANUARY], "2024-01-31..", ["2024-01-01.."], id="leaves the end open"),
        pytest.param([JANUARY], "2024-01-10..2024-01-20", [JANUARY], id="lies within"),
        pytest.param([JANUARY], "2024-01-01..2024-01-20", [JANUARY], id="lies within, same begin"),
        pytest.param([JANUARY], "2023-12-01..2024-02-15", ["2023-12-01..2024-02-15"], id="contains"),
        pytest.param([JANUARY], "2024-01-01..", ["2024-01-01.."], id="contains, same begin"),
        pytest.param([JANUARY], "2023-12-01..2024-01-31", ["2023-12-01..2024-01-31"], id="contains, same end"),
        pytest.param([JANUARY, MARCH], "2024-01-01..2024-03-31", ["2024-01-01..2024-03-31"], id="contains two"),
        pytest.param([JANUARY, MARCH], "2024-02-01..2024-02-29", ["2024-01-01..2024-03-31"], id="bridges a gap"),
        pytest.param([JANUARY, MARCH], "2024-01-20..2024-03-10", ["2024-01-01..2024-03-31"], id="bridges two"),
        pytest.param([JANUARY, MARCH, MAY], "2024-01-31..2024-05-01", ["2024-01-01..2024-05-31"], id="bridges three"),
        pytest.param(
            [JANUARY, MARCH, MAY], "2024-02-15..2024-04-10", [JANUARY, "2024-02-15..2024-04-10", MAY], id="one"
        ),
        pytest.param(["2024-01-01.."], "2024-06-01..2024-06-30", ["2024-01-01.."], id="lies within an open line"),
    ],
)
async def test_rule_32_a_line_that_meets_others_is_merged(
    desk: Desk, before: list[str], added: str, after: list[str]
) -> None:
    """Overlap, adjacency, containment and bridging give the merged lines and CBI00402 (rule 32; E11)."""
    for period in before:
        assert codes_of(await desk.insert(ACTIVE, period)) == []
    result = await desk.insert(ACTIVE, added)
    assert (result.status.value, result.status.code, codes_of(result)) == ("OK", "MSG00000", ["CBI00402"])
    assert lines_of(result) == after
    assert lines_of(await desk.consult(ACTIVE)) == after


async def test_rule_32_a_line_that_meets_no_other_is_just_added(desk: Desk) -> None:
    """Lines with a day between them stay apart, and the answer has all lines of the context in order (rule 32)."""
    for period in (MAY, JANUARY):
        assert codes_of(await desk.insert(ACTIVE, period)) == []
    result = await desk.insert(ACTIVE, MARCH)
    assert (codes_of(result), lines_of(result)) == ([], [JANUARY, MARCH, MAY])
    assert codes_of(await desk.insert(ACTIVE, "2024-02-02..2024-02-28")) == []


async def test_rule_33_contexts_and_customers_do_not_meet(desk: Desk) -> None:
    """Lines of another context, another customer or another person neither merge nor show (rules 30, 33)."""
    await desk.insert(ACTIVE, JANUARY)
    other_context = await desk.insert(ACTIVE, JANUARY, context=DEBT_MEDIATION)
    other_customer = await desk.at(STRICT).insert(ACTIVE, "2024-01-15..")
    other_person = await desk.insert(DECEASED, "2024-01-31..2024-02-01")
    assert [codes_of(result) for result in (other_context, other_customer)] == [[], []]
    assert lines_of(other_context) == [JANUARY]
    assert lines_of(other_customer) == ["2024-01-15.."]
    assert lines_of(other_person) == ["2024-01-31..2024-02-01"]
    assert lines_of(await desk.at(STRICT).consult(ACTIVE)) == ["2024-01-15.."]
    both = await desk.consult(ACTIVE)
    assert [line.inscription_context for line in both.inscriptions] == [DEBT_MEDIATION, LIVING_WAGE]
    assert (await desk.at(STRICT).delete(ACTIVE, JANUARY)).status.code == "MSG00000"
    assert lines_of(await desk.consult(ACTIVE, LIVING_WAGE)) == [JANUARY]


# -- updating --------------------------------------------------------------------------------------------------------


async def test_rule_34_updating_a_line_gives_it_another_period(desk: Desk) -> None:
    """Exactly the line named gets the new period; the others stay with their last change (rule 34)."""
    await desk.insert(ACTIVE, "2024-01-01..")
    await desk.update(ACTIVE, "2024-01-01..", JANUARY)
    before = await desk.insert(ACTIVE, MAY)
    result = await desk.update(ACTIVE, JANUARY, MARCH)
    assert (result.status.value, result.status.code, codes_of(result)) == ("OK", "MSG00000", [])
    assert lines_of(result) == [MARCH, MAY]
    assert result.inscriptions[1] == before.inscriptions[1]


@pytest.mark.parametrize(
    "named",
    ["2024-01-01..2024-01-30", "2024-01-02..2024-01-31", "2024-01-01..", MARCH, "2024-01-01..2024-02-01"],
)
async def test_e17_only_exactly_a_line_can_be_updated(desk: Desk, named: str) -> None:
    """A period that is not exactly a line is CBI00403, with the lines as they are; nothing is written (E17)."""
    await desk.insert(ACTIVE, JANUARY)
    result = await desk.update(ACTIVE, named, MAY)
    assert (result.status.value, result.status.code, codes_of(result)) == ("NOK", "CBI00403", [])
    assert lines_of(result) == [JANUARY]
    assert desk.count("inscription_history") == 1


async def test_e17_two_lines_together_are_not_a_line(desk: Desk) -> None:
    """A period over two lines names neither: CBI00403 (E17)."""
    await desk.insert(ACTIVE, JANUARY)
    await desk.insert(ACTIVE, MARCH)
    assert (await desk.update(ACTIVE, "2024-01-01..2024-03-31", MAY)).status.code == "CBI00403"


@pytest.mark.parametrize(
    ("line", "new", "after", "codes"),
    [
        (JANUARY, JANUARY, [JANUARY, MARCH], ["CBI00401"]),
        (JANUARY, "2024-01-10..2024-01-20", ["2024-01-10..2024-01-20", MARCH], []),
        (JANUARY, "2023-01-01..2024-01-31", ["2023-01-01..2024-01-31", MARCH], []),
        (JANUARY, "2024-01-01..2024-02-29", ["2024-01-01..2024-03-31"], ["CBI00402"]),
        (JANUARY, "2024-03-10..2024-03-20", [MARCH], ["CBI00402"]),
        (JANUARY, MARCH, [MARCH], ["CBI00402"]),
        (JANUARY, "2024-02-01..", ["2024-02-01.."], ["CBI00402"]),
        (MARCH, "2024-02-01..2024-02-29", ["2024-01-01..2024-02-29"], ["CBI00402"]),
        (MARCH, "2024-01-01..2024-01-15", [JANUARY], ["CBI00402"]),
    ],
)
async def test_rule_32_an_updated_line_that_meets_others_is_merged(
    desk: Desk, line: str, new: str, after: list[str], codes: list[str]
) -> None:
    """A new period that meets other lines is merged with them (CBI00402); its own former days do not count (32)."""
    await desk.insert(ACTIVE, JANUARY)
    await desk.insert(ACTIVE, MARCH)
    result = await desk.update(ACTIVE, line, new)
    assert (result.status.value, lines_of(result), codes_of(result)) == ("OK", after, codes)
    assert lines_of(await desk.consult(ACTIVE)) == after


# -- deleting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cut", "after"),
    [
        pytest.param(None, [], id="whole"),
        pytest.param("2024-01-01..", [], id="from the first day on"),
        pytest.param(JANUARY, [MARCH], id="a line"),
        pytest.param("2024-01-20..", ["2024-01-01..2024-01-19"], id="closes"),
        pytest.param("..2024-01-20", ["2024-01-21..2024-01-31", MARCH], id="the begin"),
        pytest.param(
            "2024-01-10..2024-01-20", ["2024-01-01..2024-01-09", "2024-01-21..2024-01-31", MARCH], id="splits"
        ),
        pytest.param("2024-01-20..2024-03-10", ["2024-01-01..2024-01-19", "2024-03-11..2024-03-31"], id="two lines"),
        pytest.param("2023-06-01..2024-02-10", [MARCH], id="more than a line"),
    ],
)
async def test_rule_34_a_period_is_cut_out(desk: Desk, cut: str | None, after: list[str]) -> None:
    """No period removes the whole context; a period is cut out, and may split a line (rule 34)."""
    await desk.insert(ACTIVE, JANUARY)
    await desk.insert(ACTIVE, MARCH)
    other = await desk.insert(ACTIVE, JANUARY, context=DEBT_MEDIATION)
    result = await desk.delete(ACTIVE, cut)
    assert (result.status.value, result.status.code, codes_of(result)) == ("OK", "MSG00000", [])
    assert lines_of(result) == after
    assert lines_of(await desk.consult(ACTIVE, LIVING_WAGE)) == after
    assert (await desk.consult(ACTIVE, DEBT_MEDIATION)).inscriptions == other.inscriptions


@pytest.mark.parametrize("cut", ["2024-02-01..2024-02-29", "..2023-12-31", "2024-04-01.."])
async def test_e17_a_period_that_meets_no_line_is_not_found(desk: Desk, cut: str) -> None:
    """A deletion that meets no day of a line is CBI00403, with the lines as they are; nothing is written (E17)."""
    await desk.insert(ACTIVE, JANUARY)
    await desk.insert(ACTIVE, MARCH)
    result = await desk.delete(ACTIVE, cut)
    assert (result.status.value, result.status.code) == ("NOK", "CBI00403")
    assert lines_of(result) == [JANUARY, MARCH]
    assert desk.count("inscription_history") == 2


async def test_e17_what_was_never_there_or_is_gone_is_not_found(desk: Desk) -> None:
    """Removing a context without lines is CBI00403, before the first line as after the last (E17)."""
    assert (await desk.delete(ACTIVE)).status.code == "CBI00403"
    await desk.insert(ACTIVE, JANUARY)
    assert (await desk.delete(ACTIVE)).status.code == "MSG00000"
    assert (await desk.delete(ACTIVE)).status.code == "CBI00403"
    assert (await desk.consult(ACTIVE)).status.code == "MSG00100"
    assert lines_of(await desk.insert(ACTIVE, JANUARY)) == [JANUARY]


# -- consulting ------------------------------------------------------------------------------------------------------


async def test_e18_nothing_known_is_no_data(desk: Desk) -> None:
    """A person without lines, or without lines in the period or context asked, is NO_DATA_FOUND MSG00100 (E18)."""
    nothing = await desk.consult(ACTIVE)
    assert (nothing.status.value, nothing.status.code) == ("NO_DATA_FOUND", "MSG00100")
    assert nothing.ssin is not None
    await desk.insert(ACTIVE, JANUARY)
    assert (await desk.consult(ACTIVE, DEBT_MEDIATION)).status.code == "MSG00100"
    assert (await desk.consult(ACTIVE, period=MARCH)).status.code == "MSG00100"
    assert (await desk.consult(ACTIVE, LIVING_WAGE, period="2024-01-31..")).status.code == "MSG00000"


@EMBEDDED
async def test_rule_28_lines_of_contexts_no_longer_granted_are_not_shown(desk: Desk) -> None:
    """Without contexts named, the lines of all granted and known contexts are shown, and no others (rule 28)."""
    await desk.insert(ACTIVE, JANUARY)
    with psycopg.connect(desk.conninfo) as connection:
        connection.execute(
            "INSERT INTO inscription SELECT ssin, customer, 'PCSA:HEATING', periods, last_changes FROM inscription"
        )
    assert [line.inscription_context for line in (await desk.consult(ACTIVE)).inscriptions] == [LIVING_WAGE]


@HERE
@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7])
async def test_more_lines_than_a_page_are_fetched_page_by_page(desk: Desk, count: int) -> None:
    """Pages of three lines follow each other by `next`, each line once and in order, until none is left (E22)."""
    months = [f"2024-{2 * number + 1:02d}-01..2024-{2 * number + 1:02d}-10" for number in range(4)]
    for month in months[:count]:
        await desk.insert(ACTIVE, month)
    for month in months[: max(0, count - 4)]:
        await desk.insert(ACTIVE, month, context=DEBT_MEDIATION)
    seen: list[str] = []
    page = await desk.consult(ACTIVE)
    while True:
        assert page.status.value is StatusValue.DATA_FOUND
        assert 1 <= len(page.inscriptions) <= 3
        seen += [
            line.inscription_context + " " + text for line, text in zip(page.inscriptions, lines_of(page), strict=True)
        ]
        if page.next is None:
            break
        assert len(page.inscriptions) == 3
        page = await desk.consult(ACTIVE, after=page.next)
    debts = [f"{DEBT_MEDIATION} {month}" for month in months[: max(0, count - 4)]]
    assert seen == [*debts, *(f"{LIVING_WAGE} {month}" for month in months[:count])]


def token(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "bogus",
    [
        "x",
        "bogus",
        "====",
        "\u00e9",
        token(None),
        token(17),
        token([]),
        token(["PCSA:LIVING_WAGE"]),
        token(["PCSA:LIVING_WAGE", None, "17/1"]),
        token(["PCSA:LIVING_WAGE", "2024-02-30", "17/1"]),
        token(["PCSA:LIVING_WAGE", 20240101, "17/1"]),
        token(["", "2024-01-01", "17/1"]),
        token([17, "2024-01-01", "17/1"]),
        token(["PCSA'; DROP TABLE person --", "2024-01-01", "17/1"]),
        token(["PCSA:LIVING_WAGE", "2024-01-01"]),
        token(["PCSA:LIVING_WAGE", "2024-01-01", "nobody"]),
        token(["PCSA:LIVING_WAGE", "2024-01-01", "017/1"]),
        token(["PCSA:LIVING_WAGE", "2024-01-01", None]),
        token(["PCSA:LIVING_WAGE", "2024-01-01", 17]),
        token(["PCSA:LIVING_WAGE", "2024-01-01", "17/1", "more"]),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
    ids=lambda text: ascii(text[:24]),
)
async def test_a_token_that_was_not_given_by_the_service_is_refused(desk: Desk, bogus: str) -> None:
    """A `next` that this service did not write is MSG00008, whatever it holds, and never an internal error."""
    await desk.insert(ACTIVE, JANUARY)
    answer = await desk.consult(ACTIVE, after=bogus)
    assert (answer.status.value, answer.status.code) == ("NO_RESULT", "MSG00008")
    assert answer.status.information == (Information(field_name="next"),)


@HERE
@pytest.mark.parametrize(
    "bogus",
    [
        "",
        "\ud800",
        base64.urlsafe_b64encode(b"[" * 50_000).decode(),
        base64.urlsafe_b64encode(b"1" * 5_000).decode(),
    ],
    ids=lambda text: ascii(text[:24]),
)
async def test_a_token_that_no_message_can_carry_is_refused_too(desk: Desk, bogus: str) -> None:
    """A `next` that the contract has no room for is MSG00008 as well, should it ever come so far."""
    answer = await desk.consult(ACTIVE, after=bogus)
    assert (answer.status.value, answer.status.code) == ("NO_RESULT", "MSG00008")


@HERE
async def test_rule_30_a_token_of_another_customer_opens_nothing(desk: Desk) -> None:
    """A token says where a page begins and no more: another customer gets its own lines by it (rule 30)."""
    for month in ("01", "03", "05", "07"):
        await desk.insert(ACTIVE, f"2024-{month}-01..2024-{month}-10")
    page = await desk.consult(ACTIVE)
    assert page.next is not None
    assert (await desk.at(STRICT).consult(ACTIVE, after=page.next)).status.code == "MSG00100"
    assert (await desk.consult(DECEASED, after=page.next)).status.code == "MSG00100"


# -- what is kept ----------------------------------------------------------------------------------------------------


@EMBEDDED
@pytest.mark.parametrize(
    ("ticket", "stored"),
    [
        (None, None),
        ("T1", "T1"),
        ("8f9c2a51-6d0e-4d0b-9a3e-1c2f7d5b6a70", "8f9c2a51-6d0e-4d0b-9a3e-1c2f7d5b6a70"),
        ("x" * 36, "x" * 32),
    ],
)
async def test_rules_35_and_49_a_change_leaves_who_when_and_why(
    desk: Desk, ticket: str | None, stored: str | None
) -> None:
    """Each change is one history row: person, customer, context, operation, before, after, tickets, caller (35, 49)."""
    await desk.insert(REPLACED, JANUARY, ticket=ticket)
    desk.forget_tickets()
    await desk.update(ACTIVE, JANUARY, MARCH, ticket=ticket)
    desk.forget_tickets()
    await desk.delete(ACTIVE, ticket=ticket)
    with psycopg.connect(desk.conninfo) as connection:
        rows = connection.execute(
            "SELECT ssin, customer, inscription_context, operation, before::text, after::text, customer_ticket,"
            " legal_context, application_urn, cbe_number FROM inscription_history ORDER BY change_number"
        ).fetchall()
        distinct = connection.execute("SELECT count(DISTINCT ticket_cbss) FROM inscription_history").fetchone()
    january, march = "{[2024-01-01,2024-02-01)}", "{[2024-03-01,2024-04-01)}"
    head = (ssin_of(ACTIVE).number, "17/1", LIVING_WAGE)
    tail = (stored, GROUND, CALLER.application_urn, CALLER.cbe_number)
    assert rows == [
        (*head, "insertInscription", "{}", january, *tail),
        (*head, "updateInscription", january, march, *tail),
        (*head, "deleteInscription", march, "{}", *tail),
    ]
    assert distinct == (3,)


# -- the order of the checks -----------------------------------------------------------------------------------------


async def test_the_order_is_existence_context_legal_data_period(desk: Desk) -> None:
    """Of several reasons to refuse an insertion, the first of contract.md section 4 is told, and only that one."""
    wrong = LegalData(last_name="Peeters")
    refuser = desk.at(REFUSER)
    asked: list[tuple[Callable[..., Any], int, InscriptionContext, LegalData | None, str, str]] = [
        (desk.insert, NOBODY, UNGRANTED, wrong, REVERSED, "MSG00005"),
        (desk.insert, CANCELED, UNGRANTED, wrong, REVERSED, "CBI00101"),
        (refuser.insert, REPLACED, UNGRANTED, wrong, REVERSED, "MSG00006"),
        (desk.insert, ACTIVE, UNGRANTED, wrong, REVERSED, "CBI00201"),
        (desk.insert, ACTIVE, LIVING_WAGE, wrong, REVERSED, "CBI00301"),
        (desk.insert, ACTIVE, LIVING_WAGE, OWN, REVERSED, "MSG00008"),
        (desk.insert, ACTIVE, LIVING_WAGE, OWN, JANUARY, "MSG00000"),
    ]
    for insert, index, context, data, period, code in asked:
        assert (await insert(index, period, data, context=context)).status.code == code


async def test_the_order_is_existence_context_period_line(desk: Desk) -> None:
    """Of several reasons to refuse a consultation, an update or a deletion, the first of the contract is told."""
    for index, context, period, code in (
        (NOBODY, UNGRANTED, REVERSED, "MSG00005"),
        (CANCELED, UNGRANTED, REVERSED, "CBI00101"),
        (ACTIVE, UNGRANTED, REVERSED, "CBI00201"),
        (ACTIVE, LIVING_WAGE, REVERSED, "MSG00008"),
    ):
        results: list[InscriptionResult] = [
            await desk.consult(index, context, period=period, after="bogus"),
            await desk.update(index, period, REVERSED, context=context),
            await desk.delete(index, period, context=context),
        ]
        assert outcomes(results) == refusals(code)
    assert (await desk.update(ACTIVE, JANUARY, REVERSED)).status.code == "MSG00008"
    assert (await desk.update(ACTIVE, JANUARY, MARCH)).status.code == "CBI00403"
    assert (await desk.delete(ACTIVE, JANUARY)).status.code == "CBI00403"


@HERE
async def test_a_line_set_has_a_limit(desk: Desk) -> None:
    """A write that would leave more lines than the limit is MSG00008 and writes nothing; one that leaves less can."""
    for year in range(2000, 2000 + LINES_MAX):
        assert (await desk.insert(ACTIVE, f"{year}-01-01..{year}-01-31")).status.code == "MSG00000"
    changes = desk.count("inscription_history")
    one_more = await desk.insert(ACTIVE, "1999-01-01..1999-01-31")
    split = await desk.delete(ACTIVE, "2001-01-10..2001-01-20")
    for refused in (one_more, split):
        assert (refused.status.value, refused.status.code) == ("NOK", "MSG00008")
        assert refused.status.information == (Information(field_name="inscriptions", field_value=str(LINES_MAX)),)
    assert desk.count("inscription_history") == changes
    smaller = replace(desk, repertory=desk.with_lines_max(LINES_MAX // 2))
    assert (await smaller.delete(ACTIVE, "2003-01-01..2003-01-31")).status.code == "MSG00000"
    assert (await desk.insert(ACTIVE, "2001-01-15..2002-01-15")).status.code == "MSG00000"
    assert (await desk.insert(ACTIVE, "1999-01-01..1999-01-31")).status.code == "MSG00000"


async def test_a_period_that_says_nothing_cuts_nothing(desk: Desk) -> None:
    """A deletion whose period has neither date is MSG00008: removing everything is asked without a period."""
    await desk.insert(ACTIVE, JANUARY)
    answer = await desk.delete(ACTIVE, "..")
    assert (answer.status.value, answer.status.code) == ("NOK", "MSG00008")
    assert answer.status.information == (Information(field_name="period"),)
    assert len((await desk.consult(ACTIVE)).inscriptions) == 1


async def test_the_repertory_says_that_it_answers(desk: Desk) -> None:
    """A look at the repertory is OK while the database answers (healthCheck)."""
    assert (await desk.repertory.look()).health is Health.OK
