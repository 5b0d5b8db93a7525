"""The terminators' files in deploy/ say what the documents and the requirements do; `make test-peers` runs them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from cbss_inscription.app.settings import Authentication
from cbss_inscription.soap.message import ANSWER_SECONDS_MAX

ROOT = Path(__file__).parents[2]
SUITES = {
    f"ECDHE-{key}-{suite}"
    for key in ("ECDSA", "RSA")
    for suite in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
}
"""Of TLS 1.2, with forward secrecy and AEAD: all there are (SEC-01)."""


def lines(name: str) -> list[str]:
    """The lines of a file that say something, without their comments."""
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    said = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line.rstrip(";") for line in said if line]


def documented() -> Authentication:
    """The [authentication] that the operations manual shows, less the networks."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(\[authentication\]\n.*?)\n\n\[\[", text, re.DOTALL)
    table = tomllib.loads(block)["authentication"]
    table.pop("address_header")
    return msgspec.convert(table, Authentication)


def test_sec_01_nginx_ends_tls_as_required() -> None:
    """TLS 1.2 and 1.3, forward secrecy with AEAD, no tickets, no early data, a certificate from everybody (SEC-01)."""
    said = lines("nginx.conf")
    (suites,) = [line.split()[1] for line in said if line.startswith("ssl_ciphers ")]
    assert set(suites.split(":")) == SUITES
    assert {
        "ssl_protocols TLSv1.2 TLSv1.3",
        "ssl_session_tickets off",
        "ssl_early_data off",
        "ssl_verify_client on",
    } <= set(said)


def test_sec_01_haproxy_ends_tls_as_required() -> None:
    """The same of HAProxy: versions, suites, no tickets, a certificate or no connection (SEC-01)."""
    said = lines("haproxy.cfg")
    (suites,) = [line.split()[1] for line in said if line.startswith("ssl-default-bind-ciphers ")]
    assert set(suites.split(":")) == SUITES
    assert "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets" in said
    binds = [line.split() for line in said if line.startswith("bind ")]
    assert len(binds) == 1
    assert binds[0][binds[0].index("verify") + 1] == "required"
    assert "allow-0rtt" not in binds[0]


@pytest.mark.parametrize(
    ("name", "overwritten"),
    [
        ("nginx.conf", "proxy_set_header {} $ssl_client_escaped_cert"),
        ("haproxy.cfg", "http-request set-header {} %[ssl_c_der,base64]"),
    ],
)
def test_sec_02_the_header_is_overwritten_and_the_one_that_is_documented(name: str, overwritten: str) -> None:
    """Once, by the certificate of this connection, under the name in the manual, towards loopback only (SEC-02)."""
    said = lines(name)
    assert said.count(overwritten.format(documented().certificate_header)) == 1
    servers = [line for line in said if line.startswith("server ") and "{" not in line]
    assert len(servers) == 1
    assert re.search(r"\b127\.0\.0\.1:8080$", servers[0])


def test_sec_70_no_terminator_sends_a_message_twice_or_gives_up_before_its_answer() -> None:
    """Neither repeats what may have been written, and both wait longer than an answer may take (SEC-70)."""
    assert "proxy_next_upstream off" in lines("nginx.conf")
    assert "retries 0" in lines("haproxy.cfg")
    for name, waits in (("nginx.conf", "proxy_read_timeout"), ("haproxy.cfg", "timeout server")):
        (line,) = [line for line in lines(name) if line.startswith(waits)]
        assert int(line.split()[-1].removesuffix("s")) > ANSWER_SECONDS_MAX
