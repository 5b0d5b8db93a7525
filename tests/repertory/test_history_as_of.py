"""What was known on a date, every change of a line, and whether the history fits the state (rules 19, 20, 35)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count, pairwise
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.multirange import Multirange

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.history import (
    CHANGES_MAX,
    REPLACE_SSIN,
    Discrepancy,
    DiscrepancyKind,
    HistoryRefused,
    KnownLines,
    LineSetChange,
    Replacement,
    Replay,
    Verification,
)
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import Register
from cbss_inscription.domain.line_set import Change, Changed, LineKey
from cbss_inscription.domain.period import GivenPeriod, Period
from cbss_inscription.domain.requests import Operation
from cbss_inscription.domain.ssin import Ssin, check_digits
from cbss_inscription.registers.life import Candidates, Done, NumberLife, Refused
from cbss_inscription.storage import history as stored_history_module
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.history import StoredHistory
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.life import StoredFiles
from cbss_inscription.storage.persons import StoredPersons
from cbss_inscription.storage.population import Rows, load_rows
from tests.conftest import FoundDataAnomalies

HOPS: Final = 3
STEPS_MAX: Final = 8
MILLISECOND: Final = timedelta(milliseconds=1)
LONG_AGO: Final = datetime(1990, 1, 15, tzinfo=UTC)
CUSTOMERS = (CustomerIdentification(sector=17, institution=1), CustomerIdentification(cbe_number="0200000012"))
CONTEXTS = (InscriptionContext("PCSA:DEBT_MEDIATION"), InscriptionContext("PCSA:LIVING_WAGE"))
CALLER = Caller(
    application_urn="urn:app:one",
    cbe_number="0200000013",
    environment="LOCAL",
    certificate_fingerprint="00" * 32,
)
FIRST = date(2024, 2, 25)

_numbers = count(1)


def new_ssin() -> Ssin:
    """A number that no other test of this module uses."""
    number = next(_numbers)
    first_nine = f"{number // 998:02d}0101{number % 998 + 1:03d}"
    return Ssin.parse(first_nine + check_digits(first_nine, century=1900))


class World:
    """The stores under test in an event loop of their own, and a plain connection to look and write behind them."""

    def __init__(self, conninfo: str, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.database = Database(conninfo, connections_max=1)
        runner.run(self.database.open())
        self.inscriptions = StoredInscriptions(self.database)
        self.history = StoredHistory(self.database, hops_max=HOPS)
        self.behind = psycopg.connect(conninfo, autocommit=True)
        self.behind.execute("SET timezone = 'UTC'")

    def close(self) -> None:
        self.behind.close()
        self.runner.run(self.database.close())

    def known(self, ssin: Ssin, moment: datetime, **which: Any) -> KnownLines:
        return self.runner.run(self.history.known_as_of(ssin, moment, **which))

    def verify(self, ssin: Ssin | None = None) -> Verification:
        return self.runner.run(self.history.verify(ssin))

    def insert(self, ssin: Ssin, begin: int, end: int | None, *, customer: int = 0, context: int = 0) -> datetime:
        """When a line was inserted; days count from `FIRST`."""
        added = Period(begin_date=day(begin), end_date=None if end is None else day(end))
        changed = self.change(ssin, customer, context, Operation.INSERT_INSCRIPTION, None, added)
        moment = max(line.last_change for line in changed.lines if line.last_change)
        self.wait_until_after(moment)
        return moment

    def change(
        self,
        ssin: Ssin,
        customer: int,
        context: int,
        operation: Operation,
        removed: GivenPeriod | None,
        added: Period | None,
    ) -> Changed:
        change = Change(
            key=LineKey(ssin=ssin, customer=CUSTOMERS[customer], inscription_context=CONTEXTS[context]),
            operation=operation,
            removed=removed,
            added=added,
            line_count_max=1_000,
            legal_context=LegalContext("PCSA:SOCIAL_INQUIRY"),
            customer_ticket="a ticket",
            exchange=Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime(2024, 6, 1, tzinfo=UTC), caller=CALLER),
        )
        changed = self.runner.run(self.inscriptions.change(change))
        assert isinstance(changed, Changed)
        return changed

    def wait_until_after(self, moment: datetime) -> None:
        """Nothing; the database's clock shows a later millisecond."""
        self.behind.execute(
            "SELECT pg_sleep(greatest(0, extract(epoch FROM %s - clock_timestamp()) + 0.001))", (moment,)
        )

    def replace(self, old: Ssin, new: Ssin, *, new_first: bool = False, quiet: bool = False) -> datetime:
        """When the lines of `old` went to `new`, as a replacement does it (rule 19).

        `new_first`: which history speaks first; `quiet`: the new one only when its days differ.
        """
        with self.behind.transaction():
            moment: datetime = self.one("SELECT date_trunc('milliseconds', clock_timestamp())")
            ticket = uuid4()
            self.behind.execute(
                "INSERT INTO replacement VALUES (%s, %s, %s, %s)", (old.number, new.number, moment, ticket)
            )
            moving = self.behind.execute(
                "SELECT customer, inscription_context, periods, last_changes FROM inscription"
                " WHERE ssin = %s AND NOT isempty(periods)",
                (old.number,),
            ).fetchall()
            for customer, context, periods, last_changes in moving:
                key = (new.number, customer, context)
                there = self.behind.execute(
                    "SELECT periods, last_changes FROM inscription"
                    " WHERE (ssin, customer, inscription_context) = (%s, %s, %s)",
                    key,
                ).fetchone() or (Multirange(), [])
                after = self.one("SELECT %s::datemultirange + %s::datemultirange", (periods, there[0]))
                times: dict[Any, datetime] = {}
                for part, time in [*zip(periods, last_changes, strict=True), *zip(*there, strict=True)]:
                    times[part] = max(time, times.get(part, time))
                self.behind.execute(
                    "INSERT INTO inscription VALUES (%s, %s, %s, %s, %s)"
                    " ON CONFLICT (ssin, customer, inscription_context) DO UPDATE"
                    " SET periods = EXCLUDED.periods, last_changes = EXCLUDED.last_changes",
                    (*key, after, [times.get(part, moment) for part in after]),
                )
                self.behind.execute(
                    "UPDATE inscription SET periods = '{}', last_changes = '{}'"
                    " WHERE (ssin, customer, inscription_context) = (%s, %s, %s)",
                    (old.number, customer, context),
                )
                told = [(old.number, periods, None), (new.number, there[0], after)]
                for number, before, then in reversed(told) if new_first else told:
                    if not (quiet and before == then):
                        self.write_history(number, customer, context, REPLACE_SSIN, before, then, moment, ticket)
        self.wait_until_after(moment)
        return moment

    def write_history(self, ssin: int, *columns: Any) -> None:
        """Nothing; a row stands in the history: customer, context, operation, before, after, when, ticket."""
        self.behind.execute(
            "INSERT INTO inscription_history (ssin, customer, inscription_context, operation, before, after,"
            " changed_at, ticket_cbss) VALUES (%s, %s, %s, %s, coalesce(%s::datemultirange, '{}'),"
            " coalesce(%s::datemultirange, '{}'), %s, %s)",
            (ssin, *columns),
        )

    def lines(self, ssin: Ssin) -> set[Inscription]:
        """The lines of everybody under a number now."""
        rows = self.behind.execute(
            "SELECT customer, inscription_context, lower(period), upper(period) - 1, last_change FROM inscription"
            " CROSS JOIN LATERAL ROWS FROM (unnest(periods), unnest(last_changes)) AS line (period, last_change)"
            " WHERE ssin = %s",
            (ssin.number,),
        ).fetchall()
        return {
            Inscription(
                inscription_context=InscriptionContext(context),
                period=Period(begin_date=begin_date, end_date=end_date),
                last_change=last_change,
                organization=CustomerIdentification.of_key(customer),
            )
            for customer, context, begin_date, end_date, last_change in rows
        }

    def one(self, statement: str, parameters: tuple[Any, ...] = ()) -> Any:
        row = self.behind.execute(statement.encode(), parameters).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture
def make_world() -> Iterator[Callable[[str], World]]:
    """Makes a `World` on a database; it ends with the test."""
    worlds: list[World] = []
    with asyncio.Runner() as runner:

        def make(conninfo: str) -> World:
            worlds.append(World(conninfo, runner))
            return worlds[-1]

        yield make
        for world in worlds:
            world.close()


@pytest.fixture
def world(make_world: Callable[[str], World], module_database: str) -> World:
    """A world on the module's database, where others left their persons."""
    return make_world(module_database)


@pytest.fixture
def fresh_world(make_world: Callable[[str], World], fresh_database: str) -> World:
    """A world without a row."""
    return make_world(fresh_database)


def day(index: int) -> date:
    return FIRST + timedelta(days=index)


def periods(lines: tuple[Inscription, ...]) -> list[tuple[date, date | None]]:
    return [(line.period.begin_date, line.period.end_date) for line in lines]


# -- the property ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One change of a random sequence, or a replacement when `operation` is None."""

    operation: Operation | None
    ssin: int
    customer: int
    context: int
    begin: int
    length: int | None
    flags: tuple[bool, bool]


STEPS = st.lists(
    st.builds(
        Step,
        operation=st.sampled_from(
            [Operation.INSERT_INSCRIPTION, Operation.INSERT_INSCRIPTION, Operation.DELETE_INSCRIPTION, None]
        ),
        ssin=st.integers(0, 2),
        customer=st.integers(0, 1),
        context=st.integers(0, 1),
        begin=st.integers(0, 10),
        length=st.none() | st.integers(0, 4),
        flags=st.tuples(st.booleans(), st.booleans()),
    ),
    min_size=1,
    max_size=STEPS_MAX,
)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_rules_19_20_35_what_was_known_at_a_moment_is_what_was_answered_then(world: World, steps: list[Step]) -> None:
    """After any changes and replacements, the history answers for each moment as the service did (rules 19, 20, 35).

    The moments: of each change, a millisecond before it, between it and the next, before the first, after the last.
    """
    ssins = [new_ssin() for _ in range(3)]
    successor: dict[Ssin, Ssin] = {}
    # From when on which number was current for each, and which lines it had.
    record: list[tuple[datetime, dict[Ssin, Ssin], dict[Ssin, set[Inscription]]]] = [
        (LONG_AGO, {ssin: ssin for ssin in ssins}, {ssin: set() for ssin in ssins})
    ]

    def current(ssin: Ssin) -> Ssin:
        while ssin in successor:
            ssin = successor[ssin]
        return ssin

    for step in steps:
        ssin = current(ssins[step.ssin])
        if step.operation is None:
            other = current(ssins[step.customer + step.context])
            if other == ssin:
                continue
            moment = world.replace(ssin, other, new_first=step.flags[0], quiet=step.flags[1])
            successor[ssin] = other
        else:
            end = None if step.length is None else day(step.begin + step.length)
            given_period = GivenPeriod(begin_date=day(step.begin), end_date=end)
            changed = world.change(
                ssin,
                step.customer,
                step.context,
                step.operation,
                given_period if step.operation is Operation.DELETE_INSCRIPTION else None,
                Period.of(given_period) if step.operation is Operation.INSERT_INSCRIPTION else None,
            )
            if not changed.changed:
                continue
            moment = world.one("SELECT max(changed_at) FROM inscription_history WHERE ssin = %s", (ssin.number,))
        record.append((moment, {each: current(each) for each in ssins}, {each: world.lines(each) for each in ssins}))

    times = [moment for moment, *_ in record]
    moments = {*times, *(time - MILLISECOND for time in times[1:]), times[-1] + timedelta(days=400)}
    moments |= {earlier + (later - earlier) / 2 for earlier, later in pairwise(times)}
    for moment in moments:
        _, names, lines = [entry for entry in record if entry[0] <= moment][-1]
        for ssin in ssins:
            known = world.known(ssin, moment)
            assert known.current == names[ssin]
            assert known.replaces == (ssin if names[ssin] != ssin else None)
            assert set(known.lines) == lines[names[ssin]]
            assert len(known.lines) == len(lines[names[ssin]])
    for ssin in ssins:
        assert world.verify(ssin) == Verification()


