"""Whatever is done to the journal behind its back is found, and named with its place (SEC-72, TV-117 to TV-124)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.domain.period import timestamp
from cbss_inscription.governance.audit_export import verify_export, write_line
from cbss_inscription.governance.chain import CHAIN_START, MerkleTree, chain_hash, read_statement, seal_statement
from cbss_inscription.governance.journal import (
    AuditedOutcome,
    AuditKeys,
    AuditRecord,
    canonical,
    new_audit_keys,
    read_audit_keys,
    read_record,
    record_hash,
)
from cbss_inscription.governance.timestamps import TimestampTrust, request_for
from cbss_inscription.governance.verification import FindingKind, JournalVerifier
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.sandbox.timestamping import TimeStampAuthority
from cbss_inscription.storage.chain import link_records, seal_links, write_records
from cbss_inscription.storage.journal_reading import export_lines, verify_journal

Connection = psycopg.Connection[tuple[Any, ...]]
BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
PKI = TestPki.generate(environment="LOCAL", now=BEGAN)
TRUST = TimestampTrust.of_pem(PKI.timestamp_root.certificate_pem, origin="ca")
KEYS: AuditKeys = read_audit_keys(new_audit_keys("one"), origin="keys")
RECORDS = 7
"""The first three are under one seal, the next three under another, the last under none yet."""
SSINS = ("85073003328", "17073003384")
K = FindingKind


def stamp(statement: str, *, at: datetime | None = None) -> bytes:
    moment = at or datetime.fromisoformat(read_statement(statement).sealed_at)
    return TimeStampAuthority(PKI.timestamp_authority, clock=lambda: moment).answer(request_for(statement).as_bytes())


def record(number: int, **said: Any) -> tuple[datetime, AuditRecord]:
    ticket, at = uuid4(), BEGAN + timedelta(seconds=number)
    values: dict[str, Any] = {
        "ticket_cbss": str(ticket),
        "timestamp_receive": timestamp(at),
        "timestamp_reply": timestamp(at + timedelta(milliseconds=20)),
        "service": "CBSSInscription",
        "operation": "consultInscriptions",
        "persons": (KEYS.seal(SSINS[number % 2], ticket, asked=True),),
        "outcome": AuditedOutcome(value="DATA_FOUND"),
    }
    return at, AuditRecord(**(values | said))


@pytest.fixture(scope="module")
def journal(make_database: Callable[[str], str]) -> Iterator[Connection]:
    """A journal with two seals, as the service makes it."""
    with psycopg.connect(make_database("template"), autocommit=True) as connection:
        for numbers in (range(3), range(3, 6), range(6, RECORDS)):
            write_records(connection, [record(number) for number in numbers])
            link_records(connection)
            if len(numbers) == 3:
                seal_links(connection, stamp, now=BEGAN + timedelta(seconds=numbers[-1] + 1))
        yield connection


@pytest.fixture
def connection(journal: Connection) -> Iterator[Connection]:
    """The same journal in a transaction that is undone, and in which nothing is append-only."""
    with journal.transaction(force_rollback=True):
        journal.execute("SET LOCAL session_replication_role = replica")
        yield journal


def found(connection: Connection) -> list[tuple[FindingKind, str]]:
    verifier = verify_journal(connection, trust=TRUST, keys=KEYS)
    assert verifier.finding_count == len(verifier.findings)
    return [(finding.kind, finding.place) for finding in verifier.findings]


def ticket_of(connection: Connection, number: int) -> UUID:
    row = connection.execute("SELECT ticket_cbss FROM audit_link WHERE sequence_number = %s", (number,)).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def content_of(connection: Connection, ticket: UUID) -> str:
    row = connection.execute("SELECT content FROM audit_record WHERE ticket_cbss = %s", (ticket,)).fetchone()
    assert row is not None
    return str(row[0])


def change(connection: Connection, number: int, **said: Any) -> None:
    """Writes other values into a record, in its canonical form."""
    ticket = ticket_of(connection, number)
    former = read_record(content_of(connection, ticket).encode("utf-8"))
    values = {name: getattr(former, name) for name in former.__struct_fields__} | said
    text = canonical(AuditRecord(**values)).decode("utf-8")
    connection.execute("UPDATE audit_record SET content = %s WHERE ticket_cbss = %s", (text, ticket))


def test_sec_72_a_journal_that_was_left_alone_is_what_it_was(connection: Connection) -> None:
    """Every record, seal and time stamp is read, and nothing is found (SEC-72)."""
    verifier = verify_journal(connection, trust=TRUST, keys=KEYS)
    assert verifier.findings == []
    assert (verifier.record_count, verifier.seal_count, verifier.stamp_count) == (RECORDS, 2, 2)
    assert (verifier.sealed_through, verifier.unsealed_count) == (6, 1)


LATELY = BEGAN + timedelta(seconds=4)
"""When the record was received that link 5 is of, the second under the second seal."""


@pytest.mark.parametrize(
    ("done", "findings"),
    [
        ("SELECT", []),
        ("UPDATE audit_record SET content = '{}' WHERE ticket_cbss = %(early)s", []),
        ("DELETE FROM audit_person WHERE ticket_cbss = %(early)s", []),
        ("DELETE FROM audit_record WHERE ticket_cbss = %(late)s", [(K.MISSING_RECORD, "link 5")]),
        ("UPDATE audit_seal SET token = NULL WHERE last_sequence_number = 3", [(K.MISSING_STAMP, "seal 1-3")]),
        ("DELETE FROM audit_seal WHERE last_sequence_number = 3", [(K.MISSING_SEAL, "link 3")]),
        (
            "UPDATE audit_seal SET statement = '{}' WHERE last_sequence_number = 3",
            [(K.BROKEN_SEAL, "seal that ends with 3")],
        ),
        ("UPDATE audit_link SET chain_hash = sha256('') WHERE sequence_number = 3", [(K.BROKEN_SEAL, "seal 1-3")]),
        (
            "UPDATE audit_link SET ticket_cbss = gen_random_uuid() WHERE sequence_number = 7",
            [(K.MISSING_RECORD, "link 7")],
        ),
    ],
)
def test_sec_72_what_was_received_from_a_time_on_is_verified_alone(
    connection: Connection, done: str, findings: list[tuple[FindingKind, str]]
) -> None:
    """From the seal on that covers it, and after the seal before that, which is held against its time stamp and the
    chain: what was done to anything earlier only a verification of all tells (SEC-72).
    """
    connection.execute(done, {"early": ticket_of(connection, 2), "late": ticket_of(connection, 5)})  # type: ignore[arg-type]
    verifier = verify_journal(connection, trust=TRUST, keys=KEYS, since=LATELY)
    assert (verifier.first_sequence_number, verifier.record_count) == (4, RECORDS - 3)
    said = [(one.kind, one.place) for one in verifier.findings if one.kind not in {K.WRONG_INDEX, K.UNCHAINED_RECORD}]
    assert said[: len(findings)] == findings
    assert bool(verifier.findings) is bool(findings)


def test_sec_72_what_was_put_in_since_a_time_is_named(connection: Connection) -> None:
    """A record that was never chained is named when it is of the time that is verified (SEC-72)."""
    for at, count in ((BEGAN, 0), (LATELY, 1)):
        connection.execute(
            "INSERT INTO audit_record (received_at, ticket_cbss, record_number, content) VALUES (%s, %s, 1, '{}')",
            (at, uuid4()),
        )
        findings = verify_journal(connection, trust=TRUST, keys=KEYS, since=LATELY).findings
        assert [finding.kind for finding in findings].count(K.UNCHAINED_RECORD) == count


def test_sec_72_a_time_of_which_nothing_is_chained_cannot_be_verified(connection: Connection) -> None:
    """It is said in a sentence: of nothing, nothing can be said (SEC-72)."""
    with pytest.raises(UsageError, match="nothing was received in this time, or it is not chained yet"):
        verify_journal(connection, trust=TRUST, keys=KEYS, since=datetime(2999, 1, 1, tzinfo=UTC))


def test_tv_117_a_changed_field_is_found(connection: Connection) -> None:
    """Another word in a record, whether it is sealed yet or not: that record is named (SEC-72, TV-117)."""
    change(connection, 2, legal_context="ANOTHER:CONTEXT")
    change(connection, 7, application_urn="urn:somebody:else")
    assert found(connection) == [(K.CHANGED_RECORD, "link 2"), (K.CHANGED_RECORD, "link 7")]


def test_tv_117_a_changed_column_is_found(connection: Connection) -> None:
    """A record put under another ticket or time than its own is not found by its link any more (SEC-72, TV-117)."""
    ticket = ticket_of(connection, 2)
    connection.execute("UPDATE audit_record SET ticket_cbss = %s WHERE ticket_cbss = %s", (UUID(int=1), ticket))
    connection.execute("UPDATE audit_link SET ticket_cbss = %s WHERE ticket_cbss = %s", (UUID(int=1), ticket))
    assert found(connection)[0] == (K.MISPLACED_RECORD, "link 2")


def test_tv_117_a_changed_record_and_link_are_found(connection: Connection) -> None:
    """Whoever makes the link anew too breaks the next; whoever makes all of them anew breaks the seal (TV-117)."""
    change(connection, 2, legal_context="ANOTHER:CONTEXT")
    text = content_of(connection, ticket_of(connection, 2)).encode("utf-8")
    connection.execute("UPDATE audit_link SET record_hash = %s WHERE sequence_number = 2", (record_hash(text),))
    assert found(connection) == [(K.BROKEN_LINK, "link 2"), (K.BROKEN_SEAL, "seal 1-3")]
    make_links_anew(connection)
    assert found(connection) == [(K.BROKEN_SEAL, "seal 1-3"), (K.BROKEN_SEAL, "seal 4-6")]


def make_links_anew(connection: Connection) -> None:
    former = CHAIN_START
    for number, of_record in connection.execute(
        "SELECT sequence_number, record_hash FROM audit_link ORDER BY sequence_number"
    ).fetchall():
        former = chain_hash(former, number, of_record)
        connection.execute("UPDATE audit_link SET chain_hash = %s WHERE sequence_number = %s", (former, number))
    connection.execute("UPDATE audit_chain SET chain_hash = %s", (former,))


def test_tv_122_seals_made_anew_lack_the_authority_s_word(connection: Connection) -> None:
    """Whoever makes links and seals anew cannot make the time stamps: old or foreign ones are refused (TV-122)."""
    change(connection, 2, legal_context="ANOTHER:CONTEXT")
    text = content_of(connection, ticket_of(connection, 2)).encode("utf-8")
    connection.execute("UPDATE audit_link SET record_hash = %s WHERE sequence_number = 2", (record_hash(text),))
    make_links_anew(connection)
    links = connection.execute("SELECT record_hash, chain_hash FROM audit_link ORDER BY sequence_number").fetchall()
    for first, last in ((1, 3), (4, 6)):
        tree = MerkleTree()
        for of_record, _ in links[first - 1 : last]:
            tree.append(of_record)
        statement = seal_statement(
            first_sequence_number=first,
            last_sequence_number=last,
            last_chain_hash=links[last - 1][1],
            root=tree.root,
            sealed_at=BEGAN + timedelta(seconds=last),
        )
        connection.execute("UPDATE audit_seal SET statement = %s WHERE first_sequence_number = %s", (statement, first))
    assert found(connection) == [(K.REFUSED_STAMP, "seal 1-3"), (K.REFUSED_STAMP, "seal 4-6")]
    connection.execute("UPDATE audit_seal SET token = NULL")
    assert found(connection) == [(K.MISSING_STAMP, "seal 1-3"), (K.MISSING_STAMP, "seal 4-6")]


def test_tv_118_a_deleted_row_is_found(connection: Connection) -> None:
    """A record that is gone, with its link or without, is named by its number (SEC-72, TV-118)."""
    ticket = ticket_of(connection, 5)
    connection.execute("DELETE FROM audit_record WHERE ticket_cbss = %s", (ticket,))
    assert found(connection) == [(K.MISSING_RECORD, "link 5"), (K.WRONG_INDEX, f"record {ticket}")]
    connection.execute("DELETE FROM audit_person WHERE ticket_cbss = %s", (ticket,))
    connection.execute("DELETE FROM audit_link WHERE sequence_number = 5")
    assert found(connection) == [(K.MISSING_LINK, "link 5"), (K.BROKEN_SEAL, "seal 4-6")]


def test_tv_118_a_deleted_seal_is_found(connection: Connection) -> None:
    """A seal that is gone leaves links between two seals uncovered (SEC-72, TV-118)."""
    connection.execute("DELETE FROM audit_seal WHERE first_sequence_number = 1")
    assert (K.MISSING_SEAL, "link 1-3") in found(connection)


def test_tv_119_an_inserted_row_is_found(connection: Connection) -> None:
    """A record put in among those that were chained is in no link; a link put in breaks the chain (SEC-72, TV-119)."""
    at, inserted = record(2)
    write_records(connection, [(at, inserted)])
    connection.execute(
        "UPDATE audit_record SET record_number = 2 WHERE ticket_cbss = %s", (UUID(inserted.ticket_cbss),)
    )
    assert found(connection) == [(K.UNCHAINED_RECORD, f"record {inserted.ticket_cbss}")]
    connection.execute("UPDATE audit_link SET sequence_number = sequence_number + 1000 WHERE sequence_number > 2")
    connection.execute("UPDATE audit_link SET sequence_number = sequence_number - 999 WHERE sequence_number > 1000")
    connection.execute(
        "INSERT INTO audit_link (sequence_number, received_at, ticket_cbss, record_hash, chain_hash)"
        " SELECT 3, %s, %s, %s, chain_hash FROM audit_link WHERE sequence_number = 2",
        (at, UUID(inserted.ticket_cbss), record_hash(canonical(inserted))),
    )
    assert found(connection)[:2] == [(K.BROKEN_LINK, "link 3"), (K.BROKEN_SEAL, "seal 1-3")]


def test_tv_120_swapped_rows_are_found(connection: Connection) -> None:
    """Two records or two links that changed places are named, both (SEC-72, TV-120)."""
    first, second = ticket_of(connection, 4), ticket_of(connection, 5)
    swap = "UPDATE {} SET {} = CASE WHEN ticket_cbss = %s THEN %s ELSE %s END WHERE ticket_cbss IN (%s, %s)"
    texts = content_of(connection, second), content_of(connection, first)
    connection.execute(swap.format("audit_record", "content"), (first, *texts, first, second))  # type: ignore[arg-type]
    assert [one for one in found(connection) if one[0] is K.CHANGED_RECORD] == [
        (K.CHANGED_RECORD, "link 4"),
        (K.CHANGED_RECORD, "link 5"),
    ]
    connection.execute(swap.format("audit_record", "content"), (first, *texts[::-1], first, second))  # type: ignore[arg-type]
    connection.execute(
        "UPDATE audit_link SET sequence_number = 9 - sequence_number + 100 WHERE sequence_number IN (4, 5)"
    )
    connection.execute("UPDATE audit_link SET sequence_number = sequence_number - 100 WHERE sequence_number > 100")
    assert found(connection)[:2] == [(K.BROKEN_LINK, "link 4"), (K.BROKEN_LINK, "link 5")]


@pytest.mark.parametrize("also", ["", "UPDATE audit_chain SET sequence_number = 5"])
def test_tv_121_a_truncated_tail_is_found(connection: Connection, also: str) -> None:
    """Links removed from the end are known to the state of the chain, and to the seals (SEC-72, TV-121)."""
    for table in ("audit_record", "audit_person", "audit_link"):
        connection.execute(
            f"DELETE FROM {table} WHERE ticket_cbss IN (%s, %s)", (ticket_of(connection, 6), ticket_of(connection, 7))
        ) if table != "audit_link" else connection.execute("DELETE FROM audit_link WHERE sequence_number > 5")
    if also:
        connection.execute(also)  # type: ignore[arg-type]  # a test's own words
    kinds = found(connection)
    assert (K.BROKEN_SEAL, "seal 4-6") in kinds
    assert kinds[-1] == (K.TRUNCATED, "link 6" if also else "link 6-7")


def test_tv_121_an_unsealed_tail_is_found(connection: Connection) -> None:
    """The last link, under no seal yet, is missed by the state of the chain (SEC-72, TV-121)."""
    ticket = ticket_of(connection, 7)
    connection.execute("DELETE FROM audit_link WHERE sequence_number = 7")
    connection.execute("DELETE FROM audit_record WHERE ticket_cbss = %s", (ticket,))
    connection.execute("DELETE FROM audit_person WHERE ticket_cbss = %s", (ticket,))
    assert found(connection) == [(K.TRUNCATED, "link 7")]


def test_tv_122_a_wrong_time_stamp_is_found(connection: Connection) -> None:
    """The time stamp of another seal is not this one's (SEC-72, TV-122)."""
    connection.execute(
        "UPDATE audit_seal SET token = (SELECT token FROM audit_seal WHERE first_sequence_number = 1)"
        " WHERE first_sequence_number = 4"
    )
    assert found(connection) == [(K.REFUSED_STAMP, "seal 4-6")]


