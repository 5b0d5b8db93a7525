"""Every requirement is shown by something, and the documents say by what."""

from __future__ import annotations

import re

import pytest

from tests.security import traceability
from tests.security.traceability import DOCUMENT, ROOT, declared, gaps, ids_in, render

THREAT_MODEL = ROOT / "docs" / "threat-model.md"


def test_sec_86_every_requirement_is_shown() -> None:
    """No requirement is without test, vector or evidence (SEC-86)."""
    assert gaps() == []


def test_sec_86_the_document_is_of_now() -> None:
    """docs/security-traceability.md is what `make traceability` writes (SEC-86)."""
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run `make traceability`"


def test_sec_86_all_numbers_are_declared() -> None:
    """Every number of a requirement or a vector is there once, in order; there is no ninth vector (SEC-86)."""
    assert list(declared().requirements) == [f"SEC-{number:02}" for number in range(1, 89)]
    vectors = [*traceability.vectors_shown(), *declared().vectors]
    assert vectors == [f"TV-{number:02}" for number in range(1, 125) if number != 9]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("A sentence (SEC-44).", ["SEC-44"]),
        ("(SEC-21..23, TV-86)", ["SEC-21", "SEC-22", "SEC-23", "TV-86"]),
        ("(SEC-52 to SEC-54)", ["SEC-52", "SEC-53", "SEC-54"]),
        ("(SEC-33, 34, 51)", ["SEC-33", "SEC-34", "SEC-51"]),
        ("(SEC-12, 13, 15..17)", ["SEC-12", "SEC-13", "SEC-15", "SEC-16", "SEC-17"]),
        ("(SEC-09 and SEC-10)", ["SEC-09", "SEC-10"]),
        ("(TV-99..101)", ["TV-99", "TV-100", "TV-101"]),
        ("SEC-1, XSEC-01, 300 seconds and 20", []),
    ],
)
def test_ids_are_spelled_out(text: str, ids: list[str]) -> None:
    """Lists and ranges of ids give each of their ids."""
    assert list(ids_in(text)) == ids


def test_a_gap_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the tests that show them, requirements are gaps; so is a number that there is not."""
    with monkeypatch.context() as patch:
        patch.setattr(traceability, "tests_shown", tuple)
        assert "SEC-04 is shown by nothing." in gaps()
    test = traceability.Shown(file=ROOT, name="test_x", sentence="", ids=frozenset({"SEC-99"}))
    monkeypatch.setattr(traceability, "tests_shown", lambda: (test,))
    assert any("names SEC-99, which there is not" in gap for gap in gaps())


def test_sec_86_the_threat_model_covers_every_attack() -> None:
    """Each attack A1 to A24 has a row, and each row names requirements that there are (SEC-86)."""
    rows = [line for line in THREAT_MODEL.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    threats = {cell: line for line in rows if re.fullmatch(r"[A-Z]\d+", cell := line.split("|")[1].strip())}
    assert {f"A{number}" for number in range(1, 25)} <= threats.keys()
    for threat, line in threats.items():
        named = list(ids_in(line))
        assert named, f"{threat} names no requirement"
        assert set(named) <= {*declared().requirements, *traceability.vectors_shown(), *declared().vectors}, threat
