"""TV-45 to TV-54: which key it is, and what the token holds."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from lxml.etree import _Element

from cbss_inscription import names
from cbss_inscription.domain.errors import MalformedMessage, NotAuthenticated
from tests.pki.reader import der_sequence
from tests.vectors.vector import ACCEPTED, Bench, Expected, Variant, add, refused, the, vectors, written

DS: Final = f"{{{names.DS}}}"
DS11: Final = "{http://www.w3.org/2009/xmldsig11#}"
WSSE: Final = f"{{{names.WSSE}}}"
KEY_INFO: Final = refused(NotAuthenticated, "key-info")
MALFORMED: Final = refused(NotAuthenticated, "certificate-malformed")
SPELLING: Final = refused(NotAuthenticated, "token-base64")
THUMBPRINT: Final = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1"
KERBEROS: Final = "http://docs.oasis-open.org/wss/oasis-wss-kerberos-token-profile-1.1#Kerberosv5"
SUBJECT_KEY: Final = names.X509_V3.replace("X509v3", "X509SubjectKeyIdentifier")


def _alternatives(bench: Bench) -> dict[str, Callable[[_Element], object]]:
    """Every other way of XMLDSig and WSS to name a key, each of them naming the right one where it can."""
    certificate = bench.forge.credential.certificate
    der = base64.b64encode(bench.forge.signer.certificate_der).decode()
    numbers = bench.forge.credential.private_key.public_key().public_numbers()

    def number(value: int) -> str:
        return base64.b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()

    def reference(info: _Element) -> _Element:
        return add(info, names.WSSE_TOKEN_REFERENCE)

    def key_value(info: _Element) -> None:
        value = add(add(info, f"{DS}KeyValue"), f"{DS}RSAKeyValue")
        add(value, f"{DS}Modulus", number(numbers.n))
        add(value, f"{DS}Exponent", number(numbers.e))

    def issuer_serial(parent: _Element) -> None:
        serial = add(add(parent, f"{DS}X509Data"), f"{DS}X509IssuerSerial")
        add(serial, f"{DS}X509IssuerName", certificate.issuer.rfc4514_string())
        add(serial, f"{DS}X509SerialNumber", str(certificate.serial_number))

    def identifier(info: _Element, value_type: str, value: bytes) -> None:
        add(reference(info), f"{WSSE}KeyIdentifier", base64.b64encode(value).decode(), ValueType=value_type)

    def embedded(info: _Element) -> None:
        token = add(add(reference(info), f"{WSSE}Embedded"), names.WSSE_TOKEN, der)
        token.set("ValueType", names.X509_V3)
        token.set("EncodingType", names.BASE64_BINARY)

    subject = certificate.subject.rfc4514_string()
    thumbprint = certificate.fingerprint(hashes.SHA1())
    subject_key = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    spki = base64.b64encode(numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    return {
        "key-name": lambda info: add(info, f"{DS}KeyName", bench.pki.urn),
        "key-value": key_value,
        "der-encoded-key-value": lambda info: add(info, f"{DS11}DEREncodedKeyValue", spki),
        "x509-certificate": lambda info: add(add(info, f"{DS}X509Data"), f"{DS}X509Certificate", der),
        "x509-issuer-serial": issuer_serial,
        "x509-subject-name": lambda info: add(add(info, f"{DS}X509Data"), f"{DS}X509SubjectName", subject),
        "retrieval-method": lambda info: add(info, f"{DS}RetrievalMethod", URI="http://127.0.0.1:9/key"),
        "key-info-reference": lambda info: add(info, f"{DS11}KeyInfoReference", URI="#KI-2"),
        "pgp-data": lambda info: add(info, f"{DS}PGPData"),
        "spki-data": lambda info: add(add(info, f"{DS}SPKIData"), f"{DS}SPKISexp", "AAAA"),
        "mgmt-data": lambda info: add(info, f"{DS}MgmtData", "x"),
        "reference-without-content": reference,
        "subject-key-identifier": lambda info: identifier(info, SUBJECT_KEY, subject_key),
        "thumbprint": lambda info: identifier(info, THUMBPRINT, thumbprint),
        "issuer-serial-in-a-reference": lambda info: issuer_serial(reference(info)),
        "embedded": embedded,
        "reference-to-a-reference": lambda info: add(reference(info), names.WSSE_TOKEN_REFERENCE),
        "derived-key": lambda info: add(
            info, "{http://docs.oasis-open.org/ws-sx/ws-secureconversation/200512}DerivedKeyToken"
        ),
    }


@vectors(45, "SEC-36")
def other_key_infos(bench: Bench) -> Iterator[Variant]:
    """A key that is named in any other way than by direct reference to the token."""
    for name, build in _alternatives(bench).items():
        root = bench.tree()
        key_info = the(root, names.DS_KEY_INFO)
        del key_info[:]
        build(key_info)
        yield Variant(name=name, message=written(root), expected=KEY_INFO)
    root = bench.tree()
    del the(root, names.DS_KEY_INFO)[:]
    yield Variant(name="empty", message=written(root), expected=KEY_INFO)
    root = bench.tree()
    key_info = the(root, names.DS_KEY_INFO)
    the(root, names.DS_SIGNATURE).remove(key_info)
    yield Variant(name="none", message=written(root), expected=refused(NotAuthenticated, "signature-grammar"))


@vectors(46, "SEC-36")
def second_key_infos(bench: Bench) -> Iterator[Variant]:
    """A second way to name the key, before or after the right one."""
    for name, build in _alternatives(bench).items():
        for place in ("before", "after"):
            root = bench.tree()
            key_info = the(root, names.DS_KEY_INFO)
            build(key_info)
            if place == "before":
                key_info.insert(0, key_info[-1])
            yield Variant(name=f"{name}-{place}", message=written(root), expected=KEY_INFO)
    root = bench.tree()
    reference = the(root, names.WSSE_TOKEN_REFERENCE)
    reference.append(bench.forge.copy(reference[0]))
    yield Variant(name="two-direct-references", message=written(root), expected=KEY_INFO)


@vectors(47, "SEC-36")
def direct_references(bench: Bench) -> Iterator[Variant]:
    """A direct reference to something else than the token, without its ValueType, or of another type."""
    value_type, target = refused(NotAuthenticated, "key-info-value-type"), refused(NotAuthenticated, "key-info-target")
    body = bench.forge.body(bench.tree()).get(names.WSU_ID)
    for name, changes, expected in (
        ("no-value-type", {"ValueType": None}, value_type),
        ("pkipath", {"ValueType": names.X509_V3.replace("X509v3", "X509PKIPathv1")}, value_type),
        ("pkcs7", {"ValueType": names.X509_V3.replace("X509v3", "PKCS7")}, value_type),
        ("empty-value-type", {"ValueType": ""}, value_type),
        ("no-uri", {"URI": None}, KEY_INFO),
        ("empty-uri", {"URI": ""}, target),
        ("to-the-body", {"URI": f"#{body}"}, target),
        ("to-nothing", {"URI": "#nothing"}, target),
        ("to-a-server", {"URI": "http://127.0.0.1:9/certificate"}, target),
        ("to-a-file", {"URI": "file:///etc/hostname"}, target),
        ("to-an-attachment", {"URI": "cid:certificate"}, target),
        ("unknown-attribute", {"Usage": "x"}, KEY_INFO),
    ):
        root = bench.tree()
        reference = the(root, names.WSSE_REFERENCE)
        for attribute, value in changes.items():
            if value is None:
                del reference.attrib[attribute]
            else:
                reference.set(attribute, value)
        yield Variant(name=name, message=written(root), expected=expected)
    root = bench.tree()
    add(the(root, names.WSSE_REFERENCE), "{urn:x}x")
    yield Variant(name="with-content", message=written(root), expected=KEY_INFO)


def _token(bench: Bench, name: str, text: str, expected: Expected) -> Variant:
    """The token's text changed, and all signed again by who has the key."""
    root = bench.tree()
    the(root, names.WSSE_TOKEN).text = text
    return Variant(name=name, message=bench.resigned(root), expected=expected)


