"""TV-100 to TV-109: what SOAP 1.1 and its headers may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cbss_inscription import names
from cbss_inscription.domain.errors import (
    BodyMissing,
    MalformedMessage,
    MustUnderstand,
    NotAuthenticated,
    NotSoap,
    VersionMismatch,
    WsiViolation,
)
from tests.vectors.vector import (
    ACCEPTED,
    OPERATION,
    REQUEST,
    Bench,
    Variant,
    add,
    not_taken,
    refused,
    the,
    vectors,
    written,
)

SOAP12: Final = "http://www.w3.org/2003/05/soap-envelope"
VERSION: Final = refused(VersionMismatch, "envelope-namespace")
CHILDREN: Final = refused(NotSoap, "envelope-children")
ACTION: Final = f"{names.FACADE_ACTION}consultInscriptions"


@vectors(100, "SEC-07", "SEC-13")
def soap_1_2(bench: Bench) -> Iterator[Variant]:
    """SOAP 1.2, by its namespace or by its media type."""
    message = bench.message.replace(names.SOAP11.encode(), SOAP12.encode())
    yield Variant(name="namespace", message=message, expected=VERSION)
    soap12 = f'application/soap+xml; charset=utf-8; action="{ACTION}"'
    yield Variant(name="media-type", message=bench.message, content_type=soap12, expected=not_taken(415))
    yield Variant(name="both", message=message, content_type=soap12, expected=not_taken(415))
    for name, content_type in (("application-xml", "application/xml"), ("html", "text/html"), ("no-media-type", None)):
        yield Variant(name=name, message=bench.message, content_type=content_type, expected=not_taken(415))


@vectors(101, "SEC-12")
def no_body(bench: Bench) -> Iterator[Variant]:
    """An envelope without a Body, or whose only Body is elsewhere; XML that is no envelope."""
    missing = refused(BodyMissing, "body-missing")
    root = bench.tree()
    root.remove(bench.forge.body(root))
    yield Variant(name="none", message=written(root), expected=missing)
    root = bench.tree()
    root.find(names.SOAP_HEADER).append(bench.forge.body(root))
    yield Variant(name="in-the-header", message=written(root), expected=missing)
    root = bench.tree()
    bench.forge.body(root).tag = "Body"
    yield Variant(name="no-namespace", message=written(root), expected=missing)
    root = bench.tree()
    yield Variant(name="no-envelope", message=written(the(root, OPERATION)), expected=refused(NotSoap, "root"))


@vectors(102, "SEC-12")
def children_of_the_body(bench: Bench) -> Iterator[Variant]:
    """A Body without a child, with two, with text beside it, or with a child without namespace."""
    children = refused(BodyMissing, "body-children")
    root = bench.tree()
    del bench.forge.body(root)[:]
    yield Variant(name="none", message=bench.resigned(root), expected=children)
    for place in ("before", "after"):
        root = bench.tree()
        operation = the(root, OPERATION)
        twin = bench.forge.copy(operation)
        (operation.addprevious if place == "before" else operation.addnext)(twin)
        yield Variant(name=f"two-{place}", message=bench.resigned(root), expected=children)
    root = bench.tree()
    the(root, OPERATION).tail = "x"
    yield Variant(name="text", message=bench.resigned(root), expected=refused(BodyMissing, "body-text"))
    root = bench.tree()
    the(root, OPERATION).tag = "ConsultInscriptionsRequest"
    yield Variant(name="unqualified", message=bench.resigned(root), expected=refused(WsiViolation, "body-unqualified"))


@vectors(103, "SEC-12")
def children_of_the_envelope(bench: Bench) -> Iterator[Variant]:
    """Anything but one Header and then one Body: an element after the Body, another Header, text."""
    root = bench.tree()
    add(root, "{urn:x}Trailer")
    yield Variant(name="element-after", message=written(root), expected=CHILDREN)
    root = bench.tree()
    add(root, "{urn:x}Leader", index=0)
    yield Variant(name="element-before", message=written(root), expected=CHILDREN)
    root = bench.tree()
    root.append(root.find(names.SOAP_HEADER))
    yield Variant(name="header-after", message=written(root), expected=CHILDREN)
    for index, place in ((0, "before"), (1, "between"), (2, "after")):
        root = bench.tree()
        add(root, names.SOAP_HEADER, index=index)
        yield Variant(name=f"two-headers-{place}", message=written(root), expected=CHILDREN)
    root = bench.tree()
    bench.forge.body(root).tail = "x"
    yield Variant(name="text", message=written(root), expected=refused(NotSoap, "envelope-text"))
    root = bench.tree()
    root.find(names.SOAP_HEADER).text = "x"
    yield Variant(name="text-in-the-header", message=written(root), expected=refused(NotSoap, "header-text"))


@vectors(104, "SEC-15")
def must_understand(bench: Bench) -> Iterator[Variant]:
    """A header block that is unknown here and must be understood; one that need not be; a value that is none."""
    unknown = refused(MustUnderstand, "header-not-understood")
    for name, attributes, expected in (
        ("must", {names.SOAP_MUST_UNDERSTAND: "1"}, unknown),
        ("must-by-next", {names.SOAP_MUST_UNDERSTAND: "1", names.SOAP_ACTOR: names.SOAP_ACTOR_NEXT}, unknown),
        ("must-by-empty-actor", {names.SOAP_MUST_UNDERSTAND: "1", names.SOAP_ACTOR: ""}, unknown),
        ("must-by-another", {names.SOAP_MUST_UNDERSTAND: "1", names.SOAP_ACTOR: "urn:another"}, ACCEPTED),
        ("need-not", {names.SOAP_MUST_UNDERSTAND: "0"}, ACCEPTED),
        ("says-nothing", {}, ACCEPTED),
        ("true", {names.SOAP_MUST_UNDERSTAND: "true"}, refused(WsiViolation, "must-understand-value")),
        ("empty", {names.SOAP_MUST_UNDERSTAND: ""}, refused(WsiViolation, "must-understand-value")),
    ):
        root = bench.tree()
        add(root.find(names.SOAP_HEADER), "{urn:x}Block").attrib.update(attributes)
        yield Variant(name=name, message=written(root), expected=expected)
    for number, expected in ((32, ACCEPTED), (33, refused(MalformedMessage, "header-blocks"))):
        root = bench.tree()
        header = root.find(names.SOAP_HEADER)
        while len(header) < number:
            add(header, "{urn:x}Block")
        yield Variant(name=f"{number}-blocks", message=written(root), expected=expected)
    root = bench.tree()
    add(root.find(names.SOAP_HEADER), "Block")
    yield Variant(name="unqualified", message=written(root), expected=refused(WsiViolation, "header-unqualified"))
    root = bench.tree()
    header = root.find(names.SOAP_HEADER)
    header.remove(bench.forge.security(root))
    add(header, "{urn:x}Block").set(names.SOAP_MUST_UNDERSTAND, "1")
    yield Variant(name="before-a-missing-security-header", message=written(root), expected=unknown)


@vectors(105, "SEC-15", "SEC-16")
def actors(bench: Bench) -> Iterator[Variant]:
    """The Security header is ours without an actor, with an empty one, or with `next`; another's is not."""
    missing = refused(NotAuthenticated, "security-missing")
    for name, actor, expected in (
        ("none", None, ACCEPTED),
        ("empty", "", ACCEPTED),
        ("next", names.SOAP_ACTOR_NEXT, ACCEPTED),
        ("another", "urn:another", missing),
        ("next-with-slash", f"{names.SOAP_ACTOR_NEXT}/", missing),
        ("next-of-soap-1.2", f"{SOAP12}/role/next", missing),
        ("blank", " ", missing),
    ):
        root = bench.tree()
        if actor is not None:
            bench.forge.security(root).set(names.SOAP_ACTOR, actor)
        yield Variant(name=name, message=written(root), expected=expected)
    root = bench.tree()
    add(root.find(names.SOAP_HEADER), names.WSSE_SECURITY).set(names.SOAP_ACTOR, "urn:another")
    yield Variant(name="ours-and-another", message=written(root), expected=ACCEPTED)
    root = bench.tree()
    root.find(names.SOAP_HEADER).remove(bench.forge.security(root))
    yield Variant(name="no-security-header", message=written(root), expected=missing)
    yield Variant(name="not-signed-at-all", message=REQUEST, expected=missing)


