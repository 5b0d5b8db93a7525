"""The types of KSZ's CommonV3 that every contract here shares: elements to values, and values to elements.

Readers take elements that a schema found valid, and refuse with `ContentViolation` what no schema can say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeVar
from uuid import UUID

from lxml.etree import SubElement, _Element

from cbss_inscription.domain.customer import CustomerIdentification, InformationCbss, InformationCustomer
from cbss_inscription.domain.errors import ContentViolation
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.outcome_codes import CATALOGUE, Origin, OutcomeCode
from cbss_inscription.domain.period import IncompleteDate, timestamp
from cbss_inscription.domain.results import Anomaly, Information, SsinAnswer, Status, StatusValue
from cbss_inscription.domain.ssin import Ssin

_T = TypeVar("_T")
Fields = Mapping[str, _Element]
"""The children of an element, by name."""

DETAILS_MAX: Final = 30
"""Messages in a list of details (CBSSFaultType and our lists after it); what is more is left out."""
INFORMATION_MAX: Final = 15
"""Fields that a message or a status names; what is more is left out."""
FIELD_NAME_CHARS_MAX: Final = 64
"""Characters of a field's name; what is more is cut."""
FIELD_VALUE_CHARS_MAX: Final = 256
"""Characters of a field's value; what is more is cut."""

AUTHOR_CODES: Final[Mapping[Origin, str]] = MappingProxyType(
    {
        Origin.FACADE: "CBSSInscription",
        Origin.KSZ: "InscriptionService",
        Origin.SOURCE: "InscriptionService",
    }
)
"""The authorCode of a message, by the origin of its code: the service that words it [D]."""


# reading


def fields_of(element: _Element) -> dict[str, _Element]:
    """The children of an element by name; a repeated one stands here once, for who reads repetitions iterates."""
    # "*" leaves comments out.
    return {str(child.tag): child for child in element.iterchildren("*")}


def text_of(element: _Element) -> str:
    """The text of an element. Raises `ContentViolation` when there is markup in it."""
    # lxml's .text ends at the first comment, while libxml2 has validated the whole: half a value must not be read.
    if len(element):
        raise ContentViolation("markup-in-text")
    return element.text or ""


