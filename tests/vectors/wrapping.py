"""TV-10 to TV-29: signature wrapping. What was signed is somewhere in the message, and is not what would be processed.

Nobody needs the sender's key for these: each is made of one genuine message. Positions are enumerated: every element of
the message is a place for the signed part, and every place is tried bare and in every wrapper.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names
from cbss_inscription.domain.errors import BodyMissing, NotAuthenticated, NotSoap
from tests.vectors.vector import (
    FORGED_SSIN,
    OPERATION,
    REQUEST,
    SSIN,
    Bench,
    Expected,
    Variant,
    add,
    refused,
    the,
    vectors,
    written,
)

IDS: Final = ("same", "none", "another", "plain", "plain-same")
"""What the forged part calls itself: the signed id, none, another, or any of the two in an attribute `Id`."""
WRAPPERS: Final = {
    "bare": None,
    "wrapper": "{urn:wrapper}Wrapper",
    "object": names.qname(names.DS, "Object"),
    "header": names.SOAP_HEADER,
}
_LATER: Final = timedelta(hours=1)
REPEATED: Final = refused(NotAuthenticated, "id-repeated")
ELSEWHERE: Final = refused(NotAuthenticated, "reference-target")
NOT_THE_ENVELOPE: Final = refused(NotSoap, "envelope-children")
SECURITY: Final = refused(NotAuthenticated, "security-grammar")
SIGNATURE: Final = refused(NotAuthenticated, "signature-grammar")


def forged(part: _Element, ids: str, now: str = "10:30") -> _Element:
    """A part as the attacker wants it: another person's number, a fresh time, another certificate."""
    twin = copy.deepcopy(part)
    twin.tail = None
    if twin.tag == names.SOAP_BODY:
        next(twin.iter("ssin")).text = FORGED_SSIN
    elif twin.tag == names.WSU_TIMESTAMP:
        twin[0].text, twin[1].text = f"2026-03-02T{now}:00Z", f"2026-03-02T{now}:59Z"
    else:
        twin.text = (twin.text or "")[:-8] + "AAAAAAA="
    identifier = twin.attrib.pop(names.WSU_ID)
    if ids == "same":
        twin.set(names.WSU_ID, identifier)
    elif ids == "another":
        twin.set(names.WSU_ID, "another")
    elif ids != "none":
        twin.set("Id", identifier if ids == "plain-same" else "another")
    return twin


def _by_ids(ids: str, otherwise: Expected = ELSEWHERE) -> Expected:
    """The same id twice is refused first; then what stands where it may not, or is not what was signed."""
    return REPEATED if ids in ("same", "plain-same") else otherwise


def _moved(bench: Bench, tag: str, ids: str) -> tuple[_Element, _Element]:
    """The message with a forged part in place, and the signed one that is now nowhere."""
    root = bench.tree()
    original = the(root, tag)
    parent = original.getparent()
    assert parent is not None
    parent.replace(original, forged(original, ids))
    original.tail = None
    return root, original


# --- where the Body goes, one place a number -------------------------------------------------------------------------


def _body_into(bench: Bench, place: str, wrapper: str | None, otherwise: Expected = ELSEWHERE) -> Iterator[Variant]:
    for ids in IDS:
        root, original = _moved(bench, names.SOAP_BODY, ids)
        parent = the(root, place)
        (parent if wrapper is None else add(parent, wrapper)).append(original)
        yield Variant(name=ids, message=written(root), expected=_by_ids(ids, otherwise))


@vectors(10, "SEC-12", "SEC-28", "SEC-35")
def body_in_the_header(bench: Bench) -> Iterator[Variant]:
    """The signed Body is a child of the Header, a forged one stands in its place."""
    yield from _body_into(bench, names.SOAP_HEADER, None)


@vectors(11, "SEC-28", "SEC-29")
def body_in_the_security_header(bench: Bench) -> Iterator[Variant]:
    """The signed Body is a child of the Security header."""
    yield from _body_into(bench, names.WSSE_SECURITY, None, SECURITY)


