"""What is installed is what was locked: one registry, SHA-256 of every file, and no way past the lock."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.supply_chain.conftest import ROOT, Run

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
REQUIREMENT = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)")
HASH = re.compile(r"--hash=(\S+)")


@pytest.fixture(scope="module")
def lock() -> dict[str, Any]:
    """What uv.lock says."""
    return tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))


def unlocked(lock: dict[str, Any]) -> list[str]:
    """The packages that come from elsewhere than the one registry, or have a file without SHA-256."""
    return [package["name"] for package in lock["package"] if not _is_the_program(package) and not _is_locked(package)]


def _is_the_program(package: dict[str, Any]) -> bool:
    return package["name"] == "cbss-inscription" and package["source"] == {"editable": "."}


def _is_locked(package: dict[str, Any]) -> bool:
    place = urlsplit(package["source"].get("registry", ""))
    files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    return (
        package["source"].keys() == {"registry"}
        and place.scheme == "https"
        and (place.hostname or "").startswith("pypi.")
        and files != []
        and all(DIGEST.fullmatch(file.get("hash", "")) and file["url"].startswith("https://") for file in files)
    )


def test_sec_81_every_locked_package_is_the_registrys_and_has_a_digest(lock: dict[str, Any]) -> None:
    """Each file of each package in uv.lock has its SHA-256, and all come from PyPI (SEC-81)."""
    assert len(lock["package"]) > 100
    assert len({package["source"].get("registry") for package in lock["package"]} - {None}) == 1
    assert unlocked(lock) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda package: package.update(source={"git": "https://example.org/x.git?rev=1"}),
        lambda package: package.update(source={"registry": "https://mirror.example.org/simple"}),
        lambda package: package["wheels"][0].pop("hash"),
        lambda package: package["wheels"][0].update(hash="sha1:" + "0" * 40),
        lambda package: package["wheels"][0].update(url="http://example.org/x.whl"),
        lambda package: (package.pop("wheels"), package.pop("sdist")),
    ],
)
def test_sec_81_what_is_not_locked_is_found(lock: dict[str, Any], spoil: Callable[[dict[str, Any]], object]) -> None:
    """A repository, a mirror, no digest or a weak one, a plain address, no file at all: each is found (SEC-81)."""
    other = copy.deepcopy(lock)
    package = next(package for package in other["package"] if package["name"] == "lxml")
    spoil(package)
    assert unlocked(other) == ["lxml"]


def test_sec_81_make_installs_nothing_past_the_lock(make: Run) -> None:
    """Whatever make installs, uv takes from uv.lock as it is, and pip by the digests of a file (SEC-81)."""
    targets = ("sandbox", "test", "test-long", "check", "audit", "sbom", "wheel", "requirements", "bench-population")
    said = make("--dry-run", "--always-make", *targets)
    assert said.returncode == 0, said.stderr
    commands = said.stdout.replace("\\\n", " ").splitlines()
    by_uv = [command for command in commands if re.search(r"/uv (sync|export|run|tool|pip|build|lock)", command)]
    by_pip = [command for command in commands if "pip install" in command]
    assert len(by_uv) >= 5
    assert all(re.search(r"/uv (sync|export) .*--frozen", command) for command in by_uv)
    assert len(by_pip) == 1
    assert all("--require-hashes" in command for command in by_pip)


def test_sec_81_uv_itself_is_pinned_with_digests() -> None:
    """The file by which pip installs uv names one version, and SHA-256 for each of its files (SEC-81)."""
    text = (ROOT / "supply_chain" / "uv.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert re.fullmatch(r"uv==[0-9]+\.[0-9]+\.[0-9]+ \\", lines[0])
    assert len(lines) > 10
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines[1:])


@pytest.fixture(scope="module")
def requirements(make: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make requirements` writes."""
    folder = tmp_path_factory.mktemp("requirements")
    written = make("requirements", f"DIST={folder}")
    assert written.returncode == 0, written.stderr
    return folder / "requirements.txt"


def test_sec_81_what_pip_is_given_is_what_is_locked(requirements: Path, lock: dict[str, Any]) -> None:
    """`make requirements` pins what the program needs and no more, with the digests of the lock (SEC-81)."""
    digests: dict[tuple[str, str], set[str]] = {}
    for package in lock["package"]:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        digests[package["name"], package.get("version", "")] = {file["hash"] for file in files}
    names = set()
    plain = re.sub(r"^ *#.*\n", "", requirements.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in plain.replace("\\\n", " ").splitlines():
        shape = REQUIREMENT.match(line)
        assert shape is not None, line
        assert set(HASH.findall(line)) == digests[shape["name"], shape["version"]]
        names.add(shape["name"])
    assert {"lxml", "cryptography", "psycopg-binary", "granian", "h11"} <= names
    assert not {"pytest", "zeep", "cyclonedx-bom", "pip-audit"} & names


@pytest.mark.long
def test_sec_81_pip_accepts_the_digests_and_refuses_a_changed_one(
    tool: Run, requirements: Path, tmp_path: Path
) -> None:
    """pip installs what `make requirements` wrote with --require-hashes; with one digit changed it refuses (SEC-81)."""
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes")
    done = tool(*pip, "--target", tmp_path / "good", "--requirement", requirements)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "good" / "lxml").is_dir()

    shape = re.search(r"^h11==.*\n(?:    --hash=.*\n)+", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    assert shape is not None
    changed = tmp_path / "changed.txt"
    other = re.sub("sha256:(.)", lambda digest: f"sha256:{15 - int(digest[1], 16):x}", shape[0])
    changed.write_text(other.rstrip(" \\\n") + "\n")
    refused = tool(*pip, "--target", tmp_path / "bad", "--requirement", changed)
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
