"""A sender's side of the upload: sign, send what is not there yet, ask, and fetch the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import httpx
import msgspec

from cbss_inscription import names
from cbss_inscription.batch.packing import WholeFile
from cbss_inscription.batch.signed_manifest import sign_manifest
from cbss_inscription.client.errors import FaultReceived, ReplyUnreadable, ServiceUnreachable
from cbss_inscription.client.profile import Profile, read_signer
from cbss_inscription.client.transport import tls_context
from cbss_inscription.contract.batch import Manifest
from cbss_inscription.domain.errors import UsageError

PART_BYTES: Final = 8_388_608
"""What one request sends; what had arrived of a broken one is not sent again."""
ATTEMPTS_MAX: Final = 8
"""How often in a row a part may fail before the upload is given up, to be resumed later."""
_REPLY_BYTES_MAX: Final = 1_048_576
_PAUSE_SECONDS: Final = 0.5
_PART_TYPE: Final = "application/offset+octet-stream"
_RETRIED: Final = frozenset({HTTPStatus.LOCKED, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.REQUEST_TIMEOUT})
_ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "batch-sender": "the application may do nothing for the organisation that the batch names as its sender",
        "gone": "the service has taken that away: ask its operator",
        "not-begun": "it is no batch yet, so that there is nothing to cancel",
        "not-finished": "the answers are not all there yet: watch the batch",
        "size": "the file is larger than the service takes",
        "unknown-caller": "the certificate or the signature is not accepted, and only the service's log says why: is "
        "it the one that was registered there, in force and not revoked?",
        "storage": "the service has no room: resume the upload later",
        "upload-busy": "another process is uploading the same file",
        "uploads-at-once": "too many of the sender's files are arriving at this moment: resume the upload later",
        "uploads-begun": "too many of the sender's uploads are not whole: resume those first",
    }
)
"""What to do about what the service gives as its reason."""


class RemoteBatch:
    """One batch at the service of a profile: opened by a manifest that is signed anew, and asked about by its token.

    Where the token serves no more, after a day or because others took its place, the manifest is signed again.

    Raises `UsageError` for a profile that does not serve, `CallFailed` when the service refuses or cannot be reached.
    """

    def __init__(
        self,
        profile: Profile,
        manifest: Manifest,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if profile.batch_url is None:
            raise UsageError("the profile names no batch_url: where batches are uploaded")
        self._signer = read_signer(profile.certificate, profile.private_key)
        self._clock = clock
        self.manifest = manifest
        self._http = httpx.Client(
            base_url=profile.batch_url,
            verify=tls_context(profile.ca, profile.tls),
            timeout=profile.timeout_seconds,
            trust_env=False,
            follow_redirects=False,
            transport=transport,
        )
        self._open()

    def _open(self) -> None:
        signed = sign_manifest(self.manifest, signer=self._signer, now=self._clock())
        headers = {"content-type": "text/xml; charset=utf-8"}
        said = _read(self._send("POST", f"{names.BATCH_PATH}/batches", content=signed, headers=headers))
        self._path = f"{names.BATCH_PATH}/batches/{said['upload']}"
        self._headers = {"authorization": f"Bearer {said['token']}"}
        self.state = {name: value for name, value in said.items() if name not in {"path", "token"}}
        """How it stood when it was asked last, and be it by being opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def send(self, file: Path, *, sent: Callable[[int], None], wait: Callable[[float], None] = time.sleep) -> None:
        """Nothing; the whole file is there. `sent` is told how much of it is, from time to time."""
        size, attempts = self.manifest.file.size_bytes, 0
        with file.open("rb") as opened:
            offset = int(self.state["offset"])
            while offset < size:
                sent(offset)
                opened.seek(offset)
                part = opened.read(PART_BYTES)
                if not part:
                    raise UsageError(f"{file}: shorter than its manifest says")
                try:
                    reply = self._asked("PATCH", "/file", content=part, headers=_at(offset))
                    if reply.status_code == HTTPStatus.NO_CONTENT:
                        offset, attempts = offset + len(part), 0
                        continue
                    if reply.status_code not in {*_RETRIED, HTTPStatus.CONFLICT}:
                        raise _fault(reply)
                    failure: Exception = _fault(reply)
                except ServiceUnreachable as error:
                    failure = error
                attempts += 1
                if attempts >= ATTEMPTS_MAX:
                    raise failure
                wait(_PAUSE_SECONDS * 2**attempts)
                offset = self._offset() or offset
            if attempts:  # all of it is there, and nobody said that it became a batch
                self._open()
        sent(size)

    def look(self) -> dict[str, Any]:
        """How it stands now."""
        self.state = _read(self._asked("GET", ""))
        return self.state

    def cancel(self) -> dict[str, Any]:
        """How it stands once no line of it begins any more."""
        self.state = _read(self._asked("POST", "/cancel"))
        return self.state

    def fetch(self, path: Path) -> int:
        """How many bytes the file of answers at `path` has, which is there whole or not at all."""
        result = self.state.get("result", {})
        try:
            with (
                self._http.stream("GET", f"{self._path}/answers", headers=self._headers) as reply,
                WholeFile(path) as file,
            ):
                if reply.status_code != HTTPStatus.OK:
                    reply.read()
                    raise _fault(reply)
                for part in reply.iter_bytes():
                    file.write(part)
                if file.size_bytes != result.get("file_bytes", file.size_bytes):
                    raise ReplyUnreadable("size")
                if file.sha256 != result.get("file_sha256", file.sha256):  # it is not packed: nothing follows
                    raise ReplyUnreadable("digest")
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        return file.size_bytes

    def _offset(self) -> int | None:
        try:
            reply = self._asked("HEAD", "/file")
        except ServiceUnreachable:
            return None
        text = reply.headers.get("upload-offset", "")
        return int(text) if reply.status_code == HTTPStatus.OK and text.isdigit() else None

    def _asked(
        self, method: str, path: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The reply to what only the token opens."""
        reply = self._send(method, self._path + path, content=content, headers={**(headers or {}), **self._headers})
        if reply.status_code == HTTPStatus.UNAUTHORIZED:
            self._open()
            reply = self._send(method, self._path + path, content=content, headers={**(headers or {}), **self._headers})
        return reply

    def _send(self, method: str, path: str, **said: Any) -> httpx.Response:  # noqa: ANN401  # httpx's own arguments
        try:
            with self._http.stream(method, path, **said) as reply:
                content = b"".join(_bounded(reply))
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        return httpx.Response(reply.status_code, headers=reply.headers, content=content)


def _at(offset: int) -> dict[str, str]:
    return {"content-type": _PART_TYPE, "upload-offset": str(offset), "tus-resumable": "1.0.0"}


def _read(reply: httpx.Response) -> dict[str, Any]:
    if reply.status_code not in {HTTPStatus.OK, HTTPStatus.CREATED}:
        raise _fault(reply)
    try:
        return msgspec.json.decode(reply.content, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ReplyUnreadable("json") from error


def _bounded(reply: httpx.Response) -> Iterator[bytes]:
    size = 0
    for part in reply.iter_raw():
        size += len(part)
        if size > _REPLY_BYTES_MAX:
            raise ReplyUnreadable("size")
        yield part


def _fault(reply: httpx.Response) -> FaultReceived:
    try:
        said = msgspec.json.decode(reply.content, type=dict[str, Any])
    except msgspec.DecodeError:
        said = {}
    code = str(said.get("code") or f"HTTP {reply.status_code}")[:40]
    reason = str(said.get("reason") or ("unknown-caller" if code == "SOA-01001" else "no reason is told"))
    is_ours = HTTPStatus.BAD_REQUEST <= reply.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    return FaultReceived(
        code=code,
        fault_code="Client" if is_ours else "Server",
        ticket=None,
        message=_ADVICE.get(reason, reason[:200]),
        retry=not is_ours,
    )


def _unreachable(error: httpx.HTTPError) -> ServiceUnreachable:
    return ServiceUnreachable(f"the service for batches cannot be reached: {type(error).__name__}")
