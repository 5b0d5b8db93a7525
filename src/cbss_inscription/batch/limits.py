"""How large a batch's file and one line of it may be: configuration, not contract (contract.md section 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

from cbss_inscription.domain.errors import MessageRejected
from cbss_inscription.xml_limits import XmlLimits

Refusing = Callable[[int, MessageRejected], None]
"""Who is told how a line breaks the contract, by its number."""


class BatchLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is taken of a batch; every limit may be set in the settings file, within its range."""

    file_bytes_max: Annotated[int, msgspec.Meta(ge=1_024, le=1_099_511_627_776)] = 10_737_418_240
    """The file as it is sent, compressed or not."""
    text_bytes_max: Annotated[int, msgspec.Meta(ge=1_024, le=10_995_116_277_760)] = 107_374_182_400
    """The file as it is read: what it inflates to."""
    inflation_max: Annotated[int, msgspec.Meta(ge=10, le=2_000)] = 400
    """How many bytes may come of one; a million like declarations come of a hundredth (docs/batch.md)."""
    line_count_max: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] = 100_000_000
    """Declarations in a file."""
    line_chars_max: Annotated[int, msgspec.Meta(ge=4_096, le=1_048_576)] = 65_536
    """One declaration as it is written, blanks and comments before it included; the head of a file likewise."""

    @property
    def xml(self) -> XmlLimits:
        """How oddly shaped the head of a file with one declaration may be: as a message online, but its size."""
        return XmlLimits(size_bytes_max=8 * self.line_chars_max)  # head and declaration, four bytes a character
