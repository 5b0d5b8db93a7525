"""The published description, from its files and as served, with zeep as a foreign reader (contract.md section 1)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest
import zeep
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from zeep.transports import Transport
from zeep.wsdl.bindings.soap import Soap11Binding

from cbss_inscription import names
from cbss_inscription.contract.documents import PLAIN_WSDL_PATHS, POLICY_WSDL_PATHS, SCHEMA_PATHS, read_document
from cbss_inscription.contract.door import Door
from cbss_inscription.soap.wsdl import WsdlDocuments

FOLDER = Path(str(files("cbss_inscription.contract"))) / "wsdl"
BASE = "https://services.example.be:8443/prefix"
WSP = "http://schemas.xmlsoap.org/ws/2004/09/policy"
SP = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702"
INSCRIPTION_OPERATIONS = ("consultInscriptions", "insertInscription", "updateInscription", "deleteInscription")


@dataclass(frozen=True)
class Described:
    """What a description must say."""

    namespace: str
    service: str
    binding: str
    port_type: str
    action: str
    operations: tuple[str, ...]


DESCRIBED = {
    Door.FACADE: Described(
        namespace=names.FACADE,
        service="CBSSInscription",
        binding="CBSSInscriptionSOAPBinding",
        port_type="CBSSInscriptionPortType",
        action="http://socialsecurity.be/cbssinscription/v1/",
        operations=(*INSCRIPTION_OPERATIONS, "healthCheck"),
    ),
    Door.KSZ: Described(
        namespace=names.KSZ,
        service="InscriptionService",
        binding="InscriptionServiceHTTPBinding",
        port_type="InscriptionPortType",
        action="http://kszbcss.fgov.be/InscriptionService/",
        operations=(*INSCRIPTION_OPERATIONS, "sendTestMessage"),
    ),
    Door.PERSON: Described(
        namespace="http://kszbcss.fgov.be/intf/PersonService/v1",
        service="PersonService",
        binding="PersonServiceHTTPBinding",
        port_type="PersonPortType",
        action="http://kszbcss.fgov.be/PersonService/",
        operations=("searchPersonBySsin", "searchPersonPhonetically", "sendTestMessage"),
    ),
    Door.MUTATIONS: Described(
        namespace="urn:cbss-inscription:mutations:v1",
        service="InscriptionMutations",
        binding="InscriptionMutationsSOAPBinding",
        port_type="InscriptionMutationsPortType",
        action="urn:cbss-inscription:mutations:v1/",
        operations=("consultMutations",),
    ),
}
KSZ_STYLE = {Door.KSZ, Door.PERSON}
"""Doors with KSZ's names and faults, and without a policy variant."""


class _Served(Transport):
    """Loads only what a door serves, and remembers it; everything else would be the network."""

    def __init__(self, documents: WsdlDocuments) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # zeep is untyped
        self.documents = documents
        self.loaded: list[str] = []

    def load(self, url: str) -> bytes:
        endpoint, _, query = url.partition("?")
        assert endpoint == self.documents.endpoint, f"{url} is another place"
        found = self.documents.get(query)
        assert found is not None, f"{url} is not served"
        self.loaded.append(query)
        return found[0]


