"""The environments of the supply chain's programs: as `make` installs them, beside the one of these tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools" / "supply-chain" / "bin" / "python"
RUNTIME = ROOT / ".tools" / "runtime" / "bin" / "python"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def make() -> Run:
    """Runs make in the checkout; what it says comes back."""

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["make", "--silent", *map(str, words)]
        # What the make that runs these tests was told is not for this one.
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=surroundings)

    return run


@pytest.fixture(scope="session")
def tool(make: Run) -> Run:
    """Runs Python with a program of supply_chain, in the environment of the tools."""
    installed = make(".tools/supply-chain/.installed", ".tools/runtime/.installed")
    assert installed.returncode == 0, installed.stderr

    def run(*words: str | Path, python: Path = TOOLS, **surroundings: str) -> subprocess.CompletedProcess[str]:
        command = [str(python), *map(str, words)]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "PYTHONPATH": str(ROOT)} | surroundings
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)

    return run
