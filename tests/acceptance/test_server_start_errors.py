"""Why a sandbox or a façade does not start: one clear sentence, an exit code, nothing left running."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from cbss_inscription.app import start_checks
from cbss_inscription.app.checking import problems_of
from cbss_inscription.app.native import MINIMUM, Loaded, NativeLibrary, dotted, loaded_libraries
from cbss_inscription.app.settings import examine_settings, read_settings
from cbss_inscription.app.start_checks import check_population
from cbss_inscription.cli.exit_codes import sentence_of_error
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.sandbox.pki import Credential, TestPki
from tests.acceptance.conftest import Command


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """The commands under test take SIGTERM for themselves: given back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


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
    """A missing or broken file or setting of a façade: one sentence that names it, exit code 2 or 4, no traceback.

    What `settings check --connect` looks at tells the same beforehand.
    """
    spoil, word = WRONG[name]
    spoil(settings)
    done = command("facade", "--settings", settings)
    assert word in done.sentence
    assert done.exit_code in {2, 4}
    assert any(word in problem for problem in found_beforehand(settings, connect=True))


def found_beforehand(file: Path, *, connect: bool) -> list[str]:
    """The problems that `settings check` finds."""
    try:
        examined = examine_settings(file)
    except UsageError as error:
        return [str(error)]
    if examined.settings is None:
        return list(examined.problems)
    return [sentence_of_error(error) for error in problems_of(examined.settings, file, connect=connect)]


def _mode(name: str, mode: int) -> Callable[[Path], object]:
    return lambda settings: (settings.parent / name).chmod(mode)


def _all(*changes: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(settings: Path) -> None:
        for one in changes:
            one(settings)

    return change


def _server_key(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Callable[[Path], object]:
    def change(settings: Path) -> None:
        now = datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "services.example")])
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=90))
        certificate = builder.sign(key, hashes.SHA256())
        Credential(certificate=certificate, private_key=key).write(
            settings.parent / "server.crt.pem", settings.parent / "server.key.pem"
        )

    return change


def _password(
    settings: Path, *, mode: int = 0o600, password: str = "hunter2", user: str = "", word: str = "password"
) -> None:
    text = settings.read_text(encoding="utf-8")
    words = f"{word}={password}" + (f" user={user}" if user else "")
    settings.write_text(re.sub(r'(?m)^(database = ".*)"$', rf'\1 {words}"', text), encoding="utf-8")
    settings.chmod(mode)


def _authorities_of(environment: str) -> Callable[[Path], object]:
    def change(settings: Path) -> None:
        pki = TestPki.generate(environment=environment, now=datetime.now(UTC))
        (settings.parent / "authorities.pem").write_bytes(pki.authorities_pem)
        pki.write_revocation_lists(settings.parent, now=datetime.now(UTC))

    return change


def _test_time_stamps(settings: Path) -> None:
    pki = TestPki.generate(environment="PRD", now=datetime.now(UTC))
    (settings.parent / "tsa.pem").write_bytes(pki.timestamp_root.certificate_pem)
    with settings.open("a", encoding="utf-8") as opened:
        opened.write('\n[audit.timestamping]\nurl = "https://tsa.example"\nca = "tsa.pem"\n')


IN_PRODUCTION = _set("environment", '"PRD"')
A_REAL_CERTIFICATE = _server_key(ec.generate_private_key(ec.SECP256R1()))
REGISTER = """[national_register]
url = "https://localhost:1/x"
ca = "server.crt.pem"
certificate = "other.crt.pem"
private_key = "other.key.pem"
legal_context = "A:B"
customer_identification = { cbe_number = "9000000290" }
"""


def _append(text: str) -> Callable[[Path], object]:
    return lambda settings: settings.write_text(f"{settings.read_text(encoding='utf-8')}\n{text}\n", encoding="utf-8")


_register = _append(REGISTER)


