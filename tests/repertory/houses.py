"""The ways in which a repertory can be had: in memory, on PostgreSQL, and as another service in two dialects."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec

from cbss_inscription.app.settings import DialectName, Upstream
from cbss_inscription.app.upstream import upstream_of
from cbss_inscription.client.asker import ServiceCall
from cbss_inscription.client.breaker import Circuit
from cbss_inscription.domain.requests import Operation
from cbss_inscription.governance.access import AccessRule, AccessRules, Permission, write_access_rules
from cbss_inscription.governance.journal import new_audit_keys
from cbss_inscription.repertory.embedded import EmbeddedRepertory
from cbss_inscription.repertory.upstream import UpstreamRepertory
from cbss_inscription.sandbox.demonstration import ENVIRONMENT, FACADE
from cbss_inscription.sandbox.pki import REVOCATION_LISTS, TestPki
from cbss_inscription.security.trust import TrustStore
from cbss_inscription.storage.database import Database
from tests.conftest import START_SECONDS_MAX, free_port, stop_process
from tests.repertory.adjustment_service import AdjustmentService, Answer, served


class Calls:
    """A `CallLog` that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[ServiceCall] = []
        self.circuits: list[Circuit] = []

    def called(self, call: ServiceCall) -> None:
        """See `CallLog.called`."""
        self.calls.append(call)

    def circuit_moved(self, *, service: str, circuit: Circuit) -> None:
        """See `CallLog.circuit_moved`."""
        self.circuits.append(circuit)


@dataclass(frozen=True, kw_only=True)
class Pki:
    """Files of a test PKI: what the façade signs with, and what a service is made of."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Pki:
        """A new one below `folder`."""
        now = datetime.now(UTC)
        pki = TestPki.create(folder, environment=ENVIRONMENT, now=now)
        pki.write_revocation_lists(folder, now=now)
        pki.issue_application_certificate(
            FACADE.application_urn, FACADE.cbe_number, FACADE.organization_name, not_before=now
        ).write(folder / "facade.crt.pem", folder / "facade.key.pem")
        return cls(folder=folder)

    def trust(self) -> TrustStore:
        """Who is believed to be an application."""
        return TrustStore(
            authorities_pem=(self.folder / "authorities.pem").read_bytes(),
            environment=ENVIRONMENT,
            revocation_lists=[(self.folder / REVOCATION_LISTS).read_bytes()],
        )

    def upstream(self, url: str, dialect: DialectName, log: Calls | None = None, **settings: Any) -> UpstreamRepertory:
        """A façade's way to the repertory at `url`."""
        return upstream_of(
            Upstream(
                url=url,
                ca=str(self.folder / "tls-ca.crt.pem"),
                certificate=str(self.folder / "facade.crt.pem"),
                private_key=str(self.folder / "facade.key.pem"),
                dialect=dialect,
                **settings,
            ),
            log=log or Calls(),
        )


def rules_of_facade(permissions: Iterable[Permission]) -> AccessRules:
    """The rules of a repertory whose only caller is the façade, which may ask for each customer what these grant."""
    rule = AccessRule(
        dossier="FACADE",
        application_urn=FACADE.application_urn,
        cbe_number=FACADE.cbe_number,
        environment=ENVIRONMENT,
        operations=tuple(Operation),
        valid_from=date(2000, 1, 1),
    )
    spoken = tuple(
        msgspec.structs.replace(one, cbe_number=FACADE.cbe_number, application_urns=(FACADE.application_urn,))
        for one in permissions
    )
    return AccessRules(version=1, access_rules=(rule,), permissions=spoken)


@contextlib.contextmanager
def repertory_process(folder: Path, *, database: str, rules: AccessRules, pki: Pki) -> Iterator[str]:
    """The URL of a `cbss-inscription repertory` that answers, a process with its own workers, over TLS on loopback."""
    port = free_port()
    (folder / "rules.yaml").write_bytes(write_access_rules(rules))
    keys = folder / "audit-keys.toml"
    keys.touch(mode=0o600)
    keys.write_bytes(new_audit_keys("tests"))
    settings = folder / "repertory.toml"
    settings.write_text(
        f"""
        service = "repertory"
        environment = "{ENVIRONMENT}"
        public_url = "https://localhost:{port}"
        database = "{database}"
        access_rules = "rules.yaml"
        validate_responses = true
        [tls]
        port = {port}
        certificate = "{pki.folder}/server.crt.pem"
        private_key = "{pki.folder}/server.key.pem"
        [trust]
        application_authorities = "{pki.folder}/authorities.pem"
        revocation_lists = ["{pki.folder}/{REVOCATION_LISTS}"]
        [audit]
        keys = "{keys}"
        """,
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "cbss_inscription.cli.main", "repertory", "--settings", str(settings)]
    with (folder / "repertory.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        url = f"https://localhost:{port}/InscriptionService/v1/inscription"
        try:
            _wait_for(f"{url}?wsdl", process, folder / "repertory.log", pki)
            yield url
        finally:
            stop_process(process)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path, pki: Pki) -> None:
    context = ssl.create_default_context(cafile=str(pki.folder / "tls-ca.crt.pem"))
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        with contextlib.suppress(OSError), urlopen(url, context=context, timeout=2):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(log.read_text(encoding="utf-8"))
        time.sleep(0.05)


@contextlib.contextmanager
def adjustment_house(database: str, rules: AccessRules, pki: Pki, **parts: Any) -> Iterator[str]:
    """The URL of a repertory that speaks the second dialect, on the same database; `parts` are its store's."""
    from cbss_inscription.storage.inscriptions import StoredInscriptions
    from cbss_inscription.storage.persons import StoredPersons

    @contextlib.asynccontextmanager
    async def service() -> AsyncIterator[Answer]:
        opened = Database(database, connections_max=2)
        await opened.open()
        repertory = EmbeddedRepertory(registers=StoredPersons(opened), lines=StoredInscriptions(opened), **parts)
        try:
            yield AdjustmentService(repertory=repertory, rules=rules, trust=pki.trust()).answer
        finally:
            await opened.close()

    with served(service, certificate=pki.folder / "server.crt.pem", key=pki.folder / "server.key.pem") as url:
        yield url
