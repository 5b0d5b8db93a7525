"""Files that arrive in parts: each below `uploads`, until it is whole and goes to the folder that batches come in by.

An upload is known by what its manifest says, so that a sender who lost everything but the file finds it again. Who may
add to it, or ask about it, has a token: it is given for a manifest that was signed just now, and kept as a digest only.

What waits for a disk or a lock blocks whoever calls it: a loop of events does so in a thread, as `Uploads.add` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from cbss_inscription.batch.folder import MANIFEST_SUFFIX, BatchFolder, alone
from cbss_inscription.batch.packing import WholeFile, sync_folder
from cbss_inscription.batch.signed_manifest import SignedManifest

TOKEN_LIFETIME: Final = timedelta(hours=24)
"""How long a token serves; a new one costs one signature."""
TOKENS_MAX: Final = 16
"""Tokens of one upload at a time; a newer one takes the place of the oldest."""
BEGUN_MAX: Final = 16
"""Uploads of one sender that are not whole: each may be as large as a file may, and takes its room for weeks."""
_WRITTEN_BYTES: Final = 1_048_576
"""What is written at once, so that not each packet of the network goes to a thread."""
_OF_UPLOAD: Final = re.compile(r"[0-9a-f]{32}~")
"""How the names of files begin that came by an upload."""
T = TypeVar("T")
_PART, _MANIFEST, _ABOUT, _TOKENS = "part", "manifest.xml", "about.json", "tokens.json"


class UploadBusy(Exception):
    """Somebody else is adding to it at this moment."""


class TooManyBegun(Exception):
    """Its sender has to send some of its other files to their ends first."""


class OffsetMismatch(Exception):
    """A part that does not begin where the file ends by now."""


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    sha256: str
    until: datetime


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an upload besides its bytes."""

    name: str
    size_bytes: int
    sha256: str
    sender: str
    """The key of its organisation."""
    sequence_number: int
    application_urn: str
    """Which application signed its manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far an upload is: how much of it is there, and whether it went on to be a batch."""

    offset: int
    is_handed_over: bool


def identifier_of(signed: SignedManifest) -> str:
    """By what an upload is known: the same for the same manifest of the same application, signed again or not."""
    header, file, caller = signed.manifest.header, signed.manifest.file, signed.caller
    said = (
        header.sender.organization_identification.key,
        header.sequence_number,
        header.legal_context,
        file.sha256,
        file.name,
        caller.application_urn,
        caller.cbe_number,
    )
    return hashlib.sha256(msgspec.json.encode(said, enc_hook=str)).hexdigest()[:32]


