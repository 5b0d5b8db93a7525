"""The machine's clock beside the one that all replicas share (SEC-55)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cbss_inscription.app import clock as clock_module
from cbss_inscription.app.clock import ClockWatch
from cbss_inscription.domain.clock import ClockReading, ClockState
from cbss_inscription.domain.errors import TemporarilyUnavailable

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Told:
    """A `ClockLog` that keeps what it is told."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def clock_moved(self, *, reading: ClockReading) -> None:
        self.states.append(f"{reading.state} {reading.offset_seconds:+.0f}")

    def look_failed(self, kind: str) -> None:
        self.states.append(kind)


def off_by(seconds: float, error: float = 0.0) -> ClockReading:
    return ClockReading(offset_seconds=seconds, error_seconds=error)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        (0.0, ClockState.RIGHT),
        (5.0, ClockState.RIGHT),
        (5.001, ClockState.DRIFTING),
        (30.0, ClockState.DRIFTING),
        (30.001, ClockState.WRONG),
        (86_400.0, ClockState.WRONG),
    ],
)
def test_sec_55_more_than_five_seconds_alarm_and_more_than_thirty_are_wrong(
    sign: int, seconds: float, state: ClockState
) -> None:
    """Ahead or behind alike: beyond 5 s it drifts, beyond 30 s it is wrong (SEC-55)."""
    assert off_by(sign * seconds).state is state


def test_sec_55_half_the_round_trip_is_taken_off() -> None:
    """Asked at noon, answered "noon and a second" after two seconds: the clocks agree, within one second (SEC-55)."""
    reading = ClockReading.of(asked=NOON, answered=NOON + timedelta(seconds=1), round_trip_seconds=2.0)
    assert (reading.offset_seconds, reading.error_seconds) == (0.0, 1.0)
    behind = ClockReading.of(asked=NOON, answered=NOON + timedelta(seconds=41), round_trip_seconds=2.0)
    assert behind.offset_seconds == -40.0
    assert behind.state is ClockState.WRONG


def test_sec_55_a_slow_answer_alone_makes_no_clock_wrong() -> None:
    """Of an answer that took a minute, nothing within that half minute is held against our clock (SEC-55)."""
    assert off_by(31.0, error=30.0).state is ClockState.RIGHT
    assert off_by(61.0, error=30.0).state is ClockState.WRONG


async def test_sec_55_the_alarm_is_told_once_and_again_when_it_changes() -> None:
    """A line when it goes off, farther by five seconds, wrong, or right again; none between (SEC-55)."""
    seconds = [0.1, 4.0, 6.0, 6.5, 7.0, 12.0, 31.0, 31.2, -31.0, 3.0, 0.0]
    readings = iter([off_by(one) for one in seconds])

    async def read() -> ClockReading:
        return next(readings)

    told = Told()
    watch = ClockWatch(read, log=told)
    wrong = []
    for _ in seconds:
        await watch.look()
        wrong.append(watch.is_wrong)
    assert told.states == ["drifting +6", "drifting +12", "wrong +31", "wrong -31", "right +3"]
    assert wrong == [False] * 6 + [True] * 3 + [False] * 2


async def test_sec_55_without_an_answer_the_last_reading_counts() -> None:
    """A database that is away neither makes the clock right nor wrong; before the first answer it is right (SEC-55)."""
    answers: list[ClockReading | None] = [None, off_by(40.0), None]

    async def read() -> ClockReading:
        answer = answers.pop(0)
        if answer is None:
            raise TemporarilyUnavailable("database")
        return answer

    watch = ClockWatch(read, log=Told())
    found = []
    for _ in range(3):
        await watch.look()
        found.append(watch.is_wrong)
    assert found == [False, True, True]


async def test_sec_55_a_defect_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of failures alike one line, and the watch goes on: what works again is told when it fails again (SEC-55)."""
    monkeypatch.setattr(clock_module, "CLOCK_LOOK_SECONDS", 0.0)
    done = asyncio.Event()
    outcomes = iter([ValueError, ValueError, None, ValueError, KeyError, None])

    async def read() -> ClockReading:
        try:
            outcome = next(outcomes)
        except StopIteration:
            done.set()
            return off_by(40.0)
        if outcome is not None:
            raise outcome
        return off_by(0.0)

    told = Told()
    watch = ClockWatch(read, log=told)
    watching = asyncio.create_task(watch.keep_looking())
    await done.wait()
    await asyncio.sleep(0)
    watching.cancel()
    assert told.states == ["ValueError", "ValueError", "KeyError", "wrong +40"]
    assert watch.is_wrong
