"""Persons of the registers, as the database keeps them."""

from __future__ import annotations

from cbss_inscription.domain.legal_data import FileStatus, Gender, Person, Register
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.database import Database, Row


class StoredPersons:
    """A `registers.port.PersonRegister` on our own store: NR, BIS and RAD in one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`: one round trip for the whole chain."""
        rows = await self._database.rows("chain_of_files", {"ssin": ssin.number, "hops_max": hops_max})
        return tuple(_read_person(row) for row in rows)


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
