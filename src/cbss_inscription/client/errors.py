"""Why a call gave no answer.

CbssInscriptionError
├── CallFailed
│   ├── FaultReceived        the service refused the message, or failed: a code of the catalogue
│   ├── ServiceUnreachable   no connection, no trusted TLS, no reply in time
│   └── ReplyUnreadable      a reply that is no valid answer to what was asked
└── Refused                  an answer that refuses, where answers are not given: the iteration over mutations
"""

from __future__ import annotations

from enum import StrEnum

from cbss_inscription.domain.errors import CbssInscriptionError
from cbss_inscription.domain.outcome_codes import CATALOGUE
from cbss_inscription.domain.results import Status


class CallFailed(CbssInscriptionError):
    """A call without an answer. For a declaration: unless `FaultReceived`, whether it was written is unknown."""


class FaultReceived(CallFailed):
    """A fault. `code` is the SOA code, `ticket` the service's own (quote it to its desk), `retry` its own advice."""

    def __init__(self, *, code: str, fault_code: str, ticket: str | None, message: str, retry: bool) -> None:
        super().__init__(f"{code}: {message}" + (f" (ticket {ticket})" if ticket else ""))
        self.code = code
        self.fault_code = fault_code
        self.ticket = ticket
        self.message = message
        self.retry = retry

    @property
    def is_ours(self) -> bool:
        """Whether the message, not the service, is at fault: sending it again will not help."""
        return self.fault_code != "Server"


class Obstacle(StrEnum):
    """What stood between a call and its reply."""

    TIMEOUT = "timeout"
    """No whole reply in time."""
    UNTRUSTED = "untrusted"
    """No TLS, or not with the one who was meant."""
    BROKEN = "broken"
    """A connection that ended before its reply, perhaps one kept too long."""
    UNREACHABLE = "unreachable"
    """No connection at all."""


class ServiceUnreachable(CallFailed):
    """No reply: the text says in one sentence what stood in the way, `obstacle` in a word.

    `was_sent`: whether any of the message may have left. When it did not, nothing can have been done.
    """

    def __init__(self, text: str, *, obstacle: Obstacle = Obstacle.UNREACHABLE, was_sent: bool = True) -> None:
        super().__init__(text)
        self.obstacle = obstacle
        self.was_sent = was_sent


class ReplyUnreadable(CallFailed):
    """A reply that breaks the contract; `reason` is a fixed word, without anything of the reply."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the service's reply is not readable: {reason}")
        self.reason = reason


class Refused(CbssInscriptionError):
    """A refusal by a rule, such as a legal context that is not granted; `status` is the answer's."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"{status.code}: {CATALOGUE[status.code].texts['en']}")
        self.status = status
