"""`explain` says of a message what `verify` says, by the same code, and shows what it saw (SEC-88).

That they agree on every hostile message is asked in `tests/vectors`.
"""

import base64
import copy
import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cbss_inscription import names
from cbss_inscription.sandbox.pki import issue_application_certificate
from cbss_inscription.security import explain as explain_module
from cbss_inscription.security.c14n import canonical
from cbss_inscription.security.explain import FACT_CHARS_MAX, Verdict, certificate_step_of, explain, fact
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.stations import Station
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.soap.remedies import REMEDIES


def explained(forge, message, *, now=None, policy=None, trust=None, charset=None):
    if not isinstance(message, bytes):
        message = etree.tostring(message)
    return explain(
        message, charset=charset, policy=policy or forge.policy, trust=trust or forge.trust, now=now or forge.now
    )


def assert_same(forge, message, **options):
    """The explanation, after it was compared with what `verify` says."""
    if not isinstance(message, bytes):
        message = etree.tostring(message)
    seen = explained(forge, message, **options)
    expected = forge.refusal(message, **options)
    refusal = seen.refusal
    assert (f"{type(refusal).__name__} {refusal.reason}" if refusal else "accepted") == expected
    refused = [step for step in seen.steps if step.verdict is Verdict.REFUSED]
    if refusal is None:
        assert {step.verdict for step in seen.steps} == {Verdict.OK}
        assert seen.verified is not None
    else:
        assert seen.verified is None
        assert [step.reason for step in refused] == [refusal.reason]
        verdicts = [step.verdict for step in seen.steps]
        place = verdicts.index(Verdict.REFUSED)
        assert set(verdicts[:place]) <= {Verdict.OK}
        assert set(verdicts[place + 1 :]) <= {Verdict.NOT_REACHED}
        assert refusal.reason in REMEDIES
    for step in seen.steps:
        assert "00000000097" not in " ".join(item.value for item in step.facts)  # facts hold no text of the Body
    return seen


def facts_of(seen, name):
    (step,) = (step for step in seen.steps if step.name == name)
    return step, {item.name: item.value for item in step.facts}


def test_sec_88_genuine_message(forge):
    """Every step of a genuine message is ok, in the order of the verification, with what was seen."""
    seen = assert_same(forge, forge.message())
    certificate = ("certificate", "certificate-path", "certificate-use", "certificate-validity", "identity")
    stations = [station for station in Station if station is not Station.CERTIFICATE]
    assert [step.name for step in seen.steps] == [*stations[:7], *certificate, *stations[7:]]
    _, identity = facts_of(seen, "identity")
    assert (identity["application URN"], identity["CBE number"], identity["environment"]) == (
        forge.urn,
        forge.cbe,
        "ACC",
    )
    for part in ("token", "timestamp", "body"):
        step, digest = facts_of(seen, f"{part}-digest")
        assert digest["expected"] == digest["found"]
        assert step.part is None


# --- bytes, limits, times -----------------------------------------------------------------------------------------


LAUGHS = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'


@pytest.mark.parametrize(
    ("message", "charset"),
    [
        (b"", None),
        (b"no XML", None),
        (b"<a", None),
        (LAUGHS, None),
        (LAUGHS.decode().encode("utf-16"), None),
        (b"<?pi?><a/>", None),
        (b"<a/>", "latin-1"),
        (b"\xff\xfe\x00", None),
        (b"<a>\xe9</a>", None),
        (b'<?xml version="1.1"?><a/>', None),
        (b"<a>" * 40 + b"</a>" * 40, None),
        (b"<a>" * 400 + b"</a>" * 400, None),
        (b"<a " + b" ".join(b'x%d="1"' % number for number in range(40)) + b"/>", None),
        (b"<a " + b" ".join(b'xmlns:x%d="u:%d"' % (number, number) for number in range(40)) + b"/>", None),
        (b"<a>" + b"<b/>" * 20_001 + b"</a>", None),
        (b"<a x='" + b"y" * 9_000 + b"'/>", None),
        (b"<" + b"a" * 300 + b"/>", None),
        (b"<a>" + b"t" * 262_145 + b"</a>", None),
        (b"<a>" + b"<!--c-->" * 1_001 + b"</a>", None),
        (b" " * 1_048_577, None),
    ],
)
def test_sec_88_bytes(forge, message, charset):
    """For bytes beyond a limit or no XML the reason is the verifier's, and limits are told."""
    seen = assert_same(forge, message, charset=charset)
    _, facts = facts_of(seen, Station.XML)
    assert facts["bytes"].startswith(str(len(message)))


