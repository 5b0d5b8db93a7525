"""Many connections change the same persons at once (rules 32, 35, 37)."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.line_set import Change, Changed, LineKey
from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.inscriptions import StoredInscriptions

CONNECTIONS: Final = 8
CHANGES_EACH: Final = 200
SSINS = tuple(Ssin.parse(text) for text in ("85073003328", "17073003384", "42012205181"))
CONTEXTS = (InscriptionContext("PCSA:LIVING_WAGE"), InscriptionContext("PCSA:DEBT_MEDIATION"))
CALLER = Caller(
    application_urn="urn:app:one",
    cbe_number="0200000012",
    environment="Acceptation",
    certificate_fingerprint="00" * 32,
)
EPOCH = date(2024, 1, 1)

Key = tuple[int, str]
Line = tuple[date, date | None]
Lines = tuple[Line, ...]


def random_change(draw: random.Random) -> Change:
    begin = EPOCH + timedelta(days=draw.randrange(60))
    end = draw.choice([None, *(begin + timedelta(days=days) for days in (0, 1, 5, 12))])
    operation = draw.choice([Operation.INSERT_INSCRIPTION, Operation.UPDATE_INSCRIPTION, Operation.DELETE_INSCRIPTION])
    removed, added = GivenPeriod(begin_date=begin, end_date=end), Period(begin_date=begin, end_date=end)
    return Change(
        key=LineKey(
            ssin=draw.choice(SSINS),
            customer=CustomerIdentification(sector=17, institution=1),
            inscription_context=draw.choice(CONTEXTS),
        ),
        operation=operation,
        removed=None if operation is Operation.INSERT_INSCRIPTION else removed,
        added=None if operation is Operation.DELETE_INSCRIPTION else added,
        line_count_max=1_000,
        legal_context=LegalContext("PCSA:SOCIAL_INQUIRY"),
        customer_ticket=None,
        exchange=Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime(2024, 6, 1, tzinfo=UTC), caller=CALLER),
    )


async def clerk(database: Database, seed: int) -> list[tuple[Change, Changed]]:
    draw = random.Random(seed)
    store = StoredInscriptions(database)
    done = []
    for _ in range(CHANGES_EACH):
        change = random_change(draw)
        changed = await store.change(change)
        done.append((change, changed))
        if change.operation is Operation.INSERT_INSCRIPTION and draw.random() < 0.5 and changed.lines:
            # Name a line that was there a moment ago: whether it still is, only the lock can tell.
            line = draw.choice(changed.lines).period
            moved = random_change(draw)
            while moved.operation is not Operation.UPDATE_INSCRIPTION:
                moved = random_change(draw)
            update = Change(
                key=change.key,
                operation=Operation.UPDATE_INSCRIPTION,
                removed=GivenPeriod(begin_date=line.begin_date, end_date=line.end_date),
                added=moved.added,
                line_count_max=1_000,
                legal_context=change.legal_context,
                customer_ticket=None,
                exchange=moved.exchange,
            )
            changed = await store.change(update)
            done.append((update, changed))
    return done


def lines_of(periods: Any) -> Lines:
    return tuple((part.lower, None if part.upper is None else part.upper - timedelta(days=1)) for part in periods)


async def test_rules_32_35_37_changes_of_one_person_at_once_follow_each_other(fresh_database: str) -> None:
    """Eight connections change three persons: no error, lines stay disjoint, the history replays to the state."""
    database = Database(fresh_database, connections_max=CONNECTIONS)
    await database.open()
    try:
        # A deadlock, a serialization failure or a broken constraint would be raised here.
        done = [
            item
            for each in await asyncio.gather(*(clerk(database, seed) for seed in range(CONNECTIONS)))
            for item in each
        ]
    finally:
        await database.close()
    with psycopg.connect(fresh_database) as connection:
        history = connection.execute(
            "SELECT ssin, inscription_context, before, after, changed_at, ticket_cbss"
            " FROM inscription_history ORDER BY change_number"
        ).fetchall()
        state = connection.execute(
            "SELECT ssin, inscription_context, periods, last_changes FROM inscription"
        ).fetchall()
    assert len(done) >= CONNECTIONS * CHANGES_EACH

    reached: dict[Key, Lines] = {}
    since: dict[Key, dict[Line, datetime]] = {}
    answers: dict[UUID, Lines] = {}
    for ssin, context, before, after, changed_at, ticket in history:
        key = (ssin, context)
        assert lines_of(before) == reached.get(key, ())
        reached[key] = answers[ticket] = lines_of(after)
        assert reached[key] != lines_of(before)
        former = since.get(key, {})
        moment: datetime = changed_at
        since[key] = {line: former.get(line, moment) for line in reached[key]}
    assert {(ssin, context): lines_of(periods) for ssin, context, periods, _ in state} == reached
    for ssin, context, periods, last_changes in state:
        assert dict(zip(lines_of(periods), last_changes, strict=True)) == since[ssin, context]
        for (_, end), (begin, _) in pairwise(lines_of(periods)):
            assert end is not None
            assert begin - end > timedelta(days=1)

    # Each caller was told exactly what its own change left, and the history has a row for each change that changed.
    assert len(answers) == len(history)
    changing = {change.exchange.ticket_cbss: changed for change, changed in done if changed.changed}
    assert changing.keys() == answers.keys()
    for ticket, changed in changing.items():
        assert tuple((line.period.begin_date, line.period.end_date) for line in changed.lines) == answers[ticket]
    assert {changed.found for _, changed in done} == {True, False}
