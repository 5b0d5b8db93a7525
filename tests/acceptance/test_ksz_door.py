"""The KSZ door of a repertory over real sockets, whose callers a TLS terminator tells of (SEC-02, SEC-03).

In the terminator's stead the tests write its header themselves, on the plain listener; `make test-peers` has real ones.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from lxml import etree

from cbss_inscription.app.settings import Service
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.ksz_fault import FAULT_STRING
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.names import KSZ
from tests.acceptance.conftest import FACADE, SOAP, consult, envelope, insert
from tests.conftest import RunningSandbox
from tests.terminators import Behind, behind_terminator, handed_over


@pytest.fixture(scope="module")
def repertory(sandbox: RunningSandbox) -> Iterator[Behind]:
    """A repertory that knows its callers by their client certificates."""
    with behind_terminator(sandbox, Service.REPERTORY) as behind:
        yield behind


@pytest.fixture
def caller(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    """A caller with nothing but HTTP, over TLS or without."""
    context = ssl.create_default_context(cafile=sandbox.path(sandbox.manifest["ca"]))
    with httpx.Client(verify=context, trust_env=False) as client:
        yield client


def ksz(content: str) -> str:
    """A request of the façade's in KSZ's names."""
    return content.replace(FACADE, KSZ).replace("q:Consult", "q:consult").replace("q:Insert", "q:insert")


def echoed(echo: str) -> str:
    """A sendTestMessage."""
    return f'<q:sendTestMessageRequest xmlns:q="{KSZ}"><echo>{echo}</echo></q:sendTestMessageRequest>'


def post(client: httpx.Client, url: str, content: str, headers: dict[str, str]) -> httpx.Response:
    """The reply to an unsigned message."""
    return client.post(url, content=envelope(content), headers={"content-type": "text/xml", **headers})


def payload(reply: httpx.Response) -> etree._Element:
    """The element in the reply's Body."""
    body = etree.fromstring(reply.content).find(f"{{{SOAP}}}Body")
    assert body is not None
    return body[0]


def test_sec_03_the_ksz_door_answers_a_client_certificate(
    sandbox: RunningSandbox, repertory: Behind, caller: httpx.Client, stranger: str
) -> None:
    """Inserted and consulted in KSZ's names, nothing signed, by who the terminator says it is (SEC-03).

    The way, and the port, are said by the environment of the process that starts the workers: they see the same.
    """
    web = handed_over(sandbox, "pcsa-web")
    for content, name in (
        (insert(stranger), "insertInscriptionResponse"),
        (consult(stranger), "consultInscriptionsResponse"),
    ):
        reply = post(caller, repertory.plain_url, ksz(content), web)
        element = payload(reply)
        assert (reply.status_code, element.tag) == (200, f"{{{KSZ}}}{name}")
        schema_of(Door.KSZ).validate_response(element)
        assert element.findtext("status/code") == "MSG00000"
        line = repertory.last()
        assert (line["known_by"], line["application_urn"]) == ("mtls", sandbox.application("pcsa-web")["urn"])
    refused = post(caller, repertory.plain_url, ksz(insert(stranger)), handed_over(sandbox, "pcsa-reader"))
    assert fault_of(refused, repertory) == ("insertInscriptionFault", "SOA-01002")


def test_send_test_message_comes_back_over_a_socket(
    sandbox: RunningSandbox, repertory: Behind, caller: httpx.Client
) -> None:
    """KSZ's sendTestMessage echoes what it was sent, with our ticket and times (contract.md section 1)."""
    reply = post(caller, repertory.plain_url, echoed("één &lt; twee &amp; drie"), handed_over(sandbox, "pcsa-web"))
    element = payload(reply)
    assert (reply.status_code, element.tag) == (200, f"{{{KSZ}}}sendTestMessageResponse")
    schema_of(Door.KSZ).validate_response(element)
    assert element.findtext("echo") == "één < twee & drie"
    assert element.findtext("informationCBSS/ticketCBSS")


