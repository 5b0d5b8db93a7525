"""The repertory and its registers on PostgreSQL against an oracle that knows nothing but sets of days.

Rules 15 to 21, 23, 25 to 38; what is read of the past and of the feed is compared too.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count, pairwise
from typing import Any, ClassVar, Final
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.history import KnownLines
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import LegalData, Register
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    ConsultMutations,
    DeleteInscription,
    InsertInscription,
    Operation,
    UpdateInscription,
)
from cbss_inscription.domain.results import ConsultResult, MutationsResult, WriteResult
from cbss_inscription.domain.ssin import Ssin, check_digits
from cbss_inscription.governance.access import AccessRule, AccessRules, Permission
from cbss_inscription.registers.life import NumberLife, Refused
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.history import StoredHistory
from cbss_inscription.storage.inscriptions import StoredInscriptions
from cbss_inscription.storage.life import StoredFiles
from cbss_inscription.storage.mutations import StoredMutations
from cbss_inscription.storage.persons import StoredPersons
from cbss_inscription.usecases.change_inscription import delete_inscription, insert_inscription, update_inscription
from cbss_inscription.usecases.consult_inscriptions import consult_inscriptions
from cbss_inscription.usecases.consult_mutations import consult_mutations
from tests.conftest import FoundDataAnomalies
from tests.repertory.oracle import (
    DAYS_MAX,
    EVER,
    Declaration,
    File,
    Line,
    LineSet,
    Moment,
    Oracle,
    Outcome,
    Span,
    Stamp,
    day,
    days_of,
    expected_of,
    index_of,
    is_reversed,
    lines_of,
)

SEQUENCES, STEPS_MAX = 200, 20
"""Sequences of operations and events tried in `make test`, and the longest."""
SEQUENCES_LONG, STEPS_LONG_MAX = 2_000, 40
"""The same in `make test-long`."""
HOPS_MAX: Final = 2
"""Few, so that chains become too long within a sequence."""

CUSTOMERS = (CustomerIdentification(sector=17, institution=1), CustomerIdentification(cbe_number="0200000012"))
CONTEXTS = (InscriptionContext("PCSA:DEBT_MEDIATION"), InscriptionContext("PCSA:LIVING_WAGE"))
TICKETS = ("first", "second")
NAMES = ("Peeters", "Janssens")
DECEASES = ("2025-06-01", "2025-00-00")
FILES = (
    File(is_bis=True, register="bis"),
    File(is_bis=True, register="bis"),
    File(is_bis=False, register="nr"),
    File(is_bis=False, register="nr"),
)
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


class World:
    """The repertory and the registers under test in an event loop of their own, and a connection to look behind them.

    Every sequence has numbers and customers' feeds of its own: the numbers are new, and of the feeds only what came
    after the sequence began is looked at.
    """

    def __init__(self, conninfo: str, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.database = Database(conninfo, connections_max=2)
        runner.run(self.database.open())
        self.anomalies = FoundDataAnomalies()
        persons = StoredPersons(self.database)
        self.repertory = EmbeddedRepertory(
            registers=persons,
            lines=StoredInscriptions(self.database),
            known_contexts=lambda _: CONTEXTS,
            data_anomalies=self.anomalies,
            hops_max=HOPS_MAX,
            page_size=1,
        )
        self.life = NumberLife(
            files=StoredFiles(self.database),
            registers=persons,
            national_register=StoredPersons(self.database, registers=(Register.NR,)),
            ours=tuple(Register),
            data_anomalies=self.anomalies,
            hops_max=HOPS_MAX,
        )
        self.history = StoredHistory(self.database, hops_max=HOPS_MAX)
        self.feed = StoredMutations(self.database)
        self.behind = psycopg.connect(conninfo, autocommit=True)
        self._numbers = count(1)

    def close(self) -> None:
        self.behind.close()
        self.runner.run(self.database.close())

    def new_numbers(self) -> list[Ssin]:
        """A number never used before for each of FILES, with an active file."""
        ssins = []
        for file in FILES:
            number = next(self._numbers)
            digits = f"{number // 998:06d}"[-2:] + ("4101" if file.is_bis else "0101") + f"{number % 998 + 1:03d}"
            ssin = Ssin.parse(digits + check_digits(digits, century=1900))
            self.behind.execute(
                "INSERT INTO person (ssin, register, status, last_name, given_names, gender_code)"
                " VALUES (%s, %s, 'active', %s, '{}', 0)",
                (ssin.number, file.register, file.last_name),
            )
            ssins.append(ssin)
        return ssins

    def ask(self, request: Any) -> Any:
        exchange = Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime(2024, 6, 1, tzinfo=UTC), caller=CALLER)
        match request:
            case ConsultInscriptions():
                return self.runner.run(consult_inscriptions(request, exchange, rules=RULES, repertory=self.repertory))
            case InsertInscription():
                return self.runner.run(insert_inscription(request, exchange, rules=RULES, repertory=self.repertory))
            case UpdateInscription():
                return self.runner.run(update_inscription(request, exchange, rules=RULES, repertory=self.repertory))
            case DeleteInscription():
                return self.runner.run(delete_inscription(request, exchange, rules=RULES, repertory=self.repertory))
            case _:
                return self.runner.run(consult_mutations(request, exchange, rules=RULES, feed=self.feed))

    def mutations_of(self, customer: CustomerIdentification) -> int:
        """How many mutations the customer's feed has."""
        row = self.behind.execute("SELECT count(*) FROM mutation WHERE customer = %s", (customer.key,)).fetchone()
        assert row is not None
        return int(row[0])

    def now(self) -> datetime:
        """A moment that is over when this returns: what happens next has a later time, in milliseconds."""
        row = self.behind.execute("SELECT date_trunc('milliseconds', clock_timestamp())").fetchone()
        assert row is not None
        time.sleep(0.0011)
        return row[0]


