"""What docs/governance.md shows can be done: its files are read, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

from cbss_inscription.cli.governance import governance
from cbss_inscription.governance.documents import read_proposed

DOCUMENT = (Path(__file__).parents[2] / "docs" / "governance.md").read_text(encoding="utf-8")


def test_the_files_that_the_document_shows_are_read() -> None:
    """Each YAML text in it is a proposal's file; together they have every kind of entry."""
    texts = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    files = [read_proposed(text.encode(), origin="docs") for text in texts]
    assert [(len(f.permissions), len(f.tenants), len(f.operators), len(f.withdraw.keys)) for f in files] == [
        (1, 0, 1, 1),
        (0, 2, 1, 0),
    ]


def test_the_document_names_every_command_and_no_other() -> None:
    """Commands in examples and in the table are those of `cbss-inscription governance`."""
    known = {
        command.name or str(command.callback and command.callback.__name__)
        for command in governance.registered_commands
    }
    rows = re.findall(r"^\| (`.*?`) \|", DOCUMENT, re.MULTILINE)
    table = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    examples = set(re.findall(r"cbss-inscription governance (\w+)", DOCUMENT))
    assert examples <= known
    assert table | {"init"} == known
