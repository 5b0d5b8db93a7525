"""The audit journal's records: who asked what about whom, when, why and with which result (rule 50, SEC-71, SEC-75).

A record is a value with one canonical text (RFC 8785: sorted keys, no blanks), and that text is what is stored, hashed
and verified; nothing is read back from columns. Numbers of persons stand in it encrypted (AES-256-GCM), each with a
keyed hash by which the records about a person are found; names and other legal data never do. The keys have ids and are
changed by adding one: records keep the id of theirs, and destroying a key is how its numbers are erased.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from cbss_inscription.domain.errors import UsageError

RECORD_VERSION: Final = 2
"""The version of the record's form; a verifier knows every version there was."""
KEY_BYTES: Final = 32
"""Length of an encryption key and of a search key."""
NONCE_BYTES: Final = 12
"""Length of a nonce of AES-GCM: random, so a key must be changed before 2^32 uses of it (NIST SP 800-38D, 8.3)."""
PERSON_HASH_BYTES: Final = 16
"""Length kept of the keyed hash: collisions among a billion numbers stay out of reach."""
_REQUEST: Final = b"cbss-inscription audit request\x00"
"""What requests are sealed under besides their ticket, so that none passes for a number."""
_KEY_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"


class AuditedPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number that a call was about: as asked, as the current number of the answer, or as told by it."""

    asked: bool = False
    current: bool = False
    key: str
    """The id of the keys by which it is hashed and sealed."""
    hash: str
    """The keyed hash of the number, in hexadecimal."""
    sealed: str
    """Nonce, ciphertext and tag, in base64."""


class AuditedOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a call ended: `value` is that of the status, or `FAULT`, or `UNANSWERED` when a reply was never sent."""

    value: str
    code: str | None = None
    anomalies: tuple[str, ...] = ()
    reason: str | None = None
    """The word that the caller was not told."""


class AuditedDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By which rules it was decided (SEC-60): the version in force, the access rule's dossier, the permission."""

    version: int
    access_rule: str | None = None
    permission: str | None = None


class AuditedLook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A look into the journal itself: who looked for what, and how much was shown."""

    operator: str
    criteria: tuple[str, ...] = ()
    """What was looked for, a person's number excepted: that is among the persons."""
    record_count: int
    numbers_shown: bool = False


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call, refused ones included. What was not found out before the call ended is absent (None)."""

    version: int = RECORD_VERSION
    ticket_cbss: str
    customer_ticket: str | None = None
    timestamp_receive: str
    """UTC, to the millisecond, with Z."""
    timestamp_reply: str
    service: str
    application_urn: str | None = None
    cbe_number: str | None = None
    environment: str | None = None
    certificate: str | None = None
    """SHA-256 of the caller's certificate, in hexadecimal."""
    known_by: str | msgspec.UnsetType = msgspec.UNSET
    """How the caller is known, since version 2: before, it was always by its token. Absent of a caller unknown."""
    network: str | msgspec.UnsetType = msgspec.UNSET
    """The name of the network that it is known by, since version 2."""
    operation: str | None = None
    customer: str | None = None
    legal_context: str | None = None
    inscription_contexts: tuple[str, ...] = ()
    persons: tuple[AuditedPerson, ...] = ()
    mutations: tuple[int, int] | None = None
    """Of a page of the mutation feed: the sequence numbers after which, and up to which, it was read."""
    decision: AuditedDecision | None = None
    outcome: AuditedOutcome
    look: AuditedLook | None = None
    """Only of looks into the journal, which are no calls."""
    request_digest: str | None = None
    """SHA-256 of the Body that was signed, or of the whole message when it was not authenticated."""
    response_digest: str | None = None
    """SHA-256 of the reply; of an exported file."""
    evidence_digest: str | None = None
    """SHA-256 of the whole request, where requests of this operation are kept (SEC-76)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrecordedChange:
    """A change of lines by a call that left no record: its service ended between the two."""

    ticket_cbss: UUID
    changed_at: datetime
    customer_ticket: str | None
    application_urn: str
    cbe_number: str | None
    operation: str
    customer: str
    legal_context: str | None
    inscription_context: str
    current: str = field(repr=False)
    """The number that the lines are under; which one was asked is not known."""


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(AuditRecord)


def canonical(record: AuditRecord) -> bytes:
    """The record's canonical text: UTF-8 JSON of strings, booleans and whole numbers, keys sorted (RFC 8785)."""
    return _ENCODER.encode(record)


