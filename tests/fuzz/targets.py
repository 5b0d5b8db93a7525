"""What is fuzzed: everything that reads foreign bytes, each with what must hold of whatever it makes of them.

A target gives a word for what became of an input: refused for which reason, or accepted. It raises nothing for a
refusal that is declared, so that whatever it raises is a finding: an exception outside the declared tree, or a broken
promise.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import starmap
from pathlib import Path
from random import Random
from typing import Final, Self
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cbss_inscription import names, safe_xml
from cbss_inscription.app.settings import read_settings
from cbss_inscription.batch.text import TextPieces
from cbss_inscription.batch.xml_answers import XmlAnswers
from cbss_inscription.batch.xml_lines import XmlLines
from cbss_inscription.client.call import PreparedCall, prepare, read_answer
from cbss_inscription.client.errors import FaultReceived, ReplyUnreadable
from cbss_inscription.contract.door import Door
from cbss_inscription.contract.read import read_request, read_response
from cbss_inscription.contract.schema import schema_of
from cbss_inscription.contract.write import Deployment, write_request
from cbss_inscription.domain.batch import BatchLine
from cbss_inscription.domain.errors import (
    CbssInscriptionError,
    FileRejected,
    MessageRejected,
    NotAuthenticated,
    UsageError,
)
from cbss_inscription.domain.outcome_codes import OutcomeCode
from cbss_inscription.domain.results import ConsultResult, Health, SanityCheck, Status, StatusValue, WriteResult
from cbss_inscription.envelope.soap11 import write_envelope
from cbss_inscription.governance.access import AccessRules, read_access_rules, write_access_rules
from cbss_inscription.sandbox.demonstration import APPLICATIONS, ENVIRONMENT, demo_access_rules
from cbss_inscription.sandbox.pki import (
    Credential,
    TestPki,
    application_subject,
    issue_application_certificate,
    issue_authority,
)
from cbss_inscription.security.c14n import CanonicalizationError, canonical, canonical_in_python
from cbss_inscription.security.explain import FACT_CHARS_MAX, explain
from cbss_inscription.security.policy import SecurityPolicy
from cbss_inscription.security.replay import MemoryReplayGuard
from cbss_inscription.security.sign import Signer, sign
from cbss_inscription.security.trust import CertificateRules, TrustStore, check_revocation_list
from cbss_inscription.security.verify import verify
from cbss_inscription.soap.addresses import DoorAddresses
from cbss_inscription.soap.authentication import ByToken
from cbss_inscription.soap.message import RawMessage
from cbss_inscription.soap.operations import InscriptionOperations
from cbss_inscription.soap.pipeline import SecuredDoor
from cbss_inscription.soap.wsdl import WsdlDocuments
from cbss_inscription.xml_limits import XmlLimits
from tests.batch.files import CONSULT, HEADER, INSERT, LIMITS, read_csv, xml_file
from tests.batch.line_answers import LineAnswer, told_of
from tests.contract.conftest import MESSAGES
from tests.fuzz.mutations import (
    Mutate,
    change_bytes,
    change_der,
    change_lines,
    change_spelling,
    change_tree,
    read_der,
    write_der,
)
from tests.journal import KeysOfTests, ListJournal

NOW: Final = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_AUTHORITY_KEY: Final = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
"""The same in every run, so that certificates and lists of the corpus stay those of a trusted authority."""
_SETTINGS: Final = b"""environment = "LOCAL"
public_url = "https://portal.example"
database = "dbname=x"
access_rules = "rules.yaml"
reload_seconds = 2.5
[tls]
port = 8443
workers = 2
certificate = "server.crt.pem"
private_key = "server.key.pem"
[plain]
port = 8080
[trust]
application_authorities = "authorities.pem"
revocation_lists = ["root.crl"]
revocation_grace_seconds = 60
[[trust.revocation_sources]]
url = "https://crl.example/ca.crl"
file = "ca.crl"
[audit]
keys = "audit-keys.toml"
[limits]
body_bytes_max = 1000
"""


_XML_BATCHES: Final = (
    xml_file(INSERT.format(number=1), CONSULT, INSERT.format(number="&lt;é")),
    xml_file(CONSULT),
    gzip.compress(xml_file(CONSULT), mtime=0),
)
_CSV_BATCHES: Final = (
    (
        b"ticket,operation,ssin,inscriptionContext,beginDate,lastName\n"
        b't-1,insert,00000000197,AA,2024-01-01,"De ""Wit"""\n,consult,00000000197,AA|BB,,\n'
    ),
    b"operation;ssin\r\nconsult;00000000197\r\n",
)
_ANSWERS: Final = XmlLimits(size_bytes_max=64_000_000, elements_max=10_000_000)


