"""Brings a database to the version of this program: numbered SQL files, applied once, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from typing import Final, cast

import psycopg

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.storage.queries import QUERIES

_FILE_NAME: Final = re.compile(r"(?P<version>\d{4})_(?P<name>\w+)\.sql")
SERVER_VERSION_MIN: Final = 15
"""PostgreSQL's major version: multiranges and what else schema.sql needs."""


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

    Raises `UsageError` when the server is too old, or the database newer than this program. Processes that start
    together wait for each other.
    """
    with psycopg.connect(conninfo) as connection:
        major = connection.info.server_version // 10_000
        if major < SERVER_VERSION_MIN:
            raise UsageError(f"PostgreSQL {major} is too old: {SERVER_VERSION_MIN} or later is needed")
        connection.execute(QUERIES["lock_migrations"])
        applied = _applied_versions(connection)
        known = migrations()
        if applied and max(applied) > known[-1].version:
            raise UsageError(
                f"the database is at schema version {max(applied)}, this program knows {known[-1].version}"
            )
        missing = tuple(migration for migration in known if migration.version not in applied)
        for migration in missing:
            connection.execute(migration.sql)
            connection.execute(QUERIES["record_migration"], {"version": migration.version, "name": migration.name})
        return missing


def _applied_versions(connection: psycopg.Connection[tuple[object, ...]]) -> set[int]:
    row = connection.execute("SELECT to_regclass('schema_migration') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return set()
    return {cast("int", version) for (version,) in connection.execute(QUERIES["applied_versions"])}
