"""nginx and HAProxy by the files in deploy/, each ending TLS on loopback in front of a service (SEC-02, SEC-03).

`make test-peers` unpacks them below .tools/peers; one that is not there is skipped, with the reason.
"""

from __future__ import annotations

import contextlib
import getpass
import grp
import os
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from cbss_inscription.app.settings import ClientTls, Service, Upstream
from cbss_inscription.app.upstream import upstream_of
from cbss_inscription.domain.customer import InformationCustomer
from cbss_inscription.domain.errors import ServiceUnavailable
from cbss_inscription.domain.exchange import Exchange
from cbss_inscription.domain.inscription import InscriptionContext
from cbss_inscription.domain.legal_context import LegalContext
from cbss_inscription.domain.period import GivenPeriod
from cbss_inscription.domain.requests import InsertInscription
from cbss_inscription.domain.ssin import Ssin
from cbss_inscription.governance.access import read_access_rules
from cbss_inscription.repertory.port import Admitted
from cbss_inscription.sandbox.pki import Credential
from tests.acceptance.conftest import consult, envelope
from tests.conftest import RunningSandbox, free_port, log_lines_of, stop_process
from tests.interop.conftest import Declaration
from tests.interop.smuggling import Attacker
from tests.repertory.houses import Calls
from tests.repertory.office import CALLER
from tests.terminators import CERTIFICATE_HEADER, Behind, behind_terminator, credential_paths, handed_over

pytestmark = pytest.mark.peers

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".tools" / "peers" / "terminators" / "usr" / "sbin"
START_TRIES_MAX = 200


@dataclass(frozen=True, kw_only=True)
class Terminator:
    """A program that ends TLS in front of a service, and the service behind it."""

    name: str
    port: int
    behind: Behind
    authorities: Path

    @property
    def url(self) -> str:
        """Where callers reach the service."""
        return f"https://localhost:{self.port}{self.behind.service.door.path}"

    def caller(self, certificate: tuple[Path, Path] | None, **options: ssl.TLSVersion) -> httpx.Client:
        """A caller that shows this certificate in the handshake, or none."""
        context = ssl.create_default_context(cafile=self.authorities)
        for name, value in options.items():
            setattr(context, name, value)
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return httpx.Client(verify=context, trust_env=False)


@pytest.fixture(scope="module")
def behind(sandbox: RunningSandbox) -> Iterator[Behind]:
    """A façade that knows its callers by what a terminator says."""
    with behind_terminator(sandbox, Service.FACADE) as running:
        yield running


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def terminator(
    request: pytest.FixtureRequest, sandbox: RunningSandbox, behind: Behind, reachable_directory: Path
) -> Iterator[Terminator]:
    """One of the two in front of the façade."""
    with terminating(str(request.param), sandbox, behind, reachable_directory / str(request.param)) as running:
        yield running


@contextlib.contextmanager
def terminating(name: str, sandbox: RunningSandbox, behind: Behind, folder: Path) -> Iterator[Terminator]:
    """One of the two, run by its file in deploy/ with other paths and ports."""
    program = PROGRAMS / name
    if not program.exists():
        pytest.skip(f"{name} is not there: make test-peers unpacks it")
    folder.mkdir()
    port = free_port()
    server = Credential.read(sandbox.path("pki/server.crt.pem"), sandbox.path("pki/server.key.pem"))
    server.write(folder / "server.crt.pem", folder / "server.key.pem")
    (folder / "server.pem").write_bytes(server.certificate_pem + server.private_key_pem)
    changes = CHANGES[name](folder, sandbox.path("pki/authorities.pem"), port, behind.plain_port)
    text = (ROOT / "deploy" / FILES[name]).read_text(encoding="utf-8")
    for said, instead in changes.items():
        assert text.count(said) == 1, said
        text = text.replace(said, instead)
    file = folder / FILES[name]
    file.write_text(text, encoding="utf-8")
    command = {
        "nginx": [program, "-c", file, "-e", folder / "error.log", "-g", "daemon off;"],
        "haproxy": [program, "-f", file, "-db"],
    }[name]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen([*map(str, command)], stdout=out, stderr=out)
    try:
        _wait(process, port, folder / "out")
        yield Terminator(name=name, port=port, behind=behind, authorities=sandbox.path(sandbox.manifest["ca"]))
    finally:
        stop_process(process)