def _lines_of_batch(data: bytes, *, plainly: bool) -> list[BatchLine] | str:
    """The lines of an XML batch, or why it is none; without the quick way when not `plainly`."""
    try:
        lines = XmlLines(TextPieces(io.BytesIO(data), LIMITS), LIMITS)
        if not plainly:
            lines._may_be_plain = False
        return list(lines)
    except FileRejected as error:
        return error.reason


def _fault_of(line: BatchLine) -> LineAnswer:
    return LineAnswer(line=line, ticket_cbss=UUID(int=line.number), timestamp=NOW, fault=line.refused or "SOA-01002")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A reader of foreign bytes: what it is fed with at first, how that is changed, and what it makes of an input."""

    name: str
    seeds: tuple[bytes, ...] = field(repr=False)
    mutations: tuple[Mutate, ...]
    run: Callable[[bytes], str]
    """A word for what became of the input. Whatever it raises is a finding."""


class Room:
    """One throw-away PKI at a fixed time, with a genuine message of an application, and the targets around them."""

    def __init__(self) -> None:
        application = APPLICATIONS[0]
        self.root = issue_authority(
            "Fuzzing CA (TEST ONLY)",
            issuer=None,
            not_before=NOW - _DAY,
            not_after=NOW + _DAY,
            private_key=_AUTHORITY_KEY,
        )
        self.subject = application_subject(
            application.application_urn, application.cbe_number, "TEST ONLY", environment=ENVIRONMENT
        )
        self.credential = self._issue()
        self.signer = Signer.from_pem(self.credential.certificate_pem, self.credential.private_key_pem)
        self.trust = TrustStore(
            authorities_pem=self.root.certificate_pem,
            environment=ENVIRONMENT,
            rules=CertificateRules(cache_entries_max=1),
        )
        self.policy = SecurityPolicy()
        self._loop = asyncio.new_event_loop()
        self._directory = tempfile.TemporaryDirectory(prefix="cbss-fuzz-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()
        self._directory.cleanup()

    def _issue(self, extensions: list[tuple[x509.ExtensionType, bool]] | None = None) -> Credential:
        return issue_application_certificate(
            self.subject,
            issuer=self.root,
            not_before=NOW - _DAY,
            not_after=NOW + _DAY,
            private_key=rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
            extensions=extensions,
        )

    @cached_property
    def messages(self) -> tuple[bytes, ...]:
        """Genuine messages: one of each operation, one with prefix lists, one in UTF-16."""
        requests = [text for name, text in MESSAGES[Door.FACADE].items() if name.endswith("Request")]
        signed = [self._signed(write_envelope(etree.fromstring(text))) for text in requests]
        listed = etree.fromstring(signed[0])
        for transform in listed.iter(names.DS_TRANSFORM, names.DS_CANONICALIZATION_METHOD):
            etree.SubElement(transform, names.EXC_INCLUSIVE_NAMESPACES, PrefixList="soap #default")
        return (*signed, etree.tostring(listed), signed[0].decode().replace("UTF-8", "UTF-16").encode("utf-16"))

    def _signed(self, envelope: bytes) -> bytes:
        return sign(envelope, signer=self.signer, now=NOW)

    @cached_property
    def _genuine(self) -> dict[bytes, bytes]:
        """The canonical Body under each replay key there is."""
        kept = [self._verified(message) for message in self.messages[:-2]]
        return dict(kept)

    def _verified(self, message: bytes) -> tuple[bytes, bytes]:
        found = verify(message, charset=None, policy=self.policy, trust=self.trust, now=NOW)
        return found.replay_key, found.canonical_body

    # --- what is fuzzed -----------------------------------------------------------------------------------------------

    @cached_property
    def targets(self) -> dict[str, Target]:
        """Every target by its name."""
        xml: tuple[Mutate, ...] = (change_bytes, change_tree, change_spelling)
        payloads = tuple(text.strip().encode() for door in Door for text in MESSAGES[door].values())
        envelopes = tuple(
            write_envelope(etree.fromstring(text))
            for name, text in MESSAGES[Door.FACADE].items()
            if name.endswith("Request")
        )
        lists = tuple(self._revocation_list(*numbers) for numbers in ((), (1, 2, 3)))
        pem = x509.load_der_x509_crl(lists[0]).public_bytes(Encoding.PEM)
        rules = write_access_rules(demo_access_rules())
        replies = tuple(
            write_envelope(etree.fromstring(text))
            for name, text in MESSAGES[Door.FACADE].items()
            if name.endswith("Response")
        )
        der: tuple[Mutate, ...] = (change_bytes, change_der, self._change_and_sign)
        certificates = tuple(item.certificate.public_bytes(Encoding.DER) for item in self._certificates())
        authority = self.root.certificate.public_bytes(Encoding.DER)
        text: tuple[Mutate, ...] = (change_lines, change_lines, change_bytes)
        every = (
            Target(name="xml", seeds=(*self.messages[:3], *payloads[:3]), mutations=xml, run=self.parse_xml),
            Target(name="message", seeds=self.messages, mutations=xml, run=self.verify_message),
            Target(name="explanation", seeds=self.messages, mutations=xml, run=self.explain_message),
            Target(name="c14n", seeds=_CANONICALIZED, mutations=(*xml, change_tree), run=self.canonicalize),
            Target(name="certificate", seeds=certificates, mutations=der, run=self.check_certificate),
            Target(name="authorities", seeds=(authority,), mutations=der, run=self.load_authorities),
            Target(name="revocation-list", seeds=(*lists, pem), mutations=der, run=self.load_revocation_list),
            Target(name="batch-xml", seeds=_XML_BATCHES, mutations=(change_tree, *xml), run=self.read_xml_batch),
            Target(name="batch-csv", seeds=_CSV_BATCHES, mutations=text, run=self.read_csv_batch),
            Target(name="door", seeds=envelopes, mutations=xml, run=self.answer),
            Target(name="contract", seeds=payloads, mutations=(change_tree, *xml), run=self.read_payload),
            Target(name="reply", seeds=replies, mutations=xml, run=self.read_reply),
            Target(name="settings", seeds=(_SETTINGS,), mutations=text, run=self.read_settings),
            Target(name="access-rules", seeds=(rules,), mutations=text, run=self.read_access_rules),
        )
        return {target.name: target for target in every}

    def read_xml_batch(self, data: bytes) -> str:
        """The quick way and the long one read the same, and number the lines; what is no batch is refused."""
        quick, long = (_lines_of_batch(data, plainly=plainly) for plainly in (True, False))
        assert quick == long
        if isinstance(quick, str):
            return quick
        assert [line.number for line in quick] == list(range(1, len(quick) + 1))
        return "accepted" if all(line.refused is None for line in quick) else "accepted in part"

    def read_csv_batch(self, data: bytes) -> str:
        """Every line that is read is one that XML can carry, and numbered; what is no batch is refused."""
        try:
            lines = read_csv(data)
        except FileRejected as error:
            return error.reason
        assert [line.number for line in lines] == list(range(1, len(lines) + 1))
        texts = XmlAnswers(HEADER)
        told = "".join(starmap(texts.answer, told_of(map(_fault_of, lines))))
        safe_xml.parse(f"{texts.head()}{told}{texts.foot()}".encode(), charset=None, limits=_ANSWERS)
        return "accepted" if all(line.refused is None for line in lines) else "accepted in part"

    def parse_xml(self, data: bytes) -> str:
        """`safe_xml.parse` with each charset; what it accepts has a canonical form that is its own canonical form."""
        words = []
        for charset in (None, "utf-8", "utf-16"):
            try:
                root = safe_xml.parse(data, charset=charset)
            except MessageRejected as error:
                words.append(error.reason)
                continue
            try:
                once = canonical(root)
            except CanonicalizationError:
                words.append("no-canonical-form")
                continue
            assert canonical(safe_xml.parse_canonical(once)) == once
            words.append("accepted")
        return " ".join(words)

    def verify_message(self, data: bytes) -> str:
        """The verification; what it accepts is one of the genuine messages, its Body as it was signed (SEC-40)."""
        try:
            key, body = self._verified(data)
        except MessageRejected as error:
            return error.reason
        assert self._genuine[key] == body
        return "accepted"

    def explain_message(self, data: bytes) -> str:
        """The explanation; it ends as the verification does, and each fact is one printable line (SEC-88)."""
        told = explain(data, charset=None, policy=self.policy, trust=self.trust, now=NOW)
        reason = None if told.refusal is None else told.refusal.reason
        assert (reason or "accepted") == self.verify_message(data)
        facts = [fact for step in told.steps for fact in step.facts]
        assert all(len(fact.value) <= FACT_CHARS_MAX and fact.value.isprintable() for fact in facts)
        return f"{reason} {len(facts)}"

    def canonicalize(self, data: bytes) -> str:
        """Exclusive C14N by our routine and by libxml2: the same bytes, of the document and of each of its first parts.

        The first line of an input is a PrefixList; with `#default` our routine is on its own, and must agree with
        itself about a document that is canonical already.
        """
        listed, _, document = data.partition(b"\n")
        prefixes = tuple(word for word in listed.decode("utf-8", "replace").split() if word.isprintable())[:32]
        try:
            root = safe_xml.parse(document, charset=None)
        except MessageRejected as error:
            return error.reason
        words = set()
        for element in list(root.iter(etree.Element))[:6]:
            words.add(_canonicalized(element, tuple(prefix for prefix in prefixes if prefix != "#default")))
            if "#default" in prefixes:
                try:
                    once = canonical(element, prefixes)
                except CanonicalizationError:
                    continue
                assert canonical(safe_xml.parse_canonical(once), prefixes) == once
        return " ".join(sorted(words))

    def check_certificate(self, data: bytes) -> str:
        """`TrustStore.check`; whom it believes is the application whose subject the authority certified."""
        try:
            caller = self.trust.check(data, NOW)
        except NotAuthenticated as error:
            return error.reason
        assert caller.environment == ENVIRONMENT
        assert len(caller.cbe_number) == 10
        assert caller.application_urn.isprintable()
        return "accepted"

    def load_authorities(self, data: bytes) -> str:
        """A file of authorities, in DER here; what is broken in it is one sentence (SEC-42, SEC-48)."""
        pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(data) + b"-----END CERTIFICATE-----\n"
        try:
            store = TrustStore(authorities_pem=pem + self.root.certificate_pem, environment=ENVIRONMENT)
            assert store.lifetimes
        except UsageError as error:
            return _words_of(error)
        return f"accepted {self.check_certificate(data)}"

    def load_revocation_list(self, data: bytes) -> str:
        """A list of the operator's, and one that came over a network; what is broken is one sentence (SEC-48)."""
        authorities = self.root.certificate_pem
        try:
            store = TrustStore(authorities_pem=authorities, environment=ENVIRONMENT, revocation_lists=[data])
            assert store.lifetimes
            for former in (None, data):
                check_revocation_list(data, authorities_pem=authorities, former=former, now=NOW)
        except UsageError as error:
            return _words_of(error)
        return "accepted"

    def answer(self, data: bytes) -> str:
        """The whole pipeline with a message that is signed as it is: a valid response or a fault, never a defect."""
        try:
            message = self._signed(data)
        except UsageError as error:
            return _words_of(error)
        log = self._log
        self._loop.run_until_complete(self._door.answer(RawMessage(body=message, charset="utf-8", soap_action=None)))
        if log.defect is not None:
            defect, log.defect = log.defect, None
            raise defect
        return log.word

    def read_payload(self, data: bytes) -> str:
        """The readers of the contract on what the schema finds valid; a request written again is the same request."""
        try:
            element = safe_xml.parse(data, charset="utf-8")
        except MessageRejected as error:
            return error.reason
        words = []
        for door in Door:
            schema = schema_of(door)
            try:
                schema.validate(element)
                request = read_request(element)
                again = write_request(request, door=door)
                schema.validate(again)
                assert read_request(again) == request
                words.append(f"{door} request")
            except MessageRejected as error:
                words.append(error.reason)
            try:
                schema.validate_response(element)
                read_response(element)
                words.append(f"{door} response")
            except MessageRejected as error:
                words.append(error.reason)
        return " ".join(sorted(set(words)))

    def read_reply(self, data: bytes) -> str:
        """What the client reads of a service's answer: an answer, the service's fault, or one word (SEC-68)."""
        words = []
        for call in self._calls:
            try:
                read_answer(call, status=200, media_type="text/xml", charset="utf-8", body=data)
            except (ReplyUnreadable, FaultReceived) as error:
                words.append(str(getattr(error, "reason", type(error).__name__))[:40])
            else:
                words.append("answer")
        return " ".join(words)

    def read_settings(self, data: bytes) -> str:
        """The settings file: settings, or one sentence that says what is wrong."""
        path = Path(self._directory.name) / "settings.toml"
        path.write_bytes(data)
        try:
            read_settings(path)
        except UsageError as error:
            return _words_of(error)
        return "accepted"

    def read_access_rules(self, data: bytes) -> str:
        """The access rules; what is read and written again is the same rules."""
        try:
            rules = read_access_rules(data, origin="rules.yaml")
        except UsageError as error:
            return _words_of(error)
        assert read_access_rules(write_access_rules(rules), origin="again") == rules
        return "accepted"

    # --- what they need -----------------------------------------------------------------------------------------------

    def _certificates(self) -> tuple[Credential, ...]:
        """Certificates with every extension that the rules read."""
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        point = x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example/1")], None, None, None)
        full: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (usage, True),
            (x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.SubjectAlternativeName([x509.DNSName("x.example"), x509.DirectoryName(self.subject)]), False),
            (x509.CRLDistributionPoints([point]), False),
            (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)]), False),
        ]
        return self.credential, self._issue(full)

    def _revocation_list(self, *numbers: int) -> bytes:
        issuer = self.root
        pki = TestPki(
            environment=ENVIRONMENT,
            tls_authority=issuer,
            server=issuer,
            application_root=issuer,
            application_authority=issuer,
            timestamp_root=issuer,
            timestamp_authority=issuer,
        )
        pem = pki.issue_revocation_list(numbers, now=NOW - _DAY)
        return x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER)

    def _change_and_sign(self, data: bytes, random: Random) -> bytes:
        """A certificate or list whose content was changed, and which the authority signed all the same."""
        try:
            ((tag, content),) = read_der(data)
            assert isinstance(content, list)
            inside, algorithm, _ = content
        except (ValueError, IndexError, AssertionError):
            return change_der(data, random)
        changed = change_der(write_der([inside]), random)
        signature = _AUTHORITY_KEY.sign(changed, ec.ECDSA(hashes.SHA256()))
        rest = write_der([algorithm, (0x03, b"\x00" + signature)])
        return write_der([(tag, changed + rest)])

    @cached_property
    def _calls(self) -> tuple[PreparedCall, ...]:
        requests = [text for name, text in MESSAGES[Door.FACADE].items() if name.endswith("Request")]
        return tuple(prepare(read_request(etree.fromstring(text)), signer=self.signer, now=NOW) for text in requests)

    @cached_property
    def _log(self) -> _Log:
        return _Log()

    @cached_property
    def _door(self) -> SecuredDoor:
        return SecuredDoor(
            door=Door.FACADE,
            operations=InscriptionOperations(
                component=Door.FACADE.service_name,
                access_rules=_Rules(),
                volumes=None,
                repertory=_Repertory(),
                location="https://x",
            ),
            deployment=Deployment(version="1", environment=ENVIRONMENT),
            authenticator=ByToken(policy=self.policy, trust=self.trust),
            replay_guard=MemoryReplayGuard(entries_max=10_000_000),
            schema=schema_of(Door.FACADE),
            documents=WsdlDocuments(Door.FACADE, public_url="https://x"),
            addresses=DoorAddresses.of(Door.FACADE, ("https://x",)),
            log=self._log,
            journal=ListJournal(),
            audit_keys=KeysOfTests(),
            validate_responses=True,
            clock=lambda: NOW,
        )


