"""Why a call ended as it did: which rule decided, what it asks for, and who can change that (SEC-60).

Explained from the call's record in the audit journal, and from the rules of that version where they can be had. A table
has every code of the outcome catalogue, so that no refusal is without an explanation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode
from cbss_inscription.governance.access import AccessRules, VolumeMode
from cbss_inscription.governance.journal import AuditRecord
from cbss_inscription.governance.unmet import (
    Asked,
    Condition,
    Judged,
    asked_of,
    contexts_not_granted,
    judge_access_rules,
    judge_permissions,
)
from cbss_inscription.usecases.record_call import DEFECT, FAULT


class Changer(StrEnum):
    """Who can make the same request end otherwise."""

    NOBODY = "nobody"
    """Nothing was refused."""
    SENDER = "sender"
    RSZ = "RSZ"
    """By the access rule: the Uniek dossier."""
    KSZ = "KSZ"
    """By the permission."""
    REGISTER = "register"
    """Who keeps the person's file."""
    OPERATOR = "operator"
    """Who runs the service, or the source behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """What decides on a code, in words, and who can change it."""

    by: str
    changers: tuple[Changer, ...]


def _decided(by: str, *changers: Changer) -> Decider:
    return Decider(by=by, changers=changers)


_SHAPE: Final = _decided("the form of the message, before anybody's rights were looked at", Changer.SENDER)
_SERVICE: Final = _decided("the state of the service: no rule", Changer.OPERATOR)
DECIDERS: Final[Mapping[OutcomeCode, Decider]] = MappingProxyType(
    {
        OutcomeCode.SUCCESS: _decided("the permission, which grants what was asked", Changer.NOBODY),
        OutcomeCode.NO_DATA: _decided("the permission, which grants what was asked: there was nothing", Changer.NOBODY),
        OutcomeCode.SSIN_INVALID: _decided("the form of the number (rules 1 to 11)", Changer.SENDER),
        OutcomeCode.SSIN_UNKNOWN: _decided("the registers of persons: no file (rule 16)", Changer.SENDER),
        OutcomeCode.SSIN_REPLACED_REFUSED: _decided(
            "the permission, by which replaced numbers are refused (replaced_numbers: refuse)",
            Changer.SENDER,
            Changer.KSZ,
        ),
        OutcomeCode.CONTENT_INVALID: _decided("the rules on periods and content (rules 31 to 34)", Changer.SENDER),
        OutcomeCode.DECEASED: _decided("the person's file, which has a date of decease", Changer.REGISTER),
        OutcomeCode.LEGAL_CONTEXT_NOT_GRANTED: _decided(
            "the permissions: none has this legal context for this customer and operation", Changer.SENDER, Changer.KSZ
        ),
        OutcomeCode.INTERNAL_ERROR: _SERVICE,
        OutcomeCode.SSIN_CANCELED: _decided(
            "the person's file: it is canceled, or its replacements end nowhere (rules 15 to 17)", Changer.REGISTER
        ),
        OutcomeCode.SSIN_REPLACED: _decided("the person's file: another number continues it (rule 18)", Changer.SENDER),
        OutcomeCode.INSCRIPTION_CONTEXT_NOT_GRANTED: _decided(
            "the permission, which does not grant this inscription context, or the context does not exist (rule 28)",
            Changer.SENDER,
            Changer.KSZ,
        ),
        OutcomeCode.VOLUME_EXCEEDED: _decided("the volume that was agreed with the permission", Changer.KSZ),
        OutcomeCode.LEGAL_DATA_MISMATCH: _decided(
            "the person's file: the given legal data are others (rules 42, 43)", Changer.SENDER, Changer.REGISTER
        ),
        OutcomeCode.LEGAL_DATA_NOT_VERIFIABLE: _decided(
            "the person's file, in which the given legal data are missing", Changer.REGISTER
        ),
        OutcomeCode.INSCRIPTION_IDENTICAL: _decided("the lines as they were: this one was there", Changer.NOBODY),
        OutcomeCode.INSCRIPTION_MERGED: _decided(
            "the lines as they were: adjacent ones merge (rule 32)", Changer.NOBODY
        ),
        OutcomeCode.INSCRIPTION_NOT_FOUND: _decided(
            "the lines as they were: none as the request names it", Changer.SENDER
        ),
        OutcomeCode.TICKET_REPEATED: _decided("the ticket: this declaration was done before (rule 38)", Changer.NOBODY),
        OutcomeCode.TICKET_REUSED: _decided(
            "the ticket: another declaration was done under it (rule 38)", Changer.SENDER
        ),
        OutcomeCode.SOURCE_UNREACHABLE: _decided("an authentic source that did not answer: no rule", Changer.OPERATOR),
        OutcomeCode.SERVICE_ERROR: _SERVICE,
        OutcomeCode.NOT_AUTHENTICATED: _decided(
            "the message security: signature, certificate, time, replay (docs/ws-security.md)", Changer.SENDER
        ),
        OutcomeCode.NOT_AUTHORIZED: _decided("the access rules and permissions", Changer.RSZ, Changer.KSZ),
        OutcomeCode.NOT_AVAILABLE: _SERVICE,
        OutcomeCode.TEMPORARILY_NOT_AVAILABLE: _SERVICE,
        OutcomeCode.MALFORMED_MESSAGE: _SHAPE,
        OutcomeCode.NOT_SOAP: _SHAPE,
        OutcomeCode.BODY_MISSING: _SHAPE,
        OutcomeCode.WSI_COMPLIANCE: _SHAPE,
        OutcomeCode.WSDL_COMPLIANCE: _SHAPE,
        OutcomeCode.XSD_COMPLIANCE: _SHAPE,
        OutcomeCode.CONTENT_VALIDATION: _SHAPE,
    }
)
"""What decides on every code."""
NO_ACCESS_RULE: Final = "no-access-rule"
NOT_AUTHORIZED_DECIDERS: Final[Mapping[str, Decider]] = MappingProxyType(
    {
        NO_ACCESS_RULE: _decided(
            "the access rules: none admits this application to the operation (SEC-56)", Changer.RSZ
        ),
        "customer-not-bound": _decided(
            "the permissions: none lets this application speak for the customer (SEC-58)", Changer.KSZ
        ),
        "operation-not-permitted": _decided(
            "the permissions: none has this operation for the customer (SEC-58)", Changer.KSZ
        ),
    }
)
"""What decides on SOA-01002, by its reason."""
_BY_RULES: Final = frozenset(
    {
        OutcomeCode.NOT_AUTHORIZED,
        OutcomeCode.LEGAL_CONTEXT_NOT_GRANTED,
        OutcomeCode.INSCRIPTION_CONTEXT_NOT_GRANTED,
        OutcomeCode.SSIN_REPLACED_REFUSED,
        OutcomeCode.VOLUME_EXCEEDED,
    }
)
_ASKS: Final[Mapping[Condition, str]] = MappingProxyType(
    {
        Condition.APPLICATION: "names another application or organisation than the certificate's",
        Condition.ENVIRONMENT: "holds in another environment",
        Condition.OPERATION: "does not have the operation",
        Condition.VALIDITY: "did not hold on that day",
        Condition.CUSTOMER: "is for another customer",
        Condition.LEGAL_CONTEXT: "does not have the legal context",
        Condition.INSCRIPTION_CONTEXT: "does not have the inscription context",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a call ended as it did; every part is a sentence or a word, and none holds a person's number."""

    record: AuditRecord
    code: OutcomeCode | None
    """None for an outcome that has none: a health check, a look into the journal, a reply that was never sent."""
    decided_by: str
    text: str
    cause: str | None
    remedy: str | None
    anomalies: tuple[tuple[str, str], ...]
    """What was told beside the outcome: code and text."""
    failed: tuple[str, ...]
    """The conditions that were not met, of each rule that came nearest."""
    changers: tuple[Changer, ...]
    warnings: tuple[str, ...]


