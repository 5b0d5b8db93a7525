"""From each requirement to what shows it: docs/security-traceability.md, and the gaps that there may not be.

What a test shows is read from the first line of its docstring, and from a name such as `sec_12_no_body`; what a vector
shows, from its family. `make traceability` writes the document.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.vectors.catalogue import FAMILIES

ROOT: Final = Path(__file__).parents[2]
TESTS: Final = ROOT / "tests"
DECLARATION: Final = Path(__file__).with_name("requirements.toml")
DOCUMENT: Final = ROOT / "docs" / "security-traceability.md"

_ID: Final = re.compile(r"\b(SEC|TV)-(\d{2,3})((?:(?:, | and |\.\.| to )(?:\1-)?\d{2,3}\b)*)")
_NEXT: Final = re.compile(r"(, | and |\.\.| to )(?:SEC-|TV-)?(\d{2,3})")
_NAME: Final = re.compile(r"(?:test_)?sec_(\d\d)(?:_and_(\d\d))?_")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A test, and the requirements and vectors that it names."""

    file: Path
    name: str
    sentence: str
    ids: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What requirements.toml says."""

    groups: Mapping[str, Mapping[str, str]]
    vectors: Mapping[str, str]
    evidence: Mapping[str, tuple[str, ...]]

    @property
    def requirements(self) -> dict[str, str]:
        """The title of each requirement."""
        return {identifier: title for group in self.groups.values() for identifier, title in group.items()}


@cache
def declared() -> Declared:
    """The declaration."""
    data = tomllib.loads(DECLARATION.read_text(encoding="utf-8"))
    return Declared(
        groups={group["name"]: group["requirements"] for group in data["group"]},
        vectors=data["vectors"],
        evidence={identifier: tuple(files) for identifier, files in data["evidence"].items()},
    )


def ids_in(text: str) -> Iterator[str]:
    """Every SEC and TV id in a text: `SEC-21..25`, `SEC-52 to SEC-54` and `SEC-12, 13` are spelled out."""
    for match in _ID.finditer(text):
        kind, last = match[1], int(match[2])
        yield _id(kind, last)
        for step, digits in _NEXT.findall(match[3]):
            number = int(digits)
            first = last + 1 if step in ("..", " to ") else number
            yield from (_id(kind, between) for between in range(first, number + 1))
            last = number


def _id(kind: str, number: int) -> str:
    return f"{kind}-{number:02}"


@cache
def tests_shown() -> tuple[Shown, ...]:
    """Every test that names a requirement or a vector, in the order of the files."""
    return tuple(shown for path in sorted(TESTS.rglob("test_*.py")) for shown in _tests_in(path))


def _tests_in(path: Path) -> Iterator[Shown]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        named = _NAME.match(node.name)
        if not node.name.startswith("test_") and named is None:
            continue
        sentence = (ast.get_docstring(node) or "").partition("\n")[0]
        ids = {*ids_in(sentence), *(_id("SEC", int(digits)) for digits in (named.groups() if named else ()) if digits)}
        if ids:
            yield Shown(file=path.relative_to(ROOT), name=node.name, sentence=sentence, ids=frozenset(ids))


@cache
def vectors_shown() -> Mapping[str, tuple[str, frozenset[str]]]:
    """Of each TV number its sentences, and the requirements of its vectors."""
    numbers = dict.fromkeys(family.number for family in sorted(FAMILIES, key=lambda family: _number(family.number)))
    return {
        number: (
            " ".join(family.sentence for family in FAMILIES if family.number == number),
            frozenset(proven for family in FAMILIES if family.number == number for proven in family.proves),
        )
        for number in numbers
    }


def _number(identifier: str) -> int:
    return int(identifier.partition("-")[2])


def _evidence(identifier: str) -> tuple[str, ...]:
    return declared().evidence.get(identifier, ())


def is_shown(identifier: str) -> bool:
    """Whether a test, a vector or a named file shows a requirement or holds a vector."""
    return (
        any(identifier in shown.ids for shown in tests_shown())
        or any(identifier in proven for _, proven in vectors_shown().values())
        or identifier in vectors_shown()
        or bool(_evidence(identifier))
    )


def gaps() -> list[str]:
    """What is not as it must be, a sentence each."""
    data = declared()
    known = {*data.requirements, *data.vectors, *vectors_shown()}
    found = [
        f"{shown.file}::{shown.name} names {identifier}, which there is not."
        for shown in tests_shown()
        for identifier in sorted(shown.ids - known)
    ]
    found += [
        f"{number} names {identifier}, which there is not."
        for number, (_, proven) in vectors_shown().items()
        for identifier in sorted(proven - known)
    ]
    for identifier in (*data.requirements, *data.vectors):
        if not is_shown(identifier):
            found.append(f"{identifier} is shown by nothing.")
    for identifier, files in data.evidence.items():
        for name in files:
            path = ROOT / name
            if not path.is_file() or identifier not in ids_in(path.read_text(encoding="utf-8")):
                found.append(f"{name} is to show {identifier}, and does not name it.")
    found += [f"{identifier} is shown by a file, and there is none." for identifier in _unknown(known)]
    return found


def _unknown(known: Iterable[str]) -> list[str]:
    data = declared()
    return sorted(set(data.evidence) - set(known))


# --- the document ---------------------------------------------------------------------------------------------------


def render() -> str:
    """The document."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    data = declared()
    yield "# Security: from requirement to test"
    yield ""
    yield "Written by `make traceability` from the tests, the vectors and"
    yield "[requirements.toml](../tests/security/requirements.toml); a test fails when it is out of date, and when a"
    yield "requirement is shown by nothing. SEC and TV are numbers of the project's design; the titles are ours."
    yield "The threats behind them: [threat-model.md](threat-model.md). The vectors: `make vectors`."
    for group, requirements in data.groups.items():
        yield ""
        yield f"## {group}"
        for identifier, title in requirements.items():
            yield ""
            yield f"### {identifier}"
            yield ""
            yield f"{title}."
            yield ""
            yield from _shown_by(identifier)
    yield ""
    yield "## Vectors"
    yield ""
    yield "Each number is a family of messages in [tests/vectors](../tests/vectors), and each message goes through the"
    yield "whole door and through the offline tool (`test_vectors.py`)."
    yield ""
    yield "| number | what it is | shows |"
    yield "|---|---|---|"
    for number, (sentence, proven) in vectors_shown().items():
        yield f"| {number} | {_cell(sentence)} | {', '.join(map(_link, sorted(proven)))} |"
    for number, title in data.vectors.items():
        tests = [f"`{shown.name}`" for shown in tests_shown() if number in shown.ids]
        yield f"| {number} | {_cell(title)}. | {', '.join(tests)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _link(identifier: str) -> str:
    return f"[{identifier}](#{identifier.lower()})"


def _shown_by(identifier: str) -> Iterator[str]:
    numbers = [number for number, (_, proven) in vectors_shown().items() if identifier in proven]
    if numbers:
        yield f"- vectors: {', '.join(numbers)}"
    by_file: dict[Path, list[str]] = {}
    for shown in tests_shown():
        if identifier in shown.ids:
            by_file.setdefault(shown.file, []).append(shown.name)
    for file, names in by_file.items():
        yield f"- [{file.name}](../{file.as_posix()}): {', '.join(f'`{name}`' for name in names)}"
    for name in _evidence(identifier):
        yield f"- [{Path(name).name}](../{name})"


def main() -> None:
    """Writes the document; prints what is missing."""
    DOCUMENT.write_text(render(), encoding="utf-8")
    for gap in gaps():
        print(gap)


if __name__ == "__main__":
    main()
