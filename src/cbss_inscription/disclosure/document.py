"""The report to a person as one document: HTML to read and print, CSV and JSON to work on (rule 53).

All three are made of the same rows, in one language, so that none says more than another. HTML is written by a template
that escapes whatever it is given: names of organisations and legal contexts come from files and callers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Environment, StrictUndefined

from cbss_inscription.disclosure.choices import DocumentFormat, Language
from cbss_inscription.disclosure.texts import Texts, catalogue
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.inscription_contexts import KNOWN_CONTEXTS
from cbss_inscription.domain.outcome_codes import CATALOGUE
from cbss_inscription.governance.disclosure import RECORDS_MAX, Contact, DisclosureReport

BELGIUM: Final = ZoneInfo("Europe/Brussels")
"""In which times are told to a citizen."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""With what a cell begins that a spreadsheet would reckon."""
_COLUMNS: Final = (
    "part", "moment", "organization", "organization_name", "application", "certificate_of", "action", "legal_context",
    "inscription_contexts", "begin_date", "end_date", "outcome_code", "text", "ticket_cbss",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """An organisation by its key, `0123456789` or `17/1`, and by its name where that is known."""

    key: str
    name: str | None

    def __str__(self) -> str:
        return self.key if self.name is None else f"{self.name} ({self.key})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number of the person, and what it is."""

    number: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A way to know a person: its code, and its name where the catalogue has one."""

    code: str
    name: str | None

    def __str__(self) -> str:
        return self.code if self.name is None else f"{self.name} ({self.code})"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRow:
    """An organisation that knows the person, how, and for which period."""

    organization: Organization | None
    inscription_context: Context
    begin_date: date
    end_date: date | None
    last_change: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    """A request about the person."""

    moment: datetime
    organization: Organization | None
    """For which it was made; None where that was refused or never found out."""
    application: str | None
    certificate_of: Organization | None
    by_the_register: bool
    action: str
    action_text: str
    legal_context: str | None
    inscription_contexts: tuple[Context, ...]
    outcome_code: str | None
    outcome_text: str
    ticket_cbss: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationRow:
    """Something that an organisation was told of the person's number."""

    moment: datetime
    organization: Organization
    event: str
    event_text: str
    inscription_contexts: tuple[Context, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureDocument:
    """The report in one language, with everything that a reader must be told."""

    language: Language
    made_at: datetime
    reference: str
    first_day: date | None
    last_day: date | None
    numbers: tuple[Number, ...]
    known: tuple[KnownRow, ...]
    contacts: tuple[ContactRow, ...]
    mutations: tuple[MutationRow, ...]
    statements: tuple[str, ...]
    """What the document does not say."""
    rights: tuple[str, ...]


def document_of(
    report: DisclosureReport,
    language: Language,
    *,
    reference: str,
    first_day: date | None,
    last_day: date | None,
    organizations: Mapping[str, str],
    contact: str | None,
    now: datetime,
) -> DisclosureDocument:
    """The report in a language; `organizations` has names by key, `contact` is whom to ask."""
    texts = catalogue()[language]

    def named(key: str) -> Organization:
        return Organization(key=key, name=organizations.get(key))

    def contexts(codes: tuple[str, ...]) -> tuple[Context, ...]:
        return tuple(_context(code, language) for code in codes)

    statements = [texts.limit_law, texts.limit_others, texts.limit_journal]
    archived = report.archived_until
    if archived is not None and (first_day is None or first_day < archived):
        statements.insert(0, texts.limit_archived.format(day=_day(archived, language)))
    if report.truncated:
        statements.insert(0, texts.limit_truncated.format(count=RECORDS_MAX))
    if report.unverified:
        statements.insert(0, texts.limit_unverified.format(count=report.unverified))
    return DisclosureDocument(
        language=language,
        made_at=now.astimezone(BELGIUM),
        reference=reference,
        first_day=first_day,
        last_day=last_day,
        numbers=(
            Number(number=report.current.formatted, text=texts.current_number),
            *(Number(number=former.formatted, text=texts.former_number) for former in report.formers),
        ),
        known=tuple(
            KnownRow(
                organization=None if line.organization is None else named(line.organization.key),
                inscription_context=_context(line.inscription_context, language),
                begin_date=line.period.begin_date,
                end_date=line.period.end_date,
                last_change=None if line.last_change is None else line.last_change.astimezone(BELGIUM),
            )
            for line in report.lines
        ),
        contacts=tuple(
            ContactRow(
                moment=one.moment.astimezone(BELGIUM),
                organization=None if one.customer is None else named(one.customer),
                application=one.application_urn,
                certificate_of=None if one.cbe_number is None else named(one.cbe_number),
                by_the_register=one.by_the_register,
                action=one.deed.value,
                action_text=texts.deeds[one.deed.value],
                legal_context=one.legal_context,
                inscription_contexts=contexts(one.inscription_contexts),
                outcome_code=one.code,
                outcome_text=_outcome(one, texts, language),
                ticket_cbss=one.ticket_cbss,
            )
            for one in report.contacts
        ),
        mutations=tuple(
            MutationRow(
                moment=one.recorded_at.astimezone(BELGIUM),
                organization=named(one.customer),
                event=one.event.value,
                event_text=texts.events[one.event.value],
                inscription_contexts=contexts(one.inscription_contexts),
            )
            for one in report.mutations
        ),
        statements=tuple(statements),
        rights=(texts.rights, *(() if contact is None else (texts.contact.format(contact=contact),))),
    )


def write_document(document: DisclosureDocument, kind: DocumentFormat) -> bytes:
    """The document as the bytes of one file, UTF-8."""
    match kind:
        case DocumentFormat.HTML:
            return _as_html(document)
        case DocumentFormat.CSV:
            return _as_csv(document)
        case DocumentFormat.JSON:
            return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def _context(code: str, language: Language) -> Context:
    entry = KNOWN_CONTEXTS.get(InscriptionContext(code))
    return Context(code=str(code), name=None if entry is None else entry.labels[language])


def _day(value: date, language: Language) -> str:
    separator = "." if language is Language.DE else "/"
    return separator.join((f"{value.day:02}", f"{value.month:02}", f"{value.year:04}"))


def _outcome(contact: Contact, texts: Texts, language: Language) -> str:
    if contact.code is not None and contact.refused:
        return f"{texts.refused}: {CATALOGUE[contact.code].texts[language]}"
    return texts.done if contact.code is not None or contact.by_the_register else texts.unknown


# -- HTML --------------------------------------------------------------------------------------------------------------


def _as_html(document: DisclosureDocument) -> bytes:
    template = resources.files("cbss_inscription.disclosure").joinpath("document.html.jinja").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

    def day(value: date) -> str:
        return _day(value, document.language)

    def moment(value: datetime) -> str:
        offset = value.strftime("%z")
        return f"{day(value.date())} {value:%H:%M:%S} (UTC{offset[:3]}:{offset[3:]})"

    environment.filters |= {"day": day, "moment": moment}
    texts = catalogue()[document.language]
    return environment.from_string(template).render(document=document, texts=texts).encode("utf-8")


# -- CSV ---------------------------------------------------------------------------------------------------------------


def _as_csv(document: DisclosureDocument) -> bytes:
    # With a byte order mark, by which spreadsheets know UTF-8; lines end as RFC 4180 has it.
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for row in _rows(document):
        writer.writerow({name: _cell(value) for name, value in row.items() if value is not None})
    return stream.getvalue().encode("utf-8-sig")


def _rows(document: DisclosureDocument) -> Iterator[Mapping[str, object]]:
    texts = catalogue()[document.language]
    yield {"part": "document", "moment": document.made_at, "text": texts.title}
    yield {"part": "reference", "text": document.reference}
    yield {
        "part": "period",
        "begin_date": document.first_day,
        "end_date": document.last_day,
        "text": texts.span,
    }
    yield from ({"part": "number", "text": f"{one.number} {one.text}"} for one in document.numbers)
    for known in document.known:
        yield {
            "part": "known",
            "moment": known.last_change,
            **_organization(known.organization),
            "inscription_contexts": known.inscription_context,
            "begin_date": known.begin_date,
            "end_date": known.end_date,
        }
    for contact in document.contacts:
        yield {
            "part": "request",
            "moment": contact.moment,
            **_organization(contact.organization),
            "application": texts.operators if contact.by_the_register else contact.application,
            "certificate_of": contact.certificate_of,
            "action": contact.action_text,
            "legal_context": contact.legal_context,
            "inscription_contexts": ", ".join(map(str, contact.inscription_contexts)),
            "outcome_code": contact.outcome_code,
            "text": contact.outcome_text,
            "ticket_cbss": contact.ticket_cbss,
        }
    for told in document.mutations:
        yield {
            "part": "told",
            "moment": told.moment,
            **_organization(told.organization),
            "action": told.event_text,
            "inscription_contexts": ", ".join(map(str, told.inscription_contexts)),
        }
    yield from ({"part": "statement", "text": text} for text in (*document.statements, *document.rights))


def _organization(organization: Organization | None) -> Mapping[str, object]:
    if organization is None:
        return {}
    return {"organization": organization.key, "organization_name": organization.name}


def _cell(value: object) -> str:
    text = value.isoformat("T", "seconds") if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
