"""Legal data: what a caller may give to be validated (rule 39), and what a register knows of a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum, StrEnum
from typing import Final

from cbss_inscription.domain.concealed import Concealed
from cbss_inscription.domain.period import IncompleteDate
from cbss_inscription.domain.ssin import Series, Ssin

GIVEN_NAMES_MAX: Final = 14
"""Given names of one person: as many as the messages can tell (PersonV1.xsd, InscriptionV1.xsd [D])."""
_BIS_SERIES: Final = frozenset({Series.BIS_SEX_UNKNOWN, Series.BIS_SEX_KNOWN})


class Gender(IntEnum):
    """The genderCode of the wire: 0, 1 or 2 (domain.md 1.5)."""

    UNKNOWN = 0
    MALE = 1
    FEMALE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalData:
    """What a caller gives to be validated; what is absent is not compared (rule 40)."""

    last_name: str | None = field(default=None, repr=False)
    given_names: tuple[str, ...] = field(default=(), repr=False)
    birth_date: IncompleteDate | None = field(default=None, repr=False)
    gender: Gender | None = field(default=None, repr=False)


class Register(StrEnum):
    """The authority over a person's legal data (rule 12)."""

    NR = "nr"
    BIS = "bis"
    RAD = "rad"


EVERY_REGISTER: Final = frozenset(Register)
CBSS_REGISTERS: Final = frozenset({Register.BIS, Register.RAD})
"""KSZ's own: the National Register's files may be kept elsewhere (rule 14)."""


class FileStatus(StrEnum):
    """The state of a person's file (rule 15)."""

    ACTIVE = "active"
    REPLACED = "replaced"
    CANCELED = "canceled"


# Members that are looked at for each file of a batch: of an enumeration they are found ten times as slowly.
_BIS: Final = Register.BIS
_REPLACED: Final = FileStatus.REPLACED


class InvalidPerson(ValueError):
    """A file that contradicts itself (rules 12, 15): a defect of the register's data."""


class Person(Concealed, frozen=True, kw_only=True):
    """A person's file in a register; `replaced_by` is there exactly when its status is REPLACED (rule 15).

    Raises `InvalidPerson`. Its repr shows neither number nor names.
    """

    ssin: Ssin
    register: Register
    status: FileStatus
    replaced_by: Ssin | None = None
    last_name: str
    given_names: tuple[str, ...] = ()
    birth_date: IncompleteDate | None = None
    gender: Gender = Gender.UNKNOWN
    decease_date: IncompleteDate | None = None
    register_inception_date: date | None = None
    """Since when the file is KSZ's: made (BIS), or last taken in (RAD); the National Register's have none (rule 21)."""

    def __post_init__(self) -> None:
        if (self.status is _REPLACED) != (self.replaced_by is not None):
            raise InvalidPerson("a successor exactly when replaced")
        if (self.register is _BIS) != (self.ssin.series in _BIS_SERIES):
            raise InvalidPerson("a BIS number exactly in the BIS register")
        if self.register_inception_date is not None and self.register is Register.NR:
            raise InvalidPerson("no register inception date in the National Register")
