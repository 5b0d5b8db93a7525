"""The pace of a batch worker: chunk after chunk, two at a time, and less than it could while calls are answered.

While the database works for one chunk, the lines of the other are decided. They are never of the same lane.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol
from uuid import UUID

from cbss_inscription.batch.engine import Worked
from cbss_inscription.domain.errors import ServiceUnavailable

CHUNKS_AT_A_TIME: Final = 2
"""Chunks that a worker has in hand: alone, it waited for the database a third of its time."""
IDLE_SECONDS: Final = 0.5
"""How long a worker waits that found nothing to do."""
FAILED_SECONDS: Final = 2.0
"""How long it waits when it could not do it."""
CALLS_REMEMBERED_SECONDS: Final = 3.0
"""How long calls count as answered after it was seen that they are: a look misses them while each session of theirs is
at another statement than it looks for."""
REST_SECONDS_MAX: Final = 10.0
"""The longest rest between two chunks."""


def rest_seconds(worked_seconds: float, *, share: float) -> float:
    """How long a worker rests after so much work, to work for this share of the time."""
    return min(worked_seconds * (1 - share) / share, REST_SECONDS_MAX)


class WorkLog(Protocol):
    """Where an operator reads what became of chunks."""

    def worked(self, *, batch_id: UUID, lines_answered: int, lines_waiting: int, seconds: float) -> None:
        """One line: a chunk was answered, or that part of it whose sources answered."""
        ...

    def work_failed(self, *, reason: str, error: Exception) -> None:
        """One line: a chunk could not be worked on; it is tried again, and said again when the reason changes."""
        ...


class ChunksInHand:
    """Works on chunks until it is told to stop."""

    def __init__(
        self,
        work: Callable[[], Awaitable[Worked | None]],
        *,
        are_any_unfinished: Callable[[], Awaitable[bool]],
        are_calls_answered: Callable[[], Awaitable[bool]],
        share: float,
        log: WorkLog,
    ) -> None:
        """`work`: see `ChunkWorker.work`; it finds nothing where no batch `are_any_unfinished`. `share`: of the time,
        while calls are answered.
        """
        self._work = work
        self._are_any_unfinished = are_any_unfinished
        self._are_calls_answered = are_calls_answered
        self._share = share
        self._log = log
        self._gives_way_until = -math.inf
        """On the clock of `time.monotonic`."""
        self._is_idle = False
        self._alone = asyncio.Lock()
        self._failure: str | None = None
        self._lines_answered = 0

    @property
    def _gives_way(self) -> bool:
        return time.monotonic() < self._gives_way_until

    async def run(self, stopping: asyncio.Event, *, until_idle: bool = False) -> int:
        """How many lines were answered, once it is told to stop, the chunks in hand finished; or nothing is left."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CHUNKS_AT_A_TIME):
                group.create_task(self._work_on_chunks(stopping, until_idle=until_idle))
        return self._lines_answered

    async def _work_on_chunks(self, stopping: asyncio.Event, *, until_idle: bool) -> None:
        while not stopping.is_set():
            # Who gives way has one chunk in hand, or rests with none; who found nothing looks with one hand.
            async with self._alone if self._gives_way or self._is_idle else contextlib.nullcontext():
                if stopping.is_set():
                    return
                try:
                    found = await self._work_and_rest(stopping)
                except Exception as error:  # noqa: BLE001  # a defect that one chunk meets must not end the work on others
                    self._tell(error)
                    await _wait(stopping, FAILED_SECONDS)
                    continue
                self._failure = None
                self._is_idle = not found
                if found:
                    continue
                if until_idle:
                    return
                await _wait(stopping, IDLE_SECONDS)

    async def _work_and_rest(self, stopping: asyncio.Event) -> bool:
        """Whether there was a chunk to work on."""
        if self._is_idle and not await self._are_any_unfinished():
            return False
        began = time.perf_counter()
        worked = await self._work()
        if worked is None:
            return False
        seconds = time.perf_counter() - began
        self._lines_answered += worked.lines_answered
        self._log.worked(
            batch_id=worked.batch_id,
            lines_answered=worked.lines_answered,
            lines_waiting=worked.lines_waiting,
            seconds=seconds,
        )
        if self._share < 1 and await self._are_calls_answered():
            self._gives_way_until = time.monotonic() + CALLS_REMEMBERED_SECONDS
        if self._gives_way:
            await _wait(stopping, rest_seconds(seconds, share=self._share))
        return True

    def _tell(self, error: Exception) -> None:
        reason = error.reason if isinstance(error, ServiceUnavailable) else type(error).__qualname__
        if reason != self._failure:
            self._log.work_failed(reason=reason, error=error)
        self._failure = reason


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
