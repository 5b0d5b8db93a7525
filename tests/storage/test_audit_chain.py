"""The chain over the audit journal: every record once, in one order, whatever commits late or never (SEC-72)."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from cbss_inscription.governance.chain import CHAIN_START, chain_hash
from cbss_inscription.governance.journal import AuditKeys, record_hash
from cbss_inscription.storage.chain import link_records
from tests.storage.chunks import write_chunk

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
KEYS = AuditKeys({"one": (b"1" * 32, b"2" * 32)}, current="one")
SSINS = ("85073003328", "17073003384", "40600000197")
INSERT = (
    "INSERT INTO audit_record (received_at, ticket_cbss, record_number, content)"
    " VALUES (%s, %s, nextval('audit_record_number'), %s)"
)
Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def connection(module_database: str) -> Iterator[Connection]:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE audit_record, audit_chunk, audit_person, audit_link, audit_gap")
        connection.execute(
            "UPDATE audit_chain SET sequence_number = 0, chain_hash = %s, record_number = 0", (CHAIN_START,)
        )
        connection.execute("ALTER SEQUENCE audit_record_number RESTART")
        connection.execute("RESET session_replication_role")
        yield connection


def write(connection: Connection, content: str = "{}") -> UUID:
    ticket = uuid4()
    connection.execute(INSERT, (NOW, ticket, content))
    return ticket


def links(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT sequence_number, ticket_cbss, record_hash, chain_hash, content"
        " FROM audit_link JOIN audit_journal USING (received_at, ticket_cbss) ORDER BY sequence_number"
    ).fetchall()


def check(connection: Connection) -> list[UUID]:
    """The tickets in the order of the chain, each hash of which is what Python says."""
    former, tickets = CHAIN_START, []
    for expected, (number, ticket, of_record, of_chain, content) in enumerate(links(connection), start=1):
        assert number == expected
        assert of_record == record_hash(content.encode("utf-8"))
        assert of_chain == chain_hash(former, number, of_record)
        former = of_chain
        tickets.append(ticket)
    return tickets


def test_sec_72_records_are_chained_in_the_order_of_their_arrival(connection: Connection) -> None:
    """Each record is chained once, in order, by the hashes that Python computes too (SEC-72)."""
    written = [write(connection, f'{{"é":"{number}"}}') for number in range(5)]
    assert link_records(connection, record_count_max=3) == 3
    assert link_records(connection, record_count_max=3) == 2
    assert link_records(connection) == 0
    assert check(connection) == written


def test_sec_72_the_records_of_a_chunk_are_chained_in_their_order(connection: Connection) -> None:
    """A chunk's records follow each other in the chain, among those that came before and after it (SEC-72)."""
    written = [write(connection), *write_chunk(connection, KEYS, SSINS * 2, at=NOW), write(connection)]
    assert link_records(connection) == 8
    assert check(connection) == written


def test_sec_72_records_that_are_chained_at_once_are_bounded(connection: Connection) -> None:
    """So many records at once, however many rows they are; a chunk that has more is chained alone (SEC-72)."""
    written = [
        *write_chunk(connection, KEYS, SSINS, at=NOW),
        *write_chunk(connection, KEYS, SSINS, at=NOW),
        write(connection),
        *write_chunk(connection, KEYS, SSINS * 4, at=NOW),
        write(connection),
    ]
    assert [link_records(connection, record_count_max=7) for _ in range(4)] == [7, 12, 1, 0]
    assert check(connection) == written


def test_sec_72_a_chunk_that_commits_late_is_chained_late(connection: Connection, module_database: str) -> None:
    """A chunk whose transaction commits after later ones were chained follows them, whole (SEC-72)."""
    with psycopg.connect(module_database) as late:
        last = write_chunk(late, KEYS, SSINS, at=NOW)
        first = write_chunk(connection, KEYS, SSINS, at=NOW)
        assert link_records(connection) == 3
        late.commit()
    then = write(connection)
    assert link_records(connection, record_count_max=1) == 4
    assert check(connection) == [*first, *last, then]
    assert connection.execute("SELECT count(*) FROM audit_gap").fetchone() == (0,)


def test_sec_72_a_record_that_commits_late_is_chained_late(connection: Connection, module_database: str) -> None:
    """A record whose transaction commits after later ones were chained follows them, and is never left out (SEC-72)."""
    with psycopg.connect(module_database) as late:
        last = write(late)
        first = write(connection)
        assert link_records(connection) == 1
        late.commit()
    assert link_records(connection) == 1
    assert check(connection) == [first, last]


