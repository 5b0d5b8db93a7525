"""Who asks and for whom: customer identification, ticket, the two information blocks of every message (CommonV3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from uuid import UUID

import msgspec

_CBE_NUMBER: Final = re.compile(r"[0-9]{10}")
_SECTOR_MAX: Final = 999
_SECTOR_AND_INSTITUTION: Final = re.compile(r"(0|[1-9][0-9]{0,2})/(0|[1-9][0-9]{0,2})")
TICKET_LENGTH_MAX: Final = 36
"""Characters of a customer's ticket (CommonV3 TicketType)."""
TICKET_STORED_LENGTH_MAX: Final = 32
"""Characters kept of a ticket that is not a UUID (contract.md section 3, rule 49)."""


class InvalidCustomer(ValueError):
    """A customer identification against CommonV3's OrganizationIdentificationType."""


class CustomerIdentification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organisation: by its CBE number, or by sector and institution; never both (OrganizationIdentificationType).

    A Struct, so that the files which name customers (access rules, profiles) have its keys checked as all others.
    """

    cbe_number: str | None = None
    sector: int | None = None
    institution: int | None = None

    def __post_init__(self) -> None:
        if self.cbe_number is not None:
            if self.sector is not None or self.institution is not None:
                raise InvalidCustomer("a CBE number, or sector and institution: not both")
            if not _CBE_NUMBER.fullmatch(self.cbe_number):
                raise InvalidCustomer("a CBE number has 10 digits")
        elif self.sector is None or self.institution is None:
            raise InvalidCustomer("a CBE number, or sector and institution: neither is complete")
        elif not (0 <= self.sector <= _SECTOR_MAX and 0 <= self.institution <= _SECTOR_MAX):
            raise InvalidCustomer("sector and institution lie between 0 and 999")

    @property
    def key(self) -> str:
        """The text by which lines of this organisation are stored: `0123456789` or `17/1`."""
        return self.cbe_number if self.cbe_number is not None else f"{self.sector}/{self.institution}"

    @classmethod
    def of_key(cls, key: str) -> Self:
        """The organisation whose `key` this is. Raises `InvalidCustomer` for a text that is nobody's key."""
        if _CBE_NUMBER.fullmatch(key):
            return cls(cbe_number=key)
        shape = _SECTOR_AND_INSTITUTION.fullmatch(key)
        if shape is None:
            raise InvalidCustomer("not the key of an organisation")
        return cls(sector=int(shape[1]), institution=int(shape[2]))


class InformationCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller says of its own exchange: its ticket (≤ 36 characters), when it sent, for which organisation."""

    customer_identification: CustomerIdentification
    ticket: str | None = None
    timestamp_sent: datetime | None = None

    @property
    def ticket_stored(self) -> str | None:
        """The ticket as it is kept."""
        return None if self.ticket is None else stored_ticket(self.ticket)


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationCbss:
    """What the service says of an exchange: its own ticket, when the request came and when the reply left (UTC)."""

    ticket_cbss: UUID
    timestamp_receive: datetime
    timestamp_reply: datetime


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID as CommonV3's UUIDType spells it: 36 characters, with hyphens."""
    return re.fullmatch(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text) is not None


def stored_ticket(ticket: str) -> str:
    """A customer's ticket as it is kept: whole when it is a UUID, else its first 32 characters (rule 49)."""
    if len(ticket) <= TICKET_STORED_LENGTH_MAX or is_uuid(ticket):
        return ticket
    return ticket[:TICKET_STORED_LENGTH_MAX]
