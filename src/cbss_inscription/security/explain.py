"""What the verifier sees in a message, station by station (SEC-88): the verdicts are its own, the facts for people.

The verdict of each step and the reason of a refusal come from `verify.stations`, which `verify` itself runs. What is
added is description only: it reads the message again, leniently and within bounds, decides nothing and refuses nothing.
Facts hold names, ids, algorithms, digests and the certificate's own words; text of the Body stands nowhere but in
`SignedPart.canonical`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names, safe_xml
from cbss_inscription.domain.errors import MessageRejected, NotAuthenticated
from cbss_inscription.security import verify
from cbss_inscription.security.algorithms import BY_URI, PublicKey, algorithm_for
from cbss_inscription.security.c14n import CanonicalizationError, canonical
from cbss_inscription.security.gate import GatedMessage, Reference
from cbss_inscription.security.known_headers import KnownHeaders
from cbss_inscription.security.policy import SecurityPolicy, fields_of
from cbss_inscription.security.stations import Station
from cbss_inscription.security.trust import CertificateRules, CertifiedCaller, TrustStore
from cbss_inscription.security.verify import VerifiedMessage
from cbss_inscription.xml_limits import XmlLimits, XmlShape

FACT_CHARS_MAX: Final = 400
"""One fact, in characters: an attribute may have thousands."""
LISTED_MAX: Final = 40
"""Elements, references or names that one step lists."""
MEASURE_FACTOR: Final = 10
"""How far beyond its limits a message is still measured when it is refused for them."""


class Verdict(StrEnum):
    """What became of a step."""

    OK = "ok"
    REFUSED = "refused"
    NOT_REACHED = "not reached"
    """Something before it refused the message; its facts, if any, are told all the same."""
    NOT_CHECKED = "not checked"
    """Only the running service can, or nobody said against what."""
    DIFFERS = "differs"
    """Not what the description of a running service says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing seen, in one printable line."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPart:
    """The bytes that a digest is made of, where it is not the one that was signed; they may hold personal data."""

    name: str
    """token, timestamp or body."""
    canonical: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A station of the service: what it says of the message, and what it saw."""

    name: str
    verdict: Verdict
    facts: tuple[Fact, ...] = ()
    reason: str | None = None
    """The word of a refusal, as in the service's log."""
    part: SignedPart | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Every step up to the verified message, or up to the refusal and what would have followed."""

    steps: tuple[Step, ...]
    refusal: MessageRejected | None
    verified: VerifiedMessage | None
    """What the service goes on with when nothing refused the message; without authorities its caller is nobody."""


_CERTIFICATE_STEPS: Final = ("certificate", "certificate-path", "certificate-use", "certificate-validity", "identity")
_CERTIFICATE_STEP_OF: Final = {
    "certificate-malformed": "certificate",
    "certificate-version": "certificate",
    "certificate-untrusted": "certificate-path",
    "certificate-algorithm": "certificate-path",
    "certificate-not-yet-valid": "certificate-validity",
    "certificate-expired": "certificate-validity",
    "certificate-name-constraints": "certificate-validity",
    "certificate-revoked": "certificate-validity",
    "certificate-environment": "identity",
    "certificate-application-urn": "identity",
    "certificate-cbe-number": "identity",
    "certificate-organizational-unit": "identity",
}
_FAMILIES: Final = {
    "certificate-subject": "identity",
    "authority-": "certificate-validity",
    "revocation-": "certificate-validity",
}
"""Which of the certificate's steps a reason belongs to; every other is one of `certificate-use`."""


def certificate_step_of(reason: str) -> str:
    """The step of the certificate that refuses with this reason."""
    for start, step in _FAMILIES.items():
        if reason.startswith(start):
            return step
    return _CERTIFICATE_STEP_OF.get(reason, "certificate-use")


