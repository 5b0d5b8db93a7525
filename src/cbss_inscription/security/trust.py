"""Whether a certificate is one of this environment's applications, and which application it is.

A path is built here only from the authorities that the operator gave: a message brings one certificate and no issuers.
So every path is checked when the store is made, and a message costs one signature check of its own certificate, if the
verdict is not remembered. A renewed authority of the same name and key makes more paths than one: a certificate is
believed when any of them is good at that moment. The rules are RFC 5280's (section 6) for the extensions that such a
private hierarchy has; what is not known is refused. Nothing is fetched (SEC-45). To change authorities or revocation
lists, make a new store: it starts with an empty memory of verdicts (SEC-46, SEC-48); `app.reloading` does.
"""

from __future__ import annotations

import hashlib
import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice, pairwise
from typing import Annotated, Final, Protocol, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from cbss_inscription.domain.environment import Environment
from cbss_inscription.domain.errors import NotAuthenticated, UsageError
from cbss_inscription.security.algorithms import PublicKey
from cbss_inscription.security.lifetimes import Kind, Lifetime, lifetime_of
from cbss_inscription.security.policy import check_ranges

CBE_PREFIX: Final = "urn:be:fgov:kbo-bce:organization:cbe-number:"
"""What precedes the ten digits in the organisational unit of an application certificate (design 1.3)."""
GOVERNMENT_UNIT: Final = "Belgian Federal Government"

KEY_BITS_LEAST: Final = 2_048
"""The shortest RSA key that any setting can accept (SEC-43)."""
KEY_BITS_MOST: Final = 16_384
"""A signature by such a key takes a millisecond to check, one by the usual keys a fortieth of it."""
CACHE_SECONDS_MOST: Final = 300
"""A revoked certificate is refused within five minutes (SEC-46)."""
CACHE_ENTRIES_MOST: Final = 16_384
"""Some 30 MB of verdicts in each worker."""
PATHS_MAX: Final = 16
"""How many ways from one authority to a root are kept; renewed certificates of one key make more than one."""

