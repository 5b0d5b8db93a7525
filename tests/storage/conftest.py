"""What the tests of storage share: databases of a module's own, with the schema or without anything."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cbss_inscription.storage import database as database_module
from cbss_inscription.storage.embedded_server import EmbeddedServer
from tests.chaos.cutting import Cable

HANGS_SECONDS = 30.0
"""After which a test says that something waits without end."""
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


@pytest.fixture
def cable(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cable]:
    """What lies between us and the database, and can forget connections; we are impatient."""
    monkeypatch.setattr(database_module, "SILENT_SECONDS_MAX", 1.0)
    monkeypatch.setattr(database_module, "ANSWER_MARGIN_SECONDS", 1.0)
    said = conninfo_to_dict(fresh_database)
    laid = Cable(Path(str(said["host"]), f".s.PGSQL.{said['port']}"))
    yield laid
    laid.close()


def through(cable: Cable, conninfo: str) -> str:
    """The connection string by the cable, to a Unix socket to which libpq has no TLS."""
    return make_conninfo(conninfo, host="127.0.0.1", port=cable.port, sslmode="disable", gssencmode="disable")
