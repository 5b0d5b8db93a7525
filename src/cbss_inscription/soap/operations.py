"""What each door does with a request: which use case it goes to, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import WsdlViolation
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.person_search import SearchPersonBySsin, SearchPersonPhonetically
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    ConsultMutations,
    DeleteInscription,
    HealthCheck,
    InsertInscription,
    Request,
    UpdateInscription,
)
from cbss_inscription.domain.results import Result
from cbss_inscription.registers.port import PersonRegister
from cbss_inscription.repertory.port import Repertory
from cbss_inscription.usecases.carry_out import carry_out
from cbss_inscription.usecases.consult_mutations import consult_mutations
from cbss_inscription.usecases.health_check import health_check
from cbss_inscription.usecases.ports import AccessRulesSource, MutationFeed, Source, Volumes
from cbss_inscription.usecases.search_persons import search_person_by_ssin, search_person_phonetically


class DoorOperations(Protocol):
    """The operations behind a door."""

    async def perform(self, request: Request, exchange: Exchange) -> Result:
        """What became of `request`. Raises `NotAuthorized`, and `WsdlViolation` for a request of another door."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InscriptionOperations:
    """The `DoorOperations` of inscriptions, at the façade or at KSZ's door.

    `component` is the service's name, `location` its address.
    """

    access_rules: AccessRulesSource
    volumes: Volumes
    repertory: Repertory
    component: str
    location: str
    own: tuple[Source, ...] = ()
    """What a health check looks at of this service."""
    others: tuple[Source, ...] = ()
    """What a deep one looks at besides: services of others."""

    async def perform(self, request: Request, exchange: Exchange) -> Result:
        """See `DoorOperations.perform`."""
        rules = self.access_rules.current()
        match request:
            case ConsultInscriptions() | InsertInscription() | UpdateInscription() | DeleteInscription():
                return await carry_out(request, exchange, rules=rules, repertory=self.repertory, volumes=self.volumes)
            case HealthCheck():
                return await health_check(
                    request,
                    exchange,
                    rules=rules,
                    own=self.own,
                    others=self.others,
                    component=self.component,
                    location=self.location,
                )
            case _:
                raise WsdlViolation("operation")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonOperations:
    """The `DoorOperations` of PersonService, in front of one register; `location` is the address of the door."""

    access_rules: AccessRulesSource
    volumes: Volumes
    register: PersonRegister
    location: str
    own: tuple[Source, ...] = ()
    """See `InscriptionOperations.own`."""

    async def perform(self, request: Request, exchange: Exchange) -> Result:
        """See `DoorOperations.perform`."""
        rules = self.access_rules.current()
        match request:
            case SearchPersonBySsin():
                return await search_person_by_ssin(
                    request, exchange, rules=rules, register=self.register, volumes=self.volumes
                )
            case SearchPersonPhonetically():
                return await search_person_phonetically(
                    request, exchange, rules=rules, register=self.register, volumes=self.volumes
                )
            case HealthCheck():
                return await health_check(
                    request,
                    exchange,
                    rules=rules,
                    own=self.own,
                    component=Door.PERSON.service_name,
                    location=self.location,
                )
            case _:
                raise WsdlViolation("operation")


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationOperations:
    """The `DoorOperations` of the mutation feed."""

    access_rules: AccessRulesSource
    volumes: Volumes
    feed: MutationFeed

    async def perform(self, request: Request, exchange: Exchange) -> Result:
        """See `DoorOperations.perform`."""
        if not isinstance(request, ConsultMutations):
            raise WsdlViolation("operation")
        return await consult_mutations(
            request, exchange, rules=self.access_rules.current(), feed=self.feed, volumes=self.volumes
        )
