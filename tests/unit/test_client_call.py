"""A call without its transport: what is sent, and which replies are answers (client/call.py)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree
from msgspec.structs import replace

from cbss_inscription.client.call import (
    REPLY_BYTES_MAX,
    REPLY_ELEMENTS_MAX,
    PreparedCall,
    prepare,
    read_answer,
)
from cbss_inscription.client.dialect import FAULT_WORD_CHARS_MAX
from cbss_inscription.client.errors import FaultReceived, ReplyUnreadable
from cbss_inscription.contract.write import Deployment, write_response
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss, InformationCustomer
from cbss_inscription.domain.errors import SchemaViolation, UsageError
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    HealthCheck,
    InsertInscription,
    Request,
    operation_of,
)
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    Information,
    Result,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.envelope.soap11 import envelope_of, write_envelope
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.security.sign import Signer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SSIN = "85073003328"
FAULT = """<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>
  <faultcode>s:{side}</faultcode><faultstring>SOA-01002</faultstring><detail>
  <e:{kind} xmlns:e="http://socialsecurity.be/errors/v1" Id="{ticket}"><e:Origin>Consumer</e:Origin>
  <e:Code>SOA-01002</e:Code><e:Message>{message}</e:Message></e:{kind}></detail></s:Fault></s:Body></s:Envelope>"""


@pytest.fixture(scope="module")
def signer() -> Signer:
    """A signer with a certificate of a throw-away PKI."""
    credential = TestPki.generate(environment="LOCAL", now=NOW).issue_application_certificate(
        "a:b:c",
        "0206731645",
        "Test",
        not_before=NOW,
        private_key=rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
    )
    return Signer.from_pem(credential.certificate_pem, credential.private_key_pem)


def request(ssin: str = SSIN, ticket: str = "ticket") -> ConsultInscriptions:
    """A consultation."""
    return ConsultInscriptions(
        information_customer=InformationCustomer(
            customer_identification=CustomerIdentification(sector=17, institution=1), ticket=ticket
        ),
        legal_context=LegalContext("PCSA:SOCIAL_INQUIRY"),
        ssin=ssin,
    )


def insertion() -> InsertInscription:
    """A declaration of a new line."""
    asked = request()
    return InsertInscription(
        information_customer=asked.information_customer,
        legal_context=asked.legal_context,
        ssin=asked.ssin,
        inscription_context=LINE.inscription_context,
        period=GivenPeriod(begin_date=NOW.date()),
    )


@pytest.fixture(scope="module")
def call(signer: Signer) -> PreparedCall:
    """A consultation, ready to send."""
    return prepare(request(), signer=signer, now=NOW)


def test_a_call_has_the_headers_and_the_signed_body_of_soap_11(call: PreparedCall) -> None:
    """text/xml, the operation's SOAPAction in quotes, one Security header (contract.md 1)."""
    assert call.headers == {
        "Content-Type": "text/xml; charset=utf-8",
        "SOAPAction": '"http://socialsecurity.be/cbssinscription/v1/consultInscriptions"',
    }
    envelope = etree.fromstring(call.body)
    assert len(envelope.findall(".//{*}Security/{*}Signature")) == 1
    assert envelope.findtext(".//ssin") == SSIN


def answered(call: PreparedCall, asked: Request) -> bytes:
    """A right reply under the head of a deletion, which says that this was asked."""
    result = WriteResult(
        status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS), ssin=SsinAnswer(current=Ssin.parse(SSIN))
    )
    information = InformationCbss(ticket_cbss=UUID(int=1), timestamp_receive=NOW, timestamp_reply=NOW)
    response = write_response(
        call.dialect.write(asked),
        result,
        information_cbss=information,
        deployment=Deployment(version="1", environment="LOCAL"),
    )
    return write_envelope(response)


def test_sec_68_a_reply_must_repeat_what_was_asked(signer: Signer) -> None:
    """A period may be said as one with an end; another period is another question, and no answer (SEC-68)."""
    head = request()
    day, other = NOW.date(), date(2026, 5, 1)
    said = Period(begin_date=day, end_date=day)
    deletions = [
        DeleteInscription(
            information_customer=head.information_customer,
            legal_context=head.legal_context,
            ssin=SSIN,
            inscription_context=LINE.inscription_context,
            period=period,  # type: ignore[arg-type]  # as an application may that nobody checks
        )
        for period in (said, GivenPeriod(begin_date=day, end_date=day), GivenPeriod(begin_date=day, end_date=other))
    ]
    call = prepare(deletions[0], signer=signer, now=NOW)
    for asked in deletions[:2]:
        body = answered(call, asked)
        assert read_answer(call, status=200, media_type="text/xml", charset=None, body=body).result.status.code
    with pytest.raises(ReplyUnreadable, match="other-question"):
        read_answer(call, status=200, media_type="text/xml", charset=None, body=answered(call, deletions[2]))


