"""Who sent a message and which exchange it is: what every record of a write carries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An application as its certificate names it (security.md 1.3), authenticated by the message's signature."""

    application_urn: str
    cbe_number: str
    environment: str
    certificate_fingerprint: str
    """SHA-256 of the certificate's DER, in hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its reply: our ticket, when the request came (UTC), and who sent it."""

    ticket_cbss: UUID
    timestamp_receive: datetime
    caller: Caller
