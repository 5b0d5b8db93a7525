"""What goes wrong on order, as callers meet it on real sockets (docs/fault-injection.md).

A façade and a National Register that may go wrong; beside them the session's sandbox, whose settings have no faults.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import msgspec
import psycopg
import pytest

from cbss_inscription.app.settings import read_settings
from cbss_inscription.client import (
    FaultReceived,
    InscriptionClient,
    Period,
    ReplyUnreadable,
    ServiceUnreachable,
)
from cbss_inscription.client.errors import Obstacle
from cbss_inscription.client.transport import tls_context
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode, Severity
from cbss_inscription.sandbox.faults import FAULT_HEADER, WRONG_TICKET
from cbss_inscription.security.sign import Signer, sign
from tests.acceptance.conftest import Command, consult, envelope, insert
from tests.conftest import RunningSandbox, free_port, start_sandbox, stop_process, wait_for_sandbox

CONTEXT = "PCSA:LIVING_WAGE"
NEW_YEAR = Period(begin_date=date(2026, 1, 1))


@pytest.fixture(scope="module")
def faulty(reachable_directory: Path) -> Iterator[RunningSandbox]:
    """A sandbox that goes wrong on order, its National Register too."""
    directory = reachable_directory / "faulty"
    arguments = ("--port", "0", "--persons", "120", "--workers", "2", "--faults")
    process = start_sandbox(directory, *arguments, "--national-register")
    try:
        yield wait_for_sandbox(process, directory)
    finally:
        stop_process(process)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_rules(faulty: RunningSandbox) -> Iterator[None]:
    yield
    for url in (faulty.operations_url, faulty.manifest["national_register"]["operations_url"]):
        httpx.delete(f"{url}/faults", trust_env=False).raise_for_status()


@pytest.fixture
def client(faulty: RunningSandbox) -> Iterator[InscriptionClient]:
    with InscriptionClient(faulty.profile()) as client:
        yield client


def ssin_of(faulty: RunningSandbox, scenario: str) -> str:
    return str(faulty.manifest["fault_scenarios"][scenario]["ssin"])


def set_rule(url: str, name: str, **said: Any) -> dict[str, Any]:
    answer = httpx.put(f"{url}/faults/{name}", json=said, trust_env=False)
    assert answer.status_code == 200, answer.text
    return next(rule for rule in answer.json()["rules"] if rule["name"] == name)


def counts(url: str, name: str) -> tuple[int, int]:
    """How many requests a rule matched and struck."""
    rules = httpx.get(f"{url}/faults", trust_env=False).json()["rules"]
    (rule,) = [rule for rule in rules if rule["name"] == name]
    return rule["matched"], rule["struck"]


def periods_of(faulty: RunningSandbox, ssin: str) -> int:
    """How many changes of this number's lines there ever were."""
    with psycopg.connect(faulty.manifest["database"]) as connection:
        row = connection.execute("SELECT count(*) FROM inscription_history WHERE ssin = %s::bigint", (ssin,)).fetchone()
    assert row is not None
    return int(row[0])


def signed(sandbox: RunningSandbox, content: str) -> bytes:
    web = sandbox.application("pcsa-web")
    signer = Signer.from_pem(sandbox.path(web["certificate"]).read_bytes(), sandbox.path(web["key"]).read_bytes())
    return sign(envelope(content), signer=signer, now=datetime.now(UTC))


def context_of(sandbox: RunningSandbox) -> ssl.SSLContext:
    return tls_context(sandbox.path(sandbox.manifest["ca"]))


def raw_reply(sandbox: RunningSandbox, content: str, order: str) -> bytes:
    """Every byte that comes on a kept connection, inside TLS, until the service closes it."""
    port = urlsplit(sandbox.url).port or 0
    body = signed(sandbox, content)
    head = (
        f"POST /CBSSInscription/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n"
        f"Content-Length: {len(body)}\r\n{FAULT_HEADER}: {order}\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as below,
        context_of(sandbox).wrap_socket(below, server_hostname="localhost") as connection,
    ):
        connection.sendall(head.encode() + body)
        received = b""
        while part := connection.recv(65_536):
            received += part
    return received


