"""From the bytes of a request to its sender and the bytes they signed, or a refusal; there is no third way out.

The order is the design's (3.2): shape before cryptography, SignedInfo before the parts it names, so that work grows
with the message only after the signature has been found good (SEC-37).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from lxml.etree import _Element

from cbss_inscription import safe_xml
from cbss_inscription.domain.errors import NotAuthenticated
from cbss_inscription.security.algorithms import BY_URI, KeyNotTaken
from cbss_inscription.security.c14n import CanonicalizationError, canonical
from cbss_inscription.security.gate import Addressing, GatedMessage, Reference
from cbss_inscription.security.known_headers import KnownHeaders
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.stations import Station, run
from cbss_inscription.security.trust import CertificateTrust, CertifiedCaller

_KNOWN_HEADERS: Final = KnownHeaders()  # of this process: there is nothing in it that a verdict depends on


class SignatureEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What proves later who signed: keep it with the audit record (design 5). Its `__repr__` shows nothing of it."""

    signed_info: bytes
    """The canonical SignedInfo: the bytes under the signature, with the digests of the parts."""
    signature_algorithm: str
    signature_value: bytes
    certificate_der: bytes
    timestamp: bytes
    """The canonical Timestamp."""

    def __repr__(self) -> str:
        return "<SignatureEvidence>"


class VerifiedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose sender is known, and exactly the bytes they signed; of the tree it came in, nothing (SEC-39).

    Its `__repr__` shows its sender alone.
    """

    caller: CertifiedCaller
    canonical_body: bytes
    """The soapenv:Body as it was hashed: parse these bytes with `safe_xml.parse_canonical` and look at nothing else."""
    replay_key: bytes
    """SHA-256 of the certificate's fingerprint and the canonical SignedInfo (SEC-52)."""
    replay_until: datetime
    """Up to when the message could be accepted again, and so must be remembered (SEC-52)."""
    addressing: Addressing
    """WS-Addressing headers: not signed, mere claims; compare them with what is known, follow none (SEC-17)."""
    evidence: SignatureEvidence

    def __repr__(self) -> str:
        return f"<VerifiedMessage of {self.caller!r}>"


def verify(
    message: bytes, *, charset: str | None, policy: SecurityPolicy, trust: CertificateTrust, now: datetime
) -> VerifiedMessage:
    """The sender of a SOAP request and the Body they signed, by the RSZ X.509 profile (design 1.1, 3.2).

    `charset` is that of the Content-Type, `now` our clock in aware UTC. Whether the message was seen before is for the
    caller of this function to ask a ReplayGuard, before anything is done. Raises MessageRejected and its kinds; all
    that concerns the signature is NotAuthenticated with a fixed word for the log.
    """
    return run(stations(message, charset=charset, policy=policy, trust=trust, now=now, known_headers=_KNOWN_HEADERS))


def stations(
    message: bytes,
    *,
    charset: str | None,
    policy: SecurityPolicy,
    trust: CertificateTrust,
    now: datetime,
    known_headers: KnownHeaders,
) -> Generator[tuple[Station, object], None, VerifiedMessage]:
    """What `verify` gives, station by station: each is named when it is passed, with what it found.

    What refuses is the station after the last that was named. For `explain`, which so has the verdicts of the very code
    that the service runs (SEC-88), by the grammar alone: of a header that is known its stations are not named.
    """
    text = safe_xml.decode(message, charset=charset, limits=policy.xml_limits)
    gated = yield from known_headers.stations(text, policy)
    caller = trust.check(gated.certificate_der, now)
    yield Station.CERTIFICATE, caller
    _check_value_type(gated, caller, policy)
    yield Station.KEY_REFERENCE, None
    _check_window(gated.created, gated.expires, policy, now)
    yield Station.WINDOW, None
    signed_info = gated.canonical_signed_info or _canonical(gated.signed_info, gated.signed_info_prefixes)
    _check_signature(gated, caller, signed_info)
    yield Station.SIGNATURE_VALUE, signed_info
    token = _digested(gated.token)
    yield Station.TOKEN_DIGEST, token
    timestamp = _digested(gated.timestamp)
    yield Station.TIMESTAMP_DIGEST, timestamp
    body = _digested(gated.body)
    yield Station.BODY_DIGEST, body
    known_headers.remember(text, gated, policy)
    return VerifiedMessage(
        caller=caller,
        canonical_body=body,
        replay_key=hashlib.sha256(bytes.fromhex(caller.certificate_fingerprint) + signed_info).digest(),
        replay_until=gated.expires + timedelta(seconds=policy.skew_seconds),
        addressing=gated.addressing,
        evidence=SignatureEvidence(
            signed_info=signed_info,
            signature_algorithm=gated.signature_algorithm,
            signature_value=gated.signature_value,
            certificate_der=gated.certificate_der,
            timestamp=timestamp,
        ),
    )


def _check_value_type(gated: GatedMessage, caller: CertifiedCaller, policy: SecurityPolicy) -> None:
    """Refuses a reference to the token that does not say of which kind it is, but for callers known for it (SEC-36)."""
    if not gated.has_value_type and caller.application_urn not in policy.applications_without_value_type:
        raise NotAuthenticated("key-info-value-type")


def _check_window(created: datetime, expires: datetime, policy: SecurityPolicy, now: datetime) -> None:
    """Refuses a message that is too old, too early, expired, or made to live too long (SEC-51)."""
    lifetime, age = (expires - created).total_seconds(), (now - created).total_seconds()
    if lifetime <= 0:
        raise NotAuthenticated("timestamp-order")
    if lifetime > policy.lifetime_seconds_max:
        raise NotAuthenticated("timestamp-lifetime")
    if -age > policy.future_seconds_max:
        raise NotAuthenticated("timestamp-future")
    if (now - expires).total_seconds() >= policy.skew_seconds:
        raise NotAuthenticated("timestamp-expired")
    if age > policy.age_seconds_max + policy.skew_seconds:
        raise NotAuthenticated("timestamp-age")


def _check_signature(gated: GatedMessage, caller: CertifiedCaller, signed_info: bytes) -> None:
    """Refuses a SignatureValue that is not the caller's over the canonical SignedInfo (SEC-37)."""
    try:
        BY_URI[gated.signature_algorithm].verify(caller.public_key, gated.signature_value, signed_info)
    except KeyNotTaken:
        raise NotAuthenticated("algorithm-key") from None
    except InvalidSignature:
        raise NotAuthenticated("signature-value") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NotAuthenticated("signature-failure") from None


def _digested(part: Reference) -> bytes:
    """The canonical form of a signed part, when its digest is the one that was signed (SEC-39: constant-time)."""
    data = part.canonical or _canonical(part.element, part.prefixes)
    if not hmac.compare_digest(hashlib.sha256(data).digest(), part.digest):
        raise NotAuthenticated("signature-digest")
    return data


def _canonical(element: _Element, prefixes: tuple[str, ...]) -> bytes:
    try:
        return canonical(element, prefixes)
    except CanonicalizationError:
        raise NotAuthenticated("canonicalization") from None  # SEC-38
