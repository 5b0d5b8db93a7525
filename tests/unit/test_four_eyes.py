"""One proposes, another decides, and the record proves it: governance.four_eyes (SEC-57)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance import four_eyes
from cbss_inscription.governance.access import AccessRule, Permission, Visibility
from cbss_inscription.governance.entries import Entry, EntryKey, EntryKind, GovernedState, Operator
from cbss_inscription.governance.four_eyes import (
    Founder,
    RecordedDecision,
    RecordedProposal,
    RefusalReason,
    Refused,
    Verdict,
    changes_to,
    decide,
    discrepancies,
    found,
    propose,
    replay,
)
from cbss_inscription.governance.signatures import OperatorKey, Signed, canonical, digest_of, is_signed_by
from cbss_inscription.governance.tenants import Application, Tenant

NOW = datetime(2026, 11, 27, 9, 30, 0, 123000, tzinfo=UTC)
KEYS = {name: OperatorKey.generate() for name in ("an", "ben", "cleo", "north-1", "north-2", "south-1", "stranger")}
CONTEXT = InscriptionContext("NORTH:MEMBER")
NORTH = Tenant(
    name="north",
    customers=(CustomerIdentification(cbe_number="9000000191"),),
    applications=(Application(application_urn="north:web", cbe_number="9000000191"),),
    inscription_contexts=frozenset({CONTEXT}),
)
SOUTH = Tenant(
    name="south",
    customers=(CustomerIdentification(cbe_number="9000000290"),),
    applications=(Application(application_urn="south:web", cbe_number="9000000290"),),
    inscription_contexts=frozenset({CONTEXT}),
)


def rule_of(tenant: Tenant, **changes: Any) -> AccessRule:
    application = tenant.applications[0]
    values: dict[str, Any] = {
        "dossier": f"UD-{tenant.name}",
        "application_urn": application.application_urn,
        "cbe_number": application.cbe_number,
        "environment": "LOCAL",
        "operations": (Operation.CONSULT_INSCRIPTIONS,),
        "valid_from": date(2026, 1, 1),
        "tenant": tenant.name,
    }
    return AccessRule(**(values | changes))


def permission_of(tenant: Tenant, **changes: Any) -> Permission:
    application = tenant.applications[0]
    values: dict[str, Any] = {
        "reference": f"KSZ-{tenant.name}",
        "customer_identification": tenant.customers[0],
        "cbe_number": application.cbe_number,
        "application_urns": (application.application_urn,),
        "legal_contexts": frozenset({LegalContext("LAW:ONE")}),
        "inscription_contexts": frozenset({CONTEXT}),
        "operations": (Operation.CONSULT_INSCRIPTIONS,),
        "valid_from": date(2026, 1, 1),
        "tenant": tenant.name,
    }
    return Permission(**(values | changes))


def operator(name: str, tenant: str | None = None) -> Operator:
    return Operator(name=name, public_key=KEYS[name].public_key, tenant=tenant)


@dataclass
class Register:
    """A record in memory, and what operators do to it."""

    record: list[RecordedProposal] = field(default_factory=list)
    minutes: int = 0

    @property
    def state(self) -> GovernedState:
        return replay(self.record)

    def now(self) -> datetime:
        self.minutes += 1
        return NOW + timedelta(minutes=self.minutes)

    def propose(
        self, *put: Entry, by: str = "an", withdraw: Iterable[EntryKey] = (), reason: str = "why"
    ) -> int | Refused:
        changes = changes_to(self.state, put, withdraw)
        if isinstance(changes, Refused):
            return changes
        number = len(self.record) + 1
        made = propose(self.state, changes, number=number, reason=reason, key=KEYS[by], now=self.now())
        if isinstance(made, Refused):
            return made
        self.record.append(made)
        return number

    def decide(self, number: int | Refused, *, by: str = "ben", verdict: Verdict = Verdict.APPROVED) -> Refused | None:
        assert isinstance(number, int), number
        made = decide(self.state, self.record[number - 1], verdict, key=KEYS[by], now=self.now())
        if isinstance(made, Refused):
            return made
        self.record[number - 1] = replace(self.record[number - 1], decision=made)
        return None

    def put(self, *entries: Entry, by: str = "an", approved_by: str = "ben") -> None:
        assert self.decide(self.propose(*entries, by=by), by=approved_by) is None


def begun(*entries: Entry) -> Register:
    """A register that an and ben began with these entries."""
    first, second = Founder(name="an", key=KEYS["an"]), Founder(name="ben", key=KEYS["ben"])
    founded = found(entries, register="r-1", first=first, second=second, reason="begin", now=NOW)
    assert isinstance(founded, RecordedProposal), founded
    return Register([founded])


def with_tenants() -> Register:
    """A register of two tenants, each with an access rule, a permission and operators."""
    return begun(
        NORTH,
        SOUTH,
        *(rule_of(tenant) for tenant in (NORTH, SOUTH)),
        *(permission_of(tenant) for tenant in (NORTH, SOUTH)),
        operator("north-1", "north"),
        operator("north-2", "north"),
        operator("south-1", "south"),
    )


def reason_of(outcome: object) -> RefusalReason:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


FREE = Tenant(name="default", customers=NORTH.customers, applications=NORTH.applications)
RULE = rule_of(FREE)


def changed(entry: AccessRule, remarks: str) -> AccessRule:
    return msgspec.structs.replace(entry, remarks=remarks)


# -- the two pairs of eyes ---------------------------------------------------------------------------------------------


def test_sec_57_an_approval_makes_the_next_version() -> None:
    """What is proposed is not in force; approved by another it is the next version, and the former can be had."""
    register = begun(RULE)
    number = register.propose(changed(RULE, "new"))
    assert register.state.access_rules().access_rules == (RULE,)
    assert register.decide(number) is None
    assert register.state.version == 2
    assert register.state.access_rules().access_rules == (changed(RULE, "new"),)
    former = replay(register.record, until=1)
    assert (former.version, former.access_rules().access_rules) == (1, (RULE,))


@pytest.mark.parametrize("verdict", Verdict)
def test_sec_57_the_proposer_decides_nothing(verdict: Verdict) -> None:
    """Who proposed can neither approve nor reject, whatever their name is then (SEC-57)."""
    register = begun(RULE)
    number = register.propose(changed(RULE, "x"))
    assert reason_of(register.decide(number, by="an", verdict=verdict)) is RefusalReason.SAME_OPERATOR


def test_sec_57_one_key_is_one_operator() -> None:
    """Nobody has two names: the same key under another is refused, at the beginning and later (SEC-57)."""
    an = Founder(name="an", key=KEYS["an"])
    two = found((), register="r", first=an, second=replace(an, name="other"), reason="x", now=NOW)
    assert reason_of(two) is RefusalReason.INVALID
    one = found((), register="r", first=an, second=replace(an, key=KEYS["ben"]), reason="x", now=NOW)
    assert reason_of(one) is RefusalReason.SAME_OPERATOR
    double = Operator(name="double", public_key=KEYS["an"].public_key)
    assert reason_of(begun().propose(double, by="ben")) is RefusalReason.INVALID


def test_sec_57_a_decision_is_made_once() -> None:
    """What was rejected is not approved later, and what was approved not rejected (SEC-57)."""
    register = begun(RULE)
    for verdict in Verdict:
        number = register.propose(changed(RULE, verdict))
        assert register.decide(number, verdict=verdict) is None
        for other in Verdict:
            assert reason_of(register.decide(number, verdict=other)) is RefusalReason.DECIDED


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda register: register.put(changed(RULE, "meanwhile")),
        lambda register: register.decide(
            register.propose(withdraw=[EntryKey(EntryKind.ACCESS_RULE, RULE.dossier)], by="ben"), by="an"
        ),
    ],
    ids=["changed", "withdrawn"],
)
def test_sec_57_what_changed_since_is_stale(meanwhile: Callable[[Register], object]) -> None:
    """An entry that changed between proposal and decision refuses the approval; others that changed do not (SEC-57)."""
    register = begun(RULE)
    number = register.propose(changed(RULE, "mine"))
    register.put(operator("cleo"))
    meanwhile(register)
    assert register.state.version == 3
    assert reason_of(register.decide(number)) is RefusalReason.STALE


def test_sec_57_a_new_entry_is_stale_when_another_made_it() -> None:
    """Two propose the same new entry: the second approval would overwrite the first, and is refused (SEC-57)."""
    register = begun()
    first, second = register.propose(RULE), register.propose(changed(RULE, "other"), by="ben")
    assert register.decide(first) is None
    assert reason_of(register.decide(second, by="an")) is RefusalReason.STALE


def test_sec_57_a_proposal_needs_its_proposer_at_the_approval() -> None:
    """A proposer who left, or whose key is another now, has proposed nothing (SEC-57)."""
    register = begun(RULE, operator("cleo"))
    waiting = register.propose(changed(RULE, "x"), by="cleo")
    another = msgspec.structs.replace(operator("cleo"), public_key=KEYS["stranger"].public_key)
    register.put(another)
    assert reason_of(register.decide(waiting)) is RefusalReason.PROPOSER


def test_sec_57_somebody_must_be_left_to_govern() -> None:
    """Two operators of the register stay, whoever of the tenants there are (SEC-57)."""
    register = with_tenants()
    out = register.propose(withdraw=[EntryKey(EntryKind.OPERATOR, "an")])
    assert reason_of(out) is RefusalReason.INVALID


def test_sec_57_two_changes_that_only_together_are_wrong_are_noticed_at_the_second_approval() -> None:
    """The whole is checked when it is approved, as it is then: not only as it was when it was proposed (SEC-57)."""
    register = begun(operator("cleo"))
    first = register.propose(withdraw=[EntryKey(EntryKind.OPERATOR, "an")], by="cleo")
    second = register.propose(withdraw=[EntryKey(EntryKind.OPERATOR, "ben")], by="cleo")
    assert register.decide(first, by="ben") is None
    assert reason_of(register.decide(second, by="ben")) is RefusalReason.INVALID


def test_nothing_to_change_is_no_proposal() -> None:
    """What is there already, and the withdrawal of what is not, are refused; of several, what is new is proposed."""
    register = begun(RULE)
    assert reason_of(register.propose(RULE)) is RefusalReason.NO_CHANGE
    assert reason_of(register.propose(withdraw=[EntryKey(EntryKind.TENANT, "x")])) is RefusalReason.NO_CHANGE
    changes = changes_to(register.state, [RULE, operator("cleo")])
    assert [change.name for change in changes if isinstance(changes, tuple)] == ["cleo"]
    key = EntryKey(EntryKind.ACCESS_RULE, RULE.dossier)
    with pytest.raises(ValueError, match="put and withdrawn at once"):
        changes_to(register.state, [changed(RULE, "x")], [key])
    with pytest.raises(ValueError, match="stands there twice"):
        changes_to(register.state, [RULE, RULE])
    for dossier in ("", " x", "x" * 201, "a\nb"):
        with pytest.raises(ValueError, match="1 to 200 printable characters"):
            changes_to(register.state, [msgspec.structs.replace(RULE, dossier=dossier)])


def test_every_limit_holds_before_anything_is_signed() -> None:
    """A reason beyond its length, or more changes than a proposal has, is refused and never recorded."""
    register = begun(RULE)
    for reason in ("", "x" * (four_eyes.REASON_CHARACTERS_MAX + 1)):
        with pytest.raises(ValueError, match="length"):
            register.propose(changed(RULE, "x"), reason=reason)
    many = [msgspec.structs.replace(RULE, dossier=f"D{number}") for number in range(four_eyes.CHANGES_MAX + 1)]
    with pytest.raises(ValueError, match=r"length <= 10000"):
        register.propose(*many)
    assert len(register.record) == 1


# -- whose entries -----------------------------------------------------------------------------------------------------

NORTHS = permission_of(NORTH, remarks="changed")
SOUTHS = permission_of(SOUTH, remarks="changed")
MOVED = permission_of(SOUTH, reference="KSZ-north")


@pytest.mark.parametrize(
    ("entry", "by", "refused"),
    [
        (NORTHS, "north-1", False),
        (SOUTHS, "north-1", True),
        (MOVED, "north-1", True),
        (MOVED, "south-1", True),
        (msgspec.structs.replace(NORTH, remarks="mine"), "north-1", True),
        (msgspec.structs.replace(SOUTH, remarks="yours"), "north-1", True),
        (operator("cleo", "north"), "north-1", False),
        (operator("cleo", "south"), "north-1", True),
        (operator("cleo"), "north-1", True),
        (Operator(name="north-1", public_key=KEYS["north-1"].public_key), "north-1", True),
        (NORTHS, "an", False),
        (SOUTHS, "an", False),
        (msgspec.structs.replace(NORTH, remarks="ours"), "an", False),
    ],
    ids=[
        "its own permission",
        "another's permission",
        "a permission moved away",
        "a permission moved in",
        "itself",
        "another tenant",
        "its own operator",
        "another's operator",
        "an operator of everything",
        "itself as an operator of everything",
        "one's permission by the register's operator",
        "another's permission by the register's operator",
        "a tenant by the register's operator",
    ],  # the keys in them are new in each process
)
def test_sec_57_operators_of_a_tenant_have_a_say_over_its_entries_alone(
    entry: Entry, by: str, *, refused: bool
) -> None:
    """Not over another tenant's, nor over what a tenant is, nor over who governs the register (SEC-57)."""
    register = with_tenants()
    outcome = register.propose(entry, by=by)
    if refused:
        assert reason_of(outcome) is RefusalReason.OTHER_TENANT
    else:
        assert isinstance(outcome, int)


