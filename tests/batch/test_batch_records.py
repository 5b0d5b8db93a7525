"""The records of a chunk's lines, made together, against those that calls online leave (rule 50)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
from hypothesis import given
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
from cbss_inscription.governance.journal import AuditKeys, AuditRecord, person_hashes, read_record
from cbss_inscription.governance.volumes import counted_call
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
    response_digest=st.just("ab" * 32),
    evidence_digest=st.none() | st.just("cd" * 32),
).filter(lambda line: line.request is not None or line.trail.permission is None)


def opened(record: AuditRecord, ticket: UUID) -> AuditRecord:
    """The record with its numbers as they open: no two seals are alike."""
    persons = tuple(
        msgspec.structs.replace(person, sealed=KEYS.open(person, ticket) or "") for person in record.persons
    )
    return msgspec.structs.replace(record, persons=persons)


@given(lines=st.lists(LINES, min_size=1, max_size=6), caller=CALLERS)
def test_rule_50_lines_leave_the_records_that_calls_do(lines: list[LineCall], caller: Caller) -> None:
    """A line's record is that of the same call online, in its one text, found and counted alike (rule 50, SEC-72)."""
    said = {"service": 'a "service"', "caller": caller, "request_digest": "ef" * 32}
    chunk = ChunkRecords(KEYS, received_at=RECEIVED, replied_at=REPLIED, **said)
    for line in [*lines, *lines]:
        entry = chunk.entry_of(line)
        online = record_of(
            Call(
                ticket_cbss=line.ticket_cbss,
                timestamp_receive=RECEIVED,
                timestamp_reply=REPLIED,
                request=line.request,
                trail=line.trail,
                ending=line.ending,
                response_digest=line.response_digest,
                evidence_digest=line.evidence_digest,
                **said,
            ),
            KEYS,
        )
        made = read_record(entry.content.encode())
        assert opened(made, line.ticket_cbss) == opened(online, line.ticket_cbss)
        assert entry.ticket == line.ticket_cbss
        assert entry.received_at == RECEIVED
        assert entry.hashes == tuple(person_hashes(online))
        assert entry.counted == counted_call(online)
