"""A declaration is done once for its ticket (rule 38): what counts as the same, and what is kept to answer it again."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Final

import msgspec

from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod
from cbss_inscription.domain.requests import (
    DeleteInscription,
    InsertInscription,
    Operation,
    UpdateInscription,
    WriteRequest,
    operation_of,
)
from cbss_inscription.domain.results import Anomaly, Information, SsinAnswer
from cbss_inscription.domain.ssin import Ssin


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says beside the lines: under which number it stands, and the anomalies of file and legal data."""

    ssin: SsinAnswer
    anomalies: tuple[Anomaly, ...]


def content_of(request: WriteRequest) -> bytes:
    """SHA-256 of all that a declaration says beside its ticket, its time and its customer, which the key has.

    Values are taken as they were sent: another spelling of a name is another content.
    """
    legal_data: _SaidLegalData | msgspec.UnsetType | None = msgspec.UNSET
    new_period: _SaidPeriod | msgspec.UnsetType | None = msgspec.UNSET
    match request:
        case InsertInscription():
            legal_data = None if request.legal_data is None else _legal_data(request.legal_data)
        case UpdateInscription():
            new_period = _period(request.new_period)
        case DeleteInscription():
            pass
    said = _Said(
        inscription_context=request.inscription_context,
        legal_context=request.legal_context,
        legal_data=legal_data,
        new_period=new_period,
        operation=operation_of(request),
        period=_period(request.period),
        ssin=request.ssin,
    )
    return hashlib.sha256(_ENCODER.encode(said)).digest()


def write_told(told: Told) -> bytes:
    """The JSON that `read_told` reads back as the same value."""
    return _ENCODER.encode(
        _StoredTold(
            ssin=told.ssin.current.digits,
            replaces=told.ssin.replaces.digits if told.ssin.replaces else None,
            anomalies=tuple(
                [
                    _StoredAnomaly(
                        code=anomaly.code,
                        information=tuple((item.field_name, item.field_value) for item in anomaly.information),
                    )
                    for anomaly in told.anomalies
                ]
            ),
        )
    )


def read_told(text: bytes) -> Told | None:
    """What was told then; None for a text that this version cannot read."""
    try:
        stored = msgspec.json.decode(text, type=_StoredTold)
    except ValueError:
        return None
    return Told(
        ssin=SsinAnswer(current=Ssin(stored.ssin), replaces=Ssin(stored.replaces) if stored.replaces else None),
        anomalies=tuple(
            Anomaly(
                code=anomaly.code,
                information=tuple(
                    Information(field_name=name, field_value=value) for name, value in anomaly.information
                ),
            )
            for anomaly in stored.anomalies
        ),
    )


class _StoredAnomaly(msgspec.Struct, frozen=True, kw_only=True):
    code: OutcomeCode
    information: tuple[tuple[str, str | None], ...]


class _StoredTold(msgspec.Struct, frozen=True, kw_only=True):
    ssin: str
    replaces: str | None
    anomalies: tuple[_StoredAnomaly, ...]


_SaidPeriod = tuple[date | None, date | None]


class _SaidLegalData(msgspec.Struct, frozen=True, kw_only=True):
    birth_date: str | None
    gender: Gender | None
    given_names: tuple[str, ...]
    last_name: str | None


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a declaration says, as its digest is made of it.

    JSON with named values: no two declarations are spelled alike, whatever a name contains. The fields are in the order
    of their names, here and above, and stay as they are: digests are kept for years.
    """

    inscription_context: str
    legal_context: str
    legal_data: _SaidLegalData | msgspec.UnsetType | None
    """Of an insertion alone."""
    new_period: _SaidPeriod | msgspec.UnsetType | None
    """Of an update alone."""
    operation: Operation
    period: _SaidPeriod | None
    ssin: str


_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)  # contexts are texts of a kind of their own


def _period(period: GivenPeriod | None) -> _SaidPeriod | None:
    return None if period is None else (period.begin_date, period.end_date)


def _legal_data(given: LegalData) -> _SaidLegalData:
    return _SaidLegalData(
        birth_date=None if given.birth_date is None else str(given.birth_date),
        gender=given.gender,
        given_names=given.given_names,
        last_name=given.last_name,
    )
