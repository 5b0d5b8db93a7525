"""Files for their owner's eyes that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final, Self

RECORD_LINE: Final = b'{"type":"record"'
"""How a line of an exported journal begins that is a record's."""


class PrivateFile:
    """A file of lines that is there when the block ends well, and of which nothing is left otherwise."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._new = file.with_name(f".{file.name}.new")
        self._digest = hashlib.sha256()
        self.record_count = 0

    def __enter__(self) -> Self:
        self._new.unlink(missing_ok=True)
        self._written = os.fdopen(os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        return self

    def write(self, line: bytes) -> None:
        """Nothing; the line is the next."""
        self._written.write(line)
        self._digest.update(line)
        self.record_count += line.startswith(RECORD_LINE)

    @property
    def digest(self) -> bytes:
        """SHA-256 of what was written."""
        return self._digest.digest()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            self._written.flush()
            os.fsync(self._written.fileno())
        self._written.close()
        if kind is None:
            self._new.replace(self._file)
        else:
            self._new.unlink(missing_ok=True)
