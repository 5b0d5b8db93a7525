"""A child process that never outlives the process that started it, however that one ended."""

from __future__ import annotations

import os
import signal
import threading


def end_with_standard_input() -> None:
    """Nothing; this process is told to stop (SIGTERM) once its standard input ends.

    The supervisor holds the other end of that pipe and never writes to it; when it ends, kill -9 included, the kernel
    closes it. Forked workers share the pipe, so each of them needs its own call.
    """
    threading.Thread(target=_wait_and_stop, name="lifeline", daemon=True).start()


def _wait_and_stop() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
