"""Agreed volumes as a caller meets them: CBI00202 through the door, in its place, for nobody else (SEC-57)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from cbss_inscription.app import volumes
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import (
    AccessRules,
    AgreedVolume,
    VolumeMode,
    VolumeWindow,
    write_access_rules,
)
from cbss_inscription.governance.volumes import VolumeKey
from tests.acceptance.conftest import (
    FUND,
    REFUSING_PCSA,
    BuildFacade,
    InProcessFacade,
    consult,
    delete,
    health,
    insert,
    rules_of_tests,
    update,
)

MONTH = VolumeWindow.MONTH
"""Of the windows the one that least probably ends while a test runs."""


class _Rules:
    """An `AccessRulesSource` with volumes agreed for the first permission."""

    def __init__(self, *volumes: AgreedVolume) -> None:
        rules = rules_of_tests()
        first = msgspec.structs.replace(rules.permissions[0], volumes=volumes)
        self._rules = msgspec.structs.replace(rules, permissions=(first, *rules.permissions[1:]))

    def current(self) -> AccessRules:
        return self._rules


def agree(facade: InProcessFacade, limit: int, **more: Any) -> None:
    """Nothing; so much is agreed with the demo application's customer from now on."""
    facade.refit(access_rules=_Rules(AgreedVolume(window=MONTH, limit=limit, **more)))


async def test_sec_57_a_consultation_beyond_the_volume_is_no_result(facade: InProcessFacade) -> None:
    """The call beyond is NO_RESULT CBI00202 with limit and window, in log and record too (E23, SEC-57, TV-116)."""
    agree(facade, 2)
    replies = [await facade.send(consult(facade.ssin("nr_active"))) for _ in range(3)]
    assert [reply.outcome.code for reply in replies] == ["MSG00100", "MSG00100", "CBI00202"]
    refused = replies[-1].outcome
    assert (refused.value, refused.information) == ("NO_RESULT", {"limit": "2", "window": "month"})
    assert refused.ssin is None
    assert [line["code"] for line in facade.log_lines() if line["event"] == "answered"][-1] == "CBI00202"
    with psycopg.connect(facade.database) as connection:
        rows = connection.execute("SELECT operation, sum(calls), sum(refused) FROM volume_count GROUP BY 1").fetchall()
    assert rows == [("consultInscriptions", 2, 1)]


@pytest.mark.parametrize("verb", [insert, update, delete])
async def test_sec_57_a_declaration_beyond_the_volume_is_nok_and_writes_nothing(
    facade: InProcessFacade, verb: Any
) -> None:
    """Whichever the declaration: NOK CBI00202, and nothing is written (E23, SEC-57, rule 37)."""
    agree(facade, 1)
    ssin = facade.ssin("nr_active")
    assert (await facade.send(insert(ssin))).outcome.code == "MSG00000"
    before = facade.written()
    refused = (await facade.send(verb(ssin, begin="2026-05-01") if verb is insert else verb(ssin))).outcome
    assert (refused.value, refused.code) == ("NOK", "CBI00202")
    assert facade.written() == before


async def test_sec_57_the_volume_is_looked_at_after_the_legal_context_and_before_the_number(
    facade: InProcessFacade,
) -> None:
    """What is refused before uses no volume; a full one hides whether a number can be right (contract.md 4)."""
    agree(facade, 2)
    ssin, wrong = facade.ssin("nr_active"), facade.ssin("invalid_check")
    for _ in range(4):
        assert (await facade.send(consult(ssin, legal_context="PCSA:OTHER"))).outcome.code == "MSG00013"
        assert (await facade.send(consult(ssin, customer=FUND))).fault_code == "SOA-01002"
    codes = [(await facade.send(consult(wrong))).outcome.code for _ in range(3)]
    assert codes == ["MSG00011", "MSG00011", "CBI00202"]
    assert (await facade.send(consult(ssin, legal_context="PCSA:OTHER"))).outcome.code == "MSG00013"
    assert (await facade.send(consult(ssin, contexts=["PCSA:NO_SUCH"]))).outcome.code == "CBI00202"


async def test_sec_57_others_and_health_checks_are_unaffected(facade: InProcessFacade) -> None:
    """While one customer's volume is full, another customer of the same application is answered (SEC-57)."""
    agree(facade, 1)
    codes = [(await facade.send(consult(facade.ssin("nr_active")))).outcome.code for _ in range(2)]
    assert codes == ["MSG00100", "CBI00202"]
    other = await facade.send(consult(facade.ssin("nr_active"), customer=REFUSING_PCSA))
    assert other.outcome.code == "MSG00100"
    for _ in range(2):
        assert (await facade.send(health("PING"))).status == 200
    with psycopg.connect(facade.database) as connection:
        rows = connection.execute("SELECT customer, calls, refused FROM volume_count ORDER BY 1").fetchall()
    assert rows == [("17/1", 1, 1), ("17/2", 1, 0)]


async def test_sec_57_a_volume_of_declarations_leaves_consultations_alone(facade: InProcessFacade) -> None:
    """A volume of insertInscription refuses insertions only (SEC-57)."""
    agree(facade, 1, operation=Operation.INSERT_INSCRIPTION)
    ssin = facade.ssin("nr_active")
    codes = [(await facade.send(insert(ssin))).outcome.code for _ in range(2)]
    assert codes == ["MSG00000", "CBI00202"]
    assert (await facade.send(consult(ssin))).outcome.value == "DATA_FOUND"


async def test_sec_57_a_soft_volume_answers_and_tells_the_operator(facade: InProcessFacade) -> None:
    """Beyond a soft volume calls are answered; the log has a line at 80 and one at 100 per cent, no number (SEC-57)."""
    agree(facade, 5, mode=VolumeMode.SOFT)
    ssin = facade.ssin("nr_active")
    codes = [(await facade.send(consult(ssin))).outcome.code for _ in range(8)]
    assert codes == ["MSG00100"] * 8
    lines = [line for line in facade.log_lines() if line["event"] == "volume reached"]
    assert [(line["level"], line["level_percent"], line["calls"]) for line in lines] == [
        ("warning", 80, 4),
        ("error", 100, 5),
    ]
    assert {(line["customer"], line["window"], line["limit"], line["mode"]) for line in lines} == {
        ("17/1", "month", 5, "soft")
    }
    assert ssin not in str(lines)


async def test_sec_57_a_restart_and_another_worker_know_what_was_admitted(
    build_facade: BuildFacade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker counts what others admitted before its first request, and while it runs (SEC-57)."""
    monkeypatch.setattr(volumes, "LOOK_SECONDS", 0.02)
    file, agreed = tmp_path / "with-volumes.yaml", AgreedVolume(window=MONTH, limit=3)
    rules = _Rules(agreed).current()
    file.write_bytes(write_access_rules(rules))
    key = VolumeKey.of(rules.permissions[0])
    async with build_facade(access_rules=str(file)) as running:
        meter = running.door.operations.volumes
        async with build_facade(access_rules=str(file)) as first:
            for _ in range(2):
                await first.send(consult(first.ssin("nr_active")))
        while meter.used(key, agreed, now=datetime.now(UTC)) < 2:
            await asyncio.sleep(0.02)
        codes = [(await running.send(consult(running.ssin("nr_active")))).outcome.code for _ in range(2)]
        assert codes == ["MSG00100", "CBI00202"]
    async with build_facade(access_rules=str(file)) as restarted:
        assert (await restarted.send(consult(restarted.ssin("nr_active")))).outcome.code == "CBI00202"
