"""What comes out of a good message, in which order a bad one is refused, and the windows of time."""

import base64
import dataclasses
import hashlib
import re
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription import names, safe_xml
from cbss_inscription.domain.errors import NotAuthenticated, UsageError
from cbss_inscription.security import algorithms, c14n, gate, stations, verify
from cbss_inscription.security.c14n import CanonicalizationError, canonical
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.xml_limits import XmlLimits


def seconds(number):
    return timedelta(seconds=number)


def test_genuine_message(forge):
    """A genuine message gives its caller and its signed Body (SEC-35, SEC-39, SEC-47)."""
    verified = forge.verify(forge.message())
    assert (verified.caller.application_urn, verified.caller.cbe_number) == (forge.urn, forge.cbe)
    assert verified.caller.environment == "ACC"
    assert verified.caller.certificate_fingerprint == hashlib.sha256(forge.signer.certificate_der).hexdigest()
    body = safe_xml.parse_canonical(verified.canonical_body)
    assert body.tag == names.SOAP_BODY
    assert body.findtext(".//{urn:test:inscription}ssin") == "00000000097"


def test_sec_17_addressing_claims(forge):
    """What WS-Addressing says is handed on as plain text, XML's blanks around it removed (SEC-17)."""
    request = forge.request.replace(
        b"<soapenv:Header/>",
        b'<soapenv:Header xmlns:a="http://www.w3.org/2005/08/addressing"><a:To> urn:to </a:To>'
        b"<a:Action>urn:do</a:Action>"
        b"<a:MessageID>urn:1</a:MessageID></soapenv:Header>",
    )
    assert forge.verify(forge.message(request)).addressing == gate.Addressing(to="urn:to", action="urn:do")
    request = request.replace(b" urn:to ", b"\n&#xA0;urn:to").replace(b"urn:do", b"")
    assert forge.verify(forge.message(request)).addressing == gate.Addressing(to="\u00a0urn:to", action="")


