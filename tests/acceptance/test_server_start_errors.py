"""Why a sandbox or a façade does not start: one clear sentence, an exit code, nothing left running."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cbss_inscription.governance.access import write_access_rules
from cbss_inscription.sandbox.pki import TestPki
from tests.acceptance.conftest import Command, rules_of_tests
from tests.conftest import free_port


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """The commands under test take SIGTERM for themselves: given back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def settings(tmp_path: Path, pki: TestPki, populated_database: str) -> Path:
    """A settings file with which a façade would start."""
    (tmp_path / "rules.yaml").write_bytes(write_access_rules(rules_of_tests()))
    (tmp_path / "authorities.pem").write_bytes(pki.authorities_pem)
    pki.write_revocation_lists(tmp_path, now=datetime.now(UTC))
    pki.server.write(tmp_path / "server.crt.pem", tmp_path / "server.key.pem")
    pki.tls_authority.write(tmp_path / "other.crt.pem", tmp_path / "other.key.pem")
    file = tmp_path / "settings.toml"
    file.write_text(
        f"""environment = "LOCAL"
public_url = "https://localhost:8443"
database = "{populated_database}"
access_rules = "rules.yaml"
[tls]
port = {free_port()}
certificate = "server.crt.pem"
private_key = "server.key.pem"
[trust]
application_authorities = "authorities.pem"
revocation_lists = ["revocation-lists.pem"]
""",
        encoding="utf-8",
    )
    return file


def _set(key: str, value: str) -> Callable[[Path], object]:
    def change(settings: Path) -> None:
        before = settings.read_text(encoding="utf-8")
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", before, flags=re.MULTILINE)
        assert count == 1
        settings.write_text(text, encoding="utf-8")

    return change


def _add(line: str) -> Callable[[Path], object]:
    return lambda settings: settings.write_text(f"{line}\n{settings.read_text(encoding='utf-8')}", encoding="utf-8")


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda settings: (settings.parent / name).write_bytes(content)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "settings missing": (lambda settings: settings.unlink(), "settings.toml: No such file"),
    "settings are no TOML": (_add("="), "settings.toml: "),
    "unknown key": (_add('colour = "red"'), "colour"),
    "environment that is none": (_set("environment", '"MOON"'), "environment"),
    "port that is none": (_set("port", "70000"), "port"),
    "access rules missing": (_set("access_rules", '"absent.yaml"'), "absent.yaml: No such file"),
    "access rules with an unknown key": (_write("rules.yaml", b"version: 1\nrules: []\n"), "rules.yaml: "),
    "access rules that are no YAML": (_write("rules.yaml", b"{["), "rules.yaml: "),
    "authorities missing": (_set("application_authorities", '"absent.pem"'), "absent.pem: No such file"),
    "authorities broken": (_write("authorities.pem", b"x"), "authorit"),
    "revocation lists missing": (_set("revocation_lists", '["absent.pem"]'), "absent.pem: No such file"),
    "revocation lists broken": (_write("revocation-lists.pem", b"x"), "revocation list"),
    "no revocation lists, though required": (_set("revocation_lists", "[]"), "revocation_required = false"),
    "certificate missing": (_set("certificate", '"absent.pem"'), "absent.pem: No such file"),
    "certificate broken": (_write("server.crt.pem", b"x"), "server.crt.pem"),
    "key missing": (_set("private_key", '"absent.pem"'), "absent.pem: No such file"),
    "key broken": (_write("server.key.pem", b"x"), "server.key.pem"),
    "key of another certificate": (_set("private_key", '"other.key.pem"'), "other.key.pem"),
    "database unreachable": (_set("database", '"host=127.0.0.1 port=1 dbname=x connect_timeout=2"'), "database"),
    "database string that is none": (_set("database", '"nonsense"'), "database"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_facade_that_cannot_start_says_why(settings: Path, command: Command, name: str) -> None:
    """A missing or broken file or setting of a façade: one sentence that names it, exit code 2 or 4, no traceback."""
    spoil, word = WRONG[name]
    spoil(settings)
    done = command("facade", "--settings", settings)
    assert word in done.sentence
    assert done.exit_code in {2, 4}


def test_a_port_in_use_is_one_sentence(settings: Path, command: Command) -> None:
    """A façade whose port is taken says so, exit code 2."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        _set("port", str(port))(settings)
        done = command("facade", "--settings", settings)
    assert f"port {port}" in done.sentence
    assert done.exit_code == 2


SANDBOX: dict[str, tuple[tuple[str, ...], str]] = {
    "too few persons": (("--persons", "99"), "100"),
    "too many persons": (("--persons", "99000000"), "12000000"),
    "more persons than numbers": (("--numbers", "unissued", "--persons", "50000"), "40000"),
    "negative seed": (("--seed", "-1"), "seed"),
    "database unreachable": (("--database", "host=127.0.0.1 port=1 dbname=x connect_timeout=2"), "database"),
    "no such programs": (("--pg-bin", "/nonexistent"), "/nonexistent"),
}


@pytest.mark.parametrize("name", SANDBOX)
def test_a_sandbox_that_cannot_start_says_why(reachable_directory: Path, command: Command, name: str) -> None:
    """What a sandbox cannot be is one sentence on standard error, exit code 2 or 4, before anything is served."""
    arguments, word = SANDBOX[name]
    directory = reachable_directory / name.replace(" ", "-")
    done = command("sandbox", "--directory", directory, "--port", "0", *arguments)
    assert done.out == ""
    assert "Traceback" not in done.err
    (sentence,) = [line for line in done.err.splitlines() if line.startswith("cbss-inscription: ")]
    assert word in sentence
    assert done.exit_code in {2, 4}
    assert not (directory / "sandbox.json").exists()


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path, command: Command) -> None:
    """A file where the directory should be: one sentence that names it, exit code 2."""
    (tmp_path / "file").write_text("here already")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        done = command("sandbox", "--directory", path, "--port", "0", "--persons", "100")
        assert str(path) in done.sentence
        assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
