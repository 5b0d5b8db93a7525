"""The corpus and a little of each campaign in every test run (SEC-85); `make fuzz` runs more."""

from __future__ import annotations

import resource
import struct
import time
from collections.abc import Iterator

import pytest

from tests.fuzz import campaign
from tests.fuzz.campaign import CORPUS, Finding, TooLarge, TooSlow, keep, minimized, replay, run
from tests.fuzz.mutations import change_bytes, read_der, write_der
from tests.fuzz.targets import Room, Target

EXECUTIONS = 40
TARGETS = (
    *("xml", "message", "explanation", "c14n", "certificate", "authorities", "revocation-list", "door", "contract"),
    *("reply", "settings", "access-rules", "batch-xml", "batch-csv"),
)


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """A throw-away PKI with everything that is fuzzed around it."""
    with Room() as room:
        yield room


def test_sec_85_every_target_has_a_test(room: Room) -> None:
    """What is fuzzed is what these tests name, and every folder of the corpus is a target's (SEC-85)."""
    assert set(TARGETS) == room.targets.keys()
    assert {path.name for path in CORPUS.iterdir()} <= room.targets.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_sec_85_nothing_breaks_a_promise(room: Room, name: str) -> None:
    """The corpus and some new inputs raise nothing undeclared, and have several outcomes (SEC-85)."""
    found = run([room.targets[name]], seed=85, executions=EXECUTIONS)
    assert not found.findings, "".join(finding.words for finding in found.findings.values())
    assert found.executions[name] > EXECUTIONS
    assert len(found.outcomes[name]) > 1


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_sec_85_campaign(room: Room, name: str) -> None:
    """Twenty thousand inputs a target raise nothing undeclared, in time and memory (SEC-85)."""
    found = run([room.targets[name]], seed=8585, executions=20_000)
    assert not found.findings, "".join(finding.words for finding in found.findings.values())


@pytest.mark.parametrize("name", ["xml", "door", "contract", "c14n", "message", "certificate", "settings", "batch-xml"])
def test_sec_85_genuine_inputs_are_accepted(room: Room, name: str) -> None:
    """What a campaign starts from is accepted, so that what it changes begins at the last station (SEC-85)."""
    words = [room.targets[name].run(seed) for seed in room.targets[name].seeds]
    assert any("accepted" in word or "answered" in word or "request" in word or "True" in word for word in words)


def _fails(data: bytes) -> str:
    if b"!" in data:
        raise LookupError
    if b"slow" in data:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    if b"greedy" in data:
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 + 64_000_000
        assert len(bytearray(b"x") * size) == size
    return "fine"


BROKEN = Target(name="broken", seeds=(b"a long text! with a mark in it",), mutations=(change_bytes,), run=_fails)


@pytest.mark.parametrize(("data", "error"), [(b"!", LookupError), (b"slow", TooSlow), (b"greedy", TooLarge)])
def test_sec_85_what_is_a_finding(data: bytes, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception, too much processor time and too much memory are findings (SEC-85)."""
    if error is TooSlow:
        monkeypatch.setattr(campaign, "CPU_SECONDS_MAX", 0.1)
    monkeypatch.setattr(campaign, "MEMORY_KIBIBYTES_MAX", 16_384)
    with pytest.raises(error):
        replay(BROKEN, data)


def test_sec_85_a_finding_is_made_small_and_kept(tmp_path) -> None:
    """A finding is cut down to what it needs and written to the corpus under its digest, once a kind (SEC-85)."""
    found = run([BROKEN], seed=1, executions=20)
    (finding,) = found.findings.values()
    assert finding.data == b"!"
    assert "LookupError" in finding.kind
    path = keep(finding, tmp_path)
    assert (path.parent.name, path.read_bytes()) == ("broken", b"!")
    assert minimized(BROKEN, b"x" * 99 + b"!" + b"y" * 99, finding.kind) == b"!"
    assert keep(Finding(target="broken", data=b"!", kind="", words=""), tmp_path) == path


def test_sec_85_the_same_seed_makes_the_same_choices() -> None:
    """A campaign of the same seed tries the same inputs (SEC-85)."""
    tried: list[list[bytes]] = []
    for _ in range(2):
        seen: list[bytes] = []
        target = Target(
            name="kept",
            seeds=(b"some text",),
            mutations=(change_bytes,),
            run=lambda data, seen=seen: str(seen.append(data)),
        )
        run([target], seed=5, executions=50)
        tried.append(seen)
    assert tried[0] == tried[1]
    assert len(set(tried[0])) > 40


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 70_000])
def test_der_is_written_as_it_was_read(length: int) -> None:
    """A structure that was read is written with the same bytes, whatever the form of its lengths."""
    head = bytes([length]) if length < 128 else b"\x82" + struct.pack(">H", length) if length < 65_536 else b""
    if 128 <= length < 256:
        head = b"\x81" + bytes([length])
    if length >= 65_536:
        head = b"\x83" + length.to_bytes(3, "big")
    data = b"\x0c" + head + b"x" * length
    assert write_der(read_der(data)) == data
    nested = write_der([(0x30, read_der(data)), (0x04, read_der(data)), (0x05, b"")])
    assert write_der(read_der(nested)) == nested
