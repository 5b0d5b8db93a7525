"""The CSV batch as a stream: the same declarations, judged by the same schema, a line each (contract.md section 5)."""

from __future__ import annotations

import tracemalloc
from collections import deque
from collections.abc import Iterator
from datetime import date
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription.batch.csv_lines import COLUMNS, CsvLines
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.reading import BatchFormat, open_batch
from cbss_inscription.batch.text import TextPieces
from cbss_inscription.contract.batch import OPERATIONS, request_of
from cbss_inscription.domain.batch import BatchLine
from cbss_inscription.domain.errors import ContentViolation, FileRejected
from cbss_inscription.domain.requests import Operation
from tests.batch.files import HEADER, LIMITS, SSIN, Generated, csv_file, given_texts, read_csv, read_xml, rows, xml_file

MEMORY_BYTES_MAX = 24_000_000
_SMALL = BatchLimits(line_chars_max=4_096)
_HEAD = ",".join(COLUMNS)
_LINE = f"t-1,insert,{SSIN},PCSA:LIVING_WAGE,2024-01-01,,,,,,,\r\n"


def _as_xml(row: list[str]) -> BatchLine:
    """The line that the same fields are in an XML batch."""
    texts = given_texts(row)
    if row[1] not in OPERATIONS:
        return BatchLine(number=1, refused="SOA-03006")
    try:
        request = request_of(HEADER, texts)[-1][0]
    except ContentViolation as error:
        return BatchLine(number=1, refused=error.code)
    (line,) = read_xml(xml_file(etree.tostring(request, encoding="unicode")))
    return line


def _without_ticket_of_refused(line: BatchLine) -> BatchLine:
    return BatchLine(number=line.number, refused=line.refused) if line.refused else line


@given(rows(), st.sampled_from(",;"))
def test_line_says_what_the_same_fields_say_in_xml(row: list[str], delimiter: str) -> None:
    """A line of CSV is the declaration that its fields are in XML, or refused by the same code (rule 37)."""
    (line,) = read_csv(csv_file([COLUMNS, row], delimiter=delimiter))
    assert _without_ticket_of_refused(line) == _without_ticket_of_refused(_as_xml(row))


@given(st.permutations(COLUMNS), rows())
def test_columns_stand_in_any_order(order: list[str], row: list[str]) -> None:
    """The first line names the columns, and their order is the sender's (contract.md section 5)."""
    fields = dict(zip(COLUMNS, row, strict=True))
    assert read_csv(csv_file([order, [fields[name] for name in order]])) == read_csv(csv_file([COLUMNS, row]))


def test_columns_that_are_not_named_are_absent() -> None:
    """A file needs no column that it has nothing to say in (contract.md section 5)."""
    (line,) = read_csv(f"operation,ssin\nconsult,{SSIN}\n")
    assert line == BatchLine(number=1, operation=Operation.CONSULT_INSCRIPTIONS, ssin=SSIN)


def test_several_contexts_and_quoted_names() -> None:
    """Several values stand in one field, and a quoted field may have a line end in it (contract.md section 5)."""
    consult, insert = read_csv(
        f'{_HEAD}\n,consult,{SSIN},AA|BB,,,,,,,,\n,insert,{SSIN},AA,2024-01-01,,,,"De ""Wit""\nx",Jan|Piet,,\n'
    )
    assert consult.inscription_contexts == ("AA", "BB")
    assert insert.period == (date(2024, 1, 1), None)
    assert insert.legal_data is not None
    assert insert.legal_data.last_name == 'De "Wit"\nx'
    assert insert.legal_data.given_names == ("Jan", "Piet")


def test_mark_and_empty_lines_are_passed_over() -> None:
    """A byte order mark and empty lines say nothing; the last line needs no end (contract.md section 5)."""
    lines = read_csv(f"\ufeffoperation;ssin\r\n\r\nconsult;{SSIN}\r\n\r\nconsult;{SSIN}")
    assert [line.number for line in lines] == [1, 2]


def test_names_of_columns_may_be_quoted() -> None:
    """Quotes are allowed around the names of the columns as around any field: some programs quote all (RFC 4180)."""
    assert read_csv(f'"operation";"ssin"\r\n"consult";"{SSIN}"\r\n') == read_csv(f"operation;ssin\nconsult;{SSIN}\n")


