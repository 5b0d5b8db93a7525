"""Which certificates are believed, and who they say the caller is: one changed certificate for each refusal."""

import base64
import threading
from datetime import UTC, datetime, timedelta
from itertools import permutations
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cbss_inscription.domain.errors import NotAuthenticated, UsageError
from cbss_inscription.sandbox.pki import (
    Credential,
    TestPki,
    application_subject,
    issue_application_certificate,
    issue_authority,
)
from cbss_inscription.security import trust
from cbss_inscription.security.trust import CBE_PREFIX, PATHS_MAX, CertificateRules, TrustStore, check_revocation_list
from tests.fuzz.mutations import read_der, write_der

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
URN = "employment:job-attest:werkkaart"
CBE = "0206731645"
O, OU, CN, C = (  # noqa: E741
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.COMMON_NAME,
    NameOID.COUNTRY_NAME,
)
GOVERNMENT = "Belgian Federal Government"


def der(credential):
    return credential.certificate.public_bytes(Encoding.DER)


def pem(*credentials):
    return b"".join(credential.certificate.public_bytes(Encoding.PEM) for credential in credentials)


def refusal(store, credential, now=NOW):
    try:
        store.check(credential if isinstance(credential, bytes) else der(credential), now)
    except NotAuthenticated as error:
        return error.reason
    return "accepted"


@pytest.fixture(scope="module")
def store(pki):
    return TrustStore(authorities_pem=pki.authorities_pem, environment="ACC")


@pytest.fixture(scope="module")
def issue(pki, key):
    """Issues a certificate that is good but for what is given."""

    def issue_it(subject=None, *, issuer=None, private_key=None, not_before=NOW - DAY, not_after=NOW + DAY, **options):
        return issue_application_certificate(
            subject or application_subject(URN, CBE, "Sandbox (TEST)", environment="ACC"),
            issuer=issuer or pki.application_authority,
            not_before=not_before,
            not_after=not_after,
            private_key=private_key or key,
            **options,
        )

    return issue_it


def usage(**set_):
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
    )
    values = dict.fromkeys([*names.split(), "encipher_only", "decipher_only"], False) | set_
    return (x509.KeyUsage(**values), True)


CA_FALSE = (x509.BasicConstraints(ca=False, path_length=None), True)
SIGNS = usage(digital_signature=True)


def test_good_certificate(store, issue, key):
    """A certificate of our authority names application, organisation and environment (SEC-42, SEC-47)."""
    caller = store.check(der(issue()), NOW)
    assert (caller.application_urn, caller.cbe_number, caller.environment) == (URN, CBE, "ACC")
    assert caller.public_key.public_numbers() == key.public_key().public_numbers()


# --- the path -------------------------------------------------------------------------------------------------------


def test_sec_42_another_authority(store, key):
    """A certificate of an authority of the same name but another key is refused (SEC-42)."""
    other = TestPki.generate(environment="ACC", now=NOW - DAY)
    credential = other.issue_application_certificate(URN, CBE, "x", not_before=NOW - DAY, private_key=key)
    assert refusal(store, credential) == "certificate-untrusted"


def test_sec_42_self_signed(store, issue, key):
    """A self-signed certificate with the right subject is refused (SEC-42)."""
    subject = application_subject(URN, CBE, "x", environment="ACC")
    assert refusal(store, issue(issuer=issue(subject))) == "certificate-untrusted"
    own = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .sign(key, hashes.SHA256())
    )
    assert refusal(store, own.public_bytes(Encoding.DER)) == "certificate-untrusted"


def test_sec_43_leaf_issued_leaf(store, issue):
    """A certificate issued with an application's own key is refused (SEC-43)."""
    assert refusal(store, issue(issuer=issue())) == "certificate-untrusted"


def test_sec_42_the_authority_itself(store, pki):
    """An authority's own certificate is no application's (SEC-43)."""
    assert refusal(store, pki.application_authority) == "certificate-authority"


def test_sec_42_right_authority_of_the_wrong_environment(pki, issue):
    """A certificate for another environment is refused, though it comes from a trusted authority (SEC-42, SEC-47)."""
    store = TrustStore(authorities_pem=pki.authorities_pem, environment="PRD")
    assert refusal(store, issue()) == "certificate-environment"


def test_sec_42_issued_by_the_root(store, pki, issue):
    """A certificate issued by the root itself is good as well (SEC-42)."""
    assert refusal(store, issue(issuer=pki.application_root)) == "accepted"


def test_sec_42_authorities_are_checked_when_loaded(pki, issue):
    """What leads to no root, is no authority, or is no certificate cannot be made a trust store of (SEC-42, SEC-48)."""
    for data in (
        b"",
        b"nonsense",
        pem(pki.application_authority),
        pem(issue()),
        pem(pki.application_root, issue()),
        pki.authorities_pem + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ):
        with pytest.raises(UsageError):
            TrustStore(authorities_pem=data, environment="ACC")
    with pytest.raises(UsageError):
        TrustStore(authorities_pem=pki.authorities_pem, environment="acc")


def authority(name="CA", issuer=None, not_before=NOW - DAY, not_after=NOW + DAY, **options):
    return issue_authority(name, issuer=issuer, not_before=not_before, not_after=not_after, **options)


@pytest.mark.parametrize(
    ("usages", "is_loaded"),
    [
        ((ExtendedKeyUsageOID.SERVER_AUTH,), False),
        ((ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH), True),
        ((ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,), True),
    ],
)
def test_sec_42_an_authority_for_another_purpose_is_not_loaded(pki, usages, is_loaded):
    """One that vouches for servers alone vouches for no application, whatever name it gives one (SEC-42)."""
    purpose = (x509.ExtendedKeyUsage(usages), False)
    data = pem(pki.application_root, authority(issuer=pki.application_root, extra_extensions=[purpose]))
    if is_loaded:
        TrustStore(authorities_pem=data, environment="ACC")
    else:
        with pytest.raises(UsageError, match="other purposes"):
            TrustStore(authorities_pem=data, environment="ACC")


def test_sec_43_weak_authorities_are_not_loaded(pki, key):
    """An authority without the right to sign certificates, or with a short or strange key, is not loaded (SEC-43)."""
    end = {"not_before": NOW - DAY, "not_after": NOW + DAY, "issuer": pki.application_root}
    subject = x509.Name([x509.NameAttribute(CN, "CA")])
    ca = (x509.BasicConstraints(ca=True, path_length=0), True)
    unknown = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
    certifies = usage(key_cert_sign=True)
    short = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)
    for private_key, extensions, options in (
        (key, [ca], {}),
        (key, [ca, usage(crl_sign=True)], {}),
        (key, [CA_FALSE, certifies], {}),
        (key, [certifies], {}),
        (key, [ca, certifies, unknown], {}),
        (key, [ca, certifies], {"signature_hash": hashes.SHA224()}),
        (short, [ca, certifies], {}),
        (ec.generate_private_key(ec.SECP224R1()), [ca, certifies], {}),
        (ed25519.Ed25519PrivateKey.generate(), [ca, certifies], {}),
    ):
        bad = issue_application_certificate(subject, private_key=private_key, extensions=extensions, **end, **options)
        with pytest.raises(UsageError):
            TrustStore(authorities_pem=pem(pki.application_root, bad), environment="ACC")
    good = issue_application_certificate(subject, private_key=key, extensions=[ca, certifies], **end)
    TrustStore(authorities_pem=pem(pki.application_root, good), environment="ACC")


