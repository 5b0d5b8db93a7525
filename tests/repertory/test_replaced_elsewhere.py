"""Replacements that another register made, took back or corrected, whether or not we were told (rules 16, 19, 20)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.domain.legal_data import Person, Register
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.person_search import PhoneticCriteria
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.registers.authority import AuthorityRegisters
from cbss_inscription.registers.life import Done, NumberLife, RefusalReason, Refused
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.history import StoredHistory
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.life import StoredFiles
from cbss_inscription.storage.persons import StoredPersons
from tests.conftest import FoundDataAnomalies
from tests.repertory.office import JANUARY, MARCH, OTHER, WAGE, Office, lines_of, person_of, ssin_of

OURS = frozenset({Register.BIS, Register.RAD})
X, Y, Z = (ssin_of(index) for index in (1, 2, 3))


@dataclass
class Elsewhere:
    """A National Register that is not in our store, and takes its time."""

    files: dict[Ssin, Person] = field(default_factory=dict)
    seconds: float = 0.0
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`."""
        self.is_asked.set()
        await asyncio.sleep(self.seconds)
        chain: list[Person] = []
        here: Ssin | None = ssin
        while here in self.files and len(chain) < hops_max + 2:
            chain.append(self.files[here])
            here = chain[-1].replaced_by
        return tuple(chain)

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        """See `PersonRegister.like`: nobody."""
        return ()


@dataclass(kw_only=True)
class House:
    """A façade's repertory and registers, the National Register being elsewhere; persons 1 to 3 are known there."""

    national: Elsewhere
    life: NumberLife
    office: Office
    anomalies: FoundDataAnomalies
    history: StoredHistory

    def says(self, index: int, **changes: object) -> None:
        """What the National Register says of a person from now on."""
        self.national.files[ssin_of(index)] = person_of(index, **changes)

    async def reason(self, old: Ssin, new: Ssin) -> RefusalReason | None:
        """Why a replacement is refused; None when it is done."""
        outcome = await self.life.replace(old, new, operator="operator")
        return outcome.reason if isinstance(outcome, Refused) else None


@pytest.fixture
async def house(fresh_database: str) -> AsyncIterator[House]:
    database = Database(fresh_database, connections_max=6)
    await database.open()
    national = Elsewhere({ssin_of(index): person_of(index) for index in (1, 2, 3)})
    registers = AuthorityRegisters(own=StoredPersons(database, registers=OURS), national=national)
    anomalies = FoundDataAnomalies()
    life = NumberLife(
        files=StoredFiles(database),
        registers=registers,
        national_register=national,
        ours=OURS,
        data_anomalies=anomalies,
    )
    repertory = EmbeddedRepertory(
        registers=registers,
        lines=StoredInscriptions(database),
        known_contexts=lambda _: [WAGE],
        data_anomalies=anomalies,
        successions=life,
    )
    office = Office(repertory=repertory, conninfo=fresh_database)
    assert (await office.insert(1, JANUARY)).status.code == "MSG00000"
    yield House(
        national=national,
        life=life,
        office=office,
        anomalies=anomalies,
        history=StoredHistory(database, hops_max=10),
    )
    await database.close()


async def test_rule_20_lines_follow_a_replacement_that_nobody_told_us(house: House) -> None:
    """Whoever asks by a number replaced at the National Register finds its lines, and its holders are told (19, 20)."""
    house.says(1, successor=2)
    consulted = await house.office.consult(1)
    assert lines_of(consulted) == [JANUARY]
    assert consulted.ssin is not None
    assert (consulted.ssin.current, consulted.ssin.replaces) == (Y, X)
    assert house.office.rows("SELECT event, ssin, current_ssin FROM mutation") == [("replaced", X.number, Y.number)]
    assert house.office.rows("SELECT event, operator FROM person_history") == [("replaced", "repertory")]
    assert lines_of(await house.office.consult(2)) == [JANUARY]
    # Once: whoever asks again, by whichever number, finds it settled.
    assert lines_of(await house.office.consult(1)) == [JANUARY]
    assert house.office.count("mutation") == 1


async def test_rule_20_a_declaration_by_a_number_replaced_elsewhere_meets_its_lines(house: House) -> None:
    """A deletion and an insertion by the old number work on the lines that it had (rules 18 to 20)."""
    house.says(1, successor=2)
    deleted = await house.office.delete(1, JANUARY)
    assert deleted.status.code == "MSG00000"
    assert deleted.inscriptions == ()
    inserted = await house.office.insert(1, MARCH)
    assert lines_of(inserted) == lines_of(await house.office.consult(2)) == [MARCH]
    assert (await house.history.verify()).discrepancies == ()


