"""A batch worker as a process: works on one chunk after the other until it is told to stop.

Run as `python -m cbss_inscription.app.batch_work SETTINGS` by the façade, or as `cbss-inscription batch work` by who
wants more of them, on any machine that reaches the database. It keeps nothing: whatever ends it, another goes on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from cbss_inscription.app.background import NICENESS, collect_seldom, repeat
from cbss_inscription.app.chunks_in_hand import CHUNKS_AT_A_TIME, ChunksInHand
from cbss_inscription.app.clock import Clock, utc_now
from cbss_inscription.app.lifeline import end_with_standard_input
from cbss_inscription.app.memory_dumps import forbid_memory_dumps
from cbss_inscription.app.metrics import counting
from cbss_inscription.app.registers import Registers, number_life, registers_of
from cbss_inscription.app.reloading import ContextsInForce, RulesInForce, reloaded_audit_keys, reloaded_rules
from cbss_inscription.app.settings import Batch, Service, Settings, read_settings
from cbss_inscription.app.telemetry import (
    StructuredBatchLog,
    StructuredCallLog,
    StructuredReloadLog,
    StructuredVolumeLog,
    configure_logging,
)
from cbss_inscription.app.volumes import VolumesInSight
from cbss_inscription.batch.engine import ChunkWorker
from cbss_inscription.batch.files import FilesOneByOne
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.volumes import VolumeMeter
from cbss_inscription.storage.batches import BATCH_SESSIONS, StoredBatches
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.journal import SEALS_LOOK_SECONDS, StoredJournal
from cbss_inscription.storage.migration import check_schema
from cbss_inscription.storage.persons import StoredPersons
from cbss_inscription.storage.volumes import StoredVolumes

CONNECTIONS: Final = 2 * CHUNKS_AT_A_TIME + 2
"""Connections of one worker: for each chunk and its files, and for what looks after volumes and seals."""
FORGET_SECONDS: Final = 3_600.0
"""How often it is looked whether finished batches are to be forgotten."""


class BatchWorker:
    """All that works on batches in one process."""

    def __init__(self, settings: Settings, *, clock: Clock = utc_now) -> None:
        """Raises `UsageError` for a file that is missing or broken."""
        self._settings = settings
        self._batch = settings.batch or Batch()
        self._database = Database(settings.database, connections_max=CONNECTIONS, application_name=BATCH_SESSIONS)
        self._log = StructuredBatchLog()
        self._reload_log = StructuredReloadLog()
        self._rules: RulesInForce = reloaded_rules(settings, log=self._reload_log)
        self._audit_keys = reloaded_audit_keys(settings, log=self._reload_log)
        self._registers: Registers = registers_of(settings, self._database, log=counting(StructuredCallLog()))
        meter = VolumeMeter(log=StructuredVolumeLog())
        self._journal = StoredJournal(self._database, worker=meter.worker)
        self._volumes = VolumesInSight(
            meter=meter, stored=StoredVolumes(self._database), rules=self._rules, clock=clock
        )
        self._batches = StoredBatches(self._database)
        self._clock = clock
        elsewhere = settings.national_register
        worker = ChunkWorker(
            batches=self._batches,
            files=StoredPersons(self._database)
            if elsewhere is None
            else FilesOneByOne(self._registers.every, calls_at_once_max=elsewhere.calls_at_once_max),
            lines=StoredInscriptions(self._database),
            successions=None
            if elsewhere is None
            else number_life(settings, self._database, self._registers, data_anomalies=self._log),
            rules=self._rules,
            known_contexts=ContextsInForce(self._rules),
            volumes=meter,
            journal=self._journal,
            audit_keys=self._audit_keys,
            log=self._log,
            service=settings.service.door.service_name,
            clock=clock,
            evidence_of=settings.audit.evidence,
        )
        self._chunks = ChunksInHand(
            worker.work,
            are_any_unfinished=self._batches.are_any_unfinished,
            are_calls_answered=self._batches.are_calls_answered,
            share=self._batch.share,
            log=self._log,
        )

    async def run(self, stopping: asyncio.Event, *, until_idle: bool = False) -> int:
        """How many lines were answered, once it is told to stop, the chunks in hand finished; or nothing is left."""
        await self._database.open()
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._volumes.look()
            tasks = [asyncio.create_task(coroutine) for coroutine in self._beside()]
            return await self._chunks.run(stopping, until_idle=until_idle)
        finally:
            for task in tasks:
                task.cancel()
            await self._registers.close()
            await self._database.close()

    def _beside(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the chunks: rules, keys, volumes and seals are looked at, old batches forgotten."""
        failed = self._reload_log.reload_failed
        return [
            self._volumes.keep_looking(failed=lambda kind: failed(what="volumes", reason=kind)),
            repeat(
                partial(asyncio.to_thread, self._look_at_files),
                seconds=lambda: self._settings.reload_seconds,
                failed=lambda kind: failed(what="watch", reason=kind),
            ),
            repeat(
                partial(self._journal.look_at_seals, stop_after_seconds=self._settings.audit.stop_after_seconds),
                seconds=lambda: SEALS_LOOK_SECONDS,
                failed=lambda kind: failed(what="audit seals", reason=kind),
            ),
            repeat(
                self._forget,
                seconds=lambda: FORGET_SECONDS,
                failed=lambda kind: failed(what="batches", reason=kind),
            ),
        ]

    def _look_at_files(self) -> None:
        self._rules.look()
        self._audit_keys.look()

    async def _forget(self) -> None:
        await self._batches.forget(before=self._clock() - timedelta(days=self._batch.kept_days))


def work_on_batches(settings_path: Path, *, until_idle: bool = False) -> int:
    """How many lines were answered by the time of SIGTERM or Ctrl-C, the chunks in hand finished.

    `until_idle`: or as soon as there is nothing to do. Raises `UsageError`, and `TemporarilyUnavailable` when the
    database does not answer at the start.
    """
    settings = read_settings(settings_path)
    if settings.service is not Service.FACADE or settings.upstream is not None:
        raise UsageError(f"{settings_path}: batches are worked on where the lines are: a façade without an upstream")
    check_schema(settings.database)
    os.nice(NICENESS)
    worker = BatchWorker(settings)
    collect_seldom()

    async def run() -> int:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        return await worker.run(stopping, until_idle=until_idle)

    return asyncio.run(run())


def main() -> None:
    """Work on the batches of a façade, as its child."""
    forbid_memory_dumps()
    end_with_standard_input()
    configure_logging()
    work_on_batches(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
