"""Two tenants on one façade that is governed in its database, and one of them attacks (rules 28, 30; SEC-56 to SEC-60).

North is the centre for social action, south the fund, the integrator and an application with north's own URN. Both have
a word in common, and south may see every organisation's lines in it.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import date

import msgspec
import psycopg
import pytest

from cbss_inscription.app.settings import Governance
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.governance.access import AccessRule, Permission, Visibility
from cbss_inscription.governance.entries import Entry, EntryKey, EntryKind, Operator
from cbss_inscription.governance.four_eyes import RecordedProposal, RefusalReason, Refused
from cbss_inscription.governance.signatures import OperatorKey
from cbss_inscription.governance.tenants import Application, Tenant
from cbss_inscription.sandbox.demonstration import APPLICATIONS, DemoApplication, demo_access_rules
from tests.acceptance.conftest import (
    FUND,
    LIVING_WAGE,
    BuildFacade,
    InProcessFacade,
    consult,
    delete,
    insert,
    update,
)
from tests.acceptance.test_mutation_feed import ask as ask_feed
from tests.acceptance.test_mutation_feed import page_of, question, write
from tests.governing import Office

WEB, FUND_WEB, READER, INTEGRATOR = APPLICATIONS
FUND_LAW, INTEGRATOR_LAW, NORTH_LAW = (str(item.legal_contexts[0]) for item in (FUND_WEB, INTEGRATOR, WEB))
FUND_WORD = str(FUND_WEB.inscription_contexts[0])
NORTH_WORD = "PCSA:DEBT_MEDIATION"
NAMESAKE = "0206731645"
"""The organisation of a certificate with the URN of north's application."""
INTEGRATOR_CUSTOMER = "<cbeNumber>9000000686</cbeNumber>"
NAMESAKE_CUSTOMER = f"<cbeNumber>{NAMESAKE}</cbeNumber>"
BY_FUND = {"customer": FUND, "legal_context": FUND_LAW}
BY_INTEGRATOR = {"customer": INTEGRATOR_CUSTOMER, "legal_context": INTEGRATOR_LAW}


def application_of(demo: DemoApplication) -> Application:
    return Application(application_urn=demo.application_urn, cbe_number=demo.cbe_number)


NORTH = Tenant(
    name="north",
    customers=(WEB.customer_identification,),
    applications=(application_of(WEB), application_of(READER)),
    inscription_contexts=frozenset(WEB.inscription_contexts),
)
SOUTH = Tenant(
    name="south",
    customers=(
        FUND_WEB.customer_identification,
        INTEGRATOR.customer_identification,
        CustomerIdentification(cbe_number=NAMESAKE),
    ),
    applications=(
        application_of(FUND_WEB),
        application_of(INTEGRATOR),
        Application(application_urn=WEB.application_urn, cbe_number=NAMESAKE),
    ),
    inscription_contexts=frozenset(
        {*FUND_WEB.inscription_contexts, *INTEGRATOR.inscription_contexts, InscriptionContext(LIVING_WAGE)}
    ),
)


def entries() -> list[Entry]:
    """Both tenants, their access rules and their permissions."""
    demo = demo_access_rules()
    home = {"pcsa-web": "north", "pcsa-reader": "north", "family-fund": "south", "integrator": "south"}
    tenants = [home[item.name] for item in APPLICATIONS]
    rules = [
        msgspec.structs.replace(rule, tenant=tenant) for rule, tenant in zip(demo.access_rules, tenants, strict=True)
    ]
    web, fund, reader, integrator = (
        msgspec.structs.replace(permission, tenant=tenant)
        for permission, tenant in zip(demo.permissions, tenants, strict=True)
    )
    word = frozenset({InscriptionContext(LIVING_WAGE)})
    fund = msgspec.structs.replace(fund, inscription_contexts=fund.inscription_contexts | word)
    seen = Visibility(inscription_contexts=word | frozenset(FUND_WEB.inscription_contexts))
    integrator = msgspec.structs.replace(integrator, visibility=seen)
    namesake_rule = AccessRule(
        dossier="NAMESAKE",
        application_urn=WEB.application_urn,
        cbe_number=NAMESAKE,
        environment="LOCAL",
        operations=WEB.operations,
        valid_from=date(2026, 1, 1),
        tenant="south",
    )
    namesake = Permission(
        reference="NAMESAKE",
        customer_identification=CustomerIdentification(cbe_number=NAMESAKE),
        cbe_number=NAMESAKE,
        application_urns=(WEB.application_urn,),
        legal_contexts=frozenset({LegalContext(NORTH_LAW)}),
        inscription_contexts=word,
        operations=WEB.operations,
        valid_from=date(2026, 1, 1),
        tenant="south",
    )
    return [NORTH, SOUTH, *rules, namesake_rule, web, fund, reader, integrator, namesake]


