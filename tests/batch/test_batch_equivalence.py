"""A batch and the same lines as requests, one by one, are answered alike and leave the same behind (rule 37)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cbss_inscription.domain.batch import BatchLegalData, BatchLine
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import (
    AccessRules,
    AgreedVolume,
    LegalDataProfile,
    ReplacedNumbers,
    Visibility,
    VolumeWindow,
)
from tests.batch.works import SometimesAway, Works, plain, told
from tests.repertory.office import (
    AID,
    DEBT,
    GROUND,
    OTHER,
    OTHER_GROUND,
    OWN,
    WAGE,
    permission_of,
    person_of,
    rules_of,
    ssin_of,
)

PERSONS = (
    person_of(1),
    person_of(2, decease_date=IncompleteDate(2020, 1, 0)),
    person_of(3, successor=1),
    person_of(4, successor=3),
    person_of(5, canceled=True),
    person_of(6, successor=5),
    person_of(7, successor=8),
    person_of(8, successor=7),
    person_of(10, birth_date=IncompleteDate(1985, 0, 0), given_names=()),
)
NUMBERS = (*(ssin_of(index).digits for index in (1, 2, 3, 4, 5, 6, 7, 9, 10)), "85073003329", "00000000000")
"""Active, deceased, replaced once and twice, canceled, replaced by that, in a circle, unknown, without names, none."""
EXAMPLES = settings.default.max_examples // 2  # each is two dozen requests and a batch
FIRST = date(2024, 1, 1)
FIRST_RULES = rules_of(permission_of(OWN), permission_of(OTHER))
CONTEXTS = (*map(str, (WAGE, DEBT, AID)), "PCSA:UNHEARD_OF")

days = st.integers(0, 6).map(lambda number: FIRST + timedelta(number))
periods = st.tuples(days, st.none() | days)
cuts = st.tuples(st.none() | days, st.none() | days)
contexts = st.sampled_from((*(CONTEXTS[0],) * 6, *CONTEXTS))
tickets = st.none() | st.sampled_from(["one", "two", "back\\slash\tand tab", "0" * 36])
numbers = st.sampled_from((*NUMBERS[:1] * 10, *NUMBERS))
legal_data = st.none() | st.builds(
    BatchLegalData,
    last_name=st.none() | st.sampled_from(["Vandenbroeckelaere", "VANDENBROECKELAERE", "Janssens"]),
    given_names=st.sampled_from([(), ("Wilhelmina",), ("Wilhelmina", "Josephine"), ("Josephine",)]),
    birth_date=st.none() | st.sampled_from(["1985-07-30", "1985-00-00", "1985-07-00"]),
    gender=st.none() | st.integers(0, 2),
)
said = {"number": st.just(0), "ticket": tickets, "ssin": numbers}
of_one_context = {**said, "inscription_contexts": st.tuples(contexts)}


def operation(one: Operation) -> st.SearchStrategy[Operation]:
    return st.just(one)


lines = st.one_of(
    st.builds(
        BatchLine,
        **of_one_context,
        operation=operation(Operation.INSERT_INSCRIPTION),
        period=periods,
        legal_data=legal_data,
    ),
    st.builds(
        BatchLine,
        **of_one_context,
        operation=operation(Operation.UPDATE_INSCRIPTION),
        period=periods,
        new_period=periods,
    ),
    st.builds(
        BatchLine,
        **of_one_context,
        operation=operation(Operation.DELETE_INSCRIPTION),
        period=st.none() | cuts,
    ),
    st.builds(
        BatchLine,
        **said,
        operation=operation(Operation.CONSULT_INSCRIPTIONS),
        inscription_contexts=st.lists(contexts, max_size=2).map(tuple),
        period=st.none() | cuts,
    ),
    st.builds(BatchLine, number=st.just(0), refused=st.just("SOA-03006")),
)


def numbered(of_file: list[BatchLine]) -> list[BatchLine]:

    return [msgspec.structs.replace(line, number=number) for number, line in enumerate(of_file, start=1)]


def without_tickets(of_file: list[BatchLine]) -> list[BatchLine]:
    return [msgspec.structs.replace(line, ticket=None) for line in of_file]


def line(ssin: int, operation: Operation, *periods: Any, ticket: str | None = None, **more: Any) -> BatchLine:
    """A line about one of PERSONS in the first context; periods by the numbers of their days."""
    read = [
        None if one is None else tuple(None if day is None else FIRST + timedelta(day) for day in one)
        for one in periods
    ]
    values = {"inscription_contexts": (CONTEXTS[0],), "period": None, "new_period": None} | dict(
        zip(("period", "new_period"), read, strict=False)
    )
    return BatchLine(number=0, ssin=ssin_of(ssin).digits, operation=operation, ticket=ticket, **(values | more))


INSERT, UPDATE, DELETE, CONSULT = (
    Operation.INSERT_INSCRIPTION,
    Operation.UPDATE_INSCRIPTION,
    Operation.DELETE_INSCRIPTION,
    Operation.CONSULT_INSCRIPTIONS,
)
STORY = numbered(
    [
        line(1, INSERT, (0, 1), ticket="a"),
        line(1, CONSULT),
        line(1, INSERT, (0, 1), ticket="a"),  # sent again
        line(1, INSERT, (5, 6), ticket="a"),  # a ticket for another content
        line(2, INSERT, (0, 1), ticket="a"),  # and for another person
        line(1, INSERT, (2, 3), ticket="b"),  # adjacent
        line(3, INSERT, (5, None)),  # by a number that was replaced
        line(4, CONSULT),
        line(1, UPDATE, (5, None), (6, 6), ticket="c"),
        line(1, UPDATE, (5, None), (6, 7), ticket="d"),  # is no line any more
        line(1, UPDATE, (5, None), (6, 6), ticket="c"),
        line(1, DELETE, (1, 2), ticket="e"),
        line(1, INSERT, (3, 3)),  # stands there
        line(1, INSERT, (0, 6), inscription_contexts=(CONTEXTS[1],)),
        line(1, CONSULT, inscription_contexts=CONTEXTS[:2]),
        line(1, DELETE, ticket="f"),
        line(1, DELETE),
        line(1, CONSULT),
        line(1, INSERT, (0, 0), ticket="f"),
        *(line(2, INSERT, (day, day)) for day in (0, 2, 4, 6, 8)),  # one too many
        line(5, INSERT, (0, 0), ticket="g"),
        line(1, INSERT, (0, 0), ticket="g", legal_data=BatchLegalData(last_name="Janssens")),
        line(1, INSERT, (4, 4), ticket="g", legal_data=BatchLegalData(last_name="vandenbroeckelaere", gender=2)),
        line(10, INSERT, (4, 4), legal_data=BatchLegalData(given_names=("W",), birth_date="1985-07-30")),
        line(1, INSERT, (9, None), ticket="back\\slash and\ttab"),
        line(1, CONSULT, (None, 3)),
    ]
)
"""What a chunk has to get right though all of it is about the same person."""
ANYTHING: dict[str, Any] = {"volumes": ()}

files = st.lists(lines, max_size=25).map(numbered)
permissions = st.fixed_dictionaries(
    {
        "replaced_numbers": st.sampled_from([ReplacedNumbers.FOLLOW, ReplacedNumbers.FOLLOW, ReplacedNumbers.REFUSE]),
        "legal_data_profile": st.sampled_from(LegalDataProfile),
        "visibility": st.none()
        | st.just(Visibility(inscription_contexts=frozenset({WAGE, AID}), organizations=(OTHER,)))
        | st.just(Visibility(inscription_contexts=frozenset({DEBT}))),
        "volumes": st.just(())
        | st.builds(AgreedVolume, window=st.just(VolumeWindow.DAY), limit=st.integers(1, 20)).map(lambda one: (one,)),
        "operations": st.sampled_from([tuple(Operation), tuple(Operation), (Operation.INSERT_INSCRIPTION,)]),
    }
)


async def nothing() -> None:
    """Nothing; all that is asked is there."""


@dataclass(frozen=True)
class Offices:
    """The same office twice: one asks online, one sends batches."""

    runner: asyncio.Runner
    online: Works
    batch: Works


@pytest.fixture(scope="module")
def offices(make_database: Callable[[str], str]) -> Iterator[Offices]:
    with asyncio.Runner() as runner:
        both = [Works(conninfo=make_database(name), rules=FIRST_RULES) for name in ("online", "batch")]
        for works in both:
            runner.run(works.__aenter__())
            works.load(PERSONS)
        yield Offices(runner, *both)
        for works in both:
            runner.run(works.__aexit__(None, None, None))


@example(before=[], file=STORY, permission=ANYTHING, legal_context=GROUND, chunk_lines=100)
@example(before=[], file=STORY, permission=ANYTHING, legal_context=GROUND, chunk_lines=3)
@given(
    before=st.lists(lines, max_size=8).map(without_tickets),
    file=files,
    permission=permissions,
    legal_context=st.sampled_from([GROUND, GROUND, GROUND, OTHER_GROUND]),
    chunk_lines=st.integers(1, 12),
)
@settings(deadline=None, max_examples=EXAMPLES)
def test_rule_37_a_batch_is_answered_as_its_lines_would_be_online(
    offices: Offices,
    before: list[BatchLine],
    file: list[BatchLine],
    permission: dict[str, Any],
    legal_context: Any,
    chunk_lines: int,
) -> None:
    """Every line gets the answer that it would get online after those before it, and lines, history, tickets, volumes
    and records are the same afterwards; whatever numbers, contexts and permissions, and however it is cut (rules 37,
    38, 50).
    """
    permitted = permission_of(OWN, **permission, legal_contexts=frozenset({GROUND}))
    rules = rules_of(permitted, permission_of(OTHER))

    works_alike(offices, before, file, rules, legal_context, chunk_lines=chunk_lines, lanes=1)


@given(
    before=st.lists(lines, max_size=8).map(without_tickets),
    file=st.lists(lines, max_size=40).map(numbered).map(without_tickets),
    chunk_lines=st.integers(1, 3),
    lanes=st.integers(2, 5),
)
@settings(deadline=None, max_examples=EXAMPLES)
def test_rule_37_lanes_keep_the_order_of_what_is_said_of_one_person(
    offices: Offices, before: list[BatchLine], file: list[BatchLine], chunk_lines: int, lanes: int
) -> None:
    """Dealt out to several lanes a batch is answered as online all the same, for what is said of one person stays in
    the order of the file, by whichever of its numbers it is said (rules 20, 37).
    """
    works_alike(offices, before, file, FIRST_RULES, GROUND, chunk_lines=chunk_lines, lanes=lanes)


THREE_NUMBERS = numbered(
    [line(3, INSERT, (0, 0)), line(1, CONSULT), line(3, CONSULT), line(4, DELETE), line(1, CONSULT)]
)
"""What is said of one person by three numbers."""


@example(before=[], file=THREE_NUMBERS, chunk_lines=1, lanes=1, outages=[({ssin_of(3)}, 1, False)])
@example(before=[], file=THREE_NUMBERS, chunk_lines=9, lanes=1, outages=[({ssin_of(3)}, 1, False)])
@given(
    before=st.lists(lines, max_size=8).map(without_tickets),
    file=st.lists(lines, max_size=25).map(numbered).map(without_tickets),
    chunk_lines=st.integers(1, 4),
    lanes=st.integers(1, 5),
    outages=st.lists(
        st.tuples(st.sets(st.sampled_from(NUMBERS[:-2]).map(Ssin.parse), max_size=6), st.integers(1, 4), st.booleans()),
        min_size=1,
        max_size=4,
    ),
)
@settings(deadline=None, max_examples=EXAMPLES // 2)
def test_rule_37_sources_that_are_away_for_a_time_change_no_answer(
    offices: Offices,
    before: list[BatchLine],
    file: list[BatchLine],
    chunk_lines: int,
    lanes: int,
    outages: list[tuple[set[Ssin], int, bool]],
) -> None:
    """Whichever numbers nobody can say anything about for a time, the batch is answered as online when all can be: what
    is said of one person stays in order, by whichever of its numbers it is said (rules 20, 37, 54).
    """
    works = offices.batch
    works.files = away = SometimesAway(works.persons)

    async def go_on() -> None:
        for numbers, chunks, is_time_to_try_again in outages:
            away.away = numbers
            if is_time_to_try_again:
                works.try_again()
            for _ in range(chunks):
                await works.worker.work()
        away.away = set()
        await works.work()
        works.try_again()

    try:
        works_alike(offices, before, file, FIRST_RULES, GROUND, chunk_lines=chunk_lines, lanes=lanes, first=go_on)
    finally:
        works.files = None


def works_alike(
    offices: Offices,
    before: list[BatchLine],
    file: list[BatchLine],
    rules: AccessRules,
    legal_context: Any,
    *,
    chunk_lines: int,
    lanes: int,
    first: Callable[[], Awaitable[None]] = nothing,
) -> None:
    """Nothing; online and in a batch the file got the same answers and left the same behind."""

    async def left_by(works: Works) -> Any:
        works.empty()
        works.rules, works.chunk_lines, works.lanes = FIRST_RULES, chunk_lines, lanes
        # Under another customer's name too, so that there is something to see.
        await works.online(before)
        await works.online(before, sender=OTHER)
        works.rules = rules
        if works is offices.batch:
            submitted = works.submit(file, legal_context=legal_context)
            await first()
            await works.work()
            got = [told(answer) for answer in await works.answers(submitted.batch_id)]
        else:
            got = [plain(ending) for ending in await works.online(file, legal_context=legal_context)]
        state = works.state()
        state["history"].sort(key=lambda row: row[0])  # of one person in their order; lanes have none among them
        return got, state, sorted(works.log.reasons), works.log.failed

    left = [offices.runner.run(left_by(works)) for works in (offices.online, offices.batch)]
    assert left[1] == left[0]
