"""A repertory that is another house's, in memory: what it answers to the bytes of a signed message, and its faults.

Between it and who asks are the messages as they are; what is lost or falsified on the way is for a test to say.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from lxml import etree

from cbss_inscription import names
from cbss_inscription.client.call import Answer, PreparedCall, read_answer
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.ksz_fault import write_ksz_fault
from cbss_inscription.contract.read import read_request
from cbss_inscription.contract.write import Deployment, write_response
from cbss_inscription.domain.customer import InformationCbss
from cbss_inscription.domain.errors import (
    CbssInscriptionError,
)
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    HealthCheck,
    InsertInscription,
    Operation,
    Request,
    UpdateInscription,
    operation_of,
)
from cbss_inscription.domain.results import (
    Health,
    HealthCheckResult,
    Result,
    Status,
    StatusValue,
)
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.envelope.fault import Fault
from cbss_inscription.envelope.soap11 import write_envelope
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.repertory.port import Admitted
from tests.conftest import FoundDataAnomalies
from tests.repertory.memory import MemoryLines, MemoryRegister
from tests.repertory.office import (
    CALLER,
    DEBT,
    OWN,
    WAGE,
    permission_of,
    person_of,
)

DEPLOYMENT = Deployment(version="1.0.0", environment="TST")
ONE, REPLACED, STRANGER = 1, 2, 3
PERSONS = [person_of(ONE), person_of(REPLACED, successor=ONE), person_of(STRANGER)]
FOUND = Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)


class Ticking:
    """Seconds that pass when a test says so; the wall clock of the upstream is an hour off, and goes with it."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds

    @property
    def there(self) -> datetime:
        """The upstream's time."""
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=1, seconds=self.seconds)


Falsify = Callable[[bytes], tuple[int, bytes]]


class House:
    """A `Sender`: the upstream, its wire, and what a test lets happen on it."""

    def __init__(self) -> None:
        self.clock = Ticking()
        self.lines = MemoryLines(now=lambda: self.clock.there)
        self.repertory = EmbeddedRepertory(
            registers=MemoryRegister({person.ssin: person for person in PERSONS}),
            lines=self.lines,
            known_contexts=lambda _: (WAGE, DEBT),
            data_anomalies=FoundDataAnomalies(),
            page_size=20,
        )
        self.permission = permission_of(OWN)
        self.sent: list[Request] = []
        self.bodies: list[bytes] = []
        self.seconds_given: list[float | None] = []
        self.troubles: list[Callable[[], None]] = []
        """What happens to messages before they arrive, one for each, then nothing."""
        self.losses: list[Callable[[], None]] = []
        """What happens to replies, one for each message that arrived."""
        self.falsify: Falsify = lambda body: (200, body)
        self.result: Callable[[Result], Result] = lambda result: result

    async def send(self, call: PreparedCall, *, seconds_max: float | None = None) -> Answer[Result]:
        """See `Sender.send`."""
        self.sent.append(call.request)
        self.bodies.append(call.body)
        self.seconds_given.append(seconds_max)
        if self.troubles:
            self.troubles.pop(0)()
        reply = await self.reply_to(call.body)
        if self.losses:
            self.losses.pop(0)()
        status, reply = self.falsify(reply)
        return read_answer(call, status=status, media_type="text/xml", charset="utf-8", body=reply)

    async def reply_to(self, message: bytes) -> bytes:
        """The honest reply to a message."""
        self.clock.seconds += 0.01
        received = self.clock.there
        body = etree.fromstring(message).find(names.SOAP_BODY)
        assert body is not None
        result = self.result(await self._perform(read_request(body[0])))
        self.clock.seconds += 0.01
        response = write_response(
            body[0],
            result,
            information_cbss=InformationCbss(
                ticket_cbss=uuid4(), timestamp_receive=received, timestamp_reply=self.clock.there
            ),
            deployment=DEPLOYMENT,
        )
        return write_envelope(response)

    async def _perform(self, request: Request) -> Result:
        if isinstance(request, HealthCheck):
            return HealthCheckResult(health=Health.OK, component="InscriptionService", location="here")
        exchange = Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime.now(UTC), caller=CALLER)
        asked: Any = Admitted(
            request=request,  # type: ignore[type-var]
            ssin=Ssin.parse(request.ssin),  # type: ignore[union-attr]
            permission=self.permission,
            exchange=exchange,
        )
        match request:
            case ConsultInscriptions():
                return await self.repertory.consult(asked)
            case InsertInscription():
                return await self.repertory.insert(asked)
            case UpdateInscription():
                return await self.repertory.update(asked)
            case _:
                return await self.repertory.delete(asked)

    async def close(self) -> None:
        """See `Sender.close`."""

    @property
    def operations(self) -> list[Operation]:
        """What was sent, in order."""
        return [operation_of(request) for request in self.sent]


def fault_of(error: CbssInscriptionError | None) -> bytes:
    """A fault of KSZ's door."""
    fault = Fault.of(error, ticket=uuid4(), environment="TST")
    information = InformationCbss(
        ticket_cbss=uuid4(), timestamp_receive=datetime.now(UTC), timestamp_reply=datetime.now(UTC)
    )
    operation = Operation.CONSULT_INSCRIPTIONS
    return write_envelope(write_ksz_fault(fault, door=Door.KSZ, operation=operation, information_cbss=information))
