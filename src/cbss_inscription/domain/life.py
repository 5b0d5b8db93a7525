"""What happens to a number in its life, and the record that every event leaves behind (rules 12 to 23)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class LifeEvent(StrEnum):
    """What can happen to the file of a number."""

    CREATED = "created"
    """The file was made; nobody holds an inscription yet, so nobody is told."""
    REPLACED = "replaced"
    """Another number continues it, as when a BIS person gets a National Register number (KSZ's 910M)."""
    CANCELED = "canceled"
    RAD_IN = "radIn"
    """KSZ took the file over from the National Register."""
    RAD_OUT = "radOut"
    """The National Register manages the file again."""
    DECEASED = "deceased"
    CORRECTED = "corrected"
    """Legal data were corrected."""


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
