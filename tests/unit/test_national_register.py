"""The National Register as another service: what counts as its answer, what is kept, and what is only an outage."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck as Slowness
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription import names
from cbss_inscription.client.asker import Asker, ServiceCall
from cbss_inscription.client.breaker import Circuit, CircuitBreaker
from cbss_inscription.client.call import Answer, PreparedCall, read_answer
from cbss_inscription.client.dialect import DoorDialect
from cbss_inscription.client.errors import Obstacle, ServiceUnreachable
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.read import read_request
from cbss_inscription.contract.write import Deployment, write_response
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss
from cbss_inscription.domain.errors import RepertoryUnavailable
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import FileStatus, Person, Register
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.person_search import CANDIDATES_MAX, PhoneticCriteria, SearchPersonBySsin
from cbss_inscription.domain.requests import HealthCheck
from cbss_inscription.domain.results import Health, HealthCheckResult, PersonsResult, Result, Status, StatusValue
from cbss_inscription.domain.ssin import Series, Ssin, check_digits
from cbss_inscription.envelope.soap11 import write_envelope
from cbss_inscription.registers.authority import AuthorityRegisters
from cbss_inscription.registers.national_register import (
    ATTEMPTS,
    SOURCE,
    TIMEOUT_SECONDS,
    FileCache,
    RemoteNationalRegister,
)
from cbss_inscription.registers.resolution import HOPS_MAX, NotActive, resolve
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.security.sign import Signer

NOW = datetime(2026, 3, 1, 9, 20, 31, tzinfo=UTC)
FOUND = Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)
NOT_FOUND = Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA)
NAME = "Qwghlm"


def number(sequence: int, *, month: int = 7) -> Ssin:
    """A number of somebody born in 1985; with month + 20 or + 40 a BIS number."""
    nine = f"85{month:02d}30{sequence:03d}"
    return Ssin.parse(nine + check_digits(nine, century=1900))


def person(
    ssin: Ssin,
    *,
    register: Register = Register.NR,
    status: FileStatus = FileStatus.ACTIVE,
    replaced_by: Ssin | None = None,
) -> Person:
    """A file; replaced when it has a successor."""
    return Person(
        ssin=ssin,
        register=register,
        status=FileStatus.REPLACED if replaced_by else status,
        replaced_by=replaced_by,
        last_name=NAME,
    )


ONE, TWO, THREE, CANCELED, STRANGER = (number(sequence) for sequence in (1, 2, 3, 4, 5))
BIS = number(1, month=47)


class InMemory:
    """A `PersonRegister` of these files alone; it counts what it is asked, and may be away."""

    def __init__(self, *files: Person) -> None:
        self.files = {file.ssin: file for file in files}
        self.asked = 0
        self.is_away = False

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`."""
        self.asked += 1
        if self.is_away:
            raise RepertoryUnavailable("away")
        chain: dict[Ssin, Person] = {}
        asked: Ssin | None = ssin
        while asked in self.files and asked not in chain and len(chain) < hops_max + 2:
            chain[asked] = self.files[asked]
            asked = chain[asked].replaced_by
        return tuple(chain.values())

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        """Every active file with exactly that name."""
        self.asked += 1
        if self.is_away:
            raise RepertoryUnavailable("away")
        alike = [
            file
            for file in self.files.values()
            if file.last_name == criteria.last_name and file.status is FileStatus.ACTIVE
        ]
        return tuple(alike[:CANDIDATES_MAX])


HONEST = InMemory(
    person(ONE),
    person(TWO, replaced_by=ONE),
    person(CANCELED, status=FileStatus.CANCELED),
    person(THREE, replaced_by=BIS),
)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.seconds


Falsify = Callable[[bytes], tuple[int, bytes]]


