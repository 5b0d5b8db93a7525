"""What a test vector is: a message as it arrives, what it proves, and the one verdict that is right.

Vectors come in families: a function that yields the variants of one TV number, its docstring the sentence, its
decorator the number and the requirements. Nothing is made before a family is asked to: keys and signatures are of the
run, clock and shapes are always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Final

from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names
from cbss_inscription.domain.errors import MessageRejected
from cbss_inscription.security.sign import Signer, sign
from tests.pki.reader import TRUSTED, DeclaredPki
from tests.security.conftest import Forge

OPERATION: Final = f"{{{names.FACADE}}}ConsultInscriptionsRequest"
SSIN: Final = "00000000196"
"""Nobody's: a birth on no day of no month."""
FORGED_SSIN: Final = "00000000295"
REQUEST: Final = f"""<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="{names.SOAP11}" xmlns:q="{names.FACADE}">
  <soapenv:Header/>
  <soapenv:Body>
    <q:ConsultInscriptionsRequest>
      <informationCustomer>
        <ticket>6f9619ff-8b86-4d01-b42d-00cf4fc964ff</ticket>
        <timestampSent>2026-03-02T10:29:58.5+01:00</timestampSent>
        <customerIdentification><sector>17</sector><institution>1</institution></customerIdentification>
      </informationCustomer>
      <legalContext>PCSA:SOCIAL_INQUIRY</legalContext>
      <criteria><ssin>{SSIN}</ssin></criteria>
    </q:ConsultInscriptionsRequest>
  </soapenv:Body>
</soapenv:Envelope>
""".encode()


class Outcome(StrEnum):
    """What becomes of a message."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """A SOAP fault, HTTP 500."""
    NOT_TAKEN = "not taken"
    """HTTP alone refuses it."""
    NOT_LOADED = "not loaded"
    """It never comes to a message: the revocation lists cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The right verdict; `reason` is for the log alone, and another implementation may word it otherwise."""

    outcome: Outcome
    status: int = 200
    code: str | None = None
    fault_code: str | None = None
    reason: str | None = None


ACCEPTED: Final = Expected(outcome=Outcome.ACCEPTED)
NOT_LOADED: Final = Expected(outcome=Outcome.NOT_LOADED, status=0)


def refused(kind: type[MessageRejected], reason: str) -> Expected:
    """A fault of that kind, with that word in the log."""
    return Expected(
        outcome=Outcome.REFUSED, status=500, code=kind.code, fault_code=f"soapenv:{kind.fault_code}", reason=reason
    )


def not_taken(status: int) -> Expected:
    """A status of HTTP, and no SOAP."""
    return Expected(outcome=Outcome.NOT_TAKEN, status=status)


class Delivery(StrEnum):
    """How often a message comes; the verdict is the last one's."""

    ONCE = "once"
    AFTER = "after another"
    """After `before`, which is accepted."""
    AT_ONCE = "at once with another"
    """Together with `before`, each at a replica of its own: one of the two is accepted, the other has the verdict."""
    RESTARTED = "after another and a restart"
    """After `before`, and after the service was started anew."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A message, how HTTP brings it, and the verdict; `name` tells it from its brothers."""

    name: str
    message: bytes = field(repr=False)
    expected: Expected
    content_type: str | None = "text/xml; charset=utf-8"
    soap_action: str | None = '""'
    content_encoding: str | None = None
    chunked: bool = False
    """Whether the message comes without a Content-Length, in pieces."""
    now: datetime | None = None
    """When it arrives, if not at the vectors' own time."""
    trust: str = TRUSTED
    before: bytes | None = field(default=None, repr=False)
    delivery: Delivery = Delivery.ONCE


@dataclass(frozen=True, kw_only=True)
class Family:
    """The variants of one thing that can be wrong, or right, with a message."""

    number: str
    proves: tuple[str, ...]
    sentence: str
    make: Callable[[Bench], Iterator[Variant]]


@dataclass(frozen=True, kw_only=True)
class Vector:
    """A variant with its place in the catalogue."""

    id: str
    sentence: str
    proves: tuple[str, ...]
    variant: Variant


FAMILIES: Final[list[Family]] = []


def vectors(number: int, *proves: str) -> Callable[[Callable[[Bench], Iterator[Variant]]], None]:
    """Registers a family; its docstring's first line is the sentence."""

    def register(make: Callable[[Bench], Iterator[Variant]]) -> None:
        assert make.__doc__
        sentence = make.__doc__.splitlines()[0]
        FAMILIES.append(Family(number=f"TV-{number:02}", proves=proves, sentence=sentence, make=make))

    return register


def vectors_of(number: str, bench: Bench) -> Iterator[Vector]:
    """Every vector of a TV number."""
    for family in FAMILIES:
        if family.number == number:
            for variant in family.make(bench):
                yield Vector(
                    id=f"{number}/{variant.name}", sentence=family.sentence, proves=family.proves, variant=variant
                )


class Bench:
    """What families work with: the PKI, a forge that has the sender's key, and a genuine message to change."""

    def __init__(self, pki: DeclaredPki) -> None:
        self.pki: Final = pki
        self.now: Final = pki.now
        self.forge: Final = Forge(pki, pki.authority("genuine"))

    @cached_property
    def message(self) -> bytes:
        """The genuine message that most others are made of."""
        return self.signed(REQUEST)

    def signed(self, request: bytes, *, lifetime_seconds: int = 60) -> bytes:
        """A request signed with the sender's key."""
        return self.forge.message(request, now=self.now, lifetime_seconds=lifetime_seconds)

    def signed_by(self, certificate: str) -> bytes:
        """The request signed with another certificate of the declaration."""
        declared = self.pki.certificates[certificate]
        signer = Signer(certificate=None, certificate_der=declared.der, sign_bytes=declared.sign)
        return sign(REQUEST, signer=signer, now=self.now)

    def tree(self) -> _Element:
        """The genuine message as a tree of its own."""
        return etree.fromstring(self.message)

    def resigned(self, root: _Element, **options: object) -> bytes:
        """The tree with digests and signature right again: what only the owner of the key can make."""
        return written(self.forge.resign(root, **options))


def written(root: _Element) -> bytes:
    """The bytes of a tree, as an attacker or a careless tool writes them."""
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def the(root: _Element, tag: str) -> _Element:
    """The first element of that name."""
    return next(root.iter(tag))


def add(
    parent: _Element, tag: str, text: str | None = None, *, index: int | None = None, **attributes: str
) -> _Element:
    """A new child, last or at `index`."""
    child = parent.makeelement(tag, attributes)
    child.text = text
    parent.insert(len(parent) if index is None else index, child)
    return child
