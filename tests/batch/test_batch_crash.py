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

LINES, PERSONS, CHUNK_LINES, WORKERS = 6_000, 300, 20, 2
SEEDS = (1, 2, 3)
KILLS = 25
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


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_rule_37_every_line_is_done_once_whatever_is_killed(
    reachable_directory: Path, tmp_path: Path, seed: int
) -> None:
    """However often workers, submitters and the database are killed, in the end every line has one answer, one effect,
    one change in the history and one record, and all under the same ticket (rules 35, 37, 50).
    """
    chance, log = random.Random(seed), tmp_path / "log"
    with EmbeddedServer(reachable_directory / f"crash{seed}", binaries=PG_BIN) as server:
        migrate(server.connection_string)
        load_population(server.connection_string, [person_of(n) for n in range(1, PERSONS + 1)], recipe="test")
        settings = write_settings(tmp_path, server.connection_string)
        workers = [start_worker(settings, log) for _ in range(WORKERS)]
        submitter = start_submitter(server.connection_string, log)
        try:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0.05, 1.5))
                reading = "submitter" if submitter.poll() is None else "worker"
                match chance.choice(("worker", "worker", reading, "database")):
                    case "worker":
                        kill(workers.pop(0))
                        workers.append(start_worker(settings, log))
                    case "submitter":
                        kill(submitter)
                        submitter = start_submitter(server.connection_string, log)
                    case _:
                        assert server.process_id is not None
                        os.kill(server.process_id, signal.SIGKILL)
                        while not server.crashed:
                            time.sleep(0.01)
                        server.start()
                for place, worker in enumerate(workers):
                    if worker.poll() is not None:  # it began while there was no database
                        workers[place] = start_worker(settings, log)
            while submitter.wait() != 0:
                submitter = start_submitter(server.connection_string, log)
            wait_for_end(server.connection_string, workers, settings, log)
        finally:
            for process in (*workers, submitter):
                kill(process)
        check_everything(server.connection_string)


def wait_for_end(conninfo: str, workers: list[subprocess.Popen[bytes]], settings: Path, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    with psycopg.connect(conninfo, autocommit=True) as connection:
        while connection.execute("SELECT state FROM batch").fetchall() != [("done",)]:
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-4000:]
            for place, worker in enumerate(workers):
                if worker.poll() is not None:
                    workers[place] = start_worker(settings, log)
            time.sleep(0.1)


def check_everything(conninfo: str) -> None:
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
    assert [number for number, _, _ in answered] == list(range(1, LINES + 1))
    assert {code for _, code, _ in answered} == {"MSG00000"}
    tickets = {ticket: f"line {number}" for number, _, ticket in answered}
    assert len(tickets) == LINES
    with psycopg.connect(conninfo) as connection:

        def rows(query: str) -> list[tuple[object, ...]]:
            return connection.execute(query).fetchall()

        assert rows("SELECT sum(period_count(periods)) FROM inscription") == [(LINES,)]
        assert dict(rows("SELECT ticket_cbss::text, customer_ticket FROM inscription_history")) == tickets
        assert rows("SELECT count(*) FROM inscription_history") == [(LINES,)]
        records = Counter(
            json.loads(str(content))["ticket_cbss"] for (content,) in rows("SELECT content FROM audit_record")
        )
        assert records == Counter(dict.fromkeys(tickets, 1))
        assert rows("SELECT count(*) FROM audit_person") == [(LINES,)]
        assert rows("SELECT count(*) FROM answered_declaration") == [(LINES,)]
        assert rows("SELECT sum(calls) FROM volume_count") == [(LINES,)]
