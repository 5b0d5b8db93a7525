"""The faults of KSZ's doors: one sentence, and CBSSFaultType in the detail (contract.md section 4)."""

from __future__ import annotations

from typing import Final

from lxml.etree import Element, SubElement, _Element

from cbss_inscription import names
from cbss_inscription.contract.common_v3 import write_information_cbss, write_message, write_text
from cbss_inscription.domain.customer import InformationCbss
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.envelope.fault import Fault

FAULT_STRING: Final = "An error occurred while servicing your request."
"""KSZ's words for every failure [A]."""
_AUTHOR_OF_PERSONS: Final = "PersonService"


def write_ksz_fault(fault: Fault, *, fault_element: str | None, information_cbss: InformationCbss) -> _Element:
    """The soapenv:Fault; its detail is `fault_element`, `<operation>Fault`, valid against the door's schema.

    There is no detail while the operation is unknown: a message that was not believed has none. A failure of ours is
    MSG00003 [A]; a rejected message bears the same code as at the façade [D].
    """
    root = Element(names.SOAP_FAULT, nsmap={"soapenv": names.SOAP11})
    write_text(root, "faultcode", f"soapenv:{fault.fault_code}")
    write_text(root, "faultstring", FAULT_STRING)
    if fault_element is not None:
        detail = SubElement(SubElement(root, "detail"), fault_element)
        write_information_cbss(detail, information_cbss)
        code = OutcomeCode.INTERNAL_ERROR if fault.fault_code == "Server" else fault.code
        write_message(detail, "detail", code, author_code=_AUTHOR_OF_PERSONS if _is_of_persons(fault_element) else None)
    return root


def _is_of_persons(fault_element: str) -> bool:
    return fault_element.startswith(names.qname(names.PERSON, ""))
