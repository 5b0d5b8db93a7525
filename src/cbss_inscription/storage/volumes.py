"""What was counted for the agreed volumes, in PostgreSQL; the journal writes it (SEC-57)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import AgreedVolume, VolumeWindow
from cbss_inscription.governance.volumes import (
    CountedBy,
    CountedTotal,
    CountedWindow,
    VolumeCount,
    VolumeKey,
    window_start,
)
from cbss_inscription.storage.database import Database, Row

KEYS_AT_ONCE: Final = 100
"""Permissions whose month one query adds up: a second's work when each was busy in every hour, far from a timeout."""


class StoredVolumes:
    """What all workers counted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settled(self, keys: Collection[VolumeKey], *, until: datetime, but: int) -> list[VolumeCount]:
        """What was counted in the month of the hour `until`, before it; but not by this worker."""
        parameters: dict[str, object] = {
            "month": window_start(VolumeWindow.MONTH, until),
            "day": window_start(VolumeWindow.DAY, until),
            "until": until,
            "worker": but,
        }
        ordered, counts = sorted(keys), list[VolumeCount]()
        for first in range(0, len(ordered), KEYS_AT_ONCE):
            columns = _columns(ordered[first : first + KEYS_AT_ONCE])
            counts += _counts(await self._database.rows("settled_volumes", parameters | columns))
        return counts

    async def recent(self, keys: Collection[VolumeKey], *, since: datetime, but: int) -> list[VolumeCount]:
        """What was counted since then, by the hour; but not by this worker."""
        parameters: dict[str, object] = {"since": since, "worker": but}
        return _counts(await self._database.rows("recent_volumes", parameters | _columns(keys)))

    async def totals(self, by: CountedBy, *, since: datetime, until: datetime) -> list[CountedTotal]:
        """What was counted in a time, whole hours, added up; the most first."""
        rows = await self._database.rows("volume_totals", {"by": by.value, "since": since, "until": until})
        return [CountedTotal(name=name, calls=calls, refused=refused) for name, calls, refused in rows]

    async def fullest(
        self, key: VolumeKey, volume: AgreedVolume, *, since: datetime, until: datetime
    ) -> CountedWindow | None:
        """The fullest window of an agreed volume in a time; None when nothing was counted."""
        parameters: dict[str, object] = {
            "permission": key.permission,
            "customer": key.customer,
            "window": volume.window.value,
            "operation": None if volume.operation is None else volume.operation.value,
            "since": since,
            "until": until,
        }
        row = await self._database.row("fullest_window", parameters)
        return None if row is None else CountedWindow(start=row[0], calls=row[1], refused=row[2])


def _columns(keys: Collection[VolumeKey]) -> dict[str, object]:
    ordered = sorted(keys)
    return {"permissions": [key.permission for key in ordered], "customers": [key.customer for key in ordered]}


def _counts(rows: Iterable[Row]) -> list[VolumeCount]:
    return [
        VolumeCount(key=VolumeKey(permission, customer), operation=Operation(operation), start=start, calls=calls)
        for permission, customer, operation, start, calls in rows
    ]
