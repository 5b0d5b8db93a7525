"""What our own signer makes of a request, and what it refuses to sign."""

import base64
import hashlib
import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
import xmlsec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription import names
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.security.sign import Signer, sign, sign_payload

MINIMAL = (
    b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><x xmlns="urn:x"/></e:Body></e:Envelope>'
)


def test_rsz_shape(forge):
    """A signed request has the RSZ shape: token, timestamp and signature over both and the Body (design 1.1)."""
    root = forge.tree()
    (security,) = root.find(names.SOAP_HEADER)
    assert security.tag == names.WSSE_SECURITY
    assert security.get(names.SOAP_MUST_UNDERSTAND) == "1"
    assert [child.tag for child in security] == [names.WSSE_TOKEN, names.WSU_TIMESTAMP, names.DS_SIGNATURE]
    ids = [security[0].get(names.WSU_ID), security[1].get(names.WSU_ID), forge.body(root).get(names.WSU_ID)]
    assert all(re.fullmatch(p + "[0-9a-f]{32}", i) for p, i in zip(("X509-", "TS-", "id-"), ids, strict=True))
    assert [reference.get("URI") for reference in root.iter(names.DS_REFERENCE)] == [f"#{i}" for i in ids]
    assert security.findtext(f".//{names.WSU_CREATED}") == "2026-03-02T09:30:00.000Z"
    assert security.findtext(f".//{names.WSU_EXPIRES}") == "2026-03-02T09:31:00.000Z"


def test_people_may_read_it_too(forge):
    """A signed request says that it is XML in UTF-8, and has the prefixes that the standards write (design 1.1)."""
    payload = sign_payload(etree.fromstring('<x xmlns="urn:x"/>'), signer=forge.signer, now=forge.now)
    for message in (forge.message(MINIMAL), payload):
        assert message.splitlines()[0].lower() == b"<?xml version='1.0' encoding='utf-8'?>"
        security = forge.security(etree.fromstring(message))
        assert [child.prefix for child in (security, *security)] == ["wsse", "wsse", "wsu", "ds"]
        assert b' wsu:Id="id-' in message.partition(b"Body")[2]
    assert b"</soapenv:Header><soapenv:Body " in payload


def test_ids_are_new_each_time(forge):
    """Two signings of one request share no id."""
    first, second = forge.tree(), forge.tree()
    assert not set(first.xpath("//@*[local-name()='Id']")) & set(second.xpath("//@*[local-name()='Id']"))


def test_the_rest_stays_as_it_was(forge):
    """Other headers, comments, blanks and prefixes of the request are kept."""
    request = (
        b'<!-- before --><S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:unused="urn:unused">\n'
        b'  <S:Header><h:x xmlns:h="urn:h">1</h:x></S:Header><!-- between -->\n  <S:Body>\n '
        b'<b xmlns="urn:b">&#13;&#9;\xc3\xa9'
        b"<![CDATA[<&>]]></b></S:Body>\n</S:Envelope>"
    )
    root = etree.fromstring(forge.message(request))
    security = forge.security(root)
    security.getparent().remove(security)
    del forge.body(root).attrib[names.WSU_ID]
    assert etree.tostring(root.getroottree(), method="c14n") == etree.tostring(
        etree.fromstring(request).getroottree(), method="c14n"
    ).replace(b"<S:Body>", b'<S:Body xmlns:wsu="' + names.WSU.encode() + b'">')
    assert forge.refusal(forge.message(request)) == "accepted"


PREFIXES = {
    "soapenv": names.SOAP11,
    "wsse": names.WSSE,
    "wsu": names.WSU,
    "ds": names.DS,
    "S": names.SOAP11,
    "a": "urn:a",
}
WORDS = st.text(st.sampled_from("a \t\n\r\"'<>&é\u2028\U0001f600"), max_size=6)


