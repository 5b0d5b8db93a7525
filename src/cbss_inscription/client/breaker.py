"""Whether another service is worth a call: a circuit breaker, pure, with the clock as an argument.

Closed, every call is made. After some failures in a row it opens: none is made, for a while. Then it is half open: one
call at a time goes through as a probe, and when enough of them succeed it closes; one that fails opens it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

FAILURES_TO_OPEN: Final = 5
"""Failures in a row that open it, by default [D]."""
OPEN_SECONDS: Final = 10.0
"""How long it stays open, by default [D]."""
PROBES: Final = 1
"""Probes that must succeed, by default [D]."""


class Circuit(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"
    """Everything."""
    HALF_OPEN = "half-open"
    """One call at a time."""
    OPEN = "open"
    """Nothing."""


class CircuitBreaker:
    """The breaker of one service, for one worker.

    Whoever was let through by `admit` must say what came of it, by the word that `admit` gave. What was let through
    before the circuit last moved may end long after, and counts no more.
    """

    def __init__(
        self,
        *,
        failures_to_open: int = FAILURES_TO_OPEN,
        open_seconds: float = OPEN_SECONDS,
        probes: int = PROBES,
        moved: Callable[[Circuit], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures_to_open = failures_to_open
        self._open_seconds = open_seconds
        self._probes = probes
        self._moved = moved
        self._clock = clock
        self._circuit = Circuit.CLOSED
        self._turn = 0
        self._opened_at = 0.0
        self._failures = 0
        self._successes = 0
        self._is_probed = False

    @property
    def circuit(self) -> Circuit:
        """What it lets through."""
        return self._circuit

    def admit(self) -> int | None:
        """The word under which a call may be made now; None when none may."""
        if self._circuit is Circuit.OPEN and self._clock() >= self._opened_at + self._open_seconds:
            self._move(Circuit.HALF_OPEN)
        if self._circuit is Circuit.OPEN or self._is_probed:
            return None
        self._is_probed = self._circuit is Circuit.HALF_OPEN
        return self._turn

    def succeeded(self, word: int) -> None:
        """Nothing; the other service answered."""
        if word != self._turn:
            return
        self._failures = 0
        self._is_probed = False
        self._successes += 1
        if self._circuit is Circuit.HALF_OPEN and self._successes >= self._probes:
            self._move(Circuit.CLOSED)

    def failed(self, word: int) -> None:
        """Nothing; it did not answer, or nothing that could be believed."""
        if word != self._turn:
            return
        self._failures += 1
        if self._circuit is Circuit.HALF_OPEN or self._failures >= self._failures_to_open:
            self._opened_at = self._clock()
            self._move(Circuit.OPEN)

    def said_nothing(self, word: int) -> None:
        """Nothing; the call ended before it could tell anything of the other service."""
        if word == self._turn:
            self._is_probed = False

    def _move(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self._turn += 1
        self._failures = self._successes = 0
        self._is_probed = False
        self._moved(circuit)