UNSAFE: dict[str, tuple[Callable[[Path], object], str]] = {
    "key readable by its group (SEC-77)": (_mode("server.key.pem", 0o640), "chmod 600"),
    "audit keys readable by everybody (SEC-77)": (_mode("audit-keys.toml", 0o604), "audit-keys.toml"),
    "audit keys missing": (lambda settings: (settings.parent / "audit-keys.toml").unlink(), "audit-keys.toml: No such"),
    "audit keys broken": (_write("audit-keys.toml", b"current = 1"), "not a file of audit keys"),
    "key readable by everybody (SEC-77)": (_mode("server.key.pem", 0o604), "chmod 600"),
    "key writable by its group (SEC-77)": (_mode("server.key.pem", 0o620), "chmod 600"),
    "signing key readable by its group (SEC-77)": (_all(_register, _mode("other.key.pem", 0o640)), "other.key.pem"),
    "password in settings for all (SEC-77)": (lambda settings: _password(settings, mode=0o644), "password file"),
    "password of a key in settings for all (SEC-77)": (
        lambda settings: _password(settings, mode=0o644, word="sslpassword"),
        "password file",
    ),
    "password in settings for a group (SEC-77)": (lambda settings: _password(settings, mode=0o640), "password file"),
    "production with a usual password (SEC-77)": (
        _all(IN_PRODUCTION, lambda settings: _password(settings, password="postgres")),
        "tries first",
    ),
    "production whose password is its account's name (SEC-77)": (
        _all(IN_PRODUCTION, lambda settings: _password(settings, password="cbss", user="cbss")),
        "tries first",
    ),
    "production with numbers that nobody bears (SEC-77)": (
        _all(IN_PRODUCTION, _add("synthetic_numbers = true")),
        "synthetic_numbers",
    ),
    "production that goes wrong on order (SEC-77)": (_all(IN_PRODUCTION, _append("[faults]")), "go wrong on purpose"),
    "faults where the settings are": (_append('[faults]\ndirectory = "."'), "a directory of its own"),
    "faults by header for real numbers (SEC-77)": (_append("[faults]\nheader = true"), "synthetic_numbers"),
    "production under a test certificate (SEC-77)": (IN_PRODUCTION, "server's certificate is of a test PKI"),
    "production with test authorities (SEC-77)": (
        _all(IN_PRODUCTION, A_REAL_CERTIFICATE, _authorities_of("PRD")),
        "(TEST ONLY)",
    ),
    "production with a test authority of time stamps (SEC-77)": (
        _all(IN_PRODUCTION, A_REAL_CERTIFICATE, _test_time_stamps),
        "time-stamping authority is of a test PKI",
    ),
    "authorities of another environment (SEC-42)": (_authorities_of("ACC"), "another environment than LOCAL"),
    "server key RSA-2048 (SEC-05)": (_server_key(rsa.generate_private_key(65_537, 2_048)), "RSA-3072 or P-256"),
    "server key P-224 (SEC-05)": (_server_key(ec.generate_private_key(ec.SECP224R1())), "RSA-3072 or P-256"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_sec_77_what_would_not_be_safe_does_not_start(settings: Path, command: Command, name: str) -> None:
    """Keys or passwords for others to read, small keys, test material in production: one sentence (SEC-05, SEC-77).

    What `settings check` looks at tells the same beforehand.
    """
    spoil, word = UNSAFE[name]
    spoil(settings)
    done = command("facade", "--settings", settings)
    assert word in done.sentence
    assert "hunter2" not in done.sentence
    assert done.exit_code == 2
    found = found_beforehand(settings, connect=False)
    assert any(word in problem for problem in found)
    assert not any("hunter2" in problem for problem in found)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_sec_77_a_key_of_another_account_is_refused(settings: Path, command: Command) -> None:
    """A key that belongs to neither us nor root can be read and changed by its owner: refused (SEC-77)."""
    os.chown(settings.parent / "server.key.pem", 65_534, -1)
    assert "belongs to another account" in command("facade", "--settings", settings).sentence


def test_sec_77_a_password_in_the_environment_is_refused(
    settings: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PGPASSWORD would be inherited by every child, and shown by whatever dumps an environment (SEC-77, SEC-78)."""
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    done = command("facade", "--settings", settings)
    assert "PGPASSWORD" in done.sentence
    assert "hunter2" not in done.sentence


def test_sec_77_production_is_not_served_from_a_synthetic_population(
    populated_database: str, fresh_database: str, settings: Path
) -> None:
    """The loaded population is told from persons who are somebody's, in PRD and there alone (SEC-77)."""
    prd = msgspec.structs.replace(read_settings(settings), environment="PRD")
    with pytest.raises(UsageError, match="synthetic population"):
        check_population(prd)
    check_population(msgspec.structs.replace(prd, database=fresh_database))
    check_population(msgspec.structs.replace(prd, environment="ACC"))


def test_sec_78_half_a_password_is_not_quoted(settings: Path, command: Command) -> None:
    """A connection string that libpq cannot read, and would quote in parts, is not repeated (SEC-78)."""
    for string in ("host=x password=hunter 2secret", "postgresql://me:hunter2%zz@localhost/x"):
        _set("database", f'"{string}"')(settings)
        for arguments in (("facade", "--settings", settings), ("migrate", "--settings", settings)):
            settings.chmod(0o600)
            done = command(*arguments)
            assert done.exit_code == 2
            assert "connection string" in done.sentence
            assert not {"hunter", "2secret", "hunter2%zz", "zz"} & set(re.findall(r"[\w%]+", done.sentence))


@pytest.mark.parametrize("library", NativeLibrary)
def test_sec_81_a_library_that_is_too_old_keeps_the_service_from_starting(
    settings: Path, command: Command, monkeypatch: pytest.MonkeyPatch, library: NativeLibrary
) -> None:
    """One of the native libraries below its minimum: the sentence names it, what it is and what it must be (SEC-81)."""
    *rest, last = MINIMUM[library]
    older = (*rest, last - 1, 99) if last else (rest[0] - 1, 99)
    loaded = [
        Loaded(library=one.library, version=older if one.library is library else one.version)
        for one in loaded_libraries()
    ]
    monkeypatch.setattr(start_checks, "loaded_libraries", lambda: loaded)
    done = command("facade", "--settings", settings)
    assert done.exit_code == 2
    assert done.sentence.startswith(f"{library} is version {dotted(older)}, and {dotted(MINIMUM[library])} or later")


def test_sec_81_the_versions_that_are_loaded_are_told(command: Command) -> None:
    """`version` tells the program's version and those of libxml2 and of both OpenSSL, as they tell it (SEC-81)."""
    told = command("version").out
    assert f"libxml2 of lxml {dotted(etree.LIBXML_VERSION)} " in told
    assert f"OpenSSL of Python {ssl.OPENSSL_VERSION.split()[1]} " in told
    assert f"OpenSSL of cryptography {backend.openssl_version_text().split()[1]} " in told


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
