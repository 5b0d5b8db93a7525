"""What is done with the batches in a folder: judged and taken in, watched, answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from cbss_inscription.batch.folder import BatchFolder, Taken, lines_of
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.packing import Packing
from cbss_inscription.batch.reading import BatchFormat
from cbss_inscription.batch.results import write_result_manifest, write_results
from cbss_inscription.batch.signed_manifest import SignedManifest
from cbss_inscription.batch.told import Told
from cbss_inscription.domain.batch import BatchHeader, BatchLine, BatchState, BatchStatus, Submitted
from cbss_inscription.domain.errors import ContentViolation, MessageRejected, ServiceUnavailable
from cbss_inscription.domain.exchange import Caller

_FINISHED = frozenset({BatchState.DONE, BatchState.CANCELED})


class BatchTaker(Protocol):
    """Who takes batches in."""

    def submit(self, header: BatchHeader, *, digest: bytes, caller: Caller, lines: Iterable[BatchLine]) -> Submitted:
        """See `batch.intake.BatchIntake.submit`."""
        ...


class BatchSource(Protocol):
    """Who knows how batches stand, and their answers."""

    async def status(self, batch_id: UUID) -> BatchStatus | None:
        """How a batch is going."""
        ...

    def answers(self, batch_id: UUID) -> AsyncIterator[Sequence[Told]]:
        """Its lines with their answers so far, in the order of the lines."""
        ...


class FolderLog(Protocol):
    """What an operator is told of a folder: names of files, codes and numbers, nothing of what is in them."""

    def took(self, name: str, submitted: Submitted, *, seconds: float) -> None:
        """A file became a batch, or is the same one as before."""
        ...

    def refused(self, name: str, error: MessageRejected) -> None:
        """A file was refused."""
        ...

    def answered(self, name: str, status: BatchStatus) -> None:
        """The answers of a batch are in `out`."""
        ...

    def put_off(self, name: str, reason: str) -> None:
        """Something that will be tried again: the database is away, the disk is full."""
        ...


class FolderWork:
    """The batches of one folder that are in this process's hands."""

    def __init__(
        self,
        folder: BatchFolder,
        *,
        judge: Callable[[bytes, datetime], SignedManifest],
        taker: BatchTaker,
        source: BatchSource,
        limits: BatchLimits,
        log: FolderLog,
        clock: Callable[[], datetime],
    ) -> None:
        self._folder = folder
        self._judge = judge
        self._taker = taker
        self._source = source
        self._limits = limits
        self._log = log
        self._clock = clock
        self._hands: dict[Path, Taken] = {}

    async def look(self) -> int:
        """How many batches are in our hands still, after everything that could be done by now was done."""
        try:
            await asyncio.to_thread(self._take)
        except OSError as error:  # what was taken by then is in our hands, and the rest comes at the next look
            self._log.put_off(self._folder.incoming.name, error.strerror or type(error).__name__)
        for taken in list(self._hands.values()):
            try:
                is_done = await self._go_on(taken)
            except (ServiceUnavailable, OSError) as error:
                reason = error.reason if isinstance(error, ServiceUnavailable) else error.strerror
                self._log.put_off(taken.name, reason or type(error).__name__)
                continue
            if is_done:
                del self._hands[taken.place]
        return len(self._hands)

    def _take(self) -> None:
        for taken in self._folder.take():
            self._hands[taken.place] = taken

    def release(self) -> None:
        """Nothing; others may take over what was in our hands."""
        for taken in self._hands.values():
            taken.release()
        self._hands.clear()

    async def _go_on(self, taken: Taken) -> bool:
        """Whether nothing more is to be done with it."""
        if taken.submitted is None:
            try:
                await self._take_in(taken)
            except MessageRejected as error:
                self._refuse(taken, error)
                return True
        submitted = taken.submitted
        assert submitted is not None
        status = await self._source.status(submitted.batch)
        if status is None or status.state not in _FINISHED:
            return False
        if status.lines_answered < (status.line_count if status.state is BatchState.DONE else status.cut_after or 0):
            self._refuse(taken, ContentViolation("answers-forgotten"))
            return True
        answers, manifest = self._folder.results_of(taken, submitted.form, Packing.of_name(taken.name))
        written = await write_results(
            answers,
            self._source.answers(submitted.batch),
            status=status,
            form=submitted.form,
            packing=Packing.of_name(taken.name),
            now=self._clock(),
        )
        write_result_manifest(manifest, written)
        self._folder.finish(taken)
        self._log.answered(taken.name, status)
        return True

    def _refuse(self, taken: Taken, error: MessageRejected) -> None:
        self._folder.refuse(taken, error)
        self._log.refused(taken.name, error)

    async def _take_in(self, taken: Taken) -> None:
        began = self._clock()
        signed = await asyncio.to_thread(lambda: self._judge(taken.manifest(), began))
        if signed.manifest.file.name != taken.stated_name:
            raise ContentViolation("manifest-file")
        submitted = await asyncio.to_thread(
            self._taker.submit,
            signed.manifest.header,
            digest=bytes.fromhex(signed.manifest.file.sha256),
            caller=signed.caller,
            lines=lines_of(taken.file, signed, self._limits),
        )
        form = BatchFormat(signed.manifest.file.format)
        taken.note_submitted(submitted.batch_id, form, is_repeat=submitted.is_repeat)
        self._log.took(taken.name, submitted, seconds=(self._clock() - began).total_seconds())