class _KeyOnlyUnsafe:
    """A `CertificateTrust` that only reads the certificate's key: what it signed is checked, who it is remains open."""

    def check(self, certificate_der: bytes, now: datetime) -> CertifiedCaller:
        """The key, and nobody it belongs to."""
        del now
        try:
            key = x509.load_der_x509_certificate(certificate_der).public_key()
        except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
            raise NotAuthenticated("certificate-malformed") from None
        if not isinstance(key, rsa.RSAPublicKey):
            raise NotAuthenticated("certificate-key")
        if key.key_size > CertificateRules().key_bits_max:
            raise NotAuthenticated("certificate-key-size")
        return CertifiedCaller(
            application_urn="",
            cbe_number="",
            environment="",
            certificate_fingerprint=hashlib.sha256(certificate_der).hexdigest(),
            public_key=key,
        )


def explain(
    message: bytes, *, charset: str | None, policy: SecurityPolicy, trust: TrustStore | None, now: datetime
) -> Explanation:
    """What `verify` does with the message, told step by step; arguments as there. Raises nothing for a message.

    Without `trust` the steps of the certificate are not checked, unless it has no key to check the signature with.
    """
    found: dict[Station, object] = {}
    refusal: MessageRejected | None = None
    verified: VerifiedMessage | None = None
    stations = verify.stations(
        message,
        charset=charset,
        policy=policy,
        trust=trust or _KeyOnlyUnsafe(),
        now=now,
        known_headers=KnownHeaders(),
    )
    try:
        while True:
            station, value = next(stations)
            found[station] = value
    except StopIteration as done:
        verified = done.value
    except MessageRejected as error:
        refusal = error
    # Seen leniently: what a later step would have to say is told although an earlier one refused the message.
    description = _Description(message=message, charset=charset, policy=policy, trust=trust, now=now, found=found)
    steps: list[Step] = []
    refused = False
    for station in Station:
        if station in found:
            verdict = Verdict.OK
        elif not refused:
            verdict, refused = Verdict.REFUSED, True
        else:
            verdict = Verdict.NOT_REACHED
        reason = refusal.reason if refusal is not None and verdict is Verdict.REFUSED else None
        if station is Station.CERTIFICATE:
            if trust is None and verdict is Verdict.OK:
                verdict = Verdict.NOT_CHECKED
            steps += _certificate_steps(description, verdict, reason)
        else:
            facts, part = description.of(station)
            steps.append(Step(name=station, verdict=verdict, facts=facts, reason=reason, part=part))
    return Explanation(steps=tuple(steps), refusal=refusal, verified=verified)


def fact(name: str, value: object) -> Fact:
    """A fact whose text a terminal can show: nothing unprintable, not longer than `FACT_CHARS_MAX`."""
    shown = str(value)[: FACT_CHARS_MAX + 1]
    if not shown.isprintable():
        shown = "".join(letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}" for letter in shown)
    return Fact(name=name, value=shown if len(shown) <= FACT_CHARS_MAX else f"{shown[: FACT_CHARS_MAX - 1]}…")


def _certificate_steps(description: _Description, verdict: Verdict, reason: str | None) -> Iterator[Step]:
    facts = description.of_certificate()
    refused_at = certificate_step_of(reason) if reason is not None else None
    passed = True
    for name in _CERTIFICATE_STEPS:
        step = Step(name=name, verdict=verdict, facts=tuple(facts.get(name, ())))
        if refused_at is not None:
            if name == refused_at:
                passed, step = False, replace(step, reason=reason)
            else:
                step = replace(step, verdict=Verdict.OK if passed else Verdict.NOT_REACHED)
        if step.verdict is Verdict.NOT_CHECKED and name == "certificate-path":
            step = replace(step, facts=(fact("path", "--authorities or --settings says whom the service trusts"),))
        yield step


