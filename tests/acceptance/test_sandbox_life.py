"""The life of a sandbox as a process: start, second start, restart, stop, kill; nothing of it stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest

from cbss_inscription.client import CallFailed, InscriptionClient, Period
from cbss_inscription.storage.embedded_server import EmbeddedServer
from tests.acceptance.conftest import Command
from tests.acceptance.sandbox_processes import (
    FEW,
    await_gone,
    family_of,
    listeners_of,
    postgres_of,
    started,
)
from tests.conftest import START_SECONDS_MAX, STOP_SECONDS_MAX, RunningSandbox, free_port, stop_process

CONTEXT = "PCSA:LIVING_WAGE"
NEW_YEAR = Period(begin_date=date(2026, 1, 1))


def said_by(directory: Path) -> str:
    """All that a sandbox in this directory has printed."""
    return directory.with_suffix(".out").read_text(encoding="utf-8")


def answer_of(sandbox: RunningSandbox, ssin: str) -> tuple[str, int]:
    """The code and the number of lines of a consultation."""
    with InscriptionClient(sandbox.profile()) as client:
        result = client.consult_inscriptions(ssin).result
    return result.status.code.value, len(result.inscriptions)


def last_sentence(text: str) -> str:
    """The one sentence of a command that failed after it told its steps."""
    assert "Traceback" not in text
    (sentence,) = [line for line in text.splitlines() if line.startswith("cbss-inscription: ")]
    assert text.splitlines()[-1] == sentence
    return sentence


# -- tests -------------------------------------------------------------------------------------------------------------


def test_a_sandbox_from_its_first_start_to_its_last(
    directory: Path, reachable_directory: Path, process: Command
) -> None:
    """One directory: second start refused, SIGTERM, restart keeps all, kills of each process, another seed, kill -9."""
    # First start; an inscription is made.
    first = started(directory)
    ssin = first.ssin("nr_active")
    with InscriptionClient(first.profile()) as client:
        assert client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR).result.inscriptions
    certificates = {file.name: file.read_bytes() for file in first.path("pki").iterdir()}

    # A second start in the same directory, and one elsewhere on the same port, are refused; the first answers on.
    again = process("sandbox", "--directory", directory, *FEW)
    assert again.exit_code == 2
    assert str(directory) in last_sentence(again.err)
    port = first.url.split(":")[2].split("/")[0]
    elsewhere = reachable_directory / "elsewhere"
    taken = process("sandbox", "--directory", elsewhere, "--port", port, "--persons", "100")
    assert taken.exit_code == 2
    assert f"port {port}" in last_sentence(taken.err)
    assert not (elsewhere / "sandbox.json").exists()
    assert family_of(elsewhere) == set()
    assert answer_of(first, ssin) == ("MSG00000", 1)
    assert json.loads((directory / "sandbox.json").read_bytes()) == first.manifest

    # SIGTERM: status 0, nothing left.
    family = family_of(directory)
    assert postgres_of(family)
    assert len(listeners_of(family)) >= 2
    assert stop_process(first.process) == 0
    assert "Stopped." in said_by(directory)
    await_gone(family, directory)

    # Restart: inscriptions and certificates are kept.
    second = started(directory)
    assert answer_of(second, ssin) == ("MSG00000", 1)
    assert {file.name: file.read_bytes() for file in second.path("pki").iterdir()} == certificates

    # A worker that is killed is replaced: the façade answers again, and the sandbox goes on.
    numbers = {process.number for process in listeners_of(family_of(directory))}
    worker = next(process for process in listeners_of(family_of(directory)) if process.parent in numbers)
    os.kill(worker.number, signal.SIGKILL)
    for _ in range(100):
        with contextlib.suppress(CallFailed):
            assert answer_of(second, ssin) == ("MSG00000", 1)
            break
        time.sleep(0.1)
    else:
        pytest.fail("the façade does not answer after a worker was killed")
    assert second.process.poll() is None

    # A listener that is killed ends the sandbox, with a sentence.
    family = family_of(directory)
    numbers = {process.number for process in listeners_of(family)}
    (listener,) = [process for process in listeners_of(family) if process.parent not in numbers]
    os.kill(listener.number, signal.SIGKILL)
    assert second.process.wait(timeout=STOP_SECONDS_MAX) == 4
    assert "façade ended" in last_sentence(said_by(directory))
    await_gone(family, directory)

    # Another seed takes nobody's inscriptions away, unless told so.
    refused = process("sandbox", "--directory", directory, *FEW, "--seed", "2")
    assert refused.exit_code == 2
    assert "changes of inscriptions (1), events of numbers (0), mutations (0)" in last_sentence(refused.err)
    assert "--anew" in last_sentence(refused.err)

    # Another seed, and consent: other persons, no inscription, the same certificates.
    third = started(directory, *FEW, "--seed", "2", "--anew")
    assert "its inscriptions, history and mutations too" in said_by(directory)
    assert third.ssin("nr_active") != ssin
    assert answer_of(third, ssin)[0] in {"MSG00005", "MSG00100"}
    with psycopg.connect(third.manifest["database"]) as connection:
        assert connection.execute("SELECT count(*) FROM person").fetchone() == (100,)
        assert connection.execute("SELECT count(*) FROM inscription").fetchone() == (0,)
    assert {file.name: file.read_bytes() for file in third.path("pki").iterdir()} == certificates

    # kill -9: listeners and PostgreSQL go by themselves.
    ssin = third.ssin("nr_active")
    with InscriptionClient(third.profile()) as client:
        client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR)
    family = family_of(directory)
    third.process.kill()
    third.process.wait()
    await_gone(family, directory)

    # What was answered with OK before the kill is there after it; a PostgreSQL that is killed ends the sandbox.
    fourth = started(directory, *FEW, "--seed", "2")
    assert answer_of(fourth, ssin) == ("MSG00000", 1)
    family = family_of(directory)
    numbers = {process.number for process in postgres_of(family)}
    (postmaster,) = [process for process in postgres_of(family) if process.parent not in numbers]
    os.kill(postmaster.number, signal.SIGKILL)
    assert fourth.process.wait(timeout=STOP_SECONDS_MAX) == 4
    assert "PostgreSQL ended" in last_sentence(said_by(directory))
    await_gone(family, directory)


def test_once_proves_itself(directory: Path, process: Command) -> None:
    """`--once` prints a table with the inserted line and DATA_FOUND, exits with 0 and leaves nothing running."""
    done = process("sandbox", "--directory", directory, *FEW, "--once")
    assert done.exit_code == 0
    assert "Traceback" not in done.err
    inserted, consulted = done.out.split("consultInscriptions")
    assert "OK  MSG00000" in inserted
    assert "DATA_FOUND  MSG00000" in consulted
    for part in (inserted, consulted):
        assert re.search(r"│ PCSA:DEFINITIVE +│ \d{4}-\d\d-\d\d │ …  │", part)
    assert family_of(directory) == set()


@pytest.fixture
def empty_database(postgresql: EmbeddedServer, request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Makes databases with nothing in them, not even the schema."""
    made: list[str] = []

    def make(name: str) -> str:
        with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        made.append(name)
        return psycopg.conninfo.make_conninfo(postgresql.connection_string, dbname=name)

    yield make
    with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_an_external_database_is_used_and_a_facade_runs_alone_on_it(
    directory: Path, empty_database: Callable[[str], str], process: Command
) -> None:
    """`--database` starts no PostgreSQL and ends at SIGINT with 0; then `facade --settings` serves alone."""
    database = empty_database("external")
    plain_port = str(free_port())
    with_database = (*FEW, "--database", database, "--plain-port", plain_port)
    running = started(directory, *with_database)
    assert running.manifest["database"] == database
    assert not (directory / "postgresql").exists()
    ssin = running.ssin("nr_active")
    with InscriptionClient(running.profile()) as client:
        client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR)
    family = family_of(directory)
    assert postgres_of(family) == set()
    assert stop_process(running.process, signal.SIGINT) == 0
    await_gone(family, directory)

    # Another population would replace what an outside database holds: refused, and left as it is.
    other = process("sandbox", "--directory", directory, *with_database, "--seed", "2")
    assert other.exit_code == 2
    assert "population" in last_sentence(other.err)

    # The façade alone, from the settings that the sandbox wrote.
    settings = directory / "settings.toml"
    facade = subprocess.Popen(
        [sys.executable, "-m", "cbss_inscription.cli.main", "facade", "--settings", str(settings)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while process("health", "--profile", running.profile_path()).exit_code != 0:
            assert time.monotonic() < deadline
            assert facade.poll() is None
        assert answer_of(running, ssin) == ("MSG00000", 1)
    finally:
        family = family_of(directory)
        assert stop_process(facade) == 0
    await_gone(family, directory)
    assert facade.stderr is not None
    words = facade.stderr.read().decode()
    facade.stderr.close()
    assert "Traceback" not in words
    assert "Stopped." in words


def test_a_database_with_somebodys_persons_is_left_untouched(
    directory: Path, fresh_database: str, process: Command
) -> None:
    """`--database` that holds persons of no population is refused in one sentence, and nothing in it changes."""
    with psycopg.connect(fresh_database) as connection:
        connection.execute(
            "INSERT INTO person VALUES (85073003328, 'nr', 'active', NULL, 'Somebody', '{Real}', '1985-07-30', 1, NULL)"
        )
        before = connection.execute("SELECT * FROM person").fetchall()
    done = process("sandbox", "--directory", directory, *FEW, "--database", fresh_database)
    assert done.exit_code == 2
    assert "left as it is" in last_sentence(done.err)
    assert "Somebody" not in done.err
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT * FROM person").fetchall() == before
        assert connection.execute("SELECT count(*) FROM population").fetchone() == (0,)
