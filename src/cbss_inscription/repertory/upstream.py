"""The repertory as another service, asked over SOAP (KSZ's InscriptionService): slow, wrong or gone at times.

Whatever is no valid answer to what was asked is an outage and never an answer (SEC-68). A consultation may be sent
again; a declaration is sent once (SEC-70), under its customer's ticket, and when its reply is lost the lines are looked
at. We sign with our own key, and nothing of a caller's own security goes along (SEC-69). docs/upstream.md says what a
caller is told when.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, TypeVar
from uuid import uuid4

import msgspec

from cbss_inscription.client.asker import RECONCILED, Answered, Asker, Contradiction, Unanswered
from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.errors import ServiceUnavailable, TemporarilyUnavailable
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import in_milliseconds
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InscriptionRequest,
    InsertInscription,
    UpdateInscription,
    WriteRequest,
)
from cbss_inscription.domain.results import (
    ConsultResult,
    Information,
    InscriptionResult,
    Result,
    SanityCheck,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.repertory.embedded import LINES_FILTERED
from cbss_inscription.repertory.port import Admitted
from cbss_inscription.repertory.reconcile import answer_after, has_a_day_of

SOURCE: Final = "repertory"
"""The name of the repertory in health checks and logs."""

RequestT = TypeVar("RequestT", bound=InscriptionRequest)


class UpstreamRepertory:
    """A `Repertory` in another process or another house."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def consult(self, asked: Admitted[ConsultInscriptions]) -> ConsultResult:
        """See `Repertory.consult`."""
        request = self._of_ours(asked.request, asked.exchange)
        try:
            answered = await self._ask(asked, request, ends=self._end_of(asked.exchange))
        except Unanswered as unanswered:
            raise self._outage(unanswered) from None
        result = _consulted(answered)
        for context in request.inscription_contexts:
            if context not in asked.permission.readable_contexts and result.status.value is not StatusValue.NO_RESULT:
                return _refused_consultation(context, result.ssin)
        return _within_permission(asked, result)

    async def insert(self, asked: Admitted[InsertInscription]) -> WriteResult:
        """See `Repertory.insert`."""
        return await self._declare(asked)

    async def update(self, asked: Admitted[UpdateInscription]) -> WriteResult:
        """See `Repertory.update`."""
        return await self._declare(asked)

    async def delete(self, asked: Admitted[DeleteInscription]) -> WriteResult:
        """See `Repertory.delete`."""
        return await self._declare(asked)

    async def look(self) -> SanityCheck:
        """See `Repertory.look`: the upstream authenticates a test message, and sends it back."""
        return await self._asker.look()

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        await self._asker.close()

    # -- declarations ----------------------------------------------------------------------------------------------

    async def _declare(self, asked: Admitted[WriteRequest]) -> WriteResult:
        """What became of a declaration that was sent once.

        Raises `RepertoryUnavailable` when it is certain that nothing was done, and `TemporarilyUnavailable` when that
        is not known: sent again under the same ticket it is done once (rule 38).
        """
        request = self._of_ours(asked.request, asked.exchange)
        if request.inscription_context not in asked.permission.inscription_contexts:
            return await self._refused_after_looking(asked, request)
        ends = self._end_of(asked.exchange)
        # What is left after that is for looking at the lines.
        left = ends - self._asker.clock()
        first = ends - min(self._asker.timeout_seconds, left / 3)
        try:
            answered = await self._asker.send(
                request,
                ends=first,
                check=lambda result: _check(asked, request, result),
                ticket_cbss=str(asked.exchange.ticket_cbss),
            )
        except Unanswered as unanswered:
            if unanswered.is_undone:
                raise self._outage(unanswered) from None
            return await self._reconciled(asked, request, sent_at=unanswered.sent_at, ends=ends)
        result = answered.answer.result
        assert isinstance(result, WriteResult)
        return result

    async def _reconciled(
        self, asked: Admitted[WriteRequest], request: WriteRequest, *, sent_at: float, ends: float
    ) -> WriteResult:
        """The answer to a declaration whose reply was lost, when its lines prove that it was done.

        Raises `TemporarilyUnavailable`: it is not known whether it was.
        """
        began = self._asker.clock()
        consultation = self._consultation_about(request)
        try:
            looked = await self._ask(asked, consultation, ends=ends, after_pause=True)
        except Unanswered:
            raise TemporarilyUnavailable(f"{SOURCE}-outcome-unknown") from None
        result = None
        if looked.answer.information_cbss is not None:
            # The repertory's clock when it got the consultation, less what passed here between the two sendings: not
            # before the declaration was sent, however far apart our clocks are.
            received = looked.answer.information_cbss.timestamp_receive
            since = received - timedelta(seconds=looked.sent_at - sent_at)
            result = answer_after(request, _consulted(looked), since=since)
        if result is None:
            raise TemporarilyUnavailable(f"{SOURCE}-outcome-unknown")
        self._asker.tell(
            request,
            RECONCILED,
            began=began,
            code=result.status.code,
            ticket_cbss=str(asked.exchange.ticket_cbss),
        )
        return result

    async def _refused_after_looking(self, asked: Admitted[WriteRequest], request: WriteRequest) -> WriteResult:
        """CBI00201 for a context that the permission does not grant; what comes before it in the contract comes first.

        The number is looked at for that, never written to. When the upstream does not let us look, it is told at once.
        """
        try:
            looked = await self._ask(asked, self._consultation_about(request), ends=self._end_of(asked.exchange))
        except Unanswered as unanswered:
            raise self._outage(unanswered) from None
        consulted = _consulted(looked)
        if consulted.status.value is StatusValue.NO_RESULT and consulted.status.code in _OF_THE_NUMBER:
            return WriteResult(
                status=msgspec.structs.replace(consulted.status, value=StatusValue.NOK), ssin=consulted.ssin
            )
        return WriteResult(
            status=Status(
                value=StatusValue.NOK,
                code=OutcomeCode.INSCRIPTION_CONTEXT_NOT_GRANTED,
                information=(Information(field_name="inscriptionContext", field_value=request.inscription_context),),
            ),
            ssin=consulted.ssin,
        )

    def _consultation_about(self, request: WriteRequest) -> ConsultInscriptions:
        return ConsultInscriptions(
            information_customer=msgspec.structs.replace(request.information_customer, ticket=str(uuid4())),
            legal_context=request.legal_context,
            ssin=request.ssin,
            inscription_contexts=(request.inscription_context,),
        )

    # -- asking ----------------------------------------------------------------------------------------------------

    async def _ask(
        self,
        asked: Admitted[InscriptionRequest],
        request: ConsultInscriptions,
        *,
        ends: float,
        after_pause: bool = False,
    ) -> Answered:
        """The answer to a consultation, which may be sent again. Raises `Unanswered`."""
        return await self._asker.ask(
            lambda: request,
            ends=ends,
            check=lambda result: _check(asked, request, result),
            ticket_cbss=str(asked.exchange.ticket_cbss),
            after_pause=after_pause,
        )

    def _outage(self, unanswered: Unanswered) -> ServiceUnavailable:
        """What a caller learns when nothing was done: CBI00901, or SOA-02002 when the want is ours."""
        outage = self._asker.unavailable(unanswered.reason)
        return TemporarilyUnavailable(outage.reason) if unanswered.is_busy else outage

    def _of_ours(self, request: RequestT, exchange: Exchange) -> RequestT:
        """The same request, with a ticket: the customer's own, or that of this exchange.

        The time goes with the milliseconds that the wire has, so that the echo can be compared.
        """
        information = request.information_customer
        sent = information.timestamp_sent
        return msgspec.structs.replace(
            request,
            information_customer=InformationCustomer(
                customer_identification=information.customer_identification,
                ticket=information.ticket or str(exchange.ticket_cbss),
                timestamp_sent=None if sent is None else in_milliseconds(sent),
            ),
        )

    def _end_of(self, exchange: Exchange) -> float:
        """When nobody waits for the answer any more."""
        if exchange.answer_by is not None:
            return exchange.answer_by
        return self._asker.clock() + self._asker.timeout_seconds * self._asker.attempts


