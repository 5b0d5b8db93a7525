"""Headers that read like one that was verified before: their values alone are read, the grammar is not gone through.

The grammar (`gate`) has read one message of each form, under the same policy, and the message was genuine. What differs
in another message of that form are values, and each of them is judged here as the grammar judges it. What has a value
that is not good, or is not written plainly, is not known: the grammar reads it, and refuses it with its own word. So
nothing is refused here, and what is found is what the grammar finds.

SignedInfo, token and timestamp differ by the same values in their canonical forms. These were learnt from libxml2, with
a mark in each place, and have the values where the marks stood: an id, an instant and base64 without a carriage return
are in a canonical form as they are in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec
from lxml.etree import _Element

from cbss_inscription import names, safe_xml
from cbss_inscription.domain.errors import NotAuthenticated
from cbss_inscription.security import gate
from cbss_inscription.security.c14n import canonical
from cbss_inscription.security.gate import Addressing, GatedMessage, Reference
from cbss_inscription.security.header_forms import HeaderForm
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.stations import Station

KNOWN_HEADERS_MAX: Final = 32
"""Headers whose form is remembered; a service sees as many as its callers have stacks, or releases of them."""
KNOWN_TOKENS_MAX: Final = 128
"""Tokens whose bytes are remembered: some 4 MB where a flood of the longest ones has filled it."""

_FIRST_MARK: Final = "\uf900"
_MARK: Final = re.compile("([\uf900-\ufaff])")
"""Characters for places: good for a name, and the same in any form of a document."""
_END_OF_ID: Final = re.compile(r"=(?<=[Dd \t\r\n]=)")
"""Without it in a text there is no attribute in it that could be taken for an id."""
_NO_ADDRESSING: Final = Addressing()

_Filling = Callable[[Sequence[str]], tuple[str, ...]]


class _Reference(NamedTuple):
    """Where the id and the digest in a Reference stand, and the PrefixList that it has."""

    target: int
    digest: int
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _KnownHeader:
    """How a header was written that the grammar accepted under this policy, and what follows from its form alone.

    Numbers are those of places, but for `…_at`, which say where an element stands in the one around it.
    """

    policy: SecurityPolicy
    form: HeaderForm
    token: int
    token_id: int
    token_at: int
    timestamp_id: int
    timestamp_at: int
    created: int
    expires: int
    body_id: int
    signature_at: int
    references: tuple[_Reference, ...]
    signature_value: int
    key_target: int
    signed_info_prefixes: tuple[str, ...]
    signature_algorithm: str
    has_value_type: bool
    prefixes: tuple[tuple[str, ...], tuple[str, ...]]
    """The PrefixLists that the canonical forms of token and timestamp were made with."""
    texts: tuple[str, ...]
    """What stands between the values in the canonical forms."""
    fill_signed_info: _Filling
    """Takes the values, then the texts, and gives those that its canonical form is made of, in their order."""
    fill_token: _Filling
    fill_timestamp: _Filling

    def read(self, text: str) -> KnownMessage | None:
        """What the values of a message say, if it has this form and each of them is good."""
        found = self.form.values(text)
        if found is None:
            return None
        values, chars = found
        ids = [values[place] for place in self.form.ids]
        if len(set(ids)) != len(ids) or not all(map(gate.ID.fullmatch, ids)):
            return None
        token, token_id = values[self.token], values[self.token_id]
        # No text before the Body is longer than all of it.
        if len(token) > self.policy.token_size_chars_max or chars > self.policy.xml_limits.text_chars_max:
            return None
        timestamp_id, body_id = values[self.timestamp_id], values[self.body_id]
        named = {values[reference.target]: reference for reference in self.references}
        if named.keys() != {token_id, timestamp_id, body_id} or values[self.key_target] != token_id:
            return None
        references = (named[token_id], named[timestamp_id], named[body_id])
        if (references[0].prefixes, references[1].prefixes) != self.prefixes:
            return None
        digests = [values[reference.digest] for reference in references]
        if "\r" in token or any("\r" in digest for digest in digests):
            return None
        pieces = (*values, *self.texts)
        try:
            return KnownMessage(
                header=self,
                text=text,
                chars=chars,
                certificate_der=_decode_token(token),
                created=gate.read_instant(values[self.created]),
                expires=gate.read_instant(values[self.expires]),
                signature_value=gate.decode_base64(values[self.signature_value], "signature-base64"),
                signed_info="".join(self.fill_signed_info(pieces)).encode(),
                token="".join(self.fill_token(pieces)).encode(),
                timestamp="".join(self.fill_timestamp(pieces)).encode(),
                references=references,
                digests=[gate.decode_digest(digest) for digest in digests],
            )
        except NotAuthenticated:
            return None


@lru_cache(maxsize=KNOWN_TOKENS_MAX)
def _decode_token(text: str) -> bytes:
    return gate.decode_base64(text, "token-base64")


class KnownMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose beginning has a known form and good values; its Body is still to be looked at.

    Its `__repr__` shows nothing of it.
    """

    header: _KnownHeader
    text: str
    chars: int
    """How many characters are accounted for: up to the end of the Body's start tag."""
    certificate_der: bytes
    created: datetime
    expires: datetime
    signature_value: bytes
    signed_info: bytes
    """The canonical form, as of the next two."""
    token: bytes
    timestamp: bytes
    references: tuple[_Reference, _Reference, _Reference]
    """To token, timestamp and Body."""
    digests: list[bytes]
    """Of the same."""

    def __repr__(self) -> str:
        return "<KnownMessage>"

    def gate(self, root: _Element) -> GatedMessage | None:
        """What the grammar finds in the message, whose tree `root` is; None where it would refuse, or might."""
        if len(root) != 2:  # Header and Body
            return None
        header, body = root
        if len(body) != 1 or next(body.iter(*gate.FOREIGN), None) is not None:
            return None
        content = body[0]
        if not gate.is_qualified(content) or content.get(names.SOAP_ENCODING_STYLE) is not None:
            return None
        if any(text is not None and text.strip(gate.BLANKS) for text in (body.text, content.tail, body.tail)):
            return None
        if _END_OF_ID.search(self.text, self.chars) is not None and not gate.has_good_ids(root):
            return None
        known, security = self.header, header[0]
        to_token, to_timestamp, to_body = self.references
        token_digest, timestamp_digest, body_digest = self.digests
        return GatedMessage(
            token=Reference(
                element=security[known.token_at],
                prefixes=to_token.prefixes,
                digest=token_digest,
                canonical=self.token,
            ),
            timestamp=Reference(
                element=security[known.timestamp_at],
                prefixes=to_timestamp.prefixes,
                digest=timestamp_digest,
                canonical=self.timestamp,
            ),
            body=Reference(element=body, prefixes=to_body.prefixes, digest=body_digest),
            signed_info=security[known.signature_at][0],
            signed_info_prefixes=known.signed_info_prefixes,
            canonical_signed_info=self.signed_info,
            signature_algorithm=known.signature_algorithm,
            signature_value=self.signature_value,
            has_value_type=known.has_value_type,
            certificate_der=self.certificate_der,
            created=self.created,
            expires=self.expires,
            addressing=_NO_ADDRESSING,
        )


