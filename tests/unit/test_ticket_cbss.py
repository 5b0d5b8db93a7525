"""The UUIDs under which calls are answered: new each time, in the order of their time (rule 49)."""

from __future__ import annotations

import time
from uuid import RFC_4122, UUID

import pytest

from cbss_inscription.domain.ticket_cbss import new_ticket, new_tickets


def milliseconds(ticket: UUID) -> int:
    """The time that a ticket says (RFC 9562 section 5.7)."""
    return ticket.int >> 80


def test_a_ticket_is_a_uuid_of_version_7_that_says_when_it_was_made() -> None:
    """Every ticket has the version, the variant and the milliseconds of RFC 9562."""
    before = time.time_ns() // 1_000_000

    tickets = [new_ticket(), *new_tickets(3)]

    after = time.time_ns() // 1_000_000
    assert {(ticket.version, ticket.variant) for ticket in tickets} == {(7, RFC_4122)}
    assert all(before <= milliseconds(ticket) <= after for ticket in tickets)


@pytest.mark.parametrize("count", [1, 2, 4_095, 4_096, 4_097, 10_000])
def test_tickets_made_together_are_all_different_and_begin_in_order(count: int) -> None:
    """A chunk's tickets ascend by what comes before their chance, and no two are the same, however many they are."""
    tickets = new_tickets(count)

    beginnings = [ticket.int >> 64 for ticket in tickets]
    assert len(set(tickets)) == count
    assert beginnings == sorted(beginnings)


def test_no_tickets_are_none() -> None:
    """None are asked for, none come."""
    assert new_tickets(0) == []


def test_chance_fills_every_bit_that_is_left() -> None:
    """Of many tickets each of the 74 free bits is one in some and zero in others."""
    tickets = [new_ticket().int for _ in range(200)]
    free = [bit for bit in range(128) if bit < 62 or 64 <= bit < 76]

    assert len(free) == 74
    assert all({ticket >> bit & 1 for ticket in tickets} == {0, 1} for bit in free)
