"""`cbss-inscription disclosure`: what a person is told of who knows them and who asked about them (rule 53)."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from lxml import html

from cbss_inscription.disclosure.choices import Language
from cbss_inscription.disclosure.document import BELGIUM
from cbss_inscription.disclosure.texts import catalogue
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.journal import canonical, read_audit_keys
from tests.acceptance.conftest import (
    FUND,
    LIVING_WAGE,
    Command,
    CommandResult,
    InProcessFacade,
    consult,
    delete,
    insert,
    update,
)
from tests.acceptance.operating import records, write_settings
from tests.storage.chunks import write_chunk

Disclose = Callable[..., Awaitable[CommandResult]]
MARKUP = "<script>alert(1)</script> & Söhne"
REFERENCE = "DPO-2026-17"


@pytest.fixture
def settings(facade: InProcessFacade, tmp_path: Path) -> Path:
    """A settings file of the façade's database and keys, with names of organisations."""
    return write_settings(
        tmp_path,
        database=facade.database,
        top='contact = "dpo@example.org"',
        more=f'[disclosure.organizations]\n"17/1" = "PCSA of {MARKUP}"\n',
    )


@pytest.fixture
def disclose(settings: Path, command: Command) -> Disclose:
    """Runs `disclosure` in a thread: the command has a loop of its own."""

    def run(ssin: object, *arguments: object, **said: str) -> Awaitable[CommandResult]:
        named = {"operator": "an.desk", "reference": REFERENCE, "language": "en"} | said
        options = [part for name, value in named.items() for part in (f"--{name}", value)]
        return asyncio.to_thread(command, "disclosure", ssin, "--settings", settings, *options, *arguments)

    return run


async def as_json(disclose: Disclose, ssin: object, *arguments: object, **said: str) -> dict[str, Any]:
    """The report as a value."""
    done = await disclose(ssin, "--format", "json", *arguments, **said)
    assert done.exit_code == 0
    report: dict[str, Any] = json.loads(done.out)
    return report


async def test_rule_53_a_person_is_told_who_knows_them_and_who_asked(
    facade: InProcessFacade, disclose: Disclose
) -> None:
    """Lines of every organisation, and every call about the person with who, when, why and the result (rule 53)."""
    ssin, other = facade.ssin("nr_active"), facade.ssin("bis_active")
    await facade.send(insert(ssin, begin="2026-01-01", end="2026-06-30"))
    await facade.send(update(ssin, begin="2026-01-01", end="2026-06-30", new_begin="2026-01-01"))
    await facade.send(insert(ssin, begin="2025-01-01", end="2025-02-01"))
    await facade.send(delete(ssin, period="<period><beginDate>2025-01-01</beginDate></period>"))
    await facade.send(insert(ssin, begin="2026-01-01"))
    of_fund = insert(
        ssin,
        context="FAMILY_ALLOWANCES:BENEFICIARY",
        customer=FUND,
        legal_context="FAMILY_BENEFITS:ENTITLEMENT",
    )
    await facade.send(of_fund, by="family-fund")
    await facade.send(consult(ssin), by="unknown-urn")
    await facade.send(consult(other))
    report = await as_json(disclose, Ssin(ssin).formatted)
    of_fund, known = report["known"][::-1]
    assert (of_fund["organization"], of_fund["inscription_context"]["code"]) == (
        {"key": "9000000290", "name": None},
        "FAMILY_ALLOWANCES:BENEFICIARY",
    )
    assert known["organization"] == {"key": "17/1", "name": f"PCSA of {MARKUP}"}
    assert known["inscription_context"]["code"] == LIVING_WAGE
    assert (known["begin_date"], known["end_date"]) == ("2026-01-01", None)
    assert [number["number"] for number in report["numbers"]] == [Ssin(ssin).formatted]
    assert [one["action"] for one in report["contacts"]] == [
        "consultInscriptions",
        "insertInscription",
        "insertInscription",
        "deleteInscription",
        "insertInscription",
        "updateInscription",
        "insertInscription",
    ]
    refused, funds, *granted = report["contacts"]
    assert funds["organization"]["key"] == "9000000290"
    assert (refused["outcome_code"], refused["organization"], refused["legal_context"]) == (
        "SOA-01002",
        None,
        None,
    )
    for one in granted:
        assert one["organization"]["key"] == "17/1"
        assert one["legal_context"] == "PCSA:SOCIAL_INQUIRY"
        assert [context["code"] for context in one["inscription_contexts"]] == [LIVING_WAGE]
        assert (one["outcome_code"], one["outcome_text"]) == ("MSG00000", "answered")
    tickets = [record.ticket_cbss for record in reversed(records(facade.database)[:7])]
    assert [one["ticket_cbss"] for one in report["contacts"]] == tickets


