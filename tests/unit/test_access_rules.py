"""Who may ask what, and the file that says so: rules 28 and 48, SEC-56 to SEC-59."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import NotAuthorized, UsageError
from cbss_inscription.domain.exchange import Caller
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import (
    DEPTH_MAX,
    AccessRule,
    AccessRules,
    LegalDataProfile,
    Permission,
    ReplacedNumbers,
    Visibility,
    read_access_rules,
    write_access_rules,
)

URNS = ("urn:app:one", "urn:app:two")
CBE_NUMBERS = ("0200000012", "0300000025")
ENVIRONMENTS = ("Acceptation", "Production")
CUSTOMERS = (
    CustomerIdentification(sector=17, institution=1),
    CustomerIdentification(sector=17, institution=2),
    CustomerIdentification(cbe_number="0200000012"),
)
LEGAL_CONTEXTS = (LegalContext("PCSA:SOCIAL_INQUIRY"), LegalContext("PCSA:HEATING"))
LIVING_WAGE, DEBT_MEDIATION = InscriptionContext("PCSA:LIVING_WAGE"), InscriptionContext("PCSA:DEBT_MEDIATION")
BEGIN, END = date(2024, 3, 1), date(2024, 3, 31)
DAYS = (BEGIN - timedelta(days=1), BEGIN, date(2024, 3, 15), END, END + timedelta(days=1))


def rule(
    *,
    application_urn: str = URNS[0],
    cbe_number: str = CBE_NUMBERS[0],
    environment: str = ENVIRONMENTS[0],
    operations: tuple[Operation, ...] = tuple(Operation),
    valid_from: date = BEGIN,
    valid_until: date | None = END,
) -> AccessRule:
    return AccessRule(
        dossier="UD-1",
        application_urn=application_urn,
        cbe_number=cbe_number,
        environment=environment,
        operations=operations,
        valid_from=valid_from,
        valid_until=valid_until,
    )


def permission(
    *,
    reference: str = "KSZ-1",
    customer: CustomerIdentification = CUSTOMERS[0],
    cbe_number: str = CBE_NUMBERS[0],
    application_urns: tuple[str, ...] = URNS[:1],
    legal_contexts: tuple[LegalContext, ...] = LEGAL_CONTEXTS[:1],
    inscription_contexts: tuple[InscriptionContext, ...] = (LIVING_WAGE,),
    operations: tuple[Operation, ...] = tuple(Operation),
    valid_from: date = BEGIN,
    valid_until: date | None = END,
    replaced_numbers: ReplacedNumbers = ReplacedNumbers.FOLLOW,
    legal_data_profile: LegalDataProfile = LegalDataProfile.EXACT,
    visibility: Visibility | None = None,
) -> Permission:
    return Permission(
        reference=reference,
        customer_identification=customer,
        cbe_number=cbe_number,
        application_urns=application_urns,
        legal_contexts=frozenset(legal_contexts),
        inscription_contexts=frozenset(inscription_contexts),
        operations=operations,
        valid_from=valid_from,
        valid_until=valid_until,
        replaced_numbers=replaced_numbers,
        legal_data_profile=legal_data_profile,
        visibility=visibility,
    )


def rules_of(*items: AccessRule | Permission) -> AccessRules:
    return AccessRules(
        version=1,
        access_rules=tuple(item for item in items if isinstance(item, AccessRule)),
        permissions=tuple(item for item in items if isinstance(item, Permission)),
    )


def caller(
    application_urn: str = URNS[0], cbe_number: str = CBE_NUMBERS[0], environment: str = ENVIRONMENTS[0]
) -> Caller:
    return Caller(
        application_urn=application_urn,
        cbe_number=cbe_number,
        environment=environment,
        certificate_fingerprint="00" * 32,
    )


Question = tuple[str, str, str, CustomerIdentification, LegalContext, Operation, date]
ALL_QUESTIONS: list[Question] = list(
    product(URNS, CBE_NUMBERS, ENVIRONMENTS, CUSTOMERS, LEGAL_CONTEXTS, Operation, DAYS)
)


def answer(rules: AccessRules, question: Question) -> str:
    urn, cbe_number, environment, customer, legal_context, operation, day = question
    try:
        found = rules.permission_for(
            caller(urn, cbe_number, environment), operation, customer, legal_context, today=day
        )
    except NotAuthorized as refused:
        return refused.code
    return "MSG00013" if found is None else "granted"


def naive_answer(rules: AccessRules, question: Question) -> str:
    """The decision as the rules word it, item by item, without the code's order or short cuts."""
    urn, cbe_number, environment, customer, legal_context, operation, day = question

    def in_force(item: AccessRule | Permission) -> bool:
        return item.valid_from <= day <= (item.valid_until or date.max)

    applications = {
        (item.application_urn, item.cbe_number, item.environment, word)
        for item in rules.access_rules
        for word in item.operations
        if in_force(item)
    }
    grants = {
        (allowed_urn, item.cbe_number, item.customer_identification, word, ground)
        for item in rules.permissions
        for allowed_urn in item.application_urns
        for word in item.operations
        for ground in item.legal_contexts
        if in_force(item)
    }
    spoken_for = {grant[:4] for grant in grants}
    if (urn, cbe_number, environment, operation) not in applications:
        return "SOA-01002"
    if (urn, cbe_number, customer, operation) not in spoken_for:
        return "SOA-01002"
    return "granted" if (urn, cbe_number, customer, operation, legal_context) in grants else "MSG00013"


