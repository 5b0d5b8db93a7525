"""The files of answers: what online would be answered, in the order of the lines, whole or not at all (rule 37)."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import resource
import signal
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta, timezone
from itertools import starmap
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription import names
from cbss_inscription.batch.csv_answers import OUTCOME_COLUMNS, CsvAnswers
from cbss_inscription.batch.csv_lines import COLUMNS
from cbss_inscription.batch.packing import Packing, WholeFile, zstd
from cbss_inscription.batch.reading import BatchFormat
from cbss_inscription.batch.results import manifest_of, write_result_manifest, write_results
from cbss_inscription.batch.told import Told
from cbss_inscription.batch.xml_answers import XmlAnswers
from cbss_inscription.contract.batch import read_batch_header, read_batch_line
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.schema import batch_schema
from cbss_inscription.contract.write import Deployment, write_response
from cbss_inscription.domain.batch import BatchLine, BatchState, BatchStatus
from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import Period, timestamp
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    Information,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.domain.ssin import Ssin
from tests.batch.files import HEADER, SSIN, csv_file, read_csv, rows
from tests.batch.line_answers import LineAnswer, told_of

TICKET = UUID("6f1c2c52-5b07-4c8c-8a52-3ddc52b5a001")
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
DEPLOYMENT = Deployment(version="0", environment="LOCAL")

_texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff", include_characters="\t\n\r<>&"),
    max_size=300,
)
_days = st.dates()
_moments = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=1))]),
    min_value=datetime(1000, 1, 2),
    max_value=datetime(9999, 12, 30),
)
_codes = st.sampled_from(OutcomeCode)
_information = st.lists(st.builds(Information, field_name=_texts, field_value=st.none() | _texts), max_size=20).map(
    tuple
)
_ssins = st.sampled_from([SSIN, "85073003328"]).map(Ssin)
_anomalies = st.lists(st.builds(Anomaly, code=_codes, information=_information), max_size=3).map(tuple) | st.just(
    (Anomaly(code=OutcomeCode.SSIN_REPLACED),) * 40
)
_lines = st.lists(
    st.builds(
        Inscription,
        inscription_context=st.sampled_from(["AA", "PCSA:LIVING_WAGE"]).map(InscriptionContext),
        period=st.builds(
            lambda begin, end: Period(begin_date=min(begin, end or begin), end_date=end), _days, st.none() | _days
        ),
        organization=st.none()
        | st.just(CustomerIdentification(sector=17, institution=1))
        | st.just(CustomerIdentification(cbe_number="0123456789")),
        last_change=st.none() | _moments,
    ),
    max_size=3,
).map(tuple)
_ssin_answers = st.none() | st.builds(SsinAnswer, current=_ssins, replaces=st.none() | _ssins, canceled=st.booleans())


def _status(values: Iterable[StatusValue]) -> st.SearchStrategy[Status]:
    return st.builds(Status, value=st.sampled_from(list(values)), code=_codes, information=_information)


_written = st.builds(
    WriteResult,
    status=_status([StatusValue.OK, StatusValue.NOK]),
    ssin=_ssin_answers,
    validation_errors=_anomalies,
    anomalies=_anomalies,
    inscriptions=_lines,
)
_consulted = st.builds(
    ConsultResult,
    status=_status([StatusValue.DATA_FOUND, StatusValue.NO_DATA_FOUND, StatusValue.NO_RESULT]),
    ssin=_ssin_answers,
    data_filters=st.lists(_texts, max_size=2).map(tuple),
    inscriptions=_lines,
    next=st.none() | st.text("abc", min_size=1, max_size=3),
)


@st.composite
def answers(draw: st.DrawFn) -> LineAnswer:
    """An answer to a line as it was read, of the kind that its operation has; or a fault."""
    (line,) = read_csv(csv_file([COLUMNS, draw(rows())]))
    said: dict[str, Any] = {"line": line, "ticket_cbss": TICKET, "timestamp": draw(_moments)}
    if line.refused is not None:
        return LineAnswer(fault=line.refused, **said)
    if draw(st.booleans()):
        return LineAnswer(fault=draw(st.sampled_from(["SOA-01002", "CBI00901"])), **said)
    return LineAnswer(result=draw(_consulted if line.operation is Operation.CONSULT_INSCRIPTIONS else _written), **said)


def _parsed(found: Iterable[LineAnswer]) -> etree._Element:
    texts = XmlAnswers(HEADER)
    return etree.fromstring(f"{texts.head()}{''.join(starmap(texts.answer, told_of(found)))}{texts.foot()}".encode())


def _plain(element: etree._Element) -> Any:
    """An element as what it says: names, attributes, texts."""
    return [element.tag, dict(element.attrib), element.text or "", [_plain(child) for child in element]]


@given(st.lists(answers(), max_size=3))
def test_answer_in_xml_is_what_online_would_say(found: list[LineAnswer]) -> None:
    """An answer's outcome is, element for element, that of the same result online, and the file is valid (rule 37)."""
    root = _parsed(found)
    batch_schema().validate(root, names.BATCH_RESPONSE)
    assert read_batch_header(root) == HEADER
    responses = list(root[-1])
    assert len(responses) == len(found)
    for response, answer in zip(responses, found, strict=True):
        line = answer.line
        assert (response.findtext("requestCorrelation/customerTicket") or None) == line.ticket
        assert response.findtext("requestCorrelation/cbssTicket") == str(TICKET)
        assert response.findtext("requestCorrelation/timestamp") == timestamp(answer.timestamp)
        declaration = response.find("declaration")
        if line.refused is None:
            assert declaration is not None
            request = etree.Element("request")
            if line.ticket is not None:
                etree.SubElement(request, "ticket").text = line.ticket
            request.append(declaration)
            assert read_batch_line(request, number=1) == line, "the declaration is repeated"
        if answer.result is None:
            assert response.findtext("fault/reasonCode") == answer.fault
            continue
        assert line.operation is not None
        online = write_response(
            etree.Element(Door.FACADE.request_element(line.operation)),
            answer.result,
            information_cbss=InformationCbss(ticket_cbss=TICKET, timestamp_receive=NOON, timestamp_reply=NOON),
            deployment=DEPLOYMENT,
        )
        assert [_plain(child) for child in response[-1]] == [_plain(child) for child in online[1:]]


