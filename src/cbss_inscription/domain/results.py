"""What an operation answers: status, anomalies, lines. Values of the domain; the contract gives them their shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from cbss_inscription.domain.inscription import Inscription
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.mutation import Mutation
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.ssin import Ssin


class StatusValue(StrEnum):
    """The first word of an answer: three for consultations, two for writes (StatusType, StatusOkType)."""

    DATA_FOUND = "DATA_FOUND"
    NO_DATA_FOUND = "NO_DATA_FOUND"
    NO_RESULT = "NO_RESULT"
    OK = "OK"
    NOK = "NOK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Information:
    """A field that an outcome is about (InformationType): name ≤ 64, value ≤ 256 characters.

    A value may be what the caller itself sent, so its repr is hidden.
    """

    field_name: str
    field_value: str | None = field(default=None, repr=False)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the request ended; `code` is a code of the outcome catalogue."""

    value: StatusValue
    code: OutcomeCode
    information: tuple[Information, ...] = ()


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell beside the status, or why a declaration was refused; the catalogue has its severity."""

    code: OutcomeCode
    information: tuple[Information, ...] = ()


class SsinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The number under which the answer stands; `replaces` is the number asked when another continues it (rule 18)."""

    current: Ssin
    replaces: Ssin | None = None
    canceled: bool = False


class ConsultResult(msgspec.Struct, frozen=True, kw_only=True):
    """The lines found; `next` fetches the following page, `data_filters` names what was withheld."""

    status: Status
    ssin: SsinAnswer | None = None
    data_filters: tuple[str, ...] = ()
    inscriptions: tuple[Inscription, ...] = ()
    next: str | None = None


class WriteResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a declaration: NOK means that nothing was written (rule 37); the lines are the context's now."""

    status: Status
    ssin: SsinAnswer | None = None
    validation_errors: tuple[Anomaly, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
    inscriptions: tuple[Inscription, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationsResult:
    """A page of the feed, in the order of the sequence numbers.

    Everything up to `last_sequence_number` was looked at, so the next page begins after it: a number before it that is
    not there is a mutation in contexts that the permission does not grant. `more` says that there is a next page.
    """

    status: Status
    mutations: tuple[Mutation, ...] = ()
    last_sequence_number: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonsResult:
    """What a register knows: for each number asked its file and those that replace it, in order; or the persons found.

    A chain is empty when the register does not know the number; one found by its name is a chain of one file.
    """

    status: Status
    ssins: tuple[Ssin, ...] = field(default=(), repr=False)
    """The number of each chain, as it was asked; none when persons were looked for by name."""
    chains: tuple[tuple[Person, ...], ...] = field(default=(), repr=False)


class Health(StrEnum):
    """The verdict of a health check or of one of its checks (monitoring/v1)."""

    OK = "OK"
    DEGRADED = "DEGRADED"
    """It answers, and something is to be seen to: WARNING on the wire."""
    NOK = "NOK"


@dataclass(frozen=True, slots=True, kw_only=True)
class SanityCheck:
    """One thing looked at, how it is, and how many milliseconds it took to say so."""

    name: str
    health: Health
    milliseconds: int
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckResult:
    """How the service is, and each thing that was looked at; `location` is the address of the door asked."""

    health: Health
    component: str
    location: str
    checks: tuple[SanityCheck, ...] = ()


InscriptionResult = ConsultResult | WriteResult
Result = InscriptionResult | MutationsResult | PersonsResult | HealthCheckResult
