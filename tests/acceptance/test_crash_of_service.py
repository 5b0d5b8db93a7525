"""The service is killed while applications write: what they send again with the same ticket is done once (rule 38)."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from cbss_inscription.app.keeping import JournalKeeper
from cbss_inscription.app.settings import Settings, read_settings
from cbss_inscription.app.telemetry import SupervisorLog
from cbss_inscription.client import CallFailed, InscriptionClient, Period, Profile
from cbss_inscription.governance.journal import read_audit_keys
from cbss_inscription.storage.journal_reading import one_moment_of, verify_journal
from tests.acceptance.sandbox_processes import await_gone, family_of, listeners_of, postgres_of, started
from tests.conftest import RunningSandbox, free_port, stop_process

WRITERS = 4
ANSWERED_BEFORE_EACH_KILL = 25
KILLS_OF_A_WORKER = 2
PATIENCE_SECONDS = 60.0
CALL_SECONDS_MAX = 3.0
"""An application that waits for a service which is gone asks again after that."""
DAYS_OF_A_WRITER = 400
"""More than one can write before the test ends."""
CONTEXT = "PCSA:LIVING_WAGE"
SCENARIOS = ("nr_active", "bis_active", "rad_active", "accents")
MONDAY = date(2026, 1, 5)

left_sockets = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""A kill between connection and handshake makes Python's wrap_socket leave the socket to the garbage collector."""


@dataclass
class Log:
    """What the writers were answered: ticket -> the codes of the anomalies, and which day each ticket inserted."""

    answers: dict[str, set[str]] = field(default_factory=dict)
    days: dict[str, tuple[str, date]] = field(default_factory=dict)
    acknowledged: set[UUID] = field(default_factory=set)
    """The service's own tickets of the answers that arrived."""
    failures: list[BaseException] = field(default_factory=list)


def write_on(profile: Profile, ssin: str, first: int, log: Log, stopped: threading.Event) -> None:
    """Inserts a day after the other, each under a ticket of its own, and each again until there is an answer."""
    try:
        number = first
        while not stopped.is_set():
            ticket, day = str(uuid4()), MONDAY + timedelta(days=2 * number)
            log.days[ticket] = (ssin, day)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while ticket not in log.answers:
                try:
                    with InscriptionClient(profile) as client:
                        answer = client.insert_inscription(
                            ssin,
                            inscription_context=CONTEXT,
                            period=Period(begin_date=day, end_date=day),
                            ticket=ticket,
                        )
                except CallFailed:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                else:
                    assert answer.result.status.code == "MSG00000"
                    assert day in {line.period.begin_date for line in answer.result.inscriptions}
                    assert answer.information_cbss is not None
                    log.acknowledged.add(answer.information_cbss.ticket_cbss)
                    log.answers[ticket] = {anomaly.code.value for anomaly in answer.result.anomalies}
            number += 1
    except BaseException as error:
        log.failures.append(error)


@contextmanager
def writers(sandbox: RunningSandbox, first: int, log: Log, *, count: int = WRITERS) -> Iterator[None]:
    """Inside, applications write all the time, each on days of its own."""
    stopped = threading.Event()
    profile = msgspec.structs.replace(sandbox.profile(), timeout_seconds=CALL_SECONDS_MAX)
    threads = [
        threading.Thread(
            target=write_on,
            args=(
                profile,
                sandbox.ssin(SCENARIOS[number % len(SCENARIOS)]),
                first + number // len(SCENARIOS) * DAYS_OF_A_WRITER,
                log,
                stopped,
            ),
        )
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)


