"""The pool of connections that a worker shares, and how its failures are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.storage.queries import QUERIES

CONNECTIONS_MAX: Final = 8
"""Connections of one worker."""
WAIT_SECONDS_MAX: Final = 5.0
"""How long a request waits for a connection before it is refused with SOA-02002."""
STATEMENT_TIMEOUT_MILLISECONDS: Final = 10_000
"""How long one statement may take, lock waits included."""

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Row = tuple[Any, ...]


class Database:
    """Connections to one PostgreSQL database; `open` before use, `close` after."""

    def __init__(self, conninfo: str, *, connections_max: int = CONNECTIONS_MAX) -> None:
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            conninfo,
            min_size=1,
            max_size=connections_max,
            timeout=WAIT_SECONDS_MAX,
            open=False,
            kwargs={
                "autocommit": True,
                "prepare_threshold": 0,  # every query is a fixed text of queries.sql: prepare at once
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MILLISECONDS} -c timezone=UTC",
                "application_name": "cbss-inscription",
            },
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
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode. Its failures, inside too, are `TemporarilyUnavailable`."""
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise TemporarilyUnavailable("database") from error

    async def row(self, query: str, parameters: dict[str, object] | None = None) -> Row | None:
        """The first row of the named query, or None."""
        async with self.connection() as connection:
            cursor = await connection.execute(QUERIES[query], parameters)
            return await cursor.fetchone()

    async def rows(self, query: str, parameters: dict[str, object] | None = None) -> list[Row]:
        """Every row of the named query."""
        async with self.connection() as connection:
            cursor = await connection.execute(QUERIES[query], parameters)
            return await cursor.fetchall()