async def test_rule_53_a_person_is_told_of_the_lines_of_batches(
    facade: InProcessFacade, disclose: Disclose, tmp_path: Path
) -> None:
    """A line of a batch about the person is told like a call, the newest first, and no line about others (rule 53)."""
    ssin, now = facade.ssin("nr_active"), datetime.now(UTC)
    await facade.send(consult(ssin))
    keys = read_audit_keys((tmp_path / "audit-keys.toml").read_bytes(), origin="keys")
    other = CustomerIdentification(sector=17, institution=2)
    with psycopg.connect(facade.database) as connection:
        write_chunk(connection, keys, [ssin, facade.ssin("bis_active")], at=now - timedelta(days=1), customer=other)
        write_chunk(connection, keys, [facade.ssin("bis_active")], at=now)
    report = await as_json(disclose, ssin)
    assert [(one["organization"]["key"], one["action"]) for one in report["contacts"]] == [
        ("17/1", "consultInscriptions"),
        ("17/2", "consultInscriptions"),
        ("17/2", "consultInscriptions"),
    ]


async def test_rule_53_a_report_is_recorded_before_it_is_given(
    facade: InProcessFacade, disclose: Disclose, tmp_path: Path
) -> None:
    """Who made it, for which request, about whom stands in the journal, with the digest of what was given (rule 50)."""
    ssin, file = facade.ssin("nr_active"), tmp_path / "report.csv"
    done = await disclose(ssin, "--format", "csv", "--file", file)
    assert (done.exit_code, done.out) == (0, f"{file}\n")
    assert file.stat().st_mode & 0o777 == 0o600
    (record,) = records(facade.database)
    keys = read_audit_keys((tmp_path / "audit-keys.toml").read_bytes(), origin="keys")
    assert record.operation == "auditPersonReport"
    assert record.look is not None
    assert record.look.operator == "an.desk"
    assert f"reference={REFERENCE}" in record.look.criteria
    assert record.response_digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert [keys.open(person, UUID(record.ticket_cbss)) for person in record.persons] == [ssin]
    again = await as_json(disclose, ssin)
    assert [one["action"] for one in again["contacts"]] == ["auditPersonReport"]
    assert again["contacts"][0]["by_the_register"] is True
    assert "an.desk" not in json.dumps(again)


@pytest.mark.parametrize("missing", ["--operator", "--reference", "--language"])
async def test_rule_53_no_report_without_operator_and_reference(
    facade: InProcessFacade, settings: Path, command: Command, missing: str
) -> None:
    """Without who makes it and for which request nothing is told, and nothing is recorded (rule 53)."""
    said = {"--operator": "an.desk", "--reference": REFERENCE, "--language": "en"}
    del said[missing]
    options = [part for pair in said.items() for part in pair]
    done = await asyncio.to_thread(command, "disclosure", facade.ssin("nr_active"), "--settings", settings, *options)
    assert (done.exit_code, done.out) == (2, "")
    assert records(facade.database) == []


