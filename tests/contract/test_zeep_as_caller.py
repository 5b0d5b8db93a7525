"""A foreign SOAP client made from the served description alone: what it sends we read, what we write it reads."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
import zeep
from lxml import etree
from msgspec.structs import replace
from zeep.transports import Transport

from cbss_inscription import names
from cbss_inscription.contract.door import INSCRIPTION_DOORS, Door
from cbss_inscription.contract.read import read_request
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.contract.write import Deployment, write_response
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss, InformationCustomer
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import FileStatus, Gender, LegalData, Person, Register
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.mutation import Mutation
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate, Period
from cbss_inscription.domain.person_search import PhoneticCriteria, SearchPersonBySsin, SearchPersonPhonetically
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    ConsultMutations,
    DeleteInscription,
    HealthCheck,
    HealthCheckType,
    InsertInscription,
    Operation,
    Request,
    UpdateInscription,
)
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    Health,
    HealthCheckResult,
    Information,
    MutationsResult,
    PersonsResult,
    Result,
    SanityCheck,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.soap.wsdl import WsdlDocuments

TICKET = UUID("1b1b6828-71a6-49b6-a543-7edc975d54c3")
RECEIVED = dt.datetime(2026, 3, 1, 9, 20, 31, tzinfo=dt.UTC)
CUSTOMER = {"ticket": "abc", "customerIdentification": {"cbeNumber": "0206731645"}}
LINE = Inscription(
    inscription_context=InscriptionContext("PCSA:LIVING_WAGE"),
    period=Period(begin_date=dt.date(2020, 1, 1)),
    last_change=RECEIVED,
)
WRITTEN = WriteResult(
    status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS),
    ssin=SsinAnswer(current=Ssin.parse("85073003328"), replaces=Ssin.parse("72020290081")),
    anomalies=(
        Anomaly(
            code=OutcomeCode.INSCRIPTION_MERGED,
            information=(Information(field_name="period", field_value="2020-01-01"),),
        ),
    ),
    inscriptions=(LINE,),
)
CONSULTED = ConsultResult(
    status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS),
    ssin=SsinAnswer(current=Ssin.parse("85073003328")),
    data_filters=("organization",),
    inscriptions=(LINE, LINE),
    next="b3BhcXVl",
)
HEALTHY = HealthCheckResult(
    health=Health.OK,
    component="CBSSInscription",
    location="host",
    checks=(SanityCheck(name="repertory", health=Health.OK, milliseconds=2),),
)
HEAD: dict[str, Any] = {
    "information_customer": InformationCustomer(
        ticket="abc", customer_identification=CustomerIdentification(cbe_number="0206731645")
    ),
    "legal_context": LegalContext("PCSA:SOCIAL_INQUIRY"),
    "ssin": "85073003328",
}


class _Service(Transport):
    """Serves the description, and answers each message with the result given for it."""

    def __init__(self, door: Door, result: Result) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # zeep is untyped
        self.documents = WsdlDocuments(door, public_url="https://services.example.be")
        self.door, self.result = door, result
        self.request: Request | None = None
        self.action = ""

    def load(self, url: str) -> bytes:
        found = self.documents.get(url.partition("?")[2])
        assert found is not None
        return found[0]

    def post(self, address: str, message: bytes, headers: dict[str, str]) -> Any:
        assert address == self.documents.endpoint
        self.action = headers["SOAPAction"].strip('"')
        body = etree.fromstring(message).find(names.SOAP_BODY)
        assert body is not None
        schema_of(self.door).validate(body[0])
        self.request = read_request(body[0])
        envelope = etree.Element(names.SOAP_ENVELOPE)
        etree.SubElement(envelope, names.SOAP_BODY).append(
            write_response(
                body[0],
                self.result,
                information_cbss=InformationCbss(
                    ticket_cbss=TICKET, timestamp_receive=RECEIVED, timestamp_reply=RECEIVED
                ),
                deployment=Deployment(version="1.0.0", environment="TST"),
            )
        )
        return _Answer(etree.tostring(envelope))


class _Answer:
    status_code = 200
    encoding = "utf-8"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.headers = {"Content-Type": "text/xml; charset=utf-8"}


def _call(door: Door, operation: Operation, result: Result, **arguments: Any) -> tuple[Any, _Service]:
    service = _Service(door, result)
    query = "singleWsdl" if door.has_ksz_faults else "wsdl=x509"
    client = zeep.Client(f"{service.documents.endpoint}?{query}", transport=service)  # type: ignore[no-untyped-call]  # zeep is untyped
    is_test_message = door.has_ksz_faults and operation is Operation.HEALTH_CHECK
    name = names.SEND_TEST_MESSAGE if is_test_message else operation
    reply = client.service[name](**arguments)
    assert service.action == door.soap_action(operation)
    return reply, service


@pytest.mark.parametrize("door", INSCRIPTION_DOORS)
def test_zeep_consults(door: Door) -> None:
    """A consultation made by zeep arrives whole, and its answer arrives at zeep whole."""
    reply, service = _call(
        door,
        Operation.CONSULT_INSCRIPTIONS,
        CONSULTED,
        informationCustomer=CUSTOMER,
        legalContext="PCSA:SOCIAL_INQUIRY",
        criteria={
            "ssin": "85073003328",
            "inscriptionContext": ["PCSA:LIVING_WAGE", "PCSA:MEDICAL"],
            "period": {"beginDate": dt.date(2020, 1, 1)},
        },
    )
    assert service.request == ConsultInscriptions(
        **HEAD,
        inscription_contexts=(InscriptionContext("PCSA:LIVING_WAGE"), InscriptionContext("PCSA:MEDICAL")),
        period=GivenPeriod(begin_date=dt.date(2020, 1, 1)),
    )
    assert reply.informationCustomer.ticket == "abc"
    assert reply.informationCBSS.ticketCBSS == str(TICKET)
    assert reply.criteria.inscriptionContext == ["PCSA:LIVING_WAGE", "PCSA:MEDICAL"]
    assert (reply.status.value, reply.status.code) == ("DATA_FOUND", "MSG00000")
    assert reply.dataFilters.filteredElement == ["organization"]
    assert [line.period.beginDate for line in reply.inscriptions.inscription] == [dt.date(2020, 1, 1)] * 2
    assert reply.inscriptions.inscription[0].lastChange == RECEIVED
    assert reply.next == "b3BhcXVl"


PERIOD = {"beginDate": dt.date(2020, 1, 1), "endDate": dt.date(2020, 12, 31)}
GIVEN = GivenPeriod(begin_date=dt.date(2020, 1, 1), end_date=dt.date(2020, 12, 31))
CONTEXT = InscriptionContext("PCSA:LIVING_WAGE")


@pytest.mark.parametrize("door", INSCRIPTION_DOORS)
@pytest.mark.parametrize(
    ("operation", "declaration", "expected"),
    [
        (
            Operation.INSERT_INSCRIPTION,
            {
                "ssin": "85073003328",
                "inscription": {"inscriptionContext": "PCSA:LIVING_WAGE", "period": PERIOD},
                "legalData": {
                    "name": {"lastName": "Peeters", "givenName": ["Anna", "Maria"]},
                    "birth": {"birthDate": "1985-07-00"},
                    "gender": {"genderCode": "2"},
                },
            },
            InsertInscription(
                **HEAD,
                inscription_context=CONTEXT,
                period=GIVEN,
                legal_data=LegalData(
                    last_name="Peeters",
                    given_names=("Anna", "Maria"),
                    birth_date=IncompleteDate(1985, 7, 0),
                    gender=Gender.FEMALE,
                ),
            ),
        ),
        (
            Operation.UPDATE_INSCRIPTION,
            {
                "ssin": "85073003328",
                "inscription": {"inscriptionContext": "PCSA:LIVING_WAGE", "period": PERIOD},
                "newPeriod": {"beginDate": dt.date(2020, 2, 1)},
            },
            UpdateInscription(
                **HEAD,
                inscription_context=CONTEXT,
                period=GIVEN,
                new_period=GivenPeriod(begin_date=dt.date(2020, 2, 1)),
            ),
        ),
        (
            Operation.DELETE_INSCRIPTION,
            {
                "ssin": "85073003328",
                "inscriptionContext": "PCSA:LIVING_WAGE",
                "period": {"endDate": dt.date(2020, 2, 29)},
            },
            DeleteInscription(
                **HEAD,
                inscription_context=CONTEXT,
                period=GivenPeriod(begin_date=None, end_date=dt.date(2020, 2, 29)),
            ),
        ),
    ],
    ids=["insert", "update", "delete"],
)
def test_zeep_declares(door: Door, operation: Operation, declaration: dict[str, Any], expected: Request) -> None:
    """A declaration made by zeep arrives whole, and what became of it arrives at zeep whole."""
    reply, service = _call(
        door,
        operation,
        WRITTEN,
        informationCustomer=CUSTOMER,
        legalContext="PCSA:SOCIAL_INQUIRY",
        declaration=declaration,
    )
    assert service.request == expected
    assert reply.declaration.ssin == "85073003328"
    assert reply.status.value == "OK"
    assert (reply.ssin._value_1, reply.ssin.replaces) == ("85073003328", "72020290081")
    (detail,) = reply.anomalies.detail
    entry = CATALOGUE[OutcomeCode.INSCRIPTION_MERGED]
    assert (detail.severity, detail.reasonCode, detail.diagnostic) == (entry.severity, entry.code, entry.texts["en"])
    assert detail.information[0].fieldValue == "2020-01-01"
    assert reply.inscriptions.inscription[0].inscriptionContext == "PCSA:LIVING_WAGE"


def test_zeep_asks_for_the_health() -> None:
    """A health check made by zeep arrives, and its answer arrives at zeep."""
    reply, service = _call(Door.FACADE, Operation.HEALTH_CHECK, HEALTHY, type="DEEP")
    assert service.request == HealthCheck(type=HealthCheckType.DEEP)
    assert (reply.Status.Level, reply.Component.Version, reply.Location.Environment) == ("OK", "1.0.0", "TST")
    assert reply.SanityCheck[0].Resource.name == "repertory"


@pytest.mark.parametrize("door", [door for door in Door if door.has_ksz_faults])
def test_zeep_sends_a_test_message(door: Door) -> None:
    """KSZ's test message comes back to zeep with our ticket."""
    reply, service = _call(door, Operation.HEALTH_CHECK, HEALTHY, echo="hello")
    assert service.request == HealthCheck(type=HealthCheckType.PING)
    assert (reply.echo, reply.informationCBSS.ticketCBSS) == ("hello", str(TICKET))


