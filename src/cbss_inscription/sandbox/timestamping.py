"""A time-stamping authority (RFC 3161) for sandboxes and tests: real tokens, from a certificate that nobody trusts.

It signs with ECDSA over SHA-256, as CMS with the signed attributes that RFC 3161 and RFC 5816 ask for.
"""

from __future__ import annotations

import hashlib
import http.server
import secrets
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cbss_inscription.sandbox.pki import Credential

POLICY: Final = "1.3.6.1.4.1.99999.1"
"""The policy of the tokens: a number that nobody has."""
REQUEST_BYTES_MAX: Final = 4_096
"""Bytes of a request; they have some sixty."""
ANSWER_SECONDS_MAX: Final = 10.0
"""For one operation on a connection."""
QUERY_TYPE: Final = "application/timestamp-query"
REPLY_TYPE: Final = "application/timestamp-reply"

_GRANTED: Final = 0
_REJECTION: Final = 2
_SHA256: Final = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_ECDSA_WITH_SHA256: Final = x509.ObjectIdentifier("1.2.840.10045.4.3.2")
_SIGNED_DATA: Final = x509.ObjectIdentifier("1.2.840.113549.1.7.2")
_TST_INFO: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
_CONTENT_TYPE: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE_V2: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.47")


# -- RFC 3161, section 2.4, and RFC 5652, section 5: their own names ---------------------------------------------------


@asn1.sequence
class _AlgorithmIdentifier:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None = None


@asn1.sequence
class _MessageImprint:
    hash_algorithm: _AlgorithmIdentifier
    hashed_message: bytes


@asn1.sequence
class _TimeStampReq:
    version: int
    message_imprint: _MessageImprint
    req_policy: x509.ObjectIdentifier | None = None
    nonce: int | None = None
    cert_req: Annotated[bool, asn1.Default(value=False)] = False


@asn1.sequence
class _TstInfo:
    version: int
    policy: x509.ObjectIdentifier
    message_imprint: _MessageImprint
    serial_number: int
    gen_time: asn1.GeneralizedTime
    nonce: int | None = None


@asn1.sequence
class _EncapsulatedContent:
    content_type: x509.ObjectIdentifier
    content: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class _IssuerAndSerialNumber:
    issuer: asn1.TLV
    serial_number: int


@asn1.sequence
class _EssCertIdV2:
    """Its hash algorithm is the default, SHA-256."""

    cert_hash: bytes


@asn1.sequence
class _SigningCertificateV2:
    certs: list[_EssCertIdV2]


@asn1.sequence
class _Attribute:
    type: x509.ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class _SignerInfo:
    version: int
    sid: _IssuerAndSerialNumber
    digest_algorithm: _AlgorithmIdentifier
    signed_attributes: Annotated[asn1.SetOf[_Attribute], asn1.Implicit(0)]
    signature_algorithm: _AlgorithmIdentifier
    signature: bytes


@asn1.sequence
class _SignedData:
    version: int
    digest_algorithms: asn1.SetOf[_AlgorithmIdentifier]
    content: _EncapsulatedContent
    certificates: Annotated[asn1.SetOf[asn1.TLV], asn1.Implicit(0)]
    signer_infos: asn1.SetOf[_SignerInfo]


@asn1.sequence
class _ContentInfo:
    content_type: x509.ObjectIdentifier
    content: Annotated[_SignedData, asn1.Explicit(0)]


@asn1.sequence
class _PkiStatusInfo:
    status: int


@asn1.sequence
class _TimeStampResp:
    status: _PkiStatusInfo
    time_stamp_token: _ContentInfo | None = None


