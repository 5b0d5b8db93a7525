"""The wheel of what is committed, built twice in different places: `make wheel`.

    .tools/supply-chain/bin/python supply_chain/wheel.py --output dist [--repository FOLDER]

Writes nothing when the two differ in a byte, or when something is in them that is not the program's. The times in the
wheel are the commit's (SOURCE_DATE_EPOCH); hatchling is the one that uv.lock holds.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = "cbss_inscription"
_BUILD_SECONDS_MAX: Final = 120.0
_OTHER_TIME: Final = 1_000_000_000
"""When the second build's files were written, as it seems; in September 2001."""
_KINDS: Final = frozenset({".py", ".typed", ".sql", ".xsd", ".wsdl", ".md", ".jinja", ".toml"})
"""Code, the mark that it has types, SQL, the contract and where that is from, the report's template and its words: a
committed key is none of these."""
_METADATA: Final = re.compile(r"[^/]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)")


class NotReproduced(Exception):
    """The wheel cannot be given: why."""


def build(source: Path, output: Path, *, epoch: int, surroundings: Mapping[str, str]) -> Path:
    """The wheel of the sources, as hatchling builds it with these variables of the environment."""
    done = subprocess.run(  # noqa: S603 - our own words, and paths as arguments
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(output)],
        cwd=source, env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch), **surroundings}, capture_output=True,
        text=True, check=False, timeout=_BUILD_SECONDS_MAX,
    )  # fmt: skip
    if done.returncode != 0:
        raise NotReproduced(f"hatchling failed:\n{done.stderr}")
    (wheel,) = output.glob("*.whl")
    return wheel


def reproduced(sources: Mapping[str, bytes], *, epoch: int) -> tuple[str, bytes]:
    """The wheel's name and bytes, the same from two builds. Raises `NotReproduced`."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        first = build(_laid(sources, here / "a"), here / "first", epoch=epoch, surroundings={"TZ": "UTC"})
        other = _laid(sources, here / "elsewhere" / "with ç" / "b", time=_OTHER_TIME, mode=0o600)
        second = build(
            other, here / "second", epoch=epoch,
            surroundings={"TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONHASHSEED": "7"},
        )  # fmt: skip
        data = first.read_bytes()
        if first.name != second.name or data != second.read_bytes():
            raise NotReproduced("two builds of the same sources differ")
        return first.name, data


def _laid(sources: Mapping[str, bytes], folder: Path, *, time: int | None = None, mode: int = 0o644) -> Path:
    for name, data in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        if time is not None:
            os.utime(path, (time, time))
    return folder


def check_content(wheel: bytes, sources: Mapping[str, bytes]) -> None:
    """Nothing, when the wheel has each file of the package with its bytes, its metadata, and nothing else."""
    prefix = f"src/{PACKAGE}/"
    expected = {name.removeprefix("src/"): data for name, data in sources.items() if name.startswith(prefix)}
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    metadata = {name for name in found if _METADATA.fullmatch(name)}
    more = sorted(found.keys() - expected.keys() - metadata)
    more += sorted(name for name in expected if Path(name).suffix not in _KINDS)
    less = sorted(name for name, data in expected.items() if found.get(name) != data)
    if more or less:
        raise NotReproduced(f"not the program's, but in the wheel: {more}; not in it as it is: {less}")


def committed(repository: Path) -> tuple[dict[str, bytes], int]:
    """What the last commit has, by name, and when it was made."""
    archive = _git(repository, "archive", "--format=tar", "HEAD")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {item.name: read.read() for item in tar if item.isfile() and (read := tar.extractfile(item))}
    return files, int(_git(repository, "log", "-1", "--format=%ct"))


def _git(repository: Path, *words: str) -> bytes:
    try:
        return subprocess.run(  # noqa: S603 - our own words
            ["git", "-C", str(repository), *words],  # noqa: S607 - the operator's git
            capture_output=True, check=True, timeout=_BUILD_SECONDS_MAX,
        ).stdout  # fmt: skip
    except FileNotFoundError as error:
        raise NotReproduced("the wheel is built of what is committed: that takes git") from error
    except subprocess.CalledProcessError as error:
        raise NotReproduced(f"git {words[0]}: {error.stderr.decode(errors='replace').strip()}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--repository", type=Path, default=ROOT)
    given = parser.parse_args(arguments)
    try:
        sources, epoch = committed(given.repository)
        name, data = reproduced(sources, epoch=epoch)
        check_content(data, sources)
    except NotReproduced as error:
        sys.stderr.write(f"NO WHEEL: {error}\n")
        return 1
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / name).write_bytes(data)
    sys.stdout.write(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
