"""What the use cases do before and around the repertory: rules 28, 48, 54; SEC-56 to SEC-59; contract.md section 4."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.errors import NotAuthorized, RepertoryUnavailable, TemporarilyUnavailable
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    HealthCheck,
    HealthCheckType,
    InscriptionRequest,
    InsertInscription,
    Operation,
    UpdateInscription,
    WriteRequest,
    operation_of,
)
from cbss_inscription.domain.results import (
    ConsultResult,
    Health,
    InscriptionResult,
    SanityCheck,
    Status,
    StatusValue,
    WriteResult,
)
from cbss_inscription.governance.access import AccessRule, AccessRules, Permission
from cbss_inscription.repertory.port import Admitted
from cbss_inscription.usecases.authorization import admit
from cbss_inscription.usecases.change_inscription import delete_inscription, insert_inscription, update_inscription
from cbss_inscription.usecases.consult_inscriptions import consult_inscriptions
from cbss_inscription.usecases.health_check import health_check

CUSTOMER = CustomerIdentification(sector=17, institution=1)
GROUND = LegalContext("PCSA:SOCIAL_INQUIRY")
LIVING_WAGE, DEBT_MEDIATION = InscriptionContext("PCSA:LIVING_WAGE"), InscriptionContext("PCSA:DEBT_MEDIATION")
SSIN = "85073003328"
CALLER = Caller(
    application_urn="urn:app:one",
    cbe_number="0200000012",
    environment="Acceptation",
    certificate_fingerprint="00" * 32,
)
EXCHANGE = Exchange(
    ticket_cbss=UUID("1b1b6828-71a6-49b6-a543-7edc975d54c3"),
    timestamp_receive=datetime(2024, 3, 31, 23, 59, 59, tzinfo=UTC),
    caller=CALLER,
)
PERMISSION = Permission(
    reference="KSZ-1",
    customer_identification=CUSTOMER,
    cbe_number=CALLER.cbe_number,
    application_urns=(CALLER.application_urn,),
    legal_contexts=frozenset({GROUND}),
    inscription_contexts=frozenset({LIVING_WAGE}),
    operations=tuple(Operation),
    valid_from=date(2024, 3, 1),
    valid_until=date(2024, 3, 31),
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
            valid_from=date(2024, 3, 1),
            valid_until=date(2024, 3, 31),
        ),
    ),
    permissions=(PERMISSION,),
)
NO_RULES = AccessRules(version=1, access_rules=(), permissions=())
HEAD: dict[str, Any] = {
    "information_customer": InformationCustomer(customer_identification=CUSTOMER),
    "legal_context": GROUND,
    "ssin": SSIN,
}
PERIOD = GivenPeriod(begin_date=date(2024, 1, 1))
DECLARATIONS: list[WriteRequest] = [
    InsertInscription(**HEAD, inscription_context=LIVING_WAGE, period=PERIOD),
    UpdateInscription(**HEAD, inscription_context=LIVING_WAGE, period=PERIOD, new_period=PERIOD),
    DeleteInscription(**HEAD, inscription_context=LIVING_WAGE),
]
REQUESTS: list[InscriptionRequest] = [ConsultInscriptions(**HEAD), *DECLARATIONS]
every_request = pytest.mark.parametrize("request_value", REQUESTS, ids=operation_of)


class FakeRepertory:
    """A `Repertory` that answers every question alike, or is away, and remembers what reached it."""

    def __init__(self, *, away: Exception | None = None, health: Health = Health.OK) -> None:
        self.away = away
        self.health = health
        self.asked: list[tuple[str, Admitted[Any]]] = []
        self.looked = 0

    def _answer(self, method: str, asked: Admitted[Any]) -> None:
        self.asked.append((method, asked))
        if self.away is not None:
            raise self.away

    async def consult(self, asked: Admitted[ConsultInscriptions]) -> ConsultResult:
        self._answer("consultInscriptions", asked)
        return ConsultResult(status=Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS))

    async def insert(self, asked: Admitted[InsertInscription]) -> WriteResult:
        self._answer("insertInscription", asked)
        return WriteResult(status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS))

    async def update(self, asked: Admitted[UpdateInscription]) -> WriteResult:
        self._answer("updateInscription", asked)
        return WriteResult(status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS))

    async def delete(self, asked: Admitted[DeleteInscription]) -> WriteResult:
        self._answer("deleteInscription", asked)
        return WriteResult(status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS))

    async def look(self) -> SanityCheck:
        self.looked += 1
        return SanityCheck(name="repertory", health=self.health, milliseconds=3)


async def ask(
    request: InscriptionRequest, repertory: FakeRepertory, *, rules: AccessRules = RULES, exchange: Exchange = EXCHANGE
) -> InscriptionResult:
    match request:
        case ConsultInscriptions():
            return await consult_inscriptions(request, exchange, rules=rules, repertory=repertory)
        case InsertInscription():
            return await insert_inscription(request, exchange, rules=rules, repertory=repertory)
        case UpdateInscription():
            return await update_inscription(request, exchange, rules=rules, repertory=repertory)
        case DeleteInscription():
            return await delete_inscription(request, exchange, rules=rules, repertory=repertory)


def refused(request: InscriptionRequest) -> StatusValue:
    return StatusValue.NO_RESULT if isinstance(request, ConsultInscriptions) else StatusValue.NOK


@every_request
async def test_an_admitted_request_reaches_the_repertory_once(request_value: InscriptionRequest) -> None:
    """What is admitted reaches the method of its operation, with permission, number and exchange (rule 48)."""
    repertory = FakeRepertory()
    result = await ask(request_value, repertory)
    [(method, asked)] = repertory.asked
    assert method == operation_of(request_value)
    assert asked.request is request_value
    assert asked.permission is PERMISSION
    assert asked.ssin.digits == SSIN
    assert asked.exchange is EXCHANGE
    assert asked.customer == CUSTOMER
    assert result.status.code is OutcomeCode.SUCCESS


@every_request
@pytest.mark.parametrize("denied", ["rule", "operation", "day", "customer"])
async def test_sec_56_what_no_document_names_is_not_authorized(request_value: InscriptionRequest, denied: str) -> None:
    """Without rule, operation, validity or customer it is SOA-01002, before the repertory (E14; SEC-56, 58)."""
    rules, exchange = RULES, EXCHANGE
    match denied:
        case "rule":
            rules = NO_RULES
        case "operation":
            rules = AccessRules(version=1, access_rules=RULES.access_rules, permissions=())
        case "day":
            exchange = replace(EXCHANGE, timestamp_receive=datetime(2024, 4, 1, tzinfo=UTC))
        case "customer":
            other = InformationCustomer(customer_identification=CustomerIdentification(sector=17, institution=2))
            request_value = replace(request_value, information_customer=other)
    repertory = FakeRepertory()
    with pytest.raises(NotAuthorized):
        await ask(request_value, repertory, rules=rules, exchange=exchange)
    assert repertory.asked == []


@every_request
async def test_sec_59_an_ungranted_legal_context_is_msg00013(request_value: InscriptionRequest) -> None:
    """A legal context outside the caller's permissions is MSG00013, before the repertory is asked (SEC-59; E13)."""
    repertory = FakeRepertory()
    result = await ask(replace(request_value, legal_context=LegalContext("PCSA:HEATING")), repertory)
    assert (result.status.value, result.status.code) == (refused(request_value), "MSG00013")
    assert result.ssin is None
    assert repertory.asked == []


