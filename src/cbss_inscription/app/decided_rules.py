"""The rules by which a call was decided, and who made them, as far as their source still tells (SEC-57, SEC-60).

A database under four eyes has every version, checked again down to its anchor; a file has the newest alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cbss_inscription.app.reloading import rules_of
from cbss_inscription.app.settings import Settings
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.governance.entries import EntryKey, EntryKind
from cbss_inscription.governance.four_eyes import RecordedProposal, read_proposal, replay
from cbss_inscription.governance.journal import AuditedDecision
from cbss_inscription.storage.governance import StoredRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Authors:
    """Who proposed and who approved that a rule is as it was, and the version that this made."""

    rule: str
    """`access-rule` or `permission`, and its name."""
    proposed_by: str
    approved_by: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedRules:
    """What can be had: None for rules that cannot be read; no authors where the source knows none."""

    rules: AccessRules | None
    authors: tuple[Authors, ...] = ()


def decided_rules(settings: Settings, decision: AuditedDecision | None) -> DecidedRules:
    """The rules of a decision's version out of a database, or those that the file has now. Blocks.

    Raises `TemporarilyUnavailable` when the database does not answer.
    """
    try:
        if settings.governance is None:
            return DecidedRules(rules=rules_of(settings))
        if decision is None or settings.governance.anchor is None:
            return DecidedRules(rules=None)
        record = StoredRecord(settings.database).read()
        state = replay(record, anchor=settings.governance.anchor, until=decision.version)
        if state.version != decision.version:
            return DecidedRules(rules=None)
        return DecidedRules(rules=state.access_rules(), authors=tuple(_authors(record, decision)))
    except UsageError:
        return DecidedRules(rules=None)


def _authors(record: Sequence[RecordedProposal], decision: AuditedDecision) -> Iterator[Authors]:
    """Of the access rule and the permission that decided: the last approval until then that put it."""
    named = {EntryKind.ACCESS_RULE: decision.access_rule, EntryKind.PERMISSION: decision.permission}
    for kind, name in named.items():
        if name is None:
            continue
        key, found = EntryKey(kind, name), None
        for proposed in record:
            made = proposed.decision
            if made is None or made.version is None or made.version > decision.version:
                continue
            if found is not None and made.version < found.version:
                continue
            if any(change.key == key for change in read_proposal(proposed).changes):
                found = Authors(
                    rule=str(key),
                    proposed_by=proposed.proposed_by,
                    approved_by=made.decided_by,
                    version=made.version,
                )
        if found is not None:
            yield found
