"""What the description of a running service says, beside what this program implements and a message has (SEC-88).

Read are the policy on a request, the operations with their soapAction, and the addresses. Nothing here decides about a
message: `explain` tells it before the service's own steps, and the service itself heeds neither its description nor,
for one, `wsa:To`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names, safe_xml
from cbss_inscription.contract.documents import POLICY_WSDL_PATHS, read_document
from cbss_inscription.contract.door import Door
from cbss_inscription.domain.errors import MessageRejected, UsageError
from cbss_inscription.security.explain import LISTED_MAX, Fact, Step, Verdict, fact

POLICY_QUERY: Final = "wsdl=x509"
"""The query that asks for the description with RSZ's X.509 policy."""

ADVICE: Final[Mapping[str, str]] = {
    "policy": "The service asks for another policy than this program implements: it may judge the message otherwise.",
    "operation": "Send an operation that the service describes, under the soapAction that it describes.",
    "address": "Give wsa:To the address that the service describes, or leave it out.",
}
"""For each step that may differ, one sentence on what to change."""

_POLICY: Final = names.qname(names.WSP, "Policy")
_POLICY_REFERENCE: Final = names.qname(names.WSP, "PolicyReference")
_EXACTLY_ONE: Final = names.qname(names.WSP, "ExactlyOne")
_ALL: Final = names.qname(names.WSP, "All")
_OPERATION: Final = names.qname(names.WSDL, "operation")
_BINDING: Final = names.qname(names.WSDL, "binding")
_INPUT: Final = names.qname(names.WSDL, "input")
_OUTPUT: Final = names.qname(names.WSDL, "output")
_PREFIXES: Final = {names.SP: "sp", names.WSP: "wsp", names.WSU: "wsu"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedOperation:
    """An operation of the binding."""

    name: str
    action: str
    """Its soapAction."""
    element: str | None
    """The root element of its request in Clark notation; None when the description does not say."""
    assertions: frozenset[str]
    """What its policy asks of a request, each assertion by its path."""
    reply_has_policy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A WSDL with SOAP 1.1 binding, as far as a signed request has to do with it."""

    operations: tuple[DescribedOperation, ...]
    addresses: tuple[str, ...]


def read_description(data: bytes, *, origin: str) -> Description:
    """The description in a WSDL. Raises `UsageError` when it is none; `origin` is where it came from."""
    try:
        root = safe_xml.parse(data, charset=None)
    except MessageRejected as error:
        raise UsageError(f"{origin}: no description that can be read: {error.reason}") from None
    if root.tag != names.qname(names.WSDL, "definitions"):
        raise UsageError(f"{origin}: no WSDL")
    policies = {identifier: policy for policy in root.iter(_POLICY) if (identifier := policy.get(names.WSU_ID))}
    elements = _request_elements(root)
    operations = tuple(
        _described(binding, operation, soap, policies, elements)
        for binding in root.iterchildren(_BINDING)
        for operation in binding.iterchildren(_OPERATION)
        for soap in operation.iterchildren(names.qname(names.WSDL_SOAP, "operation"))
    )
    if not operations:
        raise UsageError(f"{origin}: a WSDL without an operation over SOAP 1.1")
    addresses = (address.get("location", "") for address in root.iter(names.qname(names.WSDL_SOAP, "address")))
    return Description(operations=operations, addresses=tuple(dict.fromkeys(addresses)))


def compare(
    description: Description, message: bytes, *, url: str, charset: str | None, soap_action: str | None
) -> tuple[Step, ...]:
    """Four steps, from `description` to `address`; arguments as for `explain`, `url` is what was asked."""
    sent = _Sent.of(message, charset)
    operation = next((one for one in description.operations if one.element == sent.element), None)
    told = (
        fact("read from", url),
        fact("operations", ", ".join(one.name for one in description.operations[:LISTED_MAX])),
        *(fact("address", address) for address in description.addresses[:LISTED_MAX]),
    )
    return (
        Step(name="description", verdict=Verdict.OK, facts=told),
        _policy_step(operation or description.operations[0]),
        _operation_step(operation, sent, soap_action),
        _address_step(description, sent),
    )


@cache
def profile_assertions() -> frozenset[str]:
    """The assertions of RSZ's X.509 policy, which this program implements, as its own description has them."""
    own = read_description(read_document(POLICY_WSDL_PATHS[Door.FACADE]), origin="the packaged description")
    return own.operations[0].assertions


# --- reading ----------------------------------------------------------------------------------------------------------


def _described(
    binding: _Element,
    operation: _Element,
    soap: _Element,
    policies: Mapping[str, _Element],
    elements: Mapping[str, str],
) -> DescribedOperation:
    asked = operation.find(_INPUT)
    scopes = [binding, operation] + ([asked] if asked is not None else [])
    replies = operation.findall(_OUTPUT)
    name = operation.get("name", "")
    return DescribedOperation(
        name=name,
        action=soap.get("soapAction", ""),
        element=elements.get(name),
        assertions=frozenset(path for scope in scopes for path in _assertions_of(scope, policies)),
        reply_has_policy=any(list(_policies_of(reply, policies)) for reply in (binding, operation, *replies)),
    )


def _policies_of(scope: _Element, policies: Mapping[str, _Element]) -> Iterator[_Element]:
    """The policies at a place in the WSDL, or referred to there; where a reference leads nowhere, the reference."""
    yield from scope.iterchildren(_POLICY)
    for reference in scope.iterchildren(_POLICY_REFERENCE):
        referred = policies.get(reference.get("URI", "").removeprefix("#"))
        yield reference if referred is None else referred


def _assertions_of(scope: _Element, policies: Mapping[str, _Element]) -> Iterator[str]:
    for policy in _policies_of(scope, policies):
        if policy.tag == _POLICY_REFERENCE:
            yield f"policy {policy.get('URI', '')} that is not there"
        else:
            yield from _paths(policy, "")


def _paths(parent: _Element, before: str) -> Iterator[str]:
    """Each assertion below, as a path of names; nests of one alternative only are no difference."""
    for child in parent.iterchildren(etree.Element):
        is_nest = child.tag in (_POLICY, _ALL) or (child.tag == _EXACTLY_ONE and len(child) == 1)
        if is_nest:
            yield from _paths(child, before)
            continue
        attributes = sorted((_short(str(key)), value.rpartition("/")[2]) for key, value in child.attrib.items())
        words = "".join(f"[{key}={value}]" for key, value in attributes)
        path = f"{before}{_short(str(child.tag))}{words}"
        yield path
        yield from _paths(child, f"{path}/")


def _short(name: str) -> str:
    read = etree.QName(name)
    if read.namespace is None:
        return read.localname
    return f"{_PREFIXES[read.namespace]}:{read.localname}" if read.namespace in _PREFIXES else name


def _request_elements(root: _Element) -> dict[str, str]:
    """The root element of each operation's request, by the operation's name."""
    parts = {
        message.get("name", ""): _resolved(part, part.get("element", ""))
        for message in root.iterchildren(names.qname(names.WSDL, "message"))
        for part in message.iterchildren(names.qname(names.WSDL, "part"))
    }
    return {
        operation.get("name", ""): parts[message]
        for port in root.iterchildren(names.qname(names.WSDL, "portType"))
        for operation in port.iterchildren(_OPERATION)
        for asked in operation.iterchildren(_INPUT)
        if (message := asked.get("message", "").rpartition(":")[2]) in parts
    }


def _resolved(where: _Element, name: str) -> str:
    prefix, _, local = name.rpartition(":")
    namespace = where.nsmap.get(prefix or None)
    return local if namespace is None else names.qname(namespace, local)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """What a message says of its operation and address, read leniently; None where it says nothing."""

    element: str | None = None
    action: str | None = None
    to: str | None = None

    @classmethod
    def of(cls, message: bytes, charset: str | None) -> _Sent:
        try:
            root = safe_xml.parse(message, charset=charset)
        except MessageRejected:
            return cls()
        body = root.find(names.SOAP_BODY)
        content = next(iter(()) if body is None else body.iterchildren(etree.Element), None)
        header = root.find(names.SOAP_HEADER)
        blocks = {} if header is None else {block.tag: block.text for block in header.iterchildren(etree.Element)}
        return cls(
            element=None if content is None else str(content.tag),
            action=_trimmed(blocks.get(names.qname(names.WSA, "Action"))),
            to=_trimmed(blocks.get(names.qname(names.WSA, "To"))),
        )


def _trimmed(text: str | None) -> str | None:
    return (text or "").strip() or None


# --- comparing --------------------------------------------------------------------------------------------------------


def _policy_step(operation: DescribedOperation) -> Step:
    own, theirs = profile_assertions(), operation.assertions
    facts = [fact("operation", operation.name), *_policy_in_words(theirs)]
    facts.append(fact("replies", "under a policy of their own" if operation.reply_has_policy else "not signed"))
    missing = _outermost(own - theirs)
    beyond = _outermost(theirs - own)
    facts += [fact("missing in the service's policy", path) for path in missing[:LISTED_MAX]]
    facts += [fact("only in the service's policy", path) for path in beyond[:LISTED_MAX]]
    differs = bool(missing or beyond or operation.reply_has_policy)
    return Step(name="policy", verdict=Verdict.DIFFERS if differs else Verdict.OK, facts=tuple(facts))


def _policy_in_words(assertions: frozenset[str]) -> Iterator[Fact]:
    if not assertions:
        yield fact("policy", "none on requests")
        return

    def below(*words: str) -> str:
        found = (path.rpartition("/") for path in assertions)
        return ", ".join(sorted(last for parent, _, last in found if all(word in parent for word in words))) or "none"

    def has(word: str) -> str:
        return "yes" if any(path.rpartition("/")[2] == word for path in assertions) else "no"

    suite = below("sp:AlgorithmSuite")
    if suite == "sp:Basic256Sha256":
        suite += "; signed all the same with rsa-sha256, which this suite by itself is not"
    yield fact("algorithm suite", suite)
    yield fact("token of the sender", below("sp:InitiatorToken", "sp:X509Token"))
    yield fact("signed parts", below("sp:SignedParts"))
    yield fact("timestamp", has("sp:IncludeTimestamp"))
    yield fact("token signed too", has("sp:ProtectTokens"))


def _outermost(paths: frozenset[str]) -> Sequence[str]:
    """The paths that no other of them leads to: what is below is then told too."""
    return sorted(path for path in paths if not any(path.startswith(f"{other}/") for other in paths))


def _operation_step(operation: DescribedOperation | None, sent: _Sent, soap_action: str | None) -> Step:
    facts = [fact("child of the Body", sent.element or "cannot be read")]
    if sent.element is None:
        return Step(name="operation", verdict=Verdict.NOT_CHECKED, facts=tuple(facts))
    if operation is None:
        facts.append(fact("operation", "none in the description takes it"))
        return Step(name="operation", verdict=Verdict.DIFFERS, facts=tuple(facts))
    facts += [fact("operation", operation.name), fact("its soapAction", operation.action or "empty")]
    verdict = Verdict.OK
    for name, action in (("SOAPAction", soap_action), ("wsa:Action", sent.action)):
        if action is not None and action != operation.action:
            facts.append(fact(name, f"{action}, another"))
            verdict = Verdict.DIFFERS
    return Step(name="operation", verdict=verdict, facts=tuple(facts))


def _address_step(description: Description, sent: _Sent) -> Step:
    facts = (fact("wsa:To", sent.to or "none"), *(fact("described", one) for one in description.addresses[:LISTED_MAX]))
    differs = sent.to is not None and sent.to not in description.addresses
    return Step(name="address", verdict=Verdict.DIFFERS if differs else Verdict.OK, facts=facts)
