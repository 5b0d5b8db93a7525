"""The repertory as another service, asked over SOAP (KSZ's InscriptionService): slow, wrong or gone at times.

Whatever is no valid answer to what was asked is an outage and never an answer (SEC-68). A consultation may be sent
again; a declaration is sent once (SEC-70), under its customer's ticket, and when its reply is lost the lines are looked
at. We sign with our own key, and nothing of a caller's own security goes along (SEC-69). docs/upstream.md says what a
caller is told when.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from uuid import uuid4

import msgspec

from cbss_inscription.client.asking import ATTEMPTS, CALLS_AT_ONCE_MAX, TIMEOUT_SECONDS, Sender
from cbss_inscription.client.breaker import Circuit, CircuitBreaker
from cbss_inscription.client.errors import FaultReceived, Obstacle, ReplyUnreadable, ServiceUnreachable
from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.errors import (
    MessageRejected,
    RepertoryUnavailable,
    ServiceUnavailable,
    TemporarilyUnavailable,
    UsageError,
)
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import in_milliseconds
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    HealthCheck,
    HealthCheckType,
    InscriptionRequest,
    InsertInscription,
    Operation,
    Request,
    UpdateInscription,
    WriteRequest,
    operation_of,
)
from cbss_inscription.domain.results import (
    ConsultResult,
    Health,
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
from cbss_inscription.repertory.reconcile import answer_after

if TYPE_CHECKING:
    from cbss_inscription.client.call import Answer
    from cbss_inscription.client.dialect import Dialect
    from cbss_inscription.security.sign import Signer

PAUSE_SECONDS: Final = 0.1
"""The longest pause before the second attempt; twice that before the third, and so on, each cut at random [D]."""
ATTEMPT_SECONDS_MIN: Final = 0.05
"""With less time than this nothing is sent any more."""
SOURCE: Final = "repertory"
"""The name of the repertory in health checks and logs."""
_CODES: Final = frozenset(code.value for code in OutcomeCode)

_RANDOM: Final = secrets.SystemRandom()

RequestT = TypeVar("RequestT", bound=InscriptionRequest)


class UpstreamLog(Protocol):
    """Where an operator reads how the upstream is; nothing of a question or an answer (SEC-74)."""

    def upstream_called(self, call: UpstreamCall) -> None:
        """One line: a message was sent, or could not be."""
        ...

    def circuit_moved(self, *, service: str, circuit: Circuit) -> None:
        """One line: a circuit breaker lets through more or less than before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCall:
    """What came of one message to the upstream."""

    ticket_cbss: str | None
    operation: Operation
    outcome: str
    """`answered`, `reconciled`, or why there is no answer, in a fixed word."""
    code: str | None
    """That of the answer or of a fault, when our catalogue has it."""
    seconds: float
    circuit: Circuit


