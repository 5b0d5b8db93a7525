"""The records of a chunk's lines: what is the same in all that end alike is written once (rule 50).

As the database gives them back they are the records that `record_of` makes of calls online, to the byte; a property
compares them.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from itertools import count
from typing import Final
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
    canonical_string,
    new_nonces,
)
from cbss_inscription.governance.volumes import counted_call
from cbss_inscription.storage.audit_chunk import AuditChunk, form_of
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
    response_digest: bytes
    evidence_digest: bytes | None = None
    evidence: SealedRequest | None = None


_Kind = tuple[
    type[InscriptionRequest | None],
    tuple[InscriptionContext, ...],
    int | None,
    str | None,
    str | None,
    AuditedOutcome,
    bool,
]
"""What makes records alike, within a chunk: request, contexts, what decided (version, access rule, permission), the
outcome, and whether they are about one person, who was asked and is current.
"""


class ChunkRecords:
    """Makes the records of the lines of one chunk: they are in `chunk`."""

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
        self.chunk = AuditChunk(received_at=received_at)
        self._form_numbers: dict[_Kind, int] = {}
        self._nonces = (nonce for _ in count() for nonce in new_nonces(NONCES_AT_ONCE))

    def add(self, line: LineCall) -> None:
        """Nothing; the line's record is in the chunk. Lines come in the order of their tickets."""
        chunk, request, ending, ticket = self.chunk, line.request, line.ending, line.ticket_cbss
        is_about_one = False
        if request is not None:
            answer = ending.ssin if isinstance(ending, (ConsultResult, WriteResult)) else None
            is_about_one = answer is not None and answer.current.digits == request.ssin
        trail = line.trail
        kind = (
            type(request),
            () if request is None else contexts_named(request),
            trail.rules_version,
            trail.access_rule,
            trail.permission,
            outcome_of(ending),
            is_about_one,
        )
        form_number = self._form_numbers.get(kind)
        if form_number is None:
            form_number = self._form_numbers[kind] = self._add_form(line, is_about_one=is_about_one)
        person, others = self._persons_of(line, is_about_one=is_about_one)
        customer_ticket = None if request is None else request.information_customer.ticket_stored
        chunk.tickets.append(ticket.bytes)
        chunk.form_numbers.append(form_number)
        chunk.customer_tickets.append(None if customer_ticket is None else canonical_string(customer_ticket))
        chunk.persons.append(person)
        chunk.other_persons.append(others)
        chunk.response_digests.append(line.response_digest)
        chunk.evidence_digests.append(line.evidence_digest)
        if line.evidence is not None:
            chunk.evidence.append((ticket.bytes, line.evidence))

    def _persons_of(self, line: LineCall, *, is_about_one: bool) -> tuple[bytes | None, str | None]:
        """The persons of a line, as the chunk has them; each finds the record."""
        request, ticket = line.request, line.ticket_cbss
        if is_about_one:
            assert request is not None
            hashed, sealed = self._keys.seal_number(request.ssin, ticket, nonce=next(self._nonces))
            self.chunk.person_hashes.add(hashed)
            return hashed + sealed, None
        persons = tuple(persons_of(request, line.ending, ticket, self._keys))
        self.chunk.person_hashes.update(bytes.fromhex(person.hash) for person in persons)
        return None, canonical_persons(persons).decode()

    def _add_form(self, line: LineCall, *, is_about_one: bool) -> int:
        """The number of a form that the chunk has now: what all records have that are alike this line's."""
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
                response_digest="",
            ),
            self._keys,
        )
        mark = secrets.token_hex()  # in no text that a caller or an operator chose
        said = msgspec.to_builtins(record) | dict.fromkeys(_OF_A_LINE, mark)
        text = msgspec.json.encode(said, order="sorted").decode()
        before_ticket, before_evidence, before_persons, before_response, before_cbss, rest = text.split(f'"{mark}"')
        before_hash = before_seal = after_seal = ""
        if is_about_one:
            before_hash = '[{"asked":true,"current":true,"hash":"'
            before_seal = f'","key":{canonical_string(self._keys.current)},"sealed":"'
            after_seal = '"}]'
        form = form_of(
            (
                before_ticket,
                before_evidence,
                f"{before_persons}{before_hash}",
                before_seal,
                after_seal,
                f'{before_response}"',
                f'"{before_cbss}"',
                f'"{rest}',
            )
        )
        self.chunk.forms.append(form)
        self.chunk.counted.append(counted_call(record))
        return len(self.chunk.forms)
