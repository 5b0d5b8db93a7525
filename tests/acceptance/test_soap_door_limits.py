"""The limits of HTTP on a real connection, at their edges: too long, too slow, without end (SEC-09, SEC-10)."""

from __future__ import annotations

import itertools
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

from cbss_inscription.app.serving import serving
from tests.acceptance.conftest import PATH
from tests.conftest import RunningSandbox, free_port

BODY_BYTES_MAX = 20_000
BODY_SECONDS_MAX = 0.6
PATIENCE_SECONDS = 20.0
"""Generously more than any limit here: who waits that long has met none."""
HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n" % PATH.encode()


@pytest.fixture(scope="module")
def port(sandbox: RunningSandbox) -> Iterator[int]:
    """A plain port of the sandbox's façade whose limits are narrow."""
    text = (sandbox.directory / "settings.toml").read_text(encoding="utf-8").partition("[plain]")[0]
    settings = sandbox.directory / "narrow.toml"
    plain = free_port()
    settings.write_text(
        re.sub(r"(?m)^port = \d+", f"port = {free_port()}", text)
        + f"\n[plain]\nport = {plain}\n\n[limits]\nbody_bytes_max = {BODY_BYTES_MAX}\n"
        f"body_seconds_max = {BODY_SECONDS_MAX}\n",
        encoding="utf-8",
    )
    with serving(settings):
        yield plain


@contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as opened:
        yield opened


def heard(opened: socket.socket) -> bytes:
    """What comes until the service hangs up."""
    answer = b""
    try:
        while part := opened.recv(65_536):
            answer += part
    except ConnectionError:
        pass  # cut off with our bytes unread
    return answer


def say(port: int, request: bytes) -> bytes:
    with connection(port) as opened:
        opened.sendall(request)
        return heard(opened)


def stated(size: int) -> bytes:
    return HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % size + b" " * size


def in_chunks(size: int) -> bytes:
    sizes = [7_000] * (size // 7_000) + [size % 7_000]
    chunks = b"".join(b"%x\r\n%s\r\n" % (one, b" " * one) for one in sizes if one)
    return HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


@pytest.mark.parametrize("write", [stated, in_chunks])
def test_sec_09_the_greatest_body_passes_and_a_byte_more_does_not(port: int, write: Callable[[int], bytes]) -> None:
    """At the limit a body is a message (SOA-03001: no XML), a byte more is 413, stated or in chunks (SEC-09)."""
    assert b"SOA-03001" in say(port, write(BODY_BYTES_MAX))
    assert say(port, write(BODY_BYTES_MAX + 1)).startswith(b"HTTP/1.1 413 ")


def drip(opened: socket.socket, drops: Iterable[bytes], *, pause_seconds: float = 0.0) -> int:
    """How many bytes went out before the service hung up."""
    sent = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        for drop in drops:
            assert time.monotonic() < deadline, "the service goes on listening"
            opened.sendall(drop)
            sent += len(drop)
            time.sleep(pause_seconds)
    except ConnectionError:
        pass
    return sent


def test_sec_09_chunks_without_end_are_cut_off(port: int) -> None:
    """Who never ends is hung up on soon after the limit, not when he is tired (SEC-09)."""
    with connection(port) as opened:
        opened.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = drip(opened, itertools.repeat(b"1000\r\n" + b" " * 0x1000 + b"\r\n"), pause_seconds=0.002)
    assert sent < 8_000_000  # the limit, and what lies in the sockets' own memory


@pytest.mark.parametrize("kind", ["a byte of each chunk", "a chunk's extension"])
def test_sec_10_chunks_that_trickle_are_cut_off(port: int, kind: str) -> None:
    """A body that arrives drop by drop is over when its time is, and its connection closed (SEC-10)."""
    drop = {"a byte of each chunk": b"1\r\n \r\n", "a chunk's extension": b"1;" + b"a" * 10 + b"\r\n \r\n"}[kind]
    with connection(port) as opened:
        opened.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        drip(opened, itertools.repeat(drop), pause_seconds=0.05)


SLOW: dict[str, tuple[bytes, bytes, bytes]] = {
    "a connection that says nothing": (b"", b"", b""),
    "half a request line": (b"POST", b"", b""),
    "headers line by line": (HEAD, b"X: y\r\n", b""),
    "a body that stops": (HEAD + b"Content-Length: 1000\r\n\r\n<a", b"", b"HTTP/1.1 408 "),
    "a connection that is kept after its reply": (HEAD + b"Content-Length: 4\r\n\r\n<a/>", b"", b"HTTP/1.1 500 "),
}


@pytest.mark.parametrize("name", SLOW)
def test_sec_10_a_slow_sender_is_cut_off(port: int, name: str) -> None:
    """Neither headers nor bodies may take longer than their time, nor may a connection be held for nothing (SEC-10)."""
    start, drop, answer = SLOW[name]
    with connection(port) as opened:
        opened.sendall(start)
        if drop:
            drip(opened, itertools.repeat(drop), pause_seconds=0.1)
        else:
            assert heard(opened)[: len(answer)] == answer


def test_sec_10_slow_senders_keep_nobody_waiting(port: int) -> None:
    """A hundred connections that trickle take no place of a caller who speaks up (SEC-10)."""
    slow = []
    try:
        for number in range(100):
            slow.append(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS))
            slow[-1].sendall(HEAD + (b"Content-Length: 1000\r\n\r\n<" if number % 2 else b""))
        assert b"SOA-03001" in say(port, stated(4))
    finally:
        for opened in slow:
            opened.close()