@pytest.mark.parametrize("verdict", Verdict)
def test_sec_57_an_operator_of_another_tenant_decides_nothing(verdict: Verdict) -> None:
    """South's operator can neither approve nor reject what north's proposed; north's other and the register's can."""
    for decider, refused in (("south-1", True), ("north-2", False), ("an", False)):
        register = with_tenants()
        outcome = register.decide(register.propose(NORTHS, by="north-1"), by=decider, verdict=verdict)
        assert (outcome is not None) == refused
        if refused:
            assert reason_of(outcome) is RefusalReason.OTHER_TENANT


def test_sec_57_withdrawals_of_others_are_refused() -> None:
    """Nor can a tenant's operator withdraw what is another's (SEC-57)."""
    register = with_tenants()
    theirs = [EntryKey(EntryKind.PERMISSION, "KSZ-south"), EntryKey(EntryKind.OPERATOR, "south-1")]
    for key in (*theirs, EntryKey(EntryKind.OPERATOR, "an"), EntryKey(EntryKind.TENANT, "north")):
        assert reason_of(register.propose(withdraw=[key], by="north-1")) is RefusalReason.OTHER_TENANT


@pytest.mark.parametrize(
    "entry",
    [
        permission_of(NORTH, customer_identification=SOUTH.customers[0]),
        permission_of(NORTH, application_urns=("south:web",)),
        permission_of(NORTH, cbe_number="9000000290"),
        permission_of(NORTH, inscription_contexts=frozenset({InscriptionContext("SOUTH:OTHER")})),
        permission_of(
            NORTH,
            visibility=Visibility(inscription_contexts=frozenset({CONTEXT}), organizations=SOUTH.customers),
        ),
        permission_of(NORTH, visibility=Visibility(inscription_contexts=frozenset({InscriptionContext("X:Y")}))),
        rule_of(NORTH, application_urn="south:web", cbe_number="9000000290"),
    ],
    ids=range(7),
)
def test_sec_57_nobody_reaches_into_another_tenant(entry: Entry) -> None:
    """An entry that names another tenant's customer, application, context or organisation is refused, whoever asks."""
    for by in ("north-1", "an"):
        outcome = with_tenants().propose(entry, by=by)
        assert reason_of(outcome) is RefusalReason.INVALID


