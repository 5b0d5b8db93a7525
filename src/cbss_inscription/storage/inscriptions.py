"""Line sets and their history, as the database keeps them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.line_set import Change, Changed, PageStart
from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.queries import QUERIES


class StoredInscriptions:
    """A `repertory.embedded.LineStore` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lines(
        self,
        ssin: Ssin,
        customer: CustomerIdentification,
        contexts: Collection[InscriptionContext],
        *,
        overlapping: GivenPeriod | None,
        after: PageStart | None,
        limit: int,
    ) -> tuple[Inscription, ...]:
        """See `LineStore.lines`."""
        rows = await self._database.rows(
            "lines",
            {
                "ssin": ssin.number,
                "customer": customer.key,
                "inscription_contexts": [str(context) for context in contexts],
                "begin_date": overlapping.begin_date if overlapping else None,
                "end_date": overlapping.end_date if overlapping else None,
                "after_context": str(after.inscription_context) if after else None,
                "after_begin_date": after.begin_date if after else None,
                "line_count_max": limit,
            },
        )
        return tuple(_read_line(InscriptionContext(context), *line) for context, *line in rows)

    async def change(self, change: Change) -> Changed:
        """See `LineStore.change`: one transaction, committed when this returns."""
        removed, added = change.removed, change.added
        key, exchange = change.key, change.exchange
        parameters = {
            "ssin": key.ssin.number,
            "customer": key.customer.key,
            "inscription_context": str(key.inscription_context),
            "operation": change.operation.value,
            "removes": removed is not None,
            "removed_begin": removed.begin_date if removed else None,
            "removed_end": removed.end_date if removed else None,
            "adds": added is not None,
            "added_begin": added.begin_date if added else None,
            "added_end": added.end_date if added else None,
            "line_count_max": change.line_count_max,
            "ticket_cbss": exchange.ticket_cbss,
            "customer_ticket": change.customer_ticket,
            "legal_context": str(change.legal_context),
            "application_urn": exchange.caller.application_urn,
            "cbe_number": exchange.caller.cbe_number,
        }
        async with self._database.connection() as connection:
            # Pipelined: BEGIN, the lock, the change and COMMIT cost one round trip, yet stay statements of their own.
            async with connection.pipeline(), connection.transaction():
                await connection.execute(QUERIES["lock_person"], {"ssin": key.ssin.number})
                cursor = await connection.execute(QUERIES["change_line_set"], parameters)
            row = await cursor.fetchone()
        if row is None:
            raise AssertionError("change_line_set gives one row")
        found, fits, changed, merged, begin_dates, end_dates, last_changes = row
        lines = tuple(
            _read_line(key.inscription_context, *line)
            for line in zip(begin_dates, end_dates, last_changes, strict=True)
        )
        return Changed(found=found, fits=fits, changed=changed, merged=merged, lines=lines)

    async def look(self) -> None:
        """See `LineStore.look`."""
        await self._database.row("answer")


def _read_line(
    context: InscriptionContext, begin_date: date, end_date: date | None, last_change: datetime
) -> Inscription:
    return Inscription(
        inscription_context=context, period=Period(begin_date=begin_date, end_date=end_date), last_change=last_change
    )
