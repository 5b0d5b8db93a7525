"""The exact grammar of a signed SOAP 1.1 request: what stands where, and nothing besides.

The gate finds the Body, the token and the timestamp by their *position* (child of the Envelope, child of our Security
header) and demands that the signature's three references name exactly these by id. Ids of every kind share one set
without repeats, so that no second element can answer to the same reference: signature wrapping has no place to stand
(design 3.1, A1-A6). Nothing is computed here; `verify` does the cryptography on what this returns.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Generator, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec
from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names
from cbss_inscription.domain.errors import (
    BodyMissing,
    MalformedMessage,
    MessageRejected,
    MustUnderstand,
    NotAuthenticated,
    NotSoap,
    VersionMismatch,
    WsiViolation,
)
from cbss_inscription.security.c14n import DEFAULT_NAMESPACE
from cbss_inscription.security.header_forms import ID_LOCAL_NAMES
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.stations import Station

DIGEST_BYTES: Final = 32
"""Length of a SHA-256 digest."""
ADDRESSING_CHARS_MAX: Final = 2_048
"""Length of one WS-Addressing text, in characters."""
GRAMMAR_CHILDREN_MAX: Final = 64
"""Children of one element in the Security header; the grammar has at most five, and each name read costs its length."""
ID: Final = re.compile(r"[A-Za-z_][\w.\-]{0,127}", re.ASCII)
"""An id that a signature may refer to."""

BLANKS: Final = " \t\r\n"
_FRAGMENT: Final = re.compile(f"#({ID.pattern})", re.ASCII)
_NOT_BLANKS: Final = re.compile(r"[^ \t\r\n]+")
# NCName of XML 1.0 (fifth edition) without the planes nobody uses in prefixes
_NCNAME: Final = re.compile(r"[^\W\d][\w.\-·]*")
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")
_ANONYMOUS: Final = frozenset(
    {
        f"{names.WSA}/anonymous",
        f"{names.WSA}/none",
        f"{names.WSA_2004}/role/anonymous",
    }
)
# The values of all attributes with a name of ID_LOCAL_NAMES, and of some more: what XPath says without a new string.
_LIKELY_IDS: Final = etree.XPath(
    "/descendant::*/@*[contains('AssertionID ID Id iD id', local-name())]", smart_strings=False
)
_ENVELOPES: Final = ([names.SOAP_HEADER, names.SOAP_BODY], [names.SOAP_BODY])
FOREIGN: Final = (etree.Comment, f"{{{names.XOP}}}*", f"{{{names.XENC}}}*", f"{{{names.XENC11}}}*")
_ADDRESSING_ONCE: Final = frozenset({"To", "Action", "MessageID", "ReplyTo", "FaultTo"})

_NONE: Final[frozenset[str]] = frozenset()
_WSU_ID: Final = frozenset({names.WSU_ID})
_DS_ID: Final = frozenset({"Id"})
_ALGORITHM: Final = frozenset({"Algorithm"})
_URI: Final = frozenset({"URI"})
_VALUE_TYPE: Final = frozenset({"ValueType"})
_TOKEN_ATTRIBUTES: Final = frozenset({names.WSU_ID, "EncodingType", "ValueType"})
_SECURITY_ATTRIBUTES: Final = frozenset({names.SOAP_MUST_UNDERSTAND, names.SOAP_ACTOR, names.WSU_ID})


class Addressing(msgspec.Struct, frozen=True, kw_only=True):
    """What the WS-Addressing headers claim; not signed; no connection is ever opened because of it (SEC-17)."""

    to: str | None = None
    action: str | None = None


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """One signed part: the element itself, the PrefixList of its canonicalisation, and the digest its signer stated.

    Its `__repr__` shows the element's name alone.
    """

    element: _Element
    prefixes: tuple[str, ...]
    digest: bytes
    canonical: bytes | None = None
    """The canonical form, where it is known without making it."""

    def __repr__(self) -> str:
        return f"<Reference {self.element.tag!r}>"


class GatedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the right shape, not yet believed: its parts by identity, its values decoded.

    Its `__repr__` shows nothing of it.
    """

    token: Reference
    timestamp: Reference
    body: Reference
    signed_info: _Element
    signed_info_prefixes: tuple[str, ...]
    canonical_signed_info: bytes | None = None
    """SignedInfo's canonical form, where it is known without making it."""
    signature_algorithm: str
    signature_value: bytes
    has_value_type: bool
    """Whether the reference to the token says that it is an X.509 certificate; who may leave it out is asked later."""
    certificate_der: bytes
    created: datetime
    expires: datetime
    addressing: Addressing

    def __repr__(self) -> str:
        return "<GatedMessage>"


