"""The pool of connections that a worker shares, and how its failures are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq.abc import PGconn
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from cbss_inscription.domain.errors import TemporarilyUnavailable, UsageError
from cbss_inscription.storage.queries import QUERIES

CONNECTIONS_MAX: Final = 8
"""Connections of one worker."""
POLL_SECONDS: Final = 0.1
"""How often psycopg looks up from waiting for the server, as by default."""
WAIT_SECONDS_MAX: Final = 5.0
"""How long a request waits for a connection before it is refused with SOA-02002."""
STATEMENT_TIMEOUT_MILLISECONDS: Final = 10_000
"""How long one statement may take, lock waits included."""
LOCK_TIMEOUT_MILLISECONDS: Final = 2_000
"""How long a change waits for another of the same person: well below what others wait for a connection."""
IDLE_IN_TRANSACTION_MILLISECONDS: Final = 30_000
"""How long a transaction may say nothing before the server ends it: a worker that stopped keeps no person locked."""
DELETED_ROWS_MAX: Final = 10_000
"""Rows removed by one statement of those that forget."""
CONNECT_SECONDS_MAX: Final = 5
"""How long a new connection may take."""
TCP_UNACKNOWLEDGED_MILLISECONDS: Final = 15_000
"""How long data may stay unacknowledged before a connection counts as lost."""
SILENT_SECONDS_MAX: Final = 15.0
"""How long the server may say nothing to a statement before the connection counts as lost: longer than one may take."""
ANSWER_MARGIN_SECONDS: Final = SILENT_SECONDS_MAX - STATEMENT_TIMEOUT_MILLISECONDS / 1_000
"""How much longer the server's own word that a statement took too long may take."""

APPLICATION_NAME: Final = "cbss-inscription"
"""What the server calls our sessions, but those that say otherwise."""
UNREADABLE: Final = "the database's connection string is none: key=value …, or postgresql://…"
"""Instead of libpq's words, which quote the string, and so perhaps half a password (SEC-78)."""

OUTAGES: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
"""Failures of the database itself, whatever was asked: lost, too slow, or only reading."""

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Row = tuple[Any, ...]
_Given = TypeVar("_Given")


class BoundedConnection(psycopg.Connection[Row]):
    """A connection that counts as lost when the server is silent for `SILENT_SECONDS_MAX`.

    The server's own bounds are worth nothing when its word does not arrive, and the kernel notices nothing as long as
    somebody between, or a server that is paused, takes what is sent.
    """

    def wait(self, gen: PQGen[_Given], interval: float = POLL_SECONDS, timeout: float | None = None) -> _Given:
        """See `psycopg.Connection.wait`; without a timeout of the caller's, ours."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, SILENT_SECONDS_MAX)
        except psycopg.OperationalError as error:
            _close_lost(self.pgconn, error)
            raise


class BoundedAsyncConnection(psycopg.AsyncConnection[Row]):
    """The same for a worker's pool."""

    silent_seconds_max = SILENT_SECONDS_MAX

    async def wait(
        self,
        gen: PQGen[_Given],
        interval: float = POLL_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109  # psycopg's parameter
    ) -> _Given:
        """See `psycopg.AsyncConnection.wait`; without a timeout of the caller's, ours."""
        if timeout is not None:
            return await super().wait(gen, interval, timeout)
        try:
            return await super().wait(gen, interval, self.silent_seconds_max)
        except psycopg.OperationalError as error:
            _close_lost(self.pgconn, error)
            raise


def _close_lost(connection: PGconn, error: psycopg.OperationalError) -> None:
    # What the server itself refuses has a code, and leaves the connection as it was.
    if error.sqlstate is None:
        connection.finish()


