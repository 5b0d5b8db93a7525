"""How a file stands, by its name in the folder: where it is, and what it waits for (rule 37)."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import pytest

from cbss_inscription.batch.folder import BatchFolder
from cbss_inscription.batch.reading import BatchFormat
from cbss_inscription.batch.standing import standing_of
from cbss_inscription.domain.errors import ContentViolation, UsageError

BATCH = UUID(int=7)
UPLOADS = ("0" * 32, "1" * 32)


def put(folder: BatchFolder, name: str, *, is_whole: bool = True) -> None:
    (folder.incoming / name).write_bytes(b"x")
    if is_whole:
        (folder.incoming / f"{name}.manifest.xml").write_bytes(b"x")


def refuse(folder: BatchFolder, *, at: float) -> None:
    """Nothing; what is in `in` was refused then."""
    for taken in folder.take():
        folder.refuse(taken, ContentViolation("manifest-file"))
    for path in folder.refused.iterdir():
        if path.stat().st_mtime > at:
            os.utime(path, (at, at))


def answer(folder: BatchFolder, name: str, batch: UUID, *, at: float) -> None:
    path = folder.out / f"{name}.answers.json"
    path.write_text(f'{{"batch": "{batch}", "answers": 1}}', encoding="utf-8")
    os.utime(path, (at, at))


def test_file_is_found_wherever_it_is(tmp_path: Path) -> None:
    """From its arrival to its answers a file is found by its name, with the batch that it became (rule 37)."""
    folder = BatchFolder(tmp_path)
    assert standing_of(tmp_path, "b.xml") is None
    put(folder, "b.xml", is_whole=False)
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert (found.state, found.where) == ("arriving", folder.incoming)
    put(folder, "b.xml")
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert (found.state, found.where) == ("waiting", folder.incoming)
    (taken,) = folder.take()
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert (found.state, found.where, found.batch) == ("waiting", folder.work, None)
    taken.note_submitted(BATCH, BatchFormat.XML, is_repeat=False)
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert (found.state, found.where, found.batch) == ("taken", folder.work, BATCH)
    folder.finish(taken)
    answer(folder, "b.xml", BATCH, at=1)
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert (found.state, found.where.name, found.batch) == ("taken", "b.xml.answers.json", BATCH)


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("name", ["my march.xml", "-x.csv", "mars\N{LATIN SMALL LETTER E WITH ACUTE}.xml", "x" * 129])
def test_file_that_is_never_taken_is_told_to_be_misnamed(tmp_path: Path, name: str, is_whole: bool) -> None:
    """A file that no manifest can call by its name is not taken in, and not said to have its turn to come (rule 37)."""
    folder = BatchFolder(tmp_path)
    put(folder, name, is_whole=is_whole)
    assert list(folder.take()) == []
    found = standing_of(tmp_path, name)
    assert found is not None
    assert (found.state, found.where) == ("misnamed", folder.incoming)


def test_what_came_last_of_a_name_is_told(tmp_path: Path) -> None:
    """A name that was used again stands for the file that came last: refused, answered, or come anew (rule 37)."""
    folder = BatchFolder(tmp_path)
    answer(folder, "b.xml", BATCH, at=1)
    put(folder, "b.xml")
    refuse(folder, at=2)
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert (found.state, found.refusal and found.refusal.reason) == ("refused", "manifest-file")
    put(folder, "b.xml")
    refuse(folder, at=3)
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert found.where.name.startswith("b.xml~"), "the second one that was refused by this name"
    answer(folder, "b.xml", BATCH, at=4)
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert found.state == "taken"
    put(folder, "b.xml")
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert found.state == "waiting"


def test_upload_is_found_by_the_name_of_its_file(tmp_path: Path) -> None:
    """What was uploaded is found by the name that its sender gave it, where only one is called so (rule 37)."""
    folder = BatchFolder(tmp_path)
    put(folder, f"{UPLOADS[0]}~b.xml")
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert found.name == f"{UPLOADS[0]}~b.xml"
    answer(folder, f"{UPLOADS[1]}~b.xml", BATCH, at=1)
    with pytest.raises(UsageError, match=f"2 files of that name were uploaded; say which: {UPLOADS[0]}~b.xml, "):
        standing_of(tmp_path, "b.xml")
    found = standing_of(tmp_path, f"{UPLOADS[1]}~b.xml")
    assert found is not None
    assert found.batch == BATCH
    put(folder, "b.xml")
    found = standing_of(tmp_path, "b.xml")
    assert found is not None
    assert found.name == "b.xml", "which is its whole name"


def test_other_names_are_not_meant(tmp_path: Path) -> None:
    """A name that only begins or ends like that of another file finds nothing (rule 37)."""
    folder = BatchFolder(tmp_path)
    for name in ("b.xml.gz", "ab.xml", "b.xml~c.xml"):
        put(folder, name)
        refuse(folder, at=1)
        put(folder, name)
    assert standing_of(tmp_path, "b.xml") is None
    assert standing_of(tmp_path, "c.xml") is None
