"""`cbss-inscription population`: from words to a database and back, as a user does it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import psycopg
import pytest

from cbss_inscription.app.sandbox import SandboxOptions, _prepare_database, _refuse_loss
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import Register
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.population import holds_unseen_files, loaded_recipe
from tests.acceptance.conftest import Command
from tests.acceptance.test_sandbox_repair import Told
from tests.conftest import RunningSandbox

SIZE = ("--persons", 400, "--inscriptions", 2, "--seed", 8)


def test_a_population_is_made_loaded_searched_and_exported(
    command: Command, fresh_database: str, tmp_path: Path
) -> None:
    """Files are made, loaded, found again by property, and exported as the same bytes; loading again does nothing."""
    made = command("population", "make", tmp_path / "made", *SIZE)
    assert made.exit_code == 0
    assert made.out.startswith("400 persons and ")

    loaded = command("population", "load", tmp_path / "made", "--database", fresh_database)
    assert loaded.exit_code == 0
    assert loaded.out.startswith(made.out.split(" in ")[0])
    with psycopg.connect(fresh_database) as connection:
        connection.execute("UPDATE person SET phonetic_key = NULL")  # as a former version left it
    again = command("population", "load", "--database", fresh_database, *SIZE)
    assert (again.exit_code, again.out) == (0, "nothing to do: the database holds this population\n")

    asked = ("population", "search", "nr, DECEASED", "--database", fresh_database, "--count", "3")
    found = json.loads(command(*asked, "--format", "json").out)
    assert 0 < len(found) <= 3
    for person in found:
        assert person["register"] == "nr"
        assert person["matches"] == ["nr", f"deceased {person['decease_date']}"]
    rows = list(csv.DictReader(io.StringIO(command(*asked, "--format", "csv").out)))
    assert [row["ssin"] for row in rows] == [person["ssin"] for person in found]
    table = command(*asked)
    assert table.exit_code == 0
    assert Ssin.parse(found[0]["ssin"]).formatted in table.out

    exported = command("population", "export", tmp_path / "exported", "--database", fresh_database)
    assert exported.exit_code == 0
    for name in ("persons.csv", "inscriptions.csv"):
        assert (tmp_path / "exported" / name).read_bytes() == (tmp_path / "made" / name).read_bytes()


def test_a_sandbox_is_a_population_too(command: Command, sandbox: RunningSandbox) -> None:
    """The settings of a sandbox lead to its population; nobody found is exit status 1."""
    settings = sandbox.path("settings.toml")
    found = command("population", "search", "replaced chain", "--settings", settings, "--format", "json")
    assert sandbox.ssin("replaced_chain") in {person["ssin"] for person in json.loads(found.out)}

    nobody = command("population", "search", "no birth date", "--settings", settings)
    assert (nobody.exit_code, nobody.out) == (1, "")
    assert nobody.err == "Nobody has all of these properties.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("load",), "give a directory, or --persons"),
        (("load", "x", "--persons", 100), "give a directory, or --persons"),
        (("load", "--persons", 100), "give either --settings or --database"),
        (("load", "nowhere", "--database", "dbname=x"), "nowhere/persons.csv: no such file"),
        (("load", "--persons", 10, "--database", "dbname=x"), "at least 100 persons"),
        (("load", "--persons", 100, "--inscriptions", 41, "--database", "dbname=x"), "0 to 40 inscriptions"),
        (("search", "tall", "--database", "dbname=x"), "'tall' is not a word of a search"),
        (("search", "nr", "--settings", "a", "--database", "b"), "give either --settings or --database"),
        (("export", "x"), "give either --settings or --database"),
        (("make", "x", "--numbers", "unissued", "--persons", 50_000), "40000 persons at most"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], sentence: str
) -> None:
    """Each wrong use is one sentence and exit status 2, before anything is written."""
    monkeypatch.chdir(tmp_path)
    result = command("population", *arguments)
    assert result.exit_code == 2
    assert sentence in result.sentence
    assert list(tmp_path.iterdir()) == []


def test_a_bad_file_is_one_sentence_without_its_values(command: Command, fresh_database: str, tmp_path: Path) -> None:
    """File, line and rule are told; the number and the name that stand there are not."""
    command("population", "make", tmp_path, *SIZE)
    file = tmp_path / "persons.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    ssin = lines[7][:11]
    lines[7] = lines[7].replace(ssin, f"{ssin[:9]}{int(ssin[9:]) % 97 + 1:02d}", 1)
    file.write_text("".join(lines), encoding="utf-8")

    result = command("population", "load", tmp_path, "--database", fresh_database)

    assert result.exit_code == 2
    assert result.err.splitlines()[-1] == f"cbss-inscription: {file}, line 8: ssin: not an SSIN: check"
    assert ssin[:9] not in result.err


def test_a_sandbox_of_a_former_version_gets_its_population_anew(fresh_database: str, tmp_path: Path) -> None:
    """A recipe without version is another one: our own database is emptied and filled, a stranger's is refused."""
    with psycopg.connect(fresh_database) as connection:
        connection.execute("INSERT INTO person VALUES (1, 'nr', 'active', NULL, 'Peeters', '{}', NULL, 0, NULL)")
        connection.execute("INSERT INTO population (recipe) VALUES ('persons=200 seed=1 numbers=future')")
    options = SandboxOptions(directory=tmp_path, persons=200, inscriptions=2)
    with pytest.raises(UsageError, match="another population"):
        _refuse_loss(fresh_database, options, frozenset(Register), is_ours=False)

    _prepare_database(fresh_database, options, Told(), frozenset(Register))
    with psycopg.connect(fresh_database) as connection:
        connection.execute("UPDATE person SET phonetic_key = NULL WHERE ssin % 2 = 0")
    _prepare_database(fresh_database, options, Told(), frozenset(Register))

    assert loaded_recipe(fresh_database) == options.recipe
    with psycopg.connect(fresh_database) as connection:
        row = connection.execute(
            "SELECT count(*), count(phonetic_key), (SELECT count(*) FROM inscription) FROM person"
        ).fetchone()
    assert row is not None
    assert row[:2] == (200, 200)
    assert 300 < row[2] < 500


