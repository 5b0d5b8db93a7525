"""The lines of an XML batch, read as a stream: one declaration at a time, each parsed and validated as online.

A well-formed document stays so when a well-formed piece of content is taken out of its middle, or put in. So the file
is cut between declarations, and every piece is judged within the file's own head, as a document of one declaration: by
`safe_xml` with its refusals and limits, by the schema, by the readers of requests. What the cutting itself decides can
only be wrong to the sender's disadvantage: a piece that is cut badly is not well-formed.

That costs some 100 µs. A declaration that is written plainly, as programs write them (no attribute, entity, CDATA or
comment), is recognised by one expression instead, which takes a few: it accepts nothing that the long way would refuse,
and reads the same of it (tests/batch/test_batch_xml.py). Whatever it does not know goes the long way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names, safe_xml
from cbss_inscription.batch.limits import BatchLimits, Refusing
from cbss_inscription.batch.shapes import CONTEXT, DAY, INCOMPLETE_DAY, NAME_CHARS_MAX, SSIN, TEXT_CHARACTER
from cbss_inscription.batch.text import TextPieces
from cbss_inscription.contract.batch import read_batch_header, read_batch_line
from cbss_inscription.contract.schema import batch_schema
from cbss_inscription.domain.batch import BatchHeader, BatchLegalData, BatchLine
from cbss_inscription.domain.customer import TICKET_LENGTH_MAX
from cbss_inscription.domain.errors import (
    ContentViolation,
    FileRejected,
    MalformedMessage,
    MessageRejected,
    SchemaViolation,
    WsiViolation,
)
from cbss_inscription.domain.legal_data import GIVEN_NAMES_MAX
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.requests import Operation

_DEPTH_OF_REQUESTS: Final = 2
# Possessive throughout: a text that does not fit is given up at once, whatever it is. Of a character by `++` and `*+`,
# of more by atomic groups: before Python 3.11.5, as in Debian 12, repeating a group possessively is wrong (gh-106052).
_TOKEN: Final = re.compile(
    r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|(?P<doctype><!DOCTYPE)"
    r"|</(?P<end>[^\s<>/=\"']++)[ \t\r\n]*+>"
    r"|<(?P<start>[^\s<>/=\"'!?]++)(?>(?:[^<>\"'/]++|\"[^\"<]*+\"|'[^'<]*+'|/(?!>))*)(?P<empty>/)?>",
    re.DOTALL,
)
_FILLING: Final = (
    "<request><declaration><delete><ssin>00000000197</ssin><inscriptionContext>AA</inscriptionContext></delete>"
    "</declaration></request>"
)
"""A valid declaration, in whose place head and end of a file are judged."""

_B: Final = r"[ \t\r\n]*+"
_BLANKS: Final = re.compile(_B)
_SSIN: Final = rf"<ssin>({SSIN})</ssin>"
_CONTEXT: Final = rf"<inscriptionContext>({CONTEXT})</inscriptionContext>"
_BEGIN: Final = rf"<beginDate>({DAY})</beginDate>"
_END: Final = rf"(?>(?:<endDate>({DAY})</endDate>{_B})?)"
_PERIOD: Final = rf"<period>{_B}{_BEGIN}{_B}{_END}</period>"
_INSCRIPTION: Final = rf"{_SSIN}{_B}<inscription>{_B}{_CONTEXT}{_B}{_PERIOD}{_B}</inscription>{_B}"
_LEGAL_DATA: Final = (
    rf"(?>(<legalData>{_B}"
    rf"(?>(?:<name>{_B}<lastName>({TEXT_CHARACTER}{{1,{NAME_CHARS_MAX}}}+)</lastName>{_B}"
    rf"((?>(?:<givenName>{TEXT_CHARACTER}{{1,{NAME_CHARS_MAX}}}+</givenName>{_B}){{0,{GIVEN_NAMES_MAX}}}))</name>{_B})?)"
    rf"(?>(?:<birth>{_B}<birthDate>({INCOMPLETE_DAY})</birthDate>{_B}</birth>{_B})?)"
    rf"(?>(?:<gender>{_B}<genderCode>([012])</genderCode>{_B}</gender>{_B})?)"
    rf"</legalData>{_B})?)"
)
_PLAIN: Final = re.compile(
    rf"{_B}<request>{_B}(?>(?:<ticket>({TEXT_CHARACTER}{{0,{TICKET_LENGTH_MAX}}}+)</ticket>{_B})?)<declaration>{_B}<"
    rf"(?:insert>{_B}{_INSCRIPTION}{_LEGAL_DATA}()</insert>"
    rf"|update>{_B}{_INSCRIPTION}<newPeriod>{_B}{_BEGIN}{_B}{_END}</newPeriod>{_B}()</update>"
    rf"|delete>{_B}{_SSIN}{_B}{_CONTEXT}{_B}"
    rf"(?>(<period>{_B}(?>(?:{_BEGIN}{_B})?){_END}</period>{_B})?)()</delete>"
    rf"|consult>{_B}{_SSIN}{_B}((?>(?:<inscriptionContext>[^<]++</inscriptionContext>{_B}){{0,25}}))"
    rf"(?>(?:{_PERIOD}{_B})?)()</consult>"
    rf"){_B}</declaration>{_B}</request>"
)
_INSERT, _UPDATE, _DELETE = 11, 18, 24
"""The empty group that ends each kind of declaration: as `lastindex` it tells which kind was found."""
_day: Final = date.fromisoformat
_GIVEN_NAMES: Final = re.compile("<givenName>([^<]+)<")
_CONTEXTS: Final = re.compile("<inscriptionContext>([^<]+)<")
_CONTEXT_SHAPE: Final = re.compile(CONTEXT)


class XmlLines:
    """An XML batch: its `header` is read at once, its lines by iteration, once.

    Raises `FileRejected`, at the making or at any line, for a file that is wrong as a whole.
    """

    def __init__(self, pieces: TextPieces, limits: BatchLimits, *, refusing: Refusing | None = None) -> None:
        self._limits = limits
        self._refusing = refusing
        self._xml_limits = limits.xml
        self._incoming = iter(pieces)
        self._buffer = ""
        self._position = 0
        self._line = 1
        """Of the text: where the buffer begins."""
        self._ended = False
        self._number = 0
        self._fill()
        self._head, self._tail = self._read_head()
        try:
            head = f"{self._head}{_FILLING}{self._tail}"
            # Without charset: what the XML declaration says of the encoding must be true.
            root = safe_xml.parse(head.encode(), charset=None, limits=self._xml_limits)
            batch_schema().validate(root, names.BATCH_REQUEST)
            self.header: BatchHeader = read_batch_header(root)
        except MessageRejected as error:
            raise self._rejected(error, is_in_head=True) from None
        # A name without prefix says what it seems to only where no default namespace is in force.
        self._may_be_plain = None not in root[-1].nsmap

    def __iter__(self) -> Iterator[BatchLine]:
        match_plain, line_chars_max = _PLAIN.match, self._limits.line_chars_max
        line: BatchLine | None
        while True:
            if len(self._buffer) - self._position < line_chars_max and not self._ended:
                self._fill()
            line = None
            found = match_plain(self._buffer, self._position) if self._may_be_plain else None
            # The expression does not count blanks: what is too long goes the long way, to be refused there.
            if found is not None and found.end() - self._position <= line_chars_max:
                line = _plain_line(found, self._number + 1)
            if line is not None:
                self._position = found.end()  # type: ignore[union-attr]  # there is a line only of what was found
            else:
                piece = self._cut()
                if piece is None:
                    self._check_end()
                    return
                line = self._line_of(piece)
            self._number += 1
            if self._number > self._limits.line_count_max:
                raise self._rejected(MalformedMessage("lines"))
            yield line

    def _read_head(self) -> tuple[str, str]:
        """The text up to the first declaration, and the tags that close what it leaves open."""
        open_names: list[str] = []
        while True:
            token = self._token(begin=0)
            if token["start"] is not None and token["empty"] is None:
                open_names.append(token["start"])
                if len(open_names) == _DEPTH_OF_REQUESTS and open_names[-1] == "requests":
                    closing = "".join(f"</{name}>" for name in reversed(open_names))
                    return self._buffer[: self._position], closing
            elif token["end"] is not None and (not open_names or open_names.pop() != token["end"]):
                raise self._rejected(MalformedMessage("not-well-formed"), is_in_head=True)
            if not open_names and (token["end"] is not None or token["empty"] is not None):
                raise self._rejected(SchemaViolation("schema", ("*: content",)), is_in_head=True)

    def _cut(self) -> str | None:
        """The text up to the end of the next element; None, and nothing is passed by, where the requests end."""
        begin, depth = self._position, 0
        while True:
            token = self._token(begin=begin)
            if token["end"] is not None:
                depth -= 1
            elif token["start"] is not None:
                depth += token["empty"] is None
            else:
                continue
            if depth < 0:
                self._position = begin
                return None
            if depth == 0:
                return self._buffer[begin : self._position]

    def _line_of(self, piece: str) -> BatchLine:
        """The line that a piece spells, the long way. Raises `FileRejected` when it is not even XML within limits."""
        number = self._number + 1
        try:
            document = f"{self._head}{piece}{self._tail}"
            root = safe_xml.parse(document.encode(), charset="utf-8", limits=self._xml_limits)
        except MessageRejected as error:
            self._position -= len(piece)
            raise self._rejected(error) from None
        requests = root[-1]
        refused: MessageRejected
        try:
            batch_schema().validate(root, names.BATCH_REQUEST)
            (request,) = requests.iterchildren("request")
            if next(request.iter(etree.Comment), None) is None:
                return read_batch_line(request, number=number)
            refused = WsiViolation("comment")  # as in the Body of a message (SEC-20)
        except (SchemaViolation, ContentViolation) as error:
            refused = error
        if self._refusing is not None:
            self._refusing(number, refused)
        return BatchLine(number=number, ticket=_ticket_of(requests), refused=refused.code)

    def _check_end(self) -> None:
        """Nothing, when what follows the last declaration ends the file as it should. Raises `FileRejected`."""
        self._fill()
        end = self._buffer[self._position :]
        try:
            if not self._ended or len(end) > self._limits.line_chars_max:
                raise MalformedMessage("size")
            filling = _FILLING if self._number else ""  # a batch without a declaration is none
            root = safe_xml.parse(f"{self._head}{filling}{end}".encode(), charset="utf-8", limits=self._xml_limits)
            batch_schema().validate(root, names.BATCH_REQUEST)
        except MessageRejected as error:
            raise self._rejected(error) from None

    def _token(self, *, begin: int) -> re.Match[str]:
        """The next piece of mark-up; text before it and itself are passed by. `begin`: where its line or head begins.

        Raises `FileRejected`: there is none, or what it belongs to is too long.
        """
        at = self._buffer.find("<", self._position)
        token = _TOKEN.match(self._buffer, at) if at >= 0 else None
        # The buffer holds the longest line there may be, so that what it does not hold whole is too long.
        chars = (len(self._buffer) if token is None else token.end()) - begin
        if chars > self._limits.line_chars_max:
            raise self._rejected(MalformedMessage("size"))
        if token is None:
            raise self._rejected(MalformedMessage("not-well-formed"))
        if token["doctype"] is not None:
            raise self._rejected(WsiViolation("doctype"))
        self._position = token.end()
        return token

    def _fill(self) -> None:
        """Nothing; the buffer begins where reading stands and holds as much as a line may have, or all that is left."""
        self._line += self._buffer.count("\n", 0, self._position)
        parts = [self._buffer[self._position :]]
        chars, self._position = len(parts[0]), 0
        while chars <= self._limits.line_chars_max:
            piece = next(self._incoming, None)
            if piece is None:
                self._ended = True
                break
            parts.append(piece)
            chars += len(piece)
        self._buffer = "".join(parts)

    def _rejected(self, error: MessageRejected, *, is_in_head: bool = False) -> FileRejected:
        blanks = _BLANKS.match(self._buffer, self._position)
        line = self._line + self._buffer.count("\n", 0, self._position if blanks is None else blanks.end())
        return FileRejected(error, line=line, number=None if is_in_head else self._number + 1)


def _plain_line(found: re.Match[str], number: int) -> BatchLine | None:
    """The line of a declaration that is written plainly; None for what is better left to the long way."""
    kind = found.lastindex
    try:
        if kind == _INSERT:
            ticket, ssin, context, begin, end, legal_data, last_name, given_names, birth_date, gender = found.group(
                1, 2, 3, 4, 5, 6, 7, 8, 9, 10
            )
            if birth_date is not None:
                IncompleteDate.parse(birth_date)
            return BatchLine(
                number=number,
                ticket=ticket or None,
                operation=Operation.INSERT_INSCRIPTION,
                ssin=ssin,
                inscription_contexts=(context,),
                period=(_day(begin), None if end is None else _day(end)),
                legal_data=None
                if legal_data is None
                else BatchLegalData(
                    last_name=last_name,
                    given_names=tuple(_GIVEN_NAMES.findall(given_names)) if given_names else (),
                    birth_date=birth_date,
                    gender=None if gender is None else int(gender),
                ),
            )
        if kind == _UPDATE:
            ticket, ssin, context, begin, end, new_begin, new_end = found.group(1, 12, 13, 14, 15, 16, 17)
            return BatchLine(
                number=number,
                ticket=ticket or None,
                operation=Operation.UPDATE_INSCRIPTION,
                ssin=ssin,
                inscription_contexts=(context,),
                period=(_day(begin), None if end is None else _day(end)),
                new_period=(_day(new_begin), None if new_end is None else _day(new_end)),
            )
        if kind == _DELETE:
            ticket, ssin, context, period, begin, end = found.group(1, 19, 20, 21, 22, 23)
            return BatchLine(
                number=number,
                ticket=ticket or None,
                operation=Operation.DELETE_INSCRIPTION,
                ssin=ssin,
                inscription_contexts=(context,),
                period=None
                if period is None
                else (None if begin is None else _day(begin), None if end is None else _day(end)),
            )
        ticket, ssin, listed, begin, end = found.group(1, 25, 26, 27, 28)
        contexts = tuple(_CONTEXTS.findall(listed))
        if not all(map(_CONTEXT_SHAPE.fullmatch, contexts)):
            return None
        return BatchLine(
            number=number,
            ticket=ticket or None,
            operation=Operation.CONSULT_INSCRIPTIONS,
            ssin=ssin,
            inscription_contexts=contexts,
            period=None if begin is None else (_day(begin), None if end is None else _day(end)),
        )
    except ValueError:  # a day that no calendar has; `InvalidDate` is one too
        return None


def _ticket_of(requests: _Element) -> str | None:
    """The ticket of a declaration that is refused, where it has one that can be repeated."""
    ticket = requests.find("request/ticket")
    if ticket is None or len(ticket) or len(ticket.text or "") > TICKET_LENGTH_MAX:
        return None
    return ticket.text or None
