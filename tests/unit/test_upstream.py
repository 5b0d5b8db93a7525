"""The repertory as another service: what counts as its answer, what is sent again, what a caller is told when.

The upstream here is the embedded repertory on lines in memory; between it and the adapter are the messages as they are,
signed, written and read, and a way in which anything can be lost or falsified.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from lxml import etree
from msgspec.structs import replace

from cbss_inscription import names
from cbss_inscription.client.asker import Asker
from cbss_inscription.client.breaker import Circuit, CircuitBreaker
from cbss_inscription.client.call import Answer, PreparedCall
from cbss_inscription.client.dialect import DoorDialect
from cbss_inscription.client.errors import Obstacle, ServiceUnreachable
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.errors import (
    CbssInscriptionError,
    NotAuthenticated,
    NotAuthorized,
    RepertoryUnavailable,
    TemporarilyUnavailable,
)
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.inscription import Inscription
from cbss_inscription.domain.legal_data import LegalData
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import Period
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InsertInscription,
    Operation,
    UpdateInscription,
)
from cbss_inscription.domain.results import (
    ConsultResult,
    Health,
    Result,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.governance.access import Visibility
from cbss_inscription.repertory.port import Admitted
from cbss_inscription.repertory.upstream import SOURCE, UpstreamRepertory
from cbss_inscription.sandbox.demonstration import FACADE
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.security.sign import Signer
from tests.repertory.far_house import FOUND, ONE, REPLACED, STRANGER, Falsify, House, fault_of
from tests.repertory.houses import Calls
from tests.repertory.office import (
    CALLER,
    DEBT,
    GROUND,
    JANUARY,
    MARCH,
    OTHER,
    OWN,
    WAGE,
    given,
    lines_of,
    permission_of,
    ssin_of,
)

OK = Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS)


def lost(obstacle: Obstacle = Obstacle.BROKEN, *, was_sent: bool = True) -> Callable[[], None]:
    """A connection that ends."""

    def end() -> None:
        raise ServiceUnreachable("in the way", obstacle=obstacle, was_sent=was_sent)

    return end


@pytest.fixture(scope="module")
def signer() -> Signer:
    """What the façade signs with."""
    now = datetime.now(UTC)
    credential = TestPki.generate(environment="LOCAL", now=now).issue_application_certificate(
        FACADE.application_urn, FACADE.cbe_number, FACADE.organization_name, not_before=now
    )
    return Signer.from_pem(credential.certificate_pem, credential.private_key_pem)


class Facade:
    """The adapter under test, in front of a `House`."""

    def __init__(self, signer: Signer, **settings: Any) -> None:
        self.house = House()
        self.log = Calls()
        self.slept: list[float] = []
        self.breaker = CircuitBreaker(failures_to_open=3, open_seconds=10, clock=self.house.clock)
        self.upstream = UpstreamRepertory(
            Asker(
                service=SOURCE,
                sender=self.house,
                signer=signer,
                dialect=DoorDialect(Door.KSZ),
                log=self.log,
                breaker=self.breaker,
                clock=self.house.clock,
                sleep=self._sleep,
                random_part=lambda: 0.5,
                **settings,
            )
        )
        self.permission = permission_of(OWN)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.house.clock.seconds += seconds

    def asked(self, request: Any, *, seconds: float | None = 14.0, index: int = ONE) -> Admitted[Any]:
        """The request as the use case hands it over, with so much time left."""
        exchange = Exchange(
            ticket_cbss=uuid4(),
            timestamp_receive=datetime.now(UTC),
            caller=CALLER,
            answer_by=None if seconds is None else self.house.clock.seconds + seconds,
        )
        return Admitted(request=request, ssin=ssin_of(index), permission=self.permission, exchange=exchange)

    def head(self, ticket: str | None, index: int = ONE) -> dict[str, Any]:
        information = InformationCustomer(customer_identification=OWN, ticket=ticket, timestamp_sent=datetime.now(UTC))
        return {"information_customer": information, "legal_context": GROUND, "ssin": ssin_of(index).digits}

    async def consult(self, *contexts: Any, index: int = ONE, seconds: float | None = 14.0) -> ConsultResult:
        request = ConsultInscriptions(**self.head(None, index), inscription_contexts=contexts)
        return await self.upstream.consult(self.asked(request, seconds=seconds, index=index))

    async def insert(
        self, period: str = JANUARY, *, ticket: str | None = "T1", index: int = ONE, **more: Any
    ) -> WriteResult:
        context = more.pop("context", WAGE)
        request = InsertInscription(
            **self.head(ticket, index), inscription_context=context, period=given(period), **more
        )
        return await self.upstream.insert(self.asked(request, index=index))

    async def update(self, period: str, new: str, *, ticket: str = "T1") -> WriteResult:
        request = UpdateInscription(
            **self.head(ticket), inscription_context=WAGE, period=given(period), new_period=given(new)
        )
        return await self.upstream.update(self.asked(request))

    async def delete(self, period: str | None, *, ticket: str = "T1") -> WriteResult:
        request = DeleteInscription(
            **self.head(ticket), inscription_context=WAGE, period=None if period is None else given(period)
        )
        return await self.upstream.delete(self.asked(request))


@pytest.fixture
def facade(signer: Signer) -> Facade:
    return Facade(signer)


Write = Callable[[Facade], Any]
CONSULT, INSERT = Operation.CONSULT_INSCRIPTIONS, Operation.INSERT_INSCRIPTION

# -- declarations: the table of docs/upstream.md, row by row -----------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        lost(Obstacle.UNREACHABLE, was_sent=False),
        lost(Obstacle.UNTRUSTED, was_sent=False),
        lost(Obstacle.TIMEOUT, was_sent=False),
    ],
    ids=["no connection", "not trusted", "no connection in time"],
)
async def test_sec_70_what_was_not_sent_was_not_done(facade: Facade, trouble: Callable[[], None]) -> None:
    """A declaration of which nothing left is CBI00901, and nobody looks for what it did (SEC-70)."""
    facade.house.troubles = [trouble]
    with pytest.raises(RepertoryUnavailable):
        await facade.insert()
    assert facade.house.operations == [INSERT]


@pytest.mark.parametrize("error", [NotAuthenticated("x"), NotAuthorized("x")])
async def test_sec_70_what_was_rejected_was_not_done(facade: Facade, error: CbssInscriptionError) -> None:
    """That our own message is refused there is an outage for the caller, and a line in the log (SEC-68, SEC-70)."""
    facade.house.falsify = lambda _: (500, fault_of(error))
    with pytest.raises(RepertoryUnavailable):
        await facade.insert()
    assert facade.house.operations == [INSERT]
    assert [(call.outcome, call.code) for call in facade.log.calls] == [("rejected", error.code)]  # type: ignore[attr-defined]
    assert facade.breaker.circuit is Circuit.CLOSED


@pytest.mark.parametrize("word", ["Server", "Receiver", "", "Client.Later"])
async def test_sec_70_a_fault_of_any_other_kind_says_nothing_of_what_was_done(facade: Facade, word: str) -> None:
    """Only what SOAP calls the sender's fault was surely not processed; else the lines are looked at (SEC-70)."""
    client = fault_of(NotAuthorized("x"))
    facade.house.falsify = lambda body: (
        (500, client.replace(b"soapenv:Client", f"soapenv:{word}".encode())) if b"insert" in body else (200, body)
    )
    assert (await facade.insert()).status == OK
    assert facade.house.operations == [INSERT, CONSULT]


