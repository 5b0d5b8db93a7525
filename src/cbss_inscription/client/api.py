"""The clients: one method for each operation, sync and async, and the iteration over the mutation feed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Self, TypeVar
from uuid import uuid4

from cbss_inscription.client.call import Answer, PreparedCall, prepare
from cbss_inscription.client.errors import Refused, ReplyUnreadable
from cbss_inscription.client.profile import Profile, read_signer
from cbss_inscription.client.transport import Transport
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.customer import TICKET_LENGTH_MAX, InformationCustomer
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.inscription import InscriptionContext, InvalidInscriptionContext
from cbss_inscription.domain.legal_context import InvalidLegalContext, LegalContext
from cbss_inscription.domain.legal_data import LegalData
from cbss_inscription.domain.mutation import MUTATIONS_MAX, Mutation
from cbss_inscription.domain.period import GivenPeriod, Period, in_milliseconds
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    ConsultMutations,
    DeleteInscription,
    HealthCheck,
    HealthCheckType,
    InsertInscription,
    Request,
    UpdateInscription,
)
from cbss_inscription.domain.results import (
    ConsultResult,
    HealthCheckResult,
    MutationsResult,
    Result,
    StatusValue,
    WriteResult,
)
from cbss_inscription.domain.ssin import Ssin

ResultT = TypeVar("ResultT", bound=Result)


class Requests:
    """The requests of one application, signed and ready to send: what both clients share.

    Every method takes an SSIN as text, 11 digits, or as `Ssin`; `ticket` is made (a UUID) when none is given. All raise
    `UsageError` for an argument that the contract has no room for, and for a profile without customer or legal context.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._signer = read_signer(profile.certificate, profile.private_key)

    def prepare(self, request: Request) -> PreparedCall:
        """The signed message of `request`."""
        door = Door.MUTATIONS if isinstance(request, ConsultMutations) else Door.FACADE
        return prepare(request, signer=self._signer, now=datetime.now(UTC), door=door)

    def consult(
        self,
        ssin: str | Ssin,
        inscription_contexts: Sequence[str],
        period: GivenPeriod | None,
        next_page: str | None,
        ticket: str | None,
        legal_context: str | None,
    ) -> ConsultInscriptions:
        """The request of `consult_inscriptions`."""
        return ConsultInscriptions(
            information_customer=self._information(ticket),
            legal_context=self._legal_context(legal_context),
            ssin=_digits(ssin),
            inscription_contexts=tuple(_context(context) for context in inscription_contexts),
            period=period,
            next=next_page,
        )

    def insert(
        self,
        ssin: str | Ssin,
        inscription_context: str,
        period: Period,
        legal_data: LegalData | None,
        ticket: str | None,
        legal_context: str | None,
    ) -> InsertInscription:
        """The request of `insert_inscription`."""
        return InsertInscription(
            information_customer=self._information(ticket),
            legal_context=self._legal_context(legal_context),
            ssin=_digits(ssin),
            inscription_context=_context(inscription_context),
            period=_given(period),
            legal_data=legal_data,
        )

    def update(
        self,
        ssin: str | Ssin,
        inscription_context: str,
        period: Period,
        new_period: Period,
        ticket: str | None,
        legal_context: str | None,
    ) -> UpdateInscription:
        """The request of `update_inscription`."""
        return UpdateInscription(
            information_customer=self._information(ticket),
            legal_context=self._legal_context(legal_context),
            ssin=_digits(ssin),
            inscription_context=_context(inscription_context),
            period=_given(period),
            new_period=_given(new_period),
        )

    def delete(
        self,
        ssin: str | Ssin,
        inscription_context: str,
        period: GivenPeriod | None,
        ticket: str | None,
        legal_context: str | None,
    ) -> DeleteInscription:
        """The request of `delete_inscription`."""
        return DeleteInscription(
            information_customer=self._information(ticket),
            legal_context=self._legal_context(legal_context),
            ssin=_digits(ssin),
            inscription_context=_context(inscription_context),
            period=period,
        )

    def consult_mutations(
        self, after_sequence_number: int, limit: int, ticket: str | None, legal_context: str | None
    ) -> ConsultMutations:
        """The request of `consult_mutations`."""
        return ConsultMutations(
            information_customer=self._information(ticket),
            legal_context=self._legal_context(legal_context),
            after_sequence_number=after_sequence_number,
            limit=limit,
        )

    def _information(self, ticket: str | None) -> InformationCustomer:
        customer = self._profile.customer_identification
        if customer is None:
            raise UsageError("no customer: give a CBE number, or sector and institution")
        if ticket is not None and not 1 <= len(ticket) <= TICKET_LENGTH_MAX:
            raise UsageError(f"a ticket has 1 to {TICKET_LENGTH_MAX} characters")
        now = datetime.now(UTC)
        return InformationCustomer(
            customer_identification=customer,
            ticket=ticket or str(uuid4()),
            timestamp_sent=in_milliseconds(now),
        )

    def _legal_context(self, legal_context: str | None) -> LegalContext:
        text = legal_context or self._profile.legal_context
        if text is None:
            raise UsageError("no legal context: every request needs the one that KSZ permits")
        try:
            return LegalContext(text)
        except InvalidLegalContext as error:
            raise UsageError(f"'{text}' cannot be a legal context") from error


