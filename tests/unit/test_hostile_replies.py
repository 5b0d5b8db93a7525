"""What somebody in the repertory's place may write over a real socket: no answer, nothing sent again blindly (SEC-68).

The façade's way there is the one of its settings, with its own client, TLS and limits; only the other side is made up.
"""

from __future__ import annotations

import asyncio
import re
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from cbss_inscription.app.settings import Upstream
from cbss_inscription.app.upstream import upstream_of
from cbss_inscription.client.call import REPLY_BYTES_MAX
from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.errors import RepertoryUnavailable, TemporarilyUnavailable
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.requests import ConsultInscriptions, InsertInscription
from cbss_inscription.names import SOAP11, WSSE
from cbss_inscription.repertory.port import Admitted
from cbss_inscription.repertory.upstream import UpstreamRepertory
from tests.repertory.far_house import ONE, STRANGER, House
from tests.repertory.houses import Calls, Pki
from tests.repertory.office import CALLER, GROUND, JANUARY, OWN, WAGE, given, permission_of, ssin_of
from tests.wire import context_of, head_of, listening

HUGE_BYTES = 100 * 1024 * 1024
PIECE_BYTES = 64 * 1024
MEMORY_BYTES_MAX = 6 * REPLY_BYTES_MAX
"""Well below what the whole of it would take, and above what is read until it is too much."""

Write = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Writes something in place of an honest reply."""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Files of a test PKI."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


def asked(kind: type[Any], **said: Any) -> Admitted[Any]:
    """A request about a person whom the repertory knows."""
    information = InformationCustomer(
        customer_identification=OWN, ticket=str(uuid4()), timestamp_sent=datetime.now(UTC)
    )
    request = kind(information_customer=information, legal_context=GROUND, ssin=ssin_of(ONE).digits, **said)
    exchange = Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime.now(UTC), caller=CALLER)
    return Admitted(request=request, ssin=ssin_of(ONE), permission=permission_of(OWN), exchange=exchange)


def consult(repertory: UpstreamRepertory) -> Awaitable[Any]:
    return repertory.consult(asked(ConsultInscriptions))


def insert(repertory: UpstreamRepertory) -> Awaitable[Any]:
    return repertory.insert(asked(InsertInscription, inscription_context=WAGE, period=given(JANUARY)))


# -- what is written -------------------------------------------------------------------------------------------------


def changed(old: str, new: str, **head: str) -> Write:
    """The honest reply with this in place of that."""

    async def write(reply: bytes, writer: asyncio.StreamWriter) -> None:
        body = re.sub(old.encode(), new.encode(), reply)
        assert body != reply
        writer.write(head_of(len(body), **head) + body)

    return write


def honest(**head: str) -> Write:
    """The honest reply under another head."""

    async def write(reply: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(head_of(len(reply), **head) + reply)

    return write


def signature_around(where: str) -> Write:
    """A reply about somebody else, with the honest one beside it in what looks like a signed part."""

    async def write(reply: bytes, writer: asyncio.StreamWriter) -> None:
        text = reply.decode()
        found = re.search(r"<soapenv:Body>.*</soapenv:Body>", text, flags=re.DOTALL)
        assert found is not None
        genuine = found[0].replace("<soapenv:Body>", f'<soapenv:Body xmlns:soapenv="{SOAP11}" Id="signed">')
        forged = found[0].replace(ssin_of(ONE).digits, ssin_of(STRANGER).digits)
        assert forged != found[0]
        security = (
            f'<w:Security xmlns:w="{WSSE}"><d:Signature xmlns:d="http://www.w3.org/2000/09/xmldsig#"><d:SignedInfo>'
            f'<d:Reference URI="#signed"/></d:SignedInfo><d:Object>{genuine}</d:Object></d:Signature></w:Security>'
        )
        body = {
            "header": f"<soapenv:Header>{security}</soapenv:Header>{forged}",
            "second body": f"{forged}{genuine}",
            "body before": f"{genuine}{forged}",
            "within": forged.replace("</soapenv:Body>", f"{genuine}</soapenv:Body>"),
        }[where]
        message = text.replace(found[0], body).encode()
        writer.write(head_of(len(message)) + message)

    return write


async def endless(reply: bytes, writer: asyncio.StreamWriter) -> None:
    """100 MB under the length that they have."""
    writer.write(head_of(HUGE_BYTES) + reply)
    for _ in range(HUGE_BYTES // PIECE_BYTES):
        writer.write(b" " * PIECE_BYTES)
        await writer.drain()


async def endless_chunks(reply: bytes, writer: asyncio.StreamWriter) -> None:
    """100 MB in chunks, of which nobody said how many."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(HUGE_BYTES // PIECE_BYTES):
        writer.write(b"%x\r\n" % PIECE_BYTES + b" " * PIECE_BYTES + b"\r\n")
        await writer.drain()


