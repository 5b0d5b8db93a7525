"""`cbss-inscription consult | insert | update | delete | health` against a sandbox: tables, messages, exit codes."""

from __future__ import annotations

import re

import pytest
from lxml import etree

from cbss_inscription import __version__
from tests.acceptance.conftest import SOAP, Command
from tests.conftest import RunningSandbox

CONTEXT = "PCSA:LIVING_WAGE"


def test_a_process_inserts_and_another_one_consults(sandbox: RunningSandbox, process: Command, stranger: str) -> None:
    """insert exits with 0 and a table; consult in a process of its own shows the same line (exit code 0)."""
    profile = ("--profile", sandbox.profile_path())
    inserted = process("insert", *profile, stranger, CONTEXT, "--begin", "2026-01-01", "--end", "2026-12-31")
    assert (inserted.exit_code, inserted.err) == (0, "")
    assert re.search(r"^OK  MSG00000  ", inserted.out, re.MULTILINE)
    consulted = process("consult", *profile, stranger)
    assert (consulted.exit_code, consulted.err) == (0, "")
    assert re.search(r"^DATA_FOUND  MSG00000  ", consulted.out, re.MULTILINE)
    for out in (inserted.out, consulted.out):
        assert re.search(rf"{CONTEXT} +│ 2026-01-01 │ 2026-12-31 │ \d{{4}}-\d\d-\d\d ", out)
        assert re.search(r"^ticket [0-9a-f-]{36}$", out, re.MULTILINE)
    nothing = process("consult", *profile, stranger, "--context", "PCSA:OTHER_AID")
    assert (nothing.exit_code, nothing.err) == (1, "")
    assert "NO_DATA_FOUND  MSG00100" in nothing.out


def test_the_four_operations_and_their_exit_codes(sandbox: RunningSandbox, command: Command, stranger: str) -> None:
    """0 done or found, 1 nothing found, 3 refused by a rule, through the life of a line."""
    profile = ("--profile", sandbox.profile_path())
    line = (stranger, CONTEXT)
    steps = [
        (1, "NO_DATA_FOUND", ("consult", *profile, stranger)),
        (3, "CBI00403", ("delete", *profile, *line)),
        (0, "OK  MSG00000", ("insert", *profile, *line, "--begin", "2026-01-01")),
        (0, "CBI00401", ("insert", *profile, *line, "--begin", "2026-01-01")),
        (0, "DATA_FOUND", ("consult", *profile, stranger)),
        (0, "DATA_FOUND", ("consult", *profile, stranger, "--begin", "2026-05-01", "--end", "2026-05-01")),
        (1, "MSG00100", ("consult", *profile, stranger, "--begin", "2025-05-01", "--end", "2025-05-01")),
        (
            0,
            "OK",
            (
                "update",
                *profile,
                *line,
                "--begin",
                "2026-01-01",
                "--new-begin",
                "2026-02-01",
                "--new-end",
                "2026-04-30",
            ),
        ),
        (3, "CBI00403", ("update", *profile, *line, "--begin", "2026-01-01", "--new-begin", "2026-02-01")),
        (0, "OK", ("delete", *profile, *line, "--begin", "2026-03-01", "--end", "2026-03-31")),
        (0, "OK", ("delete", *profile, *line, "--end", "2026-02-28")),
        (0, "OK", ("delete", *profile, *line, "--begin", "2026-04-15")),
    ]
    for exit_code, text, arguments in steps:
        done = command(*arguments)
        assert (done.exit_code, done.err) == (exit_code, ""), (arguments, done.out)
        assert text in done.out, (arguments, done.out)
    left = command("consult", *profile, stranger)
    assert re.findall(r"│ (\d{4}-\d\d-\d\d) │ (\S+) ", left.out) == [("2026-04-01", "2026-04-14")]
    assert command("delete", *profile, *line).exit_code == 0
    assert command("consult", *profile, stranger).exit_code == 1


def test_a_number_may_have_separators_or_come_from_standard_input(
    sandbox: RunningSandbox, command: Command, stranger: str
) -> None:
    """12.34.56-789.01, with blanks too, and - for standard input, so that it stands in no process list."""
    profile = ("--profile", sandbox.profile_path())
    s = stranger
    formatted = f"{s[:2]}.{s[2:4]}.{s[4:6]}-{s[6:9]}.{s[9:]}"
    for text in (formatted, f" {s[:6]} {s[6:9]} {s[9:]} "):
        assert "NO_DATA_FOUND" in command("consult", *profile, text).out
    for given in (s, f"{formatted}\n", f"{s}\r\n"):
        done = command("consult", *profile, "-", stdin=given)
        assert done.exit_code == 1
        assert formatted in done.out


@pytest.mark.parametrize(
    ("scenario", "code"),
    [
        ("unknown", "MSG00005"),
        ("invalid_check", "MSG00011"),
        ("canceled", "CBI00101"),
        ("replaced_by_canceled", "CBI00101"),
    ],
)
def test_what_a_rule_refuses_exits_with_three(
    sandbox: RunningSandbox, command: Command, scenario: str, code: str
) -> None:
    """NO_RESULT and NOK are exit code 3, with code and text in the table."""
    profile = ("--profile", sandbox.profile_path())
    consulted = command("consult", *profile, sandbox.ssin(scenario))
    assert (consulted.exit_code, consulted.err) == (3, "")
    assert f"NO_RESULT  {code}" in consulted.out
    inserted = command("insert", *profile, sandbox.ssin(scenario), CONTEXT, "--begin", "2026-01-01")
    assert (inserted.exit_code, inserted.err) == (3, "")
    assert f"NOK  {code}" in inserted.out


