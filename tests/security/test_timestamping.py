"""Time stamps over HTTP: bounded, verified before they are kept, and whatever goes wrong is told in a word (SEC-72)."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cbss_inscription.app.keeping import trust_of_timestamps
from cbss_inscription.app.settings import Timestamping
from cbss_inscription.app.timestamping import TimestampClient
from cbss_inscription.domain.errors import ServiceUnavailable
from cbss_inscription.sandbox.pki import TestPki
from cbss_inscription.sandbox.timestamping import POLICY, REQUEST_BYTES_MAX, TimeStampAuthority, TimeStampServer

NOW = datetime.now(UTC)
PKI = TestPki.generate(environment="LOCAL", now=NOW)
AUTHORITY = TimeStampAuthority(PKI.timestamp_authority)
ELSEWHERE = "http://127.0.0.1:1/"


class Misbehaving:
    """An authority that answers as it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.headers, self.body, self.slow = 200, {}, b"", False
        self.asked: list[tuple[str | None, bytes]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                request = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append((self.headers["content-type"], request))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for byte in outer.body if outer.slow else [outer.body]:
                    try:
                        self.wfile.write(bytes([byte]) if outer.slow else byte)
                    except OSError:
                        return
                    if outer.slow:
                        time.sleep(0.05)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def misbehaving() -> Iterator[Misbehaving]:
    one = Misbehaving()
    yield one
    one.close()


@pytest.fixture
def honest() -> Iterator[TimeStampServer]:
    server = TimeStampServer(AUTHORITY, address="127.0.0.1")
    server.start()
    yield server
    server.stop()


def client(tmp_path: Path, url: str, *, policy: str | None = None, **limits: float) -> TimestampClient:
    (tmp_path / "ca.pem").write_bytes(PKI.timestamp_root.certificate_pem)
    settings = Timestamping(url=url, ca=str(tmp_path / "ca.pem"), policy=policy)
    return TimestampClient(settings, trust_of_timestamps(settings), **limits)  # type: ignore[arg-type]  # by name


def refused(one: TimestampClient) -> str:
    with pytest.raises(ServiceUnavailable) as caught:
        one.stamp("statement")
    return caught.value.reason


def test_sec_72_a_time_stamp_is_fetched_and_verified(tmp_path: Path, honest: TimeStampServer) -> None:
    """What comes back is the authority's word over the statement, under the policy that is asked for (SEC-72)."""
    answer = client(tmp_path, honest.url, policy=POLICY).stamp("statement")
    stamped_at = client(tmp_path, honest.url)._trust.check(answer, "statement")
    assert abs((stamped_at - datetime.now(UTC)).total_seconds()) < 60
    assert refused(client(tmp_path, honest.url, policy="1.2.3")) == "the time stamp is refused: policy"


def test_sec_72_a_former_answer_is_no_answer(tmp_path: Path, misbehaving: Misbehaving, honest: TimeStampServer) -> None:
    """An answer to an earlier request over the same statement lacks this one's nonce (SEC-72)."""
    misbehaving.body = client(tmp_path, honest.url).stamp("statement")
    assert refused(client(tmp_path, misbehaving.url)) == "the time stamp is refused: nonce"
    ((kind, request),) = misbehaving.asked
    assert kind == "application/timestamp-query"
    assert b"statement" not in request


@pytest.mark.parametrize(
    ("status", "headers", "body", "reason"),
    [
        (500, {}, b"", "HTTP status 500"),
        (302, {"location": ELSEWHERE}, b"", "HTTP status 302"),
        (200, {}, b"<html/>", "the time stamp is refused: unreadable"),
        (200, {}, AUTHORITY.answer(b"no request"), "the time stamp is refused: not granted"),
        (200, {}, b"x" * 2_000, "more than 1500 bytes"),
    ],
    ids=["error", "redirect", "page", "rejection", "long"],
)
def test_sec_72_an_answer_that_is_none_is_told(
    tmp_path: Path, misbehaving: Misbehaving, status: int, headers: dict[str, str], body: bytes, reason: str
) -> None:
    """An error, a redirect, a page, a rejection, too many bytes: a reason in a few words, and no token (SEC-72)."""
    misbehaving.status, misbehaving.headers, misbehaving.body = status, headers, body
    told = refused(client(tmp_path, misbehaving.url, bytes_max=1_500))
    assert told == reason
    assert len(misbehaving.asked) == 1


def test_sec_72_a_slow_answer_is_not_awaited(tmp_path: Path, misbehaving: Misbehaving) -> None:
    """An authority that drips is left after the time that an answer may take (SEC-72)."""
    misbehaving.slow, misbehaving.body = True, b"x" * 100
    assert refused(client(tmp_path, misbehaving.url, seconds_max=0.3)) == "takes longer than 0.3 seconds"


def test_sec_72_the_proxies_of_the_environment_are_not_used(
    tmp_path: Path, honest: TimeStampServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a proxy that the settings name is on the way (SEC-72, SEC-79)."""
    monkeypatch.setenv("HTTP_PROXY", ELSEWHERE)
    assert client(tmp_path, honest.url).stamp("statement")
    settings = Timestamping(url=honest.url, ca=str(tmp_path / "ca.pem"), proxy=ELSEWHERE)
    assert refused(TimestampClient(settings, trust_of_timestamps(settings))) == "ConnectError"


def test_sec_72_the_sandbox_s_authority_answers_requests_only(honest: TimeStampServer) -> None:
    """Other content, too much of it, none at all: refused by HTTP before anything is read as a request (SEC-72)."""
    query = {"content-type": "application/timestamp-query"}
    with httpx.Client(trust_env=False) as http_client:
        assert http_client.post(honest.url, content=b"x", headers={"content-type": "text/xml"}).status_code == 415
        assert http_client.post(honest.url, content=b"x" * (REQUEST_BYTES_MAX + 1), headers=query).status_code == 413
        assert http_client.post(honest.url, content=iter([b"x"]), headers=query).status_code == 413
        assert http_client.get(honest.url).status_code == 501
