"""The only parser of foreign XML: bounded, without DTD, entities, processing instructions or network.

One parse serves both the gate and the verification (SEC-18): what is judged is what was read. The options are those of
the design's measurements (libxml2 2.14): entity expansion is refused by libxml2 itself, while a DOCTYPE, a great many
attributes or a deep tree are not, so these are refused here, each by a named limit and before any work that grows with
the square of the message.
"""

from __future__ import annotations

import codecs
import re
import threading
from functools import cache
from itertools import islice
from typing import Final

from lxml import etree
from lxml.etree import _Element

from cbss_inscription.domain.errors import MalformedMessage, WsiViolation
from cbss_inscription.xml_limits import XmlLimits

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, ""),  # before UTF-16: its first two bytes are the UTF-16 mark
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSETS: Final = {
    "utf-8": ("utf-8",),
    "utf8": ("utf-8",),
    "us-ascii": ("utf-8",),
    "utf-16": ("utf-16-le", "utf-16-be"),
    "utf-16le": ("utf-16-le",),
    "utf-16be": ("utf-16-be",),
}
_XML_DECLARATION: Final = re.compile(r"<\?xml[ \t\r\n][^>]*?\?>")
_DECLARED_ENCODING: Final = re.compile(r"[ \t\r\n]encoding[ \t\r\n]*=[ \t\r\n]*[\"']([^\"']*)[\"']")
_USUAL_DECLARATIONS: Final = tuple(
    f"<?xml version={quote}1.0{quote} encoding={quote}{name}{quote}?>" for quote in "'\"" for name in ("UTF-8", "utf-8")
)
_PLAIN_BEGINNING: Final = re.compile(r"(?:<\?xml version=(?:'1\.0'|\"1\.0\")[^<>?]*\?>)?")
# Possessive: nothing is gone back to. A comment that is not closed stays outside, for libxml2 to refuse.
_PROLOG: Final = re.compile(rf"(?:{_XML_DECLARATION.pattern})?(?>(?:[ \t\r\n]+|<!--.*?-->)*)", re.DOTALL)
# To the end where there is none: what is not closed is looked for once, not from each beginning.
_NO_TAGS: Final = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)", re.DOTALL)


# The fewest characters of each: what a document of its length cannot have too many of, is not looked for in it.
_TAG_CHARS: Final = len("<a>")
_ELEMENT_CHARS: Final = len("<a/>")
_ATTRIBUTE_CHARS: Final = len(' a=""')
_NAMESPACE_CHARS: Final = len(' xmlns=""')
_COMMENT_CHARS: Final = len("<!---->")
_LEVELS_KNOWN: Final = 2  # the root, and the element whose start tag is the last of what is known

DEFAULT_LIMITS: Final = XmlLimits()


def parse(data: bytes, *, charset: str | None, limits: XmlLimits = DEFAULT_LIMITS) -> _Element:
    """The root element of a foreign document that keeps within the limits.

    `charset` is the parameter of the Content-Type, None when it has none. UTF-8, or UTF-16 by its mark or charset, and
    nothing else (SEC-27); where charset or mark decide, the encoding named in the XML declaration is ignored (WS-I
    Basic Profile R1019). Comments are kept, for the gate to judge where they stand (SEC-20).

    Raises MalformedMessage (not well-formed, encoding, size or shape) and WsiViolation (DOCTYPE R1008, processing
    instruction R1009). Neither carries any text of the message.
    """
    return parse_text(decode(data, charset=charset, limits=limits), limits=limits)


def decode(data: bytes, *, charset: str | None, limits: XmlLimits = DEFAULT_LIMITS) -> str:
    """The characters of a foreign document that is not too long, its mark apart; see `parse`."""
    if len(data) > limits.size_bytes_max:
        raise MalformedMessage("size")
    return _decode(data, charset)


def parse_text(text: str, *, limits: XmlLimits = DEFAULT_LIMITS, known_chars: int = 0) -> _Element:
    """The root element of what `decode` gave; see `parse`.

    `known_chars` says how many of the characters need not be looked at again: up to the end of a start tag of the
    second level, all is written like a document that kept within these limits, but for texts and values that keep
    within them too.
    """
    is_plain = _is_plain(text, known_chars)
    if not is_plain:
        _refuse_in_prolog(text)
    _refuse_floods(text, limits)
    root = _parse_utf8(text.encode())
    if not is_plain:
        _refuse_beside_elements(root, limits)
    is_shallow = _is_surely_shallow(text, limits, known_chars) or not _deeper_than(limits.depth_max)(root)
    if not is_shallow or not _tags_are_surely_within(text, limits, known_chars):
        _check_shape(root, limits, size_chars=len(text))
    return root


def _is_plain(text: str, known_chars: int = 0) -> bool:
    """Whether a document, if it is one of XML 1.0, has elements and text only: without `!` and `?` there is no more."""
    declaration_chars = known_chars
    if not declaration_chars:
        beginning = _PLAIN_BEGINNING.match(text)
        assert beginning is not None  # it may be empty
        declaration_chars = beginning.end()
    return text.find("!", known_chars) < 0 and text.find("?", declaration_chars) < 0


