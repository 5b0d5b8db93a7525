"""The repertory on our own store: the rules in the order of contract.md section 4, from existence to writing."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Protocol
from uuid import UUID

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import ServiceUnavailable
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_data import LegalData, Person
from cbss_inscription.domain.line_set import Change, Changed, LineKey, PageStart
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
from cbss_inscription.registers.port import PersonRegister
from cbss_inscription.registers.resolution import CANCELED, HOPS_MAX, Found, NotActive, Unknown, resolve
from cbss_inscription.repertory.port import Admitted

LINES_MAX: Final = 1_000
"""Lines of one (ssin, customer, context): every write answers them all, and its history keeps them [D]."""
PAGE_SIZE_LINES: Final = 500
"""Lines of one consultation's answer; `next` fetches more (contract.md section 3)."""
_EVERYTHING: Final = GivenPeriod(begin_date=None)


class LineStore(Protocol):
    """Where the lines are kept. Each change is atomic, and changes of one SSIN follow each other."""

    async def lines(
        self,
        ssin: Ssin,
        customer: CustomerIdentification,
        contexts: Collection[InscriptionContext],
        *,
        overlapping: GivenPeriod | None,
        after: PageStart | None,
        limit: int,
    ) -> tuple[Inscription, ...]:
        """The lines of these contexts that overlap the period, by context and begin date, at most `limit`."""
        ...

    async def change(self, change: Change) -> Changed:
        """What the change did; nothing is written when it does not find what it names, or would leave too many lines.

        Each change that changes something leaves one history row.
        """
        ...

    async def look(self) -> None:
        """Nothing, when the store answers. Raises `ServiceUnavailable`."""
        ...


class DataAnomalyLog(Protocol):
    """Where an operator learns of files that contradict each other (rule 16)."""

    def found_data_anomaly(self, *, ticket_cbss: UUID, reason: str) -> None:
        """One line: the chain of replacements met in this exchange is a `loop`, `too-long` or `broken`."""
        ...