class TimeStampAuthority:
    """Answers requests with tokens; `credential` is of elliptic curves, its certificate for time stamping alone."""

    def __init__(self, credential: Credential, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._credential = credential
        self._clock = clock

    def answer(self, request_der: bytes) -> bytes:
        """The response to a request, in DER; a rejection when it is none, or of another digest than SHA-256."""
        try:
            request = asn1.decode_der(_TimeStampReq, request_der)
        except ValueError:
            return _rejection()
        imprint = request.message_imprint
        if imprint.hash_algorithm.algorithm != _SHA256 or len(imprint.hashed_message) != hashlib.sha256().digest_size:
            return _rejection()
        info = _TstInfo(
            version=1,
            policy=request.req_policy or x509.ObjectIdentifier(POLICY),
            message_imprint=imprint,
            serial_number=int.from_bytes(secrets.token_bytes(8), "big"),
            gen_time=asn1.GeneralizedTime(self._clock().astimezone(UTC).replace(microsecond=0)),
            nonce=request.nonce,
        )
        response = _TimeStampResp(status=_PkiStatusInfo(status=_GRANTED), time_stamp_token=self._signed(info))
        return asn1.encode_der(response)

    def _signed(self, info: _TstInfo) -> _ContentInfo:
        certificate, private_key = self._credential.certificate, self._credential.private_key
        assert isinstance(private_key, ec.EllipticCurvePrivateKey)
        content = asn1.encode_der(info)
        certificate_der = certificate.public_bytes(Encoding.DER)
        signing = _SigningCertificateV2(certs=[_EssCertIdV2(cert_hash=hashlib.sha256(certificate_der).digest())])
        attributes = asn1.SetOf(
            [
                _attribute(_CONTENT_TYPE, _TST_INFO),
                _attribute(_MESSAGE_DIGEST, hashlib.sha256(content).digest()),
                _attribute(_SIGNING_CERTIFICATE_V2, signing),
            ]
        )
        # RFC 5652, 5.4: signed is the SET itself, not the [0] under which it is sent.
        signature = private_key.sign(asn1.encode_der(attributes), ec.ECDSA(hashes.SHA256()))
        sha256 = _AlgorithmIdentifier(algorithm=_SHA256)
        chain = (certificate, *self._credential.intermediates)
        signer = _SignerInfo(
            version=1,
            sid=_IssuerAndSerialNumber(
                issuer=_as_tlv(certificate.issuer.public_bytes()), serial_number=certificate.serial_number
            ),
            digest_algorithm=sha256,
            signed_attributes=attributes,
            signature_algorithm=_AlgorithmIdentifier(algorithm=_ECDSA_WITH_SHA256),
            signature=signature,
        )
        signed = _SignedData(
            version=3,
            digest_algorithms=asn1.SetOf([sha256]),
            content=_EncapsulatedContent(content_type=_TST_INFO, content=content),
            certificates=asn1.SetOf([_as_tlv(one.public_bytes(Encoding.DER)) for one in chain]),
            signer_infos=asn1.SetOf([signer]),
        )
        return _ContentInfo(content_type=_SIGNED_DATA, content=signed)


def _attribute(kind: x509.ObjectIdentifier, value: object) -> _Attribute:
    return _Attribute(type=kind, values=asn1.SetOf([_as_tlv(asn1.encode_der(value))]))


def _as_tlv(der: bytes) -> asn1.TLV:
    return asn1.decode_der(asn1.TLV, der)


def _rejection() -> bytes:
    return asn1.encode_der(_TimeStampResp(status=_PkiStatusInfo(status=_REJECTION)))


class TimeStampServer:
    """The authority over HTTP (RFC 3161, section 3.4), on loopback, in a thread between `start` and `stop`."""

    def __init__(self, authority: TimeStampAuthority, *, address: str, port: int = 0) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = ANSWER_SECONDS_MAX

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                if not length.isdecimal() or int(length) > REQUEST_BYTES_MAX:
                    self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                    return
                if self.headers.get("content-type") != QUERY_TYPE:
                    self.send_error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
                    return
                reply = authority.answer(self.rfile.read(int(length)))
                self.send_response(HTTPStatus.OK)
                self.send_header("content-type", REPLY_TYPE)
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                """Nothing: a sandbox's terminal is for people."""

        self._server = http.server.ThreadingHTTPServer((address, port), Handler)
        self._server.daemon_threads = True
        self._is_stopping = False
        self._thread = threading.Thread(target=self._serve, name="time-stamp-authority", daemon=True)

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://{self._server.server_address[0]!s}:{self._server.server_port}/"

    def start(self) -> None:
        """Nothing; it answers from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Nothing; it answers no more."""
        self._is_stopping = True
        socket.create_connection(self._server.socket.getsockname()).close()
        self._thread.join()
        self._server.server_close()

    def _serve(self) -> None:
        # `serve_forever` would look again and again whether it is to stop; `stop` wakes this by a connection.
        while not self._is_stopping:
            self._server.handle_request()
