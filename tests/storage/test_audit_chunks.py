"""Chunks of records in the journal: verified to the last value, found by index, archived and held as others are."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cbss_inscription.domain.customer import TICKET_LENGTH_MAX, CustomerIdentification, InformationCustomer
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.ticket_cbss import new_tickets
from cbss_inscription.governance.audit_export import records_of_export, verify_export, write_line
from cbss_inscription.governance.chain import CHAIN_START
from cbss_inscription.governance.journal import AuditedOutcome, AuditKeys, AuditRecord, new_audit_keys, read_audit_keys
from cbss_inscription.governance.verification import FindingKind
from cbss_inscription.storage.archive import ArchivedMonth, archive_lines, drop_month, due_months
from cbss_inscription.storage.chain import link_records, make_months, seal_links, write_records
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.holds import Hold, is_held
from cbss_inscription.storage.journal_lookup import record_of_ticket, records_of_customer_ticket, records_of_person
from cbss_inscription.storage.journal_reading import Criteria, export_lines, search_records, verify_journal
from cbss_inscription.storage.queries import QUERIES
from tests.storage.chunks import write_chunk

Connection = psycopg.Connection[tuple[Any, ...]]
KEYS: AuditKeys = read_audit_keys(new_audit_keys("one"), origin="keys")
SSINS = ("85073003328", "17073003384", "40600000197")
AT = datetime(2026, 3, 10, 9, tzinfo=UTC)
LATER = AT + timedelta(minutes=1)
RECORDS = 7
"""One record, a chunk of three, under one seal; then a chunk of three."""
K = FindingKind


def of_call(at: datetime, *, customer_ticket: str | None = "ours") -> tuple[datetime, AuditRecord]:
    """A record of a call online, with its time."""
    ticket, time = uuid4(), at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return at, AuditRecord(
        ticket_cbss=str(ticket),
        timestamp_receive=time,
        timestamp_reply=time,
        service="CBSSInscription",
        customer_ticket=customer_ticket,
        persons=(KEYS.seal(SSINS[0], ticket, asked=True),),
        outcome=AuditedOutcome(value="DATA_FOUND"),
    )


@pytest.fixture(scope="module")
def journal(make_database: Callable[[str], str]) -> Iterator[Connection]:
    with psycopg.connect(make_database("template"), autocommit=True) as connection:
        write_records(connection, [of_call(AT)])
        write_chunk(connection, KEYS, SSINS, at=AT, customer_tickets=["other", "ours"])
        link_records(connection)
        seal_links(connection, lambda _: None, now=AT)
        write_chunk(connection, KEYS, SSINS, at=LATER, customer_tickets=['"theirs" \n\té %s'])
        link_records(connection)
        yield connection


@pytest.fixture
def connection(journal: Connection) -> Iterator[Connection]:
    """The same journal in a transaction that is undone, and in which nothing is append-only or checked."""
    with journal.transaction(force_rollback=True):
        journal.execute("SET LOCAL session_replication_role = replica")
        for name in ("tickets", "arrays"):
            journal.execute(f"ALTER TABLE audit_chunk DROP CONSTRAINT audit_chunk_{name}_check")  # type: ignore[arg-type]
        yield journal


def found(connection: Connection) -> list[tuple[FindingKind, str]]:
    verifier = verify_journal(connection, trust=None, keys=KEYS)
    return [(finding.kind, finding.place) for finding in verifier.findings]


def tickets(connection: Connection, at: datetime) -> list[UUID]:
    row = connection.execute("SELECT tickets FROM audit_chunk WHERE received_at = %s", (at,)).fetchone()
    assert row is not None
    return list(row[0])


def test_sec_72_chunks_that_were_left_alone_are_what_they_were(connection: Connection) -> None:
    """The records of chunks are verified with all others, from the database and from an exported file (SEC-72)."""
    verifier = verify_journal(connection, trust=None, keys=KEYS)
    assert (verifier.findings, verifier.record_count, verifier.sealed_through) == ([], RECORDS, 4)
    lines = [write_line(line) for line in export_lines(connection, since=None, until=None, now=LATER)]
    alone = verify_export(lines, trust=None, keys=KEYS, origin="file")
    assert (alone.findings, alone.record_count) == ([], RECORDS)
    assert not any(ssin.encode() in line for line in lines for ssin in SSINS)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ("customer_tickets[2] = '\"other\"'", {K.CHANGED_RECORD}),
        ("customer_tickets[2] = 'no JSON'", {K.CHANGED_RECORD, K.UNREADABLE_RECORD}),
        ("response_digests[2] = sha256('other')", {K.CHANGED_RECORD}),
        ("evidence_digests = ARRAY[NULL, sha256('other'), NULL]", {K.CHANGED_RECORD}),
        ("other_persons[2] = '[]'", {K.CHANGED_RECORD, K.WRONG_INDEX}),
        ("person_hashes = person_hashes[1:2]", {K.WRONG_INDEX}),
        ("person_hashes = person_hashes || '\\x01'::bytea", {K.WRONG_INDEX}),
        ("persons[2] = persons[1]", {K.CHANGED_RECORD, K.UNREADABLE_RECORD}),
        ("form_numbers[2] = 1", {K.CHANGED_RECORD, K.UNREADABLE_RECORD}),
        ("form_numbers[2] = 99", {K.MISSING_RECORD, K.WRONG_INDEX}),
    ],
)
def test_tv_117_a_value_changed_inside_a_chunk_is_found(
    connection: Connection, change: str, kinds: set[FindingKind]
) -> None:
    """Another value of one record in a chunk, or none: that record is named, and no neighbour; what persons are found
    by is the chunk's, which is named by its first ticket (SEC-72, TV-117).
    """
    connection.execute(f"UPDATE audit_chunk SET {change} WHERE received_at = %s", (LATER,))  # type: ignore[arg-type]
    place, record = "link 6", f"record {tickets(connection, LATER)[0]}"
    assert set(found(connection)) == {(kind, record if kind is K.WRONG_INDEX else place) for kind in kinds}


def test_tv_117_a_text_that_records_share_is_found_changed(connection: Connection) -> None:
    """Another word in what the records of a chunk share: each of them is named, whatever is left of it (TV-117)."""
    connection.execute(
        "UPDATE audit_chunk SET forms[1] = replace(forms[1], 'DATA_FOUND', 'DATA_FOUNT') WHERE received_at = %s",
        (LATER,),
    )
    assert found(connection) == [(K.CHANGED_RECORD, "link 5"), (K.CHANGED_RECORD, "link 7")]
    connection.execute("UPDATE audit_chunk SET forms = %s WHERE received_at = %s", (["%z", ""], LATER))
    assert {place for kind, place in found(connection) if kind is K.CHANGED_RECORD} == {"link 5", "link 6", "link 7"}


def test_tv_118_a_deleted_chunk_or_record_of_one_is_found(connection: Connection) -> None:
    """A chunk that is gone, and a record that was cut off a chunk, are named link by link (SEC-72, TV-118)."""
    connection.execute("DELETE FROM audit_chunk WHERE received_at = %s", (AT,))
    connection.execute("UPDATE audit_chunk SET tickets = tickets[1:2] WHERE received_at = %s", (LATER,))
    assert [one for one in found(connection) if one[0] is not K.WRONG_INDEX] == [
        (K.MISSING_RECORD, f"link {number}") for number in (2, 3, 4, 7)
    ]


def test_tv_119_an_inserted_chunk_is_found(connection: Connection) -> None:
    """A chunk put in under a number that was passed is in no link: each of its records is named (SEC-72, TV-119)."""
    inserted = write_chunk(connection, KEYS, SSINS, at=AT + timedelta(seconds=1))
    connection.execute("UPDATE audit_chunk SET record_number = 1 WHERE first_ticket = %s", (inserted[0],))
    assert sorted(found(connection)) == sorted([(K.UNCHAINED_RECORD, f"record {ticket}") for ticket in inserted])


def test_tv_120_swapped_chunks_and_records_are_found(connection: Connection) -> None:
    """Two chunks, or two records in one, that changed places are named (SEC-72, TV-120)."""
    with connection.transaction(force_rollback=True):
        connection.execute(
            "UPDATE audit_chunk SET received_at = CASE received_at WHEN %(at)s THEN %(later)s ELSE %(at)s END",
            {"at": AT, "later": LATER},
        )
        kinds = [kind for kind, _ in found(connection)]
        assert (kinds.count(K.MISSING_RECORD), kinds.count(K.UNCHAINED_RECORD)) == (6, 6)
    connection.execute(
        "UPDATE audit_chunk SET tickets = tickets[1:1] || tickets[3] || tickets[2] WHERE received_at = %s", (LATER,)
    )
    changed = [place for kind, place in found(connection) if kind is K.CHANGED_RECORD]
    assert changed == ["link 6", "link 7"]


@pytest.mark.parametrize("column", ["received_at", "first_ticket"])
def test_tv_117_a_chunk_that_no_ticket_finds_is_found(connection: Connection, column: str) -> None:
    """A chunk put under another time or another first ticket, where nobody looks, is missed (SEC-72, TV-117)."""
    change = {"received_at": "received_at + interval '1 ms'", "first_ticket": "gen_random_uuid()"}[column]
    connection.execute(f"UPDATE audit_chunk SET {column} = {change} WHERE received_at = %s", (LATER,))  # type: ignore[arg-type]
    missed = [place for kind, place in found(connection) if kind is K.MISSING_RECORD]
    assert missed == ["link 5", "link 6", "link 7"]


TWO = new_tickets(2)


@pytest.mark.parametrize(
    ("first_ticket", "tickets", "count", "constraint"),
    [
        (TWO[1], TWO, 2, "tickets"),
        (TWO[0], [TWO[0], UUID(int=TWO[0].int + (1 << 80))], 2, "tickets"),
        (TWO[0], TWO[:1], 2, "arrays"),
        (TWO[0], TWO, 1, "arrays"),
        (TWO[0], [], 0, "record_count"),
    ],
)
def test_rule_50_a_chunk_whose_records_would_not_be_found_is_refused(
    journal: Connection, first_ticket: UUID, tickets: list[UUID], count: int, constraint: str
) -> None:
    """The database takes no chunk whose arrays do not match, or whose tickets are of several times (rule 50)."""
    with pytest.raises(psycopg.errors.CheckViolation, match=f"audit_chunk_{constraint}_check"):
        journal.execute(
            "INSERT INTO audit_chunk (received_at, first_ticket, record_count, person_hashes, forms, tickets,"
            " form_numbers, customer_tickets, persons, response_digests)"
            " VALUES (%(at)s, %(first)s, %(count)s, '{}', '{x}', %(tickets)s,"
            " array_fill(1::smallint, ARRAY[%(count)s]),"
            " array_fill('1'::text, ARRAY[%(count)s]), array_fill(''::bytea, ARRAY[%(count)s]),"
            " array_fill(''::bytea, ARRAY[%(count)s]))",
            {"at": LATER, "first": first_ticket, "count": count, "tickets": tickets},
        )


@pytest.mark.parametrize("table", ["audit_chunk", "audit_chunk_default"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET record_number = 0", "TRUNCATE {}"])
def test_sec_72_chunks_are_append_only(journal: Connection, table: str, statement: str) -> None:
    """Nobody changes or removes a chunk by an ordinary statement, by the name of its partition neither (SEC-72)."""
    with pytest.raises(psycopg.errors.RaiseException, match="is append-only"):
        journal.execute(statement.format(table))  # type: ignore[arg-type]  # a test's own words


# -- whatever is done to chunks ----------------------------------------------------------------------------------------


class Within:
    """What look-ups ask of a `Database` and of its connections, within the transaction of a test."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def row(self, query: str, parameters: dict[str, object]) -> tuple[Any, ...] | None:
        """See `Database.row`."""
        return self._connection.execute(QUERIES[query], parameters).fetchone()

    async def rows(self, query: str, parameters: dict[str, object]) -> list[tuple[Any, ...]]:
        """See `Database.rows`."""
        return self._connection.execute(QUERIES[query], parameters).fetchall()

    async def execute(self, query: Any, parameters: dict[str, object]) -> Within:
        """See `psycopg.AsyncConnection.execute`; the cursor is this one."""
        self._found = self._connection.execute(query, parameters).fetchall()
        return self

    async def fetchall(self) -> list[tuple[Any, ...]]:
        """See `psycopg.AsyncCursor.fetchall`."""
        return self._found


