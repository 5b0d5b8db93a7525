"""The façade's ports on a real network: odd HTTP framing, and what no refusal may do to the next caller."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest

from cbss_inscription.client import InscriptionClient
from cbss_inscription.security.sign import Signer, sign
from tests.acceptance.conftest import PATH, consult, envelope
from tests.conftest import RunningSandbox

XML = b"Content-Type: text/xml\r\n"


def say(sandbox: RunningSandbox, *parts: bytes) -> bytes:
    """What the plain port answers to these bytes, until it hangs up or falls silent."""
    place = urlsplit(sandbox.plain_url)
    with socket.create_connection(("127.0.0.1", place.port or 0), timeout=5) as connection:
        answer = b""
        try:
            for part in parts:
                connection.sendall(part)
            connection.settimeout(1)
            while part := connection.recv(65_536):
                answer += part
        except OSError:
            pass  # cut off, which is an answer too
    return answer


def post(*headers: bytes, body: bytes = b"") -> bytes:
    """A POST to the façade with these header lines."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s\r\n%s" % (PATH.encode(), XML, lines, body)


ODD = {
    "two lengths": (b"Content-Length: 4", b"Content-Length: 5"),
    "a list of lengths": (b"Content-Length: 4, 5",),
    "a signed length": (b"Content-Length: +4",),
    "a negative length": (b"Content-Length: -4",),
    "a length in hexadecimal": (b"Content-Length: 0x4",),
    "an unknown transfer coding": (b"Transfer-Encoding: gzip",),
    "chunked not last": (b"Transfer-Encoding: chunked, gzip",),
    "a header without colon": (b"Content-Length 4",),
    "a space before the colon": (b"Content-Length : 4",),
    "a NUL in a header": (b"X: a\0b",),
    "a huge header": (b"X: " + b"y" * 100_000,),
    "many headers": tuple(b"X-%d: 1" % number for number in range(500)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_framing_is_never_a_message(sandbox: RunningSandbox, name: str) -> None:
    """Doubtful lengths, broken headers: at most one answer, and that a client error (SEC-11)."""
    known = len(sandbox.log_lines())
    answer = say(sandbox, post(*ODD[name], body=b"4\r\nxxxx\r\n0\r\n\r\n"))
    assert answer.count(b"HTTP/1.") <= 1
    assert answer == b"" or answer.split(b" ", 2)[1][:1] == b"4", answer[:200]
    assert b"Traceback" not in answer
    assert len(sandbox.log_lines()) == known


@pytest.mark.parametrize("swap", [False, True])
def test_a_length_beside_chunks_smuggles_nothing(sandbox: RunningSandbox, swap: bool) -> None:
    """With both, the application server drops the length and reads chunks: one answer, then it hangs up (SEC-11).

    RFC 9112, 6.3, allows that; the door's own refusal is for application servers that pass both on.
    """
    smuggled = b"GET %s?wsdl HTTP/1.1\r\nHost: x\r\n\r\n" % PATH.encode()
    both = [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"]
    headers = b"".join(reversed(both) if swap else both)
    request = b"POST %s HTTP/1.1\r\nHost: x\r\n%s%s\r\n0\r\n\r\n%s" % (PATH.encode(), XML, headers, smuggled)
    answer = say(sandbox, request)
    assert answer.count(b"HTTP/1.") <= 1
    assert b"definitions" not in answer
    assert answer == b"" or b"connection: close" in answer.lower()


def test_the_facade_says_nothing_of_its_make(sandbox: RunningSandbox) -> None:
    """No Server banner, no-store, exact media type, on every kind of reply (SEC-65)."""
    for reply in (
        httpx.get(f"{sandbox.plain_url}?wsdl", trust_env=False),
        httpx.get(sandbox.plain_url, trust_env=False),
        httpx.post(sandbox.plain_url, content=b"x", headers={"content-type": "text/xml"}, trust_env=False),
        httpx.put(sandbox.plain_url, trust_env=False),
    ):
        assert reply.headers.get("server", "") == ""
        assert reply.headers["cache-control"] == "no-store"
        assert "x-powered-by" not in reply.headers


def test_a_busy_service_answers_everybody(sandbox: RunningSandbox, stranger: str) -> None:
    """Many callers at once, of two workers, all get their own answer."""
    with InscriptionClient(sandbox.profile()) as client, ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda _: client.consult_inscriptions(stranger).result.status.code, range(48)))
    assert set(codes) == {"MSG00100"}


def test_a_message_sent_to_both_ports_is_done_once(sandbox: RunningSandbox, stranger: str) -> None:
    """The replay memory is shared by every worker of every port (SEC-52)."""
    web = sandbox.application("pcsa-web")
    signer = Signer.from_pem(sandbox.path(web["certificate"]).read_bytes(), sandbox.path(web["key"]).read_bytes())
    message = sign(envelope(consult(stranger)), signer=signer, now=datetime.now(UTC))
    with httpx.Client(trust_env=False, headers={"content-type": "text/xml"}) as http, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: http.post(sandbox.plain_url, content=message), range(16)))
    assert sorted(reply.status_code for reply in replies) == [200] + [500] * 15