_SIGNATURE_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_KNOWN_EXTENSIONS: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.NAME_CONSTRAINTS,
    }
)
_PATH_LENGTH_MAX: Final = 6
_UNTELLING: Final = frozenset({"certificate-untrusted", "authority-expired", "authority-not-yet-valid"})
_EXPONENT_MIN, _EXPONENT_MAX = 65_537, 2**33
_CBE_DIGITS: Final = re.compile(r"[0-9]{10}", re.ASCII)
APPLICATION_URN: Final = re.compile(r"[!-~]{1,64}", re.ASCII)
"""What the name of an application may look like."""
_UTF8_STRING, _PRINTABLE_STRING = 0x0C, 0x13
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_UNREADABLE: Final = (
    ValueError,
    TypeError,  # a BIT STRING where a name belongs
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for a certificate or list that has the outline of one and is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedCaller:
    """The application that a trusted certificate names (SEC-47)."""

    application_urn: str
    cbe_number: str
    """Ten digits, check digits correct."""
    environment: str
    certificate_fingerprint: str
    """SHA-256 of the certificate's DER, in lower-case hexadecimal."""
    public_key: PublicKey = field(repr=False, compare=False)


class CertificateLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of the rules for certificates is a number that a settings file may move, each within its range."""

    key_bits_min: Annotated[int, msgspec.Meta(ge=KEY_BITS_LEAST, le=KEY_BITS_MOST)] = KEY_BITS_LEAST
    """Length of an RSA modulus, in bits (SEC-43)."""
    key_bits_max: Annotated[int, msgspec.Meta(ge=KEY_BITS_LEAST, le=KEY_BITS_MOST)] = 8_192
    """Length of an RSA modulus, in bits; a longer one only costs time."""
    cache_seconds: Annotated[int, msgspec.Meta(ge=0, le=CACHE_SECONDS_MOST)] = CACHE_SECONDS_MOST
    """How long a verdict is remembered; at most five minutes (SEC-46)."""
    cache_entries_max: Annotated[int, msgspec.Meta(ge=1, le=CACHE_ENTRIES_MOST)] = 1_024
    """How many verdicts are remembered (SEC-46)."""

    def __post_init__(self) -> None:
        if self.key_bits_min > self.key_bits_max:
            raise ValueError("key_bits_min is more than key_bits_max")


class CertificateRules(CertificateLimits, frozen=True, kw_only=True):
    """What an application certificate must look like; what RSZ leaves open can be set (design 1.3, SEC-43, SEC-47).

    UsageError when loosened too far.
    """

    curves: frozenset[str] = frozenset()
    """The elliptic curves of keys that are accepted besides RSA, by the library's names; none by default (SEC-43)."""
    extended_key_usages: frozenset[x509.ObjectIdentifier] = frozenset(
        {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    )
    """A certificate that has an extended key usage must have one of these."""
    government_unit: str | None = GOVERNMENT_UNIT
    """The organisational unit beside CBE number and environment; None lets any others stand there."""
    revocation_grace_seconds: int = 0
    """How long after its nextUpdate a revocation list still counts."""

    def __post_init__(self) -> None:
        check_ranges(self, CertificateLimits)


class CertificateTrust(Protocol):
    """Who judges a caller's certificate: a `TrustStore`, or the one of several that is in force."""

    def check(self, certificate_der: bytes, now: datetime) -> CertifiedCaller:
        """See `TrustStore.check`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _RevocationList:
    issuer: x509.Name
    number: int | None
    this_update: datetime
    next_update: datetime
    serial_numbers: frozenset[int]
    only_users: bool
    only_authorities: bool
    locations: frozenset[str]  # of a partitioned list: covers only certificates that name one of them


@dataclass(frozen=True, slots=True, kw_only=True)
class _Authority:
    """A certification authority with its paths, each of them itself first, a root last."""

    certificate: x509.Certificate
    paths: tuple[tuple[x509.Certificate, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    caller: CertifiedCaller
    since: datetime
    until: datetime


class TrustStore:
    """The authorities of one environment, their revocation lists, and the judgement of a caller's certificate."""

    def __init__(
        self,
        *,
        authorities_pem: bytes,
        environment: str,
        revocation_lists: Iterable[bytes] = (),
        revocation_required: bool = False,
        rules: CertificateRules | None = None,
    ) -> None:
        """A store that trusts the self-signed `authorities_pem`, and the others there that lead to one of them.

        `authorities_pem` holds one or more PEM certificates, roots and intermediates in any order, of this environment
        only (SEC-42). `revocation_lists` holds in each item one CRL in DER, or any number in PEM; with
        `revocation_required` a certificate without a fresh one is refused (SEC-44). Raises UsageError for whatever is
        broken in these, so that a reload keeps the store it had (SEC-48).
        """
        self.environment: Final = Environment.of(environment)
        self.rules: Final = rules or CertificateRules()
        self._revocation_required = revocation_required
        certificates = _load_authorities(authorities_pem)
        for certificate in certificates:
            _check_purpose(certificate, self.rules)
        self._authorities = _build_authorities(certificates)
        self._revocation_lists = tuple(
            _load_revocation_list(part, certificates)
            for data in revocation_lists
            for part in _revocation_lists_in(data)
        )
        self._verdicts: OrderedDict[bytes, _Verdict] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, certificate_der: bytes, now: datetime) -> CertifiedCaller:
        """The application that this certificate names, when it may be believed at `now` (aware UTC).

        Raises NotAuthenticated with a reason of its own for each rule (SEC-42..47). The verdict is remembered under
        the SHA-256 of the certificate for at most `cache_seconds`, never beyond the end of a certificate in the path
        or of a revocation list; refusals are not remembered, so that a flood of them pushes nothing out.
        """
        fingerprint = hashlib.sha256(certificate_der).digest()
        with self._lock:
            verdict = self._verdicts.get(fingerprint)
            if verdict is not None and verdict.since <= now <= verdict.until:
                self._verdicts.move_to_end(fingerprint)
                return verdict.caller
        verdict = self._judge(certificate_der, fingerprint, now)
        with self._lock:
            self._verdicts[fingerprint] = verdict
            self._verdicts.move_to_end(fingerprint)
            while len(self._verdicts) > self.rules.cache_entries_max:
                self._verdicts.popitem(last=False)
        return verdict.caller

    @property
    def lifetimes(self) -> tuple[Lifetime, ...]:
        """From when until when each authority counts, and of each one's lists the one that lasts longest."""
        lasting: dict[tuple[object, ...], Lifetime] = {}
        for listed in self._revocation_lists:
            scope = (listed.issuer, listed.only_users, listed.only_authorities, listed.locations)
            one = Lifetime(
                kind=Kind.REVOCATION_LIST,
                name=listed.issuer.rfc4514_string(),
                begins=listed.this_update,
                ends=listed.next_update,
            )
            if scope not in lasting or lasting[scope].ends < one.ends:
                lasting[scope] = one
        certificates = (authority.certificate for authority in self._authorities)
        authorities = (lifetime_of(one, Kind.ROOT if _is_root(one) else Kind.INTERMEDIATE) for one in certificates)
        return (*authorities, *lasting.values())

    @property
    def unlisted_authorities(self) -> tuple[str, ...]:
        """The authorities whose certificates are all refused, no revocation list of theirs being there (SEC-44)."""
        return self._authorities_without({one.issuer for one in self._revocation_lists})

    def stale_authorities(self, now: datetime) -> tuple[str, ...]:
        """The authorities whose certificates are all refused at `now`, no list of theirs being fresh (SEC-44)."""
        grace = timedelta(seconds=self.rules.revocation_grace_seconds)
        fresh = (one for one in self._revocation_lists if one.this_update <= now <= one.next_update + grace)
        return self._authorities_without({one.issuer for one in fresh})

    def _authorities_without(self, listed: Collection[x509.Name]) -> tuple[str, ...]:
        if not self._revocation_required:
            return ()
        names = (authority.certificate.subject for authority in self._authorities)
        return tuple(dict.fromkeys(name.rfc4514_string() for name in names if name not in listed))

    def paths(self, certificate: x509.Certificate) -> tuple[tuple[x509.Certificate, ...], ...]:
        """Every way from the certificate to a root, itself first; whether one of them is good is for `check`."""
        return tuple(self._find_paths(certificate))

    def revocation_words(self, certificate: x509.Certificate) -> tuple[tuple[datetime, datetime, bool], ...]:
        """Of each list of the certificate's issuer: from when, until when, and whether it names the certificate."""
        return tuple(
            (item.this_update, item.next_update, certificate.serial_number in item.serial_numbers)
            for item in self._revocation_lists
            if item.issuer == certificate.issuer
        )

    @property
    def is_revocation_required(self) -> bool:
        """Whether a certificate needs a fresh list (SEC-44)."""
        return self._revocation_required

    def _judge(self, certificate_der: bytes, fingerprint: bytes, now: datetime) -> _Verdict:
        certificate, extensions = _load_certificate(certificate_der)
        # Before the path: a signature by SHA-1 cannot be checked at all, and "untrusted" would hide why.
        if not isinstance(certificate.signature_hash_algorithm, _SIGNATURE_HASHES):
            raise NotAuthenticated("certificate-algorithm")
        paths = self._find_paths(certificate)
        first = next(paths, None)
        if first is None:
            raise NotAuthenticated("certificate-untrusted")
        key = self._check_leaf(certificate, extensions)
        until = self._check_paths(chain((first,), paths), now)
        application_urn, cbe_number, environment = _read_subject(certificate.subject, self.rules)
        if environment != self.environment:
            raise NotAuthenticated("certificate-environment")
        caller = CertifiedCaller(
            application_urn=application_urn,
            cbe_number=cbe_number,
            environment=environment,
            certificate_fingerprint=fingerprint.hex(),
            public_key=key,
        )
        return _Verdict(caller=caller, since=now, until=until)

    def _find_paths(self, certificate: x509.Certificate) -> Iterator[tuple[x509.Certificate, ...]]:
        """The certificate, its issuer and so on up to a root (SEC-42); what nobody asks for is not computed."""
        for authority in self._authorities:
            if authority.certificate.subject == certificate.issuer and _is_issued_by(
                certificate, authority.certificate
            ):
                yield from ((certificate, *path) for path in authority.paths)

    def _check_paths(self, paths: Iterable[tuple[x509.Certificate, ...]], now: datetime) -> datetime:
        """Until when the first good path is good; when none is, what is wrong with the one that came furthest."""
        refusal = NotAuthenticated("certificate-untrusted")
        for path in paths:
            try:
                return self._check_path(path, now)
            except NotAuthenticated as error:
                # An authority outside its validity says little of a path where another of its certificates is inside.
                if refusal.reason in _UNTELLING:
                    refusal = error
        raise refusal

    def _check_path(self, path: tuple[x509.Certificate, ...], now: datetime) -> datetime:
        until = now + timedelta(seconds=self.rules.cache_seconds)
        for member in path:
            until = min(until, _check_validity(member, now, is_leaf=member is path[0]))
        _check_name_constraints(path)
        for member, issuer in pairwise(path):
            until = min(until, self._check_revocation(member, issuer, now, until=until, is_leaf=member is path[0]))
        return until

    def _check_leaf(self, certificate: x509.Certificate, extensions: x509.Extensions) -> PublicKey:
        """The key of a certificate that may sign messages and nothing else (SEC-43)."""
        if certificate.version is not x509.Version.v3:
            raise NotAuthenticated("certificate-version")
        for extension in extensions:
            if extension.critical and extension.oid not in _KNOWN_EXTENSIONS:
                raise NotAuthenticated("certificate-extension")
        constraints = _extension(extensions, x509.BasicConstraints)
        if constraints is not None and constraints.ca:
            raise NotAuthenticated("certificate-authority")
        if _extension(extensions, x509.NameConstraints) is not None:
            raise NotAuthenticated("certificate-extension")
        usage = _extension(extensions, x509.KeyUsage)
        if usage is None or not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
            raise NotAuthenticated("certificate-key-usage")
        extended = _extension(extensions, x509.ExtendedKeyUsage)
        if extended is not None and self.rules.extended_key_usages.isdisjoint(extended):
            raise NotAuthenticated("certificate-extended-key-usage")
        try:
            key = certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            raise NotAuthenticated("certificate-key") from None
        if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in self.rules.curves:
            return key
        if not isinstance(key, rsa.RSAPublicKey):
            raise NotAuthenticated("certificate-key")
        exponent = key.public_numbers().e
        if not self.rules.key_bits_min <= key.key_size <= self.rules.key_bits_max:
            raise NotAuthenticated("certificate-key-size")
        if exponent % 2 == 0 or not _EXPONENT_MIN <= exponent < _EXPONENT_MAX:
            raise NotAuthenticated("certificate-key-exponent")
        return key

    def _check_revocation(
        self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime, *, until: datetime, is_leaf: bool
    ) -> datetime:
        """Until when the certificate is known not to be revoked (SEC-44)."""
        grace = timedelta(seconds=self.rules.revocation_grace_seconds)
        locations = _crl_locations(certificate)
        fresh_until: datetime | None = None
        stale = False
        for candidate in self._revocation_lists:
            if candidate.issuer != issuer.subject:
                continue
            # A stale list, or a part for others, may be too little to say "good"; "revoked" it says all the same.
            if certificate.serial_number in candidate.serial_numbers:
                raise NotAuthenticated("certificate-revoked")
            if candidate.only_authorities if is_leaf else candidate.only_users:
                continue
            if candidate.locations and candidate.locations.isdisjoint(locations):
                continue
            if candidate.this_update <= now <= candidate.next_update + grace:
                end = candidate.next_update + grace
                fresh_until = end if fresh_until is None else max(fresh_until, end)
            else:
                stale = True
        if fresh_until is not None:
            return min(until, fresh_until)
        if self._revocation_required:
            raise NotAuthenticated("revocation-stale" if stale else "revocation-unknown")
        return until


# --- loading what the operator gave ---------------------------------------------------------------------------------


def _load_authorities(data: bytes) -> list[x509.Certificate]:
    try:
        certificates = x509.load_pem_x509_certificates(data)
    except (ValueError, x509.InvalidVersion):
        raise UsageError("The file of trusted authorities holds no PEM certificates, or a broken one.") from None
    unique = {certificate.public_bytes(Encoding.DER): certificate for certificate in certificates}
    for certificate in unique.values():
        _check_authority(certificate)
    return list(unique.values())


def _check_authority(certificate: x509.Certificate) -> None:
    try:
        who = f"The authority {certificate.subject.rfc4514_string()!r}"
        extensions = certificate.extensions
        key = certificate.public_key()
        # cryptography reads lazily: what it cannot read shall show here
        _ = (certificate.issuer, certificate.signature_hash_algorithm, certificate.not_valid_before_utc)
    except _UNREADABLE:
        raise UsageError("The file of trusted authorities holds a certificate that cannot be read.") from None
    constraints = _extension(extensions, x509.BasicConstraints)
    usage = _extension(extensions, x509.KeyUsage)
    if certificate.version is not x509.Version.v3 or constraints is None or not constraints.ca:
        raise UsageError(f"{who} is not a certification authority (basic constraints).")
    if usage is None or not usage.key_cert_sign:
        raise UsageError(f"{who} may not sign certificates (key usage).")
    if any(extension.critical and extension.oid not in _KNOWN_EXTENSIONS for extension in extensions):
        raise UsageError(f"{who} has a critical extension that is not understood here.")
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2_048) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= 256
    )
    if not strong:
        raise UsageError(f"{who} has a key that is too short, or of a kind not accepted.")
    if not isinstance(certificate.signature_hash_algorithm, _SIGNATURE_HASHES) and not _is_root(certificate):
        raise UsageError(f"{who} is signed with an algorithm that is too weak.")


