"""A sender's side of the upload: it goes on where it broke off, and says what to do where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from cbss_inscription.batch.remote import PART_BYTES, RemoteBatch
from cbss_inscription.client.errors import FaultReceived, ReplyUnreadable
from cbss_inscription.client.profile import Profile
from cbss_inscription.contract.batch import Manifest, ManifestFile
from cbss_inscription.sandbox.pki import TestPki
from tests.batch.files import HEADER

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DATA = bytes(PART_BYTES) + b"the rest"
ANSWERS = b"0123456789"
Reply = Callable[[httpx.Request], httpx.Response | None]


@dataclass
class Service:
    """Takes an upload as `rest.batches` does; what `first` answers, it does not see."""

    file: bytearray = field(default_factory=bytearray)
    opened: int = 0
    first: Reply = lambda _: None
    result: dict[str, object] = field(default_factory=dict)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        reply = self._reply(request)
        return httpx.Response(reply.status_code, headers=reply.headers, stream=httpx.ByteStream(reply.content))

    def _reply(self, request: httpx.Request) -> httpx.Response:
        if (reply := self.first(request)) is not None:
            return reply
        path = request.url.path
        if path.endswith("/batches"):
            self.opened += 1
            return self._state(201, token=f"t-{self.opened}")
        if request.headers["authorization"] != f"Bearer t-{self.opened}":
            return httpx.Response(401, json={"code": "SOA-01001", "reason": None})
        if path.endswith("/answers"):
            return httpx.Response(200, content=ANSWERS)
        if request.method == "PATCH":
            if int(request.headers["upload-offset"]) != len(self.file):
                return httpx.Response(409, json={"code": "SOA-03007", "reason": "upload-offset"})
            self.file += request.content
            return httpx.Response(204)
        if request.method == "HEAD":
            return httpx.Response(200, headers={"upload-offset": str(len(self.file))})
        return self._state(200)

    def _state(self, status: int, **more: str) -> httpx.Response:
        said = {"upload": "0" * 32, "offset": len(self.file), "state": "arriving", **more}
        return httpx.Response(status, json=said | ({"result": self.result} if self.result else {}))


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    folder = tmp_path_factory.mktemp("profile")
    pki = TestPki.generate(environment="LOCAL", now=NOW - timedelta(days=30))
    credential = pki.issue_application_certificate(
        application_urn="pcsa:web",
        cbe_number="0206731645",
        organization_name="PCSA",
        not_before=NOW - timedelta(days=30),
    )
    (folder / "crt.pem").write_bytes(credential.certificate_pem)
    (folder / "key.pem").write_bytes(credential.private_key_pem)
    (folder / "ca.pem").write_bytes(pki.authorities_pem)
    return Profile(
        url="https://test",
        batch_url="https://test",
        ca=folder / "ca.pem",
        certificate=folder / "crt.pem",
        private_key=folder / "key.pem",
    )


@contextmanager
def _remote(profile: Profile, service: Service) -> Iterator[RemoteBatch]:
    stated = ManifestFile(name="b.xml", format="xml", size_bytes=len(DATA), sha256="0" * 64)
    manifest = Manifest(header=HEADER, file=stated)
    with RemoteBatch(profile, manifest, clock=lambda: NOW, transport=httpx.MockTransport(service)) as remote:
        yield remote


def test_token_that_serves_no_more_is_replaced(profile: Profile, tmp_path: Path) -> None:
    """An upload, or a look, that outlives its token signs the manifest anew and goes on (rule 38)."""
    (file := tmp_path / "b.xml").write_bytes(DATA)
    service = Service()
    with _remote(profile, service) as remote:
        service.opened += 16  # others asked, and theirs took the place of ours
        remote.send(file, sent=lambda _: None)
        assert service.file == DATA
        service.opened += 16
        assert remote.look()["offset"] == len(DATA)


def test_last_part_that_was_not_answered_is_made_sure_of(profile: Profile, tmp_path: Path) -> None:
    """When all bytes came and nobody said that they did, the upload is opened again, which hands it over (rule 54)."""
    (file := tmp_path / "b.xml").write_bytes(DATA)
    service = Service()

    def lost(request: httpx.Request) -> httpx.Response | None:
        if request.method != "PATCH" or len(service.file) < PART_BYTES:
            return None
        service.file += request.content
        raise httpx.ReadError("gone")

    service.first = lost
    with _remote(profile, service) as remote:
        remote.send(file, sent=lambda _: None, wait=lambda _: None)
    assert service.opened == 2


@pytest.mark.parametrize(
    ("status", "reason", "advice"),
    [(507, "storage", "resume the upload later"), (429, "uploads-begun", "resume those first"), (400, "odd", "odd")],
)
def test_what_is_to_be_done_is_said(profile: Profile, tmp_path: Path, status: int, reason: str, advice: str) -> None:
    """Whom the service refuses learns what to do, not a word of a protocol alone (rule 37)."""
    (file := tmp_path / "b.xml").write_bytes(DATA)
    service = Service(
        first=lambda request: (
            httpx.Response(status, json={"code": "SOA-02002", "reason": reason}) if request.method == "PATCH" else None
        )
    )
    with _remote(profile, service) as remote, pytest.raises(FaultReceived, match=advice):
        remote.send(file, sent=lambda _: None)


@pytest.mark.parametrize("stated", [{"file_bytes": 9}, {"file_sha256": "0" * 64}])
def test_answers_that_are_damaged_take_no_file_s_place(
    profile: Profile, tmp_path: Path, stated: dict[str, object]
) -> None:
    """Answers that are not those of their manifest are not written, and what was there before stays (rule 37)."""
    (path := tmp_path / "answers.xml").write_bytes(b"of yesterday")
    service = Service(result=stated)
    with _remote(profile, service) as remote:
        remote.look()
        with pytest.raises(ReplyUnreadable):
            remote.fetch(path)
    assert path.read_bytes() == b"of yesterday"
    assert [one.name for one in tmp_path.iterdir()] == ["answers.xml"]
