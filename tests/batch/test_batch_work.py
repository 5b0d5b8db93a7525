"""Batches from their intake to their last answer: once, whole, in order, whatever happens in between (rules 37, 38)."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace

from cbss_inscription.batch import engine, plain_lines
from cbss_inscription.batch.answers import answers_as_they_come
from cbss_inscription.batch.files import FilesOneByOne
from cbss_inscription.domain.batch import BatchLegalData, BatchLine, BatchState
from cbss_inscription.domain.errors import (
    ContentViolation,
    NotAuthorized,
    RepertoryUnavailable,
    SequenceViolation,
    TemporarilyUnavailable,
)
from cbss_inscription.domain.exchange import Caller
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.registers.resolution import HOPS_MAX
from cbss_inscription.repertory import embedded
from cbss_inscription.storage.batches import StoredBatches
from tests.batch.works import SometimesAway, Works, consultation, digest_of, header, insertion
from tests.repertory.office import (
    CALLER,
    GROUND,
    OTHER,
    OTHER_GROUND,
    OWN,
    move_lines,
    permission_of,
    person_of,
    rules_of,
    ssin_of,
)

DAY = date(2024, 1, 1)
PERSONS = tuple(person_of(index) for index in range(1, 41))
RULES = rules_of(permission_of(OWN), permission_of(OTHER))


@pytest.fixture(scope="module")
def conninfo(make_database: Callable[[str], str]) -> str:
    return make_database("works")


@pytest.fixture
async def works(conninfo: str) -> AsyncIterator[Works]:
    async with Works(conninfo=conninfo, rules=RULES) as works:
        works.empty()
        if not works.rows("SELECT FROM person LIMIT 1"):
            works.load(PERSONS)
        yield works


def days(count: int, *, persons: int = 1, first: int = 1) -> list[BatchLine]:
    """Lines that each add a day of its own to one of some persons, in turns."""
    return [
        insertion(number, ssin_of(first + number % persons).digits, DAY + timedelta(2 * (number // persons)))
        for number in range(1, count + 1)
    ]


def lines_written(works: Works) -> int:
    return int(works.rows("SELECT coalesce(sum(period_count(periods)), 0) FROM inscription")[0][0])


# -- the intake


async def test_the_same_file_again_is_the_same_batch(works: Works) -> None:
    """A file that was submitted before is answered by the batch that it is already, and nothing of it is done again
    (rule 38).
    """
    first = works.submit(days(3))
    await works.work()
    again = works.submit(days(3))
    assert (again.batch_id, again.is_repeat, first.is_repeat) == (first.batch_id, True, False)
    assert await works.work() == 0
    assert works.rows("SELECT count(*) FROM audit_journal") == [(3,)]


@pytest.mark.parametrize(
    ("caller", "context"),
    [
        (dataclasses.replace(CALLER, application_urn="urn:another"), GROUND),
        (dataclasses.replace(CALLER, cbe_number="0308357159"), GROUND),
        (CALLER, OTHER_GROUND),
    ],
    ids=["application", "organisation", "context"],
)
async def test_the_same_file_of_somebody_else_is_refused(works: Works, caller: Caller, context: LegalContext) -> None:
    """A file that another application or organisation sent, or that was sent under another context, is not that batch,
    whose answers may be none of theirs (SEC-58, rule 38).
    """
    works.submit(days(1))
    (rule,) = RULES.access_rules
    works.rules = replace(
        rules_of(permission_of(OWN, cbe_number=caller.cbe_number, application_urns=(caller.application_urn,))),
        access_rules=(replace(rule, application_urn=caller.application_urn, cbe_number=caller.cbe_number),),
    )
    with pytest.raises(ContentViolation) as refused:
        works.intake.submit(header(legal_context=context), digest=digest_of(), caller=caller, lines=days(1))
    assert refused.value.reason == "batch-used"
    assert works.rows("SELECT count(*) FROM batch") == [(1,)]


async def test_another_file_with_a_used_sequence_number_is_refused(works: Works) -> None:
    """Another file under a number that is used up is refused, with the number that is expected, and not worked on (rule
    38).
    """
    works.submit(days(1), 7)
    with pytest.raises(SequenceViolation) as refused:
        works.intake.submit(header(7), digest=digest_of(8), caller=CALLER, lines=days(2))
    assert (refused.value.reason, refused.value.expected) == ("sequence-used", 8)
    assert works.rows("SELECT line_count FROM batch") == [(1,)]


async def test_a_gap_in_the_sequence_numbers_is_refused(works: Works) -> None:
    """A sender's first batch may have any number; a later one has the next, or is refused with the number that is
    missing; other senders count for themselves (rule 38).
    """
    works.submit(days(1), 7)
    with pytest.raises(SequenceViolation) as refused:
        works.submit(days(1), 9)
    assert (refused.value.reason, refused.value.expected) == ("sequence-gap", 8)
    works.submit(days(1), 8)
    works.submit(days(1), 1, sender=OTHER)
    assert works.rows("SELECT count(*) FROM batch") == [(3,)]


async def test_batches_of_a_sender_are_taken_in_one_by_one(works: Works) -> None:
    """While one of its batches is being read no other of the sender is begun, for nobody knows yet which number comes
    next; a batch that was taken in before, and other senders, need not wait (rule 38).
    """
    first = works.submit(days(1), 7)

    def meanwhile() -> Iterator[BatchLine]:
        with pytest.raises(TemporarilyUnavailable) as refused:
            works.submit(days(1), 9)
        assert refused.value.reason == "batch-sequence"
        assert works.submit(days(1), 7).batch_id == first.batch_id
        assert not works.submit(days(1), 1, sender=OTHER).is_repeat
        yield from days(1)

    works.submit(meanwhile(), 8)
    works.submit(days(1), 9)
    assert works.rows("SELECT count(*) FROM batch") == [(4,)]


async def test_a_file_that_breaks_leaves_nothing(works: Works) -> None:
    """When the lines end in an error nothing of the batch is there, not even its number, and the whole file can come
    again (rule 37).
    """

    def broken() -> Iterator[BatchLine]:
        yield from days(5)
        raise ValueError("no line")

    works.chunk_lines = 2
    with pytest.raises(ValueError, match="no line"):
        works.submit(broken())
    assert works.rows("SELECT FROM batch") == works.rows("SELECT FROM batch_chunk") == []
    assert await works.work() == 0
    assert len(await works.batch(days(5))) == 5


async def test_nothing_is_worked_on_before_the_file_was_read_to_the_end(works: Works) -> None:
    """While a file is read nobody works on its first lines, and another one of its number has to wait (rule 37)."""
    done: list[int] = []

    async def look() -> None:
        done.append(await works.work())

    def slow() -> Iterator[BatchLine]:
        yield from days(3)
        asyncio.run_coroutine_threadsafe(look(), loop).result(20)
        with pytest.raises(TemporarilyUnavailable):
            works.submit([])
        yield from days(4)[3:]

    works.chunk_lines, loop = 1, asyncio.get_running_loop()
    await asyncio.to_thread(works.submit, slow())
    assert done == [0]
    assert await works.work() == 4


async def test_sec_58_nobody_uses_up_the_numbers_of_another(works: Works) -> None:
    """An application that may do nothing for the sender submits no batch for it, and its sequence numbers stay
    (SEC-58).
    """
    works.rules = rules_of(permission_of(OTHER))
    with pytest.raises(NotAuthorized):
        works.submit(days(1))
    assert works.rows("SELECT FROM batch") == []


async def test_a_batch_without_lines_is_done(works: Works) -> None:
    """A batch without any line is done as soon as it is there."""
    submitted = works.submit([])
    assert (await works.status(submitted.batch_id)).state is BatchState.DONE


# -- work and answers


async def test_answers_come_in_the_order_of_the_lines_while_it_is_worked_on(works: Works) -> None:
    """At any moment the answers are those up to the first line that has none, in the order of the file, from any line
    on; in the end there is one for each line (contract.md section 5).
    """
    works.chunk_lines, works.lanes = 3, 4
    lines = days(60, persons=20)
    submitted = works.submit(lines)
    seen = 0
    while await works.worker.work() is not None:
        numbers = [answer.line.number for answer in await works.answers(submitted.batch_id)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= seen
        seen = len(numbers)
    assert seen == 60
    assert [one.line.number for one in await works.answers(submitted.batch_id, from_line=34)] == list(range(34, 61))
    assert [one.line for one in await works.answers(submitted.batch_id)] == lines
    assert lines_written(works) == 60


async def test_answers_are_followed_until_the_batch_is_finished(works: Works) -> None:
    """Who follows a batch gets each answer once, in the order of the file, by blocks that are answered whole, and is at
    the end when the batch is; of one that is canceled these are the answers up to the cut (rule 37).
    """
    works.chunk_lines, works.lanes = 3, 4
    looks = 0

    async def work_or_cancel() -> None:
        nonlocal looks
        looks += 1
        if looks == cancel_at:
            await works.batches.cancel(submitted.batch_id)
        assert await works.worker.work() is not None

    for number, cancel_at in enumerate((0, 8), start=1):
        looks = 0
        submitted = works.submit(days(60, persons=20), number)
        seen = [
            [line.number for line, _ in block]
            async for block in answers_as_they_come(works.batches, submitted.batch_id, pause=work_or_cancel)
        ]
        status = await works.status(submitted.batch_id)
        assert status.state is (BatchState.CANCELED if cancel_at else BatchState.DONE)
        assert [number for block in seen for number in block] == list(range(1, (status.cut_after or 60) + 1))
        assert {len(block) for block in seen} == {12}
    assert [block async for block in answers_as_they_come(works.batches, uuid4(), pause=work_or_cancel)] == []


async def test_the_status_counts_outcomes_and_names_the_first_lines(works: Works) -> None:
    """The status has how many lines ended with which code, and the first of them (contract.md section 5)."""
    lines = [*days(7, persons=7), consultation(8, "85073003329"), BatchLine(number=9, refused="SOA-03006")]
    works.chunk_lines = 2
    submitted = works.submit(lines)
    before = await works.status(submitted.batch_id)
    assert (before.state, before.line_count, before.lines_answered, before.outcomes) == (BatchState.RUNNING, 9, 0, ())
    await works.work()
    status = await works.status(submitted.batch_id)
    assert (status.state, status.lines_answered, status.cut_after) == (BatchState.DONE, 9, None)
    assert [(one.code, one.lines, one.first_lines) for one in status.outcomes] == [
        ("MSG00000", 7, (1, 2, 3, 4, 5)),
        ("MSG00011", 1, (8,)),
        ("SOA-03006", 1, (9,)),
    ]
    assert status.began_at is not None
    assert status.finished_at is not None
    assert await works.batches.find(OWN, 1) == submitted.batch_id


async def test_whoever_answers_the_last_line_finishes_the_batch(works: Works) -> None:
    """With its last chunk a batch is done, or canceled where that is the last before the cut; not before (rule 37)."""
    works.chunk_lines = 2
    done = works.submit(days(4), 1)
    await works.worker.work()
    assert (await works.status(done.batch_id)).state is BatchState.RUNNING
    await works.worker.work()
    assert (await works.status(done.batch_id)).state is BatchState.DONE
    works.lanes = 2
    canceled = works.submit(days(8, persons=8), 2)
    await works.worker.work()
    await works.batches.cancel(canceled.batch_id)
    status = await works.status(canceled.batch_id)
    while status.lines_answered < (status.cut_after or 0):
        assert status.state is BatchState.CANCELING
        await works.worker.work()
        status = await works.status(canceled.batch_id)
    assert status.state is BatchState.CANCELED


async def test_a_batch_whose_last_worker_was_killed_is_finished_by_the_next(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between its last answers and the look whether that was all, a worker leaves that look to others: who finds
    nothing to do does it (rule 37).
    """
    submitted = works.submit(days(2))

    async def killed(batches: StoredBatches) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StoredBatches, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            await works.worker.work()
    status = await works.status(submitted.batch_id)
    assert (status.state, status.lines_answered) == (BatchState.RUNNING, 2)
    assert await works.worker.work() is None
    assert (await works.status(submitted.batch_id)).state is BatchState.DONE


