"""The legal ground of a request: CommonV3 LegalContextType, handed out by KSZ with the permission (rule 48)."""

from __future__ import annotations

import re
from typing import Final, Self

_SHAPE: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_:+\- ]*[a-zA-Z0-9_:+\-]")
LENGTH_MAX: Final = 64
"""Characters of a legal context."""


class InvalidLegalContext(ValueError):
    """A text against LegalContextType."""


class LegalContext(str):
    """A legal context such as `PCSA:SOCIAL_INQUIRY`: 2 to 64 characters; raises `InvalidLegalContext`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """The legal context that `text` names; raises `InvalidLegalContext`."""
        if len(text) > LENGTH_MAX or not _SHAPE.fullmatch(text):
            raise InvalidLegalContext("not a legal context")
        return super().__new__(cls, text)
