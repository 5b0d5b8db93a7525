"""The social security identification number (INSZ, NISS, ENSS): domain.md section 1, rules 1 to 11."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

_SEPARATORS: Final = str.maketrans("", "", ".- ")
SSIN_DIGITS: Final = 11
"""Digits of a number, check digits included (rule 1): year, month, day, sequence in three digits, check."""
_DAY_MAX: Final = "31"
_CHECK_MODULUS: Final = 97
_SINCE_2000: Final = 2_000_000_000
_OF_CENTURY: Final = _SINCE_2000 % _CHECK_MODULUS  # what the digit 2 before the nine adds to their remainder


class Series(StrEnum):
    """Who issued a number, and what was known of the sex then (rule 5)."""

    NR = "nr"
    """National Register; RAD persons bear these numbers too (rule 12)."""
    BIS_SEX_UNKNOWN = "bis_sex_unknown"
    """Month + 20."""
    BIS_SEX_KNOWN = "bis_sex_known"
    """Month + 40; KSZ's schema calls it TER."""
    MOCK = "mock"
    """Month + 60: the Flemish mock registers' numbers, only under a test flag (rule 6)."""


_MONTH_OFFSETS: Final = {Series.NR: 0, Series.BIS_SEX_UNKNOWN: 20, Series.BIS_SEX_KNOWN: 40, Series.MOCK: 60}
_MONTH_MAX: Final = 12
_MOCK: Final = Series.MOCK  # looked at for each number: of an enumeration it is found ten times as slowly
_SERIES_OF_MONTH: Final = {
    f"{offset + month:02d}": series for series, offset in _MONTH_OFFSETS.items() for month in range(_MONTH_MAX + 1)
}


class InvalidSsin(ValueError):
    """A text that is no SSIN; `reason` is `shape`, `month`, `day`, `sequence` or `check`, and never the text."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not an SSIN: {reason}")
        self.reason = reason


def check_digits(first_nine: str, *, century: int) -> str:
    """The two check digits of the nine digits `yymmddsss` for a birth in `century` (1900 or 2000).

    97 − (n mod 97), where n is preceded by the digit 2 from 2000 on (rule 2: KB91 art. 4, TI000); never `00` (rule 3).
    """
    number = int(first_nine) + (_SINCE_2000 if century == 2000 else 0)
    return f"{_CHECK_MODULUS - number % _CHECK_MODULUS:02d}"


def without_separators(text: str) -> str:
    """The text without the separators that people type in a number: `.`, `-` and blank (rule 1)."""
    return text.translate(_SEPARATORS)


class Ssin(msgspec.Struct, frozen=True, order=True):
    """A number with the shape and the check digits of an SSIN; whether its file exists is for a register to say.

    Its text and its repr are masked: whoever wants the digits says `ssin.digits` (SEC-74).
    """

    digits: str
    """The 11 ASCII digits, without separators."""

    @classmethod
    def parse(cls, text: str, *, allow_mock: bool = False) -> Ssin:
        """The SSIN that `text` spells on the wire: exactly 11 digits.

        Raises `InvalidSsin`. The verdict does not depend on today's date (rule 4). `allow_mock` lets month + 60
        pass (rule 6).
        """
        # CommonV3 SsinType; `isascii` because `isdigit` would let other scripts' digits in (rule 1).
        if len(text) != SSIN_DIGITS or not (text.isascii() and text.isdigit()):
            raise InvalidSsin("shape")
        series = _SERIES_OF_MONTH.get(text[2:4])
        if series is None or (series is _MOCK and not allow_mock):
            raise InvalidSsin("month")
        if text[4:6] > _DAY_MAX:  # rule 8: the schema wins over python-stdnum, which lets 35 pass
            raise InvalidSsin("day")
        if text[6:9] == "000" and series is Series.NR:  # rule 7
            raise InvalidSsin("sequence")
        first_nine, check = divmod(int(text), 100)
        remainder, sought = first_nine % _CHECK_MODULUS, _CHECK_MODULUS - check
        if sought not in (remainder, (remainder + _OF_CENTURY) % _CHECK_MODULUS):
            raise InvalidSsin("check")
        return cls(text)

    @classmethod
    def parse_human(cls, text: str, *, allow_mock: bool = False) -> Ssin:
        """The SSIN that a person typed, with or without the separators `.`, `-` and blank (rule 1).

        Raises `InvalidSsin`.
        """
        return cls.parse(without_separators(text), allow_mock=allow_mock)

    @classmethod
    def of_number(cls, number: int) -> Ssin:
        """The SSIN stored as an integer: the digits with their leading zeros again."""
        return cls(f"{number:011d}")

    def __repr__(self) -> str:
        return "Ssin(***********)"

    __str__ = __repr__

    @property
    def number(self) -> int:
        """The digits as an integer below 10^11, for storage."""
        return int(self.digits)

    @property
    def formatted(self) -> str:
        """The digits as people read them: `yy.mm.dd-sss.cc`."""
        d = self.digits
        return f"{d[0:2]}.{d[2:4]}.{d[4:6]}-{d[6:9]}.{d[9:11]}"

    @property
    def series(self) -> Series:
        """The series of the number, by its month digits."""
        series = _SERIES_OF_MONTH.get(self.digits[2:4])
        if series is None:
            raise InvalidSsin("month")
        return series