async def test_no_lane_runs_far_ahead_of_the_others(works: Works) -> None:
    """While somebody works on one lane the others go on by two blocks and no further: who cancels meanwhile has most of
    the file untouched, and what is answered by now can be read in its order (rule 37).
    """
    works.chunk_lines, works.lanes = 1, 2
    submitted = works.submit(days(40, persons=20))
    async with works.batches.claimed() as held:
        assert held is not None
        (_, slow) = held
        await works.work()
        ahead = works.rows("SELECT max(block) FROM batch_chunk WHERE lane <> %s AND answers IS NOT NULL", slow.lane)
        assert ahead == [(slow.block + 2,)]
    await works.batches.cancel(submitted.batch_id)
    await works.work()
    status = await works.status(submitted.batch_id)
    assert (status.state, status.cut_after) == (BatchState.CANCELED, 6)
    assert status.lines_answered == lines_written(works) == 6


async def test_lane_that_waits_for_a_source_holds_up_no_other(works: Works) -> None:
    """Lanes whose source is away, for hours if it must be, are not waited for by the others (rule 54)."""
    works.chunk_lines, works.lanes = 1, 2
    works.submit(days(40, persons=20))
    async with works.batches.claimed() as held:
        assert held is not None
        (_, waiting) = held
    await works.batches.postpone(waiting, seconds=600)
    await works.work()
    left = works.rows("SELECT lane FROM batch_chunk WHERE answers IS NULL GROUP BY lane")
    assert left == [(waiting.lane,)]


