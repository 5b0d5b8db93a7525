"""What to do about a batch that was refused, or would be: words for what the service gives as its reason."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from cbss_inscription.batch.csv_lines import COLUMNS

FILE_NAME_ADVICE: Final = "give it a name of letters, digits and . _ - that begins with a letter or digit, 128 at most"
_WRONG: Final[Mapping[str, str]] = MappingProxyType(
    {
        "compression": "what it is packed in is damaged: pack it again",
        "csv": "a quote is not closed, or text stands behind a closed one",
        "csv-columns": f"the first line is to name the columns, with commas or semicolons: {', '.join(COLUMNS)}",
        "doctype": "a DOCTYPE is not allowed",
        "encoding": "this is not UTF-8, which it must be",
        "inflation": "it is packed more tightly than the service takes",
        "lines": "there are more declarations than the service takes in one batch",
        "manifest-header": "its head is not what its manifest says: sign it again",
        "not-well-formed": "the XML is broken there",
        "schema": "the schema does not allow that, or there is no declaration in it",
        "size": "that is larger than the service takes",
        "truncated": "it was cut off: pack it again, and send all of it",
    }
)
"""What is wrong with a file."""
_ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "answers-forgotten": "it was answered before, too long ago for the answers to be kept",
        "batch-sender": "the application may do nothing for the organisation that the batch names as its sender",
        "batch-used": "another application, or under another legal context, sent this very file",
        "manifest-file": "the file is not the one that was signed; sign it and send it again",
        "file-missing": "the manifest came without its file; put the file there first",
    }
)
_SEQUENCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sequence-gap": "send those first that are missing, or sign this file with that number",
        "sequence-used": "another file had this one; if this file is new, sign it with that number",
    }
)


def what_is_wrong(reason: str) -> str:
    """What is wrong with a file, in words; an empty text where the reason is no word for that."""
    return _WRONG.get(reason, "")


def refusal_text(refusal: dict[str, Any]) -> str:
    """Why a file was refused, where in it, and what to do."""
    reason = refusal.get("reason") or ""
    said = [f"{refusal['code']} {reason}".strip()]
    said += [f"{what} {refusal[what]}" for what in ("line", "declaration") if refusal.get(what)]
    if (expected := refusal.get("expected_sequence_number")) is not None:
        advice = f"the sender's next batch is number {expected}: {_SEQUENCE.get(reason, 'sign it with that number')}"
    elif refusal["code"] == "SOA-01001":
        advice = "the certificate or the signature is not accepted, or it was signed too long ago"
    elif reason in _ADVICE:
        advice = _ADVICE[reason]
    else:
        wrong = what_is_wrong(reason)
        advice = (
            f"mend the file{f' ({wrong})' if wrong else ''}, see `batch check`, and send it again with the same number"
        )
    return f"{', '.join(said)}: {advice}"
