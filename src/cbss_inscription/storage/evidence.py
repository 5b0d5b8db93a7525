"""Requests that are kept beside the audit journal, where settings say so: read, and deleted apart from it (SEC-76)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from cbss_inscription.governance.journal import AuditRecord, SealedRequest
from cbss_inscription.storage.chain import Connection, write_records
from cbss_inscription.storage.queries import QUERIES


def kept_request(connection: Connection, ticket: UUID) -> SealedRequest | None:
    """The request of a ticket; None when it was not kept, or is deleted."""
    row = connection.execute(QUERIES["evidence_of"], {"ticket_cbss": ticket}).fetchone()
    return None if row is None else SealedRequest(key=row[0], sealed=row[1])


def delete_requests(
    connection: Connection,
    record_of: Callable[[int], AuditRecord],
    *,
    ticket: UUID | None = None,
    before: datetime | None = None,
    now: datetime,
) -> int:
    """How many requests are deleted now: that of a ticket, or all that came before then.

    The record of it is written in the same transaction; those of the calls stay, with the requests' digests.
    """
    with connection.transaction():
        if ticket is not None:
            count = connection.execute(QUERIES["delete_evidence_of"], {"ticket_cbss": ticket}).rowcount
        else:
            count = connection.execute(QUERIES["delete_evidence_before"], {"before": before}).rowcount
        write_records(connection, [(now, record_of(count))])
    return count