def test_line_with_other_columns_is_refused_alone() -> None:
    """A line with fields too many or too few says nothing certain: it alone is refused (rule 37)."""
    lines = read_csv(f"operation,ssin\nconsult,{SSIN},x\nconsult\nconsult,{SSIN}\n")
    assert [line.refused for line in lines] == ["SOA-03006", "SOA-03006", None]


_WRONG_FILES = {
    "nothing": (b"", "csv-columns", 0),
    "no declaration": (f"{_HEAD}\n".encode(), "schema", 1),
    "an unknown column": (f"{_HEAD},more\n".encode(), "csv-columns", 1),
    "a column twice": (b"operation,ssin,ssin\n", "csv-columns", 1),
    "a quote in a name of a column": (b'operation,"ssin"x\n', "csv-columns", 1),
    "no operation": (b"ssin\n123\n", "csv-columns", 1),
    "not UTF-8": (f"{_HEAD}\n{_LINE}".encode() + b"\xe9,", "encoding", 3),
    "UTF-16": (f"{_HEAD}\n{_LINE}".encode("utf-16"), "encoding", 1),
    "a quote that is not closed": (f'{_HEAD}\n{_LINE}"t,insert\n{_LINE}'.encode(), "csv", 4),
    "text behind a quote": (f'{_HEAD}\n{_LINE}"t"x,insert\n{_LINE}'.encode(), "csv", 3),
}


@pytest.mark.parametrize("wrong", _WRONG_FILES)
def test_file_that_is_no_batch_is_refused_as_a_whole(wrong: str) -> None:
    """What cannot be read as a table refuses the whole file, by line, quoting nothing (SEC-27, SEC-74)."""
    data, reason, line = _WRONG_FILES[wrong]
    with pytest.raises(FileRejected) as caught:
        read_csv(data)
    assert (caught.value.reason, caught.value.line) == (reason, line)


@pytest.mark.parametrize(
    ("before", "filler"), [("", b"x" * 1_000_000), ('"', b"x\n" * 500_000), ("", b'"\n",' * 250_000)]
)
def test_line_without_end_is_refused_in_little_memory(before: str, filler: bytes) -> None:
    """A line of 2 GB, and one whose quoted fields never end, is refused once it is too long (SEC-09)."""
    given_count = [0]

    def parts() -> Iterator[bytes]:
        yield f"{_HEAD}\n{_LINE}{before}".encode()
        for _ in range(2_000):
            given_count[0] += 1
            yield filler

    lines = CsvLines(TextPieces(Generated(parts()), _SMALL), _SMALL, HEADER)
    with pytest.raises(FileRejected) as caught:
        deque(lines, maxlen=0)
    assert caught.value.reason == "size"
    assert given_count[0] <= 4


def test_too_many_lines_are_refused() -> None:
    """A file has so many declarations at the most (contract.md section 5)."""
    limits = BatchLimits(line_count_max=2)
    assert len(read_csv(f"{_HEAD}\n{_LINE}{_LINE}", limits=limits)) == 2
    with pytest.raises(FileRejected, match="lines"):
        read_csv(f"{_HEAD}\n{_LINE}{_LINE}{_LINE}", limits=limits)


def test_head_is_the_manifest_s() -> None:
    """A CSV file has no head of its own: without a manifest it is none (contract.md section 5)."""
    source = Generated([f"{_HEAD}\n{_LINE}".encode()])
    with pytest.raises(FileRejected, match="manifest-missing"):
        open_batch(source, form=BatchFormat.CSV, limits=LIMITS)


@pytest.mark.long
@pytest.mark.parametrize("line_count", [10_000, 1_000_000])
def test_memory_does_not_grow_with_the_file(line_count: int) -> None:
    """Of a file never more than a few pieces are in memory, however long it is (contract.md section 5)."""
    parts = (_LINE.encode() * 1_000 for _ in range(line_count // 1_000))
    source = Generated(chain([f"{_HEAD}\n".encode()], parts))
    lines = CsvLines(TextPieces(source, LIMITS), LIMITS, HEADER)
    tracemalloc.start()
    try:
        assert sum(1 for _ in lines) == line_count
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES_MAX
    finally:
        tracemalloc.stop()
