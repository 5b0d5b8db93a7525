"""Why a call ended as it did: an explanation for every outcome, and the condition that failed (SEC-60)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import NotAuthorized
from cbss_inscription.domain.exchange import Caller
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import (
    AccessRule,
    AccessRules,
    AgreedVolume,
    Permission,
    VolumeMode,
    VolumeWindow,
)
from cbss_inscription.governance.journal import AuditedDecision, AuditedOutcome, AuditRecord
from cbss_inscription.governance.unmet import asked_of, judge_access_rules, judge_permissions
from cbss_inscription.soap.remedies import REMEDIES
from cbss_inscription.usecases.explain_decision import (
    DECIDERS,
    NOT_AUTHORIZED_DECIDERS,
    Changer,
    Explanation,
    explain_decision,
)

DAY = date(2026, 3, 1)
URNS = ("urn:app:one", "urn:app:two")
CBE_NUMBERS = ("0200000012", "0300000025")
CUSTOMERS = (CustomerIdentification(sector=17, institution=1), CustomerIdentification(sector=17, institution=2))
LEGAL_CONTEXTS = (LegalContext("PCSA:SOCIAL_INQUIRY"), LegalContext("PCSA:HEATING"))
CONTEXT, OTHER_CONTEXT = InscriptionContext("PCSA:LIVING_WAGE"), InscriptionContext("PCSA:DEBT_MEDIATION")
OPERATIONS = (Operation.CONSULT_INSCRIPTIONS, Operation.INSERT_INSCRIPTION)


def rule(**said: Any) -> AccessRule:
    return AccessRule(
        **{
            "dossier": "UD-1",
            "application_urn": URNS[0],
            "cbe_number": CBE_NUMBERS[0],
            "environment": "LOCAL",
            "operations": OPERATIONS,
            "valid_from": DAY,
            **said,
        }
    )


def permission(**said: Any) -> Permission:
    return Permission(
        **{
            "reference": "KSZ-1",
            "customer_identification": CUSTOMERS[0],
            "cbe_number": CBE_NUMBERS[0],
            "application_urns": URNS[:1],
            "legal_contexts": frozenset(LEGAL_CONTEXTS[:1]),
            "inscription_contexts": frozenset({CONTEXT}),
            "operations": OPERATIONS,
            "valid_from": DAY,
            **said,
        }
    )


RULES = AccessRules(version=3, access_rules=(rule(),), permissions=(permission(),))


def record(code: str | None, *, value: str = "NOK", reason: str | None = None, **said: Any) -> AuditRecord:
    """The record of a call about which everything was found out."""
    return AuditRecord(
        **{
            "ticket_cbss": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
            "timestamp_receive": "2026-03-01T10:00:00.000Z",
            "timestamp_reply": "2026-03-01T10:00:00.100Z",
            "service": "CBSSInscription",
            "application_urn": URNS[0],
            "cbe_number": CBE_NUMBERS[0],
            "environment": "LOCAL",
            "operation": "insertInscription",
            "customer": CUSTOMERS[0].key,
            "legal_context": LEGAL_CONTEXTS[0],
            "inscription_contexts": (CONTEXT,),
            "decision": AuditedDecision(version=3, access_rule="UD-1", permission="KSZ-1"),
            "outcome": AuditedOutcome(value=value, code=code, reason=reason),
            **said,
        }
    )


def explained(record: AuditRecord, rules: AccessRules | None = RULES) -> Explanation:
    return explain_decision(record, rules, remedies=REMEDIES)


@pytest.mark.parametrize("code", OutcomeCode)
def test_sec_60_every_outcome_has_an_explanation(code: OutcomeCode) -> None:
    """For each code of the catalogue: its text, what decided, what to do and who can change it (SEC-60)."""
    explanation = explained(record(code))
    assert explanation.code is code
    assert all((explanation.text, explanation.cause, explanation.remedy, explanation.decided_by))
    assert explanation.changers
    refused = code.startswith("SOA") or explanation.record.outcome.value == "NOK"
    assert refused
    assert (explanation.changers == (Changer.NOBODY,)) == (DECIDERS[code].changers == (Changer.NOBODY,))


def test_sec_60_nothing_that_refuses_is_for_nobody_to_change() -> None:
    """The codes for which nothing needs to change are those that refuse nothing (SEC-60)."""
    nobody = {code for code, decider in DECIDERS.items() if Changer.NOBODY in decider.changers}
    assert nobody == {
        OutcomeCode.SUCCESS,
        OutcomeCode.NO_DATA,
        OutcomeCode.INSCRIPTION_IDENTICAL,
        OutcomeCode.INSCRIPTION_MERGED,
        OutcomeCode.TICKET_REPEATED,
    }


@pytest.mark.parametrize(
    ("said", "reason", "failed", "changer"),
    [
        (
            {"application_urn": URNS[1]},
            "no-access-rule",
            "the access rule UD-1 names another application or organisation than the certificate's",
            Changer.RSZ,
        ),
        (
            {"environment": "PRD", "operation": "deleteInscription"},
            "no-access-rule",
            "the access rule UD-1 holds in another environment and does not have the operation",
            Changer.RSZ,
        ),
        ({"customer": "17/2"}, "customer-not-bound", "the permission KSZ-1 is for another customer", Changer.KSZ),
        (
            {"operation": "deleteInscription"},
            "operation-not-permitted",
            "the permission KSZ-1 does not have the operation",
            Changer.KSZ,
        ),
        (
            {"timestamp_receive": "2026-02-28T23:59:59.999Z"},
            "customer-not-bound",
            "the permission KSZ-1 did not hold on that day",
            Changer.KSZ,
        ),
    ],
)
def test_sec_60_the_condition_that_failed_is_named(
    said: dict[str, Any], reason: str, failed: str, changer: Changer
) -> None:
    """SOA-01002 names the rule that came nearest and the condition of it that was not met (SEC-56, SEC-58, SEC-60)."""
    explanation = explained(record("SOA-01002", value="FAULT", reason=reason, **said))
    assert explanation.failed == (failed,)
    assert explanation.changers == (changer,)
    assert explanation.remedy == REMEDIES[reason]
    assert explanation.warnings == ()


def test_sec_60_each_reason_of_soa_01002_has_its_decider() -> None:
    """The three reasons of SOA-01002 each say which document refuses, and a fourth would be explained too (SEC-60)."""
    assert set(NOT_AUTHORIZED_DECIDERS) == {"no-access-rule", "customer-not-bound", "operation-not-permitted"}
    assert set(explained(record("SOA-01002", value="FAULT", reason="other")).changers) == {Changer.RSZ, Changer.KSZ}


def test_a_legal_context_and_an_inscription_context_that_are_not_granted_are_named() -> None:
    """MSG00013 and CBI00201 name the permission that lacks what was asked (contract.md section 4)."""
    ungrounded = explained(record("MSG00013", legal_context="PCSA:HEATING"))
    assert ungrounded.failed == ("the permission KSZ-1 does not have the legal context",)
    ungranted = explained(record("CBI00201", inscription_contexts=(CONTEXT, OTHER_CONTEXT)))
    assert ungranted.failed == (f"the permission KSZ-1 does not have {OTHER_CONTEXT}",)


def test_agreed_volumes_and_replaced_numbers_are_told_from_the_permission() -> None:
    """CBI00202 tells the hard volumes of the operation, MSG00006 that replaced numbers are refused (rule 17)."""
    volumes = (
        AgreedVolume(window=VolumeWindow.DAY, limit=5),
        AgreedVolume(window=VolumeWindow.HOUR, limit=2, operation=Operation.INSERT_INSCRIPTION),
        AgreedVolume(window=VolumeWindow.HOUR, limit=1, operation=Operation.CONSULT_INSCRIPTIONS),
        AgreedVolume(window=VolumeWindow.MONTH, limit=9, mode=VolumeMode.SOFT),
    )
    rules = AccessRules(version=3, access_rules=(rule(),), permissions=(permission(volumes=volumes),))
    assert explained(record("CBI00202"), rules).failed == (
        "the permission KSZ-1 has 5 requests per day",
        "the permission KSZ-1 has 2 requests per hour of insertInscription",
    )
    assert explained(record("MSG00006"), rules).failed == ("the permission KSZ-1 refuses replaced numbers",)


def test_sec_60_rules_of_another_version_are_said_to_be_that() -> None:
    """What failed by another version of the rules comes with a warning, and so do rules that cannot be had (SEC-60)."""
    refused = record("SOA-01002", value="FAULT", reason="customer-not-bound", customer="17/2")
    later = AccessRules(
        version=4,
        access_rules=RULES.access_rules,
        permissions=(*RULES.permissions, permission(reference="KSZ-2", customer_identification=CUSTOMERS[1])),
    )
    changed = explained(refused, later)
    assert changed.failed == ()
    assert [warning.split(":")[0].split(";")[0] for warning in changed.warnings] == [
        "Decided by version 3 of the rules",
        "The rules that can be had would grant it.",
    ]
    assert explained(refused, None).warnings == (
        "The rules of version 3 cannot be had now: no condition could be looked at.",
    )


def test_a_defect_and_what_has_no_code_are_explained_too() -> None:
    """A defect is explained as SOA-00001; a health check and a reply that was never sent have no code."""
    assert explained(record(None, value="FAULT", reason="defect")).code is OutcomeCode.SERVICE_ERROR
    assert explained(record(None, value="OK")).text == "The service found itself in order."
    assert "told nothing" in explained(record(None, value="UNANSWERED")).text
    assert explained(record("CBI99999")).warnings == ("The code CBI99999 is none of this version.",)


def test_no_rules_at_all_is_said() -> None:
    """Where there is no access rule, that is what failed."""
    empty = AccessRules(version=3, access_rules=(), permissions=())
    refused = record("SOA-01002", value="FAULT", reason="no-access-rule")
    assert explained(refused, empty).failed == ("there is no access rule at all",)


days = st.sampled_from((date(2026, 2, 1), DAY))
rules_of_some = st.builds(
    lambda urn, cbe, environment, operations, day: rule(
        application_urn=urn, cbe_number=cbe, environment=environment, operations=operations, valid_from=day
    ),
    st.sampled_from(URNS),
    st.sampled_from(CBE_NUMBERS),
    st.sampled_from(("LOCAL", "PRD")),
    st.sampled_from((OPERATIONS, OPERATIONS[:1])),
    days,
)
permissions_of_some = st.builds(
    lambda customer, cbe, urns, legal, operations, day: permission(
        customer_identification=customer,
        cbe_number=cbe,
        application_urns=urns,
        legal_contexts=frozenset(legal),
        operations=operations,
        valid_from=day,
    ),
    st.sampled_from(CUSTOMERS),
    st.sampled_from(CBE_NUMBERS),
    st.sampled_from((URNS, URNS[:1])),
    st.sampled_from((LEGAL_CONTEXTS, LEGAL_CONTEXTS[:1])),
    st.sampled_from((OPERATIONS, OPERATIONS[:1])),
    days,
)


@given(
    rules=st.builds(
        lambda some, others: AccessRules(version=3, access_rules=tuple(some), permissions=tuple(others)),
        st.lists(rules_of_some, max_size=2),
        st.lists(permissions_of_some, max_size=2),
    ),
    legal_context=st.sampled_from(LEGAL_CONTEXTS),
    day=st.sampled_from((date(2026, 2, 28), DAY)),
)
def test_sec_60_the_explanation_agrees_with_the_decision(
    rules: AccessRules, legal_context: LegalContext, day: date
) -> None:
    """A rule without an unmet condition is there exactly when the call is admitted by the rules (SEC-56 to SEC-60)."""
    caller = Caller(application_urn=URNS[0], cbe_number=CBE_NUMBERS[0], environment="LOCAL", certificate_fingerprint="")
    asked = asked_of(record("MSG00000", legal_context=legal_context, timestamp_receive=f"{day}T10:00:00.000Z"))
    assert asked is not None
    admitted = any(not judged.unmet for judged in judge_access_rules(rules, asked))
    assert admitted == rules.admits(caller, Operation.INSERT_INSCRIPTION, today=day)
    if admitted:
        try:
            granted = rules.permission_for(
                caller,
                Operation.INSERT_INSCRIPTION,
                CUSTOMERS[0],
                legal_context,
                today=day,
                inscription_contexts=(CONTEXT,),
            )
        except NotAuthorized:
            granted = None
        assert any(not judged.unmet for judged in judge_permissions(rules, asked)) == (granted is not None)
