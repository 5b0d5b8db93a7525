"""`cbss-inscription batch`: batches, and who works on them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cbss_inscription.cli.arguments import SettingsFile

batch = typer.Typer(name="batch", no_args_is_help=True, help="Batches: files of declarations, answered line by line.")


@batch.command()
def work(
    settings: SettingsFile,
    *,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Stop when there is nothing to do.")] = False,
) -> None:
    """Work on the batches of a façade, beside whoever else does, here or on any machine that reaches its database."""
    from cbss_inscription.app.batch_work import work_on_batches
    from cbss_inscription.app.memory_dumps import forbid_memory_dumps
    from cbss_inscription.app.telemetry import configure_logging

    forbid_memory_dumps()
    configure_logging()
    answered = work_on_batches(settings, until_idle=until_idle)
    sys.stdout.write(f"lines answered: {answered}\n")
