"""Persons of the registers, as the database keeps them."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Final

from cbss_inscription.domain.legal_data import EVERY_REGISTER, FileStatus, Gender, Person, Register
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.person_search import CANDIDATES_MAX, PhoneticCriteria
from cbss_inscription.domain.phonetics import given_names_alike, phonetic_key
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.array_text import array_of_numbers
from cbss_inscription.storage.database import Database, Row
from cbss_inscription.storage.queries import QUERIES

FILES_COMPARED_AT_ONCE: Final = 500
"""Files that a phonetic search fetches in one round trip, to compare their given names."""
DAYS_KEPT: Final = 40_000
"""Days of birth and of death that are read once: those of a century."""
_date: Final = lru_cache(maxsize=DAYS_KEPT)(IncompleteDate.parse)
_REGISTERS: Final = {register.value: register for register in Register}
_STATUSES: Final = {status.value: status for status in FileStatus}
_GENDERS: Final = {gender.value: gender for gender in Gender}
_GIVEN_NAMES: Final = 5  # their place in a row of files: most rows of a search become no Person


class StoredPersons:
    """A `registers.port.PersonRegister` on our own store, of these registers: files of another are not seen."""

    def __init__(self, database: Database, *, registers: Collection[Register] = EVERY_REGISTER) -> None:
        self._database = database
        self._registers = sorted(register.value for register in registers)

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`: one round trip for the whole chain."""
        rows = await self._database.rows(
            "chain_of_files", {"ssin": ssin.number, "hops_max": hops_max, "registers": self._registers}
        )
        return tuple(read_person(row) for row in rows)

    async def chains_of(self, ssins: Collection[Ssin], *, hops_max: int) -> dict[Ssin, tuple[Person, ...]]:
        """The chains of many numbers, each as `chain_of` gives it: one round trip for most, which are not replaced."""
        asked: dict[str, object] = {
            "ssins": array_of_numbers([ssin.number for ssin in ssins]),
            "registers": self._registers,
        }
        rows = await self._database.rows("files_of_numbers", asked, binary=True)
        files = [read_person(row) for row in rows]
        chains = {file.ssin: [file] for file in files}
        replaced = [file.ssin.number for file in files if file.replaced_by is not None]
        if replaced:
            followed = asked | {"ssins": array_of_numbers(replaced), "hops_max": hops_max}
            chains |= {Ssin.of_number(number): [] for number in replaced}
            for number, *file in await self._database.rows("chains_of_files", followed):
                chains[Ssin.of_number(number)].append(read_person(tuple(file)))
        return {ssin: tuple(chains.get(ssin, ())) for ssin in ssins}

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        """See `PersonRegister.like`: in the order of the numbers.

        The database compares all but the given names; files come from its cursor until enough of them are alike.
        """
        parameters = {
            "phonetic_key": phonetic_key(criteria.last_name),
            "registers": self._registers,
            "birth_date": str(criteria.birth_date) if criteria.birth_date is not None else None,
            "gender_code": int(criteria.gender),
        }
        found: list[Person] = []
        async with (
            self._database.connection() as connection,
            connection.transaction(),
            connection.cursor(name="files_like") as cursor,
        ):
            await cursor.execute(QUERIES["files_like"], parameters)
            while len(found) < CANDIDATES_MAX and (rows := await cursor.fetchmany(FILES_COMPARED_AT_ONCE)):
                found += [
                    read_person(row)
                    for row in rows
                    if given_names_alike(criteria.given_names, row[_GIVEN_NAMES], criteria.given_name_mode)
                ]
        return tuple(found[:CANDIDATES_MAX])


def read_person(row: Row) -> Person:
    """The file in a row of the columns that `chain_of_files` names."""
    ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date, inception = row
    return Person(
        ssin=Ssin.of_number(ssin),
        register=_REGISTERS[register],
        status=_STATUSES[status],
        replaced_by=Ssin.of_number(replaced_by) if replaced_by is not None else None,
        last_name=last_name,
        given_names=tuple(given_names),
        birth_date=_date(birth_date) if birth_date is not None else None,
        gender=_GENDERS[gender_code],
        decease_date=_date(decease_date) if decease_date is not None else None,
        register_inception_date=inception,
    )
