"""The operations listener of a running service: what it says of it, and that it always says it (SEC-10, SEC-80)."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cbss_inscription.app.addresses import Listener, answers
from cbss_inscription.app.clock import utc_now
from cbss_inscription.app.readiness import Check, Look, Readiness, Reason, ServiceChecks, is_degraded, is_ready
from cbss_inscription.app.reloading import reloaded_trust
from cbss_inscription.app.serving import Listeners
from cbss_inscription.app.settings import NationalRegister, PlainListener, Settings, Upstream, read_settings
from cbss_inscription.app.telemetry import StructuredClockLog, StructuredReloadLog
from cbss_inscription.client import InscriptionClient
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.results import Health
from cbss_inscription.storage.embedded_server import EmbeddedServer
from tests.conftest import RunningSandbox, free_port

IDLE_CONNECTIONS = 1_000
TRIES_MAX = 400


def ready(sandbox: RunningSandbox) -> dict[str, Any]:
    """What /health/ready tells once the service is ready; fails when it never is."""
    for _ in range(TRIES_MAX):
        reply = httpx.get(f"{sandbox.operations_url}/health/ready", trust_env=False)
        told: dict[str, Any] = reply.json()
        if reply.status_code == 200:
            return told
        time.sleep(0.1)
    pytest.fail(f"never ready: {told}")


def test_sec_80_a_sandbox_is_alive_and_ready(sandbox: RunningSandbox) -> None:
    """Every check of a service that works is good, and the manifest says where to ask (SEC-80)."""
    assert sandbox.operations_url.startswith("http://localhost:")
    assert httpx.get(f"{sandbox.operations_url}/health/live", trust_env=False).json() == {"live": True}
    names = [Check.LOOK, Check.DRAIN, Check.DATABASE, Check.SCHEMA, Check.REVOCATION_LISTS, Check.CLOCK]
    names += [Check.AUDIT_SEALS, Check.TLS, Check.PLAIN, Check.SERVER_CERTIFICATE]
    checks = {name: {"ok": True} for name in names}
    assert ready(sandbox) == {"ready": True, "degraded": False, "checks": checks}


def test_sec_05_metrics_of_a_sandbox(sandbox: RunningSandbox) -> None:
    """How long server certificate, authorities and lists last; no host and no number (SEC-05, SEC-80)."""
    ready(sandbox)
    reply = httpx.get(f"{sandbox.operations_url}/metrics", trust_env=False)
    seconds = {
        (sample.labels["kind"], sample.labels["name"]): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
        if sample.name == "cbss_inscription_expiry_seconds"
    }
    assert {kind for kind, _ in seconds} == {"server-certificate", "root", "intermediate", "revocation-list"}
    assert all(value > 0 for value in seconds.values())
    assert 700 * 86_400 < seconds["server-certificate", ""] < 731 * 86_400
    lists = [value for (kind, _), value in seconds.items() if kind == "revocation-list"]
    assert len(lists) == 2
    assert max(lists) <= 8 * 86_400
    assert "cbss_inscription_ready 1.0" in reply.text
    for word in ("localhost", "127.0.0.1", socket.gethostname(), str(sandbox.directory)):
        assert word not in reply.text
    assert not [one for one in sandbox.manifest["scenarios"].values() if one["ssin"] in reply.text]
    assert not reply.headers.get("server")


def test_sec_80_the_port_of_the_operations_serves_no_messages_and_that_of_messages_no_operations(
    sandbox: RunningSandbox,
) -> None:
    """Neither answers what belongs to the other (SEC-80)."""
    with httpx.Client(trust_env=False) as client:
        operations = urlsplit(sandbox.operations_url).netloc
        assert client.get(f"http://{operations}/CBSSInscription/v1?wsdl").status_code == 404
        messages = urlsplit(sandbox.plain_url).netloc
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert client.get(f"http://{messages}{path}").status_code == 404


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files for this process as it may have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < IDLE_CONNECTIONS + 500:
        pytest.skip(f"this process may have {before[1]} files, too few for {IDLE_CONNECTIONS} connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_sec_10_a_thousand_connections_leave_the_probe_alive(sandbox: RunningSandbox, many_files: None) -> None:
    """1 000 connections that never speak sit on the service's port: it is alive, ready, and answers (SEC-10)."""
    ready(sandbox)
    address = urlsplit(sandbox.url)
    with contextlib.ExitStack() as held:
        connections = [
            held.enter_context(socket.create_connection(("127.0.0.1", address.port or 0), timeout=10))
            for _ in range(IDLE_CONNECTIONS)
        ]
        for connection in connections:
            connection.setblocking(False)
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert httpx.get(f"{sandbox.operations_url}{path}", trust_env=False, timeout=10).status_code == 200
        with InscriptionClient(sandbox.profile()) as client:
            assert client.health_check().result.health is Health.OK
        # They were there all the time: a connection that was cut would have something to read.
        open_now = 0
        for connection in connections:
            with contextlib.suppress(BlockingIOError):
                assert connection.recv(1) == b"", "an idle connection is told nothing"
                continue
            open_now += 1
        assert open_now == IDLE_CONNECTIONS