@vectors(12, "SEC-28", "SEC-31")
def body_in_an_object(bench: Bench) -> Iterator[Variant]:
    """The signed Body is in a ds:Object of the Signature."""
    yield from _body_into(bench, names.DS_SIGNATURE, names.qname(names.DS, "Object"), SIGNATURE)


@vectors(13, "SEC-12", "SEC-35")
def body_in_a_wrapper_before(bench: Bench) -> Iterator[Variant]:
    """The signed Body is in a wrapper before Header and Body."""
    for ids in IDS:
        root, original = _moved(bench, names.SOAP_BODY, ids)
        add(root, "{urn:wrapper}Wrapper", index=0).append(original)
        yield Variant(name=ids, message=written(root), expected=NOT_THE_ENVELOPE)


@vectors(14, "SEC-12", "SEC-35")
def body_in_a_wrapper_after(bench: Bench) -> Iterator[Variant]:
    """The signed Body is in a wrapper after the forged one."""
    for ids in IDS:
        root, original = _moved(bench, names.SOAP_BODY, ids)
        add(root, "{urn:wrapper}Wrapper").append(original)
        yield Variant(name=ids, message=written(root), expected=NOT_THE_ENVELOPE)


@vectors(15, "SEC-12", "SEC-28", "SEC-35")
def body_around_the_forged(bench: Bench) -> Iterator[Variant]:
    """The signed Body is beside the forged operation, or in a wrapper inside of it."""
    for ids in IDS:
        root, original = _moved(bench, names.SOAP_BODY, ids)
        body = root.find(names.SOAP_BODY)
        body.append(original)
        yield Variant(name=f"beside-{ids}", message=written(root), expected=refused(BodyMissing, "body-children"))
        root, original = _moved(bench, names.SOAP_BODY, ids)
        add(the(root, OPERATION), "{urn:wrapper}Wrapper").append(original)
        yield Variant(name=f"inside-{ids}", message=written(root), expected=_by_ids(ids))


@vectors(16, "SEC-28", "SEC-35")
def body_in_the_forged(bench: Bench) -> Iterator[Variant]:
    """The signed Body is deep inside the forged one."""
    yield from _body_into(bench, "criteria", None)


@vectors(17, "SEC-12", "SEC-16", "SEC-35")
def envelope_in_an_envelope(bench: Bench) -> Iterator[Variant]:
    """A genuine message, whole, in another envelope's Body or Header: it says nothing of that envelope."""
    for name, tag in (("body", names.SOAP_BODY), ("header", names.SOAP_HEADER)):
        outer = etree.fromstring(REQUEST.replace(SSIN.encode(), FORGED_SSIN.encode()))
        place = outer.find(tag)
        if tag == names.SOAP_BODY:
            del place[:]
        place.append(bench.tree())
        yield Variant(
            name=f"in-the-{name}", message=written(outer), expected=refused(NotAuthenticated, "security-missing")
        )
    outer = etree.fromstring(REQUEST.replace(SSIN.encode(), FORGED_SSIN.encode()))
    genuine = bench.tree()
    outer.find(names.SOAP_HEADER).append(bench.forge.security(genuine))
    the(outer, OPERATION).append(genuine)
    yield Variant(name="its-security-header-outside", message=written(outer), expected=ELSEWHERE)


def _siblings(bench: Bench, tag: str) -> Iterator[tuple[str, str, bytes]]:
    """Ids, place and message of each way to put a forged part beside the signed one."""
    for place in ("before", "after"):
        for ids in IDS:
            root = bench.tree()
            original = the(root, tag)
            (original.addprevious if place == "before" else original.addnext)(forged(original, ids))
            yield ids, place, written(root)


@vectors(18, "SEC-12", "SEC-35")
def forged_body_before(bench: Bench) -> Iterator[Variant]:
    """A forged Body stands before the signed one."""
    for ids, place, message in _siblings(bench, names.SOAP_BODY):
        if place == "before":
            yield Variant(name=ids, message=message, expected=NOT_THE_ENVELOPE)


