"""The files of our registers while something happens to them, as the database keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any, Final

import psycopg

from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.life import FileChange, LifeEvent, LifeRecord
from cbss_inscription.domain.phonetics import phonetic_key
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.storage.database import Connection, Database
from cbss_inscription.storage.persons import read_person
from cbss_inscription.storage.queries import QUERIES

EVENT_WAIT_SECONDS_MAX: Final = 60.0
"""How long an event waits for another of this process."""
EVENT_LOCK_TIMEOUT_MILLISECONDS: Final = 20_000
"""How long an event waits for another process's, or for a change of the same person's lines: events are few, and nobody
waits at a screen for each."""
EVENT_STATEMENT_TIMEOUT_MILLISECONDS: Final = 30_000
"""How long one statement of an event may take, lock waits included."""
FILE_CHANGES_MAX: Final = 1_000
"""Events of one file that are told."""


class StoredFiles:
    """A `registers.life.FileStore` in PostgreSQL.

    One event at a time takes a connection of this pool, so that those which wait for it cannot take the ones that it
    reads the registers with; the pool must have two at least.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenedFiles]:
        """See `FileStore.opened`: one transaction, committed when the block ends without an exception."""
        try:
            async with asyncio.timeout(EVENT_WAIT_SECONDS_MAX):
                await self._turn.acquire()
        except TimeoutError as error:
            raise TemporarilyUnavailable("life-event") from error
        try:
            async with (
                self._database.connection(
                    statement_milliseconds_max=EVENT_STATEMENT_TIMEOUT_MILLISECONDS
                ) as connection,
                connection.transaction(),
            ):
                await connection.execute(
                    QUERIES["wait_longer"],
                    {
                        "lock_milliseconds": str(EVENT_LOCK_TIMEOUT_MILLISECONDS),
                        "statement_milliseconds": str(EVENT_STATEMENT_TIMEOUT_MILLISECONDS),
                    },
                )
                await connection.execute(QUERIES["lock_life"])
                yield OpenedFiles(connection)
        finally:
            self._turn.release()

    async def changes_of(self, ssin: Ssin) -> tuple[FileChange, ...]:
        """See `FileStore.changes_of`: at most FILE_CHANGES_MAX."""
        rows = await self._database.rows("file_changes", {"ssin": ssin.number, "row_count_max": FILE_CHANGES_MAX})
        return tuple(
            FileChange(
                record=LifeRecord(
                    event=LifeEvent(event), ticket_cbss=ticket_cbss, recorded_at=changed_at, operator=operator
                ),
                before=before,
                after=after,
            )
            for event, ticket_cbss, changed_at, operator, before, after in rows
        )


class OpenedFiles:
    """A `registers.life.FilesUnderLock`: the files in one transaction, while no other event happens."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def clock(self) -> datetime:
        """See `FilesUnderLock.clock`."""
        now = await self._value(QUERIES["clock"], {})
        assert isinstance(now, datetime)
        return now

    async def lock(self, ssins: Collection[Ssin]) -> None:
        """See `FilesUnderLock.lock`: in ascending order, as everybody who takes more than one."""
        for ssin in sorted(set(ssins)):
            await self._connection.execute(QUERIES["lock_person"], {"ssin": ssin.number})

    async def file_of(self, ssin: Ssin) -> Person | None:
        """See `FilesUnderLock.file_of`."""
        cursor = await self._connection.execute(QUERIES["file_of"], {"ssin": ssin.number})
        row = await cursor.fetchone()
        return read_person(row) if row is not None else None

    async def numbers_between(self, first: int, last: int) -> frozenset[int]:
        """See `FilesUnderLock.numbers_between`."""
        cursor = await self._connection.execute(QUERIES["numbers_between"], {"first": first, "last": last})
        return frozenset(number for (number,) in await cursor.fetchall())

    async def hops_to(self, ssin: Ssin, *, hops_max: int) -> int:
        """See `FilesUnderLock.hops_to`."""
        return int(await self._value(QUERIES["hops_to"], {"ssin": ssin.number, "hops_max": hops_max}))

    async def insert(self, person: Person, record: LifeRecord) -> None:
        """See `FilesUnderLock.insert`."""
        try:
            await self._connection.execute(QUERIES["insert_file"], _columns(person) | _columns_of(record))
        except psycopg.errors.UniqueViolation:
            # `from None`: PostgreSQL quotes the number. Only a population loaded meanwhile can have taken it.
            raise TemporarilyUnavailable("number-taken") from None

    async def update(self, person: Person, record: LifeRecord) -> None:
        """See `FilesUnderLock.update`."""
        await self._connection.execute(QUERIES["update_file"], _columns(person) | _columns_of(record))

    async def record_elsewhere(self, person: Person, record: LifeRecord) -> None:
        """See `FilesUnderLock.record_elsewhere`."""
        await self._connection.execute(QUERIES["record_file_elsewhere"], _columns(person) | _columns_of(record))

    async def tell_holders(self, ssin: Ssin, record: LifeRecord, *, current_ssin: Ssin, on_day: date | None) -> int:
        """See `FilesUnderLock.tell_holders`."""
        parameters = {"ssin": ssin.number, "current_ssin": current_ssin.number, "on_day": on_day}
        return int(await self._value(QUERIES["tell_holders"], parameters | _columns_of(record)))

    async def where_lines_went(self, ssin: Ssin) -> Ssin | None:
        """See `FilesUnderLock.where_lines_went`."""
        cursor = await self._connection.execute(QUERIES["where_lines_went"], {"ssin": ssin.number})
        row = await cursor.fetchone()
        return Ssin.of_number(row[0]) if row is not None else None

    async def record_replacement(self, ssin: Ssin, replaced_by: Ssin, record: LifeRecord) -> None:
        """See `FilesUnderLock.record_replacement`."""
        parameters = {"ssin": ssin.number, "replaced_by": replaced_by.number}
        await self._connection.execute(QUERIES["record_replacement"], parameters | _columns_of(record))

    async def move_lines(self, ssin: Ssin, record: LifeRecord, *, current_ssin: Ssin) -> int:
        """See `FilesUnderLock.move_lines`."""
        parameters = {"ssin": ssin.number, "current_ssin": current_ssin.number}
        return int(await self._value(QUERIES["move_lines"], parameters | _columns_of(record)))

    async def _value(self, sql: str, parameters: dict[str, object]) -> Any:  # noqa: ANN401 - what the query gives
        cursor = await self._connection.execute(sql, parameters)
        row = await cursor.fetchone()
        if row is None:
            raise AssertionError("these queries give one row")
        return row[0]


def _columns(person: Person) -> dict[str, object]:
    return {
        "ssin": person.ssin.number,
        "register": person.register.value,
        "status": person.status.value,
        "replaced_by": person.replaced_by.number if person.replaced_by is not None else None,
        "last_name": person.last_name,
        "given_names": list(person.given_names),
        "birth_date": str(person.birth_date) if person.birth_date is not None else None,
        "gender_code": int(person.gender),
        "decease_date": str(person.decease_date) if person.decease_date is not None else None,
        "register_inception_date": person.register_inception_date,
        "phonetic_key": phonetic_key(person.last_name),
    }


def _columns_of(record: LifeRecord) -> dict[str, object]:
    return {
        "event": record.event.value,
        "ticket_cbss": record.ticket_cbss,
        "recorded_at": record.recorded_at,
        "operator": record.operator,
    }
