"""Work that is done again and again beside the traffic, and that no defect of ours ends for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

NICENESS: Final = 10
"""What gives way on its machine to whoever answers a caller: workers on batches, and what looks after their folder."""


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
