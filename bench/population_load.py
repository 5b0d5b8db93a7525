# ruff: noqa: INP001 - a program, in no package
"""How long a large population takes to be made on the fly and loaded, and how long searches in it take.

    .venv/bin/python bench/population_load.py [--persons 1000000] [--inscriptions 5]

Runs the bundled PostgreSQL, as it is configured for everybody, in a temporary directory; prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from cbss_inscription.storage.embedded_server import EmbeddedServer

SEARCHES = (
    "RAD, deceased, incomplete birth date",
    "replaced by canceled, woman, accents",
    "known to 17/1, in context PCSA:LIVING_WAGE, sex unknown",
    "no birth date",
)


def seconds_of(*arguments: str) -> float:
    """How long a population command took."""
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "cbss_inscription.cli.main", "population", *arguments],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode in {0, 1}
    return round(time.monotonic() - began, 1)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", default="1000000")
    parser.add_argument("--inscriptions", default="5")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cbss-bench-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedServer(Path(directory)) as server:
            database = ("--database", server.connection_string)
            load_before = os.getloadavg()[0]
            size = ("--persons", given.persons, "--inscriptions", given.inscriptions)
            loaded = seconds_of("load", *database, *size)
            memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            load_after = os.getloadavg()[0]
            searches = {words: seconds_of("search", words, *database) for words in SEARCHES}
            with psycopg.connect(server.connection_string) as connection:
                counts = connection.execute(
                    "SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM inscription),"
                    " (SELECT count(*) FROM inscription_history)"
                ).fetchone()
                version = connection.info.server_version
    figures = {
        "seconds_to_load": loaded,
        "rows": dict(zip(("person", "inscription", "inscription_history"), counts or (), strict=True)),
        "seconds_to_search": searches,
        "mebibytes_of_the_largest_process_started": memory,
        "load_average_before_and_after": [load_before, load_after],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "postgresql": version,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
