"""The doors of the services and which elements each takes and gives (contract.md section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from cbss_inscription import names
from cbss_inscription.domain.requests import Operation

INSCRIPTION_OPERATIONS: Final = (
    Operation.CONSULT_INSCRIPTIONS,
    Operation.INSERT_INSCRIPTION,
    Operation.UPDATE_INSCRIPTION,
    Operation.DELETE_INSCRIPTION,
)
PERSON_OPERATIONS: Final = (Operation.SEARCH_PERSON_BY_SSIN, Operation.SEARCH_PERSON_PHONETICALLY)


class Door(StrEnum):
    """An entrance with its own style of names; the types of the messages are the same at the first two."""

    FACADE = "facade"
    """CBSSInscription, in the style of RSZ."""
    KSZ = "ksz"
    """InscriptionService, in the style of KSZ."""
    MUTATIONS = "mutations"
    """The feed of mutations, beside the façade; ours [D]."""
    PERSON = "person"
    """PersonService of a register of persons, in the style of KSZ."""

    @property
    def path(self) -> str:
        """The path of the endpoint, after the public base URL."""
        return _STYLES[self].path

    @property
    def service_name(self) -> str:
        """The name of the service behind the door, as its descriptions have it."""
        return _STYLES[self].service_name

    @property
    def has_ksz_faults(self) -> bool:
        """Whether a fault's detail is KSZ's `<operation>Fault`; else it is RSZ's SystemError."""
        return self in {Door.KSZ, Door.PERSON}

    @property
    def requests(self) -> Mapping[str, Operation]:
        """Each root element (Clark notation) that the door takes, with its operation.

        `sendTestMessage` of KSZ counts as `healthCheck`: both only ask whether the service is there, and one access
        rule covers both [D].
        """
        return _REQUESTS[self]

    def request_element(self, operation: Operation) -> str:
        """The root element (Clark notation) that asks for `operation` at this door."""
        return _REQUEST_OF[self][operation]

    def response_element(self, operation: Operation) -> str:
        """The root element (Clark notation) that answers `operation` at this door."""
        return _RESPONSE_OF[self][operation]

    def fault_element(self, operation: Operation) -> str:
        """The element of a fault's detail for `operation` at a door with KSZ's faults."""
        return _FAULT_OF[self][operation]

    def soap_action(self, operation: Operation) -> str:
        """The soapAction that the WSDL publishes for `operation`; the service never decides by it (SEC-16)."""
        return _STYLES[self].action + (
            names.SEND_TEST_MESSAGE if self.has_ksz_faults and operation is Operation.HEALTH_CHECK else operation
        )


INSCRIPTION_DOORS: Final = (Door.FACADE, Door.KSZ)
"""The doors to inscriptions."""


def response_element_of(request_element: str) -> str:
    """The root element of the answer to a request's root element; KeyError when it is no request."""
    return _ANSWERS[request_element]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """How a door names things. `capital`: whether its elements begin with one."""

    service_name: str
    namespace: str
    path: str
    action: str
    capital: bool
    operations: tuple[Operation, ...]

    def element(self, name: str, kind: str) -> str:
        first = name[0].upper() if self.capital else name[0]
        return names.qname(self.namespace, f"{first}{name[1:]}{kind}")


_STYLES: Final[Mapping[Door, _Style]] = MappingProxyType(
    {
        Door.FACADE: _Style(
            service_name="CBSSInscription",
            namespace=names.FACADE,
            path=names.FACADE_PATH,
            action=names.FACADE_ACTION,
            capital=True,
            operations=INSCRIPTION_OPERATIONS,
        ),
        Door.KSZ: _Style(
            service_name="InscriptionService",
            namespace=names.KSZ,
            path=names.KSZ_PATH,
            action=names.KSZ_ACTION,
            capital=False,
            operations=INSCRIPTION_OPERATIONS,
        ),
        Door.MUTATIONS: _Style(
            service_name="InscriptionMutations",
            namespace=names.MUTATIONS,
            path=names.MUTATIONS_PATH,
            action=names.MUTATIONS_ACTION,
            capital=True,
            operations=(Operation.CONSULT_MUTATIONS,),
        ),
        Door.PERSON: _Style(
            service_name="PersonService",
            namespace=names.PERSON,
            path=names.PERSON_PATH,
            action=names.PERSON_ACTION,
            capital=False,
            operations=PERSON_OPERATIONS,
        ),
    }
)


def _elements_of(door: Door, kind: str) -> Mapping[Operation, str]:
    """The root elements of a door: what asks (`Request`), answers (`Response`), or tells of a failure (`Fault`)."""
    style = _STYLES[door]
    elements = {operation: style.element(operation, kind) for operation in style.operations}
    if door.has_ksz_faults:
        elements[Operation.HEALTH_CHECK] = style.element(names.SEND_TEST_MESSAGE, kind)
    elif door is Door.FACADE:
        elements[Operation.HEALTH_CHECK] = names.qname(names.MONITORING, f"HealthCheck{kind}")
    return elements


_REQUEST_OF: Final = {door: _elements_of(door, "Request") for door in Door}
_RESPONSE_OF: Final = {door: _elements_of(door, "Response") for door in Door}
_FAULT_OF: Final = {door: _elements_of(door, "Fault") for door in Door if door.has_ksz_faults}
_REQUESTS: Final[Mapping[Door, Mapping[str, Operation]]] = MappingProxyType(
    {
        door: MappingProxyType({element: operation for operation, element in elements.items()})
        for door, elements in _REQUEST_OF.items()
    }
)
_ANSWERS: Final = {
    request: _RESPONSE_OF[door][operation] for door in Door for request, operation in _REQUESTS[door].items()
}
