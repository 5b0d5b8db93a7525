"""Foreign stacks as they are installed, each with its recipe of examples/, over TLS to a running sandbox.

`make test-peers` installs what it can and runs these; a stack that is not there is skipped, with the reason.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.interop.conftest import EXAMPLES, SOAP

pytestmark = pytest.mark.peers

ROOT = EXAMPLES.parent
JARS = [f"/usr/share/java/{name}.jar" for name in ("wss4j", "xmlsec", "commons-logging", "slf4j-api", "slf4j-nop")]
NODE = ROOT / ".tools" / "peers" / "node"
GSOAP_PLUGINS = Path("/usr/share/gsoap/plugin")
MONO_SECURITY = "/usr/lib/mono/4.5/System.Security.dll"
CONTEXT = "PCSA:DEBT_MEDIATION"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"


def _needs(stack: str, *files: str | Path) -> None:
    """Skips the test where one of a stack's programs or files is missing."""
    for file in map(str, files):
        if not (Path(file).exists() if "/" in file else shutil.which(file)):
            pytest.skip(f"{stack} is not installed: {file} is missing")


def _run(*command: str | Path, directory: Path | None = None) -> str:
    """What a program prints, or says of its failure."""
    path = f"{NODE / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command],
        cwd=directory or ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _follow(recipe: str, sandbox: Any, folder: Path) -> None:
    """Runs documented commands, as bash would in the project's folder; what they make lands in another."""
    recipe = re.sub(r"(?<![\w/])examples/", f"{EXAMPLES}/", recipe).replace(".cbss-sandbox", str(sandbox.directory))
    _run("bash", "-ec", recipe, directory=folder)


def _outcome(reply: str) -> str:
    """The code in a reply's status, or the fault's."""
    body = etree.fromstring(reply.encode()).find(f"{{{SOAP}}}Body")
    assert body is not None
    return str(body[0].findtext("status/code") or body[0].findtext("faultstring"))


@pytest.fixture(autouse=True)
def _context_empty(sandbox: Any, peer: Any) -> Iterator[None]:
    """The examples' context holds nothing before a test, nor after it."""
    peer.client.delete_inscription(sandbox.ssin("nr_active"), inscription_context=CONTEXT)
    yield
    peer.client.delete_inscription(sandbox.ssin("nr_active"), inscription_context=CONTEXT)


# --- Java -----------------------------------------------------------------------------------------------------------


@cache
def _java_classes() -> Path:
    """The folder with the Java programs compiled: once, for `java FILE` would do it anew each time."""
    _needs("WSS4J", "javac", *JARS)
    folder = ROOT / ".tools" / "peers" / "java"
    sources = (EXAMPLES / "Wss4jClient.java", Path(__file__).parent / "java" / "Wss4jHandler.java")
    _run("javac", "-d", folder, "-cp", ":".join(JARS), *sources)
    return folder


def _java(program: str, *arguments: str | Path, options: Sequence[str] = ()) -> str:
    return _run("java", *options, "-cp", ":".join([str(_java_classes()), *JARS]), program, *arguments)


def _wss4j(sandbox: Any, request: Path, **properties: str) -> str:
    options = [f"-D{name}={value}" for name, value in properties.items()]
    return _outcome(_java("Wss4jClient", sandbox.directory, request, options=options))


@pytest.mark.parametrize("prefixes", ["true", "false"])
def test_sec_41_wss4j_is_answered(sandbox: Any, prefixes: str) -> None:
    """WSS4J 1.6 inserts and consults, with InclusiveNamespaces or, as Smals' connector, without (SEC-41)."""
    options = {"inclusivePrefixes": prefixes}
    assert _wss4j(sandbox, EXAMPLES / "consult.xml", **options) == "MSG00100"
    assert _wss4j(sandbox, EXAMPLES / "insert.xml", **options) == "MSG00000"
    assert _wss4j(sandbox, EXAMPLES / "consult.xml", **options) == "MSG00000"


def test_sec_41_wss4j_on_a_default_namespace_is_answered(sandbox: Any, tmp_path: Path) -> None:
    """WSS4J's `#default` in a PrefixList, from an Envelope without prefix, is answered (SEC-41, SEC-26)."""
    assert _wss4j(sandbox, without_prefix(EXAMPLES / "insert.xml", tmp_path)) == "MSG00000"


def test_sec_33_wss4j_without_the_override_is_refused(sandbox: Any, peer: Any) -> None:
    """What WSS4J signs by itself under Basic256Sha256, rsa-sha1, is SOA-01001 for its algorithm (SEC-33)."""
    assert _wss4j(sandbox, EXAMPLES / "insert.xml", signatureAlgorithm=RSA_SHA1) == "SOA-01001"
    assert sandbox.log_lines()[-1]["reason"] == "algorithm"
    assert _lines(sandbox, peer) == 0


def test_sec_41_wss4j_as_a_handler_is_answered(sandbox: Any, peer: Any) -> None:
    """WSS4J 1.6 as a handler, by the options that docs/ws-security.md gives, is answered (SEC-41)."""
    document = (ROOT / "docs" / "ws-security.md").read_text(encoding="utf-8")
    (parts,) = re.findall(r"^`(\{Element\}.+)`$", document, re.MULTILINE)
    request = EXAMPLES / "insert.xml"
    message = _java("Wss4jHandler", sandbox.directory, request, parts)
    assert peer.post(message.encode()).outcome == (200, "MSG00000")
    without_token = parts.partition(";")[2]
    reply = peer.post(_java("Wss4jHandler", sandbox.directory, request, without_token).encode())
    peer.check_refused(reply)
    assert peer.reason(reply) == "reference-count"


