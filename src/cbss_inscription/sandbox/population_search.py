"""The words by which persons of a population are searched: `RAD, deceased, incomplete birth date` [D]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from types import MappingProxyType
from typing import Final

from cbss_inscription.domain.customer import CustomerIdentification, InvalidCustomer
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.inscription import InscriptionContext, InvalidInscriptionContext
from cbss_inscription.domain.legal_data import FileStatus, Gender, Register
from cbss_inscription.storage.population import FoundPerson, PersonCriteria

MANY_GIVEN_NAMES_MIN: Final = 3
"""Given names from which on they are many."""
MAJORITY_YEARS: Final = 18
"""Who is younger is a minor."""
WORDS_LENGTH_MAX: Final = 1_000
"""Characters of a search."""

WORDS: Final[Mapping[str, PersonCriteria]] = MappingProxyType(
    {
        "nr": PersonCriteria(register=Register.NR),
        "bis": PersonCriteria(register=Register.BIS),
        "rad": PersonCriteria(register=Register.RAD),
        "active": PersonCriteria(status=FileStatus.ACTIVE),
        "canceled": PersonCriteria(status=FileStatus.CANCELED),
        "replaced": PersonCriteria(status=FileStatus.REPLACED),
        "replaced chain": PersonCriteria(status=FileStatus.REPLACED, successor_status=FileStatus.REPLACED),
        "replaced by canceled": PersonCriteria(status=FileStatus.REPLACED, successor_status=FileStatus.CANCELED),
        "replaces another": PersonCriteria(replaces_another=True),
        "alive": PersonCriteria(is_deceased=False),
        "deceased": PersonCriteria(is_deceased=True),
        "incomplete decease date": PersonCriteria(is_deceased=True, has_incomplete_decease_date=True),
        "complete birth date": PersonCriteria(has_birth_date=True, has_complete_birth_date=True),
        "incomplete birth date": PersonCriteria(has_birth_date=True, has_complete_birth_date=False),
        "no birth date": PersonCriteria(has_birth_date=False),
        "man": PersonCriteria(gender=Gender.MALE),
        "woman": PersonCriteria(gender=Gender.FEMALE),
        "sex unknown": PersonCriteria(gender=Gender.UNKNOWN),
        "no given names": PersonCriteria(given_names_max=0),
        "many given names": PersonCriteria(given_names_min=MANY_GIVEN_NAMES_MIN),
        "accents": PersonCriteria(has_accents=True),
        "with inscriptions": PersonCriteria(has_inscriptions=True),
        "without inscriptions": PersonCriteria(has_inscriptions=False),
    }
)
"""What each word asks for, in lower case."""
MINOR: Final = "minor"
"""The word for whoever is not of age today."""
KNOWN_TO: Final = "known to"
"""Followed by an organisation's key (`17/1`, `9000000290`): it has a line."""
IN_CONTEXT: Final = "in context"
"""Followed by an inscription context: somebody has a line in it; with KNOWN_TO, that organisation."""
_KNOWN_WORDS: Final = (*WORDS, MINOR, f"{KNOWN_TO} <organisation>", f"{IN_CONTEXT} <CONTEXT>")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSearch:
    """A search as it was asked for."""

    words: tuple[str, ...]
    """The words, as this module spells them."""
    criteria: PersonCriteria

    def reasons(self, found: FoundPerson) -> tuple[str, ...]:
        """Why a person was found: each word, with what its file says of it."""
        return tuple(_reason(word, found) for word in self.words)


def parse_search(text: str, *, today: date) -> PersonSearch:
    """The search that the words ask for: separated by commas, in any order, whatever their case.

    Raises `UsageError` for a word that is not known (it lists those that are), for none at all, and for words of which
    one excludes another.
    """
    if len(text) > WORDS_LENGTH_MAX:
        raise UsageError(f"a search has at most {WORDS_LENGTH_MAX} characters")
    criteria, words = PersonCriteria(), []
    for given in text.split(","):
        typed = " ".join(given.split())
        if not typed:
            continue
        word, asked = _criteria_of(typed, today)
        criteria = _both(criteria, asked, word)
        words.append(word)
    if not words:
        raise UsageError(f"nothing to search for; the words are: {', '.join(_KNOWN_WORDS)}")
    return PersonSearch(words=tuple(words), criteria=criteria)


def _criteria_of(typed: str, today: date) -> tuple[str, PersonCriteria]:
    word = typed.lower()
    if word in WORDS:
        return word, WORDS[word]
    if word == MINOR:
        # Eighteen years before a leap year there was none.
        day = today if (today.month, today.day) != (2, 29) else today.replace(day=28)
        return word, PersonCriteria(born_after=day.replace(year=today.year - MAJORITY_YEARS))
    if word.startswith(f"{KNOWN_TO} "):
        key = _customer_key(typed[len(KNOWN_TO) :].strip())
        return f"{KNOWN_TO} {key}", PersonCriteria(customer=key)
    if word.startswith(f"{IN_CONTEXT} "):
        try:
            context = InscriptionContext(typed[len(IN_CONTEXT) :].strip())
        except InvalidInscriptionContext as error:
            raise UsageError(f"what follows '{IN_CONTEXT}' is {error}") from error
        return f"{IN_CONTEXT} {context}", PersonCriteria(inscription_context=str(context))
    raise UsageError(f"'{typed}' is not a word of a search; the words are: {', '.join(_KNOWN_WORDS)}")


def _customer_key(text: str) -> str:
    sector, slash, institution = text.partition("/")
    try:
        if slash:
            return CustomerIdentification(sector=int(sector), institution=int(institution)).key
        return CustomerIdentification(cbe_number=text).key
    except (InvalidCustomer, ValueError):
        raise UsageError(
            f"what follows '{KNOWN_TO}' is no organisation: 17/1 (sector/institution), or a CBE number of 10 digits"
        ) from None


def _both(former: PersonCriteria, asked: PersonCriteria, word: str) -> PersonCriteria:
    changed = {}
    for field in fields(asked):
        value, other = getattr(asked, field.name), getattr(former, field.name)
        if value is None:
            continue
        if other is not None and other != value:
            raise UsageError(f"'{word}' and what was asked before exclude each other")
        changed[field.name] = value
    both = replace(former, **changed)
    if both.given_names_max is not None and both.given_names_min is not None:
        raise UsageError(f"'{word}' and what was asked before exclude each other")
    return both


def _reason(word: str, found: FoundPerson) -> str:
    person = found.person
    facts: dict[str, Callable[[], str]] = {
        "deceased": lambda: f"deceased {person.decease_date}",
        "incomplete decease date": lambda: f"decease date {person.decease_date}",
        "complete birth date": lambda: f"birth date {person.birth_date}",
        "incomplete birth date": lambda: f"birth date {person.birth_date}",
        MINOR: lambda: f"born {person.birth_date}",
        "replaced": lambda: f"replaced by {_digits_of_successor(found)}",
        "replaced chain": lambda: f"replaced by {_digits_of_successor(found)}, which is replaced",
        "replaced by canceled": lambda: f"replaced by {_digits_of_successor(found)}, which is canceled",
        "many given names": lambda: f"{len(person.given_names)} given names",
        "with inscriptions": lambda: f"{found.line_count} lines",
    }
    return facts[word]() if word in facts else word


def _digits_of_successor(found: FoundPerson) -> str:
    successor = found.person.replaced_by
    return successor.digits if successor is not None else ""
