"""A process whose memory stays its own: it holds private keys and what messages say (SEC-78)."""

from __future__ import annotations

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def forbid_memory_dumps() -> None:
    """Nothing; this process leaves no core file, and on Linux no other of its account reads its memory.

    The limit goes on to child processes. That the process is not dumpable does not survive `exec`, so each says it for
    itself; its files in /proc belong to root from then on, its first environment among them.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
