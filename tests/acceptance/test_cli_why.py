"""`cbss-inscription why`: a decision that was made, explained from the journal, each look recorded (SEC-60)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from cbss_inscription.governance.access import read_access_rules, write_access_rules
from cbss_inscription.governance.journal import canonical, read_audit_keys
from tests.acceptance.conftest import (
    FUND,
    REFUSING_PCSA,
    Command,
    CommandResult,
    InProcessFacade,
    consult,
    insert,
    legal_data_of,
    update,
)
from tests.acceptance.operating import records, write_settings
from tests.governing import Office
from tests.storage.chunks import write_chunk

Why = Callable[..., Awaitable[CommandResult]]


@pytest.fixture
def why(facade: InProcessFacade, tmp_path: Path, command: Command) -> Why:
    """Runs `why` on the façade's database and files, in a thread: the command has a loop of its own."""
    file = write_settings(tmp_path, database=facade.database)
    return lambda *arguments: asyncio.to_thread(command, "why", *arguments, "--settings", file, "--operator", "an.desk")


async def test_sec_60_every_kind_of_refusal_at_the_door_is_explained(facade: InProcessFacade, why: Why) -> None:
    """What a caller was refused is found by the ticket that the caller got, and explained with its code (SEC-60)."""
    active = facade.ssin("nr_active")
    other_name = legal_data_of(facade.scenarios["nr_active"].person, last_name="Zzyzx")
    genuine = facade.signed(consult(active))
    messages: dict[str, bytes] = {
        "SOA-03002": b"<x/>",
        "SOA-03001": b"<x",
        "SOA-01001": genuine,
        "SOA-03006": facade.signed(consult(active, legal_context="?")),
        "SOA-01002": facade.signed(consult(active), by="unknown-urn"),
        "MSG00011": facade.signed(consult(facade.ssin("invalid_check"))),
        "MSG00005": facade.signed(consult(facade.ssin("unknown"))),
        "MSG00006": facade.signed(consult(facade.ssin("replaced"), customer=REFUSING_PCSA)),
        "MSG00008": facade.signed(insert(active, begin="2026-02-01", end="2026-01-01")),
        "MSG00013": facade.signed(consult(active, legal_context="PCSA:NOT_GRANTED")),
        "CBI00101": facade.signed(consult(facade.ssin("canceled"))),
        "CBI00201": facade.signed(insert(active, context="PCSA:NOBODY_GRANTS")),
        "CBI00301": facade.signed(insert(active, legal_data=other_name)),
        "CBI00403": facade.signed(update(active)),
    }
    await facade.post(genuine)
    for code, message in messages.items():
        reply = await facade.post(message)
        assert reply.summary == code
        ticket = facade.log_lines()[-1]["ticket_cbss"]
        done = await why(ticket, "--format", "json")
        assert done.exit_code == 0
        (told,) = json.loads(done.out)
        assert (told["code"], told["record"]["ticket_cbss"]) == (code, ticket)
        assert all((told["text"], told["cause"], told["remedy"], told["decided_by"], told["can_be_changed_by"]))
        assert told["warnings"] == []
        assert bool(told["failed"]) == (code in {"SOA-01002", "MSG00006", "MSG00013", "CBI00201"})


async def test_sec_60_the_text_names_rule_condition_and_who_can_change_it(facade: InProcessFacade, why: Why) -> None:
    """For people it is one line a fact; the number stays sealed until it is asked for (SEC-60, SEC-75)."""
    ssin = facade.ssin("nr_active")
    await facade.send(consult(ssin, customer=FUND))
    (refused,) = records(facade.database)
    done = await why(refused.ticket_cbss)
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0].startswith("FAULT SOA-01002 ")
    assert "reason customer-not-bound" in lines
    assert refused.decision is not None
    assert f"access rule {refused.decision.access_rule}" in lines
    assert any(
        line.startswith("failed the permission ") and line.endswith(" is for another customer") for line in lines
    )
    assert "can be changed by KSZ, by the permission" in lines
    assert "number (asked) sealed by the key tests" in lines
    assert ssin not in done.out
    assert f"number (asked) {ssin}" in [
        " ".join(line.split()) for line in (await why(refused.ticket_cbss, "--show-number")).out.splitlines()
    ]


async def test_rule_50_who_reads_a_record_leaves_one(facade: InProcessFacade, why: Why, tmp_path: Path) -> None:
    """A look is a record of its own: who, at which call, about whom when the number was shown (rule 50, SEC-75)."""
    ssin = facade.ssin("nr_active")
    await facade.send(consult(ssin))
    (call,) = records(facade.database)
    await why(call.ticket_cbss)
    await why(call.ticket_cbss, "--show-number")
    _, closed, opened = records(facade.database)
    keys = read_audit_keys((tmp_path / "audit-keys.toml").read_bytes(), origin="keys")
    assert [look.operation for look in (closed, opened)] == ["auditRead", "auditRead"]
    for look in (closed, opened):
        assert look.look is not None
        assert (look.look.operator, look.look.record_count) == ("an.desk", 1)
        assert look.look.criteria == (f"ticket_cbss={call.ticket_cbss}",)
    assert (closed.persons, closed.look.numbers_shown if closed.look else None) == ((), False)
    assert [keys.open(person, UUID(opened.ticket_cbss)) for person in opened.persons] == [ssin]
    assert "ended as DATA_FOUND" in (await why(opened.ticket_cbss)).out


