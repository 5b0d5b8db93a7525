"""The operator's log: what a line may hold (SEC-61, SEC-74)."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
import structlog

from cbss_inscription.app.telemetry import LibraryFormatter, StructuredExchangeLog
from cbss_inscription.domain.errors import SchemaViolation, TemporarilyUnavailable
from cbss_inscription.soap.pipeline import Progress

CANARY = "Failing row contains (85073003328, Peeters)"


@pytest.fixture
def lines() -> list[dict]:
    """What was logged, as values; the log's configuration is put back afterwards."""
    before = structlog.get_config()
    told: list[dict] = []

    class Keep(io.StringIO):
        def write(self, text: str) -> int:
            if text.strip():
                told.append(json.loads(text))
            return len(text)

    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(file=Keep()),
        cache_logger_on_first_use=False,
    )
    yield told
    structlog.configure(**before)


def progress() -> Progress:
    return Progress(ticket=uuid4(), timestamp_receive=datetime(2026, 1, 1, tzinfo=UTC), request_digest="")


def test_sec_74_a_defect_is_told_by_kinds_and_frames_without_words(lines: list[dict]) -> None:
    """PostgreSQL quotes the row that it refuses: of an exception and its causes only kinds and frames are logged."""
    error: Exception
    try:
        try:
            raise psycopg.errors.CheckViolation(CANARY)
        except psycopg.Error as cause:
            raise RuntimeError(CANARY) from cause
    except RuntimeError as caught:
        caught.add_note(CANARY)
        error = caught
    StructuredExchangeLog().failed(progress(), error=error, seconds=0.001)
    (line,) = lines
    assert [told["kind"] for told in line["exceptions"]] == ["RuntimeError", "CheckViolation 23514"]
    assert all(__file__ in frame for told in line["exceptions"] for frame in told["frames"])
    assert "85073003328" not in json.dumps(line)
    assert "Peeters" not in json.dumps(line)


def test_a_response_of_ours_that_is_not_valid_names_its_places(lines: list[dict]) -> None:
    """When our own response breaks the schema, the log says where, by element names."""
    error = AssertionError("our response is not valid")
    error.__cause__ = SchemaViolation("response-schema", ("ConsultInscriptionsResponse/status: content",))
    StructuredExchangeLog().failed(progress(), error=error, seconds=0.001)
    assert lines[0]["exceptions"][1]["paths"] == ["ConsultInscriptionsResponse/status: content"]


def test_an_outage_is_told_with_its_kind(lines: list[dict]) -> None:
    """A statement timeout and a lost server are both `database` for the reason, and told apart by the cause."""
    error = TemporarilyUnavailable("database")
    error.__cause__ = psycopg.errors.QueryCanceled(CANARY)
    StructuredExchangeLog().refused(progress(), error=error, seconds=0.001)
    assert (lines[0]["code"], lines[0]["reason"], lines[0]["cause"]) == ("SOA-02002", "database", "QueryCanceled 57014")
    assert "85073003328" not in json.dumps(lines)


async def test_sec_74_a_task_that_nobody_awaited_is_told_without_its_words() -> None:
    """asyncio quotes the exception of a lost task, and PostgreSQL's quote rows: a JSON line has neither (SEC-74)."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LibraryFormatter())
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    try:

        async def fail() -> None:
            raise psycopg.errors.CheckViolation(CANARY)

        task = asyncio.create_task(fail())
        await asyncio.wait({task})
        del task
        gc.collect()
    finally:
        logger.removeHandler(handler)
    (line,) = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert (line["event"], line["logger"], line["level"]) == ("Task exception was never retrieved", "asyncio", "error")
    assert [told["kind"] for told in line["exceptions"]] == ["CheckViolation 23514"]
    assert "85073003328" not in stream.getvalue()
    assert "Peeters" not in stream.getvalue()


@pytest.mark.parametrize("logger", ["httpx", "psycopg.pool"])
def test_sec_74_no_library_forges_a_line(logger: str) -> None:
    """Line ends and terminal controls in what a library says are escaped: one record is one JSON line (SEC-74)."""
    words = 'a\r\n{"event": "forged"}\x1b[2J\x9b31m\u2028'
    record = logging.LogRecord(logger, logging.WARNING, "here", 1, "%s", (words,), None)
    told = LibraryFormatter().format(record)
    assert told.isascii()
    assert told.isprintable()
    assert json.loads(told)["event"] == (words if logger == "psycopg.pool" else "%s")