def _check_purpose(certificate: x509.Certificate, rules: CertificateRules) -> None:
    """Nothing, unless an authority's own extended key usage keeps it from vouching for applications (SEC-42) [D].

    RFC 5280 is silent on it, and what checks paths (OpenSSL, browsers) reads it so. A root is trusted as it stands.
    Raises UsageError.
    """
    extended = _extension(certificate.extensions, x509.ExtendedKeyUsage)
    if extended is not None and rules.extended_key_usages.isdisjoint(extended) and not _is_root(certificate):
        who = f"The authority {certificate.subject.rfc4514_string()!r}"
        raise UsageError(f"{who} vouches for other purposes alone (extended key usage): it issues no applications.")


def _build_authorities(certificates: Sequence[x509.Certificate]) -> tuple[_Authority, ...]:
    authorities: list[_Authority] = []
    for certificate in certificates:
        paths = tuple(islice(_build_paths(certificate, certificates, ()), PATHS_MAX + 1))
        who = f"The authority {certificate.subject.rfc4514_string()!r}"
        if not paths:
            raise UsageError(f"{who} leads to no self-signed authority in the same file.")
        if len(paths) > PATHS_MAX:
            raise UsageError(f"{who} leads to self-signed authorities in more than {PATHS_MAX} ways.")
        authorities.append(_Authority(certificate=certificate, paths=paths))
    return tuple(authorities)


