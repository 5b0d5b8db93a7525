"""What became of a declaration whose reply was lost, by what the lines of its context say afterwards (SEC-70).

A line that is there is a fact; a line that is not there may still come, for whoever was sent the declaration may be at
it yet. So only the first is ever concluded: done for certain, or not known. docs/upstream.md has the whole table.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from msgspec.structs import replace

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import Inscription
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.requests import DeleteInscription, InsertInscription, UpdateInscription, WriteRequest
from cbss_inscription.domain.results import Anomaly, ConsultResult, Status, StatusValue, WriteResult

_DAY = timedelta(days=1)
_ANSWERED = frozenset({StatusValue.DATA_FOUND, StatusValue.NO_DATA_FOUND})


def answer_after(request: WriteRequest, consulted: ConsultResult, *, since: datetime) -> WriteResult | None:
    """The answer to `request` when the lines of its context prove that it was done; None when they do not.

    `consulted` is the answer about that context without a period, `since` a moment of the repertory's clock that is not
    before the declaration was sent. What the lines cannot tell is not in the answer: that the person is deceased, or
    that a longer line swallowed others. Legal data must have been verified, and what could not be was told then: with
    them nothing is concluded.
    """
    if consulted.status.value not in _ANSWERED or consulted.next is not None or consulted.ssin is None:
        return None
    own = request.information_customer.customer_identification
    lines = tuple(replace(line, organization=None) for line in consulted.inscriptions if _is_of(line, own, request))
    fresh = [line for line in lines if line.last_change is not None and line.last_change >= since]
    done: Inscription | None
    match request:
        case InsertInscription(legal_data=None, period=period):
            done = _covering(period, fresh)
        case InsertInscription():
            done = None
        case UpdateInscription(period=period, new_period=new_period):
            done = _covering(new_period, fresh)
            if any(_is_exactly(line, period) for line in lines if line is not done):
                done = None
        case DeleteInscription(period=period):
            done = None
            if period is not None and not any(has_a_day_of(period, line) for line in lines):
                done = _beside(period, fresh)
    if done is None:
        return None
    anomalies = []
    if consulted.ssin.replaces is not None:
        anomalies.append(Anomaly(code=OutcomeCode.SSIN_REPLACED))
    added = _added_by(request)
    if added is not None and not _is_exactly(done, added):
        anomalies.append(Anomaly(code=OutcomeCode.INSCRIPTION_MERGED))
    return WriteResult(
        status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS),
        ssin=consulted.ssin,
        anomalies=tuple(anomalies),
        inscriptions=lines,
    )


def _is_of(line: Inscription, customer: CustomerIdentification, request: WriteRequest) -> bool:
    return line.inscription_context == request.inscription_context and line.organization in {None, customer}


def _added_by(request: WriteRequest) -> GivenPeriod | None:
    match request:
        case InsertInscription(period=period):
            return period
        case UpdateInscription(new_period=new_period):
            return new_period
        case DeleteInscription():
            return None


def _covering(given: GivenPeriod, lines: Iterable[Inscription]) -> Inscription | None:
    """A line with every day of the period."""
    begin, end = _days(given)
    return next((line for line in lines if line.period.begin_date <= begin and end <= _last_day(line.period)), None)


def has_a_day_of(given: GivenPeriod, line: Inscription) -> bool:
    """Whether a day of the period is one of the line's."""
    begin, end = _days(given)
    return line.period.begin_date <= end and begin <= _last_day(line.period)


def _beside(given: GivenPeriod, lines: Iterable[Inscription]) -> Inscription | None:
    """A line that ends the day before the period, or begins the day after it: what a cut leaves."""
    begin, end = _days(given)
    before = None if begin == date.min else begin - _DAY
    after = None if end == date.max else end + _DAY
    return next(
        (line for line in lines if line.period.end_date == before is not None or line.period.begin_date == after), None
    )


def _is_exactly(line: Inscription, given: GivenPeriod) -> bool:
    return (line.period.begin_date, line.period.end_date) == (given.begin_date, given.end_date)


def _days(given: GivenPeriod) -> tuple[date, date]:
    return given.begin_date or date.min, given.end_date or date.max


def _last_day(period: Period) -> date:
    return period.end_date or date.max
