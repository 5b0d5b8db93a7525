"""A revocation that an authority publishes reaches the workers of a running façade (SEC-44, SEC-45, SEC-46)."""

from __future__ import annotations

import http.server
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509

from cbss_inscription.app.serving import Listeners
from cbss_inscription.client import FaultReceived, InscriptionClient
from cbss_inscription.sandbox.demonstration import ENVIRONMENT
from cbss_inscription.sandbox.pki import TestPki
from tests.conftest import RunningSandbox, free_port


@pytest.fixture
def publisher() -> Iterator[Any]:
    """An HTTP server that gives its `body` to whoever asks."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.body)  # type: ignore[attr-defined]

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            pass

    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_sec_46_a_published_revocation_is_fetched_and_takes_effect(sandbox: RunningSandbox, publisher: Any) -> None:
    """The list is fetched before the workers start; with the next one the caller that was let in is refused."""
    pki = TestPki.read(sandbox.path("pki"), environment=ENVIRONMENT)
    application = sandbox.application("pcsa-web")
    leaf = x509.load_pem_x509_certificate(sandbox.path(application["certificate"]).read_bytes())
    now = datetime.now(UTC)
    root_list = sandbox.directory / "only-root.crl"
    root_list.write_bytes(pki.issue_revocation_list(now=now, issuer=pki.application_root))
    publisher.body = pki.issue_revocation_list(now=now - timedelta(minutes=1))

    port = free_port()
    text = sandbox.path("settings.toml").read_text(encoding="utf-8").partition("[plain]")[0]
    text = re.sub(r"(?m)^port = \d+", f"port = {port}", text)
    text = re.sub(r"(?m)^revocation_lists = .*$", 'revocation_lists = ["only-root.crl"]', text)
    source = f'url = "http://127.0.0.1:{publisher.server_port}/ca.crl"\nfile = "fetched.crl"\n'
    settings = sandbox.directory / "fetching.toml"
    settings.write_text(f"reload_seconds = 0.2\n{text}\n[[trust.revocation_sources]]\n{source}", encoding="utf-8")
    with (sandbox.directory / "fetching.log").open("wb") as log:
        listeners = Listeners(settings, log=log)
        listeners.start()
        try:
            profile = sandbox.profile()
            url = profile.url.replace(re.findall(r":\d+", profile.url)[0], f":{port}")
            with InscriptionClient(msgspec.structs.replace(profile, url=url)) as client:
                client.health_check()
                publisher.body = pki.issue_revocation_list([leaf.serial_number], now=now)
                assert listeners._fetcher is not None
                listeners._fetcher._due.clear()
                fault = None
                for _ in range(100):
                    try:
                        client.health_check()
                    except FaultReceived as caught:
                        fault = caught
                        break
                    time.sleep(0.1)
        finally:
            listeners.stop()
    assert fault is not None
    assert fault.code == "SOA-01001"
    told = (sandbox.directory / "fetching.log").read_text(encoding="utf-8")
    assert told.count('"revocation list fetched"') == 2
    assert '"certificate-revoked"' in told
    assert '"reloaded"' in told
