"""insertInscription, updateInscription, deleteInscription: the three declarations, admitted alike, done by one port.

They differ in what the repertory does with them; until then, and when it does not answer, they are one use case.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from cbss_inscription.domain.errors import RepertoryUnavailable
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import DeleteInscription, InsertInscription, UpdateInscription, WriteRequest
from cbss_inscription.domain.results import Status, StatusValue, WriteResult
from cbss_inscription.repertory.port import Admitted, Repertory
from cbss_inscription.usecases.authorization import Decisions, admit
from cbss_inscription.usecases.ports import Volumes

WriteT = TypeVar("WriteT", bound=WriteRequest)


async def insert_inscription(
    request: InsertInscription,
    exchange: Exchange,
    *,
    rules: Decisions,
    repertory: Repertory,
    volumes: Volumes | None = None,
) -> WriteResult:
    """What became of adding a period; NOK = nothing written. Raises `NotAuthorized`; CBI00901 is a result."""
    return await _declare(request, exchange, rules, volumes, repertory.insert)


async def update_inscription(
    request: UpdateInscription,
    exchange: Exchange,
    *,
    rules: Decisions,
    repertory: Repertory,
    volumes: Volumes | None = None,
) -> WriteResult:
    """What became of changing a line's period; NOK = nothing written. Raises `NotAuthorized`; CBI00901 is a result."""
    return await _declare(request, exchange, rules, volumes, repertory.update)


async def delete_inscription(
    request: DeleteInscription,
    exchange: Exchange,
    *,
    rules: Decisions,
    repertory: Repertory,
    volumes: Volumes | None = None,
) -> WriteResult:
    """What became of cutting a period out; NOK = nothing written. Raises `NotAuthorized`; CBI00901 is a result."""
    return await _declare(request, exchange, rules, volumes, repertory.delete)


async def _declare(
    request: WriteT,
    exchange: Exchange,
    rules: Decisions,
    volumes: Volumes | None,
    write: Callable[[Admitted[WriteT]], Awaitable[WriteResult]],
) -> WriteResult:
    asked = admit(request, exchange, rules, volumes)
    if isinstance(asked, Status):
        return WriteResult(status=asked)
    try:
        return await write(asked)
    except RepertoryUnavailable as outage:
        exchange.trail.unanswered = outage.reason
        return WriteResult(status=Status(value=StatusValue.NOK, code=OutcomeCode.SOURCE_UNREACHABLE))
