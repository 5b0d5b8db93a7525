"""The records of a chunk's lines: what is the same in all that end alike is written once (rule 50).

They are the records that `record_of` makes of calls online, to the byte; a property compares them.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from itertools import count
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from cbss_inscription.domain.errors import CbssInscriptionError
from cbss_inscription.domain.exchange import Caller, Trail
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.requests import InscriptionRequest, contexts_named
from cbss_inscription.domain.results import ConsultResult, InscriptionResult, WriteResult
from cbss_inscription.governance.journal import (
    AuditedOutcome,
    AuditKeys,
    SealedRequest,
    canonical_persons,
    new_nonces,
)
from cbss_inscription.governance.volumes import CountedCall, counted_call
from cbss_inscription.storage.journal import JournalEntry
from cbss_inscription.usecases.record_call import Call, outcome_of, persons_of, record_of

_OF_A_LINE = ("customer_ticket", "evidence_digest", "persons", "response_digest", "ticket_cbss")
"""What differs between records that are alike, in the order of the canonical text."""


NONCES_AT_ONCE: Final = 250
"""Nonces that are made together."""


class LineCall(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a line when it has ended, beside what it shares with its chunk."""

    ticket_cbss: UUID
    request: InscriptionRequest | None
    trail: Trail
    ending: InscriptionResult | CbssInscriptionError | None
    """None for a defect."""
    response_digest: str
    evidence_digest: str | None = None
    evidence: SealedRequest | None = None


class _Kind(NamedTuple):
    """What makes records alike, within a chunk."""

    request: type[InscriptionRequest | None]
    inscription_contexts: tuple[InscriptionContext, ...]
    rules_version: int | None
    access_rule: str | None
    permission: str | None
    outcome: AuditedOutcome


class _Alike(NamedTuple):
    """The text of records that are alike, in the pieces between what differs; and how their calls are counted."""

    pieces: tuple[str, ...]
    counted: CountedCall | None


class ChunkRecords:
    """Makes the journal's entries for the lines of one chunk."""

    def __init__(
        self,
        keys: AuditKeys,
        *,
        service: str,
        caller: Caller,
        received_at: datetime,
        replied_at: datetime,
        request_digest: str,
    ) -> None:
        self._keys = keys
        self._service = service
        self._caller = caller
        self._received_at = received_at
        self._replied_at = replied_at
        self._request_digest = request_digest
        self._key = f'"key":{_json(keys.current)}'
        self._known: dict[_Kind, _Alike] = {}
        self._nonces = (nonce for _ in count() for nonce in new_nonces(NONCES_AT_ONCE))

    def entry_of(self, line: LineCall) -> JournalEntry:
        """The entry whose content is the canonical text of the line's record."""
        request, trail, ticket = line.request, line.trail, line.ticket_cbss
        kind = _Kind(
            type(request),
            () if request is None else contexts_named(request),
            trail.rules_version,
            trail.access_rule,
            trail.permission,
            outcome_of(line.ending),
        )
        alike = self._known.get(kind)
        if alike is None:
            alike = self._known[kind] = self._alike(line)
        persons, hashes = self._persons_of(line)
        customer_ticket = None if request is None else request.information_customer.ticket_stored
        before_ticket, before_evidence, before_persons, before_response, before_cbss, rest = alike.pieces
        content = (
            f"{before_ticket}{_json(customer_ticket)}{before_evidence}{_json(line.evidence_digest)}"
            f"{before_persons}{persons}"
            f'{before_response}"{line.response_digest}"{before_cbss}{_json(ticket)}{rest}'
        )
        return JournalEntry(
            received_at=self._received_at,
            ticket=ticket,
            content=content,
            hashes=hashes,
            counted=alike.counted,
            evidence=line.evidence,
        )

    def _persons_of(self, line: LineCall) -> tuple[str, tuple[bytes, ...]]:
        """The canonical text of the persons of a line, and what each is found by."""
        request, ending = line.request, line.ending
        if request is None:
            return "[]", ()
        answer = ending.ssin if isinstance(ending, (ConsultResult, WriteResult)) else None
        if answer is None or answer.current.digits != request.ssin:
            persons = tuple(persons_of(request, ending, line.ticket_cbss, self._keys))
            return canonical_persons(persons).decode(), tuple([bytes.fromhex(person.hash) for person in persons])
        # As a rule the answer is about the number asked.
        hashed, sealed = self._keys.seal_number(request.ssin, line.ticket_cbss, nonce=next(self._nonces))
        return f'[{{"asked":true,"current":true,"hash":"{hashed.hex()}",{self._key},"sealed":"{sealed}"}}]', (hashed,)

    def _alike(self, line: LineCall) -> _Alike:
        """What all records have that are alike this line's."""
        record = record_of(
            Call(
                ticket_cbss=line.ticket_cbss,
                timestamp_receive=self._received_at,
                timestamp_reply=self._replied_at,
                service=self._service,
                caller=self._caller,
                request=line.request,
                trail=line.trail,
                ending=line.ending,
                request_digest=self._request_digest,
                response_digest=line.response_digest,
                evidence_digest=line.evidence_digest,
            ),
            self._keys,
        )
        mark = secrets.token_hex()  # in no text that a caller or an operator chose
        said = msgspec.to_builtins(record) | dict.fromkeys(_OF_A_LINE, mark)
        text = msgspec.json.encode(said, order="sorted").decode()
        return _Alike(tuple(text.split(f'"{mark}"')), counted_call(record))


def _json(value: str | UUID | None) -> str:
    return "null" if value is None else _ENCODER.encode(value).decode()


_ENCODER: Final = msgspec.json.Encoder()
