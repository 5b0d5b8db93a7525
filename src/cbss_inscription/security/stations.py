"""The stations of the verification by name, in their order: what `explain` tells one by one (SEC-88)."""

from __future__ import annotations

from collections.abc import Generator
from enum import StrEnum
from typing import TypeVar

_Result = TypeVar("_Result")


class Station(StrEnum):
    """One thing that is found good or refused before the next is looked at; the order is that of the verification."""

    XML = "xml"
    """Size, encoding, well-formedness, limits of shape (SEC-09, SEC-18..27)."""
    ENVELOPE = "envelope"
    """SOAP 1.1: Header, Body and nothing else (SEC-12, SEC-13)."""
    HEADERS = "headers"
    """Header blocks, WS-Addressing, comments, encryption (SEC-15..17, SEC-20)."""
    SECURITY = "security-header"
    """One Security header for us with token, timestamp and signature; no id twice (SEC-16, SEC-28, SEC-29)."""
    TOKEN = "token"  # noqa: S105  # a station's name
    """The BinarySecurityToken (SEC-30)."""
    TIMESTAMP = "timestamp"
    """The Timestamp's grammar (SEC-50)."""
    SIGNATURE = "signature"
    """The Signature's grammar: algorithms, three references, KeyInfo (SEC-31..36)."""
    CERTIFICATE = "certificate"
    """What `trust` says of the certificate (SEC-42..47)."""
    KEY_REFERENCE = "key-reference"
    """Whether this caller's reference to the token may lack its ValueType (SEC-36)."""
    WINDOW = "window"
    """The Timestamp against the clock (SEC-51)."""
    SIGNATURE_VALUE = "signature-value"
    """The SignatureValue over SignedInfo (SEC-37)."""
    TOKEN_DIGEST = "token-digest"  # noqa: S105  # a station's name
    TIMESTAMP_DIGEST = "timestamp-digest"
    BODY_DIGEST = "body-digest"


def run(stations: Generator[tuple[Station, object], None, _Result]) -> _Result:
    """What the stations give in the end, when nobody looks at what each of them found."""
    while True:
        try:
            next(stations)
        except StopIteration as done:
            result: _Result = done.value
            return result
