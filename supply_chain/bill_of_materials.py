"""The bill of materials of the program: `make sbom`.

    .tools/supply-chain/bin/python supply_chain/bill_of_materials.py --environment .tools/runtime --output FILE

CycloneDX 1.6 in JSON, valid against its schema or not written at all. In it: every package of the environment, and
inside each what its wheel carries, as the libraries themselves (native_libraries.py) and the wheel's own bills of
materials (PEP 770) tell it. Where both tell a version they must tell the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, cast

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packaging.utils import canonicalize_name

VERSION: Final = SchemaVersion.V1_6
INTERPRETER: Final = "python"
_NATIVE_LIBRARIES: Final = Path(__file__).with_name("native_libraries.py")
_PYPROJECT: Final = Path(__file__).parents[1] / "pyproject.toml"
_SECONDS_MAX: Final = 120.0


def _told_by(*command: str | Path) -> Any:  # noqa: ANN401 - JSON
    done = subprocess.run(  # noqa: S603 - our own words, and paths as arguments
        command, capture_output=True, text=True, check=False, timeout=_SECONDS_MAX
    )
    if done.returncode != 0:
        sys.exit(f"{Path(command[0]).name} {command[1]} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _packages(environment: Path) -> Bom:
    """The packages of the environment with their licences, and the program as what they are for."""
    program = Path(sys.executable).with_name("cyclonedx-py")
    # Validated once, with everything in it.
    command = (program, "environment", "--pyproject", _PYPROJECT, "--sv", VERSION.to_version(), "--no-validate")
    return _read(_told_by(*command, environment))


def _read(bill: dict[str, Any]) -> Bom:
    return cast("Bom", Bom.from_json(bill))  # type: ignore[attr-defined]  # py-serializable's decorator makes it


def _interpreter(version: str) -> Component:
    licences = [DisjunctiveLicense(id="PSF-2.0")]
    return Component(
        name="CPython", version=version, type=ComponentType.PLATFORM, licenses=licences, bom_ref=f"CPython=={version}"
    )


def fold_bill(package: Component, path: Path) -> None:
    """Puts what a wheel's own bill lists into the package."""
    said = json.loads(path.read_bytes())
    parts = {"bomFormat": "CycloneDX", "components": said.get("components", [])}  # not how they were found
    for part in _read(parts).components:
        if part.purl is not None and part.purl.type == "pypi":
            continue  # the package itself
        part.bom_ref.value = f"{package.bom_ref.value}/{part.purl or part.name}"
        package.components.add(part)


def fold_library(package: Component, library: dict[str, Any]) -> None:
    """Puts a native library into the package; one that the wheel's bill has too must have the same version there."""
    name, version = library["name"], library["version"]
    # A crate that binds a library bears its name, and has a version of its own.
    twins = (part for part in package.components if part.purl is None or part.purl.type != "cargo")
    part = next((twin for twin in twins if twin.name == name), None)
    if part is None:
        part = Component(name=name, version=version, bom_ref=f"{package.bom_ref.value}/{name}")
        package.components.add(part)
    if version is not None:
        # A distribution's package adds its own counting: 2.1.26-24.el7_9.
        if part.version != version and not (part.version or "").startswith(f"{version}-"):
            sys.exit(f"{package.name} carries {name} {version}, its own bill of materials says {part.version}")
        part.properties.add(Property(name="cbss-inscription:version-said-by", value="the library"))
    part.licenses.add(DisjunctiveLicense(id=library["licence"]))
    for file in library["files"]:
        part.components.add(
            Component(
                name=file["name"],
                type=ComponentType.FILE,
                bom_ref=f"{package.bom_ref.value}/{file['name']}",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file["sha256"])],
            )
        )


def _without_addresses(components: Iterable[Component]) -> None:
    # Where something is from is in its purl. Home pages and trackers are twenty times as many, and checking their
    # IRIs takes longer than everything else together.
    for component in components:
        component.external_references.clear()
        _without_addresses(component.components)


def bill_of(environment: Path) -> str:
    """The bill of materials of what is installed in the environment, as JSON that the schema admits."""
    bill = _packages(environment)
    told = _told_by(environment / "bin" / "python", _NATIVE_LIBRARIES)
    packages = {canonicalize_name(component.name): component for component in bill.components}
    packages[canonicalize_name(INTERPRETER)] = interpreter = _interpreter(told["interpreter"])
    bill.components.add(interpreter)
    for name, paths in told["bills"].items():
        for path in paths:
            fold_bill(packages[canonicalize_name(name)], Path(path))
    for library in told["libraries"]:
        fold_library(packages[canonicalize_name(library["package"])], library)
    _without_addresses([*bill.components, *bill.metadata.tools.components])
    return valid(make_outputter(bill, OutputFormat.JSON, VERSION).output_as_string(indent=1))


def valid(text: str) -> str:
    """The bill of materials again; ends the program when the schema, with nothing unknown let pass, refuses it."""
    from cyclonedx.validation.json import JsonStrictValidator  # a second of grammars for IRIs

    refused = JsonStrictValidator(VERSION).validate_str(text)
    if refused is not None:
        sys.exit(f"the bill of materials is not valid CycloneDX {VERSION.to_version()}: {refused}")
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--environment", type=Path, required=True, help="where the program's packages are installed")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args(arguments)
    text = bill_of(given.environment)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
