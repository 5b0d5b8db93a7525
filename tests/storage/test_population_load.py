"""Populations in a real database: loaded whole or not at all, with a history that replays, searched, exported."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import FileStatus, Person
from cbss_inscription.domain.phonetics import phonetic_key
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.registers.resolution import HOPS_MAX
from cbss_inscription.repertory.embedded import LINES_MAX
from cbss_inscription.sandbox.population import NumberSpace, make_population
from cbss_inscription.sandbox.population_files import Made, PopulationFiles, export_files, made_rows, make_files
from cbss_inscription.sandbox.population_search import WORDS, parse_search
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.history import StoredHistory
from cbss_inscription.storage.population import (
    FOUND_MAX,
    LOAD_OPERATION,
    FoundPerson,
    PersonCriteria,
    Rows,
    load_rows,
    loaded_recipe,
    search_population,
)

MADE = Made(persons=4_000, inscriptions=3, seed=2, number_space=NumberSpace.FUTURE)
TODAY = date(2026, 6, 1)


def load(conninfo: str, made: Made) -> int:
    rows = made_rows(made)
    return load_rows(conninfo, rows.persons, rows.line_sets, recipe=made.recipe).inscriptions


def counts(conninfo: str) -> tuple[int, ...]:
    with psycopg.connect(conninfo) as connection:
        return tuple(
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # type: ignore[index]
            for table in ("person", "inscription", "inscription_history", "population")
        )


@pytest.fixture(scope="module")
def population(make_database: Callable[[str], str]) -> str:
    conninfo = make_database("template")
    load(conninfo, MADE)
    return conninfo


def test_a_load_leaves_the_schema_as_it_was(population: str, make_database: Callable[[str], str]) -> None:
    """Every constraint and index is there after a load, as in a database without a row."""
    definitions = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace"
        " UNION SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2, 3"
    )
    found = []
    for conninfo in (population, make_database("template")):
        with psycopg.connect(conninfo) as connection:
            found.append(connection.execute(definitions).fetchall())
    assert found[0] == found[1]
    assert len(found[0]) > 20


def test_a_line_set_twice_is_refused_by_the_database_too(fresh_database: str) -> None:
    """Rows that nobody checked are refused when the keys come back; nothing is loaded (rule 25)."""
    row = Rows(b"1\t17/1\tAB\t{[2020-01-01,)}\t{2020-01-01T00:00:00Z}\n", 1)
    with pytest.raises(UsageError, match="UniqueViolation"):
        load_rows(fresh_database, [], [row, row], recipe="twice")
    assert counts(fresh_database) == (0, 0, 0, 0)


def test_persons_are_stored_as_they_are(population: str) -> None:
    """Each file stands there with its legal data, inception date and phonetic key."""
    with psycopg.connect(population) as connection:
        rows = connection.execute(
            "SELECT lpad(ssin::text, 11, '0'), register, status, lpad(replaced_by::text, 11, '0'), last_name,"
            " given_names, birth_date, gender_code, decease_date, register_inception_date, phonetic_key FROM person"
        ).fetchall()
    assert {row[0]: row[1:] for row in rows} == {
        person.ssin.digits: (
            person.register,
            person.status,
            person.replaced_by.digits if person.replaced_by else None,
            person.last_name,
            list(person.given_names),
            str(person.birth_date) if person.birth_date else None,
            person.gender,
            str(person.decease_date) if person.decease_date else None,
            person.register_inception_date,
            phonetic_key(person.last_name),
        )
        for person in MADE.population().persons
    }


async def test_rule_35_the_history_of_a_load_replays_to_the_state(population: str) -> None:
    """Every line has the change that brought it, at its time, by nobody's declaration: verification finds nothing."""
    database = Database(population)
    await database.open()
    try:
        verification = await StoredHistory(database, hops_max=HOPS_MAX).verify()
    finally:
        await database.close()
    assert verification.complete
    assert verification.discrepancies == ()
    with psycopg.connect(population) as connection:
        assert connection.execute(
            "SELECT DISTINCT operation, customer_ticket, legal_context, application_urn, cbe_number"
            " FROM inscription_history"
        ).fetchall() == [(LOAD_OPERATION, None, None, None, None)]
        assert connection.execute("SELECT count(DISTINCT ticket_cbss) FROM inscription_history").fetchone() == (1,)
        assert connection.execute(
            "SELECT (SELECT count(*) FROM inscription_history) >"
            " (SELECT count(*) FROM inscription WHERE cardinality(last_changes) > 0)"
        ).fetchone() == (True,)


