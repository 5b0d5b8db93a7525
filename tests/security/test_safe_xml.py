"""The intake of foreign XML: each limit passes at its value and refuses one beyond; the hostile finish quickly."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription import safe_xml
from cbss_inscription.domain.errors import MalformedMessage, MessageRejected, WsiViolation
from cbss_inscription.safe_xml import parse, parse_canonical
from cbss_inscription.xml_limits import XmlLimits

MEBIBYTE = 1_048_576


def refusal(data, *, charset=None, **limits):
    if isinstance(data, str):
        data = data.encode()
    try:
        parse(data, charset=charset, limits=XmlLimits(**limits))
    except MessageRejected as error:
        return f"{type(error).__name__} {error.reason}"
    return "accepted"


def filled(before, unit, after):
    """As many units as go into one mebibyte."""
    return before + unit * ((MEBIBYTE - len(before) - len(after)) // len(unit)) + after


def attributes(number):
    return " ".join(f'a{n}=""' for n in range(number))


def namespaces(number, start=0):
    return " ".join(f'xmlns:p{n}="urn:{n}"' for n in range(start, start + number))


LIMITS = {
    "depth SEC-21": (lambda n: "<a>" * n + "</a>" * n, 32, "depth"),
    "elements SEC-22": (lambda n: "<a><!---->" + "<b/>" * (n - 1) + "</a>", 20_000, "elements"),
    "attributes of one element SEC-23": (lambda n: f"<a {attributes(n)}/>", 32, "attributes"),
    "namespaces of one element SEC-24": (lambda n: f"<a {namespaces(n)}/>", 32, "namespaces"),
    "length of an element's name SEC-25": (lambda n: f"<{'n' * n}/>", 256, "name-length"),
    "length of an attribute's name SEC-25": (lambda n: f"<a {'n' * n}=''/>", 256, "name-length"),
    "length of a qualified attribute's name SEC-25": (
        lambda n: f"<a xmlns:p='urn:p' p:{'n' * n}=''/>",
        256,
        "name-length",
    ),
    "length of a prefix SEC-25": (lambda n: f"<{'p' * n}:a xmlns:{'p' * n}='urn:p'/>", 256, "name-length"),
    "length of a value SEC-25": (lambda n: f"<a b='{'v' * n}'/>", 8_192, "value-length"),
    "length of a namespace URI SEC-25": (lambda n: f"<a xmlns='{'u' * n}'/>", 8_192, "value-length"),
    "length of a text SEC-25": (lambda n: f"<a>{'t' * n}</a>", 262_144, "text-length"),
    "length of a text after an element SEC-25": (lambda n: f"<a><b/>{'t' * n}</a>", 262_144, "text-length"),
    "length of a text after a comment SEC-25": (lambda n: f"<a><!----> {'t' * (n - 1)}</a>", 262_144, "text-length"),
    "comments before the root": (lambda n: "<!---->" * n + "<a/>", 1_000, "comments"),
    "comments inside": (lambda n: "<a>" + "<!---->" * n + "</a>", 1_000, "comments"),
    "comments after the root": (lambda n: "<a/>" + "<!---->" * n, 1_000, "comments"),
    "size SEC-09": (lambda n: "<a>" + " " * (n - 7) + "</a>", MEBIBYTE, "size"),
}


@pytest.fixture(params=["characters", "nodes"])
def shown_by(monkeypatch, request):
    """What shows that a document keeps within the limits: its characters, or each of its nodes when these do not."""
    if request.param == "nodes":
        monkeypatch.setattr(safe_xml, "_tags_are_surely_within", lambda *_: False)


@pytest.mark.usefixtures("shown_by")
@pytest.mark.parametrize("name", LIMITS)
def test_limits(name):
    """A document at a limit is read, one beyond it is not; the limit and its SEC number are in the case's name."""
    document, limit, reason = LIMITS[name]
    wide = {"text_chars_max": MEBIBYTE} if reason == "size" else {}
    assert refusal(document(limit), **wide) == "accepted"
    assert refusal(document(limit + 1), **wide) == f"MalformedMessage {reason}"


