"""What people are told of a batch that was refused."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cbss_inscription.batch import csv_lines, text, xml_lines
from cbss_inscription.cli.batch_reasons import what_is_wrong
from cbss_inscription.cli.batch_tables import print_state, progress_of_lines, show_progress


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (
            {"code": "SOA-03007", "reason": "sequence-gap", "expected_sequence_number": 2},
            "SOA-03007 sequence-gap: the sender's next batch is number 2",
        ),
        (
            {"code": "SOA-03001", "reason": "not-well-formed", "line": 8, "declaration": 2},
            "SOA-03001 not-well-formed, line 8, declaration 2: mend the file (the XML is broken there), see",
        ),
        (
            {"code": "SOA-03007", "reason": "sequence-used", "expected_sequence_number": 2},
            "SOA-03007 sequence-used: the sender's next batch is number 2: another file had this one",
        ),
        (
            {"code": "SOA-03001", "reason": "csv-columns", "line": 1},
            "SOA-03001 csv-columns, line 1: mend the file (the",
        ),
        ({"code": "SOA-03007", "reason": "manifest-file"}, "SOA-03007 manifest-file: the file is not the one"),
        ({"code": "SOA-01001", "reason": None}, "SOA-01001: the certificate"),
    ],
)
def test_refusal_says_what_to_do(refusal: dict[str, Any], told: str) -> None:
    """Why a file was refused is told with the place in it, the number that is expected, and what to do (rule 37)."""
    console = Console(file=io.StringIO(), width=200)
    print_state(console, {"state": "refused", "refusal": refusal, "offset": 0, "size_bytes": 154})
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "refused"
    assert lines[1].startswith(told)


def test_each_reason_has_words() -> None:
    """Whatever a file is refused for when it is read is told in words, not only by the name of it (rule 37)."""
    sources = [Path(module.__file__ or "").read_text(encoding="utf-8") for module in (csv_lines, text, xml_lines)]
    raised = re.compile(r'(?:MalformedMessage|WsiViolation|SchemaViolation|_rejected)\("([a-z-]+)"')
    reasons = {reason for source in sources for reason in raised.findall(source)} - {"comment"}  # that is one line's
    assert {"csv-columns", "doctype", "encoding", "not-well-formed", "schema", "truncated"} <= reasons
    assert [reason for reason in sorted(reasons) if not what_is_wrong(reason)] == []


def told(state: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_state(console, state)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_end_of_a_batch_says_how_fast_it_was() -> None:
    """A batch at its end is told with its time and its rate, in numbers that can be read (rule 37)."""
    state = {
        "state": "canceled", "sequence_number": 2, "sender": "17/1", "answered": 120_000, "lines": 240_000,
        "waiting": 0, "cut_after": 120_000,
        "began_at": "2026-03-02T09:30:00+00:00", "finished_at": "2026-03-02T09:30:08+00:00",
    }  # fmt: skip
    said = "120 000 of 240 000 lines answered, cut after line 120 000, in 8.0 s, 15 000 a second"
    assert told(state) == f"canceled  batch 2 of 17/1, {said}\n"
    later = told(state | {"finished_at": "2026-03-02T11:30:00+00:00", "answered": 7_200})
    assert later.endswith("cut after line 120 000, in 2:00:00, 1.0 a second\n")
    assert " s, " not in told(state | {"finished_at": None})
    assert " s, " not in told(state | {"began_at": None})
    assert " s, " not in told(state | {"began_at": "2026-03-02T09:30:07.500+00:00"}), "too short to tell a rate"


def test_upload_says_what_it_waits_for() -> None:
    """Of an upload that is not whole it is told how much is there; whole, what comes next (rule 37)."""
    assert (
        told({"state": "arriving", "offset": 1_000, "size_bytes": 2_000})
        == "arriving  1 000 of 2 000 bytes are there\n"
    )
    whole = "waiting  all of its 2 000 bytes are there, and it is taken in when its turn comes\n"
    assert told({"state": "waiting", "offset": 2_000, "size_bytes": 2_000}) == whole


def test_bar_shows_where_a_batch_will_end() -> None:
    """While a batch is followed its bar has grouped numbers, what waits for a source, and after a cancellation the cut
    as its end (rule 37).
    """
    console = Console(file=io.StringIO(), width=120)
    progress = progress_of_lines(console)
    task = progress.add_task("answered", total=None)

    def shown(**state: Any) -> str:
        show_progress(progress, task, state)
        console.print(progress.get_renderable())
        assert isinstance(console.file, io.StringIO)
        return " ".join(console.file.getvalue().splitlines()[-1].replace("━", "").replace("╺", "").split())

    assert shown(state="waiting") == "waiting"
    running = {"lines": 10_000_000, "answered": 2_500_000, "cut_after": None, "waiting": 0}
    assert shown(state="running", **running).startswith("running 2 500 000 of 10 000 000")
    assert shown(state="running", **running | {"waiting": 1_200}).startswith("running, 1 200 wait 2 500")
    assert "2 500 000 of 2 600 000" in shown(state="canceling", **running | {"cut_after": 2_600_000})
