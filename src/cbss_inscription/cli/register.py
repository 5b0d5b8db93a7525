"""`cbss-inscription register`: what happens to files of persons, done by an operator of the registers."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn
from uuid import UUID

import typer

from cbss_inscription.cli.answers import person_as_json, print_json
from cbss_inscription.cli.arguments import (
    DATE_FORMATS,
    BirthDate,
    GenderCode,
    GivenNames,
    OperatorName,
    Output,
    OutputFormat,
    SettingsFile,
    SsinText,
    operator_name,
    read_incomplete_date,
    read_legal_data,
    read_ssin,
)
from cbss_inscription.cli.database import T, with_database
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import Gender, LegalData, Person, Register
from cbss_inscription.domain.life import FileChange, LifeEvent
from cbss_inscription.domain.period import timestamp
from cbss_inscription.domain.person_search import GivenNameMode
from cbss_inscription.domain.ssin import Ssin

if TYPE_CHECKING:
    from cbss_inscription.app.settings import Settings
    from cbss_inscription.client.asker import ServiceCall
    from cbss_inscription.client.breaker import Circuit
    from cbss_inscription.domain.history import Arrival
    from cbss_inscription.registers.life import Candidates, Done, NumberLife, Refused
    from cbss_inscription.storage.database import Database

CONNECTIONS: Final = 2
"""Connections of one command: the event's own, and that with which it reads the registers meanwhile."""
_GENDERS: Final = {Gender.UNKNOWN: "unknown", Gender.MALE: "male", Gender.FEMALE: "female"}
_EVENTS: Final = {event: event.value for event in LifeEvent} | {
    LifeEvent.RAD_IN: "taken into RAD",
    LifeEvent.RAD_OUT: "given back to the National Register",
}


class NewRegister(StrEnum):
    """In which register a file is made: RAD files are taken in, never made (rule 12)."""

    BIS = "bis"
    NR = "nr"


register = typer.Typer(
    no_args_is_help=True,
    help="The life of a number: make files, replace, cancel, take in, give back and correct them.",
)