def test_sec_48_unreadable_authority_is_not_loaded(pki):
    """An authority of whom a part cannot be read is a broken file like any other, found when it is loaded (SEC-48)."""
    root, issuing = der(pki.application_root), der(pki.application_authority)
    name, algorithm, extension = b"Sandbox Appl", b"\x2a\x86\x48\xce\x3d\x04\x03\x02", b"\x55\x1d\x13"
    for whole, part, broken in (
        (root, name, b"Sandbox App\xa9"),
        (root, extension, b"\x55\x1d\x0e"),
        (issuing, name, b"Sandbox App\xa9"),  # the first of two, its issuer's
        (issuing, algorithm, b"\x2a\x86\x48\xce\x3d\x04\x03\x7f"),
    ):
        assert part in whole
        armoured = base64.encodebytes(whole.replace(part, broken, 1 if whole is issuing and part is name else -1))
        with pytest.raises(UsageError, match="cannot be read"):
            TrustStore(
                authorities_pem=b"-----BEGIN CERTIFICATE-----\n" + armoured + b"-----END CERTIFICATE-----\n",
                environment="ACC",
            )


def test_sec_43_path_length(issue):
    """An authority below one that may have none below it is not loaded (RFC 5280, 4.2.1.9)."""
    root = authority("root", path_length=1)
    middle = authority("middle", issuer=root, path_length=None)
    assert refusal(TrustStore(authorities_pem=pem(root, middle), environment="ACC"), issue(issuer=middle)) == "accepted"
    low = authority("low", issuer=middle)
    with pytest.raises(UsageError):
        TrustStore(authorities_pem=pem(root, middle, low), environment="ACC")
    free = authority("root", path_length=None)
    middle = authority("middle", issuer=free, path_length=None)
    low = authority("low", issuer=middle)
    store = TrustStore(authorities_pem=pem(low, middle, free), environment="ACC")
    assert refusal(store, issue(issuer=low)) == "accepted"


def test_sec_43_longest_path(issue):
    """Six authorities below a root carry a certificate, a seventh is not loaded (SEC-42)."""
    chain = [authority("root", path_length=None)]
    for number in range(7):
        chain.append(authority(f"level {number}", issuer=chain[-1], path_length=None))
    store = TrustStore(authorities_pem=pem(*chain[:-1]), environment="ACC")
    assert refusal(store, issue(issuer=chain[-2])) == "accepted"
    with pytest.raises(UsageError, match="leads to no self-signed"):
        TrustStore(authorities_pem=pem(*chain), environment="ACC")


def test_sec_43_root_with_an_old_signature(key, issue):
    """A root's signature of itself proves nothing, and so may be weak (RFC 5280, 6.1)."""
    name_ = x509.Name([x509.NameAttribute(CN, "old root")])
    root = (
        x509.CertificateBuilder()
        .subject_name(name_)
        .issuer_name(name_)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage(key_cert_sign=True)[0], critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA224())
    )
    credential = Credential(certificate=root, private_key=key)
    store = TrustStore(authorities_pem=pem(credential), environment="ACC")
    assert refusal(store, issue(issuer=credential)) == "accepted"


def test_sec_42_self_issued_is_not_self_signed(issue):
    """An authority of its issuer's name but another key is no root; below its root it does not count for the length."""
    root = authority("CA", path_length=0)
    rolled = authority("CA", issuer=root, path_length=0)
    with pytest.raises(UsageError):
        TrustStore(authorities_pem=pem(rolled), environment="ACC")
    store = TrustStore(authorities_pem=pem(root, rolled), environment="ACC")
    assert refusal(store, issue(issuer=rolled)) == "accepted"


def test_sec_43_self_issued_authority_and_name_constraints(issue):
    """A self-issued authority is exempt from the constraints on names, what it issues is not (RFC 5280, 6.1.3)."""
    root = authority("CA", path_length=1, extra_extensions=[only_below((C, "BE"), (O, "Sandbox (TEST)"))])
    rolled, other = authority("CA", issuer=root), authority("Other CA", issuer=root)
    store = TrustStore(authorities_pem=pem(root, rolled, other), environment="ACC")
    assert refusal(store, issue(issuer=rolled)) == "accepted"
    assert refusal(store, issue(issuer=other)) == "certificate-name-constraints"
    foreign = application_subject(URN, CBE, "Foreign", environment="ACC")
    assert refusal(store, issue(foreign, issuer=rolled)) == "certificate-name-constraints"


def test_sec_43_name_constraints_above_a_self_issued_authority(issue):
    """What stands above a self-issued authority is not exempt with it (SEC-43; RFC 5280, 6.1.3)."""
    root = authority("root", path_length=2, extra_extensions=[only_below((C, "BE"), (O, "Sandbox (TEST)"))])
    outside = authority("CA", issuer=root, path_length=1)
    rolled = authority("CA", issuer=outside)
    store = TrustStore(authorities_pem=pem(root, outside, rolled), environment="ACC")
    assert refusal(store, issue(issuer=rolled)) == "certificate-name-constraints"


def test_sec_43_name_constraints_are_for_those_below(issue):
    """An authority need not itself have a name as it may certify (SEC-43; RFC 5280, 4.2.1.10)."""
    root = authority("root", path_length=1)
    issuing = authority("issuing", issuer=root, extra_extensions=[only_below((C, "BE"), (O, "Sandbox (TEST)"))])
    store = TrustStore(authorities_pem=pem(root, issuing), environment="ACC")
    assert refusal(store, issue(issuer=issuing)) == "accepted"
    foreign = application_subject(URN, CBE, "Foreign", environment="ACC")
    assert refusal(store, issue(foreign, issuer=issuing)) == "certificate-name-constraints"


def test_sec_42_no_path_goes_in_a_circle(issue):
    """Where authorities that lead to a root certify each other too, no path has one of them twice (SEC-42)."""
    first_key = ec.generate_private_key(ec.SECP256R1())
    root = authority("root", path_length=None)
    first = authority("first", issuer=root, private_key=first_key, path_length=None)
    second = authority("second", issuer=first, path_length=None)
    first_again = authority("first", issuer=second, private_key=first_key, path_length=None)
    store = TrustStore(authorities_pem=pem(root, first, second, first_again), environment="ACC")
    leaf = issue(issuer=second).certificate
    assert store.paths(leaf) == ((leaf, second.certificate, first.certificate, root.certificate),)


def test_sec_42_authorities_that_sign_each_other():
    """Authorities that certify each other in a circle lead to no root."""
    first_key, second_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    first = authority("first", private_key=first_key, path_length=None)
    second = authority("second", issuer=first, private_key=second_key, path_length=None)
    first_again = authority("first", issuer=second, private_key=first_key, path_length=None)
    with pytest.raises(UsageError):
        TrustStore(authorities_pem=pem(first_again, second), environment="ACC")


