"""The National Register as another service, asked over SOAP: what it says, or that it does not answer (rules 14, 54).

Whatever is no valid answer to what was asked is an outage and never an answer (E19): an empty chain is given only where
the register itself names the number and says that it has no file of it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

from cbss_inscription.client.errors import FaultReceived, Obstacle, ReplyUnreadable, ServiceUnreachable
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.errors import MessageRejected, RepertoryUnavailable, UsageError
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
from cbss_inscription.domain.requests import HealthCheck, HealthCheckType, Request
from cbss_inscription.domain.results import Health, PersonsResult, Result, SanityCheck, StatusValue
from cbss_inscription.domain.ssin import Ssin

if TYPE_CHECKING:
    from cbss_inscription.client.asking import Sender
    from cbss_inscription.security.sign import Signer

TIMEOUT_SECONDS: Final = 2.0
"""How long the register may take for an answer, by default: well below what our own caller waits for ours."""
CACHE_SECONDS: Final = 30.0
"""How long a file of an active number may be used again, by default [D]."""
CACHE_PERSONS_MAX: Final = 10_000
"""Numbers whose files are kept, by default."""
SOURCE: Final = "national-register"
"""The name of the register in health checks and logs."""
_ANSWERS: Final = {StatusValue.DATA_FOUND: OutcomeCode.SUCCESS, StatusValue.NO_DATA_FOUND: OutcomeCode.NO_DATA}
_SENDINGS_MAX: Final = 2


class SourceLog(Protocol):
    """Where an operator learns why an authentic source gave no answer; a caller is not told."""

    def found_source_unavailable(self, *, source: str, reason: str) -> None:
        """One line: `reason` is a fixed word, without anything of the question or the reply."""
        ...


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

    A question that met a broken connection is asked once more, within the same time: it changes nothing there.
    """

    def __init__(
        self,
        *,
        sender: Sender,
        signer: Signer,
        customer_identification: CustomerIdentification,
        legal_context: LegalContext,
        log: SourceLog,
        cache: FileCache | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sender = sender
        self._signer = signer
        self._customer = customer_identification
        self._legal_context = legal_context
        self._log = log
        self._cache = cache
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._now = now

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`; for a few seconds it may be what the register said before (`FileCache`)."""
        chain = self._cache.get(ssin) if self._cache is not None else None
        if chain is None:
            asked_at = self._clock()
            result = await self._ask_for_persons(
                lambda: SearchPersonBySsin(
                    information_customer=self._information(), legal_context=self._legal_context, ssins=(ssin.digits,)
                )
            )
            self._check(reason_against(ssin, result))
            chain = result.chains[0]
            if self._cache is not None:
                self._cache.put(ssin, chain, asked_at=asked_at)
        return chain[: hops_max + 2]

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        """See `PersonRegister.like`; never from a cache."""
        result = await self._ask_for_persons(
            lambda: SearchPersonPhonetically(
                information_customer=self._information(), legal_context=self._legal_context, criteria=criteria
            )
        )
        persons = tuple(person for chain in result.chains for person in chain)
        if any(person.register is not Register.NR or person.status is not FileStatus.ACTIVE for person in persons):
            self._check("other-register")
        return persons[:CANDIDATES_MAX]

    async def look(self) -> SanityCheck:
        """Whether the register takes our messages now: it authenticates a test message, and sends it back."""
        began = self._clock()
        health, detail = Health.OK, None
        try:
            await self._ask(lambda: HealthCheck(type=HealthCheckType.PING))
        except RepertoryUnavailable as error:
            health, detail = Health.NOK, error.reason
        milliseconds = round((self._clock() - began) * 1000)
        return SanityCheck(name=SOURCE, health=health, milliseconds=milliseconds, detail=detail)

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        await self._sender.close()

    async def _ask_for_persons(self, request: Callable[[], Request]) -> PersonsResult:
        result = await self._ask(request)
        assert isinstance(result, PersonsResult)  # the answer is of the operation asked (client.call)
        status = result.status
        if _ANSWERS.get(status.value) is not status.code:
            self._check("refused")
        if any(result.chains) is not (status.value is StatusValue.DATA_FOUND):
            self._check("contradiction")
        return result

    async def _ask(self, request: Callable[[], Request]) -> Result:
        """The answer to what `request` makes, a new ticket each time. Raises `RepertoryUnavailable`."""
        from cbss_inscription.client.call import prepare  # not for whoever only wants a setting's default from here

        ends = self._clock() + self._timeout_seconds
        sendings = 0
        reason = "timeout"
        while sendings < _SENDINGS_MAX and self._clock() < ends:
            sendings += 1
            try:
                # Signed anew each time: the register may have seen the message whose answer was lost, and refuse it.
                call = prepare(request(), signer=self._signer, now=self._now(), door=Door.PERSON)
                answer = await self._sender.send(call, seconds_max=ends - self._clock())
            except ServiceUnreachable as error:
                reason = error.obstacle.value
                if error.obstacle is not Obstacle.BROKEN:
                    break
            except FaultReceived:
                reason = "fault"
                break
            except ReplyUnreadable:
                reason = "unreadable"
                break
            except (MessageRejected, UsageError):
                reason = "request"
                break
            else:
                return answer.result
        raise self._unavailable(reason)

    def _check(self, reason: str | None) -> None:
        """Nothing when there is no reason against an answer; else raises `RepertoryUnavailable`."""
        if reason is not None:
            raise self._unavailable(reason)

    def _unavailable(self, reason: str) -> RepertoryUnavailable:
        self._log.found_source_unavailable(source=SOURCE, reason=reason)
        return RepertoryUnavailable(f"{SOURCE}-{reason}")

    def _information(self) -> InformationCustomer:
        now = self._now()
        return InformationCustomer(
            customer_identification=self._customer,
            ticket=str(uuid4()),
            timestamp_sent=in_milliseconds(now),
        )


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
