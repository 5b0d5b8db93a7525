"""Lines and answers as files of answers tell them: the texts that chunks hold, of which nothing is made.

They were values of ours when they were packed (batch/chunk.py), so nothing is judged again: a day stays the text that
it is, a number its digits. For millions of lines that takes a third of the time.
"""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Final

import msgspec

from cbss_inscription.domain.customer import CustomerIdentification

ToldDates = tuple[str | None, str | None]
"""Begin and end."""


class ToldLegalData(msgspec.Struct, array_like=True, gc=False):
    """See `BatchLegalData`."""

    last_name: str | None = None
    given_names: tuple[str, ...] = ()
    birth_date: str | None = None
    gender: int | None = None


class ToldLine(msgspec.Struct, kw_only=True, array_like=True, gc=False):
    """See `BatchLine`."""

    number: int
    ticket: str | None = None
    operation: str | None = None
    ssin: str = ""
    inscription_contexts: tuple[str, ...] = ()
    period: ToldDates | None = None
    new_period: ToldDates | None = None
    legal_data: ToldLegalData | None = None
    refused: str | None = None


class ToldInformation(msgspec.Struct, gc=False):
    """See `Information`."""

    field_name: str
    field_value: str | None = None


class ToldMessage(msgspec.Struct, gc=False):
    """See `Anomaly`."""

    code: str
    information: tuple[ToldInformation, ...] = ()


class ToldStatus(msgspec.Struct, gc=False):
    """See `Status`."""

    value: str
    code: str
    information: tuple[ToldInformation, ...] = ()


class ToldDigits(msgspec.Struct, gc=False):
    """See `Ssin`."""

    digits: str


class ToldSsin(msgspec.Struct, gc=False):
    """See `SsinAnswer`."""

    current: ToldDigits
    replaces: ToldDigits | None = None
    canceled: bool = False


class ToldPeriod(msgspec.Struct, gc=False):
    """See `Period`."""

    begin_date: str
    end_date: str | None = None


class ToldInscription(msgspec.Struct, gc=False):
    """See `Inscription`."""

    inscription_context: str
    period: ToldPeriod
    organization: CustomerIdentification | None = None
    last_change: datetime | None = None


class ToldResult(msgspec.Struct, gc=False):
    """See `ConsultResult` and `WriteResult`, of which each has what the other has not."""

    status: ToldStatus
    ssin: ToldSsin | None = None
    data_filters: tuple[str, ...] = ()
    validation_errors: tuple[ToldMessage, ...] = ()
    anomalies: tuple[ToldMessage, ...] = ()
    inscriptions: tuple[ToldInscription, ...] = ()
    next: str | None = None


class ToldAnswer(msgspec.Struct, array_like=True, gc=False):
    """See `PackedAnswer`."""

    ticket_cbss: bytes
    timestamp: datetime
    consultation: ToldResult | None
    declaration: ToldResult | None
    fault: str | None

    @property
    def code(self) -> str:
        """The code of the status, or of the fault."""
        result = self.consultation or self.declaration
        if result is not None:
            return result.status.code
        assert self.fault is not None
        return self.fault


Told = tuple[ToldLine, ToldAnswer]

_LINES: Final = msgspec.msgpack.Decoder(list[ToldLine])
_ANSWERS: Final = msgspec.msgpack.Decoder(list[ToldAnswer | None])


def told_lines(packed: bytes) -> list[ToldLine]:
    """The lines of a chunk, in the order of the file."""
    return _LINES.decode(zlib.decompress(packed))


def told_answers(packed: bytes | None, line_count: int) -> list[ToldAnswer | None]:
    """The answers of a chunk of so many lines, each at the place of its line; None for one that has none yet."""
    return [None] * line_count if packed is None else _ANSWERS.decode(zlib.decompress(packed))
