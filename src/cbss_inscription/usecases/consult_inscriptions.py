"""consultInscriptions: which lines of a person does the customer have?"""

from __future__ import annotations

from cbss_inscription.domain.errors import RepertoryUnavailable
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultInscriptions
from cbss_inscription.domain.results import ConsultResult, Status, StatusValue
from cbss_inscription.repertory.port import Repertory
from cbss_inscription.usecases.authorization import Decisions, admit
from cbss_inscription.usecases.ports import Volumes


async def consult_inscriptions(
    request: ConsultInscriptions,
    exchange: Exchange,
    *,
    rules: Decisions,
    repertory: Repertory,
    volumes: Volumes | None = None,
) -> ConsultResult:
    """The lines that the customer may see, or why not. Raises `NotAuthorized`; CBI00901 is a result (rule 54)."""
    asked = admit(request, exchange, rules, volumes)
    if isinstance(asked, Status):
        return ConsultResult(status=asked)
    try:
        return await repertory.consult(asked)
    except RepertoryUnavailable as outage:
        exchange.trail.unanswered = outage.reason
        return ConsultResult(status=Status(value=StatusValue.NO_RESULT, code=OutcomeCode.SOURCE_UNREACHABLE))