def await_answers(log: Log, count: int) -> None:
    """Nothing, once so many declarations were answered."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(log.answers) < count:
        assert not log.failures, log.failures
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _recover(settings: Settings) -> None:
    """Nothing; what the service's own keeper does after a quarter of an hour is done, whatever it is at meanwhile."""
    hurried = msgspec.structs.replace(
        settings, limits=msgspec.structs.replace(settings.limits, answer_seconds_max=0.001)
    )
    with psycopg.connect(settings.database, autocommit=True) as connection:
        (since,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            keeper = JournalKeeper(hurried, log=SupervisorLog(io.BytesIO()), recover_grace_seconds=0.0)
            keeper.look()
            keeper.stop()
            (until,) = connection.execute("SELECT recovered_until FROM audit_chain").fetchone() or (None,)
            if until > since:  # another keeper had the chain in hand
                return
            time.sleep(0.1)
    pytest.fail("nothing was recovered")


def check_journal(sandbox: RunningSandbox, log: Log) -> None:
    """Nothing; each answer has one record, each effect has one, and the chain over all of them verifies (SEC-71)."""
    settings = read_settings(sandbox.directory / "settings.toml")
    _recover(settings)
    keys = read_audit_keys(Path(settings.audit.keys).read_bytes(), origin="keys")
    with one_moment_of(settings.database) as connection:
        recorded = Counter(one for (one,) in connection.execute("SELECT ticket_cbss FROM audit_ticket"))
        effects = {one for (one,) in connection.execute("SELECT ticket_cbss FROM inscription_history")}
        lost = connection.execute("SELECT count(*) FROM audit_record WHERE content LIKE '%UNANSWERED%'").fetchone()
        verifier = verify_journal(connection, trust=None, keys=keys)
    assert verifier.findings == []
    assert verifier.record_count == recorded.total() == len(recorded)
    assert log.acknowledged <= recorded.keys()
    assert effects <= recorded.keys()
    assert lost is not None
    assert len(log.acknowledged) + int(lost[0]) <= len(recorded)


@pytest.mark.long
@left_sockets
def test_rule_38_what_a_killed_service_left_unanswered_is_done_once_when_it_is_sent_again(directory: Path) -> None:
    """kill -9 of workers, of PostgreSQL, of everything: one answer, one effect, one record (rule 37, SEC-71)."""
    arguments = ("--port", str(free_port()), "--persons", "100", "--workers", "2")
    log = Log()
    sandbox = started(directory, *arguments)
    with writers(sandbox, 0, log):
        for _ in range(KILLS_OF_A_WORKER):
            await_answers(log, len(log.answers) + ANSWERED_BEFORE_EACH_KILL)
            listeners = listeners_of(family_of(directory))
            parents = {process.parent for process in listeners}
            worker = min(process.number for process in listeners if process.number not in parents)
            os.kill(worker, signal.SIGKILL)
        await_answers(log, len(log.answers) + ANSWERED_BEFORE_EACH_KILL)
        # Now everything at once, PostgreSQL first; a new sandbox takes up what the old one left.
        family = family_of(directory)
        for process in sorted(family, key=lambda process: process not in postgres_of(family)):
            with suppress(ProcessLookupError):  # some end by themselves when another does
                os.kill(process.number, signal.SIGKILL)
        sandbox.process.wait()
        await_gone(family, directory)
        sandbox = started(directory, *arguments)
        await_answers(log, len(log.answers) + ANSWERED_BEFORE_EACH_KILL)
    assert not log.failures, log.failures
    try:
        with psycopg.connect(sandbox.manifest["database"]) as connection:
            effects = connection.execute(
                "SELECT customer_ticket, count(*) FROM inscription_history GROUP BY customer_ticket"
            ).fetchall()
            lines = connection.execute("SELECT lpad(ssin::text, 11, '0'), periods FROM inscription").fetchall()
        check_journal(sandbox, log)
    finally:
        stop_process(sandbox.process)
    assert dict(effects) == dict.fromkeys(log.answers, 1)
    there = {(ssin, part.lower) for ssin, periods in lines for part in periods}
    assert {log.days[ticket] for ticket in log.answers} == there


@pytest.mark.long
@left_sockets
def test_sec_71_no_record_is_lost_or_doubled_by_crashes(directory: Path) -> None:
    """A hundred writers, kill -9 of workers and of PostgreSQL again and again: nothing lost, nothing twice (SEC-71)."""
    arguments = ("--port", str(free_port()), "--persons", "100", "--workers", "2")
    log = Log()
    sandbox = started(directory, *arguments)
    with writers(sandbox, 0, log, count=100):
        for turn in range(6):
            await_answers(log, len(log.answers) + 4 * ANSWERED_BEFORE_EACH_KILL)
            if turn % 3 == 2:
                family = family_of(directory)
                for process in sorted(family, key=lambda process: process not in postgres_of(family)):
                    with suppress(ProcessLookupError):
                        os.kill(process.number, signal.SIGKILL)
                sandbox.process.wait()
                await_gone(family, directory)
                sandbox = started(directory, *arguments)
            else:
                listeners = listeners_of(family_of(directory))
                parents = {process.parent for process in listeners}
                os.kill(min(one.number for one in listeners if one.number not in parents), signal.SIGKILL)
    assert not log.failures, log.failures
    try:
        check_journal(sandbox, log)
    finally:
        stop_process(sandbox.process)
