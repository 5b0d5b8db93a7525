"""What the end of a command says: its exit status by kind of outcome, and the sentence of an error."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from cbss_inscription.domain.errors import (
    CbssInscriptionError,
    FileRejected,
    MessageRejected,
    RepertoryUnavailable,
    SchemaViolation,
    ServiceUnavailable,
    TemporarilyUnavailable,
)
from cbss_inscription.domain.history import HistoryRefused
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.results import Health, HealthCheckResult, Result, StatusValue


class ExitCode(IntEnum):
    """0 is done; 1 to 4 say whose turn it is: nobody's, the user's, a rule's, the service's."""

    DONE = 0
    """OK or DATA_FOUND."""
    NOTHING_FOUND = 1
    """NO_DATA_FOUND."""
    REJECTED = 2
    """The command line, a file or the message is wrong: also every client fault (SOA-01xxx, SOA-03xxx)."""
    REFUSED = 3
    """NOK or NO_RESULT: understood, and refused by a rule."""
    UNAVAILABLE = 4
    """Send it again later: a server fault, no readable reply, a source that was away (CBI00901), a
    database or register that is away; or a server of ours that ended by itself."""


_OF_STATUS = {
    StatusValue.OK: ExitCode.DONE,
    StatusValue.DATA_FOUND: ExitCode.DONE,
    StatusValue.NO_DATA_FOUND: ExitCode.NOTHING_FOUND,
    StatusValue.NO_RESULT: ExitCode.REFUSED,
    StatusValue.NOK: ExitCode.REFUSED,
}


def exit_code_of(result: Result) -> ExitCode:
    """The status with which a command ends that had this answer."""
    if isinstance(result, HealthCheckResult):
        return ExitCode.UNAVAILABLE if result.health is Health.NOK else ExitCode.DONE
    if result.status.code is OutcomeCode.SOURCE_UNREACHABLE:
        return ExitCode.UNAVAILABLE
    return _OF_STATUS[result.status.value]


def exit_code_of_error(error: CbssInscriptionError) -> ExitCode:
    """The status with which a command ends that had no answer."""
    from cbss_inscription.client.errors import CallFailed, FaultReceived

    if isinstance(error, FaultReceived):
        return ExitCode.REJECTED if error.is_ours else ExitCode.UNAVAILABLE
    if isinstance(error, HistoryRefused):
        return ExitCode.REFUSED
    return ExitCode.UNAVAILABLE if isinstance(error, (CallFailed, ServiceUnavailable)) else ExitCode.REJECTED


_AWAY: Final = {
    "audit": "this cannot be recorded in the audit journal, so nothing is shown",
    "database": "the database does not answer in time",
    "life-event": "another event in the life of a number takes too long",
    "number-taken": "the number was taken meanwhile: try again",
}


def sentence_of_error(error: CbssInscriptionError) -> str:
    """The error for the person who gave the command."""
    if isinstance(error, SchemaViolation):
        return f"the request breaks the contract: {'; '.join(error.paths)}"
    if isinstance(error, FileRejected):
        from cbss_inscription.cli.batch_reasons import what_is_wrong

        why = "; ".join(filter(None, (what_is_wrong(error.reason), *error.paths)))
        place = ", ".join(part for part in (error.place, error.reason) if part)
        return f"the file is no batch: {place}{f' ({why})' if why else ''}"
    if isinstance(error, MessageRejected):
        return f"the message cannot be used: {error.reason}"
    if isinstance(error, RepertoryUnavailable):
        return f"an authentic source does not answer: {error.reason}"
    if isinstance(error, TemporarilyUnavailable):
        return _AWAY.get(error.reason, error.reason)
    return str(error)