@pytest.mark.usefixtures("shown_by")
def test_sec_23_attributes_of_the_document():
    """40 000 attributes in a document are read, 40 001 are not (SEC-23)."""
    document = "<a>" + f"<b {attributes(32)}/>" * 1_250 + "{}</a>"
    assert refusal(document.replace("{}", "")) == "accepted"
    assert refusal(document.replace("{}", "<c d=''/>")) == "MalformedMessage attributes"


def test_sec_22_tags_that_are_none():
    """`<` in CDATA and comments makes no elements, however often it stands there; elements between them do (SEC-22)."""
    many = "<" * 50_000
    assert refusal(f"<?xml version='1.0'?><a><![CDATA[{many}]]></a>") == "accepted"
    assert refusal(f"<!--{many}--><a><!--{many}--></a>") == "accepted"
    assert refusal("<a>" + "<![CDATA[<]]>" * 25_000 + "</a>") == "accepted"
    assert refusal("<?xml version='1.0'?><a>" + "<b></b>" * 19_999 + "</a>") == "accepted"
    assert refusal("<a>" + "<b></b><!--<-->" * 20_001 + "</a>", comments_max=100_000) == "MalformedMessage elements"
    assert refusal("<a>" + "<![CDATA[<]]><b/>" * 20_001 + "</a>") == "MalformedMessage elements"
    assert refusal("<a><![CDATA[" + "<!--" * 20_000 + "]]></a>") == "accepted"
    assert refusal("<a>" + "<?x <?>" * 50_000 + "</a>") == "WsiViolation processing-instruction"
    assert refusal(f"<a><![CDATA[{many}</a>") == "MalformedMessage not-well-formed"
    assert refusal(f"<a><!--{many}</a>") == "MalformedMessage not-well-formed"


def test_sec_22_comments_that_are_none():
    """`<!--` in CDATA makes no comment, however often it stands there beside one that is (SEC-22)."""
    assert refusal(f"<a><!----><![CDATA[{'<!--' * 50}]]></a>", comments_max=10) == "accepted"
    assert refusal(f"<a><!----><!----><![CDATA[{'<!--' * 50}]]></a>", comments_max=1) == "MalformedMessage comments"


def test_sec_22_a_flood_of_elements_is_refused_before_it_is_read(monkeypatch):
    """More tags than the elements allowed could have: no tree is made of them (SEC-22, A13)."""
    monkeypatch.setattr(safe_xml, "_parse_utf8", None)
    assert refusal(filled("<a>", "<b/>", "</a>")) == "MalformedMessage elements"
    assert refusal(filled("<a>", "<!---->", "</a>")) == "MalformedMessage comments"
    assert refusal(f"<a>{'<b></b>' * 9}<b/>{' ' * 100}</a>", elements_max=10) == "MalformedMessage elements"


@pytest.mark.usefixtures("shown_by")
def test_sec_24_namespaces_of_the_document():
    """2 000 namespace declarations in a document are read, 2 001 are not, also as siblings (SEC-24)."""
    document = "<a>" + f"<b {namespaces(32)}/>" * 62 + f"<b {namespaces(16)}/>" + "{}</a>"
    assert refusal(document.replace("{}", "")) == "accepted"
    assert refusal(document.replace("{}", "<c xmlns='urn:x'/>")) == "MalformedMessage namespaces"


@pytest.mark.parametrize("field", XmlLimits.__struct_fields__)
def test_every_limit_can_be_set(field):
    """A limit of one unit refuses a document that has two of it (SEC-09, SEC-21..25)."""
    document = (
        "<aa xmlns:pp='urn:p' xmlns:qq='urn:q' bb='vv' cc='ww'>tt<!-- --><!-- --><bb xmlns:rr='urn:r' dd='xx'/></aa>"
    )
    assert refusal(document) == "accepted"
    assert refusal(document, **{field: 1}).startswith("MalformedMessage")


