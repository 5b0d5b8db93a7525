"""What the acceptance tests share: a façade in this process, messages written by hand, and answers as plain values.

The façade is the ASGI application of `app.wiring.build_application` on a fresh PostgreSQL database, driven without a
network. Messages are text, not made by our mapping, so that a mistake in the mapping cannot hide itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from cbss_inscription.app.addresses import Listener
from cbss_inscription.app.clock import utc_now
from cbss_inscription.app.settings import Audit, Limits, PlainListener, Settings, TlsListener, Trust, write_privately
from cbss_inscription.app.telemetry import configure_logging
from cbss_inscription.app.wiring import build_application
from cbss_inscription.cli.main import main
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import AccessRule, AccessRules, Permission, ReplacedNumbers, write_access_rules
from cbss_inscription.governance.journal import new_audit_keys
from cbss_inscription.sandbox.demonstration import APPLICATIONS, demo_access_rules
from cbss_inscription.sandbox.pki import REVOCATION_LISTS, Credential, TestPki
from cbss_inscription.sandbox.population import Scenario, make_population
from cbss_inscription.security.sign import Signer, sign
from cbss_inscription.soap.http import SoapApplication
from cbss_inscription.soap.operations import InscriptionOperations
from cbss_inscription.soap.pipeline import SecuredDoor
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.population import load_population
from tests.acceptance.operating import write_settings
from tests.acceptance.sandbox_processes import family_of
from tests.conftest import START_SECONDS_MAX, RunningSandbox

FACADE = "http://socialsecurity.be/cbssinscription/v1"
MONITORING = "http://services.fgov.be/monitoring/v1"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
ERRORS = "http://socialsecurity.be/errors/v1"
PATH = "/CBSSInscription/v1"
PUBLIC_URL = "https://portal.example:9443"
PERSONS = 100
SEED = 7
TICKET = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
TIMESTAMP = "2026-03-01T10:20:30.5+01:00"
PCSA = "<sector>17</sector><institution>1</institution>"
REFUSING_PCSA = "<sector>17</sector><institution>2</institution>"
FUND = "<cbeNumber>9000000290</cbeNumber>"
SOCIAL_INQUIRY = "PCSA:SOCIAL_INQUIRY"
LIVING_WAGE = "PCSA:LIVING_WAGE"
OWN_CONTEXT = InscriptionContext("NOWHERE:OWN_CONTEXT")
"""A context of an installation of its own: granted, and in no catalogue."""


# -- messages ----------------------------------------------------------------------------------------------------------


def consult(ssin: str, *, contexts: Sequence[str] = (), period: str = "", next_page: str = "", **head: str) -> str:
    """A ConsultInscriptionsRequest; `period` is XML."""
    named = "".join(f"<inscriptionContext>{context}</inscriptionContext>" for context in contexts)
    token = f"<next>{next_page}</next>" if next_page else ""
    return _request("Consult", "Inscriptions", f"<criteria><ssin>{ssin}</ssin>{named}{period}{token}</criteria>", head)


def insert(
    ssin: str,
    *,
    context: str = LIVING_WAGE,
    begin: str = "2026-01-01",
    end: str | None = None,
    legal_data: str = "",
    **head: str,
) -> str:
    """An InsertInscriptionRequest; `legal_data` is the content of legalData."""
    legal = f"<legalData>{legal_data}</legalData>" if legal_data else ""
    inscription = f"<inscription>{_context(context)}{period_of(begin, end)}</inscription>"
    return _request(
        "Insert", "Inscription", f"<declaration><ssin>{ssin}</ssin>{inscription}{legal}</declaration>", head
    )


def update(
    ssin: str,
    *,
    context: str = LIVING_WAGE,
    begin: str = "2026-01-01",
    end: str | None = None,
    new_begin: str = "2026-02-01",
    new_end: str | None = None,
    **head: str,
) -> str:
    """An UpdateInscriptionRequest."""
    inscription = f"<inscription>{_context(context)}{period_of(begin, end)}</inscription>"
    changed = period_of(new_begin, new_end, "newPeriod")
    return _request(
        "Update", "Inscription", f"<declaration><ssin>{ssin}</ssin>{inscription}{changed}</declaration>", head
    )


def delete(ssin: str, *, context: str = LIVING_WAGE, period: str = "", **head: str) -> str:
    """A DeleteInscriptionRequest; `period` is XML."""
    return _request(
        "Delete", "Inscription", f"<declaration><ssin>{ssin}</ssin>{_context(context)}{period}</declaration>", head
    )


def health(kind: str = "DEFAULT") -> str:
    """A HealthCheckRequest."""
    return f'<m:HealthCheckRequest xmlns:m="{MONITORING}" type="{kind}"/>'


def period_of(begin: str | None, end: str | None = None, name: str = "period") -> str:
    """A period element."""
    begins = f"<beginDate>{begin}</beginDate>" if begin else ""
    ends = f"<endDate>{end}</endDate>" if end else ""
    return f"<{name}>{begins}{ends}</{name}>"


def head_of(ticket: str = TICKET, sent: str = TIMESTAMP, customer: str = PCSA) -> str:
    """An informationCustomer element, as text to find again in the answer."""
    tickets = f"<ticket>{ticket}</ticket>" if ticket else ""
    timestamps = f"<timestampSent>{sent}</timestampSent>" if sent else ""
    identification = f"<customerIdentification>{customer}</customerIdentification>"
    return f"<informationCustomer>{tickets}{timestamps}{identification}</informationCustomer>"


def envelope(content: str, *, header: str = "", prolog: str = '<?xml version="1.0" encoding="UTF-8"?>\n') -> bytes:
    """A SOAP 1.1 envelope around the text `content`."""
    headers = f"<soap:Header>{header}</soap:Header>" if header else ""
    return (
        f'{prolog}<soap:Envelope xmlns:soap="{SOAP}">{headers}<soap:Body>{content}</soap:Body></soap:Envelope>'.encode()
    )


def action_of(operation: str) -> str:
    """The SOAPAction of an operation, in its quotes."""
    return f'"{FACADE}/{operation}"'


def legal_data_of(person: Person | None, **changes: str) -> str:
    """The content of legalData that a register's file says, with other values for `last_name` and so on."""
    assert person is not None
    last_name = changes.get("last_name", person.last_name)
    given = changes.get("given_names", "|".join(person.given_names))
    names = "".join(f"<givenName>{name}</givenName>" for name in given.split("|") if name)
    birth_date = changes.get("birth_date", str(person.birth_date or ""))
    birth = f"<birth><birthDate>{birth_date}</birthDate></birth>" if birth_date else ""
    gender = changes.get("gender", str(int(person.gender)))
    return (
        f"<name><lastName>{last_name}</lastName>{names}</name>{birth}<gender><genderCode>{gender}</genderCode></gender>"
    )


