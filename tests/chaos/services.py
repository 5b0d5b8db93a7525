"""The services of a chaos run, each a process that can be killed, paused and started again.

A sandbox makes databases, certificates and settings once; then the run starts every part itself, for a sandbox ends
when its database does.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cbss_inscription.client.profile import Profile
from cbss_inscription.storage.embedded_server import EmbeddedServer
from tests.acceptance.sandbox_processes import processes
from tests.chaos.cutting import Cable
from tests.conftest import start_sandbox, stop_process, wait_for_sandbox

ANSWER_SECONDS_MAX = 6.0
"""How long a façade may take for an answer, in these runs."""
PERSONS = 400
READY_SECONDS_MAX = 150.0
KILLED_SECONDS_MAX = 10.0
ASKED_SECONDS_MAX = 30
"""How long the database may take for a connection, or an answer, when nothing disturbs it."""


def family_of(process_id: int) -> list[int]:
    """A process and all that descend from it, parents first."""
    living = processes()
    found = [process_id]
    for parent in found:
        found += [number for number, process in living.items() if process.parent == parent and number not in found]
    return [number for number in found if number in living]


def asked(conninfo: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection past all cables, which waits for nothing without end."""
    patience = f"-c statement_timeout={ASKED_SECONDS_MAX}s"
    return psycopg.connect(conninfo, autocommit=True, connect_timeout=ASKED_SECONDS_MAX, options=patience)


def signal_all(process_ids: list[int], number: signal.Signals) -> None:
    """Nothing; each of the processes that is still there got the signal."""
    for process_id in process_ids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, number)