def canonical_persons(persons: tuple[AuditedPerson, ...]) -> bytes:
    """The text of these persons within a record's canonical text."""
    return _ENCODER.encode(persons)


def canonical_string(text: str) -> str:
    """The text of this string within a record's canonical text."""
    return _ENCODER.encode(text).decode("utf-8")


def canonical_member(name: str, text: str) -> str:
    """What stands in the canonical text of each record with this string under this name, and of no other one.

    The quotes of a string within are escaped, and no two things in a record have one name but `version`.
    """
    return f'"{name}":{canonical_string(text)}'


def read_record(text: bytes) -> AuditRecord:
    """The record that a canonical text is. Raises ValueError when it is none, or not in its canonical form."""
    try:
        record = _DECODER.decode(text)
    except msgspec.MsgspecError:
        raise ValueError("not an audit record") from None
    if canonical(record) != text:
        raise ValueError("not an audit record in its canonical form")
    return record


def record_hash(text: bytes) -> bytes:
    """SHA-256 of a record's canonical text, under a prefix of its own: no link or seal can have the same."""
    return hashlib.sha256(b"cbss-inscription audit record\x00" + text).digest()


class _KeyText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seal: str
    search: str


class _KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    current: str
    keys: dict[Annotated[str, msgspec.Meta(pattern=_KEY_ID)], _KeyText]


@dataclass(frozen=True, slots=True)
class _Key:
    seal: AESGCM = field(repr=False)
    search: HMAC = field(repr=False)
    """Copied for each number: that takes a third of the time that a new one does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRequest:
    """A request as it came, encrypted under its ticket."""

    key: str
    sealed: bytes = field(repr=False)


class AuditKeys:
    """The keys that numbers in the journal are sealed and searched by; the current one seals, every one opens."""

    def __init__(self, keys: dict[str, tuple[bytes, bytes]], *, current: str) -> None:
        """Keys by id, each one pair of an encryption key and a search key. Raises UsageError for what cannot be one."""
        if current not in keys:
            raise UsageError("the current audit key is not among the keys")
        if any(len(part) != KEY_BYTES for pair in keys.values() for part in pair):
            raise UsageError(f"an audit key has {KEY_BYTES} bytes")
        self.current: Final = current
        self._keys: Final = {
            identifier: _Key(AESGCM(seal), HMAC(search, SHA256())) for identifier, (seal, search) in keys.items()
        }

    def seal(self, digits: str, ticket: UUID, *, asked: bool = False, current: bool = False) -> AuditedPerson:
        """The number as the record of this ticket holds it; the ticket is bound in, so that it fits no other record."""
        hashed, sealed = self.seal_number(digits, ticket)
        text = base64.b64encode(sealed).decode()
        return AuditedPerson(asked=asked, current=current, key=self.current, hash=hashed.hex(), sealed=text)

    def seal_number(self, digits: str, ticket: UUID, *, nonce: bytes | None = None) -> tuple[bytes, bytes]:
        """What the number is found by under the current key, and nonce, ciphertext and tag.

        `nonce`: one of `new_nonces`, with which nothing else is sealed; without, it is a new one.
        """
        key = self._keys[self.current]
        nonce = nonce or secrets.token_bytes(NONCE_BYTES)
        return _hash(key, digits), nonce + key.seal.encrypt(nonce, digits.encode(), ticket.bytes)

    def open(self, person: AuditedPerson, ticket: UUID) -> str | None:
        """The digits of a sealed number; None when its key was destroyed. Raises ValueError when it was changed."""
        key = self._keys.get(person.key)
        if key is None:
            return None
        try:
            sealed = base64.b64decode(person.sealed, validate=True)
            digits = key.seal.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], ticket.bytes).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise ValueError("a sealed number does not open") from None
        if not hmac.compare_digest(_hash(key, digits).hex().encode(), person.hash.encode()):
            raise ValueError("a sealed number is found by another's hash")
        return digits

    def seal_request(self, message: bytes, ticket: UUID) -> SealedRequest:
        """A request as evidence of this ticket keeps it: it fits no other ticket, and is no number."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._keys[self.current].seal.encrypt(nonce, message, _REQUEST + ticket.bytes)
        return SealedRequest(key=self.current, sealed=sealed)

    def open_request(self, request: SealedRequest, ticket: UUID) -> bytes | None:
        """The request; None when its key was destroyed. Raises ValueError when it was changed, or is another's."""
        key = self._keys.get(request.key)
        if key is None:
            return None
        nonce, sealed = request.sealed[:NONCE_BYTES], request.sealed[NONCE_BYTES:]
        try:
            return key.seal.decrypt(nonce, sealed, _REQUEST + ticket.bytes)
        except (InvalidTag, ValueError):
            raise ValueError("a sealed request does not open") from None

    def hashes(self, digits: str) -> tuple[bytes, ...]:
        """What a number is found by: one hash for each key that there is."""
        return tuple(_hash(key, digits) for key in self._keys.values())

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The ids of the keys, the current one's among them."""
        return tuple(self._keys)


