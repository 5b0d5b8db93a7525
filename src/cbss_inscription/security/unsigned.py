"""A request that bears no signature, because who sends it is known by its connection (SEC-03).

It keeps to every limit and to the same grammar of envelopes as a signed one, and what is handed on is the canonical
Body as well: nothing behind this knows the tree that the message came in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cbss_inscription import safe_xml
from cbss_inscription.domain.errors import NotAuthenticated
from cbss_inscription.security import gate
from cbss_inscription.security.c14n import CanonicalizationError, canonical
from cbss_inscription.security.gate import Addressing
from cbss_inscription.security.policy import SecurityPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedMessage:
    """A request of the right shape; who sent it is not in it."""

    canonical_body: bytes = field(repr=False)
    """The soapenv:Body by exclusive C14N: parse these bytes with `safe_xml.parse_canonical` and nothing else."""
    addressing: Addressing


def read_unsigned(message: bytes, *, charset: str | None, policy: SecurityPolicy) -> UnsignedMessage:
    """The Body of a SOAP request without a Security header for us. Raises MessageRejected and its kinds.

    A Security header is refused: whoever sends one believes that it is looked at, and would be told nothing else by a
    service that let it pass.
    """
    root = safe_xml.parse(message, charset=charset, limits=policy.xml_limits)
    body, addressing = gate.read_unsigned(root, policy)
    try:
        return UnsignedMessage(canonical_body=canonical(body), addressing=addressing)
    except CanonicalizationError:
        raise NotAuthenticated("canonicalization") from None  # SEC-38