@pytest.mark.parametrize("reference", ["", " ", "x" * 65, "a\nb"])
async def test_rule_53_a_reference_is_a_short_line(facade: InProcessFacade, disclose: Disclose, reference: str) -> None:
    """A reference that is empty, long or no line is refused (rule 53)."""
    assert (await disclose(facade.ssin("nr_active"), reference=reference)).exit_code == 2


async def test_sec_75_a_reference_that_holds_the_number_is_refused(facade: InProcessFacade, disclose: Disclose) -> None:
    """The person's number does not come into the journal in clear by way of the reference (SEC-75)."""
    ssin = facade.ssin("nr_active")
    assert (await disclose(ssin, reference=f"request of {Ssin(ssin).formatted}")).exit_code == 2
    assert records(facade.database) == []


async def test_rule_53_former_numbers_are_followed(facade: InProcessFacade, disclose: Disclose) -> None:
    """Asked by a former number or the current one, a report has all, and what was asked by each (rules 19, 53)."""
    scenario = facade.scenarios["replaced"]
    assert scenario.current is not None
    current = scenario.current.digits
    await facade.send(insert(scenario.ssin))
    await facade.send(consult(current))
    for asked in (scenario.ssin, current):
        report = await as_json(disclose, asked)
        numbers = [number["number"] for number in report["numbers"]]
        assert numbers[0] == Ssin(current).formatted
        assert Ssin(scenario.ssin).formatted in numbers[1:]
        assert len(report["known"]) == 1
        calls = [one["action"] for one in report["contacts"] if not one["by_the_register"]]
        assert calls == ["consultInscriptions", "insertInscription"]


async def test_sec_75_nothing_of_another_person_is_in_a_report(
    facade: InProcessFacade, disclose: Disclose, tmp_path: Path
) -> None:
    """Another's number is in no report: not from a record of both, a ticket, a context, nor a false index (SEC-75)."""
    ssin, other = facade.ssin("nr_active"), facade.ssin("bis_active")
    await facade.send(consult(ssin, ticket=other))
    await facade.send(consult(ssin, legal_context=other))
    await facade.send(insert(ssin, context=other))
    await facade.send(insert(other))
    keys = read_audit_keys((tmp_path / "audit-keys.toml").read_bytes(), origin="keys")
    both = records(facade.database)[0]
    ticket = UUID(int=77)
    written = json.loads(canonical(both)) | {"ticket_cbss": str(ticket), "operation": "searchPersonPhonetically"}
    written["persons"] = [msgspec.to_builtins(keys.seal(digits, ticket)) for digits in (other, ssin)]
    now = datetime.now(UTC)
    with psycopg.connect(facade.database) as connection:
        connection.execute(
            "INSERT INTO audit_record VALUES (%s, %s, nextval('audit_record_number'), %s)",
            (now, ticket, json.dumps(written, sort_keys=True, separators=(",", ":"))),
        )
        connection.execute("INSERT INTO audit_person VALUES (%s, %s, %s)", (keys.hashes(ssin)[0], now, ticket))
        # The other's call, said to be about this person by an index that somebody wrote.
        connection.execute(
            "INSERT INTO audit_person SELECT %s, received_at, ticket_cbss FROM audit_record WHERE ticket_cbss = %s",
            (keys.hashes(ssin)[0], records(facade.database)[3].ticket_cbss),
        )
    report = await as_json(disclose, ssin)
    assert [one["action"] for one in report["contacts"]] == [
        "searchPersonPhonetically",
        "insertInscription",
        "consultInscriptions",
        "consultInscriptions",
    ]
    assert report["statements"][0].startswith("1 records could not be proven")
    for kind in ("json", "csv", "html"):
        out = (await disclose(ssin, "--format", kind)).out
        assert Ssin(ssin).formatted in out
        assert other not in re.sub(r"[.-]", "", out)


