# ruff: noqa: INP001 - a program, in no package
"""What the message security costs: genuine messages, hostile ones, and refusals, in CPU time.

    .venv/bin/python bench/security.py [--rounds 15] [--large] [--json FILE]

Prints tables and ends with status 1 when a target is missed. What is compared is measured in turns in one run, and the
median of all rounds counts, so that a noisy machine shifts both sides. Absolute targets are the design's, for the
machine that it measured on; they are multiplied by what two of its figures, one parse and one RSA verification,
take here (`slowness`, never less than 1).
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import signxml
import xmlsec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from slowness import DESIGN_SECONDS, NOW, Machine, envelope, lines, one_parse_and_verification, rounds_of, slowness_of

from cbss_inscription import names
from cbss_inscription.app.settings import Limits
from cbss_inscription.domain.errors import MessageRejected
from cbss_inscription.security.policy import MessageLimits, SecurityPolicy
from cbss_inscription.security.sign import Signer, sign
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.security.verify import verify
from cbss_inscription.xml_limits import XmlLimits, XmlShape

MEBIBYTE: Final = 1_048_576
DEFAULT_POLICY: Final = SecurityPolicy()

VERIFY_SECONDS: Final = 0.15e-3
"""The design's goal for a genuine 5 kB message, certificate remembered (performance.md); SEC-87 asks for 1 ms."""
XMLSEC_RATIO: Final = 1.5
"""At most half as much again as python-xmlsec takes for the signature alone: no grammar, limits, trust or times."""
SIGNXML_RATIO: Final = 0.5
"""At most half of what signxml takes for the signature alone."""
LINEAR_RATIO: Final = 1.3
"""Cost of a byte in 1 MiB against one in 50 kB (SEC-87)."""
HOSTILE_SECONDS: Final = 0.1
"""Any hostile mebibyte (SEC-21..26, design A13); of a larger message, for each of its mebibytes."""
ORACLE_SECONDS: Final = 0.005
"""Between a failed signature and a failed digest, both of one size (SEC-64)."""
ORACLE_BYTES_MAX: Final = 262_144
"""Up to which size; whether a signature is good, anybody can compute from the message, so nothing is told by it."""
DEARER_RATIO: Final = 2.5
"""A hostile message against the dearest that is accepted at its size: libxml2 reads all attributes and namespaces of an
element before anybody can count them (2.2 times, since what is accepted became cheaper). Whatever else is refused costs
a fraction, and all of it is held to `HOSTILE_SECONDS`."""
SPOILT_RATIO: Final = 1.25
"""A spoilt message against the same unspoilt: less work, and a quarter for noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of a table: what was measured, and what it may be at most."""

    table: str
    name: str
    value: float
    unit: str
    most: float | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        """Whether the target is missed."""
        return self.most is not None and self.value > self.most


