"""The description that a door serves: prepared once from the packaged files, then looked up (contract.md section 1).

Most workers are never asked for it, so that it is prepared for the first who asks.

`?wsdl`, `?wsdl=x509` (with RSZ's policy, façade only), `?xsd=<name>`, and `?singleWsdl` with everything in one file for
gateways that cannot follow imports [D]; `?singleWsdl=x509` is the same with the policy [D].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names
from cbss_inscription.contract.documents import (
    DOOR_SCHEMAS,
    PLAIN_WSDL_PATHS,
    POLICY_WSDL_PATHS,
    SCHEMA_PATHS,
    read_document,
)
from cbss_inscription.contract.door import Door

CONTENT_TYPE: Final = "text/xml; charset=utf-8"
"""The media type of every description."""

_IMPORT: Final = names.qname(names.XSD, "import")
_ATTRIBUTE: Final = names.qname(names.XSD, "attribute")
_ANY_ATTRIBUTE: Final = names.qname(names.XSD, "anyAttribute")
_TYPES: Final = names.qname(names.WSDL, "types")
_ADDRESS: Final = names.qname(names.WSDL_SOAP, "address")


class WsdlDocuments:
    """Every description of one door, as bytes, by its query string."""

    def __init__(self, door: Door, *, public_url: str, is_signed: bool = True) -> None:
        """`public_url` is the base before the door's path, such as `https://host:8443`.

        Where requests are not signed (`is_signed`), no variant says that they are.
        """
        self.endpoint: Final = public_url.rstrip("/") + door.path
        self._door = door
        self._is_signed = is_signed

    def get(self, query_string: str) -> tuple[bytes, str] | None:
        """The description asked for and its media type, or None where there is none (404).

        Clients write `?wsdl`, `?WSDL` and `?singlewsdl`, so that letter case does not count. What is asked for is only
        compared with a fixed table: no file is opened by a caller's words.
        """
        document = self._documents.get(query_string.lower().removesuffix("="))
        return None if document is None else (document, CONTENT_TYPE)

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries that have an answer, in lower case."""
        return tuple(self._documents)

    @cached_property
    def _documents(self) -> Mapping[str, bytes]:
        documents = _documents(self._door, self.endpoint, is_signed=self._is_signed)
        return MappingProxyType({query.lower(): document for query, document in documents})


def _documents(door: Door, endpoint: str, *, is_signed: bool) -> Iterator[tuple[str, bytes]]:
    schemas = _schemas_of(door)
    for name in schemas:
        yield f"xsd={name}", _served(_parsed(SCHEMA_PATHS[name]), endpoint)
    for suffix, paths in (("", PLAIN_WSDL_PATHS), *([("=x509", POLICY_WSDL_PATHS)] if is_signed else [])):
        if door in paths:
            yield f"wsdl{suffix}", _served(_parsed(paths[door]), endpoint)
            yield f"singleWsdl{suffix}", _single(_parsed(paths[door]), schemas, endpoint)


def _schemas_of(door: Door) -> tuple[str, ...]:
    """The names of the schemas that a door's description reaches, each after those that it imports."""
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        for imported in _parsed(SCHEMA_PATHS[name]).iter(_IMPORT):
            visit(_name_of(imported))
        found.setdefault(name)

    for name in DOOR_SCHEMAS[door]:
        visit(name)
    return tuple(found)


def _served(root: _Element, endpoint: str) -> bytes:
    for imported in root.iter(_IMPORT):
        imported.set("schemaLocation", f"{endpoint}?xsd={_name_of(imported)}")
    return _addressed(root, endpoint)


def _single(root: _Element, schemas: tuple[str, ...], endpoint: str) -> bytes:
    types = root.find(_TYPES)
    if types is None:
        raise ValueError("a packaged WSDL has types")
    types.clear(keep_tail=True)
    for name in schemas:
        schema = _parsed(SCHEMA_PATHS[name])
        if schema.get("targetNamespace") == names.XML:
            continue
        _free_of_xml_schema(schema)
        for imported in schema.iter(_IMPORT):
            del imported.attrib["schemaLocation"]
        types.append(schema)
    return _addressed(root, endpoint)


def _free_of_xml_schema(schema: _Element) -> None:
    """Makes `xml:lang` known without the schema of the XML namespace.

    Some readers, zeep for one, fetch that schema from the web even when it is inlined, and a gateway that takes one
    file cannot. The wildcard admits the same messages.
    """
    for imported in [found for found in schema.iter(_IMPORT) if found.get("namespace") == names.XML]:
        schema.remove(imported)
    for attribute in [found for found in schema.iter(_ATTRIBUTE) if found.get("ref") == "xml:lang"]:
        parent = attribute.getparent()
        if parent is not None:
            wildcard = etree.Element(_ANY_ATTRIBUTE, {"namespace": names.XML, "processContents": "lax"})
            parent.replace(attribute, wildcard)


def _addressed(root: _Element, endpoint: str) -> bytes:
    for address in root.iter(_ADDRESS):
        address.set("location", endpoint)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def _name_of(imported: _Element) -> str:
    return imported.get("schemaLocation", "").rpartition("/")[2]


def _parsed(path: str) -> _Element:
    # Ours, not foreign, and without the comments that speak to readers of the packaged files.
    parser = etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False, remove_comments=True)
    return etree.fromstring(read_document(path), parser)
