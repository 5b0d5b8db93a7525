"""What happens to the services of a run, drawn from its seed before it begins."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from tests.chaos.services import World

QUIET_SECONDS = (0.3, 1.5)
"""Between two disturbances."""
LASTING_SECONDS = (0.2, 4.0)
"""How long one lasts."""
RULES = (
    {"fault": "delay", "seconds": [0.2, 3.0], "share": 0.5},
    {"fault": "delay", "seconds": [0.2, 9.0], "share": 0.3, "moment": "after"},
    {"fault": "drop", "share": 0.3},
    {"fault": "drop", "share": 0.5, "moment": "after"},
    {"fault": "half-reply", "share": 0.5},
    {"fault": "wrong-ticket", "share": 0.5},
    {"fault": "code", "code": "SOA-02002", "share": 0.5},
)


@dataclass(frozen=True, kw_only=True)
class Blow:
    """One disturbance: of whom, what, how long, and the quiet before it."""

    target: str
    what: str
    quiet_seconds: float
    lasting_seconds: float
    rule: int = 0

    def __str__(self) -> str:
        what = f"{RULES[self.rule]['fault']}" if self.what == "rule" else self.what
        return f"{what} {self.target}"


def blows_of(seed: int, *, targets: list[str], cables: list[str]) -> Iterator[Blow]:
    """Disturbances without end, the same for the same seed."""
    dice = random.Random(seed)
    choices = [(target, what) for target in targets for what in ("kill", "pause")]
    choices += [(target, "rule") for target in targets if target != "database" for _ in range(2)]
    choices += [(cable, what) for cable in cables for what in ("cut", "delay", "silence")]
    choices.append(("database", "cut"))
    while True:
        # Each of them in turn, in an order of its own: a short run meets as many as it can.
        dice.shuffle(choices)
        for target, what in choices:
            yield Blow(
                target=target,
                what=what,
                quiet_seconds=dice.uniform(*QUIET_SECONDS),
                lasting_seconds=dice.uniform(*LASTING_SECONDS),
                rule=dice.randrange(len(RULES)),
            )


def strike(blow: Blow, world: World) -> None:
    """Nothing; the disturbance came, lasted, and is over; what was killed was started again."""
    with ExitStack() as after:
        match blow.what:
            case "kill":
                target = world.part(blow.target)
                target.kill()
                if blow.target != "database":
                    # Until it answers again nothing else would meet any load.
                    after.callback(world.services[blow.target].await_ready)
                after.callback(target.start)
            case "pause":
                target = world.part(blow.target)
                target.pause()
                after.callback(target.resume)
            case "rule":
                service = world.services[blow.target]
                service.rule("storm", **RULES[blow.rule])
                after.callback(service.clear_rules)
            case "cut" if blow.target == "database":
                world.database.cut()
            case "cut":
                world.cables[blow.target].cut()
                after.callback(world.cables[blow.target].mend)
            case "silence":
                world.cables[blow.target].fall_silent()
                after.callback(world.cables[blow.target].mend)
            case _:
                world.cables[blow.target].delay(min(blow.lasting_seconds, 1.0))
                after.callback(world.cables[blow.target].mend)
        time.sleep(blow.lasting_seconds)


def storm(world: World, *, seed: int, seconds: float, told: Callable[[str], None]) -> int:
    """How many disturbances came, one after the other, in so many seconds."""
    ends = time.monotonic() + seconds
    targets = [*world.services, "database"]
    for number, blow in enumerate(blows_of(seed, targets=targets, cables=list(world.cables))):
        if time.monotonic() + blow.quiet_seconds > ends:
            return number
        time.sleep(blow.quiet_seconds)
        told(str(blow))
        strike(blow, world)
    raise AssertionError("the blows have no end")