def test_tv_123_an_exchanged_number_is_found(connection: Connection) -> None:
    """A number sealed anew, by another key, of another person or for another ticket, is found (SEC-72, TV-123)."""
    ticket = ticket_of(connection, 2)
    other = KEYS.seal(SSINS[0], ticket, asked=True)
    former = read_record(content_of(connection, ticket).encode("utf-8")).persons[0]
    mixed = type(former)(asked=True, key=former.key, hash=former.hash, sealed=other.sealed)
    change(connection, 2, persons=(mixed,))
    assert found(connection) == [(K.CHANGED_RECORD, "link 2"), (K.EXCHANGED_NUMBER, "link 2")]
    change(connection, 2, persons=(KEYS.seal(SSINS[0], UUID(int=5), asked=True),))
    assert (K.EXCHANGED_NUMBER, "link 2") in found(connection)
    both = new_audit_keys("two", former=new_audit_keys("one"))
    anew = read_audit_keys(both, origin="keys").seal(SSINS[1], ticket, asked=True)
    change(connection, 2, persons=(anew,))
    assert found(connection) == [(K.CHANGED_RECORD, "link 2"), (K.WRONG_INDEX, f"record {ticket}")]
    change(connection, 2, persons=(other,))
    assert found(connection) == [(K.CHANGED_RECORD, "link 2"), (K.WRONG_INDEX, f"record {ticket}")]