# --- what there is to see -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Description:
    message: bytes = field(repr=False)
    charset: str | None
    policy: SecurityPolicy
    trust: TrustStore | None
    now: datetime
    found: dict[Station, object] = field(repr=False)

    @property
    def root(self) -> _Element | None:
        root = self.found.get(Station.XML)
        return root if isinstance(root, _Element) else None

    @property
    def gated(self) -> GatedMessage | None:
        gated = self.found.get(Station.SIGNATURE)
        return gated if isinstance(gated, GatedMessage) else None

    def of(self, station: Station) -> tuple[tuple[Fact, ...], SignedPart | None]:
        """The facts of a station, and the bytes of a part whose digest differs."""
        if station is Station.XML:
            return tuple(self._of_xml()), None
        root, gated = self.root, self.gated
        if root is None:
            return (), None
        match station:
            case Station.ENVELOPE:
                return tuple(_of_envelope(root)), None
            case Station.HEADERS:
                return tuple(_of_headers(root, self.policy)), None
            case Station.SECURITY:
                return tuple(_of_security(root)), None
            case Station.TOKEN:
                return tuple(_of_token(root, self.policy)), None
            case Station.TIMESTAMP:
                return tuple(_of_timestamp(root)), None
            case Station.SIGNATURE:
                return tuple(_of_signature(root, self.policy)), None
            case Station.KEY_REFERENCE:
                return tuple(self._of_key_reference(gated)) if gated is not None else (), None
            case Station.WINDOW:
                return tuple(self._of_window()), None
            case Station.SIGNATURE_VALUE:
                return (tuple(self._of_signature_value(gated)) if gated is not None else ()), None
            case Station.TOKEN_DIGEST:
                return _of_digest("token", gated.token) if gated is not None else ((), None)
            case Station.TIMESTAMP_DIGEST:
                return _of_digest("timestamp", gated.timestamp) if gated is not None else ((), None)
            case Station.BODY_DIGEST:
                return _of_digest("body", gated.body) if gated is not None else ((), None)
            case _:
                return (), None

    def _of_xml(self) -> Iterator[Fact]:
        limits = self.policy.xml_limits
        yield _used("bytes", len(self.message), limits.size_bytes_max)
        yield fact("charset of the Content-Type", self.charset or "none given")
        yield fact("begins with", _beginning(self.message))
        root = self.root
        if root is None and len(self.message) <= limits.size_bytes_max:
            try:
                root = safe_xml.parse(self.message, charset=self.charset, limits=_loosened(limits))
            except MessageRejected:
                return
        if root is not None:
            yield from _measured(root, limits)

    def of_certificate(self) -> dict[str, list[Fact]]:
        der = self.found.get(Station.TOKEN)
        if not isinstance(der, bytes):
            return {}
        facts: dict[str, list[Fact]] = {name: [] for name in _CERTIFICATE_STEPS}
        facts["certificate"] += [
            fact("bytes of DER", len(der)),
            fact("SHA-256 fingerprint", hashlib.sha256(der).hexdigest()),
        ]
        try:
            certificate = x509.load_der_x509_certificate(der)
            for describe in (_of_certificate, _of_subject, _of_use, self._of_path, self._of_validity):
                for name, value in describe(certificate):
                    facts[name].append(value)
        except (
            ValueError,
            TypeError,
            OverflowError,
            UnsupportedAlgorithm,
            x509.DuplicateExtension,
            x509.InvalidVersion,
            x509.UnsupportedGeneralNameType,
        ):
            facts["certificate"].append(fact("certificate", "cannot be read to its end"))
        caller = self.found.get(Station.CERTIFICATE)
        if isinstance(caller, CertifiedCaller) and self.trust is not None:
            facts["identity"] += [
                fact("application URN", caller.application_urn),
                fact("CBE number", caller.cbe_number),
                fact("environment", caller.environment),
            ]
        if self.trust is not None:
            facts["identity"].append(fact("environment of the service", self.trust.environment))
        return facts

    def _of_path(self, certificate: x509.Certificate) -> Iterator[tuple[str, Fact]]:
        if self.trust is None:
            return
        paths = self.trust.paths(certificate)
        if not paths:
            yield "certificate-path", fact("path", "none of the given authorities issued this certificate")
        for path in paths:
            yield (
                "certificate-path",
                fact("path", " ← ".join(member.subject.rfc4514_string() for member in path)),
            )

    def _of_validity(self, certificate: x509.Certificate) -> Iterator[tuple[str, Fact]]:
        where = "certificate-validity"
        yield where, fact("now", _instant(self.now))
        paths = () if self.trust is None else self.trust.paths(certificate)
        members = [member for path in paths for member in path]
        for member in dict.fromkeys([certificate, *members]):
            whose = "certificate" if member == certificate else f"authority {member.subject.rfc4514_string()}"
            yield (
                where,
                fact(
                    f"{whose} valid",
                    f"{_instant(member.not_valid_before_utc)} to {_instant(member.not_valid_after_utc)}",
                ),
            )
            if self.trust is None or (member.subject == member.issuer and member != certificate):
                continue
            words = self.trust.revocation_words(member)
            if not words:
                needed = "one is required" if self.trust.is_revocation_required else "none is required"
                yield where, fact(f"{whose} revocation", f"no list of its issuer; {needed}")
            for since, until, revoked in words:
                state = "names it" if revoked else "does not name it"
                fresh = "fresh" if since <= self.now <= until else "not fresh"
                yield (
                    where,
                    fact(f"{whose} revocation", f"list of {_instant(since)}, next {_instant(until)}, {fresh}: {state}"),
                )

    def _of_key_reference(self, gated: GatedMessage) -> Iterator[Fact]:
        yield fact("ValueType of the reference", names.X509_V3 if gated.has_value_type else "none")
        if not gated.has_value_type:
            allowed = len(self.policy.applications_without_value_type)
            yield fact("may leave it out", f"{allowed} application{'s' if allowed > 1 else ''}, by the settings")

    def _of_window(self) -> Iterator[Fact]:
        times = self.found.get(Station.TIMESTAMP)
        policy = self.policy
        yield fact("now", _instant(self.now))
        if not isinstance(times, tuple):
            return
        created, expires = times
        yield fact("Created", f"{_instant(created)} ({_distance(created - self.now)})")
        yield fact("Expires", f"{_instant(expires)} ({_distance(expires - self.now)})")
        yield fact("lifetime", f"{_seconds(expires - created)} s of at most {policy.lifetime_seconds_max} s")
        yield fact(
            "allowed",
            f"Created at most {policy.age_seconds_max} s ago and {policy.future_seconds_max} s ahead; "
            f"skew {policy.skew_seconds} s",
        )

    def _of_signature_value(self, gated: GatedMessage) -> Iterator[Fact]:
        try:
            signed_info = canonical(gated.signed_info, gated.signed_info_prefixes)
        except CanonicalizationError:
            yield fact("SignedInfo", "has no canonical form")
            return
        yield fact("canonical SignedInfo", f"{len(signed_info)} bytes, SHA-256 {_digest(signed_info)}")
        yield fact("SignatureValue", f"{len(gated.signature_value)} bytes")
        try:
            key = x509.load_der_x509_certificate(gated.certificate_der).public_key()
        except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
            return
        rules = CertificateRules() if self.trust is None else self.trust.rules
        if isinstance(key, rsa.RSAPublicKey) and key.key_size <= rules.key_bits_max:
            yield fact("key of the certificate", f"RSA, {(key.key_size + 7) // 8} bytes of signature")
        elif isinstance(key, ec.EllipticCurvePublicKey):
            yield fact(
                "key of the certificate", f"{key.curve.name}, {2 * ((key.key_size + 7) // 8)} bytes of signature"
            )
        else:
            return
        algorithm = BY_URI[gated.signature_algorithm]
        if not algorithm.takes(key):
            fitting = algorithm_for(key)
            yield fact(
                "algorithm", f"{algorithm} is not for that key{'' if fitting is None else f', but {fitting} would be'}"
            )
        if Station.SIGNATURE_VALUE not in self.found:
            yield fact("looks like", _signature_made_otherwise(gated, key, signed_info))


