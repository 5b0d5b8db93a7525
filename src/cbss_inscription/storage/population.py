"""Loads a population into an empty database, and knows which one a database holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psycopg

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.storage.queries import QUERIES


def loaded_recipe(conninfo: str) -> str | None:
    """What the population in the database was made from; None when it holds no person.

    Raises `UsageError` when it holds persons that no population tool put there: they are somebody's.
    """
    with _connection(conninfo) as connection:
        row = connection.execute(QUERIES["population_recipe"]).fetchone()
        if row is not None:
            return str(row[0])
        if connection.execute(QUERIES["any_person"]).fetchone() is not None:
            raise UsageError("the database holds persons that are no synthetic population: it is left as it is")
    return None


def load_population(conninfo: str, persons: Iterable[Person], *, recipe: str) -> int:
    """How many persons were written, by COPY, in one transaction with the recipe.

    Raises `UsageError` when the database refuses, a number that it knows already for one (rule 11): all or nothing.
    """
    written = 0
    with _connection(conninfo) as connection:
        with connection.cursor() as cursor, cursor.copy(QUERIES["copy_persons"]) as copy:
            for person in persons:
                copy.write_row(_row_of(person))
                written += 1
        connection.execute(QUERIES["record_population"], {"recipe": recipe})
        connection.execute(QUERIES["analyze_persons"])
    return written


def empty_database(conninfo: str) -> None:
    """Nothing; every table, row and history of the program is gone. Only for a database that a sandbox made."""
    with _connection(conninfo) as connection:
        connection.execute(QUERIES["drop_everything"])


@contextmanager
def _connection(conninfo: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    try:
        with psycopg.connect(conninfo) as connection:
            yield connection
    except psycopg.Error as error:
        # `from None`, and the kind only: the database's words quote rows, which hold numbers and names.
        raise UsageError(f"the database refuses the population: {type(error).__name__}") from None


def _row_of(person: Person) -> tuple[object, ...]:
    return (
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
