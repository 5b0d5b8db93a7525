"""Which conditions of the rules a call does not meet: why the answer was no, told of each rule by itself.

`access.AccessRules.permission_for` decides; this explains, afterwards, from what the audit journal kept of the call.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import AccessRule, AccessRules, Permission
from cbss_inscription.governance.journal import AuditRecord

_DAY_CHARACTERS: Final = len("2026-03-01")


class Condition(StrEnum):
    """What a rule asks of a call."""

    APPLICATION = "application"
    """The application, or its organisation's CBE number, is one that the rule names."""
    ENVIRONMENT = "environment"
    OPERATION = "operation"
    VALIDITY = "validity"
    """The call was made on a day on which the rule holds."""
    CUSTOMER = "customer"
    LEGAL_CONTEXT = "legalContext"
    INSCRIPTION_CONTEXT = "inscriptionContext"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A rule by its dossier or reference, and the conditions of it that a call does not meet: none, and it holds."""

    reference: str
    unmet: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked, as far as rules look at it."""

    application_urn: str
    cbe_number: str
    environment: str
    operation: Operation
    customer: str | None
    """The key of the organisation."""
    legal_context: str | None
    inscription_contexts: frozenset[str]
    day: date


def asked_of(record: AuditRecord) -> Asked | None:
    """What a record says was asked; None when that was never found out, or when it is no call of an application."""
    if record.application_urn is None or record.cbe_number is None or record.environment is None:
        return None
    try:
        operation = Operation(record.operation or "")
    except ValueError:
        return None
    return Asked(
        application_urn=record.application_urn,
        cbe_number=record.cbe_number,
        environment=record.environment,
        operation=operation,
        customer=record.customer,
        legal_context=record.legal_context,
        inscription_contexts=frozenset(record.inscription_contexts),
        day=date.fromisoformat(record.timestamp_receive[:_DAY_CHARACTERS]),
    )


def judge_access_rules(rules: AccessRules, asked: Asked) -> tuple[Judged, ...]:
    """The access rules that come nearest: those with the fewest conditions unmet, in the order of the rules."""
    return _nearest([_judge_access_rule(rule, asked) for rule in rules.access_rules])


def judge_permissions(rules: AccessRules, asked: Asked) -> tuple[Judged, ...]:
    """The permissions that come nearest: those with the fewest conditions unmet, in the order of the rules."""
    return _nearest([_judge_permission(permission, asked) for permission in rules.permissions])


def contexts_not_granted(rules: AccessRules, reference: str, asked: Asked) -> frozenset[str] | None:
    """The contexts asked that the permission of this reference does not grant; None when there is no such one."""
    permission = next((item for item in rules.permissions if item.reference == reference), None)
    return None if permission is None else asked.inscription_contexts - _granted(permission, asked)


def _judge_access_rule(rule: AccessRule, asked: Asked) -> Judged:
    met = {
        Condition.APPLICATION: (rule.application_urn, rule.cbe_number) == (asked.application_urn, asked.cbe_number),
        Condition.ENVIRONMENT: rule.environment == asked.environment,
        Condition.OPERATION: asked.operation in rule.operations,
        Condition.VALIDITY: rule.is_valid_on(asked.day),
    }
    return Judged(reference=rule.dossier, unmet=_unmet(met))


def _judge_permission(permission: Permission, asked: Asked) -> Judged:
    met = {
        Condition.APPLICATION: permission.cbe_number == asked.cbe_number
        and asked.application_urn in permission.application_urns,
        Condition.CUSTOMER: permission.customer_identification.key == asked.customer,
        Condition.VALIDITY: permission.is_valid_on(asked.day),
        Condition.OPERATION: asked.operation in permission.operations,
        Condition.LEGAL_CONTEXT: asked.legal_context in permission.legal_contexts,
        Condition.INSCRIPTION_CONTEXT: asked.inscription_contexts <= _granted(permission, asked),
    }
    return Judged(reference=permission.reference, unmet=_unmet(met))


def _granted(permission: Permission, asked: Asked) -> frozenset[str]:
    if asked.operation is Operation.CONSULT_INSCRIPTIONS:
        return frozenset(permission.readable_contexts)
    return frozenset(permission.inscription_contexts)


def _unmet(met: dict[Condition, bool]) -> tuple[Condition, ...]:
    return tuple(condition for condition, is_met in met.items() if not is_met)


def _nearest(judged: Collection[Judged]) -> tuple[Judged, ...]:
    fewest = min((len(item.unmet) for item in judged), default=0)
    return tuple(item for item in judged if len(item.unmet) == fewest)