def secrets_of(scenarios: Iterable[Scenario]) -> set[str]:
    """What must never be read in a log: numbers, names, and the canaries that tests put into messages."""
    found = {"CANARY", "Zzyzx", "Qwghlm"}
    for scenario in scenarios:
        found |= {scenario.ssin, f"{scenario.ssin[:6]}-{scenario.ssin[6:9]}", Ssin(scenario.ssin).formatted}
        if scenario.person is not None:
            found |= {scenario.person.last_name, *scenario.person.given_names}
    return found


def _request(verb: str, noun: str, content: str, head: dict[str, str]) -> str:
    legal_context = head.pop("legal_context", SOCIAL_INQUIRY)
    head.setdefault("ticket", str(uuid4()))  # each message is one of its own, and no repetition (rule 38)
    name = f"{verb}{noun}Request"
    start = f"{head_of(**head)}<legalContext>{legal_context}</legalContext>"
    return f'<q:{name} xmlns:q="{FACADE}">{start}{content}</q:{name}>'


def _context(context: str) -> str:
    return f"<inscriptionContext>{context}</inscriptionContext>"


# -- answers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A business answer as plain values."""

    value: str
    code: str
    information: dict[str, str | None] = field(default_factory=dict)
    ssin: str | None = None
    canceled: str | None = None
    replaces: str | None = None
    anomalies: tuple[tuple[str, str], ...] = ()
    """(code, severity)"""
    validation_errors: tuple[str, ...] = ()
    """Field names."""
    lines: tuple[tuple[str, str, str | None], ...] = ()
    """(context, begin, end)"""