READ_ONLY = (Operation.CONSULT_INSCRIPTIONS,)
WRITING = (Operation.INSERT_INSCRIPTION, Operation.UPDATE_INSCRIPTION)


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(rules_of(), id="nothing"),
        pytest.param(rules_of(rule()), id="rule without permission"),
        pytest.param(rules_of(permission()), id="permission without rule"),
        pytest.param(rules_of(rule(), permission()), id="one of each"),
        pytest.param(rules_of(rule(operations=READ_ONLY), permission()), id="rule only reads"),
        pytest.param(rules_of(rule(), permission(operations=READ_ONLY)), id="permission only reads"),
        pytest.param(
            rules_of(
                rule(),
                permission(operations=READ_ONLY, legal_contexts=LEGAL_CONTEXTS[1:]),
                permission(operations=WRITING, legal_contexts=LEGAL_CONTEXTS),
            ),
            id="other grounds for reading and writing",
        ),
        pytest.param(
            rules_of(
                rule(valid_until=None),
                rule(application_urn=URNS[1], environment=ENVIRONMENTS[1], valid_until=None),
                permission(application_urns=URNS, valid_until=None),
                permission(customer=CUSTOMERS[2], valid_from=END, valid_until=None),
            ),
            id="two applications, open ends",
        ),
        pytest.param(
            rules_of(
                rule(), rule(cbe_number=CBE_NUMBERS[1]), permission(cbe_number=CBE_NUMBERS[1], customer=CUSTOMERS[1])
            ),
            id="permission of another organisation",
        ),
        pytest.param(rules_of(rule(valid_until=BEGIN), permission(valid_from=END)), id="never both in force"),
    ],
)
def test_sec_56_58_59_allowed_if_and_only_if_the_rules_say_so(rules: AccessRules) -> None:
    """Every URN, CBE number, environment, customer, ground, operation, day is answered (rule 48; TV-110..115)."""
    assert len(ALL_QUESTIONS) == 2 * 2 * 2 * 3 * 2 * len(Operation) * 5
    wrong = [question for question in ALL_QUESTIONS if answer(rules, question) != naive_answer(rules, question)]
    assert wrong == []


def test_sec_56_the_matrix_holds_every_kind_of_answer() -> None:
    """One rule and one permission grant some questions, and refuse others in both ways: no empty proof (SEC-56)."""
    rules = rules_of(rule(), permission())
    answers = [answer(rules, question) for question in ALL_QUESTIONS]
    granted = 1 * 1 * 1 * 1 * 1 * len(Operation) * 3
    assert {word: answers.count(word) for word in set(answers)} == {
        "granted": granted,
        "MSG00013": granted,
        "SOA-01002": len(ALL_QUESTIONS) - 2 * granted,
    }


