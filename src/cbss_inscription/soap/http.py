"""The SOAP doors' only knowledge of HTTP: a bare ASGI application (SEC-06 to SEC-11, SEC-65).

What reaches us is a parsed request: where it ended, the application server has decided. What of its framing can still
be seen here is judged here (docs/decisions/0020-framing-of-requests.md).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

import msgspec

from cbss_inscription import names
from cbss_inscription.soap.message import XML_CONTENT_TYPE, RawMessage, Reply, Sender

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_CONTENT_TYPE: Final = re.compile(
    r'text/xml\s*(?:;\s*charset\s*=\s*(?:"(?P<quoted>[\w.:-]{1,40})"|(?P<bare>[\w.:-]{1,40}))\s*)?;?',
    re.IGNORECASE,
)
CONTENT_TYPE_CHARS_MAX: Final = 128
"""Characters of a Content-Type that is looked at: the expression above is quadratic in blanks."""
_LENGTH: Final = re.compile(r"[0-9]{1,19}")
"""A Content-Length that can be one; `str.isdigit` and `int` take more than HTTP does, and refuse by another error."""
_MILLISECONDS: Final = re.compile(r"[0-9]{1,7}")
_ANSWER_WITHIN: Final = names.ANSWER_WITHIN.lower()
_SINGLE: Final = frozenset(
    {"content-type", "content-length", "content-encoding", "transfer-encoding", "host", "soapaction"}
)
"""Headers that decide where a message ends or how it is read: none of them stands twice (SEC-11)."""
_TEXT: Final = "text/plain; charset=utf-8"


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of HTTP a door takes; every limit may be set in the settings file, within its range."""

    body_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=16_777_216)] = 1_048_576
    """SEC-09."""
    body_seconds_max: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    """For the whole body to arrive (SEC-10)."""
    header_count_max: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100
    """SEC-09."""
    header_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 16_384
    """Names and values together (SEC-09)."""
    requests_at_once_max: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 256
    """Messages in hand in one worker, each arrived whole; more are refused with 503 (SEC-10)."""
    arriving_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=1_073_741_824)] = 67_108_864
    """Of all messages that are arriving in one worker; what would pass it is refused with 503 (SEC-10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BelievedOfSender:
    """What a listener takes for true of who sends a message; nothing, unless it is told to (SEC-02).

    Headers by their names in lower case.
    """

    certificate_header: str | None = None
    """The header in which whoever ended TLS hands over the client certificate."""
    address_header: str | None = None
    """The header in which whoever ended TLS hands over the address that the connection came from."""
    peer_address: bool = False
    """Whether the address at the other end of the connection is the sender's."""


_NOTHING: Final = BelievedOfSender()


class SoapDoor(Protocol):
    """A pipeline behind a path."""

    async def answer(self, message: RawMessage) -> Reply:
        """The reply to a message; never raises."""
        ...

    def busy(self) -> Reply:
        """The reply when there is no room for another message: SOA-02002."""
        ...

    def document(self, query_string: str) -> tuple[bytes, str] | None:
        """The description asked for, with its content type; None when there is none of that name."""
        ...


class _NoRoom(Exception):
    """There is no room for another message now."""