@dataclass(frozen=True, kw_only=True)
class HttpReply:
    """An HTTP response of the façade."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def element(self) -> etree._Element:
        """The one element of the Body."""
        root = etree.fromstring(self.body)
        assert root.tag == f"{{{SOAP}}}Envelope"
        (body,) = root
        assert body.tag == f"{{{SOAP}}}Body"
        (child,) = body
        return child

    @property
    def response(self) -> etree._Element:
        """The response element; fails when it is a fault, or not valid against the schema."""
        assert self.status == 200, self.body
        element = self.element
        schema_of(Door.FACADE).validate_response(element)
        return element

    @property
    def outcome(self) -> Outcome:
        """The business answer."""
        element = self.response
        status = element.find("status")
        assert status is not None
        ssin = element.find("ssin")
        return Outcome(
            value=_text(status, "value"),
            code=_text(status, "code"),
            information=_information(status),
            ssin=ssin.text if ssin is not None else None,
            canceled=ssin.get("canceled") if ssin is not None else None,
            replaces=ssin.get("replaces") if ssin is not None else None,
            anomalies=tuple(
                (_text(detail, "reasonCode"), _text(detail, "severity"))
                for detail in element.iterfind("anomalies/detail")
            ),
            validation_errors=tuple(
                name for detail in element.iterfind("validationErrors/detail") for name in _information(detail)
            ),
            lines=tuple(
                (_text(line, "inscriptionContext"), _text(line, "period/beginDate"), line.findtext("period/endDate"))
                for line in element.iterfind("inscriptions/inscription")
            ),
        )

    @property
    def fault_code(self) -> str:
        """The SOA code of a fault that is valid in every respect; fails when it is no fault (SEC-61, SEC-65)."""
        assert self.status in {500, 503}, self.body
        assert self.headers["content-type"] == "text/xml; charset=utf-8"
        assert self.headers["cache-control"] == "no-store"
        assert self.headers.get("server", "") == ""
        fault = self.element
        assert fault.tag == f"{{{SOAP}}}Fault"
        detail = fault.find("detail")
        assert detail is not None
        (error,) = detail
        schema_of(Door.FACADE).validate_fault(error)
        code = _text(error, f"{{{ERRORS}}}Code")
        assert fault.findtext("faultstring") == code
        languages = [
            message.get("{http://www.w3.org/XML/1998/namespace}lang")
            for message in error.iterfind(f"{{{ERRORS}}}Message")
        ]
        assert languages == ["en", "nl", "fr", "de"]
        return code

    @property
    def fault_side(self) -> str:
        """The local part of the faultcode, whose prefix must be bound to SOAP 1.1."""
        element = self.element
        text = element.findtext("faultcode") or ""
        prefix, _, side = text.partition(":")
        assert element.nsmap[prefix] == SOAP
        return side

    @property
    def summary(self) -> str:
        """In a word: the SOA code of a fault, the code of an outcome, or the HTTP status of what is neither."""
        if self.headers.get("content-type", "").startswith("text/xml"):
            return self.fault_code if self.status != 200 else self.outcome.code
        return f"HTTP {self.status}"


def _text(element: etree._Element, path: str) -> str:
    text = element.findtext(path)
    assert text is not None, path
    return text


def _information(element: etree._Element) -> dict[str, str | None]:
    return {_text(item, "fieldName"): item.findtext("fieldValue") for item in element.iterfind("information")}


# -- certificates ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def pki() -> TestPki:
    """The test PKI that the façades in this process trust."""
    return TestPki.generate(environment="LOCAL", now=datetime.now(UTC))


@pytest.fixture(scope="session")
def credentials(pki: TestPki) -> dict[str, Credential]:
    """A certificate for each demo application, and one for each reason to be refused; they share a key."""
    now = datetime.now(UTC)
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    web = APPLICATIONS[0]
    subject = (web.application_urn, web.cbe_number, web.organization_name)
    foreign = TestPki.generate(environment="LOCAL", now=now)
    year_ago = now - timedelta(days=365)
    return {
        application.name: pki.issue_application_certificate(
            application.application_urn,
            application.cbe_number,
            application.organization_name,
            not_before=now - timedelta(days=10),
            private_key=key,
        )
        for application in APPLICATIONS
    } | {
        "unknown-urn": pki.issue_application_certificate(
            "nowhere:unknown:application", *subject[1:], not_before=now, private_key=key
        ),
        "other-organization": pki.issue_application_certificate(
            web.application_urn, "0206731645", "Other (TEST ONLY)", not_before=now, private_key=key
        ),
        "ended-rule": pki.issue_application_certificate(
            "nowhere:ended:application", *subject[1:], not_before=now, private_key=key
        ),
        "expired": pki.issue_application_certificate(
            *subject, not_before=year_ago, not_after=now - timedelta(days=1), private_key=key
        ),
        "other-environment": pki.issue_application_certificate(
            *subject, environment="ACC", not_before=now, private_key=key
        ),
        "foreign": foreign.issue_application_certificate(*subject, not_before=now, private_key=key),
    }


@pytest.fixture(scope="session")
def signers(credentials: dict[str, Credential]) -> dict[str, Signer]:
    """A signer for each of the certificates."""
    return {
        name: Signer.from_pem(credential.certificate_pem, credential.private_key_pem)
        for name, credential in credentials.items()
    }


_signer_from_pem = cache(Signer.from_pem)


@pytest.fixture(scope="module", autouse=True)
def keys_read_once() -> Iterator[None]:
    """The same files give the same signer: OpenSSL proves the primes of an RSA key at each reading, for 40 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Signer, "from_pem", staticmethod(_signer_from_pem))
        yield


