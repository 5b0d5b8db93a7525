"""Time stamps (RFC 3161) on the seals of the audit journal: what is asked of an authority, and what is believed of it.

The library asks and verifies; here it is said by whom, for what, and which of its errors count as "not believed".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from cbss_inscription.domain.errors import UsageError


class TokenRefused(Exception):
    """A token that says nothing about the statement; `reason` is one word or two."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def request_for(statement: str) -> TimeStampRequest:
    """The request for a time stamp over SHA-256 of a statement, with a nonce and the wish for the certificate."""
    return TimestampRequestBuilder().data(statement.encode("utf-8")).hash_algorithm(HashAlgorithm.SHA256).build()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampTrust:
    """Whose time stamps are believed: authorities below these roots, for the policy when one is named."""

    roots: Sequence[x509.Certificate]
    intermediates: Sequence[x509.Certificate] = ()
    policy: x509.ObjectIdentifier | None = None

    @classmethod
    def of_pem(cls, pem: bytes, *, policy: str | None = None, origin: str) -> TimestampTrust:
        """The trust in a file of certificates: self-issued ones are roots. Raises `UsageError`, naming `origin`."""
        try:
            certificates = x509.load_pem_x509_certificates(pem)
        except ValueError:
            raise UsageError(f"{origin}: no certificates in PEM") from None
        roots = [one for one in certificates if one.issuer == one.subject]
        if not roots:
            raise UsageError(f"{origin}: none of the certificates is a root")
        try:
            identifier = None if policy is None else x509.ObjectIdentifier(policy)
        except ValueError:
            raise UsageError(f"the policy {policy!r} is no object identifier") from None
        return cls(
            roots=roots,
            intermediates=[one for one in certificates if one.issuer != one.subject],
            policy=identifier,
        )

    def check(self, response_der: bytes, statement: str, *, request: TimeStampRequest | None = None) -> datetime:
        """The time at which the statement was there, says an authority of ours. Raises `TokenRefused`.

        Certificates are judged as of that time: a token is good for as long as its algorithms are, and outlives its
        authority. With `request`, the token must be the answer to it.
        """
        response = _decoded(response_der)
        builder = VerifierBuilder(
            policy_id=self.policy,
            roots=list(self.roots),
            intermediates=list(self.intermediates),
            nonce=None if request is None else request.nonce,
        )
        try:
            builder.build().verify(response, hashlib.sha256(statement.encode("utf-8")).digest())
            return response.tst_info.gen_time.astimezone(UTC)
        except VerificationError as error:
            raise TokenRefused(_REASONS.get(str(error), "signature or certificate")) from None
        except ValueError:
            raise TokenRefused("unreadable") from None


_REASONS = {
    "Nonce mismatch": "nonce",
    "Policy ID mismatch": "policy",
    "Mismatch between messages": "of another statement",
    "PKIStatus is not GRANTED": "not granted",
}


def _decoded(response_der: bytes) -> TimeStampResponse:
    try:
        return decode_timestamp_response(response_der)
    except ValueError:
        raise TokenRefused("unreadable") from None
