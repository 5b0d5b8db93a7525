"""What `sandbox.json` says, and that it is true: applications, certificates, scenarios, database."""

from __future__ import annotations

import stat
from datetime import date
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from cbss_inscription.client import FaultReceived, Gender, IncompleteDate, InscriptionClient, LegalData, Period, Profile
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.ssin import Ssin
from tests.conftest import RunningSandbox

SCENARIOS = (
    "nr_active",
    "bis_active",
    "rad_active",
    "deceased",
    "incomplete_birth_date",
    "canceled",
    "replaced",
    "replaced_chain",
    "replaced_by_canceled",
    "unknown",
    "invalid_check",
)
CONTEXT = "PCSA:HEATING_ALLOWANCE"


def test_the_manifest_has_its_shape(sandbox: RunningSandbox) -> None:
    """Keys and kinds of values are as documented (issue: sandbox.json)."""
    manifest = sandbox.manifest
    assert {"facade", "ca", "database", "applications", "scenarios"} <= set(manifest)
    assert set(manifest["facade"]) == {"url", "mutations_url", "plain_url", "wsdl"}
    assert manifest["facade"]["url"].startswith("https://localhost:")
    assert manifest["facade"]["mutations_url"] == Profile.read(sandbox.profile_path()).address_of(Door.MUTATIONS)
    assert manifest["facade"]["plain_url"].startswith("http://localhost:")
    assert manifest["facade"]["wsdl"] == manifest["facade"]["url"] + "?wsdl"
    assert len(manifest["applications"]) == 4
    for application in manifest["applications"]:
        assert {
            "name",
            "urn",
            "cbe_number",
            "certificate",
            "key",
            "customer_identification",
            "legal_contexts",
            "inscription_contexts",
        } <= set(application)
        assert set(application["customer_identification"]) in ({"cbe_number"}, {"sector", "institution"})
        assert application["legal_contexts"]
        assert application["inscription_contexts"]
    assert set(SCENARIOS) <= set(manifest["scenarios"])


