"""Faults on order around a SOAP door: for integrators and tests, never in production (docs/fault-injection.md).

Three wrappers, none of which is there unless the settings say so. The door decides, for it has the message whole; the
operations answer by a code, so that the pipeline makes, records and logs it like any other; the application breaks the
transport. What the door decided reaches the two others by the context of the request's own task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from lxml import etree
from msgspec.structs import replace

from cbss_inscription import names
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import MessageRejected, UsageError
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    ConsultMutations,
    DeleteInscription,
    InsertInscription,
    Request,
    UpdateInscription,
)
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    MutationsResult,
    PersonsResult,
    Result,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.safe_xml import parse, parse_canonical
from cbss_inscription.sandbox.faults import (
    FAULT_HEADER,
    WRONG_TICKET,
    Disturbance,
    FaultKind,
    FaultRule,
    Moment,
    RequestFacts,
    Tallies,
    decide,
    read_order,
)
from cbss_inscription.soap.http import Message, Receive, Scope, Send, SoapDoor, respond
from cbss_inscription.soap.message import RawMessage, Reply
from cbss_inscription.soap.operations import DoorOperations
from cbss_inscription.xml_limits import XmlLimits

_NOTHING: Final = Reply(status=500, body=b"")
"""What is not sent: the connection is closed instead."""


class FaultLog(Protocol):
    """Where an operator reads that a request was disturbed on purpose."""

    def injected(self, *, door: Door, disturbance: Disturbance) -> None:
        """One line; no number is in it."""
        ...


@dataclass(slots=True, kw_only=True)
class _Fate:
    """What is known of one request's disturbance, from its header on."""

    ordered: Disturbance | None = None
    decided: Disturbance | None = None


_fate: Final[ContextVar[_Fate]] = ContextVar("fate")


