"""The pool of connections: what the operator's connection string says, and how failures are told."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cbss_inscription.domain.errors import TemporarilyUnavailable, UsageError
from cbss_inscription.storage.database import BoundedConnection, Database
from cbss_inscription.storage.migration import check_schema, migrate
from cbss_inscription.storage.queries import QUERIES
from cbss_inscription.storage.replay import StoredReplayGuard
from tests.chaos.cutting import Cable
from tests.storage.conftest import HANGS_SECONDS, through
from tests.storage.test_stored_replay_guard import NOW, UNTIL, key


async def test_the_operators_options_hold_for_every_connection(fresh_database: str) -> None:
    """A search_path in the connection string's options holds for migrations and workers alike; so do our bounds."""
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA elsewhere")
    conninfo = make_conninfo(fresh_database, options="-c search_path=elsewhere", application_name="mine")
    migrate(conninfo)
    database = Database(conninfo, connections_max=1)
    await database.open()
    try:
        async with database.connection() as one:
            shown = []
            for name in (
                "search_path",
                "application_name",
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "TimeZone",
            ):
                cursor = await one.execute(f"SHOW {name}")
                shown.append(((await cursor.fetchone()) or ("",))[0])
        assert shown == ["elsewhere", "mine", "10s", "2s", "30s", "UTC"]
    finally:
        await database.close()


async def test_sec_53_whoever_stops_within_a_transaction_loses_its_locks(fresh_database: str) -> None:
    """A holder of a person's lock that says nothing any more is ended by the server; it cannot block others for ever.

    An operator may say another bound in the connection string. The one that was ended is told SOA-02002 (SEC-53).
    """
    hasty = make_conninfo(fresh_database, options="-c idle_in_transaction_session_timeout=100ms -c lock_timeout=9s")
    database = Database(hasty, connections_max=2)
    await database.open()
    taken = {"ssin": 98472899765}

    async def stop_within_a_transaction() -> None:
        async with database.connection() as idle, idle.transaction():
            await idle.execute(QUERIES["lock_person"], taken)
            async with database.connection() as other, other.transaction():
                await other.execute(QUERIES["lock_person"], taken)  # waits until the idle one has been ended
            await idle.execute(QUERIES["answer"])

    try:
        with pytest.raises(TemporarilyUnavailable):
            await stop_within_a_transaction()
        assert await database.row("answer") == (1,)
    finally:
        await database.close()


async def test_sec_53_a_server_that_only_reads_is_temporarily_unavailable(fresh_database: str) -> None:
    """After a failover a server may refuse writes: SOA-02002 with retry, no internal error (SEC-53)."""
    database = Database(make_conninfo(fresh_database, options="-c default_transaction_read_only=on"), connections_max=1)
    await database.open()
    try:
        with pytest.raises(TemporarilyUnavailable):
            await StoredReplayGuard(database).admit(key("read-only"), until=UNTIL, now=NOW)
    finally:
        await database.close()


@pytest.mark.parametrize("step", [migrate, check_schema])
def test_a_role_that_may_not_is_told_in_one_sentence(fresh_database: str, step) -> None:
    """A role without rights on the schema gets a usage error of one line, no traceback."""
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.execute("DROP ROLE IF EXISTS outsider; CREATE ROLE outsider LOGIN")
        connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    with pytest.raises(UsageError, match=r"\A[^\n]+\Z"):
        step(make_conninfo(fresh_database, user="outsider"))
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("DROP ROLE outsider")


async def test_sec_53_a_database_that_says_nothing_any_more_is_given_up(fresh_database: str, cable: Cable) -> None:
    """A connection that stays open while nothing passes is lost, for a change too, and the next one works (SEC-53)."""
    database = Database(through(cable, fresh_database), connections_max=1)
    await database.open()
    try:
        assert await database.row("answer") == (1,)
        cable.fall_silent()
        cable.mend()  # for new connections: that one never speaks again
        async with asyncio.timeout(HANGS_SECONDS):
            with pytest.raises(TemporarilyUnavailable):
                async with database.connection() as lost, lost.transaction():
                    await lost.execute(QUERIES["lock_person"], {"ssin": 98472899765})
            assert await database.row("answer") == (1,)
    finally:
        await database.close()


async def test_what_may_take_longer_is_waited_for_longer(fresh_database: str, cable: Cable) -> None:
    """A statement that may take longer than others is not given up before; the next user of its connection is."""
    database = Database(through(cable, fresh_database), connections_max=1)
    await database.open()
    try:
        async with database.connection(statement_milliseconds_max=HANGS_SECONDS * 1_000) as patient:
            cursor = await patient.execute("SELECT 1 FROM pg_sleep(1.5)")
            assert await cursor.fetchone() == (1,)
        with pytest.raises(TemporarilyUnavailable):
            async with database.connection() as impatient:
                await impatient.execute("SELECT 1 FROM pg_sleep(1.5)")
    finally:
        await database.close()


async def test_what_the_server_refuses_leaves_the_connection(fresh_database: str, cable: Cable) -> None:
    """A statement that took the server too long costs no connection: its word came."""
    database = Database(through(cable, fresh_database), connections_max=1)
    await database.open()
    try:
        async with database.connection() as connection:
            await connection.execute("SET statement_timeout = '10ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                await connection.execute("SELECT pg_sleep(1.5)")
            assert not connection.closed
    finally:
        await database.close()


def test_a_thread_gives_a_silent_database_up_too(fresh_database: str, cable: Cable) -> None:
    """What looks at the database beside the workers does not wait without end."""
    with BoundedConnection.connect(through(cable, fresh_database), autocommit=True) as connection:
        cable.fall_silent()
        with pytest.raises(psycopg.OperationalError):
            connection.execute(QUERIES["answer"])
        assert connection.closed
