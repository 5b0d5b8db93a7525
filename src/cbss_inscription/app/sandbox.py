"""The sandbox: PostgreSQL, a population, a test PKI, demo applications and the façade, in one directory, in seconds.

Everything lies in the directory, and `sandbox.json` says what and where. A second start takes what is there; another
population (number of persons, seed, number space) makes the database anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from cryptography.hazmat.primitives.asymmetric import rsa
from psycopg.conninfo import conninfo_to_dict

from cbss_inscription.app.serving import Listeners, refuse_taken, serving
from cbss_inscription.app.settings import LOOPBACK
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import ServiceUnavailable, UsageError
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.governance.access import write_access_rules
from cbss_inscription.sandbox.demonstration import (
    APPLICATIONS,
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    UNKNOWN_URN,
    DemoApplication,
    demo_access_rules,
)
from cbss_inscription.sandbox.pki import Credential, TestPki
from cbss_inscription.sandbox.population import NumberSpace, Population, Scenario, make_population
from cbss_inscription.storage.database import CONNECTIONS_MAX
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.migration import migrate
from cbss_inscription.storage.population import empty_database, load_population, loaded_recipe

MANIFEST: Final = "sandbox.json"
"""The file in the directory that says what the sandbox is."""
LOG_BYTES_MAX: Final = 16_777_216
"""A façade's log beyond this is begun anew at the next start."""
CONNECTIONS_OF_SANDBOX_MAX: Final = 90
"""Connections of all workers together: what the bundled server grants, less some for people and start-up."""
_PKI_RENEWED_DAYS: Final = 30
"""The PKI is made anew this many days before its certificates expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """What a sandbox is to be; `port` 0 takes a free one, `plain_port` None serves TLS only."""

    directory: Path
    port: int = 8443
    plain_port: int | None = None
    persons: int = 10_000
    seed: int = 1
    number_space: NumberSpace = NumberSpace.FUTURE
    workers: int = 1
    database: str | None = None
    """A PostgreSQL ≥ 15 to use instead of the bundled one."""
    pg_bin: Path | None = None
    """The programs of another PostgreSQL ≥ 15 to run instead of the bundled ones."""

    @property
    def recipe(self) -> str:
        """What the population is made from, as the database keeps it."""
        return f"persons={self.persons} seed={self.seed} numbers={self.number_space.value}"


class Report(Protocol):
    """Where the sandbox tells how far it is."""

    def step(self, sentence: str) -> None:
        """Something begins."""
        ...

    def counted(self, sentence: str, persons: Iterable[Person], total: int) -> Iterable[Person]:
        """The same persons, shown as they pass."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox that answers."""

    directory: Path
    facade_url: str
    plain_url: str | None
    scenarios: dict[str, Scenario]
    _server: EmbeddedServer | None
    _listeners: Listeners

    @property
    def manifest(self) -> Path:
        """The path of sandbox.json."""
        return self.directory / MANIFEST

    def profile_path(self, application: DemoApplication = APPLICATIONS[0]) -> Path:
        """The file with the client profile of a demo application."""
        return _profile_path(self.directory, application)

    def check(self) -> None:
        """Nothing; a listener that does not answer any more was started anew.

        Raises `ServiceUnavailable` when the database or the façade ended by itself.
        """
        if self._server is not None and self._server.crashed:
            raise ServiceUnavailable(f"PostgreSQL ended unexpectedly: {self._server.log_file} says why")
        if self._listeners.ended():
            raise ServiceUnavailable(f"the façade ended unexpectedly: {self.directory / _LOG} says why")
        self._listeners.restart_silent()


@contextlib.contextmanager
def running_sandbox(options: SandboxOptions, report: Report) -> Iterator[Sandbox]:
    """A sandbox that answers; everything it started has ended afterwards.

    Raises `UsageError` with one sentence: a port or the directory is taken, the population or a file is not possible.
    """
    with contextlib.ExitStack() as held:
        try:
            sandbox = _start(options, report, held)
        except OSError as error:
            raise UsageError(f"{error.filename or options.directory}: {error.strerror}") from error
        yield sandbox


def _start(options: SandboxOptions, report: Report, held: contextlib.ExitStack) -> Sandbox:
    # What can be refused is refused before anything is made.
    population = make_population(persons=options.persons, seed=options.seed, number_space=options.number_space)
    directory = options.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    held.enter_context(_locked(directory))
    if options.port == options.plain_port:
        raise UsageError(f"the two listeners cannot share port {options.port}")
    for taken in (options.port, options.plain_port):
        if taken:
            refuse_taken(LOOPBACK, taken)
    (directory / MANIFEST).unlink(missing_ok=True)  # it appears when the sandbox answers

    server: EmbeddedServer | None = None
    database = options.database
    if database is None:
        report.step("PostgreSQL starts")
        server = EmbeddedServer(directory, binaries=options.pg_bin)
        held.callback(server.stop)
        database = server.start()
    _prepare_database(database, options, population, report, is_ours=server is not None)
    _prepare_pki(directory, report)

    port = options.port or _free_port()
    _write_settings(directory, options, database=database, port=port)
    url = f"https://localhost:{port}{Door.FACADE.path}"
    plain_url = f"http://localhost:{options.plain_port}{Door.FACADE.path}" if options.plain_port else None
    for application in APPLICATIONS:
        _write_profile(directory, application, url=url)
    report.step("The façade starts")
    log = held.enter_context(_open_log(directory / _LOG))
    listeners = held.enter_context(serving(directory / _SETTINGS, log=log))
    _write_manifest(directory, url=url, plain_url=plain_url, database=database, scenarios=population.scenarios)
    return Sandbox(
        directory=directory,
        facade_url=url,
        plain_url=plain_url,
        scenarios=dict(population.scenarios),
        _server=server,
        _listeners=listeners,
    )


