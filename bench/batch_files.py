# ruff: noqa: INP001 - a program, in no package
"""What files of batches cost: reading and writing, XML and CSV, plain and packed; in CPU time and in memory.

    .venv/bin/python bench/batch_files.py [--lines 200000]

Insert, update, delete and consult in turns, a tenth with legal data, a fiftieth that breaks the contract, and, in a run
of its own, every line written so that it must go the long way. Files are made as they are read: what is measured
is the program; each run is a process of its own, whose greatest size is told beside it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from uuid import UUID

from cbss_inscription.app.background import collect_seldom
from cbss_inscription.batch.chunk import PackedAnswer, pack_answer, pack_answers, pack_lines
from cbss_inscription.batch.csv_answers import CsvAnswers
from cbss_inscription.batch.csv_lines import COLUMNS
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.packing import zstd
from cbss_inscription.batch.reading import BatchFormat, open_batch
from cbss_inscription.batch.told import told_answers, told_lines
from cbss_inscription.batch.xml_answers import XmlAnswers
from cbss_inscription.domain.batch import BatchHeader, BatchLine, BatchParty
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import Period
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.results import ConsultResult, SsinAnswer, Status, StatusValue, WriteResult
from cbss_inscription.domain.ssin import Ssin

MICROSECONDS = 1_000_000
BLOCK = 20_000
"""Lines that are made, and repeated: more of them than a packer looks back over."""
HEADER = BatchHeader(
    sender=BatchParty(organization_identification=CustomerIdentification(sector=17, institution=1)),
    receiver=BatchParty(organization_identification=CustomerIdentification(sector=25, institution=0)),
    legal_context=LegalContext("PCSA:SOCIAL_INQUIRY"),
    sequence_number=1,
)
SSIN = "85073003328"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
LINES: tuple[tuple[str, ...], ...] = (
    ("insert", SSIN, "PCSA:LIVING_WAGE", "2024-01-01", "2024-12-31", "", "", "", "", "", ""),
    ("update", SSIN, "PCSA:LIVING_WAGE", "2024-01-01", "", "2024-02-01", "", "", "", "", ""),
    ("delete", SSIN, "PCSA:LIVING_WAGE", "2024-01-01", "", "", "", "", "", "", ""),
    ("consult", SSIN, "PCSA:LIVING_WAGE", "", "", "", "", "", "", "", ""),
)
WITH_LEGAL_DATA = ("insert", SSIN, "PCSA:LIVING_WAGE", "2024-01-01", "", "", "", "Peeters", "Zoé|An", "1985-07-30", "2")
BROKEN = ("insert", "1234", "PCSA:LIVING_WAGE", "2024-01-01", "", "", "", "", "", "", "")


def rows(line_count: int) -> Iterator[tuple[str, ...]]:
    """So many lines of the mix, tickets first."""
    for number in range(line_count):
        fields = BROKEN if number % 50 == 49 else WITH_LEGAL_DATA if number % 10 == 0 else LINES[number % 4]
        yield (f"c0ffee00-0000-4000-8000-{number:012d}", *fields)


def as_xml(row: tuple[str, ...], *, long_way: bool) -> str:
    """A row as a request, written as programs write them; with an attribute that says nothing for the long way."""
    ticket, word, ssin, context, begin, end, new_begin, _, last_name, given_names, birth, gender = row
    period = f"<beginDate>{begin}</beginDate>" + (f"<endDate>{end}</endDate>" if end else "")
    about = f"<inscriptionContext>{context}</inscriptionContext>" + (f"<period>{period}</period>" if begin else "")
    if word in {"insert", "update"}:
        about = f"<inscription>{about}</inscription>"
    if new_begin:
        about += f"<newPeriod><beginDate>{new_begin}</beginDate></newPeriod>"
    if last_name:
        given = "".join(f"<givenName>{name}</givenName>" for name in given_names.split("|"))
        about += f"<legalData><name><lastName>{last_name}</lastName>{given}</name>"
        about += f"<birth><birthDate>{birth}</birthDate></birth>"
        about += f"<gender><genderCode>{gender}</genderCode></gender></legalData>"
    blank = " " if long_way else ""
    return (
        f"<request{blank}><ticket>{ticket}</ticket><declaration><{word}><ssin>{ssin}</ssin>{about}</{word}></declaration>"
        f"</request{blank}>\n"
    )


def xml_parts(line_count: int, *, long_way: bool = False) -> Iterator[bytes]:
    """An XML batch in pieces."""
    head = XmlAnswers(HEADER).head().replace("inscriptionBatchResponse", "inscriptionBatchRequest")
    yield head.replace("<responses>", "<requests>").encode()
    # The same lines again and again: what is measured is reading, not making.
    block = "".join(as_xml(row, long_way=long_way) for row in rows(BLOCK)).encode()
    for _ in range(line_count // BLOCK):
        yield block
    yield b"</requests></bat:inscriptionBatchRequest>"


def csv_parts(line_count: int) -> Iterator[bytes]:
    """A CSV batch in pieces."""
    yield (",".join(COLUMNS) + "\n").encode()
    block = "".join(",".join(row) + "\n" for row in rows(BLOCK)).encode()
    for _ in range(line_count // BLOCK):
        yield block


def packed(parts: Iterable[bytes], kind: str) -> Iterator[bytes]:
    """The same, packed by gzip or zstd."""
    packer = zlib.compressobj(6, wbits=31) if kind == "gzip" else zstd.ZstdCompressor(level=3)
    for part in parts:
        if data := packer.compress(part):
            yield data
    yield packer.flush()


class Source:
    """Pieces as a file."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self._rest = iter(parts), b""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes."""
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return b""
            self._rest = part
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


