"""The repertory as a process of its own, over TLS: asked by a façade, hanging, gone and back (docs/upstream.md).

The façade of this sandbox has neither lines nor persons; behind its repertory stands a National Register.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cbss_inscription.client import FaultReceived, InscriptionClient, Period
from cbss_inscription.client.breaker import FAILURES_TO_OPEN
from cbss_inscription.client.profile import Profile
from cbss_inscription.domain.requests import HealthCheckType
from cbss_inscription.domain.results import Health
from cbss_inscription.repertory.upstream import SOURCE
from tests.acceptance.operating import circuits, counted, logged
from tests.conftest import RunningSandbox, log_lines_of, start_sandbox, stop_process, wait_for_sandbox

CONTEXT = "PCSA:LIVING_WAGE"
NEW_YEAR = Period(begin_date=date(2026, 1, 1))
WAIT_SECONDS_MAX = 60

pytestmark = (
    pytest.mark.long
)  # four databases and three services start for it; the repertory's suite asks a process too


@pytest.fixture(scope="module")
def chain(reachable_directory: Path) -> Iterator[RunningSandbox]:
    """A sandbox with a repertory and a National Register of their own."""
    directory = reachable_directory / "chain"
    options = ("--port", "0", "--operations-port", "0", "--persons", "150", "--repertory", "--national-register")
    process = start_sandbox(directory, *options)
    try:
        yield wait_for_sandbox(process, directory)
    finally:
        stop_process(process)
        shutil.rmtree(directory, ignore_errors=True)


def counts(chain: RunningSandbox, service: str | None = None) -> dict[str, int]:
    """How many lines, persons and records the database of a service has; None is the façade."""
    database = chain.manifest["database"] if service is None else chain.manifest[service]["database"]
    with psycopg.connect(database) as connection:
        found = {}
        for table in ("inscription", "person", "answered_declaration", "audit_record"):
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert row is not None
            found[table] = int(row[0])
    return found


def upstream_lines(chain: RunningSandbox) -> list[dict[str, Any]]:
    """What the façade's log tells of its upstream."""
    return [line for line in chain.log_lines() if line["event"] == "upstream"]


def test_rules_14_and_25_lines_and_persons_are_the_repertory_s_alone(chain: RunningSandbox) -> None:
    """An application sees one service; lines and files are at the repertory, and both parties have a record."""
    ssin = chain.ssin("nr_active")
    with InscriptionClient(chain.profile()) as client:
        inserted = client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR)
        consulted = client.consult_inscriptions(ssin)
    assert consulted.result.inscriptions == inserted.result.inscriptions
    own, there = counts(chain), counts(chain, "repertory")
    assert (own["inscription"], own["person"], own["answered_declaration"]) == (0, 0, 0)
    assert (there["inscription"], there["answered_declaration"]) == (1, 1)
    assert there["person"] > 0
    assert own["audit_record"] == there["audit_record"] == 2


def test_sec_69_each_party_knows_its_own_caller(chain: RunningSandbox) -> None:
    """The repertory's log names the façade and never the application behind it (SEC-69)."""
    with InscriptionClient(chain.profile()) as client:
        client.consult_inscriptions(chain.ssin("bis_active"))
    log = log_lines_of(chain.path(chain.manifest["repertory"]["log"]))
    callers = {line["application_urn"] for line in log if line["event"] == "answered"}
    assert callers == {"nowhere:inscription:facade"}
    assert {line["application_urn"] for line in chain.log_lines() if line["event"] == "answered"} == {
        chain.application("pcsa-web")["urn"]
    }


def test_sec_74_the_log_tells_of_the_upstream_without_a_number(chain: RunningSandbox) -> None:
    """Each message to the repertory is a line with the ticket of its exchange, and no line has a number (SEC-74)."""
    ssin = chain.ssin("rad_active")
    with InscriptionClient(chain.profile()) as client:
        answer = client.consult_inscriptions(ssin)
    assert answer.information_cbss is not None
    (line,) = [one for one in upstream_lines(chain) if one["ticket_cbss"] == str(answer.information_cbss.ticket_cbss)]
    assert (line["operation"], line["outcome"], line["circuit"]) == ("consultInscriptions", "answered", "closed")
    there = log_lines_of(chain.path(chain.manifest["repertory"]["log"]))
    assert line["their_ticket"] in {one.get("ticket_cbss") for one in there}
    assert ssin not in (chain.directory / "facade.log").read_text(encoding="utf-8")


