"""How many changes of each module a test noticed, and which none did (SEC-84).

A change counts as noticed when a test fails or runs out of time. What changes nothing that anybody can see stands
in `equivalent.toml` with the reason, found by function and line: mutmut's numbers move with every edit. An entry that
a test notices by now, or whose line is gone, is told once its module was tried to the end. The exit status is 1 below
`NOTICED_PERCENT_MIN` in any module.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.utils.file_utils import walk_mutatable_files

NOTICED_PERCENT_MIN: Final = 90.0
UNNOTICED: Final = frozenset({0, 5, 33})
"""Exit codes of mutmut: all tests passed, or there were none."""


@dataclass(kw_only=True)
class Score:
    """What became of the changes of one module."""

    module: str
    noticed: int = 0
    untried: int = 0
    equivalent: int = 0
    unnoticed: list[str] = field(default_factory=list)
    listed_for_nothing: list[str] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """How many were noticed of those that were tried and that anybody could see."""
        tried = self.noticed + len(self.unnoticed)
        return 100 * self.noticed / tried if tried else 100.0


def change_of(mutant: str, path: Path) -> str:
    """The lines that the mutant takes out and puts in, without their indentation."""
    lines = get_diff_for_mutant(mutant, path=path).splitlines()[2:]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines if line[:1] in {"-", "+"})


def module_name(path: Path) -> str:
    """The dotted name of a module below `src`, as mutmut's names of functions begin."""
    return ".".join(path.with_suffix("").parts[1:])


def scores() -> list[Score]:
    """The score of each module that has changes."""
    listed = tomllib.loads(Path(__file__).with_name("equivalent.toml").read_text(encoding="utf-8"))
    equivalents = {(entry["function"], entry["change"].strip()) for entry in listed.get("equivalent", [])}
    found = []
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        score = Score(module=path.stem)
        found_listed = set()
        for mutant, exit_code in data.exit_code_by_key.items():
            if exit_code is None:
                score.untried += 1
            elif exit_code not in UNNOTICED:
                score.noticed += 1
            else:
                function, _, number = mutant.rpartition("__mutmut_")
                change = change_of(mutant, path)
                if (function, change) in equivalents:
                    score.equivalent += 1
                    found_listed.add((function, change))
                else:
                    words = "no test calls it" if exit_code else "no test fails"
                    score.unnoticed.append(f"{function} ({words}, {number})\n{change}")
        if data.exit_code_by_key and not score.untried:
            of_module = {entry for entry in equivalents if entry[0].rpartition(".")[0] == module_name(path)}
            score.listed_for_nothing = sorted("\n".join(entry) for entry in of_module - found_listed)
        if data.exit_code_by_key:
            found.append(score)
    return found


def report() -> int:
    """The exit status; prints what was not noticed, and a line a module."""
    found = scores()
    for score in found:
        for one in (*score.unnoticed, *(f"listed for nothing: {entry}" for entry in score.listed_for_nothing)):
            print(f"\n{one}")
    print(f"\n{'module':<12}{'noticed':>9}{'unnoticed':>11}{'equivalent':>12}{'untried':>9}")
    for score in found:
        numbers = f"{score.noticed:>9}{len(score.unnoticed):>11}{score.equivalent:>12}{score.untried:>9}"
        print(f"{score.module:<12}{numbers}  {score.percent:.1f} %")
    return 1 if any(score.percent < NOTICED_PERCENT_MIN for score in found) else 0
