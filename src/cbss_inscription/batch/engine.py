"""Works on a chunk: its lines are decided, written, counted, recorded and answered in one transaction (rules 37, 50).

What the lines need is fetched together, under the locks that online requests take; then each goes through the very use
case that it would go through online, or where it is plain to the same end by a shorter way (`plain_lines`), in the
order of the file, over what is in hand (`repertory.in_hand`); and what they did is written together. Whoever is killed
in between has done nothing.

Nothing that is wrong with one line holds up another: one whose source is away is left behind and tried again, with what
is said of the same person later; one that cannot be written is found by halving the chunk, and is answered as a defect.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import msgspec
import psycopg

from cbss_inscription.batch.chunk import PackedAnswer, pack_answer, pack_answers, unpack_answers, unpack_lines
from cbss_inscription.batch.files import Chain, FilesTogether
from cbss_inscription.batch.plain_lines import PlainLines
from cbss_inscription.batch.records import ChunkRecords, LineCall
from cbss_inscription.batch.request import request_of
from cbss_inscription.domain.batch import BatchHeader, BatchLine, OutcomeCount
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import (
    CbssInscriptionError,
    ContentViolation,
    MessageRejected,
    NotAuthorized,
    RepertoryUnavailable,
    SchemaViolation,
    ServiceUnavailable,
    TemporarilyUnavailable,
)
from cbss_inscription.domain.exchange import Caller, Exchange, Trail
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import FileStatus
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    InscriptionRequest,
    Operation,
    WriteRequest,
    operation_of,
)
from cbss_inscription.domain.results import ConsultResult, InscriptionResult, WriteResult
from cbss_inscription.domain.ssin import InvalidSsin, Ssin
from cbss_inscription.domain.ticket_cbss import new_tickets
from cbss_inscription.governance.access import AccessDecision, AccessRules, AgreedVolume, Permission
from cbss_inscription.governance.volumes import VolumeMeter
from cbss_inscription.registers.port import DataAnomalyLog
from cbss_inscription.registers.resolution import HOPS_MAX
from cbss_inscription.repertory.embedded import LINES_MAX, SETTLER, EmbeddedRepertory, LineStore, Successions
from cbss_inscription.repertory.in_hand import FilesInHand, LineSet, LinesInHand, SettledBefore
from cbss_inscription.storage.audit_chunk import AuditChunk
from cbss_inscription.storage.batch_work import (
    StoredSet,
    WorkDone,
    answered_declarations,
    lock,
    own_sets,
    replacements_of,
    sets_of_others,
    write,
)
from cbss_inscription.storage.batches import (
    FIRST_LINES,
    ChunkAnswers,
    ClaimedChunk,
    StoredBatches,
    ends_of,
    numbers_waiting,
    write_answers,
)
from cbss_inscription.storage.database import OUTAGES, Connection
from cbss_inscription.usecases.carry_out import carry_out
from cbss_inscription.usecases.ports import AccessRulesSource, AuditJournal, AuditKeysSource

WAIT_SECONDS_FIRST: Final = 5.0
"""How long lines wait whose source was away, the first time; then twice as long each time, up to …"""
WAIT_SECONDS_MAX: Final = 300.0
ATTEMPTS_MAX: Final = 150
"""How often their source is tried, half a day long, before they are answered as online: CBI00901."""
MOVES_MAX: Final = 3
"""How often a chunk begins anew because a number was replaced between being looked up and being locked."""


class BatchLog(DataAnomalyLog, Protocol):
    """Where an operator reads what became of batches; no number, no name (SEC-74)."""

    def line_failed(self, *, batch_id: UUID, line: int, error: Exception) -> None:
        """One line: a defect of ours, with the kinds and frames of the exceptions, never their words."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What became of one chunk."""

    batch_id: UUID
    lines_answered: int
    """Now."""
    lines_waiting: int
    may_finish_batch: bool
    """Whether it may have been the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkWorker:
    """Works on one chunk after the other; any number of these may run, anywhere."""

    batches: StoredBatches
    files: FilesTogether
    lines: LineStore
    successions: Successions | None
    rules: AccessRulesSource
    known_contexts: Callable[[str], Collection[InscriptionContext]]
    volumes: VolumeMeter
    journal: AuditJournal
    audit_keys: AuditKeysSource
    log: BatchLog
    service: str
    """What the records of the lines name as the service."""
    clock: Callable[[], datetime]
    evidence_of: Collection[Operation] = frozenset()
    lines_max: int = LINES_MAX
    hops_max: int = HOPS_MAX
    attempts_max: int = ATTEMPTS_MAX

    async def work(self) -> Worked | None:
        """What became of the next chunk; None when there is nothing to do now.

        Raises `TemporarilyUnavailable` when the database or the journal is away. Whatever it raises, nothing was done,
        and others go before this chunk: one that fails again and again holds up no other.
        """
        self.journal.admit()
        in_hand: ClaimedChunk | None = None
        try:
            async with self.batches.claimed() as claim:
                if claim is None:
                    worked = None
                else:
                    in_hand = claim[1]
                    worked = await self._work_on(*claim)
        except Exception:
            if in_hand is not None:
                with contextlib.suppress(ServiceUnavailable):
                    await self.batches.postpone(in_hand, seconds=WAIT_SECONDS_FIRST)
            raise
        if worked is None or worked.may_finish_batch:  # nothing to do: perhaps nobody lived to look
            await self.batches.finish()
        return worked

    async def _work_on(self, connection: Connection, claimed: ClaimedChunk) -> Worked:
        lines = unpack_lines(claimed.packed_lines)
        answers: list[Answered | None] = [None] * len(lines)
        if claimed.packed_answers is not None:
            before = unpack_answers(claimed.packed_answers)
            answers = [None if answer is None else Answered.of(answer) for answer in before]
        pending = [place for place, answer in enumerate(answers) if answer is None]
        turn = _Turn(worker=self, connection=connection, claimed=claimed, lines=lines)
        if claimed.follows_waiting:
            await turn.find_waiting()
        for place, answer in zip(pending, await turn.answers_to([lines[place] for place in pending]), strict=True):
            answers[place] = answer
        waiting = [line for line, answer in zip(lines, answers, strict=True) if answer is None]
        may_finish_batch = await write_answers(
            connection,
            claimed,
            ChunkAnswers(
                packed_answers=pack_answers(pack_answer(None) if one is None else one.packed for one in answers),
                lines_answered=len(answers) - len(waiting),
                outcomes=_outcomes(lines, answers),
                waiting=turn.numbers_of(waiting),
                wait_seconds=min(WAIT_SECONDS_FIRST * 2**claimed.attempts, WAIT_SECONDS_MAX),
            ),
        )
        return Worked(
            batch_id=claimed.batch_id,
            lines_answered=len(pending) - len(waiting),
            lines_waiting=len(waiting),
            may_finish_batch=may_finish_batch,
        )


class Answered(NamedTuple):
    """An answer, packed, and its code."""

    packed: bytes
    code: str

    @classmethod
    def of(cls, answer: PackedAnswer) -> Answered:
        """The same of an answer that is not packed."""
        return cls(pack_answer(answer), answer.code)


class _Said(msgspec.Struct, kw_only=True):
    """What became of a line, before it is recorded."""

    line: BatchLine
    ticket_cbss: UUID
    request: InscriptionRequest | None
    trail: Trail
    ending: InscriptionResult | CbssInscriptionError | None
    """None for a defect."""
    ssin: Ssin | None = None
    """None for a request whose number is none, too."""
    waits: bool = False
    """Whether nothing was done yet, because its source is away."""


class _Moved(Exception):
    """A number was replaced between being looked up and being locked."""


class _Turn:
    """One transaction's work on the lines of a chunk."""

    def __init__(
        self, *, worker: ChunkWorker, connection: Connection, claimed: ClaimedChunk, lines: Sequence[BatchLine]
    ) -> None:
        self._worker = worker
        self._connection = connection
        self._claimed = claimed
        self._lines = lines
        self._header: BatchHeader = claimed.header
        self._customer: CustomerIdentification = claimed.header.sender.organization_identification
        self._now = worker.clock()
        self._rules = _DecisionsInHand(worker.rules.current())
        self._keys = worker.audit_keys.current()
        self._waiting: set[int] = set()
        """Of whom a line before waits: what is said of a person later must not be done earlier."""
        self._ends: dict[int, int] | None = None
        """Of the numbers of the chunk that were replaced, where that ends; known from the first on that waits."""

    async def find_waiting(self) -> None:
        """Nothing; of whom lines of earlier chunks wait, lines of this one will, too."""
        await self._find_ends()
        self._waiting = await numbers_waiting(self._connection, self._claimed, self.numbers_of(self._lines))

    def numbers_of(self, lines: Sequence[BatchLine]) -> set[int]:
        """The numbers of some lines, and those at which their replacements end, as far as they are to be known."""
        numbers = {ssin.number for line in lines if (ssin := _parsed(line.ssin)) is not None}
        return numbers | {self._ends[number] for number in numbers & self._ends.keys()} if self._ends else numbers

    async def _find_ends(self) -> None:
        if self._ends is None:
            numbers = self.numbers_of(self._lines)
            self._ends = await ends_of(self._connection, numbers, hops_max=self._worker.hops_max)

    def _waits(self, ssin: Ssin | None) -> bool:
        if ssin is None or not self._waiting:
            return False
        return ssin.number in self._waiting or (self._ends or {}).get(ssin.number) in self._waiting

    async def answers_to(self, lines: Sequence[BatchLine]) -> list[Answered | None]:
        """The answer to each line; None for one that waits. What was done for it is in the transaction."""
        if not lines:
            return []
        volumes = _CountedVolumes(self._worker.volumes)
        try:
            return await self._try_all(lines, volumes)
        except psycopg.Error as error:
            volumes.give_back()
            if isinstance(error, OUTAGES):  # no line is to blame: the chunk is tried again as it is
                raise
            if len(lines) == 1:
                self._worker.log.line_failed(batch_id=self._claimed.batch_id, line=lines[0].number, error=error)
                return [await self._answer_defect(lines[0])]
            half = len(lines) // 2
            return [*await self.answers_to(lines[:half]), *await self.answers_to(lines[half:])]
        except BaseException:
            volumes.give_back()
            raise

    async def _try_all(self, lines: Sequence[BatchLine], volumes: _CountedVolumes) -> list[Answered | None]:
        for _ in range(MOVES_MAX):
            with contextlib.suppress(_Moved):
                async with self._connection.transaction():
                    return await self._answer_all(lines, volumes)
        raise TemporarilyUnavailable("numbers-move")

    async def _answer_all(self, lines: Sequence[BatchLine], volumes: _CountedVolumes) -> list[Answered | None]:
        asked = list(map(self._read, lines, new_tickets(len(lines))))
        files = await self._fetch_files(asked)
        hand = await self._fetch_lines(asked, files)
        await self._perform(asked, hand, files.chains, volumes)
        return await self._write(asked, hand)

    def _read(self, line: BatchLine, ticket_cbss: UUID) -> _Said:
        said = _Said(line=line, ticket_cbss=ticket_cbss, request=None, trail=Trail(), ending=None)
        if line.refused is not None:
            said.ending = _REFUSALS[line.refused]("batch-line")
            return said
        try:
            said.request = request_of(line, self._header)
            said.ssin = _parsed(said.request.ssin)
            said.waits = self._waits(said.ssin)
        except ValueError:
            said.ending = ContentViolation("batch-line")
        return said

    async def _fetch_files(self, asked: Sequence[_Said]) -> _Files:
        """The chains of all numbers asked, and of those to which lines went meanwhile.

        Before any person is locked: where lines have to follow to another number, others do that, and lock them.
        """
        worker, chains = self._worker, dict[Ssin, Chain]()
        ends, moved = dict[Ssin, Ssin](), dict[Ssin, Ssin]()
        wanted = {said.ssin for said in asked if said.ssin is not None and not said.waits}
        for _ in range(worker.hops_max + 1):
            if not wanted:
                break
            found = await worker.files.chains_of(wanted, hops_max=worker.hops_max)
            chains |= found
            ended = {ssin: end for ssin, chain in found.items() if (end := _end_of(chain)) is not None}
            ends |= ended
            went = await replacements_of(self._connection, {end.number for end in ended.values()})
            moved |= {Ssin.of_number(old): Ssin.of_number(new) for old, new in went.items()}
            wanted = {moved[end] for end in ended.values() if end in moved} - chains.keys() if went else set()
        return _Files(chains=chains, ends=ends, moved=moved, left=await self._left_behind(chains))

    async def _fetch_lines(self, asked: Sequence[_Said], files: _Files) -> LinesInHand:
        """The lines of all persons, those that are to change and their tickets locked. Raises `_Moved`."""
        connection, key = self._connection, self._customer.key
        declared = [
            (said.request, said.ssin) for said in asked if isinstance(said.request, WriteRequest) and not said.waits
        ]
        tickets = {ticket for request, _ in declared if (ticket := request.information_customer.ticket)}
        changing = {number for _, ssin in declared if (number := files.end_of(ssin)) is not None}
        changed_at = await lock(connection, customer=key, tickets=tickets, ssins=changing)
        ends = {end.number for end in files.ends.values()}
        if (await replacements_of(connection, ends)).keys() - {ssin.number for ssin in files.moved}:
            raise _Moved
        contexts = self._contexts_of_others(asked)
        others = (
            await sets_of_others(connection, customer=key, ssins=ends, inscription_contexts=contexts)
            if contexts
            else {}
        )
        own = await own_sets(connection, customer=key, ssins=ends)
        return LinesInHand(
            customer=self._customer,
            changed_at=changed_at,
            own={ssin: {name: LineSet(*one) for name, one in sets.items()} for ssin, sets in own.items()},
            others={ssin: {place: LineSet(*one) for place, one in sets.items()} for ssin, sets in others.items()},
            answered=await answered_declarations(connection, customer=key, tickets=tickets) if tickets else {},
            moved=files.moved,
            left=files.left,
        )

    def _contexts_of_others(self, asked: Sequence[_Said]) -> frozenset[str]:
        """The contexts in which consultations may see lines of others."""
        contexts: set[str] = set()
        for said in asked:
            if isinstance(said.request, ConsultInscriptions):
                decision = self._decide(said.request)
                visibility = None if decision.permission is None else decision.permission.visibility
                if visibility is not None:
                    contexts.update(map(str, visibility.inscription_contexts))
        return frozenset(contexts)

    def _decide(self, request: ConsultInscriptions) -> AccessDecision:
        return self._rules.decide(
            self._claimed.caller,
            Operation.CONSULT_INSCRIPTIONS,
            self._customer,
            request.legal_context,
            today=self._now.date(),
            inscription_contexts=request.inscription_contexts,
        )

    async def _left_behind(self, chains: Mapping[Ssin, Chain]) -> frozenset[Ssin]:
        """The former numbers whose lines cannot follow; those that can have followed now (rules 19, 20)."""
        successions = self._worker.successions
        if successions is None:
            return frozenset()
        former = {
            person.ssin: asked
            for asked, chain in chains.items()
            if not isinstance(chain, RepertoryUnavailable) and _end_of(chain) is not None
            for person in chain[:-1]
        }
        if not former:
            return frozenset()
        left = await self._worker.lines.left_behind(former)
        return frozenset([ssin for ssin in left if not await successions.settle(former[ssin], operator=SETTLER)])

    async def _perform(
        self, asked: Sequence[_Said], hand: LinesInHand, chains: Mapping[Ssin, Chain], volumes: _CountedVolumes
    ) -> None:
        """Nothing; what was asked has its ending, in the order of the file, or waits."""
        worker = self._worker
        plain = PlainLines(
            rules=self._rules,
            known_contexts=worker.known_contexts,
            chains=chains,
            hand=hand,
            lines_max=worker.lines_max,
            caller=self._claimed.caller,
            now=self._now,
        )
        repertory = EmbeddedRepertory(
            registers=FilesInHand(chains),
            lines=hand,
            known_contexts=worker.known_contexts,
            data_anomalies=worker.log,
            successions=None if worker.successions is None else SettledBefore(),
            lines_max=worker.lines_max,
            hops_max=worker.hops_max,
        )
        is_patient = self._claimed.attempts < worker.attempts_max
        for said in asked:
            request = said.request
            if request is None:
                continue
            if self._waits(said.ssin):
                said.waits = True
                continue
            volumes.begin()
            try:
                answered = None if said.ssin is None else plain.answer(request, said.ssin, said.ticket_cbss)
                if answered is not None:
                    said.ending, grant = answered
                    said.trail = grant.trail
                    volumes.admit(grant.permission, operation_of(request), now=self._now)
                    continue
                exchange = Exchange(
                    ticket_cbss=said.ticket_cbss,
                    timestamp_receive=self._now,
                    caller=self._claimed.caller,
                    trail=said.trail,
                )
                said.ending = await carry_out(
                    request, exchange, rules=self._rules, repertory=repertory, volumes=volumes
                )
            except NotAuthorized as error:
                said.ending = error
            except Exception as error:  # noqa: BLE001  # a defect that one line meets is that line's alone
                worker.log.line_failed(batch_id=self._claimed.batch_id, line=said.line.number, error=error)
            if is_patient and _is_source_away(said.ending):
                await self._find_ends()
                self._waiting |= self.numbers_of([said.line])
                volumes.give_back_last()
                said.waits = True
        volumes.count_rest()

    async def _write(self, asked: Sequence[_Said], hand: LinesInHand) -> list[Answered | None]:
        """The answers; they, and all that was done, stand in the tables when the transaction commits."""
        recording = self._records()
        answers: list[Answered | None] = []
        for said in asked:
            if said.waits:
                answers.append(None)
                continue
            answer = Answered.of(_packed(said, self._now))
            answers.append(answer)
            recording.add(self._call_of(said, answer))
        await write(self._connection, self._work_done(hand, recording.chunk))
        return answers

    def _records(self) -> ChunkRecords:
        """What makes the records of lines that are answered now."""
        return ChunkRecords(
            self._keys,
            service=self._worker.service,
            caller=self._claimed.caller,
            received_at=self._now,
            replied_at=self._worker.clock(),
            request_digest=self._claimed.digest.hex(),
        )

    def _call_of(self, said: _Said, answer: Answered) -> LineCall:
        request = said.request
        evidence = None
        if request is not None and operation_of(request) in self._worker.evidence_of:
            evidence = msgspec.json.encode(said.line)
        return LineCall(
            ticket_cbss=said.ticket_cbss,
            request=request,
            trail=said.trail,
            ending=said.ending,
            response_digest=hashlib.sha256(answer.packed).digest(),
            evidence_digest=None if evidence is None else hashlib.sha256(evidence).digest(),
            evidence=None if evidence is None else self._keys.seal_request(evidence, said.ticket_cbss),
        )

    def _work_done(self, hand: LinesInHand | None, records: AuditChunk) -> WorkDone:
        def sets(*, new: bool) -> list[tuple[int, str, StoredSet]]:
            if hand is None:
                return []
            found = [(ssin, context) for (ssin, context), is_new in hand.is_new.items() if is_new is new]
            return [
                (ssin, context, (hand.own[ssin][context].spans, hand.own[ssin][context].last_changes))
                for ssin, context in sorted(found)
            ]

        return WorkDone(
            customer=self._customer.key,
            legal_context=str(self._header.legal_context),
            caller=self._claimed.caller,
            changed_at=self._now if hand is None else hand.changed_at,
            new_sets=sets(new=True),
            changed_sets=sets(new=False),
            history=() if hand is None else hand.history,
            answered=() if hand is None else [(ticket, *said) for ticket, said in hand.remembered.items()],
            records=records,
            worker=self._worker.volumes.worker,
        )

    async def _answer_defect(self, line: BatchLine) -> Answered:
        """The answer to a line that cannot be written, whose record has nothing of it: that may be what cannot."""
        (ticket_cbss,) = new_tickets(1)
        said = _Said(line=line, ticket_cbss=ticket_cbss, request=None, trail=Trail(), ending=None)
        answer = Answered.of(_packed(said, self._now))
        async with self._connection.transaction():
            recording = self._records()
            recording.add(self._call_of(said, answer))
            await write(self._connection, self._work_done(None, recording.chunk))
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """The files of the persons of a chunk."""

    chains: Mapping[Ssin, Chain]
    ends: Mapping[Ssin, Ssin]
    """Of each number whose chain ends with a person, the one there."""
    moved: Mapping[Ssin, Ssin]
    """Numbers at the end of a chain whose lines went to another one meanwhile, and to which."""
    left: frozenset[Ssin]
    """Former numbers whose lines cannot follow."""

    def end_of(self, ssin: Ssin | None) -> int | None:
        """The number under which a person's lines are, for the number asked; None when there is no such person."""
        for _ in range(len(self.moved) + 1):
            end = None if ssin is None else self.ends.get(ssin)
            if end is None:
                return None
            if end not in self.moved:
                return end.number
            ssin = self.moved[end]
        return None  # a circle: nothing will be written


