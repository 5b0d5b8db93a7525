"""The libraries of other languages that this process has loaded, and below which versions it does not serve (SEC-81).

Wheels bring copies of their own, so neither the lock nor the operating system says which one is really there.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cbss_inscription.domain.errors import UsageError

Version = tuple[int, ...]


class NativeLibrary(StrEnum):
    """A library that security rests on, and whose copy of it."""

    LIBXML2 = "libxml2 of lxml"
    OPENSSL_OF_CRYPTOGRAPHY = "OpenSSL of cryptography"
    OPENSSL_OF_PYTHON = "OpenSSL of Python"


MINIMUM: Final[dict[NativeLibrary, Version]] = {
    # What was measured to refuse entities that grow, depth and long names by itself is 2.14 (security.md 4.4).
    NativeLibrary.LIBXML2: (2, 14),
    # The wheel's own copy; 3.5 is the oldest line that its makers support for long and is not about to end.
    NativeLibrary.OPENSSL_OF_CRYPTOGRAPHY: (3, 5),
    # The operating system's, which mends it under an old number: Debian 12 has 3.0. Older ones are mended by nobody.
    NativeLibrary.OPENSSL_OF_PYTHON: (3, 0),
}
"""The oldest version that is good enough. Not here: granian's TLS (rustls) tells no version, and no foreign XML reaches
Python's expat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A library as it is in this process."""

    library: NativeLibrary
    version: Version

    @property
    def is_too_old(self) -> bool:
        """Whether it is older than `MINIMUM` says."""
        return self.version < MINIMUM[self.library]


def loaded_libraries() -> tuple[Loaded, ...]:
    """Each library of `MINIMUM` in the version that is loaded."""
    from cryptography.hazmat.backends.openssl import backend
    from lxml import etree

    major, minor, _, patch, _ = ssl.OPENSSL_VERSION_INFO
    number = backend.openssl_version_number()  # 0xMNN00PP0 since OpenSSL 3
    versions: dict[NativeLibrary, Version] = {
        NativeLibrary.LIBXML2: etree.LIBXML_VERSION,
        NativeLibrary.OPENSSL_OF_CRYPTOGRAPHY: (number >> 28, number >> 20 & 0xFF, number >> 4 & 0xFF),
        NativeLibrary.OPENSSL_OF_PYTHON: (major, minor, patch),
    }
    return tuple(Loaded(library=library, version=version) for library, version in versions.items())


def check_libraries(loaded: Iterable[Loaded]) -> None:
    """Nothing, when none is too old. Raises `UsageError`."""
    for one in loaded:
        if one.is_too_old:
            raise UsageError(
                f"{one.library} is version {dotted(one.version)}, and {dotted(MINIMUM[one.library])} or later is needed"
            )


def dotted(version: Version) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))
