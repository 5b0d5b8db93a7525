"""A public-key infrastructure for tests and sandboxes: every name in it says so, and no real one trusts it.

Two hierarchies, as on the platform (design 1.3, 1.4): one signs the server's TLS certificate, the other the
certificates of applications, one for each environment, with the subject that Smals and RSZ use. A third is that of the
time-stamping authority. Keys are made here and
kept in plain files of mode 0600: fit for what is thrown away, and for nothing else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.security.algorithms import PrivateKey
from cbss_inscription.security.trust import CBE_PREFIX, GOVERNMENT_UNIT

SERVER_NAMES: Final = ("localhost", "127.0.0.1", "::1")
TEST_ONLY: Final = "TEST ONLY"
"""What stands in every name of such a PKI, so that production can refuse it (SEC-77)."""
ORGANIZATION: Final = f"CBSS Inscription Sandbox ({TEST_ONLY})"
AUTHORITY_DAYS: Final = 3_650
"""Life of the test authorities, in days."""
CERTIFICATE_DAYS: Final = 730
"""Life of server and application certificates, in days."""
REVOCATION_LIST_DAYS: Final = 7
"""Life of a revocation list, in days."""
REVOCATION_LISTS: Final = "revocation-lists.pem"
"""The file with the lists of root and issuing authority."""
BACKDATE: Final = timedelta(hours=1)
"""How long before `now` certificates begin, so that clocks a little behind accept them."""

_FILE_STEMS: Final = ("tls-ca", "server", "application-root", "application-ca", "timestamp-ca", "timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A certificate, those that lead to its root, and its private key."""

    certificate: x509.Certificate
    intermediates: tuple[x509.Certificate, ...] = ()
    private_key: PrivateKey = field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate in PEM, its intermediates after it."""
        return b"".join(item.public_bytes(Encoding.PEM) for item in (self.certificate, *self.intermediates))

    @property
    def private_key_pem(self) -> bytes:
        """The private key in PEM, PKCS #8, not encrypted."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, certificate_path: Path, private_key_path: Path) -> None:
        """Writes both files, the private key readable by its owner only."""
        _write(certificate_path, self.certificate_pem)
        _write(private_key_path, self.private_key_pem, mode=0o600)

    @classmethod
    def read(cls, certificate_path: Path, private_key_path: Path) -> Credential:
        """What `write` wrote. Raises UsageError when a file is missing or cannot be read."""
        try:
            certificate, *intermediates = x509.load_pem_x509_certificates(certificate_path.read_bytes())
            key = load_pem_private_key(private_key_path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError):
            raise UsageError(f"The test certificate {certificate_path} or its key cannot be read.") from None
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise UsageError(f"The key {private_key_path} is of a kind the test PKI does not make.")
        return cls(certificate=certificate, intermediates=tuple(intermediates), private_key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPki:
    """The authorities of a sandbox, and the server's certificate."""

    __test__ = False  # pytest: this is no test class

    environment: str
    tls_authority: Credential
    server: Credential
    application_root: Credential
    application_authority: Credential
    timestamp_root: Credential
    timestamp_authority: Credential

    @classmethod
    def generate(cls, *, environment: str, now: datetime, server_names: Sequence[str] = SERVER_NAMES) -> TestPki:
        """A new PKI in memory. `environment` (ACC, LOCAL, …) is part of the application authorities' names."""
        until = now + timedelta(days=AUTHORITY_DAYS)
        tls_authority = issue_authority(
            f"Sandbox TLS CA ({TEST_ONLY})", issuer=None, not_before=now - BACKDATE, not_after=until
        )
        application_root = issue_authority(
            f"Sandbox Application Root CA {environment} ({TEST_ONLY})",
            issuer=None,
            not_before=now - BACKDATE,
            not_after=until,
            path_length=1,
        )
        timestamp_root = issue_authority(
            "Sandbox Time-Stamping CA (TEST ONLY)", issuer=None, not_before=now - BACKDATE, not_after=until
        )
        return cls(
            environment=environment,
            tls_authority=tls_authority,
            timestamp_root=timestamp_root,
            timestamp_authority=issue_timestamp_certificate(issuer=timestamp_root, now=now),
            server=issue_server_certificate(server_names, issuer=tls_authority, now=now),
            application_root=application_root,
            application_authority=issue_authority(
                f"Sandbox Application Issuing CA {environment} ({TEST_ONLY})",
                issuer=application_root,
                not_before=now - BACKDATE,
                not_after=until,
            ),
        )

    @classmethod
    def create(
        cls, directory: Path, *, environment: str, now: datetime, server_names: Sequence[str] = SERVER_NAMES
    ) -> TestPki:
        """A new PKI, written to `directory` (made when absent) under the names that `read` expects."""
        pki = cls.generate(environment=environment, now=now, server_names=server_names)
        directory.mkdir(parents=True, exist_ok=True)
        credentials = (
            pki.tls_authority,
            pki.server,
            pki.application_root,
            pki.application_authority,
            pki.timestamp_root,
            pki.timestamp_authority,
        )
        for stem, credential in zip(_FILE_STEMS, credentials, strict=True):
            credential.write(directory / f"{stem}.crt.pem", directory / f"{stem}.key.pem")
        _write(directory / "authorities.pem", pki.authorities_pem)
        return pki

    @classmethod
    def read(cls, directory: Path, *, environment: str) -> TestPki:
        """The PKI that `create` wrote. Raises UsageError when a file is missing."""
        tls_authority, server, application_root, application_authority, timestamp_root, timestamp_authority = (
            Credential.read(directory / f"{stem}.crt.pem", directory / f"{stem}.key.pem") for stem in _FILE_STEMS
        )
        return cls(
            environment=environment,
            tls_authority=tls_authority,
            server=server,
            application_root=application_root,
            application_authority=application_authority,
            timestamp_root=timestamp_root,
            timestamp_authority=timestamp_authority,
        )

    @property
    def authorities_pem(self) -> bytes:
        """Root and issuing authority of the applications, in PEM: what `TrustStore` takes."""
        return self.application_root.certificate_pem + self.application_authority.certificate.public_bytes(Encoding.PEM)

    def issue_application_certificate(
        self,
        application_urn: str,
        cbe_number: str,
        organization_name: str,
        *,
        environment: str | None = None,
        not_before: datetime,
        not_after: datetime | None = None,
        key_bits: int = 2_048,
        private_key: PrivateKey | None = None,
    ) -> Credential:
        """An application's certificate with the platform's subject (design 1.3), and its new key, or the one given.

        `environment` is the PKI's own by default, `not_after` two years after `not_before`.
        """
        return issue_application_certificate(
            application_subject(
                application_urn, cbe_number, organization_name, environment=environment or self.environment
            ),
            issuer=self.application_authority,
            not_before=not_before,
            not_after=not_after or not_before + timedelta(days=CERTIFICATE_DAYS),
            private_key=private_key or rsa.generate_private_key(public_exponent=65_537, key_size=key_bits),
        )

    def issue_revocation_list(
        self,
        serial_numbers: Sequence[int] = (),
        *,
        now: datetime,
        next_update: datetime | None = None,
        issuer: Credential | None = None,
    ) -> bytes:
        """A revocation list in PEM: of the issuing authority by default, fresh for a week."""
        signer = issuer or self.application_authority
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(signer.certificate.subject)
            .last_update(now)
            .next_update(next_update or now + timedelta(days=REVOCATION_LIST_DAYS))
            .add_extension(_authority_key_identifier(signer), critical=False)
            .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        )
        for number in serial_numbers:
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(signer.private_key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def write_revocation_lists(self, directory: Path, serial_numbers: Sequence[int] = (), *, now: datetime) -> None:
        """Writes the lists of both authorities of the applications, in one file that is replaced whole."""
        lists = self.issue_revocation_list(now=now, issuer=self.application_root) + self.issue_revocation_list(
            serial_numbers, now=now
        )
        new = directory / f"{REVOCATION_LISTS}.new"
        _write(new, lists)
        new.rename(directory / REVOCATION_LISTS)


def application_subject(
    application_urn: str, cbe_number: str, organization_name: str, *, environment: str
) -> x509.Name:
    """The subject of an application certificate, attribute for attribute as in the design's section 1.3."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "BE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization_name),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, GOVERNMENT_UNIT),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"{CBE_PREFIX}{cbe_number}"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, environment),
            x509.NameAttribute(NameOID.COMMON_NAME, application_urn),
        ]
    )


def issue_authority(
    common_name: str,
    *,
    issuer: Credential | None,
    not_before: datetime,
    not_after: datetime,
    path_length: int | None = 0,
    private_key: PrivateKey | None = None,
    extra_extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Credential:
    """A certification authority (P-256): self-signed without `issuer`. `extra_extensions` are pairs with `critical`."""
    key = private_key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "BE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (_key_usage(key_cert_sign=True, crl_sign=True), True),
        *extra_extensions,
    ]
    return _issue(subject, key, issuer, not_before, not_after, extensions)


def issue_server_certificate(server_names: Sequence[str], *, issuer: Credential, now: datetime) -> Credential:
    """A TLS server's certificate (P-256) for host names and IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, server_names[0]),
        ]
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([_general_name(name) for name in server_names]), False),
    ]
    return _issue(subject, key, issuer, now - BACKDATE, now + timedelta(days=CERTIFICATE_DAYS), extensions)


