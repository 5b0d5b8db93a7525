"""The settings of a façade: defaults, paths, and what is refused (app/settings.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography.x509 import ObjectIdentifier

from cbss_inscription import names
from cbss_inscription.app.reloading import certificate_rules_of
from cbss_inscription.app.settings import (
    SETTINGS_VARIABLE,
    Authentication,
    Limits,
    Security,
    Settings,
    read_settings,
    settings_of_worker,
)
from cbss_inscription.app.wiring import policy_of
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.exchange import KnownBy
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.sign import Signer, sign
from cbss_inscription.security.trust import CertificateRules, TrustStore
from cbss_inscription.security.verify import verify
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
[audit]
keys = "audit-keys.toml"
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


EXAMPLE = Path(__file__).parents[2] / "examples" / "consult.xml"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def limits_of(kind: type[msgspec.Struct], section: str) -> Iterator[tuple[str, float, float, float, bool]]:
    """Each number of a section and of those in it: name, default, least, most, whether the least is left out."""
    structure = msgspec.inspect.type_info(kind)
    assert isinstance(structure, msgspec.inspect.StructType)
    for field in structure.fields:
        if isinstance(field.type, msgspec.inspect.StructType):
            yield from limits_of(field.type.cls, f"{section}.{field.name}")
        elif isinstance(field.type, msgspec.inspect.IntType | msgspec.inspect.FloatType):
            least = field.type.ge if field.type.gt is None else field.type.gt
            assert least is not None, field.name
            assert field.type.le is not None, field.name
            yield f"{section}.{field.name}", field.default, least, field.type.le, field.type.gt is not None


LIMITS = (*limits_of(Limits, "limits"), *limits_of(Security, "security"))


def test_every_limit_has_a_range_and_stands_in_the_document() -> None:
    """No limit is without a least and a most, and the table of docs/operations.md is these (SEC-06..28, 30, 50..52)."""
    text = OPERATIONS.read_text("utf-8")
    rows = re.findall(r"^\| `([a-z._]+)` \| (\S+) \| (above )?(\S+) \| (\S+) \|", text, re.MULTILINE)
    written = [(name, default, least, most, bool(above)) for name, default, above, least, most in rows]
    assert written == [
        (name, str(default), f"{least:g}" if above else str(least), str(most), above)
        for name, default, least, most, above in LIMITS
    ]


def said(tmp_path: Path, name: str, value: float) -> Settings:
    """Settings in which one limit has this value."""
    section, _, key = name.rpartition(".")
    also = "key_bits_max = 16384\n" if key == "key_bits_min" else ""  # the two may not cross
    return read(tmp_path, f"{LEAST}[{section}]\n{key} = {value}\n{also}")


def in_force(settings: Settings, name: str) -> float:
    """The limit as the doors go by it."""
    policy, rules = policy_of(settings), certificate_rules_of(settings)
    section, _, key = name.rpartition(".")
    owner: object = {
        "limits": settings.limits,
        "security": policy,
        "security.xml": policy.xml_limits,
        "security.certificates": rules,
    }[section]
    value: float = getattr(owner, key)
    return value


@pytest.mark.parametrize(("name", "default", "least", "most", "above"), LIMITS, ids=[name for name, *_ in LIMITS])
def test_every_limit_can_be_set_within_its_range(
    tmp_path: Path, name: str, default: float, least: float, most: float, above: bool
) -> None:
    """Its least and most are what the doors go by then; beyond them there is nothing (SEC-06..28, 30, 50..52)."""
    step = 0.001 if isinstance(default, float) else 1
    first = least + step if above else least
    for value in (first, most):
        assert in_force(said(tmp_path, name, value), name) == value
    for value in (first - step, most + step):
        with pytest.raises(UsageError, match=name.rpartition(".")[2]):
            said(tmp_path, name, value)
    assert in_force(read(tmp_path, LEAST), name) == default


def test_the_strictest_settings_still_accept_a_request_of_the_contract(tmp_path: Path) -> None:
    """With every limit of the message at its least, the example request passes (SEC-21..30, 51)."""
    lines: dict[str, list[str]] = {"security": [], "security.xml": []}
    for name, _, least, _, _ in LIMITS:
        section, _, key = name.rpartition(".")
        if section in lines:
            lines[section].append(f"{key} = {least}")
    text = "\n".join(f"[{section}]\n" + "\n".join(said) for section, said in lines.items())
    policy = policy_of(read(tmp_path, f"{LEAST}{text}\n"))
    now = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    pki = TestPki.generate(environment="TST", now=now)
    application = pki.issue_application_certificate("urn:a", "0206731645", "Sandbox (TEST)", not_before=now)
    signer = Signer.from_pem(application.certificate_pem, application.private_key_pem)
    message = sign(EXAMPLE.read_bytes(), signer=signer, now=now, lifetime_seconds=policy.lifetime_seconds_max)
    trust = TrustStore(authorities_pem=pki.authorities_pem, environment="TST")
    assert verify(message, charset=None, policy=policy, trust=trust, now=now).caller.application_urn == "urn:a"


def test_the_defaults_of_the_security_are_those_of_its_own_types(tmp_path: Path) -> None:
    """Settings that say nothing make the policy and the rules that the design has (SEC-21..36, SEC-43..51)."""
    settings = read(tmp_path, LEAST)
    assert policy_of(settings) == SecurityPolicy()
    grace = settings.trust.revocation_grace_seconds
    assert certificate_rules_of(settings) == CertificateRules(revocation_grace_seconds=grace)


def test_sec_33_algorithms_bring_the_keys_that_they_take(tmp_path: Path) -> None:
    """To allow ecdsa-sha384 is to allow keys on P-384, and to leave rsa-sha256 out refuses it (SEC-33, SEC-43)."""
    settings = read(tmp_path, f'{LEAST}[security]\nsignature_algorithms = ["ecdsa-sha384", "rsa-sha512"]\n')
    assert policy_of(settings).signature_algorithms == {names.ECDSA_SHA384, names.RSA_SHA512}
    assert certificate_rules_of(settings).curves == {"secp384r1"}


def test_sec_47_what_of_a_certificate_rsz_leaves_open_is_said(tmp_path: Path) -> None:
    """Extended key usages, the government's unit, applications without a ValueType (SEC-36, SEC-43, SEC-47)."""
    text = (
        f'{LEAST}[security]\napplications_without_value_type = ["urn:a"]\n'
        '[security.certificates]\nextended_key_usages = ["1.2.3"]\ngovernment_unit = "Federal"\n'
    )
    settings = read(tmp_path, text)
    assert policy_of(settings).applications_without_value_type == {"urn:a"}
    rules = certificate_rules_of(settings)
    assert (rules.extended_key_usages, rules.government_unit) == ({ObjectIdentifier("1.2.3")}, "Federal")
    assert certificate_rules_of(read(tmp_path, text.replace("Federal", ""))).government_unit is None


