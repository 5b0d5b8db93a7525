"""Chunks of records as batches write them, for the tests of whatever reads the journal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import cycle
from typing import Any
from uuid import UUID

import psycopg

from cbss_inscription.batch.records import ChunkRecords, LineCall
from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.exchange import Caller, KnownBy, Trail
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import ConsultInscriptions
from cbss_inscription.domain.results import ConsultResult, SsinAnswer, Status, StatusValue
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.domain.ticket_cbss import new_tickets
from cbss_inscription.governance.journal import AuditKeys
from cbss_inscription.storage.binary_rows import whole
from cbss_inscription.storage.queries import QUERIES

Connection = psycopg.Connection[tuple[Any, ...]]
CALLER = Caller(
    application_urn="urn:app:batch",
    cbe_number="0200000012",
    environment="LOCAL",
    certificate_fingerprint=None,
    known_by=KnownBy.TOKEN,
    network=None,
)
FOUND = Status(value=StatusValue.DATA_FOUND, code=OutcomeCode.SUCCESS)


def write_chunk(
    connection: Connection,
    keys: AuditKeys,
    ssins: Sequence[str],
    *,
    at: datetime,
    customer_tickets: Sequence[str | None] = (None,),
    customer: CustomerIdentification | None = None,
) -> list[UUID]:
    """The tickets of a chunk's records, which stand in the journal: of each number all lines were asked for.

    Each second line is about a number that was replaced by the first one's. Customer tickets come again and again.
    """
    recording = ChunkRecords(
        keys, service="CBSSInscription", caller=CALLER, received_at=at, replied_at=at, request_digest="ef" * 32
    )
    tickets = new_tickets(len(ssins))
    for place, (ssin, ticket, theirs) in enumerate(zip(ssins, tickets, cycle(customer_tickets), strict=False)):
        current = Ssin(ssins[0] if place % 2 else ssin)
        recording.add(
            LineCall(
                ticket_cbss=ticket,
                request=ConsultInscriptions(
                    information_customer=InformationCustomer(
                        customer_identification=customer or CustomerIdentification(sector=17, institution=1),
                        ticket=theirs,
                    ),
                    legal_context=LegalContext("PCSA:SOCIAL_INQUIRY"),
                    ssin=ssin,
                    inscription_contexts=(InscriptionContext("PCSA:LIVING_WAGE"),),
                ),
                trail=Trail(rules_version=1, access_rule="UD-1", permission="KSZ-1"),
                ending=ConsultResult(status=FOUND, ssin=SsinAnswer(current=current)),
                response_digest=bytes([place % 256]) * 32,
            )
        )
    with connection.cursor() as cursor, cursor.copy(QUERIES["copy_audit_chunk"]) as copy:
        copy.write(whole([recording.chunk.row()]))
    return tickets