@pytest.mark.parametrize(
    ("which", "reason"), [("root", "authority"), ("issuing", "authority"), ("leaf", "certificate")]
)
def test_sec_43_validity(issue, which, reason):
    """Every certificate of the path must be valid now, both ends included (SEC-43)."""
    narrow = {"not_before": NOW, "not_after": NOW + timedelta(hours=1)}
    wide = {"not_before": NOW - DAY, "not_after": NOW + DAY}
    root = authority("root", path_length=1, **(narrow if which == "root" else wide))
    issuing = authority("issuing", issuer=root, **(narrow if which == "issuing" else wide))
    leaf = issue(issuer=issuing, **(narrow if which == "leaf" else wide))
    store = TrustStore(authorities_pem=pem(root, issuing), environment="ACC", rules=CertificateRules(cache_seconds=0))
    second = timedelta(seconds=1)
    assert refusal(store, leaf, NOW - second) == f"{reason}-not-yet-valid"
    assert refusal(store, leaf, NOW) == "accepted"
    assert refusal(store, leaf, NOW + timedelta(hours=1)) == "accepted"
    assert refusal(store, leaf, NOW + timedelta(hours=1) + second) == f"{reason}-expired"


@pytest.mark.parametrize("renewed", [("root",), ("issuing",), ("root", "issuing")])
def test_sec_42_renewed_authorities_of_one_key(issue, renewed):
    """Of old and new certificates of one authority, whichever is valid now carries the path, in any order (SEC-42)."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "issuing")}
    old, new, always = (NOW - DAY, NOW), (NOW - timedelta(hours=1), NOW + DAY), (NOW - DAY, NOW + DAY)
    hour, second = timedelta(hours=1), timedelta(seconds=1)
    generations = {name: (old, new) if name in renewed else (always,) for name in keys}
    roots = [authority("root", None, *when, path_length=1, private_key=keys["root"]) for when in generations["root"]]
    issuing = [authority("issuing", roots[0], *when, private_key=keys["issuing"]) for when in generations["issuing"]]
    leaf = issue(issuer=issuing[0], not_before=NOW - 2 * DAY, not_after=NOW + 2 * DAY)
    for bundle in permutations([*roots, *issuing]):
        store = TrustStore(authorities_pem=pem(*bundle), environment="ACC")
        for now in (NOW - DAY, NOW - hour, NOW, NOW + second, NOW + DAY):
            assert refusal(store, leaf, now) == "accepted"
        assert refusal(store, leaf, NOW - DAY - second) == "authority-not-yet-valid"
        assert refusal(store, leaf, NOW + DAY + second) == "authority-expired"
    without_new = TrustStore(authorities_pem=pem(roots[0], issuing[0]), environment="ACC")
    assert refusal(without_new, leaf, NOW) == "accepted"
    assert refusal(without_new, leaf, NOW + second) == "authority-expired"


def test_sec_44_renewed_authority_and_revocation(issue):
    """What is wrong with the path that is valid is the reason, not that another has expired, in any order (SEC-44)."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    old = authority("root", not_before=NOW - 2 * DAY, not_after=NOW - DAY, private_key=private_key)
    new = authority("root", private_key=private_key)
    leaf = issue(issuer=new)
    listed = crl(new, numbers=[leaf.certificate.serial_number])
    for bundle in permutations([old, new]):
        given = {"authorities_pem": pem(*bundle), "environment": "ACC"}
        assert refusal(TrustStore(**given, revocation_lists=[listed]), leaf) == "certificate-revoked"
        assert refusal(TrustStore(**given, revocation_required=True), leaf) == "revocation-unknown"
        assert refusal(TrustStore(**given), issue(issuer=new, not_after=NOW - timedelta(hours=1))) == (
            "certificate-expired"
        )


def test_sec_44_revoked_authority_is_passed_by_where_its_renewal_is_not(issue):
    """An authority's revoked certificate does not harm its other one: a list names certificates, not keys (SEC-44)."""
    root, private_key = authority("root", path_length=1), ec.generate_private_key(ec.SECP256R1())
    old, new = (authority("issuing", issuer=root, private_key=private_key) for _ in range(2))
    listed = crl(root, numbers=[old.certificate.serial_number])
    for bundle in permutations([root, old, new]):
        store = TrustStore(authorities_pem=pem(*bundle), environment="ACC", revocation_lists=[listed])
        assert refusal(store, issue(issuer=old)) == "accepted"
    alone = TrustStore(authorities_pem=pem(root, old), environment="ACC", revocation_lists=[listed])
    assert refusal(alone, issue(issuer=old)) == "certificate-revoked"


def test_sec_46_verdict_ends_with_the_path_that_carried_it(issue):
    """A verdict is not remembered beyond its own path, and is given anew by the renewed one (SEC-46)."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    old = authority("root", not_after=NOW + timedelta(minutes=1), private_key=private_key)
    new = authority("root", not_before=NOW + timedelta(minutes=2), private_key=private_key)
    leaf = issue(issuer=old)
    store = TrustStore(authorities_pem=pem(old, new), environment="ACC")
    assert refusal(store, leaf, NOW) == "accepted"
    assert refusal(store, leaf, NOW + timedelta(seconds=90)) in ("authority-expired", "authority-not-yet-valid")
    assert refusal(store, leaf, NOW + timedelta(minutes=2)) == "accepted"


def test_sec_42_paths_of_one_authority_are_bounded(issue):
    """An authority with PATHS_MAX ways to a root is loaded, with one more it is not (SEC-42)."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    roots = [authority("root", path_length=1, private_key=private_key) for _ in range(PATHS_MAX + 1)]
    issuing = authority("issuing", issuer=roots[0])
    store = TrustStore(authorities_pem=pem(issuing, *roots[:-1]), environment="ACC")
    assert refusal(store, issue(issuer=issuing)) == "accepted"
    with pytest.raises(UsageError):
        TrustStore(authorities_pem=pem(issuing, *roots), environment="ACC")


def directory(*attributes):
    return x509.DirectoryName(x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes]))


def only_below(*attributes):
    return (x509.NameConstraints(permitted_subtrees=[directory(*attributes)], excluded_subtrees=None), True)


@pytest.mark.parametrize(
    ("permitted", "excluded", "alternative", "expected"),
    [
        ([directory((C, "BE"))], None, None, "accepted"),
        ([directory((C, "BE"), (O, "Sandbox (TEST)"))], None, None, "accepted"),
        ([directory((C, "NL")), directory((C, "BE"))], None, None, "accepted"),
        ([directory((C, "NL"))], None, None, "certificate-name-constraints"),
        ([directory((O, "Sandbox (TEST)"))], None, None, "certificate-name-constraints"),
        (None, [directory((C, "BE"))], None, "certificate-name-constraints"),
        (None, [directory((C, "NL"))], None, "accepted"),
        (None, [x509.DNSName("example.org")], None, "accepted"),
        ([x509.DNSName("example.org")], None, None, "accepted"),
        ([x509.DNSName("example.org")], None, x509.DNSName("www.example.org"), "certificate-name-constraints"),
        ([x509.DNSName("example.org")], None, x509.RFC822Name("a@b.org"), "accepted"),
        ([directory((C, "BE"))], None, directory((C, "NL")), "certificate-name-constraints"),
    ],
)
def test_sec_43_name_constraints(issue, permitted, excluded, alternative, expected):
    """A name outside what the authority above may certify is refused (SEC-43; RFC 5280, 4.2.1.10)."""
    constraints = (x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=excluded), True)
    root = authority("root", extra_extensions=[constraints])
    store = TrustStore(authorities_pem=pem(root), environment="ACC")
    names = [(x509.SubjectAlternativeName([alternative]), False)] if alternative else []
    assert refusal(store, issue(issuer=root, extensions=[CA_FALSE, SIGNS, *names])) == expected


