"""A declaration is done once for its ticket (rule 38): what counts as the same, and what is kept to answer it again."""

from __future__ import annotations

import hashlib
from datetime import date

import msgspec

from cbss_inscription.domain.legal_data import LegalData
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod
from cbss_inscription.domain.requests import (
    DeleteInscription,
    InsertInscription,
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
    said: dict[str, object] = {
        "operation": operation_of(request).value,
        "legal_context": request.legal_context,
        "ssin": request.ssin,
        "inscription_context": request.inscription_context,
        "period": _period(request.period),
    }
    match request:
        case InsertInscription(legal_data=legal_data):
            said["legal_data"] = None if legal_data is None else _legal_data(legal_data)
        case UpdateInscription(new_period=new_period):
            said["new_period"] = _period(new_period)
        case DeleteInscription():
            pass
    # JSON with named values: no two declarations are spelled alike, whatever a name contains.
    return hashlib.sha256(msgspec.json.encode(said, enc_hook=str, order="sorted")).digest()


def write_told(told: Told) -> bytes:
    """The JSON that `read_told` reads back as the same value."""
    return msgspec.json.encode(
        _StoredTold(
            ssin=told.ssin.current.digits,
            replaces=told.ssin.replaces.digits if told.ssin.replaces else None,
            anomalies=tuple(
                _StoredAnomaly(
                    code=anomaly.code,
                    information=tuple((item.field_name, item.field_value) for item in anomaly.information),
                )
                for anomaly in told.anomalies
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


def _period(period: GivenPeriod | None) -> list[date | None] | None:
    return None if period is None else [period.begin_date, period.end_date]


def _legal_data(given: LegalData) -> dict[str, object]:
    return {
        "last_name": given.last_name,
        "given_names": given.given_names,
        "birth_date": None if given.birth_date is None else str(given.birth_date),
        "gender": None if given.gender is None else int(given.gender),
    }
