"""`cbss-inscription settings`: what a start would find wrong, beforehand, and what is in force in the end."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.acceptance.conftest import Command


def test_settings_with_which_a_service_would_start_are_good(
    settings: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is wrong, with the database asked or not: exit code 0; what the environment says is told."""
    monkeypatch.setenv("CBSS_INSCRIPTION__CONTACT", "support@example.be")
    for further in ([], ["--connect"]):
        checked = command("settings", "check", settings, *further)
        assert checked.exit_code == 0
        assert checked.out.splitlines()[0] == "CBSS_INSCRIPTION__CONTACT says contact"
        assert checked.out.splitlines()[-1] == f"{settings}: a service of these settings would start"
    (warning,) = [line for line in checked.out.splitlines() if line.startswith("warning: ")]
    assert "[audit.timestamping]" in warning


def test_every_problem_is_told_at_once(settings: Path, command: Command) -> None:
    """Files that are missing, open to others or broken, and an authority without its list: all of them, exit code 2."""
    (settings.parent / "rules.yaml").write_text("version: 1\nrules: []\n", encoding="utf-8")
    (settings.parent / "audit-keys.toml").unlink()
    (settings.parent / "server.key.pem").chmod(0o640)
    text = settings.read_text(encoding="utf-8").replace('["revocation-lists.pem"]', "[]")
    settings.write_text(text, encoding="utf-8")
    checked = command("settings", "check", settings, "--format", "json")
    assert checked.exit_code == 2
    problems = json.loads(checked.out)["problems"]
    for word in ("rules.yaml: ", "audit-keys.toml: No such file", "chmod 600", "revocation_required = false"):
        assert len([problem for problem in problems if word in problem]) == 1, word
    assert len(problems) == 4
    assert command("settings", "check", settings).out.splitlines()[-1] == f"{settings}: 4 problems"


def test_a_list_that_the_start_would_fetch_is_no_problem(settings: Path, command: Command) -> None:
    """A file of a source that is not there yet is a warning; nothing is fetched for a check."""
    source = '[[trust.revocation_sources]]\nurl = "http://127.0.0.1:1/crl"\nfile = "fetched.crl"\n'
    settings.write_text(settings.read_text(encoding="utf-8") + source, encoding="utf-8")
    checked = command("settings", "check", settings)
    assert checked.exit_code == 0
    assert f"warning: {settings.parent / 'fetched.crl'} is not there yet: the start fetches it" in checked.out
    assert not (settings.parent / "fetched.crl").exists()


def test_a_database_that_does_not_answer_is_told_apart(settings: Path, command: Command) -> None:
    """Asked only with --connect: exit code 4, for the settings themselves are good."""
    text = settings.read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("database = ")]
    settings.write_text(text.replace(line, 'database = "host=127.0.0.1 port=1 dbname=x"'), encoding="utf-8")
    assert command("settings", "check", settings).exit_code == 0
    checked = command("settings", "check", settings, "--connect")
    assert checked.exit_code == 4
    assert checked.out.splitlines()[-1] == f"{settings}: 1 problem"


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, command: Command) -> None:
    """A missing file, or one that is no TOML: one sentence on standard error, exit code 2."""
    for text in (None, "="):
        file = tmp_path / "settings.toml"
        if text is not None:
            file.write_text(text, encoding="utf-8")
        done = command("settings", "check", file)
        assert str(file) in done.sentence
        assert done.exit_code == 2


def test_what_is_in_force_is_shown(settings: Path, command: Command) -> None:
    """Every setting as TOML, defaults too; settings that are wrong are one sentence."""
    shown = tomllib.loads(command("settings", "show", settings).out)
    assert shown["environment"] == "LOCAL"
    assert shown["limits"]["body_bytes_max"] == 1_048_576
    assert shown["audit"]["keys"] == str(settings.parent / "audit-keys.toml")
    settings.write_text("colour = 1\n" + settings.read_text(encoding="utf-8"), encoding="utf-8")
    assert "colour" in command("settings", "show", settings).sentence
