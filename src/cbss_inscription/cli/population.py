"""`cbss-inscription population`: synthetic persons and lines, made, loaded, searched, exported (docs/populations.md).

Every person is synthetic, so names and numbers are shown; a database that holds others is refused.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from cbss_inscription.cli.answers import person_as_json, print_json
from cbss_inscription.cli.exit_codes import ExitCode
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import EVERY_REGISTER, Register
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.sandbox.population import NumberSpace

if TYPE_CHECKING:
    from cbss_inscription.sandbox.population_files import Made
    from cbss_inscription.sandbox.population_search import PersonSearch
    from cbss_inscription.storage.population import FoundPerson, Rows

population = typer.Typer(
    no_args_is_help=True,
    help="Synthetic persons and their inscriptions: made, loaded, searched, exported.",
)

SettingsOption = Annotated[Path | None, typer.Option(help="The settings file (TOML) that names the database.")]
DatabaseOption = Annotated[str | None, typer.Option(help="A PostgreSQL ≥ 15 by connection string.")]
PersonsOption = Annotated[int | None, typer.Option(min=1, help="Persons to make, 100 or more.")]
InscriptionsOption = Annotated[int, typer.Option(min=0, help="Inscriptions per person, on average.")]
SeedOption = Annotated[int, typer.Option(help="Another seed makes other persons.")]
NumbersOption = Annotated[
    NumberSpace, typer.Option(help="Numbers that nobody bears yet, or ever; the latter pass other validators too.")
]


class AnswerFormat(StrEnum):
    """How a search answers."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


@population.command()
def make(
    directory: Annotated[Path, typer.Argument(help="An empty directory, or one to be made.")],
    *,
    persons: Annotated[int, typer.Option(min=1, help="Persons to make, 100 or more.")] = 10_000,
    inscriptions: InscriptionsOption = 5,
    seed: SeedOption = 1,
    numbers: NumbersOption = NumberSpace.FUTURE,
) -> None:
    """Write persons.csv, inscriptions.csv and population.json: the same bytes for the same words."""
    from cbss_inscription.sandbox.population_files import Made, make_files

    made = Made(persons=persons, inscriptions=inscriptions, seed=seed, number_space=numbers)
    made.check()
    with _shown(_expected(made)) as watch:
        manifest = make_files(directory, made, watch)
    _say(f"{manifest.persons.rows} persons and {manifest.inscriptions.rows} inscriptions in {directory}")


@population.command()
def load(
    directory: Annotated[
        Path | None, typer.Argument(help="The files to load; without it, --persons says what is made on the fly.")
    ] = None,
    *,
    settings: SettingsOption = None,
    database: DatabaseOption = None,
    persons: PersonsOption = None,
    inscriptions: InscriptionsOption = 5,
    seed: SeedOption = 1,
    numbers: NumbersOption = NumberSpace.FUTURE,
    registers: Annotated[
        str | None, typer.Option(help="Only the files of these registers: bis,rad and nr fill two databases.")
    ] = None,
) -> None:
    """Load a population into an empty database: all of it, or nothing."""
    from cbss_inscription.sandbox.population_files import (
        INSCRIPTIONS_FILE,
        PERSONS_FILE,
        Made,
        PopulationFiles,
        made_rows,
    )
    from cbss_inscription.storage.migration import make_phonetic_keys, migrate
    from cbss_inscription.storage.population import load_rows, loaded_recipe, recipe_of_registers, rows_of_registers

    if (directory is None) == (persons is None):
        raise UsageError("give a directory, or --persons to make a population on the fly")
    wanted = _registers(registers)
    conninfo = _conninfo(settings, database)
    if directory is not None:
        files = PopulationFiles(directory)
        recipe, rows, expected = files.recipe, files.rows(), files.counts
    else:
        assert persons is not None
        made = Made(persons=persons, inscriptions=inscriptions, seed=seed, number_space=numbers)
        recipe, rows, expected = made.recipe, made_rows(made), _expected(made)
    recipe = recipe_of_registers(recipe, wanted)
    migrate(conninfo)
    if loaded_recipe(conninfo) == recipe:
        make_phonetic_keys(conninfo)  # a former version loaded none
        _say("nothing to do: the database holds this population")
        return
    began = time.monotonic()
    with _shown(expected) as watch:
        loaded = load_rows(
            conninfo,
            rows_of_registers(watch(PERSONS_FILE, rows.persons), wanted),
            # A National Register alone has no inscriptions; the façade has those of its persons, too.
            watch(INSCRIPTIONS_FILE, rows.line_sets) if wanted != {Register.NR} else (),
            recipe=recipe,
            begins=watch.begins,
        )
    seconds = time.monotonic() - began
    _say(f"{loaded.persons} persons and {loaded.inscriptions} inscriptions in {seconds:.1f} s")


