"""What the lines of a chunk need from the database, fetched together, and what they did, written together.

Everything is done on the connection, and in the transaction, of whoever calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Final

import msgspec

from cbss_inscription.domain.exchange import Caller
from cbss_inscription.domain.line_set import DoneChange
from cbss_inscription.domain.spans import FOREVER, Spans
from cbss_inscription.governance.volumes import CountedCall
from cbss_inscription.storage.array_text import array_of_numbers, array_of_texts
from cbss_inscription.storage.audit_chunk import AuditChunk
from cbss_inscription.storage.binary_rows import (
    of_bytes,
    of_moment,
    of_moments,
    of_number,
    of_spans,
    of_text,
    read_spans,
    row_of,
    whole,
)
from cbss_inscription.storage.database import Connection
from cbss_inscription.storage.queries import QUERIES

WORDS_KEPT: Final = 1_024
"""Contexts and operations that are made a value of COPY once for many rows."""
_of_word: Final = lru_cache(maxsize=WORDS_KEPT)(of_text)
_AFTER_THE_CALENDAR: Final = "10000-01-01"

StoredSet = tuple[Spans, tuple[datetime, ...]]
"""A line set: its spans, and when each came to be as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDone:
    """What the lines of a chunk did, all for one customer, under one legal context, by one application."""

    customer: str
    legal_context: str
    caller: Caller
    changed_at: datetime
    new_sets: Sequence[tuple[int, str, StoredSet]] = field(repr=False)
    """By number and context."""
    changed_sets: Sequence[tuple[int, str, StoredSet]] = field(repr=False)
    history: Sequence[DoneChange] = field(repr=False)
    answered: Sequence[tuple[str, bytes, bytes]] = field(repr=False)
    """Ticket, content and answer."""
    records: AuditChunk = field(repr=False)
    worker: int
    """For whom the calls are counted."""


async def lock(connection: Connection, *, customer: str, tickets: Collection[str], ssins: Collection[int]) -> datetime:
    """The time, once no other transaction holds any of the tickets or persons, until this one ends.

    The time is later than that of all that was done to them before.
    """
    if tickets:
        await connection.execute(QUERIES["lock_tickets"], {"customer": customer, "tickets": array_of_texts(tickets)})
    row = await (await connection.execute(QUERIES["lock_persons"], {"ssins": array_of_numbers(ssins)})).fetchone()
    assert row is not None
    changed_at: datetime = row[1]
    return changed_at


async def replacements_of(connection: Connection, ssins: Collection[int]) -> dict[int, int]:
    """For those of some numbers whose lines went to another one, which."""
    return dict(
        await (await connection.execute(QUERIES["replacements_of"], {"ssins": array_of_numbers(ssins)})).fetchall()
    )


async def own_sets(connection: Connection, *, customer: str, ssins: Collection[int]) -> dict[int, dict[str, StoredSet]]:
    """The line sets that a customer has of some persons, by number and context; those without lines too."""
    found: dict[int, dict[str, StoredSet]] = {}
    parameters = {"customer": customer, "ssins": array_of_numbers(ssins)}
    cursor = await connection.execute(QUERIES["line_sets_of_customer"], parameters, binary=True)
    for ssin, context, periods, last_changes in await cursor.fetchall():
        found.setdefault(ssin, {})[context] = (read_spans(periods), tuple(last_changes))
    return found


async def sets_of_others(
    connection: Connection, *, customer: str, ssins: Collection[int], inscription_contexts: Collection[str]
) -> dict[int, dict[tuple[str, str], StoredSet]]:
    """The line sets that other customers have of some persons, by number, and context and customer."""
    found: dict[int, dict[tuple[str, str], StoredSet]] = {}
    parameters = {
        "customer": customer,
        "ssins": array_of_numbers(ssins),
        "inscription_contexts": list(inscription_contexts),
    }
    cursor = await connection.execute(QUERIES["line_sets_of_others"], parameters, binary=True)
    for ssin, context, other, periods, last_changes in await cursor.fetchall():
        found.setdefault(ssin, {})[context, other] = (read_spans(periods), tuple(last_changes))
    return found