LAST = " WHERE received_at = (SELECT max(received_at) FROM audit_chunk)"
OF_RECORDS = ("tickets", "form_numbers", "customer_tickets", "persons", "other_persons", "response_digests")


def set_all(value: str) -> str:
    """What sets each array of a chunk's records so."""
    return ", ".join(f"{column} = {value.format(column)}" for column in OF_RECORDS)


def copied(to: str) -> str:
    """What puts the last chunk into the journal once more, as a chunk of this time and first ticket."""
    columns = ", ".join(("record_count", "person_hashes", "forms", *OF_RECORDS))
    return (
        f"INSERT INTO audit_chunk (received_at, first_ticket, {columns}) SELECT {to}, {columns} FROM audit_chunk{LAST}"
    )


HIDDEN_PERSONS = f"""
    UPDATE audit_chunk AS chunk
    SET form_numbers = '{{1,2,3}}', persons = '{{NULL,NULL,NULL}}', other_persons = '{{NULL,NULL,NULL}}', forms = ARRAY(
        SELECT concat_ws(U&'\\001F', part[1], part[2], part[3], '', '', part[4], part[6], part[8])
        FROM (
            SELECT place, regexp_match(
                content,
                '(.*"customer_ticket":)".*"(,"decision".*"evidence_digest":)null(.*"response_digest":")()([0-9a-f]+)'
                || '(".*"ticket_cbss":")([-0-9a-f]+)(".*)'
            ) AS part
            FROM audit_chunk_record AS record
            WHERE record.first_ticket = chunk.first_ticket
        ) AS taken
        ORDER BY place
    ){LAST}
"""
"""Texts as they were, their persons in the forms, where no look-up reads them."""

