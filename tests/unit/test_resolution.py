"""From the number asked to the file that carries on: rules 15 to 18 of the rulebook."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbss_inscription.domain.legal_data import FileStatus, Person, Register
from cbss_inscription.domain.ssin import Ssin, check_digits
from cbss_inscription.registers.resolution import HOPS_MAX, ChainFault, Found, NotActive, Unknown, resolve


def ssin(index: int) -> Ssin:
    first_nine = f"850730{index:03d}"
    return Ssin.parse(first_nine + check_digits(first_nine, century=1900))


def file(index: int, successor: int | None = None, *, canceled: bool = False) -> Person:
    status = FileStatus.CANCELED if canceled else FileStatus.ACTIVE if successor is None else FileStatus.REPLACED
    return Person(
        ssin=ssin(index),
        register=Register.NR,
        status=status,
        replaced_by=None if successor is None else ssin(successor),
        last_name="Peeters",
    )


def chain(hops: int, *, canceled: bool = False) -> list[Person]:
    """Files 1, 2, … replaced by each other, `hops` times, the last active or cancelled."""
    return [*(file(index, index + 1) for index in range(1, hops + 1)), file(hops + 1, canceled=canceled)]


def test_rule_16_a_chain_has_ten_hops_at_most() -> None:
    """Ten replacements are followed unless another limit is given (rule 16)."""
    assert HOPS_MAX == 10


def test_rule_17_an_active_file_is_found_under_its_own_number() -> None:
    """An active file is accepted, and replaces nothing (rules 17, 18)."""
    assert resolve(ssin(1), chain(0)) == Found(person=file(1), replaces=None)


@pytest.mark.parametrize("hops", range(1, HOPS_MAX + 1))
def test_rules_16_to_18_a_chain_is_followed_to_its_active_end(hops: int) -> None:
    """However long the chain within the limit, the last file carries on and the number asked is told (16 to 18)."""
    assert resolve(ssin(1), chain(hops)) == Found(person=file(hops + 1), replaces=ssin(1))


@pytest.mark.parametrize("hops", [0, 1, HOPS_MAX])
def test_rules_15_and_17_a_canceled_end_is_refused(hops: int) -> None:
    """A chain that ends in a cancelled file is refused, the file named (rules 15, 17; E4, E6)."""
    files = chain(hops, canceled=True)
    assert resolve(ssin(1), files) == NotActive(last=files[-1], fault=None)


@pytest.mark.parametrize("canceled", [False, True])
def test_rule_16_a_chain_of_one_hop_too_many_is_refused(*, canceled: bool) -> None:
    """Eleven hops are refused, whatever stands at their end (rule 16)."""
    files = chain(HOPS_MAX + 1, canceled=canceled)
    assert resolve(ssin(1), files) == NotActive(last=files[-1], fault=ChainFault.TOO_LONG)


@pytest.mark.parametrize("hops_max", [0, 1, 3])
def test_rule_16_the_limit_is_a_parameter(hops_max: int) -> None:
    """The number of hops that are followed is the limit given, neither one less nor one more (rule 16)."""
    assert isinstance(resolve(ssin(1), chain(hops_max), hops_max=hops_max), Found)
    refused = resolve(ssin(1), chain(hops_max + 1), hops_max=hops_max)
    assert isinstance(refused, NotActive)
    assert refused.fault is ChainFault.TOO_LONG


@pytest.mark.parametrize("back_to", [1, 2, 3])
def test_rule_16_a_loop_is_refused(back_to: int) -> None:
    """Files that replace each other in a circle are refused, whether the circle meets the first file or not."""
    files = [file(1, 2), file(2, 3), file(3, back_to)]
    assert resolve(ssin(1), files) == NotActive(last=files[-1], fault=ChainFault.LOOP)


def test_rule_16_a_file_that_replaces_itself_is_a_loop() -> None:
    """A file replaced by itself is refused as a loop (rule 16)."""
    assert resolve(ssin(1), [file(1, 1)]) == NotActive(last=file(1, 1), fault=ChainFault.LOOP)


@pytest.mark.parametrize("hops", [1, 4])
def test_rule_15_a_successor_that_no_register_knows_is_refused(hops: int) -> None:
    """A chain whose next file is missing is refused as broken, never read as non-existent (rules 15, 54)."""
    files = chain(hops)[:-1]
    assert resolve(ssin(1), files) == NotActive(last=files[-1], fault=ChainFault.BROKEN)


def test_e3_an_unknown_number_is_unknown() -> None:
    """Without any file, the number does not exist (E3)."""
    assert resolve(ssin(1), ()) == Unknown()


@given(hops=st.integers(0, HOPS_MAX + 3), end=st.sampled_from(["active", "canceled", "loop", "broken"]))
def test_rule_17_accepted_if_and_only_if_the_end_is_active(hops: int, end: str) -> None:
    """A number is accepted exactly when an active file stands at the end of at most ten hops (rules 16, 17)."""
    files = chain(hops, canceled=end == "canceled")
    if end == "loop":
        files[-1] = file(hops + 1, 1)
    if end == "broken":
        files[-1] = file(hops + 1, 900)
    resolution = resolve(ssin(1), files)
    assert isinstance(resolution, Found) == (end == "active" and hops <= HOPS_MAX)
    assert isinstance(resolution, Found | NotActive)
