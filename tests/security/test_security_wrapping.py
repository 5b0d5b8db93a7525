"""Signature wrapping, generated: the signed part goes anywhere, a forged one takes its place (SEC-35, design A1)."""

import copy

import pytest
from lxml import etree

from cbss_inscription import names

IDS_OF_THE_FORGED = ["the same", "none", "another", "un-namespaced", "un-namespaced and the same"]
FRESH = ("2026-03-02T10:30:00Z", "2026-03-02T10:31:00Z")


def forged(part, tag, ids):
    twin = copy.deepcopy(part)
    twin.tail = None
    if tag == names.SOAP_BODY:
        next(twin.iter("{urn:test:inscription}ssin")).text = "99999999999"
    elif tag == names.WSU_TIMESTAMP:
        twin[0].text, twin[1].text = FRESH
    else:
        twin.text = "AAAA" + twin.text[4:]
    identifier = twin.attrib.pop(names.WSU_ID)
    if ids == "the same":
        twin.set(names.WSU_ID, identifier)
    elif ids == "another":
        twin.set(names.WSU_ID, "another")
    elif ids.startswith("un-namespaced"):
        twin.set("Id", identifier if ids.endswith("same") else "another")
    return twin


def wrapped(forge, tag, ids, position, wrapper):
    """The message with a forged part in place, and the signed one in (or as) the position-th place of the tree."""
    root = forge.tree()
    (original,) = root.iter(tag)
    twin = forged(original, tag, ids)
    original.getparent().replace(original, twin)
    places = list(root.iter(etree.Element))
    if position >= len(places):
        return None
    place = places[position]
    if wrapper:
        inside = root.makeelement(wrapper, {})
        inside.append(original)
        original = inside
    original.tail = None
    if place is root:
        root.append(original)
    else:
        place.insert(0, original)
    return root


@pytest.mark.parametrize("wrapper", [None, "{urn:x}wrapper", f"{{{names.DS}}}Object", names.SOAP_HEADER])
@pytest.mark.parametrize("ids", IDS_OF_THE_FORGED)
@pytest.mark.parametrize("tag", [names.SOAP_BODY, names.WSU_TIMESTAMP, names.WSSE_TOKEN])
def test_sec_35_wrapped_anywhere(forge, tag, ids, wrapper):
    """The signed Body, Timestamp or token moved to any place, with a forged one in its own, is refused (SEC-35)."""
    position = 0
    while (root := wrapped(forge, tag, ids, position, wrapper)) is not None:
        message = etree.tostring(root)
        assert forge.refusal(message) != "accepted", message
        # An hour later the forged timestamp would be fresh
        later = forge.now.replace(hour=10)
        assert forge.refusal(message, now=later) != "accepted", message
        position += 1
    assert position > 30


@pytest.mark.parametrize("ids", IDS_OF_THE_FORGED)
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("tag", [names.SOAP_BODY, names.WSU_TIMESTAMP, names.WSSE_TOKEN, names.WSSE_SECURITY])
def test_sec_35_sibling(forge, tag, before, ids):
    """A forged sibling before or after the signed part is refused (SEC-12, SEC-16, SEC-29, SEC-35)."""
    root = forge.tree()
    (original,) = root.iter(tag)
    if tag == names.WSSE_SECURITY:
        twin = copy.deepcopy(original)
        for element in twin.iter(etree.Element):
            for name in (names.WSU_ID, "Id", "URI"):
                if name in element.attrib:
                    element.set(name, element.get(name).replace("X509-", "Y").replace("TS-", "U"))
    else:
        twin = forged(original, tag, ids)
    (original.addprevious if before else original.addnext)(twin)
    assert forge.refusal(etree.tostring(root)) != "accepted"


def test_sec_35_envelope_in_an_envelope(forge):
    """A whole genuine message inside another envelope's Body or Header says nothing about that envelope (SEC-35)."""
    genuine = forge.tree()
    for outer_tag in (names.SOAP_BODY, names.SOAP_HEADER):
        outer = etree.fromstring(forge.request)
        place = outer.find(outer_tag)
        if outer_tag == names.SOAP_BODY:
            del place[:]
        place.append(copy.deepcopy(genuine))
        assert forge.refusal(outer) == "NotAuthenticated security-missing"


def test_sec_35_security_header_of_one_message_on_another(forge):
    """The Security header of a genuine message does not fit a Body of the same id (SEC-35)."""
    genuine, other = forge.tree(), etree.fromstring(forge.request)
    next(other.iter("{urn:test:inscription}ssin")).text = "99999999999"
    forge.body(other).set(names.WSU_ID, forge.body(genuine).get(names.WSU_ID))
    other.find(names.SOAP_HEADER).append(copy.deepcopy(forge.security(genuine)))
    assert forge.refusal(other) == "NotAuthenticated signature-digest"
