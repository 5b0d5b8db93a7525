"""What each call leaves in the audit journal, and that no call is answered without (rules 50, 51; SEC-60, SEC-71)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from cbss_inscription import safe_xml
from cbss_inscription.domain.errors import TemporarilyUnavailable
from cbss_inscription.domain.period import timestamp
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.journal import AuditKeys, AuditRecord, SealedRequest, read_audit_keys, read_record
from cbss_inscription.soap.message import RECORD_SECONDS_MIN
from tests.acceptance.conftest import LIVING_WAGE, InProcessFacade, consult, health, insert

Keys = Callable[[], AuditKeys]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Reads the keys of the facade under test."""
    return lambda: read_audit_keys((tmp_path / "audit-keys.toml").read_bytes(), origin="keys")


def records(facade: InProcessFacade) -> list[AuditRecord]:
    """The records in the journal, in the order of their arrival."""
    with psycopg.connect(facade.database) as connection:
        rows = connection.execute("SELECT content FROM audit_record ORDER BY record_number").fetchall()
    return [read_record(content.encode("utf-8")) for (content,) in rows]


def persons(record: AuditRecord, keys: AuditKeys) -> list[tuple[str | None, bool, bool]]:
    """The numbers in a record, each with whether it was asked, and whether it is the answer's."""
    ticket = UUID(record.ticket_cbss)
    return [(keys.open(person, ticket), person.asked, person.current) for person in record.persons]


async def test_rule_50_a_record_says_who_asked_what_about_whom_why_and_with_which_result(
    facade: InProcessFacade, keys: Keys
) -> None:
    """A write leaves one record: caller, operation, contexts, person, result, times, tickets, digests (rule 50)."""
    ssin, before = facade.ssin("nr_active"), datetime.now(UTC)
    message = facade.signed(insert(ssin))
    reply = await facade.post(message)
    (record,) = records(facade)
    (line,) = facade.log_lines()
    assert record.ticket_cbss == line["ticket_cbss"]
    assert (record.service, record.operation) == ("CBSSInscription", "insertInscription")
    assert (record.application_urn, record.cbe_number) == (line["application_urn"], line["cbe_number"])
    assert (record.environment, record.certificate) == ("LOCAL", line["certificate"])
    assert (record.customer, record.legal_context) == ("17/1", "PCSA:SOCIAL_INQUIRY")
    assert record.inscription_contexts == (LIVING_WAGE,)
    assert persons(record, keys()) == [(ssin, True, True)]
    assert (record.outcome.value, record.outcome.code, record.outcome.anomalies) == ("OK", "MSG00000", ())
    assert timestamp(before) <= record.timestamp_receive <= record.timestamp_reply <= timestamp(datetime.now(UTC))
    assert record.response_digest == hashlib.sha256(reply.body).hexdigest()
    assert ssin not in repr(record)


async def test_sec_60_the_rule_that_decided_is_recorded(facade: InProcessFacade) -> None:
    """The record names the version of the rules, the dossier of the access rule and the permission (SEC-60)."""
    rules = facade.door.operations.access_rules.current()
    await facade.send(insert(facade.ssin("nr_active")))
    await facade.send(consult(facade.ssin("nr_active"), legal_context="PCSA:NOT_GRANTED"))
    await facade.send(consult(facade.ssin("nr_active")), by="unknown-urn")
    decided, ungrounded, unknown = (record.decision for record in records(facade))
    assert decided is not None
    assert decided.version == rules.version
    assert decided.access_rule in {rule.dossier for rule in rules.access_rules}
    assert decided.permission in {permission.reference for permission in rules.permissions}
    assert ungrounded is not None
    assert (ungrounded.access_rule, ungrounded.permission) == (decided.access_rule, None)
    assert unknown is not None
    assert (unknown.version, unknown.access_rule, unknown.permission) == (rules.version, None, None)


async def test_rule_50_the_number_asked_and_the_current_one_are_recorded(facade: InProcessFacade, keys: Keys) -> None:
    """For a replaced number the record has both, each marked as what it is (rules 18, 50)."""
    scenario = facade.scenarios["replaced"]
    assert scenario.current is not None
    await facade.send(consult(scenario.ssin))
    (record,) = records(facade)
    assert persons(record, keys()) == [(scenario.ssin, True, False), (scenario.current.digits, False, True)]


