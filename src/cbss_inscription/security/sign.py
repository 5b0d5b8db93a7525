"""A request signed the RSZ way: token, timestamp and Body under one signature, rsa-sha256 (design 1.1).

A key on an elliptic curve signs by the algorithm of its curve, for services that allow it.

The Security header is text with places for what differs. Its signed parts are in canonical form as they stand, each
with the declarations that it needs, so that what is hashed are the bytes that are sent.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names, safe_xml
from cbss_inscription.domain.errors import MessageRejected, UsageError
from cbss_inscription.security.algorithms import PublicKey, SignatureAlgorithm, algorithm_for
from cbss_inscription.security.c14n import CanonicalizationError, canonical
from cbss_inscription.security.gate import ID
from cbss_inscription.security.policy import LIFETIME_SECONDS_MAX

LIFETIME_SECONDS: Final = 60
"""From Created to Expires; what Smals' own connector sends (design 1.1)."""

_TOKEN: Final = (
    f'<wsse:BinarySecurityToken xmlns:wsse="{names.WSSE}" xmlns:wsu="{names.WSU}" EncodingType="{names.BASE64_BINARY}"'
    f' ValueType="{names.X509_V3}" wsu:Id="%s">%s</wsse:BinarySecurityToken>'
)
_TIMESTAMP: Final = (
    f'<wsu:Timestamp xmlns:wsu="{names.WSU}" wsu:Id="%s"><wsu:Created>%s</wsu:Created><wsu:Expires>%s</wsu:Expires>'
    "</wsu:Timestamp>"
)
_REFERENCE: Final = (
    '<ds:Reference URI="#%s"><ds:Transforms>'
    f'<ds:Transform Algorithm="{names.EXC_C14N}"></ds:Transform></ds:Transforms>'
    f'<ds:DigestMethod Algorithm="{names.SHA256}"></ds:DigestMethod><ds:DigestValue>%s</ds:DigestValue></ds:Reference>'
)
_SIGNED_INFO: Final = (
    f'<ds:SignedInfo xmlns:ds="{names.DS}">'
    f'<ds:CanonicalizationMethod Algorithm="{names.EXC_C14N}"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="%s"></ds:SignatureMethod>%s%s%s</ds:SignedInfo>'
)
_SECURITY: Final = (
    f'<wsse:Security xmlns:wsse="{names.WSSE}" xmlns:soapenv="{names.SOAP11}" soapenv:mustUnderstand="1">%s%s'
    f'<ds:Signature xmlns:ds="{names.DS}">%s<ds:SignatureValue>%s</ds:SignatureValue>'
    "<ds:KeyInfo><wsse:SecurityTokenReference>"
    f'<wsse:Reference URI="#%s" ValueType="{names.X509_V3}"/>'
    "</wsse:SecurityTokenReference></ds:KeyInfo></ds:Signature></wsse:Security>"
)
_BODY: Final = f'<soapenv:Body xmlns:soapenv="{names.SOAP11}" xmlns:wsu="{names.WSU}" wsu:Id="%s">%s</soapenv:Body>'
_MESSAGE: Final = (
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    f'<soapenv:Envelope xmlns:soapenv="{names.SOAP11}"><soapenv:Header>%s</soapenv:Header>%s</soapenv:Envelope>'
)

# So that a wsu:Id on a Body whose sender did not declare the prefix is not called ns0:Id.
etree.register_namespace("wsu", names.WSU)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """An application's certificate and the use of its private key, which may lie in a file or elsewhere."""

    certificate: x509.Certificate
    certificate_der: bytes = field(repr=False)
    sign_bytes: Callable[[bytes], bytes] = field(repr=False)
    """The SignatureValue of the bytes given, by `algorithm`."""
    algorithm: SignatureAlgorithm = SignatureAlgorithm.RSA_SHA256

    @classmethod
    def from_pem(cls, certificate_pem: bytes, private_key_pem: bytes) -> Signer:
        """A signer from PEM files: the certificate (first, if others follow) and its private key, not encrypted.

        Raises UsageError when one of them cannot be read, when they do not belong together, or when the key is neither
        RSA of at least 2048 bits nor on P-256 or P-384.
        """
        try:
            certificate = x509.load_pem_x509_certificates(certificate_pem)[0]
            certified_key = certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            raise UsageError("The certificate file holds no readable PEM certificate.") from None
        try:
            key = load_pem_private_key(private_key_pem, password=None)
        except TypeError:
            raise UsageError("The private key is encrypted; give a key file without a password.") from None
        except (ValueError, UnsupportedAlgorithm):
            raise UsageError("The key file holds no readable PEM private key.") from None
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) or not isinstance(
            certified_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey
        ):
            raise UsageError("Messages are signed with RSA, P-256 or P-384; the certificate or key is of another kind.")
        if isinstance(key, rsa.RSAPrivateKey) and key.key_size < 2_048:
            raise UsageError("The private key is too short: RSA needs at least 2048 bits.")
        if _public_bytes(key.public_key()) != _public_bytes(certified_key):
            raise UsageError("The private key is not the key of this certificate.")
        algorithm = algorithm_for(key)
        if algorithm is None:
            raise UsageError("The private key is on a curve that nothing signs with here: P-256 and P-384 are known.")

        return cls(
            certificate=certificate,
            certificate_der=certificate.public_bytes(Encoding.DER),
            sign_bytes=partial(algorithm.sign, key),
            algorithm=algorithm,
        )


