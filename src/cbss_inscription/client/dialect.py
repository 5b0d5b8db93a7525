"""How a service is spoken to: its names, its actions, its shapes. The one thing that differs between two services.

`DoorDialect` is that of our own contract, at any of its doors. A service with other names needs another `Dialect`, and
nothing else of the client changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from lxml.etree import _Element

from cbss_inscription import names
from cbss_inscription.client.errors import FaultReceived, ReplyUnreadable
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.read import Response, read_response
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.contract.write import write_request
from cbss_inscription.domain.requests import Request, operation_of

FAULT_WORD_CHARS_MAX: Final = 500
"""Characters kept of a word in a fault."""


class Dialect(Protocol):
    """What a client must know of a service to ask it and to understand its answers."""

    @property
    def door(self) -> Door:
        """The door of ours whose place the service has."""
        ...

    def soap_action(self, request: Request) -> str:
        """What the SOAPAction header says beside `request`."""
        ...

    def write(self, request: Request) -> _Element:
        """The valid element that asks for `request`.

        Raises ValueError for a text that XML cannot carry, `UsageError` and `SchemaViolation` for what has no place.
        """
        ...

    def read(self, request: Request, element: _Element) -> Response:
        """What `element`, the reply to `request`, says. Raises `ReplyUnreadable`; `MessageRejected` does as well."""
        ...

    def read_fault(self, fault: _Element) -> FaultReceived:
        """What a SOAP fault says, in our words."""
        ...


@dataclass(frozen=True, slots=True)
class DoorDialect:
    """The `Dialect` of a door of our contract."""

    door: Door

    def soap_action(self, request: Request) -> str:
        """See `Dialect.soap_action`."""
        return self.door.soap_action(operation_of(request))

    def write(self, request: Request) -> _Element:
        """See `Dialect.write`."""
        element = write_request(request, door=self.door)
        schema_of(self.door).validate(element)
        return element

    def read(self, request: Request, element: _Element) -> Response:
        """See `Dialect.read`."""
        if element.tag != self.door.response_element(operation_of(request)):
            raise ReplyUnreadable("other-operation")
        schema_of(self.door).validate_response(element)
        return read_response(element)

    def read_fault(self, fault: _Element) -> FaultReceived:
        """See `Dialect.read_fault`."""
        code = plain(fault.findtext("detail/*/detail/reasonCode")) or plain(fault.findtext("faultstring"))
        detail = fault.find(f"detail/{names.SYSTEM_ERROR}")
        if detail is None:
            detail = fault.find(f"detail/{names.BUSINESS_ERROR}")
        message = plain(fault.findtext("detail/*/detail/diagnostic"))  # KSZ's way; RSZ's follows
        ticket = plain(fault.findtext("detail/*/informationCBSS/ticketCBSS")) or None
        retry = False
        if detail is not None:
            code = plain(detail.findtext(names.qname(names.ERRORS, "Code"))) or code
            message = plain(detail.findtext(names.qname(names.ERRORS, "Message")))
            retry = detail.findtext(names.qname(names.ERRORS, "Retry")) in {"true", "1"}
            ticket = plain(detail.get("Id")) or None
        return FaultReceived(code=code, fault_code=fault_side(fault), ticket=ticket, message=message, retry=retry)


def fault_side(fault: _Element) -> str:
    """Whose failure a SOAP fault says that it is: `Client`, `Server` or another word, without its prefix."""
    return plain(fault.findtext("faultcode")).rpartition(":")[2]


def plain(text: str | None) -> str:
    """The text as one short line, for words that a service chose."""
    return one_line(text or "")[:FAULT_WORD_CHARS_MAX]


def one_line(text: str) -> str:
    """The text as one line that a terminal can show: a server may write what it likes, and people read it."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