def stations(root: _Element, policy: SecurityPolicy) -> Generator[tuple[Station, object], None, GatedMessage]:
    """The parts of a request that keeps to the RSZ profile's grammar (SEC-12, 13, 15..17, 20, 28..36).

    Station by station: each is named when it is passed, with what it found. `root` comes from `safe_xml`. Raises
    VersionMismatch, NotSoap, BodyMissing, MalformedMessage (too many header blocks), WsiViolation, MustUnderstand, and
    NotAuthenticated for all that concerns the Security header.
    """
    header, body = _read_envelope(root)
    yield Station.ENVELOPE, body
    security, addressing = _read_header(header, policy)
    _refuse_foreign_parts(root, body)
    yield Station.HEADERS, addressing
    if security is None:
        raise NotAuthenticated("security-missing")
    _check_ids(root)
    token, timestamp, signature = _read_security(security)
    yield Station.SECURITY, security
    certificate_der = _read_token(token, policy)
    yield Station.TOKEN, certificate_der
    created, expires = _read_timestamp(timestamp)
    yield Station.TIMESTAMP, (created, expires)
    gated = _read_signature(
        signature,
        policy,
        parts={"token": token, "timestamp": timestamp, "body": body},
        certificate_der=certificate_der,
        created=created,
        expires=expires,
        addressing=addressing,
    )
    yield Station.SIGNATURE, gated
    return gated


def read_unsigned(root: _Element, policy: SecurityPolicy) -> tuple[_Element, Addressing]:
    """The Body of a request whose sender is known otherwise, by the same grammar (SEC-12, 13, 15..17, 20).

    Raises what `stations` raises; NotAuthenticated for a Security header, which nobody would look at.
    """
    header, body = _read_envelope(root)
    security, addressing = _read_header(header, policy)
    _refuse_foreign_parts(root, body)
    if security is not None:
        raise NotAuthenticated("security-unasked")
    return body, addressing


# --- SOAP -----------------------------------------------------------------------------------------------------------


def _read_envelope(root: _Element) -> tuple[_Element | None, _Element]:
    """Header, if any, and Body (SEC-12, SEC-13)."""
    if root.tag != names.SOAP_ENVELOPE:
        if etree.QName(root).localname == "Envelope":
            raise VersionMismatch("envelope-namespace")
        raise NotSoap("root")
    _refuse_encoding_style(root)
    children = list(islice(_elements(root), 3))  # a third is one too many, and no name is read beyond it
    _refuse_text(root, NotSoap("envelope-text"))
    if [child.tag for child in children] not in _ENVELOPES:
        if next(root.iterchildren(names.SOAP_BODY), None) is None:
            raise BodyMissing("body-missing")
        raise NotSoap("envelope-children")
    header, body = (children[0] if len(children) > 1 else None), children[-1]
    _refuse_encoding_style(body)
    content = list(islice(_elements(body), 2))
    if len(content) != 1:
        raise BodyMissing("body-children")
    _refuse_text(body, BodyMissing("body-text"))
    if not is_qualified(content[0]):
        raise WsiViolation("body-unqualified")
    _refuse_encoding_style(content[0])
    if header is not None:
        _refuse_encoding_style(header)
        _refuse_text(header, NotSoap("header-text"))
    return header, body


