"""The SDK's mutation feed against a service of answers made up: pages become one sequence, and nothing is missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription.client import AsyncInscriptionClient, InscriptionClient, Profile, Refused, ReplyUnreadable
from cbss_inscription.client.call import PreparedCall, read_answer
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.write import Deployment, write_response
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss
from cbss_inscription.domain.errors import SchemaViolation, UsageError
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.mutation import Mutation
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultMutations
from cbss_inscription.domain.results import MutationsResult, Status, StatusValue
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.envelope.soap11 import write_envelope
from cbss_inscription.sandbox.pki import TestPki

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = ("sync", "async")
FOUND = Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)
NOTHING = Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA)
REFUSED = Status(value=StatusValue.NO_RESULT, code=OutcomeCode.LEGAL_CONTEXT_NOT_GRANTED)
Service = Callable[[ConsultMutations], MutationsResult]


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """A profile with a certificate of a throw-away PKI."""
    folder = tmp_path_factory.mktemp("profile")
    pki = TestPki.generate(environment="LOCAL", now=NOW)
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    credential = pki.issue_application_certificate("a:b:c", "0206731645", "Test", not_before=NOW, private_key=key)
    (folder / "ca").write_bytes(pki.authorities_pem)
    (folder / "certificate").write_bytes(credential.certificate_pem)
    (folder / "private_key").write_bytes(credential.private_key_pem)
    return Profile(
        url="https://localhost/CBSSInscription/v1",
        ca=folder / "ca",
        certificate=folder / "certificate",
        private_key=folder / "private_key",
        customer_identification=CustomerIdentification(sector=17, institution=1),
        legal_context="PCSA:SOCIAL_INQUIRY",
    )


class Line:
    """A transport of either client that hands each call to a service in this process."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.asked: list[ConsultMutations] = []

    def answer(self, call: PreparedCall) -> Any:
        assert call.door is Door.MUTATIONS
        assert call.headers["SOAPAction"] == '"urn:cbss-inscription:mutations:v1/consultMutations"'
        assert isinstance(call.request, ConsultMutations)
        self.asked.append(call.request)
        question = etree.fromstring(call.body).find(".//{urn:cbss-inscription:mutations:v1}ConsultMutationsRequest")
        assert question is not None
        response = write_response(
            question,
            self.service(call.request),
            information_cbss=InformationCbss(ticket_cbss=UUID(int=1), timestamp_receive=NOW, timestamp_reply=NOW),
            deployment=Deployment(version="1", environment="LOCAL"),
        )
        return read_answer(call, status=200, media_type="text/xml", charset="utf-8", body=write_envelope(response))


def collect(kind: str, profile: Profile, line: Line, after: int = 0, **named: Any) -> list[Mutation]:
    """What the client's iteration gives."""
    if kind == "sync":
        with InscriptionClient(profile) as client:
            client._transport.send = line.answer  # type: ignore[method-assign]
            return list(client.mutations(after, **named))

    async def run() -> list[Mutation]:
        async def send(call: PreparedCall, **_: Any) -> Any:
            return line.answer(call)

        async with AsyncInscriptionClient(profile) as client:
            client._transport.send = send  # type: ignore[method-assign]
            return [mutation async for mutation in client.mutations(after, **named)]

    return asyncio.run(run())


def mutation(number: int) -> Mutation:
    """A correction of one person."""
    ssin = Ssin.parse("85073003328")
    return Mutation(
        sequence_number=number,
        event=LifeEvent.CORRECTED,
        ssin=ssin,
        current_ssin=ssin,
        inscription_contexts=(InscriptionContext("PCSA:LIVING_WAGE"),),
        recorded_at=NOW,
    )


def page(numbers: Sequence[int], last: int, *, more: bool) -> MutationsResult:
    """A page with these mutations."""
    return MutationsResult(
        status=FOUND if numbers else NOTHING,
        mutations=tuple(map(mutation, numbers)),
        last_sequence_number=last,
        more=more,
    )


