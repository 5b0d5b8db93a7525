"""The mutation feed in the database: filtered pages against a model, and no gap for readers while many write."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.life import LifeEvent, LifeRecord
from cbss_inscription.domain.mutation import Mutation, MutationPage
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.life import StoredFiles
from cbss_inscription.storage.mutations import SCANNED_MAX, StoredMutations
from cbss_inscription.storage.queries import QUERIES

OURS: Final = CustomerIdentification(sector=17, institution=1)
OTHERS: Final = CustomerIdentification(sector=17, institution=2)
FUND: Final = CustomerIdentification(cbe_number="9000000290")
CUSTOMERS: Final = (OURS, OTHERS, FUND)
ONE, TWO, THREE = (Ssin.parse(text) for text in ("85073003328", "17073003384", "42012205181"))
HOLDERS: Final = {ONE: (OURS,), TWO: (OURS, OTHERS), THREE: (OURS, OTHERS, FUND)}
CONTEXTS: Final = tuple(map(InscriptionContext, ("PCSA:LIVING_WAGE", "PCSA:MEDICAL", "PCSA:OTHER_AID")))
WAGE, MEDICAL, _ = CONTEXTS
MOMENT: Final = datetime(2026, 3, 1, 9, 20, 31, 20_000, tzinfo=UTC)
WRITERS: Final = 4
EVENTS_EACH: Final = 40
NUMBER_MAX: Final = 999_999_999_999_999_999


@pytest.fixture
def feed_database(module_database: str) -> Iterator[str]:
    """A database with the schema and without any mutation or line."""
    yield module_database
    with psycopg.connect(module_database) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # the feed refuses to be emptied otherwise
        connection.execute("TRUNCATE mutation, mutation_counter, inscription")


@asynccontextmanager
async def opened(conninfo: str, **settings: Any) -> AsyncIterator[StoredMutations]:
    """A feed to read, over connections of its own."""
    database = Database(conninfo, connections_max=1)
    await database.open()
    try:
        yield StoredMutations(database, **settings)
    finally:
        await database.close()


def mutation(
    number: int, contexts: Iterable[InscriptionContext], *, event: LifeEvent = LifeEvent.CORRECTED
) -> Mutation:
    """A mutation of the person ONE."""
    return Mutation(
        sequence_number=number,
        event=event,
        ssin=ONE,
        current_ssin=TWO if event is LifeEvent.REPLACED else ONE,
        inscription_contexts=tuple(contexts),
        recorded_at=MOMENT,
    )


def write(conninfo: str, customer: CustomerIdentification, mutations: Iterable[Mutation]) -> None:
    """Nothing; the mutations are in the customer's feed."""
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO mutation (customer, sequence_number, ssin, event, current_ssin, inscription_contexts,"
            " recorded_at, ticket_cbss) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    customer.key,
                    item.sequence_number,
                    item.ssin.number,
                    item.event.value,
                    item.current_ssin.number,
                    [str(context) for context in item.inscription_contexts],
                    item.recorded_at,
                    uuid4(),
                )
                for item in mutations
            ],
        )


async def page(
    feed: StoredMutations,
    after: int,
    *,
    customer: CustomerIdentification = OURS,
    contexts: Iterable[InscriptionContext] = CONTEXTS,
    limit: int = 1_000,
) -> MutationPage:
    return await feed.mutations_after(after, customer=customer, inscription_contexts=frozenset(contexts), limit=limit)


def numbers(found: MutationPage) -> list[int]:
    return [item.sequence_number for item in found.mutations]


async def test_every_event_comes_back_as_it_was_recorded(feed_database: str) -> None:
    """Event, both numbers, contexts and time of a mutation are read as they were written."""
    told = [mutation(n, (WAGE, MEDICAL), event=event) for n, event in enumerate(LifeEvent, start=1)]
    write(feed_database, OURS, told)
    async with opened(feed_database) as feed:
        assert await page(feed, 0) == MutationPage(mutations=tuple(told), last_sequence_number=len(told), more=False)


async def test_a_customer_sees_its_own_mutations_alone(feed_database: str) -> None:
    """Another customer's feed, with the same numbers, contexts and persons, is another feed."""
    write(feed_database, OTHERS, [mutation(n, CONTEXTS) for n in range(1, 6)])
    write(feed_database, OURS, [mutation(1, (WAGE,))])
    async with opened(feed_database) as feed:
        assert await page(feed, 0) == MutationPage(
            mutations=(mutation(1, (WAGE,)),), last_sequence_number=1, more=False
        )
        assert await page(feed, 0, customer=FUND) == MutationPage(mutations=(), last_sequence_number=0, more=False)