def test_every_path_is_relative_and_there(sandbox: RunningSandbox) -> None:
    """Paths in the manifest are relative to it, and name files; private keys are for their owner only."""
    manifest = sandbox.manifest
    keys = [application["key"] for application in manifest["applications"]]
    paths = [manifest["ca"], *keys, *(application["certificate"] for application in manifest["applications"])]
    for path in paths:
        assert not path.startswith("/")
        assert sandbox.path(path).is_file()
    for key in keys:
        assert stat.S_IMODE(sandbox.path(key).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_has_the_data_that_its_name_asks(sandbox: RunningSandbox, name: str) -> None:
    """Each scenario has an SSIN; legal_data where there is a person; current where another number continues it."""
    scenario = sandbox.manifest["scenarios"][name]
    assert set(scenario) <= {"ssin", "current", "legal_data"}
    assert len(scenario["ssin"]) == 11
    assert ("legal_data" in scenario) == (name not in {"unknown", "invalid_check"})
    assert ("current" in scenario) == (name in {"replaced", "replaced_chain"})
    if "legal_data" in scenario:
        assert set(scenario["legal_data"]) == {"last_name", "given_names", "birth_date", "gender_code"}


def _legal_data(scenario: dict[str, Any]) -> LegalData | None:
    said = scenario.get("legal_data")
    if said is None:
        return None
    return LegalData(
        last_name=said["last_name"],
        given_names=tuple(said["given_names"]),
        birth_date=IncompleteDate.parse(said["birth_date"]),
        gender=Gender(said["gender_code"]),
    )


EXPECTED: dict[str, tuple[str, set[str]]] = {
    "nr_active": ("MSG00000", set()),
    "bis_active": ("MSG00000", set()),
    "rad_active": ("MSG00000", set()),
    "deceased": ("MSG00000", {"MSG00009"}),
    "incomplete_birth_date": ("MSG00000", set()),
    "canceled": ("CBI00101", set()),
    "replaced": ("MSG00000", {"CBI00102"}),
    "replaced_chain": ("MSG00000", {"CBI00102"}),
    "replaced_by_canceled": ("CBI00101", set()),
    "unknown": ("MSG00005", set()),
    "invalid_check": ("MSG00011", set()),
    "bis_sex_unknown": ("MSG00000", {"CBI00302"}),
    "accents": ("MSG00000", set()),
    "no_given_names": ("MSG00000", set()),
    "long_chain": ("CBI00101", set()),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_scenario_behaves_as_it_is_called(sandbox: RunningSandbox, name: str) -> None:
    """Consult and insert with its own legal data, through the real service, end as the scenario's name says."""
    scenario = sandbox.manifest["scenarios"][name]
    code, anomalies = EXPECTED[name]
    with InscriptionClient(sandbox.profile()) as client:
        inserted = client.insert_inscription(
            scenario["ssin"],
            inscription_context=CONTEXT,
            period=Period(begin_date=date(2026, 1, 1)),
            legal_data=_legal_data(scenario),
        ).result
        consulted = client.consult_inscriptions(scenario["ssin"], inscription_contexts=[CONTEXT]).result
        if inserted.inscriptions:
            client.delete_inscription(scenario["ssin"], inscription_context=CONTEXT)
    assert (inserted.status.code, {anomaly.code.value for anomaly in inserted.anomalies}) == (code, anomalies)
    assert consulted.status.code == code
    assert len(consulted.inscriptions) == (1 if code == "MSG00000" else 0)
    if "current" in scenario:
        assert consulted.ssin is not None
        assert consulted.ssin.current == Ssin(scenario["current"])
        assert consulted.ssin.replaces == Ssin(scenario["ssin"])


@pytest.mark.parametrize("name", ["nr_active", "replaced", "incomplete_birth_date"])
def test_a_scenario_with_another_name_is_refused(sandbox: RunningSandbox, name: str) -> None:
    """Its legal data are compared for real: another last name is CBI00301."""
    scenario = sandbox.manifest["scenarios"][name]
    with InscriptionClient(sandbox.profile()) as client:
        result = client.insert_inscription(
            scenario["ssin"],
            inscription_context=CONTEXT,
            period=Period(begin_date=date(2026, 1, 1)),
            legal_data=LegalData(last_name="Zzyzx"),
        ).result
    assert result.status.code == "CBI00301"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("expired", "SOA-01001"),
        ("unknown-urn", "SOA-01002"),
        ("other-environment", "SOA-01001"),
        ("revoked", "SOA-01001"),
    ],
)
def test_the_refused_certificates_are_refused(sandbox: RunningSandbox, name: str, code: str) -> None:
    """Expired and foreign ones are not authenticated, an unknown URN is not authorised (SEC-43, SEC-47, SEC-56)."""
    files = sandbox.manifest["refused_certificates"][name]
    profile = msgspec.structs.replace(
        sandbox.profile(), certificate=sandbox.path(files["certificate"]), private_key=sandbox.path(files["key"])
    )
    with InscriptionClient(profile) as client, pytest.raises(FaultReceived) as caught:
        client.consult_inscriptions(sandbox.ssin("nr_active"))
    assert caught.value.code == code
    reasons = {line["reason"] for line in sandbox.log_lines() if line.get("ticket_cbss") == caught.value.ticket}
    assert len(reasons) == 1


def _code(profile: Profile, operation: str, ssin: str, context: str) -> str:
    period = Period(begin_date=date(2026, 1, 1))
    with InscriptionClient(profile) as client:
        try:
            if operation == "insert":
                return client.insert_inscription(ssin, inscription_context=context, period=period).result.status.code
            if operation == "delete":
                return client.delete_inscription(ssin, inscription_context=context).result.status.code
            return client.consult_inscriptions(ssin, inscription_contexts=[context]).result.status.code
        except FaultReceived as fault:
            return fault.code


def test_the_demo_applications_have_different_rights(sandbox: RunningSandbox, stranger: str) -> None:
    """Each works within its own contexts and customer; the reader may not write; none sees the other's lines."""
    web, fund, reader = (sandbox.profile(name) for name in ("pcsa-web", "family-fund", "pcsa-reader"))
    wage, aid, child = "PCSA:LIVING_WAGE", "PCSA:OTHER_AID", "FAMILY_ALLOWANCES:CHILD"
    assert _code(web, "insert", stranger, wage) == "MSG00000"
    assert _code(fund, "insert", stranger, child) == "MSG00000"
    assert _code(web, "insert", stranger, child) == "CBI00201"
    assert _code(fund, "insert", stranger, wage) == "CBI00201"
    assert _code(reader, "consult", stranger, wage) == "MSG00000"
    assert _code(reader, "consult", stranger, aid) == "CBI00201"
    assert _code(reader, "insert", stranger, wage) == "SOA-01002"
    assert _code(reader, "delete", stranger, wage) == "SOA-01002"
    with InscriptionClient(fund) as client:
        lines = client.consult_inscriptions(stranger).result.inscriptions
    assert [line.inscription_context for line in lines] == [child]
    for application in sandbox.manifest["applications"]:
        with InscriptionClient(sandbox.profile(application["name"])) as client:
            for legal_context in application["legal_contexts"]:
                answer = client.consult_inscriptions(stranger, legal_context=legal_context)
                assert answer.result.status.code in {"MSG00000", "MSG00100"}


