"""The record that every event in the life of a number leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from cbss_inscription.domain.mutation import LifeEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeRecord:
    """What happened, under which ticket of ours, when (UTC, in milliseconds), and by whose hand."""

    event: LifeEvent
    ticket_cbss: UUID
    recorded_at: datetime
    operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One event in the history of a file, and the file before (none when it was made) and after it, by column."""

    record: LifeRecord
    before: Mapping[str, object] | None = field(repr=False)
    after: Mapping[str, object] = field(repr=False)
