"""Whether given legal data are the register's: rules 39 to 47 of the rulebook."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import product
from typing import Literal

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from cbss_inscription.domain.legal_data import FileStatus, Gender, LegalData, Person, Register
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.registers.matching import FieldVerdict, Verdict, compare, fold_exact, fold_strict

Fold = Callable[[str], str]
PROFILES = (fold_exact, fold_strict)
NAMES = ("lastName", "givenName")

PERSON = Person(
    ssin=Ssin.parse("85073003328"),
    register=Register.NR,
    status=FileStatus.ACTIVE,
    last_name="De Bäcker",
    given_names=("Anna", "Maria", "José"),
    birth_date=IncompleteDate(1985, 7, 30),
    gender=Gender.FEMALE,
)

# Letters of names in Latin script as the registers may hold them, with and without diacritics, and what is no letter.
LETTERS = st.characters(categories=["Lu", "Ll", "Lt"], max_codepoint=0x24F) | st.sampled_from("-' ẞ")
NAME = st.text(LETTERS, min_size=1, max_size=20).filter(lambda name: bool(name.strip()))
ASCII_NAME = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
# U+0345 is left out: case folding turns it into a letter, the Greek iota.
MARKS = st.characters(min_codepoint=0x300, max_codepoint=0x36F, categories=["Mn"], exclude_characters="\u0345")


@st.composite
def incomplete_dates(draw: st.DrawFn) -> IncompleteDate:
    year = draw(st.integers(1900, 2030))
    month = draw(st.integers(0, 12))
    return IncompleteDate(year, month, draw(st.integers(0, 28)) if month else 0)


PERSONS = st.builds(
    Person,
    ssin=st.just(PERSON.ssin),
    register=st.sampled_from([Register.NR, Register.RAD]),
    status=st.just(FileStatus.ACTIVE),
    last_name=NAME,
    given_names=st.lists(NAME, max_size=4).map(tuple),
    birth_date=st.none() | incomplete_dates(),
    gender=st.sampled_from(Gender),
)
GIVEN = st.builds(
    LegalData,
    last_name=st.none() | NAME,
    given_names=st.lists(NAME, max_size=4).map(tuple),
    birth_date=st.none() | incomplete_dates(),
    gender=st.none() | st.sampled_from(Gender),
)


def verdicts_of(data: LegalData, person: Person = PERSON, fold: Fold = fold_exact) -> dict[str, Verdict]:
    return {verdict.field_name: verdict.verdict for verdict in compare(data, person, fold=fold)}


def verdict_of_name(asked: str, known: str, fold: Fold = fold_exact) -> Verdict:
    as_last = verdicts_of(LegalData(last_name=asked), replace(PERSON, last_name=known), fold)["lastName"]
    as_given = verdicts_of(LegalData(given_names=(asked,)), replace(PERSON, given_names=(known,)), fold)["givenName"]
    assert as_last is as_given
    return as_last


def verdict_of_birth(asked: IncompleteDate, known: IncompleteDate | None) -> Verdict:
    return verdicts_of(LegalData(birth_date=asked), replace(PERSON, birth_date=known))["birthDate"]


# -- rules 39 to 42: which fields, and all of them -------------------------------------------------------------------


def test_rule_39_four_data_may_be_given_under_the_names_of_the_contract() -> None:
    """Last name, given names, birth date and sex are compared, in the order of the contract (rule 39)."""
    everything = LegalData(
        last_name="De Bäcker",
        given_names=("Anna",),
        birth_date=IncompleteDate(1985, 7, 30),
        gender=Gender.FEMALE,
    )
    assert [(verdict.field_name, verdict.verdict) for verdict in compare(everything, PERSON, fold=fold_exact)] == [
        ("lastName", Verdict.MATCH),
        ("givenName", Verdict.MATCH),
        ("birthDate", Verdict.MATCH),
        ("genderCode", Verdict.MATCH),
    ]


@given(data=GIVEN, person=PERSONS)
def test_rule_40_only_given_fields_are_compared(data: LegalData, person: Person) -> None:
    """Each field that is given gets one verdict, each that is absent none (rule 40)."""
    expected = [
        name
        for name, is_given in (
            ("lastName", data.last_name is not None),
            ("givenName", bool(data.given_names)),
            ("birthDate", data.birth_date is not None),
            ("genderCode", data.gender is not None),
        )
        if is_given
    ]
    assert [verdict.field_name for verdict in compare(data, person, fold=fold_exact)] == expected


@pytest.mark.parametrize("wrong", list(product([False, True], repeat=4)))
def test_rules_41_and_42_every_disagreeing_field_is_a_mismatch(wrong: tuple[bool, bool, bool, bool]) -> None:
    """Any field that disagrees is a mismatch, whatever the others say, and all of them are told (rules 41, 42)."""
    last_name, given_name, birth_date, gender = wrong
    data = LegalData(
        last_name="Peeters" if last_name else "De Bäcker",
        given_names=("Jan",) if given_name else ("Anna",),
        birth_date=IncompleteDate(1985, 7, 31 if birth_date else 30),
        gender=Gender.MALE if gender else Gender.FEMALE,
    )
    verdicts = tuple(verdicts_of(data).values())
    assert tuple(verdict is Verdict.MISMATCH for verdict in verdicts) == wrong


@pytest.mark.parametrize("profile", PROFILES)
def test_rules_42_and_47_every_given_name_is_compared_whatever_disagrees_before(profile: Fold) -> None:
    """No field is skipped because another disagreed: what is folded does not depend on what agrees (42, 47)."""

    def folded_for(data: LegalData) -> list[str]:
        names: list[str] = []

        def fold(name: str) -> str:
            names.append(name)
            return profile(name)

        compare(data, PERSON, fold=fold)
        return names

    right = LegalData(last_name="De Bäcker", given_names=("Anna", "Maria"), birth_date=IncompleteDate(1985, 7, 30))
    wrong = LegalData(last_name="Peeters", given_names=("Jan", "Piet"), birth_date=IncompleteDate(1999, 1, 1))
    of_right, of_wrong = folded_for(right), folded_for(wrong)
    assert of_right == ["De Bäcker", "De Bäcker", "Anna", "Maria", "Anna", "Maria", "José"]
    assert of_wrong == ["Peeters", "De Bäcker", "Jan", "Piet", "Anna", "Maria", "José"]


# -- rule 43: spelling of names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "known", "exact", "strict"),
    [
        ("De Bäcker", "De Bäcker", True, True),
        ("De Ba\u0308cker", "De B\u00e4cker", True, True),  # NFD against NFC
        ("  De \t Bäcker\n", "De Bäcker", True, True),
        ("De\u00a0Bäcker", "De Bäcker", True, True),  # a no-break space is a blank
        ("DE BÄCKER", "De Bäcker", True, False),
        ("De Backer", "De Bäcker", True, False),
        ("de backer", "DE BÄCKER", True, False),
        ("Lukasz", "Łukasz", True, False),
        ("Sorensen", "Sørensen", True, False),
        ("STRASSE", "Straße", True, False),
        ("Strasse", "STRAẞE", True, False),
        ("Aydin", "Aydın", True, False),
        ("ISMAIL", "İsmail", True, False),
        ("Oeuvrard", "Œuvrard", True, False),
        ("Daedalus", "Dædalus", True, False),
        ("Dordevic", "Đorđević", True, False),
        ("Thorsdottir", "Þórsdóttir", True, False),
        ("Nguyen", "Nguyễn", True, False),
        ("Backer", "De Bäcker", False, False),
        ("DeBäcker", "De Bäcker", False, False),  # blanks are evened out, not dropped
        ("De-Bäcker", "De Bäcker", False, False),
        ("De Baecker", "De Bäcker", False, False),  # a spelling of ä that only a phonetic search would find
        ("De Bakker", "De Bäcker", False, False),  # sounds the same
        ("Straße", "Strase", False, False),
        ("Peters", "Peeters", False, False),
    ],
)
def test_rule_43_spelling_is_evened_out_as_far_as_the_profile_says(
    asked: str, known: str, *, exact: bool, strict: bool
) -> None:
    """The exact profile looks past case, blanks and diacritics; strict past blanks and normal forms only (rule 43)."""
    assert (verdict_of_name(asked, known, fold_exact) is Verdict.MATCH) == exact
    assert (verdict_of_name(known, asked, fold_exact) is Verdict.MATCH) == exact
    assert (verdict_of_name(asked, known, fold_strict) is Verdict.MATCH) == strict
    assert (verdict_of_name(known, asked, fold_strict) is Verdict.MATCH) == strict


@pytest.mark.parametrize("fold", PROFILES)
@given(name=st.text(max_size=30))
@example(name="a \u0301 b")  # a mark that stands alone between blanks
@example(name="\u0301 a")
def test_rule_43_folding_is_idempotent(fold: Fold, name: str) -> None:
    """A folded name folds to itself, under both profiles (rule 43)."""
    assert fold(fold(name)) == fold(name)


@pytest.mark.parametrize("fold", PROFILES)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@given(name=st.text(max_size=30))
def test_rule_43_the_normal_form_does_not_matter(fold: Fold, form: Literal["NFC", "NFD"], name: str) -> None:
    """Composed or decomposed, a name folds alike under both profiles (rule 43: Unicode NFC)."""
    assert fold(unicodedata.normalize(form, name)) == fold(name)


@given(name=NAME, marks=st.lists(st.tuples(st.integers(0, 20), MARKS), max_size=5))
def test_rule_43_case_and_diacritics_never_cause_a_mismatch_under_exact(
    name: str, marks: list[tuple[int, str]]
) -> None:
    """However a name's case is changed and whatever diacritics are added, it matches under exact (rule 43)."""
    # A mark is added after a letter only: alone at the start it would be no diacritic.
    letters = list(name)
    for position, mark in marks:
        letters[position % len(letters)] += mark
    with_marks = "".join(letters)
    variants = {with_marks, name.upper(), name.lower(), name.title(), name.swapcase(), with_marks.upper()}
    for variant in variants:
        assert verdict_of_name(variant, name) is Verdict.MATCH
        assert verdict_of_name(name, variant) is Verdict.MATCH


