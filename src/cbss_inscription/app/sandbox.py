"""The sandbox: PostgreSQL, a population, a test PKI, demo applications and the façade, in one directory, in seconds.

Everything lies in the directory, and `sandbox.json` says what and where. A second start takes what is there; another
population (number of persons, inscriptions, seed, number space, registers) makes the database anew, and is refused when
somebody wrote on the one that is there, unless told so.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric import rsa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cbss_inscription.app.addresses import Listener
from cbss_inscription.app.serving import SILENT_SECONDS_MAX, Listeners, refuse_taken, serving
from cbss_inscription.app.settings import LOOPBACK, Service, refuse_overrides, write_privately
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import ServiceUnavailable, UsageError
from cbss_inscription.domain.legal_data import CBSS_REGISTERS, EVERY_REGISTER, Register
from cbss_inscription.governance.access import AccessRules, write_access_rules
from cbss_inscription.governance.journal import new_audit_keys
from cbss_inscription.sandbox.demonstration import (
    APPLICATIONS,
    ENVIRONMENT,
    FACADE,
    OTHER_ENVIRONMENT,
    REPERTORY,
    UNKNOWN_URN,
    DemoApplication,
    demo_access_rules,
    demo_upstream_rules,
)
from cbss_inscription.sandbox.fault_scenarios import fault_scenarios
from cbss_inscription.sandbox.faults import FaultRule
from cbss_inscription.sandbox.pki import REVOCATION_LISTS, Credential, TestPki
from cbss_inscription.sandbox.population import NumberSpace, Scenario
from cbss_inscription.sandbox.population_files import Made, made_rows
from cbss_inscription.sandbox.timestamping import TimeStampAuthority, TimeStampServer
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.storage.database import CONNECTIONS_MAX
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.migration import make_phonetic_keys, migrate
from cbss_inscription.storage.population import (
    Rows,
    empty_database,
    load_rows,
    loaded_recipe,
    recipe_of_registers,
    rows_of_registers,
    written_since_load,
)

MANIFEST: Final = "sandbox.json"
"""The file in the directory that says what the sandbox is."""
LOG_BYTES_MAX: Final = 16_777_216
"""A façade's log beyond this is begun anew at the next start."""
CONNECTIONS_OF_SANDBOX_MAX: Final = 90
"""Connections of all workers together: what the bundled server grants, less some for people and start-up."""
_STARTED_ANEW: Final = f"The {{}} gave no answer for {SILENT_SECONDS_MAX:.0f} seconds and was started anew."
_PKI_RENEWED_DAYS: Final = 30
"""The PKI is made anew this many days before its certificates expire."""
LISTS_RENEWED: Final = timedelta(days=1)
"""The age at which revocation lists are issued anew, long before the next ones are due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """What a sandbox is to be; port 0 takes a free one, None has no such listener."""

    directory: Path
    port: int = 8443
    plain_port: int | None = None
    operations_port: int | None = None
    batch_port: int | None = None
    persons: int = 10_000
    seed: int = 1
    number_space: NumberSpace = NumberSpace.FUTURE
    inscriptions: int = 0
    """Inscriptions per person, on average, that are there from the beginning."""
    workers: int = 1
    national_register: bool = False
    """Whether the National Register's persons are in a service of their own, which is asked."""
    repertory: bool = False
    """Whether lines and persons are in a service of their own, which the façade asks."""
    faults: bool = False
    """Whether requests go wrong on order: by number, by header, by the operations listeners."""
    database: str | None = None
    """A PostgreSQL ≥ 15 to use instead of the bundled one."""
    pg_bin: Path | None = None
    """The programs of another PostgreSQL ≥ 15 to run instead of the bundled ones."""
    anew: bool = False
    """Whether what was written on another population may go with it."""

    @property
    def beside(self) -> tuple[Beside, ...]:
        """The services beside the façade, in the order in which they start: who is asked comes first."""
        wanted = {Beside.NATIONAL_REGISTER: self.national_register, Beside.REPERTORY: self.repertory}
        return tuple(beside for beside, is_wanted in wanted.items() if is_wanted)

    @property
    def recipe(self) -> str:
        """What the population is made from, as the database keeps it."""
        return self.made.recipe

    @property
    def made(self) -> Made:
        """The population, to be made on the fly."""
        return Made(
            persons=self.persons, inscriptions=self.inscriptions, seed=self.seed, number_space=self.number_space
        )


