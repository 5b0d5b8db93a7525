"""The mutation feed, from where the last run ended: mutation_feed.py SANDBOX_DIRECTORY PLACE_FILE.

The service remembers nothing of its readers: PLACE_FILE holds the number up to which everything has been handled. It is
written after each mutation, so that a crash between the two handles one mutation twice and none never.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cbss_inscription.client import CallFailed, InscriptionClient, Mutation, Profile, Refused


def handle(mutation: Mutation) -> None:
    """What your application does with the news: here it prints them, without the numbers of persons."""
    print(mutation.sequence_number, mutation.event, ", ".join(mutation.inscription_contexts))


def main() -> int:
    """Handle every mutation since the last run, with the profile of the demo application pcsa-web."""
    profile = Profile.read(Path(sys.argv[1]) / "pcsa-web.toml")
    place = Path(sys.argv[2])
    after = int(place.read_text(encoding="utf-8")) if place.exists() else 0
    try:
        with InscriptionClient(profile) as client:
            for mutation in client.mutations(after):
                handle(mutation)
                after = mutation.sequence_number
                place.write_text(str(after), encoding="utf-8")
    except (CallFailed, Refused) as failure:
        print(failure)  # what was handled is remembered: run it again
        return 1
    print("up to", after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
