# ruff: noqa: INP001 - a program, in no package
"""What a façade costs that asks a repertory, over one that keeps the lines itself: two sandboxes, in turns, in one run.

    .venv/bin/python bench/facade.py [--rounds 5] [--messages 400]

Both are whole services over TLS, each with the bundled PostgreSQL; the client's own cost is not counted. What counts is
the CPU of processes as the kernel accounts it, per 1 000 requests:

- embedded: the façade's listener and workers, and the database's backends that serve it;
- façade: the same of a façade with an upstream, so without the repertory: what the party pays that puts it in front;
- chain: the façade and the repertory and the backends of both. A second message is verified there and a second reply
  written, and two journals are kept: that is what two parties pay, and no façade can make it cheaper.

The program ends with 1 when the façade's own cost is above `FACTOR_MAX` of the embedded one's, for any request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cbss_inscription.client import AsyncInscriptionClient, Period, Profile

FACTOR_MAX = 1.6
"""Of the embedded service's CPU."""
AT_ONCE = 8
START_SECONDS_MAX = 120.0
TICKS = os.sysconf("SC_CLK_TCK")
CONTEXT = "PCSA:LIVING_WAGE"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A sandbox, and which of its processes do what."""

    directory: Path
    process: subprocess.Popen[bytes]
    manifest: dict[str, Any]

    def cpu_seconds(self) -> dict[str, float]:
        """CPU until now, by part: each service, and the backends of its database."""
        found: dict[str, float] = {}
        for pid, part in _parts(self.process.pid, self.ports).items():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            found[part] = found.get(part, 0.0) + (int(fields[11]) + int(fields[12])) / TICKS
        return found

    @property
    def ports(self) -> dict[str, str]:
        """Which service listens where."""
        services = {name: self.manifest[name]["url"] for name in ("facade", "repertory") if name in self.manifest}
        return {str(urlsplit(url).port): name for name, url in services.items()}

    def client(self) -> AsyncInscriptionClient:
        """A client of the first demo application."""
        return AsyncInscriptionClient(Profile.read(self.directory / "pcsa-web.toml"))

    @property
    def ssin(self) -> str:
        """The number that all ask about."""
        return str(self.manifest["scenarios"]["nr_active"]["ssin"])


def _parts(root: int, ports: dict[str, str]) -> dict[int, str]:
    """The processes below `root` that are part of a service, with its name; a worker is of its listener's."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: dict[int, str] = {}
    pending: list[tuple[int, str | None]] = [(root, None)]
    while pending:
        pid, part = pending.pop()
        part = part or _part_of(pid, ports)
        if part is not None:
            found[pid] = part
        pending += [(child, part) for child in children.get(pid, [])]
    return found


def _part_of(pid: int, ports: dict[str, str]) -> str | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().split()
    except OSError:
        return None
    if words[:2] == ["granian", "asgi"]:
        return ports.get(words[2].rpartition(":")[2])
    if words[:1] == ["postgres:"] and "[local]" in words:
        # The title of a backend: postgres: cluster: account database [local] …
        return "repertory" if words[words.index("[local]") - 1] == "repertory" else "facade"
    return None


@contextmanager
def sandbox(directory: Path, *options: str) -> Iterator[Running]:
    """A sandbox in processes of its own, as a user starts it."""
    words = ["sandbox", "--directory", str(directory), "--port", "0", "--persons", "300", *options]
    process = subprocess.Popen(  # noqa: S603  # our own module, no shell
        [sys.executable, "-m", "cbss_inscription.cli.main", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        manifest = directory / "sandbox.json"
        deadline = time.monotonic() + START_SECONDS_MAX
        while not manifest.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("a sandbox did not start")
            time.sleep(0.1)
        yield Running(directory=directory, process=process, manifest=json.loads(manifest.read_bytes()))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


Ask = Callable[[AsyncInscriptionClient, str, int], Awaitable[object]]


async def consult(client: AsyncInscriptionClient, ssin: str, _number: int) -> None:
    """A consultation that finds a line."""
    answer = await client.consult_inscriptions(ssin)
    if answer.result.status.value != "DATA_FOUND":
        raise RuntimeError("a consultation found nothing")


async def insert(client: AsyncInscriptionClient, ssin: str, number: int) -> None:
    """A line is written that was not there, into one line that grows."""
    begin = date(2030, 1, 1) - timedelta(days=number)
    answer = await client.insert_inscription(ssin, inscription_context=CONTEXT, period=Period(begin_date=begin))
    if answer.result.status.value != "OK":
        raise RuntimeError("a declaration was refused")


async def cost(running: Running, ask: Ask, numbers: Sequence[int]) -> dict[str, float]:
    """CPU seconds of each part for 1 000 such requests."""
    async with running.client() as client:
        await ask(client, running.ssin, numbers[0])  # the connection, and what is made once
        before = running.cpu_seconds()
        pending = iter(numbers[1:])

        async def work() -> None:
            for number in pending:
                await ask(client, running.ssin, number)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        after = running.cpu_seconds()
    return {part: (after[part] - before.get(part, 0.0)) / (len(numbers) - 1) * 1_000 for part in after}


async def measure(embedded: Running, remote: Running, *, rounds: int, count: int) -> bool:
    """Whether the façade's own cost is within its bound; prints the figures."""
    is_within = True
    used = 0
    for name, ask in (("insert", insert), ("consult", consult)):
        found: dict[str, list[float]] = {"embedded": [], "facade": [], "chain": []}
        for _ in range(rounds):
            numbers = range(used, used + count)
            used += count
            alone = await cost(embedded, ask, numbers)
            both = await cost(remote, ask, numbers)
            found["embedded"].append(alone["facade"])
            found["facade"].append(both["facade"])
            found["chain"].append(both["facade"] + both["repertory"])
        medians = {part: statistics.median(values) for part, values in found.items()}
        factors = {
            part: statistics.median(a / b for a, b in zip(found[part], found["embedded"], strict=True))
            for part in ("facade", "chain")
        }
        sys.stdout.write(
            f"{name:8} embedded {medians['embedded']:5.2f} s, façade {medians['facade']:5.2f} s "
            f"({factors['facade']:.2f} x), chain {medians['chain']:5.2f} s ({factors['chain']:.2f} x) "
            f"of CPU for 1 000 requests\n"
        )
        is_within = is_within and factors["facade"] <= FACTOR_MAX
    return is_within


def main() -> None:
    """Print the figures; the exit status says whether the façade's own cost is within its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=400)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cbss-bench-"))
    folder.chmod(0o711)
    try:
        with sandbox(folder / "embedded") as embedded, sandbox(folder / "remote", "--repertory") as remote:
            is_within = asyncio.run(measure(embedded, remote, rounds=given.rounds, count=given.messages))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if is_within else 1)


if __name__ == "__main__":
    main()
