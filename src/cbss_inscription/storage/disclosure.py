"""What the database holds about one person, under every number they had, as it was at one moment (rule 53)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.history import HistoryRefused
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.period import Period
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.disclosure import RECORDS_MAX, PersonFacts, ToldMutation
from cbss_inscription.storage.database import Database, Row
from cbss_inscription.storage.journal_lookup import records_of_person
from cbss_inscription.storage.queries import QUERIES

NUMBERS_MAX: Final = 100
"""Numbers of one person that are followed: many times more than anybody had."""


async def facts_of_person(
    database: Database,
    ssin: Ssin,
    *,
    hashes_of: Callable[[str], Collection[bytes]],
    since: datetime | None,
    until: datetime | None,
    hops_max: int,
) -> PersonFacts:
    """What is held about whoever bears or bore this number; records and mutations of a time, lines as they are.

    Of each kind at most `RECORDS_MAX`, the newest. Raises `HistoryRefused` when the replacements end nowhere, or are
    more than `NUMBERS_MAX`; `UsageError` for a record that cannot be read.
    """
    limit = RECORDS_MAX + 1
    async with database.connection() as connection, connection.transaction():
        await connection.execute(QUERIES["one_moment"], prepare=False)  # two statements: none to prepare
        cursor = await connection.execute(
            QUERIES["numbers_of_person"],
            {"ssin": ssin.number, "hops_max": hops_max, "row_count_max": NUMBERS_MAX + 1},
        )
        found = await cursor.fetchall()
        if len(found) > NUMBERS_MAX or not all(ends for _, ends in found):
            raise HistoryRefused("the replacements of this number lead nowhere")
        numbers = [Ssin.of_number(number) for number, _ in found]
        of_numbers = {"ssins": [one.number for one in numbers], "row_count_max": limit}
        cursor = await connection.execute(QUERIES["lines_of_numbers"], of_numbers)
        lines = [_line(row) for row in await cursor.fetchall()]
        records = await records_of_person(
            connection,
            [one for number in numbers for one in hashes_of(number.digits)],
            since=since,
            until=until,
            record_count_max=limit,
        )
        cursor = await connection.execute(QUERIES["mutations_about"], of_numbers | {"since": since, "until": until})
        mutations = [_mutation(row) for row in await cursor.fetchall()]
        cursor = await connection.execute(QUERIES["archived_until"])
        archived = await cursor.fetchone()
    current, *formers = numbers
    return PersonFacts(
        current=current,
        formers=tuple(formers),
        lines=tuple(lines[:RECORDS_MAX]),
        records=records[:RECORDS_MAX],
        mutations=tuple(mutations[:RECORDS_MAX]),
        archived_until=archived[0] if archived else None,
        truncated=max(map(len, (lines, records, mutations))) > RECORDS_MAX,
    )


def _line(row: Row) -> Inscription:
    context, customer, begin_date, end_date, last_change = row
    return Inscription(
        inscription_context=InscriptionContext(context),
        period=Period(begin_date=begin_date, end_date=end_date),
        organization=CustomerIdentification.of_key(customer),
        last_change=last_change,
    )


def _mutation(row: Row) -> ToldMutation:
    customer, event, contexts, recorded_at = row
    return ToldMutation(
        customer=customer, event=LifeEvent(event), inscription_contexts=tuple(contexts), recorded_at=recorded_at
    )
