"""What the tables refuse by themselves: history is append-only (rule 35), a number has one file (rule 11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import FileStatus, Person, Register
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.population import empty_database, load_population, loaded_recipe

ROW = (
    "INSERT INTO inscription_history (ssin, customer, inscription_context, operation, before, after, changed_at,"
    " ticket_cbss, legal_context, application_urn, cbe_number)"
    " VALUES (1, '17/1', 'AB', 'insertInscription', '{}', '{[2024-01-01,)}', now(), gen_random_uuid(), 'AB', 'u', 'c')"
)
PERSON = Person(ssin=Ssin.parse("85073003328"), register=Register.NR, status=FileStatus.ACTIVE, last_name="Peeters")


@pytest.fixture
def connection(module_database: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection whose changes are undone at the end of the test."""
    with psycopg.connect(module_database) as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize("has_row", [False, True])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE inscription_history SET after = '{}'",
        "UPDATE inscription_history SET changed_at = now() WHERE ssin = 1",
        "DELETE FROM inscription_history",
        "DELETE FROM inscription_history WHERE ssin = 1",
        "TRUNCATE inscription_history",
        "TRUNCATE person, inscription_history",
        "WITH changed AS (UPDATE inscription_history SET after = '{}' RETURNING 1) SELECT FROM changed",
        "MERGE INTO inscription_history USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
    ],
)
def test_rule_35_history_is_append_only(connection: psycopg.Connection[Any], statement: str, *, has_row: bool) -> None:
    """No statement changes or removes a row of history, even where there is none; adding goes on (rule 35)."""
    if has_row:
        connection.execute(ROW)
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"), connection.transaction():
        connection.execute(statement)
    connection.execute(ROW)
    assert connection.execute("SELECT count(*) FROM inscription_history").fetchone() == (1 + int(has_row),)


def test_rule_35_changes_are_numbered_by_the_database(connection: psycopg.Connection[Any]) -> None:
    """Nobody chooses the number of a change: the database counts (rule 35)."""
    connection.execute(ROW)
    with pytest.raises(psycopg.errors.GeneratedAlways), connection.transaction():
        connection.execute(ROW.replace("(ssin,", "(change_number, ssin,").replace("VALUES (1,", "VALUES (7, 1,"))


@pytest.mark.parametrize(
    ("periods", "times"),
    [
        ("{[2024-01-01,2024-02-01)}", 0),
        ("{[2024-01-01,2024-02-01)}", 2),
        ("{}", 1),
        ("{[2023-01-01,2023-02-01),[2024-01-01,2024-02-01)}", 0),
        ("{[2023-01-01,2023-02-01),[2024-01-01,2024-02-01)}", 1),
        ("{[2023-01-01,2023-02-01),[2024-01-01,2024-02-01)}", 3),
        ("{[2024-01-01,),[2023-01-01,)}", 2),
    ],
)
def test_rule_25_every_line_has_one_last_change(connection: psycopg.Connection[Any], periods: str, times: int) -> None:
    """A line set with another number of times than lines is refused by the table (rule 25)."""
    with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
        connection.execute(
            "INSERT INTO inscription VALUES (1, '17/1', 'AB', %s, array_fill(now(), ARRAY[%s::integer]))",
            (periods, times),
        )


@pytest.mark.parametrize(("status", "successor"), [("active", 2), ("canceled", 2), ("replaced", None)])
def test_rule_15_only_a_replaced_file_has_a_successor(
    connection: psycopg.Connection[Any], status: str, successor: int | None
) -> None:
    """The table refuses a file whose state and successor contradict each other (rule 15)."""
    with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
        connection.execute(
            "INSERT INTO person VALUES (1, 'nr', %s, %s, 'Peeters', '{}', NULL, 0, NULL)", (status, successor)
        )


def test_rule_11_a_number_has_one_file(fresh_database: str) -> None:
    """Loading a number that the database knows is refused without its row's words; nothing of it stays (rule 11)."""
    assert loaded_recipe(fresh_database) is None
    assert load_population(fresh_database, [PERSON], recipe="first") == 1
    other = Person(ssin=Ssin.parse("17073003384"), register=Register.NR, status=FileStatus.ACTIVE, last_name="Janssens")
    with pytest.raises(UsageError, match=r"\Athe database refuses the population: UniqueViolation\Z") as refused:
        load_population(fresh_database, [other, PERSON], recipe="second")
    assert refused.value.__suppress_context__
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT last_name FROM person").fetchall() == [("Peeters",)]
    assert loaded_recipe(fresh_database) == "first"


def test_persons_of_somebody_else_are_left_alone(connection: psycopg.Connection[Any], fresh_database: str) -> None:
    """A database with persons that no population tool loaded is refused; one that is emptied has no table left."""
    with psycopg.connect(fresh_database) as foreign:
        foreign.execute("INSERT INTO person VALUES (1, 'nr', 'active', NULL, 'Peeters', '{}', NULL, 0, NULL)")
    with pytest.raises(UsageError, match="no synthetic population"):
        loaded_recipe(fresh_database)
    empty_database(fresh_database)
    with psycopg.connect(fresh_database) as emptied:
        assert emptied.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
