"""Elements to domain values and back: nothing is lost, all that is written is valid (contract.md section 3)."""

from __future__ import annotations

import time
import traceback
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck as Slowness
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription import names
from cbss_inscription.contract.common_v3 import (
    DETAILS_MAX,
    FIELD_NAME_CHARS_MAX,
    FIELD_VALUE_CHARS_MAX,
    INFORMATION_MAX,
    write_information_cbss,
    write_message,
)
from cbss_inscription.contract.door import INSCRIPTION_DOORS, Door, response_element_of
from cbss_inscription.contract.read import Response, read_request, read_response
from cbss_inscription.contract.schema import Schema, schema_of
from cbss_inscription.contract.write import Deployment, write_request, write_response
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss, InformationCustomer
from cbss_inscription.domain.environment import Environment
from cbss_inscription.domain.errors import ContentViolation, UsageError, WsdlViolation
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate, InvalidDate, Period, timestamp
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    HealthCheck,
    HealthCheckType,
    InscriptionRequest,
    InsertInscription,
    Operation,
    Request,
    UpdateInscription,
    operation_of,
)
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    Health,
    HealthCheckResult,
    Information,
    Result,
    SanityCheck,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.domain.ssin import Ssin, check_digits

CBSS = InformationCbss(
    ticket_cbss=UUID("1b1b6828-71a6-49b6-a543-7edc975d54c3"),
    timestamp_receive=datetime(2026, 3, 1, 9, 20, 31, tzinfo=UTC),
    timestamp_reply=datetime(2026, 3, 1, 9, 20, 31, 20_000, tzinfo=UTC),
)
DEPLOYMENT = Deployment(version="1.2.3", environment="TST")
CANARY = "85073003328"
steady = settings(deadline=None, suppress_health_check=[Slowness.too_slow])
"""The machine's load decides nothing."""


# values of every shape that the contract has a place for


def _texts(*, min_size: int, max_size: int) -> st.SearchStrategy[str]:
    # Every character of XML 1.0, the blanks among them.
    characters = st.characters(
        codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters="\t\n\r", exclude_characters="\ufffe\uffff"
    )
    return st.text(alphabet=characters, min_size=min_size, max_size=max_size)


@st.composite
def _ssins(draw: st.DrawFn) -> Ssin:
    offset = draw(st.sampled_from([0, 20, 40]))
    month, day = draw(st.integers(0, 12)), draw(st.integers(0, 31))
    sequence = draw(st.integers(1 if offset == 0 else 0, 999))
    nine = f"{draw(st.integers(0, 99)):02d}{month + offset:02d}{day:02d}{sequence:03d}"
    return Ssin.parse(nine + check_digits(nine, century=draw(st.sampled_from([1900, 2000]))))


def _periods(*, begin_required: bool) -> st.SearchStrategy[GivenPeriod]:
    begin = st.dates() if begin_required else st.none() | st.dates()
    return st.builds(GivenPeriod, begin_date=begin, end_date=st.none() | st.dates())


moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
organizations = st.one_of(
    st.integers(0, 9_999_999_999).map(lambda number: CustomerIdentification(cbe_number=f"{number:010d}")),
    st.builds(CustomerIdentification, sector=st.integers(0, 999), institution=st.integers(0, 999)),
)
customers = st.builds(
    InformationCustomer,
    customer_identification=organizations,
    ticket=st.none() | _texts(min_size=1, max_size=36),
    timestamp_sent=st.none() | moments,
)
contexts = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_:+ ]{0,62}[a-zA-Z0-9_:+]", fullmatch=True).map(InscriptionContext)
legal_contexts = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_:+ -]{0,62}[a-zA-Z0-9_:+-]", fullmatch=True).map(LegalContext)
tokens = st.none() | _texts(min_size=1, max_size=512)
birth_dates = st.one_of(
    st.dates(max_value=date(2999, 12, 31)).map(IncompleteDate.of_date),
    st.builds(IncompleteDate, st.integers(1, 2999), st.integers(0, 12), st.just(0)),
)
person_names = _texts(min_size=1, max_size=256)
legal_data = st.builds(
    LegalData,
    last_name=st.none() | person_names,
    given_names=st.lists(person_names, max_size=14).map(tuple),
    birth_date=st.none() | birth_dates,
    gender=st.none() | st.sampled_from(Gender),
).map(lambda data: data if data.last_name is not None else replace(data, given_names=()))
heads = st.fixed_dictionaries(
    {
        "information_customer": customers,
        "legal_context": legal_contexts,
        "ssin": _ssins().map(lambda ssin: ssin.digits),
    }
)
inscription_requests: st.SearchStrategy[InscriptionRequest] = heads.flatmap(
    lambda head: st.one_of(
        st.builds(
            ConsultInscriptions,
            **{name: st.just(value) for name, value in head.items()},
            inscription_contexts=st.lists(contexts, max_size=25).map(tuple),
            period=st.none() | _periods(begin_required=True),
            next=tokens,
        ),
        st.builds(
            InsertInscription,
            **{name: st.just(value) for name, value in head.items()},
            inscription_context=contexts,
            period=_periods(begin_required=True),
            legal_data=st.none() | legal_data,
        ),
        st.builds(
            UpdateInscription,
            **{name: st.just(value) for name, value in head.items()},
            inscription_context=contexts,
            period=_periods(begin_required=True),
            new_period=_periods(begin_required=True),
        ),
        st.builds(
            DeleteInscription,
            **{name: st.just(value) for name, value in head.items()},
            inscription_context=contexts,
            period=st.none() | _periods(begin_required=False),
        ),
    )
)
information = st.builds(
    Information, field_name=_texts(min_size=0, max_size=64), field_value=st.none() | _texts(min_size=0, max_size=256)
)
informations = st.lists(information, max_size=3).map(tuple)
codes = st.sampled_from(OutcomeCode)
anomalies = st.lists(st.builds(Anomaly, code=codes, information=informations), max_size=4).map(tuple)
ssin_answers = st.none() | st.builds(
    SsinAnswer, current=_ssins(), replaces=st.none() | _ssins(), canceled=st.booleans()
)


@st.composite
def _lines(draw: st.DrawFn) -> Inscription:
    begin = draw(st.dates())
    return Inscription(
        inscription_context=draw(contexts),
        period=Period(begin_date=begin, end_date=draw(st.none() | st.dates(min_value=begin))),
        organization=draw(st.none() | organizations),
        last_change=draw(st.none() | moments),
    )


lines = st.lists(_lines(), max_size=4).map(tuple)
consult_results = st.builds(
    ConsultResult,
    status=st.builds(
        Status,
        value=st.sampled_from([StatusValue.DATA_FOUND, StatusValue.NO_DATA_FOUND, StatusValue.NO_RESULT]),
        code=codes,
        information=informations,
    ),
    ssin=ssin_answers,
    data_filters=st.lists(_texts(min_size=0, max_size=20), max_size=3).map(tuple),
    inscriptions=lines,
    next=tokens,
)
write_results = st.builds(
    WriteResult,
    status=st.builds(
        Status, value=st.sampled_from([StatusValue.OK, StatusValue.NOK]), code=codes, information=informations
    ),
    ssin=ssin_answers,
    validation_errors=anomalies,
    anomalies=anomalies,
    inscriptions=lines,
)
health_results = st.builds(
    HealthCheckResult,
    health=st.sampled_from(Health),
    component=_texts(min_size=0, max_size=20),
    location=_texts(min_size=0, max_size=20),
    checks=st.lists(
        st.builds(
            SanityCheck,
            milliseconds=st.integers(min_value=0, max_value=2**31 - 1),
            name=_texts(min_size=0, max_size=20),
            health=st.sampled_from(Health),
            detail=st.none() | _texts(min_size=0, max_size=20),
        ),
        max_size=3,
    ).map(tuple),
)
doors = st.sampled_from(INSCRIPTION_DOORS)


def _travelled(element: etree._Element) -> etree._Element:
    return etree.fromstring(etree.tostring(element))


# there and back


@steady
@given(inscription_requests, doors)
def test_a_request_comes_back_as_it_was_written(request: InscriptionRequest, door: Door) -> None:
    """Every request is written as a valid element of either door, and reads as the same request."""
    element = _travelled(write_request(request, door=door))
    schema_of(door).validate(element)
    assert schema_of(door).operation_of(element) is operation_of(request)
    assert read_request(element) == request


