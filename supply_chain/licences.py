"""The licences of a bill of materials: `make sbom` writes the list, and fails when one is not allowed.

    .tools/supply-chain/bin/python supply_chain/licences.py BILL --output FILE [--policy FILE]

The policy is licences.toml: what is allowed, what we read where a component says nothing, and each exception with its
reason. Ends with 1 when a component has no licence or one that is not allowed, or when an entry is not needed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from license_expression import ExpressionError, get_spdx_licensing

POLICY: Final = Path(__file__).with_name("licences.toml")
_SPDX: Final = get_spdx_licensing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exempt:
    """A component that may have a licence which is not allowed to others; `inside` is the package that carries it."""

    component: str
    licence: str
    reason: str
    inside: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What licences.toml says."""

    allowed: frozenset[str]
    exempt: tuple[Exempt, ...]
    read: tuple[Exempt, ...] = ()
    """The licences that we read ourselves where a component tells none in SPDX's words; the reason says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licensed:
    """A component and its licences, as SPDX expressions; what is said in other words is not a licence here."""

    component: str
    version: str | None
    inside: str | None
    licences: tuple[str, ...]


def read_policy(text: str) -> Policy:
    """The policy of a file; raises ValueError or TypeError when it has another shape."""
    found = tomllib.loads(text)
    exempt = tuple(Exempt(**entry) for entry in found.pop("exception", []))
    read = tuple(Exempt(**entry) for entry in found.pop("read", []))
    unreasoned = [one.component for one in (*exempt, *read) if not one.reason.strip()]
    if unreasoned:
        raise ValueError(f"exceptions without a reason: {', '.join(unreasoned)}")
    allowed = frozenset(found.pop("allowed"))
    if found:
        raise ValueError(f"unknown: {', '.join(found)}")
    return Policy(allowed=allowed, exempt=exempt, read=read)


def licensed(components: Iterable[dict[str, Any]], *, inside: str | None = None) -> Iterator[Licensed]:
    """Every component and what is in it; a file has the licence of the library that it is part of."""
    for component in components:
        if component["type"] != "file":
            yield Licensed(
                component=component["name"],
                version=component.get("version"),
                inside=inside,
                licences=tuple(_said(component.get("licenses", ()))),
            )
        yield from licensed(component.get("components", ()), inside=inside or component["name"])


def _said(licences: Iterable[dict[str, Any]]) -> Iterator[str]:
    for entry in licences:
        expression = entry.get("expression") or entry["license"].get("id")
        if (
            expression is not None
        ):  # else a classifier of Python packages: too vague, and beside an SPDX name superfluous
            yield expression


def with_read(components: Iterable[Licensed], policy: Policy) -> Iterator[Licensed]:
    """The components; those that tell no licence with the one that we read."""
    known = {(one.component, one.inside): one.licence for one in policy.read}
    for one in components:
        licence = known.get((one.component, one.inside))
        yield one if one.licences or licence is None else replace(one, licences=(licence,))


def unneeded(components: Iterable[Licensed], policy: Policy) -> Iterator[str]:
    """A sentence for each licence that we read for nothing: the component tells it now, or is not there."""
    silent = {(one.component, one.inside) for one in components if not one.licences}
    for one in policy.read:
        if (one.component, one.inside) not in silent:
            yield f"the licence that was read of {one.component} is not needed: take it away"


def is_allowed(expression: str, allowed: frozenset[str]) -> bool:
    """Whether a choice of licences that the expression leaves is allowed altogether."""
    try:
        tree = _SPDX.parse(expression, validate=True)
    except ExpressionError:
        return False
    return _holds(tree, allowed)


def _holds(tree: Any, allowed: frozenset[str]) -> bool:  # noqa: ANN401 - license-expression has no types
    if isinstance(tree, _SPDX.OR):
        return any(_holds(part, allowed) for part in tree.args)
    if isinstance(tree, _SPDX.AND):
        return all(_holds(part, allowed) for part in tree.args)
    return str(tree) in allowed


def refused(components: Sequence[Licensed], policy: Policy) -> Iterator[str]:
    """A sentence for each licence that is missing or not allowed, and for each exception without need."""
    needed = set()
    for one in components:
        place = one.component if one.inside is None else f"{one.component} in {one.inside}"
        if not one.licences:
            yield f"{place} tells no licence"
        for licence in one.licences:
            if is_allowed(licence, policy.allowed):
                continue
            exempt = exception_of(one, licence, policy)
            if exempt is None:
                yield f"{place} is under {licence}, which is not allowed"
            else:
                needed.add(exempt)
    for exempt in policy.exempt:
        if exempt not in needed:
            yield f"the exception of {exempt.component} for {exempt.licence} is not needed: take it away"


def exception_of(one: Licensed, licence: str, policy: Policy) -> Exempt | None:
    """The exception that lets this licence of the component pass."""
    return next(
        (
            exempt
            for exempt in policy.exempt
            if (exempt.component, exempt.inside, exempt.licence) == (one.component, one.inside, licence)
        ),
        None,
    )


def list_of(components: Sequence[Licensed], policy: Policy) -> str:
    """The list as Markdown."""
    lines = ["# Licences", "", "| component | version | inside | licence | allowed because |", "|---|---|---|---|---|"]
    for one in sorted(components, key=lambda one: (one.inside or one.component, one.inside or "", one.component)):
        exempt = [found for licence in one.licences if (found := exception_of(one, licence, policy))]
        reason = exempt[0].reason if exempt else ""
        cells = (one.component, one.version or "not told", one.inside or "", " and ".join(one.licences), reason)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bill", type=Path, help="a CycloneDX bill of materials in JSON")
    parser.add_argument("--output", type=Path, required=True, help="the list, in Markdown")
    parser.add_argument("--policy", type=Path, default=POLICY)
    given = parser.parse_args(arguments)
    policy = read_policy(given.policy.read_text(encoding="utf-8"))
    told = tuple(licensed(json.loads(given.bill.read_bytes())["components"]))
    components = tuple(with_read(told, policy))
    given.output.write_text(list_of(components, policy), encoding="utf-8")
    sentences = [*refused(components, policy), *unneeded(told, policy)]
    for sentence in sentences:
        sys.stderr.write(f"LICENCE  {sentence}\n")
    if not sentences:
        sys.stdout.write(f"{len(components)} components, every licence is allowed\n")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