class _Refused(Exception):
    """An HTTP request that never becomes a message."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers


class SoapApplication:
    """The ASGI application: each path a door, POST a message, GET a description."""

    def __init__(
        self,
        *,
        doors: Mapping[str, SoapDoor],
        limits: HttpLimits,
        lifespan: Callable[[], AbstractAsyncContextManager[None]],
        believed: BelievedOfSender = _NOTHING,
        is_draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._doors = doors
        self._is_draining = is_draining
        self._limits = limits
        self._believed = believed
        said = (believed.certificate_header, believed.address_header)
        self._single = _SINGLE | {name for name in said if name is not None}
        self._lifespan = lifespan
        self._requests_now = 0
        self._arriving_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope, as ASGI says."""
        match scope["type"]:
            case "lifespan":
                await live(self._lifespan, receive, send)
            case "http":
                await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, body, content_type = await self._answer(scope, receive)
        except _Refused as refused:
            await respond(
                send, refused.status, refused.sentence.encode(), _TEXT, self._headers_of_reply(refused.headers)
            )
        else:
            await respond(send, status, body, content_type, self._headers_of_reply({}))

    def _headers_of_reply(self, headers: dict[str, str]) -> dict[str, str]:
        """The same; and that the connection ends here, when the service is about to."""
        return {**headers, "connection": "close"} if self._is_draining() else headers

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes, str]:
        headers = self._headers(scope["headers"])
        _check_framing(headers)
        door = self._doors.get(scope["path"])
        if door is None:
            raise _Refused(404, "There is no service at this path.")
        match scope["method"]:
            case "POST":
                reply = await self._post(door, headers, receive, self._sender(headers, scope))
                return reply.status, reply.body, XML_CONTENT_TYPE
            case "GET":
                document = door.document(scope["query_string"].decode("latin-1"))
                if document is None:
                    raise _Refused(404, "There is no such description: try ?wsdl.")
                return 200, *document
            case _:
                raise _Refused(405, "Send a SOAP message by POST, or GET ?wsdl.", allow="GET, POST")

    def _sender(self, headers: dict[str, str], scope: Scope) -> Sender:
        """What of the connection, and of what was said of it before us, this listener believes."""
        believed = self._believed
        if believed.peer_address:
            client = scope.get("client")
            return Sender(address=client[0] if client else None)
        return Sender(
            client_certificate=_said(headers, believed.certificate_header),
            address=_said(headers, believed.address_header),
        )

    async def _post(self, door: SoapDoor, headers: dict[str, str], receive: Receive, sender: Sender) -> Reply:
        charset = _charset(headers)
        try:
            body = await self._body(receive, headers)
        except _NoRoom:
            return door.busy()
        # Only whole messages take a place: slow senders would hold all of them.
        if self._requests_now >= self._limits.requests_at_once_max:
            return door.busy()
        self._requests_now += 1
        try:
            action = headers.get("soapaction", "").strip().strip('"')
            return await door.answer(
                RawMessage(
                    body=body,
                    charset=charset,
                    soap_action=action or None,
                    answer_within_seconds=_patience(headers),
                    sender=sender,
                )
            )
        finally:
            self._requests_now -= 1

    def _headers(self, raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
        headers: dict[str, str] = {}
        size_bytes = 0
        for count, (name, value) in enumerate(raw, start=1):
            size_bytes += len(name) + len(value)
            if count > self._limits.header_count_max or size_bytes > self._limits.header_bytes_max:
                raise _Refused(431, "Too many headers.", connection="close")
            key = name.decode("latin-1").lower()
            if key in headers and key in self._single:
                raise _Refused(400, "A header stands twice.", connection="close")
            headers[key] = value.decode("latin-1")
        return headers

    async def _body(self, receive: Receive, headers: dict[str, str]) -> bytes:
        if int(headers.get("content-length", "0")) > self._limits.body_bytes_max:
            raise _Refused(413, f"A message has at most {self._limits.body_bytes_max} bytes.")
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds_max):
                while True:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise _Refused(400, "The message broke off.")
                    part = event.get("body", b"")
                    if len(body) + len(part) > self._limits.body_bytes_max:
                        raise _Refused(413, f"A message has at most {self._limits.body_bytes_max} bytes.")
                    if self._arriving_bytes + len(part) > self._limits.arriving_bytes_max:
                        raise _NoRoom
                    self._arriving_bytes += len(part)
                    body += part
                    if not event.get("more_body", False):
                        return bytes(body)
        except TimeoutError as error:
            raise _Refused(408, "The message took too long to arrive.") from error
        finally:
            self._arriving_bytes -= len(body)


def _check_framing(headers: dict[str, str]) -> None:
    """Nothing, when the message has one beginning and one end. Raises `_Refused` (SEC-11).

    What follows on the connection may be the second half of what somebody before us took for one message: it is closed.
    """
    if "transfer-encoding" in headers:
        if "content-length" in headers:
            raise _Refused(400, "State the length or send in chunks, not both.", connection="close")
        if headers["transfer-encoding"].strip().lower() != "chunked":
            raise _Refused(400, "Send the message in chunks without another transfer coding.", connection="close")
    elif not _LENGTH.fullmatch(headers.get("content-length", "0")):
        raise _Refused(400, "The stated length is no number of bytes.", connection="close")


def _said(headers: dict[str, str], name: str | None) -> str | None:
    return None if name is None else headers.get(name)


def _patience(headers: dict[str, str]) -> float | None:
    """The seconds that the caller waits, if it says so in a way that can be read."""
    shape = _MILLISECONDS.fullmatch(headers.get(_ANSWER_WITHIN, ""))
    return None if shape is None else int(shape[0]) / 1000


def _charset(headers: dict[str, str]) -> str | None:
    """The charset parameter of an acceptable message; only text/xml and no content coding are (SEC-07, SEC-08)."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise _Refused(415, "Send the message without content coding.")
    content_type = headers.get("content-type", "").strip()
    shape = _CONTENT_TYPE.fullmatch(content_type) if len(content_type) <= CONTENT_TYPE_CHARS_MAX else None
    if shape is None:
        raise _Refused(415, "Send SOAP 1.1 as text/xml.")
    return shape["quoted"] or shape["bare"]


async def live(lifespan: Callable[[], AbstractAsyncContextManager[None]], receive: Receive, send: Send) -> None:
    """Nothing; an application lived, from its start to its end, as ASGI's lifespan protocol says."""
    await receive()
    phase = "startup"
    try:
        async with lifespan():
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except Exception as error:
        await send({"type": f"lifespan.{phase}.failed", "message": type(error).__name__})
        raise
    await send({"type": "lifespan.shutdown.complete"})


async def respond(
    send: Send, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None
) -> None:
    """Nothing; the reply is sent, whole, for no one to keep (SEC-65)."""
    fields = {
        "content-type": content_type,
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "server": "",  # else the application server adds its own name (SEC-65)
        **(headers or {}),
    }
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
