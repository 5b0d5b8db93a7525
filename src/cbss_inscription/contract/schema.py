"""Whether an element is valid against the contract of a door; a refusal names element and rule, never a value."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import Final, ParamSpec, TypeVar, cast

from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names
from cbss_inscription.contract.documents import BATCH_SCHEMAS, DOOR_SCHEMAS, SCHEMA_PATHS, address_of, read_document
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import SchemaViolation, WsdlViolation
from cbss_inscription.domain.requests import Operation

_Asked = ParamSpec("_Asked")
_Compiled = TypeVar("_Compiled")

PATHS_MAX: Final = 10
"""Places that a SchemaViolation names; the rest of a badly wrong message tells nothing more."""
_INDEX: Final = re.compile(r"\[[0-9]+\]$")
_RULES: Final = {
    "SCHEMAV_CVC_ELT_1": "root",
    "SCHEMAV_ELEMENT_CONTENT": "content",
    "SCHEMAV_CVC_COMPLEX_TYPE_2_3": "text-between-elements",
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1": "attribute",
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_2": "attribute",
    "SCHEMAV_CVC_COMPLEX_TYPE_4": "attribute-missing",
    "SCHEMAV_CVC_TYPE_3_1_1": "attribute",
    "SCHEMAV_CVC_TYPE_3_1_2": "content",
    "SCHEMAV_CVC_DATATYPE_VALID_1_2_1": "datatype",
    "SCHEMAV_CVC_LENGTH_VALID": "length",
    "SCHEMAV_CVC_MINLENGTH_VALID": "minLength",
    "SCHEMAV_CVC_MAXLENGTH_VALID": "maxLength",
    "SCHEMAV_CVC_MININCLUSIVE_VALID": "minInclusive",
    "SCHEMAV_CVC_MAXINCLUSIVE_VALID": "maxInclusive",
    "SCHEMAV_CVC_TOTALDIGITS_VALID": "totalDigits",
    "SCHEMAV_CVC_PATTERN_VALID": "pattern",
    "SCHEMAV_CVC_ENUMERATION_VALID": "enumeration",
}


_COMPILING: Final = threading.Lock()


def compiled_once(compile_: Callable[_Asked, _Compiled]) -> Callable[_Asked, _Compiled]:
    """The function, which gives what it compiled for the same arguments before; threads may ask it at once.

    One schema is compiled at a time: libxml2 sets up tables of its own, for all of them, beside the first.
    """
    kept = cast("Callable[_Asked, _Compiled]", cache(compile_))  # the stubs know no parameters of what is cached

    @wraps(compile_)
    def asked(*arguments: _Asked.args, **named: _Asked.kwargs) -> _Compiled:
        with _COMPILING:
            return kept(*arguments, **named)

    return asked


class _CompiledSchema:
    """Packaged schemas compiled as one; safe to use from several threads.

    Compiling costs as much as a thousand validations, so it is done once a process.
    """

    def __init__(self, schema_names: tuple[str, ...]) -> None:
        self._compiled = etree.XMLSchema(_driver(schema_names))
        self._names = frozenset(
            name
            for path in SCHEMA_PATHS.values()
            for element in etree.fromstring(read_document(path)).iter(names.qname(names.XSD, "element"))
            if (name := element.get("name")) is not None
        )
        # lxml keeps one error log for each XMLSchema: without the lock a thread could read another's errors.
        self._lock = threading.Lock()

    def check(self, element: _Element, reason: str) -> None:
        """Returns when `element` is valid. Raises `SchemaViolation` with that reason and `paths`."""
        with self._lock:
            if self._compiled.validate(element):
                return
            # Only path and type: libxml2's messages quote the offending values.
            found = [(entry.path, entry.type_name) for entry in self._compiled.error_log]
        paths = dict.fromkeys(f"{self._known(path)}: {_RULES.get(rule, rule)}" for path, rule in found)
        raise SchemaViolation(reason, tuple(paths)[:PATHS_MAX])

    def _known(self, path: str | None) -> str:
        # A sender can choose element names and prefixes too, so that only names of the contract are repeated.
        steps = (_INDEX.sub("", step).rpartition(":")[2] for step in (path or "/*").split("/")[1:])
        return "/".join(step if step in self._names else "*" for step in steps)


class Schema:
    """The compiled schema of one door; safe to use from several threads. See `schema_of`."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self._compiled = _CompiledSchema(DOOR_SCHEMAS[door])
        self._requests = door.requests
        self._responses = frozenset(map(door.response_element, door.requests.values()))
        self._faults = frozenset(
            map(door.fault_element, door.requests.values())
            if door.has_ksz_faults
            else {names.SYSTEM_ERROR, names.BUSINESS_ERROR}
        )

    def operation_of(self, element: _Element) -> Operation:
        """The operation that a Body's element asks for, by its name alone (SEC-16).

        Raises `WsdlViolation` when it is no request of this door.
        """
        operation = self._requests.get(str(element.tag))
        if operation is None:
            raise WsdlViolation("operation")
        return operation

    def validate(self, element: _Element) -> None:
        """Returns when `element` is a valid request of this door.

        Raises `WsdlViolation` when it is no request of this door, and `SchemaViolation` with `paths` such as
        `ConsultInscriptionsRequest/criteria/ssin: pattern`: element names of the contract and the rule, `*` for a name
        that the contract does not know; never a value (SEC-74).
        """
        self.operation_of(element)
        self._compiled.check(element, "schema")

    def validate_response(self, element: _Element) -> None:
        """Returns when `element` is a valid response of this door.

        Raises `SchemaViolation` with the reason `response-schema`: for a client, the service's fault.
        """
        if element.tag not in self._responses:
            raise SchemaViolation("response-schema", ("*: root",))
        self._compiled.check(element, "response-schema")

    def validate_fault(self, element: _Element) -> None:
        """Returns when `element` is a valid detail of this door's faults; raises `SchemaViolation` (`fault-schema`)."""
        if element.tag not in self._faults:
            raise SchemaViolation("fault-schema", ("*: root",))
        self._compiled.check(element, "fault-schema")


@compiled_once
def schema_of(door: Door) -> Schema:
    """The schema of `door`, compiled once a process."""
    return Schema(door)


class BatchSchema:
    """The compiled schema of batches; safe to use from several threads. See `batch_schema`."""

    def __init__(self) -> None:
        self._compiled = _CompiledSchema(BATCH_SCHEMAS)

    def validate(self, element: _Element, root: str) -> None:
        """Returns when `element` is a valid `root` (Clark notation). Raises `SchemaViolation`, as `Schema.validate`."""
        if element.tag != root:
            raise SchemaViolation("schema", ("*: root",))
        self._compiled.check(element, "schema")


@compiled_once
def batch_schema() -> BatchSchema:
    """The schema of batches, compiled once a process."""
    return BatchSchema()


def _driver(schema_names: tuple[str, ...]) -> _Element:
    """A schema that imports these from their files, which import the rest from beside them, and nothing else.

    By the files' own addresses and not through a resolver of lxml's: that is undone for the whole process when another
    thread, of an application that uses the client, comes to the end of whatever XML it reads.
    """
    # Ours, not foreign: the packaged files do not pass through safe_xml, whose limits are for messages.
    parser = etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False)
    root = etree.fromstring(f'<xsd:schema xmlns:xsd="{names.XSD}"/>', parser)
    for name in schema_names:
        path = SCHEMA_PATHS[name]
        target = etree.fromstring(read_document(path)).get("targetNamespace", "")
        place = {"namespace": target, "schemaLocation": address_of(path)}
        etree.SubElement(root, names.qname(names.XSD, "import"), place)
    return root
