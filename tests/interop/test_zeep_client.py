"""zeep with the signing recipe of examples/zeep_client.py: a client made from the served description, over TLS."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
import zeep
from lxml import etree

SSIN = "nr_active"


def header() -> dict[str, Any]:
    """The head of a request under a ticket of its own: a declaration's ticket is used once (rule 38)."""
    return {
        "informationCustomer": {
            "ticket": str(uuid4()),
            "customerIdentification": {"sector": 17, "institution": 1},
        },
        "legalContext": "PCSA:SOCIAL_INQUIRY",
    }


FIRST_HALF = {"beginDate": "2026-01-01", "endDate": "2026-06-30"}
WHOLE_YEAR = {"beginDate": "2026-01-01", "endDate": "2026-12-31"}


@pytest.fixture(params=["wsdl", "wsdl=x509", "singleWsdl", "singleWsdl=x509"])
def client(request: pytest.FixtureRequest, sandbox: Any, zeep_example: ModuleType) -> Iterator[Any]:
    """A client of pcsa-web, from one of the served descriptions."""
    yield from _client(sandbox, zeep_example, request.param, key_of="pcsa-web")


def _client(sandbox: Any, zeep_example: ModuleType, query: str, *, key_of: str) -> Iterator[Any]:
    made = zeep_example.make_client(
        f"{sandbox.url}?{query}",
        ca=sandbox.path(sandbox.manifest["ca"]),
        certificate=sandbox.path(sandbox.application("pcsa-web")["certificate"]),
        private_key=sandbox.path(sandbox.application(key_of)["key"]),
    )
    yield made
    made.transport.session.close()


def test_sec_41_zeep_does_all_operations(client: Any, sandbox: Any) -> None:
    """zeep inserts, consults, updates and deletes a line, and asks for the health, signed by the recipe (SEC-41)."""
    service, ssin, context = client.service, sandbox.ssin(SSIN), "PCSA:SUPERVISOR"
    line = {"inscriptionContext": context, "period": FIRST_HALF}

    head = header()
    reply = service.insertInscription(**head, declaration={"ssin": ssin, "inscription": line})
    assert (reply.status.value, reply.status.code) == ("OK", "MSG00000")
    assert (reply.informationCustomer.ticket, reply.ssin._value_1) == (head["informationCustomer"]["ticket"], ssin)

    reply = service.updateInscription(
        **header(), declaration={"ssin": ssin, "inscription": line, "newPeriod": WHOLE_YEAR}
    )
    assert (reply.status.value, reply.status.code) == ("OK", "MSG00000")

    criteria = {"ssin": ssin, "inscriptionContext": [context]}
    reply = service.consultInscriptions(**header(), criteria=criteria)
    assert (reply.status.value, reply.status.code) == ("DATA_FOUND", "MSG00000")
    (found,) = reply.inscriptions.inscription
    assert (found.period.beginDate, found.period.endDate) == (dt.date(2026, 1, 1), dt.date(2026, 12, 31))

    reply = service.deleteInscription(**header(), declaration={"ssin": ssin, "inscriptionContext": context})
    assert (reply.status.value, reply.status.code) == ("OK", "MSG00000")
    reply = service.consultInscriptions(**header(), criteria=criteria)
    assert (reply.status.value, reply.status.code) == ("NO_DATA_FOUND", "MSG00100")

    assert service.healthCheck(type="DEEP").Status.Level == "OK"


def test_zeep_has_legal_data_validated(client: Any, sandbox: Any) -> None:
    """Legal data that agree with the register are taken from zeep, and a name that does not refuses the insertion."""
    service, ssin, context = client.service, sandbox.ssin(SSIN), "PCSA:PARTICIPANT"
    line = {"inscriptionContext": context, "period": FIRST_HALF}
    known = sandbox.manifest["scenarios"][SSIN]["legal_data"]
    data = {
        "name": {"lastName": known["last_name"], "givenName": known["given_names"]},
        "birth": {"birthDate": known["birth_date"]},
        "gender": {"genderCode": str(known["gender_code"])},
    }
    other = {**data, "name": {"lastName": "Somebody Else", "givenName": known["given_names"]}}
    reply = service.insertInscription(**header(), declaration={"ssin": ssin, "inscription": line, "legalData": other})
    assert (reply.status.value, reply.status.code) == ("NOK", "CBI00301")
    assert reply.validationErrors.detail
    reply = service.insertInscription(**header(), declaration={"ssin": ssin, "inscription": line, "legalData": data})
    assert (reply.status.value, reply.status.code) == ("OK", "MSG00000")
    service.deleteInscription(**header(), declaration={"ssin": ssin, "inscriptionContext": context})


def test_sec_61_zeep_raises_fault_for_a_wrong_key(sandbox: Any, zeep_example: ModuleType) -> None:
    """A signature by a key that is not the certificate's reaches zeep's caller as Fault SOA-01001 (SEC-61, SEC-62)."""
    for client in _client(sandbox, zeep_example, "wsdl", key_of="family-fund"):
        with pytest.raises(zeep.exceptions.Fault) as raised:
            client.service.consultInscriptions(**header(), criteria={"ssin": sandbox.ssin(SSIN)})
    fault = raised.value
    assert (fault.code, fault.message) == ("soapenv:Client", "SOA-01001")
    assert b"SystemError" in etree.tostring(fault.detail)


def test_sec_04_zeep_that_trusts_another_authority_stops_at_tls(sandbox: Any, zeep_example: ModuleType) -> None:
    """zeep that trusts another authority than the sandbox's for TLS does not even read the description (SEC-04)."""
    application = sandbox.application("pcsa-web")
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        zeep_example.make_client(
            f"{sandbox.url}?wsdl",
            ca=sandbox.path("pki/application-root.crt.pem"),
            certificate=sandbox.path(application["certificate"]),
            private_key=sandbox.path(application["key"]),
        )
