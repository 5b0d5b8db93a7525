"""The XML batch as a stream: each line as a request online, and every file that is none refused (rule 37)."""

from __future__ import annotations

import io
import re
import tracemalloc
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription import names, safe_xml
from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.text import TextPieces
from cbss_inscription.batch.xml_lines import XmlLines
from cbss_inscription.contract.batch import read_batch_line, request_of
from cbss_inscription.contract.schema import batch_schema
from cbss_inscription.domain.batch import BatchLine
from cbss_inscription.domain.errors import ContentViolation, FileRejected, MessageRejected, SchemaViolation
from tests.batch.files import (
    CONSULT,
    FOOT,
    HEAD,
    HEADER,
    INSERT,
    LIMITS,
    SSIN,
    Generated,
    generated_xml,
    given_texts,
    read_xml,
    rows,
    xml_file,
)

MEMORY_BYTES_MAX = 24_000_000
_SMALL = BatchLimits(line_chars_max=4_096)


def _read(data: bytes, *, plainly: bool = True) -> list[BatchLine] | tuple[str, str]:
    """The lines, or by which code and word the file is refused; without the quick way when not `plainly`."""
    try:
        lines = XmlLines(TextPieces(io.BytesIO(data), LIMITS), LIMITS)
        if not plainly:
            lines._may_be_plain = False
        return list(lines)
    except FileRejected as error:
        return error.code, error.reason


def _request(row: list[str]) -> str:
    """A row as the request that its fields make, valid or not; a consultation where XML cannot carry them."""
    try:
        root = request_of(HEADER, given_texts([row[0], row[1] or "consult", *row[2:]]))
    except ContentViolation:
        return CONSULT
    return etree.tostring(root[-1][0], encoding="unicode")


@given(st.lists(rows(), min_size=1, max_size=4))
def test_quick_way_reads_what_the_schema_reads(found: list[list[str]]) -> None:
    """What is recognised without the schema is what schema and readers make of it, right or wrong (rule 37)."""
    data = xml_file(*map(_request, found))
    assert _read(data) == _read(data, plainly=False)


_MUTATIONS = st.sampled_from(
    [
        ("><", ">\n\t <"), ("><", "><!-- x --><"), ("><", ">x<"), ("</ssin>", "<![CDATA[]]></ssin>"),
        ("<ssin>", "<ssin >"), ("<ssin>", "<ssin a='1'>"), ("<ssin>", '<ssin xmlns="">'),
        ("<ssin>", "<ssin xmlns='u:x'>"),
        ("</ssin>", "</ssin\n>"), ("<request>", "<request/><request>"), ("<request>", "<other/><request>"),
        ("</request>", "</request></request>"), ("<request>", "<request><request>"), ("0", "&#48;"), ("0", "&amp;"),
        ("<declaration>", "<?pi?><declaration>"), ("<declaration>", "<!DOCTYPE x><declaration>"), ("-01", "-1"),
        ("<request>", "text<request>"), ("</requests>", ""), ("</request>", ""), ("<ticket>", "<ticket>\r\n"),
        ("<ticket>", "<ticket/><ticket>"), ("<period>", "<period/><period>"), ("2024", "2024\x00"), (">", ">>"),
        ("<request>", "<!-- <request> --><request>"), ("<request>", "<![CDATA[<request>]]><request>"),
        ("</requests>", "</requests><requests/>"), ("<insert>", "<insert><insert>"), ("<", "<x:"), ("/", ""),
    ]
)  # fmt: skip


@given(st.lists(rows(), min_size=1, max_size=3), st.lists(st.tuples(_MUTATIONS, st.integers(0, 60)), max_size=3))
def test_stream_reads_what_the_document_says(found: list[list[str]], mutations: list[tuple[Any, int]]) -> None:
    """However a file is spelled, cutting it up refuses what is no XML and reads what a parse of all reads (SEC-18)."""
    text = "".join(map(_request, found)) + FOOT
    for (old, new), place in mutations:
        places = [match.start() for match in re.finditer(re.escape(old), text)]
        if places:
            at = places[place % len(places)]
            text = text[:at] + new + text[at + len(old) :]
    data = (HEAD + text).encode()
    read = _read(data)
    assert read == _read(data, plainly=False)
    try:
        root = safe_xml.parse(data, charset=None)
    except MessageRejected:
        assert isinstance(read, tuple)
        return
    try:
        batch_schema().validate(root, names.BATCH_REQUEST)
    except SchemaViolation:
        assert isinstance(read, tuple) or any(line.refused for line in read)
        return
    assert read == [_line(request, number) for number, request in enumerate(root[-1].iterchildren("*"), start=1)]