CHAIN = "SELECT link_audit_records(10000, 900)"
CHANGED, MISSING, UNREADABLE = "changed record: link", "missing record: link", "unreadable record: link"
REPEATED, WRONG, UNCHAINED = "repeated record: link", "wrong index: record", "unchained record: record"
SEALED = "exchanged number: link"

DEEDS: dict[str, tuple[str, str]] = {
    "nothing": ("", ""),
    "two records changed places, whole": (set_all("{0}[1:1] || {0}[3] || {0}[2]"), ""),
    "the first two changed places, whole": (
        set_all("{0}[2:2] || {0}[1] || {0}[3]") + ", first_ticket = tickets[2]",
        f"{WRONG} 5",
    ),
    "a record dropped": (set_all("{0}[1:2]") + ", record_count = 2", f"{MISSING} 7, {WRONG} 5"),
    "the first one dropped": (
        set_all("{0}[2:3]") + ", record_count = 2, first_ticket = tickets[2]",
        f"{MISSING} 5",
    ),
    "one ticket for another": ("tickets[3] = tickets[2]", f"{MISSING} 7, {REPEATED} 6, {CHANGED} 6, {SEALED} 6"),
    "another first ticket of the millisecond": ("first_ticket = tickets[3]", f"{WRONG} 5, {WRONG} 6"),
    "another millisecond": (
        "received_at = received_at + interval '1 ms'",
        ", ".join(f"{MISSING} {number}, {UNCHAINED} {number}" for number in (5, 6, 7)),
    ),
    "no time": (
        "received_at = 'infinity'",
        ", ".join(f"{MISSING} {number}, {UNCHAINED} {number}" for number in (5, 6, 7)),
    ),
    "a number of before": ("record_number = -5", ""),
    "no records": (
        set_all("'{{}}'") + ", person_hashes = '{}', forms = '{}', record_count = 0",
        f"{MISSING} 5, {MISSING} 6, {MISSING} 7, {WRONG} 5",
    ),
    "arrays of different length": (
        "persons = persons[1:1], response_digests = response_digests || response_digests, form_numbers[3] = NULL",
        f"{MISSING} 7, {WRONG} 5",
    ),
    "arrays of two dimensions": ("tickets = ARRAY[tickets], person_hashes = ARRAY[person_hashes, person_hashes]", ""),
    "no ticket": ("tickets[2] = NULL", f"{MISSING} 6, unchained record: record without a ticket"),
    "no form": ("forms[1] = NULL", f"{CHANGED} 5, {UNREADABLE} 5, {CHANGED} 7, {UNREADABLE} 7"),
    "no form number": ("form_numbers[2] = NULL", f"{MISSING} 6, {WRONG} 5"),
    "no digest": ("response_digests[2] = NULL", f"{CHANGED} 6"),
    "no hash": ("person_hashes = person_hashes || NULL::bytea", f"{WRONG} 5"),
    "a form that nobody has": ("form_numbers[2] = -1", f"{MISSING} 6, {WRONG} 5"),
    "a form of one piece": ("forms[1] = '{'", f"{CHANGED} 5, {UNREADABLE} 5, {CHANGED} 7, {UNREADABLE} 7"),
    "half a surrogate": ("customer_tickets[2] = '\"\\ud800\"'", f"{CHANGED} 6, {UNREADABLE} 6"),
    "persons that are no JSON": ("other_persons[2] = 'no JSON'", f"{CHANGED} 6, {UNREADABLE} 6"),
    "persons with NUL": ("other_persons[2] = '[\"\\u0000\"]'", f"{CHANGED} 6, {UNREADABLE} 6"),
    "a hash that is none": (
        "other_persons[2] = replace(other_persons[2], 'hash\":\"', 'hash\":\"\u00e9')",
        f"{CHANGED} 6, {SEALED} 6",
    ),
    "persons within the forms": (HIDDEN_PERSONS, f"{WRONG} 5, {WRONG} 6, {WRONG} 7"),
    "another ticket's column": (
        (
            "forms = ARRAY(SELECT replace(one, '\"customer_ticket\":', '\"customer_ticket\":' || customer_tickets[1])"
            " FROM unnest(forms) AS one), customer_tickets = ARRAY['', '', '']"
        ),
        f"{WRONG} 5, {WRONG} 6, {WRONG} 7",
    ),
    "deleted": (f"DELETE FROM audit_chunk{LAST}", f"{MISSING} 5, {MISSING} 6, {MISSING} 7"),
    "copied to another time": (
        f"{copied('received_at + interval $$1 s$$, first_ticket')}; {CHAIN}",
        ", ".join(f"misplaced record: link {number}" for number in (8, 9, 10)),
    ),
    "copied to the same time": (
        (
            f"{copied('received_at, tickets[2]')};"
            " UPDATE audit_chunk SET record_number = 1 WHERE first_ticket = tickets[2]"
        ),
        f"{REPEATED} 5, {REPEATED} 6, {REPEATED} 7, {WRONG} 5",
    ),
    "copied as single records": (
        (
            "INSERT INTO audit_record (received_at, ticket_cbss, record_number, content)"
            f" SELECT received_at, ticket_cbss, 1, content FROM audit_chunk_record{LAST} AND place = 1"
        ),
        f"{REPEATED} 5",
    ),
    "numbered anew": (
        f"UPDATE audit_chunk SET record_number = nextval('audit_record_number'){LAST}; {CHAIN}",
        f"{REPEATED} 8, {REPEATED} 9, {REPEATED} 10",
    ),
    "numbered anew, not chained yet": (f"record_number = {1 << 62}", f"{REPEATED} 5, {REPEATED} 6, {REPEATED} 7"),
    "numbered as nothing is": (
        f"UPDATE audit_chunk SET record_number = {1 << 62}{LAST}; {CHAIN}",
        f"{REPEATED} 5, {REPEATED} 6, {REPEATED} 7",
    ),
    "added under a number that was never drawn": (
        (
            "INSERT INTO audit_record (received_at, ticket_cbss, record_number, content)"
            f" VALUES (now(), '{UUID(int=7)}', {1 << 62}, '{{}}'); {CHAIN}"
        ),
        f"unchained record: record {UUID(int=7)}",
    ),
    "a single record numbered anew": (
        f"UPDATE audit_record SET record_number = nextval('audit_record_number'); {CHAIN}",
        f"{REPEATED} 8",
    ),
    "all chained anew": (
        f"UPDATE audit_chain SET record_number = 0; {CHAIN}",
        ", ".join(f"{REPEATED} {number}" for number in range(8, 15)),
    ),
    "no state of the chain": ("DELETE FROM audit_chain", "truncated: the state of the chain"),
}
"""What is done to the last chunk, its records 5 to 7, or by statements of their own; and all that is found then."""


