"""Headers that read like one before: they are recognised, and nothing that is decided depends on it."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription import names
from cbss_inscription.security import gate, verify
from cbss_inscription.security.header_forms import FORM_CHARS_MAX, HeaderForm
from cbss_inscription.security.known_headers import KNOWN_HEADERS_MAX, KnownHeaders
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.xml_limits import XmlLimits
from tests.security.gate_twice import GateTwice, told
from tests.security.test_security_gate import CASES
from tests.security.test_security_oracles import template

CREATED = "2026-03-02T09:30:00.000Z"
SPECIAL = (
    "",
    " ",
    "\r\n",
    "=",
    "#",
    "&#65;",
    "&#13;",
    "&amp;",
    "<!---->",
    "<![CDATA[A]]>",
    "<a/>",
    '"',
    "'",
    ">",
    "\x85",
)


def plain(root):
    """A message as the stacks write it."""
    return etree.tostring(root).decode()


def written(forge):
    """A genuine header in each of several stacks' ways."""
    signed = plain(forge.tree())
    listed = plain(filled(forge, template(forge, prefix_list="t soapenv", order=("signature", "timestamp", "token"))))
    yield from (signed, listed, signed.replace("><", ">\r\n<"), plain(filled(forge, template(forge, ns=None))))


def filled(forge, root):
    """The template with all that the gate asks for, the digests and the signature right."""
    forge.part(root, names.DS_SIGNATURE_VALUE).text = "QUFB"
    for value in root.iter(names.DS_DIGEST_VALUE):
        value.text = "QUFB"
    return forge.resign(root)


def test_sec_29_a_header_is_known_once_its_like_was_found_genuine(forge, monkeypatch):
    """A header is known when one that reads like it, all its values apart, was verified, and not before (SEC-29)."""
    known = GateTwice()
    monkeypatch.setattr(verify, "_KNOWN_HEADERS", known.known_headers)
    first, second = plain(forge.tree()), plain(forge.tree(now=forge.now.replace(second=7)))
    assert HeaderForm.of(first) == HeaderForm.of(second)
    assert HeaderForm.of(first).values(first) != HeaderForm.of(first).values(second)
    assert forge.refusal(re.sub("(<ds:SignatureValue>).", r"\1/", first).encode()) != "accepted"
    assert not known.knows(second, forge.policy)
    assert forge.refusal(first.encode()) == "accepted"
    assert known.knows(second, forge.policy)
    monkeypatch.setattr(gate, "stations", None)  # the grammar
    assert forge.refusal(second.encode()) == "accepted"


@pytest.mark.parametrize("number", range(4))
def test_sec_29_ways_of_writing(forge, number):
    """Whatever prefixes, order, PrefixLists and line ends a stack has, its header is known the next time (SEC-29)."""
    text = list(written(forge))[number]
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    assert twice.knows(text, forge.policy)


