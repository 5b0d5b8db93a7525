"""A number, a name and a text through every kind of call of a running service: none of them stays anywhere (SEC-74)."""

from __future__ import annotations

import base64
import json
import os
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from cbss_inscription.app.serving import serving
from cbss_inscription.client import FaultReceived, InscriptionClient, LegalData, Period
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.sandbox.population import Scenario, make_population
from cbss_inscription.security.sign import Signer, sign
from tests.acceptance.conftest import consult, envelope, health, insert
from tests.acceptance.test_soap_door_faults import WRONG
from tests.conftest import RunningSandbox, free_port

NAME = "Zzyzx-Qwghlm"
TEXT = "CANARY-TICKET"
CONTEXT = "PCSA:LIVING_WAGE"
YEAR = Period(begin_date=date(2026, 1, 1), end_date=date(2026, 12, 31))

# Every worker imports this module before anything else: libraries log whatever they can, and one operation is broken.
SITECUSTOMIZE = """
import logging

configure = logging.basicConfig


def debugging(**named):
    configure(**{**named, "level": logging.DEBUG})
    from cbss_inscription.repertory.embedded import EmbeddedRepertory

    async def break_down(self, asked):
        logging.getLogger("a.library").warning("%s", asked.request.ssin)
        logging.getLogger("a.library").debug("debugging %s", asked.request.ssin)
        try:
            raise ValueError(asked.request.ssin, "Zzyzx-Qwghlm")
        except ValueError as error:
            error.add_note(asked.request.ssin)
            raise RuntimeError(f"CANARY-TICKET {asked.request.ssin}") from error

    EmbeddedRepertory.update = break_down


logging.basicConfig = debugging
"""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A façade in processes of its own, and what its messages need; its log is a file."""

    sandbox: RunningSandbox
    url: str
    plain_url: str
    log_file: Path
    scenarios: dict[str, Scenario]
    signers: dict[str, Signer]

    def ssin(self, scenario: str) -> str:
        """The number of a scenario."""
        return self.sandbox.ssin(scenario)

    def signed(
        self, content: str, *, by: str = "pcsa-web", at: datetime | None = None, header: str = "", **more: Any
    ) -> bytes:
        """The message with `content` as its Body, signed."""
        return sign(envelope(content, header=header), signer=self.signers[by], now=at or datetime.now(UTC), **more)

    def post(self, body: bytes, **headers: str | bytes) -> httpx.Response:
        """The reply to a POST of these bytes."""
        named: dict[str, str | bytes] = {"content-type": "text/xml; charset=utf-8"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in named.items()]
        return httpx.post(self.plain_url, content=body, headers=raw, trust_env=False, timeout=30)


@pytest.fixture(scope="module")
def service(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The sandbox's façade once more, everything at DEBUG and `update` broken; stopped before its log is read."""
    directory = tmp_path_factory.mktemp("canaries")
    (directory / "sitecustomize.py").write_text(SITECUSTOMIZE)
    port, plain_port = free_port(), free_port()
    text = (sandbox.directory / "settings.toml").read_text(encoding="utf-8").partition("[plain]")[0]
    text = re.sub(r"(?m)^port = \d+", f"port = {port}", text)
    settings = sandbox.directory / "canaries.toml"
    settings.write_text(f"{text}\n[plain]\nport = {plain_port}\nworkers = 2\n", encoding="utf-8")
    certified = {application["name"]: application for application in sandbox.manifest["applications"]}
    certified |= sandbox.manifest["refused_certificates"]
    scenarios = dict(make_population(persons=400, seed=1).scenarios)
    assert scenarios["nr_active"].ssin == sandbox.ssin("nr_active")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(directory)
    try:
        with (directory / "canaries.log").open("wb") as log, serving(settings, log=log):
            yield Service(
                sandbox=sandbox,
                url=re.sub(r":\d+", f":{port}", sandbox.url, count=1),
                plain_url=re.sub(r":\d+", f":{plain_port}", sandbox.plain_url, count=1),
                log_file=directory / "canaries.log",
                scenarios=scenarios,
                signers={
                    name: Signer.from_pem(
                        sandbox.path(files["certificate"]).read_bytes(), sandbox.path(files["key"]).read_bytes()
                    )
                    for name, files in certified.items()
                },
            )
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


def written_in_any_way(secret: str) -> set[bytes]:
    """The secret as bytes, in every spelling in which it could hide in a file."""
    spellings = {secret}
    if secret.isdigit():
        spellings |= {Ssin.parse(secret).formatted, f"{secret[:6]}-{secret[6:9]}", secret[:9]}
    found = set()
    for spelling in spellings:
        for charset in ("utf-8", "utf-16-le", "utf-16-be"):
            data = spelling.encode(charset)
            found |= {data, data.hex().encode(), data.hex().upper().encode()}
            # In base64 a text looks different at each of three places; its first and last letters depend on neighbours.
            for place in range(3):
                coded = base64.b64encode(b"\0" * place + data)
                found.add(coded[(0, 4, 4)[place] : len(coded) - 4])
    return {one for one in found if len(one) >= 8}


