"""The operator's log: one JSON line for each exchange, with the reason that the caller is not told (SEC-61, SEC-74).

What may stand in a line is listed here, field by field; an SSIN, a name or message text is never among them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast
from uuid import UUID

from cbss_inscription.client.asker import ANSWERED, RECONCILED
from cbss_inscription.client.breaker import Circuit
from cbss_inscription.domain.clock import ClockReading, ClockState
from cbss_inscription.domain.errors import CbssInscriptionError, MessageRejected, SchemaViolation, ServiceUnavailable
from cbss_inscription.domain.results import HealthCheckResult
from cbss_inscription.governance.volumes import VolumeLevel

if TYPE_CHECKING:
    from cbss_inscription.client.asker import ServiceCall
    from cbss_inscription.contract.door import Door
    from cbss_inscription.domain.results import Result
    from cbss_inscription.governance.volumes import VolumeReached
    from cbss_inscription.sandbox.faults import Disturbance
    from cbss_inscription.security.lifetimes import Lifetime
    from cbss_inscription.soap.pipeline import Progress

# For consoles, structlog loads rich and pygments where it finds them: a quarter of a worker's start, for a log of JSON.
if "rich" in sys.modules:
    import structlog
else:
    sys.modules["rich"] = None  # type: ignore[assignment]  # Python's own way to say that there is none
    import structlog

    del sys.modules["rich"]

EXCEPTIONS_MAX: Final = 8
"""Exceptions of one failure that are told."""
FRAMES_MAX: Final = 30
"""Frames of one exception that are told, the innermost ones."""
_SPEAKS_OF_CONNECTIONS: Final = frozenset({"psycopg.pool"})
"""Libraries whose warnings are told with their values: why a database is not reached, never a statement or a row."""


def configure_logging() -> None:
    """Nothing; from now on this process logs JSON lines, control characters escaped, to standard error.

    Libraries may log warnings, not their debugging: some of them would print messages (SEC-74).
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LibraryFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


class LibraryFormatter(logging.Formatter):
    """What a library logs as a JSON line: who, how grave, its words, of an exception kinds and frames.

    Without the values that it puts into its words: asyncio quotes exceptions, and these quote rows (SEC-74).
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        # asyncio's values stand on further lines.
        words = str(record.msg).partition("\n")[0] if record.name not in _SPEAKS_OF_CONNECTIONS else record.getMessage()
        line: dict[str, object] = {
            "event": words,
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exceptions"] = _told(record.exc_info[1])
        return json.dumps(line)


class StructuredExchangeLog:
    """A `soap.pipeline.ExchangeLog` of JSON lines."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("exchange")

    def answered(self, progress: Progress, *, result: Result, seconds: float) -> None:
        """See `ExchangeLog.answered`."""
        if isinstance(result, HealthCheckResult):
            outcome = {"status": result.health.value}
        else:
            outcome = {"status": result.status.value.value, "code": result.status.code.value}
            if progress.trail.unanswered is not None:
                outcome["reason"] = progress.trail.unanswered
        self._log.info("answered", **_fields(progress, seconds), **outcome)

    def refused(self, progress: Progress, *, error: CbssInscriptionError, seconds: float) -> None:
        """See `ExchangeLog.refused`."""
        fields = _fields(progress, seconds)
        if isinstance(error, (MessageRejected, ServiceUnavailable)):
            fields |= {"code": error.code, "reason": error.reason}
        if isinstance(error, SchemaViolation):
            fields["paths"] = list(error.paths)
        if error.__cause__ is not None:
            fields["cause"] = _kind_of(error.__cause__)
        self._log.warning("refused", **fields)

    def failed(self, progress: Progress, *, error: Exception, seconds: float) -> None:
        """See `ExchangeLog.failed`."""
        self._log.error("failed", exceptions=_told(error), **_fields(progress, seconds))

    def found_data_anomaly(self, *, ticket_cbss: UUID, reason: str) -> None:
        """See `registers.port.DataAnomalyLog`."""
        self._log.error("data anomaly", ticket_cbss=str(ticket_cbss), reason=reason)


