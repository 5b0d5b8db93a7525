"""The watched folder and the signed manifest: one process takes a batch, and nothing is half done (rules 37, 38)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from cbss_inscription.batch.folder import MANIFEST_SUFFIX, BatchFolder
from cbss_inscription.batch.folder_work import FolderWork
from cbss_inscription.batch.packing import WholeFile
from cbss_inscription.batch.signed_manifest import (
    SignedManifest,
    sign_manifest,
    verify_fresh_manifest,
    verify_manifest,
)
from cbss_inscription.batch.told import Told
from cbss_inscription.contract.batch import Manifest, ManifestFile
from cbss_inscription.domain.batch import BatchHeader, BatchLine, BatchParty, BatchState, BatchStatus, Submitted
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import (
    ContentViolation,
    MessageRejected,
    NotAuthenticated,
    SchemaViolation,
    SequenceViolation,
    TemporarilyUnavailable,
)
from cbss_inscription.domain.exchange import Caller
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.sign import Signer
from cbss_inscription.security.trust import TrustStore
from tests.batch.files import CONSULT, HEADER, INSERT, LIMITS, xml_file
from tests.batch.line_answers import LineAnswer, told_of

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
POLICY = SecurityPolicy()
FILE = xml_file(INSERT.format(number=1), CONSULT, "<request/>")
LARGE = 9
"""The institution whose files take as long as the test likes."""


class Office:
    """One PKI, an application that signs, and who judges what it signed."""

    def __init__(self) -> None:
        self.pki = TestPki.generate(environment="LOCAL", now=NOW - timedelta(days=30))
        self.credential = self.pki.issue_application_certificate(
            application_urn="pcsa:web",
            cbe_number="0206731645",
            organization_name="PCSA",
            not_before=NOW - timedelta(days=30),
        )
        self.signer = Signer.from_pem(self.credential.certificate_pem, self.credential.private_key_pem)

    def trust(self, *, revoked: bool = False) -> TrustStore:
        numbers = [self.credential.certificate.serial_number] if revoked else []
        revoked_now = self.pki.issue_revocation_list(numbers, now=NOW - timedelta(hours=1))
        return TrustStore(authorities_pem=self.pki.authorities_pem, environment="LOCAL", revocation_lists=[revoked_now])

    def sign(
        self,
        data: bytes = FILE,
        *,
        name: str = "b.xml",
        at: datetime = NOW,
        header: BatchHeader = HEADER,
        **changes: Any,
    ) -> bytes:
        stated: dict[str, Any] = {
            "name": name,
            "format": "xml",
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        file = ManifestFile(**(stated | changes))
        return sign_manifest(Manifest(header=header, file=file), signer=self.signer, now=at)


@pytest.fixture(scope="module")
def office() -> Office:
    return Office()


def _verify(office: Office, data: bytes, *, now: datetime = NOW, revoked: bool = False) -> SignedManifest:
    return verify_manifest(data, policy=POLICY, trust=office.trust(revoked=revoked), now=now)


# -- the manifest ------------------------------------------------------------------------------------------------------


def test_manifest_says_who_sends_which_file(office: Office) -> None:
    """A manifest that was signed is read back, with its signer, days later too (SEC-39, rule 38)."""
    signed = _verify(office, office.sign(), now=NOW + timedelta(days=6))
    assert signed.manifest.header == HEADER
    assert signed.manifest.file.sha256 == hashlib.sha256(FILE).hexdigest()
    assert signed.caller.application_urn == "pcsa:web"
    assert signed.signed_at == NOW


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"<sector>17", b"<sector>18", "signature-digest"),
        (b"b.xml", b"c.xml", "signature-digest"),
        (b"<sha256>", b"<sha256> ", "signature-digest"),
        (b"rsa-sha256", b"rsa-sha512", "algorithm"),
    ],
)
def test_manifest_that_was_changed_is_refused(office: Office, old: bytes, new: bytes, reason: str) -> None:
    """Whatever of a manifest is changed after it was signed, it is nobody's (SEC-37, SEC-39)."""
    data = office.sign()
    assert old in data
    with pytest.raises(NotAuthenticated) as caught:
        _verify(office, data.replace(old, new, 1))
    assert caught.value.reason == reason