HOSTILE = {
    "elements": filled("<a>", "<b/>", "</a>"),
    "open and close": filled("<a>", "<b></b>", "</a>"),
    "depth": "<a>" * 140_000 + "</a>" * 140_000,
    "depth within the elements": "<a>" * 19_000 + "x" * 900_000 + "</a>" * 19_000,
    "attributes": f"<a {attributes(95_000)}/>",
    "attributes with namespaces": "<a " + " ".join(f'xmlns:p{n}="u:{n}" p{n}:x=""' for n in range(25_000)) + "/>",
    "attributes that collide": "<a " + " ".join(f'{chr(97 + n % 26)}{n:x}b=""' for n in range(75_000)) + "/>",
    "attributes of many": "<a>" + f"<b {attributes(32)}/>" * 3_500 + "</a>",
    "namespaces": f"<a {namespaces(40_000)}/>",
    "namespaces nested": "".join(f"<a {namespaces(150, n * 150)}>" for n in range(200)) + "</a>" * 200,
    "a long namespace repeated": f"<a xmlns='u:{'x' * 500_000}'>" + "<b/>" * 100_000 + "</a>",
    "a long namespace repeated less often": f"<a xmlns='u:{'x' * 500_000}'>" + "<b/>" * 19_000 + "</a>",
    "the longest namespace repeated": f"<a xmlns='u:{'x' * 8_000}'>" + "<b/>" * 19_000 + "</a>",
    "names": "<a>" + f"<{'n' * 49_000}/>" * 21 + "</a>",
    "one text": filled("<a>", "x", "</a>"),
    "CDATA": filled("<a>", "<![CDATA[x]]>", "</a>"),
    "character references": filled("<a>", "&#65;", "</a>"),
    "texts": filled("<a>", "<b/>x", "</a>"),
    "value": filled("<a b='", "x", "'/>"),
    "comments": filled("<a>", "<!---->", "</a>"),
    "comments before": filled("", "<!---->", "<a/>"),
    "comments after": filled("<a/>", "<!---->", ""),
    "blanks before": filled("", " ", "<a/>"),
    "processing instructions": filled("<a>", "<?x?>", "</a>"),
    "declaration": "<?xml " + "?" * 1_000_000 + "<a/>",
    "declaration of encodings": "<?xml" + " encoding" * 110_000 + "?><a/>",
    "comment without end": "<!--" + "-" * 1_000_000,
    "default attributes": f"<!DOCTYPE a [<!ATTLIST b {' '.join(f'a{n} CDATA QQ' for n in range(25_000))}>]><a>"
    + "<b/>" * 100_000
    + "</a>",
    "UTF-16": "<a>" + "<b/>" * 120_000 + "</a>",
    "many PrefixList tokens": f"<a PrefixList='{'p ' * 500_000}'/>",
}


