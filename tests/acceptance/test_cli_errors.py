"""Every expected failure of the command line: one clear sentence, an exit code, no traceback."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.acceptance.conftest import Command
from tests.conftest import RunningSandbox, free_port

CANARY_NAME = "Zzyzx"


@pytest.fixture
def home(sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A copy of a profile and its files, to be spoilt."""
    shutil.copytree(sandbox.path("pki"), tmp_path / "pki")
    shutil.copy(sandbox.profile_path(), tmp_path / "profile.toml")
    return tmp_path


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def _directory_for(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _key(pem: bytes) -> Callable[[Path], object]:
    return lambda home: (home / "pki/pcsa-web.key.pem").write_bytes(pem)


def _rsa_key(size: int, encryption: object = None) -> bytes:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=size)
    how = BestAvailableEncryption(b"secret") if encryption else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def _other_key(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "profile missing": (lambda home: (home / "profile.toml").unlink(), "profile.toml: No such file"),
    "profile is a directory": (
        lambda home: _directory_for(home / "profile.toml"),
        "profile.toml: Is a directory",
    ),
    "profile is no TOML": (lambda home: (home / "profile.toml").write_text("url = "), "profile.toml: "),
    "profile is no text": (lambda home: (home / "profile.toml").write_bytes(b"\xff\xfe\x00"), "profile.toml: "),
    "profile has an unknown key": (
        lambda home: _replace(home / "profile.toml", "url =", "colour = 'red'\nurl ="),
        "colour",
    ),
    "profile lacks a key": (lambda home: _replace(home / "profile.toml", "url =", "# url ="), "url"),
    "profile has a wrong customer": (lambda home: _replace(home / "profile.toml", "17", "1700"), "999"),
    "certificate missing": (lambda home: (home / "pki/pcsa-web.crt.pem").unlink(), "pcsa-web.crt.pem: No such file"),
    "certificate broken": (lambda home: (home / "pki/pcsa-web.crt.pem").write_text("x"), "certificate"),
    "key missing": (lambda home: (home / "pki/pcsa-web.key.pem").unlink(), "pcsa-web.key.pem: No such file"),
    "key broken": (_key(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "key"),
    "key of another certificate": (
        _key(_rsa_key(2_048)),
        "pcsa-web.key.pem: The private key is not the key of this certificate",
    ),
    "key encrypted": (_key(_rsa_key(2_048, encryption=True)), "encrypted"),
    "key too short": (_key(_rsa_key(1_024)), "2048"),
    "key of another kind": (_key(_other_key(ed25519.Ed25519PrivateKey.generate())), "of another kind"),
    "key on a curve, certificate of RSA": (
        _key(_other_key(ec.generate_private_key(ec.SECP256R1()))),
        "not the key of this certificate",
    ),
    "CA bundle missing": (lambda home: (home / "pki/tls-ca.crt.pem").unlink(), "tls-ca.crt.pem: No such file"),
    "CA bundle broken": (lambda home: (home / "pki/tls-ca.crt.pem").write_text("x"), "tls-ca.crt.pem: "),
    "CA bundle is a directory": (
        lambda home: _directory_for(home / "pki/tls-ca.crt.pem"),
        "tls-ca.crt.pem: ",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_missing_or_broken_file_is_one_sentence(home: Path, command: Command, name: str) -> None:
    """A missing or broken file: one sentence that names it or what is wrong with it, exit code 2."""
    spoil, word = BROKEN[name]
    spoil(home)
    done = command("health", "--profile", home / "profile.toml")
    assert word in done.sentence
    assert done.exit_code == 2


WRONG_ARGUMENTS: dict[str, tuple[tuple[str, ...], str]] = {
    "reversed period": (("insert", "S", "PCSA:A", "--begin", "2026-02-01", "--end", "2026-01-01"), "period"),
    "end without begin": (("consult", "S", "--end", "2026-01-01"), "--begin"),
    "no SSIN at all": (("consult", ""), "an SSIN has 11 digits"),
    "ten digits": (("consult", "8507300332"), "an SSIN has 11 digits"),
    "letters for an SSIN": (("consult", "8507300332A"), "an SSIN has 11 digits"),
    "no such month in an SSIN": (("consult", "85993003328"), "ssin"),
    "no inscription context": (("consult", "S", "--context", "-"), "inscription context"),
    "a context too long": (("consult", "S", "--context", "A" * 65), "inscription context"),
    "no legal context": (("consult", "S", "--legal-context", "?"), "legal context"),
    "ticket too long": (("consult", "S", "--ticket", "x" * 37), "ticket"),
    "ticket with a control character": (("consult", "S", "--ticket", "a\x01b"), ""),
    "sector alone": (("consult", "S", "--sector", "17"), "customer"),
    "two customers": (
        ("consult", "S", "--sector", "17", "--institution", "1", "--cbe-number", "0206731645"),
        "customer",
    ),
    "a CBE number too short": (("consult", "S", "--cbe-number", "206731645"), "CBE"),
    "birth date that is none": (
        ("insert", "S", "PCSA:A", "--begin", "2026-01-01", "--birth-date", "1985-02-31"),
        "birth date",
    ),
    "given name alone": (("insert", "S", "PCSA:A", "--begin", "2026-01-01", "--given-name", CANARY_NAME), "name"),
    "empty last name": (("insert", "S", "PCSA:A", "--begin", "2026-01-01", "--last-name", ""), "lastName"),
    "control character in a name": (
        ("insert", "S", "PCSA:A", "--begin", "2026-01-01", "--last-name", f"{CANARY_NAME}\x07"),
        "",
    ),
    "name that is no text": (
        ("insert", "S", "PCSA:A", "--begin", "2026-01-01", "--last-name", f"{CANARY_NAME}\udcff"),
        "",
    ),
    "page token with a control character": (("consult", "S", "--next", "a\x01"), ""),
    "fifteen given names": (
        ("insert", "S", "PCSA:A", "--begin", "2026-01-01", "--last-name", "X", *["--given-name", CANARY_NAME] * 15),
        "givenName",
    ),
    "a URL that is none": (("consult", "S", "--url", "https://[::"), "https://[::"),
    "a URL without scheme": (("consult", "S", "--url", "localhost:8443/CBSSInscription/v1"), "localhost"),
    "a URL of another scheme": (("consult", "S", "--url", "ftp://localhost/x"), "localhost"),
}


@pytest.mark.parametrize("name", WRONG_ARGUMENTS)
def test_an_argument_that_cannot_be_is_one_sentence(
    sandbox: RunningSandbox, command: Command, stranger: str, name: str
) -> None:
    """An argument that the contract has no room for: one sentence, exit code 2, nothing sent, no personal data."""
    arguments, word = WRONG_ARGUMENTS[name]
    known = len(sandbox.log_lines())
    given = [stranger if argument == "S" else argument for argument in arguments]
    done = command(given[0], "--profile", sandbox.profile_path(), *given[1:])
    assert word in done.sentence
    assert done.exit_code == 2
    assert stranger not in done.err
    assert CANARY_NAME not in done.err
    assert len(sandbox.log_lines()) == known


def test_without_profile_every_option_is_needed(command: Command) -> None:
    """No profile and not all options: one sentence that says what to give."""
    assert "--profile" in command("consult", "85073003328", "--url", "https://localhost:1").sentence


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("expired", "SOA-01001"),
        ("unknown-urn", "SOA-01002"),
        ("other-environment", "SOA-01001"),
        ("revoked", "SOA-01001"),
    ],
)
def test_a_certificate_that_is_refused_is_one_sentence(
    sandbox: RunningSandbox, command: Command, stranger: str, name: str, code: str
) -> None:
    """An expired or foreign certificate, an unknown URN: the fault's code and text, the ticket, exit code 2."""
    files = sandbox.manifest["refused_certificates"][name]
    certificate = ("--certificate", sandbox.path(files["certificate"]), "--key", sandbox.path(files["key"]))
    done = command("consult", "--profile", sandbox.profile_path(), *certificate, stranger)
    assert done.sentence.startswith(f"{code}: ")
    assert "(ticket " in done.sentence
    assert done.exit_code == 2


def test_a_customer_of_somebody_else_is_refused(sandbox: RunningSandbox, command: Command, stranger: str) -> None:
    """A customer that the application may not speak for is SOA-01002, exit code 2 (SEC-58)."""
    done = command("consult", "--profile", sandbox.profile_path(), "--sector", 17, "--institution", 9, stranger)
    assert done.sentence.startswith("SOA-01002: ")
    assert done.exit_code == 2


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_an_unreachable_server_is_one_sentence(
    sandbox: RunningSandbox,
    home: Path,
    command: Command,
    stranger: str,
    silent_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Closed port, silent server, wrong CA, wrong host name, no TLS, wrong path: one sentence each, exit code 4."""
    consult = ("consult", "--profile", home / "profile.toml", stranger)
    url = sandbox.url
    port = url.split(":")[2].split("/")[0]
    other_ca = ("--ca", home / "pki/application-root.crt.pem")
    closed = f"localhost:{free_port()}"
    look_up = socket.getaddrinfo  # portal.example is this host, by a name that its certificate does not have
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **named: look_up("127.0.0.1" if host == "portal.example" else host, *rest, **named),
    )
    for arguments, word in (
        (("--url", f"https://{closed}/CBSSInscription/v1"), closed),
        (other_ca, "not trusted"),
        (("--url", url.replace("localhost", "portal.example")), "portal.example"),
        (("--url", url.replace("https:", "http:")), port),
        (("--url", sandbox.plain_url.replace("http:", "https:")), "TLS"),
        (("--url", url + "/elsewhere"), "404"),
    ):
        done = command(*consult, *arguments)
        assert word in done.sentence, (arguments, done.err)
        assert done.exit_code == 4
        assert stranger not in done.err
    done = command(*consult, "--url", url.replace("localhost", "portal.example"))
    assert "certificate of portal.example" in done.sentence
    assert "not trusted" in done.sentence
    _replace(home / "profile.toml", "url =", "timeout_seconds = 0.3\nurl =")
    done = command(*consult, "--url", f"https://localhost:{silent_port}/x")
    assert "in time" in done.sentence
    assert done.exit_code == 4


def test_a_process_ends_with_one_line_and_its_exit_code(home: Path, process: Command, stranger: str) -> None:
    """As a process: 2 for a missing file, 4 for an unreachable server, one line on standard error each."""
    done = process("consult", "--profile", home / "absent.toml", stranger)
    assert (done.exit_code, "absent.toml: No such file" in done.sentence) == (2, True)
    done = process(
        "consult",
        "--profile",
        home / "profile.toml",
        "--url",
        f"https://localhost:{free_port()}/x",
        "-",
        stdin=stranger,
    )
    assert (done.exit_code, "cannot be reached" in done.sentence) == (4, True)


def test_a_reader_that_goes_away_is_no_failure(sandbox: RunningSandbox, stranger: str) -> None:
    """`… --xml | head -1` ends without a word: nobody is left to say it to."""
    command = [sys.executable, "-m", "cbss_inscription.cli.main", "consult", "--xml"]
    running = subprocess.Popen(
        [*command, "--profile", str(sandbox.profile_path()), stranger],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    assert running.stderr.read() == b""
    running.stderr.close()
    running.wait(timeout=30)


def test_an_unknown_option_is_told_without_a_traceback(command: Command) -> None:
    """What the command line's parser refuses is exit code 2 and its own explanation."""
    for arguments in (
        ("consult", "--no-such"),
        ("nothing",),
        ("insert", "1", "2"),
        ("insert", "1", "2", "--begin", "x"),
    ):
        done = command(*arguments)
        assert done.exit_code == 2
        assert "Traceback" not in done.err
        assert done.err


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (RuntimeError("85073003328 Peeters"), r"a defect: RuntimeError at [^ ]+\.py:[0-9]+", 4),
        (OSError(28, "No space left on device"), r"No space left on device", 2),
        (OSError(13, "Permission denied", "/x/y"), r"/x/y: Permission denied", 2),
    ],
)
def test_what_nobody_expected_is_one_sentence_too(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str, code: int
) -> None:
    """A defect is told by its kind and place, never by its words or a traceback, and never ends as "nothing found"."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("cbss_inscription.cli.operations.read_profile", fail)
    ended = command("consult", "85073003328")
    assert re.fullmatch(sentence, ended.sentence)
    assert ended.exit_code == code


def test_an_interrupted_command_ends_as_a_shell_says_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in a call ends without a word, with status 130."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cbss_inscription.cli.operations.read_profile", interrupt)
    ended = command("consult", "85073003328")
    assert (ended.exit_code, ended.out) == (130, "")