# -- by number ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "obstacle", "changes"),
    [("drop", Obstacle.BROKEN, 0), ("drop-after", Obstacle.BROKEN, 1), ("half-reply", Obstacle.BROKEN, 1)],
)
def test_decision_31_a_connection_breaks_before_or_after_the_work(
    faulty: RunningSandbox, client: InscriptionClient, scenario: str, obstacle: Obstacle, changes: int
) -> None:
    """The caller is told the same in each case; what the repertory has differs, and the ticket finds it out: sent again
    under it, elsewhere than at this door, the declaration is there once (decision 31, rule 38).
    """
    ssin = ssin_of(faulty, scenario)
    with pytest.raises(ServiceUnreachable) as broken:
        client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR)
    assert broken.value.obstacle is obstacle
    assert periods_of(faulty, ssin) == changes


@pytest.mark.parametrize(("scenario", "changes"), [("silence", 0), ("silence-after", 1)])
def test_decision_31_a_silence_outlasts_the_caller(faulty: RunningSandbox, scenario: str, changes: int) -> None:
    """A caller that gives up does not know whether its declaration was done: here it was, or was not (decision 31)."""
    ssin = ssin_of(faulty, scenario)
    with (
        InscriptionClient(msgspec.structs.replace(faulty.profile(), timeout_seconds=1.0)) as hasty,
        pytest.raises(ServiceUnreachable) as broken,
    ):
        hasty.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR)
    assert broken.value.obstacle is Obstacle.TIMEOUT
    assert periods_of(faulty, ssin) == changes


def test_decision_31_a_delay_ends_in_the_answer(faulty: RunningSandbox, client: InscriptionClient) -> None:
    """A patient caller is answered as ever (decision 31)."""
    for scenario in ("delay", "delay-after"):
        began = time.monotonic()
        assert client.consult_inscriptions(ssin_of(faulty, scenario)).result.status.code is OutcomeCode.NO_DATA
        assert time.monotonic() - began >= 1.0


def test_decision_31_a_reply_with_another_ticket_is_noticed(faulty: RunningSandbox, client: InscriptionClient) -> None:
    """It is whole, valid and somebody else's: the SDK refuses it (decision 31, SEC-68)."""
    with pytest.raises(ReplyUnreadable, match="other-ticket"):
        client.consult_inscriptions(ssin_of(faulty, "wrong-ticket"))


@pytest.mark.parametrize("code", [code for code in OutcomeCode if code not in {"MSG00000", "MSG00003"}])
def test_decision_31_a_number_for_every_code(
    faulty: RunningSandbox, client: InscriptionClient, code: OutcomeCode
) -> None:
    """Each code that a caller can meet is met by a number, as a fault, an answer or a note; refused, nothing is written
    (decision 31).
    """
    ssin = ssin_of(faulty, f"code-{code.lower()}")
    if CATALOGUE[code].fault_side is not None:
        with pytest.raises(FaultReceived) as fault:
            client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR)
        assert (fault.value.code, fault.value.fault_code) == (code, CATALOGUE[code].fault_side)
        assert fault.value.retry is CATALOGUE[code].retryable
    elif CATALOGUE[code].severity is Severity.FATAL:
        result = client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR).result
        assert (result.status.value, result.status.code) == ("NOK", code)
        assert client.consult_inscriptions(ssin).result.status.code is code
        assert periods_of(faulty, ssin) == 0
    elif code is OutcomeCode.NO_DATA:
        client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR)
        assert client.consult_inscriptions(ssin).result.status.code is code
    else:
        result = client.insert_inscription(ssin, inscription_context=CONTEXT, period=NEW_YEAR).result
        assert code in {anomaly.code for anomaly in result.anomalies}
        assert periods_of(faulty, ssin) == 1


# -- by header ---------------------------------------------------------------------------------------------------------


def test_decision_31_nothing_at_all_comes_on_a_dropped_connection(faulty: RunningSandbox) -> None:
    """Not a byte, not a status 500 of the application server: it is closed (decision 31)."""
    for order in ("drop", "drop after"):
        assert raw_reply(faulty, consult(faulty.ssin("nr_active")), order) == b""


