"""A batch: many declarations of one organisation in one file, each answered by itself (rule 37, contract.md section 5).

A batch is a matter of millions, so a line is kept as plain as it can be: what its text says, in shape but not yet
decided on. `array_like`: in chunks a line is an array, without names of fields.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation


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