def _line(request: etree._Element, number: int) -> BatchLine:
    """The line of a valid request in a parse of the whole."""
    if next(request.iter(etree.Comment), None) is not None:
        return BatchLine(number=number, ticket=request.findtext("ticket") or None, refused="SOA-03004")
    try:
        return read_batch_line(request, number=number)
    except ContentViolation:
        return BatchLine(number=number, ticket=request.findtext("ticket") or None, refused="SOA-03007")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (CONSULT.replace(SSIN, "123"), "SOA-03006"),
        (CONSULT.replace("consult", "other"), "SOA-03006"),
        (INSERT.replace("2024-01-01", "2023-02-29"), "SOA-03006"),
        (INSERT.replace("2024-01-01", "12024-01-01"), "SOA-03007"),
        (CONSULT.replace("<ssin>", "<!-- x --><ssin>"), "SOA-03004"),
        ("text" + CONSULT, "SOA-03006"),
        ("<request/>", "SOA-03006"),
    ],
)
def test_line_that_breaks_the_contract_is_refused_alone(written: str, code: str) -> None:
    """A declaration that online would be a fault has the code of that fault; those beside it are read (rule 37)."""
    before, line, after = read_xml(xml_file(INSERT.format(number=1), written, INSERT.format(number=3)))
    assert (before.refused, line.refused, after.refused) == (None, code, None)
    assert (before.number, line.number, after.number) == (1, 2, 3)
    assert line.operation is None
    assert line.ssin == ""


def test_head_of_a_batch_is_its_header() -> None:
    """Sender, receiver, legal context and sequence number are read before any line (contract.md section 5)."""
    assert XmlLines(TextPieces(io.BytesIO(xml_file(CONSULT)), LIMITS), LIMITS).header == HEADER


_WRONG_FILES = {
    "no declaration": (xml_file(), "SOA-03006", 8),
    "no requests": (HEAD.replace("<requests>", "").encode() + b"</bat:inscriptionBatchRequest>", "SOA-03006", 8),
    "another root": (xml_file(CONSULT).replace(b"inscriptionBatchRequest", b"other"), "SOA-03006", 8),
    "nothing": (b"", "SOA-03001", 1),
    "not XML": (b"ticket,operation,ssin\n", "SOA-03001", 1),
    "a head that is invalid": (xml_file(CONSULT, head=HEAD.replace("<sector>17", "<sector>1000")), "SOA-03006", 8),
    "DOCTYPE": (
        xml_file(CONSULT, head=HEAD.replace("\n<bat", "\n<!DOCTYPE x [<!ENTITY a 'a'>]>\n<bat")),
        "SOA-03004",
        2,
    ),
    "DOCTYPE later": (xml_file(CONSULT, "<!DOCTYPE x>", CONSULT), "SOA-03004", 9),
    "instruction": (xml_file(CONSULT, "<?x y?>", CONSULT), "SOA-03004", 9),
    "instruction in the head": (xml_file(CONSULT, head=HEAD.replace("<sender>", "<?x?><sender>")), "SOA-03004", 8),
    "entity": (xml_file(CONSULT.replace(SSIN, "&x;")), "SOA-03001", 8),
    "cut off": (xml_file(CONSULT, foot=""), "SOA-03001", 9),
    "cut off in a tag": (xml_file(CONSULT, foot="<request><decl"), "SOA-03001", 9),
    "more after the requests": (
        xml_file(CONSULT, foot="</requests><more/></bat:inscriptionBatchRequest>"),
        "SOA-03006",
        9,
    ),
    "a second document": (xml_file(CONSULT, foot=FOOT + "<x/>"), "SOA-03001", 9),
    "text at the end": (xml_file(CONSULT, foot="text" + FOOT), "SOA-03006", 9),
    "other encoding": (xml_file(CONSULT, head=HEAD.replace("UTF-8", "ISO-8859-1")), "SOA-03001", 8),
    "wrong bytes": (xml_file(CONSULT, CONSULT) + b"\n\xe9", "SOA-03001", 13),
    "UTF-16": (xml_file(CONSULT).decode().encode("utf-16"), "SOA-03001", 1),
    "too deep": (xml_file(CONSULT, "<x>" * 40 + "</x>" * 40), "SOA-03001", 9),
    "attributes": (xml_file("<x " + " ".join(f"a{n}=''" for n in range(40)) + "/>"), "SOA-03001", 8),
    "a character that XML has not": (xml_file(CONSULT, INSERT.replace("t-", "\x0b")), "SOA-03001", 9),
}


