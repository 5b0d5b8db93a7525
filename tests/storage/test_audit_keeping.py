"""The journal's keeper: seals with time stamps, room for months, records that a crash left out (SEC-71 to SEC-73)."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from cbss_inscription.app.keeping import JournalKeeper
from cbss_inscription.app.settings import Audit, Limits, Settings, Timestamping, TlsListener, Trust
from cbss_inscription.app.telemetry import SupervisorLog
from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.governance.chain import read_statement
from cbss_inscription.governance.journal import AuditKeys, AuditRecord, new_audit_keys, read_audit_keys, read_record
from cbss_inscription.governance.timestamps import TimestampTrust
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.sandbox.timestamping import TimeStampAuthority, TimeStampServer
from cbss_inscription.storage.chain import (
    LINKED_RECORDS_MAX,
    RECOVERED_SECONDS_MAX,
    backlog_seconds,
    link_records,
    seal_links,
)
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.journal import StoredJournal
from tests.chaos.cutting import Cable
from tests.storage.chunks import write_chunk
from tests.storage.conftest import HANGS_SECONDS, through

Connection = psycopg.Connection[tuple[Any, ...]]
MakeKeeper = Callable[..., JournalKeeper]
SSIN = 85073003328


@pytest.fixture(scope="module")
def pki() -> TestPki:
    return TestPki.generate(environment="LOCAL", now=datetime.now(UTC))


@pytest.fixture(scope="module")
def authority(pki: TestPki) -> Iterator[TimeStampServer]:
    server = TimeStampServer(TimeStampAuthority(pki.timestamp_authority), address="127.0.0.1")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connection(fresh_database: str) -> Iterator[Connection]:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(
            "UPDATE audit_chain SET recovered_until = clock_timestamp()"
        )  # not since the template was made
        yield connection


@pytest.fixture
def log() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def make_keeper(fresh_database: str, tmp_path: Path, pki: TestPki, log: io.BytesIO) -> Iterator[MakeKeeper]:
    made: list[JournalKeeper] = []
    (tmp_path / "keys.toml").write_bytes(new_audit_keys("one"))
    (tmp_path / "ca.pem").write_bytes(pki.timestamp_root.certificate_pem)

    def make(url: str | None = None, database: str = fresh_database, **grace: float) -> JournalKeeper:
        stamping = None if url is None else Timestamping(url=url, ca=str(tmp_path / "ca.pem"))
        settings = Settings(
            environment="LOCAL",
            public_url="https://x",
            database=database,
            access_rules="",
            audit=Audit(keys=str(tmp_path / "keys.toml"), timestamping=stamping),
            tls=TlsListener(certificate="", private_key=""),
            trust=Trust(application_authorities=""),
            limits=Limits(answer_seconds_max=0.0001),
        )
        made.append(JournalKeeper(settings, log=SupervisorLog(log), **grace))
        return made[-1]

    yield make
    for keeper in made:
        keeper.stop()


def told(log: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def write(connection: Connection, count: int = 1) -> None:
    for _ in range(count):
        connection.execute(
            "INSERT INTO audit_record (received_at, ticket_cbss, record_number, content)"
            " VALUES (now(), %s, nextval('audit_record_number'), '{}')",
            (uuid4(),),
        )


def seals(connection: Connection) -> list[tuple[int, int, str, bytes | None]]:
    return connection.execute(
        "SELECT first_sequence_number, last_sequence_number, statement, token FROM audit_seal ORDER BY 1"
    ).fetchall()  # type: ignore[return-value]  # the columns, in this order


def test_sec_72_what_is_new_is_sealed_under_a_time_stamp(
    connection: Connection, make_keeper: MakeKeeper, authority: TimeStampServer, pki: TestPki, log: io.BytesIO
) -> None:
    """The links since the last seal get one, stamped by the authority; when nothing is new there is none (SEC-72)."""
    trust = TimestampTrust.of_pem(pki.timestamp_root.certificate_pem, origin="ca")
    for count in (3, 0, 2):
        write(connection, count)
        make_keeper(authority.url).look()
    found = seals(connection)
    assert [(first, last) for first, last, _, _ in found] == [(1, 3), (4, 5)]
    for _, last, statement, token in found:
        assert token is not None
        assert trust.check(token, statement) - datetime.now(UTC) < timedelta(seconds=5)
        row = connection.execute("SELECT chain_hash FROM audit_link WHERE sequence_number = %s", (last,)).fetchone()
        assert row is not None
        assert read_statement(statement).chain_hash == row[0].hex()
    assert [(line["event"], line["last"], line["stamped"]) for line in told(log)] == [
        ("audit sealed", 3, True),
        ("audit sealed", 5, True),
    ]


def test_decision_32_what_came_last_is_sealed_before_a_service_ends(
    connection: Connection, make_keeper: MakeKeeper
) -> None:
    """Long before the next seal is due, what was written since the last one is chained and sealed (decision 32)."""
    write(connection)
    keeper = make_keeper()
    keeper.start()
    assert [(first, last) for first, last, _, _ in seals(connection)] == [(1, 1)]
    write(connection, 2)
    keeper.finish()
    assert [(first, last) for first, last, _, _ in seals(connection)] == [(1, 1), (2, 3)]


def test_sec_72_without_an_authority_seals_bear_no_stamp(connection: Connection, make_keeper: MakeKeeper) -> None:
    """An installation that names no authority seals all the same, and the seal says that it is bare (SEC-72)."""
    write(connection)
    make_keeper().look()
    ((first, last, _, token),) = seals(connection)
    assert (first, last, token) == (1, 1, None)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("nowhere", "ConnectError"), ("stranger", "the time stamp is refused: signature or certificate")],
)
def test_sec_73_an_authority_that_fails_seals_nothing(
    connection: Connection, make_keeper: MakeKeeper, authority: TimeStampServer, log: io.BytesIO, path: str, reason: str
) -> None:
    """Away or not ours: no seal, one line that says why, and all of it under the next seal (SEC-73)."""
    other = TestPki.generate(environment="LOCAL", now=datetime.now(UTC))
    stranger = TimeStampServer(TimeStampAuthority(other.timestamp_authority), address="127.0.0.1")
    stranger.start()
    url = stranger.url
    if path == "nowhere":
        stranger.stop()
    write(connection, 2)
    keeper = make_keeper(url)
    for _ in range(2):
        keeper._due.clear()
        keeper.look()
    if path == "stranger":
        stranger.stop()
    assert seals(connection) == []
    assert [(line["event"], line["what"], line["reason"]) for line in told(log)] == [
        ("audit keeping failed", "seals", reason)
    ]
    make_keeper(authority.url).look()
    assert [(first, last) for first, last, _, _ in seals(connection)] == [(1, 2)]


async def test_sec_73_workers_refuse_calls_while_seals_stay_away(fresh_database: str, connection: Connection) -> None:
    """Something that waits too long for its seal, or a keeper that is gone, stops calls until it is sealed (SEC-73)."""
    database = Database(fresh_database)
    await database.open()
    journal = StoredJournal(database)
    write(connection)
    link_records(connection)
    await journal.look_at_seals(stop_after_seconds=60)
    journal.admit()
    await journal.look_at_seals(stop_after_seconds=0)
    with pytest.raises(TemporarilyUnavailable) as caught:
        journal.admit()
    assert caught.value.reason == "audit-timestamping"
    assert seal_links(connection, lambda _: None, now=datetime.now(UTC)) is not None
    link_records(connection)
    await journal.look_at_seals(stop_after_seconds=60)
    journal.admit()
    connection.execute("UPDATE audit_chain SET looked_at = now() - interval '2 minutes'")
    await journal.look_at_seals(stop_after_seconds=60)
    with pytest.raises(TemporarilyUnavailable):
        journal.admit()
    await database.close()


def test_sec_73_the_backlog_is_told(connection: Connection, make_keeper: MakeKeeper, log: io.BytesIO) -> None:
    """Seals that stay away longer than alarm_after_seconds are an error in the log, once (SEC-73)."""
    write(connection)
    link_records(connection)
    connection.execute("SET session_replication_role = replica")
    connection.execute("UPDATE audit_link SET linked_at = now() - interval '1 hour'")
    keeper = make_keeper("http://127.0.0.1:1/")
    for _ in range(2):
        keeper._due.clear()
        keeper.look()
    lines = [line for line in told(log) if line["event"] == "audit seals stay away"]
    assert [(line["level"], line["seconds"] // 100) for line in lines] == [("error", 36)]
    assert backlog_seconds(connection) > 3_000


def test_sec_72_two_keepers_seal_once(fresh_database: str, connection: Connection) -> None:
    """While one process seals another does nothing; what ends in between is sealed by the next (SEC-72)."""
    write(connection)
    link_records(connection)
    with psycopg.connect(fresh_database, autocommit=True) as other:

        def meanwhile(_: str) -> None:
            assert seal_links(other, lambda _: None, now=datetime.now(UTC)) is None
            raise RuntimeError

        with pytest.raises(RuntimeError):
            seal_links(connection, meanwhile, now=datetime.now(UTC))
        assert seals(connection) == []
        assert seal_links(other, lambda _: None, now=datetime.now(UTC)) is not None
    assert len(seals(connection)) == 1


def test_sec_72_one_look_chains_all_that_came(connection: Connection, make_keeper: MakeKeeper) -> None:
    """Chunks that no transaction takes together are all chained by one look, and not one in each second (SEC-72)."""
    keys = read_audit_keys(new_audit_keys("one"), origin="tests")
    size = LINKED_RECORDS_MAX // 2 + 1
    for _ in range(2):
        write_chunk(connection, keys, [str(SSIN)] * size, at=datetime.now(UTC))
    make_keeper().look()
    assert connection.execute("SELECT count(*) FROM audit_link").fetchone() == (2 * size,)


def test_sec_75_the_journal_has_room_for_the_months_to_come(connection: Connection, make_keeper: MakeKeeper) -> None:
    """The current month and the next two have partitions of their own, append-only like the whole (SEC-75)."""
    make_keeper().look()
    make_keeper().look()
    write(connection)
    tables = [
        name
        for parent in ("audit_record", "audit_chunk", "audit_person")
        for (name,) in connection.execute(
            "SELECT relid::text FROM pg_partition_tree(%s::regclass) WHERE isleaf ORDER BY 1", (parent,)
        )
    ]
    today = datetime.now(UTC)
    months = {(today.year + (today.month - 1 + ahead) // 12, (today.month - 1 + ahead) % 12 + 1) for ahead in range(3)}
    suffixes = {"default"} | {f"{year}_{month:02}" for year, month in months}
    assert set(tables) == {
        f"{parent}_{suffix}" for parent in ("audit_record", "audit_chunk", "audit_person") for suffix in suffixes
    }
    assert connection.execute("SELECT count(*) FROM audit_record_default").fetchone() == (0,)
    for table in tables:
        with pytest.raises(psycopg.errors.RaiseException):
            connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]  # a test's own words


def test_sec_75_a_month_that_records_came_before_stays_where_they_are(connection: Connection) -> None:
    """A month of which the default partition has records gets none of its own, and nothing fails (SEC-75)."""
    write(connection)
    connection.execute("SELECT make_audit_month(current_date)")
    assert connection.execute("SELECT count(*) FROM pg_partition_tree('audit_record') WHERE isleaf").fetchone() == (1,)


# -- what a crash left -------------------------------------------------------------------------------------------------


def change(
    connection: Connection, ticket: UUID, *, application: str | None = "urn:app", age: timedelta = timedelta()
) -> None:
    connection.execute(
        "INSERT INTO inscription_history (ssin, customer, inscription_context, operation, before, after, changed_at,"
        " ticket_cbss, customer_ticket, legal_context, application_urn, cbe_number) VALUES (%s, '17/1',"
        " 'PCSA:LIVING_WAGE', 'insertInscription', '{}', '{[2026-01-01,2026-02-01)}', clock_timestamp() - %s,"
        " %s, 'mine', 'PCSA:SOCIAL_INQUIRY', %s, '0200000013')",
        (SSIN, age, ticket, application),
    )


def records(connection: Connection) -> dict[UUID, AuditRecord]:
    rows = connection.execute("SELECT ticket_cbss, content FROM audit_journal").fetchall()
    return {ticket: read_record(content.encode("utf-8")) for ticket, content in rows}


def test_sec_71_a_change_whose_service_was_killed_gets_its_record(
    connection: Connection, make_keeper: MakeKeeper, tmp_path: Path, log: io.BytesIO
) -> None:
    """A change that no record tells of gets one, UNANSWERED: who, what, why, about whom; and it is chained (SEC-71)."""
    ticket = uuid4()
    change(connection, ticket)
    change(connection, uuid4(), application=None)  # an operator's, or a population's: no call
    make_keeper(recover_grace_seconds=0.0).look()
    ((found, record),) = records(connection).items()
    assert found == ticket
    assert (record.outcome.value, record.operation, record.customer_ticket) == (
        "UNANSWERED",
        "insertInscription",
        "mine",
    )
    assert (record.application_urn, record.customer, record.service) == ("urn:app", "17/1", "CBSSInscription")
    assert (record.legal_context, record.inscription_contexts) == ("PCSA:SOCIAL_INQUIRY", ("PCSA:LIVING_WAGE",))
    keys: AuditKeys = read_audit_keys((tmp_path / "keys.toml").read_bytes(), origin="keys")
    assert [keys.open(person, ticket) for person in record.persons] == [str(SSIN)]
    assert connection.execute("SELECT count(*) FROM audit_person").fetchone() == (1,)
    assert connection.execute("SELECT ticket_cbss FROM audit_link").fetchall() == [(ticket,)]
    assert [line["records"] for line in told(log) if line["event"] == "audit records recovered"] == [1]


def test_sec_71_a_record_is_recovered_once(connection: Connection, make_keeper: MakeKeeper) -> None:
    """Whoever looks again, or at the same time, writes nothing more; what has its record needs none (SEC-71)."""
    tickets = [uuid4() for _ in range(3)]
    for ticket in tickets:
        change(connection, ticket)
        change(connection, ticket)
    for _ in range(3):
        make_keeper(recover_grace_seconds=0.0).look()
    assert sorted(records(connection)) == sorted(tickets)
    change(connection, tickets[0])
    make_keeper(recover_grace_seconds=0.0).look()
    assert len(records(connection)) == 3


def test_sec_71_after_a_long_absence_the_past_is_looked_through_in_parts(
    connection: Connection, make_keeper: MakeKeeper
) -> None:
    """No statement looks at more than a part of it, so that none takes too long; the next look goes on (SEC-71)."""
    parts = 3
    absence = timedelta(seconds=(parts - 0.5) * RECOVERED_SECONDS_MAX)
    tickets = [uuid4(), uuid4()]
    change(connection, tickets[0], age=absence)
    change(connection, tickets[1])
    connection.execute("UPDATE audit_chain SET recovered_until = clock_timestamp() - %s", (absence * 1.01,))
    keeper = make_keeper(recover_grace_seconds=0.0)
    keeper.look()
    assert sorted(records(connection)) == tickets[:1]
    for _ in range(parts - 1):
        keeper.look()
    assert sorted(records(connection)) == sorted(tickets)


def test_sec_71_a_change_of_a_batch_that_has_its_record_needs_none(
    connection: Connection, make_keeper: MakeKeeper
) -> None:
    """Changes by lines of a batch whose records are in its chunk get no other; one beside them does (SEC-71)."""
    keys = AuditKeys({"one": (b"1" * 32, b"2" * 32)}, current="one")
    tickets = write_chunk(connection, keys, [str(SSIN)] * 3, at=datetime.now(UTC))
    lost = UUID(int=tickets[1].int + 1)  # of the same millisecond
    for ticket in (*tickets, lost):
        change(connection, ticket)
    make_keeper(recover_grace_seconds=0.0).look()
    assert connection.execute("SELECT ticket_cbss FROM audit_record").fetchall() == [(lost,)]
    assert set(records(connection)) == {*tickets, lost}


def test_sec_71_a_call_that_is_still_going_on_is_left_alone(connection: Connection, make_keeper: MakeKeeper) -> None:
    """A change of the last quarter of an hour may still get the record of its own call (SEC-71)."""
    change(connection, uuid4())
    make_keeper().look()
    assert records(connection) == {}


def test_sec_71_a_keeper_gives_a_silent_database_up(
    fresh_database: str, connection: Connection, make_keeper: MakeKeeper, log: io.BytesIO, cable: Cable
) -> None:
    """A connection that stays open and says nothing costs one piece of work; the next look does it (SEC-71)."""
    write(connection)
    keeper = make_keeper(database=through(cable, fresh_database))
    keeper.look()
    cable.fall_silent()
    cable.mend()  # for new connections: the keeper's never speaks again
    write(connection)
    looking = threading.Thread(target=keeper.look, daemon=True)
    looking.start()
    looking.join(HANGS_SECONDS)
    assert not looking.is_alive()
    assert [line["event"] for line in told(log)].count("audit keeping failed") == 1
    keeper.look()
    assert told(log)[-1]["event"] == "audit keeping resumed"
    assert connection.execute("SELECT count(*) FROM audit_link").fetchone() == (2,)