def test_sec_88_limits_are_measured_beyond_themselves(forge):
    """A message that passes a limit of shape is measured all the same."""
    seen = explained(forge, b"<a>" * 40 + b"</a>" * 40)
    _, facts = facts_of(seen, Station.XML)
    assert facts["depth"] == "40, more than the 32 allowed"


@pytest.mark.parametrize("late", [-61, -60, 0, 59, 60, 61, 301])
@pytest.mark.parametrize(
    "policy", [SecurityPolicy(), SecurityPolicy(age_seconds_max=30), SecurityPolicy(skew_seconds=60)]
)
def test_sec_88_windows(forge, late, policy):
    """At every edge of the windows the reason is the verifier's; the distances are told (SEC-51)."""
    seen = assert_same(forge, forge.message(), now=forge.now + timedelta(seconds=late), policy=policy)
    _, facts = facts_of(seen, Station.WINDOW)
    assert facts["lifetime"] == "60 s of at most 300 s"


@pytest.mark.parametrize(("number", "part"), [(0, "token"), (1, "timestamp"), (2, "body")])
def test_sec_88_digest_that_differs(forge, number, part):
    """Both digests and the canonical bytes are told of the part that differs, and of no other."""
    root = forge.tree()
    forge.reference(root, number).find(names.DS_DIGEST_VALUE).text = base64.b64encode(bytes(32)).decode()
    seen = assert_same(forge, forge.resign(root, digests=False))
    step, facts = facts_of(seen, f"{part}-digest")
    assert (step.verdict, step.reason) == (Verdict.REFUSED, "signature-digest")
    assert facts["expected"] == base64.b64encode(bytes(32)).decode()
    assert facts["found"] == base64.b64encode(hashlib.sha256(step.part.canonical).digest()).decode()
    assert [other.part for other in seen.steps if other.part is not None] == [step.part]
    assert "00000000097" not in repr(seen)


def test_sec_88_pretty_printed_after_signing(forge):
    """A Body that was pretty-printed after signing is recognised."""
    flat = etree.fromstring(forge.request, etree.XMLParser(remove_blank_text=True))
    root = etree.fromstring(forge.message(etree.tostring(flat)))
    etree.indent(forge.body(root))
    _, facts = facts_of(assert_same(forge, root), Station.BODY_DIGEST)
    assert "pretty-printed after signing" in facts["looks like"]


def test_sec_88_inclusive_canonicalization(forge):
    """A digest made by inclusive C14N is recognised, though the Transform says exclusive."""
    root = forge.tree()
    data = etree.tostring(forge.body(root), method="c14n", exclusive=False)
    forge.reference(root, 2).find(names.DS_DIGEST_VALUE).text = base64.b64encode(hashlib.sha256(data).digest()).decode()
    _, facts = facts_of(assert_same(forge, forge.resign(root, digests=False)), Station.BODY_DIGEST)
    assert "inclusive C14N" in facts["looks like"]


@pytest.mark.parametrize(
    ("hash_algorithm", "scheme", "words"),
    [
        (hashes.SHA1(), padding.PKCS1v15(), "RSA with sha1 over the canonical SignedInfo"),
        (hashes.SHA512(), padding.PKCS1v15(), "RSA with sha512 over the canonical SignedInfo"),
        (hashes.SHA256(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), "RSA-PSS with sha256 over the canonical"),
    ],
)
def test_sec_88_signature_made_otherwise(forge, hash_algorithm, scheme, words):
    """A SignatureValue of another algorithm than named is recognised; of another key, it is said so."""
    root = forge.tree()
    data = canonical(next(root.iter(names.DS_SIGNED_INFO)))
    value = forge.credential.private_key.sign(data, scheme, hash_algorithm)
    next(root.iter(names.DS_SIGNATURE_VALUE)).text = base64.b64encode(value).decode()
    seen = assert_same(forge, root)
    assert seen.refusal.reason == "signature-value"
    _, facts = facts_of(seen, Station.SIGNATURE_VALUE)
    assert facts["looks like"].startswith(words)
    # the digests are told although they are not reached
    assert facts_of(seen, Station.BODY_DIGEST)[1]["found"]