def test_decision_31_half_a_reply_states_its_whole_length(faulty: RunningSandbox) -> None:
    """Headers, status 200, and half of the bytes that they promise; then the end (decision 31)."""
    head, _, body = raw_reply(faulty, consult(faulty.ssin("nr_active")), "half-reply").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    (length,) = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    assert len(body) == length // 2
    assert body.startswith(b"<?xml")


def test_decision_31_a_request_orders_its_own_fault(faulty: RunningSandbox) -> None:
    """By a header, at the façade of a sandbox; a misspelt order is refused, none is none (decision 31)."""

    def send(order: str | None) -> httpx.Response:
        headers = {"content-type": "text/xml"} | ({} if order is None else {FAULT_HEADER: order})
        body = signed(faulty, insert(faulty.ssin("bis_active"), ticket=str(uuid4())))
        return httpx.post(faulty.url, content=body, headers=headers, trust_env=False, verify=context_of(faulty))

    assert b"CBI00901" in send("code CBI00901").content
    assert WRONG_TICKET.encode() in send("wrong-ticket").content
    assert b"MSG00000" in send(None).content
    assert send("explode").status_code == 400


def test_decision_31_without_the_table_an_order_is_a_header_like_any_other(sandbox: RunningSandbox) -> None:
    """A service whose settings do not say so has no faults and no control API (decision 31)."""
    body = signed(sandbox, consult(sandbox.ssin("nr_active")))
    headers = {"content-type": "text/xml", FAULT_HEADER: "code CBI00901"}
    reply = httpx.post(sandbox.plain_url, content=body, headers=headers, trust_env=False)
    assert reply.status_code == 200
    assert b"CBI00901" not in reply.content
    assert httpx.get(f"{sandbox.operations_url}/faults", trust_env=False).status_code == 404
    assert httpx.put(f"{sandbox.operations_url}/faults/one", json={"fault": "drop"}, trust_env=False).status_code == 404
    assert read_settings(sandbox.directory / "settings.toml").faults is None


# -- by rules ----------------------------------------------------------------------------------------------------------


def test_decision_31_rules_are_set_listed_and_cleared_while_it_runs(
    faulty: RunningSandbox, client: InscriptionClient
) -> None:
    """30 % of consults are refused, by all workers together, exactly those that the seed draws (decision 31)."""
    url = faulty.operations_url
    set_rule(url, "busy", fault="code", code="SOA-02002", operations=["consultInscriptions"], share=0.3)

    def refused() -> list[bool]:
        found = []
        for _ in range(40):
            try:
                client.consult_inscriptions(faulty.ssin("nr_active"))
                found.append("")
            except FaultReceived as fault:
                found.append(fault.code)
        assert set(found) == {"", "SOA-02002"}
        return [bool(code) for code in found]

    first = refused()
    assert counts(url, "busy") == (40, sum(first))
    assert 0 < sum(first) < 40
    client.insert_inscription(faulty.ssin("nr_active"), inscription_context=CONTEXT, period=NEW_YEAR)
    assert counts(url, "busy") == (40, sum(first))

    set_rule(url, "busy", fault="code", code="SOA-02002", operations=["consultInscriptions"], share=0.3)
    assert refused() == first

    httpx.delete(f"{url}/faults/busy", trust_env=False).raise_for_status()
    client.consult_inscriptions(faulty.ssin("nr_active"))
    assert httpx.delete(f"{url}/faults/busy", trust_env=False).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "said", "status"),
    [
        ("PUT", "/faults/one", {"fault": "delay"}, 400),
        ("PUT", "/faults/one", {"fault": "drop", "when": "always"}, 400),
        ("PUT", "/faults/..%2Frules", {"fault": "drop"}, 400),
        ("PUT", "/faults/drop", {"fault": "drop"}, 400),
        ("PUT", "/faults/one", {"fault": "x" * 70_000}, 400),
        ("PUT", "/faults/one", [1], 400),
        ("PUT", "/faults", {"fault": "drop"}, 405),
        ("POST", "/faults/one", {"fault": "drop"}, 405),
        ("GET", "/faults/one", None, 405),
        ("DELETE", "/faults//", None, 404),
    ],
)
def test_decision_31_what_is_no_rule_is_refused(
    faulty: RunningSandbox, method: str, path: str, said: object, status: int
) -> None:
    """Rules that contradict themselves, names that are paths, rules that stand in the settings (decision 31)."""
    before = httpx.get(f"{faulty.operations_url}/faults", trust_env=False).json()
    answer = httpx.request(method, f"{faulty.operations_url}{path}", json=said, trust_env=False)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
    assert httpx.get(f"{faulty.operations_url}/faults", trust_env=False).json() == before
    beside = httpx.request(method, f"{faulty.operations_url}/faults-of-all", trust_env=False)
    assert (beside.status_code, beside.headers["content-type"][:10]) == (404, "text/plain")