class _Files(Transport):
    """Loads only the packaged files."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # zeep is untyped

    def load(self, url: str) -> bytes:
        assert Path(url).is_relative_to(FOLDER), f"{url} is another place"
        return Path(url).read_bytes()


def _client(location: str, transport: Transport) -> zeep.Client:
    return zeep.Client(location, transport=transport)  # type: ignore[no-untyped-call]  # zeep is untyped


def _assert_as_in_the_contract(client: zeep.Client, door: Door) -> None:
    described = DESCRIBED[door]
    namespace = described.namespace
    (service,) = client.wsdl.services.values()
    (port,) = service.ports.values()
    assert service.name == described.service
    assert port.binding.name.text == names.qname(namespace, described.binding)
    assert port.binding.port_type.name.text == names.qname(namespace, described.port_type)
    assert isinstance(port.binding, Soap11Binding)
    operations = port.binding.all()  # type: ignore[no-untyped-call]  # zeep is untyped
    assert set(operations) == set(described.operations)
    for name, operation in operations.items():
        assert operation.style == "document"
        upper = name[0].upper() + name[1:]
        if name == "healthCheck":
            request, response, faults = names.HEALTH_CHECK_REQUEST, names.HEALTH_CHECK_RESPONSE, {"SystemError"}
        elif door in KSZ_STYLE:
            request, response = names.qname(namespace, f"{name}Request"), names.qname(namespace, f"{name}Response")
            faults = {f"{name}Fault"}
        else:
            request, response = names.qname(namespace, f"{upper}Request"), names.qname(namespace, f"{upper}Response")
            faults = {"SystemError", "BusinessError"}
        assert operation.input.body.qname.text == request
        assert operation.output.body.qname.text == response
        assert set(operation.faults) == faults
        assert operation.soapaction == described.action + name


@pytest.mark.parametrize("path", SCHEMA_PATHS.values())
def test_every_schema_compiles_alone(path: str) -> None:
    """Each schema file compiles from its folder, with the imports that it names."""
    etree.XMLSchema(etree.parse(FOLDER / path))


@pytest.mark.parametrize("path", SCHEMA_PATHS.values())
def test_schemas_import_each_other_and_nothing_else(path: str) -> None:
    """Where a schema imports from is a file of the tables, beside it: compiling opens no other, and no connection."""
    for imported in etree.parse(FOLDER / path).iter(
        names.qname(names.XSD, "import"), names.qname(names.XSD, "include")
    ):
        place = (FOLDER / path).parent / imported.get("schemaLocation", "")
        assert str(place.resolve().relative_to(FOLDER.resolve())) in SCHEMA_PATHS.values()


def test_every_contract_file_is_in_the_tables() -> None:
    """No schema or description lies in the folder that the program does not know, and each has a unique name."""
    known = {*SCHEMA_PATHS.values(), *PLAIN_WSDL_PATHS.values(), *POLICY_WSDL_PATHS.values()}
    assert {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.*sd*")} == known
    assert all(path.endswith(f"/{name}") for name, path in SCHEMA_PATHS.items())


def test_every_namespace_and_schema_has_its_provenance() -> None:
    """PROVENANCE.md names every namespace that the files define, and every type of ours."""
    provenance = (FOLDER / "PROVENANCE.md").read_text(encoding="utf-8")
    for path in SCHEMA_PATHS.values():
        namespace = etree.fromstring(read_document(path)).get("targetNamespace", "")
        assert namespace == names.XML or f"`{namespace}`" in provenance


@pytest.mark.parametrize("door", list(Door))
@pytest.mark.parametrize("paths", [PLAIN_WSDL_PATHS, POLICY_WSDL_PATHS], ids=["plain", "policy"])
def test_zeep_reads_the_files(door: Door, paths: dict[Door, str]) -> None:
    """A foreign reader finds in the files the operations, bindings, actions and faults of the contract's table."""
    if door in paths:
        _assert_as_in_the_contract(_client(str(FOLDER / paths[door]), _Files()), door)


@pytest.mark.parametrize(
    ("door", "query"),
    [
        (door, query)
        for door in Door
        for query in ("wsdl", "WSDL", "wsdl=x509")
        if door not in KSZ_STYLE or query != "wsdl=x509"
    ],
)
def test_zeep_reads_what_is_served_and_fetches_no_more(door: Door, query: str) -> None:
    """From `?wsdl` a foreign reader reaches every schema of the door, each by a `?xsd` of the public base URL."""
    documents = WsdlDocuments(door, public_url=BASE)
    transport = _Served(documents)
    client = _client(f"{documents.endpoint}?{query}", transport)
    _assert_as_in_the_contract(client, door)
    (port,) = next(iter(client.wsdl.services.values())).ports.values()
    assert port.binding_options["address"] == BASE + door.path
    served = {query for query in documents.queries if query.startswith("xsd=")}
    assert {query.lower() for query in transport.loaded if query.startswith("xsd=")} == served


