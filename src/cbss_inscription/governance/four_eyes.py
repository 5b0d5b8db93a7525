"""Changes with four eyes: one operator proposes, another decides, and every version stays (SEC-57).

A *proposal* is a list of changes, each an entry that is put or withdrawn, with a reason. A *decision* approves or
rejects it; an approval makes the next version of the whole. Both are texts, signed by those who made them
(`signatures`), and the texts are all there is: the record of a register is its proposals with their decisions, and
`replay` makes the state of any version out of them. Nothing in it is believed. Each approval is checked again as when
it was given: who signed, that they are two, that the changes were theirs to make, that nothing lay in between; and each
names the digest of the one before it, down to the first, whose digest, the *anchor*, stands in the settings of those
who read the record. So a row that somebody changed, added, or took away from among others is noticed. What a record
cannot show is that its end was cut off: whoever has seen a later version knows.

The first version is the founders': two operators of the register enrol themselves, and may bring a first set of rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import msgspec

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.entries import (
    Entry,
    EntryKey,
    EntryKind,
    GovernedEntry,
    GovernedState,
    Operator,
    content_of,
    digest_of_content,
    entries_by_key,
    key_of,
    read_entry,
)
from cbss_inscription.governance.signatures import OperatorKey, Signed, canonical, digest_of, is_signed_by
from cbss_inscription.governance.tenants import Tenant

_Record = TypeVar("_Record", bound=msgspec.Struct)
CHANGES_MAX: Final = 10_000
"""Changes of one proposal: a first set of rules must fit."""
REASON_CHARACTERS_MAX: Final = 1_000
"""Characters of a reason or a remark."""

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_CHARACTERS_MAX)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry that is put (`put`: its content) or withdrawn (None)."""

    kind: EntryKind
    name: str
    put: dict[str, Any] | None
    was: str | None
    """The digest of the content that the entry had when this was proposed; None when it was not there."""

    @property
    def key(self) -> EntryKey:
        """Which entry."""
        return EntryKey(self.kind, self.name)


class Proposal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one operator wants to be changed, and why."""

    register: str
    number: Annotated[int, msgspec.Meta(ge=1)]
    proposed_by: str
    proposed_at: Moment
    reason: Reason
    changes: Annotated[tuple[Change, ...], msgspec.Meta(min_length=1, max_length=CHANGES_MAX)]


class Verdict(StrEnum):
    """How a proposal was decided."""

    APPROVED = "approved"
    REJECTED = "rejected"


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What another operator says to a proposal, and which version was in force then."""

    register: str
    proposal: Annotated[int, msgspec.Meta(ge=1)]
    proposal_digest: str
    verdict: Verdict
    decided_by: str
    decided_at: Moment
    remark: Annotated[str, msgspec.Meta(max_length=REASON_CHARACTERS_MAX)] | None = None
    in_force: Annotated[int, msgspec.Meta(ge=0)]
    in_force_digest: str
    """Of the decision that made that version; empty before the first."""

    @property
    def version(self) -> int | None:
        """The version that it makes; None when it rejects."""
        return self.in_force + 1 if self.verdict is Verdict.APPROVED else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """A decision as it is kept: columns to find it by, the text, the signature on it."""

    decided_by: str
    version: int | None
    text: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedProposal:
    """A proposal as it is kept, with its decision when it has one."""

    number: int
    proposed_by: str
    text: bytes
    signature: bytes
    decision: RecordedDecision | None = None

    @property
    def digest(self) -> str:
        """See `digest_of`."""
        return digest_of(Signed.PROPOSAL, self.text)


