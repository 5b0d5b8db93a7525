"""What ends is told before it does (SEC-05, SEC-44), and a list that came over a network is checked (SEC-45)."""

from __future__ import annotations

import errno
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cbss_inscription.app.reloading import EndAlarm, Reloaded
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.sandbox.pki import REVOCATION_LIST_DAYS, TestPki
from cbss_inscription.security.lifetimes import Kind, Lifetime, ending, server_lifetimes
from cbss_inscription.security.trust import CertificateRules, TrustStore, check_revocation_list

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def own():
    return TestPki.generate(environment="ACC", now=NOW)


class Kept:
    """A `ReloadLog` that keeps what it is told."""

    def __init__(self):
        self.told = []

    def reloaded(self, *, what, digest):
        self.told.append(("reloaded", what))

    def reload_failed(self, *, what, reason):
        self.told.append(("failed", reason))

    def found_ending(self, *, ending, unlisted, ended):
        self.told.append(([one.name for one in ending], list(unlisted), ended))


def lifetime(days, *, left, name="x"):
    ends = NOW + timedelta(days=left)
    return Lifetime(kind=Kind.ROOT, name=name, begins=ends - timedelta(days=days), ends=ends)


@pytest.mark.parametrize(
    ("days", "left", "is_ending"),
    [
        (3650, 31, False),
        (3650, 30, True),
        (3650, -1, True),
        (60, 21, False),
        (60, 20, True),
        (7, 2.4, False),
        (7, 2.3, True),
    ],
)
def test_sec_05_ending_is_the_last_month_or_the_last_third(days, left, is_ending):
    """Thirty days before the end of a long life, a third before that of a short one, and after it for ever."""
    assert lifetime(days, left=left).is_ending(NOW) is is_ending


def test_sec_05_the_first_to_end_comes_first():
    """Only what ends is told, in the order of its end."""
    late, soon, far = lifetime(365, left=20, name="b"), lifetime(365, left=3, name="c"), lifetime(365, left=90)
    assert ending([late, far, soon], NOW) == (soon, late)


def test_sec_05_one_line_a_day_and_one_when_it_changes():
    """The same is told once in 24 hours; something new, an end that came or a list that is missing, at once."""
    log = Kept()
    alarm = EndAlarm(log)
    month, week = lifetime(365, left=20, name="month"), lifetime(365, left=0.5, name="day")
    for minutes in range(0, 24 * 60, 60):
        alarm.look([month], unlisted=(), now=NOW + timedelta(minutes=minutes))
    assert log.told == [(["month"], [], False)]
    alarm.look([month], unlisted=(), now=NOW + DAY)
    assert len(log.told) == 2
    alarm.look([month, week], unlisted=(), now=NOW)
    alarm.look([month, week], unlisted=(), now=NOW + DAY)
    assert log.told[2:] == [(["day", "month"], [], False), (["day", "month"], [], True)]
    alarm.look([], unlisted=(), now=NOW + DAY)
    assert len(log.told) == 4
    alarm.look([], unlisted=("CN=Root",), now=NOW + DAY)
    assert log.told[-1] == ([], ["CN=Root"], True)


def test_sec_05_what_a_store_rests_on(own):
    """Root, intermediate and of several lists of one authority the newest; of a server its certificate."""
    lists = [
        own.issue_revocation_list(now=NOW - 9 * DAY),
        own.issue_revocation_list(now=NOW) + own.issue_revocation_list(now=NOW - DAY),
    ]
    store = TrustStore(authorities_pem=own.authorities_pem, environment="ACC", revocation_lists=lists)
    found = {one.kind: one.ends for one in store.lifetimes}
    assert len(store.lifetimes) == 3
    assert found[Kind.REVOCATION_LIST] == NOW + 7 * DAY
    assert found[Kind.ROOT] == own.application_root.certificate.not_valid_after_utc
    (server,) = server_lifetimes(own.server.certificate_pem)
    assert (server.kind, server.ends) == (Kind.SERVER_CERTIFICATE, own.server.certificate.not_valid_after_utc)
    with pytest.raises(UsageError):
        server_lifetimes(b"x")


def test_sec_44_authorities_without_a_list_are_named(own):
    """Where lists are required, an authority without one is named; where they are not, none is."""
    given = {"authorities_pem": own.authorities_pem, "environment": "ACC"}
    issuing = own.issue_revocation_list(now=NOW)
    (name,) = TrustStore(**given, revocation_lists=[issuing], revocation_required=True).unlisted_authorities
    assert "Root" in name
    assert TrustStore(**given).unlisted_authorities == ()


def test_sec_44_a_file_may_hold_several_lists_but_none_that_is_cut(own):
    """All lists of a PEM file count; one that breaks off spoils the file, wherever it stands."""
    issuing = own.issue_revocation_list(now=NOW)
    root = own.issue_revocation_list(now=NOW, issuer=own.application_root)
    given = {"authorities_pem": own.authorities_pem, "environment": "ACC", "revocation_required": True}
    assert TrustStore(**given, revocation_lists=[issuing + b"\n" + root]).unlisted_authorities == ()
    for cut in (b"-----", issuing + root[:-40], issuing[:-40] + root, issuing[:60] + root, b""):
        with pytest.raises(UsageError):
            TrustStore(**given, revocation_lists=[cut])


