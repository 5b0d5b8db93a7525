"""The demo applications of a sandbox: four, of three organisations that do not exist, with different rights.

CBE numbers begin with 0 or 1, so that those here, which begin with 9, belong to nobody. URNs, legal contexts and
references are ours [D]; `PCSA:SOCIAL_INQUIRY` is a published example of a legal context (domain.md 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from cbss_inscription.contract.door import INSCRIPTION_OPERATIONS
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.inscription_contexts import KNOWN_CONTEXTS, SECTOR_FAMILY_ALLOWANCES, SECTOR_PCSA
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import AccessRule, AccessRules, Permission, Visibility

ENVIRONMENT: Final = "LOCAL"
"""The environment in the certificates of a sandbox."""
OTHER_ENVIRONMENT: Final = "ACC"
"""The environment of the certificate that a sandbox refuses for it."""
PORTAL_OPERATIONS: Final = (*INSCRIPTION_OPERATIONS, Operation.HEALTH_CHECK, Operation.CONSULT_MUTATIONS)
"""What an application may do that inscribes: the service's five operations and the feed. Registers it does not ask."""
_VALID_FROM: Final = date(2026, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoApplication:
    """An application with its certificate's subject, and what it may do."""

    name: str
    """Its name in sandbox.json and of its files."""
    application_urn: str
    cbe_number: str
    organization_name: str
    customer_identification: CustomerIdentification
    legal_contexts: tuple[LegalContext, ...]
    inscription_contexts: tuple[InscriptionContext, ...]
    operations: tuple[Operation, ...] = PORTAL_OPERATIONS
    visibility: Visibility | None = None


def _contexts_of(sector: int) -> tuple[InscriptionContext, ...]:
    return tuple(context for context, entry in KNOWN_CONTEXTS.items() if entry.sector == sector)


_PCSA_CBE_NUMBER: Final = "9000000191"
_FUND_CBE_NUMBER: Final = "9000000290"
_PCSA: Final = "PCSA of Nowhere (TEST ONLY)"
_INTEGRATOR_CBE_NUMBER: Final = "9000000686"
_INTEGRATOR: Final = "Nowhere Service Integrator (TEST ONLY)"
_FUND: Final = "Nowhere Family Benefits Fund (TEST ONLY)"

APPLICATIONS: Final = (
    DemoApplication(
        name="pcsa-web",
        application_urn="socialassistance:casefile:web",
        cbe_number=_PCSA_CBE_NUMBER,
        organization_name=_PCSA,
        customer_identification=CustomerIdentification(sector=SECTOR_PCSA, institution=1),
        legal_contexts=(LegalContext("PCSA:SOCIAL_INQUIRY"), LegalContext("PCSA:LIVING_WAGE_GRANT")),
        inscription_contexts=_contexts_of(SECTOR_PCSA),
    ),
    DemoApplication(
        name="family-fund",
        application_urn="familybenefits:entitlement:web",
        cbe_number=_FUND_CBE_NUMBER,
        organization_name=_FUND,
        customer_identification=CustomerIdentification(cbe_number=_FUND_CBE_NUMBER),
        legal_contexts=(LegalContext("FAMILY_BENEFITS:ENTITLEMENT"),),
        inscription_contexts=_contexts_of(SECTOR_FAMILY_ALLOWANCES),
    ),
    DemoApplication(
        name="pcsa-reader",
        application_urn="socialassistance:statistics:batch",
        cbe_number=_PCSA_CBE_NUMBER,
        organization_name=_PCSA,
        customer_identification=CustomerIdentification(sector=SECTOR_PCSA, institution=1),
        legal_contexts=(LegalContext("PCSA:SOCIAL_INQUIRY"),),
        inscription_contexts=(InscriptionContext("PCSA:LIVING_WAGE"),),
        operations=(Operation.CONSULT_INSCRIPTIONS, Operation.HEALTH_CHECK),
    ),
    # Sees by whom a person is known: of every organisation, in the contexts of both sectors. Its own context is in no
    # catalogue: it is known by being granted.
    DemoApplication(
        name="integrator",
        application_urn="serviceintegrator:routing:server",
        cbe_number=_INTEGRATOR_CBE_NUMBER,
        organization_name=_INTEGRATOR,
        customer_identification=CustomerIdentification(cbe_number=_INTEGRATOR_CBE_NUMBER),
        legal_contexts=(LegalContext("SERVICE_INTEGRATION:ROUTING"),),
        inscription_contexts=(InscriptionContext("SERVICE_INTEGRATION:ROUTING"),),
        visibility=Visibility(
            inscription_contexts=frozenset((*_contexts_of(SECTOR_PCSA), *_contexts_of(SECTOR_FAMILY_ALLOWANCES)))
        ),
    ),
)
"""The four, the first being the one that examples use."""

REPERTORY: Final = DemoApplication(
    name="repertory",
    application_urn="nowhere:inscription:repertory",
    cbe_number="9000000389",
    organization_name="Crossroads of Nowhere (TEST ONLY)",
    customer_identification=CustomerIdentification(cbe_number="9000000389"),
    legal_contexts=(LegalContext("REPERTORY:IDENTIFICATION"),),
    inscription_contexts=(),
    operations=(Operation.SEARCH_PERSON_BY_SSIN, Operation.SEARCH_PERSON_PHONETICALLY, Operation.HEALTH_CHECK),
)
"""The façade itself, as it is known to the National Register that it asks."""

FACADE: Final = DemoApplication(
    name="facade",
    application_urn="nowhere:inscription:facade",
    cbe_number="9000000488",
    organization_name="Social Security Office of Nowhere (TEST ONLY)",
    customer_identification=CustomerIdentification(cbe_number="9000000488"),
    legal_contexts=(),
    inscription_contexts=(),
    operations=(*INSCRIPTION_OPERATIONS, Operation.HEALTH_CHECK),
)
"""The façade itself, as it is known to a repertory that is a service of its own."""

UNKNOWN_URN: Final = "nowhere:unknown:application"
"""The URN of a certificate that is trusted, and that no access rule names."""


def demo_access_rules(applications: Sequence[DemoApplication] = APPLICATIONS) -> AccessRules:
    """The access rules and permissions of the demo applications."""
    return AccessRules(
        version=1,
        access_rules=tuple(
            _access_rule(number, application, application.operations)
            for number, application in enumerate(applications, start=1)
        ),
        permissions=tuple(
            _permission(number, application, application, application.operations)
            for number, application in enumerate(applications, start=1)
        ),
    )


def demo_upstream_rules() -> AccessRules:
    """The rules of a repertory behind the façade: that asks for everybody, and mutations everybody asks for alone."""
    feed = (Operation.CONSULT_MUTATIONS,)
    readers = [application for application in APPLICATIONS if Operation.CONSULT_MUTATIONS in application.operations]
    return AccessRules(
        version=1,
        access_rules=(
            _access_rule(0, FACADE, FACADE.operations),
            *(_access_rule(number, application, feed) for number, application in enumerate(readers, start=1)),
        ),
        permissions=(
            *(
                _permission(number, application, FACADE, application.operations)
                for number, application in enumerate(APPLICATIONS, start=1)
            ),
            *(
                _permission(number, application, application, feed)
                for number, application in enumerate(readers, start=len(APPLICATIONS) + 1)
            ),
        ),
    )


def _access_rule(number: int, application: DemoApplication, operations: tuple[Operation, ...]) -> AccessRule:
    return AccessRule(
        dossier=f"DEMO-DOSSIER-{number}",
        application_urn=application.application_urn,
        cbe_number=application.cbe_number,
        environment=ENVIRONMENT,
        operations=operations,
        valid_from=_VALID_FROM,
    )


def _permission(
    number: int, application: DemoApplication, speaker: DemoApplication, operations: tuple[Operation, ...]
) -> Permission:
    """That `speaker` may ask for the customer of `application` what this one may ask."""
    return Permission(
        reference=f"DEMO-PERMISSION-{number}",
        customer_identification=application.customer_identification,
        cbe_number=speaker.cbe_number,
        application_urns=(speaker.application_urn,),
        legal_contexts=frozenset(application.legal_contexts),
        inscription_contexts=frozenset(application.inscription_contexts),
        operations=operations,
        visibility=application.visibility,
        valid_from=_VALID_FROM,
    )
