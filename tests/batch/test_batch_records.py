"""The records of a chunk's lines, made together, against those that calls online leave (rule 50)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbss_inscription.batch.records import ChunkRecords, LineCall
from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.errors import ContentViolation, NotAuthorized
from cbss_inscription.domain.exchange import Caller, KnownBy, Trail
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.period import GivenPeriod
from cbss_inscription.domain.requests import ConsultInscriptions, InsertInscription
from cbss_inscription.domain.results import Anomaly, ConsultResult, SsinAnswer, Status, StatusValue, WriteResult
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.domain.ticket_cbss import new_tickets
from cbss_inscription.governance.journal import AuditKeys, AuditRecord, canonical, person_hashes, read_record
from cbss_inscription.governance.volumes import CountedCall, counted_call
from cbss_inscription.storage.audit_chunk import AuditChunk
from cbss_inscription.storage.binary_rows import whole
from cbss_inscription.storage.queries import QUERIES
from cbss_inscription.usecases.record_call import Call, record_of

RECEIVED, REPLIED = datetime(2026, 3, 1, 10, tzinfo=UTC), datetime(2026, 3, 1, 10, 0, 1, tzinfo=UTC)
KEYS = AuditKeys({'"odd': (b"1" * 32, b"2" * 32)}, current='"odd')
ASKED, CURRENT = "40600000197", "40600000296"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CALLERS = st.builds(
    Caller,
    application_urn=TEXT,
    cbe_number=st.just("0200000012"),
    environment=st.just("LOCAL"),
    certificate_fingerprint=st.none() | st.just("00" * 32),
    known_by=st.sampled_from(KnownBy),
    network=st.none() | TEXT,
)
INFORMATION = st.builds(
    InformationCustomer,
    customer_identification=st.just(CustomerIdentification(sector=17, institution=1)),
    ticket=st.none() | TEXT | st.uuids().map(str),
)
CONTEXTS = st.sampled_from([InscriptionContext("PCSA:LIVING_WAGE"), InscriptionContext("PCSA:DEBT_MEDIATION")])
GROUND = st.just(LegalContext("PCSA:SOCIAL_INQUIRY"))
REQUESTS = (
    st.none()
    | st.builds(
        ConsultInscriptions,
        information_customer=INFORMATION,
        legal_context=GROUND,
        ssin=st.just(ASKED),
        inscription_contexts=st.lists(CONTEXTS, max_size=2).map(tuple),
    )
    | st.builds(
        InsertInscription,
        information_customer=INFORMATION,
        legal_context=GROUND,
        ssin=st.just(ASKED),
        inscription_context=CONTEXTS,
        period=st.just(GivenPeriod(begin_date=date(2026, 1, 1))),
    )
)
CODES = st.sampled_from([OutcomeCode.SUCCESS, OutcomeCode.VOLUME_EXCEEDED, OutcomeCode.SSIN_REPLACED])
STATUS = st.builds(Status, value=st.sampled_from(StatusValue), code=CODES)
ANSWERED = st.none() | st.sampled_from([ASKED, CURRENT]).map(lambda digits: SsinAnswer(current=Ssin(digits)))
ENDINGS = (
    st.none()
    | st.sampled_from([ContentViolation("batch-line"), NotAuthorized("no-access-rule")])
    | st.builds(ConsultResult, status=STATUS, ssin=ANSWERED)
    | st.builds(
        WriteResult,
        status=STATUS,
        ssin=ANSWERED,
        anomalies=st.lists(st.builds(Anomaly, code=CODES), max_size=2).map(tuple),
    )
)
TRAILS = st.builds(
    Trail,
    rules_version=st.none() | st.integers(1, 2),
    access_rule=st.none() | TEXT,
    permission=st.none(),
) | st.builds(Trail, rules_version=st.just(1), access_rule=st.just("UD-1"), permission=st.just("KSZ-1"))
LINES = st.builds(
    LineCall,
    ticket_cbss=st.uuids(),
    request=REQUESTS,
    trail=TRAILS,
    ending=ENDINGS,
    response_digest=st.binary(min_size=32, max_size=32),
    evidence_digest=st.none() | st.binary(min_size=32, max_size=32),
).filter(lambda line: line.request is not None or line.trail.permission is None)


Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def connection(make_database: Callable[[str], str]) -> Iterator[Connection]:
    with psycopg.connect(make_database("own")) as connection:
        yield connection


def written_and_read(
    connection: Connection, chunk: AuditChunk
) -> tuple[list[tuple[UUID, datetime, str]], set[tuple[bytes, UUID]]]:
    """The records that the database gives back for this chunk, each with its ticket and time; and for each of its
    persons' hashes the tickets that it finds.
    """
    with connection.transaction(force_rollback=True):
        with connection.cursor() as cursor, cursor.copy(QUERIES["copy_audit_chunk"]) as copy:
            copy.write(whole([chunk.row()]))
        records = connection.execute(
            "SELECT ticket_cbss, received_at, content FROM audit_journal ORDER BY record_number, place"
        ).fetchall()
        found = connection.execute(
            "SELECT hash, ticket_cbss FROM audit_chunk CROSS JOIN unnest(person_hashes) AS hash"
            " CROSS JOIN audit_records_found_by(ARRAY[hash], NULL, NULL)"
        ).fetchall()
        return records, set(found)


def opened(record: AuditRecord, ticket: UUID) -> list[str | None]:
    """The numbers of a record as they open."""
    return [KEYS.open(person, ticket) for person in record.persons]


def sealed_as(record: AuditRecord, other: AuditRecord) -> AuditRecord:
    """The record with the seals of another one: no two seals are alike."""
    persons = zip(record.persons, other.persons, strict=True)
    return msgspec.structs.replace(
        record, persons=tuple(msgspec.structs.replace(one, sealed=another.sealed) for one, another in persons)
    )


@settings(deadline=None)
@given(lines=st.lists(LINES, min_size=1, max_size=6), caller=CALLERS)
def test_rule_50_lines_leave_the_records_that_calls_do(
    connection: Connection, lines: list[LineCall], caller: Caller
) -> None:
    """What the journal gives back of a line is, to the byte, the record of the same call online, found and counted
    alike (rule 50, SEC-72).
    """
    said = {"service": 'a "service" of 100%s', "caller": caller, "request_digest": "ef" * 32}
    recording = ChunkRecords(KEYS, received_at=RECEIVED, replied_at=REPLIED, **said)
    both = [*lines, *lines]
    calls = [
        msgspec.structs.replace(line, ticket_cbss=ticket)
        for line, ticket in zip(both, new_tickets(len(both)), strict=True)
    ]
    for line in calls:
        recording.add(line)
    found_by, counted = set[tuple[bytes, UUID]](), Counter[CountedCall]()
    read, found = written_and_read(connection, recording.chunk)
    for line, (ticket, received_at, content) in zip(calls, read, strict=True):
        online = record_of(
            Call(
                ticket_cbss=line.ticket_cbss,
                timestamp_receive=RECEIVED,
                timestamp_reply=REPLIED,
                request=line.request,
                trail=line.trail,
                ending=line.ending,
                response_digest=line.response_digest.hex(),
                evidence_digest=None if line.evidence_digest is None else line.evidence_digest.hex(),
                **said,
            ),
            KEYS,
        )
        made = read_record(content.encode())
        assert content.encode() == canonical(sealed_as(online, made))
        assert opened(made, line.ticket_cbss) == opened(online, line.ticket_cbss)
        assert (ticket, received_at) == (line.ticket_cbss, RECEIVED)
        found_by.update((person_hash, ticket) for person_hash in person_hashes(online))
        counted.update([call for call in [counted_call(online)] if call is not None])
    assert found == found_by
    assert recording.chunk.counts() == counted
