"""The journal as a file that proves itself: JSON lines, to be verified without the service and its database (SEC-72).

First the manifest, then each link with its record's text, and each seal after the last link under it. The range begins
and ends with whole seals where there are some, so that their time stamps cover all of it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from cbss_inscription.domain.errors import UsageError
from cbss_inscription.governance.journal import AuditKeys, AuditRecord, read_record
from cbss_inscription.governance.timestamps import TimestampTrust
from cbss_inscription.governance.verification import FindingKind, JournalVerifier, Link, Seal

EXPORT_VERSION: Final = 1
"""The version of the file's form."""
LINE_BYTES_MAX: Final = 4_194_304
"""Bytes of one line; a record with fifty persons has some twenty thousand."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="manifest"):
    """What the file holds: the first line."""

    version: int = EXPORT_VERSION
    exported_at: str
    first_sequence_number: int
    last_sequence_number: int
    former_chain_hash: str
    """Of the link before the first, in hexadecimal."""
    last_chain_hash: str
    former_file: str | None = None
    """Of an archive file: SHA-256 of the one before it, in hexadecimal."""


class LinkLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="record"):
    """A link and its record; without a record when that is missing."""

    sequence_number: int
    record: str | None
    record_hash: str
    chain_hash: str


class SealLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="seal"):
    """A seal; the authority's response in base64."""

    statement: str
    token: str | None


Line = Manifest | LinkLine | SealLine
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Line)


def write_line(line: Line) -> bytes:
    """The line as it stands in the file, its end included."""
    return _ENCODER.encode(line) + b"\n"


def line_of_link(link: Link) -> LinkLine:
    """The line of a link."""
    return LinkLine(
        sequence_number=link.sequence_number,
        record=link.content,
        record_hash=link.record_hash.hex(),
        chain_hash=link.chain_hash.hex(),
    )


def line_of_seal(seal: Seal) -> SealLine:
    """The line of a seal."""
    return SealLine(
        statement=seal.statement, token=None if seal.token is None else base64.b64encode(seal.token).decode()
    )


def verify_export(
    lines: Iterable[bytes], *, trust: TimestampTrust | None, keys: AuditKeys | None = None, origin: str
) -> JournalVerifier:
    """What is wrong with an exported file, if anything. Raises `UsageError`, naming `origin`, when it is none."""
    verifier: JournalVerifier | None = None
    manifest: Manifest | None = None
    for number, text in enumerate(lines, start=1):
        line = _read(text, f"{origin}, line {number}")
        try:
            match line:
                case Manifest() if verifier is None:
                    manifest = line
                    verifier = JournalVerifier(
                        chain_hash=bytes.fromhex(line.former_chain_hash),
                        first_sequence_number=line.first_sequence_number,
                        trust=trust,
                        keys=keys,
                    )
                case LinkLine() if verifier is not None:
                    verifier.read_link(_link(line))
                case SealLine() if verifier is not None:
                    token = None if line.token is None else base64.b64decode(line.token, validate=True)
                    verifier.read_seal(Seal(statement=line.statement, token=token, place=f"line {number}"))
                case _:
                    raise UsageError(f"{origin}, line {number}: the manifest is the first line, and no other")
        except (ValueError, binascii.Error, OverflowError):
            raise UsageError(f"{origin}, line {number}: a digest or a token cannot be read") from None
    if verifier is None or manifest is None:
        raise UsageError(f"{origin}: no manifest, so no exported journal")
    verifier.end(manifest.last_sequence_number, bytes.fromhex(manifest.last_chain_hash), said_by="the manifest")
    if verifier.seal_count == 0:
        verifier.find(FindingKind.MISSING_SEAL, "the file", "no seal covers any of it")
    return verifier


def records_of_export(lines: Iterable[bytes], *, origin: str) -> Iterator[AuditRecord]:
    """The records in an exported file. Raises `UsageError`, naming `origin`, for a line or record that is none."""
    for number, text in enumerate(lines, start=1):
        line = _read(text, f"{origin}, line {number}")
        if isinstance(line, LinkLine) and line.record is not None:
            try:
                yield read_record(line.record.encode("utf-8"))
            except ValueError:
                raise UsageError(f"{origin}, line {number}: not a record") from None


def _read(text: bytes, place: str) -> Line:
    if len(text) > LINE_BYTES_MAX:
        raise UsageError(f"{place}: longer than {LINE_BYTES_MAX} bytes")
    try:
        line: Line = _DECODER.decode(text)
    except msgspec.MsgspecError:
        raise UsageError(f"{place}: not a line of an exported journal") from None
    return line


def _link(line: LinkLine) -> Link:
    return Link(
        sequence_number=line.sequence_number,
        record_hash=bytes.fromhex(line.record_hash),
        chain_hash=bytes.fromhex(line.chain_hash),
        content=line.record,
    )