@pytest.fixture
def office(empty_repertory: str) -> Office:
    """The façade's database, governed by an and ben, with both tenants; no mutation and no ticket yet."""
    with psycopg.connect(empty_repertory) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            "TRUNCATE governance_proposal, governance_decision, mutation, mutation_counter, answered_declaration"
        )
    return Office.begun(empty_repertory, *entries())


@pytest.fixture
async def governed(build_facade: BuildFacade, office: Office) -> AsyncIterator[InProcessFacade]:
    """A façade with both tenants."""
    governance = Governance(anchor=office.anchor)
    async with build_facade(access_rules=None, governance=governance, reload_seconds=0.1) as facade:
        yield facade


@pytest.fixture
async def known(governed: InProcessFacade) -> str:
    """A person whom north knows in both its words, and the fund in its own and in the common one."""
    ssin = governed.ssin("nr_active")
    for context in (LIVING_WAGE, NORTH_WORD):
        assert (await governed.send(insert(ssin, context=context))).summary == "MSG00000"
    for context in (LIVING_WAGE, FUND_WORD):
        reply = await governed.send(insert(ssin, context=context, begin="2026-02-01", **BY_FUND), by="family-fund")
        assert reply.summary == "MSG00000"
    return ssin


async def test_rule_30_every_organisation_is_every_one_of_the_tenant(governed: InProcessFacade, known: str) -> None:
    """South's right to see all organisations shows south's alone, in the word that north uses too (rule 30)."""
    for contexts in ([], [LIVING_WAGE], [LIVING_WAGE, FUND_WORD]):
        reply = await governed.send(consult(known, contexts=contexts, **BY_INTEGRATOR), by="integrator")
        outcome = reply.outcome
        assert {(context, begin) for context, begin, _ in outcome.lines} >= {(LIVING_WAGE, "2026-02-01")}
        assert {begin for _, begin, _ in outcome.lines} == {"2026-02-01"}
        assert {
            line.findtext("organization/cbeNumber") for line in reply.response.iterfind("inscriptions/inscription")
        } == {FUND_WEB.cbe_number}
    named = await governed.send(consult(known, contexts=[LIVING_WAGE, FUND_WORD], **BY_INTEGRATOR), by="integrator")
    assert b"dataFilters" not in named.body  # for south there is nothing that could be withheld
    own = (await governed.send(consult(known))).outcome
    assert {begin for _, begin, _ in own.lines} == {"2026-01-01"}


async def test_rule_30_a_forged_page_shows_no_more(governed: InProcessFacade, known: str) -> None:
    """The token of a place in north's lines shows south's that come after it, and none of north's (rule 30)."""
    for context, organization in ((LIVING_WAGE, "17/1"), (NORTH_WORD, "17/1"), ("AA", "17/1")):
        token = base64.urlsafe_b64encode(json.dumps([context, "2026-01-01", organization]).encode()).decode()
        reply = await governed.send(consult(known, next_page=token, **BY_INTEGRATOR), by="integrator")
        assert {begin for _, begin, _ in reply.outcome.lines} <= {"2026-02-01"}


@pytest.mark.parametrize("by", ["family-fund", "integrator", "other-organization"])
async def test_sec_58_nobody_speaks_for_another_tenants_customer(
    governed: InProcessFacade, known: str, by: str
) -> None:
    """South's callers with north's identification: SOA-01002 for every operation, whatever the URN (SEC-58)."""
    before = governed.written()
    for content in (consult(known), insert(known), update(known), delete(known)):
        assert (await governed.send(content, by=by)).fault_code == "SOA-01002"
    assert (await ask_feed(governed, question(), by=by)).fault_code == "SOA-01002"
    for content in (consult(known, customer=FUND), insert(known, customer=NAMESAKE_CUSTOMER)):
        assert (await governed.send(content)).fault_code == "SOA-01002"
    assert governed.written() == before


