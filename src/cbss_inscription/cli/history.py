"""`cbss-inscription history`: what was known of a person on a date, every change of a line, and whether it all fits."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cbss_inscription.cli.answers import print_json
from cbss_inscription.cli.arguments import Output, OutputFormat, SettingsFile, SsinText, read_ssin
from cbss_inscription.cli.database import T, with_database
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.domain.customer import CustomerIdentification, InvalidCustomer
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.history import (
    CHANGES_MAX,
    Arrival,
    ChangesPage,
    Discrepancy,
    KnownLines,
    LineSetChange,
    Verification,
)
from cbss_inscription.domain.inscription import Inscription, InscriptionContext, InvalidInscriptionContext
from cbss_inscription.domain.period import Period, timestamp
from cbss_inscription.domain.ssin import Ssin

if TYPE_CHECKING:
    from typer._click.core import Context  # typer has a click of its own, and no public name for this type

    from cbss_inscription.storage.history import StoredHistory


class _ShowByDefault(TyperGroup):
    """`history SSIN` is `history show SSIN`."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in self.get_help_option_names(ctx):
            args = ["show", *args]
        return super().parse_args(ctx, args)


history = typer.Typer(
    cls=_ShowByDefault,
    no_args_is_help=True,
    help="What was known of a person on a date, and every change of a line: `history SSIN` is `history show SSIN`.",
)


@history.command()
def show(
    ssin: SsinText,
    *,
    settings: SettingsFile,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="DATE|TIME",
            help="What was known then, instead of the changes: the end of a day in UTC (2026-03-01), or a moment, in "
            "UTC unless it says otherwise (2026-03-01T12:00:00.123).",
        ),
    ] = None,
    customer: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only this organisation's lines: 0123456789 or 17/1.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Only this inscription context.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only the changes after this one.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=CHANGES_MAX, help="How many changes at most.")] = CHANGES_MAX,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Every change of a person's lines, newest last; or with --as-of the lines that were known then."""
    number, who, which = read_ssin(ssin), _customer(customer), _context(context)
    if as_of is not None:
        moment = _moment(as_of, now=datetime.now(UTC))
        contexts = None if which is None else (which,)

        async def look(stored: StoredHistory) -> tuple[KnownLines, tuple[Arrival, ...]]:
            known = await stored.known_as_of(number, moment, customer=who, contexts=contexts)
            return known, await stored.arrivals_at(known.current)

        known, arrivals = _ask(settings, look)
        _write(output, _known_as_json(number, known, arrivals), _known_as_text(number, known, arrivals))
        found = bool(known.lines)
    else:
        page = _ask(
            settings, lambda stored: stored.changes_of(number, customer=who, context=which, after=after, limit=limit)
        )
        _write(output, _changes_as_json(number, page), _changes_as_text(number, page))
        found = bool(page.changes)
    raise typer.Exit(ExitCode.DONE if found else ExitCode.NOTHING_FOUND)


@history.command()
def verify(
    ssin: Annotated[str | None, typer.Argument(metavar="[SSIN]", help="Only this number; - reads it.")] = None,
    *,
    settings: SettingsFile,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Does the history replay to the lines as they are now? Status 3 when it does not."""
    number = None if ssin is None else read_ssin(ssin)
    verification = _ask(settings, lambda stored: stored.verify(number))
    _write(output, _verification_as_json(verification), _verification_as_text(verification))
    raise typer.Exit(ExitCode.REFUSED if verification.discrepancies else ExitCode.DONE)


def _ask(settings: Path, question: Callable[[StoredHistory], Awaitable[T]]) -> T:
    """The answer of the history in the database that the settings name."""
    from cbss_inscription.registers.resolution import HOPS_MAX
    from cbss_inscription.storage.history import StoredHistory

    return with_database(settings, lambda _, database: question(StoredHistory(database, hops_max=HOPS_MAX)))


# -- what a person typed -----------------------------------------------------------------------------------------------


def _customer(text: str | None) -> CustomerIdentification | None:
    try:
        return None if text is None else CustomerIdentification.of_key(text)
    except InvalidCustomer as error:
        raise UsageError(f"the customer: {error}") from error


def _context(text: str | None) -> InscriptionContext | None:
    try:
        return None if text is None else InscriptionContext(text)
    except InvalidInscriptionContext as error:
        raise UsageError("--context is no inscription context") from error


def _moment(text: str, *, now: datetime) -> datetime:
    """The moment that `text` spells: a day counts until its end in UTC, of today until now.

    Raises `UsageError` for what is neither, and for the future, of which nothing is known.
    """
    try:
        day = date.fromisoformat(text)
        moment = datetime.combine(day, time.max, UTC)
        if day == now.date():
            moment = now
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise UsageError("--as-of is neither a date (2026-03-01) nor a time (2026-03-01T12:00:00)") from error
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        try:
            moment = moment.astimezone(UTC)
        except OverflowError as error:
            raise UsageError("--as-of is out of the calendar") from error
    if moment > now:
        raise UsageError("--as-of lies in the future, of which nothing is known")
    return moment


# -- what is printed ---------------------------------------------------------------------------------------------------


def _write(output: OutputFormat, value: dict[str, Any], text: str) -> None:
    if output is OutputFormat.JSON:
        print_json(value)
    else:
        sys.stdout.write(f"{text}\n")