class Report(Protocol):
    """Where the sandbox tells how far it is."""

    def step(self, sentence: str) -> None:
        """Something begins."""
        ...

    def counted(self, sentence: str, rows: Iterable[Rows], total: int) -> Iterable[Rows]:
        """The same rows, shown as they pass."""
        ...


class Beside(Enum):
    """A service that a sandbox can have beside its façade: with settings, rules, log and database of its own."""

    NATIONAL_REGISTER = "national_register"
    REPERTORY = "repertory"

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return "National Register" if self is Beside.NATIONAL_REGISTER else "repertory"

    @property
    def service(self) -> Service:
        """Which service it is."""
        return Service.NATIONAL_REGISTER if self is Beside.NATIONAL_REGISTER else Service.REPERTORY

    @property
    def key(self) -> str:
        """Its key in sandbox.json, and the name of its database."""
        return self.value

    @property
    def settings(self) -> str:
        """The name of its settings file."""
        return f"{self.service}.toml"

    @property
    def access_rules(self) -> str:
        """The name of its rules file."""
        return f"{self.service}-rules.yaml"

    @property
    def log(self) -> str:
        """The name of its log file."""
        return f"{self.service}.log"

    def rules(self) -> AccessRules:
        """Who may ask it what."""
        if self is Beside.NATIONAL_REGISTER:
            return demo_access_rules((REPERTORY,))
        return demo_upstream_rules()

    def url(self, port: int) -> str:
        """Where it is reached."""
        return f"https://localhost:{port}{self.service.door.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox that answers."""

    directory: Path
    facade_url: str
    mutations_url: str
    """Where the mutation feed is."""
    plain_url: str | None
    operations_url: str | None
    batch_url: str | None
    """Where liveness, readiness and metrics are, when they are anywhere."""
    register_url: str | None
    """Where the National Register is, when it is a service of its own."""
    repertory_url: str | None
    """Where the repertory is, when it is a service of its own."""
    scenarios: dict[str, Scenario]
    _server: EmbeddedServer | None
    _listeners: Listeners
    _beside: Mapping[Beside, Listeners] = field(default_factory=dict)

    @property
    def manifest(self) -> Path:
        """The path of sandbox.json."""
        return self.directory / MANIFEST

    def profile_path(self, application: DemoApplication = APPLICATIONS[0]) -> Path:
        """The file with the client profile of a demo application."""
        return _profile_path(self.directory, application)

    def check(self) -> tuple[str, ...]:
        """A sentence for each service that gave no answer any more and was started anew just now.

        Revocation lists of yesterday are issued anew.

        Raises `ServiceUnavailable` when the database or the façade ended by itself.
        """
        if self._server is not None and self._server.crashed:
            raise ServiceUnavailable(f"PostgreSQL ended unexpectedly: {self._server.log_file} says why")
        if self._listeners.ended():
            raise ServiceUnavailable(f"the façade ended unexpectedly: {self.directory / _LOG} says why")
        renew_revocation_lists(self.directory / _PKI, now=datetime.now(UTC))
        silent = self._listeners.restart_silent()
        names = {"operations listener" if one is Listener.OPERATIONS else "façade" for one in silent}
        sentences = [_STARTED_ANEW.format(name) for name in sorted(names)]
        # A service beside it that ended is silent too: the façade lives without it, so whoever ended it has time to see
        # how.
        for beside, listeners in self._beside.items():
            if listeners.restart_silent():
                process_id = listeners.process_ids[0]
                self._write_process_of(beside, process_id)
                sentences.append(f"{_STARTED_ANEW.format(beside.title)} It is process {process_id} now.")
        return tuple(sentences)

    def _write_process_of(self, beside: Beside, process_id: int) -> None:
        manifest = json.loads(self.manifest.read_text(encoding="utf-8"))
        manifest[beside.key]["pid"] = process_id
        _replace_manifest(self.directory, manifest)


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
    refuse_overrides("a sandbox has several services, and writes their settings itself: unset this variable")
    options.made.check()
    population = options.made.population()
    directory = options.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    held.enter_context(_locked(directory))
    if options.beside and options.database is not None:
        raise UsageError(f"the {options.beside[0].title} has a database of its own, in the bundled PostgreSQL only")
    if options.repertory and options.batch_port is not None:
        raise UsageError("batches go to who keeps the lines: --batch-port does not go with --repertory")
    ports = [one for one in (options.port, options.plain_port, options.operations_port, options.batch_port) if one]
    for taken in ports:
        if ports.count(taken) > 1:
            raise UsageError(f"two listeners cannot share port {taken}")
        refuse_taken(LOOPBACK, taken)
    (directory / MANIFEST).unlink(missing_ok=True)  # it appears when the sandbox answers

    server: EmbeddedServer | None = None
    database = options.database
    if database is None:
        report.step("PostgreSQL starts")
        server = EmbeddedServer(directory, binaries=options.pg_bin)
        held.callback(server.stop)
        database = server.start()
    stores = {database: _registers_of(None, options)} | {
        _make_database(database, beside): _registers_of(beside, options) for beside in options.beside
    }
    # All are looked at before the first is emptied.
    for conninfo, registers in stores.items():
        _refuse_loss(conninfo, options, registers, is_ours=server is not None)
    for conninfo, registers in stores.items():
        _prepare_database(conninfo, options, report, registers)
    _prepare_pki(directory, report)
    _prepare_audit_keys(directory)
    timestamp_url = _start_timestamping(directory, held)
    running: dict[Beside, Listeners] = {}
    urls: dict[Beside, str] = {}
    operations_ports = {beside: _free_port() for beside in options.beside if options.faults}
    for beside in options.beside:
        urls[beside], running[beside] = _start_beside(
            beside,
            directory,
            options,
            report,
            held,
            database=database,
            timestamp_url=timestamp_url,
            urls=urls,
            operations_port=operations_ports.get(beside),
        )

    port = options.port or _free_port()
    operations_port = options.operations_port
    if operations_port == 0 or (operations_port is None and options.faults):
        operations_port = _free_port()
    batch_port = _free_port() if options.batch_port == 0 else options.batch_port
    fault_rules = fault_scenarios(population) if options.faults else ()
    _write_settings(
        directory,
        options,
        database=database,
        port=port,
        operations_port=operations_port,
        batch_port=batch_port,
        urls=urls,
        timestamp_url=timestamp_url,
        fault_rules=fault_rules,
    )
    url = f"https://localhost:{port}{Door.FACADE.path}"
    # The feed stands beside whoever keeps the lines.
    keeper = urls[Beside.REPERTORY].removesuffix(Door.KSZ.path) if options.repertory else f"https://localhost:{port}"
    mutations_url = f"{keeper}{Door.MUTATIONS.path}"
    plain_url = f"http://localhost:{options.plain_port}{Door.FACADE.path}" if options.plain_port else None
    operations_url = f"http://localhost:{operations_port}" if operations_port else None
    batch_url = f"https://localhost:{batch_port}" if batch_port else None
    for application in APPLICATIONS:
        _write_profile(
            directory,
            application,
            url=url,
            mutations_url=mutations_url if options.repertory else None,
            batch_url=batch_url,
        )
    report.step("The façade starts")
    log = held.enter_context(_open_log(directory / _LOG))
    listeners = held.enter_context(serving(directory / _SETTINGS, log=log))
    _write_manifest(
        directory,
        url=url,
        mutations_url=mutations_url,
        plain_url=plain_url,
        operations_url=operations_url,
        batch_url=batch_url,
        database=database,
        scenarios=population.scenarios,
        fault_rules=fault_rules,
        beside={
            beside: {
                "url": urls[beside],
                **(
                    {"operations_url": f"http://localhost:{operations_ports[beside]}"}
                    if beside in operations_ports
                    else {}
                ),
                "settings": beside.settings,
                "access_rules": beside.access_rules,
                "log": beside.log,
                "database": _database_of(database, beside),
                "pid": listeners.process_ids[0],
            }
            for beside, listeners in running.items()
        },
    )
    return Sandbox(
        directory=directory,
        facade_url=url,
        mutations_url=mutations_url,
        plain_url=plain_url,
        operations_url=operations_url,
        batch_url=batch_url,
        register_url=urls.get(Beside.NATIONAL_REGISTER),
        repertory_url=urls.get(Beside.REPERTORY),
        scenarios=dict(population.scenarios),
        _server=server,
        _listeners=listeners,
        _beside=running,
    )


