"""What the use cases need from outside, besides the repertory and the registers (their `port` modules)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.mutation import MutationPage
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.results import SanityCheck
from cbss_inscription.governance.access import AccessRules, AgreedVolume, Permission
from cbss_inscription.governance.journal import AuditKeys, AuditRecord, SealedRequest


class AccessRulesSource(Protocol):
    """Where the access rules and permissions in force come from: a file, or a database under four eyes."""

    def current(self) -> AccessRules:
        """The rules in force now."""
        ...


class MutationFeed(Protocol):
    """What the customers are told of the numbers that they know, each its own mutations."""

    async def mutations_after(
        self,
        sequence_number: int,
        *,
        customer: CustomerIdentification,
        inscription_contexts: Collection[InscriptionContext],
        limit: int,
    ) -> MutationPage:
        """The first mutations after a sequence number that are in one of the contexts, each with these alone.

        As they were at one moment: whoever sees a mutation can see all before it. Beyond the end of the feed there is
        nothing, and the page ends where it was asked to begin. Raises `TemporarilyUnavailable`.
        """
        ...


class Source(Protocol):
    """A service of others that this one asks."""

    async def look(self) -> SanityCheck:
        """Whether it answers now."""
        ...


class Volumes(Protocol):
    """What is left of the agreed volumes (SEC-57)."""

    def admit(
        self, permission: Permission, operation: Operation, *, now: datetime, calls: int = 1
    ) -> AgreedVolume | None:
        """None when so many calls still fit, and are counted; otherwise the volume that refuses all of them."""
        ...


class AuditJournal(Protocol):
    """Where every call leaves its record (rule 50)."""

    def admit(self) -> None:
        """Nothing, when calls may be done. Raises `TemporarilyUnavailable` while seals stay away too long (SEC-73)."""
        ...

    async def write(self, record: AuditRecord, *, received_at: datetime, evidence: SealedRequest | None = None) -> None:
        """Nothing; the record is durable, and its request when that is kept.

        Raises `TemporarilyUnavailable`: no answer may be given then (rule 51). A record is written once: the same
        record again changes nothing.
        """
        ...


class AuditKeysSource(Protocol):
    """Where the keys come from that numbers of persons are sealed by (SEC-75)."""

    def current(self) -> AuditKeys:
        """The keys in force now."""
        ...