# --- the certificate itself -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ([SIGNS], "accepted"),
        ([CA_FALSE, SIGNS], "accepted"),
        ([CA_FALSE, usage(digital_signature=True, content_commitment=True, key_encipherment=True)], "accepted"),
        ([CA_FALSE], "certificate-key-usage"),
        ([], "certificate-key-usage"),
        ([CA_FALSE, usage(key_encipherment=True)], "certificate-key-usage"),
        ([CA_FALSE, usage(content_commitment=True)], "certificate-key-usage"),
        ([CA_FALSE, usage(digital_signature=True, key_cert_sign=True)], "certificate-key-usage"),
        ([CA_FALSE, usage(digital_signature=True, crl_sign=True)], "certificate-key-usage"),
        ([(x509.BasicConstraints(ca=True, path_length=None), True), SIGNS], "certificate-authority"),
        ([SIGNS, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)], "accepted"),
        ([SIGNS, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)], "accepted"),
        (
            [SIGNS, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)],
            "certificate-extended-key-usage",
        ),
        ([SIGNS, (x509.SubjectAlternativeName([x509.DNSName("x.example")]), True)], "accepted"),
        (
            [SIGNS, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)],
            "certificate-extension",
        ),
        ([SIGNS, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False)], "accepted"),
        (
            [SIGNS, (x509.NameConstraints(permitted_subtrees=[x509.DNSName("x")], excluded_subtrees=None), True)],
            "certificate-extension",
        ),
    ],
)
def test_sec_43_extensions(store, issue, extensions, expected):
    """An application's certificate may sign, is no authority, and has no critical unknown extension (SEC-43)."""
    assert refusal(store, issue(extensions=extensions)) == expected


def test_sec_43_key_sizes(pki, issue, store):
    """An RSA key under 2 048 bits is refused; so is a shorter or longer one than configured (SEC-43)."""
    small = issue(private_key=rsa.generate_private_key(public_exponent=65_537, key_size=1_024))
    assert refusal(store, small) == "certificate-key-size"
    almost = issue(private_key=rsa.generate_private_key(public_exponent=65_537, key_size=2_047))
    assert refusal(store, almost) == "certificate-key-size"
    strict = TrustStore(
        authorities_pem=pki.authorities_pem, environment="ACC", rules=CertificateRules(key_bits_min=3_072)
    )
    assert refusal(strict, issue()) == "certificate-key-size"
    narrow = TrustStore(
        authorities_pem=pki.authorities_pem,
        environment="ACC",
        rules=CertificateRules(key_bits_min=2_048, key_bits_max=2_048),
    )
    assert refusal(narrow, issue()) == "accepted"
    long = issue(private_key=rsa.generate_private_key(public_exponent=65_537, key_size=2_112))
    assert refusal(narrow, long) == "certificate-key-size"


def test_sec_43_key_exponent_and_kind(store, issue):
    """An RSA key with exponent 3, and a key that is not RSA, are refused (SEC-43)."""
    assert refusal(store, issue(private_key=rsa.generate_private_key(public_exponent=3, key_size=2_048))) == (
        "certificate-key-exponent"
    )
    assert refusal(store, issue(private_key=ec.generate_private_key(ec.SECP256R1()))) == "certificate-key"
    assert refusal(store, issue(private_key=ed25519.Ed25519PrivateKey.generate())) == "certificate-key"


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [(65_537, "accepted"), (65_541, "accepted"), (2**33 - 1, "accepted"), (2**33 + 1, "certificate-key-exponent")],
)
def test_sec_43_range_of_exponents(store, issue, key, exponent, expected):
    """An odd exponent from 65 537 up to 33 bits is taken, a longer one only costs time (SEC-43)."""
    modulus = key.public_key().public_numbers().n
    held = SimpleNamespace(public_key=lambda: rsa.RSAPublicNumbers(exponent, modulus).public_key())
    assert refusal(store, issue(private_key=held)) == expected


def test_sec_43_hash_of_the_signature(store, issue):
    """A certificate signed with less than SHA-256 is refused, one with more is not (SEC-43)."""
    assert refusal(store, issue(signature_hash=hashes.SHA384())) == "accepted"
    assert refusal(store, issue(signature_hash=hashes.SHA224())) == "certificate-algorithm"


def test_sec_43_version(pki, store, issue):
    """A certificate of version 1, which has no extensions to say what it may do, is refused (SEC-43)."""
    ((tag, (content, algorithm, _)),) = read_der(der(issue()))
    fields = [field for field in content[1] if field[0] not in {0xA0, 0xA3}]
    certified = write_der([(content[0], fields)])
    signature = pki.application_authority.private_key.sign(certified, ec.ECDSA(hashes.SHA256()))
    old = write_der([(tag, certified + write_der([algorithm, (0x03, b"\0" + signature)]))])
    assert x509.load_der_x509_certificate(old).version is x509.Version.v1
    assert refusal(store, old) == "certificate-version"


def test_sec_30_certificate_that_is_written_otherwise(store, issue, monkeypatch):
    """Bytes that a reader takes though it would not write them are refused: no two spellings of one caller (SEC-30)."""
    whole = der(issue())
    read = x509.load_der_x509_certificate
    monkeypatch.setattr(x509, "load_der_x509_certificate", lambda data: read(data.removesuffix(b"!")))
    assert refusal(store, whole) == "accepted"
    assert refusal(store, whole + b"!") == "certificate-malformed"


def test_sec_47_long_values_of_a_subject(store, issue):
    """The string types of a long subject are found as well, beyond DER's short lengths (SEC-47)."""
    street = (NameOID.STREET_ADDRESS, "x" * 300)
    assert refusal(store, issue(name(street, GOV, NUMBER, ACC, APPLICATION))) == "accepted"
    odd = (*street, _ASN1Type.UniversalString)
    assert refusal(store, issue(name(odd, GOV, NUMBER, ACC, APPLICATION))) == "certificate-subject-encoding"
    behind = (*APPLICATION, _ASN1Type.BMPString)
    assert refusal(store, issue(name(street, GOV, NUMBER, ACC, behind))) == "certificate-subject-encoding"


def test_sec_30_changed_certificate(store, issue):
    """A certificate with any bit changed, one byte less or one more is refused (SEC-30, SEC-42)."""
    data = der(issue())
    for position in range(0, len(data), 7):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        assert refusal(store, changed) in (
            "certificate-malformed",
            "certificate-untrusted",
            "certificate-version",
            "certificate-key-usage",
        )
    assert refusal(store, data[:-1]) == "certificate-malformed"
    assert refusal(store, data + b"\0") == "certificate-malformed"
    assert refusal(store, b"") == "certificate-malformed"


