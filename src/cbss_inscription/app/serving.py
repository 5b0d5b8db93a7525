"""Starts and stops the listeners of a service, and says plainly why one does not start."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from cbss_inscription.app.addresses import Listener, answers, listeners_of, place_of
from cbss_inscription.app.draining import DRAIN_SIGNAL, worker_stop_seconds
from cbss_inscription.app.fetching import RevocationFetcher
from cbss_inscription.app.keeping import JournalKeeper
from cbss_inscription.app.metrics import make_metrics_directory
from cbss_inscription.app.reloading import check_revocation
from cbss_inscription.app.settings import METRICS_VARIABLE, Service, Settings, read_settings
from cbss_inscription.app.start_checks import check_population, check_start, warnings_of
from cbss_inscription.app.telemetry import SupervisorLog
from cbss_inscription.app.wiring import build_application
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.storage.migration import check_schema

START_SECONDS_MAX: Final = 20.0
"""How long a listener may take to its first answer."""
STOP_GRACE_SECONDS: Final = 3.0
"""How long a listener may take to end when its workers have."""
PROBE_SECONDS: Final = 10.0
"""How often a listener is asked whether it answers."""
SILENT_SECONDS_MAX: Final = 45.0
"""How long a listener may give no answer before it is started anew: longer than any honest crowd needs."""
BATCH_PAUSE_SECONDS: Final = 5.0
"""How long a batch worker that ended stays away: one that cannot work must not be started without end."""
_LOOK_SECONDS: Final = 0.02


class Listeners:
    """The listener processes of one service; they end when this process does."""

    def __init__(
        self,
        settings_path: Path,
        *,
        service: Service = Service.FACADE,
        log: IO[bytes] | None = None,
        probe_seconds: float = PROBE_SECONDS,
        silent_seconds_max: float = SILENT_SECONDS_MAX,
    ) -> None:
        self._path = settings_path
        self._service = service
        self._log = log
        self._probe_seconds = probe_seconds
        self._silent_seconds_max = silent_seconds_max
        self._settings: Settings | None = None
        self._processes: dict[Listener, subprocess.Popen[bytes]] = {}
        self._batch_workers: list[subprocess.Popen[bytes]] = []
        self._batch_started = 0.0
        self._batch_folder: subprocess.Popen[bytes] | None = None
        self._answered: dict[Listener, float] = {}
        self._probed = 0.0
        self._fetcher: RevocationFetcher | None = None
        self._keeper: JournalKeeper | None = None
        self._metrics: Path | None = None

    def start(self) -> None:
        """Nothing; every listener answers now.

        Raises `UsageError`: a file or setting is wrong, a port is taken, or a listener ended instead of answering.
        """
        settings = read_settings(self._path)
        if settings.service is not self._service:
            raise UsageError(f"{self._path} describes a {settings.service}, not a {self._service}")
        check_start(settings, self._path)
        log = SupervisorLog(self._log)
        fetcher = RevocationFetcher(settings, log=log)
        fetcher.fetch_missing()
        keeper = JournalKeeper(settings, log=log)
        build_application(settings)  # every named file is read here once, so that what is wrong is said here, once
        check_revocation(settings)
        check_schema(settings.database)
        check_population(settings)
        self._settings = settings
        listeners = listeners_of(settings)
        for listener in listeners:
            refuse_taken(*place_of(settings, listener))
        if settings.faults is not None:
            from cbss_inscription.app.faults import FaultFiles

            FaultFiles(settings.faults).begin()
        if settings.operations is not None:
            self._metrics = make_metrics_directory()
        # Before the workers: they would refuse calls for what waited while nothing ran (SEC-73).
        self._keeper = keeper
        keeper.start()
        for listener in listeners:
            self._spawn(listener)
        deadline = time.monotonic() + START_SECONDS_MAX
        for listener in listeners:
            while not answers(settings, listener):
                if self._any_ended(*listeners) or time.monotonic() > deadline:
                    self.stop()
                    raise UsageError(f"the {listener} listener does not answer; its log says why")
                time.sleep(_LOOK_SECONDS)
            self._answered[listener] = time.monotonic()
        self._fetcher = fetcher
        fetcher.start()
        self._restart_batch_workers()

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The process of each listener, which is also the group of it and its workers."""
        return tuple(process.pid for process in self._processes.values())

    @property
    def url(self) -> str:
        """Where callers reach the service, as its description says; nowhere before it was started."""
        settings = self._settings
        return "" if settings is None else f"{settings.public_url.rstrip('/')}{settings.service.door.path}"

    @property
    def drain_seconds(self) -> float:
        """How long it drains before it stops: not at all where no operations listener could say so."""
        settings = self._settings
        return 0.0 if settings is None or settings.operations is None else settings.operations.drain_seconds

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong though the service answers, a sentence each; raises `UsageError`."""
        settings = self._settings
        if settings is None:
            return ()
        warnings = tuple(warnings_of(settings, connect=True))
        if settings.operations is not None and self._metrics is None:
            warnings += ("no temporary directory can be written in (TMPDIR): what workers count is not shown",)
        return warnings

    def ended(self) -> bool:
        """Whether a listener for messages ended though nobody asked it to.

        That of the operations is none: without it the service serves as before, and `restart_silent` brings it back.
        """
        return self._any_ended(Listener.TLS, Listener.PLAIN, Listener.REST)

    def _any_ended(self, *listeners: Listener) -> bool:
        return any(self._processes[one].poll() is not None for one in listeners if one in self._processes)

    def restart_silent(self) -> tuple[Listener, ...]:
        """The listeners that gave no answer for `silent_seconds_max` and were killed and started anew just now.

        To be called again and again; it looks once in `probe_seconds`, and that may take `PROBE_SECONDS_MAX` for each
        listener. The application server does not come back by itself from more connections than it has files for.
        """
        self._restart_batch_workers()
        now = time.monotonic()
        if self._settings is None or now - self._probed < self._probe_seconds:
            return ()
        self._probed = now
        restarted = []
        for listener, process in list(self._processes.items()):
            if answers(self._settings, listener):
                self._answered[listener] = time.monotonic()
            elif time.monotonic() - self._answered[listener] > self._silent_seconds_max:
                _kill_group(process)
                self._spawn(listener)
                self._answered[listener] = time.monotonic() + START_SECONDS_MAX  # it may take that long once more
                restarted.append(listener)
        return tuple(restarted)

    def drain(self) -> None:
        """Nothing; for `drain_seconds` the service answered on, said "not ready", and asked callers to close."""
        if not self.drain_seconds:
            return
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, DRAIN_SIGNAL)
        time.sleep(self.drain_seconds)

    def stop(self) -> None:
        """Nothing; every listener finished its requests and ended, or was killed when it took longer than an answer.

        That of the operations ends last, and the journal is chained and sealed when no call can be recorded any more.
        """
        if self._fetcher is not None:
            self._fetcher.stop()
        folder = () if self._batch_folder is None else (self._batch_folder,)
        doors = [one for one in Listener if one is not Listener.OPERATIONS]
        self._end([*folder, *self._batch_workers, *self._taken(*doors)])
        self._batch_workers.clear()
        self._batch_folder = None
        if self._keeper is not None:
            self._keeper.finish()
            self._keeper.stop()
        self._end(self._taken(Listener.OPERATIONS))
        if self._metrics is not None:
            shutil.rmtree(self._metrics, ignore_errors=True)
            self._metrics = None

    def _taken(self, *listeners: Listener) -> list[subprocess.Popen[bytes]]:
        return [self._processes.pop(one) for one in listeners if one in self._processes]

    def _end(self, processes: list[subprocess.Popen[bytes]]) -> None:
        for process in processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        if self._settings is not None:
            deadline += worker_stop_seconds(self._settings)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            _kill_group(process)

    def _spawn(self, listener: Listener) -> None:
        self._processes[listener] = self._run("cbss_inscription.app.listener", str(self._path), listener)

    def _restart_batch_workers(self) -> None:
        """Nothing; as many batch workers run as the settings say, and one looks after their folder, if there is one.

        One that ended is back after a pause. None of them is needed to answer callers: what is wrong with them stands
        in the log, and the service serves.
        """
        batch = None if self._settings is None else self._settings.batch
        if batch is None or time.monotonic() - self._batch_started < BATCH_PAUSE_SECONDS:
            return
        for process in [one for one in self._batch_workers if one.poll() is not None]:
            _kill_group(process)
            self._batch_workers.remove(process)
        for _ in range(batch.workers - len(self._batch_workers)):
            self._batch_workers.append(self._run("cbss_inscription.app.batch_work", str(self._path)))
            self._batch_started = time.monotonic()
        folder = self._batch_folder
        if batch.directory is not None and (folder is None or folder.poll() is not None):
            self._batch_folder = self._run("cbss_inscription.app.batch_folder", str(self._path))
            self._batch_started = time.monotonic()

    def _run(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  # our own module, no shell
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env=os.environ if self._metrics is None else {**os.environ, METRICS_VARIABLE: str(self._metrics)},
            start_new_session=True,  # Ctrl-C reaches the supervisor, which stops its listeners in order
        )


@contextlib.contextmanager
def serving(
    settings_path: Path, *, service: Service = Service.FACADE, log: IO[bytes] | None = None
) -> Iterator[Listeners]:
    """The listeners of the service that `settings_path` describes, answering until the end. Raises `UsageError`."""
    listeners = Listeners(settings_path, service=service, log=log)
    try:
        listeners.start()
        yield listeners
    finally:
        listeners.stop()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of a listener and its workers: they are one session, hence one process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def refuse_taken(address: str, port: int) -> None:
    """Nothing, when the port is free. Raises `UsageError`."""
    # The application server binds with SO_REUSEPORT, one socket for each worker; two services would share the port
    # without a word. So the port is tried here without that option.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            raise UsageError(f"port {port} on {address} cannot be used: {error.strerror}") from error
