"""The database's own disk is full while a batch is taken in, and while it is worked on (rules 35, 37, 50)."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest

from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.migration import migrate
from cbss_inscription.storage.population import load_population
from tests.batch.test_batch_crash import (
    LINES,
    PERSONS,
    SECONDS_MAX,
    check_everything,
    kill,
    start_submitter,
    start_worker,
    write_settings,
)
from tests.conftest import PG_BIN, SmallDisk
from tests.repertory.office import person_of

LITTLE_LOG = {"max_wal_size": "64MB", "min_wal_size": "32MB"}
LEFT_BYTES_INTAKE = 100_000
"""Less than the lines of the batch take, packed."""
LEFT_BYTES_WORK = 8_000_000
"""Enough for a part of the batch."""


@pytest.mark.long
def test_rule_37_a_full_disk_of_the_database_holds_a_batch_up_and_costs_nothing(
    small_disk: SmallDisk, tmp_path: Path
) -> None:
    """Without room a batch is not taken in, and nothing of it is there; one that is worked on waits, workers stay
    alive, and with room again every line has one answer, one effect and one record (rules 35, 37, 50).
    """
    log = tmp_path / "log"
    with EmbeddedServer(small_disk.path / "database", binaries=PG_BIN, settings=LITTLE_LOG) as server:
        conninfo = server.connection_string
        migrate(conninfo)
        load_population(conninfo, [person_of(n) for n in range(1, PERSONS + 1)], recipe="test")
        settings = write_settings(tmp_path, conninfo)
        with small_disk.filled(left_bytes=LEFT_BYTES_INTAKE):
            assert start_submitter(conninfo, log).wait(SECONDS_MAX) != 0
        go_on(server)
        assert "TemporarilyUnavailable" in log.read_text(encoding="utf-8")
        assert count(conninfo, "batch") == count(conninfo, "batch_chunk") == 0

        assert start_submitter(conninfo, log).wait(SECONDS_MAX) == 0
        workers = [start_worker(settings, log) for _ in range(2)]
        try:
            with small_disk.filled(left_bytes=LEFT_BYTES_WORK):
                wait_for("work failed", log)
                assert [worker.poll() for worker in workers] == [None, None]
            go_on(server)
            wait_for_end(conninfo, log)
            assert [worker.poll() for worker in workers] == [None, None]
        finally:
            for worker in workers:
                kill(worker)
        check_everything(conninfo, LINES)


def go_on(server: EmbeddedServer) -> None:
    """Nothing; the server answers, whether or not it could go on without room for its log."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        try:
            if server.crashed:
                server.start()
            psycopg.connect(server.connection_string).close()
        except psycopg.OperationalError:  # it recovers
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def count(conninfo: str, table: str) -> int:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(table)))
        ((rows,),) = row.fetchall()
        return int(rows)


def wait_for(text: str, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while text not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for_end(conninfo: str, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    with psycopg.connect(conninfo, autocommit=True) as connection:
        while connection.execute("SELECT state FROM batch").fetchall() != [("done",)]:
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-4_000:]
            time.sleep(0.1)
