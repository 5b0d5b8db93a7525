"""Signals to a service that is asked to stop, each at the moment at which it would do most harm (cli/servers.py)."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from cbss_inscription.app import serving as serving_module
from cbss_inscription.app.settings import Service
from cbss_inscription.cli import servers

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Listeners:
    """Listeners that say when they stop, and at which of these moments a signal comes."""

    warnings = ()
    drain_seconds = 1.0

    def __init__(self, *moments: str) -> None:
        self.moments = moments
        self.told: list[str] = []

    def reach(self, moment: str) -> None:
        """Nothing; a signal came if it was to come now."""
        self.told.append(moment)
        if moment in self.moments:
            signal.raise_signal(SIGNALS[len(self.told) % len(SIGNALS)])

    @property
    def url(self) -> str:
        """Where they answer, which is said first of all."""
        self.reach("address")
        return "https://localhost/x"

    def ended(self) -> bool:
        """Whether a listener ended; it is looked at again and again."""
        self.reach("look")
        return False

    def restart_silent(self) -> list[str]:
        """Which gave no answer: none."""
        return []

    def drain(self) -> None:
        """Nothing; what was in hand is answered."""
        self.reach("drain begins")
        self.told.append("drained")
        self.reach("drain ends")

    @contextlib.contextmanager
    def serving(self, settings: Path, *, service: Service) -> Iterator[Listeners]:
        """In place of the real thing: its end has two steps, the second of which must not be left out."""
        del settings, service
        self.reach("start")
        try:
            yield self
        finally:
            self.reach("stop begins")
            self.reach("stop goes on")
            self.told.append("stopped")


@pytest.fixture(autouse=True)
def _signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    monkeypatch.setattr(servers, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr("cbss_inscription.app.memory_dumps.forbid_memory_dumps", lambda: None)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("moments", "is_drained"),
    [
        (("address", "stop begins", "stop goes on"), False),
        (("look",), True),
        (("look", "drain begins"), False),
        (("look", "drain ends"), True),
        (("look", "stop begins"), True),
        (("look", "drain begins", "stop begins", "stop goes on"), False),
        (("look", "drain ends", "stop begins", "stop goes on"), True),
    ],
    ids=lambda said: " and ".join(said) if isinstance(said, tuple) else "",
)
def test_a_stop_is_never_cut_short(
    monkeypatch: pytest.MonkeyPatch, moments: tuple[str, ...], *, is_drained: bool
) -> None:
    """The first signal drains, a second ends the drain, and none interrupts the end, whenever it comes (issue 6)."""
    listeners = Listeners(*moments)
    monkeypatch.setattr(serving_module, "serving", listeners.serving)
    with pytest.raises(typer.Exit) as caught:
        servers._serve(Path("settings.toml"), Service.FACADE)
    assert caught.value.exit_code == 0
    assert listeners.told[-1] == "stopped"
    assert ("drained" in listeners.told) == is_drained