# -- the façade in this process ----------------------------------------------------------------------------------------


def rules_of_tests() -> AccessRules:
    """The demo applications' rules; further a customer that has replaced numbers refused, and a rule that ended."""
    demo = demo_access_rules()
    web = demo.permissions[0]
    ended = AccessRule(
        dossier="ENDED",
        application_urn="nowhere:ended:application",
        cbe_number=APPLICATIONS[0].cbe_number,
        environment="LOCAL",
        operations=APPLICATIONS[0].operations,
        valid_from=date(2020, 1, 1),
        valid_until=date(2025, 12, 31),
    )
    refusing = Permission(
        reference="REFUSING",
        customer_identification=CustomerIdentification(sector=17, institution=2),
        cbe_number=web.cbe_number,
        application_urns=web.application_urns,
        legal_contexts=web.legal_contexts,
        inscription_contexts=web.inscription_contexts,
        operations=web.operations,
        valid_from=web.valid_from,
        replaced_numbers=ReplacedNumbers.REFUSE,
    )
    own = msgspec.structs.replace(web, inscription_contexts=web.inscription_contexts | {OWN_CONTEXT})
    permissions = (own, *demo.permissions[1:], refusing)
    return AccessRules(version=1, access_rules=(*demo.access_rules, ended), permissions=permissions)


@cache
def rules_of_tests_yaml() -> bytes:
    """The same as a file has them; written once, for that takes longer than most tests."""
    return write_access_rules(rules_of_tests())