@pytest.mark.parametrize("deed", DEEDS)
def test_tv_117_to_120_whatever_is_done_to_a_chunk_is_named(connection: Connection, deed: str) -> None:
    """Whoever has all rights in the database stops no verification by what he makes of a chunk: it names what it found,
    and nothing else. Each record that it does not name is found by its ticket and person, and no look-up fails but by
    saying that a record cannot be read (SEC-72, rule 50, TV-117, TV-118, TV-119, TV-120).
    """
    connection.execute("ALTER TABLE audit_chunk DROP CONSTRAINT audit_chunk_record_count_check")
    own = dict(connection.execute("SELECT sequence_number, ticket_cbss FROM audit_link").fetchall())
    done, expected = DEEDS[deed]
    if done:
        connection.execute(f"UPDATE audit_chunk SET {done}{LAST}" if done[:1].islower() else done)  # type: ignore[arg-type]
    own |= dict(connection.execute("SELECT sequence_number, ticket_cbss FROM audit_link").fetchall())
    places = {f"record {ticket}": f"record {number}" for number, ticket in own.items() if number <= RECORDS}
    findings = {f"{kind}: {places.get(place, place)}" for kind, place in found(connection)}
    assert findings == {finding for finding in expected.split(", ") if finding}
    named = {ticket for number, ticket in own.items() if any(one.endswith(f" {number}") for one in findings)}
    if f"{WRONG} 5" in findings:  # of the chunk, by its first ticket
        named |= {own[5], own[6], own[7]}
    reached = asyncio.run(reach(connection, sorted(set(own.values()))))
    assert {str(ticket) for ticket in own.values()} - {str(ticket) for ticket in named} <= reached


