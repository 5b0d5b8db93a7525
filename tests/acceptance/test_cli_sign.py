"""`cbss-inscription sign FILE`: any request file, accepted by the façade when sent by any HTTP client."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
from lxml import etree

from tests.acceptance.conftest import FACADE, Command, consult, envelope, health
from tests.conftest import RunningSandbox


def _post(sandbox: RunningSandbox, message: bytes) -> httpx.Response:
    context = ssl.create_default_context(cafile=str(sandbox.path(sandbox.manifest["ca"])))
    return httpx.post(
        sandbox.url, content=message, headers={"Content-Type": "text/xml"}, verify=context, trust_env=False
    )


def test_a_signed_file_is_accepted_when_posted_with_plain_httpx(
    sandbox: RunningSandbox, process: Command, tmp_path: Path, stranger: str
) -> None:
    """sign writes to standard output what the façade accepts; the Body's content is as it was in the file."""
    request = tmp_path / "request.xml"
    request.write_bytes(envelope(consult(stranger)))
    done = process("sign", request, "--profile", sandbox.profile_path())
    assert (done.exit_code, done.err) == (0, "")
    signed = etree.fromstring(done.out.encode())
    before, after = (
        root.find(f".//{{{FACADE}}}ConsultInscriptionsRequest") for root in (etree.parse(request).getroot(), signed)
    )
    assert before is not None
    assert after is not None
    assert etree.tostring(before, method="c14n2") == etree.tostring(after, method="c14n2")
    reply = _post(sandbox, done.out.encode())
    assert reply.status_code == 200
    assert "MSG00100" in reply.text
    again = _post(sandbox, done.out.encode())
    assert (again.status_code, "SOA-01001" in again.text) == (500, True)


def test_files_of_other_shapes_are_signed_too(
    sandbox: RunningSandbox, command: Command, tmp_path: Path, stranger: str
) -> None:
    """Pretty-printed, another prefix, a Header of its own, a byte order mark, UTF-16: all are signed and accepted."""
    pretty = etree.tostring(etree.fromstring(envelope(consult(stranger))), pretty_print=True)
    shapes = {
        "pretty": pretty,
        "prefix": envelope(consult(stranger)).replace(b"soap:", b"e:").replace(b"xmlns:soap", b"xmlns:e"),
        "header": envelope(consult(stranger), header='<x:Trace xmlns:x="urn:trace">1</x:Trace>'),
        "bom": b"\xef\xbb\xbf" + envelope(consult(stranger)),
        "utf-16": envelope(consult(stranger)).decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        "health": envelope(health("PING")),
    }
    for name, content in shapes.items():
        request, output = tmp_path / f"{name}.xml", tmp_path / f"{name}.signed.xml"
        request.write_bytes(content)
        done = command("sign", request, "--profile", sandbox.profile_path(), "--output", output)
        assert (done.exit_code, done.out, done.err) == (0, "", ""), name
        assert _post(sandbox, output.read_bytes()).status_code == 200, name


def test_the_request_may_come_from_standard_input(sandbox: RunningSandbox, command: Command, stranger: str) -> None:
    """`sign -` reads standard input; certificate and key may be options."""
    web = sandbox.application("pcsa-web")
    options = ("--certificate", sandbox.path(web["certificate"]), "--key", sandbox.path(web["key"]))
    done = command("sign", "-", *options, "--lifetime", 300, stdin=envelope(consult(stranger)).decode())
    assert done.exit_code == 0
    assert _post(sandbox, done.out.encode()).status_code == 200


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "No such file"),
        (b"", "XML"),
        (b"not xml", "XML"),
        (b"<a/>", "SOAP 1.1"),
        (b"<!DOCTYPE a><a/>", "XML"),
        (b'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body/></e:Envelope>', "SOAP 1.1"),
        (b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"/>', "Body"),
    ],
)
def test_a_file_that_cannot_be_signed_is_one_sentence(
    sandbox: RunningSandbox, command: Command, tmp_path: Path, content: bytes | None, word: str
) -> None:
    """A missing, broken or foreign file: one sentence, exit code 2, nothing on standard output."""
    request = tmp_path / "request.xml"
    if content is not None:
        request.write_bytes(content)
    done = command("sign", request, "--profile", sandbox.profile_path())
    assert word in done.sentence
    assert done.exit_code == 2


def test_other_failures_of_sign_are_one_sentence_too(
    sandbox: RunningSandbox, command: Command, tmp_path: Path, stranger: str
) -> None:
    """No key, a signed request, a directory, an output that cannot be written: one sentence, exit code 2."""
    request, signed = tmp_path / "request.xml", tmp_path / "signed.xml"
    request.write_bytes(envelope(consult(stranger)))
    profile = ("--profile", sandbox.profile_path())
    assert command("sign", request, *profile, "--output", signed).exit_code == 0
    for arguments, word in (
        ((request,), "--profile"),
        ((signed, *profile), "Security"),
        ((tmp_path, *profile), "Is a directory"),
        ((request, *profile, "--output", tmp_path / "absent" / "x"), "No such file"),
        ((request, *profile, "--key", request), "key"),
    ):
        done = command("sign", *arguments)
        assert word in done.sentence, arguments
        assert done.exit_code == 2