def test_the_feed_stands_beside_the_lines(chain: RunningSandbox) -> None:
    """The façade has no feed; the profile says where the repertory's is, and the application may read it there."""
    assert chain.manifest["facade"]["mutations_url"].startswith(
        chain.manifest["repertory"]["url"].removesuffix("/InscriptionService/v1/inscription")
    )
    assert Profile.read(chain.profile_path()).mutations_url == chain.manifest["facade"]["mutations_url"]
    with InscriptionClient(chain.profile()) as client:
        assert list(client.mutations()) == []


def test_a_health_check_looks_at_the_repertory(chain: RunningSandbox) -> None:
    """DEEP asks the repertory with a test message, DEFAULT looks at the façade's own parts alone (decision 32)."""
    with InscriptionClient(chain.profile()) as client:
        own = client.health_check().result
        deep = client.health_check(HealthCheckType.DEEP).result
    assert "repertory" not in [check.name for check in own.checks]
    assert (deep.checks[-1].name, deep.checks[-1].health) == ("repertory", Health.OK)
    assert [check.name for check in deep.checks[:-1]] == [check.name for check in own.checks]


def test_persons_are_worked_on_with_the_repertory_s_settings(chain: RunningSandbox) -> None:
    """`register` on the façade's settings is one sentence that says whose to take (exit 2)."""
    command = [sys.executable, "-m", "cbss_inscription.cli.main", "register", "show", chain.ssin("nr_active")]
    done = {}
    for name in ("settings.toml", "repertory.toml"):
        done[name] = subprocess.run(
            [*command, "--settings", str(chain.path(name))], capture_output=True, text=True, timeout=60, check=False
        )
    assert done["settings.toml"].returncode == 2
    assert "name the settings of that service" in done["settings.toml"].stderr
    assert done["repertory.toml"].returncode == 0


def test_sec_70_a_repertory_that_hangs_and_ends_and_comes_back(chain: RunningSandbox) -> None:
    """Hanging: SOA-02002 to a declaration, CBI00901 to a consultation; back: done once; gone: CBI00901 (SEC-70).

    The declaration that was sent while it hung arrives when it goes on: sent again under its ticket it is done once.
    Each message is counted by what came of it, and so are the workers that send none any more (SEC-80).
    """
    ssin = chain.ssin("deceased")
    pid = int(chain.manifest["repertory"]["pid"])
    with InscriptionClient(chain.profile()) as client:
        assert client.consult_inscriptions(ssin).result.status.code == "MSG00100"
        before = counts(chain, "repertory")
        os.killpg(pid, signal.SIGSTOP)
        try:
            # First, on the connection that is there: on a new one it would not leave at all.
            with pytest.raises(FaultReceived) as caught:
                client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR, ticket="hanging")
            assert client.consult_inscriptions(ssin).result.status.code == "CBI00901"
        finally:
            os.killpg(pid, signal.SIGCONT)
        assert (caught.value.code, caught.value.retry) == ("SOA-02002", True)
        again = _patiently(
            lambda: (
                client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR, ticket="hanging").result
            )
        )
        assert again.status.code == "MSG00000"
        after = counts(chain, "repertory")
        assert after["inscription"] == before["inscription"] + 1
        assert after["answered_declaration"] == before["answered_declaration"] + 1
        os.killpg(pid, signal.SIGKILL)
        # The kept connection breaks after a message left on it: a consultation finds that out at no risk.
        assert client.consult_inscriptions(ssin).result.status.code == "CBI00901"
        gone = client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR, ticket="gone").result
        assert (gone.status.value.value, gone.status.code) == ("NOK", "CBI00901")
        for _ in range(2 * FAILURES_TO_OPEN):  # whichever of two workers has them
            check = client.health_check(HealthCheckType.DEEP).result.checks[-1]
        assert check.detail == "circuit-open"
    found = counted(chain, SOURCE)
    assert found == logged(chain, SOURCE)
    assert {outcome for _, outcome in found} >= {"answered", "timeout", "unreachable", "circuit-open"}
    assert circuits(chain, SOURCE)["open"] >= 1


def _patiently(ask: Any) -> Any:
    """What `ask` gives once the circuit lets it through."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        try:
            result = ask()
        except FaultReceived:
            result = None
        if result is not None and result.status.code != "CBI00901":
            return result
        assert time.monotonic() < deadline
        time.sleep(0.5)
