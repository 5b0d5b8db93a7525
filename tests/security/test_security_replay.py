"""A message counts once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.security.replay import MemoryReplayGuard

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def later(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.mark.asyncio
async def test_sec_52_the_first_is_admitted_and_no_other():
    """Of the same key only the first is admitted, up to and at its end (SEC-52)."""
    guard = MemoryReplayGuard()
    assert await guard.admit(b"a", until=later(60), now=NOW)
    assert not await guard.admit(b"a", until=later(60), now=NOW)
    assert not await guard.admit(b"a", until=later(60), now=later(60))
    assert await guard.admit(b"b", until=later(60), now=NOW)


@pytest.mark.asyncio
async def test_sec_52_of_many_at_once_one_is_admitted():
    """Of a hundred that bring the same key at once, one is admitted (SEC-52)."""
    guard = MemoryReplayGuard()
    admitted = await asyncio.gather(*(guard.admit(b"a", until=later(60), now=NOW) for _ in range(100)))
    assert sum(admitted) == 1


@pytest.mark.asyncio
async def test_sec_54_only_what_expired_is_forgotten():
    """A full memory refuses instead of forgetting; what expired makes room (SEC-53, SEC-54)."""
    guard = MemoryReplayGuard(entries_max=3)
    for number in range(3):
        assert await guard.admit(bytes([number]), until=later(10 + number), now=NOW)
    with pytest.raises(TemporarilyUnavailable, match=r"\Areplay-memory-full\Z"):
        await guard.admit(b"x", until=later(60), now=later(10))
    assert not await guard.admit(bytes([0]), until=later(10), now=later(10))
    assert await guard.admit(b"x", until=later(60), now=later(11))
    assert len(guard) == 3
    assert await guard.admit(b"y", until=later(60), now=later(50))
    assert len(guard) == 2
