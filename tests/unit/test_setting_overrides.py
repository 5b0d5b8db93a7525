"""What the environment says instead of the settings file, and every mistake of both (app/setting_tables.py)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cbss_inscription.app.sandbox import SandboxOptions, running_sandbox
from cbss_inscription.app.settings import (
    SETTINGS_VARIABLE,
    examine_settings,
    read_settings,
    settings_of_worker,
    show_settings,
)
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.requests import Operation
from cbss_inscription.security.algorithms import SignatureAlgorithm

LEAST = """
environment = "TST"
public_url = "https://portal.example"
database = "dbname=x"
access_rules = "rules.yaml"
[tls]
certificate = "server.crt.pem"
private_key = "/absolute/server.key.pem"
[audit]
keys = "audit-keys.toml"
[trust]
application_authorities = "authorities.pem"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The least settings there can be."""
    path = tmp_path / "settings.toml"
    path.write_text(LEAST, encoding="utf-8")
    return path


def test_the_environment_says_a_setting_instead_of_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers and lists as TOML writes them, texts as they stand or quoted; a table that is not there begins."""
    for name, text in {
        "TLS__PORT": "9443",
        "ENVIRONMENT": "ACC",
        "CONTACT": "12",
        "PUBLIC_URL": '"https://other.example"',
        "DATABASE": "host=/run/postgresql dbname=y",
        "PLAIN__PORT": "8081",
        "OTHER_URLS": '["https://inside.example"]',
        "SECURITY__XML__DEPTH_MAX": "20",
        "SECURITY__SIGNATURE_ALGORITHMS": '["rsa-sha512"]',
        "AUDIT__EVIDENCE": '["insertInscription"]',
        "DISCLOSURE__ORGANIZATIONS": '{ "17/1" = "OCMW" }',
        "TLS__CERTIFICATE": "elsewhere/server.crt.pem",
    }.items():
        monkeypatch.setenv(f"CBSS_INSCRIPTION__{name}", text)
    settings = read_settings(file)
    assert (settings.tls.port, settings.environment, settings.contact) == (9443, "ACC", "12")
    assert (settings.public_url, settings.database) == ("https://other.example", "host=/run/postgresql dbname=y")
    assert settings.plain is not None
    assert settings.plain.port == 8081
    assert settings.other_urls == ("https://inside.example",)
    assert settings.security.xml.depth_max == 20
    assert settings.security.signature_algorithms == {SignatureAlgorithm.RSA_SHA512}
    assert settings.audit.evidence == {Operation.INSERT_INSCRIPTION}
    assert settings.disclosure.organizations == {"17/1": "OCMW"}
    assert settings.tls.certificate == str(file.parent / "elsewhere/server.crt.pem")


