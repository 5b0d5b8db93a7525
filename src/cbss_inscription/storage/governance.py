"""The record of governance, as the database keeps it: rows that only come, read whole and believed in nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from cbss_inscription.domain.errors import TemporarilyUnavailable, UsageError
from cbss_inscription.governance.four_eyes import RecordedDecision, RecordedProposal
from cbss_inscription.governance.signatures import Signed, digest_of
from cbss_inscription.storage.database import BoundedConnection, bounded
from cbss_inscription.storage.queries import QUERIES

_Connection = psycopg.Connection[tuple[Any, ...]]


class StoredRecord:
    """The record in one database, by a connection of its own for each call: few ask, and seldom.

    Every method raises `TemporarilyUnavailable` when the database does not answer, `UsageError` when it refuses.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    def read(self) -> tuple[RecordedProposal, ...]:
        """Every proposal, with its decision, as they are at one moment."""
        with _connection(self._conninfo) as connection:
            return _read(connection)

    def head(self) -> tuple[int, str] | None:
        """The version in force, and the digest of the approval that made it; None before the first."""
        with _connection(self._conninfo) as connection:
            row = connection.execute(QUERIES["governance_head"]).fetchone()
        return None if row is None else (row[0], digest_of(Signed.DECISION, row[1].encode("utf-8")))

    @contextmanager
    def opened(self) -> Iterator[OpenedRecord]:
        """The record while nobody else writes it; what was written is committed when the block ends in order."""
        with _connection(self._conninfo) as connection, connection.transaction():
            connection.execute(QUERIES["lock_governance"])
            yield OpenedRecord(connection)


class OpenedRecord:
    """A `usecases.govern.OpenRecord` in one transaction."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def read(self) -> tuple[RecordedProposal, ...]:
        """See `OpenRecord.read`."""
        return _read(self._connection)

    def add_proposal(self, proposed: RecordedProposal) -> None:
        """See `OpenRecord.add_proposal`."""
        self._connection.execute(
            QUERIES["write_proposal"],
            {
                "proposal_number": proposed.number,
                "proposed_by": proposed.proposed_by,
                "content": proposed.text.decode("utf-8"),
                "signature": proposed.signature,
            },
        )

    def add_decision(self, number: int, decision: RecordedDecision) -> None:
        """See `OpenRecord.add_decision`."""
        self._connection.execute(
            QUERIES["write_decision"],
            {
                "proposal_number": number,
                "decided_by": decision.decided_by,
                "version": decision.version,
                "content": decision.text.decode("utf-8"),
                "signature": decision.signature,
            },
        )


def _read(connection: _Connection) -> tuple[RecordedProposal, ...]:
    return tuple(
        RecordedProposal(
            number=number,
            proposed_by=proposed_by,
            text=content.encode("utf-8"),
            signature=bytes(signature),
            decision=None
            if decided_by is None
            else RecordedDecision(
                decided_by=decided_by,
                version=version,
                text=decision_content.encode("utf-8"),
                signature=bytes(decision_signature),
            ),
        )
        for (
            number,
            proposed_by,
            content,
            signature,
            decided_by,
            version,
            decision_content,
            decision_signature,
        ) in connection.execute(QUERIES["governance_record"])
    )


@contextmanager
def _connection(conninfo: str) -> Iterator[_Connection]:
    try:
        with BoundedConnection.connect(bounded(conninfo), client_encoding="UTF8", autocommit=True) as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise TemporarilyUnavailable("database") from error
    except psycopg.Error as error:
        raise UsageError(f"the database refuses the record of governance: {type(error).__name__}") from None
