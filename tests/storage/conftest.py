"""What the tests of storage share: databases of a module's own, with the schema or without anything."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import psycopg
import pytest

from cbss_inscription.storage.embedded_server import EmbeddedServer

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def make_database(postgresql: EmbeddedServer) -> Callable[[str], str]:
    """Makes a database from `template` (the schema) or `template0` (nothing); it ends with its server."""

    def make(template: str) -> str:
        name = f"storage_{next(_numbers)}"
        with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return psycopg.conninfo.make_conninfo(postgresql.connection_string, dbname=name)

    return make


@pytest.fixture(scope="module")
def module_database(make_database: Callable[[str], str]) -> str:
    """The connection string of a database with the schema, for all tests of a module."""
    return make_database("template")
