"""The National Register as a process of its own, over TLS: asked, gone, back, and pretended by others (rules 14, 54).

The façade of this sandbox has BIS and RAD files in its own database, and none of the National Register's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg
import pytest

from cbss_inscription.app.registers import Registers, registers_of
from cbss_inscription.app.settings import CircuitBreaker, NationalRegister, Settings, read_settings
from cbss_inscription.app.telemetry import StructuredCallLog
from cbss_inscription.batch.files import ASKED_AT_ONCE, FilesOneByOne
from cbss_inscription.client import FaultReceived, InscriptionClient, Period
from cbss_inscription.client.asker import CallLog
from cbss_inscription.client.async_transport import AsyncTransport
from cbss_inscription.client.breaker import Circuit
from cbss_inscription.client.call import prepare
from cbss_inscription.client.errors import CallFailed
from cbss_inscription.client.profile import Profile, read_signer
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.errors import RepertoryUnavailable
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import LegalData
from cbss_inscription.domain.person_search import SearchPersonBySsin
from cbss_inscription.domain.requests import HealthCheckType, Request
from cbss_inscription.domain.results import Health, PersonsResult
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.registers.national_register import SOURCE
from cbss_inscription.registers.resolution import HOPS_MAX
from cbss_inscription.storage.database import Database
from tests.acceptance.conftest import Command
from tests.acceptance.operating import counted, logged
from tests.acceptance.sandbox_processes import family_of, listeners_of
from tests.chaos.cutting import Cable
from tests.conftest import RunningSandbox, start_sandbox, stop_process, wait_for_sandbox
from tests.repertory.houses import Calls

CONTEXT = "PCSA:LIVING_WAGE"
NEW_YEAR = Period(begin_date=date(2026, 1, 1))
ANSWER_SECONDS_MAX = 8.0
"""Generously more than the 2 seconds of the register's deadline, and well below the façade's own 15."""
OPEN_SECONDS = 2.0
"""How long a circuit of a test stays open: far longer than it takes to find that it is."""
BACK_SECONDS_MAX = 60.0
"""For a register to start on a busy machine, and for a circuit that opened meanwhile to let a probe through."""
TABLES = ("person", "person_history", "inscription", "inscription_history", "mutation", "answered_declaration")


@dataclass
class Services:
    """A façade, the National Register that it asks, and what lies in their databases."""

    sandbox: RunningSandbox
    own_register: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def register(self) -> dict[str, Any]:
        """What sandbox.json says of the National Register."""
        return dict(self.sandbox.manifest["national_register"])

    @property
    def settings(self) -> Settings:
        """The façade's settings."""
        return read_settings(self.sandbox.path("settings.toml"))

    def code_of(self, ssin: str) -> str:
        """The code of a consultation."""
        with InscriptionClient(self.sandbox.profile()) as client:
            return client.consult_inscriptions(ssin).result.status.code.value

    def written(self) -> list[int]:
        """How many rows each table of the façade's database has."""
        with psycopg.connect(self.sandbox.manifest["database"]) as connection:
            counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in TABLES]
        return [int(count[0]) for count in counts if count is not None]

    def kill(self, number: int) -> None:
        """Nothing; the register's listener and its workers got the signal."""
        pid = self.own_register[-1].pid if self.own_register else self.register["pid"]
        os.killpg(pid, number)

    def start_again(self) -> None:
        """Nothing; a National Register answers at the same place, started by its own command."""
        command = [sys.executable, "-m", "cbss_inscription.cli.main", "national-register", "--settings"]
        process = subprocess.Popen(
            [*command, str(self.sandbox.path(self.register["settings"]))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.own_register.append(process)


@pytest.fixture(scope="module")
def services(reachable_directory: Path) -> Iterator[Services]:
    """A sandbox with a National Register of its own."""
    directory = reachable_directory / "register"
    ports = ("--port", "0", "--operations-port", "0")
    process = start_sandbox(directory, *ports, "--persons", "150", "--national-register")
    found: Services | None = None
    try:
        found = Services(sandbox=wait_for_sandbox(process, directory))
        yield found
    finally:
        for own in found.own_register if found is not None else ():
            stop_process(own)
        stop_process(process)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def strangers(services: Services) -> Iterator[str]:
    """Numbers of the National Register that no scenario and no other test uses."""
    scenarios = {int(scenario["ssin"]) for scenario in services.sandbox.manifest["scenarios"].values()}
    with psycopg.connect(services.register["database"]) as connection:
        rows = connection.execute(
            "SELECT ssin FROM person WHERE status = 'active' AND decease_date IS NULL ORDER BY ssin DESC"
        ).fetchall()
    return iter([f"{number:011d}" for (number,) in rows if number not in scenarios])


@pytest.fixture
def stranger(strangers: Iterator[str]) -> str:
    """A number that the façade has not asked for yet."""
    return next(strangers)


# -- asked -------------------------------------------------------------------------------------------------------------


def test_rule_12_each_register_s_files_are_where_it_is(services: Services) -> None:
    """Rules 12, 14: KSZ's store has BIS and RAD files alone, the National Register's has its own alone."""
    for database, registers in (
        (services.sandbox.manifest["database"], {"bis", "rad"}),
        (services.register["database"], {"nr"}),
    ):
        with psycopg.connect(database) as connection:
            rows = connection.execute("SELECT DISTINCT register FROM person").fetchall()
        assert {register for (register,) in rows} == registers


@pytest.mark.parametrize(
    ("scenario", "code"),
    [
        ("nr_active", "MSG00100"),
        ("bis_active", "MSG00100"),
        ("rad_active", "MSG00100"),
        ("deceased", "MSG00100"),
        ("replaced", "MSG00100"),
        ("replaced_chain", "MSG00100"),
        ("replaced_by_canceled", "CBI00101"),
        ("canceled", "CBI00101"),
        ("long_chain", "CBI00101"),
        ("unknown", "MSG00005"),
        ("invalid_check", "MSG00011"),
    ],
)
def test_rules_13_to_18_numbers_are_answered_as_from_one_store(services: Services, scenario: str, code: str) -> None:
    """Rules 13 to 18: wherever a file is, the answer is that of a façade with one store for all."""
    assert services.code_of(services.sandbox.ssin(scenario)) == code


def test_rules_14_18_19_a_line_of_a_replaced_number_stands_under_the_new_one(services: Services) -> None:
    """Rules 14, 18: a BIS number replaced by one of the National Register's leads there, through both registers."""
    scenario = services.sandbox.manifest["scenarios"]["replaced"]
    with InscriptionClient(services.sandbox.profile()) as client:
        inserted = client.insert_inscription(scenario["ssin"], inscription_context=CONTEXT, period=NEW_YEAR).result
        consulted = client.consult_inscriptions(scenario["current"]).result
    assert inserted.ssin is not None
    assert inserted.ssin.current == Ssin(scenario["current"])
    assert inserted.ssin.replaces == Ssin(scenario["ssin"])
    assert consulted.inscriptions == inserted.inscriptions


def test_rule_14_legal_data_are_compared_with_the_authority_s(services: Services) -> None:
    """Rules 14, 41: the National Register's data decide, and only which field disagrees is told."""
    scenario = services.sandbox.manifest["scenarios"]["nr_active"]
    name = scenario["legal_data"]["last_name"]
    before = services.written()
    with InscriptionClient(services.sandbox.profile()) as client:
        for given, code in ((f"{name}x", "CBI00301"), (name, "MSG00000")):
            legal_data = LegalData(last_name=given)
            result = client.insert_inscription(
                scenario["ssin"], inscription_context=CONTEXT, period=NEW_YEAR, legal_data=legal_data
            ).result
            assert code in {result.status.code.value, *(anomaly.code.value for anomaly in result.validation_errors)}
            assert (result.status.value.value == "OK") is (given == name)
            assert (services.written() == before) is (given != name)


def test_a_health_check_looks_at_the_national_register(services: Services) -> None:
    """DEEP asks it too, DEFAULT looks at the façade's own parts alone, PING at nothing (contract.md 1, decision 32)."""
    own = ["repertory", "database", "server-certificate", "signing-certificates", "revocation-lists", "clock"]
    own.append("audit-journal")
    with InscriptionClient(services.sandbox.profile()) as client:
        for kind in HealthCheckType:
            result = client.health_check(kind).result
            looked_at = {HealthCheckType.PING: [], HealthCheckType.DEFAULT: own}.get(kind, [*own, "national-register"])
            assert [check.name for check in result.checks] == looked_at
            assert result.health is Health.OK


def _request(ssin: str, *, cbe_number: str = "9000000389", legal_context: str = "REPERTORY:IDENTIFICATION") -> Request:
    return SearchPersonBySsin(
        information_customer=InformationCustomer(
            customer_identification=CustomerIdentification(cbe_number=cbe_number), ticket="T"
        ),
        legal_context=LegalContext(legal_context),
        ssins=(ssin,),
    )


async def _ask(services: Services, request: Request, *, by: str = "repertory") -> tuple[str, bytes]:
    """The code of the register's answer or fault, and the answer's bytes, for a caller with this certificate."""
    paths = {name: services.sandbox.path(f"pki/{by}.{name}.pem") for name in ("crt", "key")}
    profile = Profile(
        url=services.register["url"],
        ca=services.sandbox.path("pki/tls-ca.crt.pem"),
        certificate=paths["crt"],
        private_key=paths["key"],
    )
    transport = AsyncTransport(profile)
    call = prepare(request, signer=read_signer(paths["crt"], paths["key"]), now=datetime.now(UTC), door=Door.PERSON)
    try:
        answer = await transport.send(call)
    except FaultReceived as error:
        return error.code, b""
    finally:
        await transport.close()
    assert isinstance(answer.result, PersonsResult)
    return answer.result.status.code.value, answer.received


async def test_the_register_answers_its_own_callers_alone(services: Services, stranger: str) -> None:
    """SEC-56, SEC-58: access rule, customer and legal context are the register's own; every answer has its ticket."""
    code, received = await _ask(services, _request(stranger))
    assert code == "MSG00000"
    assert b"<ticketCBSS>" in received
    assert b"<timestampReceive>" in received
    assert (await _ask(services, _request(services.sandbox.ssin("bis_active"))))[0] == "MSG00100"  # not its file
    assert (await _ask(services, _request(services.sandbox.ssin("rad_active"))))[0] == "MSG00100"
    assert (await _ask(services, _request(stranger, legal_context="OTHER:CONTEXT")))[0] == "MSG00013"
    assert (await _ask(services, _request(stranger, cbe_number="9000000191")))[0] == "SOA-01002"
    assert (await _ask(services, _request(stranger), by="pcsa-web"))[0] == "SOA-01002"
    assert (await _ask(services, _request(stranger), by="unknown-urn"))[0] == "SOA-01002"
    for by in ("expired", "other-environment", "revoked"):
        code, _ = await _ask(services, _request(stranger), by=by)
        assert code == "An error occurred while servicing your request."


@asynccontextmanager
async def _registers_of_facade(
    services: Services, *, log: CallLog | None = None, **changes: Any
) -> AsyncIterator[Registers]:
    """The façade's client of the register, with other settings."""
    settings = services.settings
    assert settings.national_register is not None
    changed: NationalRegister = msgspec.structs.replace(settings.national_register, **changes)
    registers = registers_of(
        msgspec.structs.replace(settings, national_register=changed),
        Database(settings.database),
        log=log or StructuredCallLog(),
    )
    try:
        yield registers
    finally:
        await registers.close()


async def _ask_as_facade(services: Services, ssin: str, **changes: Any) -> None:
    """Nothing; the façade's client of the register, with other settings, has asked for a number."""
    async with _registers_of_facade(services, **changes) as registers:
        await registers.national.chain_of(Ssin.parse(ssin), hops_max=HOPS_MAX)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"certificate": "pki/pcsa-web.crt.pem", "private_key": "pki/pcsa-web.key.pem"}, "rejected"),
        ({"certificate": "pki/expired.crt.pem", "private_key": "pki/expired.key.pem"}, "rejected"),
        ({"certificate": "pki/unknown-urn.crt.pem", "private_key": "pki/unknown-urn.key.pem"}, "rejected"),
        ({"ca": "pki/authorities.pem"}, "untrusted"),
        ({"url": "https://localhost:1/PersonService/v1/person"}, "unreachable"),
        ({"legal_context": "OTHER:CONTEXT"}, "refused"),
    ],
)
async def test_e19_a_facade_that_the_register_does_not_admit_has_no_answer(
    services: Services, stranger: str, changes: dict[str, str], reason: str
) -> None:
    """E19: a wrong certificate on either side, or a legal context that is not granted, is an outage."""
    there = {key: str(services.sandbox.path(value)) if "pki/" in value else value for key, value in changes.items()}
    with pytest.raises(RepertoryUnavailable, match=f"national-register-{reason}"):
        await _ask_as_facade(services, stranger, **there)