async def reach(connection: Connection, tickets: list[UUID]) -> set[str]:
    """The tickets of the records that every look-up finds, if it does not say that one cannot be read."""
    within: Any = Within(connection)
    reached = set[str]()
    for ticket in tickets:
        with suppress(UsageError):
            record = await record_of_ticket(within, ticket)
            searched = search_records(connection, Criteria(ticket_cbss=ticket))
            if record is not None and record in searched:
                reached.add(record.ticket_cbss)
    by_person = set[str]()
    for ssin in SSINS:
        hashes = KEYS.hashes(ssin)
        try:
            told = await records_of_person(within, hashes, since=None, until=None, record_count_max=100)
            searched = search_records(connection, Criteria(person_hashes=hashes))
        except UsageError:
            return reached
        assert {record.ticket_cbss for record in told} == {record.ticket_cbss for record in searched}
        by_person.update(record.ticket_cbss for record in told)
    for criteria in (Criteria(), Criteria(customer="17/1"), Criteria(customer_ticket="ours")):
        with suppress(UsageError):
            search_records(connection, criteria)
    with suppress(UsageError):
        await records_of_customer_ticket(within, "ours", since=AT, until=LATER)
    list(export_lines(connection, since=None, until=None, now=LATER))
    return reached & by_person


# -- look-ups ----------------------------------------------------------------------------------------------------------


