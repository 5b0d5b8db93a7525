"""The record of governance in the database: it only grows, and needs two (SEC-57)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest

from cbss_inscription.app.reloading import GovernedRules
from cbss_inscription.domain.errors import TemporarilyUnavailable, UsageError
from cbss_inscription.governance.access import AccessRule
from cbss_inscription.governance.entries import EntryKey, EntryKind
from cbss_inscription.governance.four_eyes import RecordedDecision, RecordedProposal, RefusalReason, Refused, replay
from cbss_inscription.sandbox.demonstration import demo_access_rules
from cbss_inscription.storage.governance import StoredRecord
from tests.governing import AN, BEN, Office

RULE = demo_access_rules().access_rules[0]


def rule(dossier: str = RULE.dossier, *, remarks: str | None = None) -> AccessRule:
    return msgspec.structs.replace(RULE, dossier=dossier, remarks=remarks)


def tampered(conninfo: str, statement: str, *parameters: Any) -> None:
    """Nothing; the statement is done as by somebody who may do everything: no trigger and no key looks."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(statement, parameters)


@pytest.fixture
def database(module_database: str) -> str:
    """A database without a record."""
    tampered(module_database, "TRUNCATE governance_proposal, governance_decision")
    return module_database


@pytest.fixture
def office(database: str) -> Office:
    """A register with one access rule."""
    return Office.begun(database, rule())


# -- what the database refuses by itself -------------------------------------------------------------------------------

CHANGES = [
    "UPDATE governance_proposal SET proposed_by = proposed_by",
    "DELETE FROM governance_proposal",
    "UPDATE governance_decision SET decided_by = decided_by",
    "DELETE FROM governance_decision",
    "TRUNCATE governance_proposal, governance_decision",
]


@pytest.mark.parametrize("statement", CHANGES)
def test_sec_57_the_record_only_grows(office: Office, statement: str) -> None:
    """No row is changed or removed: the database refuses it to everybody who is not its owner's owner (SEC-57)."""
    with (
        psycopg.connect(office.conninfo) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="is append-only"),
    ):
        connection.execute(statement)


INSERT = """
INSERT INTO governance_decision (proposal_number, proposed_by, decided_by, version, content, signature)
VALUES (2, %(proposed_by)s, %(decided_by)s, %(version)s,
        jsonb_build_object('decided_by', %(signer)s::text, 'verdict', %(verdict)s::text)::text,
        decode(repeat('00', 64), 'hex'))
"""
HONEST = {"proposed_by": "an", "decided_by": "ben", "signer": "ben", "version": 2, "verdict": "approved"}


@pytest.mark.parametrize(
    ("changes", "error", "constraint"),
    [
        ({"decided_by": "an", "signer": "an"}, psycopg.errors.CheckViolation, "four_eyes"),
        ({"proposed_by": "cleo"}, psycopg.errors.ForeignKeyViolation, "proposal_number_proposed_by"),
        (
            {"proposed_by": "cleo", "decided_by": "an", "signer": "an"},
            psycopg.errors.ForeignKeyViolation,
            "proposed_by",
        ),
        ({"decided_by": "cleo"}, psycopg.errors.CheckViolation, "check"),
        ({"version": 3}, psycopg.errors.ForeignKeyViolation, "previous_version"),
        ({"version": 1}, psycopg.errors.UniqueViolation, "version"),
        ({"version": None}, psycopg.errors.CheckViolation, "check"),
        ({"verdict": "rejected"}, psycopg.errors.CheckViolation, "check"),
    ],
    ids=str,
)
def test_sec_57_the_database_itself_wants_two_and_the_next_version(
    office: Office, changes: dict[str, Any], error: type[psycopg.Error], constraint: str
) -> None:
    """Written past the program: the proposer's own decision, a false proposer, a version out of turn (SEC-57)."""
    assert isinstance(office.propose(rule(remarks="x")), RecordedProposal)
    with psycopg.connect(office.conninfo) as connection:
        with pytest.raises(error) as refused:
            connection.execute(INSERT, HONEST | changes)
        assert constraint in str(refused.value.diag.constraint_name)
        connection.rollback()
        connection.execute(INSERT, HONEST)
        with pytest.raises(psycopg.errors.UniqueViolation, match="governance_decision_pkey"):
            connection.execute(INSERT, HONEST | {"version": 3})
        connection.rollback()


# -- operators at once -------------------------------------------------------------------------------------------------


def at_once(*works: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(work) for work in works]]