def test_legal_data_are_validated_and_every_wrong_field_named(sandbox: RunningSandbox, command: Command) -> None:
    """insert with legal data: OK when they match, else 3 and the fields, never the register's values."""
    scenario = sandbox.manifest["scenarios"]["bis_active"]
    legal = scenario["legal_data"]
    given = [argument for name in legal["given_names"] for argument in ("--given-name", name)]
    insert = ("insert", "--profile", sandbox.profile_path(), scenario["ssin"], CONTEXT, "--begin", "2026-01-01")
    right = ("--last-name", legal["last_name"], *given, "--birth-date", legal["birth_date"], "--gender", 2)
    done = command(*insert, *right)
    assert (done.exit_code, "CBI00302" in done.out) == (0, False)
    wrong = command(*insert, "--last-name", "Zzyzx", "--birth-date", "1901-01-01", "--gender", 1)
    assert wrong.exit_code == 3
    assert "CBI00301" in wrong.out
    for field in ("lastName", "birthDate", "genderCode"):
        assert f"[{field}]" in wrong.out
    assert legal["last_name"] not in wrong.out
    assert legal["birth_date"] not in wrong.out
    assert command("delete", *insert[1:5]).exit_code == 0


def test_a_replaced_number_is_told_as_such(sandbox: RunningSandbox, command: Command) -> None:
    """The table says under which number the answer stands, and which one it replaces."""
    scenario = sandbox.manifest["scenarios"]["replaced"]
    done = command("consult", "--profile", sandbox.profile_path(), scenario["ssin"])
    asked, current = scenario["ssin"], scenario["current"]
    assert re.search(rf"SSIN  {current[:2]}\.{current[2:4]}\..*, replaces {asked[:2]}\.{asked[2:4]}\.", done.out)


@pytest.mark.parametrize("operation", ["consult", "insert", "update", "delete", "health"])
def test_xml_prints_both_messages(sandbox: RunningSandbox, command: Command, stranger: str, operation: str) -> None:
    """--xml prints the message as sent, signed, and as received; both parse, nothing else is printed."""
    arguments = {
        "consult": (stranger,),
        "insert": (stranger, CONTEXT, "--begin", "2026-01-01"),
        "update": (stranger, CONTEXT, "--begin", "2026-01-01", "--new-begin", "2026-01-02"),
        "delete": (stranger, CONTEXT),
        "health": (),
    }[operation]
    done = command(operation, "--profile", sandbox.profile_path(), *arguments, "--xml")
    assert done.err == ""
    messages = [part for part in done.out.split("<?xml") if part.strip()]
    sent, received = (etree.fromstring(f"<?xml{message}".encode()) for message in messages)
    assert sent.tag == received.tag == f"{{{SOAP}}}Envelope"
    assert b"SignatureValue" in etree.tostring(sent)
    assert b"SignatureValue" not in etree.tostring(received)


def test_options_say_what_a_profile_says_and_win(sandbox: RunningSandbox, command: Command, stranger: str) -> None:
    """Without profile, options name all; beside one, they win (fund's customer and legal context over pcsa's)."""
    web, fund = sandbox.application("pcsa-web"), sandbox.application("family-fund")
    options = (
        *("--url", sandbox.url, "--ca", sandbox.path(sandbox.manifest["ca"])),
        *("--certificate", sandbox.path(web["certificate"]), "--key", sandbox.path(web["key"])),
        *("--sector", 17, "--institution", 1, "--legal-context", "PCSA:SOCIAL_INQUIRY"),
    )
    assert command("consult", *options, stranger).exit_code == 1
    as_fund = (
        *("--certificate", sandbox.path(fund["certificate"]), "--key", sandbox.path(fund["key"])),
        *("--cbe-number", "9000000290", "--legal-context", "FAMILY_BENEFITS:ENTITLEMENT"),
    )
    profile = ("--profile", sandbox.profile_path("pcsa-web"))
    done = command("insert", *profile, *as_fund, stranger, "FAMILY_ALLOWANCES:CHILD", "--begin", "2026-01-01")
    assert (done.exit_code, done.err) == (0, "")
    done = command("consult", *profile, stranger, "--legal-context", "PCSA:NOT_GRANTED")
    assert (done.exit_code, "MSG00013" in done.out) == (3, True)


def test_the_profile_may_come_from_the_environment(
    sandbox: RunningSandbox, command: Command, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CBSS_INSCRIPTION_PROFILE stands for --profile."""
    monkeypatch.setenv("CBSS_INSCRIPTION_PROFILE", str(sandbox.profile_path()))
    assert command("consult", stranger).exit_code == 1


def test_health_says_ok(sandbox: RunningSandbox, process: Command) -> None:
    """health exits with 0 and names component and address."""
    done = process("health", "--profile", sandbox.profile_path())
    assert (done.exit_code, done.err) == (0, "")
    assert "OK" in done.out
    assert "CBSSInscription" in done.out


def test_a_given_ticket_is_sent(sandbox: RunningSandbox, command: Command, stranger: str) -> None:
    """--ticket is the ticket in the message, and comes back."""
    done = command("consult", "--profile", sandbox.profile_path(), stranger, "--ticket", "my own ticket", "--xml")
    assert done.out.count("<ticket>my own ticket</ticket>") == 2


def test_version_and_help(command: Command) -> None:
    """--version prints the version; --help and no argument at all print every command."""
    assert command("--version").out == f"cbss-inscription {__version__}\n"
    for arguments in (["--help"], []):
        shown = command(*arguments)
        text = shown.out + shown.err
        for name in ("sandbox", "facade", "consult", "insert", "update", "delete", "health", "sign"):
            assert re.search(rf"\b{name}\b", text)
