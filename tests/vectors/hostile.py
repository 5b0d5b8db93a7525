"""TV-85 to TV-99: bytes that want to cost time, memory or a connection, or to be read in two ways."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from itertools import islice, product
from typing import Final

from lxml import etree

from cbss_inscription import names
from cbss_inscription.domain.errors import (
    MalformedMessage,
    NotAuthenticated,
    SchemaViolation,
    WsdlViolation,
    WsiViolation,
)
from tests.vectors.vector import (
    ACCEPTED,
    REQUEST,
    SSIN,
    Bench,
    Expected,
    Variant,
    add,
    not_taken,
    refused,
    the,
    vectors,
    written,
)

MEBIBYTE: Final = 1_048_576
DOCTYPE: Final = refused(WsiViolation, "doctype")
SCHEMA: Final = refused(SchemaViolation, "schema")
ENCODING: Final = refused(MalformedMessage, "encoding")
_ROOT: Final = b"<soapenv:Envelope"


def _malformed(reason: str) -> Expected:
    return refused(MalformedMessage, reason)


def _with_doctype(bench: Bench, doctype: str) -> bytes:
    """The genuine message with something between its declaration and its root."""
    return bench.message.replace(_ROOT, doctype.encode() + _ROOT, 1)


def _filled(before: str, unit: str, after: str) -> str:
    """As many units as go into one mebibyte."""
    return before + unit * ((MEBIBYTE - len(before) - len(after)) // len(unit)) + after


def _with_block(bench: Bench, block: str) -> bytes:
    """The genuine message with a header block that nobody signed."""
    return bench.message.replace(b"<soapenv:Header>", b"<soapenv:Header>" + block.encode(), 1)


def _in_the_body(bench: Bench, text: str) -> bytes:
    """The genuine message with something in its operation, whose sender did not sign it."""
    return bench.message.replace(b"<criteria>", text.encode() + b"<criteria>", 1)


DTDS: Final = {
    "internal": "<!DOCTYPE x [<!ENTITY a 'b'>]>",
    "without-content": "<!DOCTYPE x>",
    "external": "<!DOCTYPE x SYSTEM 'http://127.0.0.1:9/x.dtd'>",
    "public": "<!DOCTYPE x PUBLIC '-//X//Y' 'http://127.0.0.1:9/x.dtd'>",
    "external-file": "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/hostname'>]>",
    "parameter": "<!DOCTYPE x [<!ENTITY % a SYSTEM 'http://127.0.0.1:9/x.dtd'>%a;]>",
    "parameter-file": "<!DOCTYPE x [<!ENTITY % a SYSTEM 'file:///etc/hostname'>%a;]>",
    "after-a-comment": "<!-- > --><!DOCTYPE x>",
    "default-attribute": "<!DOCTYPE x [<!ATTLIST ssin a CDATA 'b'>]>",
    "id-attribute": "<!DOCTYPE x [<!ATTLIST ssin a ID #IMPLIED>]>",
}


@vectors(85, "SEC-19")
def document_types(bench: Bench) -> Iterator[Variant]:
    """A DOCTYPE of any kind, in UTF-8 and UTF-16, before a message that is genuine: nothing is fetched for it."""
    for name, doctype in DTDS.items():
        message = _with_doctype(bench, doctype)
        yield Variant(name=name, message=message, expected=DOCTYPE)
        utf_16 = message.decode().encode("utf-16")
        yield Variant(name=f"{name}-utf-16", message=utf_16, expected=DOCTYPE, content_type="text/xml")


@vectors(86, "SEC-19")
def entity_expansion(bench: Bench) -> Iterator[Variant]:
    """Entities that grow: a billion laughs, a quadratic blow-up, one that names itself, in text and in a value."""
    laughs = "".join(f"<!ENTITY x{number} '{f'&x{number - 1};' * 10}'>" for number in range(1, 10))
    long = "x" * 50_000
    defaults = " ".join(f"a{n} CDATA QQ" for n in range(20_000))
    for name, doctype, use in (
        ("laughs", f"<!DOCTYPE x [<!ENTITY x0 'ha'>{laughs}]>", "&x9;"),
        ("quadratic", f"<!DOCTYPE x [<!ENTITY x '{long}'>]>", "&x;" * 10_000),
        ("recursive", "<!DOCTYPE x [<!ENTITY x '&y;'><!ENTITY y '&x;'>]>", "&x;"),
        (
            "default-attributes",
            f"<!DOCTYPE x [<!ATTLIST ssin {defaults}>]>",
            "",
        ),
    ):
        message = _with_doctype(bench, doctype)
        text = message.replace(SSIN.encode(), use.encode() or SSIN.encode())
        yield Variant(name=f"{name}-in-text", message=text, expected=DOCTYPE)
        value = message.replace(b"<criteria>", f'<criteria a="{use}">'.encode())
        yield Variant(name=f"{name}-in-a-value", message=value, expected=DOCTYPE)


@vectors(87, "SEC-21")
def depth(bench: Bench) -> Iterator[Variant]:
    """Elements nested 32 deep, 33, 256 and 19 000 deep."""
    below = 3  # what stands above and including the header block's first element
    for levels, expected in (
        (32, ACCEPTED),
        (33, _malformed("depth")),
        (256, _malformed("depth")),
        (257, _malformed("not-well-formed")),  # libxml2's own limit comes first
        (19_000, _malformed("not-well-formed")),  # more would be too many elements besides
    ):
        inner = levels - below
        block = '<d xmlns="urn:x">' + "<d>" * inner + "</d>" * inner + "</d>"
        yield Variant(name=f"{levels}", message=_with_block(bench, block), expected=expected)


@vectors(88, "SEC-23")
def attributes(bench: Bench) -> Iterator[Variant]:
    """An element with 32 attributes, 33, 10 000 and 65 000; a message with 40 000 and one more."""
    too_many = _malformed("attributes")
    for number, expected in ((32, ACCEPTED), (33, too_many), (10_000, too_many), (65_000, too_many)):
        names_ = " ".join(f'a{n}=""' for n in range(number))
        yield Variant(
            name=f"{number}-of-one", message=_with_block(bench, f'<x:a xmlns:x="urn:x" {names_}/>'), expected=expected
        )
    genuine = sum(len(element.attrib) for element in bench.tree().iter(etree.Element))
    many = " ".join(f'a{n}=""' for n in range(32))
    for total, expected in ((40_000, ACCEPTED), (40_001, too_many)):
        whole, rest = divmod(total - genuine, 32)
        block = (
            '<x:a xmlns:x="urn:x">'
            + f"<x:b {many}/>" * whole
            + f"<x:b {' '.join(f'a{n}=' + chr(34) * 2 for n in range(rest))}/></x:a>"
        )
        yield Variant(name=f"{total}-of-all", message=_with_block(bench, block), expected=expected)
    spread = " ".join(f'xmlns:p{n}="u:{n}" p{n}:a=""' for n in range(20_000))
    yield Variant(
        name="each-in-a-namespace", message=_with_block(bench, f"<x {spread}/>"), expected=_malformed("namespaces")
    )


@vectors(89, "SEC-24")
def namespaces(bench: Bench) -> Iterator[Variant]:
    """An element with 32 namespace declarations, 33 and 20 000; a message with 2 000 and one more."""
    too_many = _malformed("namespaces")
    for number, expected in ((32, ACCEPTED), (33, too_many), (20_000, too_many)):
        declared = " ".join(f'xmlns:p{n}="urn:{n}"' for n in range(number))
        yield Variant(name=f"{number}-of-one", message=_with_block(bench, f"<p0:x {declared}/>"), expected=expected)
    genuine = sum(1 for _ in etree.iterwalk(bench.tree(), events=("start-ns",)))
    for total, expected in ((2_000, ACCEPTED), (2_001, too_many)):
        block = '<x xmlns="urn:x">' + "<y xmlns='urn:y'/>" * (total - genuine - 1) + "</x>"
        yield Variant(name=f"{total}-of-all", message=_with_block(bench, block), expected=expected)
    nested = "".join(
        "<x " + " ".join(f'xmlns:p{n}="urn:{n}"' for n in range(level * 500, level * 500 + 500)) + ' xmlns="urn:x">'
        for level in range(20)
    )
    yield Variant(name="nested", message=_with_block(bench, nested + "</x>" * 20), expected=too_many)


@vectors(90, "SEC-09", "SEC-22")
def elements(bench: Bench) -> Iterator[Variant]:
    """A message of 20 000 elements, one more, as many as go into a mebibyte, and more than that."""
    genuine = sum(1 for _ in bench.tree().iter(etree.Element))
    for total, expected in ((20_000, ACCEPTED), (20_001, _malformed("elements"))):
        block = '<x xmlns="urn:x">' + "<y/>" * (total - genuine - 1) + "</x>"
        yield Variant(name=f"{total}", message=_with_block(bench, block), expected=expected)
    yield Variant(name="a-mebibyte", message=_filled("<a>", "<b/>", "</a>").encode(), expected=_malformed("elements"))
    yield Variant(name="a-million", message=b"<a>" + b"<b/>" * 1_000_000 + b"</a>", expected=not_taken(413))
    blanks = bench.message.ljust(MEBIBYTE)
    yield Variant(name="as-large-as-may-be", message=blanks, expected=ACCEPTED)
    yield Variant(name="a-byte-more", message=blanks + b" ", expected=not_taken(413))


@vectors(91, "SEC-25")
def lengths(bench: Bench) -> Iterator[Variant]:
    """Names of 256 characters, values of 8 192, texts of 262 144; one more of each; and far too many."""
    for number, expected in ((256, ACCEPTED), (257, _malformed("name-length")), (49_000, _malformed("name-length"))):
        long = "n" * number
        for name, block in (
            ("element", f'<x:{long} xmlns:x="urn:x"/>'),
            ("attribute", f'<x:a xmlns:x="urn:x" {long}=""/>'),
            ("prefix", f'<{long}:a xmlns:{long}="urn:x"/>'),
        ):
            yield Variant(name=f"{name}-of-{number}", message=_with_block(bench, block), expected=expected)
    for number, expected in (
        (8_192, ACCEPTED),
        (8_193, _malformed("value-length")),
        (500_000, _malformed("value-length")),
    ):
        long = "v" * number
        for name, block in (("value", f'<x:a xmlns:x="urn:x" a="{long}"/>'), ("namespace", f'<x:a xmlns:x="{long}"/>')):
            yield Variant(name=f"{name}-of-{number}", message=_with_block(bench, block), expected=expected)
    for number, expected in (
        (262_144, ACCEPTED),
        (262_145, _malformed("text-length")),
        (900_000, _malformed("text-length")),
    ):
        block = f'<x:a xmlns:x="urn:x">{"t" * number}</x:a>'
        yield Variant(name=f"text-of-{number}", message=_with_block(bench, block), expected=expected)


@vectors(92, "SEC-26")
def prefix_lists(bench: Bench) -> Iterator[Variant]:
    """PrefixLists of 33 and of 4 000 prefixes, also over many levels; tokens that are no prefixes; two lists in one."""
    size, syntax = refused(NotAuthenticated, "prefix-list-size"), refused(NotAuthenticated, "prefix-list-syntax")
    grammar = refused(NotAuthenticated, "signature-grammar")
    levels = "".join(f'<d xmlns="urn:x" xmlns:e{n}="urn:{n}">' for n in range(20)) + "</d>" * 20
    nested = REQUEST.replace(b"<criteria>", levels.encode() + b"<criteria>")
    for name, text, request, expected in (
        ("33", " ".join(f"p{n}" for n in range(33)), REQUEST, size),
        ("4000", " ".join(["p"] * 4_000), REQUEST, size),
        (
            "4000-over-levels",
            " ".join(["p"] * 4_000),
            nested,
            size,
        ),
        ("colon", "a:b", REQUEST, syntax),
        ("digit", "1a", REQUEST, syntax),
        ("other-hash", "#other", REQUEST, syntax),
        ("comma", "a,b", REQUEST, syntax),
        ("no-break-space", "a\u00a0b", REQUEST, syntax),
    ):
        for where, tag in (("signed-info", names.DS_CANONICALIZATION_METHOD), ("part", names.DS_TRANSFORM)):
            root = etree.fromstring(bench.signed(request))
            add(the(root, tag), names.EXC_INCLUSIVE_NAMESPACES, PrefixList=text)
            yield Variant(name=f"{name}-{where}", message=written(root), expected=expected)
    root = bench.tree()
    for _ in range(2):
        add(the(root, names.DS_TRANSFORM), names.EXC_INCLUSIVE_NAMESPACES, PrefixList="q")
    yield Variant(name="two-lists", message=written(root), expected=grammar)
    root = bench.tree()
    add(the(root, names.DS_TRANSFORM), names.EXC_INCLUSIVE_NAMESPACES)
    yield Variant(name="no-list", message=written(root), expected=grammar)


def _times_31(text: str) -> int:
    """The hash of a string in Java, and of many hash tables: DJBX31A."""
    value = 0
    for character in text:
        value = (value * 31 + ord(character)) & 0xFFFFFFFF
    return value


def _times_33(text: str) -> int:
    """DJBX33A."""
    value = 5_381
    for character in text:
        value = (value * 33 + ord(character)) & 0xFFFFFFFF
    return value


def _times_33_xor(text: str) -> int:
    """DJBX33X."""
    value = 5_381
    for character in text:
        value = ((value * 33) & 0xFFFFFFFF) ^ ord(character)
    return value


HASHES: Final = {"djbx31a": _times_31, "djbx33a": _times_33, "djbx33x": _times_33_xor}
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def colliding_names(kind: str, blocks: int) -> Iterator[str]:
    """All words of that many blocks, each block one of two that bring the hash from one value to the same next one."""
    hash_of = HASHES[kind]
    prefix, pairs = "", []
    for _ in range(blocks):
        seen: dict[int, str] = {}
        for letters in product(_LETTERS, repeat=3):
            block = "".join(letters)
            other = seen.setdefault(hash_of(prefix + block), block)
            if other != block:
                pairs.append((other, block))
                prefix += block
                break
    return map("".join, product(*pairs))


@vectors(93, "SEC-23")
def hash_collisions(bench: Bench) -> Iterator[Variant]:
    """Attributes, or elements, whose names have one hash in the tables of common libraries."""
    for kind, hash_of in HASHES.items():
        words = list(islice(colliding_names(kind, 12), 4_096))
        assert len({hash_of(word) for word in words}) == 1
        assert len(set(words)) == 4_096
        attributes_ = " ".join(f'{word}=""' for word in words)
        yield Variant(
            name=f"{kind}-attributes",
            message=_with_block(bench, f'<x:a xmlns:x="urn:x" {attributes_}/>'),
            expected=_malformed("attributes"),
        )
        elements_ = "".join(f"<{word}/>" for word in words)
        yield Variant(
            name=f"{kind}-elements",
            message=_with_block(bench, f'<x:a xmlns:x="urn:x">{elements_}</x:a>'),
            expected=ACCEPTED,
        )
        ids = "".join(f'<x:b Id="{word}"/>' for word in words)
        yield Variant(
            name=f"{kind}-ids", message=_with_block(bench, f'<x:a xmlns:x="urn:x">{ids}</x:a>'), expected=ACCEPTED
        )


@vectors(94, "SEC-08", "SEC-09")
def encodings_of_transfer(bench: Bench) -> Iterator[Variant]:
    """A compression bomb, any other content coding, and a message in pieces that does not end."""
    bomb = gzip.compress(bytes(16 * MEBIBYTE))
    for name, coding, message in (
        ("gzip-bomb", "gzip", bomb),
        ("gzip", "gzip", gzip.compress(bench.message)),
        ("deflate", "deflate", bench.message),
        ("brotli", "br", bench.message),
        ("gzip-twice", "gzip, gzip", gzip.compress(bomb)),
        ("unknown", "x", bench.message),
    ):
        yield Variant(name=name, message=message, content_encoding=coding, expected=not_taken(415))
    yield Variant(name="identity", message=bench.message, content_encoding="identity", expected=ACCEPTED)
    yield Variant(name="chunked", message=bench.message, chunked=True, expected=ACCEPTED)
    yield Variant(name="chunked-without-end", message=b"<a>" * MEBIBYTE, chunked=True, expected=not_taken(413))


@vectors(95, "SEC-12", "SEC-39")
def soap_arrays(bench: Bench) -> Iterator[Variant]:
    """A SOAP-encoded array that announces a thousand million items: the schema knows none, and nothing is set aside."""
    for number in (2, 1_000_000_000, 2**63):
        encoding = "http://schemas.xmlsoap.org/soap/encoding/"
        array = f'<items xmlns:e="{encoding}" e:arrayType="e:string[{number}]"><item>x</item></items>'
        request = REQUEST.replace(b"<criteria>", f"<criteria>{array}".encode())
        yield Variant(name=f"{number}", message=bench.signed(request), expected=SCHEMA)
    request = REQUEST.replace(
        b"<criteria>", b'<criteria xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="i:Array">'
    )
    yield Variant(name="type", message=bench.signed(request), expected=SCHEMA)


@vectors(96, "SEC-07")
def attachments(bench: Bench) -> Iterator[Variant]:
    """SOAP with attachments, MTOM, and xop:Include in signed parts."""
    start = b"--x\r\nContent-Type: text/xml; charset=utf-8\r\nContent-ID: <m>\r\n\r\n"
    parts = (
        start + bench.message + b"\r\n--x\r\nContent-Type: application/pdf\r\nContent-ID: <a>\r\n\r\n%PDF\r\n--x--\r\n"
    )
    for name, content_type in (
        ("swa", 'multipart/related; boundary=x; type="text/xml"; start="<m>"'),
        ("mtom", 'multipart/related; boundary=x; type="application/xop+xml"; start-info="text/xml"; start="<m>"'),
        ("form", "multipart/form-data; boundary=x"),
        ("xop-alone", "application/xop+xml"),
        ("octets", "application/octet-stream"),
        ("none", None),
    ):
        yield Variant(name=name, message=parts, content_type=content_type, expected=not_taken(415))
    xop = refused(WsiViolation, "xop")
    for name, tag in (("ssin", "ssin"), ("token", names.WSSE_TOKEN), ("digest", names.DS_DIGEST_VALUE)):
        root = bench.tree()
        element = the(root, tag)
        element.text = None
        add(element, names.qname(names.XOP, "Include"), href="cid:a")
        yield Variant(name=f"include-in-the-{name}", message=written(root), expected=xop)


@vectors(97, "SEC-19", "SEC-39", "SEC-45")
def pointers(bench: Bench) -> Iterator[Variant]:
    """XInclude, a schema's location, a style sheet, xml:base: nothing is fetched, and nothing more is signed."""
    instance = "http://www.w3.org/2001/XMLSchema-instance"
    include = '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/hostname" parse="text"/>'
    for name, request, expected in (
        ("xinclude", REQUEST.replace(SSIN.encode(), include.encode()), SCHEMA),
        (
            "schema-location",
            REQUEST.replace(
                b"<q:ConsultInscriptionsRequest",
                f'<q:ConsultInscriptionsRequest xmlns:i="{instance}" '
                'i:schemaLocation="urn:x http://127.0.0.1:9/x.xsd"'.encode(),
            ),
            ACCEPTED,
        ),
        ("xml-base", REQUEST.replace(b"<criteria>", b'<criteria xml:base="http://127.0.0.1:9/">'), SCHEMA),
    ):
        yield Variant(name=name, message=bench.signed(request), expected=expected)
    yield Variant(
        name="rebound-prefix",
        message=bench.signed(
            REQUEST.replace(b"<soapenv:Envelope ", b'<soapenv:Envelope xmlns:u="urn:genuine" ').replace(
                b"<criteria>", f'<criteria xmlns:i="{instance}" i:type="u:Type">'.encode()
            )
        ).replace(b"urn:genuine", b"urn:attacker"),
        expected=SCHEMA,
    )
    sheet = b'<?xml-stylesheet type="text/xsl" href="http://127.0.0.1:9/x.xsl"?>'
    yield Variant(
        name="style-sheet",
        message=bench.message.replace(_ROOT, sheet + _ROOT, 1),
        expected=refused(WsiViolation, "processing-instruction"),
    )


