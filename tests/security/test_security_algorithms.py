"""Keys on elliptic curves, for services that allow them: our signer, our verifier and python-xmlsec agree."""

import base64
from datetime import timedelta

import pytest
import xmlsec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cbss_inscription import names
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.security.algorithms import BY_URI, KeyNotTaken, SignatureAlgorithm, algorithm_for
from cbss_inscription.security.c14n import canonical
from cbss_inscription.security.explain import Station, Verdict, explain
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.sign import Signer, sign
from cbss_inscription.security.trust import CertificateRules, TrustStore

CURVES = {ec.SECP256R1: SignatureAlgorithm.ECDSA_SHA256, ec.SECP384R1: SignatureAlgorithm.ECDSA_SHA384}
ALLOWED = SecurityPolicy(signature_algorithms=frozenset(BY_URI))
# The orders n of the groups (FIPS 186-5 by way of SEC 2, sections 2.4.2 and 2.5.1)
ORDERS = {
    ec.SECP256R1: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ec.SECP384R1: int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
    ),
}


@pytest.fixture(scope="module", params=CURVES, ids=lambda curve: curve.name)
def curve(request):
    return request.param


@pytest.fixture(scope="module")
def credential(forge, curve):
    return forge.pki.issue_application_certificate(
        forge.urn,
        forge.cbe,
        "Sandbox (TEST)",
        not_before=forge.now - timedelta(days=1),
        private_key=ec.generate_private_key(curve()),
    )


@pytest.fixture(scope="module")
def signer(credential):
    return Signer.from_pem(credential.certificate_pem, credential.private_key_pem)


@pytest.fixture(scope="module")
def trust(forge):
    return TrustStore(
        authorities_pem=forge.pki.authorities_pem,
        environment="ACC",
        rules=CertificateRules(curves=frozenset(curve.name for curve in CURVES)),
    )


@pytest.fixture
def message(forge, signer):
    return sign(forge.request, signer=signer, now=forge.now)


def with_signature(message, value):
    """The message with another SignatureValue, given as bytes."""
    root = etree.fromstring(message)
    next(root.iter(names.DS_SIGNATURE_VALUE)).text = base64.b64encode(value).decode()
    return etree.tostring(root)


def signature_of(message):
    return base64.b64decode(next(etree.fromstring(message).iter(names.DS_SIGNATURE_VALUE)).text)


def registered(root):
    """A context of xmlsec that knows the ids, and allows the profile's transforms only."""
    context = xmlsec.SignatureContext()
    for element in root.iter(etree.Element):
        if element.get(names.WSU_ID):
            context.register_id(element, "Id", names.WSU)
    return context


def test_sec_33_elliptic_curves_are_off_by_default(forge, message, trust):
    """Neither algorithms nor certificates of elliptic curves are accepted unless they are set (SEC-33, SEC-43)."""
    assert forge.refusal(message) == "NotAuthenticated algorithm"
    assert forge.refusal(message, policy=ALLOWED) == "NotAuthenticated certificate-key"
    assert forge.refusal(message, trust=trust) == "NotAuthenticated algorithm"
    assert forge.refusal(message, policy=ALLOWED, trust=trust) == "accepted"


def test_sec_33_all_of_them_may_be_allowed():
    """A policy may allow every algorithm there is, but not none, and not one that there is none of (SEC-33)."""
    assert SecurityPolicy(signature_algorithms=frozenset(BY_URI)).signature_algorithms == BY_URI.keys()
    for wrong in (frozenset(), frozenset(BY_URI) | {names.SHA256}):
        with pytest.raises(UsageError, match="signature algorithms"):
            SecurityPolicy(signature_algorithms=wrong)


def test_sec_43_only_curves_that_are_allowed(forge, credential, message):
    """A key on another curve than those allowed is refused (SEC-43)."""
    others = frozenset(curve.name for curve in CURVES) - {credential.private_key.curve.name}
    store = TrustStore(
        authorities_pem=forge.pki.authorities_pem, environment="ACC", rules=CertificateRules(curves=others)
    )
    assert forge.refusal(message, policy=ALLOWED, trust=store) == "NotAuthenticated certificate-key"