def _build_paths(
    certificate: x509.Certificate, pool: Sequence[x509.Certificate], below: tuple[x509.Certificate, ...]
) -> Iterator[tuple[x509.Certificate, ...]]:
    """Every path from an authority to a root, the path lengths kept (RFC 5280, 4.2.1.9)."""
    length = _extension(certificate.extensions, x509.BasicConstraints)
    # Self-issued certificates below do not count.
    counted = sum(1 for member in below if member.subject != member.issuer)
    if length is not None and length.path_length is not None and counted > length.path_length:
        return
    if _is_root(certificate):
        yield (certificate,)
        return
    if len(below) >= _PATH_LENGTH_MAX:
        return
    for issuer in pool:
        if issuer not in (certificate, *below) and _is_issued_by(certificate, issuer):
            for rest in _build_paths(issuer, pool, (*below, certificate)):
                yield (certificate, *rest)


def _is_root(certificate: x509.Certificate) -> bool:
    return _is_issued_by(certificate, certificate)


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the names match and the issuer's key made the signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def check_revocation_list(data: bytes, *, authorities_pem: bytes, former: bytes | None, now: datetime) -> None:
    """Nothing: `data` is one fresh list of one of the authorities, and may take the place of `former`.

    For what came over a network (SEC-44, SEC-45): besides the signature, it must not be older than the list that it
    replaces, or an old one in which nobody is revoked yet could be played back. Raises UsageError.
    """
    certificates = _load_authorities(authorities_pem)
    listed = _load_revocation_list(data, certificates)
    if not listed.this_update <= now <= listed.next_update:
        raise UsageError("The revocation list that came is not of now.")
    if former is None:
        return
    try:
        known = _load_revocation_list(former, certificates)
    except UsageError:  # whatever lies there is no list of these authorities: nothing to be older than
        return
    if listed.issuer != known.issuer:
        raise UsageError("The revocation list that came is another authority's than the one that is there.")
    older = listed.number is not None and known.number is not None and listed.number < known.number
    if older or listed.this_update < known.this_update:
        raise UsageError("The revocation list that came is older than the one that is there.")