def test_sec_57_a_tenant_takes_nothing_from_another() -> None:
    """The same customer or application in two tenants is refused; the same context is each one's own (rule 28)."""
    register = with_tenants()
    for name in ("customers", "applications"):
        greedy = msgspec.structs.replace(SOUTH, **{name: (*getattr(SOUTH, name), *getattr(NORTH, name))})
        assert reason_of(register.propose(greedy)) is RefusalReason.INVALID
    assert NORTH.inscription_contexts == SOUTH.inscription_contexts


# -- the record --------------------------------------------------------------------------------------------------------


def story() -> Register:
    """A record with three versions, a rejection and a proposal that waits."""
    register = begun(RULE)
    register.put(operator("cleo"))
    rejected = register.propose(changed(RULE, "no"), by="cleo")
    assert register.decide(rejected, by="an", verdict=Verdict.REJECTED) is None
    register.put(changed(RULE, "yes"), by="cleo", approved_by="an")
    register.propose(changed(RULE, "later"), by="cleo")
    return register


def test_a_whole_record_has_no_discrepancy() -> None:
    """Approvals, rejections and what waits, all as they were written."""
    record = story().record
    assert discrepancies(record) == ()
    assert discrepancies(record, anchor=replay(record, until=1).digest) == ()


def signed_again(record: Sequence[RecordedProposal], name: str) -> list[RecordedProposal]:
    """The record, everything signed by one key alone."""
    return [
        replace(
            row,
            signature=KEYS[name].sign(Signed.PROPOSAL, row.text),
            decision=row.decision
            and replace(row.decision, signature=KEYS[name].sign(Signed.DECISION, row.decision.text)),
        )
        for row in record
    ]