def explain_decision(
    record: AuditRecord, rules: AccessRules | None, *, remedies: Mapping[str, str], language: str = "en"
) -> Explanation:
    """Why the call of this record ended as it did.

    `rules` are those that can be had now, None when none can; `remedies` has for reasons of faults what their sender
    changes.
    """
    code, outcome = _code_of(record), record.outcome
    if code is None:
        return Explanation(
            record=record,
            code=None,
            decided_by="no rule",
            text=_UNCODED.get(record.outcome.value, f"The call ended as {record.outcome.value}."),
            cause=None,
            remedy=None,
            anomalies=(),
            failed=(),
            changers=(),
            warnings=() if outcome.code is None else (f"The code {outcome.code} is none of this version.",),
        )
    entry = CATALOGUE[code]
    decider = DECIDERS[code]
    if code is OutcomeCode.NOT_AUTHORIZED:
        decider = NOT_AUTHORIZED_DECIDERS.get(outcome.reason or "", decider)
    failed, warnings = _failed(record, code, rules) if code in _BY_RULES else ((), ())
    return Explanation(
        record=record,
        code=code,
        decided_by=decider.by,
        text=entry.texts[language],
        cause=entry.cause[language],
        remedy=remedies.get(outcome.reason or "") or entry.remedy[language],
        anomalies=tuple((anomaly, _text_of(anomaly, language)) for anomaly in outcome.anomalies),
        failed=failed,
        changers=decider.changers,
        warnings=warnings,
    )


