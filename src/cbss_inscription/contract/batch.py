"""Batches as elements: the head of a batch and its requests, one by one, to values of the domain.

Readers take elements that `schema.batch_schema` has found valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple

from lxml.etree import Element, SubElement, _Element

from cbss_inscription import names
from cbss_inscription.contract.common_v3 import (
    Fields,
    Header,
    fields_of,
    made,
    read_organization,
    read_timestamp,
    text_of,
    write_organization,
    write_text,
)
from cbss_inscription.contract.read import read_declared
from cbss_inscription.domain.batch import BatchHeader, BatchLegalData, BatchLine, BatchParty
from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import LegalData
from cbss_inscription.domain.period import GivenPeriod, timestamp
from cbss_inscription.domain.requests import (
    ConsultInscriptions,
    DeleteInscription,
    InscriptionRequest,
    InsertInscription,
    Operation,
    UpdateInscription,
)

OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        "insert": Operation.INSERT_INSCRIPTION,
        "update": Operation.UPDATE_INSCRIPTION,
        "delete": Operation.DELETE_INSCRIPTION,
        "consult": Operation.CONSULT_INSCRIPTIONS,
    }
)
"""What a line of a batch can be, by its element in a declaration, which is also its word in a CSV file."""
WORDS: Final[Mapping[Operation, str]] = MappingProxyType({operation: word for word, operation in OPERATIONS.items()})
"""The element, and the word, of each of these operations."""
# A line is read as a request online is, under a head that it does not have; nothing of this one is kept.
_NO_HEADER: Final = Header(
    information_customer=InformationCustomer(customer_identification=CustomerIdentification(sector=0, institution=0)),
    legal_context=LegalContext("BATCH"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """The file that a manifest is of, as it is sent."""

    name: str
    format: str
    """`xml` or `csv`."""
    size_bytes: int
    sha256: str
    """In lower-case hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the sender of a file says of it, and signs."""

    header: BatchHeader
    file: ManifestFile


def read_batch_header(root: _Element) -> BatchHeader:
    """The head of a valid batch, request or response, or of a manifest. Raises `ContentViolation`."""
    fields = fields_of(root)
    return BatchHeader(
        sender=_party(fields["sender"]),
        receiver=_party(fields["receiver"]),
        legal_context=_legal_context(fields),
        sequence_number=int(text_of(fields["sequenceNumber"])),
    )


def read_batch_line(request: _Element, *, number: int) -> BatchLine:
    """The line that a valid `request` of a batch spells. Raises `ContentViolation` as `read_request` does."""
    fields = fields_of(request)
    ticket = text_of(fields["ticket"]) or None if "ticket" in fields else None
    ((word, declared),) = fields_of(fields["declaration"]).items()
    return line_of(read_declared(OPERATIONS[word], _NO_HEADER, declared), number=number, ticket=ticket)


class GivenTexts(NamedTuple):
    """A request of a batch as texts, by the names of the contract; an empty text or tuple is an absent element."""

    ticket: str
    operation: str
    """`insert`, `update`, `delete` or `consult`."""
    ssin: str
    inscription_contexts: Iterable[str]
    begin_date: str
    end_date: str
    new_begin_date: str
    new_end_date: str
    last_name: str
    given_names: Iterable[str]
    birth_date: str
    gender_code: str


def request_of(header: BatchHeader, given: GivenTexts) -> _Element:
    """A batch of the one request that these texts spell, valid or not.

    Raises `ContentViolation` for a text that XML cannot carry.
    """
    root = Element(names.BATCH_REQUEST, nsmap={"bat": names.BATCH})
    write_batch_header(root, header)
    request = SubElement(SubElement(root, "requests"), "request")
    made("text", lambda: _write_given(request, given))
    return root


def _write_given(request: _Element, given: GivenTexts) -> None:
    _write_unless_empty(request, "ticket", given.ticket)
    declared = SubElement(SubElement(request, "declaration"), given.operation)
    write_text(declared, "ssin", given.ssin)
    is_of_a_line = given.operation in {"insert", "update"}
    place = SubElement(declared, "inscription") if is_of_a_line else declared
    for context in given.inscription_contexts:
        write_text(place, "inscriptionContext", context)
    for parent, name, begin, end in (
        (place, "period", given.begin_date, given.end_date),
        (declared, "newPeriod", given.new_begin_date, given.new_end_date),
    ):
        if begin or end:
            period = SubElement(parent, name)
            _write_unless_empty(period, "beginDate", begin)
            _write_unless_empty(period, "endDate", end)
    given_names = tuple(given.given_names)
    if given.last_name or given_names or given.birth_date or given.gender_code:
        legal_data = SubElement(declared, "legalData")
        if given.last_name or given_names:
            name_element = SubElement(legal_data, "name")
            _write_unless_empty(name_element, "lastName", given.last_name)
            for given_name in given_names:
                write_text(name_element, "givenName", given_name)
        if given.birth_date:
            write_text(SubElement(legal_data, "birth"), "birthDate", given.birth_date)
        if given.gender_code:
            write_text(SubElement(legal_data, "gender"), "genderCode", given.gender_code)


def _write_unless_empty(parent: _Element, name: str, text: str) -> None:
    if text:
        write_text(parent, name, text)


def line_of(request: InscriptionRequest, *, number: int, ticket: str | None) -> BatchLine:
    """The line of a batch that asks for `request`; the head of the request is not the line's."""
    match request:
        case ConsultInscriptions():
            contexts: tuple[str, ...] = request.inscription_contexts
            operation = Operation.CONSULT_INSCRIPTIONS
        case InsertInscription():
            contexts, operation = (request.inscription_context,), Operation.INSERT_INSCRIPTION
        case UpdateInscription():
            contexts, operation = (request.inscription_context,), Operation.UPDATE_INSCRIPTION
        case DeleteInscription():
            contexts, operation = (request.inscription_context,), Operation.DELETE_INSCRIPTION
    return BatchLine(
        number=number,
        ticket=ticket,
        operation=operation,
        ssin=request.ssin,
        inscription_contexts=tuple(map(str, contexts)),
        period=_dates(request.period),
        new_period=_dates(request.new_period) if isinstance(request, UpdateInscription) else None,
        legal_data=_legal_data(request.legal_data) if isinstance(request, InsertInscription) else None,
    )


