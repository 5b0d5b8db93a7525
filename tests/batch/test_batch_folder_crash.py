"""kill -9 of processes that look after one folder, of workers and of the database: each file is one batch (rule 38)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from cbss_inscription.batch.csv_lines import COLUMNS
from cbss_inscription.batch.folder import MANIFEST_SUFFIX, BatchFolder
from cbss_inscription.batch.signed_manifest import sign_manifest
from cbss_inscription.contract.batch import Manifest, ManifestFile
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.security.sign import Signer
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.migration import migrate
from cbss_inscription.storage.population import load_population
from tests.batch.test_batch_crash import kill, start_worker, write_settings
from tests.batch.works import header
from tests.conftest import PG_BIN
from tests.repertory.office import CALLER, OTHER, OWN, WAGE, person_of, ssin_of

ENVIRONMENT, CBE_NUMBER = "LOCAL", "0206731645"
SENDERS = (OWN, OTHER)
BATCHES, LINES, PERSONS = 4, 600, 300
PROCESSES = 2
KILLS = 20
SECONDS_MAX = 120
SEEDS = (1, 2)


def start_folder_process(settings: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cbss_inscription.cli.main", "batch", "folder", "--settings", str(settings)]
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out)


class Sender:
    """Puts signed files into a folder, of one organisation after the other."""

    def __init__(self, directory: Path, folder: BatchFolder) -> None:
        self._folder = folder
        now = datetime.now(UTC)
        pki = TestPki.generate(environment=ENVIRONMENT, now=now - timedelta(days=30))
        credential = pki.issue_application_certificate(
            application_urn=CALLER.application_urn,
            cbe_number=CBE_NUMBER,
            organization_name="PCSA",
            not_before=now - timedelta(days=30),
        )
        self._signer = Signer.from_pem(credential.certificate_pem, credential.private_key_pem)
        (directory / "authorities.pem").write_bytes(pki.authorities_pem)

    def put(self, sender: CustomerIdentification, number: int) -> None:
        """Nothing; the file is in `in`, its manifest last: a day of its own for each line, by names in no order."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for line in range(LINES):
            day = date(2000, 1, 1) + timedelta(2 * (((number - 1) * LINES + line) // PERSONS))
            ticket = f"{number} {line}"
            ssin = ssin_of(1 + line % PERSONS).digits
            writer.writerow((ticket, "insert", ssin, WAGE, day, day, "", "", "", "", "", ""))
        data = text.getvalue().encode()
        name = f"{hashlib.sha256(data).hexdigest()[:8]}-{sender.institution}-{number}.csv"
        stated = ManifestFile(name=name, format="csv", size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        manifest = Manifest(header=header(number, sender=sender), file=stated)
        signed = sign_manifest(manifest, signer=self._signer, now=datetime.now(UTC))
        (self._folder.incoming / name).write_bytes(data)
        written = self._folder.root / "manifest"
        written.write_bytes(signed)
        written.rename(self._folder.incoming / f"{name}{MANIFEST_SUFFIX}")


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_rule_38_every_file_is_one_batch_whatever_is_killed(
    reachable_directory: Path, tmp_path: Path, seed: int
) -> None:
    """Files of two senders, whose names are in no order, come into a folder while the processes that look after it, the
    workers and the database are killed: each is one batch, none is refused for a gap, and its answers are in `out`
    whole, beside the manifest that tells of them (rules 37, 38).
    """
    chance, log = random.Random(seed), tmp_path / "log"
    folder = BatchFolder(tmp_path / "batches")
    sender = Sender(tmp_path, folder)
    with EmbeddedServer(reachable_directory / f"folder{seed}", binaries=PG_BIN) as server:
        migrate(server.connection_string)
        load_population(server.connection_string, [person_of(n) for n in range(1, PERSONS + 1)], recipe="test")
        settings = write_settings(tmp_path, server.connection_string)
        rules = tmp_path / "rules.yaml"
        who = rules.read_text(encoding="utf-8").replace(CALLER.environment, ENVIRONMENT)
        rules.write_text(who.replace(CALLER.cbe_number, CBE_NUMBER), encoding="utf-8")
        said = settings.read_text(encoding="utf-8").replace(CALLER.environment, ENVIRONMENT)
        said = said.replace('"none"\n[audit]', '"authorities.pem"\nrevocation_required = false\n[audit]')
        settings.write_text(f'{said}chunk_lines = 20\ndirectory = "{folder.root}"\n', encoding="utf-8")
        starts = [lambda: start_folder_process(settings, log)] * PROCESSES + [lambda: start_worker(settings, log)]
        running = [start() for start in starts]
        files = [(one, number) for number in range(1, BATCHES + 1) for one in SENDERS]
        try:
            for kills in range(KILLS):
                if kills % 2 == 0 and files:
                    sender.put(*files.pop(0))
                time.sleep(chance.uniform(0.05, 1.5))
                victim = chance.randrange(len(running) + 1)
                if victim < len(running):
                    kill(running[victim])
                else:
                    assert server.process_id is not None
                    os.kill(server.process_id, signal.SIGKILL)
                    while not server.crashed:
                        time.sleep(0.01)
                    server.start()
                start_what_ended(running, starts)
            assert not files
            deadline = time.monotonic() + SECONDS_MAX
            while len(list(folder.out.glob("*.json"))) < BATCHES * len(SENDERS) or any(folder.work.iterdir()):
                assert not any(folder.refused.iterdir()), log.read_text(encoding="utf-8")[-4000:]
                assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-4000:]
                start_what_ended(running, starts)
                time.sleep(0.1)
        finally:
            for process in running:
                kill(process)
        assert list(folder.incoming.iterdir()) == []
        check_answers(folder)
        with psycopg.connect(server.connection_string) as connection:
            done = connection.execute("SELECT sender, sequence_number, state FROM batch ORDER BY 1, 2").fetchall()
            assert done == [(one.key, number, "done") for one in SENDERS for number in range(1, BATCHES + 1)]
            for table in ("inscription_history", "audit_journal"):
                (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
                assert count == BATCHES * len(SENDERS) * LINES


def start_what_ended(
    running: list[subprocess.Popen[bytes]], starts: list[Callable[[], subprocess.Popen[bytes]]]
) -> None:
    for place, process in enumerate(running):
        if process.poll() is not None:
            running[place] = starts[place]()


def check_answers(folder: BatchFolder) -> None:
    """Returns when each file of answers is that of its manifest, and every line of its file was done."""
    for path in folder.out.glob("*.json"):
        said = json.loads(path.read_bytes())
        data = (folder.out / said["file"]).read_bytes()
        assert (said["state"], said["answers"]) == ("done", LINES)
        assert said["file_sha256"] == hashlib.sha256(data).hexdigest()
        told = list(csv.DictReader(io.StringIO(data.decode())))
        assert [row["line"] for row in told] == [str(line) for line in range(1, LINES + 1)]
        assert {row["code"] for row in told} == {"MSG00000"}
