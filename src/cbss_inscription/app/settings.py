"""The settings of a service: one TOML file, checked; the only reader of files and environment for the servers.

Paths in the file are relative to it. An unknown key is an error that names it. The environment may say a setting
instead of the file: `CBSS_INSCRIPTION__TLS__PORT` is `tls.port`. Private keys are named by path; a password of the
database belongs into libpq's own password file, not into the connection string, and never into the environment.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Network, ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
import psycopg
from cryptography.x509 import ObjectIdentifier
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cbss_inscription.app.setting_tables import (
    OVERRIDE_PREFIX,
    mistakes_in,
    override,
    places_in,
    settings_in,
    written,
)
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.client.asker import ATTEMPTS, CALLS_AT_ONCE_MAX
from cbss_inscription.client.asker import TIMEOUT_SECONDS as UPSTREAM_TIMEOUT_SECONDS
from cbss_inscription.client.breaker import FAILURES_TO_OPEN, OPEN_SECONDS, PROBES
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.batch import CHUNK_LINES
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.exchange import KnownBy
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.disclosure import NotDisclosed
from cbss_inscription.registers.national_register import ATTEMPTS as NATIONAL_REGISTER_ATTEMPTS
from cbss_inscription.registers.national_register import CACHE_PERSONS_MAX, CACHE_SECONDS, TIMEOUT_SECONDS
from cbss_inscription.sandbox.faults import FaultRule, check_rules
from cbss_inscription.security.algorithms import SignatureAlgorithm
from cbss_inscription.security.policy import MessageLimits
from cbss_inscription.security.trust import (
    APPLICATION_URN,
    GOVERNMENT_UNIT,
    CertificateLimits,
    CertificateRules,
    is_cbe_number,
)
from cbss_inscription.soap.http import HttpLimits
from cbss_inscription.soap.message import ANSWER_SECONDS_MAX
from cbss_inscription.storage.database import CONNECTIONS_MAX, UNREADABLE
from cbss_inscription.xml_limits import XmlShape

SETTINGS_VARIABLE: Final = "CBSS_INSCRIPTION_SETTINGS"
"""The environment variable by which a worker process learns its settings file."""

METRICS_VARIABLE: Final = "CBSS_INSCRIPTION_METRICS"
"""The environment variable by which the processes of a service learn where they count; without it, nowhere."""
_VARIABLES_OF_OURS: Final = frozenset({SETTINGS_VARIABLE, METRICS_VARIABLE, "CBSS_INSCRIPTION_PROFILE"})
"""Those that say no setting; the last is the command line's, for callers."""
_LIKE_OURS: Final = "CBSS_INSCRIPTION_"
_PASSWORD_VARIABLE: Final = "PGPASSWORD"  # noqa: S105  # a name, of libpq's
PASSWORDS: Final = ("password", "sslpassword")
"""What of a connection string is secret: of the account, and of its key file."""
_ACCOUNT: Final = re.compile(r"(?<=://)(?:[^/?#\s\"\\]|\\.)+@")
"""The account before the host of a URL, as TOML writes it: a name, and perhaps its password."""

LOOPBACK: Final = "127.0.0.1"
"""Where a listener without TLS may be reached, and nowhere else (SEC-02)."""

NETWORKS_MAX: Final = 256
"""Networks that stand for a caller each [D]."""
NETWORK_ADDRESSES_MAX: Final = 16
"""Ranges of addresses of one such network [D]."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
HeaderName = Annotated[str, msgspec.Meta(pattern=r"\A[Xx]-[A-Za-z0-9-]{1,62}\Z|\A[Cc]lient-[Cc]ert\Z")]
"""A header that is nothing else's: `X-…`, or that of RFC 9440."""
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]

TICKETS_KEPT_HOURS: Final = 72
"""Longer than a weekend: what failed on Friday evening may be sent again on Monday [D]."""
TICKETS_KEPT_HOURS_MAX: Final = 24 * 366
"""A year; beyond that an answer is for the history to give [D]."""
CACHE_SECONDS_MAX: Final = 300
"""How long the most patient operator may let the National Register's files be used again [D]."""

RELOAD_SECONDS: Final = 3.0
"""How often a worker looks whether authorities, revocation lists or access rules changed (SEC-48, SEC-57) [D]."""
RELOAD_SECONDS_MIN: Final = 0.1
"""The shortest such time."""
RELOAD_SECONDS_MAX: Final = 60.0
"""The longest: a certificate that was revoked must be refused within five minutes (SEC-46)."""
REVOCATION_GRACE_SECONDS: Final = 3_600
"""How long after its nextUpdate a revocation list still counts: a late download stops nobody (SEC-44) [D]."""
REVOCATION_GRACE_SECONDS_MAX: Final = 7 * 86_400
"""A week: the longest such time."""
FETCH_SECONDS: Final = 3_600.0
"""How often a revocation list is fetched from its URL [D]."""
FETCH_SECONDS_MIN: Final = 10.0
"""The shortest such time."""

