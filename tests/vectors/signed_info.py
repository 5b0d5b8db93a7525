"""TV-30 to TV-44: what the signature says of itself; signed by the sender, unless a sentence says otherwise."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree
from lxml.etree import _Element

from cbss_inscription import names
from cbss_inscription.domain.errors import MalformedMessage, NotAuthenticated, WsiViolation
from cbss_inscription.security.c14n import canonical
from tests.vectors.vector import ACCEPTED, FORGED_SSIN, REQUEST, Bench, Variant, add, refused, the, vectors, written

DS: Final = f"{{{names.DS}}}"
PARTS: Final = ("token", "timestamp", "body")
GRAMMAR: Final = refused(NotAuthenticated, "signature-grammar")
VALUE: Final = refused(NotAuthenticated, "signature-value")

CANONICALIZATIONS: Final = (
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "http://www.w3.org/2006/12/xml-c14n11",
    "http://www.w3.org/2006/12/xml-c14n11#WithComments",
    "http://www.w3.org/2010/xml-c14n2",
    "http://www.w3.org/2001/10/xml-exc-c14n",
    "http://www.w3.org/2000/09/xmldsig#minimal",
    "",
)
"""Every canonicalisation of XMLDSig, XMLDSig 1.1 and RFC 9231 but the right one; and what only looks like it."""
DIGESTS: Final = (
    "http://www.w3.org/2000/09/xmldsig#sha1",
    "http://www.w3.org/2001/04/xmldsig-more#md5",
    "http://www.w3.org/2001/04/xmldsig-more#sha224",
    "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512",
    "http://www.w3.org/2001/04/xmlenc#ripemd160",
    "http://www.w3.org/2007/05/xmldsig-more#sha3-224",
    "http://www.w3.org/2007/05/xmldsig-more#sha3-256",
    "http://www.w3.org/2007/05/xmldsig-more#sha3-384",
    "http://www.w3.org/2007/05/xmldsig-more#sha3-512",
    "http://www.w3.org/2007/05/xmldsig-more#whirlpool",
    "urn:ietf:params:xml:ns:cpxmlsec:algorithms:gostr34112012-256",
    "",
)
SIGNATURES: Final = (
    *(f"http://www.w3.org/2000/09/xmldsig#{name}" for name in ("rsa-sha1", "dsa-sha1", "hmac-sha1")),
    *(
        f"http://www.w3.org/2001/04/xmldsig-more#{name}"
        for name in (
            *(f"rsa-{digest}" for digest in ("md5", "ripemd160", "sha224", "sha384", "sha512", "whirlpool")),
            *(f"hmac-{digest}" for digest in ("md5", "ripemd160", "sha224", "sha256", "sha384", "sha512")),
            *(f"ecdsa-{digest}" for digest in ("sha1", "sha224", "sha256", "sha384", "sha512")),
            "esign-sha1",
        )
    ),
    *(
        f"http://www.w3.org/2007/05/xmldsig-more#{name}"
        for name in (
            *(f"{digest}-rsa-MGF1" for digest in ("md2", "md5", "sha1", "sha224", "sha256", "sha384", "sha512")),
            *(f"sha3-{bits}-rsa-MGF1" for bits in (224, 256, 384, 512)),
            *(f"ecdsa-{digest}" for digest in ("ripemd160", "whirlpool", "sha3-256")),
            "rsa-pss",
        )
    ),
    "http://www.w3.org/2009/xmldsig11#dsa-sha256",
    "http://www.w3.org/2021/04/xmldsig-more#ecdsa-sha3-256",
    "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
    "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed448",
    "urn:ietf:params:xml:ns:cpxmlsec:algorithms:gostr34102012-gostr34112012-256",
    "",
    f"{names.RSA_SHA256} ",
    names.RSA_SHA256.upper(),
)
TRANSFORMS: Final = (
    *CANONICALIZATIONS,
    "http://www.w3.org/TR/1999/REC-xslt-19991116",
    "http://www.w3.org/TR/1999/REC-xpath-19991116",
    "http://www.w3.org/2002/06/xmldsig-filter2",
    "http://www.w3.org/2001/04/xmldsig-more#xptr",
    "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
    "http://www.w3.org/2000/09/xmldsig#base64",
    "http://www.w3.org/2002/07/decrypt#XML",
    "http://www.w3.org/2002/07/decrypt#Binary",
    "http://schemas.openxmlformats.org/package/2006/RelationshipTransform",
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform",
    "http://docs.oasis-open.org/wss/oasis-wss-SwAProfile-1.1#Attachment-Content-Signature-Transform",
)


def _name(uri: str) -> str:
    """A URI as a part of a name; blanks and hashes at its end still tell it from others."""
    return re.sub(r"[^A-Za-z0-9.]", "-", uri.removeprefix("http://www.w3.org/")) or "empty"


@vectors(30, "SEC-34")
def number_of_references(bench: Bench) -> Iterator[Variant]:
    """No reference, one, two or four; a part that is not signed at all."""
    for kept in ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2, 2), (0, 0, 1, 2), (0, 1, 2, 0)):
        root = bench.tree()
        references = [copy.deepcopy(bench.forge.reference(root, position)) for position in kept]
        signed_info = the(root, names.DS_SIGNED_INFO)
        del signed_info[2:]
        signed_info.extend(references)
        name = "-".join(PARTS[position] for position in kept) or "none"
        yield Variant(name=name, message=bench.resigned(root), expected=refused(NotAuthenticated, "reference-count"))


@vectors(31, "SEC-34", "SEC-35")
def one_part_twice(bench: Bench) -> Iterator[Variant]:
    """Three references of which two name the same part, so that the third is not signed."""
    for twice, part in enumerate(PARTS):
        for instead, missing in enumerate(PARTS):
            if twice != instead:
                root = bench.tree()
                bench.forge.reference(root, instead).set("URI", bench.forge.reference(root, twice).get("URI") or "")
                yield Variant(
                    name=f"{part}-for-{missing}",
                    message=bench.resigned(root),
                    expected=refused(NotAuthenticated, "reference-target"),
                )


@vectors(32, "SEC-32")
def other_canonicalizations(bench: Bench) -> Iterator[Variant]:
    """SignedInfo by any canonicalisation but exclusive C14N without comments."""
    for uri in CANONICALIZATIONS:
        root = bench.tree()
        the(root, names.DS_CANONICALIZATION_METHOD).set("Algorithm", uri)
        yield Variant(
            name=_name(uri),
            message=bench.resigned(root),
            expected=refused(NotAuthenticated, "canonicalization-algorithm"),
        )


@vectors(33, "SEC-34")
def other_digests(bench: Bench) -> Iterator[Variant]:
    """A digest by any algorithm but SHA-256, for each part."""
    for uri in DIGESTS:
        for position, part in enumerate(PARTS):
            root = bench.tree()
            reference = bench.forge.reference(root, position)
            the(reference, names.DS_DIGEST_METHOD).set("Algorithm", uri)
            made = {"sha1": "sha1", "sha384": "sha384", "sha512": "sha512", "sha3-256": "sha3_256"}
            digest = made.get(uri.rpartition("#")[2])
            if digest is not None:  # the digest is right by the algorithm that is named
                target = {"token": names.WSSE_TOKEN, "timestamp": names.WSU_TIMESTAMP, "body": names.SOAP_BODY}[part]
                value = hashlib.new(digest, canonical(the(root, target))).digest()
                the(reference, names.DS_DIGEST_VALUE).text = base64.b64encode(value).decode()
            yield Variant(
                name=f"{_name(uri)}-{part}",
                message=bench.resigned(root, digests=False),
                expected=refused(NotAuthenticated, "digest-algorithm"),
            )


@vectors(34, "SEC-33")
def other_signature_algorithms(bench: Bench) -> Iterator[Variant]:
    """A signature by any algorithm but rsa-sha256, whatever the value is."""
    real = {
        "rsa-sha1": hashes.SHA1(),
        "rsa-sha224": hashes.SHA224(),
        "rsa-sha384": hashes.SHA384(),
        "rsa-sha512": hashes.SHA512(),
    }
    for uri in SIGNATURES:
        root = bench.tree()
        the(root, names.DS_SIGNATURE_METHOD).set("Algorithm", uri)
        message = bench.resigned(root, hash_algorithm=real.get(uri.rpartition("#")[2]))
        yield Variant(name=_name(uri), message=message, expected=refused(NotAuthenticated, "algorithm"))


@vectors(35, "SEC-33")
def hmac_with_the_certificate(bench: Bench) -> Iterator[Variant]:
    """An HMAC with the certificate as the secret, whole or cut by HMACOutputLength to 0, 1 or 8 bits."""
    der = bench.forge.signer.certificate_der
    for algorithm, digest in (("2001/04/xmldsig-more#hmac-sha256", "sha256"), ("2000/09/xmldsig#hmac-sha1", "sha1")):
        for key_name, key in (("certificate", der), ("certificate-as-text", base64.b64encode(der)), ("empty", b"")):
            for bits in (None, 0, 1, 8):
                root = bench.tree()
                method = the(root, names.DS_SIGNATURE_METHOD)
                method.set("Algorithm", f"http://www.w3.org/{algorithm}")
                if bits is not None:
                    add(method, f"{DS}HMACOutputLength", str(bits))
                value = hmac.new(key, canonical(the(root, names.DS_SIGNED_INFO)), digest).digest()
                value = value if bits is None else value[: bits // 8]
                the(root, names.DS_SIGNATURE_VALUE).text = base64.b64encode(value).decode() or "AA=="
                cut = "" if bits is None else f"-{bits}-bits"
                yield Variant(
                    name=f"{digest}-{key_name}{cut}",
                    message=written(root),
                    expected=refused(NotAuthenticated, "algorithm"),
                )
    for bits in (0, 8):
        root = bench.tree()
        add(the(root, names.DS_SIGNATURE_METHOD), f"{DS}HMACOutputLength", str(bits))
        yield Variant(name=f"rsa-{bits}-bits", message=bench.resigned(root), expected=GRAMMAR)


@vectors(36, "SEC-34")
def transforms(bench: Bench) -> Iterator[Variant]:
    """Any transform but exclusive C14N instead of it, before it or after it; none; two; with content."""
    count = refused(NotAuthenticated, "transform-count")
    for uri in TRANSFORMS:
        for position, part in enumerate(PARTS):
            root = bench.tree()
            the(bench.forge.reference(root, position), names.DS_TRANSFORM).set("Algorithm", uri)
            yield Variant(
                name=f"{_name(uri)}-instead-{part}",
                message=bench.resigned(root),
                expected=refused(NotAuthenticated, "transform-algorithm"),
            )
    for uri in (*TRANSFORMS, names.EXC_C14N):
        for place, index in (("before", 0), ("after", 1)):
            root = bench.tree()
            add(
                the(bench.forge.reference(root, 2), names.DS_TRANSFORMS),
                names.DS_TRANSFORM,
                index=index,
                Algorithm=uri,
            )
            yield Variant(name=f"{_name(uri)}-{place}", message=bench.resigned(root), expected=count)
    root = bench.tree()
    del the(root, names.DS_TRANSFORMS)[:]
    yield Variant(name="empty", message=bench.resigned(root), expected=count)
    root = bench.tree()
    reference = bench.forge.reference(root, 2)
    reference.remove(reference[0])
    yield Variant(name="none", message=bench.resigned(root), expected=refused(NotAuthenticated, "reference-grammar"))
    root = bench.tree()
    add(the(root, names.DS_TRANSFORM), f"{DS}XPath", "false()")
    yield Variant(name="xpath-inside", message=bench.resigned(root), expected=GRAMMAR)


@vectors(37, "SEC-34")
def uris(bench: Bench) -> Iterator[Variant]:
    """A reference that is not `#` and a plain id: the whole document, XPointer, file, address, attachment."""
    for name, uri in (
        ("empty", ""),
        ("hash", "#"),
        ("xpointer-root", "#xpointer(/)"),
        ("xpointer-id", "#xpointer(id('{id}'))"),
        ("element-scheme", "#element({id})"),
        ("cid", "cid:{id}"),
        ("http", "http://127.0.0.1:9/{id}"),
        ("http-fragment", "http://127.0.0.1:9/#{id}"),
        ("file", "file:///etc/hostname"),
        ("relative", "message.xml#{id}"),
        ("accent", "#\u00e9"),
    ):
        for position, part in enumerate(PARTS):
            root = bench.tree()
            reference = bench.forge.reference(root, position)
            reference.set("URI", uri.replace("{id}", (reference.get("URI") or "")[1:]))
            yield Variant(
                name=f"{name}-{part}",
                message=bench.resigned(root, digests=False),
                expected=refused(NotAuthenticated, "reference-uri"),
            )
    root = bench.tree()
    del bench.forge.reference(root, 2).attrib["URI"]
    yield Variant(
        name="none",
        message=bench.resigned(root, digests=False),
        expected=refused(NotAuthenticated, "reference-grammar"),
    )


@vectors(38, "SEC-31", "SEC-34")
def manifests(bench: Bench) -> Iterator[Variant]:
    """A Manifest that refers to the parts, or a reference that says it is to one."""
    for name, where in (
        ("in-an-object", names.DS_SIGNATURE),
        ("in-signed-info", names.DS_SIGNED_INFO),
    ):
        root = bench.tree()
        parent = the(root, where)
        if where == names.DS_SIGNATURE:
            parent = add(parent, f"{DS}Object")
        manifest = add(parent, f"{DS}Manifest", Id="manifest")
        manifest.append(copy.deepcopy(bench.forge.reference(root, 2)))
        yield Variant(name=name, message=bench.resigned(root), expected=GRAMMAR)
    root = bench.tree()
    bench.forge.reference(root, 2).set("Type", "http://www.w3.org/2000/09/xmldsig#Manifest")
    yield Variant(name="type", message=bench.resigned(root), expected=refused(NotAuthenticated, "reference-grammar"))


@vectors(39, "SEC-31")
def second_signed_info(bench: Bench) -> Iterator[Variant]:
    """Two SignedInfo, two SignatureValue, two Signatures: a forged one before or after the genuine one."""
    for place in ("before", "after"):
        for tag in (names.DS_SIGNED_INFO, names.DS_SIGNATURE_VALUE, names.DS_KEY_INFO):
            root = bench.tree()
            original = the(root, tag)
            twin = bench.forge.copy(original)
            for value in twin.iter(names.DS_DIGEST_VALUE):
                value.text = base64.b64encode(bytes(32)).decode()
            (original.addprevious if place == "before" else original.addnext)(twin)
            yield Variant(name=f"{etree.QName(tag).localname}-{place}", message=written(root), expected=GRAMMAR)
        root = bench.tree()
        original = the(root, names.DS_SIGNATURE)
        twin = bench.forge.copy(original)
        (original.addprevious if place == "before" else original.addnext)(twin)
        yield Variant(
            name=f"Signature-{place}", message=written(root), expected=refused(NotAuthenticated, "security-grammar")
        )
    root = bench.tree()
    signature = the(root, names.DS_SIGNATURE)
    signature.append(the(signature, names.DS_SIGNATURE_VALUE))
    yield Variant(name="another-order", message=written(root), expected=GRAMMAR)


@vectors(40, "SEC-20", "SEC-31", "SEC-34")
def nodes_in_a_digest(bench: Bench) -> Iterator[Variant]:
    """A comment, processing instruction, entity or element inside DigestValue or SignatureValue."""
    for tag, name in ((names.DS_DIGEST_VALUE, "digest"), (names.DS_SIGNATURE_VALUE, "signature")):
        for kind, node, expected in (
            ("comment", etree.Comment(""), refused(NotAuthenticated, "comment")),
            ("processing-instruction", etree.PI("x", "y"), refused(WsiViolation, "processing-instruction")),
            (
                "element",
                etree.Element("{urn:x}x"),
                GRAMMAR if tag == names.DS_SIGNATURE_VALUE else refused(NotAuthenticated, "reference-grammar"),
            ),
        ):
            root = bench.tree()
            value = the(root, tag)
            text = value.text or ""
            value.text, node.tail = text[:4], text[4:]
            value.append(node)
            yield Variant(name=f"{kind}-in-the-{name}", message=written(root), expected=expected)
        root = bench.tree()
        text = (the(root, tag).text or "").encode()
        message = bench.message.replace(text, text[:4] + b"&unknown;" + text[4:])
        yield Variant(
            name=f"entity-in-the-{name}", message=message, expected=refused(MalformedMessage, "not-well-formed")
        )


@vectors(41, "SEC-31", "SEC-52")
def texts_of_the_signature(bench: Bench) -> Iterator[Variant]:
    """SignatureValue with XML white space is the same; with junk, other blanks or bits, or empty, it is not base64."""
    spelling = refused(NotAuthenticated, "signature-base64")
    value = the(bench.tree(), names.DS_SIGNATURE_VALUE).text or ""
    for name, text, expected in (
        (
            "lines",
            f"\n  {value[:64]}\r\n\t{value[64:]}\n",
            ACCEPTED,
        ),
        ("dollar", value + "$", spelling),
        ("junk-inside", value[:8] + "!" + value[8:], spelling),
        ("no-break-space", value + "\u00a0", spelling),
        ("url-alphabet", "-_" + value[2:], spelling),
        ("no-padding", value.rstrip("="), spelling),
        ("more-padding", value + "=", spelling),
        ("unused-bits", _with_unused_bits(value), spelling),
        ("empty", "", spelling),
        ("blank", " ", spelling),
    ):
        root = bench.tree()
        the(root, names.DS_SIGNATURE_VALUE).text = text
        yield Variant(name=name, message=written(root), expected=expected)


def _with_unused_bits(value: str) -> str:
    """Another spelling of the same bytes: a bit set that decoding drops."""
    padding_chars = len(value) - len(value.rstrip("="))
    assert padding_chars
    last = value.rstrip("=")[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return value.rstrip("=")[:-1] + alphabet[alphabet.index(last) + 1] + "=" * padding_chars


def _valued(root: _Element, value: bytes) -> bytes:
    the(root, names.DS_SIGNATURE_VALUE).text = base64.b64encode(value).decode()
    return written(root)


@vectors(42, "SEC-37")
def rsa_forgeries(bench: Bench) -> Iterator[Variant]:
    """What a lenient PKCS #1 v1.5 check takes: hash not at the end, short padding, wrong or missing DigestInfo."""
    key = bench.forge.credential.private_key
    numbers = key.private_numbers()
    modulus, size = numbers.public_numbers.n, key.key_size // 8
    info = bytes.fromhex("3031300d060960864801650304020105000420")
    sha1_info = bytes.fromhex("3021300906052b0e03021a05000414")
    short = bytes.fromhex("302f300b06096086480165030402010420")  # AlgorithmIdentifier without its NULL
    forgeries: dict[str, Callable[[bytes], bytes]] = {
        "right-encoding": lambda digest: b"\x00\x01" + b"\xff" * (size - 54) + b"\x00" + info + digest,
        "garbage-behind": lambda digest: b"\x00\x01" + b"\xff" * 8 + b"\x00" + info + digest + bytes(size - 62),
        "garbage-in-the-parameters": lambda digest: (
            b"\x00\x01"
            + b"\xff" * 8
            + b"\x00"
            + bytes.fromhex("3081f23081cd06096086480165030402010481bf")
            + bytes(size - 65)
            + b"\x04\x20"
            + digest
        ),
        "block-type-2": lambda digest: b"\x00\x02" + b"\xff" * (size - 54) + b"\x00" + info + digest,
        "block-type-0": lambda digest: b"\x00\x00" + b"\x00" * (size - 54) + b"\x00" + info + digest,
        "padding-with-a-hole": lambda digest: (
            b"\x00\x01" + b"\xff" * 20 + b"\xfe" + b"\xff" * (size - 75) + b"\x00" + info + digest
        ),
        "no-null": lambda digest: b"\x00\x01" + b"\xff" * (size - 52) + b"\x00" + short + digest,
        "no-digest-info": lambda digest: b"\x00\x01" + b"\xff" * (size - 35) + b"\x00" + digest,
        "sha1-named": lambda digest: b"\x00\x01" + b"\xff" * (size - 38) + b"\x00" + sha1_info + digest[:20],
    }
    for name, encode in forgeries.items():
        root = bench.tree()
        block = encode(hashlib.sha256(canonical(the(root, names.DS_SIGNED_INFO))).digest())
        assert len(block) == size
        value = pow(int.from_bytes(block, "big"), numbers.d, modulus).to_bytes(size, "big")
        expected = ACCEPTED if name == "right-encoding" else VALUE
        yield Variant(name=name, message=_valued(root, value), expected=expected)
    # with e = 3 an attacker needs no key: a cube root whose first bytes are right
    root = bench.tree()
    digest = hashlib.sha256(canonical(the(root, names.DS_SIGNED_INFO))).digest()
    prefix = b"\x00\x01" + b"\xff" * 8 + b"\x00" + info + digest
    root_of_it = _cube_root(int.from_bytes(prefix.ljust(size, b"\xff"), "big"))
    assert (root_of_it**3).to_bytes(size, "big").startswith(prefix)
    yield Variant(name="cube-root", message=_valued(root, root_of_it.to_bytes(size, "big")), expected=VALUE)
    pss = key.sign(
        canonical(the(root, names.DS_SIGNED_INFO)), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()
    )
    yield Variant(name="pss-under-the-name-of-pkcs1", message=_valued(root, pss), expected=VALUE)