def fault_of(reply: httpx.Response, repertory: Behind) -> tuple[str | None, str]:
    """KSZ's fault: the element of its detail and the code in it; where it has none, the code in the log."""
    assert reply.status_code == 500
    assert reply.headers["content-type"] == "text/xml; charset=utf-8"
    assert payload(reply).findtext("faultstring") == FAULT_STRING
    detail = payload(reply).find("detail")
    if detail is None:
        return None, repertory.last()["code"]
    (fault,) = detail
    schema_of(Door.KSZ).validate_fault(fault)
    return etree.QName(fault).localname, fault.findtext("detail/reasonCode") or ""


def test_what_cannot_be_processed_is_a_fault_of_ksz(
    sandbox: RunningSandbox, repertory: Behind, caller: httpx.Client, stranger: str
) -> None:
    """Not to be read, no operation, of nobody: a fault of KSZ, with its detail once the operation is known (SEC-61)."""
    web = handed_over(sandbox, "pcsa-web")
    invalid = ksz(consult(stranger)).replace("<legalContext>", "<legalContext><x/>")
    assert fault_of(post(caller, repertory.plain_url, invalid, web), repertory) == (None, "SOA-03006")
    elsewhere = post(caller, repertory.plain_url, ksz(consult(stranger)), {**web, "SOAPAction": '"urn:other"'})
    assert fault_of(elsewhere, repertory) == ("consultInscriptionsFault", "SOA-03004")
    other = f'<q:mergePersonsRequest xmlns:q="{KSZ}"/>'
    assert fault_of(post(caller, repertory.plain_url, other, web), repertory) == (None, "SOA-03005")
    assert fault_of(post(caller, repertory.plain_url, ksz(consult(stranger)), {}), repertory) == (None, "SOA-01001")
    assert repertory.last()["reason"] == "client-certificate-missing"


def test_a_failure_of_ours_is_msg00003(
    sandbox: RunningSandbox, repertory: Behind, caller: httpx.Client, stranger: str
) -> None:
    """The lines cannot be read for now: KSZ's code for every failure of a server, in the operation's fault (SEC-61)."""
    with psycopg.connect(sandbox.manifest["database"]) as holding:
        holding.execute("LOCK TABLE inscription IN ACCESS EXCLUSIVE MODE")
        reply = post(caller, repertory.plain_url, ksz(consult(stranger)), handed_over(sandbox, "pcsa-web"))
        holding.rollback()
    assert fault_of(reply, repertory) == ("consultInscriptionsFault", "MSG00003")
    assert repertory.last()["code"] == "SOA-02002"


def test_sec_02_on_the_tls_listener_the_header_makes_nobody_a_caller(
    sandbox: RunningSandbox, repertory: Behind, caller: httpx.Client, stranger: str
) -> None:
    """The very header that counts on the plain listener counts nowhere else, nor do those of others (SEC-02)."""
    web = handed_over(sandbox, "pcsa-web")
    reply = post(caller, repertory.tls_url, ksz(consult(stranger)), web)
    assert fault_of(reply, repertory) == (None, "SOA-01001")
    assert repertory.last()["reason"] == "client-certificate-missing"
    (certificate,) = web.values()
    for name in ("X-SSL-Cert", "Client-Cert", "X-Forwarded-Client-Cert", "X-Client-Cert", "SSL-Client-Cert"):
        reply = post(caller, repertory.plain_url, ksz(consult(stranger)), {name: certificate})
        assert fault_of(reply, repertory) == (None, "SOA-01001")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("revoked", "certificate-revoked"),
        ("expired", "certificate-expired"),
        ("other-environment", "certificate-environment"),
    ],
)
def test_sec_44_a_revoked_certificate_is_refused_however_it_is_shown(
    sandbox: RunningSandbox, repertory: Behind, caller: httpx.Client, stranger: str, name: str, reason: str
) -> None:
    """Whoever ended TLS let it in; the service has the lists, and refuses (SEC-43, SEC-44)."""
    reply = post(caller, repertory.plain_url, ksz(consult(stranger)), handed_over(sandbox, name))
    assert fault_of(reply, repertory) == (None, "SOA-01001")
    assert repertory.last()["reason"] == reason
