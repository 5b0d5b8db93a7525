"""A population as files: persons.csv, inscriptions.csv, population.json (docs/populations.md), and as rows to load.

Everything passes in a stream, by rising number; what stays in memory is one number for each person. Whoever reads files
is told the first fault by file, line and rule, never by value: what stands there may be personal data all the same.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, NoReturn, Self, TypeVar

import msgspec

from cbss_inscription.domain.customer import CustomerIdentification, InvalidCustomer
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.inscription import InscriptionContext, InvalidInscriptionContext
from cbss_inscription.domain.legal_data import GIVEN_NAMES_MAX, FileStatus, Gender, InvalidPerson, Person, Register
from cbss_inscription.domain.period import IncompleteDate, InvalidDate
from cbss_inscription.domain.ssin import SSIN_DIGITS, InvalidSsin, Ssin
from cbss_inscription.sandbox.inscriptions import ALIVE, SyntheticInscriptions, copy_text
from cbss_inscription.sandbox.population import NumberSpace, Population, make_population, recipe_of
from cbss_inscription.storage.population import Rows, export_population, in_blocks, person_row

PERSONS_FILE: Final = "persons.csv"
"""The file of persons."""
INSCRIPTIONS_FILE: Final = "inscriptions.csv"
"""The file of line sets."""
MANIFEST_FILE: Final = "population.json"
"""The file that says what the others are made from."""
PERSONS_HEADER: Final = (
    "ssin,register,status,replaced_by,last_name,given_names,birth_date,gender_code,decease_date,register_inception_date"
)
"""The first line of persons.csv."""
INSCRIPTIONS_HEADER: Final = "ssin,customer,inscription_context,periods,last_changes"
"""The first line of inscriptions.csv."""
FORMAT_VERSION: Final = 1
"""The version of the files' format."""
LINE_BYTES_MAX: Final = 4_194_304
"""Bytes of one line of a file, its line feed included.

A line set of 85 000 periods: replacements merge line sets beyond what a caller may make, and so many periods with a day
between two take more than 450 years.
"""
MANIFEST_BYTES_MAX: Final = 65_536
"""Bytes of population.json."""
NAME_LENGTH_MAX: Final = 256
"""Characters of one name."""
RECIPE_LENGTH_MAX: Final = 512
"""Characters of a recipe in population.json."""
CHAIN_FILES_MAX: Final = 1_000
"""Files that replace one another in one chain; the sandbox's longest scenario has twelve."""
Word = TypeVar("Word")
_SORTED_AT_ONCE: Final = 200_000
_HASHED_AT_ONCE: Final = 1_048_576
_QUOTED_AT_MOST: Final = 200  # characters of what a parser says of population.json, which may quote it


class FileFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What population.json says of a file."""

    rows: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What population.json says: the recipe, and how the files must be."""

    format_version: int
    recipe: str
    persons: FileFigures
    inscriptions: FileFigures
    exported_from: str | None = None
    """The recipe of the database from which the files were taken; it may have changed since it was loaded."""


@dataclass(frozen=True, slots=True)
class Made:
    """A population to be made on the fly: the same rows that its files would hold."""

    persons: int
    inscriptions: int
    seed: int
    number_space: NumberSpace

    @property
    def recipe(self) -> str:
        """What it is made from."""
        return recipe_of(
            persons=self.persons, seed=self.seed, number_space=self.number_space, inscriptions=self.inscriptions
        )

    def check(self) -> None:
        """Nothing. Raises `UsageError` when there is no such population."""
        self.population()
        SyntheticInscriptions(inscriptions=self.inscriptions, seed=self.seed)

    def population(self) -> Population:
        """Its persons. Raises `UsageError` when there is no such population."""
        return make_population(persons=self.persons, seed=self.seed, number_space=self.number_space)


@dataclass(frozen=True, slots=True)
class PopulationRows:
    """The rows of a population, to be taken once: all persons first, then the line sets."""

    persons: Iterator[Rows]
    line_sets: Iterator[Rows]


Watch = Callable[[str, Iterator[Rows]], Iterator[Rows]]
"""Shows rows as they pass, under the name of their file."""


