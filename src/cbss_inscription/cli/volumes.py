"""`cbss-inscription volumes`: how many calls were counted, and how full the agreed volumes are (SEC-57)."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cbss_inscription.cli.answers import print_json
from cbss_inscription.cli.arguments import DATE_FORMATS, Output, OutputFormat, SettingsFile
from cbss_inscription.cli.database import with_database
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.access import AccessRules, AgreedVolume, VolumeMode, VolumeWindow
from cbss_inscription.governance.volumes import CountedBy, CountedTotal, CountedWindow, VolumeKey, window_start

if TYPE_CHECKING:
    from cbss_inscription.app.settings import Settings
    from cbss_inscription.storage.database import Database

BAR_CHARACTERS: Final = 24
"""Length of the longest bar on a terminal."""
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"

volumes = typer.Typer(no_args_is_help=True, help="How many calls were counted, and how full the agreed volumes are.")


class ReportFormat(StrEnum):
    """For whom a report is written: people, programs, or spreadsheets."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreedUse:
    """An agreed volume and its fullest window in the time that was asked; None when nothing was counted."""

    key: VolumeKey
    volume: AgreedVolume
    fullest: CountedWindow | None

    @property
    def percent(self) -> float:
        """How full that window is."""
        return 0.0 if self.fullest is None else self.fullest.calls * 100 / self.volume.limit

    @property
    def words(self) -> str:
        """What was agreed, as a person says it."""
        one = {VolumeWindow.HOUR: "an hour", VolumeWindow.DAY: "a day", VolumeWindow.MONTH: "a month"}
        soft = ", soft" if self.volume.mode is VolumeMode.SOFT else ""
        operation = f" {self.volume.operation}" if self.volume.operation else ""
        return f"{self.volume.limit}{operation} {one[self.volume.window]}{soft}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was counted in a time, and the agreed volumes beside it, the fullest first."""

    by: CountedBy
    since: datetime
    until: datetime
    totals: Sequence[CountedTotal]
    agreed: Sequence[AgreedUse]


@volumes.command()
def report(
    *,
    settings: SettingsFile,
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=DATE_FORMATS, help="The first day, in UTC; by default the first of this month."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=DATE_FORMATS, help="The last day, in UTC; by default today.")
    ] = None,
    by: Annotated[CountedBy, typer.Option(help="CountedBy what calls are added up.")] = CountedBy.PERMISSION,
    output: Annotated[
        ReportFormat, typer.Option("--format", help="For people, for programs, or the counts for a spreadsheet.")
    ] = ReportFormat.TEXT,
    svg: Annotated[Path | None, typer.Option(help="A file for a plot of the report.")] = None,
) -> None:
    """Count the calls of some days, admitted and refused, and hold them against what was agreed on."""
    now = datetime.now(UTC)
    today = window_start(VolumeWindow.DAY, now)
    first = since.replace(tzinfo=UTC) if since else window_start(VolumeWindow.MONTH, now)
    last = until.replace(tzinfo=UTC) if until else today
    if last < first:
        raise UsageError("--until is before --from")

    async def look(read: Settings, database: Database) -> Report:
        return await _report(read, database, by=by, since=first, until=last + timedelta(days=1))

    found = with_database(settings, look)
    match output:
        case ReportFormat.JSON:
            print_json(_as_json(found))
        case ReportFormat.CSV:
            sys.stdout.write(_as_csv(found))
        case ReportFormat.TEXT:
            _print(found)
    if svg is not None:
        svg.write_text(_as_svg(found), encoding="utf-8")
    if not found.totals and not found.agreed:
        raise typer.Exit(ExitCode.NOTHING_FOUND)


@volumes.command("now")
def now_(*, settings: SettingsFile, output: Output = OutputFormat.TEXT) -> None:
    """Show how full every agreed volume is in its window of this moment."""

    async def look(read: Settings, database: Database) -> list[AgreedUse]:
        return await _agreed(read, database, since=None, until=datetime.now(UTC))

    found = with_database(settings, look)
    if output is OutputFormat.JSON:
        print_json([_use_as_json(use) for use in found])
    else:
        _print_agreed(found)
    if not found:
        raise typer.Exit(ExitCode.NOTHING_FOUND)


async def _report(settings: Settings, database: Database, *, by: CountedBy, since: datetime, until: datetime) -> Report:
    from cbss_inscription.storage.volumes import StoredVolumes

    totals = await StoredVolumes(database).totals(by, since=since, until=until)
    if by is CountedBy.MONTH:
        totals.sort(key=lambda total: total.name)
    agreed = await _agreed(settings, database, since=since, until=until)
    return Report(by=by, since=since, until=until, totals=totals, agreed=agreed)


