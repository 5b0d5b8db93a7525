"""`cbss-inscription audit archive`: months leave the database for files that are verified and signed (SEC-75)."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from cbss_inscription.app import archiving
from cbss_inscription.app.archiving import first_online
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
from cbss_inscription.storage.chain import link_records, make_months, seal_links, write_records
from tests.acceptance.conftest import Command
from tests.acceptance.operating import write_settings
from tests.storage.chunks import write_chunk

NOW = datetime.now(UTC)
SSIN = "85073003328"


def month(ago: int) -> datetime:
    """The middle of the month so many months ago."""
    return first_online(NOW, ago) + timedelta(days=14)


@pytest.fixture
def settings(tmp_path: Path, fresh_database: str, command: Command) -> Path:
    """A journal with two records in each of nine, eight, seven and one months ago, the second of each a chunk's, each
    month under one seal.
    """
    keys = new_audit_keys("one")
    (tmp_path / "audit-keys.toml").write_bytes(keys)
    opened = read_audit_keys(keys, origin="keys")
    pki = TestPki.generate(environment="LOCAL", now=month(10))
    (tmp_path / "ca.pem").write_bytes(pki.timestamp_root.certificate_pem)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        for ago in (9, 8, 7, 1):
            at = month(ago)
            make_months(connection, at.date())
            ticket = uuid4()
            record = AuditRecord(
                ticket_cbss=str(ticket),
                timestamp_receive=timestamp(at),
                timestamp_reply=timestamp(at),
                service="CBSSInscription",
                persons=(opened.seal(SSIN, ticket, asked=True),),
                outcome=AuditedOutcome(value="OK"),
            )
            write_records(connection, [(at, record)])
            write_chunk(connection, opened, [SSIN], at=at + timedelta(seconds=1))
            link_records(connection)
            authority = TimeStampAuthority(pki.timestamp_authority, clock=lambda at=at: at + timedelta(minutes=1))
            seal_links(
                connection,
                lambda text, authority=authority: authority.answer(request_for(text).as_bytes()),
                now=at + timedelta(minutes=1),
            )
    more = """
