"""What a door would do with a message, told step by step without doing it: security, then contract and access (SEC-88).

The functions are those of the pipeline, in its order. Replay is the one thing that only a running service knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from cbss_inscription.contract.door import Door
from cbss_inscription.contract.read import read_request
from cbss_inscription.contract.schema import Schema
from cbss_inscription.domain.errors import MessageRejected, NotAuthorized, SchemaViolation
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.requests import HealthCheck, Operation, Request, operation_of
from cbss_inscription.domain.results import Status
from cbss_inscription.envelope.soap11 import read_payload
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.security import explain as security
from cbss_inscription.security.explain import Explanation, Fact, Step, Verdict, fact
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.security.verify import VerifiedMessage
from cbss_inscription.soap.addresses import DoorAddresses
from cbss_inscription.soap.authentication import caller_of
from cbss_inscription.soap.pipeline import check_action, check_to
from cbss_inscription.soap.remedies import ACCEPTED, remedy_of
from cbss_inscription.usecases.authorization import permit

_NO_TICKET = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Every step, and in the end the word of the service's log and one sentence on what to change."""

    steps: tuple[Step, ...]
    code: str | None
    """The SOA code of the fault that the caller would get; None when there would be none."""
    reason: str | None
    """The word in the service's log."""
    remedy: str
    """What to change, in one sentence."""


@dataclass(slots=True)
class _Walk:
    """The steps after the security, as far as they come."""

    verified: VerifiedMessage
    door: Door
    schema: Schema
    rules: AccessRules | None
    soap_action: str | None
    addresses: DoorAddresses | None
    now: datetime
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)

    def take(self) -> None:
        """Returns when the service would go to work; raises MessageRejected as the pipeline would."""
        payload = read_payload(self.verified.canonical_body)
        self._tell("content", "element", payload.element.tag)
        self._tell("content", "door", f"{self.door} ({self.door.path})")
        self.schema.validate(payload.element)
        request = read_request(payload.element)
        operation = operation_of(request)
        self._tell("content", "operation", operation)
        self.passed.append("content")
        self._tell("action", "expected", self.door.soap_action(operation))
        self._tell("action", "SOAPAction", self.soap_action or "not given here")
        self._tell("action", "wsa:Action", self.verified.addressing.action or "none")
        to = self.verified.addressing.to
        self._tell("action", "wsa:To", "none" if to is None else to)
        for text in () if self.addresses is None else self.addresses.texts:
            self._tell("action", "address of the service", text)
        check_action(self.door, operation, self.soap_action, self.verified.addressing.action)
        if self.addresses is not None:
            check_to(self.addresses, to)
        self.passed.append("action")
        if self.rules is not None:
            self._admit(request, operation, self.rules)
            self.passed.append("access")

    def _admit(self, request: Request, operation: Operation, rules: AccessRules) -> None:
        caller = caller_of(self.verified.caller)
        if isinstance(request, HealthCheck):
            if not rules.admits(caller, operation, today=self.now.date()):
                raise NotAuthorized("no-access-rule")
            return
        customer = request.information_customer.customer_identification
        self._tell("access", "customer", customer.key)
        exchange = Exchange(ticket_cbss=_NO_TICKET, timestamp_receive=self.now, caller=caller)
        permission = permit(request, exchange, rules)
        if isinstance(permission, Status):
            self._tell("access", "answer", f"{permission.code}: an outcome, not a fault")

    def _tell(self, step: str, name: str, value: object) -> None:
        self.facts.setdefault(step, []).append(fact(name, value))


def explain(
    message: bytes,
    *,
    charset: str | None,
    soap_action: str | None,
    policy: SecurityPolicy,
    trust: TrustStore | None,
    schema: Schema,
    rules: AccessRules | None,
    addresses: DoorAddresses | None,
    now: datetime,
) -> Told:
    """What the door of `schema` would do with the message at `now`, as `SecuredDoor` does it.

    Without `trust` the certificate is not checked, without `rules` the access, without `addresses` what wsa:To says.
    Raises nothing for a message.
    """
    seen = security.explain(message, charset=charset, policy=policy, trust=trust, now=now)
    steps, refusal = list(seen.steps), seen.refusal
    steps.append(_replay_step(seen))
    walk: _Walk | None = None
    refused_later: MessageRejected | None = None
    if seen.verified is not None:
        walk = _Walk(
            verified=seen.verified,
            door=schema.door,
            schema=schema,
            rules=rules,
            soap_action=soap_action,
            addresses=addresses,
            now=now,
        )
        try:
            walk.take()
        except MessageRejected as error:
            refused_later = error
            if isinstance(error, SchemaViolation):
                walk.facts.setdefault("content", []).extend(fact("place and rule", path) for path in error.paths)
    steps += _later_steps(walk, refused_later, has_rules=rules is not None)
    refusal = refusal or refused_later
    if refusal is None:
        return Told(steps=tuple(steps), code=None, reason=None, remedy=ACCEPTED)
    return Told(
        steps=tuple(steps), code=refusal.code, reason=refusal.reason, remedy=remedy_of(refusal.code, refusal.reason)
    )


def _replay_step(seen: Explanation) -> Step:
    if seen.verified is None:
        return Step(name="replay", verdict=Verdict.NOT_REACHED)
    until = fact("remembered until", seen.verified.replay_until.isoformat(sep=" "))
    return Step(
        name="replay",
        verdict=Verdict.NOT_CHECKED,
        facts=(until, fact("only the service knows", "whether it has seen this message before")),
    )


def _later_steps(walk: _Walk | None, refusal: MessageRejected | None, *, has_rules: bool) -> list[Step]:
    steps: list[Step] = []
    refused = walk is None
    for name in ("content", "action", "access"):
        reason = None
        if walk is not None and name in walk.passed:
            verdict = Verdict.OK
        elif refused:
            verdict = Verdict.NOT_REACHED
        elif refusal is not None:
            verdict, refused, reason = Verdict.REFUSED, True, refusal.reason
        else:
            verdict = Verdict.NOT_CHECKED
        facts = tuple(walk.facts.get(name, ())) if walk is not None else ()
        if name == "access" and not has_rules:
            facts = (fact("only the service knows", "its access rules and permissions; --settings FILE names them"),)
        steps.append(Step(name=name, verdict=verdict, facts=facts, reason=reason))
    return steps