@pytest.fixture(scope="module")
def world(module_database: str) -> Iterator[World]:
    with asyncio.Runner() as runner:
        world = World(module_database, runner)
        yield world
        world.close()


# -- the machine -----------------------------------------------------------------------------------------------------

KEYS = st.tuples(st.sampled_from(CUSTOMERS), st.sampled_from(CONTEXTS))
NUMBER = st.integers(0, len(FILES) - 1)
TICKET = st.none() | st.sampled_from(TICKETS)
DAY = st.integers(0, DAYS_MAX - 1)
# Sometimes reversed; mostly short, so that lines stand apart often enough.
SPANS = st.one_of(
    st.tuples(DAY, st.integers(0, 3)).map(lambda pair: (pair[0], min(pair[0] + pair[1], DAYS_MAX - 1))),
    st.tuples(DAY, st.none() | DAY),
)
CUTS = st.none() | SPANS | st.tuples(st.none(), DAY)
Key = tuple[CustomerIdentification, InscriptionContext]


def given(span: Span) -> GivenPeriod:
    first, last = span
    return GivenPeriod(begin_date=None if first is None else day(first), end_date=None if last is None else day(last))


REACHED_MIN: Final = 1
"""Sequences in which each of the states below must have been met: a machine that misses them proves little. Rules steer
into each, so that there are dozens."""
STATES: Final = (
    "a replacement merges lines",
    "a merged line keeps its last change",
    "lines go over a second replacement",
    "a repeated ticket",
    "a reused ticket",
    "a chain too long",
    "a circle",
    "a declaration by a replaced number",
    "as of a moment before a replacement",
    "a page that is not the last",
)