_UNCODED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "UNANSWERED": "The service ended after the change and before its reply: the caller was told nothing.",
        "OK": "The service found itself in order.",
    }
)


def _code_of(record: AuditRecord) -> OutcomeCode | None:
    outcome = record.outcome
    if outcome.code is None and outcome.value == FAULT and outcome.reason == DEFECT:
        return OutcomeCode.SERVICE_ERROR
    try:
        return OutcomeCode(outcome.code or "")
    except ValueError:
        return None


def _text_of(code: str, language: str) -> str:
    try:
        return CATALOGUE[OutcomeCode(code)].texts[language]
    except ValueError:
        return "A code that is none of this version."


def _failed(
    record: AuditRecord, code: OutcomeCode, rules: AccessRules | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was not met, and what is to be known about that."""
    asked, decision = asked_of(record), record.decision
    if decision is None or asked is None:
        return (), ("The record does not say by which rules it was decided.",)
    if rules is None:
        return (), (f"The rules of version {decision.version} cannot be had now: no condition could be looked at.",)
    warnings: list[str] = []
    if rules.version != decision.version:
        warnings.append(
            f"Decided by version {decision.version} of the rules; what failed is told by version {rules.version}, "
            "the one that can be had."
        )
    failed = tuple(_sentences(record, code, rules, asked))
    if not failed and code in {OutcomeCode.NOT_AUTHORIZED, OutcomeCode.LEGAL_CONTEXT_NOT_GRANTED}:
        warnings.append("The rules that can be had would grant it.")
    return failed, tuple(warnings)


def _sentences(record: AuditRecord, code: OutcomeCode, rules: AccessRules, asked: Asked) -> list[str]:
    if code is OutcomeCode.NOT_AUTHORIZED and record.outcome.reason == NO_ACCESS_RULE:
        return _told("access rule", judge_access_rules(rules, asked))
    if code in {OutcomeCode.NOT_AUTHORIZED, OutcomeCode.LEGAL_CONTEXT_NOT_GRANTED}:
        return _told("permission", judge_permissions(rules, asked))
    reference = record.decision.permission if record.decision else None
    if reference is None:
        return []
    if code is OutcomeCode.INSCRIPTION_CONTEXT_NOT_GRANTED:
        missing = contexts_not_granted(rules, reference, asked)
        return [f"the permission {reference} does not have {context}" for context in sorted(missing or ())]
    if code is OutcomeCode.SSIN_REPLACED_REFUSED:
        return [f"the permission {reference} refuses replaced numbers"]
    permission = next((item for item in rules.permissions if item.reference == reference), None)
    return [
        f"the permission {reference} has {volume.limit} requests per {volume.window}"
        + ("" if volume.operation is None else f" of {volume.operation}")
        for volume in (permission.volumes if permission else ())
        if volume.mode is VolumeMode.HARD and volume.operation in {None, asked.operation}
    ]


def _told(kind: str, judged: tuple[Judged, ...]) -> list[str]:
    if not judged:
        return [f"there is no {kind} at all"]
    return [
        f"the {kind} {item.reference} {' and '.join(_ASKS[one] for one in item.unmet)}" for item in judged if item.unmet
    ]
