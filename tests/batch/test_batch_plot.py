"""What a plot of a batch shows: as many lines as were answered, over the time of day, with axes that can be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription.cli.batch_plot import BOTTOM, LEFT, RIGHT, TOP, Point, plot

SVG = "{http://www.w3.org/2000/svg}"
BEGIN = datetime(2026, 3, 2, 23, 59, 40, tzinfo=UTC)
CHARACTER = 7.0
"""What a character of a label takes at most, in pixels."""


def drawn(points: list[Point], said: str = "done") -> etree._Element:
    return etree.fromstring(plot("Lines answered a second", said, points).encode())


def looks_of(*steps: tuple[float, int]) -> list[Point]:
    """A look for each step: seconds after the one before, and lines answered meanwhile."""
    points = [(BEGIN, 0)]
    for seconds, lines in steps:
        points.append((points[-1][0] + timedelta(seconds=seconds), points[-1][1] + lines))
    return points


def labels(root: etree._Element, anchor: str) -> list[tuple[float, float, str]]:
    """Where the labels along an axis are, and their words; the unit above or below it is none of them."""
    found = [one for one in root.iter(f"{SVG}text") if one.get("text-anchor") == anchor]
    return [
        (float(one.get("x", "")), float(one.get("y", "")), one.text or "")
        for one in found
        if one.text != "lines/s" and not (one.text or "").startswith("time of day")
    ]


def curve(root: etree._Element) -> list[tuple[float, float]]:
    (line,) = root.iter(f"{SVG}polyline")
    return [(float(x), float(y)) for x, y in (corner.split(",") for corner in line.get("points", "").split())]


@example([(1.0, 1)])
@example([(1.0, 0)] * 20 + [(1.0, 17_000)] * 90 + [(30.0, 0)] + [(1.0, 15_000)] * 120)
@example([(700.0, 10_000_000)] * 300)
@given(st.lists(st.tuples(st.floats(0.5, 5_000), st.integers(0, 100_000)), min_size=1, max_size=300))
@settings(deadline=None)
def test_plot_shows_as_many_lines_as_were_answered(steps: list[tuple[float, int]]) -> None:
    """What is below the curve is what was answered, however many looks are one step of it; the curve stays between its
    axes, and no label is over another (rule 37).
    """
    points = looks_of(*steps)
    root, lines = drawn(points), points[-1][1]
    if not lines:
        assert not list(root.iter(f"{SVG}polyline"))
        return
    corners, rates = curve(root), labels(root, "end")
    assert all(LEFT - 0.1 <= x <= RIGHT + 0.1 and TOP - 0.1 <= y <= BOTTOM + 0.1 for x, y in corners)
    seconds = (points[-1][0] - BEGIN).total_seconds() / (RIGHT - LEFT)
    most = float(rates[-1][2].replace(" ", "")) / (BOTTOM - TOP)
    below = sum((later - x) * seconds * (BOTTOM - y) * most for (x, y), (later, _) in pairwise(corners))
    assert below == pytest.approx(lines, rel=0.05, abs=most * seconds * (RIGHT - LEFT) * 0.1)
    assert rates[0][2] == "0"
    assert 2 <= len(rates) <= 6
    assert all(x - CHARACTER * len(words) >= 0 for x, _, words in rates)
    times = labels(root, "middle")
    assert all(
        later - x > CHARACTER * max(len(words), len(more)) for (x, _, words), (later, _, more) in pairwise(times)
    )


def test_plot_has_round_numbers_and_times_of_day() -> None:
    """Rates and times on the axes are round, and the day is told where it begins (rule 37)."""
    root = drawn(looks_of(*[(1.0, 17_321)] * 60))
    assert [words for *_, words in labels(root, "end")] == ["0", "5 000", "10 000", "15 000", "20 000"]
    assert [words for *_, words in labels(root, "middle")] == [
        *("23:59:40", "23:59:50", "03 Mar", "00:00:10", "00:00:20", "00:00:30", "00:00:40"),
    ]
    words = {one.text for one in root.iter(f"{SVG}text")}
    assert {"lines/s", "time of day (UTC), from 02 Mar 2026"} <= words


def test_plot_says_what_it_shows() -> None:
    """To whoever does not see it, a plot is its title and how the batch stands, whatever is in that; nothing in it runs
    or is loaded (rule 37).
    """
    root = drawn(looks_of((1.0, 10)), said='done  batch 1 of <script>"&')
    assert [root.findtext(f"{SVG}{name}") for name in ("title", "desc")] == [
        "Lines answered a second",
        'done  batch 1 of <script>"&',
    ]
    assert root.get("aria-labelledby") == "title said"
    assert {etree.QName(element).localname for element in root.iter(etree.Element)} <= {
        *("svg", "title", "desc", "rect", "text", "line", "polygon", "polyline"),
    }


@pytest.mark.parametrize("points", [[(BEGIN, 3)], [(BEGIN, 3), (BEGIN + timedelta(seconds=1), 3)]])
def test_plot_of_nothing_says_so(points: list[Point]) -> None:
    """Where nothing was answered while it was watched no rate is drawn, not that of nothing (rule 37)."""
    root = drawn(points)
    assert not list(root.iter(f"{SVG}polyline"))
    assert any("not watched for long enough" in (one.text or "") for one in root.iter(f"{SVG}text"))