def with_row(record: Sequence[RecordedProposal], index: int, **changes: Any) -> list[RecordedProposal]:
    rows = list(record)
    rows[index] = replace(rows[index], **changes)
    return rows


def with_decision(record: Sequence[RecordedProposal], index: int, **changes: Any) -> list[RecordedProposal]:
    decision = record[index].decision
    assert decision is not None
    return with_row(record, index, decision=replace(decision, **changes))


def rewritten(text: bytes, **changes: Any) -> bytes:
    return canonical(json.loads(text) | changes)


RECORD = story().record
TAMPERED: dict[str, list[RecordedProposal]] = {
    "first version gone": RECORD[1:],
    "a version in the middle gone": [row for row in RECORD if row.number != 2],
    "a rejected proposal gone": [row for row in RECORD if row.number != 3],
    "a decision on another number": with_row(RECORD, 2, decision=RECORD[3].decision),
    "the reason changed": with_row(RECORD, 1, text=rewritten(RECORD[1].text, reason="other")),
    "the reason changed and signed by a stranger": with_row(
        RECORD,
        1,
        text=rewritten(RECORD[1].text, reason="other"),
        signature=KEYS["stranger"].sign(Signed.PROPOSAL, rewritten(RECORD[1].text, reason="other")),
    ),
    "another proposer in the column": with_row(RECORD, 1, proposed_by="ben"),
    "another number in the column": with_row(RECORD, 4, number=6),
    "another version in the column": with_decision(RECORD, 1, version=3),
    "a rejection made an approval": with_decision(RECORD, 2, version=4),
    "another decider in the column": with_decision(RECORD, 1, decided_by="cleo"),
    "a signature of zeros": with_decision(RECORD, 3, signature=bytes(64)),
    "the signature of another text": with_decision(RECORD, 3, signature=RECORD[1].signature),
    "a rejection's signature": with_decision(RECORD, 2, signature=bytes(64)),
    "a waiting proposal's signature": with_row(RECORD, 4, signature=bytes(64)),
    "a waiting proposal's text": with_row(RECORD, 4, text=rewritten(RECORD[4].text, reason="other")),
    "blanks in a text": with_row(RECORD, 1, text=RECORD[1].text.replace(b":", b": ", 1)),
    "no text": with_row(RECORD, 1, text=b""),
    "everything signed by one": signed_again(RECORD, "an"),
}


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED)
def test_sec_57_a_changed_record_is_noticed(tampered: list[RecordedProposal]) -> None:
    """Whatever of it is changed, removed, swapped or signed by another, `discrepancies` says so (SEC-57)."""
    found_wrong = discrepancies(tampered)
    assert found_wrong
    assert all(sentence.startswith("the record of the register is broken: ") for sentence in found_wrong)


