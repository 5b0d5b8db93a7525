"""`cbss-inscription volumes`: what was counted, in every form, against what was agreed on (SEC-57)."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from lxml import etree

from cbss_inscription.governance.access import AgreedVolume, VolumeMode, VolumeWindow, write_access_rules
from tests.acceptance.conftest import Command, rules_of_tests
from tests.acceptance.operating import write_settings

SVG = "{http://www.w3.org/2000/svg}"
DAY = datetime(2024, 3, 30, 9, tzinfo=UTC)
COUNTS = [
    # hours after DAY, permission, application, operation, worker, calls, refused
    (0, "urn:web", "consultInscriptions", 1, 60, 0),
    (0, "urn:web", "consultInscriptions", 2, 30, 4),
    (1, "urn:<&web", "insertInscription", 1, 15, 0),
    (48, "urn:web", "consultInscriptions", 1, 10, 0),
]
DAYS = ("--from", "2024-03-01", "--until", "2024-04-30")


def count(database: str, start: datetime, reference: str, *rows: tuple[int, str, str, int, int, int]) -> None:
    with psycopg.connect(database) as connection:
        for hours, urn, operation, worker, calls, refused in rows:
            connection.execute(
                "INSERT INTO volume_count VALUES (%s, %s, %s, '17/1', 'PCSA:SOCIAL_INQUIRY', %s, %s, %s, %s)",
                (start + timedelta(hours=hours), reference, urn, operation, worker, calls, refused),
            )


@pytest.fixture
def reference() -> str:
    """The reference of the permission with volumes."""
    return rules_of_tests().permissions[0].reference


@pytest.fixture
def settings(tmp_path: Path, fresh_database: str, reference: str) -> Path:
    """A settings file with a permission of two volumes, and counts in two months."""
    rules = rules_of_tests()
    agreed = (
        AgreedVolume(window=VolumeWindow.DAY, limit=100),
        AgreedVolume(window=VolumeWindow.MONTH, limit=1_000, mode=VolumeMode.SOFT),
    )
    fields = {name: getattr(rules.permissions[0], name) for name in rules.permissions[0].__struct_fields__}
    first = type(rules.permissions[0])(**fields | {"volumes": agreed})
    changed = type(rules)(version=1, access_rules=rules.access_rules, permissions=(first, *rules.permissions[1:]))
    (tmp_path / "rules.yaml").write_bytes(write_access_rules(changed))
    count(fresh_database, DAY, reference, *COUNTS)
    return write_settings(tmp_path, database=fresh_database)


def test_sec_57_a_report_is_a_table_with_bars(command: Command, settings: Path, reference: str) -> None:
    """For people: the calls with bars, and each agreed volume with its fullest window (SEC-57)."""
    result = command("volumes", "report", "--settings", settings, *DAYS)
    assert result.exit_code == 0
    lines = [line.split() for line in result.out.splitlines()]
    assert result.out.startswith("Calls by permission, 2024-03-01 to 2024-04-30 (UTC)\n")
    (total,) = [line for line in lines if "115" in line]
    assert total[total.index("115") : total.index("115") + 3] == ["115", "│", "4"]
    assert "█" * 24 in result.out
    assert "100 a day" in result.out
    assert "105" in result.out  # per cent of the day on which most was asked
    assert "1000 a month, soft" in result.out
    assert reference in result.out


def test_sec_57_a_report_is_json(command: Command, settings: Path, reference: str) -> None:
    """For programs: the same, each number by its name (SEC-57)."""
    result = command("volumes", "report", "--settings", settings, *DAYS, "--format", "json", "--by", "month")
    found = json.loads(result.out)
    assert (found["from"], found["until"], found["by"]) == ("2024-03-01", "2024-04-30", "month")
    assert found["totals"] == [
        {"name": "2024-03", "calls": 105, "refused": 4},
        {"name": "2024-04", "calls": 10, "refused": 0},
    ]
    assert [(use["window"], use["limit"], use["mode"], use["calls"], use["percent"]) for use in found["agreed"]] == [
        ("day", 100, "hard", 105, 105.0),
        ("month", 1000, "soft", 105, 10.5),
    ]
    assert found["agreed"][0] == {
        "permission": reference,
        "customer": "17/1",
        "operation": None,
        "window": "day",
        "limit": 100,
        "mode": "hard",
        "since": "2024-03-30T00:00:00+00:00",
        "calls": 105,
        "refused": 4,
        "percent": 105.0,
    }


def test_sec_57_a_report_is_a_spreadsheet(command: Command, settings: Path) -> None:
    """As CSV: a head and a row for each name, whatever is in the names (SEC-57)."""
    result = command("volumes", "report", "--settings", settings, *DAYS, "--format", "csv", "--by", "application")
    assert list(csv.reader(result.out.splitlines())) == [
        ["application", "calls", "refused"],
        ["urn:web", "100", "4"],
        ["urn:<&web", "15", "0"],
    ]


def test_sec_57_a_report_is_a_plot(command: Command, settings: Path, tmp_path: Path) -> None:
    """As SVG: bars as long as their numbers, a line at 100 per cent, names as they are, nothing that runs (SEC-57)."""
    file = tmp_path / "plot.svg"
    assert (
        command("volumes", "report", "--settings", settings, *DAYS, "--by", "application", "--svg", file).exit_code == 0
    )
    root = etree.fromstring(file.read_bytes())
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"urn:web", "urn:<&web", "100, 4 refused", "15", "100 %"} <= set(texts)
    bars = [float(bar.get("width")) for bar in root.iterfind(f"{SVG}g/{SVG}rect")]
    web, refused, other, day, month = bars
    assert web / other == pytest.approx(100 / 15, rel=0.01)
    assert web / refused == pytest.approx(25, rel=0.02)
    assert day / month == pytest.approx(10, rel=0.02)
    (line,) = root.iter(f"{SVG}line")
    left = {float(bar.get("x")) for bar in root.iterfind(f"{SVG}g/{SVG}rect")}
    assert (float(line.get("x1")) - min(left)) / day == pytest.approx(100 / 105, rel=0.01)
    assert {etree.QName(element).localname for element in root.iter(etree.Element)} <= {
        *("svg", "title", "rect", "text", "g", "line"),
    }


def test_sec_57_volumes_now_are_those_of_this_moments_windows(
    command: Command, settings: Path, fresh_database: str, reference: str
) -> None:
    """`volumes now` shows each agreed volume in its window of this moment (SEC-57)."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    count(fresh_database, hour, reference, (0, "urn:web", "consultInscriptions", 1, 90, 2))
    result = command("volumes", "now", "--settings", settings, "--format", "json")
    used = {use["window"]: (use["calls"], use["percent"], use["refused"]) for use in json.loads(result.out)}
    assert used == {"day": (90, 90.0, 2), "month": (90, 9.0, 2)}
    assert "100 a day" in command("volumes", "now", "--settings", settings).out


def test_sec_57_a_report_of_nothing_says_so(command: Command, settings: Path) -> None:
    """Days without a call: "Nothing was counted", and the agreed volumes are empty (SEC-57)."""
    result = command("volumes", "report", "--settings", settings, "--from", "2025-01-01", "--until", "2025-01-31")
    assert (result.exit_code, "Nothing was counted.") == (0, result.out.splitlines()[1])
    assert "100 a day" in result.out


def test_sec_57_days_in_the_wrong_order_are_refused(command: Command, settings: Path) -> None:
    """A report until before its beginning is a mistake of the command line (SEC-57)."""
    result = command("volumes", "report", "--settings", settings, "--from", "2024-03-02", "--until", "2024-03-01")
    assert (result.exit_code, result.sentence) == (2, "--until is before --from")