def ratio(one: list[float], other: list[float]) -> float:
    """The median of the rounds' ratios: what disturbs a round disturbs both."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


# -- messages ----------------------------------------------------------------------------------------------------------


def filled(before: str, unit: str, after: str, *, size_bytes: int) -> str:
    """As many units as go into the size."""
    return before + unit * ((size_bytes - len(before) - len(after)) // len(unit)) + after


def attributes(number: int) -> str:
    """Attributes of one element."""
    return " ".join(f'a{n}=""' for n in range(number))


def namespaces(number: int, start: int = 0) -> str:
    """Namespace declarations of one element."""
    return " ".join(f'xmlns:p{n}="urn:{n}"' for n in range(start, start + number))


def colliding(number: int) -> Iterator[str]:
    """Names with the same DJBX33A hash: `Ez`, `FY` and `G8` all give one value, and so do all words of them."""
    pieces = ("Ez", "FY", "G8")
    for n in range(number):
        word, rest = "", n
        for _ in range(11):
            rest, digit = divmod(rest, 3)
            word += pieces[digit]
        yield word


def hostile_contents(size_bytes: int) -> dict[str, str]:
    """Contents of a Body, each of about that size and odd in one way (design A13; TV-85..99)."""
    fill = size_bytes - 6_000
    unit = fill // 10
    depth = fill // 7
    return {
        "attributes on one element": f"<a xmlns='u:a' {attributes(fill // 12)}/>",
        "attributes with a namespace each": "<x:a xmlns:x='u:a' "
        + " ".join(f'xmlns:p{n}="u:{n}" p{n}:x=""' for n in range(fill // 36))
        + "/>",
        "attributes whose hashes collide": "<a xmlns='u:a' "
        + " ".join(f"{name}=''" for name in colliding(fill // 28))
        + "/>",
        "32 attributes on each element": filled("<a xmlns='u:a'>", f"<b {attributes(32)}/>", "</a>", size_bytes=fill),
        "namespaces on one element": f"<a xmlns='u:a' {namespaces(fill // 26)}/>",
        "namespaces, nested": "<x:w xmlns:x='u:a'>"
        + "".join(f"<a {namespaces(150, n * 150)}>" for n in range(min(200, fill // 4_000)))
        + "</a>" * min(200, fill // 4_000)
        + "</x:w>",
        "one long namespace, used often": f"<a xmlns='u:{'x' * (fill // 2)}'>" + "<b/>" * (fill // 8) + "</a>",
        "the longest namespace, used often": f"<a xmlns='u:{'x' * 8_000}'>" + "<b/>" * min(19_000, fill // 5) + "</a>",
        "depth": "<a xmlns='u:a'>" + "<a>" * depth + "</a>" * depth + "</a>",
        "depth within libxml2's limit": ("<a xmlns='u:a'>" + "<a>" * 240 + "</a>" * 240 + "</a>"),
        "elements": filled("<a xmlns='u:a'>", "<b/>", "</a>", size_bytes=fill),
        "texts": filled("<a xmlns='u:a'>", "<b/>x", "</a>", size_bytes=fill),
        "long names": "<a xmlns='u:a'>" + f"<{'n' * 49_000}/>" * (fill // 49_010) + "</a>",
        "one name": f"<a xmlns='u:a'><{'n' * fill}/></a>",
        "one text": filled("<a xmlns='u:a'>", "x", "</a>", size_bytes=fill),
        "character references": filled("<a xmlns='u:a'>", "&#65;", "</a>", size_bytes=fill),
        "CDATA": filled("<a xmlns='u:a'>", "<![CDATA[x]]>", "</a>", size_bytes=fill),
        "one value": filled("<a xmlns='u:a' b='", "x", "'/>", size_bytes=fill),
        "comments": filled("<a xmlns='u:a'>", "<!---->", "</a>", size_bytes=fill),
        "processing instructions": filled("<a xmlns='u:a'>", "<?x?>", "</a>", size_bytes=fill),
        "a SOAP array of a thousand million": filled(
            "<a xmlns='u:a' xmlns:e='http://schemas.xmlsoap.org/soap/encoding/' e:arrayType='x[1000000000]'>",
            "<item>1</item>",
            "</a>",
            size_bytes=fill,
        ),
        "ids": filled("<a xmlns='u:a'>", "<b Id='i'/>", "</a>", size_bytes=fill),
        "digits where ids belong": "<a xmlns='u:a'>" + "".join(f"<b Id='i{n}'/>" for n in range(unit // 2)) + "</a>",
    }


def hostile_documents(size_bytes: int) -> dict[str, str]:
    """Documents that are odd before their root element, or no SOAP."""
    after = f'<e:Envelope xmlns:e="{names.SOAP11}"><e:Body><x xmlns="u:x"/></e:Body></e:Envelope>'
    laughs = "".join(f"<!ENTITY x{n} '{f'&x{n - 1};' * 10}'>" for n in range(1, 12))
    fill = size_bytes - 1_000
    return {
        "laughs": f"<!DOCTYPE a [<!ENTITY x0 'ha'>{laughs}]>" + "<a>" + "&x11;" * (fill // 5) + "</a>",
        "quadratic blow-up": f"<!DOCTYPE a [<!ENTITY x '{'y' * (fill // 2)}'>]><a>{'&x;' * (fill // 6)}</a>",
        "default attributes of a DOCTYPE": (
            f"<!DOCTYPE a [<!ATTLIST b {' '.join(f'a{n} CDATA QQ' for n in range(fill // 40))}>]><a>"
            + "<b/>" * (fill // 12)
            + "</a>"
        ),
        "an external DTD": f"<!DOCTYPE a SYSTEM 'http://127.0.0.1:9/a.dtd'><a>{'x' * fill}</a>",
        "a parameter entity": f"<!DOCTYPE a [<!ENTITY % x SYSTEM 'file:///etc/hostname'>%x;]><a>{'x' * fill}</a>",
        "blanks first": " " * fill + after,
        "comments first": "<!---->" * (fill // 7) + after,
        "comments last": after + "<!---->" * (fill // 7),
        "a declaration without end": "<?xml " + "?" * fill + "<a/>",
        "a comment without end": "<!--" + "-" * fill,
        "no XML": "x" * fill,
    }


def accepted_contents(size_bytes: int, policy: SecurityPolicy) -> dict[str, str]:
    """Contents of a Body that keep within the limits, and cost as much as these let them."""
    limits = policy.xml_limits
    elements = min(limits.elements_max - 100, size_bytes // 9)
    rich = attributes(limits.attributes_per_element_max)
    rich_ones = min(limits.attributes_max // limits.attributes_per_element_max - 10, size_bytes // (len(rich) + 5))
    rest = "".join(f"<c>{'x' * 8_000}</c>" for _ in range((size_bytes - rich_ones * (len(rich) + 5)) // 8_010))
    return {
        "accepted: a request with many lines": lines(size_bytes),
        "accepted: as many elements as allowed": "<a xmlns='u:a'>"
        + f"<b>{'x' * (size_bytes // elements - 7)}</b>" * elements
        + "</a>",
        "accepted: an id on as many elements as allowed": "<a xmlns='u:a'>"
        + "".join(f"<b Id='i{n}'/>" for n in range(min(elements, size_bytes // 18)))
        + "</a>",
        "accepted: as many attributes as allowed": f"<a xmlns='u:a'>{f'<b {rich}/>' * rich_ones}{rest}</a>",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A signer, whoever believes it, and what is measured with them."""

    signer: Signer
    private_key: rsa.RSAPrivateKey
    trust: TrustStore
    rounds: int
    slowness: float

    def genuine(self, content: str) -> bytes:
        """A signed request with that Body."""
        root = etree.fromstring(envelope(content), etree.XMLParser(huge_tree=True))
        return sign(root, signer=self.signer, now=NOW, lifetime_seconds=300)

    def judged(self, message: bytes, policy: SecurityPolicy = DEFAULT_POLICY) -> str:
        """`accepted`, or the reason of the refusal."""
        try:
            verify(message, charset=None, policy=policy, trust=self.trust, now=NOW)
        except MessageRejected as error:
            return error.reason
        return "accepted"

    # -- what is asked of it -------------------------------------------------------------------------------------------

    def verifier(self) -> Iterator[Figure]:
        """A genuine 5 kB message against its own parts, and against libraries that check the signature alone."""
        table = "genuine 5 kB message, certificate remembered"
        message = self.genuine(lines(1_000))
        assert 4_700 < len(message) < 5_300, len(message)
        certificate = self.signer.certificate
        pem = certificate.public_bytes(Encoding.PEM)
        key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.CERT_PEM)
        calls: dict[str, Callable[[], object]] = {
            "ours": lambda: self.judged(message),
            "python-xmlsec": lambda: verify_with_xmlsec(message, key),
            "signxml": lambda: verify_with_signxml(message, certificate),
            "parse and RSA": one_parse_and_verification(message, self.private_key),
        }
        assert self.judged(message) == "accepted"
        taken = rounds_of(calls, rounds=self.rounds, seconds=0.05)
        for name, times in taken.items():
            yield Figure(table=table, name=name, value=statistics.median(times) * 1e3, unit="ms")
        scaled = ratio(taken["ours"], taken["parse and RSA"]) * DESIGN_SECONDS
        yield Figure(
            table=table,
            name="ours, on the design's machine",
            value=scaled * 1e3,
            unit="ms",
            most=VERIFY_SECONDS * 1e3,
            note="ours by parse and RSA, times 43 µs",
        )
        for name, most in (("python-xmlsec", XMLSEC_RATIO), ("signxml", SIGNXML_RATIO)):
            value = ratio(taken["ours"], taken[name])
            yield Figure(table=table, name=f"ours by {name}", value=value, unit="times", most=most)

    def growth(self) -> Iterator[Figure]:
        """Cost of a byte as messages grow (SEC-87)."""
        table = "growth"
        messages = {size: self.genuine(lines(size)) for size in (50_000, 200_000, MEBIBYTE - 5_000)}
        calls: dict[str, Callable[[], object]] = {}
        for size, message in messages.items():
            assert self.judged(message) == "accepted"
            calls[str(size)] = lambda message=message: self.judged(message)  # type: ignore[misc]
        taken = rounds_of(calls, rounds=self.rounds, seconds=0.05)
        first, *others = messages
        for size, message in messages.items():
            value = statistics.median(taken[str(size)])
            yield Figure(table=table, name=f"{len(message)} bytes", value=value * 1e3, unit="ms")
        for size in others:
            value = ratio(taken[str(size)], taken[str(first)]) * len(messages[first]) / len(messages[size])
            yield Figure(
                table=table,
                name=f"a byte of {len(messages[size])} by one of {len(messages[first])}",
                value=value,
                unit="times",
                most=LINEAR_RATIO,
            )

    def hostile(self, *, size_bytes: int, policy: SecurityPolicy, table: str) -> Iterator[Figure]:
        """Every kind of hostile message, whoever signed it, against the dearest that is accepted at that size."""
        shapes = accepted_contents(size_bytes - 8_000, policy)
        accepted = {name: self.genuine(content) for name, content in shapes.items()}
        hostile = {name: self.unsigned(content) for name, content in hostile_contents(size_bytes).items()}
        documents = {name: text.encode() for name, text in hostile_documents(size_bytes).items()}
        others = {
            "elements in UTF-16": envelope(hostile_contents(size_bytes // 2)["elements"]).decode().encode("utf-16"),
            "PrefixList of 5 000 over 250 levels": self.prefix_list(5_000, 250),
        }
        messages = {**accepted, **hostile, **documents, **others}
        for name in accepted:
            assert self.judged(messages[name], policy) == "accepted", (name, self.judged(messages[name], policy))
        calls: dict[str, Callable[[], object]] = {
            name: lambda message=message: self.judged(message, policy)  # type: ignore[misc]
            for name, message in messages.items()
        }
        # The machine is measured again, in turn with the rest: what else it does changes from minute to minute.
        calls["floor"] = one_parse_and_verification(self.genuine(lines(1_000)), self.private_key)
        taken = rounds_of(calls, rounds=max(3, self.rounds // 3), seconds=0.01)
        slowness = slowness_of(taken["floor"])
        most = HOSTILE_SECONDS * slowness * size_bytes / MEBIBYTE
        dearest = max(accepted, key=lambda name: statistics.median(taken[name]))
        for name, message in messages.items():
            assert len(message) <= size_bytes, (name, len(message))
            yield Figure(
                table=table,
                name=name,
                value=statistics.median(taken[name]) * 1e3,
                unit="ms",
                most=most * 1e3,
                note=f"{self.judged(message, policy)}, {len(message)} bytes",
            )
        refused = [
            name for name in messages if name not in accepted and self.judged(messages[name], policy) != "accepted"
        ]
        worst = max(refused, key=lambda name: ratio(taken[name], taken[dearest]))
        yield Figure(
            table=table,
            name="dearest refusal by dearest acceptance",
            value=ratio(taken[worst], taken[dearest]),
            unit="times",
            most=DEARER_RATIO,
            note=f"{worst}; {dearest}",
        )

    def unsigned(self, content: str) -> bytes:
        """The request with a header as of a genuine one; to sign such a content could take minutes."""
        return self.genuine("<x xmlns='u:x'/>").replace(b'<x xmlns="u:x"/>', content.encode())

    def prefix_list(self, number: int, depth: int) -> bytes:
        """A request whose every part would be canonicalised with that many prefixes, all of them declared."""
        root = etree.fromstring(
            self.unsigned(f"<a xmlns='u:a' {namespaces(number)}>{'<b>' * depth}{'</b>' * depth}</a>")
        )
        tokens = " ".join(f"p{n}" for n in range(number))
        for transform in root.iter(names.DS_TRANSFORM):
            etree.SubElement(transform, names.EXC_INCLUSIVE_NAMESPACES, PrefixList=tokens)
        return etree.tostring(root)

    def resign(self, root: etree._Element) -> None:
        """SignedInfo as it is now, signed again; the digests stay as they are."""
        data = etree.tostring(next(root.iter(names.DS_SIGNED_INFO)), method="c14n", exclusive=True)
        value = self.private_key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        next(root.iter(names.DS_SIGNATURE_VALUE)).text = base64.b64encode(value).decode()

    def oracle(self) -> Iterator[Figure]:
        """How long a failed signature and a failed digest take, at one size (SEC-64); neither dearer than a success."""
        table = "failed signature and failed digest"
        for size in (1_000, 50_000, MEBIBYTE - 5_000):
            good = self.genuine(lines(size))
            accepted, digest, signature = etree.fromstring(good), etree.fromstring(good), etree.fromstring(good)
            for root, spoilt in ((digest, names.DS_DIGEST_VALUE), (signature, names.DS_SIGNATURE_VALUE)):
                *_, value = root.iter(spoilt)
                text = value.text or ""
                value.text = ("B" if text[0] == "A" else "A") + text[1:]
            self.resign(digest)
            # All written alike: a form that is known takes half of what one that is not known does, genuine or not.
            roots = {"accepted": accepted, "digest": digest, "signature": signature}
            messages = {name: etree.tostring(root) for name, root in roots.items()}
            judged = {name: self.judged(message) for name, message in messages.items()}
            assert judged == {"accepted": "accepted", "digest": "signature-digest", "signature": "signature-value"}, (
                judged
            )
            calls: dict[str, Callable[[], object]] = {
                name: lambda message=message: self.judged(message)  # type: ignore[misc]
                for name, message in messages.items()
            }
            taken = rounds_of(calls, rounds=self.rounds, seconds=0.03)
            pairs = zip(taken["digest"], taken["signature"], strict=True)
            difference = abs(statistics.median(one - other for one, other in pairs))
            yield Figure(
                table=table,
                name=f"difference at {len(good)} bytes",
                value=difference * 1e3,
                unit="ms",
                # A digest of a mebibyte takes longer than that, and comes after the signature by SEC-37.
                most=ORACLE_SECONDS * self.slowness * 1e3 if size < ORACLE_BYTES_MAX else None,
            )
            for name in ("digest", "signature"):
                yield Figure(
                    table=table,
                    name=f"failed {name} by acceptance at {len(good)} bytes",
                    value=ratio(taken[name], taken["accepted"]),
                    unit="times",
                    most=SPOILT_RATIO,
                )


def loosest_policy() -> SecurityPolicy:
    """The policy of a settings file that has every limit at its most."""
    most = {kind: most_of(kind) for kind in (MessageLimits, XmlShape)}
    return SecurityPolicy(
        xml_limits=XmlLimits(size_bytes_max=int(most_of(Limits)["body_bytes_max"]), **most[XmlShape]),
        **most[MessageLimits],
    )


def most_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The most that each number of a section may be."""
    structure = msgspec.inspect.type_info(kind)
    assert isinstance(structure, msgspec.inspect.StructType)
    return {
        field.name: field.type.le
        for field in structure.fields
        if isinstance(field.type, msgspec.inspect.IntType | msgspec.inspect.FloatType)
    }


def verify_with_xmlsec(message: bytes, key: xmlsec.Key) -> None:
    """The signature alone, its transforms restricted."""
    root = etree.fromstring(message)
    context = xmlsec.SignatureContext()
    for element in root.iter(names.WSSE_TOKEN, names.WSU_TIMESTAMP, names.SOAP_BODY):
        context.register_id(element, "Id", names.WSU)
    for transform in (xmlsec.Transform.EXCL_C14N, xmlsec.Transform.SHA256):
        context.enable_reference_transform(transform)
    for transform in (xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256):
        context.enable_signature_transform(transform)
    context.key = key
    context.verify(next(root.iter(names.DS_SIGNATURE)))


def verify_with_signxml(message: bytes, certificate: Any) -> None:  # noqa: ANN401 - a certificate of cryptography's
    """The signature alone, over three parts."""
    expected = signxml.SignatureConfiguration(expect_references=3, location=".//")
    signxml.XMLVerifier().verify(message, x509_cert=certificate, expect_config=expected)


def prepare(rounds: int) -> Bench:
    """A new PKI, an application, and how slow this machine is."""
    machine = Machine()
    return Bench(
        signer=machine.signer,
        private_key=machine.private_key,
        trust=TrustStore(authorities_pem=machine.pki.authorities_pem, environment="ACC"),
        rounds=rounds,
        slowness=machine.slowness(rounds=rounds),
    )


def figures_of(bench: Bench, *, large: bool) -> Iterator[Figure]:
    """Everything; when it may take minutes, the largest messages that a settings file can allow too."""
    yield from bench.verifier()
    yield from bench.growth()
    yield from bench.oracle()
    yield from bench.hostile(size_bytes=MEBIBYTE, policy=DEFAULT_POLICY, table="1 MiB, limits as they are by default")
    loosest = loosest_policy()
    yield from bench.hostile(size_bytes=MEBIBYTE, policy=loosest, table="1 MiB, every limit at its most")
    size = loosest.xml_limits.size_bytes_max
    if large:
        yield from bench.hostile(size_bytes=size, policy=loosest, table="16 MiB, every limit at its most")


def main() -> None:
    """Print the figures; status 1 when one is above its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each thing is measured")
    parser.add_argument("--json", type=Path, help="where to write the figures besides")
    parser.add_argument("--large", action="store_true", help="hostile messages of 16 MiB, too; takes minutes")
    given = parser.parse_args()
    bench = prepare(given.rounds)
    sys.stdout.write(f"slowness {bench.slowness:.2f}: absolute targets are multiplied by it\n")
    figures: list[Figure] = []
    for figure in figures_of(bench, large=given.large):
        if not figures or figures[-1].table != figure.table:
            sys.stdout.write(f"\n{figure.table}\n")
        figures.append(figure)
        target = "" if figure.most is None else f"≤ {figure.most:.3f}{'  MISSED' if figure.missed else ''}"
        sys.stdout.write(f"  {figure.name:<58}{figure.value:>10.3f} {figure.unit:<6}{target:<20}{figure.note}\n")
        sys.stdout.flush()
    if given.json is not None:
        rows = [{name: getattr(figure, name) for name in Figure.__slots__} for figure in figures]
        given.json.write_text(json.dumps({"slowness": bench.slowness, "figures": rows}, indent=2) + "\n", "utf-8")
    missed = [figure.name for figure in figures if figure.missed]
    sys.stdout.write(f"\n{len(missed)} of {len(figures)} figures above their target\n")
    raise SystemExit(bool(missed))


if __name__ == "__main__":
    main()