def sequence(*contents):
    """A DER SEQUENCE of what is given."""
    inside = b"".join(contents)
    return b"\x30\x82" + len(inside).to_bytes(2, "big") + inside


def forged(credential, issuer, old, new):
    """The certificate with some bytes of what is signed replaced by as many, and signed again by its issuer."""
    certificate = credential.certificate
    tbs = certificate.tbs_certificate_bytes
    assert len(old) == len(new)
    assert tbs.count(old) == 1
    tbs = tbs.replace(old, new)
    signature = issuer.private_key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    whole = certificate.public_bytes(Encoding.DER)
    start = whole.index(certificate.tbs_certificate_bytes) + len(certificate.tbs_certificate_bytes)
    algorithm = whole[start : start + 2 + whole[start + 1]]
    bits = b"\x00" + signature
    return sequence(tbs, algorithm, b"\x03" + bytes([len(bits)]) + bits)


VERSION_3 = bytes.fromhex("a003020102")
RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
EXPONENT = bytes.fromhex("0203010001")
BASIC_CONSTRAINTS, KEY_USAGE = bytes.fromhex("0603551d13"), bytes.fromhex("0603551d0f")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (VERSION_3, VERSION_3, "accepted"),
        (VERSION_3, bytes.fromhex("a003020101"), "certificate-version"),
        (VERSION_3, bytes.fromhex("a003020105"), "certificate-version"),
        (RSA_ENCRYPTION, bytes.fromhex("06092a864886f70d01017f"), "certificate-key"),
        (EXPONENT, bytes.fromhex("0203010002"), "certificate-key"),  # even
        (BASIC_CONSTRAINTS, KEY_USAGE, "certificate-malformed"),  # one extension twice
        (b"\x0c\x03ACC", b"\x0c\x03A\xffC", "certificate-malformed"),  # no UTF-8
        (b"\x0c\x03ACC", b"\x03\x03\x00CC", "certificate-malformed"),  # a BIT STRING
    ],
)
def test_sec_43_well_signed_nonsense(store, pki, issue, old, new, expected):
    """What an authority would have to be mad to sign is refused, and does not crash the service (SEC-38, SEC-43)."""
    assert refusal(store, forged(issue(), pki.application_authority, old, new)) == expected


# --- identity -------------------------------------------------------------------------------------------------------


def name(*attributes):
    """A Name of (oid, value[, string type]) attributes; a list among them is a multi-valued RDN."""

    def attribute(oid, value, kind=None):
        return x509.NameAttribute(oid, value, *([kind] if kind else []), _validate=False)

    return x509.Name(
        [
            x509.RelativeDistinguishedName([attribute(*part) for part in (item if isinstance(item, list) else [item])])
            for item in attributes
        ]
    )


GOV, NUMBER, ACC, APPLICATION = (OU, GOVERNMENT), (OU, CBE_PREFIX + CBE), (OU, "ACC"), (CN, URN)
SUBJECTS = [
    ([GOV, NUMBER, ACC, APPLICATION], "accepted"),
    ([APPLICATION, ACC, NUMBER, GOV], "accepted"),
    ([(C, "BE"), (O, 'Société, "Générale" + Cie'), GOV, NUMBER, ACC, APPLICATION], "accepted"),
    ([(NameOID.LOCALITY_NAME, "Brussel"), GOV, NUMBER, ACC, APPLICATION], "accepted"),
    ([(*GOV, _ASN1Type.PrintableString), NUMBER, ACC, (*APPLICATION, _ASN1Type.PrintableString)], "accepted"),
    # the URN
    ([GOV, NUMBER, ACC], "certificate-application-urn"),
    ([GOV, NUMBER, ACC, APPLICATION, (CN, "other")], "certificate-application-urn"),
    ([GOV, NUMBER, ACC, APPLICATION, APPLICATION], "certificate-application-urn"),
    ([GOV, NUMBER, ACC, (CN, "a b")], "certificate-application-urn"),
    ([GOV, NUMBER, ACC, (CN, "аpp")], "certificate-application-urn"),  # a Cyrillic letter
    ([GOV, NUMBER, ACC, (CN, "a" * 65)], "certificate-application-urn"),
    ([GOV, NUMBER, ACC, (CN, "app ")], "certificate-subject-text"),
    ([GOV, NUMBER, ACC, (CN, " app")], "certificate-subject-text"),
    ([GOV, NUMBER, ACC, (CN, "app\0")], "certificate-subject-text"),
    ([GOV, NUMBER, ACC, (CN, "app\u202e")], "certificate-subject-text"),
    ([(O, ""), GOV, NUMBER, ACC, APPLICATION], "certificate-subject-text"),
    ([(O, "x\ny"), GOV, NUMBER, ACC, APPLICATION], "certificate-subject-text"),
    ([GOV, NUMBER, ACC, [APPLICATION, (C, "BE")]], "certificate-subject"),
    ([GOV, [NUMBER, ACC], APPLICATION], "certificate-subject"),
    ([GOV, NUMBER, ACC, (*APPLICATION, _ASN1Type.BMPString)], "certificate-subject-encoding"),
    ([GOV, NUMBER, (*ACC, _ASN1Type.T61String), APPLICATION], "certificate-subject-encoding"),
    ([(O, "x", _ASN1Type.UniversalString), GOV, NUMBER, ACC, APPLICATION], "certificate-subject-encoding"),
    (
        [(NameOID.EMAIL_ADDRESS, "a@b.be", _ASN1Type.IA5String), GOV, NUMBER, ACC, APPLICATION],
        "certificate-subject-encoding",
    ),
    # the CBE number
    ([GOV, ACC, APPLICATION], "certificate-cbe-number"),
    ([GOV, NUMBER, NUMBER, ACC, APPLICATION], "certificate-cbe-number"),
    ([GOV, NUMBER, (OU, CBE_PREFIX + "0316380841"), ACC, APPLICATION], "certificate-cbe-number"),
    ([GOV, (OU, CBE_PREFIX + "206731645"), ACC, APPLICATION], "certificate-cbe-number"),
    ([GOV, (OU, CBE_PREFIX + "02067316450"), ACC, APPLICATION], "certificate-cbe-number"),
    ([GOV, (OU, CBE_PREFIX + "0206731646"), ACC, APPLICATION], "certificate-cbe-number"),
    ([GOV, (OU, CBE_PREFIX + "0206.731.645"), ACC, APPLICATION], "certificate-cbe-number"),
    ([GOV, (OU, CBE_PREFIX + "०२०६७३१६४५"), ACC, APPLICATION], "certificate-cbe-number"),
    ([GOV, (OU, CBE_PREFIX.upper() + CBE), ACC, APPLICATION], "certificate-cbe-number"),
    ([GOV, (OU, f"{CBE_PREFIX}{CBE},OU=PRD"), ACC, APPLICATION], "certificate-cbe-number"),
    ([GOV, (O, CBE_PREFIX + CBE), ACC, APPLICATION], "certificate-cbe-number"),
    # the environment
    ([GOV, NUMBER, APPLICATION], "certificate-environment"),
    ([GOV, NUMBER, (OU, "PRD"), APPLICATION], "certificate-environment"),
    ([GOV, NUMBER, (OU, "acc"), APPLICATION], "certificate-environment"),
    ([GOV, NUMBER, ACC, ACC, APPLICATION], "certificate-environment"),
    ([GOV, NUMBER, ACC, (OU, "PRD"), APPLICATION], "certificate-environment"),
    ([GOV, NUMBER, (OU, "ACC,OU=ACC"), APPLICATION], "certificate-environment"),
    ([GOV, NUMBER, (OU, "ACC "), APPLICATION], "certificate-subject-text"),
    # the rest of the organisational units
    ([NUMBER, ACC, APPLICATION], "certificate-organizational-unit"),
    ([(OU, "Other"), NUMBER, ACC, APPLICATION], "certificate-organizational-unit"),
    ([GOV, GOV, NUMBER, ACC, APPLICATION], "certificate-organizational-unit"),
    ([GOV, NUMBER, ACC, (OU, "acc"), APPLICATION], "certificate-organizational-unit"),
    ([(OU, GOVERNMENT.lower()), NUMBER, ACC, APPLICATION], "certificate-organizational-unit"),
]