_OF_THE_NUMBER: Final = frozenset(
    {OutcomeCode.SSIN_UNKNOWN, OutcomeCode.SSIN_CANCELED, OutcomeCode.SSIN_REPLACED_REFUSED}
)
"""Refusals that come before that of a context (contract.md section 4)."""
_FOUND: Final = {StatusValue.DATA_FOUND: OutcomeCode.SUCCESS, StatusValue.NO_DATA_FOUND: OutcomeCode.NO_DATA}


def _consulted(answered: Answered) -> ConsultResult:
    result = answered.answer.result
    assert isinstance(result, ConsultResult)  # see `_check`
    return result


def _check(asked: Admitted[InscriptionRequest], request: InscriptionRequest, result: Result) -> None:
    """Nothing, when `result` can be an answer to `request`. Raises `Contradiction`."""
    assert isinstance(result, ConsultResult | WriteResult)  # the answer is of the operation asked (client.dialect)
    reason = reason_against(asked, request, result)
    if reason is not None:
        raise Contradiction(reason)


def reason_against(
    asked: Admitted[InscriptionRequest], request: InscriptionRequest, result: InscriptionResult
) -> str | None:
    """Why `result` is no answer to `request`, in a fixed word; None when it is one (SEC-68).

    It must be about the number asked, or one that continues it; about contexts and days that were asked; and its words
    must not contradict each other.
    """
    answer, status = result.ssin, result.status
    if answer is not None and (answer.replaces or answer.current) != asked.ssin:
        return "other-number"
    if isinstance(request, ConsultInscriptions):
        is_found = status.value in _FOUND
        contexts = frozenset(request.inscription_contexts)
        contradicts = is_found and (_FOUND[status.value] is not status.code or answer is None)
        if contradicts or bool(result.inscriptions) is not (status.value is StatusValue.DATA_FOUND):
            return "contradiction"
        period = request.period
        if period is not None and not all(has_a_day_of(period, line) for line in result.inscriptions):
            return "other-period"
    else:
        contexts = frozenset((request.inscription_context,))
        if (status.value is StatusValue.OK) is not (status.code is OutcomeCode.SUCCESS):
            return "contradiction"
    if contexts and any(line.inscription_context not in contexts for line in result.inscriptions):
        return "other-context"
    return None