def test_sec_88_signature_of_another_key(forge):
    """A signature of another key is no known mistake."""
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    _, facts = facts_of(assert_same(forge, forge.resign(forge.tree(), key=other)), Station.SIGNATURE_VALUE)
    assert facts["looks like"].startswith("the signature of another key")


def test_sec_88_certificates(forge, pki):
    """Another environment, no path, no list, a certificate not yet valid, and nonsense: each in its own step."""
    other = TrustStore(authorities_pem=pki.authorities_pem, environment="PRD")
    assert facts_of(assert_same(forge, forge.message(), trust=other), "identity")[0].reason == "certificate-environment"
    strict = TrustStore(authorities_pem=pki.authorities_pem, environment="ACC", revocation_required=True)
    step, facts = facts_of(assert_same(forge, forge.message(), trust=strict), "certificate-validity")
    assert (step.reason, facts["certificate revocation"]) == (
        "revocation-unknown",
        "no list of its issuer; one is required",
    )
    stranger = type(pki).generate(environment="ACC", now=forge.now - timedelta(days=1))
    foreign = TrustStore(authorities_pem=stranger.authorities_pem, environment="ACC")
    step, _ = facts_of(assert_same(forge, forge.message(), trust=foreign), "certificate-path")
    assert step.reason == "certificate-untrusted"
    root = forge.tree()
    next(root.iter(names.WSSE_TOKEN)).text = base64.b64encode(b"\x30\x03\x02\x01\x01").decode()
    step, facts = facts_of(assert_same(forge, forge.resign(root)), "certificate")
    assert (step.reason, facts["certificate"]) == ("certificate-malformed", "cannot be read to its end")
    early = forge.now - timedelta(days=400)
    assert assert_same(forge, forge.message(now=early), now=early).refusal.reason.endswith("-not-yet-valid")


def test_sec_88_mutations(forge):
    """Whatever node of a genuine message is doubled, removed or emptied, the reason is the verifier's."""
    count = sum(1 for _ in forge.tree().iter(etree.Element))
    message = forge.message()
    for number in range(1, count):
        for change in ("double", "remove", "empty", "attributes"):
            root = etree.fromstring(message)
            element = list(root.iter(etree.Element))[number]
            if change == "double":
                element.addnext(copy.deepcopy(element))
            elif change == "remove":
                element.getparent().remove(element)
            elif change == "empty":
                del element[:]
                element.text = None
            else:
                element.attrib.clear()
                element.set("x", "y")
            assert_same(forge, root)


def test_sec_88_steps_of_the_certificate():
    """Every reason of the certificate has a step; only what is about its use falls to that one."""
    use = {reason for reason in REMEDIES if reason.startswith("certificate-")}
    assert {reason for reason in use if certificate_step_of(reason) == "certificate-use"} == {
        "certificate-extension",
        "certificate-authority",
        "certificate-key-usage",
        "certificate-extended-key-usage",
        "certificate-key",
        "certificate-key-size",
        "certificate-key-exponent",
    }


def test_sec_74_facts_are_one_bounded_line():
    """A fact holds nothing that a terminal would obey, and no more than a line."""
    told = fact("x", "\x1b[31m\n" + "y" * 10_000)
    assert told.value.startswith("\\u{1b}[31m\\u{a}")
    assert len(told.value) == FACT_CHARS_MAX


# --- without authorities ------------------------------------------------------------------------------------------


def unjudged(forge, message):
    """What is said of a message when nobody said whom to trust."""
    return explain(message, charset=None, policy=forge.policy, trust=None, now=forge.now)


