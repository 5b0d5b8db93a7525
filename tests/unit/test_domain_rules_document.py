"""docs/domain-rules.md is true: every rule stands in it once, and the tests that it names exist and say that rule."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "domain-rules.md"
RULES: Final = [str(number) for number in range(1, 56)]
CONDITIONS: Final = [f"E{number}" for number in range(1, 24)]
UNTESTED: Final = {"50", "51", "55", "E15", "E16", "E23"}
"""Rules and conditions that may stand without a test yet: the document says why."""
WHY_UNTESTED: Final = ("not built yet", "not of this service")

ROW: Final = re.compile(
    r"^\| (?P<key>E?[0-9]+) \| (?P<text>.+?) \| (?P<mark>.+?) \| (?P<tests>.+?) \| (?P<departs>.*?) \|$"
)
NAMED: Final = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# "rule 4", "rules 19, 20 and 35", "rules 25 to 36"; in names "rule_4", "rules_32_35_37", "rules_25_to_36".
SAID: Final = re.compile(r"(?:\b|_)rules?[ _](\d+(?:(?:, and |, | and | to |_and_|_to_|_)\d+)*)")
BETWEEN: Final = re.compile(r"(, and |, | and | to |_and_|_to_|_)")
CONDITION_SAID: Final = re.compile(r"(?:\b|_)[Ee]([0-9]{1,2})(?:\b|_)")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the document's tables."""

    key: str
    text: str
    mark: str
    tests: str

    @property
    def named(self) -> list[tuple[str, str]]:
        return NAMED.findall(self.tests)


@cache
def rows() -> tuple[Row, ...]:
    shapes = (ROW.match(line) for line in DOCUMENT.read_text(encoding="utf-8").splitlines())
    return tuple(
        Row(key=shape["key"], text=shape["text"], mark=shape["mark"], tests=shape["tests"]) for shape in shapes if shape
    )


def keys_said(text: str) -> set[str]:
    """The rules and conditions that a name or a docstring mentions."""
    said: set[str] = set()
    for shape in SAID.finditer(text):
        first, *rest = BETWEEN.split(shape[1])
        said.add(str(int(first)))
        last = int(first)
        for between, number in zip(rest[::2], rest[1::2], strict=True):
            low = last + 1 if "to" in between else int(number)
            said |= {str(each) for each in range(low, int(number) + 1)}
            last = int(number)
    return said | {f"E{int(shape[1])}" for shape in CONDITION_SAID.finditer(text)}


@cache
def mentions_in(path: str) -> dict[str, set[str]]:
    """Each test of a file, methods too, and the rules that its name and its docstring mention."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {
        node.name: keys_said(node.name) | keys_said(ast.get_docstring(node) or "")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_rule_and_condition_stands_once_and_in_order() -> None:
    """Rules 1 to 55 and conditions E1 to E23 stand in the document, each once, in their order."""
    assert [row.key for row in rows()] == RULES + CONDITIONS


@pytest.mark.parametrize("key", RULES + CONDITIONS)
def test_every_rule_is_held_by_tests_that_name_it(key: str) -> None:
    """Each rule has its mark and tests that exist and mention it; what has none yet says what will bring it."""
    (row,) = [row for row in rows() if row.key == key]
    assert re.match(r"\[[AID]\]", row.mark), "no mark"
    assert row.text.endswith((".", ".)")), "no sentence"
    if not row.named:
        assert key in UNTESTED, "no test"
        assert row.tests.startswith(WHY_UNTESTED)
        return
    assert NAMED.sub("", row.tests).replace("<br>", "").strip() in ("", "."), "something else between the tests"
    assert len(set(row.named)) == len(row.named), "a test twice"
    for path, name in row.named:
        assert (ROOT / path).exists(), f"{path} does not exist"
        assert name in mentions_in(path), f"{path} has no {name}"
        assert key in mentions_in(path)[name], f"{name} does not mention {key}"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("as it says (rule 4).", {"4"}),
        ("(rules 19, 20 and 35)", {"19", "20", "35"}),
        ("(rules 25 to 28, 31)", {"25", "26", "27", "28", "31"}),
        ("(rules 17, 18; E5)", {"17", "18", "E5"}),
        ("test_rules_15_to_17_a_chain", {"15", "16", "17"}),
        ("test_rules_41_and_42_a_mismatch", {"41", "42"}),
        ("test_rules_1_2_5_published", {"1", "2", "5"}),
        ("test_e17_two_lines", {"E17"}),
        ("test_sec_56_what_no_document_names; overrules 3 times; E2E", set()),
    ],
)
def test_how_a_test_mentions_a_rule(text: str, keys: set[str]) -> None:
    """Numbers after "rule" or "rules", lists and ranges too, and E-numbers; nothing else counts."""
    assert keys_said(text) == keys
