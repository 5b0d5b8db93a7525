"""A population's files: the same bytes for the same words, read as they were written, and refused by place and rule."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.legal_data import FileStatus, Gender, Person, Register
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.sandbox import population_files
from cbss_inscription.sandbox.population import NumberSpace, make_population
from cbss_inscription.sandbox.population_files import (
    INSCRIPTIONS_HEADER,
    LINE_BYTES_MAX,
    PERSONS_HEADER,
    Made,
    PopulationFiles,
    made_rows,
    make_files,
    person_line,
)
from cbss_inscription.storage.population import Rows, person_row

SMALL = Made(persons=300, inscriptions=3, seed=5, number_space=NumberSpace.FUTURE)
NR = "40000060768,nr,active,,Dupont,Eric,1940-00-00,1,,"
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
PERSONS = {person.ssin: person for person in make_population(persons=300, seed=1).persons}


def written(directory: Path, persons: str, inscriptions: str = f"{INSCRIPTIONS_HEADER}\n") -> PopulationFiles:
    directory.mkdir(exist_ok=True)
    (directory / "persons.csv").write_bytes(persons.encode() if isinstance(persons, str) else persons)
    (directory / "inscriptions.csv").write_bytes(
        inscriptions.encode() if isinstance(inscriptions, str) else inscriptions
    )
    return PopulationFiles(directory)


def text_of(files: PopulationFiles) -> tuple[str, str]:
    rows = files.rows()
    persons = b"".join(block.text for block in rows.persons)
    return persons.decode(), b"".join(block.text for block in rows.line_sets).decode()


def refusal(files: Callable[[], PopulationFiles]) -> str:
    with pytest.raises(UsageError) as refused:
        text_of(files())
    assert refused.value.__suppress_context__ or refused.value.__cause__ is None
    return str(refused.value)


def test_the_same_words_write_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs write the same three files, also when the sort needs several pieces; the manifest has their digests."""
    make_files(tmp_path / "one", SMALL, lambda _, rows: rows)
    monkeypatch.setattr(population_files, "_SORTED_AT_ONCE", 37)
    make_files(tmp_path / "other", SMALL, lambda _, rows: rows)

    for name in ("persons.csv", "inscriptions.csv", "population.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    manifest = json.loads((tmp_path / "one/population.json").read_bytes())
    assert manifest["recipe"] == SMALL.recipe
    for name in ("persons", "inscriptions"):
        data = (tmp_path / f"one/{name}.csv").read_bytes()
        assert manifest[name] == {
            "rows": data.count(b"\n") - 1,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }


def test_the_files_give_the_rows_that_are_made_on_the_fly(tmp_path: Path) -> None:
    """Reading back what was written gives the very rows that are loaded without files, by rising number."""
    make_files(tmp_path, SMALL, lambda _, rows: rows)
    made = made_rows(SMALL)
    persons = b"".join(block.text for block in made.persons).decode()
    line_sets = b"".join(block.text for block in made.line_sets).decode()

    files = PopulationFiles(tmp_path)
    assert text_of(files) == (persons, line_sets)
    assert files.recipe == SMALL.recipe
    assert files.counts == (300, line_sets.count("\n"))
    numbers = [row[:11] for row in persons.splitlines()]
    assert numbers == sorted(set(numbers))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    last_name=NAMES,
    given_names=st.lists(NAMES, max_size=4).map(tuple),
    gender=st.sampled_from(Gender),
    birth_date=st.none() | st.sampled_from([IncompleteDate(1940, 0, 0), IncompleteDate(1940, 2, 0)]),
    person=st.sampled_from([p for p in PERSONS.values() if p.status is not FileStatus.REPLACED]),
)
def test_any_file_is_read_as_it_was_written(
    tmp_path: Path,
    last_name: str,
    given_names: tuple[str, ...],
    gender: Gender,
    birth_date: IncompleteDate | None,
    person: Person,
) -> None:
    """Names with commas, quotation marks, bars and backslashes come back, as one line that any CSV reader takes."""
    changed = replace(person, last_name=last_name, given_names=given_names, gender=gender, birth_date=birth_date)
    line = person_line(changed)
    files = written(tmp_path, f"{PERSONS_HEADER}\n{line}")

    assert text_of(files) == (person_row(changed), "")
    (fields,) = csv.reader([line.removesuffix("\n")], strict=True)
    assert fields[4] == last_name


BIS = next(p for p in PERSONS.values() if p.register is Register.BIS and p.status is FileStatus.ACTIVE)
REPLACED = next(p for p in PERSONS.values() if p.status is FileStatus.REPLACED)
BIS_LINE = person_line(BIS).removesuffix("\n")


