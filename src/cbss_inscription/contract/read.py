"""Elements to domain values: requests at the service, responses at the client.

Both take the root element that `contract.schema` has found valid, so that only what a schema cannot say is refused
here: days that no calendar has, digits of other scripts, text with a comment in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lxml.etree import _Element

from cbss_inscription import names
from cbss_inscription.contract.common_v3 import (
    Fields,
    Header,
    fields_of,
    made,
    read_date,
    read_details,
    read_header,
    read_incomplete_date,
    read_information_cbss,
    read_inscription_context,
    read_organization,
    read_ssin_answer,
    read_status,
    read_timestamp,
    text_of,
)
from cbss_inscription.contract.door import INSCRIPTION_OPERATIONS, Door
from cbss_inscription.contract.mutations import read_mutation_criteria, read_mutations
from cbss_inscription.contract.persons import read_persons, read_phonetic_criteria, read_ssin_criteria
from cbss_inscription.domain.customer import InformationCbss, InformationCustomer
from cbss_inscription.domain.errors import WsdlViolation
from cbss_inscription.domain.inscription import Inscription
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    CustomerRequest,
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
    ConsultResult,
    Health,
    HealthCheckResult,
    Result,
    SanityCheck,
    WriteResult,
)

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
_HEALTH: Final = {"OK": Health.OK, "WARNING": Health.DEGRADED, "CRITICAL": Health.NOK, "FATAL": Health.NOK}
"""Of each level of monitoring/v1."""
"""Levels without impact for who calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a service answered: the result, and what it says of the exchange.

    `information_customer` and `asked` are the echo of ours: the head, and the whole request. What an answer lacks is
    None: all of it for healthCheck, `information_cbss` for sendTestMessage as its service likes.
    """

    result: Result
    information_customer: InformationCustomer | None = None
    information_cbss: InformationCbss | None = None
    asked: CustomerRequest | None = None


def read_request(element: _Element) -> Request:
    """The domain request that a valid root element of the Body spells, at any door.

    `sendTestMessage` reads as a PING. Raises `ContentViolation` for what no schema sees (rule 24 of domain.md, years
    that no calendar has), and `WsdlViolation` for an element that is no request.
    """
    reader = _REQUEST_READERS.get(str(element.tag))
    if reader is None:
        raise WsdlViolation("operation")
    return reader(element)


def read_declared(operation: Operation, header: Header, element: _Element) -> InscriptionRequest:
    """What a valid declaration, or the criteria of a consultation, ask for under the header of another place.

    `operation` is one of the four on inscriptions. Raises `ContentViolation`.
    """
    return _DECLARED_READERS[operation](header, element)


def read_response(element: _Element) -> Response:
    """The answer that a valid root element of a response's Body spells, at any door.

    Raises `ContentViolation` for what cannot be read though valid, such as an outcome code that this program does not
    know, and `WsdlViolation` for an element that is no response. At a client that is the service's fault, not the
    caller's: the client says so in its own words.
    """
    reader = _RESPONSE_READERS.get(str(element.tag))
    if reader is None:
        raise WsdlViolation("response")
    return reader(element)


# requests


def _read_consult(header: Header, criteria: _Element) -> ConsultInscriptions:
    fields = fields_of(criteria)
    return ConsultInscriptions(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        ssin=text_of(fields["ssin"]),
        inscription_contexts=tuple(map(read_inscription_context, criteria.iterchildren("inscriptionContext"))),
        period=_given_period(fields["period"]) if "period" in fields else None,
        next=text_of(fields["next"]) if "next" in fields else None,
    )


def _read_insert(header: Header, declaration: _Element) -> InsertInscription:
    fields = fields_of(declaration)
    inscription = fields_of(fields["inscription"])
    return InsertInscription(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        ssin=text_of(fields["ssin"]),
        inscription_context=read_inscription_context(inscription["inscriptionContext"]),
        period=_given_period(inscription["period"]),
        legal_data=_legal_data(fields["legalData"]) if "legalData" in fields else None,
    )


def _read_update(header: Header, declaration: _Element) -> UpdateInscription:
    fields = fields_of(declaration)
    inscription = fields_of(fields["inscription"])
    return UpdateInscription(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        ssin=text_of(fields["ssin"]),
        inscription_context=read_inscription_context(inscription["inscriptionContext"]),
        period=_given_period(inscription["period"]),
        new_period=_given_period(fields["newPeriod"]),
    )


def _read_delete(header: Header, declaration: _Element) -> DeleteInscription:
    fields = fields_of(declaration)
    return DeleteInscription(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        ssin=text_of(fields["ssin"]),
        inscription_context=read_inscription_context(fields["inscriptionContext"]),
        period=_given_period(fields["period"]) if "period" in fields else None,
    )


def _legal_data(element: _Element) -> LegalData:
    fields = fields_of(element)
    name = fields.get("name")
    return LegalData(
        last_name=None if name is None else text_of(fields_of(name)["lastName"]),
        given_names=() if name is None else tuple(text_of(child) for child in name.iterchildren("givenName")),
        birth_date=read_incomplete_date(fields_of(fields["birth"])["birthDate"]) if "birth" in fields else None,
        gender=Gender(int(text_of(fields_of(fields["gender"])["genderCode"]))) if "gender" in fields else None,
    )


def _read_health_check(element: _Element) -> HealthCheck:
    # The schema's default is not written into the message by the validation.
    return HealthCheck(type=HealthCheckType(element.get("type", HealthCheckType.DEFAULT)))


def _read_test_message(_element: _Element) -> HealthCheck:
    return HealthCheck(type=HealthCheckType.PING)


# responses


def _read_consult_result(fields: Fields) -> ConsultResult:
    return ConsultResult(
        status=read_status(fields["status"]),
        ssin=read_ssin_answer(fields["ssin"]) if "ssin" in fields else None,
        data_filters=tuple(map(text_of, fields["dataFilters"].iterchildren("*"))) if "dataFilters" in fields else (),
        inscriptions=_inscriptions(fields),
        next=text_of(fields["next"]) if "next" in fields else None,
    )


def _read_write_result(fields: Fields) -> WriteResult:
    return WriteResult(
        status=read_status(fields["status"]),
        ssin=read_ssin_answer(fields["ssin"]) if "ssin" in fields else None,
        validation_errors=read_details(fields, "validationErrors"),
        anomalies=read_details(fields, "anomalies"),
        inscriptions=_inscriptions(fields),
    )


def _inscriptions(fields: Fields) -> tuple[Inscription, ...]:
    return tuple(map(_inscription, fields["inscriptions"].iterchildren("*"))) if "inscriptions" in fields else ()


def _inscription(element: _Element) -> Inscription:
    fields = fields_of(element)
    period = _given_period(fields["period"])
    return Inscription(
        inscription_context=read_inscription_context(fields["inscriptionContext"]),
        period=made("period", lambda: Period.of(period)),
        organization=read_organization(fields["organization"]) if "organization" in fields else None,
        last_change=read_timestamp(fields["lastChange"]) if "lastChange" in fields else None,
    )


def _read_health_response(element: _Element) -> Response:
    fields = fields_of(element)
    health, _ = _health(fields[_MON_STATUS])
    location = fields_of(fields[_MON_LOCATION])
    result = HealthCheckResult(
        health=health,
        component=text_of(fields_of(fields[_MON_COMPONENT])[_MON_NAME]),
        location=text_of(location.get(_MON_URL, location[_MON_HOST])),
        checks=tuple(_sanity_check(child) for child in element.iterchildren(_MON_SANITY_CHECK)),
    )
    return Response(result=result)


def _sanity_check(element: _Element) -> SanityCheck:
    fields = fields_of(element)
    health, detail = _health(fields[_MON_STATUS])
    milliseconds = int(text_of(fields[_MON_TIME]))
    return SanityCheck(
        name=fields[_MON_RESOURCE].get("name", ""), health=health, milliseconds=milliseconds, detail=detail
    )


def _health(element: _Element) -> tuple[Health, str | None]:
    fields = fields_of(element)
    return _HEALTH[text_of(fields[_MON_LEVEL])], text_of(fields[_MON_MESSAGE]) if _MON_MESSAGE in fields else None


def _read_test_response(element: _Element) -> Response:
    fields = fields_of(element)
    door = Door.PERSON if element.tag == Door.PERSON.response_element(Operation.HEALTH_CHECK) else Door.KSZ
    return Response(
        # An echo came back; of its place this service says nothing.
        result=HealthCheckResult(health=Health.OK, component=door.service_name, location=""),
        information_cbss=read_information_cbss(fields["informationCBSS"]) if "informationCBSS" in fields else None,
    )


def _given_period(element: _Element) -> GivenPeriod:
    fields = fields_of(element)
    return GivenPeriod(
        begin_date=read_date(fields["beginDate"]) if "beginDate" in fields else None,
        end_date=read_date(fields["endDate"]) if "endDate" in fields else None,
    )


_DECLARED_READERS: Final[Mapping[Operation, Callable[[Header, _Element], InscriptionRequest]]] = MappingProxyType(
    {
        Operation.CONSULT_INSCRIPTIONS: _read_consult,
        Operation.INSERT_INSCRIPTION: _read_insert,
        Operation.UPDATE_INSCRIPTION: _read_update,
        Operation.DELETE_INSCRIPTION: _read_delete,
    }
)
_CONTENT_READERS: Final[Mapping[Operation, Callable[[Header, _Element], CustomerRequest]]] = MappingProxyType(
    {
        **_DECLARED_READERS,
        Operation.CONSULT_MUTATIONS: read_mutation_criteria,
        Operation.SEARCH_PERSON_BY_SSIN: read_ssin_criteria,
        Operation.SEARCH_PERSON_PHONETICALLY: read_phonetic_criteria,
    }
)
_RESULT_READERS: Final[Mapping[Operation, Callable[[Fields], Result]]] = MappingProxyType(
    {
        Operation.CONSULT_INSCRIPTIONS: _read_consult_result,
        Operation.INSERT_INSCRIPTION: _read_write_result,
        Operation.UPDATE_INSCRIPTION: _read_write_result,
        Operation.DELETE_INSCRIPTION: _read_write_result,
        Operation.CONSULT_MUTATIONS: read_mutations,
        Operation.SEARCH_PERSON_BY_SSIN: read_persons,
        Operation.SEARCH_PERSON_PHONETICALLY: read_persons,
    }
)
_DECLARATIONS: Final = frozenset(INSCRIPTION_OPERATIONS) - {Operation.CONSULT_INSCRIPTIONS}


def _request_reader(operation: Operation) -> Callable[[_Element], Request]:
    read = _content_reader(operation)
    return lambda element: read(fields_of(element))


def _content_reader(operation: Operation) -> Callable[[Fields], CustomerRequest]:
    content = "declaration" if operation in _DECLARATIONS else "criteria"
    read = _CONTENT_READERS[operation]
    return lambda fields: read(read_header(fields), fields[content])


def _response_reader(operation: Operation) -> Callable[[_Element], Response]:
    read = _RESULT_READERS[operation]
    read_asked = _content_reader(operation)

    def read_message(element: _Element) -> Response:
        fields = fields_of(element)
        asked = read_asked(fields)
        return Response(
            result=read(fields),
            information_customer=asked.information_customer,
            information_cbss=read_information_cbss(fields["informationCBSS"]),
            asked=asked,
        )

    return read_message


_UNDER_A_LEGAL_CONTEXT: Final = [
    (door, operation)
    for door in Door
    for operation in door.requests.values()
    if operation is not Operation.HEALTH_CHECK
]
_REQUEST_READERS: Final[Mapping[str, Callable[[_Element], Request]]] = MappingProxyType(
    {door.request_element(operation): _request_reader(operation) for door, operation in _UNDER_A_LEGAL_CONTEXT}
    | {
        Door.FACADE.request_element(Operation.HEALTH_CHECK): _read_health_check,
        Door.KSZ.request_element(Operation.HEALTH_CHECK): _read_test_message,
        Door.PERSON.request_element(Operation.HEALTH_CHECK): _read_test_message,
    }
)
_RESPONSE_READERS: Final[Mapping[str, Callable[[_Element], Response]]] = MappingProxyType(
    {door.response_element(operation): _response_reader(operation) for door, operation in _UNDER_A_LEGAL_CONTEXT}
    | {
        Door.FACADE.response_element(Operation.HEALTH_CHECK): _read_health_response,
        Door.KSZ.response_element(Operation.HEALTH_CHECK): _read_test_response,
        Door.PERSON.response_element(Operation.HEALTH_CHECK): _read_test_response,
    }
)
