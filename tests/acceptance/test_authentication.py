"""The ways in which a door knows its callers: token, client certificate, both, network (SEC-02, SEC-03).

The façade of these tests is in this process, at its plain listener unless said otherwise: behind a TLS terminator.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from uuid import UUID

import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cbss_inscription.app.addresses import Listener
from cbss_inscription.app.settings import Authentication, CallersNetwork
from cbss_inscription.domain.exchange import KnownBy
from cbss_inscription.governance.journal import AuditRecord, read_record
from cbss_inscription.names import WSSE
from cbss_inscription.sandbox.demonstration import APPLICATIONS
from cbss_inscription.sandbox.pki import Credential
from tests.acceptance.conftest import (
    PATH,
    BuildFacade,
    HttpReply,
    InProcessFacade,
    ask,
    consult,
    delete,
    envelope,
    health,
    insert,
)

HEADER = "X-Client-Certificate"
ADDRESS = "X-Client-Address"
WEB, READER = (next(one for one in APPLICATIONS if one.name == name) for name in ("pcsa-web", "pcsa-reader"))
BY_CERTIFICATE = Authentication(way=KnownBy.CLIENT_CERTIFICATE, certificate_header=HEADER, facade_without_token=True)
BY_BOTH = Authentication(way=KnownBy.TOKEN_AND_CLIENT_CERTIFICATE, certificate_header=HEADER)
NETWORKS = (
    CallersNetwork(
        name="centre",
        addresses=("192.0.2.0/28", "2001:db8::/64"),
        application_urn=WEB.application_urn,
        cbe_number=WEB.cbe_number,
    ),
    CallersNetwork(
        name="reading room",
        addresses=("192.0.2.16/28",),
        application_urn=READER.application_urn,
        cbe_number=READER.cbe_number,
    ),
)
BY_NETWORK = Authentication(way=KnownBy.NETWORK, networks=NETWORKS, address_header=ADDRESS, facade_without_token=True)
AT_THE_END = {"facade_without_token": True, "way": KnownBy.NETWORK, "networks": NETWORKS}


@pytest.fixture
def handed_over(credentials: dict[str, Credential]) -> dict[str, str]:
    """Each certificate as HAProxy writes it."""
    return {
        name: base64.b64encode(one.certificate.public_bytes(Encoding.DER)).decode() for name, one in credentials.items()
    }


async def send(
    facade: InProcessFacade,
    message: bytes,
    *,
    headers: Sequence[tuple[str, str]] = (),
    client: str = "127.0.0.1",
    path: str = PATH,
) -> HttpReply:
    """The reply to a message that came with these headers, from there."""
    fields = [("content-length", str(len(message))), ("content-type", "text/xml"), *headers]
    return await ask(facade.application, "POST", path=path, headers=fields, parts=[message], client=client)


def reason_of(facade: InProcessFacade, reply: HttpReply) -> str:
    """The log's word for a refusal, of which the caller sees SOA-01001 and nothing else."""
    assert reply.fault_code == "SOA-01001"
    assert reply.fault_side == "Client"
    return str(facade.log_lines()[-1]["reason"])


def records_of(facade: InProcessFacade) -> list[AuditRecord]:
    """The journal's records, newest last."""
    with psycopg.connect(facade.database) as connection:
        rows = connection.execute("SELECT content FROM audit_record ORDER BY record_number").fetchall()
    return [read_record(content.encode()) for (content,) in rows]