def made_rows(population: Made) -> PopulationRows:
    """The rows of COPY. Raises `UsageError` when there is no such population."""
    population.check()
    holders = _Holders()
    inscriptions = SyntheticInscriptions(inscriptions=population.inscriptions, seed=population.seed)
    return PopulationRows(
        persons=in_blocks(_sorted_rows(population.population().persons, person_row, holders)),
        line_sets=in_blocks(holders.lines(inscriptions.copy_lines) if population.inscriptions else ()),
    )


def make_files(directory: Path, population: Made, watch: Watch) -> Manifest:
    """What was written: the three files, the same bytes for the same population.

    Raises `UsageError` when there is no such population, or one of the files is there already.
    """
    population.check()
    _refuse_overwriting(directory)
    holders = _Holders()
    inscriptions = SyntheticInscriptions(inscriptions=population.inscriptions, seed=population.seed)
    person_blocks = in_blocks(_sorted_rows(population.population().persons, person_line, holders))
    line_set_blocks = in_blocks(holders.lines(inscriptions.csv_lines) if population.inscriptions else ())
    with _Written(directory / PERSONS_FILE) as persons, _Written(directory / INSCRIPTIONS_FILE) as line_sets:
        persons.write_rows(PERSONS_HEADER, watch(PERSONS_FILE, person_blocks))
        line_sets.write_rows(INSCRIPTIONS_HEADER, watch(INSCRIPTIONS_FILE, line_set_blocks))
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        recipe=population.recipe,
        persons=persons.figures,
        inscriptions=line_sets.figures,
    )
    _write_manifest(directory, manifest)
    return manifest


def export_files(directory: Path, conninfo: str) -> Manifest:
    """What was written: the three files, of the population that a database holds as it is now.

    Raises `UsageError` when it holds none, or one of the files is there already.
    """
    _refuse_overwriting(directory)
    with _Written(directory / PERSONS_FILE) as persons, _Written(directory / INSCRIPTIONS_FILE) as line_sets:
        exported_from = export_population(conninfo, persons, line_sets)
    figures = persons.figures, line_sets.figures
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        recipe=_recipe_of_files(*figures),
        persons=figures[0],
        inscriptions=figures[1],
        exported_from=exported_from,
    )
    _write_manifest(directory, manifest)
    return manifest


