"""The one tree of errors; a business anomaly is a value in a result (`results.Anomaly`), never raised.

    CbssInscriptionError
    ├── MessageRejected              the caller's fault: client fault, 4xx problem, exit code 2
    │   ├── MalformedMessage         SOA-03001
    │   ├── NotSoap                  SOA-03002
    │   ├── BodyMissing              SOA-03003
    │   ├── WsiViolation             SOA-03004
    │   ├── WsdlViolation            SOA-03005
    │   ├── SchemaViolation          SOA-03006
    │   ├── ContentViolation         SOA-03007
    │   │   └── SequenceViolation    SOA-03007: a batch out of its sender's order
    │   ├── NotAuthenticated         SOA-01001
    │   ├── NotAuthorized            SOA-01002
    │   ├── FileRejected             a batch's file as a whole; the code of what is wrong with it
    │   ├── MustUnderstand           SOA-03004, faultcode soapenv:MustUnderstand
    │   └── VersionMismatch          SOA-03002, faultcode soapenv:VersionMismatch
    ├── ServiceUnavailable           ours or the source's fault: server fault, 503, retry in batch
    │   ├── TemporarilyUnavailable   SOA-02002, retry
    │   └── RepertoryUnavailable     CBI00901: an authentic source or the repertory does not answer; retry
    └── UsageError                   a file, setting or argument of ours is missing or wrong: one sentence, exit code 2

Codes: RSZ's published list (contract.md section 4). Every error carries a `reason` for the log; the reason never goes
to the wire, and never holds an SSIN, a name or any text of the message (SEC-61, SEC-74).
"""

from __future__ import annotations

from typing import ClassVar


class CbssInscriptionError(Exception):
    """What this program raises on purpose; anything else that reaches a door is a bug."""


class MessageRejected(CbssInscriptionError):
    """A message that cannot be processed, by its sender's fault.

    `code` is the SOA code that the caller sees, `fault_code` the local name of the SOAP 1.1 faultcode, and `reason` a
    short fixed word for the operator's log (`signature-digest`, `certificate-expired`): data, never message text.
    """

    code: str = "SOA-03001"
    fault_code: ClassVar[str] = "Client"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MalformedMessage(MessageRejected):
    """Not well-formed XML, a wrong encoding, or a shape beyond the limits."""

    code = "SOA-03001"


class NotSoap(MessageRejected):
    """Well-formed, but not a SOAP 1.1 envelope."""

    code = "SOA-03002"


class BodyMissing(MessageRejected):
    """A SOAP envelope without a Body, or whose Body has no or several children."""

    code = "SOA-03003"


class WsiViolation(MessageRejected):
    """Against the WS-I Basic Profile: DOCTYPE, processing instruction, comment in the Body, SOAPAction of another."""

    code = "SOA-03004"


class WsdlViolation(MessageRejected):
    """The Body's element is no operation of this door."""

    code = "SOA-03005"


class SchemaViolation(MessageRejected):
    """The Body is not valid against the schema; `paths` names where, by element names and rule, without any value."""

    code = "SOA-03006"

    def __init__(self, reason: str, paths: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.paths = paths


class ContentViolation(MessageRejected):
    """Valid against the schema, yet not to be read: a date that does not exist, for one."""

    code = "SOA-03007"


class SequenceViolation(ContentViolation):
    """A batch whose sequence number is not the sender's next; `reason` is `sequence-gap` or `sequence-used`.

    `expected` is the next one.
    """

    def __init__(self, reason: str, *, expected: int) -> None:
        super().__init__(reason)
        self.expected = expected


class NotAuthenticated(MessageRejected):
    """The message security is refused; the wire shows no more than SOA-01001 (SEC-62)."""

    code = "SOA-01001"


class NotAuthorized(MessageRejected):
    """The caller is known and may not do this: no access rule, or another organisation's identity (SEC-56, SEC-58)."""

    code = "SOA-01002"


class FileRejected(MessageRejected):
    """A file that cannot be processed as a whole: why, by the code of `because`, and in which line of it.

    `line` counts lines of text and `number` declarations, both from 1; None where the file as such is wrong.
    """

    def __init__(self, because: MessageRejected, *, line: int | None = None, number: int | None = None) -> None:
        super().__init__(because.reason)
        self.code = because.code
        self.line = line
        self.number = number
        self.paths = because.paths if isinstance(because, SchemaViolation) else ()

    @property
    def place(self) -> str:
        """Where it is wrong, in words; an empty text where no line is to blame."""
        if not self.line:  # nothing was read of an empty file
            return ""
        return f"line {self.line}" + (f", declaration {self.number}" if self.number is not None else "")


class MustUnderstand(MessageRejected):
    """A header marked mustUnderstand that this door does not understand (SEC-15)."""

    code = "SOA-03004"
    fault_code = "MustUnderstand"


class VersionMismatch(MessageRejected):
    """An envelope of another SOAP version (SEC-13)."""

    code = "SOA-03002"
    fault_code = "VersionMismatch"


class ServiceUnavailable(CbssInscriptionError):
    """The service cannot answer, by no fault of the caller; nothing was written."""

    code: ClassVar[str] = "SOA-02001"
    fault_code: ClassVar[str] = "Server"
    retry: ClassVar[bool] = False

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TemporarilyUnavailable(ServiceUnavailable):
    """The same message may be sent again later: the replay store or the database is away (SEC-53)."""

    code = "SOA-02002"
    retry = True


class RepertoryUnavailable(ServiceUnavailable):
    """The repertory or an authentic source does not answer; never to be read as "does not exist" (rule 54)."""

    code = "CBI00901"
    retry = True


class UsageError(CbssInscriptionError):
    """A file, setting or argument is missing or wrong; the text is one clear sentence for the person who gave it."""
