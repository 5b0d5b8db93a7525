"""Answers as a CSV file: the line as it was read, and after it what became of it (contract.md section 5)."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from functools import cache
from typing import Final

from cbss_inscription.batch.csv_lines import BETWEEN_SEVERAL, COLUMNS
from cbss_inscription.batch.xml_answers import moment, ticket_text
from cbss_inscription.contract.batch import WORDS
from cbss_inscription.domain.batch import BatchLegalData, LineAnswer
from cbss_inscription.domain.inscription import Inscription
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode
from cbss_inscription.domain.results import Anomaly, ConsultResult, WriteResult

OUTCOME_COLUMNS: Final = (
    "line",
    "cbssTicket",
    "timestamp",
    "status",
    "code",
    "description",
    "currentSsin",
    "replaces",
    "canceled",
    "validationErrors",
    "anomalies",
    "dataFilters",
    "inscriptions",
    "next",
)
"""What is said of each line, behind the columns of `COLUMNS`; `line` counts declarations from 1."""
FAULT: Final = "FAULT"
"""The status of a line that online would be a fault."""
_NOTHING: Final = ("",) * 4
_NO_PERIOD: Final = (None, None)


class CsvAnswers:
    """The texts of a CSV file of answers: `head`, any number of `answer`, `foot`."""

    def __init__(self) -> None:
        # A writer's `writerow` gives what its file's `write` gave: here, the row.
        self._row: Callable[[tuple[str, ...]], str] = csv.writer(_Row(), lineterminator="\r\n").writerow

    def head(self) -> str:
        """The names of the columns."""
        return self._row((*COLUMNS, *OUTCOME_COLUMNS))

    def foot(self) -> str:
        """Nothing: the last answer ends the file."""
        return ""

    def answer(self, answer: LineAnswer) -> str:
        """One line."""
        line, result = answer.line, answer.result
        begin, end = line.period or _NO_PERIOD
        new_begin, new_end = line.new_period or _NO_PERIOD
        asked = (
            line.ticket or "",
            "" if line.operation is None else WORDS[line.operation],
            line.ssin,
            BETWEEN_SEVERAL.join(line.inscription_contexts),
            _day(begin),
            _day(end),
            _day(new_begin),
            _day(new_end),
            *(_NOTHING if line.legal_data is None else _legal_data(line.legal_data)),
        )
        code = answer.fault if result is None else result.status.code
        assert code is not None
        ssin = None if result is None else result.ssin
        return self._row(
            (
                *asked,
                str(line.number),
                ticket_text(answer.ticket_cbss),
                moment(answer.timestamp),
                FAULT if result is None else result.status.value,
                code,
                _text(code),
                "" if ssin is None else ssin.current.digits,
                "" if ssin is None or ssin.replaces is None else ssin.replaces.digits,
                "true" if ssin is not None and ssin.canceled else "",
                _codes(result.validation_errors) if isinstance(result, WriteResult) else "",
                _codes(result.anomalies) if isinstance(result, WriteResult) else "",
                BETWEEN_SEVERAL.join(result.data_filters) if isinstance(result, ConsultResult) else "",
                "" if result is None else BETWEEN_SEVERAL.join(map(_inscription, result.inscriptions)),
                (result.next or "") if isinstance(result, ConsultResult) else "",
            )
        )


class _Row:
    def write(self, text: str, /) -> str:
        return text


@cache
def _text(code: str) -> str:
    return CATALOGUE[OutcomeCode(code)].texts["en"]


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _legal_data(given: BatchLegalData) -> tuple[str, str, str, str]:
    return (
        given.last_name or "",
        BETWEEN_SEVERAL.join(given.given_names),
        given.birth_date or "",
        "" if given.gender is None else str(given.gender),
    )


def _codes(anomalies: tuple[Anomaly, ...]) -> str:
    return BETWEEN_SEVERAL.join([one.code for one in anomalies])


def _inscription(line: Inscription) -> str:
    """`context=begin/end`, and `@` the organisation where it may be told; no context has any of these signs."""
    organization = "" if line.organization is None else f"@{line.organization.key}"
    return f"{line.inscription_context}={line.period.begin_date.isoformat()}/{_day(line.period.end_date)}{organization}"
