"""Agreed volumes: whether a request still fits, decided without asking anybody (SEC-57, CBI00202).

A worker knows two numbers. What the others counted it reads from the database every second; what it admitted itself it
knows at once. Their sum decides: one worker never admits beyond a limit, and several together only what the others
admitted and it has not read yet (docs/volumes.md says how much that can be). What is counted is written with the
records of the journal, in one transaction, so that both say the same whatever is killed.

Windows are hours, days and months of UTC [D]: as every time of this service.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import AgreedVolume, Permission, VolumeMode, VolumeWindow

if TYPE_CHECKING:
    from cbss_inscription.governance.journal import AuditRecord

LATE_MAX: Final = timedelta(hours=1)
"""How long after it came a call is still decided and counted: far longer than any answer takes."""
_WORKER_BITS: Final = 63
_SHORTEST_FIRST: Final = (VolumeWindow.HOUR, VolumeWindow.DAY, VolumeWindow.MONTH)


class VolumeLevel(IntEnum):
    """How full a window is when the operator is told, in per cent."""

    NEAR = 80
    REACHED = 100


class VolumeKey(NamedTuple):
    """Whose calls are counted together: a permission's, for its customer. Tenants may use the same references."""

    permission: str
    customer: str

    @classmethod
    def of(cls, permission: Permission) -> VolumeKey:
        """The key of a permission."""
        return cls(permission.reference, permission.customer_identification.key)


_Place = tuple[VolumeKey, Operation | None, VolumeWindow, datetime]
"""What is counted together: calls of an operation, or of all, in the window that begins then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedCall:
    """A call that reached the decision about volumes, as it is counted."""

    permission: str
    application_urn: str
    customer: str
    legal_context: str
    operation: str
    is_refused: bool
    """Whether a volume refused it: then it uses none up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeCount:
    """How many calls of an operation were admitted, in a time that begins then: one of the recent hours, the hours of a
    day before them, or the days of a month before that.
    """

    key: VolumeKey
    operation: Operation
    start: datetime
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeReached:
    """An agreed volume that is used up to a level, for the operator."""

    key: VolumeKey
    volume: AgreedVolume
    start: datetime
    calls: int
    level: VolumeLevel


class CountedBy(StrEnum):
    """By what calls are added up."""

    APPLICATION = "application"
    CUSTOMER = "customer"
    LEGAL_CONTEXT = "legal-context"
    OPERATION = "operation"
    PERMISSION = "permission"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedTotal:
    """How many calls of one name were admitted, and how many a volume refused."""

    name: str
    calls: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedWindow:
    """The window of a kind in which most calls were admitted; `refused` counts those of all windows in the time."""

    start: datetime
    calls: int
    refused: int


class VolumeLog(Protocol):
    """Where an operator reads how full the windows are."""

    def volume_reached(self, reached: VolumeReached) -> None:
        """One line."""
        ...


def counted_call(record: AuditRecord) -> CountedCall | None:
    """How the call of a record is counted; None when it never came to the volumes: no permission granted it."""
    decision = record.decision
    if decision is None or decision.permission is None:
        return None
    # Whatever a permission grants has all of them: only a health check has no customer, and it needs no permission.
    assert record.application_urn is not None
    assert record.customer is not None
    assert record.legal_context is not None
    assert record.operation is not None
    return CountedCall(
        permission=decision.permission,
        application_urn=record.application_urn,
        customer=record.customer,
        legal_context=record.legal_context,
        operation=record.operation,
        is_refused=record.outcome.code == OutcomeCode.VOLUME_EXCEEDED,
    )


def window_start(window: VolumeWindow, moment: datetime) -> datetime:
    """When the window of this moment began, in UTC."""
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    match window:
        case VolumeWindow.HOUR:
            return hour
        case VolumeWindow.DAY:
            return hour.replace(hour=0)
        case VolumeWindow.MONTH:
            return hour.replace(day=1, hour=0)