async def test_what_was_known_on_a_date_is_known_of_a_load(population: str) -> None:
    """Of a line set that came in steps, only the lines declared by a date were known on it."""
    with psycopg.connect(population) as connection:
        row = connection.execute(
            "SELECT ssin, customer, last_changes FROM inscription WHERE cardinality(last_changes) = 3 LIMIT 1"
        ).fetchone()
    assert row is not None
    moments = sorted(row[2])
    database = Database(population)
    await database.open()
    try:
        history = StoredHistory(database, hops_max=HOPS_MAX)
        ssin = Ssin.of_number(row[0])
        known = [{line.last_change for line in (await history.known_as_of(ssin, moment)).lines} for moment in moments]
        before = await history.known_as_of(ssin, datetime(1999, 1, 1, tzinfo=UTC))
    finally:
        await database.close()
    assert before.lines == ()
    for place, moment in enumerate(moments):
        assert moment in known[place]
        assert all(change <= moment for change in known[place] if change is not None)


def test_an_export_is_byte_for_byte_what_was_made(population: str, tmp_path: Path) -> None:
    """Exporting a load gives the files that `make` writes, and these load into the same again."""
    made = make_files(tmp_path / "made", MADE, lambda _, rows: rows)
    exported = export_files(tmp_path / "exported", population)

    for name in ("persons.csv", "inscriptions.csv"):
        assert (tmp_path / "made" / name).read_bytes() == (tmp_path / "exported" / name).read_bytes()
    assert (exported.persons, exported.inscriptions) == (made.persons, made.inscriptions)
    assert exported.exported_from == MADE.recipe
    assert exported.recipe != MADE.recipe


def test_awkward_names_survive_load_and_export(fresh_database: str, tmp_path: Path) -> None:
    """Commas, quotation marks, bars, backslashes, braces and a name NULL come back as they were, twice."""
    file = "40000060768,nr,active,,{},{},1940-00-00,1,,\n"
    header = "ssin,register,status,replaced_by,last_name,given_names,birth_date,gender_code,decease_date,"
    awkward = file.format('"O\'Neill, ""dit"" \\N"', '"a\\|b|c\\\\d|{e,f}|NULL|""g"""')
    source = tmp_path / "source"
    source.mkdir()
    (source / "persons.csv").write_text(f"{header}register_inception_date\n{awkward}", encoding="utf-8")
    (source / "inscriptions.csv").write_text("ssin,customer,inscription_context,periods,last_changes\n")
    files = PopulationFiles(source)
    rows = files.rows()
    load_rows(fresh_database, rows.persons, rows.line_sets, recipe=files.recipe)

    (found,) = search_population(fresh_database, PersonCriteria(), count=2)
    assert found.person.last_name == 'O\'Neill, "dit" \\N'
    assert found.person.given_names == ("a|b", "c\\d", "{e,f}", "NULL", '"g"')
    export_files(tmp_path / "exported", fresh_database)
    assert (tmp_path / "exported/persons.csv").read_bytes() == (source / "persons.csv").read_bytes()


