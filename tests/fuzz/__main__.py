"""`make fuzz SECONDS=60 SEED=1 TARGETS="xml door"`: a campaign; findings go to the corpus, and make the exit status 1.

The campaign runs in a child process that writes each input to shared memory before it is tried: what ends the process
itself, a crash or an endless loop of native code, is a finding as well.
"""

from __future__ import annotations

import argparse
import mmap
import os
import signal
import sys
import time
from dataclasses import replace

from tests.fuzz.campaign import Finding, keep, run
from tests.fuzz.targets import Room, Target

_SHARED_BYTES = 2_097_152
_STUCK_SECONDS = 30
"""How long one input may keep the child, in seconds of the clock."""


def main() -> int:
    """The exit status: 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Fuzzes what reads foreign bytes.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    with Room() as room:
        return _fuzz(room.targets, arguments, parser)


def _fuzz(every: dict[str, Target], arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if unknown := set(arguments.targets) - every.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    chosen = [every[name] for name in arguments.targets or every]
    print(f"seed {arguments.seed}, {arguments.seconds:g} s: {', '.join(target.name for target in chosen)}", flush=True)
    shared = mmap.mmap(-1, _SHARED_BYTES)
    child = os.fork()
    if child == 0:
        os._exit(_run(chosen, shared, arguments.seed, arguments.seconds))
    return _watch(child, shared, arguments.seconds)


def _run(targets: list[Target], shared: mmap.mmap, seed: int, seconds: float) -> int:
    campaign = run([_watched(target, shared) for target in targets], seed=seed, seconds=seconds)
    for name, executions in campaign.executions.items():
        print(f"{name:>16} {executions:>9} executions {len(campaign.outcomes[name]):>6} outcomes")
    print(f"{'all':>16} {sum(campaign.executions.values()):>9} executions {len(campaign.findings):>6} findings")
    for finding in campaign.findings.values():
        print(f"\n{finding.kind}: {keep(finding)}\n{finding.words}")
    sys.stdout.flush()
    return 1 if campaign.findings else 0


def _watched(target: Target, shared: mmap.mmap) -> Target:
    """The target, that tells the parent what it is about to try."""

    def told(data: bytes) -> str:
        head = f"{target.name}\n{time.monotonic():.3f}\n{len(data)}\n".encode()
        shared[: len(head) + len(data)] = head + data
        return target.run(data)

    return replace(target, run=told)


def _watch(child: int, shared: mmap.mmap, seconds: float) -> int:
    """The child's exit status; what it was at when it crashed, or is stuck in, becomes a finding."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if os.WIFEXITED(status):
                return os.WEXITSTATUS(status)
            break
        time.sleep(0.2)
        began = float(shared[:64].split(b"\n")[1] or 0) if b"\n" in shared[:64] else time.monotonic()
        if time.monotonic() > began + _STUCK_SECONDS and time.monotonic() < deadline + _STUCK_SECONDS:
            os.kill(child, signal.SIGKILL)
    name, _, length, rest = shared[:].split(b"\n", 3)
    finding = Finding(target=name.decode(), data=rest[: int(length)], kind="ended the process", words="")
    print(f"{finding.target} ended the process: {keep(finding)}")
    return 1


sys.exit(main())
