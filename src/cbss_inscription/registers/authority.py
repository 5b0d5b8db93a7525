"""Every register as one: KSZ's own BIS and RAD, and the National Register, each asked for its own files (rule 14)."""

from __future__ import annotations

from typing import Final

from cbss_inscription.domain.legal_data import Person
from cbss_inscription.domain.person_search import CANDIDATES_MAX, PhoneticCriteria
from cbss_inscription.domain.ssin import Series, Ssin
from cbss_inscription.registers.port import PersonRegister

OF_NATIONAL_REGISTER: Final = frozenset({Series.NR})
"""The series of the numbers that the National Register gives (rule 12); RAD's files bear them too."""


class AuthorityRegisters:
    """A `PersonRegister` that asks `own` (BIS and RAD) first, and `national` for the numbers that only it can know.

    So the National Register is asked nothing about a number of the BIS series, nor about a file that is RAD's now, and
    these are served while it is away (rule 54).
    """

    def __init__(self, *, own: PersonRegister, national: PersonRegister) -> None:
        self._own = own
        self._national = national

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`: one chain, whichever registers its files are in."""
        own: dict[Ssin, Person] = {}
        national: dict[Ssin, Person] = {}
        chain: dict[Ssin, Person] = {}
        asked: Ssin | None = ssin
        while asked is not None and asked not in chain and len(chain) < hops_max + 2:
            if asked not in own:
                own |= _by_number(await self._own.chain_of(asked, hops_max=hops_max))
            if asked not in own and asked not in national and asked.series in OF_NATIONAL_REGISTER:
                national |= _by_number(await self._national.chain_of(asked, hops_max=hops_max))
            # Ours first: what the National Register still keeps of a file that is RAD's now is no longer kept up.
            file = own.get(asked) or national.get(asked)
            if file is None:
                break
            chain[asked] = file
            asked = file.replaced_by
        return tuple(chain.values())

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        """See `PersonRegister.like`; when one register does not answer, nobody can say that there is no such person.

        What the National Register still keeps of a file that is RAD's now is no candidate, whatever became of RAD's.
        """
        national = _by_number((await self._national.like(criteria))[:CANDIDATES_MAX])
        own = _by_number(await self._own.like(criteria))
        found: list[Person] = []
        for ssin in sorted(own | national):
            if len(found) == CANDIDATES_MAX:
                break
            if ssin in own:
                found.append(own[ssin])
            elif not await self._own.chain_of(ssin, hops_max=0):
                found.append(national[ssin])
        return tuple(found)


def _by_number(persons: tuple[Person, ...]) -> dict[Ssin, Person]:
    return {person.ssin: person for person in persons}