def test_workers_see_what_the_environment_says(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker reads the same file under the same environment, and so the same settings."""
    monkeypatch.setenv(SETTINGS_VARIABLE, str(file))
    monkeypatch.setenv("CBSS_INSCRIPTION__TLS__WORKERS", "3")
    assert settings_of_worker() == read_settings(file)
    assert settings_of_worker().tls.workers == 3


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("TLS__PRT", "9443", "there is no such setting (is it port?)"),
        ("TLS_PORT", "9443", "there is no such setting"),
        ("tls__port", "9443", "there is no such setting (is it tls?)"),
        ("", "1", "there is no such setting"),
        ("TLS", "{ port = 1 }", "this is a table"),
        ("TLS__PORT__NUMBER", "1", "there is no such setting"),
        ("TLS__PORT", "70000", "65535"),
        ("TLS__PORT", "many", "no value as TOML writes it"),
        ("TLS__PORT", "1\nworkers = 64", "no value as TOML writes it"),
        ("CONTACT", '"unended', "no value as TOML writes it"),
        ("SERVICE", "moon", "moon"),
    ],
)
def test_what_the_environment_cannot_say_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, words: str
) -> None:
    """A variable that matches no setting, or whose value is none: one sentence that begins with its whole name."""
    monkeypatch.setenv(f"CBSS_INSCRIPTION__{name}", text)
    with pytest.raises(UsageError) as caught:
        read_settings(file)
    assert str(caught.value).startswith(f"CBSS_INSCRIPTION__{name}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["CBSS_INSCRIPTION_TLS__PORT", "CBSS_INSCRIPTION_DATABASE", "CBSS_INSCRIPTION_"])
def test_a_variable_that_only_looks_like_a_setting_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One underscore too few, and the setting of the file would count without a word; the program's own pass."""
    for known in ("CBSS_INSCRIPTION_METRICS", "CBSS_INSCRIPTION_PROFILE", "CBSS_INSCRIPTION_SETTINGS"):
        monkeypatch.setenv(known, "x")
    assert read_settings(file).tls.port == 8443
    monkeypatch.setenv(name, "9443")
    with pytest.raises(UsageError, match=rf"^{name}: .*CBSS_INSCRIPTION__"):
        read_settings(file)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TLS__PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----"),
        ("AUDIT__KEYS", '"""-----BEGIN hunter2"""'),
        ("DATABASE", "host=x password=hunter2"),
        ("DATABASE", "postgresql://me:hunter2@localhost/x"),
        ("DATABASE", "host=x sslpassword=hunter2"),
        ("DATABASE", "host=x password=hunter2 secret"),
    ],
)
def test_sec_77_the_environment_brings_no_secret(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """Neither a key's text nor a password of the database, which every child would find; nor is it told (SEC-77)."""
    monkeypatch.setenv(f"CBSS_INSCRIPTION__{name}", text)
    with pytest.raises(UsageError, match=f"^CBSS_INSCRIPTION__{name}: ") as caught:
        read_settings(file)
    assert "hunter2" not in str(caught.value)


def test_every_mistake_is_found(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown, missing and impossible settings at any depth, of file and environment, each with its place, at once."""
    text = LEAST.replace('database = "dbname=x"', 'contact = 7\nlimits = { answer_seconds_max = 99 }\nplain = "no"')
    sources = '[[trust.revocation_sources]]\nurl = "https://a"\nfile = "a"\n[[trust.revocation_sources]]\nurl = "b"\n'
    file.write_text(text.replace("[tls]", "[tls]\nprt = 1") + sources, encoding="utf-8")
    monkeypatch.setenv("CBSS_INSCRIPTION__TLS__PORT", "0")
    monkeypatch.setenv("CBSS_INSCRIPTION__PLAIN__PORT", "8080")
    monkeypatch.setenv("CBSS_INSCRIPTION__COLOUR", "red")
    examined = examine_settings(file)
    assert examined.settings is None
    assert {problem.removeprefix(f"{file}: ").partition(": ")[0] for problem in examined.problems} == {
        "contact",
        "limits.answer_seconds_max",
        "plain",
        "database",
        "tls.prt",
        "trust.revocation_sources[1]",
        "CBSS_INSCRIPTION__TLS__PORT",
        "CBSS_INSCRIPTION__COLOUR",
    }
    assert f"{file}: tls.prt: there is no such setting (is it port?)" in examined.problems
    assert f"{file}: database: is missing" in examined.problems


def test_settings_that_contradict_each_other_are_all_told(file: Path) -> None:
    """What is good by itself and cannot be together: each contradiction, not only the first."""
    file.write_text(
        LEAST.replace('access_rules = "rules.yaml"', "") + "[plain]\nport = 8443\n[operations]\nport = 8443\n",
        encoding="utf-8",
    )
    problems = examine_settings(file).problems
    assert [word for word in ("port 8443", "access_rules") for one in problems if word in one] == [
        "port 8443",
        "access_rules",
    ]


def test_sec_78_what_is_shown_is_the_settings_without_passwords(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of TOML that are settings again, each with where it comes from; passwords are left out (SEC-78)."""
    text = LEAST.replace("dbname=x", "dbname=x user=me password=hunter2").replace("[trust]", "[trust]\n#")
    sources = '[[trust.revocation_sources]]\nurl = "http://me:hunter2@crl.example/a"\nfile = "a \\" b"\n'
    file.write_text(text + sources, encoding="utf-8")
    monkeypatch.setenv("CBSS_INSCRIPTION__TLS__PORT", "9443")
    lines = list(show_settings(file))
    assert "tls.port = 9443  # CBSS_INSCRIPTION__TLS__PORT" in lines
    assert "tls.workers = 1  # default" in lines
    assert 'environment = "TST"  # settings.toml' in lines
    assert not any("hunter2" in line for line in lines)
    said = tomllib.loads("\n".join(lines))
    assert set(said["database"].split()) == {"dbname=x", "user=me"}
    monkeypatch.delenv("CBSS_INSCRIPTION__TLS__PORT")
    again = file.with_name("again.toml")
    again.write_text("\n".join(lines), encoding="utf-8")
    assert read_settings(again).trust.revocation_sources[0].url == "http://crl.example/a"
    assert [line.partition("  # ")[0] for line in show_settings(again)] == [line.partition("  # ")[0] for line in lines]


@pytest.mark.parametrize("password", ["hunter2", 'hun"ter2', "hunter2@ter2", "hun\\\\ter2", "hunter2:ter2"])
def test_sec_78_no_password_in_a_url_is_shown(file: Path, password: str) -> None:
    """Whatever is in it: all before the last @ of the host is left out (SEC-78)."""
    stamping = f"[audit.timestamping]\nurl = 'https://me:{password}@tsa.example/a@b'\nca = 'a.pem'\n"
    file.write_text(LEAST + stamping, encoding="utf-8")
    (line,) = [line for line in show_settings(file) if line.startswith("audit.timestamping.url")]
    assert line == 'audit.timestamping.url = "https://tsa.example/a@b"  # settings.toml'


def test_a_sandbox_takes_nothing_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its services would all be told the same, and its manifest something else: refused before anything is made."""
    monkeypatch.setenv("CBSS_INSCRIPTION__TLS__PORT", "9443")
    options = SandboxOptions(directory=tmp_path / "sandbox")
    with pytest.raises(UsageError, match=r"^CBSS_INSCRIPTION__TLS__PORT: "), running_sandbox(options, None):  # type: ignore[arg-type]  # never asked
        pass
    assert not (tmp_path / "sandbox").exists()
