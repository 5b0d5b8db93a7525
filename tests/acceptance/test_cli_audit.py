"""`cbss-inscription audit`: verify, search, export; and that looks into the journal are in it (SEC-72, SEC-75)."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from cbss_inscription.app.keeping import client_of
from cbss_inscription.app.settings import read_settings
from cbss_inscription.domain.period import timestamp
from cbss_inscription.governance.journal import (
    AuditedOutcome,
    AuditRecord,
    new_audit_keys,
    read_audit_keys,
    read_record,
)
from cbss_inscription.governance.timestamps import request_for
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.sandbox.timestamping import TimeStampAuthority
from cbss_inscription.storage.chain import link_records, seal_links, write_records
from tests.acceptance.conftest import Command
from tests.acceptance.operating import write_settings
from tests.conftest import RunningSandbox

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
SSIN, OTHER = "85073003328", "17073003384"
TICKETS = [UUID(int=number) for number in range(1, 4)]


@pytest.fixture
def settings(tmp_path: Path, fresh_database: str) -> Path:
    """A settings file whose journal has three records under a seal: two about one person, by two keys."""
    pki = TestPki.generate(environment="LOCAL", now=NOW)
    authority = TimeStampAuthority(pki.timestamp_authority, clock=lambda: NOW)
    (tmp_path / "ca.pem").write_bytes(pki.timestamp_root.certificate_pem)
    keys = new_audit_keys("old")
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        for number, (ticket, ssin) in enumerate(zip(TICKETS, (SSIN, OTHER, SSIN), strict=True)):
            keys = new_audit_keys("new", former=keys) if number == 2 else keys
            opened = read_audit_keys(keys, origin="keys")
            record = AuditRecord(
                ticket_cbss=str(ticket),
                customer_ticket=f"mine-{number}",
                timestamp_receive=timestamp(NOW),
                timestamp_reply=timestamp(NOW),
                service="CBSSInscription",
                application_urn=f"urn:app:{number}",
                operation="consultInscriptions",
                customer="17/1",
                legal_context="PCSA:SOCIAL_INQUIRY",
                persons=(opened.seal(ssin, ticket, asked=True),),
                outcome=AuditedOutcome(value="DATA_FOUND", code="MSG00000"),
            )
            write_records(connection, [(NOW, record)])
        link_records(connection)
        seal_links(connection, lambda text: authority.answer(request_for(text).as_bytes()), now=NOW)
    (tmp_path / "audit-keys.toml").write_bytes(keys)
    timestamping = '[audit.timestamping]\nurl = "http://127.0.0.1:1/"\nca = "ca.pem"\n'
    return write_settings(tmp_path, database=fresh_database, more=timestamping)


def looks(database: str) -> list[AuditRecord]:
    """The records of looks into the journal, in the order of their arrival."""
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT content FROM audit_record ORDER BY record_number").fetchall()
    records = [read_record(content.encode("utf-8")) for (content,) in rows]
    return [record for record in records if record.look is not None]


def test_sec_72_the_journal_is_verified_in_the_database_and_from_a_file(
    settings: Path, tmp_path: Path, command: Command, fresh_database: str
) -> None:
    """`audit verify` reads the database; an exported file needs only the authority's root, no database (SEC-72)."""
    done = command("audit", "verify", "--settings", settings)
    assert (done.exit_code, done.err) == (0, "")
    assert done.out.splitlines() == ["3 records, 1 seals, 1 of them time-stamped", "The journal is what it was."]
    file = tmp_path / "export.jsonl"
    done = command("audit", "export", file, "--settings", settings, "--operator", "auditor")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert (done.exit_code, done.out) == (0, f"{file}: 3 records, SHA-256 {digest}\n")
    assert file.stat().st_mode & 0o777 == 0o600
    (look,) = looks(fresh_database)
    assert look.look is not None
    assert (look.operation, look.look.operator, look.look.record_count) == ("auditExport", "auditor", 3)
    assert look.response_digest == digest
    done = command("audit", "verify", file, "--tsa-ca", tmp_path / "ca.pem", "--format", "json")
    assert (done.exit_code, json.loads(done.out)["time_stamps"], json.loads(done.out)["findings"]) == (0, 1, [])


def test_sec_72_the_last_days_are_verified_by_themselves(settings: Path, command: Command, fresh_database: str) -> None:
    """With a day the seals of what came since then are read, and what came before is said not to be (SEC-72)."""
    day = ("--from", f"{NOW:%Y-%m-%d}")
    assert (
        command("audit", "verify", "--settings", settings, *day).out.splitlines()[-1] == "The journal is what it was."
    )
    began = datetime.now(UTC)
    assert command("audit", "search", "--settings", settings, "--customer", "17/1").exit_code == 0
    with psycopg.connect(fresh_database) as connection:
        link_records(connection)
    done = command("audit", "verify", "--settings", settings, "--from", f"{began:%Y-%m-%dT%H:%M}")
    assert done.out.splitlines() == [
        "1 records, 1 seals, 1 of them time-stamped",
        "1 records are under no seal yet",
        "Read from link 4 on; what came before stands by the seal before it.",
        "The journal is what it was.",
    ]