async def test_only_granted_contexts_are_told(feed_database: str) -> None:
    """A mutation in other contexts is left out, of one in several only the granted are named; no number is a gap."""
    write(feed_database, OURS, [mutation(1, (WAGE,)), mutation(2, (MEDICAL,)), mutation(3, (WAGE, MEDICAL))])
    async with opened(feed_database) as feed:
        assert await page(feed, 0, contexts=(MEDICAL,)) == MutationPage(
            mutations=(mutation(2, (MEDICAL,)), mutation(3, (MEDICAL,))), last_sequence_number=3, more=False
        )
        nothing = MutationPage(mutations=(), last_sequence_number=3, more=False)
        assert await page(feed, 0, contexts=()) == nothing
        assert await page(feed, 0, contexts=[InscriptionContext("PCSA:SUPERVISOR")]) == nothing


@pytest.mark.parametrize("after", [3, 4, 1_000, NUMBER_MAX - SCANNED_MAX, NUMBER_MAX])
async def test_beyond_the_end_there_is_nothing_and_the_place_stays(feed_database: str, after: int) -> None:
    """After the last mutation, or any number later, a page is empty and ends where it was asked to begin."""
    write(feed_database, OURS, [mutation(n, CONTEXTS) for n in range(1, 4)])
    async with opened(feed_database) as feed:
        assert await page(feed, after) == MutationPage(mutations=(), last_sequence_number=after, more=False)


async def test_a_filtered_page_looks_at_a_bounded_number_of_mutations(feed_database: str) -> None:
    """Where little is granted, pages are empty but go forward, and `more` is true until the end was looked at."""
    write(feed_database, OURS, [mutation(n, (MEDICAL if n == 25 else WAGE,)) for n in range(1, 31)])
    async with opened(feed_database, scanned_max=10) as feed:
        pages = [await page(feed, after, contexts=(MEDICAL,)) for after in (0, 10, 20)]
    assert [(numbers(found), found.last_sequence_number, found.more) for found in pages] == [
        ([], 10, True),
        ([], 20, True),
        ([25], 30, False),
    ]


async def test_the_last_number_passes_what_is_known_to_be_filtered(feed_database: str) -> None:
    """A full page ends just before the next mutation to be told: what lies between is not looked at again."""
    write(feed_database, OURS, [mutation(n, (WAGE if n in {1, 9} else MEDICAL,)) for n in range(1, 10)])
    async with opened(feed_database) as feed:
        first = await page(feed, 0, contexts=(WAGE,), limit=1)
        assert (numbers(first), first.last_sequence_number, first.more) == ([1], 8, True)
        second = await page(feed, 8, contexts=(WAGE,), limit=1)
        assert (numbers(second), second.last_sequence_number, second.more) == ([9], 9, False)


async def test_pages_hold_exactly_what_is_granted_in_order_and_can_be_read_again(feed_database: str) -> None:
    """For any feed, grant, limit and bound, the pages together are the granted mutations, each once, in order."""
    draw = random.Random(17)
    feeds = {}
    for customer in CUSTOMERS:
        feeds[customer] = [
            mutation(n, draw.sample(CONTEXTS, draw.randint(1, 3)), event=draw.choice(list(LifeEvent)))
            for n in range(1, draw.randint(20, 60))
        ]
        write(feed_database, customer, feeds[customer])
    for _ in range(60):
        customer, granted = draw.choice(CUSTOMERS), frozenset(draw.sample(CONTEXTS, draw.randint(0, 3)))
        limit, after = draw.choice([1, 2, 7, 1_000]), draw.choice([0, 0, draw.randint(0, 70)])
        expected = [
            mutation(item.sequence_number, [c for c in item.inscription_contexts if c in granted], event=item.event)
            for item in feeds[customer]
            if item.sequence_number > after and granted & set(item.inscription_contexts)
        ]
        async with opened(feed_database, scanned_max=draw.choice([1, 3, 10, 1_000])) as feed:
            got: list[Mutation] = []
            more = True
            while more:
                found = await page(feed, after, customer=customer, contexts=granted, limit=limit)
                assert found == await page(feed, after, customer=customer, contexts=granted, limit=limit)
                assert len(found.mutations) <= limit
                assert found.last_sequence_number > after or not found.more
                got.extend(found.mutations)
                after, more = found.last_sequence_number, found.more
        assert got == expected


# -- while others write ------------------------------------------------------------------------------------------------


def _hold(conninfo: str) -> None:
    """Nothing; the customers have lines of the persons, as in HOLDERS."""
    with psycopg.connect(conninfo) as connection:
        for ssin, customers in HOLDERS.items():
            for customer in customers:
                for context in CONTEXTS[:2]:
                    connection.execute(
                        "INSERT INTO inscription VALUES (%s, %s, %s, '{[2020-01-01,)}', '{2020-01-01}')",
                        (ssin.number, customer.key, str(context)),
                    )


def _record() -> LifeRecord:
    return LifeRecord(event=LifeEvent.CORRECTED, ticket_cbss=uuid4(), recorded_at=MOMENT, operator="test")


