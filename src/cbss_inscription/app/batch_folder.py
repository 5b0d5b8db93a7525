"""The folder by which batches come in and go out, looked after by a process of its own until it is told to stop.

Run as `python -m cbss_inscription.app.batch_folder SETTINGS` by the façade, or as `cbss-inscription batch folder`. It
keeps nothing that is not in the folder: whatever ends it, another goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Final

from cbss_inscription.app.background import NICENESS, collect_seldom
from cbss_inscription.app.batches import FolderDesk, StructuredFolderLog
from cbss_inscription.app.lifeline import end_with_standard_input
from cbss_inscription.app.memory_dumps import forbid_memory_dumps
from cbss_inscription.app.settings import read_settings
from cbss_inscription.app.telemetry import configure_logging
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.migration import check_schema

LOOK_SECONDS: Final = 2.0
"""How often a folder is looked at."""
CONNECTIONS: Final = 4
"""Connections of the process: how batches stand, and their answers."""


def look_after_folder(settings_path: Path, *, once: bool = False) -> None:
    """Nothing, by the time of SIGTERM or Ctrl-C; with `once`, as soon as nothing is left to be done.

    Raises `UsageError` for settings that name no folder, and `TemporarilyUnavailable` when the database does not answer
    at the start.
    """
    settings = read_settings(settings_path)
    check_schema(settings.database)
    os.nice(NICENESS)
    collect_seldom()

    async def run() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        database = Database(settings.database, connections_max=CONNECTIONS)
        desk = FolderDesk(settings, database, log=StructuredFolderLog())
        try:
            await database.open()
            while not stopping.is_set():
                await desk.look()
                if once and not await desk.settled():
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)
        finally:
            await desk.stop()
            await database.close()

    asyncio.run(run())


def main() -> None:
    """Look after the folder of a façade, as its child."""
    forbid_memory_dumps()
    end_with_standard_input()
    configure_logging()
    look_after_folder(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