class RepertoryMachine(RuleBasedStateMachine):
    world: ClassVar[World]
    reached: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.ssins = self.world.new_numbers()
        self.oracle = Oracle(FILES, hops_max=HOPS_MAX)
        self.run = uuid4().hex[:8]  # tickets of other sequences are other tickets
        self.remembered: list[tuple[Any, Declaration, str]] = []
        self.met: set[str] = set()
        self.began = {customer: self.world.mutations_of(customer) for customer in CUSTOMERS}
        self.moment()

    def meet(self, state: str, is_met: bool) -> None:
        """Notes one of STATES, once a sequence."""
        if is_met and state not in self.met:
            self.met.add(state)
            self.reached[state] += 1

    # -- what is told

    def bind(self, stamp: Stamp, told: datetime | None) -> None:
        """A line's last change is the same whenever it is told."""
        assert told is not None
        if stamp.at is None:
            stamp.at = told
        assert told == stamp.at

    def bind_lines(self, stamps: dict[Line, Stamp], told: dict[Line, datetime | None]) -> None:
        assert [*told] == [*stamps]
        for line, stamp in stamps.items():
            self.bind(stamp, told[line])
        # Times follow the order of the changes.
        ordered = sorted(stamps.values(), key=lambda stamp: stamp.order)
        assert [stamp.at for stamp in ordered] == sorted(told.values(), key=str)

    def moment(self) -> None:
        self.oracle.pass_moment(self.world.now())

    def page(self, customer: CustomerIdentification, after: int, limit: int = 1_000) -> MutationsResult:
        request = ConsultMutations(
            information_customer=InformationCustomer(customer_identification=customer),
            legal_context=GROUND,
            after_sequence_number=after,
            limit=limit,
        )
        result = self.world.ask(request)
        assert isinstance(result, MutationsResult)
        return result

    # -- declarations

    def declare(self, request: Any, asked: Declaration, ticket: str | None) -> None:
        expected = self.oracle.declare(asked, ticket)
        if ticket is not None and expected.is_done:
            self.remembered.append((request, asked, ticket))
        self.meet("a repeated ticket", "CBI00404" in expected.anomalies)
        self.meet("a reused ticket", expected.code == "CBI00405")
        self.meet("a declaration by a replaced number", expected.is_done and expected.current != asked.asked)
        result = self.world.ask(request)
        assert isinstance(result, WriteResult)
        assert (result.status.value, result.status.code) == ("OK" if expected.is_done else "NOK", expected.code)
        assert tuple(anomaly.code for anomaly in result.anomalies) == expected.anomalies
        self.check_number(result, asked.asked, expected)
        told = {(line.period.begin_date, line.period.end_date): line.last_change for line in result.inscriptions}
        self.bind_lines(expected.lines or {}, told)
        assert {line.inscription_context for line in result.inscriptions} <= {asked.context}
        self.moment()

    def check_number(self, result: WriteResult | ConsultResult, asked: int, expected: Outcome) -> None:
        if expected.current is None:
            assert result.ssin is None
            return
        assert result.ssin is not None
        replaces = self.ssins[asked] if asked != expected.current else None
        assert (result.ssin.current, result.ssin.replaces, result.ssin.canceled) == (
            self.ssins[expected.current],
            replaces,
            expected.canceled,
        )

    def head(self, customer: CustomerIdentification, number: int, ticket: str | None) -> dict[str, Any]:
        whole = None if ticket is None else f"{self.run}-{ticket}"
        return {
            "information_customer": InformationCustomer(customer_identification=customer, ticket=whole),
            "legal_context": GROUND,
            "ssin": self.ssins[number].digits,
        }

    @rule(key=KEYS, span=SPANS, number=NUMBER, ticket=TICKET)
    def insert(self, key: Key, span: Span, number: int, ticket: str | None) -> None:
        self.insert_line(key, span, number, ticket)

    @rule(key=KEYS, first=st.integers(0, 5), number=NUMBER)
    def insert_apart(self, key: Key, first: int, number: int) -> None:
        """Two lines with days between them, and all that is known then."""
        for begin in (first, first + 3):
            self.insert_line(key, (begin, begin), number, None)
        self.consult_lines(key[0], [], None, number)

    def insert_line(self, key: Key, span: Span, number: int, ticket: str | None) -> None:
        head = self.head(key[0], number, ticket)
        request = InsertInscription(**head, inscription_context=key[1], period=given(span))
        self.declare(request, Declaration("insertInscription", number, key[0].key, key[1], None, span), ticket)

    def change_to(self, key: Key, span: Span, new: Span, number: int, ticket: str | None) -> None:
        head = self.head(key[0], number, ticket)
        request = UpdateInscription(**head, inscription_context=key[1], period=given(span), new_period=given(new))
        self.declare(request, Declaration("updateInscription", number, key[0].key, key[1], span, new), ticket)

    @rule(key=KEYS, span=SPANS, new=SPANS, number=NUMBER, ticket=TICKET)
    def update(self, key: Key, span: Span, new: Span, number: int, ticket: str | None) -> None:
        self.change_to(key, span, new, number, ticket)

    @precondition(lambda self: any(set_.days for set_ in self.oracle.sets.values()))
    @rule(data=st.data(), new=SPANS, ticket=TICKET)
    def update_a_line(self, data: st.DataObject, new: Span, ticket: str | None) -> None:
        """A line that is there, by a number that leads to it."""
        where = data.draw(st.sampled_from([key for key, set_ in self.oracle.sets.items() if set_.days]))
        ways = [number for number in range(len(FILES)) if self.oracle.end_of(number) == where[0]]
        begin, end = data.draw(st.sampled_from(lines_of(self.oracle.sets[where].days)))
        span = (index_of(begin), None if end is None else index_of(end))
        key = (CustomerIdentification.of_key(where[1]), InscriptionContext(where[2]))
        number = data.draw(st.sampled_from(ways))
        self.change_to(key, span, data.draw(st.just(span) | st.just(new)), number, ticket)

    @rule(key=KEYS, cut=CUTS, number=NUMBER, ticket=TICKET)
    def delete(self, key: Key, cut: Span | None, number: int, ticket: str | None) -> None:
        head = self.head(key[0], number, ticket)
        request = DeleteInscription(**head, inscription_context=key[1], period=None if cut is None else given(cut))
        # To delete all and to cut out all days come to the same, yet they are different declarations.
        operation = "deleteInscription" if cut is not None else "deleteInscription of all"
        asked = Declaration(operation, number, key[0].key, key[1], cut or (None, None), None)
        self.declare(request, asked, ticket)

    @precondition(lambda self: self.remembered)
    @rule(data=st.data())
    def resend(self, data: st.DataObject) -> None:
        """A declaration that was done, once more under its ticket."""
        request, asked, ticket = data.draw(st.sampled_from(self.remembered))
        self.declare(request, asked, ticket)

    # -- the life of numbers

    def happen(self, expected: str | None, event: Any) -> None:
        done = self.world.runner.run(event)
        assert (done.reason.value if isinstance(done, Refused) else None) == expected
        self.moment()

    def replace_by(self, number: int, successor: int) -> None:
        both = [
            (customer, context)
            for (index, customer, context), set_ in self.oracle.sets.items()
            if index == number and set_.days and self.oracle.has_days(self.oracle.end_of(successor), customer, context)
        ]
        came = any(end == number for end in self.oracle.moved.values()) and self.oracle.holds(number)
        kept = [line for where in both for line in self.oracle.sets[number, *where].stamps]
        expected = self.oracle.replace(number, successor)
        before = len(self.world.anomalies.reasons)
        event = self.world.life.replace(self.ssins[number], self.ssins[successor], operator="oracle")
        self.happen(expected, event)
        # What would make a circle or too long a chain is reported (rule 16).
        assert self.world.anomalies.reasons[before:] == ([expected] if expected in {"loop", "too-long"} else [])
        end = self.oracle.end_of(successor)
        merged = expected is None and bool(both)
        self.meet("a replacement merges lines", merged)
        self.meet(
            "a merged line keeps its last change",
            merged and any(line in self.oracle.sets[end, *where].stamps for where in both for line in kept),
        )
        self.meet("lines go over a second replacement", expected is None and came)
        self.meet("a chain too long", expected == "too-long")
        self.meet("a circle", expected == "loop")

    @rule(number=NUMBER, successor=NUMBER)
    def replace(self, number: int, successor: int) -> None:
        self.replace_by(number, successor)

    @precondition(lambda self: any(set_.days for set_ in self.oracle.sets.values()))
    @rule(data=st.data(), shared=st.booleans(), span=SPANS)
    def replace_a_holder(self, data: st.DataObject, shared: bool, span: Span) -> None:
        """A number with lines, often by one that has lines of the same key."""
        where = data.draw(st.sampled_from([key for key, set_ in self.oracle.sets.items() if set_.days]))
        successor = data.draw(st.sampled_from([index for index in range(len(FILES)) if index != where[0]]))
        if shared:
            key = (CustomerIdentification.of_key(where[1]), InscriptionContext(where[2]))
            self.insert_line(key, span, successor, None)
        self.replace_by(where[0], successor)

    # Fatal events late and few: most of what can happen happens to active files.
    @precondition(lambda self: len(self.oracle.moments) > 12 and not self.oracle.any_canceled())
    @rule(number=NUMBER)
    def cancel(self, number: int) -> None:
        self.happen(self.oracle.cancel(number), self.world.life.cancel(self.ssins[number], operator="oracle"))

    @precondition(lambda self: self.oracle.any_canceled())
    @rule(data=st.data())
    def cancel_again(self, data: st.DataObject) -> None:
        canceled = [index for index, file in enumerate(self.oracle.files) if file.status == "canceled"]
        number = data.draw(st.sampled_from(canceled))
        self.happen(self.oracle.cancel(number), self.world.life.cancel(self.ssins[number], operator="oracle"))

    @rule(number=NUMBER)
    def rad_in(self, number: int) -> None:
        self.happen(self.oracle.rad_in(number), self.world.life.rad_in(self.ssins[number], operator="oracle"))

    @rule(number=NUMBER)
    def rad_out(self, number: int) -> None:
        self.happen(self.oracle.rad_out(number), self.world.life.rad_out(self.ssins[number], operator="oracle"))

    @rule(number=NUMBER, decease_date=st.sampled_from(DECEASES))
    def decease(self, number: int, decease_date: str) -> None:
        event = self.world.life.decease(self.ssins[number], IncompleteDate.parse(decease_date), operator="oracle")
        self.happen(self.oracle.decease(number, decease_date), event)

    @rule(number=NUMBER, name=st.sampled_from(NAMES))
    def correct(self, number: int, name: str) -> None:
        event = self.world.life.correct(self.ssins[number], LegalData(last_name=name), operator="oracle")
        self.happen(self.oracle.correct(number, name), event)

    # -- what is read

    @rule(
        customer=st.sampled_from(CUSTOMERS),
        contexts=st.lists(st.sampled_from(CONTEXTS), unique=True),
        span=st.none() | SPANS,
        number=NUMBER,
    )
    def consult(
        self, customer: CustomerIdentification, contexts: list[InscriptionContext], span: Span | None, number: int
    ) -> None:
        self.consult_lines(customer, contexts, span, number)

    @precondition(lambda self: any(set_.days for set_ in self.oracle.sets.values()))
    @rule(data=st.data())
    def consult_a_holder(self, data: st.DataObject) -> None:
        """All lines of somebody who has some."""
        number, customer, _ = data.draw(st.sampled_from([key for key, set_ in self.oracle.sets.items() if set_.days]))
        self.consult_lines(CustomerIdentification.of_key(customer), [], None, number)

    def consult_lines(
        self, customer: CustomerIdentification, contexts: list[InscriptionContext], span: Span | None, number: int
    ) -> None:
        request = ConsultInscriptions(
            **self.head(customer, number, None),
            inscription_contexts=tuple(contexts),
            period=None if span is None else given(span),
        )
        result, inscriptions = self.pages(request)
        current = self.oracle.end_of(number)
        canceled = self.oracle.files[current].status != "active"
        self.check_number(result, number, Outcome("", current, canceled=canceled))
        if canceled or is_reversed(span):
            code = "CBI00101" if canceled else "MSG00008"
            assert (result.status.value, result.status.code) == ("NO_RESULT", code)
            return
        asked = days_of(span or (None, None))
        expected = list(self.oracle.known(current, customer.key, contexts or CONTEXTS, asked))
        assert [
            (line.inscription_context, (line.period.begin_date, line.period.end_date)) for line in inscriptions
        ] == [(context, line) for context, line, _ in expected]
        for line, (_, _, stamp) in zip(inscriptions, expected, strict=True):
            self.bind(stamp, line.last_change)
        assert result.status.value == ("DATA_FOUND" if expected else "NO_DATA_FOUND")
        assert result.status.code == ("MSG00000" if expected else "MSG00100")

    def pages(self, request: ConsultInscriptions) -> tuple[ConsultResult, list[Inscription]]:
        """The first page, and the lines of all."""
        first = result = self.world.ask(request)
        lines = list(result.inscriptions)
        while result.next is not None:
            self.meet("a page that is not the last", True)
            result = self.world.ask(replace(request, next=result.next))
            lines += result.inscriptions
        return first, lines

    @rule(data=st.data(), number=NUMBER)
    def consult_as_of(self, data: st.DataObject, number: int) -> None:
        self.consult_at(data.draw(st.sampled_from(self.oracle.moments)), number)

    @precondition(lambda self: self.oracle.moved)
    @rule(data=st.data())
    def consult_before_a_replacement(self, data: st.DataObject) -> None:
        """What was known under a number that was replaced later."""
        number = data.draw(st.sampled_from(sorted(self.oracle.moved)))
        before = [moment for moment in self.oracle.moments if number not in moment.moved]
        self.consult_at(data.draw(st.sampled_from(before)), number)

    def consult_at(self, moment: Moment, number: int) -> None:
        later = number in self.oracle.moved and number not in moment.moved
        self.meet("as of a moment before a replacement", later)
        known = self.world.runner.run(self.world.history.known_as_of(self.ssins[number], moment.at))
        assert isinstance(known, KnownLines)
        current, expected = self.oracle.known_as_of(moment, number)
        assert known.current == self.ssins[current]
        assert known.replaces == (self.ssins[number] if current != number else None)
        told = {
            (line.organization.key, str(line.inscription_context), (line.period.begin_date, line.period.end_date)): line
            for line in known.lines
            if line.organization is not None
        }
        assert told.keys() == {(customer, context, line) for customer, context, line, _ in expected}
        for customer, context, line, stamp in expected:
            self.bind(stamp, told[customer, context, line].last_change)

    @rule(customer=st.sampled_from(CUSTOMERS), limit=st.sampled_from((1, 3, 1_000)))
    def pull_mutations(self, customer: CustomerIdentification, limit: int) -> None:
        """Page by page, however often: every mutation once, in order, without a gap."""
        after = self.began[customer]
        told = []
        while True:
            page = self.page(customer, after, limit)
            told += page.mutations
            after = page.last_sequence_number
            if not page.more:
                break
        first = self.began[customer] + 1
        assert [mutation.sequence_number for mutation in told] == list(range(first, first + len(told)))
        assert [
            (mutation.event.value, mutation.ssin, mutation.current_ssin, mutation.inscription_contexts)
            for mutation in told
        ] == [
            (item.event, self.ssins[item.ssin], self.ssins[item.current], item.contexts)
            for item in self.oracle.feeds.get(customer.key, [])
        ]

    def teardown(self) -> None:
        """The history replays to the state, of lines and of files (rules 19, 35)."""
        for customer in CUSTOMERS:
            self.pull_mutations(customer, 1_000)
        for index, ssin in enumerate(self.ssins):
            found = self.world.runner.run(self.world.history.verify(ssin))
            assert found.discrepancies == ()
            state = self.world.behind.execute(
                "SELECT customer, inscription_context, periods FROM inscription WHERE ssin = %s", (ssin.number,)
            ).fetchall()
            assert {(customer, context): stored_lines(periods) for customer, context, periods in state if periods} == {
                (customer, context): lines_of(set_.days)
                for (number, customer, context), set_ in self.oracle.sets.items()
                if number == index and set_.days
            }
            self.check_file(index, ssin)

    def check_file(self, index: int, ssin: Ssin) -> None:
        events = self.world.behind.execute(
            "SELECT event, before, after FROM person_history WHERE ssin = %s ORDER BY change_number", (ssin.number,)
        ).fetchall()
        assert [event for event, _, _ in events] == self.oracle.events[index]
        for (_, _, after), (_, before, _) in pairwise(events):
            assert after == before
        row = self.world.behind.execute(
            "SELECT to_jsonb(person) FROM person WHERE ssin = %s", (ssin.number,)
        ).fetchone()
        assert row is not None
        (state,) = row
        assert not events or events[-1][2] == state
        file = self.oracle.files[index]
        successor = None if file.replaced_by is None else self.ssins[file.replaced_by].number
        assert (state["register"], state["status"], state["replaced_by"]) == (file.register, file.status, successor)
        assert (state["last_name"], state["decease_date"]) == (file.last_name, file.deceased)


