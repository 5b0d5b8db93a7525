"""TV-80 to TV-84: a message that was sent before, however it is written the second time and whoever receives it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from lxml import etree

from cbss_inscription import names
from cbss_inscription.domain.errors import NotAuthenticated
from tests.vectors.vector import ACCEPTED, REQUEST, Bench, Delivery, Variant, refused, the, vectors, written

REPLAYED: Final = refused(NotAuthenticated, "replayed")


@vectors(80, "SEC-52")
def identical(bench: Bench) -> Iterator[Variant]:
    """The same bytes again, at once or just before they expire; another signing is another message."""
    again = {"message": bench.message, "before": bench.message, "delivery": Delivery.AFTER}
    yield Variant(name="at-once", expected=REPLAYED, **again)
    yield Variant(name="at-its-end", expected=REPLAYED, now=bench.now + timedelta(seconds=59), **again)
    yield Variant(
        name="another-signing",
        message=bench.signed(REQUEST),
        before=bench.message,
        delivery=Delivery.AFTER,
        expected=ACCEPTED,
    )


@vectors(81, "SEC-52")
def written_again(bench: Bench) -> Iterator[Variant]:
    """The same message in other bytes: other white space, encoding, prefixes, header blocks, order of blocks."""
    plain = re.sub(rb"<\?xml.*?\?>\s*", b"", bench.message)
    root = bench.tree()
    root.append(etree.Comment("again"))
    bench.forge.security(root).tail = "\n\n"
    with_block = bench.tree()
    etree.SubElement(with_block.find(names.SOAP_HEADER), "{urn:x}Another")
    turned = bench.tree()
    security = bench.forge.security(turned)
    security[:] = reversed(security)
    unused = etree.tostring(bench.tree()).replace(b"<soapenv:Envelope ", b'<soapenv:Envelope xmlns:u="urn:unused" ', 1)
    for name, message in (
        ("no-declaration", plain),
        ("utf-16", bench.message.decode().encode("utf-16")),
        ("comment-and-blanks", written(root)),
        ("another-header-block", written(with_block)),
        ("another-order", written(turned)),
        ("another-namespace-declared", unused),
    ):
        assert message != bench.message
        yield Variant(
            name=name,
            message=message,
            before=bench.message,
            delivery=Delivery.AFTER,
            expected=REPLAYED,
            content_type="text/xml",  # without charset: the byte order mark decides
        )


@vectors(82, "SEC-52")
def another_spelling_of_the_signature(bench: Bench) -> Iterator[Variant]:
    """White space in SignatureValue: another text, the same signature."""
    value = the(bench.tree(), names.DS_SIGNATURE_VALUE).text or ""
    for name, text in (
        ("line-behind", f"{value}\n"),
        ("blank-inside", f"{value[:7]} {value[7:]}"),
        ("lines-of-64", "\n".join(value[start : start + 64] for start in range(0, len(value), 64))),
    ):
        root = bench.tree()
        the(root, names.DS_SIGNATURE_VALUE).text = text
        yield Variant(
            name=name, message=written(root), before=bench.message, delivery=Delivery.AFTER, expected=REPLAYED
        )


@vectors(83, "SEC-52")
def two_replicas_at_once(bench: Bench) -> Iterator[Variant]:
    """The same message at two replicas at once: exactly one of them carries it out."""
    yield Variant(
        name="two-replicas",
        message=bench.message,
        before=bench.message,
        delivery=Delivery.AT_ONCE,
        expected=REPLAYED,
    )


@vectors(84, "SEC-52")
def after_a_restart(bench: Bench) -> Iterator[Variant]:
    """The same message after the service was started anew."""
    yield Variant(
        name="restart", message=bench.message, before=bench.message, delivery=Delivery.RESTARTED, expected=REPLAYED
    )
