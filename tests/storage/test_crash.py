"""A server that is killed, and one that is away: what was acknowledged stays, what was not is told (rules 35, 37)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import Register
from cbss_inscription.domain.line_set import Change, LineKey
from cbss_inscription.domain.period import Period
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.results import Health
from cbss_inscription.domain.ssin import Ssin, check_digits
from cbss_inscription.registers.life import Done, NumberLife, Refused
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.storage import database as database_module
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.history import StoredHistory
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.life import StoredFiles
from cbss_inscription.storage.migration import migrate
from cbss_inscription.storage.persons import StoredPersons
from cbss_inscription.storage.replay import StoredReplayGuard
from tests.conftest import FoundDataAnomalies

WRITERS = 4
ACKNOWLEDGED_BEFORE_KILL = 120
REPLACED_BEFORE_KILL, REPLACEMENTS_MAX = 40, 400
CUSTOMER = CustomerIdentification(sector=17, institution=1)
CONTEXT = InscriptionContext("PCSA:LIVING_WAGE")
CALLER = Caller(
    application_urn="urn:app:one",
    cbe_number="0200000012",
    environment="Acceptation",
    certificate_fingerprint="00" * 32,
)
NOW = datetime(2024, 6, 1, tzinfo=UTC)
UNTIL = NOW + timedelta(minutes=5)


def insertion(ssin: int, day: date) -> Change:
    return Change(
        key=LineKey(ssin=Ssin.of_number(ssin), customer=CUSTOMER, inscription_context=CONTEXT),
        operation=Operation.INSERT_INSCRIPTION,
        removed=None,
        added=Period(begin_date=day, end_date=day),
        line_count_max=10_000,
        legal_context=LegalContext("PCSA:SOCIAL_INQUIRY"),
        customer_ticket=None,
        exchange=Exchange(ticket_cbss=uuid4(), timestamp_receive=NOW, caller=CALLER),
    )


async def start_anew(server: EmbeddedServer) -> None:
    """Nothing; a server that was killed runs again. Its backends notice its end sooner than its parent is told."""
    while not server.crashed:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(server.start)


def message_key(ticket: UUID) -> bytes:
    return hashlib.sha256(ticket.bytes).digest()


@pytest.fixture(scope="module")
def own_server() -> Iterator[EmbeddedServer]:
    """A server for this module alone, which may be killed; on a disk, where writers wait for each other's syncing."""
    directory = Path(tempfile.mkdtemp(prefix="cbss-tests-"))
    directory.chmod(0o711)
    try:
        with EmbeddedServer(directory / "killed") as server:
            migrate(server.connection_string)
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "WAIT_SECONDS_MAX", 0.3)


async def write_until_killed(server: EmbeddedServer) -> tuple[list[Change], list[Change]]:
    """What was acknowledged before the postmaster was killed, and what was under way then."""
    database = Database(server.connection_string, connections_max=WRITERS)
    await database.open()
    store, guard = StoredInscriptions(database), StoredReplayGuard(database)
    acknowledged: list[Change] = []
    under_way: list[Change] = []

    async def writer(ssin: int) -> None:
        for number in count():
            change = insertion(ssin, date(2024, 1, 1) + timedelta(days=2 * number))
            try:
                # As the pipeline does: first the message is admitted, then it is carried out.
                assert await guard.admit(message_key(change.exchange.ticket_cbss), until=UNTIL, now=NOW)
                await store.change(change)
            except TemporarilyUnavailable:
                under_way.append(change)
                return
            acknowledged.append(change)
            if len(acknowledged) == ACKNOWLEDGED_BEFORE_KILL:
                process_id = server.process_id
                assert process_id is not None
                os.kill(process_id, signal.SIGKILL)

    try:
        await asyncio.gather(*(writer(1 + number) for number in range(WRITERS)))
    finally:
        await database.close()
    return acknowledged, under_way


@pytest.mark.usefixtures("impatient")
async def test_rule_37_a_killed_server_loses_nothing_acknowledged_and_keeps_nothing_half(
    own_server: EmbeddedServer,
) -> None:
    """After kill -9 of the postmaster in a stream of insertions, every acknowledged one is there, none is half done."""
    acknowledged, under_way = await write_until_killed(own_server)
    assert len(acknowledged) >= ACKNOWLEDGED_BEFORE_KILL
    assert len(under_way) == WRITERS
    await start_anew(own_server)
    with psycopg.connect(own_server.connection_string) as connection:
        state: dict[int, Any] = dict(connection.execute("SELECT ssin, periods FROM inscription").fetchall())
        history = connection.execute(
            "SELECT ssin, before, after, ticket_cbss FROM inscription_history ORDER BY change_number"
        ).fetchall()
    tickets = {row[3] for row in history}
    for change in acknowledged:
        assert change.exchange.ticket_cbss in tickets
        assert change.added is not None
        assert change.added.begin_date in {part.lower for part in state[change.key.ssin.number]}
    assert tickets <= {change.exchange.ticket_cbss for change in (*acknowledged, *under_way)}
    # State and history agree: each row of history goes on where the former ended, and the last is the state.
    reached: dict[int, Any] = {}
    for ssin, before, after, _ in history:
        assert list(before) == list(reached.get(ssin, []))
        reached[ssin] = after
    assert {ssin: list(periods) for ssin, periods in reached.items()} == {
        ssin: list(periods) for ssin, periods in state.items()
    }

    # SEC-52: the message of an acknowledged write is still remembered, though its row did not wait for the disk.
    database = Database(own_server.connection_string, connections_max=1)
    await database.open()
    try:
        guard = StoredReplayGuard(database)
        for change in acknowledged:
            assert not await guard.admit(message_key(change.exchange.ticket_cbss), until=UNTIL, now=NOW)
    finally:
        await database.close()


