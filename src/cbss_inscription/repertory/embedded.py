"""The repertory on our own store: the rules in the order of contract.md section 4, from existence to writing."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import RepertoryUnavailable, ServiceUnavailable
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_data import LegalData, Person
from cbss_inscription.domain.line_set import (
    AnsweredBefore,
    Change,
    Changed,
    LineKey,
    LinesAsked,
    Moved,
    Others,
    PageStart,
    TicketClaim,
)
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InscriptionRequest,
    InsertInscription,
    UpdateInscription,
    WriteRequest,
    operation_of,
)
from cbss_inscription.domain.results import (
    Anomaly,
    ConsultResult,
    Health,
    Information,
    SanityCheck,
    SsinAnswer,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import LegalDataProfile, ReplacedNumbers
from cbss_inscription.registers.matching import Verdict, compare, fold_exact, fold_strict
from cbss_inscription.registers.port import DataAnomalyLog, FilesByNumber
from cbss_inscription.registers.resolution import HOPS_MAX, ChainFault, Found, NotActive, Resolution, Unknown, resolve
from cbss_inscription.repertory.port import Admitted
from cbss_inscription.repertory.tickets import Told, content_of, read_told, write_told

LINES_MAX: Final = 1_000
"""Lines of one (ssin, customer, context): every write answers them all, and its history keeps them [D]."""
PAGE_SIZE_LINES: Final = 500
"""Lines of one consultation's answer; `next` fetches more (contract.md section 3)."""
LINES_FILTERED: Final = "inscriptions/inscription"
"""What `dataFilters` names: whole lines, of organisations or contexts that the permission does not show [D]."""
SETTLER: Final = "repertory"
"""By whose hand lines follow a replacement that a request met, in the history of the number."""
_EVERYTHING: Final = GivenPeriod(begin_date=None)
_DONE: Final = Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS)
FOUND: Final = Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)
NOTHING_FOUND: Final = Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA)

WriteT = TypeVar("WriteT", bound=WriteRequest)


class LineStore(Protocol):
    """Where the lines are kept. Each change is atomic, and changes of one SSIN follow each other."""

    async def lines(self, asked: LinesAsked) -> tuple[Inscription, ...] | Moved:
        """The lines asked for, each with its organisation, by context, begin date and key of the organisation.

        `Moved` when another number took over the lines of this one: in the same moment as the lines are looked for.
        """
        ...

    async def change(self, change: Change) -> Changed | AnsweredBefore | Moved:
        """What the change did; nothing is written when it does not find what it names, or would leave too many lines.

        Each change that changes something leaves one history row. With a claim, the ticket decides first: what was
        done under it is `AnsweredBefore`, and nothing is done again; what is done now is remembered, in the same
        transaction, when the change found what it named. `Moved` as for `lines`.
        """
        ...

    async def answered_before(
        self, customer: CustomerIdentification, ticket: str, context: InscriptionContext
    ) -> AnsweredBefore | None:
        """What was done under the ticket of this customer, for a declaration about this context."""
        ...

    async def left_behind(self, ssins: Collection[Ssin]) -> frozenset[Ssin]:
        """Those of some numbers that still have lines."""
        ...

    async def look(self) -> None:
        """Nothing, when the store answers. Raises `ServiceUnavailable`."""
        ...


class Successions(Protocol):
    """Who moves lines when another register has replaced a number: `registers.life.NumberLife`."""

    async def settle(self, ssin: Ssin, *, operator: str) -> bool:
        """Whether all lines of the numbers in the chain of `ssin` are where it ends now."""
        ...


