"""The services of a chaos run, each a process that can be killed, paused and started again.

A sandbox makes databases, certificates and settings once; then the run starts every part itself, for a sandbox ends
when its database does.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from cbss_inscription.client.profile import Profile
from cbss_inscription.storage.embedded_server import EmbeddedServer
from tests.acceptance.sandbox_processes import processes
from tests.chaos.cutting import Cable
from tests.conftest import start_sandbox, stop_process, wait_for_sandbox

ANSWER_SECONDS_MAX = 6.0
"""How long a façade may take for an answer, in these runs."""
PERSONS = 400
READY_SECONDS_MAX = 150.0


def family_of(process_id: int) -> list[int]:
    """A process and all that descend from it, parents first."""
    living = processes()
    found = [process_id]
    for parent in found:
        found += [number for number, process in living.items() if process.parent == parent and number not in found]
    return [number for number in found if number in living]


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

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Nothing; it was started, unless it runs, and may take its time."""
        if self.is_running:
            return
        command = [sys.executable, "-m", "cbss_inscription.cli.main", self.name, "--settings", str(self.settings)]
        with self.settings.with_suffix(".out").open("ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def kill(self) -> None:
        """Nothing; supervisor, listeners and workers got SIGKILL, and are gone."""
        assert self.process is not None
        signal_all(family_of(self.process.pid), signal.SIGKILL)
        self.process.wait()

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
        """Nothing; it says that it is ready, or the test fails with what it printed."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            self.start()
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.operations_url}/health/ready", timeout=5, trust_env=False).status_code == 200:
                    return
            time.sleep(0.2)
        pytest.fail(self.settings.with_suffix(".out").read_text(encoding="utf-8")[-2_000:])

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
        with psycopg.connect(self._server.connection_string, autocommit=True) as connection:
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
        ports = {name: _port_of(manifest[name.replace("-", "_")]["url"]) for name in names}
        for name in names[:-1]:
            cables[name] = Cable(ports[name])
            held.callback(cables[name].close)
        for name in names:
            path = directory / ("settings.toml" if name == "facade" else f"{name}.toml")
            _rewire(path, {ports[asked]: cable.port for asked, cable in cables.items() if asked != name})
            url = (
                manifest["operations"]["url"]
                if name == "facade"
                else manifest[name.replace("-", "_")]["operations_url"]
            )
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


def _port_of(url: str) -> int:
    found = re.search(r":(\d+)/", url)
    assert found is not None
    return int(found[1])


def _rewire(path: Path, ports: dict[int, int]) -> None:
    """Nothing; the settings ask others through the cables, answer in time, and stamp nothing: nobody would answer."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"\[audit\.timestamping\]\n(.+\n)+", "", text)
    for port, instead in ports.items():
        text = re.sub(rf'(?m)^(url = "https://localhost):{port}/', rf"\1:{instead}/", text)
    text = text.replace("[operations]\n", "[operations]\ndrain_seconds = 0\n")
    path.write_text(f"{text}\n[limits]\nanswer_seconds_max = {ANSWER_SECONDS_MAX}\n", encoding="utf-8")