def issue_timestamp_certificate(*, issuer: Credential, now: datetime) -> Credential:
    """A time-stamping authority's certificate (P-256), for that purpose alone (RFC 3161, section 2.3)."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, "Sandbox time-stamping authority (TEST ONLY)"),
        ]
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),
    ]
    key = ec.generate_private_key(ec.SECP256R1())
    return _issue(subject, key, issuer, now - BACKDATE, now + timedelta(days=CERTIFICATE_DAYS), extensions)


def issue_application_certificate(
    subject: x509.Name,
    *,
    issuer: Credential,
    not_before: datetime,
    not_after: datetime,
    private_key: PrivateKey,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] | None = None,
    signature_hash: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
) -> Credential:
    """An application's certificate with any subject; `extensions` (pairs with `critical`) replace the usual ones."""
    usual: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(digital_signature=True), True),
    ]
    return _issue(
        subject,
        private_key,
        issuer,
        not_before,
        not_after,
        usual if extensions is None else extensions,
        signature_hash=signature_hash,
    )


def _issue(
    subject: x509.Name,
    key: PrivateKey,
    issuer: Credential | None,
    not_before: datetime,
    not_after: datetime,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    *,
    signature_hash: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
) -> Credential:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is not None:
        builder = builder.add_extension(_authority_key_identifier(issuer), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(issuer.private_key if issuer else key, signature_hash or hashes.SHA256())
    # A root is nobody's intermediate: its own certificate is not sent.
    above = (issuer.certificate, *issuer.intermediates) if issuer and _is_intermediate(issuer) else ()
    return Credential(certificate=certificate, intermediates=above, private_key=key)


def _is_intermediate(credential: Credential) -> bool:
    return credential.certificate.subject != credential.certificate.issuer


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(issuer: Credential) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    # The mode is there before the first byte is: no moment at which others can read a key.
    path.unlink(missing_ok=True)
    path.touch(mode=mode, exist_ok=False)
    path.write_bytes(data)