class Uploads:
    """The uploads into one folder of batches."""

    def __init__(self, folder: BatchFolder) -> None:
        self._folder = folder
        self._root = folder.root / "uploads"
        self._root.mkdir(mode=0o700, exist_ok=True)

    def open(self, signed: SignedManifest, data: bytes, *, now: datetime) -> tuple[str, str]:
        """The identifier of the upload, which is there now or was before, and a token for it.

        What was whole, and not handed over to its end by whoever was killed or found no room, is handed over now.
        Raises `TooManyBegun`, and OSError.
        """
        manifest = signed.manifest
        identifier, token = identifier_of(signed), secrets.token_urlsafe(32)
        place = self._root / identifier
        about = About(
            name=manifest.file.name,
            size_bytes=manifest.file.size_bytes,
            sha256=manifest.file.sha256,
            sender=manifest.header.sender.organization_identification.key,
            sequence_number=manifest.header.sequence_number,
            application_urn=signed.caller.application_urn,
        )
        with alone(self._root):  # the uploads of a sender are counted one after the other
            if not (place / _ABOUT).exists():
                if self._begun_of(about.sender) >= BEGUN_MAX:
                    raise TooManyBegun
                place.mkdir(mode=0o700, exist_ok=True)
                _write_whole(place / _ABOUT, msgspec.json.encode(about))
                (place / _PART).touch(mode=0o600)
        with alone(place):
            tokens = [one for one in self._tokens(place) if one.until > now][1 - TOKENS_MAX :]
            tokens.append(_Token(sha256=_digest(token), until=now + TOKEN_LIFETIME))
            _write_whole(place / _MANIFEST, data)
            _write_whole(place / _TOKENS, msgspec.json.encode(tokens))
        self._hand_over_rest(identifier, about)
        return identifier, token

    def is_allowed(self, identifier: str, token: str, *, now: datetime) -> bool:
        """Whether the token was given for this upload, and serves still."""
        digest = _digest(token)
        tokens = self._tokens(self._root / identifier)
        return any(hmac.compare_digest(one.sha256, digest) and one.until > now for one in tokens)

    def about(self, identifier: str) -> About:
        """What is known of an upload that is there."""
        return msgspec.json.decode((self._root / identifier / _ABOUT).read_bytes(), type=About)

    def place_of(self, identifier: str) -> Place:
        """How far it is."""
        whole = [folder.glob(f"{identifier}~*") for folder in (self._folder.incoming, self._folder.work)]
        if any(next(found, None) is not None for found in whole) or self.result_of(identifier) is not None:
            return Place(offset=self.about(identifier).size_bytes, is_handed_over=True)
        try:
            return Place(offset=(self._root / identifier / _PART).stat().st_size, is_handed_over=False)
        except FileNotFoundError:
            return Place(offset=0, is_handed_over=False)

    def result_of(self, identifier: str) -> Path | None:
        """The manifest of its answers, once they are all there."""
        return next(self._folder.out.glob(f"{identifier}~*.answers.json"), None)

    def answers_of(self, identifier: str) -> Path | None:
        """The file of its answers, once they are all there. Raises FileNotFoundError when it was taken away."""
        manifest = self.result_of(identifier)
        if manifest is None:
            return None
        stem = manifest.name.removesuffix(".json")
        answers = next((path for path in manifest.parent.glob(f"{stem}.*") if path != manifest), None)
        if answers is None:
            raise FileNotFoundError
        return answers

    def refusal_of(self, identifier: str) -> Path | None:
        """Why it was refused, if it was, the last time."""
        found = self._folder.refused.glob(f"{identifier}~*.refused.json")
        return max(found, key=lambda path: path.stat().st_mtime, default=None)

    async def add(self, identifier: str, parts: AsyncIterator[bytes], *, offset: int) -> int:
        """How much of the file is there now; when it is whole it is handed over to the folder.

        What had arrived before something failed is kept. Raises `UploadBusy`, `OffsetMismatch`, and OSError.
        """
        addition = _Addition(self._root / identifier / _PART)
        try:
            await _in_thread(lambda: self._begin_adding(identifier, addition, offset))
            async for part in parts:
                if addition.append(part) >= _WRITTEN_BYTES:
                    await _in_thread(addition.write)
            await _in_thread(addition.write)
        except BaseException:
            await _in_thread(addition.close)
            raise
        return await _in_thread(lambda: self._end_adding(identifier, addition))

    def _begin_adding(self, identifier: str, addition: _Addition, offset: int) -> None:
        about = self.about(identifier)
        if self.place_of(identifier).is_handed_over:
            raise OffsetMismatch
        addition.begin(offset, size_bytes=about.size_bytes)

    def _end_adding(self, identifier: str, addition: _Addition) -> int:
        """How much of the file is there; all of it is in the hands of the folder before anybody else may add to it."""
        with contextlib.closing(addition):
            addition.sync()
            if addition.there == addition.size_bytes:
                self._hand_over(identifier, self.about(identifier).name)
            return addition.there

    def forget(self, *, before: datetime) -> int:
        """How many uploads are gone now to which nothing was added, and no token given, since that time.

        So are, as old, the answers of uploads and what was refused of them: nobody has to take those away by hand.
        """
        forgotten = 0
        for place in self._root.iterdir():
            with contextlib.suppress(OSError), alone(place):  # gone: another process did the same
                latest = max(path.stat().st_mtime for path in (place, *place.iterdir()))
                if latest < before.timestamp():
                    shutil.rmtree(place)
                    forgotten += 1
        for folder in (self._folder.out, self._folder.refused):
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):  # likewise
                    if _OF_UPLOAD.match(path.name) and path.stat().st_mtime < before.timestamp():
                        path.unlink()
        return forgotten

    def _begun_of(self, sender: str) -> int:
        """How many uploads of a sender are not whole."""
        begun = 0
        for part in self._root.glob(f"*/{_PART}"):
            with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):  # being forgotten, or not known any more
                begun += self.about(part.parent.name).sender == sender
        return begun

    def _hand_over(self, identifier: str, name: str) -> None:
        """Nothing; the file, which the caller has locked, and then its manifest, are in the folder for what comes in.

        What may find no room is done first; whatever is left undone `open` does.
        """
        place, called = self._root / identifier, f"{identifier}~{name}"
        copy = place / ".manifest.copy"
        shutil.copyfile(place / _MANIFEST, copy)
        with contextlib.suppress(FileNotFoundError):  # of one who was killed after this
            (place / _PART).rename(self._folder.incoming / called)
        copy.rename(self._folder.incoming / f"{called}{MANIFEST_SUFFIX}")
        sync_folder(self._folder.incoming)

    def _hand_over_rest(self, identifier: str, about: About) -> None:
        """Nothing; a file that is whole is handed over, unless somebody does so, or adds to it, at this moment."""
        called = self._folder.incoming / f"{identifier}~{about.name}"
        for path in (self._root / identifier / _PART, called):
            with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_taken = (
                    called.with_name(f"{called.name}{MANIFEST_SUFFIX}").exists()
                    or next(self._folder.work.glob(f"{identifier}~*"), None) is not None
                )
                # In this order: who takes a batch has it in `work` before its manifest goes, and its file goes last.
                if not is_taken and path.exists() and path.stat().st_size == about.size_bytes:
                    self._hand_over(identifier, about.name)
                    return

    def _tokens(self, place: Path) -> list[_Token]:
        try:
            return msgspec.json.decode((place / _TOKENS).read_bytes(), type=list[_Token])
        except FileNotFoundError:
            return []


