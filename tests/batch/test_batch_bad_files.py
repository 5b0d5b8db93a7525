"""Files that are broken very late, and a disk that is full in truth: a clear answer, and nothing of them (rule 37)."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from cbss_inscription.batch.intake import BatchIntake
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.reading import BatchFormat, open_batch
from cbss_inscription.batch.results import write_results
from cbss_inscription.batch.told import Told
from cbss_inscription.domain.batch import BatchLine
from cbss_inscription.domain.errors import FileRejected
from tests.batch.files import HEADER, Generated, generated_xml
from tests.batch.line_answers import LineAnswer, told_of
from tests.batch.works import RULES_OF_OFFICE, RulesGiven, digest_of, header
from tests.repertory.office import CALLER

LINES = 1_000_000
ANSWERS = 20_000
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TICKET = UUID(int=1)
FULL = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.batch.test_batch_bad_files import write_on_a_full_disk
write_on_a_full_disk(sys.argv[1])
"""


def broken() -> Iterator[bytes]:
    """XML that ends with an element which nothing closes."""
    return generated_xml(LINES, last="<request>")


def in_another_encoding() -> Iterator[bytes]:
    """A byte that UTF-8 has not, where one more declaration would begin."""
    return (part.replace(b"@", b"\xff") for part in generated_xml(LINES, last="@"))


def cut_off() -> Iterator[bytes]:
    """A packed file whose last bytes never came."""
    packer = zlib.compressobj(1, wbits=31)
    for part in generated_xml(LINES):
        yield packer.compress(part)
    yield packer.flush()[:-9]


@pytest.mark.long
@pytest.mark.parametrize(
    ("parts", "reason", "line"),
    [
        (broken, "not-well-formed", LINES + 8),
        (in_another_encoding, "encoding", LINES + 8),
        (cut_off, "truncated", None),
    ],
)
def test_file_that_breaks_after_a_million_lines_leaves_nothing(
    make_database: Callable[[str], str], parts: Callable[[], Iterator[bytes]], reason: str, line: int | None
) -> None:
    """A file that is broken behind its millionth declaration is refused with its place; nothing of it is in the
    database, and its sequence number is still to be used (rule 37).
    """
    conninfo = make_database(parts.__name__)
    intake = BatchIntake(conninfo, rules=RulesGiven(RULES_OF_OFFICE))
    _, lines = open_batch(Generated(parts()), form=BatchFormat.XML, limits=BatchLimits())
    with pytest.raises(FileRejected) as caught:
        intake.submit(header(), digest=digest_of(), caller=CALLER, lines=lines)
    assert (caught.value.reason, caught.value.line) == (reason, line)
    with psycopg.connect(conninfo) as connection:
        for table in ("batch", "batch_lane", "batch_chunk"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    _, lines = open_batch(Generated(generated_xml(3)), form=BatchFormat.XML, limits=BatchLimits())
    assert not intake.submit(header(), digest=digest_of(), caller=CALLER, lines=lines).is_repeat


# -- a full disk -------------------------------------------------------------------------------------------------------


def write_on_a_full_disk(directory: str) -> None:
    """Writes answers to a disk of 1 MiB, of which there is too little first; in a namespace where one may mount."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory], check=True)
    path = Path(directory) / "answers.xml"
    path.write_bytes(b"before")
    with pytest.raises(OSError) as caught:
        asyncio.run(write_results(path, answered(ANSWERS), header=HEADER, form=BatchFormat.XML))
    assert caught.value.errno == errno.ENOSPC
    assert [file.name for file in path.parent.iterdir()] == ["answers.xml"]
    assert path.read_bytes() == b"before"
    written = asyncio.run(write_results(path, answered(500), header=HEADER, form=BatchFormat.XML))
    assert written.file_bytes == path.stat().st_size > 100_000


async def answered(count: int) -> AsyncIterator[list[Told]]:
    """So many answers, in blocks."""
    for first in range(1, count + 1, 500):
        yield told_of(
            LineAnswer(
                line=BatchLine(number=number, refused="SOA-03006"), ticket_cbss=TICKET, timestamp=NOW, fault="SOA-03006"
            )
            for number in range(first, first + 500)
        )


@pytest.mark.long
def test_disk_that_is_full_has_no_half_file_of_answers(tmp_path: Path) -> None:
    """Where the disk itself has no room no part of the answers stays, what was there is as it was, and the next attempt
    works when there is room (rule 37).
    """
    apart = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*apart, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nobody but root may mount a disk here")
    command = [*apart, sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
