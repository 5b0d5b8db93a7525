"""Lines of other organisations, under a permission that shows them, and only those (rule 30).

One suite for a repertory in memory, on PostgreSQL, and in front of another one with the same permissions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from datetime import date
from itertools import product

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from hypothesis import given as given_values
from hypothesis import strategies as st

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.line_set import LinesAsked, Others
from cbss_inscription.domain.period import GivenPeriod
from cbss_inscription.domain.person_search import PhoneticCriteria
from cbss_inscription.domain.results import ConsultResult, Inscription
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import Permission, Visibility
from cbss_inscription.repertory.embedded import LINES_FILTERED, EmbeddedRepertory, LineStore
from cbss_inscription.repertory.port import Repertory
from cbss_inscription.storage.database import Database
from cbss_inscription.storage.inscriptions import StoredInscriptions
from tests.conftest import FoundDataAnomalies
from tests.repertory.houses import Pki
from tests.repertory.memory import MemoryLines
from tests.repertory.mirrored import mirrored
from tests.repertory.office import (
    AID,
    DEBT,
    JANUARY,
    MARCH,
    OTHER,
    OWN,
    THIRD,
    WAGE,
    Office,
    empty_tables,
    lines_of,
    permission_of,
    person_of,
    ssin_of,
)

PERSON, STRANGER = 1, 2
KNOWN = (WAGE, DEBT, AID)
CUSTOMERS = (OWN, OTHER, THIRD)
EVERYTHING = Visibility(inscription_contexts=frozenset(KNOWN))
FILTERED = (LINES_FILTERED,)


class Registers:
    """A `PersonRegister` in which every number is an active file."""

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        del hops_max
        return (person_of(int(ssin.digits[6:9])),)

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        raise NotImplementedError


def looking(
    visibility: Visibility | None, contexts: Iterable[InscriptionContext] = (WAGE, DEBT)
) -> tuple[CustomerIdentification, Permission]:
    """One's own customer and a permission with that visibility, as `Office.at` takes them."""
    return OWN, permission_of(OWN, contexts, visibility=visibility)


def told(result: ConsultResult) -> list[tuple[str, str, CustomerIdentification | None]]:
    """Context, begin date and organisation of each line."""
    return [(line.inscription_context, str(line.period.begin_date), line.organization) for line in result.inscriptions]


@pytest_asyncio.fixture(params=["memory", "embedded", pytest.param("upstream", marks=pytest.mark.long)])
async def office(request: pytest.FixtureRequest, module_database: str, pki: Pki) -> AsyncIterator[Office]:
    """Three organisations with a line of January in each context, the second with one of March in one too."""
    async with AsyncExitStack() as held:
        lines: LineStore
        if request.param == "memory":
            lines = memory = MemoryLines()
        else:
            memory = None
            empty_tables(module_database)
            database = Database(module_database, connections_max=1)
            await database.open()
            held.push_async_callback(database.close)
            lines = StoredInscriptions(database)
        repertory: Repertory = EmbeddedRepertory(
            registers=Registers(),
            lines=lines,
            known_contexts=lambda _: KNOWN,
            data_anomalies=FoundDataAnomalies(),
        )
        if request.param == "upstream":
            repertory = await held.enter_async_context(mirrored(repertory, pki))
        office = Office(repertory=repertory, conninfo=module_database, memory=memory)
        await _fill(office)
        yield office


async def _fill(office: Office) -> None:
    for customer, context in product(CUSTOMERS, KNOWN):
        clerk = office.at(customer, permission_of(customer, KNOWN))
        assert (await clerk.insert(PERSON, JANUARY, context=context)).status.code == "MSG00000"
        if (customer, context) == (OTHER, WAGE):
            await clerk.insert(PERSON, MARCH, context=context)


async def lines_of_others(office: Office) -> list[tuple[Inscription, ...]]:
    """What the other organisations have, as they see it themselves."""
    others = (office.at(customer, permission_of(customer, KNOWN)) for customer in (OTHER, THIRD))
    return [(await clerk.consult(PERSON)).inscriptions for clerk in others]


def paged(office: Office, size: int) -> None:
    """Nothing; who keeps the lines gives so many at a time from now on."""
    getattr(office.repertory, "behind", office.repertory)._page_size = size


J, M = "2024-01-01", "2024-03-01"


@pytest.mark.parametrize("named", [(), (WAGE,), (DEBT, WAGE)])
async def test_rule_30_without_visibility_only_own_lines_are_shown(
    office: Office, named: tuple[InscriptionContext, ...]
) -> None:
    """A permission without visibility shows own lines, names no organisation and no filter (rule 30)."""
    result = await office.at(*looking(None)).consult(PERSON, *named)
    assert told(result) == [(context, J, None) for context in sorted(named or (WAGE, DEBT))]
    assert result.data_filters == ()


