"""A folder through which batches come and go: `in`, `work`, `out` and `refused` below it, all on one disk.

A sender puts the file into `in` and, when it is whole, its signed manifest `NAME.manifest.xml` beside it: a file
without manifest is not looked at. Whoever takes a manifest moves it by one atomic rename into a folder of its own below
`work`, locked for as long as its process lives: a batch is in one process's hands, and in nobody's when that one was
killed. Everything that appears in `out` or `refused` appears whole.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Self
from uuid import UUID

import msgspec

from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.packing import Packing, WholeFile, sync_folder
from cbss_inscription.batch.reading import BatchFormat, open_batch
from cbss_inscription.batch.signed_manifest import MANIFEST_BYTES_MAX, SignedManifest
from cbss_inscription.contract.batch import ManifestFile
from cbss_inscription.domain.batch import BatchLine
from cbss_inscription.domain.errors import (
    ContentViolation,
    FileRejected,
    MalformedMessage,
    MessageRejected,
    SequenceViolation,
)

MANIFEST_SUFFIX: Final = ".manifest.xml"
"""What a file's manifest is called by, behind the name of the file."""
_FILE_NAME: Final = re.compile(r"(?:[0-9a-f]{32}~)?[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,127}")
"""As a manifest may call a file; before it, where files of many senders come together, what tells them apart."""
_LOCK, _FILE, _MANIFEST, _SUBMITTED = "lock", "file", "manifest.xml", "submitted.json"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a file was refused, as it stands beside it in JSON; nothing of the file is in it."""

    file: str
    code: str
    """SOA-…, as a fault online."""
    reason: str | None
    """A word; None where the sender is not known, who is told no more (SEC-62)."""
    line: int | None = None
    """The line of text."""
    declaration: int | None = None
    expected_sequence_number: int | None = None

    @classmethod
    def of(cls, name: str, error: MessageRejected) -> Self:
        """Why the file of this name is refused."""
        return cls(
            file=name,
            code=error.code,
            reason=None if error.code == "SOA-01001" else error.reason,
            line=error.line if isinstance(error, FileRejected) else None,
            declaration=error.number if isinstance(error, FileRejected) else None,
            expected_sequence_number=error.expected if isinstance(error, SequenceViolation) else None,
        )


class _Submitted(msgspec.Struct, frozen=True, kw_only=True):
    batch: UUID
    form: BatchFormat
    is_repeat: bool


@dataclass(slots=True, kw_only=True)
class Taken:
    """A batch in this process's hands: its folder below `work` is locked until `release`."""

    name: str
    """Of the file, as its sender called it."""
    place: Path
    _lock: int = field(repr=False)

    @property
    def stated_name(self) -> str:
        """What its manifest must call it: its name, without what an upload put before it."""
        return self.name.rpartition("~")[2]

    @property
    def file(self) -> Path:
        """The file as it came."""
        return self.place / _FILE

    def manifest(self) -> bytes:
        """The signed manifest. Raises `MalformedMessage` when it is too large to be one, or no file at all."""
        return _read_manifest(self.place / _MANIFEST)

    @property
    def submitted(self) -> _Submitted | None:
        """Which batch the file became; None as long as it did not."""
        return _submitted_at(self.place)

    def note_submitted(self, batch_id: UUID, form: BatchFormat, *, is_repeat: bool) -> None:
        """Nothing; the file is not needed any more, and whoever takes this over knows what it became."""
        with WholeFile(self.place / _SUBMITTED) as file:
            file.write(msgspec.json.encode(_Submitted(batch=batch_id, form=form, is_repeat=is_repeat)))
        self.file.unlink(missing_ok=True)

    def release(self) -> None:
        """Nothing; another process may take it over."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def batch_of_place(place: Path) -> UUID | None:
    """Which batch the file became that is in this folder below `work`; None as long as it did not."""
    submitted = _submitted_at(place)
    return None if submitted is None else submitted.batch


def _submitted_at(place: Path) -> _Submitted | None:
    try:
        return msgspec.json.decode((place / _SUBMITTED).read_bytes(), type=_Submitted)
    except FileNotFoundError:
        return None


class BatchFolder:
    """The four folders, made where they are missing. Raises OSError."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming, self.work, self.out, self.refused = (root / name for name in ("in", "work", "out", "refused"))
        for folder in (root, self.incoming, self.work, self.out, self.refused):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self) -> Iterator[Taken]:
        """Each batch that is in nobody's hands, and is in ours now: those left behind first, then what came in."""
        for place in sorted(self.work.glob("[!.]*")):
            if (taken := self._take_over(place)) is not None:
                yield taken
        for manifest in self._manifests_in():
            if (taken := self._take_in(manifest)) is not None:
                yield taken

    def _manifests_in(self) -> list[Path]:
        """What came in whole, by names that a file may have."""
        found = self.incoming.glob(f"*{MANIFEST_SUFFIX}")
        return sorted(path for path in found if may_be_called(path.name.removesuffix(MANIFEST_SUFFIX)))

    def _take_in(self, manifest: Path) -> Taken | None:
        name = manifest.name.removesuffix(MANIFEST_SUFFIX)
        place = self.work / f"{name}~{secrets.token_hex(8)}"
        hidden = self._hidden(place)
        hidden.mkdir(mode=0o700)
        try:
            lock = _locked(hidden)
            assert lock is not None  # nobody looks into what is hidden
            taken = Taken(name=name, place=place, _lock=lock)
        except OSError:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        hidden.rename(place)
        try:
            manifest.rename(place / _MANIFEST)  # of several that try, one does it
        except FileNotFoundError:
            taken.release()
            shutil.rmtree(place)
            return None
        return self._with_file(taken)

    def _take_over(self, place: Path) -> Taken | None:
        lock = _locked(place)
        if lock is None:
            return None
        taken = Taken(name=place.name.rpartition("~")[0], place=place, _lock=lock)
        if not (place / _MANIFEST).exists():  # its process was killed before it took anything, or when all was done
            shutil.rmtree(place, ignore_errors=True)
            taken.release()
            return None
        return self._with_file(taken)

    def _with_file(self, taken: Taken) -> Taken:
        try:
            if taken.submitted is None and not taken.file.exists():
                with contextlib.suppress(FileNotFoundError):  # what has no file is refused for that
                    (self.incoming / taken.name).rename(taken.file)
            sync_folder(taken.place)
        except OSError:
            taken.release()  # for whoever looks next
            raise
        return taken

    def refuse(self, taken: Taken, error: MessageRejected) -> Refusal:
        """Why; file, manifest and that stand in `refused` now."""
        refusal = Refusal.of(taken.name, error)
        with alone(self.refused):  # so that a name that is free stays so
            name = self._free_name(self.refused, taken.name)
            with contextlib.suppress(FileNotFoundError):
                taken.file.rename(self.refused / name)
            with WholeFile(refusal_path(self.refused, name)) as file:
                file.write(msgspec.json.format(msgspec.json.encode(refusal)) + b"\n")
            (taken.place / _MANIFEST).rename(self.refused / f"{name}{MANIFEST_SUFFIX}")
        self.finish(taken)
        return refusal

    def manifests_before_intake(self) -> Iterator[bytes]:
        """The manifests in the folder of files that are no batches yet, in whose hands ever; what is none is left out.

        Those in `in` first: what is taken meanwhile is told twice, and never not at all.
        """
        for path in self._manifests_in():
            with contextlib.suppress(MessageRejected):
                yield _read_manifest(path)
        for path in self.work.glob(f"[!.]*/{_MANIFEST}"):
            if not (path.parent / _SUBMITTED).exists():
                with contextlib.suppress(MessageRejected):
                    yield _read_manifest(path)

    def results_of(self, taken: Taken, form: BatchFormat, packing: Packing) -> tuple[Path, Path]:
        """Where the answers and their manifest are made, out of sight, to be published."""
        name = f"{taken.name}.answers"
        return taken.place / f"{name}.{form}{packing}", taken.place / f"{name}.json"

    def publish(self, answers: Path, manifest: Path) -> None:
        """Nothing; both stand in `out`, the manifest last, in the place of what stood there by these names.

        Whoever publishes at the same moment does so before or after: no manifest stands beside another's answers.
        """
        with alone(self.out):
            (self.out / manifest.name).unlink(missing_ok=True)
            answers.rename(self.out / answers.name)
            manifest.rename(self.out / manifest.name)
            sync_folder(self.out)

    def finish(self, taken: Taken) -> None:
        """Nothing; all that was to be kept stands elsewhere."""
        hidden = self._hidden(taken.place)
        taken.place.rename(hidden)  # before its lock goes: nobody takes over what is done
        shutil.rmtree(hidden)
        taken.release()

    def _hidden(self, place: Path) -> Path:
        return place.with_name(f".{place.name}")

    def _free_name(self, folder: Path, name: str) -> str:
        if not refusal_path(folder, name).exists():
            return name
        return f"{name}~{secrets.token_hex(4)}"


