"""The way of a message through a SOAP door, station by station, in one function; the doors differ in their parts.

security → replay → envelope → contract → use case → contract → envelope. Stations do not call each other; whatever one
refuses comes back here and becomes a fault (architecture.md). Trust only rises: the use case sees values read from a
parse of exactly the bytes that were signed, or that came on the connection by which the sender is known.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from lxml import etree

from cbss_inscription.contract.door import Door
from cbss_inscription.contract.ksz_fault import write_ksz_fault
from cbss_inscription.contract.read import read_request
from cbss_inscription.contract.schema import Schema
from cbss_inscription.contract.write import Deployment, write_response
from cbss_inscription.domain.customer import InformationCbss
from cbss_inscription.domain.errors import (
    CbssInscriptionError,
    NotAuthenticated,
    SchemaViolation,
    TemporarilyUnavailable,
    WsiViolation,
)
from cbss_inscription.domain.exchange import Caller, Exchange, Trail
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import HealthCheck, Operation, Request, operation_of
from cbss_inscription.domain.results import HealthCheckResult, Result
from cbss_inscription.domain.ticket_cbss import new_ticket
from cbss_inscription.envelope.fault import Fault
from cbss_inscription.envelope.soap11 import read_payload, write_envelope
from cbss_inscription.security.replay import ReplayGuard
from cbss_inscription.soap.addresses import DoorAddresses
from cbss_inscription.soap.authentication import Authenticator
from cbss_inscription.soap.message import ANSWER_SECONDS_MAX, ANSWER_SECONDS_MIN, RECORD_SECONDS_MIN, RawMessage, Reply
from cbss_inscription.soap.operations import DoorOperations
from cbss_inscription.soap.wsdl import WsdlDocuments
from cbss_inscription.usecases.ports import AuditJournal, AuditKeysSource
from cbss_inscription.usecases.record_call import Call, record_of

_Given = TypeVar("_Given")


class ExchangeLog(Protocol):
    """Where an operator reads what became of each message; no SSIN, no name, no message text (SEC-74)."""

    def answered(self, progress: Progress, *, result: Result, seconds: float) -> None:
        """One line: a message was answered by an outcome."""
        ...

    def refused(self, progress: Progress, *, error: CbssInscriptionError, seconds: float) -> None:
        """One line: a message became a fault, with the reason that the caller is not told."""
        ...

    def failed(self, progress: Progress, *, error: Exception, seconds: float) -> None:
        """One line with the kinds and frames of the exceptions, never their words: a defect of ours."""
        ...


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a message came: what its log line can say, whichever station ends it."""

    ticket: UUID
    timestamp_receive: datetime
    request_digest: str | None = None
    """SHA-256 of the canonical Body; None as long as nobody is known to have sent it."""
    caller: Caller | None = None
    request: Request | None = field(default=None, repr=False)
    trail: Trail = field(default_factory=Trail)
    operation: Operation | None = None
    legal_context: str | None = None
    customer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredDoor:
    """A `soap.http.SoapDoor` which knows its callers: what it takes is `door`'s, what it does `operations`'."""

    door: Door
    operations: DoorOperations
    deployment: Deployment
    authenticator: Authenticator
    replay_guard: ReplayGuard
    schema: Schema
    documents: WsdlDocuments
    addresses: DoorAddresses
    log: ExchangeLog
    journal: AuditJournal
    audit_keys: AuditKeysSource
    evidence_of: Collection[Operation] = frozenset()
    """The operations whose requests are kept, sealed, beside their records (SEC-76)."""
    contact: str | None = None
    validate_responses: bool = False
    answer_seconds_max: float = ANSWER_SECONDS_MAX
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    is_clock_wrong: Callable[[], bool] = lambda: False
    """Whether nothing that depends on time can be judged now: then every message is refused (SEC-55)."""
    _unfinished: set[asyncio.Task[Any]] = field(default_factory=set, init=False, repr=False)

    async def answer(self, message: RawMessage) -> Reply:
        """The reply: a response, or the fault that any station's refusal becomes. Never raises."""
        progress = Progress(ticket=new_ticket(), timestamp_receive=self.clock())
        began = time.perf_counter()
        seconds_max = self._seconds_max(message)
        answer_by = time.monotonic() + seconds_max - min(RECORD_SECONDS_MIN, seconds_max / 2)
        ending: Result | CbssInscriptionError | None
        try:
            reply, ending = await self._in_time(self._process(message, progress, answer_by), seconds=seconds_max)
        except CbssInscriptionError as error:
            reply, ending = self._fault(error, progress), error
        except Exception as error:  # noqa: BLE001  # the one outer handler: a defect is a fault with a ticket, no more
            self.log.failed(progress, error=error, seconds=time.perf_counter() - began)
            reply, ending = self._fault(None, progress), None
        left = seconds_max - (time.perf_counter() - began)
        try:
            await self._in_time(self._record(message, reply, ending, progress), seconds=max(left, RECORD_SECONDS_MIN))
        except CbssInscriptionError as error:
            reply, ending = self._fault(error, progress), error
        except Exception as error:  # noqa: BLE001  # as above
            self.log.failed(progress, error=error, seconds=time.perf_counter() - began)
            return self._fault(None, progress)
        if isinstance(ending, CbssInscriptionError):
            self.log.refused(progress, error=ending, seconds=time.perf_counter() - began)
        elif ending is not None:
            self.log.answered(progress, result=ending, seconds=time.perf_counter() - began)
        return reply

    async def _record(
        self, message: RawMessage, reply: Reply, ending: Result | CbssInscriptionError | None, progress: Progress
    ) -> None:
        """Nothing; the call's record is durable. Raises `TemporarilyUnavailable`: no reply then (rule 51, SEC-71)."""
        keys = self.audit_keys.current()
        is_kept = progress.operation in self.evidence_of
        call = Call(
            ticket_cbss=progress.ticket,
            timestamp_receive=progress.timestamp_receive,
            timestamp_reply=self.clock(),
            service=self.door.service_name,
            caller=progress.caller,
            request=progress.request,
            trail=progress.trail,
            ending=ending,
            request_digest=progress.request_digest or hashlib.sha256(message.body).hexdigest(),
            response_digest=hashlib.sha256(reply.body).hexdigest(),
            evidence_digest=hashlib.sha256(message.body).hexdigest() if is_kept else None,
        )
        evidence = keys.seal_request(message.body, progress.ticket) if is_kept else None
        await self.journal.write(record_of(call, keys), received_at=progress.timestamp_receive, evidence=evidence)

    async def _in_time(self, work: Coroutine[Any, Any, _Given], *, seconds: float) -> _Given:
        """What `work` gives. Raises `TemporarilyUnavailable` when it takes longer than that (SEC-10).

        The work is left alone then, not cancelled: cancelling waits for a database that does not answer. Whether it
        wrote is unknown to the caller, as with every reply that is lost.
        """
        task = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            self._unfinished.add(task)
            task.add_done_callback(self._forget)
            raise TemporarilyUnavailable("deadline")
        return task.result()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._unfinished.discard(task)
        if not task.cancelled():
            task.exception()  # seen: its reply was SOA-02002 long ago

    def _seconds_max(self, message: RawMessage) -> float:
        """How long an answer to `message` may take: what the caller says only shortens it."""
        if message.answer_within_seconds is None:
            return self.answer_seconds_max
        return min(self.answer_seconds_max, max(message.answer_within_seconds, ANSWER_SECONDS_MIN))

    async def _process(self, message: RawMessage, progress: Progress, answer_by: float) -> tuple[Reply, Result]:
        if self.is_clock_wrong():
            raise TemporarilyUnavailable("clock")
        now = progress.timestamp_receive
        known = self.authenticator.authenticate(message, now=now)
        progress.caller = known.caller
        progress.request_digest = hashlib.sha256(known.canonical_body).hexdigest()
        self.journal.admit()  # before the replay memory: what is refused for this may be sent again as it is
        replay = known.replay
        if replay is not None and not await self.replay_guard.admit(replay.key, until=replay.until, now=now):
            raise NotAuthenticated("replayed")

        payload = read_payload(known.canonical_body)
        self.schema.validate(payload.element)
        request = read_request(payload.element)
        progress.request, progress.operation = request, operation_of(request)
        check_action(self.door, progress.operation, message.soap_action, known.addressing.action)
        check_to(self.addresses, known.addressing.to)
        if not isinstance(request, HealthCheck):
            progress.customer = request.information_customer.customer_identification.key

        exchange = Exchange(
            ticket_cbss=progress.ticket,
            timestamp_receive=now,
            caller=progress.caller,
            trail=progress.trail,
            answer_by=answer_by,
        )
        result = await self.operations.perform(request, exchange)
        if not isinstance(request, HealthCheck) and _is_granted(result):
            # Until it is one of the permission's own words it is the caller's, and may spell a number (SEC-74).
            progress.legal_context = request.legal_context
        return Reply(status=200, body=self._write(payload.element, result, self._information(progress))), result

    def _write(self, request: etree._Element, result: Result, information: InformationCbss) -> bytes:
        response = write_response(request, result, information_cbss=information, deployment=self.deployment)
        if self.validate_responses:
            try:
                self.schema.validate_response(response)
            except SchemaViolation as error:
                raise AssertionError("our response is not valid") from error
        return write_envelope(response)

    def _fault(self, error: CbssInscriptionError | None, progress: Progress, *, status: int = 500) -> Reply:
        fault = Fault.of(error, ticket=progress.ticket, environment=self.deployment.environment, contact=self.contact)
        if not self.door.has_ksz_faults:
            return Reply(status=status, body=write_envelope(fault.element))
        information = self._information(progress)
        element = write_ksz_fault(fault, door=self.door, operation=progress.operation, information_cbss=information)
        return Reply(status=status, body=write_envelope(element))

    def _information(self, progress: Progress) -> InformationCbss:
        return InformationCbss(
            ticket_cbss=progress.ticket, timestamp_receive=progress.timestamp_receive, timestamp_reply=self.clock()
        )

    def busy(self) -> Reply:
        """See `SoapDoor.busy`: 503 with SOA-02002 (SEC-10)."""
        progress = Progress(ticket=new_ticket(), timestamp_receive=self.clock())
        error = TemporarilyUnavailable("requests-at-once")
        self.log.refused(progress, error=error, seconds=0.0)
        return self._fault(error, progress, status=503)

    def document(self, query_string: str) -> tuple[bytes, str] | None:
        """See `SoapDoor.document`."""
        return self.documents.get(query_string)


def check_action(door: Door, operation: Operation, soap_action: str | None, addressing_action: str | None) -> None:
    """Returns when no action names another operation: the Body decided already (SEC-14). Raises `WsiViolation`."""
    expected = door.soap_action(operation)
    if soap_action not in {None, expected} or addressing_action not in {None, "", expected}:
        raise WsiViolation("action")


def check_to(addresses: DoorAddresses, addressing_to: str | None) -> None:
    """Returns when wsa:To, if any, is an address of this door, or nobody's (SEC-17). Raises `WsiViolation`."""
    if not addresses.include(addressing_to):
        raise WsiViolation("addressing-to")


def _is_granted(result: Result) -> bool:
    return not isinstance(result, HealthCheckResult) and result.status.code is not OutcomeCode.LEGAL_CONTEXT_NOT_GRANTED
