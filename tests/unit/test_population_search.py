"""The words of a search in a population."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import FileStatus, Register
from cbss_inscription.sandbox.population_search import WORDS, parse_search
from cbss_inscription.storage.population import PersonCriteria

TODAY = date(2028, 2, 29)


@given(order=st.permutations(["RAD", "deceased", "incomplete birth date", "known to 17/01"]), upper=st.booleans())
def test_words_count_in_any_order_and_case(order: list[str], upper: bool) -> None:
    """Commas separate the words; neither their order, nor case, nor blanks matter."""
    text = " ,  ".join(order)
    asked = parse_search(text.upper() if upper else text, today=TODAY)

    assert asked.criteria == PersonCriteria(
        register=Register.RAD, is_deceased=True, has_birth_date=True, has_complete_birth_date=False, customer="17/1"
    )
    assert sorted(asked.words) == ["deceased", "incomplete birth date", "known to 17/1", "rad"]


@pytest.mark.parametrize("word", WORDS)
def test_every_word_asks_for_something(word: str) -> None:
    """Each word of the list stands for a property."""
    assert parse_search(word, today=TODAY).criteria == WORDS[word] != PersonCriteria()


def test_contexts_keep_their_case_and_minors_their_birthday() -> None:
    """`in context` takes the context as it is written; `minor` is whoever was born within eighteen years."""
    asked = parse_search("in context PCSA:LIVING_WAGE, minor, replaced, replaced chain", today=TODAY).criteria

    assert asked.inscription_context == "PCSA:LIVING_WAGE"
    assert asked.born_after == date(2010, 2, 28)
    assert (asked.status, asked.successor_status) == (FileStatus.REPLACED, FileStatus.REPLACED)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("RAD, tall", r"'tall' is not a word .*: nr, bis, rad, .*minor, known to <organisation>, in context <CONTEXT>"),
        ("", "nothing to search for"),
        (" , ", "nothing to search for"),
        ("NR, BIS", "'bis' and what was asked before exclude each other"),
        ("deceased, alive", "exclude each other"),
        ("no given names, many given names", "exclude each other"),
        ("known to me", "known to"),
        ("known to 17/x", "known to"),
        ("known to 123", "known to"),
        ("in context ?", "in context"),
        ("x" * 1_001, "at most 1000 characters"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(text: str, sentence: str) -> None:
    """An unknown word lists the known ones; nothing, and words that exclude each other, are refused."""
    with pytest.raises(UsageError, match=sentence):
        parse_search(text, today=TODAY)
