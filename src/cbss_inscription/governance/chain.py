"""The chain over the audit journal: each link covers its record and all before it (SEC-72).

The database makes the links (`link_audit_records` in schema.sql); this is their definition in Python, by which they are
verified: two programs that must agree, and neither can be changed alone without being found out.
"""

from __future__ import annotations

import hashlib
from typing import Final

CHAIN_START: Final = hashlib.sha256(b"cbss-inscription audit chain").digest()
"""What the first link's hash begins with."""


def chain_hash(former: bytes, sequence_number: int, hash_of_record: bytes) -> bytes:
    """SHA-256 of the former link's hash, the number of this one in eight bytes, and the hash of its record."""
    return hashlib.sha256(former + sequence_number.to_bytes(8, "big") + hash_of_record).digest()
