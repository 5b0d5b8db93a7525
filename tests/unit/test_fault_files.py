"""Where the rules and counts of a service that goes wrong on order are kept (app/faults.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cbss_inscription.app.faults import FaultFiles
from cbss_inscription.app.settings import Faults
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.sandbox.faults import FaultKind, FaultRule


def test_decision_31_a_start_begins_anew(tmp_path: Path) -> None:
    """Rules that were set and all counts are gone, those of a service that was killed while it wrote too; the directory
    is its owner's alone (decision 31).
    """
    directory = tmp_path / "below" / "faults"
    files = FaultFiles(Faults(directory=str(directory)))
    files.begin()
    assert directory.stat().st_mode & 0o777 == 0o700
    files.set(FaultRule(name="deaf", fault=FaultKind.DROP))
    assert (files.matched("deaf"), files.matched("deaf"), files.struck("deaf")) == (1, 2, 1)
    (directory / ".rules.json.new").write_bytes(b"half")
    directory.chmod(0o755)
    files.begin()
    assert (files.rules(), list(directory.iterdir())) == ((), [])
    assert directory.stat().st_mode & 0o777 == 0o700


def test_decision_31_a_directory_with_anything_else_in_it_is_left_alone(tmp_path: Path) -> None:
    """Settings that name a directory of other files by mistake are refused, and not a file of it goes (decision 31)."""
    (tmp_path / "server.key.pem").write_text("a key", encoding="utf-8")
    (tmp_path / "rules.json").write_text("[]", encoding="utf-8")
    files = FaultFiles(Faults(directory=str(tmp_path)))
    with pytest.raises(UsageError, match=r"server\.key\.pem.*a directory of its own"):
        files.begin()
    assert len(list(tmp_path.iterdir())) == 2


def test_decision_31_a_directory_that_cannot_be_had_is_one_sentence(tmp_path: Path) -> None:
    """A file stands where the directory should be (decision 31)."""
    (tmp_path / "faults").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="faults: "):
        FaultFiles(Faults(directory=str(tmp_path / "faults"))).begin()