class VolumeMeter:
    """What one worker knows of the volumes, and admits by it."""

    def __init__(self, *, log: VolumeLog) -> None:
        self.worker: Final = secrets.randbits(_WORKER_BITS)
        """Under which this worker counts: its own, so that no two change the same row, or take it for the other's."""
        self._log = log
        self._own: dict[_Place, int] = {}
        self._others: dict[VolumeKey, list[VolumeCount]] = {}
        self._of_others: dict[_Place, int] = {}
        self._told: set[tuple[_Place, VolumeLevel]] = set()
        self._hour = datetime.min.replace(tzinfo=UTC)
        self._starts: dict[VolumeWindow, datetime] = {}

    def admit(
        self, permission: Permission, operation: Operation, *, now: datetime, calls: int = 1
    ) -> AgreedVolume | None:
        """None when the calls still fit, and are counted: all of them, or none.

        Otherwise the hard volume that they exceed: of several that of the longest window, for which one waits longest.
        """
        key, starts = VolumeKey.of(permission), self._starts_at(now)
        used = [
            (volume, self._used(key, volume.operation, volume.window, starts[volume.window]))
            for volume in permission.volumes
            if volume.operation is None or volume.operation is operation
        ]
        exceeded = [one for one in used if one[0].mode is VolumeMode.HARD and one[1] + calls > one[0].limit]
        if exceeded:
            volume, count = max(exceeded, key=lambda one: _SHORTEST_FIRST.index(one[0].window))
            self._tell(key, volume, count, starts[volume.window])
            return volume
        own = self._own
        for window, start in starts.items():  # also those of which nothing is agreed yet: rules change while we count
            for counted in (operation, None):
                place = (key, counted, window, start)
                own[place] = own.get(place, 0) + calls
        for volume, count in used:
            self._tell(key, volume, count + calls, starts[volume.window])
        return None

    def give_back(self, permission: Permission, operation: Operation, *, now: datetime, calls: int = 1) -> None:
        """Nothing; calls that were admitted at that moment count for nothing: they came to nothing, and come again."""
        key, own = VolumeKey.of(permission), self._own
        for window, start in self._starts_at(now).items():
            for counted in (operation, None):
                place = (key, counted, window, start)
                own[place] = own.get(place, 0) - calls

    def used(self, key: VolumeKey, volume: AgreedVolume, *, now: datetime) -> int:
        """How much of a volume is used in the window of this moment, as far as this worker knows."""
        return self._used(key, volume.operation, volume.window, window_start(volume.window, now))

    def learn(self, counts: Iterable[VolumeCount], permissions: Iterable[Permission], *, now: datetime) -> None:
        """Nothing; this is what all others have counted now. What is over is forgotten, what is full is told."""
        others: dict[VolumeKey, list[VolumeCount]] = {}
        for count in counts:
            others.setdefault(count.key, []).append(count)
        self._others, self._of_others = others, {}
        oldest = {window: window_start(window, now - LATE_MAX) for window in VolumeWindow}
        self._own = {place: calls for place, calls in self._own.items() if place[3] >= oldest[place[2]]}
        self._told = {told for told in self._told if told[0][3] >= oldest[told[0][2]]}
        for permission in permissions:
            key = VolumeKey.of(permission)
            for volume in permission.volumes:
                start = window_start(volume.window, now)
                self._tell(key, volume, self._used(key, volume.operation, volume.window, start), start)

    def _starts_at(self, now: datetime) -> dict[VolumeWindow, datetime]:
        """When each window of this moment began; made once an hour, for they take longer than the rest."""
        if not self._hour <= now < self._hour + timedelta(hours=1):
            self._starts = {window: window_start(window, now) for window in _SHORTEST_FIRST}
            self._hour = self._starts[VolumeWindow.HOUR]
        return self._starts

    def _used(self, key: VolumeKey, operation: Operation | None, window: VolumeWindow, start: datetime) -> int:
        place = (key, operation, window, start)
        of_others = self._of_others.get(place)
        if of_others is None:
            of_others = self._of_others[place] = sum(
                count.calls
                for count in self._others.get(key, ())
                if window_start(window, count.start) == start and operation in {None, count.operation}
            )
        return self._own.get(place, 0) + of_others

    def _tell(self, key: VolumeKey, volume: AgreedVolume, calls: int, start: datetime) -> None:
        """Nothing; each level of a window is told once, the highest alone when two are reached at once."""
        if calls * 100 < volume.limit * VolumeLevel.NEAR:
            return
        reached = [level for level in VolumeLevel if calls * 100 >= volume.limit * level]
        place = (key, volume.operation, volume.window, start)
        if (place, reached[-1]) in self._told:
            return
        self._told |= {(place, level) for level in reached}
        self._log.volume_reached(VolumeReached(key=key, volume=volume, start=start, calls=calls, level=reached[-1]))