def made(what: str, make: Callable[[], _T]) -> _T:
    """What `make` gives; its ValueError becomes a `ContentViolation` with the reason `what`, which quotes nothing."""
    try:
        return make()
    except (ValueError, OverflowError):
        raise ContentViolation(what) from None  # the cause may quote the value


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The head of a request: who asks and on which legal ground."""

    information_customer: InformationCustomer
    legal_context: LegalContext


def read_header(fields: Fields) -> Header:
    """The head of a request. Raises `ContentViolation`."""
    legal_context = text_of(fields["legalContext"])
    return Header(
        information_customer=read_information_customer(fields["informationCustomer"]),
        legal_context=made("legal-context", lambda: LegalContext(legal_context)),
    )


def read_information_customer(element: _Element) -> InformationCustomer:
    """Who asks, and the caller's own ticket; an empty ticket is none. Raises `ContentViolation`.

    A time without zone is taken as UTC [D]; the reply repeats the text as it came.
    """
    fields = fields_of(element)
    return InformationCustomer(
        customer_identification=read_organization(fields["customerIdentification"]),
        ticket=text_of(fields["ticket"]) or None if "ticket" in fields else None,
        timestamp_sent=read_timestamp(fields["timestampSent"]) if "timestampSent" in fields else None,
    )


def read_organization(element: _Element) -> CustomerIdentification:
    """The organisation of an OrganizationIdentificationType. Raises `ContentViolation`."""
    fields = fields_of(element)
    if "cbeNumber" in fields:
        cbe_number = text_of(fields["cbeNumber"])
        return made("cbe-number", lambda: CustomerIdentification(cbe_number=cbe_number))
    sector, institution = int(text_of(fields["sector"])), int(text_of(fields["institution"]))
    return made("sector", lambda: CustomerIdentification(sector=sector, institution=institution))


def read_information_cbss(element: _Element) -> InformationCbss:
    """The ticket and the times of the service. Raises `ContentViolation`."""
    fields = fields_of(element)
    ticket = text_of(fields["ticketCBSS"])
    return InformationCbss(
        ticket_cbss=made("ticket-cbss", lambda: UUID(ticket)),
        timestamp_receive=read_timestamp(fields["timestampReceive"]),
        timestamp_reply=read_timestamp(fields["timestampReply"]),
    )


def read_status(element: _Element) -> Status:
    """A StatusType or StatusOkType. Raises `ContentViolation`."""
    fields = fields_of(element)
    return Status(
        value=StatusValue(text_of(fields["value"])),
        code=read_code(fields["code"]),
        information=read_information(element),
    )


def read_details(fields: Fields, name: str) -> tuple[Anomaly, ...]:
    """The messages in the list `name`; none when it is absent. Raises `ContentViolation`."""
    if name not in fields:
        return ()
    return tuple(
        Anomaly(code=read_code(fields_of(detail)["reasonCode"]), information=read_information(detail))
        for detail in fields[name].iterchildren("*")
    )


def read_information(element: _Element) -> tuple[Information, ...]:
    """The fields that a status or a message names."""
    return tuple(
        Information(
            field_name=text_of(fields["fieldName"]),
            field_value=text_of(fields["fieldValue"]) if "fieldValue" in fields else None,
        )
        for fields in map(fields_of, element.iterchildren("information"))
    )


def read_code(element: _Element) -> OutcomeCode:
    """A code of the outcome catalogue. Raises `ContentViolation` for one that this program does not know."""
    text = text_of(element)
    return made("outcome-code", lambda: OutcomeCode(text))


def read_ssin(spelled: _Element | str) -> Ssin:
    """The number that an element or an attribute spells. Raises `ContentViolation` for wrong check digits too."""
    text = spelled if isinstance(spelled, str) else text_of(spelled)
    return made("ssin", lambda: Ssin.parse(text))


def read_ssin_answer(element: _Element) -> SsinAnswer:
    """The number an answer stands under. Raises `ContentViolation`."""
    replaces = element.get("replaces")
    return SsinAnswer(
        current=read_ssin(element),
        replaces=None if replaces is None else read_ssin(replaces),
        canceled=read_boolean(element.get("canceled", "false")),
    )


def read_inscription_context(element: _Element) -> InscriptionContext:
    """An inscription context. Raises `ContentViolation`."""
    text = text_of(element)
    return made("inscription-context", lambda: InscriptionContext(text))


def read_boolean(text: str) -> bool:
    """The truth that the text of an xsd:boolean spells, blanks around it or not."""
    return text.strip() in {"true", "1"}


def read_incomplete_date(element: _Element) -> IncompleteDate:
    """A date whose month and day may be zero. Raises `ContentViolation` (rule 24)."""
    text = text_of(element)
    return made("incomplete-date", lambda: IncompleteDate.parse(text))


def read_date(element: _Element) -> date:
    """A day; a time zone behind it says nothing of a day (contract.md section 3). Raises `ContentViolation`."""
    text = text_of(element)
    if not _has_year_of_four_digits(text):
        raise ContentViolation("date")
    return made("date", lambda: date.fromisoformat(text[:10]))


def read_timestamp(element: _Element) -> datetime:
    """A moment, in UTC; without zone it is taken as UTC [D]. Raises `ContentViolation`."""
    text = text_of(element)
    if not _has_year_of_four_digits(text):
        raise ContentViolation("timestamp")
    return made("timestamp", lambda: _moment(text))


def _moment(text: str) -> datetime:
    day_later = text[11:13] == "24"  # xsd:dateTime allows 24:00:00, Python does not
    moment = datetime.fromisoformat(f"{text[:11]}00{text[13:]}" if day_later else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC) + timedelta(days=1) if day_later else moment.astimezone(UTC)


def _has_year_of_four_digits(text: str) -> bool:
    # The schema admits years before 1, with a sign, and after 9999.
    return text[4:5] == "-"


# writing


def write_text(parent: _Element, name: str, text: str) -> None:
    """Adds `text` as the element `name`. Raises ValueError for what XML cannot carry (SEC-67)."""
    # lxml refuses control characters and lone surrogates.
    SubElement(parent, name).text = text


def write_information_customer(parent: _Element, information: InformationCustomer) -> None:
    """Adds `informationCustomer`."""
    element = SubElement(parent, "informationCustomer")
    if information.ticket is not None:
        write_text(element, "ticket", information.ticket)
    if information.timestamp_sent is not None:
        write_text(element, "timestampSent", timestamp(information.timestamp_sent))
    write_organization(element, "customerIdentification", information.customer_identification)


def write_information_cbss(parent: _Element, information: InformationCbss) -> None:
    """Adds `informationCBSS`."""
    element = SubElement(parent, "informationCBSS")
    write_text(element, "ticketCBSS", str(information.ticket_cbss))
    write_text(element, "timestampReceive", timestamp(information.timestamp_receive))
    write_text(element, "timestampReply", timestamp(information.timestamp_reply))


def write_organization(parent: _Element, name: str, organization: CustomerIdentification) -> None:
    """Adds an organisation as the element `name`."""
    element = SubElement(parent, name)
    if organization.cbe_number is not None:
        write_text(element, "cbeNumber", organization.cbe_number)
    else:
        write_text(element, "sector", str(organization.sector))
        write_text(element, "institution", str(organization.institution))


def write_message(
    parent: _Element,
    name: str,
    code: OutcomeCode,
    information: Iterable[Information] = (),
    *,
    author_code: str | None = None,
) -> None:
    """Adds a MessageType as the element `name`: severity and text as in the catalogue; also for a fault's `detail`.

    `author_code` is that of the code's origin when none is given.
    """
    entry = CATALOGUE[code]
    element = SubElement(parent, name)
    write_text(element, "severity", entry.severity)
    write_text(element, "reasonCode", code)
    write_text(element, "diagnostic", entry.texts["en"])
    write_text(element, "authorCode", author_code or AUTHOR_CODES[entry.origin])
    _write_information(element, information)


def write_status(parent: _Element, status: Status) -> None:
    """Adds `status`, with the text of the catalogue, in English."""
    element = SubElement(parent, "status")
    write_text(element, "value", status.value)
    write_text(element, "code", status.code)
    write_text(element, "description", CATALOGUE[status.code].texts["en"])
    _write_information(element, status.information)


def _write_information(parent: _Element, information: Iterable[Information]) -> None:
    for _, field in zip(range(INFORMATION_MAX), information, strict=False):
        element = SubElement(parent, "information")
        write_text(element, "fieldName", field.field_name[:FIELD_NAME_CHARS_MAX])
        if field.field_value is not None:
            write_text(element, "fieldValue", field.field_value[:FIELD_VALUE_CHARS_MAX])


def write_ssin(parent: _Element, answer: SsinAnswer | None) -> None:
    """Adds `ssin` with its attributes; nothing for None."""
    if answer is None:
        return
    element = SubElement(parent, "ssin")
    element.text = answer.current.digits
    if answer.canceled:
        element.set("canceled", "true")
    if answer.replaces is not None:
        element.set("replaces", answer.replaces.digits)


def write_details(parent: _Element, name: str, anomalies: tuple[Anomaly, ...]) -> None:
    """Adds a list of messages as the element `name`; nothing when there is none."""
    if not anomalies:
        return
    element = SubElement(parent, name)
    for anomaly in anomalies[:DETAILS_MAX]:
        write_message(element, "detail", anomaly.code, anomaly.information)
