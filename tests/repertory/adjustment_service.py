"""A repertory that speaks the second dialect: another house's server, on a real socket, over the same use cases.

It reads and writes that dialect by itself, with plain lxml and none of `client.adjustment`, as a foreign peer would.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from lxml import etree

from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.errors import MessageRejected, NotAuthenticated, NotAuthorized, ServiceUnavailable
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.inscription import Inscription, InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import Gender, LegalData
from cbss_inscription.domain.period import GivenPeriod, IncompleteDate
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InscriptionRequest,
    InsertInscription,
    UpdateInscription,
)
from cbss_inscription.domain.results import ConsultResult, InscriptionResult
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.envelope.soap11 import read_payload
from cbss_inscription.governance.access import AccessRules
from cbss_inscription.repertory.port import Repertory
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.security.verify import verify
from cbss_inscription.soap.authentication import caller_of
from cbss_inscription.usecases.change_inscription import delete_inscription, insert_inscription, update_inscription
from cbss_inscription.usecases.consult_inscriptions import consult_inscriptions

NS = "{urn:cbss-inscription:adjustment:v1}"
SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
SCHEMA = etree.XMLSchema(etree.fromstring(files("cbss_inscription.client").joinpath("adjustment.xsd").read_bytes()))
WORDS = {"DATA_FOUND": "FOUND", "NO_DATA_FOUND": "NONE", "NO_RESULT": "UNANSWERED", "OK": "DONE", "NOK": "REFUSED"}


@dataclass
class AdjustmentService:
    """The service: `answer` takes a message and gives the status and the bytes of a reply."""

    repertory: Repertory
    rules: AccessRules
    trust: TrustStore

    async def answer(self, body: bytes, action: str) -> tuple[int, bytes]:
        """The reply to one message."""
        ticket, now = uuid4(), datetime.now(UTC)
        try:
            verified = verify(body, charset="utf-8", policy=SecurityPolicy(), trust=self.trust, now=now)
            request = read_payload(verified.canonical_body).element
            SCHEMA.assertValid(request)
            name = etree.QName(request).localname
            assert action == f"urn:cbss-inscription:adjustment:v1#{name}"
            if name == "Probe":
                return 200, _envelope(etree.Element(f"{NS}ProbeReply"))
            exchange = Exchange(ticket_cbss=ticket, timestamp_receive=now, caller=caller_of(verified.caller))
            result = await self._perform(_read(request), exchange)
        except NotAuthenticated:
            return 500, _fault("Client", "NOT_KNOWN", ticket)
        except NotAuthorized:
            return 500, _fault("Client", "NOT_ALLOWED", ticket)
        except (MessageRejected, etree.DocumentInvalid):
            return 500, _fault("Client", "MISSHAPEN", ticket)
        except ServiceUnavailable:
            return 500, _fault("Server", "BUSY", ticket)
        return 200, _envelope(_reply(request, result, ticket, now))

    async def _perform(self, request: InscriptionRequest, exchange: Exchange) -> InscriptionResult:
        given: dict[str, Any] = {"rules": self.rules, "repertory": self.repertory}
        match request:
            case ConsultInscriptions():
                return await consult_inscriptions(request, exchange, **given)
            case InsertInscription():
                return await insert_inscription(request, exchange, **given)
            case UpdateInscription():
                return await update_inscription(request, exchange, **given)
            case DeleteInscription():
                return await delete_inscription(request, exchange, **given)


# -- what it reads --------------------------------------------------------------------------------------------------


def _read(element: etree._Element) -> InscriptionRequest:
    sent = element.get("SentAt")
    head: dict[str, Any] = {
        "information_customer": InformationCustomer(
            customer_identification=CustomerIdentification.of_key(element.attrib["Customer"]),
            ticket=element.attrib["Ticket"],
            timestamp_sent=None if sent is None else datetime.fromisoformat(sent),
        ),
        "legal_context": LegalContext(element.attrib["Basis"]),
        "ssin": (element.findtext(f"{NS}Subject") or "").replace("-", ""),
    }
    if element.tag == f"{NS}LookUp":
        between = element.find(f"{NS}Between")
        return ConsultInscriptions(
            **head,
            inscription_contexts=tuple(InscriptionContext(one.text or "") for one in element.iter(f"{NS}Quality")),
            period=None if between is None else _days(between),
            next=element.findtext(f"{NS}Resume"),
        )
    whole, entry = element.find(f"{NS}Whole"), element.find(f"{NS}Entry")
    if whole is not None:
        return DeleteInscription(**head, inscription_context=InscriptionContext(whole.text or ""))
    assert entry is not None
    head |= {"inscription_context": InscriptionContext(entry.attrib["Quality"]), "period": _days(entry)}
    match element.attrib["Action"]:
        case "INSERT":
            return InsertInscription(**head, legal_data=_bearer(element.find(f"{NS}Bearer")))
        case "REPLACE":
            instead = element.find(f"{NS}Instead")
            assert instead is not None
            return UpdateInscription(**head, new_period=_days(instead))
        case _:
            return DeleteInscription(**head)


def _days(element: etree._Element) -> GivenPeriod:
    begin, end = (element.get(name) for name in ("From", "Until"))
    return GivenPeriod(
        begin_date=None if begin is None else datetime.strptime(begin, "%Y%m%d").date(),
        end_date=None if end is None else datetime.strptime(end, "%Y%m%d").date(),
    )


def _bearer(element: etree._Element | None) -> LegalData | None:
    if element is None:
        return None
    born, sex = element.get("Born"), element.get("Sex")
    return LegalData(
        last_name=element.findtext(f"{NS}FamilyName"),
        given_names=tuple(name.text or "" for name in element.iter(f"{NS}FirstName")),
        birth_date=None if born is None else IncompleteDate(int(born[:4]), int(born[4:6]), int(born[6:])),
        gender=None if sex is None else {"M": Gender.MALE, "F": Gender.FEMALE, "U": Gender.UNKNOWN}[sex],
    )


# -- what it writes -------------------------------------------------------------------------------------------------


def _reply(request: etree._Element, result: InscriptionResult, ticket: UUID, received: datetime) -> etree._Element:
    reply = etree.Element(f"{request.tag}Reply")
    for name in ("Ticket", "SentAt", "Customer"):
        if name in request.attrib:
            reply.set(name, request.attrib[name])
    reply.set("Receipt", str(ticket))
    reply.set("Received", received.isoformat())
    reply.set("Answered", datetime.now(UTC).isoformat())
    reply.set("Word", WORDS[result.status.value])
    reply.set("Code", result.status.code)
    _notes(reply, result.status)
    if result.ssin is not None:
        subject = etree.SubElement(reply, f"{NS}Subject")
        subject.text = _number(result.ssin.current)
        if result.ssin.replaces is not None:
            subject.set("Formerly", _number(result.ssin.replaces))
        if result.ssin.canceled:
            subject.set("Withdrawn", "true")
    if isinstance(result, ConsultResult):
        for name in result.data_filters:
            etree.SubElement(reply, f"{NS}Withheld").text = name
    else:
        for tag, anomalies in (("Objection", result.validation_errors), ("Remark", result.anomalies)):
            for anomaly in anomalies:
                _notes(etree.SubElement(reply, NS + tag, Code=anomaly.code), anomaly)
    for line in result.inscriptions:
        _entry(reply, line)
    if isinstance(result, ConsultResult) and result.next is not None:
        etree.SubElement(reply, f"{NS}Resume").text = result.next
    return reply


def _notes(element: etree._Element, told: Any) -> None:
    for item in told.information:
        note = etree.SubElement(element, f"{NS}Note", Field=item.field_name)
        if item.field_value is not None:
            note.set("Value", item.field_value)


def _entry(reply: etree._Element, line: Inscription) -> None:
    entry = etree.SubElement(reply, f"{NS}Entry", Quality=line.inscription_context, From=_day(line.period.begin_date))
    if line.period.end_date is not None:
        entry.set("Until", _day(line.period.end_date))
    if line.organization is not None:
        entry.set("Holder", line.organization.key)
    if line.last_change is not None:
        entry.set("Changed", line.last_change.isoformat())


def _day(day: date) -> str:
    return day.isoformat().replace("-", "")


def _number(ssin: Ssin) -> str:
    return f"{ssin.digits[:6]}-{ssin.digits[6:9]}-{ssin.digits[9:]}"


def _fault(side: str, word: str, ticket: UUID) -> bytes:
    fault = etree.Element(f"{SOAP}Fault", nsmap={"s": SOAP[1:-1]})
    etree.SubElement(fault, "faultcode").text = f"s:{side}"
    etree.SubElement(fault, "faultstring").text = "no"
    etree.SubElement(etree.SubElement(fault, "detail"), f"{NS}Failure", Word=word, Receipt=str(ticket))
    return _envelope(fault)


def _envelope(element: etree._Element) -> bytes:
    envelope = etree.Element(f"{SOAP}Envelope", nsmap={"s": SOAP[1:-1]})
    etree.SubElement(envelope, f"{SOAP}Body").append(element)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


# -- the socket -----------------------------------------------------------------------------------------------------

Answer = Callable[[bytes, str], Awaitable[tuple[int, bytes]]]


@contextlib.contextmanager
def served(
    open_service: Callable[[], contextlib.AbstractAsyncContextManager[Answer]], *, certificate: Path, key: Path
) -> Iterator[str]:
    """The https URL where what `open_service` gives answers, in a thread with a loop of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    ready, place = threading.Event(), [0]
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def live() -> None:
        async with open_service() as answer:
            conversations: set[asyncio.Task[None]] = set()

            async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.current_task()
                assert task is not None
                conversations.add(task)
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                    while True:
                        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
                        body = await reader.readexactly(int(headers["content-length"]))
                        status, reply = await answer(body, headers["soapaction"].strip('"'))
                        writer.write(
                            f"HTTP/1.1 {status} X\r\nContent-Type: text/xml; charset=utf-8\r\n"
                            f"Content-Length: {len(reply)}\r\n\r\n".encode()
                            + reply
                        )
                        await writer.drain()
                writer.transport.abort()

            server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=context)
            place[0] = server.sockets[0].getsockname()[1]
            ready.set()
            await stop.wait()
            server.close()
            for task in conversations:
                task.cancel()
            await asyncio.gather(*conversations, return_exceptions=True)
            await server.wait_closed()
            await asyncio.sleep(0.05)  # for the loop to close what was aborted

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield f"https://localhost:{place[0]}/adjustment"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
