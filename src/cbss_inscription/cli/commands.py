"""The commands of `cbss-inscription`, and the help of the whole."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cbss_inscription import __version__
from cbss_inscription.cli import (
    audit,
    batch,
    demo,
    disclosure,
    explain,
    faults,
    governance,
    history,
    mutations,
    operations,
    operator_keys,
    population,
    register,
    servers,
    settings,
    signing,
    volumes,
    why,
)
from cbss_inscription.cli.exit_codes import ExitCode

application = typer.Typer(
    name="cbss-inscription",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks would show what variables hold: SSINs, names
    help="CBSSInscription: inscriptions in the person repertory of the Crossroads Bank for Social Security.",
    epilog="Exit status: 0 done, 1 nothing found, 2 command, file or message rejected, "
    "3 refused by a rule, 4 service unavailable.",
)
application.command()(servers.sandbox)
application.command()(servers.facade)
application.command()(servers.repertory)
application.command()(servers.national_register)
application.command()(servers.migrate)
application.command()(servers.version)
application.command()(operations.consult)
application.command()(operations.insert)
application.command()(operations.update)
application.command()(operations.delete)
application.command()(operations.health)
application.command()(mutations.mutations)
application.command()(signing.sign)
application.command()(explain.explain)
application.command()(why.why)
application.command()(disclosure.disclosure)
application.add_typer(audit.audit, name="audit")
application.add_typer(batch.batch, name="batch")
application.add_typer(demo.demo, name="demo")
application.add_typer(faults.faults, name="faults")
application.add_typer(governance.governance, name="governance")
application.add_typer(history.history, name="history")
application.add_typer(operator_keys.operator_key, name="operator-key")
application.add_typer(population.population, name="population")
application.add_typer(register.register, name="register")
application.add_typer(settings.settings, name="settings")
application.add_typer(volumes.volumes, name="volumes")


@application.callback(invoke_without_command=True)
def _options(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"cbss-inscription {__version__}\n")
        raise typer.Exit(ExitCode.DONE)
