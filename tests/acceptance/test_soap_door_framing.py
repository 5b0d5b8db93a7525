"""Where a request ends: doubtful framing on a real connection, and that nothing behind it is ever answered (SEC-11)."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import PATH
from tests.conftest import RunningSandbox

SMUGGLED = b"GET %s?wsdl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % PATH.encode()
"""What an attacker wants answered: a whole request behind the doubtful one."""
SECONDS_MAX = 5.0


def say(sandbox: RunningSandbox, request: bytes) -> bytes:
    """What the plain port answers to these bytes until it hangs up; fails when it does not."""
    place = urlsplit(sandbox.plain_url)
    with socket.create_connection(("127.0.0.1", place.port or 0), timeout=SECONDS_MAX) as connection:
        answer = b""
        try:
            connection.sendall(request)
            while part := connection.recv(65_536):
                answer += part
        except ConnectionError:
            pass  # cut off with our bytes unread: hung up, too
    return answer


def post(*headers: bytes, body: bytes = b"", end: bytes = b"\r\n", version: bytes = b"1.1") -> bytes:
    """A POST to the façade with these header lines, and the smuggled request behind it."""
    lines = (b"POST %s HTTP/%s" % (PATH.encode(), version), b"Host: x", b"Content-Type: text/xml", *headers, b"")
    return b"".join(line + end for line in lines) + body + SMUGGLED


def chunked(body: bytes, *headers: bytes) -> bytes:
    """A POST in chunks, whose last chunk is not added."""
    return post(b"Transfer-Encoding: chunked", *headers, body=body)


CHUNKS = b"4\r\n<a/>\r\n0\r\n\r\n"
LAST = b"0\r\n\r\n"

REFUSED = {
    # lengths
    "two lengths": post(b"Content-Length: 4", b"Content-Length: 5", body=b"<a/>"),
    "a list of lengths": post(b"Content-Length: 4, 5", body=b"<a/>"),
    "a list of one length": post(b"Content-Length: 4,4", body=b"<a/>"),
    "a signed length": post(b"Content-Length: +4", body=b"<a/>"),
    "a negative length": post(b"Content-Length: -4", body=b"<a/>"),
    "a length in hexadecimal": post(b"Content-Length: 0x4", body=b"<a/>"),
    "a length with a blank": post(b"Content-Length: 4 4", body=b"<a/>"),
    "a length with a point": post(b"Content-Length: 4.0", body=b"<a/>"),
    "a length with an exponent": post(b"Content-Length: 4e0", body=b"<a/>"),
    "a length with an underscore": post(b"Content-Length: 0_4", body=b"<a/>"),
    "a length with a vertical tab": post(b"Content-Length: \x0b4", body=b"<a/>"),
    "a length with a NUL": post(b"Content-Length: 4\0", body=b"<a/>"),
    "a length in Arabic digits": post("Content-Length: \u0664".encode(), body=b"<a/>"),
    "an empty length": post(b"Content-Length:", body=b"<a/>"),
    "a length beyond 64 bits": post(b"Content-Length: 18446744073709551620", body=b"<a/>"),
    "the greatest length of 64 bits": post(b"Content-Length: 18446744073709551615", body=b"<a/>"),
    "a blank before the colon of a length": post(b"Content-Length : 4", body=b"<a/>"),
    "a length without colon": post(b"Content-Length 4", b"Content-Length: 4", body=b"<a/>"),
    # transfer codings
    "chunked on two lines": chunked(LAST, b"Transfer-Encoding: chunked"),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=LAST),
    "an unknown coding": post(b"Transfer-Encoding: xchunked", body=LAST),
    "an unknown coding and a length": post(b"Transfer-Encoding: xchunked", b"Content-Length: 5", body=LAST),
    "gzip": post(b"Transfer-Encoding: gzip", body=LAST),
    "gzip, then chunked": post(b"Transfer-Encoding: gzip, chunked", body=LAST),
    "gzip and chunked on two lines": post(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked", body=LAST),
    "chunked, then gzip": post(b"Transfer-Encoding: chunked, gzip", body=LAST),
    "identity": post(b"Transfer-Encoding: identity", b"Content-Length: 4", body=b"<a/>"),
    "identity, then chunked": post(b"Transfer-Encoding: identity, chunked", body=LAST),
    "chunked and identity on two lines": chunked(LAST, b"Transfer-Encoding: identity"),
    "chunked with a parameter": post(b"Transfer-Encoding: chunked;a=b", body=LAST),
    "chunked in quotes": post(b'Transfer-Encoding: "chunked"', body=LAST),
    "a vertical tab before chunked": post(b"Transfer-Encoding: \x0bchunked", b"Content-Length: 5", body=LAST),
    "an empty coding and a length": post(b"Transfer-Encoding:", b"Content-Length: 5", body=LAST),
    "a blank before the colon of a coding": post(b"Transfer-Encoding : chunked", b"Content-Length: 5", body=LAST),
    "chunks in HTTP/1.0": post(b"Connection: keep-alive", b"Transfer-Encoding: chunked", body=LAST, version=b"1.0"),
    "both in HTTP/1.0": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=LAST, version=b"1.0"),
    # lines
    "a folded coding": post(b"Content-Length: 5", b"Transfer-Encoding:\r\n chunked", body=LAST),
    "a folded length": post(b"Content-Length:\r\n 4", body=b"<a/>"),
    "a folded header": post(b"X: a\r\n b", b"Content-Length: 4", body=b"<a/>"),
    "a folded first header": post(body=LAST).replace(b"Host: x", b" Transfer-Encoding: chunked", 1),
    "a bare CR before a coding": post(b"X: a\rTransfer-Encoding: chunked", b"Content-Length: 5", body=LAST),
    "a NUL in a header": post(b"X: a\0b", b"Content-Length: 4", body=b"<a/>"),
    "two hosts": post(b"Host: y", b"Content-Length: 4", body=b"<a/>"),
    "a huge header": post(b"X: " + b"y" * 100_000, b"Content-Length: 4", body=b"<a/>"),
    "many headers": post(*(b"X-%d: 1" % number for number in range(500)), b"Content-Length: 4", body=b"<a/>"),
    "two blanks in the request line": post(b"Content-Length: 4", body=b"<a/>").replace(b"POST ", b"POST  ", 1),
    "HTTP/0.9": b"GET %s?wsdl\r\n\r\n" % PATH.encode() + SMUGGLED,
    "HTTP/1.2": post(b"Content-Length: 4", body=b"<a/>", version=b"1.2"),
    # chunks
    "chunks with bare LF": chunked(b"4\n<a/>\n0\n\n"),
    "a chunk's size with bare LF": chunked(CHUNKS.replace(b"4\r\n", b"4\n")),
    "a chunk's end with bare LF": chunked(CHUNKS.replace(b"/>\r\n", b"/>\n")),
    "a chunk's size with 0x": chunked(b"0x" + CHUNKS),
    "a chunk's size with a sign": chunked(b"+" + CHUNKS),
    "a negative chunk": chunked(b"-" + CHUNKS),
    "a blank before a chunk's size": chunked(b" " + CHUNKS),
    "a chunk's size with an underscore": chunked(CHUNKS.replace(b"4", b"0_4")),
    "a chunk without size": chunked(CHUNKS.replace(b"4", b"")),
    "a chunk beyond 64 bits": chunked(b"1000000000000000" + CHUNKS),
    "a chunk longer than its size": chunked(CHUNKS.replace(b"<a/>", b"<a/>xx")),
    "a line end in a chunk's extension": chunked(CHUNKS.replace(b"4", b"4;a\nb")),
    "a bare CR in a chunk's extension": chunked(CHUNKS.replace(b"4", b"4;a\rb")),
    "a huge chunk extension": chunked(CHUNKS.replace(b"4", b"4;" + b"a" * 20_000)),
    "many trailers": chunked(b"0\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(2_000)) + b"\r\n"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_sec_11_doubtful_framing_is_never_a_message(sandbox: RunningSandbox, name: str) -> None:
    """One client error at most, then it hangs up: neither a message nor what follows it is looked at (SEC-11)."""
    known = len(sandbox.log_lines())
    answer = say(sandbox, REFUSED[name])
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) in ([], [b"400"], [b"431"]), answer[:200]
    assert b"definitions" not in answer
    assert b"Traceback" not in answer
    assert not re.search(rb"(?i)^server: *\S", answer, re.MULTILINE)
    assert len(sandbox.log_lines()) == known


BOTH = {
    "length first": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=LAST),
    "length last": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=LAST),
    "smuggled within a chunk": post(
        b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n" % (len(SMUGGLED), SMUGGLED) + LAST
    ),
    "keep-alive": post(b"Connection: keep-alive", b"Content-Length: 5", b"Transfer-Encoding: chunked", body=LAST),
    "a coding behind a bare LF": post(b"X: a\nTransfer-Encoding: chunked", b"Content-Length: 5", body=LAST),
}


@pytest.mark.parametrize("name", BOTH)
def test_sec_11_a_length_beside_chunks_smuggles_nothing(sandbox: RunningSandbox, name: str) -> None:
    """The application server reads chunks, answers once and hangs up, by RFC 9112, 6.1 (SEC-11, decision 20)."""
    answer = say(sandbox, BOTH[name])
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"SOA-03001" in answer  # what was in the chunks, and no more
    assert b"connection: close" in answer.lower()
    assert b"definitions" not in answer


LENIENT = {
    "a length": post(b"Content-Length: 4", body=b"<a/>"),
    "chunks": chunked(CHUNKS),
    "the same length twice": post(b"Content-Length: 4", b"Content-Length: 4", body=b"<a/>"),
    "a length with zeros": post(b"Content-Length: 04", body=b"<a/>"),
    "no length": post(),
    "bare LF": post(b"Content-Length: 4", body=b"<a/>", end=b"\n"),
    "capitals": post(b"Transfer-Encoding: CHUNKED", body=CHUNKS),
    "a chunk's size with zeros": chunked(b"0000" + CHUNKS),
    "a blank after a chunk's size": chunked(CHUNKS.replace(b"4", b"4 ")),
    "a chunk's extension": chunked(CHUNKS.replace(b"4", b"4;a=b")),
    "a length in the trailer": chunked(CHUNKS[:-2] + b"Content-Length: 50\r\n\r\n"),
    "a coding in the trailer": chunked(CHUNKS[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"),
    "another header with an underscore": post(b"Transfer_Encoding: chunked", b"Content-Length: 4", body=b"<a/>"),
    "lines before the request": b"\r\n\r\n" + post(b"Content-Length: 4", body=b"<a/>"),
}


@pytest.mark.parametrize("name", LENIENT)
def test_sec_11_what_is_read_leniently_has_one_end(sandbox: RunningSandbox, name: str) -> None:
    """These end where every reader lets them end: the request behind them is one of its own (SEC-11, decision 20)."""
    first, second = say(sandbox, LENIENT[name]).split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"500 ")
    assert b"SOA-03001" in first or b"SOA-03002" in first
    assert second.startswith(b"200 ")
    assert b"definitions" in second


def test_sec_11_a_refused_message_takes_its_own_bytes_along(sandbox: RunningSandbox) -> None:
    """What a refusal leaves unread is never read as a request (SEC-11)."""
    length = b"Content-Length: %d" % len(SMUGGLED)
    for request in (
        post(length).replace(PATH.encode(), b"/elsewhere", 1),
        post(length).replace(b"text/xml", b"text/plain", 1),
        post(length).replace(b"POST", b"PUT", 1),
        post(length).replace(b"POST", b"GET", 1),
        post(length, b"Content-Encoding: gzip"),
    ):
        first, *behind = say(sandbox, request + SMUGGLED).split(b"HTTP/1.1 ")[1:]
        assert first[:1] == b"4", first[:100]
        assert len(behind) <= 1  # only what stands behind its Content-Length
