"""How the callers of a service are known, as its settings say it, and what each of its listeners believes for that."""

from __future__ import annotations

from ipaddress import ip_network

from cbss_inscription.app.addresses import Listener
from cbss_inscription.app.settings import Settings
from cbss_inscription.domain.exchange import KnownBy
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.trust import CertificateTrust
from cbss_inscription.soap.authentication import (
    Authenticator,
    ByClientCertificate,
    ByNetwork,
    ByToken,
    ByTokenAndClientCertificate,
    CallersNetwork,
)
from cbss_inscription.soap.http import BelievedOfSender


def authenticator_of(settings: Settings, *, policy: SecurityPolicy, trust: CertificateTrust) -> Authenticator:
    """The way that the settings choose."""
    match settings.authentication.way:
        case KnownBy.TOKEN:
            return ByToken(policy=policy, trust=trust)
        case KnownBy.CLIENT_CERTIFICATE:
            return ByClientCertificate(policy=policy, trust=trust)
        case KnownBy.TOKEN_AND_CLIENT_CERTIFICATE:
            return ByTokenAndClientCertificate(policy=policy, trust=trust)
        case KnownBy.NETWORK:
            networks = tuple(
                CallersNetwork(
                    name=one.name,
                    addresses=tuple(map(ip_network, one.addresses)),
                    application_urn=one.application_urn,
                    cbe_number=one.cbe_number,
                )
                for one in settings.authentication.networks
            )
            return ByNetwork(policy=policy, environment=settings.environment, networks=networks)


def believed_of(settings: Settings, listener: Listener) -> BelievedOfSender:
    """What the listener believes of a sender: headers on the plain one alone, where a terminator stands in front.

    Who connects to the TLS listener is at the other end of the connection; whoever connects to the plain one is on this
    machine, and so tells nothing by its address (SEC-02).
    """
    said = settings.authentication
    match listener:
        case Listener.PLAIN:
            certificate, address = said.certificate_header, said.address_header
            return BelievedOfSender(
                certificate_header=None if certificate is None else certificate.lower(),
                address_header=None if address is None else address.lower(),
            )
        case Listener.TLS:
            return BelievedOfSender(peer_address=said.way is KnownBy.NETWORK)
        case Listener.OPERATIONS | Listener.REST:  # a batch's sender is who signed its manifest
            return BelievedOfSender()
