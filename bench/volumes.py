# ruff: noqa: INP001 - a program, in no package
"""What agreed volumes cost: the decision, and the counts in the statement that writes the records.

    .venv/bin/python bench/volumes.py [--rounds 30]

Runs the bundled PostgreSQL in a temporary directory. Records with and without a count are written in turns in one run,
and the median of all rounds counts, so that a noisy machine shifts both sides; CPU is that of this process and of the
server. Prints a table.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import AgreedVolume, Permission, VolumeWindow
from cbss_inscription.governance.journal import AuditedDecision, AuditedOutcome, AuditKeys, AuditRecord
from cbss_inscription.governance.volumes import VolumeMeter, VolumeReached
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.journal import StoredJournal
from cbss_inscription.storage.migration import migrate

DECISIONS = 20_000
RECORDS = 1_000
KEYS = AuditKeys({"a": (b"1" * 32, b"2" * 32)}, current="a")
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


class Told:
    """A `VolumeLog` that nobody reads."""

    def volume_reached(self, reached: VolumeReached) -> None:
        """See `VolumeLog.volume_reached`."""
        del reached


def permission(*volumes: AgreedVolume) -> Permission:
    """A permission with these volumes."""
    return Permission(
        reference="KSZ-1",
        customer_identification=CustomerIdentification(sector=17, institution=1),
        cbe_number="0200000012",
        application_urns=("urn:app:one",),
        legal_contexts=frozenset({LegalContext("PCSA:SOCIAL_INQUIRY")}),
        inscription_contexts=frozenset(),
        operations=tuple(Operation),
        valid_from=date(2024, 3, 1),
        volumes=volumes,
    )


def record(*, counted: bool) -> AuditRecord:
    """The record of a consultation, with or without a permission to count it by."""
    ticket = uuid4()
    return AuditRecord(
        ticket_cbss=str(ticket),
        timestamp_receive="2026-03-01T10:00:00.000Z",
        timestamp_reply="2026-03-01T10:00:00.012Z",
        service="CBSSInscription",
        application_urn="urn:app:one",
        customer="17/1",
        legal_context="PCSA:SOCIAL_INQUIRY",
        operation="consultInscriptions",
        persons=(KEYS.seal("40600000197", ticket, asked=True, current=True),),
        decision=AuditedDecision(version=1, access_rule="UD-1", permission="KSZ-1" if counted else None),
        outcome=AuditedOutcome(value="DATA_FOUND", code="MSG00000"),
    )


def microseconds_of_a_decision(of: Permission) -> float:
    """CPU time of one `VolumeMeter.admit`."""
    meter = VolumeMeter(log=Told())
    began = time.process_time()
    for _ in range(DECISIONS):
        meter.admit(of, Operation.CONSULT_INSCRIPTIONS, now=NOW)
    return (time.process_time() - began) / DECISIONS * 1e6


async def microseconds_of_a_record(
    journal: StoredJournal, cpu: Callable[[], float], *, counted: bool, at_once: int
) -> float:
    """CPU time of one record, of so many that come at once."""
    records = [record(counted=counted) for _ in range(RECORDS if at_once > 1 else RECORDS // 5)]
    began = cpu()
    for first in range(0, len(records), at_once):
        await asyncio.gather(*(journal.write(one, received_at=NOW) for one in records[first : first + at_once]))
    return (cpu() - began) / len(records) * 1e6


def cpu_of_tree(root: int) -> float:
    """CPU seconds of this process, and of the server's processes that are there."""
    ticks = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) == root or int(fields[1]) == root:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


async def measure(conninfo: str, postmaster: int, rounds: int) -> None:
    """Print the figures."""
    volumes = tuple(AgreedVolume(window=window, limit=10**9) for window in VolumeWindow)
    for name, of in (("no volume", permission()), ("three volumes", permission(*volumes))):
        median = statistics.median(microseconds_of_a_decision(of) for _ in range(5))
        sys.stdout.write(f"decision, {name:14} {median:8.2f} µs\n")
    database = Database(conninfo)
    await database.open()
    journal = StoredJournal(database, worker=1)
    for at_once in (1, 20, 200):
        found: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(rounds):
            for counted in (False, True):
                cost = await microseconds_of_a_record(
                    journal, lambda: cpu_of_tree(postmaster), counted=counted, at_once=at_once
                )
                found[counted].append(cost)
        without, with_ = statistics.median(found[False]), statistics.median(found[True])
        figures = f"{without:7.0f} µs without a count, {with_:7.0f} µs with ({with_ - without:+.0f})"
        sys.stdout.write(f"record, {at_once:3} at once: {figures}\n")
    await database.close()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cbss-bench-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedServer(Path(directory)) as server:
            migrate(server.connection_string)
            assert server.process_id is not None
            asyncio.run(measure(server.connection_string, server.process_id, given.rounds))


if __name__ == "__main__":
    main()