async def test_sec_03_a_client_certificate_is_a_caller(build_facade: BuildFacade, handed_over: dict[str, str]) -> None:
    """Nothing signed: the certificate of the connection is who calls, as access rules, log and record say (SEC-03)."""
    async with build_facade(authentication=BY_CERTIFICATE, listener=Listener.PLAIN) as facade:
        ssin = facade.ssin("nr_active")
        for content, code in ((insert(ssin), "MSG00000"), (consult(ssin), "MSG00000"), (delete(ssin), "MSG00000")):
            reply = await send(facade, envelope(content), headers=[(HEADER, handed_over["pcsa-web"])])
            assert reply.outcome.code == code
            line = facade.log_lines()[-1]
            assert (line["application_urn"], line["known_by"]) == (WEB.application_urn, "mtls")
            assert line["certificate"] is not None
        refused = await send(facade, envelope(insert(ssin)), headers=[(HEADER, handed_over["pcsa-reader"])])
        assert refused.fault_code == "SOA-01002"
        records = list(records_of(facade))
        assert {record.known_by for record in records} == {"mtls"}
        assert {record.application_urn for record in records} == {WEB.application_urn, READER.application_urn}
        assert all(record.certificate for record in records)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("expired", "certificate-expired"),
        ("other-environment", "certificate-untrusted"),
        ("foreign", "certificate-untrusted"),
    ],
)
async def test_sec_03_a_client_certificate_passes_the_very_same_trust(
    build_facade: BuildFacade, handed_over: dict[str, str], name: str, reason: str
) -> None:
    """Expired, of another environment or authority: refused as in a token, whoever ended TLS (SEC-03, SEC-42)."""
    async with build_facade(authentication=BY_CERTIFICATE, listener=Listener.PLAIN) as facade:
        message = envelope(consult(facade.ssin("nr_active")))
        reply = await send(facade, message, headers=[(HEADER, handed_over[name])])
        by_token = await _reason_by_token(build_facade, name)
        assert reason_of(facade, reply) == by_token
        assert by_token in {reason, "certificate-environment"}


async def _reason_by_token(build_facade: BuildFacade, name: str) -> str:
    async with build_facade() as signing:
        return reason_of(signing, await signing.send(consult(signing.ssin("nr_active")), by=name))


async def test_sec_03_without_a_certificate_nobody_is_let_in(
    build_facade: BuildFacade, handed_over: dict[str, str]
) -> None:
    """No header, an empty or a broken one: SOA-01001 before the message is even parsed (SEC-03, SEC-62)."""
    async with build_facade(authentication=BY_CERTIFICATE, listener=Listener.PLAIN) as facade:
        for headers, reason in (
            ([], "client-certificate-missing"),
            ([(HEADER, "")], "client-certificate-missing"),
            ([(HEADER, "no sense")], "client-certificate-malformed"),
            ([(HEADER, handed_over["pcsa-web"][:-8])], "certificate-malformed"),
        ):
            for message in (envelope(consult(facade.ssin("nr_active"))), b"no XML"):
                assert reason_of(facade, await send(facade, message, headers=headers)) == reason


async def test_sec_03_a_signature_that_nobody_asked_for_is_refused(
    build_facade: BuildFacade, handed_over: dict[str, str]
) -> None:
    """A Security header where the connection says who calls: refused, good or bad (SEC-03)."""
    async with build_facade(authentication=BY_CERTIFICATE, listener=Listener.PLAIN) as facade:
        ssin, headers = facade.ssin("nr_active"), [(HEADER, handed_over["pcsa-web"])]
        for message in (
            facade.signed(consult(ssin)),
            envelope(consult(ssin), header=f'<w:Security xmlns:w="{WSSE}"/>'),
        ):
            assert reason_of(facade, await send(facade, message, headers=headers)) == "security-unasked"


async def test_sec_02_the_header_counts_on_the_plain_listener_alone(
    build_facade: BuildFacade, handed_over: dict[str, str]
) -> None:
    """On the TLS listener the very header that the settings name makes nobody a caller (SEC-02)."""
    async with build_facade(authentication=BY_CERTIFICATE, listener=Listener.TLS) as facade:
        message = envelope(consult(facade.ssin("nr_active")))
        reply = await send(facade, message, headers=[(HEADER, handed_over["pcsa-web"])])
        assert reason_of(facade, reply) == "client-certificate-missing"