async def test_rule_30_with_visibility_lines_of_others_are_shown_with_their_organisation(office: Office) -> None:
    """Own lines and those of others come by context, begin and organisation, each with its organisation (rule 30)."""
    result = await office.at(*looking(EVERYTHING, KNOWN)).consult(PERSON)
    # By key: 0200000012, 17/1, 17/2.
    assert told(result) == [
        *((DEBT, J, customer) for customer in (THIRD, OWN, OTHER)),
        *((WAGE, J, customer) for customer in (THIRD, OWN, OTHER)),
        (WAGE, M, OTHER),
        *((AID, J, customer) for customer in (THIRD, OWN, OTHER)),
    ]
    assert result.data_filters == ()
    assert all(line.last_change is not None for line in result.inscriptions)


async def test_rule_30_own_lines_are_told_with_their_organisation_too(office: Office) -> None:
    """Under a visibility every line names its organisation, also where all are one's own (rule 30)."""
    nothing_more = Visibility(inscription_contexts=frozenset({AID}), organizations=(THIRD,))
    result = await office.at(*looking(nothing_more)).consult(PERSON, WAGE)
    assert told(result) == [(WAGE, J, OWN)]


@pytest.mark.parametrize("organizations", [(), (OTHER,), (OTHER, THIRD), (OWN,)])
async def test_rules_28_and_30_exactly_what_the_permission_words_is_shown(
    office: Office, organizations: tuple[CustomerIdentification, ...]
) -> None:
    """Own lines in granted contexts, others' in visible contexts and organisations; else CBI00201 (rules 28, 30)."""
    lines = [(context, J, customer) for context, customer in product(KNOWN, CUSTOMERS)] + [(WAGE, M, OTHER)]
    for contexts, visible, named in product(
        [(), (WAGE,), (WAGE, DEBT), KNOWN],
        [(WAGE,), (AID,), (DEBT, AID), KNOWN],
        [(), (WAGE,), (AID,), (WAGE, AID), KNOWN],
    ):
        visibility = Visibility(inscription_contexts=frozenset(visible), organizations=organizations)
        result = await office.at(*looking(visibility, contexts)).consult(PERSON, *named)
        if not {*named} <= {*contexts, *visible}:
            assert (result.status.value, result.status.code) == ("NO_RESULT", "CBI00201")
            assert (result.inscriptions, result.data_filters) == ((), ())
            continue
        assert {*told(result)} == {
            (context, begin, customer)
            for context, begin, customer in lines
            if context in (named or KNOWN)
            and (
                context in contexts
                if customer == OWN
                else context in visible and (not organizations or customer in organizations)
            )
        }
        limited = bool(organizations) or not {*(named or KNOWN)} <= {*visible}
        assert result.data_filters == (FILTERED if limited else ())


@pytest.mark.parametrize("named", [(), (WAGE,), (AID,)])
@pytest.mark.parametrize("organizations", [(), (OTHER,)])
async def test_rule_30_the_filter_does_not_tell_whether_there_are_lines(
    office: Office, named: tuple[InscriptionContext, ...], organizations: tuple[CustomerIdentification, ...]
) -> None:
    """What dataFilters says is the same for a person whom nobody knows: it follows from question and permission."""
    visibility = Visibility(inscription_contexts=frozenset({WAGE, AID}), organizations=organizations)
    clerk = office.at(*looking(visibility))
    known, unknown = await clerk.consult(PERSON, *named), await clerk.consult(STRANGER, *named)
    assert (known.status.value, unknown.status.value) == ("DATA_FOUND", "NO_DATA_FOUND")
    assert known.data_filters == unknown.data_filters


async def test_rule_30_only_own_lines_can_be_changed(office: Office) -> None:
    """A visible context that is not granted cannot be written, and no write meets another's line (rule 30)."""
    clerk = office.at(*looking(EVERYTHING, (WAGE,)))
    before = await lines_of_others(office)
    for answer in (
        await clerk.insert(PERSON, MARCH, context=AID),
        await clerk.update(PERSON, JANUARY, MARCH, context=AID),
        await clerk.delete(PERSON, context=AID),
    ):
        assert (answer.status.value, answer.status.code) == ("NOK", "CBI00201")
    assert (await clerk.update(PERSON, MARCH, JANUARY)).status.code == "CBI00403"  # a line of another
    inserted = await clerk.insert(PERSON, MARCH)
    assert lines_of(inserted) == [JANUARY, MARCH]
    assert {line.organization for line in inserted.inscriptions} == {None}
    assert lines_of(await clerk.delete(PERSON)) == []
    assert before == await lines_of_others(office)


