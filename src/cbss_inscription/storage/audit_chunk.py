"""The records of a batch's chunk as the journal keeps them: one row, and what they are found by (rule 50)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cbss_inscription.governance.journal import SealedRequest
from cbss_inscription.governance.volumes import CountedCall
from cbss_inscription.storage.binary_rows import (
    NULL,
    of_byte_strings,
    of_bytes,
    of_integer,
    of_moment,
    of_small_numbers,
    of_text,
    of_texts,
    of_uuids,
    row_of,
)

FORM_PIECES: Final = 8
"""Pieces of a form. Between them: customer ticket, evidence digest, the one person's hash, and seal, other persons,
response digest, our ticket.
"""
_BETWEEN_PIECES: Final = "\x1f"
"""In no JSON text: there it is written as an escape."""


def form_of(pieces: Sequence[str]) -> str:
    """The text that records share, of its pieces."""
    assert len(pieces) == FORM_PIECES
    return _BETWEEN_PIECES.join(pieces)


@dataclass(slots=True, kw_only=True)
class AuditChunk:
    """Records of one time, a column each of what they do not share, in the order of their tickets.

    The database puts them together (the view `audit_chunk_record`), each to its one text.
    """

    received_at: datetime
    person_hashes: set[bytes] = field(default_factory=set, repr=False)
    """Of all persons whom a record is about: what the chunk is found by."""
    forms: list[str] = field(default_factory=list, repr=False)
    tickets: list[bytes] = field(default_factory=list)
    form_numbers: list[int] = field(default_factory=list)
    """From 1 on."""
    customer_tickets: list[str | None] = field(default_factory=list, repr=False)
    """JSON texts."""
    persons: list[bytes | None] = field(default_factory=list, repr=False)
    """The hash and the seal of the one person that a record is about; None where that is told by the next column."""
    other_persons: list[str | None] = field(default_factory=list, repr=False)
    """Canonical texts."""
    response_digests: list[bytes] = field(default_factory=list)
    evidence_digests: list[bytes | None] = field(default_factory=list)
    evidence: list[tuple[bytes, SealedRequest]] = field(default_factory=list, repr=False)
    """Requests that are kept, by their ticket."""
    counted: list[CountedCall | None] = field(default_factory=list)
    """How the calls of each form are counted."""

    def counts(self) -> Counter[CountedCall]:
        """How many calls are to be counted, and how."""
        counts: Counter[CountedCall] = Counter()
        for number, calls in Counter(self.form_numbers).items():
            call = self.counted[number - 1]
            if call is not None:
                counts[call] += calls
        return counts

    def row(self) -> bytes:
        """The row for `copy_audit_chunk`."""
        return b"".join(
            (
                row_of(12),
                of_moment(self.received_at),
                of_bytes(self.tickets[0]),
                of_integer(len(self.tickets)),
                of_byte_strings(sorted(self.person_hashes)),
                of_texts(self.forms),
                of_uuids(self.tickets),
                of_small_numbers(self.form_numbers),
                of_texts(self.customer_tickets),
                of_byte_strings(self.persons),
                of_texts(self.other_persons) if any(self.other_persons) else NULL,
                of_byte_strings(self.response_digests),
                of_byte_strings(self.evidence_digests) if any(self.evidence_digests) else NULL,
            )
        )

    def evidence_rows(self) -> list[bytes]:
        """The rows for `copy_audit_evidence`."""
        begin, received_at = row_of(4), of_moment(self.received_at)
        return [
            b"".join((begin, of_bytes(ticket), received_at, of_text(request.key), of_bytes(request.sealed)))
            for ticket, request in self.evidence
        ]
