"""Counts of calls in PostgreSQL: written with the records, exact whoever writes and whatever is killed (SEC-57)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio

from cbss_inscription.app.volumes import VolumesInSight
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import AccessRules, AgreedVolume, Permission, VolumeWindow
from cbss_inscription.governance.journal import AuditedDecision, AuditedOutcome, AuditRecord
from cbss_inscription.governance.volumes import CountedBy, CountedTotal, VolumeKey, VolumeMeter, VolumeReached
from cbss_inscription.storage import volumes as stored
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.journal import StoredJournal
from cbss_inscription.storage.volumes import StoredVolumes

NOW = datetime(2026, 3, 31, 10, 30, tzinfo=UTC)
HOUR, DAY, MONTH = VolumeWindow
CONSULT, INSERT = Operation.CONSULT_INSCRIPTIONS, Operation.INSERT_INSCRIPTION
ROOT = Path(__file__).parents[2]
CHILD = """
import asyncio, sys
from tests.storage.test_stored_volumes import write_for_ever
asyncio.run(write_for_ever(sys.argv[1], int(sys.argv[2])))
"""


def record(
    *,
    reference: str | None = "KSZ-1",
    operation: Operation = CONSULT,
    ticket: UUID | None = None,
    code: str = "MSG00000",
    urn: str = "urn:app:one",
) -> AuditRecord:
    return AuditRecord(
        ticket_cbss=str(ticket or uuid4()),
        timestamp_receive="2026-03-01T10:00:00.000Z",
        timestamp_reply="2026-03-01T10:00:00.012Z",
        service="CBSSInscription",
        application_urn=urn,
        customer="17/1",
        legal_context="PCSA:SOCIAL_INQUIRY",
        operation=operation.value,
        decision=AuditedDecision(version=1, access_rule="UD-1", permission=reference),
        outcome=AuditedOutcome(value="OK", code=code),
    )


def permission(*volumes: AgreedVolume) -> Permission:
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


async def write_for_ever(conninfo: str, worker: int) -> None:
    """Never returns: what a worker writes that is killed in the middle of it."""
    database = Database(conninfo)
    await database.open()
    journal = StoredJournal(database, worker=worker)
    while True:
        await asyncio.gather(*(journal.write(record(), received_at=NOW) for _ in range(7)))


@pytest_asyncio.fixture
async def database(module_database: str) -> AsyncIterator[Database]:
    with psycopg.connect(module_database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE audit_record, audit_person, volume_count")
    database = Database(module_database)
    await database.open()
    yield database
    await database.close()


def counted(conninfo: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Calls and refused calls, by permission and operation."""
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(
            "SELECT permission, operation, sum(calls)::int, sum(refused)::int FROM volume_count GROUP BY 1, 2"
        ).fetchall()
    return {(reference, operation): (calls, refused) for reference, operation, calls, refused in rows}


def recorded(conninfo: str) -> int:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SELECT count(*) FROM audit_record").fetchone()
    assert row is not None
    return int(row[0])


async def test_sec_57_counts_are_exact_under_concurrent_workers(database: Database, module_database: str) -> None:
    """Workers that write at once, also in each other's name, lose and double no count (SEC-57)."""
    journals = [StoredJournal(database, worker=worker) for worker in (1, 2, 3, 3)]
    records = [
        record(
            reference=f"KSZ-{number % 3}" if number % 7 else None,
            operation=(CONSULT, INSERT)[number % 2],
            code="CBI00202" if number % 5 == 0 else "MSG00000",
        )
        for number in range(400)
    ]
    await asyncio.gather(*(journals[number % 4].write(one, received_at=NOW) for number, one in enumerate(records)))
    expected: Counter[tuple[str, str, bool]] = Counter()
    for one in records:
        assert one.decision is not None
        if one.decision.permission is not None:
            expected[one.decision.permission, str(one.operation), one.outcome.code == "CBI00202"] += 1
    assert counted(module_database) == {
        (reference, operation): (expected[reference, operation, False], expected[reference, operation, True])
        for reference, operation, _ in expected
    }


async def test_sec_57_a_record_that_is_written_again_is_counted_once(database: Database, module_database: str) -> None:
    """A group that is sent again, because its first answer was lost, counts nothing twice (SEC-57)."""
    journal, one = StoredJournal(database, worker=1), record()
    await journal.write(one, received_at=NOW)
    await asyncio.gather(journal.write(one, received_at=NOW), journal.write(record(), received_at=NOW))
    assert counted(module_database) == {("KSZ-1", "consultInscriptions"): (2, 0)}


