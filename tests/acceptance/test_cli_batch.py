"""`cbss-inscription batch` from file to answers: over HTTPS and through the folder, with worker processes (rule 37)."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from lxml import etree

from cbss_inscription.batch.csv_lines import COLUMNS
from cbss_inscription.batch.remote import RemoteBatch
from cbss_inscription.client.transport import tls_context
from cbss_inscription.domain.batch import BatchStatus
from cbss_inscription.storage.batches import StoredBatches
from tests.acceptance.conftest import Command
from tests.conftest import START_SECONDS_MAX, RunningSandbox, free_port, stop_process

CONTEXT = "PCSA:LIVING_WAGE"


@dataclass(frozen=True, kw_only=True)
class BatchService:
    """The sandbox's façade with a folder and a listener for batches."""

    settings: Path
    profile: Path
    folder: Path


@pytest.fixture(scope="module")
def service(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchService]:
    """The listener for batches in a process of its own, beside the sandbox's façade."""
    folder, port = tmp_path_factory.mktemp("batches"), free_port()
    settings = sandbox.directory / "batch.toml"
    said = (sandbox.directory / "settings.toml").read_text(encoding="utf-8")
    settings.write_text(
        said.replace("[batch]\n", f'[rest]\nport = {port}\n\n[batch]\ndirectory = "{folder}"\n'), encoding="utf-8"
    )
    profile = sandbox.profile_path().with_name("batch-profile.toml")
    text = sandbox.profile_path().read_text(encoding="utf-8")
    profile.write_text(f'batch_url = "https://localhost:{port}"\n{text}', encoding="utf-8")
    command = [sys.executable, "-m", "cbss_inscription.app.listener", str(settings), "rest"]
    listener = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _lives(sandbox, port):
            assert listener.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield BatchService(settings=settings, profile=profile, folder=folder)
    finally:
        stop_process(listener)
        assert listener.stdin is not None
        listener.stdin.close()
        settings.unlink()
        profile.unlink()


def _lives(sandbox: RunningSandbox, port: int) -> bool:
    try:
        reply = httpx.get(
            f"https://localhost:{port}/health/live", verify=tls_context(sandbox.profile().ca), trust_env=False
        )
    except httpx.HTTPError:
        return False
    return reply.status_code == 200


def _rows(ssin: str) -> str:
    text = io.StringIO()
    rows = [
        COLUMNS,
        ("t-1", "insert", ssin, CONTEXT, "2026-01-01", "2026-12-31", "", "", "", "", "", ""),
        ("t-2", "insert", ssin[:10] + "x", CONTEXT, "2026-01-01", "", "", "", "", "", "", ""),
        ("t-3", "consult", ssin, CONTEXT, "", "", "", "", "", "", "", ""),
    ]
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def requests_of(command: Command, *arguments: str | Path) -> list[str]:
    """What a command asks of the listener."""
    asked: list[str] = []
    send = RemoteBatch._send

    def counted(remote: RemoteBatch, method: str, *said: Any, **more: Any) -> httpx.Response:
        asked.append(method)
        return send(remote, method, *said, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RemoteBatch, "_send", counted)
        assert command(*arguments).exit_code == 0
    return asked


def statuses_asked(command: Command, *arguments: str | Path) -> int:
    """How often a command asks the database how a whole batch stands."""
    asked: list[UUID] = []
    status = StoredBatches.status

    async def counted(stored: StoredBatches, batch_id: UUID) -> BatchStatus | None:
        asked.append(batch_id)
        return await status(stored, batch_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoredBatches, "status", counted)
        assert command(*arguments).exit_code == 0
    return len(asked)


