"""Inscriptions: an organisation knows a person in a context, from begin to end (rules 25 to 36 of domain.md)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Self

import msgspec

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.period import Period

_SHAPE: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_:+ ]*[a-zA-Z0-9_:+]")
CONTEXT_LENGTH_MAX: Final = 64
"""Characters of an inscription context."""


class InvalidInscriptionContext(ValueError):
    """A text against CommonV3's InscriptionContextType."""


class InscriptionContext(str):
    """How an organisation knows a person, such as `PCSA:LIVING_WAGE`: 2 to 64 characters.

    The textual successor of the numeric quality code. Raises `InvalidInscriptionContext`. Whether it is a known one is
    for the catalogue to say (`domain.inscription_contexts`).
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """The context that `text` names; raises `InvalidInscriptionContext`."""
        if len(text) > CONTEXT_LENGTH_MAX or not _SHAPE.fullmatch(text):
            raise InvalidInscriptionContext("not an inscription context")
        return super().__new__(cls, text)


class Inscription(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the repertory. Lines of one (ssin, customer, context) are pairwise disjoint (rule 32).

    `last_change` is when this very line came to be as it is (UTC). An answer tells the `organization` only where other
    organisations' lines may be seen, and then of every line (rule 30).
    """

    inscription_context: InscriptionContext
    period: Period
    organization: CustomerIdentification | None = None
    last_change: datetime | None = None