def test_sec_73_seals_have_safe_times_and_an_authority_by_choice(tmp_path: Path) -> None:
    """A seal a minute, an alarm after ten, calls refused after four hours; paths are relative (SEC-72, SEC-73)."""
    audit = read(tmp_path, LEAST).audit
    assert (audit.seal_seconds, audit.alarm_after_seconds, audit.stop_after_seconds) == (60.0, 600.0, 14_400.0)
    assert audit.timestamping is None
    named = '[audit.timestamping]\nurl = "https://tsa.example"\nca = "tsa.pem"\ntls_ca = "tls.pem"\n'
    stamping = read(tmp_path, LEAST.replace("[trust]", f"{named}[trust]")).audit.timestamping
    assert stamping is not None
    assert (stamping.ca, stamping.tls_ca) == (str(tmp_path / "tsa.pem"), str(tmp_path / "tls.pem"))
    assert (stamping.policy, stamping.proxy) == (None, None)


def test_sec_77_every_key_that_is_named_must_be_its_owner_s(tmp_path: Path) -> None:
    """The keys of server, journal, archive and of our own messages are those whose files a start looks at (SEC-77)."""
    more = """[audit.archive]
directory = "archive"
key = "archive.key.pem"
[upstream]
url = "https://repertory.example/InscriptionService/v1/inscription"
ca = "ca.pem"
certificate = "facade.crt.pem"
private_key = "facade.key.pem"
"""
    files = {Path(file).name for file in read(tmp_path, LEAST + more).key_files}
    assert files == {"server.key.pem", "audit-keys.toml", "archive.key.pem", "facade.key.pem"}