def read_manifest(root: _Element) -> Manifest:
    """The manifest that a valid element spells. Raises `ContentViolation`."""
    file = fields_of(fields_of(root)["file"])
    return Manifest(
        header=read_batch_header(root),
        file=ManifestFile(
            name=text_of(file["name"]),
            format=text_of(file["format"]),
            size_bytes=int(text_of(file["sizeBytes"])),
            sha256=text_of(file["sha256"]),
        ),
    )


def write_manifest(manifest: Manifest) -> _Element:
    """The element of a manifest."""
    root = Element(names.BATCH_FILE_MANIFEST, nsmap={"bam": names.BATCH_MANIFEST})
    write_batch_header(root, manifest.header)
    file = SubElement(root, "file")
    write_text(file, "name", manifest.file.name)
    write_text(file, "format", manifest.file.format)
    write_text(file, "sizeBytes", str(manifest.file.size_bytes))
    write_text(file, "sha256", manifest.file.sha256)
    return root


def write_batch_header(root: _Element, header: BatchHeader) -> None:
    """Adds the head of a batch."""
    for name, party in (("sender", header.sender), ("receiver", header.receiver)):
        element = SubElement(root, name)
        if party.ticket is not None:
            write_text(element, "ticket", party.ticket)
        if party.timestamp_sent is not None:
            write_text(element, "timestampSent", timestamp(party.timestamp_sent))
        write_organization(element, "organizationIdentification", party.organization_identification)
    write_text(root, "legalContext", header.legal_context)
    write_text(root, "sequenceNumber", str(header.sequence_number))


def _party(element: _Element) -> BatchParty:
    fields = fields_of(element)
    return BatchParty(
        organization_identification=read_organization(fields["organizationIdentification"]),
        ticket=text_of(fields["ticket"]) or None if "ticket" in fields else None,
        timestamp_sent=read_timestamp(fields["timestampSent"]) if "timestampSent" in fields else None,
    )


def _legal_context(fields: Fields) -> LegalContext:
    text = text_of(fields["legalContext"])
    return made("legal-context", lambda: LegalContext(text))


def _dates(period: GivenPeriod | None) -> tuple[date | None, date | None] | None:
    return None if period is None else (period.begin_date, period.end_date)


def _legal_data(given: LegalData | None) -> BatchLegalData | None:
    if given is None:
        return None
    return BatchLegalData(
        last_name=given.last_name,
        given_names=given.given_names,
        birth_date=None if given.birth_date is None else str(given.birth_date),
        gender=None if given.gender is None else int(given.gender),
    )
