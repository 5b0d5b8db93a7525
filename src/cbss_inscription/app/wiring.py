"""The composition root: which adapter stands behind which port, in a worker of a service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from cbss_inscription import __version__
from cbss_inscription.app.addresses import Listener
from cbss_inscription.app.authentication import authenticator_of, believed_of
from cbss_inscription.app.background import repeat
from cbss_inscription.app.clock import Clock, ClockWatch, read_clock, utc_now
from cbss_inscription.app.draining import Draining
from cbss_inscription.app.health import own_parts
from cbss_inscription.app.lifeline import end_with_standard_input
from cbss_inscription.app.memory_dumps import forbid_memory_dumps
from cbss_inscription.app.metrics import counting
from cbss_inscription.app.registers import Registers, number_life, registers_of
from cbss_inscription.app.reloading import (
    ContextsInForce,
    TrustInForce,
    keep_in_force,
    reloaded_audit_keys,
    reloaded_rules,
    reloaded_trust,
)
from cbss_inscription.app.settings import Service, Settings, settings_of_worker
from cbss_inscription.app.telemetry import (
    StructuredCallLog,
    StructuredClockLog,
    StructuredExchangeLog,
    StructuredReloadLog,
    StructuredVolumeLog,
    configure_logging,
)
from cbss_inscription.app.upstream import upstream_of
from cbss_inscription.app.volumes import VolumesInSight
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.contract.write import Deployment
from cbss_inscription.domain.errors import ServiceUnavailable
from cbss_inscription.governance.volumes import VolumeMeter
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.repertory.port import Repertory
from cbss_inscription.security.policy import MessageLimits, SecurityPolicy, fields_of
from cbss_inscription.soap.addresses import DoorAddresses
from cbss_inscription.soap.http import SoapApplication, SoapDoor
from cbss_inscription.soap.operations import (
    DoorOperations,
    InscriptionOperations,
    MutationOperations,
    PersonOperations,
)
from cbss_inscription.soap.pipeline import SecuredDoor
from cbss_inscription.soap.wsdl import WsdlDocuments
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.declarations import StoredDeclarations
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.journal import SEALS_LOOK_SECONDS, StoredJournal
from cbss_inscription.storage.mutations import StoredMutations
from cbss_inscription.storage.replay import FORGET_INTERVAL_SECONDS, StoredReplayGuard
from cbss_inscription.storage.volumes import StoredVolumes
from cbss_inscription.xml_limits import XmlLimits, XmlShape

if TYPE_CHECKING:
    from cbss_inscription.soap.faults import DisturbedApplication

APPLICATION_FACTORIES: Final = {
    Listener.TLS: "cbss_inscription.app.wiring:application_of_tls_worker",
    Listener.PLAIN: "cbss_inscription.app.wiring:application_of_plain_worker",
}
"""What the application server loads in each worker of a listener for messages."""
FORGET_GRACE: Final = timedelta(minutes=5)
"""How long expired messages are still remembered: another replica's clock may be behind ours (SEC-52)."""


def application_of_tls_worker() -> SoapApplication | DisturbedApplication:
    """The ASGI application of this worker process, from the settings file that its environment names."""
    return _application_of_worker(Listener.TLS)


def application_of_plain_worker() -> SoapApplication | DisturbedApplication:
    """The same for a worker of the listener without TLS, which may believe what a TLS terminator says (SEC-02)."""
    return _application_of_worker(Listener.PLAIN)


def _application_of_worker(listener: Listener) -> SoapApplication | DisturbedApplication:
    forbid_memory_dumps()
    end_with_standard_input()
    configure_logging()
    settings = settings_of_worker()
    draining = Draining()
    application = build_application(settings, listener=listener, is_draining=lambda: draining.is_on)
    if settings.faults is None:
        return application
    from cbss_inscription.app.faults import disturbed

    return disturbed(application, faults=settings.faults)


def policy_of(settings: Settings) -> SecurityPolicy:
    """What the message security of the service accepts."""
    said = settings.security
    return SecurityPolicy(
        xml_limits=XmlLimits(size_bytes_max=settings.limits.body_bytes_max, **fields_of(said.xml, XmlShape)),
        signature_algorithms=frozenset(algorithm.uri for algorithm in said.signature_algorithms),
        applications_without_value_type=said.applications_without_value_type,
        **fields_of(said, MessageLimits),
    )


def addresses_of(settings: Settings, door: Door) -> DoorAddresses:
    """Where a door of the service is reached. Raises `UsageError` for a base URL that is none."""
    return DoorAddresses.of(door, (settings.public_url, *settings.other_urls))