class FakeService:
    """A `Sender`: PersonService on `HONEST`, whose replies can be falsified, with the wire between as it is."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.falsify: Falsify = lambda body: (200, body)
        self.obstacles: list[Obstacle] = []
        self.seconds_given: list[float | None] = []
        self.tickets: list[str | None] = []
        self.bodies: list[bytes] = []
        self.seconds_taken = 0.0
        self.closed = False
        self.result: Callable[[Result], Result] = lambda result: result

    async def send(self, call: PreparedCall, *, seconds_max: float | None = None) -> Answer[Result]:
        """See `Sender.send`."""
        self.seconds_given.append(seconds_max)
        self.bodies.append(call.body)
        self.clock.seconds += self.seconds_taken
        if self.obstacles:
            raise ServiceUnreachable("in the way", obstacle=self.obstacles.pop(0))
        body = etree.fromstring(call.body).find(names.SOAP_BODY)
        assert body is not None
        request = read_request(body[0])
        result: Result
        if isinstance(request, HealthCheck):
            result = HealthCheckResult(health=Health.OK, component="PersonService", location="here")
        elif isinstance(request, SearchPersonBySsin):
            self.tickets.append(request.information_customer.ticket)
            ssins = tuple(map(Ssin.parse, request.ssins))
            chains = tuple([await HONEST.chain_of(ssin, hops_max=HOPS_MAX) for ssin in ssins])
            result = PersonsResult(status=FOUND if any(chains) else NOT_FOUND, ssins=ssins, chains=chains)
        else:
            result = PersonsResult(status=FOUND, chains=((person(ONE),),))
        response = write_response(
            body[0],
            self.result(result),
            information_cbss=InformationCbss(ticket_cbss=UUID(int=1), timestamp_receive=NOW, timestamp_reply=NOW),
            deployment=Deployment(version="1.0.0", environment="TST"),
        )
        status, received = self.falsify(write_envelope(response))
        return read_answer(call, status=status, media_type="text/xml", charset="utf-8", body=received)

    async def close(self) -> None:
        """See `Sender.close`."""
        self.closed = True


class Outcomes:
    """A `CallLog` that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def called(self, call: ServiceCall) -> None:
        """See `CallLog.called`."""
        self.told.append((call.service, call.outcome))

    def circuit_moved(self, *, service: str, circuit: Circuit) -> None:
        """See `CallLog.circuit_moved`."""
        self.told.append((service, circuit))


@pytest.fixture(scope="module")
def signer() -> Signer:
    """What the façade signs its questions with."""
    pki = TestPki.generate(environment="TST", now=NOW)
    credential = pki.issue_application_certificate(
        "nowhere:inscription:repertory",
        "9000000389",
        "Nowhere (TEST ONLY)",
        not_before=NOW,
        private_key=rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
    )
    return Signer.from_pem(credential.certificate_pem, credential.private_key_pem)


@pytest.fixture
def clock() -> Clock:
    """The time of a test."""
    return Clock()


@pytest.fixture
def service(clock: Clock) -> FakeService:
    """The service that is asked."""
    return FakeService(clock)


@pytest.fixture
def outcomes() -> Outcomes:
    """What the operator is told."""
    return Outcomes()


def _register(
    service: FakeService,
    signer: Signer,
    outcomes: Outcomes,
    *,
    cache: FileCache | None = None,
    failures_to_open: int = 1_000_000,
    **settings: Any,
) -> RemoteNationalRegister:
    async def sleep(seconds: float) -> None:
        service.clock.seconds += seconds

    asker = Asker(
        service=SOURCE,
        sender=service,
        signer=signer,
        dialect=DoorDialect(Door.PERSON),
        log=outcomes,
        breaker=CircuitBreaker(
            failures_to_open=failures_to_open,
            probes=2,
            clock=service.clock,
            moved=lambda circuit: outcomes.circuit_moved(service=SOURCE, circuit=circuit),
        ),
        clock=service.clock,
        now=lambda: NOW,
        sleep=sleep,
        random_part=lambda: 0.5,
        **{"timeout_seconds": TIMEOUT_SECONDS, "attempts": ATTEMPTS, **settings},
    )
    return RemoteNationalRegister(
        asker,
        customer_identification=CustomerIdentification(cbe_number="9000000389"),
        legal_context=LegalContext("REPERTORY:IDENTIFICATION"),
        cache=cache,
    )


@pytest.fixture
def register(service: FakeService, signer: Signer, outcomes: Outcomes) -> RemoteNationalRegister:
    """The register behind the wire, without a cache."""
    return _register(service, signer, outcomes)


@pytest.fixture
def caching(service: FakeService, signer: Signer, outcomes: Outcomes) -> RemoteNationalRegister:
    """The register behind the wire, of which two numbers are kept for 30 seconds."""
    return _register(service, signer, outcomes, cache=FileCache(seconds=30, persons_max=2, clock=service.clock))


