"""The audit journal in PostgreSQL: what waits at the same time is written together (rule 50, SEC-71)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cbss_inscription.domain.errors import ServiceUnavailable, TemporarilyUnavailable
from cbss_inscription.governance.journal import AuditRecord, SealedRequest, canonical, person_hashes
from cbss_inscription.governance.volumes import CountedCall, counted_call
from cbss_inscription.storage.database import Database

GROUP_RECORDS_MAX: Final = 500
"""Records that one statement writes."""
WAITING_RECORDS_MAX: Final = 10_000
"""Records that may wait in one worker; a call beyond them is refused with SOA-02002."""
SEALS_LOOK_SECONDS: Final = 3.0
"""How often a worker looks whether the journal's seals keep up (SEC-73)."""
ATTEMPTS: Final = 2
"""How often a group is sent: a connection that the server closed while it was idle is noticed by the first."""


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A record as the database takes it: its text, and what it is found by. Its `__repr__` shows its ticket alone."""

    received_at: datetime
    ticket: UUID
    content: str
    hashes: tuple[bytes, ...]
    counted: CountedCall | None
    evidence: SealedRequest | None = None

    def __repr__(self) -> str:
        return f"<JournalEntry {self.ticket}>"

    @classmethod
    def of(cls, record: AuditRecord, *, received_at: datetime, evidence: SealedRequest | None = None) -> JournalEntry:
        """The entry of a record that is found under this time."""
        return cls(
            received_at=received_at,
            ticket=UUID(record.ticket_cbss),
            content=canonical(record).decode("utf-8"),
            hashes=tuple(person_hashes(record)),
            counted=counted_call(record),
            evidence=evidence,
        )


def parameters_of(entries: Sequence[JournalEntry], *, worker: int = 0) -> dict[str, object]:
    """What the query `write_audit_records` takes to write these entries, and to count their calls for this worker."""
    return {"entries": msgspec.json.encode(entries).decode("utf-8"), "worker": worker}


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: JournalEntry
    written: asyncio.Future[None]


class StoredJournal:
    """A `usecases.ports.AuditJournal` in PostgreSQL, for one worker.

    A record waits for the group that is on its way, and goes with the next: alone when nobody else waits, with hundreds
    under load, and never for a timer. The commit waits for the disk: that a reply was sent proves its record.
    The calls are counted for the volumes in the same transaction, under the number of this worker (SEC-57).
    """

    def __init__(self, database: Database, *, worker: int = 0) -> None:
        self._database = database
        self._worker = worker
        self._waiting: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._is_stopped = False

    def admit(self) -> None:
        """See `AuditJournal.admit`; as of the last look."""
        if self._is_stopped:
            raise TemporarilyUnavailable("audit-timestamping")

    async def look_at_seals(self, *, stop_after_seconds: float) -> None:
        """Nothing; calls are admitted unless something has waited longer than that for its seal (SEC-73)."""
        row = await self._database.row("audit_backlog")
        assert row is not None
        self._is_stopped = max(row) > stop_after_seconds

    async def write(self, record: AuditRecord, *, received_at: datetime, evidence: SealedRequest | None = None) -> None:
        """See `AuditJournal.write`."""
        if len(self._waiting) >= WAITING_RECORDS_MAX:
            raise TemporarilyUnavailable("audit-backlog")
        written = asyncio.get_running_loop().create_future()
        entry = JournalEntry.of(record, received_at=received_at, evidence=evidence)
        self._waiting.append(_Waiting(entry, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        await written

    async def _write_waiting(self) -> None:
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_RECORDS_MAX))]
            try:
                await self._write_group(group)
            except ServiceUnavailable:
                _end(group, TemporarilyUnavailable("audit"))
            except BaseException as error:
                _end(group, error)
                if not isinstance(error, Exception):
                    raise
            else:
                _end(group, None)

    async def _write_group(self, group: list[_Waiting]) -> None:
        parameters = parameters_of([waiting.entry for waiting in group], worker=self._worker)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._database.execute("write_audit_records", parameters)
            except ServiceUnavailable:
                if attempt == ATTEMPTS:
                    raise
            else:
                return


def _end(group: list[_Waiting], error: BaseException | None) -> None:
    for item in group:
        if item.written.done():  # whoever waited has gone
            continue
        if error is None:
            item.written.set_result(None)
        else:
            item.written.set_exception(error)
