"""A façade in front of a repertory that has the same permissions: its own client, a real socket, KSZ's messages.

Behind the socket is a repertory of the test's own making, which no process could be given: registers that are away when
the test says so, a store that counts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

from lxml import etree

from cbss_inscription import names
from cbss_inscription.app.settings import DialectName
from cbss_inscription.contract.read import read_request
from cbss_inscription.contract.write import Deployment, write_response
from cbss_inscription.domain.customer import InformationCbss
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InsertInscription,
    UpdateInscription,
    WriteRequest,
)
from cbss_inscription.domain.results import ConsultResult, InscriptionResult, SanityCheck, WriteResult
from cbss_inscription.envelope.soap11 import write_envelope
from cbss_inscription.governance.access import Permission
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.repertory.port import Admitted
from cbss_inscription.repertory.upstream import UpstreamRepertory
from cbss_inscription.usecases.change_inscription import delete_inscription, insert_inscription, update_inscription
from cbss_inscription.usecases.consult_inscriptions import consult_inscriptions
from tests.repertory.houses import Pki
from tests.repertory.office import CALLER, rules_of
from tests.wire import context_of, head_of, listening

DEPLOYMENT = Deployment(version="1.0.0", environment="TST")


class Mirrored:
    """A `Repertory`: the adapter, and behind it who goes by the permission under which the façade last asked."""

    def __init__(self, behind: EmbeddedRepertory) -> None:
        self.behind = behind
        self.upstream: UpstreamRepertory | None = None
        self._permissions: dict[str, Permission] = {}

    def _facade(self, permission: Permission) -> UpstreamRepertory:
        assert self.upstream is not None
        self._permissions[permission.customer_identification.key] = permission
        return self.upstream

    async def consult(self, asked: Admitted[ConsultInscriptions]) -> ConsultResult:
        """See `Repertory.consult`."""
        return await self._facade(asked.permission).consult(asked)

    async def insert(self, asked: Admitted[InsertInscription]) -> WriteResult:
        """See `Repertory.insert`."""
        return await self._facade(asked.permission).insert(asked)

    async def update(self, asked: Admitted[UpdateInscription]) -> WriteResult:
        """See `Repertory.update`."""
        return await self._facade(asked.permission).update(asked)

    async def delete(self, asked: Admitted[DeleteInscription]) -> WriteResult:
        """See `Repertory.delete`."""
        return await self._facade(asked.permission).delete(asked)

    async def look(self) -> SanityCheck:
        """See `Repertory.look`."""
        assert self.upstream is not None
        return await self.upstream.look()

    async def respond(self, message: bytes, writer: asyncio.StreamWriter) -> None:
        """Nothing; the reply to a message is on its way."""
        received = datetime.now(UTC)
        body = etree.fromstring(message).find(names.SOAP_BODY)
        assert body is not None
        request = read_request(body[0])
        assert isinstance(request, ConsultInscriptions | WriteRequest)
        response = write_response(
            body[0],
            await self._done(request),
            information_cbss=InformationCbss(
                ticket_cbss=uuid4(), timestamp_receive=received, timestamp_reply=datetime.now(UTC)
            ),
            deployment=DEPLOYMENT,
        )
        reply = write_envelope(response)
        writer.write(head_of(len(reply)) + reply)
        await writer.drain()

    async def _done(self, request: ConsultInscriptions | WriteRequest) -> InscriptionResult:
        rules = rules_of(self._permissions[request.information_customer.customer_identification.key])
        exchange = Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime(2024, 6, 1, tzinfo=UTC), caller=CALLER)
        match request:
            case ConsultInscriptions():
                return await consult_inscriptions(request, exchange, rules=rules, repertory=self.behind)
            case InsertInscription():
                return await insert_inscription(request, exchange, rules=rules, repertory=self.behind)
            case UpdateInscription():
                return await update_inscription(request, exchange, rules=rules, repertory=self.behind)
            case _:
                return await delete_inscription(request, exchange, rules=rules, repertory=self.behind)


@contextlib.asynccontextmanager
async def mirrored(behind: EmbeddedRepertory, pki: Pki) -> AsyncIterator[Mirrored]:
    """The façade's repertory in front of that one."""
    context = context_of(pki.folder / "server.crt.pem", pki.folder / "server.key.pem")
    found = Mirrored(behind)
    async with listening(found.respond, context=context) as port:
        found.upstream = pki.upstream(f"https://localhost:{port}/x", DialectName.KSZ)
        try:
            yield found
        finally:
            await found.upstream.close()
