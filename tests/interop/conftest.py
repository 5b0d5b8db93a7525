"""What the foreign peers share: the xmlsec1 program as signer, a bare HTTP client, what a refusal must look like."""

from __future__ import annotations

import base64
import http.client
import importlib.util
import itertools
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from lxml.etree import _Element

from cbss_inscription.client import InscriptionClient
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.schema import schema_of

EXAMPLES = Path(__file__).parents[2] / "examples"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE = f"{OASIS}wssecurity-secext-1.0.xsd"
WSU = f"{OASIS}wssecurity-utility-1.0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
ERRORS = "http://socialsecurity.be/errors/v1"
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
TICKET = re.compile(rb' Id="[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"')

_serial = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """An insertion that no other test makes: a day of its own, in a context of its own."""

    ssin: str
    inscription_context: str
    day: date

    def request(self) -> str:
        """The unsigned payload."""
        return f"""<v1:InsertInscriptionRequest xmlns="" xmlns:v1="http://socialsecurity.be/cbssinscription/v1">
      <informationCustomer>
        <customerIdentification><sector>17</sector><institution>1</institution></customerIdentification>
      </informationCustomer>
      <legalContext>PCSA:SOCIAL_INQUIRY</legalContext>
      <declaration>
        <ssin>{self.ssin}</ssin>
        <inscription>
          <inscriptionContext>{self.inscription_context}</inscriptionContext>
          <period><beginDate>{self.day}</beginDate><endDate>{self.day}</endDate></period>
        </inscription>
      </declaration>
    </v1:InsertInscriptionRequest>"""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> _Element:
        """The element in the Body."""
        body = etree.fromstring(self.body).find(f"{{{SOAP}}}Body")
        assert body is not None
        return body[0]

    @property
    def outcome(self) -> tuple[int, str]:
        """The HTTP status, with the outcome code of the response or of the fault."""
        code = self.content.findtext("status/code") or self.content.findtext("faultstring")
        return self.status, str(code)

    @property
    def ticket(self) -> str:
        """The service's ticket in a fault."""
        error = self.content.find(f"detail/{{{ERRORS}}}SystemError")
        assert error is not None
        return str(error.get("Id"))

    @property
    def shape(self) -> bytes:
        """All of the body, its ticket apart (SEC-62)."""
        return TICKET.sub(b' Id=""', self.body)


class Xmlsec1:
    """The `xmlsec1` program: it digests and signs what a template names; the template is written here."""

    def __init__(self, program: str, folder: Path, sandbox: Any) -> None:
        self._program = program
        self._folder = folder
        self._sandbox = sandbox
        lax = "--lax-key-search"  # from version 1.3 on, a key that KeyInfo does not name needs it
        about = subprocess.run([program, "--help-sign"], capture_output=True, check=False)
        self._options = [lax] if lax.encode() in about.stdout + about.stderr else []

    def sign(
        self,
        payload: str,
        *,
        certificate: Path | None = None,
        private_key: Path | None = None,
        created: datetime | None = None,
        lifetime_seconds: int = 60,
        references: Sequence[str] = ("Token", "Timestamp", "Body"),
        algorithm: str = RSA_SHA256,
        digest: str = SHA256,
        prefixes: str | None = None,
        order: Sequence[str] = ("token", "timestamp", "signature"),
        layout: str = "soapenv",
        extra_header: str = "",
    ) -> bytes:
        """The signed message: by pcsa-web, now, the way RSZ asks, unless told otherwise."""
        application = self._sandbox.application("pcsa-web")
        certificate = certificate or self._sandbox.path(application["certificate"])
        private_key = private_key or self._sandbox.path(application["key"])
        created = created or datetime.now(UTC)
        expires = created + timedelta(seconds=lifetime_seconds)
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        token = base64.b64encode(loaded.public_bytes(Encoding.DER)).decode()
        serial = next(_serial)
        suffix = f"{serial}-{created.timestamp():.0f}"
        inclusive = f'<ec:InclusiveNamespaces xmlns:ec="{EXC_C14N}" PrefixList="{prefixes}"/>' if prefixes else ""
        ds_references = "".join(
            f"""<ds:Reference URI="#{name}-{suffix}"><ds:Transforms>
              <ds:Transform Algorithm="{EXC_C14N}">{inclusive}</ds:Transform></ds:Transforms>
              <ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference>"""
            for name in references
        )
        blocks = {
            "token": f"""<wsse:BinarySecurityToken wsu:Id="Token-{suffix}"
              EncodingType="{OASIS}soap-message-security-1.0#Base64Binary"
              ValueType="{OASIS}x509-token-profile-1.0#X509v3">{token}</wsse:BinarySecurityToken>""",
            "timestamp": f"""<wsu:Timestamp wsu:Id="Timestamp-{suffix}">
              <wsu:Created>{created:%Y-%m-%dT%H:%M:%SZ}</wsu:Created>
              <wsu:Expires>{expires:%Y-%m-%dT%H:%M:%SZ}</wsu:Expires></wsu:Timestamp>""",
            "signature": f"""<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo>
              <ds:CanonicalizationMethod Algorithm="{EXC_C14N}">{inclusive}</ds:CanonicalizationMethod>
              <ds:SignatureMethod Algorithm="{algorithm}"/>{ds_references}</ds:SignedInfo><ds:SignatureValue/>
              <ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI="#Token-{suffix}"
                ValueType="{OASIS}x509-token-profile-1.0#X509v3"/></wsse:SecurityTokenReference></ds:KeyInfo>
              </ds:Signature>""",
        }
        security = f"""<wsse:Security xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}" soapenv:mustUnderstand="1">
          {"".join(blocks[name] for name in order)}</wsse:Security>"""
        template = f"""<soapenv:Envelope xmlns:soapenv="{SOAP}" xmlns:wsu="{WSU}">
          <soapenv:Header>{extra_header.replace("SUFFIX", suffix)}{security}</soapenv:Header>
          <soapenv:Body wsu:Id="Body-{suffix}">{payload}</soapenv:Body></soapenv:Envelope>"""
        if layout == "default":  # the envelope's elements without a prefix, its attributes with one
            template = re.sub(r"(</?)soapenv:", r"\1", template).replace("<Envelope ", f'<Envelope xmlns="{SOAP}" ')
        return self._run(serial, template, private_key)

    def _run(self, serial: int, template: str, private_key: Path) -> bytes:
        unsigned, signed = self._folder / f"{serial}.template.xml", self._folder / f"{serial}.signed.xml"
        unsigned.write_text(template, encoding="utf-8")
        ids = (f"{WSSE}:BinarySecurityToken", f"{WSU}:Timestamp", f"{SOAP}:Body", "urn:test:Extra")
        command = [self._program, "--sign", *self._options, "--privkey-pem", str(private_key), "--output", str(signed)]
        for name in ids:
            command += ["--id-attr:Id", name]
        subprocess.run([*command, str(unsigned)], check=True, capture_output=True)
        return signed.read_bytes()


