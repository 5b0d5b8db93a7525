"""The way there and back against servers on loopback that do what they like (client/*transport.py)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from cbss_inscription import names
from cbss_inscription.client.async_transport import HEADER_BYTES_MAX, HEADERS_MAX, AsyncTransport
from cbss_inscription.client.call import REPLY_BYTES_MAX, PreparedCall, prepare
from cbss_inscription.client.errors import Obstacle, ReplyUnreadable, ServiceUnreachable
from cbss_inscription.client.profile import Profile
from cbss_inscription.client.transport import Transport
from cbss_inscription.contract.write import Deployment, write_response
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss, InformationCustomer
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultInscriptions
from cbss_inscription.domain.results import ConsultResult, SsinAnswer, Status, StatusValue
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.envelope.soap11 import write_envelope
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.security.sign import Signer

NOW = datetime.now(UTC)
SSIN = "85073003328"
PATIENCE_SECONDS = 20.0
"""For what comes at once: not what is tested."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A server, and all that it was asked."""

    port: int
    connections: int = 0
    ended: int = 0
    requests: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class World:
    """What a caller and a server need."""

    folder: Path
    call: PreparedCall
    answer: bytes
    """A right answer to `call`."""

    def transport(self, url: str, *, seconds: float = PATIENCE_SECONDS, connections_max: int = 4) -> AsyncTransport:
        """The transport to the server at `url`."""
        paths = {name: self.folder / name for name in ("ca", "certificate", "private_key")}
        return AsyncTransport(Profile(url=url, timeout_seconds=seconds, **paths), connections_max=connections_max)

    def whole(self, *more: bytes) -> bytes:
        """A right reply, with these headers too."""
        return HEAD + b"".join(more) + b"Content-Length: %d\r\n\r\n" % len(self.answer) + self.answer

    def tls(self) -> ssl.SSLContext:
        """The TLS of a server that the profile's authority vouches for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        return context


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A call, its answer, and a throw-away PKI."""
    folder = tmp_path_factory.mktemp("transport")
    pki = TestPki.generate(environment="LOCAL", now=NOW)
    credential = pki.issue_application_certificate(
        "a:b:c", "0206731645", "Test", not_before=NOW, private_key=ec.generate_private_key(ec.SECP256R1())
    )
    for name, content in (
        ("ca", pki.tls_authority.certificate_pem),
        ("certificate", credential.certificate_pem),
        ("private_key", credential.private_key_pem),
        ("tls.crt", pki.server.certificate_pem),
        ("tls.key", pki.server.private_key_pem),
    ):
        (folder / name).write_bytes(content)
    signer = Signer.from_pem(credential.certificate_pem, credential.private_key_pem)
    customer = CustomerIdentification(sector=17, institution=1)
    request = ConsultInscriptions(
        information_customer=InformationCustomer(customer_identification=customer, ticket="ticket"),
        legal_context=LegalContext("PCSA:SOCIAL_INQUIRY"),
        ssin=SSIN,
    )
    call = prepare(request, signer=signer, now=NOW)
    (question,) = etree.fromstring(call.body).find(names.SOAP_BODY)
    response = write_response(
        question,
        ConsultResult(
            status=Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA),
            ssin=SsinAnswer(current=Ssin.parse(SSIN)),
        ),
        information_cbss=InformationCbss(ticket_cbss=UUID(int=1), timestamp_receive=NOW, timestamp_reply=NOW),
        deployment=Deployment(version="1", environment="LOCAL"),
    )
    return World(folder=folder, call=call, answer=write_envelope(response))


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """The next request of a connection, whole. Raises IncompleteReadError when there is none."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    assert length
    return head + await reader.readexactly(int(length[1]))


@contextlib.asynccontextmanager
async def serving(behave: Behave, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server that reads each request whole, then does `behave`, until that or the caller ends the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                server.requests.append(await request_of(reader))
                await behave(reader, writer)
                await writer.drain()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        server.ended += 1

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server = Server(port=listener.sockets[0].getsockname()[1])
    try:
        yield server
        async with asyncio.timeout(PATIENCE_SECONDS):
            while server.ended < server.connections:  # whatever came, the caller leaves no connection behind
                await asyncio.sleep(0.01)
    finally:
        listener.close()
        await listener.wait_closed()


async def failure(
    world: World, behave: Behave, *, seconds: float = PATIENCE_SECONDS, seconds_max: float | None = None
) -> ServiceUnreachable | ReplyUnreadable:
    """Why a call to such a server has no answer; it was sent once."""
    async with serving(behave) as server:
        transport = world.transport(f"http://localhost:{server.port}/x", seconds=seconds)
        with pytest.raises((ServiceUnreachable, ReplyUnreadable)) as caught:
            await transport.send(world.call, seconds_max=seconds_max)
        await transport.close()
    assert SSIN not in str(caught.value)
    if isinstance(caught.value, ServiceUnreachable):
        # On a busy machine the deadline may come before the connection; it is told rather too often that it was sent.
        was_sent = caught.value.was_sent
        is_late = caught.value.obstacle is Obstacle.TIMEOUT
        assert was_sent or (is_late and not server.requests)
        assert len(server.requests) == 1 or (is_late and not server.requests)
        assert f"localhost:{server.port}" in str(caught.value)
    else:
        assert len(server.requests) == 1
    return caught.value


def saying(*parts: bytes, ends: bool = True) -> Behave:
    """A server that says this and hangs up."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
        if ends:
            await writer.drain()
            writer.close()

    return behave


