"""The meter of agreed volumes: never beyond a limit in one worker, within a bound in several (SEC-57, CBI00202)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import AgreedVolume, Permission, VolumeMode, VolumeWindow
from cbss_inscription.governance.journal import AuditedDecision, AuditedOutcome, AuditRecord
from cbss_inscription.governance.volumes import (
    CountedCall,
    VolumeCount,
    VolumeKey,
    VolumeMeter,
    VolumeReached,
    counted_call,
    window_start,
)

NOW = datetime(2026, 3, 31, 10, 30, tzinfo=UTC)
CONSULT, INSERT = Operation.CONSULT_INSCRIPTIONS, Operation.INSERT_INSCRIPTION
HOUR, DAY, MONTH = VolumeWindow
LENGTHS = {HOUR: timedelta(hours=1), DAY: timedelta(days=1), MONTH: timedelta(days=31)}


@dataclass
class Told:
    """A `VolumeLog` that keeps what it is told."""

    reached: list[VolumeReached] = field(default_factory=list)

    def volume_reached(self, reached: VolumeReached) -> None:
        self.reached.append(reached)

    @property
    def levels(self) -> list[int]:
        return [int(one.level) for one in self.reached]


def permission(*volumes: AgreedVolume, reference: str = "KSZ-1", institution: int = 1) -> Permission:
    return Permission(
        reference=reference,
        customer_identification=CustomerIdentification(sector=17, institution=institution),
        cbe_number="0200000012",
        application_urns=("urn:app:one",),
        legal_contexts=frozenset({LegalContext("PCSA:SOCIAL_INQUIRY")}),
        inscription_contexts=frozenset({InscriptionContext("PCSA:LIVING_WAGE")}),
        operations=tuple(Operation),
        valid_from=date(2024, 3, 1),
        volumes=volumes,
    )


def agreed(limit: int, window: VolumeWindow = HOUR, **more: object) -> AgreedVolume:
    return AgreedVolume(window=window, limit=limit, **more)  # type: ignore[arg-type]  # a test's own words


def admitted(meter: VolumeMeter, of: Permission, times: int, operation: Operation = CONSULT) -> int:
    """How many of so many calls, one by one, are admitted."""
    return [meter.admit(of, operation, now=NOW) for _ in range(times)].count(None)


def test_sec_57_a_hard_volume_ends_at_its_limit() -> None:
    """Up to the limit calls are admitted, beyond it the volume that refuses is named (SEC-57, CBI00202)."""
    meter, three = VolumeMeter(log=Told()), agreed(3)
    assert [meter.admit(permission(three), CONSULT, now=NOW) for _ in range(5)] == [None, None, None, three, three]


def test_sec_57_a_refused_call_uses_nothing_up() -> None:
    """What one volume refuses is not counted in any other (SEC-57)."""
    meter = VolumeMeter(log=Told())
    both = permission(agreed(2, HOUR), agreed(100, DAY))
    assert admitted(meter, both, 50) == 2
    assert meter.used(VolumeKey.of(both), both.volumes[1], now=NOW) == 2


def test_sec_57_others_are_unaffected() -> None:
    """A full volume refuses neither another permission, nor the same reference of another customer (SEC-57)."""
    meter = VolumeMeter(log=Told())
    assert admitted(meter, permission(agreed(1)), 9) == 1
    assert admitted(meter, permission(agreed(1), reference="KSZ-2"), 9) == 1
    assert admitted(meter, permission(agreed(1), institution=2), 9) == 1
    assert admitted(meter, permission(reference="KSZ-3"), 9) == 9


def test_sec_57_a_volume_of_an_operation_counts_that_operation_alone() -> None:
    """A volume that names an operation leaves the others alone; one without counts all of them together (SEC-57)."""
    meter = VolumeMeter(log=Told())
    inserts, every = agreed(2, operation=INSERT), agreed(5)
    of = permission(inserts, every)
    assert admitted(meter, of, 4, INSERT) == 2
    assert admitted(meter, of, 4, CONSULT) == 3
    assert meter.admit(of, CONSULT, now=NOW) is every


def test_sec_57_of_several_full_volumes_the_longest_is_named() -> None:
    """Whoever is told to wait is told the window for which it waits longest (SEC-57)."""
    meter, month, hour = VolumeMeter(log=Told()), agreed(1, MONTH), agreed(1, HOUR)
    assert [meter.admit(permission(month, hour), CONSULT, now=NOW) for _ in range(2)] == [None, month]


def test_sec_57_many_at_once_are_admitted_together_or_not_at_all() -> None:
    """Calls that are counted together, as those of a batch, all fit or are all refused (SEC-57)."""
    meter, of = VolumeMeter(log=Told()), permission(agreed(10))
    assert meter.admit(of, INSERT, now=NOW, calls=8) is None
    assert meter.admit(of, INSERT, now=NOW, calls=3) is of.volumes[0]
    assert meter.admit(of, INSERT, now=NOW, calls=2) is None


def test_sec_57_a_soft_volume_refuses_nothing_and_is_told() -> None:
    """Beyond a soft volume calls are admitted and counted, and the operator is told (SEC-57)."""
    told = Told()
    meter, of = VolumeMeter(log=told), permission(agreed(5, mode=VolumeMode.SOFT))
    assert admitted(meter, of, 12) == 12
    assert meter.used(VolumeKey.of(of), of.volumes[0], now=NOW) == 12
    assert told.levels == [80, 100]


@pytest.mark.parametrize("mode", VolumeMode)
def test_sec_57_each_level_is_told_once_in_a_window(mode: VolumeMode) -> None:
    """At 80 and at 100 per cent one line each, with the window and what is used; in the next window again (SEC-57)."""
    told = Told()
    meter, of = VolumeMeter(log=told), permission(agreed(10, mode=mode))
    counts = []
    for now in (NOW, NOW + timedelta(hours=1)):
        for _ in range(15):
            meter.admit(of, CONSULT, now=now)
        counts.append([(one.calls, one.level) for one in told.reached])
        told.reached.clear()
    assert counts == [[(8, 80), (10, 100)]] * 2


def test_sec_57_what_others_fill_is_told_without_a_call_of_ours() -> None:
    """A worker that only reads that a window is full tells the highest level, once (SEC-57)."""
    told = Told()
    meter, of = VolumeMeter(log=told), permission(agreed(10))
    count = VolumeCount(key=VolumeKey.of(of), operation=CONSULT, start=NOW.replace(minute=0), calls=10)
    for _ in range(2):
        meter.learn([count], [of], now=NOW)
    assert told.levels == [100]
    assert meter.admit(of, CONSULT, now=NOW) is of.volumes[0]


def test_sec_57_what_was_counted_before_a_volume_was_agreed_counts() -> None:
    """A volume that is agreed while a worker runs finds what that worker admitted before (SEC-57)."""
    meter = VolumeMeter(log=Told())
    assert admitted(meter, permission(), 4) == 4
    assert admitted(meter, permission(agreed(5, MONTH)), 4) == 1


def test_sec_57_what_is_over_is_forgotten() -> None:
    """A worker that runs for months keeps the windows that calls can still be of, and no more (SEC-57)."""
    meter, of = VolumeMeter(log=Told()), permission(agreed(1))
    for hours in range(0, 24 * 70, 5):
        now = NOW + timedelta(hours=hours)
        meter.admit(of, CONSULT, now=now)
        meter.learn([], [of], now=now)
    assert len(meter._own) <= 12
    assert len(meter._told) <= 4


@given(
    window=st.sampled_from(VolumeWindow),
    limit=st.integers(1, 12),
    steps=st.lists(st.tuples(st.floats(0, 0.7), st.sampled_from([CONSULT, INSERT]), st.integers(1, 4)), max_size=60),
)
def test_sec_57_one_worker_never_goes_beyond_a_limit(
    window: VolumeWindow, limit: int, steps: list[tuple[float, Operation, int]]
) -> None:
    """Whatever comes when: in no window more than the limit, and nothing is refused that fits (E23, SEC-57)."""
    meter, of = VolumeMeter(log=Told()), permission(agreed(limit, window))
    now, counted = NOW, Counter[datetime]()
    for pause, operation, calls in steps:
        now += pause * LENGTHS[window]
        start = window_start(window, now)
        fits = counted[start] + calls <= limit
        assert (meter.admit(of, operation, now=now, calls=calls) is None) is fits
        counted[start] += calls if fits else 0
        meter.learn([], [of], now=now)
    assert max(counted.values(), default=0) <= limit


@given(
    workers=st.integers(1, 4),
    limit=st.integers(1, 30),
    steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["call", "call", "call", "record", "look"]))),
)
def test_sec_57_several_workers_exceed_by_what_they_have_not_seen_of_each_other(
    workers: int, limit: int, steps: list[tuple[int, str]]
) -> None:
    """Admitted in all: at most the limit, and what others admitted that the last one had not read (E23, SEC-57)."""
    of = permission(agreed(limit))
    meters = [VolumeMeter(log=Told()) for _ in range(workers)]
    admitted_by, recorded_by = [0] * workers, [0] * workers
    seen = [[0] * workers for _ in range(workers)]
    for step, does in steps:
        one = step % workers
        others = [other for other in range(workers) if other != one]
        if does == "record":
            recorded_by[one] = admitted_by[one]
        elif does == "look":
            seen[one] = list(recorded_by)
            count = sum(recorded_by[other] for other in others)
            known = VolumeCount(key=VolumeKey.of(of), operation=CONSULT, start=NOW.replace(minute=0), calls=count)
            meters[one].learn([known], [of], now=NOW)
        elif meters[one].admit(of, CONSULT, now=NOW) is None:
            admitted_by[one] += 1
            unseen = sum(admitted_by[other] - seen[one][other] for other in others)
            assert sum(admitted_by) <= limit + unseen
    assert max(admitted_by) <= limit


@pytest.mark.parametrize(
    ("window", "moment", "start"),
    [
        (HOUR, "2026-03-01T00:59:59.999999+00:00", "2026-03-01T00:00:00+00:00"),
        (DAY, "2026-03-01T00:30:00+01:00", "2026-02-28T00:00:00+00:00"),
        (MONTH, "2026-03-01T00:30:00+01:00", "2026-02-01T00:00:00+00:00"),
        (MONTH, "2024-02-29T23:59:59+00:00", "2024-02-01T00:00:00+00:00"),
    ],
)
def test_sec_57_windows_are_those_of_utc(window: VolumeWindow, moment: str, start: str) -> None:
    """Hours, days and months begin when they begin in UTC, whatever the clock's zone (SEC-57)."""
    assert window_start(window, datetime.fromisoformat(moment)) == datetime.fromisoformat(start)


