"""Several tenants in one register, and every question that can be asked of it: rules 28, 30, 48; SEC-56 to SEC-60."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import product
from typing import Any, NamedTuple

import msgspec
import pytest

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.exchange import Caller
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.inscription_contexts import KNOWN_CONTEXTS
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import (
    AccessDecision,
    AccessRefusal,
    AccessRule,
    AccessRules,
    AgreedVolume,
    Permission,
    Visibility,
    VolumeMode,
    VolumeWindow,
    read_access_rules,
    write_access_rules,
)
from cbss_inscription.governance.tenants import DEFAULT_TENANT, Application, Tenant

URNS = ("shared:web", "north:batch")
"""The first is used by applications of both tenants: a name says nothing without its organisation."""
NORTH_CBE, SOUTH_CBE = "9000000191", "9000000290"
NORTH_ONE, NORTH_TWO = (
    CustomerIdentification(sector=17, institution=1),
    CustomerIdentification(sector=17, institution=2),
)
SOUTH_ONE = CustomerIdentification(cbe_number=SOUTH_CBE)
COMMON, OF_NORTH, OF_SOUTH = (InscriptionContext(name) for name in ("BOTH:MEMBER", "NORTH:MEMBER", "SOUTH:MEMBER"))
LAWS = (LegalContext("LAW:ONE"), LegalContext("LAW:TWO"))
CONSULT, INSERT, DELETE = (
    Operation.CONSULT_INSCRIPTIONS,
    Operation.INSERT_INSCRIPTION,
    Operation.DELETE_INSCRIPTION,
)
BEGIN, END = date(2026, 3, 1), date(2026, 3, 31)
DAYS = (date(2026, 2, 28), BEGIN, END, date(2026, 4, 1))
ENVIRONMENTS = ("ACC", "PRD")

NORTH = Tenant(
    name="north",
    customers=(NORTH_ONE, NORTH_TWO),
    applications=(
        Application(application_urn=URNS[0], cbe_number=NORTH_CBE),
        Application(application_urn=URNS[1], cbe_number=NORTH_CBE),
    ),
    inscription_contexts=frozenset({COMMON, OF_NORTH}),
)
SOUTH = Tenant(
    name="south",
    customers=(SOUTH_ONE,),
    applications=(Application(application_urn=URNS[0], cbe_number=SOUTH_CBE),),
    inscription_contexts=frozenset({COMMON, OF_SOUTH}),
)


def rule(**changes: Any) -> AccessRule:
    values: dict[str, Any] = {
        "dossier": "UD-N",
        "application_urn": URNS[0],
        "cbe_number": NORTH_CBE,
        "environment": "ACC",
        "operations": (CONSULT, INSERT, DELETE),
        "valid_from": BEGIN,
        "valid_until": END,
        "tenant": "north",
    }
    return AccessRule(**(values | changes))


def permission(**changes: Any) -> Permission:
    values: dict[str, Any] = {
        "reference": "KSZ-N",
        "customer_identification": NORTH_ONE,
        "cbe_number": NORTH_CBE,
        "application_urns": URNS[:1],
        "legal_contexts": frozenset(LAWS[:1]),
        "inscription_contexts": frozenset({OF_NORTH}),
        "operations": (CONSULT, INSERT),
        "valid_from": BEGIN,
        "valid_until": END,
        "tenant": "north",
    }
    return Permission(**(values | changes))


RULES = AccessRules(
    version=7,
    tenants=(NORTH, SOUTH),
    access_rules=(
        rule(),
        rule(dossier="UD-N2", application_urn=URNS[1], environment="PRD", operations=(CONSULT,), valid_until=None),
        rule(dossier="UD-S", cbe_number=SOUTH_CBE, tenant="south", valid_from=END, valid_until=None),
    ),
    permissions=(
        permission(
            volumes=(AgreedVolume(window=VolumeWindow.DAY, limit=100),),
            visibility=Visibility(inscription_contexts=frozenset({COMMON})),
        ),
        permission(
            reference="KSZ-N2",
            customer_identification=NORTH_TWO,
            application_urns=URNS,
            legal_contexts=frozenset(LAWS),
            inscription_contexts=frozenset({COMMON}),
            operations=(CONSULT,),
            valid_until=None,
        ),
        permission(
            reference="KSZ-N3",
            legal_contexts=frozenset(LAWS),
            inscription_contexts=frozenset({COMMON}),
            operations=(INSERT, DELETE),
        ),
        permission(
            reference="KSZ-S",
            customer_identification=SOUTH_ONE,
            cbe_number=SOUTH_CBE,
            inscription_contexts=frozenset({COMMON, OF_SOUTH}),
            valid_until=None,
            tenant="south",
        ),
    ),
)


class Question(NamedTuple):
    """One thing that somebody may ask."""

    urn: str
    cbe_number: str
    environment: str
    customer: CustomerIdentification
    legal_context: LegalContext
    operation: Operation
    context: InscriptionContext | None
    day: date


QUESTIONS = [
    Question(*parts)
    for parts in product(
        (*URNS, "nobody:web"),
        (NORTH_CBE, SOUTH_CBE),
        ENVIRONMENTS,
        (NORTH_ONE, NORTH_TWO, SOUTH_ONE),
        LAWS,
        (CONSULT, INSERT, DELETE, Operation.CONSULT_MUTATIONS),
        (None, COMMON, OF_NORTH, OF_SOUTH),
        DAYS,
    )
]


def decided(rules: AccessRules, question: Question) -> AccessDecision:
    return rules.decide(
        Caller(
            application_urn=question.urn,
            cbe_number=question.cbe_number,
            environment=question.environment,
            certificate_fingerprint="00" * 32,
        ),
        question.operation,
        question.customer,
        question.legal_context,
        today=question.day,
        inscription_contexts=() if question.context is None else (question.context,),
    )


def answer(rules: AccessRules, question: Question) -> str:
    """What becomes of a question, the context included, as the repertory decides it with the permission found."""
    decision = decided(rules, question)
    if decision.permission is None:
        return str(decision.refusal)
    if question.context is None:
        return "granted"
    found = decision.permission
    allowed = found.readable_contexts if question.operation is CONSULT else found.inscription_contexts
    known = rules.contexts_known_to(found.tenant)
    return "granted" if question.context in allowed and question.context in known else "CBI00201"


def naive_answer(rules: AccessRules, question: Question) -> str:
    """The same, out of the words of the rules: every combination that each document spells out, as a plain list."""
    tenant_of = {
        (application.application_urn, application.cbe_number): tenant
        for tenant in rules.tenants
        for application in tenant.applications
    }
    home = tenant_of.get((question.urn, question.cbe_number))

    def in_force(item: AccessRule | Permission) -> bool:
        return item.valid_from <= question.day and (item.valid_until is None or item.valid_until >= question.day)

    admitted = {
        (item.application_urn, item.cbe_number, item.environment, word)
        for item in rules.access_rules
        if in_force(item)
        for word in item.operations
    }
    if (*question[:3], question.operation) not in admitted:
        return "no-access-rule"
    spelt = [
        (urn, item.cbe_number, item.customer_identification, word, law, item)
        for item in rules.permissions
        if in_force(item)
        for urn in item.application_urns
        for word in (*item.operations, None)
        for law in (*item.legal_contexts, None)
    ]
    who = (question.urn, question.cbe_number, question.customer)
    if home is None or question.customer not in home.customers or (*who, None, None) not in {one[:5] for one in spelt}:
        return "customer-not-bound"
    if (*who, question.operation, None) not in {one[:5] for one in spelt}:
        return "operation-not-permitted"
    grounded = [one[5] for one in spelt if one[:5] == (*who, question.operation, question.legal_context)]
    if not grounded:
        return "legal-context-not-granted"
    if question.context is None:
        return "granted"
    words = {word for item in grounded for word in item.inscription_contexts}
    if question.operation is CONSULT:
        words |= {word for item in grounded if item.visibility for word in item.visibility.inscription_contexts}
    return "granted" if question.context in words & home.inscription_contexts else "CBI00201"


def test_sec_56_every_question_is_answered_as_the_rules_are_worded() -> None:
    """Thousands of combinations of who, for whom, why, what, about which context, where and when (SEC-56 to SEC-59)."""
    assert len(QUESTIONS) == 3 * 2 * 2 * 3 * 2 * 4 * 4 * 4
    wrong = [question for question in QUESTIONS if answer(RULES, question) != naive_answer(RULES, question)]
    assert wrong == []
    assert set(Counter(naive_answer(RULES, question) for question in QUESTIONS)) == {
        "granted",
        "CBI00201",
        *AccessRefusal,
    }


def variants() -> Iterator[AccessRules]:
    """The rules with each part taken out, or given another validity or environment: each must change an answer."""
    for index, _ in enumerate(RULES.access_rules):
        items = list(RULES.access_rules)
        one = items.pop(index)
        yield msgspec.structs.replace(RULES, access_rules=tuple(items))
        other = "PRD" if one.environment == "ACC" else "ACC"
        items.insert(index, msgspec.structs.replace(one, environment=other))
        yield msgspec.structs.replace(RULES, access_rules=tuple(items))
    for index, _ in enumerate(RULES.permissions):
        items = list(RULES.permissions)
        one = items.pop(index)
        yield msgspec.structs.replace(RULES, permissions=tuple(items))
        items.insert(index, msgspec.structs.replace(one, valid_from=END, valid_until=END))
        yield msgspec.structs.replace(RULES, permissions=tuple(items))


def test_sec_56_each_document_counts() -> None:
    """Without one of them, or with other dates or environment, the answers follow the oracle, and differ (SEC-56)."""
    sample = QUESTIONS[::3]
    whole = [answer(RULES, question) for question in sample]
    for rules in variants():
        answers = [answer(rules, question) for question in sample]
        assert answers == [naive_answer(rules, question) for question in sample]
        assert answers != whole


# -- what decided ------------------------------------------------------------------------------------------------------

ASKED = Question(URNS[0], NORTH_CBE, "ACC", NORTH_ONE, LAWS[0], CONSULT, None, BEGIN)


def test_sec_60_a_decision_names_what_decided() -> None:
    """Granted: the version, the access rule, the permission, the tenant, and what else would have held (SEC-60)."""
    decision = decided(RULES, ASKED._replace(operation=INSERT))
    assert decision.access_rule == RULES.access_rules[0]
    assert decision.permission is not None
    assert (decision.version, decision.permission.reference, decision.tenant) == (7, "KSZ-N", "north")
    assert (decision.refusal, decision.looked_at) == (None, ("KSZ-N", "KSZ-N3"))


@pytest.mark.parametrize(
    ("changes", "refusal", "dossier", "looked_at"),
    [
        ({"environment": "PRD"}, AccessRefusal.NO_ACCESS_RULE, None, ()),
        ({"customer": SOUTH_ONE}, AccessRefusal.CUSTOMER_NOT_BOUND, "UD-N", ()),
        (
            {"customer": NORTH_TWO, "operation": INSERT},
            AccessRefusal.OPERATION_NOT_PERMITTED,
            "UD-N",
            ("KSZ-N2",),
        ),
        ({"legal_context": LAWS[1]}, AccessRefusal.LEGAL_CONTEXT_NOT_GRANTED, "UD-N", ("KSZ-N",)),
    ],
)
def test_sec_60_a_refusal_names_what_was_looked_at(
    changes: dict[str, Any], refusal: AccessRefusal, dossier: str | None, looked_at: tuple[str, ...]
) -> None:
    """Refused: the reason, the access rule if one admitted, and the permissions that held so far (SEC-60)."""
    decision = decided(RULES, ASKED._replace(**changes))
    assert (decision.permission, decision.refusal, decision.version) == (None, refusal, 7)
    assert (decision.access_rule.dossier if decision.access_rule else None) == dossier
    assert decision.looked_at == looked_at
    assert decision.tenant == (None if dossier is None else "north")


# -- tenants -----------------------------------------------------------------------------------------------------------


def test_rule_30_a_visibility_without_organisations_ends_with_the_tenant() -> None:
    """Every organisation is every one of the tenant: the permission that is found names them all (rule 30)."""
    found = decided(RULES, ASKED).permission
    assert found is not None
    assert found.visibility is not None
    assert found.visibility.organizations == (NORTH_ONE, NORTH_TWO)
    assert not found.visibility.leaves_organizations_out
    named = Visibility(inscription_contexts=frozenset({COMMON}), organizations=(NORTH_TWO,))
    rules = msgspec.structs.replace(RULES, permissions=(permission(visibility=named),))
    assert decided(rules, ASKED).permission == rules.permissions[0]
    assert named.leaves_organizations_out


def test_rule_28_each_tenant_knows_its_own_contexts() -> None:
    """Contexts exist by tenant; the built-in catalogue is the default tenant's; of no tenant there are none (28)."""
    assert RULES.contexts_known_to("north") == {COMMON, OF_NORTH}
    assert RULES.contexts_known_to("south") == {COMMON, OF_SOUTH}
    assert RULES.contexts_known_to("nobody") == frozenset()
    own = Tenant(
        name=DEFAULT_TENANT, customers=(), applications=(), inscription_contexts=frozenset({OF_NORTH})
    ).known_contexts
    assert own == {OF_NORTH, *KNOWN_CONTEXTS}