def checks_of(settings: Settings, **options: Any) -> ServiceChecks:
    return ServiceChecks(
        settings,
        trust=reloaded_trust(settings, log=StructuredReloadLog()),
        clock_log=StructuredClockLog(),
        **options,
    )


def failing(look: Look) -> dict[str, str]:
    return {check.value: reason.value for check, reason in look.verdicts.items() if reason is not None}


async def test_sec_80_each_check_fails_by_its_own_cause(sandbox: RunningSandbox, postgresql: EmbeddedServer) -> None:
    """No database, another schema, stale lists, a wrong clock, a silent listener: each is told as itself (SEC-80)."""
    settings = read_settings(sandbox.directory / "settings.toml")
    assert failing(await checks_of(settings)()) == {}

    away = msgspec.structs.replace(settings, database="host=127.0.0.1 port=1 dbname=x connect_timeout=2")
    assert failing(await checks_of(away)()) == {
        Check.DATABASE: Reason.NO_ANSWER,
        Check.SCHEMA: Reason.UNKNOWN,
        Check.AUDIT_SEALS: Reason.UNKNOWN,
    }

    foreign = msgspec.structs.replace(settings, database=postgresql.connection_string)
    assert failing(await checks_of(foreign)()) == {Check.SCHEMA: Reason.NOT_OURS, Check.AUDIT_SEALS: Reason.UNKNOWN}

    later = checks_of(settings, clock=lambda: datetime.now(UTC) + timedelta(days=9))
    look = await later()
    assert failing(look) == {Check.REVOCATION_LISTS: Reason.STALE, Check.CLOCK: Reason.WRONG}
    assert look.clock is not None
    assert look.clock.offset_seconds == pytest.approx(9 * 86_400, abs=5)

    silent = msgspec.structs.replace(settings, plain=PlainListener(port=free_port()))
    assert failing(await checks_of(silent)()) == {Check.PLAIN: Reason.NO_ANSWER}


async def test_decision_32_what_others_lack_is_shown_and_takes_nobody_out_of_service(sandbox: RunningSandbox) -> None:
    """Others that are silent or somebody else, a certificate of ours that ended: degraded, and ready (decision 32)."""
    settings = read_settings(sandbox.directory / "settings.toml")
    web = sandbox.application("pcsa-web")
    asked = {
        "certificate": str(sandbox.path(web["certificate"])),
        "private_key": str(sandbox.path(web["key"])),
        "ca": str(sandbox.path(sandbox.manifest["ca"])),
    }
    for url, ca, found in (
        (sandbox.url, asked["ca"], None),
        (f"https://localhost:{free_port()}/x", asked["ca"], Reason.NO_ANSWER),
        (sandbox.url, str(sandbox.path("pki/authorities.pem")), Reason.NO_ANSWER),
        (sandbox.plain_url.replace("http:", "https:"), asked["ca"], Reason.NO_ANSWER),
    ):
        upstream = Upstream(**asked | {"ca": ca}, url=url)
        look = await checks_of(msgspec.structs.replace(settings, upstream=upstream))()
        assert failing(look) == ({} if found is None else {Check.UPSTREAM: found})
        assert (is_ready(look.verdicts), is_degraded(look.verdicts)) == (True, found is not None)

    register = NationalRegister(
        **asked,
        url=sandbox.url,
        legal_context="A:B",
        customer_identification=CustomerIdentification(sector=17, institution=1),
    )
    later = checks_of(
        msgspec.structs.replace(
            settings,
            national_register=register,
            trust=msgspec.structs.replace(settings.trust, revocation_required=False),
        ),
        clock=lambda: datetime.now(UTC) + timedelta(days=1_500),
    )
    look = await later()
    assert failing(look) == {
        Check.CLOCK: Reason.WRONG,
        Check.SERVER_CERTIFICATE: Reason.ENDED,
        Check.SIGNING_CERTIFICATES: Reason.ENDED,
    }
    assert not is_ready(look.verdicts)
    assert is_ready({**look.verdicts, Check.CLOCK: None})


