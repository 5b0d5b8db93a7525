"""Every fault of the façade's door: valid, in four languages, without a word of the message, and nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from lxml import etree

from cbss_inscription.app.settings import Trust
from cbss_inscription.domain.errors import ServiceUnavailable, TemporarilyUnavailable
from cbss_inscription.sandbox.pki import Credential, TestPki
from cbss_inscription.storage import database
from tests.acceptance.conftest import (
    ERRORS,
    FACADE,
    FUND,
    BuildFacade,
    HttpReply,
    InProcessFacade,
    action_of,
    consult,
    delete,
    envelope,
    health,
    insert,
    legal_data_of,
    update,
)

CANARIES = {"ticket": "CANARY-TICKET"}


def canary(facade: InProcessFacade, **changes: str) -> str:
    """An insertion full of words that must not come back."""
    found = facade.scenarios["nr_active"]
    return insert(found.ssin, legal_data=legal_data_of(found.person, last_name="CANARY-NAME"), **CANARIES, **changes)


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A message that cannot be processed, and what comes of it."""

    code: str
    body: Callable[[InProcessFacade], bytes]
    side: str = "Client"
    reason: str | None = None
    action: str | None = None
    content_type: str = "text/xml; charset=utf-8"


def _signed(content: Callable[[InProcessFacade], str], by: str = "pcsa-web") -> Callable[[InProcessFacade], bytes]:
    return lambda facade: facade.signed(content(facade), by=by)


def _altered(old: str, new: str) -> Callable[[InProcessFacade], bytes]:
    """The signed canary, altered afterwards."""

    def body(facade: InProcessFacade) -> bytes:
        message = facade.signed(canary(facade))
        assert message.count(old.encode()) >= 1
        return message.replace(old.encode(), new.encode(), 1)

    return body


def _bad_signature(facade: InProcessFacade) -> bytes:
    message = facade.signed(canary(facade))
    return re.sub(rb"(SignatureValue>)(....)", lambda found: found[1] + found[2][::-1], message, count=1)


def _other_content(old: str, new: str) -> Callable[[InProcessFacade], bytes]:
    """The canary, altered before it was signed."""
    return _signed(lambda facade: _replaced(canary(facade), old, new))


def _replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


_UNKNOWN_HEADER = '<x:Canary xmlns:x="urn:x" xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:mustUnderstand="1"/>'