class _DecisionsInHand:
    """What the access rules say to one application for one customer, looked up once for each kind of line."""

    def __init__(self, rules: AccessRules) -> None:
        self._rules = rules
        self._known: dict[tuple[Operation, Collection[InscriptionContext]], AccessDecision] = {}

    @property
    def version(self) -> int:
        return self._rules.version

    def decide(
        self,
        caller: Caller,
        operation: Operation,
        customer: CustomerIdentification,
        legal_context: LegalContext,
        *,
        today: date,
        inscription_contexts: Collection[InscriptionContext] = (),
    ) -> AccessDecision:
        """See `AccessRules.decide`; caller, customer, legal context and day are the same for a whole chunk."""
        known = self._known.get((operation, inscription_contexts))
        if known is None:
            known = self._known[operation, inscription_contexts] = self._rules.decide(
                caller, operation, customer, legal_context, today=today, inscription_contexts=inscription_contexts
            )
        return known


class _CountedVolumes:
    """The worker's meter, and what it admitted here: given back when nothing came of it.

    Where nothing is agreed nothing can be exceeded: such calls are counted together, by `count_rest`.
    """

    def __init__(self, meter: VolumeMeter) -> None:
        self._meter = meter
        self._admitted: list[tuple[Permission, Operation, datetime, int]] = []
        self._of_line = 0
        self._is_rest_counted = False

    def begin(self) -> None:
        """Nothing; another line begins."""
        self._of_line = 0

    def admit(
        self, permission: Permission, operation: Operation, *, now: datetime, calls: int = 1
    ) -> AgreedVolume | None:
        """See `Volumes.admit`."""
        exceeded = None
        if permission.volumes:
            exceeded = self._meter.admit(permission, operation, now=now, calls=calls)
        if exceeded is None:
            self._admitted.append((permission, operation, now, calls))
            self._of_line += 1
        return exceeded

    def count_rest(self) -> None:
        """Nothing; the calls for which nothing is agreed are counted, too."""
        self._is_rest_counted = True
        rest: dict[tuple[int, Operation, datetime], tuple[Permission, int]] = {}
        for permission, operation, now, calls in self._admitted:
            if not permission.volumes:
                place = (id(permission), operation, now)
                rest[place] = (permission, calls + rest.get(place, (permission, 0))[1])
        for (_, operation, now), (permission, calls) in rest.items():
            self._meter.admit(permission, operation, now=now, calls=calls)

    def give_back_last(self) -> None:
        """Nothing; what the last line was admitted for does not count."""
        self._give_back(self._of_line)
        self._of_line = 0

    def give_back(self) -> None:
        """Nothing; none of it counts."""
        self._give_back(len(self._admitted))

    def _give_back(self, count: int) -> None:
        for _ in range(count):
            permission, operation, now, calls = self._admitted.pop()
            if permission.volumes or self._is_rest_counted:
                self._meter.give_back(permission, operation, now=now, calls=calls)


