"""The faults of KSZ's doors: one sentence, and CBSSFaultType in the detail (contract.md section 4)."""

from __future__ import annotations

from typing import Final

from lxml.etree import Element, SubElement, _Element

from cbss_inscription import names
from cbss_inscription.contract.common_v3 import write_information_cbss, write_message, write_text
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.customer import InformationCbss
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.requests import Operation
from cbss_inscription.envelope.fault import Fault

FAULT_STRING: Final = "An error occurred while servicing your request."
"""KSZ's words for every failure [A]."""


def write_ksz_fault(
    fault: Fault, *, door: Door, operation: Operation | None, information_cbss: InformationCbss
) -> _Element:
    """The soapenv:Fault; its detail is the door's `<operation>Fault`, valid against its schema.

    There is no detail while the operation is unknown: a message that was not believed has none. A failure of ours is
    MSG00003 [A]; a rejected message bears the same code as at the façade [D].
    """
    root = Element(names.SOAP_FAULT, nsmap={"soapenv": names.SOAP11})
    write_text(root, "faultcode", f"soapenv:{fault.fault_code}")
    write_text(root, "faultstring", FAULT_STRING)
    if operation is not None:
        detail = SubElement(SubElement(root, "detail"), door.fault_element(operation))
        write_information_cbss(detail, information_cbss)
        code = OutcomeCode.INTERNAL_ERROR if fault.fault_code == "Server" else fault.code
        # The catalogue's author is a door to inscriptions.
        write_message(detail, "detail", code, author_code=door.service_name if door is Door.PERSON else None)
    return root
