"""The answers of a batch, line by line, while it is still being worked on too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from heapq import merge
from uuid import UUID

from cbss_inscription.batch.chunk import unpack_answers, unpack_lines
from cbss_inscription.domain.batch import BatchLine, LineAnswer
from cbss_inscription.storage.batches import StoredBatches


async def answers(batches: StoredBatches, batch_id: UUID, *, from_line: int = 1) -> AsyncIterator[LineAnswer]:
    """The answers in the order of the lines, from this line on, up to the first that has none yet.

    Of a batch that is finished these are all there will ever be. At most a block of lines is in memory.
    """
    async for chunks in batches.packed_blocks(batch_id, from_line=from_line):
        for line, answer in merge(*(_pairs(*chunk) for chunk in chunks), key=_number_of):
            if line.number < from_line:
                continue
            if answer is None:
                return
            yield answer


_Pair = tuple[BatchLine, LineAnswer | None]


def _pairs(packed_lines: bytes, packed_answers: bytes | None) -> list[_Pair]:
    lines = unpack_lines(packed_lines)
    if packed_answers is None:
        return [(line, None) for line in lines]
    answered = unpack_answers(packed_answers)
    return [(line, None if answer is None else answer.to(line)) for line, answer in zip(lines, answered, strict=True)]


def _number_of(pair: _Pair) -> int:
    return pair[0].number
