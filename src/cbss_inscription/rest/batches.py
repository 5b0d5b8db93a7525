"""Batches over HTTPS: a signed manifest opens an upload, which may be resumed; then how it stands, and its answers.

Uploads go on as tus 1.0 has it (`Upload-Offset`, PATCH). Every path but the first needs the token that the first gives.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cbss_inscription import names
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.signed_manifest import MANIFEST_BYTES_MAX, SignedManifest
from cbss_inscription.batch.uploads import About, OffsetMismatch, TooManyBegun, UploadBusy, Uploads
from cbss_inscription.domain.batch import BatchStatus
from cbss_inscription.domain.errors import (
    CbssInscriptionError,
    MalformedMessage,
    MessageRejected,
    NotAuthenticated,
    NotAuthorized,
    ServiceUnavailable,
)

PART_SECONDS_MAX: Final = 30.0
"""How long a sender may be silent within a part; what had come by then is kept (SEC-10)."""
BYTES_PER_SECOND_MIN: Final = 1_024
"""How fast a sender has to be on the average: who sends a byte now and then is as good as silent (SEC-10)."""
UPLOADS_AT_ONCE_MAX: Final = 32
"""Parts that arrive in one worker at a time."""
UPLOADS_OF_SENDER_MAX: Final = 8
"""Parts of one sender's files among them: nobody takes the places of all others (SEC-09)."""
PART_TYPE: Final = "application/offset+octet-stream"
_JSON: Final = "application/json"
_TUS: Final = "1.0.0"
_ONE: Final = f"{names.BATCH_PATH}/batches/{{identifier:str}}"


class BatchDesk(Protocol):
    """Who judges manifests, and knows how batches stand."""

    async def admit(self, manifest: bytes, now: datetime) -> SignedManifest:
        """The manifest, signed just now, seen for the first time, of one who may send it. Raises `MessageRejected`."""
        ...

    async def status(self, about: About) -> BatchStatus | None:
        """How the batch of this file of this application is going; None when it is none yet."""
        ...

    async def cancel(self, status: BatchStatus) -> None:
        """Nothing; no line of it begins any more."""
        ...


