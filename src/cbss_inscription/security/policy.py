"""What the message security accepts: limits, time windows and algorithms, as one value handed to the verifier."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives import hashes

from cbss_inscription import names
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.safe_xml import XmlLimits

SIGNATURE_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    names.RSA_SHA256: hashes.SHA256(),
    names.RSA_SHA384: hashes.SHA384(),
    names.RSA_SHA512: hashes.SHA512(),
}
"""Every signature algorithm a policy may allow, RSA with PKCS #1 v1.5 padding; SHA-1, HMAC and DSA have no place."""

CLOCK_SKEW_SECONDS_MAX: Final = 60
LIFETIME_SECONDS_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityPolicy:
    """The rules a signed message must keep, by default the RSZ profile; UsageError when loosened too far."""

    xml_limits: XmlLimits = field(default_factory=XmlLimits)
    """Size and shape of the message (SEC-21..25)."""
    header_blocks_max: int = 32
    """Blocks in the SOAP Header, whoever they are for; reading each one's name costs the length of its namespace."""
    signature_algorithms: frozenset[str] = frozenset({names.RSA_SHA256})
    """Accepted SignatureMethod URIs: RSZ prescribes rsa-sha256; rsa-sha384 and rsa-sha512 may be added (SEC-33)."""
    token_size_chars_max: int = 16_384
    """The certificate in base64, in characters (SEC-30)."""
    prefix_list_tokens_max: int = 32
    """Prefixes in one InclusiveNamespaces PrefixList; 5 000 of them cost 10 s of canonicalisation (SEC-26)."""
    lifetime_seconds_max: int = LIFETIME_SECONDS_MAX
    """From Created to Expires; RSZ: five minutes (SEC-51)."""
    age_seconds_max: int = 300
    """From Created to our clock, skew apart (SEC-51)."""
    future_seconds_max: int = 60
    """How far Created may lie ahead of our clock (SEC-51)."""
    skew_seconds: int = 0
    """Grace after Expires and after the greatest age, for a sender's clock that is late; at most 60 (SEC-51)."""
    token_reference_value_type_required: bool = True
    """Whether the direct reference must carry ValueType #X509v3 (BSP R5218, SEC-36)."""

    def __post_init__(self) -> None:
        unknown = self.signature_algorithms - SIGNATURE_HASHES.keys()
        if unknown or not self.signature_algorithms:
            raise UsageError("The signature algorithms must be some of rsa-sha256, rsa-sha384 and rsa-sha512.")
        if not 0 <= self.skew_seconds <= CLOCK_SKEW_SECONDS_MAX:
            raise UsageError("The clock skew must lie between 0 and 60 seconds.")
        if not 0 < self.lifetime_seconds_max <= LIFETIME_SECONDS_MAX:
            raise UsageError("The longest lifetime of a message must lie between 1 and 300 seconds.")
        if not 0 < self.age_seconds_max <= LIFETIME_SECONDS_MAX:
            raise UsageError("The greatest age of a message must lie between 1 and 300 seconds.")
        if not 0 <= self.future_seconds_max <= CLOCK_SKEW_SECONDS_MAX:
            raise UsageError("The tolerance for messages from the future must lie between 0 and 60 seconds.")
