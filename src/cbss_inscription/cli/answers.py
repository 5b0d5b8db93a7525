"""Answers as JSON for programs; `tables` has those for people."""

from __future__ import annotations

import sys

from cbss_inscription.domain.legal_data import Person


def print_json(value: object) -> None:
    """Nothing; the value stands on standard output, indented."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def person_as_json(person: Person) -> dict[str, object]:
    """The file of a person, by the names of its columns."""
    inception = person.register_inception_date
    return {
        "ssin": person.ssin.digits,
        "register": person.register.value,
        "status": person.status.value,
        "replaced_by": person.replaced_by.digits if person.replaced_by is not None else None,
        "last_name": person.last_name,
        "given_names": list(person.given_names),
        "birth_date": str(person.birth_date) if person.birth_date is not None else None,
        "gender_code": int(person.gender),
        "decease_date": str(person.decease_date) if person.decease_date is not None else None,
        "register_inception_date": inception.isoformat() if inception is not None else None,
    }
