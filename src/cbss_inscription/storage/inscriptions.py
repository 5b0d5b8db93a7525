"""Line sets and their history, as the database keeps them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.line_set import AnsweredBefore, Change, Changed, LinesAsked, Moved
from cbss_inscription.domain.period import Period
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.declarations import StoredDeclarations, read_answer
from cbss_inscription.storage.queries import QUERIES


class StoredInscriptions:
    """A `repertory.embedded.LineStore` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._declarations = StoredDeclarations(database)

    async def lines(self, asked: LinesAsked) -> tuple[Inscription, ...] | Moved:
        """See `LineStore.lines`: one statement, so that the lines and where they went are of the same moment."""
        overlapping, after, others = asked.overlapping, asked.after, asked.others
        organizations = others.organizations if others else None
        rows = await self._database.rows(
            "lines",
            {
                "ssin": asked.ssin.number,
                "customer": asked.customer.key,
                "inscription_contexts": _texts(asked.inscription_contexts),
                "other_contexts": _texts(others.inscription_contexts if others else ()),
                "organizations": None if organizations is None else [item.key for item in organizations],
                "begin_date": overlapping.begin_date if overlapping else None,
                "end_date": overlapping.end_date if overlapping else None,
                "after_context": str(after.inscription_context) if after else None,
                "after_begin_date": after.begin_date if after else None,
                "after_customer": after.organization.key if after else None,
                "line_count_max": asked.limit,
            },
        )
        moved = next((replaced_by for replaced_by, *_ in rows if replaced_by is not None), None)
        if moved is not None:
            return Moved(continued_by=Ssin.of_number(moved))
        return tuple(
            Inscription(
                inscription_context=InscriptionContext(context),
                period=Period(begin_date=begin_date, end_date=end_date),
                organization=CustomerIdentification.of_key(customer),
                last_change=last_change,
            )
            for _, context, customer, begin_date, end_date, last_change in rows
        )

    async def change(self, change: Change) -> Changed | AnsweredBefore | Moved:
        """See `LineStore.change`: one transaction, committed when this returns."""
        removed, added = change.removed, change.added
        key, exchange, claim = change.key, change.exchange, change.claim
        customer, ticket = key.customer.key, claim.ticket if claim else None
        parameters = {
            "ssin": key.ssin.number,
            "customer": customer,
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
            "ticket": ticket,
            "content": claim.content if claim else None,
            "told": claim.told.decode("utf-8") if claim else None,
        }
        async with self._database.connection() as connection:
            # Pipelined: BEGIN, the locks, the change and COMMIT cost one round trip, yet stay statements of their own.
            async with connection.pipeline(), connection.transaction():
                if ticket is not None:
                    await connection.execute(QUERIES["lock_ticket"], {"customer": customer, "ticket": ticket})
                await connection.execute(QUERIES["lock_person"], {"ssin": key.ssin.number})
                cursor = await connection.execute(QUERIES["change_line_set"], parameters)
            row = await cursor.fetchone()
        if row is None:
            raise AssertionError("change_line_set gives one row")
        *of_lines, answered_content, answer, replaced_by = row
        if answer is not None:
            # First, for a declaration that was done stays so, whatever became of its number since.
            return read_answer(answered_content, answer, context=key.inscription_context)
        if replaced_by is not None:
            return Moved(continued_by=Ssin.of_number(replaced_by))
        found, fits, changed, merged, begin_dates, end_dates, last_changes = of_lines
        lines = tuple(
            Inscription(
                inscription_context=key.inscription_context,
                period=Period(begin_date=begin_date, end_date=end_date),
                last_change=last_change,
            )
            for begin_date, end_date, last_change in zip(begin_dates, end_dates, last_changes, strict=True)
        )
        return Changed(found=found, fits=fits, changed=changed, merged=merged, lines=lines)

    async def answered_before(
        self, customer: CustomerIdentification, ticket: str, context: InscriptionContext
    ) -> AnsweredBefore | None:
        """See `LineStore.answered_before`."""
        return await self._declarations.answered_before(customer, ticket, context)

    async def left_behind(self, ssins: Collection[Ssin]) -> frozenset[Ssin]:
        """See `LineStore.left_behind`."""
        rows = await self._database.rows("left_behind", {"ssins": [ssin.number for ssin in ssins]})
        return frozenset(Ssin.of_number(number) for (number,) in rows)

    async def look(self) -> None:
        """See `LineStore.look`."""
        await self._database.row("answer")


def _texts(contexts: Iterable[InscriptionContext]) -> list[str]:
    return [str(context) for context in contexts]
