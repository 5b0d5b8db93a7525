"""The history of lines in the database: what was known at a moment, every change, and whether all of it fits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.history import (
    ARRIVALS_MAX,
    CHANGES_MAX,
    CHANGES_REPLAYED_MAX,
    DISCREPANCIES_MAX,
    Arrival,
    ChangesPage,
    Discrepancy,
    DiscrepancyKind,
    HistoryRefused,
    KnownLines,
    LineSetChange,
    Replacement,
    Replay,
    Verification,
)
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.period import Period
from cbss_inscription.domain.ssin import SSIN_DIGITS, Ssin
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.queries import QUERIES

SLICE_CHANGES_MAX: Final = 50_000
"""Changes that a verification looks at in one statement: well below its timeout, and little memory."""
_FETCHED_AT_ONCE: Final = 1_000
_NUMBER_MAX: Final = 10**SSIN_DIGITS - 1


class StoredHistory:
    """What the table of changes tells; it is append-only, so every answer about the past stays the same.

    Except about the last moments: a change has its time some milliseconds before it is committed and can be seen.
    """

    def __init__(self, database: Database, *, hops_max: int) -> None:
        self._database = database
        self._hops_max = hops_max

    async def known_as_of(
        self,
        ssin: Ssin,
        moment: datetime,
        *,
        customer: CustomerIdentification | None = None,
        contexts: Collection[InscriptionContext] | None = None,
    ) -> KnownLines:
        """The lines that were known of a person at a moment, a change at that very moment included (rule 35).

        Under the number that was current then: a number that was replaced by then is followed (rules 19, 20). Without
        `customer` or `contexts`: those of all. Raises `HistoryRefused` when the replacements do not end within
        `hops_max`, or when more than `CHANGES_REPLAYED_MAX` changes would have to be replayed.
        """
        parameters = {
            "ssin": ssin.number,
            "as_of": moment,
            "hops_max": self._hops_max,
            "customer": customer.key if customer else None,
            "inscription_contexts": None if contexts is None else [str(context) for context in contexts],
            "row_count_max": CHANGES_REPLAYED_MAX + 1,
        }
        current, replay, replayed = ssin, Replay(), 0
        async with (
            self._database.connection() as connection,
            connection.transaction(),
            connection.cursor(name="history_as_of") as cursor,
        ):
            cursor.itersize = _FETCHED_AT_ONCE
            await cursor.execute(QUERIES["history_as_of"], parameters)
            async for current_number, ends, ssins, successors, tickets, *change in cursor:
                if not ends:
                    raise HistoryRefused("the replacements of this number lead nowhere")
                if not replayed:
                    current = Ssin.of_number(current_number)
                    replay = Replay(map(_replacement, ssins, successors, tickets))
                if change[0] is None:
                    break
                replayed += 1
                if replayed > CHANGES_REPLAYED_MAX:
                    raise HistoryRefused(f"more than {CHANGES_REPLAYED_MAX} changes: ask for one organisation's")
                replay.apply(_read_change(*change))
        return KnownLines(
            as_of=moment,
            current=current,
            replaces=ssin if current != ssin else None,
            lines=replay.lines(current),
        )

    async def changes_of(
        self,
        ssin: Ssin,
        *,
        customer: CustomerIdentification | None = None,
        context: InscriptionContext | None = None,
        after: int = 0,
        limit: int = CHANGES_MAX,
    ) -> ChangesPage:
        """The changes of lines under exactly this number, newest last, after the change numbered `after` (rule 35).

        Raises `ValueError` for a `limit` that is not between 1 and `CHANGES_MAX`.
        """
        if not 1 <= limit <= CHANGES_MAX:
            raise ValueError(f"a page has 1 to {CHANGES_MAX} changes")
        rows = await self._database.rows(
            "changes_of_lines",
            {
                "ssin": ssin.number,
                "after": after,
                "customer": customer.key if customer else None,
                "inscription_context": str(context) if context is not None else None,
                "row_count_max": limit + 1,
            },
        )
        went = await self._database.row("where_lines_went", {"ssin": ssin.number})
        return ChangesPage(
            changes=tuple(_read_change(*row) for row in rows[:limit]),
            more=len(rows) > limit,
            replaced_by=Ssin.of_number(went[0]) if went else None,
            arrivals=await self.arrivals_at(ssin),
        )

    async def arrivals_at(self, ssin: Ssin) -> tuple[Arrival, ...]:
        """The numbers whose lines came to this one, the first first; at most `ARRIVALS_MAX` (rule 19)."""
        rows = await self._database.rows("where_lines_came_from", {"ssin": ssin.number, "row_count_max": ARRIVALS_MAX})
        return tuple(
            Arrival(ssin=Ssin.of_number(number), arrived_at=arrived_at, ticket_cbss=ticket_cbss)
            for number, arrived_at, ticket_cbss in rows
        )

    async def verify(self, ssin: Ssin | None = None) -> Verification:
        """Where the history of a number, or of all, does not replay to the lines as they are now (rule 35).

        Each number is looked at in one snapshot, so others may write meanwhile. All numbers are looked at in slices of
        about `SLICE_CHANGES_MAX` changes; neither time nor memory of a statement grows with the database.
        """
        if ssin is not None:
            found = await self._discrepancies(ssin.number, ssin.number)
        else:
            found, first = [], 1
            while first <= _NUMBER_MAX and len(found) <= DISCREPANCIES_MAX:
                end = await self._database.row(
                    "end_of_history_slice", {"first_ssin": first, "row_count_max": SLICE_CHANGES_MAX}
                )
                last = _NUMBER_MAX if end is None or end[0] is None else end[0]
                found += await self._discrepancies(first, last)
                first = last + 1
        return Verification(discrepancies=tuple(found[:DISCREPANCIES_MAX]), complete=len(found) <= DISCREPANCIES_MAX)

    async def _discrepancies(self, first: int, last: int) -> list[Discrepancy]:
        rows = await self._database.rows(
            "history_discrepancies",
            {
                "first_ssin": first,
                "last_ssin": last,
                "row_count_max": DISCREPANCIES_MAX + 1,
            },
        )
        return [
            Discrepancy(
                kind=DiscrepancyKind(kind),
                ssin=Ssin.of_number(number),
                customer=customer,
                inscription_context=context,
                change_number=change_number,
            )
            for kind, number, customer, context, change_number in rows
        ]


def _replacement(ssin: int, replaced_by: int, ticket_cbss: UUID) -> Replacement:
    return Replacement(ssin=Ssin.of_number(ssin), replaced_by=Ssin.of_number(replaced_by), ticket_cbss=ticket_cbss)


def _read_change(
    change_number: int,
    ssin: int,
    customer: str,
    inscription_context: str,
    operation: str,
    before_begins: Sequence[date],
    before_ends: Sequence[date | None],
    after_begins: Sequence[date],
    after_ends: Sequence[date | None],
    changed_at: datetime,
    ticket_cbss: UUID,
    *rest: str | None,
) -> LineSetChange:
    customer_ticket, legal_context, application_urn, cbe_number = rest
    return LineSetChange(
        change_number=change_number,
        ssin=Ssin.of_number(ssin),
        customer=CustomerIdentification.of_key(customer),
        inscription_context=InscriptionContext(inscription_context),
        operation=operation,
        before=_read_periods(before_begins, before_ends),
        after=_read_periods(after_begins, after_ends),
        changed_at=changed_at,
        ticket_cbss=ticket_cbss,
        customer_ticket=customer_ticket,
        legal_context=legal_context,
        application_urn=application_urn,
        cbe_number=cbe_number,
    )


def _read_periods(begin_dates: Sequence[date], end_dates: Sequence[date | None]) -> tuple[Period, ...]:
    return tuple(
        Period(begin_date=begin_date, end_date=end_date)
        for begin_date, end_date in zip(begin_dates, end_dates, strict=True)
    )
