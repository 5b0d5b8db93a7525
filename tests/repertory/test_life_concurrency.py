"""Clerks declare and consult while numbers are replaced under their hands (rules 19, 20, 32, 35, 37)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Final

import psycopg

from cbss_inscription.domain.legal_data import Register
from cbss_inscription.registers.life import Done, NumberLife, Refused
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.history import StoredHistory
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.life import StoredFiles
from cbss_inscription.storage.mutations import StoredMutations
from cbss_inscription.storage.persons import StoredPersons
from tests.conftest import FoundDataAnomalies
from tests.repertory.office import DEBT, OTHER, OWN, WAGE, Office, codes_of, permission_of, rules_of, ssin_of

PERSONS: Final = 60
HOPS_MAX: Final = 10
WORKERS: Final = 2
CLERKS_EACH: Final = 3
REPLACEMENTS_EACH: Final = 25
"""Replacements done by each registrar; the clerks work until both have done theirs."""
KNOWN_SINCE, KNOWN = "2020-01-01..2020-12-31", date(2020, 1, 1)
"""A line in DEBT that every person has from the start, and that nobody ever takes away."""
EPOCH = date(2024, 1, 1)


@dataclass
class Seen:
    """What the clerks and registrars saw."""

    codes: Counter[str] = field(default_factory=Counter)
    warned: Counter[str] = field(default_factory=Counter)
    replaced: list[Done] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    pulled: dict[str, list[int]] = field(default_factory=dict)


async def clerk(office: Office, draw: random.Random, seen: Seen, done: asyncio.Event) -> None:
    """Any operation, by any number there ever was; what is consulted always shows the line that is always there."""
    while not done.is_set():
        index = draw.randrange(1, PERSONS + 1)
        begin = EPOCH + timedelta(days=draw.randrange(40))
        period = f"{begin}..{draw.choice(['', begin, begin + timedelta(days=5)])}"
        kind = draw.randrange(5)
        if kind == 0:
            consulted = await office.consult(index, DEBT)
            assert consulted.status.code == "MSG00000"
            assert KNOWN in {line.period.begin_date for line in consulted.inscriptions}
            continue
        result = await (
            office.insert(index, period)
            if kind <= 2
            else office.update(index, period, f"{begin}..{begin}")
            if kind == 3
            else office.delete(index, period)
        )
        seen.codes[result.status.code] += 1
        seen.warned.update(codes_of(result))


async def registrar(life: NumberLife, draw: random.Random, seen: Seen) -> None:
    """Replaces numbers by others, whichever: what would close a circle or is replaced already is refused."""
    count = 0
    while count < REPLACEMENTS_EACH:
        old, new = draw.sample(range(1, PERSONS + 1), 2)
        result = await life.replace(ssin_of(old), ssin_of(new), operator="registrar")
        if isinstance(result, Refused):
            seen.refused[result.reason] += 1
        else:
            seen.replaced.append(result)
            count += 1


async def reader(feed: StoredMutations, seen: Seen, done: asyncio.Event) -> None:
    """Pulls both organisations' mutations from where it is: each page begins where the former one ended (rule 19)."""
    for customer in (OWN, OTHER):
        seen.pulled[customer.key] = []
    while True:
        last_round = done.is_set()
        for customer in (OWN, OTHER):
            pulled = seen.pulled[customer.key]
            page = await feed.mutations_after(
                len(pulled), customer=customer, inscription_contexts=(WAGE, DEBT), limit=1_000
            )
            pulled += [mutation.sequence_number for mutation in page.mutations]
            assert pulled == list(range(1, len(pulled) + 1))
        if last_round:
            return
        await asyncio.sleep(0)


def populate(conninfo: str) -> None:
    with psycopg.connect(conninfo) as connection:
        for index in range(1, PERSONS + 1):
            connection.execute(
                "INSERT INTO person (ssin, register, status, last_name, given_names, gender_code)"
                " VALUES (%s, 'nr', 'active', 'Peeters', '{}', 0)",
                (ssin_of(index).number,),
            )