@vectors(19, "SEC-12", "SEC-35")
def forged_body_after(bench: Bench) -> Iterator[Variant]:
    """A forged Body stands after the signed one."""
    for ids, place, message in _siblings(bench, names.SOAP_BODY):
        if place == "after":
            yield Variant(name=ids, message=message, expected=NOT_THE_ENVELOPE)


def _header_part(bench: Bench, tag: str, now: datetime | None = None) -> Iterator[Variant]:
    """A forged Timestamp or token beside the signed one, or in its place with the signed one in a wrapper."""
    for ids, place, message in _siblings(bench, tag):
        yield Variant(name=f"{ids}-{place}", message=message, expected=_by_ids(ids, SECURITY), now=now)
    for ids in IDS:
        root, original = _moved(bench, tag, ids)
        wrapper = add(root.find(names.SOAP_HEADER), "{urn:wrapper}Wrapper")
        wrapper.append(original)
        yield Variant(
            name=f"{ids}-instead", message=written(root), expected=_expected(root, wrapper, tag, ids), now=now
        )


@vectors(20, "SEC-29", "SEC-35", "SEC-51")
def timestamp_wrapped(bench: Bench) -> Iterator[Variant]:
    """A fresh Timestamp before, after or instead of the signed one that has expired."""
    yield from _header_part(bench, names.WSU_TIMESTAMP, bench.now + _LATER)


@vectors(21, "SEC-29", "SEC-35", "SEC-36")
def token_wrapped(bench: Bench) -> Iterator[Variant]:
    """The attacker's token before, after or instead of the signed one."""
    yield from _header_part(bench, names.WSSE_TOKEN)
    # the attacker's own token and good signature, the victim's token kept for whoever reads the first one
    root, stolen = etree.fromstring(bench.signed_by("comma-in-the-organization")), bench.tree()
    bench.forge.security(root).insert(0, the(stolen, names.WSSE_TOKEN))
    yield Variant(name="victim-and-attacker", message=written(root), expected=SECURITY)


@vectors(22, "SEC-16", "SEC-35")
def two_security_headers(bench: Bench) -> Iterator[Variant]:
    """Two Security headers for us, of which one is genuine."""
    repeated = refused(NotAuthenticated, "security-repeated")
    for before in (True, False):
        for name, attributes in (
            ("no-actor", {}),
            ("empty-actor", {names.SOAP_ACTOR: ""}),
            ("next", {names.SOAP_ACTOR: names.SOAP_ACTOR_NEXT}),
        ):
            root = bench.tree()
            security = bench.forge.security(root)
            twin = etree.fromstring(bench.signed(REQUEST.replace(SSIN.encode(), FORGED_SSIN.encode())))
            other = bench.forge.security(twin)
            other.attrib.update(attributes)
            (security.addprevious if before else security.addnext)(other)
            place = "before" if before else "after"
            yield Variant(name=f"{name}-{place}", message=written(root), expected=repeated)


@vectors(23, "SEC-28", "SEC-35")
def ids_swapped(bench: Bench) -> Iterator[Variant]:
    """The ids of two signed parts change places, or a part gets the id of an element that was not signed."""
    digest, target = refused(NotAuthenticated, "signature-digest"), refused(NotAuthenticated, "key-info-target")
    parts = {"token": names.WSSE_TOKEN, "timestamp": names.WSU_TIMESTAMP, "body": names.SOAP_BODY}
    for one, other in (("token", "timestamp"), ("token", "body"), ("timestamp", "body")):
        root = bench.tree()
        first, second = the(root, parts[one]), the(root, parts[other])
        ids = first.get(names.WSU_ID), second.get(names.WSU_ID)
        second.set(names.WSU_ID, ids[0] or "")
        first.set(names.WSU_ID, ids[1] or "")
        expected = target if one == "token" else digest
        yield Variant(name=f"{one}-{other}", message=written(root), expected=expected)
    for part, tag in parts.items():
        root = bench.tree()
        element = the(root, tag)
        the(root, OPERATION).set("Id", element.attrib.pop(names.WSU_ID))
        element.set(names.WSU_ID, "another")
        yield Variant(name=f"{part}-to-the-operation", message=written(root), expected=ELSEWHERE)
    root = etree.fromstring(REQUEST.replace(SSIN.encode(), FORGED_SSIN.encode()))
    genuine = bench.tree()
    bench.forge.body(root).set(names.WSU_ID, bench.forge.body(genuine).get(names.WSU_ID))
    root.find(names.SOAP_HEADER).append(bench.forge.security(genuine))
    yield Variant(name="security-header-of-another-message", message=written(root), expected=digest)