def may_be_called(name: str) -> bool:
    """Whether a file of this name is taken in: no manifest can call one otherwise."""
    return _FILE_NAME.fullmatch(name) is not None


def refusal_path(refused: Path, name: str) -> Path:
    """Where it stands why the file of this name was refused."""
    return refused / f"{name}.refused.json"


def _locked(place: Path) -> int | None:
    """The lock of a folder; None when another process has it, or the folder is gone."""
    try:
        descriptor = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """Nothing; until the block ends no other process, and no other thread, is in such a block about the same folder."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read_manifest(path: Path) -> bytes:
    with _opened(path) as file:
        data = file.read(MANIFEST_BYTES_MAX + 1)
    if len(data) > MANIFEST_BYTES_MAX:
        raise MalformedMessage("size")
    return data


def _opened(path: Path) -> BinaryIO:
    """A file that somebody put there. Raises `FileRejected` for what is none: a link, or a pipe that never ends."""
    try:
        # Whoever opens a pipe waits for its other end, unless he says that he does not.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO}:
            raise FileRejected(ContentViolation("file-missing")) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileRejected(ContentViolation("file-missing"))
    return os.fdopen(descriptor, "rb")


class _Hashed:
    """A file that is read once, and whose digest is that of what was read."""

    def __init__(self, path: Path) -> None:
        self._file = _opened(path)
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        self.size_bytes += len(data)
        return data

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def close(self) -> None:
        self._file.close()


def lines_of(path: Path, signed: SignedManifest, limits: BatchLimits) -> Iterator[BatchLine]:
    """The lines of the file, which is read once: that it is the file of the manifest is known after the last of them.

    Raises `FileRejected`: `manifest-file` for another file than was signed, or what `open_batch` says.
    """
    stated, header = signed.manifest.file, signed.manifest.header
    with contextlib.closing(_Hashed(path)) as source:
        if stated.size_bytes > limits.file_bytes_max:
            raise FileRejected(MalformedMessage("size"))
        if path.stat().st_size != stated.size_bytes:
            raise FileRejected(ContentViolation("manifest-file"))
        try:
            _, lines = open_batch(source, form=BatchFormat(stated.format), limits=limits, header=header)
            yield from lines
        except FileRejected:
            _refuse_another_file(source, stated)  # a file that was damaged on its way is said to be that
            raise
        _refuse_another_file(source, stated)


def _refuse_another_file(source: _Hashed, stated: ManifestFile) -> None:
    while source.read(1_048_576):
        pass
    if source.size_bytes != stated.size_bytes or not hmac.compare_digest(source.sha256, stated.sha256):
        raise FileRejected(ContentViolation("manifest-file"))