@st.composite
def payloads(draw):
    """A payload, qualified, with anything in it."""
    payload = etree.Element("{urn:p}payload", nsmap={draw(st.sampled_from([None, "soapenv", "wsu", "p"])): "urn:p"})
    payload.append(draw(elements()))
    return etree.fromstring(etree.tostring(payload))  # as it is written: lxml moves declarations, and once too often


@st.composite
def elements(draw, depth=1):
    """An element with any of the prefixes that a signed message uses, declared as it likes."""
    prefix = draw(st.sampled_from([None, "", *PREFIXES]))
    # The same prefix for something else than in the message around it, too.
    spaces = {name: draw(st.sampled_from([uri, "urn:other"])) for name, uri in PREFIXES.items() if draw(st.booleans())}
    if prefix is not None:
        spaces[prefix or None] = draw(st.sampled_from([PREFIXES.get(prefix, "urn:d"), "urn:e"]))
    element = etree.Element(f"{{{spaces[prefix or None]}}}x" if prefix is not None else "x", nsmap=spaces)
    for name in draw(st.lists(st.sampled_from(["b", "{urn:a}b", "{urn:other}a", f"{{{names.XML}}}lang"]), unique=True)):
        element.set(name, draw(WORDS))
    element.text = draw(WORDS)
    if depth:
        for child in draw(st.lists(elements(depth=depth - 1), max_size=2)):
            element.append(child)
            child.tail = draw(WORDS)
    return element


def assert_canonical_and_signed(forge, message):
    """Each part is in the message as libxml2 makes it, its digest is in SignedInfo; xmlsec and our verifier agree."""
    root = etree.fromstring(message)
    (signature,) = root.iter(names.DS_SIGNATURE)
    digests = [digest.text for digest in root.iter(names.DS_DIGEST_VALUE)]
    header = [next(root.iter(tag)) for tag in (names.WSSE_TOKEN, names.WSU_TIMESTAMP)]
    for part, digest in zip((*header, root.find(names.SOAP_BODY)), digests, strict=True):
        data = etree.tostring(part, method="c14n", exclusive=True, with_comments=False)
        assert base64.b64encode(hashlib.sha256(data).digest()).decode() == digest
        if part in header:
            assert data in message
    assert etree.tostring(signature[0], method="c14n", exclusive=True, with_comments=False) in message
    context = xmlsec.SignatureContext()
    for part in (*header, root.find(names.SOAP_BODY)):
        context.register_id(part, "Id", names.WSU)
    certificate = forge.credential.certificate.public_bytes(Encoding.PEM)
    context.key = xmlsec.Key.from_memory(certificate, xmlsec.KeyFormat.CERT_PEM)
    context.verify(signature)
    assert forge.refusal(message) == "accepted"


MOVED = etree.fromstring(
    f'<p:payload xmlns:p="urn:p"><S:x xmlns:S="{names.SOAP11}" xmlns:soapenv="urn:other" soapenv:b="1"/></p:payload>'
)
"""An element of SOAP's that means something else by the prefix that the Body has."""


@given(payload=payloads())
@example(payload=MOVED)
def test_sec_40_what_is_hashed_is_what_is_sent(forge, payload):
    """For any payload, parts and SignedInfo are canonical as they stand; xmlsec and our verifier accept (SEC-40)."""
    said = [(element.tag, dict(element.attrib), element.text, element.tail) for element in payload.iter()]
    message = sign_payload(payload, signer=forge.signer, now=forge.now)
    assert_canonical_and_signed(forge, message)
    (sent,) = etree.fromstring(message).find(names.SOAP_BODY)
    assert [(element.tag, dict(element.attrib), element.text, element.tail) for element in sent.iter()] == said