_CANONICALIZED: Final = (
    b'a b\n<r xmlns="urn:r" xmlns:a="urn:a"><a:x xmlns:b="urn:b" b:y="1" z="&#9;"><b:w xmlns=""/></a:x>\r\n&#13;</r>',
    b'#default\n<r xmlns="urn:r"><x xmlns=""><y xmlns="urn:y" xml:lang="nl">&lt;&gt;&amp;</y><!-- c -->t</x></r>',
    b'#default a\n<a:r xmlns:a="urn:1" xmlns:b="urn:1" a:p="1" b:q="2"><b:y a:r="3" xmlns:c="urn:c"/></a:r>',
)


def _canonicalized(element: etree._Element, prefixes: tuple[str, ...]) -> str:
    """Whether there is a canonical form, when both routines say the same."""
    try:
        theirs = canonical(element, prefixes)
    except CanonicalizationError:
        theirs = None
    try:
        ours = canonical_in_python(element, prefixes)
    except CanonicalizationError:
        ours = None
    # Ours refuses more: the relative namespace of an ancestor that the element does not use, for one.
    assert ours is None or ours == theirs
    return f"{ours is not None} {theirs is not None}"


def _words_of(error: UsageError) -> str:
    """The sentence without the names and numbers in it, as far as a few marks tell."""
    return re.sub(r"'[^']*'|`[^`]*`|\d+", "", str(error).rpartition(" - ")[2])[:80]


