"""The National Register's own side: its settings, who may ask what, and what a search answers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cbss_inscription.app.settings import Service, Settings, read_settings
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.customer import CustomerIdentification, InformationCustomer
from cbss_inscription.domain.errors import NotAuthorized, RepertoryUnavailable, UsageError, WsdlViolation
from cbss_inscription.domain.exchange import Caller, Exchange
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.legal_data import FileStatus, Person, Register
from cbss_inscription.domain.person_search import PhoneticCriteria, SearchPersonBySsin, SearchPersonPhonetically
from cbss_inscription.domain.requests import ConsultInscriptions, HealthCheck, HealthCheckType, Operation
from cbss_inscription.domain.results import Health, HealthCheckResult, PersonsResult
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import AccessRule, AccessRules, AgreedVolume, Permission, VolumeWindow
from cbss_inscription.governance.volumes import VolumeMeter, VolumeReached
from cbss_inscription.soap.operations import PersonOperations

KNOWN, UNKNOWN, WRONG = "85073003328", "72020290081", "85073003398"
KSZ = CustomerIdentification(cbe_number="9000000389")
GROUND = LegalContext("REPERTORY:IDENTIFICATION")
CALLER = Caller(
    application_urn="nowhere:inscription:repertory",
    cbe_number="9000000389",
    environment="TST",
    certificate_fingerprint="00" * 32,
)
EXCHANGE = Exchange(ticket_cbss=UUID(int=1), timestamp_receive=datetime(2026, 3, 1, tzinfo=UTC), caller=CALLER)
PERSON = Person(ssin=Ssin.parse(KNOWN), register=Register.NR, status=FileStatus.ACTIVE, last_name="Peeters")


class Persons:
    """A register of one person, which may be away."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False

    async def chain_of(self, ssin: Ssin, *, hops_max: int) -> tuple[Person, ...]:
        """See `PersonRegister.chain_of`."""
        del hops_max
        self._ask()
        return (PERSON,) if ssin == PERSON.ssin else ()

    async def like(self, criteria: PhoneticCriteria) -> tuple[Person, ...]:
        """See `PersonRegister.like`."""
        self._ask()
        return (PERSON,) if criteria.last_name == PERSON.last_name else ()

    def _ask(self) -> None:
        self.asked += 1
        if self.is_away:
            raise RepertoryUnavailable("away")


class Told:
    """A `VolumeLog` that keeps what it is told."""

    def __init__(self) -> None:
        self.reached: list[VolumeReached] = []

    def volume_reached(self, reached: VolumeReached) -> None:
        """See `VolumeLog.volume_reached`."""
        self.reached.append(reached)


class Rules:
    """An `AccessRulesSource`: the façade may search by number and name and ask for the health, or less."""

    def __init__(self, *operations: Operation) -> None:
        self.operations = operations or (
            Operation.SEARCH_PERSON_BY_SSIN,
            Operation.SEARCH_PERSON_PHONETICALLY,
            Operation.HEALTH_CHECK,
        )

    volumes: tuple[AgreedVolume, ...] = ()

    def current(self) -> AccessRules:
        """See `AccessRulesSource.current`."""
        rule = AccessRule(
            dossier="1",
            application_urn=CALLER.application_urn,
            cbe_number=CALLER.cbe_number,
            environment="TST",
            operations=self.operations,
            valid_from=date(2020, 1, 1),
        )
        permission = Permission(
            reference="1",
            customer_identification=KSZ,
            cbe_number=CALLER.cbe_number,
            application_urns=(CALLER.application_urn,),
            legal_contexts=frozenset({GROUND}),
            inscription_contexts=frozenset(),
            operations=self.operations,
            valid_from=date(2020, 1, 1),
            volumes=self.volumes,
        )
        return AccessRules(version=1, access_rules=(rule,), permissions=(permission,))


def by_number(*ssins: str, customer: CustomerIdentification = KSZ, ground: str = GROUND) -> SearchPersonBySsin:
    """A search by number."""
    return SearchPersonBySsin(
        information_customer=InformationCustomer(customer_identification=customer),
        legal_context=LegalContext(ground),
        ssins=ssins,
    )


def by_name(last_name: str, *, ground: str = GROUND) -> SearchPersonPhonetically:
    """A search by name."""
    return SearchPersonPhonetically(
        information_customer=InformationCustomer(customer_identification=KSZ),
        legal_context=LegalContext(ground),
        criteria=PhoneticCriteria(last_name=last_name),
    )


@pytest.fixture
def persons() -> Persons:
    """The register."""
    return Persons()