def test_certificate_is_judged_when_the_manifest_arrives(office: Office) -> None:
    """A certificate that was revoked, or ended, since it signed is not believed (SEC-44, SEC-46)."""
    data = office.sign()
    with pytest.raises(NotAuthenticated) as caught:
        _verify(office, data, revoked=True)
    assert caught.value.reason == "certificate-revoked"


@pytest.mark.parametrize(
    ("age", "reason"), [(timedelta(days=8), "timestamp-age"), (-timedelta(minutes=2), "timestamp-future")]
)
def test_manifest_has_its_time(office: Office, age: timedelta, reason: str) -> None:
    """A manifest that was signed too long ago, or will be signed, is refused (SEC-51)."""
    with pytest.raises(NotAuthenticated) as caught:
        _verify(office, office.sign(at=NOW - age))
    assert caught.value.reason == reason


def test_what_opens_an_upload_is_signed_just_now(office: Office) -> None:
    """For an upload a manifest keeps the time rules of messages online (SEC-51)."""
    data, trust = office.sign(), office.trust()
    fresh = verify_fresh_manifest(data, policy=POLICY, trust=trust, now=NOW + timedelta(seconds=30))
    assert fresh.manifest.header == HEADER
    with pytest.raises(NotAuthenticated) as caught:
        verify_fresh_manifest(data, policy=POLICY, trust=trust, now=NOW + timedelta(minutes=6))
    assert caught.value.reason == "timestamp-expired"


@pytest.mark.parametrize("name", ["../b.xml", "a/b.xml", "", ".b.xml", "b.xml\n", "x" * 129])
def test_manifest_names_a_file_and_no_path(office: Office, name: str) -> None:
    """No name in a manifest leads out of a folder (SEC-83)."""
    with pytest.raises(SchemaViolation):
        office.sign(name=name)


# -- the folder --------------------------------------------------------------------------------------------------------


class Desk:
    """Takes batches in and answers them, in memory; counts what it was given."""

    def __init__(self) -> None:
        self.batches: dict[tuple[str, int], tuple[bytes, UUID]] = {}
        self.lines: dict[UUID, list[BatchLine]] = {}
        self.state = BatchState.DONE
        self.away = False
        self.is_anothers = False
        self.finished: set[UUID] = set()
        """Batches that are done while `state` says that the others are not."""
        self.forgotten = False
        self.answers_told = 0
        self.held = threading.Event()
        self.held.set()
        self.reading: list[int] = []
        self.read: list[int] = []
        self.at_once = 0
        self.told: list[tuple[str, str]] = []

    def submit(self, header: BatchHeader, *, digest: bytes, caller: Caller, lines: Iterable[BatchLine]) -> Submitted:
        if self.away:
            raise TemporarilyUnavailable("database")
        sender = header.sender.organization_identification
        key = (sender.key, header.sequence_number)
        if key in self.batches:
            if self.is_anothers:
                raise ContentViolation("batch-used")
            if self.batches[key][0] == digest:
                return Submitted(batch_id=self.batches[key][1], is_repeat=True)
            raise SequenceViolation("sequence-used", expected=key[1] + 1)
        numbers = [number for known, number in self.batches if known == sender.key]
        if numbers and header.sequence_number != max(numbers) + 1:
            raise SequenceViolation("sequence-gap", expected=max(numbers) + 1)
        self.reading.append(sender.institution)
        self.at_once = max(self.at_once, len(self.reading))
        try:
            if sender.institution == LARGE:
                assert self.held.wait(60)
            read, batch_id = list(lines), uuid4()
        finally:
            self.reading.remove(sender.institution)
        self.read.append(header.sequence_number)
        self.batches[key], self.lines[batch_id] = (digest, batch_id), read
        return Submitted(batch_id=batch_id, is_repeat=False)

    async def state_of(self, batch_id: UUID) -> BatchState:
        return BatchState.DONE if batch_id in self.finished else self.state

    async def status(self, batch_id: UUID) -> BatchStatus | None:
        (digest,) = [digest for digest, found in self.batches.values() if found == batch_id]
        count = len(self.lines[batch_id])
        return BatchStatus(
            batch_id=batch_id, header=HEADER, digest=digest, application_urn="pcsa:web",
            cbe_number="0206731645", state=await self.state_of(batch_id), line_count=count,
            lines_answered=0 if self.forgotten else count, lines_waiting=0, cut_after=None, outcomes=(),
            submitted_at=NOW, began_at=NOW, finished_at=NOW,
        )  # fmt: skip

    async def answers(self, batch_id: UUID) -> AsyncIterator[list[Told]]:
        for line in () if self.forgotten else self.lines[batch_id]:
            fault = line.refused or "SOA-01002"
            yield told_of([LineAnswer(line=line, ticket_cbss=uuid4(), timestamp=NOW, fault=fault)])
            self.answers_told += 1
        while not (await self.state_of(batch_id)).is_finished:
            await asyncio.sleep(0.01)

    def took(self, name: str, submitted: Submitted, *, seconds: float) -> None:
        self.told.append((name, "repeat" if submitted.is_repeat else "took"))

    def refused(self, name: str, error: MessageRejected) -> None:
        self.told.append((name, error.reason))

    def answered(self, name: str, status: BatchStatus) -> None:
        self.told.append((name, "answered"))

    def put_off(self, name: str, reason: str) -> None:
        self.told.append((name, f"put off: {reason}"))