@pytest.mark.parametrize("wrong", _WRONG_FILES)
def test_file_that_is_no_batch_is_refused_as_a_whole(wrong: str) -> None:
    """Broken or hostile XML refuses the whole file, by code and line of text, quoting nothing (SEC-18..25, SEC-74)."""
    data, code, line = _WRONG_FILES[wrong]
    with pytest.raises(FileRejected) as caught:
        read_xml(data)
    assert (caught.value.code, caught.value.line) == (code, line)
    assert re.fullmatch("[a-z-]+", str(caught.value))


def test_default_namespace_of_the_file_holds_for_its_lines() -> None:
    """Plain names below a default namespace are other names: each line is refused by the schema (SEC-18)."""
    head = HEAD.replace("<requests>", '<requests xmlns="urn:other">')
    with pytest.raises(FileRejected, match="schema"):
        read_xml(xml_file(CONSULT, head=head))
    head = HEAD.replace("xmlns:bat=", 'xmlns="urn:other" xmlns:bat=').replace("<sender>", '<sender xmlns="">')
    for name in ("receiver", "legalContext", "sequenceNumber", "requests"):
        head = head.replace(f"<{name}>", f'<{name} xmlns="">')
    (line,) = read_xml(xml_file(CONSULT, head=head))
    assert line.ssin == SSIN


@pytest.mark.parametrize("filler", ["<!-- {} -->", "<request>{}</request>", " {}", '<x a="{}"/>', "{}"])
def test_line_without_end_is_refused_in_little_memory(filler: str) -> None:
    """A declaration of 2 GB, or what stands before one, is refused once it is too long, and not read on (SEC-09)."""
    before, after = filler.split("{}")
    pieces = (b" " * 1_000_000 if filler == " {}" else b"x" * 1_000_000 for _ in range(2_000))
    given = [0]

    def parts() -> Iterator[bytes]:
        yield (HEAD + CONSULT + before).encode()
        for piece in pieces:
            given[0] += len(piece)
            yield piece
        yield (after + FOOT).encode()

    with pytest.raises(FileRejected) as caught:
        list(XmlLines(TextPieces(Generated(parts()), _SMALL), _SMALL))
    assert caught.value.reason == "size"
    assert caught.value.line is not None
    assert given[0] <= 4_000_000


def test_too_many_lines_are_refused() -> None:
    """A file has so many declarations at the most (contract.md section 5)."""
    limits = BatchLimits(line_count_max=2)
    assert len(read_xml(xml_file(CONSULT, CONSULT), limits=limits)) == 2
    with pytest.raises(FileRejected, match="lines"):
        read_xml(xml_file(CONSULT, CONSULT, CONSULT), limits=limits)


def test_broken_late_in_a_file_says_where() -> None:
    """What is wrong far down is found there, with the line of text and the declaration (rule 37)."""
    lines = XmlLines(TextPieces(Generated(generated_xml(30_000, last="<request>")), LIMITS), LIMITS)
    with pytest.raises(FileRejected) as caught:
        deque(lines, maxlen=0)
    assert caught.value.place == "line 30008, declaration 30001"


@pytest.mark.long
@pytest.mark.parametrize("line_count", [10_000, 1_000_000])
def test_memory_does_not_grow_with_the_file(line_count: int) -> None:
    """Of a file never more than a few pieces are in memory, however long it is (contract.md section 5)."""
    lines = XmlLines(TextPieces(Generated(generated_xml(line_count)), LIMITS), LIMITS)
    tracemalloc.start()
    try:
        assert sum(1 for _ in lines) == line_count
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES_MAX
    finally:
        tracemalloc.stop()