def read(parts: Iterable[bytes], form: BatchFormat) -> int:
    """How many lines were read."""
    header = HEADER if form is BatchFormat.CSV else None
    _, lines = open_batch(Source(parts), form=form, limits=BatchLimits(), header=header)
    return sum(1 for _ in lines)


def write(form: BatchFormat, line_count: int) -> int:
    """How many answers were written, as text, of what chunks hold."""
    texts = XmlAnswers(HEADER) if form is BatchFormat.XML else CsvAnswers()
    _, read = open_batch(Source(csv_parts(BLOCK)), form=BatchFormat.CSV, limits=BatchLimits(), header=HEADER)
    lines = list(read)
    packed_lines, packed_answers = pack_lines(lines), pack_answers(pack_answer(answer_of(line)) for line in lines)
    for _ in range(line_count // BLOCK):
        told = zip(told_lines(packed_lines), told_answers(packed_answers, len(lines)), strict=True)
        "".join([texts.answer(line, answer) for line, answer in told if answer is not None]).encode()
    return line_count


def answer_of(line: BatchLine) -> PackedAnswer:
    """What such a line is answered: success with one inscription, or the fault that it is."""
    consultation, declaration = None, None
    known = Inscription(
        inscription_context=InscriptionContext("PCSA:LIVING_WAGE"),
        period=Period(begin_date=date(2024, 1, 1)),
        last_change=NOW,
    )
    ssin = SsinAnswer(current=Ssin(SSIN))
    if line.operation is Operation.CONSULT_INSCRIPTIONS:
        status = Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)
        consultation = ConsultResult(status=status, ssin=ssin, inscriptions=(known,))
    elif line.refused is None:
        status = Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS)
        declaration = WriteResult(status=status, ssin=ssin, inscriptions=(known,))
    return PackedAnswer(
        ticket_cbss=UUID(int=line.number).bytes,
        timestamp=NOW,
        consultation=consultation,
        declaration=declaration,
        fault=line.refused,
    )


RUNS: dict[str, Callable[[int], int]] = {
    "read XML": lambda count: read(xml_parts(count), BatchFormat.XML),
    "read XML, the long way": lambda count: read(xml_parts(max(count // 10, BLOCK), long_way=True), BatchFormat.XML),
    "read XML, gzip": lambda count: read(packed(xml_parts(count), "gzip"), BatchFormat.XML),
    "read XML, zstd": lambda count: read(packed(xml_parts(count), "zstd"), BatchFormat.XML),
    "read CSV": lambda count: read(csv_parts(count), BatchFormat.CSV),
    "write XML": lambda count: write(BatchFormat.XML, count),
    "write CSV": lambda count: write(BatchFormat.CSV, count),
}


def measure(name: str, line_count: int, told: multiprocessing.Queue[tuple[int, float, int]]) -> None:
    """Tells lines, seconds of CPU, and the greatest size of this process in KiB."""
    RUNS[name](BLOCK)  # schemas compiled, modules loaded
    collect_seldom()
    began = time.process_time()
    count = RUNS[name](line_count)
    told.put((count, time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=200_000)
    line_count = parser.parse_args().lines
    spawning = multiprocessing.get_context("spawn")
    sys.stdout.write(f"{'':24} {'µs a line':>10} {'lines/s':>10} {'MiB':>6}\n")
    for name in RUNS:
        told = spawning.Queue()
        process = spawning.Process(target=measure, args=(name, line_count, told))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"{name}: failed")
        count, seconds, kibibytes = told.get()
        micros = seconds / count * MICROSECONDS
        sys.stdout.write(f"{name:24} {micros:10.1f} {count / seconds:10,.0f} {kibibytes / 1024:6.0f}\n")


if __name__ == "__main__":
    main()