# -- by example --------------------------------------------------------------------------------------------------------


def test_rule_35_nothing_was_known_of_a_number_without_history(world: World) -> None:
    """A number that no line ever had answers itself and no line (rule 35)."""
    ssin = new_ssin()
    known = world.known(ssin, datetime.now(UTC))
    assert (known.current, known.replaces, known.lines) == (ssin, None, ())


def test_rules_19_20_35_a_replaced_number_is_followed_from_the_moment_of_its_replacement(world: World) -> None:
    """Before it, each number had its own lines; from then on the old one answers the new one's (rules 19, 20, 35)."""
    old, new = new_ssin(), new_ssin()
    first = world.insert(old, 0, 3)
    second = world.insert(new, 3, None)
    other = world.insert(old, 1, 2, context=1)
    replaced = world.replace(old, new)

    before = world.known(old, replaced - MILLISECOND)
    assert (before.current, before.replaces) == (old, None)
    assert {(line.period.begin_date, line.last_change) for line in before.lines} == {(day(0), first), (day(1), other)}
    own = world.known(new, replaced - MILLISECOND)
    assert [(line.period.begin_date, line.last_change) for line in own.lines] == [(day(3), second)]

    for moment in (replaced, replaced + timedelta(days=1)):
        after = world.known(old, moment)
        assert (after.current, after.replaces) == (new, old)
        assert world.known(new, moment).replaces is None
        assert world.known(new, moment).lines == after.lines
        # Merged: the time of the replacement. Moved as it was: its own time.
        assert [(line.inscription_context, line.period.begin_date, line.last_change) for line in after.lines] == [
            (CONTEXTS[0], day(0), replaced),
            (CONTEXTS[1], day(1), other),
        ]