SEAL_SECONDS: Final = 60.0
"""How often what was chained is sealed (SEC-72) [D]."""
SEAL_SECONDS_MIN: Final = 0.5
"""The shortest such time."""
ALARM_AFTER_SECONDS: Final = 600.0
"""After how long without a seal the log says so (SEC-73) [D]."""
ONLINE_MONTHS: Final = 6
"""Whole months before the current one that stay in the database (SEC-75)."""
ONLINE_MONTHS_MAX: Final = 120
"""Ten years: the most that records are kept."""
STOP_AFTER_SECONDS: Final = 14_400.0
"""After how long without a seal calls are refused (SEC-73): four hours, as in X-Road."""


DRAIN_SECONDS: Final = 10.0
"""Twice the five seconds in which whatever spreads the load usually asks [D]."""
DRAIN_SECONDS_MAX: Final = 300.0
"""Longer than any of them takes to notice [D]."""
BATCH_SHARE: Final = 0.25
"""Which part of the time a batch worker works while online calls are answered [D]."""
BATCH_SHARE_MIN: Final = 0.01
"""The smallest such part."""
BATCHES_KEPT_DAYS: Final = 30
"""How long lines and answers of a finished batch are kept [D]."""
BATCHES_KEPT_DAYS_MAX: Final = 366
"""The longest such time; beyond it journal and history answer [D]."""
CHUNK_LINES_MAX: Final = 10_000
"""Lines of the largest chunk: two locks for each, and none of its persons can be changed online meanwhile."""
MANIFEST_DAYS_MAX: Final = 7
"""From the signing of a batch's manifest to its arrival in the folder [D]."""
MANIFEST_DAYS_MOST: Final = 31
"""The longest such time."""
FILES_AT_ONCE: Final = 4
"""Files of as many senders that a process takes in side by side, and files of answers that it writes so [D]."""
FILES_AT_ONCE_MOST: Final = 32
"""Each is a thread, a connection, and a block of lines in memory: some 40 MiB."""

ANSWER_SECONDS_MOST: Final = 60
"""Longer than any caller of a synchronous service waits [D]."""


class Service(StrEnum):
    """Which service the settings are for."""

    FACADE = "facade"
    REPERTORY = "repertory"
    """The InscriptionService that façades stand in front of."""
    NATIONAL_REGISTER = "national-register"

    @property
    def door(self) -> Door:
        """The door that the service always has."""
        return _DOORS[self]


_DOORS: Final = {
    Service.FACADE: Door.FACADE,
    Service.REPERTORY: Door.KSZ,
    Service.NATIONAL_REGISTER: Door.PERSON,
}


class TlsListener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the service is reached: TLS 1.2 or later, always (SEC-01)."""

    address: str = LOOPBACK
    port: Port = 8443
    certificate: str
    private_key: str
    workers: Positive = 1


class PlainListener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second listener without TLS, on loopback only: for measurements, or behind a TLS terminator (SEC-02)."""

    port: Port
    workers: Positive = 1


class OperationsListener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the state of the service is asked, without TLS and without a caller's name (SEC-80). Raises ValueError."""

    address: str = LOOPBACK
    port: Port
    reachable_from_elsewhere: bool = False
    """Said on purpose for any other address than loopback: whoever reaches it may ask."""
    drain_seconds: Annotated[float, msgspec.Meta(ge=0, le=DRAIN_SECONDS_MAX)] = DRAIN_SECONDS
    """How long a service that is to stop still accepts messages while it says here that it is not ready."""

    def __post_init__(self) -> None:
        if not ip_address(self.address).is_loopback and not self.reachable_from_elsewhere:
            raise ValueError("an address that is not loopback needs reachable_from_elsewhere = true")


