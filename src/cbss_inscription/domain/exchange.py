"""Who sent a message and which exchange it is: what every record of a write carries."""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass(slots=True, kw_only=True)
class Trail:
    """By which rules an exchange was decided, noted on its way by whoever decides, for the record of it (SEC-60)."""

    rules_version: int | None = None
    access_rule: str | None = None
    """The dossier of the access rule that admits the application."""
    permission: str | None = None
    """The reference of the permission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its reply: our ticket, when the request came (UTC), who sent it, what was decided on its way."""

    ticket_cbss: UUID
    timestamp_receive: datetime
    caller: Caller
    trail: Trail = field(default_factory=Trail, compare=False)
    answer_by: float | None = field(default=None, compare=False)
    """When the answer must be there, in seconds of the monotonic clock; None: as late as it takes."""