class EmbeddedRepertory:
    """A `Repertory` on our own `LineStore` and registers; the contexts of a tenant are given to it (rule 28)."""

    def __init__(
        self,
        *,
        registers: FilesByNumber,
        lines: LineStore,
        known_contexts: Callable[[str], Collection[InscriptionContext]],
        data_anomalies: DataAnomalyLog,
        successions: Successions | None = None,
        lines_max: int = LINES_MAX,
        hops_max: int = HOPS_MAX,
        page_size: int = PAGE_SIZE_LINES,
    ) -> None:
        self._registers = registers
        self._lines = lines
        self._known_contexts = known_contexts
        self._data_anomalies = data_anomalies
        self._successions = successions
        self._lines_max = lines_max
        self._hops_max = hops_max
        self._page_size = page_size

    async def consult(self, asked: Admitted[ConsultInscriptions]) -> ConsultResult:
        """See `Repertory.consult`."""
        request = asked.request
        file = await self._file_of(asked)
        if isinstance(file, _Refusal):
            return file.consultation()
        refusal = self._refusal_of_contexts(
            asked, request.inscription_contexts, asked.permission.readable_contexts
        ) or _refusal_of_period(request.period, "period")
        if refusal is not None:
            return refusal.consultation(file)
        page_start = _read_page(request.next)
        if isinstance(page_start, _Refusal):
            return page_start.consultation(file)
        lines_asked = self._lines_asked(asked, file.person.ssin, page_start)
        moves = _Moves(self._hops_max)
        while isinstance(lines := await self._lines.lines(lines_asked), Moved):
            file = await self._file_after(asked, lines, moves)
            if isinstance(file, _Refusal):
                return file.consultation()
            lines_asked = replace(lines_asked, ssin=file.person.ssin)
        page, more = lines[: self._page_size], len(lines) > self._page_size
        shows_others = asked.permission.visibility is not None
        return ConsultResult(
            status=FOUND if page else NOTHING_FOUND,
            ssin=file.answer,
            data_filters=self._data_filters(asked),
            inscriptions=page if shows_others else tuple(replace(line, organization=None) for line in page),
            next=_write_page(page[-1]) if more else None,
        )

    async def insert(self, asked: Admitted[InsertInscription]) -> WriteResult:
        """See `Repertory.insert`."""
        return await self._declare(asked, self._plan_of_insertion)

    async def update(self, asked: Admitted[UpdateInscription]) -> WriteResult:
        """See `Repertory.update`."""
        return await self._declare(asked, self._plan_of_update)

    async def delete(self, asked: Admitted[DeleteInscription]) -> WriteResult:
        """See `Repertory.delete`."""
        return await self._declare(asked, self._plan_of_deletion)

    async def look(self) -> SanityCheck:
        """See `Repertory.look`."""
        began = time.perf_counter()
        health, detail = Health.OK, None
        try:
            await self._lines.look()
        except ServiceUnavailable as error:
            health, detail = Health.NOK, error.reason
        milliseconds = round((time.perf_counter() - began) * 1000)
        return SanityCheck(name="repertory", health=health, milliseconds=milliseconds, detail=detail)

    async def _declare(
        self, asked: Admitted[WriteT], plan_of: Callable[[Admitted[WriteT], _File], _Plan | WriteResult]
    ) -> WriteResult:
        """The declaration done as planned, or what was answered when it was done before under its ticket (rule 38).

        What was done before counts before everything else, but is looked for last: the change looks for it itself, so
        that an ordinary declaration costs no round trip more. Only what ends without a change has to ask.
        """
        try:
            result = await self._done_or_refused(asked, plan_of)
        except RepertoryUnavailable:
            before = await self._answered_before(asked)
            if before is None:
                raise
            return before
        if isinstance(result, _Final):
            return result.result
        return await self._answered_before(asked) or result

    async def _done_or_refused(
        self, asked: Admitted[WriteT], plan_of: Callable[[Admitted[WriteT], _File], _Plan | WriteResult]
    ) -> _Final | WriteResult:
        """What the change did, which is final; or a refusal of before the change, which has not seen the ticket."""
        file = await self._file_of(asked)
        moves = _Moves(self._hops_max)
        while not isinstance(file, _Refusal):
            plan = self._refusal_of_context(asked, file) or plan_of(asked, file)
            if isinstance(plan, WriteResult):
                return plan
            told = Told(ssin=file.answer, anomalies=(*file.anomalies, *plan.unverified))
            match await self._lines.change(self._change(asked, file, plan, told)):
                case AnsweredBefore() as before:
                    return _Final(result=self._answer_again(asked, before))
                case Moved() as moved:
                    file = await self._file_after(asked, moved, moves)
                case Changed() as changed:
                    return _Final(result=done(told, changed, plan.added))
        return file.declaration()

    async def _answered_before(self, asked: Admitted[WriteRequest]) -> WriteResult | None:
        """What is answered because of what was done under the same ticket; None when nothing was.

        Nothing is told under a permission that does not grant the context.
        """
        ticket, context = asked.request.information_customer.ticket, asked.request.inscription_context
        if (
            not ticket
            or self._refusal_of_contexts(asked, (context,), asked.permission.inscription_contexts) is not None
        ):
            return None
        before = await self._lines.answered_before(asked.customer, ticket, context)
        return None if before is None else self._answer_again(asked, before)

    def _answer_again(self, asked: Admitted[WriteRequest], before: AnsweredBefore) -> WriteResult:
        if before.content != content_of(asked.request):
            return WriteResult(status=Status(value=StatusValue.NOK, code=OutcomeCode.TICKET_REUSED))
        again = Anomaly(code=OutcomeCode.TICKET_REPEATED)
        told = None if before.told is None else read_told(before.told)
        if before.changed is None or told is None:
            # It was done, and must not be done again; of the first answer only that is left to tell.
            self._data_anomalies.found_data_anomaly(ticket_cbss=asked.exchange.ticket_cbss, reason="remembered-answer")
            return WriteResult(status=_DONE, anomalies=(again,))
        first = done(told, before.changed, _added_by(asked.request))
        return replace(first, anomalies=(*first.anomalies, again))

    def _plan_of_insertion(self, asked: Admitted[InsertInscription], file: _File) -> _Plan | WriteResult:
        request = asked.request
        mismatches, unverified = self._compare(asked, request.legal_data, file.person)
        if mismatches:
            return WriteResult(
                status=Status(value=StatusValue.NOK, code=OutcomeCode.LEGAL_DATA_MISMATCH),
                ssin=file.answer,
                validation_errors=mismatches,
            )
        refusal = _refusal_of_period(request.period, "period")
        if refusal is not None:
            return refusal.declaration(file)
        return _Plan(removed=None, added=_added_by(request), unverified=unverified)

    def _plan_of_update(self, asked: Admitted[UpdateInscription], file: _File) -> _Plan | WriteResult:
        request = asked.request
        refusal = _refusal_of_period(request.period, "period") or _refusal_of_period(request.new_period, "newPeriod")
        if refusal is not None:
            return refusal.declaration(file)
        return _Plan(removed=request.period, added=_added_by(request))

    def _plan_of_deletion(self, asked: Admitted[DeleteInscription], file: _File) -> _Plan | WriteResult:
        refusal = _refusal_of_cut(asked.request.period)
        if refusal is not None:
            return refusal.declaration(file)
        return _Plan(removed=_to_the_end(asked.request.period or _EVERYTHING), added=None)

    async def _file_of(self, asked: Admitted[InscriptionRequest]) -> _File | _Refusal:
        """The active file of the number asked, or why there is none to work on."""
        return self._judge(asked, await self._resolve(asked, asked.ssin))

    async def _file_after(self, asked: Admitted[InscriptionRequest], moved: Moved, moves: _Moves) -> _File | _Refusal:
        """The active file that carries on, for lines that moved after the number was resolved (rules 18 to 20).

        Raises `RepertoryUnavailable` when the register does not know that number yet: the store is ahead of it.
        """
        fault = moves.fault_of(moved.continued_by)
        if fault is not None:
            self._data_anomalies.found_data_anomaly(ticket_cbss=asked.exchange.ticket_cbss, reason=fault.value)
            return _Refusal(code=OutcomeCode.SSIN_CANCELED, ssin=_answer_about(asked, moved.continued_by))
        resolution = await self._resolve(asked, moved.continued_by)
        if isinstance(resolution, Unknown):
            raise RepertoryUnavailable("register-behind")
        return self._judge(asked, resolution)

    async def _resolve(self, asked: Admitted[InscriptionRequest], ssin: Ssin) -> Resolution:
        chain = await self._registers.chain_of(ssin, hops_max=self._hops_max)
        resolution = resolve(ssin, chain, hops_max=self._hops_max)
        if isinstance(resolution, Found) and len(chain) > 1:
            await self._settle(asked, ssin, [person.ssin for person in chain[:-1]])
        return resolution

    async def _settle(self, asked: Admitted[InscriptionRequest], ssin: Ssin, former: Collection[Ssin]) -> None:
        """Nothing; no former number of the chain has lines any more (rules 19, 20).

        Some have when another register replaced the number and nobody told us: its word is taken now. Raises
        `RepertoryUnavailable` when the lines cannot follow: that there are none would be false. Without `Successions`
        every register is in our store, where a file and its lines are replaced at once.
        """
        if self._successions is None or not await self._lines.left_behind(former):
            return
        if not await self._successions.settle(ssin, operator=SETTLER):
            self._data_anomalies.found_data_anomaly(ticket_cbss=asked.exchange.ticket_cbss, reason="lines-left-behind")
            raise RepertoryUnavailable("lines-left-behind")

    def _judge(self, asked: Admitted[InscriptionRequest], resolution: Resolution) -> _File | _Refusal:
        match resolution:
            case Unknown():
                return _Refusal(code=OutcomeCode.SSIN_UNKNOWN)
            case NotActive(last=last, fault=fault):
                if fault is not None:
                    self._data_anomalies.found_data_anomaly(ticket_cbss=asked.exchange.ticket_cbss, reason=fault.value)
                answer = replace(_answer_about(asked, last.ssin), canceled=fault is None)
                return _Refusal(code=OutcomeCode.SSIN_CANCELED, ssin=answer)
            case Found(person=person):
                answer = _answer_about(asked, person.ssin)
                if answer.replaces is not None and asked.permission.replaced_numbers is ReplacedNumbers.REFUSE:
                    new_ssin = Information(field_name="newSSIN", field_value=person.ssin.digits)
                    return _Refusal(code=OutcomeCode.SSIN_REPLACED_REFUSED, information=(new_ssin,))
                return _File(person=person, answer=answer)

    def _refusal_of_context(self, asked: Admitted[WriteRequest], file: _File) -> WriteResult | None:
        contexts = (asked.request.inscription_context,)
        refusal = self._refusal_of_contexts(asked, contexts, asked.permission.inscription_contexts)
        return None if refusal is None else refusal.declaration(file)

    def _refusal_of_contexts(
        self,
        asked: Admitted[InscriptionRequest],
        contexts: Collection[InscriptionContext],
        allowed: Collection[InscriptionContext],
    ) -> _Refusal | None:
        known = self._known_contexts(asked.permission.tenant)
        for context in contexts:
            if context not in known or context not in allowed:
                named = Information(field_name="inscriptionContext", field_value=context)
                return _Refusal(code=OutcomeCode.INSCRIPTION_CONTEXT_NOT_GRANTED, information=(named,))
        return None

    def _lines_asked(
        self, asked: Admitted[ConsultInscriptions], ssin: Ssin, page_start: PageStart | None
    ) -> LinesAsked:
        """Own lines in granted contexts, and where there is a visibility those of others within it (rules 28, 30)."""
        contexts = self._contexts_asked(asked)
        visibility = asked.permission.visibility
        others = None
        if visibility is not None:
            others = Others(
                inscription_contexts=contexts & visibility.inscription_contexts,
                organizations=visibility.organizations or None,
            )
        return LinesAsked(
            ssin=ssin,
            customer=asked.customer,
            inscription_contexts=contexts & asked.permission.inscription_contexts,
            others=others,
            overlapping=asked.request.period,
            after=page_start,
            limit=self._page_size + 1,
        )

    def _data_filters(self, asked: Admitted[ConsultInscriptions]) -> tuple[str, ...]:
        """What could be withheld from what was asked, whether or not there is any: else it would tell of lines."""
        visibility = asked.permission.visibility
        if visibility is None:
            return ()
        limited = (
            visibility.leaves_organizations_out or not self._contexts_asked(asked) <= visibility.inscription_contexts
        )
        return (LINES_FILTERED,) if limited else ()

    def _contexts_asked(self, asked: Admitted[ConsultInscriptions]) -> frozenset[InscriptionContext]:
        """The contexts named; when none is, those that exist for the caller's tenant."""
        named = frozenset(asked.request.inscription_contexts)
        return named or frozenset(self._known_contexts(asked.permission.tenant))

    def _compare(
        self, asked: Admitted[InsertInscription], given: LegalData | None, person: Person
    ) -> tuple[tuple[Anomaly, ...], tuple[Anomaly, ...]]:
        """An anomaly for each disagreeing field, and one for each that could not be verified or only in part."""
        if given is None:
            return (), ()
        strict = asked.permission.legal_data_profile is LegalDataProfile.STRICT
        verdicts = compare(given, person, fold=fold_strict if strict else fold_exact)
        mismatches = [
            Anomaly(code=OutcomeCode.LEGAL_DATA_MISMATCH, information=(Information(field_name=verdict.field_name),))
            for verdict in verdicts
            if verdict.verdict is Verdict.MISMATCH
        ]
        unverified = [
            Anomaly(
                code=OutcomeCode.LEGAL_DATA_NOT_VERIFIABLE,
                information=(Information(field_name=verdict.field_name, field_value=verdict.verdict.value),),
            )
            for verdict in verdicts
            if verdict.verdict in {Verdict.NOT_VERIFIABLE, Verdict.PARTIAL}
        ]
        return tuple(mismatches), tuple(unverified)

    def _change(self, asked: Admitted[WriteRequest], file: _File, plan: _Plan, told: Told) -> Change:
        request = asked.request
        ticket = request.information_customer.ticket
        return Change(
            key=LineKey(
                ssin=file.person.ssin, customer=asked.customer, inscription_context=request.inscription_context
            ),
            operation=operation_of(request),
            removed=plan.removed,
            added=plan.added,
            line_count_max=self._lines_max,
            legal_context=request.legal_context,
            customer_ticket=request.information_customer.ticket_stored,
            exchange=asked.exchange,
            claim=TicketClaim(ticket=ticket, content=content_of(request), told=write_told(told)) if ticket else None,
        )


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a declaration changes, and what could not be verified of its legal data."""

    removed: GivenPeriod | None
    added: Period | None
    unverified: tuple[Anomaly, ...] = ()


class _Final(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that the declaration's ticket has been asked about."""

    result: WriteResult