def forever(begin: bytes, part: bytes, *, pause_seconds: float = 0.0) -> Behave:
    """A server that says `begin`, then `part` without end."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_seconds)

    return behave


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(saying(), id="nothing"),
        pytest.param(saying(b"HTTP/1.1 2"), id="half a status"),
        pytest.param(saying(HEAD), id="half a head"),
        pytest.param(saying(HEAD + b"Content-Length: 1000\r\n\r\n<s:Envelope"), id="half a body"),
        pytest.param(saying(CHUNKED + b"400\r\n<s:Envelope"), id="half a chunk"),
        pytest.param(saying(CHUNKED + b"5\r\n<s:En\r\n"), id="no last chunk"),
        pytest.param(saying(CHUNKED + b"85073003328zz\r\n<s:Envelope", ends=False), id="a chunk of no size"),
        pytest.param(saying(CHUNKED + b"-5\r\n<s:En\r\n0\r\n\r\n", ends=False), id="a chunk of less than nothing"),
        pytest.param(saying(CHUNKED + b"f" * 40 + b"\r\n<s:Envelope", ends=False), id="a chunk of any size"),
        pytest.param(saying(CHUNKED + b"5\r\n<s:Envelope\r\n0\r\n\r\n", ends=False), id="a chunk longer than it says"),
        pytest.param(saying(b"85073003328 mail.example ESMTP\r\n\r\n", ends=False), id="no HTTP"),
        pytest.param(saying(HEAD + b"85073003328\r\n\r\n", ends=False), id="a header without colon"),
        pytest.param(saying(HEAD + b"Content-Length: 85073003328x\r\n\r\n", ends=False), id="a length that is none"),
        pytest.param(
            saying(HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n<a/>\n", ends=False), id="2 lengths"
        ),
        pytest.param(saying(HEAD + b"X: \0\r\n\r\n", ends=False), id="a header with NUL"),
        pytest.param(forever(HEAD, b"X-More: 1\r\n"), id="headers without end"),
        pytest.param(forever(HEAD + b"X-More: ", b"1" * 1_000), id="a header without end"),
        pytest.param(forever(HEAD, b"1" * 1_000), id="a header's name without end"),
        pytest.param(forever(b"HTTP/1.1 200 ", b"O" * 1_000), id="a status without end"),
        pytest.param(forever(CHUNKED + b"4\r\n<a/>\r\n0\r\n", b"X-More: 1\r\n"), id="trailers without end"),
    ],
)
async def test_sec_68_what_is_no_whole_reply_is_a_broken_connection(world: World, behave: Behave) -> None:
    """It is told at once, in words of ours, and nothing is sent a second time (SEC-68, SEC-70)."""
    error = await failure(world, behave)
    assert isinstance(error, ServiceUnreachable)
    assert error.obstacle is Obstacle.BROKEN


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        pytest.param(forever(CHUNKED, b"1000\r\n" + b" " * 0x1000 + b"\r\n"), "size", id="chunks without end"),
        pytest.param(forever(HEAD + b"\r\n", b" " * 65_536), "size", id="a body without end"),
        pytest.param(forever(HEAD + b"Content-Length: 99999999999\r\n\r\n", b" " * 65_536), "size", id="too long"),
        pytest.param(
            saying(HEAD + b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
            "content-encoding",
            id="a coding behind another",
        ),
        pytest.param(
            saying(b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"),
            "http-status-307",
            id="a redirect",
        ),
        pytest.param(
            saying(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n<a/>"),
            "http-status-101",
            id="another protocol",
        ),
        pytest.param(saying(b"HTTP/1.1 204 No\r\n\r\n"), "http-status-204", id="no content"),
    ],
)
async def test_sec_68_a_reply_that_may_not_be_read_is_not_read(world: World, behave: Behave, reason: str) -> None:
    """No more than `REPLY_BYTES_MAX`, no content coding, no other place, no other protocol (SEC-68)."""
    error = await failure(world, behave)
    assert isinstance(error, ReplyUnreadable)
    assert error.reason == reason


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(forever(HEAD + b"X-More: ", b"1", pause_seconds=0.02), id="a header that trickles"),
        pytest.param(forever(CHUNKED, b"1\r\n \r\n", pause_seconds=0.02), id="a body that trickles"),
        pytest.param(forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause_seconds=0.001), id="go on without end"),
        pytest.param(forever(CHUNKED + b"4;", b"x" * 1_000), id="a chunk's extension without end"),
        pytest.param(saying(CHUNKED, ends=False), id="a body that does not begin"),
        pytest.param(saying(ends=False), id="silence"),
    ],
)
@pytest.mark.parametrize("who", ["profile", "call"])
async def test_a_call_ends_at_its_deadline_whatever_still_comes(world: World, behave: Behave, who: str) -> None:
    """TIMEOUT after the profile's time, or the call's own; the connection is ended (E19)."""
    seconds = {"seconds": 0.2} if who == "profile" else {"seconds_max": 0.2}
    error = await failure(world, behave, **seconds)
    assert isinstance(error, ServiceUnreachable)
    assert error.obstacle is Obstacle.TIMEOUT


@pytest.mark.parametrize("reply", [b"", CHUNKED, HEAD + b"Content-Length: 99999999\r\n\r\n"])
async def test_a_tls_connection_without_an_answer_is_ended_at_once(world: World, reply: bytes) -> None:
    """Nobody waits, with a socket for each call, for a server that hangs to end TLS as well."""

    def hang() -> bytes:
        connection, _ = listener.accept()
        tls = world.tls().wrap_socket(connection, server_side=True)
        with tls, contextlib.suppress(ConnectionResetError):
            tls.settimeout(PATIENCE_SECONDS)
            tls.sendall(reply)
            while tls.recv(65_536):
                loop.call_soon_threadsafe(asked.set)
            with socket.socket(fileno=tls.detach()) as connection:  # the caller said that TLS ends; we do not
                connection.settimeout(PATIENCE_SECONDS)
                return connection.recv(1)
        return b""

    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        end = asyncio.create_task(asyncio.to_thread(hang))
        transport = world.transport(f"https://localhost:{listener.getsockname()[1]}/x")
        call = asyncio.create_task(transport.send(world.call))
        await asked.wait()
        call.cancel()  # as its deadline does
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await end == b""  # its connection has ended
        await transport.close()


async def test_what_is_sent_is_the_call_and_nothing_of_its_machine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One POST: no name of a program, no cookie that was given before, no proxy or password from the environment."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(world.folder / "netrc"))
    (world.folder / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    cookie = world.whole(b"Set-Cookie: a=b\r\n")
    async with serving(saying(cookie, ends=False)) as server:
        transport = world.transport(f"http://127.0.0.1:{server.port}/a/b%20c?d")
        for _ in range(2):
            answer = await transport.send(world.call, seconds_max=60.0)
            assert answer.received == world.answer
        await transport.close()
    assert server.connections == 1
    assert server.requests[0] == server.requests[1]
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == world.call.body
    assert sorted(head.split(b"\r\n")) == sorted(
        (
            b"POST /a/b%20c?d HTTP/1.1",
            b"Host: 127.0.0.1:%d" % server.port,
            b"Accept-Encoding: identity",
            b"CBSS-Answer-Within: 54000",
            b"Content-Length: %d" % len(body),
            b"Content-Type: text/xml; charset=utf-8",
            b'SOAPAction: "http://socialsecurity.be/cbssinscription/v1/consultInscriptions"',
        )
    )


async def test_headers_and_bodies_within_their_bounds_are_read(world: World) -> None:
    """As many headers as are allowed, one of them as long as is allowed, and a body in many chunks."""
    long = b"X-Long: " + b"1" * (HEADER_BYTES_MAX - 16) + b"\r\n"
    many = b"X-More: 1\r\n" * (HEADERS_MAX - 3)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in world.answer) + b"0\r\n\r\n"
    whole = HEAD + long + many + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    async with serving(saying(whole, ends=False)) as server:
        transport = world.transport(f"http://localhost:{server.port}/x")
        assert (await transport.send(world.call)).received == world.answer
        await transport.close()


async def test_a_reply_as_long_as_allowed_is_read(world: World) -> None:
    """`REPLY_BYTES_MAX` bytes, and not one more (SEC-68)."""
    for more in (0, 1):
        padding = b" " * (REPLY_BYTES_MAX + more - len(world.answer))
        whole = HEAD + b"Content-Length: %d\r\n\r\n" % (REPLY_BYTES_MAX + more) + world.answer + padding
        async with serving(saying(whole, ends=False)) as server:
            transport = world.transport(f"http://localhost:{server.port}/x")
            if more:
                with pytest.raises(ReplyUnreadable, match="size"):
                    await transport.send(world.call)
            else:
                assert len((await transport.send(world.call)).received) == REPLY_BYTES_MAX
            await transport.close()


@pytest.mark.parametrize("when", ["with the first", "later"])
async def test_sec_68_a_reply_that_nobody_asked_for_answers_nothing(world: World, when: str) -> None:
    """A second reply behind a first is not taken for the answer to the next request, which is not sent (SEC-68)."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        more = world.whole(b"X-Unasked: 1\r\n")
        writer.write(world.whole() + (more if when == "with the first" else b""))
        if when == "later":
            await answered.wait()
            writer.write(more)
        await writer.drain()
        said.set()

    answered, said = asyncio.Event(), asyncio.Event()
    async with serving(behave) as server:
        transport = world.transport(f"http://localhost:{server.port}/x")
        await transport.send(world.call)
        answered.set()
        await said.wait()
        await asyncio.sleep(0.05)  # rounds of the loop, in which it is read
        if when == "later":
            with pytest.raises(ServiceUnreachable) as caught:
                await transport.send(world.call)
            assert (caught.value.obstacle, caught.value.was_sent) == (Obstacle.BROKEN, False)
            assert len(server.requests) == 1
        assert (await transport.send(world.call)).received == world.answer
        await transport.close()
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_a_kept_connection_that_has_ended_is_not_used(world: World) -> None:
    """The next call goes over a new one, when the server hung up after its reply and we know it."""
    async with serving(saying(world.whole())) as server:
        transport = world.transport(f"http://localhost:{server.port}/x")
        for number in (1, 2):
            await transport.send(world.call)
            while server.ended < number:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)  # rounds of the loop, in which it is read
        await transport.close()
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_sec_70_a_kept_connection_that_ends_unread_is_broken_and_nothing_is_sent_again(world: World) -> None:
    """The library repeats by itself what it thinks may be repeated; never a message of ours (SEC-70)."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(world.whole())
        await writer.drain()
        await reader.read(1)  # of the second
        writer.transport.abort()

    async with serving(behave) as server:
        transport = world.transport(f"http://localhost:{server.port}/x")
        await transport.send(world.call)
        with pytest.raises(ServiceUnreachable) as caught:
            await transport.send(world.call)
        await transport.close()
    assert (caught.value.obstacle, caught.value.was_sent) == (Obstacle.BROKEN, True)
    assert (server.connections, len(server.requests)) == (1, 1)


async def test_a_call_that_waits_for_a_connection_has_not_been_sent(world: World) -> None:
    """With all connections in use, a call that ends at its deadline did nothing: `was_sent` is false (SEC-70)."""
    async with serving(saying(ends=False)) as server:
        transport = world.transport(f"http://localhost:{server.port}/x", connections_max=1)
        first = asyncio.create_task(transport.send(world.call))
        while not server.requests:
            await asyncio.sleep(0.01)
        with pytest.raises(ServiceUnreachable) as second:
            await transport.send(world.call, seconds_max=0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await transport.close()
    assert (second.value.obstacle, second.value.was_sent) == (Obstacle.TIMEOUT, False)
    assert len(server.requests) == 1


async def test_nobody_at_the_address_is_unreachable_and_nothing_was_sent(world: World) -> None:
    """UNREACHABLE, with host and port; `was_sent` is false."""
    with contextlib.closing(await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)) as listener:
        port = listener.sockets[0].getsockname()[1]
    transport = world.transport(f"http://127.0.0.1:{port}/x")
    with pytest.raises(ServiceUnreachable, match=f"^127.0.0.1:{port} cannot be reached: ") as caught:
        await transport.send(world.call)
    await transport.close()
    assert (caught.value.obstacle, caught.value.was_sent) == (Obstacle.UNREACHABLE, False)


async def test_a_server_that_accepts_and_resets_is_a_broken_connection_and_nothing_was_sent(world: World) -> None:
    """BROKEN, for somebody was there: the handshake of TLS ends by a reset; `was_sent` is false."""

    def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        transport = world.transport(f"https://localhost:{port}/x")
        with pytest.raises(ServiceUnreachable, match=f"^localhost:{port} ended the connection") as caught:
            await transport.send(world.call)
        await transport.close()
    assert (caught.value.obstacle, caught.value.was_sent) == (Obstacle.BROKEN, False)


def blocking_failure(world: World, port: int) -> ServiceUnreachable:
    """Why a blocking call to a server with TLS has no reply."""
    paths = {name: world.folder / name for name in ("ca", "certificate", "private_key")}
    profile = Profile(url=f"https://localhost:{port}/x", timeout_seconds=PATIENCE_SECONDS, **paths)
    with Transport(profile) as transport, pytest.raises(ServiceUnreachable) as caught:
        transport.send(world.call)
    return caught.value


def reset(connection: socket.socket) -> None:
    """The connection, plain or below TLS, ends as by a machine that lost it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


