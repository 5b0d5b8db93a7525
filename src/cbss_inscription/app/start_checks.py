"""What keeps a service from starting, though it could serve: secrets in the open, keys too small, tests in production.

Each refusal is one sentence that says what to change (SEC-05, SEC-77, SEC-81).
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from psycopg.conninfo import conninfo_to_dict

from cbss_inscription.app.native import check_libraries, loaded_libraries
from cbss_inscription.app.settings import PASSWORDS, Settings, is_password_in_environment, read_file
from cbss_inscription.domain.environment import Environment
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.sandbox.pki import TEST_ONLY
from cbss_inscription.security.lifetimes import Kind, Lifetime
from cbss_inscription.storage.population import holds_population, holds_unseen_files

RSA_KEY_BITS_MIN: Final = 3_072
"""The shortest RSA modulus of the server's TLS key (SEC-05)."""
EC_KEY_BITS_MIN: Final = 256
"""The shortest curve of the server's TLS key: P-256 (SEC-05)."""
DEFAULT_PASSWORDS: Final = frozenset({"postgres", "password", "changeme", "secret", "admin", "test"})
"""What examples and images say; in production none of them, nor the name of the account (SEC-77)."""
_FOR_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_ENVIRONMENTS: Final = frozenset(environment.value for environment in Environment)
_WORD: Final = re.compile(r"\w+")


def check_start(settings: Settings, settings_path: Path) -> None:
    """Nothing, when nothing that is known without the database speaks against a start. Raises `UsageError`."""
    for check in checks_of_start(settings, settings_path):
        check()


def checks_of_start(settings: Settings, settings_path: Path) -> tuple[Callable[[], None], ...]:
    """What `check_start` looks at, one after the other: each raises `UsageError`, and none needs those before it."""
    return (
        lambda: check_libraries(loaded_libraries()),
        partial(_check_server_certificate, settings),
        *(partial(check_key_file, Path(path)) for path in settings.key_files),
        partial(_check_database_password, settings, settings_path),
        partial(_check_server_key, settings.tls.certificate),
        partial(_check_faults, settings),
        partial(_check_production, settings),
    )


def check_population(settings: Settings) -> None:
    """Nothing, unless the persons in the database of production are made up (SEC-77). Raises `UsageError`."""
    if settings.environment == Environment.PRD and holds_population(settings.database):
        raise UsageError("the database holds a synthetic population: it cannot serve the environment PRD")


def warnings_of(settings: Settings, *, connect: bool) -> Iterator[str]:
    """What is wrong though the service starts, a sentence each; with `connect`, the database is asked as well.

    Raises `UsageError`.
    """
    if settings.faults is not None:
        yield "requests go wrong on order: [faults] is for tests of callers"
    if settings.audit.timestamping is None:
        yield (
            "the seals of the audit journal bear no time stamps: [audit.timestamping] names the authority that "
            "makes them proof against whoever holds the database"
        )
    if connect and settings.national_register is not None and holds_unseen_files(settings.database):
        yield (
            "the database holds files of the National Register, which are never seen: [national_register] names "
            "the service that is asked for them"
        )


def check_authorities(lifetimes: Iterable[Lifetime], *, environment: str) -> None:
    """Nothing, unless authorities of a test PKI are production's or another environment's (SEC-42, SEC-77).

    What the real hierarchies are called is not published; a test PKI says in its names that it is one, and whose.
    Raises `UsageError`.
    """
    for one in lifetimes:
        if one.kind is Kind.REVOCATION_LIST or TEST_ONLY not in one.name:
            continue
        if environment == Environment.PRD:
            raise UsageError(f"the authority {one.name!r} is of a test PKI: it cannot serve the environment PRD")
        named = _ENVIRONMENTS.intersection(_WORD.findall(one.name))
        if named and environment not in named:
            raise UsageError(f"the authority {one.name!r} is of another environment than {environment}")


def check_key_file(path: Path) -> None:
    """Nothing, unless other accounts can read or change the file (SEC-77). Raises `UsageError`."""
    try:
        status = path.stat()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if status.st_mode & _FOR_OTHERS:
        raise UsageError(f"the key file {path} is open to other accounts: chmod 600 {path}")
    if status.st_uid not in {os.geteuid(), 0}:
        raise UsageError(f"the key file {path} belongs to another account, which can read and change it")


def _check_database_password(settings: Settings, settings_path: Path) -> None:
    if is_password_in_environment():
        raise UsageError("the environment holds PGPASSWORD: put the password into libpq's password file instead")
    try:
        said = conninfo_to_dict(settings.database)
    except psycopg.ProgrammingError:
        return  # said by whoever connects first
    passwords = {said[name] for name in PASSWORDS if name in said}
    if not passwords:
        return
    if settings_path.stat().st_mode & _FOR_OTHERS:
        raise UsageError(
            f"{settings_path} holds the database's password and is open to other accounts: chmod 600 {settings_path}, "
            f"or put the password into libpq's password file"
        )
    if settings.environment == Environment.PRD and not passwords.isdisjoint({*DEFAULT_PASSWORDS, said.get("user")}):
        raise UsageError("the database's password is one that everybody tries first: it cannot serve PRD")


def _check_server_certificate(settings: Settings) -> None:
    # The application server reads both files in a process of its own, and tells of a bad one by a traceback.
    certificate, private_key = settings.tls.certificate, settings.tls.private_key
    for path in (certificate, private_key):
        read_file(Path(path))
    try:
        # An empty password: else OpenSSL would ask the terminal for that of an encrypted key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, private_key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UsageError(f"{certificate} and {private_key} are no PEM certificate with its key") from error


def _check_server_key(path: str) -> None:
    match _certificates_in(path)[0].public_key():
        case rsa.RSAPublicKey(key_size=size) if size >= RSA_KEY_BITS_MIN:
            return
        case ec.EllipticCurvePublicKey(key_size=size) if size >= EC_KEY_BITS_MIN:
            return
    raise UsageError(f"the server's key in {path} is too small or of another kind: RSA-{RSA_KEY_BITS_MIN} or P-256")


def _check_faults(settings: Settings) -> None:
    if settings.faults is None:
        return
    if settings.faults.header and not settings.synthetic_numbers:
        raise UsageError("faults.header lets callers order faults: only where synthetic_numbers says a sandbox is")
    from cbss_inscription.app.faults import FaultFiles

    FaultFiles(settings.faults).check_directory()


def _check_production(settings: Settings) -> None:
    if settings.environment != Environment.PRD:
        return
    if settings.faults is not None:
        raise UsageError("[faults] makes requests go wrong on purpose: it cannot serve the environment PRD")
    if settings.synthetic_numbers:
        raise UsageError("synthetic_numbers is for persons who do not exist: it cannot serve the environment PRD")
    for certificate in _certificates_in(settings.tls.certificate):
        if any(TEST_ONLY in name.rfc4514_string() for name in (certificate.subject, certificate.issuer)):
            raise UsageError("the server's certificate is of a test PKI: it cannot serve the environment PRD")
    stamping = settings.audit.timestamping
    for authority in () if stamping is None else _certificates_in(stamping.ca):
        if TEST_ONLY in authority.subject.rfc4514_string():
            raise UsageError("the time-stamping authority is of a test PKI: it cannot serve the environment PRD")


def _certificates_in(path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read_file(Path(path)))
    except ValueError:
        raise UsageError(f"{path}: no certificates in PEM") from None
