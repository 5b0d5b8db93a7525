"""Looking for persons: by number, as the registers are asked, and by how a name sounds (domain.md 2.2, 2.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import Gender
from cbss_inscription.domain.period import IncompleteDate

CANDIDATES_MAX: Final = 50
"""Persons that a phonetic search gives (rule 22)."""
SSINS_MAX: Final = 100
"""Numbers in one search by number [D]."""


class GivenNameMode(StrEnum):
    """How given names count in a phonetic search (EHC)."""

    FIRST_LETTER_FIRST_GIVENNAME = "FIRST_LETTER_FIRST_GIVENNAME"
    COMPLETE_FIRST_GIVENNAME = "COMPLETE_FIRST_GIVENNAME"
    ALL_GIVENNAME = "ALL_GIVENNAME"
    IGNORE_GIVENNAME = "IGNORE_GIVENNAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneticCriteria:
    """Whom one looks for: what is not given is not compared, and what a file does not know excludes it not."""

    last_name: str = field(repr=False)
    given_names: tuple[str, ...] = field(default=(), repr=False)
    given_name_mode: GivenNameMode = GivenNameMode.FIRST_LETTER_FIRST_GIVENNAME
    birth_date: IncompleteDate | None = field(default=None, repr=False)
    """Zero parts match every month or day."""
    gender: Gender = field(default=Gender.UNKNOWN, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPersonBySsin:
    """The files of these numbers, with those that replace them."""

    information_customer: InformationCustomer
    legal_context: LegalContext
    ssins: tuple[str, ...] = field(repr=False)
    """1 to `SSINS_MAX`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPersonPhonetically:
    """The files of persons whose names sound like these: at most `CANDIDATES_MAX`."""

    information_customer: InformationCustomer
    legal_context: LegalContext
    criteria: PhoneticCriteria


PersonRequest = SearchPersonBySsin | SearchPersonPhonetically
"""What the National Register is asked."""
