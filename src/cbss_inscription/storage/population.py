"""Loads a population into a database, finds persons in it by their properties, and writes it out again.

Rows come as text of COPY, rendered beforehand: for millions of rows, converting each value costs more than the server
needs to store it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Protocol
from uuid import UUID, uuid4

import psycopg

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import FileStatus, Gender, Person, Register
from cbss_inscription.domain.phonetics import phonetic_key
from cbss_inscription.storage.database import Row
from cbss_inscription.storage.persons import read_person
from cbss_inscription.storage.queries import QUERIES

LOAD_OPERATION: Final = "loadPopulation"
"""The operation in the history of lines that came with a population."""
FOUND_MAX: Final = 10_000
"""Persons that one search gives at most."""
BLOCK_ROWS: Final = 2_000
"""Rows that are sent at once …"""
BLOCK_CHARACTERS_MIN: Final = 4_194_304
"""… or fewer, once they have so many characters: a row may be long."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table as text of COPY, each with its line feed; their repr shows nothing of them."""

    text: bytes = field(repr=False)
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a load wrote, and the ticket under which the history has it."""

    persons: int
    inscriptions: int
    ticket_cbss: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonCriteria:
    """What a search asks for; what is None is not asked. All that is asked must hold."""

    register: Register | None = None
    status: FileStatus | None = None
    is_deceased: bool | None = None
    has_incomplete_decease_date: bool | None = None
    has_birth_date: bool | None = None
    has_complete_birth_date: bool | None = None
    born_after: date | None = None
    gender: Gender | None = None
    given_names_min: int | None = None
    given_names_max: int | None = None
    has_accents: bool | None = None
    replaces_another: bool | None = None
    successor_status: FileStatus | None = None
    """The state of the file that replaces it."""
    has_inscriptions: bool | None = None
    customer: str | None = None
    """The key of an organisation that has a line."""
    inscription_context: str | None = None
    """With `customer`: that organisation's line is in this context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPerson:
    """A person's file, and how many lines (periods) stand under its number."""

    person: Person
    line_count: int


class Sink(Protocol):
    """Where an export goes."""

    def write(self, data: bytes, /) -> object:
        """Something; the bytes are written."""
        ...


def loaded_recipe(conninfo: str) -> str | None:
    """What the population in the database was made from; None when it holds no person.

    Raises `UsageError` when it holds persons that no population tool put there: they are somebody's.
    """
    with _connection(conninfo) as connection:
        return _loaded_recipe(connection)


def holds_population(conninfo: str) -> bool:
    """Whether a synthetic population was loaded into the database. Raises `UsageError`."""
    with _connection(conninfo) as connection:
        return connection.execute(QUERIES["population_recipe"]).fetchone() is not None


def _loaded_recipe(connection: psycopg.Connection[tuple[object, ...]]) -> str | None:
    row = connection.execute(QUERIES["population_recipe"]).fetchone()
    if row is not None:
        return str(row[0])
    if connection.execute(QUERIES["any_person"]).fetchone() is not None:
        raise UsageError("the database holds persons that are no synthetic population: it is left as it is")
    return None


def load_population(conninfo: str, persons: Iterable[Person], *, recipe: str) -> int:
    """How many persons were written, by COPY, in one transaction with the recipe; the database may hold others.

    Raises `UsageError` when the database refuses, a number that it knows already for one (rule 11): all or nothing.
    """
    with _connection(conninfo) as connection:
        written = _load(connection, person_rows(persons), (), recipe, str).persons
        connection.execute(QUERIES["analyze_population"])
        return written


