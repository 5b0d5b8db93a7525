"""What the schema lets pass and refuses, and what a refusal may tell (contract.md sections 2 and 3)."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from cbss_inscription.contract.door import Door
from cbss_inscription.contract.schema import PATHS_MAX, Schema, schema_of
from cbss_inscription.domain.errors import SchemaViolation, WsdlViolation

COMMON = files("cbss_inscription.contract") / "wsdl/be/fgov/kszbcss/types/common/CommonV3.xsd"
CANARY = "85073003328"


def _check(schema: Schema, element: etree._Element) -> None:
    name = etree.QName(element).localname
    if name.endswith("Request"):
        schema.validate(element)
    elif name.endswith("Response"):
        schema.validate_response(element)
    else:
        schema.validate_fault(element)


def _is_valid(schema: Schema, element: etree._Element) -> bool:
    try:
        _check(schema, element)
    except SchemaViolation:
        return False
    return True


@pytest.mark.parametrize("door", list(Door))
def test_a_full_message_of_every_kind_is_valid(door: Door, messages: dict[Door, dict[str, str]]) -> None:
    """Each message with everything it can hold, in the order of the contract, is valid at its door."""
    for text in messages[door].values():
        _check(schema_of(door), etree.fromstring(text))


@pytest.mark.parametrize("door", list(Door))
def test_the_order_of_elements_counts_everywhere(door: Door, messages: dict[Door, dict[str, str]]) -> None:
    """Two neighbours with different names never may change places, at any depth of any message."""
    swaps = 0
    for text in messages[door].values():
        places = [
            (parent, index)
            for parent, element in enumerate(etree.fromstring(text).iter())
            for index, (one, other) in enumerate(pairwise(element))
            if one.tag != other.tag
        ]
        for parent, index in places:
            changed = etree.fromstring(text)
            element = list(changed.iter())[parent]
            element.insert(index, element[index + 1])
            assert not _is_valid(schema_of(door), changed)
            swaps += 1
    assert swaps > 5 * len(messages[door])


OPERATION = re.compile(r"^(?:consult|insert|update|delete|search)[a-z]+?(Request|Response|Fault)/", re.IGNORECASE)
OPTIONAL_EVERYWHERE = {
    "informationCustomer/ticket",
    "informationCustomer/timestampSent",
    "Request/informationCBSS",
    "status/description",
    "status/information",
    "information/fieldValue",
}
OPTIONAL_OF_INSCRIPTIONS = OPTIONAL_EVERYWHERE | {
    "criteria/period",
    "criteria/next",
    "period/endDate",
    "period/beginDate",  # of a deletion
    "newPeriod/endDate",
    "declaration/legalData",
    "declaration/period",
    "legalData/name",
    "legalData/birth",
    "legalData/gender",
    "detail/information",
    "Response/ssin",
    "Response/dataFilters",
    "Response/inscriptions",
    "Response/validationErrors",
    "Response/anomalies",
    "Response/next",
    "inscription/organization",
    "inscription/lastChange",
}
OPTIONAL = {
    Door.FACADE: OPTIONAL_OF_INSCRIPTIONS
    | {"HealthCheckResponse/SanityCheck", "Status/Code", "Status/Message", "Location/Port"},
    Door.KSZ: OPTIONAL_OF_INSCRIPTIONS | {"Fault/informationCustomer", "sendTestMessageResponse/informationCBSS"},
    Door.PERSON: OPTIONAL_EVERYWHERE
    | {
        "Fault/informationCustomer",
        "detail/information",
        "sendTestMessageFault/informationCustomer",
        "sendTestMessageResponse/informationCBSS",
        "criteria/givenNameMode",
        "criteria/birthDate",
        "criteria/genderCode",
        "Response/results",
        "person/birth",
        "person/decease",
        "person/registerInceptionDate",
    },
    Door.MUTATIONS: OPTIONAL_EVERYWHERE | {"criteria/afterSequenceNumber", "criteria/limit", "Response/mutations"},
}


@pytest.mark.parametrize("door", list(Door))
def test_only_what_the_contract_calls_optional_may_be_absent(door: Door, messages: dict[Door, dict[str, str]]) -> None:
    """The elements of which a message is still valid without are exactly those with 0.. in the contract."""
    optional: set[str] = set()
    for text in messages[door].values():
        for index in range(1, len(list(etree.fromstring(text).iter()))):
            changed = etree.fromstring(text)
            element = list(changed.iter())[index]
            parent = element.getparent()
            assert parent is not None
            path = f"{etree.QName(parent).localname}/{etree.QName(element).localname}"
            path = OPERATION.sub(r"\1/", path)
            repeated = len(parent.findall(str(element.tag))) > 1
            parent.remove(element)
            if not repeated and _is_valid(schema_of(door), changed):
                optional.add(path)
    assert optional == OPTIONAL[door]


def test_children_of_the_root_are_unqualified(facade: Schema, facade_messages: dict[str, str]) -> None:
    """A child in the namespace of its root is refused (CommonV3: elementFormDefault unqualified)."""
    text = facade_messages["ConsultInscriptionsRequest"]
    assert not _is_valid(facade, etree.fromstring(text.replace("legalContext>", "q:legalContext>")))


def test_each_door_takes_only_its_own_requests(
    facade: Schema, ksz: Schema, facade_messages: dict[str, str], ksz_messages: dict[str, str]
) -> None:
    """The other door's request, a response or any other element in a request's place is against the WSDL (SEC-16)."""
    for schema, theirs in ((facade, ksz_messages), (ksz, facade_messages)):
        for text in theirs.values():
            with pytest.raises(WsdlViolation):
                schema.validate(etree.fromstring(text))
    with pytest.raises(WsdlViolation):
        facade.validate(etree.fromstring(facade_messages["ConsultInscriptionsResponse"]))
    with pytest.raises(WsdlViolation):
        facade.validate(etree.fromstring("<ConsultInscriptionsRequest/>"))
    with pytest.raises(WsdlViolation):
        facade.validate(etree.Comment("no element"))


def test_a_request_is_no_response(facade: Schema, facade_messages: dict[str, str]) -> None:
    """A client refuses a request's element where it expects an answer, and a fault's elsewhere."""
    with pytest.raises(SchemaViolation):
        facade.validate_response(etree.fromstring(facade_messages["ConsultInscriptionsRequest"]))
    with pytest.raises(SchemaViolation):
        facade.validate_fault(etree.fromstring(facade_messages["ConsultInscriptionsResponse"]))


def test_facade_faults_are_checked_too(facade: Schema) -> None:
    """SystemError and BusinessError of errors/v1 are valid with their content in order, and not otherwise (SEC-61)."""
    fault = """<e:{0} xmlns:e="http://socialsecurity.be/errors/v1" Id="x"><e:Origin>Consumer</e:Origin>
      <e:Code>SOA-01001</e:Code><e:Message xml:lang="en">a</e:Message><e:Message xml:lang="nl">b</e:Message>
      <e:Retry>false</e:Retry><e:Contact>c</e:Contact><e:Environment>{1}</e:Environment></e:{0}>"""
    for name in ("SystemError", "BusinessError"):
        for environment in ("Development", "Test", "Integration", "Acceptation", "Simulation", "Production"):
            facade.validate_fault(etree.fromstring(fault.format(name, environment)))
    for wrong in (
        fault.format("SystemError", "Elsewhere"),
        fault.format("SystemError", "Test").replace("e:Code", "Code"),
    ):
        with pytest.raises(SchemaViolation):
            facade.validate_fault(etree.fromstring(wrong))


# facets


def _of_type(name: str) -> etree.XMLSchema:
    wrapper = f"""<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:c="http://kszbcss.fgov.be/types/common/v3">
      <xsd:import namespace="http://kszbcss.fgov.be/types/common/v3" schemaLocation="{COMMON}"/>
      <xsd:element name="x" type="c:{name}"/></xsd:schema>"""
    return etree.XMLSchema(etree.fromstring(wrapper))


SSIN_PATTERN = (
    r"[0-9]{2}(0[0-9]|1[0-2])([0-2][0-9]|3[01])(?!000)[0-9]{3}([0-8][0-9]|9[0-7])"
    r"|[0-9]{2}([24][0-9]|[35][0-2])([0-2][0-9]|3[01])[0-9]{3}([0-8][0-9]|9[0-7])"
)
SSIN_GOOD = (
    ["85073003328", "00000000100", "99123199997", "00000000197"]
    + [f"85{month:02d}3000128" for month in range(13)]
    + [f"85{month:02d}3000028" for month in (*range(20, 33), *range(40, 53))]
)
SSIN_BAD = (
    ["", "8507300332", "850730033280", "85073003398", "85073203328", "85.07.30-033.28", " 85073003328", "85073000028"]
    + ["٨٥٠٧٣٠٠٣٣٢٨", "8507300332a", "85073003328\n"]
    + [f"85{month:02d}3003328" for month in (*range(13, 20), *range(33, 40), *range(53, 100))]
)
FACETS = [
    ("SeverityType", ["INFORMATION", "WARNING", "FATAL"], ["", "information", "ERROR", " FATAL"]),
    (
        "UUIDType",
        ["1b1b6828-71a6-49b6-a543-7edc975d54c3", "1B1B6828-71A6-49B6-A543-7EDC975D54C3"],
        [
            "",
            "1b1b682871a649b6a5437edc975d54c3",
            "{1b1b6828-71a6-49b6-a543-7edc975d54c3}",
            "1b1b6828-71a6-49b6-a543-7edc975d54cg",
        ],
    ),
    ("TicketType", ["", "x", "x" * 36, "é" * 36], ["x" * 37]),
    ("CbeNumberType", ["0123456789", "9999999999"], ["", "123456789", "01234567890", "0123.456.789", "BE0123456789"]),
    ("SsinType", SSIN_GOOD, SSIN_BAD),
    (
        "LegalContextType",
        ["AB", "A1", "PCSA:SOCIAL_INQUIRY", "a-b c+d_e:f", "A-", "x" * 64],
        ["", "A", " AB", "AB ", "-AB", ":AB", "A\tB", "A.B", "Aé", "x" * 65],
    ),
    (
        "InscriptionContextType",
        ["AB", "A1", "PCSA:LIVING_WAGE", "a b+c_d:e", "x" * 64],
        ["", "A", " AB", "AB ", "_AB", "A-B", "A/B", "Aé", "x" * 65],
    ),
    ("SequenceNumberType", ["1", "999999999999999"], ["0", "-1", "1000000000000000", "1.5", ""]),
    (
        "IncompleteDateType",
        ["1985-07-30", "1985-07-00", "1985-00-00", "0000-00-00", "2999-19-39", "1985-00-30", " 1985-07-30 "],
        ["", "1985-7-30", "3000-01-01", "1985-20-01", "1985-01-40", "1985/07/30", "1985-07-30Z"],
    ),
]


@pytest.mark.parametrize(("name", "good", "bad"), FACETS, ids=[facet[0] for facet in FACETS])
def test_facets_of_the_common_types(name: str, good: list[str], bad: list[str]) -> None:
    """Each simple type of CommonV3 takes the values of the contract's table and no other."""
    schema = _of_type(name)
    element = etree.Element("x")
    for values, expected in ((good, True), (bad, False)):
        for value in values:
            element.text = value
            assert schema.validate(element) is expected, value


