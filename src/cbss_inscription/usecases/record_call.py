"""The record that a call leaves in the audit journal, whichever door it came by and however it ended (rule 50)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from cbss_inscription.domain.errors import CbssInscriptionError, MessageRejected, ServiceUnavailable
from cbss_inscription.domain.exchange import Caller, Trail
from cbss_inscription.domain.period import timestamp
from cbss_inscription.domain.person_search import SearchPersonBySsin, SearchPersonPhonetically
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    ConsultMutations,
    DeleteInscription,
    HealthCheck,
    InsertInscription,
    Request,
    UpdateInscription,
    contexts_named,
    operation_of,
)
from cbss_inscription.domain.results import (
    ConsultResult,
    HealthCheckResult,
    InscriptionResult,
    MutationsResult,
    PersonsResult,
    Result,
    WriteResult,
)
from cbss_inscription.governance.journal import (
    AuditedDecision,
    AuditedOutcome,
    AuditedPerson,
    AuditKeys,
    AuditRecord,
    UnrecordedChange,
)

FAULT = "FAULT"
"""The `value` of an outcome that was no answer; its code is that of the fault."""
DEFECT = "defect"
"""The reason of a fault that nobody raised on purpose: the log says where."""
UNANSWERED = "UNANSWERED"
"""The `value` of an outcome whose reply was never sent: the service ended between the change and its record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a door knows of a call when it has ended; what was not found out is None."""

    ticket_cbss: UUID
    timestamp_receive: datetime
    timestamp_reply: datetime
    service: str
    caller: Caller | None
    request: Request | None
    trail: Trail
    ending: Result | CbssInscriptionError | None
    """The answer, or what refused it; None for a defect."""
    request_digest: str
    response_digest: str
    evidence_digest: str | None = None


def record_of(call: Call, keys: AuditKeys) -> AuditRecord:
    """The record of a call: numbers of persons sealed, nothing else of a message but what the rules decide by."""
    caller, request, trail = call.caller, call.request, call.trail
    customer_ticket = customer = legal_context = None
    if request is not None and not isinstance(request, HealthCheck):
        information = request.information_customer
        customer_ticket = information.ticket_stored
        customer = information.customer_identification.key
        legal_context = str(request.legal_context)
    return AuditRecord(
        ticket_cbss=str(call.ticket_cbss),
        customer_ticket=customer_ticket,
        timestamp_receive=timestamp(call.timestamp_receive),
        timestamp_reply=timestamp(call.timestamp_reply),
        service=call.service,
        application_urn=caller.application_urn if caller else None,
        cbe_number=caller.cbe_number if caller else None,
        environment=caller.environment if caller else None,
        certificate=caller.certificate_fingerprint if caller else None,
        known_by=caller.known_by.value if caller else msgspec.UNSET,
        network=caller.network if caller and caller.network else msgspec.UNSET,
        operation=None if request is None else operation_of(request).value,
        customer=customer,
        legal_context=legal_context,
        inscription_contexts=contexts_of(request),
        persons=tuple(persons_of(request, call.ending, call.ticket_cbss, keys)),
        mutations=_mutations(request, call.ending),
        decision=None
        if trail.rules_version is None
        else AuditedDecision(version=trail.rules_version, access_rule=trail.access_rule, permission=trail.permission),
        outcome=outcome_of(call.ending),
        request_digest=call.request_digest,
        response_digest=call.response_digest,
        evidence_digest=call.evidence_digest,
    )


def record_of_change(change: UnrecordedChange, keys: AuditKeys, *, service: str, now: datetime) -> AuditRecord:
    """The record of a call whose service ended before it could write one: what it did, and that nobody was told."""
    return AuditRecord(
        ticket_cbss=str(change.ticket_cbss),
        customer_ticket=change.customer_ticket,
        timestamp_receive=timestamp(change.changed_at),
        timestamp_reply=timestamp(now),
        service=service,
        application_urn=change.application_urn,
        cbe_number=change.cbe_number,
        operation=change.operation,
        customer=change.customer,
        legal_context=change.legal_context,
        inscription_contexts=(change.inscription_context,),
        persons=(keys.seal(change.current, change.ticket_cbss, current=True),),
        outcome=AuditedOutcome(value=UNANSWERED),
    )


def contexts_of(request: Request | None) -> tuple[str, ...]:
    """The contexts that a request names, as its record does."""
    return () if request is None else tuple(map(str, contexts_named(request)))


def persons_of(
    request: Request | None, ending: Result | CbssInscriptionError | None, ticket: UUID, keys: AuditKeys
) -> Iterator[AuditedPerson]:
    """The numbers asked about, the current ones answered about, and those that were told, each once."""
    match request:
        case ConsultInscriptions() | InsertInscription() | UpdateInscription() | DeleteInscription():
            answer = ending.ssin if isinstance(ending, InscriptionResult) else None
            current = None if answer is None else answer.current.digits
            yield keys.seal(request.ssin, ticket, asked=True, current=current == request.ssin)
            if current not in (None, request.ssin):
                yield keys.seal(current, ticket, current=True)
        case SearchPersonBySsin():
            for digits in dict.fromkeys(request.ssins):
                yield keys.seal(digits, ticket, asked=True)
        case SearchPersonPhonetically() if isinstance(ending, PersonsResult):
            for chain in ending.chains:
                for person in chain:
                    yield keys.seal(person.ssin.digits, ticket)
        case _:
            return


def _mutations(request: Request | None, ending: Result | CbssInscriptionError | None) -> tuple[int, int] | None:
    if not isinstance(request, ConsultMutations) or not isinstance(ending, MutationsResult):
        return None
    return request.after_sequence_number, ending.last_sequence_number


def outcome_of(ending: Result | CbssInscriptionError | None) -> AuditedOutcome:
    """How a call ended, as its record says it."""
    match ending:
        case HealthCheckResult():
            return AuditedOutcome(value=ending.health.value)
        case WriteResult():
            told = (*ending.validation_errors, *ending.anomalies)
            anomalies = tuple([anomaly.code for anomaly in told])
            return AuditedOutcome(value=ending.status.value, code=ending.status.code, anomalies=anomalies)
        case ConsultResult() | MutationsResult() | PersonsResult():
            return AuditedOutcome(value=ending.status.value, code=ending.status.code)
        case MessageRejected() | ServiceUnavailable():
            return AuditedOutcome(value=FAULT, code=ending.code, reason=ending.reason)
        case _:
            return AuditedOutcome(value=FAULT, reason=DEFECT)
