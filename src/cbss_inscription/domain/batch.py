"""A batch: many declarations of one organisation in one file, each answered by itself (rule 37, contract.md section 5).

A batch is a matter of millions, so a line is kept as plain as it can be: what its text says, in shape but not yet
decided on. `array_like`: in chunks a line is an array, without names of fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation

CHUNK_LINES: Final = 1_000
"""Lines that one transaction answers, about: so long may an online declaration wait for one about the same person."""


class BatchParty(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a batch, or whom it is for (CommonV3 SenderReceiverType)."""

    organization_identification: CustomerIdentification
    ticket: str | None = None
    timestamp_sent: datetime | None = None


class BatchHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch says before its first line."""

    sender: BatchParty
    """Its organisation is the customer of every line."""
    receiver: BatchParty
    legal_context: LegalContext
    """Of every line."""
    sequence_number: int
    """Of the sender: one more than that of its batch before (SequenceNumberType)."""


class BatchLine(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A line of a batch: a declaration or a consultation as it would be asked online, or why it is none.

    Its `__repr__` shows its number alone.
    """

    number: int
    """From 1, in the order of the file."""
    ticket: str | None = None
    operation: Operation | None = None
    """None exactly when the line is `refused`."""
    ssin: str = ""
    inscription_contexts: tuple[str, ...] = ()
    """One for a declaration, any number for a consultation; each of the shape of an `InscriptionContext`."""
    period: tuple[date | None, date | None] | None = None
    """Begin and end, either absent where the contract allows it."""
    new_period: tuple[date | None, date | None] | None = None
    legal_data: BatchLegalData | None = None
    refused: str | None = None
    """The code of the fault that the line would be online, such as SOA-03006; nothing of it is decided then."""

    def __repr__(self) -> str:
        return f"<BatchLine {self.number}>"


class BatchLegalData(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """`LegalData` as a line says them. Its `__repr__` shows nothing of them."""

    last_name: str | None = None
    given_names: tuple[str, ...] = ()
    birth_date: str | None = None
    """An `IncompleteDate`."""
    gender: int | None = None

    def __repr__(self) -> str:
        return "<BatchLegalData>"


class BatchState(StrEnum):
    """How far a batch is; it is known from the moment on that its file was read to the end."""

    RUNNING = "running"
    CANCELING = "canceling"
    """No line after the cut begins any more; those before it are still worked on."""
    CANCELED = "canceled"
    """Every line up to the cut is answered, and none after it was touched."""
    DONE = "done"
    """Every line is answered."""

    @property
    def is_finished(self) -> bool:
        """Whether all is answered that will ever be."""
        return self in {BatchState.DONE, BatchState.CANCELED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The batch that a file is now, or was already when the same file had been submitted before."""

    batch_id: UUID
    is_repeat: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeCount:
    """How many lines ended with a code, and the numbers of the first of them."""

    code: str
    """Of the status, or of the fault that the line would be online."""
    lines: int
    first_lines: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatus:
    """How a batch is going."""

    batch_id: UUID
    header: BatchHeader
    digest: bytes = field(repr=False)
    """SHA-256 of the file."""
    application_urn: str
    """Which application's certificate signed it."""
    cbe_number: str
    state: BatchState
    line_count: int
    lines_answered: int
    lines_waiting: int
    """Lines that an authentic source could not be asked about yet, and that will be tried again."""
    cut_after: int | None
    """The last line that is answered, of a batch that was canceled; 0 when none is."""
    outcomes: tuple[OutcomeCount, ...]
    """The most frequent first."""
    submitted_at: datetime
    began_at: datetime | None
    """When the first lines were answered."""
    finished_at: datetime | None