PATTERNS = {
    "UUIDType": r"[\da-fA-F]{8}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{12}",
    "CbeNumberType": r"\d{10}",
    "SsinType": SSIN_PATTERN,
    "LegalContextType": r"[a-zA-Z0-9][a-zA-Z0-9_:+\- ]{0,62}[a-zA-Z0-9_:+\-]",
    "InscriptionContextType": r"[a-zA-Z0-9][a-zA-Z0-9_:+ ]{0,62}[a-zA-Z0-9_:+]",
    "IncompleteDateType": r"[0-2][0-9]{3}\-[0-1][0-9]\-[0-3][0-9]",
}
"""The patterns of the contract's table as Python reads them: a second opinion on libxml2's."""
SCHEMAS = {name: _of_type(name) for name in PATTERNS}


@pytest.mark.parametrize("name", PATTERNS)
@settings(deadline=None)
@given(data=st.data())
def test_libxml2_reads_the_patterns_as_python_does(name: str, data: st.DataObject) -> None:
    """Near any valid value, with characters added, cut or changed, both engines agree, as they once did not."""
    text = data.draw(st.from_regex(re.compile(PATTERNS[name], re.ASCII), fullmatch=True))
    for _ in range(data.draw(st.integers(0, 2))):
        place = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 1))
        text = (
            text[:place]
            + data.draw(st.sampled_from(["", "0", "9", "3", "a", "F", "g", "-", " ", ":", "_", "."]))
            + (text[place + cut :])
        )
    element = etree.Element("x")
    element.text = text
    collapsed = " ".join(text.split(" ")).strip() if name == "IncompleteDateType" else text
    assert SCHEMAS[name].validate(element) is (re.fullmatch(PATTERNS[name], collapsed, re.ASCII) is not None)