@vectors(98, "SEC-20")
def instructions_and_comments(bench: Bench) -> Iterator[Variant]:
    """Processing instructions anywhere; comments that split a value, in Security header or Body; far too many."""
    instruction = refused(WsiViolation, "processing-instruction")
    for name, message in (
        ("before-the-envelope", bench.message.replace(_ROOT, b"<?x y?>" + _ROOT, 1)),
        ("after-the-envelope", bench.message + b"<?x y?>"),
        ("in-the-header", _with_block(bench, "<?x y?>")),
        ("in-the-body", _in_the_body(bench, "<?x y?>")),
        ("in-the-ssin", bench.message.replace(SSIN.encode(), b"000<?x y?>" + SSIN[3:].encode())),
        ("php", _in_the_body(bench, "<?php x ?>")),
    ):
        yield Variant(name=f"instruction-{name}", message=message, expected=instruction)
    for name, tag, expected in (
        ("ssin", "ssin", refused(WsiViolation, "comment")),
        ("legal-context", "legalContext", refused(WsiViolation, "comment")),
        ("security", names.WSSE_SECURITY, refused(NotAuthenticated, "comment")),
        ("token", names.WSSE_TOKEN, refused(NotAuthenticated, "comment")),
        ("created", names.WSU_CREATED, refused(NotAuthenticated, "comment")),
        ("signature", names.DS_SIGNATURE, refused(NotAuthenticated, "comment")),
    ):
        root = bench.tree()
        element = the(root, tag)
        comment = etree.Comment("")
        text = element.text or ""
        element.text, comment.tail = text[:3], text[3:]
        element.insert(0, comment)
        # comments are not digested: the signature is as good as before
        yield Variant(name=f"comment-in-the-{name}", message=written(root), expected=expected)
    for number, expected in ((1_000, ACCEPTED), (1_001, _malformed("comments"))):
        block = '<x:a xmlns:x="urn:x">' + "<!---->" * number + "</x:a>"
        yield Variant(name=f"{number}-comments", message=_with_block(bench, block), expected=expected)