def test_two_listeners_cannot_share_a_port(tmp_path: Path) -> None:
    """The application server would bind the port for both, and callers would meet one of them at random."""
    path = tmp_path / "settings.toml"
    path.write_text(
        'environment = "LOCAL"\npublic_url = "https://x"\ndatabase = ""\naccess_rules = "r"\n'
        '[tls]\nport = 9000\ncertificate = "c"\nprivate_key = "k"\n[trust]\napplication_authorities = "a"\n'
        '[audit]\nkeys = "k"\n'
        "[plain]\nport = 9000\n",
        encoding="utf-8",
    )
    with pytest.raises(UsageError, match="cannot share port 9000"):
        read_settings(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[rest]\nport = 9100\n", "directory must say where"),
        ("[rest]\nport = 9100\n[batch]\n", "directory must say where"),
        ('[rest]\nport = 8443\n[batch]\ndirectory = "batches"\n', "cannot share port 8443"),
        ('[batch]\ndirectory = "batches"\n[batch.limits]\nline_chars_max = 100\n', "line_chars_max"),
    ],
)
def test_batches_need_a_place_and_a_port_of_their_own(tmp_path: Path, text: str, words: str) -> None:
    """An upload without a folder to go to, or at another listener's port, is refused before anything starts."""
    with pytest.raises(UsageError, match=words):
        read(tmp_path, LEAST + text)


def test_folder_of_batches_stands_beside_the_settings(tmp_path: Path) -> None:
    """The folder's path is relative to the file, as every path in it; its limits are the documented ones."""
    settings = read(tmp_path, LEAST + '[batch]\ndirectory = "batches"\n')
    assert settings.batch is not None
    assert settings.batch.directory == str(tmp_path / "batches")
    assert settings.batch.limits == BatchLimits()


@pytest.mark.parametrize("deep", ["[", "{a="])
def test_levels_upon_levels_are_one_sentence(tmp_path: Path, deep: str) -> None:
    """A value of thousands of levels is a broken file like any other, though TOML's reader gives up its own way."""
    with pytest.raises(UsageError, match=r"settings\.toml: "):
        read(tmp_path, f"contact = {deep * 5_000}")


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
        with pytest.raises(UsageError, match="stays on loopback"):
            read(tmp_path, f"{text}reachable_from_elsewhere = true\n[faults]\n")
    with pytest.raises(UsageError, match="portal"):
        read(tmp_path, f'{LEAST}[operations]\nport = 9443\naddress = "portal.example"\n')
    with pytest.raises(UsageError, match="cannot share port 8443"):
        read(tmp_path, f"{LEAST}[operations]\nport = 8443\n")


AT_A_REGISTER = LEAST.replace("environment", 'service = "national-register"\nenvironment', 1)
PLAIN = "[plain]\nport = 8080\n"
MTLS = f'{PLAIN}[authentication]\nway = "mtls"\ncertificate_header = "X-Client-Certificate"\n'
NETWORK = """[authentication]
way = "network"
[[authentication.networks]]
name = "a"
addresses = ["192.0.2.0/25"]
application_urn = "a:b"
cbe_number = "0206731645"
[[authentication.networks]]
name = "b"
addresses = ["192.0.2.128/25", "2001:db8::1"]
application_urn = "a:c"
cbe_number = "0206731645"
"""


def test_sec_03_a_token_is_the_way_unless_another_is_said(tmp_path: Path) -> None:
    """Token by default; the others are chosen, and a façade without a token is said on purpose (SEC-03)."""
    assert read(tmp_path, LEAST).authentication == Authentication()
    assert read(tmp_path, f"{AT_A_REGISTER}{MTLS}").authentication.way is KnownBy.CLIENT_CERTIFICATE
    assert read(tmp_path, f"{AT_A_REGISTER}{NETWORK}").authentication.networks[1].name == "b"
    for way in (MTLS, NETWORK.replace('"network"', '"network"\n')):
        with pytest.raises(UsageError, match="facade_without_token = true"):
            read(tmp_path, LEAST + way)
        said = way.replace("[authentication]", "[authentication]\nfacade_without_token = true", 1)
        assert not read(tmp_path, LEAST + said).authentication.is_signed
    both = MTLS.replace('"mtls"', '"token-and-mtls"')
    assert read(tmp_path, LEAST + both).authentication.is_signed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MTLS.replace(PLAIN, ""), "there is no [plain]"),
        (NETWORK.replace("[[", 'address_header = "X-Real-IP"\n[[', 1), "there is no [plain]"),
        (MTLS.replace('certificate_header = "X-Client-Certificate"', ""), "certificate_header"),
        (f'{PLAIN}[authentication]\ncertificate_header = "X-Client-Certificate"\n', "certificate_header"),
        (MTLS.replace("X-Client-Certificate", "Host"), "certificate_header"),
        (f'{MTLS}address_header = "X-Real-IP"\n', "address_header"),
        ('[authentication]\nway = "network"\n', "needs one at least"),
        (NETWORK.replace('way = "network"', ""), "networks are for the way network"),
        (NETWORK.replace("192.0.2.128/25", "192.0.2.0/24"), "overlap"),
        (NETWORK.replace("192.0.2.128/25", "192.0.2.129/25"), "host bits"),
        (NETWORK.replace("192.0.2.128/25", "::ffff:192.0.2.128/121"), "write it as one of IPv4"),
        (NETWORK.replace("192.0.2.128/25", "::/0"), "everybody's"),
        (NETWORK.replace("0206731645", "0206731646", 1), "cbe_number"),
        (NETWORK.replace("a:c", "a c"), "application_urn"),
        ('[authentication]\nway = "password"\n', "password"),
    ],
)
def test_sec_02_a_way_that_cannot_work_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """A header without its listener, a way without what it needs, an address that is two callers (SEC-02, SEC-03)."""
    with pytest.raises(UsageError, match=re.escape(words)):
        read(tmp_path, AT_A_REGISTER + text)