async def _write_events(conninfo: str, draw: random.Random, told: list[Ssin]) -> None:
    """A process of its own that records events, each in a transaction of several statements; some are given up."""
    database = Database(conninfo, connections_max=2)
    await database.open()
    try:
        files = StoredFiles(database)
        for _ in range(EVENTS_EACH):
            ssin = draw.choice(tuple(HOLDERS))
            try:
                async with files.opened() as opened_files:
                    await opened_files.lock({ssin})
                    await opened_files.tell_holders(ssin, _record(), current_ssin=ssin, on_day=None)
                    await asyncio.sleep(draw.choice([0, 0, 0.002]))
                    if draw.random() < 0.1:
                        raise ConnectionAbortedError  # the transaction is rolled back, its numbers are free again
            except ConnectionAbortedError:
                continue
            told.append(ssin)
    finally:
        await database.close()


async def _follow(
    conninfo: str, customer: CustomerIdentification, limit: int, ended: asyncio.Event
) -> tuple[list[int], int]:
    """The numbers that a reader met, which fails at the first gap, and how many pages it read while others wrote."""
    met: list[int] = []
    pages = 0
    async with opened(conninfo) as feed:
        while True:
            last_round = ended.is_set()
            found = await page(feed, len(met), customer=customer, limit=limit)
            assert numbers(found) == list(range(len(met) + 1, found.last_sequence_number + 1))
            assert found.last_sequence_number == len(met) + len(found.mutations)
            met.extend(numbers(found))
            pages += not last_round
            if last_round and not found.more:
                return met, pages
            await asyncio.sleep(0)


async def test_readers_see_no_gap_and_no_reordering_while_many_write(feed_database: str) -> None:
    """Every reader meets 1, 2, 3 … n, never a number before a smaller one, while writers commit and roll back."""
    _hold(feed_database)
    ended = asyncio.Event()
    readers = [
        asyncio.create_task(_follow(feed_database, customer, limit, ended))
        for customer, limit in ((OURS, 1_000), (OURS, 3), (OTHERS, 1_000), (FUND, 7))
    ]
    told: list[Ssin] = []
    try:
        await asyncio.gather(*(_write_events(feed_database, random.Random(seed), told) for seed in range(WRITERS)))
    finally:
        ended.set()
    followed = await asyncio.gather(*readers)
    expected = {customer: sum(customer in HOLDERS[ssin] for ssin in told) for customer in CUSTOMERS}
    assert [len(met) for met, _ in followed] == [expected[c] for c in (OURS, OURS, OTHERS, FUND)]
    assert all(met == list(range(1, len(met) + 1)) for met, _ in followed)
    assert all(pages > 5 for _, pages in followed), "the readers read while the writers wrote"


async def test_a_number_is_taken_only_after_the_commit_of_the_one_before(feed_database: str) -> None:
    """The counter itself keeps the order, also without the lock of life events: a writer waits for an open number."""
    _hold(feed_database)
    parameters: dict[str, Any] = {"ssin": ONE.number, "current_ssin": ONE.number, "on_day": None}
    parameters |= {"event": "corrected", "recorded_at": MOMENT, "ticket_cbss": uuid4()}
    with psycopg.connect(feed_database) as first, psycopg.connect(feed_database) as second:
        async with opened(feed_database) as feed:
            first.execute(QUERIES["tell_holders"], parameters)
            assert (await page(feed, 0)).last_sequence_number == 0
            second.execute("SET lock_timeout = '50ms'")
            second.commit()
            with pytest.raises(psycopg.errors.LockNotAvailable):
                second.execute(QUERIES["tell_holders"], parameters)
            second.rollback()
            first.rollback()
            second.execute(QUERIES["tell_holders"], parameters)  # takes the number that was given up
            second.commit()
            assert numbers(await page(feed, 0)) == [1]
            first.execute(QUERIES["tell_holders"], parameters)
            first.commit()
            assert numbers(await page(feed, 0)) == [1, 2]


def test_the_page_is_read_from_the_key_s_index(feed_database: str) -> None:
    """A page in the middle of a long feed costs what it reads: no plan goes through the whole table or sorts it."""
    with psycopg.connect(feed_database) as connection:
        connection.execute(
            "INSERT INTO mutation SELECT customer, number, %s, 'corrected', %s, '{PCSA:LIVING_WAGE}', now(),"
            " gen_random_uuid() FROM unnest(ARRAY['17/1', '17/2']) customer, generate_series(1, 20000) number",
            (ONE.number, ONE.number),
        )
        connection.execute("ANALYZE mutation")
        plan = connection.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON) " + QUERIES["mutations_after"],
            {
                "customer": "17/1",
                "after": 10_000,
                "scanned_max": SCANNED_MAX,
                "inscription_contexts": ["PCSA:LIVING_WAGE"],
                "row_count_max": 11,
            },
        ).fetchone()
        connection.rollback()
    assert plan is not None
    nodes = [plan[0][0]["Plan"]]
    for node in nodes:
        nodes.extend(node.get("Plans", ()))
    scans = [node for node in nodes if "Relation Name" in node]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan"}
    assert all(node["Actual Rows"] <= 11 for node in scans)