def test_a_prepared_call_hides_what_it_says(call: PreparedCall) -> None:
    """Its repr shows neither number nor message (SEC-74)."""
    assert SSIN not in repr(call)


def test_a_request_against_the_contract_is_told_without_its_values(signer: Signer) -> None:
    """SchemaViolation names the place; no value of the request is in any of its texts (SEC-74)."""
    with pytest.raises(SchemaViolation) as caught:
        prepare(request(ssin="85993003328"), signer=signer, now=NOW)
    assert "ssin" in caught.value.paths[0]
    assert "85993003328" not in str(caught.value) + repr(caught.value.paths)


@pytest.mark.parametrize("ticket", ["\x00", "a\x1bb", "\ud800", "\ufffe"])
def test_a_text_that_xml_cannot_carry_is_a_usage_error(signer: Signer, ticket: str) -> None:
    """Control characters and lone surrogates are told in a sentence that does not repeat them."""
    with pytest.raises(UsageError) as caught:
        prepare(request(ticket=ticket), signer=signer, now=NOW)
    assert ticket not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("status", [100, 201, 204, 301, 302, 400, 401, 403, 404, 405, 413, 415, 429, 502, 504])
def test_another_status_is_no_answer(call: PreparedCall, status: int) -> None:
    """Only 200, and 500 or 503 with a fault, can be answers (SOAP 1.1)."""
    with pytest.raises(ReplyUnreadable, match=f"http-status-{status}"):
        read_answer(call, status=status, media_type="text/xml", charset="utf-8", body=b"<anything/>")


@pytest.mark.parametrize("status", [200, 500, 503])
@pytest.mark.parametrize("kind", ["SystemError", "BusinessError"])
def test_a_fault_is_a_fault_whatever_the_status(call: PreparedCall, status: int, kind: str) -> None:
    """Both kinds of errors/v1 are read, with their own code, text and ticket."""
    body = FAULT.format(side="Client", kind=kind, ticket="t-1", message="Not authorised.").encode()
    with pytest.raises(FaultReceived) as caught:
        read_answer(call, status=status, media_type="text/xml", charset=None, body=body)
    fault = caught.value
    assert (fault.code, fault.fault_code, fault.ticket, fault.message) == (
        "SOA-01002",
        "Client",
        "t-1",
        "Not authorised.",
    )
    assert str(fault) == "SOA-01002: Not authorised. (ticket t-1)"


@pytest.mark.parametrize("status", [500, 503])
def test_sec_68_an_answer_with_the_status_of_a_fault_is_no_answer(call: PreparedCall, status: int) -> None:
    """A response that says by its status that it failed contradicts itself: what it says was not done (SEC-68)."""
    body = etree.tostring(reply_to(call, CONSULTED))
    with pytest.raises(ReplyUnreadable, match=f"http-status-{status}"):
        read_answer(call, status=status, media_type="text/xml", charset="utf-8", body=body)


def test_a_faults_words_are_one_short_line(call: PreparedCall) -> None:
    """Line ends, terminal controls and endless texts of a hostile server do not reach the screen (SEC-68)."""
    message = "one\n two\u009b31m\u202ethree" + "x" * 10_000
    body = FAULT.format(side="Client", kind="SystemError", ticket="a\u0085b", message=message).encode()
    with pytest.raises(FaultReceived) as caught:
        read_answer(call, status=500, media_type="text/xml", charset=None, body=body)
    text = str(caught.value)
    assert text.isprintable()
    assert "one two 31m threex" in text
    assert len(caught.value.message) == FAULT_WORD_CHARS_MAX
    assert caught.value.ticket == "a b"


def test_a_health_check_is_answered_by_its_own_response_only(signer: Signer) -> None:
    """The response must be that of the operation asked, though it carries no ticket."""
    asked = prepare(HealthCheck(), signer=signer, now=NOW)
    body = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><x/></s:Body></s:Envelope>'
    with pytest.raises(ReplyUnreadable, match="other-operation"):
        read_answer(asked, status=200, media_type="text/xml", charset=None, body=body)