def build_application(
    settings: Settings,
    *,
    listener: Listener = Listener.TLS,
    clock: Clock = utc_now,
    is_draining: Callable[[], bool] = lambda: False,
) -> SoapApplication:
    """The service that the settings describe. Raises `UsageError` for a file that is missing or broken."""
    database = Database(settings.database, connections_max=settings.database_connections_max)
    replay_guard = StoredReplayGuard(database)
    log = StructuredExchangeLog()
    reload_log = StructuredReloadLog()
    access_rules = reloaded_rules(settings, log=reload_log)
    trust = reloaded_trust(settings, log=reload_log)
    clock_watch = ClockWatch(partial(read_clock, database, clock=clock), log=StructuredClockLog())
    audit_keys = reloaded_audit_keys(settings, log=reload_log)
    calls = counting(StructuredCallLog())
    registers = None if settings.upstream is not None else registers_of(settings, database, log=calls)
    upstream = None if settings.upstream is None else upstream_of(settings.upstream, log=calls)
    meter = VolumeMeter(log=StructuredVolumeLog())
    journal = StoredJournal(database, worker=meter.worker)
    volumes = VolumesInSight(meter=meter, stored=StoredVolumes(database), rules=access_rules, clock=clock)
    described = partial(WsdlDocuments, public_url=settings.public_url, is_signed=settings.authentication.is_signed)
    documents = described(settings.service.door)
    own = own_parts(settings, database=database, trust=trust, clock_watch=clock_watch, clock=clock)
    operations: DoorOperations
    if registers is not None and settings.service is Service.NATIONAL_REGISTER:
        operations = PersonOperations(
            access_rules=access_rules,
            volumes=meter,
            register=registers.national,
            location=documents.endpoint,
            own=own,
        )
    else:
        repertory: Repertory
        if registers is None:
            assert upstream is not None
            repertory = upstream
        else:
            repertory = _repertory(settings, database, registers, ContextsInForce(access_rules), log)
        operations = InscriptionOperations(
            access_rules=access_rules,
            volumes=meter,
            repertory=repertory,
            component=settings.service.door.service_name,
            location=documents.endpoint,
            own=own if upstream is not None else (repertory, *own),
            others=tuple(one for one in (upstream, None if registers is None else registers.remote) if one is not None),
        )
    first = SecuredDoor(
        door=settings.service.door,
        operations=operations,
        deployment=Deployment(version=__version__, environment=settings.environment),
        authenticator=authenticator_of(settings, policy=policy_of(settings), trust=TrustInForce(trust)),
        replay_guard=replay_guard,
        schema=schema_of(settings.service.door),
        documents=documents,
        addresses=addresses_of(settings, settings.service.door),
        log=log,
        journal=journal,
        audit_keys=audit_keys,
        evidence_of=settings.audit.evidence,
        contact=settings.contact,
        validate_responses=settings.validate_responses,
        answer_seconds_max=settings.limits.answer_seconds_max,
        clock=clock,
        is_clock_wrong=lambda: clock_watch.is_wrong,
    )
    secured = {first.door.path: first}
    if settings.keeps_lines:
        # Beside the door to the lines, with the same security, rules and limits.
        secured[Door.MUTATIONS.path] = replace(
            first,
            door=Door.MUTATIONS,
            operations=MutationOperations(access_rules=access_rules, volumes=meter, feed=StoredMutations(database)),
            schema=schema_of(Door.MUTATIONS),
            documents=described(Door.MUTATIONS),
            addresses=addresses_of(settings, Door.MUTATIONS),
        )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        await database.open()
        await clock_watch.look()  # before the first message; the task looks again at once, which costs nothing
        await volumes.look()  # before the first message, so that nothing counted before is admitted again
        counting = asyncio.create_task(
            volumes.keep_looking(failed=lambda kind: reload_log.reload_failed(what="volumes", reason=kind))
        )
        watching = asyncio.create_task(clock_watch.keep_looking())
        forgetting = asyncio.create_task(
            _forget(replay_guard, StoredDeclarations(database), timedelta(hours=settings.tickets_kept_hours))
        )
        watching_seals = asyncio.create_task(
            repeat(
                partial(_look_at_seals, journal, settings.audit.stop_after_seconds),
                seconds=lambda: SEALS_LOOK_SECONDS,
                failed=lambda kind: reload_log.reload_failed(what="audit seals", reason=kind),
            )
        )
        reloading = asyncio.create_task(
            keep_in_force(settings, trust=trust, rules=access_rules, audit_keys=audit_keys, log=reload_log)
        )
        try:
            yield
        finally:
            forgetting.cancel()
            watching.cancel()
            watching_seals.cancel()
            reloading.cancel()
            counting.cancel()
            for other in (registers, upstream):
                if other is not None:
                    await other.close()
            await database.close()

    doors: Mapping[str, SoapDoor] = secured
    if settings.faults is not None:
        from cbss_inscription.app.faults import disturbed_doors

        doors = disturbed_doors(secured, faults=settings.faults, limits=policy_of(settings).xml_limits)
    return SoapApplication(
        doors=doors,
        limits=settings.limits,
        lifespan=lifespan,
        believed=believed_of(settings, listener),
        is_draining=is_draining,
    )


def _repertory(
    settings: Settings, database: Database, registers: Registers, contexts: ContextsInForce, log: StructuredExchangeLog
) -> EmbeddedRepertory:
    return EmbeddedRepertory(
        registers=registers.every,
        lines=StoredInscriptions(database),
        # An installation's own contexts are known by being granted; the catalogue's are known to everybody.
        known_contexts=contexts,
        data_anomalies=log,
        # Only another service can have replaced a number without this one being told.
        successions=None
        if registers.remote is None
        else number_life(settings, database, registers, data_anomalies=log),
    )


async def _look_at_seals(journal: StoredJournal, stop_after_seconds: float) -> None:
    with contextlib.suppress(ServiceUnavailable):  # without the database no call is done either
        await journal.look_at_seals(stop_after_seconds=stop_after_seconds)


async def _forget(replay_guard: StoredReplayGuard, declarations: StoredDeclarations, tickets_kept: timedelta) -> None:
    while True:
        await asyncio.sleep(FORGET_INTERVAL_SECONDS)
        with contextlib.suppress(ServiceUnavailable):  # the next time does what this one could not
            await replay_guard.forget_expired(now=datetime.now(UTC) - FORGET_GRACE)
            await declarations.forget(before=datetime.now(UTC) - tickets_kept)