ID_KINDS: Final = {
    "wsu-id": names.WSU_ID,
    "Id": "Id",
    "ID": "ID",
    "id": "id",
    "xml-id": names.qname(names.XML, "id"),
    "assertion-id": "AssertionID",
    "foreign-id": "{urn:x}Id",
}


@vectors(24, "SEC-28", "SEC-35")
def kinds_of_id(bench: Bench) -> Iterator[Variant]:
    """A second element with a signed part's id, whatever the attribute is called; a part named by another kind."""
    for part, tag in (("token", names.WSSE_TOKEN), ("timestamp", names.WSU_TIMESTAMP), ("body", names.SOAP_BODY)):
        for kind, attribute in ID_KINDS.items():
            root = bench.tree()
            add(root.find(names.SOAP_HEADER), "{urn:x}decoy").set(attribute, the(root, tag).get(names.WSU_ID) or "")
            yield Variant(name=f"{part}-{kind}", message=written(root), expected=REPEATED)
            if attribute != names.WSU_ID:
                root = bench.tree()
                element = the(root, tag)
                element.set(attribute, element.attrib.pop(names.WSU_ID))
                # the token's and the timestamp's attributes are of their own grammar, the Body's are not
                grammar = {"token": "token-grammar", "timestamp": "timestamp-grammar", "body": "reference-target"}[part]
                yield Variant(
                    name=f"{part}-only-{kind}", message=written(root), expected=refused(NotAuthenticated, grammar)
                )


@vectors(25, "SEC-28", "SEC-34")
def ids_in_disguise(bench: Bench) -> Iterator[Variant]:
    """A reference whose id is percent-encoded, quoted, or no plain name; an id that is none."""
    for name, spell in (
        ("percent-encoded", lambda identifier: f"#%{ord(identifier[0]):x}{identifier[1:]}"),
        ("apostrophes", lambda identifier: f"#'{identifier}'"),
        ("quotes", lambda identifier: f'#"{identifier}"'),
        ("blank-after", lambda identifier: f"#{identifier} "),
        ("line-after", lambda identifier: f"#{identifier}\n"),
        ("two-hashes", lambda identifier: f"##{identifier}"),
        ("without-hash", lambda identifier: identifier),
        ("xpath", lambda identifier: f"#{identifier}'] | //*[@x='"),
        ("small-difference", lambda identifier: f"#{identifier}\u00b7"),
    ):
        for position, part in enumerate(("token", "timestamp", "body")):
            root = bench.tree()
            reference = bench.forge.reference(root, position)
            reference.set("URI", spell((reference.get("URI") or "")[1:]))
            yield Variant(
                name=f"{name}-{part}", message=written(root), expected=refused(NotAuthenticated, "reference-uri")
            )
    for name, identifier in (
        ("empty", ""),
        ("digit-first", "1a"),
        ("blank", "a b"),
        ("colon", "a:b"),
        ("accent", "\u00e9"),
        ("no-break-space", "a\u00a0"),
        ("129-characters", "a" * 129),
    ):
        root = bench.tree()
        add(root.find(names.SOAP_HEADER), "{urn:x}decoy").set("Id", identifier)
        yield Variant(name=f"id-{name}", message=written(root), expected=refused(NotAuthenticated, "id-syntax"))


