"""Brings a database to the version of this program: numbered SQL files, applied once, in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Final, cast

import psycopg

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.storage.queries import QUERIES

_FILE_NAME: Final = re.compile(r"(?P<version>\d{4})_(?P<name>\w+)\.sql")
SERVER_VERSION_MIN: Final = 15
"""PostgreSQL's major version: multiranges and what else schema.sql needs."""
CONNECT_SECONDS_MAX: Final = 10
"""How long a server may take to let us in."""

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
    """The migrations that were missing and are applied now, in one transaction.

    Raises `UsageError` when the database cannot be reached, its server is too old, or its schema is newer than this
    program. Processes that start together wait for each other.
    """
    with _connect(conninfo) as connection:
        connection.execute(QUERIES["lock_migrations"])
        missing = _missing_migrations(connection)
        for migration in missing:
            connection.execute(migration.sql)
            connection.execute(QUERIES["record_migration"], {"version": migration.version, "name": migration.name})
        return missing


def check_schema(conninfo: str) -> None:
    """Nothing, when the database has the schema of this program. Raises `UsageError` as `migrate` does."""
    with _connect(conninfo) as connection:
        missing = _missing_migrations(connection)
    if missing:
        raise UsageError(f"the database lacks {len(missing)} migrations: run `cbss-inscription migrate` first")


@contextmanager
def _connect(conninfo: str) -> Iterator[Connection]:
    try:
        connection = psycopg.connect(conninfo, connect_timeout=CONNECT_SECONDS_MAX)
    except psycopg.Error as error:
        raise UsageError(f"the database cannot be reached: {' '.join(str(error).split())}") from error
    try:
        with connection:
            major = connection.info.server_version // 10_000
            if major < SERVER_VERSION_MIN:
                raise UsageError(f"PostgreSQL {major} is too old: {SERVER_VERSION_MIN} or later is needed")
            yield connection
    except psycopg.Error as error:
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
