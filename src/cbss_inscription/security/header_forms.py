"""The wording of headers that the gate accepted: what reads the same, but for its values, is of the same grammar.

A stack writes its Security header in one way: from message to message only ids, instants, digests, the signature and
the certificate change. A form is such a beginning of a message, to the end of the Security header: the characters that
stay, and the places in between. A text ends at the next `<` and an attribute's value at the next `"`, so that what
stands in a place is a text or a value and never more: messages of one form have the same elements, attributes and
namespaces.

Nothing is refused here, and nothing accepted: the gate's grammar has read one message of each form, and still reads
every value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Self

FORM_CHARS_MAX: Final = 32_768
"""A message up to the end of its Security header, in characters: twice the longest certificate by default."""

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
_HEADER_DEPTH: Final = 2  # Envelope and Header: as deep in elements as the Security header's beginning and end


class HeaderValues(NamedTuple):
    """What one message has in the places of its form; as it is written, so that no reference in it is resolved."""

    token: str
    created: str
    expires: str
    signature_value: str
    token_target: str
    """The id that the reference to the token names, without its `#`."""
    targets: tuple[str, ...]
    """The id that each Reference names, without its `#`."""
    digests: tuple[str, ...]


class _Role(StrEnum):
    """What stands in a place; a text goes by the name of its element."""

    TOKEN = "BinarySecurityToken"  # noqa: S105  # an element's name
    CREATED = "Created"
    EXPIRES = "Expires"
    SIGNATURE_VALUE = "SignatureValue"
    DIGEST = "DigestValue"
    TARGET = "Reference"
    TOKEN_TARGET = "SecurityTokenReference"  # noqa: S105  # an element's name
    ID = "Id"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderForm:
    """The characters of a message's beginning that stay, and which of the places between them has what."""

    pieces: tuple[tuple[str, str], ...]
    """The characters before each place, and the one that ends what stands there."""
    last: str
    """The characters after the last place, to the end of the Security header."""
    token: int
    created: int
    expires: int
    signature_value: int
    token_target: int
    targets: tuple[int, ...]
    digests: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> Self | None:
        """The form of a message that the gate accepted, its Security header being the first block of the first element.

        None where the message is not written plainly enough for every character to be accounted for.
        """
        scanned = _scan(text)
        if scanned is None:
            return None
        places, end = scanned
        pieces: list[tuple[str, str]] = []
        position = 0
        for place_begins, place_ends, _ in places:
            pieces.append((text[position:place_begins], text[place_ends]))
            position = place_ends
        at: dict[_Role, list[int]] = {role: [] for role in _Role}
        for index, (_, _, role) in enumerate(places):
            at[role].append(index)
        (token,), (created,), (expires,) = at[_Role.TOKEN], at[_Role.CREATED], at[_Role.EXPIRES]
        (signature_value,), (token_target,) = at[_Role.SIGNATURE_VALUE], at[_Role.TOKEN_TARGET]
        return cls(
            pieces=tuple(pieces),
            last=text[position:end],
            token=token,
            created=created,
            expires=expires,
            signature_value=signature_value,
            token_target=token_target,
            targets=tuple(at[_Role.TARGET]),
            digests=tuple(at[_Role.DIGEST]),
        )

    def values(self, text: str) -> HeaderValues | None:
        """What stands in the places of a well-formed message; None when it is not of this form."""
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
        return HeaderValues(
            values[self.token],
            values[self.created],
            values[self.expires],
            values[self.signature_value],
            values[self.token_target],
            tuple([values[at] for at in self.targets]),
            tuple([values[at] for at in self.digests]),
        )


def _scan(text: str) -> tuple[list[tuple[int, int, _Role]], int] | None:
    """Where each place begins and ends and what stands in it, and where the Security header ends."""
    places: list[tuple[int, int, _Role]] = []
    path: list[str] = []
    beginning = _BEGINNING.match(text)
    assert beginning is not None  # it may be empty
    position = beginning.end()
    while (tag := _TAG.match(text, position, FORM_CHARS_MAX)) is not None:
        position = tag.end()
        if not tag["end"]:
            path.append(tag["name"].rpartition(":")[2])
            if len(path) > _HEADER_DEPTH:
                places += _places(tag, path)
        if tag["end"] or tag["empty"]:
            path.pop()
            if len(path) == _HEADER_DEPTH:
                return places, tag.start("text")
    return None


def _places(tag: re.Match[str], path: list[str]) -> Iterator[tuple[int, int, _Role]]:
    """The places in a tag that begins an element, and in the text behind it."""
    offset = tag.start("attributes")
    for attribute in _ATTRIBUTE.finditer(tag["attributes"]):
        begins, ends = attribute.span("value")
        if attribute["name"].startswith("xmlns"):
            continue
        match attribute["name"].rpartition(":")[2]:
            case "Id":
                yield offset + begins, offset + ends, _Role.ID
            case "URI":  # of a Reference of either kind, and the gate has found a `#` in both
                role = _Role.TOKEN_TARGET if _Role.TOKEN_TARGET in path else _Role.TARGET
                yield offset + begins + 1, offset + ends, role
    if not tag["empty"] and tag["text"].strip(_BLANKS):
        yield *tag.span("text"), _Role(path[-1])
