"""Sandboxes as processes: started, seen in /proc, gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import RunningSandbox, start_sandbox, wait_for_sandbox

GONE_SECONDS_MAX = 60
FEW = ("--port", "0", "--persons", "100")


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it; its start time tells it from a later one with the same number."""

    number: int
    parent: int
    started: str
    command: str


def processes() -> dict[int, Process]:
    """Every living process of this machine."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it ended meanwhile
            state, parent, *rest = stat.rpartition(")")[2].split()
            if state != "Z":
                number = int(folder.name)
                found[number] = Process(number, int(parent), rest[17], command)
    return found


def family_of(directory: Path) -> set[Process]:
    """The processes whose command line names the directory, and all that descend from them."""
    living = processes()
    family = {number for number, process in living.items() if str(directory) in process.command}
    while True:
        more = {number for number, process in living.items() if process.parent in family} - family
        if not more:
            return {living[number] for number in family}
        family |= more


def await_gone(family: set[Process], directory: Path) -> None:
    """Nothing, once every one of the processes has ended; fails after GONE_SECONDS_MAX."""
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while True:
        left = (family & set(processes().values())) | family_of(directory)
        # A parent that died leaves its children another parent, so numbers and start times are compared too.
        living = {(process.number, process.started) for process in processes().values()}
        left |= {process for process in family if (process.number, process.started) in living}
        if not left:
            return
        if time.monotonic() > deadline:
            pytest.fail(f"still there: {sorted(process.command for process in left)}")
        time.sleep(0.05)


def postgres_of(family: set[Process]) -> set[Process]:
    """Those of a family that are PostgreSQL."""
    return {process for process in family if "postgres" in process.command.split(" ")[0]}


def listeners_of(family: set[Process]) -> set[Process]:
    """Those of a family that are a listener's supervisor or worker.

    Where setproctitle is installed, as with the tools of the tests, the application server names its processes itself.
    """
    return {process for process in family if "app.listener" in process.command or process.command.startswith("granian")}


def started(directory: Path, *arguments: str) -> RunningSandbox:
    """A sandbox in this directory, answering."""
    (directory / "sandbox.json").unlink(missing_ok=True)  # an earlier one's: what is awaited is the new one
    return wait_for_sandbox(start_sandbox(directory, *(arguments or FEW)), directory)
