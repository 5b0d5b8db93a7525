"""The operations listener: is the service alive, is it ready, and its metrics (SEC-80).

A process and a port of its own: whatever happens to the listeners for messages, it answers (SEC-10). An answer tells
what the last look found: a flood of questions costs no connection to the database, and no other process anything. No
private key is read here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from cbss_inscription.app.addresses import LIVE_PATH
from cbss_inscription.app.clock import Clock, utc_now
from cbss_inscription.app.draining import Draining
from cbss_inscription.app.lifeline import end_with_standard_input
from cbss_inscription.app.memory_dumps import forbid_memory_dumps
from cbss_inscription.app.metrics import Counts, metrics_directory
from cbss_inscription.app.readiness import Readiness, ServiceChecks, is_degraded, is_ready
from cbss_inscription.app.reloading import reloaded_trust
from cbss_inscription.app.settings import Settings, settings_of_worker
from cbss_inscription.app.telemetry import StructuredClockLog, StructuredReloadLog, configure_logging
from cbss_inscription.security.lifetimes import Kind, Lifetime
from cbss_inscription.soap.http import Receive, Scope, Send, live, respond

if TYPE_CHECKING:
    from cbss_inscription.app.faults import FaultControl

OPERATIONS_FACTORY: Final = "cbss_inscription.app.operations:operations_of_worker"
"""What the application server loads in the worker of the operations listener."""
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"

Answer = tuple[HTTPStatus, bytes, str]


def operations_of_worker() -> OperationsApplication:
    """The ASGI application of this worker process, from the settings file that its environment names."""
    forbid_memory_dumps()
    end_with_standard_input()
    configure_logging()
    draining = Draining()
    return build_operations(settings_of_worker(), is_draining=lambda: draining.is_on)


def build_operations(
    settings: Settings, *, clock: Clock = utc_now, is_draining: Callable[[], bool] = lambda: False
) -> OperationsApplication:
    """What tells the state of the service that the settings describe. Raises `UsageError` for a file that is broken."""
    log = StructuredReloadLog()
    trust = reloaded_trust(settings, log=log)
    checks = ServiceChecks(settings, trust=trust, clock_log=StructuredClockLog(), clock=clock)
    readiness = Readiness(
        checks=checks,
        failed=lambda kind: log.reload_failed(what="readiness", reason=kind),
        is_draining=is_draining,
    )
    control: FaultControl | None = None
    if settings.faults is not None:
        from cbss_inscription.app.faults import FaultControl

        control = FaultControl(settings.faults)
    directory = metrics_directory()
    counts = None if directory is None else Counts(directory)
    return OperationsApplication(readiness, counts=counts, faults=control, clock=clock)


class OperationsApplication:
    """The ASGI application: three paths, GET only; and the control API of faults where there is one."""

    def __init__(
        self,
        readiness: Readiness,
        *,
        counts: Collector | None = None,
        faults: FaultControl | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._readiness = readiness
        self._faults = faults
        self._registry = CollectorRegistry()
        self._registry.register(_State(readiness, clock=clock))
        if counts is not None:
            self._registry.register(counts)
        self._answers: Mapping[str, Callable[[], Answer]] = {
            LIVE_PATH: self._live,
            "/health/ready": self._ready,
            "/metrics": self._metrics,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope, as ASGI says."""
        match scope["type"]:
            case "lifespan":
                await live(self._lifespan, receive, send)
            case "http":
                answer = self._answers.get(scope["path"])
                if self._faults is not None and self._faults.has(scope["path"]):
                    await respond(send, *await self._faults.answer(scope, receive), _JSON)
                elif answer is None:
                    sentence = f"There is nothing at this path: try {', '.join(self._answers)}."
                    await respond(send, HTTPStatus.NOT_FOUND, sentence.encode(), _TEXT)
                elif scope["method"] != "GET":
                    await respond(send, HTTPStatus.METHOD_NOT_ALLOWED, b"GET only.", _TEXT, {"allow": "GET"})
                else:
                    await respond(send, *answer())

    @asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        looking = asyncio.create_task(self._readiness.keep_looking())
        try:
            yield
        finally:
            looking.cancel()

    def _live(self) -> Answer:
        return HTTPStatus.OK, b'{"live": true}\n', _JSON

    def _ready(self) -> Answer:
        verdicts = self._readiness.verdicts()
        ready = is_ready(verdicts)
        checks = {
            check.value: {"ok": reason is None, **({"reason": reason.value} if reason else {})}
            for check, reason in verdicts.items()
        }
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return (
            status,
            json.dumps({"ready": ready, "degraded": is_degraded(verdicts), "checks": checks}).encode() + b"\n",
            _JSON,
        )

    def _metrics(self) -> Answer:
        return HTTPStatus.OK, generate_latest(self._registry), CONTENT_TYPE_LATEST


class _State(Collector):
    """The last look as gauges; what counts in seconds counts until now."""

    def __init__(self, readiness: Readiness, *, clock: Clock) -> None:
        self._readiness = readiness
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        verdicts = self._readiness.verdicts()
        ready = GaugeMetricFamily("cbss_inscription_ready", "Whether messages can be answered: 1 or 0.")
        ready.add_metric([], float(is_ready(verdicts)))
        yield ready
        degraded = GaugeMetricFamily("cbss_inscription_degraded", "Whether something that it needs is away: 1 or 0.")
        degraded.add_metric([], float(is_degraded(verdicts)))
        yield degraded
        checks = GaugeMetricFamily("cbss_inscription_check", "Whether this check is good: 1 or 0.", labels=["check"])
        for check, reason in verdicts.items():
            checks.add_metric([check.value], float(reason is None))
        yield checks
        look = self._readiness.look
        if look is None:
            return
        age = GaugeMetricFamily("cbss_inscription_look_age_seconds", "Seconds since the checks were looked at.")
        age.add_metric([], self._readiness.ticks() - look.ticks)
        yield age
        yield _expiries(look.lifetimes, self._clock())
        if look.clock is not None:
            offset = GaugeMetricFamily(
                "cbss_inscription_clock_offset_seconds", "This machine's clock less the database's, in seconds."
            )
            offset.add_metric([], look.clock.offset_seconds)
            yield offset
        if look.backlog_seconds is not None:
            backlog = GaugeMetricFamily(
                "cbss_inscription_audit_backlog_seconds", "For how long the audit journal waits for its seal."
            )
            backlog.add_metric([], look.backlog_seconds)
            yield backlog


def _expiries(lifetimes: tuple[Lifetime, ...], now: datetime) -> Metric:
    """Seconds until each of them ends; of several with one name, the first to end counts, for a series stands once."""
    gauge = GaugeMetricFamily(
        "cbss_inscription_expiry_seconds",
        "Seconds until a certificate or revocation list ends; negative afterwards.",
        labels=["kind", "name"],
    )
    ends: dict[tuple[str, str], datetime] = {}
    for one in lifetimes:
        # The server's is named by its host, which is nobody's business here.
        key = (one.kind.value, "" if one.kind is Kind.SERVER_CERTIFICATE else one.name)
        ends[key] = min(one.ends, ends.get(key, one.ends))
    for labels, end in ends.items():
        gauge.add_metric(labels, (end - now).total_seconds())
    return gauge
