"""healthCheck: is the service well? PING looks at nothing behind the door, DEFAULT at its own parts, DEEP at all.

What belongs to others and is away makes the service degraded, not broken: it answers, honestly (CBI00901, SOA-02002).
"""

from __future__ import annotations

from collections.abc import Sequence

from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.requests import HealthCheck, HealthCheckType, Operation
from cbss_inscription.domain.results import Health, HealthCheckResult
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.usecases.authorization import admit_application
from cbss_inscription.usecases.ports import Source


async def health_check(
    request: HealthCheck,
    exchange: Exchange,
    *,
    rules: AccessRules,
    own: Sequence[Source] = (),
    others: Sequence[Source] = (),
    component: str,
    location: str,
) -> HealthCheckResult:
    """How the service is. Raises `NotAuthorized` for a caller without an access rule for healthCheck (SEC-56)."""
    admit_application(exchange, Operation.HEALTH_CHECK, rules)
    looks_at_own = request.type is not HealthCheckType.PING
    looks_at_others = request.type is HealthCheckType.DEEP
    ours = [await source.look() for source in own if looks_at_own]
    theirs = [await source.look() for source in others if looks_at_others]
    checks = (*ours, *theirs)
    if any(check.health is Health.NOK for check in ours):
        health = Health.NOK
    else:
        health = Health.OK if all(check.health is Health.OK for check in checks) else Health.DEGRADED
    return HealthCheckResult(health=health, component=component, location=location, checks=checks)