@dataclass(kw_only=True)
class Service:
    """A façade, repertory or National Register, as an operator starts it."""

    name: str
    settings: Path
    operations_url: str
    process: subprocess.Popen[bytes] | None = None
    paused: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Nothing; it was started, and may take its time."""
        assert self.process is None
        command = [sys.executable, "-m", "cbss_inscription.cli.main", self.name, "--settings", str(self.settings)]
        with self.settings.with_suffix(".out").open("ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def kill(self) -> None:
        """Nothing; supervisor, listeners and workers got SIGKILL, and are gone."""
        assert self.process is not None
        signal_all(family_of(self.process.pid), signal.SIGKILL)
        self.process.wait(KILLED_SECONDS_MAX)
        self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.paused = family_of(self.process.pid)
        signal_all(self.paused, signal.SIGSTOP)

    def resume(self) -> None:
        signal_all(self.paused, signal.SIGCONT)
        self.paused = []

    def rule(self, name: str, **said: Any) -> None:
        """Nothing; so much goes wrong there from now on, if it is there to be told."""
        with contextlib.suppress(httpx.HTTPError):
            httpx.put(f"{self.operations_url}/faults/{name}", json=said, timeout=5, trust_env=False)

    def clear_rules(self) -> None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.delete(f"{self.operations_url}/faults", timeout=5, trust_env=False)

    def await_ready(self) -> None:
        """Nothing; it says that it is ready. The test fails with what it printed when it has ended instead.

        No disturbance but `kill` ends a service, and none lasts while it starts.
        """
        assert self.process is not None
        deadline = time.monotonic() + READY_SECONDS_MAX
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.operations_url}/health/ready", timeout=5, trust_env=False).status_code == 200:
                    return
            time.sleep(0.2)
        pytest.fail(f"{self.name}: {self.settings.with_suffix('.out').read_text(encoding='utf-8')[-2_000:]}")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            stop_process(self.process)  # a second signal: without draining


class Database:
    """The bundled PostgreSQL, under its own supervisor in this process."""

    name = "database"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server = EmbeddedServer(directory)
        self._server.start()
        self.paused: list[int] = []

    def kill(self) -> None:
        """Nothing; the postmaster got SIGKILL, and its backends with it."""
        assert self._server.process_id is not None
        signal_all(family_of(self._server.process_id), signal.SIGKILL)

    def start(self) -> None:
        """Nothing; it answers again, from what is on its disk."""
        deadline = time.monotonic() + 10
        while not self._server.crashed and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._server.crashed:
            self._server.stop()
            self._server = EmbeddedServer(self._directory)
            self._server.start()

    def pause(self) -> None:
        assert self._server.process_id is not None
        self.paused = family_of(self._server.process_id)
        signal_all(self.paused, signal.SIGSTOP)

    def resume(self) -> None:
        signal_all(self.paused, signal.SIGCONT)
        self.paused = []

    def cut(self) -> None:
        """Nothing; every connection but our own was broken by the server."""
        with asked(self._server.connection_string) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    def stop(self) -> None:
        self._server.stop()


@dataclass(kw_only=True)
class World:
    """Everything that a run has: who answers, what lies between, and where it is written down."""

    manifest: dict[str, Any]
    profile: Profile
    database: Database
    services: dict[str, Service]
    cables: dict[str, Cable]
    lines_database: str
    """Where the lines are: with the façade, or with the repertory."""

    @property
    def databases(self) -> dict[str, str]:
        """The database of each service that keeps a journal of calls about lines."""
        found = {"facade": str(self.manifest["database"])}
        if "repertory" in self.services:
            found["repertory"] = self.lines_database
        return found

    def part(self, name: str) -> Service | Database:
        """A service, or the database of all."""
        return self.database if name == self.database.name else self.services[name]

    def mend(self) -> None:
        """Nothing; everything runs, nothing is held up, and every service is ready."""
        for cable in self.cables.values():
            cable.mend()
        self.database.resume()
        self.database.start()
        for service in self.services.values():
            service.resume()
        for service in self.services.values():
            service.await_ready()
            service.clear_rules()


@contextlib.contextmanager
def running_world(directory: Path, *, repertory: bool) -> Iterator[World]:
    """Façade, National Register and database, and the repertory as a service of its own if asked for; all ready."""
    arguments = ["--port", "0", "--persons", str(PERSONS), "--national-register", "--faults"]
    sandbox = start_sandbox(directory, *arguments, *(["--repertory"] if repertory else []))
    manifest = wait_for_sandbox(sandbox, directory).manifest
    stop_process(sandbox)
    with contextlib.ExitStack() as held:
        cables: dict[str, Cable] = {}
        services: dict[str, Service] = {}
        names = ["national-register", *(["repertory"] if repertory else []), "facade"]
        for name in names:
            cables[database_of(name)] = Cable(_socket_of(str(_described(manifest, name)["database"])))
            held.callback(cables[database_of(name)].close)
        for name in names[:-1]:
            cables[name] = Cable(_port_of(manifest[name.replace("-", "_")]["url"]))
            held.callback(cables[name].close)
        for before, name in itertools.pairwise(["", *names]):
            path = directory / ("settings.toml" if name == "facade" else f"{name}.toml")
            # Each asks the one before it.
            _rewire(path, database=cables[database_of(name)].port, asked=cables[before].port if before else None)
            url = _described(manifest, name)["operations_url"]
            services[name] = Service(name=name, settings=path, operations_url=url)
        database = Database(directory)
        held.callback(database.stop)
        for service in services.values():
            held.callback(service.stop)
            service.start()
        for service in services.values():
            held.callback(service.resume)
            service.await_ready()
        held.callback(database.resume)
        yield World(
            manifest=manifest,
            profile=Profile.read(directory / "pcsa-web.toml"),
            database=database,
            services=services,
            cables=cables,
            lines_database=str(manifest["repertory"]["database"] if repertory else manifest["database"]),
        )


def database_of(service: str) -> str:
    """What the cable is called that lies between a service and its database."""
    return f"database of {service}"


def _described(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    if name == "facade":
        return {"database": manifest["database"], "operations_url": manifest["operations"]["url"]}
    return dict(manifest[name.replace("-", "_")])


def _socket_of(conninfo: str) -> Path:
    said = conninfo_to_dict(conninfo)
    return Path(str(said["host"]), f".s.PGSQL.{said['port']}")


def _port_of(url: str) -> int:
    found = re.search(r":(\d+)/", url)
    assert found is not None
    return int(found[1])


def _rewire(path: Path, *, database: int, asked: int | None) -> None:
    """Nothing; the settings ask others through these ports, answer in time, and stamp nothing: nobody would answer."""
    text = path.read_text(encoding="utf-8")
    text = _substituted(text, r"\[audit\.timestamping\]\n(?:.+\n)+", lambda _: "")
    text = _substituted(text, r"(?m)(?<=^\[operations\]\n)", lambda _: "drain_seconds = 0\n")
    text = _substituted(text, r'(?m)(?<=^database = ")[^"]+', lambda found: _over_tcp(found[0], database))
    if asked is not None:
        text = _substituted(text, r'(?m)(?<=^url = "https://localhost:)\d+(?=/)', lambda _: str(asked))
    path.write_text(f"{text}\n[limits]\nanswer_seconds_max = {ANSWER_SECONDS_MAX}\n", encoding="utf-8")


def _over_tcp(conninfo: str, port: int) -> str:
    # What lies behind is a Unix socket, to which libpq has no TLS.
    return make_conninfo(conninfo, host="127.0.0.1", port=port, sslmode="disable", gssencmode="disable")


def _substituted(text: str, pattern: str, instead: Callable[[re.Match[str]], str]) -> str:
    changed, count = re.subn(pattern, instead, text)
    assert count == 1, f"{pattern} is there {count} times"
    return changed