WRONG = {
    "no XML": Wrong(code="SOA-03001", body=lambda facade: b"CANARY, no XML"),
    "empty": Wrong(code="SOA-03001", body=lambda facade: b""),
    "cut off": Wrong(code="SOA-03001", body=lambda facade: facade.signed(canary(facade))[:-9]),
    "undefined entity": Wrong(code="SOA-03001", body=_altered("CANARY-NAME", "&CANARY;")),
    "another charset": Wrong(
        code="SOA-03001",
        body=lambda facade: facade.signed(canary(facade)),
        content_type="text/xml; charset=windows-1252",
    ),
    "bytes that are no UTF-8": Wrong(
        code="SOA-03001", body=lambda facade: facade.signed(canary(facade)).replace(b"CANARY-NAME", b"CANARY\xff")
    ),
    "no envelope": Wrong(code="SOA-03002", body=lambda facade: canary(facade).encode()),
    "SOAP 1.2": Wrong(
        code="SOA-03002",
        side="VersionMismatch",
        body=lambda facade: facade.signed(canary(facade)).replace(
            b"http://schemas.xmlsoap.org/soap/envelope/", b"http://www.w3.org/2003/05/soap-envelope"
        ),
    ),
    "no Body": Wrong(
        code="SOA-03003",
        body=lambda facade: b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/></s:Envelope>',
    ),
    "empty Body": Wrong(code="SOA-03003", body=_signed(lambda facade: "")),
    "two children in the Body": Wrong(code="SOA-03003", body=_signed(lambda facade: canary(facade) * 2)),
    "DOCTYPE": Wrong(code="SOA-03004", body=_altered("<soap:Envelope", "<!DOCTYPE CANARY []><soap:Envelope")),
    "processing instruction": Wrong(code="SOA-03004", body=_altered("<declaration>", "<?CANARY?><declaration>")),
    "comment in the Body": Wrong(code="SOA-03004", body=_altered("CANARY-NAME", "CANARY<!-- x -->NAME")),
    "header that must be understood": Wrong(
        code="SOA-03004",
        side="MustUnderstand",
        body=lambda facade: facade.signed(canary(facade), header=_UNKNOWN_HEADER),
    ),
    "SOAPAction of another operation": Wrong(
        code="SOA-03004", reason="action", action=action_of("consultInscriptions"), body=_signed(canary)
    ),
    "SOAPAction of nothing": Wrong(code="SOA-03004", reason="action", action='"urn:CANARY"', body=_signed(canary)),
    "unknown operation": Wrong(
        code="SOA-03005", body=_signed(lambda facade: f'<q:CanaryRequest xmlns:q="{FACADE}">CANARY</q:CanaryRequest>')
    ),
    "operation in another namespace": Wrong(code="SOA-03005", body=_other_content(FACADE, "urn:CANARY")),
    "a response for a request": Wrong(
        code="SOA-03005",
        body=_signed(lambda facade: canary(facade).replace("InsertInscriptionRequest", "InsertInscriptionResponse")),
    ),
    "element of the other door": Wrong(
        code="SOA-03005",
        body=_signed(
            lambda facade: (
                canary(facade)
                .replace(FACADE, "http://kszbcss.fgov.be/intf/InscriptionService/v1")
                .replace("q:Insert", "q:insert")
            )
        ),
    ),
    "child missing": Wrong(
        code="SOA-03006", body=_signed(lambda facade: re.sub("<ssin>.*</ssin>", "", canary(facade)))
    ),
    "child unknown": Wrong(code="SOA-03006", body=_other_content("<ssin>", "<CANARY>1</CANARY><ssin>")),
    "children qualified": Wrong(code="SOA-03006", body=_other_content("xmlns:q", f'xmlns="{FACADE}" xmlns:q')),
    "SSIN against its pattern": Wrong(code="SOA-03006", body=_signed(lambda facade: insert("CANARY00000", **CANARIES))),
    "both kinds of customer": Wrong(
        code="SOA-03006", body=_other_content("<sector>", "<cbeNumber>0206731645</cbeNumber><sector>")
    ),
    "ticket too long": Wrong(code="SOA-03006", body=_other_content("CANARY-TICKET", "CANARY" + "x" * 31)),
    "twenty-six contexts": Wrong(
        code="SOA-03006",
        body=_signed(lambda facade: consult(facade.ssin("nr_active"), contexts=["PCSA:CANARY"] * 26)),
    ),
    "text after the content": Wrong(code="SOA-03006", body=_other_content("</declaration>", "</declaration>CANARY")),
    "date that is none": Wrong(code="SOA-03006", body=_other_content("2026-01-01", "2026-02-30")),
    "birth date that is none": Wrong(
        code="SOA-03007",
        body=_signed(lambda facade: re.sub("<birthDate>[^<]*", "<birthDate>1985-02-31", canary(facade))),
    ),
    "year of five digits": Wrong(code="SOA-03007", body=_other_content("2026-01-01", "12026-01-01")),
    "not signed": Wrong(code="SOA-01001", body=lambda facade: envelope(canary(facade))),
    "Body altered": Wrong(code="SOA-01001", body=_altered("CANARY-NAME", "CANARY-NOMEN")),
    "signature altered": Wrong(code="SOA-01001", body=_bad_signature),
    "expired message": Wrong(
        code="SOA-01001",
        body=lambda facade: facade.signed(canary(facade), at=datetime.now(UTC) - timedelta(seconds=62)),
    ),
    "message from the future": Wrong(
        code="SOA-01001",
        body=lambda facade: facade.signed(canary(facade), at=datetime.now(UTC) + timedelta(seconds=70)),
    ),
    "certificate of a foreign authority": Wrong(code="SOA-01001", body=_signed(canary, by="foreign")),
    "expired certificate": Wrong(code="SOA-01001", body=_signed(canary, by="expired")),
    "certificate of another environment": Wrong(code="SOA-01001", body=_signed(canary, by="other-environment")),
    "URN without access rule": Wrong(code="SOA-01002", reason="no-access-rule", body=_signed(canary, by="unknown-urn")),
    "access rule that ended": Wrong(code="SOA-01002", reason="no-access-rule", body=_signed(canary, by="ended-rule")),
    "known URN of another organisation": Wrong(
        code="SOA-01002", reason="no-access-rule", body=_signed(canary, by="other-organization")
    ),
    "operation without access rule": Wrong(
        code="SOA-01002", reason="no-access-rule", body=_signed(canary, by="pcsa-reader")
    ),
    "health check without access rule": Wrong(
        code="SOA-01002", reason="no-access-rule", body=_signed(lambda facade: health(), by="unknown-urn")
    ),
    "another customer": Wrong(
        code="SOA-01002", reason="customer-not-bound", body=_signed(lambda facade: canary(facade, customer=FUND))
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_message_that_cannot_be_processed_is_a_fault(facade: InProcessFacade, name: str) -> None:
    """A valid SystemError with code, side and ticket, no word of the message, nothing written (E1; SEC-61, 65)."""
    wrong = WRONG[name]
    reply = await facade.post(wrong.body(facade), action=wrong.action, content_type=wrong.content_type)
    assert reply.status == 500
    assert (reply.fault_code, reply.fault_side) == (wrong.code, wrong.side)
    assert b"canary" not in reply.body.lower()
    assert facade.written() == ([], 0)
    (line,) = facade.log_lines()
    assert line["event"] == "refused"
    assert (line["ticket_cbss"], line["code"]) == (_id_of(reply), wrong.code)
    if wrong.reason is not None:
        assert line["reason"] == wrong.reason


def _id_of(reply: HttpReply) -> str:
    error = reply.element.find(f"detail/{{{ERRORS}}}SystemError")
    assert error is not None
    ticket = error.get("Id") or ""
    assert str(UUID(ticket)) == ticket
    return ticket


async def test_refused_authentications_look_alike(facade: InProcessFacade) -> None:
    """All SOA-01001 faults are the same bytes, but for the ticket: no oracle (SEC-62)."""
    replies = [await facade.post(wrong.body(facade)) for wrong in WRONG.values() if wrong.code == "SOA-01001"]
    message = facade.signed(consult(facade.ssin("nr_active")))
    assert (await facade.post(message)).status == 200
    replies += [await facade.post(message)]  # replayed
    assert len({reply.body.replace(_id_of(reply).encode(), b"ID") for reply in replies}) == 1
    assert len({(reply.status, *sorted(reply.headers.items())) for reply in replies}) == 1
    reasons = {line["reason"] for line in facade.log_lines() if line["event"] == "refused"}
    assert len(reasons) > 6
    assert "replayed" in reasons


@pytest.mark.parametrize("by", ["unknown-urn", "other-organization", "ended-rule", "pcsa-reader"])
async def test_sec_63_only_who_signed_learns_that_he_is_not_authorised(facade: InProcessFacade, by: str) -> None:
    """A caller without a rule is SOA-01002 after a good signature, and SOA-01001 like anybody before it (SEC-63)."""
    message = facade.signed(insert(facade.ssin("nr_active")), by=by)
    unsigned = re.sub(rb"(SignatureValue>)(....)", lambda found: found[1] + found[2][::-1], message, count=1)
    altered = message.replace(b"2026-01-01", b"2026-01-02", 1)
    refused = [await facade.post(body) for body in (unsigned, altered, _bad_signature(facade))]
    assert {reply.fault_code for reply in refused} == {"SOA-01001"}
    assert len({reply.body.replace(_id_of(reply).encode(), b"ID") for reply in refused}) == 1
    assert (await facade.post(message)).fault_code == "SOA-01002"
    assert facade.written() == ([], 0)


@pytest.mark.parametrize("spoken", ["consultInscriptions", "deleteInscription", "healthCheck"])
async def test_sec_14_the_log_says_what_the_body_asked(facade: InProcessFacade, spoken: str) -> None:
    """A SOAPAction that names another operation is refused, and the log has the Body's operation (SEC-14)."""
    reply = await facade.send(insert(facade.ssin("nr_active")), action=action_of(spoken))
    assert reply.fault_code == "SOA-03004"
    (line,) = facade.log_lines()
    assert (line["operation"], line["reason"]) == ("insertInscription", "action")
    assert facade.written() == ([], 0)


async def test_a_message_sent_twice_is_refused_the_second_time(facade: InProcessFacade) -> None:
    """A replayed message is SOA-01001 and changes nothing, though a first time it was done (SEC-52)."""
    message = facade.signed(insert(facade.ssin("nr_active")))
    assert (await facade.post(message)).outcome.value == "OK"
    after = facade.written()
    assert (await facade.post(message)).fault_code == "SOA-01001"
    assert facade.written() == after
    assert facade.log_lines()[-1]["reason"] == "replayed"


async def test_a_fault_says_environment_and_contact(build_facade: BuildFacade) -> None:
    """A fault names the environment and, when set, whom to contact (errors/v1)."""
    async with build_facade(contact="desk@example.be") as facade:
        reply = await facade.post(b"")
    assert reply.fault_code == "SOA-03001"
    element = reply.element
    assert element.findtext(f".//{{{ERRORS}}}Environment") == "Development"
    assert element.findtext(f".//{{{ERRORS}}}Contact") == "desk@example.be"


_WSA = 'xmlns:a="http://www.w3.org/2005/08/addressing"'
_ANONYMOUS = "http://www.w3.org/2005/08/addressing/anonymous"


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (f"<a:Action {_WSA}>{FACADE}/insertInscription</a:Action>", True),
        (f"<a:Action {_WSA}>{FACADE}/deleteInscription</a:Action>", False),
        (f"<a:ReplyTo {_WSA}><a:Address>{_ANONYMOUS}</a:Address></a:ReplyTo>", True),
        (f"<a:ReplyTo {_WSA}><a:Address>http://127.0.0.1:9/canary</a:Address></a:ReplyTo>", False),
        (f"<a:FaultTo {_WSA}><a:Address>http://127.0.0.1:9/canary</a:Address></a:FaultTo>", False),
    ],
)
async def test_addressing_is_a_claim_that_must_fit(facade: InProcessFacade, header: str, accepted: bool) -> None:
    """WS-Addressing headers may confirm the operation and the way back; they never choose either (SEC-17)."""
    reply = await facade.post(facade.signed(insert(facade.ssin("nr_active")), header=header))
    assert (reply.summary == "MSG00000") == accepted
    assert (facade.written()[1] == 1) == accepted
    if not accepted:
        assert reply.fault_side == "Client"