async def test_sec_56_the_same_urn_is_another_application(governed: InProcessFacade, known: str) -> None:
    """A certificate with the URN of north's application and south's organisation has south's rights alone (SEC-47)."""
    own = {"customer": NAMESAKE_CUSTOMER}
    assert (await governed.send(consult(known, **own), by="other-organization")).outcome.lines == ()
    reply = await governed.send(insert(known, begin="2026-03-01", **own), by="other-organization")
    assert reply.outcome.lines == ((LIVING_WAGE, "2026-03-01", None),)
    assert (await governed.send(consult(known, contexts=[LIVING_WAGE]))).outcome.lines == (
        (LIVING_WAGE, "2026-01-01", None),
    )


async def test_rule_28_another_tenants_context_is_as_one_that_nobody_has(governed: InProcessFacade, known: str) -> None:
    """CBI00201, and not a word that tells it from one that does not exist (rule 28)."""
    for ask in (
        lambda context: consult(known, contexts=[context], **BY_INTEGRATOR),
        lambda context: insert(known, context=context, **BY_INTEGRATOR),
        lambda context: delete(known, context=context, **BY_INTEGRATOR),
    ):
        norths = (await governed.send(ask(NORTH_WORD), by="integrator")).outcome
        nobodys = (await governed.send(ask("NOBODY:KNOWS_IT"), by="integrator")).outcome
        assert norths.code == "CBI00201"
        assert (norths.value, norths.code, norths.lines) == (nobodys.value, nobodys.code, nobodys.lines)
        assert (norths.information, nobodys.information) == (
            {"inscriptionContext": NORTH_WORD},
            {"inscriptionContext": "NOBODY:KNOWS_IT"},
        )


async def test_sec_59_another_tenants_legal_context_is_not_granted(governed: InProcessFacade, known: str) -> None:
    """North's legal context is MSG00013 for the fund, as any that it has not (SEC-59)."""
    for law in (NORTH_LAW, "NOBODY:KNOWS_IT"):
        reply = await governed.send(consult(known, customer=FUND, legal_context=law), by="family-fund")
        assert reply.summary == "MSG00013"


async def test_a_ticket_of_another_tenant_is_none(governed: InProcessFacade) -> None:
    """The same ticket for north and south is two declarations: neither is told of the other's (rule 38)."""
    ssin, ticket = governed.ssin("nr_active"), "the-same-ticket"
    assert (await governed.send(insert(ssin, ticket=ticket))).outcome.anomalies == ()
    again = await governed.send(insert(ssin, ticket=ticket, begin="2026-02-01", **BY_FUND), by="family-fund")
    assert (again.summary, again.outcome.anomalies) == ("MSG00000", ())


async def test_the_feed_of_another_tenant_has_no_numbers_in_ours(governed: InProcessFacade) -> None:
    """Numbers count from one for each customer: north's feed leaves no gap, no end and no word in the fund's."""
    ssin = governed.ssin("nr_active")
    write(governed, [(ssin, [LIVING_WAGE])] * 3, customer="17/1")
    for after in (0, 1, 3):
        page = page_of(await ask_feed(governed, question(after, **BY_FUND), by="family-fund"))
        assert page == ("NO_DATA_FOUND", "MSG00100", [], str(after), "false")
    write(governed, [(ssin, [LIVING_WAGE])], customer=FUND_WEB.cbe_number)
    (mutation,) = page_of(await ask_feed(governed, question(0, **BY_FUND), by="family-fund"))[2]
    assert mutation[0] == "1"


# -- what changes while it serves --------------------------------------------------------------------------------------


async def becomes(facade: InProcessFacade, content_of: Callable[[], str], summary: str) -> None:
    """Nothing, once the answer is this one; fails when it never is."""
    for _ in range(200):
        reply = await facade.send(content_of())
        if reply.summary == summary:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never {summary}, but {reply.summary}")


