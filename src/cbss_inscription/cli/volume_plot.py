"""A report of volumes as a plot: an SVG file of its own, without scripts, fonts or links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from cbss_inscription.client.dialect import one_line

WIDTH: Final = 1_120
"""Pixels, as all measures below."""
MARGIN: Final = 24
NAMES: Final = 330
"""For the names, left of the bars."""
BARS: Final = 400
ROW: Final = 26
BAR: Final = 16
CHARACTER: Final = 7
"""What a character of a name takes, at most."""
FULL_PERCENT_MIN: Final = 125
"""How far the scale of the agreed volumes reaches at least: that 100 is not its end."""
# Blue and vermilion are told apart by whoever does not see colours as most do.
_CALLS, _REFUSED, _LINE, _TEXT = "#0072b2", "#d55e00", "#111111", "#222222"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A row of the plot: admitted and refused calls, or the share of an agreed volume."""

    name: str
    value: float
    more: float = 0.0
    """Drawn behind `value`, in another colour: what was refused."""
    label: str


def plot(title: str, totals: Sequence[Bar], shares: Sequence[Bar]) -> str:
    """The SVG text: calls by name, and below them the shares of agreed volumes, in per cent, with a line at 100."""
    rows: list[str] = []
    y = MARGIN + ROW
    rows.append(_text(MARGIN, y - 8, title, size=17))
    if totals:
        longest = max(1.0, *(bar.value + bar.more for bar in totals))
        rows += _legend(y)
        y += ROW
        rows += _bars(totals, y, longest)
        y += ROW * len(totals)
    if shares:
        longest = max(FULL_PERCENT_MIN, *(bar.value for bar in shares))
        y += ROW
        rows.append(_text(MARGIN, y + BAR, "Agreed volumes: the fullest window, in per cent", size=14))
        y += ROW
        rows += _bars(shares, y, longest, labels_aligned=True)  # the line at 100 crosses none of them
        x = MARGIN + NAMES + BARS * 100 / longest
        bottom = y + ROW * len(shares)
        rows.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 4}" y2="{bottom}" stroke="{_LINE}" stroke-dasharray="4 3"/>'
        )
        rows.append(_text(x, bottom + 14, "100 %", anchor="middle"))
        y = bottom
    height = y + ROW + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" font-family="sans-serif" fill="{_TEXT}">\n<title>{_escaped(title)}</title>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(rows) + "\n</svg>\n"
    )


def _bars(bars: Sequence[Bar], y: int, longest: float, *, labels_aligned: bool = False) -> Iterator[str]:
    for number, bar in enumerate(bars):
        top = y + ROW * number
        left, scale = MARGIN + NAMES, BARS / longest
        yield f"<g><title>{_escaped(bar.name)}: {_escaped(bar.label)}</title>"
        yield _text(left - 8, top + BAR - 3, _shortened(bar.name), anchor="end")
        yield f'<rect x="{left}" y="{top}" width="{bar.value * scale:.1f}" height="{BAR}" fill="{_CALLS}"/>'
        if bar.more:
            x, width = left + bar.value * scale, bar.more * scale
            yield f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{_REFUSED}"/>'
        end = BARS if labels_aligned else (bar.value + bar.more) * scale
        yield _text(left + end + 6, top + BAR - 3, bar.label) + "</g>"


def _legend(y: int) -> Iterator[str]:
    for x, colour, word in ((MARGIN + NAMES, _CALLS, "admitted"), (MARGIN + NAMES + 110, _REFUSED, "refused")):
        yield f'<rect x="{x}" y="{y + 2}" width="12" height="12" fill="{colour}"/>'
        yield _text(x + 18, y + 12, word)


def _text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{_escaped(words)}</text>'


def _shortened(name: str) -> str:
    longest = (NAMES - MARGIN) // CHARACTER
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _escaped(words: str) -> str:
    return escape(one_line(words))
