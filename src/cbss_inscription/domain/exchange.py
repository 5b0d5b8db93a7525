"""Who sent a message and which exchange it is: what every record of a write carries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec


class KnownBy(StrEnum):
    """How a caller is known; as settings, records and the log say it."""

    TOKEN = "token"  # noqa: S105  # no secret
    """The X.509 token in the message, and the signature that it verifies."""
    CLIENT_CERTIFICATE = "mtls"
    """The client certificate of the TLS connection."""
    TOKEN_AND_CLIENT_CERTIFICATE = "token-and-mtls"  # noqa: S105  # no secret
    """Both, of the same application (SEC-03)."""
    NETWORK = "network"
    """The network that the TLS connection came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An application of an organisation, authenticated: as its certificate names it, or its network stands for it."""

    application_urn: str
    cbe_number: str
    environment: str
    certificate_fingerprint: str | None
    """SHA-256 of the certificate's DER, in hexadecimal; None for a caller that showed none."""
    known_by: KnownBy = KnownBy.TOKEN
    network: str | None = None
    """The name of the network, for a caller that is known by it."""


class Trail(msgspec.Struct, kw_only=True):
    """By which rules an exchange was decided, noted on its way by whoever decides, for the record of it (SEC-60); and
    what kept it from an answer.
    """

    rules_version: int | None = None
    access_rule: str | None = None
    """The dossier of the access rule that admits the application."""
    permission: str | None = None
    """The reference of the permission."""
    unanswered: str | None = None
    """Why the repertory or an authentic source gave no answer (CBI00901), in a fixed word, for our log alone."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its reply: our ticket, when the request came (UTC), who sent it, what was decided on its way."""

    ticket_cbss: UUID
    timestamp_receive: datetime
    caller: Caller
    trail: Trail = msgspec.field(default_factory=Trail)
    answer_by: float | None = None
    """When the answer must be there, in seconds of the monotonic clock; None: as late as it takes."""