FILES = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}


def _of_nginx(folder: Path, authorities: Path, port: int, plain_port: int) -> dict[str, str]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    return {
        "user www-data;\n": f"user {_account()};\n" if os.geteuid() == 0 else "",
        "/run/nginx.pid": f"{folder}/pid",
        "/var/log/nginx/error.log": f"{folder}/error.log",
        "/var/log/nginx/access.log": f"{folder}/access.log",
        "http {\n": f"http {{\n{temporary}",
        "127.0.0.1:8080": f"127.0.0.1:{plain_port}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/cbss-inscription/tls/server.crt.pem": f"{folder}/server.crt.pem",
        "/etc/cbss-inscription/tls/server.key.pem": f"{folder}/server.key.pem",
        "/etc/cbss-inscription/authorities.pem": str(authorities),
    }


def _account() -> str:
    return f"{getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}"


def _of_haproxy(folder: Path, authorities: Path, port: int, plain_port: int) -> dict[str, str]:
    return {
        "    user haproxy\n    group haproxy\n": "",
        "127.0.0.1:8080": f"127.0.0.1:{plain_port}",
        "bind :443": f"bind 127.0.0.1:{port}",
        "/etc/cbss-inscription/tls/server.pem": f"{folder}/server.pem",
        "/etc/cbss-inscription/authorities.pem": str(authorities),
    }


CHANGES: Mapping[str, Callable[[Path, Path, int, int], dict[str, str]]] = {"nginx": _of_nginx, "haproxy": _of_haproxy}


def _wait(process: subprocess.Popen[bytes], port: int, out: Path) -> None:
    for _ in range(START_TRIES_MAX):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail(out.read_text(encoding="utf-8"))