def load_rows(
    conninfo: str,
    persons: Iterable[Rows],
    line_sets: Iterable[Rows],
    *,
    recipe: str,
    begins: Callable[[str], object] = str,
) -> Loaded:
    """What was written: first all persons, then all line sets and their history, by COPY in one transaction.

    Nobody else can load meanwhile; `begins` is told of what the database then does alone. Person rows are those of
    `person_rows`; line sets have `ssin`, `customer`, `inscription_context`, `periods` and `last_changes`.

    Raises `UsageError` when the database is not empty or refuses a row, and whatever the iterables raise: then nothing
    is written.
    """
    with _connection(conninfo) as connection:
        connection.execute(QUERIES["lock_population"])
        recipe_there = _loaded_recipe(connection)
        if recipe_there is not None:
            raise UsageError(f"the database holds another population ({recipe_there}): give an empty database")
        if connection.execute(QUERIES["any_trace"]).fetchone() is not None:
            raise UsageError("the database holds inscriptions or history that are no synthetic population's")
        connection.execute(QUERIES["drop_keys_of_lines"])
        loaded = _load(connection, persons, line_sets, recipe, begins)
        begins("indexes")
        connection.execute(QUERIES["restore_keys_of_lines"])
        connection.execute(QUERIES["analyze_population"])
        return loaded


def _load(
    connection: psycopg.Connection[tuple[object, ...]],
    persons: Iterable[Rows],
    line_sets: Iterable[Rows],
    recipe: str,
    begins: Callable[[str], object],
) -> Loaded:
    ticket = uuid4()
    person_count = _copy(connection, QUERIES["copy_persons"], persons)
    connection.execute(QUERIES["record_population"], {"recipe": recipe})
    line_set_count = _copy(connection, QUERIES["copy_inscriptions"], line_sets)
    if line_set_count:
        begins("history")
        origin = {"ticket_cbss": ticket, "operation": LOAD_OPERATION}
        connection.execute(QUERIES["record_loaded_lines"], origin)
        connection.execute(QUERIES["record_loaded_line_by_line"], origin)
    return Loaded(persons=person_count, inscriptions=line_set_count, ticket_cbss=ticket)


def _copy(connection: psycopg.Connection[tuple[object, ...]], statement: str, blocks: Iterable[Rows]) -> int:
    written = 0
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for rows in blocks:
            copy.write(rows.text)
            written += rows.count
    return written


def holds_unseen_files(conninfo: str) -> bool:
    """Whether there are National Register files that nobody gave back, which a façade that asks elsewhere never sees.

    A file that RAD-out gave back stays as a copy on purpose (docs/decisions/0009). Reads the whole table when all is
    well.
    """
    with _connection(conninfo) as connection:
        return connection.execute(QUERIES["unseen_files"]).fetchone() is not None