@pytest.mark.parametrize(
    ("message", "path", "good", "bad"),
    [
        ("ConsultInscriptionsRequest", "informationCustomer//sector", ["0", "999"], ["1000", "-1", "", "x"]),
        ("ConsultInscriptionsRequest", "informationCustomer//institution", ["0", "999"], ["1000", "-1", "", "x"]),
        (
            "ConsultInscriptionsRequest",
            "informationCustomer/timestampSent",
            ["2026-01-01T00:00:00"],
            ["2026-01-01", ""],
        ),
        (
            "ConsultInscriptionsRequest",
            "criteria/period/beginDate",
            ["2020-01-01Z", "2020-01-01+14:00", "2020-02-29"],
            ["2019-02-29", "2020-1-1", "2020-01-01T00:00:00", ""],
        ),
        ("ConsultInscriptionsRequest", "criteria/next", ["x", "x" * 512], ["", "x" * 513]),
        ("InsertInscriptionRequest", "declaration/legalData/name/lastName", ["P", "é" * 256], ["", "é" * 257]),
        ("InsertInscriptionRequest", "declaration/legalData/name/givenName", ["P", "é" * 256], ["", "é" * 257]),
        ("InsertInscriptionRequest", "declaration/legalData/gender/genderCode", ["0", "1", "2"], ["3", "", "01", "M"]),
        (
            "ConsultInscriptionsResponse",
            "status/value",
            ["DATA_FOUND", "NO_DATA_FOUND", "NO_RESULT"],
            ["OK", "NOK", ""],
        ),
        ("InsertInscriptionResponse", "status/value", ["OK", "NOK"], ["DATA_FOUND", "NO_RESULT", ""]),
        ("InsertInscriptionResponse", "status/code", ["x" * 16], ["x" * 17]),
        ("InsertInscriptionResponse", "status/description", ["x" * 256], ["x" * 257]),
        ("InsertInscriptionResponse", "status/information/fieldName", ["x" * 64], ["x" * 65]),
        ("InsertInscriptionResponse", "status/information/fieldValue", ["", "x" * 256], ["x" * 257]),
        ("InsertInscriptionResponse", "anomalies/detail/reasonCode", ["x" * 16], ["x" * 17]),
        ("InsertInscriptionResponse", "anomalies/detail/diagnostic", ["x" * 256], ["x" * 257]),
        ("InsertInscriptionResponse", "anomalies/detail/authorCode", ["x" * 64], ["x" * 65]),
    ],
)
def test_facets_within_messages(
    facade: Schema, facade_messages: dict[str, str], message: str, path: str, good: list[str], bad: list[str]
) -> None:
    """Each limited value of a message is taken up to its limit and refused beyond it."""
    element = etree.fromstring(facade_messages[message])
    target = element.find(path)
    assert target is not None
    for values, expected in ((good, True), (bad, False)):
        for value in values:
            target.text = value
            assert _is_valid(facade, element) is expected, value