async def bomb(reply: bytes, writer: asyncio.StreamWriter) -> None:
    """Five times what is read, packed into a hundredth of it."""
    packer = zlib.compressobj(level=1, wbits=31)
    packed = packer.compress(reply)
    packed += (
        b"".join(packer.compress(b" " * PIECE_BYTES) for _ in range(5 * REPLY_BYTES_MAX // PIECE_BYTES))
        + packer.flush()
    )
    writer.write(head_of(len(packed), more="Content-Encoding: gzip\r\n") + packed)


async def half(reply: bytes, writer: asyncio.StreamWriter) -> None:
    """Half of what the head says, then the end."""
    writer.write(head_of(len(reply)) + reply[: len(reply) // 2])
    await writer.drain()
    writer.close()


async def half_a_chunk(reply: bytes, writer: asyncio.StreamWriter) -> None:
    """A chunk that is whole, a reply that is not."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b"%x\r\n" % len(reply) + reply + b"\r\n")
    await writer.drain()
    writer.close()


async def nothing(reply: bytes, writer: asyncio.StreamWriter) -> None:
    """The end."""
    writer.close()


async def no_http(reply: bytes, writer: asyncio.StreamWriter) -> None:
    """Another protocol."""
    writer.write(b"220 mail.example ESMTP\r\n" + reply)
    writer.close()


async def head_without_end(reply: bytes, writer: asyncio.StreamWriter) -> None:
    """Headers, and more of them."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(HUGE_BYTES // PIECE_BYTES):
        writer.write(b"X-%d: " % number + b"x" * PIECE_BYTES + b"\r\n")
        await writer.drain()


async def drops(reply: bytes, writer: asyncio.StreamWriter) -> None:
    """A byte now and then: none of them is late, the whole is."""
    writer.write(head_of(len(reply)))
    for byte in reply:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


DTD = "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/hostname'>]>"
HOSTILE: dict[str, tuple[Write, str]] = {
    "wrong ticket": (changed(r"<ticket>[^<]*</ticket>", f"<ticket>{uuid4()}</ticket>"), "unreadable"),
    "no ticket": (changed(r"<ticket>[^<]*</ticket>", ""), "unreadable"),
    "other question": (changed(ssin_of(ONE).digits, ssin_of(STRANGER).digits), "unreadable"),
    "other number": (
        changed(f"(</(criteria|declaration)>.*?){ssin_of(ONE).digits}", rf"\g<1>{ssin_of(STRANGER).digits}"),
        "other-number",
    ),
    "signature wrapped in the header": (signature_around("header"), "unreadable"),
    "signature wrapped, two bodies": (signature_around("second body"), "unreadable"),
    "signature wrapped, two bodies, the genuine first": (signature_around("body before"), "unreadable"),
    "signature wrapped within the body": (signature_around("within"), "unreadable"),
    "DTD": (changed(r"\?>", f"?>{DTD}"), "unreadable"),
    "100 MB": (endless, "unreadable"),
    "100 MB in chunks": (endless_chunks, "unreadable"),
    "packed": (bomb, "unreadable"),
    "HTML": (honest(content_type="text/html; charset=utf-8"), "unreadable"),
    "SOAP 1.2": (honest(content_type="application/soap+xml; charset=utf-8"), "unreadable"),
    "multipart": (honest(content_type='multipart/related; type="text/xml"; boundary=x'), "unreadable"),
    "two content types": (honest(more="Content-Type: text/html\r\n"), "unreadable"),
    "another charset": (honest(content_type="text/xml; charset=utf-16"), "unreadable"),
    "created": (honest(status="201 Created"), "unreadable"),
    "a redirect": (
        honest(status="307 Temporary Redirect", more="Location: https://elsewhere.example/\r\n"),
        "unreadable",
    ),
    "half a reply": (half, "broken"),
    "half of the chunks": (half_a_chunk, "broken"),
    "nothing": (nothing, "broken"),
    "no HTTP": (no_http, "broken"),
    "headers without end": (head_without_end, "broken"),
    "a byte now and then": (drops, "timeout"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_sec_68_a_hostile_reply_is_no_answer(pki: Pki, name: str) -> None:
    """Over a real socket: a consultation is CBI00901; a declaration leaves once, its fate unknown (SEC-68, SEC-70)."""
    write, outcome = HOSTILE[name]
    house = House()
    messages: list[bytes] = []

    async def respond(message: bytes, writer: asyncio.StreamWriter) -> None:
        messages.append(message)
        reply = await house.reply_to(message)
        await write(reply, writer)
        await writer.drain()

    folder, log = pki.folder, Calls()
    context = context_of(folder / "server.crt.pem", folder / "server.key.pem")
    async with listening(respond, context=context) as port:
        repertory = upstream_of(
            Upstream(
                url=f"https://localhost:{port}/x",
                ca=str(folder / "tls-ca.crt.pem"),
                certificate=str(folder / "facade.crt.pem"),
                private_key=str(folder / "facade.key.pem"),
                timeout_seconds=0.6 if outcome == "timeout" else 10.0,
                consult_attempts=2,
            ),
            log=log,
        )
        try:
            tracemalloc.start()
            with pytest.raises(RepertoryUnavailable):
                await consult(repertory)
            assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES_MAX
            tracemalloc.stop()
            assert {call.outcome for call in log.calls} == {outcome}
            assert len(messages) == (2 if outcome == "broken" else 1)
            with pytest.raises(TemporarilyUnavailable):
                await insert(repertory)
        finally:
            tracemalloc.stop()
            await repertory.close()
    assert sum(b"insertInscription" in message for message in messages) == 1


async def test_sec_68_an_answer_before_it_was_asked_for_is_nobody_s(pki: Pki) -> None:
    """A second reply behind the first is never taken for that to the next message on the connection (SEC-68)."""
    house = House()
    replies: list[bytes] = []

    async def respond(message: bytes, writer: asyncio.StreamWriter) -> None:
        reply = await house.reply_to(message)
        replies.append(reply)
        early = replies[0]  # a whole and valid one, to another ticket
        writer.write(head_of(len(reply)) + reply + head_of(len(early)) + early)
        await writer.drain()

    folder, log = pki.folder, Calls()
    async with listening(respond, context=context_of(folder / "server.crt.pem", folder / "server.key.pem")) as port:
        repertory = pki.upstream(f"https://localhost:{port}/x", "ksz", log, timeout_seconds=5.0)  # type: ignore[arg-type]
        try:
            for _ in range(4):
                try:
                    result = await consult(repertory)
                except RepertoryUnavailable:
                    continue
                assert result.status.code == "MSG00100"
        finally:
            await repertory.close()
    # Whatever was an answer was the answer to its own ticket; an early one is unreadable, or its connection is closed.
    assert {call.outcome for call in log.calls} <= {"answered", "unreadable", "broken"}
    assert log.calls[0].outcome == "answered"