def empty_database(conninfo: str) -> None:
    """Nothing; every table, row and history of the program is gone. Only for a database that a sandbox made."""
    with _connection(conninfo) as connection:
        connection.execute(QUERIES["drop_everything"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How much was written since a population was loaded; false when nothing was."""

    changes: int
    """Changes of inscriptions."""
    events: int
    """Events in the life of numbers."""
    mutations: int

    def __bool__(self) -> bool:
        return bool(self.changes or self.events or self.mutations)


def written_since_load(conninfo: str) -> Written:
    """What people wrote into the database, by declarations and `register`, beside the population that was loaded."""
    with _connection(conninfo) as connection:
        row = connection.execute(QUERIES["written_since_load"], {"load_operation": LOAD_OPERATION}).fetchone()
    assert row is not None
    changes, events, mutations = (int(str(count)) for count in row)
    return Written(changes=changes, events=events, mutations=mutations)


def search_population(conninfo: str, criteria: PersonCriteria, *, count: int) -> tuple[FoundPerson, ...]:
    """The persons that fulfil all that is asked, by rising number, at most `count`.

    Raises `UsageError` when the database holds no synthetic population, and for a `count` not within 1 … `FOUND_MAX`.
    """
    if not 1 <= count <= FOUND_MAX:
        raise UsageError(f"a search gives 1 to {FOUND_MAX} persons, not {count}")
    parameters: dict[str, object] = {
        "register": criteria.register,
        "status": criteria.status,
        "is_deceased": criteria.is_deceased,
        "has_incomplete_decease_date": criteria.has_incomplete_decease_date,
        "has_birth_date": criteria.has_birth_date,
        "has_complete_birth_date": criteria.has_complete_birth_date,
        "born_after": criteria.born_after.isoformat() if criteria.born_after else None,
        "gender_code": int(criteria.gender) if criteria.gender is not None else None,
        "given_names_min": criteria.given_names_min,
        "given_names_max": criteria.given_names_max,
        "has_accents": criteria.has_accents,
        "replaces_another": criteria.replaces_another,
        "successor_status": criteria.successor_status,
        "has_inscriptions": criteria.has_inscriptions,
        "customer": criteria.customer,
        "inscription_context": criteria.inscription_context,
        "row_count_max": count,
    }
    with _connection(conninfo) as connection:
        _refuse_foreign(connection)
        return tuple(_read_found(row) for row in connection.execute(QUERIES["persons_with_properties"], parameters))


def export_population(conninfo: str, persons: Sink, line_sets: Sink) -> str:
    """The recipe of the population; its files and lines as they are now, of one moment, are written to the two sinks.

    As CSV, by rising number, streamed by the server (docs/populations.md). Raises `UsageError` when the database holds
    no synthetic population.
    """
    with _connection(conninfo) as connection:
        connection.execute(QUERIES["one_moment"])
        recipe = _refuse_foreign(connection)
        for statement, sink in ((QUERIES["export_persons"], persons), (QUERIES["export_inscriptions"], line_sets)):
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                for data in copy:
                    sink.write(bytes(data))
        return recipe


def _refuse_foreign(connection: psycopg.Connection[tuple[object, ...]]) -> str:
    recipe = _loaded_recipe(connection)
    if recipe is None:
        raise UsageError("the database holds no synthetic population: `cbss-inscription population load` loads one")
    return recipe


@contextmanager
def _connection(conninfo: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    try:
        with psycopg.connect(conninfo, client_encoding="UTF8") as connection:
            yield connection
    except psycopg.Error as error:
        # `from None`, and the kind only: the database's words quote rows, which hold numbers and names.
        raise UsageError(f"the database refuses the population: {type(error).__name__}") from None


# -- rows as text ------------------------------------------------------------------------------------------------------

_TEXT: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ELEMENT: Final = str.maketrans({"\\": "\\\\", '"': '\\"'})


def person_rows(persons: Iterable[Person]) -> Iterator[Rows]:
    """The rows of the files, with the phonetic keys by which they are found."""
    return in_blocks(map(person_row, persons))


def in_blocks(rows: Iterable[str]) -> Iterator[Rows]:
    """The rows, many at once."""
    block: list[str] = []
    characters = 0
    for row in rows:
        block.append(row)
        characters += len(row)
        if len(block) == BLOCK_ROWS or characters >= BLOCK_CHARACTERS_MIN:
            yield Rows("".join(block).encode(), len(block))
            block, characters = [], 0
    if block:
        yield Rows("".join(block).encode(), len(block))


def rows_of_registers(persons: Iterable[Rows], registers: Collection[Register]) -> Iterator[Rows]:
    """Of the rows of `person_rows`, those of these registers."""
    words = {register.value.encode() for register in registers}
    for rows in persons:
        # The register is the second column, and a line feed within a value is written otherwise.
        lines = [line for line in rows.text.splitlines(keepends=True) if line.split(b"\t", 2)[1] in words]
        if lines:
            yield Rows(b"".join(lines), len(lines))


def recipe_of_registers(recipe: str, registers: Collection[Register]) -> str:
    """The recipe of the files of these registers alone, of the population that `recipe` makes; all: that one itself."""
    return recipe if set(registers) == set(Register) else f"{recipe} registers={','.join(sorted(registers))}"


def person_row(person: Person) -> str:
    """The row of a file as text of COPY, with its line feed; it begins with the eleven digits of the number."""
    given_names = ",".join(f'"{name.translate(_ELEMENT)}"' for name in person.given_names)
    return (
        f"{person.ssin.digits}\t{person.register.value}\t{person.status.value}\t"
        f"{person.replaced_by.digits if person.replaced_by else _NULL}\t"
        f"{person.last_name.translate(_TEXT)}\t{f'{{{given_names}}}'.translate(_TEXT)}\t"
        f"{person.birth_date or _NULL}\t{person.gender.value}\t{person.decease_date or _NULL}\t"
        f"{person.register_inception_date or _NULL}\t{phonetic_key(person.last_name).translate(_TEXT)}\n"
    )


_NULL: Final = "\\N"


def _read_found(row: Row) -> FoundPerson:
    *file, line_count = row
    return FoundPerson(person=read_person(tuple(file)), line_count=line_count)