@pytest.mark.filterwarnings("ignore:Attribute's length")  # cryptography's word on the name of 65 characters
@pytest.mark.parametrize("number", range(len(SUBJECTS)))
def test_sec_47_subject(store, issue, number):
    """The caller is read from the parsed subject, attribute by attribute; nothing doubtful is overlooked (SEC-47)."""
    attributes, expected = SUBJECTS[number]
    assert refusal(store, issue(name(*attributes))) == expected


def test_sec_47_other_units_can_be_allowed(pki, issue):
    """Where the government's unit is not demanded, other units may stand there (SEC-47)."""
    rules = CertificateRules(government_unit=None)
    store = TrustStore(authorities_pem=pki.authorities_pem, environment="ACC", rules=rules)
    assert refusal(store, issue(name(NUMBER, ACC, APPLICATION))) == "accepted"
    assert refusal(store, issue(name((OU, "Other"), NUMBER, ACC, APPLICATION))) == "accepted"
    assert refusal(store, issue(name((OU, "PRD"), NUMBER, ACC, APPLICATION))) == "certificate-environment"


def test_sec_49_renewed_certificate(store, issue):
    """A new certificate of the same application gives the same caller but for the fingerprint (SEC-49)."""
    first, second = store.check(der(issue()), NOW), store.check(der(issue()), NOW)
    assert first.certificate_fingerprint != second.certificate_fingerprint
    assert (first.application_urn, first.cbe_number) == (second.application_urn, second.cbe_number)


# --- revocation -----------------------------------------------------------------------------------------------------


def revoking_store(pki, *lists, required=True, **rules):
    return TrustStore(
        authorities_pem=pki.authorities_pem,
        environment="ACC",
        revocation_lists=lists,
        revocation_required=required,
        rules=CertificateRules(cache_seconds=0, **rules),
    )


@pytest.fixture(scope="module")
def root_list(pki):
    return pki.issue_revocation_list(now=NOW - DAY, next_update=NOW + DAY, issuer=pki.application_root)


def test_sec_44_good_and_revoked(pki, issue, root_list):
    """A certificate on its authority's revocation list is refused, another is not (SEC-44)."""
    good, bad = issue(), issue()
    revoked = pki.issue_revocation_list([bad.certificate.serial_number], now=NOW - DAY)
    for required in (True, False):
        store = revoking_store(pki, revoked, root_list, required=required)
        assert refusal(store, good) == "accepted"
        assert refusal(store, bad) == "certificate-revoked"


def test_sec_44_no_list(pki, issue, root_list):
    """Where revocation lists are required, one must be there for each certificate below the root (SEC-44)."""
    leaf, issuing_list = issue(), pki.issue_revocation_list(now=NOW - DAY)
    assert refusal(revoking_store(pki), leaf) == "revocation-unknown"
    assert refusal(revoking_store(pki, root_list), leaf) == "revocation-unknown"
    assert refusal(revoking_store(pki, issuing_list), leaf) == "revocation-unknown"
    assert refusal(revoking_store(pki, required=False), leaf) == "accepted"


def test_sec_44_revoked_authority(pki, issue):
    """All certificates of a revoked authority are refused (SEC-44)."""
    number = pki.application_authority.certificate.serial_number
    lists = (
        pki.issue_revocation_list(now=NOW - DAY),
        pki.issue_revocation_list([number], now=NOW - DAY, issuer=pki.application_root),
    )
    assert refusal(revoking_store(pki, *lists), issue()) == "certificate-revoked"


def test_sec_44_freshness(pki, issue, root_list):
    """A list counts from its issue up to its next update and the grace configured (SEC-44)."""
    leaf = issue()
    hour, second = timedelta(hours=1), timedelta(seconds=1)
    fresh = pki.issue_revocation_list(now=NOW, next_update=NOW + hour)
    store = revoking_store(pki, fresh, root_list)
    assert refusal(store, leaf, NOW - second) == "revocation-stale"
    assert refusal(store, leaf, NOW) == "accepted"
    assert refusal(store, leaf, NOW + hour) == "accepted"
    assert refusal(store, leaf, NOW + hour + second) == "revocation-stale"
    patient = revoking_store(pki, fresh, root_list, revocation_grace_seconds=60)
    assert refusal(patient, leaf, NOW + hour + second) == "accepted"
    assert refusal(patient, leaf, NOW + hour + timedelta(seconds=61)) == "revocation-stale"
    lenient = revoking_store(pki, fresh, required=False)
    assert refusal(lenient, leaf, NOW + hour + second) == "accepted"


def test_sec_44_a_stale_list_still_names_the_revoked(pki, issue, root_list):
    """A certificate on a stale list is refused even beside a fresh one that does not name it (SEC-44)."""
    leaf = issue()
    stale = pki.issue_revocation_list([leaf.certificate.serial_number], now=NOW - 3 * DAY, next_update=NOW - 2 * DAY)
    fresh = pki.issue_revocation_list(now=NOW - DAY)
    assert refusal(revoking_store(pki, fresh, stale, root_list), leaf) == "certificate-revoked"


def crl(issuer, extensions=(), *, numbers=(), hash_algorithm=None, entry_extension=None, this_update=NOW - DAY):
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(this_update)
        .next_update(NOW + DAY)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    for number in numbers:
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(NOW - DAY)
        if entry_extension:
            entry = entry.add_extension(entry_extension[0], critical=entry_extension[1])
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.private_key, hash_algorithm or hashes.SHA256()).public_bytes(Encoding.DER)


def point(**options):
    values = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return (x509.IssuingDistributionPoint(**(values | options)), True)


URL = x509.UniformResourceIdentifier("http://crl.example/1.crl")


