"""Requests and operations: one value an operation, named after it (contract.md section 3)."""

from __future__ import annotations

from datetime import date
from typing import get_args

import pytest

from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.period import GivenPeriod
from cbss_inscription.domain.person_search import PhoneticCriteria, SearchPersonBySsin, SearchPersonPhonetically
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    ConsultMutations,
    DeleteInscription,
    HealthCheck,
    InsertInscription,
    Operation,
    Request,
    UpdateInscription,
    operation_of,
)

CUSTOMER = InformationCustomer(customer_identification=CustomerIdentification(sector=17, institution=1))
LEGAL_CONTEXT = LegalContext("PCSA:SOCIAL_INQUIRY")
CONTEXT = InscriptionContext("PCSA:LIVING_WAGE")
PERIOD = GivenPeriod(begin_date=date(2024, 1, 1))
SSIN = "85073003328"
REQUESTS: dict[Operation, Request] = {
    Operation.CONSULT_INSCRIPTIONS: ConsultInscriptions(
        information_customer=CUSTOMER, legal_context=LEGAL_CONTEXT, ssin=SSIN
    ),
    Operation.INSERT_INSCRIPTION: InsertInscription(
        information_customer=CUSTOMER,
        legal_context=LEGAL_CONTEXT,
        ssin=SSIN,
        inscription_context=CONTEXT,
        period=PERIOD,
    ),
    Operation.UPDATE_INSCRIPTION: UpdateInscription(
        information_customer=CUSTOMER,
        legal_context=LEGAL_CONTEXT,
        ssin=SSIN,
        inscription_context=CONTEXT,
        period=PERIOD,
        new_period=PERIOD,
    ),
    Operation.DELETE_INSCRIPTION: DeleteInscription(
        information_customer=CUSTOMER, legal_context=LEGAL_CONTEXT, ssin=SSIN, inscription_context=CONTEXT
    ),
    Operation.HEALTH_CHECK: HealthCheck(),
    Operation.CONSULT_MUTATIONS: ConsultMutations(information_customer=CUSTOMER, legal_context=LEGAL_CONTEXT),
    Operation.SEARCH_PERSON_BY_SSIN: SearchPersonBySsin(
        information_customer=CUSTOMER, legal_context=LEGAL_CONTEXT, ssins=(SSIN,)
    ),
    Operation.SEARCH_PERSON_PHONETICALLY: SearchPersonPhonetically(
        information_customer=CUSTOMER, legal_context=LEGAL_CONTEXT, criteria=PhoneticCriteria(last_name="Peeters")
    ),
}


@pytest.mark.parametrize("operation", Operation)
def test_every_operation_has_its_request(operation: Operation) -> None:
    """Each operation has one request value, and the request tells its operation."""
    assert operation_of(REQUESTS[operation]) is operation


@pytest.mark.parametrize("kind", get_args(Request))
def test_a_request_is_named_after_its_operation(kind: type[Request]) -> None:
    """A request's name is the operation's name of the wire, with a capital."""
    operation = next(operation for operation, request in REQUESTS.items() if type(request) is kind)
    assert kind.__name__ == operation[0].upper() + operation[1:]


@pytest.mark.parametrize("request_value", REQUESTS.values(), ids=REQUESTS.keys())
def test_equal_requests_are_equal_values(request_value: Request) -> None:
    """Requests compare and hash by their content, which is what a repeated ticket is recognised by (rule 38)."""
    again = type(request_value)(**{name: getattr(request_value, name) for name in type(request_value).__slots__})
    assert again == request_value
    assert hash(again) == hash(request_value)
