"""What `explain --url` finds in a service's description: the same, or in which assertion it differs (SEC-88)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cbss_inscription import names
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import UsageError
from cbss_inscription.security.explain import Step, Verdict
from cbss_inscription.soap.description import compare, profile_assertions, read_description
from cbss_inscription.soap.wsdl import WsdlDocuments

URL = "https://portal.example/CBSSInscription/v1"
REQUEST = (Path(__file__).parents[2] / "examples" / "consult.xml").read_bytes()
ACTION = Door.FACADE.soap_action("consultInscriptions")
ASKED = "AsymmetricBinding"


def described(query: str = "wsdl=x509", *, door: Door = Door.FACADE) -> bytes:
    """A description as our own service serves it."""
    served = WsdlDocuments(door, public_url="https://portal.example").get(query)
    assert served is not None
    return served[0]


def steps(document: bytes, message: bytes = REQUEST, *, soap_action: str | None = None) -> dict[str, Step]:
    """The comparison's steps by name."""
    description = read_description(document, origin=URL)
    compared = compare(description, message, url=URL, charset=None, soap_action=soap_action)
    return {step.name: step for step in compared}


def facts(step: Step, name: str) -> list[str]:
    return [fact.value for fact in step.facts if fact.name == name]


def addressed(block: str) -> bytes:
    """The request with a header block of WS-Addressing."""
    header = f'<soapenv:Header xmlns:a="{names.WSA}">{block}</soapenv:Header>'
    return REQUEST.replace(b"<soapenv:Header/>", header.encode())


@pytest.mark.parametrize("query", ["wsdl=x509", "singleWsdl=x509"])
def test_sec_88_own_description_is_the_profile(query: str) -> None:
    """The description that we serve has the profile's policy, each operation, and its address (SEC-88)."""
    found = steps(described(query), soap_action=ACTION)
    assert {step.verdict for step in found.values()} == {Verdict.OK}
    assert facts(found["policy"], "algorithm suite")[0].startswith("sp:Basic256Sha256")
    assert facts(found["policy"], "token of the sender") == ["sp:WssX509V3Token10"]
    assert facts(found["policy"], "signed parts") == ["sp:Body"]
    assert facts(found["policy"], "timestamp") == facts(found["policy"], "token signed too") == ["yes"]
    assert facts(found["policy"], "replies") == ["not signed"]
    assert facts(found["operation"], "operation") == ["consultInscriptions"]
    assert facts(found["description"], "address") == [URL]


def test_sec_88_feed_has_the_same_policy() -> None:
    """The mutation feed's description has the policy of the façade's (SEC-88)."""
    feed = read_description(described(door=Door.MUTATIONS), origin=URL)
    assert {operation.assertions for operation in feed.operations} == {profile_assertions()}


@pytest.mark.parametrize(
    ("old", "new", "missing", "beyond"),
    [
        (
            "<sp:Basic256Sha256/>",
            "<sp:Basic256/>",
            "/sp:AlgorithmSuite/sp:Basic256Sha256",
            "/sp:AlgorithmSuite/sp:Basic256",
        ),
        ("<sp:ProtectTokens/>", "", "/sp:ProtectTokens", None),
        ("<sp:IncludeTimestamp/>", "", "/sp:IncludeTimestamp", None),
        ("<sp:Lax/>", "<sp:Strict/>", "/sp:Lax", "/sp:Strict"),
        ("<sp:Body/>", '<sp:Body/><sp:Header Namespace="urn:x"/>', None, "sp:Header[Namespace=urn:x]"),
        ("AlwaysToRecipient", "Once", "IncludeToken=AlwaysToRecipient]", "IncludeToken=Once]"),
        ("<sp:ProtectTokens/>", '<sp:ProtectTokens wsp:Optional="true"/>', "/sp:ProtectTokens", "[wsp:Optional=true]"),
        ('URI="#X509_SHA256"', 'URI="#other"', "sp:AsymmetricBinding", "#other that is not there"),
        (names.SP, "http://schemas.xmlsoap.org/ws/2005/07/securitypolicy", "sp:AsymmetricBinding", "2005/07"),
    ],
    ids=str,
)
def test_sec_88_policy_that_differs_is_told_by_its_assertion(
    old: str, new: str, missing: str | None, beyond: str | None
) -> None:
    """An assertion that is missing, other or more is named with its path, and the step differs (SEC-88)."""
    document = described().decode()
    assert old in document
    step = steps(document.replace(old, new).encode())["policy"]
    assert step.verdict is Verdict.DIFFERS
    for name, word in (("missing in the service's policy", missing), ("only in the service's policy", beyond)):
        told = facts(step, name)
        assert any(word in path for path in told) if word is not None else told == []


