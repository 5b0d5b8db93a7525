"""consultMutations: what happened to the numbers that the customer knows?"""

from __future__ import annotations

from typing import Final

from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.mutation import MutationPage
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultMutations
from cbss_inscription.domain.results import MutationsResult, Status, StatusValue
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.usecases.authorization import permit
from cbss_inscription.usecases.ports import MutationFeed, Volumes

CONTEXTS_MAX: Final = 25_000
"""Contexts named in one page, over all its mutations: a full page of 25 each, and below what a client reads."""


async def consult_mutations(
    request: ConsultMutations,
    exchange: Exchange,
    *,
    rules: AccessRules,
    feed: MutationFeed,
    volumes: Volumes | None = None,
) -> MutationsResult:
    """A page of the customer's feed in the contexts granted, or why there is none. Raises `NotAuthorized`.

    Nothing is consumed by reading: the same page can be asked for at any time. Only contexts of the customer's own
    permission count: a right to see other organisations' lines is none to be told of their persons [D].
    """
    after = request.after_sequence_number
    permission = permit(request, exchange, rules, volumes)
    if isinstance(permission, Status):
        # Nothing was looked at, so that a caller which remembers where it is stays there.
        return MutationsResult(status=permission, last_sequence_number=after)
    page = _shortened(
        await feed.mutations_after(
            after,
            customer=permission.customer_identification,
            inscription_contexts=permission.inscription_contexts,
            limit=request.limit,
        )
    )
    return MutationsResult(
        status=_FOUND if page.mutations else _NOTHING_FOUND,
        mutations=page.mutations,
        last_sequence_number=page.last_sequence_number,
        more=page.more,
    )


def _shortened(page: MutationPage) -> MutationPage:
    """The page, ended before the mutation whose contexts would be too many; its first mutation stays in any case."""
    named = 0
    for count, mutation in enumerate(page.mutations):
        named += len(mutation.inscription_contexts)
        if named > CONTEXTS_MAX and count > 0:
            return MutationPage(
                mutations=page.mutations[:count], last_sequence_number=mutation.sequence_number - 1, more=True
            )
    return page


_FOUND: Final = Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)
_NOTHING_FOUND: Final = Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA)