def without_prefix(request: Path, folder: Path) -> Path:
    """A file with the same request, its Envelope in a default namespace and its content in none but its own."""
    text = re.sub(r"(</?)soapenv:", r"\1", request.read_text(encoding="utf-8")).replace("xmlns:soapenv=", "xmlns=")
    text = re.sub(r"(<v1:\w+)", r'\1 xmlns=""', text, count=1)
    file = folder / f"without-prefix-{request.name}"
    file.write_text(text, encoding="utf-8")
    return file


def _lines(sandbox: Any, peer: Any) -> int:
    answer = peer.client.consult_inscriptions(sandbox.ssin("nr_active"), inscription_contexts=[CONTEXT])
    return len(answer.result.inscriptions)


# --- Node, PHP, gSOAP -----------------------------------------------------------------------------------------------


@pytest.fixture
def node_folder() -> Path:
    """The folder with Node's `soap`, the recipe and the test's own script beside it."""
    _needs("Node's soap", "node", NODE / "node_modules" / "soap")
    for script in (EXAMPLES / "node_soap_client.mjs", Path(__file__).parent / "node" / "as_it_comes.mjs"):
        shutil.copy(script, NODE)
    return NODE


def test_sec_41_node_soap_is_answered(sandbox: Any, node_folder: Path) -> None:
    """Node's soap, from the served description, inserts, consults and deletes with the recipe's options (SEC-41)."""
    told = _run("node", node_folder / "node_soap_client.mjs", sandbox.directory)
    assert told.splitlines() == [
        "insertInscription OK MSG00000",
        "consultInscriptions DATA_FOUND MSG00000",
        "deleteInscription OK MSG00000",
    ]


WSU_IDS = {"signerOptions": {"idMode": "wssecurity"}}
AND_THE_TOKEN = WSU_IDS | {"additionalReferences": ["wsse:BinarySecurityToken"]}
AND_ONE_TRANSFORM = AND_THE_TOKEN | {"signatureTransformations": [EXC_C14N]}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "timestamp-grammar"),  # it gives the Timestamp an Id, where the profile has wsu:Id
        (WSU_IDS, "reference-count"),
        (AND_THE_TOKEN, "transform-count"),
        (AND_ONE_TRANSFORM, "timestamp-lifetime"),
    ],
    ids=["as it comes", "wsu:Id", "and the token", "and one transform"],
)
def test_sec_41_node_soap_needs_each_of_the_recipes_options(
    sandbox: Any, peer: Any, node_folder: Path, options: dict[str, Any], reason: str
) -> None:
    """Node's soap is refused for one thing after the other as the recipe's options are added (SEC-41, SEC-51)."""
    script = node_folder / "as_it_comes.mjs"
    message = _run("node", script, sandbox.directory, EXAMPLES / "insert.xml", json.dumps(options))
    reply = peer.post(message.encode())
    peer.check_refused(reply)
    assert peer.reason(reply) == reason
    assert _lines(sandbox, peer) == 0


def test_sec_41_php_is_answered(sandbox: Any) -> None:
    """PHP's SoapClient, from the served description, inserts, consults and deletes, signed by the recipe (SEC-41)."""
    _needs("PHP", "php")
    if not {"soap", "dom", "openssl"} <= set(_run("php", "-m").split()):
        pytest.skip("PHP is not installed with its extensions soap, dom and openssl")
    assert _run("php", EXAMPLES / "php_client.php", sandbox.directory).splitlines() == [
        "insertInscription OK MSG00000",
        "consultInscriptions DATA_FOUND MSG00000",
        "deleteInscription OK MSG00000",
    ]


def test_sec_41_gsoap_is_answered(sandbox: Any, tmp_path: Path) -> None:
    """gSOAP with its wsse plugin, generated from the description with policy, does the same three calls (SEC-41)."""
    program = build_gsoap(sandbox, tmp_path)
    assert _run(program, sandbox.directory).splitlines() == [
        "insertInscription MSG00000",
        "consultInscriptions MSG00000",
        "deleteInscription MSG00000",
    ]


def build_gsoap(sandbox: Any, folder: Path) -> Path:
    """The program that the comment in examples/gsoap_client.c builds, by its own commands."""
    _needs("gSOAP", "wsdl2h", "soapcpp2", "gcc", "curl", GSOAP_PLUGINS / "wsseapi.c", "/usr/include/openssl/ssl.h")
    comment, _, _ = (EXAMPLES / "gsoap_client.c").read_text(encoding="utf-8").partition("*/")
    recipe = "\n".join(re.findall(r"^     (.+)$", comment, re.MULTILINE))
    _follow(recipe.replace("https://localhost:8443/CBSSInscription/v1", sandbox.url), sandbox, folder)
    return folder / "gsoap_client"


# --- .NET -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_file", ["insert.xml", "consult.xml"])
def test_sec_41_signed_xml_of_dotnet_is_answered(sandbox: Any, peer: Any, tmp_path: Path, request_file: str) -> None:
    """What .NET's SignedXml signs by the recipe, under Mono, is answered (SEC-41)."""
    reply = peer.post(sign_with_dotnet(sandbox, tmp_path, EXAMPLES / request_file))
    assert reply.outcome == (200, "MSG00000" if request_file == "insert.xml" else "MSG00100")


def sign_with_dotnet(sandbox: Any, folder: Path, request: Path) -> bytes:
    """The message, by the commands in the comment of examples/DotnetSigner.cs."""
    _needs(".NET (Mono)", "mcs", "mono", "openssl", MONO_SECURITY)
    source = (EXAMPLES / "DotnetSigner.cs").read_text(encoding="utf-8")
    recipe = "\n".join(re.findall(r"^//   (.+)$", source, re.MULTILINE))
    _follow(recipe.replace("examples/consult.xml", str(request)), sandbox, folder)
    return (folder / "signed.xml").read_bytes()