def test_tv_123_a_record_that_its_person_does_not_find_is_found(connection: Connection) -> None:
    """A search by person that would miss a record, or show a foreign one, is named (SEC-75, TV-123)."""
    first, second = ticket_of(connection, 1), ticket_of(connection, 7)
    connection.execute("DELETE FROM audit_person WHERE ticket_cbss = %s", (first,))
    connection.execute("UPDATE audit_person SET person_hash = %s WHERE ticket_cbss = %s", (b"x" * 16, second))
    assert sorted(found(connection)) == sorted([(K.WRONG_INDEX, f"record {one}") for one in (first, second)])


def test_tv_124_a_clock_that_went_back_is_found(connection: Connection) -> None:
    """Times that contradict each other or the authority's: in a record, of neighbours, of seals (SEC-72, TV-124)."""
    an_hour = timedelta(hours=1)
    late = [
        record(7, timestamp_reply=timestamp(BEGAN)),
        record(8, timestamp_reply=timestamp(BEGAN + an_hour)),
        record(9),
    ]
    write_records(connection, late)
    link_records(connection)
    assert found(connection) == [(K.CLOCK_WENT_BACK, "link 8"), (K.CLOCK_WENT_BACK, "link 10")]
    seal_links(connection, stamp, now=BEGAN + timedelta(seconds=1))
    assert found(connection)[-1] == (K.CLOCK_WENT_BACK, "seal 7-10")