def test_sec_40_xmlsec_verifies_what_we_sign(message, credential, curve):
    """A request signed by us with a key on a curve is verified by python-xmlsec (SEC-40)."""
    root = etree.fromstring(message)
    context = registered(root)
    pem = credential.certificate.public_bytes(Encoding.PEM)
    context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.CERT_PEM)
    context.verify(next(root.iter(names.DS_SIGNATURE)))
    next(root.iter("{urn:test:inscription}ssin")).text = "1"
    context = registered(root)
    context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.CERT_PEM)
    with pytest.raises(xmlsec.Error):
        context.verify(next(root.iter(names.DS_SIGNATURE)))


def test_sec_41_xmlsec_signs_and_we_accept(forge, message, credential, trust):
    """A request signed by python-xmlsec with a key on a curve is accepted (SEC-41)."""
    root = etree.fromstring(message)
    for value in (*root.iter(names.DS_DIGEST_VALUE), next(root.iter(names.DS_SIGNATURE_VALUE))):
        value.text = None
    context = registered(root)
    context.key = xmlsec.Key.from_memory(credential.private_key_pem, xmlsec.KeyFormat.PEM)
    context.sign(next(root.iter(names.DS_SIGNATURE)))
    signed = etree.tostring(root)
    assert signature_of(signed) != signature_of(message)
    assert forge.refusal(signed, policy=ALLOWED, trust=trust) == "accepted"


def test_sec_52_a_malleated_signature_is_the_same_message(forge, message, trust, curve):
    """(r, n-s) is as good a signature as (r, s), and the message is known again all the same (SEC-52, A16, TV-80)."""
    value = signature_of(message)
    half = len(value) // 2
    twin_s = ORDERS[curve] - int.from_bytes(value[half:], "big")
    twin = with_signature(message, value[:half] + twin_s.to_bytes(half, "big"))
    options = {"policy": ALLOWED, "trust": trust}
    assert signature_of(twin) != value
    assert forge.verify(twin, **options).replay_key == forge.verify(message, **options).replay_key


def test_sec_33_r_and_s_have_their_length_and_range(forge, message, credential, trust, curve):
    """ASN.1, a byte more or less, and r or s outside the curve's range are no signature (SEC-33, SEC-38)."""
    options = {"policy": ALLOWED, "trust": trust}
    value = signature_of(message)
    half = len(value) // 2
    assert half == (curve.key_size + 7) // 8
    signed_info = canonical(next(etree.fromstring(message).iter(names.DS_SIGNED_INFO)))
    asn_1 = credential.private_key.sign(signed_info, ec.ECDSA(_hash_of(curve)))
    for other in (
        asn_1,
        value + b"\0",
        b"\0" + value,
        value[1:],
        value[:-1],
        b"\0" + value[:half] + b"\0" + value[half:],
    ):
        assert forge.refusal(with_signature(message, other), **options) == "NotAuthenticated signature-failure"
    zero, order = bytes(half), ORDERS[curve].to_bytes(half, "big")
    for r, s in (
        (zero, value[half:]),
        (value[:half], zero),
        (zero, zero),
        (order, value[half:]),
        (value[:half], order),
    ):
        assert forge.refusal(with_signature(message, r + s), **options) == "NotAuthenticated signature-value"


def _hash_of(curve):
    return hashes.SHA256() if curve is ec.SECP256R1 else hashes.SHA384()


