"""The sandbox's own PKI: fit for our service, and for nobody to mistake."""

import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.sandbox.pki import Credential, TestPki
from cbss_inscription.security.sign import Signer
from cbss_inscription.security.trust import TrustStore

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("pki") / "made"
    TestPki.create(path, environment="LOCAL", now=NOW)
    return path


def test_files(directory):
    """Every private key is readable by its owner only, every certificate by all (SEC-77)."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert len(modes) == 13
    assert {mode for name, mode in modes.items() if name.endswith(".key.pem")} == {0o600}
    assert {mode for name, mode in modes.items() if not name.endswith(".key.pem")} == {0o644}


def test_read_what_was_written(directory):
    """The PKI read back issues certificates that the written authorities are trusted for."""
    pki = TestPki.read(directory, environment="LOCAL")
    credential = pki.issue_application_certificate("app:test", "0206731645", "Test", not_before=NOW)
    trust = TrustStore(authorities_pem=(directory / "authorities.pem").read_bytes(), environment="LOCAL")
    signer = Signer.from_pem(credential.certificate_pem, credential.private_key_pem)
    assert trust.check(signer.certificate_der, NOW).application_urn == "app:test"


def test_subject_of_an_application(directory):
    """An application's subject is the platform's, attribute for attribute (design 1.3)."""
    pki = TestPki.read(directory, environment="LOCAL")
    credential = pki.issue_application_certificate("app:test", "0206731645", "Test", not_before=NOW)
    assert [(attribute.oid, attribute.value) for attribute in credential.certificate.subject] == [
        (NameOID.COUNTRY_NAME, "BE"),
        (NameOID.ORGANIZATION_NAME, "Test"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Belgian Federal Government"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "urn:be:fgov:kbo-bce:organization:cbe-number:0206731645"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "LOCAL"),
        (NameOID.COMMON_NAME, "app:test"),
    ]


def test_credential_files(tmp_path, directory):
    """A credential is read back from its two files with its intermediates; a missing file is said so."""
    pki = TestPki.read(directory, environment="LOCAL")
    credential = pki.issue_application_certificate("app:test", "0206731645", "Test", not_before=NOW)
    credential.write(tmp_path / "a.crt", tmp_path / "a.key")
    again = Credential.read(tmp_path / "a.crt", tmp_path / "a.key")
    assert again.certificate_pem == credential.certificate_pem
    assert again.intermediates == (pki.application_authority.certificate,)
    with pytest.raises(UsageError):
        Credential.read(tmp_path / "b.crt", tmp_path / "a.key")
    with pytest.raises(UsageError):
        Credential.read(tmp_path / "a.key", tmp_path / "a.crt")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_server_certificate(directory, name):
    """The server's certificate is good for its names by a verifier of public TLS certificates, and P-256."""
    import ipaddress

    pki = TestPki.read(directory, environment="LOCAL")
    assert isinstance(pki.server.private_key.curve, ec.SECP256R1)
    subject = x509.DNSName(name) if name == "localhost" else x509.IPAddress(ipaddress.ip_address(name))
    verifier = PolicyBuilder().store(Store([pki.tls_authority.certificate])).time(NOW).build_server_verifier(subject)
    assert len(verifier.verify(pki.server.certificate, [])) == 2
    assert pki.server.certificate.not_valid_after_utc > NOW + timedelta(days=365)


def test_names_say_what_they_are(directory):
    """Every authority's name says that it is for tests only."""
    pki = TestPki.read(directory, environment="LOCAL")
    for authority in (pki.tls_authority, pki.application_root, pki.application_authority):
        (name,) = authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert "TEST ONLY" in str(name.value)
