"""`cbss-inscription settings`: what a start would find wrong with a file, and what is in force in the end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cbss_inscription.cli.arguments import Output, OutputFormat
from cbss_inscription.cli.exit_codes import ExitCode, exit_code_of_error, sentence_of_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

settings = typer.Typer(no_args_is_help=True, help="What a settings file says, and what is wrong with it.")

SettingsArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The settings file (TOML).")]


@settings.command()
def check(
    file: SettingsArgument,
    *,
    connect: Annotated[
        bool, typer.Option("--connect", help="Ask the database as well: is it there, is it ours?")
    ] = False,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Say all that would keep a service of these settings from starting, and start, fetch or change nothing.

    Exit status 0 when nothing would, 2 when something is wrong, 4 when only the database does not answer.
    """
    from cbss_inscription.app.checking import lists_to_fetch, problems_of
    from cbss_inscription.app.settings import examine_settings
    from cbss_inscription.app.start_checks import warnings_of

    examined = examine_settings(file)
    problems, warnings, status = list(examined.problems), list[str](), ExitCode.REJECTED
    if examined.settings is not None:
        errors = list(problems_of(examined.settings, file, connect=connect))
        problems = [sentence_of_error(error) for error in errors]
        warnings = list(warnings_of(examined.settings, connect=connect and not errors))
        warnings += [f"{path} is not there yet: the start fetches it" for path in lists_to_fetch(examined.settings)]
        status = min(map(exit_code_of_error, errors), default=ExitCode.DONE)
    if output is OutputFormat.JSON:
        told = {"overrides": dict(examined.origins), "problems": problems, "warnings": warnings}
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    else:
        for line in _report(file, examined.origins, problems, warnings):
            sys.stdout.write(f"{line}\n")
    raise typer.Exit(status)


def _report(file: Path, origins: Mapping[str, str], problems: list[str], warnings: list[str]) -> Iterator[str]:
    for place, variable in origins.items():
        yield f"{variable} says {place}"
    for problem in problems:
        yield f"problem: {problem}"
    for warning in warnings:
        yield f"warning: {warning}"
    match len(problems):
        case 0:
            yield f"{file}: a service of these settings would start"
        case 1:
            yield f"{file}: 1 problem"
        case count:
            yield f"{file}: {count} problems"


@settings.command()
def show(file: SettingsArgument) -> None:
    """Print every setting in force as TOML, defaults too, and beside it where it comes from; no password is shown."""
    from cbss_inscription.app.settings import show_settings

    for line in show_settings(file):
        sys.stdout.write(f"{line}\n")