# --- the parts, leniently -------------------------------------------------------------------------------------------


def _beginning(message: bytes) -> str:
    for mark, name in ((b"\xef\xbb\xbf", "UTF-8 mark"), (b"\xff\xfe", "UTF-16 mark"), (b"\xfe\xff", "UTF-16 mark")):
        if message.startswith(mark):
            return name
    if message.startswith(b"<?xml"):
        return "an XML declaration"
    return "an element" if message[:1] == b"<" else "something else than an element: blanks, text or another encoding"


def _loosened(limits: XmlLimits) -> XmlLimits:
    """`MEASURE_FACTOR` times as much of every shape, and no more bytes."""
    wider = {name: most * MEASURE_FACTOR for name, most in fields_of(limits, XmlShape).items()}
    return XmlLimits(size_bytes_max=limits.size_bytes_max, **wider)


def _measured(root: _Element, limits: XmlLimits) -> Iterator[Fact]:
    """How much of each limit of shape the document uses (SEC-21..25)."""
    most = dict.fromkeys(("depth", "attributes", "namespaces", "name", "value", "text"), 0)
    depth = elements = attributes = namespaces = namespaces_here = comments = 0
    for event, item in etree.iterwalk(root, events=("start", "end", "start-ns", "comment")):
        if isinstance(item, tuple):
            namespaces += 1
            namespaces_here += 1
            most["namespaces"] = max(most["namespaces"], namespaces_here)
            most["name"] = max(most["name"], len(item[0]))
            most["value"] = max(most["value"], len(item[1]))
            continue
        assert item is not None  # of other events than these
        if event == "start":
            depth, elements, namespaces_here = depth + 1, elements + 1, 0
            attributes += len(item.attrib)
            most["depth"] = max(most["depth"], depth)
            most["attributes"] = max(most["attributes"], len(item.attrib))
            most["text"] = max(most["text"], len(item.text or ""))
            for name in (str(item.tag), *map(str, item.attrib.keys())):
                most["name"] = max(most["name"], len(name.rpartition("}")[2]))
            most["value"] = max(most["value"], *map(len, item.attrib.values()), 0)
        else:
            depth -= event == "end"
            comments += event == "comment"
            most["text"] = max(most["text"], len(item.tail or ""))
    yield _used("depth", most["depth"], limits.depth_max)
    yield _used("elements", elements, limits.elements_max)
    yield _used("attributes of one element", most["attributes"], limits.attributes_per_element_max)
    yield _used("attributes", attributes, limits.attributes_max)
    yield _used("namespaces of one element", most["namespaces"], limits.namespaces_per_element_max)
    yield _used("namespaces", namespaces, limits.namespaces_max)
    yield _used("longest name", most["name"], limits.name_chars_max)
    yield _used("longest value", most["value"], limits.value_chars_max)
    yield _used("longest text", most["text"], limits.text_chars_max)
    yield _used("comments", comments, limits.comments_max)


