"""The intake: from a file's lines to chunks that can be worked on; nothing can before the file was read to its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final
from uuid import uuid4

from cbss_inscription.batch.chunk import pack_lines
from cbss_inscription.domain.batch import CHUNK_LINES, BatchHeader, BatchLine, Submitted
from cbss_inscription.domain.errors import NotAuthorized
from cbss_inscription.domain.exchange import Caller
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.ssin import SSIN_DIGITS
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.registers.resolution import HOPS_MAX
from cbss_inscription.storage.batches import Chunk, Intake, NewBatch
from cbss_inscription.usecases.ports import AccessRulesSource

LANES: Final = 16
"""Lanes of a batch that is longer than a chunk: so many workers can be at one batch."""
OPERATIONS: Final = (
    Operation.CONSULT_INSCRIPTIONS,
    Operation.INSERT_INSCRIPTION,
    Operation.UPDATE_INSCRIPTION,
    Operation.DELETE_INSCRIPTION,
)
"""What a line may ask."""
_DIGITS: Final = re.compile(rf"[0-9]{{{SSIN_DIGITS}}}")
_PRIME: Final = 2_654_435_761  # Knuth's multiplier: numbers that follow each other go to other lanes
_WORD: Final = 2**32


class BatchIntake:
    """Takes batches in, one transaction each: who is killed, or meets what cannot be read, leaves nothing behind."""

    def __init__(
        self,
        conninfo: str,
        *,
        rules: AccessRulesSource,
        chunk_lines: int = CHUNK_LINES,
        lanes: int = LANES,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._conninfo = conninfo
        self._rules = rules
        self._chunk_lines = chunk_lines
        self._lanes = lanes
        self._clock = clock

    def submit(self, header: BatchHeader, *, digest: bytes, caller: Caller, lines: Iterable[BatchLine]) -> Submitted:
        """The batch of a file with this digest, submitted by this application; of the same file, the first one.

        Blocks as long as the lines take to be read. Raises `NotAuthorized` when the application may do nothing for the
        organisation that sends, `SequenceViolation` when it is not the sender's next, `ContentViolation` when the same
        file was somebody else's, `TemporarilyUnavailable` when another one of that number is being read, and whatever
        the lines raise: then nothing is left of it.
        """
        now = self._clock()
        if not may_send(self._rules.current(), header, caller, now):
            raise NotAuthorized("batch-sender")
        batch = NewBatch(batch_id=uuid4(), header=header, digest=digest, caller=caller, submitted_at=now)
        with Intake(self._conninfo) as intake:
            first = intake.begin(batch)
            if first is not None:
                return Submitted(batch_id=first, is_repeat=True)
            line_count = 0
            reading, lanes = iter(_counted(lines)), 1
            for block, read in enumerate(self._blocks(reading)):
                if len(read) > self._chunk_lines:
                    lanes = self._lanes
                line_count += len(read)
                intake.write(list(_deal(read, block, lanes, intake.numbers_that_carry_on)))
            intake.end(line_count)
        return Submitted(batch_id=batch.batch_id, is_repeat=False)

    def _blocks(self, lines: Iterator[BatchLine]) -> Iterator[list[BatchLine]]:
        while block := list(islice(lines, self._chunk_lines * self._lanes)):
            yield block


def may_send(rules: AccessRules, header: BatchHeader, caller: Caller, now: datetime) -> bool:
    """Whether the application may do anything that a line can ask, for the organisation that sends.

    Each line is decided on its own; but who may do nothing at all would use up another's sequence numbers.
    """
    customer = header.sender.organization_identification
    for operation in OPERATIONS:
        try:
            rules.permission_for(caller, operation, customer, header.legal_context, today=now.date())
        except NotAuthorized:
            continue
        return True
    return False


def _counted(lines: Iterable[BatchLine]) -> Iterator[BatchLine]:
    for number, line in enumerate(lines, start=1):
        if line.number != number:
            raise ValueError("the lines of a batch are numbered from 1")
        yield line


def _deal(
    lines: list[BatchLine], block: int, lanes: int, carry_on: Callable[[list[int], int], dict[int, int]]
) -> Iterator[Chunk]:
    """The chunks of a block: the lines of each lane, in their order.

    The lane follows from the number at which the replacements end, as they are known now: what is said of one person by
    two of its numbers stays in order. A line without a number that could be one goes to the first lane.
    """
    if lanes == 1:
        yield _chunk(0, block, lines)
        return
    numbers = [int(line.ssin) if _DIGITS.fullmatch(line.ssin) else 0 for line in lines]
    current = carry_on(numbers, HOPS_MAX)
    dealt: list[list[BatchLine]] = [[] for _ in range(lanes)]
    for line, number in zip(lines, numbers, strict=True):
        dealt[current.get(number, number) * _PRIME % _WORD * lanes // _WORD].append(line)
    for lane, of_lane in enumerate(dealt):
        if of_lane:
            yield _chunk(lane, block, of_lane)


def _chunk(lane: int, block: int, lines: list[BatchLine]) -> Chunk:
    return Chunk(
        lane=lane, block=block, last_line=lines[-1].number, line_count=len(lines), packed_lines=pack_lines(lines)
    )
