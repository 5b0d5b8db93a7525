"""healthCheck: is the service well? PING looks at nothing behind the door; DEFAULT and DEEP ask the repertory."""

from __future__ import annotations

from cbss_inscription.domain.errors import NotAuthorized
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.requests import HealthCheck, HealthCheckType, Operation
from cbss_inscription.domain.results import Health, HealthCheckResult
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.repertory.port import Repertory


async def health_check(
    request: HealthCheck,
    exchange: Exchange,
    *,
    rules: AccessRules,
    repertory: Repertory,
    component: str,
    location: str,
) -> HealthCheckResult:
    """How the service is. Raises `NotAuthorized` for a caller without an access rule for healthCheck (SEC-56)."""
    if not rules.admits(exchange.caller, Operation.HEALTH_CHECK, today=exchange.timestamp_receive.date()):
        raise NotAuthorized("no-access-rule")
    checks = () if request.type is HealthCheckType.PING else (await repertory.look(),)
    health = Health.OK if all(check.health is Health.OK for check in checks) else Health.NOK
    return HealthCheckResult(health=health, component=component, location=location, checks=checks)