class Peer:
    """A caller with nothing but HTTP, and the operator's view of what became of its messages."""

    def __init__(self, sandbox: Any) -> None:
        self._sandbox = sandbox
        self._context = ssl.create_default_context(cafile=sandbox.path(sandbox.manifest["ca"]))
        self._shape: bytes | None = None
        self.client = InscriptionClient(sandbox.profile())

    def connect(self, *, plain: bool = False) -> http.client.HTTPConnection:
        """A new connection to the TLS listener, or to the plain one."""
        address = urlsplit(self._sandbox.plain_url if plain else self._sandbox.url)
        assert address.hostname is not None
        if plain:
            return http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        return http.client.HTTPSConnection(address.hostname, address.port, timeout=30, context=self._context)

    def post(
        self, message: bytes, connection: http.client.HTTPConnection | None = None, *, charset: str = "utf-8"
    ) -> Reply:
        """The reply to a message, over TLS unless another connection is given, which is closed."""
        connection = connection or self.connect()
        try:
            connection.request(
                "POST", urlsplit(self._sandbox.url).path, message, {"Content-Type": f"text/xml; charset={charset}"}
            )
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(status=answer.status, headers=headers, body=answer.read())
        finally:
            connection.close()

    def reason(self, reply: Reply) -> str:
        """The word in the operator's log for this fault."""
        (line,) = [line for line in self._sandbox.log_lines() if line.get("ticket_cbss") == reply.ticket]
        return str(line["reason"])

    def check_refused(self, reply: Reply, code: str = "SOA-01001") -> None:
        """Checks a fault, valid against errors/v1; SOA-01001 is alike for all causes but for its ticket (SEC-62)."""
        assert reply.outcome == (500, code)
        fault = reply.content
        detail = fault.find("detail")
        assert detail is not None
        schema_of(Door.FACADE).validate_fault(detail[0])
        assert reply.headers["content-type"] == "text/xml; charset=utf-8"
        if code == "SOA-01001":
            assert fault.findtext("faultcode") == "soapenv:Client"
            if self._shape is None:
                unsigned = f'<e:Envelope xmlns:e="{SOAP}"><e:Body><x xmlns="urn:x"/></e:Body></e:Envelope>'
                self._shape = self.post(unsigned.encode()).shape
            assert reply.shape == self._shape

    def days(self, declaration: Declaration) -> list[date]:
        """The first days of the lines that the service has in the declaration's context."""
        answer = self.client.consult_inscriptions(
            declaration.ssin, inscription_contexts=[declaration.inscription_context]
        )
        return [line.period.begin_date for line in answer.result.inscriptions]


@pytest.fixture(scope="session")
def xmlsec1_program() -> str:
    """The path of the xmlsec1 program; a failure that says how to install it where it is missing."""
    program = shutil.which("xmlsec1")
    if program is None:
        pytest.fail("The program xmlsec1 is missing: apt-get install xmlsec1", pytrace=False)
    return program


@pytest.fixture(scope="session")
def xmlsec1(xmlsec1_program: str, sandbox: Any, tmp_path_factory: pytest.TempPathFactory) -> Xmlsec1:
    """A signer that shares no code with the service."""
    return Xmlsec1(xmlsec1_program, tmp_path_factory.mktemp("xmlsec1"), sandbox)


@pytest.fixture(scope="session")
def peer(sandbox: Any) -> Iterator[Peer]:
    """A caller with nothing but HTTP."""
    made = Peer(sandbox)
    with made.client:
        yield made


@pytest.fixture
def declaration(sandbox: Any) -> Declaration:
    """An insertion that was not made yet, on a day that leaves a gap to every other's: lines that touch would merge."""
    day = date(2000, 1, 1) + timedelta(days=2 * next(_serial))
    return Declaration(ssin=sandbox.ssin("bis_active"), inscription_context="PCSA:COLLABORATOR_UNDER_INQUIRY", day=day)


@pytest.fixture(scope="session")
def zeep_example() -> ModuleType:
    """The module examples/zeep_client.py, executed from where integrators copy it."""
    specification = importlib.util.spec_from_file_location("zeep_client_example", EXAMPLES / "zeep_client.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module