# -- what it says ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ssin", [ONE, TWO, THREE, CANCELED, STRANGER])
async def test_rule_14_the_answer_is_the_register_s(register: RemoteNationalRegister, ssin: Ssin) -> None:
    """Rule 14: file, successor, state and absence come over the wire as the register has them."""
    assert await register.chain_of(ssin, hops_max=HOPS_MAX) == await HONEST.chain_of(ssin, hops_max=HOPS_MAX)


async def test_every_question_has_a_ticket_of_its_own(register: RemoteNationalRegister, service: FakeService) -> None:
    """Two questions about one number have two tickets, so that no reply passes for another's (rule 49)."""
    await register.chain_of(ONE, hops_max=HOPS_MAX)
    await register.chain_of(ONE, hops_max=HOPS_MAX)
    assert len(set(service.tickets)) == 2


async def test_the_register_finds_by_name(register: RemoteNationalRegister) -> None:
    """Rule 22: candidates come over the wire."""
    assert await register.like(PhoneticCriteria(last_name=NAME)) == (person(ONE),)


async def test_a_look_says_whether_it_takes_our_messages(
    register: RemoteNationalRegister, service: FakeService
) -> None:
    """A health check sends a test message; when none comes back, it says why in a word."""
    assert (await register.look()).health is Health.OK
    service.obstacles = [Obstacle.UNTRUSTED]
    check = await register.look()
    assert (check.name, check.health, check.detail) == ("national-register", Health.NOK, "untrusted")


async def test_closing_closes_the_connections(register: RemoteNationalRegister, service: FakeService) -> None:
    """Nothing stays open."""
    await register.close()
    assert service.closed


# -- what is no answer -------------------------------------------------------------------------------------------------


def _put(old: str, new: str) -> Falsify:
    def falsify(body: bytes) -> tuple[int, bytes]:
        assert old.encode() in body
        return 200, body.replace(old.encode(), new.encode())

    return falsify


def _fault(body: bytes) -> tuple[int, bytes]:
    del body
    content = f"<faultcode>s:Server</faultcode><faultstring>{NAME}</faultstring>"
    text = f'<s:Envelope xmlns:s="{names.SOAP11}"><s:Body><s:Fault>{content}</s:Fault></s:Body></s:Envelope>'
    return 500, text.encode()


def _named(name: str | bytes) -> Falsify:
    """The reply with this between the tags of a name."""
    new = name if isinstance(name, bytes) else name.encode()

    def falsify(body: bytes) -> tuple[int, bytes]:
        assert f">{NAME}<".encode() in body
        return 200, body.replace(f">{NAME}<".encode(), b">" + new + b"<", 1)

    return falsify


