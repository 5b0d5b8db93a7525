"""Declarations that were done, by the customer's ticket, as the database keeps them (rule 38)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Literal

import msgspec

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.line_set import AnsweredBefore, Changed, TicketClaim
from cbss_inscription.domain.period import Period
from cbss_inscription.storage.database import Database


class StoredDeclarations:
    """What is remembered of declarations that were done.

    A row counts until it is forgotten, whatever its age: a late clean-up can only keep a promise longer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def answered_before(
        self, customer: CustomerIdentification, ticket: str, context: InscriptionContext
    ) -> AnsweredBefore | None:
        """What was answered to a declaration about this context under the ticket; None when nothing is remembered."""
        row = await self._database.row("answered_declaration", {"customer": customer.key, "ticket": ticket})
        return None if row is None else read_answer(*row, context=context)

    async def forget(self, *, before: datetime) -> int:
        """How many declarations answered before then were forgotten: all, or what other workers left."""
        return await self._database.delete("forget_answered_declarations", before=before)


def read_answer(content: bytes, answer: bytes, *, context: InscriptionContext) -> AnsweredBefore:
    """The answer that `change_line_set` recorded, about lines of this context.

    A record that this version cannot read is an answer without lines: it still says that the declaration was done.
    """
    try:
        stored = msgspec.json.decode(answer, type=StoredAnswer)
        lines = tuple(
            Inscription(
                inscription_context=context,
                period=Period(begin_date=begin_date, end_date=end_date),
                last_change=last_change,
            )
            for begin_date, end_date, last_change in zip(
                stored.begin_dates, stored.end_dates, stored.last_changes, strict=True
            )
        )
    except ValueError:  # msgspec's errors, a period that is none, lists of different lengths
        return AnsweredBefore(content=content, changed=None, told=None)
    changed = Changed(found=True, fits=True, changed=stored.changed, merged=stored.merged, lines=lines)
    return AnsweredBefore(content=content, changed=changed, told=bytes(stored.told))


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The record as the query writes it; a format that says other things has another version."""

    version: Literal[1]
    told: msgspec.Raw
    changed: bool
    merged: bool
    begin_dates: tuple[date, ...]
    end_dates: tuple[date | None, ...]
    last_changes: tuple[datetime, ...]


def write_answer(claim: TicketClaim, changed: Changed) -> bytes:
    """The record of a declaration that was done under a ticket, as `change_line_set` writes it."""
    lines = changed.lines
    return _ENCODER.encode(
        StoredAnswer(
            version=1,
            told=msgspec.Raw(claim.told),
            changed=changed.changed,
            merged=changed.merged,
            begin_dates=tuple([line.period.begin_date for line in lines]),
            end_dates=tuple([line.period.end_date for line in lines]),
            last_changes=tuple([line.last_change for line in lines if line.last_change is not None]),
        )
    )


_ENCODER: Final = msgspec.json.Encoder()