@pytest.mark.parametrize(
    ("lines", "number", "rule"),
    [
        ("ssin;register", 1, "the header is not ssin,register,"),
        ("\N{BYTE ORDER MARK}" + PERSONS_HEADER, 1, "a byte order mark"),
        (f"{PERSONS_HEADER}\n{NR},x", 2, "11 fields, not 10"),
        (f"{PERSONS_HEADER}\n\n", 2, "1 fields, not 10"),
        (f"{PERSONS_HEADER}\n{NR}\n{NR}", 3, "the same number twice"),
        (f"{PERSONS_HEADER}\n{BIS_LINE}\n{NR}", 3, "numbers do not rise"),
        (f"{PERSONS_HEADER}\n{NR.replace('60768', '60769')}", 2, "ssin: not an SSIN: check"),
        (f"{PERSONS_HEADER}\n{NR.replace('40000060768', '40.00.00-607.68')}", 2, "ssin: not an SSIN: shape"),
        (f"{PERSONS_HEADER}\n{NR.replace(',nr,', ',NR,')}", 2, "register: not one of nr, bis, rad"),
        (f"{PERSONS_HEADER}\n{NR.replace('active', 'dead')}", 2, "status: not one of active, replaced, canceled"),
        (f"{PERSONS_HEADER}\n{NR.replace(',nr,', ',bis,')}", 2, "a BIS number exactly in the BIS register"),
        (f"{PERSONS_HEADER}\n{BIS_LINE.replace(',bis,', ',rad,')}", 2, "a BIS number exactly in the BIS register"),
        (f"{PERSONS_HEADER}\n{NR}2000-01-01", 2, "no register inception date in the National Register"),
        (f"{PERSONS_HEADER}\n{NR.replace('active', 'replaced')}", 2, "a successor exactly when replaced"),
        (f"{PERSONS_HEADER}\n{person_line(REPLACED)}", 2, "replaced by a number that is not in the file"),
        (f"{PERSONS_HEADER}\n{NR.replace('Dupont', '')}", 2, "last_name: a name without characters"),
        (f"{PERSONS_HEADER}\n{NR.replace('Dupont', 'x' * 257)}", 2, "last_name: a name of more than 256 characters"),
        (f"{PERSONS_HEADER}\n{NR.replace('Dupont', 'Du' + chr(0) + 'pont')}", 2, "last_name: a control character"),
        (f"{PERSONS_HEADER}\n{NR.replace('Eric', 'Eric||Jan')}", 2, "given_names: a name without characters"),
        (f"{PERSONS_HEADER}\n{NR.replace('Eric', 'Er' + chr(92) + 'ic')}", 2, "given_names: a backslash before"),
        (f"{PERSONS_HEADER}\n{NR.replace('Eric', '|'.join('x' * 15))}", 2, "given_names: more than 14 names"),
        (f"{PERSONS_HEADER}\n{NR.replace('Dupont', 'Du' + chr(34) + 'pont')}", 2, "quotation marks that do not fit"),
        (f"{PERSONS_HEADER}\n{NR.replace('Dupont', chr(34) + 'Dupont')}", 2, "quotation marks that do not fit"),
        (f"{PERSONS_HEADER}\n{NR.replace('1940-00-00', '1940-13-00')}", 2, "birth_date: no such day"),
        (f"{PERSONS_HEADER}\n{NR.replace('1940-00-00', ' 1940-00-00')}", 2, "birth_date: blanks around a date"),
        (f"{PERSONS_HEADER}\n{NR.replace(',1,', ',3,')}", 2, "gender: not one of 0, 1, 2"),
        (f"{PERSONS_HEADER}\n{BIS_LINE.rpartition(',')[0]},20200101", 2, "register_inception_date: not a day"),
        (f"{PERSONS_HEADER}\r\n{NR}", 1, "a carriage return: lines end in a line feed alone"),
        (f"{PERSONS_HEADER}\n{NR.replace('Dupont', 'D' * LINE_BYTES_MAX)}", 2, f"longer than {LINE_BYTES_MAX} bytes"),
    ],
)
def test_a_hostile_line_of_persons_is_refused_by_place_and_rule(
    tmp_path: Path, lines: str, number: int, rule: str
) -> None:
    """The first fault is told by file, line and rule; the value is not repeated."""
    ending = "" if lines.endswith("\n") else "\n"
    told = refusal(lambda: written(tmp_path, lines + ending))

    assert told.startswith(f"{tmp_path / 'persons.csv'}, line {number}: {rule}")
    assert not {"Dupont", "Eric", "40000060768", BIS.last_name, BIS.ssin.digits} & set(told.replace(":", "").split())


