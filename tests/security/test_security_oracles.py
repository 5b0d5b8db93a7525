"""Foreign peers: what they sign is accepted, what is accepted they verify too (SEC-40, SEC-41)."""

import base64
import random
import re

import pytest
import signxml
import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cbss_inscription import names
from cbss_inscription.domain.errors import MessageRejected


def xmlsec_verifies(message, credential):
    """Whether python-xmlsec finds the signature good, its transforms restricted."""
    root = etree.fromstring(message)
    context = xmlsec.SignatureContext()
    for element in root.iter(etree.Element):
        if element.get(names.WSU_ID):
            context.register_id(element, "Id", names.WSU)
    context.enable_reference_transform(xmlsec.Transform.EXCL_C14N)
    context.enable_reference_transform(xmlsec.Transform.SHA256)
    context.enable_signature_transform(xmlsec.Transform.EXCL_C14N)
    context.enable_signature_transform(xmlsec.Transform.RSA_SHA256)
    pem = credential.certificate.public_bytes(Encoding.PEM)
    context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.CERT_PEM)
    try:
        context.verify(next(root.iter(names.DS_SIGNATURE)))
    except xmlsec.Error:
        return False
    return True


def signxml_verifies(message, credential):
    """Whether signxml finds the signature good, over three parts."""
    try:
        signxml.XMLVerifier().verify(
            message,
            x509_cert=credential.certificate,
            expect_config=signxml.SignatureConfiguration(expect_references=3, location=".//"),
        )
    except (signxml.exceptions.InvalidInput, signxml.exceptions.InvalidSignature, ValueError):
        return False
    return True


def template(forge, *, prefix_list=None, order=("token", "timestamp", "signature"), ns="ds", signed=0):
    """A request with an unfinished Security header, as another tool's user would write it."""
    root = etree.fromstring(forge.request)
    body = forge.body(root)
    body.set(names.WSU_ID, "id-7")
    security = etree.SubElement(root.find(names.SOAP_HEADER), names.WSSE_SECURITY, nsmap={"wsse": names.WSSE})
    token = etree.Element(names.WSSE_TOKEN, nsmap={"wsu": names.WSU})
    token.set(names.WSU_ID, "X509-7")
    token.set("EncodingType", names.BASE64_BINARY)
    token.set("ValueType", names.X509_V3)
    token.text = base64.b64encode(forge.signer.certificate_der).decode()
    timestamp = etree.Element(names.WSU_TIMESTAMP, nsmap={"wsu": names.WSU})
    timestamp.set(names.WSU_ID, "TS-7")
    etree.SubElement(timestamp, names.WSU_CREATED).text = "2026-03-02T09:30:00Z"
    etree.SubElement(timestamp, names.WSU_EXPIRES).text = "2026-03-02T09:35:00Z"
    signature = xmlsec.template.create(root, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256, ns=ns)
    for identifier in ("X509-7", "TS-7", "id-7"):
        reference = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA256, uri=f"#{identifier}")
        transform = xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
        if prefix_list is not None:
            etree.SubElement(transform, names.EXC_INCLUSIVE_NAMESPACES, PrefixList=prefix_list)
    key_info = xmlsec.template.ensure_key_info(signature)
    reference = etree.SubElement(
        etree.SubElement(key_info, names.WSSE_TOKEN_REFERENCE), names.WSSE_REFERENCE, URI="#X509-7"
    )
    reference.set("ValueType", names.X509_V3)
    parts = {"token": token, "timestamp": timestamp, "signature": signature}
    for part in order:
        security.append(parts[part])
    # lxml finds elements by interned names, and xmlsec does not intern those of its template
    return etree.fromstring(etree.tostring(root))


def sign_with_xmlsec(forge, root):
    context = xmlsec.SignatureContext()
    for element in root.iter(etree.Element):
        if element.get(names.WSU_ID):
            context.register_id(element, "Id", names.WSU)
    context.key = xmlsec.Key.from_memory(forge.credential.private_key_pem, xmlsec.KeyFormat.PEM)
    context.sign(next(root.iter(names.DS_SIGNATURE)))
    return etree.tostring(root)


@pytest.mark.parametrize("prefix_list", [None, "", "t", "soapenv t", "t soapenv wsse", "#default", "#default t"])
@pytest.mark.parametrize("ns", ["ds", None])
def test_sec_41_xmlsec_signs_and_we_accept(forge, prefix_list, ns):
    """A request signed by python-xmlsec is accepted, whatever prefixes it includes (SEC-26, SEC-41)."""
    message = sign_with_xmlsec(forge, template(forge, prefix_list=prefix_list, ns=ns))
    assert forge.verify(message).caller.application_urn == forge.urn


@pytest.mark.parametrize("declared", ["urn:of-the-envelope", None])
def test_sec_26_default_namespace_in_the_list(forge, declared):
    """`#default` includes the default namespace of an ancestor, as python-xmlsec does (SEC-26)."""
    root = template(forge, prefix_list="#default")
    text = etree.tostring(root).decode()
    if declared:
        text = text.replace("<soapenv:Envelope ", f'<soapenv:Envelope xmlns="{declared}" ', 1)
    message = sign_with_xmlsec(forge, etree.fromstring(text))
    verified = forge.verify(message)
    assert (f'xmlns="{declared}"'.encode() in verified.canonical_body) is bool(declared)
    assert xmlsec_verifies(message, forge.credential)


@pytest.mark.parametrize(
    "order",
    [
        ("token", "timestamp", "signature"),
        ("signature", "token", "timestamp"),
        ("timestamp", "signature", "token"),
        ("token", "signature", "timestamp"),
    ],
)
def test_sec_41_any_order_in_the_security_header(forge, order):
    """Token, timestamp and signature may stand in any order: the policy's layout is Lax (SEC-29, SEC-41)."""
    message = sign_with_xmlsec(forge, template(forge, order=order))
    assert forge.refusal(message) == "accepted"
    assert xmlsec_verifies(message, forge.credential)