@given(name=NAME)
def test_rule_43_taking_diacritics_off_never_causes_a_mismatch_under_exact(name: str) -> None:
    """A name written without its combining marks matches under exact (rule 43)."""
    decomposed = unicodedata.normalize("NFD", name)
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    assert verdict_of_name(bare, name) is Verdict.MATCH


@pytest.mark.parametrize("fold", PROFILES)
@given(name=ASCII_NAME, position=st.integers(0, 11), letter=st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
def test_rule_43_another_base_letter_is_always_a_mismatch(fold: Fold, name: str, position: int, letter: str) -> None:
    """A name with one base letter changed is another name, under both profiles (rule 43: nothing phonetic)."""
    position %= len(name)
    assume(name[position] != letter)
    other = name[:position] + letter + name[position + 1 :]
    assert verdict_of_name(other, name, fold) is Verdict.MISMATCH
    assert verdict_of_name(other.upper(), name, fold) is Verdict.MISMATCH


@pytest.mark.parametrize("fold", PROFILES)
@given(name=ASCII_NAME, extra=ASCII_NAME)
def test_rule_43_a_longer_or_shorter_name_is_a_mismatch(fold: Fold, name: str, extra: str) -> None:
    """A name is compared whole: no part of it is enough (rule 43)."""
    assert verdict_of_name(name, name + extra, fold) is Verdict.MISMATCH
    assert verdict_of_name(name + extra, name, fold) is Verdict.MISMATCH


@given(name=NAME)
def test_rule_43_what_strict_matches_exact_matches(name: str) -> None:
    """The strict profile is stricter: names alike under strict are alike under exact (rule 43)."""
    spaced = f" {unicodedata.normalize('NFD', name)}  "
    assert verdict_of_name(spaced, name, fold_strict) is Verdict.MATCH
    assert verdict_of_name(spaced, name, fold_exact) is Verdict.MATCH


# -- rule 44: given names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        (("Anna",), Verdict.MATCH),
        (("Anna", "Maria"), Verdict.MATCH),
        (("ANNA", "maria", "Jose"), Verdict.MATCH),
        (("Maria",), Verdict.MISMATCH),
        (("Anna", "José"), Verdict.MISMATCH),
        (("Maria", "Anna"), Verdict.MISMATCH),
        (("Anna", "Maria", "José", "Eva"), Verdict.MISMATCH),
        (("Anna Maria",), Verdict.MISMATCH),
        (("A",), Verdict.MISMATCH),
    ],
)
def test_rule_44_given_names_are_the_beginning_of_the_registers(asked: tuple[str, ...], verdict: Verdict) -> None:
    """The first given name must match, further ones only when supplied, in the register's order (rule 44)."""
    assert verdicts_of(LegalData(given_names=asked)) == {"givenName": verdict}