async def replace_until_killed(server: EmbeddedServer) -> tuple[list[Done], list[Done | Refused]]:
    """The replacements that were acknowledged before the postmaster was killed, and what else was answered."""
    with psycopg.connect(server.connection_string) as connection:
        for number in range(1, 2 * REPLACEMENTS_MAX + 1):
            connection.execute(
                "INSERT INTO person (ssin, register, status, last_name, given_names, gender_code)"
                " VALUES (%s, 'nr', 'active', 'Peeters', '{}', 0)",
                (number_of(number).number,),
            )
    database = Database(server.connection_string, connections_max=WRITERS + 2)
    await database.open()
    store, persons = StoredInscriptions(database), StoredPersons(database)
    life = NumberLife(
        files=StoredFiles(database),
        registers=persons,
        national_register=persons,
        ours=tuple(Register),
        data_anomalies=FoundDataAnomalies(),
    )
    done: list[Done] = []
    other: list[Done | Refused] = []

    async def registrar() -> None:
        for number in range(1, REPLACEMENTS_MAX + 1):
            old, new = number_of(number), number_of(REPLACEMENTS_MAX + number)
            for ssin in (old, new):
                await store.change(insertion(ssin.number, date(2025, 1, 1)))
            result = await life.replace(old, new, operator="registrar")
            (done if isinstance(result, Done) else other).append(result)  # type: ignore[arg-type]  # told apart here
            if len(done) == REPLACED_BEFORE_KILL:
                process_id = server.process_id
                assert process_id is not None
                asyncio.get_running_loop().call_later(0.005, os.kill, process_id, signal.SIGKILL)

    async def writer(number: int) -> None:
        for day in count():
            await store.change(insertion(number_of(number).number, date(2024, 1, 1) + timedelta(days=2 * day)))

    try:
        # The first to notice ends all: every connection is lost at once.
        with pytest.raises(TemporarilyUnavailable):
            await asyncio.gather(registrar(), *(writer(REPLACEMENTS_MAX + 1 + number) for number in range(WRITERS)))
    finally:
        await asyncio.sleep(0.05)
        await database.close()
    return done, other


def number_of(index: int) -> Ssin:
    """A number of the National Register for each index up to 1 800."""
    first_nine = f"{50 + index // 900:02d}0101{index % 900 + 1:03d}"
    return Ssin.parse(first_nine + check_digits(first_nine, century=1900))


@pytest.mark.usefixtures("impatient")
async def test_rule_19_a_killed_server_leaves_no_replacement_half_done(own_server: EmbeddedServer) -> None:
    """After kill -9 in a stream of replacements each is done with its lines, history and mutation, or not at all."""
    if own_server.process_id is None:
        await asyncio.to_thread(own_server.start)
    done, other = await replace_until_killed(own_server)
    assert len(done) >= REPLACED_BEFORE_KILL
    assert other == []
    await start_anew(own_server)
    database = Database(own_server.connection_string, connections_max=1)
    await database.open()
    try:
        # Lines under a number that is replaced, or a history that does not lead to the lines, would be told here.
        assert (await StoredHistory(database, hops_max=10).verify()).discrepancies == ()
        replaced = {row[0] for row in await rows(database, "SELECT ssin FROM person WHERE status = 'replaced'")}
        assert {item.ssin.number for item in done} <= replaced
        for table in ("replacement", "mutation", "person_history"):
            assert {row[0] for row in await rows(database, f"SELECT ssin FROM {table}")} == replaced
        numbers = [row[0] for row in await rows(database, "SELECT sequence_number FROM mutation ORDER BY 1")]
        assert numbers == list(range(1, len(replaced) + 1))
    finally:
        await database.close()


async def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.connection() as connection:
        return await (await connection.execute(query)).fetchall()  # type: ignore[arg-type]  # texts of this module


@pytest.mark.usefixtures("impatient")
async def test_sec_53_without_the_database_nothing_is_admitted_and_nothing_is_done(
    own_server: EmbeddedServer,
) -> None:
    """With the server gone, admitting, reading and writing are TemporarilyUnavailable; health is NOK (SEC-53)."""
    if own_server.process_id is None:
        await asyncio.to_thread(own_server.start)
    conninfo = own_server.connection_string
    database = Database(conninfo, connections_max=1)
    await database.open()
    repertory = EmbeddedRepertory(
        registers=StoredPersons(database),
        lines=StoredInscriptions(database),
        known_contexts=lambda _: [CONTEXT],
        data_anomalies=FoundDataAnomalies(),
    )
    assert (await repertory.look()).health is Health.OK
    await asyncio.to_thread(own_server.stop)
    try:
        with pytest.raises(TemporarilyUnavailable) as caught:
            await StoredReplayGuard(database).admit(key := message_key(uuid4()), until=UNTIL, now=NOW)
        assert caught.value.reason == "database"
        assert key.hex() not in str(caught.value)
        with pytest.raises(TemporarilyUnavailable):
            await StoredInscriptions(database).change(insertion(99, date(2024, 1, 1)))
        with pytest.raises(TemporarilyUnavailable):
            await StoredPersons(database).chain_of(Ssin.of_number(99), hops_max=10)
        look = await repertory.look()
        assert (look.health, look.detail) == (Health.NOK, "database")
    finally:
        await database.close()
    late = Database(conninfo)
    with pytest.raises(TemporarilyUnavailable):
        await late.open()
    await late.close()