def _prepare_database(
    database: str, options: SandboxOptions, population: Population, report: Report, *, is_ours: bool
) -> None:
    """Nothing; the database has the schema and the population. Only one of ours is ever emptied."""
    migrate(database)
    recipe = loaded_recipe(database)
    if recipe == options.recipe:
        return
    if recipe is not None:
        if not is_ours:
            raise UsageError(f"the database holds another population ({recipe}): give an empty database")
        report.step(f"The population of another recipe ({recipe}) goes")
        empty_database(database)
        migrate(database)
    persons = report.counted("The population is made", population.persons, len(population.persons))
    load_population(database, persons, recipe=options.recipe)


# -- what lies in the directory ----------------------------------------------------------------------------------------

_LOG: Final = "facade.log"
_LOCK: Final = "sandbox.lock"
_SETTINGS: Final = "settings.toml"
_ACCESS_RULES: Final = "access-rules.yaml"
_PKI: Final = "pki"
_REFUSED: Final = ("expired", "unknown-urn", "other-environment")


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Inside, no other sandbox uses the directory; the kernel forgets the lock when this process ends in any way."""
    with (directory / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"a sandbox already runs in {directory}: stop it, or choose another directory") from None
        yield


def _prepare_pki(directory: Path, report: Report) -> None:
    """Nothing; the directory has a PKI, made anew when there was none or its certificates end soon."""
    folder = directory / _PKI
    now = datetime.now(UTC)
    if folder.exists():
        pki = _whole_pki(folder)
        if pki is None:
            report.step("The test PKI is damaged")
        elif pki.server.certificate.not_valid_after_utc - now > timedelta(days=_PKI_RENEWED_DAYS):
            return
    report.step("The test PKI is made")
    # Made beside and renamed, so that a half-made one never counts.
    making = directory / f"{_PKI}.new"
    shutil.rmtree(making, ignore_errors=True)
    pki = TestPki.create(making, environment=ENVIRONMENT, now=now)
    for application in APPLICATIONS:
        credential = pki.issue_application_certificate(
            application.application_urn, application.cbe_number, application.organization_name, not_before=now
        )
        credential.write(*_credential_paths(making, application.name))
    _issue_refused(pki, making, now)
    if folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    making.rename(folder)


def _whole_pki(folder: Path) -> TestPki | None:
    """The PKI in the folder; None when any of its files is missing or damaged."""
    try:
        pki = TestPki.read(folder, environment=ENVIRONMENT)
        for name in (*(application.name for application in APPLICATIONS), *_REFUSED):
            Credential.read(*_credential_paths(folder, name))
        authorities = (folder / "authorities.pem").read_bytes()
    except (UsageError, OSError):
        return None
    return pki if authorities == pki.authorities_pem else None


def _issue_refused(pki: TestPki, folder: Path, now: datetime) -> None:
    """Certificates that the façade refuses, one for each reason, to try a client with; they share a key."""
    subject = APPLICATIONS[0]
    private_key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    expired, unknown_urn, other_environment = _REFUSED
    year_ago = now - timedelta(days=365)
    pki.issue_application_certificate(
        subject.application_urn,
        subject.cbe_number,
        subject.organization_name,
        not_before=year_ago,
        not_after=now - timedelta(days=1),
        private_key=private_key,
    ).write(*_credential_paths(folder, expired))
    pki.issue_application_certificate(
        UNKNOWN_URN, subject.cbe_number, subject.organization_name, not_before=now, private_key=private_key
    ).write(*_credential_paths(folder, unknown_urn))
    pki.issue_application_certificate(
        subject.application_urn,
        subject.cbe_number,
        subject.organization_name,
        environment=OTHER_ENVIRONMENT,
        not_before=now,
        private_key=private_key,
    ).write(*_credential_paths(folder, other_environment))


def _credential_paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.crt.pem", folder / f"{name}.key.pem"


def _open_log(path: Path) -> BinaryIO:
    """The façade's log, to go on with; begun anew when it has grown beyond `LOG_BYTES_MAX`."""
    grown = path.exists() and path.stat().st_size > LOG_BYTES_MAX
    return path.open("wb" if grown else "ab")