def _read_header(header: _Element | None, policy: SecurityPolicy) -> tuple[_Element | None, Addressing]:
    """Our Security block, if any, and what WS-Addressing says (SEC-15..17)."""
    ours: list[_Element] = []
    addressing: dict[str, str] = {}
    blocks = list(islice(_elements(header), policy.header_blocks_max + 1)) if header is not None else []
    if len(blocks) > policy.header_blocks_max:
        raise MalformedMessage("header-blocks")
    for block in blocks:
        if not is_qualified(block):
            raise WsiViolation("header-unqualified")
        must_understand = block.get(names.SOAP_MUST_UNDERSTAND, "0")
        if must_understand not in ("0", "1"):
            raise WsiViolation("must-understand-value")
        # No actor is the last receiver, and that is us; "next" is every receiver, and so us as well.
        for_us = block.get(names.SOAP_ACTOR, "") in ("", names.SOAP_ACTOR_NEXT)
        if not for_us:
            continue
        if block.tag == names.WSSE_SECURITY:
            ours.append(block)
        elif (name := etree.QName(block)).namespace in (names.WSA, names.WSA_2004):
            _read_addressing(block, name.localname, addressing)
        elif must_understand == "1":
            raise MustUnderstand("header-not-understood")
    if len(ours) > 1:
        raise NotAuthenticated("security-repeated")
    return (ours[0] if ours else None), Addressing(to=addressing.get("To"), action=addressing.get("Action"))


def _read_addressing(block: _Element, local_name: str, addressing: dict[str, str]) -> None:
    if local_name not in _ADDRESSING_ONCE:
        return  # From, RelatesTo: nothing follows from them
    if local_name in addressing:
        raise WsiViolation("addressing-repeated")
    if local_name in ("ReplyTo", "FaultTo"):
        addresses = [child for child in _elements(block) if etree.QName(child).localname == "Address"]
        value = (addresses[0].text or "").strip(BLANKS) if len(addresses) == 1 else ""
        if value not in _ANONYMOUS:
            raise WsiViolation("addressing-redirection")
    else:
        value = (block.text or "").strip(BLANKS)
        if len(block) or len(value) > ADDRESSING_CHARS_MAX:
            raise WsiViolation("addressing-text")
    addressing[local_name] = value


def _refuse_foreign_parts(root: _Element, body: _Element) -> None:
    """Refuses comments where they could split a value, and elements that point out of the message (SEC-07, SEC-20)."""
    if next(root.iter(*FOREIGN), None) is None:
        return
    if next(root.iter(etree.Comment), None) is not None:
        for security in root.iter(names.WSSE_SECURITY):
            if next(security.iter(etree.Comment), None) is not None:
                raise NotAuthenticated("comment")
        if next(body.iter(etree.Comment), None) is not None:
            raise WsiViolation("comment")
    if next(root.iter(f"{{{names.XOP}}}*"), None) is not None:
        raise WsiViolation("xop")
    if next(root.iter(f"{{{names.XENC}}}*", f"{{{names.XENC11}}}*"), None) is not None:
        raise NotAuthenticated("encryption")


def has_good_ids(root: _Element) -> bool:
    """Whether there are surely no bad ids in the message, nor any twice; False says nothing."""
    likely = _LIKELY_IDS(root)
    return len(set(likely)) == len(likely) and all(map(ID.fullmatch, likely))


def _check_ids(root: _Element) -> None:
    """Checks that no value occurs twice among the id-like attributes, whatever their namespace (SEC-28)."""
    if has_good_ids(root):
        return
    ids: set[str] = set()
    for element in root.iter(etree.Element):
        for name in element.keys():  # noqa: SIM118  # an element is no dictionary
            if name.rpartition("}")[2] not in ID_LOCAL_NAMES:
                continue
            value = element.attrib[name]
            if not ID.fullmatch(value):
                raise NotAuthenticated("id-syntax")
            if value in ids:
                raise NotAuthenticated("id-repeated")
            ids.add(value)


