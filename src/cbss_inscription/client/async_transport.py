"""The way to the service and back from coroutines, with the rules of `client.transport`.

By way of aiohttp, since a façade sends one message for each that it gets: aiohttp takes a fifth of the processor's time
that httpx does, and cannot be had for blocking calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import StreamWriter
from yarl import URL

from cbss_inscription import names
from cbss_inscription.client.call import Answer, PreparedCall, read_answer
from cbss_inscription.client.errors import Obstacle, ReplyUnreadable, ServiceUnreachable
from cbss_inscription.client.profile import Destination
from cbss_inscription.client.transport import (
    CONNECTION_KEPT_SECONDS,
    CONNECTIONS_MAX,
    append,
    checked_url,
    media_type_of,
    not_in_time,
    tls_context,
    tls_failure,
    was_connected,
)
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.results import Result

HEADERS_MAX: Final = 100
"""Headers of a reply to a coroutine's call, each of up to `HEADER_BYTES_MAX`: no service sends half as many."""
HEADER_BYTES_MAX: Final = 8_190
"""How long the first line of a reply may be, and each header."""
ANNOUNCED: Final = 0.9
"""The part of our patience that a service is told: its answer, also that it has none, needs time to come back."""


class AsyncTransport:
    """Sends calls from coroutines of one loop, over connections that are kept: HTTP/1.1, `connections_max` of them."""

    def __init__(
        self,
        profile: Destination,
        *,
        connections_max: int = CONNECTIONS_MAX,
        connection_kept_seconds: float = CONNECTION_KEPT_SECONDS,
    ) -> None:
        checked_url(profile.url)
        self._profile = profile
        self._urls: dict[Door, URL] = {}
        self._timeout_seconds = profile.timeout_seconds
        self._tls = tls_context(profile.ca, profile.tls)
        self._connections_max = connections_max
        self._connection_kept_seconds = connection_kept_seconds
        self._http: aiohttp.ClientSession | None = None

    async def send(self, call: PreparedCall, *, seconds_max: float | None = None) -> Answer[Result]:
        """See `Transport.send`; `seconds_max` is for a call that has less time than the profile gives.

        The service is told then how long we wait (`names.ANSWER_WITHIN`).
        """
        url = self._urls.get(call.door)
        if url is None:
            url = self._urls[call.door] = URL(checked_url(self._profile.address_of(call.door)))
        if self._http is None:
            self._http = self._opened()
        body = _Body(call.body)
        headers = {**call.headers, "Accept-Encoding": "identity"}
        if seconds_max is not None:
            headers[names.ANSWER_WITHIN] = str(max(1, int(seconds_max * ANNOUNCED * 1000)))
        is_whole = False
        try:
            async with (
                asyncio.timeout(self._timeout_seconds if seconds_max is None else seconds_max),
                self._http.post(url, headers=headers, data=body, allow_redirects=False) as response,
            ):
                if body.taken_by is None:  # it came before there was anything to answer
                    response.close()
                    raise aiohttp.ServerDisconnectedError
                received = bytearray()
                async for part in response.content.iter_any():
                    append(received, part)
            is_whole = True
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _no_reply(url.authority, error, was_sent=body.taken_by is not None) from error
        finally:
            if body.taken_by is not None and (not is_whole or body.taken_by.is_closing()):
                _end(body.taken_by)  # aiohttp's way would wait half a minute for the other side to end TLS
        if any(coding != "identity" for coding in response.headers.getall("Content-Encoding", ())):
            raise ReplyUnreadable("content-encoding")
        return read_answer(
            call,
            status=response.status,
            media_type=media_type_of(response.headers.getall("Content-Type", ())),
            charset=response.charset,
            body=bytes(received),
        )

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        if self._http is not None:
            await self._http.close()

    def _opened(self) -> aiohttp.ClientSession:
        """What keeps the connections; made at the first call, for it belongs to the loop that runs.

        aiohttp sends again by itself what may be repeated, which a POST never is (SEC-70).
        """
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls, limit=self._connections_max, keepalive_timeout=self._connection_kept_seconds
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the deadline says more
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept"),
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
        )


def _end(connection: asyncio.Transport) -> None:
    with contextlib.suppress(AttributeError):  # of one whose TLS has ended, on Debian 12's Python 3.11.2
        connection.abort()


class _Body(aiohttp.BytesPayload):
    """The bytes of a request, which note the connection that asks for them, the headers before them."""

    taken_by: asyncio.Transport | None = None

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        assert isinstance(writer, StreamWriter)
        if writer.transport is None or _has_unread(writer.transport):
            raise aiohttp.ServerDisconnectedError  # nothing left: the headers wait for the body
        self.taken_by = writer.transport
        await super().write_with_length(writer, content_length)


def _has_unread(connection: asyncio.Transport) -> bool:
    """Whether something came over a kept connection that nobody asked for."""
    protocol = connection.get_protocol()
    return isinstance(protocol, ResponseHandler) and protocol.should_close


def _no_reply(host: str, error: aiohttp.ClientError | TimeoutError, *, was_sent: bool) -> ServiceUnreachable:
    """Why there is no reply, of aiohttp's errors: those that may quote what came are said in words of ours."""
    if isinstance(error, TimeoutError):
        return not_in_time(host, was_sent=was_sent)
    untrusted = tls_failure(host, error, was_sent=was_sent)
    if untrusted is not None:
        return untrusted
    if isinstance(error, aiohttp.ClientConnectorError) and not was_connected(error.os_error):
        text, obstacle = f"{host} cannot be reached: {error.os_error}", Obstacle.UNREACHABLE
    elif isinstance(error, aiohttp.ClientResponseError):
        text, obstacle = f"{host} does not speak HTTP", Obstacle.BROKEN
    else:
        text, obstacle = f"{host} ended the connection before its reply", Obstacle.BROKEN
    return ServiceUnreachable(text, obstacle=obstacle, was_sent=was_sent)
