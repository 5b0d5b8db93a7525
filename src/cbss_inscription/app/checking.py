"""What a start would find wrong with settings: all of it, and nothing is started, fetched or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cbss_inscription.app.archiving import read_archive_key
from cbss_inscription.app.keeping import client_of
from cbss_inscription.app.registers import registers_of
from cbss_inscription.app.reloading import check_revocation, rules_of, trust_of
from cbss_inscription.app.settings import Settings, read_file
from cbss_inscription.app.start_checks import check_population, checks_of_start
from cbss_inscription.app.telemetry import StructuredCallLog
from cbss_inscription.app.upstream import upstream_of
from cbss_inscription.app.wiring import addresses_of, build_application
from cbss_inscription.domain.errors import CbssInscriptionError
from cbss_inscription.governance.journal import read_audit_keys
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.migration import check_schema

Check = Callable[[], object]


def problems_of(settings: Settings, settings_path: Path, *, connect: bool) -> Iterator[CbssInscriptionError]:
    """Each thing that would keep the service from starting, once; with `connect`, the database is asked as well.

    Not looked at: whether the ports are free, for the service may be running.
    """
    told: set[str] = set()
    for check in _checks(settings, settings_path, connect=connect):
        try:
            check()
        except CbssInscriptionError as error:
            if str(error) not in told:
                told.add(str(error))
                yield error
    if not told and not lists_to_fetch(settings) and (connect or settings.governance is None):
        try:
            build_application(settings)  # what the start itself does: nothing is good that it refuses
        except CbssInscriptionError as error:
            yield error


def lists_to_fetch(settings: Settings) -> tuple[str, ...]:
    """The files of revocation lists that are not there yet, which the start fetches."""
    files = (source.file for source in settings.trust.revocation_sources)
    return tuple(file for file in files if not Path(file).exists())


def _checks(settings: Settings, settings_path: Path, *, connect: bool) -> Iterator[Check]:
    """Each check by itself: it raises, and needs none of those before it."""
    yield from checks_of_start(settings, settings_path)
    yield partial(addresses_of, settings, settings.service.door)
    yield from (partial(_read, path) for path in _files(settings))
    if not lists_to_fetch(settings):
        yield partial(trust_of, settings)
        yield partial(check_revocation, settings)
    if settings.governance is None:
        yield partial(rules_of, settings)
    yield partial(_read_audit_keys, settings.audit.keys)
    if settings.audit.archive is not None:
        yield partial(read_archive_key, Path(settings.audit.archive.key))
    if settings.audit.timestamping is not None:
        yield partial(client_of, settings.audit.timestamping)
    yield partial(_make_sources, settings)
    if connect:
        yield partial(check_schema, settings.database)
        yield partial(check_population, settings)
        if settings.governance is not None:
            yield partial(rules_of, settings)


def _files(settings: Settings) -> Iterator[str]:
    """Every file that the settings name for reading and no other check reads."""
    yield settings.trust.application_authorities
    yield from settings.trust.revocation_lists
    yield from (source.ca for source in settings.trust.revocation_sources if source.ca is not None)
    stamping = settings.audit.timestamping
    if stamping is not None and stamping.tls_ca is not None:
        yield stamping.tls_ca


def _read(path: str) -> None:
    read_file(Path(path))


def _read_audit_keys(path: str) -> None:
    read_audit_keys(read_file(Path(path)), origin=path)


def _make_sources(settings: Settings) -> None:
    # Neither a pool nor a client that is not used connects to anything.
    log = StructuredCallLog()
    if settings.upstream is not None:
        upstream_of(settings.upstream, log=log)
    else:
        registers_of(settings, Database(settings.database), log=log)
