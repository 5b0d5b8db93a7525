"""Values of COPY's binary format against what the same values are when they go in as parameters (rules 35, 37)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbss_inscription.domain.spans import FOREVER, Spans, joined
from cbss_inscription.storage.batch_work import write_spans
from cbss_inscription.storage.binary_rows import (
    of_byte_strings,
    of_bytes,
    of_integer,
    of_moment,
    of_moments,
    of_number,
    of_small_numbers,
    of_spans,
    of_text,
    of_texts,
    of_uuids,
    read_spans,
    row_of,
    whole,
)

LAST = date.max.toordinal()
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3))]))


@st.composite
def spans(draw: st.DrawFn) -> Spans:
    """Spans as a person's lines have them: the last may be open, or end with the calendar."""
    found: Spans = ()
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(1, LAST))
        found = joined(found, (begin, draw(st.integers(begin + 1, LAST + 1) | st.just(FOREVER))))
    return found


ROWS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.none() | TEXTS,
        st.binary(max_size=20),
        st.uuids(),
        MOMENTS,
        st.lists(MOMENTS, max_size=3),
        st.integers(-(2**31), 2**31 - 1),
        st.lists(st.none() | TEXTS, max_size=3),
        st.lists(st.none() | st.binary(max_size=20), max_size=3),
        st.lists(st.uuids(), max_size=3),
        st.lists(st.integers(-(2**15), 2**15 - 1), max_size=3),
        spans(),
    ),
    max_size=4,
)
Row = tuple[
    int,
    str | None,
    bytes,
    UUID,
    datetime,
    list[datetime],
    int,
    list[str | None],
    list[bytes | None],
    list[UUID],
    list[int],
    Spans,
]


def in_binary(row: Row) -> bytes:
    number, words, data, ticket, at, times, count, texts, strings, tickets, places, periods = row
    return b"".join(
        (
            row_of(12),
            of_number(number),
            of_text(words),
            of_bytes(data),
            of_bytes(ticket.bytes),
            of_moment(at),
            of_moments(times),
            of_integer(count),
            of_texts(texts),
            of_byte_strings(strings),
            of_uuids([one.bytes for one in tickets]),
            of_small_numbers(places),
            of_spans(periods),
        )
    )


@pytest.fixture(scope="module")
def connection(module_database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE copied (place bigint GENERATED ALWAYS AS IDENTITY, number bigint, words text,"
            " data bytea, ticket uuid, at timestamptz, times timestamptz[], count integer, texts text[],"
            " strings bytea[], tickets uuid[], places smallint[], periods datemultirange)"
        )
        connection.execute("CREATE TEMPORARY TABLE given (LIKE copied INCLUDING ALL)")
        yield connection


@settings(deadline=None)
@given(rows=ROWS)
def test_rule_37_rows_copied_in_binary_are_the_rows_inserted_one_by_one(
    connection: psycopg.Connection[Any], rows: list[Row]
) -> None:
    """Whatever the values, both ways leave the same: nulls, no elements, open ends, the last day; and spans are read
    back as they were (rule 37).
    """
    connection.execute("TRUNCATE copied, given RESTART IDENTITY")
    columns = "(number, words, data, ticket, at, times, count, texts, strings, tickets, places, periods)"
    with connection.cursor() as cursor, cursor.copy(f"COPY copied {columns} FROM STDIN WITH (FORMAT binary)") as copy:
        copy.write(whole(map(in_binary, rows)))
    for *values, periods in rows:
        connection.execute(
            f"INSERT INTO given {columns} VALUES (%s, %s, %s, %s, %s, %s::timestamptz[], %s, %s::text[], %s::bytea[],"
            " %s::uuid[], %s::smallint[], %s::datemultirange)",
            (*values, write_spans(periods)),
        )
    for one, other in (("copied", "given"), ("given", "copied")):
        assert connection.execute(f"SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other}").fetchall() == []
    read = connection.execute("SELECT multirange_send(periods) FROM given ORDER BY place", binary=True).fetchall()
    assert [read_spans(value) for (value,) in read] == [row[-1] for row in rows]
