"""A proxy on loopback between two services: lets through, holds back, cuts, refuses."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Cable:
    """A TCP proxy in a thread of its own, from a free port to `target_port`; it understands nothing of what passes."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._delay_seconds = 0.0
        self._is_cut = False
        self._ready = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    def delay(self, seconds: float) -> None:
        """Nothing; from now on each piece takes so much longer."""
        self._delay_seconds = seconds

    def cut(self) -> None:
        """Nothing; every connection is broken, and new ones are, until `mend`."""
        self._is_cut = True
        self._loop.call_soon_threadsafe(self._break_all)

    def mend(self) -> None:
        """Nothing; everything passes at once again."""
        self._is_cut = False
        self._delay_seconds = 0.0

    def close(self) -> None:
        """Nothing; the proxy has ended."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._pass, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))

    def _end(self) -> None:
        self._break_all()
        self._loop.stop()

    def _break_all(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
                self._writers.add(back)
                try:
                    await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
                finally:
                    self._writers.discard(back)
                    back.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65_536):
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            writer.write(part)
            await writer.drain()
        writer.transport.abort()
