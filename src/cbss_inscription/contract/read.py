"""Elements to domain values: requests at the service, responses at the client.

Both take the root element that `contract.schema` has found valid, so that only what a schema cannot say is refused
here: days that no calendar has, digits of other scripts, text with a comment in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeVar
from uuid import UUID

from lxml.etree import _Element

from cbss_inscription import names
from cbss_inscription.contract.door import INSCRIPTION_OPERATIONS, Door
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss, InformationCustomer
from cbss_inscription.domain.errors import ContentViolation, WsdlViolation
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate, Period
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

_T = TypeVar("_T")
_Fields = Mapping[str, _Element]

_MON_STATUS: Final = names.qname(names.MONITORING, "Status")
_MON_LEVEL: Final = names.qname(names.MONITORING, "Level")
_MON_MESSAGE: Final = names.qname(names.MONITORING, "Message")
_MON_COMPONENT: Final = names.qname(names.MONITORING, "Component")
_MON_LOCATION: Final = names.qname(names.MONITORING, "Location")
_MON_NAME: Final = names.qname(names.MONITORING, "Name")
_MON_HOST: Final = names.qname(names.MONITORING, "Host")
_MON_URL: Final = names.qname(names.MONITORING, "URL")
_MON_SANITY_CHECK: Final = names.qname(names.MONITORING, "SanityCheck")
_MON_RESOURCE: Final = names.qname(names.MONITORING, "Resource")
_MON_TIME: Final = names.qname(names.MONITORING, "TimeInMillis")
_WELL: Final = frozenset({"OK", "WARNING"})
"""Levels without impact for who calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a service answered: the result, and what it says of the exchange.

    `information_customer` is the echo of ours. Both blocks are None where an answer has none: healthCheck, and
    sendTestMessage as its service likes.
    """

    result: Result
    information_customer: InformationCustomer | None = None
    information_cbss: InformationCbss | None = None


def read_request(element: _Element) -> Request:
    """The domain request that a valid root element of the Body spells, at either door.

    `sendTestMessage` reads as a PING. Raises `ContentViolation` for what no schema sees (rule 24 of domain.md, years
    that no calendar has), and `WsdlViolation` for an element that is no request.
    """
    reader = _REQUEST_READERS.get(str(element.tag))
    if reader is None:
        raise WsdlViolation("operation")
    return reader(element)


def read_response(element: _Element) -> Response:
    """The answer that a valid root element of a response's Body spells, at either door.

    Raises `ContentViolation` for what cannot be read though valid, such as an outcome code that this program does not
    know, and `WsdlViolation` for an element that is no response. At a client that is the service's fault, not the
    caller's: the client says so in its own words.
    """
    reader = _RESPONSE_READERS.get(str(element.tag))
    if reader is None:
        raise WsdlViolation("response")
    return reader(element)


def _read_information_customer(element: _Element) -> InformationCustomer:
    """Who asks, and the caller's own ticket; an empty ticket is none. Raises `ContentViolation`.

    A time without zone is taken as UTC [D]; the reply repeats the text as it came.
    """
    fields = _fields(element)
    return InformationCustomer(
        customer_identification=_read_organization(fields["customerIdentification"]),
        ticket=_text(fields["ticket"]) or None if "ticket" in fields else None,
        timestamp_sent=_timestamp(fields["timestampSent"]) if "timestampSent" in fields else None,
    )


def _read_organization(element: _Element) -> CustomerIdentification:
    """The organisation of an OrganizationIdentificationType. Raises `ContentViolation`."""
    fields = _fields(element)
    if "cbeNumber" in fields:
        cbe_number = _text(fields["cbeNumber"])
        return _made("cbe-number", lambda: CustomerIdentification(cbe_number=cbe_number))
    sector, institution = int(_text(fields["sector"])), int(_text(fields["institution"]))
    return _made("sector", lambda: CustomerIdentification(sector=sector, institution=institution))


# requests


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """The head of a request: who asks and on which legal ground."""

    information_customer: InformationCustomer
    legal_context: LegalContext


def _read_header(fields: _Fields) -> _Header:
    legal_context = _text(fields["legalContext"])
    return _Header(
        information_customer=_read_information_customer(fields["informationCustomer"]),
        legal_context=_made("legal-context", lambda: LegalContext(legal_context)),
    )


def _read_consult(header: _Header, criteria: _Element) -> ConsultInscriptions:
    fields = _fields(criteria)
    return ConsultInscriptions(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        ssin=_text(fields["ssin"]),
        inscription_contexts=tuple(_context(child) for child in criteria.iterchildren("inscriptionContext")),
        period=_given_period(fields["period"]) if "period" in fields else None,
        next=_text(fields["next"]) if "next" in fields else None,
    )


def _read_insert(header: _Header, declaration: _Element) -> InsertInscription:
    fields = _fields(declaration)
    inscription = _fields(fields["inscription"])
    return InsertInscription(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        ssin=_text(fields["ssin"]),
        inscription_context=_context(inscription["inscriptionContext"]),
        period=_given_period(inscription["period"]),
        legal_data=_legal_data(fields["legalData"]) if "legalData" in fields else None,
    )


def _read_update(header: _Header, declaration: _Element) -> UpdateInscription:
    fields = _fields(declaration)
    inscription = _fields(fields["inscription"])
    return UpdateInscription(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        ssin=_text(fields["ssin"]),
        inscription_context=_context(inscription["inscriptionContext"]),
        period=_given_period(inscription["period"]),
        new_period=_given_period(fields["newPeriod"]),
    )


def _read_delete(header: _Header, declaration: _Element) -> DeleteInscription:
    fields = _fields(declaration)
    return DeleteInscription(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        ssin=_text(fields["ssin"]),
        inscription_context=_context(fields["inscriptionContext"]),
        period=_given_period(fields["period"]) if "period" in fields else None,
    )


def _legal_data(element: _Element) -> LegalData:
    fields = _fields(element)
    name = fields.get("name")
    return LegalData(
        last_name=None if name is None else _text(_fields(name)["lastName"]),
        given_names=() if name is None else tuple(_text(child) for child in name.iterchildren("givenName")),
        birth_date=_birth_date(_fields(fields["birth"])["birthDate"]) if "birth" in fields else None,
        gender=Gender(int(_text(_fields(fields["gender"])["genderCode"]))) if "gender" in fields else None,
    )


def _read_health_check(element: _Element) -> HealthCheck:
    # The schema's default is not written into the message by the validation.
    return HealthCheck(type=HealthCheckType(element.get("type", HealthCheckType.DEFAULT)))


def _read_test_message(_element: _Element) -> HealthCheck:
    return HealthCheck(type=HealthCheckType.PING)


# responses


def _read_consult_response(element: _Element) -> Response:
    fields = _fields(element)
    result = ConsultResult(
        status=_status(fields["status"]),
        ssin=_ssin_answer(fields["ssin"]) if "ssin" in fields else None,
        data_filters=tuple(map(_text, fields["dataFilters"].iterchildren("*"))) if "dataFilters" in fields else (),
        inscriptions=_inscriptions(fields),
        next=_text(fields["next"]) if "next" in fields else None,
    )
    return _response(result, fields)


def _read_write_response(element: _Element) -> Response:
    fields = _fields(element)
    result = WriteResult(
        status=_status(fields["status"]),
        ssin=_ssin_answer(fields["ssin"]) if "ssin" in fields else None,
        validation_errors=_anomalies(fields, "validationErrors"),
        anomalies=_anomalies(fields, "anomalies"),
        inscriptions=_inscriptions(fields),
    )
    return _response(result, fields)


def _response(result: Result, fields: _Fields) -> Response:
    return Response(
        result=result,
        information_customer=_read_information_customer(fields["informationCustomer"]),
        information_cbss=_information_cbss(fields["informationCBSS"]),
    )


def _information_cbss(element: _Element) -> InformationCbss:
    fields = _fields(element)
    ticket = _text(fields["ticketCBSS"])
    return InformationCbss(
        ticket_cbss=_made("ticket-cbss", lambda: UUID(ticket)),
        timestamp_receive=_timestamp(fields["timestampReceive"]),
        timestamp_reply=_timestamp(fields["timestampReply"]),
    )


def _status(element: _Element) -> Status:
    fields = _fields(element)
    return Status(
        value=StatusValue(_text(fields["value"])),
        code=_code(fields["code"]),
        information=_information(element),
    )


def _anomalies(fields: _Fields, name: str) -> tuple[Anomaly, ...]:
    if name not in fields:
        return ()
    return tuple(
        Anomaly(code=_code(_fields(detail)["reasonCode"]), information=_information(detail))
        for detail in fields[name].iterchildren("*")
    )


def _information(element: _Element) -> tuple[Information, ...]:
    return tuple(
        Information(
            field_name=_text(fields["fieldName"]),
            field_value=_text(fields["fieldValue"]) if "fieldValue" in fields else None,
        )
        for fields in map(_fields, element.iterchildren("information"))
    )


def _code(element: _Element) -> OutcomeCode:
    text = _text(element)
    return _made("outcome-code", lambda: OutcomeCode(text))


def _ssin_answer(element: _Element) -> SsinAnswer:
    current, replaces = _text(element), element.get("replaces")
    return SsinAnswer(
        current=_made("ssin", lambda: Ssin.parse(current)),
        replaces=None if replaces is None else _made("ssin", lambda: Ssin.parse(replaces)),
        canceled=element.get("canceled", "false").strip() in ("true", "1"),
    )


def _inscriptions(fields: _Fields) -> tuple[Inscription, ...]:
    return tuple(map(_inscription, fields["inscriptions"].iterchildren("*"))) if "inscriptions" in fields else ()


def _inscription(element: _Element) -> Inscription:
    fields = _fields(element)
    period = _given_period(fields["period"])
    return Inscription(
        inscription_context=_context(fields["inscriptionContext"]),
        period=_made("period", lambda: Period.of(period)),
        organization=_read_organization(fields["organization"]) if "organization" in fields else None,
        last_change=_timestamp(fields["lastChange"]) if "lastChange" in fields else None,
    )


def _read_health_response(element: _Element) -> Response:
    fields = _fields(element)
    health, _ = _health(fields[_MON_STATUS])
    location = _fields(fields[_MON_LOCATION])
    result = HealthCheckResult(
        health=health,
        component=_text(_fields(fields[_MON_COMPONENT])[_MON_NAME]),
        location=_text(location.get(_MON_URL, location[_MON_HOST])),
        checks=tuple(_sanity_check(child) for child in element.iterchildren(_MON_SANITY_CHECK)),
    )
    return Response(result=result)


def _sanity_check(element: _Element) -> SanityCheck:
    fields = _fields(element)
    health, detail = _health(fields[_MON_STATUS])
    milliseconds = int(_text(fields[_MON_TIME]))
    return SanityCheck(
        name=fields[_MON_RESOURCE].get("name", ""), health=health, milliseconds=milliseconds, detail=detail
    )


def _health(element: _Element) -> tuple[Health, str | None]:
    fields = _fields(element)
    health = Health.OK if _text(fields[_MON_LEVEL]) in _WELL else Health.NOK
    return health, _text(fields[_MON_MESSAGE]) if _MON_MESSAGE in fields else None


def _read_test_response(element: _Element) -> Response:
    fields = _fields(element)
    return Response(
        # An echo came back; of its place this service says nothing.
        result=HealthCheckResult(health=Health.OK, component="InscriptionService", location=""),
        information_cbss=_information_cbss(fields["informationCBSS"]) if "informationCBSS" in fields else None,
    )


# parts of both


def _fields(element: _Element) -> dict[str, _Element]:
    # A repeated child stands here once; who reads repetitions iterates. "*" leaves comments out.
    return {str(child.tag): child for child in element.iterchildren("*")}


def _text(element: _Element) -> str:
    # lxml's .text ends at the first comment, while libxml2 has validated the whole: half a value must not be read.
    if len(element):
        raise ContentViolation("markup-in-text")
    return element.text or ""


def _made(what: str, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except (ValueError, OverflowError):
        raise ContentViolation(what) from None  # the cause may quote the value


def _context(element: _Element) -> InscriptionContext:
    text = _text(element)
    return _made("inscription-context", lambda: InscriptionContext(text))


def _given_period(element: _Element) -> GivenPeriod:
    fields = _fields(element)
    return GivenPeriod(
        begin_date=_date(fields["beginDate"]) if "beginDate" in fields else None,
        end_date=_date(fields["endDate"]) if "endDate" in fields else None,
    )


def _birth_date(element: _Element) -> IncompleteDate:
    text = _text(element)
    return _made("incomplete-date", lambda: IncompleteDate.parse(text))


def _date(element: _Element) -> date:
    text = _text(element)
    if not _has_year_of_four_digits(text):
        raise ContentViolation("date")
    # What follows the tenth character is a time zone, which says nothing of a day (contract.md section 3).
    return _made("date", lambda: date.fromisoformat(text[:10]))


def _timestamp(element: _Element) -> datetime:
    text = _text(element)
    if not _has_year_of_four_digits(text):
        raise ContentViolation("timestamp")
    return _made("timestamp", lambda: _moment(text))


def _moment(text: str) -> datetime:
    day_later = text[11:13] == "24"  # xsd:dateTime allows 24:00:00, Python does not
    moment = datetime.fromisoformat(f"{text[:11]}00{text[13:]}" if day_later else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC) + timedelta(days=1) if day_later else moment.astimezone(UTC)


def _has_year_of_four_digits(text: str) -> bool:
    # The schema admits years before 1, with a sign, and after 9999.
    return text[4:5] == "-"


_DECLARATION_READERS: Final[Mapping[Operation, Callable[[_Header, _Element], InscriptionRequest]]] = MappingProxyType(
    {
        Operation.CONSULT_INSCRIPTIONS: _read_consult,
        Operation.INSERT_INSCRIPTION: _read_insert,
        Operation.UPDATE_INSCRIPTION: _read_update,
        Operation.DELETE_INSCRIPTION: _read_delete,
    }
)


def _request_reader(operation: Operation) -> Callable[[_Element], Request]:
    content = "criteria" if operation is Operation.CONSULT_INSCRIPTIONS else "declaration"
    read = _DECLARATION_READERS[operation]

    def read_message(element: _Element) -> Request:
        fields = _fields(element)
        return read(_read_header(fields), fields[content])

    return read_message


_REQUEST_READERS: Final[Mapping[str, Callable[[_Element], Request]]] = MappingProxyType(
    {
        door.request_element(operation): _request_reader(operation)
        for door in Door
        for operation in INSCRIPTION_OPERATIONS
    }
    | {
        Door.FACADE.request_element(Operation.HEALTH_CHECK): _read_health_check,
        Door.KSZ.request_element(Operation.HEALTH_CHECK): _read_test_message,
    }
)
_RESPONSE_READERS: Final[Mapping[str, Callable[[_Element], Response]]] = MappingProxyType(
    {
        door.response_element(operation): (
            _read_consult_response if operation is Operation.CONSULT_INSCRIPTIONS else _read_write_response
        )
        for door in Door
        for operation in INSCRIPTION_OPERATIONS
    }
    | {
        Door.FACADE.response_element(Operation.HEALTH_CHECK): _read_health_response,
        Door.KSZ.response_element(Operation.HEALTH_CHECK): _read_test_response,
    }
)