def post(client: httpx.Client, url: str, content: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """The reply to an unsigned message."""
    return client.post(url, content=envelope(content), headers={"content-type": "text/xml", **(headers or {})})


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_sec_03_the_right_certificate_is_let_in(
    sandbox: RunningSandbox, terminator: Terminator, declaration: Declaration, version: ssl.TLSVersion
) -> None:
    """Through a real terminator, over TLS 1.2 and 1.3, a client certificate is its application (SEC-01, SEC-03)."""
    for name, code in (("pcsa-web", "MSG00000"), ("pcsa-reader", "SOA-01002")):
        with terminator.caller(
            credential_paths(sandbox, name), minimum_version=version, maximum_version=version
        ) as client:
            reply = post(client, terminator.url, declaration.request())
            assert code in reply.text
        line = terminator.behind.last()
        assert (line["known_by"], line["application_urn"]) == ("mtls", sandbox.application(name)["urn"])


def test_sec_03_without_a_certificate_nothing_arrives(
    sandbox: RunningSandbox, terminator: Terminator, declaration: Declaration
) -> None:
    """No certificate, or one of another authority: the terminator lets no message through (SEC-03)."""
    before = terminator.behind.log.read_bytes()
    server = (sandbox.path("pki/server.crt.pem"), sandbox.path("pki/server.key.pem"))
    for certificate in (None, server):
        # HAProxy refuses in the handshake, nginx by HTTP.
        with terminator.caller(certificate) as client, contextlib.suppress(httpx.TransportError):
            assert post(client, terminator.url, consult(declaration.ssin)).status_code == 400
    assert terminator.behind.log.read_bytes() == before


def test_sec_02_a_header_that_the_caller_forged_counts_for_nothing(
    sandbox: RunningSandbox, terminator: Terminator, declaration: Declaration
) -> None:
    """The header of another application's certificate is overwritten, in any spelling (SEC-02)."""
    web = handed_over(sandbox, "pcsa-web")[CERTIFICATE_HEADER]
    with terminator.caller(credential_paths(sandbox, "pcsa-reader")) as client:
        for name in (CERTIFICATE_HEADER, CERTIFICATE_HEADER.lower(), "X_Client_Certificate", "X-SSL-Cert"):
            reply = post(client, terminator.url, declaration.request(), {name: web})
            assert "SOA-01002" in reply.text
            assert terminator.behind.last()["application_urn"] == sandbox.application("pcsa-reader")["urn"]


def test_sec_44_a_revoked_certificate_is_refused_behind_a_terminator(
    sandbox: RunningSandbox, terminator: Terminator, declaration: Declaration
) -> None:
    """The terminator lets it through, the service has the list: SOA-01001, and the log says why (SEC-44)."""
    with terminator.caller(credential_paths(sandbox, "revoked")) as client:
        assert "SOA-01001" in post(client, terminator.url, consult(declaration.ssin)).text
    assert terminator.behind.last()["reason"] == "certificate-revoked"


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL"),
        (ssl.TLSVersion.TLSv1_2, "AES256-GCM-SHA384"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256"),
    ],
    ids=["TLS 1.1", "no forward secrecy", "no AEAD"],
)
def test_sec_01_a_terminator_takes_no_weak_tls(
    sandbox: RunningSandbox, terminator: Terminator, version: ssl.TLSVersion, ciphers: str
) -> None:
    """TLS 1.1, and suites without forward secrecy or AEAD, end in an alert of the terminator's (SEC-01)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of old versions; they are the point here
        context.minimum_version = context.maximum_version = version
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.load_cert_chain(*credential_paths(sandbox, "pcsa-web"))
    connection = socket.create_connection(("127.0.0.1", terminator.port))
    with connection, pytest.raises(ssl.SSLError, match="_ALERT_"):
        context.wrap_socket(connection)


@pytest.fixture(scope="module")
def repertory(sandbox: RunningSandbox) -> Iterator[Behind]:
    """A repertory that knows its callers by what a terminator says."""
    with behind_terminator(sandbox, Service.REPERTORY) as running:
        yield running


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_sec_03_a_facade_asks_a_repertory_behind_a_terminator(
    sandbox: RunningSandbox, repertory: Behind, reachable_directory: Path, name: str
) -> None:
    """Unsigned, by its client certificate: a declaration and a health check come through; without it none (SEC-03)."""
    certificate, key = map(str, credential_paths(sandbox, "pcsa-web"))
    shown = ClientTls(certificate=certificate, private_key=key)
    with terminating(name, sandbox, repertory, reachable_directory / f"{name}-repertory") as running:
        for tls, outcomes, codes in (
            (shown, {"answered"}, {"MSG00000", None}),
            (None, {"unreadable", "untrusted", "broken"}, {None}),
        ):
            log = Calls()
            settings = Upstream(url=running.url, ca=str(running.authorities), signed=False, tls=tls)
            upstream = upstream_of(settings, log=log)
            try:
                with contextlib.suppress(ServiceUnavailable):
                    await upstream.insert(insertion(sandbox))
                await upstream.look()
            finally:
                await upstream.close()
            assert {call.outcome for call in log.calls} <= outcomes
            assert {call.code for call in log.calls} == codes
        line = repertory.last()
        assert (line["known_by"], line["application_urn"]) == ("mtls", sandbox.application("pcsa-web")["urn"])


def insertion(sandbox: RunningSandbox) -> Admitted[InsertInscription]:
    """A declaration that the sandbox's rules allow."""
    profile = sandbox.profile()
    assert profile.customer_identification is not None
    information = InformationCustomer(customer_identification=profile.customer_identification, ticket=str(uuid4()))
    assert profile.legal_context is not None
    ssin = Ssin.parse(sandbox.ssin("nr_active"))
    rules = read_access_rules(sandbox.path("access-rules.yaml").read_bytes(), origin="rules")
    return Admitted(
        request=InsertInscription(
            information_customer=information,
            legal_context=LegalContext(profile.legal_context),
            ssin=ssin.digits,
            inscription_context=InscriptionContext("PCSA:LIVING_WAGE"),
            period=GivenPeriod(begin_date=date(2026, 1, 1)),
        ),
        ssin=ssin,
        permission=next(one for one in rules.permissions if "PCSA:LIVING_WAGE" in one.inscription_contexts),
        exchange=Exchange(ticket_cbss=uuid4(), timestamp_receive=datetime.now(UTC), caller=CALLER),
    )


SECONDS_MAX = 1.0
"""How long an attacker waits for more: whoever was told of a longer message may wait for the rest of it."""
CALM = 3
"""Requests behind each attack, on other connections: they would meet what it left in those to the service."""


