"""Brings a database to the version of this program: numbered SQL files, applied once, in order; then what SQL cannot.

Phonetic keys are made by domain/phonetics.py, so no migration can make those of the persons that are there already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Final, cast

import psycopg

from cbss_inscription.domain.errors import TemporarilyUnavailable, UsageError
from cbss_inscription.domain.phonetics import phonetic_key
from cbss_inscription.storage.database import UNREADABLE, BoundedConnection
from cbss_inscription.storage.queries import QUERIES

_FILE_NAME: Final = re.compile(r"(?P<version>\d{4})_(?P<name>\w+)\.sql")
SERVER_VERSION_MIN: Final = 15
"""PostgreSQL's major version: multiranges and what else schema.sql needs."""
CONNECT_SECONDS_MAX: Final = 10
"""How long a server may take to let us in."""
KEYS_MADE_AT_ONCE: Final = 2_000
"""Persons that one transaction gives their phonetic keys: so long, events in the life of numbers wait."""

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered file and its SQL."""

    version: int
    name: str
    sql: str


def migrations() -> tuple[Migration, ...]:
    """The migrations of this program, in order."""
    found = []
    for file in resources.files("cbss_inscription.storage").joinpath("migrations").iterdir():
        shape = _FILE_NAME.fullmatch(file.name)
        if shape is not None:
            sql = file.read_text(encoding="utf-8")
            found.append(Migration(version=int(shape["version"]), name=shape["name"], sql=sql))
    return tuple(sorted(found, key=lambda migration: migration.version))


def migrate(conninfo: str) -> tuple[Migration, ...]:
    """The migrations that were missing and are applied now, in one transaction; `make_phonetic_keys` goes after it.

    Raises `TemporarilyUnavailable` when the database cannot be reached, and `UsageError` when its server is too old or
    its schema newer than this program. Processes that start together wait for each other.
    """
    with _connect(conninfo) as connection:
        connection.execute(QUERIES["lock_migrations"])
        missing = _missing_migrations(connection)
        for migration in missing:
            connection.execute(migration.sql)
            connection.execute(QUERIES["record_migration"], {"version": migration.version, "name": migration.name})
        return missing


def check_schema(conninfo: str) -> None:
    """Nothing, when the database has the schema of this program and every person is found by name.

    Raises `UsageError` as `migrate` does, and when `migrate` is to be run first: a person without a phonetic key would
    never be a candidate (rule 22), and a second number be made for it.
    """
    with _connect(conninfo, BoundedConnection) as connection:
        missing = _missing_migrations(connection)
        lacks_key = not missing and connection.execute(QUERIES["any_missing_key"]).fetchone() is not None
    if missing:
        raise UsageError(f"the database lacks {len(missing)} migrations: run `cbss-inscription migrate` first")
    if lacks_key:
        raise UsageError("persons have no phonetic key yet: run `cbss-inscription migrate` first")


def make_phonetic_keys(conninfo: str) -> int:
    """How many persons of a former version have got their phonetic key now, of a database that has this schema.

    By rising number, each batch in a transaction of its own: what was made before it ends early is kept. Raises
    `UsageError` when the database refuses.
    """
    made, after = 0, 0
    try:
        with psycopg.connect(conninfo, connect_timeout=CONNECT_SECONDS_MAX, autocommit=True) as connection:
            if connection.execute(QUERIES["any_missing_key"]).fetchone() is None:
                return 0
            while True:
                with connection.transaction():
                    # Whoever else changes persons holds it too, another `migrate` as well: no names change meanwhile.
                    connection.execute(QUERIES["lock_life"])
                    sought = {"after": after, "row_count_max": KEYS_MADE_AT_ONCE}
                    rows = connection.execute(QUERIES["names_without_key"], sought).fetchall()
                    keys = {ssin: phonetic_key(name) for ssin, name in rows if isinstance(name, str)}
                    if keys:
                        written = {"ssins": list(keys), "phonetic_keys": list(keys.values())}
                        connection.execute(QUERIES["write_keys"], written)
                made += len(keys)
                if len(rows) < KEYS_MADE_AT_ONCE:
                    break
                after = cast("int", rows[-1][0])
            connection.execute(QUERIES["analyze_persons"])
    except psycopg.Error as error:
        # `from None`, and the kind only: the database's words quote rows, which hold numbers and names.
        raise UsageError(f"the phonetic keys cannot be written: {type(error).__name__}") from None
    return made


@contextmanager
def _connect(conninfo: str, kind: type[Connection] = psycopg.Connection) -> Iterator[Connection]:
    try:
        connection = kind.connect(conninfo, connect_timeout=CONNECT_SECONDS_MAX)
    except psycopg.ProgrammingError:
        raise UsageError(UNREADABLE) from None
    except psycopg.Error as error:
        raise TemporarilyUnavailable(f"the database cannot be reached: {' '.join(str(error).split())}") from error
    try:
        with connection:
            major = connection.info.server_version // 10_000
            if major < SERVER_VERSION_MIN:
                raise UsageError(f"PostgreSQL {major} is too old: {SERVER_VERSION_MIN} or later is needed")
            yield connection
    except psycopg.Error as error:
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            raise TemporarilyUnavailable("the database was lost while its schema was looked at") from error
        # Only the schema is touched here, so its words quote no person's row.
        reason = " ".join(str(error).split())
        raise UsageError(f"the database's schema cannot be read or brought up to date: {reason}") from error


def _missing_migrations(connection: Connection) -> tuple[Migration, ...]:
    applied = _applied_versions(connection)
    known = migrations()
    if applied and max(applied) > known[-1].version:
        raise UsageError(f"the database is at schema version {max(applied)}, this program knows {known[-1].version}")
    return tuple(migration for migration in known if migration.version not in applied)


def _applied_versions(connection: Connection) -> set[int]:
    row = connection.execute("SELECT to_regclass('schema_migration') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return set()
    return {cast("int", version) for (version,) in connection.execute(QUERIES["applied_versions"])}
