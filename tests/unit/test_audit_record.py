"""The values of the audit journal: records, their canonical text, sealed numbers and their keys (rule 50, SEC-75)."""

from __future__ import annotations

import base64
import json
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.journal import (
    NONCE_BYTES,
    AuditedOutcome,
    AuditedPerson,
    AuditKeys,
    AuditRecord,
    canonical,
    new_audit_keys,
    new_nonces,
    person_hashes,
    read_audit_keys,
    read_record,
    record_hash,
)

TICKET = UUID(int=7)
DIGITS = "40600000197"
KEYS = AuditKeys({"a": (b"1" * 32, b"2" * 32), "b": (b"3" * 32, b"4" * 32)}, current="b")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def record(**fields: object) -> AuditRecord:
    least = AuditRecord(
        ticket_cbss=str(TICKET),
        timestamp_receive="2026-03-01T10:00:00.000Z",
        timestamp_reply="2026-03-01T10:00:00.012Z",
        service="CBSSInscription",
        outcome=AuditedOutcome(value="OK", code="MSG00000"),
    )
    return msgspec.structs.replace(least, **fields)


@given(customer_ticket=TEXT, contexts=st.lists(TEXT, max_size=3).map(tuple), reason=TEXT)
def test_rule_50_a_record_has_one_text(customer_ticket: str, contexts: tuple[str, ...], reason: str) -> None:
    """A record's text reads back as the record, and is what RFC 8785 says of the same JSON (rule 50, SEC-72)."""
    made = record(
        customer_ticket=customer_ticket,
        inscription_contexts=contexts,
        persons=(KEYS.seal(DIGITS, TICKET, asked=True),),
        outcome=AuditedOutcome(value="FAULT", reason=reason),
    )
    text = canonical(made)
    assert read_record(text) == made
    plain = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert json.loads(plain) == json.loads(text)
    assert text.decode("utf-8") == plain


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'":"', b'": "', 1),
        lambda text: text.replace(b"{", b'{"unknown":1,', 1),
        lambda text: text[:-1],
        lambda text: text.replace(b'"version":2', b'"version":1.0'),
        lambda text: text.replace(b"CBSSInscription", b"CBSS\\u0049nscription"),
    ],
)
def test_sec_72_another_text_is_no_record(change) -> None:
    """A text that is not the canonical one is no record: two texts of one record would be two hashes (SEC-72)."""
    changed = change(canonical(record()))
    assert changed != canonical(record())
    with pytest.raises(ValueError, match="not an audit record"):
        read_record(changed)


FIRST_VERSION = (
    b'{"application_urn":"a:b","cbe_number":"0206731645","certificate":"00","customer":null,"customer_ticket":null,'
    b'"decision":null,"environment":"LOCAL","evidence_digest":null,"inscription_contexts":[],"legal_context":null,'
    b'"look":null,"mutations":null,"operation":null,"outcome":{"anomalies":[],"code":"MSG00000","reason":null,'
    b'"value":"OK"},"persons":[],"request_digest":null,"response_digest":null,"service":"CBSSInscription",'
    b'"ticket_cbss":"00000000-0000-0000-0000-000000000007","timestamp_receive":"2026-03-01T10:00:00.000Z",'
    b'"timestamp_reply":"2026-03-01T10:00:00.012Z","version":1}'
)


def test_sec_72_a_record_of_the_first_version_stays_one() -> None:
    """What was written before records said how the caller is known reads, and has the text it had (SEC-72)."""
    first = read_record(FIRST_VERSION)
    assert (first.version, first.known_by, first.network) == (1, msgspec.UNSET, msgspec.UNSET)
    assert canonical(first) == FIRST_VERSION
    second = canonical(record(known_by="network", network="here"))
    assert b'"known_by":"network"' in second
    assert read_record(second) == record(known_by="network", network="here")


def test_sec_72_a_record_hash_is_of_its_own_kind() -> None:
    """The hash of a record differs with each byte, and is no plain SHA-256 that other data could have (SEC-72)."""
    text = canonical(record())
    assert len({record_hash(text), record_hash(text + b" "), record_hash(canonical(record(service="x")))}) == 3
    assert len(record_hash(text)) == 32


