"""The repertory on PostgreSQL against an oracle that knows nothing but sets of days (rules 18, 20, 25 to 36)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any, ClassVar, Final
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.period import GivenPeriod
from cbss_inscription.domain.requests import ConsultInscriptions, DeleteInscription, InsertInscription, Operation
from cbss_inscription.domain.requests import UpdateInscription as Update
from cbss_inscription.domain.results import InscriptionResult, WriteResult
from cbss_inscription.domain.ssin import Ssin, check_digits
from cbss_inscription.governance.access import AccessRule, AccessRules, Permission
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.persons import StoredPersons
from cbss_inscription.usecases.change_inscription import delete_inscription, insert_inscription, update_inscription
from cbss_inscription.usecases.consult_inscriptions import consult_inscriptions
from tests.conftest import FoundDataAnomalies

SEQUENCES: Final = 200
"""Sequences of operations tried in a run."""
STEPS_MAX: Final = 20
"""Operations in a sequence."""
PROFILE: Final = settings(
    max_examples=SEQUENCES,
    stateful_step_count=STEPS_MAX,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

# The calendar: days 0 to 11 have a date; the element EVER stands for all days after them.
FIRST, DAYS_MAX = date(2024, 2, 25), 12
EVER = DAYS_MAX

CUSTOMERS = (CustomerIdentification(sector=17, institution=1), CustomerIdentification(cbe_number="0200000012"))
CONTEXTS = (InscriptionContext("PCSA:DEBT_MEDIATION"), InscriptionContext("PCSA:LIVING_WAGE"))
GROUND = LegalContext("PCSA:SOCIAL_INQUIRY")
CALLER = Caller(
    application_urn="urn:app:one",
    cbe_number="0200000012",
    environment="Acceptation",
    certificate_fingerprint="00" * 32,
)
RULES = AccessRules(
    version=1,
    access_rules=(
        AccessRule(
            dossier="UD-1",
            application_urn=CALLER.application_urn,
            cbe_number=CALLER.cbe_number,
            environment=CALLER.environment,
            operations=tuple(Operation),
            valid_from=date(2000, 1, 1),
        ),
    ),
    permissions=tuple(
        Permission(
            reference=f"KSZ-{customer.key}",
            customer_identification=customer,
            cbe_number=CALLER.cbe_number,
            application_urns=(CALLER.application_urn,),
            legal_contexts=frozenset({GROUND}),
            inscription_contexts=frozenset(CONTEXTS),
            operations=tuple(Operation),
            valid_from=date(2000, 1, 1),
        )
        for customer in CUSTOMERS
    ),
)

Days = frozenset[int]
Line = tuple[date, date | None]
Span = tuple[int | None, int | None]
"""First and last day as a caller gives them; None: no such end."""


# -- the oracle ------------------------------------------------------------------------------------------------------


def day(index: int) -> date:
    return FIRST + timedelta(days=index)


def days_of(span: Span) -> Days:
    first, last = span
    return frozenset(range(0 if first is None else first, (EVER if last is None else last) + 1))


def lines_of(days: Days) -> list[Line]:
    """The maximal runs of consecutive days: what the lines of a set of days must be (rule 32)."""
    begins = sorted(index for index in days if index - 1 not in days)
    ends = sorted(index for index in days if index + 1 not in days)
    return [(day(begin), None if end == EVER else day(end)) for begin, end in zip(begins, ends, strict=True)]


def line_of(span: Span) -> Line:
    first, last = span
    assert first is not None
    return day(first), None if last is None else day(last)


def touches(days: Days, added: Days) -> bool:
    """Whether a day of `days` is one of `added`, or the day before or after it (rule 32)."""
    return any({index - 1, index, index + 1} & days for index in added)


@dataclass(frozen=True)
class Expected:
    """What the rules say of a declaration: the code, the anomalies about lines, and the days afterwards."""

    code: str
    anomalies: tuple[str, ...]
    after: Days


def is_reversed(span: Span | None) -> bool:
    return span is not None and span[0] is not None and span[1] is not None and span[1] < span[0]


def expected_of(before: Days, removed: Span | None, added: Span | None, *, exactly: bool) -> Expected:
    """The rules: 27 (reversed), 31 (identical), 32 (merged), 34 (cut out), E17 (not found)."""
    if is_reversed(removed) or is_reversed(added):
        return Expected("MSG00008", (), before)
    rest = before
    if removed is not None:
        found = line_of(removed) in lines_of(before) if exactly else bool(before & days_of(removed))
        if not found:
            return Expected("CBI00403", (), before)
        rest = before - days_of(removed)
    if added is None:
        return Expected("MSG00000", (), rest)
    after = rest | days_of(added)
    if line_of(added) in lines_of(before) and after == before:
        return Expected("MSG00000", ("CBI00401",), after)
    return Expected("MSG00000", ("CBI00402",) if touches(rest, days_of(added)) else (), after)


# -- the world -------------------------------------------------------------------------------------------------------


class World:
    """The repertory under test in an event loop of its own, and a plain connection to look behind it."""

    def __init__(self, conninfo: str, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.database = Database(conninfo, connections_max=1)
        runner.run(self.database.open())
        self.repertory = EmbeddedRepertory(
            registers=StoredPersons(self.database),
            lines=StoredInscriptions(self.database),
            known_contexts=CONTEXTS,
            data_anomalies=FoundDataAnomalies(),
            page_size=1000,
        )
        self.behind = psycopg.connect(conninfo, autocommit=True)
        self._numbers = count(1)

    def close(self) -> None:
        self.behind.close()
        self.runner.run(self.database.close())

    def new_person(self) -> tuple[Ssin, Ssin]:
        """An old number and the current one that replaces it, both never used before."""
        old, current = self._new_ssin(), self._new_ssin()
        for ssin, status, successor in ((current, "active", None), (old, "replaced", current.number)):
            self.behind.execute(
                "INSERT INTO person (ssin, register, status, replaced_by, last_name, given_names, gender_code)"
                " VALUES (%s, 'nr', %s, %s, 'Peeters', '{}', 0)",
                (ssin.number, status, successor),
            )
        return old, current

    def _new_ssin(self) -> Ssin:
        number = next(self._numbers)
        first_nine = f"{number // 998:06d}"[:2] + "0101" + f"{number % 998 + 1:03d}"
        return Ssin.parse(first_nine + check_digits(first_nine, century=1900))

    def ask(self, request: Any) -> InscriptionResult:
        exchange = Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime(2024, 6, 1, tzinfo=UTC), caller=CALLER)
        match request:
            case ConsultInscriptions():
                return self.runner.run(consult_inscriptions(request, exchange, rules=RULES, repertory=self.repertory))
            case InsertInscription():
                return self.runner.run(insert_inscription(request, exchange, rules=RULES, repertory=self.repertory))
            case Update():
                return self.runner.run(update_inscription(request, exchange, rules=RULES, repertory=self.repertory))
            case _:
                return self.runner.run(delete_inscription(request, exchange, rules=RULES, repertory=self.repertory))


@pytest.fixture(scope="module")
def world(module_database: str) -> Iterator[World]:
    with asyncio.Runner() as runner:
        world = World(module_database, runner)
        yield world
        world.close()


# -- the machine -----------------------------------------------------------------------------------------------------

KEYS = st.tuples(st.sampled_from(CUSTOMERS), st.sampled_from(CONTEXTS))
BY_OLD_NUMBER = st.booleans()
DAY = st.integers(0, DAYS_MAX - 1)
# Sometimes reversed; mostly short, so that lines stand apart often enough.
SPANS = st.one_of(
    st.tuples(DAY, st.integers(0, 3)).map(lambda pair: (pair[0], min(pair[0] + pair[1], DAYS_MAX - 1))),
    st.tuples(DAY, st.none() | DAY),
)
CUTS = st.none() | SPANS | st.tuples(st.none(), DAY)


def given(span: Span) -> GivenPeriod:
    first, last = span
    return GivenPeriod(begin_date=None if first is None else day(first), end_date=None if last is None else day(last))


Key = tuple[CustomerIdentification, InscriptionContext]


class RepertoryMachine(RuleBasedStateMachine):
    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.old, self.current = self.world.new_person()
        self.days: dict[Key, Days] = {
            (customer, context): frozenset() for customer in CUSTOMERS for context in CONTEXTS
        }
        self.last_changes: dict[Key, dict[Line, datetime]] = {key: {} for key in self.days}
        self.changes: dict[Key, list[tuple[str, Days, Days]]] = {key: [] for key in self.days}

    def head(self, customer: CustomerIdentification, *, by_old: bool) -> dict[str, Any]:
        return {
            "information_customer": InformationCustomer(customer_identification=customer),
            "legal_context": GROUND,
            "ssin": (self.old if by_old else self.current).digits,
        }

    def declare(self, key: Key, request: Any, expected: Expected, *, by_old: bool) -> None:
        result = self.world.ask(request)
        assert isinstance(result, WriteResult)
        before, former = self.days[key], self.last_changes[key]
        refused = expected.code != "MSG00000"
        assert (result.status.value, result.status.code) == ("NOK" if refused else "OK", expected.code)
        assert result.ssin is not None
        assert (result.ssin.current, result.ssin.replaces) == (self.current, self.old if by_old else None)
        warned = ("CBI00102",) if by_old and not refused else ()
        assert tuple(anomaly.code for anomaly in result.anomalies) == warned + expected.anomalies
        told = {
            (line.period.begin_date, line.period.end_date): line.last_change
            for line in result.inscriptions
            if line.last_change is not None
        }
        if expected.code == "MSG00008":
            assert told == {}
            return
        assert [*told] == lines_of(expected.after)
        assert {line.inscription_context for line in result.inscriptions} <= {key[1]}
        # Lines that stood there keep their last change; new ones share one, of this very change.
        assert {line: told[line] for line in told if line in former} == {
            line: former[line] for line in told if line in former
        }
        fresh = {told[line] for line in told if line not in former}
        assert len(fresh) <= 1
        assert not fresh or not former or min(fresh) >= max(former.values())
        if expected.after != before:
            self.changes[key].append((type(request).__name__, before, expected.after))
        self.days[key], self.last_changes[key] = expected.after, told

    @rule(key=KEYS, span=SPANS, by_old=BY_OLD_NUMBER)
    def insert(self, key: Key, span: Span, *, by_old: bool) -> None:
        request = InsertInscription(**self.head(key[0], by_old=by_old), inscription_context=key[1], period=given(span))
        self.declare(key, request, expected_of(self.days[key], None, span, exactly=False), by_old=by_old)

    def change_to(self, key: Key, span: Span, new: Span, *, by_old: bool) -> None:
        request = Update(
            **self.head(key[0], by_old=by_old), inscription_context=key[1], period=given(span), new_period=given(new)
        )
        self.declare(key, request, expected_of(self.days[key], span, new, exactly=True), by_old=by_old)

    @rule(key=KEYS, span=SPANS, new=SPANS, by_old=BY_OLD_NUMBER)
    def update(self, key: Key, span: Span, new: Span, *, by_old: bool) -> None:
        self.change_to(key, span, new, by_old=by_old)

    @precondition(lambda self: any(self.days.values()))
    @rule(data=st.data(), new=SPANS, by_old=BY_OLD_NUMBER)
    def update_a_line(self, data: st.DataObject, new: Span, *, by_old: bool) -> None:
        key = data.draw(st.sampled_from([key for key, days in self.days.items() if days]))
        begin, end = data.draw(st.sampled_from(lines_of(self.days[key])))
        span = ((begin - FIRST).days, None if end is None else (end - FIRST).days)
        self.change_to(key, span, data.draw(st.just(span) | st.just(new)), by_old=by_old)

    @rule(key=KEYS, cut=CUTS, by_old=BY_OLD_NUMBER)
    def delete(self, key: Key, cut: Span | None, *, by_old: bool) -> None:
        request = DeleteInscription(
            **self.head(key[0], by_old=by_old),
            inscription_context=key[1],
            period=None if cut is None else given(cut),
        )
        self.declare(key, request, expected_of(self.days[key], cut or (None, None), None, exactly=False), by_old=by_old)

    @rule(
        customer=st.sampled_from(CUSTOMERS),
        contexts=st.lists(st.sampled_from(CONTEXTS), unique=True),
        span=st.none() | SPANS,
        by_old=BY_OLD_NUMBER,
    )
    def consult(
        self, customer: CustomerIdentification, contexts: list[InscriptionContext], span: Span | None, *, by_old: bool
    ) -> None:
        request = ConsultInscriptions(
            **self.head(customer, by_old=by_old),
            inscription_contexts=tuple(contexts),
            period=None if span is None else given(span),
        )
        result = self.world.ask(request)
        if is_reversed(span):
            assert (result.status.value, result.status.code) == ("NO_RESULT", "MSG00008")
            return
        asked = days_of(span or (None, None))
        expected = [
            (context, line, self.last_changes[customer, context][line])
            for context in CONTEXTS
            if context in (contexts or CONTEXTS)
            for line in lines_of(self.days[customer, context])
            if asked & days_of(((line[0] - FIRST).days, None if line[1] is None else (line[1] - FIRST).days))
        ]
        assert [
            (line.inscription_context, (line.period.begin_date, line.period.end_date), line.last_change)
            for line in result.inscriptions
        ] == expected
        assert result.status.value == ("DATA_FOUND" if expected else "NO_DATA_FOUND")
        assert result.status.code == ("MSG00000" if expected else "MSG00100")

    def teardown(self) -> None:
        """History: before of each row is after of the former, the last after is the state (rule 35)."""
        for key, changes in self.changes.items():
            where = (self.current.number, key[0].key, str(key[1]))
            rows = self.world.behind.execute(
                "SELECT operation, before, after, changed_at FROM inscription_history"
                " WHERE (ssin, customer, inscription_context) = (%s, %s, %s) ORDER BY change_number",
                where,
            ).fetchall()
            told = [(operation, stored_lines(before), stored_lines(after)) for operation, before, after, _ in rows]
            assert told == [
                (name[0].lower() + name[1:], lines_of(before), lines_of(after)) for name, before, after in changes
            ]
            # A line's last change is the time of the row that brought the line.
            for line, last_change in self.last_changes[key].items():
                brought = [row for row in rows if line in stored_lines(row[2]) and line not in stored_lines(row[1])]
                assert last_change == brought[-1][3]
            state = self.world.behind.execute(
                "SELECT periods, last_changes FROM inscription"
                " WHERE (ssin, customer, inscription_context) = (%s, %s, %s)",
                where,
            ).fetchone()
            periods, last_changes = state or ([], [])
            assert dict(zip(stored_lines(periods), last_changes, strict=True)) == self.last_changes[key]
        strangers = self.world.behind.execute(
            "SELECT count(*) FROM inscription WHERE ssin = %s", (self.old.number,)
        ).fetchone()
        assert strangers == (0,)


def stored_lines(periods: Any) -> list[Line]:
    """The lines of a datemultirange, whose upper ends are exclusive."""
    return [(part.lower, None if part.upper is None else part.upper - timedelta(days=1)) for part in periods]


def test_rules_25_to_36_every_sequence_of_operations_is_answered_as_the_oracle_says(world: World) -> None:
    """Answers, lines, their last changes and the history are those of plain sets of days (rules 18, 20, 25 to 36)."""
    machine = type("Machine", (RepertoryMachine,), {"world": world})
    run_state_machine_as_test(machine, settings=PROFILE)


def test_the_oracle_knows_the_rules_by_example() -> None:
    """The oracle itself: adjacency merges, a gap of one day does not, EVER is what follows the calendar."""
    assert lines_of(frozenset({0, 1, 3, EVER})) == [(day(0), day(1)), (day(3), day(3)), (day(EVER), None)]
    assert expected_of(frozenset({0, 1}), None, (2, 3), exactly=False).anomalies == ("CBI00402",)
    assert expected_of(frozenset({0, 1}), None, (3, 4), exactly=False).anomalies == ()
    assert expected_of(frozenset({0, 1}), None, (0, 1), exactly=False).anomalies == ("CBI00401",)
    assert expected_of(frozenset({0, 1}), (0, 1), (0, 1), exactly=True).anomalies == ("CBI00401",)
    assert expected_of(frozenset({0, 1}), (0, 0), (5, 6), exactly=True).code == "CBI00403"
    assert expected_of(frozenset({0, 1}), (0, 0), None, exactly=False).after == {1}