_PEM_LIST: Final = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


def _revocation_lists_in(data: bytes) -> list[bytes]:
    """Each list of a file: several in PEM, one after the other, or one in DER, or what is none."""
    if not data.lstrip().startswith(b"-----"):
        return [data]
    found = _PEM_LIST.findall(data)
    # A list that was cut in the middle has a beginning too many.
    if not found or len(found) != data.count(b"-----BEGIN"):
        raise UsageError("A file of revocation lists holds one that is cut, or something else besides.")
    return found


def _load_revocation_list(data: bytes, authorities: Sequence[x509.Certificate]) -> _RevocationList:
    try:
        crl = x509.load_pem_x509_crl(data) if data.lstrip().startswith(b"-----") else x509.load_der_x509_crl(data)
        extensions = crl.extensions
        entries = frozenset(_revoked_serial_numbers(crl))
        # cryptography reads lazily: what it cannot read shall show here
        _ = (crl.issuer, crl.signature_hash_algorithm, crl.last_update_utc, crl.next_update_utc)
    except (*_UNREADABLE, x509.InvalidVersion):
        raise UsageError("A file of revocation lists holds one that cannot be read.") from None
    who = f"The revocation list of {crl.issuer.rfc4514_string()!r}"
    if not any(_signed_revocation_list(crl, authority) for authority in authorities):
        raise UsageError(f"{who} is not signed by one of the trusted authorities.")
    if crl.next_update_utc is None:
        raise UsageError(f"{who} does not say when the next one comes.")
    point = _extension(extensions, x509.IssuingDistributionPoint)
    for extension in extensions:
        # A delta list, for one, is critical and no list on its own.
        if extension.critical and extension.oid != ExtensionOID.ISSUING_DISTRIBUTION_POINT:
            raise UsageError(f"{who} has a critical extension that is not understood here.")
    if point is not None and (
        point.indirect_crl
        or point.only_contains_attribute_certs
        or point.only_some_reasons is not None
        or point.relative_name is not None
    ):
        raise UsageError(f"{who} covers only some certificates, in a way that is not understood here.")
    number = _extension(extensions, x509.CRLNumber)
    return _RevocationList(
        issuer=crl.issuer,
        number=None if number is None else number.crl_number,
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        serial_numbers=entries,
        only_users=point is not None and point.only_contains_user_certs,
        only_authorities=point is not None and point.only_contains_ca_certs,
        locations=_uris(point.full_name) if point is not None else frozenset(),
    )


