"""The settings of a façade: defaults, paths, and what is refused (app/settings.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cbss_inscription.app.settings import SETTINGS_VARIABLE, Limits, Settings, read_settings, settings_of_worker
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.soap.http import HttpLimits
from cbss_inscription.soap.message import ANSWER_SECONDS_MAX

LEAST = """
environment = "TST"
public_url = "https://portal.example"
database = "dbname=x"
access_rules = "rules.yaml"
[tls]
certificate = "server.crt.pem"
private_key = "/absolute/server.key.pem"
[trust]
application_authorities = "authorities.pem"
"""


def read(tmp_path: Path, text: str) -> Settings:
    """The settings that this text says."""
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return read_settings(file)


def test_the_least_settings_have_safe_defaults(tmp_path: Path) -> None:
    """TLS on loopback, no plain listener, the limits of SEC-09 and SEC-10; paths are relative to the file."""
    settings = read(tmp_path, LEAST)
    assert (settings.tls.address, settings.tls.port, settings.tls.workers) == ("127.0.0.1", 8443, 1)
    assert settings.plain is None
    assert settings.access_rules == str(tmp_path / "rules.yaml")
    assert settings.tls.certificate == str(tmp_path / "server.crt.pem")
    assert settings.tls.private_key == "/absolute/server.key.pem"
    assert settings.trust.application_authorities == str(tmp_path / "authorities.pem")
    assert (settings.limits.body_bytes_max, settings.limits.header_count_max) == (1_048_576, 100)
    assert settings.limits.header_bytes_max == 16_384


def test_the_limits_of_the_settings_are_those_of_http() -> None:
    """Each limit stands in the settings under its own name with the same default (SEC-09, SEC-10)."""
    limits = HttpLimits()
    ours = {name: getattr(limits, name) for name in HttpLimits.__slots__} | {"answer_seconds_max": ANSWER_SECONDS_MAX}
    assert ours == {name: getattr(Limits(), name) for name in Limits.__struct_fields__}


def test_rule_38_how_long_tickets_are_kept_is_a_setting(tmp_path: Path) -> None:
    """Three days unless it is said otherwise: an hour at least, a year at most, in whole hours (rule 38)."""
    assert read(tmp_path, LEAST).tickets_kept_hours == 72
    assert read(tmp_path, f"tickets_kept_hours = 1\n{LEAST}").tickets_kept_hours == 1
    for wrong in ("0", "-1", "8785", "1.5", '"72"', "true"):
        with pytest.raises(UsageError, match="tickets_kept_hours"):
            read(tmp_path, f"tickets_kept_hours = {wrong}\n{LEAST}")


def test_sec_44_revocation_is_required_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    """Lists required, an hour of grace, files looked at every three seconds; paths are relative (SEC-44, SEC-48)."""
    settings = read(tmp_path, LEAST)
    assert (settings.reload_seconds, settings.trust.revocation_required) == (3.0, True)
    assert (settings.trust.revocation_grace_seconds, settings.trust.list_files) == (3_600, ())
    source = '[[trust.revocation_sources]]\nurl = "http://crl.example/ca.crl"\nfile = "ca.crl"\nca = "ca.pem"\n'
    trust = read(tmp_path, f'{LEAST}revocation_lists = ["root.crl"]\n{source}').trust
    assert trust.list_files == (str(tmp_path / "root.crl"), str(tmp_path / "ca.crl"))
    assert trust.revocation_sources[0].ca == str(tmp_path / "ca.pem")


def test_two_listeners_cannot_share_a_port(tmp_path: Path) -> None:
    """The application server would bind the port for both, and callers would meet one of them at random."""
    path = tmp_path / "settings.toml"
    path.write_text(
        'environment = "LOCAL"\npublic_url = "https://x"\ndatabase = ""\naccess_rules = "r"\n'
        '[tls]\nport = 9000\ncertificate = "c"\nprivate_key = "k"\n[trust]\napplication_authorities = "a"\n'
        "[plain]\nport = 9000\n",
        encoding="utf-8",
    )
    with pytest.raises(UsageError, match="cannot share port 9000"):
        read_settings(path)


def test_a_plain_listener_has_no_address_to_set(tmp_path: Path) -> None:
    """Without TLS a listener is on loopback, and no setting changes that (SEC-02)."""
    plain = read(tmp_path, f"{LEAST}\n[plain]\nport = 8080\n").plain
    assert plain is not None
    assert plain.port == 8080
    with pytest.raises(UsageError, match="address"):
        read(tmp_path, f'{LEAST}\n[plain]\nport = 8080\naddress = "0.0.0.0"\n')


def test_sec_80_an_operations_listener_is_on_loopback_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    """None unless asked for; another address than loopback is refused until it is said on purpose (SEC-80)."""
    assert read(tmp_path, LEAST).operations is None
    operations = read(tmp_path, f"{LEAST}[operations]\nport = 9443\n").operations
    assert operations is not None
    assert (operations.address, operations.port) == ("127.0.0.1", 9443)
    for loopback in ("127.0.0.2", "::1"):
        read(tmp_path, f'{LEAST}[operations]\nport = 9443\naddress = "{loopback}"\n')
    for routable in ("0.0.0.0", "::", "192.0.2.1", "2001:db8::1"):
        text = f'{LEAST}[operations]\nport = 9443\naddress = "{routable}"\n'
        with pytest.raises(UsageError, match="reachable_from_elsewhere"):
            read(tmp_path, text)
        assert read(tmp_path, f"{text}reachable_from_elsewhere = true\n").operations is not None
    with pytest.raises(UsageError, match="portal"):
        read(tmp_path, f'{LEAST}[operations]\nport = 9443\naddress = "portal.example"\n')
    with pytest.raises(UsageError, match="cannot share port 8443"):
        read(tmp_path, f"{LEAST}[operations]\nport = 8443\n")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("environment", "enviroment", "enviroment"),
        ("[tls]", "[tls]\nciphers = 1", "ciphers"),
        ("[trust]", "[trust]\nsystem = true", "system"),
        ("[trust]", "[limits]\nbody_byte_max = 1\n[trust]", "body_byte_max"),
        ("[trust]", "[limits]\nbody_bytes_max = 0\n[trust]", "body_bytes_max"),
        ("[trust]", "[limits]\nbody_seconds_max = 0\n[trust]", "body_seconds_max"),
        ("[tls]", "reload_seconds = 0\n[tls]", "reload_seconds"),
        ("[tls]", "reload_seconds = 61\n[tls]", "reload_seconds"),
        ("[trust]", "[trust]\nrevocation_grace_seconds = 604801", "revocation_grace_seconds"),
        ("[trust]", "[trust]\nfetch_seconds = 1", "fetch_seconds"),
        ("[trust]", '[trust]\nrevocation_sources = [{ url = "ftp://x", file = "f" }]', "https://"),
        ("[tls]", "[tls]\nport = 0", "port"),
        ("[tls]", "[tls]\nport = 65536", "port"),
        ("[tls]", "[tls]\nworkers = 0", "workers"),
        ('database = "dbname=x"', "", "database"),
        ('public_url = "https://portal.example"', "public_url = 1", "public_url"),
        ("[tls]", "[tls", "settings.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, word: str) -> None:
    """An unknown key, a missing one, a value out of range: one line that names the file and the key."""
    assert old in LEAST
    with pytest.raises(UsageError) as caught:
        read(tmp_path, LEAST.replace(old, new, 1))
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'settings.toml'}: ")
    assert word in text
    assert "\n" not in text


def test_a_worker_learns_its_settings_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable names the file; without it a worker cannot start."""
    monkeypatch.delenv(SETTINGS_VARIABLE, raising=False)
    with pytest.raises(UsageError, match=SETTINGS_VARIABLE):
        settings_of_worker()
    settings = read(tmp_path, LEAST)
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "settings.toml"))
    assert settings_of_worker() == settings
