"""What the workers of a service count, as one sum, whichever of them counted and whichever died since (decision 15).

Each worker has a place in a directory that is the service's own: files that it writes through memory, so that nothing
is lost when it is killed. Whoever takes the place later counts on in them. The operations listener adds the places up.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

from cbss_inscription.app.settings import METRICS_VARIABLE
from cbss_inscription.client.breaker import Circuit

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from cbss_inscription.client.asker import CallLog, ServiceCall
    from cbss_inscription.domain.requests import Operation

CALL_SECONDS: Final = "cbss_inscription_upstream_seconds"
"""The histogram of messages to other services."""
CIRCUITS: Final = "cbss_inscription_upstream_circuits"
"""The gauge of workers by what their circuit breakers let through."""
BUCKETS_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Up to more than a message may take by default; the first is that of an outage that is told at once."""
_LIBRARY_S_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


def make_metrics_directory() -> Path | None:
    """A new and empty directory where a service's workers count; None where nothing can be written."""
    try:
        return Path(mkdtemp(prefix="cbss-inscription-metrics-"))
    except OSError:
        return None


def metrics_directory() -> Path | None:
    """Where the service of this process counts."""
    said = os.environ.get(METRICS_VARIABLE)
    return None if said is None else Path(said)


@cache
def place_in(directory: Path) -> int:
    """A place that no other process has, for as long as this one lives; what stood in its gauges is forgotten."""
    for number in count():
        lock = _lock_of(directory, number)
        if _is_taken(lock):
            os.close(lock)
            continue
        _forget_gauges(directory, number)
        return number  # the lock stays open, and is the kernel's to end
    raise AssertionError("numbers have no end")


def counting(log: CallLog) -> CallLog:
    """The log, counting what it is told where this process has a place to count; the log itself where it has none."""
    directory = metrics_directory()
    return log if directory is None else CountedCalls(log, metrics=_metrics_in(directory))


class CallMetrics:
    """What is counted of messages to other services; labels are words of ours alone (SEC-74)."""

    def __init__(self) -> None:
        # A seventh of a worker's start, for those that count alone.
        from prometheus_client import Gauge, Histogram

        self.seconds = Histogram(
            CALL_SECONDS,
            "Seconds that messages to other services took, by what came of them.",
            ["service", "operation", "outcome"],
            buckets=BUCKETS_SECONDS,
            registry=None,
        )
        self.circuits = Gauge(
            CIRCUITS,
            "Workers by what their circuit breaker for another service lets through.",
            ["service", "circuit"],
            multiprocess_mode="livesum",
            registry=None,
        )


class CountedCalls:
    """A `CallLog` before another one, which counts."""

    def __init__(self, log: CallLog, *, metrics: CallMetrics) -> None:
        self._log = log
        self._metrics = metrics
        self._observe: dict[tuple[str, Operation, str], Callable[[float], None]] = {}
        self._shown: dict[str, Circuit] = {}

    def called(self, call: ServiceCall) -> None:
        """See `CallLog.called`."""
        self._log.called(call)
        key = (call.service, call.operation, call.outcome)
        observe = self._observe.get(key)
        if observe is None:
            observe = self._observe[key] = self._metrics.seconds.labels(*key).observe
        observe(call.seconds)
        self._show(call.service, call.circuit)

    def circuit_moved(self, *, service: str, circuit: Circuit) -> None:
        """See `CallLog.circuit_moved`."""
        self._log.circuit_moved(service=service, circuit=circuit)
        self._show(service, circuit)

    def _show(self, service: str, circuit: Circuit) -> None:
        if self._shown.get(service) is not circuit:
            self._shown[service] = circuit
            for one in Circuit:
                self._metrics.circuits.labels(service, one).set(float(one is circuit))


class Counts:
    """A collector of the sums over all places in a directory, for the process that shows them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterator[Metric]:
        """The sums as they are now; of a worker that is no more, its counts and nothing of its state."""
        from prometheus_client.multiprocess import MultiProcessCollector

        for lock_file in self._directory.glob("*.lock"):
            lock = _lock_of(self._directory, int(lock_file.stem))
            if not _is_taken(lock):
                _forget_gauges(self._directory, int(lock_file.stem))
            os.close(lock)
        # A file that was made just now, or whose maker was killed just then, is empty: there is nothing in it to read.
        files = [str(file) for file in self._directory.glob("*.db") if _size_of(file) > 0]
        yield from MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]


@cache
def _metrics_in(directory: Path) -> CallMetrics:
    """The metrics of this process, once: two of them would each write its own sums into the same files."""
    from prometheus_client import values

    place = place_in(directory)
    os.environ[_LIBRARY_S_VARIABLE] = str(directory)
    values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]  # as the library's own text has it
        process_identifier=lambda: place
    )
    return CallMetrics()


def _lock_of(directory: Path, number: int) -> int:
    return os.open(directory / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)


def _is_taken(lock: int) -> bool:
    """Whether another process has the place; it is ours from now on if not."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _forget_gauges(directory: Path, number: int) -> None:
    """Nothing; what the last process with that place said of itself is gone. To be called by who has the place."""
    for file in directory.glob(f"gauge_*_{number}.db"):
        file.unlink(missing_ok=True)


def _size_of(file: Path) -> int:
    with suppress(OSError):  # a gauge may be gone by now
        return file.stat().st_size
    return 0
