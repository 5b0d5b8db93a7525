"""Two readings of one message: by the grammar alone, and with the headers that are known."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from lxml.etree import _Element

from cbss_inscription.domain.errors import MessageRejected
from cbss_inscription.security.c14n import CanonicalizationError, canonical
from cbss_inscription.security.gate import GatedMessage, Reference
from cbss_inscription.security.known_headers import KnownHeaders
from cbss_inscription.security.policy import SecurityPolicy


class GateTwice:
    """Remembers every header that the grammar accepts, and so looks for a difference wherever there could be one."""

    def __init__(self) -> None:
        self.known_headers = KnownHeaders()

    def differs(self, text: str, policy: SecurityPolicy) -> bool:
        """Whether a message is told apart by the knowledge of others that were written like it; itself, lastly."""
        by_grammar, gated = told(text, policy, KnownHeaders())
        with_others, _ = told(text, policy, self.known_headers)
        if gated is not None:
            with suppress(CanonicalizationError):  # nobody finds genuine what has no canonical form
                self.known_headers.remember(text, gated, policy)
        with_itself, _ = told(text, policy, self.known_headers)
        return by_grammar != with_others or by_grammar != with_itself

    def knows(self, text: str, policy: SecurityPolicy) -> bool:
        """Whether the message is accepted without going through the grammar of its Security header."""
        _, gated = told(text, policy, self.known_headers)
        return gated is not None and gated.canonical_signed_info is not None


def told(text: str, policy: SecurityPolicy, known_headers: KnownHeaders) -> tuple[object, GatedMessage | None]:
    """What was found, or passed and refused, the same for two parses of one document; and the parts."""
    stations = known_headers.stations(text, policy)
    passed: list[object] = []
    while True:
        try:
            station, found = next(stations)
            passed.append((station, _comparable(found)))
        except StopIteration as done:
            return _comparable(done.value), done.value
        except MessageRejected as refusal:
            return [*passed, (type(refusal), refusal.reason)], None


def _comparable(found: Any) -> object:
    """The same for two parses of one document: elements by their place, what is hashed by its bytes."""
    match found:
        case _Element():
            return found.getroottree().getpath(found)
        case Reference():
            data = found.canonical or _canonical(found.element, found.prefixes)
            return _comparable(found.element), found.prefixes, found.digest, data
        case GatedMessage():
            parts = {name: _comparable(getattr(found, name)) for name in GatedMessage.__struct_fields__}
            made = _canonical(found.signed_info, found.signed_info_prefixes)
            return {**parts, "canonical_signed_info": found.canonical_signed_info or made}
    return found


def _canonical(element: _Element, prefixes: tuple[str, ...]) -> bytes | None:
    try:
        return canonical(element, prefixes)
    except CanonicalizationError:
        return None
