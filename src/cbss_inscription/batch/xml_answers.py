"""Answers as an XML file, `inscriptionBatchResponse`: texts put together by hand, for there are millions of them.

What is written is what lxml would write of the same answer online, and valid (tests/batch/test_batch_answers.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Final

from lxml import etree

from cbss_inscription import names
from cbss_inscription.batch.told import (
    ToldAnswer,
    ToldInformation,
    ToldInscription,
    ToldLegalData,
    ToldLine,
    ToldMessage,
    ToldResult,
    ToldSsin,
)
from cbss_inscription.contract.batch import WORDS, write_batch_header
from cbss_inscription.contract.common_v3 import (
    AUTHOR_CODES,
    DETAILS_MAX,
    FIELD_NAME_CHARS_MAX,
    FIELD_VALUE_CHARS_MAX,
    INFORMATION_MAX,
)
from cbss_inscription.domain.batch import BatchHeader
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.outcome_codes import CATALOGUE, OutcomeCode
from cbss_inscription.domain.period import timestamp
from cbss_inscription.domain.requests import Operation

PERIODS_KEPT: Final = 4_096
"""Periods that are spelled once for many lines: most begin and end with a month."""
MOMENTS_KEPT: Final = 4_096
"""Times likewise: the lines of a chunk have one."""
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_OF_A_LINE: Final = frozenset({Operation.INSERT_INSCRIPTION.value, Operation.UPDATE_INSCRIPTION.value})
_WORDS: Final = {operation.value: word for operation, word in WORDS.items()}


class XmlAnswers:
    """The texts of an XML file of answers: `head`, any number of `answer`, `foot`."""

    def __init__(self, header: BatchHeader) -> None:
        root = etree.Element(names.BATCH_RESPONSE, nsmap={"bat": names.BATCH})
        write_batch_header(root, header)
        etree.SubElement(root, "responses").text = "\n"
        text = etree.tostring(root, encoding="unicode")
        place = text.index("</responses>")
        self._head = f'<?xml version="1.0" encoding="UTF-8"?>\n{text[:place]}'
        self._foot = f"{text[place:]}\n"

    def head(self) -> str:
        """What comes before the first answer."""
        return self._head

    def foot(self) -> str:
        """What comes after the last answer."""
        return self._foot

    def answer(self, line: ToldLine, answer: ToldAnswer) -> str:
        """One `response`."""
        ticket = "" if line.ticket is None else f"<customerTicket>{_escaped(line.ticket)}</customerTicket>"
        if (result := answer.declaration) is not None:
            status = result.status
            about = _information(status.information) if status.information else ""
            outcome = (
                f"<writeOutcome><status>{_plain_status(status.value, status.code)}{about}</status>"
                f"{_ssin(result.ssin)}"
                f"{_details('validationErrors', result.validation_errors) if result.validation_errors else ''}"
                f"{_details('anomalies', result.anomalies) if result.anomalies else ''}"
                f"{_inscriptions(result.inscriptions) if result.inscriptions else ''}</writeOutcome>"
            )
        elif answer.consultation is not None:
            outcome = _consulted(answer.consultation)
        else:
            assert answer.fault is not None
            outcome = _fault(answer.fault)
        return (
            f"<response><requestCorrelation>{ticket}<cbssTicket>{ticket_text(answer.ticket_cbss)}</cbssTicket>"
            f"<timestamp>{moment(answer.timestamp)}</timestamp></requestCorrelation>"
            f"{'' if line.operation is None else _declaration(line, line.operation)}{outcome}</response>\n"
        )


@lru_cache(maxsize=MOMENTS_KEPT)
def moment(at: datetime) -> str:
    """The moment as `domain.period.timestamp` spells it."""
    # What is stored is in UTC; `timestamp` converts first, which takes longer.
    if at.tzinfo is UTC:
        return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    return timestamp(at)


def ticket_text(ticket: bytes) -> str:
    """What `str` gives for the UUID of these bytes."""
    digits = ticket.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _escaped(text: str) -> str:
    if "&" in text or "<" in text or ">" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if text.isprintable():
        return text
    # No text that comes in has a letter that XML has not; what a source says of its own may not spoil a whole file.
    return _FORBIDDEN.sub("\ufffd", text).replace("\r", "&#13;")


def _declaration(line: ToldLine, operation: str) -> str:
    contexts = line.inscription_contexts
    if len(contexts) == 1:  # as declarations have it
        about = f"<inscriptionContext>{contexts[0]}</inscriptionContext>"
    else:
        about = "".join([f"<inscriptionContext>{context}</inscriptionContext>" for context in contexts])
    if line.period is not None:
        about += _period("period", *line.period)
    if operation in _OF_A_LINE:
        changed = "" if line.new_period is None else _period("newPeriod", *line.new_period)
        given = "" if line.legal_data is None else _legal_data(line.legal_data)
        about = f"<inscription>{about}</inscription>{changed}{given}"
    word = _WORDS[operation]
    return f"<declaration><{word}><ssin>{line.ssin}</ssin>{about}</{word}></declaration>"


@lru_cache(maxsize=PERIODS_KEPT)
def _period(name: str, begin: str | None, end: str | None) -> str:
    begun = "" if begin is None else f"<beginDate>{begin}</beginDate>"
    ended = "" if end is None else f"<endDate>{end}</endDate>"
    return f"<{name}>{begun}{ended}</{name}>"


def _legal_data(given: ToldLegalData) -> str:
    name, birth, gender = "", "", ""
    if given.last_name is not None:
        given_names = "".join([f"<givenName>{_escaped(one)}</givenName>" for one in given.given_names])
        name = f"<name><lastName>{_escaped(given.last_name)}</lastName>{given_names}</name>"
    if given.birth_date is not None:
        birth = f"<birth><birthDate>{given.birth_date}</birthDate></birth>"
    if given.gender is not None:
        gender = f"<gender><genderCode>{given.gender}</genderCode></gender>"
    return f"<legalData>{name}{birth}{gender}</legalData>"


def _consulted(result: ToldResult) -> str:
    status = result.status
    about = _information(status.information) if status.information else ""
    filters = "".join([f"<filteredElement>{_escaped(name)}</filteredElement>" for name in result.data_filters])
    following = "" if result.next is None else f"<next>{_escaped(result.next)}</next>"
    return (
        f"<consultOutcome><status>{_plain_status(status.value, status.code)}{about}</status>{_ssin(result.ssin)}"
        f"{f'<dataFilters>{filters}</dataFilters>' if filters else ''}"
        f"{_inscriptions(result.inscriptions) if result.inscriptions else ''}{following}</consultOutcome>"
    )


@cache
def _plain_status(value: str, code: str) -> str:
    return f"<value>{value}</value><code>{code}</code><description>{_text(OutcomeCode(code))}</description>"


def _text(code: OutcomeCode) -> str:
    return _escaped(CATALOGUE[code].texts["en"])


def _information(information: Iterable[ToldInformation]) -> str:
    parts = []
    for _, field in zip(range(INFORMATION_MAX), information, strict=False):
        value = field.field_value
        parts.append(
            f"<information><fieldName>{_escaped(field.field_name[:FIELD_NAME_CHARS_MAX])}</fieldName>"
            f"{'' if value is None else f'<fieldValue>{_escaped(value[:FIELD_VALUE_CHARS_MAX])}</fieldValue>'}"
            f"</information>"
        )
    return "".join(parts)


def _ssin(answer: ToldSsin | None) -> str:
    if answer is None:
        return ""
    canceled = ' canceled="true"' if answer.canceled else ""
    replaces = "" if answer.replaces is None else f' replaces="{answer.replaces.digits}"'
    return f"<ssin{canceled}{replaces}>{answer.current.digits}</ssin>"


def _details(name: str, anomalies: tuple[ToldMessage, ...]) -> str:
    details = "".join(
        [f"<detail>{_message(one.code)}{_information(one.information)}</detail>" for one in anomalies[:DETAILS_MAX]]
    )
    return f"<{name}>{details}</{name}>"


@cache
def _message(code: str) -> str:
    entry = CATALOGUE[OutcomeCode(code)]
    return (
        f"<severity>{entry.severity}</severity><reasonCode>{code}</reasonCode>"
        f"<diagnostic>{_text(entry.code)}</diagnostic><authorCode>{_escaped(AUTHOR_CODES[entry.origin])}</authorCode>"
    )


@cache
def _fault(code: str) -> str:
    return f"<fault>{_message(code)}</fault>"


def _inscriptions(inscriptions: tuple[ToldInscription, ...]) -> str:
    return f"<inscriptions>{''.join(map(_inscription, inscriptions))}</inscriptions>"


def _inscription(line: ToldInscription) -> str:
    organization = "" if line.organization is None else _organization(line.organization)
    changed = "" if line.last_change is None else f"<lastChange>{moment(line.last_change)}</lastChange>"
    return (
        f"<inscription><inscriptionContext>{line.inscription_context}</inscriptionContext>"
        f"{_period('period', line.period.begin_date, line.period.end_date)}{organization}{changed}</inscription>"
    )


def _organization(organization: CustomerIdentification) -> str:
    if organization.cbe_number is not None:
        return f"<organization><cbeNumber>{organization.cbe_number}</cbeNumber></organization>"
    return (
        f"<organization><sector>{organization.sector}</sector><institution>{organization.institution}</institution>"
        f"</organization>"
    )