async def test_rule_30_the_period_filters_lines_of_others_too(office: Office) -> None:
    """Of others' lines as of one's own only those that overlap the period are shown (contract.md section 3)."""
    result = await office.at(*looking(EVERYTHING)).consult(PERSON, WAGE, period=MARCH)
    assert told(result) == [(WAGE, M, OTHER)]


# -- pages -----------------------------------------------------------------------------------------------------------


async def all_pages(clerk: Office, page_size: int, *named: InscriptionContext) -> list[Inscription]:
    paged(clerk, page_size)
    seen: list[Inscription] = []
    after: str | None = None
    while True:
        page = await clerk.consult(PERSON, *named, after=after)
        assert page.status.code == "MSG00000"
        assert len(page.inscriptions) == page_size or page.next is None
        seen += page.inscriptions
        after = page.next
        if after is None:
            return seen


@pytest.mark.parametrize("organizations", [(), (OTHER,), (THIRD,)])
async def test_rule_30_pages_lose_and_double_no_line(
    office: Office, organizations: tuple[CustomerIdentification, ...]
) -> None:
    """Pages of any size hold each line once, also of organisations with equal contexts and begins (rule 30)."""
    clerk = office.at(*looking(Visibility(inscription_contexts=frozenset(KNOWN), organizations=organizations)))
    for named in [(), (WAGE,), (AID, WAGE)]:
        whole = await all_pages(clerk, 500, *named)
        keys = [
            (line.inscription_context, line.period.begin_date, line.organization.key)
            for line in whole
            if line.organization is not None
        ]
        assert len(keys) == len(whole)
        assert keys == sorted(set(keys))
        for page_size in (1, 2, 3, 4, 9, 10, 11):
            assert await all_pages(clerk, page_size, *named) == whole


async def test_rule_30_a_token_shows_nothing_that_is_not_shown_without_it(office: Office) -> None:
    """A token of one who sees more opens nothing to one who sees less: it says a position only (rule 30)."""
    seeing, blind = office.at(*looking(EVERYTHING, KNOWN)), office.at(*looking(None))
    paged(seeing, 1)
    after: str | None = None
    allowed = set(told(await blind.consult(PERSON, WAGE))) | set(told(await blind.consult(PERSON, DEBT)))
    while True:
        page = await seeing.consult(PERSON, after=after)
        after = page.next
        if after is None:
            break
        assert {*told(await blind.consult(PERSON, after=after))} <= allowed


# -- the store -------------------------------------------------------------------------------------------------------


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given_values(
    contexts=st.frozensets(st.sampled_from(KNOWN)),
    others=st.none()
    | st.builds(
        Others,
        inscription_contexts=st.frozensets(st.sampled_from(KNOWN)),
        organizations=st.none() | st.lists(st.sampled_from(CUSTOMERS), unique=True).map(tuple),
    ),
    limit=st.integers(0, 12),
)
def test_rule_30_the_store_gives_exactly_the_lines_asked_for(
    module_database: str, contexts: frozenset[InscriptionContext], others: Others | None, limit: int
) -> None:
    """The store gives own lines of the contexts, and others' of theirs, at most as many as asked for (rule 30)."""

    async def ask() -> tuple[Inscription, ...]:
        database = Database(module_database, connections_max=1)
        await database.open()
        try:
            asked = LinesAsked(
                ssin=ssin_of(PERSON),
                customer=OWN,
                inscription_contexts=contexts,
                others=others,
                overlapping=GivenPeriod(begin_date=date(2024, 1, 1)),
                limit=limit,
            )
            lines = await StoredInscriptions(database).lines(asked)
            assert isinstance(lines, tuple)
            return lines
        finally:
            await database.close()

    with psycopg.connect(module_database) as connection:
        connection.execute("DELETE FROM inscription")
        for customer, context in product(CUSTOMERS, KNOWN):
            connection.execute(
                "INSERT INTO inscription VALUES (%s, %s, %s, '{[2024-01-01,)}', ARRAY[now()])",
                (ssin_of(PERSON).number, customer.key, str(context)),
            )
    expected = [
        (context, customer)
        for context in (DEBT, WAGE, AID)
        for customer in (THIRD, OWN, OTHER)
        if (
            context in contexts
            if customer == OWN
            else others is not None
            and context in others.inscription_contexts
            and (others.organizations is None or customer in others.organizations)
        )
    ]
    lines = asyncio.run(ask())
    assert [(line.inscription_context, line.organization) for line in lines] == expected[:limit]