def test_decision_32_a_service_that_is_to_stop_is_not_ready_at_once() -> None:
    """Without waiting for a look, and before the first one (decision 32)."""
    draining = False
    readiness = Readiness(checks=_never, failed=lambda _: None, is_draining=lambda: draining)
    readiness.look = Look(ticks=readiness.ticks(), verdicts={}, lifetimes=(), clock=None)
    assert is_ready(readiness.verdicts())
    draining = True
    assert readiness.verdicts()[Check.DRAIN] is Reason.STOPPING
    assert not is_ready(readiness.verdicts())
    readiness.look = None
    assert readiness.verdicts()[Check.DRAIN] is Reason.STOPPING


async def _never() -> Look:
    raise AssertionError("nobody looks here")


async def test_sec_73_seals_that_stay_away_are_not_ready(sandbox: RunningSandbox) -> None:
    """A service that refuses calls for want of seals is not ready (SEC-73, SEC-80)."""
    settings = read_settings(sandbox.directory / "settings.toml")
    at_once = msgspec.structs.replace(
        settings.audit, seal_seconds=1e-12, alarm_after_seconds=1e-11, stop_after_seconds=1e-10
    )
    checks = checks_of(msgspec.structs.replace(settings, audit=at_once))
    assert failing(await checks()) == {Check.AUDIT_SEALS: Reason.OVERDUE}


async def test_sec_44_lists_that_are_not_required_need_not_be_fresh(sandbox: RunningSandbox) -> None:
    """With `revocation_required = false` a stale list keeps nobody out, so the service is ready (SEC-44, SEC-80)."""
    settings = read_settings(sandbox.directory / "settings.toml")
    settings = msgspec.structs.replace(
        settings, trust=msgspec.structs.replace(settings.trust, revocation_required=False)
    )
    later = checks_of(settings, clock=lambda: datetime.now(UTC) + timedelta(days=9))
    assert failing(await later()) == {Check.CLOCK: Reason.WRONG}


async def test_sec_44_an_hour_of_grace_counts_for_readiness_too(sandbox: RunningSandbox) -> None:
    """A list is stale when callers are refused by it: not at its end, but when its grace is over (SEC-44, SEC-80)."""
    settings = read_settings(sandbox.directory / "settings.toml")
    store = reloaded_trust(settings, log=StructuredReloadLog()).current()
    end = min(one.ends for one in store.lifetimes if one.kind == "revocation-list")
    assert store.stale_authorities(utc_now()) == ()
    assert store.stale_authorities(end + timedelta(seconds=3_600)) == ()
    assert len(store.stale_authorities(end + timedelta(seconds=3_601))) == 2


def test_sec_80_an_operations_listener_that_ended_is_brought_back(sandbox: RunningSandbox) -> None:
    """Its end is not the service's: messages are served, and it is started anew like one that is silent (SEC-80)."""
    text = (sandbox.directory / "settings.toml").read_text(encoding="utf-8").partition("[plain]")[0]
    text = re.sub(r"(?m)^port = \d+", f"port = {free_port()}", text)
    path = sandbox.directory / "operated.toml"
    path.write_text(f"{text}\n[operations]\nport = {free_port()}\n", encoding="utf-8")
    settings = read_settings(path)
    listeners = Listeners(path, probe_seconds=0.0, silent_seconds_max=0.0)
    listeners.start()
    try:
        operations = listeners._processes[Listener.OPERATIONS]
        os.killpg(operations.pid, signal.SIGKILL)
        operations.wait()
        assert not listeners.ended()
        assert answers(settings, Listener.TLS)
        restarted: set[Listener] = set()
        for _ in range(TRIES_MAX):
            restarted.update(listeners.restart_silent())
            if answers(settings, Listener.OPERATIONS):
                break
            time.sleep(0.05)
        assert restarted == {Listener.OPERATIONS}
        assert answers(settings, Listener.OPERATIONS)
    finally:
        listeners.stop()


def test_sec_80_questions_open_no_connection_to_the_database(sandbox: RunningSandbox) -> None:
    """Two hundred questions at a stretch: the database has no more connections than before (SEC-10, SEC-80)."""
    ready(sandbox)

    def connections(database: psycopg.Connection[Any]) -> int:
        row = database.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()").fetchone()
        assert row is not None
        return int(row[0])

    with psycopg.connect(sandbox.manifest["database"], autocommit=True) as database:
        before = connections(database)
        with httpx.Client(base_url=sandbox.operations_url, trust_env=False) as client:
            for _ in range(200):
                assert client.get("/health/ready").status_code == 200
        # Looks go on meanwhile, two connections each, and workers may take one more of their pools.
        assert connections(database) - before < 100
