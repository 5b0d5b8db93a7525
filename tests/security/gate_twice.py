"""The gate twice over one message: by its grammar alone, and with the headers that it knows."""

from __future__ import annotations

from lxml.etree import _Element

from cbss_inscription import safe_xml
from cbss_inscription.domain.errors import MessageRejected
from cbss_inscription.security import gate
from cbss_inscription.security.gate import GatedMessage, KnownHeaders
from cbss_inscription.security.policy import SecurityPolicy

Told = tuple[list[object], GatedMessage | tuple[type[MessageRejected], str]]


class GateTwice:
    """Remembers every header that the grammar accepts, and so looks for a difference wherever there could be one."""

    def __init__(self) -> None:
        self.known_headers = KnownHeaders()

    def differs(self, text: str, policy: SecurityPolicy) -> bool:
        """Whether a message is told apart by the knowledge of others that were written like it; itself, lastly."""
        try:
            root = safe_xml.parse_text(text, limits=policy.xml_limits)
        except MessageRejected:
            return False  # before there is anything to gate
        by_grammar = told(root, policy)
        with_others = told(root, policy, text=text, known_headers=self.known_headers)
        gated = by_grammar[-1]
        if isinstance(gated, GatedMessage):
            self.known_headers.remember(text, gated, policy)
        with_itself = told(root, policy, text=text, known_headers=self.known_headers)
        return by_grammar != with_others or by_grammar != with_itself

    def knows(self, text: str, policy: SecurityPolicy) -> bool:
        """Whether the message is accepted without going through the grammar of its Security header."""
        root = safe_xml.parse_text(text, limits=policy.xml_limits)
        _, gated = told(root, policy, text=text, known_headers=self.known_headers)
        return isinstance(gated, GatedMessage) and gated.is_known


def told(root: _Element, policy: SecurityPolicy, *, text: str = "", known_headers: KnownHeaders | None = None) -> Told:
    """Each station that is passed and what it found, and in the end the parts or the refusal."""
    stations = gate.stations(root, policy, text=text, known_headers=known_headers)
    passed: list[object] = []
    while True:
        try:
            passed.append(next(stations))
        except StopIteration as done:
            return passed, done.value
        except MessageRejected as refusal:
            return passed, (type(refusal), refusal.reason)
