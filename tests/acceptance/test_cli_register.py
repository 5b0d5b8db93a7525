"""`cbss-inscription register`: an operator lets things happen to files, and sees what happened (rules 11 to 23)."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cbss_inscription.domain.ssin import Ssin, check_digits
from cbss_inscription.registers import life
from cbss_inscription.storage.persons import StoredPersons
from tests.acceptance.conftest import Command, CommandResult
from tests.acceptance.operating import write_settings
from tests.conftest import RunningSandbox

PEETERS = ("--last-name", "Peeters", "--given-name", "Jan", "--birth-date", "1985-07-30", "--gender", "1")

Register = Callable[..., CommandResult]


@pytest.fixture
def settings(tmp_path: Path, fresh_database: str) -> Path:
    """A settings file that names an empty database, for numbers as the registers give them."""
    return write_settings(tmp_path, database=fresh_database, top="synthetic_numbers = false")


@pytest.fixture
def register(command: Command, settings: Path) -> Register:
    """Runs `cbss-inscription register …` on the empty database."""

    def run(*arguments: object, stdin: str = "") -> CommandResult:
        return command("register", *arguments, "--settings", settings, stdin=stdin)

    return run


def made(register: Register, *arguments: str, kind: str = "bis") -> str:
    """The number of a new file."""
    result = register("create", *arguments, "--register", kind, "--format", "json", "--operator", "tester")
    assert result.exit_code == 0, result.err
    return str(json.loads(result.out)["ssin"])


def shown(register: Register, ssin: str) -> dict[str, Any]:
    """What `show` tells a program."""
    result = register("show", ssin, "--format", "json")
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.out)
    return found


def test_rule_12_create_gives_a_number_and_show_the_file(register: Register) -> None:
    """A new BIS file has the first number of its date; `show` tells its data and how it came to be (rule 12)."""
    ssin = made(register, *PEETERS)
    assert ssin == "854730001" + check_digits("854730001", century=1900)
    found = shown(register, ssin)
    [file] = found["chain"]
    assert file["register_inception_date"] == found["history"][0]["after"]["register_inception_date"]
    assert file | {"register_inception_date": None} == {
        "ssin": ssin,
        "register": "bis",
        "status": "active",
        "replaced_by": None,
        "last_name": "Peeters",
        "given_names": ["Jan"],
        "birth_date": "1985-07-30",
        "gender_code": 1,
        "decease_date": None,
        "register_inception_date": None,
    }
    [event] = found["history"]
    assert (event["event"], event["operator"], event["before"], event["after"]["ssin"]) == (
        "created",
        "tester",
        None,
        ssin,
    )


def test_rule_22_likely_persons_are_shown_and_nothing_is_made(register: Register) -> None:
    """Who is known is shown in a table and as JSON, with status 3, and no file is made (rule 22)."""
    ssin = made(register, "--last-name", "Pieters", "--given-name", "Johan", "--birth-date", "1985-07-00")
    text = register("create", *PEETERS)
    assert text.exit_code == 3
    assert "1 known person is like this one: " in text.err
    assert Ssin(ssin).formatted in text.out
    assert "Pieters, Johan" in text.out
    told = register("create", *PEETERS, "--format", "json")
    assert told.exit_code == 3
    assert [person["ssin"] for person in json.loads(told.out)["persons"]] == [ssin]
    assert made(register, *PEETERS, "--given-name-mode", "COMPLETE_FIRST_GIVENNAME") != ssin


def test_rule_19_replace_tells_where_the_lines_are(register: Register, fresh_database: str) -> None:
    """A replacement says how many lines moved and customers were told; a second one is refused (rule 19)."""
    old, new = made(register, *PEETERS), made(register, *PEETERS, kind="nr")
    with psycopg.connect(fresh_database) as connection:
        connection.execute(
            "INSERT INTO inscription VALUES (%s::bigint, '17/1', 'AB', '{[2024-01-01,)}', ARRAY[now()])", (old,)
        )
    result = register("replace", Ssin(old).formatted, "-", stdin=f"{new}\n")
    assert result.exit_code == 0
    assert result.out.splitlines()[:3] == [
        f"replaced  {Ssin(old).formatted}",
        f"its lines are under {Ssin(new).formatted} now: 1 moved",
        "customers told: 1",
    ]
    again = register("replace", old, new)
    assert (again.exit_code, again.sentence) == (
        3,
        "refused: The number to be replaced or changed is replaced already.",
    )
    told = register("replace", old, new, "--format", "json")
    assert json.loads(told.out) == {
        "outcome": "refused",
        "reason": "not-active",
        "sentence": "The number to be replaced or changed is replaced already.",
    }
    found = shown(register, old)
    assert [file["ssin"] for file in found["chain"]] == [old, new]
    assert found["history"][-1]["operator"] == getpass.getuser()
    text = register("show", old)
    assert f"active → replaced, replaced_by none → {Ssin(new).formatted}" in text.out
    assert " UTC  replaced  by " in text.out
    assert f"by {Ssin(new).formatted}" in " ".join(text.out.split())


def test_rule_16_a_circle_is_refused_and_reported(register: Register) -> None:
    """A replacement that closes a circle is refused with status 3, and reported as an anomaly of the data (rule 16)."""
    ssin = made(register, *PEETERS)
    result = register("replace", ssin, ssin)
    assert result.exit_code == 3
    anomaly, refusal = result.err.splitlines()
    assert "data anomaly: loop" in anomaly
    assert refusal.endswith("is itself replaced by it, or by itself.")
    assert ssin not in result.out + result.err


def test_rules_15_to_23_every_other_event_happens(register: Register) -> None:
    """Decease, correction, RAD-in, RAD-out and cancellation happen and stand in the history (rules 15, 21, 23)."""
    ssin = made(register, *PEETERS, kind="nr")
    for arguments in (
        ("decease", ssin, "2024-03-00"),
        ("correct", ssin, "--last-name", "Peters", "--gender", "2"),
        ("rad-in", ssin, "--since", "2025-01-31"),
        ("rad-out", ssin),
        ("cancel", ssin),
    ):
        result = register(*arguments)
        assert result.exit_code == 0, result.err
        assert "ticket" in result.out
    found = shown(register, ssin)
    events = [event["event"] for event in found["history"]]
    assert events == ["created", "deceased", "corrected", "radIn", "radOut", "canceled"]
    [file] = found["chain"]
    assert (file["status"], file["last_name"], file["decease_date"]) == ("canceled", "Peters", "2024-03-00")
    assert found["history"][3]["after"]["register_inception_date"] == "2025-01-31"
    text = register("show", ssin)
    assert "last_name Peeters → Peters" in text.out
    again = register("cancel", ssin)
    assert (again.exit_code, again.sentence) == (3, "refused: The file is so already.")


def test_show_of_an_unknown_number_finds_nothing(register: Register) -> None:
    """A number that nobody has is "nothing found": status 1, and one sentence says so."""
    result = register("show", "85073003328")
    assert (result.exit_code, result.out, result.sentence) == (1, "", "No register knows the number.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("cancel", "12345678901"), "not an SSIN: its month is wrong"),
        (("cancel", "85073003329"), "not an SSIN: its check is wrong"),
        (("decease", "85073003328", "2024-02-30"), "that is no date: yyyy-mm-dd, yyyy-mm-00 or yyyy-00-00"),
        (("create", "--last-name", "Peeters", "--birth-date", "1985"), "the birth date is no date"),
        (("correct", "85073003328"), "give at least one of --last-name"),
        (("cancel", "85073003328", "--operator", "x" * 65), "--operator takes 1 to 64 printable characters"),
        (("cancel", "85073003328", "--operator", "\x1b[31m"), "--operator takes 1 to 64 printable characters"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(register: Register, arguments: tuple[str, ...], sentence: str) -> None:
    """An argument that is wrong ends the command in one sentence, status 2, without the number."""
    result = register(*arguments)
    assert result.exit_code == 2
    assert result.sentence.startswith(sentence)
    assert "85073003328" not in result.err


def test_a_register_that_does_not_answer_is_status_4(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a source is away, nothing is made and the command says so with status 4 (rules 22, 54)."""

    async def silent(*_arguments: object, **_named: object) -> None:
        raise life_error

    from cbss_inscription.domain.errors import RepertoryUnavailable

    life_error = RepertoryUnavailable("national-register")
    monkeypatch.setattr(StoredPersons, "like", silent)
    result = register("create", *PEETERS)
    assert result.exit_code == 4
    assert result.sentence == "an authentic source does not answer: national-register"


