"""The messages of the mutation feed: elements to values, and values to elements. The contract is ours [D]."""

from __future__ import annotations

from lxml.etree import SubElement, _Element

from cbss_inscription.contract.common_v3 import (
    Fields,
    Header,
    fields_of,
    made,
    read_boolean,
    read_inscription_context,
    read_ssin,
    read_status,
    read_timestamp,
    text_of,
    write_status,
    write_text,
)
from cbss_inscription.domain.life import LifeEvent
from cbss_inscription.domain.mutation import MUTATIONS_MAX, Mutation
from cbss_inscription.domain.period import timestamp
from cbss_inscription.domain.requests import ConsultMutations
from cbss_inscription.domain.results import MutationsResult


def read_mutation_criteria(header: Header, criteria: _Element) -> ConsultMutations:
    """The request for a page of the feed; absent criteria mean the first page, as large as can be.

    Raises `ContentViolation` for a number with thousands of leading zeros.
    """
    fields = fields_of(criteria)
    return ConsultMutations(
        information_customer=header.information_customer,
        legal_context=header.legal_context,
        after_sequence_number=_read_number(fields["afterSequenceNumber"]) if "afterSequenceNumber" in fields else 0,
        limit=_read_number(fields["limit"]) if "limit" in fields else MUTATIONS_MAX,
    )


def read_mutations(fields: Fields) -> MutationsResult:
    """The page in a response. Raises `ContentViolation`."""
    return MutationsResult(
        status=read_status(fields["status"]),
        mutations=tuple(map(_read_mutation, fields["mutations"].iterchildren("*"))) if "mutations" in fields else (),
        last_sequence_number=_read_number(fields["lastSequenceNumber"]),
        more=read_boolean(text_of(fields["more"])),
    )


def write_mutation_criteria(parent: _Element, request: ConsultMutations) -> None:
    """Adds the `criteria` of a request for a page."""
    criteria = SubElement(parent, "criteria")
    if request.after_sequence_number:
        write_text(criteria, "afterSequenceNumber", str(request.after_sequence_number))
    write_text(criteria, "limit", str(request.limit))


def write_mutations(root: _Element, result: MutationsResult) -> None:
    """Adds the status and the page to a response."""
    write_status(root, result.status)
    if result.mutations:
        mutations = SubElement(root, "mutations")
        for mutation in result.mutations:
            _write_mutation(mutations, mutation)
    write_text(root, "lastSequenceNumber", str(result.last_sequence_number))
    write_text(root, "more", "true" if result.more else "false")


def _read_mutation(element: _Element) -> Mutation:
    fields = fields_of(element)
    event = text_of(fields["event"])
    return Mutation(
        sequence_number=_read_number(fields["sequenceNumber"]),
        event=made("event", lambda: LifeEvent(event)),
        ssin=read_ssin(fields["ssin"]),
        current_ssin=read_ssin(fields["currentSsin"]),
        inscription_contexts=tuple(map(read_inscription_context, element.iterchildren("inscriptionContext"))),
        recorded_at=read_timestamp(fields["timestamp"]),
    )


def _read_number(element: _Element) -> int:
    text = text_of(element)
    return made("number", lambda: int(text))  # the schema skips leading zeros, Python counts them


def _write_mutation(parent: _Element, mutation: Mutation) -> None:
    element = SubElement(parent, "mutation")
    write_text(element, "sequenceNumber", str(mutation.sequence_number))
    write_text(element, "event", mutation.event)
    write_text(element, "ssin", mutation.ssin.digits)
    write_text(element, "currentSsin", mutation.current_ssin.digits)
    for context in mutation.inscription_contexts:
        write_text(element, "inscriptionContext", context)
    write_text(element, "timestamp", timestamp(mutation.recorded_at))