def test_sec_88_without_authorities_the_certificate_is_not_checked(forge):
    """Without authorities each step of the certificate is not checked, and all others are (SEC-88)."""
    seen = unjudged(forge, forge.message())
    open_steps = {step.name for step in seen.steps if step.verdict is Verdict.NOT_CHECKED}
    assert open_steps == {"certificate", "certificate-path", "certificate-use", "certificate-validity", "identity"}
    assert {step.verdict for step in seen.steps if step.name not in open_steps} == {Verdict.OK}
    assert (seen.refusal, seen.verified.caller.application_urn) == (None, "")
    _, identity = facts_of(seen, "identity")
    assert "application URN" not in identity


def test_sec_37_without_authorities_the_signature_is_checked(forge):
    """Without authorities a changed Body and another key are still found (SEC-37, SEC-88)."""
    changed = forge.message().replace(b"00000000097", b"00000000098")
    assert unjudged(forge, changed).refusal.reason == "signature-digest"
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    resigned = etree.tostring(forge.resign(forge.tree(), key=other))
    assert unjudged(forge, resigned).refusal.reason == "signature-value"


def test_sec_43_without_authorities_a_key_must_serve(forge, pki, key):
    """A token with no RSA key, one of an absurd length, or no certificate is refused all the same (SEC-43, SEC-88)."""
    elliptic = x509.load_pem_x509_certificates(pki.authorities_pem)[0]
    modulus = (1 << 8_199) + 1
    long = (
        x509.CertificateBuilder(subject_name=elliptic.subject, issuer_name=elliptic.subject, serial_number=1)
        .not_valid_before(forge.now)
        .not_valid_after(forge.now + timedelta(days=1))
        .public_key(rsa.RSAPublicNumbers(65_537, modulus).public_key())
        .sign(key, hashes.SHA256())
    )
    for token, reason in (
        (elliptic.public_bytes(Encoding.DER), "certificate-key"),
        (long.public_bytes(Encoding.DER), "certificate-key-size"),
        (b"\x30\x03\x02\x01\x01", "certificate-malformed"),
    ):
        root = forge.tree()
        next(root.iter(names.WSSE_TOKEN)).text = base64.b64encode(token).decode()
        seen = unjudged(forge, etree.tostring(root))
        (refused,) = (step for step in seen.steps if step.verdict is Verdict.REFUSED)
        assert (refused.reason, refused.name) == (reason, certificate_step_of(reason))


def test_sec_36_who_may_leave_the_value_type_out_is_told(forge):
    """A reference without ValueType is refused in a step of its own, once it is known who calls (SEC-36, SEC-88)."""
    root = forge.tree()
    del next(root.iter(names.WSSE_REFERENCE)).attrib["ValueType"]
    other = SecurityPolicy(applications_without_value_type=frozenset({"urn:a", "urn:b"}))
    step, facts = facts_of(assert_same(forge, root, policy=other), Station.KEY_REFERENCE)
    assert (step.verdict, step.reason) == (Verdict.REFUSED, "key-info-value-type")
    assert facts == {"ValueType of the reference": "none", "may leave it out": "2 applications, by the settings"}
    known = SecurityPolicy(applications_without_value_type=frozenset({forge.urn}))
    step, _ = facts_of(assert_same(forge, root, policy=known), Station.KEY_REFERENCE)
    assert step.verdict is Verdict.OK
    _, facts = facts_of(assert_same(forge, forge.message()), Station.KEY_REFERENCE)
    assert facts == {"ValueType of the reference": names.X509_V3}


# --- what has no canonical form, or is no document ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "step"),
    [(names.DS_SIGNED_INFO, "signature-value"), (names.SOAP_BODY, "body-digest"), (names.WSU_TIMESTAMP, None)],
)
def test_sec_38_relative_namespace_explained(forge, tag, step):
    """A part in reach of a relative namespace is told to have no canonical form, where it is looked at (SEC-38)."""
    text = etree.tostring(forge.tree()).decode()
    start = {
        names.DS_SIGNED_INFO: "<ds:SignedInfo",
        names.SOAP_BODY: "<soapenv:Body",
        names.WSU_TIMESTAMP: "<wsu:Timestamp",
    }[tag]
    seen = assert_same(forge, text.replace(start, f'{start} xmlns:r="relative"', 1).encode())
    assert seen.refusal.reason == "canonicalization"
    if step is not None:
        _, facts = facts_of(seen, step)
        assert "no canonical form" in " ".join(facts.values())