NOT_PLAIN = {
    "in single quotation marks": lambda text: text.replace('mustUnderstand="1"', "mustUnderstand='1'"),
    "with a comment": lambda text: text.replace("<soapenv:Header>", "<!-- --><soapenv:Header>"),
    "with a comment in the header": lambda text: text.replace("<soapenv:Header>", "<soapenv:Header><!-- -->"),
    "with a reference": lambda text: text.replace("<soapenv:Header>", "<soapenv:Header>&#32;"),
    "with a reference in a value": lambda text: text.replace("X509-", "X&#53;09-"),
    "with a CDATA section": lambda text: text.replace("<soapenv:Header>", "<soapenv:Header><![CDATA[ ]]>"),
    "with a > in a value": lambda text: text.replace("<soapenv:Header>", '<soapenv:Header a=">">'),
    "after another block": lambda text: text.replace("<soapenv:Header>", '<soapenv:Header><b xmlns="urn:b"/>'),
    "after another's Security header": lambda text: re.sub(
        "<wsse:Security.*</wsse:Security>",
        lambda found: (
            found[0].replace("mustUnd", 'actor="urn:other" soapenv:mustUnd').replace('Id="', 'Id="o') + found[0]
        ),
        text,
    ),
    "too late": lambda text: text.replace("<soapenv:Header>", f"<soapenv:Header>{' ' * FORM_CHARS_MAX}"),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_sec_29_headers_that_are_not_plainly_written(forge, name):
    """A header whose characters are not all accounted for goes through the grammar each time (SEC-29)."""
    text = NOT_PLAIN[name](plain(forge.tree()))
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    assert not twice.knows(text, forge.policy)


def test_sec_29_a_prefix_named_id(forge):
    """A declaration of a prefix that is called Id stays as it is in a form: its URI is no id (SEC-29)."""
    text = plain(forge.tree()).replace("<wsse:Security ", '<wsse:Security xmlns:Id="urn:a" xmlns:URI="urn:b" ')
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    assert twice.knows(text, forge.policy)
    assert not twice.knows(text.replace('"urn:a"', '"urn:c"'), forge.policy)


def test_sec_29_what_goes_before_the_envelope(forge):
    """A header is known behind an XML declaration and blanks too, where its like stood behind the same (SEC-29)."""
    first, second = (f'<?xml version="1.0"?>\n{plain(forge.tree())}' for _ in range(2))
    twice = GateTwice()
    assert not twice.differs(first, forge.policy)
    assert twice.knows(second, forge.policy)
    assert not twice.knows(second.partition("\n")[2], forge.policy)


def test_sec_29_ids_behind_declarations(forge):
    """An id is a value wherever it stands in its tag, behind a declaration as well (SEC-29)."""
    first, second = (plain(forge.tree()).replace("<wsu:Timestamp ", '<wsu:Timestamp xmlns:x="urn:x" ') for _ in "ab")
    twice = GateTwice()
    assert not twice.differs(first, forge.policy)
    assert twice.knows(second, forge.policy)


@pytest.mark.parametrize("name", ["a", "URI", "xmlnsId"])
def test_sec_29_the_header_around_is_no_value(forge, name):
    """What stands in the tags around the Security header stays as it is in a form, ids apart (SEC-29)."""
    text = plain(forge.tree()).replace("<soapenv:Header>", f'<soapenv:Header {name}="#a">')
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    assert twice.knows(text, forge.policy)
    assert not twice.knows(text.replace('"#a"', '"#b"'), forge.policy)


@pytest.mark.parametrize("name", ["Id", "ID", "id", "iD", "AssertionID", "xml:id", "xmlnsa:Id"])
@pytest.mark.parametrize("around", ["Envelope", "Header", "Body"])
def test_sec_28_ids_around_the_security_header(forge, name, around):
    """An id of whatever kind in the tags around is a value of a known header, and like no other of its ids (SEC-28)."""
    text = plain(forge.tree()).replace(f"<soapenv:{around}", f'<soapenv:{around} xmlns:xmlnsa="urn:a" {name}="a"')
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    assert twice.knows(text.replace(f'{name}="a"', f'{name}="b"'), forge.policy)
    for bad in (token_id(text), "1", ""):
        changed = text.replace(f'{name}="a"', f'{name}="{bad}"')
        assert not twice.differs(changed, forge.policy)
        assert not twice.knows(changed, forge.policy)


def test_sec_28_ids_around_a_body_without_any(forge):
    """Where nothing in the Body could be an id, those around it are still good and each other's like (SEC-28)."""
    request = forge.request.replace(b' kind="exact"', b"")  # which ends like an id
    text = plain(forge.tree(request)).replace("<soapenv:Header", '<soapenv:Header Id="a"')
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    assert twice.knows(text.replace('Id="a"', 'Id="b"'), forge.policy)
    for bad in (token_id(text), "1"):
        changed = text.replace('Id="a"', f'Id="{bad}"')
        assert not twice.knows(changed, forge.policy)
        assert not twice.differs(changed, forge.policy)


def test_sec_29_of_a_known_header_no_canonical_form_is_made(forge, monkeypatch):
    """Of a message whose header is known, the Body alone is canonicalised by libxml2 (SEC-29)."""
    assert forge.refusal(plain(forge.tree()).encode()) == "accepted"
    made = []
    canonical = verify.canonical
    monkeypatch.setattr(
        verify, "canonical", lambda element, *rest: made.append(element.tag) or canonical(element, *rest)
    )
    assert forge.refusal(plain(forge.tree()).encode()) == "accepted"
    assert made == [names.SOAP_BODY]


def test_sec_29_a_form_ends_where_the_start_tag_of_the_body_does(forge):
    """What a form accounts for ends with the Body's start tag, and takes a value for each place (SEC-29)."""
    text = plain(forge.tree())
    form = HeaderForm.of(text)
    values, chars = form.values(text)
    assert chars == text.index(">", text.index("<soapenv:Body")) + 1
    assert form.filled(values) == text[:chars]
    with pytest.raises(ValueError, match="shorter"):
        form.filled(values[:-1])


def test_sec_29_known_under_one_policy(forge):
    """A header is known under the policy that accepted it, or its equal; another may refuse it (SEC-29, SEC-33)."""
    wide = SecurityPolicy(signature_algorithms=frozenset({names.RSA_SHA256, names.RSA_SHA512}))
    text = plain(forge.tree()).replace(names.RSA_SHA256, names.RSA_SHA512)
    twice = GateTwice()
    assert not twice.differs(text, wide)
    assert twice.knows(text, wide)
    assert twice.knows(text, SecurityPolicy(signature_algorithms=wide.signature_algorithms))
    assert not twice.differs(text, forge.policy)
    assert not twice.knows(text, forge.policy)


def test_sec_29_known_headers_are_counted(forge):
    """As many headers are known as the limit says, and the one that came first goes first (SEC-29)."""
    text = plain(forge.tree())
    texts = [text.replace("<wsu:Created>", f"{' ' * n}<wsu:Created>") for n in range(KNOWN_HEADERS_MAX + 1)]
    twice = GateTwice()
    for text in texts[:-1]:
        assert not twice.differs(text, forge.policy)
    assert all(twice.knows(text, forge.policy) for text in texts[:-1])
    assert not twice.differs(texts[-1], forge.policy)
    assert [twice.knows(text, forge.policy) for text in texts] == [False] + [True] * KNOWN_HEADERS_MAX


def test_sec_29_one_header_counts_once(forge, monkeypatch):
    """A header that two threads find genuine at once has one place; of a known one no form is made (SEC-29)."""
    known, text = KnownHeaders(), plain(forge.tree())
    _, gated = told(text, forge.policy, known)
    for _ in range(2):
        known.remember(text, gated, forge.policy)
    assert len(known._known) == 1
    _, gated = told(text, forge.policy, known)
    monkeypatch.setattr(HeaderForm, "of", None)
    known.remember(text, gated, forge.policy)


@pytest.mark.parametrize("name", CASES)
def test_sec_29_known_headers_and_forged_ones(forge, twice, name):
    """Each shape of the grammar's own cases has the verdict and the reason of the grammar, its like being known.

    (SEC-12..17, SEC-28..36)
    """
    change, _, _ = CASES[name]
    root = forge.tree()
    assert not twice.differs(plain(root), forge.policy)
    change(root)
    assert not twice.differs(plain(root), forge.policy)


@pytest.fixture(scope="module")
def twice():
    return GateTwice()


@pytest.fixture(scope="module")
def texts(forge):
    return list(written(forge))


def places(text):
    """Where each value stands that differs from message to message."""
    position = 0
    for piece, end in HeaderForm.of(text).pieces:
        begins = position + len(piece)
        position = text.index(end, begins)
        yield begins, position


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_sec_29_known_headers_and_changed_ones(forge, twice, texts, data):
    """Whatever values a header like a known one has, the grammar finds the same in it, or refuses it (SEC-28..36)."""
    text = data.draw(st.sampled_from(texts))
    assert not twice.differs(text, forge.policy)
    assert twice.knows(text, forge.policy)
    found = list(places(text))
    values = [text[begins:ends] for begins, ends in found]
    any_value = st.one_of(st.sampled_from((*values, CREATED, "A" * 43 + "=", "A" * 16_385)), st.text("aZ9_-.:#=+/ \n"))
    changed = data.draw(st.dictionaries(st.integers(0, len(found) - 1), any_value, max_size=3))
    special = data.draw(st.sampled_from(SPECIAL))
    at = data.draw(st.integers(0, text.index("</wsse:Security>") + 40))
    for index, value in sorted(changed.items(), reverse=True):
        begins, ends = found[index]
        where = data.draw(st.sampled_from((0, len(value))))
        text = text[:begins] + value[:where] + special + value[where:] + text[ends:]
    if not changed:
        text = text[:at] + special + text[at + data.draw(st.integers(0, 3)) :]
    assert not twice.differs(text, forge.policy)


PLACES = {
    "token": "<wsse:BinarySecurityToken[^>]*>",
    "target": '<ds:Reference URI="#',
    "digest": "<ds:DigestValue>",
    "created": "<wsu:Created>",
    "token_target": '<wsse:Reference URI="#',
}
VALUES = {
    "a token that is too long": ("token", lambda value: "A" * 16_388),
    "a token that is no base64": ("token", lambda value: value[:-1] + "!"),
    "no target": ("target", lambda value: ""),
    "one target twice": ("target", lambda value: "TWICE"),
    "a digest of 31 bytes": ("digest", lambda value: "A" * 42 + "=="),
    "a digest that is no base64": ("digest", lambda value: "A" * 43),
    "no instant": ("created", lambda value: "2026-02-30T00:00:00Z"),
    "another token": ("token_target", lambda value: value + "x"),
}


@pytest.mark.parametrize("name", VALUES)
def test_sec_29_values_that_the_grammar_refuses(forge, name):
    """A value that is not good is left to the grammar, which refuses it, though the header is known (SEC-28..36)."""
    place, change = VALUES[name]
    text = plain(forge.tree())
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    first, *others = re.finditer(f'{PLACES[place]}([^<"]*)', text)
    begins, ends = first.span(1)
    changed = others[0][1] if change(first[1]) == "TWICE" else change(first[1])
    text = text[:begins] + changed + text[ends:]
    assert not twice.differs(text, forge.policy)
    assert not twice.knows(text, forge.policy)


def test_sec_30_a_token_as_long_as_may_be(forge):
    """A known header's token may be as long as any, and no longer (SEC-30)."""
    text = plain(forge.tree())
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    token = re.search(">([^<]*)</wsse:BinarySecurityToken", text)[1]
    limit = forge.policy.token_size_chars_max
    for chars, is_known in ((limit, True), (limit + 4, False)):
        changed = text.replace(token, "A" * chars)
        assert not twice.differs(changed, forge.policy)
        assert twice.knows(changed, forge.policy) == is_known


def test_sec_28_a_body_without_an_id(forge):
    """A Body without an id is no part that a signature could name, be the header known or not (SEC-28)."""
    text = plain(forge.tree())
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    body_id = re.search('<soapenv:Body[^>]*wsu:Id="([^"]*)"', text)[1]
    for target in (body_id, ""):
        changed = text.replace(f'"#{body_id}"', f'"#{target}"').replace(f'wsu:Id="{body_id}"', "")
        assert changed != text
        assert not twice.differs(changed, forge.policy)
        assert not twice.knows(changed, forge.policy)


def test_sec_26_line_ends_in_signed_values(forge):
    """A carriage return in what is signed, which a canonical form has not, is left to libxml2; a line feed is not.

    (SEC-30, SEC-34)
    """
    text = plain(forge.tree())
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    for place in ("token", "digest"):
        begins = re.search(PLACES[place], text).end()
        for line_end, is_known in (("\n", True), ("\r\n", False), ("\r", False)):
            changed = text[: begins + 4] + line_end + text[begins + 4 :]
            assert not twice.differs(changed, forge.policy)
            assert twice.knows(changed, forge.policy) == is_known


def test_sec_25_a_beginning_longer_than_a_text_may_be(forge):
    """Where a text may be no longer than what stands before a Body, a header is not known: one could be (SEC-25)."""
    text = plain(forge.tree())
    twice = GateTwice()
    _, chars = HeaderForm.of(text).values(text)
    for limit, is_known in ((chars, True), (chars - 1, False)):
        policy = SecurityPolicy(xml_limits=XmlLimits(text_chars_max=limit))
        assert not twice.differs(text, policy)
        assert twice.knows(text, policy) == is_known


def test_sec_29_characters_that_are_marks(forge):
    """A message that has itself what marks the places is not learnt from, and known by another's form (SEC-29)."""
    text = plain(forge.tree())
    marked = text.replace("00000000097", "\uf900\ufaff")
    twice = GateTwice()
    assert marked != text
    assert not twice.differs(marked, forge.policy)
    assert not twice.knows(marked, forge.policy)
    assert not twice.differs(text, forge.policy)
    assert twice.knows(marked, forge.policy)


BODIES = {
    "another element": (lambda text: text.replace("</soapenv:Body>", "<a xmlns='u:a'/></soapenv:Body>"), False),
    "an element without a namespace": (
        lambda text: re.sub("(?s)(<soapenv:Body[^>]*>).*(</soapenv:Body>)", r"\1<a/>\2", text),
        False,
    ),
    "no element": (lambda text: re.sub("(?s)(<soapenv:Body[^>]*>).*(</soapenv:Body>)", r"\1\2", text), False),
    "a text first": (lambda text: re.sub("(<soapenv:Body[^>]*>)", r"\1.", text), False),
    "a text last": (lambda text: text.replace("</soapenv:Body>", ".</soapenv:Body>"), False),
    "a text behind": (lambda text: text.replace("</soapenv:Body>", "</soapenv:Body>."), False),
    "a no-break space behind": (lambda text: text.replace("</soapenv:Body>", "</soapenv:Body>\xa0"), False),
    "blanks": (lambda text: text.replace("</soapenv:Body>", " </soapenv:Body>\r\n"), True),
    "an element behind": (lambda text: text.replace("</soapenv:Body>", "</soapenv:Body><a xmlns='u:a'/>"), False),
    "a comment": (lambda text: text.replace("</t:", "<!----></t:", 1), False),
    "a comment behind": (lambda text: text.replace("</soapenv:Body>", "</soapenv:Body><!---->"), False),
    "a comment after all": (lambda text: f"{text}<!---->", True),
    "encryption": (lambda text: text.replace("</t:", f"<a xmlns='{names.XENC}'/></t:", 1), False),
    "an attachment": (lambda text: text.replace("</t:", f"<a xmlns='{names.XOP}'/></t:", 1), False),
    "encodingStyle": (
        lambda text: text.replace("<t:consultRequest", '<t:consultRequest soapenv:encodingStyle="a"'),
        False,
    ),
    "encodingStyle within": (lambda text: text.replace("</t:", '<a soapenv:encodingStyle="a"/></t:', 1), True),
    "an id": (lambda text: text.replace("</t:", "<a Id='a'/></t:", 1), True),
    "an id, blanks behind its name": (lambda text: text.replace("</t:", "<a ID\r\n='1'/></t:", 1), False),
    "an id of the header": (lambda text: text.replace("</t:", f"<a iD='{token_id(text)}'/></t:", 1), False),
    "an id of XML": (lambda text: text.replace("</t:", f"<a xml:id='{token_id(text)}'/></t:", 1), False),
    "an assertion's id": (lambda text: text.replace("</t:", f"<a AssertionID='{token_id(text)}'/></t:", 1), False),
}


def token_id(text):
    return re.search('wsu:Id="(X509-[^"]*)"', text)[1]


@pytest.mark.parametrize("name", BODIES)
def test_sec_12_bodies_behind_known_headers(forge, name):
    """Behind a known header the Body is looked at as behind any (SEC-07, SEC-12, SEC-13, SEC-20, SEC-28)."""
    change, is_known = BODIES[name]
    text = plain(forge.tree())
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    changed = change(text)
    assert changed != text
    assert twice.knows(changed, forge.policy) == is_known
    assert not twice.differs(changed, forge.policy)
    assert twice.knows(changed, forge.policy) == is_known


def turned(text):
    """The same with each Reference leading to the next one's part."""
    targets = re.findall('<ds:Reference URI="#([^"]*)"', text)
    following = dict(zip(targets, (*targets[1:], targets[0]), strict=True))
    return re.sub('(?<=<ds:Reference URI="#)[^"]*', lambda target: following[target[0]], text)


def test_sec_29_references_in_another_order(forge):
    """A header whose References name the parts in another order is of the same form, and known (SEC-34, SEC-35)."""
    text = plain(forge.tree())
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    assert twice.knows(turned(text), forge.policy)
    assert not twice.differs(turned(text), forge.policy)


@pytest.mark.parametrize("number", range(3))
def test_sec_26_references_with_other_prefix_lists(forge, number):
    """A part whose Reference has another PrefixList than before has another canonical form (SEC-26, SEC-35)."""
    text = plain(filled(forge, template(forge, prefix_list="t soapenv")))
    first, *lists = re.split('(?=PrefixList="t soapenv")', text)
    lists[number] = lists[number].replace("t soapenv", "wsu soapenv", 1)
    text = first + "".join(lists)
    twice = GateTwice()
    assert not twice.differs(text, forge.policy)
    assert twice.knows(text, forge.policy)
    for changed in (turned(text), turned(turned(text))):
        assert not twice.differs(changed, forge.policy)
