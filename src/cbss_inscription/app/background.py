"""Work that is done again and again beside the traffic, and that no defect of ours ends for ever."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable
from typing import Final

NICENESS: Final = 10
"""What gives way on its machine to whoever answers a caller: workers on batches, and what looks after their folder."""
COLLECTED_AFTER: Final = (50_000, 20, 50)
"""New objects after which the garbage collector looks for circles, and how often for older ones, where lines are many:
for `gc.set_threshold`."""


def collect_seldom() -> None:
    """Nothing; the garbage collector comes seldom to this process, and what there is now is not looked through again.

    For those who handle lines of batches: these make many objects and no circles. Looking for some after every 700, as
    is Python's default, was a seventh of a worker's time, and a sixteenth of what it took to write answers.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)


async def repeat(
    work: Callable[[], Awaitable[object]], *, seconds: Callable[[], float], failed: Callable[[str], None]
) -> None:
    """Never returns: `work` is done, then again `seconds()` after it ended.

    `failed` is told the kind of an exception, once until it works again or fails otherwise.
    """
    told: str | None = None
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # the last handler of what nobody waits for
            kind = type(error).__qualname__
            if kind != told:
                with contextlib.suppress(Exception):
                    failed(kind)
            told = kind
        else:
            told = None
        await asyncio.sleep(seconds())
