"""Answers as tables for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from cbss_inscription.domain.customer import InformationCbss
from cbss_inscription.domain.inscription import Inscription
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    Health,
    HealthCheckResult,
    Information,
    Result,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)

_GOOD = frozenset({StatusValue.OK, StatusValue.DATA_FOUND})


def print_result(console: Console, result: Result, information_cbss: InformationCbss | None) -> None:
    """Nothing; the answer stands on the console: status, number, anomalies, lines, ticket."""
    match result:
        case HealthCheckResult():
            _print_health(console, result)
        case ConsultResult():
            _print_status(console, result.status, result.ssin)
            _print_lines(console, result.inscriptions)
            if result.next is not None:
                console.print(f"More lines follow: --next {result.next}", markup=False, highlight=False)
        case WriteResult():
            _print_status(console, result.status, result.ssin)
            _print_anomalies(console, (*result.validation_errors, *result.anomalies))
            _print_lines(console, result.inscriptions)
    if information_cbss is not None:
        console.print(f"[dim]ticket {information_cbss.ticket_cbss}[/dim]", highlight=False)


def _print_status(console: Console, status: Status, ssin: SsinAnswer | None) -> None:
    colour = "green" if status.value in _GOOD else "yellow" if status.value is StatusValue.NO_DATA_FOUND else "red"
    console.print(
        f"[bold {colour}]{status.value}[/]  {status.code}  {_text(status.code)}{_named(status.information)}",
        highlight=False,
    )
    if ssin is not None:
        words = [ssin.current.formatted]
        if ssin.replaces is not None:
            words.append(f"replaces {ssin.replaces.formatted}")
        if ssin.canceled:
            words.append("canceled")
        console.print(f"SSIN  {', '.join(words)}", highlight=False)


def _print_anomalies(console: Console, anomalies: tuple[Anomaly, ...]) -> None:
    for anomaly in anomalies:
        severity = CATALOGUE[anomaly.code].severity
        console.print(
            f"{severity}  {anomaly.code}  {_text(anomaly.code)}{_named(anomaly.information)}", highlight=False
        )


def _print_lines(console: Console, lines: tuple[Inscription, ...]) -> None:
    if not lines:
        return
    table = Table("context", "from", "to", "last change (UTC)")
    if any(line.organization is not None for line in lines):
        table.add_column("organization")
    for line in lines:
        cells = [
            line.inscription_context,
            line.period.begin_date.isoformat(),
            line.period.end_date.isoformat() if line.period.end_date else "…",
            f"{line.last_change:%Y-%m-%d %H:%M:%S}" if line.last_change else "",
        ]
        table.add_row(*cells, *([line.organization.key] if line.organization else []))
    console.print(table)


def _print_health(console: Console, result: HealthCheckResult) -> None:
    colour = "green" if result.health is Health.OK else "red"
    console.print(f"[bold {colour}]{result.health}[/]  {result.component}  {result.location}", highlight=False)
    for check in result.checks:
        console.print(f"{check.health}  {check.name}  {check.detail or ''}", markup=False, highlight=False)


def _text(code: OutcomeCode) -> str:
    return CATALOGUE[code].texts["en"]


def _named(information: tuple[Information, ...]) -> str:
    fields = ", ".join(
        f"{field.field_name}={field.field_value}" if field.field_value is not None else field.field_name
        for field in information
    )
    return f" \\[{fields}]" if fields else ""
