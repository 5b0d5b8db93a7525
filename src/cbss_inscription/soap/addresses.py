"""At which addresses a door is reached, and whether a message says that it is for one of them (SEC-17)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from cbss_inscription import names
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import UsageError

ANONYMOUS: Final = frozenset({f"{names.WSA}/anonymous", f"{names.WSA_2004}/role/anonymous"})
"""What wsa:To says when it says nothing: whoever receives the message."""
_PORTS: Final = {"https": 443, "http": 80}

_Place = tuple[str, str, int, str]
"""Scheme, host, port and path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorAddresses:
    """The addresses of one door. The text of the first is what callers are told."""

    texts: tuple[str, ...]
    _places: frozenset[_Place]

    @classmethod
    def of(cls, door: Door, base_urls: Iterable[str]) -> DoorAddresses:
        """Those that the door has below the base URLs. Raises `UsageError` for one that is no http or https URL."""
        texts = tuple(base_url.rstrip("/") + door.path for base_url in base_urls)
        places = {text: _place_of(text) for text in texts}
        for text, place in places.items():
            if place is None:
                raise UsageError(f"{text.removesuffix(door.path)!r} is no http or https URL to begin an address with")
        return cls(texts=texts, _places=frozenset(place for place in places.values() if place is not None))

    def include(self, to: str | None) -> bool:
        """Whether a message with this wsa:To, if it has one, is for this door.

        Letter case of scheme and host, a port that is the scheme's own and one slash at the end do not count; all else
        does, and an address with a query, a fragment or a user's name is none of ours.
        """
        return to is None or to in ANONYMOUS or _place_of(to) in self._places


def _place_of(url: str) -> _Place | None:
    # `urlsplit` drops tabs and line ends, and lower case makes ASCII of letters that are none.
    if not url.isascii() or not url.isprintable() or any(mark in url for mark in " ?#@"):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path.removesuffix("/")
