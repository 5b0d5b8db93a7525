"""Regular expressions mean the same on every Python that we run on."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]  # there is no public way to look into one
from typing import Any

import cbss_inscription


def expressions() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Every compiled expression of a module of ours, and where it is."""
    for module in pkgutil.walk_packages(cbss_inscription.__path__, "cbss_inscription."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                yield f"{module.name}.{name}", value


def repeats_possessively(parsed: Any) -> bool:
    """Whether something longer than a character is repeated possessively anywhere in an expression."""
    for operation, argument in parsed:
        if operation is _constants.POSSESSIVE_REPEAT and not _is_character(argument[2]):
            return True
        if any(repeats_possessively(part) for part in _parts(argument)):
            return True
    return False


def _is_character(parsed: Any) -> bool:
    simple = {_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY}
    return len(parsed) == 1 and parsed[0][0] in simple


def _parts(argument: Any) -> Iterator[Any]:
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, (tuple, list)):
        for one in argument:
            yield from _parts(one)


def test_the_look_into_expressions_sees_what_it_is_for() -> None:
    """A possessive repetition is seen wherever it stands, of a group alone; an atomic group is none."""
    assert repeats_possessively(_parser.parse("a|(b(?:c(?:de|f)*+)?)"))
    assert repeats_possessively(_parser.parse("(?:ab)?+"))
    assert not repeats_possessively(_parser.parse("[ab]*+(?>(?:cd)*)e++"))


def test_no_expression_repeats_a_group_possessively() -> None:
    """Python before 3.11.5, as Debian 12 has it, does not match what such a repetition should (gh-106052)."""
    found = dict(expressions())
    assert {"cbss_inscription.batch.xml_lines._TOKEN", "cbss_inscription.safe_xml._PROLOG"} <= found.keys()
    wrong = [name for name, one in found.items() if repeats_possessively(_parser.parse(one.pattern, one.flags))]
    assert wrong == []
