"""The way from a worker to another service that the settings name: which key, which connections, how patient."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cbss_inscription.client.asker import Asker, CallLog
from cbss_inscription.client.breaker import CircuitBreaker

if TYPE_CHECKING:
    from cbss_inscription.app.settings import NationalRegister, Upstream
    from cbss_inscription.client.dialect import Dialect

CONNECTION_KEPT_SECONDS: Final = 30.0
"""How long a connection is kept without a call: a TLS handshake costs more than a call does."""


def asker_of(asked: NationalRegister | Upstream, *, service: str, dialect: Dialect, log: CallLog) -> Asker:
    """What asks the service, in its dialect. Raises `UsageError` for a file that is missing or broken."""
    # Commands that ask nobody need none of these.
    from cbss_inscription.client.async_transport import AsyncTransport
    from cbss_inscription.client.profile import ClientCertificate, Destination, read_signer

    destination = Destination(
        url=asked.url,
        ca=Path(asked.ca),
        tls=None
        if asked.tls is None
        else ClientCertificate(certificate=Path(asked.tls.certificate), private_key=Path(asked.tls.private_key)),
        timeout_seconds=asked.timeout_seconds,
    )
    signer = None
    if asked.certificate is not None and asked.private_key is not None:
        signer = read_signer(Path(asked.certificate), Path(asked.private_key))
    breaker = asked.circuit_breaker
    return Asker(
        service=service,
        sender=AsyncTransport(
            destination,
            connections_max=asked.calls_at_once_max,
            connection_kept_seconds=CONNECTION_KEPT_SECONDS,
        ),
        signer=signer,
        dialect=dialect,
        log=log,
        breaker=CircuitBreaker(
            failures_to_open=breaker.failures,
            open_seconds=breaker.open_seconds,
            probes=breaker.probes,
            moved=lambda circuit: log.circuit_moved(service=service, circuit=circuit),
        ),
        timeout_seconds=asked.timeout_seconds,
        attempts=asked.attempts,
        calls_at_once_max=asked.calls_at_once_max,
    )
