"""Two operators who govern a database for a test: an proposes, ben approves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cbss_inscription.app.settings import Audit, Governance, Settings, TlsListener, Trust
from cbss_inscription.governance.entries import Entry, EntryKey, GovernedState
from cbss_inscription.governance.four_eyes import (
    Founder,
    RecordedDecision,
    RecordedProposal,
    Refused,
    Verdict,
    changes_to,
)
from cbss_inscription.governance.signatures import OperatorKey
from cbss_inscription.storage.governance import StoredRecord
from cbss_inscription.usecases.govern import begin, decide_proposal, propose_changes

AN, BEN = OperatorKey.generate(), OperatorKey.generate()


@dataclass(frozen=True, kw_only=True)
class Office:
    """The record in a database, and what its operators do."""

    conninfo: str
    anchor: str

    @classmethod
    def begun(cls, conninfo: str, *entries: Entry) -> Office:
        """Of a register that an and ben begin now, with these entries."""
        state = begin(
            StoredRecord(conninfo),
            entries,
            register="test",
            first=Founder(name="an", key=AN),
            second=Founder(name="ben", key=BEN),
            reason="begin",
            now=datetime.now(UTC),
        )
        assert isinstance(state, GovernedState), state
        return cls(conninfo=conninfo, anchor=state.digest)

    @property
    def record(self) -> StoredRecord:
        """Where it is kept."""
        return StoredRecord(self.conninfo)

    @property
    def settings(self) -> Settings:
        """The settings of a service that is governed by it."""
        return Settings(
            environment="LOCAL",
            public_url="https://localhost",
            database=self.conninfo,
            governance=Governance(anchor=self.anchor),
            tls=TlsListener(certificate="unused", private_key="unused"),
            trust=Trust(application_authorities="unused"),
            audit=Audit(keys="unused"),
        )

    def propose(
        self, *put: Entry, withdraw: Iterable[EntryKey] = (), key: OperatorKey = AN
    ) -> RecordedProposal | Refused:
        """What became of a proposal."""
        return propose_changes(
            self.record,
            lambda state: changes_to(state, put, withdraw),
            anchor=self.anchor,
            reason="why",
            key=key,
            now=datetime.now(UTC),
        )

    def approve(self, number: int, *, key: OperatorKey = BEN) -> RecordedDecision | Refused | None:
        """What became of an approval."""
        return decide_proposal(
            self.record,
            number,
            Verdict.APPROVED,
            anchor=self.anchor,
            remark=None,
            key=key,
            now=datetime.now(UTC),
        )

    def put(self, *entries: Entry, withdraw: Iterable[EntryKey] = ()) -> int:
        """The version in which these entries are in force."""
        proposed = self.propose(*entries, withdraw=withdraw)
        assert isinstance(proposed, RecordedProposal), proposed
        approved = self.approve(proposed.number)
        assert isinstance(approved, RecordedDecision), approved
        assert approved.version is not None
        return approved.version