@pytest.mark.parametrize(
    ("door", "query"),
    [(door, "singleWsdl") for door in Door] + [(door, "singlewsdl=x509") for door in Door if door not in KSZ_STYLE],
)
def test_zeep_reads_the_single_file_and_fetches_nothing(door: Door, query: str) -> None:
    """`?singleWsdl` holds everything: not one more document is asked for, and none is pointed at."""
    documents = WsdlDocuments(door, public_url=BASE)
    transport = _Served(documents)
    _assert_as_in_the_contract(_client(f"{documents.endpoint}?{query}", transport), door)
    assert transport.loaded == [query]
    found = documents.get(query)
    assert found is not None
    assert b"schemaLocation" not in found[0]


@pytest.mark.parametrize("door", list(Door))
def test_the_schemas_of_the_single_file_are_whole(
    door: Door, messages: dict[Door, dict[str, str]], tmp_path: Path
) -> None:
    """The schemas taken out of `?singleWsdl` judge every full message as the packaged ones do."""
    found = WsdlDocuments(door, public_url=BASE).get("singleWsdl")
    assert found is not None
    types = etree.fromstring(found[0]).find(names.qname(names.WSDL, "types"))
    assert types is not None
    locations: dict[str, str] = {}
    for number, schema in enumerate(types):
        locations[schema.get("targetNamespace", "")] = f"{number}.xsd"
    for schema in types:
        for imported in schema.iter(names.qname(names.XSD, "import")):
            imported.set("schemaLocation", locations[imported.get("namespace", "")])
        (tmp_path / locations[schema.get("targetNamespace", "")]).write_bytes(etree.tostring(schema))
    compiled = {space: etree.XMLSchema(etree.parse(tmp_path / name)) for space, name in locations.items()}
    for text in messages[door].values():
        element = etree.fromstring(text)
        compiled[etree.QName(element).namespace or ""].assertValid(element)


def _tree(element: etree._Element) -> tuple[object, ...]:
    return (etree.QName(element).localname, *(_tree(child) for child in element if isinstance(child.tag, str)))


@pytest.mark.parametrize("door", POLICY_WSDL_PATHS)
def test_sec_66_the_policy_is_that_of_rsz(door: Door) -> None:
    """Asymmetric binding: token to the recipient and signed, timestamp, lax, whole Body (security.md 1.1)."""
    root = etree.fromstring(read_document(POLICY_WSDL_PATHS[door]))
    (policy,) = root.findall(names.qname(WSP, "Policy"))
    assert policy.get(names.WSU_ID) == "X509_SHA256"
    token = ("Policy", ("X509Token", ("Policy", ("WssX509V3Token10",))))
    assert _tree(policy) == (
        "Policy",
        (
            "AsymmetricBinding",
            (
                "Policy",
                ("InitiatorToken", token),
                ("RecipientToken", token),
                ("AlgorithmSuite", ("Policy", ("Basic256Sha256",))),
                ("Layout", ("Policy", ("Lax",))),
                ("IncludeTimestamp",),
                ("ProtectTokens",),
                ("OnlySignEntireHeadersAndBody",),
            ),
        ),
        ("Wss10", ("Policy", ("MustSupportRefKeyIdentifier",), ("MustSupportRefIssuerSerial",))),
        ("SignedParts", ("Body",)),
    )
    included = [token.get(names.qname(SP, "IncludeToken"), "") for token in policy.iter(names.qname(SP, "X509Token"))]
    assert included == [f"{SP}/IncludeToken/AlwaysToRecipient", f"{SP}/IncludeToken/Never"]
    assert {etree.QName(element).namespace for element in policy.iter()} == {WSP, SP}


@pytest.mark.parametrize("door", POLICY_WSDL_PATHS)
def test_sec_66_the_policy_stands_on_every_input_and_nowhere_else(door: Door) -> None:
    """Every operation's input refers to the policy; outputs and faults have none, so that responses stay unsigned."""
    root = etree.fromstring(read_document(POLICY_WSDL_PATHS[door]))
    references = list(root.iter(names.qname(WSP, "PolicyReference")))
    assert {reference.get("URI") for reference in references} == {"#X509_SHA256"}
    binding = root.find(names.qname(names.WSDL, "binding"))
    assert binding is not None
    assert [reference.getparent() for reference in references] == list(binding.iter(names.qname(names.WSDL, "input")))
    assert len(references) == len(DESCRIBED[door].operations)