def _der(bench: Bench, name: str, der: bytes, expected: Expected = MALFORMED) -> Variant:
    return _token(bench, name, base64.b64encode(der).decode(), expected)


@vectors(48, "SEC-30")
def token_types(bench: Bench) -> Iterator[Variant]:
    """A token of another type or encoding, without either, with content or attributes that it may not have."""
    kind, grammar = refused(NotAuthenticated, "token-type"), refused(NotAuthenticated, "token-grammar")
    for name, attribute, value, expected in (
        ("pkipath", "ValueType", names.X509_V3.replace("X509v3", "X509PKIPathv1"), kind),
        ("pkcs7", "ValueType", names.X509_V3.replace("X509v3", "PKCS7"), kind),
        ("x509v1", "ValueType", names.X509_V3.replace("X509v3", "X509v1"), kind),
        (
            "kerberos",
            "ValueType",
            KERBEROS,
            kind,
        ),
        ("hexadecimal", "EncodingType", names.BASE64_BINARY.replace("Base64Binary", "HexBinary"), kind),
        ("empty-value-type", "ValueType", "", kind),
        ("no-value-type", "ValueType", None, grammar),
        ("no-encoding-type", "EncodingType", None, grammar),
        ("unknown-attribute", "x", "y", grammar),
    ):
        root = bench.tree()
        token = the(root, names.WSSE_TOKEN)
        if value is None:
            del token.attrib[attribute]
        else:
            token.set(attribute, value)
        yield Variant(name=name, message=bench.resigned(root), expected=expected)
    root = bench.tree()
    add(the(root, names.WSSE_TOKEN), "{urn:x}x")
    yield Variant(name="with-content", message=bench.resigned(root), expected=grammar)
    path = der_sequence(bench.forge.signer.certificate_der)
    yield _der(bench, "pkipath-that-says-x509v3", path)
    bundle = pkcs7.serialize_certificates([bench.forge.credential.certificate], Encoding.DER)
    yield _der(bench, "pkcs7-that-says-x509v3", bundle)


