"""What the cables of a chaos run do to connections: a fault that does not come proves nothing."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.cutting import Cable

PATIENCE_SECONDS = 20.0
SILENCE_SECONDS = 0.3


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while part := self.request.recv(65_536):
            self.request.sendall(part)


@pytest.fixture
def cable() -> Iterator[Cable]:
    """A cable to a service that says what it hears."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        laid = Cable(server.server_address[1])
        yield laid
        laid.close()
        server.shutdown()


def _called(cable: Cable) -> socket.socket:
    return socket.create_connection(("127.0.0.1", cable.port), timeout=PATIENCE_SECONDS)


def _answers(connection: socket.socket) -> bool:
    connection.sendall(b"hello")
    return connection.recv(5) == b"hello"


def _is_silent(connection: socket.socket) -> bool:
    connection.sendall(b"hello")
    readable, _, _ = select.select([connection], [], [], SILENCE_SECONDS)
    return not readable


def test_a_cable_that_is_cut_resets_every_connection(cable: Cable) -> None:
    """Whoever is connected, and whoever connects, gets a reset, until it is mended (issue 6)."""
    with _called(cable) as before:
        assert _answers(before)
        cable.cut()
        with pytest.raises(ConnectionResetError):
            before.recv(1)
    with pytest.raises(ConnectionResetError), _called(cable) as during:
        during.recv(1)
    cable.mend()
    with _called(cable) as after:
        assert _answers(after)


def test_a_silent_cable_lets_nothing_through_and_ends_nothing(cable: Cable) -> None:
    """Connections stay open and nothing passes; mended, new ones speak, and those of the silence never (issue 6)."""
    with _called(cable) as before:
        assert _answers(before)
        cable.fall_silent()
        with _called(cable) as during:
            assert _is_silent(during)
            assert _is_silent(before)
            cable.mend()
            with _called(cable) as after:
                assert _answers(after)
            assert _is_silent(before)
            assert _is_silent(during)