async def test_rule_19_a_chain_that_grew_elsewhere_is_settled_link_by_link(house: House) -> None:
    """X was replaced by Y and we were told, then Y by Z and we were not: all lines are under Z (rule 19)."""
    house.says(1, successor=2)
    assert await house.reason(X, Y) is None
    await house.office.at(OTHER).insert(2, MARCH)
    house.says(2, successor=3)
    assert lines_of(await house.office.consult(1)) == [JANUARY]
    assert lines_of(await house.office.at(OTHER).consult(3)) == [MARCH]
    told = house.office.rows("SELECT customer, ssin, current_ssin FROM mutation ORDER BY customer, sequence_number")
    assert told == [
        ("17/1", X.number, Y.number),
        ("17/1", Y.number, Z.number),
        ("17/2", Y.number, Z.number),
    ]
    assert await house.reason(X, Y) is None  # told late: nothing is left to do
    assert house.office.count("mutation") == 3


async def test_rule_19_many_who_meet_a_replacement_at_once_settle_it_once(house: House) -> None:
    """Ten requests by a number that was just replaced elsewhere: all are answered, the holder is told once."""
    house.says(1, successor=2)
    answers = await asyncio.gather(*(house.office.consult(1) for _ in range(10)))
    assert {tuple(lines_of(answer)) for answer in answers} == {(JANUARY,)}
    assert house.office.count("mutation") == 1


async def test_rule_16_a_replacement_that_was_turned_round_closes_no_circle(house: House) -> None:
    """The National Register takes X→Y back and says Y→X: lines that went to Y are not sent back, and it is reported."""
    house.says(1, successor=2)
    assert await house.reason(X, Y) is None
    house.says(1)
    house.says(2, successor=1)
    assert await house.reason(Y, X) is RefusalReason.LINES_ELSEWHERE
    assert house.anomalies.reasons == ["lines-elsewhere"]
    assert house.office.rows("SELECT ssin, replaced_by FROM replacement") == [(X.number, Y.number)]
    # It is never said that there are no lines: what cannot be settled is for people, and says so.
    assert (await house.office.consult(2)).status.code == "CBI00901"
    assert house.anomalies.reasons[1:] == ["lines-elsewhere", "lines-left-behind"]


async def test_rule_19_a_corrected_successor_does_not_take_another_persons_lines(house: House) -> None:
    """X→Y was told, then the National Register corrects itself to X→Z: what lies under Y stays, and it is reported."""
    house.says(1, successor=2)
    assert await house.reason(X, Y) is None
    house.says(1, successor=3)
    assert await house.reason(X, Z) is RefusalReason.LINES_ELSEWHERE
    assert house.anomalies.reasons == ["lines-elsewhere"]
    assert lines_of(await house.office.consult(2)) == [JANUARY]
    assert house.office.count("mutation") == 1


async def test_rule_21_what_a_file_said_before_does_not_keep_it_from_changing(house: House) -> None:
    """A file taken over with too many names and a future birth can still be given back and canceled (rule 21)."""
    house.says(1, given_names=tuple("abcdefghijklmno"), birth_date=IncompleteDate(2999, 1, 1))
    assert isinstance(await house.life.rad_in(X, operator="operator"), Done)
    assert isinstance(await house.life.rad_out(X, operator="operator"), Done)
    assert isinstance(await house.life.rad_in(X, operator="operator"), Done)
    # What is changed is judged.
    early = await house.life.decease(X, IncompleteDate(1890, 1, 1), operator="operator")
    assert early == Refused(reason=RefusalReason.FUTURE_DATE)
    assert isinstance(await house.life.cancel(X, operator="operator"), Done)


async def test_rule_21_a_file_is_only_given_back_to_a_register_that_has_it(house: House) -> None:
    """A RAD file that the National Register lacks stays: its number would be known nowhere (rules 21, 54)."""
    assert isinstance(await house.life.rad_in(X, operator="operator"), Done)
    file = house.national.files.pop(X)
    refused = Refused(reason=RefusalReason.NOT_ACTIVE_THERE)
    assert await house.life.rad_out(X, operator="operator") == refused
    house.says(1, canceled=True)
    assert await house.life.rad_out(X, operator="operator") == refused
    assert lines_of(await house.office.consult(1)) == [JANUARY]
    house.national.files[X] = file
    assert isinstance(await house.life.rad_out(X, operator="operator"), Done)


async def test_rule_34_what_was_deleted_does_not_come_back_with_a_replacement(house: House) -> None:
    """Between the National Register's replacement and our being told, a deletion meets all lines (rules 20, 34)."""
    house.says(1, successor=2)
    assert (await house.office.insert(1, MARCH)).status.code == "MSG00000"
    assert (await house.office.delete(1)).status.code == "MSG00000"
    assert await house.reason(X, Y) is None
    assert lines_of(await house.office.consult(2)) == []


async def test_rule_21_nobody_waits_for_the_national_register_but_who_asks_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a file is taken in from a slow National Register, declarations about its person go on (rule 21)."""
    slow = Elsewhere(house.national.files, seconds=2.5)
    monkeypatch.setattr(house.life, "_national_register", slow)
    taking = asyncio.create_task(house.life.rad_in(X, operator="operator"))
    await slow.is_asked.wait()
    try:
        assert (await house.office.insert(1, MARCH)).status.code == "MSG00000"
    except TemporarilyUnavailable:
        pytest.fail("the declaration waited for the National Register")
    assert isinstance(await taking, Done)
