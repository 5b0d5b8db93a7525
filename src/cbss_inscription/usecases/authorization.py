"""May this caller ask this: access rule, customer, legal context, volume, then the SSIN's structure (contract.md 4).

What is not granted to the application at all raises `NotAuthorized` (SOA-01002); what KSZ answers as an outcome is a
`Status`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Protocol, TypeVar

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import NotAuthorized
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import (
    CustomerRequest,
    InscriptionRequest,
    Operation,
    WriteRequest,
    contexts_named,
    operation_of,
)
from cbss_inscription.domain.results import Information, Status, StatusValue
from cbss_inscription.domain.ssin import InvalidSsin, Ssin
from cbss_inscription.governance.access import (
    AccessDecision,
    AccessRefusal,
    AccessRule,
    AccessRules,
    AgreedVolume,
    Permission,
)
from cbss_inscription.repertory.port import Admitted
from cbss_inscription.usecases.ports import Volumes

RequestT = TypeVar("RequestT", bound=InscriptionRequest)


class Decisions(Protocol):
    """Access rules, as far as a request is decided by them: the rules themselves, or what they said before."""

    @property
    def version(self) -> int:
        """The version of the rules."""
        ...

    def decide(
        self,
        caller: Caller,
        operation: Operation,
        customer: CustomerIdentification,
        legal_context: LegalContext,
        *,
        today: date,
        inscription_contexts: Collection[InscriptionContext] = (),
    ) -> AccessDecision:
        """See `AccessRules.decide`."""
        ...


def admit(
    request: RequestT, exchange: Exchange, rules: Decisions, volumes: Volumes | None = None
) -> Admitted[RequestT] | Status:
    """The request with its permission and SSIN, or the status that refuses it: MSG00013, CBI00202, MSG00011.

    Raises `NotAuthorized` when the application has no access rule, or may not speak for the customer it names.
    """
    permission = permit(request, exchange, rules, volumes)
    if isinstance(permission, Status):
        return permission
    try:
        ssin = Ssin.parse(request.ssin)
    except InvalidSsin:
        return _refused(request, OutcomeCode.SSIN_INVALID, Information(field_name="ssin", field_value=request.ssin))
    return Admitted(request=request, ssin=ssin, permission=permission, exchange=exchange)


def permit(
    request: CustomerRequest, exchange: Exchange, rules: Decisions, volumes: Volumes | None = None
) -> Permission | Status:
    """The permission under which `request` may be asked, or the status that refuses it: MSG00013, CBI00202.

    What decided is noted in the exchange's trail (SEC-60). Where nothing is counted there are no `volumes`. Raises
    `NotAuthorized` as `admit` does.
    """
    operation = operation_of(request)
    decision = rules.decide(
        exchange.caller,
        operation,
        request.information_customer.customer_identification,
        request.legal_context,
        today=exchange.timestamp_receive.date(),
        inscription_contexts=contexts_named(request),
    )
    _note(exchange, rules, decision.access_rule, decision.permission)
    if decision.permission is not None:
        exceeded = (
            None if volumes is None else volumes.admit(decision.permission, operation, now=exchange.timestamp_receive)
        )
        return decision.permission if exceeded is None else _refused_by_volume(request, exceeded)
    if decision.refusal is AccessRefusal.LEGAL_CONTEXT_NOT_GRANTED:
        return _refused(request, OutcomeCode.LEGAL_CONTEXT_NOT_GRANTED)
    raise NotAuthorized(str(decision.refusal))


def admit_application(exchange: Exchange, operation: Operation, rules: AccessRules) -> None:
    """Returns when an access rule admits the application (SEC-56), noted in the trail. Raises `NotAuthorized`."""
    rule = rules.rule_for(exchange.caller, operation, today=exchange.timestamp_receive.date())
    _note(exchange, rules, rule, None)
    if rule is None:
        raise NotAuthorized(str(AccessRefusal.NO_ACCESS_RULE))


def _note(exchange: Exchange, rules: Decisions, rule: AccessRule | None, permission: Permission | None) -> None:
    """Nothing; the trail has the version of the rules, and what of them admits and grants."""
    exchange.trail.rules_version = rules.version
    exchange.trail.access_rule = None if rule is None else rule.dossier
    exchange.trail.permission = None if permission is None else permission.reference


def _refused_by_volume(request: CustomerRequest, exceeded: AgreedVolume) -> Status:
    return _refused(
        request,
        OutcomeCode.VOLUME_EXCEEDED,
        Information(field_name="limit", field_value=str(exceeded.limit)),
        Information(field_name="window", field_value=exceeded.window.value),
    )


def _refused(request: CustomerRequest, code: OutcomeCode, *information: Information) -> Status:
    value = StatusValue.NOK if isinstance(request, WriteRequest) else StatusValue.NO_RESULT
    return Status(value=value, code=code, information=information)