def test_rule_19_what_a_replacement_merged_beyond_the_limit_is_exported_and_loaded(
    fresh_database: str, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    """A line set of more lines than a caller may make, as replacements merge them, is exported and loads again."""
    load(fresh_database, Made(persons=100, inscriptions=0, seed=2, number_space=NumberSpace.FUTURE))
    with psycopg.connect(fresh_database) as connection:
        connection.execute(
            "INSERT INTO inscription SELECT min(ssin), '17/1', 'PCSA:LIVING_WAGE', range_agg(day), array_agg(at)"
            " FROM (SELECT ssin FROM person WHERE status = 'active' ORDER BY ssin LIMIT 1) AS holder,"
            " (SELECT daterange(date '1990-01-01' + 2 * i, date '1990-01-02' + 2 * i) AS day,"
            "         timestamptz '2024-01-01 08:00Z' AS at FROM generate_series(1, %s) AS i) AS lines",
            (5 * LINES_MAX,),
        )
    export_files(tmp_path / "first", fresh_database)
    other = make_database("template")
    files = PopulationFiles(tmp_path / "first")
    rows = files.rows()
    assert load_rows(other, rows.persons, rows.line_sets, recipe=files.recipe).inscriptions == 1
    export_files(tmp_path / "second", other)
    first, second = ((tmp_path / name / "inscriptions.csv").read_bytes() for name in ("first", "second"))
    assert first == second
    assert first.count(b"/") == 5 * LINES_MAX + 1


@pytest.mark.parametrize("file", ["persons.csv", "inscriptions.csv"])
def test_a_bad_line_far_down_leaves_nothing_loaded(fresh_database: str, tmp_path: Path, file: str) -> None:
    """A fault in the last line of either file undoes the whole load."""
    make_files(tmp_path, MADE, lambda _, rows: rows)
    (tmp_path / "population.json").unlink()
    with (tmp_path / file).open("ab") as spoilt:
        spoilt.write(b"x\n")
    files = PopulationFiles(tmp_path)
    rows = files.rows()
    with pytest.raises(UsageError, match=rf"{file}, line \d+: 1 fields, not"):
        load_rows(fresh_database, rows.persons, rows.line_sets, recipe=files.recipe)
    assert counts(fresh_database) == (0, 0, 0, 0)
    assert loaded_recipe(fresh_database) is None


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("INSERT INTO person VALUES (1, 'nr', 'active', NULL, 'P', '{}', NULL, 0, NULL)", "no synthetic population"),
        ("INSERT INTO inscription VALUES (1, '17/1', 'AB', '{}', '{}')", "no synthetic population's"),
        ("INSERT INTO population (recipe) VALUES ('other')", r"another population \(other\)"),
    ],
)
def test_a_database_in_use_is_refused(fresh_database: str, statement: str, sentence: str) -> None:
    """Somebody's persons, lines or another population are left as they are."""
    with psycopg.connect(fresh_database) as connection:
        connection.execute(statement)
    before = counts(fresh_database)
    with pytest.raises(UsageError, match=sentence):
        load(fresh_database, MADE)
    assert counts(fresh_database) == before


@pytest.mark.parametrize("word", [*WORDS, "minor", "known to 17/1", "in context PCSA:LIVING_WAGE"])
def test_each_word_finds_whom_it_names(population: str, word: str) -> None:
    """A search gives exactly the files that have the property, by rising number, and says why."""
    search = parse_search(word, today=TODAY)
    found = search_population(population, search.criteria, count=FOUND_MAX)
    files = {person.ssin: person for person in MADE.population().persons}
    successors = {person.replaced_by for person in files.values()}
    holders = lines_by_ssin(population)

    expected = sorted(ssin for ssin, person in files.items() if has(word, person, files, successors, holders))
    assert [item.person.ssin for item in found] == expected
    assert expected or word in {"minor", "no birth date"}
    for item in found:
        assert item.person == files[item.person.ssin]
        assert len(search.reasons(item)) == 1


def lines_by_ssin(conninfo: str) -> dict[int, set[tuple[str, str]]]:
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute("SELECT ssin, customer, inscription_context FROM inscription").fetchall()
    held: dict[int, set[tuple[str, str]]] = {}
    for ssin, customer, context in rows:
        held.setdefault(ssin, set()).add((customer, context))
    return held


def has(
    word: str,
    person: Person,
    files: dict,  # type: ignore[type-arg]
    successors: set[Ssin | None],
    holders: dict[int, set[tuple[str, str]]],
) -> bool:
    held = holders.get(person.ssin.number, set())
    successor = files.get(person.replaced_by)
    born, died = person.birth_date, person.decease_date
    names = person.last_name + "".join(person.given_names)
    return {
        "nr": person.register == "nr",
        "bis": person.register == "bis",
        "rad": person.register == "rad",
        "active": person.status == "active",
        "canceled": person.status == "canceled",
        "replaced": person.status == "replaced",
        "replaced chain": successor is not None and successor.status is FileStatus.REPLACED,
        "replaces another": person.ssin in successors,
        "replaced by canceled": successor is not None and successor.status is FileStatus.CANCELED,
        "alive": died is None,
        "deceased": died is not None,
        "incomplete decease date": died is not None and not died.is_complete,
        "complete birth date": born is not None and born.is_complete,
        "incomplete birth date": born is not None and not born.is_complete,
        "no birth date": born is None,
        "man": person.gender == 1,
        "woman": person.gender == 2,
        "sex unknown": person.gender == 0,
        "no given names": not person.given_names,
        "many given names": len(person.given_names) >= 3,
        "accents": not names.isascii(),
        "with inscriptions": bool(held),
        "without inscriptions": not held,
        "minor": False,
        "known to 17/1": any(customer == "17/1" for customer, _ in held),
        "in context PCSA:LIVING_WAGE": any(context == "PCSA:LIVING_WAGE" for _, context in held),
    }[word]