def test_tv_124_a_seal_that_the_authority_dates_otherwise_is_found(connection: Connection) -> None:
    """A time stamp long after or before what the seal says of itself: our clock was wrong (SEC-72, TV-124)."""
    seal_links(connection, lambda text: stamp(text, at=BEGAN + timedelta(hours=1)), now=BEGAN + timedelta(seconds=9))
    assert found(connection) == [(K.CLOCK_WENT_BACK, "seal 7")]


def test_sec_72_a_record_that_is_none_is_found(connection: Connection) -> None:
    """A text in the journal that is no record, chained as it is, is named (SEC-72)."""
    connection.execute(
        "INSERT INTO audit_record (received_at, ticket_cbss, record_number, content)"
        " VALUES (%s, %s, nextval('audit_record_number'), '{}')",
        (BEGAN, uuid4()),
    )
    link_records(connection)
    assert found(connection) == [(K.UNREADABLE_RECORD, "link 8")]


# -- an exported file --------------------------------------------------------------------------------------------------


@pytest.fixture
def lines(connection: Connection) -> list[bytes]:
    """The whole journal as an exported file."""
    return [write_line(line) for line in export_lines(connection, since=None, until=None, now=BEGAN)]


def verified(lines: list[bytes]) -> JournalVerifier:
    return verify_export(lines, trust=TRUST, keys=KEYS, origin="file")


