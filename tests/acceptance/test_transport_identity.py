"""Who calls is in the signature: neither HTTP headers nor a TLS certificate make anybody a caller (SEC-02, SEC-03)."""

from __future__ import annotations

import re
import socket
import ssl
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from cbss_inscription.sandbox.pki import Credential
from cbss_inscription.security.sign import Signer, sign
from tests.acceptance.conftest import consult, envelope, insert
from tests.conftest import RunningSandbox

WEB = "pcsa-web"
"""May insert."""
READER = "pcsa-reader"
"""Of the same organisation; may only consult."""
FORGED_ADDRESS = "192.0.2.66"
FORGED_HOST = "forged.example"
LOG_TRIES_MAX = 100


def forged_headers(sandbox: RunningSandbox) -> dict[str, str]:
    """What proxies say of the client whose TLS they ended, as if it were the application that may insert."""
    web = sandbox.application(WEB)
    credential = Credential.read(sandbox.path(web["certificate"]), sandbox.path(web["key"]))
    subject = credential.certificate.subject.rfc4514_string()
    pem = credential.certificate_pem.decode().replace("\n", "\\t")
    return {
        "X-SSL-Client-Verify": "SUCCESS",
        "X-SSL-Client-S-DN": subject,
        "X-SSL-Client-DN": subject,
        "X-SSL-Cert": pem,
        "SSL_CLIENT_CERT": pem,
        "SSL-Client-Cert": pem,
        "Client-Cert": pem.replace("\\t", ""),
        "X-Client-Cert": pem,
        "X-ARR-ClientCert": pem,
        "X-Forwarded-Client-Cert": f'Subject="{subject}"',
        "X-Forwarded-User": web["urn"],
        "Remote-User": web["urn"],
        "Authorization": "Basic cGNzYS13ZWI6",
        "X-Forwarded-For": FORGED_ADDRESS,
        "X-Real-IP": FORGED_ADDRESS,
        "Forwarded": f"for={FORGED_ADDRESS};host={FORGED_HOST};proto=http",
        "X-Forwarded-Host": FORGED_HOST,
        "X-Forwarded-Proto": "http",
        "X-Original-URL": "/health/live",
    }


def signed(sandbox: RunningSandbox, content: str, *, by: str) -> bytes:
    application = sandbox.application(by)
    certificate, key = (sandbox.path(application[name]).read_bytes() for name in ("certificate", "key"))
    return sign(envelope(content), signer=Signer.from_pem(certificate, key), now=datetime.now(UTC))


def post(client: httpx.Client, url: str, message: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    return client.post(url, content=message, headers={"content-type": "text/xml", **(headers or {})})


def line_of(sandbox: RunningSandbox, reply: httpx.Response) -> dict[str, Any]:
    """The log's line about the exchange that ended so."""
    (ticket,) = set(re.findall(r'(?:ticketCBSS>|@?Id=")([0-9a-f-]{36})', reply.text))
    for _ in range(LOG_TRIES_MAX):
        for line in sandbox.log_lines():
            if line.get("ticket_cbss") == ticket:
                return line
        time.sleep(0.05)
    pytest.fail(f"no line for {reply.text}")


@pytest.mark.parametrize("listener", ["tls", "plain"])
def test_sec_02_forged_headers_of_a_proxy_have_no_effect(sandbox: RunningSandbox, stranger: str, listener: str) -> None:
    """What a proxy would say of a client makes no caller and no address: on both listeners, signed or not (SEC-02)."""
    url = sandbox.url if listener == "tls" else sandbox.plain_url
    context = ssl.create_default_context(cafile=sandbox.path(sandbox.manifest["ca"]))
    forged = forged_headers(sandbox)
    with httpx.Client(verify=context, trust_env=False) as client:
        unsigned = post(client, url, envelope(consult(stranger)), forged)
        assert unsigned.status_code == 500
        assert "SOA-01001" in unsigned.text
        assert line_of(sandbox, unsigned)["application_urn"] is None

        inserted = post(client, url, signed(sandbox, insert(stranger), by=READER), forged)
        assert inserted.status_code == 500
        assert "SOA-01002" in inserted.text
        consulted = post(client, url, signed(sandbox, consult(stranger), by=READER), forged)
        assert consulted.status_code == 200
        for reply in (inserted, consulted):
            assert line_of(sandbox, reply)["application_urn"] == sandbox.application(READER)["urn"]

        description = client.get(f"{url}?wsdl", headers={**forged, "Host": FORGED_HOST})
        assert FORGED_HOST not in description.text
        assert f'location="{sandbox.url}"' in description.text
    log = (sandbox.directory / "facade.log").read_text(encoding="utf-8")
    assert FORGED_ADDRESS not in log
    assert FORGED_HOST not in log


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_sec_03_a_client_certificate_in_tls_has_no_effect(
    sandbox: RunningSandbox, stranger: str, version: ssl.TLSVersion
) -> None:
    """A's certificate offered in the handshake, B's in the message: it is B's; in none, nobody's (SEC-03)."""
    context = ssl.create_default_context(cafile=sandbox.path(sandbox.manifest["ca"]))
    context.minimum_version = context.maximum_version = version
    web = sandbox.application(WEB)
    context.load_cert_chain(sandbox.path(web["certificate"]), sandbox.path(web["key"]))
    with httpx.Client(verify=context, trust_env=False) as client:
        unsigned = post(client, sandbox.url, envelope(consult(stranger)))
        assert "SOA-01001" in unsigned.text
        assert line_of(sandbox, unsigned)["application_urn"] is None

        consulted = post(client, sandbox.url, signed(sandbox, consult(stranger), by=READER))
        assert consulted.status_code == 200
        assert line_of(sandbox, consulted)["application_urn"] == sandbox.application(READER)["urn"]
        inserted = post(client, sandbox.url, signed(sandbox, insert(stranger), by=READER))
        assert "SOA-01002" in inserted.text


def test_sec_02_what_has_no_tls_listens_on_loopback_alone(sandbox: RunningSandbox) -> None:
    """By the kernel's own list, the plain and the operations port are bound to 127.0.0.1 (SEC-02, SEC-80)."""
    ports = {urlsplit(url).port or 0 for url in (sandbox.plain_url, sandbox.operations_url)}
    loopback = f"{int.from_bytes(socket.inet_aton('127.0.0.1'), sys.byteorder):08X}"  # as the kernel prints it
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, port = local.split(":")
            if state == "0A" and int(port, 16) in ports:
                listening.append((address, int(port, 16)))
    assert {port for _, port in listening} == ports
    assert {address for address, _ in listening} == {loopback}