def _values(value):
    yield value
    fields = [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else ()
    for name in (*fields, *getattr(value, "__struct_fields__", ())):
        yield from _values(getattr(value, name))


def test_evidence_is_what_proves_the_signature(forge):
    """The evidence verifies on its own: SignedInfo under the certificate's key, the Timestamp beside it (SEC-37)."""
    root = forge.tree()
    evidence = forge.verify(root).evidence
    assert evidence.certificate_der == forge.signer.certificate_der
    assert evidence.signature_algorithm == names.RSA_SHA256
    key = forge.credential.certificate.public_key()
    key.verify(evidence.signature_value, evidence.signed_info, padding.PKCS1v15(), hashes.SHA256())
    assert evidence.signed_info == canonical(next(root.iter(names.DS_SIGNED_INFO)))
    assert evidence.timestamp == canonical(next(root.iter(names.WSU_TIMESTAMP)))


def test_sec_26_prefixes_of_the_list_are_in_the_signed_bytes(forge):
    """A prefix of a PrefixList is declared in the bytes that are hashed and handed on, used or not (SEC-26)."""
    root = forge.tree(forge.request.replace(b"<soapenv:Envelope ", b'<soapenv:Envelope xmlns:more="urn:more" ', 1))
    for transform in root.iter(names.DS_TRANSFORM):
        etree.SubElement(transform, names.EXC_INCLUSIVE_NAMESPACES, PrefixList="more")
    assert b'xmlns:more="urn:more"' in forge.verify(forge.resign(root)).canonical_body


def test_sec_39_nothing_of_the_raw_tree(forge):
    """A verified message holds no element of the tree it came in, at any depth (SEC-39)."""
    kinds = {type(value).__module__.partition(".")[0] for value in _values(forge.verify(forge.message()))}
    assert kinds == {"cbss_inscription", "cryptography", "builtins", "datetime"}


def test_sec_74_repr_without_message_text(forge):
    """The printed form of a verified message shows no part of the message (SEC-74)."""
    text = repr(forge.verify(forge.message()))
    assert "00000000097" not in text
    assert "Body" not in text


def test_sec_74_no_text_of_a_message_in_what_is_made_of_it(forge):
    """What the verifier makes of a message says in its printed form of what kind it is, and nothing more (SEC-74)."""
    message = forge.message()
    assert repr(forge.verify(message).evidence) == "<SignatureEvidence>"
    root = safe_xml.parse(message, charset=None)
    gated = stations.run(gate.stations(root, forge.policy))
    assert repr(gated) == "<GatedMessage>"
    assert repr(gated.body) == f"<Reference {names.SOAP_BODY!r}>"
    assert repr(verify._KNOWN_HEADERS.read(message.decode(), forge.policy)) == "<KnownMessage>"


def test_sec_39_rebound_prefix_of_a_qname(forge):
    """A prefix that only a value uses, rebound on the unsigned Envelope, is undeclared in the result (SEC-39)."""
    request = forge.request.replace(
        b"<t:consultRequest>",
        b'<t:consultRequest xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="u:Type">',
    ).replace(b"<soapenv:Envelope ", b'<soapenv:Envelope xmlns:u="urn:genuine" ')
    message = forge.message(request).replace(b"urn:genuine", b"urn:attacker")
    verified = forge.verify(message)
    assert b"urn:attacker" not in verified.canonical_body
    assert "u" not in safe_xml.parse_canonical(verified.canonical_body)[0].nsmap


def test_sec_18_one_parse(forge, monkeypatch):
    """A message is parsed once, its header known or not: the tree that is judged is that which is verified (SEC-18)."""
    called = []

    def counted(name):
        real = getattr(etree, name)

        def call(*args, **kwargs):
            called.append(name)
            return real(*args, **kwargs)

        return call

    message = forge.message()
    for name in ("XMLParser", "XMLPullParser", "HTMLParser", "fromstring", "XML", "parse", "iterparse"):
        monkeypatch.setattr(etree, name, counted(name))
    with monkeypatch.context() as nothing_learnt:
        nothing_learnt.setattr("cbss_inscription.security.verify._KNOWN_HEADERS.remember", lambda *_: None)
        forge.verify(message)
    assert called == ["fromstring"]
    forge.verify(message)  # and what is learnt from it, after the verdict
    called.clear()
    forge.verify(message)
    assert called == ["fromstring"]


def test_sec_37_signature_before_digests(forge, monkeypatch):
    """When SignatureValue is wrong, nothing but SignedInfo has been canonicalised (SEC-37)."""
    seen = []

    def watched(element, prefixes=()):
        seen.append(element.tag)
        return canonical(element, prefixes)

    monkeypatch.setattr(verify, "canonical", watched)
    root = forge.resign(forge.tree(), key=rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
    assert forge.refusal(root) == "NotAuthenticated signature-value"
    assert seen == [names.DS_SIGNED_INFO]
    assert forge.refusal(forge.tree()) == "accepted"
    assert seen[1:] == [names.DS_SIGNED_INFO, names.WSSE_TOKEN, names.WSU_TIMESTAMP, names.SOAP_BODY]


def test_sec_39_digests_are_compared_in_constant_time(forge, monkeypatch):
    """Each of the three digests is good by the word of `hmac.compare_digest`, and by no other (SEC-39)."""
    compared = []

    def agreeing(one, other):
        compared.append((one, other))
        return True

    root = forge.tree()
    forge.reference(root, 2).find(names.DS_DIGEST_VALUE).text = base64.b64encode(bytes(32)).decode()
    forge.resign(root, digests=False)
    assert forge.refusal(root) == "NotAuthenticated signature-digest"
    monkeypatch.setattr(verify.hmac, "compare_digest", agreeing)
    assert forge.refusal(root) == "accepted"
    assert [len(one) == len(other) == 32 for one, other in compared] == [True] * 3
    monkeypatch.setattr(verify.hmac, "compare_digest", lambda *_: False)
    assert forge.refusal(forge.message()) == "NotAuthenticated signature-digest"


@pytest.mark.parametrize("part", [names.WSSE_TOKEN, names.WSU_TIMESTAMP, names.SOAP_BODY])
def test_sec_35_each_part_is_digested(forge, part):
    """A blank added to token, timestamp or Body breaks the signature (SEC-35)."""
    root = forge.tree()
    (element,) = root.iter(part)
    if part == names.WSU_TIMESTAMP:
        element[0].tail = " "
    else:
        element.text = (element.text or "") + " "
    assert forge.refusal(root) == "NotAuthenticated signature-digest"


@pytest.mark.parametrize("position", [0, 1, 2])
def test_sec_35_signed_digest_of_other_bytes(forge, position):
    """A well-signed SignedInfo with the digest of something else is refused, for each part (SEC-35)."""
    root = forge.tree()
    forge.reference(root, position).find(names.DS_DIGEST_VALUE).text = forge.reference(root, position - 1).findtext(
        names.DS_DIGEST_VALUE
    )
    assert forge.refusal(forge.resign(root, digests=False)) == "NotAuthenticated signature-digest"


def test_sec_33_signature_with_another_hash(forge):
    """An RSA signature made with another hash than the algorithm named is refused; so is one made longer (SEC-33)."""
    for hash_algorithm in (hashes.SHA1(), hashes.SHA384()):
        root = forge.resign(forge.tree(), hash_algorithm=hash_algorithm)
        assert forge.refusal(root) == "NotAuthenticated signature-value"
    root = forge.tree()
    (value,) = root.iter(names.DS_SIGNATURE_VALUE)
    value.text = "AAAA" + value.text
    assert forge.refusal(root) == "NotAuthenticated signature-value"


def test_sec_33_stronger_hashes_can_be_allowed(forge):
    """rsa-sha512 is accepted where the policy allows it, with its own hash only (SEC-33)."""
    policy = SecurityPolicy(signature_algorithms=frozenset({names.RSA_SHA256, names.RSA_SHA512}))
    root = forge.tree()
    (method,) = root.iter(names.DS_SIGNATURE_METHOD)
    method.set("Algorithm", names.RSA_SHA512)
    assert forge.refusal(forge.resign(root, hash_algorithm=hashes.SHA512()), policy=policy) == "accepted"
    assert forge.refusal(forge.resign(root), policy=policy) == "NotAuthenticated signature-value"


@pytest.mark.parametrize(
    "options",
    [
        {"signature_algorithms": frozenset({"http://www.w3.org/2000/09/xmldsig#rsa-sha1"})},
        {"signature_algorithms": frozenset()},
        {"skew_seconds": 61},
        {"skew_seconds": -1},
        {"lifetime_seconds_max": 301},
        {"lifetime_seconds_max": 0},
        {"age_seconds_max": 301},
        {"future_seconds_max": 61},
    ],
)
def test_sec_33_and_51_policy_cannot_be_loosened(options):
    """A policy with SHA-1 or wider windows than RSZ's cannot be made (SEC-33, SEC-51)."""
    with pytest.raises(UsageError):
        SecurityPolicy(**options)


def test_sec_38_relative_namespace(forge):
    """A signed part that has no canonical form is refused, not digested as nothing (SEC-38)."""
    root = forge.tree()
    etree.SubElement(forge.body(root)[0], "{relative}x")
    assert forge.refusal(root) == "NotAuthenticated canonicalization"


@pytest.mark.parametrize("failure", [etree.C14NError("x"), ValueError("x"), b""])
def test_sec_38_canonicalization_failure(forge, monkeypatch, failure):
    """An error, or nothing, where canonical bytes should come is a refusal (SEC-38; CVE-2025-66568)."""

    def failing(*args, **kwargs):
        if isinstance(failure, bytes):
            return failure
        raise failure

    message = forge.message()
    monkeypatch.setattr(c14n.etree, "tostring", failing)
    assert forge.refusal(message) == "NotAuthenticated canonicalization"


def test_sec_38_cryptographic_failure(forge, monkeypatch):
    """An exception of the cryptographic library is a refusal (SEC-38)."""

    def failing(*args):
        raise ValueError

    message = forge.message()
    monkeypatch.setattr(algorithms.padding, "PKCS1v15", failing)
    assert forge.refusal(message) == "NotAuthenticated signature-failure"


@settings(deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="￾￿")))
def test_sec_39_the_body_is_what_was_sent(forge, text):
    """Any text sent in the Body is the text in the canonical Body (SEC-39)."""
    root = etree.fromstring(forge.request)
    next(root.iter("{urn:test:inscription}note")).text = text
    verified = forge.verify(forge.message(etree.tostring(root, encoding="UTF-8")))
    body = safe_xml.parse_canonical(verified.canonical_body)
    assert (body.findtext(".//{urn:test:inscription}note") or "") == text