def _used(name: str, number: int, most: int) -> Fact:
    return fact(name, f"{number} of at most {most}" if number <= most else f"{number}, more than the {most} allowed")


def _elements(parent: _Element | None) -> list[_Element]:
    return [] if parent is None else list(islice(parent.iterchildren(etree.Element), LISTED_MAX))


def _names(elements: Sequence[_Element]) -> str:
    return ", ".join(_name(element) for element in elements) or "none"


_PREFIXES: Final = {names.SOAP11: "soapenv", names.WSSE: "wsse", names.WSU: "wsu", names.DS: "ds"}


def _name(element: _Element) -> str:
    name = etree.QName(element)
    namespace = name.namespace
    if namespace is None:
        return f"{name.localname} (no namespace)"
    return f"{_PREFIXES[namespace]}:{name.localname}" if namespace in _PREFIXES else f"{{{namespace}}}{name.localname}"


def _of_envelope(root: _Element) -> Iterator[Fact]:
    yield fact("root element", _name(root))
    yield fact("its children", _names(_elements(root)))
    for body in islice(root.iterchildren(names.SOAP_BODY), 2):
        yield fact("child of the Body", _names(_elements(body)))


def _of_headers(root: _Element, policy: SecurityPolicy) -> Iterator[Fact]:
    blocks = _elements(root.find(names.SOAP_HEADER))
    yield _used("header blocks", len(blocks), policy.header_blocks_max)
    for block in blocks:
        attributes = [
            f"{etree.QName(name).localname}={value!r}"
            for name in (names.SOAP_MUST_UNDERSTAND, names.SOAP_ACTOR)
            if (value := block.get(name)) is not None
        ]
        yield fact("block", " ".join((_name(block), *attributes)))
    yield fact("comments in the message", sum(1 for _ in root.iter(etree.Comment)))


