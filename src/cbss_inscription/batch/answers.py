"""The answers of a batch, block by block, while it is still being worked on too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import cast
from uuid import UUID

from cbss_inscription.batch.told import Told, ToldAnswer, ToldLine, told_answers, told_lines
from cbss_inscription.storage.batches import StoredBatches


async def answers(batches: StoredBatches, batch_id: UUID, *, from_line: int = 1) -> AsyncIterator[list[Told]]:
    """The lines with their answers, in the order of the file, from this line on, up to the first that has none yet.

    Of a batch that is finished these are all there will ever be. A list is one block of lines at most.
    """
    async for chunks in batches.packed_blocks(batch_id, from_line=from_line):
        pairs = _lines_of(chunks)
        begin = next((place for place, (line, _) in enumerate(pairs) if line.number >= from_line), len(pairs))
        end = next((place for place, (_, answer) in enumerate(pairs) if answer is None and place >= begin), None)
        yield cast("list[Told]", pairs[begin:end])
        if end is not None:
            return


async def answers_as_they_come(
    batches: StoredBatches, batch_id: UUID, *, pause: Callable[[], Awaitable[None]]
) -> AsyncIterator[list[Told]]:
    """All lines with their answers, in the order of the file, until the batch is finished; those of a block at a time.

    `pause` is what is done before it is looked again whether there are more.
    """
    block = 0
    while (reach := await batches.reach(batch_id)) is not None:
        while reach.first_open_block is None or block < reach.first_open_block:
            chunks = await batches.packed_block(batch_id, block)
            if not chunks:  # that was the last one, or they are forgotten
                break
            yield cast("list[Told]", _lines_of(chunks))
            block += 1
        if reach.state.is_finished:
            return
        await pause()


def _lines_of(chunks: Sequence[tuple[bytes, bytes | None]]) -> list[tuple[ToldLine, ToldAnswer | None]]:
    """The lines of a block, in their order."""
    pairs: list[tuple[ToldLine, ToldAnswer | None]] = []
    for packed_lines, packed_answers in chunks:
        lines = told_lines(packed_lines)
        pairs += zip(lines, told_answers(packed_answers, len(lines)), strict=True)
    pairs.sort(key=_number_of)  # the chunks are sorted already, which this makes use of
    return pairs


def _number_of(pair: tuple[ToldLine, ToldAnswer | None]) -> int:
    return pair[0].number
