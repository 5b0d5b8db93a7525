"""`cbss-inscription sign FILE`: any SOAP 1.1 request, signed as RSZ asks."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cbss_inscription.domain.errors import UsageError


def sign(
    file: Annotated[Path, typer.Argument(help="The request, a SOAP 1.1 envelope; - is standard input.")],
    *,
    profile: Annotated[
        Path | None,
        typer.Option(envvar="CBSS_INSCRIPTION_PROFILE", help="A profile file (TOML) that names certificate and key."),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="The application's certificate.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    lifetime: Annotated[int, typer.Option(min=1, max=300, help="Seconds until the message expires.")] = 60,
    output: Annotated[Path | None, typer.Option(help="Where to write it; standard output by default.")] = None,
) -> None:
    """Sign a request file: BinarySecurityToken, Timestamp and Body, RSA-SHA256 over exclusive C14N."""
    from cbss_inscription.client.profile import Profile, read_signer
    from cbss_inscription.security.sign import sign as sign_envelope

    if profile is not None:
        said = Profile.read(profile)
        certificate, key = certificate or said.certificate, key or said.private_key
    if certificate is None or key is None:
        raise UsageError("give --profile FILE, or --certificate and --key")
    try:
        request = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        signer = read_signer(certificate, key)
        signed = sign_envelope(request, signer=signer, now=datetime.now(UTC), lifetime_seconds=lifetime)
        if output is None:
            sys.stdout.buffer.write(signed)
            sys.stdout.buffer.flush()
        else:
            output.write_bytes(signed)
    except OSError as error:
        raise UsageError(f"{error.filename or output or 'standard output'}: {error.strerror}") from error