async def test_two_workers_never_have_the_same_lines_in_hand(works: Works) -> None:
    """Whoever asks while others work gets another lane, or nothing; and the next block of a lane only after the former
    is answered (rule 37).
    """
    works.chunk_lines, works.lanes = 2, 3
    works.submit(days(30, persons=30))
    lanes = {lane for (lane,) in works.rows("SELECT lane FROM batch_lane")}
    assert len(lanes) == 3
    async with works.batches.claimed() as one, works.batches.claimed() as two, works.batches.claimed() as three:
        assert one is not None
        assert two is not None
        assert three is not None
        assert {claim[1].lane for claim in (one, two, three)} == lanes
        assert {claim[1].block for claim in (one, two, three)} == {0}
        async with works.batches.claimed() as fourth:
            assert fourth is None


async def test_a_worker_that_is_killed_has_done_nothing(works: Works) -> None:
    """When the session of a worker ends in the middle of a chunk nothing of it is there, and another does it once (rule
    37).
    """
    works.submit(days(10, persons=5))
    write, killed = engine.write, []

    async def write_and_die(connection: Any, done: Any) -> None:
        await write(connection, done)
        with psycopg.connect(works.conninfo, autocommit=True) as other:
            killed.append(other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,)).fetchone())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "write", write_and_die)
        with pytest.raises(TemporarilyUnavailable):
            await works.worker.work()
    assert killed
    state = works.state()
    assert not any(state.values())
    assert await works.work() == 0  # others would go first
    works.behind.execute("UPDATE batch_lane SET not_before = NULL")
    assert await works.work() == 1
    assert lines_written(works) == 10
    assert works.rows("SELECT count(*) FROM audit_journal") == [(10,)]


