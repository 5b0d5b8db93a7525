"""A service that is about to stop: what it says, what it still does, and a restart that nobody notices (SEC-80).

Two replicas of a façade on the database of the session's sandbox, each started as an operator does, and callers that
choose among them by /health/ready, as whatever spreads the load does.
"""

from __future__ import annotations

import itertools
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import msgspec
import psycopg
import pytest

from cbss_inscription.client import InscriptionClient, Period
from cbss_inscription.client.transport import tls_context
from cbss_inscription.sandbox.faults import FAULT_HEADER
from cbss_inscription.security.sign import Signer, sign
from tests.acceptance.conftest import consult, envelope
from tests.conftest import START_SECONDS_MAX, RunningSandbox, free_port, stop_process

CONTEXT = "PCSA:LIVING_WAGE"
DRAIN_SECONDS = 4.0
ASK_SECONDS = 0.1
"""How old a caller's knowledge may be of which replica is ready: far younger than the drain is long."""
SEEN_SECONDS = 5 * ASK_SECONDS
"""After which every caller knows that a replica is back, and the next may go."""
CALLERS = 4
ROUNDS = 5


@dataclass(kw_only=True)
class Replica:
    """A façade as a process of its own, which may be started and stopped again and again."""

    settings: Path
    port: int
    operations_port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/CBSSInscription/v1"

    @property
    def operations_url(self) -> str:
        return f"http://127.0.0.1:{self.operations_port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "cbss_inscription.cli.main", "facade", "--settings", str(self.settings)]
        with self.settings.with_suffix(".out").open("ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(self.settings.with_suffix(".out").read_text(encoding="utf-8"))
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.operations_url}/health/ready", timeout=1, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=60)


def _replica(sandbox: RunningSandbox, directory: Path, name: str) -> Replica:
    ports = free_port(), free_port()
    text = (sandbox.directory / "settings.toml").read_text(encoding="utf-8").partition("[plain]")[0]
    text = re.sub(r"(?m)^port = \d+", f"port = {ports[0]}", text)
    text = re.sub(r"(?m)^database_connections_max = \d+", "database_connections_max = 4", text)
    text = re.sub(r"(?m)^workers = \d+", "workers = 1", text)
    text = re.sub(r'"(pki|access-rules\.yaml|audit-keys\.toml)', rf'"{sandbox.directory}/\1', text)
    path = directory / f"{name}.toml"
    path.write_text(
        f"{text}\n[operations]\nport = {ports[1]}\n"
        f'drain_seconds = {DRAIN_SECONDS}\n\n[faults]\nheader = true\ndirectory = "{name}-faults"\n',
        encoding="utf-8",
    )
    return Replica(settings=path, port=ports[0], operations_port=ports[1])


@pytest.fixture(scope="module")
def replicas(sandbox: RunningSandbox, reachable_directory: Path) -> Iterator[tuple[Replica, Replica]]:
    """Two façades that have not been started."""
    directory = reachable_directory / "replicas"
    directory.mkdir()
    found = _replica(sandbox, directory, "one"), _replica(sandbox, directory, "two")
    try:
        yield found
    finally:
        for replica in found:
            if replica.process is not None:
                replica.process.send_signal(signal.SIGTERM)  # twice: it stops without draining
                stop_process(replica.process)
        shutil.rmtree(directory, ignore_errors=True)


def signed(sandbox: RunningSandbox, content: str) -> bytes:
    web = sandbox.application("pcsa-web")
    signer = Signer.from_pem(sandbox.path(web["certificate"]).read_bytes(), sandbox.path(web["key"]).read_bytes())
    return sign(envelope(content), signer=signer, now=datetime.now(UTC))


def test_sec_80_a_service_that_drains_says_so_and_answers(
    sandbox: RunningSandbox, replicas: tuple[Replica, Replica]
) -> None:
    """SIGTERM: not ready at once, messages and new connections are taken, each told to close; then what is in hand is
    finished, the port is free, and the status is 0 (SEC-80).
    """
    replica, _ = replicas
    replica.start()
    url, headers = replica.url, {"content-type": "text/xml"}
    context = tls_context(sandbox.path(sandbox.manifest["ca"]))
    ssin = sandbox.ssin("nr_active")
    with (
        httpx.Client(trust_env=False, verify=context, headers=headers) as kept,
        httpx.Client(trust_env=False, verify=context, headers=headers) as late,
    ):
        before = kept.post(url, content=signed(sandbox, consult(ssin)))
        assert (before.status_code, "connection" in before.headers) == (200, False)
        replica.terminate()
        for _ in range(100):
            told = httpx.get(f"{replica.operations_url}/health/ready", trust_env=False)
            if told.status_code == 503:
                break
            time.sleep(0.01)
        assert told.json()["checks"]["drain"] == {"ok": False, "reason": "stopping"}
        assert httpx.get(f"{replica.operations_url}/health/live", trust_env=False).status_code == 200
        for client in (kept, late):
            reply = client.post(url, content=signed(sandbox, consult(ssin)))
            assert (reply.status_code, reply.headers["connection"]) == (200, "close")
        refused = late.get(url)
        assert (refused.status_code, refused.headers["connection"]) == (404, "close")
        # Longer in hand than the rest of the drain.
        order = {FAULT_HEADER: f"delay {DRAIN_SECONDS + 1}"}
        slow = late.post(url, content=signed(sandbox, consult(ssin)), headers=order, timeout=20)
    assert slow.status_code == 200
    assert replica.wait() == 0
    with socket.socket() as trial, pytest.raises(ConnectionRefusedError):
        trial.connect(("127.0.0.1", replica.port))


