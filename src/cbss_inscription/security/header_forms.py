"""The wording of messages up to their Body: what reads the same, but for its values, has the same elements there.

A stack writes its Security header in one way: from message to message only ids, instants, digests, the signature and
the certificate change. A form is such a beginning of a message, to the end of the Body's start tag: the characters that
stay, and the places in between. A text ends at the next `<` and an attribute's value at the next `"`, so that what
stands in a place is a text or a value and never more: well-formed messages of one form have the same elements,
attributes and namespaces.

Nothing is refused here, and nothing accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

FORM_CHARS_MAX: Final = 32_768
"""A message up to its Body, in characters: twice the longest certificate by default."""
ID_LOCAL_NAMES: Final = frozenset({"Id", "ID", "id", "iD", "AssertionID"})
"""What attributes are called that could be taken for an id."""

# What a form can be made of: tags with the text behind each, no comment, reference or CDATA section among them, every
# value in quotation marks and without a `>`. Whatever is written otherwise has no form.
_BEGINNING: Final = re.compile(r"(?:<\?xml [^<>?]*\?>)?[ \t\r\n]*")
_TAG: Final = re.compile(
    r"""<(?P<end>/?)(?P<name>[^\s<>/"'=&!?]+)"""
    r"""(?P<attributes>(?:[ \t\r\n]+[^\s<>/"'=&]+="[^<>"'&]*")*)[ \t\r\n]*(?P<empty>/?)>"""
    r"""(?P<text>[^<>"'&]*)"""
)
_ATTRIBUTE: Final = re.compile(r'(?P<name>[^\s="]+)="(?P<value>[^"]*)"')
_BLANKS: Final = " \t\r\n"
_CHILD, _BLOCK = 2, 3  # how deep in elements Header and Body are, and the blocks of the Header


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderForm:
    """The characters of a message's beginning that stay; in the places between them are values."""

    pieces: tuple[tuple[str, str], ...]
    """The characters before each place, and the one that ends what stands there."""
    last: str
    """The characters after the last place, to the end of the Body's start tag."""
    ids: tuple[int, ...]
    """Which of the places have the attributes that could be taken for an id: all that there are in the beginning."""

    @classmethod
    def of(cls, text: str) -> Self | None:
        """The form of a message that the gate accepted, if its Header has a Security header and no other block.

        None where the message is not written plainly enough for every character to be accounted for.
        """
        scanned = _scan(text)
        if scanned is None:
            return None
        places, end = scanned
        pieces: list[tuple[str, str]] = []
        position = 0
        for begins, ends, _ in places:
            pieces.append((text[position:begins], text[ends]))
            position = ends
        ids = tuple(number for number, (_, _, is_id) in enumerate(places) if is_id)
        return cls(pieces=tuple(pieces), last=text[position:end], ids=ids)

    def values(self, text: str) -> tuple[list[str], int] | None:
        """What stands in the places of a well-formed message, as it is written, and where its Body's start tag ends.

        None when it is not of this form. Of what is not well-formed nothing that is told here means anything.
        """
        values: list[str] = []
        position = 0
        for piece, end in self.pieces:
            if not text.startswith(piece, position):
                return None
            position += len(piece)
            place_ends = text.find(end, position)
            values.append(text[position:place_ends])
            position = place_ends
        if not text.startswith(self.last, position):
            return None
        return values, position + len(self.last)

    def filled(self, values: Sequence[str]) -> str:
        """The beginning with these values in its places."""
        return "".join(piece + value for (piece, _), value in zip(self.pieces, values, strict=True)) + self.last


def _scan(text: str) -> tuple[list[tuple[int, int, bool]], int] | None:
    """Where each place begins and ends and whether an id stands in it, and where the Body's start tag ends."""
    places: list[tuple[int, int, bool]] = []
    depth = children = blocks = 0
    beginning = _BEGINNING.match(text)
    assert beginning is not None  # it may be empty
    position = beginning.end()
    while (tag := _TAG.match(text, position, FORM_CHARS_MAX)) is not None:
        position = tag.end()
        if not tag["end"]:
            depth += 1
            children += depth == _CHILD
            blocks += depth == _BLOCK
            if blocks > 1:  # may be different each time
                return None
            places += _values(tag, is_block=depth >= _BLOCK)
            if children > 1:  # after the Header, the Body
                return places, tag.start("text")
            if not tag["empty"] and tag["text"].strip(_BLANKS):
                places.append((*tag.span("text"), False))
        if tag["end"] or tag["empty"]:
            depth -= 1
    return None


def _values(tag: re.Match[str], *, is_block: bool) -> Iterator[tuple[int, int, bool]]:
    """The places in a tag that begins an element."""
    offset = tag.start("attributes")
    for attribute in _ATTRIBUTE.finditer(tag["attributes"]):
        begins, ends = attribute.span("value")
        prefix, _, local_name = attribute["name"].rpartition(":")
        if prefix == "xmlns":
            continue
        if local_name in ID_LOCAL_NAMES:
            yield offset + begins, offset + ends, True
        elif is_block and attribute["name"] == "URI":  # of a Reference of either kind, and the gate found a `#` in both
            yield offset + begins + 1, offset + ends, False