def test_decision_31_a_national_register_that_goes_wrong_is_answered_honestly(
    faulty: RunningSandbox, client: InscriptionClient
) -> None:
    """Dropped, halved, late or wrong, the register's answer never becomes "does not exist" (decision 31, rule 54)."""
    url = faulty.manifest["national_register"]["operations_url"]
    for said in (
        {"fault": "drop"},
        {"fault": "half-reply"},
        {"fault": "wrong-ticket"},
        {"fault": "delay", "seconds": [5.0, 5.0]},
        {"fault": "code", "code": "SOA-00001"},
    ):
        rule = set_rule(url, "register", door="person", **said)
        assert (rule["matched"], rule["struck"]) == (0, 0)
        stranger = _stranger(faulty)
        assert client.consult_inscriptions(stranger).result.status.code is OutcomeCode.SOURCE_UNREACHABLE, said
        assert counts(url, "register")[1] >= 1
        httpx.delete(f"{url}/faults", trust_env=False).raise_for_status()
        # This closes the row of failures, too: after five of them the register would not be asked any more.
        assert client.consult_inscriptions(stranger).result.status.code is OutcomeCode.NO_DATA


_asked: set[int] = set()


def _stranger(faulty: RunningSandbox) -> str:
    """A number of the National Register that the façade has not asked for yet."""
    taken = {int(one["ssin"]) for one in faulty.manifest["fault_scenarios"].values()}
    taken |= {int(one["ssin"]) for one in faulty.manifest["scenarios"].values()} | _asked
    with psycopg.connect(faulty.manifest["national_register"]["database"]) as connection:
        rows = connection.execute("SELECT ssin FROM person WHERE status = 'active' ORDER BY ssin").fetchall()
    number = next(int(ssin) for (ssin,) in rows if ssin not in taken)
    _asked.add(number)
    return f"{number:011d}"


# -- the command line --------------------------------------------------------------------------------------------------


def test_decision_31_the_command_sets_lists_and_clears(faulty: RunningSandbox, command: Command) -> None:
    """`faults set | list | clear`, by the sandbox's directory or by an address, the register's too (decision 31)."""
    here = ("--directory", faulty.directory)
    done = command("faults", "set", "slow", "delay", "--seconds", "0.2", "2", "--share", "0.3",
                   "--operation", "consultInscriptions", *here)  # fmt: skip
    assert done.exit_code == 0, done.err
    assert "30% of them" in done.out
    assert "slow" in command("faults", "list", "--url", faulty.operations_url).out
    assert "slow" not in command("faults", "list", "--at", "national-register", *here).out
    assert "slow" not in command("faults", "clear", "slow", *here).out
    assert command("faults", "clear", "slow", *here).sentence == "no rule of that name was set"
    assert "has seconds" in command("faults", "set", "slow", "delay", *here).sentence
    assert "drop-after" in command("faults", "list", *here).out


def test_decision_31_the_command_says_where_nothing_can_go_wrong(
    sandbox: RunningSandbox, command: Command, tmp_path: Path
) -> None:
    """No [faults], no such listener, no sandbox: one sentence each (decision 31)."""
    assert "no [faults]" in command("faults", "list", "--directory", sandbox.directory).sentence
    nobody = command("faults", "list", "--url", f"http://127.0.0.1:{free_port()}")
    assert (nobody.exit_code, "does not answer" in nobody.sentence) == (4, True)
    assert "--url" in command("faults", "list", "--directory", tmp_path).sentence
