"""The messages of the mutation feed: there and back, their limits, and that a full page can be read (our contract)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription.client.call import REPLY_BYTES_MAX, REPLY_ELEMENTS_MAX
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.read import Response, read_request, read_response
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.contract.write import Deployment, write_request, write_response
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss, InformationCustomer
from cbss_inscription.domain.errors import ContentViolation, SchemaViolation
from cbss_inscription.domain.inscription import CONTEXT_LENGTH_MAX, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.mutation import MUTATIONS_MAX, Mutation
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultMutations
from cbss_inscription.domain.results import MutationsResult, Status, StatusValue
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.envelope.soap11 import write_envelope
from cbss_inscription.usecases.consult_mutations import CONTEXTS_MAX

CBSS = InformationCbss(
    ticket_cbss=UUID("1b1b6828-71a6-49b6-a543-7edc975d54c3"),
    timestamp_receive=datetime(2026, 3, 1, 9, 20, 31, tzinfo=UTC),
    timestamp_reply=datetime(2026, 3, 1, 9, 20, 31, 20_000, tzinfo=UTC),
)
DEPLOYMENT = Deployment(version="1.2.3", environment="TST")
HEAD: dict[str, Any] = {
    "information_customer": InformationCustomer(
        customer_identification=CustomerIdentification(sector=17, institution=1), ticket="T"
    ),
    "legal_context": LegalContext("PCSA:SOCIAL_INQUIRY"),
}
NUMBER_MAX = 999_999_999_999_999_999
SSINS = st.sampled_from(["85073003328", "72020290081"]).map(Ssin.parse)
steady = settings(deadline=None)
numbers = st.integers(min_value=0, max_value=NUMBER_MAX)
contexts = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_:+ ]{0,62}[a-zA-Z0-9_:+]", fullmatch=True).map(InscriptionContext)
moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
mutations = st.builds(
    Mutation,
    sequence_number=numbers,
    event=st.sampled_from([event for event in LifeEvent if event is not LifeEvent.CREATED]),
    ssin=SSINS,
    current_ssin=SSINS,
    inscription_contexts=st.lists(contexts, min_size=1, max_size=4).map(tuple),
    recorded_at=moments,
)
pages = st.builds(
    MutationsResult,
    status=st.builds(
        Status,
        value=st.sampled_from([StatusValue.DATA_FOUND, StatusValue.NO_DATA_FOUND, StatusValue.NO_RESULT]),
        code=st.sampled_from(OutcomeCode),
    ),
    mutations=st.lists(mutations, max_size=4).map(tuple),
    last_sequence_number=numbers,
    more=st.booleans(),
)
requests = st.builds(
    ConsultMutations,
    information_customer=st.just(HEAD["information_customer"]),
    legal_context=st.just(HEAD["legal_context"]),
    after_sequence_number=numbers,
    limit=st.integers(1, MUTATIONS_MAX),
)


def _travelled(element: etree._Element) -> etree._Element:
    return etree.fromstring(etree.tostring(element))


def _answered(request: ConsultMutations, result: MutationsResult) -> etree._Element:
    question = _travelled(write_request(request, door=Door.MUTATIONS))
    return write_response(question, result, information_cbss=CBSS, deployment=DEPLOYMENT)


@steady
@given(requests)
def test_a_question_for_mutations_comes_back_as_it_was_written(request: ConsultMutations) -> None:
    """Every place in the feed and every limit is written as a valid element and reads as the same request."""
    element = _travelled(write_request(request, door=Door.MUTATIONS))
    schema_of(Door.MUTATIONS).validate(element)
    assert read_request(element) == request


@steady
@given(requests, pages)
def test_a_page_of_mutations_comes_back_as_it_was_written(request: ConsultMutations, page: MutationsResult) -> None:
    """Every page is written as a valid response, and reads as the same page with the echo."""
    answer = _travelled(_answered(request, page))
    schema_of(Door.MUTATIONS).validate_response(answer)
    assert read_response(answer) == Response(
        result=page, information_customer=request.information_customer, information_cbss=CBSS, asked=request
    )


def test_absent_criteria_mean_the_first_page_as_large_as_can_be() -> None:
    """No place is the beginning of the feed, no limit is 1 000."""
    element = write_request(ConsultMutations(**HEAD), door=Door.MUTATIONS)
    criteria = element.find("criteria")
    assert criteria is not None
    for child in list(criteria):
        criteria.remove(child)
    schema_of(Door.MUTATIONS).validate(element)
    assert read_request(element) == ConsultMutations(**HEAD, after_sequence_number=0, limit=1_000)


@pytest.mark.parametrize(
    ("field", "text", "valid"),
    [
        ("limit", "0", False),
        ("limit", "1", True),
        ("limit", "1000", True),
        ("limit", "1001", False),
        ("limit", "-1", False),
        ("limit", "", False),
        ("limit", "1.0", False),
        ("afterSequenceNumber", "-1", False),
        ("afterSequenceNumber", "0", True),
        ("afterSequenceNumber", str(NUMBER_MAX), True),
        ("afterSequenceNumber", str(NUMBER_MAX + 1), False),
        ("afterSequenceNumber", "9" * 30, False),
        ("afterSequenceNumber", "\u0661", False),
    ],
)
def test_limits_of_the_criteria(field: str, text: str, valid: bool) -> None:
    """A page has 1 to 1 000 mutations; a place is a number from 0 with at most 18 digits."""
    element = write_request(ConsultMutations(**HEAD, after_sequence_number=1), door=Door.MUTATIONS)
    child = element.find(f"criteria/{field}")
    assert child is not None
    child.text = text
    if valid:
        schema_of(Door.MUTATIONS).validate(element)
        read_request(element)
    else:
        with pytest.raises(SchemaViolation) as caught:
            schema_of(Door.MUTATIONS).validate(element)
        assert all(path.startswith(f"ConsultMutationsRequest/criteria/{field}: ") for path in caught.value.paths)


@pytest.mark.parametrize(("spelled", "number"), [(" 17 ", 17), ("+17", 17), ("0017", 17), ("-0", 0)])
def test_a_number_may_be_spelled_as_xml_schema_allows(spelled: str, number: int) -> None:
    """Blanks, a sign and leading zeros make no other number, and come back as they were sent."""
    element = write_request(ConsultMutations(**HEAD, after_sequence_number=1), door=Door.MUTATIONS)
    child = element.find("criteria/afterSequenceNumber")
    assert child is not None
    child.text = spelled
    schema_of(Door.MUTATIONS).validate(element)
    request = read_request(element)
    assert isinstance(request, ConsultMutations)
    assert request.after_sequence_number == number
    page = MutationsResult(status=Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA))
    answer = write_response(element, page, information_cbss=CBSS, deployment=DEPLOYMENT)
    schema_of(Door.MUTATIONS).validate_response(answer)
    assert answer.findtext("criteria/afterSequenceNumber") == spelled


def test_thousands_of_leading_zeros_are_refused() -> None:
    """What the schema takes for a number and Python does not is the sender's fault, not a defect of ours."""
    element = write_request(ConsultMutations(**HEAD, after_sequence_number=1), door=Door.MUTATIONS)
    child = element.find("criteria/afterSequenceNumber")
    assert child is not None
    child.text = "0" * 5_000 + "1"
    schema_of(Door.MUTATIONS).validate(element)
    with pytest.raises(ContentViolation):
        read_request(element)