class _Moves:
    """How often the lines of one request moved while it was under way: bounded, and never in a circle (rule 16)."""

    def __init__(self, moves_max: int) -> None:
        self._moves_max = moves_max
        self._seen: set[Ssin] = set()

    def fault_of(self, ssin: Ssin) -> ChainFault | None:
        """Why the lines cannot be followed to this number too."""
        if ssin in self._seen:
            return ChainFault.LOOP
        self._seen.add(ssin)
        return ChainFault.TOO_LONG if len(self._seen) > self._moves_max else None


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """The active file that a request is about, and how the answer names it."""

    person: Person
    answer: SsinAnswer

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """What a writer is told about the file itself: another number (CBI00102), deceased (MSG00009)."""
        replaced, deceased = self.answer.replaces is not None, self.person.decease_date is not None
        if not replaced and not deceased:  # as a rule
            return ()
        codes = [OutcomeCode.SSIN_REPLACED] * replaced + [OutcomeCode.DECEASED] * deceased
        return tuple([Anomaly(code=code) for code in codes])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """Why a request ends before its work: nothing was read or written for it."""

    code: OutcomeCode
    information: tuple[Information, ...] = ()
    ssin: SsinAnswer | None = None

    def consultation(self, file: _File | None = None) -> ConsultResult:
        """The refusal as the answer to a consultation, about the file when one was found."""
        return ConsultResult(status=self._status(StatusValue.NO_RESULT), ssin=file.answer if file else self.ssin)

    def declaration(self, file: _File | None = None) -> WriteResult:
        """The refusal as the answer to a declaration, about the file when one was found."""
        return WriteResult(status=self._status(StatusValue.NOK), ssin=file.answer if file else self.ssin)

    def _status(self, value: StatusValue) -> Status:
        return Status(value=value, code=self.code, information=self.information)


