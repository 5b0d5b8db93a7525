# ruff: noqa: INP001 - a program, in no package
"""What files cost that are broken very late: read and taken in up to their refusal, in time and in memory.

    .venv/bin/python bench/batch_broken.py [--lines 7000000]

Files are made as they are read, packed, and stored nowhere; what the intake wrote before the refusal is in a
database of the program's own, and gone at the end, which is looked at. Each run is a process of its own, whose greatest
size is told; a small file is refused first, so that all that takes room once is there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path

import psycopg
from batch import CALLER, Rules, rules
from batch_files import BLOCK, HEADER, Source, as_xml, rows

from cbss_inscription.batch.intake import BatchIntake
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.packing import zstd
from cbss_inscription.batch.reading import BatchFormat, open_batch
from cbss_inscription.batch.xml_answers import XmlAnswers
from cbss_inscription.domain.errors import FileRejected
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.migration import migrate

MEBIBYTE = 1024**2
LINE_MEBIBYTES = 2_048
"""Of a declaration that does not end."""
ONE_LINE = as_xml(next(rows(1)), long_way=False).encode()
DIGEST = b"\x01" * 32


def text(line_count: int, *, last: Iterable[bytes] = ()) -> Iterator[bytes]:
    """An XML batch of so many lines, and what stands where one more declaration would."""
    yield XmlAnswers(HEADER).head().replace("Response", "Request").replace("<responses>", "<requests>").encode()
    block = [as_xml(row, long_way=False).encode() for row in rows(BLOCK)]
    for first in range(0, line_count, BLOCK):
        yield b"".join(block[: line_count - first])
    yield from last
    yield b"</requests></bat:inscriptionBatchRequest>"


def packed(parts: Iterable[bytes], *, cut_bytes: int = 0) -> Iterator[bytes]:
    """The same by gzip; without its last bytes."""
    packer = zlib.compressobj(1, wbits=31)
    for part in parts:
        yield packer.compress(part)
    rest = packer.flush()
    yield rest[: len(rest) - cut_bytes]


def zstd_of(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same by zstd, which makes some thousand times less of what repeats itself."""
    packer = zstd.ZstdCompressor(level=3)
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()


CASES: dict[str, Callable[[int], Iterator[bytes]]] = {
    "an element that nothing closes": lambda count: packed(text(count, last=[b"<request>"])),
    "a byte that UTF-8 has not": lambda count: packed(text(count, last=[b"\xff"])),
    "gzip that was cut off": lambda count: packed(text(count), cut_bytes=9),
    "a line of 2 GiB": lambda count: packed(
        text(count, last=[b"<request><ticket>", *repeat(b"x" * MEBIBYTE, LINE_MEBIBYTES)])
    ),
    "a bomb": lambda count: zstd_of(text(count, last=repeat(ONE_LINE * BLOCK, LINE_MEBIBYTES))),
}


def refusal(conninfo: str, case: str, line_count: int) -> FileRejected:
    """Why the file is not taken in."""
    _, lines = open_batch(Source(CASES[case](line_count)), form=BatchFormat.XML, limits=BatchLimits())
    intake = BatchIntake(conninfo, rules=Rules(rules()))
    try:
        intake.submit(HEADER, digest=DIGEST, caller=CALLER, lines=lines)
    except FileRejected as error:
        return error
    raise SystemExit(f"{case}: was taken in")


def measure(conninfo: str, case: str, line_count: int) -> None:
    """Prints a row."""
    refusal(conninfo, case, BLOCK)
    wall, cpu = time.monotonic(), time.process_time()
    error = refusal(conninfo, case, line_count)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with psycopg.connect(conninfo) as connection:
        left = connection.execute("SELECT (SELECT count(*) FROM batch), (SELECT count(*) FROM batch_chunk)").fetchone()
    if left != (0, 0):
        raise SystemExit(f"{case}: {left} are left")
    place = f"line {error.line or '-'}, declaration {error.number or '-'}"
    sys.stdout.write(
        f"{case:30}  {error.code} {error.reason:16} {place:38} {wall:6.0f} s {cpu:6.0f} s CPU {mebibytes:5.0f} MiB\n"
    )


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000, help="whole ones, before the file breaks")
    parser.add_argument("--case", choices=CASES, action="append")
    given = parser.parse_args()
    spawning = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedServer(Path(directory) / "database") as server:
            migrate(server.connection_string)
            for case in given.case or CASES:
                process = spawning.Process(target=measure, args=(server.connection_string, case, given.lines))
                process.start()
                process.join()
                if process.exitcode:
                    sys.exit(process.exitcode)


if __name__ == "__main__":
    main()