async def test_a_chunk_that_fails_again_and_again_holds_up_no_other(works: Works) -> None:
    """What cannot be worked on at all is let be for a time, and the next batch is worked on (rule 37)."""
    works.submit(days(2), 1)
    other = works.submit(days(2), 1, sender=OTHER)
    write = engine.write

    async def write_or_fail(connection: Any, done: Any) -> None:
        if done.customer == OWN.key:
            raise RuntimeError("a defect")
        await write(connection, done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "write", write_or_fail)
        with pytest.raises(RuntimeError):
            await works.work()
        await works.work()  # whichever of the two came first
    assert (await works.status(other.batch_id)).state is BatchState.DONE
    assert lines_written(works) == 2


async def test_a_small_batch_is_not_behind_a_large_one(works: Works) -> None:
    """Batches take turns: one chunk of the one, one of the other, however many the one has."""
    works.chunk_lines = 1
    large = works.submit(days(10), 1)
    small = works.submit(days(2), 1, sender=OTHER)
    order = []
    while (worked := await works.worker.work()) is not None:
        order.append(worked.batch_id)
    assert order[:4].count(small.batch_id) == 2
    assert order.count(large.batch_id) == 10


async def test_a_canceled_batch_ends_at_a_line_that_is_named(works: Works) -> None:
    """After a cancellation every line up to the cut is answered and done, none after it is; those that had begun are
    brought to their end (rule 37).
    """
    works.chunk_lines, works.lanes = 2, 3
    submitted = works.submit(days(18, persons=18))
    assert await works.worker.work() is not None
    await works.batches.cancel(submitted.batch_id)
    status = await works.status(submitted.batch_id)
    assert (status.state, status.cut_after) == (BatchState.CANCELING, 6)
    await works.work()
    status = await works.status(submitted.batch_id)
    assert (status.state, status.cut_after, status.lines_answered) == (BatchState.CANCELED, 6, 6)
    assert [answer.line.number for answer in await works.answers(submitted.batch_id)] == list(range(1, 7))
    assert lines_written(works) == 6
    await works.batches.cancel(submitted.batch_id)
    assert (await works.status(submitted.batch_id)).cut_after == 6


