"""Whether a service can do its work now: looked at in the background, so that asking costs nothing (SEC-80)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

import psycopg

from cbss_inscription.app.addresses import Listener, answers, listeners_of, takes_tls
from cbss_inscription.app.background import repeat
from cbss_inscription.app.clock import Clock, ClockLog, ClockWatch, read_clock, utc_now
from cbss_inscription.app.reloading import Reloaded, lifetimes_of_server, lifetimes_of_signing
from cbss_inscription.app.settings import Settings
from cbss_inscription.domain.clock import ClockReading
from cbss_inscription.domain.errors import TemporarilyUnavailable, UsageError
from cbss_inscription.security.lifetimes import Kind, Lifetime
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.storage.chain import backlog_seconds
from cbss_inscription.storage.database import BoundedConnection, Database, bounded
from cbss_inscription.storage.migration import check_schema

LOOK_SECONDS: Final = 10.0
"""How long after a look the next one is made [D]."""
LOOK_AGAIN_SECONDS: Final = 2.0
"""How long when something was wrong, so that what is mended is ready soon [D]."""
LOOK_AGE_SECONDS_MAX: Final = 60.0
"""A look older than this says nothing: one takes 30 seconds when everything is silent, and the next comes after 10."""


class Check(StrEnum):
    """What is looked at."""

    LOOK = "look"
    """That somebody looks at all."""
    DATABASE = "database"
    SCHEMA = "schema"
    REVOCATION_LISTS = "revocation-lists"
    CLOCK = "clock"
    AUDIT_SEALS = "audit-seals"
    """Whether the journal's seals keep up: calls are refused otherwise (SEC-73)."""
    DRAIN = "drain"
    """Whether the service goes on; it is about to stop otherwise, and answers until then."""
    TLS = "listener-tls"
    PLAIN = "listener-plain"
    SERVER_CERTIFICATE = "server-certificate"
    SIGNING_CERTIFICATES = "signing-certificates"
    """Those by which this service asks others."""
    UPSTREAM = "upstream"
    NATIONAL_REGISTER = "national-register"


DEGRADING: Final = frozenset(
    {Check.SERVER_CERTIFICATE, Check.SIGNING_CERTIFICATES, Check.UPSTREAM, Check.NATIONAL_REGISTER}
)
"""What fails for all replicas of a service at once, and leaves it able to answer: honestly, CBI00901 for one.

It is shown, and takes none of them out of service: that would make every answer a broken connection.
"""


class Reason(StrEnum):
    """Why a check fails; words of ours alone, so that no name and no address is among them."""

    STARTING = "starting"
    OVERDUE = "overdue"
    NO_ANSWER = "no-answer"
    UNKNOWN = "unknown"
    NOT_OURS = "not-ours"
    STALE = "stale"
    WRONG = "wrong"
    ENDED = "ended"
    STOPPING = "stopping"


Verdicts = Mapping[Check, Reason | None]
"""What came of each check: None is good."""


def is_ready(verdicts: Verdicts) -> bool:
    """Whether messages can be answered."""
    return not any(reason for check, reason in verdicts.items() if check not in DEGRADING)