def test_rule_16_replacements_are_followed_to_their_end_and_no_further_than_the_limit(world: World) -> None:
    """A chain of replacements is followed up to the limit; a longer one, and a circle, are refused (rule 16)."""
    ssins = [new_ssin() for _ in range(HOPS + 2)]
    world.insert(ssins[0], 0, 1)
    moments = [world.replace(old, new) for old, new in pairwise(ssins)]
    for hops, moment in enumerate(moments[:HOPS], start=1):
        known = world.known(ssins[0], moment)
        assert known.current == ssins[hops]
        assert periods(known.lines) == [(day(0), day(1))]
    with pytest.raises(HistoryRefused, match="lead nowhere"):
        world.known(ssins[0], moments[-1])
    assert world.known(ssins[1], moments[-1]).current == ssins[-1]

    circle = [new_ssin(), new_ssin()]
    world.replace(circle[0], circle[1])
    moment = world.replace(circle[1], circle[0])
    with pytest.raises(HistoryRefused, match="lead nowhere"):
        world.known(circle[0], moment)


def test_rule_20_a_number_that_came_replaced_was_never_current(world: World) -> None:
    """What the register called replaced when we got it stands under its successor at every moment (rule 20)."""
    old, new = new_ssin(), new_ssin()
    for ssin, status, successor in ((new, "active", None), (old, "replaced", new.number)):
        world.behind.execute(
            "INSERT INTO person (ssin, register, status, replaced_by, last_name, given_names, gender_code)"
            " VALUES (%s, 'nr', %s, %s, 'Peeters', '{}', 0)",
            (ssin.number, status, successor),
        )
    moment = world.insert(new, 0, 1)
    known = world.known(old, moment)
    assert (known.current, known.replaces, len(known.lines)) == (new, old, 1)
    assert world.known(old, moment - MILLISECOND).lines == ()
    # Replaced under our eyes, its register says so from then on, and for no time before.
    seen = new_ssin()
    world.behind.execute(
        "INSERT INTO person (ssin, register, status, replaced_by, last_name, given_names, gender_code)"
        " VALUES (%s, 'nr', 'replaced', %s, 'Peeters', '{}', 0)",
        (seen.number, new.number),
    )
    replaced = world.replace(seen, new)
    assert world.known(seen, replaced - MILLISECOND).current == seen
    assert world.known(seen, replaced).current == new


