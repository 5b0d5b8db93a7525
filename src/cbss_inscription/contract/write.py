"""Domain values to elements: responses at the service, requests at the client.

What is written is valid against the schema by construction, with one limit to know: a request whose values the contract
has no place for (a period without begin where one is due, given names without last name) is refused here, and one with
too many or too long values is for `contract.schema` to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml.etree import Element, SubElement, _Element

from cbss_inscription import names
from cbss_inscription.contract.common_v3 import (
    write_details,
    write_information_cbss,
    write_information_customer,
    write_organization,
    write_ssin,
    write_status,
    write_text,
)
from cbss_inscription.contract.door import Door, response_element_of
from cbss_inscription.contract.mutations import write_mutation_criteria, write_mutations
from cbss_inscription.contract.persons import write_person_criteria, write_persons
from cbss_inscription.domain.customer import InformationCbss
from cbss_inscription.domain.environment import Environment
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.inscription import Inscription
from cbss_inscription.domain.legal_data import LegalData
from cbss_inscription.domain.period import GivenPeriod, Period, timestamp
from cbss_inscription.domain.person_search import SearchPersonBySsin, SearchPersonPhonetically
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    ConsultMutations,
    DeleteInscription,
    HealthCheck,
    InscriptionRequest,
    Request,
    UpdateInscription,
    operation_of,
)
from cbss_inscription.domain.results import (
    ConsultResult,
    Health,
    HealthCheckResult,
    MutationsResult,
    PersonsResult,
    Result,
    SanityCheck,
    WriteResult,
)

_NSMAPS: Final[Mapping[str, dict[str | None, str]]] = {
    names.FACADE: {"cbi": names.FACADE},
    names.KSZ: {"ins": names.KSZ},
    names.MUTATIONS: {"mut": names.MUTATIONS},
    names.PERSON: {"per": names.PERSON},
    names.MONITORING: {"mon": names.MONITORING},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a health check tells of the running program: its version, and an `Environment`."""

    version: str
    environment: str

    def __post_init__(self) -> None:
        Environment.of(self.environment)


def write_response(
    request: _Element, result: Result, *, information_cbss: InformationCbss, deployment: Deployment
) -> _Element:
    """The root element that answers `request`, the valid root element of the question, with `result`.

    The head and the criteria or declaration are those of the request, text for text (contract.md section 3): ticket,
    timestamp and dates come back as they were sent. Texts are the catalogue's, in English.
    """
    root = _root(response_element_of(str(request.tag)))
    if isinstance(result, HealthCheckResult):
        if request.tag == names.HEALTH_CHECK_REQUEST:
            _write_health(root, result, information_cbss.timestamp_reply, deployment)
        else:
            write_information_cbss(root, information_cbss)
            _echo(root, request, "echo")
        return root
    _echo(root, request, "informationCustomer")
    write_information_cbss(root, information_cbss)
    _echo(root, request, "legalContext")
    match result:
        case ConsultResult():
            _echo(root, request, "criteria")
            _write_consult_result(root, result)
        case WriteResult():
            _echo(root, request, "declaration")
            _write_outcome(root, result)
        case MutationsResult():
            _echo(root, request, "criteria")
            write_mutations(root, result)
        case PersonsResult():
            _echo(root, request, "criteria")
            write_persons(root, result)
    return root


def write_request(request: Request, *, door: Door) -> _Element:
    """The root element that asks for `request` at `door`; a health check at KSZ's is a test message.

    Raises `UsageError` for a value that the contract has no place for.
    """
    root = _root(door.request_element(operation_of(request)))
    if isinstance(request, HealthCheck):
        if door is Door.FACADE:
            root.set("type", request.type)
        else:
            write_text(root, "echo", request.type)
        return root
    write_information_customer(root, request.information_customer)
    write_text(root, "legalContext", request.legal_context)
    match request:
        case ConsultMutations():
            write_mutation_criteria(root, request)
        case SearchPersonBySsin() | SearchPersonPhonetically():
            write_person_criteria(root, request)
        case _:
            _write_declaration(root, request)
    return root


def _write_declaration(parent: _Element, request: InscriptionRequest) -> None:
    """Adds the `criteria` or `declaration` of `request`. Raises `UsageError` as `write_request` does."""
    if isinstance(request, ConsultInscriptions):
        criteria = SubElement(parent, "criteria")
        write_text(criteria, "ssin", request.ssin)
        for context in request.inscription_contexts:
            write_text(criteria, "inscriptionContext", context)
        if request.period is not None:
            _write_begun_period(criteria, "period", request.period)
        if request.next is not None:
            write_text(criteria, "next", request.next)
        return
    declaration = SubElement(parent, "declaration")
    write_text(declaration, "ssin", request.ssin)
    if isinstance(request, DeleteInscription):
        write_text(declaration, "inscriptionContext", request.inscription_context)
        if request.period is not None:
            _write_period(declaration, "period", request.period)
        return
    inscription = SubElement(declaration, "inscription")
    write_text(inscription, "inscriptionContext", request.inscription_context)
    _write_begun_period(inscription, "period", request.period)
    if isinstance(request, UpdateInscription):
        _write_begun_period(declaration, "newPeriod", request.new_period)
    elif request.legal_data is not None:
        _write_legal_data(declaration, request.legal_data)