@steady
@given(inscription_requests, consult_results, write_results, doors)
def test_a_result_comes_back_as_it_was_written(
    request: InscriptionRequest, consult_result: ConsultResult, write_result: WriteResult, door: Door
) -> None:
    """Every result is written as a valid response to its request, and reads as the same result with the echo."""
    result: Result = consult_result if isinstance(request, ConsultInscriptions) else write_result
    question = _travelled(write_request(request, door=door))
    answer = _travelled(write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT))
    schema_of(door).validate_response(answer)
    assert answer.tag == door.response_element(operation_of(request))
    assert read_response(answer) == Response(
        result=result, information_customer=request.information_customer, information_cbss=CBSS, asked=request
    )


@steady
@given(health_results, st.sampled_from(list(Environment)))
def test_a_health_check_comes_back_as_it_was_written(result: HealthCheckResult, environment: str) -> None:
    """The façade's health check is valid in every environment and reads as it was."""
    question = write_request(HealthCheck(), door=Door.FACADE)
    deployment = Deployment(version="1", environment=environment)
    answer = _travelled(write_response(question, result, information_cbss=CBSS, deployment=deployment))
    schema_of(Door.FACADE).validate_response(answer)
    assert read_response(answer) == Response(result=result)


@pytest.mark.parametrize("kind", list(HealthCheckType))
def test_the_kind_of_health_check_is_asked_for(kind: HealthCheckType, facade: Schema) -> None:
    """PING, DEFAULT and DEEP arrive as they were sent; nothing said is DEFAULT (monitoring/v1)."""
    element = _travelled(write_request(HealthCheck(type=kind), door=Door.FACADE))
    facade.validate(element)
    assert read_request(element) == HealthCheck(type=kind)
    del element.attrib["type"]
    facade.validate(element)
    assert read_request(element) == HealthCheck(type=HealthCheckType.DEFAULT)


def test_a_test_message_is_a_ping_and_comes_back(ksz: Schema, ksz_messages: dict[str, str]) -> None:
    """KSZ's sendTestMessage reads as a PING, and its text comes back with our ticket."""
    question = etree.fromstring(ksz_messages["sendTestMessageRequest"])
    assert ksz.operation_of(question) is Operation.HEALTH_CHECK
    assert read_request(question) == HealthCheck(type=HealthCheckType.PING)
    result = HealthCheckResult(health=Health.OK, component="a", location="b")
    answer = _travelled(write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT))
    ksz.validate_response(answer)
    assert answer.findtext("echo") == "hello"
    assert read_response(answer).information_cbss == CBSS
    asked = _travelled(write_request(HealthCheck(), door=Door.KSZ))
    ksz.validate(asked)
    assert read_request(asked) == HealthCheck(type=HealthCheckType.PING)


# what the wire must show


def _shape(element: etree._Element) -> list[object]:
    return [child.tag if not len(child) else {child.tag: _shape(child)} for child in element]


FULL_LINE = Inscription(
    inscription_context=InscriptionContext("PCSA:LIVING_WAGE"),
    period=Period(begin_date=date(2020, 1, 1), end_date=date(2020, 12, 31)),
    organization=CustomerIdentification(cbe_number="0206731645"),
    last_change=datetime(2020, 1, 2, 3, 4, 5, 678_999, tzinfo=timezone(timedelta(hours=1))),
)
FULL_ANSWER = SsinAnswer(current=Ssin.parse("85073003328"), replaces=Ssin.parse("72020290081"), canceled=True)
FULL_INFORMATION = (Information(field_name="ssin", field_value="x"),)
LINES_SHAPE = {
    "inscriptions": [
        {
            "inscription": [
                "inscriptionContext",
                {"period": ["beginDate", "endDate"]},
                {"organization": ["cbeNumber"]},
                "lastChange",
            ]
        }
    ]
}
STATUS_SHAPE = {"status": ["value", "code", "description", {"information": ["fieldName", "fieldValue"]}]}
DETAIL_SHAPE = [
    {"detail": ["severity", "reasonCode", "diagnostic", "authorCode", {"information": ["fieldName", "fieldValue"]}]}
]
CBSS_SHAPE = {"informationCBSS": ["ticketCBSS", "timestampReceive", "timestampReply"]}


