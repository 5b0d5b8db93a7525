"""From the signed bytes to the element they hold, and from an element to the bytes of a reply."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from cbss_inscription import names
from cbss_inscription.domain.errors import BodyMissing, NotSoap
from cbss_inscription.safe_xml import parse_canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The one element of the Body, re-parsed from exactly the bytes that were signed (SEC-39)."""

    element: etree._Element


def read_payload(canonical_body: bytes) -> Payload:
    """The payload of a canonical Body. Raises `BodyMissing` when it has not exactly one child."""
    body = parse_canonical(canonical_body)
    children = [child for child in body if isinstance(child.tag, str)]
    if len(children) != 1:
        raise BodyMissing("body-children")
    return Payload(element=children[0])


def read_reply(envelope: etree._Element) -> etree._Element:
    """The one element in the Body of a reply, a Fault for one. Raises `NotSoap` or `BodyMissing`.

    For clients: replies are not signed by contract (SEC-66), so TLS alone vouches for them.
    """
    if envelope.tag != names.SOAP_ENVELOPE:
        raise NotSoap("reply-envelope")
    bodies = envelope.findall(names.SOAP_BODY)
    children = [child for body in bodies for child in body if isinstance(child.tag, str)]
    if len(bodies) != 1 or len(children) != 1:
        raise BodyMissing("reply-body")
    return children[0]


def envelope_of(element: etree._Element) -> etree._Element:
    """A SOAP 1.1 envelope whose Body holds `element`, which is moved into it."""
    envelope = etree.Element(names.SOAP_ENVELOPE, nsmap={"soapenv": names.SOAP11})
    etree.SubElement(envelope, names.SOAP_BODY).append(element)
    return envelope


def write_envelope(element: etree._Element) -> bytes:
    """The UTF-8 bytes of an envelope around `element`."""
    return etree.tostring(envelope_of(element), xml_declaration=True, encoding="UTF-8")