@pytest.mark.parametrize("fold", PROFILES)
@given(names=st.lists(NAME, min_size=1, max_size=5), count=st.integers(1, 5))
def test_rule_44_every_beginning_of_the_given_names_matches(fold: Fold, names: list[str], count: int) -> None:
    """Any number of given names from the first on matches (rule 44)."""
    person = replace(PERSON, given_names=tuple(names))
    assert verdicts_of(LegalData(given_names=tuple(names[:count])), person, fold) == {"givenName": Verdict.MATCH}


def test_rule_44_given_names_cannot_be_verified_when_the_register_has_none() -> None:
    """Given names against a file without given names are not verifiable, no mismatch (rule 44, E8)."""
    nameless = replace(PERSON, given_names=())
    assert verdicts_of(LegalData(given_names=("Anna",)), nameless) == {"givenName": Verdict.NOT_VERIFIABLE}


# -- rule 45: birth dates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "known", "verdict"),
    [
        ("1985-07-30", "1985-07-30", Verdict.MATCH),
        ("1985-07-30", "1985-07-31", Verdict.MISMATCH),
        ("1985-07-30", "1985-08-30", Verdict.MISMATCH),
        ("1985-07-30", "1986-07-30", Verdict.MISMATCH),
        ("1985-07-30", "1985-07-00", Verdict.PARTIAL),
        ("1985-07-30", "1985-00-00", Verdict.PARTIAL),
        ("1985-07-30", "1985-08-00", Verdict.MISMATCH),
        ("1985-07-30", "1984-00-00", Verdict.MISMATCH),
        ("1985-07-30", "1984-07-00", Verdict.MISMATCH),
        ("1985-07-00", "1985-07-00", Verdict.MATCH),
        ("1985-00-00", "1985-00-00", Verdict.MATCH),
        ("1985-07-00", "1985-07-30", Verdict.MISMATCH),  # exact, zero parts included
        ("1985-00-00", "1985-07-30", Verdict.MISMATCH),
        ("1985-00-00", "1985-07-00", Verdict.MISMATCH),
        ("1985-07-00", "1985-00-00", Verdict.MISMATCH),  # only a complete date is compared by the known parts
    ],
)
def test_rule_45_birth_dates_are_exact_and_partly_known_ones_partly_verified(
    asked: str, known: str, verdict: Verdict
) -> None:
    """Zero parts count as they are; a complete date agrees in part with what an incomplete one knows (rule 45)."""
    assert verdict_of_birth(IncompleteDate.parse(asked), IncompleteDate.parse(known)) is verdict