def test_rules_30_33_one_organisation_and_context_can_be_asked_for(world: World) -> None:
    """Lines and changes of one organisation or context can be asked for alone, by either number (rules 30, 33)."""
    old, new = new_ssin(), new_ssin()
    for customer in (0, 1):
        for context in (0, 1):
            world.insert(old, 0, 1, customer=customer, context=context)
    moment = world.replace(old, new)
    known = world.known(old, moment, customer=CUSTOMERS[1])
    assert [(line.organization, line.inscription_context) for line in known.lines] == [
        (CUSTOMERS[1], context) for context in CONTEXTS
    ]
    known = world.known(old, moment, contexts=[CONTEXTS[1]])
    assert {(line.organization, line.inscription_context) for line in known.lines} == {
        (customer, CONTEXTS[1]) for customer in CUSTOMERS
    }
    assert world.known(old, moment, contexts=[]).lines == ()
    page = world.runner.run(world.history.changes_of(new, customer=CUSTOMERS[0], context=CONTEXTS[0]))
    assert [(change.customer, change.inscription_context) for change in page.changes] == [(CUSTOMERS[0], CONTEXTS[0])]


def test_rule_35_every_change_of_a_line_is_told_page_by_page(world: World) -> None:
    """Changes come newest last, with who, when and under which ticket and ground, and pages join up (rule 35)."""
    ssin, new = new_ssin(), new_ssin()
    moments = [world.insert(ssin, 2 * index, 2 * index) for index in range(5)]
    page = world.runner.run(world.history.changes_of(ssin))
    assert not page.more
    assert page.replaced_by is None
    assert [change.changed_at for change in page.changes] == moments
    assert [change.before for change in page.changes[1:]] == [change.after for change in page.changes[:-1]]
    last = page.changes[-1]
    assert last.after == tuple(Period(begin_date=day(2 * index), end_date=day(2 * index)) for index in range(5))
    assert (last.operation, last.customer_ticket, last.legal_context, last.application_urn, last.cbe_number) == (
        "insertInscription",
        "a ticket",
        "PCSA:SOCIAL_INQUIRY",
        CALLER.application_urn,
        CALLER.cbe_number,
    )

    world.replace(ssin, new)
    told: list[LineSetChange] = []
    sizes = []
    while True:
        after = told[-1].change_number if told else 0
        page = world.runner.run(world.history.changes_of(ssin, after=after, limit=2))
        told += page.changes
        sizes.append(len(page.changes))
        assert page.replaced_by == new
        if not page.more:
            break
    assert sizes == [2, 2, 2]
    assert [change.operation for change in told] == ["insertInscription"] * 5 + [REPLACE_SSIN]
    assert (told[-1].before, told[-1].after, told[-1].legal_context) == (last.after, (), None)


@pytest.mark.parametrize("limit", [0, CHANGES_MAX + 1])
def test_a_page_of_changes_has_a_limit(world: World, limit: int) -> None:
    """A page of no change, or of more than the limit, cannot be asked for."""
    with pytest.raises(ValueError, match="1 to 1000"):
        world.runner.run(world.history.changes_of(new_ssin(), limit=limit))


