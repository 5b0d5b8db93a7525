"""Which services there are, which of them asks an upstream, and how: the settings of the KSZ leg (docs/upstream.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cbss_inscription.app.registers import registers_of
from cbss_inscription.app.settings import CircuitBreaker, DialectName, Service, Settings, read_settings
from cbss_inscription.app.telemetry import StructuredCallLog
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.storage.database import Database

LEAST = """
environment = "TST"
public_url = "https://portal.example"
database = "dbname=x"
access_rules = "rules.yaml"
[tls]
certificate = "server.crt.pem"
private_key = "server.key.pem"
[trust]
application_authorities = "authorities.pem"
[audit]
keys = "audit-keys.toml"
"""
UPSTREAM = """
[upstream]
url = "https://repertory.example/InscriptionService/v1/inscription"
ca = "ca.pem"
certificate = "/absolute/facade.crt.pem"
private_key = "facade.key.pem"
"""
UNSIGNED = """
[upstream]
url = "https://repertory.example/InscriptionService/v1/inscription"
ca = "ca.pem"
signed = false
"""
NATIONAL_REGISTER = """
[national_register]
url = "https://register.example/PersonService/v1/person"
ca = "ca.pem"
certificate = "ksz.crt.pem"
private_key = "ksz.key.pem"
legal_context = "REPERTORY:IDENTIFICATION"
customer_identification = { sector = 25, institution = 0 }
"""


def read(tmp_path: Path, text: str) -> Settings:
    """The settings that this text says."""
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return read_settings(file)


def test_a_repertory_has_ksz_s_door_and_keeps_lines(tmp_path: Path) -> None:
    """`service = "repertory"` is InscriptionService, with lines of its own; so has a façade without upstream."""
    repertory = read(tmp_path, f'service = "repertory"\n{LEAST}')
    assert (repertory.service, repertory.service.door) == (Service.REPERTORY, Door.KSZ)
    assert repertory.keeps_lines
    assert read(tmp_path, LEAST).keeps_lines
    assert not read(tmp_path, LEAST + UPSTREAM).keeps_lines
    assert not read(tmp_path, f'service = "national-register"\n{LEAST}').keeps_lines


def test_an_upstream_has_short_times_by_default(tmp_path: Path) -> None:
    """4 seconds, three attempts, 64 calls at once, KSZ's dialect; paths are relative to the file."""
    settings = read(tmp_path, LEAST + UPSTREAM)
    upstream = settings.upstream
    assert upstream is not None
    assert (upstream.timeout_seconds, upstream.consult_attempts, upstream.calls_at_once_max) == (4.0, 3, 64)
    assert upstream.circuit_breaker == CircuitBreaker(failures=5, open_seconds=10.0, probes=1)
    assert upstream.dialect is DialectName.KSZ
    assert (upstream.ca, upstream.certificate) == (str(tmp_path / "ca.pem"), "/absolute/facade.crt.pem")
    assert str(tmp_path / "facade.key.pem") in settings.key_files


def test_a_breaker_and_a_dialect_are_set_beside(tmp_path: Path) -> None:
    """The figures of the breaker have a table of their own, and the dialect a word."""
    text = f'{LEAST}{UPSTREAM}dialect = "adjustment"\n[upstream.circuit_breaker]\nfailures = 2\nopen_seconds = 1\n'
    upstream = read(tmp_path, text).upstream
    assert upstream is not None
    assert upstream.dialect is DialectName.ADJUSTMENT
    assert upstream.circuit_breaker == CircuitBreaker(failures=2, open_seconds=1.0)


def test_sec_03_what_is_shown_in_the_handshake_is_apart_from_what_signs(tmp_path: Path) -> None:
    """`[upstream.tls]` names another certificate and key; `signed = false` leaves those of messages out (SEC-03)."""
    shown = '[upstream.tls]\ncertificate = "tls.crt.pem"\nprivate_key = "tls.key.pem"\n'
    both = read(tmp_path, LEAST + UPSTREAM + shown)
    files = {"upstream": "/absolute/facade.crt.pem", "upstream-tls": str(tmp_path / "tls.crt.pem")}
    assert both.signing_certificates == files
    assert {str(tmp_path / "facade.key.pem"), str(tmp_path / "tls.key.pem")} <= set(both.key_files)
    unsigned = read(tmp_path, LEAST + UNSIGNED + shown)
    assert unsigned.signing_certificates == {"upstream-tls": str(tmp_path / "tls.crt.pem")}
    assert str(tmp_path / "tls.key.pem") in unsigned.key_files
    assert read(tmp_path, LEAST + UNSIGNED).signing_certificates == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LEAST + UNSIGNED.replace("signed = false", ""), "signed with certificate and private_key, or signed = false"),
        (LEAST + UPSTREAM + "signed = false\n", "nothing is signed: certificate and private_key are of no use"),
        (LEAST + UPSTREAM.replace('private_key = "facade.key.pem"', ""), "signed with certificate and private_key"),
        (LEAST + UPSTREAM + '[upstream.tls]\ncertificate = "tls.crt.pem"\n', "upstream.tls.private_key: is missing"),
        (LEAST + UPSTREAM.replace("https://", "http://"), "https"),
        (LEAST + UPSTREAM + "retries = 3\n", "retries"),
        (LEAST + UPSTREAM + 'dialect = "ehealth"\n', "dialect"),
        (LEAST + UPSTREAM + "timeout_seconds = 15\n", "less time than an answer of ours"),
        (LEAST + UPSTREAM + "timeout_seconds = 0\n", "timeout_seconds"),
        (LEAST + UPSTREAM + "consult_attempts = 0\n", "consult_attempts"),
        (LEAST + UPSTREAM + "consult_attempts = 6\n", "consult_attempts"),
        (LEAST + UPSTREAM + "calls_at_once_max = 0\n", "calls_at_once_max"),
        (LEAST + UPSTREAM + "[upstream.circuit_breaker]\nfailures = 0\n", "failures"),
        (LEAST + UPSTREAM + "[upstream.circuit_breaker]\nopen = 1\n", "open"),
        (LEAST + UPSTREAM + NATIONAL_REGISTER, "that service which asks the National Register"),
        (f'service = "repertory"\n{LEAST}{UPSTREAM}', "only a façade"),
        (f'service = "national-register"\n{LEAST}{UPSTREAM}', "only a façade"),
    ],
)
def test_what_an_upstream_cannot_be_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    """An unknown key, a figure out of its range and a service that asks nobody are one sentence each."""
    with pytest.raises(UsageError, match=sentence):
        read(tmp_path, text)


def test_a_repertory_asks_the_national_register(tmp_path: Path) -> None:
    """Who keeps the lines asks the National Register, as a façade that keeps them does."""
    assert read(tmp_path, f'service = "repertory"\n{LEAST}{NATIONAL_REGISTER}').national_register is not None


def test_a_facade_with_an_upstream_has_no_registers(tmp_path: Path) -> None:
    """What works on persons is told to take the settings of the service that keeps them."""
    settings = read(tmp_path, LEAST + UPSTREAM)
    with pytest.raises(UsageError, match="name the settings of that service"):
        registers_of(settings, Database("dbname=x"), log=StructuredCallLog())