def test_zeep_pulls_mutations() -> None:
    """A question for a page of the feed made by zeep arrives whole, and the page arrives at zeep whole."""
    page = MutationsResult(
        status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS),
        mutations=(
            Mutation(
                sequence_number=18,
                event=LifeEvent.REPLACED,
                ssin=Ssin.parse("72020290081"),
                current_ssin=Ssin.parse("85073003328"),
                inscription_contexts=(CONTEXT, InscriptionContext("PCSA:MEDICAL")),
                recorded_at=RECEIVED,
            ),
        ),
        last_sequence_number=20,
        more=True,
    )
    reply, service = _call(
        Door.MUTATIONS,
        Operation.CONSULT_MUTATIONS,
        page,
        informationCustomer=CUSTOMER,
        legalContext="PCSA:SOCIAL_INQUIRY",
        criteria={"afterSequenceNumber": 17, "limit": 1},
    )
    head = {name: value for name, value in HEAD.items() if name != "ssin"}
    assert service.request == ConsultMutations(**head, after_sequence_number=17, limit=1)
    (mutation,) = reply.mutations.mutation
    assert (mutation.sequenceNumber, mutation.event) == (18, "replaced")
    assert (mutation.ssin, mutation.currentSsin) == ("72020290081", "85073003328")
    assert mutation.inscriptionContext == ["PCSA:LIVING_WAGE", "PCSA:MEDICAL"]
    assert mutation.timestamp == RECEIVED
    assert (reply.lastSequenceNumber, reply.more) == (20, True)