@given(payload=payloads(), prefix=st.sampled_from(["", "soapenv", "wsse", "wsu", "ds", "place"]))
def test_sec_40_a_header_is_signed_in_any_envelope(forge, payload, prefix):
    """Whatever an envelope declares, the parts of our header stay what was hashed (SEC-40)."""
    spaces = {"soapenv": names.SOAP11, "wsu": "urn:u", "wsse": "urn:s", "ds": "urn:d", prefix or None: names.SOAP11}
    declared = " ".join(f'xmlns{":" if name else ""}{name or ""}="{uri}"' for name, uri in spaces.items())
    colon = f"{prefix}:" if prefix else ""
    envelope = (
        f"<{colon}Envelope {declared}><{colon}Body>{etree.tostring(payload).decode()}</{colon}Body></{colon}Envelope>"
    )
    assert_canonical_and_signed(forge, sign(envelope.encode(), signer=forge.signer, now=forge.now))


def test_a_payload_is_signed_as_its_envelope_would_be(forge):
    """Both ways of signing make a message of one shape, of one lifetime, with new ids each time (design 1.1)."""
    envelope = etree.fromstring(forge.request)
    (payload,) = envelope.find(names.SOAP_BODY)
    roots = [
        etree.fromstring(sign(envelope, signer=forge.signer, now=forge.now)),
        etree.fromstring(sign_payload(payload, signer=forge.signer, now=forge.now)),
    ]
    shapes = [[element.tag for element in root.iter()] for root in roots]
    assert shapes[0] == shapes[1]
    assert roots[0].findtext(f".//{names.WSU_EXPIRES}") == roots[1].findtext(f".//{names.WSU_EXPIRES}")
    first, second = (set(root.xpath("//@*[local-name()='Id']")) for root in roots)
    assert len(first | second) == 6


def test_a_payload_without_canonical_form_is_not_signed(forge):
    """A relative namespace URI is refused in one sentence."""
    with pytest.raises(UsageError, match="canonical form"):
        sign_payload(etree.fromstring('<x xmlns="relative"/>'), signer=forge.signer, now=forge.now)


def test_header_is_made(forge):
    """A request without Header gets one, before the Body."""
    root = etree.fromstring(forge.message(MINIMAL))
    assert [child.tag for child in root] == [names.SOAP_HEADER, names.SOAP_BODY]
    assert forge.refusal(root) == "accepted"


def test_an_element_is_not_changed(forge):
    """An envelope given as an element is signed in a copy."""
    root = etree.fromstring(MINIMAL)
    signed = sign(root, signer=forge.signer, now=forge.now)
    assert forge.refusal(signed) == "accepted"
    assert etree.tostring(root) == MINIMAL.replace(b"/></e:B", b"/></e:B")


def test_an_id_of_the_body_is_kept(forge):
    """A Body that has an id is signed under it, if a signature can refer to it."""
    request = MINIMAL.replace(b"<e:Body>", f'<e:Body xmlns:w="{names.WSU}" w:Id="my-body">'.encode())
    root = etree.fromstring(forge.message(request))
    assert forge.body(root).get(names.WSU_ID) == "my-body"
    assert forge.refusal(root) == "accepted"
    with pytest.raises(UsageError):
        forge.message(request.replace(b"my-body", b"1 body"))


def test_local_time_is_written_as_utc(forge, monkeypatch):
    """A clock of another zone gives the same instants, whatever zone the machine is in; milliseconds are cut off."""
    monkeypatch.setenv("TZ", "ELSEWHERE-7")
    time.tzset()
    brussels = timezone(timedelta(hours=1))
    now = datetime(2026, 3, 2, 10, 30, 0, 999_900, tzinfo=brussels)
    try:
        root = etree.fromstring(sign(MINIMAL, signer=forge.signer, now=now))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert root.findtext(f".//{names.WSU_CREATED}") == "2026-03-02T09:30:00.999Z"
    assert forge.refusal(root, now=now.astimezone(UTC)) == "accepted"


@pytest.mark.parametrize("lifetime", [0, -1, 301])
def test_sec_51_lifetime(forge, lifetime):
    """A message cannot be signed for longer than five minutes, or for none (SEC-51)."""
    with pytest.raises(UsageError):
        forge.message(lifetime_seconds=lifetime)


