"""The report's words: every language has all of them, with the same places to fill in (rule 53)."""

from __future__ import annotations

import string

import msgspec
import pytest

from cbss_inscription.disclosure.choices import Language
from cbss_inscription.disclosure.texts import Texts, catalogue
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.outcome_codes import LANGUAGES
from cbss_inscription.governance.disclosure import Deed, NotDisclosed


def places(text: str) -> set[str]:
    """The names between braces."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_rule_53_the_languages_are_those_of_the_outcomes() -> None:
    """Every language of the outcome catalogue has its texts, and no other (rule 53)."""
    assert set(catalogue()) == set(Language)
    assert {language.value for language in Language} == set(LANGUAGES)


@pytest.mark.parametrize("language", Language)
def test_rule_53_every_language_is_complete(language: Language) -> None:
    """No text is empty or is another language's, and what is filled in has its place in each (rule 53)."""
    texts, english = catalogue()[language], catalogue()[Language.EN]
    for name in Texts.__struct_fields__:
        told, in_english = getattr(texts, name), getattr(english, name)
        if isinstance(told, dict):
            continue
        assert told.strip() == told != ""
        assert places(told) == places(in_english)
        if language is not Language.EN and len(told) > 30:
            assert told != in_english
    assert set(texts.deeds) == {deed.value for deed in Deed}
    assert set(texts.events) == {event.value for event in LifeEvent}
    assert all((*texts.deeds.values(), *texts.events.values()))


def test_a_catalogue_that_lacks_a_text_is_refused() -> None:
    """A language without one of the texts, or with one too many, is an error when it is read."""
    whole = msgspec.to_builtins(catalogue()[Language.NL])
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({name: text for name, text in whole.items() if name != "title"}, Texts)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(whole | {"titel": "x"}, Texts)


def test_rule_53_what_is_not_disclosed_names_something_and_says_why() -> None:
    """An entry without permission and context would withhold nothing, one without a reason is none (rule 53)."""
    with pytest.raises(ValueError, match="names no permission"):
        NotDisclosed(reason="x")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"permissions": ["KSZ-1"]}, NotDisclosed)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"permissions": ["KSZ-1"], "reason": ""}, NotDisclosed)
