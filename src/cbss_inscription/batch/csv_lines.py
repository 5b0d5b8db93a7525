"""The lines of a CSV batch, read as a stream: a declaration a line, its fields named as in the contract.

The first line names the columns, in any order; what is not named or is empty is absent. Comma or semicolon, quotes as
RFC 4180 has them, UTF-8. Several contexts, or given names, stand in one field with `|` between them.

What a line says is judged by the contract's own schema, as an element made of its fields; a line that is plainly good
is recognised by expressions instead, which accept nothing else (tests/batch/test_batch_csv.py).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import date
from operator import itemgetter
from typing import Final

from cbss_inscription import names
from cbss_inscription.batch.limits import BatchLimits, Refusing
from cbss_inscription.batch.shapes import CONTEXT, DAY, INCOMPLETE_DAY, NAME_CHARS_MAX, SSIN, TEXT_CHARACTER
from cbss_inscription.batch.text import TextPieces
from cbss_inscription.contract.batch import OPERATIONS, GivenTexts, read_batch_line, request_of
from cbss_inscription.contract.schema import batch_schema
from cbss_inscription.domain.batch import BatchHeader, BatchLegalData, BatchLine
from cbss_inscription.domain.customer import TICKET_LENGTH_MAX
from cbss_inscription.domain.errors import ContentViolation, FileRejected, MalformedMessage, SchemaViolation
from cbss_inscription.domain.legal_data import GIVEN_NAMES_MAX
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.requests import Operation

COLUMNS: Final = (
    "ticket",
    "operation",
    "ssin",
    "inscriptionContext",
    "beginDate",
    "endDate",
    "newBeginDate",
    "newEndDate",
    "lastName",
    "givenName",
    "birthDate",
    "genderCode",
)
"""What a file may say of a declaration."""
REQUIRED_COLUMNS: Final = frozenset({"operation", "ssin"})
BETWEEN_SEVERAL: Final = "|"
"""Between the contexts of a consultation and between given names; no context has it, and a name with it needs XML."""

_ssin: Final = re.compile(SSIN).fullmatch
_context: Final = re.compile(CONTEXT).fullmatch
_day_shape: Final = re.compile(DAY).fullmatch
_incomplete_day: Final = re.compile(INCOMPLETE_DAY).fullmatch
_ticket: Final = re.compile(rf"{TEXT_CHARACTER}{{1,{TICKET_LENGTH_MAX}}}").fullmatch
_name: Final = re.compile(rf"{TEXT_CHARACTER}{{1,{NAME_CHARS_MAX}}}").fullmatch
_GENDERS: Final = frozenset({"0", "1", "2"})


class CsvLines:
    """A CSV batch under the head that its manifest states: its lines by iteration, once.

    Raises `FileRejected`, at the making or at any line, for a file that is wrong as a whole.
    """

    def __init__(
        self, pieces: TextPieces, limits: BatchLimits, header: BatchHeader, *, refusing: Refusing | None = None
    ) -> None:
        self.header = header
        self._refusing = refusing
        self._pieces = pieces
        self._limits = limits
        self._line = 0
        """Of the text: the last that was handed to the reader of rows."""
        self._row_chars = 0
        self._number = 0
        self._texts = self._lines_of_text()
        first = next(self._texts, "").rstrip("\r\n")
        self._delimiter = ";" if ";" in first else ","
        columns = self._names_in(first)
        if len(set(columns)) < len(columns) or not REQUIRED_COLUMNS <= set(columns) <= set(COLUMNS):
            raise self._rejected("csv-columns", is_in_head=True)
        self._column_count = len(columns)
        # A column that is not there is the empty one behind the last.
        self._in_order = itemgetter(*(columns.index(name) if name in columns else len(columns) for name in COLUMNS))

    def __iter__(self) -> Iterator[BatchLine]:
        rows = csv.reader(self._texts, delimiter=self._delimiter, strict=True)
        in_order, column_count = self._in_order, self._column_count
        while True:
            self._row_chars = 0
            try:
                row = next(rows, None)
            except csv.Error:
                # `from None`: the message may quote
                raise self._rejected("csv") from None
            if row is None:
                break
            if not row:
                continue
            self._number += 1
            if self._number > self._limits.line_count_max:
                raise self._rejected("lines")
            if len(row) != column_count:
                fields = f"{len(row)} fields, and the first line has {column_count}"
                yield self._refused(SchemaViolation("schema", (fields,)), None)
                continue
            row.append("")
            cells = in_order(row)
            yield _plain_line(cells, self._number) or self._line_of(cells)
        if not self._number:  # a batch without a declaration is none
            raise FileRejected(SchemaViolation("schema", ("*: content",)), line=self._line)

    def _names_in(self, first: str) -> list[str]:
        try:
            return next(csv.reader([first], delimiter=self._delimiter, strict=True), [])
        except csv.Error:
            raise self._rejected("csv-columns", is_in_head=True) from None

    def _lines_of_text(self) -> Iterator[str]:
        """The lines of text, ends included. Raises `FileRejected` for one that makes its row too long."""
        chars_max, rest = self._limits.line_chars_max, ""
        for piece in self._pieces:
            *whole, rest = (rest + piece).split("\n")
            for text in whole:
                self._line += 1
                self._row_chars += len(text)
                if self._row_chars > chars_max:
                    raise self._rejected("size")
                yield text + "\n"
            if len(rest) > chars_max:
                self._line += 1
                raise self._rejected("size")
        if rest:
            self._line += 1
            yield rest

    def _line_of(self, cells: tuple[str, ...]) -> BatchLine:
        """The line that the fields spell, judged by the schema."""
        ticket, word, ssin, contexts, begin, end, new_begin, new_end, last_name, given_names, birth, gender = cells
        error: SchemaViolation | ContentViolation = SchemaViolation(
            "schema", ("operation: none of " + ", ".join(OPERATIONS),)
        )
        if word in OPERATIONS:
            given = GivenTexts(
                ticket=ticket,
                operation=word,
                ssin=ssin,
                inscription_contexts=contexts.split(BETWEEN_SEVERAL) if contexts else (),
                begin_date=begin,
                end_date=end,
                new_begin_date=new_begin,
                new_end_date=new_end,
                last_name=last_name,
                given_names=given_names.split(BETWEEN_SEVERAL) if given_names else (),
                birth_date=birth,
                gender_code=gender,
            )
            try:
                root = request_of(self.header, given)
                batch_schema().validate(root, names.BATCH_REQUEST)
                return read_batch_line(root[-1][0], number=self._number)
            except (SchemaViolation, ContentViolation) as violation:
                error = violation
        return self._refused(error, ticket if _ticket(ticket) else None)

    def _refused(self, error: SchemaViolation | ContentViolation, ticket: str | None) -> BatchLine:
        if self._refusing is not None:
            self._refusing(self._number, error)
        return BatchLine(number=self._number, ticket=ticket, refused=error.code)

    def _rejected(self, reason: str, *, is_in_head: bool = False) -> FileRejected:
        return FileRejected(MalformedMessage(reason), line=self._line, number=None if is_in_head else self._number + 1)


def _plain_line(cells: tuple[str, ...], number: int) -> BatchLine | None:
    """The line of fields that are plainly good; None for what is better left to the schema."""
    ticket, word, ssin, contexts, begin, end, new_begin, new_end, last_name, given_names, birth, gender = cells
    operation = OPERATIONS.get(word)
    if operation is None or not _ssin(ssin) or not (ticket == "" or _ticket(ticket)):
        return None
    try:
        period = (_day(begin), _day(end)) if begin or end else None
        if operation is Operation.CONSULT_INSCRIPTIONS:
            several = tuple(contexts.split(BETWEEN_SEVERAL)) if contexts else ()
            is_good = len(several) <= _CONTEXTS_MAX and all(map(_context, several)) and not (end and not begin)
        else:
            several = (contexts,)
            is_good = bool(_context(contexts) and (begin or operation is Operation.DELETE_INSCRIPTION))
        if not is_good:
            return None
        new_period, legal_data = None, None
        if operation is Operation.UPDATE_INSCRIPTION:
            if not new_begin:
                return None
            new_period = (_day(new_begin), _day(new_end))
        elif new_begin or new_end:
            return None
        if last_name or given_names or birth or gender:
            if operation is not Operation.INSERT_INSCRIPTION:
                return None
            legal_data = _legal_data(last_name, given_names, birth, gender)
    except ValueError:  # a day that no calendar has, or no day at all
        return None
    return BatchLine(
        number=number,
        ticket=ticket or None,
        operation=operation,
        ssin=ssin,
        inscription_contexts=several,
        period=period,
        new_period=new_period,
        legal_data=legal_data,
    )


_CONTEXTS_MAX: Final = 25
"""Contexts of a consultation (InscriptionV1.xsd)."""


def _day(text: str) -> date | None:
    """The day; None for an absent one. Raises ValueError for what is not plainly a day."""
    if not text:
        return None
    if not _day_shape(text):
        raise ValueError
    return date.fromisoformat(text)


def _legal_data(last_name: str, given_names: str, birth: str, gender: str) -> BatchLegalData:
    """Raises ValueError for what is not plainly good."""
    several = tuple(given_names.split(BETWEEN_SEVERAL)) if given_names else ()
    if (last_name or several) and not _are_names(last_name, several):
        raise ValueError
    if birth:
        if not _incomplete_day(birth):
            raise ValueError
        IncompleteDate.parse(birth)
    if gender and gender not in _GENDERS:
        raise ValueError
    return BatchLegalData(
        last_name=last_name or None,
        given_names=several,
        birth_date=birth or None,
        gender=int(gender) if gender else None,
    )


def _are_names(last_name: str, given_names: tuple[str, ...]) -> bool:
    return bool(_name(last_name)) and len(given_names) <= GIVEN_NAMES_MAX and all(map(_name, given_names))
