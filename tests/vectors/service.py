"""The service that the vectors meet: the real HTTP application, pipeline, verifier and schema, with nothing behind."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, Final

from lxml import etree

from cbss_inscription import __version__, names
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.contract.write import Deployment
from cbss_inscription.domain.errors import CbssInscriptionError, MessageRejected, UsageError
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultInscriptions, Request
from cbss_inscription.domain.results import ConsultResult, Result, Status, StatusValue
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.replay import MemoryReplayGuard, ReplayGuard
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.soap import explain
from cbss_inscription.soap.addresses import DoorAddresses
from cbss_inscription.soap.authentication import ByToken
from cbss_inscription.soap.explain import Told
from cbss_inscription.soap.http import HttpLimits, SoapApplication
from cbss_inscription.soap.pipeline import Progress, SecuredDoor
from cbss_inscription.soap.wsdl import WsdlDocuments
from tests.journal import KeysOfTests, ListJournal
from tests.pki.reader import DeclaredPki
from tests.vectors.vector import NOT_LOADED, Delivery, Expected, Outcome, Variant

POLICY: Final = SecurityPolicy()
PUBLIC_URL: Final = "https://localhost"
ADDRESSES: Final = DoorAddresses.of(Door.FACADE, (PUBLIC_URL,))
CHUNK_BYTES: Final = 65_536
_ID: Final = re.compile(rb'Id="[0-9a-f-]{36}"')
_NOTHING: Final = ConsultResult(status=Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA))


class _Nothing:
    """`DoorOperations` that find nothing, and remember about whom they were asked."""

    def __init__(self) -> None:
        self.ssins: list[str] = []

    async def perform(self, request: Request, exchange: Exchange) -> Result:
        del exchange
        assert isinstance(request, ConsultInscriptions)
        self.ssins.append(request.ssin)
        return _NOTHING


class _Log:
    """An `ExchangeLog` that keeps the last refusal."""

    def __init__(self) -> None:
        self.refusal: CbssInscriptionError | None = None

    def answered(self, progress: Progress, *, result: Result, seconds: float) -> None:
        self.refusal = None

    def refused(self, progress: Progress, *, error: CbssInscriptionError, seconds: float) -> None:
        self.refusal = error

    def failed(self, progress: Progress, *, error: Exception, seconds: float) -> None:
        raise error


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the service did with a message: as it was told to the caller and to the log, and the words of a fault."""

    told: Expected
    fault: bytes = b""
    """The envelope of a fault, its Id apart."""
    asked: tuple[str, ...] = ()
    """About whom the operation behind the door was asked."""


class Replica:
    """One worker of the service, with the clock of the vectors."""

    def __init__(self, trust: TrustStore, now: datetime, replay_guard: ReplayGuard) -> None:
        self._log = _Log()
        self._operations = _Nothing()
        door = SecuredDoor(
            door=Door.FACADE,
            addresses=ADDRESSES,
            operations=self._operations,
            deployment=Deployment(version=__version__, environment=trust.environment),
            authenticator=ByToken(policy=POLICY, trust=trust),
            replay_guard=replay_guard,
            schema=schema_of(Door.FACADE),
            documents=_documents(),
            log=self._log,
            journal=ListJournal(),
            audit_keys=KeysOfTests(),
            clock=lambda: now,
        )
        self._application = SoapApplication(doors={Door.FACADE.path: door}, limits=HttpLimits(), lifespan=_lifespan)

    async def judge(self, variant: Variant) -> Verdict:
        """The verdict on a message that arrives now."""
        self._operations.ssins.clear()
        status, body = await _post(self._application, variant)
        asked = tuple(self._operations.ssins)
        if not body.startswith(b"<?xml"):
            return Verdict(told=Expected(outcome=Outcome.NOT_TAKEN, status=status), asked=asked)
        if status == 200:
            return Verdict(told=Expected(outcome=Outcome.ACCEPTED), asked=asked)
        fault = etree.fromstring(body).find(f"{names.SOAP_BODY}/{names.SOAP_FAULT}")
        assert fault is not None
        refusal = self._log.refusal
        assert isinstance(refusal, MessageRejected)
        assert refusal.code == fault.findtext("faultstring")
        told = Expected(
            outcome=Outcome.REFUSED,
            status=status,
            code=fault.findtext("faultstring"),
            fault_code=fault.findtext("faultcode"),
            reason=refusal.reason,
        )
        return Verdict(told=told, fault=_ID.sub(b"", body), asked=asked)


async def judge(
    variant: Variant, pki: DeclaredPki, trust: Callable[[str], TrustStore], make_guard: Callable[[], ReplayGuard]
) -> Verdict:
    """What the service makes of a vector, the messages that come before it included."""
    try:
        store = trust(variant.trust)
    except UsageError:
        return Verdict(told=NOT_LOADED)
    now = variant.now or pki.now

    def replica() -> Replica:
        return Replica(store, now, make_guard())

    if variant.delivery is Delivery.ONCE:
        return await Replica(store, now, MemoryReplayGuard()).judge(variant)
    assert variant.before is not None
    first = replace(variant, message=variant.before)
    if variant.delivery is Delivery.AT_ONCE:
        verdicts = await asyncio.gather(replica().judge(first), replica().judge(variant))
        assert sum(len(one.asked) for one in verdicts) == 1
        return next(one for one in verdicts if not one.asked)
    serving = replica()
    assert (await serving.judge(first)).told.outcome is Outcome.ACCEPTED
    return await (serving if variant.delivery is Delivery.AFTER else replica()).judge(variant)


def explained(variant: Variant, store: TrustStore, now: datetime) -> Told:
    """What the offline tool says of a message (SEC-88)."""
    return explain.explain(
        variant.message,
        charset=(variant.content_type or "").partition("charset=")[2].strip('" ') or None,
        soap_action=(variant.soap_action or "").strip('"') or None,
        policy=POLICY,
        trust=store,
        schema=schema_of(Door.FACADE),
        rules=None,
        addresses=ADDRESSES,
        now=variant.now or now,
    )


async def _post(application: SoapApplication, variant: Variant) -> tuple[int, bytes]:
    headers = {
        "content-type": variant.content_type,
        "soapaction": variant.soap_action,
        "content-encoding": variant.content_encoding,
        "content-length": None if variant.chunked else str(len(variant.message)),
        "transfer-encoding": "chunked" if variant.chunked else None,
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": Door.FACADE.path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items() if value is not None],
    }
    size = CHUNK_BYTES if variant.chunked else max(len(variant.message), 1)
    pieces = [variant.message[start : start + size] for start in range(0, len(variant.message), size)] or [b""]
    events = (
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, start=1)
    )
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return next(events)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    start, body = sent
    return start["status"], body["body"]


@cache
def _documents() -> WsdlDocuments:
    return WsdlDocuments(Door.FACADE, public_url=PUBLIC_URL)


@asynccontextmanager
async def _lifespan() -> AsyncIterator[None]:
    yield
