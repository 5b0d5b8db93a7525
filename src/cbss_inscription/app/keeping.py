"""What keeps the audit journal, beside the traffic: chains, seals, makes room, and records what a crash left (SEC-72).

The process that starts the workers runs this in a thread, with a connection of its own. Several may run at once, on
several machines: the database lets one at a time do each thing. No call waits for any of it; but when seals stay away
for `stop_after_seconds`, the workers see that in the database and refuse calls (SEC-73).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg

from cbss_inscription.app.settings import Settings, Timestamping, read_file
from cbss_inscription.app.timestamping import TimestampClient
from cbss_inscription.domain.errors import CbssInscriptionError, ServiceUnavailable
from cbss_inscription.governance.journal import AuditRecord, UnrecordedChange, read_audit_keys
from cbss_inscription.governance.timestamps import TimestampTrust
from cbss_inscription.storage.chain import (
    GAP_SECONDS_MAX,
    SEALED_LINKS_MAX,
    Sealed,
    backlog_seconds,
    link_records,
    make_months,
    recover_records,
    seal_links,
)
from cbss_inscription.storage.database import BoundedConnection, bounded
from cbss_inscription.usecases.record_call import record_of_change

LINK_SECONDS: Final = 1.0
"""How often what came is chained."""
RECOVER_SECONDS: Final = 60.0
"""How often changes without a record are looked for."""
RECOVER_GRACE_SECONDS: Final = float(GAP_SECONDS_MAX)
"""How old a change must be: until then its own call may still record it."""
MONTHS_SECONDS: Final = 3_600.0
"""How often it is looked whether the journal has room for the months to come."""
BACKLOG_SECONDS: Final = 10.0
"""How often it is looked how long seals have stayed away."""
FINISH_SECONDS_MAX: Final = 3.0
"""How long a service that stops waits until what came last is chained and sealed; else the next start does it."""
STOP_SECONDS_MAX: Final = 1.0
"""How long work in hand is waited for when the service stops; it leaves nothing by halves."""


class KeeperLog(Protocol):
    """Where an operator reads what became of the journal."""

    def sealed(self, *, first: int, last: int, chain_hash: str, stamped: bool) -> None:
        """One line: the links are sealed; whoever keeps the log elsewhere keeps a witness of the chain."""
        ...

    def recovered(self, *, records: int) -> None:
        """One line: so many calls had changed lines and left no record; they have one now."""
        ...

    def keeping_failed(self, *, what: str, reason: str) -> None:
        """One line: it is tried again; said again only when the reason changes."""
        ...

    def keeping_resumed(self, *, what: str) -> None:
        """One line: what failed works again."""
        ...

    def seals_stay_away(self, *, seconds: float, stop_after_seconds: float) -> None:
        """One line, an error: nothing has been sealed for so long, and soon calls are refused."""
        ...


class JournalKeeper:
    """Keeps the journal of a service, in a thread, between `start` and `stop`."""

    def __init__(
        self,
        settings: Settings,
        *,
        log: KeeperLog,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        recover_grace_seconds: float = RECOVER_GRACE_SECONDS,
    ) -> None:
        self._settings = settings
        self._audit = settings.audit
        self._log = log
        self._clock = clock
        # Whoever may take longer for an answer may be later with its record, too.
        self._recover_grace_seconds = max(recover_grace_seconds, 2 * settings.limits.answer_seconds_max)
        self._client = None if self._audit.timestamping is None else client_of(self._audit.timestamping)
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._due: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._alarmed = False
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._is_last = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Nothing; from now on the journal is kept in the background. It was looked at once already."""
        self.look()
        self._thread = threading.Thread(target=self._run, name="journal-keeper", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Nothing; what came until now is chained and sealed, or `FINISH_SECONDS_MAX` are over. `stop` comes next."""
        self._is_last = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join(FINISH_SECONDS_MAX)

    def stop(self) -> None:
        """Nothing; nothing begins any more. What is not sealed yet is the next start's."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS_MAX)
            if self._thread.is_alive():
                return  # it ends with the process, and the server undoes what it had in hand
        if self._connection is not None:
            self._connection.close()

    def look(self) -> None:
        """Nothing; all whose time has come was done, or the log says why not. Never raises."""
        self._do("months", MONTHS_SECONDS, self._make_months)
        self._do("recovery", RECOVER_SECONDS, self._recover)
        self._do("links", 0.0, self._link)
        self._do("seals", self._audit.seal_seconds, self._seal)
        self._do("backlog", BACKLOG_SECONDS, self._look_at_backlog)

    def _run(self) -> None:
        while True:
            self._woken.wait(LINK_SECONDS)
            if self._stopping.is_set():
                return
            is_last = self._is_last
            if is_last:
                self._due.clear()
            self.look()
            if is_last:
                return

    def _do(self, what: str, every_seconds: float, work: Callable[[psycopg.Connection[tuple[Any, ...]]], None]) -> None:
        if self._stopping.is_set() or time.monotonic() < self._due.get(what, 0.0):
            return
        self._due[what] = time.monotonic() + every_seconds
        try:
            work(self._connected())
        except Exception as error:  # noqa: BLE001  # whatever it was, the next time may do better, and the rest goes on
            reason = _told(error)
            if self._reasons.get(what) != reason:
                self._log.keeping_failed(what=what, reason=reason)
            self._reasons[what] = reason
        else:
            if self._reasons.pop(what, None) is not None:
                self._log.keeping_resumed(what=what)

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            self._connection = BoundedConnection.connect(bounded(self._settings.database), autocommit=True)
        return self._connection

    def _make_months(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        make_months(connection, self._clock().date())

    def _link(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        # Whether one took all it may says nothing: chunks are taken whole, and the next one may have been too many.
        while link_records(connection) and not self._stopping.is_set():
            pass

    def _seal(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        while (sealed := seal_links(connection, self._stamp, now=self._clock())) is not None:
            self._tell(sealed)
            if sealed.last_sequence_number - sealed.first_sequence_number + 1 < SEALED_LINKS_MAX:
                return

    def _stamp(self, statement: str) -> bytes | None:
        return None if self._client is None else self._client.stamp(statement)

    def _tell(self, sealed: Sealed) -> None:
        self._log.sealed(
            first=sealed.first_sequence_number,
            last=sealed.last_sequence_number,
            chain_hash=sealed.chain_hash.hex(),
            stamped=self._client is not None,
        )

    def _recover(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        keys = read_audit_keys(read_file(Path(self._audit.keys)), origin=self._audit.keys)
        service = self._settings.service.door.service_name

        def record_of(change: UnrecordedChange) -> AuditRecord:
            return record_of_change(change, keys, service=service, now=self._clock())

        recovered = recover_records(connection, record_of, grace_seconds=self._recover_grace_seconds)
        if recovered.records:
            self._log.recovered(records=recovered.records)
        if recovered.is_behind:
            self._due.pop("recovery")

    def _look_at_backlog(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        seconds = backlog_seconds(connection)
        is_late = seconds > self._audit.alarm_after_seconds
        if is_late and not self._alarmed:
            self._log.seals_stay_away(seconds=seconds, stop_after_seconds=self._audit.stop_after_seconds)
        self._alarmed = is_late


def client_of(timestamping: Timestamping) -> TimestampClient:
    """Whom the settings name, and whose tokens they believe. Raises `UsageError`."""
    return TimestampClient(timestamping, trust_of_timestamps(timestamping))


def trust_of_timestamps(timestamping: Timestamping) -> TimestampTrust:
    """Whose time stamps the settings believe. Raises `UsageError`."""
    return TimestampTrust.of_pem(read_file(Path(timestamping.ca)), policy=timestamping.policy, origin=timestamping.ca)


def _told(error: Exception) -> str:
    """What can be told of a failure: our own words, never the database's, which quote rows (SEC-74)."""
    if isinstance(error, ServiceUnavailable):
        return error.reason
    if isinstance(error, CbssInscriptionError):
        return str(error)
    sqlstate = getattr(error, "sqlstate", None)
    return type(error).__qualname__ + (f" {sqlstate}" if sqlstate else "")