def test_sec_44_lists_that_cannot_be_used(pki):
    """A list signed by another, a delta list, or one not understood is not loaded (SEC-44, SEC-48)."""
    ours = pki.application_authority
    impostor = Credential(certificate=ours.certificate, private_key=ec.generate_private_key(ec.SECP256R1()))
    for bad in (
        b"",
        b"nonsense",
        crl(impostor),
        crl(pki.tls_authority),
        crl(ours, hash_algorithm=hashes.SHA224()),
        crl(ours, [(x509.DeltaCRLIndicator(1), True)]),
        crl(ours, [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]),
        crl(ours, [point(indirect_crl=True)]),
        crl(ours, [point(relative_name=x509.RelativeDistinguishedName([x509.NameAttribute(CN, "part")]))]),
        crl(Credential(certificate=pki.tls_authority.certificate, private_key=ours.private_key)),
        crl(ours, [point(only_contains_attribute_certs=True)]),
        crl(ours, [point(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))]),
        crl(ours, numbers=[1], entry_extension=(x509.CertificateIssuer([URL]), True)),
    ):
        with pytest.raises(UsageError):
            revoking_store(pki, bad)
    revoking_store(pki, crl(ours))


def test_sec_44_what_is_told_of_a_certificate(pki, issue):
    """The ways to a root, and of each list of its issuer the times and whether it names the certificate (SEC-44)."""
    leaf = issue()
    lists = (crl(pki.application_authority, numbers=[leaf.certificate.serial_number]), crl(pki.application_root))
    store = revoking_store(pki, *lists)
    ((itself, issuing, root),) = store.paths(leaf.certificate)
    assert (itself, issuing) == (leaf.certificate, pki.application_authority.certificate)
    assert root == pki.application_root.certificate
    assert store.revocation_words(leaf.certificate) == ((NOW - DAY, NOW + DAY, True),)
    assert store.revocation_words(issuing) == ((NOW - DAY, NOW + DAY, False),)
    assert store.paths(pki.tls_authority.certificate) == ()


def test_sec_45_a_fetched_list_counts_on_both_its_days(pki):
    """A list that came over a network is of now from its issue up to its next update, both included (SEC-45)."""
    authorities_pem = pki.authorities_pem
    listed = crl(pki.application_authority)
    second = timedelta(seconds=1)
    for now in (NOW - DAY, NOW, NOW + DAY):
        check_revocation_list(listed, authorities_pem=authorities_pem, former=None, now=now)
    for now in (NOW - DAY - second, NOW + DAY + second):
        with pytest.raises(UsageError, match="not of now"):
            check_revocation_list(listed, authorities_pem=authorities_pem, former=None, now=now)


@pytest.mark.parametrize(
    ("former", "came", "expected"),
    [
        ((5, 2), (6, 1), "taken"),
        ((5, 2), (5, 2), "taken"),
        ((5, 2), (4, 1), "older"),  # by its number alone
        ((5, 1), (6, 2), "older"),  # by its date alone
        ((5, 2), (None, 1), "taken"),
        ((None, 2), (4, 1), "taken"),
        ((None, 2), (None, 2), "taken"),
        ((None, 1), (None, 2), "older"),
        ((5, 1), (None, 2), "older"),
    ],
)
def test_sec_45_a_fetched_list_is_not_older_than_the_one_before(pki, former, came, expected):
    """A list is older when its number is less, where both have one, or when it was issued earlier (SEC-44, SEC-45)."""

    def listed(number, days):
        numbered = [] if number is None else [(x509.CRLNumber(number), False)]
        return crl(pki.application_authority, numbered, this_update=NOW - days * DAY)

    def take():
        check_revocation_list(
            listed(*came), authorities_pem=pki.authorities_pem, former=listed(*former), now=NOW - DAY / 2
        )

    if expected == "taken":
        take()
    else:
        with pytest.raises(UsageError, match="older"):
            take()


def test_sec_45_a_fetched_list_may_be_text_after_blank_lines(pki):
    """A list in PEM that blank lines go before is read as it is from a file (SEC-45, SEC-48)."""
    listed = b"\n \n" + pki.issue_revocation_list(now=NOW - DAY)
    check_revocation_list(listed, authorities_pem=pki.authorities_pem, former=listed, now=NOW)


def test_sec_48_blank_lines_around_a_list(pki, issue, root_list):
    """Blank lines before and after the lists of a file are nothing (SEC-48)."""
    listed = pki.issue_revocation_list(now=NOW - DAY)
    store = revoking_store(pki, b"\n \n" + listed + b"\n" + root_list + b"\n\n")
    assert refusal(store, issue()) == "accepted"


