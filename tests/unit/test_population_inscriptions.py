"""The synthetic lines: of whom, how many, and how they lie in time."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.inscription_contexts import KNOWN_CONTEXTS
from cbss_inscription.domain.legal_data import Register
from cbss_inscription.sandbox.demonstration import APPLICATIONS
from cbss_inscription.sandbox.inscriptions import (
    ALIVE,
    FIRST_DAY,
    FUTURE_YEARS,
    INSCRIPTIONS_MAX,
    LAST_KNOWN_DAY,
    SyntheticInscriptions,
)
from cbss_inscription.sandbox.population import INCEPTION_DAYS, make_population

NUMBERS = st.integers(40_000_000_000, 99_999_999_999)


@pytest.fixture(scope="module")
def made() -> SyntheticInscriptions:
    return SyntheticInscriptions(inscriptions=5, seed=3)


def fields_of(line: str) -> tuple[str, str, str, list[tuple[date, date | None]], list[datetime]]:
    ssin, customer, context, periods, changes = line.removesuffix("\n").split(",")
    lines = [period.split("/") for period in periods.split(" ")]
    return (
        ssin,
        customer,
        context,
        [(date.fromisoformat(begin), date.fromisoformat(end) if end else None) for begin, end in lines],
        [datetime.fromisoformat(change) for change in changes.split(" ")],
    )


def test_a_seed_gives_the_recorded_lines() -> None:
    """The lines of seed 1 are those that were recorded, on every machine and every Python."""
    made = SyntheticInscriptions(inscriptions=5, seed=1)
    lines = hashlib.sha256()
    for ssin in range(40_000_000_000, 40_000_001_000):
        lines.update("".join(made.csv_lines(ssin)).encode())
        lines.update("".join(made.csv_lines(ssin, 2015)).encode())

    assert lines.hexdigest() == "f69a50517f3067dbdac19e418a34225c60b9eaccd30bf46cdd3b23c4b68aa757"


@given(ssin=NUMBERS)
def test_lines_follow_from_the_number(made: SyntheticInscriptions, ssin: int) -> None:
    """The same number has the same lines, whatever was asked before, in either spelling."""
    again = list(made.csv_lines(ssin))

    assert list(made.csv_lines(ssin)) == again
    assert [line.split("\t")[0] for line in made.copy_lines(ssin)] == [str(ssin)] * len(again)


@given(ssin=NUMBERS, decease_year=st.integers(1990, 2025) | st.just(ALIVE))
def test_rules_25_27_28_32_lines_keep_the_rules(made: SyntheticInscriptions, ssin: int, decease_year: int) -> None:
    """Keys rise and are known, periods are disjoint with a day between, and were known before 2026 (rules 25 to 32)."""
    rows = [fields_of(line) for line in made.csv_lines(ssin, decease_year)]

    keys = [(customer, context) for _, customer, context, _, _ in rows]
    assert keys == sorted(set(keys))
    for number, customer, context, periods, changes in rows:
        assert number == f"{ssin:011d}"
        assert context in KNOWN_CONTEXTS
        assert customer[0] == "9" or CustomerIdentification(
            sector=int(customer.split("/")[0]), institution=int(customer.split("/")[1])
        )
        assert len(periods) == len(changes)
        for begin, end in periods:
            assert begin >= FIRST_DAY
            assert end is None or begin <= end
            assert decease_year == ALIVE or (end is not None and end.year < decease_year)
        for (_, end), (begin, _) in pairwise(periods):
            assert end is not None
            assert (begin - end).days > 1
        assert all(FIRST_DAY <= change.date() <= LAST_KNOWN_DAY for change in changes)


def test_lines_of_every_kind_are_there(made: SyntheticInscriptions) -> None:
    """Of a few thousand persons: about as many lines as asked; open, past, ending and future ones, one to four."""
    rows = [
        fields_of(line)
        for person in make_population(persons=4_000, seed=3).persons
        if person.status == "active"
        for line in made.csv_lines(person.ssin.number, person.decease_date.year if person.decease_date else ALIVE)
    ]

    assert 4.7 < len(rows) / 4_000 < 5.3
    periods = [row[3] for row in rows]
    assert {len(lines) for lines in periods} == {1, 2, 3, 4}
    assert sum(len(lines) == 1 for lines in periods) > 0.85 * len(rows)
    assert sum(lines[-1][1] is None for lines in periods) > 0.4 * len(rows)
    assert sum(lines[-1][1] is not None and lines[-1][1] <= LAST_KNOWN_DAY for lines in periods) > 0.3 * len(rows)
    assert any(lines[0][0].year in FUTURE_YEARS for lines in periods)
    demo = {application.customer_identification.key for application in APPLICATIONS}
    others = {row[1] for row in rows} - {APPLICATIONS[0].customer_identification.key, "9000000290"}
    assert len(others) >= 6
    assert not demo & others


@settings(max_examples=settings.default.max_examples // 2, deadline=None)
@given(inscriptions=st.integers(0, INSCRIPTIONS_MAX), ssin=NUMBERS)
def test_any_mean_within_the_limit_can_be_made(inscriptions: int, ssin: int) -> None:
    """No mean asks for more lines of a person than there are organisations and contexts; none gives none."""
    lines = list(SyntheticInscriptions(inscriptions=inscriptions, seed=0).csv_lines(ssin))

    assert len(lines) <= 3 * inscriptions
    assert len({tuple(line.split(",")[:3]) for line in lines}) == len(lines)


@pytest.mark.parametrize("inscriptions", [-1, INSCRIPTIONS_MAX + 1])
def test_other_means_are_refused(inscriptions: int) -> None:
    """Less than none, or more than the limit, is a usage error."""
    with pytest.raises(UsageError, match=f"not {inscriptions}"):
        SyntheticInscriptions(inscriptions=inscriptions, seed=1)


def test_rule_21_ksz_files_have_inception_dates_in_the_order_of_their_numbers() -> None:
    """BIS and RAD files came after birth, before decease and after the files they replace; NR files have no date."""
    files = {person.ssin: person for person in make_population(persons=20_000, seed=9).persons}
    known = 0
    for person in files.values():
        inception = person.register_inception_date
        if person.register is Register.NR:
            assert inception is None
        if inception is None:
            assert person.register is Register.NR or person.decease_date is not None
            continue
        known += 1
        assert inception.toordinal() in INCEPTION_DAYS
        assert person.birth_date is not None
        assert person.birth_date.year < inception.year
        assert person.decease_date is None or inception.year < person.decease_date.year
        successor = files.get(person.replaced_by) if person.replaced_by else None
        if successor is not None and successor.register_inception_date is not None:
            assert inception < successor.register_inception_date
    assert known > 3_000
