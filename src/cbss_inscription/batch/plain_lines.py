"""The short way of plain lines, as most of a batch are, to the answer that their use case would give them (rule 37).

Nothing stands in the way of a plain line: its contexts are granted and no volume is agreed, its person has one file, an
active one, with which its legal data agree, nobody else's lines are to be seen, its period is no riddle and its ticket
is new.
Whatever else a line says goes through its use case; a property holds both ways to the same answers and changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from cbss_inscription.batch.files import Chain
from cbss_inscription.domain.errors import NotAuthorized, RepertoryUnavailable
from cbss_inscription.domain.exchange import Caller, Exchange, Trail
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_data import FileStatus, Person
from cbss_inscription.domain.line_set import TicketClaim
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    InscriptionRequest,
    InsertInscription,
    UpdateInscription,
    WriteRequest,
    contexts_named,
    operation_of,
)
from cbss_inscription.domain.results import ConsultResult, InscriptionResult, SsinAnswer, WriteResult
from cbss_inscription.domain.spans import EVER, FOREVER, Span, period_of, span_of
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import LegalDataProfile, Permission
from cbss_inscription.registers.matching import Verdict, compare, fold_exact, fold_strict
from cbss_inscription.repertory.embedded import FOUND, NOTHING_FOUND, PAGE_SIZE_LINES, done
from cbss_inscription.repertory.in_hand import LinesInHand, SpanChange
from cbss_inscription.repertory.tickets import Told, content_of, write_told
from cbss_inscription.usecases.authorization import Decisions, permit

_ALL_DAYS: Final[Span] = (EVER, FOREVER)
_ACTIVE: Final = FileStatus.ACTIVE  # looked at for each line: of an enumeration it is found ten times as slowly


class Grant(NamedTuple):
    """By what the requests of one operation about the same contexts are granted."""

    permission: Permission
    trail: Trail
    contexts: tuple[InscriptionContext, ...]
    """Those whose lines a consultation tells, in their order."""


class PlainLines:
    """Answers the plain lines of one chunk, over what is in hand for it."""

    def __init__(
        self,
        *,
        rules: Decisions,
        known_contexts: Callable[[str], Collection[InscriptionContext]],
        chains: Mapping[Ssin, Chain],
        hand: LinesInHand,
        lines_max: int,
        caller: Caller,
        now: datetime,
    ) -> None:
        self._rules = rules
        self._known_contexts = known_contexts
        self._chains = chains
        self._hand = hand
        self._lines_max = lines_max
        self._caller = caller
        self._now = now
        self._grants: dict[tuple[type[InscriptionRequest], tuple[InscriptionContext, ...]], Grant | None] = {}

    def answer(
        self, request: InscriptionRequest, ssin: Ssin, ticket_cbss: UUID
    ) -> tuple[InscriptionResult, Grant] | None:
        """The answer to a request about this number, and what granted it; None for one that is not plain."""
        kind = (type(request), contexts_named(request))
        if kind not in self._grants:
            self._grants[kind] = self._grant_of(request, ticket_cbss)
        grant = self._grants[kind]
        person = self._active_person(ssin)
        if grant is None or person is None:
            return None
        answer: InscriptionResult | None
        if isinstance(request, ConsultInscriptions):
            answer = self._consultation(request, ssin, grant)
        elif _agrees(request, person, grant):
            answer = self._declaration(request, ssin, ticket_cbss)
        else:
            answer = None
        return None if answer is None else (answer, grant)

    def _grant_of(self, request: InscriptionRequest, ticket_cbss: UUID) -> Grant | None:
        """What grants requests of this kind, whoever asks and for whom being the same in all of a chunk."""
        asked = Exchange(ticket_cbss=ticket_cbss, timestamp_receive=self._now, caller=self._caller)
        try:
            permission = permit(request, asked, self._rules)
        except NotAuthorized:
            return None
        if not isinstance(permission, Permission) or permission.volumes or permission.visibility is not None:
            return None
        granted = permission.inscription_contexts & frozenset(self._known_contexts(permission.tenant))
        named = frozenset(contexts_named(request))
        if not named <= granted:
            return None
        return Grant(permission=permission, trail=asked.trail, contexts=tuple(sorted(named or granted)))

    def _active_person(self, ssin: Ssin) -> Person | None:
        """The person who has one file, of which there is nothing to tell."""
        chain = self._chains.get(ssin, ())
        moved = self._hand.moved
        if isinstance(chain, RepertoryUnavailable) or len(chain) != 1 or (moved and ssin in moved):
            return None
        person = chain[0]
        return person if person.status is _ACTIVE and person.decease_date is None else None

    def _consultation(self, request: ConsultInscriptions, ssin: Ssin, grant: Grant) -> ConsultResult | None:
        if request.period is not None or request.next is not None:
            return None
        sets = self._hand.own.get(ssin.number, {})
        lines = [
            Inscription(inscription_context=context, period=period_of(span), last_change=last_change)
            for context in grant.contexts
            if context in sets
            for span, last_change in zip(sets[context].spans, sets[context].last_changes, strict=True)
        ]
        if len(lines) > PAGE_SIZE_LINES:
            return None
        return ConsultResult(
            status=FOUND if lines else NOTHING_FOUND, ssin=SsinAnswer(current=ssin), inscriptions=tuple(lines)
        )

    def _declaration(self, request: WriteRequest, ssin: Ssin, ticket_cbss: UUID) -> WriteResult | None:
        spans = _spans_of(request)
        ticket = request.information_customer.ticket
        if spans is None or self._hand.is_known(ticket):
            return None
        removed, added = spans
        told = Told(ssin=SsinAnswer(current=ssin), anomalies=())
        changed = self._hand.do(
            SpanChange(operation=operation_of(request), removed=removed, added=added, line_count_max=self._lines_max),
            ssin.number,
            request.inscription_context,
            ticket_cbss=ticket_cbss,
            customer_ticket=request.information_customer.ticket_stored,
            claim=TicketClaim(ticket=ticket, content=content_of(request), told=write_told(told)) if ticket else None,
        )
        return done(told, changed, None if added is None else period_of(added))


def _agrees(request: WriteRequest, person: Person, grant: Grant) -> bool:
    """Whether each datum that a declaration gives is that of the file, whole."""
    if not isinstance(request, InsertInscription) or request.legal_data is None:
        return True
    is_strict = grant.permission.legal_data_profile is LegalDataProfile.STRICT
    verdicts = compare(request.legal_data, person, fold=fold_strict if is_strict else fold_exact)
    return all(verdict.verdict is Verdict.MATCH for verdict in verdicts)


def _spans_of(request: WriteRequest) -> tuple[Span | None, Span | None] | None:
    """The days that a declaration takes out, and those that it puts in; None for one that is not plain."""
    removed: Span | None = None
    added: Span | None = None
    if isinstance(request, InsertInscription):
        added = span_of(request.period)
    elif isinstance(request, UpdateInscription):
        removed, added = span_of(request.period), span_of(request.new_period)
    elif request.period is None:
        removed = _ALL_DAYS
    elif request.period.begin_date is None or request.period.end_date == date.max:
        return None
    else:
        removed = span_of(request.period)
    return None if _is_reversed(removed) or _is_reversed(added) else (removed, added)


def _is_reversed(span: Span | None) -> bool:
    return span is not None and span[0] >= span[1]