@register.command()
def create(
    *,
    last_name: Annotated[str, typer.Option(help="The last name.")],
    given_name: GivenNames = None,
    birth_date: BirthDate = None,
    gender: GenderCode = None,
    kind: Annotated[NewRegister, typer.Option("--register", help="In which register.")] = NewRegister.BIS,
    given_name_mode: Annotated[
        GivenNameMode, typer.Option(help="How much of the given names must be alike to be the same person.")
    ] = GivenNameMode.FIRST_LETTER_FIRST_GIVENNAME,
    settings: SettingsFile,
    operator: OperatorName = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Make a file with a new number, unless a person like this one is known: then those are shown, status 3."""
    legal_data = read_legal_data(last_name, given_name, birth_date, gender)
    _do(
        settings,
        operator,
        output,
        lambda life, name: life.create(
            legal_data, register=Register(kind.value), given_name_mode=given_name_mode, operator=name
        ),
    )


@register.command()
def replace(
    ssin: SsinText,
    replaced_by: Annotated[str, typer.Argument(metavar="NEW_SSIN", help="The number that continues it.")],
    *,
    settings: SettingsFile,
    operator: OperatorName = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Replace a number by another, which takes over all its inscriptions."""
    old, new = read_ssin(ssin), read_ssin(replaced_by)
    _do(settings, operator, output, lambda life, name: life.replace(old, new, operator=name))


@register.command()
def cancel(
    ssin: SsinText, *, settings: SettingsFile, operator: OperatorName = None, output: Output = OutputFormat.TEXT
) -> None:
    """Cancel a number for good, without a successor."""
    number = read_ssin(ssin)
    _do(settings, operator, output, lambda life, name: life.cancel(number, operator=name))


@register.command()
def rad_in(
    ssin: SsinText,
    *,
    since: Annotated[datetime | None, typer.Option(formats=DATE_FORMATS, help="The day; none = today.")] = None,
    settings: SettingsFile,
    operator: OperatorName = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Take a file over from the National Register into RAD."""
    number, day = read_ssin(ssin), since.date() if since is not None else None
    _do(settings, operator, output, lambda life, name: life.rad_in(number, day=day, operator=name))


@register.command()
def rad_out(
    ssin: SsinText, *, settings: SettingsFile, operator: OperatorName = None, output: Output = OutputFormat.TEXT
) -> None:
    """Give a file of RAD back to the National Register."""
    number = read_ssin(ssin)
    _do(settings, operator, output, lambda life, name: life.rad_out(number, operator=name))


@register.command()
def decease(
    ssin: SsinText,
    decease_date: Annotated[str, typer.Argument(metavar="DATE", help="yyyy-mm-dd; 00 for what is unknown.")],
    *,
    settings: SettingsFile,
    operator: OperatorName = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Set or correct the date of decease."""
    number, day = read_ssin(ssin), read_incomplete_date(decease_date)
    _do(settings, operator, output, lambda life, name: life.decease(number, day, operator=name))


@register.command()
def correct(
    ssin: SsinText,
    *,
    last_name: Annotated[str | None, typer.Option(help="The last name.")] = None,
    given_name: GivenNames = None,
    birth_date: BirthDate = None,
    gender: GenderCode = None,
    settings: SettingsFile,
    operator: OperatorName = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Correct legal data; what is not given stays."""
    number, legal_data = read_ssin(ssin), read_legal_data(last_name, given_name, birth_date, gender)
    if legal_data == LegalData():
        raise UsageError("give at least one of --last-name, --given-name, --birth-date and --gender")
    _do(settings, operator, output, lambda life, name: life.correct(number, legal_data, operator=name))


@register.command()
def show(ssin: SsinText, *, settings: SettingsFile, output: Output = OutputFormat.TEXT) -> None:
    """Show the file of a number, those that replace it, and what happened to it."""
    number = read_ssin(ssin)

    async def look(life: NumberLife) -> tuple[tuple[Person, ...], tuple[FileChange, ...]]:
        return await life.chain_of(number), await life.changes_of(number)

    chain, changes = with_life(settings, look)
    arrivals = with_database(settings, lambda _, database: _arrivals_at(number, database))
    if output is OutputFormat.JSON:
        print_json(
            {
                "chain": [person_as_json(person) for person in chain],
                "continues": [arrival.ssin.digits for arrival in arrivals],
                "history": [_change_of(change) for change in changes],
            }
        )
    elif chain or changes:
        _print_files(chain)
        if arrivals:
            sys.stdout.write(f"It continues {', '.join(arrival.ssin.formatted for arrival in arrivals)}.\n")
        for change in changes:
            _print_change(change)
    if not (chain or changes):
        sys.stderr.write("cbss-inscription: No register knows the number.\n")
    raise typer.Exit(ExitCode.DONE if chain or changes else ExitCode.NOTHING_FOUND)


async def _arrivals_at(ssin: Ssin, database: Database) -> tuple[Arrival, ...]:
    from cbss_inscription.registers.resolution import HOPS_MAX
    from cbss_inscription.storage.history import StoredHistory

    return await StoredHistory(database, hops_max=HOPS_MAX).arrivals_at(ssin)


# -- doing -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _AnomaliesOnStandardError:
    """A `registers.port.DataAnomalyLog` and `client.asker.CallLog` for the person at the terminal."""

    def found_data_anomaly(self, *, ticket_cbss: UUID, reason: str) -> None:
        sys.stderr.write(f"cbss-inscription: data anomaly: {reason}, ticket {ticket_cbss}\n")

    def called(self, call: ServiceCall) -> None:
        """Nothing: the error that follows says what is wrong."""

    def circuit_moved(self, *, service: str, circuit: Circuit) -> None:
        """Nothing: no command asks so often."""


def with_life(settings_file: Path, work: Callable[[NumberLife], Awaitable[T]]) -> T:
    """What `work` gives, done with the files of the registers that the settings name. Raises as `with_database`."""
    from cbss_inscription.app.registers import number_life, registers_of

    async def run(settings: Settings, database: Database) -> T:
        log = _AnomaliesOnStandardError()
        registers = registers_of(settings, database, log=log)
        try:
            return await work(number_life(settings, database, registers, data_anomalies=log))
        finally:
            await registers.close()

    return with_database(settings_file, run, connections_max=CONNECTIONS)


def _do(
    settings: Path,
    operator: str | None,
    output: OutputFormat,
    event: Callable[[NumberLife, str], Awaitable[Done | Candidates | Refused]],
) -> NoReturn:
    name = operator_name(operator)
    outcome = with_life(settings, lambda life: event(life, name))
    raise typer.Exit(_print_outcome(outcome, output))


# -- printing ----------------------------------------------------------------------------------------------------------


def _print_outcome(outcome: Done | Candidates | Refused, output: OutputFormat) -> ExitCode:
    from cbss_inscription.registers.life import Candidates, Done

    if output is OutputFormat.JSON:
        print_json(_outcome_of(outcome))
        return ExitCode.DONE if isinstance(outcome, Done) else ExitCode.REFUSED
    match outcome:
        case Done():
            told = [f"{outcome.event}  {outcome.ssin.formatted}"]
            if outcome.current_ssin != outcome.ssin:
                told.append(f"its lines are under {outcome.current_ssin.formatted} now: {outcome.lines} moved")
            told += [f"customers told: {outcome.mutations}", f"ticket {outcome.ticket_cbss}"]
            sys.stdout.write("\n".join(told) + "\n")
            return ExitCode.DONE
        case Candidates(persons=persons):
            found = "1 known person is" if len(persons) == 1 else f"{len(persons)} known persons are"
            sys.stderr.write(
                f"cbss-inscription: nothing was made: {found} like this one: compare, and use that number; "
                "for another person let --given-name-mode compare more of the given names\n"
            )
            _print_files(persons)
        case refused:
            sys.stderr.write(f"cbss-inscription: refused: {refused.sentence}\n")
    return ExitCode.REFUSED


def _print_files(persons: tuple[Person, ...]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from cbss_inscription.client.dialect import one_line

    table = Table(
        Column("SSIN", no_wrap=True),
        Column("file", overflow="fold"),
        Column("name", overflow="fold"),
        Column("birth", no_wrap=True),
        Column("gender"),
        Column("decease", no_wrap=True),
    )
    for person in persons:
        state = [person.register.upper(), person.status]
        if person.replaced_by is not None:
            state.append(f"by {person.replaced_by.formatted}")
        if person.register_inception_date is not None:
            state.append(f"since {person.register_inception_date}")
        cells = [
            person.ssin.formatted,
            " ".join(state),
            one_line(", ".join(filter(None, [person.last_name, " ".join(person.given_names)]))),
            str(person.birth_date or ""),
            _GENDERS[person.gender],
            str(person.decease_date or ""),
        ]
        table.add_row(*map(Text, cells))
    if persons:
        Console().print(table)


def _print_change(change: FileChange) -> None:
    from cbss_inscription.client.dialect import one_line

    record = change.record
    changed = _differences(change)
    words = [f"{name} {_shown(former)} → {_shown(later)}" for name, (former, later) in changed.items()]
    happened = _EVENTS[record.event]
    sys.stdout.write(
        f"{record.recorded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC  {happened}  by {one_line(record.operator)}"
        f"  ticket {record.ticket_cbss}\n"
    )
    if words:
        sys.stdout.write(f"  {', '.join(words)}\n")


def _differences(change: FileChange) -> Mapping[str, tuple[object, object]]:
    """The columns that changed, with what they said before and after; none for a file that was made."""
    if change.before is None:
        return {}
    return {
        name: (_of_column(name, change.before.get(name)), _of_column(name, later))
        for name, later in change.after.items()
        if change.before.get(name) != later and name != "phonetic_key"
    }


def _readable(column: str, value: object) -> object:
    """A number as its eleven digits; anything else as it is."""
    read = _of_column(column, value)
    return read.digits if isinstance(read, Ssin) else read


def _of_column(column: str, value: object) -> object:
    """The number that the history keeps as an integer; anything else as it is."""
    return Ssin.of_number(value) if column in {"ssin", "replaced_by"} and isinstance(value, int) else value


def _shown(value: object) -> str:
    """A value of a column for people: numbers with separators, names in their order."""
    from cbss_inscription.client.dialect import one_line

    match value:
        case None | []:
            return "none"
        case Ssin():
            return value.formatted
        case list():
            return " ".join(one_line(str(part)) for part in value)
        case _:
            return one_line(str(value))


def _file_as_kept(file: Mapping[str, object]) -> dict[str, object]:
    return {name: _readable(name, value) for name, value in file.items()}


def _outcome_of(outcome: Done | Candidates | Refused) -> dict[str, object]:
    from cbss_inscription.registers.life import Candidates, Done

    match outcome:
        case Done():
            return {
                "outcome": "done",
                "event": outcome.event.value,
                "ssin": outcome.ssin.digits,
                "current_ssin": outcome.current_ssin.digits,
                "ticket_cbss": str(outcome.ticket_cbss),
                "recorded_at": timestamp(outcome.recorded_at),
                "mutations": outcome.mutations,
                "lines": outcome.lines,
            }
        case Candidates(persons=persons):
            return {"outcome": "candidates", "persons": [person_as_json(person) for person in persons]}
        case refused:
            return {"outcome": "refused", "reason": refused.reason.value, "sentence": refused.sentence}


def _change_of(change: FileChange) -> dict[str, object]:
    record = change.record
    return {
        "event": record.event.value,
        "recorded_at": timestamp(record.recorded_at),
        "operator": record.operator,
        "ticket_cbss": str(record.ticket_cbss),
        "before": _file_as_kept(change.before) if change.before is not None else None,
        "after": _file_as_kept(change.after),
    }
