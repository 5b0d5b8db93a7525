"""The synthetic lines: how organisations, most of which do not exist, know the persons of a population.

What stands under a number follows from the seed, the number and the date of decease alone, so it is the same in every
population that has the person, and no line needs another to be made. Lines take their periods from a stock that the
seed fills; so a million persons cost a million choices, not five million inventions. All quantities are ours [D].
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from hashlib import shake_128
from math import gcd
from operator import itemgetter
from random import Random
from typing import Final

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.inscription_contexts import (
    KNOWN_CONTEXTS,
    SECTOR_FAMILY_ALLOWANCES,
    SECTOR_NSSO,
    SECTOR_PCSA,
)
from cbss_inscription.sandbox.demonstration import APPLICATIONS

INSCRIPTIONS_MAX: Final = 40
"""Lines per person on average."""
FIRST_DAY: Final = date(2000, 1, 1)
"""No line begins before: the youngest person of a population was born the year before."""
LAST_KNOWN_DAY: Final = date(2025, 12, 31)
"""No line was changed after, so that no history speaks of the future."""
FUTURE_YEARS: Final = range(2030, 2035)
"""When lines begin that lie in the future."""
ALIVE: Final = 9999
"""As year of decease: of a person who lives."""

# CBE numbers begin with 0 or 1: those that begin with 9 belong to nobody. The sectors' institutions are made up, too.
_OTHER_PCSAS: Final = tuple(
    CustomerIdentification(sector=SECTOR_PCSA, institution=number).key for number in (2, 3, 4, 5)
)
_OTHER_FUNDS: Final = ("9000010188", "9000010287")
_OFFICES: Final = (CustomerIdentification(sector=SECTOR_NSSO, institution=1).key, "9000010386")
_CUSTOMERS_BY_SECTOR: Final = {
    SECTOR_PCSA: (APPLICATIONS[0].customer_identification.key, *_OTHER_PCSAS),
    SECTOR_FAMILY_ALLOWANCES: (APPLICATIONS[1].customer_identification.key, *_OTHER_FUNDS),
    SECTOR_NSSO: _OFFICES,
}
_KEYS: Final = tuple(
    sorted(
        (customer, str(context))
        for context, entry in KNOWN_CONTEXTS.items()
        for customer in _CUSTOMERS_BY_SECTOR.get(entry.sector, ())
    )
)
"""Who may know a person how: each organisation in every context of its sector, in the order of storage."""
_STRIDES: Final = tuple(stride for stride in range(1, len(_KEYS)) if gcd(stride, len(_KEYS)) == 1)

# Replaced files have no lines (rule 19), canceled ones and those who died before FIRST_DAY none here: so many are left.
_HOLDERS_PER_MILLE: Final = 912
_STOCK: Final = 32_768
_OPEN_PER_MILLE: Final = 470
_PAST_PER_MILLE: Final = 370
_ENDING_PER_MILLE: Final = 50  # runs now, and its end is known
_FUTURE_PER_MILLE: Final = 30  # the rest: several lines
_LINES_OF_THROW: Final = (2, 2, 2, 3, 3, 4)
_LINE_BYTES: Final = 4
_HEAD_BYTES: Final = 8


@dataclass(frozen=True, slots=True, order=True)
class LineSetText:
    """A line set's periods and last changes in two spellings, each with separator before and line feed behind."""

    csv: str
    """As inscriptions.csv has them (docs/populations.md)."""
    copy: str
    """As PostgreSQL's COPY takes them."""


_Line = tuple[date, date | None, datetime]
"""Begin, end, last change."""


