"""Inscription contexts and legal contexts: their patterns (CommonV3) and the catalogue of known ones (rules 28, 29)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.inscription import InscriptionContext, InvalidInscriptionContext
from cbss_inscription.domain.inscription_contexts import (
    KNOWN_CONTEXTS,
    QUALITY_DEFINITIVE,
    QUALITY_PROVISIONAL,
    SECTOR_FAMILY_ALLOWANCES,
    SECTOR_PCSA,
)
from cbss_inscription.domain.legal_context import InvalidLegalContext, LegalContext
from cbss_inscription.domain.outcome_codes import LANGUAGES

FOR_EVERY_SECTOR = {QUALITY_DEFINITIVE, QUALITY_PROVISIONAL}


def quality_codes(sector: int) -> set[int]:
    return {entry.quality_code for entry in KNOWN_CONTEXTS.values() if entry.sector == sector} - FOR_EVERY_SECTOR


@given(st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_:+ ]{0,62}[a-zA-Z0-9_:+]", fullmatch=True))
def test_rule_28_every_text_of_the_schemas_pattern_is_a_context(text: str) -> None:
    """A text of CommonV3's InscriptionContextType is accepted, and stays the text it was (rule 28)."""
    assert InscriptionContext(text) == text
    assert LegalContext(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        " AB",
        "AB ",
        "_AB",
        ":AB",
        "A" * 65,
        "A\u00c9B",
        "AB\n",
        "A\tB",
        "A/B",
        "A.B",
        "A,B",
        "<AB>",
        "\u0661\u0662",
    ],
)
def test_rules_28_48_every_other_text_is_refused(text: str) -> None:
    """Fewer than 2 or more than 64 characters, a wrong first or last one, or a foreign one: refused (rules 28, 48)."""
    with pytest.raises(InvalidInscriptionContext):
        InscriptionContext(text)
    with pytest.raises(InvalidLegalContext):
        LegalContext(text)


@pytest.mark.parametrize("text", ["A-B", "AB-", "PCSA:SOCIAL-INQUIRY"])
def test_rule_48_only_a_legal_context_may_hold_a_hyphen(text: str) -> None:
    """The hyphen is allowed in a legal context and refused in an inscription context (CommonV3, rules 28 and 48)."""
    assert LegalContext(text) == text
    with pytest.raises(InvalidInscriptionContext):
        InscriptionContext(text)


@pytest.mark.parametrize("text", ["AB", "A" * 64])
def test_rule_28_the_limits_belong_to_the_contexts(text: str) -> None:
    """2 and 64 characters are accepted (rule 28)."""
    assert str(InscriptionContext(text)) == str(LegalContext(text)) == text


def test_rule_28_every_known_context_stands_under_its_own_name() -> None:
    """The catalogue finds each entry by its name, a sector and a quality in capitals (rule 28)."""
    for name, entry in KNOWN_CONTEXTS.items():
        assert entry.context == name
        assert isinstance(name, InscriptionContext)
        assert re.fullmatch(r"[A-Z]+(?:_[A-Z0-9]+)*:[A-Z]+(?:_[A-Z0-9]+)*", name)


def test_rule_28_a_sector_and_a_quality_code_have_one_context() -> None:
    """No two contexts stand for the same former quality code of a sector, and a sector has one prefix (rule 28)."""
    entries = KNOWN_CONTEXTS.values()
    assert len({(entry.sector, entry.quality_code) for entry in entries}) == len(entries)
    prefixes = {(entry.sector, entry.context.partition(":")[0]) for entry in entries}
    assert len(prefixes) == len({sector for sector, _ in prefixes}) == len({prefix for _, prefix in prefixes})


def test_rule_28_every_attested_quality_code_of_the_pcsa_is_known() -> None:
    """Sector 17 has all of its fourteen attested qualities (domain.md 3.2)."""
    assert quality_codes(SECTOR_PCSA) == {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 20, 21, 40}


def test_rule_28_every_attested_quality_code_of_family_allowances_is_known() -> None:
    """Sector 7 has all of its seven attested qualities (domain.md 3.2)."""
    assert quality_codes(SECTOR_FAMILY_ALLOWANCES) == {101, 102, 103, 104, 105, 106, 107}


def test_rule_29_every_sector_has_a_definitive_and_a_provisional_context() -> None:
    """Each sector has the two codes that mean the same everywhere: 000 definitive and 902 provisional (rule 29)."""
    for sector in {entry.sector for entry in KNOWN_CONTEXTS.values()}:
        codes = {entry.quality_code for entry in KNOWN_CONTEXTS.values() if entry.sector == sector}
        assert codes >= FOR_EVERY_SECTOR


def test_rule_29_the_code_of_replaced_numbers_is_no_context() -> None:
    """999 is set by the system only, so nobody can ask for it; all other codes are significant ones (rule 29)."""
    for entry in KNOWN_CONTEXTS.values():
        assert entry.quality_code != 999
        assert entry.quality_code in FOR_EVERY_SECTOR or 1 <= entry.quality_code <= 900
        assert 0 <= entry.sector <= 999


def test_every_known_context_has_a_label_in_four_languages() -> None:
    """Each context has a label in each language, and within a sector no two contexts share a label."""
    for entry in KNOWN_CONTEXTS.values():
        assert tuple(entry.labels) == LANGUAGES
        assert all(label == label.strip() != "" for label in entry.labels.values())
    for language in LANGUAGES:
        labels = [(entry.sector, entry.labels[language]) for entry in KNOWN_CONTEXTS.values()]
        assert len(set(labels)) == len(labels)
