"""searchPersonBySsin, searchPersonPhonetically: what a register of persons tells of its own files (rule 14)."""

from __future__ import annotations

from cbss_inscription.domain.errors import RepertoryUnavailable
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.person_search import SearchPersonBySsin, SearchPersonPhonetically
from cbss_inscription.domain.results import Information, PersonsResult, Status, StatusValue
from cbss_inscription.domain.ssin import InvalidSsin, Ssin
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.registers.port import PersonRegister
from cbss_inscription.registers.resolution import HOPS_MAX
from cbss_inscription.usecases.authorization import permit
from cbss_inscription.usecases.ports import Volumes

_FOUND = Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)
_NOT_FOUND = Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA)


async def search_person_by_ssin(
    request: SearchPersonBySsin,
    exchange: Exchange,
    *,
    rules: AccessRules,
    register: PersonRegister,
    volumes: Volumes | None = None,
) -> PersonsResult:
    """For each number asked its chain of files, empty when the register does not know it.

    One number with wrong check digits refuses all: MSG00011. Raises `NotAuthorized`; CBI00901 is a result.
    """
    permission = permit(request, exchange, rules, volumes)
    if isinstance(permission, Status):
        return PersonsResult(status=permission)
    ssins = []
    for text in request.ssins:
        try:
            ssins.append(Ssin.parse(text))
        except InvalidSsin:
            return _refused(OutcomeCode.SSIN_INVALID, Information(field_name="ssin", field_value=text))
    try:
        # One after the other: a caller takes one of the database's connections, not all of them.
        chains = [await register.chain_of(ssin, hops_max=HOPS_MAX) for ssin in ssins]
    except RepertoryUnavailable as outage:
        exchange.trail.unanswered = outage.reason
        return _refused(OutcomeCode.SOURCE_UNREACHABLE)
    return PersonsResult(status=_FOUND if any(chains) else _NOT_FOUND, ssins=tuple(ssins), chains=tuple(chains))


async def search_person_phonetically(
    request: SearchPersonPhonetically,
    exchange: Exchange,
    *,
    rules: AccessRules,
    register: PersonRegister,
    volumes: Volumes | None = None,
) -> PersonsResult:
    """The persons whose names sound alike, each a chain of one file. Raises `NotAuthorized`; CBI00901 is a result."""
    permission = permit(request, exchange, rules, volumes)
    if isinstance(permission, Status):
        return PersonsResult(status=permission)
    try:
        persons = await register.like(request.criteria)
    except RepertoryUnavailable as outage:
        exchange.trail.unanswered = outage.reason
        return _refused(OutcomeCode.SOURCE_UNREACHABLE)
    return PersonsResult(status=_FOUND if persons else _NOT_FOUND, chains=tuple((person,) for person in persons))


def _refused(code: OutcomeCode, *information: Information) -> PersonsResult:
    return PersonsResult(status=Status(value=StatusValue.NO_RESULT, code=code, information=information))