def new_nonces(count: int) -> Iterator[bytes]:
    """So many nonces, in one call of the kernel: one for each number of a batch was a twentieth of a worker's time."""
    chance = secrets.token_bytes(NONCE_BYTES * count)
    return (chance[start : start + NONCE_BYTES] for start in range(0, len(chance), NONCE_BYTES))


def _hash(key: _Key, digits: str) -> bytes:
    keyed = key.search.copy()
    keyed.update(digits.encode())
    return keyed.finalize()[:PERSON_HASH_BYTES]


def read_audit_keys(text: bytes, *, origin: str) -> AuditKeys:
    """The keys that a TOML file holds: `current`, and `[keys.ID]` with `seal` and `search` in base64.

    Raises `UsageError`, naming `origin` and never any of its contents.
    """
    try:
        file = msgspec.convert(tomllib.loads(text.decode("utf-8")), _KeyFile)
        keys = {
            identifier: (base64.b64decode(key.seal, validate=True), base64.b64decode(key.search, validate=True))
            for identifier, key in file.keys.items()
        }
    except (ValueError, msgspec.MsgspecError):
        # `from None`: the message would quote the line, and with it a key (SEC-78)
        raise UsageError(f"{origin}: not a file of audit keys (cbss-inscription audit make-keys)") from None
    return AuditKeys(keys, current=file.current)


def new_audit_keys(identifier: str, *, former: bytes | None = None, origin: str = "") -> bytes:
    """The text of a key file whose current key is new; the keys of `former`, a key file's text, stay in it.

    Raises `UsageError` when `former` is no key file, or has a key of this id.
    """
    lines: list[str] = []
    if former is not None:
        if identifier in read_audit_keys(former, origin=origin).identifiers:
            raise UsageError(f"{origin}: there is a key {identifier!r} already")
        lines = former.decode("utf-8").splitlines()
        lines = [line for line in lines if not line.startswith("current")]
    seal, search = (base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() for _ in range(2))
    entry = [f'[keys."{identifier}"]', f'seal = "{seal}"', f'search = "{search}"', ""]
    return "\n".join([f'current = "{identifier}"', *lines, *entry]).encode("utf-8")


def person_hashes(record: AuditRecord) -> Iterable[bytes]:
    """The hashes that a record is found by, each once."""
    return dict.fromkeys(bytes.fromhex(person.hash) for person in record.persons)