@given(st.lists(answers(), max_size=3))
def test_answer_in_csv_repeats_the_line(found: list[LineAnswer]) -> None:
    """A line of answers begins with the line that it answers, and says its outcome behind (contract.md section 5)."""
    texts = CsvAnswers()
    head, *told = csv.reader(
        io.StringIO(texts.head() + "".join(starmap(texts.answer, told_of(found))), newline=""), strict=True
    )
    assert head == [*COLUMNS, *OUTCOME_COLUMNS]
    assert len(told) == len(found)
    for row, answer in zip(told, found, strict=True):
        line = answer.line
        (again,) = read_csv(csv_file([COLUMNS, row[: len(COLUMNS)]]))
        assert line.refused is not None or again == line
        outcome = dict(zip(OUTCOME_COLUMNS, row[len(COLUMNS) :], strict=True))
        assert (outcome["line"], outcome["cbssTicket"], outcome["code"]) == ("1", str(TICKET), answer.code)
        assert outcome["status"] == ("FAULT" if answer.result is None else answer.result.status.value)


def test_letter_that_xml_has_not_spoils_no_file() -> None:
    """A control character in what a source says is replaced: the file stays one that can be read (SEC-67)."""
    status = Status(
        value=StatusValue.NOK, code=OutcomeCode.CONTENT_INVALID, information=(Information(field_name="a\x00\ufffeb"),)
    )
    answer = LineAnswer(
        line=BatchLine(number=1, operation=Operation.DELETE_INSCRIPTION, ssin=SSIN, inscription_contexts=("AA",)),
        ticket_cbss=TICKET,
        timestamp=NOON,
        result=WriteResult(status=status),
    )
    assert _parsed([answer]).findtext(".//fieldName") == "a\ufffd\ufffdb"


# -- files -------------------------------------------------------------------------------------------------------------


def _answer(number: int, *, fault: str = "SOA-03006") -> LineAnswer:
    return LineAnswer(line=BatchLine(number=number, refused=fault), ticket_cbss=TICKET, timestamp=NOON, fault=fault)


def _batch(line_count: int) -> BatchStatus:
    return BatchStatus(
        batch_id=TICKET,
        header=HEADER,
        digest=b"\x01" * 32,
        application_urn="urn:app",
        cbe_number="0123456789",
        state=BatchState.DONE,
        line_count=line_count,
        lines_answered=line_count,
        lines_waiting=0,
        cut_after=None,
        outcomes=(),
        submitted_at=NOON,
        began_at=NOON,
        finished_at=NOON,
    )


async def _told(found: list[LineAnswer]) -> AsyncIterator[list[Told]]:
    told = told_of(found)
    for begin in range(0, len(told), 1_300):
        yield told[begin : begin + 1_300]


@pytest.mark.parametrize("packing", Packing)
async def test_result_is_whole_and_its_manifest_adds_up(tmp_path: Path, packing: Packing) -> None:
    """The manifest has counts, first lines, checksums, times and version of the answers beside it (rule 37)."""
    path = tmp_path / f"batch.answers.xml{packing}"
    found = [_answer(number, fault="SOA-01002" if number % 3 == 0 else "SOA-03006") for number in range(1, 3_001)]
    written = await write_results(path, _told(found), header=HEADER, form=BatchFormat.XML, packing=packing)
    manifest = manifest_of(written, status=_batch(3_000), now=NOON)
    write_result_manifest(tmp_path / "batch.answers.json", manifest)
    data = path.read_bytes()
    said = json.loads((tmp_path / "batch.answers.json").read_bytes())
    assert said["file_sha256"] == hashlib.sha256(data).hexdigest()
    assert (said["file_bytes"], said["answers"], said["input_lines"]) == (len(data), 3_000, 3_000)
    assert said["input_sha256"] == "01" * 32
    assert [(one["code"], one["lines"], one["first_lines"]) for one in said["outcomes"]] == [
        ("SOA-03006", 2_000, [1, 2, 4, 5, 7]),
        ("SOA-01002", 1_000, [3, 6, 9, 12, 15]),
    ]
    unpack = {Packing.NONE: bytes, Packing.GZIP: gzip.decompress, Packing.ZSTD: zstd.decompress}[packing]
    root = etree.fromstring(unpack(data))
    batch_schema().validate(root, names.BATCH_RESPONSE)
    assert len(root[-1]) == 3_000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["batch.answers.json", path.name]


async def test_result_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """When answers or writing fail, no file is there, and one that was there before is as it was (rule 37)."""
    path = tmp_path / "batch.answers.csv"
    path.write_bytes(b"before")

    async def failing() -> AsyncIterator[list[Told]]:
        yield told_of(_answer(number) for number in range(1, 2_001))
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        await write_results(path, failing(), header=HEADER, form=BatchFormat.CSV)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"before"


def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A disk that is full, at the last byte even, leaves no file behind, and says so (rule 37)."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a file that is too large is an error of writing
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        for data in (b"x" * 100_001, b"x" * 5_000_000):
            with pytest.raises(OSError, match="too large"), WholeFile(tmp_path / "result") as file:
                file.write(data)
            assert list(tmp_path.iterdir()) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, former)
