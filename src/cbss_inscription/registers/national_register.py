"""The National Register as another service, asked over SOAP: what it says, or that it does not answer (rules 14, 54).

Whatever is no valid answer to what was asked is an outage and never an answer (E19): an empty chain is given only where
the register itself names the number and says that it has no file of it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from typing import Final
from uuid import uuid4

from cbss_inscription.client.asker import Asker, Contradiction, Unanswered
from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import FileStatus, Person, Register
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import in_milliseconds
from cbss_inscription.domain.person_search import (
    CANDIDATES_MAX,
    PhoneticCriteria,
    SearchPersonBySsin,
    SearchPersonPhonetically,
)
from cbss_inscription.domain.requests import Request
from cbss_inscription.domain.results import PersonsResult, Result, SanityCheck, StatusValue
from cbss_inscription.domain.ssin import Ssin

TIMEOUT_SECONDS: Final = 2.0
"""How long the register may take for an answer, by default: well below what our own caller waits for ours."""
ATTEMPTS: Final = 2
"""How often a question is sent at the most, by default [D]."""
CACHE_SECONDS: Final = 30.0
"""How long a file of an active number may be used again, by default [D]."""
CACHE_PERSONS_MAX: Final = 10_000
"""Numbers whose files are kept, by default."""
SOURCE: Final = "national-register"
"""The name of the register in health checks and logs."""
_ANSWERS: Final = {StatusValue.DATA_FOUND: OutcomeCode.SUCCESS, StatusValue.NO_DATA_FOUND: OutcomeCode.NO_DATA}


class FileCache:
    """The chains of active numbers for some seconds: the least used goes first when there are too many.

    Nothing else is kept. That a number is unknown, canceled or replaced by none, or that the register was away, must be
    true when it is said (rule 54).
    """

    def __init__(
        self,
        *,
        seconds: float = CACHE_SECONDS,
        persons_max: int = CACHE_PERSONS_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._persons_max = persons_max
        self._clock = clock
        self._kept: OrderedDict[Ssin, tuple[float, tuple[Person, ...]]] = OrderedDict()

    def get(self, ssin: Ssin) -> tuple[Person, ...] | None:
        """The chain of `ssin`, when it was put here not longer ago than allowed."""
        kept = self._kept.get(ssin)
        if kept is None:
            return None
        until, chain = kept
        if self._clock() >= until:
            del self._kept[ssin]
            return None
        self._kept.move_to_end(ssin)
        return chain

    def put(self, ssin: Ssin, chain: tuple[Person, ...], *, asked_at: float) -> None:
        """Nothing; a chain that ends with an active file is kept. Its time runs from when it was asked for."""
        if not chain or chain[-1].status is not FileStatus.ACTIVE or self._clock() >= asked_at + self._seconds:
            return
        self._kept[ssin] = (asked_at + self._seconds, chain)
        self._kept.move_to_end(ssin)
        while len(self._kept) > self._persons_max:
            self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)


class RemoteNationalRegister:
    """A `PersonRegister` in another process or another house, behind PersonService.

    A question may be asked again within the same time (`Asker.ask`): it changes nothing there. Whatever keeps it from
    an answer, our own want of room too, is CBI00901 for the caller.
    """

    def __init__(
        self,
        asker: Asker,
        *,
        customer_identification: CustomerIdentification,
        legal_context: LegalContext,
        cache: FileCache | None = None,
    ) -> None:
        self._asker = asker
        self._customer = customer_identification
        self._legal_context = legal_context
        self._cache = cache

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`; for a few seconds it may be what the register said before (`FileCache`)."""
        chain = self._cache.get(ssin) if self._cache is not None else None
        if chain is None:
            asked_at = self._asker.clock()
            result = await self._ask(
                lambda: SearchPersonBySsin(
                    information_customer=self._information(), legal_context=self._legal_context, ssins=(ssin.digits,)
                ),
                lambda result: reason_against(ssin, result),
            )
            chain = result.chains[0]
            if self._cache is not None:
                self._cache.put(ssin, chain, asked_at=asked_at)
        return chain[: hops_max + 2]

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        """See `PersonRegister.like`; never from a cache."""
        result = await self._ask(
            lambda: SearchPersonPhonetically(
                information_customer=self._information(), legal_context=self._legal_context, criteria=criteria
            ),
            _reason_against_candidates,
        )
        return tuple(person for chain in result.chains for person in chain)[:CANDIDATES_MAX]

    async def look(self) -> SanityCheck:
        """Whether the register takes our messages now: it authenticates a test message, and sends it back."""
        return await self._asker.look()

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        await self._asker.close()

    async def _ask(
        self, question: Callable[[], Request], reason_against: Callable[[PersonsResult], str | None]
    ) -> PersonsResult:
        """The answer to what `question` makes, a new ticket each time. Raises `RepertoryUnavailable`."""

        def check(result: Result) -> None:
            assert isinstance(result, PersonsResult)  # the answer is of the operation asked (client.dialect)
            reason = _reason_against_status(result) or reason_against(result)
            if reason is not None:
                raise Contradiction(reason)

        try:
            answered = await self._asker.ask(
                question, ends=self._asker.clock() + self._asker.timeout_seconds, check=check
            )
        except Unanswered as unanswered:
            raise self._asker.unavailable(unanswered.reason) from None
        result = answered.answer.result
        assert isinstance(result, PersonsResult)
        return result

    def _information(self) -> InformationCustomer:
        now = self._asker.now()
        return InformationCustomer(
            customer_identification=self._customer,
            ticket=str(uuid4()),
            timestamp_sent=in_milliseconds(now),
        )


def _reason_against_status(result: PersonsResult) -> str | None:
    status = result.status
    if _ANSWERS.get(status.value) is not status.code:
        return "refused"
    return None if any(result.chains) is (status.value is StatusValue.DATA_FOUND) else "contradiction"


def _reason_against_candidates(result: PersonsResult) -> str | None:
    persons = (person for chain in result.chains for person in chain)
    is_ours = all(person.register is Register.NR and person.status is FileStatus.ACTIVE for person in persons)
    return None if is_ours else "other-register"


def reason_against(ssin: Ssin, result: PersonsResult) -> str | None:
    """Why `result` is no answer about `ssin`, in a fixed word; None when it is one.

    It must be about that number and no other, with files of the National Register alone, the first being the number's
    and each further one that which replaces the former (rules 14 to 16).
    """
    if result.ssins != (ssin,) or len(result.chains) != 1:
        return "other-number"
    (chain,) = result.chains
    if any(person.register is not Register.NR for person in chain):
        return "other-register"
    if chain and chain[0].ssin != ssin:
        return "other-number"
    if any(former.replaced_by != latter.ssin for former, latter in pairwise(chain)):
        return "broken-chain"
    if len({person.ssin for person in chain}) != len(chain):
        return "repeated-file"
    return None