@pytest.mark.parametrize("when", ["before TLS", "after the message"])
def test_sec_70_a_blocking_call_knows_whether_its_message_may_have_left(world: World, when: str) -> None:
    """A reset is BROKEN; `was_sent` is false while TLS begins, and true once the message is there (SEC-70)."""

    def serve() -> None:
        connection, _ = listener.accept()
        if when == "after the message":
            connection = world.tls().wrap_socket(connection, server_side=True)
            message = b""
            while not message.endswith(world.call.body):
                message += connection.recv(65_536)
        reset(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        error = blocking_failure(world, listener.getsockname()[1])
        thread.join()
    assert (error.obstacle, error.was_sent) == (Obstacle.BROKEN, when == "after the message")


def test_sec_70_a_blocking_call_to_nobody_is_unreachable_and_nothing_was_sent(world: World) -> None:
    """UNREACHABLE, and `was_sent` is false: nothing can have been done (SEC-70)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = blocking_failure(world, port)
    assert (error.obstacle, error.was_sent) == (Obstacle.UNREACHABLE, False)


async def test_sec_04_tls_with_whom_the_profile_s_authority_vouches_for_is_kept(world: World) -> None:
    """The second call has no handshake of its own (SEC-04)."""
    async with serving(saying(world.whole(), ends=False), tls=world.tls()) as server:
        transport = world.transport(f"https://localhost:{server.port}/x")
        for _ in range(2):
            await transport.send(world.call)
        await transport.close()
        assert (server.connections, len(server.requests)) == (1, 2)


async def test_sec_04_a_server_that_is_not_the_one_meant_is_not_sent_anything(world: World) -> None:
    """A certificate of nobody that the profile trusts, or no TLS: UNTRUSTED, and `was_sent` is false (SEC-04)."""
    other = TestPki.generate(environment="LOCAL", now=NOW)
    (world.folder / "other").write_bytes(other.tls_authority.certificate_pem)
    paths = {name: world.folder / name for name in ("certificate", "private_key")}

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad\r\n\r\n")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    for tls, ca, text in (
        (world.tls(), "other", r"^the TLS certificate of localhost:\d+ is not trusted: .*issuer certificate"),
        (None, "ca", r"^no TLS connection to localhost:\d+: [A-Z_]+"),
    ):
        listener = await asyncio.start_server(speak, "127.0.0.1", 0, ssl=tls)
        port = listener.sockets[0].getsockname()[1]
        transport = AsyncTransport(Profile(url=f"https://localhost:{port}/x", ca=world.folder / ca, **paths))
        with pytest.raises(ServiceUnreachable, match=text) as caught:
            await transport.send(world.call)
        await transport.close()
        listener.close()
        await listener.wait_closed()
        assert (caught.value.obstacle, caught.value.was_sent) == (Obstacle.UNTRUSTED, False)
