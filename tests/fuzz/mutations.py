"""How an input is changed: bytes anywhere, XML by tree or spelling, DER by tags and lengths, text by its lines.

Each way takes an input and a source of choices and gives another input; the same choices give the same input.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from lxml import etree

from cbss_inscription import names

Mutate = Callable[[bytes, Random], bytes]

INPUT_BYTES_MAX: Final = 1_100_000
"""A little more than a message may have: what is too long has to be refused as well."""
REPEATED_MAX: Final = 5_000
"""How often one change repeats a piece, to find what grows with the square of the input."""

_TOKENS: Final = (
    *(
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        b"\xf4\x90\x80\x80",
        b"\r\n",
        b"\t",
    ),
    *(b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?x y?>", b"<!DOCTYPE x>", b"<!DOCTYPE x [<!ENTITY e 'e'>]>", b"&e;"),
    *(b"&#0;", b"&#xD800;", b"&#x1F600;", b"&amp;", b"&#13;", b'xmlns:x="urn:x"', b'xmlns="relative"', b' xml:id="x"'),
    *(b"0", b"-1", b"4294967296", b"1e999", b"NaN", b"9999-12-31", b"0000-00-00", b"24:00:00", "٣".encode(), b"#x"),
    *(b"[", b"]", b"{", b"}", b": ", b"- ", b"&a ", b"*a", b"!!python/object:x ", b"? ", b"|\n", b"<<: ", b'"', b"'''"),
)
_TEXTS: Final = (
    *("", " ", "x", "0", "-0", "00000000097", "99999999999", "2026-02-30", "2026-13-01", "10000-01-01", "2026-01-01Z"),
    *("2026-01-01+14:00", "true", "1", "\u00a0", "٣", "é" * 40, "x" * 300, "a:b", "#x", "\u202e", "\U0001d518", "\n"),
)
_TAGS: Final = (
    *(
        names.SOAP_BODY,
        names.SOAP_HEADER,
        names.SOAP_ENVELOPE,
        names.WSSE_SECURITY,
        names.WSSE_TOKEN,
        names.DS_SIGNATURE,
    ),
    *(names.WSU_TIMESTAMP, names.DS_SIGNED_INFO, names.DS_REFERENCE, names.DS_KEY_INFO, "x", "{urn:x}x"),
)
_ATTRIBUTES: Final = (
    *(names.WSU_ID, "Id", "ID", "id", "URI", "Algorithm", "ValueType", "EncodingType", "PrefixList", "type"),
    *(
        names.SOAP_ACTOR,
        names.SOAP_MUST_UNDERSTAND,
        names.SOAP_ENCODING_STYLE,
        "{http://www.w3.org/XML/1998/namespace}id",
    ),
    *("{http://www.w3.org/2001/XMLSchema-instance}nil", "{http://www.w3.org/2001/XMLSchema-instance}type"),
)


def change_bytes(data: bytes, random: Random) -> bytes:
    """The input with one piece flipped, cut, put in, copied, repeated, or everything behind a place gone."""
    if not data:
        return random.choice(_TOKENS)
    position, length = random.randrange(len(data)), random.choice((1, 1, 2, 4, 20, 200))
    piece = data[position : position + length]
    match random.randrange(7):
        case 0:
            return data[:position] + bytes([data[position] ^ (1 << random.randrange(8))]) + data[position + 1 :]
        case 1:
            return data[:position] + data[position + length :]
        case 2:
            return data[:position] + random.choice(_TOKENS) + data[position:]
        case 3:
            to = random.randrange(len(data))
            return data[:to] + piece + data[to:]
        case 4:
            return (data[:position] + piece * random.choice((2, 40, REPEATED_MAX)) + data[position:])[:INPUT_BYTES_MAX]
        case 5:
            return data[:position]
        case _:
            return data[:position] + random.randbytes(length) + data[position + length :]


# --- XML --------------------------------------------------------------------------------------------------------------


def change_tree(data: bytes, random: Random) -> bytes:
    """An XML document with an element, an attribute or a declaration changed; what is none is changed as bytes."""
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
    except (etree.XMLSyntaxError, ValueError):
        return change_bytes(data, random)
    for _ in range(random.choice((1, 1, 2, 4))):
        _change_node(root, random)
    return etree.tostring(root)[:INPUT_BYTES_MAX]


def _change_node(root: etree._Element, random: Random) -> None:
    elements = list(root.iter(etree.Element))
    element, other = random.choice(elements), random.choice(elements)
    parent = element.getparent()
    if parent is None:
        element.set(random.choice(_ATTRIBUTES), random.choice(_TEXTS[1:10]))
        return
    match random.randrange(12):
        case 0:
            parent.remove(element)
        case 1:
            element.addnext(copy.deepcopy(element))
        case 2:
            if element not in (other, *other.iterancestors()):
                other.insert(random.randrange(len(other) + 1), element)
        case 3:
            element.text = random.choice(_TEXTS)
        case 4:
            element.set(
                random.choice((*_ATTRIBUTES, *element.attrib)), random.choice((*_TEXTS[1:], *other.attrib.values()))
            )
        case 5:
            element.tag = random.choice((*_TAGS, other.tag))
        case 6:
            _swap_attributes(element, other)
        case 7:
            element.text, other.text = other.text, element.text
        case 8:
            element.insert(0, random.choice((etree.Comment("c"), etree.ProcessingInstruction("p"), etree.Element("x"))))
        case 9:
            inside = copy.deepcopy(element)
            for _ in range(random.choice((1, 30, 40))):
                wrapper = etree.Element(random.choice(("w", "{urn:w}w")))
                wrapper.append(inside)
                inside = wrapper
            parent.replace(element, inside)
        case 10:
            for number in range(random.choice((2, 33, 400))):
                element.set(f"a{number}", "1")
        case _:
            for name in list(element.attrib):
                element.attrib.pop(name)


def _swap_attributes(one: etree._Element, other: etree._Element) -> None:
    first, second = dict(one.attrib), dict(other.attrib)
    one.attrib.clear()
    other.attrib.clear()
    one.attrib.update(second)
    other.attrib.update(first)


_NAMESPACE: Final = re.compile(rb'xmlns(:\w+)?="([^"]*)"')
_TEXT: Final = re.compile(rb">([^<>&\s][^<>&]*)<")
_END_OF_TAG: Final = re.compile(rb"(?<=[\w\"])>")


def change_spelling(data: bytes, random: Random) -> bytes:
    """An XML document written otherwise: references, CDATA, another encoding, other namespaces, a DOCTYPE."""
    match random.randrange(9):
        case 0:
            return _replace(data, random, _TEXT, lambda found: b"><![CDATA[" + found[1] + b"]]><")
        case 1:
            return _replace(data, random, _TEXT, lambda found: b">" + _as_references(found[1]) + b"<")
        case 2:
            encoding = random.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037", "utf-8-sig"))
            return data.decode("utf-8", "replace").encode(encoding, "replace")
        case 3:
            uri = random.choice(
                (b"urn:x", b"", b"relative", b"http://www.w3.org/XML/1998/namespace", names.DS.encode())
            )
            return _replace(data, random, _NAMESPACE, lambda found: b"xmlns" + (found[1] or b"") + b'="' + uri + b'"')
        case 4:
            encoding_name = random.choice((b"UTF-8", b"utf-16", b"windows-1252", b"UTF-7", b"x"))
            version = random.choice((b"1.0", b"1.1"))
            return b'<?xml version="' + version + b'" encoding="' + encoding_name + b'"?>' + data
        case 5:
            doctype = random.choice(
                (b"<!DOCTYPE x>", b'<!DOCTYPE x SYSTEM "file:///x">', b"<!DOCTYPE x[<!ENTITY e 'e'>]>")
            )
            return doctype + data
        case 6:
            declared = b' xmlns:n%d="urn:n%d"' % (number := random.randrange(3), number)
            return _replace(data, random, _END_OF_TAG, lambda _: declared + b">")
        case 7:
            blank = random.choice((b"\n", b" ", b"\r\n", b"\xc2\xa0", b"<!-- c -->"))
            return _replace(data, random, _END_OF_TAG, lambda _: b">" + blank)
        case _:
            return (
                data.replace(b'"', b"'") if random.random() < 0.5 else data + random.choice((b" ", b"<x/>", b"<!---->"))
            )


def _replace(
    data: bytes, random: Random, pattern: re.Pattern[bytes], change: Callable[[re.Match[bytes]], bytes]
) -> bytes:
    """The input with one of the places that match changed."""
    found = list(pattern.finditer(data))
    if not found:
        return change_bytes(data, random)
    place = random.choice(found)
    return data[: place.start()] + change(place) + data[place.end() :]


def _as_references(text: bytes) -> bytes:
    return b"".join(b"&#%d;" % ord(character) for character in text.decode("utf-8", "replace"))


# --- DER --------------------------------------------------------------------------------------------------------------

Node = tuple[int, "bytes | list[Node]"]
"""A tag and its content: bytes, or the elements inside."""
_CONSTRUCTED: Final = 0x20
_OCTET_STRING: Final = 0x04
_DEPTH_MAX: Final = 12


def read_der(data: bytes, depth: int = 0) -> list[Node]:
    """The elements one after the other; those inside an OCTET STRING too where they are some. Raises ValueError."""
    nodes: list[Node] = []
    position = 0
    while position < len(data):
        tag, length, start = data[position], data[position + 1] if position + 1 < len(data) else 0, position + 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[start : start + size], "big")
            start += size
        end = start + length
        if tag & 0x1F == 0x1F or end > len(data) or start > len(data) or depth > _DEPTH_MAX:
            raise ValueError("not DER")
        content: bytes | list[Node] = data[start:end]
        if tag & _CONSTRUCTED:
            content = read_der(data[start:end], depth + 1)
        elif tag == _OCTET_STRING and length > 1:
            try:
                content = read_der(data[start:end], depth + 1)
            except ValueError:
                content = data[start:end]
        nodes.append((tag, content))
        position = end
    return nodes


def write_der(nodes: list[Node]) -> bytes:
    """The elements as DER, with the lengths that their contents have."""
    output = []
    for tag, content in nodes:
        data = content if isinstance(content, bytes) else write_der(content)
        if len(data) < 0x80:
            output.append(bytes([tag, len(data)]) + data)
        else:
            length = len(data).to_bytes((len(data).bit_length() + 7) // 8, "big")
            output.append(bytes([tag, 0x80 | len(length)]) + length + data)
    return b"".join(output)


def change_der(data: bytes, random: Random) -> bytes:
    """A DER structure with an element left out, doubled, moved, retagged, refilled or nested; its lengths fit again."""
    try:
        nodes = read_der(data)
    except (ValueError, IndexError):
        return change_bytes(data, random)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = list(_places(nodes))
        if not places:
            break
        _change_element(places, random)
    return write_der(nodes)[:INPUT_BYTES_MAX]


def _places(nodes: list[Node]) -> Iterator[tuple[list[Node], int]]:
    for position, (_, content) in enumerate(nodes):
        yield nodes, position
        if isinstance(content, list):
            yield from _places(content)


def _change_element(places: list[tuple[list[Node], int]], random: Random) -> None:
    inside, position = random.choice(places)
    if position >= len(inside):
        return
    tag, content = inside[position]
    match random.randrange(9):
        case 0:
            del inside[position]
        case 1:
            inside.insert(position, copy.deepcopy(inside[position]))
        case 2:
            other, place = random.choice(places)
            if place < len(other):
                moved = copy.deepcopy(other[place])
                other[place] = copy.deepcopy(inside[position])
                inside[position] = moved
        case 3:
            inside[position] = (
                random.choice((tag ^ (1 << random.randrange(8)), 0x0C, 0x13, 0x1E, 0x03, 0x05)),
                content,
            )
        case 4 | 5:
            if isinstance(content, bytes):
                inside[position] = (tag, change_bytes(content, random)[:8_192])
            else:
                random.shuffle(content)
        case 6:
            inside[position] = (tag, b"" if isinstance(content, bytes) else [])
        case 7:
            inside[position:position] = [copy.deepcopy(inside[position])] * random.choice((2, 40, 400))
        case _:
            nested: Node = inside[position]
            for _ in range(random.choice((1, 20, 60))):
                nested = (random.choice((0x30, 0x31, 0xA0)), [nested])
            inside[position] = nested


# --- text -------------------------------------------------------------------------------------------------------------


def change_lines(data: bytes, random: Random) -> bytes:
    """A text with lines left out, doubled, swapped or shifted to another column, or one of its words changed."""
    lines = data.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(6):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case 3:
            lines[one] = b" " * random.randrange(5) + lines[one].lstrip()
        case 4:
            words = lines[one].split(b" ")
            words[random.randrange(len(words))] = random.choice((*_TOKENS, *lines[other].split(b" ")))
            lines[one] = b" ".join(words)
        case _:
            lines[one] = lines[one] * random.choice((2, 400))
    return b"\n".join(lines)[:INPUT_BYTES_MAX]
