"""The way to the service and back: TLS with the profile's CA bundle, no proxy from the environment, no redirects.

A call has one deadline, for a server that sends a little now and then keeps within any timeout of a single read. A
coroutine is cancelled at its deadline. A blocking call cannot be, and httpx has timeouts of single operations only: so
its connections are given what is left of the call's time at each of them.

Coroutines have a way of their own (`client.async_transport`), whose library a command need not import.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from pathlib import Path
from time import monotonic
from typing import Any, Final, Self, TypeVar

import httpcore
import httpx

from cbss_inscription.client.call import REPLY_BYTES_MAX, Answer, PreparedCall, read_answer
from cbss_inscription.client.errors import Obstacle, ReplyUnreadable, ServiceUnreachable
from cbss_inscription.client.profile import ClientCertificate, Destination
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.results import Result

CONNECTIONS_MAX: Final = 100
"""Connections of one client at a time; this and the following as httpx has them by default."""
CONNECTIONS_KEPT_MAX: Final = 20
"""Connections that a blocking client keeps for the calls to come; from coroutines all are kept."""
CONNECTION_KEPT_SECONDS: Final = 5.0
"""How long a connection is kept without a call."""

_Kind = TypeVar("_Kind", bound=BaseException)
_deadline: Final[ContextVar[float]] = ContextVar("deadline")
"""When the blocking call of this thread must have ended, by the monotonic clock, in seconds."""


class Transport:
    """Sends calls, one after the other or from several threads, over connections that are kept."""

    def __init__(self, profile: Destination) -> None:
        checked_url(profile.url)
        self._profile = profile
        self._timeout_seconds = profile.timeout_seconds
        self._http = httpx.Client(
            transport=_DeadlineTransport(tls_context(profile.ca, profile.tls)),
            timeout=profile.timeout_seconds,
            trust_env=False,
            follow_redirects=False,
        )

    def send(self, call: PreparedCall) -> Answer[Result]:
        """The answer to `call`, from its door's address. Raises `CallFailed`; nothing is sent a second time.

        Outside the deadline: looking up the host's name, and, of several addresses, those after the first to fail.
        """
        url = checked_url(self._profile.address_of(call.door))
        _deadline.set(monotonic() + self._timeout_seconds)
        try:
            with self._http.stream("POST", url, headers=call.headers, content=call.body) as response:
                received = bytearray()
                for part in response.iter_raw():
                    append(received, part)
        except httpx.HTTPError as error:
            raise _unreachable(url, error) from error
        return _answer(call, response, bytes(received))

    def close(self) -> None:
        """Nothing; the connections are closed."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def fetch(url: str, *, context: ssl.SSLContext, seconds_max: float) -> bytes:
    """What a GET of the URL gives: status 200, as it stands, within `REPLY_BYTES_MAX`; no redirect is followed.

    Raises `UsageError` for a URL that is none or gives something else, `CallFailed` when nothing readable comes.
    """
    checked_url(url)
    _deadline.set(monotonic() + seconds_max)
    try:
        with (
            httpx.Client(
                transport=_DeadlineTransport(context), timeout=seconds_max, trust_env=False, follow_redirects=False
            ) as client,
            client.stream("GET", url, headers={"accept-encoding": "identity"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise UsageError(f"{url}: HTTP status {response.status_code}")
            received = bytearray()
            for part in response.iter_raw():
                append(received, part)
    except httpx.HTTPError as error:
        raise _unreachable(url, error) from error
    return bytes(received)


class _DeadlineTransport(httpx.HTTPTransport):
    """httpx's own, over connections that keep the deadline; httpx has no argument for these."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_KEPT_MAX,
            keepalive_expiry=CONNECTION_KEPT_SECONDS,
            network_backend=_DeadlineBackend(),
        )


class _DeadlineBackend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # the deadline says more
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = super().connect_tcp(host, port, _seconds_left(), local_address, socket_options)
        return _DeadlineStream(stream)


class _DeadlineStream(httpcore.NetworkStream):
    """A connection, plain or TLS, on which every operation ends at the deadline of the call that asks for it."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _seconds_left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _seconds_left())

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, _seconds_left()))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  # httpcore's word
        return self._stream.get_extra_info(info)


def _seconds_left() -> float:
    left = _deadline.get() - monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left


def tls_context(ca: Path, shown: ClientCertificate | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later, trusting exactly the authorities in `ca` (SEC-04), which shows this certificate if asked.

    Raises `UsageError` for a bad file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        raise UsageError(f"{ca}: no certificate of an authority in it") from error
    except OSError as error:
        raise UsageError(f"{ca}: {error.strerror}") from error
    if shown is not None:
        _show(shown, context)
    return context


def _show(shown: ClientCertificate, context: ssl.SSLContext) -> None:
    for path in (shown.certificate, shown.private_key):
        if not path.is_file():  # OpenSSL does not say which of the two
            raise UsageError(f"{path}: there is no such file")
    try:
        # An empty password: else OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(shown.certificate, shown.private_key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(f"{shown.certificate} and {shown.private_key} are no PEM certificate with its key") from error


def checked_url(url: str) -> str:
    """The same URL. Raises `UsageError` when no request can be sent there."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UsageError(f"'{url}' is no URL: {error}") from error
    if parsed.scheme not in {"https", "http"} or not parsed.host:
        raise UsageError(f"'{url}' is no URL of a service: it begins with https:// and names a host")
    return url


def media_type_of(said: Sequence[str]) -> str:
    """What a reply says that it is; nothing, where it says two things or none."""
    types = {one.partition(";")[0].strip().lower() for one in said}
    return types.pop() if len(types) == 1 else ""


def append(received: bytearray, part: bytes) -> None:
    """Nothing; the part stands behind what was received. Raises `ReplyUnreadable` beyond `REPLY_BYTES_MAX`."""
    if len(received) + len(part) > REPLY_BYTES_MAX:
        raise ReplyUnreadable("size")
    received.extend(part)


def _answer(call: PreparedCall, response: httpx.Response, received: bytes) -> Answer[Result]:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ReplyUnreadable("content-encoding")
    return read_answer(
        call,
        status=response.status_code,
        media_type=media_type_of(response.headers.get_list("content-type")),
        charset=response.charset_encoding,
        body=received,
    )


def _unreachable(url: str, error: httpx.HTTPError) -> ServiceUnreachable:
    host = httpx.URL(url).netloc.decode("ascii")
    # What a connection is made by, TLS with it, comes before the message; of anything else nobody knows.
    was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    if isinstance(error, httpx.TimeoutException):
        return not_in_time(host, was_sent=was_sent)
    untrusted = tls_failure(host, error, was_sent=was_sent)
    if untrusted is not None:
        return untrusted
    reset = _cause(error, ConnectionError)
    was_reached = was_sent or (reset is not None and was_connected(reset))
    obstacle = Obstacle.BROKEN if was_reached else Obstacle.UNREACHABLE
    return ServiceUnreachable(f"{host} cannot be reached: {error}", obstacle=obstacle, was_sent=was_sent)


def was_connected(error: OSError) -> bool:
    """Whether there was a connection before: one may be reset while TLS begins, which aiohttp does not tell apart."""
    return isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError)


def not_in_time(host: str, *, was_sent: bool) -> ServiceUnreachable:
    """What is told when the deadline came first."""
    return ServiceUnreachable(f"{host} did not reply in time", obstacle=Obstacle.TIMEOUT, was_sent=was_sent)


def tls_failure(host: str, error: Exception, *, was_sent: bool) -> ServiceUnreachable | None:
    """What is told when TLS failed, which is what a library's own error comes from; None when it did not."""
    cause = _cause(error, ssl.SSLError)
    if cause is None:
        return None
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"the TLS certificate of {host} is not trusted: {cause.verify_message}"
    else:
        text = f"no TLS connection to {host}: {cause.reason or cause}"
    return ServiceUnreachable(text, obstacle=Obstacle.UNTRUSTED, was_sent=was_sent)


def _cause(error: BaseException, kind: type[_Kind]) -> _Kind | None:
    """The error of this kind that a library's own comes from; None when there is none."""
    cause = error.__cause__ or error.__context__
    while cause is not None and not isinstance(cause, kind):
        cause = cause.__cause__ or cause.__context__
    return cause