def test_sec_57_approvals_at_once_follow_each_other(office: Office) -> None:
    """Of proposals that are approved at once, each makes a version of its own, without gaps (SEC-57)."""
    proposed = at_once(*(lambda name=name: office.propose(rule(name)) for name in "abcd"))  # type: ignore[misc]
    assert sorted(item.number for item in proposed) == [2, 3, 4, 5]
    decided = at_once(*(lambda item=item: office.approve(item.number) for item in proposed))  # type: ignore[misc]
    assert sorted(item.version for item in decided) == [2, 3, 4, 5]
    state = replay(office.record.read(), anchor=office.anchor)
    assert {key.name for key in state.entries} >= set("abcd")


def test_sec_57_two_approvals_of_one_proposal_are_one(office: Office) -> None:
    """Whoever comes second is told that it is decided (SEC-57)."""
    assert isinstance(office.propose(rule("a")), RecordedProposal)
    outcomes = at_once(*(lambda: office.approve(2) for _ in range(3)))
    assert sum(isinstance(item, RecordedDecision) for item in outcomes) == 1
    assert [item.reason for item in outcomes if isinstance(item, Refused)] == [RefusalReason.DECIDED] * 2


def test_sec_57_of_two_changes_of_one_entry_one_is_stale(office: Office) -> None:
    """Approved at once, one is in force and the other refused (SEC-57)."""
    for remarks in ("a", "b"):
        assert isinstance(office.propose(rule(remarks=remarks)), RecordedProposal)
    outcomes = at_once(lambda: office.approve(2), lambda: office.approve(3))
    assert sorted(type(item).__name__ for item in outcomes) == ["RecordedDecision", "Refused"]


def test_sec_57_a_register_begins_once(database: str) -> None:
    """Of two beginnings at once one is the register's (SEC-57)."""

    def begin() -> object:
        try:
            return Office.begun(database)
        except AssertionError as refused:
            return refused.args[0]

    outcomes = at_once(begin, begin)
    assert sum(isinstance(item, Office) for item in outcomes) == 1


# -- what a worker has in force ----------------------------------------------------------------------------------------