def test_rule_53_names_of_organisations_and_what_is_withheld_are_checked(tmp_path: Path) -> None:
    """A key that is no organisation's, or a ground for silence without its object, is an error (rule 53)."""
    named = read(tmp_path, f'{LEAST}[disclosure.organizations]\n"17/1" = "OCMW"\n"0123456789" = "A"\n').disclosure
    assert named.organizations == {"17/1": "OCMW", "0123456789": "A"}
    withheld = f'{LEAST}[[disclosure.not_disclosed]]\nreason = "the law"\n'
    assert read(tmp_path, f'{withheld}permissions = ["KSZ-1"]\n').disclosure.not_disclosed[0].permissions == {"KSZ-1"}
    with pytest.raises(UsageError, match="key of an organisation"):
        read(tmp_path, f'{LEAST}[disclosure.organizations]\n"OCMW" = "17/1"\n')
    with pytest.raises(UsageError, match="names no permission"):
        read(tmp_path, withheld)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("environment", "enviroment", "enviroment"),
        ("[tls]", "[tls]\nciphers = 1", "ciphers"),
        ("[trust]", "[trust]\nsystem = true", "system"),
        ("[trust]", "[limits]\nbody_byte_max = 1\n[trust]", "body_byte_max"),
        ("[trust]", "[limits]\nbody_bytes_max = 0\n[trust]", "body_bytes_max"),
        ("[trust]", "[limits]\nbody_seconds_max = 0\n[trust]", "body_seconds_max"),
        ("[trust]", "[security]\nsignature_algorithms = []\n[trust]", "signature_algorithms"),
        ("[trust]", '[security]\nsignature_algorithms = ["rsa-sha1"]\n[trust]', "rsa-sha1"),
        ("[trust]", "[security]\nrsa = true\n[trust]", "rsa"),
        ("[trust]", "[security.xml]\ndepth = 20\n[trust]", "depth"),
        ("[trust]", '[security.certificates]\nextended_key_usages = ["clientAuth"]\n[trust]', "clientAuth"),
        ("[trust]", "[security.certificates]\nkey_bits_min = 9000\n[trust]", "key_bits_min"),
        ("[trust]", "[security.certificates]\nverdicts = 1\n[trust]", "verdicts"),
        ("[tls]", "reload_seconds = 0\n[tls]", "reload_seconds"),
        ("[tls]", "reload_seconds = 61\n[tls]", "reload_seconds"),
        ("[trust]", "[trust]\nrevocation_grace_seconds = 604801", "revocation_grace_seconds"),
        ("[trust]", "[trust]\nfetch_seconds = 1", "fetch_seconds"),
        ("[trust]", '[trust]\nrevocation_sources = [{ url = "ftp://x", file = "f" }]', "https://"),
        ("[trust]", "seal_seconds = 0\n[trust]", "seal_seconds"),
        ("[trust]", "alarm_after_seconds = 60\n[trust]", "alarm_after_seconds"),
        ("[trust]", "stop_after_seconds = 600\n[trust]", "stop_after_seconds"),
        ("[trust]", '[audit.timestamping]\nurl = "tsa"\nca = "c"\n[trust]', "https://"),
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
