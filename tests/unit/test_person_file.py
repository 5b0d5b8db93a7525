"""A person's file: rules 12 and 15 of the rulebook."""

from __future__ import annotations

import pytest

from cbss_inscription.domain.legal_data import FileStatus, InvalidPerson, LegalData, Person, Register
from cbss_inscription.domain.ssin import Ssin

SSIN = Ssin.parse("85073003328")
SUCCESSOR = Ssin.parse("17073003384")


def test_rule_12_three_registers_have_authority() -> None:
    """A file's authority is the National Register, BIS or RAD, spelled as in storage (rule 12)."""
    assert {str(register) for register in Register} == {"nr", "bis", "rad"}


def test_rule_15_a_file_is_active_replaced_or_canceled() -> None:
    """A file has one of three states (rule 15)."""
    assert {str(status) for status in FileStatus} == {"active", "replaced", "canceled"}


@pytest.mark.parametrize("status", FileStatus)
@pytest.mark.parametrize("replaced_by", [None, SUCCESSOR])
def test_rule_15_a_file_has_a_successor_exactly_when_it_is_replaced(
    status: FileStatus, replaced_by: Ssin | None
) -> None:
    """A replaced file names its successor, and no other file has one (rule 15)."""
    is_consistent = (status is FileStatus.REPLACED) == (replaced_by is not None)
    if is_consistent:
        person = Person(ssin=SSIN, register=Register.NR, status=status, replaced_by=replaced_by, last_name="Peeters")
        assert person.replaced_by == replaced_by
    else:
        with pytest.raises(InvalidPerson):
            Person(ssin=SSIN, register=Register.NR, status=status, replaced_by=replaced_by, last_name="Peeters")


def test_rule_40_legal_data_may_be_given_in_any_part() -> None:
    """Every legal datum is optional; what is absent is None or empty, never a guess (rule 40)."""
    nothing = LegalData()
    assert (nothing.last_name, nothing.given_names, nothing.birth_date, nothing.gender) == (None, (), None, None)
