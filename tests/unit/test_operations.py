"""What the operations listener answers, from looks that are made up (SEC-80)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cbss_inscription.app import readiness as readiness_module
from cbss_inscription.app.operations import OperationsApplication
from cbss_inscription.app.readiness import DEGRADING, LOOK_AGE_SECONDS_MAX, Check, Look, Readiness, Reason
from cbss_inscription.domain.clock import ClockReading
from cbss_inscription.security.lifetimes import Kind, Lifetime

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CHECKS = (Check.DATABASE, Check.SCHEMA, Check.REVOCATION_LISTS, Check.CLOCK, Check.TLS)
GOOD: dict[Check, Reason | None] = dict.fromkeys(CHECKS)


def lifetime(kind: Kind, name: str, *, left: timedelta) -> Lifetime:
    return Lifetime(kind=kind, name=name, begins=NOW - timedelta(days=1), ends=NOW + left)


def look_of(verdicts: Mapping[Check, Reason | None] = GOOD, *lifetimes: Lifetime, ticks: float = 0.0) -> Look:
    clock = ClockReading(offset_seconds=-1.5, error_seconds=0.1)
    return Look(ticks=ticks, verdicts=verdicts, lifetimes=lifetimes, clock=clock)


class Operations:
    """An application whose looks are given, and how often it asked for one."""

    def __init__(self, look: Look | None) -> None:
        self.looks = 0
        self.ticks = 0.0
        self.failures: list[str] = []
        self.outcome: Look | Exception = look or look_of()
        self.readiness = Readiness(checks=self._look, failed=self.failures.append, ticks=lambda: self.ticks)
        self.readiness.look = look
        self.application = OperationsApplication(self.readiness, clock=lambda: NOW)

    async def _look(self) -> Look:
        self.looks += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def ask(self, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
        """Status, body and headers of an answer."""
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(event: Any) -> None:
            sent.append(event)

        await self.application({"type": "http", "path": path, "method": method}, receive, send)
        start, body = sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return int(start["status"]), body["body"].decode(), headers

    async def ready(self) -> tuple[int, dict[str, str]]:
        """The status, and the reason of each check that fails."""
        status, body, _ = await self.ask("/health/ready")
        told = json.loads(body)
        assert told["ready"] == (status == 200)
        return status, {name: check["reason"] for name, check in told["checks"].items() if not check["ok"]}


async def test_sec_80_what_is_good_is_ready() -> None:
    """Every check by name, none failing: 200, not to be kept by anybody (SEC-80)."""
    operations = Operations(look_of())
    status, body, headers = await operations.ask("/health/ready")
    assert status == 200
    assert json.loads(body) == {
        "ready": True,
        "degraded": False,
        "checks": {name: {"ok": True} for name in [Check.LOOK, Check.DRAIN, *GOOD]},
    }
    assert (headers["content-type"], headers["cache-control"]) == ("application/json", "no-store")


async def test_decision_32_what_others_lack_degrades_and_is_ready() -> None:
    """200, with the reason and `degraded`, for whatever another replica could do no better (decision 32)."""
    for check in DEGRADING:
        operations = Operations(look_of({**GOOD, check: Reason.NO_ANSWER}))
        assert await operations.ready() == (200, {check.value: "no-answer"})
        assert json.loads((await operations.ask("/health/ready"))[1])["degraded"] is True
        metrics = (await operations.ask("/metrics"))[1]
        assert "cbss_inscription_degraded 1.0" in metrics
        assert "cbss_inscription_ready 1.0" in metrics


@pytest.mark.parametrize("check", GOOD)
async def test_sec_80_one_check_that_fails_is_not_ready(check: Check) -> None:
    """Each of them alone: 503 with its reason; alive all the same (SEC-80)."""
    operations = Operations(look_of({**GOOD, check: Reason.NO_ANSWER}))
    assert await operations.ready() == (503, {check.value: "no-answer"})
    assert (await operations.ask("/health/live"))[0] == 200


async def test_sec_80_without_a_look_of_now_nothing_is_ready() -> None:
    """Before the first look, and when the last is overdue: 503, for nobody knows (SEC-80)."""
    assert await Operations(None).ready() == (503, {"look": "starting"})
    operations = Operations(look_of(ticks=100.0))
    operations.ticks = 100.0 + LOOK_AGE_SECONDS_MAX
    assert (await operations.ready())[0] == 200
    operations.ticks += 0.1
    assert await operations.ready() == (503, {"look": "overdue"})


async def test_sec_10_a_flood_of_questions_makes_nobody_look() -> None:
    """A thousand questions of each kind are answered by what was found before (SEC-10)."""
    operations = Operations(look_of())
    for path in ("/health/live", "/health/ready", "/metrics"):
        for _ in range(1_000):
            assert (await operations.ask(path))[0] == 200
    assert operations.looks == 0


async def test_sec_80_a_look_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect in a check is told by its kind, the last look stays, and the next is made (SEC-80)."""
    monkeypatch.setattr(readiness_module, "LOOK_AGAIN_SECONDS", 0.0)
    operations = Operations(None)
    operations.outcome = ValueError("85073003328")
    looking = asyncio.create_task(operations.readiness.keep_looking())
    while operations.looks < 3:
        await asyncio.sleep(0)
    assert operations.readiness.look is None
    operations.outcome = look_of()
    while operations.readiness.look is None:
        await asyncio.sleep(0)
    looking.cancel()
    assert operations.failures == ["ValueError"]
    assert (await operations.ready())[0] == 200


async def test_sec_80_only_three_paths_are_there_and_only_to_read() -> None:
    """Another path is 404, another method 405: nothing can be changed here (SEC-80)."""
    operations = Operations(look_of())
    for path in ("/", "/health", "/health/live/", "/CBSSInscription/v1", "/metrics/../metrics"):
        assert (await operations.ask(path))[0] == 404
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        status, _, headers = await operations.ask("/health/live", method)
        assert (status, headers["allow"]) == (405, "GET")


async def test_sec_05_metrics_say_when_everything_ends() -> None:
    """Seconds until each certificate and list ends, negative afterwards; beside them checks and clock (SEC-05)."""
    operations = Operations(
        look_of(
            {**GOOD, Check.CLOCK: Reason.WRONG},
            lifetime(Kind.SERVER_CERTIFICATE, "CN=portal.example", left=timedelta(days=30)),
            lifetime(Kind.ROOT, "CN=Root", left=timedelta(days=2)),
            lifetime(Kind.ROOT, "CN=Root", left=timedelta(days=1)),
            lifetime(Kind.REVOCATION_LIST, 'CN=Issuing "1"\\,\n2', left=-timedelta(hours=1)),
            ticks=5.0,
        )
    )
    operations.ticks = 12.0
    status, body, headers = await operations.ask("/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    prefix = "cbss_inscription_"
    assert found == {
        (f"{prefix}ready",): 0.0,
        (f"{prefix}degraded",): 0.0,
        (f"{prefix}check", "look"): 1.0,
        (f"{prefix}check", "drain"): 1.0,
        **{(f"{prefix}check", check.value): float(check is not Check.CLOCK) for check in GOOD},
        (f"{prefix}look_age_seconds",): 7.0,
        (f"{prefix}expiry_seconds", "", "server-certificate"): 30 * 86_400.0,
        (f"{prefix}expiry_seconds", "CN=Root", "root"): 86_400.0,
        (f"{prefix}expiry_seconds", 'CN=Issuing "1"\\,\n2', "revocation-list"): -3_600.0,
        (f"{prefix}clock_offset_seconds",): -1.5,
    }
    assert "portal" not in body
