"""Persons of the registers, as the database keeps them."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from cbss_inscription.domain.legal_data import FileStatus, Gender, Person, Register
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.database import Database, Row
from cbss_inscription.storage.queries import QUERIES


class StoredPersons:
    """A `registers.port.PersonRegister` on our own store: NR, BIS and RAD in one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`: one round trip for the whole chain."""
        rows = await self._database.rows("chain_of_files", {"ssin": ssin.number, "hops_max": hops_max})
        return tuple(_read_person(row) for row in rows)


def copy_persons(connection: psycopg.Connection[Row], persons: Iterable[Person]) -> int:
    """How many persons were written, by COPY; numbers already known are an integrity error (rule 11)."""
    written = 0
    with connection.cursor() as cursor, cursor.copy(QUERIES["copy_persons"]) as copy:
        for person in persons:
            copy.write_row(
                (
                    person.ssin.number,
                    person.register.value,
                    person.status.value,
                    person.replaced_by.number if person.replaced_by else None,
                    person.last_name,
                    list(person.given_names),
                    str(person.birth_date) if person.birth_date else None,
                    int(person.gender),
                    str(person.decease_date) if person.decease_date else None,
                )
            )
            written += 1
    return written


def _read_person(row: Row) -> Person:
    ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date = row
    return Person(
        ssin=Ssin.of_number(ssin),
        register=Register(register),
        status=FileStatus(status),
        replaced_by=Ssin.of_number(replaced_by) if replaced_by is not None else None,
        last_name=last_name,
        given_names=tuple(given_names),
        birth_date=IncompleteDate.parse(birth_date) if birth_date is not None else None,
        gender=Gender(gender_code),
        decease_date=IncompleteDate.parse(decease_date) if decease_date is not None else None,
    )