INFORMATION_CBSS = InformationCbss(ticket_cbss=UUID(int=1), timestamp_receive=NOW, timestamp_reply=NOW)
LINE = Inscription(inscription_context=InscriptionContext("PCSA:LIVING_WAGE"), period=Period(begin_date=NOW.date()))
CONSULTED = ConsultResult(
    status=Status(
        value=StatusValue.DATA_FOUND,
        code=OutcomeCode.SUCCESS,
        information=(Information(field_name="ssin", field_value="x"),),
    ),
    ssin=SsinAnswer(current=Ssin.parse(SSIN)),
    data_filters=("a", "b"),
    inscriptions=(LINE, LINE),
    next="2",
)
WRITTEN = WriteResult(
    status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS),
    ssin=SsinAnswer(current=Ssin.parse(SSIN)),
    anomalies=(Anomaly(code=OutcomeCode.INSCRIPTION_MERGED), Anomaly(code=OutcomeCode.DECEASED)),
    inscriptions=(LINE,),
)


def reply_to(call: PreparedCall, result: Result) -> etree._Element:
    """The envelope that answers `call` with `result`, as the service writes it."""
    asked = etree.fromstring(call.body).find(f"{{*}}Body/{call.door.request_element(operation_of(call.request))}")
    assert asked is not None
    return envelope_of(
        write_response(
            asked,
            result,
            information_cbss=INFORMATION_CBSS,
            deployment=Deployment(version="1", environment="LOCAL"),
        )
    )


def read_reply_bytes(call: PreparedCall, envelope: etree._Element | bytes) -> Result:
    """The result in a reply."""
    body = envelope if isinstance(envelope, bytes) else etree.tostring(envelope)
    return read_answer(call, status=200, media_type="text/xml", charset="utf-8", body=body).result


@pytest.mark.parametrize("operation", ["consult", "insert"])
def test_a_comment_between_elements_changes_nothing(signer: Signer, operation: str) -> None:
    """A comment in a valid reply, wherever elements stand, leaves the answer as it is (XML 1.0, 2.5)."""
    asked, result = (request(), CONSULTED) if operation == "consult" else (insertion(), WRITTEN)
    call = prepare(asked, signer=signer, now=NOW)
    envelope = reply_to(call, result)
    for element in list(envelope.iter("*")):
        if len(element):
            for position in range(len(element), -1, -1):
                element.insert(position, etree.Comment("x"))
    assert read_reply_bytes(call, envelope) == result


def test_a_comment_in_a_value_makes_the_reply_unreadable(call: PreparedCall) -> None:
    """Where a comment splits a text, what the text says is doubtful: no half of it is read."""
    envelope = reply_to(call, CONSULTED)
    filtered = next(envelope.iter("filteredElement"))
    filtered.insert(0, etree.Comment("x"))
    with pytest.raises(ReplyUnreadable, match="markup-in-text"):
        read_reply_bytes(call, envelope)


def test_a_processing_instruction_makes_the_reply_unreadable(call: PreparedCall) -> None:
    """WS-I R1009 forbids them in any message, a reply too."""
    envelope = reply_to(call, CONSULTED)
    next(envelope.iter("inscriptions")).insert(0, etree.ProcessingInstruction("x"))
    with pytest.raises(ReplyUnreadable, match="processing-instruction"):
        read_reply_bytes(call, envelope)


@pytest.mark.parametrize("operation", ["consult", "insert"])
def test_a_large_answer_is_an_answer(signer: Signer, operation: str) -> None:
    """A reply may be four times as large as a request: many lines, each with its organisation and its moment."""
    line = replace(
        LINE,
        inscription_context=InscriptionContext("P" * 40),
        period=Period(begin_date=NOW.date(), end_date=NOW.date()),
        organization=CustomerIdentification(sector=17, institution=1),
        last_change=NOW,
    )
    lines = (line,) * 12_000
    asked, result = (
        (request(), replace(CONSULTED, inscriptions=lines))
        if operation == "consult"
        else (insertion(), replace(WRITTEN, inscriptions=lines))
    )
    call = prepare(asked, signer=signer, now=NOW)
    reply = etree.tostring(reply_to(call, result))
    assert 3_000_000 < len(reply) < REPLY_BYTES_MAX
    assert read_reply_bytes(call, reply) == result


@pytest.mark.parametrize(
    "filling", [b"x" * REPLY_BYTES_MAX, b"<e/>" * (REPLY_ELEMENTS_MAX + 1)], ids=["bytes", "elements"]
)
def test_a_reply_beyond_the_limits_is_unreadable(call: PreparedCall, filling: bytes) -> None:
    """A service that never stops writing gets no more of our memory than a large answer needs (SEC-68)."""
    with pytest.raises(ReplyUnreadable, match=r"size|elements"):
        read_reply_bytes(call, b"<e>" + filling + b"</e>")
