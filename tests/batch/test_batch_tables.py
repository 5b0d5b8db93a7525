"""What people are told of a batch that was refused."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from cbss_inscription.cli.batch_tables import print_state


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (
            {"code": "SOA-03007", "reason": "sequence-gap", "expected_sequence_number": 2},
            "SOA-03007 sequence-gap: the sender's next batch is number 2",
        ),
        (
            {"code": "SOA-03001", "reason": "not-well-formed", "line": 8, "declaration": 2},
            "SOA-03001 not-well-formed, line 8, declaration 2: mend the file",
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
