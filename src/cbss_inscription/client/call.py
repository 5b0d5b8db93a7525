"""One signed call without its transport: a request becomes bytes to send, the bytes that come back an answer.

Replies pass the same parser as requests, with limits of their own, and the schema, and must be the answer to what was
asked (SEC-68). They are not signed, by contract (SEC-66): TLS vouches for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

from cbss_inscription import names
from cbss_inscription.client.dialect import Dialect, DoorDialect
from cbss_inscription.client.errors import ReplyUnreadable
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.read import read_request
from cbss_inscription.domain.customer import InformationCbss
from cbss_inscription.domain.errors import MessageRejected, UsageError
from cbss_inscription.domain.requests import HealthCheck, Request
from cbss_inscription.domain.results import Result
from cbss_inscription.envelope.soap11 import read_reply, write_envelope
from cbss_inscription.safe_xml import parse
from cbss_inscription.security.sign import Signer, sign_payload
from cbss_inscription.xml_limits import XmlLimits

ResultT_co = TypeVar("ResultT_co", bound=Result, covariant=True)
REPLY_BYTES_MAX: Final = 4_194_304
"""How much of a reply is read: a page of 500 lines, or all lines of a context after a declaration, is well below."""
REPLY_ELEMENTS_MAX: Final = 150_000
"""Elements in a reply: as many as lines of `REPLY_BYTES_MAX` have."""
_REPLY_LIMITS: Final = XmlLimits(size_bytes_max=REPLY_BYTES_MAX, elements_max=REPLY_ELEMENTS_MAX)
_XML: Final = "text/xml"
"""The one media type of SOAP 1.1."""
_OK: Final = 200
_FAULT: Final = frozenset({500, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCall:
    """What to send: an HTTP POST of `body` with `headers`."""

    request: Request = field(repr=False)
    dialect: Dialect
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def door(self) -> Door:
        """The door of ours whose place the service has."""
        return self.dialect.door


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
    """The signed message that asks for `request` at a door of our own contract. Raises as `prepare_in` does."""
    return prepare_in(DoorDialect(door), request, signer=signer, now=now)


def prepare_in(dialect: Dialect, request: Request, *, signer: Signer | None, now: datetime) -> PreparedCall:
    """The message that asks for `request` in a service's own names; signed, unless the service knows us otherwise.

    Raises `SchemaViolation` when the request breaks the contract: better told here than by the service. Raises
    `UsageError` for a text that XML cannot carry.
    """
    try:
        element = dialect.write(request)
    except ValueError:
        # `from None`: the cause may quote the text, which may be a name.
        raise UsageError("the request has a text with a character that XML cannot carry") from None
    return PreparedCall(
        request=request,
        dialect=dialect,
        headers={
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": f'"{dialect.soap_action(request)}"',
        },
        body=write_envelope(element) if signer is None else sign_payload(element, signer=signer, now=now),
    )


def read_answer(
    call: PreparedCall, *, status: int, media_type: str, charset: str | None, body: bytes
) -> Answer[Result]:
    """The answer in an HTTP response. Raises `FaultReceived` or `ReplyUnreadable`."""
    if status != _OK and status not in _FAULT:
        raise ReplyUnreadable(f"http-status-{status}")
    if media_type != _XML:
        raise ReplyUnreadable("content-type")
    try:
        element = read_reply(parse(body, charset=charset, limits=_REPLY_LIMITS))
        if element.tag == names.SOAP_FAULT:
            raise call.dialect.read_fault(element)
        if status != _OK:
            raise ReplyUnreadable(f"http-status-{status}")
        response = call.dialect.read(call.request, element)
        is_ours = response.asked is None or _is_ours(response.asked, call)
    except MessageRejected as error:
        raise ReplyUnreadable(error.reason) from error
    if not isinstance(call.request, HealthCheck) and response.information_customer != call.request.information_customer:
        raise ReplyUnreadable("other-ticket")
    if not is_ours:  # under our ticket: perhaps ours, gone astray on the way there
        raise ReplyUnreadable("other-question")
    return Answer(result=response.result, information_cbss=response.information_cbss, sent=call.body, received=body)


def _is_ours(asked: Request, call: PreparedCall) -> bool:
    """Whether what a reply repeats is what was sent: the request, or what became of it on the wire.

    An application may say a day or a text in a value of another kind, such as a `Period` for a `GivenPeriod`.
    """
    return asked == call.request or asked == read_request(call.dialect.write(call.request))
