"""`cbss-inscription explain FILE`: what the service sees in a signed file, with the reason of its log (SEC-88)."""

from __future__ import annotations

import ast
import contextlib
import json
import ssl
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

import cbss_inscription
from cbss_inscription.client.call import REPLY_BYTES_MAX
from cbss_inscription.client.errors import ServiceUnreachable
from cbss_inscription.client.transport import fetch, tls_context
from cbss_inscription.soap.description import ADVICE
from cbss_inscription.soap.remedies import REMEDIES
from tests.acceptance.conftest import Command, consult, envelope
from tests.conftest import RunningSandbox
from tests.interop.test_ws_security_document import _reasons_in_the_source

SOURCE = Path(str(cbss_inscription.__file__)).parent
OF_REPLIES = {"ticket-cbss", "outcome-code", "event", "person", "period", "ssin"}
"""Words of `contract` that only a client meets, in a reply."""
OF_BATCHES = {"text"}
"""Words of `contract` that only files of declarations meet."""


@pytest.fixture
def signed(sandbox: RunningSandbox, command: Command, tmp_path: Path, stranger: str) -> Path:
    """A signed consultation."""
    request, output = tmp_path / "request.xml", tmp_path / "signed.xml"
    request.write_bytes(envelope(consult(stranger)))
    done = command("sign", request, "--profile", sandbox.profile_path(), "--output", output, "--lifetime", 300)
    assert done.exit_code == 0
    return output


def _settings(sandbox: RunningSandbox) -> tuple[object, ...]:
    return ("--settings", sandbox.directory / "settings.toml")


def test_sec_88_a_genuine_file_is_accepted(sandbox: RunningSandbox, process: Command, signed: Path) -> None:
    """A signed file is in order, access included; status 0, from a file or standard input."""
    done = process("explain", signed, *_settings(sandbox))
    assert (done.exit_code, done.err) == (0, "")
    assert done.out.splitlines()[-1].startswith("Nothing needs to change")
    assert "access  ok" in done.out
    again = process("explain", "-", *_settings(sandbox), "--format", "json", stdin=signed.read_text())
    told = json.loads(again.out)
    assert (again.exit_code, told["accepted"], told["reason"]) == (0, True, None)
    assert {step["verdict"] for step in told["steps"] if step["name"] != "replay"} == {"ok"}


def test_sec_88_the_reason_is_the_one_in_the_log(
    sandbox: RunningSandbox, command: Command, signed: Path, tmp_path: Path
) -> None:
    """A changed file is refused by service and command for the same reason; canonical bytes go to a private file."""
    good = signed.read_bytes()
    context = ssl.create_default_context(cafile=str(sandbox.path(sandbox.manifest["ca"])))
    for old, new, reason in (
        (b"<ssin>", b"<ssin> ", "signature-digest"),
        (b"rsa-sha256", b"rsa-sha1", "algorithm"),
        (b"<wsu:Created>20", b"<wsu:Created>19", "timestamp-lifetime"),
    ):
        assert old in good
        changed = tmp_path / f"{reason}.xml"
        changed.write_bytes(good.replace(old, new))
        httpx.post(
            sandbox.url,
            content=changed.read_bytes(),
            headers={"Content-Type": "text/xml"},
            verify=context,
            trust_env=False,
        )
        logged = [line["reason"] for line in sandbox.log_lines() if line["event"] == "refused"]
        done = command("explain", changed, *_settings(sandbox), "--format", "json", "--canonical", tmp_path / "parts")
        told = json.loads(done.out)
        assert (done.exit_code, told["reason"], told["change"]) == (2, reason, REMEDIES[reason])
        assert logged[-1] == reason
    part = tmp_path / "parts" / "body.canonical.xml"
    assert b"<ssin> " in part.read_bytes()
    assert stat.S_IMODE(part.stat().st_mode) == 0o600


def test_sec_88_bytes_that_differ_are_shown_with_a_warning(
    sandbox: RunningSandbox, command: Command, signed: Path
) -> None:
    """Without --canonical the beginning of the bytes is shown, and that they may be personal data."""
    signed.write_bytes(signed.read_bytes().replace(b"<ssin>", b"<ssin> "))
    done = command("explain", signed, *_settings(sandbox))
    assert "may hold personal data" in done.out
    assert "<ssin> " in done.out
    assert done.out.splitlines()[-1] == REMEDIES["signature-digest"]