async def test_sec_57_a_killed_worker_leaves_as_many_counts_as_records(
    database: Database, module_database: str
) -> None:
    """After kill -9 of two workers in a stream of calls, the counts are the records, not one more or less (SEC-57)."""
    del database
    workers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, module_database, str(worker), cwd=ROOT)
        for worker in (1, 2)
    ]
    while recorded(module_database) < 100:
        assert all(worker.returncode is None for worker in workers)
        await asyncio.sleep(0.02)
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
        await worker.wait()
    before = -1
    while before != recorded(module_database):  # a statement that the server still had may end after its worker
        before = recorded(module_database)
        await asyncio.sleep(0.2)
    assert counted(module_database) == {("KSZ-1", "consultInscriptions"): (before, 0)}


class _Rules:
    """An `AccessRulesSource` of one permission."""

    def __init__(self, *volumes: AgreedVolume) -> None:
        self.permission = permission(*volumes)

    def current(self) -> AccessRules:
        return AccessRules(version=1, access_rules=(), permissions=(self.permission,))


class _Told:
    """A `VolumeLog` for which nobody looks."""

    def volume_reached(self, reached: VolumeReached) -> None:
        del reached


def in_sight(database: Database, rules: _Rules, now: datetime) -> VolumesInSight:
    meter = VolumeMeter(log=_Told())
    return VolumesInSight(meter=meter, stored=StoredVolumes(database), rules=rules, clock=lambda: now)


async def test_sec_57_a_worker_sees_what_others_counted_in_each_window(database: Database) -> None:
    """A look brings the counts of the others in this hour, day and month, by operation (SEC-57)."""
    others = StoredJournal(database, worker=1)
    volumes = (
        *(AgreedVolume(window=window, limit=9) for window in VolumeWindow),
        AgreedVolume(window=MONTH, limit=9, operation=INSERT),
    )
    rules = _Rules(*volumes)
    for hours in (0, 1, 2, 10, 11, 24, 24 * 30, 24 * 31):
        operation = INSERT if hours == 2 else CONSULT
        await others.write(record(operation=operation), received_at=NOW - timedelta(hours=hours))
    sight = in_sight(database, rules, NOW)
    key = VolumeKey.of(rules.permission)

    def used() -> list[int]:
        return [sight.meter.used(key, volume, now=NOW) for volume in volumes]

    await sight.look()
    assert used() == [1, 4, 7, 1]
    await others.write(record(operation=INSERT), received_at=NOW)
    await sight.look()
    assert used() == [2, 5, 8, 2]


