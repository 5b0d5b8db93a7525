"""The memory of messages already admitted, so that each counts once (SEC-52..54).

The key of a message is `VerifiedMessage.replay_key`: it does not contain the SignatureValue, of which one message can
have many spellings.
"""

from __future__ import annotations

import heapq
from datetime import datetime
from typing import Final, Protocol

from cbss_inscription.domain.errors import TemporarilyUnavailable

REPLAY_ENTRIES_MAX: Final = 100_000
"""Messages remembered by one process: 333 a second over the longest lifetime."""


class ReplayGuard(Protocol):
    """Where admitted messages are remembered; shared by everything that accepts messages for one address."""

    async def admit(self, key: bytes, *, until: datetime, now: datetime) -> bool:
        """Whether the message is seen for the first time; in that case it is remembered, at least up to `until`.

        Asking and remembering are one step: of two that bring the same key at once, one is admitted. Raises
        TemporarilyUnavailable when the memory is away or full: then nothing is admitted.
        """
        ...


class MemoryReplayGuard:
    """A ReplayGuard in the memory of one process, for tests and for a service of one worker."""

    def __init__(self, *, entries_max: int = REPLAY_ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._keys: set[bytes] = set()
        self._expiries: list[tuple[datetime, bytes]] = []  # a heap

    def __len__(self) -> int:
        """How many messages are remembered."""
        return len(self._keys)

    async def admit(self, key: bytes, *, until: datetime, now: datetime) -> bool:
        """As ReplayGuard says; no await stands in it, so nothing can come in between. Evicts only what expired."""
        while self._expiries and self._expiries[0][0] < now:
            _, expired = heapq.heappop(self._expiries)
            self._keys.remove(expired)
        if key in self._keys:
            return False
        if len(self._keys) >= self._entries_max:
            raise TemporarilyUnavailable("replay-memory-full")
        self._keys.add(key)
        heapq.heappush(self._expiries, (until, key))
        return True
