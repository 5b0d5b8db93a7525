"""Batches of synthetic declarations as files, for the tests of batches; random ones through hypothesis."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from hypothesis import strategies as st

from cbss_inscription.batch.limits import BatchLimits
from cbss_inscription.batch.reading import BatchFormat, open_batch
from cbss_inscription.contract.batch import GivenTexts
from cbss_inscription.domain.batch import BatchHeader, BatchLine, BatchParty
from cbss_inscription.domain.customer import CustomerIdentification
from cbss_inscription.domain.legal_context import LegalContext

HEADER = BatchHeader(
    sender=BatchParty(organization_identification=CustomerIdentification(sector=17, institution=1), ticket="batch-7"),
    receiver=BatchParty(organization_identification=CustomerIdentification(sector=25, institution=0)),
    legal_context=LegalContext("PCSA:SOCIAL_INQUIRY"),
    sequence_number=7,
)
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<bat:inscriptionBatchRequest xmlns:bat="http://kszbcss.fgov.be/intf/InscriptionService/batch/v1">\n'
    "<sender><ticket>batch-7</ticket><organizationIdentification><sector>17</sector><institution>1</institution>"
    "</organizationIdentification></sender>\n"
    "<receiver><organizationIdentification><sector>25</sector><institution>0</institution>"
    "</organizationIdentification></receiver>\n"
    "<legalContext>PCSA:SOCIAL_INQUIRY</legalContext>\n<sequenceNumber>7</sequenceNumber>\n<requests>\n"
)
FOOT = "</requests>\n</bat:inscriptionBatchRequest>\n"
SSIN = "00000000197"
"""Nobody's: a shape is all that a reader looks at."""
CONSULT = f"<request><declaration><consult><ssin>{SSIN}</ssin></consult></declaration></request>\n"
INSERT = (
    "<request><ticket>t-{number}</ticket><declaration><insert><ssin>" + SSIN + "</ssin><inscription>"
    "<inscriptionContext>PCSA:LIVING_WAGE</inscriptionContext><period><beginDate>2024-01-01</beginDate></period>"
    "</inscription></insert></declaration></request>\n"
)
LIMITS = BatchLimits()


class Generated:
    """A source of bytes that are made as they are read, and stored nowhere."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return b""
            self._rest = part
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


def xml_file(*requests: str, head: str = HEAD, foot: str = FOOT) -> bytes:
    """An XML batch of these requests, as they are."""
    return "".join((head, *requests, foot)).encode()


def generated_xml(line_count: int, *, last: str = "") -> Iterator[bytes]:
    """An XML batch of so many plain inserts, and the last text before its end, in pieces."""
    yield HEAD.encode()
    for first in range(1, line_count + 1, 500):
        lines = range(first, min(first + 500, line_count + 1))
        yield "".join(INSERT.format(number=number) for number in lines).encode()
    yield last.encode() + FOOT.encode()


def read_xml(data: bytes, *, limits: BatchLimits = LIMITS) -> list[BatchLine]:
    """The lines of an XML batch."""
    return list(open_batch(io.BytesIO(data), form=BatchFormat.XML, limits=limits)[1])


def read_csv(data: bytes | str, *, limits: BatchLimits = LIMITS) -> list[BatchLine]:
    """The lines of a CSV batch under `HEADER`."""
    source = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return list(open_batch(source, form=BatchFormat.CSV, limits=limits, header=HEADER)[1])


def csv_file(rows: Iterable[Iterable[str]], *, delimiter: str = ",") -> str:
    """Rows as CSV, quoted where they must be."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


# -- random declarations: mostly good, wrong in any of many ways -------------------------------------------------------

_names = st.one_of(
    st.sampled_from(["Peeters", "Zoé", "O'Brien", "Ünal-Çelik", "a b", "x" * 256]),
    st.sampled_from(["", "x" * 257, "a|b", "a<b", "a&b", "a]]>b", "a\nb", "a\tb", "é" * 256, "\u2028", "😀"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4),
)
tickets = st.one_of(
    st.sampled_from(["", "t-1", "c0ffee00-0000-4000-8000-000000000001", "x" * 36]),
    st.sampled_from(["x" * 37, "a\tb", " ", "é", 'a"b', "a,b", "a;b"]),
)
ssins = st.one_of(
    st.sampled_from([SSIN, "85073003328", "85273003328", "85473003328", "85123100197"]),
    st.sampled_from(["", "85073003398", "85673003328", "85073200028", "8507300332", "850730033281", "85.07.30-033.28"]),
    st.sampled_from(["85070000097", "85530000097", "85330000097", "٨٥٠٧٣٠٠٣٣٢٨", " 85073003328"]),
    st.text("0123456789", min_size=11, max_size=11),
)
contexts = st.one_of(
    st.sampled_from(["PCSA:LIVING_WAGE", "AA", "A 1", "x" * 64, "A+B_c:d"]),
    st.sampled_from(["", "A", "x" * 65, "-A", "A-", "A ", " A", "Aé", "A\nB"]),
)
days = st.one_of(
    st.sampled_from(["2024-01-01", "2024-02-29", "1900-12-31", "9999-12-31", "0001-01-01"]),
    st.sampled_from(["", "2023-02-29", "2024-13-01", "2024-1-1", "24-01-01", "0000-01-01", "10000-01-01"]),
    st.sampled_from(["2024-01-01Z", "2024-01-01+01:00", "-0001-01-01", " 2024-01-01", "2024-01-00", "２０２４-01-01"]),
)
birth_dates = st.sampled_from(
    ["", "1980-05-17", "1980-05-00", "1980-00-00", "1980-00-17", "1980-02-31", "1980-13-00", "0000-00-00", "3980-01-01"]
)
genders = st.sampled_from(["", "0", "1", "2", "3", "9", " 1"])
words = st.sampled_from(["insert", "update", "delete", "consult", "consult", "insert", "INSERT", ""])


@st.composite
def rows(draw: st.DrawFn) -> list[str]:
    """The fields of a line in the order of `csv_lines.COLUMNS`."""
    word = draw(words)
    often_empty = st.booleans().flatmap(lambda given: days if given else st.just(""))
    is_full = draw(st.booleans())
    return [
        draw(tickets),
        word,
        draw(ssins),
        "|".join(
            draw(st.lists(contexts, max_size=3) if word == "consult" else st.lists(contexts, min_size=1, max_size=1))
        ),
        draw(days if word in {"insert", "update"} else often_empty),
        draw(often_empty),
        draw(days if word == "update" else st.just("")),
        draw(often_empty if word == "update" else st.just("")),
        draw(_names) if is_full else "",
        "|".join(draw(st.lists(_names, max_size=15))) if is_full else "",
        draw(birth_dates) if is_full else "",
        draw(genders) if is_full else "",
    ]


def given_texts(row: list[str]) -> GivenTexts:
    """The same fields, by name."""
    contexts, given_names = (tuple(row[place].split("|")) if row[place] else () for place in (3, 9))
    return GivenTexts(row[0], row[1], row[2], contexts, *row[4:9], given_names, *row[10:])
