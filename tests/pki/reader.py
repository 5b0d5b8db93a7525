"""The PKI that `pki.toml` declares: authorities, certificates good and bad, revocation lists, and what each is for.

What `cryptography` will not make is made by changing the bytes of what it made and signing them again with the
authority's key: the result is what an authority would have to be mad to issue, and is well signed all the same.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from cbss_inscription.sandbox.pki import Credential, issue_application_certificate, issue_authority
from cbss_inscription.security.trust import CBE_PREFIX, TrustStore, _children, _contents

DECLARATION: Final = Path(__file__).with_name("pki.toml")
TRUSTED: Final = "standard"
"""The set of authorities and lists that a message meets, unless its vector names another."""

_DAYS: Final = (-30, 700)
_HOURS: Final = (-24, 24)
_ATTRIBUTES: Final = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
}
_HASHES: Final = {"sha224": hashes.SHA224(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384()}
_FORBIDDEN_HASHES: Final = {"sha1": (hashes.SHA1(), 0x05), "md5": (hashes.MD5(), 0x04)}
"""What `cryptography` will not sign a certificate with, and the last byte of its name: 1.2.840.113549.1.1.x."""
_SHA256_WITH_RSA: Final = bytes.fromhex("06092a864886f70d01010b")
_UNKNOWN: Final = b"\x05\x00"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the declaration says about a certificate, or a set of lists: the vector it is, and what comes of it."""

    name: str
    says: str
    expected: str
    vector: str | None
    proves: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DeclaredCertificate(Case):
    """A certificate with its key; `der` is not always what `cryptography` could read."""

    der: bytes = field(repr=False)
    private_key: Any = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """A signature as its owner would make it, by whatever kind of key it has."""
        if isinstance(self.private_key, rsa.RSAPrivateKey):
            return self.private_key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(self.private_key, ec.EllipticCurvePrivateKey):
            return self.private_key.sign(data, ec.ECDSA(hashes.SHA256()))
        return self.private_key.sign(data)


@dataclass(frozen=True, kw_only=True)
class DeclaredTrust(Case):
    """A set of revocation lists beside the authorities, and who sends a message under it."""

    sender: str
    lists: tuple[bytes, ...] = field(repr=False)