@pytest.mark.parametrize(
    ("message", "path", "limit"),
    [
        ("ConsultInscriptionsRequest", "criteria/inscriptionContext", 25),
        ("InsertInscriptionRequest", "declaration/legalData/name/givenName", 14),
        ("InsertInscriptionResponse", "validationErrors/detail", 30),
        ("InsertInscriptionResponse", "anomalies/detail", 30),
        ("InsertInscriptionResponse", "status/information", 15),
        ("InsertInscriptionResponse", "anomalies/detail/information", 15),
    ],
)
def test_repetitions_end_at_their_limit(
    facade: Schema, facade_messages: dict[str, str], message: str, path: str, limit: int
) -> None:
    """As many repetitions as the contract says are valid, one more is not."""
    element = etree.fromstring(facade_messages[message])
    target = element.find(path)
    assert target is not None
    parent = target.getparent()
    assert parent is not None
    while len(parent.findall(str(target.tag))) < limit:
        target.addnext(copy.deepcopy(target))
    assert _is_valid(facade, element)
    target.addnext(copy.deepcopy(target))
    assert not _is_valid(facade, element)


def test_the_kind_of_health_check_is_one_of_three(facade: Schema) -> None:
    """PING, DEFAULT and DEEP, or nothing, which means DEFAULT (monitoring/v1)."""
    element = etree.Element("{http://services.fgov.be/monitoring/v1}HealthCheckRequest")
    assert _is_valid(facade, element)
    for kind in ("PING", "DEFAULT", "DEEP"):
        element.set("type", kind)
        assert _is_valid(facade, element)
    element.set("type", "ping")
    assert not _is_valid(facade, element)


