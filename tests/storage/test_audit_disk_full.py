"""A disk that is full: no acknowledged record is lost, none is there twice, and the chain goes on (SEC-71)."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.domain.period import timestamp
from cbss_inscription.governance.journal import AuditedOutcome, AuditRecord
from cbss_inscription.storage.chain import link_records
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.journal import StoredJournal
from cbss_inscription.storage.journal_reading import one_moment_of, verify_journal
from cbss_inscription.storage.migration import migrate

DISK = "220m"
LEFT_BYTES = 1_000_000
"""What the disk has left when the writers begin."""
NOW = datetime.now(UTC)


@pytest.fixture
def disk(reachable_directory: Path) -> Iterator[Path]:
    """A small disk of its own; skipped where this account cannot have one."""
    place = reachable_directory / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0711", "none", place], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("no small disk can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def record() -> AuditRecord:
    return AuditRecord(
        ticket_cbss=str(uuid4()),
        timestamp_receive=timestamp(NOW),
        timestamp_reply=timestamp(NOW + timedelta(milliseconds=1)),
        service="CBSSInscription",
        customer_ticket="x" * 2_000,
        outcome=AuditedOutcome(value="OK"),
    )


async def write_until_full(conninfo: str) -> tuple[set[UUID], set[UUID]]:
    """The tickets that were acknowledged, and those that were refused: writers at once, until most are refused."""
    database = Database(conninfo)
    await database.open()
    journal, acknowledged, refused = StoredJournal(database), set[UUID](), set[UUID]()

    async def write() -> None:
        while len(refused) < 200:
            one = record()
            ticket = UUID(one.ticket_cbss)
            try:
                await journal.write(one, received_at=NOW)
            except (TemporarilyUnavailable, psycopg.Error):
                refused.add(ticket)
            else:
                acknowledged.add(ticket)

    await asyncio.gather(*(write() for _ in range(100)))
    await database.close()
    return acknowledged, refused


@pytest.mark.long
def test_sec_71_a_full_disk_loses_and_doubles_nothing(disk: Path) -> None:
    """A hundred writers fill the disk: what was acknowledged is there once, also after a restart (SEC-71)."""
    ballast = disk / "ballast"
    with EmbeddedServer(disk / "database") as server:
        migrate(server.connection_string)
        room = os.statvfs(disk)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - LEFT_BYTES)
        acknowledged, refused = asyncio.run(write_until_full(server.connection_string))
    ballast.unlink()
    assert acknowledged
    with EmbeddedServer(disk / "database") as server:
        with psycopg.connect(server.connection_string, autocommit=True) as connection:
            while link_records(connection):
                pass
        with one_moment_of(server.connection_string) as connection:
            there = [one for (one,) in connection.execute("SELECT ticket_cbss FROM audit_record")]
            verifier = verify_journal(connection, trust=None, keys=None)
    assert len(there) == len(set(there))
    assert acknowledged <= set(there) <= acknowledged | refused
    assert (verifier.findings, verifier.record_count) == ([], len(there))
