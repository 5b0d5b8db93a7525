"""A second service on a sandbox's database, with a TLS terminator before it, or what one would say (SEC-02, SEC-03)."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cbss_inscription.app.serving import serving
from cbss_inscription.app.settings import Service
from cbss_inscription.domain.exchange import KnownBy
from cbss_inscription.sandbox.pki import Credential
from tests.conftest import RunningSandbox, free_port, log_lines_of

CERTIFICATE_HEADER = "X-Client-Certificate"
"""The header that the files in deploy/ write the client certificate into."""


@dataclass(frozen=True, kw_only=True)
class Behind:
    """A service whose callers are known by what a terminator says of their connections."""

    service: Service
    plain_port: int
    tls_port: int
    log: Path

    @property
    def plain_url(self) -> str:
        """Where a terminator speaks to it."""
        return f"http://127.0.0.1:{self.plain_port}{self.service.door.path}"

    @property
    def tls_url(self) -> str:
        """Its own listener with TLS, where nobody can be known."""
        return f"https://localhost:{self.tls_port}{self.service.door.path}"

    def last(self) -> dict[str, Any]:
        """What its log says of the last exchange."""
        return [line for line in log_lines_of(self.log) if "known_by" in line][-1]


@contextmanager
def behind_terminator(sandbox: RunningSandbox, service: Service) -> Iterator[Behind]:
    """A service with the sandbox's database, rules and certificates that knows its callers by client certificates.

    That and its plain port are said by the environment, which its workers inherit: the file alone would not start.
    """
    text = (sandbox.directory / "settings.toml").read_text(encoding="utf-8").partition("[plain]")[0]
    text = re.sub(r"(?m)^\[batch\]\n(?:[^\[\n].*\n)*", "", text)  # of the façade that keeps the lines
    folder = sandbox.directory
    behind = Behind(service=service, plain_port=free_port(), tls_port=free_port(), log=folder / f"behind-{service}.log")
    text = re.sub(r"(?m)^port = \d+", f"port = {behind.tls_port}", text)
    settings = folder / f"behind-{service}.toml"
    settings.write_text(
        f'service = "{service}"\n{text}\n[authentication]\ncertificate_header = "{CERTIFICATE_HEADER}"\n'
        f"facade_without_token = true\n",
        encoding="utf-8",
    )
    with contextlib.ExitStack() as held:
        log = held.enter_context(behind.log.open("wb"))
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("CBSS_INSCRIPTION__AUTHENTICATION__WAY", KnownBy.CLIENT_CERTIFICATE)
            environment.setenv("CBSS_INSCRIPTION__PLAIN__PORT", str(behind.plain_port))
            held.enter_context(serving(settings, service=service, log=log))
        yield behind


def credential_paths(sandbox: RunningSandbox, name: str) -> tuple[Path, Path]:
    """Certificate and key of a demo application, or of one that is refused."""
    refused = sandbox.manifest["refused_certificates"]
    files = refused[name] if name in refused else sandbox.application(name)
    return sandbox.path(files["certificate"]), sandbox.path(files["key"])


def handed_over(sandbox: RunningSandbox, name: str) -> dict[str, str]:
    """The header in which HAProxy hands over such a certificate."""
    der = Credential.read(*credential_paths(sandbox, name)).certificate.public_bytes(Encoding.DER)
    return {CERTIFICATE_HEADER: base64.b64encode(der).decode()}