class DeclaredPki:
    """Everything in `pki.toml`, made when it is first asked for."""

    def __init__(self) -> None:
        self._declared: Final = tomllib.loads(DECLARATION.read_text(encoding="utf-8"))
        self.environment: Final = str(self._declared["environment"])
        self.urn: Final = str(self._declared["urn"])
        self.cbe: Final = str(self._declared["cbe"])
        self.now: Final[datetime] = self._declared["now"]
        self._keys: Final[dict[str, Any]] = {}
        self._issuers: Final[dict[str, Credential]] = {}

    @cached_property
    def authorities_pem(self) -> bytes:
        """The trusted authorities, roots and intermediates, in PEM."""
        trusted = (name for name, declared in self._declared["authorities"].items() if declared.get("trusted", True))
        return b"".join(self.authority(name).certificate.public_bytes(Encoding.PEM) for name in trusted)

    def authority(self, name: str) -> Credential:
        """An authority; or an application's credential, for those that issue what they may not."""
        if name not in self._issuers:
            declared = self._declared["authorities"].get(name)
            self._issuers[name] = self._application(name) if declared is None else self._make_authority(declared)
        return self._issuers[name]

    @cached_property
    def certificates(self) -> Mapping[str, DeclaredCertificate]:
        """Every certificate, by its name."""
        return {name: self._certificate(name) for name in self._declared["certificates"]}

    @cached_property
    def trusts(self) -> Mapping[str, DeclaredTrust]:
        """Every set of lists, by its name."""
        made = {name: self._list(declared) for name, declared in self._declared["lists"].items()}
        return {
            name: DeclaredTrust(
                **_case(name, declared),
                sender=declared.get("sender", "genuine"),
                lists=tuple(made[one] for one in declared["lists"]),
            )
            for name, declared in self._declared["trust"].items()
        }

    def store(self, trust: str = TRUSTED) -> TrustStore:
        """The store of a set: revocation lists are required. Raises UsageError for a set that cannot be loaded."""
        return TrustStore(
            authorities_pem=self.authorities_pem,
            environment=self.environment,
            revocation_lists=self.trusts[trust].lists,
            revocation_required=True,
        )

    def key(self, name: str) -> Any:
        """A key of the declaration; the same name is the same key."""
        if name not in self._keys:
            declared = self._declared["keys"][name]
            match declared.get("curve"):
                case None:
                    exponent = declared.get("exponent", 65_537)
                    key: Any = rsa.generate_private_key(public_exponent=exponent, key_size=declared["bits"])
                case "P-256":
                    key = ec.generate_private_key(ec.SECP256R1())
                case _:
                    key = ed25519.Ed25519PrivateKey.generate()
            self._keys[name] = key
        return self._keys[name]

    def _validity(self, declared: Mapping[str, Any]) -> dict[str, datetime]:
        first, last = declared.get("days", _DAYS)
        return {"not_before": self.now + timedelta(days=first), "not_after": self.now + timedelta(days=last)}

    def _make_authority(self, declared: Mapping[str, Any]) -> Credential:
        issuer = declared.get("issuer")
        return issue_authority(
            declared["name"],
            issuer=None if issuer is None else self.authority(issuer),
            path_length=declared.get("path_length", 0),
            private_key=rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
            extra_extensions=list(_constraints(declared)),
            **self._validity(declared),
        )

    def _application(self, name: str) -> Credential:
        declared = self._declared["certificates"][name]
        key = self.key(declared.get("key", "sender"))
        issuer = declared.get("issuer", "issuing")
        subject = self._subject(declared.get("subject", ["C=BE", "ORGANIZATION", *_GOOD_SUBJECT]))
        return issue_application_certificate(
            subject,
            issuer=self.authority(issuer) if issuer else self._itself(subject, key),
            private_key=key,
            extensions=list(_extensions(declared)),
            signature_hash=_HASHES.get(declared.get("signature", "sha256")),
            **self._validity(declared),
        )

    def _itself(self, subject: x509.Name, key: Any) -> Credential:
        """Who signs its own certificate: one of its own name and key, made for the purpose."""
        root = self.authority("root")
        certificate = issue_application_certificate(
            subject, issuer=root, private_key=key, **self._validity({})
        ).certificate
        return Credential(certificate=certificate, private_key=key)

    def _certificate(self, name: str) -> DeclaredCertificate:
        declared = self._declared["certificates"][name]
        credential = self.authority(name)
        der = credential.certificate.public_bytes(Encoding.DER)
        signature = declared.get("signature")
        changes = {"replace", "version"} & declared.keys() or signature in _FORBIDDEN_HASHES
        if changes:
            issuer = self.authority(declared.get("issuer", "issuing"))
            der = _signed_again(credential.certificate, issuer, _change(declared), signature or "sha256")
        return DeclaredCertificate(**_case(name, declared), der=der, private_key=credential.private_key)

    def _subject(self, attributes: list[Any]) -> x509.Name:
        good = {
            "ORGANIZATION": f"O={self._declared['organization']}",
            "GOVERNMENT": f"OU={self._declared['government']}",
            "CBE": f"OU={CBE_PREFIX}{self.cbe}",
            "ENVIRONMENT": f"OU={self.environment}",
            "URN": f"CN={self.urn}",
        }

        def attribute(text: str) -> x509.NameAttribute:
            kind, _, value = good.get(text, text).partition("=")
            name, _, string = kind.partition("/")
            tag = [_ASN1Type[string]] if string else []
            return x509.NameAttribute(_ATTRIBUTES[name], value, *tag, _validate=False)

        together = (item if isinstance(item, list) else [item] for item in attributes)
        return x509.Name([x509.RelativeDistinguishedName(map(attribute, texts)) for texts in together])

    def _list(self, declared: Mapping[str, Any]) -> bytes:
        """A revocation list in DER."""
        issuer = self.authority(declared["issuer"])
        first, last = (self.now + timedelta(hours=hours) for hours in declared.get("hours", _HOURS))
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(first)
            .next_update(last)
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        for extension, critical in _list_extensions(declared):
            builder = builder.add_extension(extension, critical=critical)
        for name in declared.get("revoked", ()):
            number = self.authority(name).certificate.serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(first)
            for extension, critical in _entry_extensions(declared.get("entry")):
                entry = entry.add_extension(extension, critical=critical)
            builder = builder.add_revoked_certificate(entry.build())
        key = self.authority(declared.get("signed_by", declared["issuer"])).private_key
        der = builder.sign(key, _HASHES[declared.get("signature", "sha256")]).public_bytes(Encoding.DER)
        return der[: len(der) // 2] if declared.get("cut") else der


_GOOD_SUBJECT: Final = ("GOVERNMENT", "CBE", "ENVIRONMENT", "URN")


def declared_cases() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """TV, name, SEC ids and sentence of each case that is a vector; nothing is made for it."""
    declared = tomllib.loads(DECLARATION.read_text(encoding="utf-8"))
    for kind in ("certificates", "trust"):
        for name, item in declared[kind].items():
            if "vector" in item:
                yield item["vector"], name, tuple(item["proves"]), item["says"]


def _case(name: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "says": declared.get("says", ""),
        "expected": declared.get("expected", "accepted"),
        "vector": declared.get("vector"),
        "proves": tuple(declared.get("proves", ())),
    }


# --- extensions -----------------------------------------------------------------------------------------------------


def _extensions(declared: Mapping[str, Any]) -> Iterator[tuple[x509.ExtensionType, bool]]:
    yield x509.BasicConstraints(ca=declared.get("authority", False), path_length=None), True
    uses = declared.get("key_usage", ["digital_signature"])
    if uses:
        yield x509.KeyUsage(**{use: use in uses for use in _USES}), True
    if "extended_key_usage" in declared:
        usages = map(x509.ObjectIdentifier, declared["extended_key_usage"])
        yield x509.ExtendedKeyUsage(usages), False
    if "crl_location" in declared:
        yield (
            x509.CRLDistributionPoints([x509.DistributionPoint(_places(declared["crl_location"]), *[None] * 3)]),
            False,
        )
    yield from _constraints(declared)
    yield from _unknown_extension(declared)


_USES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _constraints(declared: Mapping[str, Any]) -> Iterator[tuple[x509.ExtensionType, bool]]:
    if "permitted" in declared:
        name, _, value = declared["permitted"].partition("=")
        tree = x509.DirectoryName(x509.Name([x509.NameAttribute(_ATTRIBUTES[name], value)]))
        yield x509.NameConstraints(permitted_subtrees=[tree], excluded_subtrees=None), True


def _unknown_extension(declared: Mapping[str, Any]) -> Iterator[tuple[x509.ExtensionType, bool]]:
    if "extension" in declared:
        oid = x509.ObjectIdentifier(declared["extension"]["oid"])
        yield x509.UnrecognizedExtension(oid, _UNKNOWN), declared["extension"]["critical"]


def _list_extensions(declared: Mapping[str, Any]) -> Iterator[tuple[x509.ExtensionType, bool]]:
    yield from _unknown_extension(declared)
    if "delta" in declared:
        yield x509.DeltaCRLIndicator(declared["delta"]), True
    if "covers" in declared:
        covers = dict(declared["covers"])
        reasons = covers.pop("only_some_reasons", None)
        place = covers.pop("full_name", None)
        flags = ("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs")
        point = x509.IssuingDistributionPoint(
            full_name=None if place is None else _places(place),
            relative_name=None,
            only_some_reasons=None if reasons is None else frozenset(map(_reason, reasons)),
            **{flag: covers.get(flag, False) for flag in flags},
        )
        yield point, True


def _entry_extensions(entry: str | None) -> Iterator[tuple[x509.ExtensionType, bool]]:
    if entry == "certificate-issuer":
        yield x509.CertificateIssuer(_places("http://127.0.0.1:9/another")), True
    elif entry is not None:
        yield x509.CRLReason(_reason(entry)), False


def _reason(name: str) -> x509.ReasonFlags:
    return x509.ReasonFlags[name]


def _places(url: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(url)]


# --- bytes ----------------------------------------------------------------------------------------------------------


def _change(declared: Mapping[str, Any]) -> Callable[[bytes], bytes]:
    """What happens to the part of a certificate that is signed."""

    def change(tbs: bytes) -> bytes:
        if "replace" in declared:
            old, new = map(bytes.fromhex, declared["replace"])
            assert tbs.count(old) == 1
            assert len(old) == len(new)
            tbs = tbs.replace(old, new)
        if declared.get("version") == 1:
            _, *fields, _ = _children(_contents(tbs))  # neither the version before, nor the extensions behind
            tbs = der_sequence(*fields)
        return tbs

    return change


def _signed_again(
    certificate: x509.Certificate, issuer: Credential, change: Callable[[bytes], bytes], signature: str
) -> bytes:
    """The certificate in DER with what is signed changed, and the issuer's RSA signature over that."""
    tbs = change(certificate.tbs_certificate_bytes)
    _, algorithm, _ = _children(_contents(certificate.public_bytes(Encoding.DER)))
    algorithm_hash, last = _FORBIDDEN_HASHES.get(signature, (hashes.SHA256(), 0x0B))
    name = _SHA256_WITH_RSA[:-1] + bytes([last])
    tbs, algorithm = (part.replace(_SHA256_WITH_RSA, name) for part in (tbs, algorithm))
    value = issuer.private_key.sign(tbs, padding.PKCS1v15(), algorithm_hash)
    return der_sequence(tbs, algorithm, _element(0x03, b"\x00" + value))


def der_sequence(*contents: bytes) -> bytes:
    """A DER SEQUENCE of what is given."""
    return _element(0x30, b"".join(contents))


def _element(tag: int, contents: bytes) -> bytes:
    return bytes([tag, 0x82]) + len(contents).to_bytes(2, "big") + contents  # everything here is longer than 255 bytes
