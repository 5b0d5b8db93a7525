"""`cbss-inscription operator-key`: the key pair by which an operator is known, instead of by a word."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cbss_inscription.domain.errors import UsageError

if TYPE_CHECKING:
    from cbss_inscription.governance.signatures import OperatorKey

OTHERS_MAY: Final = 0o077
"""The bits of a file's mode that must not be set on a private key (SEC-77)."""

operator_key = typer.Typer(no_args_is_help=True, help="The key by which an operator is known.")


@operator_key.command()
def make(
    file: Annotated[Path, typer.Argument(help="Where the private key is written; it must not be there yet.")],
    *,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for one, and encrypt the key with it.")] = False,
) -> None:
    """Make a key pair: the private key in a file for you alone, the public key on standard output, to be passed on."""
    from cbss_inscription.governance.signatures import OperatorKey

    secret = getpass.getpass("Passphrase: ").encode() if passphrase else None
    if secret is not None and secret != getpass.getpass("The same again: ").encode():
        raise UsageError("the two passphrases differ")
    key = OperatorKey.generate()
    try:
        file.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise UsageError(f"{file} is there already: no key is overwritten") from None
    file.write_bytes(key.written(passphrase=secret))
    sys.stdout.write(f"{key.public_key}\n")


@operator_key.command()
def public(file: Annotated[Path, typer.Argument(help="The private key.")]) -> None:
    """Print the public key of a private one."""
    sys.stdout.write(f"{read_key(file).public_key}\n")


def read_key(file: Path) -> OperatorKey:
    """The key in a file; its passphrase is asked for when it has one.

    Raises `UsageError`: there is no such key there, the passphrase is another, or others may read the file.
    """
    from cbss_inscription.app.settings import read_file
    from cbss_inscription.governance.signatures import OperatorKey, UnusableKey

    pem = read_file(file)
    if file.stat().st_mode & OTHERS_MAY:
        raise UsageError(f"{file} is not its owner's alone: chmod 600, and make a new key if others could read it")
    encrypted = b"BEGIN ENCRYPTED PRIVATE KEY" in pem
    try:
        return OperatorKey.read(pem, passphrase=getpass.getpass("Passphrase: ").encode() if encrypted else None)
    except UnusableKey as error:
        raise UsageError(f"{file}: {error}") from None