def test_a_consultation_answers_in_the_order_of_the_contract(facade: Schema, facade_messages: dict[str, str]) -> None:
    """Customer, CBSS, legal context, criteria, status, ssin, data filters, lines, next: golden order."""
    result = ConsultResult(
        status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS, information=FULL_INFORMATION),
        ssin=FULL_ANSWER,
        data_filters=("organization",),
        inscriptions=(FULL_LINE,),
        next="b3BhcXVl",
    )
    question = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
    answer = write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT)
    assert _shape(answer) == [
        {"informationCustomer": ["ticket", "timestampSent", {"customerIdentification": ["sector", "institution"]}]},
        CBSS_SHAPE,
        "legalContext",
        {
            "criteria": [
                "ssin",
                "inscriptionContext",
                "inscriptionContext",
                {"period": ["beginDate", "endDate"]},
                "next",
            ]
        },
        STATUS_SHAPE,
        "ssin",
        {"dataFilters": ["filteredElement"]},
        LINES_SHAPE,
        "next",
    ]
    ssin = answer.find("ssin")
    assert ssin is not None
    assert (ssin.text, dict(ssin.attrib)) == ("85073003328", {"canceled": "true", "replaces": "72020290081"})
    facade.validate_response(answer)


@pytest.mark.parametrize("message", ["InsertInscription", "UpdateInscription", "DeleteInscription"])
def test_a_declaration_answers_in_the_order_of_the_contract(
    facade: Schema, facade_messages: dict[str, str], message: str
) -> None:
    """Customer, CBSS, legal context, declaration, status, ssin, validation errors, anomalies, lines: golden order."""
    result = WriteResult(
        status=Status(value=StatusValue.NOK, code=OutcomeCode.LEGAL_DATA_MISMATCH, information=FULL_INFORMATION),
        ssin=FULL_ANSWER,
        validation_errors=(Anomaly(code=OutcomeCode.LEGAL_DATA_MISMATCH, information=FULL_INFORMATION),),
        anomalies=(Anomaly(code=OutcomeCode.SSIN_REPLACED, information=FULL_INFORMATION),),
        inscriptions=(FULL_LINE,),
    )
    question = etree.fromstring(facade_messages[f"{message}Request"])
    answer = write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT)
    shape = _shape(answer)
    assert shape[1:3] == [CBSS_SHAPE, "legalContext"]
    assert shape[3] == {"declaration": _shape(question)[3]["declaration"]}  # type: ignore[index]  # a list of both
    assert shape[4:] == [
        STATUS_SHAPE,
        "ssin",
        {"validationErrors": DETAIL_SHAPE},
        {"anomalies": DETAIL_SHAPE},
        LINES_SHAPE,
    ]
    facade.validate_response(answer)


def test_texts_and_severities_are_the_catalogue_s_english(facade_messages: dict[str, str]) -> None:
    """Description and diagnostic are English by default, the severity that of the code (contract.md section 4)."""
    question = etree.fromstring(facade_messages["InsertInscriptionRequest"])
    for code in OutcomeCode:
        result = WriteResult(status=Status(value=StatusValue.OK, code=code), anomalies=(Anomaly(code=code),))
        answer = write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT)
        assert answer.findtext("status/description") == CATALOGUE[code].texts["en"]
        assert answer.findtext("anomalies/detail/diagnostic") == CATALOGUE[code].texts["en"]
        assert answer.findtext("anomalies/detail/severity") == CATALOGUE[code].severity
        assert answer.findtext("anomalies/detail/authorCode") in ("CBSSInscription", "InscriptionService")


def _leaves(element: etree._Element) -> list[tuple[str, str]]:
    return [(str(child.tag), child.text or "") for child in element.iter() if not len(child)]