def test_sec_45_a_list_from_outside_must_be_ours_fresh_and_no_older(own):
    """Another key's, a stale, an early, an older and another authority's list are refused; the next one is taken."""
    now = NOW + DAY
    former = own.issue_revocation_list(now=NOW)
    other = TestPki.generate(environment="ACC", now=NOW)

    def check(data, *, before=former):
        check_revocation_list(data, authorities_pem=own.authorities_pem, former=before, now=now)

    check(own.issue_revocation_list(now=now))
    check(former)
    check(former, before=None)
    check(former, before=b"not a list")
    for wrong in (
        b"",
        b"<html>",
        other.issue_revocation_list(now=now),
        own.issue_revocation_list(now=NOW - 9 * DAY),
        own.issue_revocation_list(now=now + DAY),
        own.issue_revocation_list(now=NOW - DAY),
        own.issue_revocation_list(now=now, issuer=own.application_root),
    ):
        with pytest.raises(UsageError):
            check(wrong)


def test_sec_48_a_look_at_files(tmp_path):
    """Touched is not changed; written back is said; what is no number of ours is masked; a defect is only its kind."""
    file = tmp_path / "file"
    file.write_bytes(b"1")
    log = Kept()
    made = []

    def make(contents):
        made.append(contents[0])
        if contents[0] == b"bad":
            raise UsageError("85073003328 is wrong")
        if contents[0] == b"cause":
            raise UsageError("file: Peeters") from ValueError("Peeters")
        return int(contents[0])

    source = Reloaded("file", [str(file)], make, log=log, settle_seconds=0)
    file.touch()
    source.look()
    assert (made, log.told, source.current()) == ([b"1"], [], 1)
    for content in (b"bad", b"x", b"cause", b"1", b"2"):
        file.write_bytes(content)
        source.look()
        source.look()
    assert source.current() == 2
    assert log.told == [
        ("failed", "# is wrong"),
        ("failed", "ValueError"),
        ("failed", "file: ValueError"),
        ("reloaded", "file"),
        ("reloaded", "file"),
    ]
    assert made == [b"1", b"bad", b"x", b"cause", b"2"]


@pytest.mark.parametrize(("content", "value", "told"), [(b"bad", 1, "failed"), (b"2", 2, "reloaded")])
def test_sec_48_what_the_log_could_not_be_told_is_told_later(tmp_path, content, value, told):
    """While the log cannot be written a look raises nothing and does its work; what it found is told once (SEC-48)."""
    file = tmp_path / "file"
    file.write_bytes(b"1")

    class Full(Kept):
        is_full = True

        def reloaded(self, *, what, digest):
            self.write(super().reloaded, what=what, digest=digest)

        def reload_failed(self, *, what, reason):
            self.write(super().reload_failed, what=what, reason=reason)

        def write(self, tell, **said):
            if self.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            tell(**said)

    log = Full()
    source = Reloaded("file", [str(file)], lambda contents: int(contents[0]), log=log, settle_seconds=0)
    file.write_bytes(content)
    for _ in range(2):
        source.look()
    assert (source.current(), log.told) == (value, [])
    log.is_full = False
    for _ in range(2):
        source.look()
    assert [kind for kind, _ in log.told] == [told]


def test_sec_48_a_file_that_is_still_being_written_waits(tmp_path, monkeypatch):
    """While a file changes from one look to the next it is not read; the next look takes it."""
    file = tmp_path / "file"
    file.write_bytes(b"1")
    log = Kept()
    source = Reloaded("file", [str(file)], lambda contents: int(contents[0]), log=log, settle_seconds=0)
    file.write_bytes(b"12")
    writing = iter([lambda: file.write_bytes(b"123")])
    monkeypatch.setattr("cbss_inscription.app.reloading.time.sleep", lambda _: next(writing, lambda: None)())
    source.look()
    assert (source.current(), log.told) == (1, [])
    source.look()
    assert source.current() == 123


def test_sec_05_lifetimes_of_a_server_and_of_what_stands_behind_it(own):
    """A server's file tells of its certificate and of each intermediate: whose, from when until when (SEC-05)."""
    issuing, server = own.application_authority.certificate, own.server.certificate
    told = server_lifetimes(own.server.certificate_pem + issuing.public_bytes(Encoding.PEM))
    assert told == tuple(
        Lifetime(
            kind=kind,
            name=one.subject.rfc4514_string(),
            begins=one.not_valid_before_utc,
            ends=one.not_valid_after_utc,
        )
        for one, kind in ((server, Kind.SERVER_CERTIFICATE), (issuing, Kind.INTERMEDIATE))
    )


def test_sec_05_the_last_instant_counts_still():
    """A lifetime has ended after its last instant, not at it (RFC 5280, 4.1.2.5)."""
    one = lifetime(10, left=0)
    assert not one.has_ended(NOW)
    assert one.has_ended(NOW + timedelta(microseconds=1))


def test_sec_44_authorities_without_a_fresh_list_are_named(own):
    """Whose lists are all stale at that moment, grace included, is named; who has a fresh one is not (SEC-44)."""
    lists = [
        own.issue_revocation_list(now=NOW, issuer=one) for one in (own.application_root, own.application_authority)
    ]
    store = TrustStore(
        authorities_pem=own.authorities_pem,
        environment="ACC",
        revocation_lists=lists,
        revocation_required=True,
        rules=CertificateRules(revocation_grace_seconds=60),
    )
    end, second = NOW + timedelta(days=REVOCATION_LIST_DAYS, minutes=1), timedelta(seconds=1)
    both = {one.certificate.subject.rfc4514_string() for one in (own.application_root, own.application_authority)}
    assert [set(store.stale_authorities(now)) for now in (NOW, end)] == [set(), set()]
    assert [set(store.stale_authorities(now)) for now in (NOW - second, end + second)] == [both, both]
