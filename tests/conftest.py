"""What every room of the tests may use: a real PostgreSQL, fresh databases in it, and a whole sandbox over TLS."""

from __future__ import annotations

import gc
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from cbss_inscription.client.profile import Profile
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.migration import migrate

# `make test` tries a property with some examples, other ones in each run; `make test-long` with many.
# Nothing is timed: on a machine that is busy otherwise, neither an example nor making one is too slow.
settings.register_profile("quick", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("quick"), max_examples=500)
settings.load_profile("quick")

# Every program that a test starts imports all of ours: compiled once, not each time, whatever the machine says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Tests that were started in the background ignore Ctrl-C, and so would every program that one of them stops by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

START_SECONDS_MAX = 120
"""Far longer than anything takes, on a machine with ten other things to do, too."""
STOP_SECONDS_MAX = 60
QUIET_CAMPAIGNS_MAX = 20
"""Recorded lines up to which nothing is told: the quick part of campaigns, in every test run."""
PG_BIN = Path(os.environ["CBSS_TEST_PG_BIN"]) if "CBSS_TEST_PG_BIN" in os.environ else None
"""Programs of another PostgreSQL to run the database tests on: `make test-postgresql PG_BIN=…`."""
MEMORY_DISK = Path("/dev/shm")
MEMORY_BYTES_MIN = 4 * 1024**3
"""The databases of two workers, and room to spare."""
LONGEST_FIRST = (
    "acceptance/test_sandbox_life.py",
    "repertory/test_repertory_against_oracle.py",
    "acceptance/test_canaries.py",
    "acceptance/test_draining.py",
    "storage/test_embedded_server.py",
    "security/test_trust_second_opinion.py",
    "vectors/test_vectors.py",
    "acceptance/test_cli_errors.py",
    "acceptance/test_fault_injection.py",
    "acceptance/test_listeners.py",
    "batch/test_batch_equivalence.py",
    "repertory/test_life_concurrency.py",
)
"""Files whose tests take ten seconds or more: begun last, one keeps a core busy while the other has nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nothing; the longest files come first, all others as they were found. Raises UsageError for one that is gone."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST_FIRST)}
    gone = [str(path) for path in places if not path.exists()]
    if gone:
        raise pytest.UsageError(f"LONGEST_FIRST in tests/conftest.py names what is not there: {gone}")
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Nothing; thousands of collected tests stay to the end, and need not be looked through for garbage each time."""
    gc.collect()
    gc.freeze()


def place_for_databases() -> Path | None:
    """A disk in memory, where syncing takes no time, if there is one large enough that runs programs; else None.

    Databases are as durable there as killed processes need: only a machine that goes down loses them.
    """
    try:
        found = os.statvfs(MEMORY_DISK)
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
    fits = min(found.f_bavail * found.f_frsize, free) >= MEMORY_BYTES_MIN
    return MEMORY_DISK if fits and not found.f_flag & os.ST_NOEXEC and os.access(MEMORY_DISK, os.W_OK) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What campaigns recorded with `record_property`: how much was tried, and what became of it."""
    recorded = [
        f"{report.nodeid.rpartition('::')[2]} {name}: {value}"
        for report in terminalreporter.stats.get("passed", ())
        for name, value in report.user_properties
    ]
    if recorded and len(recorded) > QUIET_CAMPAIGNS_MAX:
        terminalreporter.section("campaigns")
        for line in recorded:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def reachable_directory() -> Iterator[Path]:
    """A directory of this run that an unprivileged account can enter: pytest's own, for root, it cannot."""
    directory = Path(tempfile.mkdtemp(prefix="cbss-tests-", dir=place_for_databases()))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


class SmallDisk:
    """A disk of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def filled(self, *, left_bytes: int) -> Iterator[None]:
        """Nothing; within, nothing has more room on it than so many bytes."""
        ballast = self.path / "ballast"
        room = os.statvfs(self.path)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - left_bytes)
        try:
            yield
        finally:
            ballast.unlink()


SMALL_DISK_MIB = 300


@pytest.fixture
def small_disk(reachable_directory: Path) -> Iterator[SmallDisk]:
    """A small disk for a database; skipped where this account cannot have one."""
    place = Path(tempfile.mkdtemp(prefix="disk-", dir=reachable_directory))
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MIB}m,mode=0711", "none", place],
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("no small disk can be mounted here")
    yield SmallDisk(place)
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture(scope="session")
def postgresql(reachable_directory: Path) -> Iterator[EmbeddedServer]:
    """A running PostgreSQL of the tests' own; its `template` database has the schema."""
    with EmbeddedServer(reachable_directory / "database", binaries=PG_BIN) as server:
        with psycopg.connect(server.connection_string, autocommit=True) as connection:
            connection.execute("CREATE DATABASE template")
        migrate(psycopg.conninfo.make_conninfo(server.connection_string, dbname="template"))
        yield server


