"""What passes between HTTP and the pipeline: a request's bytes, a reply's bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

XML_CONTENT_TYPE: Final = "text/xml; charset=utf-8"
ANSWER_SECONDS_MAX: Final = 15.0
"""From a message that has arrived whole to its reply (SEC-10); longer than the waits and statements of the database."""

ANSWER_SECONDS_MIN: Final = 0.5
"""What a caller cannot shorten the time of an answer below: work that nobody waits for any more goes on unseen [D]."""

RECORD_SECONDS_MIN: Final = 1.0
"""What the record of a call may take at the least, when its answer has used the time up: that is recorded, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What the way of a message to us says of who sent it: only what its listener was told to believe (SEC-02)."""

    client_certificate: str | None = field(default=None, repr=False)
    """The client certificate of the TLS connection, as whoever ended that wrote it into a header."""
    address: str | None = None
    """The IP address that the connection came from."""


NOBODY: Final = Sender()
"""The sender of whom the way says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMessage:
    """An HTTP request as it came, nothing of it believed yet."""

    body: bytes = field(repr=False)
    charset: str | None
    soap_action: str | None
    """The SOAPAction header without its quotes; None when there is none or an empty one."""
    answer_within_seconds: float | None = None
    """How long the caller says that it waits (`names.ANSWER_WITHIN`); None when it says nothing of it."""
    sender: Sender = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP status and the bytes of an envelope: 200, or 500 with a fault (SOAP 1.1, SEC-65)."""

    status: int
    body: bytes = field(repr=False)