@vectors(26, "SEC-35")
def other_elements_signed(bench: Bench) -> Iterator[Variant]:
    """A well-signed reference to Envelope, Header, Security or the operation instead of a part."""
    for name, tag in (
        ("envelope", names.SOAP_ENVELOPE),
        ("header", names.SOAP_HEADER),
        ("security", names.WSSE_SECURITY),
        ("operation", OPERATION),
    ):
        for position, part in enumerate(("token", "timestamp", "body")):
            root = bench.tree()
            the(root, tag).set(names.WSU_ID, "elsewhere")
            bench.forge.reference(root, position).set("URI", "#elsewhere")
            yield Variant(name=f"{name}-for-{part}", message=bench.resigned(root), expected=ELSEWHERE)


@vectors(27, "SEC-12", "SEC-28", "SEC-35")
def saml_catalogue(bench: Bench) -> Iterator[Variant]:
    """The wrappings known from SAML as XSW1 to XSW9, Body for assertion and Envelope for response."""
    for number, wrap in enumerate(_SAML_WRAPPINGS, start=1):
        root, expected = wrap(bench)
        yield Variant(name=f"xsw{number}", message=written(root), expected=expected)


def _around(bench: Bench) -> tuple[_Element, _Element]:
    """A forged envelope with the genuine signature, and the signed envelope without it."""
    root, genuine = bench.tree(), bench.tree()
    the(root, "ssin").text = FORGED_SSIN
    genuine.find(names.SOAP_HEADER).clear()
    return root, genuine


def _xsw1(bench: Bench) -> tuple[_Element, Expected]:
    """The signed envelope inside the signature of the forged one."""
    root, genuine = _around(bench)
    the(root, names.DS_SIGNATURE).append(genuine)
    return root, REPEATED


def _xsw2(bench: Bench) -> tuple[_Element, Expected]:
    """The signed envelope before that signature."""
    root, genuine = _around(bench)
    the(root, names.DS_SIGNATURE).addprevious(genuine)
    return root, REPEATED


def _xsw3(bench: Bench) -> tuple[_Element, Expected]:
    """A forged part before the signed one, as its sibling, with an id of its own."""
    root = bench.tree()
    body = root.find(names.SOAP_BODY)
    body.addprevious(forged(body, "another"))
    return root, NOT_THE_ENVELOPE


def _xsw4(bench: Bench) -> tuple[_Element, Expected]:
    """A forged part with the signed one as its child."""
    root, original = _moved(bench, names.SOAP_BODY, "another")
    root.find(names.SOAP_BODY).append(original)
    return root, refused(BodyMissing, "body-children")


def _xsw5(bench: Bench) -> tuple[_Element, Expected]:
    """The signed part changed, a copy of what it was at the end of the envelope."""
    root = bench.tree()
    copied = copy.deepcopy(root.find(names.SOAP_BODY))
    the(root, "ssin").text = FORGED_SSIN
    root.append(copied)
    return root, NOT_THE_ENVELOPE


def _xsw6(bench: Bench) -> tuple[_Element, Expected]:
    """The signed part changed, a copy of what it was inside the signature."""
    root = bench.tree()
    copied = copy.deepcopy(root.find(names.SOAP_BODY))
    the(root, "ssin").text = FORGED_SSIN
    the(root, names.DS_SIGNATURE).append(copied)
    return root, REPEATED


def _xsw7(bench: Bench) -> tuple[_Element, Expected]:
    """The copy in an element of extensions, where a schema is lax."""
    root, original = _moved(bench, names.SOAP_BODY, "same")
    add(root.find(names.SOAP_HEADER), "{urn:wrapper}Extensions").append(original)
    return root, REPEATED


def _xsw8(bench: Bench) -> tuple[_Element, Expected]:
    """The signed part, without its signature, in a ds:Object of it."""
    root, original = _moved(bench, names.SOAP_BODY, "another")
    add(the(root, names.DS_SIGNATURE), names.qname(names.DS, "Object")).append(original)
    return root, SIGNATURE


