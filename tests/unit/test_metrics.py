"""What workers count: one sum over processes that live and that were killed, and the state of those alone that live."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cbss_inscription.app.metrics import CALL_SECONDS, CIRCUITS, Counts, counting
from cbss_inscription.app.operations import OperationsApplication
from cbss_inscription.app.readiness import Look, Readiness
from cbss_inscription.app.settings import METRICS_VARIABLE
from tests.repertory.houses import Calls

WORKER = """
import sys
from cbss_inscription.app.metrics import counting
from cbss_inscription.client.asker import ServiceCall
from cbss_inscription.client.breaker import Circuit
from cbss_inscription.domain.requests import Operation

class Silence:
    def called(self, call): pass
    def circuit_moved(self, *, service, circuit): pass

log = counting(Silence())
for line in sys.stdin:
    outcome, seconds, circuit = line.split()
    log.called(ServiceCall(
        service="repertory", ticket_cbss="5f0f", their_ticket=None, operation=Operation.CONSULT_INSCRIPTIONS,
        outcome=outcome, code="MSG00000", seconds=float(seconds), circuit=Circuit(circuit),
    ))
    print("counted", flush=True)
"""
"""Counts a call for each line that it is told."""


class Worker:
    """A process that counts."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={METRICS_VARIABLE: str(directory)},
        )

    def count(self, outcome: str, seconds: float, circuit: str = "closed") -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{outcome} {seconds} {circuit}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "counted\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


Start = Callable[[], Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts one more worker of one service."""
    with ExitStack() as held:

        def started() -> Worker:
            worker = Worker(tmp_path)
            held.callback(worker.kill)
            return worker

        yield started


def shown(directory: Path) -> dict[tuple[str, ...], float]:
    """Each sample of the sums by its name and the values of its labels."""
    registry = CollectorRegistry()
    registry.register(Counts(directory))  # type: ignore[arg-type]
    text = generate_latest(registry).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def calls(directory: Path, outcome: str) -> float:
    return shown(directory)[f"{CALL_SECONDS}_count", "consultInscriptions", outcome, "repertory"]


def circuits(directory: Path) -> dict[str, float]:
    return {key[1]: value for key, value in shown(directory).items() if key[0] == CIRCUITS}


def test_sec_80_counts_are_sums_over_workers_and_outlive_them(tmp_path: Path, start: Start) -> None:
    """A worker that was killed loses no count; who takes its place counts on, and brings no file more (SEC-80)."""
    first, second = start(), start()
    for _ in range(3):
        first.count("answered", 0.003)
    second.count("answered", 0.2)
    second.count("timeout", 4.0)
    assert (calls(tmp_path, "answered"), calls(tmp_path, "timeout")) == (4, 1)
    second.kill()
    assert (calls(tmp_path, "answered"), calls(tmp_path, "timeout")) == (4, 1)
    files = {file.name for file in tmp_path.iterdir()}
    start().count("answered", 7.0)
    assert calls(tmp_path, "answered") == 5
    assert {file.name for file in tmp_path.glob("histogram_*")} <= files
    found = shown(tmp_path)
    assert found[f"{CALL_SECONDS}_sum", "consultInscriptions", "answered", "repertory"] == pytest.approx(7.209)
    buckets = {
        key[1]: value for key, value in found.items() if key[0] == f"{CALL_SECONDS}_bucket" and key[3] == "answered"
    }
    assert [buckets[bound] for bound in ("0.005", "0.1", "0.25", "5.0", "10.0", "+Inf")] == [3, 3, 4, 4, 5, 5]


def test_sec_80_the_circuits_are_those_of_workers_that_live(tmp_path: Path, start: Start) -> None:
    """A circuit that opened is shown as one worker's; with the worker it is gone, and comes back closed (SEC-80)."""
    first, second = start(), start()
    first.count("answered", 0.1)
    second.count("answered", 0.1)
    assert circuits(tmp_path) == {"closed": 2.0, "half-open": 0.0, "open": 0.0}
    second.count("circuit-open", 0.0, "open")
    assert circuits(tmp_path) == {"closed": 1.0, "half-open": 0.0, "open": 1.0}
    second.kill()
    assert circuits(tmp_path) == {"closed": 1.0, "half-open": 0.0, "open": 0.0}
    start().count("answered", 0.1)
    assert circuits(tmp_path) == {"closed": 2.0, "half-open": 0.0, "open": 0.0}


def test_sec_80_a_place_that_was_taken_before_anybody_looked_has_no_former_state(tmp_path: Path, start: Start) -> None:
    """What a killed worker said of its circuit is not its successor's, though nobody asked in between (SEC-80)."""
    worker = start()
    worker.count("answered", 0.1, "open")
    worker.kill()
    start().count("answered", 0.1)
    assert circuits(tmp_path) == {"closed": 1.0, "half-open": 0.0, "open": 0.0}


def test_sec_80_a_file_with_nothing_in_it_yet_is_no_reason_to_show_nothing(tmp_path: Path, start: Start) -> None:
    """A worker that was killed as it made its file leaves one without a byte: the others' sums are shown (SEC-80)."""
    start().count("answered", 0.1)
    (tmp_path / "histogram_9.db").touch()
    assert calls(tmp_path, "answered") == 1


def test_sec_74_labels_have_words_of_ours_alone(tmp_path: Path, start: Start) -> None:
    """Service, operation, outcome, circuit and bucket are all that is told of a call: no ticket, no code (SEC-74)."""
    start().count("answered", 0.1)
    registry = CollectorRegistry()
    registry.register(Counts(tmp_path))  # type: ignore[arg-type]
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert {family.name for family in families} == {CALL_SECONDS, CIRCUITS}
    labels = {label for family in families for sample in family.samples for label in sample.labels}
    assert labels == {"service", "operation", "outcome", "circuit", "le"}


async def test_sec_80_the_operations_listener_shows_the_sums(tmp_path: Path, start: Start) -> None:
    """`/metrics` has them beside what the last look found (SEC-80)."""
    start().count("fault", 0.1)

    async def never() -> Look:
        raise AssertionError("nobody looks here")

    sent: list[bytes] = []

    async def send(event: dict[str, object]) -> None:
        sent.append(event.get("body", b""))  # type: ignore[arg-type]

    async def receive() -> dict[str, object]:
        raise AssertionError("there is nothing to receive")

    application = OperationsApplication(
        Readiness(checks=never, failed=lambda _: None),
        counts=Counts(tmp_path),  # type: ignore[arg-type]
    )
    scope = {"type": "http", "path": "/metrics", "method": "GET"}
    await application(scope, receive, send)  # type: ignore[arg-type]
    text = b"".join(sent).decode()
    assert f'{CALL_SECONDS}_count{{operation="consultInscriptions",outcome="fault",service="repertory"}} 1.0' in text
    assert "cbss_inscription_ready 0.0" in text


def test_without_a_place_to_count_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service without operations listener has the log alone, and no file."""
    monkeypatch.delenv(METRICS_VARIABLE, raising=False)
    log = Calls()
    assert counting(log) is log
