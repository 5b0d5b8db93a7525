"""How an upstream is asked: the words and defaults of settings, for whoever reads these and asks nobody."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

TIMEOUT_SECONDS: Final = 4.0
"""How long one message may take for its reply, by default: three fit into what a caller waits for ours [D]."""
ATTEMPTS: Final = 3
"""How often a consultation is sent at the most, by default [D]."""
CALLS_AT_ONCE_MAX: Final = 64
"""Calls under way from one worker, by default [D]."""


class DialectName(StrEnum):
    """In whose names and shapes an upstream is spoken to."""

    KSZ = "ksz"
    """Our reconstruction of InscriptionService [C]."""
    ADJUSTMENT = "adjustment"
    """One of our own making, as different as we could think of [D]: that another one has its place is shown by it."""
