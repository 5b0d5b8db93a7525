"""healthCheck: is the service well? PING looks at nothing behind the door; DEFAULT and DEEP ask what is there."""

from __future__ import annotations

from collections.abc import Sequence

from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.requests import HealthCheck, HealthCheckType, Operation
from cbss_inscription.domain.results import Health, HealthCheckResult
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.repertory.port import Repertory
from cbss_inscription.usecases.authorization import admit_application
from cbss_inscription.usecases.ports import Source


async def health_check(
    request: HealthCheck,
    exchange: Exchange,
    *,
    rules: AccessRules,
    repertory: Repertory | None = None,
    sources: Sequence[Source] = (),
    component: str,
    location: str,
) -> HealthCheckResult:
    """How the service is. Raises `NotAuthorized` for a caller without an access rule for healthCheck (SEC-56)."""
    admit_application(exchange, Operation.HEALTH_CHECK, rules)
    behind: list[Source] = [] if repertory is None else [repertory]
    behind += sources
    checks = () if request.type is HealthCheckType.PING else tuple([await source.look() for source in behind])
    health = Health.OK if all(check.health is Health.OK for check in checks) else Health.NOK
    return HealthCheckResult(health=health, component=component, location=location, checks=checks)
