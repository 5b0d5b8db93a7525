"""One listener of a service as a process: the application server with its workers, until told to stop.

Run as `python -m cbss_inscription.app.listener SETTINGS tls|plain|rest|operations`. It ends when its standard input
does, so that it never outlives the process that started it, however that one ended.
"""

from __future__ import annotations

import math
import os
import resource
import sys
from pathlib import Path
from typing import Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels

from cbss_inscription.app.addresses import Listener, place_of
from cbss_inscription.app.batches import REST_FACTORY
from cbss_inscription.app.draining import ignore_draining, worker_stop_seconds
from cbss_inscription.app.lifeline import end_with_standard_input
from cbss_inscription.app.memory_dumps import forbid_memory_dumps
from cbss_inscription.app.operations import OPERATIONS_FACTORY
from cbss_inscription.app.settings import SETTINGS_VARIABLE, Settings, read_settings
from cbss_inscription.app.wiring import APPLICATION_FACTORIES

_BUFFER_BYTES: Final = 65_536
"""The application server's read buffer for one connection: headers larger than that never reach the application."""

_FACTORIES: Final = {**APPLICATION_FACTORIES, Listener.OPERATIONS: OPERATIONS_FACTORY, Listener.REST: REST_FACTORY}
_WITH_TLS: Final = frozenset({Listener.TLS, Listener.REST})


def serve(settings: Settings, listener: Listener) -> None:
    """Serve `listener`, which the settings must have, until a signal."""
    tls = settings.tls
    address, port = place_of(settings, listener)
    Granian(
        _FACTORIES[listener],
        factory=True,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # what SOAP clients speak; one protocol less to attack
        websockets=False,
        address=address,
        port=port,
        workers=_workers_of(settings, listener),
        workers_kill_timeout=math.ceil(worker_stop_seconds(settings)),
        respawn_failed_workers=True,  # a worker that dies is replaced; one that cannot start ends the listener
        ssl_cert=Path(tls.certificate) if listener in _WITH_TLS else None,
        ssl_key=Path(tls.private_key) if listener in _WITH_TLS else None,
        ssl_protocol_min=SSLProtocols.tls12,  # its default, 1.3, would keep callers out that the contract lets in
        http1_settings=HTTP1Settings(
            header_read_timeout=int(settings.limits.body_seconds_max * 1000), max_buffer_size=_BUFFER_BYTES
        ),
        log_level=LogLevels.warning,
    ).serve()


def _workers_of(settings: Settings, listener: Listener) -> int:
    match listener:
        case Listener.TLS:
            return settings.tls.workers
        case Listener.PLAIN:
            assert settings.plain is not None
            return settings.plain.workers
        case Listener.REST:
            assert settings.rest is not None
            return settings.rest.workers
        case Listener.OPERATIONS:
            return 1  # it looks at the others once, whoever asks how often


def main() -> None:
    """Serve until SIGTERM, SIGINT or the end of standard input."""
    settings_path, listener = sys.argv[1:3]
    ignore_draining()
    forbid_memory_dumps()
    os.environ[SETTINGS_VARIABLE] = str(Path(settings_path).absolute())
    settings = read_settings(Path(settings_path))
    end_with_standard_input()
    # Every connection is a file: take as many as we may, not the shell's default.
    _, files_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))
    serve(settings, Listener(listener))


if __name__ == "__main__":
    main()
