"""How another service is asked: the way there, and defaults of settings for whoever reads these and asks nobody."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from cbss_inscription.client.call import Answer, PreparedCall
    from cbss_inscription.domain.results import Result

TIMEOUT_SECONDS: Final = 4.0
"""How long one message may take for its reply, by default: three fit into what a caller waits for ours [D]."""
ATTEMPTS: Final = 3
"""How often a consultation is sent at the most, by default [D]."""
CALLS_AT_ONCE_MAX: Final = 64
"""Calls under way from one worker, by default [D]."""


class Sender(Protocol):
    """The way to the other service and back: `client.transport.AsyncTransport`."""

    async def send(self, call: PreparedCall, *, seconds_max: float | None = None) -> Answer[Result]:
        """The answer to `call`, within so many seconds. Raises `CallFailed`."""
        ...

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        ...


class DialectName(StrEnum):
    """In whose names and shapes an upstream is spoken to."""

    KSZ = "ksz"
    """Our reconstruction of InscriptionService [C]."""
    ADJUSTMENT = "adjustment"
    """One of our own making, as different as we could think of [D]: that another one has its place is shown by it."""
