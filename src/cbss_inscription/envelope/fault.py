"""The façade's faults: SOAP 1.1 with RSZ's SystemError (security.md 1.2, SEC-61 to SEC-65)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from lxml import etree

from cbss_inscription import names
from cbss_inscription.domain.environment import Environment
from cbss_inscription.domain.errors import CbssInscriptionError, MessageRejected, ServiceUnavailable
from cbss_inscription.domain.outcome_codes import CATALOGUE, LANGUAGES, OutcomeCode

_ENVIRONMENTS: Final[dict[str, str]] = {
    Environment.PRD: "Production",
    Environment.SIM: "Simulation",
    Environment.ACC: "Acceptation",
    Environment.INT: "Integration",
    Environment.TST: "Test",
}
"""RSZ's word in a fault for the environment of a certificate; every other environment is `Development`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a caller is told when its message could not be processed: a code, whose fault it is, and a ticket."""

    fault_code: str
    code: OutcomeCode
    retry: bool
    ticket: UUID
    environment: str
    contact: str | None = None

    @classmethod
    def of(
        cls, error: CbssInscriptionError | None, *, ticket: UUID, environment: str, contact: str | None = None
    ) -> Fault:
        """The fault that `error` becomes; None is a defect of ours: SOA-00001. Its reason stays in our log."""
        match error:
            case MessageRejected():
                fault_code, code, retry = error.fault_code, OutcomeCode(error.code), False
            case ServiceUnavailable():
                fault_code, code, retry = error.fault_code, OutcomeCode(error.code), error.retry
            case _:
                fault_code, code, retry = "Server", OutcomeCode.SERVICE_ERROR, False
        return cls(
            fault_code=fault_code, code=code, retry=retry, ticket=ticket, environment=environment, contact=contact
        )

    @property
    def element(self) -> etree._Element:
        """The soapenv:Fault, its detail valid against errors/v1; nothing of the message is in it (SEC-61)."""
        fault = etree.Element(names.SOAP_FAULT, nsmap={"soapenv": names.SOAP11})
        etree.SubElement(fault, "faultcode").text = f"soapenv:{self.fault_code}"
        etree.SubElement(fault, "faultstring").text = self.code.value
        detail = etree.SubElement(fault, "detail")
        error = etree.SubElement(detail, names.SYSTEM_ERROR, nsmap={"err": names.ERRORS}, Id=str(self.ticket))
        _add(error, "Origin", "Provider" if self.fault_code == "Server" else "Consumer")
        _add(error, "Code", self.code.value)
        for language in LANGUAGES:
            message = _add(error, "Message", CATALOGUE[self.code].texts[language])
            message.set(names.qname(names.XML, "lang"), language)
        if self.fault_code == "Server":
            _add(error, "Retry", "true" if self.retry else "false")
        if self.contact is not None:
            _add(error, "Contact", self.contact)
        _add(error, "Environment", _ENVIRONMENTS.get(self.environment, "Development"))
        return fault


def _add(parent: etree._Element, local_name: str, text: str) -> etree._Element:
    child = etree.SubElement(parent, names.qname(names.ERRORS, local_name))
    child.text = text
    return child
