"""Databases for the tests of batches: one a module, for making one takes longer than most tests."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from cbss_inscription.storage.embedded_server import EmbeddedServer


@pytest.fixture(scope="module")
def make_database(postgresql: EmbeddedServer, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Makes a database with the schema, by a name that the module has not given yet."""

    def make(name: str) -> str:
        whole = f"{request.module.__name__.rpartition('.')[2]}_{name}"
        with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {whole} TEMPLATE template")
        return psycopg.conninfo.make_conninfo(postgresql.connection_string, dbname=whole)

    return make