def test_sec_20_cdata_is_plain_text(forge):
    """A value split by CDATA sections is one value (SEC-20)."""
    request = forge.request.replace(b"00000000097", b"000<![CDATA[000]]>000<![CDATA[97]]>")
    body = safe_xml.parse_canonical(forge.verify(forge.message(request)).canonical_body)
    assert body.findtext(".//{urn:test:inscription}ssin") == "00000000097"


@pytest.mark.parametrize(
    ("encoding", "mark", "charset"),
    [
        ("utf-8", b"", None),
        ("utf-8", b"\xef\xbb\xbf", "utf-8"),
        ("utf-16-le", b"\xff\xfe", "UTF-16"),
        ("utf-16-be", b"\xfe\xff", None),
    ],
)
def test_sec_27_encodings(forge, encoding, mark, charset):
    """The same message in UTF-8 or UTF-16, with or without mark, has the same signature (SEC-27)."""
    message = mark + forge.message().decode().encode(encoding)
    assert forge.verify(message, charset=charset).caller.application_urn == forge.urn


def test_sec_27_charset_of_the_content_type(forge):
    """The charset decides where the bytes have no mark, and one that is none of XML's two is refused (SEC-27)."""
    message = forge.message().decode().encode("utf-16-le")
    assert forge.refusal(message, charset="utf-16le") == "accepted"
    assert forge.refusal(message).startswith("MalformedMessage")
    assert forge.refusal(forge.message(), charset="windows-1252") == "MalformedMessage encoding"


