"""What a caller can ask, one value an operation, named after it (contract.md section 3).

The SSIN is still text here: its check digits are a business matter (MSG00011), decided by the use case.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cbss_inscription.domain.concealed import Concealed
from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import LegalData
from cbss_inscription.domain.mutation import MUTATIONS_MAX
from cbss_inscription.domain.period import GivenPeriod
from cbss_inscription.domain.person_search import PersonRequest, SearchPersonBySsin, SearchPersonPhonetically


class Operation(StrEnum):
    """The operations of the service, spelled as on the wire; mutations and persons have doors of their own."""

    CONSULT_INSCRIPTIONS = "consultInscriptions"
    INSERT_INSCRIPTION = "insertInscription"
    UPDATE_INSCRIPTION = "updateInscription"
    DELETE_INSCRIPTION = "deleteInscription"
    HEALTH_CHECK = "healthCheck"
    CONSULT_MUTATIONS = "consultMutations"
    SEARCH_PERSON_BY_SSIN = "searchPersonBySsin"
    SEARCH_PERSON_PHONETICALLY = "searchPersonPhonetically"


class ConsultInscriptions(Concealed, frozen=True, kw_only=True):
    """Which lines of a person are known: of these contexts (none = all), overlapping this period (none = all)."""

    information_customer: InformationCustomer
    legal_context: LegalContext
    ssin: str
    inscription_contexts: tuple[InscriptionContext, ...] = ()
    period: GivenPeriod | None = None
    next: str | None = None


class InsertInscription(Concealed, frozen=True, kw_only=True):
    """Add a period to a context; when legal data are given, only if they match the register's."""

    information_customer: InformationCustomer
    legal_context: LegalContext
    ssin: str
    inscription_context: InscriptionContext
    period: GivenPeriod
    legal_data: LegalData | None = None


class UpdateInscription(Concealed, frozen=True, kw_only=True):
    """Give exactly the line of this context and period another period."""

    information_customer: InformationCustomer
    legal_context: LegalContext
    ssin: str
    inscription_context: InscriptionContext
    period: GivenPeriod
    new_period: GivenPeriod


class DeleteInscription(Concealed, frozen=True, kw_only=True):
    """Cut a period out of a context; without period, the whole context (rule 34)."""

    information_customer: InformationCustomer
    legal_context: LegalContext
    ssin: str
    inscription_context: InscriptionContext
    period: GivenPeriod | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultMutations:
    """What happened to the numbers that the customer knows, after a sequence number (0 = from the first on)."""

    information_customer: InformationCustomer
    legal_context: LegalContext
    after_sequence_number: int = 0
    limit: int = MUTATIONS_MAX
    """How many at most: 1 to `MUTATIONS_MAX`."""


class HealthCheckType(StrEnum):
    """How deep a health check looks (monitoring/v1)."""

    PING = "PING"
    DEFAULT = "DEFAULT"
    DEEP = "DEEP"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """Is the service well?"""

    type: HealthCheckType = HealthCheckType.DEFAULT


InscriptionRequest = ConsultInscriptions | InsertInscription | UpdateInscription | DeleteInscription
WriteRequest = InsertInscription | UpdateInscription | DeleteInscription
CustomerRequest = InscriptionRequest | ConsultMutations | PersonRequest
"""What a customer asks under a legal context."""
Request = CustomerRequest | HealthCheck


def operation_of(request: Request) -> Operation:
    """The operation that `request` asks for."""
    return _OPERATIONS[type(request)]


def contexts_named(request: Request) -> tuple[InscriptionContext, ...]:
    """The contexts that `request` names; none for one that is not about inscriptions."""
    match request:
        case ConsultInscriptions():
            return request.inscription_contexts
        case InsertInscription() | UpdateInscription() | DeleteInscription():
            return (request.inscription_context,)
        case _:
            return ()


_OPERATIONS: dict[type[Request], Operation] = {
    ConsultInscriptions: Operation.CONSULT_INSCRIPTIONS,
    InsertInscription: Operation.INSERT_INSCRIPTION,
    UpdateInscription: Operation.UPDATE_INSCRIPTION,
    DeleteInscription: Operation.DELETE_INSCRIPTION,
    HealthCheck: Operation.HEALTH_CHECK,
    ConsultMutations: Operation.CONSULT_MUTATIONS,
    SearchPersonBySsin: Operation.SEARCH_PERSON_BY_SSIN,
    SearchPersonPhonetically: Operation.SEARCH_PERSON_PHONETICALLY,
}
