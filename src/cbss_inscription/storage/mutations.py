"""The mutation feed, as the database keeps it; life events write it (`storage.life`)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.mutation import Mutation, MutationPage
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.database import Database, Row

SCANNED_MAX: Final = 10_000
"""Mutations that one page looks at, whether or not they are in a context asked for."""


class StoredMutations:
    """A `usecases.ports.MutationFeed` in PostgreSQL."""

    def __init__(self, database: Database, *, scanned_max: int = SCANNED_MAX) -> None:
        self._database = database
        self._scanned_max = scanned_max

    async def mutations_after(
        self,
        sequence_number: int,
        *,
        customer: CustomerIdentification,
        inscription_contexts: Collection[InscriptionContext],
        limit: int,
    ) -> MutationPage:
        """See `MutationFeed.mutations_after`: one statement, so that the page and the end are of the same moment."""
        rows = await self._database.rows(
            "mutations_after",
            {
                "customer": customer.key,
                "after": sequence_number,
                "scanned_max": self._scanned_max,
                "inscription_contexts": [str(context) for context in inscription_contexts],
                # One more than a page holds tells whether there is a next one, and what need not be looked at again.
                "row_count_max": limit + 1,
            },
        )
        end = rows[0][0]  # in every row, and in one of its own when there is no mutation
        found = tuple(_read_mutation(row, inscription_contexts) for row in rows if row[1] is not None)
        if len(found) > limit:
            return MutationPage(
                mutations=found[:limit], last_sequence_number=found[limit].sequence_number - 1, more=True
            )
        looked_at = max(sequence_number, min(sequence_number + self._scanned_max, end))
        return MutationPage(mutations=found, last_sequence_number=looked_at, more=looked_at < end)


def _read_mutation(row: Row, granted: Collection[InscriptionContext]) -> Mutation:
    _, sequence_number, ssin, event, current_ssin, inscription_contexts, recorded_at = row
    return Mutation(
        sequence_number=sequence_number,
        event=LifeEvent(event),
        ssin=Ssin.of_number(ssin),
        current_ssin=Ssin.of_number(current_ssin),
        inscription_contexts=tuple(InscriptionContext(text) for text in inscription_contexts if text in granted),
        recorded_at=recorded_at,
    )