async def answered_declarations(
    connection: Connection, *, customer: str, tickets: Collection[str]
) -> dict[str, tuple[bytes, bytes]]:
    """What was answered under some tickets of a customer: content and answer."""
    parameters = {"customer": customer, "tickets": array_of_texts(tickets)}
    cursor = await connection.execute(QUERIES["answered_declarations"], parameters)
    return {ticket: (content, answer) for ticket, content, answer in await cursor.fetchall()}


async def write(connection: Connection, done: WorkDone) -> None:
    """Nothing; all of it stands in the tables when the transaction commits."""
    customer, changed_at = of_text(done.customer), of_moment(done.changed_at)
    if done.new_sets:
        begin = row_of(5)
        rows = [
            b"".join((begin, of_number(ssin), customer, _of_word(context), of_spans(spans), of_moments(times)))
            for ssin, context, (spans, times) in done.new_sets
        ]
        await _copy(connection, QUERIES["copy_new_line_sets"], rows)
    if done.changed_sets:
        changed = [
            (ssin, context, write_spans(spans), _times(times)) for ssin, context, (spans, times) in done.changed_sets
        ]
        parameters = {"customer": done.customer, "changed": msgspec.json.encode(changed).decode("utf-8")}
        await connection.execute(QUERIES["change_line_sets"], parameters)
    if done.history:
        begin, said = row_of(12), (done.legal_context, done.caller.application_urn, done.caller.cbe_number)
        end = b"".join(map(of_text, said))
        rows = [
            b"".join(
                (
                    begin,
                    of_number(one.ssin),
                    customer,
                    _of_word(one.inscription_context),
                    _of_word(one.operation),
                    of_spans(one.before),
                    of_spans(one.after),
                    changed_at,
                    of_bytes(one.ticket_cbss.bytes),
                    of_text(one.customer_ticket),
                    end,
                )
            )
            for one in done.history
        ]
        await _copy(connection, QUERIES["copy_history"], rows)
    if done.answered:
        begin = row_of(5) + customer
        rows = [
            b"".join((begin, of_text(ticket), of_bytes(content), of_bytes(answer), changed_at))
            for ticket, content, answer in done.answered
        ]
        await _copy(connection, QUERIES["copy_answered_declarations"], rows)
    await _write_records(connection, done)


async def _write_records(connection: Connection, done: WorkDone) -> None:
    records = done.records
    if not records.tickets:
        return
    await _copy(connection, QUERIES["copy_audit_chunk"], [records.row()])
    if records.evidence:
        await _copy(connection, QUERIES["copy_audit_evidence"], records.evidence_rows())
    counts = counts_of(records.counts())
    if counts:
        parameters = {
            "received_at": records.received_at,
            "worker": done.worker,
            "calls": msgspec.json.encode(counts).decode("utf-8"),
        }
        await connection.execute(QUERIES["count_calls"], parameters)


def counts_of(counted: Counter[CountedCall]) -> list[dict[str, object]]:
    """The rows of `count_calls`, in the order of their keys: two chunks of one worker count in the same rows, and must
    not wait for each other in a circle.
    """
    admitted = {replace(call, is_refused=False) for call in counted}
    return [_counts(call, counted) for call in sorted(admitted, key=astuple)]


def _counts(call: CountedCall, counted: Counter[CountedCall]) -> dict[str, object]:
    return {
        "permission": call.permission,
        "application_urn": call.application_urn,
        "customer": call.customer,
        "legal_context": call.legal_context,
        "operation": call.operation,
        "calls": counted[call],
        "refused": counted[replace(call, is_refused=True)],
    }


async def _copy(connection: Connection, query: str, rows: Iterable[bytes]) -> None:
    async with connection.cursor() as cursor, cursor.copy(query) as copy:
        await copy.write(whole(rows))


def write_spans(spans: Spans) -> str:
    """The text of a multirange."""
    return "{" + ",".join(f"[{_day(begin)},{_day(end)})" for begin, end in spans) + "}"


def _day(ordinal: int) -> str:
    if ordinal == FOREVER:
        return ""
    return _AFTER_THE_CALENDAR if ordinal > date.max.toordinal() else date.fromordinal(ordinal).isoformat()


def _times(moments: Iterable[datetime]) -> str:
    return "{" + ",".join(moment.isoformat() for moment in moments) + "}"
