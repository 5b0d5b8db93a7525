"""The way from a façade to its upstream: which dialect, which key, how patient."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cbss_inscription.client.asking import DialectName
from cbss_inscription.client.breaker import CircuitBreaker
from cbss_inscription.repertory.upstream import SOURCE, UpstreamLog, UpstreamRepertory

if TYPE_CHECKING:
    from cbss_inscription.app.settings import Upstream
    from cbss_inscription.client.dialect import Dialect

CONNECTION_KEPT_SECONDS: Final = 30.0
"""How long a connection is kept without a call: a TLS handshake costs more than a call does."""


def upstream_of(settings: Upstream, *, log: UpstreamLog) -> UpstreamRepertory:
    """The repertory that the settings name. Raises `UsageError` for a file that is missing or broken."""
    from cbss_inscription.client.profile import Profile, read_signer
    from cbss_inscription.client.transport import AsyncTransport

    certificate, private_key = Path(settings.certificate), Path(settings.private_key)
    profile = Profile(
        url=settings.url,
        ca=Path(settings.ca),
        certificate=certificate,
        private_key=private_key,
        timeout_seconds=settings.timeout_seconds,
    )
    breaker = settings.circuit_breaker
    return UpstreamRepertory(
        sender=AsyncTransport(
            profile,
            connections_max=settings.calls_at_once_max,
            connections_kept_max=settings.calls_at_once_max,
            connection_kept_seconds=CONNECTION_KEPT_SECONDS,
        ),
        signer=read_signer(certificate, private_key),
        dialect=dialect_of(settings.dialect),
        log=log,
        breaker=CircuitBreaker(
            failures_to_open=breaker.failures,
            open_seconds=breaker.open_seconds,
            probes=breaker.probes,
            moved=lambda circuit: log.circuit_moved(service=SOURCE, circuit=circuit),
        ),
        timeout_seconds=settings.timeout_seconds,
        consult_attempts=settings.consult_attempts,
        calls_at_once_max=settings.calls_at_once_max,
    )


def dialect_of(name: DialectName) -> Dialect:
    """The dialect of that name, its schema compiled: not while the first caller waits."""
    from cbss_inscription.client.adjustment import AdjustmentDialect, compiled
    from cbss_inscription.client.dialect import DoorDialect
    from cbss_inscription.contract.door import Door
    from cbss_inscription.contract.schema import schema_of

    match name:
        case DialectName.KSZ:
            schema_of(Door.KSZ)
            return DoorDialect(Door.KSZ)
        case DialectName.ADJUSTMENT:
            compiled()
            return AdjustmentDialect()
