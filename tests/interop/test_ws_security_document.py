"""docs/ws-security.md names every reason that the message security may log, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import cbss_inscription
from cbss_inscription.governance.access import AccessRefusal

SOURCE = Path(str(cbss_inscription.__file__)).parent
DOCUMENT = Path(__file__).parents[2] / "docs" / "ws-security.md"
STATIONS = ("safe_xml.py", "security/*.py", "usecases/authorization.py", "soap/pipeline.py", "soap/authentication.py")
REFUSALS = (
    "BodyMissing",
    "MalformedMessage",
    "MustUnderstand",
    "NotAuthenticated",
    "NotAuthorized",
    "NotSoap",
    "VersionMismatch",
    "WsiViolation",
)
GATE_READERS = ("_read_", "read_", "decode_")


def _reasons_in_the_source() -> set[str]:
    """Every word handed to a refusal, or to a reader of the gate's that hands it on; some are put together of two."""
    found: set[str] = set()
    for path in (path for station in STATIONS for path in SOURCE.glob(station)):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            if call.func.id not in REFUSALS and not (path.name == "gate.py" and call.func.id.startswith(GATE_READERS)):
                continue
            found.update(_words(call))
    # What the rules refuse is raised by one call; that of the legal context is an outcome, MSG00013.
    return found | set(AccessRefusal) - {AccessRefusal.LEGAL_CONTEXT_NOT_GRANTED}


def _words(call: ast.Call) -> Iterator[str]:
    for argument in call.args:
        match argument:
            case ast.Constant(value=str(word)):
                yield word
            case ast.IfExp(body=ast.Constant(value=str(one)), orelse=ast.Constant(value=str(other))):
                yield from (one, other)
            case ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value=str(end))]):
                yield from (f"{whose}{end}" for whose in ("certificate", "authority"))


def test_document_lists_every_reason() -> None:
    """The table of common mistakes has each reason that the source raises, and none that it does not."""
    _, _, table = DOCUMENT.read_text(encoding="utf-8").partition("## Common mistakes")
    rows = re.findall(r"^\| .+ \| SOA-\d{5} \| (.+) \|$", table, re.MULTILINE)
    documented = {word for row in rows for word in re.findall(r"`([a-z0-9-]+)`", row)}
    raised = _reasons_in_the_source()
    assert documented - raised == set()
    assert raised - documented == set()