async def test_sec_71_what_is_refused_leaves_its_record_too(facade: InProcessFacade, keys: Keys) -> None:
    """No signature, a replay, a broken schema, no access: each one record, as much in it as was found out (SEC-71)."""
    ssin = facade.ssin("nr_active")
    genuine = facade.signed(consult(ssin))
    await facade.post(genuine)
    for message in (b"<x/>", genuine, facade.signed(consult(ssin, legal_context="?"))):
        await facade.post(message)
    await facade.send(consult(ssin), by="unknown-urn")
    found = records(facade)
    outcomes = [(one.outcome.value, one.outcome.code, one.outcome.reason) for one in found]
    assert outcomes == [
        ("NO_DATA_FOUND", "MSG00100", None),
        ("FAULT", "SOA-03002", "root"),
        ("FAULT", "SOA-01001", "replayed"),
        ("FAULT", "SOA-03006", "schema"),
        ("FAULT", "SOA-01002", "no-access-rule"),
    ]
    assert found[1].request_digest == hashlib.sha256(b"<x/>").hexdigest()
    assert [one.application_urn is not None for one in found] == [True, False, True, True, True]
    assert [one.operation for one in found] == ["consultInscriptions", None, None, None, "consultInscriptions"]
    assert persons(found[4], keys()) == [(ssin, True, False)]


async def test_sec_71_the_digest_is_of_the_body_that_was_signed(facade: InProcessFacade) -> None:
    """The digest of an authenticated request is that of its canonical Body, as its signature has it (SEC-71)."""
    message = facade.signed(consult(facade.ssin("nr_active")))
    await facade.post(message)
    (record,) = records(facade)
    root = safe_xml.parse(message, charset="utf-8")
    digests = [element.text for element in root.iter("{http://www.w3.org/2000/09/xmldsig#}DigestValue")]
    assert record.request_digest is not None
    assert base64.b64encode(bytes.fromhex(record.request_digest)).decode() in digests


async def test_rule_50_a_health_check_and_a_page_of_the_feed_are_recorded(facade: InProcessFacade) -> None:
    """A health check leaves a record without customer or person (rule 50)."""
    await facade.send(health("PING"))
    (record,) = records(facade)
    assert (record.operation, record.outcome.value, record.customer) == ("healthCheck", "OK", None)
    assert record.decision is not None
    assert record.decision.access_rule is not None


class _Away:
    """A journal that cannot be written."""

    def admit(self) -> None:
        pass

    async def write(self, record: AuditRecord, *, received_at: datetime, evidence: object = None) -> None:
        raise TemporarilyUnavailable("audit")


class _Broken:
    """A journal with a defect."""

    def admit(self) -> None:
        pass

    async def write(self, record: AuditRecord, *, received_at: datetime, evidence: object = None) -> None:
        raise RuntimeError("the words of a defect")


class _Never:
    """A journal that never comes back."""

    def admit(self) -> None:
        pass

    async def write(self, record: AuditRecord, *, received_at: datetime, evidence: object = None) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("journal", "code", "reason"),
    [(_Away(), "SOA-02002", "audit"), (_Never(), "SOA-02002", "deadline"), (_Broken(), "SOA-00001", None)],
    ids=["away", "never", "broken"],
)
@pytest.mark.parametrize("verb", [consult, insert])
async def test_rule_51_without_its_record_no_call_is_answered(
    facade: InProcessFacade, journal: Any, code: str, reason: str | None, verb: Callable[[str], str]
) -> None:
    """When the record cannot be written the caller gets a fault instead of the answer (rule 51, SEC-71)."""
    facade.refit(journal=journal, answer_seconds_max=0.5 if isinstance(journal, _Never) else 15.0)
    reply = await facade.send(verb(facade.ssin("nr_active")))
    assert reply.fault_code == code
    assert facade.log_lines()[-1].get("reason") == reason
    assert "answered" not in {line["event"] for line in facade.log_lines()}


async def test_rule_51_a_refusal_is_not_given_without_its_record_either(facade: InProcessFacade) -> None:
    """A message that nobody signed is SOA-02002 too while the journal is away: nothing passes unrecorded (rule 51)."""
    facade.refit(journal=_Away())
    assert (await facade.post(b"<x/>")).fault_code == "SOA-02002"


async def test_sec_71_a_deadline_is_recorded_as_what_the_caller_was_told(facade: InProcessFacade) -> None:
    """A call that takes too long is recorded as the fault that its caller got (SEC-10, SEC-71)."""

    class Slow:
        async def perform(self, request: object, exchange: object) -> object:
            await asyncio.Event().wait()
            raise AssertionError

    facade.application._doors[facade.door.door.path] = replace(facade.door, operations=Slow(), answer_seconds_max=0.3)
    assert (await facade.send(consult(facade.ssin("nr_active")))).fault_code == "SOA-02002"
    (record,) = records(facade)
    assert (record.outcome.value, record.outcome.reason) == ("FAULT", "deadline")
    assert record.operation == "consultInscriptions"


