"""The files that answer a batch: its answers in the order of its lines, and beside them what they add up to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import starmap
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

import msgspec

from cbss_inscription import __version__
from cbss_inscription.batch.csv_answers import CsvAnswers
from cbss_inscription.batch.packing import Packing, WholeFile
from cbss_inscription.batch.reading import BatchFormat
from cbss_inscription.batch.told import Told, ToldAnswer, ToldLine
from cbss_inscription.batch.xml_answers import XmlAnswers
from cbss_inscription.domain.batch import BatchHeader, BatchState, BatchStatus
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode

FIRST_LINES: Final = 5
"""Lines that are named of each outcome: by their number, never by a person's."""
_ANSWERS_AT_ONCE: Final = 1_000
"""Answers that are packed and written at once."""


class _Answers(Protocol):
    def head(self) -> str: ...

    def answer(self, line: ToldLine, answer: ToldAnswer, /) -> str: ...

    def foot(self) -> str: ...


def answers_of(form: BatchFormat, header: BatchHeader) -> _Answers:
    """The texts of a file of answers in this form."""
    return XmlAnswers(header) if form is BatchFormat.XML else CsvAnswers()


class ResultOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How many lines ended with a code."""

    code: str
    description: str
    lines: int
    first_lines: tuple[int, ...]


class ResultManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of answers is, for whoever keeps it: JSON beside it."""

    batch: UUID
    sender: str
    """The key of its organisation."""
    sequence_number: int
    state: BatchState
    """`running` where the answers are not all there will be."""
    input_sha256: str
    input_lines: int
    answers: int
    """Lines answered in the file: the first so many."""
    cut_after: int | None
    """The last line that is answered, where the batch was canceled."""
    file: str
    file_bytes: int
    file_sha256: str
    outcomes: tuple[ResultOutcome, ...]
    """Of the lines in the file, the most frequent first."""
    submitted_at: datetime
    began_at: datetime | None
    finished_at: datetime | None
    written_at: datetime
    version: str
    """Of the program that wrote the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenResults:
    """A file of answers, and what they add up to."""

    answers: int
    file: str
    file_bytes: int
    file_sha256: str
    outcomes: tuple[ResultOutcome, ...]


@dataclass(slots=True)
class _Count:
    lines: int
    first_lines: list[int]


async def write_results(
    path: Path,
    answers: AsyncIterator[Sequence[Told]],
    *,
    header: BatchHeader,
    form: BatchFormat,
    packing: Packing = Packing.NONE,
) -> WrittenResults:
    """What the file at `path` is now, which is there whole or not at all; the manifest is still to be written.

    Raises OSError: no room, for one.
    """
    counts: dict[str, _Count] = {}
    answer_count, texts = 0, answers_of(form, header)
    with WholeFile(path, packing=packing) as file:
        file.write(texts.head().encode())
        async for block in answers:
            for begin in range(0, len(block), _ANSWERS_AT_ONCE):
                file.write("".join(starmap(texts.answer, block[begin : begin + _ANSWERS_AT_ONCE])).encode())
            answer_count += len(block)
            for line, answer in block:
                count = counts.get(answer.code)
                if count is None:
                    count = counts[answer.code] = _Count(0, [])
                count.lines += 1
                if count.lines <= FIRST_LINES:
                    count.first_lines.append(line.number)
        file.write(texts.foot().encode())
    return WrittenResults(
        answers=answer_count,
        file=path.name,
        file_bytes=file.size_bytes,
        file_sha256=file.sha256,
        outcomes=tuple(
            ResultOutcome(
                code=code,
                description=CATALOGUE[OutcomeCode(code)].texts["en"],
                lines=count.lines,
                first_lines=tuple(count.first_lines),
            )
            for code, count in sorted(counts.items(), key=lambda item: (-item[1].lines, item[0]))
        ),
    )


def manifest_of(written: WrittenResults, *, status: BatchStatus, now: datetime) -> ResultManifest:
    """The manifest of a file of answers; `status` is how the batch was before the last of them were asked for."""
    return ResultManifest(
        batch=status.batch_id,
        sender=status.header.sender.organization_identification.key,
        sequence_number=status.header.sequence_number,
        state=status.state,
        input_sha256=status.digest.hex(),
        input_lines=status.line_count,
        answers=written.answers,
        cut_after=status.cut_after,
        file=written.file,
        file_bytes=written.file_bytes,
        file_sha256=written.file_sha256,
        outcomes=written.outcomes,
        submitted_at=status.submitted_at,
        began_at=status.began_at,
        finished_at=status.finished_at,
        written_at=now,
        version=__version__,
    )


def write_result_manifest(path: Path, manifest: ResultManifest) -> None:
    """Nothing; the manifest is there, last of all, so that whoever sees it finds the answers whole. Raises OSError."""
    with WholeFile(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