class SyntheticInscriptions:
    """The lines of a population's persons: `inscriptions` per file on average, by the seed.

    Raises `UsageError` for less than none or more than INSCRIPTIONS_MAX.
    """

    def __init__(self, *, inscriptions: int, seed: int) -> None:
        if not 0 <= inscriptions <= INSCRIPTIONS_MAX:
            raise UsageError(f"a population has 0 to {INSCRIPTIONS_MAX} inscriptions per person, not {inscriptions}")
        self._seed = seed
        # A number of lines is chosen evenly from 0 … twice the mean; in thousandths, for the mean of holders is none.
        self._choices_milli = 2 * inscriptions * 1_000_000 // _HOLDERS_PER_MILLE + 1_000 if inscriptions else 0
        self._csv_heads = tuple(f",{customer},{context}," for customer, context in _KEYS)
        self._copy_heads = tuple(f"\t{customer}\t{context}\t" for customer, context in _KEYS)
        self._stock, self._ended, self._ended_years = _stock(seed) if inscriptions else ((), (), ())

    def csv_lines(self, ssin: int, decease_year: int = ALIVE) -> Iterator[str]:
        """The rows of inscriptions.csv about an active file, in their order."""
        digits, heads = f"{ssin:011d}", self._csv_heads
        for key, text in self._line_sets(ssin, decease_year):
            yield f"{digits}{heads[key]}{text.csv}"

    def copy_lines(self, ssin: int, decease_year: int = ALIVE) -> Iterator[str]:
        """The same rows as COPY takes them."""
        heads = self._copy_heads
        for key, text in self._line_sets(ssin, decease_year):
            yield f"{ssin}{heads[key]}{text.copy}"

    def _line_sets(self, ssin: int, decease_year: int) -> list[tuple[int, LineSetText]]:
        # Who died has lines that ended before.
        if decease_year == ALIVE:
            stock, size = self._stock, len(self._stock)
        else:
            stock, size = self._ended, bisect_right(self._ended_years, decease_year - 1)
        if size == 0:
            return []
        chance = shake_128(b"%d %d" % (self._seed, ssin)).digest(_DIGEST_BYTES)
        head = int.from_bytes(chance[:_HEAD_BYTES], "big")
        head, thrown = divmod(head, self._choices_milli)
        head, key = divmod(head, len(_KEYS))
        stride = _STRIDES[head % len(_STRIDES)]
        chosen = []
        for place in range(_HEAD_BYTES, _HEAD_BYTES + thrown // 1_000 * _LINE_BYTES, _LINE_BYTES):
            chosen.append((key, stock[int.from_bytes(chance[place : place + _LINE_BYTES], "big") % size]))
            key = (key + stride) % len(_KEYS)
        chosen.sort(key=itemgetter(0))
        return chosen


_LINES_OF_PERSON_MAX: Final = 2 * INSCRIPTIONS_MAX * 1_000 // _HOLDERS_PER_MILLE + 1
_DIGEST_BYTES: Final = _HEAD_BYTES + _LINES_OF_PERSON_MAX * _LINE_BYTES
assert len(_KEYS) >= _LINES_OF_PERSON_MAX


@lru_cache(maxsize=1)  # a second to make; who makes rows twice, to compare or to count, has the same seed
def _stock(seed: int) -> tuple[tuple[LineSetText, ...], tuple[LineSetText, ...], tuple[int, ...]]:
    # All; those whose last line ends by LAST_KNOWN_DAY, in the order of its year; these years.
    chance = Random(seed)  # noqa: S311 - reproducible on purpose
    spelled = [_spelled(_lines(chance)) for _ in range(_STOCK)]
    ended = sorted((year, text.csv, text) for year, text in spelled if year is not None)
    return tuple(text for _, text in spelled), tuple(text for _, _, text in ended), tuple(year for year, _, _ in ended)


def _lines(chance: Random) -> list[_Line]:
    thrown = _throw(chance, 1_000)
    days = (LAST_KNOWN_DAY - FIRST_DAY).days
    begin = FIRST_DAY + timedelta(days=_throw(chance, days))
    if thrown < _OPEN_PER_MILLE:
        return [(begin, None, _moment(chance, begin))]
    thrown -= _OPEN_PER_MILLE
    if thrown < _PAST_PER_MILLE:
        end = min(begin + timedelta(days=_throw(chance, 2_000)), LAST_KNOWN_DAY)
        return [(begin, end, _moment(chance, end))]
    thrown -= _PAST_PER_MILLE
    if thrown < _ENDING_PER_MILLE:
        end = date(FUTURE_YEARS[_throw(chance, len(FUTURE_YEARS))], 12, 31)
        return [(begin, end, _moment(chance, begin))]
    thrown -= _ENDING_PER_MILLE
    if thrown < _FUTURE_PER_MILLE:
        begin = date(FUTURE_YEARS[_throw(chance, len(FUTURE_YEARS))], 1 + _throw(chance, 12), 1)
        end_or_none = None if _throw(chance, 2) else begin + timedelta(days=_throw(chance, 2_000))
        return [(begin, end_or_none, _moment(chance, LAST_KNOWN_DAY - timedelta(days=_throw(chance, 300))))]
    return _several_lines(chance)


def _several_lines(chance: Random) -> list[_Line]:
    # Equal parts of the time, and in each a line that leaves its last days free: never adjacent (rule 32).
    count = _LINES_OF_THROW[_throw(chance, len(_LINES_OF_THROW))]
    part = (LAST_KNOWN_DAY - FIRST_DAY).days // count
    lines: list[_Line] = []
    for place in range(count):
        begin = FIRST_DAY + timedelta(days=place * part + _throw(chance, part // 2))
        if place == count - 1 and _throw(chance, 2):
            lines.append((begin, None, _moment(chance, begin)))
        else:
            end = begin + timedelta(days=_throw(chance, part // 2 - 1))
            lines.append((begin, end, _moment(chance, end)))
    return lines


def _moment(chance: Random, day: date) -> datetime:
    """When a line was declared: on that day or in the weeks after, by day."""
    known = min(day + timedelta(days=_throw(chance, 40)), LAST_KNOWN_DAY)
    return datetime.combine(known, time(6), UTC) + timedelta(seconds=_throw(chance, 43_200))


def _throw(chance: Random, sides: int) -> int:
    return chance.getrandbits(64) % sides  # the only call whose algorithm is fixed for every Python


def _spelled(lines: list[_Line]) -> tuple[int | None, LineSetText]:
    periods = " ".join(f"{begin}/{end or ''}" for begin, end, _ in lines)
    changes = " ".join(f"{moment:%Y-%m-%dT%H:%M:%S}.000Z" for _, _, moment in lines)
    last_end = lines[-1][1]
    last_year = last_end.year if last_end is not None and last_end <= LAST_KNOWN_DAY else None
    return last_year, LineSetText(csv=f"{periods},{changes}\n", copy=copy_text(periods, changes))


def copy_text(periods: str, last_changes: str) -> str:
    """Both as COPY takes them, from how inscriptions.csv spells them, with tab between and line feed behind."""
    ranges = ",".join(
        f"[{begin},{end}]" if end else f"[{begin},)"
        for begin, _, end in (period.partition("/") for period in periods.split(" "))
    )
    return f"{{{ranges}}}\t{{{last_changes.replace(' ', ',')}}}\n"