def test_batch_goes_from_a_file_to_its_answers(
    service: BatchService, command: Command, process: Command, stranger: str, tmp_path: Path
) -> None:
    """Submitted, taken in, worked on and fetched, a batch is answered line by line, and again so; who looks how it
    stands asks for that once (rules 37, 38).
    """
    file, profile = tmp_path / "march.csv", ("--profile", service.profile)
    file.write_text(_rows(stranger), encoding="utf-8")
    checked = command("batch", "check", file, "--format", "json")
    (outcome,) = json.loads(checked.out)["outcomes"]
    assert (checked.exit_code, outcome["first_lines"]) == (3, [2])
    assert outcome["reasons"] == ["declaration/insert/ssin: pattern"]
    assert command("batch", "check", file).out.endswith("line 2: declaration/insert/ssin: pattern\n")
    submitted = command("batch", "submit", file, *profile, "--sequence-number", "1")
    assert submitted.exit_code == 0, submitted.err
    assert "waiting" in submitted.out
    assert submitted.out.endswith(f"next: cbss-inscription batch watch {file}\n")

    taken = subprocess.Popen(
        [sys.executable, "-m", "cbss_inscription.cli.main", "batch", "folder", "--settings", service.settings, "--once"]
    )
    deadline = time.monotonic() + START_SECONDS_MAX
    while json.loads(command("batch", "status", file, *profile, "--format", "json").out)["state"] == "waiting":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    work = process("batch", "work", "--settings", service.settings, "--until-idle")  # or the sandbox's worker did it
    assert work.exit_code == 0, work.err
    plot = tmp_path / "march.svg"
    watched = command("batch", "watch", file, *profile, "--svg", plot)
    assert watched.exit_code == 0
    assert "done" in watched.out
    assert "3 of 3 lines answered" in watched.out
    assert watched.out.endswith(f"next: cbss-inscription batch fetch {file} march.answers.csv\n")
    assert etree.parse(plot).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert requests_of(command, "batch", "status", file, *profile) == ["POST"]
    assert statuses_asked(command, "batch", "status", file, "--settings", service.settings) == 1
    canceled = command("batch", "cancel", file, *profile)
    assert (canceled.exit_code, "nothing was canceled" in canceled.err) == (1, True)
    assert taken.wait(timeout=START_SECONDS_MAX) == 0

    misnamed = command("batch", "fetch", file, tmp_path / "answers.xml", *profile)
    assert (misnamed.exit_code, "the answers are csv" in misnamed.err) == (2, True)
    answers = tmp_path / "answers.csv"
    fetched = command("batch", "fetch", file, answers, *profile)
    assert fetched.exit_code == 0, fetched.err
    told = list(csv.DictReader(io.StringIO(answers.read_text(encoding="utf-8"))))
    assert [(row["line"], row["ticket"], row["status"], row["code"]) for row in told] == [
        ("1", "t-1", "OK", "MSG00000"),
        ("2", "t-2", "FAULT", "SOA-03006"),
        ("3", "t-3", "DATA_FOUND", "MSG00000"),
    ]
    assert told[2]["inscriptions"] == f"{CONTEXT}=2026-01-01/2026-12-31"

    again = command("batch", "submit", file, *profile, "--sequence-number", "1")
    assert "done" in again.out, "the same file is the same batch"
    listed = json.loads(command("batch", "list", "--settings", service.settings, "--format", "json").out)
    assert [(one["sequence_number"], one["lines"]) for one in listed] == [(1, 3)]


def test_folder_takes_signed_files_and_refuses_others(
    service: BatchService, command: Command, process: Command, stranger: str, tmp_path: Path
) -> None:
    """A file that is put into `in` with its manifest is taken, and one that was changed is refused; an operator who
    asks by its name is told how it stands at any time, also by the status with which each command ends: 2 for a file
    that was refused (SEC-39, rule 38, decision 6).
    """
    settings = ("--settings", service.settings)
    file = tmp_path / "april.csv"
    file.write_text(_rows(stranger), encoding="utf-8")
    signed = command("batch", "sign", file, "--profile", service.profile, "--sequence-number", "2")
    assert signed.exit_code == 0, signed.err
    data = file.read_bytes()
    for name, content in ((file.name, data.replace(b"2026-12-31", b"2026-12-30")), (f"{file.name}.manifest.xml", None)):
        place = service.folder / "in" / name
        place.write_bytes(file.with_name(name).read_bytes() if content is None else content)
    assert process("batch", "folder", "--settings", service.settings, "--once").exit_code == 0
    refusal = json.loads((service.folder / "refused" / "april.csv.refused.json").read_bytes())
    assert (refusal["code"], refusal["reason"]) == ("SOA-03007", "manifest-file")
    asked = command("batch", "status", file.name, *settings)
    assert (asked.exit_code, asked.out.splitlines()[0].split()) == (
        2,
        ["refused", "april.csv:", str(service.folder / "refused" / "april.csv.refused.json"), "says", "why"],
    )
    assert "SOA-03007 manifest-file: the file is not the one that was signed" in asked.out
    assert command("batch", "status", file.name, *settings, "--format", "json").exit_code == 2
    assert command("batch", "watch", file.name, *settings).exit_code == 2
    fetched = command("batch", "fetch", file.name, tmp_path / "answers.csv", *settings)
    assert (fetched.exit_code, "it was refused" in fetched.err) == (2, True)
    canceled = command("batch", "cancel", file.name, *settings)
    assert (canceled.exit_code, "it is no batch (refused)" in canceled.err) == (2, True)
    awkward = service.folder / "in" / "my may.csv"
    awkward.write_bytes(data)
    watched = command("batch", "watch", awkward.name, *settings)
    assert (watched.exit_code, "give it a name of letters" in " ".join(watched.out.split())) == (2, True)
    awkward.unlink()
    asked = command("batch", "status", "may.csv", *settings)
    assert (asked.exit_code, "no file of that name in the folder" in asked.err) == (2, True)

    (service.folder / "in" / file.name).write_bytes(data)
    assert "arriving" in command("batch", "status", file.name, *settings).out
    (service.folder / "in" / f"{file.name}.manifest.xml").write_bytes(
        file.with_name(f"{file.name}.manifest.xml").read_bytes()
    )
    assert "waiting" in command("batch", "status", file.name, *settings).out
    taken = subprocess.Popen(
        [sys.executable, "-m", "cbss_inscription.cli.main", "batch", "folder", "--settings", service.settings, "--once"]
    )
    watched = command("batch", "watch", file.name, *settings)
    assert (watched.exit_code, "3 of 3 lines answered" in watched.out) == (0, True), watched.err
    assert taken.wait(timeout=START_SECONDS_MAX) == 0
    told = json.loads(command("batch", "status", file.name, *settings, "--format", "json").out)
    assert (told["state"], told["where"]) == ("done", str(service.folder / "out" / "april.csv.answers.json"))
    assert command("batch", "fetch", file.name, tmp_path / "answers.csv", *settings).exit_code == 0