def test_sec_48_unreadable_list_is_not_loaded(pki):
    """A list whose issuer's name or algorithm cannot be read is a broken file like any other (SEC-44, SEC-48)."""
    whole = crl(pki.application_authority)
    for part, broken in (
        (b"Sandbox Appl", b"Sandbox App\xa9"),
        (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", b"\x2a\x86\x48\xce\x3d\x04\x03\x7f"),
    ):
        assert part in whole
        with pytest.raises(UsageError, match="cannot be read"):
            revoking_store(pki, whole.replace(part, broken))


def test_sec_48_list_of_an_unknown_version_is_not_loaded(pki):
    """A list of a version that there is none of is a broken file like any other (SEC-44, SEC-48)."""
    whole = crl(pki.application_authority)
    version = whole.index(b"\x02\x01\x01\x30")
    with pytest.raises(UsageError, match="cannot be read"):
        revoking_store(pki, whole[: version + 2] + b"\x07" + whole[version + 3 :])


def test_sec_44_list_without_an_end_is_not_loaded(pki):
    """A list that does not say when the next one comes would be fresh for ever (SEC-44)."""
    ours = pki.application_authority
    ((tag, (content, algorithm, _)),) = read_der(crl(ours))
    times = [position for position, (kind, _) in enumerate(content[1]) if kind == 0x17]
    del content[1][times[1]]
    listed = write_der([content])
    signature = ours.private_key.sign(listed, ec.ECDSA(hashes.SHA256()))
    endless = write_der([(tag, listed + write_der([algorithm, (0x03, b"\0" + signature)]))])
    with pytest.raises(UsageError, match="when the next one comes"):
        revoking_store(pki, endless)


def test_sec_44_list_signed_by_a_key_of_another_kind_is_not_loaded(pki, key):
    """A list in an authority's name whose signature is not even of its key's kind is not loaded (SEC-44)."""
    impostor = Credential(certificate=pki.application_authority.certificate, private_key=key)
    with pytest.raises(UsageError, match="not signed by one of"):
        revoking_store(pki, crl(impostor))


@pytest.mark.parametrize("failure", [ValueError, TypeError, UnsupportedAlgorithm])
def test_sec_44_a_failure_is_no_signature(pki, failure):
    """A signature of a list that cannot even be checked is none (SEC-38, SEC-44)."""
    authority_ = pki.application_authority.certificate

    def fail(_key):
        raise failure("x")

    listed = SimpleNamespace(
        issuer=authority_.subject, signature_hash_algorithm=hashes.SHA256(), is_signature_valid=fail
    )
    assert trust._signed_revocation_list(listed, authority_) is False


def test_sec_44_list_of_an_authority_that_may_not_sign_lists(pki, key):
    """A list by an authority without that key usage is not loaded (SEC-44)."""
    ca = issue_application_certificate(
        x509.Name([x509.NameAttribute(CN, "no lists")]),
        issuer=pki.application_root,
        not_before=NOW - DAY,
        not_after=NOW + DAY,
        private_key=key,
        extensions=[(x509.BasicConstraints(ca=True, path_length=0), True), usage(key_cert_sign=True)],
    )
    with pytest.raises(UsageError):
        TrustStore(authorities_pem=pem(pki.application_root, ca), environment="ACC", revocation_lists=[crl(ca)])


def test_sec_44_list_for_users_or_authorities_only(pki, issue):
    """A list for users says nothing of authorities, and the other way round (SEC-44)."""
    leaf, root, ours = issue(), pki.application_root, pki.application_authority
    users, authorities = point(only_contains_user_certs=True), point(only_contains_ca_certs=True)
    assert refusal(revoking_store(pki, crl(ours, [users]), crl(root, [authorities])), leaf) == "accepted"
    assert refusal(revoking_store(pki, crl(ours, [authorities]), crl(root)), leaf) == "revocation-unknown"
    assert refusal(revoking_store(pki, crl(ours), crl(root, [users])), leaf) == "revocation-unknown"


def test_sec_44_partitioned_list(pki, issue, root_list):
    """A list of one distribution point speaks for the certificates that name that point (SEC-44)."""
    names_it = (x509.CRLDistributionPoints([x509.DistributionPoint([URL], None, None, None)]), False)
    with_point, without = issue(extensions=[SIGNS, names_it]), issue()
    part = crl(pki.application_authority, [point(full_name=[URL])])
    store = revoking_store(pki, part, root_list)
    assert refusal(store, with_point) == "accepted"
    assert refusal(store, without) == "revocation-unknown"


def test_sec_44_lists_that_are_not_asked_hide_none_that_is(pki, issue, root_list):
    """Behind lists of another authority, for others only, or of another point, one for all is found (SEC-44)."""
    good, bad, ours = issue(), issue(), pki.application_authority
    aside = (root_list, crl(ours, [point(only_contains_ca_certs=True)]), crl(ours, [point(full_name=[URL])]))
    for order in permutations(aside):
        store = revoking_store(pki, *order, crl(ours, numbers=[bad.certificate.serial_number]))
        assert refusal(store, good) == "accepted"
        assert refusal(store, bad) == "certificate-revoked"


def test_sec_44_reason_remove_from_crl(pki, issue, root_list):
    """An entry of any reason in a complete list is a revocation, `removeFromCRL` not excepted (SEC-44)."""
    leaf = issue()
    reason = (x509.CRLReason(x509.ReasonFlags.remove_from_crl), False)
    listed = crl(pki.application_authority, numbers=[leaf.certificate.serial_number], entry_extension=reason)
    assert refusal(revoking_store(pki, listed, root_list), leaf) == "certificate-revoked"


# --- the memory of verdicts -----------------------------------------------------------------------------------------


def judgements(store, monkeypatch):
    counted = []
    real = TrustStore._judge

    def judge(self, certificate_der, *rest):
        counted.append(certificate_der)
        return real(self, certificate_der, *rest)

    monkeypatch.setattr(TrustStore, "_judge", judge)
    return counted


def fresh_store(pki, **options):
    return TrustStore(authorities_pem=pki.authorities_pem, environment="ACC", **options)


def test_sec_46_verdicts_are_remembered_for_five_minutes(pki, issue, monkeypatch):
    """A verdict is remembered for five minutes, and not for a time before it was given (SEC-46)."""
    store, leaf = fresh_store(pki), der(issue())
    counted = judgements(store, monkeypatch)
    for seconds, expected in ((0, 1), (1, 1), (300, 1), (301, 2), (0, 3)):
        store.check(leaf, NOW + timedelta(seconds=seconds))
        assert len(counted) == expected


def test_sec_46_never_past_the_end(pki, issue, root_list):
    """A remembered verdict ends with the certificate and with the revocation list (SEC-46)."""
    minute, second = timedelta(minutes=1), timedelta(seconds=1)
    short = issue(not_after=NOW + minute)
    store = fresh_store(pki)
    assert refusal(store, short) == "accepted"
    assert refusal(store, short, NOW + minute + second) == "certificate-expired"
    lists = [pki.issue_revocation_list(now=NOW - DAY, next_update=NOW + minute), root_list]
    store, leaf = fresh_store(pki, revocation_lists=lists, revocation_required=True), issue()
    assert refusal(store, leaf) == "accepted"
    assert refusal(store, leaf, NOW + minute + second) == "revocation-stale"


@pytest.mark.parametrize("latest_first", [True, False])
def test_sec_46_of_fresh_lists_the_one_that_lasts_counts(pki, issue, root_list, monkeypatch, latest_first):
    """A verdict is remembered up to the end of the list that lasts longest, grace included (SEC-44, SEC-46)."""
    minute = timedelta(minutes=1)
    lists = [pki.issue_revocation_list(now=NOW - DAY, next_update=NOW + end) for end in (2 * minute, minute)]
    store = fresh_store(
        pki,
        revocation_lists=[*(lists if latest_first else reversed(lists)), root_list],
        revocation_required=True,
        rules=CertificateRules(revocation_grace_seconds=60),
    )
    counted, leaf = judgements(store, monkeypatch), der(issue())
    for late, expected in ((0 * minute, 1), (3 * minute, 1)):
        store.check(leaf, NOW + late)
        assert len(counted) == expected
    assert refusal(store, leaf, NOW + 3 * minute + timedelta(seconds=1)) == "revocation-stale"


def test_sec_46_bounded(pki, issue, monkeypatch):
    """Only so many verdicts are remembered, the least used go first, and refusals are not remembered (SEC-46)."""
    store = fresh_store(pki, rules=CertificateRules(cache_entries_max=2))
    first, second, third = (der(issue()) for _ in range(3))
    counted = judgements(store, monkeypatch)
    for leaf in (first, second, first, third, first):
        store.check(leaf, NOW)
    assert counted == [first, second, third]
    for number in range(10):
        assert refusal(store, bytes([number])) == "certificate-malformed"
    store.check(first, NOW)
    store.check(third, NOW)
    assert len(counted) == 13
    assert len(store._verdicts) == 2
    assert CertificateRules(cache_entries_max=1).cache_entries_max == 1


def test_sec_46_threads(pki, issue):
    """Several threads may ask one store at once (SEC-46)."""
    store = fresh_store(pki, rules=CertificateRules(cache_entries_max=3))
    leaves = [der(issue()) for _ in range(6)]
    failures = []

    def ask(offset):
        try:
            for number in range(60):
                store.check(leaves[(number + offset) % 6], NOW)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize(
    "options",
    [
        {"key_bits_min": 2_047},
        {"key_bits_max": 16_385},
        {"key_bits_min": 3_072, "key_bits_max": 2_048},
        {"cache_seconds": 301},
        {"cache_entries_max": 0},
        {"cache_entries_max": 16_385},
    ],
)
def test_rules_cannot_be_loosened(options):
    """Shorter keys or longer memories than the design allows cannot be configured (SEC-43, SEC-46)."""
    with pytest.raises(UsageError):
        CertificateRules(**options)