@dataclass(kw_only=True)
class InProcessFacade:
    """A façade to send to; what it logs is kept in `log`."""

    application: SoapApplication
    database: str
    scenarios: dict[str, Scenario]
    signers: dict[str, Signer]
    log: io.StringIO

    @property
    def door(self) -> SecuredDoor:
        """The pipeline behind the façade's path."""
        door = self.application._doors[PATH]
        assert isinstance(door, SecuredDoor)
        return door

    def refit(self, **parts: Any) -> None:
        """Nothing; the door or its operations have other parts from now on: a fake repertory, another clock."""
        behind = {name: parts.pop(name) for name in ("access_rules", "own", "repertory", "volumes") if name in parts}
        operations = replace(cast("InscriptionOperations", self.door.operations), **behind)
        self.application._doors[PATH] = replace(self.door, operations=operations, **parts)

    def ssin(self, scenario: str) -> str:
        """The number of a scenario."""
        return self.scenarios[scenario].ssin

    def signed(
        self,
        content: str,
        *,
        by: str = "pcsa-web",
        at: datetime | None = None,
        header: str = "",
        lifetime_seconds: int = 60,
    ) -> bytes:
        """The message with `content` as its Body, signed."""
        return sign(
            envelope(content, header=header),
            signer=self.signers[by],
            now=at or datetime.now(UTC),
            lifetime_seconds=lifetime_seconds,
        )

    async def send(self, content: str, *, by: str = "pcsa-web", action: str | None = None) -> HttpReply:
        """The reply to a signed message with `content` as its Body."""
        return await self.post(self.signed(content, by=by), action=action)

    async def post(
        self, body: bytes, *, action: str | None = None, content_type: str | None = "text/xml; charset=utf-8"
    ) -> HttpReply:
        """The reply to a POST of these bytes."""
        headers = [("content-length", str(len(body)))]
        if content_type is not None:
            headers.append(("content-type", content_type))
        if action is not None:
            headers.append(("soapaction", action))
        return await self.request("POST", headers=headers, parts=[body])

    async def request(
        self,
        method: str,
        *,
        path: str = PATH,
        query: str = "",
        headers: Sequence[tuple[str, str]] = (),
        parts: Sequence[bytes | float | None] = (b"",),
    ) -> HttpReply:
        """The reply to any request; in `parts` a number is a pause in seconds, None a broken connection."""
        reply = await ask(self.application, method, path=path, query=query, headers=headers, parts=parts)
        for ticket in _TICKET_OF_A_FAULT.findall(reply.body):
            assert ticket.decode() in self.log.getvalue(), "a fault whose Id is no key to the log (SEC-61)"
        return reply

    def log_lines(self) -> list[dict[str, Any]]:
        """The log, line by line."""
        return [json.loads(line) for line in self.log.getvalue().splitlines() if line.startswith("{")]

    def written(self) -> tuple[list[Any], int]:
        """Every row of the repertory, and how many rows its history has."""
        with psycopg.connect(self.database) as connection:
            rows = connection.execute(
                "SELECT ssin, customer, inscription_context, periods::text FROM inscription ORDER BY 1, 2, 3"
            ).fetchall()
            history = connection.execute("SELECT count(*) FROM inscription_history").fetchone()
        assert history is not None
        return rows, int(history[0])


async def ask(
    application: SoapApplication,
    method: str,
    *,
    path: str = PATH,
    query: str = "",
    headers: Sequence[tuple[str, str]] = (),
    parts: Sequence[bytes | float | None] = (b"",),
    client: str = "127.0.0.1",
) -> HttpReply:
    """The reply of an ASGI application to one request."""
    left = list(parts)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        while left:
            part = left.pop(0)
            if part is None:
                return {"type": "http.disconnect"}
            if isinstance(part, bytes):
                return {"type": "http.request", "body": part, "more_body": bool(left)}
            await asyncio.sleep(part)
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "scheme": "http",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": (client, 1),
        "server": ("127.0.0.1", 2),
    }
    await application(scope, receive, send)
    start, *bodies = sent
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    assert len(dict(fields)) == len(fields), "a header of the reply stands twice"
    body = b"".join(event.get("body", b"") for event in bodies)
    assert dict(fields)["content-length"] == str(len(body))
    reply = HttpReply(status=start["status"], headers=dict(fields), body=body)
    if method == "POST":
        check_reply(reply, path=path, request=b"".join(part for part in parts if isinstance(part, bytes)))
    return reply


_UUID = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_TICKET_OF_A_FAULT = re.compile(rb'SystemError[^>]* Id="([^"]*)"')
_TEXT = re.compile(r">([^<>]{6,})<")
_OF_OUR_MAKE = ("Traceback", 'File "', ".py", "lxml", "libxml", "psycopg", "granian", "Error:", "Exception", sys.prefix)