@settings(deadline=None, max_examples=settings.default.max_examples * 5 // 8)
@given(
    kind=st.sampled_from(KINDS),
    told=st.sets(st.integers(1, 60), max_size=30),
    end=st.integers(60, 70),
    after=st.integers(0, 80),
    stride=st.integers(1, 30),
)
def test_pages_of_any_size_become_one_sequence(
    profile: Profile, kind: str, told: set[int], end: int, after: int, stride: int
) -> None:
    """However the service cuts its pages, empty ones too, the iteration gives each mutation once, in order."""

    def service(request: ConsultMutations) -> MutationsResult:
        begin = request.after_sequence_number
        last = max(begin, min(begin + stride, end))
        return page(sorted(n for n in told if begin < n <= last), last, more=last < end)

    line = Line(service)
    assert collect(kind, profile, line, after) == [mutation(n) for n in sorted(told) if n > after]
    assert [request.after_sequence_number for request in line.asked] == [*range(after, max(end, after + 1), stride)]
    assert {request.limit for request in line.asked} == {1_000}


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_ends_the_iteration_with_its_status(profile: Profile, kind: str) -> None:
    """Refused carries the answer's status and says its code; what came before has been given."""
    refused = MutationsResult(status=REFUSED, last_sequence_number=0)
    with pytest.raises(Refused, match="MSG00013") as caught:
        collect(kind, profile, Line(lambda _: refused))
    assert caught.value.status == REFUSED


WRONG_PAGES = {
    "goes nowhere": page([], 5, more=True),
    "goes back": page([], 4, more=False),
    "what was had already": page([5], 6, more=False),
    "out of order": page([7, 6], 7, more=False),
    "twice": page([6, 6], 7, more=False),
    "beyond its own end": page([6, 9], 8, more=True),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", WRONG_PAGES.values(), ids=WRONG_PAGES.keys())
def test_a_page_that_cannot_follow_is_no_answer(profile: Profile, kind: str, wrong: MutationsResult) -> None:
    """A service that repeats, reorders or stands still is found out, instead of a loop without end or a gap."""
    with pytest.raises(ReplyUnreadable, match="order"):
        collect(kind, profile, Line(lambda _: wrong), after=5)


def test_the_order_is_judged_for_a_single_page_too(profile: Profile) -> None:
    """`consult_mutations` refuses the same pages, and gives a refusal as an answer."""
    with InscriptionClient(profile) as client:
        client._transport.send = Line(lambda _: page([7, 6], 7, more=False)).answer  # type: ignore[method-assign]
        with pytest.raises(ReplyUnreadable):
            client.consult_mutations(5)
        refused = replace(page([], 5, more=False), status=REFUSED)
        client._transport.send = Line(lambda _: refused).answer  # type: ignore[method-assign]
        assert client.consult_mutations(5).result == refused


@pytest.mark.parametrize(("after", "limit"), [(0, 0), (0, 1_001), (-1, 1), (10**18, 1)])
def test_what_the_contract_has_no_room_for_is_told_before_it_is_sent(profile: Profile, after: int, limit: int) -> None:
    """A limit of 0 or 1 001, or a place below 0 or of more than 18 digits, is the application's own mistake."""
    with InscriptionClient(profile) as client, pytest.raises(SchemaViolation):
        client.consult_mutations(after, limit=limit)


def test_ticket_and_legal_context_may_be_given(profile: Profile) -> None:
    """A page may be asked for under another legal context and with the application's own ticket."""
    line = Line(lambda request: page([], request.after_sequence_number, more=False))
    with InscriptionClient(profile) as client:
        client._transport.send = line.answer  # type: ignore[method-assign]
        client.consult_mutations(3, limit=7, ticket="mine", legal_context="PCSA:LIVING_WAGE_GRANT")
    (request,) = line.asked
    assert (request.after_sequence_number, request.limit) == (3, 7)
    assert (request.information_customer.ticket, request.legal_context) == ("mine", "PCSA:LIVING_WAGE_GRANT")
    assert collect("async", profile, line, 9, legal_context="PCSA:LIVING_WAGE_GRANT") == []
    assert line.asked[-1].legal_context == "PCSA:LIVING_WAGE_GRANT"


def test_a_profile_that_cannot_tell_the_address_is_told_so(profile: Profile) -> None:
    """Behind a gateway with another path the feed needs an address of its own: one sentence says which key."""
    elsewhere = msgspec.structs.replace(profile, url="https://localhost/gateway")
    with InscriptionClient(elsewhere) as client, pytest.raises(UsageError, match="mutations_url"):
        client.consult_mutations()
