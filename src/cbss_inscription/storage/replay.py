"""Messages seen, shared by all workers and replicas through the database (SEC-52 to SEC-54)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cbss_inscription.storage.database import Database
from cbss_inscription.storage.queries import QUERIES

FORGET_INTERVAL_SECONDS: Final = 60
"""How often a worker removes what has expired."""
FORGOTTEN_ROWS_MAX: Final = 10_000
"""Rows removed at a time."""


class StoredReplayGuard:
    """A `security.replay.ReplayGuard` in PostgreSQL.

    The row is committed without waiting for the disk. That is enough: a write that follows commits later in the same
    log, so its commit makes this row durable too; what a crash of the database can lose is the memory of consultations
    of the last moment, which a replay could only repeat.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._forgotten_at: datetime | None = None

    async def admit(self, key: bytes, *, until: datetime, now: datetime) -> bool:
        """Whether `key` was not seen before; atomic. Raises `TemporarilyUnavailable` (SEC-53)."""
        first = await self._database.row("admit_message", {"message_key": key, "expires_at": until}) is not None
        await self._forget_expired(now)
        return first

    async def _forget_expired(self, now: datetime) -> None:
        if self._forgotten_at is None:
            self._forgotten_at = now
        if now - self._forgotten_at < timedelta(seconds=FORGET_INTERVAL_SECONDS):
            return
        self._forgotten_at = now
        async with self._database.connection() as connection:
            await connection.execute(
                QUERIES["forget_expired_messages"], {"now": now, "row_count_max": FORGOTTEN_ROWS_MAX}
            )
