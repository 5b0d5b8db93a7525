"""The messages of PersonService, as the National Register answers them: elements to values, and values to elements."""

from __future__ import annotations

from itertools import zip_longest

from lxml.etree import SubElement, _Element

from cbss_inscription.contract.common_v3 import (
    Fields,
    Header,
    fields_of,
    made,
    read_boolean,
    read_date,
    read_incomplete_date,
    read_ssin,
    read_status,
    text_of,
    write_status,
    write_text,
)
from cbss_inscription.domain.legal_data import FileStatus, Gender, Person, Register
from cbss_inscription.domain.person_search import (
    GivenNameMode,
    PersonRequest,
    PhoneticCriteria,
    SearchPersonBySsin,
    SearchPersonPhonetically,
)
from cbss_inscription.domain.results import PersonsResult


def read_ssin_criteria(header: Header, criteria: _Element) -> SearchPersonBySsin:
    """The request for the files of some numbers."""
    return SearchPersonBySsin(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        ssins=tuple(text_of(child) for child in criteria.iterchildren("ssin")),
    )


def read_phonetic_criteria(header: Header, criteria: _Element) -> SearchPersonPhonetically:
    """The request for persons whose names sound alike. Raises `ContentViolation`."""
    fields = fields_of(criteria)
    mode = text_of(fields["givenNameMode"]) if "givenNameMode" in fields else None
    return SearchPersonPhonetically(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        criteria=PhoneticCriteria(
            last_name=text_of(fields["lastName"]),
            given_names=tuple(text_of(child) for child in criteria.iterchildren("givenName")),
            given_name_mode=GivenNameMode(mode) if mode else GivenNameMode.FIRST_LETTER_FIRST_GIVENNAME,
            birth_date=read_incomplete_date(fields["birthDate"]) if "birthDate" in fields else None,
            gender=Gender(int(text_of(fields["genderCode"]))) if "genderCode" in fields else Gender.UNKNOWN,
        ),
    )


def read_persons(fields: Fields) -> PersonsResult:
    """The files in a response. Raises `ContentViolation`, also for a file that contradicts itself."""
    results = tuple(fields["results"].iterchildren("*")) if "results" in fields else ()
    return PersonsResult(
        status=read_status(fields["status"]),
        ssins=tuple(read_ssin(ssin) for result in results for ssin in result.iterchildren("ssin")),
        chains=tuple(tuple(map(_read_person, result.iterchildren("person"))) for result in results),
    )


def write_person_criteria(parent: _Element, request: PersonRequest) -> None:
    """Adds the `criteria` of a request for persons."""
    criteria = SubElement(parent, "criteria")
    if isinstance(request, SearchPersonBySsin):
        for ssin in request.ssins:
            write_text(criteria, "ssin", ssin)
        return
    asked = request.criteria
    write_text(criteria, "lastName", asked.last_name)
    for given_name in asked.given_names:
        write_text(criteria, "givenName", given_name)
    write_text(criteria, "givenNameMode", asked.given_name_mode)
    if asked.birth_date is not None:
        write_text(criteria, "birthDate", str(asked.birth_date))
    write_text(criteria, "genderCode", str(int(asked.gender)))


def write_persons(root: _Element, result: PersonsResult) -> None:
    """Adds the status and the files to a response: one `result` for each number asked, without file when unknown."""
    write_status(root, result.status)
    if result.chains:
        results = SubElement(root, "results")
        for ssin, chain in zip_longest(result.ssins, result.chains):
            element = SubElement(results, "result")
            if ssin is not None:
                write_text(element, "ssin", ssin.digits)
            for person in chain:
                _write_person(element, person)


def _read_person(element: _Element) -> Person:
    fields = fields_of(element)
    ssin = fields["ssin"]
    replaced_by, canceled = ssin.get("replacedBy"), read_boolean(ssin.get("canceled", "false"))
    status = FileStatus.REPLACED if replaced_by else FileStatus.CANCELED if canceled else FileStatus.ACTIVE
    name = fields_of(fields["name"])
    birth = fields_of(fields["birth"]) if "birth" in fields else {}
    decease = fields_of(fields["decease"]) if "decease" in fields else {}
    inception = read_date(fields["registerInceptionDate"]) if "registerInceptionDate" in fields else None
    register, gender = text_of(fields["register"]).lower(), int(text_of(fields_of(fields["gender"])["genderCode"]))
    return made(
        "person",
        lambda: Person(
            ssin=read_ssin(ssin),
            register=Register(register),
            status=status,
            replaced_by=read_ssin(replaced_by) if replaced_by else None,
            last_name=text_of(name["lastName"]),
            given_names=tuple(text_of(child) for child in fields["name"].iterchildren("givenName")),
            birth_date=read_incomplete_date(birth["birthDate"]) if birth else None,
            gender=Gender(gender),
            decease_date=read_incomplete_date(decease["deceaseDate"]) if decease else None,
            register_inception_date=inception,
        ),
    )


def _write_person(parent: _Element, person: Person) -> None:
    element = SubElement(parent, "person")
    write_text(element, "register", person.register.upper())
    write_text(element, "ssin", person.ssin.digits)
    ssin = element[-1]
    if person.status is FileStatus.CANCELED:
        ssin.set("canceled", "true")
    if person.replaced_by is not None:
        # Who asks must know both: the number is not used any more, and which one continues it.
        ssin.set("canceled", "true")
        ssin.set("replacedBy", person.replaced_by.digits)
    name = SubElement(element, "name")
    write_text(name, "lastName", person.last_name)
    for given_name in person.given_names:
        write_text(name, "givenName", given_name)
    if person.birth_date is not None:
        write_text(SubElement(element, "birth"), "birthDate", str(person.birth_date))
    write_text(SubElement(element, "gender"), "genderCode", str(int(person.gender)))
    if person.decease_date is not None:
        write_text(SubElement(element, "decease"), "deceaseDate", str(person.decease_date))
    if person.register_inception_date is not None:
        write_text(element, "registerInceptionDate", person.register_inception_date.isoformat())
