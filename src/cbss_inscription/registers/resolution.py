"""From the number asked to the file that carries on: rules 15 to 18."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from cbss_inscription.domain.legal_data import FileStatus, Person
from cbss_inscription.domain.ssin import Ssin

HOPS_MAX: Final = 10
"""Replacements followed before a chain is refused as a data anomaly (rule 16)."""


class ChainFault(StrEnum):
    """What is wrong with a chain of replacements: an anomaly of the data, met or attempted (rule 16)."""

    LOOP = "loop"
    """It comes back to a file that stands in it already."""
    TOO_LONG = "too-long"
    """It has more replacements than are followed."""
    BROKEN = "broken"
    """No register knows the number that replaces its last file."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The active file at the end; `replaces` is the number asked when it is another one (rule 18)."""

    person: Person
    replaces: Ssin | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """No register knows the number (E3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotActive:
    """Cancelled, or replaced without reaching an active file (E4, E6).

    `last` is the last file reached; `fault` is None when the chain ends as it may, with a canceled file.
    """

    last: Person
    fault: ChainFault | None


Resolution = Found | Unknown | NotActive


def resolve(asked: Ssin, chain: Sequence[Person], *, hops_max: int = HOPS_MAX) -> Resolution:
    """What became of the number `asked`, given its chain of files as `PersonRegister.chain_of` gives it."""
    if not chain:
        return Unknown()
    last = chain[-1]
    if len(chain) > hops_max + 1:
        return NotActive(last=last, fault=ChainFault.TOO_LONG)
    match last.status:
        case FileStatus.ACTIVE:
            return Found(person=last, replaces=None if last.ssin == asked else asked)
        case FileStatus.CANCELED:
            return NotActive(last=last, fault=None)
        case FileStatus.REPLACED:
            seen = {person.ssin for person in chain}
            return NotActive(last=last, fault=ChainFault.LOOP if last.replaced_by in seen else ChainFault.BROKEN)
