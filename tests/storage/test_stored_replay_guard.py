"""Messages seen, remembered in PostgreSQL for all workers: SEC-52 to SEC-54."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import pytest_asyncio

from cbss_inscription.storage.database import Database
from cbss_inscription.storage.replay import StoredReplayGuard

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
UNTIL = NOW + timedelta(minutes=6)
AT_ONCE = 20


def key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@pytest_asyncio.fixture
async def database(module_database: str) -> AsyncIterator[Database]:
    with psycopg.connect(module_database) as connection:
        connection.execute("DELETE FROM replay_guard")
    database = Database(module_database)
    await database.open()
    yield database
    await database.close()


def remembered(conninfo: str) -> int:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SELECT count(*) FROM replay_guard").fetchone()
        assert row is not None
        return int(row[0])


async def test_sec_52_a_message_is_admitted_once(database: Database) -> None:
    """The first time a message is admitted, each further time it is not; another message is (SEC-52)."""
    guard = StoredReplayGuard(database)
    assert await guard.admit(key("a"), until=UNTIL, now=NOW)
    assert not await guard.admit(key("a"), until=UNTIL, now=NOW)
    assert not await guard.admit(key("a"), until=UNTIL + timedelta(hours=1), now=NOW)
    assert await guard.admit(key("b"), until=UNTIL, now=NOW)


async def test_sec_52_the_memory_is_shared_by_all_workers(database: Database, module_database: str) -> None:
    """What one worker admitted no other worker admits, and a worker that starts later neither (SEC-52)."""
    assert await StoredReplayGuard(database).admit(key("a"), until=UNTIL, now=NOW)
    other = Database(module_database, connections_max=1)
    await other.open()
    try:
        assert not await StoredReplayGuard(other).admit(key("a"), until=UNTIL, now=NOW)
    finally:
        await other.close()


@pytest.mark.parametrize("round_number", range(5))
async def test_sec_52_of_many_at_once_exactly_one_wins(
    database: Database, module_database: str, round_number: int
) -> None:
    """Twenty simultaneous admissions of one message over many connections: exactly one is admitted (SEC-52)."""
    other = Database(module_database)
    await other.open()
    try:
        guards = [StoredReplayGuard(database if number % 2 else other) for number in range(AT_ONCE)]
        verdicts = await asyncio.gather(
            *(guard.admit(key(f"round {round_number}"), until=UNTIL, now=NOW) for guard in guards)
        )
    finally:
        await other.close()
    assert sorted(verdicts) == [False] * (AT_ONCE - 1) + [True]


async def test_sec_54_what_has_expired_is_forgotten_and_nothing_else(database: Database, module_database: str) -> None:
    """A clean-up removes expired messages; those still valid stay refused (SEC-54)."""
    guard = StoredReplayGuard(database)
    later = NOW + timedelta(minutes=1)
    await guard.admit(key("expires"), until=later - timedelta(seconds=1), now=NOW)
    await guard.admit(key("lasts"), until=later, now=NOW)
    assert await guard.forget_expired(now=later) == 1
    assert remembered(module_database) == 1
    assert not await guard.admit(key("lasts"), until=UNTIL, now=later)
    assert await guard.admit(key("expires"), until=UNTIL, now=later)


async def test_sec_54_all_that_expired_is_forgotten_in_bounded_steps(
    database: Database, module_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many have expired, no statement removes more than the limit, and none is left (SEC-54)."""
    monkeypatch.setattr("cbss_inscription.storage.database.DELETED_ROWS_MAX", 10)
    guard = StoredReplayGuard(database)
    for number in range(25):
        await guard.admit(key(f"old {number}"), until=NOW, now=NOW)
    await guard.admit(key("new"), until=UNTIL, now=NOW)
    assert await guard.forget_expired(now=NOW + timedelta(seconds=1)) == 25
    assert remembered(module_database) == 1