def test_one_population_fills_two_databases(
    command: Command, fresh_database: str, tmp_path: Path, postgresql: EmbeddedServer
) -> None:
    """`load --registers` writes the files of these registers alone; a National Register has no inscriptions."""
    asked = ("population", "load", "--persons", 200, "--inscriptions", 1, "--database", fresh_database)
    refused = command(*asked, "--registers", "nr,ran")
    assert (refused.exit_code, "nr, bis and rad" in refused.sentence) == (2, True)
    assert command(*asked, "--registers", "bis,rad").exit_code == 0
    assert "nothing to do" in command(*asked, "--registers", "rad, BIS").out
    assert "another population" in command(*asked, "--registers", "nr").err
    assert not holds_unseen_files(fresh_database)
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT DISTINCT register FROM person ORDER BY 1").fetchall() == [("bis",), ("rad",)]
        (lines,) = connection.execute("SELECT count(*) FROM inscription").fetchone() or (0,)
    assert lines > 100

    with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
        connection.execute("CREATE DATABASE national_register_alone")
    database = psycopg.conninfo.make_conninfo(postgresql.connection_string, dbname="national_register_alone")
    assert command(*asked[:-1], database, "--registers", "nr").exit_code == 0
    assert holds_unseen_files(database)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT DISTINCT register FROM person").fetchall() == [("nr",)]
        assert connection.execute("SELECT count(*) FROM inscription").fetchone() == (0,)
        connection.execute(
            "INSERT INTO person_history (ssin, event, after, changed_at, ticket_cbss, operator) "
            "SELECT ssin, 'radOut', '{}', now(), gen_random_uuid(), 'o' FROM person"
        )
    assert not holds_unseen_files(database)  # a copy that RAD-out leaves is as it should be