async def test_a_batch_can_be_canceled_before_it_began_and_not_after_it_ended(works: Works) -> None:
    """A batch of which nothing was done is canceled at once, before its first line; one that is done stays done."""
    works.chunk_lines = 2
    first = works.submit(days(4), 1)
    await works.batches.cancel(first.batch_id)
    status = await works.status(first.batch_id)
    assert (status.state, status.cut_after, await works.work()) == (BatchState.CANCELED, 0, 0)
    second = works.submit(days(4), 2)
    await works.work()
    await works.batches.cancel(second.batch_id)
    assert (await works.status(second.batch_id)).state is BatchState.DONE


async def test_a_cancellation_waits_for_who_has_lines_in_hand(works: Works) -> None:
    """A chunk that is worked on while its batch is canceled is finished, and counts as before the cut."""
    works.chunk_lines, works.lanes = 2, 1
    submitted = works.submit(days(6))
    write = engine.write
    canceling: list[asyncio.Task[None]] = []

    async def write_late(connection: Any, done: Any) -> None:
        if not canceling:
            canceling.append(asyncio.create_task(works.batches.cancel(submitted.batch_id)))
            for _ in range(200):
                waiting = works.rows("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
                if waiting:
                    break
                await asyncio.sleep(0.01)
            assert waiting
        await write(connection, done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "write", write_late)
        await works.worker.work()
    await canceling[0]
    await works.work()
    status = await works.status(submitted.batch_id)
    assert (status.state, status.cut_after, status.lines_answered) == (BatchState.CANCELED, 2, 2)


# -- what is wrong with one line


async def test_lines_whose_source_is_away_wait_and_the_others_do_not(works: Works) -> None:
    """A line whose source does not answer waits, and so does what comes later about the same person; the others of its
    chunk are answered. When the source is back each is done once, in order (rule 54).
    """
    works.files = away = SometimesAway(works.persons, {ssin_of(1)})
    one, two = ssin_of(1).digits, ssin_of(2).digits
    lines = [
        insertion(1, two, DAY),
        insertion(2, one, DAY),
        insertion(3, two, DAY + timedelta(5)),
        consultation(4, one),
    ]
    submitted = works.submit(lines)
    worked = await works.worker.work()
    assert worked is not None
    assert (worked.lines_answered, worked.lines_waiting) == (2, 2)
    assert [answer.line.number for answer in await works.answers(submitted.batch_id)] == [1]
    assert await works.work() == 0  # it is too early to try again
    status = await works.status(submitted.batch_id)
    assert (status.state, status.lines_answered, status.lines_waiting) == (BatchState.RUNNING, 2, 2)
    assert works.rows("SELECT count(*) FROM audit_journal") == [(2,)]
    away.away.clear()
    works.try_again()
    assert await works.work() == 1
    answers = await works.answers(submitted.batch_id)
    assert [answer.code for answer in answers] == ["MSG00000"] * 4
    assert answers[3].result is not None
    assert len(answers[3].result.inscriptions) == 1
    assert lines_written(works) == 3
    assert (await works.status(submitted.batch_id)).state is BatchState.DONE


async def test_no_line_waits_that_needs_no_source(works: Works) -> None:
    """While a source is away a batch goes on to its end: of all its blocks only the lines that ask the source wait, and
    what is said of the same persons later. When it is back these are done in the order of the file (rule 54).
    """
    works.chunk_lines, works.lanes = 2, 3
    works.files = away = SometimesAway(works.persons, {ssin_of(1), ssin_of(2), ssin_of(3)})
    submitted = works.submit(days(40, persons=10))
    await works.work()
    status = await works.status(submitted.batch_id)
    assert (status.state, status.lines_answered, status.lines_waiting) == (BatchState.RUNNING, 28, 12)
    assert lines_written(works) == 28
    blocks = works.rows("SELECT DISTINCT block FROM batch_chunk WHERE waiting IS NOT NULL")
    assert len(blocks) > 3, "the lines that wait are all over the file"
    assert await works.answers(submitted.batch_id) == [], "answers are told in the order of the file, and line 1 waits"

    away.away = {ssin_of(2)}
    works.try_again()
    await works.work()
    away.away.clear()
    assert await works.work() == 0, "it is too early to try again"
    works.try_again()
    await works.work()
    status = await works.status(submitted.batch_id)
    assert (status.state, status.lines_answered, status.lines_waiting) == (BatchState.DONE, 40, 0)
    assert [answer.line.number for answer in await works.answers(submitted.batch_id)] == list(range(1, 41))
    history = works.rows("SELECT array_agg(upper(after) ORDER BY change_number) FROM inscription_history GROUP BY ssin")
    assert len(history) == 10
    assert all(len(ends) == 4 and ends == sorted(ends) for (ends,) in history)


async def test_a_canceled_batch_answers_what_waits_before_its_cut(works: Works) -> None:
    """Who cancels while a source is away gets the same clean cut: what waits before it is answered when the source is
    back, and only then the batch is canceled; nothing after it was touched (rules 37, 54).
    """
    works.chunk_lines, works.lanes = 1, 2
    works.files = away = SometimesAway(works.persons, {ssin_of(2)})
    submitted = works.submit(days(40, persons=20))
    for _ in range(8):
        await works.worker.work()
    waiting = (await works.status(submitted.batch_id)).lines_waiting
    await works.batches.cancel(submitted.batch_id)
    await works.work()
    status = await works.status(submitted.batch_id)
    assert status.cut_after is not None
    assert (waiting, status.state) == (1, BatchState.CANCELING)
    assert status.lines_answered == lines_written(works) == status.cut_after - 1 < 20
    away.away.clear()
    works.try_again()
    await works.work()
    status = await works.status(submitted.batch_id)
    assert (status.state, status.lines_answered) == (BatchState.CANCELED, status.cut_after)
    assert lines_written(works) == status.cut_after


async def test_lines_whose_source_stays_away_are_answered_in_the_end(works: Works) -> None:
    """When its source was tried often enough a line is answered as it would be online: CBI00901, and nothing is written
    (rule 54).
    """
    works.files, works.attempts_max = SometimesAway(works.persons, {ssin_of(1)}), 1
    submitted = works.submit(days(2, persons=2, first=1))
    for _ in range(2):
        await works.work()
        works.try_again()
    answers = await works.answers(submitted.batch_id)
    assert [answer.code for answer in answers] == ["MSG00000", OutcomeCode.SOURCE_UNREACHABLE]
    assert (await works.status(submitted.batch_id)).state is BatchState.DONE
    assert lines_written(works) == 1


async def test_patience_with_a_source_is_not_had_anew_for_each_block(works: Works) -> None:
    """When the oldest lines of a lane were tried often enough, all that wait in it are answered at once, in their
    order; a source that is away half a day costs a batch half a day, however long the file is (rule 54).
    """
    works.chunk_lines, works.attempts_max = 2, 3
    works.files = SometimesAway(works.persons, {ssin_of(1)})
    submitted = works.submit(days(16, persons=2, first=1))
    await works.work()
    for _ in range(2):
        works.try_again()
        assert await works.work() == 1
        assert (await works.status(submitted.batch_id)).lines_waiting == 8
    works.try_again()
    assert await works.work() == 8
    status = await works.status(submitted.batch_id)
    assert (status.state, status.lines_waiting) == (BatchState.DONE, 0)
    codes = [answer.code for answer in await works.answers(submitted.batch_id) if answer.line.ssin == ssin_of(1).digits]
    assert codes == [OutcomeCode.SOURCE_UNREACHABLE] * 8


async def test_a_register_that_answers_one_by_one_is_not_asked_on_and_on_while_it_is_away(works: Works) -> None:
    """When a whole group of numbers got no answer the rest of a chunk is not asked about; it waits."""
    asked: list[Ssin] = []

    class Away:
        async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
            asked.append(ssin)
            raise RepertoryUnavailable("away")

    works.files = FilesOneByOne(Away(), calls_at_once_max=4)
    works.submit(days(30, persons=30))
    worked = await works.worker.work()
    assert worked is not None
    assert (len(asked), worked.lines_waiting) == (4, 30)


async def test_a_batch_asks_no_more_at_once_than_there_is_room_for() -> None:
    """However many chunks are in hand, a register is asked about no more numbers at a time than its calls at once: of
    what is asked beyond there would be no answer, and the line would wait (rule 54).
    """
    under_way = [0]

    class Narrow:
        async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
            if under_way[0] == 3:
                raise RepertoryUnavailable("calls-at-once")
            under_way[0] += 1
            await asyncio.sleep(0)
            under_way[0] -= 1
            return ()

    files = FilesOneByOne(Narrow(), calls_at_once_max=3)
    chunks = [[ssin_of(first + number) for number in range(20)] for first in (1, 21)]
    answers = await asyncio.gather(*(files.chains_of(chunk, hops_max=HOPS_MAX) for chunk in chunks))
    assert [list(answer) for answer in answers] == chunks
    assert [set(answer.values()) for answer in answers] == [{()}, {()}]


async def test_a_line_that_cannot_be_written_is_a_defect_by_itself(works: Works) -> None:
    """A line that the database refuses is found among its chunk, answered as a defect (SOA-00001) and recorded without
    a word of it; all others are done (rule 37).
    """
    lines = [replace_ticket(line, "no\x00text" if line.number == 5 else None) for line in days(9, persons=9)]
    answers = await works.batch(lines)
    assert [answer.code for answer in answers] == ["SOA-00001" if line.number == 5 else "MSG00000" for line in lines]
    assert works.log.failed == [5]
    assert lines_written(works) == 8
    records = [json.loads(content) for (content,) in works.rows("SELECT content FROM audit_journal")]
    assert len(records) == 9
    (defect,) = [record for record in records if record["outcome"]["value"] == "FAULT"]
    assert (defect["outcome"]["reason"], defect["persons"], defect["customer_ticket"]) == ("defect", [], None)


def replace_ticket(line: BatchLine, ticket: str | None) -> BatchLine:
    return replace(line, ticket=ticket)


@pytest.mark.parametrize("is_plain", [True, False])
async def test_a_line_that_meets_a_defect_of_ours_stops_no_other(works: Works, is_plain: bool) -> None:
    """What fails unexpectedly while a line is decided, either way, fails that line alone, and nothing of it is written
    (rule 37).
    """
    content_of = plain_lines.content_of if is_plain else embedded.content_of

    def fail(request: Any) -> bytes:
        if request.ssin == ssin_of(2).digits:
            raise KeyError("nobody may read this")
        return content_of(request)

    given = None if is_plain else BatchLegalData(gender=0)  # cannot be verified: there is something to tell
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_lines if is_plain else embedded, "content_of", fail)
        lines = [replace_ticket(insertion(n, ssin_of(n).digits, DAY), f"ticket {n}") for n in (1, 2, 3)]
        answers = await works.batch([replace(line, legal_data=given) for line in lines])
    assert [answer.code for answer in answers] == ["MSG00000", "SOA-00001", "MSG00000"]
    assert works.log.failed == [2]
    assert lines_written(works) == 2