def test_sec_17_a_message_for_somebody_else_is_told(
    sandbox: RunningSandbox, command: Command, tmp_path: Path, stranger: str
) -> None:
    """What wsa:To says is compared with the settings' addresses, and without settings only told (SEC-17, SEC-88)."""
    request, output = tmp_path / "request.xml", tmp_path / "signed.xml"
    for to, status in ((sandbox.url, 0), ("https://elsewhere.example/CBSSInscription/v1", 2)):
        header = f'<a:To xmlns:a="http://www.w3.org/2005/08/addressing">{to}</a:To>'
        request.write_bytes(envelope(consult(stranger), header=header))
        command("sign", request, "--profile", sandbox.profile_path(), "--output", output)
        done = command("explain", output, *_settings(sandbox))
        assert (done.exit_code, f"wsa:To: {to}" in done.out, sandbox.url in done.out) == (status, True, True)
    assert done.out.splitlines()[-1] == REMEDIES["addressing-to"]
    options = ("--authorities", sandbox.directory / "pki" / "authorities.pem", "--environment", "LOCAL")
    assert command("explain", output, *options).exit_code == 0


def test_sec_88_options_instead_of_settings(sandbox: RunningSandbox, command: Command, signed: Path) -> None:
    """Authorities and environment may be given by hand; the clock may be another."""
    text = (sandbox.directory / "settings.toml").read_text()
    (name,) = (line.split('"')[1] for line in text.splitlines() if line.startswith("application_authorities"))
    (environment,) = (line.split('"')[1] for line in text.splitlines() if line.startswith("environment"))
    options = ("--authorities", sandbox.directory / name, "--environment", environment)
    assert command("explain", signed, *options).exit_code == 0
    late = command("explain", signed, *options, "--at", "2999-01-01T00:00:00Z")
    assert late.exit_code == 2
    assert command("explain", signed, *options, "--door", "mutations").out.splitlines()[-1] == REMEDIES["operation"]
    action = command("explain", signed, *options, "--soap-action", "urn:other")
    assert action.out.splitlines()[-1] == REMEDIES["action"]
    for wrong, word in (
        ((), "--settings"),
        ((*options, *_settings(sandbox)), "not both"),
        ((*options, "--at", "noon"), "--at"),
        ((*options, "--at", "2026-01-01T00:00:00"), "time zone"),
        (("--authorities", signed, "--environment", environment), "PEM"),
    ):
        done = command("explain", signed, *wrong)
        assert (done.exit_code, word in done.sentence) == (2, True)
    assert "No such file" in command("explain", signed.parent / "absent", *options).sentence


# --- beside the description of a running service --------------------------------------------------------------------


def _running(sandbox: RunningSandbox) -> tuple[object, ...]:
    return ("--url", sandbox.url, "--ca", sandbox.path(sandbox.manifest["ca"]))


def test_sec_88_file_is_compared_with_the_service(sandbox: RunningSandbox, command: Command, signed: Path) -> None:
    """With --url alone the policy, operation and address of the service are told; only the certificate stays open."""
    told = json.loads(command("explain", signed, *_running(sandbox), "--format", "json").out)
    steps = {step["name"]: step for step in told["steps"]}
    assert list(steps)[:4] == ["description", "policy", "operation", "address"]
    assert (told["accepted"], told["differs"]) == (True, {})
    open_steps = {name for name, step in steps.items() if step["verdict"] == "not checked"}
    assert open_steps == {
        "certificate", "certificate-path", "certificate-use", "certificate-validity", "identity", "replay", "access",
    }  # fmt: skip
    assert {step["verdict"] for name, step in steps.items() if name not in open_steps} == {"ok"}
    assert {"name": "address", "value": sandbox.url} in steps["description"]["facts"]
    done = command("explain", signed, *_running(sandbox), *_settings(sandbox))
    assert (done.exit_code, "certificate-path  ok" in done.out, "policy  ok" in done.out) == (0, True, True)


