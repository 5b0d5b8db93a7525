"""Legal holds: records that must be kept though their time is over, by person, by time, or both (SEC-75)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from cbss_inscription.governance.journal import AuditedPerson, AuditKeys, AuditRecord
from cbss_inscription.storage.chain import Connection, write_records
from cbss_inscription.storage.queries import QUERIES

_EVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What is held; without a person it is everybody, without an end it is for good."""

    hold_id: UUID
    person: AuditedPerson | None = field(default=None, repr=False)
    since: datetime | None = None
    until: datetime | None = None
    reason: str
    operator: str
    placed_at: datetime
    number: int = 0
    released_at: datetime | None = None

    def hashes(self, keys: AuditKeys) -> frozenset[bytes] | None:
        """What records about the person are found by; None for everybody."""
        if self.person is None:
            return None
        digits = keys.open(self.person, self.hold_id)
        known = () if digits is None else keys.hashes(digits)
        return frozenset({bytes.fromhex(self.person.hash), *known})

    def covers(self, received_at: datetime, person_hashes: Iterable[bytes], keys: AuditKeys) -> bool:
        """Whether a record of this time, about these, is held."""
        held = self.hashes(keys)
        in_time = (self.since or _NEVER) <= received_at < (self.until or _EVER)
        return in_time and (held is None or not held.isdisjoint(person_hashes))


def place_hold(connection: Connection, hold: Hold, record: AuditRecord) -> int:
    """The number of the hold, which holds from now on; the journal says so."""
    parameters = {
        "hold_id": hold.hold_id,
        "person": None if hold.person is None else msgspec.json.encode(hold.person).decode("utf-8"),
        "since": hold.since,
        "until": hold.until,
        "reason": hold.reason,
        "operator": hold.operator,
        "placed_at": hold.placed_at,
    }
    with connection.transaction():
        row = connection.execute(QUERIES["write_hold"], parameters).fetchone()
        write_records(connection, [(hold.placed_at, record)])
    assert row is not None
    return int(row[0])


def release_hold(connection: Connection, number: int, record: AuditRecord, *, now: datetime) -> bool:
    """Whether there was such a hold; it holds nothing any more, and the journal says so."""
    with connection.transaction():
        found = connection.execute(QUERIES["release_hold"], {"hold_number": number, "released_at": now}).rowcount
        if found:
            write_records(connection, [(now, record)])
    return bool(found)


def holds(connection: Connection) -> list[Hold]:
    """Every hold, released ones included."""
    return [
        Hold(
            number=number,
            hold_id=hold_id,
            person=None if person is None else msgspec.json.decode(person, type=AuditedPerson),
            since=since,
            until=until,
            reason=reason,
            operator=operator,
            placed_at=placed_at,
            released_at=released_at,
        )
        for number, hold_id, person, since, until, reason, operator, placed_at, released_at in connection.execute(
            QUERIES["audit_holds"]
        )
    ]


def active_holds(connection: Connection) -> list[Hold]:
    """The holds that hold something now."""
    return [hold for hold in holds(connection) if hold.released_at is None]


def is_held(connection: Connection, held: Iterable[Hold], keys: AuditKeys, *, since: datetime, until: datetime) -> bool:
    """Whether a record of this time, in the database, is under a hold."""
    for hold in held:
        hashes = hold.hashes(keys)
        parameters = {
            "since": max(since, hold.since or since),
            "until": min(until, hold.until or until),
            "hashes": None if hashes is None else list(hashes),
        }
        if connection.execute(QUERIES["any_held_record"], parameters).fetchone() is not None:
            return True
    return False
