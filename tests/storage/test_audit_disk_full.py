"""A disk that is full: no acknowledged record is lost, none is there twice, and the chain goes on (SEC-71)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
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
from tests.conftest import SmallDisk

LEFT_BYTES = 1_000_000
"""What the disk has left when the writers begin."""
NOW = datetime.now(UTC)


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
def test_sec_71_a_full_disk_loses_and_doubles_nothing(small_disk: SmallDisk) -> None:
    """A hundred writers fill the disk: what was acknowledged is there once, also after a restart (SEC-71)."""
    with EmbeddedServer(small_disk.path / "database") as server:
        migrate(server.connection_string)
        with small_disk.filled(left_bytes=LEFT_BYTES):
            acknowledged, refused = asyncio.run(write_until_full(server.connection_string))
    assert acknowledged
    with EmbeddedServer(small_disk.path / "database") as server:
        with psycopg.connect(server.connection_string, autocommit=True) as connection:
            while link_records(connection):
                pass
        with one_moment_of(server.connection_string) as connection:
            there = [one for (one,) in connection.execute("SELECT ticket_cbss FROM audit_ticket")]
            verifier = verify_journal(connection, trust=None, keys=None)
    assert len(there) == len(set(there))
    assert acknowledged <= set(there) <= acknowledged | refused
    assert (verifier.findings, verifier.record_count) == ([], len(there))