ANNA = Person(
    ssin=Ssin.parse("85073003328"),
    register=Register.NR,
    status=FileStatus.ACTIVE,
    last_name="Peeters",
    given_names=("Anna", "Maria"),
    birth_date=IncompleteDate(1985, 7, 0),
    gender=Gender.FEMALE,
)
ANNA_BEFORE = replace(
    ANNA, ssin=Ssin.parse("72020290081"), status=FileStatus.REPLACED, replaced_by=Ssin.parse("85073003328")
)


def test_zeep_searches_persons_by_number() -> None:
    """A search by number made by zeep arrives whole, and the files arrive at zeep whole."""
    found = PersonsResult(
        status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS),
        ssins=(ANNA_BEFORE.ssin, Ssin.parse("95122107446")),
        chains=((ANNA_BEFORE, ANNA), ()),
    )
    reply, service = _call(
        Door.PERSON,
        Operation.SEARCH_PERSON_BY_SSIN,
        found,
        informationCustomer=CUSTOMER,
        legalContext="PCSA:SOCIAL_INQUIRY",
        criteria={"ssin": ["72020290081", "95122107446"]},
    )
    head = {name: value for name, value in HEAD.items() if name != "ssin"}
    assert service.request == SearchPersonBySsin(**head, ssins=("72020290081", "95122107446"))
    known, unknown = reply.results.result
    assert (known.ssin, unknown.ssin, unknown.person) == ("72020290081", "95122107446", [])
    before, current = known.person
    assert (before.ssin._value_1, before.ssin.canceled, before.ssin.replacedBy) == ("72020290081", True, "85073003328")
    assert (current.ssin._value_1, current.ssin.canceled, current.ssin.replacedBy) == ("85073003328", None, None)
    assert (current.register, current.name.lastName, current.name.givenName) == ("NR", "Peeters", ["Anna", "Maria"])
    assert (current.birth.birthDate, current.gender.genderCode) == ("1985-07-00", "2")


def test_zeep_searches_persons_by_name() -> None:
    """A phonetic search made by zeep arrives whole, and the persons arrive at zeep."""
    reply, service = _call(
        Door.PERSON,
        Operation.SEARCH_PERSON_PHONETICALLY,
        PersonsResult(status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS), chains=((ANNA,),)),
        informationCustomer=CUSTOMER,
        legalContext="PCSA:SOCIAL_INQUIRY",
        criteria={"lastName": "Peters", "givenName": ["Ana"], "birthDate": "1985-00-00", "genderCode": "2"},
    )
    head = {name: value for name, value in HEAD.items() if name != "ssin"}
    criteria = PhoneticCriteria(
        last_name="Peters", given_names=("Ana",), birth_date=IncompleteDate(1985, 0, 0), gender=Gender.FEMALE
    )
    assert service.request == SearchPersonPhonetically(**head, criteria=criteria)
    (result,) = reply.results.result
    assert result.person.ssin._value_1 == "85073003328"