def _write_outcome(parent: _Element, result: WriteResult) -> None:
    """Adds what became of a declaration: status, ssin, validation errors, anomalies, lines."""
    write_status(parent, result.status)
    write_ssin(parent, result.ssin)
    write_details(parent, "validationErrors", result.validation_errors)
    write_details(parent, "anomalies", result.anomalies)
    _write_inscriptions(parent, result.inscriptions)


def _root(tag: str) -> _Element:
    return Element(tag, nsmap=_NSMAPS[tag[1 : tag.index("}")]])


def _echo(parent: _Element, request: _Element, name: str) -> None:
    for source in request.iterchildren(name):
        _copy(parent, source)


def _copy(parent: _Element, source: _Element) -> None:
    # Names and texts, which is all that the schema lets carry meaning here; no xsi attribute, no namespace declaration
    # and no comment of the sender comes along.
    target = SubElement(parent, source.tag)
    if len(source):
        for child in source.iterchildren("*"):
            _copy(target, child)
    else:
        target.text = source.text


def _write_consult_result(root: _Element, result: ConsultResult) -> None:
    write_status(root, result.status)
    write_ssin(root, result.ssin)
    if result.data_filters:
        filters = SubElement(root, "dataFilters")
        for name in result.data_filters:
            write_text(filters, "filteredElement", name)
    _write_inscriptions(root, result.inscriptions)
    if result.next is not None:
        write_text(root, "next", result.next)


def _write_inscriptions(parent: _Element, inscriptions: tuple[Inscription, ...]) -> None:
    if not inscriptions:
        return
    lines = SubElement(parent, "inscriptions")
    for inscription in inscriptions:
        line = SubElement(lines, "inscription")
        write_text(line, "inscriptionContext", inscription.inscription_context)
        _write_period(line, "period", inscription.period)
        if inscription.organization is not None:
            write_organization(line, "organization", inscription.organization)
        if inscription.last_change is not None:
            write_text(line, "lastChange", timestamp(inscription.last_change))


def _write_begun_period(parent: _Element, name: str, period: GivenPeriod) -> None:
    if period.begin_date is None:
        raise UsageError("A period needs a begin date here.")
    _write_period(parent, name, period)


def _write_period(parent: _Element, name: str, period: GivenPeriod | Period) -> None:
    element = SubElement(parent, name)
    if period.begin_date is not None:
        write_text(element, "beginDate", period.begin_date.isoformat())
    if period.end_date is not None:
        write_text(element, "endDate", period.end_date.isoformat())


def _write_legal_data(parent: _Element, legal_data: LegalData) -> None:
    element = SubElement(parent, "legalData")
    if legal_data.last_name is not None:
        name = SubElement(element, "name")
        write_text(name, "lastName", legal_data.last_name)
        for given_name in legal_data.given_names:
            write_text(name, "givenName", given_name)
    elif legal_data.given_names:
        raise UsageError("Given names can only be given with the last name.")
    if legal_data.birth_date is not None:
        write_text(SubElement(element, "birth"), "birthDate", str(legal_data.birth_date))
    if legal_data.gender is not None:
        write_text(SubElement(element, "gender"), "genderCode", str(int(legal_data.gender)))


_LEVELS: Final = {Health.OK: "OK", Health.DEGRADED: "WARNING", Health.NOK: "CRITICAL"}
"""Of monitoring/v1."""


def _write_health(root: _Element, result: HealthCheckResult, moment: datetime, deployment: Deployment) -> None:
    root.set("timestamp", timestamp(moment))
    # monitoring/v1 keeps FATAL for the whole and CRITICAL for one check.
    _write_health_status(root, "FATAL" if result.health is Health.NOK else _LEVELS[result.health], None)
    component = SubElement(root, _mon("Component"))
    write_text(component, _mon("Name"), result.component)
    write_text(component, _mon("Version"), deployment.version)
    location = SubElement(root, _mon("Location"))
    write_text(location, _mon("Environment"), deployment.environment)
    write_text(location, _mon("Host"), result.location.partition("//")[2].partition("/")[0])
    write_text(location, _mon("URL"), result.location)
    for check in result.checks:
        _write_sanity_check(root, check)


def _write_sanity_check(root: _Element, check: SanityCheck) -> None:
    element = SubElement(root, _mon("SanityCheck"), {"id": check.name})
    _write_health_status(element, _LEVELS[check.health], check.detail)
    SubElement(element, _mon("Resource"), {"name": check.name, "type": "OTHER"})
    write_text(element, _mon("TimeInMillis"), str(check.milliseconds))


def _write_health_status(parent: _Element, level: str, message: str | None) -> None:
    status = SubElement(parent, _mon("Status"))
    write_text(status, _mon("Level"), level)
    if message is not None:
        write_text(status, _mon("Message"), message)


def _mon(name: str) -> str:
    return names.qname(names.MONITORING, name)
