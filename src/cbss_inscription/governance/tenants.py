"""Tenants: organisations that share a register and see nothing of each other ("register as a service"; rules 28, 30).

A tenant is its customers, its applications and its own words for how it knows a person. Each customer and each
application belongs to one tenant, and every access rule and permission to the tenant that it names: so a caller speaks
for customers of its own tenant only, about contexts of that tenant, and is shown no others' lines.

Where no tenant is listed, everything belongs to `DEFAULT_TENANT`, without bounds: an installation of one owner.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Final, Protocol

import msgspec

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.inscription_contexts import KNOWN_CONTEXTS

DEFAULT_TENANT: Final = "default"
"""The tenant of what names none; the built-in catalogue of contexts is its (rule 28)."""

TenantName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,62}\Z")]


class Application(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An application as its certificate names it, in whatever environment."""

    application_urn: str
    cbe_number: str


class Tenant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose lines, applications and words are kept apart from every other tenant's."""

    name: TenantName
    customers: tuple[CustomerIdentification, ...]
    applications: tuple[Application, ...]
    inscription_contexts: frozenset[InscriptionContext] = frozenset()
    """Its own catalogue; that of `DEFAULT_TENANT` has the built-in one besides."""
    remarks: str | None = None

    @property
    def known_contexts(self) -> frozenset[InscriptionContext]:
        """The contexts that exist for this tenant (rule 28)."""
        if self.name == DEFAULT_TENANT:
            return self.inscription_contexts | frozenset(KNOWN_CONTEXTS)
        return self.inscription_contexts


class Belonging(Protocol):
    """An access rule or a permission, as far as its tenant is concerned."""

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        ...

    @property
    def applications(self) -> Collection[Application]:
        """The applications that it names."""
        ...

    @property
    def customers(self) -> Collection[CustomerIdentification]:
        """The organisations that it names."""
        ...

    @property
    def readable_contexts(self) -> Collection[InscriptionContext]:
        """The contexts that it names."""
        ...


def check_tenants(tenants: Sequence[Tenant], entries: Iterable[Belonging]) -> None:
    """Nothing, when every entry names only what is its tenant's. Raises ValueError, with the entry and the stranger.

    Without tenants: when every entry is `DEFAULT_TENANT`'s.
    """
    by_name = {tenant.name: tenant for tenant in tenants}
    _refuse_repeated("the tenant {} is listed twice", [tenant.name for tenant in tenants])
    customers = [customer.key for tenant in tenants for customer in tenant.customers]
    _refuse_repeated("the customer {} belongs to two tenants, or twice to one", customers)
    applications = [
        f"{application.application_urn} of {application.cbe_number}"
        for tenant in tenants
        for application in tenant.applications
    ]
    _refuse_repeated("the application {} belongs to two tenants, or twice to one", applications)
    for entry in entries:
        tenant = by_name.get(entry.tenant)
        if tenant is not None:
            stranger = _stranger_in(entry, tenant)
            if stranger is not None:
                raise ValueError(f"{entry.title} names {stranger}, which is not of the tenant {tenant.name}")
        elif tenants or entry.tenant != DEFAULT_TENANT:
            raise ValueError(f"{entry.title} belongs to the tenant {entry.tenant}, which is not listed")


def _stranger_in(entry: Belonging, tenant: Tenant) -> str | None:
    """What the entry names of which its tenant knows nothing, in words."""
    for application in entry.applications:
        if application not in tenant.applications:
            return f"the application {application.application_urn} of {application.cbe_number}"
    for customer in entry.customers:
        if customer not in tenant.customers:
            return f"the customer {customer.key}"
    unknown = sorted(set(entry.readable_contexts) - tenant.known_contexts)
    return f"the inscription context {unknown[0]}" if unknown else None


def _refuse_repeated(sentence: str, values: Sequence[str]) -> None:
    met: set[str] = set()
    for value in values:
        if value in met:
            raise ValueError(sentence.format(value))
        met.add(value)
