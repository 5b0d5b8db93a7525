"""Where the files of a chunk's persons come from, all together."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Final, Protocol

from cbss_inscription.domain.errors import RepertoryUnavailable
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.registers.port import FilesByNumber

ASKED_AT_ONCE: Final = 16
"""Numbers of a chunk that a register elsewhere is asked about at the same time, where there is room for so many."""

Chain = tuple[Person, ...] | RepertoryUnavailable
"""The files from a number to where its replacements end, or that nobody could say."""


class FilesTogether(Protocol):
    """A register that is asked about many numbers."""

    async def chains_of(self, ssins: Collection[Ssin], *, hops_max: int) -> Mapping[Ssin, Chain]:
        """For each number what `FilesByNumber.chain_of` gives, or raises."""
        ...


class FilesOneByOne:
    """Asks a register that answers about one number at a time, several at once; and for all chunks together no more
    than `calls_at_once_max`, beyond which it would refuse: a batch has the time to wait for room.

    When a whole group gets no answer the rest is not asked: a source that is down costs one group's patience, not that
    of each line.
    """

    def __init__(self, register: FilesByNumber, *, calls_at_once_max: int) -> None:
        self._register = register
        self._at_once = min(ASKED_AT_ONCE, calls_at_once_max)
        self._room = asyncio.Semaphore(calls_at_once_max)

    async def chains_of(self, ssins: Collection[Ssin], *, hops_max: int) -> Mapping[Ssin, Chain]:
        """See `FilesTogether.chains_of`."""
        chains: dict[Ssin, Chain] = {}
        away: RepertoryUnavailable | None = None
        for group in _groups(ssins, self._at_once):
            if away is not None:
                chains |= dict.fromkeys(group, away)
                continue
            answers = await asyncio.gather(*(self._chain_of(ssin, hops_max) for ssin in group))
            chains |= zip(group, answers, strict=True)
            failed = [answer for answer in answers if isinstance(answer, RepertoryUnavailable)]
            if len(failed) == self._at_once:
                away = failed[0]
        return chains

    async def _chain_of(self, ssin: Ssin, hops_max: int) -> Chain:
        async with self._room:
            try:
                return await self._register.chain_of(ssin, hops_max=hops_max)
            except RepertoryUnavailable as error:
                return error


def _groups(ssins: Collection[Ssin], size: int) -> Iterator[list[Ssin]]:
    rest = iter(ssins)
    while group := list(islice(rest, size)):
        yield group
