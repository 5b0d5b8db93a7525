"""What is done with the batches in a folder: judged and taken in, watched, answered; several of them side by side.

Of one sender one file is taken in at a time, and the lowest sequence number first, so that nobody makes gaps in numbers
that a sender has kept without any. Between senders, who was served longest ago comes next: a file of many gigabytes is
in nobody's way but its sender's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from cbss_inscription.batch.folder import BatchFolder, Taken, lines_of
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.packing import Packing
from cbss_inscription.batch.reading import BatchFormat
from cbss_inscription.batch.results import manifest_of, write_result_manifest, write_results
from cbss_inscription.batch.signed_manifest import SignedManifest
from cbss_inscription.batch.told import Told
from cbss_inscription.domain.batch import BatchHeader, BatchLine, BatchState, BatchStatus, Submitted
from cbss_inscription.domain.errors import (
    ContentViolation,
    MessageRejected,
    SequenceViolation,
    ServiceUnavailable,
    TemporarilyUnavailable,
)
from cbss_inscription.domain.exchange import Caller


class BatchTaker(Protocol):
    """Who takes batches in."""

    def submit(self, header: BatchHeader, *, digest: bytes, caller: Caller, lines: Iterable[BatchLine]) -> Submitted:
        """See `batch.intake.BatchIntake.submit`."""
        ...


class BatchSource(Protocol):
    """Who knows how batches stand, and their answers."""

    async def state_of(self, batch_id: UUID) -> BatchState | None:
        """How far a batch is; asked at each look."""
        ...

    async def status(self, batch_id: UUID) -> BatchStatus | None:
        """How a batch is going; asked before its answers and after them."""
        ...

    def answers(self, batch_id: UUID) -> AsyncIterator[Sequence[Told]]:
        """Its lines with their answers, in the order of the lines, as they come and until it is finished."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A file that is to be taken in: whose it is, as its manifest said when it was seen first."""

    taken: Taken
    sender: str
    """The key of its organisation."""
    sequence_number: int


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
        files_at_once: int,
    ) -> None:
        self._folder = folder
        self._judge = judge
        self._taker = taker
        self._source = source
        self._limits = limits
        self._log = log
        self._clock = clock
        self._files_at_once = files_at_once
        self._hands: dict[Path, Taken] = {}
        self._waiting: dict[Path, _Waiting] = {}
        self._turns: dict[str, int] = {}
        """When each sender had its last turn, by a count of turns."""
        self._turn = 0
        self._reading: dict[str, asyncio.Task[None]] = {}
        """By sender."""
        self._answering: dict[str, asyncio.Task[None]] = {}
        """By the name of the file: two batches of one name have their answers one after the other."""
        self._answer_places = asyncio.Semaphore(files_at_once)
        self._following: dict[Path, asyncio.Task[None]] = {}
        """What writes the answers of batches that are worked on: they keep neither another batch nor a name waiting."""
        self._left_for_the_end: set[Path] = set()
        """Batches whose answers could not be written as they came: they are not begun again and again."""
        self._put_off: set[str] = set()
        """Senders that have no turn until the next look."""
        self._told: dict[Path, str] = {}
        """Why a batch was put off, as the log says: it is said once."""
        self._threads = ThreadPoolExecutor(files_at_once, "intake")
        self._stopping = threading.Event()
        self._failures: list[BaseException] = []

    async def look(self) -> int:
        """How many batches are in our hands; what can be done about them was begun, as far as there are places."""
        self._raise_what_failed()
        try:
            await asyncio.to_thread(self._take)
        except OSError as error:  # what was taken by then is in our hands, and the rest comes at the next look
            self._log.put_off(self._folder.incoming.name, error.strerror or type(error).__name__)
        for taken in list(self._hands.values()):
            if self._is_idle(taken):  # at this moment: others went on while we waited
                await self._tried(taken, self._see(taken))
        self._put_off.clear()
        self._begin_reading()
        return len(self._hands)

    async def settled(self) -> int:
        """How many batches are in our hands still, once nothing is being done about any of them."""
        while tasks := [*self._reading.values(), *self._answering.values(), *self._following.values()]:
            await asyncio.wait(tasks)
        self._raise_what_failed()
        return len(self._hands)

    def _raise_what_failed(self) -> None:
        if self._failures:
            raise self._failures.pop()

    async def stop(self) -> None:
        """Nothing; others may take over what was in our hands. What was being read is left as if it never was."""
        self._stopping.set()
        answering = [*self._answering.values(), *self._following.values()]
        for task in answering:
            task.cancel()
        await asyncio.gather(*self._reading.values(), *answering, return_exceptions=True)
        self._threads.shutdown()
        for taken in self._hands.values():
            taken.release()
        self._hands.clear()
        self._waiting.clear()

    def _take(self) -> None:
        for taken in self._folder.take():
            self._hands[taken.place] = taken

    async def _tried(self, taken: Taken, doing: Coroutine[None, None, bool]) -> bool:
        """Whether it could be done for now, whatever it is; a batch that needs nothing more is in nobody's hands."""
        try:
            is_at_end = await doing
        except MessageRejected as error:
            try:
                self._folder.refuse(taken, error)
            except OSError as full:
                self._say_put_off(taken, full.strerror or type(full).__name__)
                return False
            self._log.refused(taken.name, error)
            is_at_end = True
        except (ServiceUnavailable, OSError) as error:
            reason = error.reason if isinstance(error, ServiceUnavailable) else error.strerror
            self._say_put_off(taken, reason or type(error).__name__)
            return False
        self._told.pop(taken.place, None)
        if is_at_end:
            del self._hands[taken.place]
            self._waiting.pop(taken.place, None)
            self._left_for_the_end.discard(taken.place)
        return True

    def _say_put_off(self, taken: Taken, reason: str) -> None:
        if not self._stopping.is_set() and self._told.get(taken.place) != reason:
            self._told[taken.place] = reason
            self._log.put_off(taken.name, reason)

    def _is_idle(self, taken: Taken) -> bool:
        """Whether it is in our hands, and neither taken in nor answered now."""
        place = taken.place
        is_being_done = place in self._waiting or place in self._following or taken.name in self._answering
        return place in self._hands and not is_being_done

    async def _see(self, taken: Taken) -> bool:
        """Nothing is at its end: what is to be taken in waits for its turn now, the answers of what was taken in are
        written, as they come where there is a place for that, else when the batch is finished.
        """
        submitted = taken.submitted
        if submitted is None:
            header = (await self._judged(taken, self._clock())).manifest.header
            self._waiting[taken.place] = _Waiting(
                taken=taken,
                sender=header.sender.organization_identification.key,
                sequence_number=header.sequence_number,
            )
            return False
        state = await self._source.state_of(submitted.batch)
        if state is None or not self._is_idle(taken):
            return False
        if state.is_finished:
            self._answering[taken.name] = self._task(self._answer(taken))
        elif len(self._following) < self._files_at_once and taken.place not in self._left_for_the_end:
            self._following[taken.place] = self._task(self._follow(taken))
        return False

    def _begin_reading(self) -> None:
        """Nothing; as many files are being taken in as there are places, and senders that have no other one there."""
        while len(self._reading) < self._files_at_once and (first := self._next()) is not None:
            self._turn += 1
            self._turns[first.sender] = self._turn
            self._reading[first.sender] = self._task(self._read(first))

    def _next(self) -> _Waiting | None:
        possible = [
            one for one in self._waiting.values() if one.sender not in self._reading and one.sender not in self._put_off
        ]

        def place_in_the_queue(one: _Waiting) -> tuple[int, int, str]:
            return self._turns.get(one.sender, 0), one.sequence_number, one.taken.place.name

        return min(possible, key=place_in_the_queue, default=None)

    def _task(self, doing: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(doing)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    async def _read(self, waiting: _Waiting) -> None:
        taken = waiting.taken
        try:
            if not await self._tried(taken, self._take_in(waiting)):
                self._put_off.add(waiting.sender)
            elif taken.place in self._hands:  # a file that was sent before may be answered at once
                await self._tried(taken, self._see(taken))
        finally:
            del self._reading[waiting.sender]
        if not self._stopping.is_set():
            self._begin_reading()

    async def _take_in(self, waiting: _Waiting) -> bool:
        taken, began = waiting.taken, self._clock()
        signed = await self._judged(taken, began)  # anew: it may have waited for hours
        if signed.manifest.file.name != taken.stated_name:
            raise ContentViolation("manifest-file")
        try:
            submitted = await self._submitted(taken, signed)
        except SequenceViolation as error:
            if error.reason != "sequence-gap":
                raise
            if await asyncio.to_thread(self._is_before_it, waiting, began):
                raise TemporarilyUnavailable("batch-sequence") from error
            submitted = await self._submitted(taken, signed)  # what was missing may have come in just before we looked
        form = BatchFormat(signed.manifest.file.format)
        taken.note_submitted(submitted.batch_id, form, is_repeat=submitted.is_repeat)
        del self._waiting[taken.place]
        self._log.took(taken.name, submitted, seconds=(self._clock() - began).total_seconds())
        return False

    async def _judged(self, taken: Taken, now: datetime) -> SignedManifest:
        return await asyncio.to_thread(lambda: self._judge(taken.manifest(), now))

    async def _submitted(self, taken: Taken, signed: SignedManifest) -> Submitted:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads,
            lambda: self._taker.submit(
                signed.manifest.header,
                digest=bytes.fromhex(signed.manifest.file.sha256),
                caller=signed.caller,
                lines=self._unless_stopping(lines_of(taken.file, signed, self._limits)),
            ),
        )

    def _unless_stopping(self, lines: Iterable[BatchLine]) -> Iterator[BatchLine]:
        for line in lines:
            if self._stopping.is_set():
                raise TemporarilyUnavailable("stopping")
            yield line

    def _is_before_it(self, waiting: _Waiting, now: datetime) -> bool:
        """Whether a batch with a lower number of the same sender is in the folder, in whose hands ever, and in no other
        state than before it was taken in: then there is no gap, but a process that was quicker than another.
        """
        for data in self._folder.manifests_before_intake():
            try:
                header = self._judge(data, now).manifest.header
            except MessageRejected:
                continue
            sender = header.sender.organization_identification.key
            if sender == waiting.sender and header.sequence_number < waiting.sequence_number:
                return True
        return False

    async def _answer(self, taken: Taken) -> None:
        try:
            async with self._answer_places:
                await self._tried(taken, self._write(taken))
        finally:
            del self._answering[taken.name]

    async def _follow(self, taken: Taken) -> None:
        try:
            if not await self._tried(taken, self._write(taken)):
                self._left_for_the_end.add(taken.place)
        finally:
            del self._following[taken.place]

    async def _write(self, taken: Taken) -> bool:
        submitted = taken.submitted
        assert submitted is not None
        before = await self._source.status(submitted.batch)
        if before is None:
            return False
        packing = Packing.of_name(taken.name)
        answers, manifest = self._folder.results_of(taken, submitted.form, packing)
        written = await write_results(
            answers,
            self._source.answers(submitted.batch),
            header=before.header,
            form=submitted.form,
            packing=packing,
        )
        status = await self._source.status(submitted.batch)
        if status is None or not status.state.is_finished:
            return False
        if written.answers < (status.line_count if status.state is BatchState.DONE else status.cut_after or 0):
            raise ContentViolation("answers-forgotten")
        write_result_manifest(manifest, manifest_of(written, status=status, now=self._clock()))
        self._folder.publish(answers, manifest)
        self._folder.finish(taken)
        self._log.answered(taken.name, status)
        return True
