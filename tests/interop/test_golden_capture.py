"""The golden messages are what the stacks send: each sends a consultation again, and the shape is the file's.

`CBSS_GOLDEN=write make test-peers ARGS="-k golden"` writes the files of tests/interop/golden anew, of one throw-away
sandbox: what stacks send is taken from the wire, by a listener that stands before the sandbox; what no stack here sends
is built by hand in its documented shape, and signed by another program than ours.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from tests.interop import test_peers as peers
from tests.interop.conftest import DS, EXAMPLES, EXC_C14N, OASIS, RSA_SHA256, SHA256, SOAP, WSSE, WSU
from tests.interop.test_golden_messages import FOLDER, read_messages

pytestmark = pytest.mark.peers

WRITE = os.environ.get("CBSS_GOLDEN") == "write"
SENT = b"ConsultInscriptionsRequest"
UTILITY_IDS = {f"{{{WSU}}}Id", "Id", "URI"}
VOLATILE = {
    f"{{{DS}}}DigestValue", f"{{{DS}}}SignatureValue", f"{{{WSSE}}}BinarySecurityToken", f"{{{WSU}}}Created",
    f"{{{WSU}}}Expires", "ticket", "timestampSent",
}  # fmt: skip


@dataclass(kw_only=True)
class Wire:
    """A listener before the sandbox that keeps what is sent through it, and a directory that leads clients to it."""

    directory: Path
    manifest: dict[str, Any]
    url: str
    sent: list[bytes] = field(default_factory=list)

    def consultation(self) -> bytes:
        """The consultation that was sent since the last time."""
        found = [message for message in self.sent if SENT in message.replace(b"\0", b"")]
        self.sent.clear()
        return found[0]

    def path(self, relative: str) -> Path:
        """A file that the manifest names."""
        return self.directory / relative

    def application(self, name: str) -> dict[str, Any]:
        """A demo application, as the manifest describes it."""
        return next(item for item in self.manifest["applications"] if item["name"] == name)


@pytest.fixture(scope="module")
def wire(sandbox: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """The listener, with the sandbox's own certificate for TLS."""
    directory = tmp_path_factory.mktemp("wire")
    plain = urlsplit(sandbox.plain_url)
    made = Wire(directory=directory, manifest=sandbox.manifest, url="")

    class Listener(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if body:
                made.sent.append(body)
            assert plain.hostname is not None
            connection = http.client.HTTPConnection(plain.hostname, plain.port, timeout=30)
            with contextlib.closing(connection):
                headers = {"Content-Type": self.headers["Content-Type"]} if body else {}
                connection.request(self.command, self.path, body, headers)
                reply = connection.getresponse()
                answer = reply.read().replace(sandbox.url.encode(), made.url.encode())
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _forward  # noqa: N815  # the names that http.server asks for

        def log_message(self, *arguments: object) -> None:
            """Nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sandbox.path("pki/server.crt.pem"), sandbox.path("pki/server.key.pem"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        made.url = f"https://localhost:{server.server_port}{urlsplit(sandbox.url).path}"
        shutil.copytree(sandbox.path("pki"), directory / "pki")
        for name in ("sandbox.json", "pcsa-web.toml"):
            text = (sandbox.directory / name).read_text(encoding="utf-8").replace(sandbox.url, made.url)
            (directory / name).write_text(text, encoding="utf-8")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the makers of messages need."""

    wire: Wire
    folder: Path
    xmlsec1: Any


@pytest.fixture
def tools(wire: Wire, xmlsec1: Any, tmp_path: Path) -> Tools:
    """For one message."""
    return Tools(wire=wire, folder=tmp_path, xmlsec1=xmlsec1)


# --- what stacks send -------------------------------------------------------------------------------------------------


def _of_wss4j(tools: Tools, request: Path, **properties: str) -> bytes:
    assert peers._wss4j(tools.wire, request, **properties) in {"MSG00000", "MSG00100"}
    return tools.wire.consultation()


def _wss4j(tools: Tools) -> bytes:
    return _of_wss4j(tools, EXAMPLES / "consult.xml")


def _wss4j_default_namespace(tools: Tools) -> bytes:
    return _of_wss4j(tools, peers.without_prefix(EXAMPLES / "consult.xml", tools.folder))


def _smals_connector(tools: Tools) -> bytes:
    return _of_wss4j(tools, EXAMPLES / "consult.xml", inclusivePrefixes="false")


def _soapui(tools: Tools) -> bytes:
    """SoapUI's request as its editor makes it: namespaces on the Envelope, the content indented, comments apart."""
    request = tools.folder / "soapui.xml"
    request.write_text(
        f"""<soapenv:Envelope xmlns:soapenv="{SOAP}" xmlns:v1="http://socialsecurity.be/cbssinscription/v1">
   <soapenv:Header/>
   <soapenv:Body>
      <v1:ConsultInscriptionsRequest>
         <informationCustomer>
            <customerIdentification>
               <sector>17</sector>
               <institution>1</institution>
            </customerIdentification>
         </informationCustomer>
         <legalContext>PCSA:SOCIAL_INQUIRY</legalContext>
         <criteria>
            <ssin>81121844355</ssin>
         </criteria>
      </v1:ConsultInscriptionsRequest>
   </soapenv:Body>
</soapenv:Envelope>""",
        encoding="utf-8",
    )
    return _of_wss4j(tools, request)


def _node_soap(tools: Tools) -> bytes:
    peers._needs("Node's soap", "node", peers.NODE / "node_modules" / "soap")
    shutil.copy(EXAMPLES / "node_soap_client.mjs", peers.NODE)
    peers._run("node", peers.NODE / "node_soap_client.mjs", tools.wire.directory)
    return tools.wire.consultation()


def _php(tools: Tools) -> bytes:
    peers._needs("PHP", "php")
    peers._run("php", EXAMPLES / "php_client.php", tools.wire.directory)
    return tools.wire.consultation()


def _gsoap(tools: Tools) -> bytes:
    peers._run(peers.build_gsoap(tools.wire, tools.folder), tools.wire.directory)
    return tools.wire.consultation()


def _dotnet(tools: Tools) -> bytes:
    return peers.sign_with_dotnet(tools.wire, tools.folder, EXAMPLES / "consult.xml")


def _zeep(tools: Tools) -> bytes:
    peers._run(sys.executable, EXAMPLES / "zeep_client.py", tools.wire.directory)
    return tools.wire.consultation()


def _xmlsec1(tools: Tools) -> bytes:
    peers._run(EXAMPLES / "xmlsec1_template.sh", tools.wire.directory)
    return tools.wire.consultation()


def _sdk(tools: Tools) -> bytes:
    program = [sys.executable, "-m", "cbss_inscription.cli.main", "consult", "81121844355"]
    profile = tools.wire.directory / "pcsa-web.toml"
    done = subprocess.run([*program, "--profile", profile], capture_output=True, timeout=60, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return tools.wire.consultation()


# --- what is built by hand, and signed by xmlsec1 ---------------------------------------------------------------------

PAYLOAD = """<v1:ConsultInscriptionsRequest xmlns:v1="http://socialsecurity.be/cbssinscription/v1">
      <informationCustomer>
        <customerIdentification><sector>17</sector><institution>1</institution></customerIdentification>
      </informationCustomer>
      <legalContext>PCSA:SOCIAL_INQUIRY</legalContext>
      <criteria><ssin>81121844355</ssin></criteria>
    </v1:ConsultInscriptionsRequest>"""


def _wcf(tools: Tools) -> bytes:
    """WCF's asymmetric binding: `s:`, `o:` and `u:`, ids `uuid-…-n` and `_n`, Timestamp first, a default namespace."""
    web = tools.wire.application("pcsa-web")
    certificate = x509.load_pem_x509_certificate(tools.wire.path(web["certificate"]).read_bytes())
    token = re.sub(r"-----.+-----|\s", "", certificate.public_bytes(Encoding.PEM).decode())
    now = datetime.now(UTC)
    created, expires = (
        f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z" for moment in (now, now + timedelta(minutes=5))
    )
    uuid = "uuid-0f8fad5b-d9cb-469f-a165-70867728950e"
    references = "".join(
        f'<Reference URI="#{name}"><Transforms><Transform Algorithm="{EXC_C14N}"/></Transforms>'
        f'<DigestMethod Algorithm="{SHA256}"/><DigestValue/></Reference>'
        for name in ("_1", f"{uuid}-1", f"{uuid}-2")
    )
    template = (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:u="{WSU}"><s:Header>'
        '<ActivityId CorrelationId="7c9e6679-7425-40de-944b-e07fc1f90ae7" '
        'xmlns="http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics">'
        "00000000-0000-0000-0000-000000000000</ActivityId>"
        f'<o:Security s:mustUnderstand="1" xmlns:o="{WSSE}">'
        f'<u:Timestamp u:Id="{uuid}-1"><u:Created>{created}</u:Created><u:Expires>{expires}</u:Expires></u:Timestamp>'
        f'<o:BinarySecurityToken u:Id="{uuid}-2" ValueType="{OASIS}x509-token-profile-1.0#X509v3" '
        f'EncodingType="{OASIS}soap-message-security-1.0#Base64Binary">{token}</o:BinarySecurityToken>'
        f'<Signature xmlns="{DS}"><SignedInfo><CanonicalizationMethod Algorithm="{EXC_C14N}"/>'
        f'<SignatureMethod Algorithm="{RSA_SHA256}"/>{references}</SignedInfo><SignatureValue/>'
        f'<KeyInfo><o:SecurityTokenReference><o:Reference ValueType="{OASIS}x509-token-profile-1.0#X509v3" '
        f'URI="#{uuid}-2"/></o:SecurityTokenReference></KeyInfo></Signature></o:Security></s:Header>'
        '<s:Body u:Id="_1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
        '<ConsultInscriptionsRequest xmlns="http://socialsecurity.be/cbssinscription/v1">'
        '<informationCustomer xmlns=""><customerIdentification><sector>17</sector><institution>1</institution>'
        '</customerIdentification></informationCustomer><legalContext xmlns="">PCSA:SOCIAL_INQUIRY</legalContext>'
        '<criteria xmlns=""><ssin>81121844355</ssin></criteria></ConsultInscriptionsRequest></s:Body></s:Envelope>'
    )
    signed: bytes = tools.xmlsec1._run("wcf", template, tools.wire.path(web["key"]))
    return signed


def _signature_first(tools: Tools) -> bytes:
    order = ("signature", "timestamp", "token")
    signed: bytes = tools.xmlsec1.sign(
        PAYLOAD, order=order, prefixes="soapenv\n  wsu", references=("Body", "Token", "Timestamp")
    )
    return signed


def _default_namespace(tools: Tools) -> bytes:
    payload = PAYLOAD.replace("xmlns:v1=", 'xmlns="" xmlns:v1=')
    signed: bytes = tools.xmlsec1.sign(payload, layout="default")
    return signed


def _cdata(tools: Tools) -> bytes:
    signed: bytes = tools.xmlsec1.sign(PAYLOAD.replace("81121844355", "<![CDATA[81121844355]]>"))
    return signed


def _utf_16(tools: Tools) -> bytes:
    return str(_cdata(tools), "utf-8").replace('encoding="UTF-8"', 'encoding="UTF-16"').encode("utf-16")


def _utf_8_mark(tools: Tools) -> bytes:
    return b"\xef\xbb\xbf" + _signature_first(tools)


MAKERS: dict[str, Callable[[Tools], bytes]] = {
    "wss4j.xml": _wss4j,
    "wss4j-default-namespace.xml": _wss4j_default_namespace,
    "smals-connector.xml": _smals_connector,
    "soapui.xml": _soapui,
    "wcf.xml": _wcf,
    "dotnet-signed-xml.xml": _dotnet,
    "node-soap.xml": _node_soap,
    "php.xml": _php,
    "gsoap.xml": _gsoap,
    "zeep.xml": _zeep,
    "xmlsec1.xml": _xmlsec1,
    "sdk.xml": _sdk,
    "signature-first.xml": _signature_first,
    "default-namespace.xml": _default_namespace,
    "cdata.xml": _cdata,
    "utf-16.xml": _utf_16,
    "utf-8-mark.xml": _utf_8_mark,
}


# --- the comparison ---------------------------------------------------------------------------------------------------


def _shape(message: bytes) -> list[object]:
    """Every element in its order, with prefix, attributes and text, but for what is new in each message."""
    found: list[object] = []
    for element in etree.fromstring(message).iter(etree.Element):
        attributes = {
            str(name): "" if name in UTILITY_IDS else str(value).replace("\n", " ")
            for name, value in element.attrib.items()
            if "CorrelationId" not in str(name)
        }
        text = "" if element.tag in VOLATILE else (element.text or "").strip()
        found.append((element.prefix, str(element.tag), attributes, text))
    return found


@pytest.mark.parametrize("name", MAKERS)
def test_sec_41_golden_message_has_the_shape_of_what_is_sent(tools: Tools, peer: Any, name: str) -> None:
    """A stack's message of today is that of its golden file, ids, times and values apart, and is answered (SEC-41)."""
    message = MAKERS[name](tools)
    if WRITE:
        (FOLDER / name).write_bytes(message)
        shutil.copy(tools.wire.path("pki/authorities.pem"), FOLDER / "authorities.pem")
    assert _shape(message) == _shape((FOLDER / name).read_bytes())
    if MAKERS[name] not in SENT_BY_STACKS:
        assert peer.post(message, charset="utf-16" if name == "utf-16.xml" else "utf-8").status == 200


SENT_BY_STACKS = {
    _wss4j, _wss4j_default_namespace, _smals_connector, _soapui, _node_soap, _php, _gsoap, _zeep, _xmlsec1, _sdk,
}  # fmt: skip
"""These were answered already, on the way here."""


def test_golden_messages_each_have_a_maker() -> None:
    """Each file of the folder is made here, and no other (SEC-41)."""
    assert {message.name for message in read_messages()} == set(MAKERS)
