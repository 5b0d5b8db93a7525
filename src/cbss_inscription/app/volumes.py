"""Keeps a worker's meter of the agreed volumes up to date with what the others counted (SEC-57)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cbss_inscription.app.background import repeat
from cbss_inscription.app.clock import Clock
from cbss_inscription.governance.access import VolumeWindow
from cbss_inscription.governance.volumes import LATE_MAX, VolumeCount, VolumeKey, VolumeMeter, window_start
from cbss_inscription.storage.volumes import StoredVolumes
from cbss_inscription.usecases.ports import AccessRulesSource

LOOK_SECONDS: Final = 1.0
"""How long a worker rests between two looks: what the others admit meanwhile may go beyond a limit."""


@dataclass(slots=True, kw_only=True)
class VolumesInSight:
    """The counts of the other workers, read again and again into this worker's meter.

    Hours that nobody counts in any more are read once an hour, the others every time.
    """

    meter: VolumeMeter
    stored: StoredVolumes
    rules: AccessRulesSource
    clock: Clock
    _settled: list[VolumeCount] = field(default_factory=list)
    _settled_for: tuple[datetime, frozenset[VolumeKey]] | None = None

    async def look(self) -> None:
        """Nothing; the meter knows what was committed before this began. Raises `TemporarilyUnavailable`."""
        now = self.clock()
        permissions = [permission for permission in self.rules.current().permissions if permission.volumes]
        keys = frozenset(map(VolumeKey.of, permissions))
        counts: list[VolumeCount] = []
        if keys:
            since = window_start(VolumeWindow.HOUR, now - LATE_MAX)
            if self._settled_for != (since, keys):
                self._settled = await self.stored.settled(keys, until=since, but=self.meter.worker)
                self._settled_for = (since, keys)
            counts = [*self._settled, *await self.stored.recent(keys, since=since, but=self.meter.worker)]
        self.meter.learn(counts, permissions, now=now)

    async def keep_looking(self, *, failed: Callable[[str], None]) -> None:
        """Never returns: looks again and again, as `repeat` does; while it fails the last look counts."""
        await repeat(self.look, seconds=lambda: LOOK_SECONDS, failed=failed)