@every_request
@pytest.mark.parametrize("ssin", ["85073003329", "85073003300", "85133000105", "00000000000"])
async def test_rule_2_a_number_with_wrong_check_digits_is_msg00011(
    request_value: InscriptionRequest, ssin: str
) -> None:
    """A number without structure or check digits is MSG00011, naming the field ssin, before the repertory (E2)."""
    repertory = FakeRepertory()
    result = await ask(replace(request_value, ssin=ssin), repertory)
    assert (result.status.value, result.status.code) == (refused(request_value), "MSG00011")
    assert [(item.field_name, item.field_value) for item in result.status.information] == [("ssin", ssin)]
    assert repertory.asked == []


@every_request
async def test_the_order_is_access_rule_customer_legal_context_number(request_value: InscriptionRequest) -> None:
    """Of several reasons to refuse, the first of contract.md section 4 is told."""
    wrong_number = replace(request_value, ssin="85073003329")
    wrong_ground_too = replace(wrong_number, legal_context=LegalContext("PCSA:HEATING"))
    wrong_customer_too = replace(
        wrong_ground_too,
        information_customer=InformationCustomer(customer_identification=CustomerIdentification(cbe_number="1" * 10)),
    )
    repertory = FakeRepertory()
    assert (await ask(wrong_number, repertory)).status.code == "MSG00011"
    assert (await ask(wrong_ground_too, repertory)).status.code == "MSG00013"
    with pytest.raises(NotAuthorized, match="customer-not-bound"):
        await ask(wrong_customer_too, repertory)
    with pytest.raises(NotAuthorized, match="no-access-rule"):
        await ask(wrong_customer_too, repertory, rules=NO_RULES)