def _canonical(root: etree._Element) -> str:
    return etree.canonicalize(etree.tostring(root, encoding="unicode"), strip_text=True, rewrite_prefixes=True)


@pytest.mark.parametrize("door", POLICY_WSDL_PATHS)
def test_sec_66_the_policy_variant_differs_by_the_policy_alone(door: Door) -> None:
    """Without policy and references, the file with policy is the file without."""
    plain = etree.fromstring(read_document(PLAIN_WSDL_PATHS[door]))
    variant = etree.fromstring(read_document(POLICY_WSDL_PATHS[door]))
    assert _canonical(plain) != _canonical(variant)
    assert not list(plain.iter(names.qname(WSP, "*")))
    for element in list(variant.iter(names.qname(WSP, "PolicyReference"), names.qname(WSP, "Policy"))):
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)
    assert _canonical(plain) == _canonical(variant)


@pytest.mark.parametrize("door", list(Door))
def test_every_document_is_xml_of_this_door_s_address(door: Door) -> None:
    """Each served document is well-formed UTF-8 XML that points at the public base URL and nowhere else."""
    documents = WsdlDocuments(door, public_url=f"{BASE}/")
    assert documents.endpoint == BASE + door.path
    for query in documents.queries:
        found = documents.get(query)
        assert found is not None
        body, content_type = found
        assert content_type == "text/xml; charset=utf-8"
        root = etree.parse(io.BytesIO(body)).getroot()
        assert b"REPLACE_WITH" not in body
        for imported in root.iter(names.qname(names.XSD, "import")):
            location = imported.get("schemaLocation")
            assert location is None or documents.get(location.removeprefix(f"{documents.endpoint}?")) is not None
        for address in root.iter(names.qname(names.WSDL_SOAP, "address")):
            assert address.get("location") == documents.endpoint


@pytest.mark.parametrize(
    "query",
    [
        "",
        "wsdl2",
        "wsdl=x510",
        "wsdl=x509&x=1",
        "xsd=",
        "xsd",
        "xsd=../CommonV3.xsd",
        "xsd=..%2f..%2fnames.py",
        "xsd=be/fgov/kszbcss/types/common/CommonV3.xsd",
        "xsd=/etc/passwd",
        "xsd=CommonV3.xsd\0",
        "xsd=PROVENANCE.md",
        "xsd=CBSSInscription_v1.wsdl",
        "xsd=file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("door", list(Door))
def test_what_is_not_in_the_table_is_not_served(door: Door, query: str) -> None:
    """Paths, traversals, other files and unknown words get nothing (404)."""
    assert WsdlDocuments(door, public_url=BASE).get(query) is None


def test_the_ksz_door_publishes_no_policy() -> None:
    """The KSZ door's security is pluggable, so that it has no policy variant and none of the façade's schemas."""
    documents = WsdlDocuments(Door.KSZ, public_url=BASE)
    for query in ("wsdl=x509", "singleWsdl=x509", "xsd=CBSSInscription_v1.xsd", "xsd=monitoring-v1.xsd"):
        assert documents.get(query) is None


@pytest.mark.parametrize("door", list(Door))
def test_a_served_description_says_that_it_is_reconstructed(door: Door) -> None:
    """Who reads a served WSDL cannot take its names for the owner's published ones."""
    documents = WsdlDocuments(door, public_url=BASE)
    for query in documents.queries:
        if "wsdl" in query:
            found = documents.get(query)
            assert found is not None
            assert "reconstructed" in etree.fromstring(found[0]).findtext(names.qname(names.WSDL, "documentation"), "")


FACADE_DOCUMENTS = WsdlDocuments(Door.FACADE, public_url=BASE)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=80), st.text(max_size=40).map(lambda text: f"xsd={text}")))
def test_no_query_makes_the_table_stumble(query: str) -> None:
    """Any query has a document of the table or none."""
    found = FACADE_DOCUMENTS.get(query)
    assert (found is not None) == (query.lower().removesuffix("=") in FACADE_DOCUMENTS.queries)
