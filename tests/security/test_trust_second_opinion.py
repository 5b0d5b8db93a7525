"""Certificate paths and revocation lists judged by us and by pyhanko-certvalidator (SEC-42, SEC-43, SEC-44).

Hierarchies are made at random: renewed authorities, intermediates, path lengths, name constraints, validities, key
usages, and lists that are fresh, stale, of the future, foreign, for users or authorities only, of a distribution point,
or name someone. The second opinion runs in mode `require` and offline: the others take a list that the certificate does
not announce for none at all (design 4.1). Whatever we accept it must accept, but for `DIFFERENCES`; what it accepts and
we refuse has a reason of `STRICTER`.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import pem as asn1_pem
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, PathError, ValidationError

from cbss_inscription.domain.errors import NotAuthenticated, UsageError
from cbss_inscription.sandbox.pki import (
    ORGANIZATION,
    Credential,
    application_subject,
    issue_application_certificate,
    issue_authority,
)
from cbss_inscription.security.trust import CertificateRules, TrustStore

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
POINTS = tuple(x509.UniformResourceIdentifier(f"http://crl.example/{number}.crl") for number in range(2))
DIFFERENCES: dict[str, str] = {}
"""Kinds of hierarchies that we accept and the second opinion refuses, each with the reason why that is right."""
STRICTER = {
    "authorities": "SEC-48: a file of authorities with one that is none, or leads nowhere, is not loaded at all",
    "lists": "SEC-48: nor is a list that is nobody's, or not understood",
    "authority-expired": "SEC-43: a root is valid now like any other certificate; RFC 5280 leaves anchors alone",
    "authority-not-yet-valid": "SEC-43: the same",
    "revocation-unknown": "SEC-44: a list for all or for the kind of certificate, and of its distribution point",
    "revocation-stale": "SEC-44: a fresh one",
    "certificate-revoked": "SEC-44: a stale list, or one for others, that names a certificate says enough",
    "certificate-extension": "SEC-43: an application's certificate has no critical extension that we do not know",
    "certificate-key-usage": "SEC-43: an application signs messages, neither certificates nor lists",
    "certificate-authority": "SEC-43: an application is no authority",
    "certificate-name-constraints": "SEC-43: a root's own constraints hold too; RFC 5280 leaves anchors alone",
    "certificate-untrusted": "SEC-42: no other way to a root is looked for than the issuer's key",
}
"""Our reasons for refusing what the second opinion accepts, each with the rule that wants it."""


def directory(*attributes):
    return x509.DirectoryName(x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes]))


BELGIUM = directory((NameOID.COUNTRY_NAME, "BE"))
ELSEWHERE = directory((NameOID.COUNTRY_NAME, "NL"))
SANDBOX = directory((NameOID.COUNTRY_NAME, "BE"), (NameOID.ORGANIZATION_NAME, ORGANIZATION))
CONSTRAINTS = (
    *(9 * (None,)),
    x509.NameConstraints(permitted_subtrees=[BELGIUM], excluded_subtrees=None),
    x509.NameConstraints(permitted_subtrees=[ELSEWHERE, BELGIUM], excluded_subtrees=None),
    x509.NameConstraints(permitted_subtrees=[SANDBOX], excluded_subtrees=None),
    x509.NameConstraints(permitted_subtrees=[ELSEWHERE], excluded_subtrees=None),
    x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=[ELSEWHERE]),
    x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=[SANDBOX]),
    x509.NameConstraints(permitted_subtrees=[x509.DNSName("example.org")], excluded_subtrees=None),
)
VALIDITIES = (
    *(14 * ((-DAY, DAY),)),
    (-2 * DAY, -DAY),
    (DAY, 2 * DAY),
    (-2 * DAY, timedelta(0)),
    (timedelta(0), DAY),
)
USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def usage(*names):
    return x509.KeyUsage(**{name: name in names for name in USAGES}), True


@dataclass(kw_only=True)
class Hierarchy:
    """A leaf, the authorities above it, and the lists of them, with words for what they are."""

    roots: list[Credential] = field(default_factory=list)
    intermediates: list[Credential] = field(default_factory=list)
    leaf: Credential | None = None
    lists: list[bytes] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


class Maker:
    """Makes hierarchies out of a few keys."""

    def __init__(self, leaf_key) -> None:
        self.leaf_key = leaf_key
        self.keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]

    def hierarchy(self, random_):
        made = Hierarchy()
        length, constraints = random_.choice((*(5 * (None,)), 0, 1, 2)), random_.choice(CONSTRAINTS)
        made.roots = [
            self._authority("root", None, random_, key=0, length=length, constraints=constraints)
            for _ in range(random_.choice((1, 1, 1, 2)))
        ]
        issuers = made.roots
        for level in range(random_.choice((0, 1, 1, 1, 2))):
            name = f"level {level}" if random_.random() < 0.9 else "root"
            length, constraints = random_.choice((None, None, None, 0, 1)), random_.choice(CONSTRAINTS)
            issuers = [
                self._authority(
                    name, random_.choice(issuers), random_, key=level + 1, length=length, constraints=constraints
                )
                for _ in range(random_.choice((1, 1, 1, 2)))
            ]
            made.intermediates += issuers
        made.leaf = self._leaf(random_.choice(issuers), random_, made)
        for authority in (*made.roots, *made.intermediates):
            for _ in range(random_.choice((1, 1, 1, 2)) if random_.random() < 0.93 else 0):
                made.lists.append(self._list(authority, random_, made))
        return made

    def _authority(self, name, issuer, random_, *, key, length, constraints):
        begins, ends = random_.choice(VALIDITIES)
        extra = [] if constraints is None else [(constraints, True)]
        if random_.random() < 0.985:
            return issue_authority(
                name,
                issuer=issuer,
                not_before=NOW + begins,
                not_after=NOW + ends,
                path_length=length,
                private_key=self.keys[key],
                extra_extensions=extra,
            )
        rights = random_.choice((("key_cert_sign",), ("crl_sign",), ()))
        issuer = issuer or Credential(certificate=_unsigned_root(self.keys[key]), private_key=self.keys[key])
        return issue_application_certificate(
            x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "BE"), x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            issuer=issuer,
            not_before=NOW + begins,
            not_after=NOW + ends,
            private_key=self.keys[key],
            extensions=[(x509.BasicConstraints(ca=random_.random() < 0.7, path_length=None), True), usage(*rights)],
        )

    def _leaf(self, issuer, random_, made):
        begins, ends = random_.choice(VALIDITIES)
        extensions = [(x509.BasicConstraints(ca=random_.random() < 0.02, path_length=None), True)]
        rights = random_.choice(
            (*(12 * (("digital_signature",),)), ("digital_signature", "key_cert_sign"), ("key_encipherment",))
        )
        extensions.append(usage(*rights))
        if random_.random() < 0.3:
            point = x509.DistributionPoint([random_.choice(POINTS)], None, None, None)
            extensions.append((x509.CRLDistributionPoints([point]), False))
        if random_.random() < 0.2:
            names = [x509.DNSName(random_.choice(("x.example.org", "x.example.com")))]
            extensions.append((x509.SubjectAlternativeName(names), False))
        if random_.random() < 0.05:
            unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
            extensions.append((unknown, random_.random() < 0.5))
        if random_.random() < 0.05:
            made.words.append("an issuer of the same name and another key")
            issuer = Credential(certificate=issuer.certificate, private_key=self.keys[3])
        return issue_application_certificate(
            application_subject("employment:x:y", "0206731645", ORGANIZATION, environment="ACC"),
            issuer=issuer,
            not_before=NOW + begins,
            not_after=NOW + ends,
            private_key=self.leaf_key,
            extensions=extensions,
        )

    def _list(self, authority, random_, made):
        begins, ends = random_.choice(
            (*(9 * ((-DAY, DAY),)), (-2 * DAY, -DAY), (timedelta(hours=1), DAY), (-DAY, timedelta(0)))
        )
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.certificate.subject)
            .last_update(NOW + begins)
            .next_update(NOW + ends)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.private_key.public_key()), critical=False
            )
            .add_extension(x509.CRLNumber(random_.randrange(100)), critical=False)
        )
        named = [item.certificate.serial_number for item in (made.leaf, *made.intermediates) if random_.random() < 0.03]
        for number in (*named, random_.randrange(1, 10**6)):
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(NOW - 2 * DAY)
            builder = builder.add_revoked_certificate(entry.build())
        kind = random_.choice(
            (*(12 * (None,)), "users", "authorities", "point", "point", "unknown", "indirect", "delta")
        )
        if kind in {"users", "authorities", "point", "indirect"}:
            scope = x509.IssuingDistributionPoint(
                full_name=[random_.choice(POINTS)] if kind == "point" else None,
                relative_name=None,
                only_contains_user_certs=kind == "users",
                only_contains_ca_certs=kind == "authorities",
                only_some_reasons=None,
                indirect_crl=kind == "indirect",
                only_contains_attribute_certs=False,
            )
            builder = builder.add_extension(scope, critical=True)
        elif kind == "unknown":
            unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
            builder = builder.add_extension(unknown, critical=True)
        elif kind == "delta":
            builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
        made.words.append(f"list {kind or 'plain'} {begins} {ends} names {len(named)}")
        key = self.keys[3] if random_.random() < 0.01 else authority.private_key
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _unsigned_root(key):
    return issue_authority("root", issuer=None, not_before=NOW - DAY, not_after=NOW + DAY, private_key=key).certificate


def der(credential):
    return credential.certificate.public_bytes(Encoding.DER)


def ours(made):
    """Our reason for refusing the leaf, or the word "accepted"."""
    given = {
        "authorities_pem": b"".join(pem(item) for item in (*made.roots, *made.intermediates)),
        "environment": "ACC",
    }
    try:
        TrustStore(**given)
    except UsageError:
        return "authorities"
    try:
        store = TrustStore(
            **given,
            revocation_lists=made.lists,
            revocation_required=True,
            rules=CertificateRules(cache_seconds=0),
        )
    except UsageError:
        return "lists"
    try:
        store.check(der(made.leaf), NOW)
    except NotAuthenticated as error:
        return error.reason
    return "accepted"


def pem(credential):
    return credential.certificate.public_bytes(Encoding.PEM)


def read(credential):
    return asn1_x509.Certificate.load(asn1_pem.unarmor(pem(credential))[2])


async def theirs(made):
    """The second opinion's kind of refusal and its words, or the word "accepted"."""
    context = ValidationContext(
        trust_roots=[read(item) for item in made.roots],
        other_certs=[read(item) for item in made.intermediates],
        crls=made.lists,
        moment=NOW,
        revocation_mode="require",
        allow_fetching=False,
    )
    try:
        await CertificateValidator(read(made.leaf), validation_context=context).async_validate_usage(
            {"digital_signature"}
        )
    except (PathBuildingError, PathError, ValidationError) as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


@pytest.fixture(scope="module")
def maker(key):
    return Maker(key)


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 60))])
def test_sec_44_whom_we_accept_a_second_opinion_accepts(maker, seed, record_property):
    """Of 50 hierarchies each, what we accept pyhanko-certvalidator accepts; 3 000 in all (SEC-42, SEC-43, SEC-44)."""
    random_ = random.Random(f"hierarchy {seed}")
    verdicts = Counter()
    for _ in range(50):
        made = maker.hierarchy(random_)
        reason, second = ours(made), asyncio.run(theirs(made))
        if reason == "accepted":
            assert second == "accepted" or second.partition(":")[0] in DIFFERENCES, (second, made.words)
        elif second == "accepted":
            assert reason in STRICTER, (reason, made.words)
        verdicts[f"{reason}, {second.partition(':')[0]}"] += 1
    record_property("hierarchies", f"{sum(verdicts.values())}: {dict(verdicts)}")
    assert verdicts["accepted, accepted"] > 0
