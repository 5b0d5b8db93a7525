"""Values that hold what is said of a person, and show none of it by accident (SEC-74)."""

from __future__ import annotations

import msgspec


class Concealed(msgspec.Struct, frozen=True, kw_only=True):
    """A value whose `__repr__` and text say its kind alone.

    A struct: it is made ten times as fast as a frozen dataclass. `msgspec.structs.replace` copies it.
    """

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__}>"