def _is_surely_shallow(text: str, limits: XmlLimits, known_chars: int) -> bool:
    """Whether there are fewer elements than there may be levels; False says nothing."""
    return bool(known_chars) and _LEVELS_KNOWN + _starts(text, known_chars) <= limits.depth_max


def _refuse_beside_elements(root: _Element, limits: XmlLimits) -> None:
    """Refuses a DOCTYPE, another version of XML, processing instructions, and a great many comments."""
    docinfo = root.getroottree().docinfo
    # The prolog was read by hand above; this is libxml2's own word for it, so that a difference cannot matter.
    if docinfo.internalDTD is not None or docinfo.externalDTD is not None:
        raise WsiViolation("doctype")
    if docinfo.xml_version != "1.0":
        raise MalformedMessage("xml-version")
    if next(root.iter(etree.PI), None) is not None or next(root.itersiblings(etree.PI), None) is not None:
        raise WsiViolation("processing-instruction")
    for comments in (root.iter(etree.Comment), root.itersiblings(etree.Comment)):
        if next(islice(comments, limits.comments_max, None), None) is not None:
            raise MalformedMessage("comments")


def parse_canonical(data: bytes) -> _Element:
    """The root element of canonical XML that this program produced itself, out of a document that passed `parse`.

    Nothing is measured again: canonical bytes have no DOCTYPE and no more nodes than the document they came from.
    Raises MalformedMessage when the bytes are not well-formed on their own.
    """
    return _parse_utf8(data)


class _Parsers(threading.local):
    """The parser of each thread: lxml's parsers hold a lock."""

    def __init__(self) -> None:
        self.parser = _new_parser()


def _new_parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="UTF-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        collect_ids=False,
        recover=False,
    )


_parsers: Final = _Parsers()


def _parse_utf8(data: bytes) -> _Element:
    try:
        return etree.fromstring(data, _parsers.parser)
    except (etree.XMLSyntaxError, ValueError):
        # With the parser goes its error log, which quotes the document. `from None`: libxml2's message does, too, and
        # that belongs in no log (SEC-74).
        _parsers.parser = _new_parser()
        raise MalformedMessage("not-well-formed") from None


def _decode(data: bytes, charset: str | None) -> str:
    encoding: str | None = None
    mark = b""
    if not data.startswith(b"<"):
        for bom, name in _BOMS:
            if data.startswith(bom):
                encoding, mark = name, bom
                break
    if charset is not None:
        allowed = _CHARSETS.get(charset.strip().strip('"').lower())
        if allowed is None or (encoding is not None and encoding not in allowed):
            raise MalformedMessage("encoding")
        if encoding is None:
            if len(allowed) > 1:  # "utf-16" leaves the byte order to the mark
                raise MalformedMessage("encoding")
            encoding = allowed[0]
    if encoding == "":
        raise MalformedMessage("encoding")
    try:
        text = data[len(mark) :].decode(encoding or "utf-8", "strict")
    except UnicodeDecodeError:
        raise MalformedMessage("encoding") from None
    if encoding is None and not text.startswith(_USUAL_DECLARATIONS):
        # Neither charset nor mark: the declaration is the sender's only word, and may not contradict our reading.
        declaration = _XML_DECLARATION.match(text)
        named = _DECLARED_ENCODING.search(declaration[0]) if declaration else None
        if named and named[1].lower() not in ("utf-8", "utf8", "us-ascii"):
            raise MalformedMessage("encoding")
    return text


def _refuse_in_prolog(text: str) -> None:
    """Refuses a DOCTYPE or processing instruction before libxml2 reads it.

    An internal DTD can give every element thousands of default attributes; the check after the parse comes too late for
    those. This reads only what stands before the root element and can only refuse, so it is no second parser (SEC-18).
    """
    prolog = _PROLOG.match(text)
    assert prolog is not None  # it may be empty
    if text.startswith("<?", prolog.end()):
        raise WsiViolation("processing-instruction")
    if text.startswith("<!DOCTYPE", prolog.end()):
        raise WsiViolation("doctype")


def _refuse_floods(text: str, limits: XmlLimits) -> None:
    """Refuses what has more tags or comments than is allowed, before libxml2 builds a tree of them.

    An element has at most two tags, and besides tags `<` stands only in comments, CDATA and processing instructions.
    Nearly every document shows by its mere number of `<` that there is nothing to look for. This only counts and can
    only refuse; elements and comments themselves are counted in the tree (SEC-18, SEC-22).
    """
    tags_max = 2 * limits.elements_max
    if len(text) <= min(_TAG_CHARS * tags_max, _COMMENT_CHARS * limits.comments_max):
        return
    if text.count("<!--") > limits.comments_max:
        comments = (found for found in _NO_TAGS.finditer(text) if text.startswith("<!--", found.start()))
        if next(islice(comments, limits.comments_max, None), None) is not None:
            raise MalformedMessage("comments")
    if text.count("<") > tags_max and _NO_TAGS.sub("", text).count("<") > tags_max:
        raise MalformedMessage("elements")


