"""The manifest of a batch's file, signed: who sends it, exactly which file, and since when that is said.

It is a message like those online: the manifest in the Body; token, timestamp and Body under one signature. So it is
made and judged by the very code of `security`, with its grammar and its trust, and whoever can sign a message can sign
a file (docs/decisions/0033-batch-files.md). Only its time is another: a file may be days on its way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cbss_inscription import names, safe_xml
from cbss_inscription.contract.batch import Manifest, read_manifest, write_manifest
from cbss_inscription.contract.schema import batch_schema
from cbss_inscription.domain.errors import NotAuthenticated
from cbss_inscription.domain.exchange import Caller
from cbss_inscription.envelope.soap11 import envelope_of, read_payload
from cbss_inscription.security import gate
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.sign import Signer, sign
from cbss_inscription.security.stations import run
from cbss_inscription.security.trust import CertificateTrust, CertifiedCaller
from cbss_inscription.security.verify import VerifiedMessage, verify

MANIFEST_BYTES_MAX: Final = 65_536
"""A signed manifest: a certificate, a signature and a few numbers."""
AGE_MAX: Final = timedelta(days=7)
"""From the signing of a manifest to its arrival, by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedManifest:
    """A manifest whose signer is known."""

    manifest: Manifest
    caller: Caller
    signed_at: datetime
    replay_key: bytes = field(repr=False)
    """See `VerifiedMessage.replay_key`."""
    replay_until: datetime


def sign_manifest(manifest: Manifest, *, signer: Signer, now: datetime) -> bytes:
    """The signed manifest, a SOAP message. Raises `SchemaViolation` when the contract has no place for what it says."""
    element = write_manifest(manifest)
    batch_schema().validate(element, names.BATCH_FILE_MANIFEST)
    return sign(envelope_of(element), signer=signer, now=now)


def verify_manifest(
    data: bytes, *, policy: SecurityPolicy, trust: CertificateTrust, now: datetime, age_max: timedelta = AGE_MAX
) -> SignedManifest:
    """The manifest that an application signed at most so long ago, its certificate being good now.

    Whether the file is another one than the signer meant shows its digest, and whether it came before its sequence
    number: that a manifest is seen twice is no attack. Raises `MessageRejected` and its kinds, as `verify`.
    """
    gated = run(gate.stations(safe_xml.parse(data, charset=None, limits=policy.xml_limits), policy))
    verified = verify(data, charset=None, policy=policy, trust=_TrustAt(trust, now), now=gated.created)
    if gated.created - now > timedelta(seconds=policy.future_seconds_max):
        raise NotAuthenticated("timestamp-future")
    if now - gated.created > age_max:
        raise NotAuthenticated("timestamp-age")
    return _read(verified, signed_at=gated.created)


def verify_fresh_manifest(
    data: bytes, *, policy: SecurityPolicy, trust: CertificateTrust, now: datetime
) -> SignedManifest:
    """The manifest that an application signed just now, by the time rules of messages online.

    Its `replay_key` is still to be shown to a `ReplayGuard`. Raises `MessageRejected` and its kinds.
    """
    return _read(verify(data, charset=None, policy=policy, trust=trust, now=now), signed_at=now)


class _TrustAt:
    """Judges certificates by our clock, not by the time at which a message says that it was signed."""

    def __init__(self, trust: CertificateTrust, now: datetime) -> None:
        self._trust = trust
        self._now = now

    def check(self, certificate_der: bytes, now: datetime) -> CertifiedCaller:
        """See `CertificateTrust.check`."""
        del now
        return self._trust.check(certificate_der, self._now)


def _read(verified: VerifiedMessage, *, signed_at: datetime) -> SignedManifest:
    element = read_payload(verified.canonical_body).element
    batch_schema().validate(element, names.BATCH_FILE_MANIFEST)
    certified = verified.caller
    return SignedManifest(
        manifest=read_manifest(element),
        caller=Caller(
            application_urn=certified.application_urn,
            cbe_number=certified.cbe_number,
            environment=certified.environment,
            certificate_fingerprint=certified.certificate_fingerprint,
        ),
        signed_at=signed_at,
        replay_key=verified.replay_key,
        replay_until=verified.replay_until,
    )
