"""Batches as the database keeps them: taken in whole, worked on chunk by chunk, and what can be said of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import msgspec
import psycopg

from cbss_inscription.domain.batch import BatchHeader, BatchState, BatchStatus, OutcomeCount
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import ContentViolation, SequenceViolation, TemporarilyUnavailable
from cbss_inscription.domain.exchange import Caller
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.storage.array_text import array_of_numbers
from cbss_inscription.storage.database import APPLICATION_NAME, BoundedConnection, Connection, Database, bounded
from cbss_inscription.storage.queries import QUERIES

BATCH_SESSIONS: Final = "cbss-inscription batch"
"""What the server calls the sessions that work on batches."""
SILENT_MILLISECONDS_MAX: Final = 300_000
"""How long the transaction of a chunk may be silent: while registers elsewhere are asked about its persons."""
_RECORDING: Final = QUERIES["write_audit_records"].partition("\n")[0]
"""How the statement begins that each call ends with."""
FIRST_LINES: Final = 5
"""Lines that are named of each outcome."""
BATCHES_LISTED_MAX: Final = 1_000
"""Batches that a list has."""
CANCEL_MILLISECONDS_MAX: Final = 60_000
"""How long a cancellation waits for the chunks that are worked on."""
FORGOTTEN_CHUNKS_MAX: Final = 100
"""Chunks that one statement forgets: each is some hundred kilobytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A batch that is to be taken in."""

    batch_id: UUID
    header: BatchHeader
    digest: bytes = field(repr=False)
    caller: Caller
    submitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The lines of a block that are in one lane, packed."""

    lane: int
    block: int
    last_line: int
    line_count: int
    packed_lines: bytes = field(repr=False)


