"""Batches wired up: the listener that they are uploaded to, and the work on the folder that they come in by."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from starlette.types import ASGIApp

from cbss_inscription.app.addresses import LIVE_PATH
from cbss_inscription.app.background import repeat
from cbss_inscription.app.clock import Clock, ClockWatch, read_clock, utc_now
from cbss_inscription.app.lifeline import end_with_standard_input
from cbss_inscription.app.memory_dumps import forbid_memory_dumps
from cbss_inscription.app.reloading import TrustInForce, reloaded_rules, reloaded_trust
from cbss_inscription.app.settings import Batch, Settings, settings_of_worker
from cbss_inscription.app.telemetry import StructuredClockLog, StructuredReloadLog, configure_logging
from cbss_inscription.app.wiring import policy_of
from cbss_inscription.batch.answers import answers_as_they_come
from cbss_inscription.batch.folder import BatchFolder
from cbss_inscription.batch.folder_work import FolderLog, FolderWork
from cbss_inscription.batch.intake import BatchIntake, may_send
from cbss_inscription.batch.signed_manifest import SignedManifest, verify_fresh_manifest, verify_manifest
from cbss_inscription.batch.told import Told
from cbss_inscription.batch.uploads import About, Uploads
from cbss_inscription.domain.batch import BatchState, BatchStatus, Submitted
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import (
    FileRejected,
    MessageRejected,
    NotAuthenticated,
    NotAuthorized,
    TemporarilyUnavailable,
    UsageError,
)
from cbss_inscription.rest.batches import BatchesOverHttp
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.replay import ReplayGuard
from cbss_inscription.security.trust import CertificateTrust
from cbss_inscription.storage.batches import StoredBatches
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.replay import StoredReplayGuard
from cbss_inscription.usecases.ports import AccessRulesSource

REST_FACTORY: Final = "cbss_inscription.app.batches:uploads_of_worker"
"""What the application server loads in each worker of the listener for batches."""

FOLLOW_SECONDS: Final = 1.0
"""How often it is looked for more answers of a batch that is worked on."""
FORGET_SECONDS: Final = 3_600.0
"""How often it is looked whether uploads that nobody goes on with are to be forgotten."""


def uploads_of_worker() -> ASGIApp:
    """The ASGI application of this worker process, from the settings file that its environment names."""
    forbid_memory_dumps()
    end_with_standard_input()
    configure_logging()
    return build_uploads(settings_of_worker())


def batch_of(settings: Settings) -> tuple[Batch, BatchFolder]:
    """What the settings say of batches, and the folder of their files. Raises `UsageError` when they name none."""
    if settings.batch is None or settings.batch.directory is None:
        raise UsageError("the settings have no [batch] directory: it says where batches come in")
    return settings.batch, BatchFolder(Path(settings.batch.directory))


def build_uploads(settings: Settings, *, clock: Clock = utc_now) -> ASGIApp:
    """What batches are uploaded to. Raises `UsageError` for a file that is missing or broken."""
    said, folder = batch_of(settings)
    log = StructuredReloadLog()
    rules, trust = reloaded_rules(settings, log=log), reloaded_trust(settings, log=log)
    database = Database(settings.database, connections_max=settings.database_connections_max)
    watch = ClockWatch(lambda: read_clock(database, clock=clock), log=StructuredClockLog())
    desk = Desk(
        policy=policy_of(settings),
        trust=TrustInForce(trust),
        rules=rules,
        replay_guard=StoredReplayGuard(database),
        batches=StoredBatches(database),
        is_clock_wrong=lambda: watch.is_wrong,
    )

    uploads = Uploads(folder)

    def look() -> None:
        trust.look()
        rules.look()

    def forget() -> None:
        uploads.forget(before=clock() - timedelta(days=said.kept_days))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        await database.open()
        await watch.look()
        tasks = [
            asyncio.create_task(watch.keep_looking()),
            asyncio.create_task(
                repeat(
                    partial(asyncio.to_thread, look),
                    seconds=lambda: settings.reload_seconds,
                    failed=lambda kind: log.reload_failed(what="watch", reason=kind),
                )
            ),
            asyncio.create_task(
                repeat(
                    partial(asyncio.to_thread, forget),
                    seconds=lambda: FORGET_SECONDS,
                    failed=lambda kind: log.reload_failed(what="uploads", reason=kind),
                )
            ),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await database.close()

    service = BatchesOverHttp(uploads=uploads, desk=desk, limits=said.limits, clock=clock, live_path=LIVE_PATH)
    return service.application(lifespan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A `rest.batches.BatchDesk` on the database, by the trust and the rules in force."""

    policy: SecurityPolicy
    trust: CertificateTrust
    rules: AccessRulesSource
    replay_guard: ReplayGuard
    batches: StoredBatches
    is_clock_wrong: Callable[[], bool] = lambda: False

    async def admit(self, manifest: bytes, now: datetime) -> SignedManifest:
        """See `BatchDesk.admit`."""
        if self.is_clock_wrong():
            raise TemporarilyUnavailable("clock")
        signed = await asyncio.to_thread(verify_fresh_manifest, manifest, policy=self.policy, trust=self.trust, now=now)
        if not await self.replay_guard.admit(signed.replay_key, until=signed.replay_until, now=now):
            raise NotAuthenticated("replayed")
        if not may_send(self.rules.current(), signed.manifest.header, signed.caller, now):
            raise NotAuthorized("batch-sender")
        return signed

    async def status(self, about: About) -> BatchStatus | None:
        """See `BatchDesk.status`."""
        batch_id = await self.batches.find(CustomerIdentification.of_key(about.sender), about.sequence_number)
        found = None if batch_id is None else await self.batches.status(batch_id)
        if found is None or (found.digest.hex(), found.application_urn) != (about.sha256, about.application_urn):
            return None
        return found

    async def cancel(self, status: BatchStatus) -> None:
        """See `BatchDesk.cancel`."""
        await self.batches.cancel(status.batch_id)