# what a refusal tells


def test_a_refusal_names_place_and_rule(facade: Schema, facade_messages: dict[str, str]) -> None:
    """A SchemaViolation says where and which rule, in the contract's own names."""
    element = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
    ssin, period = element.find("criteria/ssin"), element.find("criteria/period")
    assert ssin is not None
    assert period is not None
    ssin.text = "123"
    period.set("extra", "1")
    with pytest.raises(SchemaViolation) as caught:
        facade.validate(element)
    assert caught.value.reason == "schema"
    assert caught.value.paths == (
        "ConsultInscriptionsRequest/criteria/ssin: pattern",
        "ConsultInscriptionsRequest/criteria/period: attribute",
    )


def test_a_repeated_fault_is_told_once(facade: Schema, facade_messages: dict[str, str]) -> None:
    """The same rule broken by several repetitions of an element is one place: which of them it was says nothing."""
    element = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
    for context in element.iter("inscriptionContext"):
        context.text = "-"
    with pytest.raises(SchemaViolation) as caught:
        facade.validate(element)
    assert caught.value.paths == ("ConsultInscriptionsRequest/criteria/inscriptionContext: pattern",)


def test_sec_74_a_refusal_never_repeats_a_value(facade: Schema, facade_messages: dict[str, str]) -> None:
    """Whatever a sender puts a number in, text, attribute, element name or prefix, no refusal says it (SEC-74)."""
    text = facade_messages["InsertInscriptionRequest"]
    spoiled: list[etree._Element] = []
    for index in range(len(list(etree.fromstring(text).iter()))):
        for spoil in range(5):
            root = etree.fromstring(text)
            element = list(root.iter())[index]
            if spoil == 0:
                element.text = f"x{CANARY}"
            elif spoil == 1:
                element.set(f"a{CANARY}", CANARY)
            elif spoil == 2:
                etree.SubElement(element, f"S{CANARY}").text = CANARY
            elif spoil == 3:
                etree.SubElement(element, f"{{urn:{CANARY}}}S{CANARY}", nsmap={f"p{CANARY}": f"urn:{CANARY}"})
            else:
                element.set("{http://www.w3.org/2001/XMLSchema-instance}type", f"a:{CANARY}")
            spoiled.append(root)
    refused, told = 0, []
    for root in spoiled:
        try:
            facade.validate(root)
        except SchemaViolation as error:
            refused += 1
            shown = "".join(traceback.format_exception(error)) + repr(error) + repr(error.paths)
            told.append(shown)
    assert not [shown for shown in told if CANARY in shown]
    assert refused > len(spoiled) * 0.9


