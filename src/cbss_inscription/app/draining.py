"""That a service is about to stop: told to its processes by a signal, before the one that ends them (SEC-80).

Between the two it goes on accepting and answering, says "not ready", and asks each caller to close its connection, so
that whatever spreads the load sends the next message elsewhere.
"""

from __future__ import annotations

import signal
from typing import Final

from cbss_inscription.app.settings import Settings

STOP_MARGIN_SECONDS: Final = 2.0
"""How long a worker may take to finish what it has in hand, beyond the longest answer: the record of a late one."""
DRAIN_SIGNAL: Final = signal.SIGUSR1
"""What the supervisor sends to the process group of each listener; by itself it would end a process."""


def worker_stop_seconds(settings: Settings) -> float:
    """How long a worker may take to finish what it has in hand once it accepts nothing more."""
    return settings.limits.answer_seconds_max + STOP_MARGIN_SECONDS


def ignore_draining() -> None:
    """Nothing; this process, and each that it starts, outlives the signal until it asks to be told."""
    signal.signal(DRAIN_SIGNAL, signal.SIG_IGN)


class Draining:
    """Whether this process was told that its service is about to stop; to be made in its main thread."""

    def __init__(self) -> None:
        self.is_on = False
        signal.signal(DRAIN_SIGNAL, lambda *_: self._begin())

    def _begin(self) -> None:
        self.is_on = True