def _refusal_of_period(period: GivenPeriod | None, field_name: str) -> _Refusal | None:
    if period is None or not period.is_reversed:
        return None
    # E9. The value named is the caller's own end date.
    named = Information(field_name=f"{field_name}.endDate", field_value=str(period.end_date))
    return _Refusal(code=OutcomeCode.CONTENT_INVALID, information=(named,))


def _refusal_of_cut(period: GivenPeriod | None) -> _Refusal | None:
    # A period that says nothing is rather a mistake than the wish to remove everything, which has its own form [D].
    if period is not None and period.begin_date is None and period.end_date is None:
        return _Refusal(code=OutcomeCode.CONTENT_INVALID, information=(Information(field_name="period"),))
    return _refusal_of_period(period, "period")


def _to_the_end(period: GivenPeriod) -> GivenPeriod:
    """The same days to cut out, without end when it is the calendar's last day.

    What an open line has after 9999-12-31 is no day that the wire, or a `date`, can tell: it must not stay behind.
    """
    return replace(period, end_date=None) if period.end_date == date.max else period


def _answer_about(asked: Admitted[InscriptionRequest], current: Ssin) -> SsinAnswer:
    return SsinAnswer(current=current, replaces=asked.ssin if current != asked.ssin else None)


def _added_by(request: WriteRequest) -> Period | None:
    """The days that a declaration adds; its period is known not to be reversed."""
    match request:
        case InsertInscription(period=period):
            return Period.of(period)
        case UpdateInscription(new_period=new_period):
            return Period.of(new_period)
        case DeleteInscription():
            return None


