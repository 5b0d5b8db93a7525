"""A batch's file as text: inflated and decoded piece by piece, never more of it in memory than a few pieces.

gzip (RFC 1952) and zstd (RFC 8878) are known by how they begin. What follows one compressed part must be another one:
both formats let files be joined.
"""

from __future__ import annotations

import codecs
import sys
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.domain.errors import FileRejected, MalformedMessage

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

READ_BYTES: Final = 262_144
"""Bytes of the file that are read at once."""
PIECE_BYTES: Final = 1_048_576
"""Bytes that come of inflation at once, at the most."""
INFLATION_FREE_BYTES: Final = 16_777_216
"""Bytes for which it does not matter of how few they came: a small file costs little, however it is packed."""
PART_BYTES_MIN: Final = 4_096
"""What a compressed part has at least, on the average: each costs a look at all that was read behind it."""
PARTS_FREE: Final = 1_000
"""Parts for which their size does not matter."""
WINDOW_LOG_MAX: Final = 27
"""zstd: at most 128 MiB are kept to look back into, as the format's own program has it; a frame may ask for more."""
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class ByteSource(Protocol):
    """What a file is read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


class TextPieces:
    """The text of a file in pieces, with the line of text that each begins in; to be read once.

    Raises `FileRejected`: too large, cut off, packed too tightly, or not UTF-8. A byte order mark is no text.
    """

    def __init__(self, source: ByteSource, limits: BatchLimits) -> None:
        self._source = source
        self._limits = limits
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self.line = 1
        """The line of text in which the next piece begins."""

    def __iter__(self) -> Iterator[str]:
        total_bytes, begins = 0, True
        for piece in self._inflated():
            total_bytes += len(piece)
            if total_bytes > self._limits.text_bytes_max:
                raise FileRejected(MalformedMessage("size"))
            text = self._decoded(piece)
            if begins and text:
                text, begins = text.removeprefix("\ufeff"), False
            if text:
                yield text
                self.line += text.count("\n")
        self._decoded(b"", final=True)

    def _decoded(self, piece: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            # `from None`: Python's own message quotes the bytes (SEC-74)
            line = self.line + error.object[: error.start].count(b"\n")
            raise FileRejected(MalformedMessage("encoding"), line=line) from None

    def _inflated(self) -> Iterator[bytes]:
        """The file's bytes as its text has them, in pieces of at most `PIECE_BYTES`."""
        beginning = self._read()
        while beginning and len(beginning) < len(_ZSTD):
            more = self._read()
            if not more:
                break
            beginning += more
        if beginning.startswith(_GZIP):
            yield from self._unpacked(beginning, _Gzip, _GZIP)
        elif beginning.startswith(_ZSTD):
            yield from self._unpacked(beginning, _Zstd, _ZSTD)
        else:
            while beginning:
                yield beginning
                beginning = self._read()

    def _unpacked(self, packed: bytes, kind: type[_Gzip | _Zstd], magic: bytes) -> Iterator[bytes]:
        packed_bytes, unpacked_bytes, parts = len(packed), 0, 0
        while packed:
            parts += 1
            if parts > PARTS_FREE + packed_bytes // PART_BYTES_MIN:
                raise FileRejected(MalformedMessage("compression"))
            part = kind()
            while not part.ended:
                try:
                    piece = part.unpack(packed)
                except (zlib.error, zstd.ZstdError):
                    raise FileRejected(MalformedMessage("compression")) from None
                unpacked_bytes += len(piece)
                allowed = max(INFLATION_FREE_BYTES, packed_bytes * self._limits.inflation_max)
                if unpacked_bytes > allowed:
                    raise FileRejected(MalformedMessage("inflation"))
                if piece:
                    yield piece
                packed = b""
                if part.needs_input:
                    packed = self._read()
                    packed_bytes += len(packed)
                    if not packed:
                        raise FileRejected(MalformedMessage("truncated"))
            packed = part.rest
            while len(packed) < len(magic):
                more = self._read()
                if not more:
                    break
                packed_bytes += len(more)
                packed += more
            if packed and not packed.startswith(magic):
                raise FileRejected(MalformedMessage("compression"))

    def _read(self) -> bytes:
        return self._source.read(READ_BYTES)


class _Gzip:
    """One member of a gzip file; its checksum and length are checked at its end."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)

    def unpack(self, packed: bytes) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + packed, PIECE_BYTES)

    @property
    def ended(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.eof and not self._inflate.unconsumed_tail

    @property
    def rest(self) -> bytes:
        return self._inflate.unused_data


class _Zstd:
    """One frame of a zstd file; its checksum, where it has one, is checked at its end."""

    def __init__(self) -> None:
        self._inflate = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX})

    def unpack(self, packed: bytes) -> bytes:
        return self._inflate.decompress(packed, PIECE_BYTES)

    @property
    def ended(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.eof and self._inflate.needs_input

    @property
    def rest(self) -> bytes:
        return self._inflate.unused_data