def _xsw9(bench: Bench) -> tuple[_Element, Expected]:
    """A forged part that has no id, so that a reference finds the signed one wherever it is."""
    root, original = _moved(bench, names.SOAP_BODY, "none")
    add(root.find(names.SOAP_HEADER), names.SOAP_ENVELOPE).append(original)
    return root, ELSEWHERE


_SAML_WRAPPINGS: Final = (_xsw1, _xsw2, _xsw3, _xsw4, _xsw5, _xsw6, _xsw7, _xsw8, _xsw9)


# --- everywhere else ------------------------------------------------------------------------------------------------


def everywhere(bench: Bench, tag: str) -> Iterator[Variant]:
    """The signed part in every place, bare and wrapped, with every kind of id on the forged one."""
    for ids in IDS:
        places = sum(1 for _ in _moved(bench, tag, ids)[0].iter(etree.Element))
        for number in range(places):
            for wrapper, wrapper_tag in WRAPPERS.items():
                root, original = _moved(bench, tag, ids)
                place = list(root.iter(etree.Element))[number]
                inside = original
                if wrapper_tag is not None:
                    inside = root.makeelement(wrapper_tag, {})
                    inside.append(original)
                place.insert(len(place) if place is root else 0, inside)
                yield Variant(
                    name=f"{ids}-{wrapper}-in-{number:02}-{etree.QName(place).localname}",
                    message=written(root),
                    expected=_expected(root, place, tag, ids),
                )


def _expected(root: _Element, place: _Element, tag: str, ids: str) -> Expected:
    """The first rule that a wrapped part breaks, in the order of the verification (design 3.2)."""
    above = [place, *place.iterancestors()]
    tags = [element.tag for element in above]
    if place is root:
        return NOT_THE_ENVELOPE
    if place.tag == names.SOAP_BODY:
        return refused(BodyMissing, "body-children")
    if ids in ("same", "plain-same"):
        return REPEATED
    if place.tag == names.WSSE_SECURITY:
        return SECURITY
    # the forged part has no id, or one in an attribute that its grammar does not know
    unnamed = tag if ids in ("none", "plain") else None
    if names.WSSE_TOKEN in (*tags, unnamed):
        return refused(NotAuthenticated, "token-grammar")
    if names.WSU_TIMESTAMP in (*tags, unnamed):
        return refused(NotAuthenticated, "timestamp-grammar")
    return _expected_in_the_signature(place, tags) if names.DS_SIGNATURE in tags else ELSEWHERE


def _expected_in_the_signature(place: _Element, tags: list[object]) -> Expected:
    if names.WSSE_TOKEN_REFERENCE in tags or place.tag == names.DS_KEY_INFO:
        return ELSEWHERE  # KeyInfo is read after the references
    if place.tag == names.DS_TRANSFORMS:
        return refused(NotAuthenticated, "transform-count")
    if names.DS_REFERENCE in tags and place.tag != names.DS_TRANSFORM:
        return refused(NotAuthenticated, "reference-grammar")
    return SIGNATURE


@vectors(28, "SEC-12", "SEC-28", "SEC-29", "SEC-31", "SEC-35")
def body_everywhere(bench: Bench) -> Iterator[Variant]:
    """The signed Body in every place of the message, bare and in wrappers, a forged one where it was."""
    yield from everywhere(bench, names.SOAP_BODY)


@vectors(29, "SEC-12", "SEC-28", "SEC-29", "SEC-31", "SEC-35", "SEC-51")
def header_parts_everywhere(bench: Bench) -> Iterator[Variant]:
    """The signed Timestamp or token in every place of the message, bare and in wrappers, a forged one where it was."""
    for part, tag in (("timestamp", names.WSU_TIMESTAMP), ("token", names.WSSE_TOKEN)):
        for variant in everywhere(bench, tag):
            yield Variant(
                name=f"{part}-{variant.name}",
                message=variant.message,
                expected=variant.expected,
                now=bench.now + _LATER if part == "timestamp" else None,
            )
