"""A service over a real socket, in the loop of the test: TLS on loopback, and whatever is to be written to who asks."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

Respond = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Gets the body of a request, and writes what it likes; a connection that it closes is closed."""


def context_of(certificate: Path, key: Path, *, authorities: Path | None = None) -> ssl.SSLContext:
    """TLS of a service, which wants to see a certificate below `authorities`, where they are given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cafile=authorities)
    return context


@contextlib.asynccontextmanager
async def listening(respond: Respond, *, context: ssl.SSLContext) -> AsyncIterator[int]:
    """The port on loopback where `respond` answers each request."""
    conversations: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        try:
            with contextlib.suppress(
                asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ssl.SSLError
            ):
                while not writer.is_closing():
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                    length = int(head.partition("content-length:")[2].partition("\r\n")[0])
                    await respond(await reader.readexactly(length), writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0.05)  # for the loop to close what was aborted


def head_of(
    length: int, *, status: str = "200 OK", content_type: str = "text/xml; charset=utf-8", more: str = ""
) -> bytes:
    """The status line and headers of a reply of so many bytes."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{more}Content-Length: {length}\r\n\r\n".encode()