def test_sec_21_limits_are_those_of_the_policy(forge):
    """A message beyond the limits of the policy in force is refused, whatever the usual ones are (SEC-09, SEC-21)."""
    message = forge.message()
    for size, expected in ((len(message), "accepted"), (len(message) - 1, "MalformedMessage size")):
        policy = SecurityPolicy(xml_limits=XmlLimits(size_bytes_max=size))
        assert forge.refusal(message, policy=policy) == expected
    flat = SecurityPolicy(xml_limits=XmlLimits(depth_max=3))
    assert forge.refusal(message, policy=flat) == "MalformedMessage depth"


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lifetime", "late", "expected"),
    [
        (60, 0, "accepted"),
        (60, 59, "accepted"),
        (60, 60, "NotAuthenticated timestamp-expired"),
        (60, 61, "NotAuthenticated timestamp-expired"),
        (60, -60, "accepted"),
        (60, -61, "NotAuthenticated timestamp-future"),
        (300, 299, "accepted"),
        (300, 300, "NotAuthenticated timestamp-expired"),
    ],
)
def test_sec_51_windows(forge, lifetime, late, expected):
    """A message is good from a minute before its creation to just before it expires (SEC-51)."""
    message = forge.message(lifetime_seconds=lifetime)
    assert forge.refusal(message, now=forge.now + seconds(late)) == expected


@pytest.mark.parametrize(
    ("late", "expected"), [(119, "accepted"), (120, "NotAuthenticated timestamp-expired"), (-60, "accepted")]
)
def test_sec_51_skew(forge, late, expected):
    """The skew configured is added to the end of a message's life, not to its beginning (SEC-51)."""
    policy = SecurityPolicy(skew_seconds=60)
    assert forge.refusal(forge.message(), now=forge.now + seconds(late), policy=policy) == expected


