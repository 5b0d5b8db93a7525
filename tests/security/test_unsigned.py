"""Requests without a signature, and the certificate that a TLS terminator hands over (SEC-02, SEC-03)."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription import names
from cbss_inscription.domain.errors import MessageRejected, NotAuthenticated
from cbss_inscription.safe_xml import parse_canonical
from cbss_inscription.security.client_certificate import read_client_certificate
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.unsigned import read_unsigned
from cbss_inscription.xml_limits import XmlLimits
from tests.security.conftest import REQUEST

BODY = "<t:x xmlns:t='urn:t'>v</t:x>"
SECURITY = f"<w:Security xmlns:w='{names.WSSE}'{{attributes}}/>"
CHARS_MAX = 16_384


def message(body: str = BODY, *, header: str = "", envelope: str = names.SOAP11, after: str = "") -> bytes:
    """An envelope around a Body without signature."""
    headers = f"<s:Header>{header}</s:Header>" if header else ""
    return f"<s:Envelope xmlns:s='{envelope}'>{headers}<s:Body>{body}</s:Body>{after}</s:Envelope>".encode()


def refusal(text: bytes, **limits: Any) -> str:
    """The code and the word for the log."""
    policy = SecurityPolicy(xml_limits=XmlLimits(**limits)) if limits else SecurityPolicy()
    with pytest.raises(MessageRejected) as refused:
        read_unsigned(text, charset=None, policy=policy)
    return f"{refused.value.code} {refused.value.reason}"


def test_sec_03_what_is_handed_on_is_the_canonical_body() -> None:
    """The canonical Body with all it means, and what WS-Addressing claims; of the tree nothing (SEC-03, SEC-39)."""
    read = read_unsigned(REQUEST, charset="utf-8", policy=SecurityPolicy())
    body = parse_canonical(read.canonical_body)
    assert body.tag == names.SOAP_BODY
    assert body[0].tag == "{urn:test:inscription}consultRequest"
    assert body.findtext(".//{urn:test:inscription}note") == " a & b < c "
    claims = f"<a:To xmlns:a='{names.WSA}'>https://x</a:To><a:Action xmlns:a='{names.WSA}'>urn:a</a:Action>"
    addressing = read_unsigned(message(header=claims), charset=None, policy=SecurityPolicy()).addressing
    assert (addressing.to, addressing.action) == ("https://x", "urn:a")


@pytest.mark.parametrize("attributes", ["", f" s:mustUnderstand='1' xmlns:s='{names.SOAP11}'"])
def test_sec_03_a_security_header_that_nobody_asked_for_is_refused(attributes: str) -> None:
    """Whoever signs believes that it is looked at: refused, marked mustUnderstand or not (SEC-03, SEC-15)."""
    assert refusal(message(header=SECURITY.format(attributes=attributes))) == "SOA-01001 security-unasked"
    for_another = f" s:actor='urn:another' xmlns:s='{names.SOAP11}'"
    read_unsigned(message(header=SECURITY.format(attributes=for_another)), charset=None, policy=SecurityPolicy())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"<x", "SOA-03001 not-well-formed"),
        (message(envelope="http://www.w3.org/2003/05/soap-envelope"), "SOA-03002 envelope-namespace"),
        (message(after="<s:Body/>"), "SOA-03002 envelope-children"),
        (message(BODY + BODY), "SOA-03003 body-children"),
        (message("<t:x xmlns:t='urn:t'><!-- c --></t:x>"), "SOA-03004 comment"),
        (b"<!DOCTYPE x>" + message(), "SOA-03004 doctype"),
        (message(header="<u:U xmlns:u='urn:u' s:mustUnderstand='1'/>"), "SOA-03004 header-not-understood"),
        (message("<x:Include xmlns:x='http://www.w3.org/2004/08/xop/include'/>"), "SOA-03004 xop"),
        (message("<t:x xmlns:t='relative'/>"), "SOA-01001 canonicalization"),
    ],
)
def test_sec_12_the_grammar_of_envelopes_is_the_same(text: bytes, told: str) -> None:
    """Without a signature an envelope keeps to the same grammar (SEC-07, SEC-12, SEC-13, SEC-15, SEC-19, SEC-20)."""
    assert refusal(text) == told


def test_sec_21_the_limits_are_the_same() -> None:
    """Depth, elements and texts are bounded without a signature as with one (SEC-21, SEC-22, SEC-25)."""
    deep = "<d>" * 40 + "</d>" * 40
    assert refusal(message(f"<t:x xmlns:t='urn:t'>{deep}</t:x>")).startswith("SOA-03001 ")
    many = "<d/>" * 300
    assert refusal(message(f"<t:x xmlns:t='urn:t'>{many}</t:x>"), elements_max=200).startswith("SOA-03001 ")
    assert refusal(message(), size_bytes_max=20).startswith("SOA-03001 ")


def test_sec_27_the_charset_counts() -> None:
    """What the Content-Type says of the encoding is compared without a signature, too (SEC-27)."""
    assert read_unsigned(message(), charset="UTF-8", policy=SecurityPolicy()).canonical_body
    with pytest.raises(MessageRejected) as refused:
        read_unsigned(message(), charset="utf-16", policy=SecurityPolicy())
    assert refused.value.reason == "encoding"


def written(der: bytes) -> dict[str, str]:
    """A certificate as terminators write it."""
    packed = base64.b64encode(der).decode()
    lines = "\n".join(packed[start : start + 64] for start in range(0, len(packed), 64))
    pem = f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"
    return {"nginx": quote(pem, safe=""), "haproxy": packed, "RFC 9440": f":{packed}:"}


@pytest.mark.parametrize("terminator", ["nginx", "haproxy", "RFC 9440"])
def test_sec_03_a_certificate_that_is_handed_over_is_read(forge: Any, terminator: str) -> None:
    """In each of the three ways of writing it, the bytes are the certificate's (SEC-03)."""
    der = forge.credential.certificate.public_bytes(Encoding.DER)
    text = written(der)[terminator]
    assert read_client_certificate(text, chars_max=len(text)) == der
    with pytest.raises(NotAuthenticated, match="client-certificate-size"):
        read_client_certificate(text, chars_max=len(text) - 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "client-certificate-missing"),
        ("", "client-certificate-missing"),
        ("A" * (CHARS_MAX + 1), "client-certificate-size"),
        ("not base64", "client-certificate-malformed"),
        ("é", "client-certificate-malformed"),
        ("%2D%2D", "client-certificate-malformed"),
        (f"-----BEGIN CERTIFICATE-----{' ' * (CHARS_MAX - 27)}", "client-certificate-malformed"),
        (quote("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" * 2), "client-certificate-malformed"),
        (quote("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "client-certificate-malformed"),
    ],
)
def test_sec_02_what_is_no_certificate_is_refused(text: str | None, reason: str) -> None:
    """Nothing, too much, two certificates, or no certificate: refused, each with its word (SEC-02)."""
    with pytest.raises(NotAuthenticated) as refused:
        read_client_certificate(text, chars_max=CHARS_MAX)
    assert refused.value.reason == reason


@given(st.text(max_size=200))
def test_sec_02_any_header_is_bytes_or_a_refusal(text: str) -> None:
    """Whatever stands in the header, it is read or refused (SEC-02)."""
    try:
        read = read_client_certificate(text, chars_max=100)
    except NotAuthenticated:
        return
    assert isinstance(read, bytes)