class RestListener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where batches are uploaded: TLS with the certificate of [tls], on a port of its own (decision 0033)."""

    address: str = LOOPBACK
    port: Port
    workers: Positive = 1


class RevocationSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an authority publishes its revocation list, and the file that it is kept in. Raises ValueError."""

    url: str
    """http or https: the list is signed, and its signature is checked before it is used."""
    file: str
    """Replaced, whole, by the process that starts the workers; read by them like any of `revocation_lists`."""
    ca: str | None = None
    """The CA bundle for https; absent, that of the operating system."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise ValueError("the url begins with https:// or http://")


class Trust(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose application certificates are believed (SEC-42): the authorities of this environment and no others."""

    application_authorities: str
    revocation_lists: tuple[str, ...] = ()
    """Files of CRLs: one in DER, or any number in PEM; of every authority (SEC-44)."""
    revocation_sources: tuple[RevocationSource, ...] = ()
    """CRLs that are fetched, in the background, into files."""
    revocation_required: bool = True
    """Whether a certificate without a fresh word about its revocation is refused (SEC-44)."""
    revocation_grace_seconds: Annotated[int, msgspec.Meta(ge=0, le=REVOCATION_GRACE_SECONDS_MAX)] = (
        REVOCATION_GRACE_SECONDS
    )
    """See `REVOCATION_GRACE_SECONDS`."""
    fetch_seconds: Annotated[float, msgspec.Meta(ge=FETCH_SECONDS_MIN)] = FETCH_SECONDS
    """See `FETCH_SECONDS`."""

    @property
    def list_files(self) -> tuple[str, ...]:
        """Every file of revocation lists, fetched ones included."""
        return (*self.revocation_lists, *(source.file for source in self.revocation_sources))


class Timestamping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The authority whose time stamps the journal's seals bear (SEC-72). Raises ValueError."""

    url: str
    """http or https: what comes back is signed, and its signature is checked before it is kept."""
    ca: str
    """The root, and intermediates if tokens lack them, of the authority's certificate, in PEM."""
    policy: str | None = None
    """The policy that a token must have been given under, as an object identifier."""
    tls_ca: str | None = None
    """The CA bundle for https; absent, that of the operating system."""
    proxy: str | None = None
    """The HTTP proxy on the way there; absent, none, whatever the environment says."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise ValueError("the url begins with https:// or http://")


class Archive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where months of the journal go that are not kept online (SEC-75)."""

    directory: str
    key: str
    """The file of the key that archive files are signed by; `audit make-archive-key` makes it."""
    online_months: Annotated[int, msgspec.Meta(ge=1, le=ONLINE_MONTHS_MAX)] = ONLINE_MONTHS
    """See `ONLINE_MONTHS`."""


class Audit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The audit journal, in the database of the service (rule 50). Raises ValueError."""

    keys: str
    """The file of keys by which numbers of persons are sealed and found (SEC-75); `audit make-keys` makes it."""
    evidence: frozenset[Operation] = frozenset()
    """The operations whose requests are kept whole, sealed, until somebody deletes them (SEC-76)."""
    archive: Archive | None = None
    """Absent, everything stays in the database."""
    timestamping: Timestamping | None = None
    """Absent, seals bear no time stamp, and prove nothing to those who do not trust the database."""
    seal_seconds: Annotated[float, msgspec.Meta(ge=SEAL_SECONDS_MIN)] = SEAL_SECONDS
    """See `SEAL_SECONDS`."""
    alarm_after_seconds: Seconds = ALARM_AFTER_SECONDS
    """See `ALARM_AFTER_SECONDS`."""
    stop_after_seconds: Seconds = STOP_AFTER_SECONDS
    """See `STOP_AFTER_SECONDS`."""

    def __post_init__(self) -> None:
        if not self.seal_seconds < self.alarm_after_seconds < self.stop_after_seconds:
            raise ValueError("seal_seconds, alarm_after_seconds and stop_after_seconds must rise in this order")


class Disclosure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What reports to persons are made with (rule 53). Raises ValueError for a key that is no organisation's."""

    organizations: dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=200)]] = {}
    """Names of organisations by key: a CBE number, or sector/institution as `17/1`."""
    not_disclosed: tuple[NotDisclosed, ...] = ()

    def __post_init__(self) -> None:
        for key in self.organizations:
            CustomerIdentification.of_key(key)


class Batch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How batches are worked on (docs/batch.md)."""

    workers: Annotated[int, msgspec.Meta(ge=0)] = 1
    """Processes that the façade starts for it; 0, when others do the work (`cbss-inscription batch work`)."""
    chunk_lines: Annotated[int, msgspec.Meta(ge=1, le=CHUNK_LINES_MAX)] = CHUNK_LINES
    """Lines that one transaction answers, about."""
    share: Annotated[float, msgspec.Meta(ge=BATCH_SHARE_MIN, le=1)] = BATCH_SHARE
    """See `BATCH_SHARE`; while nobody calls, it is all of the time."""
    kept_days: Annotated[int, msgspec.Meta(ge=1, le=BATCHES_KEPT_DAYS_MAX)] = BATCHES_KEPT_DAYS
    """See `BATCHES_KEPT_DAYS`."""
    directory: str | None = None
    """The folder with `in`, `work`, `out`, `refused`, `uploads`, on one disk; absent, no file comes in by one."""
    files_at_once: Annotated[int, msgspec.Meta(ge=1, le=FILES_AT_ONCE_MOST)] = FILES_AT_ONCE
    """See `FILES_AT_ONCE`, of each process that looks after the folder."""
    manifest_days_max: Annotated[int, msgspec.Meta(ge=1, le=MANIFEST_DAYS_MOST)] = MANIFEST_DAYS_MAX
    """See `MANIFEST_DAYS_MAX`."""
    limits: BatchLimits = BatchLimits()


class Limits(HttpLimits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of HTTP is taken, and how long a reply may take."""

    answer_seconds_max: Annotated[float, msgspec.Meta(gt=0, le=ANSWER_SECONDS_MOST)] = ANSWER_SECONDS_MAX
    """See `soap.message.ANSWER_SECONDS_MAX`."""