def _revoked_serial_numbers(crl: x509.CertificateRevocationList) -> Iterator[int]:
    for entry in crl:
        if any(extension.critical for extension in entry.extensions):  # certificateIssuer: an indirect list
            raise ValueError
        yield entry.serial_number


def _signed_revocation_list(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    usage = _extension(authority.extensions, x509.KeyUsage)
    key = authority.public_key()
    if crl.issuer != authority.subject or usage is None or not usage.crl_sign:
        return False
    if not isinstance(crl.signature_hash_algorithm, _SIGNATURE_HASHES):
        return False
    assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)  # no other authority is loaded
    try:
        return crl.is_signature_valid(key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


# --- judging a certificate ------------------------------------------------------------------------------------------


def _load_certificate(certificate_der: bytes) -> tuple[x509.Certificate, x509.Extensions]:
    """Exactly one certificate in DER, nothing after it (SEC-30)."""
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        same = certificate.public_bytes(Encoding.DER) == certificate_der
        # cryptography reads lazily: what it cannot read shall show here
        extensions = certificate.extensions
        _ = (certificate.subject, certificate.issuer, certificate.version, certificate.signature_hash_algorithm)
    except _UNREADABLE:
        raise NotAuthenticated("certificate-malformed") from None
    except x509.InvalidVersion:
        raise NotAuthenticated("certificate-version") from None
    if not same:
        raise NotAuthenticated("certificate-malformed")
    return certificate, extensions


def _check_validity(certificate: x509.Certificate, now: datetime, *, is_leaf: bool) -> datetime:
    """The last instant of the certificate's validity, both ends belonging to it (RFC 5280, 4.1.2.5)."""
    whose = "certificate" if is_leaf else "authority"
    if now < certificate.not_valid_before_utc:
        raise NotAuthenticated(f"{whose}-not-yet-valid")
    if now > certificate.not_valid_after_utc:
        raise NotAuthenticated(f"{whose}-expired")
    return certificate.not_valid_after_utc


def _check_name_constraints(path: Sequence[x509.Certificate]) -> None:
    """Keeps the name constraints of the authorities above (RFC 5280, 4.2.1.10).

    Constraints on the subject's name are honoured. Of the other kinds, one that could touch a name in the certificate's
    subjectAltName is a refusal: such names mean nothing here, and none of our rules reads them.
    """
    for position, authority in enumerate(path[1:], start=1):
        constraints = _extension(authority.extensions, x509.NameConstraints)
        if constraints is None:
            continue
        permitted, excluded = constraints.permitted_subtrees or [], constraints.excluded_subtrees or []
        kinds = {type(name) for name in (*permitted, *excluded)} - {x509.DirectoryName}
        for member in path[:position]:
            if member.subject == member.issuer and member is not path[0]:
                continue  # self-issued authorities are exempt
            subjects = [member.subject]
            alternative = _extension(member.extensions, x509.SubjectAlternativeName)
            for name in alternative or ():
                if isinstance(name, x509.DirectoryName):
                    subjects.append(name.value)
                elif type(name) in kinds:
                    raise NotAuthenticated("certificate-name-constraints")
            for subject in subjects:
                trees = [name.value for name in permitted if isinstance(name, x509.DirectoryName)]
                if trees and not any(_is_within(subject, tree) for tree in trees):
                    raise NotAuthenticated("certificate-name-constraints")
                if any(isinstance(name, x509.DirectoryName) and _is_within(subject, name.value) for name in excluded):
                    raise NotAuthenticated("certificate-name-constraints")


def _is_within(subject: x509.Name, tree: x509.Name) -> bool:
    return subject.rdns[: len(tree.rdns)] == tree.rdns


def _read_subject(subject: x509.Name, rules: CertificateRules) -> tuple[str, str, str]:
    """Application URN, CBE number and environment, by exact comparison of parsed attributes (SEC-47; design 1.3)."""
    if any(len(rdn) != 1 for rdn in subject.rdns):
        raise NotAuthenticated("certificate-subject")
    if any(tag not in (_UTF8_STRING, _PRINTABLE_STRING) for tag in _string_tags(subject.public_bytes())):
        raise NotAuthenticated("certificate-subject-encoding")
    texts: list[tuple[x509.ObjectIdentifier, str]] = []
    for attribute in subject:
        value = attribute.value
        if not isinstance(value, str) or not value or value != value.strip():
            raise NotAuthenticated("certificate-subject-text")
        if any(unicodedata.category(character) in _UNSEEN for character in value):
            raise NotAuthenticated("certificate-subject-text")
        texts.append((attribute.oid, value))
    common_names = [text for oid, text in texts if oid == NameOID.COMMON_NAME]
    if len(common_names) != 1 or not APPLICATION_URN.fullmatch(common_names[0]):
        raise NotAuthenticated("certificate-application-urn")
    units = [text for oid, text in texts if oid == NameOID.ORGANIZATIONAL_UNIT_NAME]
    cbe_numbers = [unit.removeprefix(CBE_PREFIX) for unit in units if unit.startswith(CBE_PREFIX)]
    if len(cbe_numbers) != 1 or not is_cbe_number(cbe_numbers[0]):
        raise NotAuthenticated("certificate-cbe-number")
    environments = [unit for unit in units if unit in tuple(Environment)]
    if len(environments) != 1:
        raise NotAuthenticated("certificate-environment")
    if rules.government_unit is not None:
        others = [unit for unit in units if not unit.startswith(CBE_PREFIX) and unit not in tuple(Environment)]
        if others != [rules.government_unit]:
            raise NotAuthenticated("certificate-organizational-unit")
    return common_names[0], cbe_numbers[0], environments[0]


_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories with no place in a name: controls, format marks, surrogates, unassigned."""


def _string_tags(name_der: bytes) -> Iterator[int]:
    """The ASN.1 tag of each attribute's value in a Name; the input is DER that cryptography wrote."""
    for rdn in _children(_contents(name_der)):
        for attribute in _children(_contents(rdn)):
            _, value = _children(_contents(attribute))
            yield value[0]


def _contents(element: bytes) -> bytes:
    first = element[1]
    return element[2 + (first & 0x7F if first & 0x80 else 0) :]


def _children(contents: bytes) -> Iterator[bytes]:
    while contents:
        first, start = contents[1], 2
        length = first
        if first & 0x80:
            start += first & 0x7F
            length = int.from_bytes(contents[2:start])
        yield contents[: start + length]
        contents = contents[start + length :]


def is_cbe_number(text: str) -> bool:
    """Whether these are ten digits of which the last two are 97 less the remainder of the first eight by 97."""
    return _CBE_DIGITS.fullmatch(text) is not None and 97 - int(text[:8]) % 97 == int(text[8:])


def _extension(extensions: x509.Extensions, kind: type[_Extension]) -> _Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _crl_locations(certificate: x509.Certificate) -> frozenset[str]:
    points = _extension(certificate.extensions, x509.CRLDistributionPoints)
    return frozenset().union(*(_uris(point.full_name) for point in points or ()))


def _uris(general_names: Iterable[x509.GeneralName] | None) -> frozenset[str]:
    return frozenset(name.value for name in general_names or () if isinstance(name, x509.UniformResourceIdentifier))