async def test_a_customers_ticket_finds_each_call_that_bore_it(facade: InProcessFacade, why: Why) -> None:
    """The customer's ticket finds every attempt under it, in its time only; an unknown one is status 1."""
    ticket = str(uuid4())
    for _ in range(2):
        await facade.send(consult(facade.ssin("nr_active"), ticket=ticket))
    found: list[Any] = json.loads((await why(ticket, "--format", "json")).out)
    assert [told["record"]["ticket_cbss"] for told in found] == [
        one.ticket_cbss for one in records(facade.database)[:2]
    ]
    long_ago = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
    nothing = await why(ticket, "--from", long_ago, "--until", long_ago)
    assert (nothing.exit_code, nothing.out) == (1, "No call of this ticket is in the journal, or not in that time.\n")
    assert (await why("no such ticket")).exit_code == 1


async def test_sec_60_a_line_of_a_batch_is_explained_like_a_call(
    facade: InProcessFacade, why: Why, tmp_path: Path
) -> None:
    """A line's record, which stands in a chunk, is found by our ticket and the customer's, and explained (SEC-60)."""
    keys = read_audit_keys((tmp_path / "audit-keys.toml").read_bytes(), origin="keys")
    ssins = [facade.ssin("nr_active"), facade.ssin("bis_active")]
    with psycopg.connect(facade.database) as connection:
        tickets = write_chunk(connection, keys, ssins, at=datetime.now(UTC), customer_tickets=["line 7"])
    for ticket in tickets:
        (told,) = json.loads((await why(ticket, "--format", "json")).out)
        assert (told["code"], told["record"]["ticket_cbss"]) == ("MSG00000", str(ticket))
    found = json.loads((await why("line 7", "--format", "json")).out)
    assert [told["record"]["ticket_cbss"] for told in found] == list(map(str, tickets))
    assert f"number (asked) {ssins[1]}" in " ".join((await why(tickets[1], "--show-number")).out.split())


async def test_sec_60_rules_that_changed_since_are_not_taken_for_those_that_decided(
    facade: InProcessFacade, why: Why, tmp_path: Path
) -> None:
    """When the file has another version, or cannot be read, the explanation says so (SEC-60)."""
    await facade.send(consult(facade.ssin("nr_active"), legal_context="PCSA:NOT_GRANTED"))
    (refused,) = records(facade.database)
    file = tmp_path / "rules.yaml"
    rules = read_access_rules(file.read_bytes(), origin="rules")
    text = write_access_rules(rules).replace(f"version: {rules.version}".encode(), b"version: 99")
    file.write_bytes(text)
    (told,) = json.loads((await why(refused.ticket_cbss, "--format", "json")).out)
    assert "version 99" in told["warnings"][0]
    file.unlink()
    (told,) = json.loads((await why(refused.ticket_cbss, "--format", "json")).out)
    assert "cannot be had" in told["warnings"][0]


async def test_sec_57_the_version_that_decided_and_who_made_it_are_told(
    facade: InProcessFacade, why: Why, tmp_path: Path, fresh_database: str, command: Command
) -> None:
    """Under four eyes a call is explained by the version that decided, with proposer and approver (SEC-57, SEC-60)."""
    rules = facade.door.operations.access_rules.current()
    office = Office.begun(fresh_database, *rules.access_rules, *rules.permissions)
    await facade.send(consult(facade.ssin("nr_active"), legal_context="PCSA:NOT_GRANTED"))
    (refused,) = records(facade.database)
    decision = refused.decision
    assert decision is not None
    written = msgspec.structs.replace(refused, decision=msgspec.structs.replace(decision, version=1))
    with psycopg.connect(fresh_database) as connection:
        connection.execute(
            "INSERT INTO audit_record VALUES (%s, %s, nextval('audit_record_number'), %s)",
            (datetime.now(UTC), refused.ticket_cbss, canonical(written).decode()),
        )
    # Since then the legal context is granted, and the access rule has other words.
    granted = [
        msgspec.structs.replace(permission, legal_contexts=permission.legal_contexts | {"PCSA:NOT_GRANTED"})
        for permission in rules.permissions
    ]
    assert office.put(*granted) == 2
    file = tmp_path / "settings.toml"
    text = file.read_text().replace(facade.database, fresh_database).replace('access_rules = "rules.yaml"\n', "")
    file.write_text(f'{text}[governance]\nanchor = "{office.anchor}"\n')
    (told,) = json.loads((await why(refused.ticket_cbss, "--format", "json")).out)
    assert told["warnings"] == []
    assert any("does not have the legal context" in sentence for sentence in told["failed"])
    assert told["rules_made_by"] == [
        {"rule": f"access-rule {decision.access_rule}", "proposed_by": "an", "approved_by": "ben", "version": 1}
    ]
    assert "version 1, proposed by an, approved by ben" in (await why(refused.ticket_cbss)).out
    with psycopg.connect(fresh_database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE governance_proposal SET signature = decode(repeat('00', 64), 'hex')")
    (told,) = json.loads((await why(refused.ticket_cbss, "--format", "json")).out)
    assert (told["rules_made_by"], "cannot be had" in told["warnings"][0]) == ([], True)