class _Stored:
    """A `folder_work.BatchSource` on the database."""

    def __init__(self, batches: StoredBatches) -> None:
        self._batches = batches

    async def state_of(self, batch_id: UUID) -> BatchState | None:
        """See `BatchSource.state_of`."""
        reach = await self._batches.reach(batch_id)
        return None if reach is None else reach.state

    async def status(self, batch_id: UUID) -> BatchStatus | None:
        """See `BatchSource.status`."""
        return await self._batches.status(batch_id)

    def answers(self, batch_id: UUID) -> AsyncIterator[list[Told]]:
        """See `BatchSource.answers`."""
        return answers_as_they_come(self._batches, batch_id, pause=partial(asyncio.sleep, FOLLOW_SECONDS))


class FolderDesk:
    """The work on the folder of a service, by the trust and the rules in force at each look."""

    def __init__(self, settings: Settings, database: Database, *, log: FolderLog, clock: Clock = utc_now) -> None:
        said, folder = batch_of(settings)
        reload_log = StructuredReloadLog()
        self._trust, self._rules = reloaded_trust(settings, log=reload_log), reloaded_rules(settings, log=reload_log)
        trust, policy = TrustInForce(self._trust), policy_of(settings)
        age_max = timedelta(days=said.manifest_days_max)
        self._work = FolderWork(
            folder,
            judge=lambda data, now: verify_manifest(data, policy=policy, trust=trust, now=now, age_max=age_max),
            taker=BatchIntake(settings.database, rules=self._rules, chunk_lines=said.chunk_lines, clock=clock),
            source=_Stored(StoredBatches(database)),
            limits=said.limits,
            log=log,
            clock=clock,
            files_at_once=said.files_at_once,
        )

    async def look(self) -> int:
        """See `FolderWork.look`."""
        await asyncio.to_thread(self._trust.look)
        await asyncio.to_thread(self._rules.look)
        return await self._work.look()

    async def settled(self) -> int:
        """See `FolderWork.settled`."""
        return await self._work.settled()

    async def stop(self) -> None:
        """See `FolderWork.stop`."""
        await self._work.stop()


class StructuredFolderLog:
    """A `FolderLog` of JSON lines."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("batch")

    def took(self, name: str, submitted: Submitted, *, seconds: float) -> None:
        """See `FolderLog.took`."""
        self._log.info(
            "batch taken in",
            file=name,
            batch=str(submitted.batch_id),
            is_repeat=submitted.is_repeat,
            seconds=round(seconds, 1),
            pid=os.getpid(),
        )

    def refused(self, name: str, error: MessageRejected) -> None:
        """See `FolderLog.refused`."""
        line = error.line if isinstance(error, FileRejected) else None
        self._log.warning("batch refused", file=name, code=error.code, reason=error.reason, line=line)

    def answered(self, name: str, status: BatchStatus) -> None:
        """See `FolderLog.answered`."""
        self._log.info("batch answered", file=name, batch=str(status.batch_id), answers=status.lines_answered)

    def put_off(self, name: str, reason: str) -> None:
        """See `FolderLog.put_off`."""
        self._log.error("batch put off", file=name, reason=reason)