class KnownHeaders:
    """The forms of the headers that proved good last; what is in it changes no verdict, only what it takes."""

    def __init__(self) -> None:
        self._known: tuple[_KnownHeader, ...] = ()  # replaced as a whole, so that any thread may read it

    def stations(self, text: str, policy: SecurityPolicy) -> Generator[tuple[Station, object], None, GatedMessage]:
        """The parts of a message, from its parse to its grammar: see `safe_xml.parse_text` and `gate.stations`."""
        known = self.read(text, policy)
        root = safe_xml.parse_text(text, limits=policy.xml_limits, known_chars=0 if known is None else known.chars)
        yield Station.XML, root
        gated = None if known is None else known.gate(root)
        return gated or (yield from gate.stations(root, policy))

    def read(self, text: str, policy: SecurityPolicy) -> KnownMessage | None:
        """What is known of a message by its beginning; None leaves it to the grammar."""
        for known in self._known:
            if (known.policy is policy or known.policy == policy) and (message := known.read(text)) is not None:
                return message
        return None

    def remember(self, text: str, gated: GatedMessage, policy: SecurityPolicy) -> None:
        """Keeps the form of a message that was found genuine, if it is not known.

        Only of such: a flood of messages that nobody signed pushes no form out.
        """
        if gated.canonical_signed_info is not None:
            return
        form = HeaderForm.of(text)
        if form is None or _MARK.search(text) is not None:
            return
        if not any(one.form == form and one.policy == policy for one in self._known):
            self._known = (_learn(text, form, gated, policy), *self._known)[:KNOWN_HEADERS_MAX]


