"""TV-01 to TV-08: messages that must be accepted, in the shapes that the field's own tools give them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import permutations

from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names
from tests.vectors.vector import ACCEPTED, REQUEST, SSIN, Bench, Variant, add, the, vectors, written

PARTS = (names.WSSE_TOKEN, names.WSU_TIMESTAMP, names.DS_SIGNATURE)


def _arranged(bench: Bench, order: tuple[str, ...]) -> _Element:
    """The genuine message, the children of its Security header in another order, which the signature does not cover."""
    root = bench.tree()
    security = bench.forge.security(root)
    children = {tag: the(security, tag) for tag in PARTS}
    security[:] = [children[tag] for tag in order]
    return root


def _with_prefixes(root: _Element, *, signed_info: str | None, parts: str | None) -> _Element:
    """InclusiveNamespaces written into the canonicalisations."""
    for tag, prefixes in ((names.DS_CANONICALIZATION_METHOD, signed_info), (names.DS_TRANSFORM, parts)):
        for method in root.iter(tag) if prefixes is not None else ():
            add(method, names.EXC_INCLUSIVE_NAMESPACES, PrefixList=prefixes)
    return root


def _renamed(root: _Element, **ids: str) -> _Element:
    """Ids as another tool makes them, each reference following its element."""
    for tag, identifier in zip((names.WSSE_TOKEN, names.WSU_TIMESTAMP, names.SOAP_BODY), ids.values(), strict=True):
        old, new = the(root, tag).get(names.WSU_ID), identifier
        the(root, tag).set(names.WSU_ID, new)
        for element in root.iter(names.DS_REFERENCE, names.WSSE_REFERENCE):
            if element.get("URI") == f"#{old}":
                element.set("URI", f"#{new}")
    return root


@vectors(1, "SEC-29", "SEC-34", "SEC-41")
def wss4j_of_the_connector(bench: Bench) -> Iterator[Variant]:
    """Shape A: WSS4J as Smals' connector configures it, the three blocks in any order of a Lax layout."""
    for order in permutations(PARTS):
        name = "-".join(etree.QName(tag).localname.lower() for tag in order)
        root = _renamed(_arranged(bench, order), token="X509-8D1F", timestamp="TS-5B2A", body="id-77C0")
        the(root, names.DS_SIGNATURE).set("Id", "SIG-1")
        the(root, names.DS_KEY_INFO).set("Id", "KI-1")
        the(root, names.WSSE_TOKEN_REFERENCE).set(names.WSU_ID, "STR-1")
        yield Variant(name=name, message=bench.resigned(root), expected=ACCEPTED)


@vectors(2, "SEC-26", "SEC-41")
def wss4j_by_default(bench: Bench) -> Iterator[Variant]:
    """Shape B: WSS4J by default, the prefixes in scope named in an InclusiveNamespaces of every canonicalisation."""
    root = _with_prefixes(bench.tree(), signed_info="q soapenv", parts="q soapenv wsse wsu")
    yield Variant(name="inclusive-namespaces", message=bench.resigned(root), expected=ACCEPTED)
    root = _with_prefixes(bench.tree(), signed_info=None, parts="")
    yield Variant(name="empty-prefix-list", message=bench.resigned(root), expected=ACCEPTED)


@vectors(3, "SEC-15", "SEC-17", "SEC-41")
def wcf(bench: Bench) -> Iterator[Variant]:
    """Shape C: WCF, with WS-Addressing, the Timestamp first and the Signature in a default namespace."""
    root = _arranged(bench, (names.WSU_TIMESTAMP, names.WSSE_TOKEN, names.DS_SIGNATURE))
    _renamed(root, token="uuid-4a-1", timestamp="_0", body="_1")
    header = root.find(names.SOAP_HEADER)
    action = add(header, f"{{{names.WSA}}}Action", f"{names.FACADE_ACTION}consultInscriptions", index=0)
    action.set(names.SOAP_MUST_UNDERSTAND, "1")
    add(header, f"{{{names.WSA}}}MessageID", "urn:uuid:6f9619ff-8b86-4d01-b42d-00cf4fc964ff", index=1)
    reply_to = add(header, f"{{{names.WSA}}}ReplyTo", index=2)
    add(reply_to, f"{{{names.WSA}}}Address", f"{names.WSA}/anonymous")
    message = bench.resigned(root)
    assert b"<ds:Signature" in message
    # no prefix at all for XMLDSig, as WCF writes it: exclusive C14N makes other bytes of that, so sign once more
    plain = message.replace(b"xmlns:ds=", b"xmlns=").replace(b"<ds:", b"<").replace(b"</ds:", b"</")
    message = bench.resigned(etree.fromstring(plain))
    yield Variant(
        name="addressing", message=message, expected=ACCEPTED, soap_action=f'"{names.FACADE_ACTION}consultInscriptions"'
    )


@vectors(4, "SEC-26", "SEC-41")
def soapui(bench: Bench) -> Iterator[Variant]:
    """Shape D: SoapUI, the Signature before what it signs, line breaks in its values, prefixes in its lists."""
    root = _arranged(bench, (names.DS_SIGNATURE, names.WSU_TIMESTAMP, names.WSSE_TOKEN))
    _with_prefixes(root, signed_info="q soapenv", parts="q")
    token = the(root, names.WSSE_TOKEN)
    token.text = _wrapped(token.text or "")
    bench.forge.resign(root)
    value = the(root, names.DS_SIGNATURE_VALUE)
    value.text = _wrapped(value.text or "")
    yield Variant(name="line-breaks", message=written(root), expected=ACCEPTED)


