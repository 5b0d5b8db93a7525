"""Which requests go wrong on order: the rules, and that the seed alone decides (sandbox/faults.py)."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import Operation
from cbss_inscription.sandbox.fault_scenarios import fault_scenarios
from cbss_inscription.sandbox.faults import (
    DELAY_SECONDS_MAX,
    RULES_MAX,
    Disturbance,
    FaultKind,
    FaultRule,
    InjectedDefect,
    Moment,
    RequestFacts,
    check_rules,
    decide,
    read_order,
)
from cbss_inscription.sandbox.population import PERSONS_MIN, NumberSpace, make_population

CONSULT = RequestFacts(door=Door.FACADE, operation=Operation.CONSULT_INSCRIPTIONS, ssins=frozenset({"85073003328"}))
INSERT = RequestFacts(door=Door.FACADE, operation=Operation.INSERT_INSCRIPTION, ssins=frozenset({"85073003328"}))
REGISTER = RequestFacts(door=Door.PERSON, operation=Operation.SEARCH_PERSON_BY_SSIN)
NOTHING_KNOWN = RequestFacts(door=Door.FACADE)


class CountsInMemory:
    """A `Tallies` of one process."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def matched(self, rule: str) -> int:
        self.counts["matched", rule] += 1
        return self.counts["matched", rule]

    def struck(self, rule: str) -> int:
        self.counts["struck", rule] += 1
        return self.counts["struck", rule]


def fates(rule: FaultRule, *, seed: int, requests: int = 200) -> list[Disturbance | None]:
    """What befalls so many consultations."""
    tallies = CountsInMemory()
    return [decide([rule], CONSULT, seed=seed, tallies=tallies) for _ in range(requests)]


def drop(name: str = "one", **said: object) -> FaultRule:
    return msgspec.convert({"name": name, "fault": "drop", **said}, FaultRule)


def code(which: OutcomeCode) -> FaultRule:
    return FaultRule(name="code", fault=FaultKind.CODE, code=which)


@pytest.mark.parametrize(
    ("rule", "struck", "spared"),
    [
        (drop(), [CONSULT, INSERT, REGISTER, NOTHING_KNOWN], []),
        (drop(door="person"), [REGISTER], [CONSULT, NOTHING_KNOWN]),
        (drop(operations=["insertInscription"]), [INSERT], [CONSULT, REGISTER, NOTHING_KNOWN]),
        (drop(ssin="85073003328"), [CONSULT, INSERT], [REGISTER, NOTHING_KNOWN]),
        (drop(ssin="85073003328", operations=["insertInscription"]), [INSERT], [CONSULT]),
    ],
)
def test_decision_31_a_rule_strikes_what_it_names(
    rule: FaultRule, struck: list[RequestFacts], spared: list[RequestFacts]
) -> None:
    """Each criterion alone, and together: what a rule does not name goes as ever (decision 31)."""
    tallies = CountsInMemory()
    assert all(decide([rule], facts, seed=1, tallies=tallies) for facts in struck)
    assert not any(decide([rule], facts, seed=1, tallies=tallies) for facts in spared)
    assert tallies.counts["matched", "one"] == len(struck)


@given(seed=st.integers(0, 2**32), share=st.floats(0.05, 1.0))
def test_decision_31_the_same_seed_gives_every_request_the_same_fate(seed: int, share: float) -> None:
    """The n-th request of a rule goes wrong in every run or in none, delays as long as before (decision 31)."""
    rule = FaultRule(name="slow", fault=FaultKind.DELAY, seconds=(0.2, 2.0), share=share)
    first = fates(rule, seed=seed, requests=50)
    assert first == fates(rule, seed=seed, requests=50)
    assert all(one is None or 0.2 <= one.seconds <= 2.0 for one in first)


def test_decision_31_a_share_is_kept_and_another_seed_strikes_others() -> None:
    """Three of ten, give or take; other seeds and other names draw other lots (decision 31)."""
    rule = drop(share=0.3)
    struck = [fate is not None for fate in fates(rule, seed=1, requests=2_000)]
    assert 540 <= sum(struck) <= 660
    assert struck != [fate is not None for fate in fates(rule, seed=2, requests=2_000)]
    other = drop("other", share=0.3)
    assert struck != [fate is not None for fate in fates(other, seed=1, requests=2_000)]


def test_decision_31_a_rule_strikes_as_often_as_it_may_and_then_the_next_is_asked() -> None:
    """`times` ends a rule; the first rule that strikes decides (decision 31)."""
    rules = [drop("twice", times=2), drop("rest")]
    tallies = CountsInMemory()
    found = [decide(rules, CONSULT, seed=1, tallies=tallies) for _ in range(4)]
    assert [one.rule for one in found if one is not None] == ["twice", "twice", "rest", "rest"]