@given(asked=incomplete_dates(), known=incomplete_dates())
def test_rule_45_a_partial_match_agrees_in_every_known_part(asked: IncompleteDate, known: IncompleteDate) -> None:
    """A birth date matches only when equal, and in part only when every known part agrees (rule 45)."""
    verdict = verdict_of_birth(asked, known)
    assert (verdict is Verdict.MATCH) == (asked == known)
    pairs = zip(
        (asked.year, asked.month, asked.day), (known.year or None, known.month or None, known.day or None), strict=True
    )
    known_parts_agree = all(of_known in (None, of_asked) for of_asked, of_known in pairs)
    is_partial = asked != known and asked.is_complete and not known.is_complete and known_parts_agree
    assert (verdict is Verdict.PARTIAL) == is_partial


@given(asked=incomplete_dates())
def test_rule_45_a_birth_date_cannot_be_verified_when_the_register_has_none(asked: IncompleteDate) -> None:
    """A birth date against a file without one is not verifiable, no mismatch (rule 45, E8)."""
    assert verdict_of_birth(asked, None) is Verdict.NOT_VERIFIABLE


# -- rule 46: sex ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", Gender)
def test_rule_46_an_unknown_sex_in_the_register_verifies_nothing(asked: Gender) -> None:
    """A sex given against an unknown one is not verifiable, no mismatch (rule 46, E8)."""
    person = replace(PERSON, gender=Gender.UNKNOWN)
    assert verdicts_of(LegalData(gender=asked), person) == {"genderCode": Verdict.NOT_VERIFIABLE}