def _tags_are_surely_within(text: str, limits: XmlLimits, known_chars: int = 0) -> bool:
    """Whether the characters alone show that no limit of `_check_shape` but the depth is passed; False says nothing.

    A well-formed tag holds no `<`, so that each is the beginning of a piece of its own, and ends with the last `>` of
    the piece at the latest. Few pieces are longer than a tag that has no room for anything excessive; only these are
    looked at. What is counted is never less than what there is: whatever stands in a comment or a text counts too.
    """
    per_element_max = min(limits.attributes_per_element_max, limits.namespaces_per_element_max)
    pieces = text[known_chars:].split("<")
    if (
        # A CDATA section divides a text into pieces; a comment is a text of its own.
        (len(text) > limits.text_chars_max and ("<!" in text or max(map(len, pieces)) > limits.text_chars_max))
        or (len(text) > _ELEMENT_CHARS * limits.elements_max and _starts(text) > limits.elements_max)
        or (len(text) > _ATTRIBUTE_CHARS * limits.attributes_max and text.count("=") > limits.attributes_max)
        or (len(text) > _NAMESPACE_CHARS * limits.namespaces_max and text.count("xmlns") > limits.namespaces_max)
    ):
        return False
    chars = min(_ATTRIBUTE_CHARS * per_element_max, limits.name_chars_max, limits.value_chars_max)
    for tag in [piece[: piece.rfind(">")] for piece in pieces if len(piece) > chars]:
        if len(tag) > limits.value_chars_max or tag.count("=") > per_element_max:
            return False
        # Where quotation marks separate, a name has a part of its own.
        if len(tag) > limits.name_chars_max and max(map(len, tag.replace("'", '"').split('"'))) > limits.name_chars_max:
            return False
    return True


def _starts(text: str, known_chars: int = 0) -> int:
    """How many tags, at most, are no end tags."""
    return text.count("<", known_chars) - text.count("</", known_chars)


def _check_shape(root: _Element, limits: XmlLimits, *, size_chars: int) -> None:
    """Looks at every node once for each kind of limit and stops at the first that is passed (SEC-21..25).

    Namespaces come before names: a URI is measured before the first `tag` that repeats it is built. What a document of
    this length cannot have, a longer value or text than it is itself, is not looked for.
    """
    _check_namespaces(root, limits)
    if _deeper_than(limits.depth_max)(root):
        raise MalformedMessage("depth")
    values_may_be_long = size_chars > limits.value_chars_max
    name_chars_max = limits.name_chars_max
    attributes = 0
    for elements, element in enumerate(root.iter(etree.Element), start=1):
        if elements > limits.elements_max:
            raise MalformedMessage("elements")
        attributes_here = len(element.attrib)  # the cheap way; reading their values is quadratic
        if attributes_here:
            attributes += attributes_here
            if attributes_here > limits.attributes_per_element_max or attributes > limits.attributes_max:
                raise MalformedMessage("attributes")
            if values_may_be_long and max(map(len, element.values())) > limits.value_chars_max:
                raise MalformedMessage("value-length")
            for name in element.keys():  # noqa: SIM118  # an element is no dictionary
                if len(name) > name_chars_max:
                    _check_local_name(name, limits)
        name = str(element.tag)
        if len(name) > name_chars_max:
            _check_local_name(name, limits)
    if size_chars > limits.text_chars_max:
        for node in root.iter():
            if max(len(node.text or ""), len(node.tail or "")) > limits.text_chars_max:
                raise MalformedMessage("text-length")


def _check_local_name(name: str, limits: XmlLimits) -> None:
    # The namespace URI before the brace has a limit of its own.
    if len(name.rpartition("}")[2]) > limits.name_chars_max:
        raise MalformedMessage("name-length")


@cache
def _deeper_than(depth: int) -> etree.XPath:
    """Whether a document has an element inside so many others: libxml2 follows the levels, one by one."""
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")


def _check_namespaces(root: _Element, limits: XmlLimits) -> None:
    """Counts the declarations themselves; `nsmap` would gather those of all ancestors for every element (SEC-24)."""
    namespaces = 0
    for _, declaration in etree.iterwalk(root, events=("start-ns",)):
        assert isinstance(declaration, tuple)
        prefix, uri = declaration
        namespaces += 1
        if namespaces > limits.namespaces_max:
            raise MalformedMessage("namespaces")
        if len(prefix) > limits.name_chars_max:
            raise MalformedMessage("name-length")
        if len(uri) > limits.value_chars_max:
            raise MalformedMessage("value-length")
    if namespaces <= limits.namespaces_per_element_max:
        return
    namespaces_here = 0
    for event, _ in etree.iterwalk(root, events=("start", "start-ns")):  # an element's declarations come before it
        namespaces_here = namespaces_here + 1 if event == "start-ns" else 0
        if namespaces_here > limits.namespaces_per_element_max:
            raise MalformedMessage("namespaces")