OPERATIONS = st.lists(st.sampled_from(Operation), unique=True, max_size=5).map(tuple)
FROM, UNTIL = st.sampled_from(DAYS), st.none() | st.sampled_from(DAYS)
RULES = st.builds(
    rule,
    application_urn=st.sampled_from(URNS),
    cbe_number=st.sampled_from(CBE_NUMBERS),
    environment=st.sampled_from(ENVIRONMENTS),
    operations=OPERATIONS,
    valid_from=FROM,
    valid_until=UNTIL,
)
PERMISSIONS = st.builds(
    permission,
    reference=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=10),
    customer=st.sampled_from(CUSTOMERS),
    cbe_number=st.sampled_from(CBE_NUMBERS),
    application_urns=st.lists(st.sampled_from(URNS), unique=True, min_size=1).map(tuple),
    legal_contexts=st.lists(st.sampled_from(LEGAL_CONTEXTS), unique=True, min_size=1).map(tuple),
    inscription_contexts=st.lists(st.sampled_from([LIVING_WAGE, DEBT_MEDIATION]), unique=True, min_size=1).map(tuple),
    operations=OPERATIONS,
    valid_from=FROM,
    valid_until=UNTIL,
    replaced_numbers=st.sampled_from(ReplacedNumbers),
    legal_data_profile=st.sampled_from(LegalDataProfile),
    visibility=st.none()
    | st.builds(
        Visibility,
        inscription_contexts=st.frozensets(st.sampled_from([LIVING_WAGE, DEBT_MEDIATION]), min_size=1),
        organizations=st.lists(st.sampled_from(CUSTOMERS), unique=True).map(tuple),
    ),
)
WHOLE_FILES = st.builds(
    AccessRules,
    version=st.integers(0, 1000),
    access_rules=st.lists(RULES, max_size=6).map(tuple),
    permissions=st.lists(PERMISSIONS, max_size=6).map(tuple),
)


@given(rules=WHOLE_FILES, questions=st.lists(st.sampled_from(ALL_QUESTIONS), min_size=20, max_size=20))
def test_sec_56_58_59_any_set_of_rules_is_read_as_it_is_worded(rules: AccessRules, questions: list[Question]) -> None:
    """Whatever rules and permissions stand together, each question gets the answer that they word (48; SEC-56)."""
    for question in questions:
        assert answer(rules, question) == naive_answer(rules, question)


@given(rules=WHOLE_FILES, question=st.sampled_from(ALL_QUESTIONS))
def test_sec_60_the_permission_found_grants_what_was_asked(rules: AccessRules, question: Question) -> None:
    """The permission that comes back is one of the file's and names all that was asked (SEC-58, SEC-59)."""
    if answer(rules, question) != "granted":
        return
    urn, cbe_number, environment, customer, legal_context, operation, day = question
    found = rules.permission_for(caller(urn, cbe_number, environment), operation, customer, legal_context, today=day)
    assert found in rules.permissions
    assert found.customer_identification == customer
    assert found.cbe_number == cbe_number
    assert urn in found.application_urns
    assert legal_context in found.legal_contexts
    assert operation in found.operations
    assert found.is_valid_on(day)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (rules_of(permission()), "no-access-rule"),
        (rules_of(rule(), permission(customer=CUSTOMERS[1])), "customer-not-bound"),
        (rules_of(rule(), permission(operations=())), "operation-not-permitted"),
    ],
)
def test_sec_56_the_log_is_told_which_document_refuses(rules: AccessRules, reason: str) -> None:
    """A refusal carries a fixed word for the log, and no identity (SEC-56, SEC-58, SEC-61)."""
    with pytest.raises(NotAuthorized) as caught:
        rules.permission_for(
            caller(), Operation.INSERT_INSCRIPTION, CUSTOMERS[0], LEGAL_CONTEXTS[0], today=date(2024, 3, 15)
        )
    assert caught.value.reason == str(caught.value) == reason


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("context", [LIVING_WAGE, DEBT_MEDIATION])
def test_rule_28_a_context_is_granted_when_any_permission_grants_it(context: InscriptionContext, order: int) -> None:
    """Of several permissions under one legal context, the one that grants the contexts named is used (rule 28)."""
    both = (
        permission(reference="first", inscription_contexts=(LIVING_WAGE,)),
        permission(reference="second", inscription_contexts=(DEBT_MEDIATION,)),
    )
    found = rules_of(rule(), *both[::order]).permission_for(
        caller(),
        Operation.INSERT_INSCRIPTION,
        CUSTOMERS[0],
        LEGAL_CONTEXTS[0],
        today=BEGIN,
        inscription_contexts=(context,),
    )
    assert found is not None
    assert found.inscription_contexts == {context}


