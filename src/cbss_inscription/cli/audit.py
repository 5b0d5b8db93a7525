"""`cbss-inscription audit`: the journal of who asked what about whom, and the keys by which it names persons."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

audit = typer.Typer(no_args_is_help=True, help="The audit journal, and the keys by which it names persons.")


@audit.command("make-keys")
def make_keys(
    file: Annotated[Path, typer.Argument(help="The file of keys that the settings name: [audit] keys.")],
    *,
    identifier: Annotated[
        str | None, typer.Option("--id", help="The new key's id; by default the day, such as 2026-03-01.")
    ] = None,
) -> None:
    """Make a new key the current one; the keys that are in the file already stay, for what was written by them."""
    from cbss_inscription.app.settings import read_file, write_privately
    from cbss_inscription.governance.journal import new_audit_keys

    name = identifier or datetime.now(UTC).date().isoformat()
    former = read_file(file) if file.exists() else None
    write_privately(file, new_audit_keys(name, former=former, origin=str(file)))
    sys.stdout.write(f"{file}: numbers are sealed by {name} from now on\n")