def _operations(persons: Persons, *allowed: Operation) -> PersonOperations:
    return PersonOperations(
        access_rules=Rules(*allowed), volumes=VolumeMeter(log=Told()), register=persons, location="here"
    )


async def _answer(persons: Persons, request: Any) -> PersonsResult:
    result = await _operations(persons).perform(request, EXCHANGE)
    assert isinstance(result, PersonsResult)
    return result


async def test_each_number_has_its_own_answer(persons: Persons) -> None:
    """What is known and what is not stands beside its number, in the order asked."""
    result = await _answer(persons, by_number(UNKNOWN, KNOWN, UNKNOWN))
    assert (result.status.value, result.status.code) == ("DATA_FOUND", "MSG00000")
    assert [ssin.digits for ssin in result.ssins] == [UNKNOWN, KNOWN, UNKNOWN]
    assert result.chains == ((), (PERSON,), ())


async def test_an_absence_is_said_and_named(persons: Persons) -> None:
    """Rule 54: NO_DATA_FOUND, with the number of which no file is known."""
    result = await _answer(persons, by_number(UNKNOWN))
    assert (result.status.value, result.status.code) == ("NO_DATA_FOUND", "MSG00100")
    assert (result.ssins, result.chains) == ((Ssin.parse(UNKNOWN),), ((),))


async def test_names_find_persons_or_nobody(persons: Persons) -> None:
    """One chain of one file for each person found."""
    assert (await _answer(persons, by_name("Peeters"))).chains == ((PERSON,),)
    nobody = await _answer(persons, by_name("Maes"))
    assert (nobody.status.value, nobody.chains) == ("NO_DATA_FOUND", ())


async def test_rule_2_wrong_check_digits_refuse_the_whole_search(persons: Persons) -> None:
    """Rule 2, E2: MSG00011 names the number, and nothing is looked up."""
    result = await _answer(persons, by_number(KNOWN, WRONG))
    assert (result.status.value, result.status.code) == ("NO_RESULT", "MSG00011")
    assert [(item.field_name, item.field_value) for item in result.status.information] == [("ssin", WRONG)]
    assert persons.asked == 0


@pytest.mark.parametrize("request_", [by_number(KNOWN), by_number(UNKNOWN), by_name("Peeters")])
async def test_rule_54_a_store_that_is_away_says_nothing_of_persons(persons: Persons, request_: Any) -> None:
    """Rule 54, E19: CBI00901 without any result; what it was is noted for our log."""
    persons.is_away, EXCHANGE.trail.unanswered = True, None
    result = await _answer(persons, request_)
    assert EXCHANGE.trail.unanswered == "away"
    assert (result.status.value, result.status.code) == ("NO_RESULT", "CBI00901")
    assert (result.ssins, result.chains) == ((), ())


@pytest.mark.parametrize(
    "request_", [by_number(KNOWN, ground="OTHER:GROUND"), by_name("Peeters", ground="OTHER:GROUND")]
)
async def test_rule_48_a_legal_context_that_is_not_granted_finds_nothing(persons: Persons, request_: Any) -> None:
    """Rule 48, E13: MSG00013, and nothing is looked up."""
    result = await _answer(persons, request_)
    assert (result.status.value, result.status.code) == ("NO_RESULT", "MSG00013")
    assert persons.asked == 0


async def test_sec_56_each_operation_needs_its_access_rule(persons: Persons) -> None:
    """SEC-56, SEC-58: whoever may do one thing may not do another, nor speak for others."""
    operations = _operations(persons, Operation.SEARCH_PERSON_BY_SSIN)
    await operations.perform(by_number(KNOWN), EXCHANGE)
    for request in (
        by_name("Peeters"),
        HealthCheck(),
        by_number(KNOWN, customer=CustomerIdentification(cbe_number="9000000191")),
    ):
        with pytest.raises(NotAuthorized):
            await operations.perform(request, EXCHANGE)
    assert persons.asked == 1


async def test_the_door_has_no_inscriptions(persons: Persons) -> None:
    """A request of another door is against the WSDL (SEC-16)."""
    request = ConsultInscriptions(
        information_customer=InformationCustomer(customer_identification=KSZ), legal_context=GROUND, ssin=KNOWN
    )
    with pytest.raises(WsdlViolation):
        await _operations(persons).perform(request, EXCHANGE)


