"""The port to the registers of persons: the National Register's, and KSZ's BIS and RAD."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.person_search import PhoneticCriteria
from cbss_inscription.domain.ssin import Ssin


class FilesByNumber(Protocol):
    """Where a person's files are looked up by its number."""

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """The file of `ssin`, then the file that replaces it, and so on, at most `hops_max` + 1 further files.

        Empty when no register knows the number. A file that stands in the chain already is not given again.
        Raises `RepertoryUnavailable` when an authentic source does not answer: never an empty answer then (rule 54).
        """
        ...


class PersonRegister(FilesByNumber, Protocol):
    """Where persons' files are looked up (rule 14: legal data come from the authority register)."""

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        """The files, neither replaced nor canceled, of persons like the one looked for: at most `CANDIDATES_MAX`.

        For finding, never for validating (rules 22, 43). Raises `RepertoryUnavailable` as above.
        """
        ...


class DataAnomalyLog(Protocol):
    """Where an operator learns of data that contradict each other (rule 16)."""

    def found_data_anomaly(self, *, ticket_cbss: UUID, reason: str) -> None:
        """One line, under the ticket of the exchange or event.

        The `reason` is a `resolution.ChainFault` of a chain of replacements, met or attempted; or lines went to another
        number (`lines-elsewhere`), or cannot follow (`lines-left-behind`); or a `remembered-answer` cannot be read.
        """
        ...
