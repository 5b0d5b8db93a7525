"""The chain over the audit journal, and the seals on it: each link covers its record and all before it (SEC-72).

The database makes the links (`link_audit_records` in schema.sql); this is their definition in Python, by which they are
verified: two programs that must agree, and neither can be changed alone without being found out.

A seal is a statement about the links since the former seal. Its time stamp, from an authority that is not ours, says
that all of them were there at that time: after it nobody, whoever holds the database, makes them anew unseen.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

import msgspec

from cbss_inscription.domain.period import timestamp

CHAIN_START: Final = hashlib.sha256(b"cbss-inscription audit chain").digest()
"""What the first link's hash begins with."""
STATEMENT_VERSION: Final = 1
"""The version of a seal's form; a verifier knows every version there was."""


def chain_hash(former: bytes, sequence_number: int, hash_of_record: bytes) -> bytes:
    """SHA-256 of the former link's hash, the number of this one in eight bytes, and the hash of its record."""
    return hashlib.sha256(former + sequence_number.to_bytes(8, "big") + hash_of_record).digest()


class MerkleTree:
    """The root over record hashes in their order (RFC 6962, section 2.1), for a stream: it keeps one hash a level.

    The root lets a single record be proven to be under a seal, by some twenty hashes and without any other record.
    """

    def __init__(self) -> None:
        self._complete: list[tuple[int, bytes]] = []
        self._count = 0

    def append(self, hash_of_record: bytes) -> None:
        """Nothing; the hash is the next leaf."""
        level, node = 0, hashlib.sha256(b"\x00" + hash_of_record).digest()
        while self._complete and self._complete[-1][0] == level:
            node = _node(self._complete.pop()[1], node)
            level += 1
        self._complete.append((level, node))
        self._count += 1

    @property
    def root(self) -> bytes:
        """The root over what was appended."""
        if not self._complete:
            return hashlib.sha256().digest()
        root = self._complete[-1][1]
        for _, node in reversed(self._complete[:-1]):
            root = _node(node, root)
        return root

    def __len__(self) -> int:
        return self._count


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class SealStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a seal says: where the chain stood, and what is new since the former seal."""

    version: int = STATEMENT_VERSION
    first_sequence_number: int
    """The first link after those of the former seal."""
    last_sequence_number: int
    chain_hash: str
    """Of the last link, in hexadecimal."""
    merkle_root: str
    """Over the record hashes of the range, in hexadecimal."""
    sealed_at: str
    """By our own clock: UTC, to the millisecond, with Z."""


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(SealStatement)


def seal_statement(
    *, first_sequence_number: int, last_sequence_number: int, last_chain_hash: bytes, root: bytes, sealed_at: datetime
) -> str:
    """The canonical text of a seal's statement (RFC 8785)."""
    statement = SealStatement(
        first_sequence_number=first_sequence_number,
        last_sequence_number=last_sequence_number,
        chain_hash=last_chain_hash.hex(),
        merkle_root=root.hex(),
        sealed_at=timestamp(sealed_at),
    )
    return _ENCODER.encode(statement).decode("utf-8")


def read_statement(text: str) -> SealStatement:
    """The statement that a canonical text is. Raises ValueError when it is none, or not in its canonical form."""
    try:
        statement = _DECODER.decode(text)
    except msgspec.MsgspecError:
        raise ValueError("not a seal's statement") from None
    if _ENCODER.encode(statement) != text.encode("utf-8"):
        raise ValueError("not a seal's statement in its canonical form")
    return statement
