"""docs/outcome-codes.md is the catalogue, rendered.

After a change of the catalogue, write it anew:
`CBSS_WRITE_DOCUMENTS=1 pytest tests/unit/test_outcome_codes_document.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from cbss_inscription.domain.outcome_codes import OutcomeCode, render_markdown

DOCUMENT = Path(__file__).parents[2] / "docs" / "outcome-codes.md"


def test_the_document_is_what_the_catalogue_renders() -> None:
    """docs/outcome-codes.md says exactly what the catalogue says."""
    rendered = render_markdown()
    if os.environ.get("CBSS_WRITE_DOCUMENTS") == "1":
        DOCUMENT.write_text(rendered, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == rendered


def test_the_document_has_one_line_a_code_in_each_of_its_tables() -> None:
    """Each code stands once in the table of meanings and once in each table of translations."""
    lines = render_markdown().splitlines()
    for code in OutcomeCode:
        assert sum(line.startswith(f"| {code} |") for line in lines) == 4