def _refuse_overwriting(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in (PERSONS_FILE, INSCRIPTIONS_FILE, MANIFEST_FILE):
        path = directory / name
        if path.exists() or path.is_symlink():
            _refuse_taken(path)


def _refuse_taken(path: Path) -> NoReturn:
    raise UsageError(f"{path} is there already: give an empty directory") from None


def _create(path: Path) -> IO[bytes]:
    """The new file; what is there already is refused, and a link that leads nowhere is not followed."""
    try:
        return path.open("xb")
    except FileExistsError:
        _refuse_taken(path)


# -- rows by rising number ---------------------------------------------------------------------------------------------

# A number, and the year of decease in four digits: 0000 for a file that has no lines.
_YEAR_DIGITS: Final = 4
_NO_LINES: Final = "0" * _YEAR_DIGITS
_RECORD_HEAD: Final = SSIN_DIGITS + _YEAR_DIGITS


class _Holders:
    """The active files of a population, by rising number, each with the year of decease."""

    def __init__(self) -> None:
        self._heads = array("q")

    def add(self, head: str) -> None:
        """Nothing; a file that has no lines is left out."""
        if not head.endswith(_NO_LINES):
            self._heads.append(int(head))

    def lines(self, lines_of: Callable[[int, int], Iterator[str]]) -> Iterator[str]:
        """The lines of all, one after the other."""
        for head in self._heads:
            yield from lines_of(*divmod(head, 10**_YEAR_DIGITS))


def _sorted_rows(persons: Iterable[Person], render: Callable[[Person], str], holders: _Holders) -> Iterator[str]:
    """The rows by rising number: sorted in pieces, which wait in a temporary file."""
    records = (f"{person.ssin.digits}{_decease_year(person):04d}{render(person)}" for person in persons)
    with ExitStack() as held:
        pieces: list[IO[str]] = []
        while piece := sorted(islice(records, _SORTED_AT_ONCE)):
            file = held.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n"))
            file.writelines(piece)
            file.seek(0)
            pieces.append(file)
        del piece
        for record in merge(*pieces):
            holders.add(record[:_RECORD_HEAD])
            yield record[_RECORD_HEAD:]


def _decease_year(person: Person) -> int:
    if person.status is not FileStatus.ACTIVE:
        return 0
    return person.decease_date.year if person.decease_date else ALIVE


# -- writing -----------------------------------------------------------------------------------------------------------


def person_line(person: Person) -> str:
    """The line of a file in persons.csv, with its line feed."""
    given_names = "|".join(name.replace("\\", "\\\\").replace("|", "\\|") for name in person.given_names)
    return (
        f"{person.ssin.digits},{person.register.value},{person.status.value},"
        f"{person.replaced_by.digits if person.replaced_by else ''},"
        f"{_quoted(person.last_name)},{_quoted(given_names)},{person.birth_date or ''},{person.gender.value},"
        f"{person.decease_date or ''},{person.register_inception_date or ''}\n"
    )


def _quoted(text: str) -> str:
    # As PostgreSQL's COPY does it, which writes the same file on export.
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if "," in text or '"' in text else text


class _Written:
    """A file that is being written, and its figures."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._rows = -1  # the header is none
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self._file = _create(self._path)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        assert self._file is not None
        self._file.close()
        if kind is not None:
            self._path.unlink()

    def write(self, data: bytes) -> None:
        """Nothing; the bytes are written and counted."""
        assert self._file is not None
        self._file.write(data)
        self._digest.update(data)
        self._bytes += len(data)
        self._rows += data.count(b"\n")

    def write_rows(self, header: str, blocks: Iterable[Rows]) -> None:
        """Nothing; the header and all rows are written."""
        self.write(f"{header}\n".encode())
        for rows in blocks:
            self.write(rows.text)

    @property
    def figures(self) -> FileFigures:
        """What was written."""
        return FileFigures(rows=self._rows, bytes=self._bytes, sha256=self._digest.hexdigest())


def _write_manifest(directory: Path, manifest: Manifest) -> None:
    described = {key: value for key, value in msgspec.to_builtins(manifest).items() if value is not None}
    with _create(directory / MANIFEST_FILE) as file:
        file.write(json.dumps(described, indent=2).encode() + b"\n")


def _recipe_of_files(persons: FileFigures, inscriptions: FileFigures) -> str:
    return f"files persons={persons.sha256} inscriptions={inscriptions.sha256}"


# -- reading -----------------------------------------------------------------------------------------------------------


class PopulationFiles:
    """The files in a directory; population.json may be missing, then only what they hold says what they are.

    Raises `UsageError` at once when a file cannot be read at all.
    """

    def __init__(self, directory: Path) -> None:
        self._persons = directory / PERSONS_FILE
        self._inscriptions = directory / INSCRIPTIONS_FILE
        for path in (self._persons, self._inscriptions):
            if not path.is_file():
                raise UsageError(f"{path}: no such file")
        self._manifest = _read_manifest(directory / MANIFEST_FILE)
        self._seen = _Seen()

    @property
    def counts(self) -> tuple[int, int] | None:
        """How many rows population.json promises of each file; None without it."""
        if self._manifest is None:
            return None
        return self._manifest.persons.rows, self._manifest.inscriptions.rows

    @property
    def recipe(self) -> str:
        """What population.json says they are made from; without it, their digests."""
        if self._manifest is not None:
            return self._manifest.recipe
        return _recipe_of_files(_figures_of(self._persons), _figures_of(self._inscriptions))

    def rows(self) -> PopulationRows:
        """The rows of COPY; taking them raises `UsageError` at the first fault, by file, line and rule."""
        manifest = self._manifest
        return PopulationRows(
            persons=in_blocks(self._person_rows(manifest.persons if manifest else None)),
            line_sets=in_blocks(self._line_set_rows(manifest.inscriptions if manifest else None)),
        )

    def _person_rows(self, promised: FileFigures | None) -> Iterator[str]:
        lines = _Lines(self._persons, PERSONS_HEADER)
        former = ""
        for fields in lines.fields():
            person = _read_person(lines, fields)
            if person.ssin.digits <= former:
                lines.refuse("the same number twice" if person.ssin.digits == former else "numbers do not rise")
            former = person.ssin.digits
            self._seen.add(person, lines.number)
            yield person_row(person)
        self._seen.check(lines)
        lines.check(promised)

    def _line_set_rows(self, promised: FileFigures | None) -> Iterator[str]:
        lines = _Lines(self._inscriptions, INSCRIPTIONS_HEADER)
        former: tuple[str, str, str] = ("", "", "")
        digits, problem = "", None
        for ssin, customer, context, periods, last_changes in lines.fields():
            if ssin != digits:
                digits, problem = ssin, self._seen.problem_of_holder(ssin)
            if problem is not None:
                lines.refuse(problem)
            key = (ssin, customer, context)
            if key <= former:
                lines.refuse("the same line set twice" if key == former else "line sets are not in their order")
            former = key
            problem_of_key = _problem_of_customer(customer) or _problem_of_context(context)
            problem_of_lines = _problem_of_periods(periods) or _problem_of_changes(last_changes)
            if problem_of_key is not None or problem_of_lines is not None:
                lines.refuse(problem_of_key or problem_of_lines or "")
            if periods.count(" ") != last_changes.count(" "):
                lines.refuse("not one last change for each period")
            yield f"{ssin}\t{customer}\t{context}\t{copy_text(periods, last_changes)}"
        lines.check(promised)


def _read_manifest(path: Path) -> Manifest | None:
    try:
        with path.open("rb") as file:
            text = file.read(MANIFEST_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    if len(text) > MANIFEST_BYTES_MAX:
        raise UsageError(f"{path}: more than {MANIFEST_BYTES_MAX} bytes")
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = "".join(letter if letter.isprintable() else "?" for letter in str(error)[:_QUOTED_AT_MOST])
        raise UsageError(f"{path}: {reason}") from None
    if manifest.format_version != FORMAT_VERSION:
        raise UsageError(f"{path}: format version {manifest.format_version}, this program reads {FORMAT_VERSION}")
    for name, recipe in (("recipe", manifest.recipe), ("exported_from", manifest.exported_from)):
        # It is shown on terminals.
        if recipe is not None and not (0 < len(recipe) <= RECIPE_LENGTH_MAX and recipe.isprintable()):
            raise UsageError(f"{path}: {name}: not one line of 1 to {RECIPE_LENGTH_MAX} printable characters")
    return manifest


def _figures_of(path: Path) -> FileFigures:
    digest, size, rows = hashlib.sha256(), 0, -1
    with path.open("rb") as file:
        while data := file.read(_HASHED_AT_ONCE):
            digest.update(data)
            size += len(data)
            rows += data.count(b"\n")
    return FileFigures(rows=rows, bytes=size, sha256=digest.hexdigest())


class _Lines:
    """The lines of a CSV file as fields; knows where it is."""

    def __init__(self, path: Path, header: str) -> None:
        self.number = 0
        self._path = path
        self._header = header
        self._digest = hashlib.sha256()

    def refuse(self, rule: str, number: int | None = None) -> NoReturn:
        """Raises `UsageError` with place and rule. `from None`: what stands there is not repeated."""
        raise UsageError(f"{self._path}, line {number or self.number}: {rule}") from None

    def fields(self) -> Iterator[list[str]]:
        """The fields of each line after the header."""
        expected = self._header.count(",") + 1
        for text in self._texts():
            if self.number == 1:
                if text != self._header:
                    self.refuse(f"the header is not {self._header}")
                continue
            fields = self._unquoted(text) if '"' in text else text.split(",")
            if len(fields) != expected:
                self.refuse(f"{len(fields)} fields, not {expected}")
            yield fields
        if self.number == 0:
            self.number = 1
            self.refuse(f"the header is not {self._header}")

    def check(self, promised: FileFigures | None) -> None:
        """Nothing, when all lines were taken and are those that population.json speaks of."""
        if promised is not None and promised.sha256 != self._digest.hexdigest():
            raise UsageError(
                f"{self._path}: another SHA-256 than in {MANIFEST_FILE}: remove that file if the change was meant"
            )

    def _texts(self) -> Iterator[str]:
        with self._path.open("rb") as file:
            while line := file.readline(LINE_BYTES_MAX + 1):
                self.number += 1
                if len(line) > LINE_BYTES_MAX:
                    self.refuse(f"longer than {LINE_BYTES_MAX} bytes")
                self._digest.update(line)
                if self.number == 1 and line.startswith(b"\xef\xbb\xbf"):
                    self.refuse("a byte order mark")
                if not line.endswith(b"\n"):
                    self.refuse("no line feed at the end")
                if b"\r" in line:
                    self.refuse("a carriage return: lines end in a line feed alone")
                try:
                    yield line[:-1].decode()
                except UnicodeDecodeError:
                    self.refuse("not UTF-8")

    def _unquoted(self, text: str) -> list[str]:
        if not _CSV.fullmatch(text):
            self.refuse("quotation marks that do not fit")
        # Not by the csv module, whose bound on a field is one for the whole process.
        return [
            field[1:-1].replace('""', '"') if field.startswith('"') else field for field in _CSV_FIELD.findall(text)
        ]


# Possessive: a line of marks alone takes neither memory nor a second try.
_QUOTED: Final = r'"(?>(?:[^"]++|"")*)"'
_CSV: Final = re.compile(f'(?:{_QUOTED}|[^",]*+)(?>(?:,(?:{_QUOTED}|[^",]*+))*)')
_CSV_FIELD: Final = re.compile(f'(?:^|(?<=,))(?:{_QUOTED}|[^",]*+)(?=,|$)')


class _Seen:
    """The numbers of the persons that passed, and who replaces whom."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._replaced: dict[int, tuple[int, int]] = {}

    def add(self, person: Person, line_number: int) -> None:
        """Nothing; the person passed, with a greater number than all before."""
        self._numbers.append(person.ssin.number)
        if person.replaced_by is not None:
            self._replaced[person.ssin.number] = person.replaced_by.number, line_number

    def check(self, lines: _Lines) -> None:
        """Nothing, when every replacement leads to an end."""
        ends: set[int] = set()
        for first in self._replaced:
            path, number = [], first
            while number in self._replaced and number not in ends:
                path.append(number)
                successor, line_number = self._replaced[number]
                if not self._has(successor):
                    lines.refuse("replaced by a number that is not in the file", line_number)
                if len(path) > CHAIN_FILES_MAX:
                    lines.refuse("replacements without end", line_number)
                number = successor
            ends.update(path)

    def problem_of_holder(self, digits: str) -> str | None:
        """The rule against which a line of this number is; None when there is none."""
        if not _ELEVEN_DIGITS.fullmatch(digits) or not self._has(int(digits)):
            return f"a number that is not in {PERSONS_FILE}"
        if int(digits) in self._replaced:
            return "lines of a replaced number stand under the one that replaces it (rule 19)"
        return None

    def _has(self, number: int) -> bool:
        place = bisect_left(self._numbers, number)
        return place < len(self._numbers) and self._numbers[place] == number


_ELEVEN_DIGITS: Final = re.compile(r"[0-9]{11}")


class _Refused(ValueError):
    """A value against a rule, which is the text."""


def _read_person(lines: _Lines, fields: list[str]) -> Person:
    values: dict[str, Any] = {}
    for (name, read), text in zip(_READERS, fields, strict=True):
        try:
            values[name] = read(text)
        except (InvalidSsin, InvalidDate, _Refused) as error:
            lines.refuse(f"{name}: {error}")  # their words tell the rule, never the value
    try:
        return Person(**values)
    except InvalidPerson as error:
        lines.refuse(str(error))


def _word(words: Mapping[str, Word]) -> Callable[[str], Word]:
    def read(text: str) -> Word:
        word = words.get(text)
        if word is None:
            raise _Refused(f"not one of {', '.join(words)}")
        return word

    return read


def _optional(read: Callable[[str], Word]) -> Callable[[str], Word | None]:
    return lambda text: read(text) if text else None


def _name(text: str) -> str:
    if not text:
        raise _Refused("a name without characters")
    if len(text) > NAME_LENGTH_MAX:
        raise _Refused(f"a name of more than {NAME_LENGTH_MAX} characters")
    if not text.isprintable() and any(unicodedata.category(letter) == "Cc" for letter in text):
        raise _Refused("a control character")
    return text


def _given_names(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    parts = text.split("|")
    if "\\" in text:
        if _BROKEN_ESCAPE.search(text):
            raise _Refused("a backslash before what is neither | nor a backslash")
        parts = [""]
        for piece in _PIECE.findall(text):
            if piece == "|":
                parts.append("")
            else:
                parts[-1] += piece[1:] if piece[0] == "\\" else piece
    if len(parts) > GIVEN_NAMES_MAX:
        raise _Refused(f"more than {GIVEN_NAMES_MAX} names")
    return tuple(map(_name, parts))


_BROKEN_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\(?![|\\])")
_PIECE: Final = re.compile(r"\\[|\\]|\||[^|\\]+")


def _incomplete_date(text: str) -> IncompleteDate:
    day = IncompleteDate.parse(text)
    if str(day) != text:
        raise _Refused("blanks around a date")
    return day


def _day(text: str) -> date:
    if _DAY.fullmatch(text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise _Refused("not a day as yyyy-mm-dd")


_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_READERS: Final[tuple[tuple[str, Callable[[str], object]], ...]] = (
    ("ssin", Ssin.parse),
    ("register", _word({str(register): register for register in Register})),
    ("status", _word({str(status): status for status in FileStatus})),
    ("replaced_by", _optional(Ssin.parse)),
    ("last_name", _name),
    ("given_names", _given_names),
    ("birth_date", _optional(_incomplete_date)),
    ("gender", _word({str(int(gender)): gender for gender in Gender})),
    ("decease_date", _optional(_incomplete_date)),
    ("register_inception_date", _optional(_day)),
)


@lru_cache(maxsize=4_096)
def _problem_of_customer(key: str) -> str | None:
    try:
        CustomerIdentification.of_key(key)
    except InvalidCustomer as error:
        return f"customer: {error}"
    return None


@lru_cache(maxsize=4_096)
def _problem_of_context(text: str) -> str | None:
    try:
        InscriptionContext(text)
    except InvalidInscriptionContext as error:
        return f"inscription_context: {error}"
    return None


def _problem_of_periods(text: str) -> str | None:
    """The rule that the periods break; None for disjoint, rising periods with a day between each two (rule 32)."""
    former: int | None = 0
    for period in text.split(" "):
        shape = _PERIOD.fullmatch(period)
        if shape is None:
            return "periods: not yyyy-mm-dd/yyyy-mm-dd with a blank between two, the last end absent when it is open"
        try:
            begin = date.fromisoformat(shape[1]).toordinal()
            end = date.fromisoformat(shape[2]).toordinal() if shape[2] else None
        except ValueError:
            return "periods: a day that no calendar has"
        if former is None:
            return "periods: something after an open end"
        if former and begin < former + 2:
            return "periods: not rising, or without a day between two"
        if end is not None and end < begin:
            return "periods: one ends before it begins"
        former = end
    return None


_PERIOD: Final = re.compile(rf"({_DAY.pattern})/({_DAY.pattern})?")


def _problem_of_changes(text: str) -> str | None:
    for change in text.split(" "):
        if not _MOMENT.fullmatch(change):
            return "last_changes: not yyyy-mm-ddThh:mm:ss.mmmZ with a blank between two"
        try:
            datetime.fromisoformat(change)
        except ValueError:
            return "last_changes: a moment that no calendar or clock has"
    return None


_MOMENT: Final = re.compile(rf"{_DAY.pattern}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}\.[0-9]{{3}}Z")
