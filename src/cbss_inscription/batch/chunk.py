"""How a chunk's lines and answers are packed: arrays without names of fields, for there are millions of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from cbss_inscription.domain.batch import BatchLine
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.results import ConsultResult, WriteResult

_LEVEL: Final = 1
"""zlib's fastest: a third of the bytes to write, for a tenth of the time that a line takes."""


class PackedAnswer(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An answer without its line, which stands at the same place of the chunk."""

    ticket_cbss: bytes
    timestamp: datetime
    consultation: ConsultResult | None
    declaration: WriteResult | None
    fault: str | None

    @property
    def code(self) -> str:
        """The code of the status, or of the fault."""
        result = self.consultation or self.declaration
        if result is not None:
            return result.status.code
        assert self.fault is not None
        return self.fault


def pack_lines(lines: Sequence[BatchLine]) -> bytes:
    """The bytes that `unpack_lines` reads back as the same lines."""
    return zlib.compress(_ENCODER.encode(lines), _LEVEL)


def unpack_lines(packed: bytes) -> list[BatchLine]:
    """The lines of a chunk, in the order of the file."""
    return _LINES.decode(zlib.decompress(packed))


def pack_answer(answer: PackedAnswer | None) -> bytes:
    """An answer among those of a chunk; None for a line that has none yet."""
    return _ENCODER.encode(answer)


def pack_answers(packed: Iterable[bytes]) -> bytes:
    """The bytes that `unpack_answers` reads back as the answers that were packed one by one."""
    return zlib.compress(_ENCODER.encode(list(map(msgspec.Raw, packed))), _LEVEL)


def unpack_answers(packed: bytes) -> list[PackedAnswer | None]:
    """The answers of a chunk, each at the place of its line."""
    return _ANSWERS.decode(zlib.decompress(packed))


def _read_text(kind: type[Any], value: object) -> object:
    if kind is InscriptionContext and isinstance(value, str):
        return InscriptionContext(value)
    raise TypeError(f"{kind.__name__} is not packed like that")


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=str)  # contexts are texts of a kind of their own
_LINES: Final = msgspec.msgpack.Decoder(list[BatchLine])
_ANSWERS: Final = msgspec.msgpack.Decoder(list[PackedAnswer | None], dec_hook=_read_text)
