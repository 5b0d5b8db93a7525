"""The commands of `cbss-inscription`, and the help of the whole."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Final

import typer

from cbss_inscription import __version__
from cbss_inscription.cli.exit_codes import ExitCode

_MODULES: Final = {
    "sandbox": "servers",
    "facade": "servers",
    "repertory": "servers",
    "national-register": "servers",
    "migrate": "servers",
    "version": "servers",
    "consult": "operations",
    "insert": "operations",
    "update": "operations",
    "delete": "operations",
    "health": "operations",
    "mutations": "mutations",
    "sign": "signing",
    "explain": "explain",
    "why": "why",
    "disclosure": "disclosure",
    "audit": "audit",
    "batch": "batch",
    "demo": "demo",
    "faults": "faults",
    "governance": "governance",
    "history": "history",
    "operator-key": "operator_keys",
    "population": "population",
    "register": "register",
    "settings": "settings",
    "volumes": "volumes",
}
"""Every command in the order of the help, and the module that has it, by the command's name."""


def application_of(word: str | None) -> typer.Typer:
    """The command line for arguments that begin with this word: with that command, or with all when it is none.

    To import and describe them all takes longer than most of them take to run.
    """
    application = typer.Typer(
        name="cbss-inscription",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # its tracebacks would show what variables hold: SSINs, names
        help="CBSSInscription: inscriptions in the person repertory of the Crossroads Bank for Social Security.",
        epilog="Exit status: 0 done, 1 nothing found, 2 command, file or message rejected, "
        "3 refused by a rule, 4 service unavailable.",
    )
    application.callback(invoke_without_command=True)(_options)
    for name in [word] if word in _MODULES else _MODULES:
        found = getattr(import_module(f"cbss_inscription.cli.{_MODULES[name]}"), name.replace("-", "_"))
        if isinstance(found, typer.Typer):
            application.add_typer(found, name=name)
        else:
            application.command()(found)
    return application


def _options(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"cbss-inscription {__version__}\n")
        raise typer.Exit(ExitCode.DONE)