def test_rule_49_the_request_is_echoed_text_for_text(facade: Schema) -> None:
    """Ticket, timestamp and dates come back exactly as they were spelled: offsets, decimals, zones, case (rule 49)."""
    question = etree.fromstring("""
<q:InsertInscriptionRequest xmlns:q="http://socialsecurity.be/cbssinscription/v1">
  <informationCustomer>
    <ticket> NOT-a-uuid, with 36 characters: é\t&#13;</ticket>
    <timestampSent>2026-03-01T10:20:30.123456789+13:59</timestampSent>
    <customerIdentification><sector>+017</sector><institution> 1 </institution></customerIdentification>
  </informationCustomer>
  <legalContext>A&#45;</legalContext>
  <declaration>
    <ssin><![CDATA[85073003328]]></ssin>
    <inscription><inscriptionContext>AB</inscriptionContext>
      <period><beginDate>2020-01-01-14:00</beginDate><endDate>2020-12-31Z</endDate></period></inscription>
    <legalData><birth><birthDate>
      1985-00-00 </birthDate></birth></legalData>
  </declaration>
</q:InsertInscriptionRequest>""")
    facade.validate(question)
    result = WriteResult(status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS))
    answer = _travelled(write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT))
    facade.validate_response(answer)
    for name in ("informationCustomer", "legalContext", "declaration"):
        asked, answered = question.find(name), answer.find(name)
        assert asked is not None
        assert answered is not None
        assert _leaves(answered) == _leaves(asked)
    request = read_request(question)
    assert isinstance(request, InsertInscription)
    assert request.information_customer.customer_identification == CustomerIdentification(sector=17, institution=1)
    assert request.information_customer.timestamp_sent == datetime(2026, 2, 28, 20, 21, 30, 123456, tzinfo=UTC)
    assert request.period == GivenPeriod(begin_date=date(2020, 1, 1), end_date=date(2020, 12, 31))


def test_the_echo_brings_no_attribute_of_the_sender(facade: Schema, facade_messages: dict[str, str]) -> None:
    """Attributes of xsi, which the schema lets any element carry, are not repeated: a prefix would lose its meaning."""
    question = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
    criteria = question.find("criteria")
    assert criteria is not None
    criteria.set("{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", "urn:x http://127.0.0.1/x.xsd")
    facade.validate(question)
    result = ConsultResult(status=Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA))
    answer = write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT)
    assert b"127.0.0.1" not in etree.tostring(answer)
    assert b"instance" not in etree.tostring(answer)


def test_the_caller_s_cbss_block_is_replaced_by_ours(facade_messages: dict[str, str]) -> None:
    """A response has one informationCBSS, and it is the service's own."""
    question = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
    sent = question.find("informationCBSS/ticketCBSS")
    assert sent is not None
    sent.text = "00000000-0000-0000-0000-000000000000"
    result = ConsultResult(status=Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA))
    answer = write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT)
    assert [found.text for found in answer.iter("ticketCBSS")] == [str(CBSS.ticket_cbss)]


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 1, 9, 20, 31, tzinfo=UTC), "2026-03-01T09:20:31.000Z"),
        (datetime(2026, 3, 1, 9, 20, 31, 999_999, tzinfo=UTC), "2026-03-01T09:20:31.999Z"),
        (datetime(2026, 3, 1, 0, 20, tzinfo=timezone(timedelta(hours=2))), "2026-02-28T22:20:00.000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_our_moments_are_utc_with_three_decimals(moment: datetime, text: str) -> None:
    """Our own timestamps are UTC with `Z` and at most three decimals (contract.md section 3)."""
    assert timestamp(moment) == text


def test_a_moment_without_zone_is_never_written() -> None:
    """A moment whose zone is not known is a mistake of ours, not a guess on the wire."""
    with pytest.raises(ValueError, match="time zone"):
        timestamp(datetime(2026, 3, 1))


def test_lists_and_values_of_an_answer_end_at_their_limits(facade: Schema, facade_messages: dict[str, str]) -> None:
    """Too many details or fields are left out and too long values cut, so that an answer is valid whatever it tells."""
    many = tuple(
        Information(field_name="n" * (FIELD_NAME_CHARS_MAX + 1), field_value="é" * (FIELD_VALUE_CHARS_MAX + 1))
        for _ in range(INFORMATION_MAX + 1)
    )
    anomaly = Anomaly(code=OutcomeCode.CONTENT_INVALID, information=many)
    result = WriteResult(
        status=Status(value=StatusValue.NOK, code=OutcomeCode.CONTENT_INVALID, information=many),
        validation_errors=(anomaly,) * (DETAILS_MAX + 1),
        anomalies=(anomaly,) * (DETAILS_MAX + 1),
    )
    question = etree.fromstring(facade_messages["InsertInscriptionRequest"])
    answer = write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT)
    facade.validate_response(answer)
    assert len(answer.findall("anomalies/detail")) == DETAILS_MAX
    assert len(answer.findall("status/information")) == INFORMATION_MAX


