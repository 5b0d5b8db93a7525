"""Operators' keys, and what is signed with them: Ed25519 over a canonical text, each kind of text apart from others.

The canonical text is UTF-8 JSON of texts, booleans, whole numbers, lists and mappings, keys sorted, no blanks: the form
of RFC 8785 for values without fractions. What is signed begins with the name of its kind and a zero byte, so that a
signature on a proposal can never pass for one on a decision or an export.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Final, Self

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PublicKey = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9+/]{43}=\Z")]
"""The 32 bytes of an Ed25519 public key in base64."""
SIGNATURE_BYTES: Final = 64
"""Length of an Ed25519 signature."""
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


class Signed(Enum):
    """What a signature is on: the bytes that what is signed begins with."""

    PROPOSAL = b"cbss-inscription governance proposal 1\x00"
    DECISION = b"cbss-inscription governance decision 1\x00"
    EXPORT = b"cbss-inscription governance export 1\x00"


def canonical(value: object) -> bytes:
    """The canonical text of a value without fractions. Raises ValueError for text that UTF-8 has no bytes for."""
    return _ENCODER.encode(value)


def digest_of(kind: Signed, text: bytes) -> str:
    """SHA-256 of a text of this kind, in hexadecimal: no text of another kind has the same."""
    return hashlib.sha256(kind.value + text).hexdigest()


def is_signed_by(public_key: str, kind: Signed, text: bytes, signature: bytes) -> bool:
    """Whether the signature on a text of this kind was made with the key's private half."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True)).verify(
            signature, kind.value + text
        )
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


class UnusableKey(ValueError):
    """Bytes that are no Ed25519 private key, or one that is encrypted otherwise."""


@dataclass(frozen=True, slots=True)
class OperatorKey:
    """The private key of one operator."""

    _key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, pem: bytes, *, passphrase: bytes | None = None) -> Self:
        """The key in a PEM text (PKCS #8). Raises `UnusableKey`."""
        try:
            key = serialization.load_pem_private_key(pem, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise UnusableKey("no private key in PEM, or its passphrase is another") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise UnusableKey("no Ed25519 key")
        return cls(key)

    def written(self, *, passphrase: bytes | None = None) -> bytes:
        """The key as PEM (PKCS #8), encrypted when there is a passphrase."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase)
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    @property
    def public_key(self) -> str:
        """What others know it by, as `PublicKey`."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode("ascii")

    def sign(self, kind: Signed, text: bytes) -> bytes:
        """The signature on a text of this kind."""
        return self._key.sign(kind.value + text)