def test_what_is_no_text_or_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, an empty file and a last line without its end are refused with their line."""
    latin = f"{PERSONS_HEADER}\n{NR.replace('Dupont', 'Dupré')}\n".encode("latin-1")
    assert refusal(lambda: written(tmp_path, latin)).endswith("line 2: not UTF-8")  # type: ignore[arg-type]
    assert "line 1: the header is not" in refusal(lambda: written(tmp_path, ""))
    assert refusal(lambda: written(tmp_path, f"{PERSONS_HEADER}\n{NR}")).endswith("line 2: no line feed at the end")


def test_rule_16_replacements_in_a_circle_are_refused(tmp_path: Path) -> None:
    """Two files that replace each other lead nowhere: the file is refused at one of them (rule 16)."""
    first, second = sorted(
        (p for p in PERSONS.values() if p.register is Register.NR and p.status is FileStatus.ACTIVE),
        key=lambda person: person.ssin,
    )[:2]
    lines = [
        person_line(replace(person, status=FileStatus.REPLACED, replaced_by=other.ssin))
        for person, other in ((first, second), (second, first))
    ]
    assert "replacements without end" in refusal(lambda: written(tmp_path, f"{PERSONS_HEADER}\n{''.join(lines)}"))


GOOD = (
    "40000060768,17/1,PCSA:LIVING_WAGE,2020-01-01/2020-12-31 2022-01-01/,"
    "2021-01-01T08:00:00.000Z 2022-01-02T08:00:00.000Z"
)


def with_lines(directory: Path, *lines: str) -> PopulationFiles:
    persons = sorted([f"{NR}\n", person_line(REPLACED), person_line(PERSONS[REPLACED.replaced_by])])  # type: ignore[index]
    return written(
        directory,
        "\n".join([PERSONS_HEADER, "".join(persons)]),
        "".join(f"{x}\n" for x in (INSCRIPTIONS_HEADER, *lines)),
    )


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("40000060768", "40010150550", "a number that is not in persons.csv"),
        ("40000060768", "x", "a number that is not in persons.csv"),
        ("40000060768", REPLACED.ssin.digits, "lines of a replaced number stand under the one that replaces it"),
        ("17/1", "", "customer: not the key of an organisation"),
        ("17/1", "17/01", "customer: not the key of an organisation"),
        ("17/1", "17/1000", "customer: not the key of an organisation"),
        ("PCSA:LIVING_WAGE", "?", "inscription_context: not an inscription context"),
        ("2020-01-01/2020-12-31 ", "2020-12-31/2020-01-01 ", "periods: one ends before it begins"),
        ("2022-01-01/,", "2021-01-01/,", "periods: not rising, or without a day between two"),
        ("2022-01-01/,", "2019-01-01/,", "periods: not rising, or without a day between two"),
        ("2020-01-01/2020-12-31 2022-01-01/", "2020-01-01/ 2022-01-01/", "periods: something after an open end"),
        ("2020-01-01/2020-12-31 2022-01-01/", "", "periods: not yyyy-mm-dd/yyyy-mm-dd"),
        ("2020-12-31", "2020-12-32", "periods: a day that no calendar has"),
        ("2020-01-01/", "0000-01-01/", "periods: a day that no calendar has"),
        (" 2022-01-02T08:00:00.000Z", "", "not one last change for each period"),
        ("02T08:00:00.000Z", "02 08:00:00", "last_changes: not yyyy-mm-ddThh:mm:ss.mmmZ"),
        ("02T08:00:00", "02T28:00:00", "last_changes: a moment that no calendar or clock has"),
        (",2020", ",x,2020", "6 fields, not 5"),
        ("2020-01-01/2020-12-31 ", "2019-01-01/2019-01-01 " * 200_000, f"longer than {LINE_BYTES_MAX} bytes"),
    ],
)
def test_a_hostile_line_of_inscriptions_is_refused_by_place_and_rule(
    tmp_path: Path, old: str, new: str, rule: str
) -> None:
    """The first fault is told by file, line and rule; the value is not repeated."""
    assert old in GOOD
    text_of(with_lines(tmp_path, GOOD))

    told = refusal(lambda: with_lines(tmp_path, GOOD.replace(old, new)))

    assert told.startswith(f"{tmp_path / 'inscriptions.csv'}, line 2: {rule}")
    assert "40000060768" not in told


def test_line_sets_come_once_and_in_their_order(tmp_path: Path) -> None:
    """A line set that comes twice, or before its turn, is refused: number, organisation, context rise as bytes do."""
    other = GOOD.replace("17/1", "17/2")
    assert text_of(with_lines(tmp_path, GOOD, other))[1].count("\n") == 2
    assert refusal(lambda: with_lines(tmp_path, GOOD, GOOD)).endswith("line 3: the same line set twice")
    assert refusal(lambda: with_lines(tmp_path, other, GOOD)).endswith("line 3: line sets are not in their order")


def test_files_that_are_not_those_of_the_manifest_are_refused(tmp_path: Path) -> None:
    """A file that was changed after population.json was written is refused; without population.json it may be so."""
    make_files(tmp_path, SMALL, lambda _, rows: rows)
    file = tmp_path / "inscriptions.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")

    assert "another SHA-256 than in population.json" in refusal(lambda: PopulationFiles(tmp_path))
    (tmp_path / "population.json").unlink()
    files = PopulationFiles(tmp_path)
    assert text_of(files)[1].count("\n") == len(lines) - 2
    assert files.recipe.startswith("files persons=")


def manifest_of(**changes: str) -> bytes:
    figures = {"rows": 0, "bytes": 0, "sha256": ""}
    said = {"format_version": 1, "recipe": "r", "persons": figures, "inscriptions": figures}
    return json.dumps(said | changes).encode()


@pytest.mark.parametrize(
    ("manifest", "rule"),
    [
        (b"{", "population.json: "),
        (b'{"format_version": 1}', "missing required field"),
        (b"x" * 65_537, "more than 65536 bytes"),
        (
            b'{"recipe": "r", "format_version": 2, "persons": %b, "inscriptions": %b}'
            % (b'{"rows":0,"bytes":0,"sha256":""}', b'{"rows":0,"bytes":0,"sha256":""}'),
            "format version 2, this program reads 1",
        ),
        (manifest_of(recipe="two\nlines"), "recipe: not one line of 1 to 512 printable characters"),
        (manifest_of(recipe="\x1b[2J"), "recipe: not one line"),
        (manifest_of(recipe="\u202e"), "recipe: not one line"),
        (manifest_of(recipe=""), "recipe: not one line"),
        (manifest_of(recipe="r" * 513), "recipe: not one line"),
        (manifest_of(exported_from="two\nlines"), "exported_from: not one line"),
        (manifest_of(**{"\x1b[2J\n": "x"}), "unknown field `?[2J?`"),
    ],
)
def test_a_broken_manifest_is_refused(tmp_path: Path, manifest: bytes, rule: str) -> None:
    """population.json must be one of this version, and small."""
    written(tmp_path, f"{PERSONS_HEADER}\n")
    (tmp_path / "population.json").write_bytes(manifest)
    with pytest.raises(UsageError) as refused:
        PopulationFiles(tmp_path)
    assert rule in str(refused.value)
    assert str(refused.value).isprintable()


def test_missing_files_and_full_directories_are_refused(tmp_path: Path) -> None:
    """Both files must be there to be read; none may be there to be written."""
    assert "persons.csv: no such file" in refusal(lambda: PopulationFiles(tmp_path))
    (tmp_path / "population.json").touch()
    with pytest.raises(UsageError, match=r"population\.json is there already"):
        make_files(tmp_path, SMALL, lambda _, rows: rows)


def test_a_write_that_ends_early_leaves_no_file(tmp_path: Path) -> None:
    """What could not be written whole is not there."""

    def failing(name: str, rows: Iterator[Rows]) -> Iterator[Rows]:
        yield from rows
        if name == "inscriptions.csv":
            raise UsageError("the reader went away")

    with pytest.raises(UsageError, match="went away"):
        make_files(tmp_path, SMALL, failing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["persons.csv", "inscriptions.csv", "population.json"])
def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A symbolic link at a file's place is refused, and no file comes to be where it points; also if it comes late."""
    directory, elsewhere = tmp_path / "made", tmp_path / "elsewhere"
    directory.mkdir()
    (directory / name).symlink_to(elsewhere)
    with pytest.raises(UsageError, match=rf"{name} is there already"):
        make_files(directory, SMALL, lambda _, rows: rows)
    monkeypatch.setattr(population_files, "_refuse_overwriting", lambda _: None)
    with pytest.raises(UsageError, match=rf"{name} is there already"):
        make_files(directory, SMALL, lambda _, rows: rows)
    assert not elsewhere.exists()
    assert (directory / name).is_symlink()


def test_a_quoted_field_of_any_length_is_read(tmp_path: Path) -> None:
    """A long field in quotation marks is read, or refused by its rule, as without them; a broken one by its place."""
    periods = GOOD.split(",")[3]
    assert text_of(with_lines(tmp_path, GOOD.replace(periods, f'"{periods}"'))) == text_of(with_lines(tmp_path, GOOD))
    long = "x" * 1_000_000
    assert "line 2: periods: not yyyy" in refusal(lambda: with_lines(tmp_path, GOOD.replace(periods, f'"{long}"')))
    marks = '"' * 1_000_001
    assert "line 2: quotation marks" in refusal(lambda: with_lines(tmp_path, GOOD.replace(periods, marks)))
