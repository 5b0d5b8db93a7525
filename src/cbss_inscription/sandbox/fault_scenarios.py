"""The numbers of a sandbox that make a request go wrong: ordinary persons of its population, each with a rule.

A request for one of them is disturbed at the façade's doors in the way that the scenario's name says, every time; with
another number the same request is answered as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from cbss_inscription.domain.legal_data import FileStatus
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.sandbox.faults import FaultKind, FaultRule, Moment
from cbss_inscription.sandbox.population import PERSONS_MIN, Population

SHORT_SECONDS: Final = 1.0
"""A delay that a patient caller sits out."""
LONG_SECONDS: Final = 45.0
"""A delay beyond the 30 seconds that the SDK waits by itself."""
_NOT_OF_A_FACADE: Final = frozenset({OutcomeCode.SUCCESS, OutcomeCode.INTERNAL_ERROR})
"""No fault, and what a failure is called at KSZ's doors alone."""


def fault_scenarios(population: Population) -> tuple[FaultRule, ...]:
    """A rule for each way to go wrong, by the names and in the order that documentation and sandbox.json have."""
    ssins = _numbers(population)

    def rule(name: str, fault: FaultKind, *, seconds: float | None = None, moment: Moment = Moment.BEFORE) -> FaultRule:
        length = None if seconds is None else (seconds, seconds)
        return FaultRule(name=name, fault=fault, ssin=next(ssins), seconds=length, moment=moment)

    transport = (
        rule("delay", FaultKind.DELAY, seconds=SHORT_SECONDS),
        rule("delay-after", FaultKind.DELAY, seconds=SHORT_SECONDS, moment=Moment.AFTER),
        rule("silence", FaultKind.DELAY, seconds=LONG_SECONDS),
        rule("silence-after", FaultKind.DELAY, seconds=LONG_SECONDS, moment=Moment.AFTER),
        rule("drop", FaultKind.DROP),
        rule("drop-after", FaultKind.DROP, moment=Moment.AFTER),
        rule("half-reply", FaultKind.HALF_REPLY),
        rule("wrong-ticket", FaultKind.WRONG_TICKET),
    )
    codes = tuple(
        FaultRule(name=f"code-{code.lower()}", fault=FaultKind.CODE, code=code, ssin=next(ssins))
        for code in OutcomeCode
        if code not in _NOT_OF_A_FACADE
    )
    return (*transport, *codes)


def _numbers(population: Population) -> Iterator[str]:
    """Numbers of persons who are nothing special, living ones first: of the first files, hence in every size."""
    taken = {scenario.ssin for scenario in population.scenarios.values()}
    taken |= {scenario.current.digits for scenario in population.scenarios.values() if scenario.current is not None}
    ordinary = [
        person
        for person in islice(population.persons, PERSONS_MIN)
        if person.status is FileStatus.ACTIVE and person.ssin.digits not in taken
    ]
    return iter([person.ssin.digits for person in sorted(ordinary, key=lambda one: one.decease_date is not None)])
