"""How the changes that nobody noticed are counted (SEC-84)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.mutation import score
from tests.mutation.score import NOTICED_PERCENT_MIN, Score


def test_sec_84_what_was_not_tried_counts_neither_way() -> None:
    """The score is of what was tried and can be seen; a module without changes has all of it (SEC-84)."""
    assert Score(module="x", noticed=9, untried=90, equivalent=5, unnoticed=["one"]).percent == 90
    assert Score(module="x", untried=3).percent == 100


@pytest.mark.parametrize(("noticed", "status"), [(9, 0), (8, 1)])
def test_sec_84_less_than_nine_of_ten_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys, noticed, status) -> None:
    """A module with less than ninety percent of its changes noticed makes the run fail, and tells them (SEC-84)."""
    found = [
        Score(module="good", noticed=5),
        Score(module="x", noticed=noticed, unnoticed=["a change"] * (10 - noticed)),
    ]
    monkeypatch.setattr(score, "scores", lambda: found)
    assert score.report() == status
    assert capsys.readouterr().out.count("a change") == 10 - noticed
    assert NOTICED_PERCENT_MIN == 90


def test_sec_84_a_reason_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """A change that is listed though a test notices it, or that is made no more, is told (SEC-84)."""
    monkeypatch.setattr(score, "scores", lambda: [Score(module="x", noticed=9, listed_for_nothing=["f\n- a\n+ b"])])
    assert score.report() == 0
    assert "listed for nothing: f\n- a\n+ b" in capsys.readouterr().out
    assert score.module_name(Path("src/cbss_inscription/security/gate.py")) == "cbss_inscription.security.gate"


def test_sec_84_every_change_that_nobody_can_see_has_a_reason() -> None:
    """Each entry of the list names a function, the lines that go and come, and why that is nothing (SEC-84)."""
    entries = tomllib.loads(Path(score.__file__).with_name("equivalent.toml").read_text(encoding="utf-8"))["equivalent"]
    assert len({(entry["function"], entry["change"]) for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.keys() == {"function", "change", "reason"}
        assert entry["function"].startswith("cbss_inscription.")
        assert {line[:2] for line in entry["change"].strip().splitlines()} == {"- ", "+ "}
        assert entry["reason"].endswith(".")


def test_sec_84_coverage_is_of_branches_and_whole() -> None:
    """What `make coverage-security` demands is every branch of the package and of the intake (SEC-84)."""
    tool = tomllib.loads(Path(score.__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert tool["coverage"]["run"]["branch"] is True
    assert tool["coverage"]["run"]["source"] == ["cbss_inscription.security", "cbss_inscription.safe_xml"]
    assert tool["coverage"]["report"]["fail_under"] == 100
