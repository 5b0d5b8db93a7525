"""Seals and their time stamps: what they say, and whom we believe it from (SEC-72)."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.chain import MerkleTree, read_statement, seal_statement
from cbss_inscription.governance.timestamps import TimestampTrust, TokenRefused, request_for
from cbss_inscription.sandbox.pki import (
    Credential,
    issue_authority,
    issue_server_certificate,
    issue_timestamp_certificate,
)
from cbss_inscription.sandbox.timestamping import POLICY, TimeStampAuthority

NOW = datetime(2026, 3, 1, 10, 0, 7, tzinfo=UTC)
STATEMENT = seal_statement(
    first_sequence_number=1, last_sequence_number=2, last_chain_hash=b"c" * 32, root=b"r" * 32, sealed_at=NOW
)


def root_of(name: str = "Root of tests", *, begins: datetime = NOW - timedelta(days=1)) -> Credential:
    return issue_authority(name, issuer=None, not_before=begins, not_after=begins + timedelta(days=800))


ROOT = root_of()
AUTHORITY = TimeStampAuthority(issue_timestamp_certificate(issuer=ROOT, now=NOW), clock=lambda: NOW)
TRUST = TimestampTrust.of_pem(ROOT.certificate_pem, origin="ca")


def token(statement: str = STATEMENT, authority: TimeStampAuthority = AUTHORITY) -> bytes:
    return authority.answer(request_for(statement).as_bytes())


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 13])
def test_sec_72_the_root_is_that_of_rfc_6962(count: int) -> None:
    """The root over a stream is the recursive definition's, RFC 6962 section 2.1, whatever the count (SEC-72)."""
    leaves = [bytes([number]) * 32 for number in range(count)]

    def defined(part: list[bytes]) -> bytes:
        if len(part) < 2:
            return hashlib.sha256(b"\x00" + part[0] if part else b"").digest()
        half = 1 << (len(part) - 1).bit_length() - 1
        return hashlib.sha256(b"\x01" + defined(part[:half]) + defined(part[half:])).digest()

    tree = MerkleTree()
    for leaf in leaves:
        tree.append(leaf)
    assert (tree.root, len(tree)) == (defined(leaves), count)


def test_sec_72_the_root_is_the_published_one() -> None:
    """The eight leaves that RFC 6962's authors publish have the root that they publish (SEC-72)."""
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    tree = MerkleTree()
    for leaf in leaves:
        tree.append(bytes.fromhex(leaf))
    assert tree.root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_sec_72_a_statement_has_one_form() -> None:
    """What a seal says is read back from its one canonical text, and from no other (SEC-72)."""
    statement = read_statement(STATEMENT)
    assert (statement.first_sequence_number, statement.last_sequence_number) == (1, 2)
    assert (statement.chain_hash, statement.sealed_at) == ((b"c" * 32).hex(), "2026-03-01T10:00:07.000Z")
    for other in (STATEMENT.replace(":", ": ", 1), STATEMENT[:-1], "{}", STATEMENT.replace("}", ',"x":1}')):
        with pytest.raises(ValueError, match="not a seal's statement"):
            read_statement(other)


def test_sec_72_a_token_says_when() -> None:
    """The time of a token is its authority's, and a token for a policy is one of that policy (SEC-72)."""
    request = request_for(STATEMENT)
    answer = AUTHORITY.answer(request.as_bytes())
    assert TRUST.check(answer, STATEMENT, request=request) == NOW
    assert TimestampTrust.of_pem(ROOT.certificate_pem, policy=POLICY, origin="ca").check(answer, STATEMENT) == NOW


def test_sec_72_a_token_is_good_when_its_certificate_has_ended() -> None:
    """Certificates are judged as of the token's time: a seal of ten years ago verifies today (SEC-72)."""
    then = datetime(2016, 3, 1, tzinfo=UTC)
    root = root_of(begins=then - timedelta(days=1))
    authority = TimeStampAuthority(issue_timestamp_certificate(issuer=root, now=then), clock=lambda: then)
    trust = TimestampTrust.of_pem(root.certificate_pem, origin="ca")
    assert trust.check(token(authority=authority), STATEMENT) == then


def refused(answer: bytes, trust: TimestampTrust = TRUST, **said: object) -> str:
    with pytest.raises(TokenRefused) as caught:
        trust.check(answer, STATEMENT, **said)  # type: ignore[arg-type]
    return caught.value.reason


def test_tv_122_a_token_that_is_not_of_our_authority_over_this_statement_is_refused() -> None:
    """Of another statement, authority, purpose, time, policy or request; changed; none at all (SEC-72, TV-122)."""
    assert refused(token(STATEMENT.replace('"version":1', '"version":2'))) == "of another statement"
    stranger = TimeStampAuthority(issue_timestamp_certificate(issuer=root_of(), now=NOW), clock=lambda: NOW)
    assert refused(token(authority=stranger)) == "signature or certificate"
    server = issue_server_certificate(["localhost"], issuer=ROOT, now=NOW)
    assert refused(token(authority=TimeStampAuthority(server, clock=lambda: NOW))) == "signature or certificate"
    late = TimeStampAuthority(AUTHORITY._credential, clock=lambda: NOW + timedelta(days=900))
    assert refused(token(authority=late)) == "signature or certificate"
    other = TimestampTrust.of_pem(ROOT.certificate_pem, policy="1.2.3.4", origin="ca")
    assert refused(token(), other) == "policy"
    assert refused(token(), request=request_for(STATEMENT)) == "nonce"
    assert refused(AUTHORITY.answer(b"")) in {"not granted", "unreadable", "signature or certificate"}
    assert refused(b"") == "unreadable"


@pytest.mark.parametrize("place", range(-600, 0, 40))
def test_tv_122_a_changed_token_is_refused(place: int) -> None:
    """A token with one bit changed, wherever, is not believed or says the same (SEC-72, TV-122)."""
    answer = bytearray(token())
    answer[place] ^= 1
    with suppress(TokenRefused):  # what no signature covers may differ, and says nothing else
        assert TRUST.check(bytes(answer), STATEMENT) == NOW


def test_sec_72_a_file_without_a_root_is_no_trust() -> None:
    """A file that holds no certificate, or no root, and a policy that is none, are named (SEC-72)."""
    leaf = AUTHORITY._credential.certificate_pem
    for pem, policy in ((b"", None), (leaf, None), (ROOT.certificate_pem, "x")):
        with pytest.raises(UsageError):
            TimestampTrust.of_pem(pem, policy=policy, origin="ca")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program is not installed")
def test_sec_72_openssl_believes_the_sandbox_s_authority(tmp_path: Path) -> None:
    """Another implementation of RFC 3161 verifies the tokens of the sandbox's authority, as of now (SEC-72)."""
    now = datetime.now(UTC)
    root = root_of(begins=now - timedelta(days=1))
    authority = TimeStampAuthority(issue_timestamp_certificate(issuer=root, now=now))
    request = request_for(STATEMENT).as_bytes()
    for name, data in (("q", request), ("r", authority.answer(request)), ("ca", root.certificate_pem)):
        (tmp_path / name).write_bytes(data)
    command = ["openssl", "ts", "-verify", "-queryfile", "q", "-in", "r", "-CAfile", "ca"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Verification: OK" in done.stdout + done.stderr) == (0, True), done.stderr
