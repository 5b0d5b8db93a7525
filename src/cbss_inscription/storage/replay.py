"""Messages seen, shared by all workers and replicas through the database (SEC-52 to SEC-54)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cbss_inscription.storage.database import Database
from cbss_inscription.storage.queries import QUERIES

FORGET_INTERVAL_SECONDS: Final = 60
"""How often a worker should forget what has expired."""
FORGOTTEN_ROWS_MAX: Final = 10_000
"""Rows removed by one statement."""


class StoredReplayGuard:
    """A `security.replay.ReplayGuard` in PostgreSQL.

    The row is committed without waiting for the disk. That is enough: a write that follows commits later in the same
    log, so its commit makes this row durable too; what a crash of the database can lose is the memory of consultations
    of the last moment, which a replay could only repeat.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, key: bytes, *, until: datetime, now: datetime) -> bool:
        """Whether `key` was not seen before; atomic. Raises `TemporarilyUnavailable` (SEC-53)."""
        del now  # a row counts until it is forgotten, whatever the time: a late clean-up can only refuse more
        return await self._database.row("admit_message", {"message_key": key, "expires_at": until}) is not None

    async def forget_expired(self, *, now: datetime) -> int:
        """How many expired messages were forgotten: all, or what other workers left (SEC-54)."""
        forgotten = 0
        while True:
            async with self._database.connection() as connection:
                parameters = {"now": now, "row_count_max": FORGOTTEN_ROWS_MAX}
                count = (await connection.execute(QUERIES["forget_expired_messages"], parameters)).rowcount
            forgotten += count
            if count < FORGOTTEN_ROWS_MAX:
                return forgotten
