"""TV-55 to TV-69: the certificates and revocation lists of `tests/pki/pki.toml`, become messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cbss_inscription.domain.errors import NotAuthenticated
from tests.pki.reader import Case, declared_cases
from tests.vectors.vector import ACCEPTED, FAMILIES, NOT_LOADED, Bench, Expected, Family, Variant, refused

_WORDS: Final = {"accepted": ACCEPTED, "not-loaded": NOT_LOADED}


def _expected(case: Case) -> Expected:
    return _WORDS.get(case.expected) or refused(NotAuthenticated, case.expected)


def _maker(name: str) -> Callable[[Bench], Iterator[Variant]]:
    """One message: signed with a certificate, or with a good one where other revocation lists count."""

    def make(bench: Bench) -> Iterator[Variant]:
        if name in bench.pki.trusts:
            trust = bench.pki.trusts[name]
            message = bench.signed_by(trust.sender)
            yield Variant(name=name, message=message, expected=_expected(trust), trust=name)
        else:
            yield Variant(name=name, message=bench.signed_by(name), expected=_expected(bench.pki.certificates[name]))

    return make


FAMILIES += [
    Family(number=number, proves=proves, sentence=sentence, make=_maker(name))
    for number, name, proves, sentence in declared_cases()
]
