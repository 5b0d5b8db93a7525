"""The signature algorithms that a policy may allow, and the kind of key that each of them takes (SEC-33, SEC-43).

RSA is PKCS #1 v1.5. An elliptic-curve signature is XML Signature's: r and s in as many bytes as the curve has, one
after the other, and never ASN.1. Each hash goes with the curve of its own strength, so that to allow an algorithm is to
allow the keys that it takes. SHA-1, MD5, HMAC and DSA have no place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from cbss_inscription import names

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class KeyNotTaken(ValueError):
    """A key of another kind than the algorithm is for."""


class SignatureAlgorithm(StrEnum):
    """An algorithm by the word that the settings and the standards' own names use for it."""

    RSA_SHA256 = "rsa-sha256"
    """RSZ's own [A]."""
    RSA_SHA384 = "rsa-sha384"
    RSA_SHA512 = "rsa-sha512"
    ECDSA_SHA256 = "ecdsa-sha256"
    """With keys on P-256."""
    ECDSA_SHA384 = "ecdsa-sha384"
    """With keys on P-384."""

    @property
    def uri(self) -> str:
        """The SignatureMethod."""
        return _TERMS[self].uri

    @property
    def curve_name(self) -> str | None:
        """The curve of its keys, as `cryptography` names it; None for RSA."""
        return _TERMS[self].curve_name

    def takes(self, key: PublicKey | PrivateKey) -> bool:
        """Whether the key is of the kind that the algorithm is for."""
        if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
            return key.curve.name == self.curve_name
        return self.curve_name is None

    def verify(self, key: PublicKey, signature: bytes, data: bytes) -> None:
        """Returns when the signature, as it stands in a SignatureValue, is the key's over the data.

        Raises InvalidSignature; KeyNotTaken; ValueError for r and s in another number of bytes; and whatever else the
        library raises.
        """
        terms = _TERMS[self]
        if isinstance(key, rsa.RSAPublicKey):
            if terms.curve_name is not None:
                raise KeyNotTaken
            key.verify(signature, data, padding.PKCS1v15(), terms.hash_algorithm)
            return
        if key.curve.name != terms.curve_name:
            raise KeyNotTaken
        half, odd = divmod(len(signature), 2)
        if odd or half != _integer_bytes(key):
            raise ValueError("encoding")
        # Whether r and s lie in the curve's range is for the library to say.
        encoded = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
        key.verify(encoded, data, ec.ECDSA(terms.hash_algorithm))

    def sign(self, key: PrivateKey, data: bytes) -> bytes:
        """The signature of the data as it stands in a SignatureValue. Raises KeyNotTaken."""
        if not self.takes(key):
            raise KeyNotTaken
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, padding.PKCS1v15(), _TERMS[self].hash_algorithm)
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(_TERMS[self].hash_algorithm)))
        return r.to_bytes(_integer_bytes(key)) + s.to_bytes(_integer_bytes(key))


def _integer_bytes(key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) -> int:
    """How many bytes each of r and s has (XML Signature 1.1, section 6.4.3)."""
    return (key.key_size + 7) // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    uri: str
    hash_algorithm: hashes.HashAlgorithm
    curve_name: str | None = None


_TERMS: Final[Mapping[SignatureAlgorithm, _Terms]] = MappingProxyType(
    {
        SignatureAlgorithm.RSA_SHA256: _Terms(uri=names.RSA_SHA256, hash_algorithm=hashes.SHA256()),
        SignatureAlgorithm.RSA_SHA384: _Terms(uri=names.RSA_SHA384, hash_algorithm=hashes.SHA384()),
        SignatureAlgorithm.RSA_SHA512: _Terms(uri=names.RSA_SHA512, hash_algorithm=hashes.SHA512()),
        SignatureAlgorithm.ECDSA_SHA256: _Terms(
            uri=names.ECDSA_SHA256, hash_algorithm=hashes.SHA256(), curve_name=ec.SECP256R1.name
        ),
        SignatureAlgorithm.ECDSA_SHA384: _Terms(
            uri=names.ECDSA_SHA384, hash_algorithm=hashes.SHA384(), curve_name=ec.SECP384R1.name
        ),
    }
)
BY_URI: Final[Mapping[str, SignatureAlgorithm]] = MappingProxyType({one.uri: one for one in SignatureAlgorithm})
"""Each algorithm under its SignatureMethod."""
_FOR_SIGNING: Final = (
    SignatureAlgorithm.RSA_SHA256,
    SignatureAlgorithm.ECDSA_SHA256,
    SignatureAlgorithm.ECDSA_SHA384,
)


def algorithm_for(key: PublicKey | PrivateKey) -> SignatureAlgorithm | None:
    """What an application with this key signs with; None when there is nothing for its curve."""
    return next((one for one in _FOR_SIGNING if one.takes(key)), None)