UNTOUCHED = {
    "a rejected proposal gone",
    "a rejection's signature",
    "a waiting proposal's signature",
    "a waiting proposal's text",
    "another number in the column",
}


@pytest.mark.parametrize("name", sorted(set(TAMPERED) - UNTOUCHED - {"a decision on another number"}))
def test_sec_57_a_changed_approval_is_never_in_force(name: str) -> None:
    """What touches an approval stops the replay: the worker that reads it keeps what it has (SEC-57)."""
    with pytest.raises(UsageError):
        replay(TAMPERED[name])


def test_sec_57_the_rest_of_another_register_is_noticed_at_its_first_version() -> None:
    """Approvals of another record, by the same operators and with the same changes, do not follow (SEC-57)."""
    other = begun(RULE)
    founded = found(
        [RULE],
        register="r-2",
        first=Founder(name="an", key=KEYS["an"]),
        second=Founder(name="ben", key=KEYS["ben"]),
        reason="begin",
        now=NOW,
    )
    assert isinstance(founded, RecordedProposal)
    foreign = Register([founded])
    foreign.put(changed(RULE, "foreign"))
    with pytest.raises(UsageError, match="for another register"):
        replay([*other.record, foreign.record[1]])


def test_sec_57_the_anchor_is_that_of_the_first_version() -> None:
    """A record that begins otherwise, though whole in itself, is refused; the true one is not (SEC-57)."""
    register = story()
    anchor = register.state.digests[0]
    assert replay(register.record, anchor=anchor).version == 3
    for others, reason in ((("stranger", "cleo"), "begin"), (("an", "ben"), "otherwise")):
        first, second = (Founder(name=name, key=KEYS[key]) for name, key in zip(("an", "ben"), others, strict=True))
        forged = found([RULE], register="r-1", first=first, second=second, reason=reason, now=NOW)
        assert isinstance(forged, RecordedProposal)
        assert replay([forged]).version == 1
        with pytest.raises(UsageError, match="the anchor in the settings"):
            replay([forged], anchor=anchor)


