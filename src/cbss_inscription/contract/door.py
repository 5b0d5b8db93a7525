"""The two doors of the service and which elements each takes and gives (contract.md section 1)."""

from __future__ import annotations

from collections.abc import Mapping
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


class Door(StrEnum):
    """An entrance with its own style of names; the types of the messages are the same at both."""

    FACADE = "facade"
    """CBSSInscription, in the style of RSZ."""
    KSZ = "ksz"
    """InscriptionService, in the style of KSZ."""

    @property
    def path(self) -> str:
        """The path of the endpoint, after the public base URL."""
        return names.FACADE_PATH if self is Door.FACADE else names.KSZ_PATH

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
        return _RESPONSE_OF[_REQUEST_OF[self][operation]]

    def soap_action(self, operation: Operation) -> str:
        """The soapAction that the WSDL publishes for `operation`; the service never decides by it (SEC-16)."""
        if self is Door.FACADE:
            return names.FACADE_ACTION + operation
        return names.KSZ_ACTION + (names.SEND_TEST_MESSAGE if operation is Operation.HEALTH_CHECK else operation)


def response_element_of(request_element: str) -> str:
    """The root element of the answer to a request's root element; KeyError when it is no request."""
    return _RESPONSE_OF[request_element]


def fault_element_of(request_element: str) -> str | None:
    """The element of a fault's detail, `<operation>Fault`, at the KSZ door; None for every other element."""
    return _FAULT_OF.get(request_element)


_KSZ_NAMES: Final = (*INSCRIPTION_OPERATIONS, names.SEND_TEST_MESSAGE)
_REQUESTS: Final[Mapping[Door, Mapping[str, Operation]]] = MappingProxyType(
    {
        Door.FACADE: MappingProxyType(
            {names.facade_element(operation, "Request"): operation for operation in INSCRIPTION_OPERATIONS}
            | {names.HEALTH_CHECK_REQUEST: Operation.HEALTH_CHECK}
        ),
        Door.KSZ: MappingProxyType(
            {names.ksz_element(operation, "Request"): operation for operation in INSCRIPTION_OPERATIONS}
            | {names.ksz_element(names.SEND_TEST_MESSAGE, "Request"): Operation.HEALTH_CHECK}
        ),
    }
)
_REQUEST_OF: Final = {
    door: {operation: element for element, operation in requests.items()} for door, requests in _REQUESTS.items()
}
_RESPONSE_OF: Final = (
    {
        names.facade_element(operation, "Request"): names.facade_element(operation, "Response")
        for operation in INSCRIPTION_OPERATIONS
    }
    | {names.ksz_element(name, "Request"): names.ksz_element(name, "Response") for name in _KSZ_NAMES}
    | {names.HEALTH_CHECK_REQUEST: names.HEALTH_CHECK_RESPONSE}
)
_FAULT_OF: Final = {names.ksz_element(name, "Request"): names.ksz_element(name, "Fault") for name in _KSZ_NAMES}