def test_sec_57_what_counts_is_what_a_permission_grants() -> None:
    """A record counts when a permission granted its call; one that a volume refused counts apart (SEC-57)."""
    record = AuditRecord(
        ticket_cbss="6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
        timestamp_receive="2026-03-01T10:00:00.000Z",
        timestamp_reply="2026-03-01T10:00:00.012Z",
        service="CBSSInscription",
        application_urn="urn:app:one",
        customer="17/1",
        legal_context="PCSA:SOCIAL_INQUIRY",
        operation="consultInscriptions",
        outcome=AuditedOutcome(value="NO_RESULT", code="CBI00202"),
    )
    call = CountedCall(
        permission="KSZ-1",
        application_urn="urn:app:one",
        customer="17/1",
        legal_context="PCSA:SOCIAL_INQUIRY",
        operation="consultInscriptions",
        is_refused=True,
    )

    def with_(decision: AuditedDecision | None, code: str) -> CountedCall | None:
        fields = {name: getattr(record, name) for name in record.__struct_fields__}
        return counted_call(
            AuditRecord(**fields | {"decision": decision, "outcome": AuditedOutcome(value="", code=code)})
        )

    granted = AuditedDecision(version=1, access_rule="UD-1", permission="KSZ-1")
    assert with_(granted, "CBI00202") == call
    counted = with_(granted, "MSG00000")
    assert counted is not None
    assert not counted.is_refused
    assert with_(None, "MSG00013") is None
    assert with_(AuditedDecision(version=1, access_rule="UD-1"), "MSG00013") is None