# -- numbers that move meanwhile


@pytest.mark.parametrize("moment", ["before the lines are looked for", "before the persons are locked"])
async def test_rule_19_lines_follow_a_number_that_is_replaced_meanwhile(works: Works, moment: str) -> None:
    """A declaration and a consultation by a number that is replaced after its file was read find the lines under the
    number that carries on (rules 18 to 20).
    """
    await works.online([insertion(1, ssin_of(1).digits, DAY)])
    moved: list[int] = []

    def move() -> None:
        if not moved:
            moved.append(1)
            with psycopg.connect(works.conninfo) as connection:
                move_lines(connection, 1, 2)

    lock = engine.lock

    async def move_and_lock(*arguments: Any, **named: Any) -> Any:
        move()
        return await lock(*arguments, **named)

    lines = [insertion(1, ssin_of(1).digits, DAY + timedelta(5)), consultation(2, ssin_of(1).digits)]
    with pytest.MonkeyPatch.context() as patch:
        if moment == "before the persons are locked":
            patch.setattr(engine, "lock", move_and_lock)
        else:
            works.files = SometimesAway(works.persons, after=move)
        answers = await works.batch(lines)
    assert moved
    for answer in answers:
        assert answer.result is not None
        assert answer.result.ssin is not None
        assert answer.result.ssin.current == ssin_of(2)
        assert len(answer.result.inscriptions) == 2
    assert works.rows("SELECT ssin, period_count(periods) FROM inscription") == [(ssin_of(2).number, 2)]


