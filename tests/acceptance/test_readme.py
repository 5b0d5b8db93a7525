"""What the README promises a newcomer works as it is written there."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import Command
from tests.conftest import RunningSandbox

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.partition(" #")[0].strip() for line in README.splitlines() if re.match(r"cbss-inscription \w+", line)]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_works(sandbox: RunningSandbox, line: str) -> None:
    """Each `cbss-inscription …` line of the README ends well with the profile that the README exports."""
    arguments = [word.replace(".cbss-sandbox", str(sandbox.directory)) for word in shlex.split(line)[1:]]
    if arguments[0] == "demo":  # it looks for the sandbox where `make sandbox` has it
        arguments += ["--directory", str(sandbox.directory)]
    command = [sys.executable, "-m", "cbss_inscription.cli.main", *arguments]
    environment = os.environ | {"CBSS_INSCRIPTION_PROFILE": str(sandbox.profile_path())}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_readme_has_the_commands_that_a_newcomer_needs() -> None:
    """Insert, consult and sign stand in the README, and what shows that the registers live."""
    named = {shlex.split(line)[1] for line in COMMANDS}
    assert named == {"insert", "consult", "sign", "demo", "mutations", "population"}


def test_the_python_of_the_readme_works(sandbox: RunningSandbox) -> None:
    """The README's Python lines insert and print what is there."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code.replace(".cbss-sandbox", str(sandbox.directory)), "README.md", "exec"), {})
    assert said.getvalue().startswith("OK [Period(begin_date=datetime.date(2026, 1, 1)")


def test_the_python_of_the_mutation_feed_s_page_works(sandbox: RunningSandbox, process: Command) -> None:
    """The lines in docs/mutations.md print what happened, with the eleven digits of the number."""
    assert process("demo", "replace", "--directory", sandbox.directory).exit_code == 0
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "mutations.md").read_text(encoding="utf-8"), re.DOTALL
    )
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code.replace(".cbss-sandbox", str(sandbox.directory)), "mutations.md", "exec"), {})
    assert re.fullmatch(r"(\d+ \w+ \d{11}\n)+", said.getvalue())


def test_the_links_of_the_documents_lead_somewhere() -> None:
    """Every relative link in README, ARCHITECTURE, CONTRIBUTING and docs names a file or folder that is there."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "examples" / "README.md"]
    broken = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert broken == []