class Intake:
    """One transaction that takes a batch in: what it wrote is there when the block ends without an exception."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._batch_id: UUID | None = None

    def __enter__(self) -> Self:
        try:
            self._connection = BoundedConnection.connect(bounded(self._conninfo))
        except psycopg.OperationalError as error:
            raise TemporarilyUnavailable("database") from error
        # The file sets the pace here, not the database: a slow one may be silent for longer than a request may.
        self._connection.execute(QUERIES["be_silent"], {"milliseconds": "0"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._connection.commit()
        except psycopg.OperationalError as lost:
            raise TemporarilyUnavailable("database") from lost
        finally:
            self._connection.close()
        if isinstance(error, psycopg.OperationalError):
            raise TemporarilyUnavailable("database") from error

    def begin(self, batch: NewBatch) -> UUID | None:
        """None when the batch is the sender's next; the batch that its file is already when it was taken in before.

        The first batch of a sender may have any number. Raises `SequenceViolation`; `TemporarilyUnavailable` while
        another batch of the sender is taken in; and `ContentViolation` when the file was taken in for another
        application, or under another legal context: to this one its answers may be none, for they are what the access
        rules of who asked first allowed.
        """
        header, caller = batch.header, batch.caller
        sender = header.sender.organization_identification.key
        sought = {"sender": sender, "sequence_number": header.sequence_number}
        last, first = self._seen(batch)
        if first is None:
            if self._connection.execute(QUERIES["try_lock_sender"], sought).fetchone() != (True,):
                raise TemporarilyUnavailable("batch-sequence")  # which number comes next is not known before its end
            last, first = self._seen(batch)
        if first is not None:
            return first
        if last is not None and header.sequence_number != last + 1:
            raise SequenceViolation("sequence-gap", expected=last + 1)
        said = {
            "batch_id": batch.batch_id,
            "digest": batch.digest,
            "header": write_header(header),
            "application_urn": caller.application_urn,
            "cbe_number": caller.cbe_number,
            "environment": caller.environment,
            "certificate": caller.certificate_fingerprint,
            "submitted_at": batch.submitted_at,
        }
        self._connection.execute(QUERIES["insert_batch"], sought | said)
        self._batch_id = batch.batch_id
        return None

    def _seen(self, batch: NewBatch) -> tuple[int | None, UUID | None]:
        """The last number of the sender, and the batch that this file is already, by what is committed now."""
        header, caller = batch.header, batch.caller
        sender = header.sender.organization_identification.key
        sought = {"sender": sender, "sequence_number": header.sequence_number}
        row = self._connection.execute(QUERIES["batches_of_sender"], sought).fetchone()
        assert row is not None
        last, batch_id, digest, application_urn, cbe_number, first_header = row
        if batch_id is None:
            return last, None
        if digest != batch.digest:
            raise SequenceViolation("sequence-used", expected=last + 1)
        asked_first = application_urn, cbe_number, read_header(first_header).legal_context
        if asked_first != (caller.application_urn, caller.cbe_number, header.legal_context):
            raise ContentViolation("batch-used")
        return last, UUID(str(batch_id))

    def numbers_that_carry_on(self, numbers: list[int], hops_max: int) -> dict[int, int]:
        """For those of these numbers that were replaced, the number at which the replacements end."""
        parameters = {"ssins": numbers, "hops_max": hops_max}
        rows = self._connection.execute(QUERIES["numbers_that_carry_on"], parameters).fetchall()
        return dict(rows)

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Nothing; the chunks are part of the batch."""
        with self._connection.cursor() as cursor, cursor.copy(QUERIES["copy_chunks"]) as copy:
            copy.set_types(("uuid", "int4", "int4", "int8", "int4", "bytea"))
            for chunk in chunks:
                copy.write_row(
                    (self._batch_id, chunk.lane, chunk.block, chunk.last_line, chunk.line_count, chunk.packed_lines)
                )

    def end(self, line_count: int) -> None:
        """Nothing; all that it needs to be worked on is there."""
        self._connection.execute(QUERIES["open_lanes"], {"batch_id": self._batch_id, "line_count": line_count})


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReach:
    """How far a batch is."""

    state: BatchState
    first_open_block: int | None
    """All blocks before it are answered whole; None when all there are are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedChunk:
    """A chunk that nobody else works on, for as long as its transaction."""

    batch_id: UUID
    lane: int
    block: int
    attempts: int
    """How often some of its lines had to wait for a source."""
    follows_waiting: bool
    """Whether lines of an earlier chunk of its lane wait for a source."""
    packed_lines: bytes = field(repr=False)
    packed_answers: bytes | None = field(repr=False)
    header: BatchHeader
    caller: Caller
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkAnswers:
    """What a chunk is answered by now; lines that wait for a source are missing."""

    packed_answers: bytes = field(repr=False)
    lines_answered: int
    outcomes: tuple[OutcomeCount, ...]
    waiting: Collection[int] = field(repr=False)
    """The numbers of the lines that wait."""
    wait_seconds: float
    """How long they do so."""


async def write_answers(connection: Connection, claimed: ClaimedChunk, answers: ChunkAnswers) -> bool:
    """Whether the batch may be finished when the transaction commits; then the chunk has these answers.

    Its lane goes on, also where lines of the chunk wait; or is at its end, or perhaps at the cut.
    """
    outcomes = [(outcome.code, outcome.lines, outcome.first_lines) for outcome in answers.outcomes]
    parameters = {
        "batch_id": claimed.batch_id,
        "lane": claimed.lane,
        "block": claimed.block,
        "answers": answers.packed_answers,
        "lines_answered": answers.lines_answered,
        "outcomes": msgspec.json.encode(outcomes).decode("utf-8"),
        "waiting": array_of_numbers(answers.waiting) if answers.waiting else None,
        "attempts": claimed.attempts + 1,
        "wait_seconds": answers.wait_seconds,
    }
    row = await (await connection.execute(QUERIES["answer_chunk"], parameters)).fetchone()
    assert row is not None
    may_be_finished: bool = row[0]
    return may_be_finished


async def ends_of(connection: Connection, numbers: Collection[int], *, hops_max: int) -> dict[int, int]:
    """For those of some numbers that were replaced, the number at which the replacements end."""
    parameters = {"ssins": array_of_numbers(numbers), "hops_max": hops_max}
    return dict(await (await connection.execute(QUERIES["numbers_that_carry_on"], parameters)).fetchall())


async def numbers_waiting(connection: Connection, claimed: ClaimedChunk, numbers: Collection[int]) -> set[int]:
    """Those of some numbers of which a line in an earlier chunk of the lane waits for its source."""
    parameters = {
        "batch_id": claimed.batch_id,
        "lane": claimed.lane,
        "block": claimed.block,
        "numbers": array_of_numbers(numbers),
    }
    cursor = await connection.execute(QUERIES["numbers_waiting"], parameters)
    return {number for (number,) in await cursor.fetchall()}


class StoredBatches:
    """The batches that were taken in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, sender: CustomerIdentification, sequence_number: int) -> UUID | None:
        """The batch of a sender with this number."""
        sought = {"sender": sender.key, "sequence_number": sequence_number}
        row = await self._database.row("batch_of_sequence_number", sought)
        return None if row is None else row[0]

    async def newest(self) -> list[UUID]:
        """The batches, newest first, at most `BATCHES_LISTED_MAX`."""
        return [batch_id for (batch_id,) in await self._database.rows("batches", {"row_count_max": BATCHES_LISTED_MAX})]

    async def status(self, batch_id: UUID) -> BatchStatus | None:
        """How a batch is going; None when there is none."""
        row = await self._database.row("batch_status", {"batch_id": batch_id})
        if row is None:
            return None
        header, digest, application_urn, cbe_number, state, line_count, cut_after, submitted_at, finished_at = row[:9]
        lines_answered, began_at, lines_waiting = row[9:]
        outcomes = await self._database.rows("batch_outcomes", {"batch_id": batch_id, "first_lines": FIRST_LINES})
        return BatchStatus(
            batch_id=batch_id,
            header=read_header(header),
            digest=digest,
            application_urn=application_urn,
            cbe_number=cbe_number,
            state=BatchState(state),
            line_count=line_count,
            lines_answered=lines_answered,
            lines_waiting=lines_waiting,
            cut_after=cut_after,
            outcomes=tuple(
                OutcomeCount(code=code, lines=lines, first_lines=tuple(first)) for code, lines, first in outcomes
            ),
            submitted_at=submitted_at,
            began_at=began_at,
            finished_at=finished_at,
        )

    async def cancel(self, batch_id: UUID) -> None:
        """Nothing; no block of the batch begins any more. One that is finished, or canceled already, stays as it is.

        What others are working on is waited for: from then on it is known which line is the last.
        """
        async with (
            self._database.connection(statement_milliseconds_max=CANCEL_MILLISECONDS_MAX) as connection,
            connection.transaction(),
        ):
            await connection.execute(
                QUERIES["wait_longer"],
                {
                    "lock_milliseconds": str(CANCEL_MILLISECONDS_MAX),
                    "statement_milliseconds": str(CANCEL_MILLISECONDS_MAX),
                },
            )
            await connection.execute(QUERIES["lock_lanes"], {"batch_id": batch_id})
            await connection.execute(QUERIES["cancel_batch"], {"batch_id": batch_id})
            await connection.execute(QUERIES["finish_batches"])

    async def reach(self, batch_id: UUID) -> BatchReach | None:
        """How far a batch is, which costs next to nothing to ask however many lines it has; None when there is none."""
        row = await self._database.row("batch_reach", {"batch_id": batch_id})
        return None if row is None else BatchReach(state=BatchState(row[0]), first_open_block=row[1])

    async def packed_blocks(
        self, batch_id: UUID, *, from_line: int
    ) -> AsyncIterator[Sequence[tuple[bytes, bytes | None]]]:
        """The packed lines and answers of each block in order, from that with this line on; answers may lack."""
        row = await self._database.row("block_of_line", {"batch_id": batch_id, "line": from_line})
        block = None if row is None else row[0]
        while block is not None and (chunks := await self.packed_block(batch_id, block)):
            yield chunks
            block += 1

    async def packed_block(self, batch_id: UUID, block: int) -> Sequence[tuple[bytes, bytes | None]]:
        """The packed lines and answers of a block, which may lack; nothing when there is no such block (any more)."""
        rows = await self._database.rows("chunks_of_block", {"batch_id": batch_id, "block": block})
        return [(lines, answers) for lines, answers in rows]

    async def forget(self, *, before: datetime) -> int:
        """How many chunks of batches that finished before then are gone now: lines and answers, not that they were."""
        forgotten = 0
        while True:
            parameters = {"before": before, "row_count_max": FORGOTTEN_CHUNKS_MAX}
            async with self._database.connection() as connection:
                count = (await connection.execute(QUERIES["forget_chunks"], parameters)).rowcount
            forgotten += count
            if count < FORGOTTEN_CHUNKS_MAX:
                return forgotten

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[tuple[Connection, ClaimedChunk] | None]:
        """The next chunk that nobody works on, in a transaction that commits when the block ends; None: there is none.

        What is done with it is done in this transaction: whoever is killed has done nothing of it.
        """
        async with self._database.connection() as connection, connection.transaction():
            silent = {"silent_milliseconds": str(SILENT_MILLISECONDS_MAX)}
            row = await (await connection.execute(QUERIES["claim_lane"], silent)).fetchone()
            if row is None:
                yield None
                return
            batch_id, lane, block, attempts, follows_waiting, lines, answers, header, *caller, digest, _ = row
            cut = await (await connection.execute(QUERIES["cut_of_batch"], {"batch_id": batch_id})).fetchone()
            if cut is None or (cut[0] is not None and block > cut[0]):
                yield None  # canceled between the two statements
                return
            application_urn, cbe_number, environment, certificate = caller
            yield (
                connection,
                ClaimedChunk(
                    batch_id=batch_id,
                    lane=lane,
                    block=block,
                    attempts=attempts,
                    follows_waiting=follows_waiting,
                    packed_lines=lines,
                    packed_answers=answers,
                    header=read_header(header),
                    caller=Caller(
                        application_urn=application_urn,
                        cbe_number=cbe_number,
                        environment=environment,
                        certificate_fingerprint=certificate,
                    ),
                    digest=digest,
                ),
            )

    async def postpone(self, claimed: ClaimedChunk, *, seconds: float) -> None:
        """Nothing; nobody takes the chunk in hand for so long."""
        parameters: dict[str, object] = {"batch_id": claimed.batch_id, "lane": claimed.lane, "wait_seconds": seconds}
        await self._database.execute("postpone_lane", parameters)

    async def are_any_unfinished(self) -> bool:
        """Whether a batch has lines to be answered, or is to be told that it has none any more."""
        return await self._database.row("unfinished_batch") is not None

    async def are_calls_answered(self) -> bool:
        """Whether a call online was recorded within the last second, as far as we may see other sessions."""
        sought: dict[str, object] = {"application_name": APPLICATION_NAME, "statement": _RECORDING}
        return await self._database.row("calls_answered", sought) is not None

    async def finish(self) -> int:
        """How many batches are finished now: all their lines are answered, or those up to the cut."""
        async with self._database.connection() as connection:
            return (await connection.execute(QUERIES["finish_batches"])).rowcount


def write_header(header: BatchHeader) -> str:
    """The JSON that `read_header` reads back."""
    return msgspec.json.encode(header, enc_hook=str).decode("utf-8")


def read_header(text: str) -> BatchHeader:
    """The header of a stored batch."""
    return msgspec.json.decode(text, type=BatchHeader, dec_hook=_read_text)


def _read_text(kind: type[Any], value: object) -> object:
    if kind is LegalContext and isinstance(value, str):
        return LegalContext(value)
    raise TypeError(f"{kind.__name__} is not stored like that")