async def test_rule_38_online_and_batch_do_a_ticket_once(works: Works) -> None:
    """A declaration that was done online under a ticket is not done again by a batch, nor the other way round (rule
    38).
    """
    line = replace_ticket(insertion(1, ssin_of(1).digits, DAY), "once")
    (first,) = await works.online([line])
    (again,) = await works.batch([line])
    (third,) = await works.online([line])
    assert again.result is not None
    assert [one.code for one in again.result.anomalies] == [OutcomeCode.TICKET_REPEATED]  # type: ignore[union-attr]
    assert again.result == third == replace(first, anomalies=again.result.anomalies)  # type: ignore[type-var, union-attr]


async def test_sec_76_requests_of_a_batch_are_kept_as_those_online(works: Works) -> None:
    """Where requests of an operation are kept, the lines that ask it are, sealed, with their digest in the record
    (SEC-76).
    """
    works.evidence_of = {Operation.INSERT_INSCRIPTION}
    answers = await works.batch([*days(1), consultation(2, ssin_of(1).digits)])
    assert works.rows("SELECT ticket_cbss FROM audit_evidence") == [(answers[0].ticket_cbss,)]
    records = [json.loads(content) for (content,) in works.rows("SELECT content FROM audit_journal")]
    assert {record["operation"]: record["evidence_digest"] is not None for record in records} == {
        "insertInscription": True,
        "consultInscriptions": False,
    }
    works.behind.execute("DELETE FROM audit_evidence")