@pytest.mark.parametrize("said", ["0c3a5d3e-58a5-4b0e-8f6c-6f3d0a9f1c11", "85073003328", "", "x" * 36])
async def test_sec_74_the_ticket_of_a_fault_is_told_when_it_is_one(facade: Facade, said: str) -> None:
    """Their ticket stands beside ours, so that their desk finds the message; what is no UUID is no ticket (SEC-74)."""
    ticket = rb"(<ticketCBSS>)[^<]*"
    fault = re.sub(ticket, rb"\g<1>" + said.encode(), fault_of(TemporarilyUnavailable("x")))
    facade.house.falsify = lambda _: (500, fault)
    with pytest.raises(RepertoryUnavailable):
        await facade.consult()
    assert {call.their_ticket for call in facade.log.calls} == {said if said.startswith("0c3a") else None}


LOSSES = {
    "broken": lost(Obstacle.BROKEN),
    "too late": lost(Obstacle.TIMEOUT),
    "broken inside TLS": lost(Obstacle.UNTRUSTED),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize(
    ("write", "lines", "codes"),
    [
        pytest.param(lambda one: one.insert(MARCH), [JANUARY, MARCH], [], id="insert"),
        pytest.param(
            lambda one: one.insert("2024-02-01..2024-02-29"), ["2024-01-01..2024-02-29"], ["CBI00402"], id="merge"
        ),
        pytest.param(lambda one: one.insert(MARCH, index=REPLACED), [JANUARY, MARCH], ["CBI00102"], id="replaced"),
        pytest.param(lambda one: one.update(JANUARY, MARCH), [MARCH], [], id="update"),
        pytest.param(lambda one: one.delete("2024-01-20.."), ["2024-01-01..2024-01-19"], [], id="cut the end"),
        pytest.param(lambda one: one.delete("..2024-01-20"), ["2024-01-21..2024-01-31"], [], id="cut the begin"),
    ],
)
async def test_sec_70_a_lost_reply_is_given_when_the_lines_prove_it(
    facade: Facade, loss: Callable[[], None], write: Write, lines: list[str], codes: list[str]
) -> None:
    """A declaration whose reply was lost is sent once; a line changed since proves it, and it is answered (SEC-70)."""
    await facade.insert(JANUARY, ticket="T0")
    facade.house.clock.seconds += 60
    facade.house.sent.clear()
    facade.house.losses = [loss]
    result = await write(facade)
    assert result.status == OK
    assert lines_of(result) == lines
    assert [anomaly.code.value for anomaly in result.anomalies] == codes
    assert facade.house.operations[1:] == [CONSULT]
    assert [call.outcome for call in facade.log.calls[-2:]] == ["answered", "reconciled"]


@pytest.mark.parametrize(
    ("write", "arrives"),
    [
        pytest.param(lambda one: one.insert(MARCH), False, id="insert, not done"),
        pytest.param(lambda one: one.insert(JANUARY), False, id="insert, there before, not done"),
        pytest.param(lambda one: one.insert(JANUARY), True, id="insert, there before, done"),
        pytest.param(
            lambda one: one.insert(MARCH, legal_data=LegalData(last_name="Vandenbroeckelaere")), True, id="legal data"
        ),
        pytest.param(lambda one: one.update(JANUARY, MARCH), False, id="update, not done"),
        pytest.param(lambda one: one.update(JANUARY, JANUARY), True, id="update to the same"),
        pytest.param(lambda one: one.delete(None), True, id="delete all, done"),
        pytest.param(lambda one: one.delete(None), False, id="delete all, not done"),
        pytest.param(lambda one: one.delete(JANUARY), True, id="delete a line, done"),
        pytest.param(lambda one: one.delete("2024-01-20.."), False, id="cut, not done"),
    ],
)
async def test_sec_70_what_the_lines_do_not_prove_is_not_known(facade: Facade, write: Write, *, arrives: bool) -> None:
    """Where no line can prove it, or none does, the caller has SOA-02002 with Retry, done or not (SEC-70)."""
    await facade.insert(JANUARY, ticket="T0")
    facade.house.clock.seconds += 60
    facade.house.sent.clear()
    (facade.house.losses if arrives else facade.house.troubles).append(lost())
    with pytest.raises(TemporarilyUnavailable, match="outcome-unknown"):
        await write(facade)
    assert len(facade.house.sent) == 2
    assert facade.house.operations[1] == CONSULT


@pytest.mark.parametrize("arrives", [True, False])
async def test_sec_70_the_same_ticket_may_be_sent_again(facade: Facade, arrives: bool) -> None:
    """After SOA-02002 the same declaration under the same ticket is done once, done before or not (SEC-70)."""
    facade.house.troubles = [] if arrives else [lost()]
    facade.house.losses = [lost(), lost(), lost(), lost()] if arrives else []
    if not arrives:
        facade.house.troubles += [lost(), lost(), lost()]
    with pytest.raises(TemporarilyUnavailable):
        await facade.insert()
    facade.house.troubles, facade.house.losses = [], []
    facade.house.clock.seconds += 10
    again = await facade.insert()
    assert again.status == OK
    assert lines_of(again) == [JANUARY]
    assert [anomaly.code.value for anomaly in again.anomalies] == (["CBI00404"] if arrives else [])
    assert len(facade.house.lines.history) == 1


async def test_sec_70_a_consultation_that_fails_proves_nothing(facade: Facade) -> None:
    """When the lines cannot be looked at either, it is not known what was done (SEC-70)."""
    facade.house.losses = [lost(), lost(Obstacle.TIMEOUT)]
    with pytest.raises(TemporarilyUnavailable, match="outcome-unknown"):
        await facade.insert()
    assert facade.house.operations == [INSERT, CONSULT]


async def test_sec_70_a_page_of_lines_proves_nothing(facade: Facade) -> None:
    """Lines that do not all fit into one answer are not all that was asked to be told (SEC-70)."""
    facade.house.repertory._page_size = 1
    await facade.insert(JANUARY, ticket="T0")
    facade.house.losses = [lost()]
    with pytest.raises(TemporarilyUnavailable, match="outcome-unknown"):
        await facade.insert(MARCH)


async def test_sec_70_lines_of_others_prove_nothing(facade: Facade) -> None:
    """A line of another organisation, changed since, is no proof of one's own declaration (SEC-70)."""
    facade.house.troubles = [lost()]
    facade.house.result = lambda result: (
        replace(
            result,
            status=FOUND,
            inscriptions=(
                Inscription(
                    inscription_context=WAGE,
                    period=Period.of(given(JANUARY)),
                    organization=OTHER,
                    last_change=facade.house.clock.there,
                ),
            ),
        )
        if isinstance(result, ConsultResult)
        else result
    )
    with pytest.raises(TemporarilyUnavailable, match="outcome-unknown"):
        await facade.insert()


async def test_sec_70_a_declaration_is_never_sent_twice_whatever_happens(facade: Facade) -> None:
    """Broken, late, unreadable, failed: one message with a declaration in it leaves, and no second one (SEC-70)."""
    troubles: list[Callable[[], None]] = [lost(), lost(Obstacle.TIMEOUT), lost(Obstacle.UNREACHABLE)]
    for trouble in troubles:
        facade.house.sent.clear()
        facade.house.troubles = [trouble, lost(), lost(), lost()]
        with pytest.raises(TemporarilyUnavailable):
            await facade.insert()
        assert facade.house.operations.count(INSERT) == 1
        facade.house.clock.seconds += 11
        facade.house.troubles = []
        await facade.consult()


async def test_sec_70_the_customer_s_ticket_is_the_key_and_ours_where_it_gave_none(facade: Facade) -> None:
    """The ticket goes as the customer gave it; where it gave none, it is that of our own exchange (SEC-70)."""
    await facade.insert(JANUARY, ticket="whatever it is, at 36 characters !!!")
    request = InsertInscription(**facade.head(None), inscription_context=WAGE, period=given(MARCH))
    asked = facade.asked(request)
    await facade.upstream.insert(asked)
    tickets = [sent.information_customer.ticket for sent in facade.house.sent]  # type: ignore[union-attr]
    assert tickets == ["whatever it is, at 36 characters !!!", str(asked.exchange.ticket_cbss)]


# -- consultations, time and room --------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [lost(), lost(Obstacle.UNREACHABLE, was_sent=False)])
async def test_sec_68_a_consultation_is_sent_again_after_a_pause(facade: Facade, trouble: Callable[[], None]) -> None:
    """Broken or without a connection, it is sent again, signed anew, after pauses cut at random (SEC-68)."""
    facade.house.troubles = [trouble, trouble]
    assert (await facade.consult()).status.code == "MSG00100"
    assert facade.slept == [0.05, 0.1]
    assert len(set(facade.house.bodies)) == 3


async def test_sec_68_a_consultation_is_sent_as_often_as_set_and_no_more(signer: Signer) -> None:
    """After the last attempt it is CBI00901; one that came too late is not sent again at all (SEC-68)."""
    for troubles, sent in (([lost()] * 9, 2), ([lost(Obstacle.TIMEOUT)] * 9, 1)):
        facade = Facade(signer, attempts=2)
        facade.house.troubles = troubles
        with pytest.raises(RepertoryUnavailable):
            await facade.consult()
        assert len(facade.house.sent) == sent


async def test_sec_68_an_upstream_that_says_that_it_failed_is_asked_again(facade: Facade) -> None:
    """A fault on its side is no answer: a consultation is sent again (SEC-68)."""
    replies = iter([fault_of(TemporarilyUnavailable("x"))])
    facade.house.falsify = lambda body: next(((503, fault) for fault in replies), (200, body))
    assert (await facade.consult()).status.code == "MSG00100"
    assert [call.outcome for call in facade.log.calls] == ["fault", "answered"]


async def test_sec_10_nothing_waits_longer_than_the_caller_does(facade: Facade) -> None:
    """Each message gets what is left and no more; a declaration leaves time to look at its lines (SEC-10)."""
    await facade.consult(seconds=1.5)
    await facade.consult(seconds=14)
    await facade.consult(seconds=None)
    request = InsertInscription(**facade.head("T"), inscription_context=WAGE, period=given(JANUARY))
    await facade.upstream.insert(facade.asked(request, seconds=3))
    assert facade.house.seconds_given == [1.5, 4.0, 4.0, pytest.approx(2.0)]


async def test_sec_10_without_time_nothing_is_sent(facade: Facade) -> None:
    """With nothing left the caller has SOA-02002 at once: the want is not the upstream's (SEC-10)."""
    with pytest.raises(TemporarilyUnavailable, match="no-time"):
        await facade.consult(seconds=0.01)
    assert facade.house.sent == []
    assert facade.breaker.circuit is Circuit.CLOSED


async def test_sec_68_who_waits_a_shorter_time_opens_no_circuit(facade: Facade) -> None:
    """That a caller had less patience than the settings say nothing of the upstream (SEC-68)."""
    for _ in range(5):
        facade.house.troubles = [lost(Obstacle.TIMEOUT)]
        with pytest.raises(RepertoryUnavailable):
            await facade.consult(seconds=1)
    assert facade.breaker.circuit is Circuit.CLOSED


async def test_sec_68_a_circuit_that_is_open_answers_for_the_upstream(facade: Facade) -> None:
    """After failures in a row nothing is sent, and all is CBI00901 at once, until a probe succeeds (SEC-68)."""
    facade.house.troubles = [lost(Obstacle.TIMEOUT)] * 3
    for _ in range(3):
        with pytest.raises(RepertoryUnavailable):
            await facade.consult()
    facade.house.sent.clear()
    for ask in (facade.consult, facade.insert):
        with pytest.raises(RepertoryUnavailable, match="circuit-open"):
            await ask()  # type: ignore[operator]
    assert facade.house.sent == []
    facade.house.clock.seconds += 10
    assert (await facade.consult()).status.code == "MSG00100"
    assert facade.breaker.circuit is Circuit.CLOSED
    assert facade.log.calls[-1].circuit is Circuit.CLOSED


async def test_sec_68_only_so_many_calls_are_under_way(signer: Signer) -> None:
    """Beyond the number set the caller has SOA-02002 at once, and the others go on (SEC-68)."""
    facade = Facade(signer, calls_at_once_max=2)
    gate = asyncio.Event()
    send = facade.house.send

    async def slow(call: PreparedCall, *, seconds_max: float | None = None) -> Answer[Result]:
        await gate.wait()
        return await send(call, seconds_max=seconds_max)

    facade.house.send = slow  # type: ignore[method-assign]
    waiting = [asyncio.create_task(facade.consult()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TemporarilyUnavailable, match="calls-at-once"):
        await facade.consult()
    gate.set()
    assert [(await one).status.code.value for one in waiting] == ["MSG00100"] * 2
    assert (await facade.consult()).status.code == "MSG00100"


async def test_a_look_at_the_upstream_is_a_test_message(facade: Facade) -> None:
    """A health check sends a test message, and names what is in the way when none comes back."""
    assert (await facade.upstream.look()).health is Health.OK
    facade.house.troubles = [lost()]
    found = await facade.upstream.look()
    assert (found.name, found.health, found.detail) == ("repertory", Health.NOK, "broken")


async def test_sec_68_what_was_never_sent_closes_no_circuit(facade: Facade) -> None:
    """A message that could not even be written says nothing of the upstream: a circuit half open stays so, and the next
    call is the probe (SEC-68).
    """
    facade.house.troubles = [lost(Obstacle.TIMEOUT)] * 3
    for _ in range(3):
        with pytest.raises(RepertoryUnavailable):
            await facade.consult()
    facade.house.clock.seconds += 10
    facade.house.sent.clear()
    with pytest.raises(RepertoryUnavailable, match="request"):
        await facade.consult("x" * 1_000)
    assert (facade.house.sent, facade.breaker.circuit) == ([], Circuit.HALF_OPEN)
    assert (await facade.consult()).status.code == "MSG00100"
    assert facade.breaker.circuit is Circuit.CLOSED


async def test_sec_68_who_is_no_longer_waited_for_gives_its_place_up(signer: Signer) -> None:
    """A call that is cancelled in the middle leaves room for another, and a circuit half open for the next probe
    (SEC-68).
    """
    facade = Facade(signer, calls_at_once_max=1)
    facade.house.troubles = [lost(Obstacle.TIMEOUT)] * 3
    for _ in range(3):
        with pytest.raises(RepertoryUnavailable):
            await facade.consult()
    facade.house.clock.seconds += 10
    send = facade.house.send

    async def never(call: PreparedCall, *, seconds_max: float | None = None) -> Answer[Result]:
        del call, seconds_max
        return await asyncio.get_running_loop().create_future()

    facade.house.send = never  # type: ignore[method-assign]
    probe = asyncio.create_task(facade.consult())
    await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    facade.house.send = send  # type: ignore[method-assign]
    assert (await facade.consult()).status.code == "MSG00100"
    assert facade.breaker.circuit is Circuit.CLOSED


# -- whose words are believed, and whose name is told ------------------------------------------------------------------


def in_reply(old: str, new: str) -> Falsify:
    """A reply with this in place of that."""

    def change(body: bytes) -> tuple[int, bytes]:
        changed = re.sub(old.encode(), new.encode(), body, flags=re.DOTALL)
        assert changed != body
        return 200, changed

    return change


HOSTILE: dict[str, Falsify] = {
    "half": lambda body: (200, body[: len(body) // 2]),
    "nothing": lambda _: (200, b""),
    "HTML": lambda _: (200, b"<html><body>Welcome</body></html>"),
    "an entity bomb": lambda body: (200, b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + body.partition(b"?>")[2]),
    "deep": lambda _: (200, b"<a>" * 5_000 + b"</a>" * 5_000),
    "huge": lambda body: (200, body.replace(b"</soapenv:Body>", b"<x/>" * 200_000 + b"</soapenv:Body>")),
    "redirect": lambda body: (302, body),
    "not found": lambda body: (404, body),
    "500 with an answer": lambda body: (500, body),
    "200 with a fault": lambda _: (200, fault_of(TemporarilyUnavailable("x"))),
    "two answers": lambda body: (
        200,
        re.sub(rb"(<soapenv:Body>)(.*)(</soapenv:Body>)", rb"\1\2\2\3", body, flags=re.DOTALL),
    ),
    "another ticket": in_reply("<ticket>.*?</ticket>", "<ticket>another</ticket>"),
    "another customer": in_reply("<institution>1</institution>", "<institution>2</institution>"),
    "no ticket": in_reply("<ticket>.*?</ticket>", ""),
    "another operation": in_reply("consultInscriptionsResponse", "sendTestMessageResponse"),
    "another namespace": in_reply("InscriptionService/v1", "InscriptionService/v2"),
    "an unknown code": in_reply("<code>MSG00100</code>", "<code>MSG99999</code>"),
    "data that are none": in_reply("<value>NO_DATA_FOUND</value>", "<value>DATA_FOUND</value>"),
    "a status of another": in_reply("<code>MSG00100</code>", "<code>MSG00000</code>"),
    "another number": in_reply(f"<ssin>{ssin_of(ONE).digits}</ssin><", f"<ssin>{ssin_of(STRANGER).digits}</ssin><"),
    "no number": in_reply(r"</status><ssin>\d+</ssin>", "</status>"),
    "no such number": in_reply(r"</status><ssin>\d+</ssin>", "</status><ssin>85073000199</ssin>"),
}


@pytest.mark.parametrize("falsify", HOSTILE.values(), ids=HOSTILE)
async def test_sec_68_whatever_is_no_answer_is_an_outage(facade: Facade, falsify: Falsify) -> None:
    """A reply that is broken, huge, of somebody else or against itself is CBI00901, and never an answer (SEC-68)."""
    facade.house.falsify = falsify
    with pytest.raises(RepertoryUnavailable):
        await facade.consult()
    assert facade.log.calls[-1].outcome in {"unreadable", "fault", "contradiction", "other-number", "other-context"}


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in {"another operation", "200 with a fault"}])
async def test_sec_68_whatever_is_no_answer_to_a_declaration_is_not_known(facade: Facade, name: str) -> None:
    """A declaration that got no believable answer, nor a believable look at its lines, is SOA-02002 (SEC-68)."""
    facade.house.result = lambda result: (
        replace(result, status=Status(value=StatusValue.OK, code=OutcomeCode.NO_DATA))
        if isinstance(result, WriteResult)
        else ConsultResult(
            status=Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA),
            ssin=SsinAnswer(current=ssin_of(ONE)),
        )
    )
    falsify = HOSTILE[name]
    facade.house.falsify = lambda body: falsify(body) if b"consult" in body else (200, body)
    with pytest.raises(TemporarilyUnavailable):
        await facade.insert()


async def test_sec_68_lines_of_other_contexts_than_asked_are_not_believed(facade: Facade) -> None:
    """A line of a context that nobody asked about is no answer, to a consultation and to a declaration (SEC-68)."""
    await facade.insert(JANUARY)
    facade.house.falsify = in_reply(f"(<inscription><inscriptionContext>){WAGE}", rf"\g<1>{DEBT}")
    with pytest.raises(RepertoryUnavailable):
        await facade.consult(WAGE)
    assert facade.log.calls[-1].outcome == "other-context"


async def test_sec_68_lines_of_other_days_than_asked_are_not_believed(facade: Facade) -> None:
    """A line without a day of the period that was asked about is no answer; one with a day of it is (SEC-68)."""
    await facade.insert(JANUARY)

    async def consult(period: str) -> ConsultResult:
        request = ConsultInscriptions(**facade.head(None), inscription_contexts=(WAGE,), period=given(period))
        return await facade.upstream.consult(facade.asked(request))

    for period in ("2023-12-01..2024-01-01", "2024-01-31..", "2024-01-10..2024-01-12"):
        assert len((await consult(period)).inscriptions) == 1
    facade.house.falsify = in_reply("<beginDate>2024-01-01</beginDate>", "<beginDate>2024-01-02</beginDate>")
    with pytest.raises(RepertoryUnavailable):
        await consult("2023-12-01..2024-01-01")
    assert facade.log.calls[-1].outcome == "other-period"


async def test_sec_69_nothing_of_the_caller_but_its_customer_goes_along(facade: Facade, signer: Signer) -> None:
    """Our certificate signs; no URN, number, fingerprint or ticket of the caller's own exchange is told (SEC-69)."""
    await facade.insert(JANUARY, ticket="T1")
    await facade.consult()
    for body in facade.house.bodies:
        message = etree.fromstring(body)
        assert len(message.findall(f"{{*}}Header/{names.WSSE_SECURITY}")) == 1
        token = message.findtext(f"{{*}}Header/{names.WSSE_SECURITY}/{names.WSSE_TOKEN}")
        assert base64.b64decode(token or "") == signer.certificate_der
        for word in (CALLER.application_urn, CALLER.certificate_fingerprint, CALLER.cbe_number):
            assert word.encode() not in body
    customer = facade.house.sent[0].information_customer  # type: ignore[union-attr]
    assert (customer.customer_identification, customer.ticket) == (OWN, "T1")


async def test_sec_74_nothing_of_a_person_is_in_a_log_line(facade: Facade) -> None:
    """What is told of a call is operation, outcome, code and time: no number and no name (SEC-74)."""
    await facade.insert(JANUARY, legal_data=LegalData(last_name="Vandenbroeckelaere"))
    facade.house.losses = [lost()]
    with pytest.raises(TemporarilyUnavailable):
        await facade.insert(JANUARY, ticket="T2")
    told = repr(facade.log.calls)
    assert ssin_of(ONE).digits not in told
    assert "Vandenbroeckelaere" not in told


# -- our own permission holds, whatever the upstream's says ------------------------------------------------------------


async def test_rule_28_a_context_of_our_own_permission_alone_is_written(facade: Facade) -> None:
    """What our permission does not grant is CBI00201, the number looked at first; no declaration leaves (rule 28)."""
    facade.permission = permission_of(OWN, (DEBT,))
    result = await facade.insert()
    assert (result.status.value, result.status.code) == ("NOK", "CBI00201")
    assert result.ssin == SsinAnswer(current=ssin_of(ONE))
    assert facade.house.operations == [CONSULT]
    unknown = await facade.insert(index=500)
    assert (unknown.status.value, unknown.status.code) == ("NOK", "MSG00005")
    assert facade.house.lines.history == []
    facade.house.troubles = [lost(Obstacle.TIMEOUT)]
    with pytest.raises(RepertoryUnavailable):
        await facade.insert()


async def test_rules_28_and_30_only_what_our_own_permission_shows_is_shown(facade: Facade) -> None:
    """An upstream that shows more than our permission does is not passed on: contexts, organisations (28, 30)."""
    facade.house.permission = permission_of(OWN, visibility=Visibility(inscription_contexts=frozenset({WAGE, DEBT})))
    await facade.insert(JANUARY)
    await facade.insert(JANUARY, ticket="T2", context=DEBT)
    facade.house.lines.sets |= {
        replace(key, customer=OTHER): dict(spans) for key, spans in list(facade.house.lines.sets.items())
    }
    assert len((await facade.consult()).inscriptions) == 2
    assert (await facade.consult()).data_filters == ()
    facade.permission = permission_of(OWN, (WAGE,))
    own = await facade.consult()
    assert [(line.inscription_context, line.organization) for line in own.inscriptions] == [(WAGE, None)]
    refused = await facade.consult(DEBT)
    assert (refused.status.value, refused.status.code, refused.inscriptions) == ("NO_RESULT", "CBI00201", ())
    facade.permission = permission_of(OWN, (WAGE,), visibility=Visibility(inscription_contexts=frozenset({DEBT})))
    seen = await facade.consult()
    assert {(line.inscription_context, line.organization) for line in seen.inscriptions} == {(WAGE, OWN), (DEBT, OTHER)}
    assert seen.data_filters == ("inscriptions/inscription",)
    facade.permission = permission_of(OWN, ())
    nothing = await facade.consult()
    assert (nothing.status.value, nothing.status.code) == ("NO_DATA_FOUND", "MSG00100")