async def test_rule_53_what_must_not_be_disclosed_is_left_out_in_silence(
    facade: InProcessFacade, disclose: Disclose, settings: Path
) -> None:
    """Contexts and permissions that the settings withhold are in no report, which does not tell; the record does."""
    ssin = facade.ssin("nr_active")
    await facade.send(insert(ssin))
    await facade.send(insert(ssin, context="PCSA:DEBT_MEDIATION"))
    await facade.send(consult(ssin))
    open_report = await as_json(disclose, ssin)
    permission = records(facade.database)[2].decision
    assert permission is not None
    secret = (
        '\n[[disclosure.not_disclosed]]\nreason = "an investigation"\ninscription_contexts = ["PCSA:DEBT_MEDIATION"]\n'
    )
    settings.write_text(settings.read_text() + secret)
    done = await disclose(ssin, "--format", "json")
    report = json.loads(done.out)
    assert len(report["known"]) == len(open_report["known"]) - 1
    assert "DEBT_MEDIATION" not in done.out
    assert "investigation" not in re.sub("an investigation of fraud", "", done.out)
    assert report["statements"] == open_report["statements"]
    assert records(facade.database)[-1].look is not None
    assert "withheld=2" in records(facade.database)[-1].look.criteria  # type: ignore[union-attr]  # the line before says so
    settings.write_text(
        settings.read_text()
        + f'\n[[disclosure.not_disclosed]]\nreason = "x"\npermissions = ["{permission.permission}"]\n'
    )
    report = await as_json(disclose, ssin)
    assert [one["by_the_register"] for one in report["contacts"]] == [True, True]


async def test_rule_53_a_period_bounds_what_is_told_of_requests(facade: InProcessFacade, disclose: Disclose) -> None:
    """--from and --until are days in Belgium, both included; the lines are those of now (rule 53)."""
    ssin = facade.ssin("nr_active")
    await facade.send(insert(ssin))
    today = datetime.now(BELGIUM).date()
    yesterday = today - timedelta(days=1)
    of_today = await as_json(disclose, ssin, "--from", today, "--until", today)
    assert [one["action"] for one in of_today["contacts"]] == ["insertInscription"]
    before = await as_json(disclose, ssin, "--until", yesterday)
    assert (before["contacts"], len(before["known"])) == ([], 1)
    assert (await disclose(ssin, "--from", today, "--until", yesterday)).exit_code == 2


