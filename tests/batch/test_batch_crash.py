"""kill -9 of workers, submitters and the database at random moments: every line is done once (rules 35, 37)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from cbss_inscription.batch.answers import answers
from cbss_inscription.governance.access import write_access_rules
from cbss_inscription.governance.journal import new_audit_keys
from cbss_inscription.storage.batches import StoredBatches
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.migration import migrate
from cbss_inscription.storage.population import load_population
from tests.batch.works import RULES_OF_OFFICE, RulesGiven, digest_of, header, insertion
from tests.conftest import PG_BIN
from tests.repertory.office import CALLER, OWN, person_of, ssin_of

LINES, PERSONS, CHUNK_LINES, WORKERS = 36_000, 900, 20, 2
"""Small chunks, and so many that they are worked on for as long as what does it is killed."""
SEEDS = (1, 2, 3)
KILLS = 25
KILLS_OF_CANCELED = 8
SECONDS_MAX = 300
SUBMIT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.batch.test_batch_crash import submit
submit(sys.argv[1])
"""


def submit(conninfo: str) -> None:
    """Submits the batch of the test: each line adds a day of its own to one of the persons."""
    from cbss_inscription.batch.intake import BatchIntake

    lines = (
        insertion(
            number,
            ssin_of(1 + number % PERSONS).digits,
            date(2000, 1, 1) + timedelta(2 * (number // PERSONS)),
            ticket=f"line {number}",
        )
        for number in range(1, LINES + 1)
    )
    intake = BatchIntake(conninfo, rules=RulesGiven(RULES_OF_OFFICE), chunk_lines=CHUNK_LINES)
    intake.submit(header(), digest=digest_of(), caller=CALLER, lines=lines)


def write_settings(directory: Path, conninfo: str) -> Path:
    """The settings of a façade whose workers give way to nobody."""
    (directory / "rules.yaml").write_bytes(write_access_rules(RULES_OF_OFFICE))
    (directory / "audit.toml").write_bytes(new_audit_keys("k"))
    path = directory / "facade.toml"
    path.write_text(
        f'environment = "{CALLER.environment}"\npublic_url = "https://localhost"\ndatabase = "{conninfo}"\n'
        'access_rules = "rules.yaml"\n[tls]\ncertificate = "none"\nprivate_key = "none"\n'
        '[trust]\napplication_authorities = "none"\n[audit]\nkeys = "audit.toml"\n[batch]\nshare = 1\n',
        encoding="utf-8",
    )
    return path


def start_worker(settings: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cbss_inscription.cli.main", "batch", "work", "--settings", str(settings)]
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out)


def start_submitter(conninfo: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen([sys.executable, "-c", SUBMIT, conninfo], stdout=out, stderr=out)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def start_canceling(settings: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cbss_inscription.cli.main", "batch", "cancel", f"{OWN.key}#1"]
    with log.open("ab") as out:
        return subprocess.Popen([*command, "--settings", str(settings)], stdout=out, stderr=out)


class Campaign:
    """A batch that is submitted, and worked on, while chance kills what has to do with it."""

    def __init__(self, server: EmbeddedServer, directory: Path, *, seed: int) -> None:
        self.chance = random.Random(seed)
        self.log = directory / "log"
        self._server = server
        self._settings = write_settings(directory, server.connection_string)
        self._workers = [start_worker(self._settings, self.log) for _ in range(WORKERS)]
        self._submitter = start_submitter(server.connection_string, self.log)
        self._canceling: subprocess.Popen[bytes] | None = None

    @property
    def is_submitted(self) -> bool:
        return self._submitter.poll() == 0

    def begin_canceling(self) -> None:
        self._canceling = start_canceling(self._settings, self.log)

    def kill_one(self) -> None:
        """Nothing; something was killed after a while, and all that is to run does again."""
        time.sleep(self.chance.uniform(0.05, 1.5))
        other = "submitter" if self._submitter.poll() is None else "canceling" if self._canceling else "worker"
        match self.chance.choice(("worker", "worker", other, "database")):
            case "worker":
                kill(self._workers.pop(0))
                self._workers.append(start_worker(self._settings, self.log))
            case "submitter":
                kill(self._submitter)
            case "canceling":
                assert self._canceling is not None
                kill(self._canceling)
            case _:
                assert self._server.process_id is not None
                os.kill(self._server.process_id, signal.SIGKILL)
                while not self._server.crashed:
                    time.sleep(0.01)
                self._server.start()
        self.start_what_ended()

    def start_what_ended(self) -> None:
        """Nothing; what was killed, or met no database, is there again."""
        for place, worker in enumerate(self._workers):
            if worker.poll() is not None:
                self._workers[place] = start_worker(self._settings, self.log)
        if self._submitter.poll() not in {None, 0}:
            self._submitter = start_submitter(self._server.connection_string, self.log)
        if self._canceling is not None and self._canceling.poll() not in {None, 0}:
            self.begin_canceling()

    def wait_for_end(self, state: str) -> None:
        """Nothing; the batch is in this state, and nobody is killed meanwhile."""
        deadline = time.monotonic() + SECONDS_MAX
        with psycopg.connect(self._server.connection_string, autocommit=True) as connection:
            while (found := connection.execute("SELECT state FROM batch").fetchall()) != [(state,)]:
                assert found in ([], [("running",)], [("canceling",)])
                assert time.monotonic() < deadline, self.log.read_text(encoding="utf-8")[-4000:]
                self.start_what_ended()
                time.sleep(0.1)

    def wait_for_answers(self, count: int) -> None:
        """Nothing; so many lines are answered, and nobody is killed meanwhile."""
        deadline = time.monotonic() + SECONDS_MAX
        with psycopg.connect(self._server.connection_string, autocommit=True) as connection:
            while connection.execute("SELECT coalesce(sum(lines_answered), 0) FROM batch_chunk").fetchall() < [
                (count,)
            ]:
                assert time.monotonic() < deadline, self.log.read_text(encoding="utf-8")[-4000:]
                time.sleep(0.01)

    def end(self) -> None:
        """Nothing; all of its processes are gone."""
        for process in (*self._workers, self._submitter, self._canceling):
            if process is not None:
                kill(process)


@contextmanager
def campaign(reachable_directory: Path, directory: Path, *, seed: int) -> Iterator[tuple[Campaign, str]]:
    """A campaign on a server of its own, and where that is."""
    with EmbeddedServer(reachable_directory / f"crash{seed}", binaries=PG_BIN) as server:
        migrate(server.connection_string)
        load_population(server.connection_string, [person_of(n) for n in range(1, PERSONS + 1)], recipe="test")
        running = Campaign(server, directory, seed=seed)
        try:
            yield running, server.connection_string
        finally:
            running.end()


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_rule_37_every_line_is_done_once_whatever_is_killed(
    reachable_directory: Path, tmp_path: Path, seed: int
) -> None:
    """However often workers, submitters and the database are killed, in the end every line has one answer, one effect,
    one change in the history and one record, and all under the same ticket (rules 35, 37, 50).
    """
    with campaign(reachable_directory, tmp_path, seed=seed) as (running, conninfo):
        for _ in range(KILLS):
            running.kill_one()
        running.wait_for_end("done")
        check_everything(conninfo, LINES)


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_rule_37_canceling_leaves_a_stated_cut_whatever_is_killed(
    reachable_directory: Path, tmp_path: Path, seed: int
) -> None:
    """Canceled at a random moment, while workers are at it and those, the database and who cancels are killed, a batch
    ends at a line that it states: each line up to it has one answer, one effect, one change in the history and one
    record, and none behind it has any (rules 35, 37, 50).
    """
    with campaign(reachable_directory, tmp_path, seed=100 + seed) as (running, conninfo):
        while not running.is_submitted:
            running.kill_one()
        running.wait_for_answers(running.chance.randrange(LINES // 4))
        running.begin_canceling()
        for _ in range(KILLS_OF_CANCELED):
            running.kill_one()
        running.wait_for_end("canceled")
        with psycopg.connect(conninfo) as connection:
            ((cut,),) = connection.execute("SELECT cut_after FROM batch").fetchall()
        assert 0 <= cut < LINES
        check_everything(conninfo, cut)


def check_everything(conninfo: str, line_count: int) -> None:
    """Returns when the first so many lines were done, each of them once, and no other one was."""

    async def read() -> list[tuple[int, str, str]]:
        database = Database(conninfo, connections_max=1)
        await database.open()
        try:
            batches = StoredBatches(database)
            batch_id = await batches.find(OWN, 1)
            assert batch_id is not None
            return [
                (line.number, answer.code, str(UUID(bytes=answer.ticket_cbss)))
                async for block in answers(batches, batch_id)
                for line, answer in block
            ]
        finally:
            await database.close()

    answered = asyncio.run(read())
    assert [number for number, _, _ in answered] == list(range(1, line_count + 1))
    assert {code for _, code, _ in answered} <= {"MSG00000"}
    tickets = {ticket: f"line {number}" for number, _, ticket in answered}
    assert len(tickets) == line_count
    with psycopg.connect(conninfo) as connection:

        def rows(query: str) -> list[tuple[object, ...]]:
            return connection.execute(query).fetchall()

        assert rows("SELECT coalesce(sum(period_count(periods)), 0) FROM inscription") == [(line_count,)]
        assert dict(rows("SELECT ticket_cbss::text, customer_ticket FROM inscription_history")) == tickets
        assert rows("SELECT count(*) FROM inscription_history") == [(line_count,)]
        records = Counter(
            json.loads(str(content))["ticket_cbss"] for (content,) in rows("SELECT content FROM audit_journal")
        )
        assert records == Counter(dict.fromkeys(tickets, 1))
        assert rows(
            "SELECT count(*) FROM (SELECT DISTINCT unnest(person_hashes) FROM audit_chunk) AS known (hash)"
            " CROSS JOIN audit_records_found_by(ARRAY[hash], NULL, NULL)"
        ) == [(line_count,)]
        assert rows("SELECT count(*) FROM answered_declaration") == [(line_count,)]
        assert rows("SELECT coalesce(sum(calls), 0) FROM volume_count") == [(line_count,)]
