"""TLS as OpenSSL sees it, through Python and through its own program: what the listener speaks, and what it refuses."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

WSDL = "GET /CBSSInscription/v1?wsdl HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
AEAD_SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
}


def _handshake(
    sandbox: Any, version: ssl.TLSVersion, *, ciphers: str = "ALL", certificate_checked: bool = False
) -> ssl.SSLSocket:
    """A connection that offers exactly this version and these suites, by a client that itself would take anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if certificate_checked:
        context.load_verify_locations(sandbox.path(sandbox.manifest["ca"]))
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of old versions; they are the point here
        context.minimum_version = context.maximum_version = version
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    address = urlsplit(sandbox.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        return context.wrap_socket(connection, server_hostname=address.hostname)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=lambda version: version.name)
def test_sec_01_old_tls_is_refused(sandbox: Any, version: ssl.TLSVersion) -> None:
    """TLS 1.0 and 1.1 end in an alert of the server's (SEC-01)."""
    with pytest.raises(ssl.SSLError, match="_ALERT_"):
        _handshake(sandbox, version)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_sec_01_new_tls_is_spoken_with_a_certificate_that_verifies(sandbox: Any, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3 serve the description, under a certificate of the sandbox's authority for this host (SEC-01)."""
    with _handshake(sandbox, version, certificate_checked=True) as connection:
        assert connection.version() == version.name.replace("_", ".")
        assert connection.compression() is None
        connection.sendall(WSDL.encode())
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert b"definitions" in reply


@pytest.mark.parametrize(
    "ciphers",
    [
        "ECDHE-ECDSA-AES128-SHA256",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA384",
        "AES128-SHA",
        "AES256-GCM-SHA384",
        "DHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES256-CCM8",
        "ADH",
        "NULL",
    ],
)
def test_sec_01_weak_suites_are_refused(sandbox: Any, ciphers: str) -> None:
    """CBC, key exchange without forward secrecy, anonymous and null suites end in an alert of the server's (SEC-01)."""
    with pytest.raises(ssl.SSLError, match="_ALERT_"):
        _handshake(sandbox, ssl.TLSVersion.TLSv1_2, ciphers=ciphers)


def test_sec_01_every_tls_1_2_suite_spoken_is_aead_with_forward_secrecy(sandbox: Any) -> None:
    """Of all TLS 1.2 suites that OpenSSL knows, the server takes ECDHE with AEAD and no other (SEC-01)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    spoken = set()
    for suite in (cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"):
        try:
            with _handshake(sandbox, ssl.TLSVersion.TLSv1_2, ciphers=suite) as connection:
                spoken.add(connection.cipher()[0])  # type: ignore[index]  # connected
        except ssl.SSLError:
            continue
    assert spoken == AEAD_SUITES


def _s_client(sandbox: Any, *options: str, said: str = "") -> subprocess.CompletedProcess[str]:
    program = shutil.which("openssl")
    if program is None:
        pytest.fail("The program openssl is missing: apt-get install openssl", pytrace=False)
    address = urlsplit(sandbox.url)
    command = [program, "s_client", "-connect", f"{address.hostname}:{address.port}", "-verify_return_error", *options]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(
    ("ca", "hostname", "verdict"),
    [
        ("tls-ca.crt.pem", "localhost", "Verify return code: 0 (ok)"),
        ("tls-ca.crt.pem", "services.example.be", "hostname mismatch"),
        ("application-root.crt.pem", "localhost", "unable to get local issuer certificate"),
    ],
)
def test_sec_04_openssl_verifies_chain_and_host_name(sandbox: Any, ca: str, hostname: str, verdict: str) -> None:
    """The `openssl` program finds the certificate good for its host, under the TLS authority and no other (SEC-04)."""
    # The application authorities are another tree: who may sign messages cannot make a server.
    options = ("-CAfile", str(sandbox.path(f"pki/{ca}")), "-no-CApath", "-no-CAstore", "-verify_hostname", hostname)
    found = _s_client(sandbox, *options)
    assert verdict in found.stdout + found.stderr
    assert (found.returncode == 0) == ("(ok)" in verdict)


def test_sec_01_renegotiation_is_refused(sandbox: Any) -> None:
    """A TLS 1.2 client that asks to renegotiate is told no (SEC-01)."""
    found = _s_client(sandbox, "-tls1_2", "-CAfile", str(sandbox.path("pki/tls-ca.crt.pem")), said="R\n")
    assert "RENEGOTIATING" in found.stdout + found.stderr
    assert "no renegotiation" in found.stderr


def test_sec_01_early_data_is_not_taken(sandbox: Any, tmp_path: Path) -> None:
    """A ticket of TLS 1.3 allows no early data: nothing recorded is played back before a handshake (SEC-01)."""
    ca = ("-CAfile", str(sandbox.path("pki/tls-ca.crt.pem")))
    session, early = tmp_path / "session.pem", tmp_path / "early.txt"
    early.write_text(WSDL, encoding="ascii")
    found = _s_client(sandbox, "-tls1_3", *ca, "-ign_eof", "-sess_out", str(session), said=WSDL)
    assert "Max Early Data: 0" in found.stdout
    resumed = _s_client(
        sandbox, "-tls1_3", *ca, "-sess_in", str(session), "-early_data", str(early), "-ign_eof", said=WSDL
    )
    assert "Early data was accepted" not in resumed.stdout
    assert "Early data was not sent" in resumed.stdout or "Early data was rejected" in resumed.stdout


def test_sec_03_no_client_certificate_is_asked_for(sandbox: Any) -> None:
    """The server asks nobody for a certificate in the handshake: none it would get could mean anything (SEC-03)."""
    for version in ("-tls1_2", "-tls1_3"):
        found = _s_client(sandbox, version, "-CAfile", str(sandbox.path("pki/tls-ca.crt.pem")))
        assert "No client certificate CA names sent" in found.stdout
        assert "Requested Signature Algorithms" not in found.stdout


def test_sec_65_no_reply_names_the_server_program(sandbox: Any, peer: Any) -> None:
    """No reply says which program serves: not a description, a fault, nor an HTTP refusal (SEC-65)."""
    replies = [peer.post(b"<x/>")]
    for method, path in (("GET", "/CBSSInscription/v1?wsdl"), ("GET", "/"), ("PUT", "/CBSSInscription/v1")):
        connection = peer.connect()
        connection.request(method, path)
        replies.append(connection.getresponse())
        connection.close()
    for reply in replies:
        headers = reply.headers if isinstance(reply.headers, dict) else dict(reply.headers.items())
        assert not headers.get("server")
        assert not any(word in str(headers).lower() for word in ("granian", "hyper", "python", "x-powered-by"))
