"""May this caller ask this: access rule, customer, legal context, then the SSIN's structure (contract.md section 4).

What is not granted to the application at all raises `NotAuthorized` (SOA-01002); what KSZ answers as an outcome is a
`Status`.
"""

from __future__ import annotations

from typing import TypeVar

from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultInscriptions, InscriptionRequest, operation_of
from cbss_inscription.domain.results import Information, Status, StatusValue
from cbss_inscription.domain.ssin import InvalidSsin, Ssin
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.repertory.port import Admitted

RequestT = TypeVar("RequestT", bound=InscriptionRequest)


def admit(request: RequestT, exchange: Exchange, rules: AccessRules) -> Admitted[RequestT] | Status:
    """The request with its permission and SSIN, or the status that refuses it: MSG00013, MSG00011.

    Raises `NotAuthorized` when the application has no access rule, or may not speak for the customer it names.
    """
    permission = rules.permission_for(
        exchange.caller,
        operation_of(request),
        request.information_customer.customer_identification,
        request.legal_context,
        today=exchange.timestamp_receive.date(),
        inscription_contexts=_contexts_named(request),
    )
    if permission is None:
        return _refused(request, OutcomeCode.LEGAL_CONTEXT_NOT_GRANTED)
    try:
        ssin = Ssin.parse(request.ssin)
    except InvalidSsin:
        return _refused(request, OutcomeCode.SSIN_INVALID, Information(field_name="ssin", field_value=request.ssin))
    return Admitted(request=request, ssin=ssin, permission=permission, exchange=exchange)


def _contexts_named(request: InscriptionRequest) -> tuple[InscriptionContext, ...]:
    if isinstance(request, ConsultInscriptions):
        return request.inscription_contexts
    return (request.inscription_context,)


def _refused(request: InscriptionRequest, code: OutcomeCode, *information: Information) -> Status:
    value = StatusValue.NO_RESULT if isinstance(request, ConsultInscriptions) else StatusValue.NOK
    return Status(value=value, code=code, information=information)