class StructuredCallLog:
    """A `client.asker.CallLog` of JSON lines; a breaker's say which process, for every worker has one."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("upstream")

    def called(self, call: ServiceCall) -> None:
        """See `CallLog.called`."""
        write = self._log.info if call.outcome in {ANSWERED, RECONCILED} else self._log.warning
        write(
            "upstream",
            service=call.service,
            ticket_cbss=call.ticket_cbss,
            their_ticket=call.their_ticket,
            operation=call.operation.value,
            outcome=call.outcome,
            code=call.code,
            milliseconds=round(call.seconds * 1000, 1),
            circuit=call.circuit.value,
        )

    def circuit_moved(self, *, service: str, circuit: Circuit) -> None:
        """See `CallLog.circuit_moved`."""
        write = self._log.info if circuit is Circuit.CLOSED else self._log.error
        write("circuit", service=service, circuit=circuit.value, pid=os.getpid())


class StructuredBatchLog:
    """A `batch.engine.BatchLog`, and what its registers tell, of JSON lines."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("batch")

    def line_failed(self, *, batch_id: UUID, line: int, error: Exception) -> None:
        """See `BatchLog.line_failed`."""
        self._log.error("line failed", batch_id=str(batch_id), line=line, exceptions=_told(error))

    def worked(self, *, batch_id: UUID, lines_answered: int, lines_waiting: int, seconds: float) -> None:
        """One line: a chunk was answered, or that part of it whose sources answered."""
        milliseconds = round(seconds * 1000, 1)
        self._log.info(
            "worked",
            batch_id=str(batch_id),
            lines_answered=lines_answered,
            lines_waiting=lines_waiting,
            milliseconds=milliseconds,
        )

    def work_failed(self, *, reason: str, error: Exception) -> None:
        """One line: a chunk could not be worked on; it is tried again, and said again when the reason changes."""
        self._log.error("work failed", reason=reason, exceptions=_told(error))

    def found_data_anomaly(self, *, ticket_cbss: UUID, reason: str) -> None:
        """See `registers.port.DataAnomalyLog`."""
        self._log.error("data anomaly", ticket_cbss=str(ticket_cbss), reason=reason)


class StructuredReloadLog:
    """An `app.reloading.ReloadLog` of JSON lines; each line says which process wrote it, for every worker does."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("reload")

    def reloaded(self, *, what: str, digest: str) -> None:
        """See `ReloadLog.reloaded`."""
        self._log.info("reloaded", what=what, digest=digest, pid=os.getpid())

    def reload_failed(self, *, what: str, reason: str) -> None:
        """See `ReloadLog.reload_failed`."""
        self._log.error("reload failed", what=what, reason=reason, pid=os.getpid())

    def found_ending(self, *, ending: Sequence[Lifetime], unlisted: Sequence[str], ended: bool) -> None:
        """See `ReloadLog.found_ending`."""
        told = [{"kind": one.kind.value, "name": one.name, "ends": one.ends.isoformat()} for one in ending]
        write = self._log.error if ended else self._log.warning
        write("trust ends", ending=told, without_revocation_list=list(unlisted), pid=os.getpid())


class StructuredFaultLog:
    """A `soap.faults.FaultLog` of JSON lines."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("faults")

    def injected(self, *, door: Door, disturbance: Disturbance) -> None:
        """See `FaultLog.injected`."""
        self._log.warning(
            "fault injected",
            door=door.value,
            rule=disturbance.rule or None,
            fault=disturbance.kind.value,
            code=disturbance.code,
        )


