"""Exclusive canonicalisation: our routine against libxml2, and against xmlsec where `#default` is asked for."""

import pytest
import xmlsec
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription import names
from cbss_inscription.security.c14n import CanonicalizationError, canonical, canonical_in_python

PREFIXES = [None, "a", "b", "c"]
URIS = ["urn:1", "urn:2", "urn:3"]
LOCAL_NAMES = ["x", "y", "Ab", "é"]
TEXTS = st.text(st.sampled_from(" \t\n\r&<>\"'aé𝔘\u2028]"), max_size=6)


def escaped(text):
    return "".join(f"&#{ord(character)};" if character in "&<>\"'\t\n\r" else character for character in text)


@st.composite
def elements(draw, scope=None, depth=0):
    """An element as text, with declarations, redeclarations and undeclarations at will."""
    scope = dict(scope or {None: ""})
    declared = draw(st.dictionaries(st.sampled_from(PREFIXES), st.sampled_from(URIS), max_size=3))
    if draw(st.booleans()) and None not in declared:
        declared[None] = ""
    if None in declared and draw(st.integers(0, 3)) == 0:
        del declared[None]
    scope.update(declared)
    prefix = draw(st.sampled_from(list(scope)))
    tag = f"{prefix}:{draw(st.sampled_from(LOCAL_NAMES))}" if prefix else draw(st.sampled_from(LOCAL_NAMES))
    output = [f"<{tag}"]
    output += [f' xmlns{":" if p else ""}{p or ""}="{u}"' for p, u in draw(st.permutations(list(declared.items())))]
    seen = set()
    for p, n in draw(st.lists(st.tuples(st.sampled_from([*scope, "xml"]), st.sampled_from(LOCAL_NAMES)), max_size=4)):
        key = (scope.get(p, p) if p else "", n)
        if key not in seen:
            seen.add(key)
            output.append(f' {p + ":" if p else ""}{n}="{escaped(draw(TEXTS))}"')
    output.append(">" + escaped(draw(TEXTS)))
    for _ in range(draw(st.integers(0, 3 if depth < 3 else 0))):
        output.append(draw(st.sampled_from(["", "<!-- c -->"])) + escaped(draw(TEXTS)))
        output.append(draw(elements(scope, depth + 1)))
        output.append(escaped(draw(TEXTS)))
    output.append(f"</{tag}>")
    return "".join(output)


PREFIX_LISTS = st.lists(st.sampled_from(["a", "b", "c", "nowhere", "xml"]), max_size=4).map(tuple)


def by_libxml2(element, prefixes):
    return etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=list(prefixes)
    )


@settings(max_examples=4 * settings().max_examples, deadline=None)
@given(document=elements(), prefixes=PREFIX_LISTS, data=st.data())
def test_our_routine_agrees_with_libxml2(document, prefixes, data):
    """For any element of any document and any PrefixList without `#default`, our bytes are libxml2's (SEC-26)."""
    root = etree.fromstring(document)
    element = data.draw(st.sampled_from(list(root.iter(etree.Element))))
    assert canonical_in_python(element, prefixes) == by_libxml2(element, prefixes)


def digest_by_xmlsec(root, element, prefix_list):
    """The digest python-xmlsec computes for the element with this PrefixList."""
    element.set("Id", "it")
    signature = xmlsec.template.create(root, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.HMAC_SHA256)
    root.append(signature)
    reference = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA256, uri="#it")
    transform = xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    etree.SubElement(transform, names.EXC_INCLUSIVE_NAMESPACES, PrefixList=prefix_list)
    context = xmlsec.SignatureContext()
    context.register_id(element, "Id")
    context.key = xmlsec.Key.from_binary_data(xmlsec.KeyData.HMAC, b"k" * 32)
    context.sign(signature)
    value = signature.xpath("string(.//*[local-name()='DigestValue'])")
    root.remove(signature)
    return value.strip()


@settings(deadline=None)
@given(inner=elements(scope={None: "urn:0", "a": "urn:1"}), tokens=st.sets(st.sampled_from(["a", "b", "c"])))
def test_sec_26_default_namespace_agrees_with_xmlsec(inner, tokens):
    """With `#default` in the list, our bytes have the digest that python-xmlsec computes (SEC-26)."""
    import base64
    import hashlib

    prefixes = (*sorted(tokens), "#default")
    root = etree.fromstring(f'<r xmlns="urn:0" xmlns:a="urn:1"><w>{inner}</w></r>')
    element = root[0][0]
    element.set("Id", "it")
    ours = base64.b64encode(hashlib.sha256(canonical(element, prefixes)).digest()).decode()
    assert ours == digest_by_xmlsec(root, element, " ".join(prefixes))


