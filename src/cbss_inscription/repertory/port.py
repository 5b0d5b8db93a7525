"""The port to the person repertory (KSZ's InscriptionService), whether it is our own store or the real one."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InscriptionRequest,
    InsertInscription,
    UpdateInscription,
)
from cbss_inscription.domain.results import ConsultResult, SanityCheck, WriteResult
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import Permission

RequestT_co = TypeVar("RequestT_co", bound=InscriptionRequest, covariant=True)


class Admitted(msgspec.Struct, Generic[RequestT_co], frozen=True, kw_only=True):
    """A request whose caller may ask it: with the SSIN parsed, and the permission it is asked under."""

    request: RequestT_co
    ssin: Ssin
    permission: Permission
    exchange: Exchange

    @property
    def customer(self) -> CustomerIdentification:
        """The organisation whose lines are asked about or changed (rule 30)."""
        return self.request.information_customer.customer_identification


class Repertory(Protocol):
    """Inscriptions kept per (ssin, customer, inscription context).

    A declaration that was done before under the same ticket is not done again (rule 38).
    Every answer is a value: refusals by rule are statuses. `RepertoryUnavailable` is raised when an authentic source
    or the repertory does not answer: nothing was written then. `TemporarilyUnavailable` is raised when its store does
    not; when that happens at the commit of a change, whether it was written is unknown.
    """

    async def consult(self, asked: Admitted[ConsultInscriptions]) -> ConsultResult:
        """The customer's own lines, of the number that is current for the SSIN asked (rules 18, 20).

        Other organisations' too where the permission has a visibility (rule 30).
        """
        ...

    async def insert(self, asked: Admitted[InsertInscription]) -> WriteResult:
        """The outcome of adding a period, and the lines of its context as they are now (rules 31 to 36)."""
        ...

    async def update(self, asked: Admitted[UpdateInscription]) -> WriteResult:
        """The outcome of giving exactly the line named another period."""
        ...

    async def delete(self, asked: Admitted[DeleteInscription]) -> WriteResult:
        """The outcome of cutting a period out of a context, or all of it (rule 34)."""
        ...

    async def look(self) -> SanityCheck:
        """Whether the repertory answers now."""
        ...
