"""Every vector of the catalogue through the whole door, and through the offline tool."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from cbss_inscription import safe_xml
from cbss_inscription.domain.errors import MessageRejected, NotAuthenticated
from cbss_inscription.security.explain import Verdict as StepVerdict
from cbss_inscription.security.explain import certificate_step_of
from cbss_inscription.security.replay import MemoryReplayGuard, ReplayGuard
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.soap.explain import Told
from cbss_inscription.soap.remedies import REMEDIES
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.replay import StoredReplayGuard
from tests.pki.reader import DeclaredPki
from tests.security.gate_twice import GateTwice
from tests.vectors.catalogue import FAMILIES, NUMBERS
from tests.vectors.service import POLICY, Verdict, explained, judge
from tests.vectors.vector import FORGED_SSIN, SSIN, Bench, Outcome, Vector, vectors_of

CERTIFICATE = ("certificate-", "authority-", "revocation-")
REPLAYS = tuple(f"TV-{number}" for number in range(80, 85))


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(DeclaredPki())


@pytest.fixture(scope="module")
def trust(bench: Bench) -> Callable[[str], TrustStore]:
    return cache(bench.pki.store)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opaque_fault(bench: Bench, trust: Callable[[str], TrustStore]) -> bytes:
    """What a caller is told about a message that nobody signed: all that it may be told about any other."""
    (unsigned,) = (one for one in vectors_of("TV-105", bench) if one.id == "TV-105/not-signed-at-all")
    return (await judge(unsigned.variant, bench.pki, trust, MemoryReplayGuard)).fault


def _wrong(vector: Vector, verdict: Verdict, opaque_fault: bytes) -> list[str]:
    """What is not as it must be, a line each."""
    expected = vector.variant.expected
    found = []
    if verdict.told != expected:
        found.append(f"{vector.id}: {verdict.told} instead of {expected}")
    if expected.code == NotAuthenticated.code and verdict.fault != opaque_fault:
        found.append(f"{vector.id}: its fault tells it from others")
    if any(number.encode() in verdict.fault for number in (SSIN, FORGED_SSIN)):
        found.append(f"{vector.id}: its fault repeats the message")
    if verdict.asked != ((SSIN,) if expected.outcome is Outcome.ACCEPTED else ()):
        found.append(f"{vector.id}: what was carried out is not what was signed")
    return found


def _wrongly_explained(told: Told, verdict: Verdict) -> Iterator[str]:
    """Where the offline tool says another thing than the service's log, or more than it may."""
    reason = verdict.told.reason
    if (told.code, told.reason) != (verdict.told.code, reason):
        yield f"explained as {told.reason}, logged as {reason}"
    refused = [step for step in told.steps if step.verdict is StepVerdict.REFUSED]
    if [step.reason for step in refused] != ([] if reason is None else [reason]):
        yield "not one step is refused, by that reason"
    place = told.steps.index(refused[0]) if refused else len(told.steps)
    if any(step.verdict in (StepVerdict.REFUSED, StepVerdict.NOT_REACHED) for step in told.steps[:place]):
        yield "a step before the refused one is not passed"
    if any(step.verdict is not StepVerdict.NOT_REACHED for step in told.steps[place + 1 :]):
        yield "a step after the refused one is reached"
    if reason is not None and reason not in REMEDIES:
        yield "the sender is not told what to change"
    if reason is not None and reason.startswith(CERTIFICATE) and refused[0].name != certificate_step_of(reason):
        yield f"{reason} is refused in the step {refused[0].name}"
    if any(number in item.value for step in told.steps for item in step.facts for number in (SSIN, FORGED_SSIN)):
        yield "a fact repeats the Body"


@pytest.fixture(scope="module")
def gate_twice() -> GateTwice:
    return GateTwice()