def test_rule_28_contexts_of_two_permissions_are_not_added_up() -> None:
    """Contexts that no single permission grants together leave the first permission, which lacks one (rule 28)."""
    first, second = permission(), permission(reference="second", inscription_contexts=(DEBT_MEDIATION,))
    found = rules_of(rule(), first, second).permission_for(
        caller(),
        Operation.CONSULT_INSCRIPTIONS,
        CUSTOMERS[0],
        LEGAL_CONTEXTS[0],
        today=BEGIN,
        inscription_contexts=(LIVING_WAGE, DEBT_MEDIATION),
    )
    assert found == first


def test_rule_28_a_consultation_without_contexts_sees_those_of_every_permission() -> None:
    """Where no context is named, the contexts of all permissions under the legal context are meant (contract.md 3)."""
    first, second = permission(), permission(reference="second", inscription_contexts=(DEBT_MEDIATION,))
    found = rules_of(rule(), first, second).permission_for(
        caller(), Operation.CONSULT_INSCRIPTIONS, CUSTOMERS[0], LEGAL_CONTEXTS[0], today=BEGIN
    )
    assert found is not None
    assert found.reference == first.reference
    assert found.inscription_contexts == {*first.inscription_contexts, DEBT_MEDIATION}


# -- other organisations' lines --------------------------------------------------------------------------------------

VISIBLE = Visibility(inscription_contexts=frozenset({DEBT_MEDIATION}), organizations=(CUSTOMERS[1],))


def found_for(operation: Operation, contexts: tuple[InscriptionContext, ...], *items: Permission) -> Permission:
    found = rules_of(rule(), *items).permission_for(
        caller(), operation, CUSTOMERS[0], LEGAL_CONTEXTS[0], today=BEGIN, inscription_contexts=contexts
    )
    assert found is not None
    return found


@pytest.mark.parametrize("order", [1, -1])
def test_rule_30_a_permission_that_grants_goes_before_one_that_shows(order: int) -> None:
    """Of a permission that grants the context and one that only shows it at others, the former is used (rule 30)."""
    shows = permission(reference="shows", visibility=VISIBLE)
    grants = permission(reference="grants", inscription_contexts=(DEBT_MEDIATION,))
    both = (shows, grants)[::order]
    assert found_for(Operation.CONSULT_INSCRIPTIONS, (DEBT_MEDIATION,), *both) == grants
    assert found_for(Operation.INSERT_INSCRIPTION, (DEBT_MEDIATION,), *both) == grants


def test_rule_30_a_permission_that_shows_is_found_for_consultations_only() -> None:
    """A context that is only visible finds its permission for a consultation; a write falls to the first (rule 30)."""
    first, shows = permission(reference="first"), permission(reference="shows", visibility=VISIBLE)
    assert found_for(Operation.CONSULT_INSCRIPTIONS, (DEBT_MEDIATION,), first, shows) == shows
    assert found_for(Operation.CONSULT_INSCRIPTIONS, (LIVING_WAGE, DEBT_MEDIATION), first, shows) == shows
    for operation in WRITING:
        assert found_for(operation, (DEBT_MEDIATION,), first, shows) == first