def _packed(said: _Said, now: datetime) -> PackedAnswer:
    ending = said.ending
    consultation: ConsultResult | None = None
    declaration: WriteResult | None = None
    fault: str | None = None
    if isinstance(ending, WriteResult):
        declaration = ending
    elif isinstance(ending, ConsultResult):
        consultation = ending
    elif isinstance(ending, MessageRejected):
        fault = ending.code
    else:
        fault = OutcomeCode.SERVICE_ERROR.value
    return PackedAnswer(
        ticket_cbss=said.ticket_cbss.bytes,
        timestamp=now,
        consultation=consultation,
        declaration=declaration,
        fault=fault,
    )


def _outcomes(lines: Sequence[BatchLine], answers: Sequence[Answered | None]) -> tuple[OutcomeCount, ...]:
    counted: Counter[str] = Counter()
    first: dict[str, list[int]] = {}
    for line, answer in zip(lines, answers, strict=True):
        if answer is None:
            continue
        code = answer.code
        counted[code] += 1
        examples = first.setdefault(code, [])
        if len(examples) < FIRST_LINES:
            examples.append(line.number)
    return tuple(
        OutcomeCount(code=code, lines=count, first_lines=tuple(first[code])) for code, count in counted.items()
    )


def _parsed(digits: str) -> Ssin | None:
    try:
        return Ssin.parse(digits)
    except InvalidSsin:
        return None


def _end_of(chain: Chain) -> Ssin | None:
    """The number under which lines can be, at the end of a chain."""
    if isinstance(chain, RepertoryUnavailable) or not chain or chain[-1].status is not _ACTIVE:
        return None
    return chain[-1].ssin


def _is_source_away(ending: InscriptionResult | CbssInscriptionError | None) -> bool:
    return isinstance(ending, InscriptionResult) and ending.status.code is OutcomeCode.SOURCE_UNREACHABLE


_ACTIVE: Final = FileStatus.ACTIVE  # looked at for each person: of an enumeration it is found ten times as slowly
_REFUSALS: Final[Mapping[str, type[MessageRejected]]] = {
    kind.code: kind for kind in (SchemaViolation, ContentViolation)
}
