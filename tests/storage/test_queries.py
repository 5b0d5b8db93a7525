"""Every query of queries.sql fits the schema, is used, and finds its rows by the primary key (performance.md)."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg
import pytest

import cbss_inscription
from cbss_inscription.storage.queries import QUERIES

SOURCE = Path(cbss_inscription.__file__).parent
PARAMETER = re.compile(r"%\((\w+)\)s")
# PostgreSQL prepares only what has a plan; these are run instead, and undone.
UTILITIES = {
    "analyze_persons",
    "analyze_population",
    "copy_answered_declarations",
    "copy_audit_chunk",
    "copy_audit_evidence",
    "copy_chunks",
    "copy_history",
    "copy_inscriptions",
    "copy_new_line_sets",
    "copy_persons",
    "drop_everything",
    "drop_keys_of_lines",
    "export_inscriptions",
    "export_persons",
    "lock_population",
    "one_moment",
    "restore_keys_of_lines",
}


def prepared(name: str) -> tuple[str, list[str]]:
    """The query as PREPARE takes it, with $1, $2, … for its named parameters, and their names in that order."""
    names: list[str] = []

    def number(shape: re.Match[str]) -> str:
        if shape[1] not in names:
            names.append(shape[1])
        return f"${names.index(shape[1]) + 1}"

    return f"PREPARE {name} AS " + PARAMETER.sub(number, QUERIES[name]), names


@pytest.mark.parametrize("name", sorted(set(QUERIES) - UTILITIES))
def test_every_query_fits_the_schema(module_database: str, name: str) -> None:
    """Each query that has a plan is prepared without error against the schema: none is broken."""
    statement, names = prepared(name)
    with psycopg.connect(module_database) as connection:
        connection.execute(statement.encode())
        row = connection.execute(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = %s", (name,)
        ).fetchone()
    assert row == (len(names),)


@pytest.mark.parametrize("name", sorted(UTILITIES))
def test_every_utility_statement_runs(module_database: str, name: str) -> None:
    """Each statement without a plan runs against the schema (and is undone here)."""
    with psycopg.connect(module_database) as connection, connection.cursor() as cursor:
        if "FROM STDIN" in QUERIES[name]:
            with cursor.copy(QUERIES[name].encode()) as copy:
                if "FORMAT binary" in QUERIES[name]:
                    copy.write(b"PGCOPY\n\xff\r\n\x00" + bytes(8) + b"\xff\xff")
        elif " TO STDOUT" in QUERIES[name]:
            with cursor.copy(QUERIES[name].encode()) as copy:
                assert b"".join(copy).endswith(b"\n")
        else:
            if name == "restore_keys_of_lines":
                cursor.execute(QUERIES["drop_keys_of_lines"].encode())
            cursor.execute(QUERIES[name].encode())
        connection.rollback()


def test_every_query_named_by_the_program_exists_and_every_query_is_used() -> None:
    """What the program looks up by name and what is in queries.sql are the same: none is missing, none is dead."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted((SOURCE / "storage").glob("*.py")))
    named = re.findall(r"QUERIES\[\"(\w+)\"\]|\.(?:rows?|delete|execute)\(\s*\"(\w+)\"", text)
    assert {first or second for first, second in named} == set(QUERIES)


def test_every_query_says_what_it_gives() -> None:
    """Each query begins with a comment, names are unique, and none has a literal percent sign to trip over."""
    text = resources.files("cbss_inscription.storage").joinpath("queries.sql").read_text(encoding="utf-8")
    names = re.findall(r"^-- name: (\w+)$", text, re.MULTILINE)
    assert sorted(names) == sorted(QUERIES)
    for sql in QUERIES.values():
        assert sql.startswith("-- ")
        assert "%" not in PARAMETER.sub("", sql)


@pytest.fixture(scope="module")
def crowded_database(module_database: str) -> str:
    """A database with enough persons, lines and messages that a scan of a whole table would cost."""
    with psycopg.connect(module_database) as connection:
        connection.execute(
            "INSERT INTO person SELECT n, 'nr', 'replaced', n + 1, 'Peeters', '{}', NULL, 0, NULL"
            " FROM generate_series(1, 20000) AS n"
        )
        connection.execute(
            "INSERT INTO inscription SELECT n, '17/1', 'AB', '{[2024-01-01,)}', ARRAY[now()]"
            " FROM generate_series(1, 20000) AS n"
        )
        connection.execute(
            "INSERT INTO replacement SELECT n, n - 1, now(), gen_random_uuid() FROM generate_series(30000, 50000) AS n"
        )
        connection.execute(
            "INSERT INTO answered_declaration SELECT '17/1', n::text, '', '', now() FROM generate_series(1, 20000) AS n"
        )
        connection.execute("ANALYZE")
    return module_database


def plan_of(conninfo: str, name: str, arguments: dict[str, Any]) -> str:
    """The plan for any arguments, as the pool's prepared statements get it; small numbers come as int4."""
    statement, names = prepared(name)
    values = ", ".join(psycopg.sql.Literal(arguments.get(key)).as_string(None) for key in names)
    with psycopg.connect(conninfo) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(statement.encode())
        rows = connection.execute(f"EXPLAIN EXECUTE {name}{f'({values})' if values else ''}".encode()).fetchall()
    return "\n".join(str(row[0]) for row in rows)


@pytest.mark.parametrize(
    ("name", "index", "arguments"),
    [
        ("lines", "inscription_pkey", {"ssin": 7, "customer": "17/1", "inscription_contexts": ["AB"]}),
        ("lines", "replacement_pkey", {"ssin": 7, "customer": "17/1", "other_contexts": ["AB"]}),
        ("chain_of_files", "person_pkey", {"ssin": 7, "hops_max": 10}),
        ("change_line_set", "inscription_pkey", {"ssin": 7, "customer": "17/1", "inscription_context": "AB"}),
        ("change_line_set", "replacement_pkey", {"ssin": 7, "customer": "17/1", "inscription_context": "AB"}),
        ("change_line_set", "answered_declaration_pkey", {"ssin": 7, "customer": "17/1", "ticket": "T1"}),
    ],
)
def test_one_person_is_found_by_the_primary_key(
    crowded_database: str, name: str, index: str, arguments: dict[str, Any]
) -> None:
    """What a request asks of one person uses the primary key, and scans no table (performance.md)."""
    plan = plan_of(crowded_database, name, arguments)
    assert f"using {index}" in plan
    assert "Seq Scan" not in plan
    conditions = "\n".join(re.findall(r"Index Cond: .*", plan))
    assert "ssin" in conditions


@pytest.mark.parametrize(
    ("name", "index", "condition", "arguments"),
    [
        ("files_like", "person_phonetic_key", "phonetic_key =", {"phonetic_key": "PTRS", "registers": ["nr"]}),
        ("any_missing_key", "person_phonetic_key", "phonetic_key IS NULL", {}),
        ("names_without_key", "person_pkey", "ssin >", {"after": 7, "row_count_max": 10}),
    ],
)
def test_rule_22_persons_are_found_by_the_index_of_their_phonetic_keys(
    crowded_database: str, name: str, index: str, condition: str, arguments: dict[str, Any]
) -> None:
    """A phonetic search, and the search for persons without a key, read what they give and no whole table (rule 22)."""
    plan = plan_of(crowded_database, name, arguments)
    assert index in plan
    assert "Seq Scan" not in plan
    assert condition in "\n".join(re.findall(r"Index Cond: .*", plan))