def check_reply(reply: HttpReply, *, path: str, request: bytes) -> None:
    """Fails when a reply to any message tells too much, or is a fault against its schema (SEC-61, SEC-65, SEC-66).

    Every reply of every test comes by here. Of a refused request nothing may come back: no text of it, nothing that
    looks like a number of a person, no word of a program or a machine.
    """
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["server"] == ""
    assert b"wssecurity" not in reply.body
    if reply.status == 200:
        return
    told = _UUID.sub(b"", reply.body).decode()
    assert not re.search(r"[0-9]{6}-?[0-9]{3}|(?i:canary)", told), told
    for word in (*_OF_OUR_MAKE, *_own_host()):
        assert word not in told, told
    for charset in ("utf-8", "utf-16"):
        for text in _TEXT.findall(request.decode(charset, "replace")):
            assert text.strip() not in told or not text.strip(), told
    if reply.headers["content-type"] == "text/plain; charset=utf-8":
        assert reply.status in {400, 404, 408, 413, 415, 431}
        return
    assert reply.status in {500, 503}
    assert reply.headers["content-type"] == "text/xml; charset=utf-8"
    door = next(door for door in Door if door.path == path)
    fault = reply.element
    assert fault.tag == f"{{{SOAP}}}Fault"
    for error in fault.iterfind("detail/*"):
        schema_of(door).validate_fault(error)
    assert door.has_ksz_faults or UUID(fault.find(f"detail/{{{ERRORS}}}SystemError").get("Id"))  # type: ignore[union-attr, arg-type]  # both are there, or this fails


def _own_host() -> tuple[str, ...]:
    # A short name of a machine may well be a word of a fault's text.
    name = socket.gethostname()
    return (name,) if len(name) >= 8 else ()


@asynccontextmanager
async def alive(application: SoapApplication) -> AsyncIterator[None]:
    """The application between its start and its end, by ASGI's lifespan protocol."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.create_task(application({"type": "lifespan"}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    started = await outbox.get()
    assert started["type"] == "lifespan.startup.complete", started
    try:
        yield
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        await task


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the program logs, and every library at DEBUG."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def populated_database(postgresql: EmbeddedServer) -> str:
    """A database with the schema and a population, which the tests share: making one takes half a second."""
    with psycopg.connect(postgresql.connection_string, autocommit=True) as connection:
        connection.execute("CREATE DATABASE acceptance TEMPLATE template STRATEGY file_copy")
    database = psycopg.conninfo.make_conninfo(postgresql.connection_string, dbname="acceptance")
    load_population(database, make_population(persons=PERSONS, seed=SEED).persons, recipe="acceptance")
    return database


WRITTEN_BY_CALLS = (
    "inscription",
    "inscription_history",
    "replay_guard",
    "audit_record",
    "audit_chunk",
    "audit_person",
    "audit_evidence",
    "volume_count",
)


@pytest.fixture
def empty_repertory(populated_database: str) -> str:
    """The shared database without any inscription, history or message seen."""
    with psycopg.connect(populated_database) as connection:
        connection.execute("SET session_replication_role = replica")  # history refuses to be emptied otherwise
        # A few rows are gone sooner than TRUNCATE has made new files of every table and index.
        connection.execute("; ".join(f"DELETE FROM {table}" for table in WRITTEN_BY_CALLS))
    return populated_database


BuildFacade = Callable[..., Any]


@pytest.fixture
def build_facade(
    empty_repertory: str, tmp_path: Path, pki: TestPki, signers: dict[str, Signer], log: io.StringIO
) -> BuildFacade:
    """A context manager that gives a façade in front of an empty repertory, with the settings it is given."""

    @asynccontextmanager
    async def build(**settings: Any) -> AsyncIterator[InProcessFacade]:
        (tmp_path / "rules.yaml").write_bytes(rules_of_tests_yaml())
        (tmp_path / "authorities.pem").write_bytes(pki.authorities_pem)
        pki.write_revocation_lists(tmp_path, now=datetime.now(UTC))
        clock, listener = settings.pop("clock", utc_now), settings.pop("listener", Listener.TLS)
        (tmp_path / "audit-keys.toml").write_bytes(new_audit_keys("tests"))
        application = build_application(
            Settings(
                **{
                    "environment": "LOCAL",
                    "public_url": PUBLIC_URL,
                    "database": empty_repertory,
                    "access_rules": str(tmp_path / "rules.yaml"),
                    "tls": TlsListener(certificate="unused", private_key="unused"),
                    "plain": PlainListener(port=1),
                    "trust": Trust(
                        application_authorities=str(tmp_path / "authorities.pem"),
                        revocation_lists=(str(tmp_path / REVOCATION_LISTS),),
                    ),
                    "audit": Audit(keys=str(tmp_path / "audit-keys.toml")),
                    "limits": Limits(),
                    "validate_responses": True,
                    **settings,
                }
            ),
            listener=listener,
            clock=clock,
        )
        scenarios = make_population(persons=PERSONS, seed=SEED).scenarios
        async with alive(application):
            yield InProcessFacade(
                application=application,
                database=settings.get("database", empty_repertory),
                scenarios=dict(scenarios),
                signers=signers,
                log=log,
            )
        # SEC-74, after whatever the test did: no number and no name in any log, libraries at DEBUG included.
        for secret in secrets_of(scenarios.values()):
            assert secret not in log.getvalue()

    return build


@pytest.fixture
async def facade(build_facade: BuildFacade) -> AsyncIterator[InProcessFacade]:
    """A façade in front of an empty repertory and a population."""
    async with build_facade() as built:
        yield built


# -- the whole sandbox, and the command line ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def strangers(sandbox: RunningSandbox) -> Iterator[str]:
    """Numbers of living persons of the sandbox that no other test uses, one after the other."""
    scenarios = {int(scenario["ssin"]) for scenario in sandbox.manifest["scenarios"].values()}
    with psycopg.connect(sandbox.manifest["database"]) as connection:
        rows = connection.execute(
            "SELECT ssin FROM person WHERE status = 'active' AND decease_date IS NULL"
            " AND ssin NOT IN (SELECT replaced_by FROM person WHERE replaced_by IS NOT NULL) ORDER BY ssin DESC"
        ).fetchall()
    return iter([f"{number:011d}" for (number,) in rows if number not in scenarios])


@pytest.fixture
def stranger(strangers: Iterator[str]) -> str:
    """The number of a living person without any inscription."""
    return next(strangers)


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """What a command left behind."""

    exit_code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one sentence on standard error; fails when there is more, or a traceback anywhere."""
        assert "Traceback" not in self.out + self.err
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("cbss-inscription: ")
        return line.removeprefix("cbss-inscription: ")


