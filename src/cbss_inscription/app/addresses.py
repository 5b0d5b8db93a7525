"""The listeners of a service by name: where each of them is, and whether it answers."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from cbss_inscription.app.settings import LOOPBACK, Settings

PROBE_SECONDS_MAX: Final = 2.0
"""How long an answer may take."""
_NO_CERTIFICATE: Final = frozenset(
    {"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE", "SSLV3_ALERT_BAD_CERTIFICATE"}
)
"""By what alerts a client without certificate is turned away: TLS 1.3 has one for it, 1.2 takes the two others."""
LIVE_PATH: Final = "/health/live"
"""Where the operations listener, and that for batches, say that they are there."""


class Listener(StrEnum):
    """What a service listens with, each a process of its own."""

    TLS = "tls"
    PLAIN = "plain"
    REST = "rest"
    OPERATIONS = "operations"


_WITH_TLS: Final = frozenset({Listener.TLS, Listener.REST})
_WITH_LIVE_PATH: Final = frozenset({Listener.OPERATIONS, Listener.REST})


def listeners_of(settings: Settings) -> tuple[Listener, ...]:
    """Those that the settings have, in the order in which they start: what looks at the others comes last."""
    plain = (Listener.PLAIN,) if settings.plain is not None else ()
    rest = (Listener.REST,) if settings.rest is not None else ()
    operations = (Listener.OPERATIONS,) if settings.operations is not None else ()
    return (Listener.TLS, *plain, *rest, *operations)


def place_of(settings: Settings, listener: Listener) -> tuple[str, int]:
    """The address and port of a listener that the settings have."""
    match listener:
        case Listener.TLS:
            return settings.tls.address, settings.tls.port
        case Listener.PLAIN:
            assert settings.plain is not None
            return LOOPBACK, settings.plain.port
        case Listener.REST:
            assert settings.rest is not None
            return settings.rest.address, settings.rest.port
        case Listener.OPERATIONS:
            assert settings.operations is not None
            return settings.operations.address, settings.operations.port


def answers(settings: Settings, listener: Listener) -> bool:
    """Whether a request to the listener is answered with status 200 within `PROBE_SECONDS_MAX`. Blocks."""
    address, port = place_of(settings, listener)
    host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(address, address)  # noqa: S104  # a listener's wildcard, not ours
    connection: http.client.HTTPConnection
    if listener in _WITH_TLS:
        # Only whether our own listener answers is asked here; callers check its certificate.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(host, port, timeout=PROBE_SECONDS_MAX, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS_MAX)
    path = LIVE_PATH if listener in _WITH_LIVE_PATH else f"{settings.service.door.path}?wsdl"
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


def takes_tls(url: str, *, ca: str, wants_certificate: bool = False) -> bool:
    """Whether another service takes a TLS connection, under a certificate that is believed. Blocks.

    Nothing is asked over it: questions are signed, and who looks here has no key. Of one that wants to see a
    certificate of ours, the alert that there is none is as good as a connection.
    """
    place = urlsplit(url)
    host = place.hostname or ""
    try:
        context = ssl.create_default_context(cafile=ca)
        with (
            socket.create_connection((host, place.port or 443), timeout=PROBE_SECONDS_MAX) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        return wants_certificate and error.reason in _NO_CERTIFICATE
    except (OSError, ValueError):
        return False
