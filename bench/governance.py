# ruff: noqa: INP001 - a program, in no package
"""What audit journal and volumes cost a consultation: the whole door with them and without, in turns, in one run.

    .venv/bin/python bench/governance.py [--rounds 9] [--messages 300]

Runs the bundled PostgreSQL in a temporary directory and the façade's door in this process; every message is signed
beforehand, and each is another. CPU is that of this process and of the database's. Medians count, and the program ends
with 1 when the share of the journal and the volumes is above `SHARE_MAX` with 20 messages at once. Without HTTP and
TLS, whose cost would make the share smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from volumes import cpu_of_tree

from cbss_inscription.app.settings import Audit, Settings, TlsListener, Trust
from cbss_inscription.app.telemetry import configure_logging
from cbss_inscription.app.wiring import build_application
from cbss_inscription.contract.door import Door
from cbss_inscription.governance.access import AccessRules, AgreedVolume, VolumeWindow, write_access_rules
from cbss_inscription.governance.journal import AuditRecord, SealedRequest, new_audit_keys
from cbss_inscription.sandbox.demonstration import APPLICATIONS, demo_access_rules
from cbss_inscription.sandbox.pki import REVOCATION_LISTS, TestPki
from cbss_inscription.sandbox.population import make_population
from cbss_inscription.security.sign import Signer, sign
from cbss_inscription.soap.http import SoapApplication
from cbss_inscription.soap.message import RawMessage
from cbss_inscription.soap.operations import InscriptionOperations
from cbss_inscription.soap.pipeline import SecuredDoor
from cbss_inscription.storage.embedded_server import EmbeddedServer
from cbss_inscription.storage.migration import migrate
from cbss_inscription.storage.population import load_population

SHARE_MAX = 0.25
"""Of the CPU of a consultation without them."""
AT_ONCE = (1, 20)
ENVIRONMENT = "LOCAL"
REQUEST = """<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
    xmlns:v1="http://socialsecurity.be/cbssinscription/v1"><soapenv:Header/><soapenv:Body>
  <v1:ConsultInscriptionsRequest>
    <informationCustomer><customerIdentification><sector>17</sector><institution>1</institution></customerIdentification>
    </informationCustomer>
    <legalContext>PCSA:SOCIAL_INQUIRY</legalContext>
    <criteria><ssin>{ssin}</ssin></criteria>
  </v1:ConsultInscriptionsRequest></soapenv:Body></soapenv:Envelope>"""


class NoJournal:
    """An `AuditJournal` that keeps nothing: what the journal is measured against."""

    def admit(self) -> None:
        """See `AuditJournal.admit`."""

    async def write(self, record: AuditRecord, *, received_at: datetime, evidence: SealedRequest | None = None) -> None:
        """See `AuditJournal.write`."""


def with_volumes(rules: AccessRules) -> AccessRules:
    """The rules, each permission with a volume for each window."""
    volumes = tuple(AgreedVolume(window=window, limit=10**9) for window in VolumeWindow)
    permissions = tuple(msgspec.structs.replace(one, volumes=volumes) for one in rules.permissions)
    return msgspec.structs.replace(rules, permissions=permissions)


def application_in(directory: Path, database: str, pki: TestPki, now: datetime) -> SoapApplication:
    """A façade whose files are written there."""
    (directory / "rules.yaml").write_bytes(write_access_rules(with_volumes(demo_access_rules())))
    (directory / "authorities.pem").write_bytes(pki.authorities_pem)
    pki.write_revocation_lists(directory, now=now)
    (directory / "keys.toml").write_bytes(new_audit_keys("bench"))
    return build_application(
        Settings(
            environment=ENVIRONMENT,
            public_url="https://localhost",
            database=database,
            access_rules=str(directory / "rules.yaml"),
            audit=Audit(keys=str(directory / "keys.toml")),
            tls=TlsListener(certificate="unused", private_key="unused"),
            trust=Trust(
                application_authorities=str(directory / "authorities.pem"),
                revocation_lists=(str(directory / REVOCATION_LISTS),),
            ),
        )
    )


@asynccontextmanager
async def alive(application: SoapApplication) -> AsyncIterator[None]:
    """The application between its start and its end."""
    async with application._lifespan():  # noqa: SLF001  # no server stands in front of it here
        yield


async def milliseconds_of_a_message(
    door: SecuredDoor, messages: Sequence[bytes], *, at_once: int, postmaster: int
) -> float:
    """CPU time of one message, of so many that come at once."""
    began = cpu_of_tree(postmaster)
    for first in range(0, len(messages), at_once):
        group = messages[first : first + at_once]
        replies = await asyncio.gather(
            *(door.answer(RawMessage(body=body, charset="utf-8", soap_action=None)) for body in group)
        )
        if any(reply.status != 200 for reply in replies):
            raise RuntimeError("a message was not answered")
    return (cpu_of_tree(postmaster) - began) / len(messages) * 1e3


async def measure(directory: Path, server: EmbeddedServer, *, rounds: int, count: int) -> bool:
    """Whether the share is within its bound; prints the figures."""
    assert server.process_id is not None
    now = datetime.now(UTC)
    pki = TestPki.generate(environment=ENVIRONMENT, now=now - timedelta(hours=1))
    web = APPLICATIONS[0]
    credential = pki.issue_application_certificate(
        web.application_urn,
        web.cbe_number,
        web.organization_name,
        not_before=now - timedelta(minutes=30),
        private_key=rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
    )
    signer = Signer.from_pem(credential.certificate_pem, credential.private_key_pem)
    population = make_population(persons=400, seed=1)
    load_population(server.connection_string, population.persons, recipe="bench")
    request = REQUEST.format(ssin=population.scenarios["nr_active"].ssin).encode()
    application = application_in(directory, server.connection_string, pki, now)
    is_within = True
    async with alive(application):
        whole = cast("SecuredDoor", application._doors[Door.FACADE.path])  # noqa: SLF001  # as above
        operations = replace(cast("InscriptionOperations", whole.operations), volumes=None)
        bare = replace(whole, journal=NoJournal(), operations=operations)
        for at_once in AT_ONCE:
            found: dict[str, list[float]] = {"without": [], "with": []}
            for _ in range(rounds):
                for name, door in (("without", bare), ("with", whole)):
                    signed = [sign(request, signer=signer, now=datetime.now(UTC)) for _ in range(count)]
                    cost = await milliseconds_of_a_message(door, signed, at_once=at_once, postmaster=server.process_id)
                    found[name].append(cost)
            without, with_ = (statistics.median(found[name]) for name in ("without", "with"))
            share = statistics.median(b / a - 1 for a, b in zip(found["without"], found["with"], strict=True))
            figures = f"{without:6.2f} ms without, {with_:6.2f} ms with journal and volumes: {share:+.0%}"
            sys.stdout.write(f"{at_once:3} at once: {figures}\n")
            is_within = share <= SHARE_MAX or at_once == 1
    return is_within


def main() -> None:
    """Print the figures; the exit status says whether the share is within its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--messages", type=int, default=300)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="cbss-bench-") as folder,
        Path(os.devnull).open("w", encoding="utf-8") as nobody,
        contextlib.redirect_stderr(nobody),  # the log is written, and read by nobody
    ):
        configure_logging()
        directory = Path(folder)
        directory.chmod(0o711)
        with EmbeddedServer(directory) as server:
            migrate(server.connection_string)
            is_within = asyncio.run(measure(directory, server, rounds=given.rounds, count=given.messages))
    sys.exit(0 if is_within else 1)


if __name__ == "__main__":
    main()