class _Addition:
    """What arrives of a file now; from `begin` to `close` nobody else adds to that file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._rest = bytearray()
        self._is_synced = True
        self.there = 0
        self.size_bytes = 0

    def begin(self, offset: int, *, size_bytes: int) -> None:
        """Nothing; the file is ours, and ends there. Raises `UploadBusy`, `OffsetMismatch`, and OSError."""
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UploadBusy from None
        self.there, self.size_bytes = os.fstat(self._descriptor).st_size, size_bytes
        if self.there != offset or not _is_at(self._descriptor, self._path):
            raise OffsetMismatch

    def append(self, part: bytes) -> int:
        """How many bytes are to be written by now. Raises `OffsetMismatch` for more than the file was said to have."""
        if self.there + len(self._rest) + len(part) > self.size_bytes:
            raise OffsetMismatch
        self._rest += part
        return len(self._rest)

    def write(self) -> None:
        """Nothing; what arrived is in the file. Raises OSError, and what fitted is there."""
        if self._rest:
            rest, self._rest, self._is_synced = self._rest, bytearray(), False
            self.there += _write(self._descriptor, rest)

    def sync(self) -> None:
        """Nothing; what was written stays so whatever happens to the machine. Raises OSError."""
        if not self._is_synced:
            os.fsync(self._descriptor)
            self._is_synced = True

    def close(self) -> None:
        """Nothing; what arrived is kept, as far as there is room, and others may add to the file. Raises OSError."""
        if self._descriptor < 0:  # it was not there to begin with
            return
        try:
            self.write()
            self.sync()
        finally:
            os.close(self._descriptor)
            self._descriptor = -1


async def _in_thread(do: Callable[[], T]) -> T:
    """What `do` gives, in a thread: whoever is told to stop meanwhile does so when it is done, not in its middle."""
    task = asyncio.ensure_future(asyncio.to_thread(do))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


def _write_whole(path: Path, content: bytes) -> None:
    with WholeFile(path) as file:
        file.write(content)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is there still: before it was locked, another process may have handed it over."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _write(descriptor: int, part: bytes | bytearray) -> int:
    """The length of the part, which is written whole. Raises OSError, and what fitted is there."""
    rest = memoryview(part)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    return len(part)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