# --- the Security header --------------------------------------------------------------------------------------------


def _read_security(security: _Element) -> tuple[_Element, _Element, _Element]:
    """Token, timestamp and signature, once each and in any order (SEC-29)."""
    children = _read_children(security, "security-grammar", optional=_SECURITY_ATTRIBUTES)
    by_name = {child.tag: child for child in children}
    wanted = {names.WSSE_TOKEN, names.WSU_TIMESTAMP, names.DS_SIGNATURE}
    if len(children) != len(wanted) or by_name.keys() != wanted:
        raise NotAuthenticated("security-grammar")
    return by_name[names.WSSE_TOKEN], by_name[names.WSU_TIMESTAMP], by_name[names.DS_SIGNATURE]


def _read_token(token: _Element, policy: SecurityPolicy) -> bytes:
    """The bytes in the BinarySecurityToken; whether they are one certificate is for `trust` to say (SEC-30)."""
    text = _read_text(token, "token-grammar", required=_TOKEN_ATTRIBUTES)
    if token.get("EncodingType") != names.BASE64_BINARY or token.get("ValueType") != names.X509_V3:
        raise NotAuthenticated("token-type")
    if len(text) > policy.token_size_chars_max:
        raise NotAuthenticated("token-size")
    return decode_base64(text, "token-base64")


def _read_timestamp(timestamp: _Element) -> tuple[datetime, datetime]:
    """Created and Expires (SEC-50; BSP R3227, R3203, R3221..R3226)."""
    children = _read_children(timestamp, "timestamp-grammar", required=_WSU_ID)
    if [child.tag for child in children] != [names.WSU_CREATED, names.WSU_EXPIRES]:
        raise NotAuthenticated("timestamp-grammar")
    created, expires = (read_instant(_read_text(child, "timestamp-grammar")) for child in children)
    return created, expires


def read_instant(text: str) -> datetime:
    """The instant that Created or Expires says, in UTC (SEC-50)."""
    if _INSTANT.fullmatch(text) is None:
        raise NotAuthenticated("timestamp-syntax")
    try:
        # Digits after the microsecond only make an instant later by less than any limit's precision.
        return datetime.fromisoformat(text)
    except ValueError:  # a leap second, 30 February
        raise NotAuthenticated("timestamp-syntax") from None


