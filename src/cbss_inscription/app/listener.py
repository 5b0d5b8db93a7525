"""One listener of a service as a process: the application server with its workers, until told to stop.

Run as `python -m cbss_inscription.app.listener SETTINGS tls|plain`. It ends when its standard input does, so that it
never outlives the process that started it, however that one ended.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels

from cbss_inscription.app.lifeline import end_with_standard_input
from cbss_inscription.app.memory_dumps import forbid_memory_dumps
from cbss_inscription.app.settings import LOOPBACK, SETTINGS_VARIABLE, Settings, read_settings
from cbss_inscription.app.wiring import APPLICATION_FACTORY
from cbss_inscription.domain.errors import UsageError

WORKER_STOP_SECONDS: Final = 10
"""How long a worker may take to finish what it has in hand."""
_BUFFER_BYTES: Final = 65_536
"""The application server's read buffer for one connection: headers larger than that never reach the application."""


def serve(settings: Settings, listener: str) -> None:
    """Serve `listener`, `tls` or `plain`, until a signal. Raises `UsageError` when it is not in the settings."""
    tls, plain = settings.tls, settings.plain
    if listener == "tls":
        address, port, workers = tls.address, tls.port, tls.workers
    elif plain is not None:
        address, port, workers = LOOPBACK, plain.port, plain.workers
    else:
        raise UsageError("the settings have no plain listener")
    Granian(
        APPLICATION_FACTORY,
        factory=True,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # what SOAP clients speak; one protocol less to attack
        websockets=False,
        address=address,
        port=port,
        workers=workers,
        workers_kill_timeout=WORKER_STOP_SECONDS,
        respawn_failed_workers=True,  # a worker that dies is replaced; one that cannot start ends the listener
        ssl_cert=Path(tls.certificate) if listener == "tls" else None,
        ssl_key=Path(tls.private_key) if listener == "tls" else None,
        ssl_protocol_min=SSLProtocols.tls12,  # its default, 1.3, would keep callers out that the contract lets in
        http1_settings=HTTP1Settings(
            header_read_timeout=int(settings.limits.body_seconds_max * 1000), max_buffer_size=_BUFFER_BYTES
        ),
        log_level=LogLevels.warning,
    ).serve()


def main() -> None:
    """Serve until SIGTERM, SIGINT or the end of standard input."""
    settings_path, listener = sys.argv[1:3]
    forbid_memory_dumps()
    os.environ[SETTINGS_VARIABLE] = str(Path(settings_path).absolute())
    settings = read_settings(Path(settings_path))
    end_with_standard_input()
    # Every connection is a file: take as many as we may, not the shell's default.
    _, files_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))
    serve(settings, listener)


if __name__ == "__main__":
    main()
