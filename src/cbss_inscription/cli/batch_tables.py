"""How a batch stands, for people: progress, and a table of outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from cbss_inscription.cli.batch_reasons import FILE_NAME_ADVICE, refusal_text
from cbss_inscription.client.dialect import one_line
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode

MINUTES_FROM_SECONDS: Final = 120
"""From when on a time is told in hours, minutes and seconds."""
_AT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "arriving": "in {where}, without its manifest: put that beside it when the file is whole",
        "waiting": "in {where}, to be taken in",
        "misnamed": "in {where}, and never taken in by that name: " + FILE_NAME_ADVICE,
        "refused": "{where} says why",
    }
)
"""Where a file of the folder is, and what it waits for."""


class _Lines(ProgressColumn):
    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text()
        return Text(f"{grouped(task.completed)} of {grouped(task.total)}")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text() if speed is None else Text(f"{rate(speed)}/s")


def grouped(number: float) -> str:
    """A number for people: without what is behind the point, its thousands apart."""
    return f"{number:,.0f}".replace(",", " ")


def rate(a_second: float) -> str:
    """A rate for people, which is not nothing where it is little."""
    return grouped(a_second) if a_second >= 10 else f"{a_second:.1f}"


def seconds_of(state: dict[str, Any]) -> float | None:
    """How long a batch was worked on, from its first answers to its last; None before its end.

    And None for less than a second, of which no rate can be told.
    """
    began, ended = state.get("began_at"), state.get("finished_at")
    if began is None or ended is None:
        return None
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
    return seconds if seconds >= 1 else None


def progress_of_lines(console: Console) -> Progress:
    """A bar of lines answered, with their rate and the time that is left; at the end it is gone, for that is told."""
    whole = Column(no_wrap=True)
    columns = (
        TextColumn("{task.description}", table_column=whole),
        BarColumn(),
        _Lines(table_column=whole),
        _Rate(table_column=whole),
        TimeRemainingColumn(table_column=whole),
    )
    return Progress(*columns, console=console, transient=True)


def show_progress(progress: Progress, task: TaskID, state: dict[str, Any]) -> None:
    """Nothing; the bar shows how the batch stands now: up to its cut, where it is canceled, and what it waits for."""
    words = str(state.get("state", "?"))
    if state.get("waiting"):
        words += f", {grouped(state['waiting'])} wait"
    total = state.get("lines") if state.get("cut_after") is None else state["cut_after"]
    progress.update(task, completed=state.get("answered", 0), total=total, description=one_line(words))


def print_state(console: Console, state: dict[str, Any]) -> None:
    """Nothing; how the batch stands is on the console: state, counts, and outcomes with the first lines of each."""
    console.print(state_line(state), highlight=False)
    if state.get("refusal"):
        console.print(Text(one_line(refusal_text(state["refusal"]))), highlight=False)
    if state.get("outcomes"):
        print_outcomes(console, state["outcomes"])


def state_line(state: dict[str, Any]) -> Text:
    """How the batch stands, in a line: state, counts, and at the end time and rate."""
    head = Text.assemble((one_line(str(state.get("state", "?"))), "bold"))
    if "sequence_number" in state:
        head.append(f"  batch {state['sequence_number']} of {one_line(str(state['sender']))}")
        head.append(f", {grouped(state['answered'])} of {grouped(state['lines'])} lines answered")
        if state.get("waiting"):
            head.append(f", {grouped(state['waiting'])} wait for a source")
        if state.get("cut_after") is not None:
            head.append(f", cut after line {grouped(state['cut_after'])}")
        if (seconds := seconds_of(state)) is not None:
            told = f"{seconds:.1f} s" if seconds < MINUTES_FROM_SECONDS else str(timedelta(seconds=round(seconds)))
            head.append(f", in {told}, {rate(state['answered'] / seconds)} a second")
    elif "where" in state:
        head.append(f"  {one_line(state['file'])}: {_AT[state['state']].format(where=one_line(state['where']))}")
    elif "size_bytes" in state and "refusal" not in state:
        there, size = state["offset"], state["size_bytes"]
        if there == size:
            head.append(f"  all of its {grouped(size)} bytes are there, and it is taken in when its turn comes")
        else:
            head.append(f"  {grouped(there)} of {grouped(size)} bytes are there")
    return head


def print_outcomes(console: Console, outcomes: Sequence[dict[str, Any]]) -> None:
    """Nothing; the outcomes are on the console, the most frequent first."""
    table = Table(
        Column("code", no_wrap=True),
        Column("lines", justify="right", no_wrap=True),
        Column("outcome", overflow="fold"),
        Column("first lines", overflow="fold"),
    )
    for outcome in outcomes:
        code = one_line(str(outcome["code"]))
        cells = [code, grouped(outcome["lines"]), _words(code), ", ".join(map(str, outcome["first_lines"]))]
        table.add_row(*map(Text, cells))
    console.print(table)


def _words(code: str) -> str:
    try:
        return CATALOGUE[OutcomeCode(code)].texts["en"]
    except ValueError:
        return ""