class Database:
    """Connections to one PostgreSQL database; `open` before use, `close` after."""

    def __init__(
        self, conninfo: str, *, connections_max: int = CONNECTIONS_MAX, application_name: str = APPLICATION_NAME
    ) -> None:
        self._pool: AsyncConnectionPool[BoundedAsyncConnection] = AsyncConnectionPool(
            bounded(conninfo, application_name=application_name),
            connection_class=BoundedAsyncConnection,
            min_size=1,
            max_size=connections_max,
            timeout=WAIT_SECONDS_MAX,
            open=False,
            kwargs={"autocommit": True, "prepare_threshold": 0},  # fixed texts of queries.sql: prepared at once
        )

    async def open(self) -> None:
        """Nothing; raises `TemporarilyUnavailable` when no connection can be had within `WAIT_SECONDS_MAX`."""
        try:
            await self._pool.open(wait=True, timeout=WAIT_SECONDS_MAX)
        except PoolTimeout as error:
            raise TemporarilyUnavailable("database") from error

    async def close(self) -> None:
        """Nothing; every connection is closed."""
        await self._pool.close()

    @asynccontextmanager
    async def connection(self, *, statement_milliseconds_max: int = 0) -> AsyncIterator[Connection]:
        """A connection in autocommit mode, whose statements may take longer than ours do, where that is said.

        Its failures, inside too, are `TemporarilyUnavailable`: lost, too slow, or a server that only reads now, as one
        does after a failover. After a change was sent, whether it was written is unknown then.
        """
        try:
            async with self._pool.connection() as connection:
                seconds = statement_milliseconds_max / 1_000 + ANSWER_MARGIN_SECONDS
                connection.silent_seconds_max = max(seconds, SILENT_SECONDS_MAX)
                yield connection
        except OUTAGES as error:
            raise TemporarilyUnavailable("database") from error

    async def row(self, query: str, parameters: dict[str, object] | None = None) -> Row | None:
        """The first row of the named query, or None."""
        async with self.connection() as connection:
            cursor = await connection.execute(QUERIES[query], parameters)
            return await cursor.fetchone()

    async def rows(self, query: str, parameters: dict[str, object] | None = None, *, binary: bool = False) -> list[Row]:
        """Every row of the named query; many are read in less time from their binary form."""
        async with self.connection() as connection:
            cursor = await connection.execute(QUERIES[query], parameters, binary=binary)
            return await cursor.fetchall()

    async def execute(self, query: str, parameters: dict[str, object]) -> None:
        """Nothing; the named query was carried out, and committed."""
        async with self.connection() as connection:
            await connection.execute(QUERIES[query], parameters)

    async def delete(self, query: str, *, before: datetime) -> int:
        """How many rows from before then the named query removed: all, or what other workers left."""
        parameters = {"before": before, "row_count_max": DELETED_ROWS_MAX}
        deleted = 0
        while True:
            async with self.connection() as connection:
                count = (await connection.execute(QUERIES[query], parameters)).rowcount
            deleted += count
            if count < DELETED_ROWS_MAX:
                return deleted


def bounded(conninfo: str, *, application_name: str = APPLICATION_NAME) -> str:
    """The connection string with our bounds; what the operator says of the same goes first. Raises `UsageError`."""
    try:
        said = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise UsageError(UNREADABLE) from None
    # Of the same option, the server takes the last: our bounds are defaults, but times are read as UTC.
    options = (
        f"-c statement_timeout={STATEMENT_TIMEOUT_MILLISECONDS} -c lock_timeout={LOCK_TIMEOUT_MILLISECONDS}"
        f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MILLISECONDS}"
        f" {said.get('options') or ''} -c timezone=UTC"
    )
    ours: dict[str, str | int] = {
        "application_name": application_name,
        "connect_timeout": CONNECT_SECONDS_MAX,
        # A peer that is gone without a word is noticed within a minute when idle, and sooner when something is sent.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": TCP_UNACKNOWLEDGED_MILLISECONDS,
    }
    return make_conninfo(conninfo, **{name: value for name, value in ours.items() if name not in said}, options=options)
