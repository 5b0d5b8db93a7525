"""`cbss-inscription demo replace` on a running sandbox: what it shows is what happened."""

from __future__ import annotations

import re

import psycopg

from tests.acceptance.conftest import Command
from tests.conftest import RunningSandbox

SSIN = re.compile(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}")


def test_rule_19_the_demonstration_shows_lines_that_follow_and_a_mutation_that_arrives(
    sandbox: RunningSandbox, command: Command
) -> None:
    """A BIS person gets a National Register number: both holders find their lines there and are told (rule 19)."""
    done = command("demo", "replace", "--directory", str(sandbox.directory))
    assert done.exit_code == 0, done.err
    steps = re.split(r"─+ (?=\d)", done.out)[1:]
    assert [step[0] for step in steps] == ["1", "2", "3", "4", "5", "6", "7", "8", "9"]
    (former,), (current,) = SSIN.findall(steps[0]), SSIN.findall(steps[3])
    assert 40 <= int(former[3:5]) <= 52
    assert int(current[3:5]) <= 12
    assert "2 lines moved, 2 organisations told" in steps[4]
    for consulted, pulled in ((steps[5], steps[6]), (steps[7], steps[8])):
        assert "DATA_FOUND" in consulted
        assert f"{current}, replaces {former}" in consulted
        assert SSIN.findall(pulled) == [former, current]
        assert "replaced" in pulled
    with psycopg.connect(sandbox.manifest["database"]) as connection:
        numbers = [int(re.sub(r"\D", "", ssin)) for ssin in (former, current)]
        lines = connection.execute(
            "SELECT ssin, count(*) FROM inscription WHERE ssin = ANY (%s) AND NOT isempty(periods) GROUP BY ssin",
            (numbers,),
        ).fetchall()
    assert lines == [(numbers[1], 2)]


def test_a_demonstration_without_a_sandbox_says_so(command: Command, reachable_directory: object) -> None:
    """Where no sandbox keeps its files there is one sentence, and status 2."""
    done = command("demo", "replace", "--directory", f"{reachable_directory}/nowhere")
    assert done.exit_code == 2
    assert "no sandbox runs here" in done.err