def test_every_reason_has_a_sentence() -> None:
    """Each reason of a refusal is one word and has one sentence for people."""
    for reason in life.RefusalReason:
        assert " " not in reason.value
        assert life.Refused(reason=reason).sentence.endswith(".")


def test_what_became_of_a_number_is_said_of_a_refusal(register: Register) -> None:
    """A change of a canceled number says that it is canceled, and each date that is wrong has its own sentence."""
    ssin = made(register, *PEETERS)
    died = register("decease", ssin, "1980-01-01")
    assert (died.exit_code, died.sentence) == (3, "refused: The decease lies before the birth.")
    late = register("decease", ssin, "2999-01-01")
    assert (late.exit_code, late.sentence) == (3, "refused: A date lies in the future.")
    assert register("cancel", ssin).exit_code == 0
    result = register("decease", ssin, "2024-03-00")
    assert (result.exit_code, result.sentence) == (
        3,
        "refused: The number to be replaced or changed is canceled already.",
    )


def test_show_names_the_numbers_that_a_number_continues(register: Register) -> None:
    """From the current number its former ones are found, for people and programs, and each event is in words."""
    old, new = made(register, *PEETERS), made(register, *PEETERS, kind="nr")
    assert register("replace", old, new).exit_code == 0
    assert f"It continues {Ssin(old).formatted}." in register("show", new).out
    assert (shown(register, new)["continues"], shown(register, old)["continues"]) == ([old], [])
    assert register("rad-in", new).exit_code == 0
    assert "taken into RAD  by " in register("show", new).out