class Certificates(CertificateLimits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an application's certificate must look like, where RSZ leaves it open (SEC-43, SEC-46, SEC-47).

    Raises ValueError.
    """

    extended_key_usages: tuple[str, ...] = tuple(
        sorted(usage.dotted_string for usage in CertificateRules().extended_key_usages)
    )
    """Object identifiers in dotted form: a certificate that has an extended key usage must have one of these."""
    government_unit: Annotated[str, msgspec.Meta(max_length=64)] = GOVERNMENT_UNIT
    """The OU beside CBE number and environment; empty, any others may stand there."""

    def __post_init__(self) -> None:
        # By its name: in a class with slots made anew, `super()` would not find this one.
        CertificateLimits.__post_init__(self)
        for usage in self.extended_key_usages:
            try:
                ObjectIdentifier(usage)
            except ValueError:
                raise ValueError(f"{usage!r} is no object identifier in dotted form") from None


class Security(MessageLimits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the message security accepts; each limit within a range that no file leaves (docs/operations.md)."""

    signature_algorithms: Annotated[frozenset[SignatureAlgorithm], msgspec.Meta(min_length=1)] = frozenset(
        {SignatureAlgorithm.RSA_SHA256}
    )
    """SignatureMethods; one of an elliptic curve admits certificates with keys on that curve (SEC-33, SEC-43)."""
    applications_without_value_type: frozenset[str] = frozenset()
    """URNs of applications whose reference to the token may lack its ValueType (SEC-36)."""
    xml: XmlShape = XmlShape()
    certificates: Certificates = Certificates()


class CircuitBreaker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When another service is asked no more, and how it is tried again (`client.breaker`)."""

    failures: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = FAILURES_TO_OPEN
    """Calls that fail in a row, in one worker, until none is made any more."""
    open_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=300)] = OPEN_SECONDS
    """How long then none is made."""
    probes: Annotated[int, msgspec.Meta(ge=1, le=100)] = PROBES
    """Calls that must succeed after that, one at a time, until all are made again."""


class ClientTls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is shown to another service that wants to see who connects (mutual TLS)."""

    certificate: str
    """With its intermediates; it may be what messages are signed with, and another one."""
    private_key: str


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where another service is, as whom it is asked, and how patiently. Raises ValueError."""

    url: str
    """Its address, path included; TLS, always."""
    ca: str
    """The CA bundle that its server certificate is checked with, and no other (SEC-04)."""
    certificate: str | None = None
    """The certificate that our messages to it are signed with: our own, never a caller's (SEC-69)."""
    private_key: str | None = None
    signed: bool = True
    """False: it knows us by our connection alone, and our messages have no Security header."""
    tls: ClientTls | None = None
    """Absent, nothing is shown when a connection is made."""
    calls_at_once_max: Annotated[int, msgspec.Meta(ge=1, le=1_024)] = CALLS_AT_ONCE_MAX
    """Calls under way from one worker, and connections that they use."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()

    def __post_init__(self) -> None:
        if not self.url.startswith("https://"):
            raise ValueError("the url begins with https://")
        signing = (self.certificate, self.private_key)
        if self.signed and None in signing:
            raise ValueError("messages are signed with certificate and private_key, or signed = false says that not")
        if not self.signed and signing != (None, None):
            raise ValueError("with signed = false nothing is signed: certificate and private_key are of no use")

    @property
    def certificates(self) -> dict[str, str]:
        """The files of our certificates for it, by what they are for."""
        shown = None if self.tls is None else self.tls.certificate
        return {what: file for what, file in (("", self.certificate), ("-tls", shown)) if file is not None}

    @property
    def key_files(self) -> tuple[str, ...]:
        """The files of our keys for it."""
        shown = None if self.tls is None else self.tls.private_key
        return tuple(file for file in (self.private_key, shown) if file is not None)


class NationalRegister(Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the National Register is asked. Raises ValueError."""

    customer_identification: CustomerIdentification
    """The organisation that its permissions know us as."""
    legal_context: str
    """The legal context of our questions."""
    timeout_seconds: Seconds = TIMEOUT_SECONDS
    """How long it may take for an answer, further attempts included."""
    attempts: Annotated[int, msgspec.Meta(ge=1, le=5)] = NATIONAL_REGISTER_ATTEMPTS
    """How often a question is sent at the most."""
    cache_seconds: Annotated[float, msgspec.Meta(ge=0, le=CACHE_SECONDS_MAX)] = CACHE_SECONDS
    """How long a file of an active number may be used again; 0 = it is asked every time."""
    cache_persons_max: Positive = CACHE_PERSONS_MAX
    """Numbers whose files a worker keeps for that time."""

    def __post_init__(self) -> None:
        Asked.__post_init__(self)
        LegalContext(self.legal_context)


class DialectName(StrEnum):
    """In whose names and shapes an upstream is spoken to."""

    KSZ = "ksz"
    """Our reconstruction of InscriptionService [C]."""
    ADJUSTMENT = "adjustment"
    """One of our own making, as different as we could think of [D]: that another one has its place is shown by it."""


class Upstream(Asked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The InscriptionService that a façade stands in front of, and how it is asked. Raises ValueError."""

    dialect: DialectName = DialectName.KSZ
    """In whose names and shapes it is spoken to."""
    timeout_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=ANSWER_SECONDS_MOST)] = UPSTREAM_TIMEOUT_SECONDS
    """How long one message may take for its reply."""
    consult_attempts: Annotated[int, msgspec.Meta(ge=1, le=5)] = ATTEMPTS
    """How often a consultation is sent at the most. A declaration is sent once (SEC-70)."""

    @property
    def attempts(self) -> int:
        """How often a question is sent at the most."""
        return self.consult_attempts


class CallersNetwork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network from which one application calls, and nobody else can. Raises ValueError."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """What records and the log call it."""
    addresses: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=NETWORK_ADDRESSES_MAX)]
    """Networks in CIDR form; of one address, that address."""
    application_urn: str
    """The application that calls from there, as its certificate would name it."""
    cbe_number: str
    """Its organisation."""

    def __post_init__(self) -> None:
        for one in map(ip_network, self.addresses):
            if one.prefixlen == 0:
                raise ValueError(f"{one} is everybody's network, and no caller's")
            if isinstance(one, IPv6Network) and one.network_address.ipv4_mapped is not None:
                raise ValueError(f"{one} is a network of IPv4 in IPv6's clothes: write it as one of IPv4")
        if not APPLICATION_URN.fullmatch(self.application_urn):
            raise ValueError("application_urn is no name of an application")
        if not is_cbe_number(self.cbe_number):
            raise ValueError("cbe_number is no CBE number")


class Authentication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How callers are known (docs/decisions/0029). Raises ValueError for a way that lacks what it needs."""

    way: KnownBy = KnownBy.TOKEN
    certificate_header: HeaderName | None = None
    """The header in which the TLS terminator hands over the client certificate; believed on the plain listener only."""
    address_header: HeaderName | None = None
    """The header in which the TLS terminator hands over the address of who connected; believed as the one above."""
    networks: Annotated[tuple[CallersNetwork, ...], msgspec.Meta(max_length=NETWORKS_MAX)] = ()
    facade_without_token: bool = False
    """Said on purpose for a façade that takes unsigned messages: its contract has a signature on each (SEC-03)."""

    def __post_init__(self) -> None:
        needs_certificate = self.way in {KnownBy.CLIENT_CERTIFICATE, KnownBy.TOKEN_AND_CLIENT_CERTIFICATE}
        if needs_certificate != (self.certificate_header is not None):
            raise ValueError("certificate_header is for the ways mtls and token-and-mtls, and they need it")
        if (self.way is KnownBy.NETWORK) != bool(self.networks):
            raise ValueError("networks are for the way network, and it needs one at least")
        if self.address_header is not None and self.way is not KnownBy.NETWORK:
            raise ValueError("address_header is for the way network")
        ranges = [ip_network(one) for network in self.networks for one in network.addresses]
        # Of ranges that overlap, one holds the other: in this order such a pair stands side by side.
        ranges.sort(key=lambda one: (one.version, int(one.network_address), one.prefixlen))
        for one, other in pairwise(ranges):
            if one.version == other.version and one.overlaps(other):
                raise ValueError(f"{one} and {other} overlap: one address would be two callers")

    @property
    def is_signed(self) -> bool:
        """Whether messages bear a signature that is looked at."""
        return self.way in {KnownBy.TOKEN, KnownBy.TOKEN_AND_CLIENT_CERTIFICATE}


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That requests go wrong on order (docs/fault-injection.md): for tests of callers, and never in production."""

    seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    """The same seed and rules disturb the same requests, counted from the start of the service."""
    directory: str = "faults"
    """Where rules and counts are while the service runs; it is emptied at each start."""
    header: bool = False
    """Whether a caller may order a fault by a header of its own request: in a sandbox only."""
    rules: tuple[FaultRule, ...] = ()
    """What stands as long as the service does; others come by the operations listener."""


class Governance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That access rules and permissions are in the database, under four eyes (docs/governance.md)."""

    anchor: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")] | None = None
    """The digest of the first version, as `governance init` prints it: whoever can write the whole database cannot
    begin its record anew without being noticed. Only `init` goes without."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a façade, a repertory or a National Register must be told."""

    service: Service = Service.FACADE
    """Which of them: the command that starts it must name the same."""
    environment: str
    """The environment of the certificates that are admitted, as in their OU: PRD, ACC, TST, LOCAL …"""
    public_url: str
    """The base URL that callers use; addresses in the served WSDL begin with it."""
    other_urls: tuple[str, ...] = ()
    """Other base URLs by which callers reach it, such as an internal one: what wsa:To may say besides (SEC-17)."""
    database: str
    """A libpq connection string of a PostgreSQL ≥ 15."""
    database_connections_max: Positive = CONNECTIONS_MAX
    """Connections of one worker; all workers of all listeners together must fit the server's `max_connections`."""
    access_rules: str | None = None
    """The file of access rules and permissions; absent, they are in the database, and `governance` is there."""
    governance: Governance | None = None
    tls: TlsListener
    trust: Trust
    audit: Audit
    disclosure: Disclosure = Disclosure()
    plain: PlainListener | None = None
    operations: OperationsListener | None = None
    """Where liveness, readiness and metrics are; absent, nowhere."""
    rest: RestListener | None = None
    """Where batches are uploaded; absent, nowhere."""
    upstream: Upstream | None = None
    """The repertory that a façade asks; absent, it keeps lines and files of persons itself."""
    national_register: NationalRegister | None = None
    """Where the National Register is, for who keeps lines; absent, its files are in the own store."""
    authentication: Authentication = Authentication()
    faults: Faults | None = None
    """Absent, nothing goes wrong on order, and no code of it is in a request's way."""
    batch: Batch | None = None
    """How a façade works on batches; absent, it starts nobody to do so."""
    limits: Limits = Limits()
    security: Security = Security()
    tickets_kept_hours: Annotated[int, msgspec.Meta(ge=1, le=TICKETS_KEPT_HOURS_MAX)] = TICKETS_KEPT_HOURS
    """How long a declaration that is sent again gets its first answer, at least (rule 38)."""
    synthetic_numbers: bool = False
    """Whether new files get numbers that nobody bears, for persons who do not exist (docs/decisions/0003)."""
    validate_responses: bool = False
    """Whether every response is validated against the schema before it leaves: a defect becomes a fault."""
    reload_seconds: Annotated[float, msgspec.Meta(ge=RELOAD_SECONDS_MIN, le=RELOAD_SECONDS_MAX)] = RELOAD_SECONDS
    """See `RELOAD_SECONDS`."""
    contact: str | None = None
    """Whom a fault tells the caller to contact."""

    def __repr__(self) -> str:
        """No value: the connection string may hold a password (SEC-78)."""
        return f"<Settings of a {self.service}>"

    @property
    def keeps_lines(self) -> bool:
        """Whether the service has inscriptions in its own database, and mutations to tell of them."""
        return self.service is Service.REPERTORY or (self.service is Service.FACADE and self.upstream is None)

    @property
    def signing_certificates(self) -> dict[str, str]:
        """The files of the certificates by which other services know us, by what these are to us, TLS apart."""
        asked = {"upstream": self.upstream, "national-register": self.national_register}
        return {
            name + what: file
            for name, one in asked.items()
            if one is not None
            for what, file in one.certificates.items()
        }

    @property
    def key_files(self) -> tuple[str, ...]:
        """Every file with a secret key in it that the settings name."""
        asked = (self.national_register, self.upstream)
        archive = () if self.audit.archive is None else (self.audit.archive.key,)
        asked_with = (file for one in asked if one is not None for file in one.key_files)
        return (self.tls.private_key, self.audit.keys, *archive, *asked_with)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a settings file and the environment say together."""

    settings: Settings | None
    """Every path in them absolute; None when there are problems."""
    problems: tuple[str, ...]
    """A sentence each, which names the file or the variable, and the setting."""
    origins: Mapping[str, str]
    """The settings that the environment says, by their places (`tls.port`), with the variable of each."""
    in_file: frozenset[str]
    """The places of the settings that the file says, whatever the environment says of them."""


def read_settings(path: Path) -> Settings:
    """The settings in the file at `path`, with what the environment says instead; every path in them made absolute.

    Raises `UsageError`: the file is missing, is no TOML, or has a key or value that is not as documented.
    """
    examined = examine_settings(path)
    if examined.settings is None:
        raise UsageError(examined.problems[0])
    return examined.settings


def examine_settings(path: Path) -> Examined:
    """Every problem that the settings in the file at `path` have by themselves, or the settings.

    Raises `UsageError` when the file is missing or no TOML: then there is nothing to find problems in.
    """
    try:
        table = tomllib.loads(read_file(path).decode("utf-8"))
        in_file = frozenset(places_in(table, Settings))
        said = override(table, os.environ, Settings)
        mistakes = list(mistakes_in(table, Settings))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from error
    origins = said.origins
    problems = [*_stray_variables(), *said.problems, *_passwords_in(origins, table)]
    for one in mistakes:
        place = [origins[one.place]] if one.place in origins else [str(path), one.place] if one.place else [str(path)]
        problems.append(": ".join([*place, one.sentence]))
    settings = None if mistakes else msgspec.convert(table, Settings)
    if settings is not None:
        problems += [f"{path}: {sentence}" for sentence in _contradictions(settings)]
    if problems or settings is None:
        return Examined(settings=None, problems=tuple(problems), origins=origins, in_file=in_file)
    settings = _below(path.absolute().parent, settings)
    return Examined(settings=settings, problems=(), origins=origins, in_file=in_file)


def show_settings(path: Path) -> Iterator[str]:
    """Each setting in force as a line of TOML, with where it comes from beside it; no line holds a password.

    All lines together are settings again, the same but for passwords. Raises `UsageError` as `read_settings` does.
    """
    settings = read_settings(path)
    examined = examine_settings(path)
    for place, value in settings_in(settings):
        shown = _without_passwords(settings.database) if place == "database" else value
        origin = examined.origins.get(place, path.name if place in examined.in_file else "default")
        yield f"{place} = {_ACCOUNT.sub('', written(shown))}  # {origin}"


def _without_passwords(conninfo: str) -> str:
    try:
        said = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return ""  # what cannot be read cannot be shown in part
    return make_conninfo("", **{name: one for name, one in said.items() if name not in PASSWORDS})


def _stray_variables() -> Iterator[str]:
    """Each variable that looks like one of ours and is none: with an underscore too few it would say nothing."""
    for name in sorted(os.environ):
        if name.startswith(_LIKE_OURS) and not name.startswith(OVERRIDE_PREFIX) and name not in _VARIABLES_OF_OURS:
            yield f"{name}: there is no such variable: one that says a setting begins with {OVERRIDE_PREFIX}"


def _passwords_in(origins: Mapping[str, str], table: Mapping[str, object]) -> Iterator[str]:
    """What is wrong with a connection string from the environment: every child process would find its password."""
    variable = origins.get("database")
    if variable is None:
        return
    try:
        said = conninfo_to_dict(str(table["database"]))
    except psycopg.ProgrammingError:
        yield f"{variable}: {UNREADABLE}"
        return
    if any(name in said for name in PASSWORDS):
        yield f"{variable}: a password is not for the environment: put it into libpq's password file"


def _contradictions(settings: Settings) -> Iterator[str]:
    """What settings that are good one by one cannot be together, a sentence each."""
    ports = [one.port for one in (settings.tls, settings.plain, settings.operations, settings.rest) if one]
    for port in sorted({port for port in ports if ports.count(port) > 1}):
        yield f"two listeners cannot share port {port}"
    if (settings.access_rules is None) == (settings.governance is None):
        yield "the rules are in a file or in the database: name access_rules or [governance]"
    if settings.batch is not None and (settings.service is not Service.FACADE or settings.upstream is not None):
        yield "only a façade that keeps the lines works on batches"
    if settings.rest is not None and (settings.batch is None or settings.batch.directory is None):
        yield "[rest] is for batches, and [batch] directory must say where they are kept"
    said = settings.authentication
    if settings.service is Service.FACADE and not said.is_signed and not said.facade_without_token:
        yield "the contract of a façade has a signature on each message: say facade_without_token = true to go without"
    if settings.plain is None and (said.certificate_header is not None or said.address_header is not None):
        yield "what a TLS terminator hands over comes by the plain listener: there is no [plain]"
    if settings.faults is not None:
        try:
            check_rules(settings.faults.rules)
        except UsageError as error:
            yield str(error)
        if settings.operations is not None and settings.operations.reachable_from_elsewhere:
            yield "with [faults], the operations listener stays on loopback"
    yield from _contradictions_of_asked(settings)


def _contradictions_of_asked(settings: Settings) -> Iterator[str]:
    """What does not fit between the services that are asked and the one that asks."""
    national_register, upstream = settings.national_register, settings.upstream
    if national_register is not None:
        if settings.service is Service.NATIONAL_REGISTER:
            yield "a National Register asks no other"
        if national_register.timeout_seconds >= settings.limits.answer_seconds_max:
            yield "the National Register may take less time than an answer of ours, not more"
    if upstream is not None:
        if settings.service is not Service.FACADE:
            yield "only a façade has an [upstream]"
        if national_register is not None:
            yield "with an [upstream], it is that service which asks the National Register"
        if upstream.timeout_seconds >= settings.limits.answer_seconds_max:
            yield "the upstream may take less time than an answer of ours, not more"


def _below(folder: Path, settings: Settings) -> Settings:
    """The same settings, every path in them absolute."""
    return msgspec.structs.replace(
        settings,
        faults=None if settings.faults is None else _faults_below(folder, settings.faults),
        upstream=None if settings.upstream is None else _asked_below(folder, settings.upstream),
        national_register=(
            None if settings.national_register is None else _asked_below(folder, settings.national_register)
        ),
        access_rules=None if settings.access_rules is None else str(folder / settings.access_rules),
        audit=_audit_below(folder, settings.audit),
        batch=settings.batch
        if settings.batch is None or settings.batch.directory is None
        else msgspec.structs.replace(settings.batch, directory=str(folder / settings.batch.directory)),
        tls=msgspec.structs.replace(
            settings.tls,
            certificate=str(folder / settings.tls.certificate),
            private_key=str(folder / settings.tls.private_key),
        ),
        trust=msgspec.structs.replace(
            settings.trust,
            application_authorities=str(folder / settings.trust.application_authorities),
            revocation_lists=tuple(str(folder / path) for path in settings.trust.revocation_lists),
            revocation_sources=tuple(
                msgspec.structs.replace(
                    source,
                    file=str(folder / source.file),
                    ca=None if source.ca is None else str(folder / source.ca),
                )
                for source in settings.trust.revocation_sources
            ),
        ),
    )


AskedT = TypeVar("AskedT", NationalRegister, Upstream)


def _asked_below(folder: Path, asked: AskedT) -> AskedT:
    return msgspec.structs.replace(
        asked,
        ca=str(folder / asked.ca),
        certificate=None if asked.certificate is None else str(folder / asked.certificate),
        private_key=None if asked.private_key is None else str(folder / asked.private_key),
        tls=None
        if asked.tls is None
        else ClientTls(
            certificate=str(folder / asked.tls.certificate), private_key=str(folder / asked.tls.private_key)
        ),
    )


def _faults_below(folder: Path, faults: Faults) -> Faults:
    return msgspec.structs.replace(faults, directory=str(folder / faults.directory))


def _audit_below(folder: Path, audit: Audit) -> Audit:
    stamping = audit.timestamping
    if stamping is not None:
        stamping = msgspec.structs.replace(
            stamping,
            ca=str(folder / stamping.ca),
            tls_ca=None if stamping.tls_ca is None else str(folder / stamping.tls_ca),
        )
    archive = audit.archive
    if archive is not None:
        archive = msgspec.structs.replace(
            archive, directory=str(folder / archive.directory), key=str(folder / archive.key)
        )
    return msgspec.structs.replace(audit, keys=str(folder / audit.keys), timestamping=stamping, archive=archive)


def settings_of_worker() -> Settings:
    """The settings of the service that started this worker process."""
    path = os.environ.get(SETTINGS_VARIABLE)
    if path is None:
        raise UsageError(f"{SETTINGS_VARIABLE} names no settings file")
    return read_settings(Path(path))


def refuse_overrides(why: str) -> None:
    """Nothing, when the environment says no setting. Raises `UsageError`."""
    for name in sorted(os.environ):
        if name.startswith(OVERRIDE_PREFIX):
            raise UsageError(f"{name}: {why}")


def is_password_in_environment() -> bool:
    """Whether libpq would take a password from the environment, where every child process finds it."""
    return _PASSWORD_VARIABLE in os.environ


def read_file(path: Path) -> bytes:
    """The bytes of a file that a setting names. Raises `UsageError` with one sentence when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def write_privately(path: Path, data: bytes) -> None:
    """Nothing; the file is there, whole, readable by its owner only from its first byte on. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
