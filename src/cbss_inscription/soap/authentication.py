"""Who sent a message: by its token, by the TLS connection it came on, by both, or by the network it came from.

A door has one of these ways, chosen in the settings (contract.md section 1, docs/decisions/0029). Each gives the same:
a caller, and the canonical bytes of the Body, so that no station behind knows which it was. What refuses is SOA-01001
for everybody alike, with a word for the log (SEC-62).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

from cbss_inscription.domain.errors import NotAuthenticated
from cbss_inscription.domain.exchange import Caller, KnownBy
from cbss_inscription.security.client_certificate import read_client_certificate
from cbss_inscription.security.gate import Addressing
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.trust import CertificateTrust, CertifiedCaller
from cbss_inscription.security.unsigned import read_unsigned
from cbss_inscription.security.verify import verify
from cbss_inscription.soap.message import RawMessage

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a message is remembered by, so that it counts once (SEC-52)."""

    key: bytes = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """A message whose sender is known, and the one part of it that is looked at from here on."""

    caller: Caller
    canonical_body: bytes = field(repr=False)
    addressing: Addressing
    replay: Replay | None = None
    """None where nobody but the caller could send the message again: TLS lets nobody repeat what it carried."""


class Authenticator(Protocol):
    """One of the ways in which a door knows who calls."""

    def authenticate(self, message: RawMessage, *, now: datetime) -> Authenticated:
        """Who sent the message. Raises MessageRejected and its kinds; what concerns the sender is NotAuthenticated."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ByToken:
    """By the X.509 token in the message and what it signed (RSZ's profile); where it came from does not count."""

    policy: SecurityPolicy
    trust: CertificateTrust

    def authenticate(self, message: RawMessage, *, now: datetime) -> Authenticated:
        """See `Authenticator.authenticate`."""
        verified = verify(message.body, charset=message.charset, policy=self.policy, trust=self.trust, now=now)
        return Authenticated(
            caller=caller_of(verified.caller),
            canonical_body=verified.canonical_body,
            addressing=verified.addressing,
            replay=Replay(key=verified.replay_key, until=verified.replay_until),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ByClientCertificate:
    """By the client certificate of the TLS connection, judged by the same rules as a token's; nothing is signed."""

    policy: SecurityPolicy
    trust: CertificateTrust

    def authenticate(self, message: RawMessage, *, now: datetime) -> Authenticated:
        """See `Authenticator.authenticate`. Of a sender who is nobody, the message is not even parsed."""
        certified = _certified(message, self.policy, self.trust, now)
        unsigned = read_unsigned(message.body, charset=message.charset, policy=self.policy)
        return Authenticated(
            caller=caller_of(certified, KnownBy.CLIENT_CERTIFICATE),
            canonical_body=unsigned.canonical_body,
            addressing=unsigned.addressing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ByTokenAndClientCertificate:
    """By both, which must name one application of one organisation (SEC-03); the token is what is recorded.

    The certificates may differ: an application renews one before the other.
    """

    policy: SecurityPolicy
    trust: CertificateTrust

    def authenticate(self, message: RawMessage, *, now: datetime) -> Authenticated:
        """See `Authenticator.authenticate`."""
        certified = _certified(message, self.policy, self.trust, now)
        signed = ByToken(policy=self.policy, trust=self.trust).authenticate(message, now=now)
        of_connection = caller_of(certified, KnownBy.TOKEN_AND_CLIENT_CERTIFICATE)
        caller = replace(signed.caller, known_by=KnownBy.TOKEN_AND_CLIENT_CERTIFICATE)
        if replace(of_connection, certificate_fingerprint=caller.certificate_fingerprint) != caller:
            raise NotAuthenticated("client-certificate-other")
        return replace(signed, caller=caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallersNetwork:
    """A network from which one application calls, and nobody else can."""

    name: str
    addresses: tuple[IpNetwork, ...]
    application_urn: str
    cbe_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByNetwork:
    """By TLS and the network that the connection comes from; nothing is signed, and no certificate is shown."""

    policy: SecurityPolicy
    environment: str
    networks: Sequence[CallersNetwork]

    def authenticate(self, message: RawMessage, *, now: datetime) -> Authenticated:
        """See `Authenticator.authenticate`. Of a sender who is nobody, the message is not even parsed."""
        del now
        network = self._network_of(message.sender.address)
        unsigned = read_unsigned(message.body, charset=message.charset, policy=self.policy)
        return Authenticated(
            caller=Caller(
                application_urn=network.application_urn,
                cbe_number=network.cbe_number,
                environment=self.environment,
                certificate_fingerprint=None,
                known_by=KnownBy.NETWORK,
                network=network.name,
            ),
            canonical_body=unsigned.canonical_body,
            addressing=unsigned.addressing,
        )

    def _network_of(self, text: str | None) -> CallersNetwork:
        if text is None:
            raise NotAuthenticated("network-missing")
        try:
            address = _plain(ip_address(text))
        except ValueError:
            raise NotAuthenticated("network-malformed") from None
        for network in self.networks:
            if any(address in addresses for addresses in network.addresses):
                return network
        raise NotAuthenticated("network-unknown")


def _plain(address: IpAddress) -> IpAddress:
    """The address of IPv4 that a listener for both families writes as one of IPv6."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _certified(message: RawMessage, policy: SecurityPolicy, trust: CertificateTrust, now: datetime) -> CertifiedCaller:
    text = message.sender.client_certificate
    return trust.check(read_client_certificate(text, chars_max=policy.token_size_chars_max), now)


def caller_of(certified: CertifiedCaller, known_by: KnownBy = KnownBy.TOKEN) -> Caller:
    """The caller that a certificate names, as the rest of the program knows callers."""
    return Caller(
        application_urn=certified.application_urn,
        cbe_number=certified.cbe_number,
        environment=certified.environment,
        certificate_fingerprint=certified.certificate_fingerprint,
        known_by=known_by,
    )
