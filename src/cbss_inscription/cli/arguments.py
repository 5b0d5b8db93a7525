"""Arguments that several commands take, and how they are read."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.ssin import InvalidSsin, Ssin


class OutputFormat(StrEnum):
    """For whom an answer is printed: people, or programs."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[OutputFormat, typer.Option("--format", help="For people or for programs.")]
SettingsFile = Annotated[Path, typer.Option("--settings", help="The settings file (TOML) that names the database.")]
SsinText = Annotated[
    str, typer.Argument(metavar="SSIN", help="The number, with or without separators; - reads it from standard input.")
]


def read_ssin(text: str) -> Ssin:
    """The number that a person typed, separators or not (rule 1); `-` is the first line of standard input.

    Raises `UsageError`: where no service looks at its check digits, the command does.
    """
    try:
        return Ssin.parse_human(sys.stdin.readline().strip() if text == "-" else text.strip())
    except InvalidSsin as error:
        raise UsageError(f"not an SSIN: its {error.reason} is wrong") from error