def stored_lines(periods: Any) -> list[Line]:
    """The lines of a datemultirange, whose upper ends are exclusive."""
    return [
        (part.lower, None if part.upper is None else date.fromordinal(part.upper.toordinal() - 1)) for part in periods
    ]


def run_machine(world: World, *, sequences: int, steps: int, derandomize: bool = False) -> None:
    reached: Counter[str] = Counter()
    machine = type("Machine", (RepertoryMachine,), {"world": world, "reached": reached})
    profile = settings(
        max_examples=sequences,
        stateful_step_count=steps,
        deadline=None,
        derandomize=derandomize,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(machine, settings=profile)
    assert {state: reached[state] for state in STATES if reached[state] < REACHED_MIN} == {}


def test_rules_15_to_38_every_sequence_of_operations_and_events_is_answered_as_the_oracle_says(world: World) -> None:
    """Answers, lines, last changes, history, feed and files are those of plain sets of days (rules 15 to 38)."""
    # The same sequences each time; the long campaign tries others.
    run_machine(world, sequences=SEQUENCES, steps=STEPS_MAX, derandomize=True)


@pytest.mark.long
def test_rules_15_to_38_many_long_sequences_are_answered_as_the_oracle_says(world: World) -> None:
    """The same over thousands of longer sequences (rules 15 to 38)."""
    run_machine(world, sequences=SEQUENCES_LONG, steps=STEPS_LONG_MAX)


def test_the_oracle_knows_the_rules_by_example() -> None:
    """The oracle itself: adjacency merges, a gap of one day does not, EVER is what follows the calendar."""
    assert lines_of(frozenset({0, 1, 3, EVER})) == [(day(0), day(1)), (day(3), day(3)), (day(EVER), None)]
    assert expected_of(frozenset({0, 1}), None, (2, 3), exactly=False).anomalies == ("CBI00402",)
    assert expected_of(frozenset({0, 1}), None, (3, 4), exactly=False).anomalies == ()
    assert expected_of(frozenset({0, 1}), None, (0, 1), exactly=False).anomalies == ("CBI00401",)
    assert expected_of(frozenset({0, 1}), (0, 1), (0, 1), exactly=True).anomalies == ("CBI00401",)
    assert expected_of(frozenset({0, 1}), (0, 0), (5, 6), exactly=True).code == "CBI00403"
    assert expected_of(frozenset({0, 1}), (0, 0), None, exactly=False).after == {1}


def test_the_oracle_knows_the_life_of_numbers_by_example() -> None:
    """The oracle itself: a chain of two hops is allowed, a third is not, and a circle never is; lines follow."""
    oracle = Oracle(FILES, hops_max=2)
    oracle.sets[0, "17/1", "C"] = LineSet(frozenset({1}), {(day(1), day(1)): Stamp(0)})
    assert [oracle.replace(0, 2), oracle.replace(2, 3), oracle.replace(3, 0)] == [None, None, "loop"]
    assert oracle.replace(1, 0) == "too-long"
    assert oracle.end_of(0) == 3
    assert oracle.sets[3, "17/1", "C"].days == {1}
    assert [told.event for told in oracle.feeds["17/1"]] == ["replaced", "replaced"]
    assert (oracle.cancel(3), oracle.cancel(3), oracle.cancel(0)) == (None, "nothing-changes", "not-active")
