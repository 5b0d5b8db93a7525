"""What the contract's simple types accept, as expressions: for lines that are recognised without the schema.

Each accepts only what the type in CommonV3.xsd or InscriptionV1.xsd does (tests/batch/test_batch_shapes.py); what a
type accepts besides, the schema is asked about.
"""

from __future__ import annotations

from typing import Final

TEXT_CHARACTER: Final = r"[^<>&\x00-\x1f\ud800-\udfff\ufffe\uffff]"
"""A character of a text that XML can carry as it stands."""
SSIN: Final = (
    r"[0-9]{2}(?:"
    r"(?:0[0-9]|1[0-2])(?:[0-2][0-9]|3[01])(?!000)[0-9]{3}"
    r"|(?:[24][0-9]|[35][0-2])(?:[0-2][0-9]|3[01])[0-9]{3}"
    r")(?:[0-8][0-9]|9[0-7])"
)
"""SsinType."""
CONTEXT: Final = r"[a-zA-Z0-9][a-zA-Z0-9_:+ ]{0,62}[a-zA-Z0-9_:+]"
"""InscriptionContextType."""
DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
"""xsd:date without time zone, if the calendar has it."""
INCOMPLETE_DAY: Final = r"[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]"
"""IncompleteDateType without blanks around it."""
NAME_CHARS_MAX: Final = 256
"""Characters of a PersonNameType."""
