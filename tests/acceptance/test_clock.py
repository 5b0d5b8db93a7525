"""A façade whose clock is not the database's (SEC-55)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from cbss_inscription.app import clock as clock_module
from cbss_inscription.app.clock import read_clock
from cbss_inscription.storage.database import Database
from tests.acceptance.conftest import BuildFacade, InProcessFacade, consult, health


class FakeClock:
    """A machine's clock, put forward or back by hand."""

    def __init__(self, ahead_seconds: float = 0.0) -> None:
        self.ahead = timedelta(seconds=ahead_seconds)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def clock_lines(facade: InProcessFacade) -> list[dict[str, Any]]:
    return [line for line in facade.log_lines() if line["event"] == "clock"]


@pytest.mark.parametrize("ahead", [31.5, -31.5])
async def test_sec_55_a_clock_that_is_wrong_refuses_every_message(build_facade: BuildFacade, ahead: float) -> None:
    """Half a minute off, ahead or behind: SOA-02002 with the reason `clock`, health checks too (SEC-55)."""
    async with build_facade(clock=FakeClock(ahead)) as facade:
        for content in (consult(facade.ssin("nr_active")), health()):
            reply = await facade.send(content)
            assert reply.status == 500
            assert "SOA-02002" in reply.body.decode()
            assert facade.log_lines()[-1]["reason"] == "clock"
        (line,) = clock_lines(facade)
        assert (line["level"], line["state"]) == ("error", "wrong")
        assert line["offset_seconds"] == pytest.approx(ahead, abs=1.0)


async def test_sec_55_a_clock_that_drifts_is_told_and_serves(build_facade: BuildFacade) -> None:
    """Ten seconds off is an alarm, and every message is judged as before (SEC-55)."""
    async with build_facade(clock=FakeClock(10.0)) as facade:
        assert (await facade.send(consult(facade.ssin("nr_active")))).status == 200
        (line,) = clock_lines(facade)
        assert (line["level"], line["state"]) == ("warning", "drifting")


async def test_sec_55_a_clock_that_is_put_right_serves_again(
    build_facade: BuildFacade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the façade runs: wrong from the next look, right from the one after, each told once (SEC-55)."""
    monkeypatch.setattr(clock_module, "CLOCK_LOOK_SECONDS", 0.02)
    clock = FakeClock()
    async with build_facade(clock=clock) as facade:
        ssin = facade.ssin("nr_active")
        assert (await facade.send(consult(ssin))).status == 200
        for seconds, count in ((45.0, 1), (0.0, 2)):
            clock.ahead = timedelta(seconds=seconds)
            for _ in range(500):
                if len(clock_lines(facade)) == count:
                    break
                await asyncio.sleep(0.02)
            assert len(clock_lines(facade)) == count
            assert (await facade.send(consult(ssin))).status == (500 if seconds else 200)
        assert [line["state"] for line in clock_lines(facade)] == ["wrong", "right"]


async def test_sec_55_the_clock_beside_ours_is_the_databases(populated_database: str) -> None:
    """What is read is PostgreSQL's `clock_timestamp()`, and ours is taken half way of the question (SEC-55)."""
    database = Database(populated_database)
    await database.open()
    try:
        ticks = iter([100.0, 104.0])
        with psycopg.connect(populated_database) as connection:
            (before,) = connection.execute("SELECT clock_timestamp()").fetchone() or ()
            reading = await read_clock(database, clock=lambda: before, ticks=lambda: next(ticks))
            (after,) = (
                connection.execute("SELECT extract(epoch FROM clock_timestamp() - %s)", [before]).fetchone() or ()
            )
    finally:
        await database.close()
    assert reading.error_seconds == 2.0
    assert 2.0 - float(after) <= reading.offset_seconds <= 2.001