def _refused_consultation(context: InscriptionContext, answer: SsinAnswer | None) -> ConsultResult:
    named = Information(field_name="inscriptionContext", field_value=context)
    status = Status(value=StatusValue.NO_RESULT, code=OutcomeCode.INSCRIPTION_CONTEXT_NOT_GRANTED, information=(named,))
    return ConsultResult(status=status, ssin=answer)


def _within_permission(asked: Admitted[ConsultInscriptions], result: ConsultResult) -> ConsultResult:
    """The answer without what our own permission does not show: the upstream goes by one of its own (rules 28, 30)."""
    permission, customer = asked.permission, asked.customer
    visibility = permission.visibility

    def is_shown(line: Inscription) -> bool:
        if line.organization in {None, customer}:
            return line.inscription_context in permission.inscription_contexts
        return (
            visibility is not None
            and line.inscription_context in visibility.inscription_contexts
            and (not visibility.organizations or line.organization in visibility.organizations)
        )

    shown = tuple(line for line in result.inscriptions if is_shown(line))
    is_less = len(shown) < len(result.inscriptions)
    if visibility is None:
        shown = tuple(msgspec.structs.replace(line, organization=None) for line in shown)
    filters = result.data_filters
    if visibility is None:
        filters = ()
    elif is_less and not filters:
        filters = (LINES_FILTERED,)
    status = result.status
    if is_less and not shown and result.next is None:
        status = Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA)
    return msgspec.structs.replace(result, status=status, inscriptions=shown, data_filters=filters)
