"""The short way of plain lines against the way through their use case: one answer, and one change (rule 37)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cbss_inscription.batch.plain_lines import PlainLines
from cbss_inscription.batch.request import request_of
from cbss_inscription.domain.batch import BatchLegalData, BatchLine
from cbss_inscription.domain.errors import NotAuthorized, RepertoryUnavailable
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.ssin import InvalidSsin, Ssin
from cbss_inscription.governance.access import AccessRules, AgreedVolume, Visibility, VolumeWindow
from cbss_inscription.governance.volumes import VolumeMeter
from cbss_inscription.registers.resolution import HOPS_MAX
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.repertory.in_hand import FilesInHand, LinesInHand
from cbss_inscription.usecases.carry_out import carry_out
from tests.batch.test_batch_equivalence import (
    ANYTHING,
    CONSULT,
    CONTEXTS,
    DELETE,
    INSERT,
    NUMBERS,
    PERSONS,
    STORY,
    UPDATE,
    line,
    lines,
    permissions,
)
from tests.batch.works import LINES_MAX, VolumesUnread, header
from tests.conftest import FoundDataAnomalies
from tests.repertory.memory import MemoryRegister
from tests.repertory.office import CALLER, DEBT, OWN, WAGE, permission_of, rules_of, ssin_of

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
KNOWN = frozenset({WAGE, DEBT})
AWAY, MOVED = ssin_of(9), ssin_of(10)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


class Chunk:
    """Lines that are answered over what is in hand: by their use cases, or the short way where they are plain."""

    def __init__(
        self, runner: asyncio.Runner, rules: AccessRules, *, short: bool, known: frozenset[InscriptionContext] = KNOWN
    ) -> None:
        self._runner, self._rules, self._short = runner, rules, short
        register = MemoryRegister({person.ssin: person for person in PERSONS})
        chains: dict[Ssin, Any] = {
            ssin: runner.run(register.chain_of(ssin, hops_max=HOPS_MAX)) for ssin in map(Ssin, NUMBERS)
        }
        chains[AWAY] = RepertoryUnavailable("away")
        self._hand = LinesInHand(
            customer=OWN, changed_at=NOW, own={}, others={}, answered={}, moved={MOVED: ssin_of(1)}
        )
        self._log = FoundDataAnomalies()
        self._repertory = EmbeddedRepertory(
            registers=FilesInHand(chains),
            lines=self._hand,
            known_contexts=lambda tenant: known,
            data_anomalies=self._log,
            lines_max=LINES_MAX,
        )
        self._plain = PlainLines(
            rules=rules,
            known_contexts=lambda tenant: known,
            chains=chains,
            hand=self._hand,
            lines_max=LINES_MAX,
            caller=CALLER,
            now=NOW,
        )
        self.plain_lines: list[BatchLine] = []

    def answer(self, file: list[BatchLine]) -> Any:
        """What each line ended with, by which rules it was decided, and what all of them left behind."""
        volumes = VolumeMeter(log=VolumesUnread())
        endings: list[Any] = []
        for number, one in enumerate(file):
            if one.refused is not None:
                continue
            request = request_of(one, header())
            exchange = Exchange(ticket_cbss=UUID(int=number), timestamp_receive=NOW, caller=CALLER)
            ssin = _parsed(one.ssin) if self._short else None
            answered = None if ssin is None else self._plain.answer(request, ssin, exchange.ticket_cbss)
            if answered is not None:
                self.plain_lines.append(one)
                endings.append((answered[0], answered[1].trail))
                continue
            ending: Any
            try:
                ending = self._runner.run(
                    carry_out(request, exchange, rules=self._rules, repertory=self._repertory, volumes=volumes)
                )
            except NotAuthorized as error:
                ending = error.reason
            endings.append((ending, exchange.trail))
        hand = self._hand
        return endings, hand.own, hand.is_new, hand.history, hand.remembered, self._log.reasons


def _parsed(digits: str) -> Ssin | None:
    try:
        return Ssin.parse(digits)
    except InvalidSsin:
        return None


@example(file=STORY, permission=ANYTHING, known=KNOWN)
@given(
    file=st.lists(lines, max_size=25),
    permission=permissions,
    known=st.sampled_from([KNOWN, KNOWN, frozenset({WAGE})]),
)
@settings(deadline=None)
def test_rule_37_the_short_way_ends_where_the_use_case_does(
    runner: asyncio.Runner, file: list[BatchLine], permission: dict[str, Any], known: frozenset[InscriptionContext]
) -> None:
    """With or without the short way every line has one ending, decided by the same rules, and lines, history and
    tickets are the same afterwards; whatever numbers, contexts and permissions (rules 37, 38).
    """
    rules = rules_of(permission_of(OWN, **permission))
    short, long = (Chunk(runner, rules, short=is_short, known=known) for is_short in (True, False))
    assert short.answer(file) == long.answer(file)


PLAIN = [
    line(1, INSERT, (0, 1), ticket="a"),
    line(1, INSERT, (1, None), legal_data=BatchLegalData(last_name="vandenbroeckelaere", gender=2)),
    line(1, CONSULT),
    line(1, CONSULT, inscription_contexts=()),
    line(1, UPDATE, (0, None), (5, 6), ticket="b"),
    line(1, DELETE, (5, 5)),
    line(1, DELETE, ticket="c"),
    line(1, DELETE),  # there is none
]
NOT_PLAIN = [
    line(1, INSERT, (0, 1), ticket="a"),  # answered before
    line(1, INSERT, (1, 0)),
    line(1, INSERT, (0, 1), legal_data=BatchLegalData(last_name="Janssens", gender=2)),
    line(1, INSERT, (0, 1), legal_data=BatchLegalData(birth_date="1985-07-00")),
    line(1, INSERT, (0, 1), inscription_contexts=(CONTEXTS[2],)),  # not granted
    line(1, UPDATE, (1, 0), (5, 6)),
    line(1, UPDATE, (0, 1), (6, 5)),
    line(1, DELETE, (None, 5)),
    line(1, DELETE, (5, 4)),
    line(1, CONSULT, (0, 1)),
    line(1, CONSULT, inscription_contexts=(CONTEXTS[0], CONTEXTS[2])),
    *(line(index, CONSULT) for index in (2, 3, 5, 7, 9, 10)),  # deceased, replaced, canceled, in a circle, away, moved
    line(99, CONSULT),  # unknown
]


def test_rule_37_what_is_plain_goes_the_short_way_and_nothing_else(runner: asyncio.Runner) -> None:
    """All that nothing stands in the way of goes the short way, and whatever has its own rule does not (rule 37)."""
    chunk = Chunk(runner, rules_of(permission_of(OWN)), short=True)
    chunk.answer([*PLAIN, *NOT_PLAIN])
    assert chunk.plain_lines == PLAIN


@pytest.mark.parametrize(
    "permission",
    [
        {"visibility": Visibility(inscription_contexts=frozenset({WAGE}))},
        {"volumes": (AgreedVolume(window=VolumeWindow.DAY, limit=100),)},
        {"operations": (Operation.HEALTH_CHECK,)},
    ],
)
def test_rule_37_under_permissions_with_more_to_them_no_line_is_plain(
    runner: asyncio.Runner, permission: dict[str, Any]
) -> None:
    """Where others' lines are seen, a volume is agreed, or nothing is granted, lines go their use case (rule 37)."""
    chunk = Chunk(runner, rules_of(permission_of(OWN, **permission)), short=True)
    chunk.answer(PLAIN)
    assert chunk.plain_lines == []
