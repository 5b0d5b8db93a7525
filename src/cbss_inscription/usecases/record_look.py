"""The record that a look into the journal leaves in it: whoever reads about others is read about (SEC-75)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from cbss_inscription.domain.period import timestamp
from cbss_inscription.domain.results import StatusValue
from cbss_inscription.domain.ticket_cbss import new_ticket
from cbss_inscription.governance.journal import AuditedLook, AuditedOutcome, AuditKeys, AuditRecord

JOURNAL: Final = "auditJournal"
"""The `service` of these records."""


class Look(StrEnum):
    """The `operation` of these records."""

    SEARCH = "auditSearch"
    EXPORT = "auditExport"
    ARCHIVE = "auditArchive"
    """A month went from the database into an archive file."""
    EXPIRY = "auditExpiry"
    """An archive file was deleted, for its time was over."""
    HOLD = "auditHold"
    RELEASE = "auditRelease"
    """A legal hold was placed, or released."""
    DISCLOSURE = "auditDisclosure"
    """A request that was kept was shown."""
    DELETION = "auditDeletion"
    """Requests that were kept are deleted; records never are."""
    READ = "auditRead"
    """A decision was explained."""
    PERSON_REPORT = "auditPersonReport"
    """A person, or whoever acts for one, was told who knows and consulted them (rule 53)."""


def record_of_look(
    look: Look,
    keys: AuditKeys,
    *,
    operator: str,
    criteria: Iterable[str],
    ssin: str | None = None,
    shown: Iterable[str] = (),
    record_count: int,
    numbers_shown: bool = False,
    digest: str | None = None,
    began: datetime,
    now: datetime,
) -> AuditRecord:
    """The record of a look that is about to be shown: for `ssin`, when that was asked; of the persons `shown`."""
    ticket = new_ticket()
    asked = () if ssin is None else (keys.seal(ssin, ticket, asked=True),)
    others = tuple(keys.seal(digits, ticket) for digits in dict.fromkeys(shown) if digits != ssin)
    value = StatusValue.DATA_FOUND if record_count else StatusValue.NO_DATA_FOUND
    return AuditRecord(
        ticket_cbss=str(ticket),
        timestamp_receive=timestamp(began),
        timestamp_reply=timestamp(now),
        service=JOURNAL,
        operation=look.value,
        persons=(*asked, *others),
        look=AuditedLook(
            operator=operator, criteria=tuple(criteria), record_count=record_count, numbers_shown=numbers_shown
        ),
        outcome=AuditedOutcome(value=value.value),
        response_digest=digest,
    )
