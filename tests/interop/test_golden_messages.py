"""Messages as other stacks send them, committed with the moment at which they were good: each is accepted still.

How each was made stands in golden/README.md; test_golden_capture.py makes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cbss_inscription import names
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.read import read_request
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.domain.errors import NotAuthenticated
from cbss_inscription.domain.requests import ConsultInscriptions
from cbss_inscription.envelope.soap11 import read_payload
from cbss_inscription.safe_xml import decode
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.security.verify import VerifiedMessage, verify
from tests.security.gate_twice import GateTwice

FOLDER = Path(__file__).parent / "golden"
SSIN = "81121844355"


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A committed message."""

    name: str

    @property
    def content(self) -> bytes:
        """As it was on the wire."""
        return (FOLDER / self.name).read_bytes()

    @property
    def valid_at(self) -> datetime:
        """A second after its own Created: when the service had it."""
        created = next(etree.fromstring(self.content).iter(names.WSU_CREATED)).text
        assert created is not None
        return datetime.fromisoformat(created) + timedelta(seconds=1)

    def verify(self, content: bytes | None = None) -> VerifiedMessage:
        """The message, or another in its place, by the service's verifier at the fixed clock."""
        trust = TrustStore(authorities_pem=(FOLDER / "authorities.pem").read_bytes(), environment="LOCAL")
        return verify(
            self.content if content is None else content,
            charset=None,
            policy=SecurityPolicy(),
            trust=trust,
            now=self.valid_at.astimezone(UTC),
        )


def read_messages() -> list[Golden]:
    """Every message that the folder's README describes."""
    rows = re.findall(r"^\| `([\w.-]+\.xml)` \|", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return [Golden(name=name) for name in rows]


MESSAGES = pytest.mark.parametrize("golden", read_messages(), ids=lambda golden: golden.name)


@MESSAGES
def test_sec_41_golden_message_is_accepted(golden: Golden) -> None:
    """What other stacks send is accepted at its time, and its Body is a valid request (SEC-41, TV-01..08)."""
    verified = golden.verify()
    assert verified.caller.application_urn == "socialassistance:casefile:web"
    payload = read_payload(verified.canonical_body)
    schema_of(Door.FACADE).validate(payload.element)
    request = read_request(payload.element)
    assert isinstance(request, ConsultInscriptions)
    assert request.ssin == SSIN


@MESSAGES
def test_sec_40_xmlsec_agrees_on_golden_message(golden: Golden) -> None:
    """What is accepted here is a good signature to python-xmlsec too (SEC-40)."""
    root = etree.fromstring(golden.content)
    context = xmlsec.SignatureContext()
    for element in root.iter(etree.Element):
        if element.get(names.WSU_ID):
            context.register_id(element, "Id", names.WSU)
    certificate = x509.load_der_x509_certificate(golden.verify().evidence.certificate_der)
    context.key = xmlsec.Key.from_memory(certificate.public_bytes(Encoding.PEM), xmlsec.KeyFormat.CERT_PEM)
    context.verify(next(root.iter(names.DS_SIGNATURE)))


@MESSAGES
def test_sec_39_golden_message_with_another_byte_in_its_body_is_refused(golden: Golden) -> None:
    """One byte of the Body changed, and each of these messages is refused for its digest (SEC-39)."""
    encoding = "utf-16-le" if golden.content.startswith(b"\xff\xfe") else "utf-8"
    old, new = (number.encode(encoding) for number in (SSIN, SSIN.replace("4", "5", 1)))
    assert golden.content.count(old) == 1
    with pytest.raises(NotAuthenticated, match="signature-digest"):
        golden.verify(golden.content.replace(old, new))


def test_golden_folder_is_what_its_document_says() -> None:
    """The README has a row for each message of the folder, and for no other."""
    assert [golden.name for golden in read_messages()] == sorted(path.name for path in FOLDER.glob("*.xml"))


NOT_KNOWN = {
    "dotnet-signed-xml.xml": "a comment before the envelope",
    "xmlsec1.xml": "a comment before the envelope",
    "wcf.xml": "other header blocks come first",
}


@MESSAGES
def test_sec_41_headers_of_other_stacks_are_known_again(golden: Golden) -> None:
    """What a stack sends goes through the grammar once, where nothing stands before its Security header (SEC-41)."""
    twice = GateTwice()
    text = decode(golden.content, charset=None)
    assert not twice.differs(text, SecurityPolicy())
    assert twice.knows(text, SecurityPolicy()) is (golden.name not in NOT_KNOWN)
