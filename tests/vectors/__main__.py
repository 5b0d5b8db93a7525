"""Writes the vectors to a folder, for whoever builds another implementation: `make vectors DIRECTORY=…`.

Messages, their verdicts in `index.json`, the authorities and revocation lists to trust, and the moment at which all of
it counts. Keys are made anew each time and no private one is written: a verdict is of the message beside it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from cbss_inscription import names
from tests.pki.reader import DeclaredPki
from tests.vectors.catalogue import NUMBERS
from tests.vectors.vector import Bench, Delivery, Variant, Vector, vectors_of

README: Final = """\
Test vectors of CBSSInscription's message security
==================================================

index.json          the clock, the trust sets, and each vector: its sentence, what it proves (SEC ids of the project's
                    requirements), its message, how HTTP brings it, and the one right verdict
messages/           the bodies of the HTTP requests, byte for byte
pki/authorities.pem what to trust, for the environment in index.json
pki/<set>/          the revocation lists of each trust set, in DER; a list is required for every certificate

Set the clock to "now" of the vector, or of the index. Post the message to the service's path. "accepted" means that the
operation may be carried out; "refused" a SOAP fault with that code; "not taken" that HTTP alone refuses; "not loaded"
that the revocation lists of the set must not come into force. "reason" is the word in our log: yours may differ, the
fault may not. All faults SOA-01001 must be the same bytes but for their Id.

A vector with "before" comes twice: see "delivery".
"""


def write_vectors(directory: Path, numbers: Sequence[str] = NUMBERS) -> int:
    """How many vectors, of all numbers or of some, were written to the directory, which is made."""
    bench = Bench(DeclaredPki())
    (directory / "messages").mkdir(parents=True, exist_ok=True)
    _write_pki(directory / "pki", bench.pki)
    index = [_write(directory, vector) for number in numbers for vector in vectors_of(number, bench)]
    described = {
        "now": bench.now.isoformat(),
        "environment": bench.pki.environment,
        "path": names.FACADE_PATH,
        "authorities": "pki/authorities.pem",
        "trust": {name: sorted(_lists(name, bench.pki)) for name in bench.pki.trusts},
        "vectors": index,
    }
    (directory / "index.json").write_text(json.dumps(described, indent=1, ensure_ascii=False), encoding="utf-8")
    (directory / "README.txt").write_text(README, encoding="utf-8")
    return len(index)


def _write(directory: Path, vector: Vector) -> dict[str, Any]:
    """The vector's entry in the index; its messages lie in files."""
    variant = vector.variant
    stem = vector.id.replace("/", "-")
    entry = {
        "id": vector.id,
        "says": vector.sentence,
        "proves": vector.proves,
        "message": _file(directory, f"messages/{stem}.xml", variant.message),
        "http": _http(variant),
        "trust": variant.trust,
        "expected": {name: value for name, value in asdict(variant.expected).items() if value is not None},
    }
    if variant.now is not None:
        entry["now"] = variant.now.isoformat()
    if variant.delivery is not Delivery.ONCE:
        assert variant.before is not None
        entry["delivery"] = variant.delivery
        entry["before"] = _file(directory, f"messages/{stem}-before.xml", variant.before)
    return entry


def _http(variant: Variant) -> dict[str, object]:
    headers = {
        "Content-Type": variant.content_type,
        "SOAPAction": variant.soap_action,
        "Content-Encoding": variant.content_encoding,
        "Transfer-Encoding": "chunked" if variant.chunked else None,
    }
    return {name: value for name, value in headers.items() if value is not None}


def _lists(trust: str, pki: DeclaredPki) -> Iterator[str]:
    return (f"pki/{trust}/{number}.crl" for number in range(1, len(pki.trusts[trust].lists) + 1))


def _write_pki(directory: Path, pki: DeclaredPki) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "authorities.pem").write_bytes(pki.authorities_pem)
    for name, trust in pki.trusts.items():
        for file, data in zip(_lists(name, pki), trust.lists, strict=True):
            _file(directory.parent, file, data)


def _file(directory: Path, name: str, data: bytes) -> str:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return name


if __name__ == "__main__":
    _, place, *chosen = sys.argv
    print(f"{write_vectors(Path(place), chosen or NUMBERS)} vectors in {place}")