def test_sec_88_guesses_about_what_has_no_form():
    """What cannot be canonicalised or read again is no guess at what was signed instead (SEC-88)."""
    relative = etree.fromstring('<x xmlns="relative"/>')
    assert explain_module._inclusive(relative) is None
    assert explain_module._exclusive(relative) is None
    assert explain_module._lean(b"<x>") is None
    assert explain_module._lean(b"<x> <y> </y>tail</x>") == b"<x><y> </y>tail</x>"


def test_sec_88_certificate_has_steps_of_its_own(forge):
    """The certificate is told in steps of its own, and in no other (SEC-88)."""
    found = {Station.XML: etree.fromstring(forge.request)}
    description = explain_module._Description(
        message=forge.request, charset=None, policy=forge.policy, trust=forge.trust, now=forge.now, found=found
    )
    assert description.of(Station.CERTIFICATE) == ((), None)
    assert description.of_certificate() == {}


# --- facts that only some messages have ---------------------------------------------------------------------------


def test_sec_44_revocation_lists_are_told(forge, pki):
    """Of each list it is told whether it is fresh, and whether it names the certificate (SEC-44, SEC-88)."""
    number = forge.credential.certificate.serial_number
    lists = [
        pki.issue_revocation_list(now=forge.now, issuer=pki.application_root),
        pki.issue_revocation_list(
            [number], now=forge.now - timedelta(days=9), next_update=forge.now - timedelta(days=1)
        ),
    ]
    trust = TrustStore(authorities_pem=pki.authorities_pem, environment="ACC", revocation_lists=lists)
    seen = assert_same(forge, forge.message(), trust=trust)
    assert seen.refusal.reason == "certificate-revoked"
    (step,) = (step for step in seen.steps if step.name == "certificate-validity")
    told = [item.value for item in step.facts if item.name.endswith("revocation")]
    assert [value.partition(", not fresh: ")[2] for value in told[:1]] == ["names it"]
    assert [value.partition(", fresh: ")[2] for value in told[1:]] == ["does not name it"]


def test_sec_16_header_block_without_namespace_is_told(forge):
    """A header block of no namespace is told as such (SEC-16, SEC-88)."""
    root = forge.tree()
    root.find(names.SOAP_HEADER).append(etree.Element("bare"))
    _, facts = facts_of(assert_same(forge, root), Station.HEADERS)
    assert "bare (no namespace)" in " ".join(facts.values())


def test_sec_26_prefix_list_is_told(forge):
    """The PrefixList of a part is told beside its digest (SEC-26, SEC-88)."""
    root = forge.tree()
    for transform in root.iter(names.DS_TRANSFORM):
        etree.SubElement(transform, names.EXC_INCLUSIVE_NAMESPACES, PrefixList="soapenv t")
    _, facts = facts_of(assert_same(forge, forge.resign(root)), "body-digest")
    assert facts["PrefixList"] == "soapenv t"


def test_sec_43_use_of_a_strange_certificate_is_told(forge, pki):
    """Extended key usages are told by their numbers, a key of no known kind as one (SEC-43, SEC-88)."""
    usage = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
    strange = issue_application_certificate(
        forge.credential.certificate.subject,
        issuer=pki.application_authority,
        not_before=forge.now - timedelta(days=1),
        not_after=forge.now + timedelta(days=1),
        private_key=ed25519.Ed25519PrivateKey.generate(),
        extensions=[(usage, False)],
    )
    root = forge.tree()
    der = strange.certificate.public_bytes(Encoding.DER)
    next(root.iter(names.WSSE_TOKEN)).text = base64.b64encode(der).decode()
    seen = assert_same(forge, root)
    (step,) = (step for step in seen.steps if step.name == "certificate-use")
    told = " ".join(item.value for item in step.facts)
    assert "1.3.6.1.5.5.7.3.1" in told
    assert "neither RSA nor on an elliptic curve" in told