def test_decision_0003_a_sandbox_gives_numbers_that_nobody_bears(command: Command, sandbox: RunningSandbox) -> None:
    """The sandbox's own settings file makes synthetic numbers, and the façade knows the new person at once (0003)."""
    settings = sandbox.path("settings.toml")
    result = command(
        *("register", "create", "--last-name", "Zzyzxqwghlm", "--birth-date", "1971-12-31", "--gender", "2"),
        *("--settings", settings, "--format", "json"),
    )
    assert result.exit_code == 0, result.err
    ssin = json.loads(result.out)["ssin"]
    assert ssin[9:] == check_digits(ssin[:9], century=2000)
    profile = sandbox.profile_path()
    inserted = command("insert", ssin, "PCSA:LIVING_WAGE", "--begin", "2026-01-01", "--profile", profile)
    assert inserted.exit_code == 0, inserted.out + inserted.err


def test_rule_22_migrate_makes_the_phonetic_keys_of_a_former_version(
    command: Command, settings: Path, fresh_database: str
) -> None:
    """Until `migrate` has made missing keys, a register that could not find its persons is not worked on (rule 22)."""
    with psycopg.connect(fresh_database) as connection:
        connection.execute("INSERT INTO person VALUES (85073003328, 'nr', 'active', NULL, 'Maes', '{}', NULL, 0, NULL)")
    shown = ("register", "show", "85073003328", "--settings", settings)
    early = command(*shown)
    assert early.exit_code == 2
    assert "persons have no phonetic key yet: run `cbss-inscription migrate` first" in " ".join(early.err.split())
    for said in ("phonetic keys made: 1\n", "nothing to do: the schema is this version's\n"):
        done = command("migrate", "--settings", settings)
        assert (done.exit_code, done.out) == (0, said)
    assert command(*shown).exit_code == 0