def _work(folder: BatchFolder, desk: Desk, office: Office, *, revoked: bool = False) -> FolderWork:
    trust = office.trust(revoked=revoked)
    return FolderWork(
        folder,
        judge=lambda data, now: verify_manifest(data, policy=POLICY, trust=trust, now=now),
        taker=desk,
        source=desk,
        limits=LIMITS,
        log=desk,
        clock=lambda: NOW,
        files_at_once=2,
    )


async def _done(work: FolderWork) -> int:
    """How many batches are in its hands still, when all was done that could be."""
    await work.look()
    return await work.settled()


@contextlib.contextmanager
def _no_room_for_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing; until the block ends the disk is full for whoever writes answers."""

    def full(self: WholeFile, data: bytes) -> None:
        if ".answers." in self.path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data)

    write = WholeFile.write
    with monkeypatch.context() as patch:
        patch.setattr(WholeFile, "write", full)
        yield


def _put(folder: BatchFolder, manifest: bytes, *, name: str = "b.xml", data: bytes = FILE) -> None:
    (folder.incoming / name).write_bytes(data)
    (folder.incoming / f"{name}{MANIFEST_SUFFIX}").write_bytes(manifest)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_batch_comes_in_and_its_answers_go_out(office: Office, tmp_path: Path) -> None:
    """What is put into `in` with its manifest is answered in `out`, line by line, and is nowhere else (rule 37)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    _put(folder, office.sign())
    assert await _done(_work(folder, desk, office)) == 0
    assert desk.told == [("b.xml", "took"), ("b.xml", "answered")]
    assert _names(folder.out) == ["b.xml.answers.json", "b.xml.answers.xml"]
    said = json.loads((folder.out / "b.xml.answers.json").read_bytes())
    assert [(one["code"], one["first_lines"]) for one in said["outcomes"]] == [
        ("SOA-01002", [1, 2]),
        ("SOA-03006", [3]),
    ]
    assert _names(folder.incoming) == _names(folder.work) == _names(folder.refused) == []


async def test_file_without_manifest_is_not_looked_at(office: Office, tmp_path: Path) -> None:
    """The manifest comes last: until it is there, a file may still be growing (rule 37)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    (folder.incoming / "b.xml").write_bytes(FILE[:100])
    assert await _done(_work(folder, desk, office)) == 0
    assert desk.told == []
    assert _names(folder.incoming) == ["b.xml"]


async def test_same_file_again_has_the_first_answer_again(office: Office, tmp_path: Path) -> None:
    """A file that is sent again is the batch that it was, and its answers come once more (rule 38)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    work = _work(folder, desk, office)
    for _ in range(2):
        _put(folder, office.sign())
        assert await _done(work) == 0
    assert len(desk.batches) == 1
    assert desk.told[2:] == [("b.xml", "repeat"), ("b.xml", "answered")]


