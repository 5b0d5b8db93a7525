"""All families of vectors, TV-01 to TV-109: what importing the modules below has registered."""

from __future__ import annotations

from typing import Final

from tests.vectors import (
    certificates,
    envelopes,
    genuine,
    hostile,
    replays,
    signed_info,
    times,
    tokens,
    wrapping,
)
from tests.vectors.vector import FAMILIES

MODULES: Final = (genuine, wrapping, signed_info, tokens, certificates, times, replays, hostile, envelopes)
NUMBERS: Final = tuple(f"TV-{number:02}" for number in range(1, 110) if number != 9)
"""Every number that the catalogue must hold; the design has no TV-09."""

__all__ = ["FAMILIES", "MODULES", "NUMBERS"]
