"""An audit journal in memory, and keys for it: for doors that are tried without a database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cbss_inscription.governance.journal import AuditKeys, AuditRecord, SealedRequest

KEYS = AuditKeys({"tests": (b"1" * 32, b"2" * 32)}, current="tests")


@dataclass
class ListJournal:
    """A `usecases.ports.AuditJournal` that is a list."""

    records: list[AuditRecord] = field(default_factory=list)

    def admit(self) -> None:
        """See `AuditJournal.admit`: always."""

    async def write(self, record: AuditRecord, *, received_at: datetime, evidence: SealedRequest | None = None) -> None:
        """See `AuditJournal.write`."""
        self.records.append(record)


class KeysOfTests:
    """A `usecases.ports.AuditKeysSource`."""

    def current(self) -> AuditKeys:
        """See `AuditKeysSource.current`."""
        return KEYS