def sign(
    envelope: bytes | _Element, *, signer: Signer, now: datetime, lifetime_seconds: int = LIFETIME_SECONDS
) -> bytes:
    """The request with a Security header that signs token, timestamp and Body; all else in it stays as it was.

    `envelope` is a SOAP 1.1 request, as bytes or as an element, which is not changed. `now` is aware; the message is
    valid from then for `lifetime_seconds` (1 to 300). Raises UsageError when it is no such request, has a Security
    header already, or cannot be canonicalised.
    """
    if not 0 < lifetime_seconds <= LIFETIME_SECONDS_MAX:
        raise UsageError("A message may live for 1 to 300 seconds.")
    root = _read_request(envelope)
    header, body = _header_and_body(root)
    if any(block.tag == names.WSSE_SECURITY for block in header):
        raise UsageError("The request has a Security header already; sign the request without it.")
    body_id = body.get(names.WSU_ID)
    if body_id is None:
        body_id = _new_id("id-")
        body.set(names.WSU_ID, body_id)
    elif not ID.fullmatch(body_id):
        raise UsageError("The wsu:Id of the request's Body cannot be referred to by a signature.")

    place = _new_id("place-")  # where the header goes: as an element it would be written with other declarations
    etree.SubElement(header, place)
    security = _security_of(_canonical_body(body), body_id, signer=signer, now=now, lifetime_seconds=lifetime_seconds)
    message = etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True)
    return message.replace(f"<{place}/>".encode(), security.encode())


def sign_payload(element: _Element, *, signer: Signer, now: datetime) -> bytes:
    """The signed request whose Body holds `element`; it lives for `LIFETIME_SECONDS`.

    As `sign` makes it of an envelope, for whoever asks often: the Body goes in canonical form.
    Raises UsageError when it has none.
    """
    body_id = _new_id("id-")
    # As text: lxml takes declarations away from an element that moves, and one further in may then be the nearest.
    payload = etree.tostring(element, encoding="unicode", with_tail=False)
    data = _canonical_body(safe_xml.parse_canonical((_BODY % (body_id, payload)).encode()))
    security = _security_of(data, body_id, signer=signer, now=now, lifetime_seconds=LIFETIME_SECONDS)
    return (_MESSAGE % (security, data.decode())).encode()


def _canonical_body(body: _Element) -> bytes:
    try:
        return canonical(body)
    except CanonicalizationError:
        raise UsageError("The request has no canonical form (a relative namespace URI, for one).") from None


def _security_of(body: bytes, body_id: str, *, signer: Signer, now: datetime, lifetime_seconds: int) -> str:
    """The Security header that signs a canonical Body."""
    token_id, timestamp_id = _new_id("X509-"), _new_id("TS-")
    token = _TOKEN % (token_id, base64.b64encode(signer.certificate_der).decode())
    timestamp = _TIMESTAMP % (timestamp_id, _instant(now), _instant(now + timedelta(seconds=lifetime_seconds)))
    signed_info = _SIGNED_INFO % (
        signer.algorithm.uri,
        _REFERENCE % (token_id, _digest(token.encode())),
        _REFERENCE % (timestamp_id, _digest(timestamp.encode())),
        _REFERENCE % (body_id, _digest(body)),
    )
    value = base64.b64encode(signer.sign_bytes(signed_info.encode())).decode()
    return _SECURITY % (token, timestamp, signed_info, value, token_id)


def _digest(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _read_request(envelope: bytes | _Element) -> _Element:
    if not isinstance(envelope, bytes):
        return copy.deepcopy(envelope)
    try:
        return safe_xml.parse(envelope, charset=None)
    except MessageRejected as error:
        raise UsageError(f"The request cannot be signed: it is no acceptable XML ({error.reason}).") from None


def _header_and_body(root: _Element) -> tuple[_Element, _Element]:
    """The Header, made where there is none, and the Body of a SOAP 1.1 envelope."""
    if root.tag != names.SOAP_ENVELOPE:
        raise UsageError("The request is no SOAP 1.1 envelope.")
    bodies = list(root.iterchildren(names.SOAP_BODY))
    headers = list(root.iterchildren(names.SOAP_HEADER))
    if len(bodies) != 1 or len(headers) > 1:
        raise UsageError("The request must have one Body and at most one Header.")
    if headers:
        return headers[0], bodies[0]
    header = root.makeelement(names.SOAP_HEADER)
    root.insert(0, header)
    return header, bodies[0]


def _new_id(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(16)}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _public_bytes(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