def call_everything(service: Service, known: str, stranger: str) -> list[BaseException]:
    """What the SDK raised; every operation was asked for in every way that can go well or wrong."""
    raised: list[BaseException] = []
    profile = msgspec.structs.replace(service.sandbox.profile(), url=service.url)
    legal_data = LegalData(last_name=NAME, given_names=("Qwghlm",))
    with InscriptionClient(profile) as client:
        for ssin in (known, stranger, service.ssin("unknown"), service.ssin("replaced"), service.ssin("canceled")):
            named: dict[str, Any] = {"inscription_context": CONTEXT, "period": YEAR}
            for ask in (
                lambda ssin=ssin, named=named: client.insert_inscription(ssin, ticket=f"{TEXT} 1 {ssin[:9]}", **named),
                lambda ssin=ssin, named=named: client.insert_inscription(ssin, legal_data=legal_data, **named),
                lambda ssin=ssin, named=named: client.update_inscription(ssin, new_period=YEAR, **named),
                lambda ssin=ssin: client.consult_inscriptions(ssin, ticket=TEXT),
                lambda ssin=ssin: client.consult_inscriptions(ssin, legal_context=f"N:{ssin}"),
                lambda ssin=ssin: client.consult_inscriptions(ssin, inscription_contexts=[f"N:{ssin}"]),
                lambda ssin=ssin: client.delete_inscription(ssin, inscription_context=CONTEXT),
            ):
                try:
                    ask()
                except FaultReceived as error:
                    raised.append(error)
        client.health_check()
    for name, wrong in WRONG.items():
        try:
            body = wrong.body(service)  # type: ignore[arg-type]  # of a façade it asks what this service has, too
        except KeyError:
            continue  # a certificate that only the façade in the tests' own process knows
        action = {"soapaction": wrong.action} if wrong.action else {}
        reply = service.post(body, **action, content_type=wrong.content_type)
        assert wrong.code.encode() in reply.content, name
    return raised


def break_the_database(service: Service, ssin: str) -> None:
    """Nothing; a declaration about this number met a row that PostgreSQL refuses, and says why by quoting it."""
    with psycopg.connect(service.sandbox.manifest["database"], autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION quote_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF NEW.ssin = {int(ssin)} THEN"
            " RAISE check_violation USING MESSAGE = 'Failing row ' || NEW::text; END IF;"
            " RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER quote_row BEFORE INSERT OR UPDATE ON inscription FOR EACH ROW EXECUTE FUNCTION quote_row()"
        )
        try:
            reply = service.post(service.signed(insert(ssin, ticket=TEXT)))
            assert reply.status_code == 500
            assert b"SOA-0" in reply.content
        finally:
            connection.execute("DROP TRIGGER quote_row ON inscription")
            connection.execute("DROP FUNCTION quote_row")


FORGED = '\r\n{"event": "forged"}\x1b[2J\x9b31m\u2028{"event": "forged"}'


def forge(service: Service, ssin: str) -> None:
    """Nothing; line ends and a terminal's escapes were put wherever a message has a place for words."""
    escaped = FORGED.replace("\x1b", "").replace("\r", "&#13;").replace("\n", "&#10;").replace('"', "&quot;")
    for content in (
        consult(ssin, ticket="&#13;&#10;{}\x9b2J"),
        consult(ssin, legal_context=escaped),
        insert(ssin, context=escaped),
        health(escaped),
        f'<q:x xmlns:q="urn:y" z="{escaped}">{escaped}</q:x>',
    ):
        service.post(service.signed(content))
    service.post(service.signed(consult(ssin)), soapaction=b'"urn:\x9b2J{event: forged}"')
    service.post(service.signed(consult(ssin)), content_type=b"text/xml; charset=\x9b31m")
    httpx.get(f"{service.plain_url}?xsd=%0d%0a%7b%22event%22%3a%22forged%22%7d%1b%5b2J", trust_env=False)
    httpx.get(f"{service.plain_url}%0d%0a%7b%22event%22%3a%22forged%22%7d", trust_env=False)


def test_sec_74_no_canary_stays_in_any_output(service: Service, stranger: str) -> None:
    """Logs of all workers at DEBUG, PostgreSQL's log, every log of the sandbox, and exceptions: no number, no name."""
    known = service.ssin("nr_active")
    raised = call_everything(service, known, stranger)
    assert {error.code for error in raised if isinstance(error, FaultReceived)} == {"SOA-00001"}  # the broken update
    break_the_database(service, known)
    forge(service, known)

    scenarios = service.sandbox.manifest["scenarios"]
    names = {scenario["legal_data"]["last_name"] for scenario in scenarios.values() if "legal_data" in scenario}
    numbers = {known, stranger, *(service.ssin(name) for name in ("unknown", "replaced", "canceled"))}
    secrets = {NAME, "Qwghlm", TEXT, "CANARY-NAME", *numbers, *(name for name in names if len(name) > 7)}

    outputs = {path: path.read_bytes() for path in service.sandbox.directory.rglob("*.log*") if path.is_file()}
    outputs[service.log_file] = service.log_file.read_bytes()
    for number, error in enumerate(raised):
        outputs[Path(f"exception {number}")] = (
            "".join(traceback.format_exception(error)).encode() + repr(error).encode()
        )
    assert {"facade.log", "server.log", "canaries.log"} <= {path.name for path in outputs}
    for secret in secrets:
        for spelling in written_in_any_way(secret):
            for path, data in outputs.items():
                assert spelling not in data, (path, secret)

    told = service.log_file.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in told.splitlines()]  # every line is a JSON value, libraries' too
    assert told.replace("\n", "").isprintable()
    assert told.isascii()
    assert {line["event"] for line in lines} >= {"answered", "refused", "failed"}
    assert "forged" not in {line["event"] for line in lines}
    assert {line["level"] for line in lines if line.get("logger") == "a.library"} == {"warning", "debug"}
    assert {told["kind"] for line in lines for told in line.get("exceptions", ())} >= {"RuntimeError", "ValueError"}
    assert not any(process for process in lines if "Traceback" in str(process))