async def test_a_test_message_is_answered_by_the_door_alone(persons: Persons) -> None:
    """sendTestMessage looks nobody up."""
    result = await _operations(persons).perform(HealthCheck(type=HealthCheckType.PING), EXCHANGE)
    assert isinstance(result, HealthCheckResult)
    assert (result.health, result.checks, result.component) == (Health.OK, (), "PersonService")
    assert persons.asked == 0


# -- settings ----------------------------------------------------------------------------------------------------------

LEAST = """
environment = "TST"
public_url = "https://portal.example"
database = "dbname=x"
access_rules = "rules.yaml"
[tls]
certificate = "server.crt.pem"
private_key = "server.key.pem"
[trust]
application_authorities = "authorities.pem"
[audit]
keys = "audit-keys.toml"
"""
REMOTE = """
[national_register]
url = "https://register.example/PersonService/v1/person"
ca = "ca.pem"
certificate = "/absolute/ksz.crt.pem"
private_key = "ksz.key.pem"
legal_context = "REPERTORY:IDENTIFICATION"
customer_identification = { sector = 25, institution = 0 }
"""


def read(tmp_path: Path, text: str) -> Settings:
    """The settings that this text says."""
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return read_settings(file)


def test_a_facade_s_national_register_is_its_own_store_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    """Without the table, all files are in one store."""
    settings = read(tmp_path, LEAST)
    assert (settings.service, settings.service.door, settings.national_register) == (Service.FACADE, Door.FACADE, None)


def test_a_remote_national_register_has_short_times_by_default(tmp_path: Path) -> None:
    """2 seconds, a cache of 30 seconds and 10 000 numbers; paths are relative to the file."""
    register = read(tmp_path, LEAST + REMOTE).national_register
    assert register is not None
    assert (register.timeout_seconds, register.cache_seconds, register.cache_persons_max) == (2.0, 30.0, 10_000)
    assert (register.ca, register.certificate) == (str(tmp_path / "ca.pem"), "/absolute/ksz.crt.pem")
    assert register.customer_identification == CustomerIdentification(sector=25, institution=0)


def test_settings_say_which_service_they_are_for(tmp_path: Path) -> None:
    """The National Register's door is PersonService's, and it asks no other."""
    settings = read(tmp_path, f'service = "national-register"\n{LEAST}')
    assert (settings.service, settings.service.door) == (Service.NATIONAL_REGISTER, Door.PERSON)
    with pytest.raises(UsageError, match="asks no other"):
        read(tmp_path, f'service = "national-register"\n{LEAST}{REMOTE}')


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("https://register", "http://register", "https"),
        ("REPERTORY:IDENTIFICATION", "?", "national_register"),
        ("sector = 25, institution = 0", "sector = 25", "customer_identification"),
        ("[national_register]", "[national_register]\ntimeout_seconds = 0", "timeout_seconds"),
        ("[national_register]", "[national_register]\ntimeout_seconds = 15", "less time"),
        ("[national_register]", "[national_register]\ncache_seconds = -1", "cache_seconds"),
        ("[national_register]", "[national_register]\ncache_seconds = 301", "cache_seconds"),
        ("[national_register]", "[national_register]\ncache_persons_max = 0", "cache_persons_max"),
        ("[national_register]", "[national_register]\nretries = 3", "retries"),
        ('ca = "ca.pem"', "", "ca"),
        ('environment = "TST"', 'environment = "TST"\nservice = "register"', "service"),
    ],
)
def test_what_is_wrong_with_a_national_register_is_named(tmp_path: Path, old: str, new: str, word: str) -> None:
    """An unknown key, a missing one, a value out of range: one line that names the file and the key."""
    text = LEAST + REMOTE
    assert old in text
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path / 'settings.toml'}: ")
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_sec_57_searches_beyond_a_volume_are_refused(persons: Persons) -> None:
    """A search by number or name beyond the volume is CBI00202 before its numbers are read; health never (SEC-57)."""
    rules, told = Rules(), Told()
    rules.volumes = (AgreedVolume(window=VolumeWindow.DAY, limit=2),)
    operations = PersonOperations(access_rules=rules, volumes=VolumeMeter(log=told), register=persons, location="here")
    codes = []
    for request in (by_number(KNOWN), by_name("Peeters"), by_number(WRONG), by_name("Peeters")):
        result = await operations.perform(request, EXCHANGE)
        assert isinstance(result, PersonsResult)
        codes.append(result.status.code)
    assert codes == ["MSG00000", "MSG00000", "CBI00202", "CBI00202"]
    assert persons.asked == 2
    assert [one.level for one in told.reached] == [100]
    assert isinstance(await operations.perform(HealthCheck(), EXCHANGE), HealthCheckResult)
