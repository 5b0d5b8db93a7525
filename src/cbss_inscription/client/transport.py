"""The way to the service and back: TLS with the profile's CA bundle, no proxy from the environment, no redirects."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Self

import httpx

from cbss_inscription.client.call import REPLY_BYTES_MAX, Answer, PreparedCall, read_answer
from cbss_inscription.client.errors import ReplyUnreadable, ServiceUnreachable
from cbss_inscription.client.profile import Profile
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.results import Result


class Transport:
    """Sends calls, one after the other or from several threads, over connections that are kept."""

    def __init__(self, profile: Profile) -> None:
        self._url = _checked_url(profile.url)
        self._http = httpx.Client(
            verify=tls_context(profile.ca), timeout=profile.timeout_seconds, trust_env=False, follow_redirects=False
        )

    def send(self, call: PreparedCall) -> Answer[Result]:
        """The answer to `call`. Raises `CallFailed`; nothing is sent a second time."""
        try:
            with self._http.stream("POST", self._url, headers=call.headers, content=call.body) as response:
                received = bytearray()
                for part in response.iter_raw():
                    _append(received, part)
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from error
        return _answer(call, response, bytes(received))

    def close(self) -> None:
        """Nothing; the connections are closed."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncTransport:
    """Sends calls from coroutines, over connections that are kept."""

    def __init__(self, profile: Profile) -> None:
        self._url = _checked_url(profile.url)
        self._http = httpx.AsyncClient(
            verify=tls_context(profile.ca), timeout=profile.timeout_seconds, trust_env=False, follow_redirects=False
        )

    async def send(self, call: PreparedCall) -> Answer[Result]:
        """See `Transport.send`."""
        try:
            async with self._http.stream("POST", self._url, headers=call.headers, content=call.body) as response:
                received = bytearray()
                async for part in response.aiter_raw():
                    _append(received, part)
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from error
        return _answer(call, response, bytes(received))

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        await self._http.aclose()


def tls_context(ca: Path) -> ssl.SSLContext:
    """TLS 1.2 or later, trusting exactly the authorities in `ca` (SEC-04). Raises `UsageError` for a bad file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        raise UsageError(f"{ca}: no certificate of an authority in it") from error
    except OSError as error:
        raise UsageError(f"{ca}: {error.strerror}") from error
    return context


def _checked_url(url: str) -> str:
    """The same URL. Raises `UsageError` when no request can be sent there."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UsageError(f"'{url}' is no URL: {error}") from error
    if parsed.scheme not in {"https", "http"} or not parsed.host:
        raise UsageError(f"'{url}' is no URL of a service: it begins with https:// and names a host")
    return url


def _append(received: bytearray, part: bytes) -> None:
    if len(received) + len(part) > REPLY_BYTES_MAX:
        raise ReplyUnreadable("size")
    received.extend(part)


def _answer(call: PreparedCall, response: httpx.Response, received: bytes) -> Answer[Result]:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ReplyUnreadable("content-encoding")
    return read_answer(call, status=response.status_code, charset=response.charset_encoding, body=received)


def _unreachable(url: str, error: httpx.HTTPError) -> ServiceUnreachable:
    host = httpx.URL(url).netloc.decode("ascii")
    if isinstance(error, httpx.TimeoutException):
        return ServiceUnreachable(f"{host} did not reply in time")
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ServiceUnreachable(f"the TLS certificate of {host} is not trusted: {cause.verify_message}")
    if isinstance(cause, ssl.SSLError):
        return ServiceUnreachable(f"no TLS connection to {host}: {cause.reason or cause}")
    return ServiceUnreachable(f"{host} cannot be reached: {error}")