@pytest.mark.parametrize(
    "said",
    [
        {"fault": "drop", "seconds": [1.0, 2.0]},
        {"fault": "delay"},
        {"fault": "delay", "seconds": [2.0, 1.0]},
        {"fault": "delay", "seconds": [0.0, DELAY_SECONDS_MAX + 1]},
        {"fault": "delay", "seconds": [-1.0, 1.0]},
        {"fault": "code"},
        {"fault": "code", "code": "MSG00000"},
        {"fault": "code", "code": "MSG99999"},
        {"fault": "drop", "code": "CBI00901"},
        {"fault": "half-reply", "moment": "after"},
        {"fault": "drop", "share": 0.0},
        {"fault": "drop", "share": 1.1},
        {"fault": "drop", "times": 0},
        {"fault": "drop", "ssin": "850730033-28"},
        {"fault": "drop", "name": "../rules"},
        {"fault": "drop", "when": "always"},
    ],
)
def test_decision_31_a_rule_that_says_two_things_is_none(said: dict) -> None:
    """What contradicts itself, goes beyond a limit or names a file elsewhere is refused whole (decision 31)."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "one", **said}, FaultRule)


def test_decision_31_rules_stand_together_by_name_and_number() -> None:
    """Two rules of one name would share their counts; too many would slow every request down (decision 31)."""
    with pytest.raises(UsageError, match="two rules of faults have the name one"):
        check_rules([drop(), drop()])
    check_rules([drop(f"rule-{number}") for number in range(RULES_MAX)])
    with pytest.raises(UsageError, match="at most 64 rules"):
        check_rules([drop(f"rule-{number}") for number in range(RULES_MAX + 1)])


def test_decision_31_every_code_has_its_place() -> None:
    """Each code of the catalogue but success is a fault, an answer or a note (decision 31)."""
    places: Counter[str] = Counter()
    for which in OutcomeCode:
        if which is OutcomeCode.SUCCESS:
            continue
        disturbance = Disturbance(kind=FaultKind.CODE, code=which)
        found = (disturbance.error is not None, disturbance.is_refusal, disturbance.is_note)
        assert sum(found) == 1, which
        places[("fault", "refusal", "note")[found.index(True)]] += 1
        if disturbance.error is not None and not isinstance(disturbance.error, InjectedDefect):
            assert disturbance.error.code == which  # type: ignore[attr-defined]  # each of the tree has one
    assert places == {"fault": 13, "refusal": 13, "note": 6}


@pytest.mark.parametrize(
    ("which", "struck", "spared"),
    [
        (OutcomeCode.INSCRIPTION_MERGED, INSERT, CONSULT),
        (OutcomeCode.NO_DATA, CONSULT, INSERT),
        (OutcomeCode.SSIN_UNKNOWN, REGISTER, RequestFacts(door=Door.FACADE, operation=Operation.HEALTH_CHECK)),
        (OutcomeCode.TEMPORARILY_NOT_AVAILABLE, RequestFacts(door=Door.FACADE, operation=Operation.HEALTH_CHECK), None),
    ],
)
def test_decision_31_a_code_strikes_where_an_answer_has_room_for_it(
    which: OutcomeCode, struck: RequestFacts, spared: RequestFacts | None
) -> None:
    """A consultation bears no remark on a declaration, a health check no number's refusal (decision 31)."""
    tallies = CountsInMemory()
    assert decide([code(which)], struck, seed=1, tallies=tallies) is not None
    if spared is not None:
        assert decide([code(which)], spared, seed=1, tallies=tallies) is None
        assert tallies.counts["matched", "code"] == 1


@pytest.mark.parametrize(
    ("order", "disturbance"),
    [
        ("delay 0.5", Disturbance(kind=FaultKind.DELAY, seconds=0.5)),
        (" delay  0.5  after ", Disturbance(kind=FaultKind.DELAY, seconds=0.5, moment=Moment.AFTER)),
        ("drop", Disturbance(kind=FaultKind.DROP)),
        ("drop after", Disturbance(kind=FaultKind.DROP, moment=Moment.AFTER)),
        ("half-reply", Disturbance(kind=FaultKind.HALF_REPLY)),
        ("wrong-ticket", Disturbance(kind=FaultKind.WRONG_TICKET)),
        ("code CBI00901", Disturbance(kind=FaultKind.CODE, code=OutcomeCode.SOURCE_UNREACHABLE)),
    ],
)
def test_decision_31_a_header_orders_one_fault(order: str, disturbance: Disturbance) -> None:
    """The words of the header are those of a rule (decision 31)."""
    assert read_order(order) == disturbance


@pytest.mark.parametrize(
    "order",
    ["", "delay", "delay soon", "delay nan", "delay inf", "delay 999", "drop later", "drop after all", "code",
     "code MSG00000", "code CBI00901 after", "half-reply after", "explode"],
)  # fmt: skip
def test_decision_31_a_header_that_orders_nothing_is_refused(order: str) -> None:
    """A misspelt order would pass for a service without a fault (decision 31)."""
    with pytest.raises(UsageError):
        read_order(order)


@pytest.mark.parametrize("space", NumberSpace)
def test_decision_31_every_sandbox_has_a_number_for_every_fault(space: NumberSpace) -> None:
    """Whatever its seed and size: a number each, of a person who is no other scenario's (decision 31)."""
    for seed in range(40):
        population = make_population(persons=PERSONS_MIN, seed=seed, number_space=space)
        rules = fault_scenarios(population)
        check_rules(rules)
        numbers = [rule.ssin for rule in rules]
        assert len(set(numbers)) == len(rules) == 39
        assert not set(numbers) & {scenario.ssin for scenario in population.scenarios.values()}
        assert {rule.fault for rule in rules} == set(FaultKind)
    larger = fault_scenarios(make_population(persons=5_000, seed=39, number_space=space))
    assert larger == rules