PERMISSIONS_OF_ONE = st.builds(
    permission,
    reference=st.sampled_from(["a", "b", "c"]),
    inscription_contexts=st.sets(st.sampled_from([LIVING_WAGE, DEBT_MEDIATION])).map(tuple),
    visibility=st.none()
    | st.builds(
        Visibility,
        inscription_contexts=st.frozensets(st.sampled_from([LIVING_WAGE, DEBT_MEDIATION]), min_size=1),
        organizations=st.lists(st.sampled_from(CUSTOMERS), unique=True).map(tuple),
    ),
)


@given(
    items=st.lists(PERMISSIONS_OF_ONE, min_size=1, max_size=4),
    contexts=st.lists(st.sampled_from([LIVING_WAGE, DEBT_MEDIATION]), unique=True).map(tuple),
    operation=st.sampled_from([Operation.CONSULT_INSCRIPTIONS, Operation.INSERT_INSCRIPTION]),
)
def test_rule_30_visibility_is_never_wider_than_one_permission_words_it(
    items: list[Permission], contexts: tuple[InscriptionContext, ...], operation: Operation
) -> None:
    """However many permissions hold, the visibility is one's own, with its name; none is added up (rules 28, 30)."""
    found = found_for(operation, contexts, *items)
    assert (found.reference, found.visibility) in {(item.reference, item.visibility) for item in items}
    if contexts:
        assert found in items
    else:
        assert found.visibility == items[0].visibility
        assert found.inscription_contexts == frozenset().union(*(item.inscription_contexts for item in items))


def test_rule_28_a_context_that_is_shown_is_known() -> None:
    """An installation's own contexts are known by being granted or shown by some permission (rule 28)."""
    assert rules_of(permission()).inscription_contexts == {LIVING_WAGE}
    assert rules_of(permission(visibility=VISIBLE)).inscription_contexts == {LIVING_WAGE, DEBT_MEDIATION}


# -- the file --------------------------------------------------------------------------------------------------------

FILE = """\
version: 7
access_rules:
- dossier: UD-2024-001
  application_urn: urn:app:one
  cbe_number: "0200000012"
  environment: Acceptation
  operations: [consultInscriptions, insertInscription]
  valid_from: 2024-03-01
  valid_until: 2024-03-31
permissions:
- reference: KSZ/24/001
  customer_identification: {sector: 17, institution: 1}
  cbe_number: "0200000012"
  application_urns: [urn:app:one]
  legal_contexts: [PCSA:SOCIAL_INQUIRY]
  inscription_contexts: [PCSA:LIVING_WAGE]
  operations: [insertInscription]
  valid_from: 2024-03-01
"""


def read(text: str | bytes) -> AccessRules:
    return read_access_rules(text.encode() if isinstance(text, str) else text, origin="rules.yaml")


def test_a_file_says_rules_and_permissions() -> None:
    """The file's values are the rules, absent ones the defaults: follow replaced numbers, exact legal data."""
    rules = read(FILE)
    assert rules.version == 7
    assert rules.access_rules == (
        AccessRule(
            dossier="UD-2024-001",
            application_urn="urn:app:one",
            cbe_number="0200000012",
            environment="Acceptation",
            operations=(Operation.CONSULT_INSCRIPTIONS, Operation.INSERT_INSCRIPTION),
            valid_from=BEGIN,
            valid_until=END,
        ),
    )
    assert rules.permissions == (
        permission(reference="KSZ/24/001", operations=(Operation.INSERT_INSCRIPTION,), valid_until=None),
    )