@pytest.mark.parametrize("known", Gender)
def test_rule_46_a_caller_who_does_not_know_the_sex_says_nothing_wrong(known: Gender) -> None:
    """genderCode 0 given is not verifiable whatever the register knows: it never refuses (rule 46)."""
    person = replace(PERSON, gender=known)
    assert verdicts_of(LegalData(gender=Gender.UNKNOWN), person) == {"genderCode": Verdict.NOT_VERIFIABLE}


@pytest.mark.parametrize("known", [Gender.MALE, Gender.FEMALE])
@pytest.mark.parametrize("asked", [Gender.MALE, Gender.FEMALE])
def test_rule_46_a_known_sex_agrees_or_not(asked: Gender, known: Gender) -> None:
    """A sex given against a known one matches exactly when both are the same (rules 41, 46)."""
    expected = Verdict.MATCH if asked is known else Verdict.MISMATCH
    assert verdicts_of(LegalData(gender=asked), replace(PERSON, gender=known)) == {"genderCode": expected}


def test_rule_10_the_parity_of_the_number_is_never_used() -> None:
    """The sex is compared with the register's, never with the number's parity (rule 10)."""
    man_by_parity = replace(PERSON, gender=Gender.FEMALE)
    assert int(man_by_parity.ssin.digits[6:9]) % 2 == 1
    assert verdicts_of(LegalData(gender=Gender.FEMALE), man_by_parity) == {"genderCode": Verdict.MATCH}


# -- rule 47 and the whole -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fold", PROFILES)
@given(person=PERSONS)
def test_rules_39_to_46_a_person_always_matches_its_own_data(fold: Fold, person: Person) -> None:
    """A person's own data never mismatch: what the register knows matches, what it lacks is not verifiable."""
    data = LegalData(
        last_name=person.last_name,
        given_names=person.given_names,
        birth_date=person.birth_date,
        gender=person.gender,
    )
    expected = {"lastName": Verdict.MATCH}
    if person.given_names:
        expected["givenName"] = Verdict.MATCH
    if person.birth_date is not None:
        expected["birthDate"] = Verdict.MATCH
    expected["genderCode"] = Verdict.NOT_VERIFIABLE if person.gender is Gender.UNKNOWN else Verdict.MATCH
    assert verdicts_of(data, person, fold) == expected


@given(data=GIVEN, person=PERSONS)
def test_rule_47_a_verdict_reveals_no_value(data: LegalData, person: Person) -> None:
    """A verdict is a field of the contract and one of four words: no value of anybody (rule 47)."""
    assert {field.name for field in msgspec.structs.fields(FieldVerdict)} == {"field_name", "verdict"}
    for verdict in compare(data, person, fold=fold_exact):
        assert verdict.field_name in {*NAMES, "birthDate", "genderCode"}
        assert verdict.verdict in set(Verdict)


@given(data=GIVEN.filter(lambda data: data.last_name is not None), person=PERSONS, other=PERSONS)
def test_rule_47_two_persons_who_disagree_get_the_same_verdict(data: LegalData, person: Person, other: Person) -> None:
    """Which value the register has instead makes no difference to a mismatch (rule 47)."""
    of_person = compare(data, person, fold=fold_exact)
    of_other = compare(data, other, fold=fold_exact)
    for first, second in zip(of_person, of_other, strict=True):
        if first.verdict is second.verdict:
            assert first == second
            assert repr(first) == repr(second)
