"""A worker's own parts as a health check sees them: each is a `usecases.ports.Source` (SEC-44, SEC-55, SEC-73).

Details are words and numbers of ours: no host, no subject of a certificate, no path.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cbss_inscription.app.clock import Clock, ClockWatch
from cbss_inscription.app.reloading import Reloaded, lifetimes_of_server, lifetimes_of_signing
from cbss_inscription.app.settings import Settings
from cbss_inscription.domain.errors import ServiceUnavailable
from cbss_inscription.domain.results import Health, SanityCheck
from cbss_inscription.security.lifetimes import Kind, Lifetime
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.storage.database import Database
from cbss_inscription.usecases.ports import Source

_DAY_SECONDS: Final = 86_400

Finding = tuple[Health, str | None]
"""How something is, and what is to be said of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPart:
    """A part of this service by name, and how it is found."""

    name: str
    find: Callable[[], Awaitable[Finding]]

    async def look(self) -> SanityCheck:
        """See `Source.look`."""
        began = time.perf_counter()
        try:
            health, detail = await self.find()
        except ServiceUnavailable as error:
            health, detail = Health.NOK, error.reason
        milliseconds = round((time.perf_counter() - began) * 1000)
        return SanityCheck(name=self.name, health=health, milliseconds=milliseconds, detail=detail)


def own_parts(
    settings: Settings, *, database: Database, trust: Reloaded[TrustStore], clock_watch: ClockWatch, clock: Clock
) -> tuple[Source, ...]:
    """Database, certificates, revocation lists, clock and journal of a worker, in the order in which they are told."""

    async def of_database() -> Finding:
        await database.row("answer")
        return Health.OK, None

    async def of_server_certificate() -> Finding:
        return found_of(lifetimes_of_server(settings.tls.certificate), Kind.SERVER_CERTIFICATE, now=clock())

    async def of_signing_certificates() -> Finding:
        return found_of(lifetimes_of_signing(settings), Kind.SIGNING_CERTIFICATE, now=clock())

    async def of_revocation_lists() -> Finding:
        store, now = trust.current(), clock()
        health, detail = found_of(store.lifetimes, Kind.REVOCATION_LIST, now=now)
        # Its grace counts: only what callers are refused by is not well.
        stale = bool(store.stale_authorities(now))
        return (Health.NOK if stale else Health.DEGRADED if health is Health.NOK else health), detail

    async def of_clock() -> Finding:
        reading = clock_watch.reading
        detail = None if reading is None else f"{reading.offset_seconds:+.3f} s off the database's"
        return (Health.NOK if clock_watch.is_wrong else Health.OK), detail

    async def of_journal() -> Finding:
        row = await database.row("audit_backlog")
        assert row is not None
        waited_seconds = float(max(row))
        if waited_seconds > settings.audit.stop_after_seconds:
            health = Health.NOK
        else:
            health = Health.DEGRADED if waited_seconds > settings.audit.alarm_after_seconds else Health.OK
        return health, f"waits for its seal for {waited_seconds:.0f} s"

    parts = [
        OwnPart(name="database", find=of_database),
        OwnPart(name="server-certificate", find=of_server_certificate),
        OwnPart(name="revocation-lists", find=of_revocation_lists),
        OwnPart(name="clock", find=of_clock),
        OwnPart(name="audit-journal", find=of_journal),
    ]
    if settings.signing_certificates:
        parts.insert(2, OwnPart(name="signing-certificates", find=of_signing_certificates))
    return tuple(parts)


def found_of(lifetimes: Iterable[Lifetime], kind: Kind, *, now: datetime) -> Finding:
    """How those of a kind are: NOK when one has ended, and when the first of them ends."""
    ends = min((one.ends for one in lifetimes if one.kind is kind), default=None)
    if ends is None:
        return Health.OK, None
    left_seconds = (ends - now).total_seconds()
    if left_seconds < 0:
        return Health.NOK, "ended"
    if any(one.is_ending(now) for one in lifetimes if one.kind is kind):
        return Health.DEGRADED, f"ends in {left_seconds / _DAY_SECONDS:.1f} days"
    return Health.OK, f"ends in {left_seconds / _DAY_SECONDS:.1f} days"