def _anomalies_of_addition(changed: Changed, added: Period) -> tuple[Anomaly, ...]:
    """CBI00401 when the very line stood there (rule 31), CBI00402 when others were met (rule 32)."""
    if not changed.changed and any(line.period == added for line in changed.lines):
        return (Anomaly(code=OutcomeCode.INSCRIPTION_IDENTICAL),)
    if changed.merged:
        return (Anomaly(code=OutcomeCode.INSCRIPTION_MERGED),)
    return ()


def done(told: Told, changed: Changed, added: Period | None) -> WriteResult:
    """The answer to a declaration, by what its change did."""
    if not changed.found:
        status = Status(value=StatusValue.NOK, code=OutcomeCode.INSCRIPTION_NOT_FOUND)
        return WriteResult(status=status, ssin=told.ssin, inscriptions=changed.lines)
    if not changed.fits:
        too_many = Information(field_name="inscriptions", field_value=str(len(changed.lines)))
        status = Status(value=StatusValue.NOK, code=OutcomeCode.CONTENT_INVALID, information=(too_many,))
        return WriteResult(status=status, ssin=told.ssin)
    of_lines = () if added is None else _anomalies_of_addition(changed, added)
    return WriteResult(
        status=_DONE,
        ssin=told.ssin,
        anomalies=(*told.anomalies, *of_lines),
        inscriptions=changed.lines,
    )


def _write_page(last: Inscription) -> str:
    """A token for what comes after this line: opaque to callers, and no secret.

    It only says a position: whoever makes one up reads no other lines by it than without it.
    """
    if last.organization is None:
        raise AssertionError("the store names the organisation of every line")
    position = [last.inscription_context, last.period.begin_date.isoformat(), last.organization.key]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _read_page(token: str | None) -> PageStart | _Refusal | None:
    """Where the page of a token begins; a refusal when this service did not give the token."""
    if token is None:
        return None
    try:
        context, begin_date, organization = json.loads(base64.urlsafe_b64decode(token.encode()))
        return PageStart(
            inscription_context=InscriptionContext(context),
            begin_date=date.fromisoformat(begin_date),
            organization=CustomerIdentification.of_key(organization),
        )
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return _Refusal(code=OutcomeCode.CONTENT_INVALID, information=(Information(field_name="next"),))