@pytest.mark.parametrize("hostile", ["a\0b", "a\x1bb", "\ud800", "\ufffe"])
def test_sec_67_characters_that_xml_does_not_know_are_refused(facade_messages: dict[str, str], hostile: str) -> None:
    """Control characters and lone surrogates from behind never reach the wire, nor break it (SEC-67)."""
    question = etree.fromstring(facade_messages["InsertInscriptionRequest"])
    result = WriteResult(
        status=Status(
            value=StatusValue.NOK,
            code=OutcomeCode.CONTENT_INVALID,
            information=(Information(field_name="ssin", field_value=hostile),),
        )
    )
    with pytest.raises(ValueError):
        write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT)


def test_sec_67_markup_in_a_value_stays_text(facade: Schema, facade_messages: dict[str, str]) -> None:
    """What looks like XML in a value is escaped and comes back as it was (SEC-67)."""
    question = etree.fromstring(facade_messages["InsertInscriptionRequest"])
    value = "</fieldValue><x a='1'>&amp;]]><!-- -->"
    status = Status(
        value=StatusValue.NOK,
        code=OutcomeCode.CONTENT_INVALID,
        information=(Information(field_name="lastName", field_value=value),),
    )
    answer = _travelled(
        write_response(question, WriteResult(status=status), information_cbss=CBSS, deployment=DEPLOYMENT)
    )
    facade.validate_response(answer)
    assert read_response(answer).result == WriteResult(status=status)


@pytest.mark.parametrize("code", [OutcomeCode.INTERNAL_ERROR, OutcomeCode.TEMPORARILY_NOT_AVAILABLE])
def test_a_fault_of_the_ksz_door_can_be_written_of_these_parts(ksz: Schema, code: OutcomeCode) -> None:
    """Our block informationCBSS and one detail make a valid `<operation>Fault` of every operation."""
    for operation in Door.KSZ.requests.values():
        fault = etree.Element(Door.KSZ.fault_element(operation))
        write_information_cbss(fault, CBSS)
        write_message(fault, "detail", code)
        ksz.validate_fault(fault)


# what is refused in reading


@pytest.mark.parametrize(
    ("message", "path", "text"),
    [
        ("InsertInscriptionRequest", "declaration/legalData/birth/birthDate", "1985-00-30"),
        ("InsertInscriptionRequest", "declaration/legalData/birth/birthDate", "1985-13-01"),
        ("InsertInscriptionRequest", "declaration/legalData/birth/birthDate", "1985-02-30"),
        ("InsertInscriptionRequest", "declaration/legalData/birth/birthDate", "0000-01-01"),
        ("InsertInscriptionRequest", "declaration/inscription/period/beginDate", "12020-01-01"),
        ("InsertInscriptionRequest", "declaration/inscription/period/endDate", "-2020-01-01"),
        ("UpdateInscriptionRequest", "declaration/newPeriod/beginDate", "12020-01-01Z"),
        ("DeleteInscriptionRequest", "declaration/period/endDate", "12020-01-01Z"),
        ("ConsultInscriptionsRequest", "informationCustomer/timestampSent", "12020-01-01T00:00:00Z"),
        ("ConsultInscriptionsRequest", "informationCustomer/timestampSent", "-2020-01-01T00:00:00Z"),
        ("ConsultInscriptionsRequest", "informationCustomer/timestampSent", "0001-01-01T00:00:00+14:00"),
        ("ConsultInscriptionsRequest", "informationCustomer/timestampSent", "9999-12-31T24:00:00Z"),
    ],
)
def test_rule_24_valid_texts_that_no_calendar_has_are_content_violations(
    facade: Schema, facade_messages: dict[str, str], message: str, path: str, text: str
) -> None:
    """A day without month, or a year beyond the calendar, passes the schema and is SOA-03007, without its value."""
    element = etree.fromstring(facade_messages[message])
    target = element.find(path)
    assert target is not None
    target.text = text
    facade.validate(element)
    with pytest.raises(ContentViolation) as caught:
        read_request(element)
    assert caught.value.code == "SOA-03007"
    assert text not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T10:20:30", datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2026-03-01T10:20:30Z", datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2026-03-01T10:20:30-05:00", datetime(2026, 3, 1, 15, 20, 30, tzinfo=UTC)),
        ("2026-03-01T10:20:30.5", datetime(2026, 3, 1, 10, 20, 30, 500_000, tzinfo=UTC)),
        ("2026-03-01T10:20:30.123456789Z", datetime(2026, 3, 1, 10, 20, 30, 123456, tzinfo=UTC)),
        ("2026-02-28T24:00:00Z", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-02-28T24:00:00.000+01:00", datetime(2026, 2, 28, 23, tzinfo=UTC)),
    ],
)
def test_every_spelling_of_a_moment_is_read(
    facade: Schema, facade_messages: dict[str, str], text: str, moment: datetime
) -> None:
    """Offsets, many decimals and the hour 24 are understood; a moment without zone is UTC."""
    element = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
    target = element.find("informationCustomer/timestampSent")
    assert target is not None
    target.text = text
    facade.validate(element)
    request = read_request(element)
    assert isinstance(request, ConsultInscriptions)
    assert request.information_customer.timestamp_sent == moment


