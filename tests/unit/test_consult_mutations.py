"""consultMutations before and after the feed: who may read, what a page may name, what a refusal leaves (usecases)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.errors import NotAuthorized
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.mutation import Mutation, MutationPage
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultMutations, Operation
from cbss_inscription.domain.results import MutationsResult, StatusValue
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import (
    AccessRule,
    AccessRules,
    AgreedVolume,
    Permission,
    Visibility,
    VolumeWindow,
)
from cbss_inscription.usecases.consult_mutations import CONTEXTS_MAX, consult_mutations
from cbss_inscription.usecases.ports import Volumes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CUSTOMER = CustomerIdentification(sector=17, institution=1)
WAGE, MEDICAL, SEEN = (InscriptionContext(text) for text in ("PCSA:LIVING_WAGE", "PCSA:MEDICAL", "FUND:CHILD"))
CALLER = Caller(application_urn="a:b:c", cbe_number="0206731645", environment="TST", certificate_fingerprint="00")
LEGAL = LegalContext("PCSA:SOCIAL_INQUIRY")
SSIN = Ssin.parse("85073003328")


class Feed:
    """A `MutationFeed` with one page for everybody, which keeps what it was asked."""

    def __init__(self, page: MutationPage) -> None:
        self.page = page
        self.asked: list[dict[str, Any]] = []

    async def mutations_after(
        self,
        sequence_number: int,
        *,
        customer: CustomerIdentification,
        inscription_contexts: Collection[InscriptionContext],
        limit: int,
    ) -> MutationPage:
        self.asked.append(
            {"after": sequence_number, "customer": customer, "contexts": set(inscription_contexts), "limit": limit}
        )
        return self.page


def permission(*contexts: InscriptionContext, **changes: Any) -> Permission:
    """A permission for these contexts."""
    values: dict[str, Any] = {
        "reference": "P",
        "customer_identification": CUSTOMER,
        "cbe_number": CALLER.cbe_number,
        "application_urns": (CALLER.application_urn,),
        "legal_contexts": frozenset({LEGAL}),
        "inscription_contexts": frozenset(contexts),
        "operations": (Operation.CONSULT_MUTATIONS,),
        "valid_from": date(2026, 1, 1),
    }
    return Permission(**values | changes)


async def ask(
    feed: Feed,
    *permissions: Permission,
    operation: Operation = Operation.CONSULT_MUTATIONS,
    legal: str = str(LEGAL),
    volumes: Volumes | None = None,
) -> MutationsResult:
    """What a caller gets that asks after 7, at most 5."""
    rule = AccessRule(
        dossier="D",
        application_urn=CALLER.application_urn,
        cbe_number=CALLER.cbe_number,
        environment=CALLER.environment,
        operations=(operation,),
        valid_from=date(2026, 1, 1),
    )
    request = ConsultMutations(
        information_customer=InformationCustomer(customer_identification=CUSTOMER),
        legal_context=LegalContext(legal),
        after_sequence_number=7,
        limit=5,
    )
    rules = AccessRules(version=1, access_rules=(rule,), permissions=permissions)
    exchange = Exchange(ticket_cbss=UUID(int=1), timestamp_receive=NOW, caller=CALLER)
    return await consult_mutations(request, exchange, rules=rules, feed=feed, volumes=volumes)


def mutation(number: int, contexts: int) -> Mutation:
    """A mutation in so many contexts."""
    return Mutation(
        sequence_number=number,
        event=LifeEvent.CORRECTED,
        ssin=SSIN,
        current_ssin=SSIN,
        inscription_contexts=tuple(InscriptionContext(f"A:{n}") for n in range(contexts)),
        recorded_at=NOW,
    )


EMPTY = MutationPage(mutations=(), last_sequence_number=7, more=False)


async def test_the_feed_is_asked_for_the_customer_and_the_contexts_granted() -> None:
    """Customer and own contexts are the permission's; what other organisations let it see is no part of them."""
    feed = Feed(EMPTY)
    visible = Visibility(inscription_contexts=frozenset({SEEN}))
    result = await ask(feed, permission(WAGE, MEDICAL, visibility=visible))
    assert feed.asked == [{"after": 7, "customer": CUSTOMER, "contexts": {WAGE, MEDICAL}, "limit": 5}]
    assert (result.status.value, result.status.code) == (StatusValue.NO_DATA_FOUND, OutcomeCode.NO_DATA)


