"""How fast a batch was while it was watched, as a plot: an SVG file of its own, without scripts, fonts or links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import pairwise
from math import ceil, log10
from typing import Final

from cbss_inscription.cli.batch_tables import grouped

WIDTH: Final = 960
"""Of the plot, in pixels, as all measures below."""
HEIGHT: Final = 340
LEFT: Final = 72
RIGHT: Final = 936
TOP: Final = 88
BOTTOM: Final = 284
BARS_MAX: Final = 144
"""Steps of the curve; where it was watched for long each is many looks together, which are noise one by one."""
RATES_MAX: Final = 5
TIMES_MAX: Final = 8
"""Lines that the plot is divided by, upwards and along."""
DAY_SECONDS: Final = 86_400
_SECONDS: Final = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1_800,
    3_600,
    7_200,
    10_800,
    21_600,
    43_200,
    DAY_SECONDS,
)
"""What may be between two times."""
_CURVE, _LINE, _TEXT = "#0072b2", "#d4d4d4", "#222222"

Point = tuple[datetime, int]
"""When it was looked, and how many lines were answered by then."""


def plot(title: str, said: str, points: Sequence[Point]) -> str:
    """The SVG text: lines answered a second, over the time of day; above it the title, and what else is said."""
    bars = _bars(points)
    begin, end = (bars[0][0], bars[-1][1]) if bars else (datetime.now(UTC), datetime.now(UTC))
    seconds = (end - begin).total_seconds()
    step = _rate_step(max((rate for *_, rate in bars), default=0.0))
    most = step * max(1, ceil(max((rate for *_, rate in bars), default=0.0) / step))

    def x_of(moment: datetime) -> float:
        return LEFT + (RIGHT - LEFT) * (moment - begin).total_seconds() / seconds

    def y_of(rate: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * rate / most

    rows = [_text(LEFT, 30, title, size=17), _text(LEFT, 52, said, size=13)]
    if not bars:
        rows.append(_text(LEFT, TOP + 40, "It was not watched for long enough to tell a rate.", size=13))
    else:
        rows.append(_text(LEFT - 8, TOP - 14, "lines/s", anchor="end"))
        for rate in range(0, most + 1, step):
            rows.append(_line(LEFT, RIGHT, y_of(rate), y_of(rate)))
            rows.append(_text(LEFT - 8, y_of(rate) + 4, grouped(rate), anchor="end"))
        for moment, words in _times(begin, end):
            rows.append(_line(x_of(moment), x_of(moment), BOTTOM, BOTTOM + 5))
            rows.append(_text(x_of(moment), BOTTOM + 20, words, anchor="middle"))
        rows.append(_text(RIGHT, BOTTOM + 42, f"time of day (UTC), from {begin:%d %b %Y}", anchor="end"))
        corners = [(x_of(at), y_of(rate)) for since, until, rate in bars for at in (since, until)]
        curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        area = f"{LEFT},{BOTTOM} {curve} {RIGHT},{BOTTOM}"
        rows.append(f'<polygon points="{area}" fill="{_CURVE}" fill-opacity="0.18"/>')
        rows.append(f'<polyline points="{curve}" fill="none" stroke="{_CURVE}" stroke-width="1.5"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-labelledby="title said" font-family="sans-serif" fill="{_TEXT}">\n'
        f'<title id="title">{escape(title)}</title>\n<desc id="said">{escape(said)}</desc>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(rows) + "\n</svg>\n"
    )


def _bars(points: Sequence[Point]) -> list[tuple[datetime, datetime, float]]:
    """Since when, until when, and how many lines a second: as many of one length as tell something."""
    begin, end = points[0][0], points[-1][0]
    count = min(BARS_MAX, len(points) - 1)
    if count < 1 or points[0][1] == points[-1][1]:
        return []
    width = (end - begin) / count
    edges = [begin + width * number for number in range(count + 1)]
    lines = list(_lines_at(edges, points))
    return [
        (since, until, (later - before) / width.total_seconds())
        for (since, until), (before, later) in zip(pairwise(edges), pairwise(lines), strict=True)
    ]


def _lines_at(moments: Sequence[datetime], points: Sequence[Point]) -> Iterator[float]:
    """How many lines were answered at each of some moments, in their order; between two looks as many at any time."""
    looks = pairwise(points)
    (since, before), (until, later) = next(looks)
    for moment in moments:
        while moment > until and (look := next(looks, None)) is not None:
            (since, before), (until, later) = look
        yield before + (later - before) * min(1.0, (moment - since) / (until - since))


def _rate_step(most: float) -> int:
    """What is between two lines upwards: 1, 2 or 5, or that by a power of ten."""
    power = int(10 ** max(0, int(log10(max(most, 1.0))) - 1))
    return next(step for step in (power * one for one in (1, 2, 5, 10, 20, 50)) if most / step <= RATES_MAX)


def _times(begin: datetime, end: datetime) -> Iterator[tuple[datetime, str]]:
    """The round times in between, and how they are told: by their day where it begins."""
    seconds = (end - begin).total_seconds()
    step = next(
        (one for one in _SECONDS if seconds / one <= TIMES_MAX), DAY_SECONDS * ceil(seconds / DAY_SECONDS / TIMES_MAX)
    )
    moment = datetime.fromtimestamp(ceil(begin.timestamp() / step) * step, UTC)
    while moment <= end:
        is_midnight = moment.timestamp() % DAY_SECONDS == 0
        yield moment, f"{moment:%d %b}" if is_midnight else f"{moment:%H:%M:%S}" if step < 60 else f"{moment:%H:%M}"
        moment += timedelta(seconds=step)


def _line(x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" stroke="{_LINE}"/>'


def _text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(words)}</text>'