def test_sec_80_what_is_in_hand_is_finished_however_often_it_is_told_to_stop(
    sandbox: RunningSandbox, replicas: tuple[Replica, Replica]
) -> None:
    """The end of the terminal drains as SIGTERM does, a second signal ends the drain, and no further one leaves what is
    in hand without its supervisor: it is answered, and the status is 0 (SEC-80).
    """
    _, replica = replicas
    replica.start()
    assert replica.process is not None
    said = replica.settings.with_suffix(".out")
    statuses: list[int] = []

    def ask() -> None:
        order = {FAULT_HEADER: f"delay {DRAIN_SECONDS + 1}", "content-type": "text/xml"}
        context = tls_context(sandbox.path(sandbox.manifest["ca"]))
        with httpx.Client(trust_env=False, verify=context, headers=order, timeout=20) as client:
            statuses.append(
                client.post(replica.url, content=signed(sandbox, consult(sandbox.ssin("nr_active")))).status_code
            )

    slow = threading.Thread(target=ask)
    slow.start()
    while "fault injected" not in said.read_text(encoding="utf-8"):  # then it is in hand, for three seconds
        assert slow.is_alive()
        time.sleep(0.01)
    replica.process.send_signal(signal.SIGHUP)
    while "Draining: " not in said.read_text(encoding="utf-8"):
        assert replica.process.poll() is None
        time.sleep(0.01)
    replica.process.send_signal(signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        replica.process.send_signal(number)
    assert replica.wait() == 0
    slow.join(1)
    assert statuses == [200]
    assert f"The facade answers: {sandbox.manifest['facade']['url']}\n" in said.read_text(encoding="utf-8")


@dataclass(kw_only=True)
class Caller:
    """Consults and inserts, one after the other over kept connections, at whichever replica says that it is ready."""

    number: int
    sandbox: RunningSandbox
    replicas: tuple[Replica, ...]
    is_over: threading.Event
    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Nothing, when it is over; each request was done, or failed."""
        dice = random.Random(self.number)
        numbers = itertools.cycle(_strangers(self.sandbox)[self.number :: CALLERS])
        days = itertools.count(date(1990, 1, 1).toordinal(), 2)
        clients = {replica.port: self._client(replica) for replica in self.replicas}
        ready, asked = list(self.replicas), 0.0
        while not self.is_over.is_set():
            if time.monotonic() - asked > ASK_SECONDS:
                ready, asked = [replica for replica in self.replicas if replica.is_ready()], time.monotonic()
            if not ready:
                self.failed.append("no replica is ready")
                continue
            replica, ssin = dice.choice(ready), next(numbers)
            client = clients[replica.port]
            try:
                if dice.random() < 0.5:
                    code = client.consult_inscriptions(ssin).result.status.code
                else:
                    day = date.fromordinal(next(days))
                    period = Period(begin_date=day, end_date=day)
                    code = client.insert_inscription(
                        ssin, inscription_context=CONTEXT, period=period
                    ).result.status.code
            except Exception as error:  # whatever it is, it is a request that failed
                self.failed.append(repr(error))
            else:
                self.done[f"{replica.port} {code}"] += 1
        for client in clients.values():
            client.close()

    def _client(self, replica: Replica) -> InscriptionClient:
        return InscriptionClient(msgspec.structs.replace(self.sandbox.profile(), url=replica.url))


def _strangers(sandbox: RunningSandbox) -> list[str]:
    scenarios = {int(one["ssin"]) for one in sandbox.manifest["scenarios"].values()}
    with psycopg.connect(sandbox.manifest["database"]) as connection:
        rows = connection.execute("SELECT ssin FROM person WHERE status = 'active' ORDER BY ssin LIMIT 200").fetchall()
    return [f"{number:011d}" for (number,) in rows if number not in scenarios]


@pytest.mark.long
def test_sec_80_a_rolling_restart_loses_no_request(
    sandbox: RunningSandbox,
    replicas: tuple[Replica, Replica],
    record_property: Callable[[str, object], None],
) -> None:
    """Each replica in turn is stopped and started again, under consults and inserts over kept connections: not one of
    the requests fails (SEC-80).
    """
    for replica in replicas:
        replica.start()
    is_over = threading.Event()
    callers = [Caller(number=one, sandbox=sandbox, replicas=replicas, is_over=is_over) for one in range(CALLERS)]
    threads = [threading.Thread(target=caller.run) for caller in callers]
    for thread in threads:
        thread.start()
    try:
        for replica in replicas * ROUNDS:
            replica.terminate()
            assert replica.wait() == 0
            replica.start()
            time.sleep(SEEN_SECONDS)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    done = sum((caller.done for caller in callers), Counter())
    record_property("requests", done.total())
    assert [failure for caller in callers for failure in caller.failed] == []
    assert {name.split()[0] for name in done} == {str(replica.port) for replica in replicas}
    assert {name.split()[1] for name in done} <= {"MSG00000", "MSG00100", "MSG00009"}
    assert done.total() > 50 * ROUNDS