@pytest.mark.parametrize(
    ("created", "expires", "expected"),
    [
        ("09:30:00Z", "09:35:00Z", "accepted"),
        ("09:30:00Z", "09:35:00.000001Z", "NotAuthenticated timestamp-lifetime"),
        ("09:30:00Z", "09:35:01Z", "NotAuthenticated timestamp-lifetime"),
        ("09:30:00Z", "09:30:00Z", "NotAuthenticated timestamp-order"),
        ("09:30:30Z", "09:30:10Z", "NotAuthenticated timestamp-order"),
        ("09:30:00Z", "09:30:00.000001Z", "accepted"),
    ],
)
def test_sec_51_lifetime(forge, created, expires, expected):
    """A message lives for five minutes at most, and for some time at least (SEC-51; RSZ X.509 page)."""
    root = forge.tree()
    next(root.iter(names.WSU_CREATED)).text = f"2026-03-02T{created}"
    next(root.iter(names.WSU_EXPIRES)).text = f"2026-03-02T{expires}"
    assert forge.refusal(forge.resign(root)) == expected


def test_sec_51_greatest_age(forge):
    """Where a shorter age is configured, an older message is refused though it has not expired (SEC-51)."""
    policy = SecurityPolicy(age_seconds_max=30)
    message = forge.message()
    assert forge.refusal(message, now=forge.now + seconds(30), policy=policy) == "accepted"
    refusal = forge.refusal(message, now=forge.now + seconds(31), policy=policy)
    assert refusal == "NotAuthenticated timestamp-age"


def test_sec_51_greatest_age_and_skew(forge):
    """The skew is added to the greatest age as well: five minutes and a minute, not four (SEC-51)."""
    policy = SecurityPolicy(skew_seconds=60)
    message = forge.message(lifetime_seconds=300)
    for late, expected in ((301, "accepted"), (359, "accepted"), (360, "NotAuthenticated timestamp-expired")):
        assert forge.refusal(message, now=forge.now + seconds(late), policy=policy) == expected
    policy = SecurityPolicy(skew_seconds=60, age_seconds_max=100)
    for late, expected in ((160, "accepted"), (161, "NotAuthenticated timestamp-age")):
        assert forge.refusal(message, now=forge.now + seconds(late), policy=policy) == expected


# --- what the replay guard is told ----------------------------------------------------------------------------------


def test_sec_52_replay_key(forge):
    """The same signature has the same replay key however it is written; another signing has another (SEC-52)."""
    message = forge.message()
    key = forge.verify(message).replay_key
    rewritten = etree.fromstring(message)
    next(rewritten.iter(names.DS_SIGNATURE_VALUE)).text += "\n  "
    next(rewritten.iter(names.WSSE_SECURITY)).tail = "\n\n"
    rewritten.append(etree.Comment("again"))
    again = re.sub(rb"<\?xml.*?\?>", b"", etree.tostring(rewritten))
    assert again != message
    assert forge.verify(again).replay_key == key
    assert forge.verify(forge.message()).replay_key != key


def test_sec_52_replay_until(forge):
    """A message is to be remembered up to the last moment at which it could be accepted again (SEC-52)."""
    verified = forge.verify(forge.message(), policy=SecurityPolicy(skew_seconds=30))
    assert verified.replay_until == forge.now + seconds(90)


def test_sec_62_refusals_carry_a_word_and_nothing_else(forge):
    """A refusal's text is its fixed reason (SEC-62, SEC-74)."""
    root = forge.tree()
    next(root.iter("{urn:test:inscription}ssin")).text = "99999999999"
    with pytest.raises(NotAuthenticated) as caught:
        forge.verify(root)
    assert str(caught.value) == caught.value.reason == "signature-digest"
    assert caught.value.__cause__ is None


def test_canonical_of_nothing_is_an_error(monkeypatch):
    """No canonical form is ever empty (SEC-38)."""
    monkeypatch.setattr(c14n.etree, "tostring", lambda *_args, **_options: b"")
    with pytest.raises(CanonicalizationError):
        canonical(etree.fromstring("<x/>"))