def test_sec_41_signxml_signs_and_we_accept(forge):
    """A request signed by signxml is accepted (SEC-41)."""
    root = template(forge)
    unsigned = next(root.iter(names.DS_SIGNATURE))
    key_info = unsigned.find(names.DS_KEY_INFO)
    assert len(key_info) == 1
    security = unsigned.getparent()
    security.remove(unsigned)
    signer = signxml.XMLSigner(
        method=signxml.methods.detached,
        signature_algorithm="rsa-sha256",
        digest_algorithm="sha256",
        c14n_algorithm=signxml.CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    signature = signer.sign(
        root, key=forge.credential.private_key, reference_uri=["#X509-7", "#TS-7", "#id-7"], key_info=key_info
    )
    security.append(signature)
    message = etree.tostring(root)
    assert forge.refusal(message) == "accepted"
    assert xmlsec_verifies(message, forge.credential)


PAYLOADS = {
    "the usual request": None,
    "default namespace": '<x xmlns="urn:x"><y/></x>',
    "default namespace undone": '<x xmlns="urn:x"><y xmlns=""><z xmlns="urn:x"/></y></x>',
    "one URI under two prefixes": '<a:x xmlns:a="urn:x" xmlns:b="urn:x" a:p="1" b:q="2"><b:y a:r="3"/></a:x>',
    "CDATA": '<t:x xmlns:t="urn:t"><![CDATA[<&>]]>tail]]&gt;</t:x>',
    "characters that are escaped": '<t:x xmlns:t="urn:t" a="&#9;&#10;&#13;&quot;&lt;">&#13;&gt;&amp;</t:x>',
    "not Latin": '<t:x xmlns:t="urn:t" a="ß">Ξ 𝔘 &#x202E;</t:x>',
    "xml attributes": '<t:x xmlns:t="urn:t" xml:lang="nl" xml:space="preserve"> </t:x>',
    "a QName in a value": '<t:x xmlns:t="urn:t" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="t:y"/>',
    "comments outside": None,
}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_sec_40_both_oracles_verify_what_we_accept(forge, payload):
    """Every kind of request we sign and accept is good for python-xmlsec and signxml as well (SEC-40)."""
    request = forge.request.decode()
    if PAYLOADS[payload]:
        usual = re.compile(r"<t:consultRequest>.*</t:consultRequest>", re.DOTALL)
        request = usual.sub(lambda _: PAYLOADS[payload], request)
    elif payload == "comments outside":
        request = request.replace("<soapenv:Body>", "<!-- here --><soapenv:Body>") + "<!-- end -->"
    message = forge.message(request.encode())
    assert forge.refusal(message) == "accepted"
    assert xmlsec_verifies(message, forge.credential)
    assert signxml_verifies(message, forge.credential)


def _mutate_bytes(message, random_):
    position = random_.randrange(len(message))
    choice = random_.randrange(4)
    if choice == 0:
        return message[:position] + bytes([message[position] ^ (1 << random_.randrange(7))]) + message[position + 1 :]
    if choice == 1:
        length = random_.choice([1, 2, 20])
        return message[:position] + message[position + length :]
    if choice == 2:
        return message[:position] + random_.choice([b" ", b"A", b"<!---->", b"<x/>", b"&#32;"]) + message[position:]
    start = random_.randrange(len(message))
    return message[:position] + message[start : start + random_.randrange(1, 60)] + message[position:]


def _mutate_nodes(message, random_):
    root = etree.fromstring(message)
    elements = list(root.iter(etree.Element))
    element, other = random_.choice(elements[1:]), random_.choice(elements)
    choice = random_.randrange(6)
    if choice == 0:
        element.getparent().remove(element)
    elif choice == 1:
        element.addnext(etree.fromstring(etree.tostring(element)))
    elif choice == 2 and not any(ancestor is element for ancestor in (other, *other.iterancestors())):
        other.insert(random_.randrange(len(other) + 1), element)
    elif choice == 3:
        element.text = (element.text or "") + random_.choice([" ", "x", "\n"])
    elif choice == 4:
        element.set(random_.choice(["Id", "x", names.WSU_ID, "Algorithm", "URI"]), random_.choice(["x", "TS-1"]))
    else:
        element.tag = random_.choice([other.tag, "x", names.SOAP_BODY])
    return etree.tostring(root)


@pytest.mark.parametrize("mutate", [_mutate_bytes, _mutate_nodes])
@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(4, 40))])
def test_sec_40_no_mutation_is_accepted(forge, mutate, seed):
    """No changed message is accepted unless the signed parts are byte for byte the same; 12 000 mutations (SEC-40)."""
    random_ = random.Random(f"{mutate.__name__} {seed}")
    message = forge.message()
    genuine = forge.verify(message)
    accepted = 0
    for _ in range(150):
        changed = mutate(message, random_)
        if random_.random() < 0.3:
            try:
                changed = mutate(changed, random_)
            except (etree.XMLSyntaxError, IndexError):
                continue
        try:
            verified = forge.verify(changed)
        except MessageRejected:  # by design; a crash of another kind fails the test
            continue
        accepted += 1
        assert verified.canonical_body == genuine.canonical_body
        assert verified.evidence.signed_info == genuine.evidence.signed_info
        assert verified.evidence.timestamp == genuine.evidence.timestamp
        assert verified.caller == genuine.caller
        assert verified.replay_key == genuine.replay_key
        assert xmlsec_verifies(changed, forge.credential)
    assert accepted < 75