def test_what_is_replayed_has_a_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person with more changes than the limit is refused as a whole, and answered for one organisation."""
    ssin = new_ssin()
    moments = [world.insert(ssin, 2 * index, 2 * index) for index in range(3)]
    monkeypatch.setattr(stored_history_module, "CHANGES_REPLAYED_MAX", 2)
    with pytest.raises(HistoryRefused, match="more than 2 changes"):
        world.known(ssin, moments[2])
    assert len(world.known(ssin, moments[1]).lines) == 2


@pytest.mark.parametrize("arrival_is_told", [True, False])
@pytest.mark.parametrize("old_is_later", [True, False])
def test_rule_19_whichever_history_of_a_replacement_speaks_first_the_times_are_the_same(
    *, old_is_later: bool, arrival_is_told: bool
) -> None:
    """A replay joins both histories of a replacement in either order; the later of two times stays (rule 19)."""
    old, new = new_ssin(), new_ssin()
    both, only_old, only_new = (Period(begin_date=day(index), end_date=day(index)) for index in (0, 2, 4))
    olds = (both, only_old) if arrival_is_told else (both,)
    news = (both, only_new)
    then = (both, only_old, only_new) if arrival_is_told else news

    def change(
        number: int, ssin: Ssin, operation: str, before: tuple[Period, ...], after: tuple[Period, ...]
    ) -> LineSetChange:
        return LineSetChange(
            change_number=number,
            ssin=ssin,
            customer=CUSTOMERS[0],
            inscription_context=CONTEXTS[0],
            operation=operation,
            before=before,
            after=after,
            changed_at=LONG_AGO + number * MILLISECOND,
            ticket_cbss=UUID(int=1),
        )

    numbers = (2, 1) if old_is_later else (1, 2)
    first = [
        change(numbers[0], old, "insertInscription", (), olds),
        change(numbers[1], new, "insertInscription", (), news),
    ]
    leaves = change(3, old, REPLACE_SSIN, olds, ())
    arrives = [change(4, new, REPLACE_SSIN, news, then)] if arrival_is_told else []
    for order in ([leaves, *arrives], [*arrives, leaves]):
        replay = Replay([Replacement(ssin=old, replaced_by=new, ticket_cbss=UUID(int=1))])
        for each in (*first, *order):
            replay.apply(each)
        times = {line.period: line.last_change for line in replay.lines(new)}
        assert times[both] == LONG_AGO + 2 * MILLISECOND
        assert times[only_new] == LONG_AGO + numbers[1] * MILLISECOND
        assert times.get(only_old) == (LONG_AGO + numbers[0] * MILLISECOND if arrival_is_told else None)
        assert replay.lines(old) == ()


@pytest.mark.parametrize("old_is_later", [True, False])
def test_rules_19_35_a_line_that_both_numbers_had_keeps_its_later_time(world: World, *, old_is_later: bool) -> None:
    """The same line under both numbers has the later of its times after the replacement, and verifies (19, 35)."""
    old, new = new_ssin(), new_ssin()
    ssins = (new, old) if old_is_later else (old, new)
    later = [world.insert(ssin, 0, 1) for ssin in ssins][-1]
    for quiet in (True, False):
        moment = world.replace(old, new, quiet=quiet)
        (line,) = world.known(old, moment).lines
        assert line.last_change == later
        assert world.verify(new) == Verification()
        old = new_ssin()  # and once more, with a third number
        later = world.insert(old, 0, 1)


# -- what others write -------------------------------------------------------------------------------------------------


def test_rules_19_35_a_replacement_by_the_registers_is_told_by_the_history(fresh_world: World) -> None:
    """What the life of a number writes when a BIS person gets a number replays, and is told at each moment (19, 35)."""
    bis, nr = (
        Ssin.parse(first_nine + check_digits(first_nine, century=1900)) for first_nine in ("854730001", "850730001")
    )
    for ssin, register in ((bis, "bis"), (nr, "nr")):
        fresh_world.behind.execute(
            "INSERT INTO person (ssin, register, status, last_name, given_names, gender_code)"
            " VALUES (%s, %s, 'active', 'Peeters', '{}', 0)",
            (ssin.number, register),
        )
    fresh_world.insert(bis, 0, 3)
    kept = fresh_world.insert(bis, 0, 3, context=1)
    last = fresh_world.insert(nr, 2, 9)
    before = fresh_world.lines(bis)

    async def replace() -> Done | Candidates | Refused:
        database = Database(fresh_world.behind.info.dsn, connections_max=2)
        await database.open()
        try:
            persons = StoredPersons(database)
            life = NumberLife(
                files=StoredFiles(database),
                registers=persons,
                national_register=persons,
                ours=frozenset(Register),
                data_anomalies=FoundDataAnomalies(),
            )
            return await life.replace(bis, nr, operator="a test")
        finally:
            await database.close()

    assert isinstance(fresh_world.runner.run(replace()), Done)
    replaced = fresh_world.one("SELECT replaced_at FROM replacement WHERE ssin = %s", (bis.number,))
    assert fresh_world.verify() == Verification()
    assert set(fresh_world.known(bis, last).lines) == before
    known = fresh_world.known(bis, replaced)
    assert (known.current, known.replaces) == (nr, bis)
    assert set(known.lines) == fresh_world.lines(nr)
    assert {line.last_change for line in known.lines} == {kept, replaced}


def test_rule_35_a_loaded_population_has_the_history_of_its_lines(fresh_world: World) -> None:
    """Lines that came with a population replay to their state, each known from the time that it bears (rule 35)."""
    ssin = new_ssin()
    times = [LONG_AGO + timedelta(days=days) for days in (20, 10)]
    row = (
        f"{ssin.digits}\t17/1\t{CONTEXTS[0]}\t{{[{day(0)},{day(1)}),[{day(5)},)}}"
        f'\t{{"{times[0].isoformat()}","{times[1].isoformat()}"}}\n'
    )
    load_rows(fresh_world.behind.info.dsn, [], [Rows(row.encode(), 1)], recipe="a test")
    assert fresh_world.verify() == Verification()
    assert [len(fresh_world.known(ssin, LONG_AGO + timedelta(days=days)).lines) for days in (9, 10, 19, 20)] == [
        0,
        1,
        1,
        2,
    ]
    assert {line.last_change for line in fresh_world.known(ssin, times[0]).lines} == set(times)


# -- verification ------------------------------------------------------------------------------------------------------

SPOIL: dict[DiscrepancyKind, bytes] = {
    DiscrepancyKind.GAP: b"INSERT INTO inscription_history (ssin, customer, inscription_context, operation, before,"
    b" after, changed_at, ticket_cbss) SELECT ssin, customer, inscription_context, 'x', '{[2020-01-01,)}', periods,"
    b" last_changes[1], gen_random_uuid() FROM inscription WHERE ssin = %s",
    DiscrepancyKind.STATE: b"UPDATE inscription SET periods = '{[2020-01-01,)}' WHERE ssin = %s",
    DiscrepancyKind.LAST_CHANGE: b"UPDATE inscription SET last_changes[1] = last_changes[1] - interval '1 ms'"
    b" WHERE ssin = %s",
    DiscrepancyKind.STRANDED: b"INSERT INTO replacement VALUES (%s, 1, now(), gen_random_uuid())",
}


@pytest.mark.parametrize("kind", DiscrepancyKind)
def test_rule_35_a_verification_finds_what_does_not_fit(fresh_world: World, kind: DiscrepancyKind) -> None:
    """Each way to contradict the history is found, at its number and nowhere else (rule 35)."""
    spoilt, sound = new_ssin(), new_ssin()
    for ssin in (spoilt, sound):
        fresh_world.insert(ssin, 0, 1)
    assert fresh_world.verify() == Verification()
    fresh_world.behind.execute(SPOIL[kind], (spoilt.number,))
    verification = fresh_world.verify()
    assert verification.complete
    (found,) = [item for item in verification.discrepancies if item.kind is kind]
    assert (found.ssin, found.customer, found.inscription_context) == (spoilt, "17/1", CONTEXTS[0])
    assert (found.change_number is not None) == (kind is DiscrepancyKind.GAP)
    assert {item.kind for item in verification.discrepancies} <= {kind, DiscrepancyKind.LAST_CHANGE}
    assert fresh_world.verify(spoilt) == verification
    assert fresh_world.verify(sound) == Verification()


def test_rule_35_lines_without_history_and_history_without_lines_are_found(fresh_world: World) -> None:
    """A line that no change brought, and a change whose lines are nowhere, are both found (rule 35)."""
    without, gone = new_ssin(), new_ssin()
    fresh_world.behind.execute(
        "INSERT INTO inscription VALUES (%s, '17/1', 'AB', '{[2024-01-01,)}', ARRAY[now()])", (without.number,)
    )
    fresh_world.insert(gone, 0, 1)
    fresh_world.behind.execute("DELETE FROM inscription WHERE ssin = %s", (gone.number,))
    found = fresh_world.verify().discrepancies
    assert {(item.kind, item.ssin) for item in found} == {
        (DiscrepancyKind.STATE, without),
        (DiscrepancyKind.STATE, gone),
    }


def test_a_verification_looks_at_everything_in_slices_and_stops_at_its_limit(
    fresh_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However small the slices, every number is looked at once; too many discrepancies end it, and it says so."""
    ssins = [Ssin.of_number(number) for number in range(1, 8)]
    for ssin in ssins:
        for index in range(3):
            fresh_world.insert(ssin, 2 * index, 2 * index)
    fresh_world.behind.execute("UPDATE inscription SET periods = '{}', last_changes = '{}'")
    for changes in (1, 2, 5, 100):
        monkeypatch.setattr(stored_history_module, "SLICE_CHANGES_MAX", changes)
        verification = fresh_world.verify()
        assert verification.complete
        assert [item.ssin for item in verification.discrepancies] == sorted(ssins)
    monkeypatch.setattr(stored_history_module, "DISCREPANCIES_MAX", 5)
    for changes in (1, 100):
        monkeypatch.setattr(stored_history_module, "SLICE_CHANGES_MAX", changes)
        verification = fresh_world.verify()
        assert not verification.complete
        assert [item.ssin for item in verification.discrepancies] == sorted(ssins)[:5]


def test_the_history_hides_numbers_where_they_could_be_logged(world: World) -> None:
    """No value of the history shows a number in its repr (SEC-74)."""
    ssin = new_ssin()
    moment = world.insert(ssin, 0, 1)
    page = world.runner.run(world.history.changes_of(ssin))
    assert ssin.digits not in repr((world.known(ssin, moment), page))
    fake = Discrepancy(kind=DiscrepancyKind.STATE, ssin=ssin, customer="17/1", inscription_context="AB")
    assert ssin.digits not in repr(fake)


def test_rule_35_a_line_to_the_last_day_of_the_calendar_is_told_as_it_was(world: World) -> None:
    """A line that ends on 9999-12-31, a day of the calendar for callers, is known as of any moment (rule 35)."""
    ssin, last = new_ssin(), Period(begin_date=day(0), end_date=date.max)
    changed = world.change(ssin, 0, 0, Operation.INSERT_INSCRIPTION, None, last)
    (line,) = changed.lines
    assert line.last_change is not None
    assert [known.period for known in world.known(ssin, line.last_change).lines] == [last]
    (told,) = world.runner.run(world.history.changes_of(ssin)).changes
    assert (told.before, told.after) == ((), (last,))
    assert world.verify(ssin).discrepancies == ()