@every_request
async def test_rule_54_a_source_that_does_not_answer_is_cbi00901(request_value: InscriptionRequest) -> None:
    """When the repertory or a source is away the answer is CBI00901, never "non-existent" (rule 54; E19)."""
    result = await ask(request_value, FakeRepertory(away=RepertoryUnavailable("source")))
    assert (result.status.value, result.status.code) == (refused(request_value), "CBI00901")
    assert result.inscriptions == ()


@every_request
@pytest.mark.parametrize("error", [TemporarilyUnavailable("database"), ZeroDivisionError()])
async def test_a_store_that_is_away_and_a_bug_are_left_to_the_door(
    request_value: InscriptionRequest, error: Exception
) -> None:
    """What is no answer of the repertory goes on to the door as it is: a fault, never an outcome."""
    with pytest.raises(type(error)):
        await ask(request_value, FakeRepertory(away=error))


@pytest.mark.parametrize("context", [LIVING_WAGE, DEBT_MEDIATION])
@pytest.mark.parametrize("request_value", DECLARATIONS, ids=operation_of)
def test_rule_28_the_permission_that_grants_the_context_is_used(
    request_value: WriteRequest, context: InscriptionContext
) -> None:
    """Of two permissions of one customer and legal context, the one that grants the context admits (rule 28)."""
    second = Permission(
        reference="KSZ-2",
        customer_identification=CUSTOMER,
        cbe_number=CALLER.cbe_number,
        application_urns=(CALLER.application_urn,),
        legal_contexts=frozenset({GROUND}),
        inscription_contexts=frozenset({DEBT_MEDIATION}),
        operations=tuple(Operation),
        valid_from=date(2024, 3, 1),
    )
    rules = AccessRules(version=1, access_rules=RULES.access_rules, permissions=(PERMISSION, second))
    asked = admit(replace(request_value, inscription_context=context), EXCHANGE, rules)
    assert isinstance(asked, Admitted)
    assert context in asked.permission.inscription_contexts
    consulted = admit(ConsultInscriptions(**HEAD, inscription_contexts=(context,)), EXCHANGE, rules)
    assert isinstance(consulted, Admitted)
    assert context in consulted.permission.inscription_contexts


def test_sec_74_an_admitted_request_does_not_show_its_number() -> None:
    """The repr of an admitted request has no SSIN (SEC-74)."""
    for request in REQUESTS:
        asked = admit(request, EXCHANGE, RULES)
        assert isinstance(asked, Admitted)
        assert SSIN not in repr(asked)


@pytest.mark.parametrize("kind", HealthCheckType)
@pytest.mark.parametrize("health", Health)
async def test_a_health_check_looks_as_deep_as_asked(kind: HealthCheckType, health: Health) -> None:
    """PING is answered by the door alone, DEFAULT is as well as its own parts, DEEP asks others (contract.md 1)."""
    own, other = FakeRepertory(health=health), FakeRepertory()
    result = await health_check(
        HealthCheck(type=kind),
        EXCHANGE,
        rules=RULES,
        own=[own],
        others=[other],
        component="CBSSInscription",
        location="here",
    )
    looks, looks_deep = kind is not HealthCheckType.PING, kind is HealthCheckType.DEEP
    assert (own.looked, other.looked, len(result.checks)) == (looks, looks_deep, looks + looks_deep)
    assert result.health is (health if looks else Health.OK)
    assert (result.component, result.location) == ("CBSSInscription", "here")


@pytest.mark.parametrize("health", Health)
async def test_decision_32_others_that_are_away_degrade_a_service(health: Health) -> None:
    """What belongs to others makes the whole no worse than degraded; its own check says how it is (decision 32)."""
    result = await health_check(
        HealthCheck(type=HealthCheckType.DEEP),
        EXCHANGE,
        rules=RULES,
        own=[FakeRepertory()],
        others=[FakeRepertory(health=health)],
        component="x",
        location="here",
    )
    assert result.health is (Health.OK if health is Health.OK else Health.DEGRADED)
    assert [check.health for check in result.checks] == [Health.OK, health]


async def test_sec_56_a_health_check_needs_an_access_rule() -> None:
    """A caller without an access rule for healthCheck learns nothing (SEC-56)."""
    repertory = FakeRepertory()
    with pytest.raises(NotAuthorized, match="no-access-rule"):
        await health_check(HealthCheck(), EXCHANGE, rules=NO_RULES, own=[repertory], component="x", location="here")
    assert repertory.looked == 0
