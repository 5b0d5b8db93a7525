"""Answers as values, for tests: as chunks keep them, and as files of answers tell them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cbss_inscription.batch.chunk import (
    PackedAnswer,
    pack_answer,
    pack_answers,
    pack_lines,
    unpack_answers,
    unpack_lines,
)
from cbss_inscription.batch.told import Told, told_answers, told_lines
from cbss_inscription.domain.batch import BatchLine
from cbss_inscription.domain.results import ConsultResult, InscriptionResult, WriteResult


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAnswer:
    """What became of a line: a result as online, or the code of the fault that it would be online; never both."""

    line: BatchLine
    ticket_cbss: UUID
    timestamp: datetime
    """When its turn came (UTC): what `timestampReceive` is online."""
    result: InscriptionResult | None = None
    fault: str | None = None

    @property
    def code(self) -> str:
        """The code of the status, or of the fault."""
        if self.result is not None:
            return self.result.status.code.value
        assert self.fault is not None
        return self.fault


def told_of(answers: Iterable[LineAnswer]) -> list[Told]:
    """The same, packed by a chunk and told again."""
    found = list(answers)
    packed = pack_answers(
        pack_answer(
            PackedAnswer(
                ticket_cbss=answer.ticket_cbss.bytes,
                timestamp=answer.timestamp,
                consultation=answer.result if isinstance(answer.result, ConsultResult) else None,
                declaration=answer.result if isinstance(answer.result, WriteResult) else None,
                fault=answer.fault,
            )
        )
        for answer in found
    )
    lines = told_lines(pack_lines([answer.line for answer in found]))
    return [
        (line, told) for line, told in zip(lines, told_answers(packed, len(found)), strict=True) if told is not None
    ]


def answers_in(packed_lines: bytes, packed_answers: bytes | None) -> list[LineAnswer]:
    """The answers that a chunk has."""
    if packed_answers is None:
        return []
    return [
        LineAnswer(
            line=line,
            ticket_cbss=UUID(bytes=answer.ticket_cbss),
            timestamp=answer.timestamp,
            result=answer.consultation or answer.declaration,
            fault=answer.fault,
        )
        for line, answer in zip(unpack_lines(packed_lines), unpack_answers(packed_answers), strict=True)
        if answer is not None
    ]
