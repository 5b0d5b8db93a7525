"""Answers as tables for people.

Everything goes to the console as `Text`: a string would be read for mark-up and for names of emojis, and parts of what
is shown were written by a server.
"""

from __future__ import annotations

import shlex

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from cbss_inscription.client.dialect import one_line
from cbss_inscription.domain.customer import InformationCbss
from cbss_inscription.domain.inscription import Inscription
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.mutation import Mutation
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    Health,
    HealthCheckResult,
    Information,
    MutationsResult,
    Result,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)

_DAY_CHARACTERS = len("2026-03-01")
_GOOD = frozenset({StatusValue.OK, StatusValue.DATA_FOUND})


def print_result(console: Console, result: Result, information_cbss: InformationCbss | None) -> None:
    """Nothing; the answer stands on the console: status, number, anomalies, lines, ticket."""
    match result:
        case HealthCheckResult():
            _print_health(console, result)
        case ConsultResult():
            _print_status(console, result.status, result.ssin)
            _print_lines(console, result.inscriptions)
            if result.data_filters:
                _print(console, f"The permission may withhold: {one_line(', '.join(result.data_filters))}")
            if result.next is not None:
                _print(console, f"More lines follow: --next {shlex.quote(one_line(result.next))}")
        case WriteResult():
            _print_status(console, result.status, result.ssin)
            _print_anomalies(console, (*result.validation_errors, *result.anomalies))
            _print_lines(console, result.inscriptions)
        case MutationsResult():
            _print_status(console, result.status, None)
            _print_mutations(console, result)
    if information_cbss is not None:
        _print(console, (f"ticket {information_cbss.ticket_cbss}", "dim"))


def _print_status(console: Console, status: Status, ssin: SsinAnswer | None) -> None:
    colour = "green" if status.value in _GOOD else "yellow" if status.value is StatusValue.NO_DATA_FOUND else "red"
    _print(console, (status.value, f"bold {colour}"), f"  {_told(status.code, status.information)}")
    if ssin is not None:
        words = [ssin.current.formatted]
        if ssin.replaces is not None:
            words.append(f"replaces {ssin.replaces.formatted}")
        if ssin.canceled:
            words.append("canceled")
        _print(console, f"SSIN  {', '.join(words)}")


def _print_anomalies(console: Console, anomalies: tuple[Anomaly, ...]) -> None:
    for anomaly in anomalies:
        _print(console, f"{CATALOGUE[anomaly.code].severity}  {_told(anomaly.code, anomaly.information)}")


def _print_lines(console: Console, lines: tuple[Inscription, ...]) -> None:
    if not lines:
        return
    # A narrow terminal folds the context and keeps the dates whole: both are there to be copied.
    table = Table(
        Column("context", overflow="fold"),
        Column("from", no_wrap=True),
        Column("to", no_wrap=True),
        Column("last change (UTC)", overflow="fold"),
    )
    if any(line.organization is not None for line in lines):
        table.add_column("organization")
    for line in lines:
        cells = [
            line.inscription_context,
            line.period.begin_date.isoformat(),
            line.period.end_date.isoformat() if line.period.end_date else "…",
            f"{line.last_change:%Y-%m-%d %H:%M:%S}" if line.last_change else "",
        ]
        table.add_row(*map(Text, cells), *([Text(line.organization.key)] if line.organization else []))
    console.print(table)


def _print_mutations(console: Console, result: MutationsResult) -> None:
    if result.mutations:
        # At 80 columns a context stays whole: each has a line, and of the frame there is no more than the blanks.
        table = Table(
            Column("no.", justify="right", no_wrap=True),
            Column("event", no_wrap=True),
            Column("SSIN, current SSIN", no_wrap=True),
            Column("contexts", overflow="fold"),
            Column("recorded (UTC)", max_width=_DAY_CHARACTERS),
            box=SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            show_edge=False,
        )
        for mutation in result.mutations:
            cells = [
                str(mutation.sequence_number),
                mutation.event,
                f"{mutation.ssin.formatted}\n→ {_carries_on(mutation)}",
                "\n".join(mutation.inscription_contexts),
                f"{mutation.recorded_at:%Y-%m-%d %H:%M:%S}",
            ]
            table.add_row(*map(Text, cells))
        console.print(table)
    if result.status.value is not StatusValue.NO_RESULT:
        follow = "More follow" if result.more else "What comes later"
        _print(console, f"{follow}: --after {result.last_sequence_number}")


def _carries_on(mutation: Mutation) -> str:
    if mutation.event is LifeEvent.CANCELED:
        return "none"  # nobody may use the number any more (rule 15)
    return "same" if mutation.current_ssin == mutation.ssin else mutation.current_ssin.formatted


def _print_health(console: Console, result: HealthCheckResult) -> None:
    colour = {Health.OK: "green", Health.DEGRADED: "yellow", Health.NOK: "red"}[result.health]
    _print(console, (result.health, f"bold {colour}"), f"  {one_line(result.component)}  {one_line(result.location)}")
    for check in result.checks:
        _print(console, f"{check.health}  {one_line(check.name)}  {one_line(check.detail or '')}")


def _told(code: OutcomeCode, information: tuple[Information, ...]) -> str:
    fields = ", ".join(
        one_line(field.field_name if field.field_value is None else f"{field.field_name}={field.field_value}")
        for field in information
    )
    return f"{code}  {CATALOGUE[code].texts['en']}" + (f" [{fields}]" if fields else "")


def _print(console: Console, *parts: str | tuple[str, str]) -> None:
    console.print(Text.assemble(*parts), highlight=False)