@pytest.mark.parametrize(
    ("document", "prefixes", "expected"),
    [
        ('<r xmlns="urn:r"><a:x xmlns:a="urn:a"/></r>', (), '<a:x xmlns:a="urn:a"></a:x>'),
        ('<r xmlns="urn:r"><a:x xmlns:a="urn:a"/></r>', ("#default",), '<a:x xmlns="urn:r" xmlns:a="urn:a"></a:x>'),
        ('<r><a:x xmlns:a="urn:a"/></r>', ("#default",), '<a:x xmlns:a="urn:a"></a:x>'),
        (
            '<r xmlns="urn:r"><a:x xmlns:a="urn:a"><a:y xmlns=""><z/></a:y></a:x></r>',
            ("#default",),
            '<a:x xmlns="urn:r" xmlns:a="urn:a"><a:y xmlns=""><z></z></a:y></a:x>',
        ),
        (
            '<r xmlns:b="urn:b" xmlns="urn:r"><x xmlns=""><y/></x></r>',
            ("#default", "b"),
            '<x xmlns:b="urn:b"><y></y></x>',
        ),
    ],
)
def test_sec_26_default_namespace_by_hand(document, prefixes, expected):
    """The default namespace of an ancestor is written where `#default` asks for it, and only there (SEC-26)."""
    assert canonical(etree.fromstring(document)[0], prefixes) == expected.encode()


def test_tail_is_not_part_of_an_element():
    """The text after an element belongs to its parent."""
    element = etree.fromstring("<r><x/>tail</r>")[0]
    assert canonical(element) == canonical(element, ("#default",)) == b"<x></x>"


@pytest.mark.parametrize("prefixes", [(), ("#default",)])
def test_sec_26_comments_are_left_out(prefixes):
    """A comment is not in the bytes, by either routine; the text on both sides of it is (SEC-26)."""
    element = etree.fromstring("<r>a<!-- 1 -->b<x/><!-- 2 -->c</r>")
    assert canonical(element, prefixes) == b"<r>ab<x></x>c</r>"


def test_two_prefixes_for_one_uri():
    """An attribute keeps its own prefix where two have the same namespace."""
    root = etree.fromstring('<r xmlns:a="urn:1" xmlns:b="urn:1" b:y="2" a:x="1"/>')
    assert canonical(root, ("#default",)) == b'<r xmlns:a="urn:1" xmlns:b="urn:1" a:x="1" b:y="2"></r>'


@pytest.mark.parametrize("prefixes", [(), ("#default",)])
@pytest.mark.parametrize(
    "document",
    ['<r xmlns="relative"><x/></r>', '<r><x xmlns:a="relative"/></r>', '<r><x><y xmlns="../z"/></x></r>'],
)
def test_sec_38_relative_namespaces(document, prefixes):
    """An element in reach of a relative namespace URI has no canonical form, by either routine (SEC-38)."""
    with pytest.raises(CanonicalizationError):
        canonical(etree.fromstring(document)[0], prefixes)


def test_processing_instruction_is_not_skipped():
    """Our routine refuses what it would otherwise leave out of the digest."""
    with pytest.raises(CanonicalizationError):
        canonical(etree.fromstring("<r><?x y?></r>"), ("#default",))


def test_sec_38_prefix_that_stands_for_nothing(monkeypatch):
    """Should XPath tell a prefix that is not bound to the namespace, there is no canonical form (SEC-38)."""
    root = etree.fromstring('<r xmlns:a="urn:1" xmlns:b="urn:1" a:x="1"/>')
    monkeypatch.setattr("cbss_inscription.security.c14n._NAME_OF_ATTRIBUTE", lambda *_, **__: "c:x")
    with pytest.raises(CanonicalizationError):
        canonical(root, ("#default",))


def test_declaration_of_the_xml_prefix():
    """A document that declares what `xml` stands for, as it may, has the form of one that does not."""
    declared = etree.fromstring('<r xmlns:xml="http://www.w3.org/XML/1998/namespace" xml:lang="nl"/>')
    assert canonical(declared, ("#default", "xml")) == canonical(declared) == b'<r xml:lang="nl"></r>'