REASONS = {
    "depth": "elements",
    "depth within the elements": "not-well-formed",  # libxml2's own limit comes first
    "attributes with namespaces": "namespaces",
    "attributes that collide": "attributes",
    "attributes of many": "attributes",
    "open and close": "elements",
    "namespaces nested": "namespaces",
    "a long namespace repeated": "elements",
    "a long namespace repeated less often": "value-length",
    "the longest namespace repeated": "accepted",
    "names": "name-length",
    "one text": "text-length",
    "CDATA": "accepted",  # one text of 80 kB
    "character references": "accepted",
    "texts": "elements",
    "value": "value-length",
    "comments before": "comments",
    "comments after": "comments",
    "blanks before": "accepted",
    "processing instructions": "processing-instruction",
    "declaration": "processing-instruction",
    "declaration of encodings": "not-well-formed",
    "comment without end": "not-well-formed",
    "default attributes": "doctype",
    "UTF-16": "elements",
    "many PrefixList tokens": "value-length",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_mebibyte(kind):
    """A hostile mebibyte is stopped by its own limit, or harmless, before work that grows with its square (SEC-21..25).

    Without the limits the same documents cost seconds and minutes: a limit that comes too late shows in the run itself.
    """
    data = HOSTILE[kind].encode("utf-16" if kind == "UTF-16" else "utf-8")[:MEBIBYTE]
    assert refusal(data).rpartition(" ")[2] == REASONS.get(kind, kind)


DOCTYPES = {
    "internal": "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
    "unused": "<!DOCTYPE a><a/>",
    "external": "<!DOCTYPE a SYSTEM 'http://127.0.0.1:9/a.dtd'><a/>",
    "external file": "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><a>&x;</a>",
    "public": "<!DOCTYPE a PUBLIC '-//X//Y' 'http://127.0.0.1:9/a.dtd'><a/>",
    "parameter entity": "<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://127.0.0.1:9/a.dtd'>%x;]><a/>",
    "after a comment": "<!-- > --><!DOCTYPE a><a/>",
    "after a declaration": "<?xml version='1.0'?>\n<!DOCTYPE a><a/>",
    "after comments": "\r\n<!---->\t<!-- <a/>\n--> <!DOCTYPE a><!----><a/>",
    "laughs": "<!DOCTYPE a [<!ENTITY x0 'ha'>"
    + "".join(f"<!ENTITY x{n} '{f'&x{n - 1};' * 10}'>" for n in range(1, 12))
    + "]><a>&x11;</a>",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("kind", DOCTYPES)
def test_sec_19_doctype(monkeypatch, kind, encoding):
    """A DOCTYPE of any kind is refused before the parser sees it (SEC-19, WS-I R1008)."""
    monkeypatch.setattr(safe_xml, "_parse_utf8", None)
    assert refusal(DOCTYPES[kind].encode(encoding)) == "WsiViolation doctype"


def test_sec_19_doctype_that_the_prolog_check_misses(monkeypatch):
    """Should a DOCTYPE reach the parser, the parser's own word refuses it (SEC-19)."""
    monkeypatch.setattr("cbss_inscription.safe_xml._refuse_in_prolog", lambda *_: None)
    assert refusal("<!DOCTYPE a><a/>") == "WsiViolation doctype"
    assert refusal("<!DOCTYPE a [<!ENTITY x 'y'>]><a/>") == "WsiViolation doctype"


@pytest.mark.parametrize(
    "document", ["<?x?><a/>", "<a><?x y?></a>", "<a/><?x?>", "<?xml version='1.0'?><!----> <?x?><a/>"]
)
def test_sec_20_processing_instruction(document):
    """A processing instruction anywhere is refused (SEC-20, WS-I R1009)."""
    assert refusal(document) == "WsiViolation processing-instruction"


ENCODINGS = [
    (b"<a/>", None, "accepted"),
    (b"<a/>", "UTF-8", "accepted"),
    (b"<a/>", '"utf-8"', "accepted"),
    (b"<a/>", "us-ascii", "accepted"),
    (b"\xef\xbb\xbf<a/>", None, "accepted"),
    ("\ufeff<a/>".encode("utf-16-le"), None, "accepted"),
    ("\ufeff<a/>".encode("utf-16-be"), "utf-16", "accepted"),
    ("\ufeff<a/>".encode("utf-16-be"), "utf-16be", "accepted"),
    ("<a/>".encode("utf-16-be"), "utf-16be", "accepted"),
    (b"<?xml version='1.0' encoding='UTF-16'?><a/>", "utf-8", "accepted"),  # R1019: not the declaration's word
    ("\ufeff<?xml version='1.0' encoding='UTF-8'?><a/>".encode("utf-16"), "utf-16", "accepted"),
    (b"<?xml version='1.0' encoding='UTF-8'?><a/>", None, "accepted"),
    ("\ufeff<a/>".encode("utf-16-be"), "utf-16le", "MalformedMessage encoding"),
    ("\ufeff<a/>".encode("utf-16-be"), "utf-8", "MalformedMessage encoding"),
    (b"\xef\xbb\xbf<a/>", "utf-16", "MalformedMessage encoding"),
    ("<a/>".encode("utf-16-be"), "utf-16", "MalformedMessage encoding"),
    ("\ufeff<a/>".encode("utf-32-le"), None, "MalformedMessage encoding"),
    ("\ufeff<a/>".encode("utf-32-be"), None, "MalformedMessage encoding"),
    (b"<?xml version='1.0' encoding='windows-1252'?><a/>", None, "MalformedMessage encoding"),
    (b"<?xml version='1.0' encoding=\"UTF-7\"?><a/>", None, "MalformedMessage encoding"),
    (b"<a>\xe9</a>", "iso-8859-1", "MalformedMessage encoding"),
    (b"<a>\xe9</a>", "windows-1252", "MalformedMessage encoding"),
    (b"<a>\xe9</a>", None, "MalformedMessage encoding"),
    (b"<a>\xc0\xaf</a>", None, "MalformedMessage encoding"),  # overlong
    (b"<a>\xed\xa0\x80</a>", None, "MalformedMessage encoding"),  # a surrogate
    (b"<a>\xf4\x90\x80\x80</a>", None, "MalformedMessage encoding"),
    (b"+ADw-a/+AD4-", "utf-7", "MalformedMessage encoding"),
    (b"<a/>", "Xutf-8X", "MalformedMessage encoding"),
    ("<a/>".encode("cp037"), None, "MalformedMessage"),
    (b"<a/>", "", "MalformedMessage encoding"),
]


@pytest.mark.parametrize(("data", "charset", "expected"), ENCODINGS)
def test_sec_27_encoding(data, charset, expected):
    """UTF-8 is read, and UTF-16 by its mark or charset; a contradiction or anything else is not (SEC-27)."""
    assert refusal(data, charset=charset).startswith(expected)


@pytest.mark.parametrize(
    "document",
    [
        "",
        " ",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a b='1' b='2'/>",
        "<p:a/>",
        "<a p:b=''/>",
        "<a xmlns:xml='urn:x'/>",
        "<a>&x;</a>",
        "<a>&#0;</a>",
        "<a>&#11;</a>",
        "<a>\x00</a>",
        "<!ELEMENT a ANY><a/>",
        "<!-- ",
        "<![CDATA[x]]><a/>",
        "<a><![CDATA[x</a>",
    ],
)
def test_not_well_formed(document):
    """What is no well-formed document is refused, and not repaired (SOA-03001)."""
    assert refusal(document) == "MalformedMessage not-well-formed"


def test_xml_1_1():
    """XML 1.1, with its control characters and line ends, is refused."""
    assert refusal("<?xml version='1.1'?><a/>") == "MalformedMessage xml-version"


def test_sec_74_the_refusal_quotes_nothing():
    """A refusal carries no text of the document, not as its cause either (SEC-74)."""
    with pytest.raises(MalformedMessage) as caught:
        parse(b"<a>00000000097<b></a>", charset=None)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert str(caught.value) == "not-well-formed"


def test_xinclude_is_not_processed():
    """XInclude stays an element like any other."""
    root = parse(
        b"<a xmlns:i='http://www.w3.org/2001/XInclude'><i:include href='file:///etc/hostname'/></a>", charset=None
    )
    assert len(root) == 1
    assert root[0].text is None


def test_canonical_bytes_are_read_back():
    """Canonical bytes give the same canonical bytes again, whatever is in them."""
    root = parse("<a xmlns='urn:a' b='&#10;&#13;&lt;'>é<!-- x --><c xmlns=''>&#13;</c></a>".encode(), charset=None)
    data = etree.tostring(root, method="c14n", exclusive=True, with_comments=False)
    again = parse_canonical(data)
    assert etree.tostring(again, method="c14n", exclusive=True, with_comments=False) == data
    with pytest.raises(MalformedMessage):
        parse_canonical(data[:-1])


def test_wsi_violation_is_a_rejection():
    """What is against WS-I is the sender's fault (SOA-03004)."""
    assert issubclass(WsiViolation, MessageRejected)
    assert WsiViolation.code == "SOA-03004"


def test_sec_18_options_of_the_parser(monkeypatch):
    """libxml2 is told to load, resolve and repair nothing, whatever is refused before (SEC-18, design 4.4)."""
    given = []
    real = etree.XMLParser
    monkeypatch.setattr(etree, "XMLParser", lambda **options: given.append(options) or real(**options))
    with ThreadPoolExecutor(max_workers=1) as pool:  # a thread that has read nothing
        pool.submit(parse, b"<x/>", charset=None).result()
        pool.submit(parse_canonical, b"<x></x>").result()
        pool.submit(refusal, "<x>").result()  # after which another parser is made
    refused = (
        "resolve_entities",
        "load_dtd",
        "dtd_validation",
        "attribute_defaults",
        "huge_tree",
        "collect_ids",
        "recover",
    )
    assert given == 2 * [{"encoding": "UTF-8", "no_network": True, **dict.fromkeys(refused, False)}]


@pytest.mark.parametrize("doctype", ["<!DOCTYPE x>", "<!DOCTYPE x [<!ENTITY e 'e'>]>", "<!DOCTYPE x SYSTEM 'x.dtd'>"])
def test_sec_19_doctype_by_libxml2_itself(monkeypatch, doctype):
    """A DOCTYPE that the reading by hand had missed is refused by what libxml2 says of the document (SEC-19)."""
    monkeypatch.setattr("cbss_inscription.safe_xml._refuse_in_prolog", lambda *_: None)
    with pytest.raises(WsiViolation, match="doctype"):
        parse(f"{doctype}<x/>".encode(), charset=None)


@pytest.mark.parametrize("document", ["<x>{}</x>", "<x/>{}"])
def test_sec_22_comments_by_the_tree_itself(monkeypatch, document):
    """Comments that the counting before the parse had missed are counted in the tree, and behind it (SEC-22)."""
    monkeypatch.setattr("cbss_inscription.safe_xml._refuse_floods", lambda *_: None)
    assert refusal(document.format("<!---->" * 10), comments_max=10) == "accepted"
    assert refusal(document.format("<!---->" * 11), comments_max=10) == "MalformedMessage comments"


@pytest.mark.parametrize("charset", ['"utf-8"', " UTF-8 ", "utf8", "US-ASCII"])
def test_sec_27_ways_to_write_the_charset(charset):
    """A charset may stand in quotes, between blanks, in any case; UTF-8 has two names and a part (SEC-27)."""
    assert refusal("<x/>", charset=charset) == "accepted"


@pytest.mark.parametrize("named", ["UTF-8", "utf-8", "utf8", "UTF8", "us-ascii", "US-ASCII"])
def test_sec_27_ways_to_declare_the_encoding(named):
    """Without mark and charset, the declaration may name UTF-8 in each of its ways (SEC-27)."""
    assert refusal(f'<?xml version="1.0" encoding="{named}"?><x/>') == "accepted"


NARROW = {
    "elements_max": 6,
    "attributes_per_element_max": 3,
    "attributes_max": 7,
    "namespaces_per_element_max": 3,
    "namespaces_max": 5,
    "name_chars_max": 9,
    "value_chars_max": 24,
    "text_chars_max": 60,
}


@st.composite
def odd_elements(draw, depth=0):
    """An element with tags and texts around the narrow limits."""
    name = draw(st.sampled_from(("a", "n" * 9, "n" * 10, "p0:a", "p0:" + "n" * 9, "n\u1680" * 5)))
    quote = draw(st.sampled_from("\"'"))
    value = st.text("u:=>/ x", max_size=25)
    declared = [f"p{n}" for n in range(draw(st.integers(0, 4)))] + draw(st.sampled_from(([], ["q" * 9], ["q" * 10])))
    attributes = [f"xmlns:{prefix}={quote}u:{'x' * draw(st.integers(0, 24))}{quote}" for prefix in declared]
    attributes += [f"b{n}={quote}{draw(value)}{quote}" for n in range(draw(st.integers(0, 4)))]
    attributes += draw(st.sampled_from(([], [f"{'c' * 10}=''"])))
    texts = st.sampled_from(
        ("", "t>=", "t" * 60, "t" * 61, f"{'t' * 50}<![CDATA[<a b=''{'c' * 20}]]>", "<!--<x y=''-->")
    )
    inner = [
        draw(texts),
        *(draw(odd_elements(depth + 1)) + draw(texts) for _ in range(draw(st.integers(0, 2 - depth)))),
    ]
    tag = f"{name} xmlns:p0='u'" if name.startswith("p0:") and "p0" not in declared else name
    return f"<{' '.join([tag, *attributes])}>{''.join(inner)}</{name}>"


@given(odd_elements(), st.sets(st.sampled_from(sorted(NARROW))))
def test_sec_22_characters_prove_no_more_than_is_so(document, kept):
    """What the characters alone show to be within the limits, the walk over every node finds so (SEC-22..25)."""
    limits = XmlLimits(**{name: value for name, value in NARROW.items() if name not in kept})
    root = etree.fromstring(document)
    if safe_xml._tags_are_surely_within(document, limits):
        safe_xml._check_shape(root, limits, size_chars=len(document))


@given(odd_elements(), st.sets(st.sampled_from(sorted(NARROW))), st.integers(2, 6))
def test_sec_22_what_stands_behind_known_characters(document, kept, depth_max):
    """What stands behind characters that are known is within the limits or refused, as if none were (SEC-21..25)."""
    limits = XmlLimits(depth_max=depth_max, **{name: value for name, value in NARROW.items() if name not in kept})
    begun = "<e><b>"
    verdicts = []
    for known_chars in (0, len(begun)):
        try:
            safe_xml.parse_text(f"{begun}{document}</b></e>", limits=limits, known_chars=known_chars)
            verdicts.append("accepted")
        except MessageRejected as error:
            verdicts.append(error.reason)
    assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize(
    ("document", "reason"),
    [("<?x?>", "processing-instruction"), ("<!---->" * 1_001, "comments"), ("<c>" * 31 + "</c>" * 31, "depth")],
)
def test_sec_20_what_is_refused_behind_known_characters(document, reason):
    """Processing instructions, comments and levels count behind characters that are known (SEC-20, SEC-21, SEC-22)."""
    begun = '<?xml version="1.0"?><e b="!?"><b>'
    with pytest.raises(MessageRejected, match=reason):
        safe_xml.parse_text(f"{begun}{document}</b></e>", known_chars=len(begun))


def test_sec_21_levels_behind_known_characters(monkeypatch):
    """As many elements as there may be levels need no look at the tree, where the first two are known (SEC-21)."""
    monkeypatch.setattr(safe_xml, "_deeper_than", None)
    assert len(safe_xml.parse_text(f"<e><b>{'<c>' * 30}{'</c>' * 30}</b></e>", known_chars=6))


def test_sec_22_characters_of_an_ordinary_request(monkeypatch, forge):
    """Of an ordinary request, long ones too, no node is walked over: its characters show its shape (SEC-22..25)."""
    monkeypatch.setattr(safe_xml, "_check_shape", None)
    line = b"<t:line kind='x'><t:note>of some length, as notes are in a request</t:note><t:note/></t:line>"
    for lines in (1, 1_000, 6_000):
        document = forge.message(forge.request.replace(b"<t:criteria", line * lines + b"<t:criteria"))
        assert parse(document, charset=None).tag.endswith("Envelope")


@pytest.mark.parametrize("name", sorted(NARROW))
def test_sec_22_characters_that_show_nothing(name):
    """Characters that look like more than a limit allows refuse nothing: the nodes themselves count (SEC-22..25)."""
    limits = XmlLimits(**{name: NARROW[name]})
    document = f"<a b='= = = = =' c='{'v' * 23}'><![CDATA[{'<' * 7}{'=' * 8}{'xmlns' * 6}]]><d/>{' ' * 9}<d/></a>"
    assert not safe_xml._tags_are_surely_within(document, limits)
    assert refusal(document, **{name: NARROW[name]}) == "accepted"


def test_sec_23_a_tag_does_not_end_in_a_value():
    """What stands behind a `>` in a value is of the same tag still: its attributes and names count (SEC-23..25)."""
    assert refusal(f"<a b='>' {attributes(31)}/>") == "accepted"
    assert refusal(f"<a b='>' {attributes(32)}/>") == "MalformedMessage attributes"
    assert refusal(f"<a b='>' {namespaces(33)}/>") == "MalformedMessage namespaces"
    assert refusal(f"<a b='>' {'n' * 257}=''/>") == "MalformedMessage name-length"


def test_sec_24_namespaces_of_elements_that_are_looked_at():
    """Namespaces are counted for each element, not from one to the next, where characters show nothing (SEC-24)."""
    document = f"<a b='{'=' * 200}'><b {namespaces(32)}/><b {namespaces(32)}/>{{}}</a>"
    assert refusal(document.replace("{}", "")) == "accepted"
    assert refusal(document.replace("{}", f"<b {namespaces(33)}/>")) == "MalformedMessage namespaces"
    assert refusal(f"<a b='{'=' * 200}' {namespaces(32)}><b {namespaces(1)}/></a>") == "accepted"


def test_sec_25_texts_of_a_long_document():
    """A document longer than a text may be is read when none of its texts is, whatever stands between (SEC-25)."""
    assert refusal(f"<a>{'t' * 200_000}<!---->{'t' * 200_000}<b/>{'t' * 200_000}</a>") == "accepted"
    assert refusal(f"<a>{'t' * 200_000}<![CDATA[{'t' * 200_000}]]></a>") == "MalformedMessage text-length"
    assert refusal(f"<a><!--{'<' * 300_000}--></a>") == "MalformedMessage text-length"


@given(st.text("<>!?-=a/' ", max_size=12), st.sampled_from(("", "<?xml version='1.0'?>", "<?xml version='1.1'?>")))
def test_sec_20_plain_documents(text, declaration):
    """What is read for a plain document has no DOCTYPE, comment or processing instruction, and is XML 1.0 (SEC-20)."""
    document = f"{declaration}<a>{text}</a>"
    try:
        root = safe_xml._parse_utf8(document.encode())
    except MessageRejected:
        return
    if safe_xml._is_plain(document):
        safe_xml._refuse_beside_elements(root, XmlLimits(comments_max=0))
        safe_xml._refuse_in_prolog(document)


def test_sec_74_no_parser_remembers_what_it_refused():
    """What was not well-formed stays in no parser's log, and the next document is read like the first (SEC-74)."""
    before = safe_xml._parsers.parser
    assert refusal("<a>00000000097</b>") == "MalformedMessage not-well-formed"
    assert safe_xml._parsers.parser is not before
    assert not safe_xml._parsers.parser.error_log
    assert refusal("<a>00000000097</a>") == "accepted"


def test_sec_18_every_thread_has_a_parser_of_its_own():
    """Documents that are read at once in several threads wait for no parser of another's (SEC-18)."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        assert pool.submit(lambda: safe_xml._parsers.parser).result() is not safe_xml._parsers.parser
    assert safe_xml._parsers.parser is safe_xml._parsers.parser