def _security_of(root: _Element) -> _Element | None:
    header = root.find(names.SOAP_HEADER)
    if header is None:
        return None
    ours = (
        block
        for block in header.iterchildren(names.WSSE_SECURITY)
        if block.get(names.SOAP_ACTOR, "") in ("", names.SOAP_ACTOR_NEXT)
    )
    return next(ours, None)


def _of_security(root: _Element) -> Iterator[Fact]:
    security = _security_of(root)
    if security is None:
        elsewhere = sum(1 for _ in root.iter(names.WSSE_SECURITY))
        yield fact("wsse:Security for us", f"none in the Header; {elsewhere} elsewhere or for others")
        return
    yield fact("wsse:Security holds", _names(_elements(security)))
    yield fact("it must hold", "wsse:BinarySecurityToken, wsu:Timestamp, ds:Signature: once each, in any order")
    for element in (*_elements(security), *islice(root.iterchildren(names.SOAP_BODY), 1)):
        yield fact(f"id of {_name(element)}", element.get(names.WSU_ID) or element.get("Id") or "none")


def _of_token(root: _Element, policy: SecurityPolicy) -> Iterator[Fact]:
    token = _child(_security_of(root), names.WSSE_TOKEN)
    if token is not None:
        yield fact("ValueType", token.get("ValueType", "none"))
        yield fact("EncodingType", token.get("EncodingType", "none"))
        yield _used("characters", len(token.text or ""), policy.token_size_chars_max)


def _of_timestamp(root: _Element) -> Iterator[Fact]:
    timestamp = _child(_security_of(root), names.WSU_TIMESTAMP)
    for element in _elements(timestamp):
        yield fact(_name(element), (element.text or "none")[:FACT_CHARS_MAX])


def _of_signature(root: _Element, policy: SecurityPolicy) -> Iterator[Fact]:
    signature = _child(_security_of(root), names.DS_SIGNATURE)
    signed_info = _child(signature, names.DS_SIGNED_INFO)
    if signature is None or signed_info is None:
        return
    yield fact("ds:Signature holds", _names(_elements(signature)))
    for tag, expected in (
        (names.DS_CANONICALIZATION_METHOD, names.EXC_C14N),
        (names.DS_SIGNATURE_METHOD, " or ".join(sorted(policy.signature_algorithms))),
    ):
        for method in islice(signed_info.iterchildren(tag), 1):
            yield fact(_name(method), _compared(method.get("Algorithm", "none"), expected))
    references = list(islice(signed_info.iterchildren(names.DS_REFERENCE), LISTED_MAX))
    yield fact("references", f"{len(references)}; they must be 3: token, Timestamp and Body")
    for reference in references:
        uri = reference.get("URI", "none")
        transforms = [item.get("Algorithm", "none") for item in islice(reference.iter(names.DS_TRANSFORM), LISTED_MAX)]
        digest = _child(reference, names.DS_DIGEST_METHOD)
        target = ", ".join(_targets(root, uri)) or "nothing"
        digest_method = "none" if digest is None else digest.get("Algorithm", "none")
        yield fact(f"reference {uri}", f"to {target}")
        yield fact("its transforms", _compared(" then ".join(transforms) or "none", names.EXC_C14N))
        yield fact("its digest method", _compared(digest_method, names.SHA256))
    key_info = _child(signature, names.DS_KEY_INFO)
    if key_info is not None:
        yield fact("ds:KeyInfo holds", _names(_elements(key_info)))
        for token_reference in islice(key_info.iter(names.WSSE_TOKEN_REFERENCE), 1):
            for child in _elements(token_reference):
                yield fact(_name(child), f"URI {child.get('URI', 'none')}, ValueType {child.get('ValueType', 'none')}")


