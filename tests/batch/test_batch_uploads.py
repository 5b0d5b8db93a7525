"""Batches over HTTPS: opened by a fresh signature, resumed where they broke off, seen by their sender only."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from cbss_inscription.batch import uploads as uploads_module
from cbss_inscription.batch.folder import MANIFEST_SUFFIX, BatchFolder
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.signed_manifest import SignedManifest
from cbss_inscription.batch.uploads import BEGUN_MAX, About, Uploads
from cbss_inscription.contract.batch import Manifest, ManifestFile
from cbss_inscription.domain.batch import BatchParty, BatchState, BatchStatus
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import NotAuthenticated, NotAuthorized, TemporarilyUnavailable
from cbss_inscription.domain.exchange import Caller
from cbss_inscription.rest.batches import PART_TYPE, UPLOADS_OF_SENDER_MAX, BatchesOverHttp
from tests.batch.files import CONSULT, HEADER, xml_file

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
FILE = xml_file(CONSULT, CONSULT)
BASE = "/InscriptionBatch/v1/batches"
CALLER = Caller(application_urn="pcsa:web", cbe_number="0206731645", environment="LOCAL", certificate_fingerprint="00")


@dataclass
class Desk:
    """Admits the words `good …` as manifests of the file, and knows one batch at most."""

    known: BatchStatus | None = None
    canceled: list[BatchStatus] = field(default_factory=list)
    refusal: Exception | None = None
    application_urn: str = "pcsa:web"
    sender: int = 1

    async def admit(self, manifest: bytes, now: datetime) -> SignedManifest:
        if self.refusal is not None:
            raise self.refusal
        if not manifest.startswith(b"good"):
            raise NotAuthenticated("signature-value")
        stated = ManifestFile(
            name="b.xml", format="xml", size_bytes=len(FILE), sha256=hashlib.sha256(FILE + manifest).hexdigest()
        )
        sender = BatchParty(organization_identification=CustomerIdentification(sector=17, institution=self.sender))
        header = msgspec.structs.replace(HEADER, sender=sender)
        return SignedManifest(
            manifest=Manifest(header=header, file=stated),
            caller=replace(CALLER, application_urn=self.application_urn),
            signed_at=now,
            replay_key=b"",
            replay_until=now,
        )

    async def status(self, about: About) -> BatchStatus | None:
        assert about.sender == f"17/{self.sender}"
        assert about.sequence_number == HEADER.sequence_number
        assert about.application_urn == self.application_urn
        return self.known

    async def cancel(self, status: BatchStatus) -> None:
        self.canceled.append(status)


@dataclass
class Service:
    """The application under test, its folder, and a clock that is moved by hand."""

    folder: BatchFolder
    http: httpx.AsyncClient
    desk: Desk
    now: list[datetime]
    over_http: BatchesOverHttp

    async def open(self, manifest: bytes = b"good") -> tuple[dict[str, Any], dict[str, str]]:
        reply = await self.http.post(BASE, content=manifest)
        assert reply.status_code == 201, reply.text
        return reply.json(), {"authorization": f"Bearer {reply.json()['token']}"}

    async def add(self, said: dict[str, Any], headers: dict[str, str], offset: int, part: bytes) -> httpx.Response:
        headers = {**headers, "content-type": PART_TYPE, "upload-offset": str(offset)}
        return await self.http.patch(f"{said['path']}/file", content=part, headers=headers)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    folder, desk, now = BatchFolder(tmp_path), Desk(), [NOW]

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        yield

    uploads = Uploads(folder)
    limits = BatchLimits(file_bytes_max=1_000_000)
    over_http = BatchesOverHttp(uploads=uploads, desk=desk, limits=limits, clock=lambda: now[0], live_path="/live")
    transport = httpx.ASGITransport(app=over_http.application(lifespan))
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as http:
        yield Service(folder=folder, http=http, desk=desk, now=now, over_http=over_http)


async def test_file_arrives_in_parts_and_goes_to_the_folder(service: Service) -> None:
    """An upload goes on where it broke off, and whole it is in `in` with its manifest last (rule 38)."""
    said, headers = await service.open()
    assert (said["state"], said["offset"]) == ("arriving", 0)
    reply = await service.add(said, headers, 0, FILE[:100])
    assert (reply.status_code, reply.headers["upload-offset"]) == (204, "100")
    again, headers = await service.open()
    assert (again["upload"], again["offset"]) == (said["upload"], 100)
    offset = await service.http.head(f"{said['path']}/file", headers=headers)
    assert (offset.headers["upload-offset"], offset.headers["upload-length"]) == ("100", str(len(FILE)))
    assert list(service.folder.incoming.iterdir()) == []
    assert (await service.add(said, headers, 100, FILE[100:])).status_code == 204
    name = f"{said['upload']}~b.xml"
    assert (service.folder.incoming / name).read_bytes() == FILE
    assert (service.folder.incoming / f"{name}{MANIFEST_SUFFIX}").read_bytes() == b"good"
    assert (await service.http.get(said["path"], headers=headers)).json()["state"] == "waiting"


@pytest.mark.parametrize(
    ("offset", "part", "status"),
    [(99, b"x", 409), (101, b"x", 409), (100, b"x" * len(FILE), 409), (-1, b"x", 400), (10**16, b"x", 400)],
)
async def test_part_begins_where_the_file_ends(service: Service, offset: int, part: bytes, status: int) -> None:
    """A part at another place, or longer than the file was said to be, is refused; what is there stays (SEC-09)."""
    said, headers = await service.open()
    await service.add(said, headers, 0, FILE[:100])
    assert (await service.add(said, headers, offset, part)).status_code == status
    assert (await service.http.head(f"{said['path']}/file", headers=headers)).headers["upload-offset"] == "100"


async def test_nobody_without_a_token_sees_a_batch(service: Service) -> None:
    """Without the token of this very upload nothing is told and nothing taken, whatever exists (SEC-62)."""
    said, headers = await service.open()
    other, others = await service.open(b"good, but another")
    assert other["upload"] != said["upload"]
    paths = [("GET", ""), ("HEAD", "/file"), ("PATCH", "/file"), ("POST", "/cancel"), ("GET", "/answers")]
    for method, path in paths:
        for bad in ({}, others, {"authorization": "Bearer x"}, {"authorization": headers["authorization"][7:]}):
            reply = await service.http.request(method, said["path"] + path, headers=bad)
            assert reply.status_code == 401
            assert method == "HEAD" or reply.json() == {"code": "SOA-01001", "reason": None}
    for unknown in ("0" * 32, "..%2F..", "x" * 32, "a"):
        assert (await service.http.get(f"{BASE}/{unknown}", headers=headers)).status_code in {401, 404}
    service.now[0] = NOW + timedelta(hours=25)
    assert (await service.http.get(said["path"], headers=headers)).status_code == 401


async def test_another_application_has_an_upload_of_its_own(service: Service) -> None:
    """Who signs the very manifest of another application of the sender gets at nothing of it (SEC-58, SEC-62)."""
    said, headers = await service.open()
    await service.add(said, headers, 0, FILE)
    stem = f"{said['upload']}~b.xml.answers"
    (service.folder.out / f"{stem}.xml").write_bytes(b"0123456789")
    (service.folder.out / f"{stem}.json").write_bytes(b"{}")
    service.desk.application_urn = "pcsa:other"
    other, others = await service.open()
    assert (other["state"], other["offset"]) == ("arriving", 0)
    assert (await service.http.get(f"{other['path']}/answers", headers=others)).status_code == 404
    assert (await service.http.get(f"{said['path']}/answers", headers=others)).status_code == 401


@pytest.mark.parametrize(
    ("refusal", "status", "told"),
    [
        (NotAuthenticated("replayed"), 401, {"code": "SOA-01001", "reason": None}),
        (NotAuthorized("batch-sender"), 403, {"code": "SOA-01002", "reason": "batch-sender"}),
        (TemporarilyUnavailable("database"), 503, {"code": "SOA-02002", "reason": None}),
    ],
)
async def test_who_may_not_send_opens_nothing(
    service: Service, refusal: Exception, status: int, told: dict[str, Any]
) -> None:
    """Nothing is kept for a manifest that is refused (SEC-56, SEC-62)."""
    service.desk.refusal = refusal
    reply = await service.http.post(BASE, content=b"good")
    assert (reply.status_code, reply.json()) == (status, told)
    assert list((service.folder.root / "uploads").iterdir()) == []


async def test_manifest_too_large_is_not_read_on(service: Service) -> None:
    """What is larger than any manifest is refused before anything is made of it (SEC-09)."""
    assert (await service.http.post(BASE, content=b"good" * 100_000)).json()["reason"] == "size"


async def test_other_methods_and_types_are_refused(service: Service) -> None:
    """A path takes its methods, and a part its type (SEC-06, SEC-07)."""
    said, headers = await service.open()
    assert (await service.http.put(said["path"], headers=headers)).status_code == 405
    reply = await service.http.patch(f"{said['path']}/file", content=b"x", headers={**headers, "upload-offset": "0"})
    assert reply.status_code == 415


async def test_replies_are_for_no_one_to_keep(service: Service) -> None:
    """No reply may be cached, and none names the program that made it (SEC-65)."""
    said, headers = await service.open()
    for reply in (await service.http.get(said["path"], headers=headers), await service.http.get(said["path"])):
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["server"] == ""


def _status(state: BatchState) -> BatchStatus:
    return BatchStatus(
        batch_id=uuid4(), header=HEADER, digest=b"", application_urn="pcsa:web", cbe_number="0206731645",
        state=state, line_count=2, lines_answered=1, lines_waiting=0, cut_after=None, outcomes=(),
        submitted_at=NOW, began_at=NOW, finished_at=None,
    )  # fmt: skip


async def test_batch_is_told_of_and_canceled(service: Service) -> None:
    """Once it is a batch its sender sees how it stands, and may stop it; before, there is nothing to stop (rule 37)."""
    said, headers = await service.open()
    assert (await service.http.post(f"{said['path']}/cancel", headers=headers)).status_code == 409
    service.desk.known = _status(BatchState.RUNNING)
    told = (await service.http.get(said["path"], headers=headers)).json()
    assert (told["state"], told["answered"], told["lines"]) == ("running", 1, 2)
    assert (await service.http.post(f"{said['path']}/cancel", headers=headers)).status_code == 200
    assert service.desk.canceled == [service.desk.known]


async def test_answers_are_fetched_whole_or_in_part(service: Service) -> None:
    """The answers come when they are all there, and from the byte that is asked for (rule 37)."""
    said, headers = await service.open()
    assert (await service.http.get(f"{said['path']}/answers", headers=headers)).status_code == 404
    stem = f"{said['upload']}~b.xml.answers"
    (service.folder.out / f"{stem}.xml").write_bytes(b"0123456789")
    (service.folder.out / f"{stem}.json").write_bytes(b'{"answers": 2}')
    told = (await service.http.get(said["path"], headers=headers)).json()
    assert told["result"] == {"answers": 2}
    assert (await service.http.get(f"{said['path']}/answers", headers=headers)).content == b"0123456789"
    part = await service.http.get(f"{said['path']}/answers", headers={**headers, "range": "bytes=4-"})
    assert (part.status_code, part.content) == (206, b"456789")
    assert (await service.open())[0]["offset"] == len(FILE), "and the file is not asked for again"


async def test_refusal_is_told(service: Service) -> None:
    """Why a file was refused is told to its sender, as it stands beside the file (rule 37)."""
    said, headers = await service.open()
    refusal = {"file": "b.xml", "code": "SOA-03001", "reason": "not-well-formed", "line": 3}
    (service.folder.refused / f"{said['upload']}~b.xml.refused.json").write_text(json.dumps(refusal))
    told = (await service.http.get(said["path"], headers=headers)).json()
    assert (told["state"], told["refusal"]) == ("refused", refusal)


async def test_full_disk_is_said_and_what_came_is_kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no room the sender learns it, and goes on later where it ended (rule 54)."""
    said, headers = await service.open()
    await service.add(said, headers, 0, FILE[:100])

    def full(descriptor: int, part: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cbss_inscription.batch.uploads._write", full)
        reply = await service.add(said, headers, 100, FILE[100:])
    assert (reply.status_code, reply.json()["reason"]) == (507, "storage")
    assert (await service.add(said, headers, 100, FILE[100:])).status_code == 204


@pytest.mark.parametrize("failing", ["copyfile", "fsync", "rename", "second rename"])
async def test_whole_file_is_handed_over_whatever_failed(
    service: Service, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Where the hand-over of a whole file fails, or its process is killed in it, opening it again does it (rule 54)."""
    said, headers = await service.open()
    renames: list[Path] = []

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def fail_at(path: Path, target: Path) -> None:
        renames.append(target)
        if len(renames) == (2 if failing == "second rename" else 1):
            fail()
        path.replace(target)

    with monkeypatch.context() as patch:
        if "rename" in failing:
            patch.setattr("cbss_inscription.batch.uploads.Path.rename", fail_at)
        else:
            module = {"copyfile": "shutil", "fsync": "os"}[failing]
            patch.setattr(f"cbss_inscription.batch.uploads.{module}.{failing}", fail)
        assert (await service.add(said, headers, 0, FILE)).status_code == 507
    again, headers = await service.open()
    assert (again["state"], again["offset"]) == ("waiting", len(FILE))
    name = f"{said['upload']}~b.xml"
    assert (service.folder.incoming / name).read_bytes() == FILE
    assert (service.folder.incoming / f"{name}{MANIFEST_SUFFIX}").read_bytes() == b"good"


async def test_batch_that_was_taken_is_not_handed_over_again(service: Service) -> None:
    """While a batch is in somebody's hands, its file still in `in`, no second manifest is put beside it (rule 38)."""
    said, headers = await service.open()
    await service.add(said, headers, 0, FILE)
    manifest = service.folder.incoming / f"{said['upload']}~b.xml{MANIFEST_SUFFIX}"
    taken = service.folder.work / f"{said['upload']}~b.xml~00"
    taken.mkdir()
    manifest.rename(taken / "manifest.xml")
    assert (await service.open())[0]["state"] == "waiting"
    assert not manifest.exists()


async def test_file_that_another_process_handed_over_is_not_added_to(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that was opened before its file was handed over comes too late, and hands over nothing again (rule 38)."""
    said, headers = await service.open()
    await service.add(said, headers, 0, FILE[:-1])
    part = service.folder.root / "uploads" / said["upload"] / "part"

    def handed_over(file: Any, operation: int) -> None:
        with part.open("ab") as others:
            others.write(FILE[-1:])
        part.rename(service.folder.root / "taken")

    with monkeypatch.context() as patch:
        patch.setattr("cbss_inscription.batch.uploads.fcntl.flock", handed_over)
        assert (await service.add(said, headers, len(FILE), b"")).status_code == 409
    assert list(service.folder.incoming.iterdir()) == []


async def test_sender_begins_so_many_uploads(service: Service) -> None:
    """Who begins file after file and sends none of them whole is stopped, until one of them is whole (SEC-09)."""
    opened = [await service.open(b"good %d" % number) for number in range(BEGUN_MAX)]
    reply = await service.http.post(BASE, content=b"good, but another")
    assert (reply.status_code, reply.json()["reason"]) == (429, "uploads-begun")
    said, headers = await service.open(b"good 0")
    assert said["upload"] == opened[0][0]["upload"], "what was begun goes on"
    await service.add(said, headers, 0, FILE)
    assert (await service.http.post(BASE, content=b"good, but another")).status_code == 201


async def test_sender_has_so_many_parts_arriving(service: Service) -> None:
    """Who sends as many parts at once as one sender may is asked to wait, and every other sender is not (SEC-09)."""
    opened = [await service.open(b"good %d" % number) for number in range(UPLOADS_OF_SENDER_MAX + 1)]
    end, arriving = asyncio.Event(), asyncio.Semaphore(0)

    async def slowly() -> AsyncIterator[bytes]:
        arriving.release()
        yield FILE[:10]
        await end.wait()

    def patch(said: dict[str, Any], headers: dict[str, str], content: Any) -> Awaitable[httpx.Response]:
        sent = {**headers, "content-type": PART_TYPE, "upload-offset": "0"}
        return service.http.patch(f"{said['path']}/file", content=content, headers=sent)

    sending = [asyncio.ensure_future(patch(said, headers, slowly())) for said, headers in opened[:-1]]
    for _ in sending:
        await arriving.acquire()
    reply = await patch(*opened[-1], FILE[:10])
    assert (reply.status_code, reply.json()["reason"]) == (503, "uploads-at-once")
    service.desk.sender = 2
    other, others = await service.open(b"good, of another")
    assert (await patch(other, others, FILE[:10])).status_code == 204
    end.set()
    assert {(await reply).status_code for reply in sending} == {204}
    assert (await patch(*opened[-1], FILE[:10])).status_code == 204


async def test_disk_holds_up_nobody_else(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a disk or a lock does so in a thread: the loop that serves all others never does (SEC-10)."""
    loop, waiting = threading.get_ident(), list[str]()

    def noting(name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def wait(*said: Any, **also: Any) -> Any:
            if threading.get_ident() == loop:
                waiting.append(name)
            return do(*said, **also)

        return wait

    for module, name in ((os, "fsync"), (os, "write"), (os, "open"), (fcntl, "flock"), (shutil, "copyfile")):
        monkeypatch.setattr(module, name, noting(name, getattr(module, name)))
    said, headers = await service.open()
    await service.add(said, headers, 0, FILE[:100])
    await service.add(said, headers, 100, FILE[100:])
    await service.http.head(f"{said['path']}/file", headers=headers)
    await service.http.get(said["path"], headers=headers)
    assert waiting == []


@pytest.mark.parametrize("at", ["begin", "write"])
async def test_part_that_is_broken_off_keeps_what_came(
    service: Service, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """A part that is broken off while a thread is at it leaves what came, and a file that nobody holds (rule 38)."""
    said, headers = await service.open()
    began, go_on = threading.Event(), threading.Event()
    do = {"begin": fcntl.flock, "write": uploads_module._write}[at]

    def held(*given: Any) -> Any:
        began.set()
        assert go_on.wait(60)
        return do(*given)

    async def endless() -> AsyncIterator[bytes]:
        yield FILE[:100]
        if at == "begin":
            await asyncio.sleep(60)

    with monkeypatch.context() as patch:
        patch.setattr(*{"begin": (fcntl, "flock"), "write": (uploads_module, "_write")}[at], held)
        adding = asyncio.ensure_future(service.over_http.uploads.add(said["upload"], endless(), offset=0))
        await asyncio.to_thread(began.wait)
        for _ in range(2):
            adding.cancel()
            await asyncio.sleep(0)
        assert not adding.done(), "while a thread has the file open it stays so"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await adding
    offset = 0 if at == "begin" else 100
    assert (await service.add(said, headers, offset, FILE[offset:])).status_code == 204


async def test_sender_that_trickles_is_cut_off(service: Service) -> None:
    """Who sends a byte now and then holds nothing for hours; what came of a part is kept (SEC-10)."""

    async def trickle() -> AsyncIterator[bytes]:
        for byte in FILE[:200]:
            yield bytes([byte])
            await asyncio.sleep(0.01)

    service.over_http.part_seconds_max = 0.3
    reply = await service.http.post(BASE, content=trickle())
    assert (reply.status_code, reply.json()["reason"]) == (408, "silent")
    said, headers = await service.open()
    sent = {**headers, "content-type": PART_TYPE, "upload-offset": "0"}
    assert (await service.http.patch(f"{said['path']}/file", content=trickle(), headers=sent)).status_code == 408
    offset = int((await service.http.head(f"{said['path']}/file", headers=headers)).headers["upload-offset"])
    assert 0 < offset < 200


async def test_no_room_for_a_new_upload_is_said(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an upload cannot be begun for want of room, that is the answer, and no error of ours (rule 54)."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cbss_inscription.batch.packing.os.fsync", full)
        reply = await service.http.post(BASE, content=b"good")
    assert (reply.status_code, reply.json()["reason"]) == (507, "storage")
    assert (await service.open())[0]["state"] == "arriving"


async def test_answers_that_were_taken_away_are_gone(service: Service) -> None:
    """Answers that an operator took away without their manifest are told to be gone (rule 37)."""
    said, headers = await service.open()
    (service.folder.out / f"{said['upload']}~b.xml.answers.json").write_bytes(b"{}")
    reply = await service.http.get(f"{said['path']}/answers", headers=headers)
    assert (reply.status_code, reply.json()["reason"]) == (404, "gone")


async def test_upload_that_nobody_goes_on_with_is_forgotten(service: Service) -> None:
    """A part that was left behind goes with its tokens in the end; what is being sent stays (SEC-09)."""
    left, headers = await service.open()
    await service.add(left, headers, 0, FILE[:100])
    for path in (place := service.folder.root / "uploads" / left["upload"]).rglob("*"):
        os.utime(path, (0, 0))
    os.utime(place, (0, 0))
    kept, others = await service.open(b"good, but another")
    assert Uploads(service.folder).forget(before=datetime.now(UTC) - timedelta(days=30)) == 1
    assert (await service.http.get(left["path"], headers=headers)).status_code == 401
    assert (await service.http.get(kept["path"], headers=others)).status_code == 200


async def test_answers_of_uploads_are_not_kept_for_ever(service: Service) -> None:
    """What is in the folder of uploads long since answered or refused goes; what others put there stays (SEC-09)."""
    old = [
        service.folder.out / f"{'0' * 32}~b.xml.answers.xml",
        service.folder.out / f"{'0' * 32}~b.xml.answers.json",
        service.folder.refused / f"{'0' * 32}~b.xml",
    ]
    kept = [service.folder.out / "b.xml.answers.xml", service.folder.out / f"{'1' * 32}~b.xml.answers.xml"]
    for path in (*old, *kept):
        path.write_bytes(b"")
    for path in (*old, kept[0]):
        os.utime(path, (0, 0))
    Uploads(service.folder).forget(before=datetime.now(UTC) - timedelta(days=30))
    assert [path.exists() for path in (*old, *kept)] == [False, False, False, True, True]
