"""Messages seen, shared by all workers and replicas through the database (SEC-52 to SEC-54)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cbss_inscription.storage.database import Database

FORGET_INTERVAL_SECONDS: Final = 60
"""How often a worker should forget what has expired."""


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
        return await self._database.delete("forget_expired_messages", before=now)