def _write_text(path: Path, text: str, *, database: str) -> None:
    """Writes a file that holds the connection string: for its owner's eyes only when that has a password."""
    path.unlink(missing_ok=True)
    mode = 0o600 if conninfo_to_dict(database).get("password") else 0o644
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)


def _write_settings(directory: Path, options: SandboxOptions, *, database: str, port: int) -> None:
    (directory / _ACCESS_RULES).write_bytes(write_access_rules(demo_access_rules()))
    lines = [
        "# Written by `cbss-inscription sandbox` at every start.",
        f"environment = {_toml(ENVIRONMENT)}",
        f"public_url = {_toml(f'https://localhost:{port}')}",
        f"database = {_toml(database)}",
        f"database_connections_max = {_connections_of_worker(options)}",
        f"access_rules = {_toml(_ACCESS_RULES)}",
        "validate_responses = true",
        "",
        "[tls]",
        f"port = {port}",
        f"certificate = {_toml(f'{_PKI}/server.crt.pem')}",
        f"private_key = {_toml(f'{_PKI}/server.key.pem')}",
        f"workers = {options.workers}",
        "",
        "[trust]",
        f"application_authorities = {_toml(f'{_PKI}/authorities.pem')}",
    ]
    if options.plain_port is not None:
        lines += ["", "[plain]", f"port = {options.plain_port}", f"workers = {options.workers}"]
    _write_text(directory / _SETTINGS, "\n".join(lines) + "\n", database=database)


def _connections_of_worker(options: SandboxOptions) -> int:
    """What each worker may have of the connections that the bundled server grants."""
    workers = options.workers * (1 if options.plain_port is None else 2)
    return max(1, min(CONNECTIONS_MAX, CONNECTIONS_OF_SANDBOX_MAX // workers))


def _profile_path(directory: Path, application: DemoApplication) -> Path:
    return directory / f"{application.name}.toml"


def _write_profile(directory: Path, application: DemoApplication, *, url: str) -> None:
    customer = application.customer_identification
    certificate, private_key = _credential_paths(Path(_PKI), application.name)
    lines = [
        "# Written by `cbss-inscription sandbox` at every start: for `cbss-inscription consult --profile …`.",
        f"url = {_toml(url)}",
        f"ca = {_toml(f'{_PKI}/tls-ca.crt.pem')}",
        f"certificate = {_toml(str(certificate))}",
        f"private_key = {_toml(str(private_key))}",
        f"legal_context = {_toml(application.legal_contexts[0])}",
        "",
        "[customer_identification]",
        *(f"{key} = {json.dumps(value)}" for key, value in _customer(customer).items()),
    ]
    _profile_path(directory, application).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_manifest(
    directory: Path, *, url: str, plain_url: str | None, database: str, scenarios: Mapping[str, Scenario]
) -> None:
    def paths(name: str) -> dict[str, str]:
        certificate, private_key = _credential_paths(Path(_PKI), name)
        return {"certificate": str(certificate), "key": str(private_key)}

    manifest = {
        "facade": {"url": url, "plain_url": plain_url, "wsdl": f"{url}?wsdl"},
        "ca": f"{_PKI}/tls-ca.crt.pem",
        "database": database,
        "applications": [
            {
                "name": application.name,
                "urn": application.application_urn,
                "cbe_number": application.cbe_number,
                **paths(application.name),
                "customer_identification": _customer(application.customer_identification),
                "legal_contexts": list(application.legal_contexts),
                "inscription_contexts": list(application.inscription_contexts),
                "operations": [operation.value for operation in application.operations],
                "profile": _profile_path(Path(), application).name,
            }
            for application in APPLICATIONS
        ],
        "refused_certificates": {name: paths(name) for name in _REFUSED},
        "scenarios": {name: _scenario(scenario) for name, scenario in scenarios.items()},
    }
    # Renamed into place: who waits for the file to appear reads it whole.
    new = directory / f"{MANIFEST}.new"
    _write_text(new, json.dumps(manifest, ensure_ascii=False, indent=2) + "\n", database=database)
    new.rename(directory / MANIFEST)


def _customer(customer: CustomerIdentification) -> dict[str, str | int]:
    if customer.cbe_number is not None:
        return {"cbe_number": customer.cbe_number}
    assert customer.sector is not None
    assert customer.institution is not None
    return {"sector": customer.sector, "institution": customer.institution}


def _scenario(scenario: Scenario) -> dict[str, object]:
    described: dict[str, object] = {"ssin": scenario.ssin}
    person = scenario.person
    if person is not None:
        described["legal_data"] = {
            "last_name": person.last_name,
            "given_names": list(person.given_names),
            "birth_date": str(person.birth_date) if person.birth_date else None,
            "gender_code": int(person.gender),
        }
    if scenario.current is not None and scenario.current.digits != scenario.ssin:
        described["current"] = scenario.current.digits
    return described


def _toml(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.bind((LOOPBACK, 0))
        return int(trial.getsockname()[1])