def test_rule_30_a_file_says_whose_lines_are_visible() -> None:
    """Visibility names contexts, and organisations or none for all of them; the rest of the file is as ever (30)."""
    said = "  visibility:\n    inscription_contexts: [PCSA:DEBT_MEDIATION]\n"
    (every,) = read(FILE + said).permissions
    assert every.visibility == Visibility(inscription_contexts=frozenset({DEBT_MEDIATION}))
    (some,) = read(FILE + said + "    organizations: [{sector: 17, institution: 2}]\n").permissions
    assert some.visibility == VISIBLE
    assert (some.readable_contexts, read(FILE).permissions[0].readable_contexts) == (
        {LIVING_WAGE, DEBT_MEDIATION},
        {LIVING_WAGE},
    )


@given(rules=WHOLE_FILES)
def test_a_written_file_reads_back_as_the_same_rules(rules: AccessRules) -> None:
    """What is written reads back equal, without aliases and without absent values: the file is for people."""
    text = write_access_rules(rules)
    assert read(text) == rules
    assert b"organizations: []" not in text  # it means every organisation, and would read as none
    assert b": null" not in text
    assert b"&id" not in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("- reference: KSZ", "- remarks: null\n  reference: KSZ"),
        ("  valid_until: 2024-03-31", "  valid_until: null"),
        ("[PCSA:SOCIAL_INQUIRY]", "[&ground PCSA:SOCIAL_INQUIRY, *ground]"),
        ("{sector: 17, institution: 1}", '{cbe_number: "0200000012"}'),
        ("{sector: 17, institution: 1}", "{sector: 17, institution: 1, cbe_number: null}"),
        ("[insertInscription]", "\n  - insertInscription"),
        ("version: 7", "# of the day\nversion: 7"),
    ],
)
def test_a_file_may_be_written_in_other_ways(old: str, new: str) -> None:
    """Null for an absent value, aliases, quoted dates and block lists are YAML as any other."""
    assert old in FILE
    assert read(FILE.replace(old, new)).version == 7


def test_an_alias_repeats_what_it_points_to() -> None:
    """A whole permission may be repeated by an alias, and a merge key may give its defaults."""
    aliased = FILE.replace("- reference:", "- &one\n  reference:") + "- *one\n- <<: *one\n  reference: KSZ/24/002\n"
    first, second, third = read(aliased).permissions
    assert first == second
    assert third.reference == "KSZ/24/002"
    assert third.customer_identification == first.customer_identification