# -- the service's own fault -------------------------------------------------------------------------------------------


class _Raises:
    """A repertory with this behaviour: everything raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def _raise(self, asked: object) -> object:
        raise self._error

    consult = insert = update = delete = _raise


@pytest.mark.parametrize(
    ("error", "code", "retry"),
    [
        (ServiceUnavailable("source-closed"), "SOA-02001", "false"),
        (TemporarilyUnavailable("database"), "SOA-02002", "true"),
        (RuntimeError("CANARY defect"), "SOA-00001", "false"),
    ],
)
async def test_what_goes_wrong_at_the_service_is_a_server_fault(
    facade: InProcessFacade, error: Exception, code: str, retry: str
) -> None:
    """SOA-02001, SOA-02002 and SOA-00001 are soapenv:Server, with Retry, for every operation (contract.md 4)."""
    facade.refit(repertory=_Raises(error))
    ssin = facade.ssin("nr_active")
    for asked in (consult(ssin), insert(ssin), update(ssin), delete(ssin)):
        reply = await facade.send(asked)
        assert (reply.fault_code, reply.fault_side) == (code, "Server")
        assert reply.element.findtext(f".//{{{ERRORS}}}Retry") == retry
        assert b"CANARY" not in reply.body
    # The error's own words are in the traceback; that they are personal data is this test's doing.
    facade.log.seek(0)
    facade.log.truncate()


async def test_a_defect_has_its_traceback_in_the_log_only(facade: InProcessFacade) -> None:
    """A defect is SOA-00001 with a ticket and nothing more; the traceback in the log shows code only (E21; SEC-74)."""
    found = facade.scenarios["nr_active"]
    facade.refit(repertory=_Raises(RuntimeError("a defect of this test")))
    reply = await facade.send(insert(found.ssin, legal_data=legal_data_of(found.person), ticket="CANARY-TICKET"))
    assert reply.fault_code == "SOA-00001"
    assert b"defect" not in reply.body
    assert b"Traceback" not in reply.body
    (line,) = facade.log_lines()
    assert (line["event"], line["level"], line["ticket_cbss"]) == ("failed", "error", _id_of(reply))
    written = facade.log.getvalue()
    assert "RuntimeError" in written
    assert "_raise" in written
    assert "locals" not in written


async def test_a_response_of_ours_that_is_not_valid_does_not_leave(facade: InProcessFacade) -> None:
    """With validate_responses a response against the schema becomes SOA-00001 (settings)."""

    class Empty:
        async def look(self) -> object:
            raise RuntimeError("no health")

    facade.refit(own=(Empty(),))
    assert (await facade.send(health())).fault_code == "SOA-00001"


async def test_a_database_that_is_gone_is_retry_and_nothing_written(
    build_facade: BuildFacade, fresh_database: str, populated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its database the façade answers SOA-02002, and serves again when it is back (SEC-53)."""
    monkeypatch.setattr(database, "WAIT_SECONDS_MAX", 0.3)
    name = psycopg.conninfo.conninfo_to_dict(fresh_database)["dbname"]
    async with build_facade(database=fresh_database) as facade:
        # Without a population: whether the database answers is asked here, not what.
        assert (await facade.send(consult(facade.ssin("nr_active")))).outcome.code == "MSG00005"
        with psycopg.connect(populated_database, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            for asked in (consult, insert, update, delete):
                reply = await facade.send(asked(facade.ssin("nr_active")))
                assert (reply.fault_code, reply.fault_side) == ("SOA-02002", "Server")
                assert reply.element.findtext(f".//{{{ERRORS}}}Retry") == "true"
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        codes = [(await facade.send(consult(facade.ssin("nr_active")))).summary for _ in range(8)]
        assert codes[-1] == "MSG00005"
        assert facade.written() == ([], 0)
        codes = [line.get("code") for line in facade.log_lines() if line["event"] == "refused"]
        assert codes[:4] == ["SOA-02002"] * 4


async def test_every_fault_is_well_formed_text_in_four_languages(facade: InProcessFacade) -> None:
    """The four texts of a fault differ, so that none is merely copied (contract.md 4)."""
    error = (await facade.post(b"")).element.find("detail")
    assert error is not None
    texts = [message.text for message in etree.ETXPath(f".//{{{ERRORS}}}Message")(error)]
    assert len(set(texts)) == 4


async def test_sec_44_a_revoked_certificate_is_refused_where_a_list_is_named(
    build_facade: BuildFacade, pki: TestPki, credentials: dict[str, Credential], tmp_path: Path
) -> None:
    """With revocation lists in the settings a revoked certificate is SOA-01001, and others go on (SEC-44)."""
    number = credentials["pcsa-web"].certificate.serial_number
    (tmp_path / "issuing.crl").write_bytes(pki.issue_revocation_list([number], now=datetime.now(UTC)))
    (tmp_path / "root.crl").write_bytes(pki.issue_revocation_list(now=datetime.now(UTC), issuer=pki.application_root))
    trust = Trust(
        application_authorities=str(tmp_path / "authorities.pem"),
        revocation_lists=(str(tmp_path / "issuing.crl"), str(tmp_path / "root.crl")),
        revocation_required=True,
    )
    async with build_facade(trust=trust) as facade:
        ssin = facade.ssin("nr_active")
        assert (await facade.send(consult(ssin))).fault_code == "SOA-01001"
        assert facade.log_lines()[-1]["reason"] == "certificate-revoked"
        asked = consult(ssin, customer=FUND, legal_context="FAMILY_BENEFITS:ENTITLEMENT")
        assert (await facade.send(asked, by="family-fund")).outcome.code == "MSG00100"