def _mutation(number: int, named: tuple[InscriptionContext, ...]) -> Mutation:
    ssin = Ssin.parse("85073003328")
    return Mutation(
        sequence_number=NUMBER_MAX - number,
        event=LifeEvent.CORRECTED,
        ssin=ssin,
        current_ssin=ssin,
        inscription_contexts=named,
        recorded_at=CBSS.timestamp_reply,
    )


def test_the_largest_page_fits_what_a_client_reads() -> None:
    """1 000 mutations with as many contexts as a page may name, each as long as can be, stay below the reply limits."""
    named = tuple(
        InscriptionContext(f"{number:04d}{'X' * (CONTEXT_LENGTH_MAX - 4)}")
        for number in range(CONTEXTS_MAX // MUTATIONS_MAX)
    )
    page = MutationsResult(
        status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS),
        mutations=tuple(_mutation(number, named) for number in range(MUTATIONS_MAX)),
        last_sequence_number=NUMBER_MAX,
        more=True,
    )
    answer = _answered(ConsultMutations(**HEAD), page)
    schema_of(Door.MUTATIONS).validate_response(answer)
    assert len(write_envelope(answer)) < REPLY_BYTES_MAX * 0.8
    assert sum(1 for _ in answer.iter()) < REPLY_ELEMENTS_MAX * 0.8
    answer_mutations = answer.find("mutations")
    assert answer_mutations is not None
    answer_mutations.append(_travelled(answer_mutations[0]))
    with pytest.raises(SchemaViolation):
        schema_of(Door.MUTATIONS).validate_response(answer)


def test_a_page_answers_in_the_order_of_the_contract() -> None:
    """Customer, CBSS, legal context, criteria, status, mutations, last number, more: golden order."""
    page = MutationsResult(
        status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS),
        mutations=(_mutation(0, (InscriptionContext("PCSA:LIVING_WAGE"),)),),
        last_sequence_number=7,
        more=False,
    )
    answer = _answered(ConsultMutations(**HEAD, after_sequence_number=3), page)
    assert answer.tag == "{urn:cbss-inscription:mutations:v1}ConsultMutationsResponse"
    assert [child.tag for child in answer] == [
        "informationCustomer",
        "informationCBSS",
        "legalContext",
        "criteria",
        "status",
        "mutations",
        "lastSequenceNumber",
        "more",
    ]
    assert [(child.tag, child.text) for child in answer.iterfind("mutations/mutation/*")] == [
        ("sequenceNumber", str(NUMBER_MAX)),
        ("event", "corrected"),
        ("ssin", "85073003328"),
        ("currentSsin", "85073003328"),
        ("inscriptionContext", "PCSA:LIVING_WAGE"),
        ("timestamp", "2026-03-01T09:20:31.020Z"),
    ]


def test_the_reasons_of_a_mutation_are_those_of_the_contract() -> None:
    """The schema's words are the events that are told: all but `created`, of which nobody can have heard yet."""
    for event in LifeEvent:
        page = MutationsResult(
            status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS),
            mutations=(_mutation(0, (InscriptionContext("PCSA:LIVING_WAGE"),)),),
        )
        answer = _answered(ConsultMutations(**HEAD), page)
        told = answer.find("mutations/mutation/event")
        assert told is not None
        told.text = event
        if event is LifeEvent.CREATED:
            with pytest.raises(SchemaViolation):
                schema_of(Door.MUTATIONS).validate_response(answer)
        else:
            schema_of(Door.MUTATIONS).validate_response(answer)