WRONG = [
    ("version: 7", "version: seven", "$.version"),
    ("version: 7", "version: true", "$.version"),
    ("version: 7", "version: null", "$.version"),
    ("version: 7", "version: 7\nowner: me", "owner"),
    ("version: 7\n", "", "version"),
    ("  environment:", "  enviroment:", "enviroment"),
    ("  environment: Acceptation\n", "", "environment"),
    ("- reference:", "- refrence:", "refrence"),
    ("- reference: KSZ/24/001", "- 5: x\n  reference: KSZ/24/001", "$.permissions[0]"),
    ("urn:app:one\n", "[urn:app:one]\n", "application_urn"),
    ("[urn:app:one]", "urn:app:one", "application_urns"),
    ('"0200000012"', "0200000012", "cbe_number"),
    ("[insertInscription]", "[insert]", "operations[0]"),
    ("[insertInscription]", "null", "operations"),
    ("[PCSA:SOCIAL_INQUIRY]", "[P]", "legal_contexts[0]"),
    ("[PCSA:SOCIAL_INQUIRY]", "[17]", "legal_contexts[0]"),
    ("[PCSA:SOCIAL_INQUIRY]", "[null]", "legal_contexts[0]"),
    ("[PCSA:SOCIAL_INQUIRY]", "&loop [*loop]", "legal_contexts[0]"),
    ("[PCSA:LIVING_WAGE]", "[PCSA-LIVING]", "inscription_contexts[0]"),
    ("valid_until: 2024-03-31", "valid_until: soon", "valid_until"),
    ("valid_until: 2024-03-31", "valid_until: 2024-02-30", "valid_until"),
    ("valid_until: 2024-03-31", 'valid_until: "2024-03-31"', "valid_until"),
    ("valid_until: 2024-03-31", "valid_until: 2024-03-31 12:00:00", "valid_until"),
    ("valid_until: 2024-03-31", "valid_untill: 2024-03-31", "valid_untill"),
    ("{sector: 17, institution: 1}", "{sector: 17, institution: 1, sektor: 3}", "sektor"),
    ("{sector: 17, institution: 1}", "{sector: 17}", "customer_identification"),
    ("{sector: 17, institution: 1}", "{sector: 17.5, institution: 1}", "sector"),
    ("{sector: 17, institution: 1}", "{sector: true, institution: 1}", "sector"),
    ("{sector: 17, institution: 1}", "{sector: 1000, institution: 1}", "customer_identification"),
    ("{sector: 17, institution: 1}", "{cbe_number: 200000012}", "cbe_number"),
    ("{sector: 17, institution: 1}", '{cbe_number: "12"}', "customer_identification"),
    ("{sector: 17, institution: 1}", "17/1", "customer_identification"),
    ("  operations: [insertInscription]", "  operations: []\n  replaced_numbers: maybe", "replaced_numbers"),
    ("  operations: [insertInscription]", "  operations: []\n  legal_data_profile: fuzzy", "legal_data_profile"),
    ("- reference: KSZ/24/001", "- visibility: all\n  reference: KSZ/24/001", "visibility"),
    ("- reference: KSZ/24/001", "- visibility: {}\n  reference: KSZ/24/001", "inscription_contexts"),
    (
        "- reference: KSZ/24/001",
        "- visibility: {inscription_contexts: []}\n  reference: KSZ/24/001",
        "inscription_contexts",
    ),
    (
        "- reference: KSZ/24/001",
        "- visibility: {inscription_contexts: [PCSA:HEATING], organisations: []}\n  reference: KSZ/24/001",
        "organisations",
    ),
    (
        "- reference: KSZ/24/001",
        "- visibility: {inscription_contexts: [PCSA:HEATING], organizations: [17/1]}\n  reference: KSZ/24/001",
        "organizations[0]",
    ),
    # What a mapping says twice, it says by mistake: the second would silently take the place of the first.
    ("  environment: Acceptation", "  environment: Acceptation\n  environment: Production", "environment"),
    ("permissions:", "permissions: []\npermissions:", "permissions"),
]


@pytest.mark.parametrize(("old", "new", "key"), WRONG, ids=[f"{old.strip()} > {new.strip()}" for old, new, _ in WRONG])
def test_a_wrong_key_or_value_is_one_clear_sentence(old: str, new: str, key: str) -> None:
    """An unknown, missing or repeated key and a wrong value are refused in one line naming the file and the key."""
    assert old in FILE
    with pytest.raises(UsageError) as caught:
        read(FILE.replace(old, new))
    sentence = str(caught.value)
    assert sentence.startswith("rules.yaml: ")
    assert key in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("deep", [b"[" * 17, b"? " * 100_000, b"a: " + b"{a: " * 16])
def test_sec_85_levels_upon_levels_are_refused(deep: bytes) -> None:
    """A file of more levels than any has is refused before YAML's reader, in C, runs out of stack (SEC-48, SEC-85)."""
    with pytest.raises(UsageError, match=rf"more than {DEPTH_MAX} levels"):
        read_access_rules(deep, origin="rules.yaml")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"just words",
        b"version: [7",
        b"version: 7\n---\nversion: 8",
        b"version: *nobody",
        b"version: 2024-13-01",
        b"version: !!int seven",
        b"version: !!python/object/apply:os.getcwd []",
        b"? [version]\n: 7",
        b"\x80",
        b"\x00",
        b"[" * 3_000 + b"]" * 3_000,
        b"&loop [*loop]",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_what_is_no_rule_file_is_refused_in_one_sentence(text: bytes) -> None:
    """A text that is no YAML, no mapping, or YAML with values that do not exist is a UsageError of one line."""
    with pytest.raises(UsageError, match=r"\Arules\.yaml: [^\n]+\Z"):
        read(text)