async def work(databases: list[Database], conninfo: str, seen: Seen) -> None:
    offices, lives = [], []
    for database in databases:
        persons = StoredPersons(database)
        repertory = EmbeddedRepertory(
            registers=persons,
            lines=StoredInscriptions(database),
            known_contexts=lambda _: (WAGE, DEBT),
            data_anomalies=FoundDataAnomalies(),
            hops_max=HOPS_MAX,
        )
        rules = rules_of(permission_of(OWN), permission_of(OTHER))
        offices.append(Office(repertory=repertory, conninfo=conninfo, rules=rules))
        lives.append(
            NumberLife(
                files=StoredFiles(database),
                registers=persons,
                national_register=persons,
                ours=tuple(Register),
                data_anomalies=FoundDataAnomalies(),
                hops_max=HOPS_MAX,
            )
        )
    for index in range(1, PERSONS + 1):
        for customer in (OWN, OTHER):
            await offices[0].at(customer).insert(index, KNOWN_SINCE, context=DEBT)
    done = asyncio.Event()

    async def registrars() -> None:
        try:
            await asyncio.gather(*(registrar(life, random.Random(seed), seen) for seed, life in enumerate(lives)))
        finally:
            done.set()

    clerks = [
        clerk(replace(office, customer=draw.choice((OWN, OTHER))), draw, seen, done)
        for number, office in enumerate(offices)
        for draw in (random.Random(100 * number + seed) for seed in range(CLERKS_EACH))
    ]
    await asyncio.gather(registrars(), reader(StoredMutations(databases[0]), seen, done), *clerks)


async def test_rules_19_20_numbers_are_replaced_while_everybody_works_with_them(fresh_database: str) -> None:
    """No error, no line lost or stranded, the history replays, each holder is told once, by numbers without gaps."""
    populate(fresh_database)
    databases = [Database(fresh_database, connections_max=CLERKS_EACH + 2) for _ in range(WORKERS)]
    seen = Seen()
    try:
        for database in databases:
            await database.open()
        # A deadlock or a timeout would be raised here.
        await work(databases, fresh_database, seen)
        verification = await StoredHistory(databases[0], hops_max=HOPS_MAX).verify()
    finally:
        for database in databases:
            await database.close()
    assert verification.discrepancies == ()

    # Something happened, of every kind; and nothing that the rules do not know.
    assert seen.codes.keys() == {"MSG00000", "CBI00403"}
    assert {"CBI00102", "CBI00402"} <= seen.warned.keys()
    assert len(seen.replaced) == WORKERS * REPLACEMENTS_EACH
    assert seen.refused.keys() <= {"not-active", "loop", "too-long"}

    with psycopg.connect(fresh_database) as connection:
        check_lines(connection, seen)
        check_feed(connection, seen)


def check_lines(connection: psycopg.Connection[Any], seen: Seen) -> None:
    """Lines stand under active numbers only, and whoever is not replaced still has the line that was always there."""
    stranded = connection.execute(
        "SELECT count(*) FROM inscription JOIN person USING (ssin) WHERE status <> 'active' AND NOT isempty(periods)"
    ).fetchone()
    assert stranded == (0,)
    known = connection.execute(
        "SELECT count(*) FROM inscription WHERE inscription_context = %s AND periods @> %s", (str(DEBT), KNOWN)
    ).fetchone()
    assert known == (2 * (PERSONS - len(seen.replaced)),)


def check_feed(connection: psycopg.Connection[Any], seen: Seen) -> None:
    """Both organisations hold a line of every person, so both are told of every replacement, once, in its order."""
    for customer in (OWN, OTHER):
        told = connection.execute(
            "SELECT ssin, current_ssin, ticket_cbss FROM mutation WHERE customer = %s ORDER BY sequence_number",
            (customer.key,),
        ).fetchall()
        in_order = sorted(seen.replaced, key=lambda item: item.recorded_at)
        assert sorted(told) == sorted(
            (item.ssin.number, item.current_ssin.number, item.ticket_cbss) for item in in_order
        )
        assert seen.pulled[customer.key] == list(range(1, len(seen.replaced) + 1))
    assert {item.mutations for item in seen.replaced} == {2}
