"""Files and their chains in PostgreSQL: rules 15 to 18 against a naive walk."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbss_inscription.domain.legal_data import FileStatus, Gender, InvalidPerson, Person, Register
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.ssin import Ssin, check_digits
from cbss_inscription.registers.resolution import Found, resolve
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.persons import StoredPersons
from cbss_inscription.storage.population import load_population

FILES_MAX = 16


@dataclass
class Registers:
    """The registers under test in an event loop of their own, and what puts files into them."""

    runner: asyncio.Runner
    conninfo: str
    persons: StoredPersons
    behind: psycopg.Connection[Any]

    def hold(self, files: list[Person]) -> None:
        self.behind.execute("DELETE FROM person")
        with self.behind.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO person VALUES (%s, %s, %s, %s, %s, '{}', NULL, 0, NULL)",
                [
                    (
                        file.ssin.number,
                        file.register.value,
                        file.status.value,
                        file.replaced_by.number if file.replaced_by else None,
                        file.last_name,
                    )
                    for file in files
                ],
            )

    def chain_of(self, ssin: Ssin, hops_max: int) -> tuple[Person, ...]:
        return self.runner.run(self.persons.chain_of(ssin, hops_max=hops_max))

    def chains_of(self, ssins: Collection[Ssin], hops_max: int) -> dict[Ssin, tuple[Person, ...]]:
        return self.runner.run(self.persons.chains_of(ssins, hops_max=hops_max))


@pytest.fixture(scope="module")
def registers(module_database: str) -> Iterator[Registers]:
    with asyncio.Runner() as runner, psycopg.connect(module_database, autocommit=True) as behind:
        database = Database(module_database, connections_max=1)
        runner.run(database.open())
        yield Registers(runner=runner, conninfo=module_database, persons=StoredPersons(database), behind=behind)
        runner.run(database.close())


def ssin(index: int) -> Ssin:
    first_nine = f"000101{index + 1:03d}"
    return Ssin.parse(first_nine + check_digits(first_nine, century=2000))


def file(index: int, fate: str | int) -> Person:
    """The file number `index`: `active`, `canceled`, or replaced by the file of another number."""
    replaced = isinstance(fate, int)
    return Person(
        ssin=ssin(index),
        register=Register.NR,
        status=FileStatus.REPLACED if replaced else FileStatus(str(fate)),
        replaced_by=ssin(int(fate)) if replaced else None,
        last_name=f"Number {index}",
    )


# Files by index; a successor may be any number, itself and numbers without a file included.
GRAPHS = st.dictionaries(
    st.integers(0, FILES_MAX - 1),
    st.sampled_from(["active", "canceled"]) | st.integers(0, FILES_MAX),
    max_size=FILES_MAX,
) | st.permutations(range(FILES_MAX)).map(
    # Long chains, which plain dictionaries seldom have: each is replaced by the next, the last is active.
    lambda order: dict(zip(order, [*order[1:], "active"], strict=True))
)


def naive_walk(graph: dict[int, str | int], start: int, hops_max: int) -> list[int]:
    """From file to file while there is one that was not met; at most `hops_max` + 1 after the first."""
    walked: list[int] = []
    here: str | int = start
    while isinstance(here, int) and here in graph and here not in walked and len(walked) < hops_max + 2:
        walked.append(here)
        here = graph[here]
    return walked


@settings(deadline=None)
@given(graph=GRAPHS, starts=st.sets(st.integers(0, FILES_MAX)), hops_max=st.integers(0, 12))
def test_rule_16_chains_asked_together_are_those_asked_one_by_one(
    registers: Registers, graph: dict[int, str | int], starts: set[int], hops_max: int
) -> None:
    """For many numbers at once each chain is what a naive walk gives, empty where there is no file (rules 16, 37)."""
    registers.hold([file(index, fate) for index, fate in graph.items()])
    found = registers.chains_of([ssin(start) for start in starts], hops_max)
    assert found == {
        ssin(start): tuple(file(index, graph[index]) for index in naive_walk(graph, start, hops_max))
        for start in starts
    }


@settings(deadline=None)
@given(graph=GRAPHS, start=st.integers(0, FILES_MAX), hops_max=st.integers(0, 12))
def test_rule_16_a_chain_is_what_a_naive_walk_finds(
    registers: Registers, graph: dict[int, str | int], start: int, hops_max: int
) -> None:
    """One query gives the files that a walk from file to file gives, loops and missing files included (rule 16)."""
    registers.hold([file(index, fate) for index, fate in graph.items()])
    expected = naive_walk(graph, start, hops_max)
    chain = registers.chain_of(ssin(start), hops_max)
    assert chain == tuple(file(index, graph[index]) for index in expected)

    # Rule 17: accepted exactly when a walk of at most `hops_max` steps ends at an active file.
    here: str | int = start
    for _ in range(hops_max):
        if isinstance(graph.get(int(here)), int):
            here = graph[int(here)]
    resolution = resolve(ssin(start), chain, hops_max=hops_max)
    assert isinstance(resolution, Found) == (graph.get(int(here)) == "active")
    if isinstance(resolution, Found):
        assert resolution.person.ssin == ssin(int(here))
        assert resolution.replaces == (None if here == start else ssin(start))


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
DATES = st.builds(IncompleteDate.of_date, st.dates()).filter(lambda day: day.year < 3000) | st.builds(
    IncompleteDate, st.integers(1, 2999), st.integers(0, 12), st.just(0)
)
PERSONS = st.builds(
    Person,
    ssin=st.integers(0, 900).map(ssin),
    register=st.sampled_from([Register.NR, Register.RAD]),
    status=st.sampled_from([FileStatus.ACTIVE, FileStatus.CANCELED]),
    last_name=TEXT,
    given_names=st.lists(TEXT, max_size=14).map(tuple),
    birth_date=st.none() | DATES,
    gender=st.sampled_from(Gender),
    decease_date=st.none() | DATES,
)


@settings(deadline=None)
@given(persons=st.lists(PERSONS, max_size=5, unique_by=lambda person: person.ssin))
def test_rule_24_a_file_comes_back_as_it_was_loaded(registers: Registers, persons: list[Person]) -> None:
    """Leading zeros, names in any script and incomplete dates survive loading and reading (rules 1, 24)."""
    registers.behind.execute("DELETE FROM person")
    assert load_population(registers.conninfo, persons, recipe="any") == len(persons)
    for person in persons:
        assert registers.chain_of(person.ssin, 10) == (person,)


@pytest.mark.parametrize(
    ("digits", "register"),
    [("85073003328", Register.BIS), ("98472899765", Register.NR), ("75260898052", Register.RAD)],
)
def test_rule_12_a_file_stands_in_the_register_of_its_number(
    registers: Registers, digits: str, register: Register
) -> None:
    """BIS files bear BIS numbers, NR and RAD files the others: as values and in the database (rule 12)."""
    with pytest.raises(InvalidPerson):
        Person(ssin=Ssin.parse(digits), register=register, status=FileStatus.ACTIVE, last_name="Peeters")
    with pytest.raises(psycopg.errors.CheckViolation):
        registers.behind.execute(
            "INSERT INTO person VALUES (%s::bigint, %s, 'active', NULL, 'Peeters', '{}', NULL, 0, NULL)",
            (int(digits), register.value),
        )


def test_e3_a_number_without_a_file_has_no_chain(registers: Registers) -> None:
    """A number that no register knows gives no file at all (E3)."""
    registers.hold([])
    assert registers.chain_of(ssin(0), 10) == ()
