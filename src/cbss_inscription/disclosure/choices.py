"""What a report can be asked as; apart from those who make it, so that the command line is quick."""

from __future__ import annotations

from enum import StrEnum


class Language(StrEnum):
    """The official languages of Belgium, and English."""

    NL = "nl"
    FR = "fr"
    DE = "de"
    EN = "en"


class DocumentFormat(StrEnum):
    """For whom a document is made: people, spreadsheets, programs."""

    HTML = "html"
    CSV = "csv"
    JSON = "json"
