"""The façade's ports on a real network: what every reply says and does not say, and many callers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx

from cbss_inscription.client import InscriptionClient
from cbss_inscription.security.sign import Signer, sign
from tests.acceptance.conftest import consult, envelope
from tests.conftest import RunningSandbox


def test_the_facade_says_nothing_of_its_make(sandbox: RunningSandbox) -> None:
    """No Server banner, no-store, exact media type, on every kind of reply (SEC-65)."""
    for reply in (
        httpx.get(f"{sandbox.plain_url}?wsdl", trust_env=False),
        httpx.get(sandbox.plain_url, trust_env=False),
        httpx.post(sandbox.plain_url, content=b"x", headers={"content-type": "text/xml"}, trust_env=False),
        httpx.put(sandbox.plain_url, trust_env=False),
    ):
        assert reply.headers.get("server", "") == ""
        assert reply.headers["cache-control"] == "no-store"
        assert "x-powered-by" not in reply.headers


def test_a_busy_service_answers_everybody(sandbox: RunningSandbox, stranger: str) -> None:
    """Many callers at once, of two workers, all get their own answer."""
    with InscriptionClient(sandbox.profile()) as client, ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda _: client.consult_inscriptions(stranger).result.status.code, range(48)))
    assert set(codes) == {"MSG00100"}


def test_a_message_sent_to_both_ports_is_done_once(sandbox: RunningSandbox, stranger: str) -> None:
    """The replay memory is shared by every worker of every port (SEC-52)."""
    web = sandbox.application("pcsa-web")
    signer = Signer.from_pem(sandbox.path(web["certificate"]).read_bytes(), sandbox.path(web["key"]).read_bytes())
    message = sign(envelope(consult(stranger)), signer=signer, now=datetime.now(UTC))
    with httpx.Client(trust_env=False, headers={"content-type": "text/xml"}) as http, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: http.post(sandbox.plain_url, content=message), range(16)))
    assert sorted(reply.status_code for reply in replies) == [200] + [500] * 15