async def test_contexts_of_all_permissions_that_hold_are_told() -> None:
    """Two permissions under the same legal context are read as one feed; one under another adds nothing."""
    feed = Feed(EMPTY)
    other = permission(SEEN, legal_contexts=frozenset({LegalContext("PCSA:OTHER")}))
    await ask(feed, permission(WAGE), permission(MEDICAL), other)
    assert feed.asked[0]["contexts"] == {WAGE, MEDICAL}


async def test_a_refusal_asks_no_feed_and_keeps_the_place() -> None:
    """MSG00013 has the number that was asked; who has no right at all is NotAuthorized (SEC-56, SEC-58)."""
    feed = Feed(EMPTY)
    refused = await ask(feed, permission(WAGE), legal="PCSA:OTHER")
    assert (refused.status.value, refused.status.code) == ("NO_RESULT", "MSG00013")
    assert (refused.last_sequence_number, refused.more, refused.mutations) == (7, False, ())
    with pytest.raises(NotAuthorized):
        await ask(feed, permission(WAGE), operation=Operation.CONSULT_INSCRIPTIONS)
    with pytest.raises(NotAuthorized):
        await ask(feed, permission(WAGE, operations=(Operation.CONSULT_INSCRIPTIONS,)))
    assert feed.asked == []


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([CONTEXTS_MAX], 1),
        ([CONTEXTS_MAX - 1, 1], 2),
        ([CONTEXTS_MAX - 1, 2, 1], 1),
        ([CONTEXTS_MAX, 1], 1),
        ([CONTEXTS_MAX + 1], 1),
        ([CONTEXTS_MAX + 1, 1], 1),
        ([1, CONTEXTS_MAX, 1], 1),
    ],
)
async def test_a_page_names_a_bounded_number_of_contexts(sizes: list[int], kept: int) -> None:
    """A page ends before the mutation that would be too many, and says that there are more; one is always given."""
    told = tuple(mutation(10 * number, size) for number, size in enumerate(sizes, start=1))
    last = told[-1].sequence_number + 3
    result = await ask(Feed(MutationPage(mutations=told, last_sequence_number=last, more=False)), permission(WAGE))
    assert result.mutations == told[:kept]
    assert result.status.value is StatusValue.DATA_FOUND
    if kept < len(told):
        assert (result.last_sequence_number, result.more) == (told[kept].sequence_number - 1, True)
    else:
        assert (result.last_sequence_number, result.more) == (last, False)


class Full:
    """A `Volumes` with nothing left, which keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Operation, datetime, int]] = []

    def admit(self, permission: Permission, operation: Operation, *, now: datetime, calls: int = 1) -> AgreedVolume:
        self.asked.append((permission.reference, operation, now, calls))
        return AgreedVolume(window=VolumeWindow.DAY, limit=12)


async def test_sec_57_a_full_volume_asks_no_feed_and_keeps_the_place() -> None:
    """A page beyond the volume is CBI00202 with the number that was asked, and the feed is not (SEC-57)."""
    feed, full = Feed(EMPTY), Full()
    refused = await ask(feed, permission(WAGE), volumes=full)
    assert (refused.status.value, refused.status.code) == ("NO_RESULT", "CBI00202")
    assert refused.last_sequence_number == 7
    assert feed.asked == []
    assert full.asked == [("P", Operation.CONSULT_MUTATIONS, NOW, 1)]
