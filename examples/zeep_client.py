"""CBSSInscription with zeep: zeep_client.py SANDBOX_DIRECTORY. Needs zeep, lxml and cryptography, nothing of ours.

zeep's own `BinarySignature` cannot be used: it leaves the BinarySecurityToken unsigned and the Timestamp to you.
`SignedRequest` below signs what RSZ asks for: copy it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests
import zeep
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree
from lxml.builder import ElementMaker
from lxml.etree import _Element
from zeep.transports import Transport
from zeep.wsse.utils import get_security_header

OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE_NS, WSU_NS = f"{OASIS}wssecurity-secext-1.0.xsd", f"{OASIS}wssecurity-utility-1.0.xsd"
DS_NS, ID = "http://www.w3.org/2000/09/xmldsig#", f"{{{WSU_NS}}}Id"
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
X509_V3, BASE64 = f"{OASIS}x509-token-profile-1.0#X509v3", f"{OASIS}soap-message-security-1.0#Base64Binary"

WSSE = ElementMaker(namespace=WSSE_NS, nsmap={"wsse": WSSE_NS})
WSU = ElementMaker(namespace=WSU_NS, nsmap={"wsu": WSU_NS})
DS = ElementMaker(namespace=DS_NS, nsmap={"ds": DS_NS})


class SignedRequest:
    """A zeep `wsse`: signs BinarySecurityToken, Timestamp and Body with RSA-SHA256 over exclusive C14N."""

    def __init__(self, certificate: Path, private_key: Path) -> None:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        key = serialization.load_pem_private_key(private_key.read_bytes(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("The service takes RSA keys only.")
        self._token = base64.b64encode(loaded.public_bytes(serialization.Encoding.DER)).decode()
        self._key = key

    def apply(self, envelope: _Element, headers: dict[str, str]) -> tuple[_Element, dict[str, str]]:
        """The envelope, signed; it is the last that zeep does to a message, and must be."""
        now = datetime.now(UTC)
        token = WSSE.BinarySecurityToken(self._token, EncodingType=BASE64, ValueType=X509_V3)
        timestamp = WSU.Timestamp(
            WSU.Created(now.strftime("%Y-%m-%dT%H:%M:%SZ")),
            WSU.Expires((now + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")),
        )
        body = envelope.find("{*}Body")
        assert body is not None
        parts = (token, timestamp, body)
        for part in parts:
            part.set(ID, f"id-{uuid4()}")

        security = get_security_header(envelope)  # type: ignore[no-untyped-call]
        signature = DS.Signature()
        security.extend([token, timestamp, signature])
        # Digests and signature are computed where the elements stand, and nothing is changed after that.
        signed_info = DS.SignedInfo(
            DS.CanonicalizationMethod(Algorithm=EXC_C14N), DS.SignatureMethod(Algorithm=RSA_SHA256)
        )
        signed_info.extend(_reference(part) for part in parts)
        signature.append(signed_info)
        value = self._key.sign(_canonical(signed_info), padding.PKCS1v15(), hashes.SHA256())
        signature.append(DS.SignatureValue(base64.b64encode(value).decode()))
        direct = WSSE.Reference(URI=f"#{token.get(ID)}", ValueType=X509_V3)
        signature.append(DS.KeyInfo(WSSE.SecurityTokenReference(direct)))
        return envelope, headers

    def verify(self, envelope: _Element) -> None:
        """Nothing: replies are not signed, TLS vouches for them."""


def _reference(part: _Element) -> _Element:
    digest = base64.b64encode(hashlib.sha256(_canonical(part)).digest()).decode()
    transforms = DS.Transforms(DS.Transform(Algorithm=EXC_C14N))
    method = DS.DigestMethod(Algorithm=SHA256)
    return DS.Reference(transforms, method, DS.DigestValue(digest), URI=f"#{part.get(ID)}")


def _canonical(element: _Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def make_client(wsdl: str, *, ca: Path, certificate: Path, private_key: Path) -> zeep.Client:
    """A zeep client that trusts exactly the authorities in `ca` and signs every request."""
    session = requests.Session()
    session.trust_env = False  # else REQUESTS_CA_BUNDLE, if set, would silently replace the next line
    session.verify = str(ca)
    transport = Transport(session=session, timeout=30, operation_timeout=30)  # type: ignore[no-untyped-call]
    return zeep.Client(wsdl, transport=transport, wsse=SignedRequest(certificate, private_key))  # type: ignore[no-untyped-call]


# --- the demonstration ----------------------------------------------------------------------------------------------

SSIN = "81121844355"  # synthetic: the sandbox's person `nr_active`
CONTEXT = "PCSA:DEBT_MEDIATION"
FIRST_HALF = {"beginDate": "2026-01-01", "endDate": "2026-06-30"}
WHOLE_YEAR = {"beginDate": "2026-01-01", "endDate": "2026-12-31"}


def main() -> int:
    """Insert, update, consult and delete as the demo application pcsa-web, then ask for the health."""
    directory = Path(sys.argv[1])
    manifest = json.loads((directory / "sandbox.json").read_bytes())
    application = next(item for item in manifest["applications"] if item["name"] == "pcsa-web")
    client = make_client(
        manifest["facade"]["wsdl"],
        ca=directory / manifest["ca"],
        certificate=directory / application["certificate"],
        private_key=directory / application["key"],
    )
    header: dict[str, Any] = {
        "informationCustomer": {"customerIdentification": {"sector": 17, "institution": 1}},
        "legalContext": "PCSA:SOCIAL_INQUIRY",
    }
    line = {"inscriptionContext": CONTEXT, "period": FIRST_HALF}
    service = client.service
    try:
        reply = service.insertInscription(**header, declaration={"ssin": SSIN, "inscription": line})
        print("insert ", reply.status.value, reply.status.code)
        changed = {"ssin": SSIN, "inscription": line, "newPeriod": WHOLE_YEAR}
        reply = service.updateInscription(**header, declaration=changed)
        print("update ", reply.status.value, reply.status.code)
        reply = service.consultInscriptions(**header, criteria={"ssin": SSIN, "inscriptionContext": [CONTEXT]})
        print("consult", reply.status.value, reply.status.code)
        for found in reply.inscriptions.inscription:
            print("       ", found.inscriptionContext, found.period.beginDate, found.period.endDate)
        reply = service.deleteInscription(**header, declaration={"ssin": SSIN, "inscriptionContext": CONTEXT})
        print("delete ", reply.status.value, reply.status.code)
        print("health ", service.healthCheck(type="DEFAULT").Status.Level)
    except zeep.exceptions.Fault as fault:  # the message could not be processed; a business refusal is a reply
        print(fault.message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
