"""The audit journal in PostgreSQL: durable, grouped, once each, never changed (rule 50, SEC-71)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio

from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.governance.journal import AuditedOutcome, AuditKeys, AuditRecord, canonical
from cbss_inscription.storage import journal as stored
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.journal import StoredJournal

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
KEYS = AuditKeys({"a": (b"1" * 32, b"2" * 32)}, current="a")
DIGITS = "40600000197"


def record(ticket: UUID | None = None, *digits: str) -> AuditRecord:
    ticket = ticket or uuid4()
    return AuditRecord(
        ticket_cbss=str(ticket),
        timestamp_receive="2026-03-01T10:00:00.000Z",
        timestamp_reply="2026-03-01T10:00:00.012Z",
        service="CBSSInscription",
        persons=tuple(KEYS.seal(one, ticket) for one in digits),
        outcome=AuditedOutcome(value="OK"),
    )


@pytest_asyncio.fixture
async def database(module_database: str) -> AsyncIterator[Database]:
    with psycopg.connect(module_database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE audit_record, audit_person")
    database = Database(module_database)
    await database.open()
    yield database
    await database.close()


def rows(conninfo: str, table: str) -> list[tuple[object, ...]]:
    with psycopg.connect(conninfo) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()  # type: ignore[arg-type]  # a test's own words


async def test_rule_50_a_record_is_there_when_write_returns(database: Database, module_database: str) -> None:
    """What another connection sees after `write` is the record's canonical text, found by its persons (rule 50)."""
    written = record(None, DIGITS, DIGITS, "40600000294")
    await StoredJournal(database).write(written, received_at=NOW)
    ((received_at, ticket, _, content),) = rows(module_database, "audit_record")
    assert (received_at, ticket, content) == (NOW, UUID(written.ticket_cbss), canonical(written).decode())
    found = {row[0] for row in rows(module_database, "audit_person")}
    assert found == {*KEYS.hashes(DIGITS), *KEYS.hashes("40600000294")}


async def test_sec_71_the_same_record_twice_is_one(database: Database, module_database: str) -> None:
    """A record that is written again changes nothing, as after a connection lost on the way (SEC-71)."""
    journal, written = StoredJournal(database), record(None, DIGITS)
    await journal.write(written, received_at=NOW)
    await journal.write(written, received_at=NOW)
    assert len(rows(module_database, "audit_record")) == len(rows(module_database, "audit_person")) == 1


async def test_sec_71_many_at_once_go_in_few_groups(
    database: Database, module_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that wait together are written together, none lost, none doubled, a group never too large (SEC-71)."""
    monkeypatch.setattr(stored, "GROUP_RECORDS_MAX", 50)
    journal, groups = StoredJournal(database), []
    write_group = journal._write_group

    async def counted(group):
        groups.append(len(group))
        await write_group(group)

    monkeypatch.setattr(journal, "_write_group", counted)
    written = [record(None, DIGITS) for _ in range(300)]
    await asyncio.gather(*(journal.write(one, received_at=NOW) for one in written))
    stored_tickets = [row[1] for row in rows(module_database, "audit_record")]
    assert sorted(stored_tickets) == sorted(UUID(one.ticket_cbss) for one in written)
    assert max(groups) <= 50
    assert len(groups) < 20


async def test_rule_51_a_journal_that_cannot_be_written_says_so(module_database: str) -> None:
    """Without its database the journal refuses all that wait; it takes the next when it is back (rule 51)."""
    database = Database(module_database, connections_max=1)
    await database.open()
    journal = StoredJournal(database)
    execute = database.execute

    async def away(query: str, parameters: dict[str, object]) -> None:
        raise TemporarilyUnavailable("database")

    database.execute = away  # type: ignore[method-assign]  # the fake of a lost database
    outcomes = await asyncio.gather(
        *(journal.write(record(), received_at=NOW) for _ in range(3)), return_exceptions=True
    )
    assert [(type(one), getattr(one, "reason", None)) for one in outcomes] == [(TemporarilyUnavailable, "audit")] * 3
    database.execute = execute  # type: ignore[method-assign]  # it is back
    await journal.write(record(), received_at=NOW)
    await database.close()


async def test_sec_71_a_lost_connection_is_tried_once_more(database: Database, module_database: str) -> None:
    """A connection that the server closed meanwhile costs an attempt, not a call (SEC-71)."""
    journal = StoredJournal(database)
    await journal.write(record(), received_at=NOW)
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await journal.write(record(), received_at=NOW)


async def test_sec_71_a_backlog_has_an_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """More records than may wait are refused at once, and those that wait are written (SEC-71)."""
    monkeypatch.setattr(stored, "WAITING_RECORDS_MAX", 10)
    journal = StoredJournal(database)
    outcomes = await asyncio.gather(
        *(journal.write(record(), received_at=NOW) for _ in range(30)), return_exceptions=True
    )
    refused = [one for one in outcomes if one is not None]
    assert {(type(one), getattr(one, "reason", None)) for one in refused} == {(TemporarilyUnavailable, "audit-backlog")}
    assert outcomes.count(None) >= 10


@pytest.mark.parametrize("table", ["audit_record", "audit_person"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET received_at = now()"])
async def test_rule_50_the_journal_is_append_only(
    database: Database, module_database: str, table: str, change: str
) -> None:
    """The database refuses to change or remove records by any ordinary statement (rule 50)."""
    await StoredJournal(database).write(record(None, DIGITS), received_at=NOW)
    with psycopg.connect(module_database) as connection, pytest.raises(psycopg.errors.RaiseException):
        connection.execute(change.format(table))
