"""Begin, propose, decide: what an operator does to the rules, each as one step that nobody comes between (SEC-57)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from cbss_inscription.governance.entries import Entry, GovernedState
from cbss_inscription.governance.four_eyes import (
    Change,
    Founder,
    RecordedDecision,
    RecordedProposal,
    RefusalReason,
    Refused,
    Verdict,
    decide,
    found,
    propose,
    replay,
)
from cbss_inscription.governance.signatures import OperatorKey


class OpenRecord(Protocol):
    """The record of a register, while nobody else writes it."""

    def read(self) -> tuple[RecordedProposal, ...]:
        """Every proposal, with its decision."""
        ...

    def add_proposal(self, proposed: RecordedProposal) -> None:
        """Nothing; the proposal, without its decision, is in the record."""
        ...

    def add_decision(self, number: int, decision: RecordedDecision) -> None:
        """Nothing; the decision on the proposal of this number is in the record."""
        ...


class GovernanceRecord(Protocol):
    """Where the record of a register is kept."""

    def read(self) -> tuple[RecordedProposal, ...]:
        """Every proposal, with its decision, as they are at one moment."""
        ...

    def opened(self) -> AbstractContextManager[OpenRecord]:
        """The record to be written; what was written is there when the block ends in order, and else nothing of it."""
        ...


def begin(
    record: GovernanceRecord,
    entries: Iterable[Entry],
    *,
    register: str,
    first: Founder,
    second: Founder,
    reason: str,
    now: datetime,
) -> GovernedState | Refused:
    """The first version: the founders, and what they bring. Refused when there is one already."""
    with record.opened() as opened:
        if opened.read():
            return Refused(reason=RefusalReason.BEGUN)
        founded = found(entries, register=register, first=first, second=second, reason=reason, now=now)
        if isinstance(founded, Refused):
            return founded
        assert founded.decision is not None
        opened.add_proposal(founded)
        opened.add_decision(founded.number, founded.decision)
        return replay(opened.read())


def propose_changes(
    record: GovernanceRecord,
    changes_of: Callable[[GovernedState], tuple[Change, ...] | Refused],
    *,
    anchor: str,
    reason: str,
    key: OperatorKey,
    now: datetime,
) -> RecordedProposal | Refused:
    """The proposal of what `changes_of` makes of the version in force. Raises `UsageError` for a broken record."""
    with record.opened() as opened:
        rows = opened.read()
        state = replay(rows, anchor=anchor)
        changes = changes_of(state)
        if isinstance(changes, Refused):
            return changes
        proposed = propose(state, changes, number=len(rows) + 1, reason=reason, key=key, now=now)
        if isinstance(proposed, RecordedProposal):
            opened.add_proposal(proposed)
        return proposed


def decide_proposal(
    record: GovernanceRecord,
    number: int,
    verdict: Verdict,
    *,
    anchor: str,
    remark: str | None,
    key: OperatorKey,
    now: datetime,
    digest: str = "",
) -> RecordedDecision | Refused | None:
    """The decision on the proposal of this number; None when there is none. Raises `UsageError` for a broken record.

    Refused when the proposal's digest does not begin with `digest`: its text is another than the one looked at.
    """
    with record.opened() as opened:
        rows = opened.read()
        state = replay(rows, anchor=anchor)
        proposed = next((row for row in rows if row.number == number), None)
        if proposed is None:
            return None
        if not proposed.digest.startswith(digest):
            return Refused(reason=RefusalReason.OTHER_TEXT)
        decided = decide(state, proposed, verdict, remark=remark, key=key, now=now)
        if isinstance(decided, RecordedDecision):
            opened.add_decision(number, decided)
        return decided