def _read_signature(
    signature: _Element,
    policy: SecurityPolicy,
    *,
    parts: dict[str, _Element],
    certificate_der: bytes,
    created: datetime,
    expires: datetime,
    addressing: Addressing,
) -> GatedMessage:
    children = _read_children(signature, "signature-grammar", optional=_DS_ID)
    if [child.tag for child in children] != [names.DS_SIGNED_INFO, names.DS_SIGNATURE_VALUE, names.DS_KEY_INFO]:
        raise NotAuthenticated("signature-grammar")
    signed_info, value, key_info = children
    signature_value = decode_base64(_read_text(value, "signature-grammar", optional=_DS_ID), "signature-base64")

    children = _read_children(signed_info, "signature-grammar", optional=_DS_ID)
    if [child.tag for child in children[:2]] != [names.DS_CANONICALIZATION_METHOD, names.DS_SIGNATURE_METHOD]:
        raise NotAuthenticated("signature-grammar")
    if any(child.tag != names.DS_REFERENCE for child in children[2:]):
        raise NotAuthenticated("signature-grammar")
    signed_info_prefixes = _read_canonicalization(children[0], policy, "canonicalization-algorithm")
    algorithm = children[1].get("Algorithm", "")
    if algorithm not in policy.signature_algorithms:
        raise NotAuthenticated("algorithm")
    if _read_children(children[1], "signature-grammar", required=_ALGORITHM):  # HMACOutputLength, for one
        raise NotAuthenticated("signature-grammar")

    if len(children) - 2 != len(parts):
        raise NotAuthenticated("reference-count")
    read = [_read_reference(child, policy) for child in children[2:]]
    references = {identifier: (prefixes, digest) for identifier, prefixes, digest in read}
    if references.keys() != {part.get(names.WSU_ID) for part in parts.values()}:
        raise NotAuthenticated("reference-target")
    has_value_type = _read_key_info(key_info, policy, token_id=parts["token"].attrib[names.WSU_ID])

    signed = {}
    for name, part in parts.items():
        prefixes, digest = references[part.attrib[names.WSU_ID]]
        signed[name] = Reference(element=part, prefixes=prefixes, digest=digest)
    return GatedMessage(
        token=signed["token"],
        timestamp=signed["timestamp"],
        body=signed["body"],
        signed_info=signed_info,
        signed_info_prefixes=signed_info_prefixes,
        signature_algorithm=algorithm,
        signature_value=signature_value,
        has_value_type=has_value_type,
        certificate_der=certificate_der,
        created=created,
        expires=expires,
        addressing=addressing,
    )


def _read_reference(reference: _Element, policy: SecurityPolicy) -> tuple[str, tuple[str, ...], bytes]:
    """Id, PrefixList and digest of one Reference (SEC-34)."""
    children = _read_children(reference, "reference-grammar", required=_URI, optional=_DS_ID)
    fragment = _FRAGMENT.fullmatch(reference.attrib["URI"])
    if fragment is None:
        raise NotAuthenticated("reference-uri")
    if [child.tag for child in children] != [names.DS_TRANSFORMS, names.DS_DIGEST_METHOD, names.DS_DIGEST_VALUE]:
        raise NotAuthenticated("reference-grammar")
    transforms, method, value = children
    steps = _read_children(transforms, "reference-grammar")
    if [step.tag for step in steps] != [names.DS_TRANSFORM]:
        raise NotAuthenticated("transform-count")
    prefixes = _read_canonicalization(steps[0], policy, "transform-algorithm")
    if method.get("Algorithm") != names.SHA256:
        raise NotAuthenticated("digest-algorithm")
    if _read_children(method, "reference-grammar", required=_ALGORITHM):
        raise NotAuthenticated("reference-grammar")
    return fragment[1], prefixes, decode_digest(_read_text(value, "reference-grammar"))


def _read_canonicalization(method: _Element, policy: SecurityPolicy, reason: str) -> tuple[str, ...]:
    """The PrefixList of an exclusive C14N without comments, the only method there is (SEC-26, SEC-32)."""
    if method.get("Algorithm") != names.EXC_C14N:
        raise NotAuthenticated(reason)
    children = _read_children(method, "signature-grammar", required=_ALGORITHM)
    if not children:
        return ()
    if [child.tag for child in children] != [names.EXC_INCLUSIVE_NAMESPACES]:
        raise NotAuthenticated("signature-grammar")
    if _read_children(children[0], "signature-grammar", required=frozenset({"PrefixList"})):
        raise NotAuthenticated("signature-grammar")
    # BSP R5414, R5415: any order, any XML white space; str.split() would also split at a no-break space
    tokens = _NOT_BLANKS.findall(children[0].attrib["PrefixList"])
    if len(tokens) > policy.prefix_list_tokens_max:
        raise NotAuthenticated("prefix-list-size")
    if not all(token == DEFAULT_NAMESPACE or _NCNAME.fullmatch(token) for token in tokens):
        raise NotAuthenticated("prefix-list-syntax")
    return tuple(tokens)