def _registers_of(beside: Beside | None, options: SandboxOptions) -> frozenset[Register]:
    """Whose files are in the database of a service; None is the façade."""
    if beside is Beside.NATIONAL_REGISTER:
        return frozenset({Register.NR})
    keeps_lines = beside is Beside.REPERTORY or not options.repertory
    if not keeps_lines:
        return frozenset()
    return CBSS_REGISTERS if options.national_register else EVERY_REGISTER


def _start_beside(
    beside: Beside,
    directory: Path,
    options: SandboxOptions,
    report: Report,
    held: contextlib.ExitStack,
    *,
    database: str,
    timestamp_url: str,
    urls: Mapping[Beside, str],
    operations_port: int | None,
) -> tuple[str, Listeners]:
    """The address of a service that answers, and its listeners."""
    _prepare_certificate(directory, REPERTORY if beside is Beside.NATIONAL_REGISTER else FACADE)
    port = _free_port()
    _write_settings_beside(
        beside,
        directory,
        options,
        database=_database_of(database, beside),
        port=port,
        timestamp_url=timestamp_url,
        urls=urls,
        operations_port=operations_port,
    )
    report.step(f"The {beside.title} starts")
    log = held.enter_context(_open_log(directory / beside.log))
    listeners = serving(directory / beside.settings, service=beside.service, log=log)
    return beside.url(port), held.enter_context(listeners)