def attack(sandbox: RunningSandbox, terminator: Terminator, request: bytes) -> bytes:
    """What the holder of a reader's certificate is answered to these bytes."""
    context = ssl.create_default_context(cafile=terminator.authorities)
    context.load_cert_chain(*credential_paths(sandbox, "pcsa-reader"))
    answer = b""
    connection = socket.create_connection(("127.0.0.1", terminator.port), timeout=SECONDS_MAX)
    with contextlib.suppress(OSError), context.wrap_socket(connection, server_hostname="localhost") as secured:
        with contextlib.suppress(OSError):
            secured.sendall(request)  # whoever is refused at once may hang up meanwhile
        while part := secured.recv(65_536):
            answer += part
    return answer


def check_harmless(
    sandbox: RunningSandbox, terminator: Terminator, declaration: Declaration, attacks: Mapping[str, bytes]
) -> dict[str, tuple[int, int]]:
    """How many requests of each attack the service saw, and how many replies the attacker; what went wrong fails."""
    urn = sandbox.application("pcsa-reader")["urn"]
    seen: dict[str, tuple[int, int]] = {}
    wrong: dict[str, object] = {}
    with terminator.caller(credential_paths(sandbox, "pcsa-reader")) as client:
        for name, request in attacks.items():
            before = len(exchanges(terminator.behind))
            answer = attack(sandbox, terminator, request)
            replies = [post(client, terminator.url, declaration.request()) for _ in range(CALM)]
            found = exchanges(terminator.behind)[before:]
            seen[name] = len(found) - CALM, answer.count(b"HTTP/1.1 ") + answer.count(b"HTTP/1.0 ")
            # What is no message is refused after the certificate, and before its caller is written down.
            others = [line for line in found if line["application_urn"] != urn and line["code"] != "SOA-03001"]
            if others or {"SOA-01002" in reply.text for reply in replies} != {True}:
                wrong[name] = others, [reply.text for reply in replies]
            elif seen[name][0] > seen[name][1]:
                wrong[name] = seen[name]
            elif b"MSG00000" in answer or b"\0" in answer:  # done; or frames of HTTP/2
                wrong[name] = answer[:200]
    print(terminator.name, seen)
    for k, v in wrong.items():
        print("WRONG", k, str(v)[:1500])
    assert wrong == {}
    return seen


def exchanges(behind: Behind) -> list[dict[str, Any]]:
    """What the service's log says of each message that it saw."""
    return [line for line in log_lines_of(behind.log) if "ticket_cbss" in line]


def attacker(sandbox: RunningSandbox, terminator: Terminator, declaration: Declaration) -> Attacker:
    """The holder of a certificate that may not insert, with the certificate of one that may."""
    der = handed_over(sandbox, "pcsa-web")[CERTIFICATE_HEADER]
    pem = quote(credential_paths(sandbox, "pcsa-web")[0].read_text(encoding="ascii"))
    return Attacker(
        path=terminator.behind.service.door.path.encode(),
        message=envelope(declaration.request()),
        forged={"nginx": pem, "haproxy": der}[terminator.name].encode(),
    )


def test_sec_02_no_forged_certificate_arrives(
    sandbox: RunningSandbox, terminator: Terminator, declaration: Declaration
) -> None:
    """Another's certificate in a header, however written or doubled, or in a trailer, makes nobody that other (SEC-02).

    The service knows the caller by the certificate of the handshake, or does not see the request at all.
    """
    seen = check_harmless(sandbox, terminator, declaration, attacker(sandbox, terminator, declaration).forgeries())
    assert seen["the header"] == (1, 1)
    assert {arrived for arrived, _ in seen.values()} <= {0, 1}


def test_sec_11_no_second_request_is_smuggled(
    sandbox: RunningSandbox, terminator: Terminator, declaration: Declaration
) -> None:
    """Whatever a request says of its length, kind or target: what hides in or behind it is not run (SEC-11).

    At most the terminator takes it for the caller's next request, writes its own header, and answers it to the caller.
    """
    seen = check_harmless(sandbox, terminator, declaration, attacker(sandbox, terminator, declaration).smuggled())
    assert seen["behind a whole one"] == (2, 2)