[audit.timestamping]
url = "http://127.0.0.1:1/"
ca = "ca.pem"
[audit.archive]
directory = "archive"
key = "archive.key.pem"
"""
    file = write_settings(tmp_path, database=fresh_database, more=more)
    assert command("audit", "make-archive-key", tmp_path / "archive.key.pem").exit_code == 0
    return file


def tickets(database: str) -> set[UUID]:
    with psycopg.connect(database) as connection:
        return {one for (one,) in connection.execute("SELECT ticket_cbss FROM audit_ticket")}


def test_sec_75_months_leave_the_database_for_files_that_prove_themselves(
    settings: Path, command: Command, fresh_database: str
) -> None:
    """What is older than six months goes, each month with a file that verifies alone; the rest verifies (SEC-75)."""
    before = tickets(fresh_database)
    done = command("audit", "archive", "--settings", settings, "--operator", "auditor")
    names = [f"audit-{month(ago):%Y-%m}.jsonl" for ago in (9, 8, 7)]
    assert (done.exit_code, done.err) == (0, "")
    assert [line.split()[1] for line in done.out.splitlines()] == [f"{name}," for name in names]
    folder = settings.parent / "archive"
    there: set[str] = set()
    for name in names:
        alone = command("audit", "verify", folder / name, "--tsa-ca", settings.parent / "ca.pem", "--format", "json")
        verified = json.loads(alone.out)
        assert (alone.exit_code, verified["records"], verified["time_stamps"]) == (0, 2, 1)
        lines = [json.loads(line) for line in (folder / name).read_bytes().splitlines()]
        there |= {json.loads(line["record"])["ticket_cbss"] for line in lines if line["type"] == "record"}
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    left = tickets(fresh_database)
    assert there == {str(ticket) for ticket in before - left}
    assert len(left) == 2 + 3
    done = command("audit", "verify", "--settings", settings)
    assert (done.exit_code, done.out.splitlines()[1]) == (
        0,
        "6 of the records are in archive files: verify those one by one, too",
    )
    with psycopg.connect(fresh_database) as connection:
        rows = connection.execute("SELECT content FROM audit_record ORDER BY record_number DESC LIMIT 3").fetchall()
        digests = connection.execute("SELECT digest FROM audit_archive ORDER BY month DESC").fetchall()
    looks = [read_record(content.encode("utf-8")) for (content,) in rows]
    assert [(look.operation, look.response_digest) for look in looks] == [
        ("auditArchive", digest.hex()) for (digest,) in digests
    ]
    manifests = [json.loads((folder / name).read_bytes().splitlines()[0]) for name in names]
    assert [manifest["former_file"] for manifest in manifests] == [None, digests[2][0].hex(), digests[1][0].hex()]
    assert command("audit", "archive", "--settings", settings).exit_code == 1


@pytest.mark.parametrize(
    ("damage", "finding"),
    [("remove", "missing archive"), ("change", "changed archive"), ("forge", "changed archive")],
)
def test_sec_75_an_archive_file_that_was_touched_is_found(
    settings: Path, command: Command, fresh_database: str, damage: str, finding: str
) -> None:
    """A file that is gone, changed, or changed with its digest, is named: our key has not signed it (SEC-75)."""
    command("audit", "archive", "--settings", settings)
    file = settings.parent / "archive" / f"audit-{month(8):%Y-%m}.jsonl"
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes().replace(b"OK", b"NO"))
    if damage == "forge":
        with psycopg.connect(fresh_database) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(
                "UPDATE audit_archive SET digest = sha256(%s) WHERE file_name = %s", (file.read_bytes(), file.name)
            )
    done = command("audit", "verify", "--settings", settings)
    assert done.exit_code == 3
    assert done.out.startswith(f"{finding}: archive {file.name}")


def test_sec_75_a_month_that_does_not_verify_stays(settings: Path, command: Command, fresh_database: str) -> None:
    """A record that was changed keeps its month in the database, and no file of it is left (SEC-75)."""
    with psycopg.connect(fresh_database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE audit_record SET content = replace(content, 'OK', 'NO') WHERE received_at < %s", (month(8),)
        )
    before = tickets(fresh_database)
    done = command("audit", "archive", "--settings", settings)
    assert done.exit_code == 2
    assert "stays, for it does not verify: changed record, link 1" in done.sentence
    assert tickets(fresh_database) == before
    assert list((settings.parent / "archive").iterdir()) == []


def test_sec_75_a_month_that_is_not_sealed_stays(settings: Path, command: Command, fresh_database: str) -> None:
    """A record without a seal keeps its month in the database; so does one that comes while it leaves (SEC-75)."""
    at = month(9) + timedelta(hours=1)
    ticket = uuid4()
    record = AuditRecord(
        ticket_cbss=str(ticket),
        timestamp_receive=timestamp(at),
        timestamp_reply=timestamp(NOW),
        service="CBSSInscription",
        outcome=AuditedOutcome(value="OK"),
    )
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        write_records(connection, [(at, record)])
        done = command("audit", "archive", "--settings", settings)
        assert (done.exit_code, "its records are not all sealed" in done.sentence) == (2, True)
        first = month(9).date().replace(day=1)
        connection.execute("INSERT INTO audit_archive VALUES (%s, 'file', 1, 2, %s, now())", (first, b"d" * 32))
        with pytest.raises(psycopg.errors.RaiseException, match="not all records"):
            connection.execute("SELECT drop_audit_month(%s)", (first,))
    assert ticket in tickets(fresh_database)


def found_tickets(command: Command, settings: Path, *criteria: object) -> list[str]:
    """The tickets of the calls that a search finds, the looks of operators left out."""
    done = command("audit", "search", "--settings", settings, "--format", "json", *criteria)
    return [record["ticket_cbss"] for record in json.loads(done.out) if record["look"] is None]


def test_rule_50_a_search_finds_what_left_the_database(settings: Path, command: Command, fresh_database: str) -> None:
    """Whatever is looked for is found in archive files as it was in the database before, oldest first, each record
    once, when that is asked for; and that they were read is recorded (rules 50, 51).
    """
    time = ("--from", f"{month(8):%Y-%m-%d}", "--until", f"{month(7):%Y-%m-%d}")
    looks = [(), ("--customer", "17/1", *time), ("--limit", "3")]
    looks += [("--ticket", ticket) for ticket in found_tickets(command, settings, *time)[1:2]]
    before = [found_tickets(command, settings, "--ssin", SSIN, *look) for look in looks]
    assert list(map(len, before)) == [8, 2, 3, 1]
    command("audit", "hold", "add", "--settings", settings, "--reason", "case 7", *HELD_PERSON)
    assert len(archived(command, settings)) == 2  # the held month stays, and is in the file of the next one, too
    assert len(found_tickets(command, settings, "--ssin", SSIN)) == 4
    assert [found_tickets(command, settings, "--ssin", SSIN, *look, "--archived") for look in looks] == before
    command("audit", "hold", "release", 1, "--settings", settings)
    assert len(archived(command, settings)) == 1
    assert found_tickets(command, settings, "--ssin", SSIN, "--archived") == before[0]
    with psycopg.connect(fresh_database) as connection:
        row = connection.execute("SELECT content FROM audit_record ORDER BY record_number DESC LIMIT 1").fetchone()
    assert row is not None
    look = read_record(row[0].encode("utf-8")).look
    assert look is not None
    assert look.criteria == ("archived=True",)


def test_sec_75_a_search_reads_no_file_but_those_that_were_written(settings: Path, command: Command) -> None:
    """A file of the time that is gone, or not what was archived, ends the search in a sentence; others are not asked
    for, nor those whose time was over (SEC-75).
    """
    search = ("audit", "search", "--settings", settings, "--archived")
    assert len(archived(command, settings)) == 3
    file = settings.parent / "archive" / f"audit-{month(8):%Y-%m}.jsonl"
    file.write_bytes(file.read_bytes().replace(b"OK", b"NO"))
    assert f"{file.name} is not the file that was written" in command(*search).sentence
    file.unlink()
    assert f"{file.name}: No such file" in command(*search).sentence
    assert command(*search, "--from", f"{month(7):%Y-%m}-01").exit_code == 0
    assert command(*search, "--until", f"{month(9):%Y-%m-%d}").exit_code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archiving, "KEPT_YEARS", 0)
        assert command("audit", "expire", "--settings", settings).exit_code == 0
    assert len(found_tickets(command, settings, "--archived")) == 2
    settings.write_text(settings.read_text(encoding="utf-8").partition("[audit.archive]")[0], encoding="utf-8")
    assert "has no [audit.archive]" in command(*search).sentence


def archived(command: Command, settings: Path) -> list[str]:
    """The months that `audit archive` moved now."""
    return [line.partition(":")[0] for line in command("audit", "archive", "--settings", settings).out.splitlines()]


HELD_PERSON = ("--ssin", SSIN, "--from", f"{month(8):%Y-%m-%d}", "--until", f"{month(8):%Y-%m-%d}")
HELD_TIME = ("--from", f"{month(8):%Y-%m-%d}", "--until", f"{month(8):%Y-%m-%d}")


@pytest.mark.parametrize("what", [HELD_PERSON, HELD_TIME], ids=["person", "time"])
def test_sec_75_a_month_under_a_hold_stays_online_until_it_is_released(
    settings: Path, command: Command, what: tuple[str, ...]
) -> None:
    """A hold by person or time keeps its months in the database, by later keys too; the others go (SEC-75)."""
    done = command("audit", "hold", "add", "--settings", settings, "--reason", "case 7", "--operator", "judge", *what)
    assert (done.exit_code, done.out) == (0, "hold 1 is placed\n")
    command("audit", "make-keys", settings.parent / "audit-keys.toml", "--id", "later")
    assert archived(command, settings) == [f"{month(ago):%Y-%m}" for ago in (9, 7)]
    assert command("audit", "verify", "--settings", settings).exit_code == 0
    listed = command("audit", "hold", "list", "--settings", settings).out
    assert listed.startswith("1  holds  ")
    assert "case 7  by judge" in listed
    assert SSIN not in listed
    assert command("audit", "hold", "release", 1, "--settings", settings).exit_code == 0
    assert "there is no hold 1" in command("audit", "hold", "release", 1, "--settings", settings).sentence
    assert archived(command, settings) == [f"{month(8):%Y-%m}"]
    assert command("audit", "verify", "--settings", settings).exit_code == 0
    found = command("audit", "search", "--settings", settings, "--format", "json").out
    operations = [record["operation"] for record in json.loads(found)]
    assert [one for one in operations if one in {"auditHold", "auditRelease"}] == ["auditHold", "auditRelease"]


def test_sec_75_another_person_s_hold_holds_nothing(settings: Path, command: Command) -> None:
    """A hold on somebody of whom there is no record keeps no month (SEC-75)."""
    command("audit", "hold", "add", "--settings", settings, "--reason", "case 7", "--ssin", "17073003384")
    assert len(archived(command, settings)) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--reason", "x"), "give --ssin, --from or --until"), (("--reason", " ", "--from", "2026-01-01"), "--reason")],
)
def test_sec_75_a_hold_says_what_and_why(
    settings: Path, command: Command, arguments: tuple[str, ...], words: str
) -> None:
    """A hold on everything, or for no reason, is refused in a sentence (SEC-75)."""
    assert words in command("audit", "hold", "add", "--settings", settings, *arguments).sentence
    assert command("audit", "hold", "list", "--settings", settings).exit_code == 1


def test_sec_75_files_are_deleted_after_ten_years_unless_they_are_held(
    settings: Path, command: Command, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose time is over goes, recorded with its digest; one with a held record stays (SEC-75)."""
    assert len(archived(command, settings)) == 3
    files = settings.parent / "archive"
    assert command("audit", "expire", "--settings", settings).exit_code == 1
    monkeypatch.setattr(archiving, "KEPT_YEARS", 0)
    command("audit", "hold", "add", "--settings", settings, "--reason", "case 7", *HELD_PERSON)
    done = command("audit", "expire", "--settings", settings)
    gone = [f"audit-{month(ago):%Y-%m}.jsonl" for ago in (9, 7)]
    assert done.out.splitlines() == [f"{name} is deleted" for name in gone]
    kept = f"audit-{month(8):%Y-%m}.jsonl"
    assert {path.name for path in files.iterdir()} == {kept, f"{kept}.sig"}
    assert command("audit", "verify", "--settings", settings).exit_code == 0
    with psycopg.connect(fresh_database) as connection:
        digests = {digest.hex() for (digest,) in connection.execute("SELECT digest FROM audit_archive").fetchall()}
        contents = connection.execute("SELECT content FROM audit_record WHERE content LIKE '%auditExpiry%'").fetchall()
    assert {read_record(content.encode("utf-8")).response_digest for (content,) in contents} < digests
    assert len(contents) == 2
    command("audit", "hold", "release", 1, "--settings", settings)
    assert command("audit", "expire", "--settings", settings).out == f"{kept} is deleted\n"
    assert command("audit", "expire", "--settings", settings).exit_code == 1


def test_sec_77_a_key_that_others_may_read_signs_nothing(settings: Path, command: Command) -> None:
    """The archive key is its owner's alone, is never written over, and is a key of its kind (SEC-77)."""
    key = settings.parent / "archive.key.pem"
    assert "is there already" in command("audit", "make-archive-key", key).sentence
    key.chmod(0o640)
    assert "open to other accounts" in command("audit", "archive", "--settings", settings).sentence
    key.chmod(0o600)
    key.write_bytes(b"no key")
    assert "not a key of" in command("audit", "archive", "--settings", settings).sentence


def test_sec_75_whole_months_stay_online() -> None:
    """Of six months, the sixth before the current one is the first that stays, whatever the day (SEC-75)."""
    assert first_online(datetime(2026, 3, 31, tzinfo=UTC), 6).date() == date(2025, 9, 1)
    assert first_online(datetime(2026, 1, 1, tzinfo=UTC), 1).date() == date(2025, 12, 1)
    assert first_online(datetime(2026, 12, 1, tzinfo=UTC), 12).date() == date(2025, 12, 1)