class InscriptionClient:
    """CBSSInscription for one application, blocking; may be shared by threads, and used as a context manager.

    Every operation raises `CallFailed` when there is no answer; an answer that refuses is an answer.
    """

    def __init__(self, profile: Profile) -> None:
        self._requests = Requests(profile)
        self._transport = Transport(profile)

    def consult_inscriptions(
        self,
        ssin: str | Ssin,
        *,
        inscription_contexts: Sequence[str] = (),
        period: GivenPeriod | None = None,
        next_page: str | None = None,
        ticket: str | None = None,
        legal_context: str | None = None,
    ) -> Answer[ConsultResult]:
        """The customer's lines about a person: of these contexts (none = all), overlapping `period` (none = all).

        `result.next`, given back as `next_page`, fetches what follows.
        """
        request = self._requests.consult(ssin, inscription_contexts, period, next_page, ticket, legal_context)
        return self._call(request, ConsultResult)

    def insert_inscription(
        self,
        ssin: str | Ssin,
        *,
        inscription_context: str,
        period: Period,
        legal_data: LegalData | None = None,
        ticket: str | None = None,
        legal_context: str | None = None,
    ) -> Answer[WriteResult]:
        """What became of adding `period` to the context; legal data, when given, must match the register's."""
        request = self._requests.insert(ssin, inscription_context, period, legal_data, ticket, legal_context)
        return self._call(request, WriteResult)

    def update_inscription(
        self,
        ssin: str | Ssin,
        *,
        inscription_context: str,
        period: Period,
        new_period: Period,
        ticket: str | None = None,
        legal_context: str | None = None,
    ) -> Answer[WriteResult]:
        """What became of giving exactly the line `period` the period `new_period`."""
        request = self._requests.update(ssin, inscription_context, period, new_period, ticket, legal_context)
        return self._call(request, WriteResult)

    def delete_inscription(
        self,
        ssin: str | Ssin,
        *,
        inscription_context: str,
        period: GivenPeriod | None = None,
        ticket: str | None = None,
        legal_context: str | None = None,
    ) -> Answer[WriteResult]:
        """What became of cutting `period` out of the context; without period, of removing the whole context."""
        request = self._requests.delete(ssin, inscription_context, period, ticket, legal_context)
        return self._call(request, WriteResult)

    def consult_mutations(
        self,
        after_sequence_number: int = 0,
        *,
        limit: int = MUTATIONS_MAX,
        ticket: str | None = None,
        legal_context: str | None = None,
    ) -> Answer[MutationsResult]:
        """A page of what happened to the numbers that the customer knows: at most `limit` (1 to 1 000) mutations.

        `result.last_sequence_number` is where the next page begins, at once while `result.more`. Nothing is consumed:
        the application itself remembers how far it is.
        """
        request = self._requests.consult_mutations(after_sequence_number, limit, ticket, legal_context)
        return _following(self._call(request, MutationsResult), request)

    def mutations(self, after: int = 0, *, legal_context: str | None = None) -> Iterator[Mutation]:
        """Every mutation after a sequence number, in order, page by page until the end of the feed.

        Raises `Refused` when a rule refuses (MSG00013), and `CallFailed`. Whoever has handled a mutation can go on at
        any later time after its `sequence_number`.
        """
        more = True
        while more:
            result = _granted(self.consult_mutations(after, legal_context=legal_context).result)
            yield from result.mutations
            after, more = result.last_sequence_number, result.more

    def health_check(self, type: HealthCheckType = HealthCheckType.DEFAULT) -> Answer[HealthCheckResult]:  # noqa: A002
        """How the service is."""
        return self._call(HealthCheck(type=type), HealthCheckResult)

    def close(self) -> None:
        """Nothing; the connections are closed."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _call(self, request: Request, kind: type[ResultT]) -> Answer[ResultT]:
        return _as(self._transport.send(self._requests.prepare(request)), kind)


class AsyncInscriptionClient:
    """CBSSInscription for one application, from coroutines; the same operations as `InscriptionClient`."""

    def __init__(self, profile: Profile) -> None:
        from cbss_inscription.client.async_transport import AsyncTransport  # a third of the time of the rest

        self._requests = Requests(profile)
        self._transport = AsyncTransport(profile)

    async def consult_inscriptions(
        self,
        ssin: str | Ssin,
        *,
        inscription_contexts: Sequence[str] = (),
        period: GivenPeriod | None = None,
        next_page: str | None = None,
        ticket: str | None = None,
        legal_context: str | None = None,
    ) -> Answer[ConsultResult]:
        """See `InscriptionClient.consult_inscriptions`."""
        request = self._requests.consult(ssin, inscription_contexts, period, next_page, ticket, legal_context)
        return await self._call(request, ConsultResult)

    async def insert_inscription(
        self,
        ssin: str | Ssin,
        *,
        inscription_context: str,
        period: Period,
        legal_data: LegalData | None = None,
        ticket: str | None = None,
        legal_context: str | None = None,
    ) -> Answer[WriteResult]:
        """See `InscriptionClient.insert_inscription`."""
        request = self._requests.insert(ssin, inscription_context, period, legal_data, ticket, legal_context)
        return await self._call(request, WriteResult)

    async def update_inscription(
        self,
        ssin: str | Ssin,
        *,
        inscription_context: str,
        period: Period,
        new_period: Period,
        ticket: str | None = None,
        legal_context: str | None = None,
    ) -> Answer[WriteResult]:
        """See `InscriptionClient.update_inscription`."""
        request = self._requests.update(ssin, inscription_context, period, new_period, ticket, legal_context)
        return await self._call(request, WriteResult)

    async def delete_inscription(
        self,
        ssin: str | Ssin,
        *,
        inscription_context: str,
        period: GivenPeriod | None = None,
        ticket: str | None = None,
        legal_context: str | None = None,
    ) -> Answer[WriteResult]:
        """See `InscriptionClient.delete_inscription`."""
        request = self._requests.delete(ssin, inscription_context, period, ticket, legal_context)
        return await self._call(request, WriteResult)

    async def consult_mutations(
        self,
        after_sequence_number: int = 0,
        *,
        limit: int = MUTATIONS_MAX,
        ticket: str | None = None,
        legal_context: str | None = None,
    ) -> Answer[MutationsResult]:
        """See `InscriptionClient.consult_mutations`."""
        request = self._requests.consult_mutations(after_sequence_number, limit, ticket, legal_context)
        return _following(await self._call(request, MutationsResult), request)

    async def mutations(self, after: int = 0, *, legal_context: str | None = None) -> AsyncIterator[Mutation]:
        """See `InscriptionClient.mutations`."""
        more = True
        while more:
            result = _granted((await self.consult_mutations(after, legal_context=legal_context)).result)
            for mutation in result.mutations:
                yield mutation
            after, more = result.last_sequence_number, result.more

    async def health_check(self, type: HealthCheckType = HealthCheckType.DEFAULT) -> Answer[HealthCheckResult]:  # noqa: A002
        """See `InscriptionClient.health_check`."""
        return await self._call(HealthCheck(type=type), HealthCheckResult)

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _call(self, request: Request, kind: type[ResultT]) -> Answer[ResultT]:
        return _as(await self._transport.send(self._requests.prepare(request)), kind)


def _as(answer: Answer[Result], kind: type[ResultT]) -> Answer[ResultT]:
    if not isinstance(answer.result, kind):
        raise ReplyUnreadable("other-operation")
    return Answer(
        result=answer.result,
        information_cbss=answer.information_cbss,
        sent=answer.sent,
        received=answer.received,
    )


def _following(answer: Answer[MutationsResult], request: ConsultMutations) -> Answer[MutationsResult]:
    """The same answer. Raises `ReplyUnreadable` for a page that does not follow what was asked, or leads nowhere.

    Whoever goes on after it would miss something, or ask the same without end.
    """
    page = answer.result
    numbers = [request.after_sequence_number, *(mutation.sequence_number for mutation in page.mutations)]
    in_order = all(one < other for one, other in pairwise(numbers)) and numbers[-1] <= page.last_sequence_number
    if not in_order or (page.more and page.last_sequence_number == request.after_sequence_number):
        raise ReplyUnreadable("order")
    return answer


def _granted(page: MutationsResult) -> MutationsResult:
    if page.status.value not in {StatusValue.DATA_FOUND, StatusValue.NO_DATA_FOUND}:
        raise Refused(page.status)
    return page


def _digits(ssin: str | Ssin) -> str:
    return ssin.digits if isinstance(ssin, Ssin) else ssin


def _context(text: str) -> InscriptionContext:
    try:
        return InscriptionContext(text)
    except InvalidInscriptionContext as error:
        raise UsageError(f"'{text}' cannot be an inscription context") from error


def _given(period: Period) -> GivenPeriod:
    return GivenPeriod(begin_date=period.begin_date, end_date=period.end_date)