def named(lines: list[bytes]) -> list[tuple[FindingKind, str]]:
    return [(finding.kind, finding.place) for finding in verified(lines).findings]


def with_values(line: bytes, **values: Any) -> bytes:
    return json.dumps(json.loads(line) | values).encode() + b"\n"


def test_sec_72_an_exported_file_proves_itself(lines: list[bytes]) -> None:
    """Manifest, records and seals are verified from the file alone, without service or database (SEC-72)."""
    verifier = verified(lines)
    assert verifier.findings == []
    assert (verifier.record_count, verifier.seal_count, verifier.stamp_count) == (RECORDS, 2, 2)
    assert not any(ssin.encode() in line for line in lines for ssin in SSINS)


def test_sec_72_a_part_is_exported_with_whole_seals(connection: Connection) -> None:
    """A time is extended to the seals around it, begins with the chain's hash before it, and verifies (SEC-72)."""
    at = BEGAN + timedelta(seconds=4)
    part = [write_line(line) for line in export_lines(connection, since=at, until=at + timedelta(seconds=1), now=BEGAN)]
    verifier = verified(part)
    assert (verifier.findings, verifier.record_count, verifier.seal_count) == ([], 3, 1)
    with pytest.raises(UsageError, match="nothing was received"):
        list(export_lines(connection, since=BEGAN + timedelta(days=1), until=None, now=BEGAN))