def _compared(found: str, expected: str) -> str:
    return found if found in expected.split(" or ") else f"{found[: FACT_CHARS_MAX // 2]}; it must be {expected}"


def _targets(root: _Element, uri: str) -> Iterator[str]:
    """The elements with that id, which should be one, by their names."""
    if not uri.startswith("#"):
        return
    elements = (
        element
        for element in root.iter(etree.Element)
        if len(element.attrib) and uri[1:] in (element.get(names.WSU_ID), element.get("Id"))
    )
    for element in islice(elements, LISTED_MAX):
        yield _name(element)


def _child(parent: _Element | None, tag: str) -> _Element | None:
    return None if parent is None else next(parent.iterchildren(tag), None)


# --- certificate ----------------------------------------------------------------------------------------------------


def _of_certificate(certificate: x509.Certificate) -> Iterator[tuple[str, Fact]]:
    yield "certificate", fact("version", certificate.version.name)
    yield "certificate", fact("serial number", f"{certificate.serial_number:x}")
    yield "certificate-path", fact("issuer", certificate.issuer.rfc4514_string())
    algorithm = certificate.signature_hash_algorithm
    yield "certificate-path", fact("signed with", "an unknown hash" if algorithm is None else algorithm.name)


def _of_subject(certificate: x509.Certificate) -> Iterator[tuple[str, Fact]]:
    for rdn in islice(certificate.subject.rdns, LISTED_MAX):
        for attribute in rdn:
            yield "identity", fact(f"subject {attribute.rfc4514_attribute_name}", attribute.value)


def _of_use(certificate: x509.Certificate) -> Iterator[tuple[str, Fact]]:
    where = "certificate-use"
    for extension in islice(certificate.extensions, LISTED_MAX):
        value = extension.value
        told = "present"
        if isinstance(value, x509.KeyUsage):
            uses = ("digital_signature", "content_commitment", "key_encipherment", "key_cert_sign", "crl_sign")
            told = ", ".join(use.replace("_", " ") for use in uses if getattr(value, use)) or "another use"
        elif isinstance(value, x509.BasicConstraints):
            told = "an authority" if value.ca else "not an authority"
        elif isinstance(value, x509.ExtendedKeyUsage):
            told = ", ".join(usage.dotted_string for usage in value)
        critical = " (critical)" if extension.critical else ""
        name = getattr(extension.oid, "_name", "Unknown OID")
        yield where, fact(extension.oid.dotted_string if name == "Unknown OID" else name, told + critical)
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        yield where, fact("key", f"RSA, {key.key_size} bits, exponent {key.public_numbers().e}")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        yield where, fact("key", f"elliptic curve {key.curve.name}")
    else:
        yield where, fact("key", "neither RSA nor on an elliptic curve")


# --- digests and signature ------------------------------------------------------------------------------------------


def _of_digest(name: str, reference: Reference) -> tuple[tuple[Fact, ...], SignedPart | None]:
    facts = [fact("expected", base64.b64encode(reference.digest).decode())]
    try:
        data = canonical(reference.element, reference.prefixes)
    except CanonicalizationError:
        return (*facts, fact("found", "none: the part has no canonical form")), None
    facts += [fact("found", _digest(data)), fact("canonical bytes", len(data))]
    if reference.prefixes:
        facts.append(fact("PrefixList", " ".join(reference.prefixes)))
    if hashlib.sha256(data).digest() == reference.digest:
        return tuple(facts), None
    facts.append(fact("looks like", _digest_made_otherwise(reference, data)))
    return tuple(facts), SignedPart(name=name, canonical=data)


