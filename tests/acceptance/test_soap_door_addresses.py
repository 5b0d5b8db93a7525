"""Whom a message says it is for, at the doors (SEC-17)."""

from __future__ import annotations

import pytest

from cbss_inscription.contract.door import Door
from tests.acceptance.conftest import PUBLIC_URL, BuildFacade, insert

ANONYMOUS = "http://www.w3.org/2005/08/addressing/anonymous"
INNER = "http://127.0.0.1:8080"


def to(address: str) -> str:
    """The header block that names the receiver."""
    return f'<a:To xmlns:a="http://www.w3.org/2005/08/addressing">{address}</a:To>'


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        (f"{PUBLIC_URL}{Door.FACADE.path}", "MSG00000"),
        (f"{INNER}{Door.FACADE.path}/", "MSG00000"),
        (ANONYMOUS, "MSG00000"),
        ("", "SOA-03004"),
        (f"{PUBLIC_URL}{Door.MUTATIONS.path}", "SOA-03004"),
        (f"https://elsewhere.example{Door.FACADE.path}", "SOA-03004"),
        (f"{PUBLIC_URL}{Door.FACADE.path}?wsdl", "SOA-03004"),
    ],
)
async def test_sec_17_a_message_for_somebody_else_is_not_carried_out(
    build_facade: BuildFacade, address: str, answer: str
) -> None:
    """wsa:To is an address of this door, or anonymous; else nothing is written, and the log says why (SEC-17)."""
    async with build_facade(other_urls=(INNER,)) as facade:
        reply = await facade.post(facade.signed(insert(facade.ssin("nr_active")), header=to(address)))
        assert reply.summary == answer
        assert (facade.written()[1] == 1) == (answer == "MSG00000")
        assert ("addressing-to" in facade.log.getvalue()) == (answer != "MSG00000")
