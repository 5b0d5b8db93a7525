"""What comes back of a request, text for text, and what the façade says of itself (contract.md section 3)."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from lxml import etree

from tests.acceptance.conftest import (
    FUND,
    PCSA,
    InProcessFacade,
    consult,
    delete,
    head_of,
    insert,
    period_of,
    update,
)

TICKETS = [
    "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
    "6F9619FF-8B86-4D01-B42D-00CF4FC964FF",
    "x",
    "a ticket of 36 characters, no UUID..",
    "&lt;&amp;&gt;&quot;'",
    "ticket-é-漢-𝄞",
    "  blanks   kept  ",
]
TIMESTAMPS = [
    "2026-03-01T10:20:30.5+01:00",
    "2026-03-01T10:20:30Z",
    "2026-03-01T10:20:30",
    "2026-03-01T10:20:30.123456789012345-11:30",
    "2026-03-01T24:00:00+14:00",
    "2020-02-29T23:59:59.999999999Z",
    "0001-01-01T00:00:00Z",
]


def _canonical(element: etree._Element | None) -> bytes:
    assert element is not None
    return etree.tostring(element, method="c14n2")


@pytest.mark.parametrize("ticket", TICKETS)
async def test_the_customers_ticket_comes_back_verbatim(facade: InProcessFacade, ticket: str) -> None:
    """Any ticket of at most 36 characters is echoed as it was (contract.md 3, rule 49)."""
    reply = await facade.send(consult(facade.ssin("nr_active"), ticket=ticket))
    sent = etree.fromstring(head_of(ticket=ticket))
    assert _canonical(reply.response.find("informationCustomer")) == _canonical(sent)


@pytest.mark.parametrize("moment", TIMESTAMPS)
async def test_the_customers_timestamp_comes_back_verbatim(facade: InProcessFacade, moment: str) -> None:
    """Any xsd:dateTime is echoed with its offset and all its decimals (contract.md 3)."""
    reply = await facade.send(consult(facade.ssin("nr_active"), sent=moment))
    assert reply.response.findtext("informationCustomer/timestampSent") == moment


async def test_ticket_and_timestamp_may_be_absent(facade: InProcessFacade) -> None:
    """informationCustomer may hold the customer only, by either identification (CommonV3)."""
    ssin = facade.ssin("nr_active")
    bare = await facade.send(consult(ssin, ticket="", sent=""))
    assert _canonical(bare.response.find("informationCustomer")) == _canonical(
        etree.fromstring(head_of(ticket="", sent="", customer=PCSA))
    )
    asked = consult(ssin, ticket="", sent="", customer=FUND, legal_context="FAMILY_BENEFITS:ENTITLEMENT")
    fund = await facade.send(asked, by="family-fund")
    assert fund.response.findtext("informationCustomer/customerIdentification/cbeNumber") == "9000000290"


async def test_criteria_and_declarations_come_back_in_the_order_of_the_request(facade: InProcessFacade) -> None:
    """A response repeats the request's fields, adds informationCBSS, then status, ssin and the result."""
    ssin = facade.ssin("nr_active")
    period = period_of("2026-01-01+02:00", "2026-12-31Z")
    for content, name in (
        (insert(ssin, begin="2026-01-01+14:00", end="2026-12-31-11:00"), "declaration"),
        (consult(ssin, contexts=["PCSA:LIVING_WAGE", "PCSA:OTHER_AID"], period=period), "criteria"),
        (update(ssin, begin="2026-01-01Z", end="2026-12-31Z", new_begin="2026-02-01Z"), "declaration"),
        (delete(ssin, period=period), "declaration"),
    ):
        response = (await facade.send(content)).response
        asked = etree.fromstring(content)
        assert _canonical(response.find(name)) == _canonical(asked.find(name))
        tags = [child.tag for child in response]
        assert tags[:6] == ["informationCustomer", "informationCBSS", "legalContext", name, "status", "ssin"]


async def test_a_date_with_a_time_zone_is_that_day(facade: InProcessFacade) -> None:
    """A time zone says nothing of a day: 2026-01-01+14:00 is 1 January (contract.md 3)."""
    ssin = facade.ssin("nr_active")
    outcome = (await facade.send(insert(ssin, begin="2026-01-01+14:00", end="2026-12-31-11:00"))).outcome
    assert outcome.lines == (("PCSA:LIVING_WAGE", "2026-01-01", "2026-12-31"),)


async def test_the_facade_gives_each_exchange_a_ticket_and_times_of_its_own(facade: InProcessFacade) -> None:
    """ticketCBSS is unique and the log line's; times are UTC Z with at most 3 decimals, received before replied."""
    ssin = facade.ssin("nr_active")
    before = datetime.now(UTC)
    replies = await asyncio.gather(*(facade.send(consult(ssin)) for _ in range(20)))
    after = datetime.now(UTC)
    tickets = []
    for reply in replies:
        information = reply.response.find("informationCBSS")
        assert information is not None
        ticket, received, replied = (child.text or "" for child in information)
        assert str(UUID(ticket)) == ticket.lower()
        tickets.append(ticket)
        for text in (received, replied):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z", text)
        first, last = datetime.fromisoformat(received), datetime.fromisoformat(replied)
        assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= first <= last <= after
    assert len(set(tickets)) == 20
    assert {line["ticket_cbss"] for line in facade.log_lines()} == set(tickets)


async def test_what_is_stored_of_a_ticket(facade: InProcessFacade) -> None:
    """Of a ticket that is no UUID the first 32 characters are kept, of a UUID all 36; both echoed whole (rule 49)."""
    ssin = facade.ssin("nr_active")
    odd, uuid = "abcdefghijklmnopqrstuvwxyz0123456789", "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
    replies = [
        await facade.send(insert(ssin, ticket=odd, begin="2026-01-01", end="2026-01-01")),
        await facade.send(insert(ssin, ticket=uuid, begin="2026-03-01", end="2026-03-01")),
    ]
    assert [reply.response.findtext("informationCustomer/ticket") for reply in replies] == [odd, uuid]
    with psycopg.connect(facade.database) as connection:
        rows = connection.execute(
            "SELECT customer_ticket, ticket_cbss::text, application_urn, legal_context FROM inscription_history"
            " ORDER BY change_number"
        ).fetchall()
    own = [reply.response.findtext("informationCBSS/ticketCBSS") for reply in replies]
    assert [row[0] for row in rows] == [odd[:32], uuid]
    assert [row[1] for row in rows] == own
    assert {row[2:] for row in rows} == {("socialassistance:casefile:web", "PCSA:SOCIAL_INQUIRY")}


async def test_the_log_line_says_who_what_and_how_it_ended(facade: InProcessFacade) -> None:
    """A line has caller, operation, customer, legal context and outcome; no SSIN, no name (SEC-74)."""
    await facade.send(insert(facade.ssin("nr_active")))
    (line,) = facade.log_lines()
    assert line["application_urn"] == "socialassistance:casefile:web"
    assert (line["cbe_number"], line["customer"]) == ("9000000191", "17/1")
    assert (line["operation"], line["legal_context"]) == ("insertInscription", "PCSA:SOCIAL_INQUIRY")
    assert (line["status"], line["code"], line["event"]) == ("OK", "MSG00000", "answered")


async def test_the_response_carries_no_security_header(facade: InProcessFacade) -> None:
    """Responses are unsigned by contract (SEC-66)."""
    reply = await facade.send(consult(facade.ssin("nr_active")))
    assert b"Security" not in reply.body
    assert reply.headers["content-type"] == "text/xml; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
