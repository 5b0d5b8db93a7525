"""Whether given legal data are the register's: rules 39 to 47.

Every given field is compared, always, so that neither the answer's wording nor its time tells more than which fields
disagree (rules 42, 47). Phonetic likeness never counts (rule 43).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from cbss_inscription.domain.legal_data import Gender, LegalData, Person
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.phonetics import bare_letters


class Verdict(StrEnum):
    """What came of comparing one given field."""

    MATCH = "match"
    PARTIAL = "partial"
    """What the register knows agrees, but it knows only a part (rule 45)."""
    NOT_VERIFIABLE = "not_verifiable"
    """The register lacks the datum (E8, rule 46)."""
    MISMATCH = "mismatch"


class FieldVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One given field, by its name in the contract, and what came of comparing it."""

    field_name: str
    verdict: Verdict


def compare(given: LegalData, person: Person, *, fold: Callable[[str], str]) -> tuple[FieldVerdict, ...]:
    """One verdict for every given field, in the order of the contract; absent fields are not compared (rule 40).

    `fold` evens out spelling before names are compared: `fold_exact` or `fold_strict`.
    """
    verdicts: list[FieldVerdict] = []
    if given.last_name is not None:
        same = fold(given.last_name) == fold(person.last_name)
        verdicts.append(FieldVerdict(field_name="lastName", verdict=_verdict(same=same)))
    if given.given_names:
        verdicts.append(FieldVerdict(field_name="givenName", verdict=_given_names(given, person, fold)))
    if given.birth_date is not None:
        verdicts.append(FieldVerdict(field_name="birthDate", verdict=_birth_date(given.birth_date, person.birth_date)))
    if given.gender is not None:
        verdicts.append(FieldVerdict(field_name="genderCode", verdict=_gender(given.gender, person.gender)))
    return tuple(verdicts)


def fold_strict(name: str) -> str:
    """The name in NFC with single blanks: the strict profile."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def fold_exact(name: str) -> str:
    """The name in NFC with single blanks, without case and without diacritics: the exact profile (rule 43)."""
    # Blanks once more: a mark that stood alone between two of them is gone now.
    return " ".join(bare_letters(fold_strict(name)).split())


def _verdict(*, same: bool) -> Verdict:
    return Verdict.MATCH if same else Verdict.MISMATCH


def _given_names(given: LegalData, person: Person, fold: Callable[[str], str]) -> Verdict:
    # Rule 44: the first must match; further ones only if supplied, as the beginning of the register's sequence.
    if not person.given_names:
        return Verdict.NOT_VERIFIABLE
    asked = _folded(given.given_names, fold)
    known = _folded(person.given_names, fold)
    return _verdict(same=known[: len(asked)] == asked)


def _folded(names: Sequence[str], fold: Callable[[str], str]) -> list[str]:
    return [fold(name) for name in names]


def _birth_date(given: IncompleteDate, known: IncompleteDate | None) -> Verdict:
    # Rule 45: exact with its zero parts; a complete date against an incomplete one matches only the known parts.
    if known is None:
        return Verdict.NOT_VERIFIABLE
    if given == known:
        return Verdict.MATCH
    if given.is_complete and not known.is_complete:
        parts_agree = known.year == given.year and known.month in {0, given.month}
        return Verdict.PARTIAL if parts_agree else Verdict.MISMATCH
    return Verdict.MISMATCH


def _gender(given: Gender, known: Gender) -> Verdict:
    # Rule 46: an unknown sex in the register verifies nothing and refuses nothing. Nor does a caller who says that it
    # does not know: genderCode 0 is no statement about the person that could be wrong [D].
    if Gender.UNKNOWN in (given, known):
        return Verdict.NOT_VERIFIABLE
    return _verdict(same=given == known)
