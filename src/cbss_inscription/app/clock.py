"""Watches this machine's clock beside the database's, in the background, never for a message (SEC-55)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from cbss_inscription.app.background import repeat
from cbss_inscription.domain.clock import CLOCK_ALARM_SECONDS, ClockReading, ClockState
from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.queries import QUERIES

CLOCK_LOOK_SECONDS: Final = 10.0
"""How often the clocks are compared [D]."""

Clock = Callable[[], datetime]


class ClockLog(Protocol):
    """Where an operator reads that the clock went off, or is right again."""

    def clock_moved(self, *, reading: ClockReading) -> None:
        """One line: the clock is in another state than before, or farther off by another alarm's worth."""
        ...

    def look_failed(self, kind: str) -> None:
        """One line: the clocks cannot be compared, by a defect."""
        ...


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


class ClockWatch:
    """The newest reading, and what it says of the clock; right until something else is known."""

    def __init__(self, read: Callable[[], Awaitable[ClockReading]], *, log: ClockLog) -> None:
        self._read = read
        self._log = log
        self._told = ClockReading(offset_seconds=0.0, error_seconds=0.0)
        self.reading: ClockReading | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether time windows and the memory of replays mean nothing now."""
        return self.reading is not None and self.reading.state is ClockState.WRONG

    async def look(self) -> None:
        """Nothing; the reading is of now, or as it was when the database does not answer."""
        try:
            reading = await self._read()
        except TemporarilyUnavailable:
            return  # without it no message is admitted anyway (SEC-53)
        self.reading = reading
        moved_seconds = abs(reading.offset_seconds - self._told.offset_seconds)
        is_off = reading.state is not ClockState.RIGHT
        if reading.state is not self._told.state or (is_off and moved_seconds > CLOCK_ALARM_SECONDS):
            self._told = reading
            self._log.clock_moved(reading=reading)

    async def keep_looking(self) -> None:
        """Never returns."""
        await repeat(self.look, seconds=lambda: CLOCK_LOOK_SECONDS, failed=self._log.look_failed)


async def read_clock(
    database: Database, *, clock: Clock = utc_now, ticks: Callable[[], float] = time.monotonic
) -> ClockReading:
    """Our clock beside the database's. Raises `TemporarilyUnavailable`."""
    async with database.connection() as connection:  # had first: waiting for one is no part of the round trip
        asked, began = clock(), ticks()
        cursor = await connection.execute(QUERIES["clock"])
        row = await cursor.fetchone()
        seconds = ticks() - began
    assert row is not None
    return ClockReading.of(asked=asked, answered=row[0], round_trip_seconds=seconds)
