"""Another service as one worker asks it: how long, how many at once, whether at all, what again, and what is told.

Whatever is no valid answer to what was asked is none (SEC-68). What is made of an outage is for whoever asks.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from cbss_inscription.client.breaker import Circuit, CircuitBreaker
from cbss_inscription.client.errors import FaultReceived, Obstacle, ReplyUnreadable, ServiceUnreachable
from cbss_inscription.domain.customer import is_uuid
from cbss_inscription.domain.errors import MessageRejected, RepertoryUnavailable, UsageError
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import HealthCheck, HealthCheckType, Operation, Request, operation_of
from cbss_inscription.domain.results import Health, HealthCheckResult, Result, SanityCheck

if TYPE_CHECKING:
    from cbss_inscription.client.call import Answer, PreparedCall
    from cbss_inscription.client.dialect import Dialect
    from cbss_inscription.security.sign import Signer

TIMEOUT_SECONDS: Final = 4.0
"""How long one message may take for its reply, by default: three fit into what a caller waits for ours [D]."""
ATTEMPTS: Final = 3
"""How often a consultation is sent at the most, by default [D]."""
CALLS_AT_ONCE_MAX: Final = 64
"""Calls under way from one worker, by default [D]."""
PAUSE_SECONDS: Final = 0.1
"""The longest pause before the second attempt; twice that before the third, and so on, each cut at random [D]."""
ATTEMPT_SECONDS_MIN: Final = 0.05
"""With less time than this nothing is sent any more."""
WHOLE_TIME: Final = 0.99
"""The part of its time that a service must have had before its silence counts against it; the rest is arithmetic."""
ANSWERED: Final = "answered"
"""What came of a message that has an answer."""
RECONCILED: Final = "reconciled"
"""What came of a declaration whose reply was lost, and whose lines proved it."""

_CODES: Final = frozenset(code.value for code in OutcomeCode)
_FAULTS_OF_OURS: Final = frozenset({"Client", "MustUnderstand", "VersionMismatch"})
"""What SOAP 1.1 calls the fault of whoever sent the message: it was not processed. Any other word may mean anything."""
_REJECTED: Final = "rejected"
"""Of a message that the service answered by a fault of ours."""
_NOT_WRITTEN: Final = "request"
"""Of a message that has no form there, and was never sent."""
_RANDOM: Final = secrets.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCall:
    """What came of one message to another service."""

    service: str
    ticket_cbss: str | None
    """That of the exchange for which it was sent, where there is one."""
    their_ticket: str | None
    """What the service calls the message, by its answer or fault; None when it says nothing, or what is no UUID."""
    operation: Operation
    outcome: str
    """`answered`, `reconciled`, or why there is no answer, in a fixed word."""
    code: str | None
    """That of the answer or of a fault, when our catalogue has it."""
    seconds: float
    circuit: Circuit


class Sender(Protocol):
    """The way to the other service and back: `client.async_transport.AsyncTransport`."""

    async def send(self, call: PreparedCall, *, seconds_max: float | None = None) -> Answer[Result]:
        """The answer to `call`, within so many seconds. Raises `CallFailed`."""
        ...

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        ...


class CallLog(Protocol):
    """Where an operator reads how another service is; nothing of a question or an answer (SEC-74)."""

    def called(self, call: ServiceCall) -> None:
        """One line: a message was sent, or could not be."""
        ...

    def circuit_moved(self, *, service: str, circuit: Circuit) -> None:
        """One line: a circuit breaker lets through more or less than before."""
        ...


class Contradiction(Exception):
    """A reply that cannot be the answer to what was asked; `reason` is a fixed word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unanswered(Exception):
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
        """Whether a question may be sent again."""
        self.is_busy = is_busy
        """Whether it was ourselves who had no room, or no time."""
        self.sent_at = sent_at
        """When it left, by our clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer, and when the message that it answers left, by our clock."""

    answer: Answer[Result]
    sent_at: float


Check = Callable[[Result], None]
"""Finds no fault with an answer, or raises `Contradiction`."""


