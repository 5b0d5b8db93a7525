"""A second dialect, of our own making [D]: as different from KSZ's as we could think of, to prove that seam real.

No institution speaks it, and nothing in it is a published name. It has what other façades are known to have: no
operation for an update but one `Adjust` with an action word, numbers and days in other clothes, the head in attributes,
other words for how a request ended, and faults of another shape. A repertory that speaks it is among the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from importlib.resources import files
from types import MappingProxyType
from typing import Final
from uuid import UUID

from lxml import etree
from lxml.etree import Element, SubElement, _Element

from cbss_inscription.client.dialect import fault_side, plain
from cbss_inscription.client.errors import FaultReceived, ReplyUnreadable
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.read import Response
from cbss_inscription.contract.schema import compiled_once
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss, InformationCustomer
from cbss_inscription.domain.errors import ContentViolation, SchemaViolation, UsageError
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod, Period, timestamp
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    HealthCheck,
    InscriptionRequest,
    InsertInscription,
    Request,
    UpdateInscription,
    WriteRequest,
)
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    Health,
    HealthCheckResult,
    Information,
    Result,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.names import qname
from cbss_inscription.safe_xml import parse

NAMESPACE: Final = "urn:cbss-inscription:adjustment:v1"
PROBE, PROBE_REPLY, LOOK_UP, LOOK_UP_REPLY, ADJUST, ADJUST_REPLY, FAILURE = (
    qname(NAMESPACE, name)
    for name in ("Probe", "ProbeReply", "LookUp", "LookUpReply", "Adjust", "AdjustReply", "Failure")
)
SUBJECT, QUALITY, BETWEEN, RESUME, ENTRY, WHOLE, INSTEAD, BEARER, FAMILY_NAME, FIRST_NAME = (
    qname(NAMESPACE, name)
    for name in (
        "Subject",
        "Quality",
        "Between",
        "Resume",
        "Entry",
        "Whole",
        "Instead",
        "Bearer",
        "FamilyName",
        "FirstName",
    )
)
NOTE, WITHHELD, OBJECTION, REMARK = (qname(NAMESPACE, name) for name in ("Note", "Withheld", "Objection", "Remark"))
WORDS: Final[Mapping[str, StatusValue]] = MappingProxyType(
    {
        "FOUND": StatusValue.DATA_FOUND,
        "NONE": StatusValue.NO_DATA_FOUND,
        "UNANSWERED": StatusValue.NO_RESULT,
        "DONE": StatusValue.OK,
        "REFUSED": StatusValue.NOK,
    }
)
"""How a request ended."""
FAILURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "NOT_KNOWN": "SOA-01001",
        "NOT_ALLOWED": "SOA-01002",
        "MISSHAPEN": "SOA-03006",
        "BUSY": "SOA-02002",
        "BROKEN": "SOA-00001",
    }
)
"""Why there is no answer."""
SEXES: Final[Mapping[Gender, str]] = MappingProxyType({Gender.MALE: "M", Gender.FEMALE: "F", Gender.UNKNOWN: "U"})
_REPLIES: Final = {HealthCheck: PROBE_REPLY, ConsultInscriptions: LOOK_UP_REPLY}
_CONSULTED: Final = frozenset({StatusValue.DATA_FOUND, StatusValue.NO_DATA_FOUND, StatusValue.NO_RESULT})


class AdjustmentDialect:
    """The `client.dialect.Dialect` of it."""

    door = Door.KSZ

    def soap_action(self, request: Request) -> str:
        """See `Dialect.soap_action`."""
        name = {HealthCheck: "Probe", ConsultInscriptions: "LookUp"}.get(type(request), "Adjust")
        return f"{NAMESPACE}#{name}"

    def write(self, request: Request) -> _Element:
        """See `Dialect.write`."""
        match request:
            case HealthCheck():
                element = Element(PROBE, nsmap={"adj": NAMESPACE})
            case ConsultInscriptions():
                element = _look_up(request)
            case InsertInscription() | UpdateInscription() | DeleteInscription():
                element = _adjust(request)
            case _:
                raise UsageError("this service has no such operation")
        schema = compiled()
        if not schema.validate(element):
            raise SchemaViolation("schema", ("*: adjustment",))
        return element

    def read(self, request: Request, element: _Element) -> Response:
        """See `Dialect.read`."""
        if element.tag != _REPLIES.get(type(request), ADJUST_REPLY):
            raise ReplyUnreadable("other-operation")
        if not compiled().validate(element):
            raise ReplyUnreadable("response-schema")
        if isinstance(request, HealthCheck):
            return Response(result=HealthCheckResult(health=Health.OK, component="adjustment", location=""))
        try:
            return _response(element, is_consultation=isinstance(request, ConsultInscriptions))
        except (ValueError, KeyError, OverflowError):
            raise ReplyUnreadable("content") from None  # the cause may quote the reply

    def read_fault(self, fault: _Element) -> FaultReceived:
        """See `Dialect.read_fault`."""
        detail = fault.find("detail")
        failure = None if detail is None else detail.find(FAILURE)
        word = "" if failure is None else plain(failure.get("Word"))
        return FaultReceived(
            code=FAILURES.get(word, word),
            fault_code=fault_side(fault),
            ticket=None if failure is None else plain(failure.get("Receipt")) or None,
            message=plain(fault.findtext("faultstring")),
            retry=word == "BUSY",
        )


@compiled_once
def compiled() -> etree.XMLSchema:
    """The schema of the dialect, compiled once a process."""
    return etree.XMLSchema(parse(files(__package__).joinpath("adjustment.xsd").read_bytes(), charset=None))


# -- requests ----------------------------------------------------------------------------------------------------------


def _look_up(request: ConsultInscriptions) -> _Element:
    root = _head(LOOK_UP, request)
    for context in request.inscription_contexts:
        SubElement(root, QUALITY).text = context
    if request.period is not None:
        _set_days(SubElement(root, BETWEEN), request.period)
    if request.next is not None:
        SubElement(root, RESUME).text = request.next
    return root


def _adjust(request: WriteRequest) -> _Element:
    root = _head(ADJUST, request)
    if request.period is None:
        root.set("Action", "DELETE")
        SubElement(root, WHOLE).text = request.inscription_context
        return root
    entry = SubElement(root, ENTRY, Quality=request.inscription_context)
    _set_days(entry, request.period)
    match request:
        case InsertInscription(legal_data=legal_data):
            root.set("Action", "INSERT")
            if legal_data is not None:
                _write_bearer(root, legal_data)
        case UpdateInscription(new_period=new_period):
            root.set("Action", "REPLACE")
            _set_days(SubElement(root, INSTEAD), new_period)
        case DeleteInscription():
            root.set("Action", "DELETE")
    return root


def _head(tag: str, request: InscriptionRequest) -> _Element:
    information = request.information_customer
    root = Element(tag, nsmap={"adj": NAMESPACE})
    root.set("Ticket", information.ticket or "")
    if information.timestamp_sent is not None:
        root.set("SentAt", timestamp(information.timestamp_sent))
    root.set("Customer", information.customer_identification.key)
    root.set("Basis", request.legal_context)
    digits = request.ssin
    SubElement(root, SUBJECT).text = f"{digits[:6]}-{digits[6:9]}-{digits[9:]}"
    return root


def _set_days(element: _Element, period: GivenPeriod) -> None:
    for name, day in (("From", period.begin_date), ("Until", period.end_date)):
        if day is not None:
            element.set(name, day.isoformat().replace("-", ""))


def _write_bearer(root: _Element, legal_data: LegalData) -> None:
    bearer = SubElement(root, BEARER)
    if legal_data.last_name is not None:
        SubElement(bearer, FAMILY_NAME).text = legal_data.last_name
    for name in legal_data.given_names:
        SubElement(bearer, FIRST_NAME).text = name
    if legal_data.birth_date is not None:
        bearer.set("Born", str(legal_data.birth_date).replace("-", ""))
    if legal_data.gender is not None:
        bearer.set("Sex", SEXES[legal_data.gender])


# -- replies -----------------------------------------------------------------------------------------------------------


def _response(element: _Element, *, is_consultation: bool) -> Response:
    value = WORDS[element.attrib["Word"]]
    if (value in _CONSULTED) is not is_consultation:
        raise ReplyUnreadable("other-word")
    status = Status(value=value, code=OutcomeCode(element.attrib["Code"]), information=_notes(element))
    subject = element.find(SUBJECT)
    ssin = None if subject is None else _answered(subject)
    lines = tuple(map(_inscription, element.iterchildren(ENTRY)))
    result: Result
    if is_consultation:
        resume = element.find(RESUME)
        result = ConsultResult(
            status=status,
            ssin=ssin,
            data_filters=tuple(map(_text, element.iterchildren(WITHHELD))),
            inscriptions=lines,
            next=None if resume is None else _text(resume),
        )
    else:
        result = WriteResult(
            status=status,
            ssin=ssin,
            validation_errors=tuple(map(_anomaly, element.iterchildren(OBJECTION))),
            anomalies=tuple(map(_anomaly, element.iterchildren(REMARK))),
            inscriptions=lines,
        )
    sent_at = element.get("SentAt")
    return Response(
        result=result,
        information_customer=InformationCustomer(
            customer_identification=CustomerIdentification.of_key(element.attrib["Customer"]),
            ticket=element.attrib["Ticket"],
            timestamp_sent=None if sent_at is None else _moment(sent_at),
        ),
        information_cbss=InformationCbss(
            ticket_cbss=UUID(element.attrib["Receipt"]),
            timestamp_receive=_moment(element.attrib["Received"]),
            timestamp_reply=_moment(element.attrib["Answered"]),
        ),
    )


def _answered(subject: _Element) -> SsinAnswer:
    formerly = subject.get("Formerly")
    return SsinAnswer(
        current=_number(_text(subject)),
        replaces=None if formerly is None else _number(formerly),
        canceled=subject.get("Withdrawn", "false").strip() in {"true", "1"},
    )


def _inscription(entry: _Element) -> Inscription:
    holder, changed, until = entry.get("Holder"), entry.get("Changed"), entry.get("Until")
    return Inscription(
        inscription_context=InscriptionContext(entry.attrib["Quality"]),
        period=Period(begin_date=_day(entry.attrib["From"]), end_date=None if until is None else _day(until)),
        organization=None if holder is None else CustomerIdentification.of_key(holder),
        last_change=None if changed is None else _moment(changed),
    )


def _anomaly(element: _Element) -> Anomaly:
    return Anomaly(code=OutcomeCode(element.attrib["Code"]), information=_notes(element))


def _notes(element: _Element) -> tuple[Information, ...]:
    return tuple(
        Information(field_name=note.attrib["Field"], field_value=note.get("Value"))
        for note in element.iterchildren(NOTE)
    )


def _text(element: _Element) -> str:
    if len(element):
        raise ContentViolation("markup-in-text")
    return element.text or ""


def _number(text: str) -> Ssin:
    return Ssin.parse(text.replace("-", ""))


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ReplyUnreadable("moment-without-zone")
    return moment