def test_rule_30_the_integrator_sees_who_knows_a_person(sandbox: RunningSandbox, stranger: str) -> None:
    """It sees the lines of both organisations, each with its organisation, and can write none of them (rule 30)."""
    web, fund, integrator = (sandbox.profile(name) for name in ("pcsa-web", "family-fund", "integrator"))
    wage, child = "PCSA:LIVING_WAGE", "FAMILY_ALLOWANCES:CHILD"
    assert _code(web, "insert", stranger, wage) == "MSG00000"
    assert _code(fund, "insert", stranger, child) == "MSG00000"
    assert _code(integrator, "insert", stranger, wage) == "CBI00201"
    with InscriptionClient(integrator) as client:
        everything = client.consult_inscriptions(stranger).result
        named = client.consult_inscriptions(stranger, inscription_contexts=[wage]).result
    assert [(line.inscription_context, line.organization) for line in everything.inscriptions] == [
        (child, fund.customer_identification),
        (wage, web.customer_identification),
    ]
    # Contexts of other sectors are withheld from whoever asks for all; of those it names, nothing is.
    assert everything.data_filters == ("inscriptions/inscription",)
    assert (len(named.inscriptions), named.data_filters) == (1, ())


def test_the_connection_string_reaches_the_database(sandbox: RunningSandbox, stranger: str) -> None:
    """With `database` any PostgreSQL client sees the persons, and what the façade writes."""
    assert _code(sandbox.profile(), "insert", stranger, CONTEXT) == "MSG00000"
    numbers = [int(sandbox.ssin(scenario)) for scenario in ("nr_active", "bis_active", "rad_active")]
    with psycopg.connect(sandbox.manifest["database"]) as connection:
        # Other tests create numbers in this sandbox, so that there may be more persons than it began with.
        assert (connection.execute("SELECT count(*) FROM person").fetchone() or (0,))[0] >= 400
        known = connection.execute("SELECT count(*) FROM person WHERE ssin = ANY(%s)", (numbers,)).fetchone()
        assert known == (3,)
        row = connection.execute(
            "SELECT customer, periods::text FROM inscription WHERE ssin = %s AND inscription_context = %s",
            (int(stranger), CONTEXT),
        ).fetchone()
    assert row == ("17/1", "{[2026-01-01,)}")


def test_the_plain_listener_is_the_same_service(sandbox: RunningSandbox, stranger: str) -> None:
    """plain_url answers what url answers, on loopback only (SEC-02)."""
    profile = msgspec.structs.replace(sandbox.profile(), url=sandbox.plain_url)
    assert _code(profile, "consult", stranger, CONTEXT) == "MSG00100"
    description = httpx.get(f"{sandbox.plain_url}?wsdl", trust_env=False)
    assert description.status_code == 200
    assert sandbox.url in description.text
    assert "granian" not in str(description.headers).lower()


def test_nothing_that_the_sandbox_writes_down_has_personal_data(sandbox: RunningSandbox) -> None:
    """No number, no name in facade.log, in PostgreSQL's log or on the console (SEC-74)."""
    with psycopg.connect(sandbox.manifest["database"]) as connection:
        numbers = [f"{number:011d}" for (number,) in connection.execute("SELECT ssin FROM person").fetchall()]
    # The console shows one number on purpose: the example that one may type.
    shown = sandbox.ssin("nr_active")
    assert sandbox.log_lines()
    for file in (sandbox.directory / "facade.log", *sandbox.directory.rglob("*.log")):
        text = file.read_text(encoding="utf-8")
        assert not [number for number in numbers if number in text], file
        for scenario in sandbox.manifest["scenarios"].values():
            if "legal_data" in scenario:
                assert f'"{scenario["legal_data"]["last_name"]}"' not in text
    console = sandbox.directory.with_suffix(".out").read_text(encoding="utf-8")
    assert not [number for number in numbers if number in console and number != shown]