def test_sec_88_nests_of_one_alternative_are_no_difference() -> None:
    """A policy in normal form, each level in ExactlyOne and All, is the same policy (SEC-88)."""
    document = described().decode()
    nested = document.replace("<wsp:Policy>", "<wsp:Policy><wsp:ExactlyOne><wsp:All>").replace(
        "</wsp:Policy>", "</wsp:All></wsp:ExactlyOne></wsp:Policy>"
    )
    # the outermost has attributes, and so was not opened by the replacement above
    start = nested.index("<sp:AsymmetricBinding>")
    nested = f"{nested[:start]}<wsp:ExactlyOne><wsp:All>{nested[start:]}"
    assert steps(nested.encode())["policy"].verdict is Verdict.OK
    either = document.replace(
        "<sp:Lax/>", "<wsp:ExactlyOne><wsp:All><sp:Lax/></wsp:All><wsp:All><sp:Strict/></wsp:All></wsp:ExactlyOne>"
    )
    assert steps(either.encode())["policy"].verdict is Verdict.DIFFERS


def test_sec_88_description_without_policy_or_with_signed_replies_differs() -> None:
    """A description that asks for no signature, or promises one on replies, is not the profile's (SEC-66, SEC-88)."""
    plain = steps(described("wsdl"))["policy"]
    assert (plain.verdict, facts(plain, "policy")) == (Verdict.DIFFERS, ["none on requests"])
    reference = f'<wsp:PolicyReference xmlns:wsp="{names.WSP}" URI="#X509_SHA256"/>'
    document = described().decode().replace("<wsdl:output>", f"<wsdl:output>{reference}")
    signed = steps(document.encode())["policy"]
    assert (signed.verdict, facts(signed, "replies")) == (Verdict.DIFFERS, ["under a policy of their own"])


@pytest.mark.parametrize(
    ("document", "message", "soap_action", "verdict"),
    [
        (described(), REQUEST, "urn:other", Verdict.DIFFERS),
        (described(), addressed(f"<a:Action>{ACTION}</a:Action>"), None, Verdict.OK),
        (described(), addressed("<a:Action>urn:other</a:Action>"), None, Verdict.DIFFERS),
        (described().replace(ACTION.encode(), b""), REQUEST, ACTION, Verdict.DIFFERS),
        (described(door=Door.MUTATIONS), REQUEST, None, Verdict.DIFFERS),
        (described(), b"no XML", None, Verdict.NOT_CHECKED),
    ],
    ids=["SOAPAction", "wsa:Action right", "wsa:Action", "described action", "operation of another", "unreadable"],
)
def test_sec_88_operation_that_the_service_does_not_describe_differs(
    document: bytes, message: bytes, soap_action: str | None, verdict: Verdict
) -> None:
    """The Body's operation must be described, under the action that goes with the message (SEC-14, SEC-88)."""
    assert steps(document, message, soap_action=soap_action)["operation"].verdict is verdict


def test_sec_88_wsa_to_is_an_address_of_the_service() -> None:
    """`wsa:To` must be one of the addresses described (SEC-17, SEC-88)."""
    assert steps(described(), addressed(f"<a:To> {URL} </a:To>"))["address"].verdict is Verdict.OK
    elsewhere = steps(described(), addressed("<a:To>https://elsewhere.example/</a:To>"))["address"]
    assert (elsewhere.verdict, facts(elsewhere, "described")) == (Verdict.DIFFERS, [URL])


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (b"<html/>", "no WSDL"),
        (b"<html>", "not-well-formed"),
        (b'<!DOCTYPE x [<!ENTITY e "x">]>' + described().partition(b"?>")[2], "doctype"),
        (described().replace(names.WSDL_SOAP.encode(), b"http://schemas.xmlsoap.org/wsdl/soap12/"), "SOAP 1.1"),
    ],
    ids=["HTML", "broken", "DOCTYPE", "SOAP 1.2"],
)
def test_sec_19_88_what_is_no_description_is_refused_in_a_sentence(document: bytes, word: str) -> None:
    """What a service sends in place of a description is read safely and refused in one sentence (SEC-19, SEC-88)."""
    with pytest.raises(UsageError, match=word):
        read_description(document, origin=URL)