def test_sec_72_a_number_that_never_comes_is_given_up(connection: Connection) -> None:
    """A number that was rolled back is looked for no longer than it may take, and stops nothing (SEC-72)."""
    connection.execute("SELECT nextval('audit_record_number')")
    written = write(connection)
    assert link_records(connection) == 1
    assert connection.execute("SELECT count(*) FROM audit_gap").fetchone() == (1,)
    assert link_records(connection, gap_seconds_max=0) == 0
    assert connection.execute("SELECT count(*) FROM audit_gap").fetchone() == (0,)
    assert check(connection) == [written]


def test_sec_72_a_number_that_was_never_drawn_ends_no_chain(connection: Connection) -> None:
    """A record under a number far above all others is not chained, and what comes after it is, as ever: nobody turns
    the chain off by one row (SEC-72).
    """
    written, other = write(connection), write_chunk(connection, KEYS, SSINS, at=NOW)
    connection.execute("SET session_replication_role = replica")
    connection.execute("UPDATE audit_chunk SET record_number = %s", (1 << 62,))
    connection.execute("RESET session_replication_role")
    connection.execute(INSERT.replace("nextval('audit_record_number')", str(1 << 61)), (NOW, uuid4(), "{}"))
    connection.execute("SET statement_timeout = '5s'")
    assert link_records(connection) == 1
    then = write(connection)
    assert link_records(connection, gap_seconds_max=0) == 1
    assert check(connection) == [written, then]
    assert not set(other) & set(check(connection))
    connection.execute("SET statement_timeout = 0")


def test_sec_72_only_one_process_chains_at_a_time(connection: Connection, module_database: str) -> None:
    """While one process chains, another finds nothing to do and does not wait (SEC-72)."""
    written = write(connection)
    with psycopg.connect(module_database) as other:
        other.execute("SELECT * FROM audit_chain FOR UPDATE")
        assert link_records(connection) == 0
    assert link_records(connection) == 1
    assert check(connection) == [written]


def test_sec_72_what_is_interrupted_is_done_again(connection: Connection, module_database: str) -> None:
    """A process that ends while it chains leaves the chain as it was (SEC-72)."""
    written = [write(connection) for _ in range(3)]
    other = psycopg.connect(module_database)
    other.execute("SELECT link_audit_records(10, 900)")
    process_id = other.info.backend_pid
    other.close()
    while connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (process_id,)).fetchone() is not None:
        time.sleep(0.01)
    assert links(connection) == []
    assert link_records(connection) == 3
    assert check(connection) == written


@pytest.mark.parametrize("seed", range(3))
def test_sec_72_every_committed_record_is_chained_once(connection: Connection, module_database: str, seed: int) -> None:
    """Writers at once, rollbacks, several chainers: all that was committed is chained, nothing twice (SEC-72)."""
    committed: list[UUID] = []
    ended = threading.Event()

    def writer(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        with psycopg.connect(module_database) as own:
            for _ in range(25):
                tickets = [write(own) for _ in range(chance.randrange(3))]
                tickets += write_chunk(own, KEYS, SSINS * chance.randrange(1, 4), at=NOW)
                if chance.random() < 0.25:
                    own.rollback()
                else:
                    own.commit()
                    committed.extend(tickets)

    def chainer() -> None:
        with psycopg.connect(module_database, autocommit=True) as own:
            while not ended.is_set():
                link_records(own, record_count_max=7)

    writers = [threading.Thread(target=writer, args=(number,)) for number in range(4)]
    chainers = [threading.Thread(target=chainer) for _ in range(2)]
    for thread in (*writers, *chainers):
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    for thread in chainers:
        thread.join()
    while link_records(connection):
        pass
    chained = check(connection)
    assert sorted(chained) == sorted(committed)
    assert len(chained) == len(set(chained))


def test_sec_72_the_chain_is_append_only(connection: Connection) -> None:
    """The database refuses to change or remove a link by any ordinary statement (SEC-72)."""
    write(connection)
    link_records(connection)
    for change in ("DELETE FROM audit_link", "TRUNCATE audit_link", "UPDATE audit_link SET received_at = now()"):
        with pytest.raises(psycopg.errors.RaiseException):
            connection.execute(change)  # type: ignore[arg-type]  # a test's own words


def test_sec_72_old_records_are_chained_with_the_new(connection: Connection) -> None:
    """The chain follows the arrival, not the clock: a record of another time is in it like any other (SEC-72)."""
    connection.execute(INSERT, (NOW - timedelta(days=400), uuid4(), "{}"))
    write(connection)
    assert link_records(connection) == 2
    assert len(check(connection)) == 2