async def looked_up(conninfo: str, journal: Connection) -> None:
    """Asserts that every look-up finds the records of chunks beside the others."""
    database = Database(conninfo, connections_max=1)
    await database.open()
    try:
        first, last = tickets(journal, AT), tickets(journal, LATER)
        for ticket in (*first, *last):
            record = await record_of_ticket(database, ticket)
            assert record is not None
            assert record.ticket_cbss == str(ticket)
        neighbour = UUID(int=last[1].int + 1)  # of the same millisecond, between the first and the last
        assert await record_of_ticket(database, neighbour) is None
        ours = await records_of_customer_ticket(database, "ours", since=AT, until=LATER)
        assert [record.ticket_cbss for record in ours if record.customer] == [str(first[1])]
        assert len(ours) == 2
        theirs = await records_of_customer_ticket(database, '"theirs" \n\té %s', since=AT, until=AT + timedelta(1))
        assert [record.ticket_cbss for record in theirs] == [str(ticket) for ticket in last]
        async with database.connection() as connection:
            newest = await records_of_person(
                connection, KEYS.hashes(SSINS[0]), since=None, until=None, record_count_max=4
            )
        assert [record.ticket_cbss for record in newest[:2]] == [str(ticket) for ticket in last[:2]]
        assert len(newest) == 4
    finally:
        await database.close()


def test_rule_50_every_look_up_finds_the_records_of_chunks(journal: Connection) -> None:
    """By ticket, by the customer's ticket whatever is in it, and by the person asked or answered about (rule 50)."""
    conninfo = psycopg.conninfo.make_conninfo(journal.info.dsn, password=journal.info.password)
    asyncio.run(looked_up(conninfo, journal))


@pytest.mark.parametrize(
    ("criteria", "count"),
    [
        (Criteria(), 7),
        (Criteria(person_hashes=KEYS.hashes(SSINS[0])), 5),
        (Criteria(person_hashes=KEYS.hashes(SSINS[0]), since=LATER), 2),
        (Criteria(person_hashes=KEYS.hashes(SSINS[1]), customer_ticket="ours"), 1),
        (Criteria(person_hashes=[b"x" * 16]), 0),
        (Criteria(since=LATER), 3),
        (Criteria(until=LATER, customer="17/1"), 3),
        (Criteria(application_urn="urn:app:batch"), 6),
        (Criteria(ticket_cbss=UUID(int=7)), 0),
    ],
)
def test_rule_50_a_search_finds_the_records_of_chunks(journal: Connection, criteria: Criteria, count: int) -> None:
    """Whatever is looked for, records of chunks are found with the others, each once, the oldest first: those that
    would be found in an archive file (rule 50).
    """
    records = search_records(journal, criteria)
    assert records == [record for record in search_records(journal, Criteria()) if criteria.fit(record)]
    assert len({record.ticket_cbss for record in records}) == len(records) == count
    assert [record.timestamp_receive for record in records] == sorted(record.timestamp_receive for record in records)


def test_rule_50_a_search_by_ticket_finds_one_record_of_a_chunk(journal: Connection) -> None:
    """A ticket finds its record; with another person, time or customer it finds none (rule 50)."""
    ticket = tickets(journal, AT)[2]
    by_ticket = Criteria(ticket_cbss=ticket)
    assert [record.ticket_cbss for record in search_records(journal, by_ticket)] == [str(ticket)]
    assert len(search_records(journal, replace(by_ticket, person_hashes=KEYS.hashes(SSINS[2]), customer="17/1"))) == 1
    for otherwise in (
        replace(by_ticket, person_hashes=KEYS.hashes(SSINS[1])),
        replace(by_ticket, since=LATER),
        replace(by_ticket, customer="17/2"),
    ):
        assert search_records(journal, otherwise) == []


async def records_under(conninfo: str, customer_tickets: set[str]) -> dict[str, tuple[AuditRecord, ...]]:
    """What `why` reads by each of these tickets, and how a person's report reads all of them."""
    database = Database(conninfo, connections_max=1)
    await database.open()
    try:
        found = {
            ticket: await records_of_customer_ticket(database, ticket, since=AT, until=LATER)
            for ticket in customer_tickets
        }
        async with database.connection() as connection:
            told = await records_of_person(
                connection, KEYS.hashes(SSINS[0]), since=None, until=None, record_count_max=1_000
            )
        assert {record.ticket_cbss for records in found.values() for record in records} <= {
            record.ticket_cbss for record in told
        }
        return found
    finally:
        await database.close()


