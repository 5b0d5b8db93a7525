"""A proxy on loopback between two services: lets through, holds back, cuts, falls silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path

READY_SECONDS_MAX = 10.0
"""How long the proxy may take to listen, and to end."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: a connection that is closed is reset, as by a router that knows nothing of it any more."""


@dataclass(eq=False)
class _Wire:
    """One connection through the cable: both its ends."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter | None = None
    is_silent: bool = False
    broken: asyncio.Event = field(default_factory=asyncio.Event)


class Cable:
    """A TCP proxy in a thread of its own, from a free port to a port or Unix socket.

    It understands nothing of what passes.
    """

    def __init__(self, target: int | Path) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._wires: set[_Wire] = set()
        self._delay_seconds = 0.0
        self._is_cut = False
        self._is_silent = False
        self._ready = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._ready.wait(READY_SECONDS_MAX):
            raise TimeoutError("the cable does not listen")

    def delay(self, seconds: float) -> None:
        """Nothing; from now on each piece takes so much longer."""
        self._delay_seconds = seconds

    def cut(self) -> None:
        """Nothing; every connection is reset, and new ones are, until `mend`."""
        self._is_cut = True
        self._loop.call_soon_threadsafe(self._break_all)

    def fall_silent(self) -> None:
        """Nothing; every connection stays open and nothing passes, nor through new ones until `mend`."""
        self._is_silent = True
        self._loop.call_soon_threadsafe(self._silence_all)

    def mend(self) -> None:
        """Nothing; new connections pass at once again, and those that were not silent.

        A silent one never speaks again, as when a router forgot it: whoever was asked finds out, and ends it; whoever
        asks is not told.
        """
        self._is_cut = self._is_silent = False
        self._delay_seconds = 0.0
        self._loop.call_soon_threadsafe(self._end_far)

    def close(self) -> None:
        """Nothing; the proxy has ended."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(READY_SECONDS_MAX)
        if self._thread.is_alive():
            raise TimeoutError("the cable does not end")
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._pass, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        while tasks := asyncio.all_tasks(self._loop):
            self._loop.run_until_complete(asyncio.wait(tasks))

    def _end(self) -> None:
        self._break_all()
        self._loop.stop()

    def _break_all(self) -> None:
        for wire in tuple(self._wires):
            wire.broken.set()

    def _silence_all(self) -> None:
        for wire in self._wires:
            wire.is_silent = True

    def _end_far(self) -> None:
        for wire in self._wires:
            if wire.is_silent and wire.far is not None:
                wire.far.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = _Wire(near=writer, is_silent=self._is_silent)
        if self._is_cut:
            _reset(writer)
            return
        self._wires.add(wire)
        broken = asyncio.ensure_future(wire.broken.wait())
        passing = asyncio.ensure_future(self._connect(wire, reader))
        try:
            await asyncio.wait((passing, broken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._wires.discard(wire)
            passing.cancel()
            broken.cancel()
            for end in (wire.near, wire.far):
                if end is not None and wire.broken.is_set():
                    _reset(end)
                elif end is not None:
                    end.close()

    async def _connect(self, wire: _Wire, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            if wire.is_silent:
                await wire.broken.wait()  # whoever is asked never hears of it
            there, wire.far = await (
                asyncio.open_unix_connection(self._target)
                if isinstance(self._target, Path)
                else asyncio.open_connection("127.0.0.1", self._target)
            )
            pumps = [
                asyncio.ensure_future(self._pump(wire, reader, wire.far)),
                asyncio.ensure_future(self._pump(wire, there, wire.near)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()

    async def _pump(self, wire: _Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(65_536):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                if wire.is_silent:
                    break
                writer.write(part)
                await writer.drain()
        if wire.is_silent:
            await wire.broken.wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None and found.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