def write_past(
    register: Register,
    changes: Any,
    /,
    *,
    proposer: str,
    decider: str,
    signed_by: tuple[str, str] | None = None,
    verdict: Verdict = Verdict.APPROVED,
    **said: Any,
) -> None:
    """Nothing; the record has a proposal with its decision that nobody checked: what who has the keys could write.

    `signed_by` are the keys that sign instead; `said` is what the decision says otherwise, or `register` both.
    """
    state = register.state
    number = len(register.record) + 1
    proposal = four_eyes.Proposal(
        register=said.get("register", state.register),
        number=number,
        proposed_by=proposer,
        proposed_at=NOW,
        reason="forged",
        changes=changes,
    )
    text = canonical(proposal)
    values: dict[str, Any] = {
        "register": state.register,
        "proposal": number,
        "proposal_digest": digest_of(Signed.PROPOSAL, text),
        "verdict": verdict,
        "decided_by": decider,
        "decided_at": NOW,
        "in_force": state.version,
        "in_force_digest": state.digest,
    }
    decision = four_eyes.Decision(**(values | said))
    decided = canonical(decision)
    proposing, deciding = signed_by or (proposer, decider)
    register.record.append(
        RecordedProposal(
            number=number,
            proposed_by=proposer,
            text=text,
            signature=KEYS[proposing].sign(Signed.PROPOSAL, text),
            decision=RecordedDecision(
                decided_by=decider,
                version=decision.version,
                text=decided,
                signature=KEYS[deciding].sign(Signed.DECISION, decided),
            ),
        )
    )