Command = Callable[..., CommandResult]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `cbss-inscription` with arguments, in this process, as its entry point does."""

    def run(*arguments: object, stdin: str = "") -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["cbss-inscription", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        monkeypatch.setenv("COLUMNS", "120")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return CommandResult(exit_code=int(code) if code is not None else 0, out=out, err=err)

    return run


@pytest.fixture
def process() -> Command:
    """Runs `cbss-inscription` with arguments as a process of its own."""

    def run(*arguments: object, stdin: str = "", seconds: float = START_SECONDS_MAX) -> CommandResult:
        done = subprocess.run(
            [sys.executable, "-m", "cbss_inscription.cli.main", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return CommandResult(exit_code=done.returncode, out=done.stdout, err=done.stderr)

    return run


@pytest.fixture
def directory(reachable_directory: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory for a sandbox of this test; whatever still runs in it afterwards is a failure."""
    path = reachable_directory / re.sub(r"\W+", "-", request.node.name)
    yield path
    left = family_of(path)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.number, signal.SIGKILL)
    assert not left, sorted(process.command for process in left)


# -- a façade that would start -----------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path, pki: TestPki, populated_database: str) -> Path:
    """A settings file with which a façade would start."""
    (tmp_path / "rules.yaml").write_bytes(rules_of_tests_yaml())
    (tmp_path / "authorities.pem").write_bytes(pki.authorities_pem)
    pki.write_revocation_lists(tmp_path, now=datetime.now(UTC))
    pki.server.write(tmp_path / "server.crt.pem", tmp_path / "server.key.pem")
    pki.tls_authority.write(tmp_path / "other.crt.pem", tmp_path / "other.key.pem")
    write_privately(tmp_path / "audit-keys.toml", new_audit_keys("tests"))
    return write_settings(tmp_path, database=populated_database, trust='revocation_lists = ["revocation-lists.pem"]')