def test_sec_72_a_sandbox_has_an_authority_that_stamps(sandbox: RunningSandbox, command: Command) -> None:
    """The settings of a sandbox name an authority that answers, and its journal verifies while it serves (SEC-72)."""
    file = sandbox.directory / "settings.toml"
    stamping = read_settings(file).audit.timestamping
    assert stamping is not None
    assert client_of(stamping).stamp("statement")
    assert command("audit", "verify", "--settings", file).exit_code == 0


def test_sec_72_a_finding_is_status_3(settings: Path, command: Command, fresh_database: str) -> None:
    """What is wrong is named, in words or as JSON, and the status says that something is (SEC-72)."""
    with psycopg.connect(fresh_database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM audit_record WHERE ticket_cbss = %s", (TICKETS[1],))
    done = command("audit", "verify", "--settings", settings)
    assert done.exit_code == 3
    assert done.out.splitlines()[:2] == [f"missing record: link 2 ({TICKETS[1]})", f"wrong index: record {TICKETS[1]}"]
    assert done.out.splitlines()[-1] == "Something is wrong with the journal."
    done = command("audit", "verify", "--settings", settings, "--format", "json")
    assert (done.exit_code, json.loads(done.out)["finding_count"]) == (3, 2)
    assert json.loads(done.out)["findings"][0] == {
        "kind": "missing record",
        "place": "link 2",
        "detail": str(TICKETS[1]),
    }


def test_sec_75_a_person_s_records_are_found_by_every_key(
    settings: Path, command: Command, fresh_database: str
) -> None:
    """Records about a person are found by former keys too; numbers are shown only when it is said (SEC-75)."""
    done = command("audit", "search", "--settings", settings, "--ssin", SSIN, "--format", "json", "--operator", "x")
    found = json.loads(done.out)
    assert [record["ticket_cbss"] for record in found] == [str(TICKETS[0]), str(TICKETS[2])]
    assert SSIN not in done.out
    done = command("audit", "search", "--settings", settings, "--ssin", "-", "--numbers", stdin=f"{SSIN}\n")
    assert done.out.count(SSIN) == 3  # the first search was about this person, too
    hidden, shown = looks(fresh_database)
    keys = read_audit_keys((settings.parent / "audit-keys.toml").read_bytes(), origin="keys")
    for look, numbers, count in ((hidden, False, 2), (shown, True, 3)):
        assert look.look is not None
        assert (look.operation, look.look.numbers_shown, look.look.record_count) == ("auditSearch", numbers, count)
        assert [keys.open(person, UUID(look.ticket_cbss)) for person in look.persons] == [SSIN]
        assert SSIN not in repr(look.look)


@pytest.mark.parametrize(
    ("criterion", "found"),
    [
        (("--ticket", TICKETS[1]), {1}),
        (("--customer-ticket", "mine-2"), {2}),
        (("--application", "urn:app:0"), {0}),
        (("--customer", "17/1", "--limit", 2), {0, 1}),
        (("--customer", "17/2"), set()),
        (("--from", f"{NOW:%Y-%m-%d}", "--until", f"{NOW:%Y-%m-%d}"), {0, 1, 2}),
        (("--until", f"{NOW:%Y-%m-%dT%H:%M:%S}"), set()),
        (("--from", f"{NOW + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}", "--customer", "17/1"), set()),
    ],
)
def test_sec_75_records_are_found_by_what_is_known_of_them(
    settings: Path, command: Command, fresh_database: str, criterion: tuple[object, ...], found: set[int]
) -> None:
    """By ticket, application, organisation and time; what was looked for is recorded, found or not (SEC-75)."""
    done = command("audit", "search", "--settings", settings, "--format", "json", *criterion)
    assert {record["ticket_cbss"] for record in json.loads(done.out)} == {str(TICKETS[number]) for number in found}
    assert done.exit_code == (0 if found else 1)
    (look,) = looks(fresh_database)
    assert look.look is not None
    assert look.look.record_count == len(found)
    assert f"{str(criterion[0])[2:].replace('-', '_')}={criterion[1]}" in look.look.criteria


def test_sec_75_a_record_is_shown_in_few_lines(settings: Path, command: Command) -> None:
    """People read when, what, with which result, by whom, why, about how many, under which tickets (SEC-75)."""
    done = command("audit", "search", "--settings", settings, "--ticket", TICKETS[0])
    assert done.out.splitlines() == [
        f"{NOW:%Y-%m-%d %H:%M:%S}.000 UTC  consultInscriptions  DATA_FOUND MSG00000",
        "  by urn:app:0  for 17/1",
        "  PCSA:SOCIAL_INQUIRY",
        "  about 1 numbers",
        f"  ticket {TICKETS[0]}  customer's mine-0",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify",), "give an exported FILE, or --settings"),
        (("verify", "nowhere.jsonl"), "No such file"),
        (("search", "--settings", "SETTINGS", "--from", "yesterday"), "neither a date"),
        (("search", "--settings", "SETTINGS", "--ssin", "1"), "not an SSIN"),
        (("export", "SETTINGS", "--settings", "SETTINGS"), "is there already"),
        (
            ("export", "new.jsonl", "--settings", "SETTINGS", "--from", "2999-01-01"),
            "nothing was received in this time",
        ),
        (("verify", "--settings", "SETTINGS", "--from", "2999-01-01"), "nothing was received in this time"),
        (("verify", "--settings", "SETTINGS", "--from", "yesterday"), "neither a date"),
        (("verify", "SETTINGS", "--from", "2026-01-01"), "of an exported file everything is read"),
        (("verify", "SETTINGS"), "line 1: not a line of an exported journal"),
    ],
)
def test_what_is_wrong_with_a_command_is_one_sentence(
    settings: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    fresh_database: str,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    """A wrong argument or file is one sentence and status 2; nothing is shown, written or recorded."""
    monkeypatch.chdir(settings.parent)
    done = command("audit", *(str(settings) if one == "SETTINGS" else one for one in arguments))
    assert done.exit_code == 2
    assert words in done.sentence
    assert looks(fresh_database) == []
    assert not list(settings.parent.glob("*new*"))


def test_sec_75_nothing_is_shown_that_is_not_recorded(settings: Path, command: Command, fresh_database: str) -> None:
    """When the look cannot be recorded there is no answer, and no file (rule 51, SEC-75)."""
    with psycopg.connect(fresh_database) as connection:
        connection.execute("ALTER SEQUENCE audit_record_number MAXVALUE 3")
    for arguments in (("search", "--customer", "17/1"), ("export", settings.parent / "file")):
        done = command("audit", *arguments, "--settings", settings)
        assert (done.exit_code, done.out) == (4, "")
    assert not (settings.parent / "file").exists()


def test_sec_76_a_request_is_deleted_and_the_chain_verifies(
    settings: Path, command: Command, fresh_database: str
) -> None:
    """A kept request is shown, deleted alone or by age; each is recorded, and the journal is what it was (SEC-76)."""
    keys = read_audit_keys((settings.parent / "audit-keys.toml").read_bytes(), origin="keys")
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        for ticket in TICKETS:
            request = keys.seal_request(b"<request/>", ticket)
            connection.execute(
                "INSERT INTO audit_evidence VALUES (%s, %s, %s, %s)", (ticket, NOW, request.key, request.sealed)
            )
    kept = ("--settings", settings, "--operator", "auditor")
    with psycopg.connect(fresh_database) as connection:
        connection.execute(
            "UPDATE audit_evidence SET ticket_cbss = %s WHERE ticket_cbss = %s", (UUID(int=9), TICKETS[1])
        )
    assert "does not open under its ticket" in command("audit", "evidence", "show", UUID(int=9), *kept).sentence
    for arguments, status, out in (
        (("show", TICKETS[0]), 0, "<request/>"),
        (("delete", "--ticket", TICKETS[0]), 0, "1 requests deleted\n"),
        (("show", TICKETS[0]), 1, ""),
        (("delete", "--before", f"{NOW + timedelta(days=1):%Y-%m-%d}"), 0, "2 requests deleted\n"),
        (("delete", "--before", f"{NOW + timedelta(days=1):%Y-%m-%d}"), 1, "0 requests deleted\n"),
    ):
        done = command("audit", "evidence", *arguments, *kept)
        assert (done.exit_code, done.out) == (status, out)
    assert [(look.operation, look.look and look.look.record_count) for look in looks(fresh_database)] == [
        ("auditDisclosure", 1),
        ("auditDeletion", 1),
        ("auditDisclosure", 0),
        ("auditDeletion", 2),
        ("auditDeletion", 0),
    ]
    assert command("audit", "evidence", "delete", *kept).exit_code == 2
    done = command("audit", "verify", "--settings", settings)
    assert (done.exit_code, done.out.splitlines()[-1]) == (0, "The journal is what it was.")