@pytest.mark.parametrize(
    ("entry", "proposer", "decider", "sentence"),
    [
        (NORTHS, "an", "an", "who proposed it approved it"),
        (NORTHS, "stranger", "an", "its proposal is not signed by an operator"),
        (NORTHS, "an", "stranger", "its approval is not signed by an operator"),
        (NORTHS, "south-1", "an", "no say over this entry"),
        (NORTHS, "an", "south-1", "no say over this entry"),
        (permission_of(NORTH, customer_identification=SOUTH.customers[0]), "an", "ben", "not of the tenant north"),
        (Operator(name="double", public_key=KEYS["an"].public_key), "an", "ben", "have the same key"),
    ],
    ids=range(7),
)
def test_sec_57_what_would_not_be_approved_is_not_replayed(
    entry: Entry, proposer: str, decider: str, sentence: str
) -> None:
    """Rights, four eyes and tenants are checked again in what was written past the program (SEC-57)."""
    register = with_tenants()
    changes = changes_to(register.state, [entry])
    write_past(register, changes, proposer=proposer, decider=decider)
    with pytest.raises(UsageError, match=sentence):
        _ = register.state


def test_sec_57_a_stale_change_is_not_replayed() -> None:
    """Nor is a change of an entry that was another then (SEC-57)."""
    register = begun(RULE)
    changes = changes_to(register.state, [changed(RULE, "x")])
    register.put(changed(RULE, "between"))
    write_past(register, changes, proposer="an", decider="ben")
    with pytest.raises(UsageError, match="has changed since"):
        _ = register.state


@pytest.mark.parametrize(
    "put",
    [
        {"dossier": "OTHER"},
        {"valid_from": "soon"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_sec_57_content_that_is_no_entry_is_not_replayed(put: dict[str, Any]) -> None:
    """An entry that cannot be read, or is put under another's name, stops the replay in one sentence (SEC-57)."""
    register = begun(RULE)
    (change,) = changes_to(register.state, [changed(RULE, "x")])  # type: ignore[misc]
    assert change.put is not None
    wrong = msgspec.structs.replace(change, put=change.put | put)
    write_past(register, (wrong,), proposer="an", decider="ben")
    with pytest.raises(UsageError, match="version 2"):
        _ = register.state


@settings(max_examples=settings.default.max_examples * 3 // 4, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([None, "1", "2"]), st.booleans()), max_size=8
    )
)
def test_sec_57_every_version_can_be_had_again(steps: list[tuple[str, str | None, bool]]) -> None:
    """Whatever is put, withdrawn, approved and rejected: each version is as it was when it was made (SEC-57)."""
    register = begun()
    seen = {1: register.state.access_rules()}
    for name, remarks, approve in steps:
        entry = msgspec.structs.replace(RULE, dossier=name, remarks=remarks)
        if remarks is None:
            number = register.propose(withdraw=[EntryKey(EntryKind.ACCESS_RULE, name)])
        else:
            number = register.propose(entry)
        if isinstance(number, Refused):
            assert number.reason is RefusalReason.NO_CHANGE
            continue
        assert register.decide(number, verdict=Verdict.APPROVED if approve else Verdict.REJECTED) is None
        seen[register.state.version] = register.state.access_rules()
    assert len(seen) == register.state.version
    for version, rules in seen.items():
        assert replay(register.record, until=version).access_rules() == rules
    assert discrepancies(register.record) == ()


def change_of(register: Register) -> tuple[four_eyes.Change, ...]:
    changes = changes_to(register.state, [changed(RULE, "forged")])
    assert isinstance(changes, tuple)
    return changes


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        # One operator alone, who writes in another's name what only that one's key could sign.
        ({"proposer": "an", "decider": "ben", "signed_by": ("ben", "ben")}, "its proposal is not signed"),
        ({"proposer": "an", "decider": "ben", "signed_by": ("an", "an")}, "its approval is not signed"),
        ({"proposer": "an", "decider": "ben", "in_force_digest": "0" * 64}, "does not follow the one before"),
        ({"proposer": "an", "decider": "ben", "proposal_digest": "0" * 64}, "what was approved is another text"),
        ({"proposer": "an", "decider": "ben", "register": "other"}, "signed for another register"),
        ({"proposer": "an", "decider": "ben", "in_force": 2}, "version 2 is missing"),
    ],
    ids=range(6),
)
def test_sec_57_each_check_of_the_replay_counts(said: dict[str, Any], sentence: str) -> None:
    """A forged approval is refused by what is wrong with it, though all else is right (SEC-57)."""
    register = begun(RULE)
    write_past(register, change_of(register), **said)
    with pytest.raises(UsageError, match=sentence):
        _ = register.state


