"""A line as the request that it would be online."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final

from cbss_inscription.domain.batch import BatchHeader, BatchLegalData, BatchLine
from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InscriptionRequest,
    InsertInscription,
    Operation,
    UpdateInscription,
)

CONTEXTS_KEPT: Final = 1_024
"""Lists of contexts that are made once for many lines: most lines of a batch name the same."""

# Looked at for each line: members of an enumeration are found ten times as slowly.
_CONSULT: Final = Operation.CONSULT_INSCRIPTIONS
_INSERT: Final = Operation.INSERT_INSCRIPTION
_UPDATE: Final = Operation.UPDATE_INSCRIPTION
_DELETE: Final = Operation.DELETE_INSCRIPTION


def request_of(line: BatchLine, header: BatchHeader) -> InscriptionRequest:
    """What a line of this batch asks. Raises ValueError for one that is no request, whatever its reader let pass."""
    information = InformationCustomer(
        customer_identification=header.sender.organization_identification,
        ticket=line.ticket,
        timestamp_sent=header.sender.timestamp_sent,
    )
    legal_context, period = header.legal_context, _period(line.period)
    contexts = _contexts(line.inscription_contexts)
    if line.operation is _CONSULT:
        return ConsultInscriptions(
            information_customer=information,
            legal_context=legal_context,
            ssin=line.ssin,
            inscription_contexts=contexts,
            period=period,
        )
    (context,) = contexts
    if line.operation is _DELETE:
        return DeleteInscription(
            information_customer=information,
            legal_context=legal_context,
            ssin=line.ssin,
            inscription_context=context,
            period=period,
        )
    if period is None or period.begin_date is None:
        raise ValueError("a declaration that adds or names a line has a begin")
    if line.operation is _INSERT:
        return InsertInscription(
            information_customer=information,
            legal_context=legal_context,
            ssin=line.ssin,
            inscription_context=context,
            period=period,
            legal_data=None if line.legal_data is None else _legal_data(line.legal_data),
        )
    new_period = _period(line.new_period)
    if line.operation is not _UPDATE or new_period is None or new_period.begin_date is None:
        raise ValueError("a line of a batch is one of the four operations, and an update has a new begin")
    return UpdateInscription(
        information_customer=information,
        legal_context=legal_context,
        ssin=line.ssin,
        inscription_context=context,
        period=period,
        new_period=new_period,
    )


@lru_cache(maxsize=CONTEXTS_KEPT)
def _contexts(texts: tuple[str, ...]) -> tuple[InscriptionContext, ...]:
    return tuple(map(InscriptionContext, texts))


def _period(period: tuple[date | None, date | None] | None) -> GivenPeriod | None:
    return None if period is None else GivenPeriod(begin_date=period[0], end_date=period[1])


def _legal_data(said: BatchLegalData) -> LegalData:
    return LegalData(
        last_name=said.last_name,
        given_names=said.given_names,
        birth_date=None if said.birth_date is None else IncompleteDate.parse(said.birth_date),
        gender=None if said.gender is None else Gender(said.gender),
    )
