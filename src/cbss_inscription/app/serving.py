"""Starts and stops the listeners of a façade, and says plainly why one does not start."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from cbss_inscription.app.settings import LOOPBACK, Settings, read_file, read_settings
from cbss_inscription.app.wiring import build_application
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.storage.migration import check_schema

START_SECONDS_MAX: Final = 20.0
"""How long a listener may take to its first answer."""
STOP_SECONDS_MAX: Final = 15.0
"""How long a listener may take to finish what it has in hand."""
_LOOK_SECONDS: Final = 0.02


class Listeners:
    """The listener processes of one façade; they end when this process does."""

    def __init__(self, settings_path: Path, *, log: IO[bytes] | None = None) -> None:
        self._path = settings_path
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Nothing; every listener answers now.

        Raises `UsageError`: a file or setting is wrong, a port is taken, or a listener ended instead of answering.
        """
        settings = read_settings(self._path)
        _check_certificate(settings)
        build_application(settings)  # every named file is read here once, so that what is wrong is said here, once
        check_schema(settings.database)
        listeners = ["tls"] + (["plain"] if settings.plain else [])
        for listener in listeners:
            refuse_taken(*_place_of(settings, listener))
        for listener in listeners:
            self._processes.append(
                subprocess.Popen(  # noqa: S603  # our own module, no shell
                    [sys.executable, "-m", "cbss_inscription.app.listener", str(self._path), listener],
                    stdin=subprocess.PIPE,
                    stdout=self._log,
                    stderr=self._log,
                    start_new_session=True,  # Ctrl-C reaches the supervisor, which stops its listeners in order
                )
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        for listener in listeners:
            while not _answers(settings, listener):
                if self.ended() or time.monotonic() > deadline:
                    self.stop()
                    raise UsageError(f"the {listener} listener does not answer; its log says why")
                time.sleep(_LOOK_SECONDS)

    def ended(self) -> bool:
        """Whether a listener ended though nobody asked it to."""
        return any(process.poll() is not None for process in self._processes)

    def stop(self) -> None:
        """Nothing; every listener finished its requests and ended, or was killed after `STOP_SECONDS_MAX`."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS_MAX
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._processes.clear()


@contextlib.contextmanager
def serving(settings_path: Path, *, log: IO[bytes] | None = None) -> Iterator[Listeners]:
    """The listeners of the façade that `settings_path` describes, answering until the end. Raises `UsageError`."""
    listeners = Listeners(settings_path, log=log)
    try:
        listeners.start()
        yield listeners
    finally:
        listeners.stop()


def _place_of(settings: Settings, listener: str) -> tuple[str, int]:
    if listener == "tls":
        return settings.tls.address, settings.tls.port
    assert settings.plain is not None
    return LOOPBACK, settings.plain.port


def _check_certificate(settings: Settings) -> None:
    # The application server reads both files in a process of its own, and tells of a bad one by a traceback.
    certificate, private_key = settings.tls.certificate, settings.tls.private_key
    for path in (certificate, private_key):
        read_file(Path(path))
    try:
        # An empty password: else OpenSSL would ask the terminal for that of an encrypted key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, private_key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UsageError(f"{certificate} and {private_key} are no PEM certificate with its key") from error


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


def _answers(settings: Settings, listener: str) -> bool:
    address, port = _place_of(settings, listener)
    host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(address, address)  # noqa: S104  # a listener's wildcard, not ours
    connection: http.client.HTTPConnection
    if listener == "tls":
        # Only whether our own listener answers is asked here; callers check its certificate.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(host, port, timeout=2, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=2)
    with contextlib.closing(connection):
        try:
            connection.request("GET", f"{Door.FACADE.path}?wsdl")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