@population.command()
def search(
    words: Annotated[str, typer.Argument(help="What they must be, such as: RAD, deceased, incomplete birth date")],
    *,
    settings: SettingsOption = None,
    database: DatabaseOption = None,
    count: Annotated[int, typer.Option(min=1, help="How many to show at most.")] = 10,
    answer_format: Annotated[AnswerFormat, typer.Option("--format", help="How to show them.")] = AnswerFormat.TEXT,
) -> None:
    """Show persons of a population that have all of these properties, by rising number."""
    from cbss_inscription.sandbox.population_search import parse_search
    from cbss_inscription.storage.migration import check_schema
    from cbss_inscription.storage.population import search_population

    asked = parse_search(words, today=datetime.now(UTC).date())
    conninfo = _conninfo(settings, database)
    check_schema(conninfo)
    found = search_population(conninfo, asked.criteria, count=count)
    rows = [_described(asked, person) for person in found]
    if answer_format is AnswerFormat.JSON:
        print_json(rows)
    elif answer_format is AnswerFormat.CSV:
        sys.stdout.write(_as_csv(rows))
    elif rows:
        _print_table(rows)
    else:
        sys.stderr.write("Nobody has all of these properties.\n")
    if not rows:
        raise typer.Exit(ExitCode.NOTHING_FOUND)


@population.command()
def export(
    directory: Annotated[Path, typer.Argument(help="An empty directory, or one to be made.")],
    *,
    settings: SettingsOption = None,
    database: DatabaseOption = None,
) -> None:
    """Write the population of a database, as it is now, to files that can be loaded again."""
    from cbss_inscription.sandbox.population_files import export_files
    from cbss_inscription.storage.migration import check_schema

    conninfo = _conninfo(settings, database)
    check_schema(conninfo)
    manifest = export_files(directory, conninfo)
    _say(f"{manifest.persons.rows} persons and {manifest.inscriptions.rows} inscriptions in {directory}")


def _conninfo(settings: Path | None, database: str | None) -> str:
    from cbss_inscription.app.settings import read_settings

    if (settings is None) == (database is None):
        raise UsageError("give either --settings or --database")
    if settings is not None:
        return read_settings(settings).database
    assert database is not None
    return database


def _registers(words: str | None) -> frozenset[Register]:
    if words is None:
        return EVERY_REGISTER
    try:
        return frozenset(Register(word.strip().lower()) for word in words.split(","))
    except ValueError:
        raise UsageError("--registers takes nr, bis and rad, separated by commas") from None


def _expected(made: Made) -> tuple[int, int]:
    return made.persons, made.persons * made.inscriptions


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")


# -- progress ----------------------------------------------------------------------------------------------------------


class _Rate(ProgressColumn):
    """Rows in a second."""

    def render(self, task: Task) -> Text:
        """The mean so far."""
        rate = task.finished_speed or task.speed
        return Text(f"{rate:,.0f}/s" if rate else "")


class _Watch:
    """A `population_files.Watch`: each file has a bar, which begins when its first row passes."""

    def __init__(self, progress: Progress, expected: tuple[int, int] | None) -> None:
        self._progress = progress
        self._expected = iter(expected or ())

    def __call__(self, name: str, rows: Iterator[Rows]) -> Iterator[Rows]:
        """The same rows."""
        task = self._progress.add_task(name, total=next(self._expected, None))
        done = 0
        for block in rows:
            yield block
            done += block.count
            self._progress.update(task, completed=done)
        self._progress.update(task, total=done, completed=done)

    def begins(self, step: str) -> None:
        """Nothing; a step of the database's own is shown, of which nobody knows how far it is."""
        self._progress.add_task(step, total=None)


@contextmanager
def _shown(expected: tuple[int, int] | None) -> Iterator[_Watch]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Watch(progress, expected)


# -- answers -----------------------------------------------------------------------------------------------------------

_SHOWN_WORDS: Final = ", "


def _described(asked: PersonSearch, found: FoundPerson) -> dict[str, Any]:
    return {
        **person_as_json(found.person),
        "lines": found.line_count,
        "matches": list(asked.reasons(found)),
    }


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for place, row in enumerate(rows):
        if place == 0:
            writer.writerow(row)
        writer.writerow(["|".join(value) if isinstance(value, list) else value for value in row.values()])
    return text.getvalue()


def _told_already(row: dict[str, Any]) -> set[str]:
    """The reasons that a column of the table tells anyhow."""
    return {
        row["register"],
        row["status"],
        f"deceased {row['decease_date']}",
        f"decease date {row['decease_date']}",
        f"birth date {row['birth_date']}",
        f"born {row['birth_date']}",
        f"{row['lines']} lines",
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = Table(
        Column("SSIN", no_wrap=True),
        Column("file", overflow="fold"),
        Column("name, matches", overflow="fold"),
        Column("born", no_wrap=True),
        Column("deceased", no_wrap=True),
        Column("lines", justify="right", no_wrap=True),
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for row in rows:
        matches = _SHOWN_WORDS.join(match for match in row["matches"] if match not in _told_already(row))
        cells = (
            Ssin.parse(row["ssin"]).formatted,
            f"{row['register'].upper()} {row['status']}",
            "\n".join(filter(None, (" ".join((row["last_name"] + ",", *row["given_names"])), matches))),
            row["birth_date"] or "",
            row["decease_date"] or "",
            str(row["lines"]),
        )
        table.add_row(*map(Text, cells))
    Console().print(table)