def facts_of(message: RawMessage, *, door: Door, limits: XmlLimits) -> RequestFacts:
    """What the rules can ask of a message, which nobody has verified yet."""
    try:
        envelope = parse(message.body, charset=message.charset, limits=limits)
    except MessageRejected:
        return RequestFacts(door=door)
    content = next((child for body in envelope.iter(names.SOAP_BODY) for child in body), None)
    if content is None or not isinstance(content.tag, str):
        return RequestFacts(door=door)
    return RequestFacts(
        door=door,
        operation=door.requests.get(content.tag),
        ssins=frozenset(element.text for element in content.iter("ssin") if element.text),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DisturbedDoor:
    """A `soap.http.SoapDoor` around another, some of whose requests go wrong."""

    within: SoapDoor
    door: Door
    rules: Callable[[], Sequence[FaultRule]]
    seed: int
    tallies: Tallies
    limits: XmlLimits
    log: FaultLog

    async def answer(self, message: RawMessage) -> Reply:
        """See `SoapDoor.answer`."""
        fate = _fate.get()
        disturbance = fate.decided = self._decided(message, fate.ordered)
        if disturbance is None:
            return await self.within.answer(message)
        self.log.injected(door=self.door, disturbance=disturbance)
        is_before = disturbance.moment is Moment.BEFORE
        match disturbance.kind:
            case FaultKind.DROP if is_before:
                return _NOTHING
            case FaultKind.DELAY if is_before:
                await asyncio.sleep(disturbance.seconds)
                return await self.within.answer(message)
            case FaultKind.DELAY:
                reply = await self.within.answer(message)
                await asyncio.sleep(disturbance.seconds)
                return reply
            case FaultKind.WRONG_TICKET:
                reply = await self.within.answer(message)
                return Reply(status=reply.status, body=_with_wrong_ticket(reply.body))
            case _:
                return await self.within.answer(message)

    def _decided(self, message: RawMessage, ordered: Disturbance | None) -> Disturbance | None:
        facts = facts_of(message, door=self.door, limits=self.limits)
        if ordered is not None:
            return ordered if ordered.can_strike(facts.operation) else None
        return decide(self.rules(), facts, seed=self.seed, tallies=self.tallies)

    def busy(self) -> Reply:
        """See `SoapDoor.busy`."""
        return self.within.busy()

    def document(self, query_string: str) -> tuple[bytes, str] | None:
        """See `SoapDoor.document`."""
        return self.within.document(query_string)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisturbedOperations:
    """The `DoorOperations` around others: a code on order takes the place of their answer, or stands beside it."""

    within: DoorOperations

    async def perform(self, request: Request, exchange: Exchange) -> Result:
        """See `DoorOperations.perform`. Raises what the code on order is the fault of."""
        disturbance = _fate.get().decided
        if disturbance is None or disturbance.code is None:
            return await self.within.perform(request, exchange)
        error = disturbance.error
        if error is not None:
            raise error
        if disturbance.is_refusal:
            return _refusal(request, disturbance.code)
        result = await self.within.perform(request, exchange)
        if isinstance(result, WriteResult) and result.status.value is StatusValue.OK:
            return replace(result, anomalies=(*result.anomalies, Anomaly(code=disturbance.code)))
        return result


class DisturbedApplication:
    """The ASGI application around another: takes orders by header, and breaks replies off.

    `drop` closes the connection of a scope at once. ASGI has no word for that: an application that returns without a
    reply has it made by the application server, status 500.
    """

    def __init__(
        self, application: Callable[..., Awaitable[None]], *, takes_orders: bool, drop: Callable[[Scope], None]
    ) -> None:
        self._application = application
        self._takes_orders = takes_orders
        self._drop = drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope, as ASGI says."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        try:
            fate = _Fate(ordered=self._order_of(scope))
        except UsageError as error:
            await respond(send, 400, str(error).encode(), "text/plain; charset=utf-8")
            return
        # A task of its own, hence a context: the application server may run requests side by side in one.
        await asyncio.create_task(self._serve(fate, scope, receive, send))

    async def _serve(self, fate: _Fate, scope: Scope, receive: Receive, send: Send) -> None:
        _fate.set(fate)

        async def send_disturbed(message: Message) -> None:
            kind = None if fate.decided is None else fate.decided.kind
            if kind is FaultKind.DROP:
                if message["type"] == "http.response.start":
                    self._drop(scope)
                return
            if kind is FaultKind.HALF_REPLY and message["type"] == "http.response.body":
                body = message["body"]
                # More is promised and does not come: the application server closes the connection then.
                message = {**message, "body": body[: len(body) // 2], "more_body": True}
            await send(message)

        await self._application(scope, receive, send_disturbed)

    def _order_of(self, scope: Scope) -> Disturbance | None:
        """What the request's own header orders. Raises `UsageError`."""
        if not self._takes_orders:
            return None
        orders = [value for name, value in scope["headers"] if name.lower() == FAULT_HEADER.encode()]
        return read_order(orders[-1].decode("latin-1")) if orders else None


def _refusal(request: Request, code: OutcomeCode) -> Result:
    value = StatusValue.NO_DATA_FOUND if code is OutcomeCode.NO_DATA else StatusValue.NO_RESULT
    match request:
        case InsertInscription() | UpdateInscription() | DeleteInscription():
            return WriteResult(status=Status(value=StatusValue.NOK, code=code))
        case ConsultInscriptions():
            return ConsultResult(status=Status(value=value, code=code))
        case ConsultMutations():
            return MutationsResult(
                status=Status(value=value, code=code), last_sequence_number=request.after_sequence_number
            )
        case _:
            return PersonsResult(status=Status(value=value, code=code))


def _with_wrong_ticket(body: bytes) -> bytes:
    """The reply with another ticket than the caller's; a fault, which has none of the caller's, as it is."""
    envelope = parse_canonical(body)
    for information in envelope.iter("informationCustomer"):
        for ticket in information.iter("ticket"):
            ticket.text = WRONG_TICKET
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
