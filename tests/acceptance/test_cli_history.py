"""`cbss-inscription history`: every change of a line, what was known on a date, and whether it all fits (rule 35)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from cbss_inscription.cli.history import _moment
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.history import REPLACE_SSIN
from cbss_inscription.domain.ssin import Ssin
from tests.acceptance.conftest import Command
from tests.acceptance.operating import write_settings
from tests.conftest import RunningSandbox, free_port

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD, NEW, NOBODY = (Ssin.parse(text) for text in ("85073003328", "17073003384", "42012205181"))
CONTEXT = "PCSA:LIVING_WAGE"
TICKETS = [UUID(int=number) for number in range(4)]


@pytest.fixture
def settings(tmp_path: Path, fresh_database: str) -> Path:
    """A settings file that names a database with a replaced number, whose line moved a day after it was made."""
    rows: list[tuple[Any, ...]] = [
        (OLD.number, "insertInscription", "{}", "{[2026-01-01,2026-02-01)}", "2026-01-10T10:00:00.123Z", TICKETS[1]),
        (OLD.number, REPLACE_SSIN, "{[2026-01-01,2026-02-01)}", "{}", "2026-01-11T10:00:00Z", TICKETS[2]),
        (NEW.number, REPLACE_SSIN, "{}", "{[2026-01-01,2026-02-01)}", "2026-01-11T10:00:00Z", TICKETS[2]),
    ]
    with psycopg.connect(fresh_database) as connection:
        for number, operation, before, after, changed_at, ticket in rows:
            declared = operation == "insertInscription"
            connection.execute(
                "INSERT INTO inscription_history (ssin, customer, inscription_context, operation, before, after,"
                " changed_at, ticket_cbss, customer_ticket, legal_context, application_urn, cbe_number)"
                " VALUES (%s, '17/1', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (number, CONTEXT, operation, before, after, changed_at, ticket)
                + (("a\x1bticket", "PCSA:SOCIAL_INQUIRY", "urn:app", "0200000013") if declared else (None,) * 4),
            )
        connection.execute(
            "INSERT INTO replacement VALUES (%s, %s, '2026-01-11T10:00:00Z', %s)", (OLD.number, NEW.number, TICKETS[2])
        )
        connection.execute(
            "INSERT INTO inscription VALUES (%s, '17/1', %s, '{[2026-01-01,2026-02-01)}',"
            " ARRAY['2026-01-10T10:00:00.123Z'::timestamptz])",
            (NEW.number, CONTEXT),
        )
    return write_settings(tmp_path, database=fresh_database)


def test_rule_35_every_change_of_a_line_is_shown(settings: Path, command: Command) -> None:
    """`history SSIN` tells each change, newest last, and where the lines went, for a number typed so (rules 1, 35)."""
    done = command("history", OLD.formatted, "--settings", settings)
    assert (done.exit_code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"SSIN  {OLD.formatted}",
        f"2026-01-10 10:00:00.123 UTC  insertInscription  17/1  {CONTEXT}",
        "  before  nothing",
        "  after   2026-01-01 to 2026-01-31",
        f"  ticket  {TICKETS[1]}",
        "  customer ticket  a ticket",  # what a caller wrote cannot steer the terminal
        "  legal context  PCSA:SOCIAL_INQUIRY",
        "  application  urn:app",
        "  CBE number  0200000013",
        f"2026-01-11 10:00:00.000 UTC  {REPLACE_SSIN}  17/1  {CONTEXT}",
        "  before  2026-01-01 to 2026-01-31",
        "  after   nothing",
        f"  to  {NEW.formatted}",
        f"  ticket  {TICKETS[2]}",
        f"The lines went to {NEW.formatted}, where the history goes on.",
    ]
    assert command("history", "show", "--settings", settings, OLD.digits).out == done.out
    assert command("history", "--settings", settings, "-", stdin=f"{OLD.digits}\n").out == done.out


def test_rule_19_from_the_current_number_the_former_is_found(settings: Path, command: Command) -> None:
    """Lines that came with a replacement say from which number, now and for a moment before it (rules 19, 35)."""
    done = command("history", NEW.digits, "--settings", settings)
    since = f"It continues {OLD.formatted} since 2026-01-11 10:00:00.000 UTC: ask for that number too."
    assert f"  from  {OLD.formatted}" in done.out.splitlines()
    assert done.out.splitlines()[-1] == since
    before = command("history", NEW.digits, "--settings", settings, "--as-of", "2026-01-10")
    assert before.exit_code == 1
    assert before.out.splitlines()[1:] == ["Nothing was known under this number then.", since]
    told = json.loads(command("history", NEW.digits, "--settings", settings, "--format", "json").out)
    assert told["continues"] == [{"ssin": OLD.digits, "since": "2026-01-11T10:00:00.000Z"}]
    assert told["changes"][0]["other_ssin"] == OLD.digits


def test_rule_35_changes_are_shown_page_by_page(settings: Path, command: Command) -> None:
    """A page names the next one; as JSON each change has all its fields (rule 35)."""
    first = command("history", OLD.digits, "--settings", settings, "--limit", 1)
    shape = re.search(r"^More changes follow: --after (\d+)$", first.out, re.MULTILINE)
    assert shape is not None
    rest = command("history", OLD.digits, "--settings", settings, "--after", shape[1], "--format", "json")
    told = json.loads(rest.out)
    assert (told["ssin"], told["replaced_by"], told["more_after"]) == (OLD.digits, NEW.digits, None)
    (change,) = told["changes"]
    number = change.pop("change_number")
    assert number > int(shape[1])
    assert change == {
        "changed_at": "2026-01-11T10:00:00.000Z",
        "operation": REPLACE_SSIN,
        "other_ssin": NEW.digits,
        "customer": "17/1",
        "inscription_context": CONTEXT,
        "before": [{"begin_date": "2026-01-01", "end_date": "2026-01-31"}],
        "after": [],
        "ticket_cbss": str(TICKETS[2]),
        "customer_ticket": None,
        "legal_context": None,
        "application_urn": None,
        "cbe_number": None,
    }


@pytest.mark.parametrize(
    ("as_of", "status", "current", "lines"),
    [
        ("2026-01-09", 1, OLD, 0),
        ("2026-01-10T10:00:00.122", 1, OLD, 0),
        ("2026-01-10T11:00:00.123+01:00", 0, OLD, 1),
        ("2026-01-10", 0, OLD, 1),
        ("2026-01-11T09:59:59Z", 0, OLD, 1),
        ("2026-01-11", 0, NEW, 1),
    ],
)
def test_rules_20_35_what_was_known_on_a_date_is_shown(
    settings: Path, command: Command, as_of: str, status: int, current: Ssin, lines: int
) -> None:
    """`--as-of` answers for the end of a day or for a moment, under the number that was current then (rules 20, 35)."""
    asked = ("history", OLD.digits, "--settings", settings, "--as-of", as_of)
    done = command(*asked, "--format", "json")
    assert (done.exit_code, done.err) == (status, "")
    told = json.loads(done.out)
    assert (told["ssin"], told["replaces"]) == (current.digits, None if current == OLD else OLD.digits)
    line = {
        "customer": "17/1",
        "inscription_context": CONTEXT,
        "begin_date": "2026-01-01",
        "end_date": "2026-01-31",
        "last_change": "2026-01-10T10:00:00.123Z",
    }
    assert told["inscriptions"] == [line] * lines
    text = command(*asked).out
    assert text.startswith(f"SSIN  {current.formatted}")
    assert ("replaces" in text) == (current == NEW)
    assert ("Nothing was known." in text) == (lines == 0)
    assert command(*asked, "--customer", "17/2").exit_code == 1
    assert command(*asked, "--customer", "17/1", "--context", CONTEXT).exit_code == status
    assert command(*asked, "--context", "PCSA:OTHER_AID").exit_code == 1


def test_rule_35_what_a_service_did_is_in_its_history(sandbox: RunningSandbox, command: Command, stranger: str) -> None:
    """A line that was inserted and removed is found again in the history of the running service (rule 35)."""
    profile, settings = ("--profile", sandbox.profile_path()), ("--settings", sandbox.path("settings.toml"))
    ticket = "8f9c2a51-6d0e-4d0b-9a3e-1c2f7d5b6a70"
    assert command("insert", *profile, stranger, CONTEXT, "--begin", "2026-01-01", "--ticket", ticket).exit_code == 0
    inserted = datetime.now(UTC).isoformat()
    assert command("delete", *profile, stranger, CONTEXT).exit_code == 0
    told = json.loads(command("history", stranger, *settings, "--format", "json").out)
    assert [change["operation"] for change in told["changes"]] == ["insertInscription", "deleteInscription"]
    assert told["changes"][0]["customer_ticket"] == ticket
    assert told["changes"][0]["application_urn"] == sandbox.application("pcsa-web")["urn"]
    known = json.loads(command("history", stranger, *settings, "--as-of", inserted, "--format", "json").out)
    assert [line["begin_date"] for line in known["inscriptions"]] == ["2026-01-01"]
    assert command("history", stranger, *settings, "--as-of", "2020-01-01").exit_code == 1
    assert command("history", "verify", *settings).out == "The history replays to the lines as they are.\n"


def test_rule_35_a_history_that_does_not_replay_ends_with_3(settings: Path, command: Command) -> None:
    """`history verify` ends with 0 while the history fits the lines, and with 3 and their names when not (rule 35)."""
    done = command("history", "verify", "--settings", settings)
    assert (done.exit_code, done.err, done.out) == (0, "", "The history replays to the lines as they are.\n")
    with psycopg.connect(database_of(settings)) as connection:
        connection.execute("UPDATE inscription SET periods = '{[2026-01-01,)}'")
    done = command("history", "verify", "--settings", settings)
    assert (done.exit_code, done.err, done.out) == (3, "", f"state  {NEW.formatted}  17/1  {CONTEXT}\n")
    done = command("history", "verify", NEW.formatted, "--settings", settings, "--format", "json")
    assert done.exit_code == 3
    assert json.loads(done.out) == {
        "complete": True,
        "discrepancies": [
            {
                "kind": "state",
                "ssin": NEW.digits,
                "customer": "17/1",
                "inscription_context": CONTEXT,
                "change_number": None,
            }
        ],
    }
    assert command("history", "verify", OLD.digits, "--settings", settings).exit_code == 0


def database_of(settings: Path) -> str:
    shape = re.search(r'^database = "(.*)"$', settings.read_text(encoding="utf-8"), re.MULTILINE)
    assert shape is not None
    return shape[1]


def test_nothing_is_found_of_a_number_without_history(settings: Path, command: Command) -> None:
    """A number without any change ends with 1 and says so."""
    done = command("history", NOBODY.digits, "--settings", settings)
    assert (done.exit_code, done.err, done.out) == (1, "", f"SSIN  {NOBODY.formatted}\nNo change.\n")


def test_rule_16_replacements_in_a_circle_are_refused(settings: Path, command: Command) -> None:
    """A number whose replacements lead nowhere ends with 3 and one sentence (rule 16)."""
    with psycopg.connect(database_of(settings)) as connection:
        connection.execute(
            "INSERT INTO replacement VALUES (%s, %s, '2026-01-12T10:00:00Z', %s)", (NEW.number, OLD.number, TICKETS[3])
        )
    done = command("history", OLD.digits, "--settings", settings, "--as-of", "2026-01-13")
    assert (done.exit_code, done.sentence) == (3, "the replacements of this number lead nowhere")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["85073003329"], "not an SSIN: its check is wrong"),
        (["850730033"], "not an SSIN: its shape is wrong"),
        (
            [OLD.digits, "--as-of", "yesterday"],
            "--as-of is neither a date (2026-03-01) nor a time (2026-03-01T12:00:00)",
        ),
        ([OLD.digits, "--as-of", "2999-01-01"], "--as-of lies in the future, of which nothing is known"),
        ([OLD.digits, "--as-of", "0001-01-01T00:00:00+10:00"], "--as-of is out of the calendar"),
        ([OLD.digits, "--customer", "17"], "the customer: not the key of an organisation"),
        ([OLD.digits, "--customer", "17/x"], "the customer: not the key of an organisation"),
        ([OLD.digits, "--context", "?"], "--context is no inscription context"),
    ],
)
def test_what_cannot_be_asked_of_the_history_is_one_sentence(
    settings: Path, command: Command, arguments: list[str], sentence: str
) -> None:
    """A wrong number, moment, organisation or context is one sentence without any number, and exit code 2."""
    done = command("history", *arguments, "--settings", settings)
    assert (done.exit_code, done.sentence) == (2, sentence)


def test_a_history_without_its_database_says_so(settings: Path, command: Command) -> None:
    """A database that is not there is one sentence and exit code 4, as one that is slow."""
    before = settings.read_text(encoding="utf-8")
    away = re.sub(r'^database = ".*"$', f'database = "host=127.0.0.1 port={free_port()}"', before, flags=re.MULTILINE)
    settings.write_text(away, encoding="utf-8")
    done = command("history", OLD.digits, "--settings", settings)
    assert done.exit_code == 4
    assert done.sentence.startswith("the database cannot be reached: ")
    settings.write_text(before, encoding="utf-8")
    with psycopg.connect(database_of(settings)) as connection:
        connection.execute("LOCK TABLE inscription_history IN ACCESS EXCLUSIVE MODE")
        done = command("history", OLD.digits, "--settings", settings)
    assert (done.exit_code, done.sentence) == (4, "the database does not answer in time")


def test_a_day_counts_until_its_end_in_utc() -> None:
    """A date is the end of its day in UTC, today is now, and a time without zone is UTC."""
    assert _moment("2026-02-28", now=NOW) == datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
    assert _moment("2026-03-01", now=NOW) == NOW
    assert _moment("2026-03-01T11:30:00", now=NOW) == NOW - timedelta(minutes=30)
    assert _moment("2026-03-01T13:00:00+01:00", now=NOW) == NOW
    for future in ("2026-03-02", "2026-03-01T12:00:00.001"):
        with pytest.raises(UsageError, match="future"):
            _moment(future, now=NOW)