class FoundDataAnomalies:
    """A `registers.port.DataAnomalyLog` that keeps the reasons, in their order."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def found_data_anomaly(self, *, ticket_cbss: UUID, reason: str) -> None:
        """See `DataAnomalyLog.found_data_anomaly`."""
        del ticket_cbss
        self.reasons.append(reason)


_numbers = itertools.count(1)


@pytest.fixture
def fresh_database(postgresql: EmbeddedServer) -> Iterator[str]:
    """The connection string of a database with the schema and without a row, for one test."""
    name = f"fresh_{next(_numbers)}"
    with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template STRATEGY file_copy")
        yield psycopg.conninfo.make_conninfo(postgresql.connection_string, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True, kw_only=True)
class RunningSandbox:
    """A sandbox in a process of its own, as a user starts it."""

    directory: Path
    manifest: dict[str, Any]
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The façade's address, TLS."""
        return str(self.manifest["facade"]["url"])

    @property
    def plain_url(self) -> str:
        """The façade's address without TLS."""
        return str(self.manifest["facade"]["plain_url"])

    @property
    def operations_url(self) -> str:
        """Where its liveness, readiness and metrics are."""
        return str(self.manifest["operations"]["url"])

    def path(self, relative: str) -> Path:
        """A file that the manifest names."""
        return self.directory / relative

    def application(self, name: str) -> dict[str, Any]:
        """A demo application, as the manifest describes it."""
        return next(item for item in self.manifest["applications"] if item["name"] == name)

    def profile_path(self, name: str = "pcsa-web") -> Path:
        """The profile file of a demo application."""
        return self.path(self.application(name)["profile"])

    def profile(self, name: str = "pcsa-web") -> Profile:
        """The profile of a demo application."""
        return Profile.read(self.profile_path(name))

    def ssin(self, scenario: str) -> str:
        """The number of a scenario."""
        return str(self.manifest["scenarios"][scenario]["ssin"])

    def log_lines(self) -> list[dict[str, Any]]:
        """The façade's JSON log so far."""
        return log_lines_of(self.directory / "facade.log")


def log_lines_of(log: Path) -> list[dict[str, Any]]:
    """The JSON lines of a log file so far."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]


def free_port() -> int:
    """A TCP port of loopback that nobody uses at the moment."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def start_sandbox(directory: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """`cbss-inscription sandbox` as a process; its words go to `sandbox.out` beside the directory."""
    command = [sys.executable, "-m", "cbss_inscription.cli.main", "sandbox", "--directory", str(directory)]
    with directory.with_suffix(".out").open("wb") as out:
        return subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)


def wait_for_sandbox(process: subprocess.Popen[bytes], directory: Path) -> RunningSandbox:
    """The sandbox once it answers; fails with what it printed when it ends instead."""
    manifest = directory / "sandbox.json"
    deadline = time.monotonic() + START_SECONDS_MAX
    while not manifest.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(directory.with_suffix(".out").read_text(encoding="utf-8"))
        time.sleep(0.05)
    return RunningSandbox(directory=directory, manifest=json.loads(manifest.read_bytes()), process=process)


def stop_process(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """The exit status of a process after a signal; killed when it does not end."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(timeout=STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@pytest.fixture(scope="session")
def sandbox(reachable_directory: Path) -> Iterator[RunningSandbox]:
    """A whole sandbox that answers over TLS, without, and operations: database, PKI, façade with two workers."""
    directory = reachable_directory / "sandbox"
    ports = ("--port", "0", "--plain-port", str(free_port()), "--operations-port", "0")
    arguments = (*ports, "--persons", "400", "--workers", "2")
    process = start_sandbox(directory, *arguments)
    try:
        yield wait_for_sandbox(process, directory)
    finally:
        stop_process(process)