def _digest(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _digest_made_otherwise(reference: Reference, data: bytes) -> str:
    """What the signer seems to have digested instead, as far as a few usual mistakes can tell."""
    guesses = (
        ("the digest of the part by inclusive C14N", _inclusive(reference.element)),
        ("the digest of the part by exclusive C14N without its PrefixList", _exclusive(reference.element)),
        ("the digest of the part without the blanks between its elements: pretty-printed after signing", _lean(data)),
    )
    for words, guess in guesses:
        if guess is not None and hashlib.sha256(guess).digest() == reference.digest:
            return words
    return "another content than was signed"


def _signature_made_otherwise(gated: GatedMessage, key: PublicKey, signed_info: bytes) -> str:
    """What the signer seems to have signed instead, as far as a few usual mistakes can tell."""
    contents = {
        "the canonical SignedInfo": signed_info,
        "SignedInfo by inclusive C14N": _inclusive(gated.signed_info),
        "SignedInfo by exclusive C14N without its PrefixList": _exclusive(gated.signed_info),
        "SignedInfo without its blanks": _lean(signed_info),
    }
    algorithms: tuple[hashes.HashAlgorithm, ...] = (
        hashes.SHA256(),
        hashes.SHA1(),  # noqa: S303  # to tell that it was used, not to accept it
        hashes.SHA384(),
        hashes.SHA512(),
    )
    for words, content in contents.items():
        for algorithm in algorithms if content is not None else ():
            for way, verify_by in _ways(key, gated.signature_value, algorithm):
                if content is not None and _verifies(verify_by, content):
                    return f"{way} with {algorithm.name} over {words}"
    return "the signature of another key, or of another SignedInfo"


def _ways(
    key: PublicKey, signature: bytes, algorithm: hashes.HashAlgorithm
) -> Iterator[tuple[str, Callable[[bytes], None]]]:
    """The ways in which a signer may have made this signature with this kind of key."""
    if isinstance(key, rsa.RSAPublicKey):
        pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
        yield "RSA", lambda content: key.verify(signature, content, padding.PKCS1v15(), algorithm)
        yield "RSA-PSS", lambda content: key.verify(signature, content, pss, algorithm)
        return
    ecdsa, half = ec.ECDSA(algorithm), len(signature) // 2
    joined = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
    yield "ECDSA", lambda content: key.verify(joined, content, ecdsa)
    yield "ECDSA in ASN.1", lambda content: key.verify(signature, content, ecdsa)


def _verifies(verify_by: Callable[[bytes], None], content: bytes) -> bool:
    try:
        verify_by(content)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _inclusive(element: _Element) -> bytes | None:
    try:
        return etree.tostring(element, method="c14n", exclusive=False, with_comments=False)
    except (etree.LxmlError, ValueError):
        return None


def _exclusive(element: _Element) -> bytes | None:
    try:
        return canonical(element)
    except CanonicalizationError:
        return None


def _lean(data: bytes) -> bytes | None:
    """The canonical form without text that is blank."""
    try:
        root = safe_xml.parse_canonical(data)
        for element in root.iter(etree.Element):
            if len(element) and not (element.text or "").strip():
                element.text = None
            if not (element.tail or "").strip():
                element.tail = None
        return canonical(root)
    except (MessageRejected, CanonicalizationError):
        return None


# --- words ----------------------------------------------------------------------------------------------------------


def _instant(moment: datetime) -> str:
    return moment.isoformat(sep=" ").replace("+00:00", " UTC")


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.6f}".rstrip("0").rstrip(".")


def _distance(duration: timedelta) -> str:
    return f"{_seconds(abs(duration))} s {'ago' if duration < timedelta(0) else 'ahead'}"