@vectors(48, "SEC-29")
def other_tokens(bench: Bench) -> Iterator[Variant]:
    """Another token beside the one or instead of it, encryption anywhere, text: nothing of that has a place."""
    grammar, encryption = refused(NotAuthenticated, "security-grammar"), refused(NotAuthenticated, "encryption")
    for name, tag, where, expected in (
        ("username-token", f"{WSSE}UsernameToken", names.WSSE_SECURITY, grammar),
        ("saml-1.1", "{urn:oasis:names:tc:SAML:1.0:assertion}Assertion", names.WSSE_SECURITY, grammar),
        ("saml-2.0", "{urn:oasis:names:tc:SAML:2.0:assertion}Assertion", names.WSSE_SECURITY, grammar),
        ("reference-list", names.qname(names.XENC, "ReferenceList"), names.WSSE_SECURITY, encryption),
        ("encrypted-key", names.qname(names.XENC, "EncryptedKey"), names.WSSE_SECURITY, encryption),
        ("encrypted-header", names.qname(names.XENC, "EncryptedData"), names.SOAP_HEADER, encryption),
        ("encrypted-content", names.qname(names.XENC, "EncryptedData"), "criteria", encryption),
        ("encrypted-by-1.1", names.qname(names.XENC11, "DerivedKey"), "criteria", encryption),
    ):
        root = bench.tree()
        add(the(root, where), tag)
        yield Variant(name=name, message=written(root), expected=expected)
    for name, changed in (("no-token", False), ("two-tokens", True)):
        root = bench.tree()
        token = the(root, names.WSSE_TOKEN)
        if changed:
            twin = bench.forge.copy(token)
            twin.set(names.WSU_ID, "another")
            token.addnext(twin)
        else:
            bench.forge.security(root).remove(token)
        yield Variant(name=name, message=written(root), expected=grammar)
    root = bench.tree()
    bench.forge.security(root).text = "x"
    yield Variant(name="text", message=written(root), expected=grammar)
    root = bench.tree()
    bench.forge.security(root).set("x", "y")
    yield Variant(name="unknown-attribute-of-the-header", message=written(root), expected=grammar)


