"""How far this machine's clock is from the one that all replicas share, the database's, and what follows (SEC-55)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

CLOCK_ALARM_SECONDS: Final = 5.0
"""Farther off than this an operator is told (SEC-55)."""
CLOCK_WRONG_SECONDS: Final = 30.0
"""Farther off than this nothing that depends on time can be judged (SEC-55)."""


class ClockState(StrEnum):
    """What a reading says of our clock."""

    RIGHT = "right"
    DRIFTING = "drifting"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """Our clock beside the other, asked once; the truth is within `error_seconds` of it on either side."""

    offset_seconds: float
    """Ours less the other: positive when ours is ahead."""
    error_seconds: float
    """Half the round trip: the answer was made somewhere in it."""

    @classmethod
    def of(cls, *, asked: datetime, answered: datetime, round_trip_seconds: float) -> ClockReading:
        """The reading of a clock that `answered` so, when ours said `asked`, both aware, as the question left."""
        half = round_trip_seconds / 2
        middle = asked + timedelta(seconds=half)
        return cls(offset_seconds=(middle - answered).total_seconds(), error_seconds=half)

    @property
    def state(self) -> ClockState:
        """What is certain: a slow answer alone never makes a clock wrong."""
        off_seconds = abs(self.offset_seconds) - self.error_seconds
        if off_seconds > CLOCK_WRONG_SECONDS:
            return ClockState.WRONG
        return ClockState.DRIFTING if off_seconds > CLOCK_ALARM_SECONDS else ClockState.RIGHT