async def test_sec_57_any_number_of_permissions_is_seen(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions beyond what one query adds up are seen like the others, each with its own counts (SEC-57)."""
    monkeypatch.setattr(stored, "KEYS_AT_ONCE", 2)
    journal = StoredJournal(database, worker=1)
    for number in range(5):
        for _ in range(number):
            await journal.write(record(reference=f"KSZ-{number}"), received_at=NOW - timedelta(hours=5))
    keys = [VolumeKey(f"KSZ-{number}", "17/1") for number in range(5)]
    counts = await StoredVolumes(database).settled(keys, until=NOW, but=2)
    assert {count.key.permission: count.calls for count in counts} == {
        f"KSZ-{number}": number for number in (1, 2, 3, 4)
    }


async def test_sec_57_the_own_calls_of_a_worker_are_not_counted_twice(database: Database) -> None:
    """What a worker admitted and what it wrote of that are the same calls (SEC-57)."""
    rules = _Rules(AgreedVolume(window=DAY, limit=3))
    sight = in_sight(database, rules, NOW)
    journal = StoredJournal(database, worker=sight.meter.worker)
    answers = []
    for _ in range(4):
        await sight.look()
        answers.append(sight.meter.admit(rules.permission, CONSULT, now=NOW))
        await journal.write(record(code="CBI00202" if answers[-1] else "MSG00000"), received_at=NOW)
    assert answers == [None, None, None, rules.permission.volumes[0]]


async def test_sec_57_workers_that_look_go_beyond_a_limit_by_no_more_than_was_unseen(database: Database) -> None:
    """Three workers that look after each fourth call admit at most 3 × 4 calls less one more than agreed (SEC-57)."""
    rules, admitted = _Rules(AgreedVolume(window=HOUR, limit=30)), 0
    sights = [in_sight(database, rules, NOW) for _ in range(3)]
    journals = [StoredJournal(database, worker=sight.meter.worker) for sight in sights]
    for _ in range(8):
        for sight in sights:
            await sight.look()
        for _ in range(4):
            for sight, journal in zip(sights, journals, strict=True):
                refused = sight.meter.admit(rules.permission, CONSULT, now=NOW)
                admitted += refused is None
                await journal.write(record(code="CBI00202" if refused else "MSG00000"), received_at=NOW)
    assert 30 <= admitted <= 30 + 2 * 4
    (total,) = await StoredVolumes(database).totals(CountedBy.PERMISSION, since=NOW - timedelta(1), until=NOW)
    assert (total.calls, total.refused) == (admitted, 96 - admitted)


async def test_sec_57_a_restarted_worker_goes_on_where_it_was(database: Database) -> None:
    """After a restart the first look brings what was admitted before (SEC-57)."""
    rules = _Rules(AgreedVolume(window=MONTH, limit=2))
    first = in_sight(database, rules, NOW)
    journal = StoredJournal(database, worker=first.meter.worker)
    for _ in range(2):
        assert first.meter.admit(rules.permission, CONSULT, now=NOW) is None
        await journal.write(record(), received_at=NOW)
    second = in_sight(database, rules, NOW)
    await second.look()
    assert second.meter.admit(rules.permission, CONSULT, now=NOW) is not None


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (CountedBy.APPLICATION, {"urn:app:one": 3, "urn:app:two": 1}),
        (CountedBy.CUSTOMER, {"17/1": 4}),
        (CountedBy.LEGAL_CONTEXT, {"PCSA:SOCIAL_INQUIRY": 4}),
        (CountedBy.OPERATION, {"consultInscriptions": 3, "insertInscription": 1}),
        (CountedBy.PERMISSION, {"KSZ-1 for 17/1": 3, "KSZ-2 for 17/1": 1}),
        (CountedBy.MONTH, {"2026-03": 3, "2026-02": 1}),
    ],
)
async def test_sec_57_counts_are_added_up_by_what_is_asked(
    database: Database, by: CountedBy, names: dict[str, int]
) -> None:
    """A report adds up by application, customer, legal context, operation, permission or month (SEC-57)."""
    journal = StoredJournal(database, worker=1)
    await journal.write(record(), received_at=NOW)
    await journal.write(record(operation=INSERT), received_at=NOW)
    await journal.write(record(urn="urn:app:two"), received_at=NOW - timedelta(days=40))
    await journal.write(record(reference="KSZ-2"), received_at=NOW - timedelta(hours=2))
    await journal.write(record(code="CBI00202"), received_at=NOW)
    await journal.write(record(), received_at=NOW - timedelta(days=400))
    totals = await StoredVolumes(database).totals(by, since=NOW - timedelta(days=300), until=NOW + timedelta(hours=1))
    assert {total.name: total.calls for total in totals} == names
    assert sum(total.refused for total in totals) == 1
    assert totals == sorted(totals, key=lambda total: (-total.calls, total.name))
    assert isinstance(totals[0], CountedTotal)


async def test_sec_57_the_fullest_window_is_found(database: Database) -> None:
    """Against an agreed volume stands its fullest window, and what was refused in all (SEC-57)."""
    journal, key = StoredJournal(database, worker=1), VolumeKey("KSZ-1", "17/1")
    for hours, code in ((0, "MSG00000"), (26, "MSG00000"), (27, "MSG00000"), (0, "CBI00202"), (80, "CBI00202")):
        await journal.write(record(code=code), received_at=NOW - timedelta(hours=hours))
    stored, span = StoredVolumes(database), {"since": NOW - timedelta(days=9), "until": NOW}
    day = await stored.fullest(key, AgreedVolume(window=DAY, limit=9), **span)
    assert day is not None
    assert (day.start, day.calls, day.refused) == (datetime(2026, 3, 30, tzinfo=UTC), 2, 2)
    assert await stored.fullest(key, AgreedVolume(window=DAY, limit=9, operation=INSERT), **span) is None
