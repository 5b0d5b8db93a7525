"""What a worker says of its own parts in a health check (app/health.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cbss_inscription.app.health import OwnPart, found_of
from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.domain.results import Health
from cbss_inscription.security.lifetimes import Kind, Lifetime

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def lifetime(days: float, *, kind: Kind = Kind.SERVER_CERTIFICATE) -> Lifetime:
    """A lifetime of two years that ends in so many days."""
    ends = NOW + timedelta(days=days)
    return Lifetime(kind=kind, name="CN=somebody", begins=ends - timedelta(days=730), ends=ends)


@pytest.mark.parametrize(
    ("days", "health", "detail"),
    [
        ([400], Health.OK, "ends in 400.0 days"),
        ([400, 31], Health.OK, "ends in 31.0 days"),
        ([400, 29.5], Health.DEGRADED, "ends in 29.5 days"),
        ([400, -0.1], Health.NOK, "ended"),
        ([], Health.OK, None),
    ],
)
def test_sec_05_a_health_check_tells_what_ends(days: list[float], health: Health, detail: str | None) -> None:
    """Thirty days before its end a certificate is to be seen to, after it it counts no more; of its own kind alone,
    and without a name (SEC-05).
    """
    lifetimes = [*map(lifetime, days), lifetime(-1, kind=Kind.INTERMEDIATE)]
    assert found_of(lifetimes, Kind.SERVER_CERTIFICATE, now=NOW) == (health, detail)


async def test_decision_32_a_part_that_does_not_answer_is_not_well() -> None:
    """A database that is away is told by our own word for it (decision 32)."""

    async def find() -> tuple[Health, str | None]:
        raise TemporarilyUnavailable("database")

    check = await OwnPart(name="database", find=find).look()
    assert (check.name, check.health, check.detail) == ("database", Health.NOK, "database")