@pytest.mark.parametrize("lifetime", [1, 300])
def test_sec_51_shortest_and_longest_lifetime(forge, lifetime):
    """From one second to five minutes, a message lives as long as is asked (SEC-51)."""
    root = forge.tree(lifetime_seconds=lifetime)
    created, expires = (
        datetime.fromisoformat(root.findtext(f".//{tag}")) for tag in (names.WSU_CREATED, names.WSU_EXPIRES)
    )
    assert expires - created == timedelta(seconds=lifetime)


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"not XML",
        b"<x/>",
        b"<!DOCTYPE x><x/>",
        MINIMAL.replace(b"http://schemas.xmlsoap.org/soap/envelope/", b"http://www.w3.org/2003/05/soap-envelope"),
        MINIMAL.replace(b"e:Envelope", b"e:Enveloped"),
        MINIMAL.replace(b"e:Body", b"e:Bodies"),
        MINIMAL.replace(b"</e:Envelope>", b"<e:Body/></e:Envelope>"),
        MINIMAL.replace(b"<e:Body>", b"<e:Header/><e:Header/><e:Body>"),
        MINIMAL.replace(b"urn:x", b"relative"),
        MINIMAL.replace(b"<e:Body>", f'<e:Header><s:Security xmlns:s="{names.WSSE}"/></e:Header><e:Body>'.encode()),
    ],
)
def test_what_cannot_be_signed(forge, request_):
    """What is no SOAP 1.1 request, or has a Security header already, is refused in one sentence."""
    with pytest.raises(UsageError) as caught:
        forge.message(request_)
    assert str(caught.value).endswith(".")


def test_signed_twice(forge):
    """A signed request is not signed again."""
    with pytest.raises(UsageError):
        forge.message(forge.message())


def test_a_signer_has_the_first_certificate_of_its_file(forge, pki):
    """Of a file with the certificate and its authorities, the first is the signer's, in both its forms."""
    credential = forge.credential
    signer = Signer.from_pem(credential.certificate_pem + pki.authorities_pem, credential.private_key_pem)
    assert signer.certificate == credential.certificate
    assert signer.certificate_der == credential.certificate.public_bytes(Encoding.DER)


def test_signers_that_cannot_be(forge, pki, key):
    """A key that is not the certificate's, is encrypted, short or of no known kind makes no signer; it is said why."""
    credential = forge.credential
    good_certificate, good_key = credential.certificate_pem, credential.private_key_pem
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    short = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)
    curve = ec.generate_private_key(ec.SECP256R1())
    unknown = ec.generate_private_key(ec.SECP256K1())
    edwards = ed25519.Ed25519PrivateKey.generate()

    def pem(private_key, encryption=None):
        return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())

    def certificate(private_key):
        return pki.issue_application_certificate(
            forge.urn, forge.cbe, "x", not_before=forge.now, private_key=private_key
        ).certificate_pem

    for certificate_pem, key_pem, word in (
        (good_certificate, pem(other), "not the key"),
        (good_certificate, pem(key, BestAvailableEncryption(b"secret")), "encrypted"),
        (good_certificate, b"nonsense", "private key"),
        (good_certificate, good_certificate, "private key"),
        (b"", good_key, "certificate"),
        (good_key, good_key, "certificate"),
        (certificate(short), pem(short), "too short"),
        (certificate(unknown), pem(unknown), "on a curve"),
        (certificate(edwards), pem(edwards), "of another kind"),
        (good_certificate, pem(edwards), "of another kind"),
        (certificate(edwards), good_key, "of another kind"),
        (good_certificate, pem(curve), "not the key"),
        (certificate(curve), good_key, "not the key"),
    ):
        with pytest.raises(UsageError, match=word):
            Signer.from_pem(certificate_pem, key_pem)


def test_sec_78_no_key_in_the_repr_of_a_signer(forge):
    """The printed form of a signer shows no key and no signature function (SEC-78)."""
    assert "PRIVATE" not in repr(forge.signer)
    assert "sign_bytes" not in repr(forge.signer)
    assert "private_key" not in repr(forge.credential)
