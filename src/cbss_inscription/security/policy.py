"""What the message security accepts: limits, time windows and algorithms, as one value handed to the verifier."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from cbss_inscription import names
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.security.algorithms import BY_URI
from cbss_inscription.xml_limits import XmlLimits

CLOCK_SKEW_SECONDS_MAX: Final = 60
"""The longest grace for clocks that differ; RSZ's five minutes mean something only while it is short."""
LIFETIME_SECONDS_MAX: Final = 300
"""RSZ's five minutes: no setting lets a message live longer, or arrive older [A]."""
HEADER_BLOCKS_MOST: Final = 256
"""More than any stack sends, few enough to be read."""
TOKEN_CHARS_LEAST: Final = 4_096
"""A certificate of RSA 4096 with its extensions, in base64."""
TOKEN_CHARS_MOST: Final = 65_536
"""Four times the design's limit; a certificate is read before anybody is known."""
PREFIX_LIST_TOKENS_MOST: Final = 64
"""Canonicalisation costs prefixes times elements: a hundred and more are an attack (design A13)."""


class MessageLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits and windows of a signed message that a settings file may move, each within its range."""

    header_blocks_max: Annotated[int, msgspec.Meta(ge=1, le=HEADER_BLOCKS_MOST)] = 32
    """Blocks in the SOAP Header, whoever they are for; reading each one's name costs the length of its namespace."""
    token_size_chars_max: Annotated[int, msgspec.Meta(ge=TOKEN_CHARS_LEAST, le=TOKEN_CHARS_MOST)] = 16_384
    """The certificate in base64, in characters (SEC-30)."""
    prefix_list_tokens_max: Annotated[int, msgspec.Meta(ge=0, le=PREFIX_LIST_TOKENS_MOST)] = 32
    """Prefixes in one InclusiveNamespaces PrefixList; 5 000 of them cost 10 s of canonicalisation (SEC-26)."""
    lifetime_seconds_max: Annotated[int, msgspec.Meta(ge=1, le=LIFETIME_SECONDS_MAX)] = LIFETIME_SECONDS_MAX
    """From Created to Expires; RSZ: five minutes (SEC-51)."""
    age_seconds_max: Annotated[int, msgspec.Meta(ge=1, le=LIFETIME_SECONDS_MAX)] = LIFETIME_SECONDS_MAX
    """From Created to our clock, skew apart (SEC-51)."""
    future_seconds_max: Annotated[int, msgspec.Meta(ge=0, le=CLOCK_SKEW_SECONDS_MAX)] = 60
    """How far Created may lie ahead of our clock (SEC-51)."""
    skew_seconds: Annotated[int, msgspec.Meta(ge=0, le=CLOCK_SKEW_SECONDS_MAX)] = 0
    """Grace after Expires and after the greatest age, for a sender's clock that is late (SEC-51)."""


class SecurityPolicy(MessageLimits, frozen=True, kw_only=True):
    """The rules a signed message must keep, by default the RSZ profile; UsageError when loosened too far."""

    xml_limits: XmlLimits = XmlLimits()
    """Size and shape of the message (SEC-21..25)."""
    signature_algorithms: frozenset[str] = frozenset({names.RSA_SHA256})
    """Accepted SignatureMethod URIs: RSZ prescribes rsa-sha256; others of `algorithms` may be added (SEC-33)."""
    applications_without_value_type: frozenset[str] = frozenset()
    """The URNs of applications whose direct reference may lack ValueType #X509v3 (BSP R5218, SEC-36)."""

    def __post_init__(self) -> None:
        if not self.signature_algorithms or not self.signature_algorithms <= BY_URI.keys():
            raise UsageError(f"The signature algorithms must be some of {', '.join(BY_URI.values())}.")
        check_ranges(self, MessageLimits)


def fields_of(value: msgspec.Struct, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """What the value has of the fields that `kind`, a kind that it is made of, declares."""
    return {name: getattr(value, name) for name in kind.__struct_fields__}


def check_ranges(value: msgspec.Struct, kind: type[msgspec.Struct]) -> None:
    """Returns when each of the fields that `kind` has lies in its range, whoever made the value. Raises UsageError."""
    try:
        msgspec.convert(fields_of(value, kind), kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"A limit of the message security is out of its range: {error}") from None