async def test_sec_02_a_header_that_the_settings_do_not_name_counts_nowhere(
    build_facade: BuildFacade, handed_over: dict[str, str]
) -> None:
    """Other terminators' headers beside the one that is named, or that one where none is: no effect (SEC-02)."""
    names = ("X-SSL-Cert", "Client-Cert", "X-Forwarded-Client-Cert", "SSL-Client")
    others = [(name, handed_over["pcsa-web"]) for name in names]
    forged = [*others, ("X-Forwarded-For", "192.0.2.1"), ("X-Real-IP", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")]
    async with build_facade(authentication=BY_CERTIFICATE, listener=Listener.PLAIN) as facade:
        message = envelope(consult(facade.ssin("nr_active")))
        reply = await send(facade, message, headers=forged)
        assert reason_of(facade, reply) == "client-certificate-missing"
        reader = await send(facade, message, headers=[*forged, (HEADER, handed_over["pcsa-reader"])])
        assert reader.outcome.code == "MSG00100"
        assert facade.log_lines()[-1]["application_urn"] == READER.application_urn
    async with build_facade(listener=Listener.PLAIN) as facade:
        reply = await send(facade, message, headers=[*forged, (HEADER, handed_over["pcsa-web"])])
        assert reason_of(facade, reply) == "security-missing"


@pytest.mark.parametrize("name", [HEADER, HEADER.lower()])
async def test_sec_02_a_certificate_that_is_handed_over_twice_is_refused(
    build_facade: BuildFacade, handed_over: dict[str, str], name: str
) -> None:
    """Two headers of the name, one of them perhaps the caller's own: HTTP 400, nothing is looked at (SEC-02)."""
    async with build_facade(authentication=BY_CERTIFICATE, listener=Listener.PLAIN) as facade:
        both = [(HEADER, handed_over["pcsa-web"]), (name, handed_over["pcsa-reader"])]
        reply = await send(facade, envelope(consult(facade.ssin("nr_active"))), headers=both)
        assert reply.summary == "HTTP 400"


async def test_sec_03_token_and_client_certificate_are_one_application(
    build_facade: BuildFacade, handed_over: dict[str, str]
) -> None:
    """Both of one application: let in, even by two certificates. Cert A in TLS, B in the BST: SOA-01001 (SEC-03)."""
    async with build_facade(authentication=BY_BOTH, listener=Listener.PLAIN) as facade:
        ssin = facade.ssin("nr_active")
        both = await send(facade, facade.signed(consult(ssin)), headers=[(HEADER, handed_over["pcsa-web"])])
        assert both.outcome.code == "MSG00100"
        assert facade.log_lines()[-1]["known_by"] == "token-and-mtls"
        for by, shown in (("pcsa-reader", "pcsa-web"), ("pcsa-web", "pcsa-reader"), ("pcsa-web", "other-organization")):
            reply = await send(facade, facade.signed(consult(ssin), by=by), headers=[(HEADER, handed_over[shown])])
            assert reason_of(facade, reply) == "client-certificate-other"
        missing = await send(facade, facade.signed(consult(ssin)))
        assert reason_of(facade, missing) == "client-certificate-missing"
        unsigned = await send(facade, envelope(consult(ssin)), headers=[(HEADER, handed_over["pcsa-web"])])
        assert reason_of(facade, unsigned) == "security-missing"


async def test_sec_52_a_signed_message_counts_once_behind_a_terminator_too(
    build_facade: BuildFacade, handed_over: dict[str, str]
) -> None:
    """With both, the second time is a replay; by the connection alone there is nothing to replay (SEC-52)."""
    async with build_facade(authentication=BY_BOTH, listener=Listener.PLAIN) as facade:
        message = facade.signed(consult(facade.ssin("nr_active")))
        headers = [(HEADER, handed_over["pcsa-web"])]
        assert (await send(facade, message, headers=headers)).status == 200
        assert reason_of(facade, await send(facade, message, headers=headers)) == "replayed"
    async with build_facade(authentication=BY_CERTIFICATE, listener=Listener.PLAIN) as facade:
        message = envelope(insert(facade.ssin("nr_active"), ticket=str(UUID(int=1))))
        first, again = [await send(facade, message, headers=headers) for _ in range(2)]
        assert first.outcome.code == again.outcome.code == "MSG00000"
        assert "CBI00404" in dict(again.outcome.anomalies)


async def test_sec_02_the_network_of_the_connection_is_a_caller(build_facade: BuildFacade) -> None:
    """On the TLS listener by who connects, whatever headers say; an IPv4 address in IPv6's words too (SEC-02)."""
    async with build_facade(authentication=Authentication(**AT_THE_END), listener=Listener.TLS) as facade:
        message = envelope(consult(facade.ssin("nr_active")))
        forged = [(ADDRESS, "192.0.2.1"), ("X-Forwarded-For", "192.0.2.1")]
        for client, urn, network in (
            ("192.0.2.15", WEB.application_urn, "centre"),
            ("::ffff:192.0.2.15", WEB.application_urn, "centre"),
            ("2001:db8::7", WEB.application_urn, "centre"),
            ("192.0.2.16", READER.application_urn, "reading room"),
        ):
            assert (await send(facade, message, headers=forged, client=client)).status == 200
            line = facade.log_lines()[-1]
            assert (line["application_urn"], line["known_by"], line["network"]) == (urn, "network", network)
            assert line["certificate"] is None
        for client in ("192.0.2.32", "127.0.0.1", "2001:db8:0:1::1"):
            for sent in (message, b"no XML"):  # of nobody, nothing is parsed
                assert reason_of(facade, await send(facade, sent, headers=forged, client=client)) == "network-unknown"
        record = next(record for record in records_of(facade) if record.application_urn == READER.application_urn)
        assert (record.known_by, record.network, record.certificate) == ("network", "reading room", None)
        assert record.environment == "LOCAL"


async def test_sec_02_behind_a_terminator_the_network_is_what_the_named_header_says(build_facade: BuildFacade) -> None:
    """On the plain listener by the header that the settings name; a list in it, or none, is nobody (SEC-02)."""
    async with build_facade(authentication=BY_NETWORK, listener=Listener.PLAIN) as facade:
        message = envelope(consult(facade.ssin("nr_active")))
        assert (await send(facade, message, headers=[(ADDRESS, "192.0.2.1")])).status == 200
        for headers, reason in (
            ([(ADDRESS, "192.0.2.1, 198.51.100.1")], "network-malformed"),
            ([(ADDRESS, "198.51.100.1")], "network-unknown"),
            ([("X-Forwarded-For", "192.0.2.1")], "network-missing"),
        ):
            assert reason_of(facade, await send(facade, message, headers=headers, client="192.0.2.1")) == reason
    without_header = Authentication(**AT_THE_END)
    async with build_facade(authentication=without_header, listener=Listener.PLAIN) as facade:
        reply = await send(facade, message, headers=[(ADDRESS, "192.0.2.1")], client="192.0.2.1")
        assert reason_of(facade, reply) == "network-missing"


async def test_sec_03_a_door_that_asks_for_no_signature_publishes_no_policy(build_facade: BuildFacade) -> None:
    """`?wsdl=x509` says that requests are signed: it is there where they are, and nowhere else (SEC-03)."""
    for authentication, status in ((Authentication(), 200), (BY_BOTH, 200), (BY_CERTIFICATE, 404), (BY_NETWORK, 404)):
        async with build_facade(authentication=authentication) as facade:
            assert (await facade.request("GET", query="wsdl=x509")).status == status
            assert (await facade.request("GET", query="wsdl")).status == 200


async def test_sec_14_what_stands_behind_is_the_same(build_facade: BuildFacade, handed_over: dict[str, str]) -> None:
    """SOAPAction and wsa:To are compared, the schema is kept, healthCheck answers, unsigned too (SEC-14, SEC-17)."""
    async with build_facade(authentication=BY_CERTIFICATE, listener=Listener.PLAIN) as facade:
        content, known = consult(facade.ssin("nr_active")), (HEADER, handed_over["pcsa-web"])
        spoofed = await send(facade, envelope(content), headers=[known, ("SOAPAction", '"urn:other"')])
        assert spoofed.fault_code == "SOA-03004"
        elsewhere = '<a:To xmlns:a="http://www.w3.org/2005/08/addressing">https://elsewhere.example/</a:To>'
        assert (await send(facade, envelope(content, header=elsewhere), headers=[known])).fault_code == "SOA-03004"
        invalid = content.replace("<legalContext>", "<legalContext><x/>")
        assert (await send(facade, envelope(invalid), headers=[known])).fault_code == "SOA-03006"
        assert (await send(facade, envelope(health("PING")), headers=[known])).status == 200