def test_a_thoroughly_wrong_message_is_named_in_few_places(facade: Schema, facade_messages: dict[str, str]) -> None:
    """A refusal holds at most PATHS_MAX places, however much is wrong."""
    element = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
    for number, child in enumerate(element.iter()):
        child.set(f"wrong{number}", "1")
    with pytest.raises(SchemaViolation) as caught:
        facade.validate(element)
    assert len(caught.value.paths) == PATHS_MAX


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=20))
def test_sec_74_no_text_in_the_ssin_comes_back(text: str) -> None:
    """Any text in place of the SSIN is valid or refused in the same words (SEC-74)."""
    root = etree.fromstring(
        '<q:deleteInscriptionRequest xmlns:q="http://kszbcss.fgov.be/intf/InscriptionService/v1"><informationCustomer>'
        "<customerIdentification><cbeNumber>0206731645</cbeNumber></customerIdentification></informationCustomer>"
        "<legalContext>AB</legalContext><declaration><ssin/><inscriptionContext>AB</inscriptionContext></declaration>"
        "</q:deleteInscriptionRequest>"
    )
    ssin = root.find("declaration/ssin")
    assert ssin is not None
    ssin.text = text
    if re.fullmatch(SSIN_PATTERN, text, re.ASCII):
        schema_of(Door.KSZ).validate(root)
        return
    with pytest.raises(SchemaViolation) as caught:
        schema_of(Door.KSZ).validate(root)
    assert caught.value.paths == ("deleteInscriptionRequest/declaration/ssin: pattern",)


def test_an_instance_cannot_bring_its_own_schema(
    facade: Schema, facade_messages: dict[str, str], tmp_path: Path
) -> None:
    """xsi:schemaLocation in a message is no reason to open a file (SEC-19)."""
    lenient = tmp_path / "lenient.xsd"
    lenient.write_text(
        '<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:mine">'
        '<xsd:element name="any"/></xsd:schema>'
    )
    element = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
    element.set("{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", f"urn:mine {lenient.as_uri()}")
    etree.SubElement(element, "{urn:mine}any")
    with pytest.raises(SchemaViolation):
        facade.validate(element)


def test_threads_do_not_read_each_other_s_errors(facade: Schema, facade_messages: dict[str, str]) -> None:
    """Four threads that validate at once each get the refusal of their own message."""
    spoil = {"criteria/ssin": "pattern", "legalContext": "maxLength", "criteria/next": "minLength", "": ""}

    def run(path: str) -> set[tuple[str, ...]]:
        element = etree.fromstring(facade_messages["ConsultInscriptionsRequest"])
        if path:
            target = element.find(path)
            assert target is not None
            target.text = {"criteria/next": "", "legalContext": "x" * 65}.get(path, "x")
        found: set[tuple[str, ...]] = set()
        for _ in range(300):
            try:
                facade.validate(element)
                found.add(())
            except SchemaViolation as error:
                found.add(error.paths)
        return found

    with ThreadPoolExecutor(4) as pool:
        results = dict(zip(spoil, pool.map(run, spoil), strict=True))
    for path, rule in spoil.items():
        expected = (f"ConsultInscriptionsRequest/{path}: {rule}",) if path else ()
        assert results[path] == {expected}


def test_the_schema_of_a_door_is_compiled_once() -> None:
    """Asking twice gives the same compiled schema."""
    assert schema_of(Door.FACADE) is schema_of(Door.FACADE)
    assert schema_of(Door.FACADE) is not schema_of(Door.KSZ)


FIRST_USE = """
import os, random, sys, threading
from lxml import etree
from cbss_inscription.client.adjustment import compiled
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.schema import batch_schema, schema_of

TEXT = b"<a>" + b"<b>c</b>" * 2_000 + b"</a>"

def first_use(seed):
    dice, failed = random.Random(seed), []
    uses = [lambda door=door: schema_of(door) for door in (*Door, Door.FACADE, Door.FACADE)]
    uses += [batch_schema, compiled, *(lambda: etree.fromstring(TEXT) for _ in range(4))]
    together = threading.Barrier(len(uses))
    def use(one):
        together.wait()
        try:
            one()
        except Exception as error:
            failed.append(error)
    threads = [threading.Thread(target=use, args=(one,)) for one in dice.sample(uses, len(uses))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(failed)

sys.setswitchinterval(1e-5)
for seed in range(30):
    child = os.fork()  # nothing is compiled in it yet
    if not child:
        os._exit(first_use(seed))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), end=" ")
"""


def test_schemas_are_compiled_for_threads_that_ask_at_once() -> None:
    """At the first use of every schema from several threads, beside others that read XML, none of them fails."""
    done = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0"] * 30