async def test_rule_53_what_organisations_were_told_is_told(facade: InProcessFacade, disclose: Disclose) -> None:
    """Each event that was put into an organisation's feed about the person stands in the report (rule 53)."""
    ssin, other = facade.ssin("nr_active"), facade.ssin("bis_active")
    with psycopg.connect(facade.database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE mutation")
        for place, number in enumerate((ssin, other), start=1):
            connection.execute(
                "INSERT INTO mutation VALUES ('17/1', %s, %s, 'deceased', %s, %s, now(), %s)",
                (place, int(number), int(number), [LIVING_WAGE], UUID(int=place)),
            )
    report = await as_json(disclose, ssin, language="nl")
    (told,) = report["mutations"]
    assert (told["event"], told["organization"]["key"]) == ("deceased", "17/1")
    assert told["event_text"] == "een datum van overlijden is vermeld of verbeterd"
    with psycopg.connect(facade.database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE mutation")


@pytest.mark.parametrize("language", Language)
async def test_rule_53_the_report_is_a_page_in_the_persons_language(
    facade: InProcessFacade, disclose: Disclose, language: Language
) -> None:
    """HTML says its language, heads every column and row, tells times with their zone, loads nothing (rule 53)."""
    ssin = facade.ssin("nr_active")
    await facade.send(insert(ssin))
    await facade.send(consult(ssin, customer=FUND))
    done = await disclose(ssin, language=language)
    page = html.fromstring(done.out)
    texts = catalogue()[language]
    assert page.get("lang") == language
    assert page.findtext(".//h1") == texts.title
    assert {texts.known_title, texts.contacts_title, texts.mutations_title} <= {h.text for h in page.iter("h2")}
    assert all(cell.get("scope") in {"col", "row"} for cell in page.iter("th"))
    assert len(page.findall(".//table")) == 2
    assert list(page.iter("script", "img", "link", "iframe", "form", "a")) == []
    assert re.search(r"\d\d:\d\d:\d\d \(UTC\+0[12]:00\)", done.out)
    assert not re.search(r"\bhref=|\bsrc=|url\(|@import", done.out)
    # Names of organisations are text, whatever is in them.
    assert f"PCSA of {MARKUP} (17/1)" in page.find(".//tbody").text_content()
    assert MARKUP not in done.out


async def test_rule_53_csv_is_for_spreadsheets(facade: InProcessFacade, disclose: Disclose, settings: Path) -> None:
    """CSV has the same rows, one header, UTF-8 that a spreadsheet knows, and no cell that it would reckon (rule 53)."""
    ssin = facade.ssin("nr_active")
    settings.write_text(settings.read_text().replace("PCSA of ", "=1+1;"))
    await facade.send(insert(ssin))
    done = await disclose(ssin, "--format", "csv", language="fr")
    assert done.out.startswith("\ufeffpart,")
    rows = list(csv.DictReader(io.StringIO(done.out.removeprefix("\ufeff"))))
    parts = [row["part"] for row in rows]
    assert parts[:4] == ["document", "reference", "period", "number"]
    (known,) = (row for row in rows if row["part"] == "known")
    assert known["organization_name"].startswith("'=1+1;")
    (request,) = (row for row in rows if row["part"] == "request")
    assert request["action"] == "inscription ajoutée"
    assert datetime.fromisoformat(request["moment"]).utcoffset() in {timedelta(hours=1), timedelta(hours=2)}


async def test_rule_53_a_long_history_is_bounded_and_says_so(
    facade: InProcessFacade, disclose: Disclose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit the newest are told, and that there are more (rule 53)."""
    for module in ("storage.disclosure", "disclosure.document"):
        monkeypatch.setattr(f"cbss_inscription.{module}.RECORDS_MAX", 2)
    ssin = facade.ssin("nr_active")
    for _ in range(3):
        await facade.send(consult(ssin))
    report = await as_json(disclose, ssin)
    newest = [record.ticket_cbss for record in records(facade.database)[2:0:-1]]
    assert [one["ticket_cbss"] for one in report["contacts"]] == newest
    assert "newest 2 rows" in report["statements"][0]


async def test_rule_53_archived_months_are_said_to_be_missing(facade: InProcessFacade, disclose: Disclose) -> None:
    """A report that reaches back before the last archived month says from which day on it is whole (rule 53)."""
    ssin = facade.ssin("nr_active")
    with psycopg.connect(facade.database) as connection:
        connection.execute(
            "INSERT INTO audit_archive (month, file_name, first_sequence_number, last_sequence_number, digest,"
            " archived_at) VALUES ('2026-01-01', 'audit-2026-01', 1, 2, sha256(''), now())"
        )
    try:
        whole, recent = (await as_json(disclose, ssin)), (await as_json(disclose, ssin, "--from", "2026-02-01"))
    finally:
        with psycopg.connect(facade.database) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("DELETE FROM audit_archive")
    assert "before 01/02/2026" in whole["statements"][0]
    assert recent["statements"] == whole["statements"][1:]


async def test_rule_53_of_nobody_nothing_is_told_and_the_question_is_recorded(
    facade: InProcessFacade, disclose: Disclose
) -> None:
    """For a number that nobody asked about the report is empty, says so, and is recorded (rule 53)."""
    done = await disclose(facade.ssin("unknown"))
    assert catalogue()[Language.EN].known_none in done.out
    assert catalogue()[Language.EN].contacts_none in done.out
    assert [record.operation for record in records(facade.database)] == ["auditPersonReport"]