def test_sec_75_a_number_opens_for_its_record_only() -> None:
    """A sealed number opens by its key under its ticket; under another ticket, or changed, it does not (SEC-75)."""
    person = KEYS.seal(DIGITS, TICKET, asked=True)
    assert KEYS.open(person, TICKET) == DIGITS
    flipped = bytearray(base64.b64decode(person.sealed))
    flipped[20] ^= 1
    changed = msgspec.structs.replace(person, sealed=base64.b64encode(flipped).decode())
    other = msgspec.structs.replace(person, hash=KEYS.seal("40600000294", TICKET).hash)
    for one, ticket in ((person, uuid4()), (changed, TICKET), (other, TICKET)):
        with pytest.raises(ValueError, match="a sealed number"):
            KEYS.open(one, ticket)


def test_sec_75_no_two_seals_are_alike_but_the_hash_finds_both() -> None:
    """The same number sealed twice looks different, has the same hash under one key, another under another (SEC-75)."""
    first, second = KEYS.seal(DIGITS, TICKET), KEYS.seal(DIGITS, TICKET)
    assert first.sealed != second.sealed
    assert first.hash == second.hash
    former = AuditKeys({"a": (b"1" * 32, b"2" * 32)}, current="a").seal(DIGITS, TICKET)
    assert former.hash != first.hash
    assert {former.hash, first.hash} == {item.hex() for item in KEYS.hashes(DIGITS)}
    assert DIGITS not in canonical(record(persons=(first,))).decode()
    assert list(person_hashes(record(persons=(first, second)))) == [bytes.fromhex(first.hash)]


def test_sec_75_nonces_made_together_are_nonces_and_all_different() -> None:
    """As many nonces as are asked for, each of its length, none like another, and the one given is used (SEC-75)."""
    nonces = list(new_nonces(2_000))

    _, sealed = KEYS.seal_number(DIGITS, TICKET, nonce=nonces[0])

    assert {len(nonce) for nonce in nonces} == {NONCE_BYTES}
    assert len(set(nonces)) == 2_000
    assert sealed[:NONCE_BYTES] == nonces[0]
    text = base64.b64encode(sealed).decode()
    person = AuditedPerson(asked=True, current=True, key=KEYS.current, hash=KEYS.hashes(DIGITS)[-1].hex(), sealed=text)
    assert KEYS.open(person, TICKET) == DIGITS


def test_sec_75_a_destroyed_key_erases_its_numbers() -> None:
    """Of a number whose key is gone there is nothing left to read, and that is no error (SEC-75)."""
    person = AuditKeys({"gone": (b"5" * 32, b"6" * 32)}, current="gone").seal(DIGITS, TICKET)
    assert KEYS.open(person, TICKET) is None


def test_sec_75_keys_are_changed_by_adding_one() -> None:
    """A key file with a new key seals by it, and opens and finds what the former keys sealed (SEC-75)."""
    first = new_audit_keys("2026-01", origin="f")
    before = read_audit_keys(first, origin="f").seal(DIGITS, TICKET)
    keys = read_audit_keys(new_audit_keys("2026-02", former=first, origin="f"), origin="f")
    assert (keys.current, set(keys.identifiers)) == ("2026-02", {"2026-01", "2026-02"})
    assert keys.open(before, TICKET) == DIGITS
    assert bytes.fromhex(before.hash) in keys.hashes(DIGITS)
    with pytest.raises(UsageError, match="already"):
        new_audit_keys("2026-01", former=first, origin="f")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'current = "x"\n[keys.y]\nseal = "AA=="\nsearch = "AA=="\n',
        b'current = "y"\n[keys.y]\nseal = "AA=="\nsearch = "AA=="\n',
        b'current = "y"\n[keys.y]\nseal = "c2VjcmV0"\n',
        b'current = "../y"\n[keys."../y"]\nseal = "c2VjcmV0"\nsearch = "c2VjcmV0"\n',
        b"current = \xff",
    ],
)
def test_sec_78_a_broken_key_file_is_refused_without_its_contents(text: bytes) -> None:
    """A file that holds no usable keys is refused by one sentence that says nothing of what is in it (SEC-78)."""
    with pytest.raises(UsageError) as refusal:
        read_audit_keys(text, origin="keys.toml")
    assert "c2VjcmV0" not in str(refusal.value)


def test_sec_78_keys_have_no_repr() -> None:
    """Nothing of a key is in the repr of what holds it (SEC-78)."""
    text = repr(KEYS) + repr(vars(KEYS))
    assert "1111" not in text
    assert "2222" not in text
