"""Values of COPY's binary format, each with its length before it: the server need not parse them.

They are quicker to make than their texts, too, and to read. A row is `row_of` so many values, and what is copied is
`whole` rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from struct import Struct
from typing import Final

from cbss_inscription.domain.spans import FOREVER, Span, Spans

SPANS_KEPT: Final = 4_096
"""Spans that are made once for many rows: most begin and end with a month."""
NULL: Final = b"\xff\xff\xff\xff"

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = date(2000, 1, 1).toordinal()
_BYTEA: Final = 17
"""The type's number in every database, as those that follow."""
_SMALLINT: Final = 21
_TEXT: Final = 25
_TIMESTAMPTZ: Final = 1184
_UUID: Final = 2950
_FROM_ON: Final = 0x02 | 0x10
"""Flags of a range with its begin, and without an end."""
_FROM_UNTIL: Final = 0x02
_OPEN_BYTES: Final = 9
"""Of a range without an end, without its own length; of one with an end:"""
_CLOSED_BYTES: Final = 17

_LENGTH: Final = Struct("!i").pack
_COUNT: Final = Struct("!h").pack
_NUMBER: Final = Struct("!iq").pack
_SMALL_NUMBER: Final = Struct("!ih").pack
_INTEGER: Final = Struct("!ii").pack
_MULTIRANGE: Final = Struct("!ii").pack
_CLOSED: Final = Struct("!iBiiii")
_OPEN: Final = Struct("!iBii")
_ARRAY: Final = Struct("!iiiiii").pack
_NO_ELEMENTS: Final = Struct("!iiii").pack


def row_of(count: int) -> bytes:
    """What a row of so many values begins with."""
    return _COUNT(count)


def whole(rows: Iterable[bytes]) -> bytes:
    """All that is copied."""
    return b"".join((_SIGNATURE, *rows, _END))


def of_bytes(value: bytes) -> bytes:
    """A `bytea`, or a `uuid` by its 16 bytes."""
    return _LENGTH(len(value)) + value


def of_text(value: str | None) -> bytes:
    """A `text`."""
    return NULL if value is None else of_bytes(value.encode())


def of_number(value: int) -> bytes:
    """A `bigint`."""
    return _NUMBER(8, value)


def of_integer(value: int) -> bytes:
    """An `integer`."""
    return _INTEGER(4, value)


def of_moment(at: datetime) -> bytes:
    """A `timestamptz`."""
    since = at - _EPOCH
    return _NUMBER(8, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def of_moments(moments: Sequence[datetime]) -> bytes:
    """A `timestamptz[]`."""
    return _array(_TIMESTAMPTZ, len(moments), b"".join(map(of_moment, moments)))


def of_texts(values: Sequence[str | None]) -> bytes:
    """A `text[]`."""
    return _array(_TEXT, len(values), b"".join(map(of_text, values)))


def of_byte_strings(values: Sequence[bytes | None]) -> bytes:
    """A `bytea[]`."""
    elements = b"".join([NULL if value is None else of_bytes(value) for value in values])
    return _array(_BYTEA, len(values), elements)


def of_uuids(values: Sequence[bytes]) -> bytes:
    """A `uuid[]`, each by its 16 bytes."""
    return _array(_UUID, len(values), b"".join(map(of_bytes, values)))


def of_small_numbers(values: Sequence[int]) -> bytes:
    """A `smallint[]`."""
    return _array(_SMALLINT, len(values), b"".join([_SMALL_NUMBER(2, value) for value in values]))


def _array(kind: int, count: int, elements: bytes) -> bytes:
    if not count:
        return _NO_ELEMENTS(12, 0, 0, kind)
    # It may have NULLs: whether it does is seen by the server.
    return _ARRAY(20 + len(elements), 1, 1, kind, count, 1) + elements


@lru_cache(maxsize=SPANS_KEPT)
def of_spans(spans: Spans) -> bytes:
    """A `datemultirange`."""
    ranges = b"".join(map(_range, spans))
    return _MULTIRANGE(4 + len(ranges), len(spans)) + ranges


@lru_cache(maxsize=SPANS_KEPT)
def read_spans(value: bytes) -> Spans:
    """The spans of a `datemultirange`, as `multirange_send` gives it: the value without its length."""
    found: list[Span] = []
    place = 4  # behind their number
    while place < len(value):
        length, _, _, begin = _OPEN.unpack_from(value, place)
        end = FOREVER
        if length == _CLOSED_BYTES:
            end = _CLOSED.unpack_from(value, place)[5] + _EPOCH_ORDINAL
        found.append((begin + _EPOCH_ORDINAL, end))
        place += 4 + length
    return tuple(found)


@lru_cache(maxsize=SPANS_KEPT)
def _range(span: Span) -> bytes:
    begin, end = span
    if end == FOREVER:
        return _OPEN.pack(_OPEN_BYTES, _FROM_ON, 4, begin - _EPOCH_ORDINAL)
    return _CLOSED.pack(_CLOSED_BYTES, _FROM_UNTIL, 4, begin - _EPOCH_ORDINAL, 4, end - _EPOCH_ORDINAL)
