"""Who calls and where to: what every call of an application has in common, from a file or from arguments."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import msgspec

from cbss_inscription.contract.door import Door
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.security.sign import Signer

TIMEOUT_SECONDS: Final = 30.0
"""How long a call may take, by default."""


class ClientCertificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is shown when a TLS connection is made, to a service that wants to see who connects (mutual TLS).

    Apart from what messages are signed with: it may be the same certificate, and another one.
    """

    certificate: Path
    """PEM, with its intermediates."""
    private_key: Path
    """Its key, PEM, not encrypted."""


class Destination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where calls go, whoever signs them."""

    url: str
    """The address of the service, path included."""
    mutations_url: str | None = None
    """The address of the mutation feed; by default beside the service: the same base, the feed's own path."""
    ca: Path
    """The CA bundle that the server's certificate is checked with, and no other (SEC-04); PEM, several allowed."""
    tls: ClientCertificate | None = None
    """What is shown when a connection is made; absent, nothing."""
    timeout_seconds: float = TIMEOUT_SECONDS
    """How long one call may take, from connecting to the last byte of its reply."""

    def address_of(self, door: Door) -> str:
        """Where `door` is called. Raises `UsageError` for the feed, when nothing says where it is."""
        if door is not Door.MUTATIONS:
            return self.url
        if self.mutations_url is not None:
            return self.mutations_url
        base, found, rest = self.url.rpartition(Door.FACADE.path)
        if not found or rest not in {"", "/"}:
            raise UsageError(f"the url does not end with {Door.FACADE.path}: name that of the feed as mutations_url")
        return base + door.path


class Profile(Destination, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An application's own data. Paths in a profile file are relative to it; an unknown key is an error."""

    batch_url: str | None = None
    """The base address of the listener for batches, without path: a port of its own."""
    certificate: Path
    """The application's certificate, PEM."""
    private_key: Path
    """Its key, PEM, not encrypted."""
    customer_identification: CustomerIdentification | None = None
    """The organisation that the application speaks for."""
    legal_context: str | None = None
    """The legal context of calls that name none."""

    @classmethod
    def read(cls, path: str | Path) -> Profile:
        """The profile in a TOML file. Raises `UsageError` with one sentence when it is missing or wrong."""
        file = Path(path)
        try:
            raw = tomllib.loads(file.read_text(encoding="utf-8"))
            profile = msgspec.convert(raw, cls, dec_hook=_decode)
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise UsageError(f"{file}: {error}") from error
        folder = file.absolute().parent
        return msgspec.structs.replace(
            profile,
            ca=folder / profile.ca,
            certificate=folder / profile.certificate,
            private_key=folder / profile.private_key,
            tls=None
            if profile.tls is None
            else ClientCertificate(
                certificate=folder / profile.tls.certificate, private_key=folder / profile.tls.private_key
            ),
        )


def read_signer(certificate: Path, private_key: Path) -> Signer:
    """What signs with the certificate and key in these PEM files. Raises `UsageError` when they do not serve."""
    try:
        return Signer.from_pem(certificate.read_bytes(), private_key.read_bytes())
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    except UsageError as error:
        raise UsageError(f"{certificate} with {private_key}: {error}") from error


def _decode(kind: type[object], value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"{kind.__name__} is not written like that")
