"""Which use case a request about inscriptions goes to, whether it came alone or as a line of a batch."""

from __future__ import annotations

from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InscriptionRequest,
    InsertInscription,
    UpdateInscription,
)
from cbss_inscription.domain.results import InscriptionResult
from cbss_inscription.repertory.port import Repertory
from cbss_inscription.usecases.authorization import Decisions
from cbss_inscription.usecases.change_inscription import delete_inscription, insert_inscription, update_inscription
from cbss_inscription.usecases.consult_inscriptions import consult_inscriptions
from cbss_inscription.usecases.ports import Volumes


async def carry_out(
    request: InscriptionRequest, exchange: Exchange, *, rules: Decisions, repertory: Repertory, volumes: Volumes
) -> InscriptionResult:
    """What became of `request`, by the use case of its operation. Raises `NotAuthorized`."""
    match request:
        case ConsultInscriptions():
            return await consult_inscriptions(request, exchange, rules=rules, repertory=repertory, volumes=volumes)
        case InsertInscription():
            return await insert_inscription(request, exchange, rules=rules, repertory=repertory, volumes=volumes)
        case UpdateInscription():
            return await update_inscription(request, exchange, rules=rules, repertory=repertory, volumes=volumes)
        case DeleteInscription():
            return await delete_inscription(request, exchange, rules=rules, repertory=repertory, volumes=volumes)