def _cube_root(number: int) -> int:
    low, high = 0, 1 << (number.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle - 1)
    return low


@vectors(43, "SEC-37")
def lengths_of_the_signature(bench: Bench) -> Iterator[Variant]:
    """A signature with a byte less or more, none that counts, greater than the modulus, or of any other size."""
    value = base64.b64decode(the(bench.tree(), names.DS_SIGNATURE_VALUE).text or "")
    modulus = bench.forge.credential.private_key.public_key().public_numbers().n
    size = len(value)
    for name, changed in (
        ("first-byte-missing", value[1:]),
        ("last-byte-missing", value[:-1]),
        ("half", value[: size // 2]),
        ("one-byte", value[:1]),
        ("zero-before", b"\x00" + value),
        ("zero-behind", value + b"\x00"),
        ("twice", value + value),
        ("all-zero", bytes(size)),
        ("one", (1).to_bytes(size, "big")),
        ("modulus", modulus.to_bytes(size, "big")),
        ("plus-modulus", (int.from_bytes(value, "big") + modulus).to_bytes(size + 1, "big")),
        ("minus-itself", (modulus - int.from_bytes(value, "big")).to_bytes(size, "big")),
        ("one-bit", bytes([value[0] ^ 1]) + value[1:]),
        ("100-kilobytes", value.ljust(100_000, b"\x00")),
    ):
        yield Variant(name=name, message=_valued(bench.tree(), changed), expected=VALUE)


@vectors(44, "SEC-34", "SEC-35", "SEC-37")
def signatures_of_something_else(bench: Bench) -> Iterator[Variant]:
    """A signature by another key, by another hash than it says, over other bytes; digests of other bytes or none."""
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    for name, options in (
        ("another-key", {"key": other}),
        ("sha1", {"hash_algorithm": hashes.SHA1()}),
        ("sha512", {"hash_algorithm": hashes.SHA512()}),
    ):
        yield Variant(name=name, message=bench.resigned(bench.tree(), **options), expected=VALUE)
    root, another = bench.tree(), etree.fromstring(bench.signed(REQUEST))
    the(root, names.DS_SIGNATURE_VALUE).text = the(another, names.DS_SIGNATURE_VALUE).text
    yield Variant(name="of-another-message", message=written(root), expected=VALUE)
    root = bench.tree()
    the(root, "ssin").text = FORGED_SSIN
    digest = refused(NotAuthenticated, "signature-digest")
    yield Variant(name="changed-body", message=written(root), expected=digest)
    root = bench.tree()
    the(root, names.WSU_EXPIRES).text = "2026-03-02T09:34:00.000Z"
    yield Variant(name="changed-timestamp", message=written(root), expected=digest)
    root = bench.tree()
    the(root, names.WSSE_TOKEN).text = base64.b64encode(bench.pki.certificates["renewed"].der).decode()
    yield Variant(name="changed-token", message=written(root), expected=VALUE)
    for position, part in enumerate(PARTS):
        root = bench.tree()
        value = the(bench.forge.reference(root, position), names.DS_DIGEST_VALUE)
        value.text = the(bench.forge.reference(root, position - 1), names.DS_DIGEST_VALUE).text
        yield Variant(
            name=f"digest-of-another-for-{part}", message=bench.resigned(root, digests=False), expected=digest
        )
    spelling, length = refused(NotAuthenticated, "digest-base64"), refused(NotAuthenticated, "digest-length")
    right = the(bench.tree(), names.DS_DIGEST_VALUE).text or ""
    for name, text, expected in (
        ("empty-digest", "", spelling),
        ("digest-of-3-bytes", "AAAA", length),
        ("digest-of-20-bytes", base64.b64encode(bytes(20)).decode(), length),
        ("digest-of-33-bytes", base64.b64encode(bytes(33)).decode(), length),
        ("digest-without-padding", right.rstrip("="), spelling),
        ("digest-with-junk", f"*{right}", spelling),
        ("digest-with-unused-bits", _with_unused_bits(right), spelling),
    ):
        root = bench.tree()
        the(root, names.DS_DIGEST_VALUE).text = text
        yield Variant(name=name, message=bench.resigned(root, digests=False), expected=expected)


@vectors(44, "SEC-38")
def no_canonical_form(bench: Bench) -> Iterator[Variant]:
    """A namespace that is a relative URI, in SignedInfo or a signed part: an error is no digest of nothing."""
    nothing = refused(NotAuthenticated, "canonicalization")
    for name, start, position in (
        ("signed-info", b"<ds:SignedInfo", None),
        ("token", b"<wsse:BinarySecurityToken", 0),
        ("timestamp", b"<wsu:Timestamp", 1),
        ("body", b"<soapenv:Body", 2),
    ):
        root = etree.fromstring(bench.message.replace(start, start + b' xmlns:r="relative"'))
        place = the(root, names.DS_SIGNED_INFO) if position is None else bench.forge.reference(root, position)
        method = names.DS_CANONICALIZATION_METHOD if position is None else names.DS_TRANSFORM
        add(the(place, method), names.EXC_INCLUSIVE_NAMESPACES, PrefixList="r")
        message = written(root) if position is None else bench.resigned(root, digests=False)
        yield Variant(name=f"relative-namespace-of-{name}", message=message, expected=nothing)
    root = bench.tree()
    add(the(root, "criteria"), "{relative}x")
    yield Variant(name="relative-namespace-in-the-body", message=written(root), expected=nothing)