class RefusalReason(StrEnum):
    """Why a proposal or a decision is not taken."""

    UNKNOWN_OPERATOR = "unknown-operator"
    SAME_OPERATOR = "same-operator"
    OTHER_TENANT = "other-tenant"
    STALE = "stale"
    DECIDED = "decided"
    NO_CHANGE = "no-change"
    INVALID = "invalid"
    PROPOSER = "proposer"
    BEGUN = "begun"
    OTHER_TEXT = "other-text"

    @property
    def sentence(self) -> str:
        """It in words."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    RefusalReason.UNKNOWN_OPERATOR: "The key is no operator's.",
    RefusalReason.SAME_OPERATOR: "Who proposed it cannot decide it.",
    RefusalReason.OTHER_TENANT: "The operator has no say over this entry.",
    RefusalReason.STALE: "The entry has changed since this was proposed: propose it anew.",
    RefusalReason.DECIDED: "The proposal is decided already.",
    RefusalReason.NO_CHANGE: "Nothing would change.",
    RefusalReason.INVALID: "The rules would contradict themselves.",
    RefusalReason.PROPOSER: "Who proposed it is no operator any more, or has another key: propose it anew.",
    RefusalReason.BEGUN: "The register is governed already.",
    RefusalReason.OTHER_TEXT: "The proposal is not the one that was looked at: look again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was done, for this reason; `about` says of what, where there is something to say."""

    reason: RefusalReason
    about: str | None = None


# -- proposing and deciding --------------------------------------------------------------------------------------------


def changes_to(
    state: GovernedState, put: Iterable[Entry], withdrawn: Iterable[EntryKey] = ()
) -> tuple[Change, ...] | Refused:
    """The changes that put these entries into a state and withdraw those; what is there already is left out.

    Raises ValueError for an entry that is named twice or cannot be named.
    """
    wanted = entries_by_key(put)
    changes = []
    for key, entry in wanted.items():
        content = content_of(entry)
        was = state.digest_in(key)
        if was != digest_of_content(content):
            changes.append(Change(kind=key.kind, name=key.name, put=content, was=was))
    for key in dict.fromkeys(withdrawn):
        if key in wanted:
            raise ValueError(f"{key} cannot be put and withdrawn at once")
        if key not in state.entries:
            return Refused(reason=RefusalReason.NO_CHANGE, about=f"there is no {key}")
        changes.append(Change(kind=key.kind, name=key.name, put=None, was=state.digest_in(key)))
    return tuple(changes) if changes else Refused(reason=RefusalReason.NO_CHANGE)


def propose(
    state: GovernedState, changes: Sequence[Change], *, number: int, reason: str, key: OperatorKey, now: datetime
) -> RecordedProposal | Refused:
    """The proposal, signed, when its operator may make it and the state would be whole after it.

    Raises ValueError for a reason or a number of changes that is beyond its limit, and for what no entry can say.
    """
    operator = state.operator_of_key(key.public_key)
    if operator is None:
        return Refused(reason=RefusalReason.UNKNOWN_OPERATOR)
    refused = _refusal_of_changes(state, changes, (operator,)) or _refusal_of_state(_changed(state, changes))
    if refused is not None:
        return refused
    proposal = Proposal(
        register=state.register,
        number=number,
        proposed_by=operator.name,
        proposed_at=now,
        reason=reason,
        changes=tuple(changes),
    )
    return _recorded_proposal(proposal, key)


