"""The platform's environments against the schemas that name them."""

from __future__ import annotations

from uuid import UUID

import pytest
from lxml import etree

from cbss_inscription import names
from cbss_inscription.contract.documents import SCHEMA_PATHS, read_document
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.domain.environment import Environment
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.envelope.fault import Fault


def test_the_environments_are_those_of_the_monitoring_schema() -> None:
    """A health check can name every environment, and there is no other (monitoring/v1)."""
    schema = etree.fromstring(read_document(SCHEMA_PATHS["monitoring-v1.xsd"]))
    kind = schema.find(f"{{{names.XSD}}}simpleType[@name='Environment']")
    assert kind is not None
    assert {word.get("value") for word in kind.iter(f"{{{names.XSD}}}enumeration")} == set(Environment)


@pytest.mark.parametrize("environment", Environment)
def test_a_fault_of_every_environment_is_valid(environment: Environment) -> None:
    """errors/v1 has its own words for the environments; each of ours has one of them (SEC-61)."""
    fault = Fault.of(None, ticket=UUID(int=1), environment=environment)
    detail = fault.element.find(f"detail/{names.SYSTEM_ERROR}")
    assert detail is not None
    schema_of(Door.FACADE).validate_fault(detail)


@pytest.mark.parametrize("text", ["", "acc", "Production", "PRD "])
def test_another_environment_is_refused_by_naming_all(text: str) -> None:
    """A setting that is none of them is a UsageError with the words that are."""
    with pytest.raises(UsageError, match="PRD, SIM, ACC, INT, TST, DEV, SIC, LOCAL, OTHER"):
        Environment.of(text)