def _learn(text: str, form: HeaderForm, gated: GatedMessage, policy: SecurityPolicy) -> _KnownHeader:
    """Which value stands in which place, and around which the canonical forms are: marks in the places tell."""
    found = form.values(text)
    assert found is not None  # it is this message's
    values, chars = found
    places = {chr(ord(_FIRST_MARK) + number): number for number in range(len(values))}
    texts: list[str] = []

    def filling(element: _Element, prefixes: tuple[str, ...]) -> _Filling:
        at: list[int] = []
        for piece in _MARK.split(canonical(element, prefixes).decode()):
            if piece in places:
                at.append(places[piece])
            else:
                at.append(len(values) + len(texts))
                texts.append(piece)
        return itemgetter(*at)

    signature = _parent(gated.signed_info)
    security = _parent(signature)
    token_at, timestamp_at, signature_at = map(
        security.index, (gated.token.element, gated.timestamp.element, signature)
    )
    parts = (gated.token, gated.timestamp, gated.body)
    prefixes = {part.element.get(names.WSU_ID): part.prefixes for part in parts}

    root = safe_xml.parse_canonical((form.filled(list(places)) + text[chars:]).encode())
    marked_security, body = root[0][0], root[1]
    token, timestamp = marked_security[token_at], marked_security[timestamp_at]
    signed_info, signature_value, key_info = marked_security[signature_at]
    references = []
    for reference in signed_info.iterchildren(names.DS_REFERENCE):
        target = places[reference.attrib["URI"][1:]]
        references.append(
            _Reference(target=target, digest=places[reference[-1].text or ""], prefixes=prefixes[values[target]])
        )
    return _KnownHeader(
        policy=policy,
        form=form,
        token=places[token.text or ""],
        token_id=places[token.attrib[names.WSU_ID]],
        token_at=token_at,
        timestamp_id=places[timestamp.attrib[names.WSU_ID]],
        timestamp_at=timestamp_at,
        created=places[timestamp[0].text or ""],
        expires=places[timestamp[1].text or ""],
        body_id=places[body.attrib[names.WSU_ID]],
        signature_at=signature_at,
        references=tuple(references),
        signature_value=places[signature_value.text or ""],
        key_target=places[key_info[0][0].attrib["URI"][1:]],
        signed_info_prefixes=gated.signed_info_prefixes,
        signature_algorithm=gated.signature_algorithm,
        has_value_type=gated.has_value_type,
        prefixes=(gated.token.prefixes, gated.timestamp.prefixes),
        fill_signed_info=filling(signed_info, gated.signed_info_prefixes),
        fill_token=filling(token, gated.token.prefixes),
        fill_timestamp=filling(timestamp, gated.timestamp.prefixes),
        texts=tuple(texts),
    )


def _parent(element: _Element) -> _Element:
    parent = element.getparent()
    assert parent is not None  # of any element in a Security header
    return parent
