"""Arguments that several commands take, and how they are read."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.period import IncompleteDate, InvalidDate
from cbss_inscription.domain.ssin import InvalidSsin, Ssin

DATE_FORMATS: Final = ["%Y-%m-%d"]
"""How a day is typed."""


class OutputFormat(StrEnum):
    """For whom an answer is printed: people, or programs."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[OutputFormat, typer.Option("--format", help="For people or for programs.")]
SettingsFile = Annotated[Path, typer.Option("--settings", help="The settings file (TOML) that names the database.")]
SsinText = Annotated[
    str, typer.Argument(metavar="SSIN", help="The number, with or without separators; - reads it from standard input.")
]

GivenNames = Annotated[list[str] | None, typer.Option("--given-name", help="In their order; may be repeated.")]
BirthDate = Annotated[str | None, typer.Option(help="yyyy-mm-dd; 00 for what is unknown.")]
GenderCode = Annotated[int | None, typer.Option(min=0, max=2, help="0 unknown, 1 male, 2 female.")]


def read_ssin(text: str) -> Ssin:
    """The number that a person typed, separators or not (rule 1); `-` is the first line of standard input.

    Raises `UsageError`: where no service looks at its check digits, the command does.
    """
    try:
        return Ssin.parse_human(sys.stdin.readline().strip() if text == "-" else text.strip())
    except InvalidSsin as error:
        raise UsageError(f"not an SSIN: its {error.reason} is wrong") from error


def read_incomplete_date(text: str, *, called: str = "that") -> IncompleteDate:
    """The date that a person typed, zeros for what is unknown. Raises `UsageError`, which calls it so."""
    try:
        return IncompleteDate.parse(text)
    except InvalidDate as error:
        raise UsageError(f"{called} is no date: yyyy-mm-dd, yyyy-mm-00 or yyyy-00-00") from error


def read_legal_data(
    last_name: str | None, given_names: list[str] | None, birth_date: str | None, gender: int | None
) -> LegalData:
    """The legal data that were typed; empty when none were. Raises `UsageError`."""
    return LegalData(
        last_name=last_name,
        given_names=tuple(given_names or ()),
        birth_date=read_incomplete_date(birth_date, called="the birth date") if birth_date is not None else None,
        gender=Gender(gender) if gender is not None else None,
    )
