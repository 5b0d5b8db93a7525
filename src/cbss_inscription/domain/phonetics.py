"""How a last name sounds, for finding persons, never for validating them (rules 22, 43).

The National Register's own rules of phonetisation are not published. Ours [D]: Belgian spellings are evened out first
(Dutch and French ones, old and new), then Metaphone takes the skeleton of consonants.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from jellyfish import metaphone

from cbss_inscription.domain.person_search import GivenNameMode

KEY_CHARACTERS_MAX: Final = 32
"""Characters of a key: names that sound alike that far are alike."""
NAMES_REMEMBERED_MAX: Final = 16_384
"""Names whose key is remembered: a population of millions has few different ones."""

# Letters that carry their diacritic in themselves: no Unicode decomposition takes it off.
_LETTERS: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ŧ": "t"}
)
_NO_LATIN_LETTER: Final = re.compile(r"[^a-z]+")
_DOUBLE: Final = re.compile(r"([a-z])\1+")
# One pass, the first alternative that fits wins; the longer spellings stand first.
_SPELLINGS: Final = {
    "chr": "kr",  # Christiaens
    "tia": "ta",  # Metaphone would hear an English "sh" here
    "tio": "to",
    "sia": "sa",
    "sio": "so",
    "cia": "sa",
    "cio": "so",
    "cqu": "k",  # Jacquemin
    "ckx": "ks",  # Hendrickx, Dierckx
    "sch": "sk",  # Schepens
    "cht": "kt",  # Lambrecht, Lambregt
    "ght": "kt",
    "bvr": "vr",  # Lefebvre
    "ck": "k",
    "cq": "k",  # Declercq
    "cx": "ks",  # Hendricx
    "ch": "sh",  # as in French; at the end as in Dutch, below
    "ce": "se",
    "ci": "si",
    "cy": "si",
    "qu": "k",
    "gh": "k",  # Verhaeghe; g is the same sound to us, hard or soft
    "th": "t",  # Thijs; Metaphone would hear the English sound
    "dt": "t",  # De Smedt
    "ij": "i",
    "ae": "a",  # Claes
    "ue": "u",
    "c": "k",
    "q": "k",
    "g": "k",
    "x": "ks",
    "z": "s",
    "y": "i",
}
_SPELLING: Final = re.compile("|".join(_SPELLINGS))
# The first letter of these is silent in English, but not here: Knops, Gnat.
_BEGINNING: Final = re.compile(r"^[ckg]n")
# What is not heard at the end of a name, or is heard otherwise there.
_ENDINGS: Final = {
    "ault": "aut",  # Thibault
    "aulx": "au",
    "aux": "au",  # Devaux
    "eux": "eu",
    "oux": "ou",  # Leroux
    "sch": "s",  # Bosch
    "ch": "k",  # Van den Bergh, Van Den Berch
    "dts": "ts",
    "ds": "ts",  # Smeds, Smets
    "d": "t",  # Dupond
}
_ENDING: Final = re.compile(f"(?:{'|'.join(_ENDINGS)})$")


def bare_letters(text: str) -> str:
    """The text without case and without diacritics (rule 43); blanks and all that is no letter stay as they are."""
    if text.isascii():  # has no diacritics, as most names
        return text.lower()
    decomposed = unicodedata.normalize("NFD", text.casefold())
    bare = "".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn")
    return bare.translate(_LETTERS)


@lru_cache(maxsize=NAMES_REMEMBERED_MAX)
def phonetic_key(name: str) -> str:
    """The key that names which sound alike share: at most KEY_CHARACTERS_MAX characters; for every text, never raising.

    Blanks, hyphens and apostrophes do not count, so particles are part of the name however they are written: Van den
    Berghe is Vandenberghe. A name without any Latin letter is its own key, without case; one without any letter or
    digit has the empty key.
    """
    bare = bare_letters(unicodedata.normalize("NFKC", name).casefold().replace("ç", "s"))
    letters = _NO_LATIN_LETTER.sub("", bare)
    if not letters:
        return "".join(filter(str.isalnum, bare))[:KEY_CHARACTERS_MAX].upper()
    # Doubled letters before and after: Dutch doubles for the vowel's sake, and "ckk", "gghe" become doubled by this.
    spelled = _DOUBLE.sub(r"\1", letters)
    spelled = _ENDING.sub(_heard_at_the_end, _BEGINNING.sub("ken", spelled))
    spelled = _DOUBLE.sub(r"\1", _SPELLING.sub(_heard, spelled))
    # A name of letters that Metaphone does not hear is its own key.
    return (metaphone(spelled).replace(" ", "") or spelled.upper())[:KEY_CHARACTERS_MAX]


def given_names_alike(asked: Sequence[str], known: Sequence[str], mode: GivenNameMode) -> bool:
    """Whether the given names of a file may be those of the person looked for, as `mode` compares them.

    What is not asked or not known excludes nobody: under ALL_GIVENNAME only as many names as both have are compared.
    """
    match mode:
        case GivenNameMode.IGNORE_GIVENNAME:
            return True
        case GivenNameMode.FIRST_LETTER_FIRST_GIVENNAME:
            pairs = [
                (_first_letter(first), _first_letter(other)) for first, other in zip(asked[:1], known, strict=False)
            ]
        case GivenNameMode.COMPLETE_FIRST_GIVENNAME:
            pairs = [(phonetic_key(first), phonetic_key(other)) for first, other in zip(asked[:1], known, strict=False)]
        case GivenNameMode.ALL_GIVENNAME:
            pairs = [(phonetic_key(first), phonetic_key(other)) for first, other in zip(asked, known, strict=False)]
    return all(not first or not other or first == other for first, other in pairs)


def _first_letter(name: str) -> str:
    return next(filter(str.isalnum, bare_letters(name)), "")


def _heard(spelling: re.Match[str]) -> str:
    return _SPELLINGS[spelling[0]]


def _heard_at_the_end(spelling: re.Match[str]) -> str:
    return _ENDINGS[spelling[0]]