async def test_sec_57_an_approval_takes_effect_without_a_restart(
    governed: InProcessFacade, office: Office, known: str
) -> None:
    """A permission that is withdrawn by two refuses, and put again it grants, while the façade serves (SEC-57)."""
    permission = next(item for item in entries() if isinstance(item, Permission) and item.tenant == "north")
    office.put(withdraw=[EntryKey(EntryKind.PERMISSION, permission.reference)])
    await becomes(governed, lambda: consult(known), "SOA-01002")
    office.put(permission)
    await becomes(governed, lambda: consult(known), "MSG00000")
    told = [line["what"] for line in governed.log_lines() if line["event"] == "reloaded"]
    assert told == ["access rules", "access rules"]


async def test_sec_57_a_permission_that_would_show_another_tenant_is_never_in_force(
    governed: InProcessFacade, office: Office, known: str
) -> None:
    """South's operators cannot be shown north's lines by naming it, nor by its words (rule 30; SEC-57)."""
    integrator = next(
        item for item in entries() if isinstance(item, Permission) and item.customers[0] == SOUTH.customers[1]
    )
    words = frozenset({InscriptionContext(LIVING_WAGE)})
    for visibility in (
        Visibility(inscription_contexts=words, organizations=NORTH.customers),
        Visibility(inscription_contexts=words | {InscriptionContext(NORTH_WORD)}),
    ):
        refused = office.propose(msgspec.structs.replace(integrator, visibility=visibility))
        assert isinstance(refused, Refused)
        assert refused.reason is RefusalReason.INVALID
    reply = await governed.send(consult(known, **BY_INTEGRATOR), by="integrator")
    assert {begin for _, begin, _ in reply.outcome.lines} == {"2026-02-01"}


async def test_sec_57_an_operator_of_one_tenant_has_no_say_in_another(
    governed: InProcessFacade, office: Office, known: str
) -> None:
    """North's operator cannot propose south's entries, nor approve them, nor enrol anybody elsewhere (SEC-57)."""
    key = OperatorKey.generate()
    office.put(Operator(name="north-1", public_key=key.public_key, tenant="north"))
    souths = [item for item in entries() if getattr(item, "tenant", None) == "south"]
    strangers = [
        Operator(name="north-2", public_key=OperatorKey.generate().public_key, tenant="south"),
        Operator(name="north-3", public_key=OperatorKey.generate().public_key),
        Operator(name="north-1", public_key=key.public_key),
        msgspec.structs.replace(NORTH, customers=(*NORTH.customers, CustomerIdentification(sector=1, institution=1))),
    ]
    before = office.record.read()
    for entry in (*(msgspec.structs.replace(item, remarks="mine") for item in souths), *strangers):
        refused = office.propose(entry, key=key)
        assert isinstance(refused, Refused)
        assert refused.reason is RefusalReason.OTHER_TENANT
    assert office.record.read() == before
    proposed = office.propose(msgspec.structs.replace(souths[0], remarks="ours"))
    assert isinstance(proposed, RecordedProposal)
    refused = office.approve(proposed.number, key=key)
    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.OTHER_TENANT
    assert (await governed.send(consult(known))).summary == "MSG00000"


async def test_sec_48_a_tampered_record_keeps_the_facade_on_its_rules(
    governed: InProcessFacade, office: Office, known: str
) -> None:
    """Rules slipped in behind the operators' backs are not in force, and the log says so as an error (SEC-57)."""
    with psycopg.connect(office.conninfo) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            "INSERT INTO governance_proposal SELECT 2, proposed_by, replace(content, '\"number\":1', '\"number\":2'),"
            " signature FROM governance_proposal"
        )
        connection.execute(
            "INSERT INTO governance_decision (proposal_number, proposed_by, decided_by, version, content, signature)"
            " SELECT 2, proposed_by, decided_by, 2, content, signature FROM governance_decision"
        )
    for _ in range(200):
        told = [line for line in governed.log_lines() if line["event"] == "reload failed"]
        if told:
            break
        await asyncio.sleep(0.05)
    assert [(line["what"], line["level"]) for line in told] == [("access rules", "error")]
    assert "the record of the register is broken" in told[0]["reason"]
    assert (await governed.send(consult(known))).summary == "MSG00000"