class _Failed(Exception):
    """A message without an answer; `reason` is a fixed word."""

    def __init__(
        self,
        reason: str,
        *,
        is_undone: bool = False,
        may_help_again: bool = False,
        is_busy: bool = False,
        sent_at: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_undone = is_undone
        """Whether it is certain that nothing was done for the message, nor ever will be."""
        self.may_help_again = may_help_again
        """Whether a consultation may be sent again."""
        self.is_busy = is_busy
        """Whether it was ourselves who had no room, or no time."""
        self.sent_at = sent_at
        """When it left, by our clock."""

    @property
    def outage(self) -> ServiceUnavailable:
        """What a caller learns when nothing was done: CBI00901, or SOA-02002 when the want is ours."""
        reason = f"{SOURCE}-{self.reason}"
        return TemporarilyUnavailable(reason) if self.is_busy else RepertoryUnavailable(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """An answer, and when the message that it answers left, by our clock."""

    answer: Answer[Result]
    sent_at: float


class UpstreamRepertory:
    """A `Repertory` in another process or another house."""

    def __init__(
        self,
        *,
        sender: Sender,
        signer: Signer,
        dialect: Dialect,
        log: UpstreamLog,
        breaker: CircuitBreaker,
        timeout_seconds: float = TIMEOUT_SECONDS,
        consult_attempts: int = ATTEMPTS,
        calls_at_once_max: int = CALLS_AT_ONCE_MAX,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random_part: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self._sender = sender
        self._signer = signer
        self._dialect = dialect
        self._log = log
        self._breaker = breaker
        self._timeout_seconds = timeout_seconds
        self._consult_attempts = consult_attempts
        self._calls_at_once_max = calls_at_once_max
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._random_part = random_part
        self._under_way = 0

    async def consult(self, asked: Admitted[ConsultInscriptions]) -> ConsultResult:
        """See `Repertory.consult`."""
        request = self._of_ours(asked.request, asked.exchange)
        try:
            answered = await self._ask(asked, request, ends=self._end_of(asked.exchange))
        except _Failed as failed:
            raise failed.outage from None
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
        began = self._clock()
        health, detail = Health.OK, None
        try:
            await self._send(
                HealthCheck(type=HealthCheckType.PING), None, ends=began + self._timeout_seconds, check=lambda _: None
            )
        except _Failed as failed:
            health, detail = Health.NOK, failed.reason
        milliseconds = round((self._clock() - began) * 1000)
        return SanityCheck(name=SOURCE, health=health, milliseconds=milliseconds, detail=detail)

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        await self._sender.close()

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
        left = ends - self._clock()
        first = ends - min(self._timeout_seconds, left / 3)
        try:
            answered = await self._send(request, asked.exchange, ends=first, check=lambda r: _check(asked, request, r))
        except _Failed as failed:
            if failed.is_undone:
                raise failed.outage from None
            return await self._reconciled(asked, request, sent_at=failed.sent_at, ends=ends)
        result = answered.answer.result
        assert isinstance(result, WriteResult)
        return result

    async def _reconciled(
        self, asked: Admitted[WriteRequest], request: WriteRequest, *, sent_at: float, ends: float
    ) -> WriteResult:
        """The answer to a declaration whose reply was lost, when its lines prove that it was done.

        Raises `TemporarilyUnavailable`: it is not known whether it was.
        """
        began = self._clock()
        consultation = self._consultation_about(request)
        try:
            looked = await self._ask(asked, consultation, ends=ends, sent_again=True)
        except _Failed:
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
        self._tell(asked.exchange, request, "reconciled", began, code=result.status.code)
        return result

    async def _refused_after_looking(self, asked: Admitted[WriteRequest], request: WriteRequest) -> WriteResult:
        """CBI00201 for a context that the permission does not grant; what comes before it in the contract comes first.

        The number is looked at for that, never written to. When the upstream does not let us look, it is told at once.
        """
        try:
            looked = await self._ask(asked, self._consultation_about(request), ends=self._end_of(asked.exchange))
        except _Failed as failed:
            raise failed.outage from None
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
        sent_again: bool = False,
    ) -> _Answered:
        """The answer to a consultation. Raises `_Failed`.

        It is sent again, after a pause, when a connection broke or could not be had, or when the upstream says that it
        failed; `sent_again`: not at once, for something was sent just now that failed.
        """
        attempts = 0
        while True:
            if attempts or sent_again:
                await self._pause(attempts, ends)
            attempts += 1
            try:
                return await self._send(
                    request, asked.exchange, ends=ends, check=lambda result: _check(asked, request, result)
                )
            except _Failed as failed:
                if not failed.may_help_again or attempts >= self._consult_attempts:
                    raise

    async def _pause(self, attempts: int, ends: float) -> None:
        longest = PAUSE_SECONDS * 2 ** max(0, attempts - 1)
        await self._sleep(min(longest * self._random_part(), max(0.0, ends - self._clock())))

    async def _send(
        self,
        request: Request,
        exchange: Exchange | None,
        *,
        ends: float,
        check: Callable[[Result], None],
    ) -> _Answered:
        """The answer to one message, which `check` finds no fault with. Raises `_Failed`."""
        began = self._clock()
        seconds = min(self._timeout_seconds, ends - began)
        code: str | None = None
        try:
            answered = await self._send_if_admitted(request, seconds=seconds, check=check)
        except _Failed as failed:
            cause = failed.__cause__
            code = cause.code if isinstance(cause, FaultReceived) and cause.code in _CODES else None
            self._tell(exchange, request, failed.reason, began, code=code)
            raise
        result = answered.answer.result
        if isinstance(result, ConsultResult | WriteResult):
            code = result.status.code
        self._tell(exchange, request, "answered", began, code=code)
        return answered

    async def _send_if_admitted(
        self, request: Request, *, seconds: float, check: Callable[[Result], None]
    ) -> _Answered:
        if seconds < ATTEMPT_SECONDS_MIN:
            raise _Failed("no-time", is_undone=True, is_busy=True)
        if self._under_way >= self._calls_at_once_max:
            raise _Failed("calls-at-once", is_undone=True, is_busy=True)
        word = self._breaker.admit()
        if word is None:
            raise _Failed("circuit-open", is_undone=True)
        self._under_way += 1
        try:
            answered = await self._send_now(request, seconds=seconds, check=check)
        except _Failed as failed:
            if failed.reason in _OURS:
                self._breaker.succeeded(word)  # what we did wrong says nothing against the other side: it answered
            elif failed.reason == Obstacle.TIMEOUT and seconds < self._timeout_seconds:
                self._breaker.said_nothing(word)  # the want of time was our caller's
            else:
                self._breaker.failed(word)
            raise
        except BaseException:
            self._breaker.said_nothing(word)
            raise
        else:
            self._breaker.succeeded(word)
            return answered
        finally:
            self._under_way -= 1

    async def _send_now(self, request: Request, *, seconds: float, check: Callable[[Result], None]) -> _Answered:
        from cbss_inscription.client.call import prepare_in  # not for whoever only wants a setting's default from here

        try:
            # Signed anew each time: the upstream may have seen the message whose answer was lost, and refuse it.
            call = prepare_in(self._dialect, request, signer=self._signer, now=self._now())
        except (MessageRejected, UsageError) as error:
            raise _Failed("request", is_undone=True) from error
        sent_at = self._clock()
        try:
            answer = await self._sender.send(call, seconds_max=seconds)
            check(answer.result)
        except ServiceUnreachable as error:
            again = error.obstacle in {Obstacle.BROKEN, Obstacle.UNREACHABLE}
            raise _Failed(
                error.obstacle.value, is_undone=not error.was_sent, may_help_again=again, sent_at=sent_at
            ) from error
        except FaultReceived as error:
            if error.fault_code in _FAULTS_OF_OURS:
                # Our certificate, our rights there or our message: no caller can do anything about it.
                raise _Failed("rejected", is_undone=True) from error
            raise _Failed("fault", may_help_again=True, sent_at=sent_at) from error
        except ReplyUnreadable as error:
            raise _Failed("unreadable", sent_at=sent_at) from error
        except _Contradiction as error:
            raise _Failed(error.reason, sent_at=sent_at) from error
        return _Answered(answer=answer, sent_at=sent_at)

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
        return self._clock() + self._timeout_seconds * self._consult_attempts

    def _tell(
        self, exchange: Exchange | None, request: Request, outcome: str, began: float, *, code: str | None
    ) -> None:
        self._log.upstream_called(
            UpstreamCall(
                ticket_cbss=None if exchange is None else str(exchange.ticket_cbss),
                operation=operation_of(request),
                outcome=outcome,
                code=code,
                seconds=self._clock() - began,
                circuit=self._breaker.circuit,
            )
        )


_FAULTS_OF_OURS: Final = frozenset({"Client", "MustUnderstand", "VersionMismatch"})
"""What SOAP 1.1 calls the fault of whoever sent the message: it was not processed. Any other word may mean anything."""
_OURS: Final = frozenset({"rejected", "request"})
"""Failures of our own making."""
_OF_THE_NUMBER: Final = frozenset(
    {OutcomeCode.SSIN_UNKNOWN, OutcomeCode.SSIN_CANCELED, OutcomeCode.SSIN_REPLACED_REFUSED}
)
"""Refusals that come before that of a context (contract.md section 4)."""
_FOUND: Final = {StatusValue.DATA_FOUND: OutcomeCode.SUCCESS, StatusValue.NO_DATA_FOUND: OutcomeCode.NO_DATA}


class _Contradiction(Exception):
    """A reply that cannot be the answer to what was asked; `reason` is a fixed word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _consulted(answered: _Answered) -> ConsultResult:
    result = answered.answer.result
    assert isinstance(result, ConsultResult)  # see `_check`
    return result


def _check(asked: Admitted[InscriptionRequest], request: InscriptionRequest, result: Result) -> None:
    """Nothing, when `result` can be an answer to `request`. Raises `_Contradiction`."""
    assert isinstance(result, ConsultResult | WriteResult)  # the answer is of the operation asked (client.dialect)
    reason = reason_against(asked, request, result)
    if reason is not None:
        raise _Contradiction(reason)


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
