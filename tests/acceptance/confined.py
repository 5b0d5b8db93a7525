"""Runs a command under the rules of deploy/cbss-inscription.service that need no systemd: `confined.py UNIT COMMAND…`.

System calls by libseccomp, with the sets that `systemd-analyze` prints; memory by PR_SET_MDWE. Both outlive exec. To be
started without privileges and with NoNewPrivs, as the unit does. Its standard error says what could not be applied.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
SCMP_ACT_ALLOW = 0x7FFF0000
SCMP_ACT_ERRNO_EPERM = 0x00050000 | errno.EPERM


def settings_of(unit: Path, key: str) -> list[str]:
    """The values of a setting of the unit, in order."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]


def calls_of(set_name: str) -> set[str]:
    """The names of a set of system calls, the sets in it included."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", set_name], capture_output=True, text=True, check=True)
    words = [line.strip() for line in done.stdout.splitlines()[1:]]
    calls = {word for word in words if word and word[0] not in "#@"}
    return calls.union(*(calls_of(word) for word in words if word.startswith("@")))


def allowed_calls(unit: Path) -> set[str]:
    """What the unit's SystemCallFilter lines leave."""
    allowed: set[str] = set()
    for value in settings_of(unit, "SystemCallFilter"):
        if value.startswith("~"):
            allowed -= calls_of(value[1:])
        else:
            allowed |= calls_of(value)
    return allowed


def confine_calls(allowed: set[str]) -> None:
    """Nothing; every other system call of this process is EPERM from now on."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(SCMP_ACT_ERRNO_EPERM)))
    for name in sorted(allowed):
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # one of another architecture otherwise
            assert seccomp.seccomp_rule_add(context, ctypes.c_uint32(SCMP_ACT_ALLOW), number, 0) == 0, name
    assert seccomp.seccomp_load(context) == 0


def main() -> None:
    """Confine this process, and become the command."""
    unit, *command = sys.argv[1:]
    assert settings_of(Path(unit), "MemoryDenyWriteExecute") == ["true"]
    if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        sys.stderr.write("not applied: MemoryDenyWriteExecute, this kernel has no PR_SET_MDWE\n")
    if shutil.which("systemd-analyze") is None:
        sys.stderr.write("not applied: SystemCallFilter, there is no systemd-analyze that knows the sets\n")
    else:
        confine_calls(allowed_calls(Path(unit)))
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
