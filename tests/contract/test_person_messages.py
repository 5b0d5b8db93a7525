"""The messages of PersonService: there and back, what is no file, and that the largest answers can be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription.client.call import REPLY_BYTES_MAX, REPLY_ELEMENTS_MAX
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.ksz_fault import write_ksz_fault
from cbss_inscription.contract.read import Response, read_request, read_response
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.contract.write import Deployment, write_request, write_response
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss, InformationCustomer
from cbss_inscription.domain.errors import (
    CbssInscriptionError,
    ContentViolation,
    NotAuthorized,
    SchemaViolation,
    TemporarilyUnavailable,
)
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import FileStatus, Gender, Person, Register
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.person_search import (
    CANDIDATES_MAX,
    SSINS_MAX,
    GivenNameMode,
    PersonRequest,
    PhoneticCriteria,
    SearchPersonBySsin,
    SearchPersonPhonetically,
)
from cbss_inscription.domain.requests import operation_of
from cbss_inscription.domain.results import PersonsResult, Status, StatusValue
from cbss_inscription.domain.ssin import Series, Ssin, check_digits
from cbss_inscription.envelope.fault import Fault
from cbss_inscription.envelope.soap11 import write_envelope
from cbss_inscription.registers.resolution import HOPS_MAX
from cbss_inscription.safe_xml import parse
from cbss_inscription.xml_limits import XmlLimits

CBSS = InformationCbss(
    ticket_cbss=UUID("1b1b6828-71a6-49b6-a543-7edc975d54c3"),
    timestamp_receive=datetime(2026, 3, 1, 9, 20, 31, tzinfo=UTC),
    timestamp_reply=datetime(2026, 3, 1, 9, 20, 31, 20_000, tzinfo=UTC),
)
DEPLOYMENT = Deployment(version="1.2.3", environment="TST")
HEAD: dict[str, Any] = {
    "information_customer": InformationCustomer(
        customer_identification=CustomerIdentification(sector=25, institution=0), ticket="T"
    ),
    "legal_context": LegalContext("REPERTORY:IDENTIFICATION"),
}
FILES_MAX = HOPS_MAX + 2
"""Files of a chain of which one sees that it is too long (`PersonRegister.chain_of`)."""
FOUND = Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)
steady = settings(deadline=None)


def number(sequence: int, *, month: int = 7) -> Ssin:
    """A number of somebody born in 1985; with month + 20 or + 40 a BIS number."""
    nine = f"85{month:02d}30{sequence:03d}"
    return Ssin.parse(nine + check_digits(nine, century=1900))


names = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=256,
)
ssins = st.builds(number, st.integers(1, 999), month=st.sampled_from([1, 12, 21, 32, 41, 52]))
incomplete_dates = st.one_of(
    st.dates(max_value=date(2999, 12, 31)).map(IncompleteDate.of_date),
    st.builds(IncompleteDate, st.integers(1, 2999), st.integers(0, 12), st.just(0)),
)


@st.composite
def persons(draw: st.DrawFn) -> Person:
    """A file of any register, in any state."""
    ssin = draw(ssins)
    register = draw(st.sampled_from([Register.NR, Register.RAD])) if ssin.series is Series.NR else Register.BIS
    status = draw(st.sampled_from(FileStatus))
    return Person(
        ssin=ssin,
        register=register,
        status=status,
        replaced_by=draw(ssins) if status is FileStatus.REPLACED else None,
        last_name=draw(names),
        given_names=tuple(draw(st.lists(names, max_size=14))),
        birth_date=draw(st.none() | incomplete_dates),
        gender=draw(st.sampled_from(Gender)),
        decease_date=draw(st.none() | incomplete_dates),
        register_inception_date=draw(st.none() | st.dates()) if register is not Register.NR else None,
    )


statuses = st.builds(
    Status,
    value=st.sampled_from([StatusValue.DATA_FOUND, StatusValue.NO_DATA_FOUND, StatusValue.NO_RESULT]),
    code=st.sampled_from(OutcomeCode),
)
requests = st.one_of(
    st.builds(
        SearchPersonBySsin,
        **{name: st.just(value) for name, value in HEAD.items()},
        ssins=st.lists(ssins.map(lambda ssin: ssin.digits), min_size=1, max_size=SSINS_MAX).map(tuple),
    ),
    st.builds(
        SearchPersonPhonetically,
        **{name: st.just(value) for name, value in HEAD.items()},
        criteria=st.builds(
            PhoneticCriteria,
            last_name=names,
            given_names=st.lists(names, max_size=14).map(tuple),
            given_name_mode=st.sampled_from(GivenNameMode),
            birth_date=st.none() | incomplete_dates,
            gender=st.sampled_from(Gender),
        ),
    ),
)
results_by_ssin = st.lists(st.tuples(ssins, st.lists(persons(), max_size=3).map(tuple)), max_size=3).flatmap(
    lambda found: st.builds(
        PersonsResult,
        status=statuses,
        ssins=st.just(tuple(ssin for ssin, _ in found)),
        chains=st.just(tuple(chain for _, chain in found)),
    )
)
results_by_name = st.builds(
    PersonsResult, status=statuses, chains=st.lists(persons().map(lambda person: (person,)), max_size=3).map(tuple)
)
BY_SSIN = SearchPersonBySsin(**HEAD, ssins=(number(1).digits,))
BY_NAME = SearchPersonPhonetically(**HEAD, criteria=PhoneticCriteria(last_name="x"))


def _travelled(element: etree._Element) -> etree._Element:
    return etree.fromstring(etree.tostring(element))


def _validated_and_read(element: etree._Element) -> Response:
    schema_of(Door.PERSON).validate_response(element)
    return read_response(element)


def _response(request: PersonRequest, result: PersonsResult) -> etree._Element:
    asked = write_request(request, door=Door.PERSON)
    return write_response(asked, result, information_cbss=CBSS, deployment=DEPLOYMENT)


@steady
@given(requests)
def test_a_request_for_persons_comes_back_as_it_was_written(request: PersonRequest) -> None:
    """Every search is written as a valid element of the person door, and reads as the same search."""
    element = _travelled(write_request(request, door=Door.PERSON))
    schema_of(Door.PERSON).validate(element)
    assert schema_of(Door.PERSON).operation_of(element) is operation_of(request)
    assert read_request(element) == request


@steady
@given(st.one_of(st.tuples(st.just(BY_SSIN), results_by_ssin), st.tuples(st.just(BY_NAME), results_by_name)))
def test_files_come_back_as_they_were_written(exchange: tuple[PersonRequest, PersonsResult]) -> None:
    """Every answer is valid and reads as the same files: register, state, successor, dates (rules 12, 15)."""
    request, result = exchange
    element = _travelled(_response(request, result))
    schema_of(Door.PERSON).validate_response(element)
    assert read_response(element) == Response(
        result=result, information_customer=request.information_customer, information_cbss=CBSS, asked=request
    )


def test_criteria_left_out_are_those_that_compare_nothing(messages: dict[Door, dict[str, str]]) -> None:
    """A name alone asks for the first letter of the given name that is not there, every date and both sexes (EHC)."""
    element = etree.fromstring(messages[Door.PERSON]["searchPersonPhoneticallyRequest"])
    (criteria,) = element.iterchildren("criteria")
    for child in criteria[1:]:
        criteria.remove(child)
    request = read_request(element)
    assert isinstance(request, SearchPersonPhonetically)
    assert request.criteria == PhoneticCriteria(last_name="Peeters")


@pytest.mark.parametrize("count", [0, SSINS_MAX + 1])
def test_a_search_has_one_to_a_hundred_numbers(count: int) -> None:
    """None, and one more than the limit, are against the schema."""
    request = replace(BY_SSIN, ssins=(number(1).digits,) * count)
    with pytest.raises(SchemaViolation):
        schema_of(Door.PERSON).validate(write_request(request, door=Door.PERSON))


ACTIVE = Person(ssin=number(1), register=Register.NR, status=FileStatus.ACTIVE, last_name="Peeters")


@pytest.mark.parametrize(
    ("told", "untrue"),
    [
        ("<register>NR</register>", "<register>BIS</register>"),
        (f"<ssin>{number(1).digits}</ssin>", f"<ssin>{number(1).digits[:-2]}98</ssin>"),
        (f"<ssin>{number(1).digits}</ssin>", f'<ssin replacedBy="{number(2).digits[:-2]}00">{number(1).digits}</ssin>'),
        ("<gender>", "<birth><birthDate>1985-00-30</birthDate></birth><gender>"),
        ("</person>", "<registerInceptionDate>2001-02-03</registerInceptionDate></person>"),
    ],
)
def test_a_file_that_contradicts_itself_is_not_read(told: str, untrue: str) -> None:
    """A number of another series, wrong check digits, a day without month, an NR file taken in (rules 2, 12, 24)."""
    result = PersonsResult(status=FOUND, ssins=(number(1),), chains=((ACTIVE,),))
    text = etree.tostring(_response(BY_SSIN, result), encoding="unicode")
    assert told in text
    changed = etree.fromstring(
        text.replace(told, untrue, 1) if "ssin" not in told else untrue.join(text.rsplit(told, 1))
    )
    with pytest.raises((ContentViolation, SchemaViolation)) as caught:
        _validated_and_read(changed)
    assert number(1).digits not in str(caught.value)


def test_a_successor_alone_means_replaced() -> None:
    """A register that gives `replacedBy` without `canceled` says the same (rule 15)."""
    replaced = msgspec.structs.replace(ACTIVE, status=FileStatus.REPLACED, replaced_by=number(2))
    result = PersonsResult(status=FOUND, ssins=(number(1),), chains=((replaced,),))
    text = etree.tostring(_response(BY_SSIN, result), encoding="unicode")
    assert 'canceled="true" ' in text
    read = read_response(etree.fromstring(text.replace('canceled="true" ', "")))
    assert read.result == result


def _long_chain(first: int) -> tuple[Person, ...]:
    numbers = [number(sequence) for sequence in range(first, first + FILES_MAX + 1)]
    return tuple(
        Person(
            ssin=ssin,
            register=Register.NR,
            status=FileStatus.REPLACED,
            replaced_by=successor,
            last_name="Vandenbroucke-de la Tour d'Auvergne",
            given_names=("Maximiliaan-Alexander",) * 14,
            birth_date=IncompleteDate(1985, 7, 30),
            gender=Gender.FEMALE,
            decease_date=IncompleteDate(2020, 1, 1),
        )
        for ssin, successor in pairwise(numbers)
    )


def test_the_largest_answer_fits_what_a_client_reads() -> None:
    """A hundred numbers, each with the longest chain and as many given names as there can be, are read (SEC-68)."""
    chain = _long_chain(1)
    assert len(chain) == FILES_MAX
    result = PersonsResult(status=FOUND, ssins=(chain[0].ssin,) * SSINS_MAX, chains=(chain,) * SSINS_MAX)
    element = _response(replace(BY_SSIN, ssins=(chain[0].ssin.digits,) * SSINS_MAX), result)
    schema_of(Door.PERSON).validate_response(element)
    limits = XmlLimits(size_bytes_max=REPLY_BYTES_MAX, elements_max=REPLY_ELEMENTS_MAX)
    parse(write_envelope(element), charset="utf-8", limits=limits)


def test_more_than_the_contract_has_room_for_is_not_sent() -> None:
    """One file more in a chain, and one person more found by name, are against the schema (rules 16, 22)."""
    too_long = (*_long_chain(1), ACTIVE)
    wrong = (
        (BY_SSIN, PersonsResult(status=FOUND, ssins=(too_long[0].ssin,), chains=(too_long,))),
        (BY_NAME, PersonsResult(status=FOUND, chains=((ACTIVE,),) * (CANDIDATES_MAX + 1))),
        (BY_NAME, PersonsResult(status=FOUND, chains=((ACTIVE, ACTIVE),))),
    )
    for request, result in wrong:
        with pytest.raises(SchemaViolation):
            schema_of(Door.PERSON).validate_response(_response(request, result))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotAuthorized("no-access-rule"), "SOA-01002"),
        (TemporarilyUnavailable("database"), "MSG00003"),
        (None, "MSG00003"),
    ],
)
@pytest.mark.parametrize("request_", [BY_SSIN, BY_NAME])
def test_a_fault_of_the_person_door_is_ksz_s(
    error: CbssInscriptionError | None, code: str, request_: PersonRequest
) -> None:
    """Its detail is the operation's own, a CBSSFaultType with our ticket, valid against the schema (contract.md 4)."""
    fault = Fault.of(error, ticket=CBSS.ticket_cbss, environment="TST", contact=None)
    element = write_ksz_fault(fault, door=Door.PERSON, operation=operation_of(request_), information_cbss=CBSS)
    (detail,) = element.iterfind("detail/*")
    schema_of(Door.PERSON).validate_fault(detail)
    assert detail.findtext("detail/reasonCode") == code
    assert detail.findtext("detail/authorCode") == "PersonService"
    assert detail.findtext("informationCBSS/ticketCBSS") == str(CBSS.ticket_cbss)
