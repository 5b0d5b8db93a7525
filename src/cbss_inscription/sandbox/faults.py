"""Which requests are disturbed, and how: rules, and a decision that the seed alone makes reproducible.

Pure: what a request is, is given; the only chance is a digest of the seed, the rule's name and the ordinal of the
request among those that the rule matches. The n-th of them has the same fate in every run, whoever sends it.
Everything here is ours [D].
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, Protocol

import msgspec

from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import (
    BodyMissing,
    ContentViolation,
    MalformedMessage,
    MessageRejected,
    NotAuthenticated,
    NotAuthorized,
    NotSoap,
    SchemaViolation,
    ServiceUnavailable,
    TemporarilyUnavailable,
    UsageError,
    WsdlViolation,
    WsiViolation,
)
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode, Severity
from cbss_inscription.domain.requests import Operation

FAULT_HEADER: Final = "x-cbss-fault"
"""The HTTP header by which a caller of a sandbox orders what is to go wrong with its own request."""
RULES_MAX: Final = 64
"""Rules of one service, those of its settings among them."""
DELAY_SECONDS_MAX: Final = 120.0
"""Longer than any caller waits (`ANSWER_SECONDS_MOST`), so that each of them can be made to give up."""
TIMES_MAX: Final = 1_000_000
"""How often a rule may be told to strike at the most."""
WRONG_TICKET: Final = "00000000-0000-4000-8000-000000000bad"
"""The ticket that a reply bears instead of the caller's own."""


class FaultKind(StrEnum):
    """What goes wrong."""

    DELAY = "delay"
    """The reply takes longer."""
    DROP = "drop"
    """The connection is closed without a reply."""
    HALF_REPLY = "half-reply"
    """The headers with the whole length, half of the body, then the connection is closed."""
    WRONG_TICKET = "wrong-ticket"
    """The reply bears another ticket than the request."""
    CODE = "code"
    """The answer is this code of the outcome catalogue."""


class Moment(StrEnum):
    """When a delay or a drop strikes: before the request is looked at, or after it was carried out."""

    BEFORE = "before"
    AFTER = "after"
    """What the caller waits for in vain is done: the outcome that it cannot know."""


class _Place(StrEnum):
    """Where a code stands in what a caller gets."""

    FAULT = "fault"
    REFUSAL = "refusal"
    NO_DATA = "no-data"
    NOTE = "note"
    """Beside the answer to a declaration that is carried out."""


class InjectedDefect(Exception):
    """A failure of the service that nobody foresaw, on order: SOA-00001, and MSG00003 at KSZ's doors."""


_ERRORS: Final[tuple[type[MessageRejected | ServiceUnavailable], ...]] = (
    MalformedMessage,
    NotSoap,
    BodyMissing,
    WsiViolation,
    WsdlViolation,
    SchemaViolation,
    ContentViolation,
    NotAuthenticated,
    NotAuthorized,
    ServiceUnavailable,
    TemporarilyUnavailable,
)
_FAULTS: Final = {OutcomeCode(error.code): error for error in _ERRORS}
_DEFECTS: Final = frozenset({OutcomeCode.SERVICE_ERROR, OutcomeCode.INTERNAL_ERROR})
_READING: Final = frozenset(
    {
        Operation.CONSULT_INSCRIPTIONS,
        Operation.CONSULT_MUTATIONS,
        Operation.SEARCH_PERSON_BY_SSIN,
        Operation.SEARCH_PERSON_PHONETICALLY,
    }
)
_WRITING: Final = frozenset({Operation.INSERT_INSCRIPTION, Operation.UPDATE_INSCRIPTION, Operation.DELETE_INSCRIPTION})
_OPERATIONS: Final[dict[_Place, frozenset[Operation]]] = {
    _Place.FAULT: frozenset(Operation),
    _Place.REFUSAL: _READING | _WRITING,
    _Place.NO_DATA: _READING,
    _Place.NOTE: _WRITING,
}


def _place_of(code: OutcomeCode) -> _Place:
    entry = CATALOGUE[code]
    if entry.fault_side is not None:
        return _Place.FAULT
    if entry.severity is Severity.FATAL:
        return _Place.REFUSAL
    return _Place.NO_DATA if code is OutcomeCode.NO_DATA else _Place.NOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """What a rule can ask of a request; nothing of it was verified. The repr shows no number."""

    door: Door
    operation: Operation | None = None
    """None for a message that asks for nothing that the door has."""
    ssins: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What goes wrong with one request."""

    kind: FaultKind
    moment: Moment = Moment.BEFORE
    seconds: float = 0.0
    code: OutcomeCode | None = None
    rule: str = ""
    """The name of the rule that it comes from; empty when the request's own header ordered it."""

    @property
    def error(self) -> Exception | None:
        """What a station would have raised for the code; None for a code that is an answer."""
        if self.code is None or _place_of(self.code) is not _Place.FAULT:
            return None
        return InjectedDefect() if self.code in _DEFECTS else _FAULTS[self.code]("injected")

    @property
    def is_refusal(self) -> bool:
        """Whether the code is the answer itself, and nothing is carried out."""
        return self.code is not None and _place_of(self.code) in {_Place.REFUSAL, _Place.NO_DATA}

    @property
    def is_note(self) -> bool:
        """Whether the code stands beside the answer to a declaration that is carried out."""
        return self.code is not None and _place_of(self.code) is _Place.NOTE

    def can_strike(self, operation: Operation | None) -> bool:
        """Whether an answer to the operation has a place for it."""
        return self.code is None or operation in _OPERATIONS[_place_of(self.code)]


class FaultRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which requests are disturbed, how many of them, and how. Raises ValueError for a rule that says two things."""

    name: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,63}\Z")]
    fault: FaultKind
    door: Door | None = None
    """None for each of the service's doors; so are all criteria."""
    operations: frozenset[Operation] = frozenset()
    ssin: Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{11}\Z")] | None = None
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Which part of the requests that match."""
    times: Annotated[int, msgspec.Meta(ge=1, le=TIMES_MAX)] | None = None
    """How often at the most; None for always."""
    seconds: tuple[float, float] | None = None
    """Of a delay: the shortest and the longest."""
    moment: Moment = Moment.BEFORE
    """Of a delay or a drop."""
    code: OutcomeCode | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.fault is FaultKind.DELAY):
            raise ValueError("a delay, and nothing else, has seconds")
        if self.seconds is not None and not 0.0 <= self.seconds[0] <= self.seconds[1] <= DELAY_SECONDS_MAX:
            raise ValueError(f"seconds are the shortest and the longest, 0 to {DELAY_SECONDS_MAX:.0f}")
        if (self.code is None) == (self.fault is FaultKind.CODE):
            raise ValueError("the fault 'code', and no other, has a code")
        if self.code is OutcomeCode.SUCCESS:
            raise ValueError(f"{self.code} is no fault")
        if self.moment is Moment.AFTER and self.fault not in {FaultKind.DELAY, FaultKind.DROP}:
            raise ValueError("a moment is of a delay or a drop")

    def matches(self, facts: RequestFacts) -> bool:
        """Whether the rule is about such a request."""
        return (
            self.door in {None, facts.door}
            and (not self.operations or facts.operation in self.operations)
            and (self.ssin is None or self.ssin in facts.ssins)
            and Disturbance(kind=self.fault, code=self.code).can_strike(facts.operation)
        )

    def drawn(self, *, seed: int, ordinal: int) -> Disturbance | None:
        """What befalls the request with this ordinal, from 1 on, among those that match; None for nothing."""
        digest = hashlib.sha256(f"{seed}:{self.name}:{ordinal}".encode()).digest()
        lot, length = (int.from_bytes(part) / 2**64 for part in (digest[:8], digest[8:16]))
        if lot >= self.share:
            return None
        least, most = self.seconds or (0.0, 0.0)
        return Disturbance(
            kind=self.fault,
            moment=self.moment,
            seconds=least + (most - least) * length,
            code=self.code,
            rule=self.name,
        )


class Tallies(Protocol):
    """How many requests each rule has met, all workers of the service together."""

    def matched(self, rule: str) -> int:
        """The ordinal of one more request that the rule matches."""
        ...

    def struck(self, rule: str) -> int:
        """The ordinal of one more request that the rule disturbs."""
        ...


def decide(rules: Iterable[FaultRule], facts: RequestFacts, *, seed: int, tallies: Tallies) -> Disturbance | None:
    """What goes wrong with the request: by the first rule that matches it and whose lot falls on it."""
    for rule in rules:
        if not rule.matches(facts):
            continue
        disturbance = rule.drawn(seed=seed, ordinal=tallies.matched(rule.name))
        if disturbance is None:
            continue
        struck = tallies.struck(rule.name)
        if rule.times is None or struck <= rule.times:
            return disturbance
    return None


def check_rules(rules: Sequence[FaultRule]) -> None:
    """Nothing, when the rules can stand together. Raises `UsageError`."""
    if len(rules) > RULES_MAX:
        raise UsageError(f"a service has at most {RULES_MAX} rules of faults")
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two rules of faults have the name {name}")


def read_order(text: str) -> Disturbance:
    """What the header of a request orders: `delay 0.5`, `delay 0.5 after`, `drop`, `drop after`, `half-reply`,
    `wrong-ticket`, `code CBI00901`. Raises `UsageError`.
    """
    words = text.split()
    try:
        kind = FaultKind(words[0])
        arguments = words[1:]
        has_argument = kind in {FaultKind.DELAY, FaultKind.CODE}
        argument = arguments.pop(0) if has_argument else ""
        seconds = float(argument) if kind is FaultKind.DELAY else None
        rule = FaultRule(
            name="header",
            fault=kind,
            seconds=None if seconds is None else (seconds, seconds),
            code=OutcomeCode(argument) if kind is FaultKind.CODE else None,
            moment=Moment(*arguments) if arguments else Moment.BEFORE,
        )
    except (ValueError, TypeError, IndexError):
        raise UsageError(f"{FAULT_HEADER} orders nothing that can go wrong") from None
    return Disturbance(kind=rule.fault, moment=rule.moment, seconds=seconds or 0.0, code=rule.code)
