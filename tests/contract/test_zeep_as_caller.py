"""A foreign SOAP client made from the served description alone: what it sends we read, what we write it reads."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
import zeep
from lxml import etree
from zeep.transports import Transport

from cbss_inscription import names
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.read import read_request
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.contract.write import Deployment, write_response
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss, InformationCustomer
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate, Period
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
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
    query = "wsdl=x509" if door is Door.FACADE else "singleWsdl"
    client = zeep.Client(f"{service.documents.endpoint}?{query}", transport=service)  # type: ignore[no-untyped-call]  # zeep is untyped
    name = names.SEND_TEST_MESSAGE if (door, operation) == (Door.KSZ, Operation.HEALTH_CHECK) else operation
    reply = client.service[name](**arguments)
    assert service.action == door.soap_action(operation)
    return reply, service


@pytest.mark.parametrize("door", list(Door))
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


@pytest.mark.parametrize("door", list(Door))
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


def test_zeep_sends_a_test_message() -> None:
    """KSZ's test message comes back to zeep with our ticket."""
    reply, service = _call(Door.KSZ, Operation.HEALTH_CHECK, HEALTHY, echo="hello")
    assert service.request == HealthCheck(type=HealthCheckType.PING)
    assert (reply.echo, reply.informationCBSS.ticketCBSS) == ("hello", str(TICKET))