class Asker:
    """The way from one worker to one other service. Its messages are signed with our own key, each anew, or not at all.

    Not at all by `signer=None`, where the service knows us by our connection.
    """

    def __init__(
        self,
        *,
        service: str,
        sender: Sender,
        signer: Signer | None,
        dialect: Dialect,
        log: CallLog,
        breaker: CircuitBreaker,
        timeout_seconds: float = TIMEOUT_SECONDS,
        attempts: int = ATTEMPTS,
        calls_at_once_max: int = CALLS_AT_ONCE_MAX,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random_part: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self.service = service
        self.timeout_seconds = timeout_seconds
        """How long one message may take for its reply."""
        self.attempts = attempts
        """How often a question is sent at the most."""
        self.clock = clock
        self.now = now
        self._sender = sender
        self._signer = signer
        self._dialect = dialect
        self._log = log
        self._breaker = breaker
        self._calls_at_once_max = calls_at_once_max
        self._sleep = sleep
        self._random_part = random_part
        self._under_way = 0

    async def ask(
        self,
        question: Callable[[], Request],
        *,
        ends: float,
        check: Check,
        ticket_cbss: str | None = None,
        after_pause: bool = False,
    ) -> Answered:
        """The answer to a question, which changes nothing there, within its time. Raises `Unanswered`.

        It is made and sent again, after a pause, when a connection broke or could not be had, or when the service says
        that it failed; `after_pause`: not at once, for something was sent just now that failed.
        """
        attempts = 0
        if after_pause:
            await self._pause(attempts, ends)
        while True:
            attempts += 1
            try:
                return await self.send(question(), ends=ends, check=check, ticket_cbss=ticket_cbss)
            except Unanswered as unanswered:
                if not unanswered.may_help_again or attempts >= self.attempts:
                    raise
                await self._pause(attempts, ends)
                if ends - self.clock() < ATTEMPT_SECONDS_MIN:
                    raise

    async def send(self, request: Request, *, ends: float, check: Check, ticket_cbss: str | None = None) -> Answered:
        """The answer to one message, which `check` finds no fault with. Raises `Unanswered`; nothing is sent again."""
        began = self.clock()
        code: str | None = None
        their_ticket: str | None = None
        try:
            answered = await self._send_if_admitted(
                request, seconds=min(self.timeout_seconds, ends - began), check=check
            )
        except Unanswered as unanswered:
            cause = unanswered.__cause__
            if isinstance(cause, FaultReceived):
                code = cause.code if cause.code in _CODES else None
                their_ticket = cause.ticket if cause.ticket is not None and is_uuid(cause.ticket) else None
            self.tell(
                request, unanswered.reason, began=began, code=code, ticket_cbss=ticket_cbss, their_ticket=their_ticket
            )
            raise
        result = answered.answer.result
        if not isinstance(result, HealthCheckResult):
            code = result.status.code
        information = answered.answer.information_cbss
        their_ticket = None if information is None else str(information.ticket_cbss)
        self.tell(request, ANSWERED, began=began, code=code, ticket_cbss=ticket_cbss, their_ticket=their_ticket)
        return answered

    async def look(self) -> SanityCheck:
        """How the service is: it authenticates a test message, and sends it back.

        That a circuit is half open, though the message was answered, is worth a word: others do not pass yet.
        """
        began = self.clock()
        health, detail = Health.OK, None
        try:
            await self.send(
                HealthCheck(type=HealthCheckType.PING), ends=began + self.timeout_seconds, check=lambda _: None
            )
            if self._breaker.circuit is not Circuit.CLOSED:
                health, detail = Health.DEGRADED, f"circuit-{self._breaker.circuit}"
        except Unanswered as unanswered:
            health, detail = Health.NOK, unanswered.reason
        milliseconds = round((self.clock() - began) * 1000)
        return SanityCheck(name=self.service, health=health, milliseconds=milliseconds, detail=detail)

    def unavailable(self, reason: str) -> RepertoryUnavailable:
        """What a caller learns of an outage: CBI00901; what it was stands in our log alone."""
        return RepertoryUnavailable(f"{self.service}-{reason}")

    def tell(
        self,
        request: Request,
        outcome: str,
        *,
        began: float,
        code: str | None,
        ticket_cbss: str | None = None,
        their_ticket: str | None = None,
    ) -> None:
        """Nothing; the log has what came of a message, or of what was concluded beside it."""
        self._log.called(
            ServiceCall(
                service=self.service,
                ticket_cbss=ticket_cbss,
                their_ticket=their_ticket,
                operation=operation_of(request),
                outcome=outcome,
                code=code,
                seconds=self.clock() - began,
                circuit=self._breaker.circuit,
            )
        )

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        await self._sender.close()

    async def _pause(self, attempts: int, ends: float) -> None:
        longest = PAUSE_SECONDS * 2 ** max(0, attempts - 1)
        await self._sleep(min(longest * self._random_part(), max(0.0, ends - self.clock())))

    async def _send_if_admitted(self, request: Request, *, seconds: float, check: Check) -> Answered:
        if seconds < ATTEMPT_SECONDS_MIN:
            raise Unanswered("no-time", is_undone=True, is_busy=True)
        if self._under_way >= self._calls_at_once_max:
            raise Unanswered("calls-at-once", is_undone=True, is_busy=True)
        word = self._breaker.admit()
        if word is None:
            raise Unanswered("circuit-open", is_undone=True)
        self._under_way += 1
        try:
            answered = await self._send_now(request, seconds=seconds, check=check)
        except Unanswered as unanswered:
            is_impatient = unanswered.reason == Obstacle.TIMEOUT and seconds < self.timeout_seconds * WHOLE_TIME
            if unanswered.reason == _REJECTED:
                self._breaker.succeeded(word)  # what we did wrong says nothing against the other side: it answered
            elif is_impatient or unanswered.reason == _NOT_WRITTEN:
                self._breaker.said_nothing(word)  # the want of time was our caller's, or nothing was sent
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

    async def _send_now(self, request: Request, *, seconds: float, check: Check) -> Answered:
        from cbss_inscription.client.call import prepare_in  # not for whoever only wants a setting's default from here

        try:
            # Signed anew each time: the service may have seen the message whose answer was lost, and refuse it.
            call = prepare_in(self._dialect, request, signer=self._signer, now=self.now())
        except (MessageRejected, UsageError) as error:
            raise Unanswered(_NOT_WRITTEN, is_undone=True) from error
        sent_at = self.clock()
        try:
            answer = await self._sender.send(call, seconds_max=seconds)
            check(answer.result)
        except ServiceUnreachable as error:
            again = error.obstacle in {Obstacle.BROKEN, Obstacle.UNREACHABLE}
            raise Unanswered(
                error.obstacle.value, is_undone=not error.was_sent, may_help_again=again, sent_at=sent_at
            ) from error
        except FaultReceived as error:
            if error.fault_code in _FAULTS_OF_OURS:
                # Our certificate, our rights there or our message: no caller can do anything about it.
                raise Unanswered(_REJECTED, is_undone=True) from error
            raise Unanswered("fault", may_help_again=True, sent_at=sent_at) from error
        except ReplyUnreadable as error:
            raise Unanswered("unreadable", sent_at=sent_at) from error
        except Contradiction as error:
            raise Unanswered(error.reason, sent_at=sent_at) from error
        return Answered(answer=answer, sent_at=sent_at)
