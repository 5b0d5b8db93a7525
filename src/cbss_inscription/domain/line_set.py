"""The lines of one (ssin, customer, context) as one value, and what changes it (rules 25, 31 to 36)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.ssin import Ssin


@dataclass(frozen=True, slots=True, kw_only=True)
class LineKey:
    """The key of a line set (rule 25)."""

    ssin: Ssin
    customer: CustomerIdentification
    inscription_context: InscriptionContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of a line set: take `removed` out (without ends: everything), then put `added` in."""

    key: LineKey
    operation: Operation
    removed: GivenPeriod | None
    added: Period | None
    line_count_max: int
    """Lines that the set may have afterwards."""
    legal_context: LegalContext
    customer_ticket: str | None
    exchange: Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What a change did, and the lines as they are now.

    `found`: it met what it named. `fits`: the lines are not too many then. Without both, nothing was written.
    `changed`: something differs now. `merged`: what it added met other lines, by overlap or adjacency, and is no line
    of its own or swallowed some; says nothing when nothing was added.
    """

    found: bool
    fits: bool
    changed: bool
    merged: bool
    lines: tuple[Inscription, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStart:
    """Where a page of lines begins: after the line of this context and begin date."""

    inscription_context: InscriptionContext
    begin_date: date