def is_degraded(verdicts: Verdicts) -> bool:
    """Whether something that the service needs, or that callers see, is away or has ended."""
    return any(reason for check, reason in verdicts.items() if check in DEGRADING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found, and when by a clock that nobody sets."""

    ticks: float
    verdicts: Verdicts
    lifetimes: tuple[Lifetime, ...]
    clock: ClockReading | None
    backlog_seconds: float | None = None
    """For how long the journal waits for its seal; None when the database does not say."""


@dataclass(slots=True, kw_only=True)
class Readiness:
    """The newest look at a service."""

    checks: Callable[[], Awaitable[Look]]
    failed: Callable[[str], None]
    """Is told the kind of an exception that a look ended by."""
    ticks: Callable[[], float] = time.monotonic
    is_draining: Callable[[], bool] = lambda: False
    """Whether the service is about to stop; asked each time, for this is to be known at once."""
    look: Look | None = field(default=None, init=False)

    def verdicts(self) -> Verdicts:
        """What came of each check, that somebody looks among them."""
        drain = {Check.DRAIN: Reason.STOPPING if self.is_draining() else None}
        if self.look is None:
            return {Check.LOOK: Reason.STARTING, **drain}
        age_seconds = self.ticks() - self.look.ticks
        return {
            Check.LOOK: Reason.OVERDUE if age_seconds > LOOK_AGE_SECONDS_MAX else None,
            **drain,
            **self.look.verdicts,
        }

    async def keep_looking(self) -> None:
        """Never returns; a look that fails by a defect of ours leaves the last, which is overdue before long."""
        await repeat(self._look_again, seconds=self._wait_seconds, failed=self.failed)

    def _wait_seconds(self) -> float:
        return LOOK_SECONDS if is_ready(self.verdicts()) else LOOK_AGAIN_SECONDS

    async def _look_again(self) -> None:
        self.look = await self.checks()


class ServiceChecks:
    """Looks at one service: its database, trust and clock, and whether its listeners answer. Holds no private key."""

    def __init__(
        self,
        settings: Settings,
        *,
        trust: Reloaded[TrustStore],
        clock_log: ClockLog,
        clock: Clock = utc_now,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._trust = trust
        self._clock = clock
        self._ticks = ticks
        self._clock_watch = ClockWatch(self._read_clock, log=clock_log)

    async def __call__(self) -> Look:
        """What is found now; takes as long as what it looks at."""
        await asyncio.to_thread(self._trust.look)
        store, now = self._trust.current(), self._clock()
        listening = [one for one in listeners_of(self._settings) if one is not Listener.OPERATIONS]
        silent = {one for one in listening if not await asyncio.to_thread(answers, self._settings, one)}
        database, schema = await asyncio.to_thread(self._database_and_schema)
        is_sound = database is None and schema is None
        backlog = await asyncio.to_thread(self._backlog) if is_sound else None
        lifetimes = (
            *store.lifetimes,
            *lifetimes_of_server(self._settings.tls.certificate),
            *lifetimes_of_signing(self._settings),
        )
        if database is None:
            await self._clock_watch.look()
        verdicts = {
            Check.DATABASE: database,
            Check.SCHEMA: schema,
            Check.REVOCATION_LISTS: Reason.STALE if store.stale_authorities(now) else None,
            Check.CLOCK: Reason.WRONG if self._clock_watch.is_wrong else None,
            Check.AUDIT_SEALS: self._seals(backlog),
            **{Check(f"listener-{one}"): Reason.NO_ANSWER if one in silent else None for one in listening},
            Check.SERVER_CERTIFICATE: _ended(lifetimes, Kind.SERVER_CERTIFICATE, now),
            **await asyncio.to_thread(self._others, lifetimes, now),
        }
        return Look(
            ticks=self._ticks(),
            verdicts=verdicts,
            lifetimes=lifetimes,
            clock=self._clock_watch.reading,
            backlog_seconds=backlog,
        )

    def _database_and_schema(self) -> tuple[Reason | None, Reason | None]:
        # A connection of its own each time: whether one can be had is part of the question.
        try:
            check_schema(self._settings.database)
        except TemporarilyUnavailable:
            return Reason.NO_ANSWER, Reason.UNKNOWN
        except UsageError:
            return None, Reason.NOT_OURS
        return None, None

    def _backlog(self) -> float | None:
        try:
            with BoundedConnection.connect(bounded(self._settings.database), autocommit=True) as connection:
                return backlog_seconds(connection)
        except psycopg.Error:
            return None

    def _seals(self, waited_seconds: float | None) -> Reason | None:
        if waited_seconds is None:
            return Reason.UNKNOWN
        return Reason.OVERDUE if waited_seconds > self._settings.audit.stop_after_seconds else None

    def _others(self, lifetimes: Iterable[Lifetime], now: datetime) -> Verdicts:
        """Whether the services that this one asks can be reached, as far as can be told without a key."""
        asked = {Check.UPSTREAM: self._settings.upstream, Check.NATIONAL_REGISTER: self._settings.national_register}
        found: dict[Check, Reason | None] = {
            check: None if takes_tls(one.url, ca=one.ca, wants_certificate=one.tls is not None) else Reason.NO_ANSWER
            for check, one in asked.items()
            if one is not None
        }
        if found:
            found[Check.SIGNING_CERTIFICATES] = _ended(lifetimes, Kind.SIGNING_CERTIFICATE, now)
        return found

    async def _read_clock(self) -> ClockReading:
        database = Database(self._settings.database, connections_max=1)
        await database.open()
        try:
            return await read_clock(database, clock=self._clock)
        finally:
            await database.close()


def _ended(lifetimes: Iterable[Lifetime], kind: Kind, now: datetime) -> Reason | None:
    return Reason.ENDED if any(one.has_ended(now) for one in lifetimes if one.kind is kind) else None