async def _agreed(
    settings: Settings, database: Database, *, since: datetime | None, until: datetime
) -> list[AgreedUse]:
    """Every volume of the rules in force with its fullest window; without `since` that of the moment `until`."""
    from cbss_inscription.app.reloading import rules_of
    from cbss_inscription.storage.volumes import StoredVolumes

    stored, found = StoredVolumes(database), []
    for key, volume in _volumes_of(rules_of(settings)):
        start = window_start(volume.window, until) if since is None else since
        fullest = await stored.fullest(key, volume, since=start, until=until)
        found.append(AgreedUse(key=key, volume=volume, fullest=fullest))
    return sorted(found, key=lambda use: -use.percent)


def _volumes_of(rules: AccessRules) -> list[tuple[VolumeKey, AgreedVolume]]:
    return [(VolumeKey.of(permission), volume) for permission in rules.permissions for volume in permission.volumes]


# -- what is printed ---------------------------------------------------------------------------------------------------


def _print(found: Report) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from cbss_inscription.client.dialect import one_line

    sys.stdout.write(f"{_title(found)}\n")
    if not found.totals:
        sys.stdout.write("Nothing was counted.\n")
    else:
        number = {"justify": "right", "no_wrap": True}
        table = Table(
            Column(found.by.value, overflow="fold"),
            Column("calls", **number),  # type: ignore[arg-type]  # a mapping of both kinds
            Column("refused", **number),  # type: ignore[arg-type]  # likewise
            Column("", no_wrap=True),
        )
        most = max(1, *(total.calls for total in found.totals))
        for total in found.totals:
            cells = [one_line(total.name), str(total.calls), str(total.refused), _bar(total.calls / most)]
            table.add_row(*map(Text, cells))
        Console().print(table)
    if found.agreed:
        _print_agreed(found.agreed)


def _print_agreed(agreed: Sequence[AgreedUse]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from cbss_inscription.client.dialect import one_line

    if not agreed:
        sys.stdout.write("No volume is agreed on.\n")
        return
    table = Table(
        Column("permission", overflow="fold"),
        Column("agreed", overflow="fold"),
        Column("used", justify="right", no_wrap=True),
        Column("%", justify="right", no_wrap=True),
        Column("refused", justify="right", no_wrap=True),
        Column("since (UTC)", overflow="fold"),
        Column("", no_wrap=True),
    )
    for use in agreed:
        fullest = use.fullest
        cells = [
            one_line(_name(use.key)),
            use.words,
            str(fullest.calls if fullest else 0),
            f"{use.percent:.0f}",
            str(fullest.refused if fullest else 0),
            f"{fullest.start:%Y-%m-%d %H:%M}" if fullest else "",
            _bar(min(use.percent, 100) / 100, characters=BAR_CHARACTERS // 2),
        ]
        table.add_row(*map(Text, cells))
    Console().print(table)


def _bar(share: float, *, characters: int = BAR_CHARACTERS) -> str:
    """A bar of so many characters for the whole, in steps of an eighth; something is never nothing."""
    eighths = max(round(share * characters * 8), 1 if share else 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _title(found: Report) -> str:
    last = found.until - timedelta(days=1)
    return f"Calls by {found.by.value}, {found.since:%Y-%m-%d} to {last:%Y-%m-%d} (UTC)"


def _name(key: VolumeKey) -> str:
    return f"{key.permission} for {key.customer}"


def _as_json(found: Report) -> dict[str, Any]:
    return {
        "from": found.since.date().isoformat(),
        "until": (found.until - timedelta(days=1)).date().isoformat(),
        "by": found.by.value,
        "totals": [{"name": one.name, "calls": one.calls, "refused": one.refused} for one in found.totals],
        "agreed": [_use_as_json(use) for use in found.agreed],
    }


def _use_as_json(use: AgreedUse) -> dict[str, Any]:
    return {
        "permission": use.key.permission,
        "customer": use.key.customer,
        "operation": use.volume.operation.value if use.volume.operation else None,
        "window": use.volume.window.value,
        "limit": use.volume.limit,
        "mode": use.volume.mode.value,
        "since": use.fullest.start.isoformat() if use.fullest else None,
        "calls": use.fullest.calls if use.fullest else 0,
        "refused": use.fullest.refused if use.fullest else 0,
        "percent": round(use.percent, 1),
    }


def _as_csv(found: Report) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([found.by.value, "calls", "refused"])
    writer.writerows([one.name, one.calls, one.refused] for one in found.totals)
    return text.getvalue()


def _as_svg(found: Report) -> str:
    from cbss_inscription.cli.volume_plot import Bar, plot

    totals = [
        Bar(
            name=one.name,
            value=one.calls,
            more=one.refused,
            label=f"{one.calls}, {one.refused} refused" if one.refused else str(one.calls),
        )
        for one in found.totals
    ]
    shares = [
        Bar(name=_name(use.key), value=use.percent, label=f"{use.percent:.0f} % of {use.words}") for use in found.agreed
    ]
    return plot(_title(found), totals, shares)