async def test_finished_batches_are_forgotten_but_their_numbers_stay_used(works: Works) -> None:
    """Lines and answers of a batch that finished long ago are gone; that the batch was stays known, and a running one
    is left alone.
    """
    done = works.submit(days(3), 1)
    await works.work()
    works.submit(days(3), 2)
    finished_at = (await works.status(done.batch_id)).finished_at
    assert finished_at is not None
    assert await works.batches.forget(before=finished_at) == 0
    assert await works.batches.forget(before=finished_at + timedelta(1)) == 1
    assert await works.answers(done.batch_id) == []
    assert works.submit(days(3), 1).is_repeat
    assert await works.work() == 1


async def test_a_batch_is_unfinished_until_all_is_answered(works: Works) -> None:
    """A worker without work need only ask whether a batch is unfinished: from intake to its last answer (rule 37)."""
    assert not await works.batches.are_any_unfinished()
    works.submit(days(1))
    assert await works.batches.are_any_unfinished()
    await works.work()
    assert not await works.batches.are_any_unfinished()


async def test_calls_online_are_noticed(works: Works) -> None:
    """That calls are answered online is known for a second after one was recorded, and not from batches (rule 55)."""
    await works.batch(days(1))
    assert not await works.batches.are_calls_answered()
    await works.online(days(1))
    assert await works.batches.are_calls_answered()
