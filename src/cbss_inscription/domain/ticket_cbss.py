"""CBSS tickets: the UUIDs under which calls are answered and found again (rule 49).

They are of version 7 (RFC 9562 section 5.7): the time, then chance. What is recorded under them comes in their order,
so that an index of them grows at its end, however large it is; chance alone would reach all over it.
"""

from __future__ import annotations

import secrets
import struct
import time
from typing import Final
from uuid import UUID

import msgspec

_VERSION: Final = 7 << 12
_VARIANT: Final = 1 << 63
_CHANCE_BITS: Final = 62
_COUNTER_BITS: Final = 12
_UUID: Final = struct.Struct("!QQ").pack


def new_tickets(count: int) -> list[UUID]:
    """So many tickets, in ascending order: after the time comes their place among these, then 62 bits of chance."""
    high = _time_and_version()
    chance = struct.unpack(f"!{count}Q", secrets.token_bytes(8 * count))
    return msgspec.convert(
        [
            _UUID(high | (place << _COUNTER_BITS) // count, _VARIANT | random >> (64 - _CHANCE_BITS))
            for place, random in enumerate(chance)
        ],
        list[UUID],
    )


def new_ticket() -> UUID:
    """A ticket: after the time come 74 bits of chance."""
    random = secrets.randbits(_COUNTER_BITS + _CHANCE_BITS)
    high = _time_and_version() | random >> _CHANCE_BITS
    return UUID(int=high << 64 | _VARIANT | random & (1 << _CHANCE_BITS) - 1)


def _time_and_version() -> int:
    """The higher 64 bits of a ticket that is made now; the last twelve of them are to be filled."""
    return (time.time_ns() // 1_000_000) << 16 | _VERSION
