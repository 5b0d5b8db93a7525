"""How a file of answers is packed, and files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_LEVEL: Final = 6
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_ZSTD_LEVEL: Final = 3


class Packing(StrEnum):
    """How a file is packed; the value ends its name."""

    NONE = ""
    GZIP = ".gz"
    ZSTD = ".zst"

    @classmethod
    def of_name(cls, name: str) -> Packing:
        """How a file of this name is packed, by its end."""
        return next((one for one in (cls.GZIP, cls.ZSTD) if name.endswith(one)), cls.NONE)


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _packer_of(packing: Packing) -> _Packer:
    match packing:
        case Packing.GZIP:
            return zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)
        case Packing.ZSTD:
            options: dict[int, int] = {
                zstd.CompressionParameter.checksum_flag: 1,
                zstd.CompressionParameter.compression_level: _ZSTD_LEVEL,
            }
            return zstd.ZstdCompressor(options=options)
        case Packing.NONE:
            return _Plain()


class WholeFile:
    """A file for its owner's eyes that is there when the block ends well, and of which nothing is left otherwise."""

    def __init__(self, path: Path, *, packing: Packing = Packing.NONE) -> None:
        self.path = path
        self._new = path.with_name(f".{path.name}.new")
        self._packer = _packer_of(packing)
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def __enter__(self) -> Self:
        self._new.unlink(missing_ok=True)
        self._file = os.fdopen(os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        return self

    def write(self, data: bytes) -> None:
        """Nothing; the data come next, packed. Raises OSError."""
        self._put(self._packer.compress(data))

    def _put(self, packed: bytes) -> None:
        self._file.write(packed)
        self._digest.update(packed)
        self.size_bytes += len(packed)

    @property
    def sha256(self) -> str:
        """Of the file as it lies there, once the block has ended."""
        return self._digest.hexdigest()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._put(self._packer.flush())
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError:
            self._abandon()
            raise
        if kind is not None:
            self._abandon()
            return
        self._file.close()
        self._new.replace(self.path)
        sync_folder(self.path.parent)

    def _abandon(self) -> None:
        try:
            self._file.close()
        except OSError:  # what is in its buffer finds no room either, and is not wanted any more
            self._file.raw.close()
        self._new.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Nothing; what was renamed in the folder stays so whatever happens to the machine."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