_REFUSALS: dict[str, tuple[dict[str, Any], bytes, str]] = {
    "another file": ({}, FILE.replace(b"t-1", b"t-2"), "manifest-file"),
    "a longer file": ({}, FILE + b" ", "manifest-file"),
    "cut off on its way": ({}, FILE[:-30] + b" " * 30, "manifest-file"),
    "manifest of another name": ({"name": "c.xml"}, FILE, "manifest-file"),
    "a size that is not true": ({"size_bytes": len(FILE) - 1}, FILE, "manifest-file"),
    "another form": ({"format": "csv"}, FILE, "csv-columns"),
}


@pytest.mark.parametrize("wrong", _REFUSALS)
async def test_file_that_is_not_the_manifest_s_is_refused(office: Office, tmp_path: Path, wrong: str) -> None:
    """A file that is not exactly what was signed goes to `refused`, and nothing of it is done (SEC-39)."""
    changes, data, reason = _REFUSALS[wrong]
    folder, desk = BatchFolder(tmp_path), Desk()
    _put(folder, office.sign(**changes), data=data)
    assert await _done(_work(folder, desk, office)) == 0
    assert desk.told == [("b.xml", reason)]
    assert desk.batches == {}
    assert _names(folder.refused) == ["b.xml", "b.xml.manifest.xml", "b.xml.refused.json"]
    assert json.loads((folder.refused / "b.xml.refused.json").read_bytes())["reason"] == reason