@vectors(106, "SEC-14")
def soap_actions(bench: Bench) -> Iterator[Variant]:
    """SOAPAction is empty, absent, or the operation's own; another operation's is refused, and never obeyed."""
    spoofed = refused(WsiViolation, "action")
    for name, action, expected in (
        ("empty", '""', ACCEPTED),
        ("absent", None, ACCEPTED),
        ("its-own", f'"{ACTION}"', ACCEPTED),
        ("its-own-without-quotes", ACTION, ACCEPTED),
        ("another-operation", f'"{names.FACADE_ACTION}deleteInscription"', spoofed),
        ("health-check", f'"{names.FACADE_ACTION}healthCheck"', spoofed),
        ("unknown", '"urn:x"', spoofed),
        ("capitals", f'"{ACTION.upper()}"', spoofed),
        ("another-door", f'"{names.KSZ_ACTION}consultInscriptions"', spoofed),
    ):
        yield Variant(name=name, message=bench.message, soap_action=action, expected=expected)


@vectors(107, "SEC-14", "SEC-17")
def addressing(bench: Bench) -> Iterator[Variant]:
    """WS-Addressing may ask for an anonymous reply; to send it elsewhere, or to name another action, is refused."""
    redirection = refused(WsiViolation, "addressing-redirection")
    for version, namespace in (("2005", names.WSA), ("2004", names.WSA_2004)):
        anonymous = f"{names.WSA}/anonymous" if version == "2005" else f"{names.WSA_2004}/role/anonymous"
        for block in ("ReplyTo", "FaultTo"):
            for name, addresses, expected in (
                ("anonymous", (anonymous,), ACCEPTED),
                ("elsewhere", ("http://127.0.0.1:9/listener",), redirection),
                ("mail", ("mailto:x@example.org",), redirection),
                ("empty", ("",), redirection),
                ("two", (anonymous, "http://127.0.0.1:9/listener"), redirection),
                ("none", (), redirection),
            ):
                root = bench.tree()
                element = add(root.find(names.SOAP_HEADER), f"{{{namespace}}}{block}")
                for address in addresses:
                    add(element, f"{{{namespace}}}Address", address)
                yield Variant(name=f"{version}-{block}-{name}", message=written(root), expected=expected)
        for name, action, expected in (
            ("its-own", ACTION, ACCEPTED),
            ("another", f"{names.FACADE_ACTION}deleteInscription", refused(WsiViolation, "action")),
        ):
            root = bench.tree()
            add(root.find(names.SOAP_HEADER), f"{{{namespace}}}Action", action)
            yield Variant(name=f"{version}-Action-{name}", message=written(root), expected=expected)
    root = bench.tree()
    for namespace in (names.WSA, names.WSA_2004):
        add(root.find(names.SOAP_HEADER), f"{{{namespace}}}Action", ACTION)
    yield Variant(name="two-actions", message=written(root), expected=refused(WsiViolation, "addressing-repeated"))
    root = bench.tree()
    add(root.find(names.SOAP_HEADER), f"{{{names.WSA}}}To", "u" * 2_049)
    yield Variant(name="overlong", message=written(root), expected=refused(WsiViolation, "addressing-text"))
    for name, to, expected in (
        ("anonymous", f"{names.WSA}/anonymous", ACCEPTED),
        ("somebody-else", "https://another.example/CBSSInscription/v1", refused(WsiViolation, "addressing-to")),
    ):
        root = bench.tree()
        add(root.find(names.SOAP_HEADER), f"{{{names.WSA}}}To", to)
        yield Variant(name=f"to-{name}", message=written(root), expected=expected)
    root = bench.tree()
    add(root.find(names.SOAP_HEADER), f"{{{names.WSA}}}From", "http://127.0.0.1:9/listener")
    yield Variant(name="from-is-not-followed", message=written(root), expected=ACCEPTED)