def decide(
    state: GovernedState,
    proposed: RecordedProposal,
    verdict: Verdict,
    *,
    remark: str | None = None,
    key: OperatorKey,
    now: datetime,
) -> RecordedDecision | Refused:
    """The decision, signed, when its operator may make it; an approval, when what was proposed still holds.

    Raises `UsageError` when the proposal is not what its row says.
    """
    operator = state.operator_of_key(key.public_key)
    if operator is None:
        return Refused(reason=RefusalReason.UNKNOWN_OPERATOR)
    if proposed.decision is not None:
        return Refused(reason=RefusalReason.DECIDED)
    proposal = read_proposal(proposed)
    if operator.name == proposal.proposed_by:
        return Refused(reason=RefusalReason.SAME_OPERATOR)
    proposer = state.operator(proposal.proposed_by)
    if verdict is Verdict.APPROVED:
        if proposer is None or not _has_signed(proposer, proposed):
            return Refused(reason=RefusalReason.PROPOSER, about=proposal.proposed_by)
        refused = _refusal_of_changes(state, proposal.changes, (proposer, operator)) or _refusal_of_state(
            _changed(state, proposal.changes)
        )
    else:
        refused = _refusal_of_rights(state, proposal.changes, (operator,))
    if refused is not None:
        return refused
    return _recorded_decision(state, proposed, verdict, operator, remark=remark, key=key, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Founder:
    """One of the two operators who begin, with the key that proves it."""

    name: str
    key: OperatorKey


def found(
    entries: Iterable[Entry], *, register: str, first: Founder, second: Founder, reason: str, now: datetime
) -> RecordedProposal | Refused:
    """The first proposal, with its approval: the first founder's, approved by the second; `entries` come with it.

    Raises ValueError for an entry that cannot be named.
    """
    if first.name == second.name:
        return Refused(reason=RefusalReason.SAME_OPERATOR)
    operators = [Operator(name=founder.name, public_key=founder.key.public_key) for founder in (first, second)]
    nothing = GovernedState(register=register)
    changes = changes_to(nothing, [*operators, *entries])
    if isinstance(changes, Refused):
        return changes
    refused = _refusal_of_state(_changed(nothing, changes))
    if refused is not None:
        return refused
    proposal = Proposal(
        register=register, number=1, proposed_by=first.name, proposed_at=now, reason=reason, changes=changes
    )
    proposed = _recorded_proposal(proposal, first.key)
    decision = _recorded_decision(
        nothing, proposed, Verdict.APPROVED, operators[1], remark=None, key=second.key, now=now
    )
    return RecordedProposal(
        number=1, proposed_by=first.name, text=proposed.text, signature=proposed.signature, decision=decision
    )


def _recorded_proposal(proposal: Proposal, key: OperatorKey) -> RecordedProposal:
    text = _written(proposal)
    return RecordedProposal(
        number=proposal.number,
        proposed_by=proposal.proposed_by,
        text=text,
        signature=key.sign(Signed.PROPOSAL, text),
    )


def _recorded_decision(
    state: GovernedState,
    proposed: RecordedProposal,
    verdict: Verdict,
    operator: Operator,
    *,
    remark: str | None,
    key: OperatorKey,
    now: datetime,
) -> RecordedDecision:
    decision = Decision(
        register=state.register,
        proposal=proposed.number,
        proposal_digest=proposed.digest,
        verdict=verdict,
        decided_by=operator.name,
        decided_at=now,
        remark=remark,
        in_force=state.version,
        in_force_digest=state.digest,
    )
    text = _written(decision)
    return RecordedDecision(
        decided_by=operator.name, version=decision.version, text=text, signature=key.sign(Signed.DECISION, text)
    )


def _written(value: Proposal | Decision) -> bytes:
    """The canonical text. Raises ValueError when it could not be read again: a reason too long, too many changes."""
    text = canonical(value)
    try:
        msgspec.json.decode(text, type=type(value))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    return text


def _refusal_of_changes(
    state: GovernedState, changes: Sequence[Change], operators: Sequence[Operator]
) -> Refused | None:
    for change in changes:
        if state.digest_in(change.key) != change.was:
            return Refused(reason=RefusalReason.STALE, about=str(change.key))
    return _refusal_of_rights(state, changes, operators)


def _refusal_of_rights(
    state: GovernedState, changes: Sequence[Change], operators: Sequence[Operator]
) -> Refused | None:
    """Why one of the operators has no say over one of the changes: over the entry as it was, or as it would be."""
    for change in changes:
        former = state.entries.get(change.key)
        touched = [] if former is None else [former.entry]
        if change.put is not None:
            touched.append(read_entry(change.kind, change.put))
        if not all(_may_touch(operator, entry) for operator in operators for entry in touched):
            return Refused(reason=RefusalReason.OTHER_TENANT, about=str(change.key))
    return None


def _may_touch(operator: Operator, entry: Entry) -> bool:
    """The register's own operators may everything; a tenant's, what is of that tenant, but never what a tenant is."""
    if operator.tenant is None:
        return True
    return not isinstance(entry, Tenant) and entry.tenant == operator.tenant


def _refusal_of_state(state: GovernedState) -> Refused | None:
    try:
        state.check()
    except ValueError as error:
        return Refused(reason=RefusalReason.INVALID, about=str(error))
    return None


def _changed(state: GovernedState, changes: Iterable[Change]) -> GovernedState:
    entries = dict(state.entries)
    _apply(entries, changes)
    return replace(state, entries=entries)


def _apply(entries: dict[EntryKey, GovernedEntry], changes: Iterable[Change]) -> None:
    """Nothing; the changes are made in `entries`: an entry that was there keeps its place. Raises ValueError."""
    for change in changes:
        if change.put is None:
            del entries[change.key]
            continue
        entry = read_entry(change.kind, change.put)
        if key_of(entry) != change.key:
            raise ValueError(f"what is put as {change.key} is {key_of(entry)}")
        entries[change.key] = GovernedEntry(entry=entry, content=change.put)


# -- reading the record ------------------------------------------------------------------------------------------------


def read_proposal(proposed: RecordedProposal) -> Proposal:
    """The proposal that a row keeps. Raises `UsageError` when text and columns do not agree."""
    proposal = _read(Proposal, proposed.text, f"proposal {proposed.number}")
    if (proposal.number, proposal.proposed_by) != (proposed.number, proposed.proposed_by):
        raise _broken(f"proposal {proposed.number}", "its columns are not what was signed")
    return proposal


def read_decision(proposed: RecordedProposal) -> Decision | None:
    """The decision that a row keeps; None when there is none yet. Raises `UsageError` as `read_proposal` does."""
    if proposed.decision is None:
        return None
    place = f"the decision on proposal {proposed.number}"
    decision = _read(Decision, proposed.decision.text, place)
    kept = (proposed.number, proposed.decision.decided_by, proposed.decision.version)
    if (decision.proposal, decision.decided_by, decision.version) != kept:
        raise _broken(place, "its columns are not what was signed")
    return decision


def _read(kind: type[_Record], text: bytes, place: str) -> _Record:
    try:
        value = msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError:
        raise _broken(place, "its text cannot be read") from None
    if canonical(value) != text:
        raise _broken(place, "its text is not in its canonical form")
    return value


def replay(record: Sequence[RecordedProposal], *, anchor: str | None = None, until: int | None = None) -> GovernedState:
    """The state that the approvals of a record leave: at its end, or at the version `until`.

    Raises `UsageError`, naming the version and what is wrong with it, as soon as one would not be given again, or
    does not follow the one before; and when the first one is not the `anchor`.
    """
    approved = [
        (proposed.decision.version, proposed)
        for proposed in record
        if proposed.decision is not None and proposed.decision.version is not None
    ]
    approved.sort(key=lambda numbered: numbered[0])
    state = GovernedState()
    entries: dict[EntryKey, GovernedEntry] = {}
    for version, proposed in approved:
        if until is not None and version > until:
            break
        place = f"version {version}"
        if version != state.version + 1:
            raise _broken(place, f"version {state.version + 1} is missing")
        state = _next(state, entries, proposed, place)
        if version == 1 and anchor is not None and state.digest != anchor:
            raise _broken(place, "it is not the one that the anchor in the settings names")
    try:
        if state.version:
            state.check()
    except ValueError as error:
        raise _broken(f"version {state.version}", str(error)) from None
    return state


def discrepancies(record: Sequence[RecordedProposal], *, anchor: str | None = None) -> tuple[str, ...]:
    """What is wrong with a record, in sentences; nothing when it is whole.

    `replay` says what is wrong with the approvals. What was rejected or is not decided yet made no version: of these
    the signatures are checked against every key that the names in them have had.
    """
    found = []
    try:
        replay(record, anchor=anchor)
    except UsageError as error:
        found.append(str(error))
    keys: dict[str, set[str]] = {}
    registers = set()
    for place, proposed in enumerate(sorted(record, key=lambda proposed: proposed.number), start=1):
        try:
            proposal = read_proposal(proposed)
            registers.add(proposal.register)
            for change in proposal.changes:
                if change.kind is EntryKind.OPERATOR and change.put is not None:
                    keys.setdefault(change.name, set()).add(str(change.put.get("public_key")))
            if proposed.number != place:
                raise _broken(f"proposal {place}", "it is missing")
            _check_signatures(proposed, keys)
        except UsageError as error:
            found.append(str(error))
            break
    if len(registers) > 1:
        found.append(str(_broken("the record", "it is of several registers")))
    return tuple(dict.fromkeys(found))


def _check_signatures(proposed: RecordedProposal, keys: Mapping[str, Collection[str]]) -> None:
    """Nothing. Raises `UsageError` for what nobody of the name has signed."""
    if not _signed_by_any(keys, proposed.proposed_by, Signed.PROPOSAL, proposed.text, proposed.signature):
        raise _broken(f"proposal {proposed.number}", "its signature is not the proposer's")
    decision = read_decision(proposed)
    if decision is None or proposed.decision is None:
        return
    place = f"the decision on proposal {proposed.number}"
    if decision.proposal_digest != proposed.digest:
        raise _broken(place, "it is on another text")
    if decision.decided_by == proposed.proposed_by:
        raise _broken(place, "it is the proposer's own")
    recorded = proposed.decision
    if not _signed_by_any(keys, recorded.decided_by, Signed.DECISION, recorded.text, recorded.signature):
        raise _broken(place, "its signature is not the decider's")


def _signed_by_any(keys: Mapping[str, Collection[str]], name: str, kind: Signed, text: bytes, signature: bytes) -> bool:
    return any(is_signed_by(public_key, kind, text, signature) for public_key in keys.get(name, ()))


def _next(
    state: GovernedState, entries: dict[EntryKey, GovernedEntry], proposed: RecordedProposal, place: str
) -> GovernedState:
    """The state after an approval, checked as when it was given; `entries` are those of `state`, and change."""
    proposal, decision, recorded = read_proposal(proposed), read_decision(proposed), proposed.decision
    assert decision is not None
    assert recorded is not None
    register = state.register or proposal.register
    if (proposal.register, decision.register) != (register, register):
        raise _broken(place, "it was signed for another register")
    if decision.proposal_digest != proposed.digest:
        raise _broken(place, "what was approved is another text")
    if (decision.in_force, decision.in_force_digest) != (state.version, state.digest):
        raise _broken(place, "it does not follow the one before it")
    try:
        signers = _changed(state, proposal.changes) if state.version == 0 else state
        proposer, decider = signers.operator(proposal.proposed_by), signers.operator(decision.decided_by)
        if proposer is None or not _has_signed(proposer, proposed):
            raise _broken(place, "its proposal is not signed by an operator")
        if decider is None or not is_signed_by(decider.public_key, Signed.DECISION, recorded.text, recorded.signature):
            raise _broken(place, "its approval is not signed by an operator")
        if proposer.name == decider.name:
            raise _broken(place, "who proposed it approved it")
        refused = _refusal_of_changes(state, proposal.changes, (proposer, decider))
        if refused is not None:
            raise _broken(place, f"{refused.about}: {refused.reason.sentence}")
        _apply(entries, proposal.changes)
    except (ValueError, KeyError) as error:
        raise _broken(place, str(error)) from None
    return GovernedState(
        register=register,
        digests=(*state.digests, digest_of(Signed.DECISION, recorded.text)),
        entries=entries,
    )


def _has_signed(operator: Operator, proposed: RecordedProposal) -> bool:
    return is_signed_by(operator.public_key, Signed.PROPOSAL, proposed.text, proposed.signature)


def _broken(place: str, what: str) -> UsageError:
    return UsageError(f"the record of the register is broken: {place}: {what}")
