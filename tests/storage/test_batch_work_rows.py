"""In which order the lines of a chunk are counted (rule 37, SEC-57)."""

from __future__ import annotations

import itertools
from collections import Counter

from cbss_inscription.governance.volumes import CountedCall
from cbss_inscription.storage.batch_work import counts_of


def call(operation: str, *, permission: str = "KSZ-1", refused: bool = False) -> CountedCall:
    return CountedCall(
        permission=permission,
        application_urn="urn:app:one",
        customer="17/1",
        legal_context="PCSA:SOCIAL_INQUIRY",
        operation=operation,
        is_refused=refused,
    )


def test_sec_57_two_chunks_count_in_one_order() -> None:
    """In whatever order lines come, their calls are counted in one order, so that no two chunks of a worker wait for
    each other in a circle; admitted and refused ones in one row (SEC-57).
    """
    calls = [call("b"), call("a"), call("c", refused=True), call("a", permission="KSZ-0"), call("b", refused=True)]
    found = [counts_of(Counter(order)) for order in itertools.permutations(calls)]
    assert all(one == found[0] for one in found)
    assert [(row["permission"], row["operation"], row["calls"], row["refused"]) for row in found[0]] == [
        ("KSZ-0", "a", 1, 0),
        ("KSZ-1", "a", 1, 0),
        ("KSZ-1", "b", 1, 1),
        ("KSZ-1", "c", 0, 1),
    ]