@vectors(108, "SEC-12", "SEC-13", "SEC-29")
def wrong_namespaces(bench: Bench) -> Iterator[Variant]:
    """Namespaces as help pages print them, with `https`; no namespace; another version's."""
    unknown = refused(MustUnderstand, "header-not-understood")
    grammar = refused(NotAuthenticated, "security-grammar")
    for name, old, new, expected in (
        ("https-envelope", names.SOAP11, names.SOAP11.replace("http:", "https:"), VERSION),
        ("envelope-without-slash", names.SOAP11, names.SOAP11.rstrip("/"), VERSION),
        ("https-security", names.WSSE, names.WSSE.replace("http:", "https:"), unknown),
        ("https-utility", names.WSU, names.WSU.replace("http:", "https:"), grammar),
        ("https-signature", f'"{names.DS}"', f'"{names.DS}"'.replace("http:", "https:"), grammar),
        ("draft-security", names.WSSE, "http://schemas.xmlsoap.org/ws/2003/06/secext", unknown),
    ):
        assert old.encode() in bench.message
        yield Variant(name=name, message=bench.message.replace(old.encode(), new.encode()), expected=expected)
    root = bench.tree()
    root.tag = "Envelope"
    yield Variant(name="envelope-without-namespace", message=written(root), expected=VERSION)


@vectors(109, "SEC-12")
def encoding_styles(bench: Bench) -> Iterator[Variant]:
    """soapenv:encodingStyle on Envelope, Header, Body or operation: the service is document/literal."""
    for name, tag in (
        ("envelope", names.SOAP_ENVELOPE),
        ("header", names.SOAP_HEADER),
        ("body", names.SOAP_BODY),
        ("operation", OPERATION),
    ):
        for style, value in (("encoding", "http://schemas.xmlsoap.org/soap/encoding/"), ("empty", "")):
            root = bench.tree()
            the(root, tag).set(names.SOAP_ENCODING_STYLE, value)
            yield Variant(
                name=f"{name}-{style}", message=bench.resigned(root), expected=refused(WsiViolation, "encoding-style")
            )
