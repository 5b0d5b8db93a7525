"""The way from a façade to its upstream: which dialect, and who asks in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cbss_inscription.app.asking import asker_of
from cbss_inscription.app.settings import DialectName, Upstream
from cbss_inscription.client.asker import CallLog
from cbss_inscription.repertory.upstream import SOURCE, UpstreamRepertory

if TYPE_CHECKING:
    from cbss_inscription.client.dialect import Dialect


def upstream_of(settings: Upstream, *, log: CallLog) -> UpstreamRepertory:
    """The repertory that the settings name. Raises `UsageError` for a file that is missing or broken."""
    return UpstreamRepertory(asker_of(settings, service=SOURCE, dialect=dialect_of(settings.dialect), log=log))


def dialect_of(name: DialectName) -> Dialect:
    """The dialect of that name, its schema compiled: not while the first caller waits."""
    from cbss_inscription.client.adjustment import AdjustmentDialect, compiled
    from cbss_inscription.client.dialect import DoorDialect
    from cbss_inscription.contract.door import Door
    from cbss_inscription.contract.schema import schema_of

    match name:
        case DialectName.KSZ:
            schema_of(Door.KSZ)
            return DoorDialect(Door.KSZ)
        case DialectName.ADJUSTMENT:
            compiled()
            return AdjustmentDialect()