def test_a_moment_without_zone_does_not_depend_on_the_machine(
    facade_messages: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moment without zone is UTC, wherever the service runs."""
    element = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
    target = element.find("informationCustomer/timestampSent")
    assert target is not None
    target.text = "2026-07-01T10:20:30"
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "XXX-05:30")
        time.tzset()
        request = read_request(element)
    time.tzset()
    assert isinstance(request, ConsultInscriptions)
    assert request.information_customer.timestamp_sent == datetime(2026, 7, 1, 10, 20, 30, tzinfo=UTC)


@steady
@given(st.from_regex(r"[0-2][0-9]{3}-[0-1][0-9]-[0-3][0-9]", fullmatch=True))
def test_rule_24_incomplete_dates_are_the_domain_s(text: str) -> None:
    """What the type lets pass is read as the domain reads it, or refused as content (rule 24)."""
    text = "".join(str(int(character)) if character.isdigit() else character for character in text)
    question = write_request(
        InsertInscription(
            information_customer=InformationCustomer(
                customer_identification=CustomerIdentification(cbe_number="0206731645")
            ),
            legal_context=LegalContext("AB"),
            ssin=CANARY,
            inscription_context=InscriptionContext("AB"),
            period=GivenPeriod(begin_date=date(2020, 1, 1)),
            legal_data=LegalData(birth_date=IncompleteDate(1985, 7, 30)),
        ),
        door=Door.KSZ,
    )
    target = question.find("declaration/legalData/birth/birthDate")
    assert target is not None
    target.text = text
    schema_of(Door.KSZ).validate(question)
    try:
        expected = IncompleteDate.parse(text)
    except InvalidDate:
        with pytest.raises(ContentViolation):
            read_request(question)
        return
    request = read_request(question)
    assert isinstance(request, InsertInscription)
    assert request.legal_data == LegalData(birth_date=expected)


def test_an_empty_ticket_is_no_ticket(facade: Schema, facade_messages: dict[str, str]) -> None:
    """A ticket without characters identifies nothing, so that two of them are never taken for one message (rule 38)."""
    element = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
    ticket = element.find("informationCustomer/ticket")
    assert ticket is not None
    ticket.text = ""
    facade.validate(element)
    request = read_request(element)
    assert isinstance(request, ConsultInscriptions)
    assert request.information_customer.ticket is None


@pytest.mark.parametrize("digit", ["\u0663", "\u096a", "\uff13"])
def test_rule_1_digits_of_other_scripts_are_refused(
    facade: Schema, facade_messages: dict[str, str], digit: str
) -> None:
    """The pattern of a CBE number lets them pass, the domain does not (rule 1)."""
    text = facade_messages["ConsultInscriptionsRequest"].replace(
        "<sector>17</sector><institution>1</institution>", f"<cbeNumber>020673164{digit}</cbeNumber>"
    )
    element = etree.fromstring(text)
    facade.validate(element)
    with pytest.raises(ContentViolation):
        read_request(element)


def test_a_value_is_read_whole_or_not_at_all(facade: Schema, facade_messages: dict[str, str]) -> None:
    """A comment in a value, where the schema sees the whole and a reader half, is refused (A8 of security.md)."""
    text = facade_messages["ConsultInscriptionsRequest"].replace("85073003328", "85073003<!-- -->328")
    element = etree.fromstring(text)
    facade.validate(element)
    with pytest.raises(ContentViolation):
        read_request(element)


def test_a_comment_between_elements_changes_nothing(facade: Schema, facade_messages: dict[str, str]) -> None:
    """A comment beside elements, which the KSZ door may let pass, is neither read nor echoed."""
    for name, text in facade_messages.items():
        if name.endswith("Request") and name != "HealthCheckRequest":
            commented = etree.fromstring(text.replace("<ssin>", f"<!-- {CANARY} --><ssin>"))
            facade.validate(commented)
            assert read_request(commented) == read_request(etree.fromstring(text))
            consulted = ConsultResult(status=Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA))
            written = WriteResult(status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS))
            answer = write_response(
                commented,
                consulted if name.startswith("Consult") else written,
                information_cbss=CBSS,
                deployment=DEPLOYMENT,
            )
            facade.validate_response(answer)
            assert b"<!--" not in etree.tostring(answer)


def test_a_request_is_read_from_within_a_body(facade: Schema, facade_messages: dict[str, str]) -> None:
    """The element may stand in the Body that was signed; its surroundings do not matter."""
    for name, text in facade_messages.items():
        if name.endswith("Request"):
            body = etree.fromstring(f'<s:Body xmlns:s="{names.SOAP11}" Id="x">{text}</s:Body>')
            facade.validate(body[0])
            assert read_request(body[0]) == read_request(etree.fromstring(text))


def test_what_is_no_request_or_response_is_refused(facade_messages: dict[str, str]) -> None:
    """A response is no request and a request no response; an unknown element is neither."""
    with pytest.raises(WsdlViolation):
        read_request(etree.fromstring(facade_messages["ConsultInscriptionsResponse"]))
    with pytest.raises(WsdlViolation):
        read_response(etree.fromstring(facade_messages["ConsultInscriptionsRequest"]))
    with pytest.raises(KeyError):
        response_element_of("x")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("status/code", "MSG99999"),
        ("anomalies/detail/reasonCode", "XYZ"),
        ("ssin", "85073003327"),
        ("inscriptions/inscription/period/endDate", "2019-12-31"),
        ("inscriptions/inscription/lastChange", "12020-01-01T00:00:00Z"),
    ],
)
def test_a_response_that_cannot_be_understood_is_refused(
    ksz: Schema, ksz_messages: dict[str, str], path: str, text: str
) -> None:
    """A code, number or period that makes no sense is not passed on, and not repeated in the refusal."""
    root = etree.fromstring(ksz_messages["insertInscriptionResponse"])
    for detail in root.iter("reasonCode", "code"):
        detail.text = "MSG00000"
    ssin = root.find("ssin")
    assert ssin is not None
    ssin.text = CANARY
    ksz.validate_response(root)
    read_response(root)
    target = root.find(path)
    assert target is not None
    target.text = text
    ksz.validate_response(root)
    with pytest.raises(ContentViolation) as caught:
        read_response(root)
    assert text not in "".join(traceback.format_exception(caught.value))


# what is refused in writing


def test_what_the_contract_has_no_place_for_is_not_written() -> None:
    """A period without begin where one is due, and given names without last name, are told to who gave them."""
    head: dict[str, Any] = {
        "information_customer": InformationCustomer(
            customer_identification=CustomerIdentification(cbe_number="0206731645")
        ),
        "legal_context": LegalContext("AB"),
        "ssin": CANARY,
    }
    context, endless = InscriptionContext("AB"), GivenPeriod(begin_date=None, end_date=date(2020, 1, 1))
    whole = GivenPeriod(begin_date=date(2020, 1, 1))
    refused: list[Request] = [
        ConsultInscriptions(**head, period=endless),
        InsertInscription(**head, inscription_context=context, period=endless),
        UpdateInscription(**head, inscription_context=context, period=whole, new_period=endless),
        InsertInscription(
            **head, inscription_context=context, period=whole, legal_data=LegalData(given_names=("Anna",))
        ),
    ]
    for request in refused:
        for door in INSCRIPTION_DOORS:
            with pytest.raises(UsageError):
                write_request(request, door=door)


def test_an_unknown_environment_is_told_at_the_start() -> None:
    """A deployment that monitoring/v1 has no word for is refused before any message."""
    with pytest.raises(UsageError):
        Deployment(version="1", environment="PROD")
