"""When another service is asked no more, and how it is tried again (client/breaker.py)."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.client.breaker import Circuit, CircuitBreaker


@dataclass
class Trial:
    """A breaker that opens after two failures, for ten seconds, and closes after two probes."""

    seconds: float = 0.0
    moves: list[Circuit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.breaker = CircuitBreaker(
            failures_to_open=2, open_seconds=10, probes=2, moved=self.moves.append, clock=lambda: self.seconds
        )

    def call(self, *, fails: bool) -> bool:
        """Whether a call was let through; then that came of it."""
        word = self.breaker.admit()
        if word is None:
            return False
        (self.breaker.failed if fails else self.breaker.succeeded)(word)
        return True


def test_sec_68_failures_in_a_row_open_the_circuit() -> None:
    """So many failures in a row open it, and no call is let through; a success in between begins anew (SEC-68)."""
    trial = Trial()
    for fails in (True, False, True):
        assert trial.call(fails=fails)
    assert trial.breaker.circuit is Circuit.CLOSED
    assert trial.call(fails=True)
    assert trial.moves == [Circuit.OPEN]
    trial.seconds = 9.9
    assert not trial.call(fails=False)


def test_sec_68_one_probe_at_a_time_tries_it_again() -> None:
    """After its time one call is let through, and a second only when that one came to an end (SEC-68)."""
    trial = Trial()
    trial.call(fails=True)
    trial.call(fails=True)
    trial.seconds = 10
    probe = trial.breaker.admit()
    assert probe is not None
    assert trial.breaker.circuit is Circuit.HALF_OPEN
    assert trial.breaker.admit() is None
    trial.breaker.said_nothing(probe)
    assert trial.breaker.admit() is not None


def test_sec_68_probes_that_succeed_close_it_and_one_that_fails_opens_it() -> None:
    """It closes after as many good probes as set, and opens for as long again after a bad one (SEC-68)."""
    trial = Trial()
    trial.call(fails=True)
    trial.call(fails=True)
    trial.seconds = 10
    assert trial.call(fails=False)
    assert trial.call(fails=True)
    assert trial.moves == [Circuit.OPEN, Circuit.HALF_OPEN, Circuit.OPEN]
    trial.seconds = 19.9
    assert not trial.call(fails=False)
    trial.seconds = 20
    assert trial.call(fails=False)
    assert trial.call(fails=False)
    assert trial.moves[3:] == [Circuit.HALF_OPEN, Circuit.CLOSED]
    assert trial.call(fails=True)
    assert trial.breaker.circuit is Circuit.CLOSED


def test_sec_68_what_was_sent_before_it_moved_counts_no_more() -> None:
    """Calls that end long after the circuit moved neither open, close nor free anything (SEC-68)."""
    trial = Trial()
    old = [trial.breaker.admit() for _ in range(4)]
    trial.breaker.failed(old[0] or 0)
    trial.breaker.failed(old[1] or 0)
    trial.seconds = 10
    assert trial.breaker.admit() is not None
    trial.breaker.failed(old[2] or 0)
    trial.breaker.succeeded(old[3] or 0)
    trial.breaker.said_nothing(old[3] or 0)
    assert trial.breaker.circuit is Circuit.HALF_OPEN
    assert trial.breaker.admit() is None


@given(st.lists(st.tuples(st.floats(0, 15), st.booleans()), max_size=60))
def test_sec_68_an_open_circuit_always_lets_a_call_through_in_time(steps: list[tuple[float, bool]]) -> None:
    """Whatever happened before, a call is let through once its open time has passed (SEC-68)."""
    trial = Trial()
    for seconds, fails in steps:
        trial.seconds += seconds
        trial.call(fails=fails)
    trial.seconds += 10
    assert trial.call(fails=False)
