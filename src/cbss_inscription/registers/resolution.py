"""From the number asked to the file that carries on: rules 15 to 18."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cbss_inscription.domain.legal_data import FileStatus, Person
from cbss_inscription.domain.ssin import Ssin

HOPS_MAX: Final = 10
"""Replacements followed before a chain is refused as a data anomaly (rule 16)."""

CANCELED: Final = "canceled"
"""The reason of a chain that ends as it may; every other reason is an anomaly of the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The active file at the end; `replaces` is the number asked when it is another one (rule 18)."""

    person: Person
    replaces: Ssin | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """No register knows the number (E3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotActive:
    """Cancelled, or replaced without reaching an active file (E4, E6).

    `last` is the last file reached; `reason` is `CANCELED`, `loop`, `too-long` or `broken` (the next file is missing).
    """

    last: Person
    reason: str


Resolution = Found | Unknown | NotActive


def resolve(asked: Ssin, chain: Sequence[Person], *, hops_max: int = HOPS_MAX) -> Resolution:
    """What became of the number `asked`, given its chain of files as `PersonRegister.chain_of` gives it."""
    if not chain:
        return Unknown()
    last = chain[-1]
    if len(chain) > hops_max + 1:
        return NotActive(last=last, reason="too-long")
    match last.status:
        case FileStatus.ACTIVE:
            return Found(person=last, replaces=None if last.ssin == asked else asked)
        case FileStatus.CANCELED:
            return NotActive(last=last, reason=CANCELED)
        case FileStatus.REPLACED:
            seen = {person.ssin for person in chain}
            return NotActive(last=last, reason="loop" if last.replaced_by in seen else "broken")