def test_sec_88_file_for_another_address_or_operation_differs(
    sandbox: RunningSandbox, command: Command, tmp_path: Path, stranger: str
) -> None:
    """A wsa:To of elsewhere and another door's operation differ from the description: status 2, and what to change."""
    to = '<a:To xmlns:a="http://www.w3.org/2005/08/addressing">https://elsewhere.example/</a:To>'
    request, output = tmp_path / "request.xml", tmp_path / "signed.xml"
    request.write_bytes(envelope(consult(stranger), header=to))
    assert command("sign", request, "--profile", sandbox.profile_path(), "--output", output).exit_code == 0
    done = command("explain", output, *_running(sandbox))
    assert (done.exit_code, "address  differs" in done.out) == (2, True)
    assert done.out.splitlines()[-1] == ADVICE["address"]
    told = json.loads(command("explain", output, *_running(sandbox), "--format", "json").out)
    assert (told["accepted"], told["differs"], told["change"]) == (
        True,
        {"address": ADVICE["address"]},
        ADVICE["address"],
    )
    feed = ("--url", sandbox.manifest["facade"]["mutations_url"], *_running(sandbox)[2:])
    done = command("explain", output, *feed, "--format", "json")
    told = json.loads(done.out)
    assert (done.exit_code, told["reason"], set(told["differs"])) == (2, "operation", {"operation", "address"})


def test_sec_04_88_description_is_read_over_tls_that_is_verified(
    sandbox: RunningSandbox, command: Command, signed: Path
) -> None:
    """Nothing is read without TLS, or from a server that the given authorities did not issue (SEC-04, SEC-88)."""
    done = command("explain", signed, "--url", sandbox.url)
    assert (done.exit_code, "not trusted" in done.sentence) == (4, True)
    other = sandbox.path("pki/application-root.crt.pem")
    done = command("explain", signed, "--url", sandbox.url, "--ca", other)
    assert (done.exit_code, "not trusted" in done.sentence) == (4, True)
    for url in (sandbox.plain_url, f"{sandbox.url}?wsdl"):
        assert "--url takes the address" in command("explain", signed, "--url", url).sentence
    assert "--ca goes with --url" in command("explain", signed, "--ca", other, *_settings(sandbox)).sentence
    assert "--environment" in command("explain", signed, *_running(sandbox), "--environment", "LOCAL").sentence


def test_sec_88_description_is_waited_for_until_the_deadline(sandbox: RunningSandbox) -> None:
    """A description that has no time left is not waited for (SEC-88)."""
    context = tls_context(sandbox.path(sandbox.manifest["ca"]))
    assert fetch(f"{sandbox.url}?wsdl=x509", context=context, seconds_max=60).startswith(b"<?xml")
    with pytest.raises(ServiceUnreachable, match="in time"):
        fetch(f"{sandbox.url}?wsdl=x509", context=context, seconds_max=0)


@pytest.mark.parametrize(
    ("status", "headers", "body", "word", "exit_code"),
    [
        (404, {}, b"", "HTTP status 404", 2),
        (302, {"Location": "/elsewhere"}, b"", "HTTP status 302", 2),
        (200, {}, b"<html/>", "no WSDL", 2),
        (200, {}, b" " * (REPLY_BYTES_MAX + 1), "not readable: size", 4),
    ],
    ids=["404", "redirect", "HTML", "too large"],
)
def test_sec_88_answer_that_is_no_description_is_one_sentence(
    sandbox: RunningSandbox,
    command: Command,
    signed: Path,
    status: int,
    headers: dict[str, str],
    body: bytes,
    word: str,
    exit_code: int,
) -> None:
    """Another status, a redirect, something else than a WSDL, too many bytes: one sentence, and no second request."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):  # the reader may have had enough
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sandbox.path("pki/server.crt.pem"), sandbox.path("pki/server.key.pem"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://localhost:{server.server_port}/CBSSInscription/v1"
        done = command("explain", signed, "--url", url, "--ca", sandbox.path(sandbox.manifest["ca"]))
        server.shutdown()
    assert (done.exit_code, word in done.sentence) == (exit_code, True)
    assert asked == ["/CBSSInscription/v1?wsdl=x509"]


def test_sec_88_every_reason_has_its_sentence() -> None:
    """Each reason that the stations and the contract raise has one sentence, and no sentence is for nothing."""
    contract = {"operation", "schema"}
    for path in (SOURCE / "contract").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args:
                word = call.args[0]
                if call.func.id in {"made", "ContentViolation"} and isinstance(word, ast.Constant):
                    contract.add(str(word.value))
    assert REMEDIES.keys() == _reasons_in_the_source() | (contract - OF_REPLIES - OF_BATCHES)
    assert all(sentence.endswith(".") and sentence.count(". ") == 0 for sentence in REMEDIES.values())