def test_tv_117_to_124_whatever_is_done_to_an_exported_file_is_found(lines: list[bytes]) -> None:
    """Changed, deleted, inserted, swapped, truncated, with a wrong time stamp: each is named (TV-117 to TV-122)."""
    # manifest, records 1 to 3, seal, records 4 to 6, seal, record 7
    changed = json.loads(lines[2])["record"].replace("DATA_FOUND", "DATA_FOUNT")
    assert named([*lines[:2], with_values(lines[2], record=changed), *lines[3:]]) == [(K.CHANGED_RECORD, "link 2")]
    rehashed = with_values(lines[2], record=changed, record_hash=record_hash(changed.encode()).hex())
    assert named([*lines[:2], rehashed, *lines[3:]])[0] == (K.BROKEN_LINK, "link 2")
    assert named([*lines[:2], *lines[3:]])[0] == (K.MISSING_LINK, "link 2")
    assert named([*lines[:3], lines[2], *lines[3:]]) == [(K.REPEATED_RECORD, "link 2")]
    assert named([lines[0], lines[2], lines[1], *lines[3:]])[0] == (K.MISSING_LINK, "link 1")
    assert named(lines[:-1]) == [(K.TRUNCATED, "link 7")]
    assert (K.BROKEN_SEAL, "seal 4-6") in named([*lines[:7], *lines[8:]])
    token = json.loads(lines[4])["token"]
    assert named([*lines[:8], with_values(lines[8], token=token), lines[9]]) == [(K.REFUSED_STAMP, "seal 4-6")]
    assert named([*lines[:4], *lines[5:]])[0] == (K.MISSING_SEAL, "link 1-3")
    assert (K.MISSING_SEAL, "the file") in named([line for line in lines if b'"type":"seal"' not in line])


def test_sec_72_another_beginning_is_found(lines: list[bytes]) -> None:
    """A file that begins elsewhere than the chain did does not fit its first link (SEC-72)."""
    assert named([with_values(lines[0], former_chain_hash="00" * 32), *lines[1:]]) == [(K.BROKEN_LINK, "link 1")]


@pytest.mark.parametrize(
    "broken",
    [
        [],
        [b"\n"],
        [b"x\n"],
        [b'{"type":"other"}\n'],
        [b"1" * 5_000_000],
    ],
    ids=["empty", "blank", "no-json", "other", "long"],
)
def test_sec_72_what_is_no_exported_file_is_refused(broken: list[bytes]) -> None:
    """A file of anything else is refused in a sentence that names the line (SEC-72)."""
    with pytest.raises(UsageError, match=r"\Afile"):
        verified(broken)


def test_sec_72_lines_out_of_their_form_are_refused(lines: list[bytes]) -> None:
    """A second manifest, none at first, a digest or token that is none: the line is named (SEC-72)."""
    for broken in (
        lines[1:],
        [lines[0], *lines],
        [lines[0], with_values(lines[1], chain_hash="x"), *lines[2:]],
        [*lines[:4], with_values(lines[4], token="?"), *lines[5:]],
    ):
        with pytest.raises(UsageError, match=r"\Afile, line \d+: "):
            verified(broken)


def test_sec_72_without_a_root_time_stamps_are_not_looked_at(lines: list[bytes]) -> None:
    """Without a root the chain alone is verified; below another root no time stamp is believed (SEC-72)."""
    alone = verify_export(lines, trust=None, origin="file")
    assert (alone.findings, alone.stamp_count) == ([], 0)
    stranger = TestPki.generate(environment="LOCAL", now=BEGAN)
    trust = TimestampTrust.of_pem(stranger.timestamp_root.certificate_pem, origin="ca")
    findings = verify_export(lines, trust=trust, origin="file").findings
    assert [finding.kind for finding in findings] == [K.REFUSED_STAMP, K.REFUSED_STAMP]