def _start_timestamping(directory: Path, held: contextlib.ExitStack) -> str:
    """Where the sandbox's own time-stamping authority answers, on loopback, as long as the sandbox does."""
    pki = TestPki.read(directory / _PKI, environment=ENVIRONMENT)
    server = TimeStampServer(TimeStampAuthority(pki.timestamp_authority), address=LOOPBACK)
    server.start()
    held.callback(server.stop)
    return server.url


def _database_of(database: str, beside: Beside) -> str:
    return make_conninfo(database, dbname=beside.key)


def _make_database(database: str, beside: Beside) -> str:
    """The connection string of a service's own database, which is there now."""
    with psycopg.connect(database, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", (beside.key,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(beside.key)))
    return _database_of(database, beside)


def _refuse_loss(database: str, options: SandboxOptions, registers: Collection[Register], *, is_ours: bool) -> None:
    """Nothing; the database has the schema, and nobody loses anything when it gets this population.

    Raises `UsageError`: the database is not ours and holds another one, or people wrote on that and `anew` is not said.
    """
    migrate(database)
    recipe = loaded_recipe(database)
    if recipe is None or recipe == recipe_of_registers(options.recipe, registers):
        return
    if not is_ours:
        raise UsageError(f"the database holds another population ({recipe}): give an empty database")
    written = written_since_load(database)
    if written and not options.anew:
        raise UsageError(
            f"{options.directory} holds another population ({recipe}) and what was written on it, which would be lost: "
            f"changes of inscriptions ({written.changes}), events of numbers ({written.events}), mutations "
            f"({written.mutations}); choose another --directory, or let them go with --anew (`make sandbox ANEW=1`)"
        )


def _prepare_database(database: str, options: SandboxOptions, report: Report, registers: Collection[Register]) -> None:
    """Nothing; the database, which `_refuse_loss` let pass, has the population of these registers."""
    recipe = loaded_recipe(database)
    wanted = recipe_of_registers(options.recipe, registers)
    if recipe == wanted:
        make_phonetic_keys(database)  # a former version loaded none
        return
    if recipe is not None:
        report.step(f"The population of another recipe ({recipe}) goes, its inscriptions, history and mutations too")
        empty_database(database)
        migrate(database)
    if not registers:
        load_rows(database, (), (), recipe=wanted)
        return
    rows = made_rows(options.made)
    line_sets: Iterable[Rows] = ()
    if options.inscriptions and registers != {Register.NR}:
        line_sets = report.counted("Their inscriptions", rows.line_sets, options.persons * options.inscriptions)
    load_rows(
        database,
        rows_of_registers(report.counted("The population is made", rows.persons, options.persons), registers),
        line_sets,
        recipe=wanted,
    )


# -- what lies in the directory ----------------------------------------------------------------------------------------

_LOG: Final = "facade.log"
_LOCK: Final = "sandbox.lock"
_SETTINGS: Final = "settings.toml"
_BATCHES: Final = "batches"
_ACCESS_RULES: Final = "access-rules.yaml"
_AUDIT_KEYS: Final = "audit-keys.toml"
_PKI: Final = "pki"
_REVOKED: Final = "revoked"
_REFUSED: Final = ("expired", "unknown-urn", "other-environment", _REVOKED)
_FAULTS: Final = "faults"


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
            renew_revocation_lists(folder, now=now)
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
    renew_revocation_lists(making, now=now)
    if folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    making.rename(folder)


def _prepare_audit_keys(directory: Path) -> None:
    """Nothing; the directory has keys for the audit journal, the same as long as it has its database."""
    path = directory / _AUDIT_KEYS
    if not path.exists():
        write_privately(path, new_audit_keys("sandbox"))


def _whole_pki(folder: Path) -> TestPki | None:
    """The PKI in the folder; None when any of its files is missing or damaged."""
    try:
        pki = TestPki.read(folder, environment=ENVIRONMENT)
        for name in (*(application.name for application in APPLICATIONS), *_REFUSED):
            Credential.read(*_credential_paths(folder, name))
        authorities = (folder / "authorities.pem").read_bytes()
        TrustStore(
            authorities_pem=authorities,
            environment=ENVIRONMENT,
            revocation_lists=[(folder / REVOCATION_LISTS).read_bytes()],
        )
    except (UsageError, OSError):
        return None
    return pki if authorities == pki.authorities_pem else None


def _prepare_certificate(directory: Path, application: DemoApplication) -> None:
    """Nothing; the PKI has a certificate for a service of ours as a caller of another."""
    folder = directory / _PKI
    paths = _credential_paths(folder, application.name)
    with contextlib.suppress(UsageError, OSError):
        Credential.read(*paths)
        return
    pki = TestPki.read(folder, environment=ENVIRONMENT)
    pki.issue_application_certificate(
        application.application_urn,
        application.cbe_number,
        application.organization_name,
        not_before=datetime.now(UTC),
    ).write(*paths)


def _issue_refused(pki: TestPki, folder: Path, now: datetime) -> None:
    """Certificates that the façade refuses, one for each reason, to try a client with; they share a key."""
    subject = APPLICATIONS[0]
    private_key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    expired, unknown_urn, other_environment, revoked = _REFUSED
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
    pki.issue_application_certificate(
        subject.application_urn, subject.cbe_number, subject.organization_name, not_before=now, private_key=private_key
    ).write(*_credential_paths(folder, revoked))


def renew_revocation_lists(folder: Path, *, now: datetime) -> None:
    """Nothing; the revocation lists in the folder of a PKI are younger than a day (SEC-44).

    The one certificate on them is `revoked`. Asked for again and again: it looks at the file's age first. A folder that
    was damaged meanwhile is left alone: the next start mends it.
    """
    age = None
    with contextlib.suppress(OSError):
        age = now.timestamp() - (folder / REVOCATION_LISTS).stat().st_mtime
    if age is not None and 0 <= age < LISTS_RENEWED.total_seconds():
        return
    with contextlib.suppress(UsageError, OSError):
        pki = TestPki.read(folder, environment=ENVIRONMENT)
        revoked = Credential.read(*_credential_paths(folder, _REVOKED))
        pki.write_revocation_lists(folder, [revoked.certificate.serial_number], now=now)


def _credential_paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.crt.pem", folder / f"{name}.key.pem"


def _open_log(path: Path) -> BinaryIO:
    """The façade's log, to go on with; begun anew when it has grown beyond `LOG_BYTES_MAX`."""
    grown = path.exists() and path.stat().st_size > LOG_BYTES_MAX
    return path.open("wb" if grown else "ab")


def _write_text(path: Path, text: str, *, database: str) -> None:
    """Writes a file that holds the connection string: for its owner's eyes only when that has a password."""
    if conninfo_to_dict(database).get("password"):
        write_privately(path, text.encode("utf-8"))
    else:
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")


def _write_settings(
    directory: Path,
    options: SandboxOptions,
    *,
    database: str,
    port: int,
    operations_port: int | None,
    batch_port: int | None,
    urls: Mapping[Beside, str],
    timestamp_url: str,
    fault_rules: Sequence[FaultRule],
) -> None:
    (directory / _ACCESS_RULES).write_bytes(write_access_rules(demo_access_rules()))
    lines = [
        "# Written by `cbss-inscription sandbox` at every start.",
        f"environment = {_toml(ENVIRONMENT)}",
        f"public_url = {_toml(f'https://localhost:{port}')}",
        f"database = {_toml(database)}",
        f"database_connections_max = {_connections_of_worker(options)}",
        f"access_rules = {_toml(_ACCESS_RULES)}",
        "synthetic_numbers = true",
        "validate_responses = true",
        "",
        "[tls]",
        f"port = {port}",
        f"certificate = {_toml(f'{_PKI}/server.crt.pem')}",
        f"private_key = {_toml(f'{_PKI}/server.key.pem')}",
        f"workers = {options.workers}",
        "",
        *([] if options.repertory else _batch_lines(batch_port)),
        "[trust]",
        f"application_authorities = {_toml(f'{_PKI}/authorities.pem')}",
        f"revocation_lists = [{_toml(f'{_PKI}/{REVOCATION_LISTS}')}]",
        "",
        *_audit_lines(timestamp_url),
    ]
    if options.plain_port is not None:
        lines += ["", "[plain]", f"port = {options.plain_port}", f"workers = {options.workers}"]
    if operations_port is not None:
        lines += ["", "[operations]", f"port = {operations_port}"]
    if batch_port is not None:
        lines += ["", "[rest]", f"port = {batch_port}"]
    if Beside.REPERTORY in urls:
        lines += ["", "[upstream]", *_asked_lines(FACADE, urls[Beside.REPERTORY])]
    elif Beside.NATIONAL_REGISTER in urls:
        lines += _national_register_lines(urls[Beside.NATIONAL_REGISTER])
    if options.faults:
        lines += _faults_lines(_FAULTS, fault_rules)
    _write_text(directory / _SETTINGS, "\n".join(lines) + "\n", database=database)


def _write_settings_beside(
    beside: Beside,
    directory: Path,
    options: SandboxOptions,
    *,
    database: str,
    port: int,
    timestamp_url: str,
    urls: Mapping[Beside, str],
    operations_port: int | None,
) -> None:
    (directory / beside.access_rules).write_bytes(write_access_rules(beside.rules()))
    lines = [
        f"# Written by `cbss-inscription sandbox` at every start: for `cbss-inscription {beside.service}`.",
        f"service = {_toml(beside.service)}",
        f"environment = {_toml(ENVIRONMENT)}",
        f"public_url = {_toml(f'https://localhost:{port}')}",
        f"database = {_toml(database)}",
        f"database_connections_max = {_connections_of_worker(options)}",
        f"access_rules = {_toml(beside.access_rules)}",
        "synthetic_numbers = true",
        "validate_responses = true",
        "",
        "[tls]",
        f"port = {port}",
        f"certificate = {_toml(f'{_PKI}/server.crt.pem')}",
        f"private_key = {_toml(f'{_PKI}/server.key.pem')}",
        "",
        "[trust]",
        f"application_authorities = {_toml(f'{_PKI}/authorities.pem')}",
        f"revocation_lists = [{_toml(f'{_PKI}/{REVOCATION_LISTS}')}]",
        "",
        *_audit_lines(timestamp_url),
    ]
    if beside is Beside.REPERTORY and Beside.NATIONAL_REGISTER in urls:
        lines += _national_register_lines(urls[Beside.NATIONAL_REGISTER])
    if operations_port is not None:
        lines += ["", "[operations]", f"port = {operations_port}", *_faults_lines(f"{beside.service}-{_FAULTS}", ())]
    _write_text(directory / beside.settings, "\n".join(lines) + "\n", database=database)


def _national_register_lines(url: str) -> list[str]:
    return [
        "",
        "[national_register]",
        *_asked_lines(REPERTORY, url),
        f"legal_context = {_toml(REPERTORY.legal_contexts[0])}",
        f"customer_identification = {{ cbe_number = {_toml(REPERTORY.cbe_number)} }}",
    ]


def _asked_lines(application: DemoApplication, url: str) -> list[str]:
    """Where another service is, and as which application it is asked."""
    certificate, private_key = _credential_paths(Path(_PKI), application.name)
    return [
        f"url = {_toml(url)}",
        f"ca = {_toml(f'{_PKI}/tls-ca.crt.pem')}",
        f"certificate = {_toml(str(certificate))}",
        f"private_key = {_toml(str(private_key))}",
    ]


def _audit_lines(timestamp_url: str) -> list[str]:
    return [
        "[audit]",
        f"keys = {_toml(_AUDIT_KEYS)}",
        "",
        "[audit.timestamping]",
        f"url = {_toml(timestamp_url)}",
        f"ca = {_toml(f'{_PKI}/timestamp-ca.crt.pem')}",
    ]


def _faults_lines(directory: str, rules: Sequence[FaultRule]) -> list[str]:
    lines = ["", "[faults]", f"directory = {_toml(directory)}", "header = true"]
    for rule in rules:
        said = msgspec.to_builtins(rule)
        lines += ["", "[[faults.rules]]", *(f"{key} = {json.dumps(value)}" for key, value in said.items())]
    return lines


def _batch_lines(batch_port: int | None) -> list[str]:
    folder = [] if batch_port is None else [f"directory = {_toml(_BATCHES)}"]
    return ["[batch]", "workers = 1", *folder, ""]


def _connections_of_worker(options: SandboxOptions) -> int:
    """What each worker may have of the connections that the bundled server grants."""
    listeners = 1 + (options.plain_port is not None) + (options.batch_port is not None)
    workers = options.workers * listeners + len(options.beside)
    return max(1, min(CONNECTIONS_MAX, CONNECTIONS_OF_SANDBOX_MAX // workers))


def _profile_path(directory: Path, application: DemoApplication) -> Path:
    return directory / f"{application.name}.toml"


def _write_profile(
    directory: Path, application: DemoApplication, *, url: str, mutations_url: str | None, batch_url: str | None
) -> None:
    customer = application.customer_identification
    certificate, private_key = _credential_paths(Path(_PKI), application.name)
    lines = [
        "# Written by `cbss-inscription sandbox` at every start: for `cbss-inscription consult --profile …`.",
        f"url = {_toml(url)}",
        *([] if mutations_url is None else [f"mutations_url = {_toml(mutations_url)}"]),
        *([] if batch_url is None else [f"batch_url = {_toml(batch_url)}"]),
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
    directory: Path,
    *,
    url: str,
    mutations_url: str,
    plain_url: str | None,
    operations_url: str | None,
    batch_url: str | None,
    database: str,
    scenarios: Mapping[str, Scenario],
    fault_rules: Sequence[FaultRule],
    beside: Mapping[Beside, Mapping[str, str | int | None]],
) -> None:
    def paths(name: str) -> dict[str, str]:
        certificate, private_key = _credential_paths(Path(_PKI), name)
        return {"certificate": str(certificate), "key": str(private_key)}

    manifest = {
        "facade": {"url": url, "mutations_url": mutations_url, "plain_url": plain_url, "wsdl": f"{url}?wsdl"},
        **({} if operations_url is None else {"operations": {"url": operations_url}}),
        **({} if batch_url is None else {"batches": {"url": batch_url, "directory": _BATCHES}}),
        "ca": f"{_PKI}/tls-ca.crt.pem",
        "database": database,
        **{one.key: described for one, described in beside.items()},
        "applications": [
            {
                "name": application.name,
                "urn": application.application_urn,
                "cbe_number": application.cbe_number,
                **paths(application.name),
                "customer_identification": _customer(application.customer_identification),
                "legal_contexts": list(application.legal_contexts),
                "inscription_contexts": list(application.inscription_contexts),
                "visible_contexts": sorted(application.visibility.inscription_contexts)
                if application.visibility
                else [],
                "operations": [operation.value for operation in application.operations],
                "profile": _profile_path(Path(), application).name,
            }
            for application in APPLICATIONS
        ],
        "refused_certificates": {name: paths(name) for name in _REFUSED},
        "scenarios": {name: _scenario(scenario) for name, scenario in scenarios.items()},
        **({"fault_scenarios": {rule.name: {"ssin": rule.ssin} for rule in fault_rules}} if fault_rules else {}),
    }
    _replace_manifest(directory, manifest)


def _replace_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    # Renamed into place: who waits for the file to appear, or reads it while it changes, reads it whole.
    new = directory / f"{MANIFEST}.new"
    _write_text(new, json.dumps(manifest, ensure_ascii=False, indent=2) + "\n", database=manifest["database"])
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