class _Log:
    """An `ExchangeLog` that keeps the last word, and an exception that nobody declared."""

    word = ""
    defect: Exception | None = None

    def answered(self, progress: object, *, result: object, seconds: float) -> None:
        self.word = f"answered {getattr(getattr(result, 'status', None), 'code', 'health')}"

    def refused(self, progress: object, *, error: CbssInscriptionError, seconds: float) -> None:
        self.word = f"{type(error).__name__} {getattr(error, 'reason', '')}"

    def failed(self, progress: object, *, error: Exception, seconds: float) -> None:
        self.defect = error


class _Rules:
    """The `AccessRulesSource` of the demo applications."""

    _rules: Final = demo_access_rules()

    def current(self) -> AccessRules:
        return self._rules


class _Repertory:
    """A `Repertory` without a line in it that takes every declaration."""

    async def consult(self, asked: object) -> ConsultResult:
        return ConsultResult(status=Status(value=StatusValue.NO_DATA_FOUND, code=OutcomeCode.NO_DATA))

    async def insert(self, asked: object) -> WriteResult:
        return WriteResult(status=Status(value=StatusValue.OK, code=OutcomeCode.SUCCESS))

    update = delete = insert

    async def look(self) -> SanityCheck:
        return SanityCheck(name="repertory", health=Health.OK, milliseconds=0)