LIES: dict[str, tuple[Falsify, str]] = {
    "other ticket": (
        lambda body: (200, re.sub(rb"<ticket>[^<]*</ticket>", f"<ticket>{UUID(int=2)}</ticket>".encode(), body)),
        "unreadable",
    ),
    "no ticket": (lambda body: (200, re.sub(rb"<ticket>[^<]*</ticket>", b"", body)), "unreadable"),
    "unknown and found": (
        lambda body: (200, body.replace(b"DATA_FOUND<", b"NO_DATA_FOUND<").replace(b"MSG00000", b"MSG00100")),
        "contradiction",
    ),
    "found nothing": (
        lambda body: (200, re.sub(rb"<person>.*</person>", b"", body)),
        "contradiction",
    ),
    "other number asked": (_put(f"<result><ssin>{ONE.digits}", f"<result><ssin>{STRANGER.digits}"), "other-number"),
    "file of another number": (
        _put("<register>NR</register><ssin>" + ONE.digits, "<register>NR</register><ssin>" + STRANGER.digits),
        "other-number",
    ),
    "file of another register": (_put("<register>NR<", "<register>RAD<"), "other-register"),
    "two results": (
        _put("</result>", f"</result><result><ssin>{STRANGER.digits}</ssin></result>"),
        "other-number",
    ),
    "unknown, though found": (_put("<value>DATA_FOUND<", "<value>NO_DATA_FOUND<"), "refused"),
    "refusal": (_put("<value>DATA_FOUND<", "<value>NO_RESULT<"), "refused"),
    "code of a failure": (_put("<code>MSG00000<", "<code>CBI00901<"), "refused"),
    "code that nobody knows": (_put("<code>MSG00000<", "<code>XYZ<"), "unreadable"),
    "wrong check digits": (_put(f"{ONE.digits}</ssin><name>", f"{ONE.digits[:-2]}00</ssin><name>"), "unreadable"),
    "truncated": (lambda body: (200, body[:-40]), "unreadable"),
    "empty": (lambda _: (200, b""), "unreadable"),
    "no XML": (lambda _: (200, b"OK"), "unreadable"),
    "HTML": (lambda _: (200, b"<html><body>Gateway</body></html>"), "unreadable"),
    "HTML error": (lambda _: (502, b"<html><body>Bad Gateway</body></html>"), "unreadable"),
    "not found": (lambda _: (404, b""), "unreadable"),
    "an answer with another status": (lambda body: (404, body), "unreadable"),
    "an answer with the status of a fault": (lambda body: (500, body), "unreadable"),
    "fault": (_fault, "fault"),
    "fault that says it succeeded": (lambda body: (200, _fault(body)[1]), "fault"),
    "control character": (_named("Qw\x01ghlm"), "unreadable"),
    "reference to a control character": (_named("Qw&#27;ghlm"), "unreadable"),
    "NUL": (_named("Qw\x00ghlm"), "unreadable"),
    "lone surrogate": (_named(b"Qw\xed\xa0\x80ghlm"), "unreadable"),
    "reference to a lone surrogate": (_named("Qw&#xD800;ghlm"), "unreadable"),
    "no character": (_named("Qw&#xFFFE;ghlm"), "unreadable"),
    "no UTF-8": (_named(b"Qw\xffghlm"), "unreadable"),
    "overlong UTF-8": (_named(b"Qw\xc0\xbcghlm"), "unreadable"),
    "markup in a name": (_named("Qw<b>gh</b>lm"), "unreadable"),
    "comment in a name": (_named("Qw<!-- -->ghlm"), "unreadable"),
    "processing instruction in a name": (_named("Qw<?php ?>ghlm"), "unreadable"),
    "undefined entity": (_named("Qw&ghlm;"), "unreadable"),
    "over-long name": (_named("Qwghlm" * 50_000), "unreadable"),
    "deep": (_named("<a>" * 40 + "</a>" * 40), "unreadable"),
    "many attributes": (_named("<a " + " ".join(f'b{n}=""' for n in range(40)) + "/>"), "unreadable"),
    "many namespaces": (_named("<a " + " ".join(f'xmlns:b{n}="c"' for n in range(40)) + "/>"), "unreadable"),
    "many elements": (_named("<a/>" * 200_000), "unreadable"),
    "billion laughs": (
        lambda body: (
            200,
            b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
            + body.partition(b"?>")[2].replace(f">{NAME}<".encode(), b">&c;<"),
        ),
        "unreadable",
    ),
    "external entity": (
        lambda body: (
            200,
            b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>'
            + body.partition(b"?>")[2].replace(f">{NAME}<".encode(), b">&b;<"),
        ),
        "unreadable",
    ),
    "huge": (lambda body: (200, body.replace(b"<value>", b"<value>" + b" " * 5_000_000)), "unreadable"),
    "doctype": (lambda body: (200, b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + body), "unreadable"),
    "another operation's": (
        lambda body: (200, body.replace(b"searchPersonBySsinResponse", b"searchPersonPhoneticallyResponse")),
        "unreadable",
    ),
    "against the schema": (_put("<register>NR</register>", ""), "unreadable"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_rule_54_whatever_is_no_answer_is_an_outage(
    register: RemoteNationalRegister, service: FakeService, outcomes: Outcomes, lie: str
) -> None:
    """Rule 54, E19: whatever comes instead of an answer, the number is never said not to exist."""
    service.falsify, reason = LIES[lie]
    with pytest.raises(RepertoryUnavailable) as caught:
        await register.chain_of(ONE, hops_max=HOPS_MAX)
    assert caught.value.reason == f"national-register-{reason}"
    sendings = 2 if reason == "fault" else 1  # a bad answer is not asked for again; a failure of theirs is
    assert outcomes.told == [("national-register", reason)] * sendings
    # SEC-74: nothing of the question or the reply.
    told = repr(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    assert NAME not in told
    assert ONE.digits not in told
    assert len(service.bodies) == sendings


async def test_rule_54_an_absence_that_is_not_said_is_no_absence(
    register: RemoteNationalRegister, service: FakeService
) -> None:
    """Rule 54: "nothing found" without naming the number, or beside a file, is no word about that number."""

    def silent(result: Result) -> Result:
        assert isinstance(result, PersonsResult)
        return replace(result, ssins=(), chains=())

    service.result = silent
    for ssin in (ONE, STRANGER):
        with pytest.raises(RepertoryUnavailable):
            await register.chain_of(ssin, hops_max=HOPS_MAX)


@settings(deadline=None, suppress_health_check=[Slowness.function_scoped_fixture])
@given(data=st.data())
async def test_rule_54_no_damage_on_the_way_makes_a_person_vanish(
    register: RemoteNationalRegister, service: FakeService, data: st.DataObject
) -> None:
    """Rule 54, E19: whatever is cut, doubled, moved or overwritten, it is an outage or tells of the number."""

    def damage(body: bytes) -> tuple[int, bytes]:
        tags = [match.start() for match in re.finditer(rb"<", body)] + [len(body)]
        # At the borders of elements more often than anywhere: there damage stays well-formed.
        places = st.sampled_from(tags) | st.integers(0, len(body))
        begin, end = sorted((data.draw(places), data.draw(places)))
        there = data.draw(places)
        part, rest = body[begin:end], body[:begin] + body[end:]
        return 200, data.draw(
            st.sampled_from(
                [
                    rest,
                    body[:there] + part + body[there:],
                    rest[:there] + part + rest[there:],
                    body[:begin] + b"0" + body[begin + 1 :],
                ]
            )
        )

    service.falsify = damage
    try:
        chain = await register.chain_of(TWO, hops_max=HOPS_MAX)
    except RepertoryUnavailable:
        return
    assert chain[0].ssin == TWO


@pytest.mark.parametrize("code", [code for code in OutcomeCode if code is not OutcomeCode.NO_DATA])
async def test_rule_54_an_absence_has_one_code(
    register: RemoteNationalRegister, service: FakeService, code: OutcomeCode
) -> None:
    """Rule 54, E19: with any other code than that of an absence, nothing found is an outage."""
    service.falsify = _put("<code>MSG00100<", f"<code>{code}<")
    with pytest.raises(RepertoryUnavailable):
        await register.chain_of(STRANGER, hops_max=HOPS_MAX)


CHAINS: dict[str, tuple[tuple[Person, ...], str]] = {
    "another begin": ((person(THREE), person(ONE)), "other-number"),
    "no link": ((person(TWO, replaced_by=THREE), person(ONE)), "broken-chain"),
    "active in the middle": ((person(TWO), person(ONE)), "broken-chain"),
    "canceled in the middle": ((person(TWO, status=FileStatus.CANCELED), person(ONE)), "broken-chain"),
    "round and round": (
        (person(TWO, replaced_by=ONE), person(ONE, replaced_by=TWO), person(TWO, replaced_by=ONE)),
        "repeated-file",
    ),
    "itself": ((person(TWO, replaced_by=TWO), person(TWO, replaced_by=TWO)), "repeated-file"),
    "RAD's file": ((person(TWO, replaced_by=ONE), person(ONE, register=Register.RAD)), "other-register"),
    "BIS's file": ((person(TWO, replaced_by=BIS), person(BIS, register=Register.BIS)), "other-register"),
}


@pytest.mark.parametrize("chain", CHAINS)
async def test_rule_16_a_chain_must_begin_with_the_number_and_link_up(
    register: RemoteNationalRegister, service: FakeService, outcomes: Outcomes, chain: str
) -> None:
    """Rules 14 to 16, 54: files of others, or in another order than they replace each other, are no answer."""
    files, reason = CHAINS[chain]
    service.result = lambda _: PersonsResult(status=FOUND, ssins=(TWO,), chains=(files,))
    with pytest.raises(RepertoryUnavailable):
        await register.chain_of(TWO, hops_max=HOPS_MAX)
    sendings = 2 if reason == "fault" else 1  # a bad answer is not asked for again; a failure of theirs is
    assert outcomes.told == [("national-register", reason)] * sendings


async def test_rule_16_a_loop_that_the_register_has_is_an_anomaly_and_no_absence(
    register: RemoteNationalRegister, service: FakeService
) -> None:
    """Rule 16, E6: two files that replace each other, each told once, are the register's own data: refused as such."""
    service.result = lambda _: PersonsResult(
        status=FOUND, ssins=(TWO,), chains=((person(TWO, replaced_by=ONE), person(ONE, replaced_by=TWO)),)
    )
    chain = await register.chain_of(TWO, hops_max=HOPS_MAX)
    resolution = resolve(TWO, chain)
    assert isinstance(resolution, NotActive)
    assert resolution.fault == "loop"


async def test_rule_22_only_active_files_of_the_register_are_candidates(
    register: RemoteNationalRegister, service: FakeService
) -> None:
    """Rule 22: a candidate of another register, or one whose file ended, is no answer."""
    for wrong in (
        person(BIS, register=Register.BIS),
        person(TWO, replaced_by=ONE),
        person(CANCELED, status=FileStatus.CANCELED),
    ):
        service.result = lambda _, wrong=wrong: PersonsResult(status=FOUND, chains=((wrong,),))  # type: ignore[misc]
        with pytest.raises(RepertoryUnavailable):
            await register.like(PhoneticCriteria(last_name=NAME))


# -- its time ----------------------------------------------------------------------------------------------------------


async def test_a_broken_connection_is_tried_once_more(register: RemoteNationalRegister, service: FakeService) -> None:
    """A kept connection that the register had closed is no outage; the question is signed anew (SEC-52)."""
    service.obstacles = [Obstacle.BROKEN]
    service.seconds_taken = 0.5
    assert await register.chain_of(ONE, hops_max=HOPS_MAX) == (person(ONE),)
    first, second = service.bodies
    assert first != second
    assert service.seconds_given == [2.0, pytest.approx(1.45)]


@pytest.mark.parametrize(
    ("obstacles", "sendings"),
    [
        ([Obstacle.BROKEN, Obstacle.BROKEN, Obstacle.BROKEN], 2),
        ([Obstacle.TIMEOUT], 1),
        ([Obstacle.UNREACHABLE, Obstacle.UNREACHABLE, Obstacle.UNREACHABLE], 2),
        ([Obstacle.UNTRUSTED], 1),
    ],
)
async def test_e19_other_failures_are_told_at_once(
    register: RemoteNationalRegister, service: FakeService, obstacles: list[Obstacle], sendings: int
) -> None:
    """E19: what a second attempt does not help is not attempted twice, and nothing a third time."""
    service.obstacles = list(obstacles)
    with pytest.raises(RepertoryUnavailable, match=f"national-register-{obstacles[0]}"):
        await register.chain_of(ONE, hops_max=HOPS_MAX)
    assert len(service.bodies) == sendings


async def test_e19_no_second_attempt_after_the_time_is_over(
    register: RemoteNationalRegister, service: FakeService
) -> None:
    """E19: the second attempt has what is left of the time, and does not begin when nothing is."""
    service.obstacles = [Obstacle.BROKEN]
    service.seconds_taken = 2.0
    with pytest.raises(RepertoryUnavailable, match="national-register-broken"):
        await register.chain_of(ONE, hops_max=HOPS_MAX)
    assert len(service.bodies) == 1


async def test_e19_a_register_that_failed_is_not_asked_for_a_while(
    service: FakeService, signer: Signer, outcomes: Outcomes
) -> None:
    """E19: after failures in a row callers have CBI00901 at once, its health too, until probes are answered."""
    register = _register(service, signer, outcomes, failures_to_open=3)
    for _ in range(3):
        service.obstacles = [Obstacle.TIMEOUT]
        with pytest.raises(RepertoryUnavailable, match="national-register-timeout"):
            await register.chain_of(ONE, hops_max=HOPS_MAX)
    assert outcomes.told[-2:] == [("national-register", "open"), ("national-register", "timeout")]
    with pytest.raises(RepertoryUnavailable, match="national-register-circuit-open"):
        await register.chain_of(ONE, hops_max=HOPS_MAX)
    check = await register.look()
    assert (check.health, check.detail) == (Health.NOK, "circuit-open")
    assert len(service.bodies) == 3
    service.clock.seconds += 10
    assert await register.chain_of(ONE, hops_max=HOPS_MAX) == (person(ONE),)
    assert (await register.look()).health is Health.OK


async def test_e19_a_circuit_that_is_half_open_is_told(
    service: FakeService, signer: Signer, outcomes: Outcomes
) -> None:
    """E19: while the register answers its probes alone, its health is a warning and says so."""
    register = _register(service, signer, outcomes, failures_to_open=1)
    service.obstacles = [Obstacle.UNTRUSTED]
    await register.look()
    service.clock.seconds += 10
    check = await register.look()
    assert (check.health, check.detail) == (Health.DEGRADED, "circuit-half-open")
    assert (await register.look()).health is Health.OK


async def test_e19_more_questions_than_there_is_room_for_are_outages(
    service: FakeService, signer: Signer, outcomes: Outcomes
) -> None:
    """E19: beyond the number set a question is CBI00901 at once, so that nothing waits in a queue of ours."""
    register = _register(service, signer, outcomes, calls_at_once_max=1)
    gate = asyncio.Event()
    send = service.send

    async def slow(call: PreparedCall, *, seconds_max: float | None = None) -> Answer[Result]:
        await gate.wait()
        return await send(call, seconds_max=seconds_max)

    service.send = slow  # type: ignore[method-assign]
    waiting = asyncio.create_task(register.chain_of(ONE, hops_max=HOPS_MAX))
    await asyncio.sleep(0)
    with pytest.raises(RepertoryUnavailable, match="national-register-calls-at-once"):
        await register.chain_of(TWO, hops_max=HOPS_MAX)
    gate.set()
    assert await waiting == (person(ONE),)


# -- what is kept ------------------------------------------------------------------------------------------------------


async def test_a_file_of_an_active_number_is_kept_for_its_time(
    caching: RemoteNationalRegister, service: FakeService
) -> None:
    """Within its time a file is not asked for again; then it is. The time runs from the question, not the answer."""
    service.seconds_taken = 1.0
    for ssin in (ONE, TWO):
        expected = await HONEST.chain_of(ssin, hops_max=HOPS_MAX)
        asked_at, before = service.clock.seconds, len(service.bodies)
        # 1 second after the question it is answered.
        for seconds, sendings in ((0, 1), (1, 1), (29.9, 1), (30, 2)):
            service.clock.seconds = max(service.clock.seconds, asked_at + seconds)
            assert await caching.chain_of(ssin, hops_max=HOPS_MAX) == expected
            assert len(service.bodies) == before + sendings


async def test_concurrent_questions_about_one_number_are_answered_alike(
    caching: RemoteNationalRegister, service: FakeService
) -> None:
    """Many at once about one number all have its file; whoever comes later has it from the first."""
    answers = await asyncio.gather(*(caching.chain_of(ONE, hops_max=HOPS_MAX) for _ in range(20)))
    assert set(answers) == {(person(ONE),)}
    sendings = len(service.bodies)
    assert await caching.chain_of(ONE, hops_max=HOPS_MAX) == (person(ONE),)
    assert len(service.bodies) == sendings <= 20


@pytest.mark.parametrize("ssin", [STRANGER, CANCELED, THREE])
async def test_rule_54_an_absence_is_never_kept(
    caching: RemoteNationalRegister, service: FakeService, ssin: Ssin
) -> None:
    """Rule 54: that a number is unknown, canceled, or continued elsewhere is asked each time."""
    for asked in (1, 2, 3):
        await caching.chain_of(ssin, hops_max=HOPS_MAX)
        assert len(service.bodies) == asked


async def test_rule_54_an_outage_is_never_kept_and_hides_nothing_that_is(
    caching: RemoteNationalRegister, service: FakeService
) -> None:
    """Rule 54: what was kept is served during an outage, nothing else; afterwards all is as before."""
    await caching.chain_of(ONE, hops_max=HOPS_MAX)
    service.falsify = _fault
    assert await caching.chain_of(ONE, hops_max=HOPS_MAX) == (person(ONE),)
    for ssin in (TWO, STRANGER, TWO):
        with pytest.raises(RepertoryUnavailable):
            await caching.chain_of(ssin, hops_max=HOPS_MAX)
    service.clock.seconds += 30
    with pytest.raises(RepertoryUnavailable):
        await caching.chain_of(ONE, hops_max=HOPS_MAX)
    service.falsify = lambda body: (200, body)
    assert await caching.chain_of(ONE, hops_max=HOPS_MAX) == (person(ONE),)
    assert await caching.chain_of(STRANGER, hops_max=HOPS_MAX) == ()


def test_the_cache_is_bounded_and_the_least_used_goes_first() -> None:
    """Never more numbers than allowed; a number that was just used stays."""
    cache = FileCache(seconds=30, persons_max=3, clock=Clock())
    numbers = [number(sequence) for sequence in range(1, 200)]
    for ssin in numbers:
        cache.put(ssin, (person(ssin),), asked_at=1_000.0)
        assert cache.get(numbers[0]) is not None
        assert len(cache) <= 3
    assert [ssin for ssin in numbers if cache.get(ssin)] == [numbers[0], *numbers[-2:]]


def test_a_late_answer_is_not_kept() -> None:
    """An answer that took longer than a file may be used is used once."""
    clock = Clock()
    cache = FileCache(seconds=30, persons_max=3, clock=clock)
    clock.seconds += 31
    cache.put(ONE, (person(ONE),), asked_at=1_000.0)
    assert cache.get(ONE) is None
    assert len(cache) == 0


# -- all registers as one ----------------------------------------------------------------------------------------------


NUMBERS = (number(1), number(2), number(3), number(1, month=27), number(1, month=47))


@st.composite
def _files(draw: st.DrawFn) -> list[Person]:
    files = []
    for ssin in draw(st.lists(st.sampled_from(NUMBERS), unique=True)):
        register = Register.BIS if ssin.series is not Series.NR else draw(st.sampled_from([Register.NR, Register.RAD]))
        status = draw(st.sampled_from(FileStatus))
        replaced_by = draw(st.sampled_from(NUMBERS)) if status is FileStatus.REPLACED else None
        files.append(person(ssin, register=register, status=status, replaced_by=replaced_by))
    return files


def _split(files: Iterable[Person]) -> tuple[InMemory, InMemory]:
    own = InMemory(*(file for file in files if file.register is not Register.NR))
    return own, InMemory(*(file for file in files if file.register is Register.NR))


@given(_files(), st.sampled_from(NUMBERS), st.integers(0, 4))
async def test_rules_14_and_16_a_chain_over_the_registers_is_that_of_one(
    files: list[Person], asked: Ssin, hops_max: int
) -> None:
    """Rules 14, 16: wherever the files are, broken off or in a circle, the chain is as if all were in one place."""
    own, national = _split(files)
    registers = AuthorityRegisters(own=own, national=national)
    expected = await InMemory(*files).chain_of(asked, hops_max=hops_max)
    assert await registers.chain_of(asked, hops_max=hops_max) == expected
    found = await registers.like(PhoneticCriteria(last_name=NAME))
    assert found == tuple(
        sorted((file for file in files if file.status is FileStatus.ACTIVE), key=lambda file: file.ssin)
    )


@given(_files(), st.sampled_from(NUMBERS))
async def test_rule_54_what_needs_no_file_of_the_national_register_does_not_need_it(
    files: list[Person], asked: Ssin
) -> None:
    """Rule 54, E19: while it is away, chains of BIS and RAD are as ever; every other one is an outage."""
    own, national = _split(files)
    national.is_away = True
    registers = AuthorityRegisters(own=own, national=national)
    expected = await InMemory(*files).chain_of(asked, hops_max=HOPS_MAX)
    last = expected[-1] if expected else None
    missing = asked if last is None else last.replaced_by
    looks_elsewhere = (
        missing is not None and missing.series is Series.NR and missing not in {file.ssin for file in expected}
    )
    if looks_elsewhere or any(file.register is Register.NR for file in expected):
        with pytest.raises(RepertoryUnavailable):
            await registers.chain_of(asked, hops_max=HOPS_MAX)
    else:
        assert await registers.chain_of(asked, hops_max=HOPS_MAX) == expected
        assert national.asked == 0
    with pytest.raises(RepertoryUnavailable):
        await registers.like(PhoneticCriteria(last_name=NAME))


async def test_rule_21_a_file_that_is_rad_s_now_counts_before_the_national_register_s() -> None:
    """Rules 14, 21: what the National Register still keeps of a removed file is not what answers for it."""
    rad = person(TWO, register=Register.RAD)
    registers = AuthorityRegisters(own=InMemory(rad), national=InMemory(person(ONE, replaced_by=TWO), person(TWO)))
    assert await registers.chain_of(ONE, hops_max=HOPS_MAX) == (person(ONE, replaced_by=TWO), rad)
    assert await registers.like(PhoneticCriteria(last_name=NAME)) == (rad,)


async def test_rule_22_all_registers_together_give_no_more_candidates_than_one() -> None:
    """Rule 22: at most 50 persons."""
    own = InMemory(*(person(number(sequence, month=47), register=Register.BIS) for sequence in range(1, 60)))
    national = InMemory(*(person(number(sequence)) for sequence in range(1, 60)))
    found = await AuthorityRegisters(own=own, national=national).like(PhoneticCriteria(last_name=NAME))
    assert len(found) == CANDIDATES_MAX
