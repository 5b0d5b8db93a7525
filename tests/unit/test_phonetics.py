"""Names that sound alike share a key, others do not, and every text has one (rules 22, 43)."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.person_search import GivenNameMode
from cbss_inscription.domain.phonetics import KEY_CHARACTERS_MAX, given_names_alike, phonetic_key
from cbss_inscription.sandbox.person_names import COMMUNITIES

ALIKE = [
    (
        "Vandenberghe",
        "Van den Berghe",
        "Van den Berge",
        "Vandenberg",
        "Van Den Bergh",
        "VANDENBERGHE",
        "van-den-berghe",
    ),
    ("Janssens", "Jansens", "JANSSENS"),
    ("Dupont", "Dupond", "Du Pont", "du-pond"),
    ("Lefebvre", "Lefèvre", "Lefevre", "Le Febvre"),
    ("Declercq", "De Clerck", "De Clercq", "Declerck", "De Klerk"),
    ("Claes", "Klaas", "Klaes", "Claeys"),
    ("D'Hondt", "Dhondt", "D’Hondt", "Dhont", "D' Hont"),
    ("De Smedt", "Desmet", "De Smet", "Desmedt"),
    ("Hendrickx", "Hendricks", "Hendriks", "Hendrikx"),
    ("Dierckx", "Dirks", "Dierks"),
    ("Peeters", "Peters", "Pieters"),
    ("Lambrecht", "Lambregt"),
    ("Thibault", "Thibaut", "Tibaut"),
    ("Maes", "Maas"),
    ("Müller", "Muller", "Mueller", "Mu\u0308ller"),
    ("François", "FRANÇOIS", "Franc\u0327ois"),
    ("Jacquemin", "Jaquemin"),
    ("Verhaeghe", "Verhaege"),
    ("Thijs", "Thys", "Tijs"),
    ("Wouters", "Wauters"),
    ("Goossens", "Goosens", "Gossens"),
    ("Christiaens", "Kristiaens"),
    ("De Cock", "De Kock", "Decocq"),
    ("Van de Velde", "Vandevelde", "Van De Velde"),
    ("Devaux", "Devau", "De Vaux"),
    ("Øzdemir", "Ozdemir"),
    ("Łukasz", "Lukasz"),
    ("Иванов", "ИВАНОВ"),
]

UNLIKE = [
    "Peeters",
    "Janssens",
    "Maes",
    "Jacobs",
    "Mertens",
    "Willems",
    "Claes",
    "Goossens",
    "Wouters",
    "De Smet",
    "Dubois",
    "Lambert",
    "Dupont",
    "Martin",
    "Simon",
    "Leroy",
    "Vermeulen",
    "Van den Berghe",
    "Lefebvre",
    "Declercq",
    "Knops",
    "Nops",
    "Иванов",
    "Петров",
    "李",
    "王",
]


@pytest.mark.parametrize("names", ALIKE, ids=lambda names: names[0])
def test_rule_22_spellings_of_one_name_share_a_key(names: tuple[str, ...]) -> None:
    """Dutch and French spellings, particles joined or apart, case and diacritics: one key (rule 22)."""
    assert len({phonetic_key(name) for name in names}) == 1


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(UNLIKE, 2)))
def test_rule_22_different_names_have_different_keys(one: str, other: str) -> None:
    """Names that nobody confuses have different keys, or a search would find everybody."""
    assert phonetic_key(one) != phonetic_key(other)


def test_rule_22_a_key_is_selective() -> None:
    """Among the common names of a population no key is shared by more than a handful of them."""
    names = {name for community in COMMUNITIES.values() for name in community.last_names}
    by_key = [len(list(group)) for _, group in itertools.groupby(sorted(map(phonetic_key, names)))]
    assert max(by_key) <= 6
    assert len(by_key) > 0.8 * len(names)


@given(st.text(max_size=300))
def test_every_text_has_a_key(name: str) -> None:
    """The key is made for any text, never raises, is bounded, and fits a database's text."""
    key = phonetic_key(name)
    assert len(key) <= KEY_CHARACTERS_MAX
    assert "\0" not in key
    key.encode()
    assert key.isalnum() or key == ""


@given(st.text(st.characters(categories=["Cs", "Cc", "Co", "Mn", "Nd"]), max_size=20))
def test_texts_without_letters_have_a_key(name: str) -> None:
    """Lone surrogates, controls, marks and digits raise nothing."""
    assert phonetic_key(name) is not None


LATIN = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzéèêëïöüçñ '-ABCDEFGHIJKLMNOPQRSTUVWXYZ"), max_size=40)


@given(LATIN)
def test_case_blanks_and_normal_form_do_not_count(name: str) -> None:
    """Upper case, blanks, hyphens, apostrophes and decomposed letters leave the key as it is."""
    key = phonetic_key(name)
    assert phonetic_key(name.upper()) == key
    assert phonetic_key(unicodedata.normalize("NFD", name)) == key
    assert phonetic_key(f"  {name.replace(' ', '-')}' ") == key


@pytest.mark.parametrize("name", ["", " ", "-", "'", "\0", "…"])
def test_a_name_of_nothing_has_the_empty_key(name: str) -> None:
    """A text without letter and digit has the empty key."""
    assert phonetic_key(name) == ""


@pytest.mark.parametrize("name", ["A", "h", "w", "y", "É", "'t", "O"])
def test_a_name_of_one_letter_has_a_key_of_its_own(name: str) -> None:
    """The shortest names are found too."""
    assert phonetic_key(name) != ""


MODES = GivenNameMode


@pytest.mark.parametrize(
    ("asked", "known", "alike_in"),
    [
        (("Jan",), ("Jan",), set(MODES)),
        (("Jan",), ("Johan",), {MODES.IGNORE_GIVENNAME, MODES.FIRST_LETTER_FIRST_GIVENNAME}),
        (("Jan",), ("Piet", "Jan"), {MODES.IGNORE_GIVENNAME}),
        (("Eric",), ("Érik",), set(MODES)),
        (("Jan", "Piet"), ("Jan",), set(MODES)),
        (("Jan",), ("Jan", "Piet"), set(MODES)),
        (("Jan", "Piet"), ("Jan", "Karel"), set(MODES) - {MODES.ALL_GIVENNAME}),
        (("Jan",), (), set(MODES)),
        ((), ("Jan",), set(MODES)),
        (("",), ("Jan",), set(MODES)),
        (("Иван",), ("иван",), set(MODES)),
    ],
)
def test_given_names_are_compared_as_the_mode_says(
    asked: tuple[str, ...], known: tuple[str, ...], alike_in: set[GivenNameMode]
) -> None:
    """Each mode compares as much of the given names as it says; what is not known excludes nobody (rule 22)."""
    assert {mode for mode in MODES if given_names_alike(asked, known, mode)} == alike_in