@vectors(49, "SEC-30")
def not_quite_der(bench: Bench) -> Iterator[Variant]:
    """A certificate with bytes behind it, in BER, or cut."""
    der = bench.forge.signer.certificate_der
    length = (len(der) - 4).to_bytes(4, "big")
    for name, changed in (
        ("zero-behind", der + b"\x00"),
        ("line-behind", der + b"\n"),
        ("ber-long-length", der[:1] + b"\x84" + length + der[4:]),
        ("ber-indefinite-length", der[:1] + b"\x80" + der[4:] + b"\x00\x00"),
        ("cut", der[:-1]),
        ("half", der[: len(der) // 2]),
        ("without-beginning", der[4:]),
    ):
        yield _der(bench, name, changed)


@vectors(50, "SEC-30")
def spellings_of_base64(bench: Bench) -> Iterator[Variant]:
    """A token in base64 with line breaks is the same; with junk, another alphabet or wrong padding it is not base64."""
    text = base64.b64encode(bench.forge.signer.certificate_der).decode()
    lines = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    for name, changed, expected in (
        ("lines", f"\n{lines}\n", ACCEPTED),
        ("tabs", text[:100] + "\t" + text[100:], ACCEPTED),
        ("exclamation-mark", text + "!", SPELLING),
        ("no-break-space", text[:100] + "\u00a0" + text[100:], SPELLING),
        ("full-width", "\uff2d" + text[1:], SPELLING),
        ("url-alphabet", "-_-_" + text[4:], SPELLING),
        ("padding-inside", text[:4] + "=" + text[5:], SPELLING),
        ("padding-missing", "QUJDRA", SPELLING),
        ("padding-of-three", "Q===", SPELLING),
        ("unused-bits", "QUJDRB==", SPELLING),
        ("one-character", "Q", SPELLING),
    ):
        yield _token(bench, name, changed, expected)


@vectors(51, "SEC-30")
def two_certificates(bench: Bench) -> Iterator[Variant]:
    """Two certificates in one token, the sender's first or last."""
    sender, other = bench.forge.signer.certificate_der, bench.pki.certificates["renewed"].der
    yield _der(bench, "sender-first", sender + other)
    yield _der(bench, "sender-last", other + sender)
    yield _der(bench, "twice", sender + sender)
    text = [base64.b64encode(der).decode().rstrip("=") + "====" for der in (sender, other)]
    yield _token(bench, "two-texts", "".join(text), SPELLING)


@vectors(52, "SEC-30")
def not_a_certificate(bench: Bench) -> Iterator[Variant]:
    """A certificate request, a revocation list, a public key, or anything else that is no certificate."""
    key = bench.forge.credential.private_key
    subject = bench.forge.credential.certificate.subject
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    yield _der(bench, "certificate-request", request.public_bytes(Encoding.DER))
    yield _der(bench, "revocation-list", bench.pki.trusts["standard"].lists[0])
    yield _der(bench, "public-key", key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    yield _der(bench, "empty-sequence", b"\x30\x00")
    yield _der(bench, "zeros", bytes(64))
    yield _der(bench, "nested-without-end", b"\x30\x80" * 2_000)
    yield _der(bench, "great-length", b"\x30\x84\xff\xff\xff\xff" + bytes(32))


@vectors(53, "SEC-30")
def pem(bench: Bench) -> Iterator[Variant]:
    """PEM, in base64 once more or as it is."""
    text = bench.forge.credential.certificate.public_bytes(Encoding.PEM)
    yield _der(bench, "in-base64", text)
    yield _token(bench, "as-it-is", text.decode(), SPELLING)


@vectors(54, "SEC-25", "SEC-30")
def sizes_of_the_token(bench: Bench) -> Iterator[Variant]:
    """A token without text, of blanks, as long as may be, longer, and of a megabyte."""
    yield _token(bench, "empty", "", SPELLING)
    yield _token(bench, "blank", " \n ", SPELLING)
    yield _token(bench, "as-long-as-may-be", "A" * 16_384, MALFORMED)
    yield _token(bench, "longer", "A" * 16_388, refused(NotAuthenticated, "token-size"))
    yield _token(bench, "a-megabyte", "A" * 1_000_000, refused(MalformedMessage, "text-length"))
