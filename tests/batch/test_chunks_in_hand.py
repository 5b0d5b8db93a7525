"""The pace of a batch worker: two chunks at a time, one while calls are answered, and what ends it (rules 37, 55)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from cbss_inscription.app import chunks_in_hand
from cbss_inscription.app.chunks_in_hand import CHUNKS_AT_A_TIME, REST_SECONDS_MAX, ChunksInHand, rest_seconds
from cbss_inscription.batch.engine import Worked
from cbss_inscription.domain.errors import TemporarilyUnavailable

BATCH = UUID(int=1)


class Chunks:
    """So many chunks of ten lines, and how many of them were in hand at the same time."""

    def __init__(self, count: int, *, calls: bool = False) -> None:
        self.left = count
        self.calls = calls
        self.calls_missed = False
        """Whether nobody sees them any more once they were seen."""
        self.in_hand: list[int] = []
        """After each chunk that was taken."""
        self.failures: list[Exception] = []
        """What is raised instead of taking a chunk, last first."""
        self.told: list[str] = []
        self.looks_for_calls = 0
        self._now = 0

    async def work(self) -> Worked | None:
        if self.failures:
            raise self.failures.pop()
        if not self.left:
            return None
        self.left -= 1
        self._now += 1
        self.in_hand.append(self._now)
        for _ in range(10):  # as long as the database would
            await asyncio.sleep(0)
        self._now -= 1
        return Worked(batch_id=BATCH, lines_answered=10, lines_waiting=0, may_finish_batch=False)

    async def are_calls_answered(self) -> bool:
        self.looks_for_calls += 1
        seen, self.calls = self.calls, self.calls and not self.calls_missed
        return seen

    async def are_any_unfinished(self) -> bool:
        return self.left > 0

    def worked(self, **said: Any) -> None:
        assert said["batch_id"] == BATCH

    def work_failed(self, *, reason: str, error: Exception) -> None:
        assert error is not None
        self.told.append(reason)

    def worker(
        self, *, share: float = 0.25, work: Callable[[], Awaitable[Worked | None]] | None = None
    ) -> ChunksInHand:
        return ChunksInHand(
            work or self.work,
            are_any_unfinished=self.are_any_unfinished,
            are_calls_answered=self.are_calls_answered,
            share=share,
            log=self,
        )


async def test_two_chunks_are_in_hand_when_nobody_calls() -> None:
    """A worker has two chunks in hand as long as nobody calls, and ends when nothing is left (rule 37)."""
    chunks = Chunks(9)
    assert await chunks.worker().run(asyncio.Event(), until_idle=True) == 90
    assert chunks.left == 0
    assert max(chunks.in_hand) == CHUNKS_AT_A_TIME


async def test_one_chunk_is_in_hand_while_calls_are_answered() -> None:
    """From the moment that calls are seen to be answered a worker has one chunk in hand, or none (rule 55)."""
    chunks = Chunks(9, calls=True)
    assert await chunks.worker(share=0.999).run(asyncio.Event(), until_idle=True) == 90
    assert set(chunks.in_hand[CHUNKS_AT_A_TIME:]) == {1}


async def test_calls_are_given_way_for_a_while_after_they_were_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that misses the calls that are answered does not make a worker go on as if nobody called; when none were
    seen for some time it does (rule 55).
    """
    chunks = Chunks(9, calls=True)
    chunks.calls_missed = True
    await chunks.worker(share=0.999).run(asyncio.Event(), until_idle=True)
    assert set(chunks.in_hand[CHUNKS_AT_A_TIME:]) == {1}
    monkeypatch.setattr(chunks_in_hand, "CALLS_REMEMBERED_SECONDS", 0.0)
    chunks = Chunks(9, calls=True)
    chunks.calls_missed = True
    await chunks.worker(share=0.999).run(asyncio.Event(), until_idle=True)
    assert set(chunks.in_hand[1:-1]) == {CHUNKS_AT_A_TIME}


async def test_a_share_of_all_gives_no_way() -> None:
    """A worker that may have all of the time does not look whether calls are answered (rule 55)."""
    chunks = Chunks(9, calls=True)
    assert await chunks.worker(share=1).run(asyncio.Event(), until_idle=True) == 90
    assert set(chunks.in_hand[1:-1]) == {CHUNKS_AT_A_TIME}


async def test_a_worker_without_work_asks_one_thing_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who found nothing to do asks the database only whether a batch is unfinished, by one hand, until one is: then two
    chunks are in hand again (rule 55).
    """
    monkeypatch.setattr(chunks_in_hand, "IDLE_SECONDS", 0.001)
    chunks, stopping = Chunks(0, calls=True), asyncio.Event()
    looking: list[int] = []
    looks_for_work = now = 0
    asked: tuple[int, int] | None = None

    async def are_any_unfinished() -> bool:
        nonlocal now, asked
        now += 1
        looking.append(now)
        for _ in range(10):
            await asyncio.sleep(0)
        now -= 1
        if len(looking) >= 30 and asked is None:
            asked = looks_for_work, chunks.looks_for_calls
            chunks.left, chunks.calls = 9, False
        return chunks.left > 0

    async def work() -> Worked | None:
        nonlocal looks_for_work
        looks_for_work += 1
        worked = await chunks.work()
        if (chunks.in_hand and not chunks.left) or looks_for_work == 100:
            stopping.set()
        return worked

    chunks.are_any_unfinished = are_any_unfinished  # type: ignore[method-assign]
    assert await chunks.worker(work=work).run(stopping) == 90
    assert asked == (1, 0)
    assert set(looking) == {1}
    assert max(chunks.in_hand) == CHUNKS_AT_A_TIME


@pytest.mark.parametrize("calls", [False, True])
async def test_who_is_told_to_stop_finishes_what_is_in_hand(calls: bool) -> None:
    """A worker that is told to stop takes no further chunk, and finishes those that it has (rule 37)."""
    chunks, stopping = Chunks(1_000, calls=calls), asyncio.Event()

    async def work() -> Worked | None:
        worked = await chunks.work()
        if chunks.left < 990:
            stopping.set()
        return worked

    answered = await chunks.worker(share=0.999, work=work).run(stopping)
    assert answered == 10 * (1_000 - chunks.left)
    assert chunks.left >= 990 - CHUNKS_AT_A_TIME


async def test_a_failure_is_told_once_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a chunk raises is told once until it changes, and the worker goes on (rule 37)."""
    monkeypatch.setattr(chunks_in_hand, "FAILED_SECONDS", 0.0)
    chunks = Chunks(4)
    away, broken = TemporarilyUnavailable("database"), KeyError()
    chunks.failures = [broken, away, away, away, away, away]
    assert await chunks.worker().run(asyncio.Event(), until_idle=True) == 40
    assert chunks.told == ["database", "KeyError"]


def test_a_worker_rests_to_keep_its_share() -> None:
    """A worker with a quarter of the time rests three times as long as it worked, one with all of it never, and no rest
    lasts longer than the longest (rule 55).
    """
    assert rest_seconds(0.5, share=0.25) == 1.5
    assert rest_seconds(0.5, share=1) == 0
    assert rest_seconds(60, share=0.25) == REST_SECONDS_MAX
