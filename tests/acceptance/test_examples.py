"""The examples folder, run as its README says, against a sandbox: what is documented there is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from cbss_inscription.client import InscriptionClient

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MONITORING = "http://services.fgov.be/monitoring/v1"
DOCUMENTED_DIRECTORY = ".cbss-sandbox"
DOCUMENTED_URL = "https://localhost:8443/CBSSInscription/v1"

# | `delete.xml` | NOK: there is nothing to delete | CBI00403 |
_, _, OUTCOMES_TABLE = README.partition("Sent in this order")
OUTCOMES = re.findall(r"^\| `([\w-]+\.xml)` \| (\w+(?: \w+)?)[^|]* \| ([A-Z0-9]*) ?\|$", OUTCOMES_TABLE, re.MULTILINE)
# | `python_sdk.py` | what it does | `how to run it` |
PROGRAMS = dict(re.findall(r"^\| `([\w.]+\.(?:py|sh))` \| .+ \| `([^`]+)` \|$", README, re.MULTILINE))
# the indented block that signs and sends
SEND = next(block for block in re.findall(r"(?:^    .+\n)+", README, re.MULTILINE) if "curl" in block)
FIVE_OPERATIONS = [
    "insert  OK MSG00000",
    "update  OK MSG00000",
    "consult DATA_FOUND MSG00000",
    "        PCSA:DEBT_MEDIATION 2026-01-01 2026-12-31",
    "delete  OK MSG00000",
    "health  OK",
]


@pytest.fixture(autouse=True)
def _contexts_empty(sandbox: Any) -> Iterator[None]:
    """The examples' contexts hold nothing before a test, nor after it."""

    def empty() -> None:
        with InscriptionClient(sandbox.profile()) as client:
            for context in ("PCSA:DEBT_MEDIATION", "PCSA:HEATING_ALLOWANCE"):
                client.delete_inscription(sandbox.ssin("nr_active"), inscription_context=context)

    empty()
    yield
    empty()


def _run(sandbox: Any, command: str) -> str:
    """What a documented shell command prints, run in the project's folder with its virtual environment."""
    command = command.replace(DOCUMENTED_DIRECTORY, str(sandbox.directory)).replace(DOCUMENTED_URL, sandbox.url)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-ec", command],
        cwd=PROJECT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _outcome(reply: str) -> tuple[str, str]:
    """Status and code in a reply; of a health check, its level."""
    body = etree.fromstring(reply.encode()).find(f"{{{SOAP}}}Body")
    assert body is not None
    level = body[0].findtext(f"{{{MONITORING}}}Status/{{{MONITORING}}}Level")
    if level is not None:
        return f"Level {level}", ""
    return str(body[0].findtext("status/value")), str(body[0].findtext("status/code"))


def test_every_example_is_in_the_readme() -> None:
    """The README names each file of the folder, and no other, and a request's outcome."""
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    assert set(re.findall(r"^\| `([\w.-]+)` \| .+ \| .* ?\|$", README, re.MULTILINE)) == files
    assert {name for name, _, _ in OUTCOMES} == {name for name in files if name.endswith(".xml")}


def test_request_files_signed_and_sent_answer_as_documented(sandbox: Any, tmp_path: Path) -> None:
    """Each request file, signed and sent by the README's commands in its order, answers as the README says."""
    answered = []
    for name, _, _ in OUTCOMES:
        command = SEND.replace("examples/insert.xml", f"examples/{name}").replace(
            "signed.xml", f"{tmp_path}/signed.xml"
        )
        answered.append((name, *_outcome(_run(sandbox, command))))
    assert answered == OUTCOMES


@pytest.mark.parametrize("name", ["python_sdk.py", "zeep_client.py"])
def test_python_examples_do_all_operations(sandbox: Any, name: str) -> None:
    """The SDK example and the zeep example insert, update, consult, delete and check the health, as documented."""
    assert _run(sandbox, PROGRAMS[name]).splitlines() == FIVE_OPERATIONS


def test_xmlsec1_example_signs_and_sends(sandbox: Any, tmp_path: Path) -> None:
    """The shell example has xmlsec1 sign a request file and curl send it, or leaves the signed message in a file."""
    command = PROGRAMS["xmlsec1_template.sh"]
    assert _outcome(_run(sandbox, command)) == ("NO_DATA_FOUND", "MSG00100")
    assert _outcome(_run(sandbox, command.replace("consult.xml", "insert.xml"))) == ("OK", "MSG00000")
    assert _outcome(_run(sandbox, command)) == ("DATA_FOUND", "MSG00000")
    signed = tmp_path / "signed.xml"
    assert _run(sandbox, f"{command} {signed}") == ""
    assert b"SignatureValue>" in signed.read_bytes()


def test_the_feed_example_says_in_one_sentence_that_the_service_is_down(sandbox: Any, tmp_path: Path) -> None:
    """Where nobody listens, the feed's reader ends with status 1 and a sentence, and forgets nothing."""
    profile = sandbox.profile_path().read_text(encoding="utf-8").replace('= "pki/', f'= "{sandbox.directory}/pki/')
    (tmp_path / "pcsa-web.toml").write_text(re.sub(r"localhost:\d+", "localhost:1", profile), encoding="utf-8")
    (tmp_path / "place.txt").write_text("41", encoding="utf-8")
    program = [sys.executable, str(EXAMPLES / "mutation_feed.py"), str(tmp_path), str(tmp_path / "place.txt")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (1, "", 1)
    assert (tmp_path / "place.txt").read_text(encoding="utf-8") == "41"


def test_examples_use_the_number_of_the_default_population(sandbox: Any) -> None:
    """The examples' number is the person `nr_active` of the default population, so that they work as they are."""
    number = sandbox.ssin("nr_active")
    for path in EXAMPLES.glob("*.xml"):
        if path.name != "health-check.xml":
            assert f"<ssin>{number}</ssin>" in path.read_text(encoding="utf-8")
    for name in ("python_sdk.py", "zeep_client.py"):
        assert f'SSIN = "{number}"' in (EXAMPLES / name).read_text(encoding="utf-8")
    for name in ("node_soap_client.mjs", "php_client.php", "gsoap_client.c"):
        assert number in (EXAMPLES / name).read_text(encoding="utf-8")