class _Problem(Exception):
    def __init__(self, status: HTTPStatus, code: str, reason: str | None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.reason = reason


@dataclass(slots=True, kw_only=True)
class BatchesOverHttp:
    """The paths below `/InscriptionBatch/v1`."""

    uploads: Uploads
    desk: BatchDesk
    limits: BatchLimits
    clock: Callable[[], datetime]
    live_path: str
    """Where the listener says that it is there."""
    part_seconds_max: float = PART_SECONDS_MAX
    _arriving: Counter[str] = field(default_factory=Counter)
    """How many parts do, by sender."""

    def application(self, lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> ASGIApp:
        """The ASGI application."""
        paths: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            (f"{names.BATCH_PATH}/batches", "POST", self._open),
            (f"{_ONE}/file", "HEAD", self._offset),
            (f"{_ONE}/file", "PATCH", self._add),
            (f"{_ONE}/cancel", "POST", self._cancel),
            (f"{_ONE}/answers", "GET", self._answers),
            (_ONE, "GET", self._state),
        ]
        routes = [Route(path, self._told(serve), methods=[method]) for path, method, serve in paths]
        routes.append(Route(self.live_path, self._live, methods=["GET"]))
        return _Plain(Starlette(routes=routes, lifespan=lambda _: lifespan()))

    def _told(self, serve: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """The same, with what it raises as an answer: a code, and a word where the caller is known (SEC-62)."""

        async def answer(request: Request) -> Response:
            try:
                return await serve(request)
            except _Problem as problem:
                return _json({"code": problem.code, "reason": problem.reason}, problem.status)
            except NotAuthenticated as error:
                return _json({"code": error.code, "reason": None}, HTTPStatus.UNAUTHORIZED)
            except NotAuthorized as error:
                return _json({"code": error.code, "reason": error.reason}, HTTPStatus.FORBIDDEN)
            except MessageRejected as error:
                return _json({"code": error.code, "reason": error.reason}, HTTPStatus.BAD_REQUEST)
            except ServiceUnavailable as error:
                return _json({"code": error.code, "reason": None}, HTTPStatus.SERVICE_UNAVAILABLE)
            except FileNotFoundError:  # forgotten, or taken away, while it was asked for
                return _json({"code": "SOA-03007", "reason": "gone"}, HTTPStatus.NOT_FOUND)
            except OSError:
                return _json({"code": "SOA-02002", "reason": "storage"}, HTTPStatus.INSUFFICIENT_STORAGE)
            except CbssInscriptionError:
                return _json({"code": "SOA-02001", "reason": None}, HTTPStatus.INTERNAL_SERVER_ERROR)

        return answer

    async def _live(self, _: Request) -> Response:
        return Response("alive\n", media_type="text/plain")

    async def _open(self, request: Request) -> Response:
        data = bytearray()
        async for part in self._parts(request):
            data += part
            if len(data) > MANIFEST_BYTES_MAX:
                raise MalformedMessage("size")
        now = self.clock()
        signed = await self.desk.admit(bytes(data), now)
        if signed.manifest.file.size_bytes > self.limits.file_bytes_max:
            raise _Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "SOA-03001", "size")
        try:
            identifier, token = await asyncio.to_thread(self.uploads.open, signed, bytes(data), now=now)
        except TooManyBegun:
            raise _Problem(HTTPStatus.TOO_MANY_REQUESTS, "SOA-02002", "uploads-begun") from None
        path = f"{names.BATCH_PATH}/batches/{identifier}"
        said = await self._said(identifier)
        return _json({**said, "path": path, "token": token}, HTTPStatus.CREATED, location=f"{path}/file")

    async def _offset(self, request: Request) -> Response:
        identifier = await self._identifier(request)
        return Response(status_code=HTTPStatus.OK, headers=await self._tus(identifier))

    async def _add(self, request: Request) -> Response:
        identifier = await self._identifier(request)
        offset = request.headers.get("upload-offset", "")
        if request.headers.get("content-type") != PART_TYPE:
            raise _Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "SOA-03001", "content-type")
        if not (offset.isascii() and offset.isdigit() and len(offset) <= 15):
            raise _Problem(HTTPStatus.BAD_REQUEST, "SOA-03001", "upload-offset")
        sender = (await asyncio.to_thread(self.uploads.about, identifier)).sender
        if self._arriving[sender] >= UPLOADS_OF_SENDER_MAX:
            raise _Problem(HTTPStatus.SERVICE_UNAVAILABLE, "SOA-02002", "uploads-at-once")
        if self._arriving.total() >= UPLOADS_AT_ONCE_MAX:
            raise _Problem(HTTPStatus.SERVICE_UNAVAILABLE, "SOA-02002", None)
        self._arriving[sender] += 1
        try:
            await self.uploads.add(identifier, self._parts(request), offset=int(offset))
        except OffsetMismatch:
            raise _Problem(HTTPStatus.CONFLICT, "SOA-03007", "upload-offset") from None
        except UploadBusy:
            raise _Problem(HTTPStatus.LOCKED, "SOA-02002", "upload-busy") from None
        finally:
            self._arriving[sender] -= 1
            if not self._arriving[sender]:
                del self._arriving[sender]
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=await self._tus(identifier))

    async def _state(self, request: Request) -> Response:
        return _json(await self._said(await self._identifier(request)))

    async def _cancel(self, request: Request) -> Response:
        identifier = await self._identifier(request)
        status = await self.desk.status(await asyncio.to_thread(self.uploads.about, identifier))
        if status is None:
            raise _Problem(HTTPStatus.CONFLICT, "SOA-03007", "not-begun")
        await self.desk.cancel(status)
        return _json(await self._said(identifier))

    async def _answers(self, request: Request) -> Response:
        """The file of answers, whole or by ranges, once the batch is finished."""
        answers = await asyncio.to_thread(self.uploads.answers_of, await self._identifier(request))
        if answers is None:
            raise _Problem(HTTPStatus.NOT_FOUND, "SOA-03007", "not-finished")
        return FileResponse(answers, media_type="application/octet-stream", filename=answers.name.partition("~")[2])

    async def _identifier(self, request: Request) -> str:
        """The upload of the path, when the token in the header was given for it. Raises `NotAuthenticated`."""
        identifier = str(request.path_params["identifier"])
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        is_possible = len(identifier) == 32 and identifier.isalnum() and identifier.isascii()
        if not is_possible or kind != "Bearer":
            raise NotAuthenticated("token")
        if not await asyncio.to_thread(self.uploads.is_allowed, identifier, token, now=self.clock()):
            raise NotAuthenticated("token")
        return identifier

    async def _tus(self, identifier: str) -> dict[str, str]:
        place = await asyncio.to_thread(self.uploads.place_of, identifier)
        about = await asyncio.to_thread(self.uploads.about, identifier)
        return {"upload-offset": str(place.offset), "upload-length": str(about.size_bytes), "tus-resumable": _TUS}

    async def _said(self, identifier: str) -> dict[str, Any]:
        """How an upload stands: arriving, waiting, refused, or as the batch that it became; its result at the end."""
        about, said = await asyncio.to_thread(self._kept, identifier)
        status = await self.desk.status(about)
        return said if status is None else said | status_as_json(status)  # what was refused may be the file sent again

    def _kept(self, identifier: str) -> tuple[About, dict[str, Any]]:
        """What is known of an upload, and how it stands by the folder alone."""
        place, about = self.uploads.place_of(identifier), self.uploads.about(identifier)
        state = "waiting" if place.is_handed_over else "arriving"
        said: dict[str, Any] = {
            "state": state, "upload": identifier, "offset": place.offset, "size_bytes": about.size_bytes
        }  # fmt: skip
        result = self.uploads.result_of(identifier)
        if result is not None:
            said["result"] = msgspec.Raw(result.read_bytes())
        refusal = None if place.is_handed_over or place.offset > 0 else self.uploads.refusal_of(identifier)
        if refusal is not None:
            said |= {"state": "refused", "refusal": msgspec.Raw(refusal.read_bytes())}
        return about, said

    async def _parts(self, request: Request) -> AsyncIterator[bytes]:
        """What arrives, until it ends, or its sender is silent or slow for too long. Raises `_Problem`."""
        parts, now, seconds = request.stream(), asyncio.get_running_loop().time, self.part_seconds_max
        while True:
            since = now()
            try:
                async with asyncio.timeout(seconds):
                    part = await anext(parts, None)
            except TimeoutError:
                raise _Problem(HTTPStatus.REQUEST_TIMEOUT, "SOA-02002", "silent") from None
            except ClientDisconnect:
                raise _Problem(HTTPStatus.BAD_REQUEST, "SOA-03001", "broken-off") from None
            if part is None:
                return
            # What came buys time for what is next, and never more than a sender may be silent.
            seconds = min(self.part_seconds_max, seconds - (now() - since) + len(part) / BYTES_PER_SECOND_MIN)
            yield part


def status_as_json(status: BatchStatus) -> dict[str, Any]:
    """How a batch is going, for programs: numbers of lines, never what is in them."""
    return {
        "batch": str(status.batch_id),
        "sender": status.header.sender.organization_identification.key,
        "sequence_number": status.header.sequence_number,
        "state": status.state.value,
        "lines": status.line_count,
        "answered": status.lines_answered,
        "waiting": status.lines_waiting,
        "cut_after": status.cut_after,
        "outcomes": [
            {"code": one.code, "lines": one.lines, "first_lines": list(one.first_lines)} for one in status.outcomes
        ],
        "submitted_at": status.submitted_at.isoformat(),
        "began_at": None if status.began_at is None else status.began_at.isoformat(),
        "finished_at": None if status.finished_at is None else status.finished_at.isoformat(),
    }


def _json(value: object, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type=_JSON, headers=headers)


class _Plain:
    """An application whose replies nobody keeps, and that do not say what made them (SEC-65)."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def plainly(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(b"cache-control", b"no-store"), (b"server", b""), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._inner(scope, receive, plainly if scope["type"] == "http" else send)