class EmbeddedRepertory:
    """A `Repertory` on our own `LineStore` and `PersonRegister`; the contexts it knows are given to it (rule 28)."""

    def __init__(
        self,
        *,
        registers: PersonRegister,
        lines: LineStore,
        known_contexts: Collection[InscriptionContext],
        data_anomalies: DataAnomalyLog,
        lines_max: int = LINES_MAX,
        hops_max: int = HOPS_MAX,
        page_size: int = PAGE_SIZE_LINES,
    ) -> None:
        self._registers = registers
        self._lines = lines
        self._known_contexts = frozenset(known_contexts)
        self._data_anomalies = data_anomalies
        self._lines_max = lines_max
        self._hops_max = hops_max
        self._page_size = page_size

    async def consult(self, asked: Admitted[ConsultInscriptions]) -> ConsultResult:
        """See `Repertory.consult`."""
        request = asked.request
        file = await self._file_of(asked)
        if isinstance(file, _Refusal):
            return file.consultation()
        refusal = self._refusal_of_contexts(asked, request.inscription_contexts) or _refusal_of_period(
            request.period, "period"
        )
        if refusal is not None:
            return refusal.consultation(file)
        page_start = _read_page(request.next)
        if isinstance(page_start, _Refusal):
            return page_start.consultation(file)
        lines = await self._lines.lines(
            file.person.ssin,
            asked.customer,
            request.inscription_contexts or asked.permission.inscription_contexts & self._known_contexts,
            overlapping=request.period,
            after=page_start,
            limit=self._page_size + 1,
        )
        page, more = lines[: self._page_size], len(lines) > self._page_size
        status = (
            Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)
            if page
            else Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA)
        )
        return ConsultResult(
            status=status, ssin=file.answer, inscriptions=page, next=_write_page(page[-1]) if more else None
        )

    async def insert(self, asked: Admitted[InsertInscription]) -> WriteResult:
        """See `Repertory.insert`."""
        request = asked.request
        file = await self._file_of(asked)
        if isinstance(file, _Refusal):
            return file.declaration()
        refusal = self._refusal_of_contexts(asked, (request.inscription_context,))
        if refusal is not None:
            return refusal.declaration(file)
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
        period = Period.of(request.period)
        changed = await self._lines.change(self._change(asked, file, removed=None, added=period))
        identical = not changed.changed and any(line.period == period for line in changed.lines)
        return _done(file, changed, unverified, _anomalies_of_addition(changed, identical=identical))

    async def update(self, asked: Admitted[UpdateInscription]) -> WriteResult:
        """See `Repertory.update`."""
        request = asked.request
        file = await self._file_of(asked)
        if isinstance(file, _Refusal):
            return file.declaration()
        refusal = (
            self._refusal_of_contexts(asked, (request.inscription_context,))
            or _refusal_of_period(request.period, "period")
            or _refusal_of_period(request.new_period, "newPeriod")
        )
        if refusal is not None:
            return refusal.declaration(file)
        period = Period.of(request.new_period)
        changed = await self._lines.change(self._change(asked, file, removed=request.period, added=period))
        return _done(file, changed, (), _anomalies_of_addition(changed, identical=not changed.changed))

    async def delete(self, asked: Admitted[DeleteInscription]) -> WriteResult:
        """See `Repertory.delete`."""
        request = asked.request
        file = await self._file_of(asked)
        if isinstance(file, _Refusal):
            return file.declaration()
        refusal = self._refusal_of_contexts(asked, (request.inscription_context,)) or _refusal_of_cut(request.period)
        if refusal is not None:
            return refusal.declaration(file)
        removed = _to_the_end(request.period or _EVERYTHING)
        changed = await self._lines.change(self._change(asked, file, removed=removed, added=None))
        return _done(file, changed, (), ())

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

    async def _file_of(self, asked: Admitted[InscriptionRequest]) -> _File | _Refusal:
        """The active file of the number asked, or why there is none to work on."""
        chain = await self._registers.chain_of(asked.ssin, hops_max=self._hops_max)
        match resolve(asked.ssin, chain, hops_max=self._hops_max):
            case Unknown():
                return _Refusal(code=OutcomeCode.SSIN_UNKNOWN)
            case NotActive(last=last, reason=reason):
                if reason != CANCELED:
                    self._data_anomalies.found_data_anomaly(ticket_cbss=asked.exchange.ticket_cbss, reason=reason)
                answer = SsinAnswer(
                    current=last.ssin,
                    replaces=asked.ssin if last.ssin != asked.ssin else None,
                    canceled=reason == CANCELED,
                )
                return _Refusal(code=OutcomeCode.SSIN_CANCELED, ssin=answer)
            case Found(person=person, replaces=replaces):
                if replaces is not None and asked.permission.replaced_numbers is ReplacedNumbers.REFUSE:
                    new_ssin = Information(field_name="newSSIN", field_value=person.ssin.digits)
                    return _Refusal(code=OutcomeCode.SSIN_REPLACED_REFUSED, information=(new_ssin,))
                return _File(person=person, answer=SsinAnswer(current=person.ssin, replaces=replaces))

    def _refusal_of_contexts(
        self, asked: Admitted[InscriptionRequest], contexts: Collection[InscriptionContext]
    ) -> _Refusal | None:
        for context in contexts:
            if context not in self._known_contexts or context not in asked.permission.inscription_contexts:
                named = Information(field_name="inscriptionContext", field_value=context)
                return _Refusal(code=OutcomeCode.INSCRIPTION_CONTEXT_NOT_GRANTED, information=(named,))
        return None

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

    def _change(
        self, asked: Admitted[WriteRequest], file: _File, *, removed: GivenPeriod | None, added: Period | None
    ) -> Change:
        request = asked.request
        return Change(
            key=LineKey(
                ssin=file.person.ssin, customer=asked.customer, inscription_context=request.inscription_context
            ),
            operation=operation_of(request),
            removed=removed,
            added=added,
            line_count_max=self._lines_max,
            legal_context=request.legal_context,
            customer_ticket=request.information_customer.ticket_stored,
            exchange=asked.exchange,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """The active file that a request is about, and how the answer names it."""

    person: Person
    answer: SsinAnswer

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """What a writer is told about the file itself: another number (CBI00102), deceased (MSG00009)."""
        told = []
        if self.answer.replaces is not None:
            told.append(Anomaly(code=OutcomeCode.SSIN_REPLACED))
        if self.person.decease_date is not None:
            told.append(Anomaly(code=OutcomeCode.DECEASED))
        return tuple(told)


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


def _anomalies_of_addition(changed: Changed, *, identical: bool) -> tuple[Anomaly, ...]:
    """CBI00401 when the very line stood there (rule 31), CBI00402 when others were met (rule 32)."""
    if identical:
        return (Anomaly(code=OutcomeCode.INSCRIPTION_IDENTICAL),)
    if changed.merged:
        return (Anomaly(code=OutcomeCode.INSCRIPTION_MERGED),)
    return ()


def _done(file: _File, changed: Changed, unverified: tuple[Anomaly, ...], of_lines: tuple[Anomaly, ...]) -> WriteResult:
    if not changed.found:
        status = Status(value=StatusValue.NOK, code=OutcomeCode.INSCRIPTION_NOT_FOUND)
        return WriteResult(status=status, ssin=file.answer, inscriptions=changed.lines)
    if not changed.fits:
        too_many = Information(field_name="inscriptions", field_value=str(len(changed.lines)))
        return _Refusal(code=OutcomeCode.CONTENT_INVALID, information=(too_many,)).declaration(file)
    return WriteResult(
        status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS),
        ssin=file.answer,
        anomalies=(*file.anomalies, *unverified, *of_lines),
        inscriptions=changed.lines,
    )


def _write_page(last: Inscription) -> str:
    """A token for what comes after this line: opaque to callers, and no secret, for it reads only their own lines."""
    text = json.dumps([last.inscription_context, last.period.begin_date.isoformat()])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_page(token: str | None) -> PageStart | _Refusal | None:
    """Where the page of a token begins; a refusal when this service did not give the token."""
    if token is None:
        return None
    try:
        context, begin_date = json.loads(base64.urlsafe_b64decode(token.encode()))
        return PageStart(inscription_context=InscriptionContext(context), begin_date=date.fromisoformat(begin_date))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return _Refusal(code=OutcomeCode.CONTENT_INVALID, information=(Information(field_name="next"),))
