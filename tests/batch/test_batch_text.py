"""A batch's file as text: plain or packed, whole or refused, never more of it in memory than a few pieces (SEC-09)."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
import zlib
from collections import deque
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.text import TextPieces, zstd
from cbss_inscription.domain.errors import FileRejected
from tests.batch.files import LIMITS, Generated

MEMORY_BYTES_MAX = 24_000_000
_PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress, "plain": bytes}
_packed = pytest.mark.parametrize("pack", ["gzip", "zstd"])


def _text(data: bytes, *, limits: BatchLimits = LIMITS) -> str:
    return "".join(TextPieces(io.BytesIO(data), limits))


@given(st.text(max_size=200), st.sampled_from(sorted(_PACKERS)), st.integers(1, 7))
def test_text_is_what_was_packed(text: str, pack: str, size: int) -> None:
    """However a file is packed and in whatever pieces it comes, its text is the same (contract.md section 5)."""
    packed = _PACKERS[pack](text.encode())
    parts = (packed[at : at + size] for at in range(0, len(packed), size))
    read = "".join(TextPieces(Generated(parts), LIMITS))
    assert read == text.removeprefix("\ufeff")


@_packed
def test_packed_parts_may_be_joined(pack: str) -> None:
    """Files that were joined after they were packed are one file (RFC 1952, RFC 8878)."""
    assert _text(_PACKERS[pack](b"one ") + _PACKERS[pack](b"two")) == "one two"


@_packed
def test_cut_off_is_said(pack: str) -> None:
    """A packed file that lacks its end is refused as cut off, wherever it was (SEC-09)."""
    packed = _PACKERS[pack](os.urandom(5_000).hex().encode())
    for end in (len(packed) - 1, len(packed) - 9, len(packed) // 2, 10):
        with pytest.raises(FileRejected, match="truncated"):
            _text(packed[:end])


@_packed
def test_damage_is_said(pack: str) -> None:
    """A packed file in which bits were changed, or that has something behind it, is refused (SEC-09)."""
    packed = bytearray(
        zstd.compress(b"declaration " * 100, options={zstd.CompressionParameter.checksum_flag: 1})
        if pack == "zstd"
        else gzip.compress(b"declaration " * 100)
    )
    for behind in (b"x", b"more than a few bytes"):
        with pytest.raises(FileRejected, match="compression"):
            _text(bytes(packed) + behind)
    packed[-6] ^= 1
    with pytest.raises(FileRejected, match=r"compression|encoding"):
        _text(bytes(packed))


def _bomb(pack: str) -> Iterator[bytes]:
    """50 GB of blanks, packed as they are asked for."""
    blanks = b" " * 10_000_000
    packer = zlib.compressobj(1, wbits=31) if pack == "gzip" else zstd.ZstdCompressor(level=1)
    for _ in range(5_000):
        yield packer.compress(blanks)
    yield packer.flush()


@_packed
def test_bomb_is_refused_in_little_memory(pack: str) -> None:
    """A file that inflates beyond reason is refused when it does so, by ratio or by size (SEC-09)."""
    tracemalloc.start()
    try:
        with pytest.raises(FileRejected, match="inflation"):
            deque(TextPieces(Generated(_bomb(pack)), BatchLimits(inflation_max=100)), maxlen=0)
        with pytest.raises(FileRejected, match="size"):
            deque(
                TextPieces(Generated(_bomb(pack)), BatchLimits(inflation_max=2_000, text_bytes_max=10_000_000)),
                maxlen=0,
            )
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES_MAX
    finally:
        tracemalloc.stop()


@_packed
def test_many_parts_of_nothing_are_refused(pack: str) -> None:
    """Packed parts that hold nothing cost a look each: a file of them is refused (SEC-09)."""
    with pytest.raises(FileRejected, match="compression"):
        _text(_PACKERS[pack](b"") * 2_000)


def test_window_of_zstd_is_bounded() -> None:
    """A frame that asks for more memory to look back into than the format's own program gives is refused (SEC-09)."""
    options = {zstd.CompressionParameter.window_log: 28, zstd.CompressionParameter.content_size_flag: 0}
    packer = zstd.ZstdCompressor(options=options)
    packed = packer.compress(b"x" * 100) + packer.flush()
    with pytest.raises(FileRejected, match="compression"):
        _text(packed)


def test_wrong_encoding_says_where() -> None:
    """What is not UTF-8 is refused with the line of text it stands in, even behind a cut in a letter (SEC-27)."""
    with pytest.raises(FileRejected, match="encoding") as caught:
        deque(TextPieces(Generated([b"a\nb\n\xc3", b"\xa9\nc\n", b"d\xff"]), LIMITS), maxlen=0)
    assert caught.value.line == 5
    with pytest.raises(FileRejected, match="encoding"):
        _text(b"cut in a letter \xc3")