def test_rule_28_without_tenants_contexts_are_known_by_being_granted() -> None:
    """A file without tenants means what it meant: the catalogue, and what any permission grants or shows (rule 28)."""
    alone = AccessRules(
        version=1, access_rules=(rule(tenant=DEFAULT_TENANT),), permissions=(permission(tenant=DEFAULT_TENANT),)
    )
    assert alone.contexts_known_to(DEFAULT_TENANT) == {OF_NORTH, *KNOWN_CONTEXTS}
    shown = Visibility(inscription_contexts=frozenset({COMMON}))
    found = decided(
        msgspec.structs.replace(alone, permissions=(permission(tenant=DEFAULT_TENANT, visibility=shown),)), ASKED
    ).permission
    assert found is not None
    assert found.visibility == shown


def test_the_rules_of_one_tenant_are_its_own() -> None:
    """What is told of one tenant holds no word of another."""
    north = RULES.of_tenant("north")
    assert (north.tenants, len(north.access_rules), len(north.permissions)) == ((NORTH,), 2, 3)
    assert b"south" not in write_access_rules(north)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tenants": (NORTH, SOUTH, NORTH)}, "the tenant north is listed twice"),
    ({"tenants": (NORTH,)}, "the access rule 'UD-S' belongs to the tenant south, which is not listed"),
    ({"tenants": ()}, "the access rule 'UD-N' belongs to the tenant north, which is not listed"),
    (
        {"tenants": (NORTH, msgspec.structs.replace(SOUTH, customers=(SOUTH_ONE, NORTH_ONE)))},
        "the customer 17/1 belongs to two tenants",
    ),
    (
        {"tenants": (NORTH, msgspec.structs.replace(SOUTH, applications=(*SOUTH.applications, NORTH.applications[1])))},
        "the application north:batch of 9000000191 belongs to two tenants",
    ),
    ({"access_rules": (rule(tenant="south"),)}, "names the application shared:web of 9000000191, which is not of"),
    ({"permissions": (permission(tenant="south"),)}, "'KSZ-N' names the application shared:web of 9000000191"),
    ({"permissions": (permission(application_urns=(*URNS, "x:y")),)}, "names the application x:y of 9000000191"),
    ({"permissions": (permission(customer_identification=SOUTH_ONE),)}, "names the customer 9000000290"),
    ({"permissions": (permission(inscription_contexts=frozenset({OF_SOUTH})),)}, "context SOUTH:MEMBER"),
    (
        {"permissions": (permission(inscription_contexts=frozenset({InscriptionContext("PCSA:LIVING_WAGE")})),)},
        "context PCSA:LIVING_WAGE",
    ),
    (
        {"permissions": (permission(visibility=Visibility(inscription_contexts=frozenset({OF_SOUTH}))),)},
        "context SOUTH:MEMBER",
    ),
    (
        {
            "permissions": (
                permission(visibility=Visibility(inscription_contexts=frozenset({COMMON}), organizations=(SOUTH_ONE,))),
            )
        },
        "names the customer 9000000290",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_sec_57_what_reaches_into_another_tenant_cannot_be_said(changes: dict[str, Any], sentence: str) -> None:
    """Rules in which an entry names what is not its tenant's cannot be made, nor read from a file (rules 28, 30)."""
    said = {name: getattr(RULES, name) for name in RULES.__struct_fields__} | changes
    with pytest.raises(ValueError, match=sentence):
        AccessRules(**said)
    whole = write_access_rules(RULES)
    assert read_access_rules(whole, origin="x") == RULES


def test_a_file_with_a_stranger_is_refused_in_one_sentence() -> None:
    """The file is named, and the entry, and what it names (SEC-57)."""
    text = write_access_rules(RULES).replace(b"- SOUTH:MEMBER", b"- NORTH:MEMBER", 1)
    with pytest.raises(UsageError, match=r"\Arules.yaml: the permission 'KSZ-S' names the inscription context NORTH:"):
        read_access_rules(text, origin="rules.yaml")


# -- agreed volumes ----------------------------------------------------------------------------------------------------

VOLUMES = """\
version: 1
access_rules: []
permissions:
- reference: KSZ/1
  customer_identification: {sector: 17, institution: 1}
  cbe_number: "9000000191"
  application_urns: [shared:web]
  legal_contexts: [LAW:ONE]
  inscription_contexts: [PCSA:LIVING_WAGE]
  operations: [consultInscriptions]
  valid_from: 2026-03-01
  volumes:
  - {window: day, limit: 10000}
  - {window: day, operation: insertInscription, limit: 500, mode: soft}
  - {window: month, limit: 1000000000000}
"""


def test_sec_57_a_permission_says_which_volumes_were_agreed() -> None:
    """Of an hour, a day or a month, of one operation or all together, soft or hard unless it says so (SEC-57)."""
    (read,) = read_access_rules(VOLUMES.encode(), origin="x").permissions
    assert read.volumes == (
        AgreedVolume(window=VolumeWindow.DAY, limit=10_000, operation=None, mode=VolumeMode.HARD),
        AgreedVolume(window=VolumeWindow.DAY, limit=500, operation=INSERT, mode=VolumeMode.SOFT),
        AgreedVolume(window=VolumeWindow.MONTH, limit=10**12),
    )
    rules = AccessRules(version=1, access_rules=(), permissions=(read,))
    text = write_access_rules(rules)
    assert read_access_rules(text, origin="x") == rules
    assert b"volumes" not in write_access_rules(
        msgspec.structs.replace(rules, permissions=(msgspec.structs.replace(read, volumes=()),))
    )


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("window: month", "window: day", "same window and operation"),
        ("window: month", "window: week", "window"),
        ("limit: 10000}", "limit: 0}", "limit"),
        ("limit: 1000000000000}", "limit: 1000000000001}", "limit"),
        ("limit: 10000}", "limit: 1.5}", "limit"),
        ("mode: soft", "mode: firm", "mode"),
        ("operation: insertInscription", "operation: insert", "operation"),
        ("window: month, ", "", "window"),
        ("limit: 10000}", "limit: 10000, per: day}", "per"),
    ],
)
def test_sec_57_a_wrong_volume_is_refused(old: str, new: str, key: str) -> None:
    """No two of the same window and operation, no limit below one, no other words (SEC-57)."""
    assert old in VOLUMES
    with pytest.raises(UsageError, match=key):
        read_access_rules(VOLUMES.replace(old, new).encode(), origin="x")