def _read_key_info(key_info: _Element, policy: SecurityPolicy, *, token_id: str) -> bool:
    """Whether the reference to the token has its ValueType; it is one direct reference and nothing else (SEC-36)."""
    children = _read_children(key_info, "key-info", optional=_DS_ID)
    if [child.tag for child in children] != [names.WSSE_TOKEN_REFERENCE]:
        raise NotAuthenticated("key-info")
    children = _read_children(children[0], "key-info", optional=_WSU_ID)
    if [child.tag for child in children] != [names.WSSE_REFERENCE]:
        raise NotAuthenticated("key-info")
    reference = children[0]
    if _read_children(reference, "key-info", required=_URI, optional=_VALUE_TYPE):
        raise NotAuthenticated("key-info")
    value_type = reference.get("ValueType")
    if value_type != names.X509_V3 and (value_type is not None or not policy.applications_without_value_type):
        raise NotAuthenticated("key-info-value-type")
    if reference.get("URI") != f"#{token_id}":
        raise NotAuthenticated("key-info-target")
    return value_type is not None


# --- shapes ---------------------------------------------------------------------------------------------------------


def _elements(parent: _Element) -> Iterator[_Element]:
    return parent.iterchildren(etree.Element)


def is_qualified(element: _Element) -> bool:
    """Whether the element's name is in a namespace."""
    return str(element.tag).startswith("{")


def _refuse_text(parent: _Element, refusal: MessageRejected) -> None:
    """Raises the refusal when characters other than blanks stand between the children."""
    for text in (parent.text, *[child.tail for child in parent]):
        if text is not None and text.strip(BLANKS):
            raise refusal


def _refuse_encoding_style(element: _Element) -> None:
    if element.get(names.SOAP_ENCODING_STYLE) is not None:  # WS-I R1005, R1006: no SOAP encoding
        raise WsiViolation("encoding-style")


def _check_attributes(element: _Element, reason: str, required: frozenset[str], optional: frozenset[str]) -> None:
    present = element.keys()
    if not required.issuperset(present) and not (required | optional).issuperset(present):
        raise NotAuthenticated(reason)
    if required and not required.issubset(present):
        raise NotAuthenticated(reason)


def _read_children(
    element: _Element, reason: str, *, required: frozenset[str] = _NONE, optional: frozenset[str] = _NONE
) -> list[_Element]:
    """The children of an element that has just these attributes and no text of its own.

    A comment is a child, too, and none that a caller expects: it has no name.
    """
    _check_attributes(element, reason, required, optional)
    if len(element) > GRAMMAR_CHILDREN_MAX:
        raise NotAuthenticated(reason)
    children = element[:]
    for text in (element.text, *[child.tail for child in children]):
        if text is not None and text.strip(BLANKS):
            raise NotAuthenticated(reason)
    return children


def _read_text(
    element: _Element, reason: str, *, required: frozenset[str] = _NONE, optional: frozenset[str] = _NONE
) -> str:
    """The text of an element that has just these attributes and no child of any kind (A11: comment in DigestValue)."""
    _check_attributes(element, reason, required, optional)
    if len(element):
        raise NotAuthenticated(reason)
    return element.text or ""


def decode_base64(text: str, reason: str) -> bytes:
    """The bytes of an xs:base64Binary: blanks apart, exactly what encoding those bytes gives."""
    try:
        written = text.encode("ascii")
        data = binascii.a2b_base64(written)
    except ValueError:
        raise NotAuthenticated(reason) from None
    encoded = binascii.b2a_base64(data, newline=False)
    # Nothing at all, characters that are not base64's, unused bits that are not zero.
    if not data or (written != encoded and b"".join(written.split()) != encoded):
        raise NotAuthenticated(reason)
    return data


def decode_digest(text: str) -> bytes:
    """The bytes of a DigestValue (SEC-34)."""
    digest = decode_base64(text, "digest-base64")
    if len(digest) != DIGEST_BYTES:
        raise NotAuthenticated("digest-length")
    return digest
