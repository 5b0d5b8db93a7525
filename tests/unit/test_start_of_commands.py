"""What a command imports: not more than it does, for every module is time that somebody waits."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cbss_inscription import client


@pytest.mark.parametrize(
    ("statement", "not_needed"),
    [
        ("import cbss_inscription.cli.main", {"typer", "rich", "httpx", "lxml", "psycopg"}),
        ("import cbss_inscription.cli.commands", {"httpx", "lxml", "psycopg", "cryptography"}),
        (
            "from cbss_inscription.cli.commands import application_of; application_of('version')",
            {"cbss_inscription.cli.operations", "cbss_inscription.cli.governance", "httpx", "lxml", "psycopg"},
        ),
        ("import cbss_inscription.app.registers", {"httpx", "lxml", "structlog", "yaml"}),
        ("from cbss_inscription.client import InscriptionClient", {"aiohttp", "psycopg"}),
        ("from cbss_inscription.client import FaultReceived", {"httpx", "lxml", "cryptography"}),
        ("import cbss_inscription.app.wiring", {"typer", "rich", "pygments", "cbss_inscription.soap.faults"}),
        ("import cbss_inscription.app.operations", {"cbss_inscription.soap.faults", "cbss_inscription.app.faults"}),
    ],
)
def test_nothing_is_imported_that_only_other_commands_need(statement: str, not_needed: set[str]) -> None:
    """The registers of one database are there without HTTP, XML or signatures, and --version without anything."""
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not_needed & set(done.stdout.split()) == set()


def test_what_the_sdk_imports_later_is_there_all_the_same() -> None:
    """Every public name of the SDK is found, and one that it has not is an AttributeError."""
    for name in client.__all__:
        assert getattr(client, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing_of_it"):
        _ = client.nothing_of_it  # type: ignore[attr-defined]