class StructuredVolumeLog:
    """A `governance.volumes.VolumeLog` of JSON lines; each line says which process wrote it, for every worker does."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("volumes")

    def volume_reached(self, reached: VolumeReached) -> None:
        """See `VolumeLog.volume_reached`."""
        write = self._log.warning if reached.level is VolumeLevel.NEAR else self._log.error
        write(
            "volume reached",
            permission=reached.key.permission,
            customer=reached.key.customer,
            operation=reached.volume.operation,
            window=reached.volume.window.value,
            since=reached.start.isoformat(),
            limit=reached.volume.limit,
            calls=reached.calls,
            level_percent=reached.level.value,
            mode=reached.volume.mode.value,
            pid=os.getpid(),
        )


class StructuredClockLog:
    """An `app.clock.ClockLog` of JSON lines."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("clock")

    def clock_moved(self, *, reading: ClockReading) -> None:
        """See `ClockLog.clock_moved`."""
        write = {ClockState.RIGHT: self._log.info, ClockState.DRIFTING: self._log.warning}.get(
            reading.state, self._log.error
        )
        write(
            "clock",
            state=reading.state.value,
            offset_seconds=round(reading.offset_seconds, 3),
            error_seconds=round(reading.error_seconds, 3),
            pid=os.getpid(),
        )

    def look_failed(self, kind: str) -> None:
        """See `ClockLog.look_failed`."""
        self._log.error("look failed", what="clock", reason=kind, pid=os.getpid())


class SupervisorLog:
    """An `app.fetching.FetchLog` and `app.keeping.KeeperLog`: JSON lines where those of the workers go.

    The process that starts them speaks to people on its own standard error, so its log is not the configured one.
    """

    def __init__(self, stream: IO[bytes] | None = None) -> None:
        self._log = structlog.wrap_logger(
            structlog.BytesLogger(cast("BinaryIO", stream or sys.stderr.buffer)),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=_json_bytes),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        )

    def fetched(self, *, url: str) -> None:
        """See `FetchLog.fetched`."""
        self._log.info("revocation list fetched", url=url)

    def fetch_failed(self, *, url: str, reason: str) -> None:
        """See `FetchLog.fetch_failed`."""
        self._log.error("revocation list not fetched", url=url, reason=reason)

    def sealed(self, *, first: int, last: int, chain_hash: str, stamped: bool) -> None:
        """See `KeeperLog.sealed`."""
        self._log.info("audit sealed", first=first, last=last, chain_hash=chain_hash, stamped=stamped)

    def recovered(self, *, records: int) -> None:
        """See `KeeperLog.recovered`."""
        self._log.warning("audit records recovered", records=records)

    def keeping_failed(self, *, what: str, reason: str) -> None:
        """See `KeeperLog.keeping_failed`."""
        self._log.error("audit keeping failed", what=what, reason=reason)

    def keeping_resumed(self, *, what: str) -> None:
        """See `KeeperLog.keeping_resumed`."""
        self._log.info("audit keeping resumed", what=what)

    def seals_stay_away(self, *, seconds: float, stop_after_seconds: float) -> None:
        """See `KeeperLog.seals_stay_away`."""
        self._log.error("audit seals stay away", seconds=round(seconds), stop_after_seconds=round(stop_after_seconds))


def _json_bytes(value: object, *, default: Callable[[object], object] | None = None) -> bytes:
    return json.dumps(value, default=default).encode("utf-8")


def _told(error: BaseException | None) -> list[dict[str, object]]:
    """The exceptions that led to a failure, the last first: kinds and frames.

    Neither their words nor the frames' variables: PostgreSQL quotes rows, lxml quotes messages (SEC-74).
    """
    told: list[dict[str, object]] = []
    while error is not None and len(told) < EXCEPTIONS_MAX:
        frames = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        told.append({"kind": _kind_of(error), "frames": frames[-FRAMES_MAX:]})
        if isinstance(error, SchemaViolation):
            told[-1]["paths"] = list(error.paths)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told


def _kind_of(error: BaseException) -> str:
    sqlstate = getattr(error, "sqlstate", None)
    return type(error).__qualname__ + (f" {sqlstate}" if sqlstate else "")


def _fields(progress: Progress, seconds: float) -> dict[str, object]:
    caller = progress.caller
    return {
        "ticket_cbss": str(progress.ticket),
        "application_urn": caller.application_urn if caller else None,
        "cbe_number": caller.cbe_number if caller else None,
        "certificate": caller.certificate_fingerprint if caller else None,
        "known_by": caller.known_by.value if caller else None,
        **({"network": caller.network} if caller and caller.network else {}),
        "operation": progress.operation.value if progress.operation else None,
        "customer": progress.customer,
        "legal_context": progress.legal_context,
        "milliseconds": round(seconds * 1000, 1),
    }
