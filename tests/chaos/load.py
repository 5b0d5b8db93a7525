"""Signed calls of several callers at once, and what each of them remembers of its declarations."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from uuid import uuid4

import msgspec

from cbss_inscription.client import FaultReceived, InscriptionClient, Period, ReplyUnreadable, ServiceUnreachable
from cbss_inscription.client.call import Answer
from cbss_inscription.client.errors import Obstacle
from cbss_inscription.client.profile import Profile
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.results import StatusValue, WriteResult

CALLER_SECONDS = 9.0
"""A caller's deadline: beyond the façade's 6 seconds and the one for the record of a late answer."""
TOLERANCE_SECONDS = 2.0
"""How much longer a call may take by the clock of a busy machine on which everything runs, the callers too."""
PAUSE_SECONDS = 0.02
AWAY_SECONDS = 0.5
"""Before the next call of a caller that met nobody."""
_FIRST_DAY = date(1970, 1, 1).toordinal()


class Told(StrEnum):
    """What a caller knows of a declaration."""

    DONE = "done"
    NOT_DONE = "not done"
    """By an answer that refuses, or because there was no connection at all."""
    UNKNOWN = "unknown"
    """No reply, no readable one, or a fault of the service's."""


@dataclass(kw_only=True)
class Declaration:
    """One write: everything that is needed to send it again, and what was told of it."""

    ticket: str
    ssin: str
    context: str
    day: int
    is_insert: bool
    told: Told = Told.UNKNOWN
    reason: str = ""

    @property
    def period(self) -> Period:
        day = date.fromordinal(self.day)
        return Period(begin_date=day, end_date=day)

    def send(self, client: InscriptionClient) -> Answer[WriteResult]:
        """The answer to it, under its ticket."""
        call = client.insert_inscription if self.is_insert else client.delete_inscription
        return call(self.ssin, inscription_context=self.context, period=self.period, ticket=self.ticket)


@dataclass(kw_only=True)
class Caller:
    """An application that consults, inserts and deletes, one call after the other; its numbers are its own."""

    number: int
    seed: int
    profile: Profile
    ssins: list[str]
    context: str
    is_over: threading.Event
    declarations: list[Declaration] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    tickets_cbss: set[str] = field(default_factory=set)
    """Of the service, of each call that was answered."""
    longest_seconds: float = 0.0
    unexpected: list[str] = field(default_factory=list)
    """What no disturbance explains."""
    _days: dict[str, int] = field(default_factory=dict)

    def run(self) -> None:
        """Nothing, when it is over; every call and what came of it is remembered."""
        dice = random.Random(f"{self.seed} {self.number}")
        profile = msgspec.structs.replace(self.profile, timeout_seconds=CALLER_SECONDS)
        with InscriptionClient(profile) as client:
            while not self.is_over.is_set():
                lot, ssin = dice.random(), dice.choice(self.ssins)
                began = time.monotonic()
                if lot < 0.4:
                    self._consult(client, ssin)
                else:
                    declaration = self._next_insert(ssin) if lot < 0.85 else self._next_delete(dice)
                    self.declarations.append(declaration)
                    self._declare(client, declaration)
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
                time.sleep(PAUSE_SECONDS)

    def _next_insert(self, ssin: str) -> Declaration:
        # Days apart, so that no line merges with another.
        day = self._days[ssin] = self._days.get(ssin, _FIRST_DAY) + 2
        return Declaration(ticket=str(uuid4()), ssin=ssin, context=self.context, day=day, is_insert=True)

    def _next_delete(self, dice: random.Random) -> Declaration:
        gone = {(one.ssin, one.day) for one in self.declarations if not one.is_insert}
        there = [one for one in self.declarations if one.is_insert and one.told is Told.DONE]
        there = [one for one in there if (one.ssin, one.day) not in gone]
        if not there:
            return self._next_insert(dice.choice(self.ssins))
        line = dice.choice(there)
        return Declaration(ticket=str(uuid4()), ssin=line.ssin, context=line.context, day=line.day, is_insert=False)

    def _consult(self, client: InscriptionClient, ssin: str) -> None:
        try:
            answer = client.consult_inscriptions(ssin)
        except (FaultReceived, ServiceUnreachable, ReplyUnreadable) as error:
            self._failed(error)
        else:
            self._answered(answer)
            code = answer.result.status.code
            self.outcomes[f"consult {code}"] += 1
            if code not in {OutcomeCode.SUCCESS, OutcomeCode.NO_DATA, OutcomeCode.SOURCE_UNREACHABLE}:
                self.unexpected.append(f"consult {code}")

    def _declare(self, client: InscriptionClient, declaration: Declaration) -> None:
        try:
            answer = declaration.send(client)
        except (FaultReceived, ServiceUnreachable, ReplyUnreadable) as error:
            declaration.reason = self._failed(error)
            if isinstance(error, ServiceUnreachable) and error.obstacle is Obstacle.UNREACHABLE:
                declaration.told = Told.NOT_DONE
        else:
            self._answered(answer)
            status = answer.result.status
            declaration.reason = f"declare {status.code}"
            self.outcomes[declaration.reason] += 1
            declaration.told = Told.DONE if status.value is StatusValue.OK else Told.NOT_DONE
            if status.code not in {OutcomeCode.SUCCESS, OutcomeCode.SOURCE_UNREACHABLE}:
                self.unexpected.append(declaration.reason)

    def _answered(self, answer: Answer[object]) -> None:
        assert answer.information_cbss is not None
        self.tickets_cbss.add(str(answer.information_cbss.ticket_cbss))

    def _failed(self, error: FaultReceived | ServiceUnreachable | ReplyUnreadable) -> str:
        if isinstance(error, FaultReceived):
            reason = f"fault {error.code}"
            if error.code not in {"SOA-02002", "SOA-02001"}:
                self.unexpected.append(str(error))
        elif isinstance(error, ServiceUnreachable):
            reason = f"no reply: {error.obstacle}"
            if error.obstacle is Obstacle.UNREACHABLE:
                time.sleep(AWAY_SECONDS)
        else:
            reason = f"unreadable: {error.reason}"
        self.outcomes[reason] += 1
        return reason
