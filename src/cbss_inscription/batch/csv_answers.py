"""Answers as a CSV file: the line as it was read, and after it what became of it (contract.md section 5)."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache
from typing import Final

from cbss_inscription.batch.csv_lines import BETWEEN_SEVERAL, COLUMNS
from cbss_inscription.batch.told import ToldAnswer, ToldInscription, ToldLegalData, ToldLine, ToldMessage
from cbss_inscription.batch.xml_answers import moment, ticket_text
from cbss_inscription.contract.batch import WORDS
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode

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
_WORDS: Final = {operation.value: word for operation, word in WORDS.items()}
_NOTHING: Final = (None,) * 4
_NO_PERIOD: Final = (None, None)


class CsvAnswers:
    """The texts of a CSV file of answers: `head`, any number of `answer`, `foot`."""

    def __init__(self) -> None:
        # A writer's `writerow` gives what its file's `write` gave: here, the row.
        self._row: Callable[[tuple[str | int | None, ...]], str] = csv.writer(_Row(), lineterminator="\r\n").writerow

    def head(self) -> str:
        """The names of the columns."""
        return self._row((*COLUMNS, *OUTCOME_COLUMNS))

    def foot(self) -> str:
        """Nothing: the last answer ends the file."""
        return ""

    def answer(self, line: ToldLine, answer: ToldAnswer) -> str:
        """One line."""
        consulted, declared = answer.consultation, answer.declaration
        result = consulted or declared
        begin, end = line.period or _NO_PERIOD
        new_begin, new_end = line.new_period or _NO_PERIOD
        ssin = None if result is None else result.ssin
        code = answer.code
        # None is an empty field to the writer.
        return self._row(
            (
                line.ticket,
                None if line.operation is None else _WORDS[line.operation],
                line.ssin,
                BETWEEN_SEVERAL.join(line.inscription_contexts),
                begin,
                end,
                new_begin,
                new_end,
                *(_NOTHING if line.legal_data is None else _legal_data(line.legal_data)),
                line.number,
                ticket_text(answer.ticket_cbss),
                moment(answer.timestamp),
                FAULT if result is None else result.status.value,
                code,
                _text(code),
                None if ssin is None else ssin.current.digits,
                None if ssin is None or ssin.replaces is None else ssin.replaces.digits,
                "true" if ssin is not None and ssin.canceled else None,
                None if declared is None else _codes(declared.validation_errors),
                None if declared is None else _codes(declared.anomalies),
                None if consulted is None else BETWEEN_SEVERAL.join(consulted.data_filters),
                None if result is None else BETWEEN_SEVERAL.join(map(_inscription, result.inscriptions)),
                None if consulted is None else consulted.next,
            )
        )


class _Row:
    def write(self, text: str, /) -> str:
        return text


@cache
def _text(code: str) -> str:
    return CATALOGUE[OutcomeCode(code)].texts["en"]


def _legal_data(given: ToldLegalData) -> tuple[str | int | None, ...]:
    return (given.last_name, BETWEEN_SEVERAL.join(given.given_names), given.birth_date, given.gender)


def _codes(anomalies: tuple[ToldMessage, ...]) -> str:
    return BETWEEN_SEVERAL.join([one.code for one in anomalies])


def _inscription(line: ToldInscription) -> str:
    """`context=begin/end`, and `@` the organisation where it may be told; no context has any of these signs."""
    organization = "" if line.organization is None else f"@{line.organization.key}"
    return f"{line.inscription_context}={line.period.begin_date}/{line.period.end_date or ''}{organization}"