@settings(deadline=None, max_examples=15)
@given(customer_tickets=st.lists(st.text(max_size=32), min_size=1, max_size=9))
@example(customer_tickets=["\x00", "\\u0000", "\x1f", '"', '","customer_ticket":"\x00', "\x7f\x85\u2028\ufffe\uffff"])
def test_rule_50_no_ticket_of_a_caller_hides_a_record(module_database: str, customer_tickets: list[str]) -> None:
    """Whatever text a caller's ticket is, each record that has it is found by it, and by all else that is looked for,
    is verified and exported: no ticket makes another record unreadable (rule 50, SEC-72).
    """
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE audit_record, audit_chunk, audit_person, audit_link, audit_gap")
        connection.execute("UPDATE audit_chain SET sequence_number = 0, chain_hash = %s", (CHAIN_START,))
        own = [of_call(AT, customer_ticket=ticket) for ticket in customer_tickets]
        write_records(connection, own)
        of_chunk = write_chunk(
            connection, KEYS, SSINS[:1] * len(customer_tickets), at=AT, customer_tickets=customer_tickets
        )
        link_records(connection)
        expected: dict[str, set[str]] = {}
        for customer_ticket, (_, record), ticket in zip(customer_tickets, own, of_chunk, strict=True):
            expected.setdefault(customer_ticket, set()).update((record.ticket_cbss, str(ticket)))
        for customer_ticket, found in asyncio.run(records_under(module_database, set(expected))).items():
            assert {record.ticket_cbss for record in found} == expected[customer_ticket]
            searched = search_records(connection, Criteria(customer_ticket=customer_ticket))
            assert {record.ticket_cbss for record in searched} == expected[customer_ticket]
        assert len(search_records(connection, Criteria(application_urn="urn:app:batch"))) == len(of_chunk)
        assert len(search_records(connection, Criteria(customer="17/1"))) == len(of_chunk)
        assert len(search_records(connection, Criteria(person_hashes=KEYS.hashes(SSINS[0])))) == 2 * len(of_chunk)
        with connection.transaction():
            assert verify_journal(connection, trust=None, keys=KEYS).findings == []
        lines = [write_line(line) for line in export_lines(connection, since=None, until=None, now=LATER)]
    read = records_of_export(lines, origin="file")
    assert Counter(record.customer_ticket for record in read) == Counter(2 * customer_tickets)


def test_rule_49_a_search_takes_a_ticket_as_the_caller_sent_it(journal: Connection) -> None:
    """A ticket of 36 characters that is no UUID is found though 32 of it are kept; its beginning alone finds nothing
    (rules 49, 50).
    """
    with journal.transaction(force_rollback=True):
        sent = "a ticket of thirty-six characters \xe9!"
        kept = InformationCustomer(customer_identification=CustomerIdentification(sector=1, institution=2), ticket=sent)
        write_records(journal, [of_call(LATER, customer_ticket=kept.ticket_stored)])
        assert len(sent) == TICKET_LENGTH_MAX
        assert len(search_records(journal, Criteria(customer_ticket=sent))) == 1
        assert search_records(journal, Criteria(customer_ticket=sent[:31])) == []