class Told:
    """An `app.reloading.ReloadLog` that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def reloaded(self, *, what: str, digest: str) -> None:
        """See `ReloadLog.reloaded`."""
        self.lines.append(("reloaded", what, digest))

    def reload_failed(self, *, what: str, reason: str) -> None:
        """See `ReloadLog.reload_failed`."""
        self.lines.append(("failed", what, reason))

    def found_ending(self, **_said: object) -> None:
        """See `ReloadLog.found_ending`."""


@pytest.fixture
def worker(office: Office) -> tuple[GovernedRules, Told]:
    """What a worker has of it, and what it logs."""
    told = Told()
    return GovernedRules(office.settings, log=told), told


Worker = tuple[GovernedRules, Told]


def test_sec_57_a_worker_takes_the_next_version_at_its_next_look(office: Office, worker: Worker) -> None:
    """A proposal changes nothing; an approval is in force at the next look, told once with its digest (SEC-57)."""
    rules, told = worker
    before = rules.current()
    assert before.access_rules == (rule(),)
    assert isinstance(office.propose(rule(remarks="x")), RecordedProposal)
    rules.look()
    assert rules.current() is before
    assert told.lines == []
    assert isinstance(office.approve(2), RecordedDecision)
    rules.look()
    rules.look()
    assert (rules.current().version, rules.current().access_rules) == (2, (rule(remarks="x"),))
    digest = replay(office.record.read()).digest
    assert told.lines == [("reloaded", "access rules", digest[:16])]


TAMPERINGS = {
    "a forged approval": (
        "INSERT INTO governance_decision (proposal_number, proposed_by, decided_by, version, content, signature)"
        " SELECT 3, 'an', 'ben', 3, replace(replace(content, '\"proposal\":2', '\"proposal\":3'), '\"in_force\":1',"
        " '\"in_force\":2'), signature FROM governance_decision WHERE version = 2"
    ),
    "the newest approval rewritten": (
        "UPDATE governance_decision SET content = replace(content, '\"ben\"', '\"eve\"'), decided_by = 'eve'"
        " WHERE version = 2"
    ),
    "the newest approval removed": "DELETE FROM governance_decision WHERE version = 2",
    "all of it removed": "TRUNCATE governance_decision, governance_proposal",
}


@pytest.mark.parametrize("statement", TAMPERINGS.values(), ids=TAMPERINGS)
def test_sec_57_a_record_that_was_tampered_with_keeps_the_old_rules(office: Office, statement: str) -> None:
    """What was in force stays, the log tells it once as a failure, and a worker that starts anew does not (SEC-57)."""
    office.put(rule(remarks="x"))
    told = Told()
    rules = GovernedRules(office.settings, log=told)
    assert isinstance(office.propose(rule("another")), RecordedProposal)
    tampered(office.conninfo, statement)
    for _ in range(3):
        rules.look()
    assert (rules.current().version, rules.current().access_rules) == (2, (rule(remarks="x"),))
    [(kind, what, reason)] = told.lines
    assert (kind, what) == ("failed", "access rules")
    assert "record of the register" in reason or "nothing is governed" in reason
    if not statement.startswith("DELETE"):  # that its end was cut off, only those know who saw it
        with pytest.raises(UsageError):
            GovernedRules(office.settings)


def test_sec_57_an_old_row_that_was_changed_is_noticed_at_the_next_version(office: Office) -> None:
    """The whole record is checked for each version: an approval on top of a changed row puts nothing in force."""
    told = Told()
    rules = GovernedRules(office.settings, log=told, check_again_seconds=0)
    assert isinstance(office.propose(rule("a")), RecordedProposal)
    assert isinstance(office.approve(2), RecordedDecision)
    tampered(office.conninfo, "UPDATE governance_proposal SET content = replace(content, 'begin', 'began')")
    rules.look()
    assert (rules.current().version, told.lines[0][0]) == (1, "failed")
    tampered(office.conninfo, "UPDATE governance_proposal SET content = replace(content, 'began', 'begin')")
    rules.look()
    assert (rules.current().version, told.lines[1][0]) == (2, "reloaded")


def test_sec_57_another_record_of_the_same_length_is_not_taken(office: Office, worker: Worker) -> None:
    """Whoever replaces the record by another whole one, in the same two hands, is noticed by who saw the first."""
    rules, told = worker
    tampered(office.conninfo, "TRUNCATE governance_proposal, governance_decision")
    Office.begun(office.conninfo, rule(remarks="forged"))
    rules.look()
    assert rules.current().access_rules == (rule(),)
    assert [kind for kind, *_ in told.lines] == ["failed"]


def test_sec_48_a_database_that_is_away_keeps_the_old_rules(
    office: Office, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once that it is away, and once that the rules are as they were (SEC-48, SEC-57)."""
    rules, told = worker

    def away(_self: object) -> None:
        raise TemporarilyUnavailable("database")

    with monkeypatch.context() as broken:
        broken.setattr(StoredRecord, "head", away)
        for _ in range(3):
            rules.look()
    assert rules.current().access_rules == (rule(),)
    rules.look()
    rules.look()
    assert [line[0] for line in told.lines] == ["failed", "reloaded"]
    assert told.lines[0][2] == "database"


def test_sec_48_a_log_that_cannot_be_written_keeps_no_version_from_its_force(
    office: Office, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the next version is in force at the next look, which the log is told when it can be (SEC-48)."""
    rules, told = worker

    class Full(list[tuple[str, str, str]]):
        def append(self, _: tuple[str, str, str]) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    office.put(rule(remarks="x"))
    with monkeypatch.context() as broken:
        broken.setattr(told, "lines", Full())
        rules.look()
    assert rules.current().access_rules == (rule(remarks="x"),)
    rules.look()
    rules.look()
    assert [kind for kind, *_ in told.lines] == ["reloaded"]


def test_a_database_that_does_not_answer_is_temporarily_unavailable(office: Office) -> None:
    """No such server, and the same for whoever reads or writes: status 4 of the command line."""
    nowhere = StoredRecord(psycopg.conninfo.make_conninfo(office.conninfo, host="/nowhere"))
    for work in (nowhere.read, nowhere.head, lambda: nowhere.opened().__enter__()):
        with pytest.raises(TemporarilyUnavailable):
            work()


def test_sec_57_who_proposes_and_who_approves_may_change_places(office: Office) -> None:
    """Four eyes are two people, not two offices: ben may propose, and an approve (SEC-57)."""
    proposed = office.propose(withdraw=[EntryKey(EntryKind.ACCESS_RULE, RULE.dossier)], key=BEN)
    assert isinstance(proposed, RecordedProposal)
    refused = office.approve(proposed.number)
    assert isinstance(refused, Refused)
    assert isinstance(office.approve(proposed.number, key=AN), RecordedDecision)
    assert replay(office.record.read()).access_rules().access_rules == ()
