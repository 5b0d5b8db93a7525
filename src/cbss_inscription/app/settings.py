"""The settings of a façade: one TOML file, checked; the only reader of files and environment for the server.

Paths in the file are relative to it. An unknown key is an error that names it. Private keys are named by path; a
password of the database belongs into libpq's own password file, not into the connection string.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Final

import msgspec

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.access import AccessRules, read_access_rules
from cbss_inscription.soap.http import HttpLimits
from cbss_inscription.soap.pipeline import ANSWER_SECONDS_MAX
from cbss_inscription.storage.database import CONNECTIONS_MAX

SETTINGS_VARIABLE: Final = "CBSS_INSCRIPTION_SETTINGS"
"""The environment variable by which a worker process learns its settings file."""

LOOPBACK: Final = "127.0.0.1"
"""Where a listener without TLS may be reached, and nowhere else (SEC-02)."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class TlsListener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the service is reached: TLS 1.2 or later, always (SEC-01)."""

    address: str = LOOPBACK
    port: Port = 8443
    certificate: str
    private_key: str
    workers: Positive = 1


class PlainListener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second listener without TLS, on loopback only: for measurements, or behind a TLS terminator (SEC-02)."""

    port: Port
    workers: Positive = 1


class Trust(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose application certificates are believed (SEC-42): the authorities of this environment and no others."""

    application_authorities: str
    revocation_lists: tuple[str, ...] = ()
    """Files of CRLs, PEM or DER: one for each authority; read when the façade starts (SEC-44)."""
    revocation_required: bool = False
    """Whether a certificate without a fresh word about its revocation is refused (SEC-44)."""


class Limits(HttpLimits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of HTTP is taken, and how long a reply may take."""

    answer_seconds_max: Seconds = ANSWER_SECONDS_MAX
    """See `soap.pipeline.ANSWER_SECONDS_MAX`."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a façade must be told."""

    environment: str
    """The environment of the certificates that are admitted, as in their OU: PRD, ACC, TST, LOCAL …"""
    public_url: str
    """The base URL that callers use; addresses in the served WSDL begin with it."""
    database: str
    """A libpq connection string of a PostgreSQL ≥ 15."""
    database_connections_max: Positive = CONNECTIONS_MAX
    """Connections of one worker; all workers of all listeners together must fit the server's `max_connections`."""
    access_rules: str
    """The file of access rules and permissions."""
    tls: TlsListener
    trust: Trust
    plain: PlainListener | None = None
    limits: Limits = msgspec.field(default_factory=Limits)
    validate_responses: bool = False
    """Whether every response is validated against the schema before it leaves: a defect becomes a fault."""
    contact: str | None = None
    """Whom a fault tells the caller to contact."""


def read_settings(path: Path) -> Settings:
    """The settings in the file at `path`, every path in them made absolute.

    Raises `UsageError`: the file is missing, is no TOML, or has a key or value that is not as documented.
    """
    try:
        raw = tomllib.loads(read_file(path).decode("utf-8"))
        settings = msgspec.convert(raw, Settings)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {error}") from error
    if settings.plain is not None and settings.plain.port == settings.tls.port:
        raise UsageError(f"{path}: the two listeners cannot share port {settings.tls.port}")
    folder = path.absolute().parent
    return msgspec.structs.replace(
        settings,
        access_rules=str(folder / settings.access_rules),
        tls=msgspec.structs.replace(
            settings.tls,
            certificate=str(folder / settings.tls.certificate),
            private_key=str(folder / settings.tls.private_key),
        ),
        trust=msgspec.structs.replace(
            settings.trust,
            application_authorities=str(folder / settings.trust.application_authorities),
            revocation_lists=tuple(str(folder / path) for path in settings.trust.revocation_lists),
        ),
    )


def settings_of_worker() -> Settings:
    """The settings of the façade that started this worker process."""
    path = os.environ.get(SETTINGS_VARIABLE)
    if path is None:
        raise UsageError(f"{SETTINGS_VARIABLE} names no settings file")
    return read_settings(Path(path))


def read_rules(path: str) -> AccessRules:
    """The access rules in the file at `path`. Raises `UsageError`."""
    return read_access_rules(read_file(Path(path)), origin=path)


def read_file(path: Path) -> bytes:
    """The bytes of a file that a setting names. Raises `UsageError` with one sentence when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