async def test_sec_10_answer_and_record_share_one_deadline(facade: InProcessFacade) -> None:
    """An answer that used its time up leaves its record what is needed, not the whole time once more (SEC-10)."""

    class Slow:
        async def perform(self, request: object, exchange: object) -> object:
            await asyncio.Event().wait()
            raise AssertionError

    given: list[float | None] = []
    wait = asyncio.wait

    async def counted(tasks: Any, *, timeout: float | None = None) -> Any:
        given.append(timeout)
        return await wait(tasks, timeout=timeout)

    slow = replace(facade.door, operations=Slow(), journal=_Never(), answer_seconds_max=0.2)
    facade.application._doors[facade.door.door.path] = slow
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "wait", counted)
        assert (await facade.send(consult(facade.ssin("nr_active")))).fault_code == "SOA-02002"
    assert given == [0.2, RECORD_SECONDS_MIN]


async def test_sec_71_calls_at_once_leave_one_record_each(facade: InProcessFacade) -> None:
    """Many calls at the same time leave as many records, each with the ticket of its log line (SEC-71)."""
    messages = [facade.signed(consult(facade.ssin("nr_active"))) for _ in range(40)]
    await asyncio.gather(*(facade.post(message) for message in messages))
    tickets = [record.ticket_cbss for record in records(facade)]
    assert sorted(tickets) == sorted(line["ticket_cbss"] for line in facade.log_lines())
    assert len(set(tickets)) == 40


async def test_sec_71_a_record_is_found_by_its_time(facade: InProcessFacade) -> None:
    """A record stands under the moment at which its call came (SEC-71)."""
    await facade.send(consult(facade.ssin("nr_active")))
    (record,) = records(facade)
    with psycopg.connect(facade.database) as connection:
        row = connection.execute("SELECT received_at FROM audit_record").fetchone()
    assert row is not None
    assert timestamp(row[0]) == record.timestamp_receive
    assert datetime.now(UTC) - row[0] < timedelta(minutes=1)


class _Stopped(_Away):
    """A journal whose seals have stayed away for too long."""

    written: list[AuditRecord]

    def __init__(self) -> None:
        self.written = []

    def admit(self) -> None:
        raise TemporarilyUnavailable("audit-timestamping")

    async def write(self, record: AuditRecord, *, received_at: datetime, evidence: object = None) -> None:
        self.written.append(record)


@pytest.mark.parametrize("verb", [consult, insert])
async def test_sec_73_calls_are_refused_while_seals_stay_away(
    facade: InProcessFacade, verb: Callable[[str], str]
) -> None:
    """SOA-02002, recorded, nothing done; and the same message is answered once seals have caught up (SEC-73)."""
    working, stopped = facade.door.journal, _Stopped()
    facade.refit(journal=stopped)
    message = facade.signed(verb(facade.ssin("nr_active")))
    assert (await facade.post(message)).fault_code == "SOA-02002"
    (record,) = stopped.written
    assert (record.outcome.code, record.outcome.reason) == ("SOA-02002", "audit-timestamping")
    assert record.application_urn is not None
    with psycopg.connect(facade.database) as connection:
        assert connection.execute("SELECT count(*) FROM inscription_history").fetchone() == (0,)
    facade.refit(journal=working)
    assert (await facade.post(message)).status == 200


async def test_sec_76_requests_are_kept_only_of_operations_that_are_named(facade: InProcessFacade, keys: Keys) -> None:
    """Kept whole, sealed under its ticket, its digest in the record; of no other operation or refusal (SEC-76)."""
    ssin = facade.ssin("nr_active")
    await facade.send(insert(ssin))
    facade.refit(evidence_of=frozenset({Operation.INSERT_INSCRIPTION}))
    message = facade.signed(insert(ssin))
    await facade.post(message)
    await facade.send(consult(ssin))
    await facade.post(b"<x/>")
    found = records(facade)
    digests = [record.evidence_digest for record in found]
    assert digests == [None, hashlib.sha256(message).hexdigest(), None, None]
    with psycopg.connect(facade.database) as connection:
        ((ticket, key, sealed),) = connection.execute("SELECT ticket_cbss, key, sealed FROM audit_evidence").fetchall()
    assert str(ticket) == found[1].ticket_cbss
    request = SealedRequest(key=key, sealed=sealed)
    assert ssin.encode() not in sealed
    assert keys().open_request(request, ticket) == message
    with pytest.raises(ValueError, match="does not open"):
        keys().open_request(request, UUID(int=1))
