"""Why a call gave no answer.

CbssInscriptionError
└── CallFailed
    ├── FaultReceived        the service refused the message, or failed: a code of the catalogue
    ├── ServiceUnreachable   no connection, no trusted TLS, no reply in time
    └── ReplyUnreadable      a reply that is no valid answer to what was asked
"""

from __future__ import annotations

from cbss_inscription.domain.errors import CbssInscriptionError


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


class ServiceUnreachable(CallFailed):
    """No reply: the text says in one sentence what stood in the way."""


class ReplyUnreadable(CallFailed):
    """A reply that breaks the contract; `reason` is a fixed word, without anything of the reply."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the service's reply is not readable: {reason}")
        self.reason = reason