def _known_as_text(asked: Ssin, known: KnownLines, arrivals: tuple[Arrival, ...]) -> str:
    title = f"SSIN  {known.current.formatted}"
    if known.replaces is not None:
        title += f", replaces {asked.formatted}"
    rows = [f"{title}, as of {_time(known.as_of)}"]
    rows += [
        f"{line.organization.key if line.organization else ''}  {line.inscription_context}  {_period(line.period)}"
        f"  last change {_time(line.last_change)}"
        for line in known.lines
    ]
    if not known.lines:
        rows.append("Nothing was known under this number then." if arrivals else "Nothing was known.")
        rows += [_continues(arrival) for arrival in arrivals if arrival.arrived_at > known.as_of]
    return "\n".join(rows)


def _continues(arrival: Arrival) -> str:
    return f"It continues {arrival.ssin.formatted} since {_time(arrival.arrived_at)}: ask for that number too."


def _changes_as_text(asked: Ssin, page: ChangesPage) -> str:
    rows = [f"SSIN  {asked.formatted}"]
    for change in page.changes:
        rows += [
            f"{_time(change.changed_at)}  {change.operation}  {change.customer.key}  {change.inscription_context}",
            f"  before  {_periods(change.before)}",
            f"  after   {_periods(change.after)}",
            *_direction(change, page),
            f"  ticket  {change.ticket_cbss}",
            *(f"  {name}  {value}" for name, value in _circumstances(change)),
        ]
    if not page.changes:
        rows.append("No change.")
    if page.more:
        rows.append(f"More changes follow: --after {page.changes[-1].change_number}")
    rows += [_continues(arrival) for arrival in page.arrivals]
    if page.replaced_by is not None:
        rows.append(f"The lines went to {page.replaced_by.formatted}, where the history goes on.")
    return "\n".join(rows)


def _direction(change: LineSetChange, page: ChangesPage) -> tuple[str, ...]:
    other = page.other_number(change)
    if other is None:
        return ()
    return (f"  {'to' if other == page.replaced_by else 'from'}  {other.formatted}",)


def _verification_as_text(verification: Verification) -> str:
    if not verification.discrepancies:
        return "The history replays to the lines as they are."
    rows = [
        f"{item.kind}  {item.ssin.formatted}  {item.customer}  {item.inscription_context}"
        + (f"  change {item.change_number}" if item.change_number is not None else "")
        for item in verification.discrepancies
    ]
    return "\n".join(rows if verification.complete else [*rows, "There are more."])


def _circumstances(change: LineSetChange) -> list[tuple[str, str]]:
    from cbss_inscription.client.dialect import one_line

    told = {
        "customer ticket": change.customer_ticket,
        "legal context": change.legal_context,
        "application": change.application_urn,
        "CBE number": change.cbe_number,
    }
    return [(name, one_line(value)) for name, value in told.items() if value is not None]


def _known_as_json(asked: Ssin, known: KnownLines, arrivals: tuple[Arrival, ...]) -> dict[str, Any]:
    return {
        "as_of": timestamp(known.as_of),
        "ssin": known.current.digits,
        "replaces": asked.digits if known.replaces is not None else None,
        "continues": [_arrival_as_json(arrival) for arrival in arrivals],
        "inscriptions": [_line_as_json(line) for line in known.lines],
    }


def _arrival_as_json(arrival: Arrival) -> dict[str, Any]:
    return {"ssin": arrival.ssin.digits, "since": timestamp(arrival.arrived_at)}


def _line_as_json(line: Inscription) -> dict[str, Any]:
    return {
        "customer": line.organization.key if line.organization else None,
        "inscription_context": str(line.inscription_context),
        **_period_as_json(line.period),
        "last_change": timestamp(line.last_change) if line.last_change is not None else None,
    }


def _changes_as_json(asked: Ssin, page: ChangesPage) -> dict[str, Any]:
    return {
        "ssin": asked.digits,
        "replaced_by": page.replaced_by.digits if page.replaced_by else None,
        "continues": [_arrival_as_json(arrival) for arrival in page.arrivals],
        "more_after": page.changes[-1].change_number if page.more else None,
        "changes": [
            {
                "change_number": change.change_number,
                "changed_at": timestamp(change.changed_at),
                "operation": change.operation,
                "other_ssin": other.digits if (other := page.other_number(change)) is not None else None,
                "customer": change.customer.key,
                "inscription_context": str(change.inscription_context),
                "before": [_period_as_json(period) for period in change.before],
                "after": [_period_as_json(period) for period in change.after],
                "ticket_cbss": str(change.ticket_cbss),
                "customer_ticket": change.customer_ticket,
                "legal_context": change.legal_context,
                "application_urn": change.application_urn,
                "cbe_number": change.cbe_number,
            }
            for change in page.changes
        ],
    }


def _verification_as_json(verification: Verification) -> dict[str, Any]:
    return {
        "complete": verification.complete,
        "discrepancies": [_discrepancy_as_json(item) for item in verification.discrepancies],
    }


def _discrepancy_as_json(item: Discrepancy) -> dict[str, Any]:
    return {
        "kind": item.kind.value,
        "ssin": item.ssin.digits,
        "customer": item.customer,
        "inscription_context": item.inscription_context,
        "change_number": item.change_number,
    }


def _period_as_json(period: Period) -> dict[str, str | None]:
    return {
        "begin_date": period.begin_date.isoformat(),
        "end_date": period.end_date.isoformat() if period.end_date else None,
    }


def _periods(periods: tuple[Period, ...]) -> str:
    return ", ".join(map(_period, periods)) or "nothing"


def _period(period: Period) -> str:
    return f"{period.begin_date} to {period.end_date or '…'}"


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC" if moment else ""
