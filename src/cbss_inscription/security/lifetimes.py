"""How long what trust rests on still lasts, and whether it is time to say so (SEC-05, SEC-44)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509

from cbss_inscription.domain.errors import UsageError

ENDING_DAYS: Final = 30
"""Days before its end that something counts as ending (SEC-05) …"""
ENDING_SHARE: Final = 3
"""… or the last third of its life, when that is less: a revocation list lives a week."""


class Kind(StrEnum):
    """What it is that ends."""

    ROOT = "root"
    INTERMEDIATE = "intermediate"
    SERVER_CERTIFICATE = "server-certificate"
    SIGNING_CERTIFICATE = "signing-certificate"
    """Ours, as a caller of another service."""
    REVOCATION_LIST = "revocation-list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """From when until when a certificate or revocation list counts; `name` is its subject, or its issuer."""

    kind: Kind
    name: str
    begins: datetime
    ends: datetime

    def is_ending(self, now: datetime) -> bool:
        """Whether somebody should see to it: its last 30 days or last third began, or it ended already."""
        return now >= self.ends - min(timedelta(days=ENDING_DAYS), (self.ends - self.begins) / ENDING_SHARE)

    def has_ended(self, now: datetime) -> bool:
        """Whether it counts no more."""
        return now > self.ends


def lifetime_of(certificate: x509.Certificate, kind: Kind) -> Lifetime:
    """The validity of a certificate."""
    return Lifetime(
        kind=kind,
        name=certificate.subject.rfc4514_string(),
        begins=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
    )


def server_lifetimes(certificates_pem: bytes) -> tuple[Lifetime, ...]:
    """The validity of a server's certificate and of the intermediates behind it. Raises UsageError."""
    try:
        server, *intermediates = x509.load_pem_x509_certificates(certificates_pem)
    except ValueError:
        raise UsageError("The server's certificate cannot be read.") from None
    above = (lifetime_of(certificate, Kind.INTERMEDIATE) for certificate in intermediates)
    return (lifetime_of(server, Kind.SERVER_CERTIFICATE), *above)


def ending(lifetimes: Iterable[Lifetime], now: datetime) -> tuple[Lifetime, ...]:
    """Those that are ending or have ended, the first to end first."""
    return tuple(sorted((one for one in lifetimes if one.is_ending(now)), key=lambda one: (one.ends, one.name)))
