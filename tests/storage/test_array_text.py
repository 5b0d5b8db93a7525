"""Arrays as text are read by the server as they were meant, whatever a ticket contains (rule 38)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cbss_inscription.storage.array_text import array_of_numbers, array_of_texts

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@pytest.fixture(scope="module")
def connection(module_database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(module_database, autocommit=True) as connection:
        yield connection


@settings(deadline=None)
@given(texts=st.lists(TEXTS, max_size=5))
@example(texts=['"', "\\", '\\"', "{}", ",", "", " ", "NULL", "\n", "é"])
def test_texts_are_read_as_they_are(connection: psycopg.Connection[Any], texts: list[str]) -> None:
    """The server reads from an array's text the texts that it was made of, in their order (rule 38)."""
    row = connection.execute("SELECT %s::text[]", [array_of_texts(texts)]).fetchone()
    assert row == (texts,)


@settings(deadline=None)
@given(numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5))
def test_numbers_are_read_as_they_are(connection: psycopg.Connection[Any], numbers: list[int]) -> None:
    """The server reads from an array's text the numbers that it was made of, in their order (rule 38)."""
    row = connection.execute("SELECT %s::bigint[]", [array_of_numbers(numbers)]).fetchone()
    assert row == (numbers,)