@pytest.mark.parametrize("wrong", ["forged", "revoked", "no manifest at all", "endless"])
async def test_file_of_nobody_is_refused_without_a_reason(office: Office, tmp_path: Path, wrong: str) -> None:
    """Who is not authenticated learns a code and no more; the log knows why (SEC-62)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    manifest = {
        "forged": office.sign().replace(b"<sector>17", b"<sector>18", 1),
        "revoked": office.sign(),
        "no manifest at all": b"<x/>",
        "endless": b"<x>" * 100_000,
    }[wrong]
    _put(folder, manifest)
    assert await _done(_work(folder, desk, office, revoked=wrong == "revoked")) == 0
    said = json.loads((folder.refused / "b.xml.refused.json").read_bytes())
    codes = {"forged": "SOA-01001", "revoked": "SOA-01001", "no manifest at all": "SOA-03002", "endless": "SOA-03001"}
    assert said["code"] == codes[wrong]
    assert (said["reason"] is None) == (said["code"] == "SOA-01001")
    assert desk.batches == {}


@pytest.mark.parametrize(
    ("what", "part"),
    [("nothing", "file"), *product(["a link", "a pipe", "a folder"], ["file", "manifest"])],
)
async def test_what_is_no_file_is_refused(office: Office, tmp_path: Path, what: str, part: str) -> None:
    """A link leads nowhere, a pipe keeps nobody waiting: what is put in the place of a file is refused (SEC-83)."""
    folder, desk = BatchFolder(tmp_path / "folder"), Desk()
    _put(folder, office.sign())
    (tmp_path / "secret").write_bytes(FILE if part == "file" else office.sign())
    place = folder.incoming / ("b.xml" if part == "file" else f"b.xml{MANIFEST_SUFFIX}")
    place.unlink()
    match what:
        case "a link":
            place.symlink_to(tmp_path / "secret")
        case "a pipe":
            os.mkfifo(place)
        case "a folder":
            place.mkdir()
    assert await _done(_work(folder, desk, office)) == 0
    assert desk.told == [("b.xml", "file-missing")]
    assert desk.batches == {}
    assert _names(folder.work) == _names(folder.incoming) == []


async def test_broken_file_is_refused_with_its_line(office: Office, tmp_path: Path) -> None:
    """A file that its sender signed and that is no batch is refused with line and declaration (rule 37)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    data = xml_file(CONSULT, CONSULT, "<request>")
    _put(folder, office.sign(data), data=data)
    assert await _done(_work(folder, desk, office)) == 0
    said = json.loads((folder.refused / "b.xml.refused.json").read_bytes())
    assert (said["code"], said["line"], said["declaration"]) == ("SOA-03001", 10, 3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_anothers": True}, "batch-used"),
        ({"forgotten": True}, "answers-forgotten"),
    ],
)
async def test_first_answers_are_for_who_asked_first(
    office: Office, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    """A file that is somebody else's batch, or was sent too long ago, is refused (SEC-58, rule 38)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    work = _work(folder, desk, office)
    _put(folder, office.sign())
    assert await _done(work) == 0
    for path in folder.out.iterdir():
        path.unlink()
    for name, value in changes.items():
        setattr(desk, name, value)
    _put(folder, office.sign())
    assert await _done(work) == 0
    assert desk.told[-1] == ("b.xml", reason)
    assert _names(folder.out) == []


async def test_canceled_batch_is_answered_up_to_its_cut(office: Office, tmp_path: Path) -> None:
    """A batch that was canceled has answers, though not all of its lines do (rule 37)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    desk.state, desk.forgotten = BatchState.CANCELED, True
    _put(folder, office.sign())
    assert await _done(_work(folder, desk, office)) == 0
    assert desk.told == [("b.xml", "took"), ("b.xml", "answered")]


@pytest.mark.parametrize("failing", ["mkdir", "open", "fsync"])
async def test_full_disk_keeps_nothing_from_being_taken_later(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Where there is no room to take a file in it waits, the process lives, and takes it when there is (rule 54)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    _put(folder, office.sign())
    work = _work(folder, desk, office)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    places = {"mkdir": "folder.Path.mkdir", "open": "folder._locked", "fsync": "packing.os.fsync"}
    with monkeypatch.context() as patch:
        patch.setattr(f"cbss_inscription.batch.{places[failing]}", full)
        assert await _done(work) == 0
    assert desk.told == [("in", "put off: No space left on device")]
    assert await _done(work) == 0
    assert _names(folder.out) == ["b.xml.answers.json", "b.xml.answers.xml"]
    assert _names(folder.work) == []


def test_folder_that_cannot_be_locked_costs_no_descriptor(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a disk has no locks to give, each look leaves as many files open as there were (rule 54)."""
    folder = BatchFolder(tmp_path)
    _put(folder, office.sign())

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("cbss_inscription.batch.folder.fcntl.flock", no_locks)
    before = _names(Path("/proc/self/fd"))
    with pytest.raises(OSError, match="No locks available"):
        list(folder.take())
    assert _names(Path("/proc/self/fd")) == before


async def test_database_that_is_away_costs_no_batch(office: Office, tmp_path: Path) -> None:
    """While the database is away a file waits in `work`, and is taken in when it is back (rule 54)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    desk.away = True
    _put(folder, office.sign())
    work = _work(folder, desk, office)
    assert await _done(work) == 1
    assert desk.told == [("b.xml", "put off: database")]
    desk.away = False
    assert await _done(work) == 0
    assert _names(folder.out) == ["b.xml.answers.json", "b.xml.answers.xml"]


async def test_full_disk_costs_no_answers(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is no room for the answers nothing of them is in `out`, and they come when there is (rule 37)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    _put(folder, office.sign())
    work = _work(folder, desk, office)
    with _no_room_for_answers(monkeypatch):
        assert await _done(work) == 1
    assert desk.told == [("b.xml", "took"), ("b.xml", "put off: No space left on device")]
    assert _names(folder.out) == []
    assert await _done(work) == 0
    assert _names(folder.out) == ["b.xml.answers.json", "b.xml.answers.xml"]


async def test_one_process_has_a_batch_and_another_takes_over(office: Office, tmp_path: Path) -> None:
    """Two that look at one folder never have the same batch; what one leaves, the other goes on with (rule 38)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    desk.state = BatchState.RUNNING
    _put(folder, office.sign())
    first, second = _work(folder, desk, office), _work(BatchFolder(tmp_path), desk, office)
    await first.look()
    await _until(lambda: desk.answers_told == 3)
    assert await _done(second) == 0
    await first.stop()
    desk.state = BatchState.DONE
    assert await _done(second) == 0
    assert desk.told == [("b.xml", "took"), ("b.xml", "answered")]
    assert await _done(first) == 0


async def test_answers_are_written_while_the_batch_is_worked_on(office: Office, tmp_path: Path) -> None:
    """Answers are written as they come, and are whole in `out` as soon as the batch is finished, with the manifest of a
    finished one (rule 37).
    """
    folder, desk = BatchFolder(tmp_path), Desk()
    desk.state = BatchState.RUNNING
    _put(folder, office.sign())
    work = _work(folder, desk, office)
    await work.look()
    await _until(lambda: desk.answers_told == 3)
    assert _names(folder.out) == []
    desk.state = BatchState.DONE
    assert await work.settled() == 0
    assert desk.answers_told == 3
    assert json.loads((folder.out / "b.xml.answers.json").read_bytes())["state"] == "done"


async def test_answers_that_had_no_room_are_written_when_the_batch_is_finished(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where answers cannot be written as they come, nobody begins them anew at each look, but at the end (rule 54)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    desk.state = BatchState.RUNNING
    _put(folder, office.sign())
    work = _work(folder, desk, office)
    with _no_room_for_answers(monkeypatch):
        assert await _done(work) == 1
    for _ in range(2):
        assert await _done(work) == 1
    assert desk.told == [("b.xml", "took"), ("b.xml", "put off: No space left on device")]
    desk.state = BatchState.DONE
    assert await _done(work) == 0
    assert desk.told[2:] == [("b.xml", "answered")]


# -- several files side by side ----------------------------------------------------------------------------------------


def _batch_of(institution: int, number: int) -> tuple[BatchHeader, bytes]:
    """A batch of a sender of its own, and its file."""
    sender = BatchParty(organization_identification=CustomerIdentification(sector=17, institution=institution))
    header = msgspec.structs.replace(HEADER, sender=sender, sequence_number=number)
    old = "<institution>1</institution>", "<sequenceNumber>7<", "<ticket>batch-7</ticket>"
    new = f"<institution>{institution}</institution>", f"<sequenceNumber>{number}<", ""
    data = FILE.decode()
    for one, other in zip(old, new, strict=True):
        data = data.replace(one, other, 1)
    return header, data.encode()


def _put_batch(folder: BatchFolder, office: Office, institution: int, number: int, *, name: str | None = None) -> str:
    name = name or f"b{institution}-{number}.xml"
    header, data = _batch_of(institution, number)
    _put(folder, office.sign(data, name=name, header=header), name=name, data=data)
    return name


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


async def test_large_file_keeps_nobody_else_waiting(office: Office, tmp_path: Path) -> None:
    """While one sender's file is read, for hours if it must be, those of others are taken in and answered (rule 37)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    desk.held.clear()
    _put_batch(folder, office, LARGE, 1, name="a.xml")
    work = _work(folder, desk, office)
    await work.look()
    await _until(lambda: desk.reading == [LARGE])
    name = _put_batch(folder, office, 2, 1)
    await work.look()
    await _until(lambda: (name, "answered") in desk.told)
    assert desk.reading == [LARGE]
    desk.held.set()
    assert await work.settled() == 0
    assert desk.told[-1] == ("a.xml", "answered")


async def test_long_batches_keep_nobody_from_the_answers_of_short_ones(office: Office, tmp_path: Path) -> None:
    """While the answers of as many batches are followed as the settings say, others are answered when they are finished
    (rule 37).
    """
    folder, desk = BatchFolder(tmp_path), Desk()
    desk.state = BatchState.RUNNING
    work = _work(folder, desk, office)
    for institution in (2, 3):
        _put_batch(folder, office, institution, 1)
    await work.look()
    await _until(lambda: desk.answers_told == 6)
    name = _put_batch(folder, office, 4, 1)
    await work.look()
    await _until(lambda: (name, "took") in desk.told)
    await work.look()
    assert desk.answers_told == 6
    desk.finished = {desk.batches["17/4", 1][1]}
    await work.look()
    await _until(lambda: (name, "answered") in desk.told)
    desk.state = BatchState.DONE
    assert await work.settled() == 0
    assert desk.answers_told == 9


async def test_long_batch_keeps_no_file_of_its_name_waiting(office: Office, tmp_path: Path) -> None:
    """While a batch is worked on, another file of the same name is taken in, and answered when it is finished (rule
    37).
    """
    folder, desk = BatchFolder(tmp_path), Desk()
    desk.state = BatchState.RUNNING
    work = _work(folder, desk, office)
    name = _put_batch(folder, office, 2, 1, name="b.xml")
    await work.look()
    await _until(lambda: desk.answers_told == 3)
    _put_batch(folder, office, 3, 1, name=name)
    await work.look()
    await asyncio.wait_for(_until(lambda: len(desk.batches) == 2), 10)
    desk.finished = {desk.batches["17/3", 1][1]}
    await work.look()
    await asyncio.wait_for(_until(lambda: (name, "answered") in desk.told), 10)
    desk.state = BatchState.DONE
    assert await work.settled() == 0
    assert desk.told.count((name, "answered")) == 2


async def test_only_so_many_files_are_read_at_once(office: Office, tmp_path: Path) -> None:
    """However many files come in, as many are taken in side by side as the settings say (SEC-09)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    for institution in range(10, 22):
        _put_batch(folder, office, institution, 1)
    assert await _done(_work(folder, desk, office)) == 0
    assert len(_names(folder.out)) == 24
    assert desk.at_once <= 2


async def test_files_of_one_sender_are_taken_in_by_their_numbers(office: Office, tmp_path: Path) -> None:
    """Files that came together are taken in one after the other, in the order of their numbers, whatever they are
    called: where the sender left no gap none is found (rule 38).
    """
    folder, desk = BatchFolder(tmp_path), Desk()
    for number in (12, 9, 11, 10):
        _put_batch(folder, office, 2, number, name=f"{'dcba'[number - 9]}.xml")
    assert await _done(_work(folder, desk, office)) == 0
    assert desk.read == [9, 10, 11, 12]
    assert desk.at_once == 1
    assert _names(folder.refused) == []


async def test_senders_take_turns(office: Office, tmp_path: Path) -> None:
    """Who sends a hundred files does not keep who sends one waiting for all of them (rule 37)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    for number in range(1, 6):
        _put_batch(folder, office, 2, number)
        _put_batch(folder, office, 3, number)
    _put_batch(folder, office, 4, 100)
    assert await _done(_work(folder, desk, office)) == 0
    assert 100 in desk.read[:4]


async def test_no_gap_is_found_where_another_process_is_slower(office: Office, tmp_path: Path) -> None:
    """While another process has the file before it in its hands, a file waits, and is not said to leave a gap (rule
    38).
    """
    folder, desk = BatchFolder(tmp_path), Desk()
    first, second = _work(folder, desk, office), _work(BatchFolder(tmp_path), desk, office)
    _put_batch(folder, office, 2, 1)
    assert await _done(first) == 0
    desk.away = True
    _put_batch(folder, office, 2, 2)
    assert await _done(first) == 1
    desk.away = False
    name = _put_batch(folder, office, 2, 3)
    assert await _done(second) == 1
    assert desk.told[-1] == (name, "put off: batch-sequence")
    assert await _done(first) == 0
    assert await _done(second) == 0
    assert desk.read == [1, 2, 3]
    assert _names(folder.refused) == []
    _put_batch(folder, office, 2, 5)
    assert await _done(first) == 0
    assert desk.told[-1] == ("b2-5.xml", "sequence-gap")


async def test_stop_leaves_a_file_as_if_it_had_not_been_begun(office: Office, tmp_path: Path) -> None:
    """A process that is told to stop does so in the middle of a file, and another takes the file in from its first line
    (rule 37).
    """
    folder, desk = BatchFolder(tmp_path), Desk()
    desk.held.clear()
    name = _put_batch(folder, office, LARGE, 1)
    first = _work(folder, desk, office)
    await first.look()
    await _until(lambda: desk.reading == [LARGE])
    stop = asyncio.create_task(first.stop())
    await asyncio.sleep(0)
    desk.held.set()
    await stop
    assert desk.batches == {}
    assert await _done(_work(BatchFolder(tmp_path), desk, office)) == 0
    assert desk.told == [(name, "took"), (name, "answered")]


async def test_why_a_file_waits_is_said_once(office: Office, tmp_path: Path) -> None:
    """What is tried again every other second is in the log once, until something else is the matter (rule 54)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    desk.away = True
    name = _put_batch(folder, office, 2, 1)
    work = _work(folder, desk, office)
    for _ in range(3):
        assert await _done(work) == 1
    assert desk.told == [(name, "put off: database")]


async def test_error_of_ours_ends_the_process(office: Office, tmp_path: Path) -> None:
    """What nobody foresaw is not passed over in silence: the process ends with it, and is started anew (rule 54)."""
    folder, desk = BatchFolder(tmp_path), Desk()
    _put_batch(folder, office, 2, 1)
    work = _work(folder, desk, office)
    desk.lines = None  # type: ignore[assignment]  # what no desk does
    await work.look()
    with pytest.raises(TypeError):
        await work.settled()


@pytest.mark.parametrize("number", [1, 2])
async def test_no_manifest_stands_beside_other_answers(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where answers take the place of earlier ones of that name, and whoever puts them there is killed in between, no
    manifest is there that tells of other answers; whoever takes over puts both there (rule 37).
    """
    folder, desk = BatchFolder(tmp_path), Desk()
    work = _work(folder, desk, office)
    _put_batch(folder, office, 2, 1, name="b.xml")
    assert await _done(work) == 0
    _put_batch(folder, office, 2, 2, name="b.xml")
    rename, renamed = Path.rename, list[Path]()

    def killed(path: Path, target: Path) -> Path:
        if target.parent == folder.out:
            renamed.append(target)
            if len(renamed) == number:
                raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        assert await _done(work) == 1
    assert _names(folder.out) == ["b.xml.answers.xml"]
    assert await _done(work) == 0
    said = json.loads((folder.out / "b.xml.answers.json").read_bytes())
    assert said["file_sha256"] == hashlib.sha256((folder.out / "b.xml.answers.xml").read_bytes()).hexdigest()


_TAKER = """
import json, sys
from pathlib import Path
from cbss_inscription.batch.folder import BatchFolder
folder = BatchFolder(Path(sys.argv[1]))
print(flush=True)
sys.stdin.readline()
taken = list(folder.take())
print(json.dumps([one.name for one in taken]), flush=True)
sys.stdin.read()
"""


def test_many_processes_take_each_batch_once(tmp_path: Path) -> None:
    """Of processes that look at the same moment one takes each batch; killed, they have it no more (rule 38)."""
    folder = BatchFolder(tmp_path)
    names = sorted(f"b{number}.xml" for number in range(60))
    for name in names:
        _put(folder, b"", name=name, data=b"x")
    command = [sys.executable, "-c", _TAKER, str(tmp_path)]
    takers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        for taker in takers:
            assert taker.stdout is not None
            taker.stdout.readline()
        for taker in takers:
            assert taker.stdin is not None
            taker.stdin.write("\n")
            taker.stdin.flush()
        taken = [name for taker in takers if taker.stdout for name in json.loads(taker.stdout.readline())]
    finally:
        for taker in takers:
            taker.kill()
            taker.communicate()
    assert sorted(taken) == names
    assert sorted(one.name for one in folder.take()) == names