def _told_apart(vector: Vector, gate_twice: GateTwice) -> bool:
    """Whether it matters to the gate that it knows the headers of the vectors before, and this one's own."""
    charset = (vector.variant.content_type or "").partition("charset=")[2].strip('" ') or None
    try:
        text = safe_xml.decode(vector.variant.message, charset=charset)
    except MessageRejected:
        return False
    return gate_twice.differs(text, POLICY)


@pytest.mark.parametrize("number", [number for number in NUMBERS if number not in REPLAYS])
async def test_vectors(
    number: str, bench: Bench, trust: Callable[[str], TrustStore], opaque_fault: bytes, gate_twice: GateTwice
) -> None:
    """Each vector has its verdict: for the caller, in the log, and by `explain` (SEC-39, SEC-61, SEC-62, SEC-88).

    What is accepted is carried out once, with the number that was signed. Of what is not authenticated the faults are
    the same bytes, their Id apart; nothing of a message is in any fault. What the gate knows of other messages changes
    nothing that it finds.
    """
    wrong: list[str] = []
    ids: set[str] = set()
    for vector in vectors_of(number, bench):
        assert vector.id not in ids
        assert re.fullmatch(r"TV-[0-9]{2,3}/[\w.-]+", vector.id)
        ids.add(vector.id)
        verdict = await judge(vector.variant, bench.pki, trust, MemoryReplayGuard)
        wrong += _wrong(vector, verdict, opaque_fault)
        if _told_apart(vector, gate_twice):
            wrong.append(f"{vector.id}: known headers make a difference")
        if vector.variant.expected.outcome in (Outcome.ACCEPTED, Outcome.REFUSED):
            told = explained(vector.variant, trust(vector.variant.trust), bench.now)
            wrong += [f"{vector.id}: {words}" for words in _wrongly_explained(told, verdict)]
    assert ids
    assert wrong == []


@pytest.mark.parametrize("number", REPLAYS)
async def test_replays(
    number: str, bench: Bench, trust: Callable[[str], TrustStore], opaque_fault: bytes, fresh_database: str
) -> None:
    """A message counts once, for all replicas and after a restart: they share a database (SEC-52)."""
    for vector in vectors_of(number, bench):
        with psycopg.connect(fresh_database) as connection:
            connection.execute("DELETE FROM replay_guard")
        async with _guards(fresh_database) as make_guard:
            verdict = await judge(vector.variant, bench.pki, trust, make_guard)
        assert _wrong(vector, verdict, opaque_fault) == []


@asynccontextmanager
async def _guards(conninfo: str) -> AsyncIterator[Callable[[], ReplayGuard]]:
    """Makes guards that share nothing but a database: each stands for a replica, or for one that was started anew."""
    async with AsyncExitStack() as stack:
        databases = [Database(conninfo, connections_max=1) for _ in range(2)]
        for database in databases:
            await database.open()
            stack.push_async_callback(database.close)
        guards = iter(map(StoredReplayGuard, databases))
        yield lambda: next(guards)


def test_the_catalogue_is_whole() -> None:
    """Every number has a family, no other number has, and each family says a sentence and names requirements."""
    assert {family.number for family in FAMILIES} == set(NUMBERS)
    for family in FAMILIES:
        assert family.proves
        assert all(re.fullmatch(r"SEC-[0-9]{2}", proven) for proven in family.proves)
        assert family.sentence.endswith(".")


def test_vectors_for_others(tmp_path: Path) -> None:
    """Written to a folder, each vector has its message, verdict and trust there, and no private key is beside them."""
    run = subprocess.run([sys.executable, "-m", "tests.vectors", str(tmp_path), "TV-05", "TV-69", "TV-84"], check=True)
    assert run.returncode == 0
    index = json.loads((tmp_path / "index.json").read_bytes())
    assert {entry["id"].partition("/")[0] for entry in index["vectors"]} == {"TV-05", "TV-69", "TV-84"}
    for entry in index["vectors"]:
        assert (tmp_path / entry["message"]).read_bytes().startswith(b"<?xml")
        assert all((tmp_path / name).stat().st_size for name in index["trust"][entry["trust"]])
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
