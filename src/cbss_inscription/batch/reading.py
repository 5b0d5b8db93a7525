"""A batch's file to its head and its lines, whatever its form."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from cbss_inscription.batch.csv_lines import CsvLines
from cbss_inscription.batch.limits import BatchLimits, Refusing
from cbss_inscription.batch.text import ByteSource, TextPieces
from cbss_inscription.batch.xml_lines import XmlLines
from cbss_inscription.domain.batch import BatchHeader, BatchLine
from cbss_inscription.domain.errors import ContentViolation, FileRejected


class BatchFormat(StrEnum):
    """How a file spells its declarations; the answers are in the same form."""

    XML = "xml"
    CSV = "csv"


def open_batch(
    source: ByteSource,
    *,
    form: BatchFormat,
    limits: BatchLimits,
    header: BatchHeader | None = None,
    refusing: Refusing | None = None,
) -> tuple[BatchHeader, Iterator[BatchLine]]:
    """The head of a batch and its lines, read as they are asked for; plain, or packed by gzip or zstd.

    `header` is what the manifest states: a CSV file has it nowhere else, and an XML file must say the same. A line that
    breaks the contract says so (`BatchLine.refused`), and `refusing` is told how; what makes the file worthless as a
    whole raises `FileRejected`, here or at the line where it is found: nothing of the file may be done before the last
    line was read.
    """
    pieces = TextPieces(source, limits)
    if form is BatchFormat.CSV:
        if header is None:
            raise FileRejected(ContentViolation("manifest-missing"))
        return header, iter(CsvLines(pieces, limits, header, refusing=refusing))
    lines = XmlLines(pieces, limits, refusing=refusing)
    if header is not None and header != lines.header:
        raise FileRejected(ContentViolation("manifest-header"))
    return lines.header, iter(lines)