@vectors(5, "SEC-41", "SEC-88")
def our_own_client(bench: Bench) -> Iterator[Variant]:
    """Shape E: the client of this project, and the same with the Envelope in a default namespace."""
    yield Variant(name="as-it-is", message=bench.message, expected=ACCEPTED)
    request = REQUEST.replace(b"xmlns:soapenv=", b"xmlns=").replace(b"soapenv:", b"")
    # the contract's inner elements have no namespace, which a default one would give them
    request = request.replace(b"<q:ConsultInscriptionsRequest>", b'<q:ConsultInscriptionsRequest xmlns="">')
    yield Variant(name="default-namespace", message=bench.signed(request), expected=ACCEPTED)
    yield Variant(name="no-header", message=bench.signed(REQUEST.replace(b"<soapenv:Header/>", b"")), expected=ACCEPTED)
    yield Variant(name="lives-five-minutes", message=bench.signed(REQUEST, lifetime_seconds=300), expected=ACCEPTED)


@vectors(6, "SEC-27")
def encodings(bench: Bench) -> Iterator[Variant]:
    """UTF-8 or UTF-16, with a mark or by charset, whatever the XML declaration says where those decide."""
    text = bench.message.decode()
    big, little = codecs.BOM_UTF16_BE + text.encode("utf-16-be"), codecs.BOM_UTF16_LE + text.encode("utf-16-le")
    for name, message, charset in (
        ("utf-8-mark", codecs.BOM_UTF8 + bench.message, "; charset=utf-8"),
        ("utf-8-mark-without-charset", codecs.BOM_UTF8 + bench.message, ""),
        ("utf-16-big-endian", big, '; charset="UTF-16"'),
        ("utf-16-little-endian", little, "; charset=utf-16"),
        ("utf-16-mark-without-charset", little, ""),
        ("utf-16be-without-mark", text.encode("utf-16-be"), "; charset=UTF-16BE"),
        ("no-declaration", text.partition("?>")[2].lstrip().encode(), "; charset=utf-8"),
        ("declaration-of-another", bench.message.replace(b"UTF-8", b"UTF-16"), "; charset=utf-8"),
    ):
        yield Variant(name=name, message=message, expected=ACCEPTED, content_type=f"text/xml{charset}")


@vectors(7, "SEC-20", "SEC-41")
def texts(bench: Bench) -> Iterator[Variant]:
    """Signed parts that were pretty-printed before signing, values in CDATA, characters as references."""
    root = bench.tree()
    etree.indent(root, space="\t")
    yield Variant(name="pretty-printed", message=bench.resigned(root), expected=ACCEPTED)
    flat = etree.fromstring(REQUEST, etree.XMLParser(remove_blank_text=True))
    yield Variant(name="on-one-line", message=bench.signed(etree.tostring(flat)), expected=ACCEPTED)
    whole = SSIN.encode()
    for name, spelled in (
        ("cdata", b"<![CDATA[" + whole + b"]]>"),
        ("cdata-in-pieces", whole[:4] + b"<![CDATA[" + whole[4:8] + b"]]>" + whole[8:]),
        ("character-references", b"".join(b"&#%d;" % digit for digit in whole)),
    ):
        yield Variant(
            name=f"{name}-before-signing", message=bench.signed(REQUEST.replace(whole, spelled)), expected=ACCEPTED
        )
        # canonical XML knows neither CDATA nor references: a spelling changed afterwards is the same message
        yield Variant(name=f"{name}-after-signing", message=bench.message.replace(whole, spelled), expected=ACCEPTED)
    with_comment = bench.tree()
    with_comment.insert(0, etree.Comment(" outside the Security header and the Body "))
    yield Variant(name="comment-outside", message=written(with_comment), expected=ACCEPTED)


@vectors(8, "SEC-26")
def prefix_lists(bench: Bench) -> Iterator[Variant]:
    """PrefixLists in any order, with any XML white space, of prefixes declared or not, and with `#default`."""
    for name, text in (
        ("lines", " q\n\tsoapenv  wsu "),
        ("reversed", "wsu soapenv q"),
        ("undeclared", "nowhere q"),
        ("repeated", "q q"),
        ("default", "#default"),
        ("default-among-others", "q #default soapenv"),
        ("thirty-two", " ".join(f"p{number}" for number in range(32))),
    ):
        root = _with_prefixes(bench.tree(), signed_info=text, parts=text)
        yield Variant(name=name, message=bench.resigned(root), expected=ACCEPTED)
    request = REQUEST.replace(b"<soapenv:Body>", b'<soapenv:Body xmlns="urn:used-by-nobody">').replace(
        b"<q:ConsultInscriptionsRequest>", b'<q:ConsultInscriptionsRequest xmlns="">'
    )
    root = _with_prefixes(etree.fromstring(bench.signed(request)), signed_info=None, parts="#default")
    yield Variant(name="default-that-is-declared", message=bench.resigned(root), expected=ACCEPTED)


def _wrapped(text: str) -> str:
    return "\n".join(text[start : start + 76] for start in range(0, len(text), 76))