def test_words_are_taken_together_and_answers_are_bounded(population: str) -> None:
    """All words must hold, of one line where they speak of lines; no more come than were asked for."""
    asked = parse_search("known to 17/1, in context PCSA:LIVING_WAGE, woman", today=TODAY).criteria
    held = lines_by_ssin(population)
    found = search_population(population, asked, count=FOUND_MAX)
    women = {person.ssin.number for person in MADE.population().persons if person.gender == 2}
    expected = {ssin for ssin, keys in held.items() if ("17/1", "PCSA:LIVING_WAGE") in keys} & women

    assert {item.person.ssin.number for item in found} == expected
    assert len(search_population(population, PersonCriteria(), count=7)) == 7
    for count in (0, FOUND_MAX + 1):
        with pytest.raises(UsageError, match="a search gives 1 to"):
            search_population(population, PersonCriteria(), count=count)


def test_the_number_of_lines_counts_periods(population: str) -> None:
    """A found person comes with as many lines as there are periods under the number."""
    asked = parse_search("with inscriptions", today=TODAY).criteria
    found: tuple[FoundPerson, ...] = search_population(population, asked, count=50)
    with psycopg.connect(population) as connection:
        for item in found:
            row = connection.execute(
                "SELECT sum(period_count(periods)) FROM inscription WHERE ssin = %s", (item.person.ssin.number,)
            ).fetchone()
            assert row == (item.line_count,)


def test_only_synthetic_populations_are_searched_and_exported(fresh_database: str, tmp_path: Path) -> None:
    """An empty database, and one with somebody's persons, are refused; nothing is written."""
    with pytest.raises(UsageError, match="population load"):
        search_population(fresh_database, PersonCriteria(), count=1)
    with psycopg.connect(fresh_database) as connection:
        connection.execute("INSERT INTO person VALUES (1, 'nr', 'active', NULL, 'Peeters', '{}', NULL, 0, NULL)")
    with pytest.raises(UsageError, match="no synthetic population"):
        search_population(fresh_database, PersonCriteria(), count=1)
    with pytest.raises(UsageError, match="no synthetic population"):
        export_files(tmp_path, fresh_database)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_hundred_thousand_persons_are_loaded_and_exported(fresh_database: str, tmp_path: Path) -> None:
    """A large population is loaded from files, and exported as the same bytes; its history fits its lines."""
    made = Made(persons=100_000, inscriptions=5, seed=4, number_space=NumberSpace.FUTURE)
    manifest = make_files(tmp_path / "made", made, lambda _, rows: rows)
    files = PopulationFiles(tmp_path / "made")
    rows = files.rows()
    loaded = load_rows(fresh_database, rows.persons, rows.line_sets, recipe=files.recipe)

    assert (loaded.persons, loaded.inscriptions) == (100_000, manifest.inscriptions.rows)
    assert 490_000 < loaded.inscriptions < 510_000
    exported = export_files(tmp_path / "exported", fresh_database)
    assert (exported.persons, exported.inscriptions) == (manifest.persons, manifest.inscriptions)


def test_a_population_without_lines_has_no_history(fresh_database: str) -> None:
    """No lines asked for, none there, and no change recorded."""
    made = Made(persons=200, inscriptions=0, seed=1, number_space=NumberSpace.UNISSUED)
    assert load(fresh_database, made) == 0
    assert counts(fresh_database) == (200, 0, 0, 1)
    assert len(make_population(persons=200, seed=1).persons) == 200
