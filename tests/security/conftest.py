"""One throw-away PKI a test run, and a forge that makes genuine, changed and re-signed messages with it."""

import base64
import copy
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from cbss_inscription import names
from cbss_inscription.domain.errors import MessageRejected
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.security.c14n import canonical
from cbss_inscription.security.known_headers import KnownHeaders
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.sign import Signer, sign
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.security.verify import verify

NOW = datetime(2026, 3, 2, 9, 30, 0, tzinfo=UTC)
URN = "employment:job-attest:werkkaart"
CBE = "0206731645"

REQUEST = b"""<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="urn:test:inscription">
  <soapenv:Header/>
  <soapenv:Body>
    <t:consultRequest>
      <t:ticket>b1946ac9-1b2c-4d3e-8f00-000000000001</t:ticket>
      <t:criteria kind="exact"><t:ssin>00000000097</t:ssin><t:note> a &amp; b &lt; c </t:note></t:criteria>
    </t:consultRequest>
  </soapenv:Body>
</soapenv:Envelope>
"""


class Forge:
    """Makes messages: genuine ones, and with the real key what an attacker could only wish for."""

    now = NOW
    urn = URN
    cbe = CBE
    request = REQUEST

    def __init__(self, pki, credential):
        self.pki = pki
        self.credential = credential
        self.signer = Signer.from_pem(credential.certificate_pem, credential.private_key_pem)
        self.policy = SecurityPolicy()
        self.trust = TrustStore(authorities_pem=pki.authorities_pem, environment=pki.environment)

    def message(self, request=REQUEST, **options):
        return sign(request, signer=self.signer, now=options.pop("now", NOW), **options)

    def tree(self, request=REQUEST, **options):
        return etree.fromstring(self.message(request, **options))

    def verify(self, message, *, now=NOW, policy=None, trust=None, charset=None):
        if not isinstance(message, bytes):
            message = etree.tostring(message)
        return verify(message, charset=charset, policy=policy or self.policy, trust=trust or self.trust, now=now)

    def refusal(self, message, **options):
        """The exception's class name and reason, or "accepted"."""
        try:
            self.verify(message, **options)
        except MessageRejected as error:
            return f"{type(error).__name__} {error.reason}"
        return "accepted"

    def refusal_by(self, credential, **options):
        """What becomes of a genuine message signed with another certificate."""
        signer = Signer(
            certificate=credential.certificate,
            certificate_der=_der(credential.certificate),
            sign_bytes=lambda data: credential.private_key.sign(data, padding.PKCS1v15(), hashes.SHA256()),
        )
        return self.refusal(sign(REQUEST, signer=signer, now=options.get("now", NOW)), **options)

    def part(self, root, tag):
        """The only element of that name."""
        (found,) = root.iter(tag)
        return found

    def security(self, root):
        return self.part(root, names.WSSE_SECURITY)

    def body(self, root):
        return root.find(names.SOAP_BODY)

    def reference(self, root, position):
        """The Reference of the token (0), the timestamp (1), the Body (2)."""
        return list(root.iter(names.DS_REFERENCE))[position]

    def resign(self, root, *, digests=True, key=None, hash_algorithm=None):
        """Makes digests and SignatureValue right again for whatever the tree has become."""
        for reference in root.iter(names.DS_REFERENCE) if digests else ():
            targets = root.xpath("//*[@wsu:Id=$id]", id=reference.get("URI")[1:], namespaces={"wsu": names.WSU})
            if targets:
                data = canonical(targets[0], _prefixes(reference))
                value = base64.b64encode(hashlib.sha256(data).digest()).decode()
                reference.find(names.DS_DIGEST_VALUE).text = value
        signed_info = next(root.iter(names.DS_SIGNED_INFO))
        data = canonical(signed_info, _prefixes(signed_info.find(names.DS_CANONICALIZATION_METHOD)))
        value = (key or self.credential.private_key).sign(data, padding.PKCS1v15(), hash_algorithm or hashes.SHA256())
        next(root.iter(names.DS_SIGNATURE_VALUE)).text = base64.b64encode(value).decode()
        return root

    def copy(self, element):
        twin = copy.deepcopy(element)
        twin.tail = None
        return twin


def _prefixes(element):
    found = next(element.iter(names.EXC_INCLUSIVE_NAMESPACES), None)
    return () if found is None else tuple(found.get("PrefixList").split())


def _der(certificate):
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """Each test begins with no header known: the grammar is gone through, whatever another test accepted before."""
    monkeypatch.setattr("cbss_inscription.security.verify._KNOWN_HEADERS", KnownHeaders())


@pytest.fixture(scope="session")
def key():
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@pytest.fixture(scope="session")
def pki():
    return TestPki.generate(environment="ACC", now=NOW - timedelta(days=30))


@pytest.fixture(scope="session")
def forge(pki, key):
    credential = pki.issue_application_certificate(
        URN, CBE, "Sandbox (TEST)", not_before=NOW - timedelta(days=1), private_key=key
    )
    return Forge(pki, credential)
