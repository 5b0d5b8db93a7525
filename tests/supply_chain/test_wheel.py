"""`make wheel`: the same bytes wherever and whenever it is built, and nothing in it but the program."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from supply_chain import wheel as wheels
from supply_chain.wheel import NotReproduced, check_content, reproduced
from tests.supply_chain.conftest import ROOT, Run

COMMITTED = ("src", "pyproject.toml", "README.md", "LICENSE", ".gitignore")
PERSON = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
WHEN = "2027-01-15T12:00:00 +0000"
SOURCES = {"pyproject.toml": b"", "src/cbss_inscription/__init__.py": b"", "src/cbss_inscription/queries.sql": b"x"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is needed of this checkout as a repository with one commit, and files in it that nobody committed."""
    folder = tmp_path_factory.mktemp("repository")
    for name in COMMITTED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    git = ["git", "-C", str(folder), *PERSON]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    times = {"GIT_AUTHOR_DATE": WHEN, "GIT_COMMITTER_DATE": WHEN, "PATH": "/usr/bin:/bin"}
    subprocess.run([*git, "commit", "--quiet", "--message", "All"], check=True, env=times)
    (folder / "src" / "cbss_inscription" / "private.pem").write_text("not committed")
    return folder


def test_sec_82_the_wheel_is_reproduced_and_has_the_program_alone(tool: Run, repository: Path, tmp_path: Path) -> None:
    """Two builds give one wheel: code, contract, SQL, py.typed, dated by the commit, no stray file (SEC-82)."""
    done = tool("supply_chain/wheel.py", "--repository", repository, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.iterdir()
    assert re.fullmatch(r"[0-9a-f]{64}  " + re.escape(file.name), done.stdout.strip())
    with zipfile.ZipFile(file) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        dates = {item.date_time for item in archive.infolist()}
    assert dates == {(2027, 1, 15, 12, 0, 0)}
    source = ROOT / "src"
    expected = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and path.parent.name != "__pycache__"
    }
    assert names == expected
    kinds = {"cbss_inscription/py.typed", "cbss_inscription/storage/queries.sql", "cbss_inscription/safe_xml.py"}
    assert kinds < names
    assert any(name.endswith(".xsd") for name in names)
    assert any(name.endswith(".wsdl") for name in names)


def packed(files: Mapping[str, bytes]) -> bytes:
    """A wheel with these files, and its metadata."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("cbss_inscription-1.dist-info/METADATA", b"")
    return data.getvalue()


GOOD = {"cbss_inscription/__init__.py": b"", "cbss_inscription/queries.sql": b"x"}


def test_sec_82_what_is_not_the_programs_makes_no_wheel() -> None:
    """A file too many, one too few, one changed, unknown metadata and a committed key are each refused (SEC-82)."""
    check_content(packed(GOOD), SOURCES)
    for wrong in (
        GOOD | {"tests/test_x.py": b""},
        GOOD | {"cbss_inscription/signed.xml": b""},
        GOOD | {"cbss_inscription-1.dist-info/local.txt": b""},
        GOOD | {"cbss_inscription/queries.sql": b"y"},
        {"cbss_inscription/__init__.py": b""},
    ):
        with pytest.raises(NotReproduced):
            check_content(packed(wrong), SOURCES)
    with pytest.raises(NotReproduced, match=r"server\.pem"):
        check_content(
            packed(GOOD | {"cbss_inscription/server.pem": b"k"}), SOURCES | {"src/cbss_inscription/server.pem": b"k"}
        )


def test_sec_82_builds_that_differ_make_no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the second build differs from the first in a byte, there is no wheel (SEC-82)."""

    def build(source: Path, output: Path, *, epoch: int, surroundings: Mapping[str, str]) -> Path:
        assert (source / "pyproject.toml").read_bytes() == b""
        output.mkdir()
        wheel = output / "x-1-py3-none-any.whl"
        wheel.write_bytes(f"{epoch} {surroundings['TZ'] if differs else ''}".encode())
        return wheel

    monkeypatch.setattr(wheels, "build", build)
    differs = False
    assert reproduced(SOURCES, epoch=7) == ("x-1-py3-none-any.whl", b"7 ")
    differs = True
    with pytest.raises(NotReproduced, match="differ"):
        reproduced(SOURCES, epoch=7)