def test_sec_57_a_proposer_cannot_change_what_was_approved() -> None:
    """Signed anew by its own proposer, after the approval, a proposal is not what was approved (SEC-57)."""
    register = begun(RULE)
    register.put(changed(RULE, "harmless"))
    text = register.record[1].text.replace(b"harmless", b"harmful!")
    record = with_row(register.record, 1, text=text, signature=KEYS["an"].sign(Signed.PROPOSAL, text))
    with pytest.raises(UsageError, match="what was approved is another text"):
        replay(record)


def test_sec_57_a_text_is_read_in_one_form_alone() -> None:
    """Blanks, other orders and unknown words are refused though they are signed: digests would be ambiguous."""
    register = begun(RULE)
    register.propose(changed(RULE, "x"))
    for other in (b" " + register.record[1].text, register.record[1].text.replace(b'"reason"', b'"Reason"')):
        row = replace(register.record[1], text=other, signature=KEYS["an"].sign(Signed.PROPOSAL, other))
        with pytest.raises(UsageError, match=r"cannot be read|canonical form"):
            four_eyes.read_proposal(row)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"proposer": "an", "decider": "an"}, "it is the proposer's own"),
        ({"proposer": "an", "decider": "ben", "signed_by": ("an", "an")}, "its signature is not the decider's"),
        ({"proposer": "an", "decider": "ben", "signed_by": ("ben", "ben")}, "its signature is not the proposer's"),
        ({"proposer": "an", "decider": "ben", "proposal_digest": "0" * 64}, "it is on another text"),
        ({"proposer": "an", "decider": "ben", "register": "other"}, "it is of several registers"),
    ],
    ids=range(5),
)
def test_sec_57_a_forged_rejection_is_found(said: dict[str, Any], sentence: str) -> None:
    """It makes no version, so that the replay does not meet it; `discrepancies` does (SEC-57)."""
    register = begun(RULE)
    write_past(register, change_of(register), verdict=Verdict.REJECTED, **said)
    assert register.state.version == 1
    (found_wrong,) = discrepancies(register.record)
    assert sentence in found_wrong


def test_sec_57_an_operator_belongs_to_a_tenant_that_is_there() -> None:
    """Nobody is an operator of a tenant that is not listed; a tenant with operators is not withdrawn (SEC-57)."""
    assert reason_of(begun().propose(operator("north-1", "north"))) is RefusalReason.INVALID
    register = begun(NORTH, operator("north-1", "north"))
    gone = register.propose(withdraw=[EntryKey(EntryKind.TENANT, "north")])
    assert reason_of(gone) is RefusalReason.INVALID


# -- signatures --------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcXYZ_", max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON)
def test_the_canonical_text_is_rfc_8785s(value: Any) -> None:
    """As Python's own writer has it with sorted keys and no blanks, which is RFC 8785 for such values."""
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value) == expected.encode()


@pytest.mark.parametrize("kind", Signed)
def test_sec_57_a_signature_is_on_one_kind_of_text(kind: Signed) -> None:
    """A signature on a proposal is none on a decision or an export of the same bytes; nor any other key's."""
    key, text = KEYS["an"], b"{}"
    signature = key.sign(kind, text)
    assert [other for other in Signed if is_signed_by(key.public_key, other, text, signature)] == [kind]
    assert not is_signed_by(KEYS["ben"].public_key, kind, text, signature)
    assert not is_signed_by(key.public_key, kind, b"{} ", signature)
    for broken in (b"", signature[:-1], signature + b"\x00"):
        assert not is_signed_by(key.public_key, kind, text, broken)
    for no_key in ("", "x", "A" * 43 + "=", "é" * 44):
        assert not is_signed_by(no_key, kind, text, signature)


def test_sec_78_a_private_key_does_not_show_itself() -> None:
    """Neither in a repr nor in a text of it (SEC-78)."""
    key = OperatorKey.generate()
    assert repr(key) == "OperatorKey()"
    assert OperatorKey.read(key.written()).public_key == key.public_key
