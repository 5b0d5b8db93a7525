"""The SDK, blocking and async: python_sdk.py SANDBOX_DIRECTORY."""

from __future__ import annotations

import asyncio
import sys
from datetime import date
from pathlib import Path

from cbss_inscription.client import (
    AsyncInscriptionClient,
    FaultReceived,
    Gender,
    IncompleteDate,
    InscriptionClient,
    LegalData,
    Period,
    Profile,
)

SSIN = "81121844355"  # synthetic: the sandbox's person `nr_active`
CONTEXT = "PCSA:DEBT_MEDIATION"
FIRST_HALF = Period(begin_date=date(2026, 1, 1), end_date=date(2026, 6, 30))
WHOLE_YEAR = Period(begin_date=date(2026, 1, 1), end_date=date(2026, 12, 31))
LEGAL_DATA = LegalData(
    last_name="Van Straaten",
    given_names=("Niels", "Staf"),
    birth_date=IncompleteDate.parse("1981-12-18"),
    gender=Gender.MALE,
)


def change(profile: Profile) -> None:
    """Insert, update and consult, blocking."""
    with InscriptionClient(profile) as client:
        inserted = client.insert_inscription(
            SSIN, inscription_context=CONTEXT, period=FIRST_HALF, legal_data=LEGAL_DATA
        )
        print("insert ", inserted.result.status.value, inserted.result.status.code)

        updated = client.update_inscription(SSIN, inscription_context=CONTEXT, period=FIRST_HALF, new_period=WHOLE_YEAR)
        print("update ", updated.result.status.value, updated.result.status.code)

        consulted = client.consult_inscriptions(SSIN, inscription_contexts=[CONTEXT])
        print("consult", consulted.result.status.value, consulted.result.status.code)
        for line in consulted.result.inscriptions:
            print("       ", line.inscription_context, line.period.begin_date, line.period.end_date)


async def remove(profile: Profile) -> None:
    """Delete, and ask for the health at the same time, from coroutines."""
    async with AsyncInscriptionClient(profile) as client:
        deleted, health = await asyncio.gather(
            client.delete_inscription(SSIN, inscription_context=CONTEXT), client.health_check()
        )
        print("delete ", deleted.result.status.value, deleted.result.status.code)
        print("health ", health.result.health)


def main() -> int:
    """Do all of it with the profile of the demo application pcsa-web."""
    profile = Profile.read(Path(sys.argv[1]) / "pcsa-web.toml")
    try:
        change(profile)
        asyncio.run(remove(profile))
    except FaultReceived as fault:  # the message could not be processed; a business refusal is an answer
        print(fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