LOOK_UPS: dict[str, dict[str, Any]] = {
    "audit_record_of_ticket": {"ticket_cbss": UUID(int=7)},
    "audit_records_of_person": {"hashes": [b"x" * 16], "since": None, "until": None, "row_count_max": 9},
    "any_held_record": {"hashes": [b"x" * 16], "since": AT, "until": LATER},
    "chained_records": {"after": 0, "last": 9, "row_count_max": 9},
    "unrecorded_changes": {"since": AT, "until": LATER},
    "search_audit_records": {
        "hashes": [b"x" * 16],
        "ticket_cbss": UUID(int=7),
        "since": None,
        "until": None,
        "members": [],
        "row_count_max": 9,
    },
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_rule_50_what_is_looked_up_is_found_by_index(connection: Connection, name: str) -> None:
    """However large the journal is, no look-up reads records, chunks or persons from end to end: where an index can be
    used one is, and by a condition (rule 50).
    """
    connection.execute("SET LOCAL enable_seqscan = off")
    plan = [line for (line,) in connection.execute("EXPLAIN " + QUERIES[name], LOOK_UPS[name])]  # type: ignore[arg-type]
    read = [
        (line, condition)
        for line, condition in pairwise(plan)
        if any(f" on {table}_default" in line for table in ("audit_record", "audit_chunk", "audit_person"))
    ]
    assert read != []
    for line, condition in read:
        assert ("Index" in line and "Index Cond:" in condition) or "Bitmap Heap Scan" in line


# -- months ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def month(fresh_database: str) -> Iterator[Connection]:
    """A journal whose March has a chunk, and nothing else."""
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        make_months(connection, date(2026, 3, 1))
        write_chunk(connection, KEYS, SSINS, at=AT)
        yield connection


def counts(connection: Connection) -> list[int]:
    return [
        int((connection.execute(f"SELECT count(*) FROM {name}").fetchone() or [0])[0])  # type: ignore[arg-type]
        for name in ("audit_chunk_2026_03", "audit_chunk_default", "audit_chunk")
    ]


MARCH = ArchivedMonth(
    month=date(2026, 3, 1),
    file_name="audit-2026-03.jsonl",
    first_sequence_number=1,
    last_sequence_number=3,
    digest=b"d" * 32,
)


def test_sec_75_a_month_of_chunks_leaves_the_database(month: Connection) -> None:
    """A month's chunks leave, with its own partition, when all their records are in a file, not before (SEC-75)."""
    assert counts(month) == [1, 0, 1]
    before = datetime(2026, 4, 1, tzinfo=UTC)
    assert [due.last_sequence_number for due in due_months(month, before=before)] == [None]
    with pytest.raises(psycopg.errors.RaiseException, match="not all records"):
        drop_month(month, MARCH, of_call(before)[1], now=before)
    link_records(month)
    seal_links(month, lambda _: None, now=LATER)
    assert [due.last_sequence_number for due in due_months(month, before=before)] == [3]
    lines = [write_line(line) for line in archive_lines(month, former=None, last=3, now=LATER)]
    assert verify_export(lines, trust=None, keys=KEYS, origin="file").findings == []
    with pytest.raises(psycopg.errors.RaiseException, match="not all records"):
        drop_month(month, replace(MARCH, last_sequence_number=2), of_call(before)[1], now=before)
    drop_month(month, MARCH, of_call(before)[1], now=before)
    assert month.execute("SELECT to_regclass('audit_chunk_2026_03') IS NULL").fetchone() == (True,)
    assert month.execute("SELECT count(*) FROM audit_chunk").fetchone() == (0,)
    assert due_months(month, before=before) == []
    with month.transaction():
        assert verify_journal(month, trust=None, keys=KEYS).findings == []


def links_read(connection: Connection) -> int:
    """How many rows of links this transaction has read."""
    row = connection.execute(
        "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'audit_link'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_sec_75_a_month_of_chunks_leaves_without_a_search_for_each_record(month: Connection) -> None:
    """However many records are of one chunk, and so of one time, each link is read a few times and not for each of
    them, whatever the planner, which expects ten, would do: a month of batches is archived in minutes (SEC-75).
    """
    before = datetime(2026, 4, 1, tzinfo=UTC)
    write_chunk(month, KEYS, SSINS[:1] * 300, at=AT + timedelta(1))
    count = link_records(month)
    seal_links(month, lambda _: None, now=LATER)
    with month.transaction():
        month.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
        assert [due.last_sequence_number for due in due_months(month, before=before)] == [count]
        assert count <= links_read(month) < 4 * count
        drop_month(month, replace(MARCH, last_sequence_number=count), of_call(before)[1], now=before)
        assert 2 * count <= links_read(month) < 8 * count


def test_sec_75_a_month_leaves_however_long_it_takes(month: Connection) -> None:
    """The bound on a statement of a call is none for leaving, which looks at every record of a month (SEC-75)."""
    link_records(month)
    before = datetime(2026, 4, 1, tzinfo=UTC)
    month.execute("SET statement_timeout = 400")
    with psycopg.connect(month.info.dsn, password=month.info.password) as other:
        other.execute("SELECT FROM audit_chunk_2026_03")  # so that the other one waits
        ending = threading.Timer(0.8, other.rollback)
        ending.start()
        drop_month(month, MARCH, of_call(before)[1], now=before)
        ending.join()
    assert month.execute("SELECT to_regclass('audit_chunk_2026_03')").fetchone() == (None,)


def test_sec_75_a_chunk_without_a_month_keeps_it_in_the_default_one(fresh_database: str) -> None:
    """A month of which the default partition has a chunk gets no partitions of its own (SEC-75)."""
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        write_chunk(connection, KEYS, SSINS, at=AT)
        make_months(connection, date(2026, 3, 1))
        tables = connection.execute(
            "SELECT relid::text FROM pg_partition_tree('audit_chunk') WHERE isleaf ORDER BY 1"
        ).fetchall()
        assert tables == [("audit_chunk_2026_04",), ("audit_chunk_2026_05",), ("audit_chunk_default",)]
        for parent in ("audit_record", "audit_person"):
            assert connection.execute("SELECT to_regclass(%s)", (f"{parent}_2026_03",)).fetchone() == (None,)


@pytest.mark.parametrize(
    ("ssin", "since", "held"),
    [(None, None, True), (SSINS[2], None, True), ("25073003304", None, False), (SSINS[2], LATER, False)],
)
def test_sec_75_a_hold_holds_records_of_chunks(
    month: Connection, ssin: str | None, since: datetime | None, held: bool
) -> None:
    """A hold by person or by time holds a month for a record that is in a chunk (SEC-75)."""
    hold_id = uuid4()
    person = None if ssin is None else KEYS.seal(ssin, hold_id)
    hold = Hold(hold_id=hold_id, person=person, since=since, reason="case 7", operator="judge", placed_at=LATER)
    begin, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    assert is_held(month, [hold], KEYS, since=begin, until=end) is held


def test_sec_75_nothing_is_found_in_an_empty_journal(fresh_database: str) -> None:
    """A journal without a record verifies, holds nothing, and has nothing to export (SEC-75)."""
    with psycopg.connect(fresh_database) as connection:
        assert verify_journal(connection, trust=None, keys=KEYS).findings == []
        with pytest.raises(UsageError, match="nothing was received"):
            list(export_lines(connection, since=None, until=None, now=LATER))
