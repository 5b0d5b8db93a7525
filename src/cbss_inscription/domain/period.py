"""Dates and periods: rules 24, 26 and 27 of domain.md."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

import msgspec

_INCOMPLETE_DATE: Final = re.compile(r"([0-2][0-9]{3})-([0-1][0-9])-([0-3][0-9])")


class InvalidDate(ValueError):
    """A text that is no date, not even an incomplete one."""


class InvalidPeriod(ValueError):
    """A period that ends before it begins (MAGDA 20003, rule 27)."""


@lru_cache(maxsize=16)  # the records of a chunk of a batch say the same two moments thousands of times
def timestamp(moment: datetime) -> str:
    """The moment as the service writes it: UTC with `Z` and three decimals. Raises ValueError without time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def in_milliseconds(moment: datetime) -> datetime:
    """The moment as finely as the wire tells it, so that its echo can be compared."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class IncompleteDate(msgspec.Struct, frozen=True, order=True):
    """A legal birth or decease date: `yyyy-mm-dd`, `yyyy-mm-00` or `yyyy-00-00`; a zero part is unknown (rule 24).

    Raises `InvalidDate` for a day without a month and for days that no calendar has.
    """

    year: int
    month: int
    day: int

    def __post_init__(self) -> None:
        if self.month == 0 and self.day != 0:
            raise InvalidDate("day without month")
        try:
            date(self.year, self.month or 1, self.day or 1)
        except ValueError:
            # `from None`: Python's own message names the numbers, and a birth date is personal data.
            raise InvalidDate("no such day") from None

    @classmethod
    def parse(cls, text: str) -> IncompleteDate:
        """The date that `text` spells. Raises `InvalidDate`."""
        shape = _INCOMPLETE_DATE.fullmatch(text.strip())
        if shape is None:
            raise InvalidDate("shape")
        year, month, day = shape.groups()
        return cls(int(year), int(month), int(day))

    @classmethod
    def of_date(cls, day: date) -> IncompleteDate:
        """The complete date `day`."""
        return cls(day.year, day.month, day.day)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}-{self.day:02d}"

    @property
    def is_complete(self) -> bool:
        """Whether month and day are known."""
        return self.day != 0


class GivenPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """A period as a caller gave it: either end may be absent where the contract says so, and it may be reversed."""

    begin_date: date | None
    end_date: date | None = None

    @property
    def is_reversed(self) -> bool:
        """Whether it ends before it begins, which no operation accepts (rule 27)."""
        return self.begin_date is not None and self.end_date is not None and self.end_date < self.begin_date


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """From `begin_date` to `end_date`, both inclusive; without end it is open (rules 26, 27).

    Raises `InvalidPeriod` when it ends before it begins.
    """

    begin_date: date
    end_date: date | None = None

    def __post_init__(self) -> None:
        if self.end_date is not None and self.end_date < self.begin_date:
            raise InvalidPeriod("ends before it begins")

    @classmethod
    def of(cls, given: GivenPeriod) -> Period:
        """The period that a caller gave. Raises `InvalidPeriod` when it is reversed or has no begin."""
        if given.begin_date is None:
            raise InvalidPeriod("has no begin")
        return cls(begin_date=given.begin_date, end_date=given.end_date)
