"""The database that the settings of a command name, for as long as the command works on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from cbss_inscription.app.settings import Settings
    from cbss_inscription.storage.database import Database

T = TypeVar("T")


def with_database(
    settings_file: Path, work: Callable[[Settings, Database], Awaitable[T]], *, connections_max: int = 1
) -> T:
    """What `work` gives. Raises `UsageError` for settings or a schema that are not this version's.

    Raises `TemporarilyUnavailable` when the database does not answer in time.
    """
    from cbss_inscription.app.settings import read_settings
    from cbss_inscription.storage.database import Database
    from cbss_inscription.storage.migration import check_schema

    settings = read_settings(settings_file)
    check_schema(settings.database)

    async def run() -> T:
        database = Database(settings.database, connections_max=connections_max)
        try:
            await database.open()
            return await work(settings, database)
        finally:
            await database.close()

    return asyncio.run(run())
