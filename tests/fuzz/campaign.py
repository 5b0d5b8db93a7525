"""A campaign: inputs are changed and tried until the time is over; what breaks a promise is made small and kept.

SEC-85. Guidance costs nothing: an input whose outcome nobody saw yet (another reason of refusal, another number of
facts) joins the inputs that are changed. The same seed gives the same choices; keys are made anew in each run.
"""

from __future__ import annotations

import hashlib
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.fuzz.mutations import INPUT_BYTES_MAX
from tests.fuzz.targets import Target

CPU_SECONDS_MAX: Final = 1.0
"""For one input, in seconds of processor time (SEC-85)."""
MEMORY_KIBIBYTES_MAX: Final = 131_072
"""How much one input may raise the peak of the process, in KiB."""
POOL_MAX: Final = 300
"""Inputs of one target that are changed further; the oldest new ones go first."""
MINIMIZE_TRIALS_MAX: Final = 400
"""Attempts to make a finding smaller."""
CORPUS: Final = Path(__file__).with_name("corpus")
"""A folder a target; each file an input that once broke a promise, or went where few go."""


class TooSlow(Exception):
    """One input took longer than `CPU_SECONDS_MAX`."""


class TooLarge(Exception):
    """One input raised the peak of memory by more than `MEMORY_KIBIBYTES_MAX`."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An input that broke a promise."""

    target: str
    data: bytes = field(repr=False)
    kind: str
    """The exception, and where it was raised: findings of one kind are kept once."""
    words: str = field(repr=False)


@dataclass(kw_only=True)
class Campaign:
    """What a campaign found so far."""

    executions: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, set[str]] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)


def replay(target: Target, data: bytes) -> str:
    """The word for what became of the input. Raises what breaks a promise, slowness and greed included."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with _alarm(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography's words on names that are too long
        word = target.run(data)
    seconds = time.process_time() - began
    if seconds > CPU_SECONDS_MAX:  # native code does not hear the alarm until it is done
        raise TooSlow(f"{seconds:.1f} s")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if grown > MEMORY_KIBIBYTES_MAX:
        raise TooLarge(f"{grown} KiB")
    return word


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(_number: int, _frame: object) -> None:
        raise TooSlow(f"more than {CPU_SECONDS_MAX} s")

    former = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, 2 * CPU_SECONDS_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, former)


def corpus_of(target: Target) -> list[bytes]:
    """The inputs of the corpus, in the order of their names."""
    return [path.read_bytes() for path in sorted((CORPUS / target.name).glob("*"))]


def inputs(target: Target, random: Random, pool: Sequence[bytes]) -> bytes:
    """An input of the pool, changed once or a few times."""
    data = random.choice(pool)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(target.mutations)(data, random)[:INPUT_BYTES_MAX]
    return data


def run(
    targets: Sequence[Target], *, seed: int, seconds: float | None = None, executions: int | None = None
) -> Campaign:
    """What is found in `seconds`, or in so many `executions` of each target."""
    campaign = Campaign()
    pools = {target.name: [*target.seeds, *corpus_of(target)] for target in targets}
    for target in targets:
        campaign.executions[target.name] = 0
        campaign.outcomes[target.name] = set()
        for data in pools[target.name]:
            _try(target, data, campaign)
    randoms = {target.name: Random(f"{seed} {target.name}") for target in targets}
    until = None if seconds is None else time.monotonic() + seconds
    done = 0
    while (until is None or time.monotonic() < until) and (executions is None or done < executions):
        done += 1
        for target in targets:
            pool = pools[target.name]
            data = inputs(target, randoms[target.name], pool)
            if _try(target, data, campaign):
                pool.append(data)
                if len(pool) > POOL_MAX:
                    del pool[len(target.seeds)]
    return campaign


def _try(target: Target, data: bytes, campaign: Campaign) -> bool:
    """Whether the outcome is a new one."""
    campaign.executions[target.name] += 1
    try:
        word = replay(target, data)
    except Exception as error:
        kind = _kind(target, error)
        if kind not in campaign.findings:
            small = minimized(target, data, kind)
            words = "".join(traceback.format_exception(error))
            campaign.findings[kind] = Finding(target=target.name, data=small, kind=kind, words=words)
        return False
    if word in campaign.outcomes[target.name]:
        return False
    campaign.outcomes[target.name].add(word)
    return True


def _kind(target: Target, error: Exception) -> str:
    if isinstance(error, TooSlow | TooLarge):
        return f"{target.name} {type(error).__name__}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{target.name} {type(error).__name__} {Path(last.filename).name}:{last.lineno}"


def minimized(target: Target, data: bytes, kind: str) -> bytes:
    """A smaller input with a finding of the same kind: pieces are cut out, large ones first."""
    length, trials = max(1, len(data) // 2), 0
    while length and trials < MINIMIZE_TRIALS_MAX:
        position, shrunk = 0, False
        while position < len(data) and trials < MINIMIZE_TRIALS_MAX:
            trials += 1
            smaller = data[:position] + data[position + length :]
            try:
                replay(target, smaller)
            except Exception as error:
                if _kind(target, error) == kind:
                    data, shrunk = smaller, True
                    continue
            position += length
        if not shrunk or length > len(data):
            length //= 2
    return data


def keep(finding: Finding, corpus: Path = CORPUS) -> Path:
    """The file of the corpus that now holds the input."""
    path = corpus / finding.target / hashlib.sha256(finding.data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(finding.data)
    return path