# -- pretended ---------------------------------------------------------------------------------------------------------


Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)


async def _babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"220 mail.example ESMTP\r\n\r\n")


async def _trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n")
    while not reader.at_eof():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 999999999\r\n\r\n")
    while not reader.at_eof():
        writer.write(b" " * 65_536)
        await writer.drain()
        await asyncio.sleep(0)  # once nobody is there any more, `drain` waits for nothing, and says nothing


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


async def _redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n")


async def _html(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>")


@asynccontextmanager
async def _pretending(services: Services, behave: Behave, *, tls: bool = True) -> AsyncIterator[tuple[str, list[int]]]:
    """The address of a server with a good TLS certificate and bad manners; and how often it was connected to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(services.sandbox.path("pki/server.crt.pem"), services.sandbox.path("pki/server.key.pem"))
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        try:
            await behave(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort() if behave is _flood else writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context if tls else None)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}/PersonService/v1/person", connections
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("behave", "reason", "connections"),
    [
        (_close, "broken", 2),
        (_babble, "broken", 2),
        (_trickle, "timeout", 1),
        (_hang, "timeout", 1),
        (_flood, "unreadable", 1),
        (_redirect, "unreadable", 1),
        (_html, "unreadable", 1),
    ],
)
async def test_rule_54_whoever_sits_in_the_register_s_place_says_nothing(
    services: Services, stranger: str, behave: Behave, reason: str, connections: int
) -> None:
    """Rule 54, E19: whatever a server does, it is an outage, in time, and never that the number does not exist."""
    began = time.monotonic()
    async with _pretending(services, behave) as (url, connected):
        with pytest.raises(RepertoryUnavailable, match=f"national-register-{reason}"):
            await _ask_as_facade(services, stranger, url=url, timeout_seconds=0.5)
        assert len(connected) == connections
    assert time.monotonic() - began < ANSWER_SECONDS_MAX


async def test_e19_a_server_without_tls_is_not_asked(services: Services, stranger: str) -> None:
    """E19: what does not speak TLS is not the register."""
    async with _pretending(services, _babble, tls=False) as (url, _):
        with pytest.raises(RepertoryUnavailable, match="national-register-untrusted"):
            await _ask_as_facade(services, stranger, url=url, timeout_seconds=0.5)


# -- silent, slow and back ---------------------------------------------------------------------------------------------


@pytest.fixture
def cable(services: Services) -> Iterator[Cable]:
    """A way to the register that can hold back what passes."""
    laid = Cable(urlsplit(services.register["url"]).port or 0)
    yield laid
    laid.close()


@asynccontextmanager
async def _through(cable: Cable, services: Services, calls: Calls) -> AsyncIterator[Registers]:
    """The façade's client of the register over the cable: asked each time, given up after two failures in a row."""
    url = f"https://localhost:{cable.port}/PersonService/v1/person"
    patience: dict[str, Any] = {"timeout_seconds": 1.0, "attempts": 1, "cache_seconds": 0.0}
    breaker = CircuitBreaker(failures=2, open_seconds=OPEN_SECONDS)
    async with _registers_of_facade(services, log=calls, url=url, circuit_breaker=breaker, **patience) as registers:
        yield registers


async def _asked(registers: Registers, *ssins: str) -> list[str]:
    """What came of questions about these numbers, asked at the same time: their files' names, or why there is none."""

    async def asked(ssin: str) -> str:
        try:
            (person,) = await registers.national.chain_of(Ssin.parse(ssin), hops_max=HOPS_MAX)
        except RepertoryUnavailable as outage:
            return outage.reason
        return person.ssin.digits

    return await asyncio.gather(*map(asked, ssins))


async def test_sec_68_a_silent_register_is_given_up_and_asked_again_when_it_is_back(
    services: Services, cable: Cable, stranger: str
) -> None:
    """Who asks a register that says nothing waits its time; after failures in a row nobody does, and nothing is sent,
    until a probe is answered (E19, SEC-68).
    """
    calls = Calls()
    async with _through(cable, services, calls) as registers:
        assert await _asked(registers, stranger) == [stranger]
        cable.fall_silent()
        assert await _asked(registers, stranger, stranger) == ["national-register-timeout"] * 2
        assert await _asked(registers, *[stranger] * 20) == ["national-register-circuit-open"] * 20
        cable.mend()
        deadline = time.monotonic() + BACK_SECONDS_MAX
        while await _asked(registers, stranger) != [stranger]:
            assert time.monotonic() < deadline
            await asyncio.sleep(OPEN_SECONDS)
        assert await _asked(registers, *[stranger] * 8) == [stranger] * 8
    assert calls.circuits[0] is Circuit.OPEN
    assert calls.circuits[-2:] == [Circuit.HALF_OPEN, Circuit.CLOSED]


async def test_sec_68_a_slow_register_is_an_outage_only_beyond_its_time(
    services: Services, cable: Cable, stranger: str
) -> None:
    """Slow answers are answers; those that come too late open the circuit as silence does (E19, SEC-68)."""
    calls = Calls()
    async with _through(cable, services, calls) as registers:
        assert await _asked(registers, stranger) == [stranger]
        cable.delay(0.1)
        assert await _asked(registers, stranger) == [stranger]
        assert calls.calls[-1].seconds > 0.1
        cable.delay(1.0)
        assert await _asked(registers, stranger, stranger) == ["national-register-timeout"] * 2
        assert await _asked(registers, stranger) == ["national-register-circuit-open"]


async def test_rule_54_lines_of_a_batch_wait_while_the_register_is_silent(
    services: Services, cable: Cable, strangers: Iterator[str]
) -> None:
    """A chunk costs a silent register a few questions, not one for each of its lines, and no line has an answer; when
    it is back all have (rule 54).
    """
    numbers = [Ssin.parse(next(strangers)) for _ in range(40)]
    calls = Calls()
    async with _through(cable, services, calls) as registers:
        files = FilesOneByOne(registers.national, calls_at_once_max=64)
        cable.fall_silent()
        chains = await files.chains_of(numbers, hops_max=HOPS_MAX)
        assert {type(chain) for chain in chains.values()} == {RepertoryUnavailable}
        assert Counter(call.outcome for call in calls.calls) == {"timeout": ASKED_AT_ONCE}
        cable.mend()
        deadline = time.monotonic() + BACK_SECONDS_MAX
        while isinstance(chains[numbers[0]], RepertoryUnavailable):
            assert time.monotonic() < deadline
            await asyncio.sleep(OPEN_SECONDS)
            chains = await files.chains_of(numbers[:1], hops_max=HOPS_MAX)
        chains = await files.chains_of(numbers, hops_max=HOPS_MAX)
        assert not [chain for chain in chains.values() if isinstance(chain, RepertoryUnavailable)]


# -- gone and back -----------------------------------------------------------------------------------------------------


def _expect_outage(services: Services, nr_number: str, *, is_quick: bool) -> None:
    """Nothing; the façade answers as it must while the National Register is away, even if that takes a while."""
    before = services.written()
    began = time.monotonic()
    with InscriptionClient(services.sandbox.profile()) as client:
        inserted = client.insert_inscription(nr_number, inscription_context=CONTEXT, period=NEW_YEAR).result
        assert (inserted.status.value.value, inserted.status.code.value) == ("NOK", "CBI00901")
        assert time.monotonic() - began < ANSWER_SECONDS_MAX
        if is_quick:
            for ssin in (nr_number, services.sandbox.ssin("unknown")):
                assert client.consult_inscriptions(ssin).result.status.code.value == "CBI00901"
            check = client.health_check(HealthCheckType.DEEP).result
            assert check.health is Health.DEGRADED
            assert [item.name for item in check.checks if item.health is Health.NOK] == ["national-register"]
        assert services.written() == before
        # E19: what needs no file of the National Register is served as ever.
        for scenario in ("bis_active", "rad_active"):
            done = client.insert_inscription(
                services.sandbox.ssin(scenario), inscription_context=CONTEXT, period=NEW_YEAR
            ).result
            assert done.status.code.value == "MSG00000"


def _await_answer(services: Services, ssin: str, code: str) -> None:
    """Nothing, once a consultation has this code."""
    deadline = time.monotonic() + BACK_SECONDS_MAX
    while (found := services.code_of(ssin)) != code:
        assert found == "CBI00901"
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_rule_54_e19_a_register_that_hangs_is_an_outage_and_nothing_is_written(
    services: Services, stranger: str
) -> None:
    """Rule 54, E19: CBI00901 within its deadline, nothing written, BIS and RAD served; and all is well afterwards."""
    services.kill(signal.SIGSTOP)
    try:
        _expect_outage(services, stranger, is_quick=False)
    finally:
        services.kill(signal.SIGCONT)
    _await_answer(services, stranger, "MSG00100")


def test_rule_54_e19_a_register_that_was_killed_is_an_outage_until_it_is_back(
    services: Services, stranger: str, command: Command
) -> None:
    """Rule 54, E19: CBI00901 while it is gone, nothing written; what its own command starts is asked again."""
    services.kill(signal.SIGKILL)
    _expect_outage(services, stranger, is_quick=True)
    done = command("register", "show", stranger, "--settings", services.sandbox.path("settings.toml"))
    assert done.exit_code == 4
    assert done.sentence == "an authentic source does not answer: national-register-unreachable"
    services.start_again()
    _await_answer(services, stranger, "MSG00100")
    assert services.code_of(services.sandbox.ssin("unknown")) == "MSG00005"
    assert services.sandbox.process.poll() is None


def test_sec_74_neither_log_has_numbers_or_names(services: Services) -> None:
    """SEC-74: the façade's log tells why the register gave no answer; no number and no name stands in any log."""
    logs = {
        name: services.sandbox.path(name).read_text(encoding="utf-8")
        for name in ("facade.log", services.register["log"])
    }
    calls = [line for line in services.sandbox.log_lines() if line["event"] == "upstream"]
    assert {line["service"] for line in calls} == {"national-register"}
    reasons = {line["outcome"] for line in calls}
    assert "timeout" in reasons
    assert reasons & {"unreachable", "broken"}
    outages = [line for line in services.sandbox.log_lines() if line.get("code") == "CBI00901"]
    assert {line["event"] for line in outages} == {"answered"}
    told = {line["reason"].removeprefix("national-register-") for line in outages}
    assert told <= reasons
    for database in (services.sandbox.manifest["database"], services.register["database"]):
        with psycopg.connect(database) as connection:
            rows = connection.execute("SELECT ssin, last_name FROM person").fetchall()
        for number, last_name in rows:
            for text in logs.values():
                assert f"{number:011d}" not in text
                assert f'"{last_name}"' not in text


def test_sec_80_calls_are_counted_those_of_a_killed_worker_too(services: Services, strangers: Iterator[str]) -> None:
    """Every message that the log has is counted, before and after a worker is killed (SEC-80)."""
    before = counted(services.sandbox, SOURCE)
    assert before == logged(services.sandbox, SOURCE)
    assert before.total() > 0
    # The application server names its processes where it can: by address, or as they were started.
    family = family_of(services.sandbox.directory)
    ways = (f":{urlsplit(services.sandbox.url).port} ", "/settings.toml tls")
    named = {one.number: one for one in listeners_of(family) if any(way in f"{one.command} " for way in ways)}
    (listener,) = [number for number, process in named.items() if process.parent not in named]
    workers = [one.number for one in family if one.parent == listener and "resource_tracker" not in one.command]
    os.kill(min(workers), signal.SIGKILL)
    asked = [next(strangers) for _ in range(8)]
    deadline = time.monotonic() + BACK_SECONDS_MAX
    while asked and time.monotonic() < deadline:
        with suppress(CallFailed):  # as long as the killed one's connections wait for somebody
            services.code_of(asked[-1])
            asked.pop()
    assert not asked
    after = counted(services.sandbox, SOURCE)
    assert after == logged(services.sandbox, SOURCE)
    assert after - before
    assert not before - after


# -- its command -------------------------------------------------------------------------------------------------------


def test_a_command_refuses_the_other_service_s_settings(services: Services, command: Command) -> None:
    """One sentence, exit status 2."""
    for name, settings, sentence in (
        ("facade", services.register["settings"], "describes a national-register, not a facade"),
        ("national-register", "settings.toml", "describes a facade, not a national-register"),
    ):
        done = command(name, "--settings", services.sandbox.path(settings))
        assert done.exit_code == 2
        assert done.sentence.endswith(sentence)


def test_a_sandbox_with_a_database_of_others_has_no_register_of_its_own(command: Command, tmp_path: Path) -> None:
    """A second database is made in the bundled server only."""
    done = command("sandbox", "--directory", tmp_path, "--database", "dbname=x", "--national-register")
    assert done.exit_code == 2
    assert "bundled" in done.sentence
