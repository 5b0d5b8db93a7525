"""One signed call without its transport: a request becomes bytes to send, the bytes that come back an answer.

Replies pass the same parser as requests, with limits of their own, and the schema, and must be the answer to what was
asked (SEC-68). They are not signed, by contract (SEC-66): TLS vouches for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

from lxml import etree

from cbss_inscription import names
from cbss_inscription.client.errors import FaultReceived, ReplyUnreadable
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.read import read_response
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.contract.write import write_request
from cbss_inscription.domain.customer import InformationCbss
from cbss_inscription.domain.errors import MessageRejected, UsageError
from cbss_inscription.domain.requests import HealthCheck, Request, operation_of
from cbss_inscription.domain.results import Result
from cbss_inscription.envelope.soap11 import envelope_of, read_reply
from cbss_inscription.safe_xml import parse
from cbss_inscription.security.sign import Signer, sign
from cbss_inscription.xml_limits import XmlLimits

ResultT_co = TypeVar("ResultT_co", bound=Result, covariant=True)
REPLY_BYTES_MAX: Final = 4_194_304
"""How much of a reply is read: a page of 500 lines, or all lines of a context after a declaration, is well below."""
REPLY_ELEMENTS_MAX: Final = 150_000
"""Elements in a reply: as many as lines of `REPLY_BYTES_MAX` have."""
FAULT_WORD_CHARS_MAX: Final = 500
"""Characters kept of a word in a fault."""
_REPLY_LIMITS: Final = XmlLimits(size_bytes_max=REPLY_BYTES_MAX, elements_max=REPLY_ELEMENTS_MAX)
_OK: Final = 200
_FAULT: Final = frozenset({500, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCall:
    """What to send: an HTTP POST of `body` with `headers`."""

    request: Request = field(repr=False)
    door: Door
    headers: dict[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[ResultT_co]):
    """What the service answered, with both messages as they went over the wire.

    `information_cbss` has the service's own ticket and times; healthCheck has none.
    """

    result: ResultT_co
    information_cbss: InformationCbss | None
    sent: bytes = field(repr=False)
    received: bytes = field(repr=False)


def prepare(request: Request, *, signer: Signer, now: datetime, door: Door = Door.FACADE) -> PreparedCall:
    """The signed message that asks for `request` at `door`.

    Raises `SchemaViolation` when the request breaks the contract: better told here than by the service. Raises
    `UsageError` for a text that XML cannot carry.
    """
    try:
        element = write_request(request, door=door)
    except ValueError:
        # `from None`: the cause may quote the text, which may be a name.
        raise UsageError("the request has a text with a character that XML cannot carry") from None
    schema_of(door).validate(element)
    return PreparedCall(
        request=request,
        door=door,
        headers={
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": f'"{door.soap_action(operation_of(request))}"',
        },
        body=sign(envelope_of(element), signer=signer, now=now),
    )


def read_answer(call: PreparedCall, *, status: int, charset: str | None, body: bytes) -> Answer[Result]:
    """The answer in an HTTP response. Raises `FaultReceived` or `ReplyUnreadable`."""
    if status != _OK and status not in _FAULT:
        raise ReplyUnreadable(f"http-status-{status}")
    try:
        element = read_reply(parse(body, charset=charset, limits=_REPLY_LIMITS))
        if element.tag == names.SOAP_FAULT:
            raise _fault_of(element)
        if status != _OK:
            raise ReplyUnreadable(f"http-status-{status}")
        if element.tag != call.door.response_element(operation_of(call.request)):
            raise ReplyUnreadable("other-operation")
        schema_of(call.door).validate_response(element)
        response = read_response(element)
    except MessageRejected as error:
        raise ReplyUnreadable(error.reason) from error
    if not isinstance(call.request, HealthCheck) and response.information_customer != call.request.information_customer:
        raise ReplyUnreadable("other-ticket")
    return Answer(result=response.result, information_cbss=response.information_cbss, sent=call.body, received=body)


def one_line(text: str) -> str:
    """The text as one line that a terminal can show: a server may write what it likes, and people read it."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _fault_of(fault: etree._Element) -> FaultReceived:
    code = _plain(fault.findtext("detail/*/detail/reasonCode")) or _plain(fault.findtext("faultstring"))
    detail = fault.find(f"detail/{names.SYSTEM_ERROR}")
    if detail is None:
        detail = fault.find(f"detail/{names.BUSINESS_ERROR}")
    message = _plain(fault.findtext("detail/*/detail/diagnostic"))  # KSZ's way; RSZ's follows
    ticket = _plain(fault.findtext("detail/*/informationCBSS/ticketCBSS")) or None
    retry = False
    if detail is not None:
        code = _plain(detail.findtext(names.qname(names.ERRORS, "Code"))) or code
        message = _plain(detail.findtext(names.qname(names.ERRORS, "Message")))
        retry = detail.findtext(names.qname(names.ERRORS, "Retry")) in {"true", "1"}
        ticket = _plain(detail.get("Id")) or None
    return FaultReceived(
        code=code,
        fault_code=_plain(fault.findtext("faultcode")).rpartition(":")[2],
        ticket=ticket,
        message=message,
        retry=retry,
    )


def _plain(text: str | None) -> str:
    return one_line(text or "")[:FAULT_WORD_CHARS_MAX]