@vectors(99, "SEC-18", "SEC-27")
def wrong_encodings(bench: Bench) -> Iterator[Variant]:
    """Any other encoding, a contradiction between mark, charset and declaration, bytes that are not what they say."""
    text = bench.message.decode()
    undeclared = text.partition("?>")[2].lstrip()
    for name, message, charset in (
        ("windows-1252-charset", bench.message, "windows-1252"),
        ("latin-1-charset", bench.message, "iso-8859-1"),
        ("utf-7", undeclared.encode("utf-7"), "utf-7"),
        ("utf-32", codecs.BOM_UTF32_LE + text.encode("utf-32-le"), None),
        ("utf-32-big-endian", codecs.BOM_UTF32_BE + text.encode("utf-32-be"), None),
        ("utf-16-charset-of-utf-8", codecs.BOM_UTF8 + bench.message, "utf-16"),
        ("utf-8-charset-of-utf-16", codecs.BOM_UTF16_BE + text.encode("utf-16-be"), "utf-8"),
        ("little-endian-charset-of-big", codecs.BOM_UTF16_BE + text.encode("utf-16-be"), "utf-16le"),
        ("utf-16-without-mark", text.encode("utf-16-be"), "utf-16"),
        ("declared-windows-1252", bench.message.replace(b"UTF-8", b"windows-1252"), None),
        ("declared-utf-16", bench.message.replace(b"UTF-8", b"UTF-16"), None),
        ("overlong", bench.message.replace(SSIN.encode(), b"\xc0\xb0" * 11), "utf-8"),
        ("surrogate", bench.message.replace(SSIN.encode(), b"\xed\xa0\x80"), "utf-8"),
        ("beyond-unicode", bench.message.replace(SSIN.encode(), b"\xf4\x90\x80\x80"), "utf-8"),
        ("latin-1-bytes", bench.message.replace(SSIN.encode(), b"\xe9"), "utf-8"),
        ("unknown-charset", bench.message, "x-unknown"),
    ):
        content_type = "text/xml" if charset is None else f"text/xml; charset={charset}"
        yield Variant(name=name, message=message, expected=ENCODING, content_type=content_type)
    malformed = _malformed("not-well-formed")
    for name, message, expected in (
        ("ebcdic", undeclared.encode("cp037"), ENCODING),
        ("null", bench.message.replace(SSIN.encode(), b"\x00"), malformed),
        ("empty", b"", malformed),
        ("blanks", b" " * 64, malformed),
        ("cut", bench.message[:-9], malformed),
        ("text-behind", bench.message + b"x", malformed),
        ("two-envelopes", bench.message + undeclared.encode(), malformed),
        ("undefined-entity", _in_the_body(bench, "&x;"), malformed),
        ("xml-1.1", bench.message.replace(b"version='1.0'", b"version='1.1'"), _malformed("xml-version")),
        ("element-declaration", bench.message.replace(_ROOT, b"<!ELEMENT x ANY>" + _ROOT, 1), malformed),
        ("json", b'{"ssin": "x"}', malformed),
    ):
        yield Variant(name=name, message=message, expected=expected)
    unknown = REQUEST.replace(b"ConsultInscriptionsRequest", b"Ping")
    yield Variant(name="unknown-operation", message=bench.signed(unknown), expected=refused(WsdlViolation, "operation"))
