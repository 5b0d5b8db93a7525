"""What the tests of the repertory share: one database a module, for making one takes longer than most tests."""

from __future__ import annotations

import psycopg
import pytest

from cbss_inscription.storage.embedded_server import EmbeddedServer
from tests.repertory.houses import Pki


@pytest.fixture(scope="module")
def module_database(postgresql: EmbeddedServer, request: pytest.FixtureRequest) -> str:
    """The connection string of a database with the schema, for all tests of a module; it ends with its server."""
    name = request.module.__name__.rpartition(".")[2]
    with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template")
    return psycopg.conninfo.make_conninfo(postgresql.connection_string, dbname=name)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Files of a test PKI."""
    return Pki.make(tmp_path_factory.mktemp("houses") / "pki")