def test_sec_33_small_r_and_s_are_filled_up_with_zeros(credential, curve):
    """Each of r and s takes all its bytes, its leading zeros too (SEC-33; XML Signature 6.4.3)."""
    algorithm = CURVES[curve]
    size = 2 * ((curve.key_size + 7) // 8)
    with_zero = 0
    for number in range(600):
        value = algorithm.sign(credential.private_key, b"%d" % number)
        assert len(value) == size
        with_zero += 0 in (value[0], value[size // 2])
        if with_zero:
            algorithm.verify(credential.private_key.public_key(), value, b"%d" % number)
            break
    assert with_zero


def test_sec_33_the_key_fits_the_algorithm(forge, message, credential, trust, curve):
    """An RSA algorithm with a key on a curve, a curve's with an RSA key or another curve's: all refused (SEC-33)."""
    for algorithm in SignatureAlgorithm:
        root = etree.fromstring(message)
        next(root.iter(names.DS_SIGNATURE_METHOD)).set("Algorithm", algorithm.uri)
        expected = "accepted" if algorithm is CURVES[curve] else "NotAuthenticated algorithm-key"
        assert forge.refusal(etree.tostring(root), policy=ALLOWED, trust=trust) == expected
    root = forge.tree()
    next(root.iter(names.DS_SIGNATURE_METHOD)).set("Algorithm", CURVES[curve].uri)
    assert forge.refusal(root, policy=ALLOWED, trust=trust) == "NotAuthenticated algorithm-key"


def test_sec_33_the_algorithms_themselves_insist_on_their_keys(forge, credential, curve):
    """No algorithm signs or verifies with a key of another kind, whoever asks (SEC-33)."""
    rsa_key, curve_key = forge.credential.private_key, credential.private_key
    for algorithm, key in ((SignatureAlgorithm.RSA_SHA256, curve_key), (CURVES[curve], rsa_key)):
        with pytest.raises(KeyNotTaken):
            algorithm.sign(key, b"x")
        with pytest.raises(KeyNotTaken):
            algorithm.verify(key.public_key(), b"x" * 64, b"x")
    with pytest.raises(InvalidSignature):
        SignatureAlgorithm.RSA_SHA256.verify(rsa_key.public_key(), b"x" * 256, b"x")
    assert algorithm_for(curve_key) is CURVES[curve]
    assert algorithm_for(ec.generate_private_key(ec.SECP521R1())) is None


def test_sec_33_a_word_and_an_identifier_for_each():
    """The settings' words are the ends of the identifiers of XML Signature, and none of them is weak (SEC-33)."""
    assert {uri.partition("#")[2]: uri.partition("#")[0] for uri in BY_URI} == dict.fromkeys(
        map(str, SignatureAlgorithm), "http://www.w3.org/2001/04/xmldsig-more"
    )


def test_sec_88_explain_tells_of_curves(forge, message, credential, trust, curve):
    """The key, the algorithm that would fit it, and a signature in ASN.1 are told (SEC-88)."""
    signed_info = canonical(next(etree.fromstring(message).iter(names.DS_SIGNED_INFO)))
    asn_1 = credential.private_key.sign(signed_info, ec.ECDSA(_hash_of(curve)))
    assert decode_dss_signature(asn_1)
    facts = _facts(explain_of(forge, with_signature(message, asn_1), trust))
    assert facts["looks like"] == f"ECDSA in ASN.1 with {_hash_of(curve).name} over the canonical SignedInfo"
    assert facts["key of the certificate"].startswith(f"{curve.name}, ")
    root = etree.fromstring(message)
    next(root.iter(names.DS_SIGNATURE_METHOD)).set("Algorithm", names.RSA_SHA256)
    facts = _facts(explain_of(forge, etree.tostring(root), trust))
    assert facts["algorithm"] == f"rsa-sha256 is not for that key, but {CURVES[curve]} would be"
    good = explain_of(forge, message, trust)
    assert good.refusal is None
    assert not any(step.verdict is Verdict.REFUSED for step in good.steps)


def explain_of(forge, message, trust):
    return explain(message, charset=None, policy=ALLOWED, trust=trust, now=forge.now)


def _facts(seen):
    (step,) = (step for step in seen.steps if step.name == Station.SIGNATURE_VALUE)
    return {fact.name: fact.value for fact in step.facts}


def test_sec_43_rsa_is_accepted_beside_curves(forge, trust):
    """Where curves are allowed, RSA is as before, its least length too (SEC-43)."""
    assert forge.refusal(forge.message(), policy=ALLOWED, trust=trust) == "accepted"
    short = forge.pki.issue_application_certificate(
        forge.urn,
        forge.cbe,
        "Sandbox (TEST)",
        not_before=forge.now - timedelta(days=1),
        private_key=rsa.generate_private_key(public_exponent=65_537, key_size=1_024),
    )
    assert forge.refusal_by(short, policy=ALLOWED, trust=trust) == "NotAuthenticated certificate-key-size"
